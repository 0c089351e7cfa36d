"""What a cross-match could not settle, told and not hidden."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

__all__ = ["CONFLICTS", "KINDS", "Conflict", "conflict_table"]

KINDS: Mapping[str, str] = {
    "far": "the row with the star's name is elsewhere in the sky",
    "name-or-position": "the name says one row, the position another one",
    "names-differ": "the row at the star's position is another star by its name",
    "two-by-name": "several rows have the star's name",
    "two-by-position": "several rows are at the star's position",
    "two-stars": "several stars want the same row",
    "labels-differ": "two sources disagree about a label",
    "impossible": "a value that no star has",
    "no-star": "a row without name and position",
}
"""Kinds of conflicts."""


@dataclass(frozen=True)
class Conflict:
    """One thing that does not fit together.

    Parameters
    ----------
    kind : str
        Of `KINDS`.
    source : str
        Which table or service.
    reason : str
        What is wrong, in a sentence.
    star : str or None
        Whose labels it concerns; None for a row that is wrong in itself.
    exposures : int
        How many spectra that star has.
    row, other_row : str or None
        Rows of the source: the one by name, and the one by position or the next one.
    separation : float or None
        Between star and row, the median over the exposures, arcsec.
    label : str or None
        Which label.
    value, other_value : float or None
        What the two say of it, in the label's unit.
    used : bool
        Whether the row, or the value, was used nevertheless.
    """

    kind: str
    source: str
    reason: str
    star: str | None = None
    exposures: int = 0
    row: str | None = None
    other_row: str | None = None
    separation: float | None = None
    label: str | None = None
    value: float | None = None
    other_value: float | None = None
    used: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


_TYPES = {"exposures": pa.int64(), "used": pa.bool_()} | dict.fromkeys(
    ("separation", "value", "other_value"), pa.float64()
)

CONFLICTS = pa.schema(
    [(name, _TYPES.get(name, pa.string())) for name in Conflict.__dataclass_fields__]
)
"""Columns of a table of conflicts, as the entries of `Conflict`."""


def conflict_table(conflicts: Iterable[Conflict]) -> pa.Table:
    """A table of the schema `CONFLICTS`, one row a conflict, by kind and star.

    Examples
    --------
    >>> table = conflict_table([Conflict("far", "a.csv", "It is 3 degrees away.", star="HD 1")])
    >>> table["star"].to_pylist(), table["used"].to_pylist()
    (['HD 1'], [False])
    """
    order = {kind: place for place, kind in enumerate(KINDS)}
    rows = sorted(
        (conflict.to_dict() for conflict in conflicts),
        key=lambda row: (order[row["kind"]], row["source"], row["star"] or "", row["row"] or ""),
    )
    return pa.Table.from_pylist(rows, CONFLICTS)
