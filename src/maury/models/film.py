"""A decoder in which the labels reach every layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from maury.models.decoder import (
    SLOPE,
    coarse_positions,
    keep_signal,
    start_at_continuum,
    transposed,
)

__all__ = ["FiLMDecoder"]

CHANNELS = (512, 256, 256, 256, 128, 128, 128, 64, 64, 48, 32)
COARSEST = 512  # channels that the linear layer fills
DOUBLINGS = 14


class FiLMDecoder(nn.Module):
    r"""A convolutional decoder with feature-wise linear modulation (FiLM; Perez et al. 2018).

    In the decoders of Cvrcek et al. (2024) the labels enter once, at the coarsest layer, and may be
    diluted on the way; the paper leaves FiLM to future work (Sect. 2.5.2). Here a small network
    turns the nodes into a factor :math:`1 + \gamma` and an offset :math:`\beta` for each channel
    ahead of each activation. Two more things differ from the ResNet decoder:

    - Each layer adds a learned map of its own positions, because lines lie at places that do not
      depend on the star, and need not be made from the labels by convolutions.
    - Convolutions end at an eighth of the pixels, each of whose positions gives eight pixels, while
      those of the ResNet go on to the full length. There is no instance norm, so that the grid
      may be small.

    Parameters
    ----------
    pixels : int
        Size of the wavelength grid.
    inputs : int
        Number of nodes of the bottleneck: labels, and u behind them if there is any.
    hidden : int
        Width of the network behind the modulation.
    channels : sequence of int
        Channels of each block; each doubles the length, and the last convolution makes up for what
        is missing to 14 doublings.

    Raises
    ------
    GridError
        If the size of the grid is not a multiple of 2^14.

    Examples
    --------
    >>> decoder = FiLMDecoder(pixels=2**14, inputs=6, channels=(64,) * 10)
    >>> decoder(torch.zeros(3, 6)).shape
    torch.Size([3, 16384])
    """

    architecture = "film-decoder"
    architecture_version = 1

    def __init__(
        self, *, pixels: int, inputs: int, hidden: int = 128, channels: Sequence[int] = CHANNELS
    ) -> None:
        super().__init__()
        if not 0 < len(channels) <= DOUBLINGS:
            raise ValueError(f"a FiLM decoder has 1 to {DOUBLINGS} blocks, not {len(channels)}")
        self.pixels = pixels
        self.inputs = inputs
        self.hidden = hidden
        self.channels = tuple(channels)
        length = coarse_positions(pixels, "FiLM decoder")
        self.expand = nn.Linear(inputs, COARSEST * length)
        self.condition = nn.Sequential(
            nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU()
        )
        blocks = []
        before = COARSEST
        for units in self.channels:
            length *= 2
            blocks.append(_Block(before, units, length, hidden))
            before = units
        self.blocks = nn.ModuleList(blocks)
        self.spectrum = nn.Conv1d(before, pixels // length, 3, padding=1)
        start_at_continuum(self.spectrum)

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The keyword arguments that make a decoder of the same shape."""
        return {
            "pixels": self.pixels,
            "inputs": self.inputs,
            "hidden": self.hidden,
            "channels": list(self.channels),
        }

    def forward(self, nodes: Float[Tensor, "batch input"]) -> Float[Tensor, "batch pixel"]:
        """Normalised fluxes of the nodes of a bottleneck."""
        condition = self.condition(nodes)
        features = self.expand(nodes).unflatten(1, (COARSEST, -1))
        for block in self.blocks:
            features = block(features, condition)
        return self.spectrum(features).mT.flatten(1).float()


class _Block(nn.Module):
    """Doubles the length, adds the learned map, and refines by a residual convolution."""

    def __init__(self, channels: int, units: int, length: int, hidden: int) -> None:
        super().__init__()
        self.stretch = nn.ConvTranspose1d(channels, units, 4, stride=2, padding=1)
        keep_signal(self.stretch, 2, slope=SLOPE)
        self.places = nn.Parameter(0.1 * torch.randn(units, length))
        self.refine = nn.Conv1d(units, units, 3, padding=1)
        with torch.no_grad():
            # The sum of many blocks then starts no larger than their input.
            self.refine.weight.mul_(0.3)
        self.modulations = nn.ModuleList(nn.Linear(hidden, 2 * units) for _ in range(2))

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        first, second = (modulation(condition) for modulation in self.modulations)
        doubled = transposed(self.stretch, features) + self.places
        doubled = _modulated(doubled, first)
        return doubled + self.refine(_modulated(doubled, second))


def _modulated(features: Tensor, modulation: Tensor) -> Tensor:
    factor, offset = modulation[:, :, None].chunk(2, dim=1)
    return functional.leaky_relu(torch.addcmul(offset, features, 1 + factor), SLOPE)
