"""The states of the gas at which opacities are tabulated, and interpolation between them."""

from __future__ import annotations

from functools import cache

import numpy as np

from maury.errors import SynthesisError
from maury.synthesis.atmosphere import Atmosphere, atmosphere_grid

__all__ = [
    "LOG_PRESSURE",
    "METALLICITY",
    "SHAPE",
    "TEMPERATURE",
    "coefficient_table",
    "metallicities",
    "nearest_node",
    "node_states",
    "node_table",
    "spline_matrix",
    "spline_stencil",
    "values_matrix",
]

TEMPERATURE = np.geomspace(1500.0, 20000.0, 50)  # K
LOG_PRESSURE = np.arange(-1.0, 7.51, 0.5)  # of the gas, dyn cm-2
METALLICITY = np.linspace(-1.5, 0.5, 9)  # dex
SHAPE = (TEMPERATURE.size + 2, LOG_PRESSURE.size + 2)  # of the coefficients of cubic B-splines
LAST_LAYER = 68  # of the grid's that matters: at a Rosseland optical depth of 10 to the 1.5
SMOOTH = 1e-4  # of the coefficients' third differences, against errors at the nodes


@cache
def _cells() -> np.ndarray:
    """Which cells between nodes some layer of some atmosphere of the grid is in, shape (49, 17)."""
    layers = atmosphere_grid()["layers"][..., :LAST_LAYER, 1:3]
    for axis in range(3):
        layers = _halved(layers, axis)
    reached = np.zeros((TEMPERATURE.size - 1, LOG_PRESSURE.size - 1), bool)
    x, y = _place(np.exp(layers[..., 0]), layers[..., 1] / np.log(10))
    reached[_below(x, TEMPERATURE.size), _below(y, LOG_PRESSURE.size)] = True
    # Of each temperature one stretch of pressures, which `spline_stencil` relies on.
    before = np.logical_or.accumulate(reached, axis=1)
    return before & np.logical_or.accumulate(reached[:, ::-1], axis=1)[:, ::-1]


@cache
def node_table() -> np.ndarray:
    """Number of each (temperature, pressure) among the nodes, shape (50, 18); -1 where none is.

    Opacities are computed at the corners of the cells that layers are in.

    Examples
    --------
    >>> bool((node_table() >= 0).mean() < 0.75)
    True
    """
    return _numbered(_spread(_cells(), 2))


@cache
def coefficient_table() -> np.ndarray:
    """Row of each coefficient in a table, of `SHAPE`; -1 where there is none.

    Coefficient (i, j) is that of the B-spline about the node (i - 1, j - 1). What no layer is
    interpolated from is not kept.
    """
    return _numbered(_spread(_cells(), 4))


def node_states() -> tuple[np.ndarray, np.ndarray]:
    """Temperature (K) and log10 of the gas pressure (dyn cm-2) of each node."""
    i, j = np.nonzero(node_table() >= 0)
    return TEMPERATURE[i], LOG_PRESSURE[j]


@cache
def values_matrix() -> np.ndarray:
    """The matrix from the coefficients of cubic B-splines, all of `SHAPE`, to values at nodes."""
    nodes = np.stack(np.nonzero(node_table() >= 0))
    values = np.zeros((nodes.shape[1], *SHAPE))
    for a, x in enumerate((1 / 6, 2 / 3, 1 / 6)):
        for b, y in enumerate((1 / 6, 2 / 3, 1 / 6)):
            values[np.arange(nodes.shape[1]), nodes[0] + a, nodes[1] + b] = x * y
    return values.reshape(nodes.shape[1], -1)


@cache
def spline_matrix() -> np.ndarray:
    """The matrix from values at nodes to coefficients of cubic B-splines, all of `SHAPE`.

    Where there is no node the splines go on smoothly.
    """
    size = SHAPE[0] * SHAPE[1]
    unit = np.eye(size).reshape(size, *SHAPE)
    rough = np.concatenate([np.diff(unit, 3, axis).reshape(size, -1) for axis in (1, 2)], axis=1)
    values = values_matrix()
    normal = values.T @ values + SMOOTH**2 * rough @ rough.T
    return np.linalg.solve(normal, values.T)


def spline_stencil(atmosphere: Atmosphere) -> tuple[np.ndarray, np.ndarray]:
    """Rows of a table and their weights that interpolate to the layers of an atmosphere.

    Cubic splines in ln T and in log P: with cubics through the four nearest nodes, the gas of cool
    stars, where molecules form within a step or two, errs several times as much.

    Parameters
    ----------
    atmosphere
        The model.

    Returns
    -------
    rows, weights
        Shape (layer, 16).

    Raises
    ------
    SynthesisError
        If layers that matter are not covered.
    """
    x, y = _place(atmosphere.temperature, np.log10(atmosphere.pressure))
    cells = _cells()
    warm = np.flatnonzero(cells.any(axis=1))
    i = np.clip(_below(x, TEMPERATURE.size), warm[0], warm[-1])
    last = cells.shape[1] - 1 - cells[:, ::-1].argmax(axis=1)
    j = np.clip(_below(y, LOG_PRESSURE.size), cells.argmax(axis=1)[i], last[i])
    f, g = x - i, y - j
    # Above the last temperature it is too deep to be seen.
    share = atmosphere.rhox / atmosphere.rhox[-1]
    seen = (share > 1e-3) & (share < 0.3) & (f < 2.0)
    outside = np.flatnonzero(seen & ((f < -1.0) | (np.abs(g - 0.5) > 2.0)))
    if outside.size:
        layer = int(outside[0])
        raise SynthesisError(
            f"the model atmosphere's layer {layer + 1}, {atmosphere.temperature[layer]:.0f} K at "
            f"{atmosphere.pressure[layer]:.3g} dyn/cm2, is not covered by the opacity tables; they "
            f"hold for dwarfs of 3000 to 11500 K (log g 3.5-5)"
        )
    near = np.arange(4)
    rows = coefficient_table()[i[:, None, None] + near[:, None], j[:, None, None] + near]
    weights = _splines(np.clip(f, 0.0, 1.0))[:, :, None] * _splines(np.clip(g, 0.0, 1.0))[:, None]
    return rows.reshape(-1, 16), weights.reshape(-1, 16)


def nearest_node(temperature: float, log_pressure: float) -> int:
    """Number of the node nearest to a state of the gas (K, log10 of dyn cm-2)."""
    i, j = np.nonzero(node_table() >= 0)
    x, y = _place(np.array(temperature), np.array(log_pressure))
    return int(np.argmin((i - x) ** 2 + (j - y) ** 2))


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


def _place(temperature: np.ndarray, log_pressure: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where states of the gas are among the nodes, in their steps."""
    x = np.log(temperature / TEMPERATURE[0]) / np.log(TEMPERATURE[1] / TEMPERATURE[0])
    return x, (log_pressure - LOG_PRESSURE[0]) / (LOG_PRESSURE[1] - LOG_PRESSURE[0])


def _below(place: np.ndarray, size: int) -> np.ndarray:
    """The node below, of ``size`` nodes."""
    return np.clip(np.floor(place).astype(int), 0, size - 2)


def _splines(f: np.ndarray) -> np.ndarray:
    """The four cubic B-splines at a fraction of a cell, shape (place, 4)."""
    g = 1 - f
    terms = (g**3, 3 * f**3 - 6 * f**2 + 4, 3 * g**3 - 6 * g**2 + 4, f**3)
    return np.stack(terms, axis=-1) / 6


def _spread(cells: np.ndarray, reach: int) -> np.ndarray:
    """What is ``reach`` long and wide about any of the cells."""
    rows, columns = cells.shape
    result = np.zeros((rows + reach - 1, columns + reach - 1), bool)
    for a in range(reach):
        for b in range(reach):
            result[a : a + rows, b : b + columns] |= cells
    return result


def _numbered(there: np.ndarray) -> np.ndarray:
    numbers = np.full(there.shape, -1)
    numbers[there] = np.arange(np.count_nonzero(there))
    return numbers


def _halved(values: np.ndarray, axis: int) -> np.ndarray:
    """The same with the means of neighbours in between."""
    values = np.moveaxis(values, axis, 0)
    result = np.empty((2 * len(values) - 1, *values.shape[1:]))
    result[::2], result[1::2] = values, (values[1:] + values[:-1]) / 2
    return np.moveaxis(result, 0, axis)
