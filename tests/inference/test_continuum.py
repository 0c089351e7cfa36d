"""The local continuum against dense least squares."""

import numpy as np
import pytest
from scipy.interpolate import BSpline

from maury.inference.continuum import LocalContinuum


@pytest.fixture
def problem():
    rng = np.random.default_rng(3)
    wavelength = np.linspace(5000.0, 5060.0, 1500)
    continuum = LocalContinuum(wavelength, 7.0)
    model = 1 - 0.5 * rng.random(wavelength.size)
    flux = model * (1 + 0.2 * np.sin(wavelength / 11)) + 0.01 * rng.normal(size=wavelength.size)
    weight = rng.uniform(0.5, 2.0, wavelength.size)
    return continuum, flux, model, weight, rng


def dense(continuum: LocalContinuum) -> np.ndarray:
    """The basis as scipy evaluates it one spline at a time."""
    unit = np.eye(continuum.size)
    return np.stack([continuum(row) for row in unit], axis=1)


def test_basis_is_a_partition_of_unity_and_scipys(problem):
    continuum = problem[0]
    inner = np.linspace(5000.0, 5060.0, continuum.size - 2)
    knots = np.concatenate([[5000.0] * 3, inner, [5060.0] * 3])
    coefficients = np.sin(np.arange(continuum.size))
    expected = BSpline(knots, coefficients, 3)(continuum.wavelength)
    np.testing.assert_allclose(continuum(coefficients), expected, atol=1e-12)
    np.testing.assert_allclose(continuum(np.ones(continuum.size)), 1.0, atol=1e-12)


def test_solve_is_weighted_least_squares(problem):
    continuum, flux, model, weight, _ = problem
    rows = dense(continuum) * model[:, None]
    root = np.sqrt(weight)
    expected = np.linalg.lstsq(rows * root[:, None], flux * root, rcond=None)[0]
    found = continuum.solve(flux, model, weight)
    np.testing.assert_allclose(continuum(found), continuum(expected), atol=2e-4)


def test_eliminate_is_the_schur_complement_of_the_joint_fit(problem):
    continuum, flux, model, weight, rng = problem
    jacobian = rng.normal(size=(3, flux.size))
    residual = flux - model
    splines = dense(continuum) * model[:, None]
    joint = np.concatenate([jacobian.T, splines], axis=1)
    step = np.linalg.lstsq(
        joint * np.sqrt(weight)[:, None], residual * np.sqrt(weight), rcond=None
    )[0]
    normal, gradient = continuum.eliminate(jacobian, model, weight, residual)
    np.testing.assert_allclose(np.linalg.solve(normal, gradient), step[:3], rtol=1e-3, atol=1e-6)
    covariance = np.linalg.inv((joint * weight[:, None]).T @ joint)[:3, :3]
    np.testing.assert_allclose(np.linalg.inv(normal), covariance, rtol=1e-3)


def test_a_gap_is_bridged_level(problem):
    continuum, _, model, weight, _ = problem
    inside = (continuum.wavelength > 5020) & (continuum.wavelength < 5045)
    level = continuum(continuum.solve(2.0 * model, model, np.where(inside, 0.0, weight)))
    np.testing.assert_allclose(level, 2.0, rtol=2e-3)
