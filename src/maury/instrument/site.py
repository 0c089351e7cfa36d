"""An observing site: extinction, seeing and the brightness of the sky."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy import constants
from numpy.typing import ArrayLike, NDArray

from maury.data import load_table

__all__ = ["LA_SILLA", "PHOTON_ENERGY", "Site", "fibre_coupling", "lunar_illumination"]

PHOTON_ENERGY = float((constants.h * constants.c).to_value("erg AA"))
"""Energy of a photon times its wavelength, erg Angstrom."""

SEEING_WAVELENGTH = 5000.0  # Angstrom, at which seeing is quoted


def fibre_coupling(
    wavelength: ArrayLike, *, seeing: ArrayLike, airmass: ArrayLike, diameter: float
) -> NDArray[np.float64]:
    """Share of a star's light that enters a round fibre on which it is centred.

    The image is a Gaussian whose full width at half maximum is seeing X^0.6 (lambda/5000 A)^-0.2
    (Kolmogorov turbulence), so the share is 1 - 2^-(diameter / width)^2.

    Parameters
    ----------
    wavelength : array_like
        Angstrom.
    seeing : array_like
        Full width at half maximum at the zenith at 5000 Angstrom, arcsec.
    airmass : array_like
        Length of the path through the air in units of the vertical one.
    diameter : float
        Of the fibre on the sky, arcsec.

    Examples
    --------
    >>> fibre_coupling(5000.0, seeing=1.0, airmass=1.0, diameter=1.0).item()
    0.5
    """
    width = np.asarray(seeing) * np.asarray(airmass) ** 0.6
    width = width * (np.asarray(wavelength) / SEEING_WAVELENGTH) ** -0.2
    return np.asarray(1 - 2.0 ** (-((diameter / width) ** 2)))


def lunar_illumination(days: ArrayLike) -> NDArray[np.float64]:
    """Illuminated share of the Moon's disk so many days after new moon, 14 to full moon.

    Examples
    --------
    >>> lunar_illumination([0, 7, 14])
    array([0. , 0.5, 1. ])
    """
    return np.asarray((1 - np.cos(np.pi / 14 * np.asarray(days, dtype=np.float64))) / 2)


@dataclass(frozen=True, eq=False)
class Site:
    """What the night is like.

    Parameters
    ----------
    name : str
        What it is called.
    extinction_wavelength, extinction : float64[n]
        Angstrom and magnitudes an airmass; constant beyond the ends.
    sky_wavelength : float64[m]
        Angstrom.
    sky_radiance : float64[15, m]
        Continuum of the night sky, 0 to 14 days from new moon, 1e-17 erg/s/cm2/A/arcsec2, with
        the Moon 45 degrees from the star and as high.
    line_wavelength, line_radiance : float64[k]
        Lines of the night sky, in the same unit.

    Examples
    --------
    >>> float(LA_SILLA.extinction_at(5500.0))
    0.11
    >>> dark, bright = (LA_SILLA.sky(np.array([5470.0]), moon).item() for moon in (0.0, 1.0))
    >>> round(bright / dark)
    45
    """

    name: str
    extinction_wavelength: NDArray[np.float64]
    extinction: NDArray[np.float64]
    sky_wavelength: NDArray[np.float64]
    sky_radiance: NDArray[np.float64]
    line_wavelength: NDArray[np.float64]
    line_radiance: NDArray[np.float64]

    def extinction_at(self, wavelength: ArrayLike) -> NDArray[np.float64]:
        """Magnitudes an airmass, without the lines of oxygen and water."""
        return np.asarray(
            np.interp(np.asarray(wavelength), self.extinction_wavelength, self.extinction)
        )

    def sky_continuum(self, wavelength: ArrayLike, moon: ArrayLike) -> NDArray[np.float64]:
        """Continuum of the sky, photons/s/cm2/A/arcsec2, shape of `moon` + that of `wavelength`.

        Linear in the illuminated share of the Moon between the phases of the table.
        """
        wave, share = np.asarray(wavelength), np.asarray(moon, dtype=np.float64)
        radiance = np.stack([np.interp(wave, self.sky_wavelength, x) for x in self.sky_radiance])
        position = np.interp(share, lunar_illumination(np.arange(15)), np.arange(15.0))
        first = np.minimum(position.astype(int), 13)
        weight = (position - first).reshape(share.shape + (1,) * wave.ndim)
        energy = (1 - weight) * radiance[first] + weight * radiance[first + 1]
        return np.asarray(energy * 1e-17 * wave / PHOTON_ENERGY)

    def sky_lines(self, wavelength: ArrayLike) -> NDArray[np.float64]:
        """Emission lines of the night sky, photons/s/cm2/A/arcsec2."""
        wave = np.asarray(wavelength)
        energy = np.interp(wave, self.line_wavelength, self.line_radiance, left=0.0, right=0.0)
        return np.asarray(energy * 1e-17 * wave / PHOTON_ENERGY)

    def sky(self, wavelength: ArrayLike, moon: ArrayLike) -> NDArray[np.float64]:
        """Continuum and lines of the sky, photons/s/cm2/A/arcsec2."""
        return self.sky_continuum(wavelength, moon) + self.sky_lines(wavelength)


def _la_silla() -> Site:
    table = load_table("la_silla")
    return Site(
        name="La Silla",
        extinction_wavelength=table["extinction"][0],
        extinction=table["extinction"][1],
        sky_wavelength=table["sky_wavelength"],
        sky_radiance=table["sky_radiance"].astype(np.float64),
        line_wavelength=table["sky_line_wavelength"].astype(np.float64),
        line_radiance=table["sky_line_radiance"].astype(np.float64),
    )


LA_SILLA = _la_silla()
"""La Silla: extinction of 1977 (The Messenger 11), sky of SkyCalc and Hanuschik 2003."""
