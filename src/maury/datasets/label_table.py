"""Labels of stars or spectra: a CSV table, or a catalogue in Parquet."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from maury.errors import MauryError
from maury.labels import HARPS_LABELS

__all__ = ["LabelTable"]

COMPUTED = ("berv", "airmass")
"""Labels that a catalogue has from time, place and target: a header knows them better."""


@dataclass(frozen=True, eq=False)
class LabelTable:
    """Labels by star or by file.

    Parameters
    ----------
    key : str
        ``"star"`` or ``"file"``.
    keys : bytes array, [n]
        The stars or files, sorted; of several that are equal the last holds.
    labels : dict
        Of each label, float64[n], NaN where it is not known.
    stars : list of str or None, optional
        By what name the star of each is to go, where a catalogue says so.
    after_headers : tuple of str
        Labels that fill in only where a header has none; the others go before it.

    Examples
    --------
    >>> table = LabelTable.of("star", ["HD 1"], {"teff": [5772.0]})
    >>> table.find(star="hd1", file="a.fits"), table.find(star=None, file="b.fits")
    ({'teff': 5772.0}, {})
    """

    key: str
    # One block of memory each: a dictionary of a whole archive is large, and slow to send.
    keys: NDArray[np.bytes_]
    labels: Mapping[str, NDArray[np.float64]]
    stars: pa.DictionaryArray | None = None
    after_headers: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        key: str,
        names: Sequence[str],
        labels: Mapping[str, Sequence[float] | NDArray[np.float64]],
        stars: pa.Array | None = None,
        after_headers: tuple[str, ...] = (),
    ) -> LabelTable:
        """From columns, the rows in any order."""
        keys = np.array([_key(key, name) for name in names], dtype=np.bytes_)
        order = np.argsort(keys, kind="stable")
        return cls(
            key,
            keys[order],
            {name: np.asarray(column, dtype=np.float64)[order] for name, column in labels.items()},
            None if stars is None else stars.take(pa.array(order)).dictionary_encode(),
            after_headers,
        )

    @classmethod
    def read(cls, path: str | Path) -> LabelTable:
        """From a CSV file with names in its first line, or a Parquet file.

        A column ``file`` or ``star`` tells whose labels they are: a file by its name without
        folders, a star whatever the blanks and capitals. Columns named as labels are taken, others
        left; an empty field is a label that is not known. In Parquet a column ``star`` beside
        ``file`` tells the name of the star. Of a catalogue, as ``maury catalog`` makes it,
        berv and airmass are taken only where a file's header has none.

        Raises
        ------
        MauryError
            If it cannot be read, lacks these columns, or holds what is no number.
        """
        if Path(path).suffix.lower() == ".parquet":
            return cls._read_parquet(path)
        try:
            with Path(path).open(newline="", encoding="utf-8") as file:
                reader = csv.DictReader(file)
                columns = [name for name in reader.fieldnames or [] if name]
                records = list(reader)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            why = getattr(error, "strerror", None) or error
            raise MauryError(f"{path} cannot be read as a table ({why}).") from None
        key, names = _columns(columns, path)
        labels = {
            name: [
                _number(record[name], name, path, line)
                for line, record in enumerate(records, start=2)
            ]
            for name in names
        }
        return cls.of(key, [record[key] or "" for record in records], labels)

    @classmethod
    def _read_parquet(cls, path: str | Path) -> LabelTable:
        try:
            schema = pq.read_schema(path)
            key, names = _columns(schema.names, path)
            wanted = {key, *names} | ({"star"} & set(schema.names))
            table = pq.read_table(path, columns=sorted(wanted), partitioning=None)
            # A spectrum that is not here has no file.
            table = table.filter(pc.is_valid(table[key]))
            labels = {name: _numbers(table[name], name, path) for name in names}
            facts = json.loads((schema.metadata or {}).get(b"maury", b"{}"))
        except (OSError, pa.ArrowException, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error).split("\n")[0].rstrip(".")
            raise MauryError(f"{path} cannot be read as a table ({why}).") from None
        stars = table["star"].combine_chunks() if key == "file" and "star" in wanted else None
        is_catalogue = isinstance(facts, dict) and facts.get("kind") == "catalogue"
        return cls.of(key, table[key].to_pylist(), labels, stars, COMPUTED if is_catalogue else ())

    def find(self, *, star: str | None, file: str) -> dict[str, Any]:
        """The labels that are known of a spectrum, and its ``star`` where the table names it.

        None where the table does not have the spectrum.
        """
        wanted = np.bytes_(_key(self.key, (file if self.key == "file" else star) or ""))
        row = int(np.searchsorted(self.keys, wanted, side="right")) - 1
        if row < 0 or self.keys[row] != wanted:
            return {}
        values = {name: float(column[row]) for name, column in self.labels.items()}
        known: dict[str, Any] = {
            name: value for name, value in values.items() if not math.isnan(value)
        }
        if self.stars is not None and (name := self.stars[row].as_py()):
            known["star"] = name
        return known


def _columns(columns: Sequence[str], path: str | Path) -> tuple[str, list[str]]:
    """The column of keys, and those of labels."""
    key = next((name for name in ("file", "star") if name in columns), None)
    names = [name for name in HARPS_LABELS.names if name in columns]
    if key is None or not names:
        raise MauryError(
            f"{path} needs a column star or file, and labels among "
            f"{', '.join(HARPS_LABELS.names)}; it has {', '.join(columns) or 'none'}."
        )
    return key, names


def _key(kind: str, text: str) -> bytes:
    name = Path(text.strip()).name if kind == "file" else "".join(text.split()).casefold()
    return name.encode()


def _number(text: str | None, name: str, path: str | Path, line: int) -> float:
    if text is None or not text.strip():
        return math.nan
    try:
        return float(text)
    except ValueError:
        raise MauryError(f"{path}, line {line}: {name} = {text!r} is not a number.") from None


def _numbers(column: pa.ChunkedArray, name: str, path: str | Path) -> NDArray[np.float64]:
    if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise MauryError(f"{path}: its column {name} is of the type {column.type}, not numbers.")
    return np.asarray(pc.fill_null(column.cast(pa.float64()), math.nan).to_numpy())
