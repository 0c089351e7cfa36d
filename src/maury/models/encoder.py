"""The convolutional encoder: from a spectrum to labels."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from maury.errors import GridError

__all__ = ["Encoder"]

# Hidden units, kernel size and stride of each layer: Table B.1.
LAYERS = (
    (16, 7, 2),
    (16, 5, 2),
    (16, 5, 2),
    (32, 3, 2),
    (32, 3, 2),
    (32, 3, 2),
    (64, 3, 2),
    (64, 3, 2),
    (64, 3, 2),
    (128, 3, 2),
    (128, 3, 2),
    (128, 3, 2),
    (256, 3, 2),
    (512, 3, 2),
    (512, 3, 1),
)
SLOPE = 0.1


class Encoder(nn.Module):
    r"""Fifteen convolutions and one linear layer, Table B.1 of Cvrcek et al. (2024).

    Fourteen of the convolutions halve the spectrum, so that its size must be a multiple of
    :math:`2^{14}`; each is followed by a leaky ReLU of slope 0.1. The linear layer takes the
    remaining :math:`512 \cdot \mathrm{pixels} / 2^{14}` features to the outputs.

    The convolutions run along one axis but are stored as two-dimensional ones of height 1 in
    channels-last order, which more than halves the time of a training step on a CPU. Under
    autocast the linear layer stays in float32: eight bits of a radial velocity are not enough.

    Parameters
    ----------
    pixels : int
        Size of the wavelength grid.
    outputs : int
        Number of labels, or of nodes of a bottleneck; twice that for their means and log-variances.

    Raises
    ------
    GridError
        If the size of the grid is not a multiple of 2^14.

    Examples
    --------
    >>> encoder = Encoder(pixels=2**14, outputs=6)
    >>> encoder(torch.zeros(3, 2**14)).shape
    torch.Size([3, 6])
    """

    architecture = "encoder"
    architecture_version = 1

    def __init__(self, *, pixels: int, outputs: int) -> None:
        super().__init__()
        reduction = 1
        channels = 1
        layers: list[nn.Module] = []
        for units, kernel, stride in LAYERS:
            convolution = nn.Conv2d(
                channels, units, (1, kernel), stride=(1, stride), padding=(0, (kernel - 1) // 2)
            )
            # The default start shrinks the signal from layer to layer, and training loses time.
            nn.init.kaiming_normal_(convolution.weight, a=SLOPE)
            nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
            layers += [convolution, nn.LeakyReLU(SLOPE, inplace=True)]
            channels = units
            reduction *= stride
        if pixels < 1 or pixels % reduction:
            raise GridError(
                f"The encoder needs a grid whose size is a multiple of {reduction}, "
                f"which {pixels} is not."
            )
        self.pixels = pixels
        self.outputs = outputs
        self.features = nn.Sequential(*layers)
        self.features.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.head = nn.Linear(channels * pixels // reduction, outputs)

    @property
    def hyperparameters(self) -> dict[str, int]:
        """The keyword arguments that make an encoder of the same shape."""
        return {"pixels": self.pixels, "outputs": self.outputs}

    def forward(self, spectra: Float[Tensor, "batch pixel"]) -> Float[Tensor, "batch output"]:
        """Normalised labels, float32[batch, outputs], of preprocessed spectra [batch, pixels]."""
        image = spectra[:, None, None, :].contiguous(memory_format=torch.channels_last)
        features = self.features(image).flatten(1)
        with torch.autocast(spectra.device.type, enabled=False):
            return self.head(features.float())
