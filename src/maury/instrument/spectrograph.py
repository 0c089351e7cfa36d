"""Spectrographs: resolving power, coverage and detector, and what their pixels make of light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr
from torch import Tensor
from torch.nn import functional

from maury.grid import HARPS as HARPS_GRID
from maury.grid import WavelengthGrid
from maury.synthesis.broadening import gaussian_width
from maury.wavelength import SPEED_OF_LIGHT

__all__ = ["HARPS", "PixelResponse", "Spectrograph"]


@dataclass(frozen=True)
class Spectrograph:
    """A spectrograph, seen through the one-dimensional spectra of its pipeline.

    Parameters
    ----------
    name : str
        What it is called.
    resolving_power : float
        Wavelength over the full width at half maximum of its Gaussian line-spread function.
    grid : WavelengthGrid
        Grid of its pipeline's spectra; its step is the pixel to which a signal-to-noise ratio
        refers.
    coverage : (float, float)
        First and last wavelength with signal, observatory frame, Angstrom, medium of the grid.
    gaps : tuple of (float, float)
        Intervals without signal, observatory frame, Angstrom, medium of the grid.
    pixel_velocity : float
        Width of a detector pixel along the dispersion, km/s.
    spatial_pixels : float
        Detector pixels across the dispersion whose readout noise enters an extracted pixel.
    readout_noise : float
        Readout noise of a detector pixel, electrons.
    """

    name: str
    resolving_power: float
    grid: WavelengthGrid
    coverage: tuple[float, float]
    gaps: tuple[tuple[float, float], ...]
    pixel_velocity: float
    spatial_pixels: float
    readout_noise: float

    def readout_variance(self, wavelength: NDArray[np.float64]) -> NDArray[np.float64]:
        """Readout variance, electrons^2, in a pixel of `grid` at these wavelengths (Angstrom).

        Examples
        --------
        >>> HARPS.readout_variance(np.array([5500.0])).round(1)
        array([76.6])
        """
        pixels = self.grid.step / (wavelength * self.pixel_velocity / SPEED_OF_LIGHT)
        return self.readout_noise**2 * self.spatial_pixels * pixels


HARPS = Spectrograph(
    name="HARPS",
    resolving_power=115_000,
    grid=HARPS_GRID,
    coverage=(3781.56, 6912.86),
    gaps=((5304.31, 5337.26),),
    pixel_velocity=0.82,
    spatial_pixels=4.8,
    readout_noise=4.9,
)
"""HARPS at the ESO 3.6-m telescope (Mayor et al. 2003, The Messenger 114, 20).

Coverage and gap are where s1d files of 2003-2012 begin, end and are zero, divided by 1 + BERV/c;
the gap's edges agree within 0.01 A among 27 of them. Pixel width at order centre and readout noise
(normal mode) are ESO's. The image of the fibre is taken as wide across the dispersion as along it,
3.2 pixels, so optimal extraction (Horne 1986, PASP 98, 609) has the noise of 2 sqrt(pi) sigma = 4.8
pixels.
"""


class PixelResponse(torch.nn.Module):
    """Line-spread function and pixels at once: logarithmic wavelengths in, pixels of a grid out.

    Each pixel of the grid is the integral over its width of the spectrum convolved with a Gaussian,
    divided by the width, so the flux density is conserved. The sum over the few samples within
    reach is exact for spectra that their sampling resolves.

    Parameters
    ----------
    grid : WavelengthGrid
        Pixels that come out.
    wavelength : float64[n]
        Wavelengths that go in, uniform in their logarithm, in the medium of the grid. They must
        reach past the grid, or pixels at its ends lack light.
    resolving_power : float
        Wavelength over the full width at half maximum of the Gaussian.
    """

    index: Tensor
    weight: Tensor

    REACH = 4.5  # standard deviations of the Gaussian

    def __init__(
        self, grid: WavelengthGrid, wavelength: NDArray[np.float64], *, resolving_power: float
    ) -> None:
        super().__init__()
        step = np.log(wavelength[-1] / wavelength[0]) / (len(wavelength) - 1)
        sigma = gaussian_width(resolving_power) / SPEED_OF_LIGHT / step
        edges = np.log(grid.edges / wavelength[0]) / step
        width = np.diff(edges)
        first = np.floor(edges[:-1] - self.REACH * sigma).astype(np.int64)
        count = int(np.ceil(width.max() + 2 * self.REACH * sigma)) + 2
        index = first[:, None] + np.arange(count)
        weight = ndtr((edges[1:, None] - index) / sigma) - ndtr((edges[:-1, None] - index) / sigma)
        weight = np.where((index >= 0) & (index < len(wavelength)), weight, 0.0)
        weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1e-30)
        index = index.clip(0, len(wavelength) - 1)
        self.register_buffer("index", torch.tensor(index, dtype=torch.int32), persistent=False)
        self.register_buffer("weight", torch.tensor(weight, dtype=torch.float32), persistent=False)

    def forward(self, flux: Tensor) -> Tensor:
        """Flux in the pixels of the grid, [batch, pixel], of flux [batch, n]."""
        # A weighted bag of rows is the fastest sparse product that torch has on a CPU.
        samples = functional.embedding_bag(
            self.index, flux.T.contiguous(), mode="sum", per_sample_weights=self.weight.to(flux)
        )
        return samples.T.contiguous()
