"""Balmer lines: positions, strengths and wings."""

import numpy as np
import pytest
from astropy import constants
from scipy.special import gamma

from maury.data import load_table
from maury.synthesis.equation_of_state import Gas
from maury.synthesis.hydrogen import hydrogen_opacity
from maury.wavelength import vacuum_to_air

TEMPERATURE = np.array([5000.0, 8000.0, 12000.0])
ELECTRONS = np.array([1e12, 1e14, 1e15])


def gas_of(hydrogen: float, electrons=ELECTRONS) -> Gas:
    ones = np.ones(TEMPERATURE.size)
    return Gas(
        temperature=TEMPERATURE,
        electrons=electrons * ones,
        density=ones,
        number={"H I": hydrogen * ones},
        partition={"H I": 2 * ones},
    )


def opacity_of(wavelength: np.ndarray, gas: Gas, vmic: float = 0.0) -> np.ndarray:
    opacity = np.zeros((wavelength.size, TEMPERATURE.size))
    hydrogen_opacity(opacity, wavelength, gas, vmic)
    return opacity


def absorbed(oscillator_strength: float, centre: float, hydrogen: float) -> np.ndarray:
    """Integral of the opacity over wavelength (Mihalas 1978, Eqs. 4-35, 4-36), n = 2 to n."""
    classical = (np.pi * constants.e.esu**2 / (constants.m_e * constants.c)).cgs.value
    excited = 4 * np.exp(-10.1988 / (constants.k_B.to_value("eV/K") * TEMPERATURE))
    photon = 1.438777e8 / centre
    level = hydrogen * excited * (1 - np.exp(-photon / TEMPERATURE))
    return classical * oscillator_strength * level * centre**2 / constants.c.to_value("Angstrom/s")


# Absorption oscillator strengths from n = 2: Wiese & Fuhr 2009, JPCRD 38, 565.
STRENGTHS = {3: 0.64108, 4: 0.11938, 5: 0.044694, 6: 0.022105, 7: 0.012711, 8: 0.0080397}
AIR = {3: 6562.80, 4: 4861.33, 5: 4340.46, 6: 4101.73, 7: 3970.07, 8: 3889.05}


def test_oscillator_strengths() -> None:
    table = load_table("hydrogen_lines")
    for n, log_gf in zip(table["upper"], table["log_gf"], strict=True):
        if n in STRENGTHS:
            assert 10**log_gf / 8 == pytest.approx(STRENGTHS[n], rel=0.005)


@pytest.mark.parametrize("n", [3, 4, 5, 6, 7])
def test_a_line_holds_its_oscillator_strength(n: int) -> None:
    """The tables are read linearly in logarithms, which loses up to 6% at these densities."""
    table = load_table("hydrogen_lines")
    centre = float(table[f"wavelength_{n}"].max())
    wavelength = np.arange(centre - 55, centre + 55, 0.01)
    dense = np.array([1e14, 1e14, 3e14])
    opacity = opacity_of(wavelength, gas_of(1e10, dense))
    whole = np.trapezoid(opacity, wavelength, axis=0)
    np.testing.assert_allclose(whole, absorbed(STRENGTHS[n], centre, 1e10), rtol=0.06)


@pytest.mark.parametrize("n", AIR)
def test_lines_stand_where_the_laboratory_has_them(n: int) -> None:
    """Centroids of the fine structure in air (NIST Atomic Spectra Database)."""
    table = load_table("hydrogen_lines")
    about = float(table[f"wavelength_{n}"].max())
    wavelength = np.arange(about - 0.6, about + 0.6, 0.002)
    opacity = opacity_of(wavelength, gas_of(1e10, np.full(3, 1e11)))[:, 0]
    high = opacity > 0.5 * opacity.max()
    peak = np.average(wavelength[high], weights=opacity[high])
    assert float(vacuum_to_air(peak)) == pytest.approx(AIR[n], abs=0.02)


def test_wings_are_lines_of_holtsmark() -> None:
    """Far out the profile falls as the power -5/2 and grows with the electron density."""
    centre = 4862.68
    away = np.array([15.0, 30.0])
    one, two = (opacity_of(centre + away, gas_of(1.0, n)) for n in (ELECTRONS, 2 * ELECTRONS))
    slope = np.log(one[1] / one[0]) / np.log(2)
    np.testing.assert_allclose(slope, -2.5, atol=0.25)
    np.testing.assert_allclose(two / one, 2, rtol=0.15)


def test_self_broadening_fills_the_wings_of_a_cool_star() -> None:
    """H-alpha: Barklem et al. 2000, Table 3 (sigma 1180, alpha 0.677)."""
    hydrogen, centre = 1e17, 6564.61
    away = 10.0
    wavelength = np.array([centre + away, centre + away + 1])
    many, few = opacity_of(wavelength, gas_of(hydrogen)), opacity_of(wavelength, gas_of(1e7))
    extra = many[0] - few[0] * (hydrogen / 1e7)
    speed = np.sqrt(8 * constants.k_B.cgs.value * TEMPERATURE / np.pi * 2 / constants.m_p.cgs.value)
    sigma, alpha = 1180 * 5.29177e-9**2, 0.677
    width = (4 / np.pi) ** (alpha / 2) * gamma((4 - alpha) / 2) * 1e6
    half = width * sigma * (speed / 1e6) ** (1 - alpha) * hydrogen  # rad/s
    half *= centre**2 / (2 * np.pi * constants.c.to_value("Angstrom/s"))
    expected = absorbed(STRENGTHS[3], centre, hydrogen) * half / np.pi / (away**2 + half**2)
    np.testing.assert_allclose(extra, expected, rtol=0.03)


def test_nothing_is_added_far_from_the_lines() -> None:
    wavelength = np.array([5200.0, 6000.0])
    assert not opacity_of(wavelength, gas_of(1e16)).any()
