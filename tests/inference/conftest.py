"""A small predictor whose truth is known: an emulator of drawn lines, and an untrained network."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from maury.grid import WavelengthGrid
from maury.inference.fit import macroturbulence
from maury.inference.network import NetworkEstimator
from maury.inference.predictor import Predictor
from maury.instrument import simulate_exposure
from maury.labels import HARPS_LABELS, Normalizer
from maury.models.encoder import Encoder
from maury.models.network import Network
from maury.models.preprocessing import Preprocessing
from maury.models.weights import save_network
from maury.spectrum import Spectrum
from maury.synthesis.emulator import Emulator, log_wavelength

# Water at Na D and the gamma band of oxygen are inside, so that tellurics can be fitted.
START, STOP = 5872.0, 6340.0
GRID = WavelengthGrid(start=5920.0, step=0.024, size=2**14, name="test")
CENTER = (5700.0, 4.3, -0.1, 0.0, 0.0, 1.4)
SIGMA = {"teff": 80.0, "logg": 0.2, "mh": 0.1, "rv": 2.0, "berv": 4.0, "airmass": 0.2}


def linear_emulator() -> Emulator:
    """Lines whose depths are linear in the labels, so that the emulator is exact."""
    size = int(np.log(STOP / START) * 299_792.458)
    rng = np.random.default_rng(7)
    centers, count = rng.uniform(0, size, 300), 300
    profiles = np.exp(-0.5 * ((np.arange(size) - centers[:, None]) / 2.2) ** 2)
    depth, slope = rng.uniform(0.1, 0.5, count), rng.uniform(-1, 1, (4, count))
    slope *= 0.6 * depth / np.abs(slope).sum(axis=0)
    trend = torch.zeros(15, 4)
    trend[1:5] = torch.eye(4)
    return Emulator(
        start=START,
        velocity_step=1.0,
        names=("teff", "logg", "mh", "vmic"),
        lower=torch.tensor([4000.0, 3.5, -1.5, 0.5]),
        upper=torch.tensor([8000.0, 5.0, 0.5, 2.5]),
        mean=torch.from_numpy(1 - depth @ profiles),
        components=torch.from_numpy(-slope @ profiles),
        nodes=torch.full((1, 4), 0.5),
        scales=torch.ones(4),
        weights=torch.zeros(1, 4),
        trend=trend,
        model_error=torch.zeros(size),
        card={"fit_scatter": {"teff": 30.0, "logg": 0.05, "mh": 0.04, "rv": 0.1}},
    )


def star(emulator: Emulator, labels: dict[str, float]) -> Spectrum:
    """The spectrum of these labels in its rest frame."""
    values = torch.tensor([[labels[name] for name in emulator.names]])
    wavelength = log_wavelength(emulator.start, emulator.velocity_step, emulator.mean.numel())
    return Spectrum(wavelength, emulator.flux(values)[0].double().numpy(), frame="rest")


@pytest.fixture(scope="session")
def emulator() -> Emulator:
    """An emulator that knows 300 lines."""
    return linear_emulator()


@pytest.fixture(scope="session")
def star_spectrum(emulator) -> Spectrum:
    """The intrinsic spectrum of the star that most tests observe."""
    return star(emulator, {"teff": 6100.0, "logg": 4.1, "mh": -0.3, "vmic": 1.2})


@pytest.fixture(scope="session")
def card(tmp_path_factory):
    """The card of an untrained network that always answers `CENTER`, nearly."""
    torch.manual_seed(2)
    names = HARPS_LABELS.names
    network = Network(
        GRID,
        HARPS_LABELS,
        Normalizer(CENTER, (1e-3,) * 6, names),
        Preprocessing(GRID, continuum=50.0, clip=(0.0, 1.3)),
        Encoder(pixels=GRID.size, outputs=6),
    )
    validation = {name: {"mae": SIGMA[name], "bias": 0.0, "sigma": SIGMA[name]} for name in names}
    recipe = {"simulation": {"teff": {"low": 4000.0, "high": 8000.0}}}
    path = tmp_path_factory.mktemp("network") / "small.json"
    return save_network(path, network, validation=validation, training={"recipe": recipe})


@pytest.fixture(scope="session")
def predictor(emulator, card) -> Predictor:
    """A predictor made of the two."""
    torch.set_num_threads(1)
    return Predictor(NetworkEstimator.load(card), emulator)


@pytest.fixture(scope="session")
def expose(emulator) -> Callable[..., Spectrum]:
    """Makes exposures of stars that the emulator knows."""
    grid = WavelengthGrid(start=5880.0, step=0.01, size=45_400)

    def make(*, star_spectrum: Spectrum | None = None, **changes: float) -> Spectrum:
        labels = {"teff": 6100.0, "logg": 4.1, "mh": -0.3, "vmic": 1.2}
        labels |= {name: changes.pop(name) for name in list(changes) if name in labels}
        settings = {"rv": 17.0, "berv": -11.0, "airmass": 1.6, "snr": 150.0, "vsini": 5.0}
        vmac = macroturbulence(labels["teff"])
        source = star(emulator, labels) if star_spectrum is None else star_spectrum
        return simulate_exposure(source, vmac=vmac, grid=grid, **(settings | changes))

    return make
