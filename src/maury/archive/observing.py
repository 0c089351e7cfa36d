"""Exposures of a manifest: when, where, and what the air and the Earth then did."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from maury.archive.circumstances import SITES, airmass, barycentric_velocity

__all__ = ["Exposures"]

Array = NDArray[np.float64]
DAY = 86_400.0


@dataclass(frozen=True, eq=False)
class Exposures:
    """What a manifest tells of each exposure.

    Parameters
    ----------
    ra, dec : float64[exposure]
        Where the telescope pointed, degrees ICRS.
    mjd : float64[exposure]
        The middle of the exposure, UTC; NaN where it is not known.
    instrument : sequence of str or None
        What it was taken with.
    """

    ra: Array
    dec: Array
    mjd: Array
    instrument: pa.Array

    @classmethod
    def of(cls, manifest: pa.Table) -> Exposures:
        """Those of a manifest; an exposure without an end lasted as long as it says."""
        start, end, exposure = (
            _numbers(manifest[name]) for name in ("mjd_start", "mjd_end", "exposure")
        )
        end = np.where(np.isfinite(end), end, start + exposure / DAY)
        return cls(
            ra=_numbers(manifest["ra"]),
            dec=_numbers(manifest["dec"]),
            mjd=(start + end) / 2,
            instrument=manifest["instrument"].combine_chunks(),
        )

    def circumstances(self, ra: Array, dec: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
        """BERV (km/s) and airmass of targets at the middle of each exposure.

        Parameters
        ----------
        ra, dec : float64[exposure]
            Where they were then, degrees ICRS.

        Returns
        -------
        berv, airmass : float64[exposure]
            NaN where time, position or site is not known.
        sited : bool[exposure]
            Whether it is known where the instrument stands.
        """
        berv, air = np.full(ra.size, np.nan), np.full(ra.size, np.nan)
        sited = np.zeros(ra.size, dtype=bool)
        for name in pc.unique(self.instrument).drop_null().to_pylist():
            site = SITES.get(name.upper())
            if site is None:
                continue
            here = np.flatnonzero(pc.equal(self.instrument, name).fill_null(False).to_numpy(False))
            sited[here] = True
            place = (ra[here], dec[here], self.mjd[here], site)
            berv[here], air[here] = barycentric_velocity(*place), airmass(*place)
        return berv, air, sited


def _numbers(column: pa.ChunkedArray) -> Array:
    """Values of a column, NaN where it has none."""
    return np.asarray(column.cast(pa.float64()).fill_null(np.nan).to_numpy(), dtype=np.float64)
