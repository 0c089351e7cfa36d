"""Balmer lines: Stark profiles, and self-broadening of the first three."""

import math
from functools import cache

import numpy as np
from numba import njit, prange
from scipy.special import gamma

from maury.data import load_table
from maury.synthesis.constants import (
    ATOMIC_MASS,
    BOLTZMANN,
    BOLTZMANN_EV,
    KILOMETRE,
    LIGHT,
    RYDBERG_H_EV,
    SECOND_RADIATION,
)
from maury.synthesis.equation_of_state import Gas
from maury.synthesis.lines import CLASSICAL, voigt

__all__ = ["hydrogen_opacity"]

REACH = 150.0  # Angstrom around each line
# Self-broadening of H-alpha, beta, gamma: sigma (atomic units) and alpha of the p-d transition,
# Barklem, Piskunov & O'Mara 2000, A&A 363, 1091, Table 3.
SELF_BROADENING = {3: (1180.0, 0.677), 4: (2320.0, 0.455), 5: (4208.0, 0.380)}
BOHR_RADIUS = 5.29177210903e-9
# Vacuum wavelengths of the blended fine structure (Barklem et al. 2000); the profile tables give
# those of a level without fine structure, from which the higher lines differ by the last number.
CENTRES = {3: 6564.610, 4: 4862.681, 5: 4341.682}
FINE_STRUCTURE = 1.17e-5


@cache
def _table() -> dict[str, np.ndarray]:
    return load_table("hydrogen_lines")


@njit(parallel=True, fastmath=True, error_model="numpy")
def _add(opacity, wavelength, centre, detuning, log_profile, log_field, area, low, doppler, half):
    """Add a line's Stark profile and its Lorentz self-broadening to ``opacity``."""
    light = 2.99792458e18
    nu0 = light / centre
    for i in prange(wavelength.size):
        nu = light / wavelength[i]
        log_away = math.log10(abs(nu - nu0) + 1.0)
        per_wavelength = light / (wavelength[i] * wavelength[i])
        for d in range(area.size):
            x = min(max(log_away - log_field[d], detuning[0]), detuning[-1])
            j = 0
            while j < detuning.size - 2 and detuning[j + 1] < x:
                j += 1
            f = (x - detuning[j]) / (detuning[j + 1] - detuning[j])
            profile = 10.0 ** (log_profile[d, j] * (1 - f) + log_profile[d, j + 1] * f)
            total = profile * per_wavelength
            if half[d] > 0.0:
                v = abs(wavelength[i] - centre) / doppler[d]
                # The Stark profile holds the Doppler core already: add the Lorentz wings only.
                wings = voigt(half[d] / doppler[d], v) - voigt(0.0, v)
                total += max(wings, 0.0) / (doppler[d] * 1.772453850905516)
            opacity[low + i, d] += area[d] * total


def hydrogen_opacity(
    opacity: np.ndarray, wavelength: np.ndarray, gas: Gas, vmic: float
) -> None:  # fmt: skip
    """Add the Balmer lines from H-alpha to n = 15.

    Parameters
    ----------
    opacity
        Absorption coefficient in cm-1, shape (pixel, layer), changed in place.
    wavelength
        Vacuum wavelengths in Angstrom, shape (pixel,).
    gas
        The gas at each layer.
    vmic
        Microturbulent velocity, km/s; enters the self-broadened profile only, since the tables
        hold the thermal Doppler width.

    Notes
    -----
    Stehle & Hutcheon 1999, A&AS 140, 93, bilinear in log T and log n_e and clamped to the table;
    the self-broadened profile is added, not convolved (as Barklem et al. 2000 suggest for wings).
    """
    table = _table()
    t = gas.temperature
    field = 1.25e-9 * gas.electrons ** (2 / 3)
    lower_level = gas.per_state("H I") * np.exp(-RYDBERG_H_EV * 0.75 / (BOLTZMANN_EV * t))
    for n, log_gf in zip(table["upper"], table["log_gf"], strict=True):
        waves = table[f"wavelength_{n}"]
        centre = CENTRES.get(int(n), float(waves.max()) * (1 - FINE_STRUCTURE))
        start, stop = np.searchsorted(wavelength, [centre - REACH, centre + REACH])
        if start == stop:
            continue
        log_t, log_n = table[f"log_temperature_{n}"], table[f"log_density_{n}"]
        profile = table[f"profile_{n}"]
        i, f = _position(log_t, np.log10(t))
        j, g = _position(log_n, np.log10(gas.electrons))
        mixed = (
            profile[:, j, i] * (1 - f) * (1 - g)
            + profile[:, j, i + 1] * f * (1 - g)
            + profile[:, j + 1, i] * (1 - f) * g
            + profile[:, j + 1, i + 1] * f * g
        )
        stimulated = 1 - np.exp(-SECOND_RADIATION / (centre * t))
        area = CLASSICAL * 10.0**log_gf * lower_level * stimulated * centre**2 / (LIGHT * 1e8)
        half = np.zeros(t.size)
        doppler = centre / LIGHT * np.sqrt(
            2 * BOLTZMANN * t / (1.008 * ATOMIC_MASS) + (vmic * KILOMETRE) ** 2
        )  # fmt: skip
        if int(n) in SELF_BROADENING:
            sigma, alpha = SELF_BROADENING[int(n)]
            speed = np.sqrt(8 * BOLTZMANN * t / np.pi * 2 / (1.008 * ATOMIC_MASS))
            width = 2 * (4 / np.pi) ** (alpha / 2) * gamma((4 - alpha) / 2) * 1e6
            width = width * sigma * BOHR_RADIUS**2 * (speed / 1e6) ** (1 - alpha)
            half = width * gas.number["H I"] * centre**2 / (4 * np.pi * LIGHT * 1e8)
        _add(
            opacity, wavelength[start:stop], centre, table[f"detuning_{n}"],
            np.ascontiguousarray(mixed.T, dtype=np.float64), np.log10(field),
            area, start, doppler, half,
        )  # fmt: skip


def _position(nodes: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower node and fraction of each value, clamped to the nodes."""
    value = np.clip(value, nodes[0], nodes[-1])
    i = np.clip(np.searchsorted(nodes, value) - 1, 0, nodes.size - 2)
    return i, (value - nodes[i]) / (nodes[i + 1] - nodes[i])
