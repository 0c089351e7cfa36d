"""Parts of the sky, for questions to ESO's archive."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maury.errors import ArchiveError

__all__ = ["Box", "Cone", "QuestionError", "number"]


class QuestionError(ArchiveError):
    """Limits that no spectrum can be within."""

    exit_code = 2


@dataclass(frozen=True)
class Cone:
    """A circle on the sky.

    Parameters
    ----------
    ra, dec : float
        Its centre, degrees ICRS.
    radius : float
        Arcsec.
    """

    ra: float
    dec: float
    radius: float

    @classmethod
    def of_star(
        cls, ra: float, dec: float, pmra: float, pmdec: float, radius: float, until: float
    ) -> Cone:
        """The circle within which a star was pointed at, from J2000 on.

        Parameters
        ----------
        ra, dec
            Where it was at the epoch J2000, degrees ICRS.
        pmra, pmdec
            Its proper motion, mas/yr, the former with the factor cos(dec); NaN for none.
        radius
            How far from the star, wherever it was, the telescope may have pointed, arcsec.
            Observers also give positions of J2000, which the circle has too.
        until
            The last epoch, a Julian year.

        Examples
        --------
        Barnard's star moves by 10.4 arcsec a year:

        >>> Cone.of_star(269.45, 4.69, -801.6, 10362.4, 30.0, 2020.0).radius
        133.9...
        """
        east, north = (0.0 if math.isnan(motion) else motion / 1000 for motion in (pmra, pmdec))
        half = max(until - 2000, 0.0) / 2
        across = 3600 * max(math.cos(math.radians(dec)), 1e-6)
        middle = min(max(dec + north * half / 3600, -90.0), 90.0)
        return cls(
            (ra + east * half / across) % 360, middle, radius + math.hypot(east, north) * half
        )

    def box(self) -> Box:
        """The smallest box around it."""
        height = self.radius / 3600
        south, north = self.dec - height, self.dec + height
        if south <= -90 or north >= 90:
            return Box(0.0, 360.0, max(south, -90.0), min(north, 90.0))
        width = math.degrees(
            math.asin(math.sin(math.radians(height)) / math.cos(math.radians(self.dec)))
        )
        if width >= 180:
            return Box(0.0, 360.0, south, north)
        return Box((self.ra - width) % 360, (self.ra + width) % 360, south, north)

    def holds(self, ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which positions (degrees ICRS) are within it; by the haversine formula."""
        dec_a, dec_b = np.radians(dec), math.radians(self.dec)
        half = np.sin(np.radians(ra - self.ra) / 2) ** 2 * np.cos(dec_a) * math.cos(dec_b)
        square = np.sin((dec_a - dec_b) / 2) ** 2 + half
        within: NDArray[np.bool_] = square <= math.sin(math.radians(self.radius / 3600) / 2) ** 2
        return within


@dataclass(frozen=True)
class Box:
    """A part of the sky between two right ascensions and two declinations.

    Parameters
    ----------
    west, east : float
        Right ascensions, degrees; the box goes eastwards from the former to the latter, over 0 if
        the latter is smaller.
    south, north : float
        Declinations, degrees.

    Raises
    ------
    QuestionError
        If these are no such angles.
    """

    west: float
    east: float
    south: float
    north: float

    def __post_init__(self) -> None:
        inside = all(0 <= ra <= 360 for ra in (self.west, self.east))
        if not (inside and -90 <= self.south < self.north <= 90):
            raise QuestionError(
                f"There is no box {self.west:g},{self.east:g},{self.south:g},{self.north:g}; it is "
                "two right ascensions within 0 to 360 and two declinations, the lower one first, "
                "within -90 to 90 degrees."
            )

    def adql(self) -> str:
        """The condition on ``s_ra`` and ``s_dec``."""
        dec = f"s_dec BETWEEN {number(self.south)} AND {number(self.north)}"
        west, east = number(self.west), number(self.east)
        if self.west <= self.east:
            return f"({dec} AND s_ra BETWEEN {west} AND {east})"
        return f"({dec} AND (s_ra >= {west} OR s_ra <= {east}))"


def number(value: float) -> str:
    """As ADQL writes it, to the last digit."""
    return repr(float(value))
