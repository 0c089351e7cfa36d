"""Which stars stand near which positions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from maury.archive.motion import ARCSEC, angle, direction
from maury.errors import ArchiveError

__all__ = ["checked_positions", "pairs"]


def checked_positions(ra: ArrayLike, dec: ArrayLike) -> tuple[NDArray, NDArray]:
    """Right ascensions (0 to 360) and declinations as they can be sent to a service.

    Parameters
    ----------
    ra, dec : array_like, shape (n,)
        Degrees, ICRS.

    Raises
    ------
    ArchiveError
        If they are not as many, not finite, or beyond the poles.
    """
    east, north = np.atleast_1d(np.asarray(ra, float)), np.atleast_1d(np.asarray(dec, float))
    if east.shape != north.shape or east.ndim != 1:
        raise ArchiveError(
            f"Right ascensions and declinations must be as many, not {east.size} and {north.size}."
        )
    wrong = ~(np.isfinite(east) & (np.abs(north) <= 90))
    if wrong.any():
        first = int(np.argmax(wrong))
        raise ArchiveError(
            f"Position {first} ({east[first]}, {north[first]}) is none: it takes degrees, "
            "with declinations from -90 to 90."
        )
    return east % 360, north


def pairs(
    ra: NDArray, dec: NDArray, star_ra: NDArray, star_dec: NDArray, radius: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """All pairs of a position and a star that are at most a radius apart.

    Parameters
    ----------
    ra, dec : ndarray, shape (n,)
        The positions, degrees.
    star_ra, star_dec : ndarray, shape (m,)
        The stars, degrees.
    radius : float
        Arcsec.

    Returns
    -------
    position, star : ndarray of int, shape (p,)
        Which position and which star; by position, and from the nearest star outwards.
    separation : ndarray, shape (p,)
        Arcsec.

    Examples
    --------
    >>> found = pairs(np.array([10.0]), np.array([60.0]), np.array([10.002]), np.array([60.0]), 5.0)
    >>> [values.round(3).tolist() for values in found]
    [[0], [0], [3.6]]
    """
    here, there = direction(ra, dec), direction(star_ra, star_dec)
    if len(here) == 0 or len(there) == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
    near = cKDTree(there).query_ball_point(here, 2 * np.sin(radius * ARCSEC / 2))
    position = np.repeat(np.arange(len(here)), [len(stars) for stars in near])
    star = np.fromiter((one for stars in near for one in stars), np.int64, len(position))
    separation = angle(here[position], there[star])
    order = np.lexsort((separation, position))
    return position[order], star[order], separation[order]
