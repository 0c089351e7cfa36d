"""Spectra from opacity tables, for `maury.synthesis.synthesize.synthesize`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from maury.synthesis.linelist import LineList
from maury.synthesis.opacity_grid import OpacityGrid
from maury.synthesis.opacity_nodes import metallicities
from maury.synthesis.synthesize import COVERAGE

__all__ = ["solve_from_tables", "tables_for", "tables_needed"]

SHORTEST_WHOLE = 1000.0  # Angstrom; shorter windows have tables of their own
ROUND = 50.0  # Angstrom: windows that differ by less share their tables
SPARE = 0.05  # Angstrom beyond the ends, for interpolation


def tables_for(air: NDArray[np.float64], lines: LineList, alpha: float = 0.0) -> OpacityGrid:
    """The tables that cover some wavelengths.

    Those of all that the line list covers, which long spectra share; or, since a table takes as
    long and as much room as it is wide, those of a window of whole 50 A.

    Parameters
    ----------
    air
        Increasing wavelengths, Angstrom in air.
    lines
        The line list.
    alpha
        [alpha/M], dex.
    """
    first, last = float(air[0]), float(air[-1])
    if last - first > SHORTEST_WHOLE:
        return _tables(COVERAGE, lines, alpha)
    lower = np.floor((first - SPARE) / ROUND) * ROUND
    upper = np.ceil((last + SPARE) / ROUND) * ROUND
    return _tables((max(lower, COVERAGE[0]), min(upper, COVERAGE[1])), lines, alpha)


@lru_cache(maxsize=4)
def _tables(span: tuple[float, float], lines: LineList, alpha: float) -> OpacityGrid:
    return OpacityGrid(alpha=alpha, lines=lines, span=span)


def tables_needed(metallicity: Iterable[float]) -> list[float]:
    """[M/H] of the tables that stars of these [M/H] take, in order.

    Examples
    --------
    >>> tables_needed([0.0, -0.3])
    [-0.5, -0.25, 0.0]
    """
    needed: set[float] = set()
    for mh in metallicity:
        needed.update(metallicities(mh)[0])
    return sorted(needed)


def solve_from_tables(
    air: NDArray[np.float64],
    margin: float,
    lines: LineList,
    *,
    teff: float,
    logg: float,
    mh: float,
    alpha: float,
    vmic: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """A star's flux on the tables' wavelengths.

    Parameters
    ----------
    air
        Wavelengths to cover, Angstrom in air.
    margin
        How far to go beyond them where the tables do, as a fraction of the wavelength.
    lines
        The line list.
    teff, logg, mh, alpha, vmic
        K, log10 of cm s-2, dex, dex, km/s.

    Returns
    -------
    wavelength, flux, continuum
        Angstrom in air and erg s-1 cm-2 A-1, shape (pixel,) each.

    Raises
    ------
    SynthesisError
        If a parameter is out of the tables' range.
    """
    tables = tables_for(air, lines, alpha)
    flux, continuum = tables.flux(teff, logg, mh, vmic)
    wavelength = tables.wavelength
    first, last = np.searchsorted(
        wavelength, [air[0] * (1 - margin) - SPARE, air[-1] * (1 + margin) + SPARE]
    )
    part = slice(first, last)
    return wavelength[part], flux[part].astype(np.float64), continuum[part].astype(np.float64)
