"""What a recipe trains and is judged on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from maury.datasets.archive import MockArchive, simulate_archive
from maury.datasets.exposures import NIGHT, STAR
from maury.datasets.model_exposures import ModelExposures
from maury.datasets.sampling import Range
from maury.datasets.simulated import SimulatedExposures
from maury.datasets.splits import split_by_star
from maury.datasets.store import SpectrumStore
from maury.datasets.training_source import (
    ExposureSource,
    FreshExposures,
    MixedExposures,
    ObservedExposures,
    TrainingBatch,
)
from maury.errors import RecipeError
from maury.models.preprocessing import Preprocessing
from maury.synthesis.emulator import STANDARD, Emulator
from maury.training.recipe import DisturbedExposures, Recipe, SimulatedAsInPaper
from maury.training.scale import Scale

__all__ = ["TrainingData", "emulated_ranges", "mock_archive"]

# No star is drawn for both, for the stores' stars differ and the emulator's are never the same.
TRAINING, VALIDATION = range(2)
VALIDATION_BATCH = 32
ARCHIVE_SEED = 1
SAMPLE = 10_000


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Batches of exposures to learn from, and others to be judged by.

    Parameters
    ----------
    training, validation : MixedExposures
        Where batches come from. Validation is on observed exposures if the recipe has any.
    size : int
        Exposures of the validation.
    manifest : dict
        All that the exposures depend on, as plain values.
    """

    training: MixedExposures
    validation: MixedExposures
    size: int
    manifest: dict[str, Any]

    @classmethod
    def open(
        cls,
        recipe: Recipe,
        folder: Path,
        preprocessing: Preprocessing,
        device: torch.device,
        report: Callable[[int, int], object] | None = None,
    ) -> TrainingData:
        """The data of a recipe; a mock archive is made if they lack observed exposures.

        Parameters
        ----------
        recipe
            What is asked for.
        folder
            Where the mock archive is, or comes to be.
        preprocessing
            What the network's spectra are prepared by.
        device
            Where exposures are made.
        report
            Called with the number of mock exposures made, and their total.

        Raises
        ------
        RecipeError
            If the scale needs stores that are not named, or a store is on another grid.
        MauryError
            If a store or the emulator does not serve the recipe.
        """
        rate, manifest = recipe.data.rate, dict[str, Any]()
        simulated: list[ExposureSource | None] = [None, None]
        observed: list[ExposureSource | None] = [None, None]
        if rate > 0:
            simulated, manifest["simulated"] = _simulated(recipe, device)
        if rate < 1:
            observed, manifest["observed"] = _observed(recipe, folder, device, report)
        training, validation = (
            MixedExposures(
                simulated[part],
                observed[part],
                rate=rate if part == TRAINING else float(rate == 1),
                seed=recipe.seed,
                preprocessing=preprocessing,
            )
            for part in (TRAINING, VALIDATION)
        )
        _same_grid(recipe, training)
        return cls(training, validation, recipe.settings.validation, manifest)

    @property
    def hash(self) -> str:
        """SHA-256 of the manifest."""
        text = json.dumps(self.manifest, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def validation_batches(self) -> Iterator[TrainingBatch]:
        """The exposures that judge the run, the same each time."""
        for index in range(-(-self.size // VALIDATION_BATCH)):
            yield self.validation.batch(index, VALIDATION_BATCH)

    def sample_labels(self) -> np.ndarray:
        """Labels of many training exposures, float32[sample, label], NaN where unknown."""
        return self.training.sample_labels(SAMPLE).cpu().numpy()


def _simulated(
    recipe: Recipe, device: torch.device
) -> tuple[list[ExposureSource | None], dict[str, Any]]:
    settings = recipe.data.simulated
    seeds = [_seed(recipe, part) for part in (TRAINING, VALIDATION)]
    if isinstance(settings, DisturbedExposures):
        name = settings.emulator
        emulator = Emulator.load(None if name == STANDARD else name).to(device)
        disturbed = partial(SimulatedExposures, emulator, recipe.settings.grid, recipe.label_set)
        sources = [disturbed(settings.distributions, seed) for seed in seeds]
        return [*sources], {"emulator": emulator.card["sha256"]}
    if settings.store is not None and settings.validation is not None:
        stores = [SpectrumStore(path) for path in (settings.store, settings.validation)]
        fresh = [
            FreshExposures(store, recipe.label_set, seed=seed, fresh=settings.fresh, device=device)
            for store, seed in zip(stores, seeds, strict=True)
        ]
        return [*fresh], {"stores": [_contents(store) for store in stores]}
    if recipe.settings.needs_stores:
        raise RecipeError(
            f"Recipe {recipe.name} at scale {recipe.scale} needs data.simulated.store and "
            "data.simulated.validation; make them by `maury simulate etc --grid "
            f"{recipe.settings.grid.name} --split train --n 42000 --out FOLDER`, and another with "
            "--split val."
        )
    emulator = Emulator.load()
    ranges = emulated_ranges(emulator) | _own(settings)
    model = partial(ModelExposures, emulator, recipe.settings.grid, recipe.label_set)
    made = [
        model(ranges=ranges, nuisances=settings.nuisances, seed=seed, device=device)
        for seed in seeds
    ]
    return [*made], {"emulator": emulator.card["sha256"], "continuum": "computed"}


def _own(settings: SimulatedAsInPaper) -> dict[str, Range]:
    return {name: Range(*limits) for name, limits in settings.ranges.items()}


def emulated_ranges(emulator: Emulator) -> dict[str, Range]:
    """The paper's ranges of stars and nights, as far as the emulator knows such stars."""
    ranges = {**STAR, **NIGHT}
    limits = zip(emulator.names, emulator.lower.tolist(), emulator.upper.tolist(), strict=True)
    for name, lower, upper in limits:
        paper = ranges[name]
        ranges[name] = Range(max(paper.low, lower), min(paper.high, upper))
    return ranges


def _observed(
    recipe: Recipe,
    folder: Path,
    device: torch.device,
    report: Callable[[int, int], object] | None,
) -> tuple[list[ExposureSource | None], dict[str, Any]]:
    settings, scale = recipe.data.observed, recipe.settings
    if settings.store is not None:
        store = SpectrumStore(settings.store)
    elif scale.needs_stores:
        raise RecipeError(
            f"Recipe {recipe.name} at scale {recipe.scale} needs data.observed.store; make it of "
            f"HARPS spectra by `maury ingest --grid {scale.grid.name} --out FOLDER FILES`, or by "
            f"`maury simulate archive --grid {scale.grid.name} --out FOLDER`."
        )
    else:
        store = simulate_archive(mock_archive(scale), folder, workers=0, report=report)
    parts = split_by_star(store)
    for name, indices in (("training", parts["train"]), ("validation", parts["val"])):
        if not indices.size:
            raise RecipeError(
                f"{store.path} has exposures of {len(store.stars()):,} stars, and none of them is "
                f"in the {name} part; the split is 90/5/5 by star and needs some dozens of stars."
            )
    # Only what is trained on lacks labels.
    chosen = ((parts["train"], settings.known), (parts["val"], 1.0))
    sources = [
        ObservedExposures(
            store,
            recipe.label_set,
            seed=_seed(recipe, part),
            indices=indices,
            known=known,
            device=device,
        )
        for part, (indices, known) in enumerate(chosen)
    ]
    return [*sources], _contents(store) | {"split": "90/5/5 by star"}


def mock_archive(scale: Scale) -> MockArchive:
    """What stands in for observed exposures at a scale; the emulator makes it where that will do.

    Examples
    --------
    >>> from maury.training.scale import SCALES
    >>> mock_archive(SCALES["tiny"]).solver, mock_archive(SCALES["full"]).stars
    ('emulator', 7274)
    """
    return MockArchive(
        stars=scale.stars,
        exposures=scale.exposures,
        seed=ARCHIVE_SEED,
        grid=scale.grid,
        solver="table" if scale.needs_stores else "emulator",
    )


def _seed(recipe: Recipe, part: int) -> int:
    """Seeds of training and validation, which draw nothing in common."""
    return int(np.random.SeedSequence([recipe.seed, part]).generate_state(1)[0])


def _contents(store: SpectrumStore) -> dict[str, Any]:
    """What a store holds, as two hashes."""
    settings = json.dumps(store.settings, sort_keys=True, default=str)
    sums = store.catalogue["checksum"].to_pylist()
    return {
        "kind": store.settings["kind"],
        "spectra": int(store.done.size),
        "settings": hashlib.sha256(settings.encode()).hexdigest(),
        "checksums": hashlib.sha256(json.dumps(sums).encode()).hexdigest(),
    }


def _same_grid(recipe: Recipe, source: MixedExposures) -> None:
    ours, theirs = recipe.settings.grid, source.grid
    if (ours.start, ours.step, ours.size) != (theirs.start, theirs.step, theirs.size):
        raise RecipeError(
            f"Recipe {recipe.name} at scale {recipe.scale} has pixels of {ours.step:g} A from "
            f"{ours.start:g} A, but the exposures have {theirs.step:g} A from {theirs.start:g} A; "
            "make the stores on the grid of the scale, "
            f"{ours.name}."
        )
