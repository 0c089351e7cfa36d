"""ADQL run by SQLite: a database in memory, made anew for each query."""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stand_in.votable import Field

__all__ = ["QueryError", "Result", "Table", "run"]

_TOP = re.compile(r"^\s*(SELECT(?:\s+DISTINCT|\s+ALL)?)\s+TOP\s+(\d+)\s", re.IGNORECASE)
_ALIAS = re.compile(r"(\w+)\s+AS\s+\"?(\w+)\"?", re.IGNORECASE)
_TYPES = {"char": "TEXT", "double": "REAL", "float": "REAL"}


class QueryError(Exception):
    """A query that cannot be answered."""


@dataclass(frozen=True)
class Table:
    """Rows of a table, and what its columns are."""

    fields: Sequence[Field]
    rows: Sequence[Mapping[str, Any]]
    collation: str = "BINARY"

    def create(self, database: sqlite3.Connection, name: str) -> None:
        columns = ", ".join(
            f'"{field.name}" {_TYPES.get(field.datatype, "INTEGER")} COLLATE {self.collation}'
            for field in self.fields
        )
        database.execute(f"CREATE TABLE {name} ({columns})")
        marks = ", ".join("?" * len(self.fields))
        values = [[row.get(field.name) for field in self.fields] for row in self.rows]
        database.executemany(f"INSERT INTO {name} VALUES ({marks})", values)


@dataclass(frozen=True)
class Result:
    """What a query gives."""

    fields: Sequence[Field]
    rows: Sequence[Sequence[Any]]


def run(query: str, tables: Mapping[str, Table]) -> Result:
    """Answer a query on tables by their names, which may be those of a schema: "ivoa.ObsCore".

    TOP becomes LIMIT; POINT, CIRCLE, CONTAINS, INTERSECTS and DISTANCE are functions that SQLite is
    given. Sub-queries may not have a TOP of their own.
    """
    database = sqlite3.connect(":memory:")
    try:
        _prepare(database)
        for schema in {name.split(".")[0] for name in tables if "." in name}:
            database.execute(f"ATTACH ':memory:' AS {schema}")
        for name, table in tables.items():
            table.create(database, name)
        cursor = database.execute(_limited(query))
        rows = cursor.fetchall()
        names = [column[0] for column in cursor.description or ()]
    except sqlite3.Error as error:
        raise QueryError(_reason(error)) from None
    finally:
        database.close()
    if not names:
        raise QueryError("Incorrect ADQL query: it selects nothing.")
    known = {field.name.lower(): field for table in tables.values() for field in table.fields}
    origin = {alias.lower(): name.lower() for name, alias in _ALIAS.findall(query)}
    fields = []
    for position, name in enumerate(names):
        field = known.get(origin.get(name.lower(), name.lower()))
        fields.append(_renamed(field, name) if field else _guessed(name, position, rows))
    return Result(fields, rows)


def _prepare(database: sqlite3.Connection) -> None:
    database.execute("PRAGMA case_sensitive_like = ON")
    # SQLite's Bloom filters, which come with automatic indexes, overlook collations.
    database.execute("PRAGMA automatic_index = OFF")
    database.create_collation("IDENTIFIER", _compare_identifiers)
    for name, function in (
        ("POINT", _point),
        ("CIRCLE", _circle),
        ("CONTAINS", _contains),
        ("INTERSECTS", _intersects),
        ("DISTANCE", _distance),
    ):
        database.create_function(name, -1, function, deterministic=True)


def _limited(query: str) -> str:
    query = query.strip().rstrip(";")
    top = _TOP.match(query)
    if top is None:
        return query
    rest = query[top.end() :]
    offset = re.search(r"\bOFFSET\s+\d+\s*$", rest, re.IGNORECASE)
    body, tail = (rest[: offset.start()], offset.group()) if offset else (rest, "")
    return f"{top.group(1)} {body} LIMIT {top.group(2)} {tail}"


def _reason(error: sqlite3.Error) -> str:
    missing = re.match(r"no such (column|table|function): (\S+)", str(error))
    if missing:
        kind, name = missing.groups()
        return (
            f"Incorrect ADQL query: 1 unresolved identifiers: {name} !\n"
            f' - Unknown {kind} "{name}" !'
        )
    return f"Incorrect ADQL query: {error}"


def _renamed(field: Field, name: str) -> Field:
    return Field(name, field.datatype, field.unit, field.ucd, field.description, field.xtype)


def _guessed(name: str, position: int, rows: Sequence[Sequence[Any]]) -> Field:
    kinds = {type(row[position]) for row in rows} - {type(None)}
    if kinds <= {int}:
        return Field(name, "long")
    return Field(name, "double" if kinds <= {int, float} else "char")


def _point(*arguments: Any) -> str | None:
    return _shape("POSITION", arguments[-2:])


def _circle(*arguments: Any) -> str | None:
    centre, radius = arguments[-3:-1], arguments[-1]
    if isinstance(centre[1], str):
        centre = tuple(map(float, centre[1].split()[-2:]))
    return _shape("CIRCLE", (*centre, radius))


def _shape(name: str, numbers: Sequence[float | None]) -> str | None:
    if None in numbers:
        return None
    return f"{name} J2000 " + " ".join(repr(float(number or 0.0)) for number in numbers)


def _contains(inner: str | None, outer: str | None) -> int | None:
    if inner is None or outer is None:
        return None
    (a, small), (b, large) = _parts(inner), _parts(outer)
    return int(_angle(*a, *b) + small <= large)


def _intersects(one: str | None, other: str | None) -> int | None:
    if one is None or other is None:
        return None
    (a, first), (b, second) = _parts(one), _parts(other)
    return int(_angle(*a, *b) <= first + second)


def _parts(shape: str) -> tuple[tuple[float, float], float]:
    numbers = [float(word) for word in shape.split()[2:]]
    return (numbers[0], numbers[1]), numbers[2] if len(numbers) > 2 else 0.0


def _distance(*arguments: Any) -> float | None:
    if None in arguments:
        return None
    if len(arguments) == 2:
        return _angle(*_parts(arguments[0])[0], *_parts(arguments[1])[0])
    return _angle(*arguments)


def _angle(ra: float, dec: float, other_ra: float, other_dec: float) -> float:
    """Degrees between two positions, by the haversine formula."""
    a, b = math.radians(dec), math.radians(other_dec)
    half = math.radians(ra - other_ra) / 2
    square = math.sin((a - b) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(half) ** 2
    return math.degrees(2 * math.asin(min(1.0, math.sqrt(square))))


def _compare_identifiers(one: str, other: str) -> int:
    a, b = _plain(one), _plain(other)
    return (a > b) - (a < b)


def _plain(identifier: str) -> str:
    """An identifier as SIMBAD compares it: it takes "m1", "M 1" and "M   1" for the same.

    The letter of a component ("HD 189733B") is another than that of a planet ("HD 189733b").
    """
    text = re.sub(r"^(NAME |V\* |\*+ )", "", identifier.strip())
    letter = re.search(r"(?<=[\d ])[A-Za-z]$", text)
    text = re.sub(r"\s+", "", text[: letter.start()] if letter else text).casefold()
    return re.sub(r"^gl(?=\d)", "gj", text) + (letter.group() if letter else "")
