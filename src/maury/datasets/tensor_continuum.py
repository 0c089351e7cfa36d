"""Continua of many stars at once, as tensors."""

from __future__ import annotations

import math
from functools import cached_property, lru_cache

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from maury.synthesis.continuum import continuum_opacity
from maury.synthesis.elements import abundances
from maury.synthesis.emulator_solver import CONTINUUM_STEP
from maury.synthesis.equation_of_state import solve
from maury.synthesis.opacity_nodes import (
    LOG_PRESSURE,
    METALLICITY,
    SHAPE,
    TEMPERATURE,
    node_states,
    spline_matrix,
)
from maury.synthesis.tensor_atmosphere import interpolate_atmosphere
from maury.synthesis.tensor_transfer import emergent_flux
from maury.wavelength import air_to_vacuum

__all__ = ["TensorContinuum"]


class TensorContinuum:
    """`maury.synthesis.emulator_solver.continuum_flux` for a batch of stars, on a device.

    The gas is not solved for each star: the opacity is tabulated in ln T, log P and [M/H] at the
    nodes of `maury.synthesis.opacity_nodes` when the first star comes, and kept for the process.
    Microturbulence does not enter.

    Parameters
    ----------
    wavelength : float64[n]
        Angstrom in air, 3650 to 8200, in any order.
    device : torch.device or str
        Where continua are computed.

    Examples
    --------
    >>> continuum = TensorContinuum(np.array([5000.0, 6000.0]))
    >>> hot, cool = continuum(*torch.tensor([[7000.0, 4500.0], [4.0, 4.5], [0.0, 0.0]]))
    >>> bool(hot[0] / hot[1] > 1.3 > cool[0] / cool[1])
    True
    """

    def __init__(self, wavelength: NDArray[np.float64], device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        start = float(wavelength.min())
        count = max(math.ceil((wavelength.max() - start) / CONTINUUM_STEP) + 1, 2)
        self.coarse = start + CONTINUUM_STEP * np.arange(count)
        place = (wavelength - start) / CONTINUUM_STEP
        below = np.minimum(place.astype(int), count - 2)
        self.below = torch.tensor(below, device=self.device)
        self.share = torch.tensor(place - below, dtype=torch.float32, device=self.device)

    @cached_property
    def _table(self) -> Tensor:
        table = _opacities(float(self.coarse[0]), self.coarse.size)
        return torch.tensor(table, dtype=torch.float32, device=self.device)

    def __call__(
        self,
        teff: Float[Tensor, " batch"],
        logg: Float[Tensor, " batch"],
        mh: Float[Tensor, " batch"],
    ) -> Float[Tensor, "batch n"]:
        """Flux at the stellar surface as it would be without lines, erg s-1 cm-2 A-1.

        Parameters
        ----------
        teff, logg, mh : Tensor
            K, log10 of cm s-2, dex; float32, on the device.

        Raises
        ------
        SynthesisError
            If a star is outside the grid of atmospheres.
        """
        layers = interpolate_atmosphere(teff, logg, mh)
        ln_temperature, ln_pressure = layers[..., 1], layers[..., 2]
        heat = (ln_temperature - math.log(TEMPERATURE[0])) / math.log(
            TEMPERATURE[1] / TEMPERATURE[0]
        )
        push = (ln_pressure / math.log(10) - LOG_PRESSURE[0]) / (LOG_PRESSURE[1] - LOG_PRESSURE[0])
        row, column = _splines(heat, SHAPE[0]), _splines(push, SHAPE[1])
        state = (row[..., :, None] * column[..., None, :]).flatten(2)
        own = (_parabola(mh) @ self._table.flatten(1)).unflatten(1, self._table.shape[1:])
        wavelength = torch.tensor(self.coarse, device=self.device)
        flux = emergent_flux(
            torch.bmm(state, own), layers[..., 0].exp(), ln_temperature.exp(), wavelength
        )
        return torch.lerp(flux[:, self.below], flux[:, self.below + 1], self.share)


@lru_cache(maxsize=4)
def _opacities(start: float, count: int) -> NDArray[np.float64]:
    """ln opacity (cm2 g-1) as coefficients of B-splines, shape (mh, coefficient, wavelength)."""
    temperature, log_pressure = node_states()
    wavelength = air_to_vacuum(start + CONTINUUM_STEP * np.arange(count))
    tables = []
    for mh in METALLICITY:
        gas = solve(temperature, 10.0**log_pressure, abundances(float(mh)))
        logs = np.log(continuum_opacity(wavelength, gas) / gas.density[:, None])
        tables.append(spline_matrix() @ logs)
    return np.stack(tables)


def _splines(place: Tensor, size: int) -> Tensor:
    """Cubic B-splines about the nodes -1 to ``size`` - 2, whose distance is 1, (..., size)."""
    nodes = torch.arange(-1, size - 1, dtype=place.dtype, device=place.device)
    away = (place.clamp(0, size - 3)[..., None] - nodes).abs()
    return ((2 - away).clamp(min=0) ** 3 - 4 * (1 - away).clamp(min=0) ** 3) / 6


def _parabola(mh: Tensor) -> Tensor:
    """Weights of the nodes of [M/H]: of the three nearest, shape (batch, node)."""
    place = (mh - METALLICITY[0]) / (METALLICITY[1] - METALLICITY[0])
    middle = place.round().clamp(1, METALLICITY.size - 2)
    z = place - middle
    weights = torch.stack([z * (z - 1) / 2, 1 - z * z, z * (z + 1) / 2], dim=1)
    nodes = middle.long()[:, None] + torch.arange(-1, 2, device=mh.device)
    return weights.new_zeros(len(mh), METALLICITY.size).scatter(1, nodes, weights)
