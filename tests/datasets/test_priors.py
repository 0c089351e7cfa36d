"""Distributions against their definition and SciPy."""

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from scipy import stats

from maury.datasets.priors import HalfNormal, LogNormal, LogUniform, Prior, Uniform

SIZE = 20_000


def draw(prior):
    return prior.sample(SIZE, torch.Generator().manual_seed(3)).double().numpy()


@pytest.mark.parametrize(
    ("prior", "reference"),
    [
        (Uniform(kind="uniform", low=-3, high=5), stats.uniform(-3, 8)),
        (LogUniform(kind="log-uniform", low=20, high=400), stats.loguniform(20, 400)),
        (
            LogNormal(kind="log-normal", median=3, sigma=0.5, low=1e-6, high=1e6),
            stats.lognorm(0.5, scale=3),
        ),
        (HalfNormal(kind="half-normal", low=1, sigma=8, high=1e6), stats.halfnorm(1, 8)),
    ],
)
def test_distribution_is_the_named_one(prior, reference):
    assert stats.kstest(draw(prior), reference.cdf).pvalue > 0.01


def test_tails_are_kept_in_the_range():
    values = draw(LogNormal(kind="log-normal", median=3, sigma=2, low=0.5, high=20))
    assert values.min() == 0.5 and values.max() == 20
    assert draw(HalfNormal(kind="half-normal", low=0, sigma=30, high=40)).max() == 40


def test_same_seed_same_values():
    prior = Uniform(kind="uniform", low=0, high=1)
    np.testing.assert_array_equal(draw(prior), draw(prior))


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "uniform", "low": 2, "high": 1},
        {"kind": "log-uniform", "low": 0, "high": 1},
        {"kind": "log-normal", "low": 1, "high": 2, "sigma": 1},
        {"kind": "cauchy", "low": 1, "high": 2},
        {"kind": "uniform", "low": 1, "high": 2, "sigma": 1},
        {"kind": "uniform", "low": float("nan"), "high": 2},
    ],
)
def test_impossible_distributions_are_refused(values):
    with pytest.raises(ValidationError):
        TypeAdapter(Prior).validate_python(values)
