"""Where stars are in the sky at some time, and how far from something else."""

from __future__ import annotations

import erfa
import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["ARCSEC", "angle", "at_time", "direction", "epoch_mjd", "position", "velocity"]

ARCSEC = float(np.pi / 648_000)
"""Radians."""

MAS = ARCSEC / 1000
J2000, YEAR = 51544.5, 365.25  # MJD of the epoch (TT; a minute makes no difference), days

Array = NDArray[np.float64]


def direction(ra: ArrayLike, dec: ArrayLike) -> Array:
    """Unit vectors of positions.

    Parameters
    ----------
    ra, dec : array_like
        Degrees.

    Returns
    -------
    float64[..., 3]
    """
    return np.asarray(erfa.s2c(np.radians(ra), np.radians(dec)))


def position(vector: Array) -> tuple[Array, Array]:
    """Right ascension and declination of vectors, degrees.

    Examples
    --------
    >>> ra, dec = position(direction([219.9, 10.0], [-60.8, 0.0]))
    >>> ra.round(9).tolist(), dec.round(9).tolist()
    ([219.9, 10.0], [-60.8, 0.0])
    """
    ra, dec = erfa.c2s(vector)
    return np.degrees(ra) % 360.0, np.degrees(dec)


def velocity(ra: ArrayLike, dec: ArrayLike, pmra: ArrayLike, pmdec: ArrayLike) -> Array:
    """Proper motion as a vector that stands on the direction, radians a year.

    Parameters
    ----------
    ra, dec : array_like
        Where it was measured, degrees.
    pmra, pmdec : array_like
        mas/yr, pmra on the sky, that is with the factor cos(dec); NaN counts as none.

    Returns
    -------
    float64[..., 3]
    """
    alpha, delta = np.radians(ra), np.radians(dec)
    zero = np.zeros_like(alpha)
    east = np.stack([-np.sin(alpha), np.cos(alpha), zero], -1)
    north = np.stack(
        [-np.sin(delta) * np.cos(alpha), -np.sin(delta) * np.sin(alpha), np.cos(delta)], -1
    )
    motion = (np.nan_to_num(np.asarray(each, dtype=np.float64)) * MAS for each in (pmra, pmdec))
    along_east, along_north = motion
    return np.asarray(along_east[..., None] * east + along_north[..., None] * north)


def at_time(vector: Array, motion: Array, epoch: ArrayLike, mjd: ArrayLike) -> Array:
    """Directions of stars that move on straight lines at no speed along the line of sight.

    Without parallax and radial velocity this is the space motion of the Hipparcos catalogue (ESA
    1997, Vol. 1, Eq. 1.5.15), which `astropy.coordinates.SkyCoord.apply_space_motion` computes too.

    Parameters
    ----------
    vector, motion : float64[..., 3]
        Of `direction` and `velocity`.
    epoch : array_like
        When they hold, Julian years.
    mjd : array_like
        When they are wanted.

    Returns
    -------
    float64[..., 3]
        Unit vectors.

    Examples
    --------
    Barnard's star moves by 10.39 arcsec a year.

    >>> place, motion = direction(269.452, 4.693), velocity(269.452, 4.693, -801.55, 10362.39)
    >>> later = at_time(place, motion, 2000.0, epoch_mjd(2016.0))
    >>> round(float(angle(place, later)) / 16, 2)
    10.39
    """
    years = (np.asarray(mjd, dtype=np.float64) - epoch_mjd(epoch)) / YEAR
    moved = vector + motion * years[..., None]
    return np.asarray(moved / np.linalg.norm(moved, axis=-1, keepdims=True))


def epoch_mjd(epoch: ArrayLike) -> Array:
    """Modified Julian date of a Julian year."""
    return np.asarray(J2000 + (np.asarray(epoch, dtype=np.float64) - 2000.0) * YEAR)


def angle(first: Array, second: Array) -> Array:
    """Angle between unit vectors, arcsec, also where it is tiny.

    Examples
    --------
    >>> float(angle(direction(10.0, 60.0), direction(10.001, 60.0)).round(6))
    1.8
    """
    half = np.linalg.norm(first - second, axis=-1) / 2
    return np.asarray(2 * np.arcsin(np.minimum(half, 1.0)) / ARCSEC)
