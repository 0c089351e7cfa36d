"""The grids against the pixel numbers of the paper's preprocessing (SPEC section 1)."""

from __future__ import annotations

import json

import numpy as np
import pytest

from maury.commands.options import GridChoice
from maury.datasets.observatory import ExposurePixels
from maury.errors import GridError
from maury.grid import GRIDS, HARPS, HARPS_HALF, HARPS_SMALL, HARPS_TINY, WavelengthGrid


def test_harps_grid_is_the_paper_s():
    assert HARPS.size == 327_680
    assert HARPS.wavelength[0] == pytest.approx(3709.11)
    assert HARPS.wavelength[7589] == pytest.approx(3785.00)
    assert HARPS.wavelength[7589 + 312_500] == pytest.approx(6910.00)
    invalid = np.zeros(HARPS.size, dtype=bool)
    invalid[: 7588 + 1] = True
    invalid[159_453 : 162_893 + 1] = True
    invalid[320_090:] = True
    np.testing.assert_array_equal(HARPS.valid, ~invalid)


def test_small_grid_halves_fourteen_times_and_loses_only_the_gap():
    assert HARPS_SMALL.size % 2**14 == 0
    assert HARPS_SMALL.stop == pytest.approx(6910.02)
    lost = HARPS_SMALL.wavelength[~HARPS_SMALL.valid]
    assert lost[0] == pytest.approx(5303.64)
    assert lost[-1] == pytest.approx(5338.02, abs=0.031)
    assert np.all(np.diff(lost) < 0.07)


@pytest.mark.parametrize(
    ("coarse", "fine"), [(HARPS_HALF, HARPS), (HARPS_TINY, HARPS_SMALL)], ids=["half", "tiny"]
)
def test_pairs_of_pixels_make_those_of_the_coarser_grid(coarse, fine):
    np.testing.assert_allclose(coarse.edges, fine.edges[::2], rtol=0, atol=1e-8)
    np.testing.assert_array_equal(coarse.valid, fine.valid.reshape(-1, 2).all(axis=1))


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_exposures_can_be_computed_on_every_grid(grid):
    pixels = ExposurePixels.of(grid, velocity=300.0)
    rows = slice(pixels.before, pixels.before + grid.size * pixels.together)
    means = pixels.wide.wavelength[rows].reshape(grid.size, -1).mean(axis=1)
    np.testing.assert_allclose(means, grid.wavelength, rtol=0, atol=1e-8)


def test_every_grid_can_be_chosen_on_the_command_line():
    assert [choice.value for choice in GridChoice] == list(GRIDS)


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_edges_enclose_pixels_and_arrays_cannot_be_changed(grid):
    assert grid.edges.shape == (grid.size + 1,)
    np.testing.assert_allclose((grid.edges[1:] + grid.edges[:-1]) / 2, grid.wavelength, rtol=1e-14)
    assert grid.wavelength[-1] == grid.stop
    for array in (grid.wavelength, grid.edges, grid.valid):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_a_grid_survives_its_card(grid):
    assert WavelengthGrid.from_dict(json.loads(json.dumps(grid.to_dict()))) == grid


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start": -1.0}, "start must be a positive"),
        ({"step": 0.0}, "step must be a positive"),
        ({"step": float("nan")}, "step must be a positive"),
        ({"size": 0}, "at least 1 pixel"),
        ({"medium": "water"}, "'air' or 'vacuum'"),
        ({"gaps": ((2.0, 1.0),)}, "rise from low to high"),
    ],
)
def test_impossible_grids_are_refused(change, message):
    with pytest.raises(GridError, match=message):
        WavelengthGrid(**({"start": 5000.0, "step": 0.1, "size": 10} | change))


def test_a_damaged_card_is_refused():
    card = HARPS.to_dict()
    del card["step"]
    with pytest.raises(GridError, match="damaged"):
        WavelengthGrid.from_dict(card)
