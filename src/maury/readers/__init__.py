"""Spectra from files: one module a format, one registry, one check of what was read."""

from maury.readers.base import Light, RawSpectrum, Source, SpectrumReader
from maury.readers.registry import READERS, read, read_with_light, register

__all__ = [
    "READERS",
    "Light",
    "RawSpectrum",
    "Source",
    "SpectrumReader",
    "read",
    "read_with_light",
    "register",
]
