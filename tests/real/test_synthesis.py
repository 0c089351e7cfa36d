"""Computed spectra against Turbospectrum's and against the observed Sun."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from maury.data import load_table
from maury.synthesis.atmosphere import model_atmosphere
from maury.synthesis.broadening import broaden
from maury.synthesis.calibration import local_continuum
from maury.synthesis.elements import abundances
from maury.synthesis.linelist import standard_lines
from maury.synthesis.synthesize import surface_flux
from maury.wavelength import SPEED_OF_LIGHT

SHARED = Path(__file__).parents[2].parent / "shared"
FIXTURES = SHARED / "fixtures/turbospectrum"
ATLAS = SHARED / "data/solar_atlas/kurucz1984_flux_3770_6930.npz"
PHYSICS = SHARED / "data/physics"
HARPS_SUN = SHARED / "data/spectra/Sun_HARPS.fits"
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

STARS = (
    "4500_4.50_+0.00",
    "5777_4.44_+0.00",
    "6500_4.00_-1.00",
    "7500_4.00_+0.00",
    "10500_4.00_+0.00",
)


def benchmark(name: str) -> ModuleType:
    """A script that prints a table of the documentation."""
    spec = spec_from_file_location(f"benchmark_{name}", BENCHMARKS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    # Dataclasses look their module up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=STARS)
def comparison(request: pytest.FixtureRequest) -> Any:
    """A star by Turbospectrum and by us, from 3785 to 6910 A."""
    if not FIXTURES.is_dir():
        pytest.skip("../shared/fixtures/turbospectrum is absent")
    turbospectrum = benchmark("turbospectrum")
    path = FIXTURES / f"turbospectrum_{request.param}.npz"
    return turbospectrum.compare(path, turbospectrum.lines_of_the_reference())


def test_normalized_spectra_are_turbospectrums(comparison: Any) -> None:
    """At native resolution, with the same lines."""
    teff = comparison.star[0]
    assert comparison.rms(4200, 6900) < (0.015 if 5000 <= teff <= 6500 else 0.020)


def test_normalized_spectra_are_turbospectrums_in_the_violet(comparison: Any) -> None:
    assert comparison.rms(3785, 4200) < 0.03


def test_absolute_flux_is_turbospectrums(comparison: Any) -> None:
    """On means over 100 A, from 3785 to 6910 A, hydrogen photoionised as there."""
    np.testing.assert_allclose(comparison.brighter, 0.0, atol=0.03)


@pytest.fixture(scope="module")
def atlas() -> dict[str, NDArray[np.float64]]:
    """The flux atlas of Kurucz et al. 1984."""
    if not ATLAS.is_file():
        pytest.skip("../shared/data/solar_atlas is absent")
    with np.load(ATLAS) as file:
        return {key: file[key].astype(np.float64) for key in file.files}


def computed_sun(
    wavelength: NDArray[np.float64], calibrated: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Normalised flux with the Sun's macroturbulence and rotation, and the continuum."""
    flux, continuum = surface_flux(
        wavelength,
        model_atmosphere(5772, 4.438, 0.0),
        abundances(),
        standard_lines(calibrated),
        1.0,
    )
    return broaden(wavelength, flux / continuum, vsini=1.9, vmac=3.6), continuum


def observed_sun(atlas: dict, wavelength: NDArray[np.float64], column: str) -> NDArray[np.float64]:
    # The Sun's gravity less its granulation shifts the atlas by 0.52 km/s.
    shifted = wavelength * (1 + 0.52 / SPEED_OF_LIGHT)
    return np.interp(shifted, atlas["wave_air"], atlas[column])


def test_the_calibrated_sun_is_the_observed_sun(atlas: dict) -> None:
    wavelength = np.arange(5300.0, 5800.0, 0.01)
    observed = observed_sun(atlas, wavelength, "residual_flux")
    residuals = {}
    for calibrated in (False, True):
        computed, _ = computed_sun(wavelength, calibrated)
        weight = np.ones(wavelength.size)
        level = local_continuum(wavelength, observed / computed, computed, weight)
        np.testing.assert_allclose(level, 1.0, atol=0.02)
        residuals[calibrated] = np.abs(observed / level - computed)
    assert np.median(residuals[True]) < 0.004
    assert np.mean(residuals[True]) < 0.6 * np.mean(residuals[False])
    # Lines that the Sun does not have are gone.
    assert np.quantile(residuals[True], 0.99) < 0.5 * np.quantile(residuals[False], 0.99)


@pytest.mark.parametrize(("lower", "off"), [(5000.0, 0.07), (5600.0, 0.04), (6700.0, 0.02)])
def test_absolute_flux_is_the_suns_irradiance(atlas: dict, lower: float, off: float) -> None:
    """Irradiance in erg s-1 cm-2 A-1 at one astronomical unit, scaled to the surface."""
    wavelength = np.arange(lower, lower + 40.0, 0.01)
    computed, continuum = computed_sun(wavelength, True)
    irradiance = observed_sun(atlas, wavelength, "irradiance")
    surface = irradiance * (149597870.7 / 695700) ** 2
    assert np.median(surface / (computed * continuum)) == pytest.approx(1.0, abs=off)


@pytest.mark.skipif(not PHYSICS.is_dir(), reason="../shared/data/physics is absent")
def test_embedded_atmospheres_are_the_published_ones() -> None:
    """From 4000 K up, where they are ATLAS9's."""
    with np.load(PHYSICS / "atmospheres/atlas9_odfnew_vt2_compact.npz") as file:
        published = file["layers"][:, file["teff"] >= 4000, ..., :4]
    table = load_table("atmospheres")
    embedded = table["layers"][:, table["teff"] >= 4000]
    # RHOX, T, P and the electron density.
    np.testing.assert_allclose(embedded, published, rtol=1e-6)
