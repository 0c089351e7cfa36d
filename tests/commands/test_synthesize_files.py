"""``maury synthesize`` with a user's own files."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from typer.testing import CliRunner

from maury.cli import app
from maury.errors import MauryError
from maury.readers import read
from maury.synthesis.atmosphere import model_atmosphere
from maury.synthesis.synthesize import synthesize

WINDOW = ["--start", "5180", "--stop", "5185", "--step", "0.02", "--normalized"]
GRID = 5180 + 0.02 * np.arange(251)


def run(*arguments: str | Path):
    result = CliRunner().invoke(app, ["synthesize", *map(str, arguments), *WINDOW])
    unexpected = not isinstance(result.exception, MauryError | SystemExit | None)
    if unexpected and result.exception is not None:
        raise result.exception
    return result


@pytest.fixture
def deck(tmp_path: Path) -> Path:
    """An ATLAS deck of a star between the grid's models."""
    model = model_atmosphere(5777, 4.44, -0.3)
    path = tmp_path / "star.mod"
    text = "TEFF   5777.  GRAVITY 4.44000 LTE\nTITLE star\n"
    text += "ABUNDANCE SCALE   0.50119 ABUNDANCE CHANGE 1 0.92040 2 0.07834\n"
    text += f"READ DECK6 {model.rhox.size} RHOX,T,P,XNE,ABROSS,ACCRAD,VTURB\n"
    rows = zip(model.rhox, model.temperature, model.pressure, model.electron_density, strict=True)
    for rhox, t, p, n in rows:
        text += f"{rhox:15.8E}{t:9.1f}{p:10.3E}{n:10.3E} 1.0E-05 3.560E-03 2.000E+05\n"
    path.write_text(text)
    return path


def test_a_model_atmosphere_stands_for_the_parameters(tmp_path: Path, deck: Path) -> None:
    out = tmp_path / "star.fits"
    assert run("--atmosphere", deck, "--out", out).exit_code == 0
    direct = synthesize(teff=5777, logg=4.44, mh=-0.3, wavelength=GRID, normalized=True)
    np.testing.assert_allclose(read(out).flux, direct.flux, atol=1e-3)
    header = fits.getheader(out)
    assert (header["TEFF"], header["LOGG"], header["MH"]) == (5777, 4.44, -0.3)
    assert header["MODEL"] == "star.mod"


MOOG = "title\n  5183.604      12.0     2.717   {log_gf:7.3f}\n"
SUN = ["--teff", "5777", "--logg", "4.44"]


@pytest.mark.parametrize("mode", ["replace", "add"])
def test_lines_are_put_in(tmp_path: Path, mode: str) -> None:
    """The strongest line of Mg b, a hundred times weaker: in its place, or beside it."""
    path, out = tmp_path / "mine.moog", tmp_path / "sun.fits"
    path.write_text(MOOG.format(log_gf=-2.168))
    assert run(*SUN, "--lines", path, "--lines-mode", mode, "--out", out).exit_code == 0
    usual = synthesize(teff=5777, logg=4.44, wavelength=GRID, normalized=True)
    change = read(out).flux - usual.flux
    wing = np.abs(GRID - 5183.9) < 0.05
    assert (change[wing].mean() > 0.2) == (mode == "replace")
    assert change[wing].mean() > -0.02
    assert fits.getheader(out)["LINELIST"] == f"mine.moog ({mode})"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--teff", "5777"], "logg is missing"),
        ([], "teff is missing"),
        (["--atmosphere", "nowhere.mod"], "nowhere.mod cannot be read: No such file"),
        (["--atmosphere", "star.mod", "--teff", "9000"], "teff = 9000.0 contradicts"),
        ([*SUN, "--lines", "nowhere.list"], "nowhere.list cannot be read: No such file"),
        ([*SUN, "--lines", "far.list"], "far.list has lines from 518.36 to 518.36 A, but none"),
        ([*SUN, "--lines", "star.mod"], "star.mod, line 2, reads 'TITLE star'"),
    ],
)
def test_a_mistake_is_a_sentence_and_leaves_nothing(
    tmp_path: Path,
    deck: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "far.list").write_text("title\n518.3604 12.0 2.717 -0.168\n")
    before = sorted(tmp_path.iterdir())
    result = run("--out", "sun.fits", *arguments)
    assert result.exit_code != 0
    with pytest.raises(MauryError, match=message):
        raise result.exception
    assert sorted(tmp_path.iterdir()) == before
