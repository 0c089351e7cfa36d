"""What the figures of the study are drawn from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from maury.datasets.stored_exposures import StoredExposures
from maury.datasets.training_source import ObservedExposures
from maury.errors import MauryError
from maury.grid import WavelengthGrid
from maury.study.exposures import TestExposures
from maury.study.networks import StudiedNetwork
from maury.study.plan import (
    ITEMS,
)
from maury.study.results import Results
from maury.training.scale import SCALES

__all__ = ["PREDICTED", "Drawing"]

PREDICTED = ("teff", "mh", "logg", "rv", "berv", "airmass")


@dataclass(frozen=True, eq=False)
class Drawing:
    """What figures are drawn from.

    Parameters
    ----------
    results : Results
        What was measured.
    exposures : TestExposures
        The test exposures.
    runs : Path
        Folder of the study's runs.
    scale : str
        Key of `maury.training.scale.SCALES`.
    """

    results: Results
    exposures: TestExposures
    runs: Path
    scale: str

    @property
    def grid(self) -> WavelengthGrid:
        """Of all spectra."""
        return SCALES[self.scale].grid

    @property
    def observed(self) -> ObservedExposures:
        """The observed test exposures."""
        assert self.exposures.observed is not None
        return self.exposures.observed

    @property
    def simulated(self) -> StoredExposures:
        """The simulated test exposures."""
        assert self.exposures.simulated is not None
        return self.exposures.simulated

    def network(self, name: str) -> StudiedNetwork:
        """The network of a model."""
        return StudiedNetwork.load(self.runs / name / f"{name}.json")

    @cached_property
    def example(self) -> int:
        """A slow star of which all labels are known, by its number among the observed ones."""
        source = self.observed
        names = source.labels.names
        known = [names.index(name) for name in PREDICTED]
        values = source.values[:, known]
        complete = np.flatnonzero(np.isfinite(values).all(axis=1))
        if not complete.size:
            raise MauryError("No observed test exposure has all labels.")
        # Bright enough that noise does not hide what differs.
        rows = {row["index"]: row for row in source.store.catalogue.to_pylist()}
        ratio = np.array([rows[i].get("snr") or 0.0 for i in source.indices[complete].tolist()])
        clear = complete[ratio >= np.median(ratio)]
        return int(
            source.indices[clear[np.argmin(np.abs(source.values[clear, names.index("rv")]))]]
        )

    def models(self, item: str) -> dict[str, Any]:
        """Measurements of an item's models that are trained, in its order; none lacks a part."""
        found = self.results.models
        return {name: found[name] for name in ITEMS[item].models if name in found}
