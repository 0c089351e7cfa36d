"""Results on stdout as a table, JSON or CSV; everything else goes to stderr."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = [
    "PIPE_WIDTH",
    "Column",
    "Format",
    "complain",
    "print_facts",
    "print_records",
    "print_table",
    "stdout_console",
]

# Width of tables that go into a file or a pipe, where no terminal sets it.
PIPE_WIDTH = 200


class Format(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Parameters
    ----------
    key : str
        Entry of a record that it shows.
    heading : str
        What stands over it.
    spec : str
        How a number is written, in Python's format language.

    Examples
    --------
    >>> Column("berv", "BERV", "+.3f").show({"berv": 18.26269})
    '+18.263'
    >>> Column("berv", "BERV", "+.3f").show({"berv": None})
    '-'
    """

    key: str
    heading: str
    spec: str = ""

    def show(self, record: Mapping[str, Any]) -> str:
        """The entry of a record as text; a hyphen when it is missing."""
        value = record.get(self.key)
        return "-" if value is None else format(value, self.spec)


def print_records(records: Sequence[Mapping[str, Any]], format: Format) -> None:
    """Print records as JSON or CSV; what is missing is null or an empty field."""
    if format is Format.JSON:
        typer.echo(json.dumps(records, indent=2, ensure_ascii=False, allow_nan=False))
        return
    names = list(dict.fromkeys(name for record in records for name in record))
    writer = csv.DictWriter(sys.stdout, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)


def print_table(
    records: Sequence[Mapping[str, Any]], columns: Sequence[Column], caption: str | None = None
) -> None:
    """Print one line a record; numbers stand to the right."""
    table = Table(box=box.SIMPLE_HEAD, caption=caption, caption_justify="left")
    for column in columns:
        numeric = any(isinstance(record.get(column.key), int | float) for record in records)
        table.add_column(
            Text(column.heading),
            justify="right" if numeric else "left",
            overflow="fold",
            no_wrap=numeric,
        )
    for record in records:
        table.add_row(*(Text(column.show(record)) for column in columns))
    stdout_console().print(table)


def print_facts(record: Mapping[str, Any], columns: Sequence[Column]) -> None:
    """Print one record, one line an entry."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for column in columns:
        table.add_row(Text(column.heading), Text(column.show(record)))
    stdout_console().print(table)


def complain(complaints: Sequence[str]) -> None:
    """Tell on stderr what went wrong, and exit with 1 if anything did."""
    for complaint in complaints:
        typer.echo(complaint, err=True)
    if complaints:
        raise typer.Exit(1)


def stdout_console() -> Console:
    """The console for results: as wide as the terminal, or wide where there is none."""
    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
