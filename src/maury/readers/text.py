"""Spectra as text: two or three columns of numbers."""

from __future__ import annotations

import math
import re
from typing import TypeVar

from astropy.time import Time

from maury.errors import ReadError
from maury.readers.base import RawSpectrum, Source, SpectrumReader
from maury.readers.columns import is_number
from maury.spectrum import Observation

__all__ = ["Text"]

_FACT = re.compile(rb"^[#%!]+[ \t]*(\w+)[ \t]*[:=][ \t]*(\S.*?)[ \t]*$", re.MULTILINE)
_NUMBERS = ("berv", "airmass", "airmass_end", "exposure", "snr", "rv")
_STAR = ("teff", "logg", "mh", "alpha", "vmic")
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
        return source.is_text

    def read(self, source: Source) -> RawSpectrum:
        """The columns, and the facts in the comments."""
        rows = source.columns
        if isinstance(rows, ReadError):
            raise rows
        if rows.shape[1] not in (2, 3):
            raise ReadError(
                f"{source.path} has {rows.shape[1]} columns; a text spectrum has two (wavelength, "
                "flux) or three (wavelength, flux, uncertainty)."
            )
        facts = _facts(source.content)
        medium, frame = facts.get("medium"), facts.get("frame")
        return RawSpectrum(
            wavelength=rows[:, 0],
            flux=rows[:, 1],
            uncertainty=rows[:, 2] if rows.shape[1] == 3 else None,
            medium=_choice(source, "medium", medium, ("air", "vacuum")),
            frame=_choice(source, "frame", frame, ("barycentric", "observatory", "rest")),
            meta=_observation(source, facts),
        )


def _facts(content: bytes) -> dict[str, str]:
    text = content.replace(b"\r", b"\n")
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
            if not is_number(facts[key]):
                raise ReadError(f"{source.path} says {key} {facts[key]!r}, which is not a number.")
            numbers[key] = float(facts[key])
    # Others write these with units, or in words.
    numbers |= {key: float(facts[key]) for key in _STAR if is_number(facts.get(key, ""))}
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
