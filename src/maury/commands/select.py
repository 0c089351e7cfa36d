"""``maury select``: a hyperparameter chosen by RVIS."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from maury.commands.filling import EXIT_INTERRUPTED
from maury.commands.options import FormatOption, ScaleChoice
from maury.commands.stages import stages
from maury.console import Column, Format, print_records, print_table
from maury.errors import TargetError

__all__ = ["select"]


class ParameterChoice(StrEnum):
    """Names of `maury.study.selection.SEARCHES`."""

    bottleneck = "bottleneck"
    kl_weight = "kl-weight"
    mmd_weight = "mmd-weight"


class CriterionChoice(StrEnum):
    """What a search minimises."""

    rvis = "rvis"
    true_rvis = "true-rvis"


def select(
    parameter: Annotated[
        ParameterChoice,
        typer.Argument(
            help="bottleneck: nodes of ae-mix, 7 to 20; kl-weight of beta-vae-mix, 1e-6 to 0.1; "
            "mmd-weight of info-vae-mix, 1 to 1e4."
        ),
    ],
    scale: Annotated[
        ScaleChoice,
        typer.Option(help="Grid and amount of data; half and full need a GPU and days."),
    ] = ScaleChoice.small,
    trials: Annotated[
        int, typer.Option(min=1, help="Networks in all, those of earlier calls included.")
    ] = 10,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the search; by default select/SCALE/PARAMETER."),
    ] = None,
    by: Annotated[
        CriterionChoice,
        typer.Option(
            help="What is minimised: rvis on observed validation exposures (Eq. 16), comparing "
            "a network with itself, or true-rvis on simulated ones, comparing it with them."
        ),
    ] = CriterionChoice.rvis,
    free: Annotated[
        bool, typer.Option("--free", help="Leave u of simulated exposures free, not zero.")
    ] = False,
    observed: Annotated[
        Path | None,
        typer.Option(
            help="Store of observed exposures by maury ingest, on the scale's grid; by default a "
            "mock archive is made."
        ),
    ] = None,
    set: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change an entry of the recipe, like epochs=2; repeatable."),
    ] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Choose a hyperparameter by RVIS, the score of interventions in radial velocity.

    A second call goes on where the first one ended.
    """
    from maury.study.selection import select as search

    folder = out if out is not None else Path("select") / scale / parameter
    try:
        with stages() as report:
            selection = search(
                parameter,
                scale,
                folder,
                trials=trials,
                by="rvis" if by is CriterionChoice.rvis else "true_rvis",
                free=free,
                archive=observed,
                overrides=set or [],
                say=lambda line: typer.echo(line, err=True),
                report=report,
            )
    except KeyboardInterrupt:
        typer.echo("Interrupted; the same command goes on where it ended.", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    records = [asdict(trial) for trial in selection.trials]
    if format is Format.TABLE:
        print_table(records, (Column("value", selection.search.entry, ".4g"), *_COLUMNS))
    else:
        print_records(records, format)
    best = selection.best
    if best is None:
        raise TargetError(
            f"None of the {len(records)} trials in {folder} was completed; raise --trials."
        )
    typer.echo(
        f"Best: {selection.search.entry} = {best.value:.4g}, {best.card}. Wrote {folder}.",
        err=True,
    )


_COLUMNS = (
    Column("trial", "trial"),
    Column("state", "state"),
    Column("epochs", "epochs"),
    Column("rvis", "RVIS", ".5f"),
    Column("rvis_error", "+-", ".5f"),
    Column("true_rvis", "true RVIS", ".5f"),
    Column("true_rvis_error", "+-", ".5f"),
    Column("seed", "seed"),
)
