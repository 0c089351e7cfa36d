"""Line pixels of spectra whose lines are known, with and without noise."""

import numpy as np
import pytest

from maury.evaluation.lines import line_pixels
from maury.evaluation.metrics import reconstruction_errors

STEP = 0.01
WAVELENGTH = 6000 + STEP * np.arange(20_000)
CENTERS = 6003.0 + 2.5 * np.arange(78)
CONTINUUM = 1 + 0.2 * np.sin((WAVELENGTH - 6000) / 150)


def absorption(depth=0.5, width=0.06):
    """Part of the light that Gaussian lines take away."""
    offset = WAVELENGTH - CENTERS[:, None]
    return (depth * np.exp(-0.5 * (offset / width) ** 2)).max(axis=0)


def noisy(lines, snr, count=4):
    noise = np.random.default_rng(1).normal(size=(count, lines.size)) / snr
    return ((1 - lines + noise) * CONTINUUM).astype(np.float32)


def test_line_pixels_of_a_clean_spectrum_are_those_below_the_depth():
    lines, valid = absorption(), np.ones((1, WAVELENGTH.size), dtype=bool)
    found = line_pixels(noisy(lines, np.inf, 1), valid, WAVELENGTH, depth=0.1)[0]
    # The average over 0.1 Angstrom widens a line of 0.25 by less than a pixel or two on each side.
    edges = np.abs(WAVELENGTH - CENTERS[:, None]).min(axis=0)
    assert found[lines > 0.15].all() and not found[lines < 0.03].any()
    assert edges[found].max() < 0.15


@pytest.mark.parametrize("snr", [100, 30, 15])
def test_noise_makes_no_lines_and_hides_no_deep_ones(snr):
    lines = absorption()
    valid = np.ones((4, WAVELENGTH.size), dtype=bool)
    found = line_pixels(noisy(lines, snr), valid, WAVELENGTH)
    assert found[:, lines > 0.4].mean() > 0.99
    assert found[:, lines < 1e-3].mean() < 0.002


@pytest.mark.parametrize("step", [0.01, 0.12])
def test_pure_noise_has_hardly_any_line_pixels(step):
    wavelength = 6000 + step * np.arange(20_000)
    spectra = 1 + 0.2 * np.random.default_rng(1).normal(size=(4, 20_000))
    found = line_pixels(spectra, np.ones(spectra.shape, dtype=bool), wavelength, depth=0.0)
    # One in 740 normal numbers lies three deviations down.
    assert found.mean() < 0.003


def test_pixels_that_are_not_valid_are_neither_lines_nor_continuum():
    lines, valid = absorption(), np.ones((2, WAVELENGTH.size), dtype=bool)
    spectra = noisy(lines, 50, 2)
    whole = line_pixels(spectra, valid, WAVELENGTH)
    # A gap longer than a block, a bad pixel in a line, and a spectrum without any light.
    valid[0, 5000:9000] = valid[0, 10_050] = valid[1] = False
    spectra[~valid] = np.nan
    found = line_pixels(spectra, valid, WAVELENGTH)
    assert not found[~valid].any()
    far = np.r_[0:2000, 13_000:20_000]
    np.testing.assert_array_equal(found[0, far], whole[0, far])


def test_line_and_continuum_errors_make_up_the_whole_error():
    lines, valid = absorption(), np.ones((1, WAVELENGTH.size), dtype=bool)
    spectra = noisy(lines, np.inf, 1)
    pixels = line_pixels(spectra, valid, WAVELENGTH)
    # A decoder without lines errs in them alone.
    made = CONTINUUM[None].astype(np.float32)
    line, rest = (reconstruction_errors(spectra, made, valid, part) for part in (pixels, ~pixels))
    share = pixels.mean()
    whole = reconstruction_errors(spectra, made, valid)
    assert share * line[0] + (1 - share) * rest[0] == pytest.approx(whole[0], rel=1e-6)
    assert line[0] > 50 * rest[0]
