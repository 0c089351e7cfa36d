"""What the study's networks are tested on: observed, simulated and generative exposures."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from maury.datasets.archive import simulate_archive
from maury.datasets.exposures import (
    ETC_LABELS,
    EtcSimulation,
    ExposureSimulation,
    GenerativeSimulation,
    simulate_exposures,
)
from maury.datasets.splits import split_by_star
from maury.datasets.starlight import StarSolver
from maury.datasets.store import SETTINGS as STORE_SETTINGS
from maury.datasets.store import SpectrumStore
from maury.datasets.stored_exposures import StoredExposures
from maury.datasets.training_source import ObservedExposures
from maury.errors import GridError, MauryError
from maury.grid import WavelengthGrid
from maury.study.settings import SETTINGS
from maury.synthesis.emulator import Emulator
from maury.training.data import emulated_ranges, mock_archive
from maury.training.run import MOCK_ARCHIVE
from maury.training.scale import SCALES

__all__ = ["TestExposures", "training_stores"]

# Only these are judged: water vapour is known for simulated spectra alone, in the paper too.
JUDGED = ("teff", "mh", "logg", "rv")
SEED = 1

Report = Callable[[str, int, int], object]


@dataclass(frozen=True, eq=False)
class TestExposures:
    """Exposures that no network has been trained on or chosen by.

    Parameters
    ----------
    observed : ObservedExposures, optional
        The test part of the observed or mock archive.
    simulated : StoredExposures, optional
        Of stars and nights drawn independently.
    generative : StoredExposures, optional
        In which one label at a time changes (Sect. 3.1).
    """

    __test__ = False  # for pytest

    observed: ObservedExposures | None = None
    simulated: StoredExposures | None = None
    generative: StoredExposures | None = None

    @classmethod
    def open(cls, scale: str, folder: Path, archive: Path | None, report: Report) -> TestExposures:
        """The test exposures of a scale; what is not there is made.

        Parameters
        ----------
        scale
            Key of `SETTINGS`.
        folder
            Of the study.
        archive
            Store of observed exposures; by default the mock archive beside the runs.
        report
            Called with what is being made, how many are done, and of how many.

        Raises
        ------
        MauryError
            If a store cannot be made or read, or the archive does not suit the scale.
        """
        settings = SETTINGS[scale]
        common = _simulation(scale, "test")
        sets: dict[str, ExposureSimulation] = {
            "simulated-test": EtcSimulation(n=settings.simulated, **common),
            "generative-test": GenerativeSimulation(
                cores=settings.cores, variations=settings.variations, labels=JUDGED, **common
            ),
        }
        simulated, generative = (
            StoredExposures(_simulate(simulation, folder / name, report))
            for name, simulation in sets.items()
        )
        store = _archive(scale, folder, archive, report)
        test = split_by_star(store)["test"]
        chosen = np.sort(np.random.default_rng(SEED).permutation(test)[: settings.observed])
        return cls(
            ObservedExposures(store, ETC_LABELS, indices=chosen),
            simulated,
            generative,
        )

    @property
    def mock(self) -> bool:
        """Whether the observed exposures are of the mock archive."""
        return self.observed is not None and self.observed.store.settings["kind"] == "mock"

    @property
    def hash(self) -> str:
        """SHA-256 of all that the exposures depend on."""
        parts = (self.observed, self.simulated, self.generative)
        stores = [None if part is None else part.store for part in parts]
        facts = [
            [json.dumps(store.settings, sort_keys=True, default=str), store.done.tolist(),
             store.catalogue["checksum"].to_pylist()] if store is not None else None
            for store in stores
        ]  # fmt: skip
        chosen = [] if self.observed is None else self.observed.indices.tolist()
        return hashlib.sha256(json.dumps([*facts, chosen]).encode()).hexdigest()


def training_stores(
    scale: str, folder: Path, archive: Path | None, report: Report
) -> tuple[str, ...]:
    """What recipes must be told of the stores that they train on; stores are made where missing.

    Parameters
    ----------
    scale, folder, archive, report
        As of `TestExposures.open`.

    Returns
    -------
    tuple of str
        Overrides of recipes.

    Raises
    ------
    MauryError
        As of `TestExposures.open`.
    """
    # First, for a user may have named what does not serve.
    store = _archive(scale, folder, archive, report)
    sizes = {"train": SETTINGS[scale].stars, "val": SCALES[scale].validation}
    overrides = [f"data.observed.store={_quoted(store.path)}"]
    for (split, n), entry in zip(sizes.items(), ("store", "validation"), strict=True):
        name = f"simulated-{split}"
        simulation = EtcSimulation(n=n, **_simulation(scale, split))
        _simulate(simulation, folder / name, report)
        overrides.append(f"data.simulated.{entry}={_quoted(folder / name)}")
    return tuple(overrides)


def _quoted(path: object) -> str:
    """A path as YAML that is not taken for anything else."""
    return json.dumps(str(path), ensure_ascii=False)


def _simulation(scale: str, split: str) -> dict[str, Any]:
    """What all simulated sets of a scale have in common; they have no star in common."""
    common: dict[str, Any] = {"split": split, "seed": SEED, "grid": SCALES[scale].grid}
    if SCALES[scale].needs_stores:
        return common
    return common | {"ranges": emulated_ranges(Emulator.load()), "solver": "emulator"}


def _simulate(simulation: ExposureSimulation, path: Path, report: Report) -> SpectrumStore:
    workers = _workers(simulation.solver)
    return _finished(path, simulation.settings(), len(simulation.rows())) or simulate_exposures(
        simulation, path, workers=workers, report=partial(report, path.name)
    )


def _workers(solver: StarSolver) -> int:
    """All cores; none but this process for the emulator, which is quicker than their start."""
    return 0 if solver == "emulator" else os.cpu_count() or 1


def _finished(path: Path, settings: Mapping[str, Any], size: int) -> SpectrumStore | None:
    """A store that has all that is wanted; one by another version of the code is as good."""
    # A kill in the first moment leaves a folder without settings, which filling takes up.
    if not (path / STORE_SETTINGS).is_file():
        return None
    store = SpectrumStore(path)
    same = all(
        store.settings.get(name) == value
        for name, value in json.loads(json.dumps(settings, default=str)).items()
        if name not in ("version", "code")
    )
    return store if same and store.done.size == len(store) == size else None


def _archive(scale: str, folder: Path, archive: Path | None, report: Report) -> SpectrumStore:
    if archive is not None:
        return _named(archive, SCALES[scale].grid)
    mock, path = mock_archive(SCALES[scale]), folder / "runs" / MOCK_ARCHIVE
    return _finished(path, mock.settings(), len(mock.rows())) or simulate_archive(
        mock, path, workers=_workers(mock.solver), report=partial(report, MOCK_ARCHIVE)
    )


def _named(archive: Path, grid: WavelengthGrid) -> SpectrumStore:
    """A user's store, if networks can be trained and tested on it."""
    store = SpectrumStore(archive)
    theirs = store.grid
    if (theirs.start, theirs.step, theirs.size) != (grid.start, grid.step, grid.size):
        raise GridError(
            f"{archive} has {theirs.size:,} pixels of {theirs.step:g} A from {theirs.start:g} A, "
            f"but the study's scale has {grid.size:,} of {grid.step:g} A from {grid.start:g} A; "
            f"make it by maury ingest --grid {grid.name}."
        )
    if store.frame != "barycentric":
        raise MauryError(
            f"{archive} is of the kind {store.settings['kind']!r}, in the {store.frame} frame; "
            "observed exposures are barycentric."
        )
    if missing := [part for part, indices in split_by_star(store).items() if not len(indices)]:
        raise MauryError(
            f"{archive} has too few stars: none is in the {missing[0]} part, which is 90% (train), "
            "5% (val) and 5% (test) of them by their names."
        )
    return store
