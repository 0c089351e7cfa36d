"""Simulated exposures: repeatable by number, labelled by what made them."""

import pytest
import torch

from maury.datasets.simulated import SimulatedExposures, Simulation
from maury.errors import RecipeError
from maury.grid import WavelengthGrid
from maury.labels import HARPS_LABELS, LabelSet

GRID = WavelengthGrid(start=5000.0, step=0.06, size=2**14)
QUIET = {
    "vsini": {"kind": "uniform", "low": 0, "high": 0},
    "vmac": {"kind": "uniform", "low": 0, "high": 0},
    "snr": {"kind": "uniform", "low": 1e6, "high": 1e6},
    "line_strengths": {"overall": 0.0},
    "continuum": {"slope": 0.0, "ripple": 0.0},
    "damage": {"chunks": 0, "crop": 0.0, "cosmics": 0},
}


@pytest.fixture(scope="module")
def exposures(line_forest):
    return SimulatedExposures(line_forest, GRID, HARPS_LABELS, Simulation(), seed=1)


def test_a_batch_depends_on_its_number_alone(exposures, line_forest):
    first = exposures.batch(3, 4)
    exposures.batch(4, 4)
    again = SimulatedExposures(line_forest, GRID, HARPS_LABELS, Simulation(), seed=1).batch(3, 4)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_batches_streams_and_seeds_differ(exposures, line_forest):
    other_seed = SimulatedExposures(line_forest, GRID, HARPS_LABELS, Simulation(), seed=2)
    labels = [
        exposures.batch(0, 4).labels,
        exposures.batch(1, 4).labels,
        exposures.batch(0, 4, "validation").labels,
        exposures.batch(0, 4, "test").labels,
        other_seed.batch(0, 4).labels,
    ]
    assert len({tuple(values.flatten().tolist()) for values in labels}) == len(labels)


def test_shapes_and_ranges(exposures):
    flux, valid, labels = exposures.batch(0, 6)
    assert flux.shape == valid.shape == (6, GRID.size)
    assert labels.shape == (6, len(HARPS_LABELS))
    assert valid.dtype == torch.bool and torch.isfinite(flux[valid]).all()
    teff = exposures.sample_labels(1000)[:, 0]
    assert teff.min() >= 4000 and teff.max() <= 8000


def test_lines_lie_where_the_velocity_puts_them(line_forest):
    still = {"kind": "uniform", "low": 0, "high": 0}
    moving = {"kind": "uniform", "low": 60, "high": 60}
    star = {name: {"kind": "uniform", "low": 5000, "high": 5000} for name in ("teff",)}
    star |= {"logg": {"kind": "uniform", "low": 4.5, "high": 4.5}}
    star |= {"mh": still, "vmic": {"kind": "uniform", "low": 1, "high": 1}, "berv": still}
    # Clear of the gap between the CCDs, which does not move with the star.
    part = slice(6000, 15000)
    fluxes = []
    for rv in (still, moving):
        simulation = Simulation.model_validate(QUIET | star | {"rv": rv})
        exposures = SimulatedExposures(line_forest, GRID, HARPS_LABELS, simulation, seed=1)
        fluxes.append(1 - exposures.batch(0, 1).flux[0, part].double())
    lags = torch.arange(-40, 41)
    overlap = [(fluxes[0] * torch.roll(fluxes[1], -int(lag))).sum().item() for lag in lags]
    best = lags[torch.tensor(overlap).argmax()].item()
    # 60 km/s at the middle of the grid.
    assert best == pytest.approx(60 / 299792.458 * GRID.wavelength[10_500] / 0.06, abs=1.5)


def test_distributions_beyond_the_emulator_are_refused(line_forest):
    simulation = Simulation.model_validate({"teff": {"kind": "uniform", "low": 3000, "high": 5000}})
    with pytest.raises(RecipeError, match="teff from 3000 to 5000, but the emulator knows only"):
        SimulatedExposures(line_forest, GRID, HARPS_LABELS, simulation, seed=1)


def test_any_simulated_quantity_in_the_label_table_can_be_a_label(line_forest):
    labels = LabelSet.from_names(["pwv", "teff"])
    exposures = SimulatedExposures(line_forest, GRID, labels, Simulation(), seed=1)
    pwv, teff = exposures.batch(0, 32).labels.T
    assert pwv.min() >= 0.5 and pwv.max() <= 20 and teff.min() >= 4000
