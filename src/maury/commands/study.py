"""``maury study``: the paper's tables and figures, from nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from maury.commands.filling import EXIT_INTERRUPTED
from maury.commands.options import FormatOption, ScaleChoice
from maury.commands.stages import stages
from maury.console import Format, print_records

__all__ = ["study"]


def study(
    items: Annotated[
        list[str],
        typer.Argument(
            metavar="ITEM...",
            help="table3 ... table9, fig1 ... fig8, figB, figD1, architectures, traversal, "
            "spectra, kiel, or all.",
        ),
    ],
    scale: Annotated[
        ScaleChoice,
        typer.Option(help="Grid and amount of data; half and full need a GPU and days."),
    ] = ScaleChoice.small,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the study; by default study/SCALE.")
    ] = None,
    observed: Annotated[
        Path | None,
        typer.Option(
            help="Store of observed exposures by maury ingest, on the scale's grid; by default a "
            "mock archive is made."
        ),
    ] = None,
    set: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change an entry of all recipes, like epochs=2; repeatable."),
    ] = None,
    train: Annotated[
        bool, typer.Option(help="Train what is missing, or report on what is there alone.")
    ] = True,
    format: FormatOption = Format.TABLE,
) -> None:
    """Make the paper's tables, figures and a report: data, training and all.

    Only what is missing is done: a second call goes on where the first one ended, and adds what
    else it is asked for.
    """
    from maury.study.plan import ITEMS
    from maury.study.program import study as run

    if "all" in items:
        items = list(ITEMS)
    folder = out if out is not None else Path("study") / scale
    try:
        with stages() as report:
            judged = run(
                items,
                scale,
                folder,
                archive=observed,
                overrides=set or [],
                command=" ".join(["maury", *sys.argv[1:]]),
                say=lambda line: typer.echo(line, err=True),
                report=report,
                train=train,
            )
    except KeyboardInterrupt:
        typer.echo("Interrupted; the same command goes on where it ended.", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    records = [
        {
            "finding": finding.claim,
            "holds": finding.holds,
            "evidence": finding.evidence,
            "source": finding.source,
        }
        for finding in judged
    ]
    if format is not Format.TABLE:
        print_records(records, format)
    else:
        for name in items:
            table = folder / "tables" / f"{name}.txt"
            if table.is_file():
                typer.echo(table.read_text(encoding="utf-8"))
        for finding in judged:
            typer.echo(f"{_VERDICTS[finding.holds]}: {finding.claim}\n  {finding.evidence}")
    typer.echo(f"Wrote {folder / 'report.html'}.", err=True)


_VERDICTS = {True: "Holds", False: "Does not hold", None: "Not told"}
