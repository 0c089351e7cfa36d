"""Print how far our spectra are from Turbospectrum's, and how long they take.

Run as ``python benchmarks/turbospectrum.py [--own-hydrogen] [FOLDER]``; the folder, by default
``../shared/fixtures/turbospectrum``, holds spectra by Turbospectrum 20.1 (its README tells how they
were made). Abundances and microturbulence are those of each file, the electrons, as there, those of
the model atmosphere, and the lines those that it was given. Photoionisation of hydrogen is as there
too, see `continuum_of_the_reference`, or ours with ``--own-hydrogen``.

One line a star: rms of the difference in normalised flux at native resolution and, in brackets,
after smoothing it by a Gaussian of 0.02 A; then the mean and the worst difference of the absolute
flux averaged over 100 A.
"""

import argparse
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d

from maury.synthesis.atmosphere import model_atmosphere
from maury.synthesis.constants import BOLTZMANN_EV, RYDBERG_H_EV, SECOND_RADIATION
from maury.synthesis.continuum import continuum_opacity, hydrogen_photoionization
from maury.synthesis.damping import UNSOLD_EXPONENT
from maury.synthesis.elements import abundances
from maury.synthesis.equation_of_state import Gas
from maury.synthesis.hydrogen import occupation
from maury.synthesis.linelist import LineList, merge_lines, standard_lines
from maury.synthesis.synthesize import surface_flux

FOLDER = Path(__file__).resolve().parents[2] / "shared/fixtures/turbospectrum"
RANGES = ((3785, 4200), (4200, 4800), (4800, 6900), (4200, 6900))
SMOOTHING = 0.02  # Angstrom, standard deviation
WIDE = 100.0  # Angstrom
# Of n = 3 to 6: the wavelengths (Angstrom) and Gaunt factors that Turbospectrum starts from.
FIRST_GAUNT = {
    3: ((222, 316, 424), (1.053, 1.072, 1.081)),
    4: ((224, 321, 434), (1.056, 1.077, 1.087)),
    5: ((226, 324, 438), (1.058, 1.080, 1.090)),
    6: ((226, 325, 441), (1.059, 1.081, 1.092)),
}
MOLECULES = ("CH", "NH", "OH", "MgH", "SiH", "C2", "CN")


@dataclass(frozen=True, eq=False)
class Comparison:
    """A star by both codes.

    Attributes
    ----------
    star
        Teff, log g and [M/H].
    wavelength
        Angstrom in air, shape (pixel,).
    difference
        Our normalised flux less theirs, shape (pixel,).
    brighter
        Our absolute flux over theirs, less 1, of means over 100 A, shape (mean,).
    seconds
        What ours took.
    """

    star: tuple[float, float, float]
    wavelength: np.ndarray
    difference: np.ndarray
    brighter: np.ndarray
    seconds: float

    def rms(self, lower: float, upper: float, smoothing: float = 0.0) -> float:
        """Of the difference, from ``lower`` to ``upper`` Angstrom."""
        step = self.wavelength[1] - self.wavelength[0]
        smooth = (
            gaussian_filter1d(self.difference, smoothing / step) if smoothing else self.difference
        )
        inside = (self.wavelength >= lower) & (self.wavelength < upper)
        return float(np.sqrt(np.mean(smooth[inside] ** 2)))


def lines_of_the_reference() -> LineList:
    """The embedded lines as Turbospectrum was given them.

    No TiO and FeH. Atoms below 4200 A are from linemake: those from 3980 to 4020 A stand there
    twice, since its files overlap. With the FDAMP of 0 that they were given, by which Turbospectrum
    multiplies Unsold's width, those that no theory of van der Waals damping covers have none; and
    with a statistical weight of 1, its radiative damping is 6.669e15 gf / lambda^2 s-1.
    """
    lines = standard_lines(calibrated=False)
    atomic = np.array([" " in name for name in lines.species])
    given = atomic | np.isin(lines.species, MOLECULES)
    lines = lines.select(given[lines.species_index])
    doubled = atomic[lines.species_index] & (np.abs(lines.wavelength - 4000) < 20)
    twice = lines.select(doubled)
    columns = (twice.species_index, twice.wavelength, twice.excitation, twice.log_gf, twice.mass)
    _, once = np.unique(np.stack(columns), axis=1, return_index=True)
    twice = twice.select(once)
    lines = merge_lines(merge_lines(lines.select(~doubled), twice, "add"), twice, "add")
    blue = atomic[lines.species_index] & (lines.wavelength < 4200)
    unsold = blue & np.isclose(lines.vdw_exponent, UNSOLD_EXPONENT, atol=1e-3)
    radiative = 6.669e15 * 10**lines.log_gf / lines.wavelength**2
    return replace(
        lines,
        gamma_vdw=np.where(unsold, 0.0, lines.gamma_vdw),
        gamma_rad=np.where(blue, radiative, lines.gamma_rad),
    )


def continuum_of_the_reference(wavelength: np.ndarray, gas: Gas) -> np.ndarray:
    """Our continuous opacity, but H I photoionised as in Turbospectrum's ``hbop.f``.

    Only n = 6 and below are ionised there, and the Gaunt factors, whose tables (Karzas & Latter
    1961) go to the edges, are extrapolated by a parabola through the first three entries of each,
    in the far ultraviolet: its search for the interval stops at the first one. At 5000 A they are
    5% (n = 3) to 16% (n = 5) below the tables' own.
    """
    temperature = gas.temperature[:, None]
    theirs = np.zeros((temperature.size, wavelength.size))
    for n, first in FIRST_GAUNT.items():
        gaunt = 10 ** np.polyval(np.polyfit(*np.log10(first), 2), np.log10(wavelength))
        boltzmann = np.exp(-RYDBERG_H_EV * (1 - 1 / n**2) / (BOLTZMANN_EV * temperature))
        surviving = 2 * n**2 * boltzmann * occupation(float(n), gas)[:, None]
        theirs += surviving * 1.044e-26 * gaunt * wavelength**3 / n**5
    stimulated = 1 - np.exp(-SECOND_RADIATION / (wavelength * temperature))
    theirs *= gas.per_state("H I")[:, None] * stimulated
    return continuum_opacity(wavelength, gas) - hydrogen_photoionization(wavelength, gas) + theirs


def compare(path: Path, lines: LineList, *, own_hydrogen: bool = False) -> Comparison:
    """Compute the star of a file and compare."""
    with np.load(path) as file:
        wavelength = file["wave0"] + file["dwave"] * np.arange(file["norm"].size)
        elements = zip(file["abund_el"], file["abund"], strict=True)
        abundance = {str(element): 10.0 ** (float(value) - 12) for element, value in elements}
        teff, logg, mh = (float(file[name]) for name in ("teff", "logg", "mh"))
        vmic, theirs = float(file["vmic"]), file["norm"].astype(np.float64)
        their_flux = file["flux"].astype(np.float64)
    start = time.perf_counter()
    flux, continuum = surface_flux(
        wavelength,
        model_atmosphere(teff, logg, mh),
        abundance,
        lines,
        vmic,
        electrons_of_model=True,
        continuous=continuum_opacity if own_hydrogen else continuum_of_the_reference,
    )
    seconds = time.perf_counter() - start
    part = ((wavelength - wavelength[0]) / WIDE).astype(int)
    brighter = np.bincount(part, flux) / np.bincount(part, their_flux) - 1
    return Comparison((teff, logg, mh), wavelength, flux / continuum - theirs, brighter, seconds)


def main() -> None:
    """Compare with every spectrum of the folder."""
    parser = argparse.ArgumentParser(description="Compare with every spectrum of a folder.")
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    parser.add_argument("--own-hydrogen", action="store_true", help="keep our photoionisation")
    asked = parser.parse_args()
    paths = sorted(asked.folder.glob("*.npz"), key=lambda path: int(path.name.split("_")[1]))
    if not paths:
        sys.exit(f"{asked.folder} holds no spectra to compare with.")
    lines = lines_of_the_reference()
    # The first synthesis compiles the kernels: leave that out of the times.
    window, sun = np.array([5000.0, 5000.1]), model_atmosphere(5777, 4.44, 0.0)
    surface_flux(window, sun, abundances(), lines, 1.0, electrons_of_model=True)
    titles = [f"{lower}-{upper} A" for lower, upper in RANGES]
    print(f"| Teff, log g, [M/H] | {' | '.join(titles)} | absolute flux | s |")
    print("|---" * (len(RANGES) + 3) + "|")
    for path in paths:
        result = compare(path, lines, own_hydrogen=asked.own_hydrogen)
        teff, logg, mh = result.star
        cells = [f"{teff:.0f} K, {logg:.2f}, {mh:+.1f}"]
        cells += [f"{result.rms(*r):.4f} ({result.rms(*r, SMOOTHING):.4f})" for r in RANGES]
        worst = int(np.abs(result.brighter).argmax())
        at = result.wavelength[0] + WIDE * worst
        cells.append(
            f"{result.brighter.mean():+.1%}, {result.brighter[worst]:+.1%} from {at:.0f} A"
        )
        print(f"| {' | '.join(cells)} | {result.seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
