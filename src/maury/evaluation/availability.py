"""How many spectra and stars of a catalogue have each label, as in Table 1 of the paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from maury.evaluation.tables import Cell, Table
from maury.labels import HARPS_LABELS

__all__ = ["ALL", "PAPER", "Available", "availability_table", "count_available"]

ALL = "all"
"""What the spectra are called that have all six labels."""

TITLES = {
    "teff": "Teff",
    "logg": "log g",
    "mh": "[M/H]",
    "rv": "radial velocity",
    "airmass": "airmass",
    "berv": "BERV",
    ALL: "all labels",
}

PAPER: Mapping[str, tuple[int, int, float]] = {
    "teff": (168_728, 4588, 63.1),
    "logg": (145_372, 3582, 54.4),
    "mh": (120_440, 2108, 45.0),
    "rv": (142_970, 4469, 53.5),
    "airmass": (267_361, 7274, 100.0),
    "berv": (267_361, 7274, 100.0),
    ALL: (76_948, 1498, 28.8),
}
"""Table 1 of Cvrcek et al. (2024): spectra, stars, and percentage of the 267,361 spectra."""


@dataclass(frozen=True)
class Available:
    """Of how much a label is known.

    Parameters
    ----------
    label : str
        Its name, or `ALL`.
    spectra, stars : int
        Those that have it.
    percentage : float
        Of all spectra.
    """

    label: str
    spectra: int
    stars: int
    percentage: float

    def to_dict(self) -> dict[str, Any]:
        """As plain values, with those of the paper."""
        paper = dict(zip(("spectra", "stars", "percentage"), PAPER[self.label], strict=True))
        return asdict(self) | {f"paper_{name}": value for name, value in paper.items()}


def count_available(labels: Mapping[str, ArrayLike], stars: Sequence[Any]) -> list[Available]:
    """Count the spectra and stars that have each label, and all of them.

    Parameters
    ----------
    labels : mapping of array_like, float[spectrum]
        By name, NaN where it is not known; one that is not there is known of no spectrum.
    stars : sequence, of each spectrum
        Which star it is of.

    Examples
    --------
    >>> nan = np.nan
    >>> counts = count_available({"teff": [5772.0, 5772.0, nan, 4800.0]}, ["a", "a", "a", "b"])
    >>> counts[0]
    Available(label='teff', spectra=3, stars=2, percentage=75.0)
    """
    _, star = np.unique(np.asarray(stars, dtype=str), return_inverse=True)
    nothing = np.full(star.size, np.nan)
    known = {
        name: np.isfinite(np.asarray(labels.get(name, nothing), dtype=np.float64))
        for name in HARPS_LABELS.names
    }
    known[ALL] = np.all(list(known.values()), axis=0)
    return [
        Available(
            name,
            int(known[name].sum()),
            int(np.unique(star[known[name]]).size),
            round(100.0 * float(known[name].mean()), 2) if star.size else 0.0,
        )
        for name in TITLES
    ]


def availability_table(
    counts: Sequence[Available], spectra: int, stars: int, notes: Sequence[str] = ()
) -> Table:
    """Table 1, with the paper's numbers beside those at hand.

    Parameters
    ----------
    counts : sequence of Available
        Of `count_available`.
    spectra, stars : int
        All that there are.
    notes : sequence of str
        Sentences for below the table.
    """
    columns = [
        ("available", ""),
        ("targets", ""),
        ("share", "%"),
        ("paper: available", ""),
        ("paper: targets", ""),
        ("paper: share", "%"),
    ]
    rows = [
        (
            TITLES[count.label],
            [
                Cell(count.spectra),
                Cell(count.stars),
                Cell(f"{count.percentage:.1f}"),
                *(Cell(number) for number in PAPER[count.label][:2]),
                Cell(f"{PAPER[count.label][2]:.1f}"),
            ],
        )
        for count in counts
    ]
    return Table(
        "table1",
        f"Table 1: labels of {spectra:,} spectra of {stars:,} unique targets",
        columns,
        rows,
        ["Paper: Cvrcek et al. (2024), 267,361 spectra of 7,274 unique targets.", *notes],
        "label",
    )
