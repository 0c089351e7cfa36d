"""Arithmetic of wavelengths: air and vacuum, Doppler factor, pixel edges."""

from __future__ import annotations

import numpy as np
from astropy.constants import c
from numpy.typing import ArrayLike, NDArray

__all__ = ["SPEED_OF_LIGHT", "air_to_vacuum", "doppler_factor", "pixel_edges", "vacuum_to_air"]

SPEED_OF_LIGHT: float = float(c.to_value("km/s"))
"""Speed of light in km/s."""


def _refractivity(vacuum: NDArray[np.float64]) -> NDArray[np.float64]:
    """n - 1 of dry air at 15 C, 101325 Pa and 450 ppm CO2; Ciddor (1996, Appl. Opt. 35, 1566)."""
    square = (1e4 / vacuum) ** 2
    return 5.792105e-2 / (238.0185 - square) + 1.67917e-3 / (57.362 - square)


def vacuum_to_air(wavelength: ArrayLike) -> NDArray[np.float64]:
    """Wavelengths in air of wavelengths in vacuum, Angstrom.

    Ciddor (1996, Appl. Opt. 35, 1566, Eq. 1) for standard air. The formula of Morton (2000, ApJS
    130, 403), used by VALD, differs by less than 1e-8 of the wavelength in the optical.

    Examples
    --------
    >>> float(vacuum_to_air(6564.614).round(3))
    6562.801
    """
    vacuum = np.asarray(wavelength, dtype=np.float64)
    return vacuum / (1 + _refractivity(vacuum))


def air_to_vacuum(wavelength: ArrayLike) -> NDArray[np.float64]:
    """Wavelengths in vacuum of wavelengths in air, Angstrom.

    The exact inverse of `vacuum_to_air`, by iteration; each round gains five digits.

    Examples
    --------
    >>> float(air_to_vacuum(6562.801).round(3))
    6564.614
    """
    air = np.asarray(wavelength, dtype=np.float64)
    vacuum = air
    for _ in range(4):
        vacuum = air * (1 + _refractivity(vacuum))
    return vacuum


def doppler_factor(velocity: ArrayLike) -> NDArray[np.float64]:
    """Observed over emitted wavelength at a radial velocity in km/s, positive when receding.

    The relativistic factor sqrt((1 + v/c) / (1 - v/c)) of purely radial motion.

    Examples
    --------
    >>> float(doppler_factor(299792.458 * 0.6))
    2.0
    """
    beta = np.asarray(velocity, dtype=np.float64) / SPEED_OF_LIGHT
    return np.sqrt((1 + beta) / (1 - beta))


def pixel_edges(wavelength: ArrayLike) -> NDArray[np.float64]:
    """Edges of pixels with these centres: halfway between neighbours, float64[n + 1].

    Examples
    --------
    >>> pixel_edges([1.0, 2.0, 4.0])
    array([0.5, 1.5, 3. , 5. ])
    """
    centers = np.asarray(wavelength, dtype=np.float64)
    middle = (centers[1:] + centers[:-1]) / 2
    first, last = 2 * centers[0] - middle[0], 2 * centers[-1] - middle[-1]
    return np.concatenate(([first], middle, [last]))
