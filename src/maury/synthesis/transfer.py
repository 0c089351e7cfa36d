"""Formal solution: the flux that leaves a plane-parallel atmosphere in LTE."""

import math

import numpy as np
from numba import njit, prange

from maury.synthesis.constants import SECOND_RADIATION

__all__ = ["emergent_flux"]

# Gauss-Legendre quadrature in mu on (0, 1), four points: exact to 1e-4 for a linear source.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(4)
MU = (_NODES + 1) / 2
WEIGHT = _WEIGHTS / 2


@njit(parallel=True, fastmath=True, error_model="numpy", cache=True)
def _solve(opacity, coarse, start, step, wavelength, rhox, density, temperature, mu, weight, flux):
    layers = rhox.size
    for i in prange(wavelength.size):
        position = (wavelength[i] - start) / step
        column = min(max(int(position), 0), coarse.shape[1] - 2)
        f = position - column
        intensity, transmitted = np.zeros(mu.size), np.ones(mu.size)
        previous_mass_opacity, previous_source = 0.0, 0.0
        for d in range(layers):
            alpha = coarse[d, column] * (1 - f) + coarse[d, column + 1] * f
            if opacity.shape[0] > 1:
                alpha += opacity[i, d]
            mass_opacity = alpha / density[d]
            source = 1.0 / (math.exp(SECOND_RADIATION / (wavelength[i] * temperature[d])) - 1.0)
            if d == 0:
                for m in range(mu.size):
                    transmitted[m] = math.exp(-mass_opacity * rhox[0] / mu[m])
                    intensity[m] = source * (1.0 - transmitted[m])
            else:
                tau = 0.5 * (mass_opacity + previous_mass_opacity) * (rhox[d] - rhox[d - 1])
                for m in range(mu.size):
                    x = tau / mu[m]
                    if x > 1e-3:
                        decay = math.exp(-x)
                        mean = (1.0 - decay) / x
                        gain = previous_source * (1.0 - mean) + source * (mean - decay)
                    else:
                        decay = 1.0 - x + 0.5 * x * x
                        gain = 0.5 * x * (previous_source + source)
                    intensity[m] += transmitted[m] * gain
                    transmitted[m] *= decay
            previous_mass_opacity, previous_source = mass_opacity, source
        total = 0.0
        for m in range(mu.size):
            total += weight[m] * mu[m] * (intensity[m] + transmitted[m] * previous_source)
        # 2 pi times 2 h c^2 / lambda^5 in erg s-1 cm-2 A-1.
        flux[i] = total * 2.0 * math.pi * 1.191042972e-5 * (1e8 / wavelength[i]) ** 5 * 1e-8


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
        lines, continuum, continuum_start, continuum_step, wavelength, rhox, density, temperature,
        MU, WEIGHT, flux,
    )  # fmt: skip
    return flux
