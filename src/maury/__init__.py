"""Stellar parameters from spectra, and spectra from stellar parameters.

Named for Antonia Maury, who first read a star's gravity from the width of its lines.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from maury.errors import MauryError
from maury.grid import GRIDS, HARPS, HARPS_HALF, HARPS_SMALL, HARPS_TINY, WavelengthGrid
from maury.labels import HARPS_LABELS, LABELS, Label, LabelSet, Normalizer
from maury.readers import read
from maury.spectrum import Observation, Spectrum, doppler_shift, normalize, resample

if TYPE_CHECKING:
    from maury.datasets.store import SpectrumStore
    from maury.inference.predictor import Predictor, load
    from maury.synthesis.synthesize import synthesize

__all__ = [
    "GRIDS",
    "HARPS",
    "HARPS_HALF",
    "HARPS_LABELS",
    "HARPS_SMALL",
    "HARPS_TINY",
    "LABELS",
    "Label",
    "LabelSet",
    "MauryError",
    "Normalizer",
    "Observation",
    "Predictor",
    "Spectrum",
    "SpectrumStore",
    "WavelengthGrid",
    "doppler_shift",
    "load",
    "normalize",
    "read",
    "resample",
    "synthesize",
]

# These need torch, numba or pyarrow, slow to import, so they come when they are asked for.
_LATER = {
    "Predictor": "maury.inference.predictor",
    "SpectrumStore": "maury.datasets.store",
    "load": "maury.inference.predictor",
    "synthesize": "maury.synthesis.synthesize",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
