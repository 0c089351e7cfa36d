"""Exposures made for training against those of stores: one physics."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from maury.datasets.exposures import EtcSimulation, simulate_exposures
from maury.datasets.model_exposures import ModelExposures
from maury.datasets.sampling import Range
from maury.datasets.simulated import ExposureBatch
from maury.datasets.stored_exposures import StoredExposures
from maury.datasets.training_source import FreshExposures
from maury.grid import WavelengthGrid
from maury.synthesis.emulator import Emulator

# Most of the V band, and next to nothing of it.
WHOLE = WavelengthGrid(start=4944.0, step=0.48, size=2200)
PART = WavelengthGrid(start=6150.0, step=0.12, size=256)
# So bright that the noise is below 1e-5.
NIGHT = {
    "magnitude": -5.0, "exposure": 3600.0, "airmass": 1.3, "pwv": 3.0, "moon": 0.0, "seeing": 1.0,
    "rv": 30.0, "berv": -10.0,
}  # fmt: skip
STARS = {
    "sun": {"teff": 5772.0, "logg": 4.44, "mh": 0.0, "vmic": 1.0, "vsini": 2.0, "vmac": 3.0},
    "cool": {"teff": 4100.0, "logg": 4.6, "mh": 0.3, "vmic": 0.7, "vsini": 0.0, "vmac": 0.0},
    "hot": {"teff": 7900.0, "logg": 3.6, "mh": -1.1, "vmic": 2.0, "vsini": 12.0, "vmac": 0.0},
}


@pytest.fixture(scope="module")
def emulator() -> Emulator:
    return Emulator.load()


def fixed(star: dict[str, float]) -> dict[str, Range]:
    return {name: Range(value, value) for name, value in (star | NIGHT).items()}


def trained_on(
    emulator: Emulator, star: dict[str, float], grid: WavelengthGrid, device: str = "cpu"
) -> ExposureBatch:
    return ModelExposures(emulator, grid, ranges=fixed(star), device=device).batch(0, 1)


@pytest.mark.parametrize("grid", [WHOLE, PART], ids=["whole", "part"])
@pytest.mark.parametrize("star", STARS.values(), ids=STARS)
def test_exposures_to_train_on_are_those_of_a_store(
    emulator: Emulator, star: dict[str, float], grid: WavelengthGrid, tmp_path: Path
) -> None:
    simulation = EtcSimulation(n=1, ranges=fixed(star), grid=grid, solver="emulator")
    store = simulate_exposures(simulation, tmp_path / "etc", workers=0)
    flux, valid, _ = trained_on(emulator, star, grid)
    known = StoredExposures(store).batch([0], noise=False)
    torch.testing.assert_close(valid, known.valid)
    flux, truth = flux[valid], known.flux[valid]
    assert (flux / flux.median() - truth).abs().max() < 0.003
    # As many electrons of a star of that magnitude: its V band is as bright.
    counted = FreshExposures(store).batch(0, 1).flux[valid]
    assert float(flux.median() / counted.median()) == pytest.approx(1, abs=0.01)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_gpu_makes_the_same_exposures(emulator: Emulator) -> None:
    star = STARS["sun"]
    here = trained_on(emulator, star, WHOLE)
    there = trained_on(Emulator.load(), star, WHOLE, "cuda")
    assert there.flux.is_cuda
    # Noise is another one there.
    torch.testing.assert_close(
        there.flux.cpu(), here.flux, rtol=1e-3, atol=1e-3 * float(here.flux.median())
    )
