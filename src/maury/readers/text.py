"""Spectra as text: two or three columns of numbers."""

from __future__ import annotations

import math
import re
from typing import TypeVar

import numpy as np
from astropy.time import Time

from maury.errors import ReadError
from maury.readers.base import RawSpectrum, Source, SpectrumReader
from maury.spectrum import Observation

__all__ = ["Text"]

_COMMENTS = ("#", "%", "!")
_FACT = re.compile(rb"^[#%!]+[ \t]*(\w+)[ \t]*[:=][ \t]*(\S.*?)[ \t]*$", re.MULTILINE)
_SEPARATORS = bytes.maketrans(b",;", b"  ")
_NUMBERS = ("berv", "airmass", "airmass_end", "exposure", "snr", "rv")
_WORDS = ("object", "programme", "instrument", "drs_version", "flux_unit")


class Text(SpectrumReader):
    """Wavelength in Angstrom, flux and, where given, its standard deviation.

    Columns are separated by blanks, tabs, commas or semicolons; one line of column names may stand
    before them. What follows #, % or ! is a comment. A line ``# key: value`` tells ``medium``,
    ``frame`` or a fact of `Observation`, the time as UTC in ISO format::

        # object: HD 128621
        # medium: vacuum
        # frame: rest
        # berv: 18.26
    """

    name = "text"
    description = "text: two or three columns, wavelength in Angstrom, flux, uncertainty"

    def identifies(self, source: Source) -> bool:
        """Whether the file has no bytes that text cannot have."""
        return not source.is_fits and b"\0" not in source.content[:65536]

    def read(self, source: Source) -> RawSpectrum:
        """The columns, and the facts in the comments."""
        text = source.content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = text.translate(_SEPARATORS).decode("utf-8", errors="replace").split("\n")
        first = _first_row(lines)
        if first is None:
            raise ReadError(f"{source.path} holds no columns of numbers.")
        try:
            rows = np.loadtxt(lines[first:], comments=_COMMENTS, ndmin=2)
        except ValueError as error:
            complaint = _complaint(lines, text, first, str(error))
            raise ReadError(f"{source.path}, {complaint}") from error
        if rows.shape[1] not in (2, 3):
            raise ReadError(
                f"{source.path} has {rows.shape[1]} columns; a text spectrum has two (wavelength, "
                "flux) or three (wavelength, flux, uncertainty)."
            )
        facts = _facts(text)
        medium, frame = facts.get("medium"), facts.get("frame")
        return RawSpectrum(
            wavelength=rows[:, 0],
            flux=rows[:, 1],
            uncertainty=rows[:, 2] if rows.shape[1] == 3 else None,
            medium=_choice(source, "medium", medium, ("air", "vacuum")),
            frame=_choice(source, "frame", frame, ("barycentric", "observatory", "rest")),
            meta=_observation(source, facts),
        )


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _words(line: str) -> list[str]:
    for mark in _COMMENTS:
        line = line.split(mark, 1)[0]
    return line.split()


def _first_row(lines: list[str]) -> int | None:
    """Index of the first row, after comments, blank lines and at most one line of names."""
    filled = (i for i, line in enumerate(lines) if _words(line))
    first = next(filled, None)
    if first is not None and not _is_number(_words(lines[first])[0]):
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
        if words and not all(_is_number(word) for word in words):
            written = text.split(b"\n")[number - 1].decode("utf-8", errors="replace").strip()
            shown = written if len(written) <= 60 else written[:57] + "..."
            return f"line {number} is not made of numbers: {shown!r}."
        if words and len(words) != columns:
            return f"line {number} has {len(words)} columns where line {first + 1} has {columns}."
    return f"the numbers cannot be read ({reason.rstrip('.')})."


def _facts(text: bytes) -> dict[str, str]:
    return {
        match[1].decode().lower(): match[2].decode("utf-8", errors="replace")
        for match in _FACT.finditer(text)
    }


Choice = TypeVar("Choice", bound=str)


def _choice(
    source: Source, key: str, value: str | None, allowed: tuple[Choice, ...]
) -> Choice | None:
    if value is None:
        return None
    for choice in allowed:
        if value.lower() == choice:
            return choice
    raise ReadError(f"{source.path} says {key} {value!r}, which must be {' or '.join(allowed)}.")


def _observation(source: Source, facts: dict[str, str]) -> Observation:
    numbers: dict[str, float] = {}
    for key in _NUMBERS:
        if key in facts:
            if not _is_number(facts[key]):
                raise ReadError(f"{source.path} says {key} {facts[key]!r}, which is not a number.")
            numbers[key] = float(facts[key])
    # As in FITS headers, a number that is not finite says that the fact is not known.
    numbers = {key: number for key, number in numbers.items() if math.isfinite(number)}
    time = None
    if "time" in facts:
        try:
            time = Time(facts["time"], scale="utc")
        except ValueError as error:
            raise ReadError(
                f"{source.path} says time {facts['time']!r}, which is not in ISO format."
            ) from error
    words = {key: facts[key] for key in _WORDS if key in facts}
    return Observation(path=source.path, time=time, **words, **numbers)  # type: ignore[arg-type]
