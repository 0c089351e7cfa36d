"""Exposures that a store of observed spectra has more than once."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from maury.datasets.refusals import LOCK
from maury.datasets.shards import PARTIAL
from maury.datasets.store import CATALOGUE
from maury.errors import MauryError

__all__ = ["DUPLICATE", "find_duplicates", "note_duplicates"]

DUPLICATE = "duplicate-exposure"

SAME_START = 1.0 / 86400
"""Days between the starts of what is one exposure: pipelines round them otherwise."""


def find_duplicates(catalogue: pa.Table) -> NDArray[np.bool_]:
    """Which rows are of an exposure that an earlier row has already.

    One exposure is what one instrument began at one time of one star: reduced again, by another
    version of the pipeline or as a product of the archive, it is another file of the same light.

    Parameters
    ----------
    catalogue
        With the columns status, star, instrument and mjd.

    Returns
    -------
    numpy.ndarray
        bool[row]. False where the instrument or the time is not known.

    Examples
    --------
    >>> columns = {"status": ["done"] * 3, "star": ["HD 1"] * 3, "instrument": ["HARPS"] * 3}
    >>> find_duplicates(pa.table({**columns, "mjd": [55000.0, 55000.5, 55000.000001]}))
    array([False, False,  True])
    """
    duplicate = np.zeros(catalogue.num_rows, dtype=bool)
    mjd = catalogue["mjd"].to_numpy()
    known = pc.and_(pc.equal(catalogue["status"], "done"), pc.is_valid(catalogue["instrument"]))
    rows = np.flatnonzero(pc.fill_null(known, False).to_numpy() & np.isfinite(mjd))
    if not rows.size:
        return duplicate
    star, instrument = (
        catalogue[name].combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
        for name in ("star", "instrument")
    )
    order = rows[np.lexsort((mjd[rows], star[rows], instrument[rows]))]
    is_new = np.ones(order.size, dtype=bool)
    is_new[1:] = (
        (np.diff(instrument[order]) != 0)
        | (np.diff(star[order]) != 0)
        | (np.diff(mjd[order]) > SAME_START)
    )
    duplicate[order] = True
    duplicate[np.minimum.reduceat(order, np.flatnonzero(is_new))] = False
    return duplicate


def note_duplicates(path: str | Path) -> None:
    """Flag what `find_duplicates` finds in a store, and take the flag off what it does not.

    Parameters
    ----------
    path
        Of a store of observed spectra. It is left alone where another process is filling it, which
        does this at its end.

    Raises
    ------
    MauryError
        If it cannot be written.
    """
    file = Path(path) / CATALOGUE
    try:
        with FileLock(Path(path) / LOCK, timeout=0):
            table = pq.read_table(file, partitioning=None)
            flags = table["flags"].to_pylist()
            noted = [
                None
                if row is None
                else [name for name in row if name != DUPLICATE] + [DUPLICATE] * bool(again)
                for row, again in zip(flags, find_duplicates(table), strict=True)
            ]
            if noted == flags:
                return
            position = table.schema.get_field_index("flags")
            field = table.schema.field(position)
            table = table.set_column(position, field, pa.array(noted, field.type))
            part = file.with_name(f".{file.name}.{os.getpid()}{PARTIAL}")
            try:
                pq.write_table(table, part)
                part.replace(file)
            finally:
                part.unlink(missing_ok=True)
    except Timeout:
        return
    except OSError as error:
        raise MauryError(f"{file} cannot be written ({error.strerror or error}).") from None
