"""The Voigt function against SciPy's, and line opacity against the integral that theory gives."""

import numpy as np
import pytest
from astropy import constants
from scipy.special import wofz

from maury.synthesis import lines as lines_module
from maury.synthesis.atmosphere import model_atmosphere
from maury.synthesis.continuum import continuum_opacity
from maury.synthesis.elements import abundances
from maury.synthesis.equation_of_state import Gas, solve
from maury.synthesis.linelist import LineList, standard_lines
from maury.synthesis.lines import line_opacity, vdw_perturbers, voigt

TEMPERATURE = np.array([4500.0, 5500.0, 7000.0])


def hjerting(a: float, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The function of the package and the real part of the Faddeeva function."""
    return np.array([voigt(a, float(x)) for x in v]), wofz(v + 1j * a).real


@pytest.mark.parametrize("a", [1e-6, 1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5, 1.0, 1.4, 3.0, 10.0, 100.0])
def test_voigt_function_is_the_real_part_of_faddeevas(a: float) -> None:
    v = np.concatenate([np.linspace(0, 8, 161), np.geomspace(8, 1e4, 30)])
    ours, exact = hjerting(a, v)
    np.testing.assert_allclose(ours, exact, rtol=1e-4)


@pytest.mark.parametrize("a", [0.001, 0.1, 0.5, 5.0])
def test_voigt_function_holds_the_area_of_a_line(a: float) -> None:
    v = np.concatenate([np.linspace(0, 20, 4001), np.geomspace(20, 1e5, 400)[1:]])
    ours, _ = hjerting(a, v)
    assert 2 * np.trapezoid(ours, v) == pytest.approx(np.sqrt(np.pi), rel=5e-4)


def gas_of(iron: float = 1e9, hydrogen: float = 1e16, electrons: float = 1e12) -> Gas:
    """A gas of three layers with nothing but what the lines ask for."""
    ones = np.ones(TEMPERATURE.size)
    number = {"Fe I": iron, "H I": hydrogen, "He I": 0.1 * hydrogen, "H2": 0.0}
    return Gas(
        temperature=TEMPERATURE,
        electrons=electrons * ones,
        density=1e-7 * ones,
        number={name: value * ones for name, value in number.items()},
        partition={"Fe I": np.array([28.0, 31.0, 37.0]), "H I": 2 * ones},
    )


def line_of(
    wavelength: float = 5000.0,
    *,
    log_gf: float = -1.0,
    excitation: float = 2.5,
    gamma_rad: float = 1e7,
    gamma_vdw: float = 0.0,
    species: str = "Fe I",
) -> LineList:
    """A list of a single line."""
    return LineList(
        species=(species,),
        species_index=np.array([0]),
        wavelength=np.array([wavelength]),
        excitation=np.array([excitation]),
        log_gf=np.array([log_gf]),
        mass=np.array([55.845]),
        gamma_rad=np.array([gamma_rad]),
        gamma_stark=np.array([0.0]),
        gamma_vdw=np.array([gamma_vdw]),
        vdw_exponent=np.array([0.3]),
    )


def opacity_of(wavelength, lines, gas, vmic=1.0, cutoff=1e-9) -> np.ndarray:
    continuum = np.full((TEMPERATURE.size, 40), 1e-8)
    return line_opacity(wavelength, lines, gas, vmic, continuum, 4900.0, 5.0, cutoff)


@pytest.mark.parametrize("vmic", [0.0, 1.0, 5.0])
def test_an_isolated_line_holds_pi_e2_over_mc_f_n(vmic: float) -> None:
    """Mihalas 1978, Eqs. 4-35 and 4-36: the integral of the opacity over frequency."""
    wavelength = np.arange(4970.0, 5030.0, 0.002)
    gas = gas_of()
    opacity = opacity_of(wavelength, line_of(), gas, vmic)
    frequency = constants.c.to_value("Angstrom/s") / wavelength
    integral = -np.trapezoid(opacity, frequency, axis=0)
    classical = (np.pi * constants.e.esu**2 / (constants.m_e * constants.c)).cgs.value
    excited = np.exp(-2.5 / (constants.k_B.to_value("eV/K") * TEMPERATURE))
    photon = (constants.h * constants.c / constants.k_B).to_value("Angstrom K") / 5000.0
    expected = (
        classical * 10**-1.0 * 1e9 * excited / gas.partition["Fe I"]
        * (1 - np.exp(-photon / TEMPERATURE))
    )  # fmt: skip
    np.testing.assert_allclose(integral, expected, rtol=0.005)


def test_doppler_width_is_thermal_and_microturbulent() -> None:
    wavelength = np.arange(4999.0, 5001.0, 0.0005)
    opacity = opacity_of(wavelength, line_of(gamma_rad=1.0), gas_of(), vmic=2.0)
    mass = 55.845 * constants.u.to_value("g")
    speed = np.sqrt(2 * constants.k_B.cgs.value * TEMPERATURE / mass + (2e5) ** 2)
    doppler = 5000.0 * speed / constants.c.cgs.value
    second_moment = np.trapezoid(opacity.T * (wavelength - 5000.0) ** 2, wavelength)
    spread = np.sqrt(second_moment / np.trapezoid(opacity.T, wavelength))
    np.testing.assert_allclose(spread, doppler / np.sqrt(2), rtol=1e-3)


def test_far_wings_are_lorentzian_with_the_perturbers_counted() -> None:
    gas = gas_of()
    wavelength = np.arange(4990.0, 5010.0, 0.01)
    opacity = opacity_of(wavelength, line_of(gamma_vdw=1e-7), gas, cutoff=1e-12)
    away = np.abs(wavelength - 5000.0)
    gamma = 1e7 + 1e-7 * vdw_perturbers(gas) * (TEMPERATURE / 1e4) ** 0.3
    half = gamma * 5000.0**2 / (4 * np.pi * constants.c.to_value("Angstrom/s"))
    area = np.trapezoid(opacity_of(wavelength, line_of(), gas), wavelength, axis=0)
    wings = (away > 5) & (away < 8)
    lorentz = area * half / np.pi / (away[wings, None] ** 2 + half**2)
    np.testing.assert_allclose(opacity[wings], lorentz, rtol=0.01)


def test_helium_counts_by_polarisability_and_speed() -> None:
    """Helium broadens 0.41 times as much as hydrogen (Gray 2005, Sect. 11)."""
    gas = gas_of(hydrogen=1.0)
    np.testing.assert_allclose(vdw_perturbers(gas), 1 + 0.1 * 0.41, atol=0.001)


def test_a_line_of_an_absent_species_or_below_the_cutoff_adds_nothing() -> None:
    wavelength = np.arange(4999.0, 5001.0, 0.01)
    assert not opacity_of(wavelength, line_of(species="Yb III"), gas_of()).any()
    assert not opacity_of(wavelength, line_of(log_gf=-30.0), gas_of(), cutoff=3e-4).any()


def test_the_cutoff_loses_less_than_it_says() -> None:
    wavelength = np.arange(4970.0, 5030.0, 0.01)
    line = line_of(gamma_vdw=1e-7, log_gf=0.0)
    whole = opacity_of(wavelength, line, gas_of(), cutoff=1e-12)
    cut = opacity_of(wavelength, line, gas_of(), cutoff=3e-4)
    lost = whole - cut
    assert (cut == 0).any()
    assert lost.max() < 1.2 * 3e-4 * 1e-8


def test_blocks_of_pixels_join_without_a_seam() -> None:
    wavelength = np.arange(4980.0, 5020.0, 0.004)
    line = line_of(4988.2, gamma_vdw=1e-7, log_gf=0.5)
    whole = opacity_of(wavelength, line, gas_of())
    parts = [opacity_of(part, line, gas_of()) for part in np.split(wavelength, [1111, 5000])]
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-12)


def test_lines_that_are_passed_over_show_nowhere(monkeypatch) -> None:
    """With TiO in the list, most lines of a Sun are left out before anything is summed."""
    wavelength = np.arange(6150.0, 6160.0, 0.02)
    sun = model_atmosphere(5777, 4.44, 0.0)
    gas = solve(sun.temperature, sun.pressure, abundances())
    coarse = np.arange(6080.0, 6231.0, 5.0)
    continuum = continuum_opacity(coarse, gas)
    arguments = (wavelength, standard_lines(), gas, 1.0, continuum, coarse[0], 5.0)
    kept = []

    def watched(near: LineList, *rest) -> np.ndarray:
        kept.append(visible(near, *rest))
        return kept[-1]

    visible = lines_module._visible
    monkeypatch.setattr(lines_module, "_visible", watched)
    opacity = line_opacity(*arguments)
    monkeypatch.setattr(lines_module, "_visible", lambda near, *_: np.ones(len(near), bool))
    everything = line_opacity(*arguments)
    assert kept[0].mean() < 0.2
    assert np.abs((everything - opacity) / continuum[:, 15]).max() < 1e-3
