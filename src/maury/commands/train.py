"""``maury train``: a network from a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from maury.commands.filling import EXIT_INTERRUPTED
from maury.commands.options import FormatOption, ScaleChoice
from maury.console import Column, Format, print_records, print_table
from maury.labels import LABELS

__all__ = ["train"]

RUNS = Path("runs")


def train(
    recipe: Annotated[
        str, typer.Argument(help="A YAML file, or the name of an embedded recipe, like ae-mix.")
    ],
    scale: Annotated[
        ScaleChoice | None,
        typer.Option(
            help="Grid and amount of data: tiny takes two minutes on two cores, small an hour; "
            "half and full need stores of exposures and a GPU. By default the recipe's."
        ),
    ] = None,
    set: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change an entry, like optimizer.lr=1e-3; repeatable."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The run's folder; by default runs/SCALE/NAME."),
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on from the state in the folder.")] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Train a network; leave recipe, metrics, card and weights in the run's folder."""
    from maury.training.recipe_file import read_recipe, sweep
    from maury.training.run import train as run

    settings = read_recipe(recipe, set or [], scale=scale)
    folder = out if out is not None else RUNS / settings.scale / settings.name
    for part, one in sweep(settings):
        try:
            result = run(one, folder / part, beside=folder.parent, resume=resume)
        except KeyboardInterrupt:
            typer.echo(
                "Interrupted; the same command with --resume goes on from the last state in "
                f"{folder / part}.",
                err=True,
            )
            raise typer.Exit(EXIT_INTERRUPTED) from None
        # Each device has a process of its own, which runs this verb too.
        if result.written:
            _show(part, result, format)


def _show(part: str, result: Any, format: Format) -> None:
    losses = {name: value for name, value in result.metrics.items() if name.startswith("val_")}
    if format is not Format.TABLE:
        record = {"run": part or result.recipe.name, "card": str(result.card)}
        print_records([record | losses | _flat(result.validation)], format)
    else:
        records = [
            {"label": name, **values, "unit": LABELS[name].unit}
            for name, values in result.validation.items()
        ]
        if records:
            caption = "Residuals on exposures that were not trained on."
            print_table(records, _COLUMNS, caption=caption)
        terms = ", ".join(
            f"{name.removeprefix('val_')} {value:.4g}" for name, value in losses.items()
        )
        typer.echo(f"Validation: {terms}.", err=True)
    typer.echo(f"Wrote {result.card} after {result.seconds:.0f} s of training.", err=True)


def _flat(validation: dict[str, dict[str, float]]) -> dict[str, float]:
    return {
        f"{label}_{name}": value
        for label, values in validation.items()
        for name, value in values.items()
    }


_COLUMNS = (
    Column("label", "label"),
    Column("mae", "mean absolute error", ".3g"),
    Column("bias", "median", "+.3g"),
    Column("sigma", "robust scatter", ".3g"),
    Column("unit", "unit"),
)
