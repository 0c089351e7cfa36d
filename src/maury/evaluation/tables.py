"""Tables of results: values with their errors, as text, CSV, Markdown and HTML."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from numbers import Integral
from pathlib import Path
from textwrap import fill

from maury.errors import MauryError
from maury.files import write_whole

__all__ = ["Cell", "Table", "escape_markdown", "format_value"]

DIGITS = 4  # significant ones of a value that has no error
GAP = "   "  # between the columns of a text table
WIDTH = 100  # characters of a line in a text file


def format_value(value: float, error: float | None = None) -> str:
    """Round a value to the last digit of its error, the error to two significant digits.

    Parameters
    ----------
    value : float
        What was measured; NaN is written "NaN".
    error : float, optional
        Its standard error, same unit; without one, four significant digits of the value are
        written, or all digits of a whole number.

    Examples
    --------
    >>> format_value(50.2134, 0.8199), format_value(0.013912, 0.0026), format_value(978.04, 13.2)
    ('50.21 ± 0.82', '0.0139 ± 0.0026', '978 ± 13')
    >>> format_value(float("nan"), float("nan")), format_value(14_123_456), format_value(0.06312)
    ('NaN ± NaN', '14,123,456', '0.06312')
    """
    value = float(value)
    if error is None:
        return _plain(value)
    error = float(error)
    if not (math.isfinite(error) and error > 0):
        return f"{_plain(value)} ± {_plain(error)}"
    # The exponent is that of the rounded error, so that 0.0996 becomes 0.10, not 0.100.
    decimals = 1 - int(f"{error:.1e}".partition("e")[2])
    return f"{_rounded(value, decimals)} ± {_rounded(error, decimals)}"


def _rounded(number: float, decimals: int) -> str:
    if not math.isfinite(number):
        return _plain(number)
    return f"{round(number, decimals) + 0.0:.{max(decimals, 0)}f}"  # 0.0 turns -0 into 0


def _plain(number: float) -> str:
    if math.isnan(number):
        return "NaN"
    if number.is_integer() and abs(number) < 1e15:
        return f"{number:,.0f}" if abs(number) >= 1e4 else f"{number:.0f}"
    return f"{number:.{DIGITS}g}"


@dataclass(frozen=True)
class Cell:
    """What stands at one place of a table.

    Parameters
    ----------
    value : float, str or None
        A number, a word, or None where there is nothing to tell, written "–".
    error : float, optional
        Standard error of a number, same unit.
    bold : bool
        Whether it stands out, as does a model that is significantly better than the others.

    Examples
    --------
    >>> str(Cell(50.2134, 0.8199, bold=True)), str(Cell("ResNet")), str(Cell(None))
    ('50.21 ± 0.82', 'ResNet', '–')
    """

    value: float | str | None
    error: float | None = None
    bold: bool = False

    def __str__(self) -> str:
        if self.value is None:
            return "–"
        if isinstance(self.value, str):
            return self.value
        return format_value(self.value, self.error)


@dataclass(frozen=True)
class Table:
    """A table of one row a model, like those of Cvrcek et al. (2024).

    Parameters
    ----------
    name : str
        Its name among files: letters, digits, "-" and "_".
    title : str
        What it shows.
    columns : sequence of (str, str or None)
        Header and unit of each column; the unit is "" for a pure number and None for words.
    rows : sequence of (str, sequence of Cell)
        What each row is called, and one cell for each column.
    notes : sequence of str
        Sentences below the table.
    corner : str
        Header of the rows' names.

    Raises
    ------
    MauryError
        If the name is no name for a file or a row has too many or too few cells.

    Examples
    --------
    >>> table = Table(
    ...     "table7",
    ...     "Decoders of simulated spectra",
    ...     [("architecture", None), ("error", "")],
    ...     [
    ...         ("CNN", [Cell("CNN"), Cell(0.01391, 0.00262)]),
    ...         ("ResNet", [Cell("ResNet"), Cell(0.00642, 0.00113, bold=True)]),
    ...     ],
    ... )
    >>> print(table.to_text())
    Decoders of simulated spectra
    <BLANKLINE>
    model    architecture         error
                                   (-)
    -----------------------------------------
    CNN      CNN             0.0139 ± 0.0026
    ResNet   ResNet         *0.0064 ± 0.0011*
    <BLANKLINE>
    """

    name: str
    title: str
    columns: Sequence[tuple[str, str | None]]
    rows: Sequence[tuple[str, Sequence[Cell]]]
    notes: Sequence[str] = ()
    corner: str = "model"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", self.name):
            raise MauryError(
                f"A table cannot be called {self.name!r}; use letters, digits, '-' and '_'."
            )
        for label, cells in self.rows:
            if len(cells) != len(self.columns):
                raise MauryError(
                    f"Row {label!r} of table {self.name} has {len(cells)} cells, "
                    f"not {len(self.columns)}."
                )

    def to_text(self, width: int | None = None) -> str:
        """The table in aligned plain text; what is bold stands between asterisks.

        Parameters
        ----------
        width : int, optional
            Characters of a line. Columns that do not fit stand below, with the rows' names again;
            by default all stand side by side.
        """
        names = _left([self.corner, *[label for label, _ in self.rows]])
        units = any(unit is not None for _, unit in self.columns)
        if units:
            names.insert(1, " " * len(names[0]))
        parts = [[names]]
        for (header, unit), cells in zip(self.columns, self._cells(), strict=True):
            above = [header, _unit(unit)] if units else [header]
            block = _left([*above, *map(str, cells)]) if unit is None else _pairs(above, cells)
            fits = width is None or _width([*parts[-1], block]) <= width
            if not fits and len(parts[-1]) > 1:
                parts.append([names])
            parts[-1].append(block)
        lines = [line for part in parts for line in ["", *self._lines(part)]]
        notes = self.notes if width is None else [fill(note, width) for note in self.notes]
        return "\n".join([self.title, *lines, *(["", *notes] if notes else []), ""])

    def _lines(self, blocks: Sequence[Sequence[str]]) -> list[str]:
        """Columns side by side, with a rule below their headers."""
        lines = [GAP.join(parts).rstrip() for parts in zip(*blocks, strict=True)]
        lines.insert(len(lines) - len(self.rows), "-" * _width(blocks))
        return lines

    def to_csv(self) -> str:
        """The table as comma-separated values, with all digits.

        Errors have columns of their own, and so has "bold" where a column has such cells. An empty
        field is a cell without value.
        """
        header, fields = [self.corner], [[label] for label, _ in self.rows]
        for (name, unit), cells in zip(self.columns, self._cells(), strict=True):
            suffix = f" ({unit})" if unit else ""
            kinds: list[tuple[str, list[object]]] = [
                (f"{name}{suffix}", [cell.value for cell in cells])
            ]
            if any(cell.error is not None for cell in cells):
                kinds.append((f"{name} error{suffix}", [cell.error for cell in cells]))
            if any(cell.bold for cell in cells):
                kinds.append((f"{name} bold", [int(cell.bold) for cell in cells]))
            for key, values in kinds:
                header.append(key)
                for row, value in zip(fields, values, strict=True):
                    row.append(_field(value))
        file = io.StringIO()
        csv.writer(file, lineterminator="\n").writerows([header, *fields])
        return file.getvalue()

    def to_markdown(self) -> str:
        """The table as GitHub's Markdown, without its title."""
        headers = [
            escape_markdown(header) + (f" {escape_markdown(_unit(unit))}" if unit else "")
            for header, unit in self.columns
        ]
        sides = ["---" if unit is None else "---:" for _, unit in self.columns]
        lines = [[escape_markdown(self.corner), *headers], ["---", *sides]]
        for label, cells in self.rows:
            words = [escape_markdown(str(cell)) for cell in cells]
            marked = [
                f"**{word}**" if cell.bold else word
                for word, cell in zip(words, cells, strict=True)
            ]
            lines.append([escape_markdown(label), *marked])
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return "\n\n".join([table, *map(escape_markdown, self.notes)]) + "\n"

    def to_html(self) -> str:
        """The table as an HTML element ``table`` with its title as caption."""
        heads = "".join(
            f'<th scope="col"{_side(unit)}>{escape(header)}'
            + (f" <small>{escape(_unit(unit))}</small>" if unit else "")
            + "</th>"
            for header, unit in self.columns
        )
        body = "".join(
            f'<tr><th scope="row">{escape(label)}</th>'
            + "".join(
                f"<td{_side(unit)}>{_html(cell)}</td>"
                for (_, unit), cell in zip(self.columns, cells, strict=True)
            )
            + "</tr>\n"
            for label, cells in self.rows
        )
        foot = ""
        if self.notes:
            notes = "<br>".join(map(escape, self.notes))
            span = len(self.columns) + 1
            foot = f'<tfoot><tr><td colspan="{span}"><div>{notes}</div></td></tr></tfoot>\n'
        return (
            f"<table>\n<caption>{escape(self.title)}</caption>\n"
            f'<thead><tr><th scope="col">{escape(self.corner)}</th>{heads}</tr></thead>\n'
            f"<tbody>\n{body}</tbody>\n{foot}</table>\n"
        )

    def write(self, folder: str | Path) -> tuple[Path, Path]:
        """Write NAME.csv and NAME.txt, of lines of 100 characters, each whole or not at all.

        Raises
        ------
        TargetError
            If a file cannot be written.
        """
        return (
            write_whole(Path(folder) / f"{self.name}.csv", self.to_csv()),
            write_whole(Path(folder) / f"{self.name}.txt", self.to_text(WIDTH)),
        )

    def _cells(self) -> list[list[Cell]]:
        """The cells of each column."""
        return [[cells[i] for _, cells in self.rows] for i in range(len(self.columns))]


def _unit(unit: str | None) -> str:
    return "" if unit is None else f"({unit or '-'})"


def _width(blocks: Sequence[Sequence[str]]) -> int:
    return sum(len(block[0]) for block in blocks) + len(GAP) * (len(blocks) - 1)


def _left(words: Sequence[str]) -> list[str]:
    width = max(map(len, words))
    return [word.ljust(width) for word in words]


def _pairs(headers: Sequence[str], cells: Sequence[Cell]) -> list[str]:
    """Headers in the middle, below them numbers with the signs "±" one below the other."""
    halves = [_halves(cell) for cell in cells]
    left = max((len(half[0]) for half in halves), default=0)
    right = max((len(half[1]) for half in halves), default=0)
    words = [half[0].rjust(left) + half[1].ljust(right) for half in halves]
    width = max(map(len, [*headers, *words]))
    return [word.center(width) for word in [*headers, *words]]


def _halves(cell: Cell) -> tuple[str, str]:
    value, sign, error = str(cell).partition(" ± ")
    if cell.bold:
        return f"*{value}", f"{sign}{error}*"
    return value, f"{sign}{error} "


def _field(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str | Integral):
        return str(value)
    number = float(value)  # type: ignore[arg-type]
    return "NaN" if math.isnan(number) else repr(number)


def escape_markdown(text: str) -> str:
    """Text of which Markdown makes neither a mark nor a cell."""
    return re.sub(r"([\\|*_<>\[\]`#])", r"\\\1", " ".join(text.split()))


def _side(unit: str | None) -> str:
    return "" if unit is None else ' class="number"'


def _html(cell: Cell) -> str:
    text = escape(str(cell))
    return f"<strong>{text}</strong>" if cell.bold else text
