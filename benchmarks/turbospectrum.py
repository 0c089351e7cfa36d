"""Print how far our spectra are from Turbospectrum's, and how long they take.

Run as ``python benchmarks/turbospectrum.py [FOLDER]``; the folder, by default
``../shared/fixtures/turbospectrum``, holds spectra by Turbospectrum 20.1 (its README tells how they
were made). Abundances and microturbulence are those of each file, the line strengths those of the
laboratory. Both spectra are smoothed by a Gaussian of 0.02 A, as no instrument resolves more.
"""

import sys
import time
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter1d

from maury.synthesis.atmosphere import model_atmosphere
from maury.synthesis.elements import abundances
from maury.synthesis.linelist import standard_lines
from maury.synthesis.synthesize import surface_flux

FOLDER = Path(__file__).resolve().parents[2] / "shared/fixtures/turbospectrum"
RANGES = ((3785, 4200), (4200, 4800), (4800, 6800), (6800, 6910))
SMOOTHING = 0.02  # Angstrom, standard deviation


def compare(path: Path) -> None:
    """Print one line of the table."""
    with np.load(path) as file:
        wavelength = file["wave0"] + file["dwave"] * np.arange(file["norm"].size)
        elements = zip(file["abund_el"], file["abund"], strict=True)
        abundance = {str(element): 10.0 ** (float(value) - 12) for element, value in elements}
        labels = [float(file[name]) for name in ("teff", "logg", "mh")]
        vmic, theirs, their_flux = float(file["vmic"]), file["norm"], file["flux"]
    lines = standard_lines(calibrated=False)
    start = time.perf_counter()
    flux, continuum = surface_flux(wavelength, model_atmosphere(*labels), abundance, lines, vmic)
    seconds = time.perf_counter() - start
    width = SMOOTHING / (wavelength[1] - wavelength[0])
    difference = gaussian_filter1d(flux / continuum, width) - gaussian_filter1d(theirs, width)
    cells = [f"{labels[0]:.0f} K, {labels[1]:.2f}, {labels[2]:+.1f}"]
    for lower, upper in RANGES:
        inside = (wavelength >= lower) & (wavelength < upper)
        rms = np.sqrt(np.mean(difference[inside] ** 2))
        brighter = np.median(flux[inside] / their_flux[inside]) - 1
        cells.append(f"{rms:.4f} ({brighter:+.1%})")
    print(f"| {' | '.join(cells)} | {seconds:.1f} |", flush=True)


def main() -> None:
    """Compare with every spectrum of the folder."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    paths = sorted(folder.glob("*.npz"), key=lambda path: int(path.name.split("_")[1]))
    if not paths:
        sys.exit(f"{folder} holds no spectra to compare with.")
    # The first synthesis compiles the kernels: leave that out of the times.
    window = np.array([5000.0, 5000.1])
    surface_flux(
        window, model_atmosphere(5777, 4.44, 0.0), abundances(), standard_lines(False), 1.0
    )
    titles = [f"{lower}-{upper} A" for lower, upper in RANGES]
    print(f"| Teff, log g, [M/H] | {' | '.join(titles)} | s |")
    print("|---" * (len(RANGES) + 2) + "|")
    for path in paths:
        compare(path)


if __name__ == "__main__":
    main()
