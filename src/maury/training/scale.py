"""Scales: the same method on another grid, with other amounts of data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from maury.grid import GRIDS, WavelengthGrid

__all__ = ["SCALES", "Scale"]


@dataclass(frozen=True)
class Scale:
    """How large a run is.

    Parameters
    ----------
    grid : WavelengthGrid
        Of the spectra.
    spectra : int
        Exposures in an epoch. At full scale they are the paper's 42,000 simulated ones.
    validation : int
        Exposures that judge the run.
    stars : int
        Stars of the mock archive that is made where no observed exposures are named.
    exposures : float
        Mean number of exposures of such a star.
    needs_stores : bool
        Whether simulated and observed exposures must come from stores: what can be made on the
        spot would not do.
    """

    grid: WavelengthGrid
    spectra: int
    validation: int
    stars: int
    exposures: float
    needs_stores: bool = False


SCALES: Mapping[str, Scale] = MappingProxyType(
    {
        "full": Scale(GRIDS["harps"], 42_000, 1000, 7274, 36.8, needs_stores=True),
        "half": Scale(GRIDS["harps-half"], 21_000, 500, 3637, 18.4, needs_stores=True),
        "small": Scale(GRIDS["harps-small"], 2048, 256, 1500, 3.0),
        "tiny": Scale(GRIDS["harps-tiny"], 256, 64, 120, 2.0),
    }
)
"""By name. The paper's sets are those of its Table 2."""
