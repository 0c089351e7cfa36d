"""Encoders and decoders as graphs of OpenVINO, for one spectrum.

They are laid out here, rather than converted from PyTorch, because that takes a tenth of a second
and not four. Convolutions are two-dimensional of height 1, which is quicker.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from maury.models.decoder import SLOPE, CNNDecoder, ResNetDecoder
from maury.models.encoder import Encoder
from maury.models.film import COARSEST, FiLMDecoder

# It would tell its makers that it is used, unless the module that does so is missing.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
from openvino import Core, Model  # noqa: E402
from openvino import opset13 as ops  # noqa: E402

__all__ = ["compile_part"]

NORM_EPSILON = 1e-5  # of PyTorch's instance norm


def compile_part(part: nn.Module) -> Any:
    """OpenVINO's request that computes an encoder or decoder, in float32.

    Parameters
    ----------
    part : Encoder, CNNDecoder, ResNetDecoder or FiLMDecoder
        On a CPU. It gets as many threads as PyTorch has.

    Returns
    -------
    openvino.InferRequest
        From float32[1, inputs] to float32[1, outputs].
    """
    columns = part.pixels if isinstance(part, Encoder) else part.inputs
    inputs = ops.parameter([1, columns], np.float32)
    with torch.inference_mode():
        outputs = _LAYOUTS[type(part)](part, inputs)
    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        # Several processes would all be pinned to the same cores.
        "ENABLE_CPU_PINNING": False,
    }
    model = Model([ops.reshape(outputs, [1, -1], False)], [inputs])
    return Core().compile_model(model, "CPU", settings).create_infer_request()


def _encoder(part: Encoder, spectrum: Any) -> Any:
    features = ops.reshape(spectrum, [1, 1, 1, -1], False)
    for layer in part.features:
        if isinstance(layer, nn.Conv2d):
            stride, padding = layer.stride[1], int(layer.padding[1])
            features = _convolution(features, layer.weight[:, :, 0], layer.bias, stride, padding)
        else:
            features = _leaky_relu(features)
    return _linear(ops.reshape(features, [1, -1], False), part.head)


def _cnn_decoder(part: CNNDecoder, nodes: Any) -> Any:
    features = ops.reshape(_linear(nodes, part.expand), [1, part.channels[0], 1, -1], False)
    for layer in part.layers:
        features = _leaky_relu(_transposed(features, layer))  # type: ignore[arg-type]
    return _plain(features, part.spectrum)


def _resnet_decoder(part: ResNetDecoder, nodes: Any) -> Any:
    features = ops.reshape(_linear(nodes, part.expand), [1, part.channels[0], 1, -1], False)
    block: Any
    for block in part.blocks:
        active = ops.relu(_instance_norm(features))
        change = ops.relu(_instance_norm(_transposed(active, block.first)))
        skipped = features if block.skip is None else _transposed(active, block.skip)
        features = ops.add(_transposed(change, block.second), skipped)
    return _plain(features, part.spectrum)


def _film_decoder(part: FiLMDecoder, nodes: Any) -> Any:
    condition = nodes
    for layer in part.condition:
        linear = isinstance(layer, nn.Linear)
        condition = _linear(condition, layer) if linear else ops.swish(condition)  # type: ignore[arg-type]
    features = ops.reshape(_linear(nodes, part.expand), [1, COARSEST, 1, -1], False)
    block: Any
    for block in part.blocks:
        places = _constant(block.places[None, :, None])
        doubled = ops.add(_transposed(features, block.stretch), places)
        doubled = _modulated(doubled, _linear(condition, block.modulations[0]))
        change = _modulated(doubled, _linear(condition, block.modulations[1]))
        features = ops.add(doubled, _plain(change, block.refine))
    return ops.transpose(_plain(features, part.spectrum), [0, 2, 3, 1])


_LAYOUTS: dict[type, Any] = {
    Encoder: _encoder,
    CNNDecoder: _cnn_decoder,
    ResNetDecoder: _resnet_decoder,
    FiLMDecoder: _film_decoder,
}


def _constant(tensor: Tensor) -> Any:
    return ops.constant(tensor.float().contiguous().numpy())


def _linear(inputs: Any, layer: nn.Linear) -> Any:
    product = ops.matmul(inputs, _constant(layer.weight), False, True)
    return ops.add(product, _constant(layer.bias[None]))


def _leaky_relu(features: Any) -> Any:
    return ops.prelu(features, ops.constant(np.array([SLOPE], np.float32)))


def _instance_norm(features: Any) -> Any:
    """In this form, which OpenVINO does not take for its own operation; that is slower."""
    axis = ops.constant(np.array([3]))
    mean = ops.reduce_mean(features, axis, True)
    centred = ops.subtract(features, mean)
    variance = ops.reduce_mean(ops.multiply(centred, centred), axis, True)
    deviation = ops.sqrt(ops.add(variance, ops.constant(np.float32(NORM_EPSILON))))
    factor = ops.divide(ops.constant(np.float32(1)), deviation)
    return ops.subtract(ops.multiply(features, factor), ops.multiply(mean, factor))


def _modulated(features: Any, modulation: Any) -> Any:
    """FiLM: channels times one plus the first half of the modulation, plus the second half."""
    halves = ops.split(ops.reshape(modulation, [1, -1, 1, 1], False), 1, 2)
    factor = ops.add(halves.output(0), ops.constant(np.float32(1)))
    return _leaky_relu(ops.add(ops.multiply(features, factor), halves.output(1)))


def _plain(features: Any, layer: nn.Conv1d) -> Any:
    padding = int(layer.padding[0])
    return _convolution(features, layer.weight, layer.bias, layer.stride[0], padding)


def _convolution(
    features: Any, weight: Tensor, bias: Tensor | None, stride: int, padding: int
) -> Any:
    """A convolution whose weights are [unit, channel, kernel]."""
    kernel = _constant(weight[:, :, None])
    pads = [0, padding]
    return _biased(ops.convolution(features, kernel, [1, stride], pads, pads, [1, 1]), bias)


def _biased(features: Any, bias: Tensor | None) -> Any:
    return features if bias is None else ops.add(features, _constant(bias[None, :, None, None]))


def _transposed(features: Any, layer: nn.ConvTranspose1d) -> Any:
    pads = [0, int(layer.padding[0])]
    stretched = ops.convolution_backprop_data(
        features,
        _constant(layer.weight[:, :, None]),
        strides=[1, layer.stride[0]],
        pads_begin=pads,
        pads_end=pads,
        dilations=[1, 1],
        output_padding=[0, int(layer.output_padding[0])],
    )
    return _biased(stretched, layer.bias)
