"""``maury ingest``: real spectra into a store."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from maury.commands.filling import EXIT_INTERRUPTED, ClusterOption, WorkersOption
from maury.commands.options import FormatOption, FrameOption, GridChoice, MediumOption
from maury.console import Column, Format, print_records, print_table
from maury.errors import MauryError
from maury.grid import GRIDS

__all__ = ["ingest"]


def ingest(
    out: Annotated[
        str, typer.Option(help="Folder of the store; made where it is missing.", metavar="DIR")
    ],
    files: Annotated[
        list[str] | None, typer.Argument(help="Spectra: FITS or text, plain or gzip.")
    ] = None,
    files_from: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="What maury fetch has got: its folder or manifest; or a text file with one name "
            "a line, - for standard input.",
            metavar="PATH",
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="What maury catalog has made, or a table in CSV or Parquet: a column star or "
            "file, and teff, logg, mh, rv, ..."
        ),
    ] = None,
    grid: Annotated[GridChoice, typer.Option(help="Wavelengths of the store.")] = GridChoice.harps,
    instrument: Annotated[
        str, typer.Option(help="What headers must name, if they name any; any for whatever.")
    ] = "HARPS",
    workers: WorkersOption = 1,
    cluster: ClusterOption = None,
    medium: MediumOption = None,
    frame: FrameOption = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Keep observed spectra in a store: masked, on one grid, divided by their median.

    Files that the store has are passed over, others are added; killed at any time, the same
    command goes on where it was. Each file has a row in the report; those that cannot be used, or
    are of a lamp, say why, and the exit code is then 1. What is wrong with the others is noted, and
    kept in the store's catalogue. In Python, maury.SpectrumStore(DIR) opens the store.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from maury.datasets.ingest import ingest as run
    from maury.datasets.label_table import LabelTable
    from maury.datasets.observed import FLAGS
    from maury.datasets.store import SpectrumStore

    names = [*(files or []), *_listed(files_from)]
    if not names:
        raise MauryError("No files are named: give their names, or --from a folder or list.")
    columns = ("files", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=Console(stderr=True))
    bar = progress.add_task("")

    def report(count: int, total: int) -> None:
        progress.start()
        progress.update(bar, completed=count, total=total)

    results = None
    try:
        results = run(
            names,
            out,
            grid=GRIDS[grid.value],
            instrument=None if instrument.lower() == "any" else instrument,
            labels=None if labels is None else LabelTable.read(labels),
            medium=None if medium is None else medium.value,
            frame=None if frame is None else frame.value,
            # One process more would start for seconds to do what this one can.
            workers=0 if workers == 1 and cluster is None else workers,
            cluster=cluster,
            report=report,
        )
    except KeyboardInterrupt:
        # Told below, when the bar is gone.
        pass
    finally:
        progress.stop()
    if results is None:
        typer.echo(f"Stopped; the same command finishes {out}.", err=True)
        raise typer.Exit(EXIT_INTERRUPTED)
    records = [result.to_dict() for result in results]
    if format is Format.TABLE:
        print_table([_shown(record) for record in records], _COLUMNS)
    elif format is Format.CSV:
        print_records(
            [{**record, "flags": " ".join(record["flags"])} for record in records], format
        )
    else:
        print_records(records, format)
    counts = Counter(result.status for result in results)
    store = SpectrumStore(out)
    typer.echo(
        f"{out}: {counts['done']:,} added, {counts['skipped']:,} already there, "
        f"{counts['failed']:,} failed; it has {store.done.size:,} spectra of "
        f"{len(store.stars()):,} stars.",
        err=True,
    )
    noted = Counter(flag for result in results for flag in result.flags)
    for flag, count in noted.most_common():
        typer.echo(f"Noted of {count:,}: {flag} ({FLAGS[flag]}).", err=True)
    if labels is not None and counts["skipped"]:
        typer.echo("The labels of spectra that were already there are as they were.", err=True)
    if counts["failed"]:
        raise typer.Exit(1)


def _listed(source: str | None) -> list[str]:
    if source is None:
        return []
    if Path(source).is_dir() or Path(source).suffix == ".parquet":
        return _fetched(Path(source))
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise MauryError(f"{source} cannot be read as a list of files ({why}).") from None
    return [line.strip() for line in text.splitlines() if line.strip()]


def _fetched(path: Path) -> list[str]:
    """The files of a manifest that are here."""
    from maury.archive import manifest

    table = manifest.read(path)
    folder = manifest.locate(path).parent / manifest.SPECTRA
    rows = zip(table["status"].to_pylist(), table["file"].to_pylist(), strict=True)
    names = [file for status, file in rows if status == "done" and file]
    if not names:
        raise MauryError(f"{path} has no spectra yet: maury fetch gets them.")
    for name in names:
        if Path(name).name != name or name == "..":
            raise MauryError(f"{path} names the file {name!r}, which is not one in {folder}.")
    return [str(folder / name) for name in names]


def _shown(record: dict) -> dict:
    what = ", ".join(record["flags"]) or None
    return {**record, "file": Path(record["file"]).name, "notes": record["error"] or what}


_COLUMNS = (
    Column("file", "file"),
    Column("status", "status"),
    Column("index", "index"),
    Column("star", "star"),
    Column("notes", "notes"),
)
