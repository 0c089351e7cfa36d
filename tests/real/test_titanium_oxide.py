"""Lines of a TiO isotopologue found between the others', against its own list."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from maury.data.titanium_oxide import Isotopologue, interpolate, listed_isotopologues, match

PHYSICS = Path(__file__).parents[2].parent / "shared/data/physics"
WINDOW = (18200.0, 18500.0)  # cm-1: 5404-5493 A, the 0-1 band of the alpha system and others
MARGIN = 70.0


@pytest.fixture(scope="module")
def lists() -> dict[int, Isotopologue]:
    if not (PHYSICS / "linelists/compact_lines_3770_6925.npz").is_file():
        pytest.skip("../shared/data/physics/linelists is absent")
    result = {}
    for mass, one in listed_isotopologues(PHYSICS).items():
        near = (one.wavenumber > WINDOW[0] - MARGIN) & (one.wavenumber < WINDOW[1] + MARGIN)
        result[mass] = Isotopologue(*one.columns()[near].T)
    return result


def test_49_tio_is_predicted_from_the_others(lists: dict[int, Isotopologue]) -> None:
    """As 48TiO is; of this one the list is known, and has no part in the prediction."""
    truth = lists[49].columns()
    others = {mass: one for mass, one in lists.items() if mass != 49}
    found = interpolate(others, match(others), 49).columns()
    for these, those in ((found, truth), (truth, found)):
        inside = (these[:, 0] > WINDOW[0]) & (these[:, 0] < WINDOW[1])
        strength = these[:, 2] - these[:, 1] * 5040 / 3000
        these = these[inside & (strength > -1.5)]
        assert len(these) > 1000
        scale = [0.05, 0.003, 0.0015]  # cm-1 (0.015 A), eV, dex
        distance, _ = cKDTree(those / scale).query(these / scale, p=np.inf)
        assert np.mean(distance < 1) > 0.985
