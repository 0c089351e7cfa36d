"""Labels of stars or spectra out of a CSV table."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from maury.errors import MauryError
from maury.labels import HARPS_LABELS

__all__ = ["LabelTable"]


@dataclass(frozen=True)
class LabelTable:
    """Labels by star or by file.

    Parameters
    ----------
    key : str
        ``"star"`` or ``"file"``.
    rows : dict
        Of each, the labels that are known.

    Examples
    --------
    >>> table = LabelTable("star", {"hd1": {"teff": 5772.0}})
    >>> table.find(star="HD 1", file="a.fits"), table.find(star=None, file="b.fits")
    ({'teff': 5772.0}, {})
    """

    key: str
    rows: dict[str, dict[str, float]]

    @classmethod
    def read(cls, path: str | Path) -> LabelTable:
        """From a CSV file with names in its first line.

        A column ``file`` or ``star`` tells whose labels they are: a file by its name without
        folders, a star whatever the blanks and capitals. Columns named as labels are taken, others
        left; an empty field is a label that is not known.

        Raises
        ------
        MauryError
            If it cannot be read, lacks these columns, or holds what is no number.
        """
        try:
            with Path(path).open(newline="", encoding="utf-8") as file:
                reader = csv.DictReader(file)
                columns = [name for name in reader.fieldnames or [] if name]
                records = list(reader)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            why = getattr(error, "strerror", None) or error
            raise MauryError(f"{path} cannot be read as a table ({why}).") from None
        key = next((name for name in ("file", "star") if name in columns), None)
        names = [name for name in HARPS_LABELS.names if name in columns]
        if key is None or not names:
            raise MauryError(
                f"{path} needs a column star or file, and labels among "
                f"{', '.join(HARPS_LABELS.names)}; it has {', '.join(columns) or 'none'}."
            )
        rows = {}
        for line, record in enumerate(records, start=2):
            labels = {name: _number(record[name], name, path, line) for name in names}
            known = {name: value for name, value in labels.items() if value is not None}
            rows[_key(key, record[key] or "")] = known
        return cls(key, rows)

    def find(self, *, star: str | None, file: str) -> dict[str, float]:
        """The labels that are known of a spectrum; none where the table does not have it."""
        return self.rows.get(_key(self.key, (file if self.key == "file" else star) or ""), {})


def _key(kind: str, text: str) -> str:
    return Path(text.strip()).name if kind == "file" else "".join(text.split()).casefold()


def _number(text: str | None, name: str, path: str | Path, line: int) -> float | None:
    if text is None or not text.strip():
        return None
    try:
        number = float(text)
    except ValueError:
        raise MauryError(f"{path}, line {line}: {name} = {text!r} is not a number.") from None
    return None if math.isnan(number) else number
