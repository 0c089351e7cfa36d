"""The catalogue: the star of each spectrum, its labels, and where each of them is from."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from maury.archive.conflicts import CONFLICTS, Conflict, conflict_table
from maury.archive.crossmatch import RADIUS, Matches
from maury.archive.identification import Identified, identify
from maury.archive.label_rows import LabelRows
from maury.archive.labelling import StarLabels, label_stars
from maury.archive.observing import Exposures
from maury.archive.parquet import write_table
from maury.archive.sources import Asking
from maury.archive.targets import group
from maury.errors import MauryError
from maury.labels import HARPS_LABELS, LABELS

__all__ = ["CATALOGUE", "FILTERED", "FORMAT_VERSION", "STAR_LABELS", "Catalogue", "Trust", "build"]

Trust = Literal["name", "position", "order"]

FORMAT_VERSION = 1

STAR_LABELS = ("teff", "logg", "mh", "rv")
"""What is looked up of a star; berv and airmass follow from time, place and target."""

FILTERED = ("teff", "mh", "logg", "airmass")
"""Labels outside of whose range (see `maury.labels.LABELS`) a spectrum is left out.

These are the ranges of Sect. 3.1 of Cvrcek et al. (2024), and of airmass that up to 2.9.
"""

FLAGS: Mapping[str, str] = {
    "no-star": "the target is the Sun, something that shines by its light, a lamp or the sky",
    "nameless": "the exposures do not say what they are of",
    "conflict": "a conflict about the star is not settled",
    "far-pointing": "the telescope pointed elsewhere than at the star",
    "no-time": "time or position is not known, so that there is no BERV and no airmass",
    "below-horizon": "the star was below the horizon, so that time or position is wrong",
    "no-site": "where the instrument stands is not known",
}
"""What may be doubtful of a spectrum."""

DESCRIPTIONS: Mapping[str, str] = {
    "teff": "effective temperature",
    "logg": "logarithm of the surface gravity in cm/s2",
    "mh": "metallicity",
    "rv": "radial velocity of the star, barycentric, from the literature",
    "berv": "velocity of the observer towards the target, seen from the barycentre, mid-exposure",
    "airmass": "path through the air in units of the vertical one, mid-exposure",
}


def _field(name: str, kind: pa.DataType, unit: str, description: str, source: str) -> pa.Field:
    facts = {"unit": unit, "description": description, "source": source}
    return pa.field(name, kind, metadata=facts)


def _label_fields() -> list[pa.Field]:
    fields = []
    for label in HARPS_LABELS:
        what, source = DESCRIPTIONS[label.name], f"as {label.name}_source tells of each row"
        fields += [
            _field(label.name, pa.float64(), label.unit, what, source),
            _field(f"{label.name}_error", pa.float64(), label.unit, f"its error: {what}", source),
            _field(f"{label.name}_source", pa.string(), "", "which row of which table", _HERE),
        ]
    return fields


_TEXT, _NUMBER, _COUNT = pa.string(), pa.float64(), pa.int64()
COMPUTED = "computed for the middle of the exposure from time, place and target"

_HERE, _MANIFEST = "maury catalog", "the manifest"

CATALOGUE = pa.schema(
    [
        _field("dp_id", _TEXT, "", "identifier of the product", _MANIFEST),
        _field("file", _TEXT, "", "name of the file, if it is here", _MANIFEST),
        _field("star", _TEXT, "", "one name for one star, whatever its spectra call it", _HERE),
        _field("object", _TEXT, "", "target as the observer called it", _MANIFEST),
        _field("tic", _COUNT, "", "number in the TESS Input Catalog", "TIC or SIMBAD"),
        _field("ra", _NUMBER, "deg", "right ascension, ICRS, at the time of exposure", _HERE),
        _field("dec", _NUMBER, "deg", "declination, ICRS, at the time of exposure", _HERE),
        _field("mjd", _NUMBER, "d", "middle of the exposure, MJD UTC", _MANIFEST),
        *_label_fields(),
        _field("match", _TEXT, "", "by name, position or name+position", _HERE),
        _field("separation", _NUMBER, "arcsec", "from where the telescope pointed", _HERE),
        _field("flags", pa.list_(_TEXT), "", "what is doubtful", _HERE),
    ],
    metadata={"maury": json.dumps({"kind": "catalogue", "version": FORMAT_VERSION})},
)
"""Columns of a catalogue; a row is one spectrum. Missing numbers are NaN, missing texts null.

``ra`` and ``dec`` are those of the star where a table has them, else where the telescope pointed.
"""


@dataclass(frozen=True)
class Catalogue:
    """Stars and labels of spectra, and what could not be settled.

    Parameters
    ----------
    table : pyarrow.Table
        Of the schema `CATALOGUE`, one row a spectrum that is kept.
    facts : dict
        What it was made from and how: ``sources``, ``filters`` and others, as plain values.
    conflicts : pyarrow.Table
        Of the schema `maury.archive.conflicts.CONFLICTS`: what could not be settled. It is not
        written with the catalogue.
    remarks : sequence of str
        What its maker should know, in sentences; not written either.
    """

    table: pa.Table
    facts: dict[str, Any]
    conflicts: pa.Table = field(default_factory=CONFLICTS.empty_table)
    remarks: Sequence[str] = ()

    def write(self, path: str | Path) -> None:
        """Write it as one Parquet file, in one step.

        Raises
        ------
        TargetError
            If it cannot be written; nothing is left behind then.
        """
        facts = {"kind": "catalogue", "version": FORMAT_VERSION, **self.facts}
        table = self.table.replace_schema_metadata({"maury": json.dumps(facts)})
        write_table(table, Path(path))

    @classmethod
    def read(cls, path: str | Path) -> Catalogue:
        """From a file that `write` wrote.

        Raises
        ------
        MauryError
            If it is not there, damaged, or something else.
        """
        file = Path(path)
        try:
            table = pq.read_table(file, partitioning=None)
            facts = json.loads((table.schema.metadata or {}).get(b"maury", b"{}"))
        except (OSError, pa.ArrowException, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error).split("\n")[0].rstrip(".")
            raise MauryError(f"{file} cannot be read as a catalogue ({why}).") from None
        if not isinstance(facts, dict) or facts.get("kind") != "catalogue":
            raise MauryError(f"{file} is not a catalogue of maury catalog build.")
        if facts.get("version") != FORMAT_VERSION:
            raise MauryError(
                f"{file} is a catalogue of version {facts.get('version')}; this version of maury "
                f"reads {FORMAT_VERSION}."
            )
        if missing := [name for name in CATALOGUE.names if name not in table.column_names]:
            raise MauryError(f"{file} is not a catalogue: it has no column {missing[0]}.")
        return cls(table, {k: v for k, v in facts.items() if k not in ("kind", "version")})


def build(
    manifest: pa.Table,
    sources: Sequence[str | Path | LabelRows],
    *,
    columns: Mapping[str, str] | None = None,
    missing: Sequence[float] = (),
    radius: float = RADIUS,
    trust: Collection[Trust] = (),
    filters: bool = True,
    asking: Asking | None = None,
) -> Catalogue:
    """The stars of a manifest's spectra, and their labels.

    Teff, log g, [M/H] and radial velocity are looked up in the sources; the first one that knows a
    label of a star gives it. BERV and airmass are computed for the middle of each exposure. What is
    not clear is told among the conflicts, and its labels stay missing unless `trust` settles it.

    Parameters
    ----------
    manifest
        Of the schema `maury.archive.manifest.MANIFEST`.
    sources
        ``"tic"``, ``"simbad"``, ``"sweetcat"``, or files, the most trusted first. With ``"tic"`` or
        ``"simbad"`` SIMBAD's identifiers help to find stars in all of them.
    columns, missing
        Of files: as of `maury.archive.tables.read_table`.
    radius
        How far from a star the telescope may have pointed, arcsec.
    trust
        What settles conflicts: ``"name"`` or ``"position"`` which star a row is, ``"order"`` that
        the first source holds where two disagree about a label.
    filters
        Whether spectra with a label outside its range are left out (see `FILTERED`).
    asking
        How services are asked; by default at their usual addresses.

    Raises
    ------
    MauryError
        If a file cannot be used, or both name and position are to be trusted.
    ArchiveError
        If a service fails.
    """
    if {"name", "position"} <= set(trust):
        raise MauryError("Either the name or the position can be trusted, not both.")
    asking = asking or Asking()
    settles = next((each for each in ("name", "position") if each in trust), None)
    exposures = Exposures.of(manifest)
    targets = group(manifest["object"], exposures.ra, exposures.dec, exposures.mjd)
    found = identify(
        targets,
        sources,
        asking,
        radius=radius,
        trust=settles,  # type: ignore[arg-type]
        columns=columns,
        missing=missing,
    )
    conflicts = found.conflicts
    labels = {}
    for label in STAR_LABELS:
        labels[label], differing = label_stars(
            label, found.targets, found.sources, trust_order="order" in trust
        )
        conflicts += differing
    table = _table(manifest, exposures, found, labels, conflicts, radius)
    kept, removed = _filtered(table) if filters else (table, {})
    return Catalogue(
        kept.replace_schema_metadata(),
        facts={
            "spectra": {"listed": len(manifest), "kept": len(kept)},
            "sources": [_facts(rows, matches) for rows, matches in found.sources],
            "filters": removed,
            "radius": radius,
            "trust": sorted(trust),
            "conflicts": dict(Counter(each.kind for each in conflicts if not each.used)),
        },
        conflicts=conflict_table(conflicts),
        remarks=found.remarks,
    )


def _table(
    manifest: pa.Table,
    exposures: Exposures,
    found: Identified,
    labels: Mapping[str, StarLabels],
    conflicts: Sequence[Conflict],
    radius: float,
) -> pa.Table:
    """One row an exposure, with the columns of `CATALOGUE` and where each of them is from."""
    star = found.targets.star
    sky = found.sky(radius)
    berv, airmass, sited = exposures.circumstances(sky.ra, sky.dec)
    how, _ = found.how()
    columns: dict[str, Any] = {name: manifest[name] for name in ("dp_id", "file", "object")}
    columns |= {
        "star": _of_star(found.targets.titles, star, pa.string()),
        "tic": _of_star(found.tic(), star, pa.int64()),
        "ra": sky.ra,
        "dec": sky.dec,
        "mjd": exposures.mjd,
        "match": _of_star(how, star, pa.string()),
        "separation": sky.separation,
    }
    for name, of_star in labels.items():
        columns[name] = of_star.value[star]
        columns[f"{name}_error"] = of_star.error[star]
        columns[f"{name}_source"] = _of_star(of_star.source, star, pa.string())
    for name, values in (("berv", berv), ("airmass", airmass)):
        columns[name], columns[f"{name}_error"] = values, np.full(star.size, np.nan)
        columns[f"{name}_source"] = _of_star(
            [None, COMPUTED], np.isfinite(values).astype(np.intp), pa.string()
        )
    unsettled = {each.star for each in conflicts if not each.used}
    columns["flags"] = _flags(
        {
            "no-star": ~found.targets.stellar[star],
            "nameless": np.array(
                [
                    bool(ok) and not names
                    for ok, names in zip(found.targets.stellar, found.targets.names, strict=True)
                ],
                dtype=bool,
            )[star],
            "conflict": np.array(
                [title in unsettled for title in found.targets.titles], dtype=bool
            )[star],
            "far-pointing": sky.separation > 2 * radius,
            "no-time": ~np.isfinite(exposures.mjd) | ~np.isfinite(sky.ra),
            "below-horizon": np.isfinite(berv) & np.isnan(airmass),
            "no-site": ~sited,
        }
    )
    schema = pa.schema([_with_origins(each, found) for each in CATALOGUE])
    arrays = [
        columns[each.name].cast(each.type)
        if isinstance(columns[each.name], pa.Array | pa.ChunkedArray)
        else pa.array(columns[each.name], each.type)
        for each in CATALOGUE
    ]
    return pa.table(arrays, schema=schema)


def _of_star(values: Sequence[Any], star: NDArray[np.intp], kind: pa.DataType) -> pa.Array:
    """A value of each star for each of its exposures."""
    return pa.array(values, kind).take(pa.array(star))


def _flags(raised: Mapping[str, NDArray[np.bool_]]) -> pa.Array:
    """Lists of those flags of `FLAGS` that are raised."""
    code = np.zeros(next(iter(raised.values())).size, dtype=np.int64)
    for bit, name in enumerate(FLAGS):
        code |= raised[name].astype(np.int64) << bit
    different, place = np.unique(code, return_inverse=True)
    lists = [[name for bit, name in enumerate(FLAGS) if each >> bit & 1] for each in different]
    return pa.array(lists, pa.list_(pa.string())).take(pa.array(place))


def _with_origins(column: pa.Field, found: Identified) -> pa.Field:
    """A column's field, with what its values are from."""
    facts = {key.decode(): value.decode() for key, value in column.metadata.items()}
    label = column.name.removesuffix("_error")
    if label in STAR_LABELS:
        origins = [rows.origins[label] for rows, _ in found.sources if label in rows.origins]
        facts["source"] = "; ".join(origins) or "none"
    elif label in ("berv", "airmass"):
        facts["source"] = COMPUTED
    return column.with_metadata(facts)


def _filtered(table: pa.Table) -> tuple[pa.Table, dict[str, Any]]:
    """Rows whose labels are in their ranges or missing, and how many each label removed."""
    outside = {}
    for name in FILTERED:
        values = table[name].to_numpy()
        outside[name] = (values < LABELS[name].lower) | (values > LABELS[name].upper)
    kept = ~np.any(list(outside.values()), axis=0)
    facts = {
        name: {
            "lower": LABELS[name].lower,
            "upper": LABELS[name].upper,
            "outside": int(outside[name].sum()),
        }
        for name in FILTERED
    }
    return table.filter(pa.array(kept)), facts


def _facts(rows: LabelRows, matches: Matches) -> dict[str, Any]:
    """What is told of a source."""
    counts = Counter(how for how in matches.how if how is not None)
    return {
        "name": rows.source,
        "rows": len(rows),
        "stars": {how: counts[how] for how in sorted(counts)},
        "origins": dict(rows.origins),
    }
