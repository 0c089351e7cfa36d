"""Derivatives of a gas's quantities against those known in closed form."""

import numpy as np
import torch

from maury.synthesis.tensor_gas import TensorGas


def layers(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64).log().requires_grad_()


def test_laws_of_an_ideal_gas() -> None:
    """Density goes as P / T where nothing changes its state; ions as [M/H] where metals give."""
    ln_t, ln_p = layers(3000.0, 6000.0), layers(1e3, 1e4)
    mh = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    gas = TensorGas(ln_t, ln_p, mh)
    density = gas.quantity(lambda g: np.log(g.density))
    np.testing.assert_array_equal(density.detach(), np.log(gas.state.density))
    of_t, of_p = torch.autograd.grad(density[1], (ln_t, ln_p))
    np.testing.assert_allclose(of_t, [0.0, -1.0], atol=0.02)
    np.testing.assert_allclose(of_p, [0.0, 1.0], atol=0.02)
    iron = gas.quantity(lambda g: np.log10(g.number["Fe I"] + g.number["Fe II"]))
    (of_mh,) = torch.autograd.grad(iron[1], mh)
    assert abs(float(of_mh) - 1) < 0.01


def test_more_dimensions_than_layers() -> None:
    ln_t, ln_p = layers(5000.0, 6000.0), layers(1e4, 1e5)
    powers = np.arange(3.0)[:, None]
    mh = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    value = TensorGas(ln_t, ln_p, mh).quantity(lambda g: g.temperature**powers)
    np.testing.assert_allclose(value.detach(), np.array([5000.0, 6000.0]) ** powers, rtol=1e-14)
    (slope,) = torch.autograd.grad(value[2].sum(), ln_t)
    np.testing.assert_allclose(slope, 2 * np.array([5000.0, 6000.0]) ** 2, rtol=1e-5)


def test_microturbulence() -> None:
    ln_t, ln_p = layers(5000.0), layers(1e4)
    for speed in (0.0, 1.3):
        vmic = torch.tensor(speed, dtype=torch.float64, requires_grad=True)
        gas = TensorGas(ln_t, ln_p, torch.tensor(0.0, dtype=torch.float64))
        value = gas.quantity_of_velocity(lambda g, v: g.temperature * (v + 2.0), vmic)
        value.sum().backward()
        np.testing.assert_allclose(value.detach(), 5000 * (speed + 2))
        np.testing.assert_allclose(vmic.grad, 5000, rtol=1e-9)
