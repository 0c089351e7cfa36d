"""Nights at La Silla: when a star is observed there, and what Earth, air and Moon then do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy import units as u
from astropy.coordinates import get_body_barycentric_posvel
from astropy.time import Time
from numpy.typing import NDArray

__all__ = ["NIGHTS", "Nights", "draw_nights"]

LATITUDE, LONGITUDE = -29.2584, -70.7345  # degrees, of the headers of HARPS
ROTATION = 0.4651 * np.cos(np.radians(LATITUDE))  # km/s, of the ground there about the axis

NIGHTS = (52936, 58920)
"""Modified Julian dates of the first and last exposure of Cvrcek et al. (2024), Sect. 3.1."""

HIGHEST_AIRMASS = 2.9  # of the same section's filters
PATIENCE = 0.3  # in airmass: how much lower than at its best a star is still observed
TWILIGHT = -12.0  # degrees, altitude of the Sun
HALF_NIGHT = 0.3  # days before and after midnight; the longest night has 0.25 of them
SYNODIC_MONTH, NEW_MOON = 29.530588861, 51549.5977  # days; MJD (Meeus 1998, Eq. 49.1)


@dataclass(frozen=True)
class Nights:
    """When stars are observed, and what that does to their spectra; all float64[exposure].

    Parameters
    ----------
    mjd
        Modified Julian date at the middle of the exposure.
    airmass
        Length of the path through the air in units of the vertical one.
    berv
        Velocity of the observer towards the star, km/s, as seen from the barycentre.
    moon
        Illuminated share of the Moon's disk.
    """

    mjd: NDArray[np.float64]
    airmass: NDArray[np.float64]
    berv: NDArray[np.float64]
    moon: NDArray[np.float64]


def draw_nights(
    ra: NDArray[np.float64], dec: NDArray[np.float64], random: np.random.Generator
) -> Nights:
    """Random nights on which stars are up in the dark.

    A night and an hour are drawn until the Sun is 12 degrees below the horizon and the star is
    above airmass 2.9; the further it is from its best, the more often they are drawn again.

    Parameters
    ----------
    ra, dec
        Of the star of each exposure, degrees, ICRS; south of +40 degrees.
    random
        Source of the random numbers.
    """
    mjd, air = np.empty((2, ra.size))
    best = airmass(np.sin(np.radians(90.0 - np.abs(dec - LATITUDE))))
    waiting = np.arange(ra.size)
    while waiting.size:
        night = random.integers(*NIGHTS, waiting.size)
        hour = random.uniform(-HALF_NIGHT, HALF_NIGHT, waiting.size)
        when = night - LONGITUDE / 360.0 + hour
        above = _sine_of_altitude(when, ra[waiting], dec[waiting])
        path = airmass(np.maximum(above, 0.2))
        wanted = np.exp((best[waiting] - path) / PATIENCE)
        taken = (path <= HIGHEST_AIRMASS) & (random.random(waiting.size) < wanted)
        taken &= _sine_of_altitude(when, *_sun(when)) < np.sin(np.radians(TWILIGHT))
        chosen = waiting[taken]
        mjd[chosen], air[chosen] = when[taken], path[taken]
        waiting = waiting[~taken]
    return Nights(mjd, air, barycentric_velocity(mjd, ra, dec), _moon(mjd))


def airmass(sine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Airmass at an altitude above 10 degrees (Young & Irvine 1967, AJ 72, 945).

    Examples
    --------
    >>> airmass(np.array([1.0, 0.5])).round(4)
    array([1.    , 1.9928])
    """
    secant = 1 / sine
    return secant * (1 - 0.0012 * (secant**2 - 1))


def barycentric_velocity(
    mjd: NDArray[np.float64], ra: NDArray[np.float64], dec: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Velocity of an observer at La Silla towards stars, km/s, to about 0.01.

    The Earth's is that of ERFA's epv00; the ground's follows from the hour angle.

    Parameters
    ----------
    mjd
        Modified Julian dates.
    ra, dec
        Degrees, ICRS.
    """
    # A minute between UTC and TDB changes the velocity by less than a metre a second.
    time = Time(mjd, format="mjd", scale="tdb")
    _, velocity = get_body_barycentric_posvel("earth", time, ephemeris="builtin")
    alpha, delta = np.radians(ra), np.radians(dec)
    towards = (np.cos(delta) * np.cos(alpha), np.cos(delta) * np.sin(alpha), np.sin(delta))
    orbit = np.einsum("ij,ij->j", velocity.xyz.to_value(u.km / u.s), np.stack(towards))
    hour = np.radians(_sidereal_time(mjd) - ra)
    return np.asarray(orbit - ROTATION * np.cos(delta) * np.sin(hour))


def _sidereal_time(mjd: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean local sidereal time, degrees (Meeus 1998, Eq. 12.4)."""
    return (280.46061837 + 360.98564736629 * (mjd - 51544.5) + LONGITUDE) % 360.0


def _sine_of_altitude(
    mjd: NDArray[np.float64], ra: NDArray[np.float64], dec: NDArray[np.float64]
) -> NDArray[np.float64]:
    hour = np.radians(_sidereal_time(mjd) - ra)
    delta, latitude = np.radians(dec), np.radians(LATITUDE)
    rising = np.cos(delta) * np.cos(latitude) * np.cos(hour)
    return np.asarray(np.sin(delta) * np.sin(latitude) + rising)


def _sun(mjd: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Right ascension and declination of the Sun, degrees, to 0.01 (Astronomical Almanac, C5)."""
    days = mjd - 51544.5
    anomaly = np.radians(357.528 + 0.9856003 * days)
    longitude = np.radians(
        280.460 + 0.9856474 * days + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2 * anomaly)
    )
    tilt = np.radians(23.439 - 4e-7 * days)
    ra = np.arctan2(np.cos(tilt) * np.sin(longitude), np.cos(longitude))
    return np.degrees(ra), np.degrees(np.arcsin(np.sin(tilt) * np.sin(longitude)))


def _moon(mjd: NDArray[np.float64]) -> NDArray[np.float64]:
    """Illuminated share of the disk, as if its orbit were round."""
    return np.asarray((1 - np.cos(2 * np.pi * (mjd - NEW_MOON) / SYNODIC_MONTH)) / 2)
