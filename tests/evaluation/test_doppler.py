"""What must hold of spectra that are shifted on fixed pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import erf

from maury.errors import MauryError
from maury.evaluation.doppler import ShiftedSpectra, Window, shift
from maury.grid import HARPS_SMALL
from maury.spectrum import Spectrum, doppler_shift

C = 299792.458
DEPTH = 0.6


def pixel_means(wavelength: NDArray, center: float, fwhm: float) -> NDArray[np.float64]:
    """A Gaussian absorption line, exactly averaged over each pixel of an even grid."""
    step = wavelength[1] - wavelength[0]
    sigma = fwhm / 2.354820045
    edges = np.append(wavelength - step / 2, wavelength[-1] + step / 2)
    integral = erf((edges - center) / (np.sqrt(2) * sigma))
    return 1 - DEPTH * sigma * np.sqrt(np.pi / 2) * np.diff(integral) / step


@pytest.mark.parametrize(("fwhm", "error"), [(0.12, 0.017), (0.15, 0.0042), (0.20, 0.0005)])
def test_a_line_on_the_reduced_grid_is_missed_by_as_much_as_is_said(fwhm, error):
    wavelength = HARPS_SMALL.wavelength[18500:18900]
    worst = 0.0
    for center in 6058.0 + HARPS_SMALL.step * np.arange(0, 1, 0.1):
        line = pixel_means(wavelength, center, fwhm)[None]
        for pixels in np.arange(0.1, 1, 0.1):
            moved = center + pixels * HARPS_SMALL.step
            ratio = (moved / center) ** 2
            velocity = C * (ratio - 1) / (ratio + 1)
            # The pixel's width grows with the shift, by 1e-5 of itself.
            expected = pixel_means(wavelength, moved, fwhm * moved / center)
            worst = max(worst, np.nanmax(np.abs(shift(line, wavelength, velocity) - expected)))
    assert worst / DEPTH == pytest.approx(error, rel=0.06)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(st.floats(-60.0, 60.0))
def test_shift_there_and_back(velocity):
    wavelength = 6050.0 + 0.02 * np.arange(600)
    line = pixel_means(wavelength, 6056.0, 0.15)[None]
    back = shift(shift(line, wavelength, velocity), wavelength, -velocity)
    known = np.isfinite(back)
    assert known[:, 130:-130].all()
    np.testing.assert_allclose(back[known], line[known], atol=1e-5)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(st.floats(-60.0, 60.0))
def test_a_shifted_line_lies_where_moved_wavelengths_have_it(velocity):
    wavelength = 6050.0 + 0.02 * np.arange(600)
    line = pixel_means(wavelength, 6056.0, 0.15)
    moved = doppler_shift(Spectrum(wavelength, line), velocity)
    shifted = shift(line[None], wavelength, velocity)[0]
    depth, known = 1 - np.nan_to_num(shifted, nan=1.0), 1 - moved.flux
    assert np.sum(depth * wavelength) / depth.sum() == pytest.approx(
        np.sum(known * moved.wavelength) / known.sum(), abs=1e-6
    )


def test_each_spectrum_may_have_a_velocity_of_its_own():
    wavelength = 6050.0 + 0.02 * np.arange(300)
    lines = np.stack([pixel_means(wavelength, center, 0.15) for center in (6052.0, 6054.0)])
    both = shift(lines, wavelength, [12.0, -7.0])
    np.testing.assert_array_equal(both[:1], shift(lines[:1], wavelength, 12.0))
    np.testing.assert_array_equal(both[1:], shift(lines[1:], wavelength, -7.0))
    assert not np.allclose(both[0], shift(lines[:1], wavelength, -7.0)[0], equal_nan=True)


def test_nothing_is_known_outside_the_spectrum_and_beside_pixels_that_are_not():
    wavelength = 6000.0 + 0.1 * np.arange(50)
    spectra = np.ones((2, 50))
    spectra[0, 20] = np.nan
    # By 0.25 A to the red: each pixel comes from between the second and the third to its blue.
    moved = shift(spectra, wavelength, 0.25 / 6002.5 * C)
    unknown = [np.flatnonzero(np.isnan(row)).tolist() for row in moved]
    assert unknown == [[0, 1, 2, 22, 23], [0, 1, 2]]
    # And to the blue.
    moved = shift(spectra, wavelength, -0.25 / 6002.5 * C)
    unknown = [np.flatnonzero(np.isnan(row)).tolist() for row in moved]
    assert unknown == [[17, 18, 47, 48, 49], [47, 48, 49]]


def test_a_spectrum_at_rest_stays_and_loses_no_pixel():
    wavelength = 6050.0 + 0.02 * np.arange(300)
    spectra = pixel_means(wavelength, 6052.0, 0.15)[None].repeat(2, axis=0)
    spectra[1, 40] = np.nan
    np.testing.assert_allclose(shift(spectra, wavelength, 0.0), spectra, atol=1e-13)


def test_pixels_that_are_not_known_leave_their_neighbours_right():
    wavelength = 6050.0 + 0.02 * np.arange(600)
    spectrum = pixel_means(wavelength, 6056.0, 0.15)
    spectrum[[298, 303, 310, 400]] = np.nan
    spectrum[420:500] = np.nan
    moved = shift(spectrum[None], wavelength, 5.0)[0]
    known = np.isfinite(moved)
    factor = np.sqrt((1 + 5.0 / C) / (1 - 5.0 / C))
    expected = pixel_means(wavelength, 6056.0 * factor, 0.15)
    np.testing.assert_allclose(moved[known], expected[known], atol=1e-3)
    assert known[:413].sum() == 413 - 6 - 4 * 2


def test_a_spectrum_with_hardly_a_pixel_gives_nothing():
    spectra = np.full((1, 20), np.nan)
    spectra[0, 3:8] = 1.0
    assert np.isnan(shift(spectra, 6000.0 + np.arange(20), 0.0)).all()


def test_many_velocities_from_one_set_of_splines():
    wavelength = 6050.0 + 0.02 * np.arange(300)
    spectra = pixel_means(wavelength, 6052.0, 0.15)[None]
    shifted = ShiftedSpectra(spectra, wavelength)
    for velocity in (-3.0, 20.0):
        np.testing.assert_array_equal(shifted(velocity), shift(spectra, wavelength, velocity))


def test_a_window_takes_in_what_is_shifted_into_it():
    grid = HARPS_SMALL
    window = Window.of(grid.wavelength, (6050.0, 6250.0), [-40.0, 20.0], 2, grid.valid)
    assert window.wavelength[0] < 6050.0 * (1 - 40 / C) < 6050.0 < 6250.0 * (1 + 40 / C)
    assert window.wavelength[-1] > 6250.0 * (1 + 40 / C)
    assert window.wavelength.size < 3500
    counted = window.wavelength[window.inside]
    assert counted[0] >= 6050.0 > counted[0] - grid.step
    assert counted[-1] <= 6250.0 < counted[-1] + grid.step
    assert window.known.shape == (2, window.wavelength.size) and window.known.all()
    np.testing.assert_array_equal(grid.wavelength[window.part], window.wavelength)


def test_a_window_off_the_spectra_is_refused():
    with pytest.raises(MauryError, match=r"6050-6250 A: the spectra are from 5000.00 to 5099.00"):
        Window.of(5000.0 + np.arange(100), (6050.0, 6250.0), [40.0], 1)
