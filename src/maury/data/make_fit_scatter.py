"""Measure how far the fit is off on simulated exposures, and write it into the emulator's card.

Run as ``python -m maury.data.make_fit_scatter`` after `maury.data.make_emulator`. The exposures
are those that the network trains on: line strengths, model errors and continua are disturbed
beyond what the calibration on the Sun leaves, so that the scatter stands for systematic errors.
"""

import json
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from maury.datasets.simulated import SimulatedExposures
from maury.grid import WavelengthGrid
from maury.inference.fit import SOLAR_LINE_SHIFT, Fitter
from maury.inference.telluric_fit import fit_tellurics
from maury.labels import HARPS_LABELS
from maury.spectrum import Observation, Spectrum
from maury.synthesis.emulator import STANDARD, Emulator
from maury.training.recipe import DisturbedExposures
from maury.training.recipe_file import read_recipe

GRID = WavelengthGrid(start=4795.0, step=0.02, size=105_800, name="fit-validation")
BATCHES, BATCH = 24, 4
NAMES = HARPS_LABELS.names
# Scatter of the first guess about the truth: what a network trained on simulations reaches.
GUESS = {"teff": 120.0, "logg": 0.2, "mh": 0.1}


def main() -> None:
    """Fit the exposures, print the scatter, and write the card."""
    torch.set_num_threads(1)
    recipe = read_recipe("harps-small")
    assert isinstance(recipe.data.simulated, DisturbedExposures)
    distributions = recipe.data.simulated.distributions
    damage = distributions.damage.model_copy(update={"crop": 0.0})
    simulation = distributions.model_copy(update={"damage": damage})
    emulator = Emulator.load()
    exposures = SimulatedExposures(emulator, GRID, HARPS_LABELS, simulation, seed=7)
    fitter = Fitter(emulator)
    random = np.random.default_rng(7)
    off: dict[str, list[float]] = {name: [] for name in NAMES}
    sigma: dict[str, list[float]] = {name: [] for name in NAMES[:4]}
    for index in track(range(BATCHES)):
        batch = exposures.batch(index, BATCH, stream="test")
        for flux, valid, labels in zip(batch.flux, batch.valid, batch.labels, strict=True):
            truth = dict(zip(NAMES, labels.tolist(), strict=True))
            spectrum = Spectrum(
                wavelength=GRID.wavelength.copy(), flux=flux.double().numpy(), uncertainty=None,
                mask=~valid.numpy(), medium="air", frame="barycentric", meta=Observation(),
            )  # fmt: skip
            guess = {name: truth[name] + random.normal(0, size) for name, size in GUESS.items()}
            fit = fitter.fit(spectrum, guess)
            found = {**fit.values, "rv": fit.values["rv"] + SOLAR_LINE_SHIFT}
            tellurics = fit_tellurics(spectrum, fit, fitter)
            if tellurics is not None:
                found |= {"berv": tellurics.berv, "airmass": tellurics.airmass}
            for name in NAMES:
                if name in found:
                    off[name].append(found[name] - truth[name])
            for name in sigma:
                sigma[name].append(fit.errors[name])
    scatter = {name: 1.4826 * float(np.median(np.abs(values))) for name, values in off.items()}
    for name, values in off.items():
        print(
            f"{name}: scatter {scatter[name]:.4g}, "
            f"90% within {np.quantile(np.abs(values), 0.9):.4g}, "
            f"median error {np.median(values):+.3g}, "
            f"formal {np.median(sigma.get(name, [np.nan])):.3g}, {len(values)} exposures"
        )
    card_path = Path(__file__).parent / f"{STANDARD}.json"
    card = json.loads(card_path.read_text())
    card["fit_scatter"] = {name: float(f"{value:.3g}") for name, value in scatter.items()}
    card_path.write_text(json.dumps(card, indent=2) + "\n")


if __name__ == "__main__":
    main()
