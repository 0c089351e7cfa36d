"""``maury evaluate``: trained networks on stores of exposures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from maury.commands.options import FormatOption
from maury.console import Column, Format, complain, print_records, print_table
from maury.errors import MauryError

__all__ = ["evaluate"]


def evaluate(
    cards: Annotated[
        list[Path], typer.Argument(metavar="CARD...", help="Networks by maury train.")
    ],
    observed: Annotated[
        Path | None,
        typer.Option(help="Store by maury ingest or maury simulate archive."),
    ] = None,
    simulated: Annotated[Path | None, typer.Option(help="Store by maury simulate etc.")] = None,
    generative: Annotated[
        Path | None, typer.Option(help="Store by maury simulate generative.")
    ] = None,
    all: Annotated[
        bool,
        typer.Option("--all", help="Take all observed stars, and not the test stars alone."),
    ] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Measure networks: errors of labels, of reconstructions and of interventions."""
    from maury.evaluation.tables import format_value
    from maury.study.evaluate import evaluate as run
    from maury.study.evaluate import open_exposures

    exposures = open_exposures(observed, simulated, generative, whole=all)
    records: list[dict[str, Any]] = []
    complaints = []
    for card in cards:
        try:
            found = list(run(card, exposures))
        except MauryError as error:
            complaints.append(str(error))
            continue
        for metric, value, unit in found:
            records.append(
                {
                    "card": str(card),
                    "metric": metric,
                    "value": _number(value.value),
                    "error": _number(value.error),
                    "unit": unit,
                    "count": value.count,
                    "missing": value.missing,
                }
            )
    if format is not Format.TABLE:
        print_records(records, format)
    else:
        for card in dict.fromkeys(record["card"] for record in records):
            rows = [
                record | {"text": format_value(_or_nan(record["value"]), record["error"])}
                for record in records
                if record["card"] == card
            ]
            print_table(rows, _COLUMNS, caption=f"{card}; ± is the standard error of the mean.")
    complain(complaints)


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


_COLUMNS = (
    Column("metric", "mean absolute error of"),
    Column("text", "value"),
    Column("unit", "unit"),
    Column("count", "values", ","),
    Column("missing", "missing", ","),
)
