"""Errors of opacity tables and of their low-rank form against the direct sum, star by star.

Random stars, evenly in Teff, log g, [M/H] and microturbulence; every other one is cool, of 3000 to
4500 K. For each window the tables are made, and the low-rank form is fitted, where they are not on
disk; the whole range takes nine tables of two minutes and 470 MB each, the fit some minutes, and
then every star half a minute.

    python benchmarks/opacity_errors.py --windows 3900-3930,5150-5180,6100-6130 --seed 5
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from maury.synthesis.atmosphere import model_atmosphere
from maury.synthesis.elements import abundances
from maury.synthesis.linelist import standard_lines
from maury.synthesis.low_rank import LOWER, UPPER
from maury.synthesis.low_rank_fit import RANK, cached_low_rank, fit_low_rank
from maury.synthesis.opacity_grid import OpacityGrid
from maury.synthesis.synthesize import COVERAGE, surface_flux

COOL = 4500.0  # K: the hottest of every other star


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", help="Angstrom, air, by commas; the whole range if left out")
    parser.add_argument("--stars", type=int, default=20)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--rank", type=int, default=RANK)
    parser.add_argument("--folder", type=Path, help="where tables are kept")
    given = parser.parse_args()
    spans = [COVERAGE]
    if given.windows:
        spans = [tuple(map(float, window.split("-"))) for window in given.windows.split(",")]
    grids = [OpacityGrid(span=(low, high), folder=given.folder) for low, high in spans]
    if len(spans) == 1:
        opacity = cached_low_rank(rank=given.rank, span=spans[0], folder=given.folder)
    else:
        opacity = fit_low_rank(grids, given.rank)
    print(
        f"{opacity.wavelength.numel()} pixels, {given.rank} components; rms and largest difference "
        "of normalised flux, and of the continuum's ratio from 1"
    )
    print("   Teff  logg  [M/H]  vmic    table: rms     max   cont   low-rank: rms     max    cont")
    rng = np.random.default_rng(given.seed)
    rows = []
    for number in range(given.stars):
        upper = (COOL, *UPPER[1:]) if number % 2 else UPPER
        teff, logg, mh, vmic = star = rng.uniform(LOWER, upper)
        atmosphere, abundance = model_atmosphere(teff, logg, mh), abundances(mh)
        exact = [
            surface_flux(grid.wavelength, atmosphere, abundance, standard_lines(), vmic)
            for grid in grids
        ]
        flux, continuum = (np.concatenate(part) for part in zip(*exact, strict=True))
        table = (np.concatenate(p) for p in zip(*(g.flux(*star) for g in grids), strict=True))
        with torch.no_grad():
            low = opacity.surface_flux(torch.tensor(np.array([star]), dtype=torch.float32))
        row = []
        for other, level in (tuple(table), tuple(part[0].numpy() for part in low)):
            difference = other / level - flux / continuum
            row += [
                np.sqrt(np.mean(difference**2)),
                np.abs(difference).max(),
                np.abs(level / continuum - 1).max(),
            ]
        rows.append(row)
        numbers = "  ".join(f"{value:7.5f}" for value in row)
        print(f"{teff:7.0f}  {logg:4.2f}  {mh:5.2f}  {vmic:4.2f}        {numbers}", flush=True)
    for name, reduce in (("median", np.median), ("largest", np.max)):
        numbers = "  ".join(f"{value:7.5f}" for value in reduce(rows, axis=0))
        print(f"{name:>25}        {numbers}")


if __name__ == "__main__":
    main()
