"""Estimates for observed spectra by a network, trained or not."""

import math

import numpy as np
import pytest
import torch

from maury.errors import GridError, SpectrumError, WeightsError
from maury.grid import WavelengthGrid
from maury.inference.network import NetworkEstimator
from maury.labels import LabelSet, Normalizer
from maury.models.encoder import Encoder
from maury.models.network import Network
from maury.models.preprocessing import Preprocessing
from maury.models.weights import save_network
from maury.models.zoo import build
from maury.spectrum import Observation, Spectrum

GRID = WavelengthGrid(start=5000.0, step=0.06, size=2**14, gaps=((5300.0, 5310.0),), name="test")
LABELS = LabelSet.from_names(["teff", "rv"])
NORMALIZER = Normalizer((6000.0, 0.0), (1000.0, 50.0), LABELS.names)


@pytest.fixture(scope="module")
def estimator(tmp_path_factory):
    torch.manual_seed(5)
    network = Network(
        GRID,
        LABELS,
        NORMALIZER,
        Preprocessing(GRID, continuum=50.0, clip=(0.0, 1.3)),
        Encoder(pixels=GRID.size, outputs=2),
    )
    validation = {
        "teff": {"mae": 80.0, "bias": 30.0, "sigma": 40.0},
        "rv": {"mae": 0.8, "bias": 0.0, "sigma": 0.9},
    }
    path = tmp_path_factory.mktemp("net") / "net.json"
    return NetworkEstimator.load(save_network(path, network, validation=validation, training={}))


def spectrum(start=4990.0, stop=6000.0, step=0.01, scale=1.0, **settings):
    wavelength = np.arange(start, stop, step)
    flux = np.ones_like(wavelength)
    for center in np.random.default_rng(1).uniform(4990, 6000, 300):
        flux -= 0.4 * np.exp(-0.5 * ((wavelength - center) / 0.07) ** 2)
    return Spectrum(wavelength, scale * flux, **settings)


def test_estimates_name_every_label_with_the_validations_uncertainty(estimator):
    (estimate,) = estimator.estimate([spectrum()])
    assert set(estimate.values) == set(LABELS.names)
    assert all(math.isfinite(value) for value in estimate.values.values())
    assert estimate.uncertainties == {"teff": pytest.approx(50.0), "rv": pytest.approx(0.9)}
    assert estimate.coverage == 1.0


def test_batches_do_not_mix_spectra(estimator):
    spectra = [spectrum(scale=scale) for scale in (1.0, 3e4, 2e-16)] + [spectrum(stop=5900.0)]
    together = estimator.estimate(spectra, batch_size=3)
    for one, estimate in zip(spectra, together, strict=True):
        alone = estimator.estimate([one])[0]
        assert estimate.values == pytest.approx(alone.values, rel=1e-4)


def test_unit_and_medium_do_not_matter(estimator):
    air = estimator.estimate([spectrum()])[0].values
    scaled = estimator.estimate([spectrum(scale=2e-16)])[0].values
    vacuum = estimator.estimate([spectrum().to_medium("vacuum")])[0].values
    assert scaled == pytest.approx(air, rel=1e-4)
    assert vacuum == pytest.approx(air, rel=1e-3)


def test_partial_coverage_is_told(estimator):
    (estimate,) = estimator.estimate([spectrum(stop=5700.0)])
    expected = (GRID.wavelength[GRID.valid] < 5700).mean()
    assert estimate.coverage == pytest.approx(expected, abs=0.001)


def test_a_spectrum_that_misses_the_grid_is_refused_in_a_sentence(estimator):
    outside = spectrum(start=6100.0, stop=6300.0, meta=Observation(path="far.fits"))
    with pytest.raises(GridError, match=r"^far.fits has a signal in 0% .* 5000-5983 A.*\.$"):
        estimator.estimate([outside])


def test_a_spectrum_without_good_pixels_is_refused(estimator):
    wavelength = np.arange(4990.0, 6000.0, 0.01)
    with pytest.raises(SpectrumError):
        estimator.estimate([Spectrum(wavelength, np.full_like(wavelength, np.nan))])


@pytest.mark.parametrize(
    ("model", "lacks"),
    [("cnn-decoder", "no encoder"), ("ae-unsupervised", "no readout of its latents")],
)
def test_a_network_that_predicts_nothing_loads_and_is_refused_where_it_should_predict(
    tmp_path, model, lacks
):
    network = build(model, grid=GRID, labels=LABELS, normalizer=NORMALIZER)
    path = save_network(tmp_path / "net.json", network, validation={}, training={})
    estimator = NetworkEstimator.load(path)
    with pytest.raises(WeightsError, match=f"^net predicts no labels: it has {lacks}.$"):
        estimator.estimate([spectrum()])


def test_ranges_are_those_of_the_card_then_of_the_recipe_then_of_the_labels(tmp_path):
    network = build("cnn-decoder", grid=GRID, labels=LABELS, normalizer=NORMALIZER)
    recipe = {"simulation": {"teff": {"low": 4000.0, "high": 8000.0}}}
    path = tmp_path / "net.json"
    training = {"recipe": recipe}
    save_network(path, network, validation={}, training=training)
    assert NetworkEstimator.load(path).trained_ranges == {"teff": (4000, 8000), "rv": (-100, 100)}
    ranges = {"teff": (5000.0, 6000.0)}
    save_network(path, network, validation={}, training=training, ranges=ranges)
    assert NetworkEstimator.load(path).trained_ranges == {"teff": (5000, 6000), "rv": (-100, 100)}


def test_no_spectra_give_no_estimates(estimator):
    assert estimator.estimate([]) == []
