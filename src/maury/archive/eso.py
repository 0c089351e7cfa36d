"""Questions to ESO's archive: which reduced spectra there are.

The table ``ivoa.ObsCore`` of ESO's service ``tap_obs`` has a row for each product of Phase 3
(https://archive.eso.org/programmatic). The service takes no uploaded tables, and does not use its
index for a chain of circles, but for one of boxes in ``s_ra`` and ``s_dec``; so stars are asked for
by boxes, some at a time, and the corners are cut off here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from astropy.table import Column, MaskedColumn

from maury.archive import tap
from maury.archive.manifest import MANIFEST, STATE
from maury.archive.services import Services
from maury.archive.session import ArchiveSession
from maury.archive.sky import Box, Cone, QuestionError, number
from maury.errors import ArchiveError

__all__ = [
    "COLLECTIONS",
    "Box",
    "Cone",
    "Count",
    "Query",
    "QuestionError",
    "count",
    "counted",
    "search",
]

COLLECTIONS = ("HARPS", "FEROS", "UVES", "ESPRESSO")
"""ESO's own reductions, by instrument; each is a collection of this name (``obs_collection``)."""

SERVICE = "ESO's archive"
EPOCH = datetime(1858, 11, 17, tzinfo=UTC)  # of modified Julian dates
PAGE = 20_000  # rows at a time: what the service sends where it is not asked for more
CHUNK = 50  # stars at a time

UNITS: dict[str, str | None] = {
    "dp_id": None,
    "obs_collection": None,
    "instrument_name": None,
    "target_name": None,
    "s_ra": "deg",
    "s_dec": "deg",
    "t_min": "d",
    "t_max": "d",
    "t_exptime": "s",
    "snr": None,
    "proposal_id": None,
    "em_min": "m",
    "em_max": "m",
    "em_res_power": None,
    "obs_release_date": None,
    "access_estsize": "kbyte",
}
"""Columns that are asked for, and the units that they must come in."""


@dataclass(frozen=True, kw_only=True)
class Query:
    """What is asked for.

    Parameters
    ----------
    instrument : str
        One of `COLLECTIONS`, in any case.
    cones : sequence of Cone or None
        Around the stars; None for the whole sky.
    box : Box, optional
        A part of the sky.
    start, end : str, optional
        First and last day of observation, or moments, ISO 8601, UTC.
    snr_min, snr_max : float, optional
        Signal to noise ratio as the archive has it; products without one are then left out.
    programme : str, optional
        Observing programme (``072.C-0488``), all its runs, or one run (``072.C-0488(E)``).
    public : bool
        Whether what is proprietary now is left out.

    Raises
    ------
    QuestionError
        If no spectrum can be within these limits.

    Examples
    --------
    >>> query = Query(instrument="harps", snr_min=50, public=False)
    >>> query.conditions()[0]
    "obs_collection = 'HARPS' AND dataproduct_type = 'spectrum' AND snr >= 50.0"
    """

    instrument: str
    cones: Sequence[Cone] | None = None
    box: Box | None = None
    start: str | None = None
    end: str | None = None
    snr_min: float | None = None
    snr_max: float | None = None
    programme: str | None = None
    public: bool = True

    def __post_init__(self) -> None:
        if self.instrument.upper() not in COLLECTIONS:
            raise QuestionError(
                f"ESO's archive is not asked for {self.instrument!r}; it is for one of "
                f"{', '.join(COLLECTIONS)}."
            )
        limits = [value for value in (self.snr_min, self.snr_max) if value is not None]
        if not all(map(math.isfinite, limits)) or limits != sorted(limits):
            shown = " to ".join(f"{value:g}" for value in limits)
            raise QuestionError(f"No signal to noise ratio is within {shown}.")
        if self.programme is not None and not re.fullmatch(
            r"[0-9A-Za-z.()-]{3,30}", self.programme
        ):
            raise QuestionError(
                f"{self.programme!r} is no observing programme; one is like 072.C-0488 or "
                "072.C-0488(E)."
            )
        start, end = self._times()
        if start is not None and end is not None and start >= end:
            raise QuestionError(f"No night is within {self.start} to {self.end}.")

    def conditions(self) -> list[str]:
        """What stands after WHERE, for some stars each where there are many."""
        common = " AND ".join(self._common())
        if self.cones is None:
            return [common]
        boxes = [cone.box().adql() for cone in self.cones]
        chunks = (boxes[first : first + CHUNK] for first in range(0, len(boxes), CHUNK))
        return [f"{common} AND ({' OR '.join(chunk)})" for chunk in chunks]

    def _common(self) -> Iterator[str]:
        yield f"obs_collection = {_text(self.instrument.upper())}"
        yield "dataproduct_type = 'spectrum'"
        start, end = self._times()
        if start is not None:
            yield f"t_min >= {number(start)}"
        if end is not None:
            yield f"t_min < {number(end)}"
        if self.snr_min is not None:
            yield f"snr >= {number(self.snr_min)}"
        if self.snr_max is not None:
            yield f"snr <= {number(self.snr_max)}"
        if self.programme is not None:
            # A run is the programme with a letter in brackets, or since 2020 with a number.
            runs = " OR ".join(
                f"proposal_id LIKE {_text(self.programme + mark + '%')}" for mark in ("(", ".")
            )
            yield f"(proposal_id = {_text(self.programme)} OR {runs})"
        if self.public:
            yield f"obs_release_date <= {_text(datetime.now(UTC).strftime('%Y-%m-%dT%H:%M:%S'))}"
        if self.box is not None:
            yield self.box.adql()

    def _times(self) -> tuple[float | None, float | None]:
        """MJD of the first moment, and of the moment after the last."""
        return _mjd(self.start, 0.0), _mjd(self.end, 1.0)


@dataclass(frozen=True)
class Count:
    """How much there is.

    Parameters
    ----------
    products, targets : int
        Spectra, and different names that the archive has for what they are of.
    bytes : int
        Of all files, by the archive.
    """

    products: int
    targets: int
    bytes: int


def count(
    query: Query,
    services: Services,
    session: ArchiveSession | None = None,
    *,
    limit: int | None = None,
) -> Count:
    """How much `search` finds, by one question where stars are not asked for one by one.

    Raises
    ------
    ArchiveError
        As `search`.
    """
    if query.cones is not None or limit is not None:
        return counted(search(query, services, session, limit=limit))
    adql = (
        "SELECT COUNT(*) AS products, COUNT(DISTINCT target_name) AS targets, "
        f"SUM(access_estsize) AS size_kb FROM ivoa.ObsCore WHERE {query.conditions()[0]}"
    )
    names = {"products": None, "targets": None, "size_kb": None}
    table = tap.query(
        services.eso_tap, adql, session=session, service_name=SERVICE, columns=dict(names)
    )
    if len(table) != 1:
        raise ArchiveError(f"{SERVICE} sends {len(table)} rows for one number.")
    numbers = [0 if np.ma.is_masked(table[name][0]) else int(table[name][0]) for name in names]
    return Count(numbers[0], numbers[1], 1000 * numbers[2])


def counted(manifest: pa.Table) -> Count:
    """The same of what is found already."""
    total = pc.sum(manifest["estimated_bytes"]).as_py() or 0
    return Count(len(manifest), pc.count_distinct(manifest["object"]).as_py(), total)


def search(
    query: Query,
    services: Services,
    session: ArchiveSession | None = None,
    *,
    limit: int | None = None,
    report: Callable[[int], object] | None = None,
) -> pa.Table:
    """The spectra that the archive has.

    The rows come in pages in the order of ``dp_id``, so that no limit of the service on the rows of
    one answer leaves any out.

    Parameters
    ----------
    query
        What is asked for.
    services, session
        Where, and by which session.
    limit
        How many are wanted: the first ones by ``dp_id``.
    report
        Called with the number of rows that have come.

    Returns
    -------
    pyarrow.Table
        A manifest (`maury.archive.manifest.MANIFEST`) in the order of ``dp_id``, without any row
        where nothing is found.

    Raises
    ------
    ArchiveError
        If the service is away, refuses, or sends what is no such table.
    """
    pages: list[pa.Table] = []
    for condition in query.conditions():
        found = 0
        for page in _pages(condition, services, session, limit):
            pages.append(_within(_manifest(page, services), query.cones))
            found += len(pages[-1])
            if report is not None:
                report(sum(map(len, pages)))
            if limit is not None and found >= limit:
                break
    table = pa.concat_tables(pages) if pages else MANIFEST.empty_table()
    # Circles overlap, and so one spectrum may be found with two stars.
    first = pc.equal(
        pc.index_in(table["dp_id"], table["dp_id"].combine_chunks()), pa.array(range(len(table)))
    )
    table = table.filter(first).sort_by("dp_id")
    return (table if limit is None else table.slice(0, limit)).combine_chunks()


def _pages(
    condition: str, services: Services, session: ArchiveSession | None, limit: int | None
) -> Iterator[Any]:
    last: str | None = None
    while True:
        after = "" if last is None else f" AND dp_id > {_text(last)}"
        adql = (
            f"SELECT TOP {PAGE} {', '.join(UNITS)} FROM ivoa.ObsCore "
            f"WHERE {condition}{after} ORDER BY dp_id"
        )
        page = tap.query(
            services.eso_tap,
            adql,
            session=session,
            maxrec=PAGE,
            service_name=SERVICE,
            columns=UNITS,
            allow_overflow=True,
        )
        if len(page):
            yield page
        if not page.meta["overflow"] and len(page) < PAGE:
            return
        if not len(page) or str(page["dp_id"][-1]) == last:
            raise ArchiveError(f"{SERVICE} tells of more rows, but sends none; try again later.")
        last = str(page["dp_id"][-1])


def _manifest(page: Any, services: Services) -> pa.Table:
    """The archive's columns by our names and in our units."""
    identifiers = _strings(page["dp_id"])
    size = pc.cast(_numbers(page["access_estsize"], 1000.0), pa.int64())
    columns = {
        "dp_id": identifiers,
        "collection": _strings(page["obs_collection"]),
        "instrument": _strings(page["instrument_name"]),
        "object": _strings(page["target_name"]),
        "ra": _numbers(page["s_ra"]),
        "dec": _numbers(page["s_dec"]),
        "mjd_start": _numbers(page["t_min"]),
        "mjd_end": _numbers(page["t_max"]),
        "exposure": _numbers(page["t_exptime"]),
        "snr": _numbers(page["snr"]),
        "programme": _strings(page["proposal_id"]),
        "first": _numbers(page["em_min"], 1e10),
        "last": _numbers(page["em_max"], 1e10),
        "resolving_power": _numbers(page["em_res_power"]),
        "release_date": _strings(page["obs_release_date"]),
        "estimated_bytes": size,
        "url": pc.binary_join_element_wise(services.eso_files, identifiers, "/"),
        "status": pa.array(["listed"] * len(page), pa.string()),
    }
    unknown = {name: pa.nulls(len(page), MANIFEST.field(name).type) for name in STATE[1:]}
    return pa.table({**columns, **unknown}, schema=MANIFEST)


def _within(table: pa.Table, cones: Sequence[Cone] | None) -> pa.Table:
    """Without the corners of the boxes."""
    if cones is None or not len(table):
        return table
    ra, dec = (table[name].to_numpy(zero_copy_only=False) for name in ("ra", "dec"))
    inside = np.zeros(len(table), dtype=bool)
    for cone in cones:
        inside |= cone.holds(ra, dec)
    return table.filter(pa.array(inside))


def _strings(column: Column | MaskedColumn) -> pa.Array:
    hidden = np.ma.getmaskarray(column)
    values = [
        None if masked or value is None or value == "" else str(value)
        for value, masked in zip(column.tolist(), hidden, strict=True)
    ]
    return pa.array(values, pa.string())


def _numbers(column: Column | MaskedColumn, factor: float = 1.0) -> pa.Array:
    try:
        values = np.ma.filled(np.ma.asarray(column).astype(np.float64), np.nan) * factor
    except (TypeError, ValueError):
        raise ArchiveError(f"{SERVICE} sends {column.name} in which not all is a number.") from None
    return pa.array(values, pa.float64(), from_pandas=True)


def _text(value: str) -> str:
    return f"'{tap.escape(value)}'"


def _mjd(moment: str | None, days: float) -> float | None:
    """MJD (UTC) of a moment, or so many days after the beginning of a day."""
    if moment is None:
        return None
    try:
        time = datetime.fromisoformat(moment.strip())
    except ValueError:
        raise QuestionError(
            f"{moment!r} is no date; one is like 2005-07-31 or 2005-07-31T02:15:00 (UTC)."
        ) from None
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time
    mjd = (time - EPOCH).total_seconds() / 86400
    return mjd + days if re.fullmatch(r"[\d-]+", moment.strip()) else mjd
