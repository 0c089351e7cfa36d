"""The stars of a manifest: one for all its spectra, whatever these call it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray
from scipy.cluster.hierarchy import DisjointSet
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from maury.archive.motion import ARCSEC, angle, direction, position
from maury.archive.names import canonical, parse

__all__ = ["MERGE", "SPREAD", "Targets", "contradict", "group"]

Array = NDArray[np.float64]
Index = NDArray[np.intp]

MERGE = 10.0
"""Different names at positions closer than this mean one star, arcsec.

The telescope's position, in headers of HARPS, is off by 7 arcsec in the median.
"""

SPREAD = 360.0
"""One name at positions further apart than this means several stars, arcsec.

Twice as far as Barnard's star has moved since HARPS began.
"""

NAMELESS_SPREAD = 30.0
"""Exposures without a name further apart than this are of several stars, arcsec."""

NAMELESS = frozenset("NONAME NONE NULL NAN NA UNKNOWN OBJECT TARGET STAR DEFAULT".split())
"""Names that say nothing: what is there may be a star, as after a bare number."""

PREFERRED = ("HD", "HIP", "GJ")
"""Catalogues after which a star is called, if it has a name in one of them."""

COMPONENT = re.compile(r"(?P<system>.*\d|.* [A-Z][A-Za-z]{2}) ?(?P<component>[A-J]{1,2})")
SERIES = re.compile(r"(?P<series>\D+)\d+.*")


@dataclass(frozen=True, eq=False)
class Targets:
    """Stars, and the exposures of each.

    Parameters
    ----------
    star : intp[exposure]
        Number of its star.
    names : sequence of tuple of str
        Of each star, as `maury.archive.names.canonical` writes them, the most used first; none
        where exposures do not say what they are of.
    titles : sequence of str
        What to call each star; no two are the same.
    ra, dec, mjd : float64[exposure]
        Where the telescope pointed, degrees ICRS, and when, UTC; NaN where it is not known.
    stellar : bool[star]
        False for the Sun and what shines by its light, for lamps and the sky.
    """

    star: Index
    names: Sequence[tuple[str, ...]]
    titles: Sequence[str]
    ra: Array
    dec: Array
    mjd: Array
    stellar: NDArray[np.bool_]
    order: Index = field(init=False, repr=False)
    bounds: Index = field(init=False, repr=False)

    def __post_init__(self) -> None:
        order = np.argsort(self.star, kind="stable")
        bounds = np.searchsorted(self.star[order], np.arange(len(self.names) + 1))
        object.__setattr__(self, "order", order)
        object.__setattr__(self, "bounds", bounds)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def counts(self) -> Index:
        """How many exposures each star has."""
        return np.diff(self.bounds)

    def exposures(self, star: int) -> Index:
        """Which exposures are of a star."""
        return self.order[self.bounds[star] : self.bounds[star + 1]]

    def by_name(self) -> dict[str, list[int]]:
        """The stars that have a name, by name: several where one name is at several places."""
        found: dict[str, list[int]] = {}
        for star, names in enumerate(self.names):
            for name in names:
                found.setdefault(name, []).append(star)
        return found

    def position(self) -> tuple[Array, Array, Array]:
        """Median position of each star's exposures (degrees) and mean time; NaN where none."""
        known = np.isfinite(self.ra) & np.isfinite(self.dec)
        place = np.where(known[:, None], direction(self.ra, self.dec), np.nan)
        middle, when = np.full((len(self), 3), np.nan), np.full(len(self), np.nan)
        for star in range(len(self)):
            where = self.exposures(star)
            here = where[known[where]]
            if here.size:
                middle[star] = np.median(place[here], axis=0)
            times = self.mjd[where][np.isfinite(self.mjd[where])]
            if times.size:
                when[star] = times.mean()
        return *position(middle), when

    def named(self, more: Sequence[Iterable[str]]) -> Targets:
        """The same stars with more names of each, and called after the best of them."""
        names = [
            tuple(dict.fromkeys((*old, *new))) for old, new in zip(self.names, more, strict=True)
        ]
        return replace(self, names=names, titles=_titles(names, self.titles))

    def united(self, pairs: Iterable[tuple[int, int]]) -> tuple[Targets, Index]:
        """The same exposures, where some stars turn out to be one.

        Parameters
        ----------
        pairs
            Stars that are the same, the surest first. Those whose names contradict each other stay
            two.

        Returns
        -------
        Targets
        intp[star]
            The new number of each star.
        """
        sets, names = DisjointSet(range(len(self))), {i: set(n) for i, n in enumerate(self.names)}
        for first, second in pairs:
            a, b = sets[first], sets[second]
            if a == b or contradict(names[a], names[b]):
                continue
            sets.merge(a, b)
            names[sets[a]] = names[a] | names[b]
        roots = np.array([sets[star] for star in range(len(self))], dtype=np.intp)
        kept, new = np.unique(roots, return_inverse=True)
        members: list[list[int]] = [[] for _ in kept]
        for star, place in enumerate(new):
            members[place].append(star)
        counts = self.counts
        for together in members:
            together.sort(key=lambda star: (-counts[star], self.titles[star]))
        names_of = [
            tuple(dict.fromkeys(name for star in together for name in self.names[star]))
            for together in members
        ]
        titles = [self.titles[together[0]] for together in members]
        stellar = np.array([self.stellar[together].any() for together in members], dtype=bool)
        united = replace(
            self,
            star=new[self.star],
            names=names_of,
            titles=_titles(names_of, titles),
            stellar=stellar,
        )
        return united, new


def contradict(first: Iterable[str], second: Iterable[str]) -> bool:
    """Whether two groups of names cannot be of one star.

    They cannot where one catalogue has a name in each and these differ; a component A is taken for
    the whole system, as catalogues often do.

    Examples
    --------
    >>> contradict(["HD 128620"], ["HD 128621"]), contradict(["* alf Cen A"], ["* alf Cen B"])
    (True, True)
    >>> contradict(["HD 128621"], ["* alf Cen B"]), contradict(["HD 11964"], ["HD 11964A"])
    (False, False)
    """
    ours, theirs = _by_series(first), _by_series(second)
    return any(not ours[series] & theirs[series] for series in ours.keys() & theirs.keys())


def _by_series(names: Iterable[str]) -> dict[str, set[str]]:
    """Names by what they are numbers or letters of."""
    found: dict[str, set[str]] = {}
    for name in names:
        star = parse(name)
        series = star.catalogue if star else None
        if series is None and (match := SERIES.fullmatch(name)):
            # HATS552-017 is no number of the catalogue HATS.
            series = f"{match['series']}..."
        if series is not None:
            match = COMPONENT.fullmatch(name)
            system = match["system"] if match and match["component"] in ("A", "AB") else name
            found.setdefault(series, set()).add(system)
    return found


def group(objects: pa.Array, ra: ArrayLike, dec: ArrayLike, mjd: ArrayLike) -> Targets:
    """The stars of exposures, by name and by position.

    Ways to write a name make no difference. One name at places that are more than `SPREAD` apart
    means several stars; different names at places less than `MERGE` apart mean one, unless their
    catalogue tells that they are two, as the HD catalogue does of alpha Centauri A and B.

    Parameters
    ----------
    objects : pyarrow.Array
        Of strings: what observers called the targets; null where they did not.
    ra, dec : float64[exposure]
        Where the telescope pointed, degrees ICRS; NaN where it is not known.
    mjd : float64[exposure]
        When, UTC.

    Examples
    --------
    >>> objects = pa.array(["HD128621", "hd 128621", "HD128620"])
    >>> found = group(objects, [219.874] * 3, [-60.832] * 3, [56010.0] * 3)
    >>> [found.titles[star] for star in found.star]
    ['HD 128621', 'HD 128621', 'HD 128620']
    """
    east, north, when = (np.asarray(values, dtype=np.float64) for values in (ra, dec, mjd))
    if isinstance(objects, pa.ChunkedArray):
        objects = objects.combine_chunks()
    encoded = objects.fill_null("").dictionary_encode()
    meant = [_meaning(text) for text in encoded.dictionary.to_pylist()]
    different = sorted(set(meant))
    place = {meaning: number for number, meaning in enumerate(different)}
    numbers = np.array([place[meaning] for meaning in meant], dtype=np.intp)
    star = numbers[encoded.indices.to_numpy()] if len(objects) else np.empty(0, np.intp)
    vectors = direction(east, north)
    star, origin = _split(star, different, vectors)
    kinds, texts = zip(*(different[i] for i in origin), strict=True) if len(origin) else ((), ())
    named = [(text,) if kind == "star" else () for kind, text in zip(kinds, texts, strict=True)]
    targets = Targets(
        star=star,
        names=named,
        titles=[text or "NAMELESS" for text in texts],
        ra=east,
        dec=north,
        mjd=when,
        stellar=np.array([kind != "other" for kind in kinds], dtype=bool),
    )
    targets = replace(targets, titles=_places(targets, kinds))
    targets = replace(targets, titles=_titles(targets.names, targets.titles))
    return targets.united(_close(targets))[0]


def _meaning(text: str) -> tuple[str, str]:
    """What a target's name says: a star, nothing, or something else."""
    if (name := canonical(text)) is not None:
        return "star", name
    squeezed = re.sub(r"[\W_]+", "", text).upper()
    if not squeezed or squeezed.isdigit() or squeezed in NAMELESS:
        return "nameless", ""
    return "other", " ".join(text.split()).upper()


def _split(star: Index, meant: Sequence[tuple[str, str]], vectors: Array) -> tuple[Index, Index]:
    """Divide names that are at several places; the new numbers, and the old number of each."""
    order = np.argsort(star, kind="stable")
    bounds = np.searchsorted(star[order], np.arange(len(meant) + 1))
    new = np.empty_like(star)
    origin: list[int] = []
    for number, (kind, _) in enumerate(meant):
        here = order[bounds[number] : bounds[number + 1]]
        parts = np.zeros(here.size, dtype=np.intp)
        known = np.isfinite(vectors[here]).all(axis=1)
        link = {"star": SPREAD, "nameless": NAMELESS_SPREAD}.get(kind)
        if link is not None and known.any():
            places = vectors[here[known]]
            if angle(places, places[0]).max() > link / 2:
                parts[known] = _components(places, link)
        new[here] = len(origin) + parts
        origin += [number] * (int(parts.max(initial=0)) + 1)
    return new, np.array(origin, dtype=np.intp)


def _components(places: Array, link: float) -> Index:
    """Which places hang together by steps of at most so many arcsec, the largest group first."""
    cells, cell = np.unique(np.round(places / (link * ARCSEC / 8)), axis=0, return_inverse=True)
    centres = cells * (link * ARCSEC / 8)
    pairs = cKDTree(centres).query_pairs(link * ARCSEC, output_type="ndarray")
    graph = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(cells), len(cells)))
    _, labels = connected_components(graph, directed=False)
    labels = labels[cell.ravel()]
    # By size and then by place, so that the order of exposures makes no difference.
    sizes = np.bincount(labels)
    keys = [(-sizes[label], tuple(places[labels == label].min(0))) for label in range(sizes.size)]
    rank = np.empty(sizes.size, dtype=np.intp)
    rank[sorted(range(sizes.size), key=keys.__getitem__)] = np.arange(sizes.size)
    return rank[labels]


def _close(targets: Targets) -> list[tuple[int, int]]:
    """Pairs of stars at one place, the closest first."""
    ra, dec, _ = targets.position()
    known = np.flatnonzero(np.isfinite(ra) & targets.stellar)
    if known.size < 2:
        return []
    places = direction(ra[known], dec[known])
    pairs = cKDTree(places).query_pairs(MERGE * ARCSEC, output_type="ndarray")
    apart = angle(places[pairs[:, 0]], places[pairs[:, 1]])
    first, second = np.sort(known[pairs], axis=1).T
    return [(int(first[i]), int(second[i])) for i in np.lexsort((second, first, apart))]


def _places(targets: Targets, kinds: Sequence[str]) -> list[str]:
    """Titles, of what has no name by its position as the IAU recommends: J143936.5-605002."""
    ra, dec, _ = targets.position()
    titles = list(targets.titles)
    for star, kind in enumerate(kinds):
        if kind != "nameless" or not np.isfinite(ra[star]):
            continue
        # Cut off and not rounded, by the same recommendation; 1e-6 is for exact numbers.
        tenths, seconds = int(ra[star] * 2400 + 1e-6), int(abs(dec[star]) * 3600 + 1e-6)
        hours, minutes = divmod(tenths // 600, 60)
        degrees, arcmin = divmod(seconds // 60, 60)
        titles[star] = (
            f"J{hours:02d}{minutes:02d}{tenths % 600 / 10:04.1f}{'-' if dec[star] < 0 else '+'}"
            f"{degrees:02d}{arcmin:02d}{seconds % 60:02d}"
        )
    return titles


def _titles(names: Sequence[tuple[str, ...]], old: Sequence[str]) -> list[str]:
    """The name of each star in the most preferred catalogue, or what it was called."""
    wanted = []
    for known, title in zip(names, old, strict=True):
        in_catalogue = {star.catalogue: star.text for n in known[::-1] if (star := parse(n))}
        found = (in_catalogue[c] for c in PREFERRED if c in in_catalogue)
        # A number in brackets tells the several places of one name apart, and is given anew.
        wanted.append(next(found, re.sub(r" \(\d+\)$", "", title)))
    counts: Counter[str] = Counter()
    titles = []
    for title in wanted:
        counts[title] += 1
        titles.append(title if counts[title] == 1 else f"{title} ({counts[title]})")
    return titles
