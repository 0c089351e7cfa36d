"""Time and memory of each architecture, Table 9."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from maury.evaluation.resources import count_parameters, time_per_spectrum
from maury.grid import WavelengthGrid
from maury.inference.runtime import fast
from maury.labels import HARPS_LABELS, LabelSet, Normalizer
from maury.models.benchmark import one_thread
from maury.models.doppler import DopplerDecoder
from maury.models.plain import plain
from maury.models.zoo import ZOO, build

__all__ = ["TIMED", "Resources", "resources"]

TIMED = {
    "beta-vae-cnn-unsupervised": 128,
    "info-vae": 32,
    "ae-resnet": 9,
    "ae-film": 9,
    "ae-doppler": 9,
    "encoder": 6,
    "cnn-decoder": 6,
    "resnet-decoder": 6,
    "film-decoder": 6,
    "doppler-decoder": 6,
}
"""The models of Table 9 and those beside them, and their nodes."""

BATCH = 32  # as in the paper


@dataclass(frozen=True)
class Resources:
    """What a model takes.

    Parameters
    ----------
    gpu_ms : float or None
        Milliseconds for a spectrum of a batch on a GPU; None without one.
    cpu_ms : float
        The same on one core, in PyTorch's plain layout as the paper measured it.
    fast_cpu_ms : float
        The same as maury runs it.
    parameters : float
        Millions.
    """

    gpu_ms: float | None
    cpu_ms: float
    fast_cpu_ms: float
    parameters: float


def resources(
    name: str, grid: WavelengthGrid, *, batch: int = BATCH, repeats: int = 3
) -> Resources:
    """Measure an untrained model; weights make no difference.

    Parameters
    ----------
    name
        Key of `TIMED`.
    grid
        Of the spectra.
    batch
        Spectra at once.
    repeats
        Whose median counts.
    """
    labels = HARPS_LABELS if ZOO[name].supervised else LabelSet([])
    normalizer = Normalizer((0.0,) * len(labels), (1.0,) * len(labels), labels.names)
    network = build(name, grid=grid, labels=labels, normalizer=normalizer, nodes=TIMED[name]).eval()
    shape = (batch, grid.size if ZOO[name].encoder else network.nodes)
    inputs = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    with one_thread(), torch.inference_mode():
        layouts = (
            {part: _plain(module) for part, module in network.parts.items()},
            dict(fast(network, at_once=True).parts),
        )
        # Other programs' time does not count.
        slow, quick = (
            time_per_spectrum(
                partial(_pass, parts, network.nodes),
                inputs,
                repeats=repeats,
                clock=time.process_time,
            )
            for parts in layouts
        )
    gpu = None
    if torch.cuda.is_available():
        with torch.inference_mode():
            gpu = 1e3 * time_per_spectrum(
                partial(_pass, dict(network.to("cuda").parts), network.nodes),
                inputs.to("cuda"),
                repeats=repeats,
                synchronize=torch.cuda.synchronize,
            )
    number = count_parameters(network.parameters()).number
    return Resources(gpu, 1e3 * slow, 1e3 * quick, number / 1e6)


def _pass(parts: Mapping[str, nn.Module], nodes: int, inputs: Tensor) -> Tensor:
    """From spectra to labels, or on to spectra; from nodes to spectra without an encoder."""
    if "encoder" in parts:
        inputs = parts["encoder"](inputs)[:, :nodes]
    return parts["decoder"](inputs) if "decoder" in parts else inputs


def _plain(part: nn.Module) -> nn.Module:
    """The paper's layout; a decoder that has no other is as it is."""
    return part if isinstance(part, DopplerDecoder) else plain(part)
