"""Peak memory of what the synthesis does at its defaults, over the whole range on a CPU.

Each is done in a process of its own, whose peak resident size the system tells: pages of tables
mapped from disk count, and so does what Python and torch take by themselves. Tables are made, and
the low-rank form is fitted, where they are not on disk; the two that make one make it anew, in a
folder of their own.

    python benchmarks/memory.py --folder TABLES
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from maury.synthesis.low_rank_fit import RANK, cached_low_rank, fit_low_rank
from maury.synthesis.opacity import OpacityTable
from maury.synthesis.opacity_grid import OpacityGrid
from maury.synthesis.synthesize import synthesize

STAR = {"teff": 3800.0, "logg": 4.5, "mh": 0.1, "vmic": 1.5}
GIB = 1024**2  # in the units of ru_maxrss, kB
LIMIT = 6.0  # GiB


def direct(folder: Path | None) -> None:
    synthesize(**STAR)


def table(folder: Path | None) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as own:
        OpacityTable.cached(folder=Path(own))


def table_spectrum(folder: Path | None) -> None:
    OpacityGrid(folder=folder).flux(*STAR.values())


def low_rank_fit(folder: Path | None) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as own:
        fit_low_rank([OpacityGrid(folder=folder)], RANK).save(Path(own) / "opacity")


def low_rank_spectrum(folder: Path | None, gradients: bool = False) -> None:
    opacity = cached_low_rank(folder=folder)
    labels = torch.tensor([list(STAR.values())], requires_grad=gradients)
    flux = opacity.flux(labels)
    if gradients:
        flux.sum().backward()


def low_rank_gradients(folder: Path | None) -> None:
    low_rank_spectrum(folder, gradients=True)


TASKS = {
    "direct sum": direct,
    "a table": table,
    "a spectrum from tables": table_spectrum,
    "the low-rank fit": low_rank_fit,
    "a low-rank spectrum": low_rank_spectrum,
    "a low-rank spectrum with gradients": low_rank_gradients,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where tables are kept")
    parser.add_argument("--only", choices=TASKS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        began = time.perf_counter()
        TASKS[given.only](given.folder)
        print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        return
    OpacityGrid(folder=given.folder).table(0.0)
    cached_low_rank(folder=given.folder)
    print(f"{'':36}  peak GiB  seconds")
    for name in TASKS:
        command = [sys.executable, __file__, "--only", name]
        command += ["--folder", str(given.folder)] if given.folder else []
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        seconds, peak = map(float, printed.split()[-2:])
        over = "" if peak / GIB < LIMIT else f"  over {LIMIT:g} GiB"
        print(f"{name:36}  {peak / GIB:8.2f}  {seconds:7.1f}{over}", flush=True)


if __name__ == "__main__":
    main()
