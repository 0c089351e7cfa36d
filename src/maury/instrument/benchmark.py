"""How fast exposures are simulated, beside Appendix A in plain NumPy."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from maury.benchmark import Benchmark
from maury.grid import HARPS as GRID
from maury.instrument.calculator import ExposureCalculator
from maury.instrument.exposure_kernels import BLOCK, normals
from maury.instrument.normals import NormalSource
from maury.instrument.photoelectrons import Photoelectrons
from maury.instrument.settings import Settings
from maury.wavelength import SPEED_OF_LIGHT

__all__ = ["appendix_a", "bench_simulator", "stored_terms"]

BATCH = 16
Arrays = dict[str, NDArray[np.float64]]


def stored_terms(terms: Photoelectrons, unshifted: NDArray[np.float64]) -> Arrays:
    """What the paper stores of one spectrum (item 8 of Appendix A), NaN where no order is."""

    def row(values: torch.Tensor) -> NDArray[np.float64]:
        return values.expand(1, GRID.size)[0].double().numpy()

    stored: Arrays = {"sed": unshifted}
    target = row(terms.target_sed)
    for half in ("a", "b"):
        weight = row(getattr(terms, f"weight_{half}"))
        there = weight > 0
        signal, sky = row(getattr(terms, f"signal_{half}")), row(getattr(terms, f"sky_{half}"))
        for name, value in {
            "throughput": signal / target,
            "sky": sky,
            "h": weight,
            "n": row(terms.detector_variance),
        }.items():
            stored[f"{name}_{half}"] = np.where(there, value, np.nan)
    return stored


def appendix_a(
    stored: Arrays, rv: float, generator: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The paper's run-time path, item by item: shift, multiply, Eqs. A.1 and A.2, draw.

    Returns the noisy flux and the mean, NaN where no order is. Non-relativistic shift and linear
    interpolation, as published; no shift by BERV, and nothing of the night can be changed.
    """
    wavelength = GRID.wavelength
    sed = np.interp(wavelength, wavelength * (1 + rv / SPEED_OF_LIGHT), stored["sed"])
    signal = {half: stored[f"throughput_{half}"] * sed for half in "ab"}
    there = {half: ~np.isnan(stored[f"h_{half}"]) for half in "ab"}
    mean, variance = np.full(GRID.size, np.nan), np.full(GRID.size, np.nan)
    for half, other in ("ab", "ba"):
        alone = there[half] & ~there[other]
        h, n = stored[f"h_{half}"][alone], stored[f"n_{half}"][alone]
        mean[alone] = signal[half][alone] / h
        variance[alone] = (signal[half][alone] + stored[f"sky_{half}"][alone] + n) / h**2
    both = there["a"] & there["b"]
    h_a, h_b = stored["h_a"][both], stored["h_b"][both]
    mean[both] = (signal["a"][both] / h_a + signal["b"][both] / h_b) / 2
    variance[both] = (
        (signal["a"][both] + stored["sky_a"][both] + stored["n_a"][both]) / h_a**2
        + (signal["b"][both] + stored["sky_b"][both] + stored["n_b"][both]) / h_b**2
    ) / 2**2
    return generator.normal(mean, np.sqrt(variance)), mean


def bench_simulator(*, repeats: int = 5) -> Benchmark:
    """Noisy exposures on HARPS's full grid a second, on one core.

    Ours include the shifts by radial velocity and BERV, tellurics, extinction, sky, seeing and
    noise; the reference has all but the radial velocity and the noise done beforehand.

    Parameters
    ----------
    repeats : int
        Turns, whose median counts.
    """
    calculator = ExposureCalculator(GRID)
    random, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    ranges = {
        "magnitude": (3, 12), "exposure": (10, 3600), "airmass": (1, 2.9), "pwv": (0.05, 30),
        "moon": (0, 1), "seeing": (0.5, 2), "rv": (-100, 100), "berv": (-30, 30),
    }  # fmt: skip
    drawn: dict[str, Any] = {
        name: torch.tensor(random.uniform(*span, BATCH)) for name, span in ranges.items()
    }
    settings = Settings(**drawn)
    lines = torch.tensor(random.uniform(size=(BATCH, GRID.size // 32, 1)), dtype=torch.float32)
    stars = 1 - 0.5 * lines.expand(-1, -1, 32).reshape(BATCH, GRID.size)
    fixed = Settings(rv=0.0, berv=0.0)
    terms = calculator.photoelectrons(stars[:1], fixed)
    stored = stored_terms(terms, terms.target_sed[0].double().numpy())
    flux_v, out = stars @ calculator.v_response, torch.zeros_like(stars)

    def ours() -> None:
        calculator(stars, settings, flux_v=flux_v, generator=generator, uncertainty=False, out=out)

    def reference() -> None:
        for rv in random.uniform(-100, 100, 3):
            appendix_a(stored, float(rv), random)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        ours()
        reference()
        turns = [(_seconds(ours) / BATCH, _seconds(reference) / 3) for _ in range(repeats)]
        source, numbers = NormalSource(0), np.zeros(GRID.size // BLOCK * BLOCK, dtype=np.float32)
        normals(source.state, source.room, numbers)
        drawing = _seconds(
            lambda: [normals(source.state, source.room, numbers) for _ in range(BATCH)]
        )
    finally:
        torch.set_num_threads(threads)
    fast, slow = (median(times) for times in zip(*turns, strict=True))
    return Benchmark(
        name="simulator",
        ours=1 / fast,
        reference=1 / slow,
        unit="exposures/s/core",
        conditions=f"{GRID.size:,} pixels, batches of {BATCH}, median of {repeats} turns, one "
        f"thread, processor time, {platform.machine()}; reference: Appendix A in NumPy, without "
        "BERV and with atmosphere, sky and instrument computed beforehand",
        breakdown={"exposure": 1e3 * fast, "its random numbers": 1e3 * drawing / BATCH},
    )


def _seconds(work: Callable[[], object]) -> float:
    """Of the processor: both sides have one thread, and others may want the core too."""
    began = time.process_time()
    work()
    return time.process_time() - began
