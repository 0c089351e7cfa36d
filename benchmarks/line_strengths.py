"""Fit real stars with lines as the laboratory has them and as the Sun corrects them.

Run as ``python benchmarks/line_strengths.py EMULATOR [FOLDER]``. EMULATOR has lines of their
original strengths, as ``python -m maury.data.make_emulator WORK --original`` writes it
(``WORK/emulator.json``); the other one is that of the package. The folder, by default
``../shared/data/spectra`` beside the checkout, has a ``manifest.csv`` as `literature.py` describes.
Medians over the exposures of each star.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from statistics import median

import maury
from maury.inference.predictor import Predictor
from maury.synthesis.emulator import Emulator

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data" / "spectra"
LABELS = {"teff": ("teff_K", ".0f"), "logg": ("logg", ".2f"), "mh": ("mh", "+.2f")}
STARS = ("HD128621", "HD189733", "Sun")


def main() -> None:
    """Print the table."""
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else FOLDER
    with (folder / "manifest.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["star"] in STARS]
    calibrated = maury.load()
    predictors = {
        "original": Predictor(calibrated.estimator, Emulator.load(sys.argv[1])),
        "calibrated": calibrated,
    }
    print("| star | lines | Teff (K) | log g | [M/H] | residual |")
    print("|---|---|---|---|---|---|")
    for star in STARS:
        files = [row for row in rows if row["star"] == star]
        known = [f"{float(files[0][column]):{form}}" for column, form in LABELS.values()]
        print(f"| {star} ({len(files)}) | literature | {' | '.join(known)} | |")
        for name, predictor in predictors.items():
            found, residuals = [], []
            for row in files:
                spectrum = maury.read(folder / row["file"])
                fit = predictor.fitter(spectrum)[0].fit(spectrum)
                found.append(fit.values)
                residuals.append(fit.residual)
            cells = [
                f"{median(one[label] for one in found):{form}}"
                for label, (_, form) in LABELS.items()
            ]
            print(f"| | {name} | {' | '.join(cells)} | {median(residuals):.4f} |", flush=True)


if __name__ == "__main__":
    main()
