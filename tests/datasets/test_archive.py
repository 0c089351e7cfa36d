"""The mock archive: what is planned, what is in its spectra, and that it is always called mock."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from maury.cli import app
from maury.datasets.archive import INSTRUMENT, MockArchive, MockExposure, simulate_archive
from maury.datasets.starlight import Starlight
from maury.datasets.store import SpectrumStore
from maury.errors import SynthesisError, TargetError
from maury.grid import GRIDS, WavelengthGrid
from maury.instrument.calculator import ExposureCalculator
from maury.instrument.settings import Settings
from maury.wavelength import SPEED_OF_LIGHT

# Across the gap between HARPS's detectors, and below the water lines.
GRID = WavelengthGrid(start=5295.0, step=0.01, size=5000)
ARCHIVE = MockArchive(stars=2, exposures=4, seed=3, grid=GRID, solver="direct")
SUN = {
    "hidden_teff": 5772.0, "hidden_logg": 4.44, "hidden_mh": 0.0, "hidden_rv": 0.0,
    "hidden_vmic": 1.0, "hidden_vmac": 3.0, "hidden_vsini": 2.0, "hidden_spots": 0.0,
    "hidden_spot_teff": 4000.0, "hidden_offset": 0.0, "hidden_pwv": 3.0, "berv": 0.0,
    "airmass": 1.2, "moon": 0.0, "seeing": 1.0, "magnitude": 4.0, "exposure": 300.0,
    "noise_seed": 1,
}  # fmt: skip


def exposure(**changes: float) -> np.ndarray:
    return MockExposure(GRID, "direct", 3)({**SUN, **changes})[0]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SpectrumStore:
    return simulate_archive(ARCHIVE, tmp_path_factory.mktemp("archive") / "mock", workers=0)


def test_every_exposure_is_there_and_called_mock(store: SpectrumStore) -> None:
    rows = store.catalogue.to_pylist()
    assert store.done.size == len(store) == len(ARCHIVE.rows()) == len(rows)
    assert store.settings["kind"] == "mock" and store.settings["instrument"] == INSTRUMENT
    assert {row["instrument"] for row in rows} == {"HARPS (mock)"}
    assert all(name.startswith("mock") for name in store.stars())
    assert store.spectrum(0).meta.instrument == "HARPS (mock)"
    assert store.verify() == []


def test_fluxes_are_as_ingested_ones(store: SpectrumStore) -> None:
    assert store.frame == "barycentric" and store.grid.medium == "air"
    for index, row in zip(store.done, store.catalogue.to_pylist(), strict=True):
        flux = store.flux([index])[0]
        valid = np.isfinite(flux)
        assert np.median(flux[valid]) == pytest.approx(1.0, abs=1e-6)
        assert row["level"] > 0
        # The gap stands still at the observatory, from 5304.31 to 5337.26 A.
        shift = 1 + row["berv"] / SPEED_OF_LIGHT
        gap = (GRID.wavelength > 5304.6 * shift) & (GRID.wavelength < 5337.0 * shift)
        assert not valid[gap].any()
        outside = (GRID.wavelength < 5304.0 * shift) | (GRID.wavelength > 5337.7 * shift)
        assert valid[outside].all()
        noise = np.abs(np.diff(flux[outside], n=2)).mean() / np.sqrt(6) * np.sqrt(np.pi / 2)
        assert 0.2 / row["snr"] < noise


def test_labels_are_nan_where_the_catalogue_does_not_know_them(store: SpectrumStore) -> None:
    rows = MockArchive(stars=300, exposures=2, seed=1).rows()
    for name in ("teff", "logg", "mh", "rv"):
        known = np.array([row[name] for row in rows])
        truth = np.array([row[f"hidden_{name}"] for row in rows])
        assert np.isfinite(truth).all()
        assert 0 < np.isnan(known).mean() < 1
        np.testing.assert_array_equal(known[~np.isnan(known)], truth[~np.isnan(known)])
    assert all(np.isnan(row["pwv"]) for row in rows)
    assert all(np.isfinite([row["airmass"], row["berv"]]).all() for row in rows)


def test_a_star_has_the_same_labels_in_all_its_exposures() -> None:
    of_star: dict[str, set[Any]] = {}
    for row in MockArchive(stars=50, exposures=5, seed=2).rows():
        facts = tuple(row[name] for name in ("ra", "dec", "hidden_teff", "hidden_rv", "magnitude"))
        of_star.setdefault(row["star"], set()).add(facts)
    assert len(of_star) == 50
    assert all(len(facts) == 1 for facts in of_star.values())


def test_the_command_makes_the_same_archive_and_another_seed_another(
    store: SpectrumStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(GRIDS, "harps-small", GRID)
    out = tmp_path / "again"
    options = "--stars 2 --exposures 4 --seed 3 --grid harps-small --solver direct".split()
    result = CliRunner().invoke(app, ["simulate", "archive", *options, "--out", str(out)])
    assert result.exit_code == 0, result.output
    again = SpectrumStore(out)
    assert again.catalogue["checksum"].to_pylist() == store.catalogue["checksum"].to_pylist()
    assert f"{len(store)} of {len(store)} spectra" in result.output
    other = MockArchive(stars=2, exposures=4, seed=4, grid=GRID, solver="direct")
    assert other.rows()[0]["hidden_rv"] != ARCHIVE.rows()[0]["hidden_rv"]
    with pytest.raises(TargetError, match="seed = 3, not 4"):
        simulate_archive(other, out, workers=0)


def test_the_domain_is_not_that_of_the_paper_simulation() -> None:
    star = {"teff": 5772.0, "logg": 4.44, "mh": 0.0, "vmic": 2.0, "vsini": 0.0, "vmac": 0.0}
    sed, found = Starlight(grid=GRID, solver="direct")({**star, "noise_seed": 0})
    settings = Settings(magnitude=4.0, exposure=300.0, pwv=3.0)
    flux, _ = ExposureCalculator(GRID)(
        torch.from_numpy(sed)[None], settings, flux_v=found["flux_v"], noise=False
    )
    etc = flux[0].numpy()
    mock = exposure()
    valid = np.isfinite(mock)
    difference = mock[valid] - etc[valid] / np.median(etc[valid])
    again = exposure(noise_seed=2)[valid] - mock[valid]
    # The lines differ far more than noise and continuum change from one exposure to the next.
    assert difference.std() > 0.08 > 2 * again.std()


def test_spots_show_but_do_not_hide_the_star() -> None:
    clean, spotted = exposure(), exposure(hidden_spots=0.3)
    valid = np.isfinite(clean)
    change = (spotted - clean)[valid]
    # The same numbers make both exposures' noise.
    assert 0.003 < change.std() < 0.05
    assert np.corrcoef(clean[valid], spotted[valid])[0, 1] > 0.99


def test_a_star_moves_with_its_velocity_and_the_gap_with_the_earth() -> None:
    still, moved = exposure(), exposure(hidden_rv=60.0, berv=-20.0)
    line = slice(4400, 4950)
    lag = np.argmax(np.correlate(1 - moved[line], 1 - still[line], "full")) - 549
    assert lag == pytest.approx(5342.0 * 60.0 / SPEED_OF_LIGHT / GRID.step, abs=2)
    edge = np.flatnonzero(np.isnan(moved))[-1] - np.flatnonzero(np.isnan(still))[-1]
    assert edge == pytest.approx(-5337.0 * 20.0 / SPEED_OF_LIGHT / GRID.step, abs=2)


@pytest.mark.parametrize(
    "wrong", [{"stars": 0}, {"stars": 1, "exposures": 0.5}, {"stars": 1, "seed": -1}]
)
def test_an_archive_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SynthesisError, match="not allowed"):
        MockArchive(**wrong)


def test_the_command_says_that_it_is_mock_and_refuses_nonsense(tmp_path: Path) -> None:
    text = CliRunner().invoke(app, ["simulate", "archive", "--help"]).output
    assert "HARPS (mock)" in text
    out = str(tmp_path / "mock")
    result = CliRunner().invoke(app, ["simulate", "archive", "--out", out, "--stars", "0"])
    assert isinstance(result.exception, SynthesisError)
    assert not (tmp_path / "mock").exists()
