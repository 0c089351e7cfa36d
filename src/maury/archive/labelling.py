"""Labels of stars from several sources, in order of trust, and where these disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from maury.archive.conflicts import Conflict
from maury.archive.crossmatch import Matches
from maury.archive.label_rows import LabelRows
from maury.archive.targets import Targets
from maury.labels import LABELS

__all__ = ["DIFFERENCES", "SIGMAS", "StarLabels", "label_stars"]

Array = NDArray[np.float64]

DIFFERENCES: Mapping[str, float] = {"teff": 250.0, "logg": 0.3, "mh": 0.25, "rv": 5.0}
"""Two sources disagree if they differ by more, in the label's unit, and by `SIGMAS` too.

Methods differ systematically by less; a wrong star differs by more, if it differs at all.
"""

SIGMAS = 3.0
"""Combined standard errors that two values may differ by, where both have one."""


@dataclass(frozen=True, eq=False)
class StarLabels:
    """One label of all stars.

    Parameters
    ----------
    value, error : float64[star]
        NaN where it is not known.
    source : sequence of str or None
        Which row of which source.
    """

    value: Array
    error: Array
    source: Sequence[str | None]


def label_stars(
    label: str,
    targets: Targets,
    sources: Sequence[tuple[LabelRows, Matches]],
    *,
    trust_order: bool = False,
) -> tuple[StarLabels, list[Conflict]]:
    """A label of each star from the first source that knows it.

    Where a later source disagrees the label stays missing, unless the order is to be trusted; a
    conflict tells.

    Parameters
    ----------
    label
        Its name.
    targets
        The stars.
    sources
        Rows and which of them are which star, the most trusted first.
    trust_order
        Whether the first one is taken in any case.
    """
    size = len(targets)
    value, error = np.full(size, np.nan), np.full(size, np.nan)
    origin = np.full(size, -1, dtype=np.intp)
    conflicts, dropped = [], np.zeros(size, dtype=bool)
    for number, (rows, matches) in enumerate(sources):
        there = matches.row >= 0
        theirs, their_error = np.full(size, np.nan), np.full(size, np.nan)
        theirs[there] = rows.value(label)[matches.row[there]]
        their_error[there] = rows.error(label)[matches.row[there]]
        for star in np.flatnonzero(_differ(label, value, error, theirs, their_error)).tolist():
            first, its_matches = sources[int(origin[star])]
            conflicts.append(
                _told(
                    label,
                    star,
                    targets,
                    (first, int(its_matches.row[star]), float(value[star])),
                    (rows, int(matches.row[star]), float(theirs[star])),
                    trust_order,
                )
            )
            dropped[star] = not trust_order
        new = np.isnan(value) & np.isfinite(theirs)
        value[new], error[new], origin[new] = theirs[new], their_error[new], number
    value[dropped], error[dropped], origin[dropped] = np.nan, np.nan, -1
    cited = [
        None if which < 0 else sources[which][0].cite(int(sources[which][1].row[star]))
        for star, which in enumerate(origin.tolist())
    ]
    return StarLabels(value, error, cited), conflicts


def _differ(label: str, a: Array, a_error: Array, b: Array, b_error: Array) -> NDArray[np.bool_]:
    """Where two values differ by more than they may."""
    both = np.hypot(a_error, b_error)
    apart = np.abs(a - b)
    # Comparisons with NaN are false: without both values nothing differs.
    return np.asarray((apart > DIFFERENCES[label]) & ~(apart <= SIGMAS * both))


def _told(
    label: str,
    star: int,
    targets: Targets,
    first: tuple[LabelRows, int, float],
    second: tuple[LabelRows, int, float],
    used: bool,
) -> Conflict:
    unit = f" {LABELS[label].unit}"
    (rows, row, value), (other, other_row, other_value) = first, second
    return Conflict(
        "labels-differ",
        f"{rows.source} / {other.source}",
        f"{rows.cite(row)} has {label} = {value:g}{unit}, {other.cite(other_row)} has "
        f"{other_value:g}{unit}.",
        star=targets.titles[star],
        exposures=int(targets.counts[star]),
        row=rows.titles[row],
        other_row=other.titles[other_row],
        label=label,
        value=value,
        other_value=other_value,
        used=used,
    )
