"""Which star each exposure is of, and which rows of each source that star has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from maury.archive.conflicts import Conflict
from maury.archive.crossmatch import RADIUS, Matches, Trust, bridges, crossmatch, separations
from maury.archive.label_rows import LabelRows
from maury.archive.motion import at_time, direction, position, velocity
from maury.archive.sources import Asking, check_source, read_simbad, read_source, tic_number
from maury.archive.targets import Targets

__all__ = ["Identified", "Sky", "identify"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sky:
    """Where stars were when they were exposed.

    Parameters
    ----------
    ra, dec : float64[exposure]
        Of the star by a catalogue, brought to the time of exposure, or else where the telescope
        pointed; degrees ICRS.
    separation : float64[exposure]
        Between the two, arcsec; NaN where no catalogue has the star.
    """

    ra: Array
    dec: Array
    separation: Array


@dataclass(frozen=True, eq=False)
class Identified:
    """Stars, and the rows that they have in some sources.

    Parameters
    ----------
    targets : Targets
        The stars.
    sources : sequence of (LabelRows, Matches)
        In the order asked for.
    guide : (LabelRows, Matches) or None
        SIMBAD, where its identifiers were used to find rows of the others.
    by_position : bool[star]
        Stars whose identifiers are known by their position alone.
    """

    targets: Targets
    sources: Sequence[tuple[LabelRows, Matches]]
    guide: tuple[LabelRows, Matches] | None
    by_position: NDArray[np.bool_]

    @property
    def conflicts(self) -> list[Conflict]:
        """What was wrong with the sources, and what was not clear about the stars."""
        found = [*self.sources]
        if self.guide is not None and self.guide[0] not in [rows for rows, _ in found]:
            found.append(self.guide)
        return [each for rows, match in found for each in (*rows.conflicts, *match.conflicts)]

    @property
    def remarks(self) -> list[str]:
        """What readers of the sources should know."""
        return [remark for rows, _ in self.sources for remark in rows.remarks]

    def how(self) -> tuple[list[str | None], Array]:
        """How each star was found in the first source that has it, and how far away, arcsec."""
        how: list[str | None] = [None] * len(self.targets)
        apart = np.full(len(self.targets), np.nan)
        for _, matches in reversed(self.sources):
            for star in np.flatnonzero(matches.row >= 0).tolist():
                how[star] = "position" if self.by_position[star] else matches.how[star]
                apart[star] = matches.separation[star]
        return how, apart

    def tic(self) -> list[int | None]:
        """The number of each star in the TESS Input Catalog, by its own names or those of rows."""
        found = [tic_number(names) for names in self.targets.names]
        for rows, matches in self.sources:
            for star in np.flatnonzero(matches.row >= 0).tolist():
                if found[star] is None:
                    found[star] = tic_number(rows.names[matches.row[star]])
        return found

    def sky(self, radius: float) -> Sky:
        """Where the stars were, by the best position that there is.

        That is one with a proper motion; a position without is used where it is within the radius
        from where the telescope pointed.
        """
        targets = self.targets
        ra, dec = targets.ra.copy(), targets.dec.copy()
        apart = np.full(ra.size, np.nan)
        for rows, matches in self._best(radius):
            exposure = np.flatnonzero((matches >= 0)[targets.star])
            row = matches[targets.star[exposure]]
            start = direction(rows.ra[row], rows.dec[row])
            motion = velocity(rows.ra[row], rows.dec[row], rows.pmra[row], rows.pmdec[row])
            moved = at_time(start, motion, rows.epoch[row], targets.mjd[exposure])
            known = np.isfinite(moved).all(axis=1)
            ra[exposure[known]], dec[exposure[known]] = position(moved[known])
            apart[exposure] = separations(targets, rows, exposure, row)
        return Sky(ra, dec, apart)

    def _best(self, radius: float) -> list[tuple[LabelRows, NDArray[np.intp]]]:
        """Of each source the rows whose positions are used, -1 for stars that have a better one."""
        everything = [*([self.guide] if self.guide else []), *self.sources]
        free = np.ones(len(self.targets), dtype=bool)
        best = []
        for with_motion in (True, False):
            for rows, matches in everything:
                there = matches.row >= 0
                row = np.where(there, matches.row, 0)
                if len(rows) == 0:
                    continue
                placed = np.isfinite(rows.ra[row])
                moving = np.isfinite(rows.pmra[row]) & np.isfinite(rows.pmdec[row])
                good = moving if with_motion else matches.separation <= radius
                used = free & there & placed & good
                free &= ~used
                best.append((rows, np.where(used, matches.row, -1)))
        return best


def identify(
    targets: Targets,
    sources: Sequence[str | Path | LabelRows],
    asking: Asking,
    *,
    radius: float = RADIUS,
    trust: Trust | None = None,
    columns: Mapping[str, str] | None = None,
    missing: Sequence[float] = (),
) -> Identified:
    """Find stars in sources, and which stars are one.

    Where SIMBAD or the TESS Input Catalog is among the sources, SIMBAD's identifiers and proper
    motions help to find rows in the others.

    Parameters
    ----------
    targets
        The stars, by name and position.
    sources
        Services, files, or rows that are at hand.
    asking, radius, columns, missing
        As of `maury.archive.sources.read_source`.
    trust
        As of `maury.archive.crossmatch.crossmatch`.
    """
    for source in sources:
        if not isinstance(source, LabelRows):
            # Before services are asked for minutes.
            check_source(source)
    guide = None
    by_position = np.zeros(len(targets), dtype=bool)
    if {"simbad", "tic"} & {source for source in sources if isinstance(source, str)}:
        guide = read_simbad(targets, asking, radius)
        targets, _ = targets.united(bridges(targets, guide))
        matches = crossmatch(targets, guide, radius=radius, trust=trust)
        by_position = np.array([how == "position" for how in matches.how], dtype=bool)
        targets = targets.named([guide.names[row] if row >= 0 else () for row in matches.row])
    tables = []
    for source in sources:
        if isinstance(source, LabelRows):
            rows = source
        elif source == "simbad" and guide is not None:
            rows = guide
        else:
            rows = read_source(
                source, targets, asking, radius=radius, columns=columns, missing=missing
            )
        tables.append(rows)
        targets, new = targets.united(bridges(targets, rows))
        still = np.zeros(len(targets), dtype=bool)
        still[new[by_position]] = True
        by_position = still
    matched_guide = None
    if guide is not None:
        matched_guide = (guide, crossmatch(targets, guide, radius=radius, trust=trust))
        tables = [_with_motion(rows, targets, *matched_guide) for rows in tables]
    found = [(rows, crossmatch(targets, rows, radius=radius, trust=trust)) for rows in tables]
    everything = [*([matched_guide] if matched_guide else []), *found]
    _forget_doubtful(targets, [matches for _, matches in everything])
    return Identified(targets, found, matched_guide, by_position)


def _forget_doubtful(targets: Targets, found: Sequence[Matches]) -> None:
    """Take away rows found by position alone where another source says that the name is elsewhere.

    The spectrum may then be of the star that it names, pointed wrongly in its header, or of the
    one at its position, named wrongly.
    """
    doubtful = {
        conflict.star
        for matches in found
        for conflict in matches.conflicts
        if conflict.kind in ("far", "name-or-position") and not conflict.used
    }
    for star, title in enumerate(targets.titles):
        for matches in found if title in doubtful else ():
            if matches.how[star] == "position":
                matches.row[star], matches.separation[star] = -1, np.nan
                matches.how[star] = None


def _with_motion(
    rows: LabelRows, targets: Targets, guide: LabelRows, matches: Matches
) -> LabelRows:
    """Rows with SIMBAD's proper motions of the stars that have their names."""
    if rows is guide:
        return rows
    pmra, pmdec = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    by_name = rows.by_name()
    for star in np.flatnonzero(matches.row >= 0).tolist():
        for name in targets.names[star]:
            for row in by_name.get(name, ()):
                pmra[row] = guide.pmra[matches.row[star]]
                pmdec[row] = guide.pmdec[matches.row[star]]
    return rows.lend_motion(pmra, pmdec)
