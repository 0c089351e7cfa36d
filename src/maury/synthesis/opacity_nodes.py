"""The states of the gas at which opacities are tabulated, and interpolation between them."""

from __future__ import annotations

from functools import cache

import numpy as np

from maury.errors import SynthesisError
from maury.synthesis.atmosphere import Atmosphere, atmosphere_grid

__all__ = [
    "LOG_PRESSURE",
    "METALLICITY",
    "TEMPERATURE",
    "metallicities",
    "node_states",
    "node_stencil",
    "node_table",
]

TEMPERATURE = np.geomspace(1500.0, 20000.0, 50)  # K
LOG_PRESSURE = np.arange(-1.0, 7.51, 0.5)  # of the gas, dyn cm-2
METALLICITY = np.linspace(-1.5, 0.5, 9)  # dex
# Steps of temperature and pressure from a cell's node to those that its interpolation takes.
STENCIL = ((-1, 0), (0, 0), (1, 0), (2, 0), (0, -1), (0, 1), (1, -1), (1, 1))
# Rosseland optical depths of the grid's layers that matter: 10 to the -6 and 1.5.
FIRST_LAYER, LAST_LAYER = 7, 68


@cache
def node_table() -> np.ndarray:
    """Row of each (temperature, pressure) in a table, shape (50, 18); -1 where there is none.

    Only what the layers of some atmosphere of the grid are interpolated from is tabulated.

    Examples
    --------
    >>> bool((node_table() >= 0).mean() < 0.75)
    True
    """
    layers = atmosphere_grid()["layers"][..., FIRST_LAYER:LAST_LAYER, 1:3]
    for axis in range(3):
        layers = _halved(layers, axis)
    reached = np.zeros((TEMPERATURE.size, LOG_PRESSURE.size), bool)
    reached[_cell(_row(np.exp(layers[..., 0])), _column(layers[..., 1] / np.log(10)))] = True
    needed = np.zeros_like(reached)
    for a, b in STENCIL:
        needed |= np.roll(reached, (a, b), (0, 1))
    table = np.full(reached.shape, -1)
    table[needed] = np.arange(np.count_nonzero(needed))
    return table


@cache
def _cells() -> np.ndarray:
    """Whether all nodes are there that interpolation needs, by `_cell`."""
    there = node_table() >= 0
    return np.logical_and.reduce([np.roll(there, (-a, -b), (0, 1)) for a, b in STENCIL])


def node_states() -> tuple[np.ndarray, np.ndarray]:
    """Temperature (K) and log10 of the gas pressure (dyn cm-2) of each row of a table."""
    i, j = np.nonzero(node_table() >= 0)
    return TEMPERATURE[i], LOG_PRESSURE[j]


def node_stencil(atmosphere: Atmosphere) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights that interpolate to the layers of an atmosphere.

    Cubic in ln T, since the gas ionises within two steps of it; quadratic in log P, linear in ln T
    between the two nearest temperatures.

    Parameters
    ----------
    atmosphere
        The model.

    Returns
    -------
    rows, weights
        Shape (layer, 8).

    Raises
    ------
    SynthesisError
        If layers that matter are not covered.
    """
    x, y = _row(atmosphere.temperature), _column(np.log10(atmosphere.pressure))
    i, j = _cell(x, y)
    # The cells of each temperature are one stretch of pressures.
    cells = _cells()
    warm = np.flatnonzero(cells.any(axis=1))
    i = np.clip(i, warm[0], warm[-1])
    j = np.clip(j, cells.argmax(axis=1)[i], cells.shape[1] - 1 - cells[:, ::-1].argmax(axis=1)[i])
    f, y = x - i, y - j
    # Above the last temperature it is too deep to be seen.
    share = atmosphere.rhox / atmosphere.rhox[-1]
    seen = (share > 1e-3) & (share < 0.3) & (f < 2.0)
    outside = np.flatnonzero(seen & ((f < -1.0) | (np.abs(y) > 2.0)))
    if outside.size:
        layer = int(outside[0])
        raise SynthesisError(
            f"the model atmosphere's layer {layer + 1}, {atmosphere.temperature[layer]:.0f} K at "
            f"{atmosphere.pressure[layer]:.3g} dyn/cm2, is not covered by the opacity tables; they "
            f"hold for dwarfs of 3000 to 11500 K (log g 3.5-5)"
        )
    f, y = np.clip(f, 0.0, 1.0), np.clip(y, -1.0, 1.0)
    down, up, curve = y * (y - 1) / 2, y * (y + 1) / 2, -y * y
    weights = [
        -f * (f - 1) * (f - 2) / 6,
        (f + 1) * (f - 1) * (f - 2) / 2 + (1 - f) * curve,
        -(f + 1) * f * (f - 2) / 2 + f * curve,
        (f + 1) * f * (f - 1) / 6,
        (1 - f) * down,
        (1 - f) * up,
        f * down,
        f * up,
    ]
    rows = np.stack([node_table()[i + a, j + b] for a, b in STENCIL], axis=1)
    return rows, np.stack(weights, axis=1)


def metallicities(mh: float) -> tuple[list[float], list[float]]:
    """The [M/H] of the tables that a star takes, and their weights: one or three, quadratic.

    Raises
    ------
    SynthesisError
        If the metallicity is not covered.

    Examples
    --------
    >>> metallicities(0.125)
    ([0.0, 0.25, -0.25], [0.75, 0.375, -0.125])
    >>> metallicities(-1.5)
    ([-1.5], [1.0])
    """
    if not METALLICITY[0] <= mh <= METALLICITY[-1]:
        raise SynthesisError(
            f"[M/H] = {mh:g} dex is outside the opacity tables; allowed is "
            f"{METALLICITY[0]:g} to {METALLICITY[-1]:g} dex"
        )
    place = (mh - METALLICITY[0]) / (METALLICITY[1] - METALLICITY[0])
    if place == np.rint(place):
        return [float(METALLICITY[int(place)])], [1.0]
    k = int(np.clip(np.rint(place), 1, METALLICITY.size - 2))
    z = float(place - k)
    nodes = [float(METALLICITY[k + n]) for n in (0, 1, -1)]
    return nodes, [1 - z * z, z * (z + 1) / 2, z * (z - 1) / 2]


def _row(temperature: np.ndarray) -> np.ndarray:
    return np.log(temperature / TEMPERATURE[0]) / np.log(TEMPERATURE[1] / TEMPERATURE[0])


def _column(log_pressure: np.ndarray) -> np.ndarray:
    return (log_pressure - LOG_PRESSURE[0]) / (LOG_PRESSURE[1] - LOG_PRESSURE[0])


def _cell(row: np.ndarray, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The temperature below and the nearest pressure that have the neighbours of `STENCIL`."""
    i = np.clip(np.floor(row).astype(int), 1, TEMPERATURE.size - 3)
    return i, np.clip(np.rint(column).astype(int), 1, LOG_PRESSURE.size - 2)


def _halved(values: np.ndarray, axis: int) -> np.ndarray:
    """The same with the means of neighbours in between."""
    values = np.moveaxis(values, axis, 0)
    result = np.empty((2 * len(values) - 1, *values.shape[1:]))
    result[::2], result[1::2] = values, (values[1:] + values[:-1]) / 2
    return np.moveaxis(result, 0, axis)
