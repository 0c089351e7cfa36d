"""How fast an encoder's training step is, beside one in PyTorch's plain layout."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from maury.benchmark import Benchmark
from maury.datasets.exposures import NIGHT, fastest
from maury.datasets.nuisances import ExposureNuisances
from maury.datasets.observatory import ExposurePixels, Observatory
from maury.grid import HARPS, WavelengthGrid
from maury.instrument.settings import Settings
from maury.models.benchmark import (
    checked_device,
    describe_device,
    medians,
    one_thread,
    untrained,
)
from maury.models.losses import label_loss
from maury.models.plain import plain
from maury.models.preprocessing import Preprocessing

__all__ = ["bench_train", "drawn_exposures"]

EPOCH = 42_000  # exposures, as in the paper's Sect. 3.1
STARS = 64  # intrinsic spectra in memory
CLIP = 1.0  # of the gradient's norm


def bench_train(
    *, grid: WavelengthGrid = HARPS, batch: int = 32, repeats: int = 3, device: str = "cpu"
) -> Benchmark:
    """Steps of the encoder's training: loss, gradients and Adam, spectra a second.

    Parameters
    ----------
    grid : WavelengthGrid
        Of the spectra.
    batch : int
        Spectra in a step.
    repeats : int
        Turns, whose median counts.
    device : {"cpu", "cuda"}
        One thread of a CPU, in float32, as recipes have it by default; or a GPU, in bfloat16,
        where exposures are drawn on the device as well and the time of an epoch is told.

    Raises
    ------
    MauryError
        If the device is not there.
    """
    where = checked_device(device)
    with one_thread():
        encoder = untrained("encoder", grid).encoder.to(where)
        reference = plain(encoder).to(where)
        generator = torch.Generator().manual_seed(1)
        spectra = torch.randn(batch, grid.size, generator=generator).to(where)
        labels = torch.randn(batch, encoder.outputs, generator=generator).to(where)
        with torch.no_grad():
            difference = (encoder(spectra[:2]) - reference(spectra[:2])).abs().max().item()
        step = _step(copy.deepcopy(encoder), bfloat16=False)
        step_bfloat16 = _step(encoder, bfloat16=True)
        step_plain = _step(reference, bfloat16=False)
        sides: dict[str, Callable[[], object]] = {
            "float32": lambda: step(spectra, labels),
            "bfloat16": lambda: step_bfloat16(spectra, labels),
            "plain": lambda: step_plain(spectra, labels),
        }
        note, ours = "", "float32"
        if where.type == "cuda":
            draw = drawn_exposures(grid, batch, where)
            sides["bfloat16, exposures drawn"] = lambda: step_bfloat16(draw(), labels)
            ours = "bfloat16"
        # The first steps make the optimisers' moments.
        for work in sides.values():
            work()
        seconds = medians(sides, repeats, where)
    if where.type == "cuda":
        epoch = EPOCH / batch * seconds["bfloat16, exposures drawn"]
        note = f"; an epoch of {EPOCH:,} exposures drawn on the device takes {epoch:.1f} s"
    return Benchmark(
        name="train",
        ours=batch / seconds[ours],
        reference=batch / seconds["plain"],
        unit="spectra/s/core" if where.type == "cpu" else "spectra/s",
        conditions=f"step of the encoder in {ours}, {grid.size:,} pixels, batches of {batch}, "
        f"median of {repeats} turns, {describe_device(where)}; reference: one-dimensional "
        "convolutions, channels first, eager float32, the same weights; largest difference of "
        f"outputs {difference:.1e}{note}",
        breakdown={name: 1e3 * value / batch for name, value in seconds.items()},
    )


def _step(model: nn.Module, *, bfloat16: bool) -> Callable[[Tensor, Tensor], None]:
    """What `maury.training.run.train` does with a batch."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-6)

    def step(spectra: Tensor, labels: Tensor) -> None:
        with torch.autocast(spectra.device.type, torch.bfloat16, enabled=bfloat16):
            loss = label_loss(model(spectra), labels)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad()

    return step


def drawn_exposures(grid: WavelengthGrid, batch: int, device: torch.device) -> Callable[[], Tensor]:
    """What draws prepared exposures of random spectra in the device's memory.

    It does what `maury.datasets.training_source.FreshExposures` does with those of a store, which
    the emulator could not fill on the full grid.

    Returns
    -------
    callable
        Gives another float32[batch, pixel] at each call.
    """
    pixels = ExposurePixels.of(grid, fastest(NIGHT))
    observatory = Observatory(pixels, ExposureNuisances(), device)
    preprocessing = Preprocessing(grid).to(device)
    generator = torch.Generator(device).manual_seed(1)
    shape, kind = (STARS, pixels.wide.size), torch.int16
    stars = torch.randint(10_000, 30_000, shape, dtype=kind, device=device, generator=generator)
    random = np.random.default_rng(1)

    @torch.no_grad()
    def draw() -> Tensor:
        picked = torch.from_numpy(random.integers(STARS, size=batch)).to(device)
        values: Any = {
            name: torch.from_numpy(random.uniform(interval.low, interval.high, batch))
            for name, interval in NIGHT.items()
        }
        flux_v = torch.full((batch,), 2e4, dtype=torch.float64)
        flux, _, valid = observatory.expose(
            stars[picked], Settings(**values), flux_v, generator=generator
        )
        return preprocessing(flux, valid)

    return draw
