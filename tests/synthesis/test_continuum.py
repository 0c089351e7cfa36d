"""Continuous opacity against published fits, hand values and limits."""

from dataclasses import replace

import numpy as np
import pytest
from astropy import constants

from maury.synthesis.atmosphere import model_atmosphere
from maury.synthesis.continuum import continuum_opacity, scattering_opacity
from maury.synthesis.elements import abundances
from maury.synthesis.equation_of_state import Gas, solve

TEMPERATURE = np.array([4500.0, 5500.0, 6500.0, 8000.0])
WAVELENGTH = np.array([3900.0, 4500.0, 5000.0, 5889.95, 6562.8, 7000.0])
SIGMA_THOMSON = constants.sigma_T.cgs.value


def gas_of(
    *, hydrogen=0.0, electrons=0.0, helium=0.0, molecules=0.0, ions=0.0, temperature=TEMPERATURE
) -> Gas:
    """A gas of what a test asks for, and a trace of hydrogen, from which others are reckoned."""
    ones = np.ones(temperature.size)
    number = {"H I": hydrogen, "He I": helium, "H2": molecules, "H II": ions}
    return Gas(
        temperature=temperature,
        electrons=electrons * ones,
        density=ones,
        number={name: value * ones for name, value in number.items()},
        partition={"H I": 2 * ones},
    )


def gray_h_minus(wavelength, temperature, electron_pressure) -> np.ndarray:
    """H- per H I atom (Gray 2005, Eqs. 8.11-8.14, after Wishart 1979 and Bell & Berrington 1987).

    Bound-free corrected for stimulated emission, free-free as it is; cm2.
    """
    x = np.asarray(wavelength)
    theta = 5040 / temperature
    coefficients = [1.99654, -1.18267e-5, 2.64243e-6, -4.40524e-10, 3.23992e-14, -1.39568e-18,
                    2.78701e-23]  # fmt: skip
    bound = np.polynomial.polynomial.polyval(x, coefficients) * 1e-18
    bound_free = 4.158e-10 * bound * electron_pressure * theta**2.5 * 10 ** (0.754 * theta)
    chi = 1.2398e4 / x
    bound_free = bound_free * (1 - 10 ** (-chi * theta))
    log = np.log10(x)
    polyval = np.polynomial.polynomial.polyval
    f0 = polyval(log, [-2.2763, -1.6850, 0.76661, -0.053346])
    f1 = polyval(log, [15.2827, -9.2846, 1.99381, -0.142631])
    f2 = polyval(log, [-197.789, 190.266, -67.9775, 10.6913, -0.625151])
    log_theta = np.log10(theta)
    free_free = 1e-26 * electron_pressure * 10 ** (f0 + f1 * log_theta + f2 * log_theta**2)
    return bound_free + free_free


def test_h_minus_is_that_of_the_textbook() -> None:
    """Another bound-free cross-section (Wishart 1979) and another fit of the free-free one."""
    electrons = 1e13
    # In a hotter gas electrons also dissolve levels of hydrogen, which adds in the violet.
    cool = TEMPERATURE[:3]
    gases = (gas_of(hydrogen=1e17, electrons=n, temperature=cool) for n in (electrons, 0.0))
    with_electrons, without = (continuum_opacity(WAVELENGTH, gas) for gas in gases)
    ours = with_electrons - without - SIGMA_THOMSON * electrons
    pressure = electrons * constants.k_B.cgs.value * cool[:, None]
    expected = 1e17 * gray_h_minus(WAVELENGTH, cool[:, None], pressure)
    np.testing.assert_allclose(ours, expected, rtol=0.03)


def test_electrons_scatter_as_thomson_says() -> None:
    opacity = continuum_opacity(WAVELENGTH, gas_of(electrons=1e14))
    np.testing.assert_allclose(opacity, SIGMA_THOMSON * 1e14, rtol=1e-8)


@pytest.mark.parametrize(
    ("species", "reference"),
    [
        # sigma = c4 / w^4 + c6 / w^6 + c8 / w^8, w in Angstrom: Dalgarno 1962 for H (as in Kurucz
        # 1970) and the refractive index of helium, Dalgarno & Kingston 1960.
        ("hydrogen", (5.799e-13, 1.422e-6, 2.784)),
        ("helium", (5.484e-14, 2.440e5 * 5.484e-14, 0.0)),
    ],
)
def test_rayleigh_scattering_of_atoms(species: str, reference: tuple[float, ...]) -> None:
    cold = np.array([1500.0])
    opacity = continuum_opacity(WAVELENGTH, gas_of(temperature=cold, **{species: 1e17}))
    powers = np.array([4, 6, 8])[:, None]
    expected = 1e17 * (np.array(reference)[:, None] / WAVELENGTH**powers).sum(axis=0)
    np.testing.assert_allclose(opacity[0], expected, rtol=0.03)


def test_rayleigh_scattering_of_molecules() -> None:
    """Dalgarno & Williams 1962: 1.33 times the atom's 5.799e-13 / w^4, more at short waves."""
    opacity = continuum_opacity(WAVELENGTH, gas_of(molecules=1e17, temperature=np.array([3500.0])))
    classical = 1e17 * 8.14e-13 / WAVELENGTH**4
    assert np.all(opacity > classical)
    assert opacity[0, -1] / classical[-1] == pytest.approx(1.03, abs=0.01)


def test_hydrogen_bound_free_is_kramers_with_gaunts_factor() -> None:
    """The Paschen continuum from n = 3 is 60-95% of all at 7000 A and 9000 K without electrons."""
    temperature = np.array([9000.0])
    wavelength = np.array([5000.0, 7000.0])
    opacity = continuum_opacity(wavelength, gas_of(hydrogen=1e16, temperature=temperature))[0]
    kt = constants.k_B.to_value("eV/K") * temperature
    n = np.arange(3, 40)[:, None]
    levels = n**2 * np.exp(-13.598 * (1 - 1 / n**2) / kt)
    # Kramers: 7.91e-18 n (w / w_n)^3 cm2 with w_n = 911.75 n^2 A (Gray 2005, Eq. 8.3).
    kramers = 7.91e-18 * n * (wavelength / (911.75 * n**2)) ** 3
    stimulated = 1 - np.exp(-1.438777e8 / (wavelength * temperature))
    rayleigh = continuum_opacity(wavelength, gas_of(hydrogen=1e16, temperature=temperature / 6))[0]
    ratio = (opacity - rayleigh) / (1e16 * (levels * kramers).sum(axis=0) * stimulated)
    # Gaunt factors at these waves are 0.9-1.1 (Gray 2005, Eq. 8.5).
    assert np.all((ratio > 0.9) & (ratio < 1.1))


def test_free_free_is_kramers_with_gaunts_factor() -> None:
    temperature = np.array([10000.0])
    electrons = ions = 1e15
    gas = gas_of(electrons=electrons, ions=ions, temperature=temperature)
    opacity = continuum_opacity(WAVELENGTH, gas)[0] - SIGMA_THOMSON * electrons
    m, e, c, h, k = (
        constants.m_e.cgs.value, constants.e.esu.value, constants.c.cgs.value,
        constants.h.cgs.value, constants.k_B.cgs.value,
    )  # fmt: skip
    nu = c / (WAVELENGTH * 1e-8)
    # Rybicki & Lightman 1979, Eq. 5.18a.
    kramers = (
        4 * e**6 / (3 * m * h * c) * np.sqrt(2 * np.pi / (3 * k * m)) * temperature**-0.5
        * electrons * ions * nu**-3 * (1 - np.exp(-h * nu / (k * temperature)))
    )  # fmt: skip
    gaunt = opacity / kramers
    # van Hoof et al. 2014: 1.1-1.2 in visible light at 10,000 K.
    assert np.all((gaunt > 1.05) & (gaunt < 1.25))
    assert np.all(np.diff(gaunt) > 0)


def test_the_suns_opacity_at_unit_optical_depth() -> None:
    """The Sun at tau = 1, 5000 A: 0.7-1.0 cm2/g at 6400-6600 K in all published models.

    Gray 2005, Table 9.2: log Pg = 5.10, log Pe = 1.9 there.
    """
    model = model_atmosphere(5777, 4.44, 0.0)
    gas = solve(model.temperature, model.pressure, abundances())
    kappa = continuum_opacity(np.array([5000.0]), gas)[:, 0] / gas.density
    tau = kappa[0] * model.rhox[0] + np.concatenate(
        [[0.0], np.cumsum((kappa[1:] + kappa[:-1]) / 2 * np.diff(model.rhox))]
    )

    def at(values: np.ndarray) -> float:
        return float(np.exp(np.interp(0.0, np.log(tau), np.log(values))))

    assert 6400 < at(model.temperature) < 6600
    assert 0.7 < at(kappa) < 1.0
    assert np.log10(at(model.pressure)) == pytest.approx(5.10, abs=0.05)
    electron_pressure = gas.electrons * constants.k_B.cgs.value * gas.temperature
    assert np.log10(at(electron_pressure)) == pytest.approx(1.9, abs=0.1)


def test_h_minus_rules_the_sun_and_hydrogen_the_hot_star() -> None:
    """H- changes little with wavelength, the Paschen continuum as its cube."""
    wavelength = np.array([4200.0, 5500.0, 6900.0])
    cool, hot = (
        continuum_opacity(wavelength, solve(np.array([t]), np.array([p]), abundances()))[0]
        for t, p in ((6000.0, 1e5), (12000.0, 2e3))
    )
    assert 1.3 < cool[2] / cool[0] < 1.7
    assert 3.0 < hot[2] / hot[0] < (6900 / 4200) ** 3


@pytest.mark.parametrize(
    ("wavelength", "temperature", "expected"),
    # Stancil 1994, ApJ 430, 360, Tables 1-3: bound-free over the dissociation constant, plus
    # free-free, cm5; two ways to compute H2+ differ by a few per cent.
    [
        (7000.0, 6300.0, 0.8894e-18 / 89.599e19 + 0.5756e-39),
        (7000.0, 8400.0, 1.3923e-18 / 265.32e19 + 0.5262e-39),
    ],
)
def test_h2_plus(wavelength: float, temperature: float, expected: float) -> None:
    wavelength, temperature = np.array([wavelength]), np.array([temperature])
    plain = gas_of(hydrogen=1e17, temperature=temperature)
    ionized = gas_of(hydrogen=1e17, ions=1e14, temperature=temperature)
    added = continuum_opacity(wavelength, ionized) - continuum_opacity(wavelength, plain)
    stimulated = 1 - np.exp(-1.438776877e8 / (wavelength * temperature))
    assert (added / stimulated / 1e31).item() == pytest.approx(expected, rel=0.1)


def test_metals_rule_in_the_violet_of_cool_stars() -> None:
    """Fe I, Ca I and CH absorb below 4200 A, and Mg I 3p 1P (4.346 of 7.646 eV) below 3757 A."""
    atmosphere = model_atmosphere(4500, 4.5, 0.0)
    wavelength = np.array([3750.0, 3770.0, 3850.0, 4100.0, 4600.0, 6500.0])
    gas = solve(atmosphere.temperature, atmosphere.pressure, abundances(0.0))
    total = continuum_opacity(wavelength, gas)

    def share(*species: str) -> np.ndarray:
        number = {name: n for name, n in gas.number.items() if name not in species}
        less = continuum_opacity(wavelength, replace(gas, number=number))
        return (1 - less / total)[np.searchsorted(atmosphere.temperature, 4500)]

    metals = share("Fe I", "Ca I", "CH", "Mg I", "Al I", "Si I")
    assert metals[2] > 0.1 > metals[3] > 0.04 > 0.03 > metals[4] > metals[5]
    magnesium = share("Mg I")
    assert magnesium[0] > 5 * magnesium[1]


def test_scattering_is_part_of_the_opacity() -> None:
    atmosphere = model_atmosphere(4500, 4.5, -1.5)
    gas = solve(atmosphere.temperature, atmosphere.pressure, abundances(-1.5))
    share = scattering_opacity(WAVELENGTH, gas) / continuum_opacity(WAVELENGTH, gas)
    assert ((share > 0) & (share < 1)).all()
    # Rayleigh's law makes metal-poor atmospheres scatter in the violet, most of all at their top.
    assert share[0, 0] > 0.9 > 0.1 > share[50, 0] > 5 * share[50, -1]
