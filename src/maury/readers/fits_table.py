"""Columns of a FITS table, found by name whatever their case."""

from __future__ import annotations

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from maury.errors import ReadError
from maury.readers.base import Source

__all__ = ["FitsTable"]


class FitsTable:
    """A binary table of a FITS file with its columns as flat arrays.

    Parameters
    ----------
    hdu : astropy.io.fits.BinTableHDU
        The table.
    """

    def __init__(self, hdu: fits.BinTableHDU) -> None:
        self.header = hdu.header
        self._hdu = hdu
        self._indices = {name.upper(): i for i, name in enumerate(hdu.columns.names)}

    @classmethod
    def all_of(cls, source: Source) -> list[FitsTable]:
        """The binary tables of a file, in order; none when it is not FITS."""
        return [cls(hdu) for hdu in source.hdus if isinstance(hdu, fits.BinTableHDU)]

    @property
    def names(self) -> list[str]:
        """The columns, as the file writes them."""
        return list(self._hdu.columns.names)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.header["NAXIS2"])

    def __contains__(self, name: str) -> bool:
        return name.upper() in self._indices

    def has(self, *names: str) -> bool:
        """Whether all these columns are there."""
        return all(name in self for name in names)

    def array(self, name: str, source: Source) -> NDArray[np.float64]:
        """A column as float64[n], or one row's array."""
        values = np.asarray(self._hdu.data.field(self._indices[name.upper()])).ravel()
        if not np.issubdtype(values.dtype, np.number):
            raise ReadError(f"{source.path} has a column {name} that is not made of numbers.")
        return values.astype(np.float64)

    def optional(self, name: str, source: Source) -> NDArray[np.float64] | None:
        """A column, or None when it is not there."""
        return self.array(name, source) if name in self else None

    def keyword(self, name: str, column: str) -> str | None:
        """What a keyword such as TUNITn says of a column, or None when it is not there."""
        text = str(self.header.get(f"{name}{self._indices[column.upper()] + 1}", "")).strip()
        return text or None
