"""The formal solution against closed forms and against exponential integrals."""

import numpy as np
import pytest
from astropy import constants
from scipy.integrate import quad
from scipy.special import expn

from maury.synthesis.transfer import emergent_flux

WAVELENGTH = 5000.0


def planck(temperature: np.ndarray) -> np.ndarray:
    """B_lambda at `WAVELENGTH`, erg s-1 cm-2 A-1 sr-1."""
    h, c, k = (getattr(constants, name).cgs.value for name in ("h", "c", "k_B"))
    wave = WAVELENGTH * 1e-8
    return 2 * h * c**2 / wave**5 / np.expm1(h * c / (wave * k * temperature)) * 1e-8


def temperature_of(source: np.ndarray) -> np.ndarray:
    h, c, k = (getattr(constants, name).cgs.value for name in ("h", "c", "k_B"))
    wave = WAVELENGTH * 1e-8
    return h * c / (wave * k) / np.log1p(2 * h * c**2 / wave**5 * 1e-8 / source)


def flux_of(source: np.ndarray, tau: np.ndarray, lines: float = 0.0) -> float:
    """Flux of a source function given at optical depths; ``lines`` of the opacity is in lines."""
    density = np.geomspace(1e-9, 1e-6, tau.size)
    # Opacity of 1 cm2 per gram: column mass is optical depth.
    continuum = np.repeat(((1 - lines) * density)[:, None], 4, axis=1)
    line_opacity = np.repeat((lines * density)[None], 2, axis=0) if lines else None
    wavelength = np.array([WAVELENGTH, WAVELENGTH])
    flux = emergent_flux(
        wavelength, line_opacity, continuum, 4990.0, 5.0, tau, density, temperature_of(source)
    )
    assert flux[0] == flux[1]
    return float(flux[0])


TAU = np.concatenate([[0.0], np.geomspace(1e-5, 60, 400)])


def test_an_isothermal_atmosphere_shines_as_a_black_body() -> None:
    source = np.full(TAU.size, planck(np.array(6000.0)))
    assert flux_of(source, TAU) == pytest.approx(np.pi * source[0], rel=2e-5)


def test_a_layer_at_finite_depth_is_closed_by_a_black_body() -> None:
    tau = np.linspace(0.01, 0.3, 40)
    source = np.full(tau.size, planck(np.array(5000.0)))
    assert flux_of(source, tau) == pytest.approx(np.pi * source[0], rel=2e-5)


@pytest.mark.parametrize("slope", [0.3, 1.5, 10.0])
def test_eddington_barbier(slope: float) -> None:
    """With S = a + b tau the flux is pi S(2/3), exactly (e.g. Gray 2005, Eq. 7.15)."""
    a = planck(np.array(5000.0))
    assert flux_of(a * (1 + slope * TAU), TAU) == pytest.approx(
        np.pi * a * (1 + slope * 2 / 3), rel=2e-4
    )


@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
def test_a_curved_source_function(scale: float) -> None:
    """F = 2 pi times the integral of S E2 (Gray 2005, Eq. 7.13), here by SciPy."""
    a = planck(np.array(5000.0))

    def source(tau):
        return 1 + 3 * (1 - np.exp(-tau / scale))

    expected = quad(lambda tau: source(tau) * expn(2, tau), 0, 60, limit=200)[0]
    assert flux_of(a * source(TAU), TAU) == pytest.approx(2 * np.pi * a * expected, rel=2e-3)


def test_the_layers_of_an_atlas_model_suffice() -> None:
    """72 layers, an eighth of a decade apart, against the integral of the same source function."""
    tau = np.geomspace(10**-6.875, 100, 72)
    a = planck(np.array(4500.0))

    def source(t):
        return 1 + 2.5 * t + 0.6 * np.log1p(8 * t)

    expected = quad(lambda t: source(t) * expn(2, t), 0, 60, limit=200)[0]
    assert flux_of(a * source(tau), tau) == pytest.approx(2 * np.pi * a * expected, rel=5e-3)


def test_line_and_continuous_opacity_count_alike() -> None:
    source = planck(np.array(5000.0)) * (1 + 2 * TAU)
    assert flux_of(source, TAU, lines=0.7) == pytest.approx(flux_of(source, TAU), rel=1e-12)


def test_continuum_is_interpolated_between_its_points() -> None:
    """Twice the opacity in an atmosphere that grows hotter inwards is darker; halfway is between.

    With S = a + b m and opacity k per gram, S = a + (b / k) tau.
    """
    density = np.full(TAU.size, 1e-7)
    a = planck(np.array(5000.0))
    continuum = np.outer(density, [1.0, 2.0, 2.0])
    wavelength = np.array([WAVELENGTH])
    for start, opacity in ((5000.0, 1.0), (4995.0, 2.0), (4997.5, 1.5)):
        flux = emergent_flux(
            wavelength, None, continuum, start, 5.0, TAU, density, temperature_of(a * (1 + TAU))
        )
        assert flux[0] == pytest.approx(np.pi * a * (1 + 2 / 3 / opacity), rel=3e-4)
