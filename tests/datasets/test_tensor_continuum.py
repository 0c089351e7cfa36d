"""Continua of many stars at once against those that are computed star by star."""

import numpy as np
import pytest
import torch

from maury.datasets.tensor_continuum import TensorContinuum
from maury.errors import SynthesisError
from maury.synthesis.atmosphere import model_atmosphere
from maury.synthesis.elements import abundances
from maury.synthesis.emulator_solver import continuum_flux, emulator_limits

WAVELENGTH = np.linspace(4700.0, 7000.0, 300)


@pytest.fixture(scope="module")
def continuum() -> TensorContinuum:
    return TensorContinuum(WAVELENGTH)


def test_the_continuum_is_that_of_the_solved_gas(continuum: TensorContinuum) -> None:
    limits = np.array([emulator_limits()[name] for name in ("teff", "logg", "mh")]).T
    inside = np.random.default_rng(3).uniform(*limits, (12, 3))
    corners = limits[[[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]], [0, 1, 2]]
    stars = np.concatenate([inside, corners])
    found = continuum(*torch.tensor(stars.T, dtype=torch.float32)).numpy()
    known = np.concatenate(
        [continuum_flux(WAVELENGTH, [model_atmosphere(*s)], abundances(s[2])) for s in stars]
    )
    error = found / known - 1
    assert np.abs(error).max() < 1e-3
    assert error.std() < 3e-4


def test_wavelengths_come_in_any_order_and_stars_together_or_alone(
    continuum: TensorContinuum,
) -> None:
    stars = torch.tensor([[4200.0, 6600.0], [4.6, 3.9], [0.3, -0.9]])
    together = continuum(*stars)
    alone = torch.cat([continuum(*stars[:, k : k + 1]) for k in range(2)])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=0)
    order = np.random.default_rng(1).permutation(WAVELENGTH.size)
    mixed = TensorContinuum(WAVELENGTH[order])(*stars)
    torch.testing.assert_close(mixed, together[:, order], rtol=1e-5, atol=0)


def test_a_star_without_an_atmosphere_is_refused(continuum: TensorContinuum) -> None:
    with pytest.raises(SynthesisError, match="log g = 3 is outside the atmosphere grid"):
        continuum(torch.tensor([5000.0]), torch.tensor([3.0]), torch.tensor([0.0]))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_gpu_gives_the_same(continuum: TensorContinuum) -> None:
    stars = torch.tensor([[4200.0, 6600.0], [4.6, 3.9], [0.3, -0.9]])
    found = TensorContinuum(WAVELENGTH, "cuda")(*stars.cuda())
    assert found.is_cuda
    torch.testing.assert_close(found.cpu(), continuum(*stars), rtol=1e-4, atol=0)
