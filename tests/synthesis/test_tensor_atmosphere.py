"""Atmospheres as tensors against those of NumPy, and their derivatives against differences."""

import numpy as np
import pytest
import torch

from maury.errors import SynthesisError
from maury.synthesis.atmosphere import model_atmosphere
from maury.synthesis.tensor_atmosphere import interpolate_atmosphere

STARS = [(3200.0, 4.7, -0.2), (4012.3, 4.9, -1.3), (5777.0, 4.44, 0.1), (11500.0, 5.0, 0.5)]


def labels(*stars: tuple[float, float, float]) -> list[torch.Tensor]:
    return list(torch.tensor(stars, dtype=torch.float64).unbind(dim=1))


def test_a_batch_has_the_numbers_of_its_models() -> None:
    for layers, star in zip(interpolate_atmosphere(*labels(*STARS)), STARS, strict=True):
        model = model_atmosphere(*star)
        expected = np.log([model.rhox, model.temperature, model.pressure]).T
        np.testing.assert_allclose(layers, expected, rtol=1e-12)


def test_single_precision_follows_the_inputs() -> None:
    parameters = [column.float() for column in labels(STARS[2])]
    layers = interpolate_atmosphere(*parameters)
    assert layers.dtype == torch.float32
    np.testing.assert_allclose(layers, interpolate_atmosphere(*labels(STARS[2])), atol=2e-5)


def test_derivatives_are_those_of_differences() -> None:
    teff, logg, mh = labels((5777.0, 4.44, 0.1), (3333.0, 4.2, -0.8))
    # Teff in 1000 K, so that a step of 1e-6 is a good one for all three.
    inputs = [x.requires_grad_() for x in (teff / 1e3, logg, mh)]
    assert torch.autograd.gradcheck(lambda t, g, m: interpolate_atmosphere(t * 1e3, g, m), inputs)


@pytest.mark.parametrize(
    ("star", "message"),
    [
        ((2900.0, 4.5, 0.0), "Teff = 2900 is outside the atmosphere grid; allowed is 3000 to"),
        ((5000.0, 5.5, 0.0), "log g = 5.5 is outside"),
        ((5000.0, 4.5, float("nan")), r"\[M/H\] = nan is outside"),
    ],
)
def test_stars_outside_are_refused(star: tuple[float, float, float], message: str) -> None:
    with pytest.raises(SynthesisError, match=message):
        interpolate_atmosphere(*labels(STARS[2], star))
