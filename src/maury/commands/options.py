"""Options that several verbs share."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from maury.console import Format

__all__ = [
    "FilesArgument",
    "FormatOption",
    "FrameChoice",
    "FrameOption",
    "MediumChoice",
    "MediumOption",
]


class MediumChoice(StrEnum):
    """Medium of the wavelengths in a file."""

    air = "air"
    vacuum = "vacuum"


class FrameChoice(StrEnum):
    """Frame of the wavelengths in a file."""

    barycentric = "barycentric"
    observatory = "observatory"
    rest = "rest"


FilesArgument = Annotated[list[str], typer.Argument(help="Spectra: FITS or text, plain or gzip.")]
FormatOption = Annotated[Format, typer.Option("--format", help="How to print the results.")]
MediumOption = Annotated[
    MediumChoice | None,
    typer.Option(help="Medium of the wavelengths, where you know better than the file."),
]
FrameOption = Annotated[
    FrameChoice | None,
    typer.Option(help="Frame of the wavelengths, where you know better than the file."),
]
