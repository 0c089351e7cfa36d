"""Training speed in spectra per second, and where the time goes.

Run as ``python benchmarks/bench_training.py [--recipe harps-small] [--threads 2]``. The parts are
timed turn about on batch after batch, so that a noisy machine weighs on all of them alike.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time

import torch

from maury.datasets.simulated import SimulatedExposures
from maury.labels import Normalizer
from maury.models.encoder import Encoder
from maury.models.losses import label_loss
from maury.models.preprocessing import Preprocessing
from maury.synthesis.emulator import STANDARD, Emulator
from maury.training.recipe_file import read_recipe


def main() -> None:
    """Time each part of a training step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipe", default="harps-small")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--set", action="append", default=[], metavar="ENTRY=VALUE")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    recipe = read_recipe(arguments.recipe, arguments.set)
    emulator = Emulator.load(None if recipe.emulator == STANDARD else recipe.emulator)
    grid, labels, size = recipe.wavelength_grid, recipe.label_set, recipe.optimization.batch
    exposures = SimulatedExposures(emulator, grid, labels, recipe.simulation, recipe.seed)
    normalizer = Normalizer.fit(exposures.sample_labels(1000).numpy(), labels.names)
    preprocessing = Preprocessing(grid, **recipe.preprocessing.model_dump())
    encoder = Encoder(pixels=grid.size, outputs=len(labels))
    optimizer = torch.optim.Adam(encoder.parameters(), recipe.optimization.learning_rate)
    bfloat16 = recipe.optimization.precision == "bfloat16"
    parameters = (emulator.lower + emulator.upper).expand(size, -1) / 2

    times: dict[str, list[float]] = {
        "emulator": [],
        "exposure": [],
        "preprocessing": [],
        "encoder step": [],
    }
    for index in range(arguments.batches + 2):
        marks = [time.perf_counter()]
        with torch.no_grad():
            emulator.flux(parameters)
        marks.append(time.perf_counter())
        batch = exposures.batch(index, size)
        marks.append(time.perf_counter())
        spectra = preprocessing(batch.flux, batch.valid)
        marks.append(time.perf_counter())
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            loss = label_loss(encoder(spectra), normalizer.normalize(batch.labels))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        marks.append(time.perf_counter())
        emulated, made, prepared, trained = (b - a for a, b in itertools.pairwise(marks))
        # The first two batches only warm up; making a batch includes the emulator.
        if index >= 2:
            for name, value in zip(
                times, (emulated, made - emulated, prepared, trained), strict=True
            ):
                times[name].append(1e3 * value / size)

    print(f"{recipe.name}: batches of {size}, {recipe.optimization.precision}, "
          f"{arguments.threads} threads; medians of {arguments.batches} batches")  # fmt: skip
    total = 0.0
    for name, values in times.items():
        median = statistics.median(values)
        total += median
        print(f"  {name:14s} {median:6.2f} ms per spectrum")
    print(f"  {'together':14s} {total:6.2f} ms per spectrum = {1e3 / total:.0f} spectra/s")


if __name__ == "__main__":
    main()
