"""The bottleneck: distributions over its nodes, and what passes through it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["Output", "Posterior"]

LOG_VARIANCE_LIMIT = 20.0


class Posterior(NamedTuple):
    """What an encoder says about the nodes of the bottleneck.

    Attributes
    ----------
    mean : Tensor, float32[batch, node]
        The nodes: normalised labels first, unknown factors u behind them.
    log_variance : Tensor, float32[batch, node], or None
        Logarithm of the variance of each node about its mean, -20 to 20, of a variational encoder
        (Appendix C.1 of Cvrcek et al. 2024); None of any other.
    """

    mean: Float[Tensor, "batch node"]
    log_variance: Float[Tensor, "batch node"] | None = None

    @classmethod
    def from_outputs(
        cls, outputs: Float[Tensor, "batch output"], *, variational: bool
    ) -> Posterior:
        """The outputs of an encoder; a variational one gives means, and log-variances behind.

        Examples
        --------
        >>> Posterior.from_outputs(torch.tensor([[1.0, 2.0, 0.0, 99.0]]), variational=True)
        Posterior(mean=tensor([[1., 2.]]), log_variance=tensor([[ 0., 20.]]))
        """
        if not variational:
            return cls(outputs)
        mean, log_variance = outputs.chunk(2, dim=1)
        return cls(mean, log_variance.clamp(-LOG_VARIANCE_LIMIT, LOG_VARIANCE_LIMIT))

    def sample(self, generator: torch.Generator | None = None) -> Float[Tensor, "batch node"]:
        r"""Nodes drawn as :math:`b = \mu + \sigma \epsilon` (Fig. B.1); the mean if that is all."""
        if self.log_variance is None:
            return self.mean
        noise = torch.randn(
            self.mean.shape,
            generator=generator,
            device=self.mean.device,
            dtype=self.mean.dtype,
        )
        return self.mean + torch.exp(0.5 * self.log_variance) * noise


class Output(NamedTuple):
    """What a network makes of a batch while it is trained.

    Attributes
    ----------
    posterior : Posterior or None
        What the encoder says; None without an encoder.
    nodes : Tensor, float32[batch, node]
        What enters the decoder: in training a sample of the posterior, in use its mean; without an
        encoder, the nodes that were given.
    spectra : Tensor, float32[batch, pixel], or None
        Reconstructed spectra, as preprocessing leaves them; None without a decoder.
    """

    posterior: Posterior | None
    nodes: Float[Tensor, "batch node"]
    spectra: Float[Tensor, "batch pixel"] | None
