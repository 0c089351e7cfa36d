"""The manifest: which spectra of ESO's archive were asked for, and which of them are here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from maury.archive.parquet import write_table
from maury.errors import MauryError

__all__ = [
    "FORMAT_VERSION",
    "JOURNAL",
    "MANIFEST",
    "NAME",
    "SPECTRA",
    "STATE",
    "STATUSES",
    "check",
    "locate",
    "merge",
    "read",
    "update",
    "write",
]

NAME = "manifest.parquet"
"""What a folder's manifest is called."""

JOURNAL = "manifest.journal"
"""What became of products since the manifest was written: beside it, one line of JSON each."""

SPECTRA = "spectra"
"""Where the files are: a folder beside the manifest."""

FORMAT_VERSION = 1
STATUSES = ("listed", "done", "failed")

IDENTIFIER = r"^[A-Z][A-Z0-9_-]*\.\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?$"
"""What an identifier looks like, and so that it can be the name of a file."""


def _field(name: str, kind: pa.DataType, unit: str, description: str, source: str) -> pa.Field:
    facts = {"unit": unit, "description": description, "source": source}
    return pa.field(name, kind, metadata=facts)


_TEXT, _NUMBER, _COUNT = pa.string(), pa.float64(), pa.int64()
_ARCHIVE, _HERE = "ESO ivoa.ObsCore", "maury fetch"

MANIFEST = pa.schema(
    [
        _field("dp_id", _TEXT, "", "identifier of the product", f"{_ARCHIVE} dp_id"),
        _field("collection", _TEXT, "", "Phase 3 collection", f"{_ARCHIVE} obs_collection"),
        _field("instrument", _TEXT, "", "instrument", f"{_ARCHIVE} instrument_name"),
        _field("object", _TEXT, "", "target as the observer called it", f"{_ARCHIVE} target_name"),
        _field("ra", _NUMBER, "deg", "right ascension pointed at, ICRS, then", f"{_ARCHIVE} s_ra"),
        _field("dec", _NUMBER, "deg", "declination pointed at, ICRS, then", f"{_ARCHIVE} s_dec"),
        _field("mjd_start", _NUMBER, "d", "start of exposure, MJD UTC", f"{_ARCHIVE} t_min"),
        _field("mjd_end", _NUMBER, "d", "end of exposure, MJD UTC", f"{_ARCHIVE} t_max"),
        _field("exposure", _NUMBER, "s", "exposure time", f"{_ARCHIVE} t_exptime"),
        _field("snr", _NUMBER, "", "signal to noise ratio", f"{_ARCHIVE} snr"),
        _field("programme", _TEXT, "", "observing programme", f"{_ARCHIVE} proposal_id"),
        _field(
            "first",
            _NUMBER,
            "Angstrom",
            "first wavelength, air or vacuum as in the file",
            f"{_ARCHIVE} em_min",
        ),
        _field(
            "last",
            _NUMBER,
            "Angstrom",
            "last wavelength, air or vacuum as in the file",
            f"{_ARCHIVE} em_max",
        ),
        _field("resolving_power", _NUMBER, "", "resolving power", f"{_ARCHIVE} em_res_power"),
        _field(
            "release_date",
            _TEXT,
            "",
            "public from then on, ISO 8601",
            f"{_ARCHIVE} obs_release_date",
        ),
        _field(
            "estimated_bytes", _COUNT, "byte", "size by the archive", f"{_ARCHIVE} access_estsize"
        ),
        _field("url", _TEXT, "", "where the file was when this was written", _HERE),
        _field("status", _TEXT, "", "listed, done or failed", _HERE),
        _field("file", _TEXT, "", "name in the folder spectra, if done", _HERE),
        _field("bytes", _COUNT, "byte", "size of the file, if done", _HERE),
        _field("sha256", _TEXT, "", "SHA-256 of the file, if done", _HERE),
        _field("error", _TEXT, "", "why there is no file, if failed", _HERE),
    ],
    metadata={"maury": json.dumps({"kind": "manifest", "version": FORMAT_VERSION})},
)
"""Columns of a manifest; a row is one product of ESO's archive. Missing is null, or NaN."""

STATE = ("status", "file", "bytes", "sha256", "error")
"""The columns that tell what became of a product; the others are the archive's."""


def locate(path: str | Path) -> Path:
    """The manifest itself, where its folder is named."""
    path = Path(path)
    return path / NAME if path.is_dir() else path


def read(path: str | Path) -> pa.Table:
    """A manifest from its file, with what its journal tells.

    It may be read while files are being fetched.

    Parameters
    ----------
    path
        The file, or its folder.

    Returns
    -------
    pyarrow.Table
        With the schema `MANIFEST`, in the order in which it was written.

    Raises
    ------
    MauryError
        If it is not there, or not a manifest.
    """
    file = locate(path)
    # The journal first: its lines may move to the manifest meanwhile, but never back.
    states = _read_journal(file.with_name(JOURNAL)) if file.name == NAME else []
    try:
        table = pq.read_table(file, partitioning=None)
    except FileNotFoundError:
        raise MauryError(f"There is no manifest {file}; maury fetch makes one.") from None
    except OSError as error:
        why = error.strerror or str(error).split("\n")[0].rstrip(".")
        raise MauryError(f"{file} cannot be read as a manifest ({why}).") from None
    except pa.ArrowException as error:
        why = str(error).split("\n")[0].rstrip(".")
        raise MauryError(f"{file} cannot be read as a manifest ({why}).") from None
    table = check(table, str(file))
    return update(table, states) if states else table


def write(table: pa.Table, path: str | Path) -> None:
    """Write a manifest, in one step: at any time there is the old one or the new one.

    Parameters
    ----------
    table
        With the columns of `MANIFEST`.
    path
        The file, or the folder that it goes to.

    Raises
    ------
    MauryError
        If the table is not a manifest, or the file cannot be written (`TargetError`).
    """
    file = locate(path)
    write_table(check(table, str(file)), file)


def check(table: pa.Table, name: str) -> pa.Table:
    """The same rows with the schema `MANIFEST`, if they are a manifest.

    Parameters
    ----------
    table
        Any table.
    name
        Where it is from, for messages.

    Raises
    ------
    MauryError
        If it is of another kind or a newer version, a column is missing, unknown or of another
        type, an identifier is missing, there twice or no name for a file, or a status is unknown.
    """
    _check_kind(table.schema.metadata or {}, name)
    if missing := [column for column in MANIFEST.names if column not in table.column_names]:
        raise MauryError(f"{name} is not a manifest: it has no column {missing[0]}.")
    if unknown := [column for column in table.column_names if column not in MANIFEST.names]:
        raise MauryError(f"{name} is not a manifest: it has a column {unknown[0]}.")
    columns = []
    for field in MANIFEST:
        try:
            columns.append(table[field.name].cast(field.type))
        except pa.ArrowException:
            found = table.schema.field(field.name).type
            raise MauryError(
                f"{name} is not a manifest: its column {field.name} has the type {found}, not "
                f"{field.type}."
            ) from None
    table = pa.table(columns, schema=MANIFEST)
    _check_rows(table, name)
    return table


def _read_journal(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise MauryError(f"{path} cannot be read ({error.strerror}).") from None
    try:
        # What follows the last line break is empty, or was being written in the moment of a kill.
        rows = [json.loads(line) for line in lines[:-1]]
        return list({row["dp_id"]: row for row in rows}.values())
    except (ValueError, LookupError, TypeError):
        raise MauryError(
            f"{path} is damaged; delete it, and maury fetch finds anew what it told."
        ) from None


def _check_kind(metadata: Mapping[bytes, bytes], name: str) -> None:
    """Refuse what tells of itself that it is something else; a copy by another tool tells not."""
    try:
        facts = json.loads(metadata.get(b"maury", b"{}"))
        kind, version = facts.get("kind", "manifest"), facts.get("version", FORMAT_VERSION)
    except (ValueError, AttributeError):
        raise MauryError(f"{name} is not a manifest: what it tells of itself is damaged.") from None
    if kind != "manifest":
        raise MauryError(f"{name} is not a manifest but of the kind {kind!r}.")
    if version != FORMAT_VERSION:
        raise MauryError(
            f"{name} is a manifest of version {version}; this version of maury reads "
            f"{FORMAT_VERSION}."
        )


def _check_rows(table: pa.Table, name: str) -> None:
    good = pc.fill_null(pc.match_substring_regex(table["dp_id"], IDENTIFIER), False)
    if wrong := table["dp_id"].filter(pc.invert(good)).slice(0, 1).to_pylist():
        raise MauryError(
            f"{name} has the identifier {wrong[0]!r}; one of ESO's is like "
            "'ADP.2014-09-16T11:04:45.123'."
        )
    if pc.count_distinct(table["dp_id"]).as_py() < len(table):
        counts = pc.value_counts(table["dp_id"].combine_chunks())
        twice = counts.filter(pc.greater(counts.field("counts"), 1))[0]["values"]
        raise MauryError(f"{name} has the identifier {twice} more than once.")
    known = pc.is_in(table["status"], pa.array(STATUSES))
    if wrong := table["status"].filter(pc.invert(known)).slice(0, 1).to_pylist():
        raise MauryError(f"{name} has the status {wrong[0]!r}; it is one of {', '.join(STATUSES)}.")


def merge(old: pa.Table, new: pa.Table) -> pa.Table:
    """What two queries found together: all products of both, each once, by identifier.

    Parameters
    ----------
    old
        A manifest: what is known of the state of its products stays known.
    new
        A later one: what the archive tells of a product that is in both is told by this one.

    Returns
    -------
    pyarrow.Table
        A manifest, in the order of ``dp_id``.

    Examples
    --------
    >>> old = MANIFEST.empty_table()
    >>> merge(old, old).num_rows
    0
    """
    gone = old.filter(pc.invert(pc.is_in(old["dp_id"], new["dp_id"])))
    renewed = update(new, old.select(["dp_id", *STATE]))
    return pa.concat_tables([gone, renewed]).sort_by("dp_id").combine_chunks()


def update(table: pa.Table, states: pa.Table | Sequence[Mapping[str, Any]]) -> pa.Table:
    """A manifest with other states of some products.

    Parameters
    ----------
    table
        A manifest.
    states
        ``dp_id`` and the columns of `STATE`, each product once; those that the manifest has not
        are left out.
    """
    if not isinstance(states, pa.Table):
        schema = pa.schema([MANIFEST.field(name) for name in ("dp_id", *STATE)])
        states = pa.Table.from_pylist(list(states), schema)
    place = pc.index_in(table["dp_id"], states["dp_id"].combine_chunks())
    known = pc.is_valid(place)
    for name in STATE:
        # A missing place takes a null, which the old value then replaces.
        values = pc.if_else(known, states[name].take(place), table[name])
        table = table.set_column(MANIFEST.names.index(name), MANIFEST.field(name), values)
    return table
