"""What the TESS Input Catalog knows of stars, asked of MAST.

The catalogue (Stassun et al. 2019, AJ 158, 138; version 8.2: Paegert et al. 2021, arXiv:2108.04778)
is what the labels of the paper come from (Sect. 3.1). By STScI's release notes its columns ``ra``
and ``dec`` hold for the epoch J2000, but for some 2,000 stars of lists that gave none (``POSflag``
hotsubdwarf and gicycle1); where Gaia DR2 saw a star (epoch J2015.5) is in ``RA_orig`` and
``Dec_orig``, which are not used here. MAST is asked by its API (https://mast.stsci.edu/api/v0): a
question that takes time is answered by the status ``EXECUTING`` until it is done, and is to be sent
again; long answers come in pages.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import requests
from numpy.typing import ArrayLike

from maury.archive import answers
from maury.archive.answers import Progress
from maury.archive.neighbours import checked_positions, pairs
from maury.archive.services import Services
from maury.archive.session import ArchiveSession
from maury.errors import ArchiveError

__all__ = ["NEIGHBOURS", "STARS", "by_id", "near"]

NUMBERS_AT_ONCE = 500
POSITIONS_AT_ONCE = 1_000
PAGE = 50_000
"""Rows of a page, as astroquery asks for."""

FIRST_PAUSE, LONGEST_PAUSE, PATIENCE = 0.25, 15.0, 1800.0
"""Seconds before it is asked whether a question is done (at first, at most, and in all)."""


def _field(name: str, kind: pa.DataType, source: str, unit: str, description: str) -> pa.Field:
    metadata = {"unit": unit, "description": description, "source": source}
    return pa.field(name, kind, metadata=metadata)


STARS = pa.schema(
    [
        _field("tic", pa.int64(), "ID", "", "number in the TESS Input Catalog"),
        _field("ra", pa.float64(), "ra", "deg", "right ascension, ICRS, epoch J2000"),
        _field("dec", pa.float64(), "dec", "deg", "declination, ICRS, epoch J2000"),
        _field("pmra", pa.float64(), "pmRA", "mas/yr", "proper motion in ra, times cos(dec)"),
        _field("pmdec", pa.float64(), "pmDEC", "mas/yr", "proper motion in declination"),
        _field("tmag", pa.float64(), "Tmag", "mag", "magnitude in the band of TESS"),
        _field("teff", pa.float64(), "Teff", "K", "effective temperature"),
        _field("teff_error", pa.float64(), "e_Teff", "K", "standard error of teff"),
        _field("logg", pa.float64(), "logg", "dex", "surface gravity, log10 of cm/s2"),
        _field("logg_error", pa.float64(), "e_logg", "dex", "standard error of logg"),
        _field("mh", pa.float64(), "MH", "dex", "metallicity"),
        _field("mh_error", pa.float64(), "e_MH", "dex", "standard error of mh"),
        _field("gaia_dr2", pa.int64(), "GAIA", "", "source of Gaia DR2"),
        _field(
            "disposition",
            pa.string(),
            "disposition",
            "",
            "DUPLICATE, SPLIT, JOIN or ARTIFACT where the entry is no star by itself",
        ),
        _field("duplicate_id", pa.int64(), "duplicate_id", "", "the entry that is the star"),
    ]
)
"""Columns of what `by_id` gives, with those of the catalogue as ``source``. Unknown is null."""

NEIGHBOURS = pa.schema(
    [
        pa.field("index", pa.int64(), metadata={"unit": "", "description": "of the position"}),
        pa.field("separation", pa.float64(), metadata={"unit": "arcsec", "description": "from it"}),
        *STARS,
    ]
)
"""Columns of what `near` gives: also which position was asked for, and how far off the star is."""

_SOURCES = {field.name: field.metadata[b"source"].decode() for field in STARS}
_CROSSMATCH = {"ID": "MatchID", "ra": "MatchRA", "dec": "MatchDEC"}
"""What columns are called where positions are asked for: ``ra`` and ``dec`` are those."""


def by_id(
    ids: Iterable[int],
    *,
    services: Services,
    session: ArchiveSession | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> pa.Table:
    """The entries of stars whose numbers are known.

    Parameters
    ----------
    ids : iterable of int
        Numbers in the catalogue.
    services : Services
        Where MAST is.
    session : ArchiveSession, optional
        Which asks; a new one by default.
    cache : Path, optional
        A folder in which each answer is kept as soon as it is there, so that what is asked again
        after it was interrupted goes on where it was.
    progress : callable, optional
        Called with how many numbers have been asked for, and how many there are.

    Returns
    -------
    pyarrow.Table
        With the columns `STARS`, by number, an entry once. What is not in the catalogue is absent.

    Raises
    ------
    ArchiveError
        If MAST fails, refuses, or sends what cannot be used.
    """
    numbers = sorted({int(number) for number in ids})
    session = session or ArchiveSession()

    def ask(chunk: slice) -> pa.Table:
        wanted = {"paramName": "ID", "values": [str(number) for number in numbers[chunk]]}
        question = {
            "service": "Mast.Catalogs.Filtered.Tic.Rows",
            "params": {"columns": ",".join(_SOURCES.values()), "filters": [wanted]},
        }
        return _ask(question, _SOURCES, services=services, session=session, cache=cache)

    found = answers.in_chunks(ask, len(numbers), NUMBERS_AT_ONCE, STARS, progress)
    return _once(found)


def near(
    ra: ArrayLike,
    dec: ArrayLike,
    radius: float,
    *,
    services: Services,
    session: ArchiveSession | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> pa.Table:
    """All entries of the catalogue near positions.

    Parameters
    ----------
    ra, dec : array_like, shape (n,)
        Degrees, ICRS. The catalogue's positions are of epoch J2000: give yours at that epoch, or a
        radius that allows for the motion since.
    radius : float
        Arcsec.
    services, session, cache, progress
        As in `by_id`; progress counts positions.

    Returns
    -------
    pyarrow.Table
        With the columns `NEIGHBOURS`: a row for each entry near each position, by position and from
        the nearest outwards. All are kept, also those whose disposition tells that they are no star
        by themselves.

    Raises
    ------
    ArchiveError
        If a position is none, or MAST fails, refuses, or sends what cannot be used.
    """
    east, north = checked_positions(ra, dec)
    places = np.unique(np.column_stack((east, north)), axis=0)
    session = session or ArchiveSession()
    sources = {name: _CROSSMATCH.get(source, source) for name, source in _SOURCES.items()}

    def ask(chunk: slice) -> pa.Table:
        fields = [{"name": name, "type": "float"} for name in ("ra", "dec")]
        data = [{"ra": x, "dec": y} for x, y in places[chunk].tolist()]
        question = {
            "service": "Mast.Tic.Crossmatch",
            "data": {"fields": fields, "data": data},
            "params": {"raColumn": "ra", "decColumn": "dec", "radius": radius / 3600},
        }
        return _ask(question, sources, services=services, session=session, cache=cache)

    stars = _once(answers.in_chunks(ask, len(places), POSITIONS_AT_ONCE, STARS, progress))
    position, star, separation = pairs(
        east, north, stars["ra"].to_numpy(), stars["dec"].to_numpy(), radius
    )
    table = stars.take(pa.array(star))
    table = table.add_column(0, NEIGHBOURS.field("separation"), [pa.array(separation)])
    return table.add_column(0, NEIGHBOURS.field("index"), [pa.array(position)]).cast(NEIGHBOURS)


def _once(table: pa.Table) -> pa.Table:
    """Each entry once, by number."""
    _, first = np.unique(table["tic"].to_numpy(), return_index=True)
    return table.take(pa.array(first))


def _ask(
    question: dict[str, Any],
    sources: Mapping[str, str],
    *,
    services: Services,
    session: ArchiveSession,
    cache: Path | None,
) -> pa.Table:
    """All pages of the answer to a question, as the columns `STARS`."""
    url = f"{services.mast}/api/v0/invoke"

    def ask() -> pa.Table:
        rows = [row for page in _pages(url, question, sources, session) for row in page]
        columns = [_column([row.get(sources[f.name]) for row in rows], f) for f in STARS]
        return pa.table(columns, schema=STARS)

    return answers.kept(ask, {"url": url, **question, "service": "tic"}, STARS, cache)


def _pages(
    url: str, question: dict[str, Any], sources: Mapping[str, str], session: ArchiveSession
) -> Iterator[Sequence[Mapping[str, Any]]]:
    """The rows of each page of an answer."""
    page = pages = 1
    while page <= pages:
        asked = {**question, "format": "json", "pagesize": PAGE, "page": page}
        content = _complete(url, asked, session)
        try:
            names = {field["name"] for field in content["fields"]}
            rows = content["data"]
            pages = int((content.get("paging") or {}).get("pagesFiltered", 1))
        except (KeyError, TypeError, ValueError):
            raise ArchiveError("MAST sends an answer without fields and data.") from None
        missing = [source for source in sources.values() if source not in names]
        if missing and rows:
            raise ArchiveError(f"MAST sends no column {missing[0]}; it sends {_listed(names)}.")
        yield rows
        page += 1


def _complete(url: str, question: dict[str, Any], session: ArchiveSession) -> dict[str, Any]:
    """The content of an answer, asked for until it is complete."""
    pause, given_up = FIRST_PAUSE, time.monotonic() + PATIENCE

    def post() -> requests.Response:
        return session.post(url, data={"request": json.dumps(question)}, stream=True)

    while True:
        content = answers.whole(post, _read, service_name="MAST")
        status = content.get("status")
        if status == "COMPLETE":
            return content
        if status != "EXECUTING":
            reason = " ".join(str(content.get("msg") or status).split())[:300].rstrip(".")
            raise ArchiveError(f"MAST refuses the question: {reason}.")
        if time.monotonic() > given_up:
            raise ArchiveError(f"MAST has not answered within {PATIENCE / 60:.0f} minutes.")
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _read(body: bytes) -> dict[str, Any]:
    content = json.loads(body)
    if not isinstance(content, dict):
        raise ValueError("no JSON object")
    return content


def _column(values: list[Any], field: pa.Field) -> pa.Array:
    """A column of ours from values of JSON: numbers come as such or as texts, nothing as null."""
    convert = {pa.float64(): float, pa.int64(): int, pa.string(): str}[field.type]
    try:
        converted = [None if value in (None, "") else convert(value) for value in values]
    except (TypeError, ValueError):
        source = field.metadata[b"source"].decode()
        raise ArchiveError(f"MAST sends {source} with values that are no numbers.") from None
    return pa.array(converted, type=field.type, from_pandas=True)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
