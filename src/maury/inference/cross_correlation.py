"""Radial velocities by the mean profile of many lines (Baranne et al. 1996, Pepe et al. 2002)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import curve_fit

from maury.errors import SpectrumError
from maury.inference.fit import SOLAR_LINE_SHIFT
from maury.instrument.telluric import Telluric
from maury.spectrum import Spectrum
from maury.synthesis.broadening import gaussian_width
from maury.synthesis.emulator import Emulator
from maury.wavelength import SPEED_OF_LIGHT, pixel_edges

__all__ = ["CrossCorrelation", "LineMask", "cross_correlate"]

HOLE = 0.82
"""Width of the hole that a mask has for a line, km/s: a pixel of HARPS (Mayor et al. 2003)."""

LEAST_DEPTH = 0.1
"""Of a line, in units of the continuum."""

LEAST_LINES = 20
"""Fewer have no mean profile to which a Gaussian is like."""

TELLURIC_DEPTH = 0.01
TELLURIC_REACH = 31.0  # km/s; the Earth's orbit and rotation allow no larger BERV


@dataclass(frozen=True)
class LineMask:
    """Lines by which a velocity is measured.

    Parameters
    ----------
    wavelength : float64[n]
        In air, at rest with the star, Angstrom, increasing.
    weight : float64[n]
        Their depths, as by Pepe et al. (2002).
    shift : float
        What the lines are shifted by where they arise, which is no velocity of the star: of the
        Sun's by gravitational redshift less convective blueshift. km/s.
    """

    wavelength: NDArray[np.float64]
    weight: NDArray[np.float64]
    shift: float = 0.0

    @classmethod
    @lru_cache(maxsize=8)
    def for_star(
        cls, teff: float, logg: float, mh: float, *, resolving_power: float = 115_000
    ) -> LineMask:
        """The minima of a computed spectrum, 4790-6910 A, telluric lines left out.

        The spectrum is of the embedded emulator, whose lines have positions of laboratories and
        strengths calibrated on the Sun, seen by an instrument. Blended lines are one, where their
        common profile has one minimum. The shift is the Sun's, so that sunlight has its true
        velocity, as with the masks of the HARPS pipeline.

        Parameters
        ----------
        teff, logg, mh : float
            Of a star like those to be measured: K, dex, dex.
        resolving_power : float
            Of the instrument.

        Examples
        --------
        >>> mask = LineMask.for_star(5000.0, 4.5, 0.0)
        >>> mask.wavelength.size > 1000, float(mask.weight.min()) >= 0.1
        (True, True)
        """
        emulator = Emulator.load()
        values = {"teff": teff, "logg": logg, "mh": mh, "vmic": 1.0}
        with torch.no_grad():
            flux = emulator.flux(torch.tensor([[values[name] for name in emulator.names]]))[0]
        width = gaussian_width(resolving_power) / emulator.velocity_step
        reach = int(np.ceil(5 * width))
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
        smooth = np.convolve(flux.numpy(), kernel / kernel.sum(), mode="same")
        wavelength, weight = _minima(emulator.wavelength[reach:-reach], smooth[reach:-reach])
        clean = ~_is_telluric(wavelength)
        return cls(wavelength[clean], weight[clean], SOLAR_LINE_SHIFT)


@dataclass(frozen=True)
class CrossCorrelation:
    """The mean profile of the lines of a mask, and a Gaussian fitted to it.

    Parameters
    ----------
    velocity : float64[n]
        km/s.
    profile : float64[n]
        Flux in the holes of the mask at that velocity, over its largest.
    rv : float
        Centre of the Gaussian less the mask's shift, km/s, in the frame of the spectrum.
    fwhm : float
        Its full width at half maximum, km/s.
    contrast : float
        Its depth over the continuum of the profile.
    lines : int
        How many lines were used.
    """

    velocity: NDArray[np.float64]
    profile: NDArray[np.float64]
    rv: float
    fwhm: float
    contrast: float
    lines: int


def cross_correlate(spectrum: Spectrum, mask: LineMask, velocity: ArrayLike) -> CrossCorrelation:
    """Correlate a spectrum with a mask of lines (Baranne et al. 1996, A&AS 119, 373, Sect. 3.2).

    At each velocity the flux that passes the holes of the mask, moved by it, is summed with the
    weights of the lines; the flux itself, not divided by a continuum, weighs them by the light that
    they were seen in. A line counts where all that it sweeps over is good.

    Parameters
    ----------
    spectrum
        In air.
    mask
        Lines at rest.
    velocity : array_like
        km/s, increasing; 20 km/s to either side of the star's velocity in steps of 0.25 or 0.5
        are usual.

    Raises
    ------
    SpectrumError
        If the wavelengths are in vacuum, too few lines are in the good part of the spectrum, or no
        dip is found between the first and the last velocity.
    """
    name = spectrum.meta.path or "The spectrum"
    if spectrum.medium != "air":
        raise SpectrumError(
            f"{name} has wavelengths in {spectrum.medium}; a mask of lines is in air."
        )
    velocity = np.asarray(velocity, dtype=np.float64)
    edges = pixel_edges(spectrum.wavelength)
    reach = np.array([velocity.min() - HOLE / 2, velocity.max() + HOLE / 2])
    swept = mask.wavelength[:, None] * (1 + reach / SPEED_OF_LIGHT)
    bad = np.concatenate(([0], np.cumsum(spectrum.mask)))
    first, last = np.searchsorted(edges, swept.T)
    inside = (first > 0) & (last < edges.size)
    first, last = first.clip(1), last.clip(max=edges.size - 1)
    used = inside & (bad[last] == bad[first - 1])
    if np.count_nonzero(used) < LEAST_LINES:
        raise SpectrumError(
            f"{name} has {np.count_nonzero(used)} lines of the mask in its good part; "
            f"{LEAST_LINES} are needed."
        )
    flux = np.where(spectrum.mask, 0.0, spectrum.flux)
    collected = np.concatenate(([0.0], np.cumsum(flux * np.diff(edges))))
    profile = np.zeros(velocity.size)
    lines, weight = mask.wavelength[used], mask.weight[used]
    for i, v in enumerate(velocity):
        blue, red = (lines * (1 + (v + side * HOLE / 2) / SPEED_OF_LIGHT) for side in (-1, 1))
        passed = np.interp(red, edges, collected) - np.interp(blue, edges, collected)
        # A hole is as wide in km/s for all, in A wider in the red.
        profile[i] = (weight * passed / lines).sum()
    profile /= profile.max()
    rv, fwhm, contrast = _fit_gaussian(velocity, profile, name)
    return CrossCorrelation(velocity, profile, rv - mask.shift, fwhm, contrast, lines.size)


def _fit_gaussian(
    velocity: NDArray[np.float64], profile: NDArray[np.float64], name: str
) -> tuple[float, float, float]:
    """Centre, full width at half maximum, and depth over the continuum."""

    def model(
        v: NDArray[np.float64], level: float, depth: float, centre: float, width: float
    ) -> NDArray[np.float64]:
        return level * (1 - depth * np.exp(-0.5 * ((v - centre) / width) ** 2))

    guess = (1.0, 1 - profile.min(), velocity[profile.argmin()], 3.0)
    try:
        (_, depth, centre, width), _ = curve_fit(model, velocity, profile, guess)
    except RuntimeError:
        depth, centre, width = 0.0, np.nan, np.nan
    if not (depth > 0 and velocity[0] < centre < velocity[-1]):
        raise SpectrumError(
            f"{name} has no dip in the mean of its lines between {velocity[0]:g} and "
            f"{velocity[-1]:g} km/s."
        )
    return float(centre), float(abs(width) * np.sqrt(8 * np.log(2))), float(depth)


def _minima(
    wavelength: NDArray[np.float64], flux: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions and depths of the minima, each by a parabola through three pixels."""
    before, middle, after = flux[:-2], flux[1:-1], flux[2:]
    at = np.flatnonzero((middle < before) & (middle <= after) & (1 - middle >= LEAST_DEPTH))
    slope = (after[at] - before[at]) / 2
    offset = -slope / (before[at] - 2 * middle[at] + after[at])
    step = wavelength[at + 2] - wavelength[at + 1]
    return wavelength[at + 1] + offset * step, 1 - middle[at]


def _is_telluric(wavelength: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether a telluric line may be there, at some BERV, at airmass 1.5 and 5 mm of water."""
    table = Telluric.load()
    depth = 1 - table.transmission(table.wavelength, 1.5, 5.0, resolving_power=115_000)
    deep = np.concatenate(([0], np.cumsum(depth > TELLURIC_DEPTH)))
    first, last = (
        np.searchsorted(table.wavelength, wavelength * (1 + side * TELLURIC_REACH / SPEED_OF_LIGHT))
        for side in (-1, 1)
    )
    return np.asarray(deep[last] > deep[first])
