"""The two decoders of the paper: from the nodes of the bottleneck to a spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from maury.errors import GridError

__all__ = ["CNNDecoder", "ResNetDecoder"]

REDUCTION = 2**14  # pixels of the spectrum for each position of the coarsest features
SLOPE = 0.1

# Hidden units of Table B.2 after the linear layer; the first convolution keeps the length.
CNN_CHANNELS = (512, 512, 256, 128, 128, 128, 64, 64, 64, 32, 32, 32, 16, 16, 16, 1)

# Hidden units of the blocks of Table B.3 after the linear layer; the first block keeps the length.
RESNET_CHANNELS = (512, 512, 512, 512, 256, 256, 256, 128, 128, 64, 64, 32, 32, 16, 16, 16)
RESNET_KERNEL = 5
NORM_EPSILON = 1e-5  # of PyTorch's instance norm
# An instance norm over two positions leaves but signs, over one nothing at all.
LEAST_POSITIONS = 16
# Positions in a batch from which on a transposed convolution is done as a plain one.
LONG = 2**15
# Positions from which on a CPU does a block of the ResNet in rows, and pixels that it does at once.
FINE = 512
PIECE = 2**17


class CNNDecoder(nn.Module):
    r"""One linear layer and fifteen transposed convolutions, Table B.2 of Cvrcek et al. (2024).

    The linear layer makes :math:`512 \cdot \mathrm{pixels} / 2^{14}` features. The first transposed
    convolution has a kernel of 3 and keeps their length, the other fourteen have kernels of 4 and
    double it; each is followed by a leaky ReLU of slope 0.1. A convolution with a kernel of 3 gives
    the spectrum. Fluxes come out as the paper normalises them, so that the continuum is near one.

    Parameters
    ----------
    pixels : int
        Size of the wavelength grid.
    inputs : int
        Number of nodes of the bottleneck: labels, and u behind them if there is any.
    channels : sequence of int
        Channels behind the linear layer and behind each of the fifteen convolutions; those of the
        paper unless others are given.

    Raises
    ------
    GridError
        If the size of the grid is not a multiple of 2^14.

    Examples
    --------
    >>> decoder = CNNDecoder(pixels=2**14, inputs=6)
    >>> decoder(torch.zeros(3, 6)).shape
    torch.Size([3, 16384])
    """

    architecture = "cnn-decoder"
    architecture_version = 1

    def __init__(self, *, pixels: int, inputs: int, channels: Sequence[int] = CNN_CHANNELS) -> None:
        super().__init__()
        self.pixels = pixels
        self.inputs = inputs
        self.channels = _sixteen(channels)
        positions = coarse_positions(pixels, "CNN decoder")
        self.expand = nn.Linear(inputs, channels[0] * positions)
        self.layers = nn.ModuleList()
        for i, (before, units) in enumerate(pairwise(channels)):
            kernel, stride = (3, 1) if i == 0 else (4, 2)
            convolution = nn.ConvTranspose1d(before, units, kernel, stride, padding=1)
            keep_signal(convolution, stride, slope=SLOPE)
            self.layers.append(convolution)
        self.spectrum = nn.Conv1d(channels[-1], 1, 3, padding=1)
        start_at_continuum(self.spectrum)

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The keyword arguments that make a decoder of the same shape."""
        return {"pixels": self.pixels, "inputs": self.inputs, "channels": list(self.channels)}

    def forward(self, nodes: Float[Tensor, "batch input"]) -> Float[Tensor, "batch pixel"]:
        """Normalised fluxes of the nodes of a bottleneck."""
        features = self.expand(nodes).unflatten(1, (self.channels[0], -1))
        for layer in self.layers:
            features = transposed(layer, features)  # type: ignore[arg-type]
            features = functional.leaky_relu_(features, SLOPE)
        return self.spectrum(features)[:, 0].float()


class _Block(nn.Module):
    """PreActTransResNetBlock of Fig. B.2, which may double the length."""

    def __init__(self, channels: int, units: int, *, stride: int, last: bool) -> None:
        super().__init__()
        double = partial(
            nn.ConvTranspose1d,
            channels,
            units,
            stride=stride,
            output_padding=stride - 1,
            bias=False,
        )
        padding = (RESNET_KERNEL - 1) // 2
        self.first = double(RESNET_KERNEL, padding=padding)
        # The norm that follows, here or in the next block, would take any bias away again.
        self.second = nn.ConvTranspose1d(units, units, RESNET_KERNEL, padding=padding, bias=last)
        self.skip = None
        if stride > 1 or channels != units:
            self.skip = double(1)
        for convolution in (self.first, self.second):
            keep_signal(convolution, convolution.stride[0], slope=0.0)

    def forward(self, features: Tensor) -> Tensor:
        active = functional.relu_(functional.instance_norm(features))
        change = transposed(self.first, active)
        change = transposed(self.second, functional.relu_(functional.instance_norm(change)))
        if self.skip is None:
            return change + features
        # A kernel of 1 with a stride reaches every second position alone.
        skipped = functional.conv1d(active, self.skip.weight.transpose(0, 1))
        return change + functional.pad(skipped[..., None], (0, self.skip.stride[0] - 1)).flatten(2)

    def in_rows(self, rows: Tensor) -> Tensor:
        """The same for a block that doubles, of float[batch, position, channel], on a CPU.

        Channels last is what its convolutions work in. The first one and the skip path make rows
        of twice the channels, which in memory are an even and an odd position: interleaving them,
        the dear part of a transposed convolution of stride 2, costs nothing.
        """
        assert self.skip is not None
        units = self.skip.out_channels
        active = _NormReLU.apply(rows)
        kernel = _of_phases(self.first.weight).flatten(0, 1)
        change = _convolved(active, kernel).unflatten(2, (2, units)).flatten(1, 2)
        kernel = self.second.weight.transpose(0, 1).flip(2)
        change = _convolved(_NormReLU.apply(change), kernel, self.second.bias)
        skip = functional.pad(self.skip.weight[:, :, 0], (0, units))
        # The odd positions of each pair get zeros; adding to the even ones alone takes longer.
        pairs = torch.addmm(change.reshape(-1, 2 * units), active.flatten(0, 1), skip)
        return pairs.reshape(change.shape)


class _NormReLU(torch.autograd.Function):
    """Instance norm and ReLU of float[batch, position, channel], in few passes over memory."""

    @staticmethod
    def forward(ctx, rows):
        values = rows.float()
        mean = values.mean(1, keepdim=True)
        active = values - mean
        factor = (active.square().mean(1, keepdim=True) + NORM_EPSILON).rsqrt()
        active = active.mul_(factor).relu_().to(rows.dtype)
        ctx.save_for_backward(rows, active, mean, factor)
        return active

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        rows, active, mean, factor = ctx.saved_tensors
        # Where the ReLU lets the gradient through, its output is the norm's.
        along = (grad * active).mean(1, keepdim=True, dtype=mean.dtype) * factor.square()
        grad = torch.ops.aten.threshold_backward(grad, active, 0)
        level = grad.mean(1, keepdim=True, dtype=mean.dtype) * factor
        of_rows = torch.addcmul(mean * along - level, rows, along, value=-1)
        return of_rows.addcmul_(grad, factor).to(rows.dtype)


def _convolved(rows: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """A convolution of float[batch, position, channel] that keeps the length, without a copy."""
    image = rows.mT.unsqueeze(2)
    padding = (0, kernel.shape[2] // 2)
    return functional.conv2d(image, kernel.unsqueeze(2), bias, padding=padding).squeeze(2).mT


class ResNetDecoder(nn.Module):
    r"""One linear layer and fifteen residual blocks, Table B.3 of Cvrcek et al. (2024).

    Each block (Fig. B.2) has two transposed convolutions, each after an instance norm without
    parameters and a ReLU. The paper's text gives their kernels as 3; its count of parameters in
    Table 9 holds for kernels of 5, and for a first convolution that changes the number of channels
    rather than the second. The first block keeps the length and adds its input unchanged; the
    other fourteen double the length with a stride of 2, also in the convolution of kernel 1 on
    their skip path, which sees what the first convolution sees. A convolution with a kernel of 3
    gives the spectrum. Convolutions that a norm follows have no bias, which it would take away.

    On grids of less than :math:`2^{18}` pixels the linear layer makes 16 positions rather than
    :math:`\mathrm{pixels} / 2^{14}`, and as many blocks more keep the length, since instance norms
    need some positions to average over. The full grid has 20.

    Parameters
    ----------
    pixels : int
        Size of the wavelength grid.
    inputs : int
        Number of nodes of the bottleneck: labels, and u behind them if there is any.
    channels : sequence of int
        Channels behind the linear layer and behind each of the fifteen blocks; those of the paper
        unless others are given.

    Raises
    ------
    GridError
        If the size of the grid is not a multiple of 2^14.

    Examples
    --------
    >>> decoder = ResNetDecoder(pixels=2**14, inputs=6)
    >>> decoder(torch.zeros(3, 6)).shape
    torch.Size([3, 16384])
    """

    architecture = "resnet-decoder"
    architecture_version = 1

    def __init__(
        self, *, pixels: int, inputs: int, channels: Sequence[int] = RESNET_CHANNELS
    ) -> None:
        super().__init__()
        self.pixels = pixels
        self.inputs = inputs
        self.channels = _sixteen(channels)
        positions = coarse_positions(pixels, "ResNet decoder")
        keeping = 1
        while positions < LEAST_POSITIONS:
            positions *= 2
            keeping += 1
        self.expand = nn.Linear(inputs, channels[0] * positions)
        blocks = []
        self.coarse = 0  # blocks ahead of those that are done in rows
        for i, (before, units) in enumerate(pairwise(channels)):
            last = i == len(channels) - 2
            stride = 1 if i < keeping else 2
            blocks.append(_Block(before, units, stride=stride, last=last))
            self.coarse += stride == 1 or positions < FINE
            positions *= stride
        self.blocks = nn.Sequential(*blocks)
        self.spectrum = nn.Conv1d(channels[-1], 1, 3, padding=1)
        start_at_continuum(self.spectrum)

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The keyword arguments that make a decoder of the same shape."""
        return {"pixels": self.pixels, "inputs": self.inputs, "channels": list(self.channels)}

    def forward(self, nodes: Float[Tensor, "batch input"]) -> Float[Tensor, "batch pixel"]:
        """Normalised fluxes of the nodes of a bottleneck."""
        features = self.expand(nodes).unflatten(1, (self.channels[0], -1))
        if features.device.type != "cpu":
            return self.spectrum(self.blocks(features))[:, 0].float()
        rows = self.blocks[: self.coarse](features).mT.contiguous()
        # In pieces that the processor's cache and the allocator's own memory hold.
        pieces = rows.split(max(1, PIECE // self.pixels))
        return torch.cat([self._fine(piece) for piece in pieces]).float()

    def _fine(self, rows: Tensor) -> Tensor:
        fine: Any = self.blocks[self.coarse :]
        for block in fine:
            rows = block.in_rows(rows)
        return _convolved(rows, self.spectrum.weight, self.spectrum.bias)[:, :, 0]


def _sixteen(channels: Sequence[int]) -> tuple[int, ...]:
    if len(channels) != len(CNN_CHANNELS):
        raise ValueError(f"channels must be {len(CNN_CHANNELS)} numbers, not {len(channels)}")
    return tuple(channels)


def coarse_positions(pixels: int, name: str) -> int:
    """How many times 2^14 pixels the grid has; raises GridError if that is not a whole number."""
    if pixels < 1 or pixels % REDUCTION:
        raise GridError(
            f"The {name} needs a grid whose size is a multiple of {REDUCTION}, "
            f"which {pixels} is not."
        )
    return pixels // REDUCTION


def transposed(
    convolution: nn.ConvTranspose1d, features: Float[Tensor, "batch channel position"]
) -> Float[Tensor, "batch unit longer"]:
    """What a transposed convolution gives, by a plain one where that is quicker on a CPU.

    With a stride of 2 even and odd outputs are two convolutions of every second weight; both are
    done as one with twice the channels, whose outputs are then interleaved. Kernels are odd at
    stride 1, and 4 or 5 at stride 2. In short arrays arranging the weights takes longer than it
    saves.
    """
    if features.shape[0] * features.shape[2] < LONG:
        return convolution(features)
    weight, bias = convolution.weight, convolution.bias
    if convolution.stride[0] == 1:
        kernel = weight.transpose(0, 1).flip(2)
        return functional.conv1d(features, kernel, bias, padding=(kernel.shape[2] - 1) // 2)
    kernel = _of_phases(weight).transpose(0, 1).flatten(0, 1)
    bias = None if bias is None else bias.repeat_interleave(2)
    pairs = functional.conv1d(features, kernel, bias, padding=1)
    return pairs.unflatten(1, (-1, 2)).transpose(2, 3).flatten(2)


def _of_phases(
    weight: Float[Tensor, "channel unit kernel"],
) -> Float[Tensor, "phase unit channel three"]:
    """Kernels of the even and the odd outputs of a transposed convolution of stride 2."""
    weight = functional.pad(weight, (1, 1) if weight.shape[2] == 4 else (0, 1))
    return weight.unflatten(2, (3, 2)).flip(2).permute(3, 1, 0, 2)


def keep_signal(convolution: nn.ConvTranspose1d, stride: int, *, slope: float) -> None:
    """Start a transposed convolution so that a signal behind a (leaky) ReLU keeps its size.

    PyTorch's own start counts the outputs instead of the inputs of a transposed convolution.
    """
    inputs = convolution.in_channels * max(convolution.kernel_size[0] / stride, 1)
    nn.init.normal_(convolution.weight, std=(2 / ((1 + slope**2) * inputs)) ** 0.5)
    if convolution.bias is not None:
        nn.init.zeros_(convolution.bias)


def start_at_continuum(convolution: nn.Conv1d) -> None:
    """Start the last convolution near the continuum, which is one, with little structure."""
    with torch.no_grad():
        convolution.weight.mul_(0.1)
    nn.init.ones_(convolution.bias)  # type: ignore[arg-type]
