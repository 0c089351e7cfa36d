"""What the study's networks are tested on: observed, simulated and generative exposures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from maury.datasets.archive import simulate_archive
from maury.datasets.exposures import (
    ETC_LABELS,
    EtcSimulation,
    ExposureSimulation,
    GenerativeSimulation,
    simulate_exposures,
)
from maury.datasets.splits import split_by_star
from maury.datasets.store import SpectrumStore
from maury.datasets.stored_exposures import StoredExposures
from maury.datasets.training_source import ObservedExposures
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
    observed : ObservedExposures
        The test part of the observed or mock archive.
    simulated : StoredExposures
        Of stars and nights drawn independently.
    generative : StoredExposures
        In which one label at a time changes (Sect. 3.1).
    archive : SpectrumStore
        All of the observed or mock exposures.
    """

    __test__ = False  # for pytest

    observed: ObservedExposures
    simulated: StoredExposures
    generative: StoredExposures
    archive: SpectrumStore

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
            If a store cannot be made or read, or has no test stars.
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
            store,
        )

    @property
    def mock(self) -> bool:
        """Whether the observed exposures are of the mock archive."""
        return bool(self.archive.settings["kind"] == "mock")

    @property
    def hash(self) -> str:
        """SHA-256 of all that the exposures depend on."""
        stores = (self.archive, self.simulated.store, self.generative.store)
        facts = [
            [json.dumps(store.settings, sort_keys=True, default=str), store.done.tolist(),
             store.catalogue["checksum"].to_pylist()]
            for store in stores
        ]  # fmt: skip
        text = json.dumps([*facts, self.observed.indices.tolist()])
        return hashlib.sha256(text.encode()).hexdigest()

    def catalogue(self) -> dict[str, NDArray[np.float64]]:
        """Labels of all observed exposures, NaN where unknown."""
        rows = [row for row in self.archive.catalogue.to_pylist() if row["status"] == "done"]
        return {
            name: np.array([row.get(name) for row in rows], dtype=np.float64)
            for name in ETC_LABELS.names
        }


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
    """
    sizes = {"train": SETTINGS[scale].stars, "val": SCALES[scale].validation}
    overrides = []
    for (split, n), entry in zip(sizes.items(), ("store", "validation"), strict=True):
        name = f"simulated-{split}"
        simulation = EtcSimulation(n=n, **_simulation(scale, split))
        _simulate(simulation, folder / name, report)
        overrides.append(f"data.simulated.{entry}={folder / name}")
    store = _archive(scale, folder, archive, report)
    return (*overrides, f"data.observed.store={store.path}")


def _simulation(scale: str, split: str) -> dict[str, Any]:
    """What all simulated sets of a scale have in common; they have no star in common."""
    common: dict[str, Any] = {"split": split, "seed": SEED, "grid": SCALES[scale].grid}
    if SCALES[scale].needs_stores:
        return common
    return common | {"ranges": emulated_ranges(Emulator.load()), "solver": "emulator"}


def _simulate(simulation: ExposureSimulation, path: Path, report: Report) -> SpectrumStore:
    # The emulator is quicker than the start of a process.
    workers = 0 if simulation.solver == "emulator" else 1
    return simulate_exposures(simulation, path, workers=workers, report=partial(report, path.name))


def _archive(scale: str, folder: Path, archive: Path | None, report: Report) -> SpectrumStore:
    if archive is not None:
        return SpectrumStore(archive)
    return simulate_archive(
        mock_archive(SCALES[scale]),
        folder / "runs" / MOCK_ARCHIVE,
        workers=0,
        report=partial(report, MOCK_ARCHIVE),
    )
