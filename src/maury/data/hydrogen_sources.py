"""The Stark profiles of the Balmer lines as published, brought to sums of Gaussians.

Stehle & Hutcheon fold their profiles with the Doppler profile of the table's temperature. Here that
is undone: a profile, in units of the Holtsmark field, is a sum of Gaussians and of
x^2 exp(-x^2 / 2), for the lines whose centre is dark, with positive weights that add up to 1. The
sum is fitted to the tables after folding, and folding it with any other Gaussian is exact.
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.optimize import nnls

from maury.synthesis.constants import ATOMIC_MASS, BOLTZMANN, LIGHT

__all__ = ["balmer_mixtures", "mixture"]

RYDBERG_FREQUENCY = 3.2880512e15  # Hz, of hydrogen
HOLTSMARK = 1.25e-9  # field in cgs units over n_e^(2/3), as the tables have it
TEMPERATURE = np.array([2500.0, 5000.0, 10000.0, 19950.0, 39810.0])  # the tables' first nodes, K
LOG_DENSITY = np.arange(10.0, 18.01, 0.5)  # theirs too, cm-3
# Standard deviations of the components in units of the line's width.
GAUSSIAN = 10 ** np.arange(-1.7, 8.31, 0.2)
DIPPED = 10 ** np.arange(-1.4, 1.01, 0.2)
AREA = 300.0  # by which the area outweighs a point of the table


def mixture(
    detuning: NDArray[np.float64],
    profile: NDArray[np.float64],
    doppler: float,
    gaussian: NDArray[np.float64],
    dipped: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Weights of the components that make up a profile once folded with a Gaussian.

    Parameters
    ----------
    detuning, profile
        From the line's centre outwards; the profile is even and has about the area 1.
    doppler
        Standard deviation of the Gaussian.
    gaussian, dipped
        Standard deviations of the Gaussians and of the functions x^2 exp(-x^2 / 2).

    Returns
    -------
    ndarray
        Not negative, of sum 1, the Gaussians' first.

    Notes
    -----
    The tables' own folding loses up to 6% of the area next to a narrow core: points below the
    Doppler profile itself are left out.
    """
    doppler_profile = profile[0] * np.exp(-0.5 * (detuning / doppler) ** 2)
    sound = (profile > 0) & (profile >= 0.985 * doppler_profile)
    x, y = detuning[sound], profile[sound]
    wing = x > 4 * np.sqrt(2) * doppler
    if wing.sum() > 1:
        # The points are far apart in the wings: more of them keep the sum from rippling in between.
        ln_x = np.log(x[wing])
        dense = np.arange(ln_x[0], ln_x[-1], 0.1)
        values = np.exp(PchipInterpolator(ln_x, np.log(y[wing]))(dense))
        x, y = np.append(x[~wing], np.exp(dense)), np.append(y[~wing], values)
    total = gaussian**2 + doppler**2
    plain = np.exp(-0.5 * x[:, None] ** 2 / total) / np.sqrt(2 * np.pi * total)
    total = dipped**2 + doppler**2
    hollow = np.exp(-0.5 * x[:, None] ** 2 / total) / np.sqrt(2 * np.pi * total)
    hollow *= (x[:, None] * dipped / total) ** 2 + doppler**2 / total
    design = np.hstack([plain, hollow]) / y[:, None]
    # A component wider than the data would take any weight.
    allowed = np.append(gaussian, dipped) <= detuning[-1] / 2
    design[:, ~allowed] = 0.0
    weights, _ = nnls(
        np.vstack([design, AREA * allowed]), np.append(np.ones(x.size), AREA), maxiter=10000
    )
    return weights / weights.sum()


def balmer_mixtures(source: Path) -> dict[str, Any]:
    """The Balmer lines to n = 30.

    Parameters
    ----------
    source
        Folder that holds ``tables/Stehle-Hutchson-hydrogen-profiles.h5``.

    Returns
    -------
    dict
        ``upper`` and ``log_gf`` of each line, its ``width`` (Hz per cgs unit of the field), the
        nodes ``log_temperature`` (K) and ``log_density`` (electrons per cm3), the components'
        standard deviations ``gaussian`` and ``dipped`` in widths and their weights ``mixture``,
        shape (line, temperature, density, component).
    """
    upper = np.arange(3, 31)
    width = 1.9e8 * (upper**2 - 4.0)  # as the linear Stark effect goes
    weights = np.zeros(
        (upper.size, TEMPERATURE.size, LOG_DENSITY.size, GAUSSIAN.size + DIPPED.size), np.float32
    )
    with h5py.File(source / "tables/Stehle-Hutchson-hydrogen-profiles.h5") as file:
        log_gf = np.array([file[f"2_{n}"].attrs["log_gf"] for n in upper])
        for row, n in enumerate(upper):
            detuning = file[f"2_{n}"]["delta_nu_over_F0"][()]
            profiles = file[f"2_{n}"]["profile"][()]
            frequency = RYDBERG_FREQUENCY * (0.25 - 1 / n**2)
            for i, t in enumerate(TEMPERATURE):
                doppler = frequency * np.sqrt(BOLTZMANN * t / (1.008 * ATOMIC_MASS)) / LIGHT
                for j, log_density in enumerate(LOG_DENSITY):
                    if j >= profiles.shape[1] or profiles[0, j, i] <= 0:
                        # Beyond the table the profile grows with the field and keeps its shape.
                        weights[row, i, j] = weights[row, i, j - 1]
                        continue
                    field = HOLTSMARK * 10 ** (log_density * 2 / 3)
                    weights[row, i, j] = mixture(
                        detuning,
                        profiles[:, j, i] * field,
                        doppler / field,
                        width[row] * GAUSSIAN,
                        width[row] * DIPPED,
                    )
    return {
        "upper": upper,
        "log_gf": log_gf,
        "width": width,
        "log_temperature": np.log10(TEMPERATURE),
        "log_density": LOG_DENSITY,
        "gaussian": GAUSSIAN,
        "dipped": DIPPED,
        "mixture": weights,
    }
