"""Where labels are from: SIMBAD, the TESS Input Catalog, SWEET-Cat, and tables in files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from maury.archive.crossmatch import RADIUS
from maury.archive.label_rows import LabelRows
from maury.archive.names import parse
from maury.archive.services import Services
from maury.archive.tables import read_sweetcat, read_table
from maury.archive.targets import Targets
from maury.errors import MauryError

if TYPE_CHECKING:
    from maury.archive.session import ArchiveSession

__all__ = [
    "SERVICES",
    "Asking",
    "check_source",
    "read_simbad",
    "read_source",
    "read_tic",
    "tic_number",
]

SERVICES = ("tic", "simbad", "sweetcat")
"""Sources that are services; all others are files."""

WIDER = 2.0
"""How much further than the radius is searched, for stars move between J2000 and an exposure."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Asking:
    """How services are asked.

    Parameters
    ----------
    services : Services
        Where they are.
    session : ArchiveSession, optional
        Which asks; a new one by default.
    cache : Path, optional
        Folder in which answers are kept.
    report : callable, optional
        Told what is asked for, how many of it are settled, and of how many.
    """

    services: Services = field(default_factory=Services.from_environment)
    session: ArchiveSession | None = None
    cache: Path | None = None
    report: Callable[[str, int, int], object] | None = None

    def options(self, what: str) -> dict[str, Any]:
        """Keyword arguments of the functions that ask SIMBAD and MAST."""
        report = self.report
        return {
            "services": self.services,
            "session": self.session,
            "cache": self.cache,
            "progress": None if report is None else lambda done, all: report(what, done, all),
        }


def read_source(
    source: str | Path,
    targets: Targets,
    asking: Asking,
    *,
    radius: float = RADIUS,
    columns: Mapping[str, str] | None = None,
    missing: Sequence[float] = (),
) -> LabelRows:
    """The rows of a source that may be of some stars.

    Parameters
    ----------
    source
        ``"tic"``, ``"simbad"``, ``"sweetcat"``, or a file.
    targets
        The stars.
    asking
        How services are asked.
    radius
        How far from a star the telescope may have pointed, arcsec.
    columns, missing
        Of a file: as of `maury.archive.tables.read_table`. A key such as ``"a.csv:teff"`` is for
        the file of that name alone.

    Raises
    ------
    MauryError
        If it is neither a service nor a file, or cannot be used.
    """
    if source == "tic":
        return read_tic(targets, asking, radius)
    if source == "simbad":
        return read_simbad(targets, asking, radius)
    if source == "sweetcat":
        return read_sweetcat(asking.services, session=asking.session)
    check_source(source)
    own = {}
    for key, column in (columns or {}).items():
        file, _, what = key.rpartition(":")
        if file in ("", str(source), Path(source).name):
            own[what] = column
    return read_table(source, columns=own, missing=missing)


def check_source(source: str | Path) -> None:
    """Refuse what is neither a service nor a file.

    Raises
    ------
    MauryError
        If it is neither.
    """
    if str(source) not in SERVICES and not Path(source).exists():
        raise MauryError(
            f"There is no file {source}; a source is {', '.join(SERVICES)}, or a table in a file."
        )


def read_simbad(targets: Targets, asking: Asking, radius: float = RADIUS) -> LabelRows:
    """What SIMBAD knows of stars: by their names, and of those that it has not, by position."""
    from maury.archive import simbad

    wanted = sorted({name for names in targets.names for name in names})
    found = simbad.resolve(wanted, **asking.options("names to SIMBAD"))
    known = set(found["name"].to_pylist())
    tables = [found.drop_columns(["name"])]
    ra, dec = _unknown(targets, known)
    if ra.size:
        more = simbad.near(ra, dec, WIDER * radius, **asking.options("positions to SIMBAD"))
        tables.append(more.drop_columns(["index", "separation"]))
    objects: dict[str, dict[str, Any]] = {}
    names: dict[str, list[str]] = {}
    for asked, row in zip(found["name"].to_pylist(), tables[0].to_pylist(), strict=True):
        names.setdefault(row["main_id"], []).append(asked)
    for table in tables:
        objects |= {row["main_id"]: row for row in table.to_pylist()}
    rows = list(objects.values())
    return LabelRows(
        source="SIMBAD",
        titles=[
            row["main_id"] + (f", rv of {row['rv_bibcode']}" if row["rv_bibcode"] else "")
            for row in rows
        ],
        names=[
            _identifiers([*names.get(row["main_id"], ()), row["main_id"], *row["other_ids"]])
            for row in rows
        ],
        ra=_column(rows, "ra"),
        dec=_column(rows, "dec"),
        pmra=_column(rows, "pmra"),
        pmdec=_column(rows, "pmdec"),
        epoch=np.full(len(rows), 2000.0),
        values={"rv": _column(rows, "rv")},
        errors={"rv": _column(rows, "rv_error")},
        origins={"rv": "SIMBAD, rvz_radvel, or rvz_redshift where a redshift is published"},
    )


def read_tic(targets: Targets, asking: Asking, radius: float = RADIUS) -> LabelRows:
    """What the TESS Input Catalog knows of stars: by number, else by position.

    Entries that stand for another one give their number to that; others that are no stars by
    themselves are left out, and a remark tells how many.
    """
    from maury.archive import tic

    numbers = map(tic_number, targets.names)
    wanted = {number for number in numbers if number is not None}
    found = tic.by_id(wanted, **asking.options("numbers to MAST"))
    known = {f"TIC {number}" for number in found["tic"].to_pylist()}
    tables = [found]
    ra, dec = _unknown(targets, known)
    if ra.size:
        more = tic.near(ra, dec, WIDER * radius, **asking.options("positions to MAST"))
        tables.append(more.select(found.column_names))
    meant = _duplicates(pa.concat_tables(tables))
    there = {number for table in tables for number in table["tic"].to_pylist()}
    tables.append(tic.by_id(set(meant.values()) - there, **asking.options("numbers to MAST")))
    entries = {row["tic"]: row for table in tables for row in table.to_pylist()}
    rows = [row for row in entries.values() if row["disposition"] is None]
    others: dict[int, list[str]] = {}
    for double, star in meant.items():
        others.setdefault(star, []).append(f"TIC {double}")
    left = len(entries) - len(rows) - len(meant)
    labels = ("teff", "logg", "mh")
    return LabelRows(
        source="TIC",
        titles=[f"TIC {row['tic']}" for row in rows],
        names=[
            (
                f"TIC {row['tic']}",
                *others.get(row["tic"], ()),
                *([f"Gaia DR2 {row['gaia_dr2']}"] if row["gaia_dr2"] else []),
            )
            for row in rows
        ],
        ra=_column(rows, "ra"),
        dec=_column(rows, "dec"),
        pmra=_column(rows, "pmra"),
        pmdec=_column(rows, "pmdec"),
        epoch=np.full(len(rows), 2000.0),
        values={label: _column(rows, label) for label in labels},
        errors={label: _column(rows, f"{label}_error") for label in labels},
        origins={
            "teff": "TESS Input Catalog, Teff",
            "logg": "TESS Input Catalog, logg",
            "mh": "TESS Input Catalog, MH",
        },
        magnitude=_column(rows, "tmag"),
        remarks=[f"TIC: {left:,} entries that are no stars are left out."] if left else [],
    )


def tic_number(names: Sequence[str]) -> int | None:
    """The number in the TESS Input Catalog among a star's names.

    Examples
    --------
    >>> tic_number(["HD 10700", "TIC 419015728"]), tic_number(["HD 10700"])
    (419015728, None)
    """
    numbers = (name[4:] for name in names if name.startswith("TIC "))
    return next((int(number) for number in numbers if number.isdigit()), None)


def _unknown(targets: Targets, known: set[str]) -> tuple[Array, Array]:
    """Positions of the stars none of whose names is known."""
    ra, dec, _ = targets.position()
    lacking = [
        star
        for star, names in enumerate(targets.names)
        if targets.stellar[star] and np.isfinite(ra[star]) and not known.intersection(names)
    ]
    return ra[lacking], dec[lacking]


def _duplicates(entries: pa.Table) -> dict[int, int]:
    """The star that each entry stands for that is there twice."""
    double = entries.filter(
        pc.and_(pc.equal(entries["disposition"], "DUPLICATE"), pc.is_valid(entries["duplicate_id"]))
    )
    return dict(zip(double["tic"].to_pylist(), double["duplicate_id"].to_pylist(), strict=True))


def _identifiers(names: Sequence[str]) -> tuple[str, ...]:
    """Those of catalogues that are known here, in their canonical form, and the first names."""
    stars = (parse(name) for name in names)
    return tuple(dict.fromkeys(star.text for star in stars if star and star.catalogue))


def _column(rows: Sequence[Mapping[str, Any]], key: str) -> Array:
    return np.array([np.nan if row[key] is None else row[key] for row in rows], dtype=np.float64)
