"""How fast a spectrum is computed from an opacity table, beside the sum over lines."""

from __future__ import annotations

import platform
import time
from pathlib import Path
from statistics import median

import numba
import numpy as np

from maury.benchmark import Benchmark
from maury.synthesis.atmosphere import model_atmosphere
from maury.synthesis.elements import abundances
from maury.synthesis.linelist import standard_lines
from maury.synthesis.opacity import OpacityTable
from maury.synthesis.synthesize import surface_flux

__all__ = ["STARS", "bench_synthesis"]

STARS = ((5777.0, 4.44), (4600.0, 4.5), (6500.0, 4.0), (7500.0, 4.0))  # Teff (K) and log g
VMIC = 1.0


def bench_synthesis(*, folder: Path | None = None, repeats: int = 3) -> Benchmark:
    """Full-range spectra (3785-6910 A in steps of 0.01 A) a second, on one core.

    The reference sums the same lines directly for each star. The table is made first where it is
    not on disk; how long that took is in the breakdown.

    Parameters
    ----------
    folder : Path, optional
        Where the table is kept; see `OpacityTable.cached`.
    repeats : int
        Turns of the fast side for each star, whose median counts; the slow side has one a star.
    """
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        began = time.perf_counter()
        table = OpacityTable.cached(vmic=VMIC, folder=folder)
        made = time.perf_counter() - began
        lines, abundance = standard_lines(), abundances()
        warm = model_atmosphere(*STARS[0], 0.0)
        table.flux(warm)
        surface_flux(table.wavelength[:2000], warm, abundance, lines, VMIC)
        fast, slow, errors = [], [], []
        for teff, logg in STARS:
            star = model_atmosphere(teff, logg, 0.0)
            turns = []
            for _ in range(repeats):
                began = time.perf_counter()
                flux, continuum = table.flux(star)
                turns.append(time.perf_counter() - began)
            fast.append(median(turns))
            began = time.perf_counter()
            exact, level = surface_flux(table.wavelength, star, abundance, lines, VMIC)
            slow.append(time.perf_counter() - began)
            errors.append(float(np.sqrt(np.mean((flux / continuum - exact / level) ** 2))))
    finally:
        numba.set_num_threads(threads)
    return Benchmark(
        name="synthesis",
        ours=len(STARS) / sum(fast),
        reference=len(STARS) / sum(slow),
        unit="spectra/s/core",
        conditions=f"{len(STARS)} stars of {STARS[1][0]:.0f}-{STARS[3][0]:.0f} K, 312,501 pixels, "
        f"median of {repeats} turns, one thread, {platform.machine()}; normalised fluxes differ by "
        f"an rms of {max(errors):.5f} at most; reference: direct sum over the lines",
        breakdown={"table": 1e3 * made, "spectrum": 1e3 * sum(fast) / len(STARS)},
    )
