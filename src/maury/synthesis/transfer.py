"""Formal solution: the flux that leaves a plane-parallel atmosphere in LTE."""

import math

import numpy as np
from numba import njit, prange

from maury.synthesis.constants import SECOND_RADIATION

__all__ = ["column_weights", "emergent_flux"]

# Gauss-Legendre quadrature in mu on (0, 1), four points: exact to 1e-4 for a linear source.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(4)
MU = (_NODES + 1) / 2
WEIGHT = _WEIGHTS / 2


@njit(parallel=True, fastmath=True, error_model="numpy", cache=True)
def _solve(
    opacity, coarse, start, step, wavelength, top, columns, density, temperature, mu, weight, flux
):
    layers = density.size
    for i in prange(wavelength.size):
        position = (wavelength[i] - start) / step
        column = min(max(int(position), 0), coarse.shape[1] - 2)
        f = position - column
        # Two more at either end, whose weights are 0, spare the loop its exceptions.
        per_gram = np.zeros(layers + 3)
        for d in range(layers):
            alpha = coarse[d, column] * (1 - f) + coarse[d, column + 1] * f
            if opacity.shape[0] > 1:
                alpha += opacity[i, d]
            per_gram[d + 1] = alpha / density[d]
        intensity, transmitted = np.zeros(mu.size), np.ones(mu.size)
        previous = 0.0
        for d in range(layers):
            source = 1.0 / (math.exp(SECOND_RADIATION / (wavelength[i] * temperature[d])) - 1.0)
            if d == 0:
                for m in range(mu.size):
                    transmitted[m] = math.exp(-per_gram[1] * top / mu[m])
                    intensity[m] = source * (1.0 - transmitted[m])
            else:
                tau = 0.0
                for j in range(4):
                    tau += columns[d - 1, j] * per_gram[d - 1 + j]
                # The slopes' correction is small, but must not turn a layer inside out.
                least = 0.1 * (
                    columns[d - 1, 1] * per_gram[d] + columns[d - 1, 2] * per_gram[d + 1]
                )
                tau = max(tau, least)
                for m in range(mu.size):
                    x = tau / mu[m]
                    if x > 1e-3:
                        decay = math.exp(-x)
                        mean = (1.0 - decay) / x
                        gain = previous * (1.0 - mean) + source * (mean - decay)
                    else:
                        decay = 1.0 - x + 0.5 * x * x
                        gain = 0.5 * x * (previous + source)
                    intensity[m] += transmitted[m] * gain
                    transmitted[m] *= decay
            previous = source
        total = 0.0
        for m in range(mu.size):
            total += weight[m] * mu[m] * (intensity[m] + transmitted[m] * previous)
        # 2 pi times 2 h c^2 / lambda^5 in erg s-1 cm-2 A-1.
        flux[i] = total * 2.0 * math.pi * 1.191042972e-5 * (1e8 / wavelength[i]) ** 5 * 1e-8


def column_weights(rhox: np.ndarray) -> np.ndarray:
    """Weights that turn opacities per gram into the optical depth between layers.

    The trapezoidal rule with its end correction: h (a + b) / 2 + h^2 (a' - b') / 12, the slopes
    from the parabola through each layer and its neighbours. In the photosphere opacity grows with
    the fourth power of column mass, and without the correction the Sun is 1% too faint.

    Parameters
    ----------
    rhox
        Column mass, g cm-2, shape (layer,).

    Returns
    -------
    ndarray
        Shape (layer - 1, 4): of the interval from layer d to d + 1, for the opacities of layers
        d - 1 to d + 2; 0 where there is no such layer.

    Examples
    --------
    >>> import numpy as np
    >>> rhox = np.geomspace(0.1, 10.0, 40)
    >>> opacity = np.concatenate([[0], rhox**3, [0]])
    >>> depth = (column_weights(rhox) * np.lib.stride_tricks.sliding_window_view(opacity, 4)).sum()
    >>> f"{depth / ((10.0**4 - 0.1**4) / 4):.2f}"
    '1.00'
    """
    h = np.diff(rhox)
    # Rows of the matrix that takes the slope at every layer: np.gradient of the unit vectors.
    slope = np.asarray(np.gradient(np.eye(rhox.size), rhox, axis=0))
    full = np.zeros((h.size, rhox.size + 2))
    full[:, 1:-1] = h[:, None] ** 2 / 12 * (slope[:-1] - slope[1:])
    intervals = np.arange(h.size)
    full[intervals, intervals + 1] += h / 2
    full[intervals, intervals + 2] += h / 2
    return full[intervals[:, None], intervals[:, None] + np.arange(4)]


def emergent_flux(
    wavelength: np.ndarray,
    line_opacity: np.ndarray | None,
    continuum: np.ndarray,
    continuum_start: float,
    continuum_step: float,
    rhox: np.ndarray,
    density: np.ndarray,
    temperature: np.ndarray,
) -> np.ndarray:
    """Flux at the stellar surface.

    Parameters
    ----------
    wavelength
        Angstrom, shape (pixel,).
    line_opacity
        cm-1, shape (pixel, layer); None for the continuum alone.
    continuum, continuum_start, continuum_step
        cm-1, shape (layer, point), on an even grid of wavelengths; interpolated linearly.
    rhox, density, temperature
        Column mass (g cm-2), mass density (g cm-3) and temperature (K) of each layer, top down.

    Returns
    -------
    ndarray
        erg s-1 cm-2 A-1, shape (pixel,).

    Notes
    -----
    The source function is Planck's, linear in optical depth between layers; four angles.
    """
    flux = np.empty(wavelength.size)
    lines = np.zeros((1, rhox.size)) if line_opacity is None else line_opacity
    _solve(
        lines, continuum, continuum_start, continuum_step, wavelength, rhox[0],
        column_weights(rhox), density, temperature, MU, WEIGHT, flux,
    )  # fmt: skip
    return flux
