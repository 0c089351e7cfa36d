"""Anomalies among real spectra, by the embedded encoder and the emulator in a decoder's place.

No autoencoder comes with the package, but this one can be made of what does: it says what a decoder
that knows its physics leaves of real spectra.
"""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from maury.datasets.simulated import SimulatedExposures, Simulation
from maury.inference.latents import encode, encode_files
from maury.inference.network import NetworkEstimator
from maury.inference.novelty import REFUSED
from maury.instrument import simulate_exposure
from maury.models.latent_statistics import LatentStatistics
from maury.models.network import Network
from maury.readers import read
from maury.spectrum import Spectrum
from maury.synthesis.emulator import Emulator

SPECTRA = Path(__file__).parents[2].parent / "shared" / "data" / "spectra"
pytestmark = pytest.mark.skipif(not SPECTRA.is_dir(), reason="../shared/data/spectra is absent")

HEALTHY = [
    "Sun_HARPS.fits",
    "sun01_harps.fits",
    "HARPS.2012-04-07T05:56:58.722_s1d_A.fits",
    "HARPS.2007-08-29T01:31:12.629_s1d_A.fits",
    "HARPS.2007-08-29T02:49:14.784_s1d_A.fits",
]
M_DWARFS = ["HARPS_GJ163.fits", "HARPS_GJ3470.fits", "HARPS.2010-09-18T23:42:36.178_s1d_A.fits"]


class Physics(nn.Module):
    """Exposures of the emulator's stars as an encoder labels them."""

    architecture = "physics"

    def __init__(self, network, emulator):
        super().__init__()
        self.inputs, self.pixels = 6, network.grid.size
        self.grid, self.normalizer = network.grid, network.normalizer
        self.preprocessing, self.emulator = network.preprocessing, emulator

    def forward(self, nodes):
        rows = [self.expose(row) for row in self.normalizer.denormalize(nodes).tolist()]
        flux, valid = (torch.from_numpy(np.stack(part)) for part in zip(*rows, strict=True))
        return self.preprocessing(flux.float(), valid) + self.preprocessing.offset

    def expose(self, labels):
        teff, logg, mh, rv, berv, airmass = labels
        star = torch.tensor([[teff, logg, mh, 1.2]])
        star = star.clamp(self.emulator.lower, self.emulator.upper)
        flux = self.emulator.flux(star)[0].double().numpy()
        exposure = simulate_exposure(
            Spectrum(self.emulator.wavelength, flux, frame="rest"),
            rv=rv,
            berv=berv,
            airmass=min(max(airmass, 1.0), 3.9),
            vsini=3.0,
            vmac=3.0,
            snr=1e6,
            grid=self.grid,
        )
        return exposure.flux, exposure.valid


@pytest.fixture(scope="module")
def estimator():
    torch.set_num_threads(1)
    embedded, emulator = NetworkEstimator.find(), Emulator.load()
    encoder = embedded.network
    network = Network(
        encoder.grid,
        encoder.labels,
        encoder.normalizer,
        encoder.preprocessing,
        encoder.encoder,
        Physics(encoder, emulator),
    ).eval()
    exposures = SimulatedExposures(emulator, encoder.grid, encoder.labels, Simulation(), 1)
    batch = exposures.batch(0, 32, "validation")
    prepared = encoder.preprocessing(batch.flux, batch.valid)
    latents = LatentStatistics.measure(network, [(prepared, batch.valid)])
    return NetworkEstimator(network, embedded.card.model_copy(update={"latents": latents}), "net")


@pytest.fixture(scope="module")
def healthy(estimator):
    """The largest anomaly among healthy FGK stars, faint ones among them."""
    found = [*encode_files([str(SPECTRA / name) for name in HEALTHY], estimator)]
    for name in HEALTHY[1:3]:
        star = read(SPECTRA / name)
        random = np.random.default_rng(1)
        noise = np.median(star.flux[star.valid]) / 10 * random.standard_normal(len(star))
        found.append(encode(replace(star, flux=star.flux + noise), estimator))
    return max(encoded.anomaly for encoded in found)


@pytest.mark.parametrize("name", M_DWARFS)
def test_m_dwarfs_are_stranger_than_every_healthy_star(estimator, healthy, name):
    (encoded,) = encode_files([str(SPECTRA / name)], estimator)
    assert encoded.anomaly > 1.5 * healthy


@pytest.mark.parametrize("lines", [3000, 0])
def test_lamps_are_stranger_than_every_healthy_star(estimator, healthy, lines):
    random = np.random.default_rng(1)
    wavelength = np.arange(4940.0, 6915.0, 0.01)
    flux = 1 + 0.01 * random.standard_normal(wavelength.size)
    profile = np.exp(-0.5 * (np.arange(-20, 21) / 2.1) ** 2)
    for pixel in random.integers(20, wavelength.size - 21, lines):
        flux[pixel - 20 : pixel + 21] += random.exponential(3.0) * profile
    assert encode(Spectrum(wavelength, flux), estimator).anomaly > 1.5 * healthy


def test_the_damaged_file_ranks_above_all(estimator):
    with (SPECTRA / "manifest.csv").open(encoding="utf-8", newline="") as file:
        (row,) = (row for row in csv.DictReader(file) if row["use"].startswith("bad input"))
    (encoded,) = encode_files([str(SPECTRA / row["file"])], estimator)
    assert encoded.refused and encoded.anomaly == REFUSED and "is damaged" in encoded.error
