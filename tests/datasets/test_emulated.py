"""Sets of exposures whose stars are the emulator's, against those of the direct synthesis."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from maury.cli import app
from maury.datasets.archive import MockArchive, MockExposure, simulate_archive
from maury.datasets.exposures import EtcSimulation, simulate_exposures
from maury.datasets.nuisances import ExposureNuisances
from maury.datasets.observatory import ExposurePixels, Observatory
from maury.datasets.sampling import Range
from maury.datasets.starlight import Starlight, StarSolver
from maury.datasets.store import SpectrumStore
from maury.datasets.stored_exposures import StoredExposures
from maury.errors import SynthesisError, TargetError
from maury.grid import HARPS, HARPS_TINY, WavelengthGrid
from maury.instrument.settings import Settings
from maury.synthesis.emulator_solver import emulator_limits

GRID = WavelengthGrid(start=6150.0, step=0.12, size=256)
KNOWN = {"teff": Range(4000, 8000), "vmic": Range(1, 2)}
ARCHIVE = MockArchive(stars=3, exposures=2, seed=5, grid=GRID, solver="emulator")


def truth(solver: StarSolver, **star: float) -> np.ndarray:
    """An exposure without noise, over its median."""
    pixels = ExposurePixels.of(GRID, 100.0)
    flux, found = Starlight(grid=pixels.wide, solver=solver)({**star, "noise_seed": 1})
    seen, _, valid = Observatory(pixels, ExposureNuisances()).expose(
        torch.from_numpy(flux)[None],
        Settings(magnitude=6.0, exposure=300.0, rv=30.0, berv=-10.0),
        torch.tensor([found["flux_v"]]),
        noise=False,
    )
    assert valid.all()
    return (seen / seen.median()).numpy()[0]


@pytest.mark.parametrize(
    ("teff", "logg", "mh", "vmic", "vsini"),
    [(5772, 4.44, 0.0, 1.0, 2.0), (4300, 4.6, 0.2, 0.7, 0.0), (7500, 3.9, -0.5, 2.2, 30.0)],
)
def test_exposures_are_those_of_the_synthesis(
    teff: float, logg: float, mh: float, vmic: float, vsini: float
) -> None:
    star = {"teff": teff, "logg": logg, "mh": mh, "vmic": vmic, "vsini": vsini, "vmac": 2.0}
    direct, emulated = truth("direct", **star), truth("emulator", **star)
    assert (emulated - direct).std() < 0.002 < direct.std() / 5


@pytest.mark.parametrize("solver", ["direct", "emulator"])
def test_stars_computed_together_are_those_computed_alone(solver: StarSolver) -> None:
    light = Starlight(grid=GRID, solver=solver)
    star = {"logg": 4.4, "mh": 0.0, "vmic": 1.0, "vsini": 4.0, "vmac": 3.0, "noise_seed": 2}
    together, flux_v = light.at_temperatures(star, (5772.0, 4200.0))
    for k, teff in enumerate((5772.0, 4200.0)):
        alone, found = light({**star, "teff": teff})
        np.testing.assert_allclose(together[k], alone, rtol=1e-5)
        assert flux_v[k] == pytest.approx(found["flux_v"], rel=1e-6)
    assert flux_v[0] > 3 * flux_v[1]


def test_an_archive_holds_only_stars_that_the_emulator_knows() -> None:
    rows = MockArchive(stars=2000, exposures=1, grid=GRID, solver="emulator").rows()
    for name, (lower, upper) in emulator_limits().items():
        values = [row[f"hidden_{name}"] for row in rows]
        assert lower <= min(values) < max(values) <= upper
    assert min(row["hidden_spot_teff"] for row in rows) == 4000.0
    again = MockArchive(stars=2000, exposures=1, grid=GRID, solver="emulator").rows()
    np.testing.assert_equal(rows[7], again[7])


def test_an_archive_says_that_it_is_the_emulators(tmp_path: Path) -> None:
    store = simulate_archive(ARCHIVE, tmp_path / "mock", workers=0)
    assert store.done.size == len(store) == len(ARCHIVE.rows())
    assert (store.settings["kind"], store.settings["solver"]) == ("mock", "emulator")
    assert len(store.settings["emulator"]) == 64
    again = simulate_archive(ARCHIVE, tmp_path / "again", workers=0)
    np.testing.assert_array_equal(store.flux(store.done), again.flux(again.done))
    flux = store.flux([0])[0]
    assert np.isfinite(flux).all() and np.median(flux) == pytest.approx(1.0, abs=1e-6)
    with pytest.raises(TargetError, match="solver"):
        simulate_archive(
            MockArchive(stars=3, exposures=2, seed=5, grid=GRID, solver="direct"), store.path
        )


def test_spots_make_an_exposure_cooler() -> None:
    row = {**ARCHIVE.rows()[0], "hidden_teff": 6000.0, "hidden_spot_teff": 4200.0}
    ends = [
        MockExposure(GRID, "emulator", 5)({**row, "hidden_spots": share})[0] for share in (0.0, 0.4)
    ]
    pure = MockExposure(GRID, "emulator", 5)({**row, "hidden_teff": 4200.0, "hidden_spots": 0.0})[0]
    # Light of both, and most of it that of the star.
    assert 0.001 < np.std(ends[1] - ends[0]) < np.std(pure - ends[0])


def test_a_grid_that_the_emulator_does_not_reach_leaves_no_folder(tmp_path: Path) -> None:
    archive = MockArchive(stars=2, exposures=1, grid=HARPS, solver="emulator")
    with pytest.raises(SynthesisError, match=r"covers 4790\.0-6922\.5 A; take such a"):
        simulate_archive(archive, tmp_path / "mock")
    assert not (tmp_path / "mock").exists()


def test_the_command_makes_a_tiny_archive(tmp_path: Path) -> None:
    options = "--stars 2 --exposures 1 --grid harps-tiny --solver emulator".split()
    out = tmp_path / "tiny"
    result = CliRunner().invoke(app, ["simulate", "archive", *options, "--out", str(out)])
    assert result.exit_code == 0, result.output
    store = SpectrumStore(out)
    assert store.grid == HARPS_TINY and store.done.size == 2
    valid = np.isfinite(store.flux([0])[0])
    assert valid.mean() > 0.95


def test_exposures_of_the_papers_set_can_be_the_emulators(tmp_path: Path) -> None:
    simulation = EtcSimulation(n=2, ranges=KNOWN, grid=GRID, solver="emulator")
    store = simulate_exposures(simulation, tmp_path / "etc", workers=0)
    assert store.settings["solver"] == "emulator" and len(store.settings["emulator"]) == 64
    exposures = StoredExposures(store).batch([0, 1])
    assert exposures.valid.all() and torch.isfinite(exposures.flux).all()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "teff = 3000 is outside what the emulator knows"),
        ({"ranges": {"teff": Range(4000, 11000)}}, "teff = 11000 is outside"),
        ({"ranges": KNOWN, "line_strengths": "original"}, "the emulator's are 'calibrated'"),
        ({"ranges": KNOWN, "grid": HARPS}, "Stars' spectra are needed at 37"),
    ],
)
def test_what_the_emulator_cannot_give_is_refused(options: dict, says: str, tmp_path: Path) -> None:
    with pytest.raises(SynthesisError, match=says):
        simulate_exposures(
            EtcSimulation(n=1, **{"grid": GRID, **options}, solver="emulator"), tmp_path / "etc"
        )
