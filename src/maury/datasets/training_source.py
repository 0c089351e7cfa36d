"""What a network is trained on: simulated and real exposures, drawn as they are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maury.datasets.exposures import ETC_LABELS, NIGHT
from maury.datasets.nuisances import ExposureNuisances
from maury.datasets.observatory import Observatory
from maury.datasets.sampling import Range
from maury.datasets.simulated import ExposureBatch
from maury.datasets.store import SpectrumStore
from maury.datasets.stored_exposures import exposure_pixels, whole_numbers
from maury.errors import GridError, MauryError
from maury.grid import WavelengthGrid
from maury.instrument.settings import Settings
from maury.labels import LabelSet
from maury.models.preprocessing import Preprocessing

__all__ = [
    "ExposureSource",
    "FreshExposures",
    "MixedExposures",
    "ObservedExposures",
    "TrainingBatch",
    "drop_labels",
]

# Random streams that never meet, whatever the seed; one is that of `ModelExposures`.
FRESH, MIXED, OBSERVED, DROPPED, _, SAMPLED = range(6)


class TrainingBatch(NamedTuple):
    """A batch for training.

    Parameters
    ----------
    spectrum : Tensor
        As the network reads it, [batch, pixel]; with the paper's preprocessing the flux over its
        median over valid pixels, zero where invalid.
    valid : Tensor
        Where there is signal, bool [batch, pixel].
    labels : Tensor
        Physical units, [batch, label]; NaN where unknown.
    simulated : Tensor
        bool [batch]: the latent u of these is supervised to be zero (Sect. 3.2 of the paper).
    """

    spectrum: Tensor
    valid: Tensor
    labels: Tensor
    simulated: Tensor


class ExposureSource(Protocol):
    """Gives exposures without end; batch number `index` is always the same."""

    grid: WavelengthGrid
    labels: LabelSet

    def batch(self, index: int, size: int) -> ExposureBatch:
        """So many exposures."""

    def describe(self, index: int, size: int) -> list[str]:
        """What the exposures of a batch are called, in its order, for messages."""

    def sample_labels(self, size: int) -> Tensor:
        """Labels alone, distributed as in batches, to measure their centre, scale and range."""


class FreshExposures:
    """Ever new exposures of the stars in a store of the kind "etc", which are kept in memory.

    Stars are drawn at random; what is drawn anew for each exposure are the noise and, uniformly
    over the store's ranges, all that varies from night to night.

    Spectra are kept as whole numbers of 16 bits, in steps of 1/32767 of the brightest pixel. In the
    best exposure that the default ranges allow (V = 3, an hour, 1.6e-4 of noise) that is an rms of
    7% of the noise, and only in the darkest pixels more than it; half precision would be 87%.

    Parameters
    ----------
    store : SpectrumStore
        Stars, and ranges of the nights.
    labels : LabelSet
        What is returned with the spectra.
    seed : int
        With the number of a batch it fixes everything in it.
    fresh : sequence of str
        What is drawn anew; the rest is as in the catalogue. The paper has ``("rv",)``.
    device : torch.device or str
        Where spectra are kept and exposures are made.

    Raises
    ------
    MauryError
        If the store is of another kind or empty, or what is to be drawn does not vary.
    """

    def __init__(
        self,
        store: SpectrumStore,
        labels: LabelSet = ETC_LABELS,
        *,
        seed: int = 0,
        fresh: Sequence[str] = tuple(NIGHT),
        device: torch.device | str = "cpu",
    ) -> None:
        pixels = exposure_pixels(store)
        unknown = [name for name in fresh if name not in NIGHT]
        if unknown:
            raise MauryError(
                f"{unknown[0]!r} cannot be drawn anew; allowed are {', '.join(NIGHT)}."
            )
        if store.done.size == 0:
            raise MauryError(f"{store.path} has no spectra yet.")
        self.grid, self.labels, self.seed = pixels.grid, labels, seed
        self.device = torch.device(device)
        nuisances = ExposureNuisances.model_validate(store.settings["nuisances"])
        self.observatory = Observatory(pixels, nuisances, device)
        self.ranges = {name: Range.parse(store.settings[name]) for name in fresh}
        rows = [row for row in store.catalogue.to_pylist() if row["status"] == "done"]
        self.names = [f"spectrum {row['index']} of {store.path}" for row in rows]
        names = {*NIGHT, *labels.names, "flux_v"}
        self.columns = {name: np.array([row[name] for row in rows]) for name in names}
        self.stars, step = whole_numbers(store)
        self.stars = self.stars.to(self.device)
        # In the unit of the whole numbers.
        self.columns["flux_v"] = self.columns["flux_v"] / step

    @torch.no_grad()
    def batch(self, index: int, size: int) -> ExposureBatch:
        """Exposures of batch number `index`: flux (electrons/A), valid mask and labels."""
        picked, random = self._picked(index, size)
        values = {name: column[picked] for name, column in self.columns.items()}
        values |= {
            name: random.uniform(interval.low, interval.high, size)
            for name, interval in self.ranges.items()
        }
        settings: Any = {name: torch.from_numpy(values[name]) for name in NIGHT}
        generator = torch.Generator(self.device).manual_seed(int(random.integers(2**62)))
        flux, _, valid = self.observatory.expose(
            self.stars[torch.from_numpy(picked).to(self.device)],
            Settings(**settings),
            torch.from_numpy(values["flux_v"]),
            generator=generator,
        )
        return ExposureBatch(flux, valid, _stacked(values, self.labels, self.device))

    def describe(self, index: int, size: int) -> list[str]:
        """The stars of batch number `index`: places in the store, and its path."""
        return [self.names[place] for place in self._picked(index, size)[0]]

    def _picked(self, index: int, size: int) -> tuple[NDArray[np.int64], np.random.Generator]:
        """Places of the stars of a batch, and what all else in it is drawn from."""
        random = np.random.default_rng((self.seed, FRESH, index))
        return random.integers(len(self.stars), size=size), random

    def sample_labels(self, size: int) -> Tensor:
        """Labels alone, float32[size, label], distributed as in batches."""
        random = np.random.default_rng((self.seed, SAMPLED))
        picked = random.integers(len(self.stars), size=size)
        values = {
            name: random.uniform(self.ranges[name].low, self.ranges[name].high, size)
            if name in self.ranges
            else self.columns[name][picked]
            for name in self.labels.names
        }
        return _stacked(values, self.labels, self.device)


class ObservedExposures:
    """Exposures from a store of observed or mock ones, every star as often as any other.

    Parameters
    ----------
    store : SpectrumStore
        Exposures, barycentric, NaN where a pixel is not valid.
    labels : LabelSet
        What is returned with the spectra; NaN where the catalogue does not know it.
    seed : int
        With the number of a batch it fixes which exposures are in it.
    indices : sequence of int, optional
        Those to draw from, such as the training part of a split; by default all.
    known : float
        Share of each label's known values that may be used; see `drop_labels`.
    device : torch.device or str
        Where the batches are wanted.

    Raises
    ------
    MauryError
        If there are no exposures, or the store holds none.
    """

    def __init__(
        self,
        store: SpectrumStore,
        labels: LabelSet = ETC_LABELS,
        *,
        seed: int = 0,
        indices: Sequence[int] | NDArray[np.int64] | None = None,
        known: float = 1.0,
        device: torch.device | str = "cpu",
    ) -> None:
        if store.frame != "barycentric":
            raise MauryError(
                f"{store.path} holds spectra in the {store.frame} frame; exposures are barycentric."
            )
        self.store, self.grid, self.labels, self.seed = store, store.grid, labels, seed
        self.device = torch.device(device)
        rows = {row["index"]: row for row in store.catalogue.to_pylist()}
        allowed = set(store.done.tolist() if indices is None else np.asarray(indices).tolist())
        groups = (
            np.array([i for i in members.tolist() if i in allowed])
            for members in store.stars().values()
        )
        self.stars = [members for members in groups if members.size]
        if not self.stars:
            raise MauryError(f"{store.path} has no exposures to train on.")
        self.indices = np.sort(np.concatenate(self.stars))
        found = [[rows[i].get(name) for name in labels.names] for i in self.indices.tolist()]
        values = np.array(found, dtype=np.float64)
        self.values = drop_labels(values, known, seed)
        self.names = [
            rows[i].get("file") or f"spectrum {i} of {store.path}, {rows[i]['star']}"
            for i in self.indices.tolist()
        ]

    def batch(self, index: int, size: int) -> ExposureBatch:
        """Exposures of batch number `index`: a star at random, and of its exposures one."""
        return self.at(self._picked(size, OBSERVED, index))

    def at(self, indices: Sequence[int] | NDArray[np.int64]) -> ExposureBatch:
        """Certain exposures, by their number in the store, such as all of `indices` in turn.

        Raises
        ------
        MauryError
            If one is not among `indices`.
        """
        wanted = np.asarray(indices, dtype=np.int64)
        strange = np.setdiff1d(wanted, self.indices)
        if strange.size:
            raise MauryError(
                f"Spectrum {strange[0]} of {self.store.path} is not among the "
                f"{self.indices.size:,} that may be drawn."
            )
        flux = torch.from_numpy(self.store.flux(wanted)).to(self.device)
        return ExposureBatch(flux, torch.isfinite(flux), self._labels(wanted))

    def describe(self, index: int, size: int) -> list[str]:
        """The exposures of batch number `index`: their files, or star, number and store."""
        picked = self._picked(size, OBSERVED, index)
        return [self.names[place] for place in np.searchsorted(self.indices, picked)]

    def sample_labels(self, size: int) -> Tensor:
        """Labels alone, float32[size, label], distributed as in batches; NaN where unknown."""
        return self._labels(self._picked(size, SAMPLED))

    def _picked(self, size: int, *stream: int) -> NDArray[np.int64]:
        """Numbers in the store."""
        random = np.random.default_rng((self.seed, *stream))
        chosen = [self.stars[star] for star in random.integers(len(self.stars), size=size)]
        return np.array([random.choice(members) for members in chosen])

    def _labels(self, indices: NDArray[np.int64]) -> Tensor:
        labels = self.values[np.searchsorted(self.indices, indices)]
        return torch.tensor(labels, dtype=torch.float32, device=self.device)


class MixedExposures:
    """Batches for training, of simulated and observed exposures at a chosen rate.

    Both are prepared in the same way, by default as in Eq. 2 of the paper. Simulated ones come
    first in a batch.

    Parameters
    ----------
    simulated, observed : ExposureSource, optional
        Where they come from; one is enough where the rate is 0 or 1.
    rate : float
        Share of simulated ones; the number in a batch is drawn so that its mean is that.
    seed : int
        Of these numbers.
    preprocessing : Preprocessing, optional
        What the network's spectra are prepared by; by default division by the median.

    Raises
    ------
    MauryError
        If a source is missing, or the rate is not between 0 and 1.
    GridError
        If the sources have different pixels.
    """

    def __init__(
        self,
        simulated: ExposureSource | None,
        observed: ExposureSource | None,
        *,
        rate: float,
        seed: int = 0,
        preprocessing: Preprocessing | None = None,
    ) -> None:
        if not 0 <= rate <= 1:
            raise MauryError(f"The rate of simulated exposures must be 0 to 1, not {rate:g}.")
        if (rate > 0 and simulated is None) or (rate < 1 and observed is None):
            missing = "simulated" if simulated is None else "observed"
            raise MauryError(f"A rate of {rate:g} needs {missing} exposures.")
        sources = [source for source in (simulated, observed) if source is not None]
        self.grid, self.labels = sources[0].grid, sources[0].labels
        for source in sources:
            if (source.grid.start, source.grid.step, source.grid.size) != (
                self.grid.start, self.grid.step, self.grid.size,
            ):  # fmt: skip
                raise GridError("Simulated and observed exposures are on different pixels.")
            if source.labels != self.labels:
                raise MauryError("Simulated and observed exposures have different labels.")
        self.simulated, self.observed, self.rate, self.seed = simulated, observed, rate, seed
        self.preprocessing = Preprocessing(self.grid) if preprocessing is None else preprocessing

    @torch.no_grad()
    def batch(self, index: int, size: int) -> TrainingBatch:
        """Batch number `index`; the same number gives the same batch."""
        count = self._simulated_in(index, size)
        parts = []
        if count > 0 and self.simulated is not None:
            parts.append(self.simulated.batch(index, count))
        if count < size and self.observed is not None:
            parts.append(self.observed.batch(index, size - count))
        flux, valid, labels = (
            rows[0] if len(rows) == 1 else torch.cat(rows) for rows in zip(*parts, strict=True)
        )
        spectrum = self.preprocessing.to(flux.device)(flux, valid)
        simulated = torch.arange(size, device=flux.device) < count
        return TrainingBatch(spectrum, valid & self.preprocessing.trusted, labels, simulated)

    def describe(self, index: int, size: int) -> list[str]:
        """What the exposures of batch number `index` are called, in its order."""
        count = self._simulated_in(index, size)
        parts = [(self.simulated, count), (self.observed, size - count)]
        return [name for source, n in parts if source and n for name in source.describe(index, n)]

    def _simulated_in(self, index: int, size: int) -> int:
        """How many of a batch are simulated."""
        random = np.random.default_rng((self.seed, MIXED, index))
        return min(int(self.rate * size + random.random()), size)

    def sample_labels(self, size: int) -> Tensor:
        """Labels alone, float32[size, label], at the rate of batches; NaN where unknown."""
        count = round(self.rate * size)
        parts = [(self.simulated, count), (self.observed, size - count)]
        drawn = [source.sample_labels(part) for source, part in parts if source and part]
        return torch.cat(drawn)


def drop_labels(values: NDArray[np.float64], known: float, seed: int) -> NDArray[np.float64]:
    """Forget all but a share of the known values of each label (Sect. 3.1 of the paper: 1%).

    Parameters
    ----------
    values : float64[exposure, label]
        NaN where unknown.
    known : float
        The share; of a label that is known at all at least one value stays.
    seed : int
        Decides which.

    Examples
    --------
    >>> values = np.arange(2000.0).reshape(1000, 2)
    >>> np.isfinite(drop_labels(values, 0.01, seed=1)).sum(axis=0)
    array([10, 10])
    """
    if not 0 < known <= 1:
        raise MauryError(f"The share of known labels must be above 0 and at most 1, not {known:g}.")
    kept = np.full(values.shape, np.nan)
    for label, column in enumerate(values.T):
        there = np.flatnonzero(np.isfinite(column))
        count = min(max(round(known * there.size), 1), there.size)
        random = np.random.default_rng((seed, DROPPED, label))
        stay = random.permutation(there)[:count]
        kept[stay, label] = column[stay]
    return kept


def _stacked(
    values: Mapping[str, NDArray[np.float64]], labels: LabelSet, device: torch.device
) -> Tensor:
    columns = np.stack([values[name] for name in labels.names], axis=1)
    return torch.tensor(columns, dtype=torch.float32, device=device)
