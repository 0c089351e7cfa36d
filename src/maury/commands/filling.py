"""What verbs that fill a store show: a bar, what was made, and what failed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from maury.datasets.store import SpectrumStore

__all__ = ["ClusterOption", "OutOption", "WorkersOption", "show_filling"]

EXIT_INTERRUPTED = 130
SHOWN_FAILURES = 10

OutOption = Annotated[
    Path, typer.Option(help="Folder to fill; one that is begun is finished.", metavar="DIR")
]
WorkersOption = Annotated[
    int, typer.Option(min=1, help="Processes that share the work, each on one core.")
]
ClusterOption = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Share the work among the machines of a Ray cluster: ray://HOST:PORT, or 'local' for "
        "one on this machine. DIR must be a folder that all of them see.",
    ),
]


def show_filling(out: Path, work: Callable[[Callable[[int, int], None]], SpectrumStore]) -> None:
    """Fill a store before the user's eyes.

    Parameters
    ----------
    out
        The store.
    work
        Fills it; called with what wants to know how many spectra are settled, and of how many.

    Raises
    ------
    typer.Exit
        If it was interrupted, or some spectra failed.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("spectra", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=Console(stderr=True))
    bar = progress.add_task("")

    def report(count: int, total: int) -> None:
        progress.start()
        progress.update(bar, completed=count, total=total)

    store = None
    try:
        store = work(report)
    except KeyboardInterrupt:
        # Told below, when the bar is gone.
        pass
    finally:
        progress.stop()
    if store is None:
        typer.echo(f"Stopped; the same command finishes {out}.", err=True)
        raise typer.Exit(EXIT_INTERRUPTED)
    grid = store.grid
    typer.echo(
        f"{out}: {store.done.size:,} of {len(store):,} spectra, {grid.size:,} pixels, "
        f"{grid.start:.2f}-{grid.stop:.2f} A in {grid.medium}.",
        err=True,
    )
    failures = [row for row in store.catalogue.to_pylist() if row["status"] != "done"]
    for row in failures[:SHOWN_FAILURES]:
        typer.echo(f"Spectrum {row['index']} failed: {row['error']}", err=True)
    if len(failures) > SHOWN_FAILURES:
        more = len(failures) - SHOWN_FAILURES
        typer.echo(f"{more:,} more failed; see {out / 'catalogue.parquet'}.", err=True)
    if failures:
        raise typer.Exit(1)
