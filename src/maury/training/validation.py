"""How well a network does on exposures that it is not trained on."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from maury.models.network import Network
from maury.training.data import TrainingData
from maury.training.metrics import TermSums, residual_statistics
from maury.training.objective import Objective

__all__ = ["generator_of", "validate"]

LabelErrors = dict[str, dict[str, float]]


def generator_of(seed: int, step: int, device: torch.device, rank: int = 0) -> torch.Generator:
    """Source of a step's samples of latents, so that no state has to be kept."""
    state = np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(state) >> 1)


@torch.no_grad()
def validate(
    network: Network, objective: Objective, data: TrainingData
) -> tuple[dict[str, float], LabelErrors]:
    """Losses and errors of labels over the validation's exposures.

    Errors of a label are those of observed exposures, or of simulated ones where it is known for
    no observed one.

    Returns
    -------
    losses : dict
        Means of the loss and its terms, their names beginning with ``val_``, and ``LABEL_mae``.
    errors : dict
        See `maury.training.metrics.residual_statistics`; labels that are never known are missing.
    """
    network.eval()
    sums = TermSums()
    predicted, true, simulated = list[Tensor](), list[Tensor](), list[Tensor]()
    for index, batch in enumerate(data.validation_batches()):
        generator = generator_of(0, index, batch.spectrum.device)
        output = network(objective.inputs(batch), generator)
        sums.add(objective.terms(output, batch, generator))
        true.append(batch.labels)
        simulated.append(batch.simulated)
        known = network.normalized_labels(output.nodes) if "encoder" in network.parts else None
        if known is not None:
            predicted.append(network.normalizer.denormalize(known))
    errors: LabelErrors = {}
    if predicted:
        found, labels, rows = (torch.cat(parts).cpu() for parts in (predicted, true, simulated))
        names = network.labels.names
        for part in (rows, ~rows):
            errors |= residual_statistics(found[part], labels[part], names)
    maes = {f"{name}_mae": values["mae"] for name, values in errors.items()}
    return sums.means("val_") | maes, errors
