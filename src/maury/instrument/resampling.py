"""Spectra brought to a spectrograph's resolution, and shifted along its grid."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from torch import Tensor

from maury.errors import GridError
from maury.grid import WavelengthGrid
from maury.instrument.spectrograph import PixelResponse

__all__ = ["at_resolution", "shifted"]


def at_resolution(
    wavelength: NDArray[np.float64],
    flux: NDArray[np.float64],
    grid: WavelengthGrid,
    resolving_power: float,
) -> Tensor:
    """A spectrum as a spectrograph would show it without air, noise and blaze.

    Convolved with a Gaussian and integrated over the pixels, as flux density. Beyond the spectrum
    its last values go on.

    Parameters
    ----------
    wavelength, flux : float64[n]
        In the medium of the grid; flux density in any unit, resolved.
    grid : WavelengthGrid
        The pixels.
    resolving_power : float
        Wavelength over the full width at half maximum of the Gaussian.

    Returns
    -------
    Tensor
        float32 [1, pixel]

    Raises
    ------
    GridError
        If spectrum and grid do not overlap.

    Examples
    --------
    >>> grid = WavelengthGrid(start=5480.0, step=0.01, size=64)
    >>> wavelength = np.arange(5479.0, 5482.0, 0.005)
    >>> flux = 3.0 + 0.0 * wavelength
    >>> at_resolution(wavelength, flux, grid, 115_000)[0, :3]
    tensor([3.0000, 3.0000, 3.0000])
    """
    if wavelength[-1] < grid.start or wavelength[0] > grid.stop:
        raise GridError(
            f"A spectrum of {wavelength[0]:.1f}-{wavelength[-1]:.1f} A misses the grid "
            f"{grid.start:.1f}-{grid.stop:.1f} A."
        )
    step, reach = 0.25 / resolving_power, 5 / resolving_power
    log_wave = np.arange(np.log(grid.edges[0]) - reach, np.log(grid.edges[-1]) + reach, step)
    inside = np.clip(np.exp(log_wave), wavelength[0], wavelength[-1])
    samples = torch.tensor(CubicSpline(wavelength, flux)(inside), dtype=torch.float32)
    return PixelResponse(grid, np.exp(log_wave), resolving_power=resolving_power)(samples[None])


def shifted(rows: Tensor, factor: Tensor, grid: WavelengthGrid) -> Tensor:
    """Spectra whose wavelengths have been multiplied by a factor, back on the grid.

    The flux density in a pixel keeps its value (F_lambda is not divided by the factor). Cubic
    convolution (Keys 1981, IEEE Trans. ASSP 29, 1153): exact for parabolas.

    Parameters
    ----------
    rows : Tensor
        [batch or 1, pixel]
    factor : Tensor
        float64[batch]
    grid : WavelengthGrid
        Of both.
    """
    pixel = torch.arange(grid.size, device=rows.device)
    slope = (1 / factor - 1)[:, None]
    offset = ((grid.start / grid.step) + pixel.double()) * slope
    whole = torch.floor(offset)
    share = (offset - whole).to(rows.dtype)
    index = pixel + whole.long()
    rows = rows.expand(len(factor), -1)
    weights = (
        ((-0.5 * share + 1) * share - 0.5) * share,
        (1.5 * share - 2.5) * share**2 + 1,
        ((-1.5 * share + 2) * share + 0.5) * share,
        (0.5 * share - 0.5) * share**2,
    )
    return sum(  # type: ignore[return-value]
        w * rows.gather(1, (index + k).clamp(0, grid.size - 1))
        for k, w in zip((-1, 0, 1, 2), weights, strict=True)
    )
