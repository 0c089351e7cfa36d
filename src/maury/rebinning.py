"""Flux-conserving rebinning of arrays, with uncertainty and mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from maury.wavelength import pixel_edges

__all__ = ["Pixels", "rebin"]


@dataclass(frozen=True)
class Pixels:
    """Adjoining pixels: their edges, and what each holds.

    Parameters
    ----------
    edges : float64[n + 1]
        Pixel edges, Angstrom, strictly increasing.
    flux : float64[n]
        Mean flux density of each pixel.
    variance : float64[n], optional
        Its variance.
    bad : bool[n]
        True where the pixel must not be used.
    """

    edges: NDArray[np.float64]
    flux: NDArray[np.float64]
    variance: NDArray[np.float64] | None
    bad: NDArray[np.bool_]

    @classmethod
    def from_samples(
        cls,
        wavelength: NDArray[np.float64],
        flux: NDArray[np.float64],
        variance: NDArray[np.float64] | None,
        bad: NDArray[np.bool_],
    ) -> Pixels:
        """Pixels around samples, with a bad pixel in each hole that the samples leave.

        A hole is a step of more than three times the smaller of the two steps beside it, as
        where a file leaves out the pixels of a gap.

        Examples
        --------
        >>> wavelength = np.array([1.0, 2.0, 3.0, 9.0, 10.0])
        >>> pixels = Pixels.from_samples(wavelength, np.ones(5), None, np.zeros(5, dtype=bool))
        >>> pixels.edges
        array([ 0.5, 1.5, 2.5, 3.5, 8.5, 9.5, 10.5])
        >>> pixels.bad
        array([False, False, False, True, False, False])
        """
        step = np.diff(wavelength)
        beside = np.minimum(np.append(step[1:], np.inf), np.insert(step[:-1], 0, np.inf))
        holes = np.flatnonzero(step > 3 * beside)
        edges = pixel_edges(wavelength)
        if holes.size:
            left = wavelength[holes] + beside[holes] / 2
            right = wavelength[holes + 1] - beside[holes] / 2
            edges = np.sort(np.concatenate((np.delete(edges, holes + 1), left, right)))
            flux = np.insert(flux, holes + 1, 0.0)
            bad = np.insert(bad, holes + 1, True)
            if variance is not None:
                variance = np.insert(variance, holes + 1, 0.0)
        if variance is not None:
            variance = np.where(bad, 0.0, variance)
        return cls(edges, np.where(bad, 0.0, flux), variance, bad)


def rebin(pixels: Pixels, edges: NDArray[np.float64], max_bad_fraction: float) -> Pixels:
    """What adjoining pixels with other edges hold.

    The running integral of the flux is interpolated by a cubic spline and differenced at the new
    edges; bad pixels are bridged linearly first, so that their values do not ring. The variance
    is the mean variance over the new pixel, divided by the number of old pixels in it where that
    is above one.

    Parameters
    ----------
    pixels : Pixels
        What there is; at least one pixel must be good.
    edges : float64[m + 1]
        Edges of the new pixels, Angstrom, strictly increasing.
    max_bad_fraction : float
        A new pixel is bad when more than this fraction of it comes from bad or absent pixels.

    Returns
    -------
    Pixels
        Bad ones have zero flux and infinite variance.
    """
    old_width, width = np.diff(pixels.edges), np.diff(edges)
    inside = np.clip(edges, pixels.edges[0], pixels.edges[-1])
    covered = np.diff(inside)

    def integral(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.concatenate(([0.0], np.cumsum(values * old_width)))

    def inner(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.diff(np.interp(inside, pixels.edges, integral(values)))

    flux = pixels.flux
    if pixels.bad.any():
        center, good = (pixels.edges[1:] + pixels.edges[:-1]) / 2, ~pixels.bad
        flux = np.interp(center, center[good], flux[good])
    total = np.diff(CubicSpline(pixels.edges, integral(flux))(inside))
    absent = inner(pixels.bad.astype(np.float64)) + (width - covered)
    bad = absent > max_bad_fraction * width
    used = np.where(bad, 1.0, covered)
    variance = None
    if pixels.variance is not None:
        # Counted as a sum over old pixels, the number holds where their width changes, too.
        number = np.maximum(inner(1 / old_width), 1.0)
        variance = np.where(bad, np.inf, inner(pixels.variance) / used / number)
    return Pixels(edges, np.where(bad, 0.0, total / used), variance, bad)
