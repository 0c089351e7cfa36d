"""Stars of a manifest and rows of a table: which is which, by name and by position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from maury.archive.conflicts import Conflict
from maury.archive.label_rows import LabelRows
from maury.archive.motion import ARCSEC, angle, at_time, direction, velocity
from maury.archive.targets import Targets, contradict

__all__ = ["HOW", "RADIUS", "Matches", "Trust", "bridges", "crossmatch", "separations"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]
Trust = Literal["name", "position"]

RADIUS = 30.0
"""How far from a row the telescope may have pointed, arcsec.

Positions in headers of HARPS lie 7 arcsec from the star in the median, and up to 25 at 98%.
"""

NAMED_RADIUS = 2.0
"""How much further it may be where the name is the row's, times the radius.

That allows for motions that are not known.
"""

FAINTER = 4.0
"""A neighbour that is fainter than the brightest row by so much cannot be meant, mag."""

HOW = ("name", "position", "name+position")
SHOWN = 3  # rows that a sentence names
AT_ONCE = 2_000_000  # exposures times rows; some 300 MB


@dataclass(frozen=True, eq=False)
class Matches:
    """Which row is which star.

    Parameters
    ----------
    row : intp[star]
        Row of each star, -1 where there is none, or it is not clear which.
    how : list of str or None
        Of `HOW`.
    separation : float64[star]
        Between the row, at the time of each exposure, and where the telescope pointed; the median,
        arcsec. NaN where one of the two has no position.
    conflicts : sequence of Conflict
        What was not clear.
    """

    row: Index
    how: list[str | None]
    separation: Array
    conflicts: Sequence[Conflict]


def crossmatch(
    targets: Targets, rows: LabelRows, *, radius: float = RADIUS, trust: Trust | None = None
) -> Matches:
    """Find each star's row by name and by position.

    The row's position is brought to the time of each exposure by its proper motion. A row is found
    by name if it has one of the star's names; what it is away by may then be twice the radius, for
    its motion may not be known. A row is found by position alone if it is the only one within the
    radius, and no name says that it is another star; rows much fainter than the brightest do not
    count. Where name and position say different things, several rows are found, or one row is
    found for several stars, no row is taken, unless `trust` settles it: a conflict tells.

    Parameters
    ----------
    targets
        The stars.
    rows
        The table.
    radius
        How far from a row the telescope may have pointed, arcsec.
    trust
        What settles a conflict: the name, or the position (the nearest row).
    """
    found = _candidates(targets, rows, radius)
    chosen: dict[int, _Candidate] = {}
    conflicts = []
    for star, candidates in found.items():
        choice, doubts = _choose(targets.names[star], candidates, rows, radius, trust)
        if choice is not None:
            chosen[star] = choice
        conflicts += [_told(doubt, star, targets, rows) for doubt in doubts]
    conflicts += _unshare(chosen, targets, rows, trust)
    size = len(targets)
    how: list[str | None] = [None] * size
    matches = Matches(np.full(size, -1, dtype=np.intp), how, np.full(size, np.nan), conflicts)
    for star, choice in chosen.items():
        matches.row[star], matches.separation[star] = choice.row, choice.apart
        how[star] = choice.how(radius)
    return matches


def bridges(targets: Targets, rows: LabelRows) -> list[tuple[int, int]]:
    """Pairs of stars that are one because a row has names of both."""
    stars = targets.by_name()
    pairs = []
    for names in rows.names:
        together = [stars[name][0] for name in names if name in stars and len(stars[name]) == 1]
        pairs += [(together[0], other) for other in together[1:] if other != together[0]]
    return pairs


@dataclass(frozen=True)
class _Candidate:
    """A row that may be a star: found by name or not, and so many arcsec away, NaN if unknown."""

    row: int
    named: bool
    apart: float

    def within(self, radius: float) -> bool:
        """Whether it is, or may be, no further away."""
        return not self.apart > radius

    def how(self, radius: float) -> str:
        """What it was found by."""
        if not self.named:
            return "position"
        return "name+position" if self.apart <= radius else "name"


@dataclass(frozen=True)
class _Doubt:
    """A conflict that is not yet told: its kind, reason, and the two rows."""

    kind: str
    reason: str
    first: _Candidate
    second: _Candidate | None = None
    used: bool = False


def _candidates(targets: Targets, rows: LabelRows, radius: float) -> dict[int, list[_Candidate]]:
    """All rows that may be each star, the nearest first."""
    named = _pairs_by_name(targets, rows)
    size = max(len(rows), 1)
    keys = np.unique(np.concatenate([named, _pairs_by_position(targets, rows, radius)]))
    star, row = np.divmod(keys, size)
    apart = _median_separations(targets, rows, star, row)
    by_name = np.isin(keys, named)
    kept = by_name | (apart <= radius)
    found: dict[int, list[_Candidate]] = {}
    for i in np.flatnonzero(kept):
        candidate = _Candidate(int(row[i]), bool(by_name[i]), float(apart[i]))
        found.setdefault(int(star[i]), []).append(candidate)
    for candidates in found.values():
        candidates.sort(key=lambda each: (np.nan_to_num(each.apart, nan=np.inf), each.row))
    return found


def _pairs_by_name(targets: Targets, rows: LabelRows) -> Index:
    """Stars and rows with a name in common, as star times the number of rows plus row."""
    by_name = rows.by_name()
    pairs = [
        star * len(rows) + row
        for star, names in enumerate(targets.names)
        for name in names
        for row in by_name.get(name, ())
    ]
    return np.unique(np.array(pairs, dtype=np.intp))


def _pairs_by_position(targets: Targets, rows: LabelRows, radius: float) -> Index:
    """Stars and rows that come close at the time of an exposure, in the same form."""
    pointed = np.isfinite(targets.ra) & np.isfinite(targets.dec) & np.isfinite(targets.mjd)
    exposures = np.flatnonzero(pointed & targets.stellar[targets.star])
    placed = np.flatnonzero(np.isfinite(rows.ra) & np.isfinite(rows.dec))
    if not (exposures.size and placed.size):
        return np.empty(0, dtype=np.intp)
    # A year of exposures of a star is one point: its mean place at its mean time.
    year = np.floor(targets.mjd[exposures] / 365.25).astype(np.intp)
    key = targets.star[exposures] * (year.max() + 1) + year
    _, point = np.unique(key, return_inverse=True)
    counts = np.bincount(point)
    vectors = direction(targets.ra[exposures], targets.dec[exposures])
    where = np.stack([np.bincount(point, vectors[:, k]) / counts for k in range(3)], -1)
    star = np.zeros(counts.size, dtype=np.intp)
    star[point] = targets.star[exposures]
    mjd = targets.mjd[exposures]
    start, motion, epoch = _moving(rows, placed)
    middle = (mjd.min() + mjd.max()) / 2
    # In one search for all times: about where each row is halfway, as far as it moves until then.
    reach = np.linalg.norm(motion, axis=-1) * (np.ptp(mjd) / 2 / 365.25)
    scatter = 2 * radius * ARCSEC
    near = cKDTree(where).query_ball_point(
        at_time(start, motion, epoch, np.full(placed.size, middle)), reach + scatter
    )
    lengths = [len(points) for points in near]
    points = np.fromiter((p for points in near for p in points), np.intp, sum(lengths))
    return np.unique(star[points] * len(rows) + np.repeat(placed, lengths))


def _moving(rows: LabelRows, which: Index) -> tuple[Array, Array, Array]:
    """Directions, motions and epochs of rows."""
    ra, dec = rows.ra[which], rows.dec[which]
    motion = velocity(ra, dec, rows.pmra[which], rows.pmdec[which])
    return direction(ra, dec), motion, rows.epoch[which]


def _median_separations(targets: Targets, rows: LabelRows, star: Index, row: Index) -> Array:
    """Between each star and row, over its exposures, arcsec; NaN where there is no position."""
    result = np.full(star.size, np.nan)
    counts = targets.counts[star]
    first = 0
    while first < star.size:
        # At least one pair at a time.
        last = first + max(1, int(np.searchsorted(np.cumsum(counts[first:]), AT_ONCE, "right")))
        part = slice(first, last)
        exposure = np.concatenate([targets.exposures(each) for each in star[part]])
        which = np.repeat(np.arange(first, last), counts[part])
        apart = separations(targets, rows, exposure, row[which])
        known = np.isfinite(apart)
        which, apart = which[known], apart[known]
        order = np.lexsort((apart, which))
        which, apart = which[order], apart[order]
        found, begin, size = np.unique(which, return_index=True, return_counts=True)
        result[found] = (apart[begin + (size - 1) // 2] + apart[begin + size // 2]) / 2
        first = last
    return result


def separations(targets: Targets, rows: LabelRows, exposure: Index, row: Index) -> Array:
    """How far rows are, at the time of exposures, from where the telescope pointed, arcsec.

    Parameters
    ----------
    targets, rows
        What numbers mean.
    exposure, row : intp[n]
        Pairs; NaN where one of the two has no position or time.
    """
    with np.errstate(invalid="ignore"):
        start, motion, epoch = _moving(rows, row)
        moved = at_time(start, motion, epoch, targets.mjd[exposure])
        return angle(direction(targets.ra[exposure], targets.dec[exposure]), moved)


def _choose(
    names: Sequence[str],
    candidates: Sequence[_Candidate],
    rows: LabelRows,
    radius: float,
    trust: Trust | None,
) -> tuple[_Candidate | None, list[_Doubt]]:
    """The row of a star, and what is doubtful about it."""
    named = [each for each in candidates if each.named]
    near = [each for each in named if each.within(NAMED_RADIUS * radius)]
    others = _bright([each for each in candidates if each.apart <= radius], rows)
    here = [
        each for each in others if not each.named and not contradict(names, rows.names[each.row])
    ]
    titles = rows.titles
    if len(near) == 1 and (near[0].within(radius) or not here):
        choice, also = near[0], [*(each for each in named if each is not near[0]), *here]
        return choice, [
            _Doubt(
                "two-by-name" if each.named else "two-by-position",
                f"{titles[each.row]}, {_away(each)}, has the star's name too; the position decides."
                if each.named
                else f"{titles[each.row]}, {_away(each)}, is near the star too; the name decides.",
                choice,
                each,
                used=True,
            )
            for each in also
        ]
    if len(near) > 1:
        doubt = _Doubt(
            "two-by-name", f"{_listed(near, rows)} have the star's name.", near[0], near[1]
        )
        return _settle(doubt, near[0], near[0], trust)
    # A name that is elsewhere does not count against what is here.
    elsewhere = [each for each in others if not each.named] if named and not near else here
    if named and elsewhere:
        reason = (
            f"{titles[named[0].row]} has the star's name but is {_away(named[0])}; "
            f"{titles[elsewhere[0].row]} is {_away(elsewhere[0])}."
        )
        doubt = _Doubt("name-or-position", reason, named[0], elsewhere[0])
        return _settle(doubt, named[0], elsewhere[0], trust)
    if named:
        reason = (
            f"{titles[named[0].row]} has the star's name but is {_away(named[0])}; "
            f"{NAMED_RADIUS * radius:g} arcsec are allowed."
        )
        return _settle(_Doubt("far", reason, named[0]), named[0], None, trust)
    if len(here) > 1:
        reason = f"{_listed(here, rows)} are within {radius:g} arcsec."
        return _settle(_Doubt("two-by-position", reason, here[0], here[1]), None, here[0], trust)
    if here:
        return here[0], []
    if not others:
        return None, []
    ours, theirs = (" = ".join(each[:SHOWN]) for each in (names, rows.names[others[0].row]))
    reason = f"{titles[others[0].row]} is {_away(others[0])}, but {theirs} cannot be {ours}."
    return _settle(_Doubt("names-differ", reason, others[0]), None, others[0], trust)


def _settle(
    doubt: _Doubt, named: _Candidate | None, placed: _Candidate | None, trust: Trust | None
) -> tuple[_Candidate | None, list[_Doubt]]:
    """The row that is trusted, if any is."""
    trusted = named if trust == "name" else placed if trust == "position" else None
    return trusted, [replace(doubt, used=trusted is not None)]


def _bright(candidates: list[_Candidate], rows: LabelRows) -> list[_Candidate]:
    """Those that are not much fainter than the brightest."""
    if rows.magnitude is None or len(candidates) < 2:
        return candidates
    magnitude = rows.magnitude[[each.row for each in candidates]]
    if np.isnan(magnitude).all():
        return candidates
    faint = magnitude > np.nanmin(magnitude) + FAINTER
    return [each for each, is_faint in zip(candidates, faint, strict=True) if not is_faint]


def _unshare(
    chosen: dict[int, _Candidate], targets: Targets, rows: LabelRows, trust: Trust | None
) -> list[Conflict]:
    """Take rows away from stars that share them; a star that has the row's name keeps it."""
    stars_of: dict[int, list[int]] = {}
    for star, choice in chosen.items():
        stars_of.setdefault(choice.row, []).append(star)
    conflicts = []
    for row, stars in stars_of.items():
        if len(stars) == 1:
            continue
        named = [star for star in stars if chosen[star].named]
        keeps = named[0] if len(named) == 1 else None
        if keeps is None and trust == "position":
            keeps = min(stars, key=lambda star: (chosen[star].apart, targets.titles[star]))
        together = ", ".join(sorted(targets.titles[star] for star in stars))
        for star in stars:
            reason = f"{together} want {rows.titles[row]}" + (
                f"; it goes to {targets.titles[keeps]}." if keeps is not None else "."
            )
            doubt = _Doubt("two-stars", reason, chosen[star], used=star == keeps)
            conflicts.append(_told(doubt, star, targets, rows))
            if star != keeps:
                del chosen[star]
    return conflicts


def _told(doubt: _Doubt, star: int, targets: Targets, rows: LabelRows) -> Conflict:
    first, second = doubt.first, doubt.second
    return Conflict(
        doubt.kind,
        rows.source,
        doubt.reason,
        star=targets.titles[star],
        exposures=int(targets.counts[star]),
        row=rows.titles[first.row],
        other_row=None if second is None else rows.titles[second.row],
        separation=None if np.isnan(first.apart) else round(first.apart, 3),
        used=doubt.used,
    )


def _listed(candidates: Sequence[_Candidate], rows: LabelRows) -> str:
    titles = [rows.titles[each.row] for each in candidates]
    if len(titles) > SHOWN:
        return f"{', '.join(titles[:SHOWN])} and {len(titles) - SHOWN} more"
    return f"{', '.join(titles[:-1])} and {titles[-1]}"


def _away(candidate: _Candidate) -> str:
    """How far away it is, in words."""
    apart = candidate.apart
    if np.isnan(apart):
        return "at an unknown place"
    if apart < 100:
        return f"{apart:.1f} arcsec away"
    return f"{apart / 60:.1f} arcmin away" if apart < 6000 else f"{apart / 3600:.1f} degrees away"
