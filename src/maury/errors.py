"""Mistakes that a user can cause, each told in one sentence and never as a traceback."""

from __future__ import annotations

__all__ = [
    "ArchiveError",
    "GridError",
    "MauryError",
    "ReadError",
    "RecipeError",
    "SpectrumError",
    "SynthesisError",
    "TargetError",
    "WeightsError",
]


class MauryError(Exception):
    """Base of everything that a user's input can cause; the message is one plain sentence.

    Attributes
    ----------
    exit_code : int
        Of the command line: 2 where what was asked for is impossible, 1 where the work failed.
    """

    exit_code = 1


class ReadError(MauryError):
    """A file that cannot be read as a spectrum."""


class ArchiveError(MauryError):
    """A service over the network that refuses, fails or sends what cannot be used."""


class SpectrumError(MauryError):
    """Arrays or attributes that do not make up a spectrum."""


class GridError(MauryError):
    """A wavelength grid that is impossible, unknown, or that does not cover what is asked of it."""


class WeightsError(MauryError):
    """Model weights that are missing, damaged or made by another version."""


class RecipeError(MauryError):
    """A training recipe with unknown, missing or impossible entries."""


class SynthesisError(MauryError):
    """Stellar parameters, options or files for which no spectrum can be computed."""

    exit_code = 2


class TargetError(MauryError):
    """A file that results cannot be written to."""

    exit_code = 2
