"""Which pixels of a spectrum lie in absorption lines."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

__all__ = ["line_pixels"]

SMOOTHED = 0.1  # Angstrom: what is narrower is no line of a star
BLOCK = 20.0  # Angstrom: more than the core of a line, less than ripples of an order's blaze
CONTINUUM_QUANTILE = 0.95
NORMAL_QUANTILE = 1.645  # the same of a standard normal variable
LEAST_FILLED = 0.1  # part of a block that must be valid to tell its continuum
# Pixels that are nearer share the noise of a detector's pixel, of 0.016 A in HARPS.
INDEPENDENT = 0.02  # Angstrom
QUARTILE = 0.31864  # of the absolute value of a standard normal variable


def line_pixels(
    spectra: NDArray[np.floating],
    valid: NDArray[np.bool_],
    wavelength: NDArray[np.float64],
    *,
    depth: float = 0.05,
    sigma: float = 3.0,
) -> NDArray[np.bool_]:
    """Which valid pixels lie in absorption lines; the other valid ones are continuum.

    The flux, averaged over 0.1 Angstrom, lies below the continuum by more than `depth` of it plus
    `sigma` times its own noise. The continuum is the 95th percentile of that average in blocks of
    20 Angstrom, less what noise adds to it, and linear in between: a local one, to which the wings
    of the widest lines and the blends of the blue belong. The noise is told in each block by how
    pixels differ from the mean of their neighbours (as in DER_SNR, Stoehr et al. 2008, ASPC 394,
    505); on a coarse grid, lines add to it.

    Spectra themselves tell their lines, and not the reconstructions under test, so that all models
    are judged by the same pixels. Where noise-free spectra are known, as of simulated ones, give
    them instead. In noisy spectra, weak lines count as continuum; emission always does.

    Parameters
    ----------
    spectra : float[spectrum, pixel]
        Relative flux; anything where it is not valid.
    valid : bool[spectrum, pixel]
        Which pixels count.
    wavelength : float64[pixel]
        Angstrom, of equal steps, in any medium and frame.
    depth : float
        Of the continuum.
    sigma : float
        In standard deviations of the averaged flux.

    Returns
    -------
    bool[spectrum, pixel]
        False where not valid.
    """
    step = (wavelength[-1] - wavelength[0]) / (wavelength.size - 1)
    flux = np.where(valid, spectra, np.float32(0)).astype(np.float32, copy=False)
    width = 2 * int(SMOOTHED / 2 / step + 1e-6) + 1  # no wider, but for rounding
    average = _average(flux, valid, width)
    block = max(1, round(BLOCK / step))
    near = max(1, round(INDEPENDENT / step))
    jumps, whole = _jumps(flux, valid, near)
    # Structure makes some jumps, so that their lower quartile tells noise better than the median.
    noise = _block_quantile(jumps, whole, block, 0.25) / QUARTILE / np.sqrt(1.5)
    noise /= np.sqrt(max(1.0, width * step / max(step, INDEPENDENT)))
    # Noise alone has its upper quantile above the continuum.
    level = _block_quantile(average, valid, block, CONTINUUM_QUANTILE) - NORMAL_QUANTILE * noise
    limit = _between_blocks((1 - depth) * level - sigma * noise, block, wavelength.size)
    return valid & (average < limit)


def _average(
    flux: NDArray[np.float32], valid: NDArray[np.bool_], width: int
) -> NDArray[np.float32]:
    """Mean of the valid pixels among the `width` around each; zero where there are none."""
    total = uniform_filter1d(flux, width, axis=1, mode="constant")
    share = uniform_filter1d(valid.astype(np.float32), width, axis=1, mode="constant")
    return np.where(share > 0.5 / width, total / np.maximum(share, 0.5 / width), 0)


def _jumps(
    flux: NDArray[np.float32], valid: NDArray[np.bool_], near: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """How far each pixel is from the mean of both neighbours, and where all three are valid."""
    jumps, whole = np.zeros_like(flux), np.zeros_like(valid)
    left, right, middle = slice(None, -2 * near), slice(2 * near, None), slice(near, -near)
    jumps[:, middle] = np.abs(flux[:, middle] - (flux[:, left] + flux[:, right]) / 2)
    whole[:, middle] = valid[:, left] & valid[:, middle] & valid[:, right]
    return jumps, whole


def _block_quantile(
    values: NDArray[np.float32], valid: NDArray[np.bool_], block: int, quantile: float
) -> NDArray[np.float64]:
    """Quantile of the valid values in each block of pixels; NaN where hardly any are."""
    rest = -values.shape[1] % block
    padded = np.pad(np.where(valid, values, np.inf), ((0, 0), (0, rest)), constant_values=np.inf)
    ordered = np.sort(padded.reshape(len(values), -1, block), axis=2)
    count = np.isfinite(ordered).sum(axis=2)
    index = np.floor(quantile * np.maximum(count - 1, 0)).astype(np.intp)
    found = np.take_along_axis(ordered, index[..., None], axis=2)[..., 0].astype(np.float64)
    return np.where(count > LEAST_FILLED * block, found, np.nan)


def _between_blocks(values: NDArray[np.float64], block: int, size: int) -> NDArray[np.float64]:
    """Linear between the centres of blocks that have a value; NaN for a spectrum without any."""
    center = block * (np.arange(values.shape[1]) + 0.5) - 0.5
    found = np.full((len(values), size), np.nan)
    for row, known in enumerate(np.isfinite(values)):
        if known.any():
            found[row] = np.interp(np.arange(size), center[known], values[row, known])
    return found
