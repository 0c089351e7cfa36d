"""Lines of neutral helium against quantum mechanics."""

import numpy as np
import pytest
from scipy.special import gamma, hyperu

from maury.data.helium_lines import helium
from maury.wavelength import air_to_vacuum

LIMIT, RYDBERG, HARTREE = 24.587389, 13.60383, 27.211386  # eV
LOWER = {19.8196: (0, 3), 20.6158: (0, 1), 20.9641: (1, 9), 21.2180: (1, 3)}  # l, weight
# Principal quantum number and l of each line's upper level.
UPPER = {
    3888: (3, 1), 5015: (3, 1), 3964: (4, 1), 4713: (4, 0), 4120: (5, 0), 3867: (6, 0),
    5875: (3, 2), 4471: (4, 2), 4026: (5, 2), 3819: (6, 2), 5047: (4, 0), 4437: (5, 0),
    4168: (6, 0), 6678: (3, 2), 4921: (4, 2), 4387: (5, 2), 4143: (6, 2), 4009: (7, 2),
    3926: (8, 2),
}  # fmt: skip
# Typical quantum defects of He I by l.
DEFECTS = {0: (0.13, 0.31), 1: (-0.02, 0.07), 2: (0.001, 0.004)}


def radial(n: float, momentum: int, r: np.ndarray) -> np.ndarray:
    """Bates & Damgaard 1949: Coulomb function of effective quantum number ``n``."""
    z = 2 * r / n
    norm = np.sqrt(n**2 * gamma(n + momentum + 1) * gamma(n - momentum))
    return (
        np.exp(-z / 2) * z ** (momentum + 1) * hyperu(momentum + 1 - n, 2 * momentum + 2, z) / norm
    )


def multiplets() -> dict[int, tuple[float, float, float]]:
    """Excitation, vacuum wavelength and sum of gf by the wavelength's whole part."""
    lines = helium()
    result: dict[int, tuple[float, float, float]] = {}
    vacuum = air_to_vacuum(lines["wavelength"])
    for w, v, low, gf in zip(
        lines["wavelength"], vacuum, lines["excitation"], 10 ** lines["log_gf"], strict=True
    ):
        key = int(w)
        result[key] = (low, v, gf + (result[key][2] if key in result else 0.0))
    return result


@pytest.mark.parametrize("line", UPPER)
def test_upper_levels_and_strengths_are_those_of_the_coulomb_approximation(line: int) -> None:
    excitation, wavelength, gf = multiplets()[line]
    n, momentum = UPPER[line]
    lower, weight = LOWER[round(excitation, 4)]
    photon = 12398.41984 / wavelength
    n_low = np.sqrt(RYDBERG / (LIMIT - excitation))
    n_up = np.sqrt(RYDBERG / (LIMIT - excitation - photon))
    assert DEFECTS[momentum][0] < n - n_up < DEFECTS[momentum][1]
    r = np.linspace(0.3, 250.0, 20000)
    integral = np.trapezoid(r * radial(n_low, lower, r) * radial(n_up, momentum, r), r)
    f = 2 / 3 * photon / HARTREE * max(lower, momentum) / (2 * lower + 1) * integral**2
    assert gf / weight == pytest.approx(f, rel=0.05)


def test_every_line_of_the_hot_end_is_there_once() -> None:
    lines = helium()
    assert set(multiplets()) == set(UPPER)
    assert np.unique(lines["wavelength"]).size == lines["wavelength"].size
    sizes = {key: np.shape(value) for key, value in lines.items()}
    assert set(sizes.values()) == {(27,)}


def test_triplets_split_as_the_lower_level_does() -> None:
    """2p 3P J = 0 is 1.04 cm-1 above the mean of the others (NIST), and an eighth as strong."""
    lines = helium()
    order = np.argsort(lines["wavelength"])
    w, gf = lines["wavelength"][order], 10 ** lines["log_gf"][order]
    triplet = np.flatnonzero((np.diff(w) < 0.5) & (lines["excitation"][order][1:] > 20.9))
    assert triplet.size == 7
    np.testing.assert_allclose(1e8 * np.diff(w)[triplet] / w[triplet] ** 2, 1.02, atol=0.06)
    np.testing.assert_allclose(gf[triplet] / gf[triplet + 1], 8)


def test_stark_widths_grow_along_each_series() -> None:
    """The yellow line: 0.34 A full width at 1e16 electrons (Griem 1974)."""
    lines = helium()
    at = {int(w): g for w, g in zip(lines["wavelength"], lines["gamma_stark"], strict=True)}
    full = at[5875] * 1e16 * 5875.6**2 / (2 * np.pi * 2.99792458e18)
    assert full == pytest.approx(0.34, rel=0.01)
    for series in ((5875, 4471, 4026, 3819), (6678, 4921, 4387, 4143, 4009, 3926)):
        widths = np.array([at[line] for line in series])
        assert np.all(np.diff(widths) > 0)
        # Hydrogen-like levels: between the fourth and the tenth power of n.
        n = np.arange(3, 3 + len(series))
        power = np.diff(np.log(widths)) / np.diff(np.log(n))
        assert np.all((power > 4) & (power < 10))
