"""Profiles as sums of Gaussians."""

import numpy as np
import pytest
from scipy.special import voigt_profile

from maury.data.hydrogen_sources import mixture

GAUSSIAN, DIPPED = 10 ** np.arange(-2.0, 6.0, 0.2), 10 ** np.arange(-1.4, 1.01, 0.2)


def folded(weights: np.ndarray, x: np.ndarray, doppler: float) -> np.ndarray:
    """The sum of components, folded with a Gaussian by brute force where that is narrow enough."""
    total = GAUSSIAN**2 + doppler**2
    plain = np.exp(-0.5 * x[:, None] ** 2 / total) / np.sqrt(2 * np.pi * total)
    t = np.linspace(-6, 6, 4001) * doppler
    kernel = np.exp(-0.5 * (t / doppler) ** 2)
    kernel /= kernel.sum()
    z = (x[:, None] - t) / DIPPED[:, None, None]
    hollow = z**2 * np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi) / DIPPED[:, None, None]
    return plain @ weights[: GAUSSIAN.size] + weights[GAUSSIAN.size :] @ (hollow @ kernel)


@pytest.mark.parametrize("damping", [0.1, 1.0, 10.0])
def test_another_doppler_width_gives_the_other_voigt_profile(damping: float) -> None:
    detuning = np.append(0.0, 10 ** np.arange(-1.5, 5.0, 0.1))
    known = voigt_profile(detuning, 1.0, damping)
    weights = mixture(detuning, known, 1.0, GAUSSIAN, DIPPED)
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)
    x = np.append(0.0, np.geomspace(0.1, 100, 25))
    np.testing.assert_allclose(folded(weights, x, 1.4), voigt_profile(x, 1.4, damping), rtol=0.02)


def test_points_that_lost_light_next_to_the_core_are_left_out() -> None:
    """As those of Stehle & Hutcheon at few electrons: narrower than the Doppler profile."""
    detuning = np.append(0.0, 10 ** np.arange(-1.5, 5.0, 0.1))
    true = voigt_profile(detuning, 1.0, 1e-3)
    lost = np.where((detuning > 1) & (detuning < 3), 0.3 * true, true)
    weights = mixture(detuning, lost, 1.0, GAUSSIAN, DIPPED)
    x = np.array([0.0, 1.0, 2.0, 20.0])
    np.testing.assert_allclose(folded(weights, x, 1.0), voigt_profile(x, 1.0, 1e-3), rtol=0.03)
