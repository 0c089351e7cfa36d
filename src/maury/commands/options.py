"""Options that several verbs share."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Annotated

import typer

from maury.console import Format
from maury.errors import SynthesisError
from maury.grid import WavelengthGrid

__all__ = [
    "FilesArgument",
    "FormatOption",
    "FrameChoice",
    "FrameOption",
    "GridChoice",
    "GridMediumOption",
    "LineStrengthsChoice",
    "LineStrengthsOption",
    "MediumChoice",
    "MediumOption",
    "NormalizedOption",
    "RadiusOption",
    "ResolvingPowerOption",
    "ScaleChoice",
    "SolverChoice",
    "SolverOption",
    "StarSolverChoice",
    "StarSolverOption",
    "StartOption",
    "StepOption",
    "StopOption",
    "wavelength_grid",
]

MOST_PIXELS = 4_000_000


class ScaleChoice(StrEnum):
    """Names of `maury.training.scale.SCALES`."""

    full = "full"
    half = "half"
    small = "small"
    tiny = "tiny"


class MediumChoice(StrEnum):
    """Medium of the wavelengths in a file."""

    air = "air"
    vacuum = "vacuum"


class FrameChoice(StrEnum):
    """Frame of the wavelengths in a file."""

    barycentric = "barycentric"
    observatory = "observatory"
    rest = "rest"


class GridChoice(StrEnum):
    """Pixels of exposures, by the name of their grid."""

    harps = "harps"
    harps_half = "harps-half"
    harps_small = "harps-small"
    harps_tiny = "harps-tiny"


class LineStrengthsChoice(StrEnum):
    """Whose strengths the embedded lines have."""

    calibrated = "calibrated"
    original = "original"


class SolverChoice(StrEnum):
    """How a spectrum is computed."""

    direct = "direct"
    table = "table"


class StarSolverChoice(StrEnum):
    """How the stars of simulated exposures are computed."""

    direct = "direct"
    table = "table"
    emulator = "emulator"


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
ResolvingPowerOption = Annotated[
    float | None, typer.Option(help="Of the instrument; by default there is none.")
]
RadiusOption = Annotated[
    float,
    typer.Option(
        min=0.1, max=3600.0, help="How far from a star the telescope may have pointed, arcsec."
    ),
]
StartOption = Annotated[float, typer.Option(help="First wavelength, A.")]
StopOption = Annotated[float, typer.Option(help="Last wavelength, A.")]
StepOption = Annotated[float, typer.Option(help="Step of the wavelengths, A.")]
GridMediumOption = Annotated[MediumChoice, typer.Option(help="Medium of the wavelengths.")]
NormalizedOption = Annotated[bool, typer.Option(help="Divide by the continuum.")]
LineStrengthsOption = Annotated[
    LineStrengthsChoice,
    typer.Option(help="Of the embedded lines: calibrated on the Sun, or of the laboratory."),
]
SolverOption = Annotated[
    SolverChoice,
    typer.Option(
        help="Sum the lines for each star, or interpolate opacity tables, which is faster once "
        "they are there (minutes and some GB for the whole range; kept)."
    ),
]
StarSolverOption = Annotated[
    StarSolverChoice,
    typer.Option(
        help="Sum the lines for each star; interpolate opacity tables, which are made first "
        "(minutes and some GB for the whole range; kept); or ask the embedded emulator, which "
        "takes milliseconds and knows 4000-8000 K and 4790-6922 A."
    ),
]


def wavelength_grid(start: float, stop: float, step: float, medium: MediumChoice) -> WavelengthGrid:
    """The grid that ``--start``, ``--stop`` and ``--step`` ask for.

    Raises
    ------
    SynthesisError
        If there is none, or it has too many pixels.
    """
    if not (math.isfinite(step) and step > 0):
        raise SynthesisError(f"The step is {step:g} A, but it must be positive.")
    if not (math.isfinite(start) and math.isfinite(stop) and stop - start >= step and start > 0):
        raise SynthesisError(
            f"The wavelengths from {start:g} to {stop:g} A hold no step of {step:g} A."
        )
    count = int((stop - start) / step + 1e-6) + 1
    if count > MOST_PIXELS:
        raise SynthesisError(
            f"A step of {step:g} A makes {count:,} pixels; allowed are {MOST_PIXELS:,}."
        )
    return WavelengthGrid(start=start, step=step, size=count, medium=medium.value)
