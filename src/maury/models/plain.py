"""The networks in PyTorch's plain layout, which speeds are compared with."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from maury.errors import MauryError
from maury.models.decoder import SLOPE, CNNDecoder, ResNetDecoder
from maury.models.encoder import Encoder
from maury.models.film import COARSEST, FiLMDecoder

__all__ = ["plain"]


def plain(part: nn.Module) -> nn.Module:
    """An encoder or decoder with the same weights as one writes it first, for comparison.

    Convolutions along one axis, channels first, transposed ones as such. Decoders share their
    weights with the part, an encoder has a copy.

    Parameters
    ----------
    part : nn.Module
        An encoder or decoder of the zoo that is made of convolutions.

    Raises
    ------
    MauryError
        If it is of another kind.

    Examples
    --------
    >>> import torch
    >>> encoder = Encoder(pixels=2**14, outputs=6)
    >>> spectra = torch.randn(2, 2**14)
    >>> torch.allclose(plain(encoder)(spectra), encoder(spectra), atol=1e-5)
    True
    """
    for kind, of_kind in _KINDS.items():
        if isinstance(part, kind):
            return of_kind(part).train(part.training)
    raise MauryError(f"A {type(part).__name__} has no convolutions that could be laid out plainly.")


class _PlainEncoder(nn.Module):
    """Table B.1 in one-dimensional convolutions, channels first."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for layer in encoder.features:
            if isinstance(layer, nn.Conv2d):
                layers.append(_one_dimensional(layer))
            else:
                layers.append(nn.LeakyReLU(SLOPE))
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(encoder.head.in_features, encoder.outputs)
        self.head.load_state_dict(encoder.head.state_dict())

    def forward(self, spectra: Float[Tensor, "batch pixel"]) -> Float[Tensor, "batch output"]:
        return self.head(self.features(spectra[:, None]).flatten(1))


def _one_dimensional(layer: nn.Conv2d) -> nn.Conv1d:
    convolution = nn.Conv1d(
        layer.in_channels,
        layer.out_channels,
        layer.kernel_size[1],
        stride=layer.stride[1],
        padding=int(layer.padding[1]),
    )
    weights = layer.state_dict()
    convolution.load_state_dict(weights | {"weight": weights["weight"][:, :, 0].contiguous()})
    return convolution


class _PlainCNNDecoder(nn.Module):
    """Table B.2."""

    def __init__(self, decoder: CNNDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, nodes: Float[Tensor, "batch input"]) -> Float[Tensor, "batch pixel"]:
        features = self.decoder.expand(nodes).unflatten(1, (self.decoder.channels[0], -1))
        for layer in self.decoder.layers:
            features = functional.leaky_relu(layer(features), SLOPE)
        return self.decoder.spectrum(features)[:, 0]


class _PlainResNetDecoder(nn.Module):
    """Table B.3 and Fig. B.2."""

    def __init__(self, decoder: ResNetDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, nodes: Float[Tensor, "batch input"]) -> Float[Tensor, "batch pixel"]:
        features = self.decoder.expand(nodes).unflatten(1, (self.decoder.channels[0], -1))
        block: Any
        for block in self.decoder.blocks:
            active = functional.relu(functional.instance_norm(features))
            change = functional.relu(functional.instance_norm(block.first(active)))
            skipped = features if block.skip is None else block.skip(active)
            features = block.second(change) + skipped
        return self.decoder.spectrum(features)[:, 0]


class _PlainFiLMDecoder(nn.Module):
    """A `FiLMDecoder` whose blocks stretch by transposed convolutions."""

    def __init__(self, decoder: FiLMDecoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, nodes: Float[Tensor, "batch input"]) -> Float[Tensor, "batch pixel"]:
        decoder = self.decoder
        condition = decoder.condition(nodes)
        features = decoder.expand(nodes).unflatten(1, (COARSEST, -1))
        block: Any
        for block in decoder.blocks:
            first, second = (
                modulation(condition)[:, :, None].chunk(2, dim=1)
                for modulation in block.modulations
            )
            doubled = block.stretch(features) + block.places
            doubled = functional.leaky_relu((1 + first[0]) * doubled + first[1], SLOPE)
            active = functional.leaky_relu((1 + second[0]) * doubled + second[1], SLOPE)
            features = doubled + block.refine(active)
        return decoder.spectrum(features).mT.flatten(1)


_KINDS: dict[type[nn.Module], type[nn.Module]] = {
    Encoder: _PlainEncoder,
    CNNDecoder: _PlainCNNDecoder,
    ResNetDecoder: _PlainResNetDecoder,
    FiLMDecoder: _PlainFiLMDecoder,
}
