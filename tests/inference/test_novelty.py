"""Scores of strange spectra: worked by hand, and on stars, noise and lamps made here."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from torch import nn

from maury.grid import WavelengthGrid
from maury.inference.novelty import judge, measures, rank, share_below, strangeness
from maury.labels import LabelSet, Normalizer
from maury.models.latent_statistics import LatentStatistics
from maury.models.network import Network
from maury.models.preprocessing import Preprocessing
from maury.models.reconstruction import Measurement

GRID = WavelengthGrid(start=5000.0, step=0.06, size=2**14, name="test")


def test_strangeness_of_normal_numbers_is_in_standard_deviations():
    quantiles = norm.ppf(np.linspace(0.0005, 0.9995, 101), loc=3.0, scale=0.5)
    assert strangeness(3.0, quantiles) == pytest.approx(0.0, abs=1e-6)
    assert strangeness(5.0, quantiles) == pytest.approx(4.0, rel=0.02)
    assert strangeness(2.0, quantiles) == pytest.approx(-2.0, rel=0.02)


def test_strangeness_has_no_upper_end_where_shares_do():
    quantiles = np.linspace(0.0, 1.0, 101)
    assert share_below(2.0, quantiles) == share_below(3.0, quantiles) == 1.0
    assert strangeness(3.0, quantiles) > strangeness(2.0, quantiles) > strangeness(1.0, quantiles)


def test_training_spectra_that_do_not_differ_make_nothing_infinite():
    assert math.isfinite(strangeness(1.0, [0.0] * 101))
    assert strangeness(0.2, [0.2] * 101) == 0.0


@given(st.lists(st.floats(0, 10), min_size=2, max_size=50), st.floats(0, 10), st.floats(0, 10))
def test_what_is_larger_is_never_less_strange(quantiles, one, other):
    quantiles, (low, high) = sorted(quantiles), sorted((one, other))
    assert strangeness(low, quantiles) <= strangeness(high, quantiles)
    assert 0 <= share_below(low, quantiles) <= share_below(high, quantiles) <= 1


def test_the_anomaly_is_the_strangest_measure_and_the_error_has_no_say():
    even = tuple(np.linspace(0.0, 1.0, 101))
    statistics = LatentStatistics(
        count=9, mean=(0.0,), covariance=((1.0,),), distances=even, errors=even, misfits=even,
        dissimilarities=even,
    )  # fmt: skip
    values = {"reconstruction_error": 9.0, "misfit": 0.5, "dissimilarity": 0.8413}
    novelty = judge(values | {"latent_distance": 0.6}, statistics)
    assert novelty.because == "dissimilarity" and novelty.anomaly == pytest.approx(1.0, rel=0.01)
    assert novelty.shares["misfit"] == 0.5 and novelty.shares["reconstruction_error"] == 1.0
    assert judge(values, None).anomaly is None


def test_places_are_shared_and_what_is_refused_comes_first():
    assert rank([1.0, math.inf, None, 5.0, 5.0, math.inf]) == [5, 1, None, 3, 3, 1]
    assert rank([]) == []


def lines(seed, count=400):
    """Absorption lines of a kind of star: what they take off a continuum of one."""
    random = np.random.default_rng(seed)
    pixel = np.arange(GRID.size)
    flux = np.zeros(GRID.size)
    for center, depth in zip(
        random.uniform(0, GRID.size, count), random.uniform(0.05, 0.8, count), strict=True
    ):
        near = slice(max(0, int(center) - 12), int(center) + 12)
        flux[near] -= depth * np.exp(-0.5 * ((pixel[near] - center) / 1.5) ** 2)
    return torch.from_numpy(flux).float()


STAR = lines(1)


class Project(nn.Module):
    """The strength of a star's lines in a spectrum, by least squares."""

    outputs, pixels = 1, GRID.size

    def forward(self, spectra):
        return ((spectra - 1) @ STAR / STAR.square().sum())[:, None]


class Scale(nn.Module):
    """The star's lines in that strength."""

    inputs, pixels = 1, GRID.size

    def forward(self, nodes):
        return 1 + nodes * STAR


@pytest.fixture(scope="module")
def network():
    labels = LabelSet.from_names(["mh"])
    normalizer = Normalizer((0.0,), (1.0,), labels.names)
    return Network(GRID, labels, normalizer, Preprocessing(GRID), Project(), Scale()).eval()


def noisy(flux, sigma, seed=7):
    return 1 + flux + sigma * torch.randn(flux.shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def anomaly(network):
    """The anomaly of a spectrum, against stars of many strengths and a bit of misfit and noise."""
    generator = torch.Generator().manual_seed(3)
    strength = 0.7 + 0.6 * torch.rand(200, 1, generator=generator)
    noise = 0.005 + 0.05 * torch.rand(200, 1, generator=generator)
    wrong = torch.stack([lines(seed, 40) for seed in range(100, 120)])
    wrong = wrong[torch.randint(20, (200,), generator=generator)]
    flux = 1 + strength * STAR + 0.2 * wrong
    flux += noise * torch.randn(flux.shape, generator=generator)
    valid = torch.ones_like(flux, dtype=torch.bool)
    statistics = LatentStatistics.measure(network, [(flux, valid)])

    def score(spectrum):
        measured = Measurement.of(network, spectrum[None], valid[:1])
        return judge(measures(measured, statistics), statistics).anomaly

    return score


def test_other_stars_and_lamps_are_stranger_than_healthy_stars_even_of_much_noise(anomaly):
    healthy = [
        anomaly(noisy(strength * STAR + 0.2 * lines(130 + k, 40), sigma))
        for k, (strength, sigma) in enumerate([(0.8, 0.003), (1.2, 0.02), (1.0, 0.1), (1.0, 0.2)])
    ]
    dwarf = noisy(lines(2, 1500), 0.02)
    faint_dwarf = noisy(lines(2, 1500), 0.1)
    lamp = noisy(-5 * lines(3, 100), 0.01)
    blank = noisy(torch.zeros(GRID.size), 0.01)
    for strange in (dwarf, faint_dwarf, lamp, blank):
        assert anomaly(strange) > 2 * max(healthy)


def test_strong_lines_of_the_right_pattern_are_strange_by_their_latents(anomaly):
    assert anomaly(noisy(2.5 * STAR, 0.02)) > 5 > anomaly(noisy(STAR, 0.02))
