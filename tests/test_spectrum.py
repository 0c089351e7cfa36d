"""What must hold of shifting, resampling, normalising and converting a spectrum."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.nddata import InverseVariance
from astropy.time import Time
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf
from specutils.utils.wcs_utils import refraction_index

import maury.spectrum as module
from maury.errors import SpectrumError
from maury.grid import HARPS_SMALL, WavelengthGrid
from maury.rebinning import Pixels, rebin
from maury.spectrum import (
    SPEED_OF_LIGHT,
    Observation,
    Spectrum,
    air_to_vacuum,
    doppler_factor,
    doppler_shift,
    normalize,
    pixel_edges,
    resample,
    vacuum_to_air,
)

velocities = st.floats(-300.0, 300.0)
GRID = WavelengthGrid(start=6000.0, step=0.01, size=4000)


def absorption_line(center: float, *, fwhm: float = 0.12, depth: float = 0.6) -> Spectrum:
    """A Gaussian line, exactly averaged over each pixel of GRID; 0.12 A is a HARPS line's width."""
    sigma = fwhm / 2.354820045
    integral = erf((GRID.edges - center) / (np.sqrt(2) * sigma))
    area = depth * sigma * np.sqrt(np.pi / 2) * np.diff(integral)
    return Spectrum(GRID.wavelength, 1 - area / GRID.step)


def centroid(spectrum: Spectrum) -> float:
    depth = np.where(spectrum.valid, 1 - spectrum.flux, 0.0)
    return float(np.sum(depth * spectrum.wavelength) / np.sum(depth))


# Wavelengths


@settings(deadline=None, derandomize=True)
@given(velocities)
def test_shift_there_and_back(velocity):
    spectrum = absorption_line(6020.0)
    back = doppler_shift(doppler_shift(spectrum, velocity), -velocity)
    np.testing.assert_allclose(back.wavelength, spectrum.wavelength, rtol=1e-15, atol=0)
    np.testing.assert_array_equal(back.flux, spectrum.flux)


@settings(deadline=None, derandomize=True)
@given(velocities)
def test_the_factor_agrees_with_astropy(velocity):
    redshift = (velocity * u.km / u.s).to(u.dimensionless_unscaled, u.doppler_redshift())
    assert doppler_factor(velocity) == pytest.approx(1 + redshift.value, rel=1e-14)


def test_air_and_vacuum_agree_with_specutils_and_with_known_lines():
    vacuum = np.linspace(3000.0, 10000.0, 701)
    index = refraction_index(vacuum * u.AA, method="Ciddor1996")
    np.testing.assert_allclose(vacuum_to_air(vacuum), vacuum / index, rtol=1e-14)
    morton = refraction_index(vacuum * u.AA, method="Morton2000")
    np.testing.assert_allclose(vacuum_to_air(vacuum), vacuum / morton, rtol=1e-8)
    # H-alpha and the sodium D lines, NIST Atomic Spectra Database, vacuum and air.
    np.testing.assert_allclose(vacuum_to_air([5891.5833, 5897.5581]), [5889.9510, 5895.9242], 2e-8)


@settings(deadline=None, derandomize=True)
@given(st.floats(3000.0, 11000.0))
def test_air_to_vacuum_and_back(wavelength):
    assert vacuum_to_air(air_to_vacuum(wavelength)) == pytest.approx(wavelength, rel=4e-16)


def test_a_medium_is_changed_once():
    spectrum = absorption_line(6020.0)
    vacuum = spectrum.to_medium("vacuum")
    assert vacuum.medium == "vacuum"
    assert vacuum.wavelength[0] - spectrum.wavelength[0] == pytest.approx(1.66, abs=0.01)
    assert vacuum.to_medium("vacuum") is vacuum
    np.testing.assert_allclose(vacuum.to_medium("air").wavelength, spectrum.wavelength, rtol=4e-16)


# Resampling


@settings(deadline=None, derandomize=True, max_examples=30)
@given(st.floats(-40.0, 40.0))
def test_a_line_moves_by_v_over_c_within_a_metre_per_second(velocity):
    before = absorption_line(6020.0)
    after = resample(doppler_shift(before, velocity), GRID)
    expected = 6020.0 * float(doppler_factor(velocity))
    error = (centroid(after) / expected - 1) * SPEED_OF_LIGHT * 1000
    assert abs(error) < 1.0
    # And it is not smoothed: its depth is that of the line computed where it now is.
    assert after.flux[after.valid].min() == pytest.approx(
        absorption_line(expected, fwhm=0.12 * expected / 6020.0).flux.min(), abs=2e-4
    )


@settings(deadline=None, derandomize=True, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), step=st.floats(0.004, 0.2))
def test_flux_is_conserved(seed, step):
    rng = np.random.default_rng(seed)
    wavelength = np.cumsum(rng.uniform(0.008, 0.012, 3000)) + 5000
    spectrum = Spectrum(wavelength, rng.normal(100, 10, wavelength.size))
    edges = pixel_edges(wavelength)
    # The new pixels span the old ones exactly, so the whole integral must come through.
    number = int((edges[-1] - edges[0]) / step)
    width = (edges[-1] - edges[0]) / number
    new = resample(spectrum, edges[0] + width * (np.arange(number) + 0.5))
    assert new.valid.all()
    before = np.sum(spectrum.flux * np.diff(edges))
    assert np.sum(new.flux) * width == pytest.approx(before, rel=1e-9)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), every=st.integers(1, 9))
def test_flux_is_conserved_between_any_edges_of_both(seed, every):
    rng = np.random.default_rng(seed)
    wavelength = np.cumsum(rng.uniform(0.008, 0.012, 500)) + 5000
    flux, good = rng.normal(100, 10, wavelength.size), np.zeros(wavelength.size, dtype=bool)
    pixels = Pixels.from_samples(wavelength, flux, None, good)
    edges = pixels.edges[::every]
    new = rebin(pixels, edges, max_bad_fraction=0.01)
    parts = np.add.reduceat(flux * np.diff(pixels.edges), np.arange(0, 500, every))
    np.testing.assert_allclose(new.flux * np.diff(edges), parts[: new.flux.size], rtol=1e-9)


def test_binning_by_whole_pixels_is_the_mean_and_divides_the_error_by_the_root():
    rng = np.random.default_rng(3)
    spectrum = Spectrum(
        GRID.wavelength, rng.normal(1, 0.01, GRID.size), uncertainty=np.full(GRID.size, 0.01)
    )
    binned = resample(spectrum, GRID.wavelength.reshape(-1, 5).mean(axis=1))
    np.testing.assert_allclose(binned.flux, spectrum.flux.reshape(-1, 5).mean(axis=1), rtol=1e-10)
    np.testing.assert_allclose(binned.uncertainty, 0.01 / np.sqrt(5), rtol=1e-9)


def test_the_error_of_a_sum_over_many_pixels_is_right_after_a_shift():
    rng = np.random.default_rng(4)
    total, expected = [], []
    for _ in range(200):
        noise = rng.normal(1, 0.01, GRID.size)
        spectrum = Spectrum(GRID.wavelength, noise, uncertainty=np.full(GRID.size, 0.01))
        new = resample(spectrum, GRID.wavelength[100:-100] + 0.0037)
        total.append(new.flux.sum())
        expected.append(np.sqrt(np.sum(new.uncertainty**2)))
    # 200 draws know a standard deviation to 5 per cent.
    assert np.std(total) == pytest.approx(np.mean(expected), rel=0.15)


def test_finer_pixels_do_not_have_smaller_errors():
    spectrum = Spectrum(GRID.wavelength, np.ones(GRID.size), uncertainty=np.full(GRID.size, 0.01))
    finer = resample(spectrum, np.arange(6001.0, 6002.0, 0.002))
    np.testing.assert_allclose(finer.uncertainty, 0.01, rtol=1e-6)


def test_bad_pixels_spread_to_those_they_touch_and_no_further():
    flux = np.ones(GRID.size)
    flux[1000] = 1e9
    flux[2000] = np.nan
    mask = np.zeros(GRID.size, dtype=bool)
    mask[1000] = True
    spectrum = Spectrum(GRID.wavelength, flux, mask=mask, uncertainty=np.full(GRID.size, 0.1))
    new = resample(spectrum, GRID.wavelength[:-1] + 0.004)
    np.testing.assert_array_equal(np.flatnonzero(new.mask), [999, 1000, 1999, 2000])
    np.testing.assert_allclose(new.flux[new.valid], 1.0, rtol=1e-9)
    assert np.all(new.flux[new.mask] == 0)
    assert np.all(np.isinf(new.uncertainty[new.mask]))


def test_outside_the_data_and_in_the_grid_s_gaps_all_is_bad():
    wavelength = np.arange(5000.0, 6000.0, 0.01)
    new = resample(Spectrum(wavelength, np.ones(wavelength.size)), HARPS_SMALL)
    inside = (HARPS_SMALL.edges[:-1] > 4999.995) & (HARPS_SMALL.edges[1:] < 5999.995)
    np.testing.assert_array_equal(new.valid, inside & HARPS_SMALL.valid)
    np.testing.assert_allclose(new.flux[new.valid], 1.0, rtol=1e-9)


def test_a_hole_left_by_omitted_pixels_is_not_filled():
    wavelength = np.arange(5000.0, 5010.0, 0.01)
    kept = (wavelength < 5004) | (wavelength > 5006)
    new = resample(Spectrum(wavelength[kept], np.ones(kept.sum())), wavelength[1:-1] + 0.003)
    hole = (new.wavelength > 5004.0) & (new.wavelength < 5006.0)
    assert new.mask[hole].all()
    assert new.valid[(new.wavelength < 5003.98) | (new.wavelength > 5006.02)].all()


def test_a_grid_in_vacuum_converts_the_wavelengths():
    vacuum = WavelengthGrid(start=6010.0, step=0.01, size=2000, medium="vacuum")
    new = resample(absorption_line(6020.0), vacuum)
    assert new.medium == "vacuum"
    assert centroid(new) == pytest.approx(float(air_to_vacuum(6020.0)), rel=3e-9)


def test_nothing_good_or_nowhere_to_go_is_refused():
    spectrum = Spectrum(GRID.wavelength, np.full(GRID.size, np.nan))
    with pytest.raises(SpectrumError, match="without any good pixel"):
        resample(spectrum, GRID)
    with pytest.raises(SpectrumError, match="increases"):
        resample(absorption_line(6020.0), [6002.0, 6001.0])


# Normalising, parts


def test_the_median_of_good_pixels_becomes_one():
    flux = np.concatenate((np.full(10, 1e6), np.arange(1.0, 32.0)))
    mask = flux > 1e5
    spectrum = Spectrum(np.arange(1.0, 42.0), flux, mask=mask, uncertainty=np.full(41, 0.8))
    new = normalize(spectrum)
    assert np.median(new.flux[new.valid]) == 1.0
    np.testing.assert_allclose(new.uncertainty, 0.05)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
def test_a_spectrum_without_light_is_not_normalised(value):
    with pytest.raises(SpectrumError, match="cannot be normalised"):
        normalize(Spectrum([1.0, 2.0, 3.0], np.full(3, value)))


def test_a_part_includes_both_ends():
    part = absorption_line(6020.0).between(6010.0, 6010.05)
    np.testing.assert_allclose(part.wavelength, 6010 + 0.01 * np.arange(6))


# Construction


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wavelength": [1.0, 3.0, 2.0]}, "must be finite and increase"),
        ({"wavelength": [1.0, 2.0, np.nan]}, "must be finite and increase"),
        ({"flux": [1.0, 2.0]}, "one and the same length"),
        ({"mask": [True]}, "mask of a spectrum has shape"),
        ({"uncertainty": [1.0]}, "uncertainty of a spectrum has shape"),
        ({"medium": "water"}, "'air' or 'vacuum'"),
        ({"frame": "heliocentric"}, "'barycentric', 'observatory' or 'rest'"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, message):
    with pytest.raises(SpectrumError, match=message):
        Spectrum(**({"wavelength": [1.0, 2.0, 3.0], "flux": [1.0, 1.0, 1.0]} | change))


def test_arrays_come_in_native_byte_order():
    spectrum = Spectrum(np.arange(1, 4, dtype=">f4"), np.ones(3, dtype=">f4"))
    assert spectrum.wavelength.dtype == spectrum.flux.dtype == np.dtype("=f8")


def test_the_middle_of_an_exposure():
    start = Time("2012-03-24T08:37:45.581", scale="utc")
    middle = Observation(time=start, exposure=60.0).mid_time
    assert middle.isot == "2012-03-24T08:38:15.581"
    assert Observation(time=start).mid_time is None
    assert Observation(time=start).to_dict()["time"] == "2012-03-24T08:37:45.581"
    assert set(Observation().to_dict().values()) == {None}


# specutils


def test_to_specutils_and_back():
    meta = Observation(object="HD 1", flux_unit="adu", berv=1.5)
    flux = np.linspace(1, 2, GRID.size)
    spectrum = Spectrum(
        GRID.wavelength, flux, flux / 10, flux > 1.9, medium="vacuum", frame="rest", meta=meta
    )
    other = spectrum.to_specutils()
    assert other.flux.unit == u.adu
    assert other.spectral_axis.unit == u.AA
    back = Spectrum.from_specutils(other)
    for name in ("wavelength", "flux", "uncertainty", "mask"):
        np.testing.assert_array_equal(getattr(back, name), getattr(spectrum, name))
    assert (back.medium, back.frame, back.meta) == ("vacuum", "rest", meta)


def test_an_unreadable_flux_unit_becomes_dimensionless():
    meta = Observation(flux_unit="Relative Flux")
    other = Spectrum([1.0, 2.0], [1.0, 1.0], meta=meta).to_specutils()
    assert other.flux.unit == u.dimensionless_unscaled


def test_any_specutils_spectrum_comes_in():
    import specutils

    kind = getattr(specutils, "Spectrum", None) or specutils.Spectrum1D
    frequency = np.array([6.0e14, 5.0e14, 4.0e14][::-1]) * u.Hz
    other = kind(
        flux=np.array([1.0, 2.0, 3.0]) * u.Jy,
        spectral_axis=frequency,
        uncertainty=InverseVariance(np.array([1.0, 4.0, 16.0])),
    )
    spectrum = Spectrum.from_specutils(other, medium="vacuum", frame="rest")
    np.testing.assert_allclose(spectrum.wavelength, 2.99792458e18 / np.array([6e14, 5e14, 4e14]))
    np.testing.assert_array_equal(spectrum.flux, [3.0, 2.0, 1.0])
    np.testing.assert_allclose(spectrum.uncertainty, [0.25, 0.5, 1.0])
    with pytest.raises(SpectrumError, match="does not say its medium or frame"):
        Spectrum.from_specutils(other)


def test_every_public_name_exists():
    assert all(hasattr(module, name) for name in module.__all__)
