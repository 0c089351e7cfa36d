"""How fast spectra are computed from tabulated opacities, beside the sum over lines."""

from __future__ import annotations

import platform
import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeVar

import numba
import numpy as np
import torch
from threadpoolctl import threadpool_limits

from maury.benchmark import Benchmark
from maury.synthesis.atmosphere import model_atmosphere
from maury.synthesis.elements import abundances
from maury.synthesis.linelist import standard_lines
from maury.synthesis.low_rank import LowRankOpacity
from maury.synthesis.low_rank_fit import cached_low_rank
from maury.synthesis.opacity import OpacityTable
from maury.synthesis.opacity_grid import OpacityGrid
from maury.synthesis.synthesize import COVERAGE, surface_flux

__all__ = ["STARS", "bench_synthesis"]

STARS = ((5777.0, 4.44), (4600.0, 4.5), (6500.0, 4.0), (7500.0, 4.0))  # Teff (K) and log g
MH, VMIC = 0.1, 1.5  # between tables
BATCH = 64  # spectra at a time where there is a GPU
Result = TypeVar("Result")


def bench_synthesis(
    *,
    span: tuple[float, float] = COVERAGE,
    low_rank: bool = False,
    folder: Path | None = None,
    repeats: int = 3,
) -> Benchmark:
    """Spectra in steps of 0.01 A a second, on one core, and the memory that all of it took.

    The reference sums the same lines directly for each star. The tables are made first where they
    are not on disk, with as many threads as numba has; how long that took is in the breakdown,
    beside the times of stars between tables and, if asked for, of the low-rank form.

    Parameters
    ----------
    span : tuple of float
        First and last wavelength, Angstrom in air.
    low_rank : bool
        Whether to measure the low-rank form too, which takes nine tables; on a GPU by its own
        events where there is one.
    folder : Path, optional
        Where tables are kept; see `OpacityTable.cached`.
    repeats : int
        Turns of the fast side for each star, whose median counts; the slow side has one a star.
    """
    grid = OpacityGrid(span=span, folder=folder)
    made, table = _timed(lambda: OpacityTable.cached(vmic=VMIC, span=span, folder=folder))
    for mh in (0.0, 0.25, -0.25):
        grid.table(mh)
    opacity = cached_low_rank(span=span, folder=folder) if low_rank else None
    breakdown = {"table": 1e3 * made}
    notes = []
    threads = numba.get_num_threads()
    torch_threads = torch.get_num_threads()
    numba.set_num_threads(1)
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            fast, slow, error = _against_direct_sum(table, repeats)
            between = [
                _turns(partial(grid.flux, teff, logg, MH, VMIC), repeats) for teff, logg in STARS
            ]
            breakdown["spectrum"] = 1e3 * fast
            breakdown["spectrum between tables"] = 1e3 * float(np.mean(between))
            if opacity is not None:
                breakdown["low-rank spectrum"] = 1e3 * _low_rank(opacity, repeats)
                breakdown["low-rank spectrum and gradients"] = 1e3 * _low_rank(
                    opacity, repeats, gradients=True
                )
                apart = max(_difference(opacity, grid, *star) for star in STARS)
                notes.append(
                    f"low-rank form of {opacity.card['rank']} components, stars one by one, "
                    f"by {apart:.5f} at most from the tables'"
                )
    finally:
        numba.set_num_threads(threads)
        torch.set_num_threads(torch_threads)
    if opacity is not None and torch.cuda.is_available():
        breakdown["low-rank spectrum on the GPU"] = 1e3 * _on_gpu(opacity, repeats)
        notes.append(f"{torch.cuda.get_device_name()} in batches of {BATCH}, by device events")
    return Benchmark(
        name="synthesis",
        ours=1 / fast,
        reference=1 / slow,
        unit="spectra/s/core",
        conditions=f"{len(STARS)} stars of {STARS[1][0]:.0f}-{STARS[3][0]:.0f} K, "
        f"{table.wavelength.size:,} pixels, median of {repeats} turns, one thread, "
        f"{platform.machine()}; normalised fluxes differ by an rms of {error:.5f} at most; "
        + "".join(f"{note}; " for note in notes)
        + f"peak memory {_peak_memory():.1f} GiB, mapped tables included; "
        + "reference: direct sum over the lines",
        breakdown=breakdown,
    )


def _timed(work: Callable[[], Result]) -> tuple[float, Result]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def _turns(work: Callable[[], object], repeats: int) -> float:
    """Median time of a piece of work, after one more turn that does not count."""
    work()
    return median(_timed(work)[0] for _ in range(repeats))


def _against_direct_sum(table: OpacityTable, repeats: int) -> tuple[float, float, float]:
    """Seconds for a spectrum from the table and by the direct sum, and their largest difference."""
    lines, abundance = standard_lines(), abundances()
    surface_flux(table.wavelength[:2000], model_atmosphere(*STARS[0], 0.0), abundance, lines, VMIC)
    fast, slow, errors = [], [], []
    for teff, logg in STARS:
        star = model_atmosphere(teff, logg, 0.0)
        fast.append(_turns(partial(table.flux, star), repeats))
        flux, continuum = table.flux(star)
        direct = partial(surface_flux, table.wavelength, star, abundance, lines, VMIC)
        seconds, (exact, level) = _timed(direct)
        slow.append(seconds)
        errors.append(float(np.sqrt(np.mean((flux / continuum - exact / level) ** 2))))
    return float(np.mean(fast)), float(np.mean(slow)), max(errors)


def _low_rank(opacity: LowRankOpacity, repeats: int, gradients: bool = False) -> float:
    """Seconds for a spectrum of one star at a time on the CPU."""
    seconds = []
    for teff, logg in STARS:
        labels = torch.tensor([[teff, logg, MH, VMIC]], requires_grad=gradients)

        def work(labels: torch.Tensor = labels) -> None:
            with torch.set_grad_enabled(gradients):
                flux = opacity.flux(labels)
            if gradients:
                flux.sum().backward()

        seconds.append(_turns(work, repeats))
    return float(np.mean(seconds))


def _difference(opacity: LowRankOpacity, grid: OpacityGrid, teff: float, logg: float) -> float:
    """Rms of a normalised flux of low rank less that of the tables."""
    flux, continuum = grid.flux(teff, logg, MH, VMIC)
    with torch.no_grad():
        low = opacity.flux(torch.tensor([[teff, logg, MH, VMIC]]))[0].numpy()
    return float(np.sqrt(np.mean((low - flux / continuum) ** 2)))


def _peak_memory() -> float:
    """Of this process until now, GiB."""
    # Bytes on macOS, kilobytes elsewhere.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1024**3


def _on_gpu(opacity: LowRankOpacity, repeats: int) -> float:
    """Seconds for a spectrum in a batch, by the device's own events."""
    opacity = opacity.to("cuda")
    labels = torch.tensor([[*star, MH, VMIC] for star in STARS], device="cuda")
    labels = labels.repeat(BATCH // len(STARS), 1)
    seconds = []
    with torch.no_grad():
        for _ in range(repeats + 1):
            began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            began.record()
            opacity.flux(labels)
            ended.record()
            torch.cuda.synchronize()
            seconds.append(began.elapsed_time(ended) / 1e3 / BATCH)
    return median(seconds[1:])
