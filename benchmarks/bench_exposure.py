"""Print how many exposures a second one core simulates, and where the time goes.

Run as ``python benchmarks/bench_exposure.py``.
"""

import time
from collections.abc import Callable

import numpy as np
import torch

from maury.grid import HARPS_SMALL
from maury.instrument import ExposureSimulator
from maury.wavelength import SPEED_OF_LIGHT

BATCH = 32
REPEATS = 8


def seconds(function: Callable[[], object]) -> float:
    """Fastest of several runs, seconds per spectrum."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times) / BATCH


@torch.no_grad()
def main() -> None:
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    count = int(np.log(6930 / 4780) * SPEED_OF_LIGHT)
    wavelength = 4780 * np.exp(np.arange(count) / SPEED_OF_LIGHT)
    simulator = ExposureSimulator(HARPS_SMALL, wavelength)
    flux = 1 - 0.5 * torch.rand(BATCH, count, generator=generator)
    share = torch.rand(7, BATCH, generator=generator)
    earth = {"berv": 60 * share[1] - 30, "airmass": 1 + share[2], "pwv": 10 * share[3]}
    star = {"vsini": 20 * share[4], "vmac": 5 * share[5]}
    rv, snr = 200 * share[0] - 100, 20 + 300 * share[6]
    continuum = torch.ones(BATCH, HARPS_SMALL.size)
    part = flux[:, simulator.part]
    pixels = simulator.response(part)
    steps = {
        "rotation, macroturbulence, velocity": lambda: simulator.broadening(
            part, velocity=rv, **star
        ),
        "tellurics": lambda: simulator.telluric(**earth),
        "line-spread function and pixels": lambda: simulator.response(part),
        "noise level": lambda: simulator.noise(pixels, snr=snr, continuum=continuum),
        "random numbers": lambda: torch.empty_like(pixels).normal_(generator=generator),
        "validity": lambda: simulator.valid(rv=rv, berv=earth["berv"]),
    }
    for name, function in steps.items():
        print(f"{name:40} {1e3 * seconds(function):6.2f} ms")
    whole = seconds(
        lambda: simulator(
            flux, rv=rv, snr=snr, continuum=continuum, generator=generator, **earth, **star
        )
    )
    print(f"{'all':40} {1e3 * whole:6.2f} ms")
    print(f"{1 / whole:.0f} exposures/s on one core, {count} -> {HARPS_SMALL.size} pixels")


if __name__ == "__main__":
    main()
