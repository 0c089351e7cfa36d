"""Pixels and line-spread function against closed forms."""

import numpy as np
import pytest
import torch
from scipy.special import ndtr

from maury.grid import WavelengthGrid
from maury.instrument.spectrograph import HARPS, PixelResponse
from maury.synthesis.broadening import gaussian_width
from maury.wavelength import SPEED_OF_LIGHT

GRID = WavelengthGrid(start=6000.0, step=0.06, size=400)
WAVELENGTH = 5995.0 * np.exp(np.arange(2000) / SPEED_OF_LIGHT)


def response(flux: np.ndarray, grid: WavelengthGrid = GRID) -> np.ndarray:
    module = PixelResponse(grid, WAVELENGTH, resolving_power=115_000)
    return module(torch.tensor(flux, dtype=torch.float32)[None])[0].double().numpy()


def test_flat_light_stays_flat() -> None:
    np.testing.assert_allclose(response(np.full(2000, 3.0)), 3.0, rtol=1e-6)


def test_slope_stays() -> None:
    np.testing.assert_allclose(response(WAVELENGTH / 6000), GRID.wavelength / 6000, rtol=1e-6)


@pytest.mark.parametrize("step", [0.01, 0.03, 0.06])
def test_gaussian_line_is_integrated_over_pixels(step: float) -> None:
    grid = WavelengthGrid(start=6000.0, step=step, size=int(20 / step))
    centre, sigma = 6009.1234, 1.8
    velocity = np.log(WAVELENGTH / centre) * SPEED_OF_LIGHT
    result = response(1 - 0.5 * np.exp(-0.5 * (velocity / sigma) ** 2), grid)
    wide = np.hypot(sigma, gaussian_width(115_000))
    edges = np.log(grid.edges / centre) * SPEED_OF_LIGHT
    area = 0.5 * sigma * np.sqrt(2 * np.pi) * np.diff(ndtr(edges / wide))
    np.testing.assert_allclose(1 - result, area / np.diff(edges), atol=2e-4)


def test_readout_variance_follows_the_pixel_width() -> None:
    """A detector pixel of 0.82 km/s is 0.0150 A wide at 5500 A, so 0.01 A hold two thirds."""
    variance = HARPS.readout_variance(np.array([5500.0]))[0]
    assert variance == pytest.approx(4.9**2 * 4.8 * 0.01 / 0.01504, rel=1e-3)
