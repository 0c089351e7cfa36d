"""Spectra from files: one module a format, one registry, one check of what was read."""

from maury.readers.base import RawSpectrum, Source, SpectrumReader
from maury.readers.registry import READERS, read, register

__all__ = ["READERS", "RawSpectrum", "Source", "SpectrumReader", "read", "register"]
