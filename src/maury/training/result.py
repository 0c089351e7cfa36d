"""The end of a training run: what it leaves for those who use the network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor

from maury.datasets.training_source import TrainingBatch
from maury.models.latent_statistics import LatentStatistics
from maury.models.network import Network
from maury.models.weights import save_network
from maury.synthesis.provenance import code_fingerprint, code_version
from maury.training.data import TrainingData
from maury.training.objective import Objective
from maury.training.recipe import Recipe
from maury.training.validation import LabelErrors, validate

__all__ = ["TrainingResult", "finish"]

BATCH = 32
PER_NODE = 8  # training spectra for each node of a readout, at least
RIDGE = 1e-3


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """What a training run gives.

    Parameters
    ----------
    network : Network
        The trained network.
    recipe : Recipe
        The recipe that was followed.
    metrics : dict
        Losses of the last epoch, in training and (``val_``) in validation.
    validation : dict
        For each label that is ever known `mae`, `bias` and `sigma`; see
        `maury.training.metrics.residual_statistics`.
    seconds : float
        Time that the steps took, over all resumptions.
    card : Path
        The network on disk.
    written : bool
        Whether this process wrote it: of several devices' processes one does.
    """

    network: Network
    recipe: Recipe
    metrics: dict[str, float]
    validation: LabelErrors
    seconds: float
    card: Path
    written: bool


def finish(
    recipe: Recipe,
    folder: Path,
    network: Network,
    objective: Objective,
    data: TrainingData,
    metrics: dict[str, float],
    seconds: float,
    *,
    write: bool = True,
) -> TrainingResult:
    """Give an unsupervised network its readout, measure the latents, and write all of it.

    Parameters
    ----------
    recipe, folder, network, objective, data
        Of the run.
    metrics
        Losses of its last epoch.
    seconds
        What it took.
    write
        False in all but one of several processes.
    """
    network.eval()
    several = 2 * recipe.settings.validation
    if "encoder" in network.parts and not network.supervised:
        enough = max(several, PER_NODE * network.nodes)
        pairs = [
            (_nodes(network, batch.spectrum), batch.labels) for batch in _batches(data, enough)
        ]
        nodes, labels = (torch.cat(parts) for parts in zip(*pairs, strict=True))
        network.fit_readout(nodes, labels, ridge=RIDGE)
    losses, errors = validate(network, objective, data)
    latents = None
    if "encoder" in network.parts:
        spectra = ((batch.spectrum, batch.valid) for batch in _batches(data, several))
        latents = LatentStatistics.measure(network, spectra)
    facts: dict[str, Any] = {
        "recipe": recipe.model_dump(mode="json"),
        "scale": recipe.scale,
        "seed": recipe.seed,
        "seconds": round(seconds, 1),
        "code": {"version": code_version(), "fingerprint": code_fingerprint()},
        "data": {"hash": data.hash, **data.manifest},
    }
    ranges = {
        name: (float(np.nanmin(column)), float(np.nanmax(column)))
        for name, column in zip(recipe.labels, data.sample_labels().T, strict=True)
        if np.isfinite(column).any()
    }
    network.to("cpu")
    card = folder / f"{recipe.name}.json"
    result = TrainingResult(network, recipe, {**metrics, **losses}, errors, seconds, card, write)
    if not write:
        return result
    save_network(
        card,
        network,
        validation=errors | _unknown(network, errors),
        training=facts,
        latents=latents,
        ranges=ranges,
    )
    report = facts | {
        "ranges": {name: list(limits) for name, limits in ranges.items()},
        "normalization": network.normalizer.to_dict(),
        "metrics": result.metrics,
        "validation": errors,
        "weights": card.name,
    }
    # As JSON it could be mistaken for the card, or the card for it.
    temporary = folder / "run.yaml.tmp"
    temporary.write_text(yaml.safe_dump(report, sort_keys=False), encoding="utf-8")
    temporary.replace(folder / "run.yaml")
    return result


def _batches(data: TrainingData, size: int) -> Iterator[TrainingBatch]:
    """So many training exposures, at least."""
    for index in range(-(-size // BATCH)):
        yield data.training.batch(index, BATCH)


@torch.no_grad()
def _nodes(network: Network, spectra: Tensor) -> Tensor:
    return network.posterior(spectra).mean


def _unknown(network: Network, errors: LabelErrors) -> LabelErrors:
    """A label that is known for no exposure is as uncertain as labels are at all."""
    if "encoder" not in network.parts:
        return {}
    scales = zip(network.labels.names, network.normalizer.scale, strict=True)
    return {
        name: {"mae": scale, "bias": 0.0, "sigma": scale}
        for name, scale in scales
        if name not in errors
    }
