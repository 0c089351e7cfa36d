"""How fast encoders and decoders are, beside the same ones in PyTorch's plain layout."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from maury.benchmark import Benchmark
from maury.grid import HARPS, WavelengthGrid
from maury.inference.runtime import FastPart, has_openvino
from maury.models.benchmark import (
    bandwidth,
    checked_device,
    describe_device,
    medians,
    one_thread,
    traffic,
    untrained,
)
from maury.models.plain import plain

__all__ = ["bench_decoder", "bench_encoder"]

DECODERS = ("resnet-decoder", "cnn-decoder", "film-decoder", "doppler-decoder")
COMPARED = 2  # spectra on which outputs are compared


def bench_encoder(
    *, grid: WavelengthGrid = HARPS, batch: int = 32, repeats: int = 3, device: str = "cpu"
) -> Benchmark:
    """Labels of prepared spectra by the encoder, spectra a second.

    Parameters
    ----------
    grid : WavelengthGrid
        Of the spectra.
    batch : int
        Spectra in a turn; the reference takes them at once.
    repeats : int
        Turns, whose median counts.
    device : {"cpu", "cuda"}
        One thread of a CPU, in float32; or a GPU, in bfloat16.

    Raises
    ------
    MauryError
        If the device is not there.
    """
    return _bench(("encoder",), grid, batch, repeats, device)


def bench_decoder(
    *, grid: WavelengthGrid = HARPS, batch: int = 32, repeats: int = 3, device: str = "cpu"
) -> Benchmark:
    """Spectra of nodes by the ResNet decoder, spectra a second; the others are in the breakdown.

    Parameters
    ----------
    grid, batch, repeats, device
        As of `bench_encoder`. On a GPU the whole InfoVAE is in the breakdown too.

    Raises
    ------
    MauryError
        If the device is not there.
    """
    names = (*DECODERS, "info-vae") if device == "cuda" else DECODERS
    return _bench(names, grid, batch, repeats, device)


@torch.no_grad()
def _bench(
    names: tuple[str, ...], grid: WavelengthGrid, batch: int, repeats: int, device: str
) -> Benchmark:
    where = checked_device(device)
    sides: dict[str, Callable[[], object]] = {}
    differences, notes = [], []
    with one_thread():
        for name in names:
            ours, reference, inputs = _parts(name, grid, batch, where)
            first = ours(inputs[:COMPARED])
            sides[name] = partial(ours, inputs)
            if reference is not None:
                difference = (first - reference(inputs[:COMPARED])).abs().max().item()
                differences.append(f"{difference:.1e} ({name})")
                sides[f"{name}, plain"] = partial(reference, inputs)
        if where.type == "cuda":
            for work in sides.values():
                work()
        seconds = medians(sides, repeats, where)
        if where.type == "cuda":
            notes = [_bandwidth(sides[name], seconds[name], name, where) for name in names]
    how = "in PyTorch in bfloat16"
    if where.type == "cpu":
        how = "in OpenVINO, one spectrum after the other," if has_openvino() else "in PyTorch"
        how += " in float32 (doppler-decoder in PyTorch)" if len(names) > 1 else " in float32"
    return Benchmark(
        name="encoder" if names == ("encoder",) else "decoder",
        ours=batch / seconds[names[0]],
        reference=batch / seconds[f"{names[0]}, plain"],
        unit="spectra/s/core" if where.type == "cpu" else "spectra/s",
        conditions=f"{names[0]} {how}, {grid.size:,} pixels, {batch} spectra a turn, median of "
        f"{repeats} turns, {describe_device(where)}; reference: one-dimensional convolutions, "
        f"channels first, eager float32, batches of {batch}, the same weights; largest difference "
        f"of outputs {', '.join(differences)}" + "".join(f"; {note}" for note in notes),
        breakdown={name: 1e3 * value / batch for name, value in seconds.items()},
    )


def _parts(
    name: str, grid: WavelengthGrid, batch: int, device: torch.device
) -> tuple[FastPart | Callable[[Tensor], Any], nn.Module | None, Tensor]:
    """Ours and the reference, if there is one, and what goes in."""
    network = untrained(name, grid).to(device).eval()
    precision = "float32" if device.type == "cpu" else "bfloat16"
    quick = {
        key: FastPart(part, at_once=True, precision=precision)  # type: ignore[arg-type]
        for key, part in network.parts.items()
    }
    width = grid.size if "encoder" in quick else network.nodes
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(batch, width, generator=generator).to(device)
    if len(quick) > 1:
        nodes = network.nodes
        return lambda spectra: quick["decoder"](quick["encoder"](spectra)[:, :nodes]), None, inputs
    ((key, part),) = quick.items()
    reference = None if name == "doppler-decoder" else plain(network.parts[key]).to(device)
    return part, reference, inputs


def _bandwidth(work: Callable[[], object], seconds: float, name: str, device: torch.device) -> str:
    ours, inputs = work.func, work.args[0]  # type: ignore[attr-defined]
    reached = traffic(ours, inputs) / seconds / bandwidth(device)
    return f"{name} reaches {reached:.0%} of the memory's bandwidth"
