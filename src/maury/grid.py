"""Wavelength grids: a value made of start, step, size, medium and the zones without signal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from maury.errors import GridError

__all__ = [
    "GRIDS",
    "HARPS",
    "HARPS_HALF",
    "HARPS_SMALL",
    "HARPS_TINY",
    "Medium",
    "WavelengthGrid",
]

Medium = Literal["air", "vacuum"]


@dataclass(frozen=True)
class WavelengthGrid:
    """An evenly spaced wavelength grid.

    Parameters
    ----------
    start : float
        Wavelength of the centre of the first pixel, in Angstrom.
    step : float
        Width of a pixel, in Angstrom.
    size : int
        Number of pixels.
    medium : {"air", "vacuum"}
        The medium in which the wavelengths are measured.
    gaps : tuple of (float, float)
        Wavelength intervals without signal, in Angstrom: gaps between detectors, and the padding
        outside the data. A pixel is invalid when any part of it lies inside such an interval.
    name : str
        What the grid is called in cards and on the command line.

    Raises
    ------
    GridError
        If the start, step or size is not positive, or a gap is not an interval.

    Examples
    --------
    >>> grid = WavelengthGrid(start=5000.0, step=0.5, size=4, gaps=((5000.9, 5001.1),))
    >>> grid.wavelength
    array([5000. , 5000.5, 5001. , 5001.5])
    >>> grid.valid
    array([ True,  True, False,  True])
    >>> grid.stop
    5001.5
    """

    start: float
    step: float
    size: int
    medium: Medium = "air"
    gaps: tuple[tuple[float, float], ...] = ()
    name: str = ""

    def __post_init__(self) -> None:
        gaps = tuple((float(lower), float(upper)) for lower, upper in self.gaps)
        object.__setattr__(self, "gaps", gaps)
        label = f"Wavelength grid {self.name!r}"
        for key in ("start", "step"):
            value = getattr(self, key)
            if not (math.isfinite(value) and value > 0):
                raise GridError(
                    f"{label}: {key} must be a positive number of Angstrom, not {value}."
                )
        if self.size < 1:
            raise GridError(f"{label}: size must be at least 1 pixel, not {self.size}.")
        if self.medium not in ("air", "vacuum"):
            raise GridError(f"{label}: medium must be 'air' or 'vacuum', not {self.medium!r}.")
        for lower, upper in gaps:
            if not lower < upper:
                raise GridError(
                    f"{label}: a gap must rise from low to high, not {lower}-{upper} A."
                )

    @property
    def stop(self) -> float:
        """Wavelength of the centre of the last pixel, in Angstrom."""
        return self.start + self.step * (self.size - 1)

    @cached_property
    def wavelength(self) -> NDArray[np.float64]:
        """Wavelengths of the pixel centres, Angstrom, float64[size], read-only."""
        wavelength = self.start + self.step * np.arange(self.size, dtype=np.float64)
        wavelength.flags.writeable = False
        return wavelength

    @cached_property
    def edges(self) -> NDArray[np.float64]:
        """Wavelengths of the pixel edges, Angstrom, float64[size + 1], read-only."""
        edges = self.start + self.step * (np.arange(self.size + 1, dtype=np.float64) - 0.5)
        edges.flags.writeable = False
        return edges

    @cached_property
    def valid(self) -> NDArray[np.bool_]:
        """True where no part of the pixel lies in a gap, bool[size], read-only."""
        valid = np.ones(self.size, dtype=bool)
        for lower, upper in self.gaps:
            valid &= (self.edges[1:] <= lower) | (self.edges[:-1] >= upper)
        valid.flags.writeable = False
        return valid

    def to_dict(self) -> dict[str, Any]:
        """The grid as plain values, for a JSON card."""
        return {
            "name": self.name,
            "start": self.start,
            "step": self.step,
            "size": self.size,
            "medium": self.medium,
            "gaps": [list(gap) for gap in self.gaps],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> WavelengthGrid:
        """The grid that `to_dict` described.

        Raises
        ------
        GridError
            If an entry is missing or not of the right kind.

        Examples
        --------
        >>> WavelengthGrid.from_dict(HARPS.to_dict()) == HARPS
        True
        """
        try:
            return cls(
                start=float(values["start"]),
                step=float(values["step"]),
                size=int(values["size"]),
                medium=values["medium"],
                gaps=tuple((float(lower), float(upper)) for lower, upper in values["gaps"]),
                name=str(values["name"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise GridError(
                f"The description of a wavelength grid is damaged ({error!r})."
            ) from error


HARPS = WavelengthGrid(
    name="harps",
    start=3709.11,
    step=0.01,
    size=2**18 + 2**16,
    medium="air",
    gaps=((3709.105, 3784.99), (5303.64, 5338.04), (6910.01, 6985.905)),
)
"""The grid of Sect. 2.1 of Cvrcek et al. (2024): 327,680 pixels of 0.01 A in air, barycentric.

The data range, 3785.00-6910.00 A, is padded evenly to 2^18 + 2^16 pixels; the padding and the gap
between the two CCDs are its gaps.
"""

HARPS_HALF = WavelengthGrid(
    name="harps-half",
    start=3709.115,
    step=0.02,
    size=HARPS.size // 2,
    medium="air",
    gaps=HARPS.gaps,
)
"""Pairs of the pixels of `HARPS`: 163,840 of 0.02 A. One is valid where both of the pair are."""

HARPS_SMALL = WavelengthGrid(
    name="harps-small",
    start=4944.0,
    step=0.06,
    size=2**15,
    medium="air",
    gaps=((5303.64, 5338.04),),
)
"""A grid for small machines: 32,768 pixels of 0.06 A from 4944.00 A, red of H-beta to H-alpha."""

HARPS_TINY = WavelengthGrid(
    name="harps-tiny",
    start=4944.03,
    step=0.12,
    size=2**14,
    medium="air",
    gaps=HARPS_SMALL.gaps,
)
"""Pairs of the pixels of `HARPS_SMALL`, for trying things out: 16,384 of 0.12 A."""

GRIDS: dict[str, WavelengthGrid] = {
    grid.name: grid for grid in (HARPS, HARPS_HALF, HARPS_SMALL, HARPS_TINY)
}
"""The named grids."""
