"""Statistics of latents: against SciPy, and against what was put into closed-form networks."""

import json

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis
from torch import nn

from maury.errors import MauryError, WeightsError
from maury.grid import WavelengthGrid
from maury.labels import LabelSet, Normalizer
from maury.models.latent_statistics import LatentStatistics
from maury.models.network import Network
from maury.models.preprocessing import Preprocessing
from maury.models.weights import load_network, save_network
from maury.models.zoo import build

GRID = WavelengthGrid(start=5000.0, step=0.06, size=2**14, name="test")
LABELS = LabelSet.from_names(["teff", "rv"])
NORMALIZER = Normalizer((6000.0, 0.0), (1000.0, 50.0), LABELS.names)


class Picker(nn.Module):
    """Takes the first pixels of a spectrum as its nodes."""

    def __init__(self, nodes):
        super().__init__()
        self.outputs, self.pixels = nodes, GRID.size
        self.dropout = nn.Dropout(0.5)

    def forward(self, spectra):
        return self.dropout(spectra[:, : self.outputs])


class Flat(nn.Module):
    """Gives the same spectrum whatever its nodes."""

    def __init__(self, nodes, level=1.0):
        super().__init__()
        self.inputs, self.pixels, self.level = nodes, GRID.size, level

    def forward(self, nodes):
        return torch.full((len(nodes), GRID.size), self.level)


def closed(nodes=3, level=1.0, decoder=True):
    parts = (Picker(nodes), Flat(nodes, level) if decoder else None)
    return Network(GRID, LABELS, NORMALIZER, Preprocessing(GRID), *parts)


def spectra(count, nodes=3, seed=1):
    """Spectra whose first pixels are correlated nodes, and the others noise of 0.1 about one."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.tensor([[1.0, 0.0, 0.0], [0.5, 2.0, 0.0], [-0.5, 1.0, 0.3]])[:nodes, :nodes]
    flux = 1 + 0.1 * torch.randn(count, GRID.size, generator=generator)
    flux[:, :nodes] = torch.randn(count, nodes, generator=generator) @ mixing.mT + 1.0
    return flux


@pytest.fixture(scope="module")
def statistics():
    flux = spectra(500)
    valid = torch.ones_like(flux, dtype=torch.bool)
    batches = zip(flux.split(64), valid.split(64), strict=True)
    return LatentStatistics.measure(closed(decoder=False), batches)


def test_mean_covariance_and_distance_are_those_of_numpy_and_scipy(statistics):
    nodes = spectra(500)[:, :3].double().numpy()
    assert statistics.count == 500
    np.testing.assert_allclose(statistics.mean, nodes.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(statistics.covariance, np.cov(nodes.T), rtol=1e-6, atol=1e-6)
    inverse = np.linalg.inv(np.cov(nodes.T))
    expected = [mahalanobis(row, nodes.mean(axis=0), inverse) for row in nodes]
    np.testing.assert_allclose(statistics.distance(nodes), expected, rtol=1e-4)
    quantiles = np.quantile(expected, [0.0, 0.5, 1.0])
    found = [statistics.distances[0], statistics.distances[50], statistics.distances[100]]
    np.testing.assert_allclose(found, quantiles, rtol=1e-4)


def test_a_network_is_measured_in_eval_mode_and_left_as_it_was(statistics):
    network = closed().train()
    flux = spectra(500)
    valid = torch.ones_like(flux, dtype=torch.bool)
    assert LatentStatistics.measure(network, [(flux, valid)]).mean == statistics.mean
    assert network.training


def test_networks_without_a_decoder_have_no_errors_and_without_an_encoder_nothing():
    flux = spectra(5)
    valid = torch.ones_like(flux, dtype=torch.bool)
    found = LatentStatistics.measure(closed(decoder=False), [(flux, valid)])
    assert found.errors is None and found.dissimilarities is None
    alone = Network(GRID, LABELS, NORMALIZER, Preprocessing(GRID), decoder=Flat(2))
    assert LatentStatistics.measure(alone, [(flux, valid)]) is None


def test_too_few_or_broken_spectra_are_told():
    flux = spectra(2)
    valid = torch.ones_like(flux, dtype=torch.bool)
    with pytest.raises(MauryError, match="at least 2 spectra, not 1"):
        LatentStatistics.measure(closed(), [(flux[:1], valid[:1])])
    with pytest.raises(MauryError, match="at least 2 spectra, not 0"):
        LatentStatistics.measure(closed(), [])
    broken = flux.clone()
    broken[0, 0] = torch.nan
    with pytest.raises(MauryError, match="latents that are not finite"):
        LatentStatistics.measure(closed(), [(broken, valid)])
    with pytest.raises(MauryError, match="reconstruction that is not finite"):
        LatentStatistics.measure(closed(level=torch.inf), [(flux, valid)])


def test_a_collapsed_node_does_not_make_every_spectrum_an_anomaly():
    flux = spectra(200)
    flux[:, 2] = 1e-9 * flux[:, 2]
    valid = torch.ones_like(flux, dtype=torch.bool)
    found = LatentStatistics.measure(closed(), [(flux, valid)])
    nodes = np.array(found.mean)[None]
    # One hundredth of the typical spread of a node is the least that counts.
    typical = np.sqrt(np.trace(found.covariance) / 3)
    moved = nodes + np.array([0.0, 0.0, 0.01 * typical])
    assert found.distance(moved)[0] == pytest.approx(1.0, rel=0.01)


def test_draws_have_the_mean_and_covariance_of_the_training_spectra(statistics):
    drawn = statistics.draw(20_000, np.random.default_rng(1))
    np.testing.assert_allclose(drawn.mean(axis=0), statistics.mean, atol=0.05)
    np.testing.assert_allclose(np.cov(drawn.T), statistics.covariance, atol=0.15)


def test_draws_for_given_labels_follow_the_conditional_normal_distribution():
    # Worked by hand: unit variances, correlation 0.8, so that u has mean 0.8 l and variance 0.36.
    found = LatentStatistics(
        count=9, mean=(1.0, 2.0), covariance=((1.0, 0.8), (0.8, 1.0)), distances=(0.0, 1.0)
    )
    drawn = found.draw(20_000, np.random.default_rng(1), np.array([3.0]))
    assert set(drawn[:, 0]) == {3.0}
    assert drawn[:, 1].mean() == pytest.approx(2.0 + 0.8 * 2.0, abs=0.02)
    assert drawn[:, 1].var() == pytest.approx(0.36, abs=0.02)
    few = found.draw(5, np.random.default_rng(1), np.array([3.0]))
    np.testing.assert_array_equal(drawn[:5], few)


@pytest.fixture
def card(tmp_path):
    network = build("ae-cnn", grid=GRID, labels=LABELS, normalizer=NORMALIZER, nodes=3)
    validation = {name: {"mae": 1.0, "bias": 0.0, "sigma": 1.0} for name in LABELS.names}
    flux = torch.rand(4, GRID.size, generator=torch.Generator().manual_seed(6))
    latents = LatentStatistics.measure(network, [(flux, torch.ones_like(flux, dtype=torch.bool))])
    path = tmp_path / "net.json"
    return save_network(path, network, validation=validation, training={}, latents=latents)


def change(card, **changes):
    values = json.loads(card.read_text())
    values["latents"] |= changes
    card.write_text(json.dumps(values))


def test_statistics_come_back_with_their_card(card):
    _, read = load_network(card)
    assert read.latents.count == 4 and len(read.latents.mean) == 3
    assert len(read.latents.errors) == 101
    values = json.loads(card.read_text())
    del values["latents"]
    card.write_text(json.dumps(values))
    assert load_network(card)[1].latents is None


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"count": 1}, "entry latents.count"),
        ({"mean": [0.0, "x", 1.0]}, "entry latents.mean.1"),
        ({"mean": [0.0, float("nan"), 1.0]}, "entry latents.mean.1: .* finite"),
        ({"mean": [0.0, 1.0]}, "covariance of 2 nodes must have 2 rows"),
        ({"covariance": [[1.0, 0.0, 0.0]] * 2}, "must have 3 rows"),
        ({"covariance": [[1.0, 2.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]}, "symmetric"),
        ({"covariance": [[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]]}, "not negative"),
        ({"covariance": [[0.0] * 3] * 3}, "must not be zero"),
        ({"distances": [2.0, 1.0]}, "quantiles of distances must not fall"),
        ({"errors": [-1.0, 1.0]}, "entry latents.errors.0"),
        ({"misfits": None}, "errors, misfits, dissimilarities come together"),
        (
            {"errors": None, "misfits": None, "dissimilarities": None},
            "statistics of latents are those of another network",
        ),
        (
            {"mean": [0.0], "covariance": [[1.0]]},
            "statistics of latents are those of another network",
        ),
        ({"surprise": 1}, "entry latents.surprise"),
    ],
)
def test_damaged_statistics_are_refused_in_a_sentence(card, changes, sentence):
    change(card, **changes)
    with pytest.raises(WeightsError, match=sentence) as caught:
        load_network(card)
    assert "\n" not in str(caught.value) and str(card) in str(caught.value)


def test_statistics_of_another_network_cannot_be_saved(tmp_path, statistics):
    network = build("ae-cnn", grid=GRID, labels=LABELS, normalizer=NORMALIZER, nodes=4)
    validation = {name: {"mae": 1.0, "bias": 0.0, "sigma": 1.0} for name in LABELS.names}
    with pytest.raises(WeightsError, match="those of another network"):
        save_network(
            tmp_path / "net.json",
            network,
            validation=validation,
            training={},
            latents=statistics,
        )
