"""RVIS of a network that is still learning, on exposures that it may be chosen by."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from maury.datasets.exposures import ETC_LABELS
from maury.datasets.splits import split_by_star
from maury.datasets.store import SpectrumStore
from maury.datasets.stored_exposures import StoredExposures
from maury.datasets.training_source import ObservedExposures
from maury.errors import MauryError
from maury.evaluation.interventions import velocity_intervention_scores
from maury.models.network import Network
from maury.study.measure import slow_exposures, true_velocity_scores, velocity_arguments
from maury.study.networks import StudiedNetwork
from maury.training.recipe import Recipe, SimulatedAsInPaper

__all__ = ["Criterion", "Score", "ValidationExposures", "velocity_score"]

Criterion = Literal["rvis", "true_rvis"]

SEED = 1
BATCH = 32


class Score(NamedTuple):
    """A mean over spectra.

    Parameters
    ----------
    mean : float
        NaN where there is no spectrum with a score.
    error : float or None
        Its standard error; None for fewer than two spectra.
    """

    mean: float
    error: float | None

    @classmethod
    def of(cls, scores: NDArray[np.float64]) -> Score:
        """The mean of scores, float64[spectrum, velocity], NaN left out.

        Examples
        --------
        >>> Score.of(np.array([[1.0, 3.0], [4.0, np.nan], [np.nan, np.nan]]))
        Score(mean=3.0, error=1.0)
        """
        known = scores[np.isfinite(scores).any(axis=1)]
        each = np.nanmean(known, axis=1) if len(known) else np.full(1, np.nan)
        error = float(each.std(ddof=1) / np.sqrt(each.size)) if each.size > 1 else None
        return cls(float(each.mean()), error)


@dataclass(frozen=True, eq=False)
class ValidationExposures:
    """Exposures that no network is trained on, and none is tested on.

    Parameters
    ----------
    observed : ObservedExposures
        Of the validation part of the observed or mock archive, as many as are shifted.
    simulated : StoredExposures
        Of stars and nights drawn independently.
    numbers : int64[spectrum]
        Those of the simulated ones that are shifted.
    """

    observed: ObservedExposures
    simulated: StoredExposures
    numbers: NDArray[np.int64]

    @classmethod
    def open(cls, recipe: Recipe, size: int) -> ValidationExposures:
        """The validation exposures of a recipe.

        Parameters
        ----------
        recipe
            That names the stores of observed exposures and of simulated ones for validation.
        size
            So many of each are taken, or all if there are fewer.

        Raises
        ------
        MauryError
            If a store cannot be read, or has nothing that serves.
        """
        settings = recipe.data.simulated
        assert recipe.data.observed.store is not None
        assert isinstance(settings, SimulatedAsInPaper) and settings.validation is not None
        store = SpectrumStore(recipe.data.observed.store)
        part = split_by_star(store)["val"]
        if not part.size:
            raise MauryError(f"{store.path} has no star in the validation part of its split.")
        simulated = StoredExposures(SpectrumStore(settings.validation))
        slow = slow_exposures(simulated, size)
        if not slow.size:
            raise MauryError(f"{simulated.store.path} has no exposure of a slow star.")
        observed = ObservedExposures(store, ETC_LABELS, indices=_some(part, size))
        return cls(observed, simulated, slow)

    @property
    def hash(self) -> str:
        """SHA-256 of all that the exposures depend on."""
        facts = [
            [json.dumps(store.settings, sort_keys=True, default=str), chosen.tolist(),
             store.catalogue["checksum"].to_pylist()]
            for store, chosen in (
                (self.observed.store, self.observed.indices),
                (self.simulated.store, self.numbers),
            )
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


@torch.no_grad()
def velocity_score(network: Network, exposures: ValidationExposures, by: Criterion) -> Score:
    """RVIS of a network on observed exposures, or true RVIS on simulated ones.

    RVIS (Eq. 16) compares what the network makes of a change of velocity with its own spectrum,
    shifted; true RVIS with what a new simulation with that velocity gives, without noise.

    Parameters
    ----------
    network
        Supervised, with encoder and decoder, on any device; it comes to be in eval mode.
    exposures
        What is encoded and shifted.
    by
        Which of the two.
    """
    studied = StudiedNetwork(network)
    if by == "true_rvis":
        return Score.of(true_velocity_scores(studied, exposures.simulated, exposures.numbers))
    source, nodes, masks = exposures.observed, [], []
    for start in range(0, len(source.indices), BATCH):
        batch = source.at(source.indices[start : start + BATCH])
        nodes.append(studied.encode(studied.normalize(batch.flux, batch.valid)))
        masks.append(batch.valid.numpy())
    scores = velocity_intervention_scores(
        studied.decode,
        np.concatenate(nodes),
        valid=np.concatenate(masks),
        **velocity_arguments(studied),
    )
    return Score.of(scores)


def _some(numbers: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """So many at random, always the same."""
    return np.sort(np.random.default_rng(SEED).permutation(numbers)[:most])
