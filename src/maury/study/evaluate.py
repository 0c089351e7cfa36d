"""Any trained network on any store of exposures: the study's measurements, one record a network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from maury.datasets.exposures import ETC_LABELS
from maury.datasets.splits import split_by_star
from maury.datasets.store import SpectrumStore
from maury.datasets.stored_exposures import StoredExposures
from maury.datasets.training_source import ObservedExposures
from maury.errors import GridError, MauryError
from maury.evaluation.metrics import Estimate, estimate, mean_absolute_error
from maury.grid import WavelengthGrid
from maury.labels import LABELS
from maury.study.exposures import TestExposures
from maury.study.measure import Measurements, measure
from maury.study.networks import StudiedNetwork
from maury.study.results import group_error, score

__all__ = ["Metric", "evaluate", "open_exposures"]

SHIFTED = 100  # spectra for RVIS, as in the paper
GROUPS = ("intrinsic", "extrinsic")

Metric = tuple[str, Estimate, str]
"""What was measured, its value, and its unit."""


def open_exposures(
    observed: Path | None, simulated: Path | None, generative: Path | None, *, whole: bool
) -> TestExposures:
    """Stores as a network is evaluated on them.

    Parameters
    ----------
    observed
        Store of `maury ingest` or of a mock archive.
    simulated
        Store of `maury simulate etc`.
    generative
        Store of `maury simulate generative`.
    whole
        Take all observed exposures rather than those of the test stars.

    Raises
    ------
    MauryError
        If none is given, one cannot be read or is of another kind, or there are no test stars.
    """
    if observed is None and simulated is None and generative is None:
        raise MauryError(
            "There is nothing to evaluate on: name a store by --observed, --simulated or "
            "--generative."
        )
    seen = None
    if observed is not None:
        store = _of_kind(observed, "observed", "mock")
        indices = store.done if whole else split_by_star(store)["test"]
        if not len(indices):
            raise MauryError(
                f"{observed} has no exposures of test stars; --all takes those of all stars."
            )
        seen = ObservedExposures(store, ETC_LABELS, indices=indices)
    return TestExposures(seen, _stored(simulated, "etc"), _stored(generative, "generative"))


def evaluate(card: Path, exposures: TestExposures) -> Iterator[Metric]:
    """Everything that the exposures can tell about a network.

    Labels are judged by mean absolute errors (Eq. 12) and, by group, by normalised ones (Eq. 13);
    reconstructions by Eq. 14, in lines and beside them too; interventions by Eqs. 16 and 17 and
    by the truth.

    Parameters
    ----------
    card
        Of the network.
    exposures
        Of `open_exposures`.

    Raises
    ------
    MauryError
        If the network cannot be read, or is on another grid than the exposures.
    """
    network = StudiedNetwork.load(card)
    for source in (exposures.observed, exposures.simulated, exposures.generative):
        if source is not None:
            _same_grid(card, network.network.grid, source.grid, source.store.path)
    found = measure(network, exposures, SHIFTED)
    yield from _labels(found)
    for kind, errors in found.reconstruction.items():
        yield f"reconstruction, {kind}", estimate(errors), ""
    for name in ("rvis", "shifted_input", "true_rvis"):
        scores = getattr(found, name)
        if scores is not None:
            yield _TITLES[name], score(scores), ""
    for label, general in found.gis.items():
        yield f"GIS, {label}", estimate(_by_core(general.core, general.constrained)), ""
        if general.true is not None:
            yield f"true GIS, {label}", estimate(_by_core(general.core, general.true)), ""


_TITLES = {
    "rvis": "RVIS",
    "shifted_input": "RVIS against the shifted input",
    "true_rvis": "true RVIS",
}


def _stored(path: Path | None, kind: str) -> StoredExposures | None:
    if path is None:
        return None
    return StoredExposures(_of_kind(path, kind))


def _of_kind(path: Path, *kinds: str) -> SpectrumStore:
    store = SpectrumStore(path)
    if store.settings["kind"] not in kinds:
        raise MauryError(
            f"{path} is of the kind {store.settings['kind']!r}, but must be "
            f"{' or '.join(map(repr, kinds))}."
        )
    return store


def _labels(found: Measurements) -> Iterator[Metric]:
    for kind, true, predicted in (
        ("observed", found.true, found.predicted),
        ("simulated", found.simulated_true, found.simulated_predicted),
    ):
        if true is None or predicted is None:
            continue
        for column, name in enumerate(found.names):
            error = mean_absolute_error(true[:, column], predicted[:, column])
            if error.count:
                yield f"{name}, {kind}", error, LABELS[name].unit
        for group in GROUPS:
            error = group_error(found, group, observed=kind == "observed")
            if error.count:
                yield f"{group} labels, {kind}", error, ""


def _by_core(core: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Means over the pairs of each core, which are not independent."""
    return np.array([scores[core == one].mean() for one in np.unique(core)])


def _same_grid(card: Path, ours: WavelengthGrid, theirs: WavelengthGrid, store: object) -> None:
    if (ours.start, ours.step, ours.size) != (theirs.start, theirs.step, theirs.size):
        raise GridError(
            f"Network {card} is for {ours.size:,} pixels of {ours.step:g} A from {ours.start:g} A, "
            f"but {store} has {theirs.size:,} of {theirs.step:g} A from {theirs.start:g} A."
        )
