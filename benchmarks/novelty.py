"""Rank real spectra by how strange an autoencoder finds them, lamps and noisy stars among them.

Run as ``python benchmarks/novelty.py CARD [FOLDER]`` with the card of a trained autoencoder and a
folder of HARPS spectra with a ``manifest.csv`` (file, star, use, teff_K). It exits with 1 unless
every damaged file, M dwarf and lamp ranks above every healthy FGK star.
"""

import csv
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from maury import Spectrum, read
from maury.inference.latents import Encoded, encode, encode_files
from maury.inference.network import NetworkEstimator
from maury.inference.novelty import rank

SPECTRA = Path(__file__).parents[2] / "shared" / "data" / "spectra"
COOLEST_K_DWARF = 4000.0  # K
STEP = 0.01
FAINT = (30.0, 10.0)  # signal-to-noise ratios of the noisy stars, per pixel of 0.01 A
LAMP_LINES = 3000
STRANGE = ("damaged", "M dwarf", "lamp")


def lamp(network: NetworkEstimator, lines: int) -> Spectrum:
    """A lamp with a flat continuum and so many emission lines of HARPS's width, S/N 100."""
    grid = network.network.grid
    random = np.random.default_rng(1)
    wavelength = np.arange(grid.start - 2, grid.stop + 2, STEP)
    flux = np.ones(wavelength.size)
    profile = np.exp(-0.5 * (np.arange(-20, 21) / 2.1) ** 2)
    for pixel in random.integers(20, wavelength.size - 21, lines):
        flux[pixel - 20 : pixel + 21] += random.exponential(3.0) * profile
    flux += 0.01 * random.standard_normal(flux.size)
    return Spectrum(wavelength, 1000 * flux, medium=grid.medium)


def faint(path: Path, ratio: float) -> Spectrum:
    """A spectrum with noise added until it has that signal-to-noise ratio in a pixel."""
    star = read(path)
    level = float(np.median(star.flux[star.valid]))
    noise = np.random.default_rng(2).standard_normal(len(star))
    flux = star.flux + noise * np.sqrt(np.maximum(star.flux, 0) * level) / ratio
    return replace(star, flux=np.where(star.valid, flux, 0.0))


def kind_of_star(teff: float) -> str:
    """Its kind by the effective temperature of the literature, NaN where that is unknown."""
    if teff < COOLEST_K_DWARF:
        return "M dwarf"
    return "FGK star" if teff >= COOLEST_K_DWARF else "other"


def main() -> int:
    if len(sys.argv) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    folder = Path(sys.argv[2]) if len(sys.argv) == 3 else SPECTRA
    network = NetworkEstimator.find(sys.argv[1])
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        manifest = {row["file"]: row for row in csv.DictReader(file)}
    found: list[tuple[str, Encoded]] = []
    paths = [str(folder / name) for name in manifest]
    for row, encoded in zip(manifest.values(), encode_files(paths, network), strict=True):
        if row["use"].startswith("bad input"):
            kind = "damaged"
        else:
            kind = kind_of_star(float(row["teff_K"] or "nan"))
        found.append((kind, replace(encoded, object=row["star"])))
    bright = {row["star"]: folder / name for name, row in manifest.items() if row["teff_K"]}
    for star, path in bright.items():
        if float(manifest[path.name]["teff_K"]) > COOLEST_K_DWARF:
            for ratio in FAINT:
                encoded = encode(faint(path, ratio), network)
                found.append(("FGK star", replace(encoded, object=f"{star}, S/N {ratio:g}")))
    for name, lines in (("emission lines", LAMP_LINES), ("continuum alone", 0)):
        found.append(("lamp", replace(encode(lamp(network, lines), network), object=name)))
    return report(found)


def report(found: list[tuple[str, Encoded]]) -> int:
    """Print the ranking and the verdict; 0 if the strange rank above the healthy."""
    places = rank([encoded.anomaly for _, encoded in found])
    measured = [
        (place, kind, one) for place, (kind, one) in zip(places, found, strict=True) if place
    ]
    measured.sort(key=lambda row: row[0])
    print("rank  kind      anomaly  because of       error   misfit  dissim.  distance  spectrum")
    for place, kind, encoded in measured:
        name = f"{encoded.object}  {Path(encoded.file).name}"
        if encoded.novelty is None:
            print(f"{place:4d}  {kind:8s}  refused as damaged{'':45s}{name}")
            continue
        values = encoded.novelty.values
        print(
            f"{place:4d}  {kind:8s} {encoded.anomaly:8.2f}  {encoded.novelty.because:15s}"
            f"{values['reconstruction_error']:7.4f}  {values['misfit']:7.4f}  "
            f"{values['dissimilarity']:7.4f}  {values['latent_distance']:8.2f}  {name}"
        )
    for kind, encoded in found:
        if encoded.anomaly is None:
            print(f"not ranked ({kind}): {encoded.error}")
    healthy = [one.anomaly for _, kind, one in measured if kind == "FGK star"]
    strange = [one.anomaly for _, kind, one in measured if kind in STRANGE]
    good = min(strange) > max(healthy)
    print(
        f"{len(strange)} strange spectra have anomalies from {min(strange):g} up, {len(healthy)} "
        f"healthy FGK stars up to {max(healthy):g}: {'all' if good else 'NOT all'} of the strange "
        "rank above every healthy one."
    )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
