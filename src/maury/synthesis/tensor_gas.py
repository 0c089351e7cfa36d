"""The gas of an atmosphere's layers as tensors, with its derivatives by differences."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from maury.synthesis.elements import abundances
from maury.synthesis.equation_of_state import Gas, solve

__all__ = ["TensorGas"]

Array = NDArray[np.float64]
STEP = 2e-3  # in ln T, ln P and [M/H]
VELOCITY_STEP = 0.02  # km/s
TOLERANCE = 1e-10  # of the equation of state: differences take its last digits


class TensorGas:
    """The layers of one star, and whatever NumPy computes of them, made differentiable.

    A quantity of a layer depends on ln T and ln P of that layer and on [M/H], and on nothing else.
    The gas is therefore solved at the layers' values and a little to either side of each of the
    three, and a quantity comes back as its value with these slopes attached. It has the value that
    it has elsewhere to the last digit, and whatever changes in the equation of state or in the
    continuum is followed without a line of adjoint code. The price: first derivatives only, and the
    gas is solved on the CPU (some 50 ms a star).

    Parameters
    ----------
    ln_temperature, ln_pressure
        Of each layer, in K and dyn cm-2, shape (layer,).
    mh
        [M/H], dex, without dimensions.
    alpha
        [alpha/M], dex.

    Examples
    --------
    >>> logs = [torch.tensor([x], dtype=torch.float64).log().requires_grad_() for x in (6e3, 1e5)]
    >>> gas = TensorGas(*logs, torch.tensor(0.0, dtype=torch.float64))
    >>> gas.quantity(lambda g: np.log(g.electrons)).sum().backward()
    >>> f"n_e goes with T to the power {float(logs[0].grad):.1f}"
    'n_e goes with T to the power 9.7'
    """

    def __init__(
        self, ln_temperature: Tensor, ln_pressure: Tensor, mh: Tensor, alpha: float = 0.0
    ) -> None:
        self.inputs = (ln_temperature, ln_pressure, mh)
        t, p, metals = (x.detach().cpu().double().numpy() for x in self.inputs)
        aside_t = np.concatenate([t + STEP, t - STEP, t, t])
        aside_p = np.concatenate([p, p, p + STEP, p - STEP])

        def gas(ln_t: Array, ln_p: Array, shift: float = 0.0) -> Gas:
            abundance = abundances(float(metals) + shift, alpha)
            return solve(np.exp(ln_t), np.exp(ln_p), abundance, tolerance=TOLERANCE)

        self.state = gas(t, p)
        self._aside = gas(aside_t, aside_p)
        self._poorer, self._richer = gas(t, p, -STEP), gas(t, p, STEP)

    def quantity(self, of: Callable[[Gas], Array]) -> Tensor:
        """What a function of the gas gives, with its derivatives.

        Parameters
        ----------
        of
            From a gas to an array of shape (..., layer), smooth and layer by layer.

        Returns
        -------
        Tensor
            Of the inputs' dtype and on their device.
        """
        value, aside = of(self.state), of(self._aside)
        parts = aside.reshape(*aside.shape[:-1], 4, -1)
        differences = (
            parts[..., 0, :] - parts[..., 1, :],
            parts[..., 2, :] - parts[..., 3, :],
            of(self._richer) - of(self._poorer),
        )
        return _attach(value, [d / (2 * STEP) for d in differences], self.inputs)

    def quantity_of_velocity(
        self, of: Callable[[Gas, float], Array], velocity: Tensor
    ) -> Tensor:  # fmt: skip
        """The same of a function that depends on the microturbulence (km/s) as well."""
        speed = float(velocity.detach())
        low, high = max(speed - VELOCITY_STEP, 0.0), speed + VELOCITY_STEP
        slope = (of(self.state, high) - of(self.state, low)) / (high - low)
        own = self.quantity(lambda gas: of(gas, speed))
        return own + _attach(np.zeros_like(slope), [slope], (velocity,))


def _attach(value: Array, slopes: Sequence[Array], inputs: Sequence[Tensor]) -> Tensor:
    """A tensor of this value whose gradients to the inputs are these."""
    like = inputs[0]
    total = torch.as_tensor(value, dtype=like.dtype, device=like.device)
    for slope, variable in zip(slopes, inputs, strict=True):
        if variable.requires_grad and slope.any():
            weight = torch.as_tensor(slope, dtype=like.dtype, device=like.device)
            total = total + weight * (variable - variable.detach())
    return total
