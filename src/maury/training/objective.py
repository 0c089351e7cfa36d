"""What a network's training minimises."""

from __future__ import annotations

import torch
from torch import Tensor

from maury.datasets.training_source import TrainingBatch
from maury.models.latent import Output
from maury.models.losses import (
    Terms,
    autoencoder_loss,
    beta_vae_loss,
    info_vae_loss,
    label_loss,
    node_targets,
    pixel_loss,
)
from maury.models.network import Network
from maury.models.zoo import Loss
from maury.training.recipe import LossWeights

__all__ = ["Objective"]


class Objective:
    """The loss of a network on batches.

    Parameters
    ----------
    network : Network
        The network.
    loss : {"label", "pixel", "autoencoder", "beta-vae", "info-vae"}
        Which one; see `maury.models.losses`.
    weights : LossWeights
        Of its terms.
    zero_unknown : bool
        Whether the unknown factors of simulated exposures should be zero.
    """

    def __init__(
        self, network: Network, loss: Loss, weights: LossWeights, *, zero_unknown: bool
    ) -> None:
        self.network, self.loss, self.weights = network, loss, weights
        self.zero_unknown = zero_unknown

    def inputs(self, batch: TrainingBatch) -> Tensor:
        """What the network is given: spectra, or the labels that a decoder makes them of."""
        if "encoder" in self.network.parts:
            return batch.spectrum
        return self.network.normalizer.normalize(batch.labels)

    def terms(self, output: Output, batch: TrainingBatch, prior: torch.Generator) -> Terms:
        """The loss of what the network made of a batch, and its terms.

        Parameters
        ----------
        output
            What the network gave.
        batch
            What it was given.
        prior
            Source of an InfoVAE's draws from the prior.
        """
        weights, spectra, valid = self.weights, batch.spectrum, batch.valid
        targets = self._targets(batch)
        if self.loss == "label":
            assert targets is not None
            loss = label_loss(output.nodes, targets)
            return Terms(loss, label=loss)
        if self.loss == "pixel":
            assert output.spectra is not None
            loss = pixel_loss(output.spectra, spectra, valid)
            return Terms(loss, reconstruction=loss)
        shared = (output, spectra, valid)
        if self.loss == "autoencoder":
            return autoencoder_loss(*shared, targets, label_weight=weights.label_weight)
        if self.loss == "beta-vae":
            return beta_vae_loss(
                *shared, targets, label_weight=weights.label_weight, kl_weight=weights.kl_weight
            )
        draws = torch.randn(output.nodes.shape, generator=prior, device=prior.device)
        return info_vae_loss(
            *shared,
            draws,
            targets,
            label_weight=weights.label_weight,
            kl_weight=weights.kl_weight,
            mmd_weight=weights.mmd_weight,
        )

    def _targets(self, batch: TrainingBatch) -> Tensor | None:
        network = self.network
        if not network.supervised:
            return None
        labels = network.normalizer.normalize(batch.labels)
        if not self.zero_unknown:
            return labels
        return node_targets(labels, network.nodes, batch.simulated)
