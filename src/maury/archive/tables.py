"""Labels from tables of others: a user's own in a file, and SWEET-Cat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units
from astropy.table import Column, Table
from numpy.typing import NDArray

from maury.archive.conflicts import Conflict
from maury.archive.label_columns import LABELS, Found, recognise
from maury.archive.label_rows import LabelRows
from maury.archive.services import Services
from maury.archive.table_fields import UnitError, convert, identifiers, numbers, texts
from maury.archive.table_files import read_file, read_text
from maury.errors import ArchiveError, MauryError

if TYPE_CHECKING:
    from maury.archive.session import ArchiveSession

__all__ = ["POSSIBLE", "label_rows", "read_sweetcat", "read_table"]

Array = NDArray[np.float64]

POSSIBLE: Mapping[str, tuple[float, float]] = {
    "teff": (200.0, 300_000.0),
    "logg": (-2.0, 10.0),
    "mh": (-8.0, 2.0),
    "rv": (-1500.0, 1500.0),
    **{f"{label}_error": (0.0, np.inf) for label in LABELS},
    "ra": (0.0, 360.0),
    "dec": (-90.0, 90.0),
    "pmra": (-12_000.0, 12_000.0),
    "pmdec": (-12_000.0, 12_000.0),
    "epoch": (1800.0, 2200.0),
}
"""What stars have, from brown dwarfs to white ones, in the units of `UNITS`."""

UNITS: Mapping[str, str] = {
    "teff": "K",
    "logg": "dex(cm s-2)",
    "mh": "dex",
    "rv": "km/s",
    "ra": "deg",
    "dec": "deg",
    "pmra": "mas/yr",
    "pmdec": "mas/yr",
    "epoch": "yr",
}
"""Units that values are brought to; ``<label>_error`` has that of the label, of log g dex."""

ACRONYMS = {
    "hd": "HD",
    "hip": "HIP",
    "gj": "GJ",
    "tic": "TIC",
    "gaia_dr2": "Gaia DR2",
    "gaia_dr3": "Gaia DR3",
}

ALIKE = 20
"""A value that is impossible in more rows than these is told once."""

MANY, SHARE = 20, 0.1
"""Rows with zero, and their share of a column, from which zero may mean that it is not known."""


def read_table(
    path: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    missing: Sequence[float] = (),
) -> LabelRows:
    """Stars and labels from a file.

    Parameters
    ----------
    path
        FITS, VOTable, ECSV, CSV or text between tabs or blanks; see
        `maury.archive.table_files.read_file`.
    columns
        By quantity (see `maury.archive.label_columns.QUANTITIES`) the column that it is in, where
        its name does not tell; an empty name for none.
    missing
        Numbers that stand for what is not known. A zero that does so is kept where zero is an
        ordinary value ([M/H] and radial velocity) and another label of its row is known.

    Raises
    ------
    MauryError
        If the file cannot be read, or has no labels, or neither names nor positions.
    """
    return label_rows(read_file(path), Path(path).name, columns=columns, missing=missing)


def read_sweetcat(services: Services, *, session: ArchiveSession | None = None) -> LabelRows:
    """SWEET-Cat as it is now: stars with planets (Santos et al. 2013, A&A 556, A150).

    Parameters
    ----------
    services
        Where it is.
    session
        Which asks; a new one by default.

    Raises
    ------
    ArchiveError
        If the service fails, or sends something else.
    """
    # What asks over the network is an extra, which files need not have.
    from maury.archive import answers
    from maury.archive.session import ArchiveSession

    asking = session or ArchiveSession()
    text = answers.whole(
        lambda: asking.get(services.sweetcat, stream=True),
        lambda body: body.decode("utf-8-sig"),
        service_name="SWEET-Cat",
    )
    try:
        rows = label_rows(read_text(text, "SWEET-Cat"), "SWEET-Cat")
    except MauryError as error:
        raise ArchiveError(f"SWEET-Cat has changed: {error}") from None
    if lacking := [name for name in ("teff", "logg", "mh") if name not in rows.values]:
        raise ArchiveError(f"SWEET-Cat has changed: it has no column for {lacking[0]}.")
    return rows


def label_rows(
    table: Table,
    name: str,
    *,
    columns: Mapping[str, str] | None = None,
    missing: Sequence[float] = (),
) -> LabelRows:
    """What a table tells of stars.

    Positions are taken for ICRS ones of the epoch J2000 where no column tells another, proper
    motions for those on the sky, and [Fe/H] for [M/H] where there is no [M/H].

    Parameters
    ----------
    table
        Of any columns.
    name
        What it is called.
    columns, missing
        As of `read_table`.

    Raises
    ------
    MauryError
        If it has no labels, or neither names nor positions, or a unit does not fit.
    """
    found = recognise(table.colnames, columns, name=name)
    there = ", ".join(table.colnames)
    if not any(label in found for label in LABELS):
        raise MauryError(
            f"{name} has no column for teff, logg, mh or rv; say which is which, as in "
            f"--column teff=T_eff. It has {there}."
        )
    if not (found.keys() & {"star", *ACRONYMS} or found.keys() >= {"ra", "dec"}):
        raise MauryError(
            f"{name} has neither names nor positions of stars; say where, as in "
            f"--column star=ID. It has {there}."
        )
    reading = _Reading(table, name, found, missing)
    values = {key: reading.numbers(key) for key in found if key in UNITS or key.endswith("_error")}
    names = reading.names()
    reading.drop_marks(values)
    nothing = np.full(len(table), np.nan)
    ra, dec = values.get("ra", nothing), values.get("dec", nothing)
    reading.check_identity(names, ra, dec)
    return LabelRows(
        source=name,
        titles=reading.titles,
        names=names,
        ra=np.where(np.isfinite(dec), ra, np.nan),
        dec=np.where(np.isfinite(ra), dec, np.nan),
        pmra=values.get("pmra", nothing),
        pmdec=values.get("pmdec", nothing),
        epoch=np.nan_to_num(values.get("epoch", nothing), nan=2000.0),
        values={label: values[label] for label in LABELS if label in values},
        errors={label: values[f"{label}_error"] for label in LABELS if f"{label}_error" in values},
        origins={label: reading.origin(label) for label in LABELS if label in values},
        conflicts=reading.conflicts,
        remarks=reading.remarks,
    )


class _Reading:
    """A table on its way to `LabelRows`, and what is found wrong on it."""

    def __init__(
        self, table: Table, name: str, found: Mapping[str, Found], missing: Sequence[float]
    ) -> None:
        self.table, self.name, self.found, self.missing = table, name, found, missing
        self.conflicts: list[Conflict] = []
        self.remarks: list[str] = []
        for key in found:
            self._check_column(key)
        if "pmra" in found and "epoch" not in found:
            self.remarks.append(f"{name} tells no epoch; its positions are taken for J2000.")
        called = texts(table[found["star"].column]) if "star" in found else [None] * len(table)
        self.titles = [
            f"row {row} ({title})" if title else f"row {row}"
            for row, title in enumerate(called, start=1)
        ]

    def origin(self, label: str) -> str:
        """Where a label is from, in words."""
        found = self.found[label]
        taken = ", [Fe/H] taken as [M/H]" if found.iron else ""
        return f"{self.name}, column {found.column}{taken}"

    def names(self) -> list[tuple[str, ...]]:
        """Identifiers of each row."""
        names: list[list[str]] = [[] for _ in self.titles]
        for key in ("star", *ACRONYMS):
            if key in self.found:
                for row, text in enumerate(texts(self._column(key))):
                    names[row] += identifiers(text, ACRONYMS.get(key))
        return [tuple(dict.fromkeys(each)) for each in names]

    def numbers(self, key: str) -> Array:
        """A column in the unit that is wanted; NaN where it is not known, or impossible."""
        column = self._column(key)
        values, angles, wrong = numbers(column)
        for row, text in wrong:
            self._tell(key, row, None, f"{text!r} in the column {column.name} is not a number")
        if key == "ra":
            values[angles] *= 15.0
        unit = self._unit(key)
        if unit is not None:
            plain = ~angles
            values[plain] = self._converted(key, values[plain], unit)
        values[np.isin(values, self._marks(key))] = np.nan
        lower, upper = POSSIBLE[key]
        impossible = np.flatnonzero((values < lower) | (values > upper))
        self._tell_impossible(key, impossible, values[impossible])
        values[impossible] = np.nan
        if key in LABELS:
            self._suspect_zeros(key, values)
        if key == "ra" and unit is None and not angles.any():
            self._suspect_hours(values)
        return values

    def drop_marks(self, values: dict[str, Array]) -> None:
        """Take zeros of ordinary value for missing where nothing else of the row is known."""
        if 0.0 not in self.missing:
            return
        others = [key for key in ("teff", "logg") if key in values]
        known = np.any([np.isfinite(values[key]) for key in others], axis=0) if others else None
        for key in ("mh", "rv"):
            if key in values:
                zero = values[key] == 0.0
                kept = zero & known if known is not None else np.zeros_like(zero)
                values[key][zero & ~kept] = np.nan
                if kept.any():
                    self.remarks.append(
                        f"{self.name}: {kept.sum():,} zeros of {key} are kept, for other labels "
                        "of their rows are known."
                    )

    def check_identity(self, names: Sequence[tuple[str, ...]], ra: Array, dec: Array) -> None:
        """Tell of rows that cannot be found by anything."""
        nowhere = ~(np.isfinite(ra) & np.isfinite(dec))
        for row in np.flatnonzero(nowhere & np.array([not each for each in names], dtype=bool)):
            self.conflicts.append(
                Conflict(
                    "no-star",
                    self.name,
                    f"{self.titles[row]} has neither the name of a star nor a position.",
                    row=self.titles[row],
                )
            )

    def _column(self, key: str) -> Any:
        return self.table[self.found[key].column]

    def _check_column(self, key: str) -> None:
        column = self._column(key)
        if not isinstance(column, Column) or column.ndim != 1:
            raise MauryError(
                f"{self.name} has {key} in the column {self.found[key].column}, which does not "
                "hold one number or text a row."
            )

    def _marks(self, key: str) -> list[float]:
        """Numbers that mean that it is not known, whatever the rest of the row says."""
        ordinary = key in ("mh", "rv", "ra", "dec", "pmra", "pmdec")
        return [mark for mark in self.missing if not (mark == 0 and ordinary)]

    def _unit(self, key: str) -> Any:
        """The unit by the header or in the column's name; None where there is none."""
        given = self._column(key).unit
        text = str(given) if given is not None else self.found[key].unit
        if not text:
            return None
        unit = units.Unit(text, parse_strict="silent")
        if isinstance(unit, units.UnrecognizedUnit):
            self.remarks.append(
                f"{self.name}: the unit {text} of {key} is not known; {_wanted(key)} is assumed."
            )
            return None
        return unit

    def _converted(self, key: str, values: Array, unit: Any) -> Array:
        try:
            return convert(values, unit, _wanted(key))
        except UnitError as error:
            raise MauryError(
                f"{self.name} has {key} in a unit that does not fit: {error}."
            ) from None

    def _tell_impossible(self, key: str, rows: NDArray[np.intp], values: Array) -> None:
        lower, upper = POSSIBLE[key]
        unit = UNITS.get(key.removesuffix("_error"), "").partition("(")[0]
        between = f"below {lower:g}" if np.isinf(upper) else f"outside {lower:g} to {upper:g}"
        counts = Counter(values.tolist())
        told = set()
        for row, value in zip(rows, values.tolist(), strict=True):
            if counts[value] <= ALIKE:
                self._tell(key, int(row), value, f"{key} = {value:g} is {between} {unit}")
            elif value not in told:
                told.add(value)
                text = f"{key} = {value:g} in {counts[value]:,} rows is {between} {unit}"
                self._tell(key, int(row), value, text.rstrip())
                self.remarks.append(
                    f"{self.name}: {counts[value]:,} rows have {key} = {value:g}, taken as missing."
                )

    def _tell(self, key: str, row: int, value: float | None, what: str) -> None:
        self.conflicts.append(
            Conflict(
                "impossible",
                self.name,
                f"{self.titles[row]}: {what.rstrip()}; it is taken as missing.",
                row=self.titles[row],
                label=key,
                value=value,
            )
        )

    def _suspect_zeros(self, key: str, values: Array) -> None:
        count, known = int(np.sum(values == 0)), int(np.isfinite(values).sum())
        if 0.0 not in self.missing and count > MANY and count > SHARE * known:
            self.remarks.append(
                f"{self.name}: {count:,} of {known:,} rows have {key} = 0; if that means that it "
                "is not known, say --missing 0."
            )

    def _suspect_hours(self, values: Array) -> None:
        known = values[np.isfinite(values)]
        if known.size > MANY and known.max() < 24.0:
            self.remarks.append(
                f"{self.name}: all right ascensions are below 24 and are taken for degrees; if "
                "they are hours, give the column the unit hourangle."
            )


def _wanted(key: str) -> str:
    """The unit that a quantity or its error is brought to."""
    return "dex" if key == "logg_error" else UNITS[key.removesuffix("_error")]
