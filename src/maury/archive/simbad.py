"""What SIMBAD knows of stars: position, motion, velocity and all names.

SIMBAD (Wenger et al. 2000, A&AS 143, 9) is asked by its TAP service. Its table ``basic`` has one
row an object, ``ident`` one an identifier, ``ids`` all identifiers of an object in one text with
``|`` between. An uploaded table has at most 200,000 rows. Identifiers are compared without regard
to blanks and to the case of acronyms, as astroquery's `SimbadClass.query_objects` relies on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from astropy.constants import c
from astropy.table import Table
from numpy.typing import ArrayLike, NDArray

from maury.archive import answers, tap
from maury.archive.answers import Progress
from maury.archive.names import spellings
from maury.archive.neighbours import checked_positions, pairs
from maury.archive.services import Services
from maury.archive.session import ArchiveSession

__all__ = ["NEIGHBOURS", "STARS", "near", "resolve", "velocity"]

LIGHT = c.to_value("km/s")

NAMES_AT_ONCE = 10_000
POSITIONS_AT_ONCE = 2_000
MOST_ROWS = 2_000_000
"""Rows that SIMBAD sends at most (``outputLimit`` of its capabilities)."""

BASIC = {
    "main_id": None,
    "ra": "deg",
    "dec": "deg",
    "pmra": "mas/yr",
    "pmdec": "mas/yr",
    "plx_value": "mas",
    "rvz_radvel": "km/s",
    "rvz_redshift": None,
    "rvz_type": None,
    "rvz_err": None,
    "rvz_bibcode": None,
}
"""The columns that are asked for, and their units."""


def _field(name: str, kind: pa.DataType, unit: str, description: str) -> pa.Field:
    return pa.field(name, kind, metadata={"unit": unit, "description": description})


OBJECT = [
    _field("main_id", pa.string(), "", "SIMBAD's name"),
    _field("ra", pa.float64(), "deg", "right ascension, ICRS, epoch J2000"),
    _field("dec", pa.float64(), "deg", "declination, ICRS, epoch J2000"),
    _field("pmra", pa.float64(), "mas/yr", "proper motion in right ascension, times cos(dec)"),
    _field("pmdec", pa.float64(), "mas/yr", "proper motion in declination"),
    _field("parallax", pa.float64(), "mas", "parallax"),
    _field("rv", pa.float64(), "km/s", "barycentric radial velocity"),
    _field("rv_error", pa.float64(), "km/s", "standard error of rv"),
    _field("rv_bibcode", pa.string(), "", "where rv is published"),
    _field("tic", pa.int64(), "", "number in the TESS Input Catalog"),
    _field("hd", pa.string(), "", "number, and component if any, in the Henry Draper catalogue"),
    _field("hip", pa.string(), "", "number, and component if any, in the Hipparcos catalogue"),
    _field("gaia_dr3", pa.int64(), "", "source of Gaia DR3"),
    _field("other_ids", pa.list_(pa.string()), "", "all identifiers, with single blanks"),
]

STARS = pa.schema([_field("name", pa.string(), "", "the name that was asked for"), *OBJECT])
"""Columns of what `resolve` gives. What is not known is null."""

NEIGHBOURS = pa.schema(
    [
        _field("index", pa.int64(), "", "which of the positions asked for"),
        _field("separation", pa.float64(), "arcsec", "from that position"),
        *OBJECT,
    ]
)
"""Columns of what `near` gives. What is not known is null."""

_ANSWER = pa.schema([pa.field("asked", pa.string()), pa.field("oid", pa.int64()), *OBJECT])
_SELECTED = ", ".join(["basic.oid", *(f"basic.{name}" for name in BASIC), "ids.ids"])


def resolve(
    names: Sequence[str],
    *,
    services: Services,
    session: ArchiveSession | None = None,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> pa.Table:
    """The stars that names mean.

    Each name is asked for as SIMBAD may spell it (see `maury.archive.names.spellings`).

    Parameters
    ----------
    names : sequence of str
        In whatever way observers write them.
    services : Services
        Where SIMBAD is.
    session : ArchiveSession, optional
        Which asks; a new one by default.
    cache : Path, optional
        A folder in which answers are kept, so that what is asked again need not be sent.
    progress : callable, optional
        Called with the number of spellings asked for and of all.

    Returns
    -------
    pyarrow.Table
        With the columns `STARS`: one row a different name that is found, in the order of `names`.
        A name that is not found, or whose spellings mean several objects, has none.

    Raises
    ------
    ArchiveError
        If SIMBAD fails, refuses, or sends what cannot be used.
    """
    wanted = {name: spellings(name) for name in dict.fromkeys(names)}
    asked = sorted({text for texts in wanted.values() for text in texts})
    session = session or ArchiveSession()

    def ask(chunk: slice) -> pa.Table:
        return _ask(
            "SELECT asked.spelling AS asked, "
            f"{_SELECTED} FROM TAP_UPLOAD.asked AS asked "
            "JOIN ident ON ident.id = asked.spelling "
            "JOIN basic ON basic.oid = ident.oidref "
            "LEFT JOIN ids ON ids.oidref = basic.oid",
            {"spelling": asked[chunk]},
            services=services,
            session=session,
            cache=cache,
        )

    found = answers.in_chunks(ask, len(asked), NAMES_AT_ONCE, _ANSWER, progress)
    rows: dict[str, list[int]] = {}
    for row, text in enumerate(found["asked"].to_pylist()):
        rows.setdefault(text, []).append(row)
    objects = found["oid"].to_pylist()
    known, where = [], []
    for name, texts in wanted.items():
        here = [row for text in texts for row in rows.get(text, ())]
        if len({objects[row] for row in here}) == 1:
            known.append(name)
            where.append(here[0])
    table = found.take(pa.array(where, type=pa.int64())).drop_columns(["asked", "oid"])
    return table.add_column(0, STARS.field("name"), [pa.array(known, type=pa.string())]).cast(STARS)


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
    """All stars of SIMBAD near positions.

    What is no star (planets, galaxies, sources of X-rays, ...) is left out by SIMBAD's types: those
    below ``*``, double stars among them.

    Parameters
    ----------
    ra, dec : array_like, shape (n,)
        Degrees, ICRS. SIMBAD's positions are of epoch J2000: give yours at that epoch, or a radius
        that allows for the motion since.
    radius : float
        Arcsec.
    services, session, cache, progress
        As in `resolve`; progress counts positions.

    Returns
    -------
    pyarrow.Table
        With the columns `NEIGHBOURS`: a row for each star near each position, by position and from
        the nearest outwards. All stars are kept, if there are several.

    Raises
    ------
    ArchiveError
        If a position is none, or SIMBAD fails, refuses, or sends what cannot be used.
    """
    east, north = checked_positions(ra, dec)
    places = np.unique(np.column_stack((east, north)), axis=0)
    session = session or ArchiveSession()

    def ask(chunk: slice) -> pa.Table:
        return _ask(
            f"SELECT {_SELECTED} FROM TAP_UPLOAD.asked AS asked "
            "JOIN basic ON 1 = CONTAINS(POINT('ICRS', basic.ra, basic.dec), "
            f"CIRCLE('ICRS', asked.ra, asked.dec, {radius / 3600:.9f})) "
            "LEFT JOIN ids ON ids.oidref = basic.oid WHERE basic.otype = '*..'",
            {"ra": places[chunk, 0].tolist(), "dec": places[chunk, 1].tolist()},
            services=services,
            session=session,
            cache=cache,
        )

    found = answers.in_chunks(ask, len(places), POSITIONS_AT_ONCE, _ANSWER, progress)
    _, first = np.unique(found["oid"].to_numpy(), return_index=True)
    stars = found.take(pa.array(first)).drop_columns(["asked", "oid"])
    position, star, separation = pairs(
        east, north, stars["ra"].to_numpy(), stars["dec"].to_numpy(), radius
    )
    table = stars.take(pa.array(star))
    table = table.add_column(0, NEIGHBOURS.field("separation"), [pa.array(separation)])
    return table.add_column(0, NEIGHBOURS.field("index"), [pa.array(position)]).cast(NEIGHBOURS)


def velocity(
    radial_velocity: ArrayLike, redshift: ArrayLike, error: ArrayLike, kind: Sequence[str | None]
) -> tuple[NDArray, NDArray]:
    """Radial velocities from SIMBAD's columns, whichever of three ways they were published in.

    For ``kind`` (``rvz_type``) ``v`` it is ``rvz_radvel``. For ``z`` and ``c`` (a redshift, and
    that times the velocity of light) it follows from ``rvz_redshift`` by special relativity, as on
    SIMBAD's pages: ``1 + z = sqrt((1 + v/c) / (1 - v/c))``. What the error of a redshift is in,
    SIMBAD does not say: none is given.

    Parameters
    ----------
    radial_velocity, redshift, error : array_like, shape (n,)
        ``rvz_radvel`` (km/s), ``rvz_redshift`` and ``rvz_err`` (km/s).
    kind : sequence of str or None
        ``rvz_type``.

    Returns
    -------
    velocity, error : ndarray, shape (n,)
        In km/s, NaN where not known.

    Examples
    --------
    >>> rv, rv_error = velocity([-22.6, 5.0], [np.nan, 1e-4], [0.1, 1e-6], ["v", "z"])
    >>> rv.round(4).tolist(), rv_error.tolist()
    ([-22.6, 29.9777], [0.1, nan])
    """
    rv, z, sigma = (np.array(values, float) for values in (radial_velocity, redshift, error))
    for row, way in enumerate(kind):
        if way not in ("z", "c"):
            continue
        stretch = (1 + z[row]) ** 2
        rv[row] = LIGHT * (stretch - 1) / (stretch + 1)
        # By how much v changes with cz.
        slope = 4 * (1 + z[row]) / (stretch + 1) ** 2
        sigma[row] = slope * sigma[row] if way == "c" else np.nan
    return rv, np.where(np.isfinite(rv), sigma, np.nan)


def _ask(
    adql: str,
    upload: dict[str, list],
    *,
    services: Services,
    session: ArchiveSession,
    cache: Path | None,
) -> pa.Table:
    """The answer to one question about one uploaded table."""

    def ask() -> pa.Table:
        table = tap.query(
            services.simbad_tap,
            adql,
            session=session,
            maxrec=MOST_ROWS,
            uploads={"asked": Table(upload)},
            service_name="SIMBAD",
            columns={"oid": None, **BASIC, "ids": None},
        )
        return _objects(table)

    request = {"service": "simbad", "url": services.simbad_tap, "adql": adql, "upload": upload}
    return answers.kept(ask, request, _ANSWER, cache)


def _objects(table: Table) -> pa.Table:
    """SIMBAD's columns as ours."""
    identifiers = [_identifiers(text) for text in _texts(table["ids"])]
    rv, rv_error = velocity(
        _numbers(table["rvz_radvel"]),
        _numbers(table["rvz_redshift"]),
        _numbers(table["rvz_err"]),
        _texts(table["rvz_type"]),
    )
    bibcodes = _texts(table["rvz_bibcode"])
    columns: dict[str, Any] = {
        "asked": _texts(table["asked"]) if "asked" in table.colnames else [None] * len(table),
        "oid": np.asarray(table["oid"], np.int64),
        "main_id": [" ".join((text or "").split()) for text in _texts(table["main_id"])],
        "ra": _numbers(table["ra"]),
        "dec": _numbers(table["dec"]),
        "pmra": _numbers(table["pmra"]),
        "pmdec": _numbers(table["pmdec"]),
        "parallax": _numbers(table["plx_value"]),
        "rv": rv,
        "rv_error": rv_error,
        "rv_bibcode": [
            code if known else None for code, known in zip(bibcodes, np.isfinite(rv), strict=True)
        ],
        "tic": [_number(_in_catalogue(names, "TIC")) for names in identifiers],
        "hd": [_in_catalogue(names, "HD") for names in identifiers],
        "hip": [_in_catalogue(names, "HIP") for names in identifiers],
        "gaia_dr3": [_number(_in_catalogue(names, "Gaia DR3")) for names in identifiers],
        "other_ids": identifiers,
    }
    return pa.table(
        [pa.array(columns[field.name], type=field.type, from_pandas=True) for field in _ANSWER],
        schema=_ANSWER,
    )


def _identifiers(text: str | None) -> list[str]:
    return [" ".join(part.split()) for part in (text or "").split("|") if part.strip()]


def _in_catalogue(identifiers: Iterable[str], catalogue: str) -> str | None:
    """What follows a catalogue's name: the shortest, that of a star before that of a part of it."""
    found = [name[len(catalogue) + 1 :] for name in identifiers if name.startswith(catalogue + " ")]
    return min(found, key=lambda text: (len(text), text), default=None)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def _numbers(column: Any) -> NDArray:
    values = np.ma.asarray(column)
    if values.dtype == np.float32:
        # 0.01 in single precision is 0.01, and not 0.00999999977.
        values = np.ma.array([float(str(value)) for value in values.data], mask=values.mask)
    return np.ma.filled(values.astype(float), np.nan)


def _texts(column: Any) -> list[str | None]:
    """The texts of a column; None where there is none or nothing but blanks."""
    return [str(value).strip() or None if value else None for value in column.tolist()]
