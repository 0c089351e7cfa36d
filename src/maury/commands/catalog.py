"""``maury catalog``: which stars spectra are of, and their labels."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from enum import StrEnum
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from maury.commands.filling import EXIT_INTERRUPTED
from maury.commands.options import FormatOption, RadiusOption
from maury.console import Column, Format, print_facts, print_records, stdout_console
from maury.errors import MauryError, TargetError
from maury.labels import HARPS_LABELS

if TYPE_CHECKING:
    from maury.archive.catalogue import Catalogue
    from maury.archive.sources import Asking

__all__ = ["app"]

SHOWN = 5  # conflicts of a kind that are shown

app = typer.Typer(
    name="catalog", help="Which stars spectra are of, and their labels.", no_args_is_help=True
)


class TrustChoice(StrEnum):
    """What settles conflicts."""

    name = "name"
    position = "position"
    order = "order"


@app.command()
def build(
    manifest: Annotated[
        Path, typer.Argument(help="Manifest of maury fetch, or the folder that it is in.")
    ],
    source: Annotated[
        list[str],
        typer.Option(
            metavar="tic|simbad|sweetcat|FILE",
            help="Where labels are from; repeatable, the most trusted first. A file is FITS, "
            "VOTable, ECSV, CSV or text.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Catalogue to write; by default catalogue.parquet there too."
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[FILE:]WHAT=COLUMN",
            help="Which column of files, or of one of them, is which, as in teff=T_eff or "
            "a.txt:star=col1; repeatable.",
        ),
    ] = None,
    missing: Annotated[
        list[float] | None,
        typer.Option(
            metavar="NUMBER", help="What stands in files where nothing is known, such as 0."
        ),
    ] = None,
    radius: RadiusOption = 30.0,
    trust: Annotated[
        list[TrustChoice] | None,
        typer.Option(
            help="What settles conflicts, whose labels else are missing: the name or the position "
            "which row is the star, the order which source is right; repeatable."
        ),
    ] = None,
    filters: Annotated[
        bool,
        typer.Option(
            "--filter/--no-filter",
            help="Leave out what is outside 3000-11000 K, log g 3.5-5, [M/H] -1.2 to 0.4 or "
            "airmass 1-2.9.",
        ),
    ] = True,
    cache: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder that keeps answers of services.")
    ] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Find the stars of a manifest's spectra and their labels; write them as one Parquet file.

    Stars are found by name and by position, with proper motion, in each source. BERV and airmass
    are computed. What is not clear (two rows, a name elsewhere in the sky, sources that disagree)
    is listed in FILE.conflicts.csv, and its labels are missing unless --trust settles it.
    """
    target = _target(manifest, out)
    chosen = dict(_pair(text, source) for text in column or [])
    try:
        with _Progress() as progress:
            catalogue = _build(
                manifest,
                source,
                _asking(source, cache, progress.report),
                columns=chosen,
                missing=missing or [],
                radius=radius,
                trust=[each.value for each in trust or []],
                filters=filters,
            )
        conflicts = _write_conflicts(catalogue, target)
        catalogue.write(target)
    except KeyboardInterrupt:
        typer.echo(f"Stopped; {target} was not written.", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    for remark in catalogue.remarks:
        typer.echo(remark, err=True)
    _tell_conflicts(catalogue, conflicts)
    record = _summary(catalogue, target, conflicts)
    if format is Format.JSON:
        typer.echo(dumps(record, indent=2, ensure_ascii=False, allow_nan=False))
    elif format is Format.CSV:
        print_records([record], format)
    else:
        print_facts(record, [Column(key, _heading(key), _spec(record[key])) for key in record])


@app.command()
def report(
    catalogue: Annotated[
        Path, typer.Argument(help="Catalogue of maury catalog build, or store of maury ingest.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for table1 (txt, csv) and fig1 (png, pdf)."),
    ] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Count the spectra and stars that have each label, and draw them: Table 1 and Fig. 1."""
    from maury.evaluation.availability import availability_table, count_available

    table, notes = _labelled(catalogue)
    stars = [star or "" for star in table["star"].to_pylist()]
    labels = {
        name: table[name].to_numpy(zero_copy_only=False)
        for name in HARPS_LABELS.names
        if name in table.column_names
    }
    counts = count_available(labels, stars)
    shown = availability_table(counts, len(stars), len(set(stars)), notes)
    if format is Format.TABLE:
        typer.echo(shown.to_text(stdout_console().width), nl=False)
    else:
        print_records([count.to_dict() for count in counts], format)
    if out is None:
        return
    # Matplotlib takes half a second to load.
    import numpy as np

    from maury.evaluation.figures import kiel_diagram, save

    shown.write(out)
    nothing = np.full(len(stars), np.nan)
    figure = kiel_diagram(*(labels.get(name, nothing) for name in ("teff", "logg", "mh")))
    save(figure, out, "fig1")
    typer.echo(f"Wrote {out}/table1 (txt, csv) and {out}/fig1 (png, pdf).", err=True)


class _Progress:
    """Bars on standard error, one for each thing that services are asked for."""

    def __enter__(self) -> _Progress:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._bars = Progress(*columns, console=Console(stderr=True))
        self._tasks: dict[str, Any] = {}
        return self

    def __exit__(self, *_: object) -> None:
        # Stopping bars that were never drawn writes an empty line.
        if self._tasks:
            self._bars.stop()

    def report(self, what: str, done: int, total: int) -> None:
        """Draw one."""
        if not total:
            return
        if not self._tasks:
            self._bars.start()
        if what not in self._tasks:
            self._tasks[what] = self._bars.add_task(what, total=total)
        self._bars.update(self._tasks[what], completed=done, total=total)


def _target(manifest: Path, out: Path | None) -> Path:
    """The file to write, if that would overwrite nothing but a catalogue."""
    from maury.archive.catalogue import Catalogue
    from maury.archive.manifest import locate

    target = out if out is not None else locate(manifest).with_name("catalogue.parquet")
    if target.is_dir():
        raise TargetError(f"{target} is a folder; name a file.")
    if target.exists():
        try:
            Catalogue.read(target)
        except MauryError:
            raise TargetError(f"{target} is no catalogue; name another file.") from None
    return target


def _pair(text: str, sources: Sequence[str]) -> tuple[str, str]:
    """What a column is, and its name."""
    what, sign, column = text.partition("=")
    if not sign:
        raise TargetError(f"--column {text} does not say what it is; use WHAT=COLUMN.")
    file = what.rpartition(":")[0]
    if file and file not in {name for each in sources for name in (each, Path(each).name)}:
        raise TargetError(f"--column {text} is of {file}, which is not among the sources.")
    return what.strip(), column.strip()


def _asking(sources: Sequence[str], cache: Path | None, report: Any) -> Asking:
    """How services are asked, if any is; tells what to install where that is not there."""
    from maury.archive.sources import SERVICES, Asking

    if set(sources) & set(SERVICES):
        try:
            from maury.archive import simbad, tic  # noqa: F401
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("maury"):
                raise
            raise MauryError(
                f"maury catalog needs {error.name}; pip install 'maury[archive]' brings it."
            ) from None
    return Asking(cache=cache, report=report)


def _build(manifest: Path, sources: Sequence[str], asking: Asking, **options: Any) -> Catalogue:
    from maury.archive import catalogue
    from maury.archive.manifest import read

    return catalogue.build(read(manifest), sources, asking=asking, **options)


def _write_conflicts(catalogue: Catalogue, target: Path) -> Path:
    """All conflicts as CSV beside the catalogue, also if there are none: an older file goes."""
    from maury.files import write_whole

    text = io.StringIO()
    writer = csv.DictWriter(text, catalogue.conflicts.column_names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(catalogue.conflicts.to_pylist())
    return write_whole(target.with_name(f"{target.stem}.conflicts.csv"), text.getvalue())


def _tell_conflicts(catalogue: Catalogue, file: Path) -> None:
    """How many conflicts of each kind are not settled, and some of them."""
    from maury.archive.conflicts import KINDS

    rows = catalogue.conflicts.to_pylist()
    for kind, meaning in KINDS.items():
        open_ones = [row for row in rows if row["kind"] == kind and not row["used"]]
        if not open_ones:
            continue
        typer.echo(f"{kind} ({len(open_ones):,}): {meaning}.", err=True)
        for row in open_ones[:SHOWN]:
            star = f"{row['star']}: " if row["star"] else ""
            typer.echo(f"  {star}{row['reason']}", err=True)
        if len(open_ones) > SHOWN:
            typer.echo(f"  and {len(open_ones) - SHOWN:,} more in {file}", err=True)


def _summary(catalogue: Catalogue, target: Path, conflicts: Path) -> dict[str, Any]:
    """What was built, in one record."""
    facts, table = catalogue.facts, catalogue.table
    record: dict[str, Any] = {
        "catalogue": str(target),
        "spectra": facts["spectra"]["listed"],
        "kept": facts["spectra"]["kept"],
        "stars": len(table["star"].unique()),
    }
    for source in facts["sources"]:
        record[f"stars_in_{source['name']}"] = sum(source["stars"].values())
    for name, limits in facts["filters"].items():
        record[f"outside_{name}"] = limits["outside"]
    record["conflicts"] = sum(facts["conflicts"].values())
    return record | {"conflicts_file": str(conflicts)}


def _heading(key: str) -> str:
    """What an entry of the summary is called; names of files stay as they are."""
    start, mark, name = key.partition("stars_in_")
    return f"stars in {name}" if mark and not start else key.replace("_", " ")


def _spec(value: Any) -> str:
    return "," if isinstance(value, int) else ""


def _labelled(path: Path) -> tuple[Any, list[str]]:
    """Rows of a catalogue, or of the spectra of a store, and what to say below Table 1."""
    from maury.archive.catalogue import Catalogue

    if path.is_dir():
        import pyarrow.compute as pc

        from maury.datasets.store import SpectrumStore

        store = SpectrumStore(path)
        store.stars()  # tells if its spectra have no stars
        rows = store.catalogue
        return rows.filter(pc.equal(rows["status"], "done")), [f"Spectra of the store {path}."]
    found = Catalogue.read(path)
    spectra, filters = found.facts["spectra"], found.facts["filters"]
    notes = [f"Sources: {', '.join(source['name'] for source in found.facts['sources'])}."]
    if filters:
        left = spectra["listed"] - spectra["kept"]
        reasons = ", ".join(f"{name} {limits['outside']:,}" for name, limits in filters.items())
        notes.append(
            f"Left out of {spectra['listed']:,}: {left:,} that have a label outside its range "
            f"({reasons})."
        )
    if found.facts["conflicts"]:
        total = sum(found.facts["conflicts"].values())
        notes.append(f"Conflicts that are not settled: {total:,}.")
    return found.table, notes
