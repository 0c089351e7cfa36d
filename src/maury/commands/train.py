"""``maury train``: a network from a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from maury.commands.options import FormatOption
from maury.console import Column, Format, print_records, print_table
from maury.labels import LABELS

__all__ = ["train"]


def train(
    recipe: Annotated[
        str, typer.Argument(help="A YAML file, or the name of an embedded recipe: harps-small.")
    ],
    set: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change an entry, like optimization.steps=100; repeatable."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for log, state, card and weights; by default runs/NAME."),
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on from the state in the folder.")] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Train a network on exposures simulated as it learns; write its card and weights."""
    from maury.models.weights import save_network
    from maury.training.recipe import read_recipe
    from maury.training.run import train as run

    settings = read_recipe(recipe, set or [])
    folder = out if out is not None else Path("runs") / settings.name
    result = run(settings, folder, resume=resume)
    card = save_network(
        folder / f"{settings.name}.json",
        result.network,
        validation=result.validation,
        training=result.provenance(),
    )
    records: list[dict[str, Any]] = [
        {"label": name, **values, "unit": LABELS[name].unit}
        for name, values in result.validation.items()
    ]
    if format is Format.TABLE:
        print_table(records, _COLUMNS, caption="Residuals on exposures that were not trained on.")
    else:
        print_records(records, format)
    typer.echo(f"Wrote {card} after {result.seconds:.0f} s of training.", err=True)


_COLUMNS = (
    Column("label", "label"),
    Column("mae", "mean absolute error", ".3g"),
    Column("bias", "median", "+.3g"),
    Column("sigma", "robust scatter", ".3g"),
    Column("unit", "unit"),
)
