"""``maury synthesize``: a file that can be read again, or a sentence and nothing."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from maury.cli import app
from maury.errors import MauryError
from maury.readers import read
from maury.synthesis.synthesize import synthesize

SUN = ["synthesize", "--teff", "5777", "--logg", "4.44"]
WINDOW = ["--start", "5180", "--stop", "5185", "--step", "0.02"]


def run(*arguments: str):
    result = CliRunner().invoke(app, [*SUN, *arguments])
    if isinstance(result.exception, MauryError):
        return result
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.mark.parametrize("suffix", [".fits", ".txt", ".csv"])
def test_the_file_is_read_again(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"sun{suffix}"
    result = run("--mh", "-0.2", "--vsini", "5", "--out", str(path), *WINDOW)
    assert result.exit_code == 0
    assert result.stdout == ""
    assert "251 pixels, 5180.00-5185.00 A in air" in result.stderr
    spectrum = read(path)
    assert (spectrum.medium, spectrum.frame) == ("air", "rest")
    assert spectrum.meta.flux_unit == "erg s-1 cm-2 Angstrom-1"
    wavelength = 5180 + 0.02 * np.arange(251)
    direct = synthesize(teff=5777, logg=4.44, mh=-0.2, vsini=5, wavelength=wavelength)
    np.testing.assert_allclose(spectrum.wavelength, wavelength, atol=1e-6)
    np.testing.assert_allclose(spectrum.flux, direct.flux, rtol=1e-6)


def test_vacuum_and_continuum(tmp_path: Path) -> None:
    path, plot = tmp_path / "sun.fits", tmp_path / "sun.png"
    run("--medium", "vacuum", "--normalized", "--out", str(path), "--plot", str(plot), *WINDOW)
    spectrum = read(path)
    assert spectrum.medium == "vacuum"
    assert spectrum.meta.flux_unit is None
    assert 0.8 < np.percentile(spectrum.flux, 99) < 1.0
    # Mg I 5183.60 stands at 5185.05 in vacuum: what is left is the wing.
    assert spectrum.flux[-1] < 0.4
    assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--teff", "2000"], "Teff = 2000 K is outside"),
        (["--logg", "nan"], "log g = nan"),
        (["--mh", "1"], r"\[M/H\] = 1 dex"),
        (["--vmic", "-1"], "vmic = -1"),
        (["--alpha", "9"], "alpha = 9"),
        (["--vsini", "inf"], "vsini = inf"),
        (["--resolving-power", "0"], "resolving power = 0"),
        (["--start", "3000"], "3770"),
        (["--start", "nan"], "hold no step"),
        (["--stop", "5000"], "hold no step"),
        (["--step", "0"], "must be positive"),
        (["--step", "1e-7"], "allowed are 4,000,000"),
        (["--out", "sun.doc"], r"must end in \.fits, \.txt or \.csv"),
        (["--out", "nowhere/sun.fits"], "there is no folder nowhere"),
        (["--plot", "sun.gif"], r"must end in \.png, \.pdf or \.svg"),
    ],
)
def test_a_mistake_is_a_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("--out", "sun.fits", *WINDOW, *arguments)
    assert result.exit_code != 0
    assert isinstance(result.exception, MauryError)
    with pytest.raises(MauryError, match=message):
        raise result.exception
    assert not list(tmp_path.iterdir())
