"""The V band, in which the brightness of stars is given."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["V_RESPONSE", "V_WAVELENGTH", "V_ZERO_POINT", "v_weights"]

V_ZERO_POINT = 3.631e-9
"""Mean flux density of a star of V = 0, erg/s/cm2/A (Bessell, Castelli & Plez 1998, A&A 333, 231,
Table A2)."""

V_RESPONSE = np.array([
    0.000, 0.030, 0.163, 0.458, 0.780, 0.967, 1.000, 0.973, 0.898, 0.792, 0.684, 0.574,
    0.461, 0.359, 0.270, 0.197, 0.135, 0.081, 0.045, 0.025, 0.017, 0.013, 0.009, 0.000,
])  # fmt: skip
"""Response at `V_WAVELENGTH` (Bessell 1990, PASP 102, 1181, Table 2)."""

V_WAVELENGTH = 4700.0 + 100.0 * np.arange(V_RESPONSE.size)
"""Angstrom."""


def v_weights(wavelength: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """What the pixels of a spectrum count in the mean flux density over the band.

    Parameters
    ----------
    wavelength : float64[n]
        Evenly spaced, Angstrom.

    Returns
    -------
    weight : float64[n]
        Their sum is 1, or 0 where no pixel is in the band.
    share : float
        Of the band that the pixels hold.

    Examples
    --------
    >>> weight, share = v_weights(np.arange(3785.0, 6910.0))
    >>> round(float(weight.sum()), 6), round(share, 3)
    (1.0, 1.0)
    """
    response = np.interp(wavelength, V_WAVELENGTH, V_RESPONSE)
    total = float(response.sum())
    share = total * (wavelength[1] - wavelength[0]) / (100.0 * V_RESPONSE.sum())
    return response / max(total, 1e-30), float(share)
