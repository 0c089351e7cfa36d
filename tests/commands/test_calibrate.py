"""``maury calibrate``: lines put right by an observed star, and nothing written for bad input."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from typer.testing import CliRunner

from maury.cli import app
from maury.errors import SynthesisError
from maury.instrument.reference_star import reference_star
from maury.synthesis.linelist import standard_lines
from maury.synthesis.linelist_archive import save_lines
from maury.synthesis.linelist_files import read_lines
from maury.synthesis.synthesize import synthesize

WAVELENGTH = np.arange(6240.0, 6264.0, 0.01)
MOVED, ABSENT = 6246.318, 6240.646


def atlas(path: Path) -> None:
    """The Sun with one line weaker than listed by 0.3 dex and another one not there."""
    lines = standard_lines(calibrated=False, titanium_oxide=False)
    log_gf = lines.log_gf.copy()
    iron = lines.species_index == lines.species.index("Fe I")
    log_gf[iron & (np.abs(lines.wavelength - MOVED) < 0.005)] -= 0.3
    log_gf[iron & (np.abs(lines.wavelength - ABSENT) < 0.005)] -= 5.0
    sun = synthesize(
        teff=5772, logg=4.438, vmic=1.0, vmac=3.6, vsini=1.9, wavelength=WAVELENGTH,
        normalized=True, lines=lines.with_log_gf(log_gf),
    )  # fmt: skip
    np.savez(path, wave_air=sun.wavelength * (1 + 0.3 / 299792.458), residual_flux=sun.flux)


def run(*arguments: str):
    result = CliRunner().invoke(app, ["calibrate", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_the_lines_are_put_right_and_said_to_be(tmp_path: Path) -> None:
    own = tmp_path / "own.npz"
    save_lines(own, standard_lines(calibrated=False, titanium_oxide=False).between(6200.0, 6300.0))
    path, out = tmp_path / "sun.npz", tmp_path / "result"
    atlas(path)
    result = run(str(path), "--out", str(out), "--lines", str(own), "--no-telluric")
    assert result.exit_code == 0
    assert "before: median" in result.stdout and "1 are not there" in result.stdout
    assert sorted(file.name for file in out.iterdir()) == [
        "card.json", "flagged.csv", "lines.npz", "pixels.fits", "residuals.png",
    ]  # fmt: skip
    before, after = read_lines(own), read_lines(out / "lines.npz")
    changes = {
        target: (after.log_gf - before.log_gf)[np.abs(before.wavelength - target) < 0.005]
        for target in (MOVED, ABSENT)
    }
    assert changes[MOVED].min() == pytest.approx(-0.3, abs=0.05)
    assert changes[ABSENT].min() < -1
    card = json.loads((out / "card.json").read_text())
    assert card["atlas_velocity"] == pytest.approx(0.3, abs=0.03)
    assert card["after"]["rms"] < 0.25 * card["before"]["rms"]
    pixels = Table.read(out / "pixels.fits")
    assert pixels["trusted"].sum() == card["trusted_pixels"] > 0.95 * len(pixels)
    with (out / "flagged.csv").open() as file:
        flagged = list(csv.DictReader(file))
    assert [(row["species"], row["flag"]) for row in flagged] == [("Fe I", "absent")]


def test_missing_pixels_spoil_neither_velocity_nor_lines(tmp_path: Path) -> None:
    path = tmp_path / "sun.npz"
    atlas(path)
    with np.load(path) as columns:
        wavelength, flux = columns["wave_air"], columns["residual_flux"].copy()
    flux[(wavelength > 6253) & (wavelength < 6253.5)] = np.nan
    lines = standard_lines(calibrated=False).between(6200.0, 6300.0)
    star, velocity = reference_star(
        wavelength, flux, lines, teff=5772, logg=4.438, mh=0.0, vmic=1.0, vmac=3.6, vsini=1.9,
        telluric=False,
    )  # fmt: skip
    assert velocity == pytest.approx(0.3, abs=0.03)
    missing = (star.wavelength > 6253.05) & (star.wavelength < 6253.4)
    assert not star.weight[missing].any()
    assert star.weight[~missing].mean() > 0.97


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"wave_air": WAVELENGTH}, "wave_air and residual_flux"),
        ({"wave_air": WAVELENGTH, "residual_flux": np.full(3, 1.0)}, "two equal lists"),
        ({"wave_air": WAVELENGTH, "residual_flux": 300 + 0 * WAVELENGTH}, "its median is 300"),
        (
            {"wave_air": WAVELENGTH[:900], "residual_flux": np.ones(900)},
            "must cover at least 20 A",
        ),
    ],
)
def test_what_is_no_atlas(tmp_path: Path, columns, message: str) -> None:
    path, out = tmp_path / "sun.npz", tmp_path / "result"
    np.savez(path, **columns)
    with pytest.raises(SynthesisError, match=message):
        run(str(path), "--out", str(out))
    assert not out.exists() or not list(out.iterdir())


def test_an_atlas_that_is_missing_or_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "sun.npz"
    with pytest.raises(SynthesisError, match="No such file"):
        run(str(path), "--out", str(tmp_path / "result"))
    np.savez(path, wave_air=WAVELENGTH, residual_flux=np.ones(WAVELENGTH.size))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(SynthesisError, match="wave_air and residual_flux"):
        run(str(path), "--out", str(tmp_path / "result"))
