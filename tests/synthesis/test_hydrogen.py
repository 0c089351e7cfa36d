"""Balmer lines: positions, strengths, widths, wings, and their merging at the series limit."""

from itertools import pairwise

import numpy as np
import pytest
from astropy import constants
from scipy.integrate import quad
from scipy.special import gamma

from maury.data import load_table
from maury.synthesis.equation_of_state import Gas
from maury.synthesis.hydrogen import (
    balmer_profile,
    dissolved_opacity,
    hydrogen_opacity,
    occupation,
)
from maury.wavelength import vacuum_to_air

TEMPERATURE = np.array([5000.0, 8000.0, 12000.0])
ELECTRONS = np.array([1e12, 1e14, 1e15])
LIGHT = constants.c.to_value("Angstrom/s")


def gas_of(hydrogen: float, electrons=ELECTRONS, temperature=TEMPERATURE) -> Gas:
    ones = np.ones(np.size(temperature))
    return Gas(
        temperature=temperature * ones,
        electrons=electrons * ones,
        density=ones,
        number={"H I": hydrogen * ones, "He I": 0.1 * hydrogen * ones},
        partition={"H I": 2 * ones},
    )


def opacity_of(wavelength: np.ndarray, gas: Gas, vmic: float = 0.0) -> np.ndarray:
    opacity = np.zeros((wavelength.size, gas.temperature.size))
    hydrogen_opacity(opacity, wavelength, gas, vmic)
    return opacity


def absorbed(oscillator_strength: float, centre: float, hydrogen: float) -> np.ndarray:
    """Integral of the opacity over wavelength (Mihalas 1978, Eqs. 4-35, 4-36), n = 2 to n."""
    classical = (np.pi * constants.e.esu**2 / (constants.m_e * constants.c)).cgs.value
    excited = 4 * np.exp(-10.1988 / (constants.k_B.to_value("eV/K") * TEMPERATURE))
    photon = 1.438777e8 / centre
    level = hydrogen * excited * (1 - np.exp(-photon / TEMPERATURE))
    return classical * oscillator_strength * level * centre**2 / LIGHT


# Absorption oscillator strengths from n = 2: Wiese & Fuhr 2009, JPCRD 38, 565.
STRENGTHS = {3: 0.64108, 4: 0.11938, 5: 0.044694, 6: 0.022105, 7: 0.012711, 8: 0.0080397}
# Centroids of the fine structure in air: NIST Atomic Spectra Database.
AIR = {3: 6562.79, 4: 4861.33, 5: 4340.472, 6: 4101.734, 7: 3970.075, 8: 3889.064, 10: 3797.909}


def vacuum(n: int) -> float:
    return float(np.interp(AIR[n], vacuum_to_air(grid := np.arange(3700.0, 6700.0)), grid))


def test_oscillator_strengths() -> None:
    table = load_table("hydrogen_lines")
    for n, log_gf in zip(table["upper"], table["log_gf"], strict=True):
        if n in STRENGTHS:
            assert 10**log_gf / 8 == pytest.approx(STRENGTHS[n], rel=0.005)


@pytest.mark.parametrize("vmic", [0.0, 3.0])
@pytest.mark.parametrize("n", [3, 4, 5, 6, 7, 8, 10, 15, 22])
def test_the_area_of_a_profile_is_1(n: int, vmic: float) -> None:
    """From far below to far above what the tables cover."""
    temperature, electrons = (
        a.ravel()
        for a in np.meshgrid([2000, 3500, 6000, 9000, 14000, 30000], 10.0 ** np.arange(7, 19))
    )
    ln_nu = np.linspace(np.log(1e7), np.log(1e17), 3000)
    profile = balmer_profile(n, np.exp(ln_nu), gas_of(1e-3, electrons, temperature), vmic)
    area = 2 * (np.trapezoid(profile * np.exp(ln_nu)[:, None], ln_nu, axis=0) + 1e7 * profile[0])
    np.testing.assert_allclose(area, 1, atol=0.005)


@pytest.mark.parametrize("n", [3, 4, 5, 6, 7])
def test_a_line_holds_its_oscillator_strength(n: int) -> None:
    centre = vacuum(n)
    wavelength = np.arange(centre - 55, centre + 55, 0.01)
    gas = gas_of(1e10, 1e13)
    whole = np.trapezoid(opacity_of(wavelength, gas), wavelength, axis=0)
    neighbours = np.trapezoid(opacity_of(wavelength[[0, -1]], gas), wavelength[[0, -1]], axis=0)
    np.testing.assert_allclose(whole - neighbours, absorbed(STRENGTHS[n], centre, 1e10), rtol=0.015)


# Stehle & Hutcheon 1999: detuning over field and log10 of the profile per Hz, H-beta and H8 at
# 10,000 K and the electron density named.
PUBLISHED = {
    (4, 1e15): [
        (3.1886e8, -11.533), (3.1369e9, -11.513), (1.2013e10, -11.932), (2.7921e10, -12.757),
        (1.0083e11, -14.152), (1.0083e12, -16.602), (1.0083e13, -19.102),
    ],
    (8, 1e14): [
        (3.1369e8, -11.623), (3.1369e9, -11.625), (1.2496e10, -11.638), (3.1369e10, -11.717),
        (1.2375e11, -12.485), (1.1427e12, -14.959), (1.0393e13, -17.380),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("n", "electrons"), PUBLISHED)
def test_profiles_are_those_of_the_tables(n: int, electrons: float) -> None:
    field = 1.25e-9 * electrons ** (2 / 3)
    detuning, log_profile = np.array(PUBLISHED[n, electrons]).T
    ours = balmer_profile(n, detuning * field, gas_of(1e-3, electrons, 1e4), 0.0)[:, 0]
    np.testing.assert_allclose(np.log10(ours), log_profile, atol=0.015)


@pytest.mark.parametrize("vmic", [0.0, 2.0])
def test_a_thin_gas_shows_doppler_profiles_of_two_levels(vmic: float) -> None:
    """The levels of n = 2 are 0.365 cm-1 apart (NIST), both of weight 4."""
    gas = gas_of(1e-3, 1e10)
    nu0 = LIGHT / vacuum(4)
    speed = np.sqrt(2 * constants.k_B.cgs.value * TEMPERATURE / 1.6735e-24 + (vmic * 1e5) ** 2)
    width = nu0 * speed / constants.c.cgs.value
    nu = np.linspace(0, 1.5, 40)[:, None] * width
    half = 0.365 / 2 * constants.c.cgs.value
    both = np.exp(-(((nu - half) / width) ** 2)) + np.exp(-(((nu + half) / width) ** 2))
    expected = both / 2 / np.sqrt(np.pi) / width
    for layer in range(3):
        ours = balmer_profile(4, nu[:, layer], gas, vmic)[:, layer]
        np.testing.assert_allclose(ours, expected[:, layer], rtol=0.03)


@pytest.mark.parametrize("n", AIR)
def test_lines_stand_where_the_laboratory_has_them(n: int) -> None:
    about = vacuum(n)
    wavelength = np.arange(about - 0.6, about + 0.6, 0.002)
    opacity = opacity_of(wavelength, gas_of(1e10, 1e11))[:, 0]
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


def test_wings_have_no_step() -> None:
    """Neither where the pixels give way to cells nor where the wings end."""
    wavelength = np.arange(4883.0, 5290.0, 0.01)
    opacity = opacity_of(wavelength, gas_of(1e10, 1e15))
    assert (opacity > 0)[wavelength < 5250].all()
    jump = np.abs(np.diff(opacity, axis=0)) / opacity[0]
    assert jump.max() < 0.002
    assert opacity[-1].max() == 0.0


def test_a_piece_of_the_spectrum_is_as_the_whole() -> None:
    wavelength = np.arange(4820.0, 4870.0, 0.013)
    whole = opacity_of(wavelength, gas_of(1e10))
    piece = opacity_of(wavelength[1000:2500], gas_of(1e10))
    np.testing.assert_allclose(piece, whole[1000:2500], rtol=1e-9)


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
    half *= centre**2 / (2 * np.pi * LIGHT)
    expected = absorbed(STRENGTHS[3], centre, hydrogen) * half / np.pi / (away**2 + half**2)
    np.testing.assert_allclose(extra, expected, rtol=0.03)


def test_nothing_is_added_far_from_the_lines() -> None:
    wavelength = np.array([5270.0, 6150.0])
    assert not opacity_of(wavelength, gas_of(1e16)).any()


@pytest.mark.parametrize("critical", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("n", [8, 14, 20])
def test_levels_survive_in_fields_below_the_critical_one(n: int, critical: float) -> None:
    """Few electrons, no neighbours: the share of Holtsmark's distribution below e / 16 n^4 a0^2.

    With the quantum correction of Hummer & Mihalas 1988, Eq. 4.24.
    """
    unit = constants.e.esu.value / constants.a0.cgs.value**2
    field = 16 / 3 * n / (n + 1) ** 2 * unit / (16 * n**4)
    electrons = (field / critical / 1.25e-9) ** 1.5

    def kernel(x: float) -> float:
        return np.exp(-(x**1.5)) * (np.sin(critical * x) / x - critical * np.cos(critical * x))

    share = 2 / np.pi * quad(kernel, 1e-9, 15, limit=2000)[0]
    hot = gas_of(1e-3, electrons, 1e7)
    assert float(occupation(n, hot)[0]) == pytest.approx(share, abs=0.05)


def test_neighbours_in_their_ground_state_dissolve_levels_too() -> None:
    """Hard spheres: Hummer & Mihalas 1988, Eq. 4.71; 1e17 atoms of H and 1e16 of He, n = 10."""
    level, hydrogen, helium = 158.27, 1.732, 1.02  # radii over that of Bohr
    volume = 1e17 * (level + hydrogen) ** 3 + 1e16 * (level + helium) ** 3
    expected = np.exp(-4 * np.pi / 3 * volume * 5.29177e-9**3)
    many, few = (float(occupation(10, gas_of(h, 1e11, 5e3))[0]) for h in (1e17, 1e-3))
    assert many / few == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("electrons", [1e12, 1e13, 1e14, 1e15])
def test_lines_hand_over_to_the_continuum(electrons: float) -> None:
    """Near the limit lines and dissolved states absorb, on average, what the continuum would."""
    gas = gas_of(1e10, electrons, 1e4)
    wavelength = np.arange(3660.0, 3820.0, 0.01)
    total = opacity_of(wavelength, gas)[:, 0] + dissolved_opacity(wavelength, gas)[0]
    population = 1e10 / 2 * 8 * np.exp(-10.1988 / (8.617333e-5 * 1e4))
    stimulated = 1 - np.exp(-1.438777e8 / wavelength / 1e4)
    # Photoionisation from n = 2 at its edge: Kramers times 0.876 (Karzas & Latter 1961).
    cross_section = 7.907e-18 * 2 * 0.876 * (wavelength / 3647.05) ** 3
    ratio = total / (population * stimulated * cross_section)
    # Averages between where lines of half-integer n would be.
    edges = 1e8 / (109677.58 * (0.25 - np.array([24.5, 19.5, 15.5, 12.5, 10.5, 9.5]) ** -2.0))
    for start, stop in pairwise(edges):
        inside = (wavelength > start) & (wavelength < stop)
        assert ratio[inside].mean() == pytest.approx(1, abs=0.045)


def test_dissolved_states_fade_to_the_red() -> None:
    gas = gas_of(1e10, 1e15, 1e4)
    wavelength = np.array([3640.0, 3700.0, 3800.0, 3900.0, 4300.0, 6000.0])
    opacity = dissolved_opacity(wavelength, gas)
    assert opacity.shape == (1, 6)
    assert opacity[0, 0] == 0.0
    assert np.all(np.diff(opacity[0, 1:]) < 0)
    assert opacity[0, -1] < 1e-3 * opacity[0, 1]
