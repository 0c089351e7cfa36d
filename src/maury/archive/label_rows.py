"""Rows of a table of stars: what they are called, where they are, and their labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from maury.archive.conflicts import Conflict

__all__ = ["LabelRows"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LabelRows:
    """Stars of a table, from a file or a service.

    Parameters
    ----------
    source : str
        What the table is called, for provenance.
    titles : sequence of str
        What each row is called, such as ``"row 12 (HD 1461)"``.
    names : sequence of sequence of str
        The identifiers of each row, as `maury.archive.names.canonical` writes them.
    ra, dec : float64[row]
        Degrees ICRS at the epoch; NaN where there is no position.
    pmra, pmdec : float64[row]
        Proper motion, mas/yr, pmra on the sky (with cos dec); NaN where it is not known.
    epoch : float64[row]
        Of the positions, Julian years.
    values, errors : mapping of float64[row]
        By label, in its unit; NaN where it is not known.
    origins : mapping of str
        By label: which column it is from, and how it was taken.
    magnitude : float64[row], optional
        To tell a neighbour that is too faint to be meant.
    conflicts : sequence of Conflict
        What is wrong in the table itself.
    remarks : sequence of str
        What its reader should know, in sentences.
    """

    source: str
    titles: Sequence[str]
    names: Sequence[Sequence[str]]
    ra: Array
    dec: Array
    pmra: Array
    pmdec: Array
    epoch: Array
    values: Mapping[str, Array]
    errors: Mapping[str, Array] = field(default_factory=dict)
    origins: Mapping[str, str] = field(default_factory=dict)
    magnitude: Array | None = None
    conflicts: Sequence[Conflict] = ()
    remarks: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.titles)

    def error(self, label: str) -> Array:
        """Errors of a label; NaN throughout where the table has none."""
        return self.errors.get(label, np.full(len(self), np.nan))

    def value(self, label: str) -> Array:
        """Values of a label; NaN throughout where the table has none."""
        return self.values.get(label, np.full(len(self), np.nan))

    def cite(self, row: int) -> str:
        """The source and its row, in words."""
        title = self.titles[row]
        return title if title.startswith(f"{self.source} ") else f"{self.source}, {title}"

    def by_name(self) -> dict[str, list[int]]:
        """The rows that have an identifier, by identifier."""
        found: dict[str, list[int]] = {}
        for row, names in enumerate(self.names):
            for name in dict.fromkeys(names):
                found.setdefault(name, []).append(row)
        return found

    def lend_motion(self, pmra: Array, pmdec: Array) -> LabelRows:
        """The same rows, with these proper motions where they have none, mas/yr."""
        lacking = ~(np.isfinite(self.pmra) & np.isfinite(self.pmdec))
        return replace(
            self,
            pmra=np.where(lacking, pmra, self.pmra),
            pmdec=np.where(lacking, pmdec, self.pmdec),
        )
