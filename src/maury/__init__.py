"""Stellar parameters from spectra, and spectra from stellar parameters.

Named for Antonia Maury, who first read a star's gravity from the width of its lines.
"""

from maury.errors import MauryError
from maury.grid import GRIDS, HARPS, HARPS_SMALL, WavelengthGrid
from maury.labels import HARPS_LABELS, LABELS, Label, LabelSet, Normalizer
from maury.readers import read
from maury.spectrum import Observation, Spectrum, doppler_shift, normalize, resample

__all__ = [
    "GRIDS",
    "HARPS",
    "HARPS_LABELS",
    "HARPS_SMALL",
    "LABELS",
    "Label",
    "LabelSet",
    "MauryError",
    "Normalizer",
    "Observation",
    "Spectrum",
    "WavelengthGrid",
    "doppler_shift",
    "normalize",
    "read",
    "resample",
]
