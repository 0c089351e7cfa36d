"""The exposures of a set: rendered from its spectra and its catalogue, alike for everybody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maury.datasets.exposures import ETC_LABELS, NIGHT, fastest
from maury.datasets.nuisances import ExposureNuisances
from maury.datasets.observatory import ExposurePixels, Observatory
from maury.datasets.sampling import Range
from maury.datasets.store import SpectrumStore
from maury.errors import MauryError
from maury.grid import WavelengthGrid
from maury.instrument.settings import Settings
from maury.labels import LabelSet

__all__ = [
    "Exposures",
    "StoredExposures",
    "exposure_pixels",
    "known_ranges",
    "normalized",
    "whole_numbers",
]

KINDS = ("etc", "generative")
COUNTS = 32767  # a spectrum's largest flux, of those kept in 16 bits
CHUNK = 64  # spectra that are read at a time


class Exposures(NamedTuple):
    """Exposures, barycentric, divided by their median over valid pixels (Eq. 2 of the paper).

    Parameters
    ----------
    flux : Tensor
        [batch, pixel]; zero where invalid.
    sigma : Tensor
        Standard deviation of the noise, [batch, pixel]; zero where invalid.
    labels : Tensor
        Physical units, [batch, label].
    """

    flux: Tensor
    sigma: Tensor
    labels: Tensor

    @property
    def valid(self) -> Tensor:
        """Where there is signal, bool [batch, pixel]."""
        return self.sigma > 0


class StoredExposures:
    """What was observed of the stars in a store of the kind "etc" or "generative".

    Row by row the night, the velocities and the noise are those of the catalogue, so that a
    validation or test set is the same for everybody, in whatever batches it is read. Exposures are
    made on the processor, where the noise is the same on every machine.

    Parameters
    ----------
    store : SpectrumStore
        Stars and how they are observed.
    labels : LabelSet
        What is returned with the spectra.

    Attributes
    ----------
    grid : WavelengthGrid
        Of the exposures, air, barycentric.
    rows : list of dict
        Of the catalogue, those that are done.

    Raises
    ------
    MauryError
        If the store is of another kind.
    """

    def __init__(self, store: SpectrumStore, labels: LabelSet = ETC_LABELS) -> None:
        pixels = exposure_pixels(store)
        self.store, self.labels, self.grid = store, labels, pixels.grid
        nuisances = ExposureNuisances.model_validate(store.settings["nuisances"])
        self.observatory = Observatory(pixels, nuisances)
        self.rows = [row for row in store.catalogue.to_pylist() if row["status"] == "done"]

    def __len__(self) -> int:
        """How many exposures there are."""
        return len(self.rows)

    def batch(
        self,
        numbers: Sequence[int] | NDArray[np.int64],
        *,
        noise: bool = True,
        **changed: float | NDArray[np.float64],
    ) -> Exposures:
        """Some of them, by their place among those that are done.

        Parameters
        ----------
        numbers
            Places.
        noise
            Whether to add it; without it this is the truth that a network is to find.
        **changed
            What is to be otherwise than in the catalogue, of the columns of `NIGHT`: one number or
            one for each. So a star is shifted by another ``rv``, or seen at another ``airmass``.

        Raises
        ------
        MauryError
            If something else is to be changed.
        """
        for name in changed:
            if name not in NIGHT:
                raise MauryError(f"{name!r} cannot be changed; allowed are {', '.join(NIGHT)}.")
        rows = [self.rows[int(number)] for number in numbers]
        stars = torch.from_numpy(np.nan_to_num(self.store.flux([row["index"] for row in rows])))

        def column(name: str) -> Tensor:
            values = np.array([row[name] for row in rows], dtype=np.float64)
            return torch.from_numpy(np.broadcast_to(changed.get(name, values), len(rows)).copy())

        settings: Any = {name: column(name) for name in NIGHT}
        flux, sigma, valid = self.observatory.expose(
            stars,
            Settings(**settings),
            column("flux_v"),
            seeds=[row["noise_seed"] for row in rows],
            noise=noise,
        )
        labels = torch.stack([column(name) for name in self.labels.names], dim=1).float()
        return Exposures(*normalized(flux, sigma, valid), labels)


def normalized(flux: Tensor, sigma: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Flux and its standard deviation over the median flux (Eq. 2), zero where invalid."""
    median = torch.where(valid, flux, torch.nan).nanmedian(dim=1, keepdim=True).values
    usable = valid & (median > 0)
    median = torch.where(usable.any(dim=1, keepdim=True), median, 1.0)
    return torch.where(usable, flux / median, 0.0), torch.where(usable, sigma / median, 0.0)


def exposure_pixels(store: SpectrumStore) -> ExposurePixels:
    """Pixels of a store's spectra and of their exposures.

    Raises
    ------
    MauryError
        If no exposures can be made of what is in the store.
    """
    if store.settings["kind"] not in KINDS:
        raise MauryError(
            f"{store.path} is of the kind {store.settings['kind']!r}; exposures are made of "
            f"{' or '.join(KINDS)}."
        )
    grid = WavelengthGrid.from_dict(store.settings["exposure_grid"])
    ranges = known_ranges(store.settings)
    return ExposurePixels.of(grid, fastest(ranges))


def known_ranges(settings: Mapping[str, Any]) -> dict[str, Range]:
    """The ranges of what varies from night to night, of a store's settings."""
    return {name: Range.parse(settings[name]) for name in NIGHT}


def whole_numbers(store: SpectrumStore) -> tuple[Tensor, NDArray[np.float64]]:
    """A store's spectra as int16[spectrum, pixel], and the flux of 1 of each."""
    counts = torch.empty((store.done.size, store.grid.size), dtype=torch.int16)
    step = np.empty(store.done.size)
    for first in range(0, store.done.size, CHUNK):
        part = slice(first, first + CHUNK)
        flux = np.nan_to_num(store.flux(store.done[part]))
        step[part] = flux.max(axis=1) / COUNTS
        counts[part] = torch.from_numpy(np.rint(flux / step[part, None]).astype(np.int16))
    return counts, step
