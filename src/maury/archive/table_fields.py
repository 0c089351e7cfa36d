"""Fields of other people's tables: numbers, angles, units and names as they write them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from astropy import units
from numpy.typing import NDArray

from maury.archive.names import canonical

__all__ = ["Numbers", "UnitError", "convert", "identifiers", "numbers", "texts"]

SEXAGESIMAL = re.compile(
    r"([+-]?)\s*(\d{1,3})[\s:hd°]+(\d{1,2})[\s:m'′]+(\d{1,2}(?:\.\d*)?)\s*[s\"″]?"
)
GRAVITY = units.cm / units.s**2

Numbers = tuple[NDArray[np.float64], NDArray[np.bool_], list[tuple[int, str]]]
"""Values, which of them were written as hours or degrees with minutes, and what is no number."""


class UnitError(ValueError):
    """A unit that does not fit the quantity."""


def texts(column: Any) -> list[str | None]:
    """The texts of a column; None where there is none or nothing but blanks."""
    return [None if value is None else str(value).strip() or None for value in column.tolist()]


def numbers(column: Any) -> Numbers:
    """Values of a column of an astropy table, NaN where it has none.

    Examples
    --------
    >>> from astropy.table import Column
    >>> values, angles, wrong = numbers(Column(["12.5", "14:39:36.5", "far"]))
    >>> values.round(4).tolist(), angles.tolist(), wrong
    ([12.5, 14.6601, nan], [False, True, False], [(2, 'far')])
    """
    data = np.ma.asarray(column)
    angles = np.zeros(len(data), dtype=bool)
    if data.dtype.kind in "fiu":
        return np.ma.filled(data.astype(np.float64), np.nan), angles, []
    values, wrong = np.full(len(data), np.nan), []
    for row, text in enumerate(texts(column)):
        if text is None:
            continue
        angle = _sexagesimal(text)
        angles[row] = angle is not None
        try:
            values[row] = float(text) if angle is None else angle
        except ValueError:
            wrong.append((row, text))
    return values, angles, wrong


def _sexagesimal(text: str) -> float | None:
    match = SEXAGESIMAL.fullmatch(text)
    if match is None:
        return None
    sign, whole, minutes, seconds = match.groups()
    if int(minutes) >= 60 or float(seconds) >= 60:
        return None
    return (-1 if sign == "-" else 1) * (int(whole) + int(minutes) / 60 + float(seconds) / 3600)


def convert(values: NDArray[np.float64], unit: Any, wanted: str) -> NDArray[np.float64]:
    """Values in another unit.

    Parameters
    ----------
    values
        In `unit`.
    unit
        Of astropy.
    wanted
        A unit's name; ``"dex"`` and ``"dex(cm s-2)"`` take numbers without unit too.

    Raises
    ------
    UnitError
        If one cannot be brought to the other.

    Examples
    --------
    >>> convert(np.array([-22600.0]), units.m / units.s, "km/s").tolist()
    [-22.6]
    >>> convert(np.array([2.44]), units.dex("m s-2"), "dex(cm s-2)").round(2).tolist()
    [4.44]
    """
    pure = unit in (units.dex, units.dimensionless_unscaled)
    if wanted == "dex(cm s-2)":
        physical = getattr(unit, "physical_unit", None)
        if physical is not None and physical.is_equivalent(GRAVITY):
            return values + np.log10(physical.to(GRAVITY))
        # Many write the unit of g for that of log g.
        if pure or (physical is None and unit == GRAVITY):
            return values
    elif wanted == "dex" and pure:
        return values
    elif unit == units.hour and wanted == "deg":
        return values * 15.0
    else:
        try:
            return np.asarray(units.Quantity(values, unit).to_value(wanted), dtype=np.float64)
        except (units.UnitsError, TypeError):
            pass
    raise UnitError(f"{unit} cannot be brought to {wanted}")


def identifiers(text: str | None, acronym: str | None = None) -> list[str]:
    """The canonical names in a field.

    Parameters
    ----------
    text
        What stands there.
    acronym
        Of the catalogue, if the field may hold its numbers alone, and several of them.

    Examples
    --------
    >>> identifiers("alf Cen B"), identifiers("128620; 128621", "HD"), identifiers("HD128621", "HD")
    (['* alf Cen B'], ['HD 128620', 'HD 128621'], ['HD 128621'])
    """
    if text is None:
        return []
    parts = [text] if acronym is None else re.split(r"[;,|]", text)
    found = []
    for part in map(str.strip, parts):
        if acronym is not None and re.match(r"\d", part):
            # A number that went through a floating one is none of a catalogue any more, or whole.
            match = re.fullmatch(r"(0*[1-9]\d*)(?:\.0)?( ?[A-Za-z]{0,2})", part)
            name = canonical(f"{acronym} {match[1]}{match[2]}") if match else None
        else:
            name = canonical(part)
        found += [] if name is None else [name]
    return found
