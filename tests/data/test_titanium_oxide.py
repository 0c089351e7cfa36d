"""48TiO found between its neighbours: on a molecule made up of known constants."""

import numpy as np
import pytest

from maury.data.titanium_oxide import Isotopologue, interpolate, match, rho

#: cm-1: electronic energy, vibration and rotation of TiO's states X and C (Huber & Herzberg 1979).
UPPER, UPPER_VIBRATION, UPPER_ROTATION = 19617.0, 838.3, 0.4899
LOWER_VIBRATION, LOWER_ROTATION = 1009.0, 0.5354
EV = 8065.544


def molecule(mass: int) -> Isotopologue:
    """R, P and Q branches of nine bands as a listed isotopologue: rounded to 0.001 A and eV."""
    ratio = rho(mass) / rho(48)
    upper, lower, j, branch = (
        a.ravel() for a in np.meshgrid([0, 1, 2], [0, 1, 2], np.arange(2, 90), [-1, 0, 1])
    )
    bottom = LOWER_VIBRATION * ratio * lower + LOWER_ROTATION * ratio**2 * j * (j + 1)
    k = j + branch
    top = UPPER_VIBRATION * ratio * (upper + 0.5) + UPPER_ROTATION * ratio**2 * k * (k + 1)
    wavenumber = UPPER + top - bottom - LOWER_VIBRATION * ratio / 2
    strength = np.log10((j + 1) * (1.0 + 0.1 * branch)) - 0.7 * np.abs(upper - lower)
    wavenumber = 1e8 / np.round(1e8 / wavenumber, 3)
    return Isotopologue(wavenumber, np.round(bottom / EV, 3), np.round(strength, 3))


@pytest.fixture(scope="module")
def lists() -> dict[int, Isotopologue]:
    """The four lists, each without a tenth of its lines and in an order of its own."""
    rng = np.random.default_rng(48)
    result = {}
    for mass in (46, 47, 49, 50):
        full = molecule(mass)
        kept = rng.permutation(full.wavenumber.size)[full.wavenumber.size // 20 :]
        result[mass] = Isotopologue(*full.columns()[kept].T)
    return result


def test_lines_fall_where_those_of_48_tio_are(lists: dict[int, Isotopologue]) -> None:
    truth = molecule(48)
    found = interpolate(lists, match(lists), 48)
    assert found.wavenumber.size > 0.95 * truth.wavenumber.size
    # The same gf and a nearby energy: what is left is the wavenumber, to some 0.003 A.
    expected = truth.columns() / [0.02, 0.003, 0.0015]
    for line in found.columns() / [0.02, 0.003, 0.0015]:
        assert np.abs(expected - line).max(axis=1).min() < 1.0


def test_every_line_is_of_one_transition_at_most(lists: dict[int, Isotopologue]) -> None:
    rows = match(lists)
    assert np.all((rows >= 0).sum(axis=1) >= 3)
    for k in range(4):
        used = rows[rows[:, k] >= 0, k]
        assert np.unique(used).size == used.size


def test_lists_of_unlike_molecules_are_not_matched(lists: dict[int, Isotopologue]) -> None:
    """Gf values drawn anew belong together by chance alone."""
    rng = np.random.default_rng(1)
    strangers = {
        mass: Isotopologue(one.wavenumber, one.excitation, rng.permutation(one.log_gf))
        for mass, one in lists.items()
    }
    assert len(match(strangers)) < 0.05 * len(match(lists))
