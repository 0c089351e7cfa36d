"""Synthesise the training spectra and write the emulator that comes with the package.

Run as ``python -m maury.data.make_emulator FOLDER``, which keeps the spectra, so that a killed run
goes on where it was. Rerun it, in an empty folder, whenever the physics or the lines change. With
``--original`` the lines keep the strengths of the laboratory, and the emulator goes into FOLDER:
``benchmarks/line_strengths.py`` compares the two.
"""

import sys
from pathlib import Path

import numpy as np
from rich.progress import track

from maury.synthesis.emulator import STANDARD
from maury.synthesis.emulator_training import compute_spectra, design, fit_emulator

TRAINING, KEPT_ASIDE = 1280, 48
COMPONENTS = 64


def main() -> None:
    """Compute what is missing in the folder, fit, report the errors and write."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--original"]
    calibrated = len(arguments) == len(sys.argv) - 1
    folder = Path(arguments[0])
    labels = np.concatenate([design(TRAINING, seed=1), design(KEPT_ASIDE, seed=2)])
    done = compute_spectra(labels, folder, workers=2, calibrated=calibrated)
    for _ in track(done, total=len(labels) + 1):
        pass
    spectra = np.stack([np.load(folder / f"{i:05d}.npy") for i in range(len(labels))])
    emulator = fit_emulator(
        labels, spectra.astype(np.float32) / 65535, components=COMPONENTS, kept_aside=KEPT_ASIDE,
        calibrated=calibrated,
    )  # fmt: skip
    emulator.save(Path(__file__).parent / STANDARD if calibrated else folder / "emulator")
    print(emulator.card)


if __name__ == "__main__":
    main()
