"""Columns of numbers out of text, and the line that is to blame where there are none."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from maury.errors import ReadError

__all__ = ["is_number", "is_smooth", "parse_columns"]

_COMMENTS = ("#", "%", "!")
_SEPARATORS = bytes.maketrans(b",;", b"  ")


def parse_columns(content: bytes, path: str) -> NDArray[np.float64]:
    """The numbers of a text as float64[rows, columns].

    Columns are separated by blanks, tabs, commas or semicolons; one line of column names may stand
    before them. What follows #, % or ! is a comment.

    Parameters
    ----------
    content : bytes
        The text, with lines ended in any way.
    path : str
        Its file, for messages.

    Raises
    ------
    ReadError
        If there are no numbers, or a line is not like the others; it is named.

    Examples
    --------
    >>> parse_columns(b"wavelength,flux\\n5000.0,0.9 # in a line\\n5000.1,1.0\\n", "star.csv")
    array([[5.0000e+03, 9.0000e-01],
           [5.0001e+03, 1.0000e+00]])
    """
    text = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    lines = text.translate(_SEPARATORS).decode("utf-8", errors="replace").split("\n")
    first = _first_row(lines)
    if first is None:
        raise ReadError(f"{path} holds no columns of numbers.")
    try:
        return np.loadtxt(lines[first:], comments=_COMMENTS, ndmin=2)
    except ValueError as error:
        raise ReadError(f"{path}, {_complaint(lines, text, first, str(error))}") from error


def is_number(word: str) -> bool:
    """Whether Python reads a word as a number."""
    try:
        float(word)
    except ValueError:
        return False
    return True


def is_smooth(values: NDArray[np.float64]) -> bool:
    """Whether positive values change by less than 1% from one to the next, as a continuum does.

    One step in a thousand may be larger, as at an edge of the continuum.
    """
    steps = np.abs(np.diff(np.log(np.maximum(values, np.finfo(float).tiny))))
    return bool(steps.size) and bool(np.mean(steps < 0.01) >= 0.999)


def _words(line: str) -> list[str]:
    for mark in _COMMENTS:
        line = line.split(mark, 1)[0]
    return line.split()


def _first_row(lines: list[str]) -> int | None:
    """Index of the first row, after comments, blank lines and at most one line of names."""
    filled = (i for i, line in enumerate(lines) if _words(line))
    first = next(filled, None)
    if first is not None and not is_number(_words(lines[first])[0]):
        return next(filled, None)
    return first


def _complaint(lines: list[str], text: bytes, first: int, reason: str) -> str:
    """Which line is not like the others."""
    columns = len(_words(lines[first]))
    # NumPy names the row, by counts that start at 0 or 1; no row stands before its own number.
    row = re.search(r"row (\d+)", reason)
    start = first + (max(int(row[1]) - 2, 0) if row else 0)
    for number, line in enumerate(lines[start:], start=start + 1):
        words = _words(line)
        if words and not all(is_number(word) for word in words):
            written = text.split(b"\n")[number - 1].decode("utf-8", errors="replace").strip()
            shown = written if len(written) <= 60 else written[:57] + "..."
            return f"line {number} is not made of numbers: {shown!r}."
        if words and len(words) != columns:
            return f"line {number} has {len(words)} columns where line {first + 1} has {columns}."
    return f"the numbers cannot be read ({reason.rstrip('.')})."
