"""Line opacity: Voigt profiles summed over the lines of a list, layer by layer."""

import cmath
import math

import numpy as np
from numba import njit, prange

from maury.synthesis.constants import (
    ATOMIC_MASS,
    BOLTZMANN,
    BOLTZMANN_EV,
    KILOMETRE,
    LIGHT,
    SECOND_RADIATION,
)
from maury.synthesis.equation_of_state import Gas
from maury.synthesis.linelist import LineList

__all__ = ["line_opacity", "vdw_perturbers", "voigt"]

CLASSICAL = 0.0265400854  # pi e^2 / (m_e c), cm2 Hz
# Kernels are cached on disk, which takes 8 s off every new process; numba sees changes of this file
# alone, so a cached kernel must call nothing from another.
BLOCK = 2048  # pixels that one thread fills at a time
WIDEST = 60.0  # Angstrom from a line's centre at which its wings end


@njit(inline="always", fastmath=True, error_model="numpy")
def voigt(a: float, v: float) -> float:
    """The Hjerting function H(a, v), the real part of the Faddeeva function of v + i a.

    Humlicek 1982, JQSRT 27, 437: algorithm W4, accurate to 1e-4. ``v`` is not negative.
    """
    t = complex(a, -v)
    s = v + a
    if s >= 15.0:
        return (t * 0.5641896 / (0.5 + t * t)).real
    u = t * t
    if s >= 5.5:
        return (t * (1.410474 + u * 0.5641896) / (0.75 + u * (3.0 + u))).real
    if a >= 0.195 * v - 0.176:
        top = 16.4955 + t * (20.20933 + t * (11.96482 + t * (3.778987 + t * 0.5642236)))
        low = 38.82363 + t * (39.27121 + t * (21.69274 + t * (6.699398 + t)))
        return (top / (16.4955 + t * low)).real
    top = 1540.787 - u * (219.0313 - u * (35.76683 - u * (1.320522 - u * 0.56419)))
    top = 36183.31 - u * (3321.9905 - u * top)
    low = 2186.181 - u * (364.2191 - u * (61.57037 - u * (1.841439 - u)))
    low = 32066.6 - u * (24322.84 - u * (9022.228 - u * low))
    return (cmath.exp(u) - t * top / low).real


@njit(inline="always", fastmath=True, error_model="numpy")
def _layer(
    wavelength, strength, excitation, thermal, rad, stark, vdw, exponent, per_state, t, ne, nh, xi2
):
    """Peak of the unit-damping profile (cm-1), Doppler width (A) and half Lorentz width (A)."""
    level = per_state * math.exp(-excitation / (BOLTZMANN_EV * t))
    stimulated = 1.0 - math.exp(-SECOND_RADIATION / (wavelength * t))
    area = strength * level * stimulated * wavelength * wavelength / (LIGHT * 1e8)
    doppler = wavelength / LIGHT * math.sqrt(thermal * t + xi2)
    gamma = rad + stark * ne * (t * 1e-4) ** (1.0 / 6.0) + vdw * nh * (t * 1e-4) ** exponent
    half_width = gamma * wavelength * wavelength / (4.0 * math.pi * LIGHT * 1e8)
    return area / (doppler * 1.772453850905516), doppler, half_width


@njit(parallel=True, fastmath=True, error_model="numpy", cache=True)
def _reach(
    lines, index, per_state, t, ne, nh, xi2, continuum, continuum_start, continuum_step, cutoff
):
    """Distance (A) from each line's centre beyond which it is below ``cutoff`` of the continuum."""
    wavelength, strength, excitation, thermal, rad, stark, vdw, exponent = lines
    reach = np.zeros(wavelength.size)
    for i in prange(wavelength.size):
        column = int((wavelength[i] - continuum_start) / continuum_step)
        column = min(max(column, 0), continuum.shape[1] - 1)
        for d in range(2, t.size, 3):
            peak, doppler, half = _layer(
                wavelength[i], strength[i], excitation[i], thermal[i], rad[i], stark[i], vdw[i],
                exponent[i], per_state[index[i], d], t[d], ne[d], nh[d], xi2,
            )  # fmt: skip
            limit = cutoff * continuum[d, column]
            far = math.sqrt(peak * doppler * half * 0.5641895835 / limit)
            if peak > limit:
                far = max(far, doppler * math.sqrt(math.log(peak / limit)))
            elif far < doppler:
                far = 0.0
            reach[i] = max(reach[i], far)
        reach[i] = min(reach[i], WIDEST)
    return reach


@njit(parallel=True, fastmath=True, error_model="numpy", cache=True)
def _fill(opacity, grid, lines, index, reach, first, last, per_state, t, ne, nh, xi2):
    """Add every line to ``opacity`` (pixel, layer); a block of pixels belongs to one thread."""
    wavelength, strength, excitation, thermal, rad, stark, vdw, exponent = lines
    layers = t.size
    for block in prange(first.size):
        start, stop = block * BLOCK, min((block + 1) * BLOCK, grid.size)
        peak, damping, per_doppler = np.empty(layers), np.empty(layers), np.empty(layers)
        for i in range(first[block], last[block]):
            w, far = wavelength[i], reach[i]
            if far == 0.0 or w + far < grid[start] or w - far > grid[stop - 1]:
                continue
            low = start + np.searchsorted(grid[start:stop], w - far)
            high = start + np.searchsorted(grid[start:stop], w + far)
            if low == high:
                continue
            for d in range(layers):
                p, doppler, half = _layer(
                    w, strength[i], excitation[i], thermal[i], rad[i], stark[i], vdw[i],
                    exponent[i], per_state[index[i], d], t[d], ne[d], nh[d], xi2,
                )  # fmt: skip
                peak[d], per_doppler[d], damping[d] = p, 1.0 / doppler, half / doppler
            for pixel in range(low, high):
                away = abs(grid[pixel] - w)
                for d in range(layers):
                    opacity[pixel, d] += peak[d] * voigt(damping[d], away * per_doppler[d])


def vdw_perturbers(gas: Gas) -> np.ndarray:
    """Hydrogen atoms per cm3 that broaden as much as H, He and H2 together do.

    A perturber counts by its polarisability to 0.4 and its reduced mass to -0.3 (Gray 2005,
    Eq. 11.30), the polarisabilities being 4.507, 1.384 and 5.503 atomic units.
    """
    helium = (1.38375 / 4.50711) ** 0.4 * (4.0026 / 1.008) ** -0.3
    molecular = (5.503 / 4.50711) ** 0.4 * 2.0**-0.3
    return gas.number["H I"] + helium * gas.number["He I"] + molecular * gas.number["H2"]


def _visible(
    lines: LineList,
    per_state: np.ndarray,
    gas: Gas,
    vmic: float,
    continuum: np.ndarray,
    cutoff: float,
) -> np.ndarray:
    """Which lines may reach ``cutoff`` of the continuum at their centres in any layer.

    An upper bound from a table over species and excitation, so that a million lines of TiO cost a
    look-up each where they show nowhere.
    """
    energy = np.linspace(0.0, lines.excitation.max(initial=0.0) + 1e-9, 64)
    heaviest = lines.mass.max(initial=1.0) * ATOMIC_MASS
    narrowest = np.sqrt(2.0 * BOLTZMANN / heaviest * gas.temperature + (vmic * KILOMETRE) ** 2)
    weight = per_state / (continuum.min(axis=1) * narrowest)
    boltzmann = np.exp(-energy[:, None] / (BOLTZMANN_EV * gas.temperature))
    strongest = (weight[:, None, :] * boltzmann).max(axis=2)
    # The node below a line's excitation, since the bound must not be too low.
    node = np.clip(lines.excitation / energy[1], 0, energy.size - 1).astype(np.int64)
    centre = 10.0**lines.log_gf * lines.wavelength * 1e-8 * strongest[lines.species_index, node]
    return CLASSICAL * centre > cutoff * np.sqrt(np.pi)


def line_opacity(
    wavelength: np.ndarray,
    lines: LineList,
    gas: Gas,
    vmic: float,
    continuum: np.ndarray,
    continuum_start: float,
    continuum_step: float,
    cutoff: float = 3e-4,
) -> np.ndarray:
    """Absorption coefficient of the lines.

    Parameters
    ----------
    wavelength
        Increasing wavelengths in Angstrom, air, shape (pixel,).
    lines
        Lines in air; those farther than their wings reach are skipped.
    gas
        The gas at each layer.
    vmic
        Microturbulent velocity, km/s (most probable speed).
    continuum, continuum_start, continuum_step
        Continuous absorption coefficient (layer, point) on an even grid in air, to cut wings by.
    cutoff
        A line is followed until it falls below this fraction of the continuum in every layer.

    Returns
    -------
    ndarray
        cm-1, shape (pixel, layer), corrected for stimulated emission.
    """
    opacity = np.zeros((wavelength.size, gas.temperature.size))
    near = lines.between(wavelength[0] - WIDEST, wavelength[-1] + WIDEST)
    empty = np.zeros(gas.temperature.size)
    per_state = np.array(
        [gas.per_state(s) if s in gas.number else empty for s in near.species]
    )  # fmt: skip
    near = near.select(_visible(near, per_state, gas, vmic, continuum, cutoff))
    columns = (
        near.wavelength,
        CLASSICAL * 10.0**near.log_gf,
        near.excitation,
        2.0 * BOLTZMANN / (near.mass * ATOMIC_MASS),
        near.gamma_rad,
        near.gamma_stark,
        near.gamma_vdw,
        near.vdw_exponent,
    )
    perturbers = vdw_perturbers(gas)
    xi2 = (vmic * KILOMETRE) ** 2
    state = (per_state, gas.temperature, gas.electrons, perturbers, xi2)
    reach = _reach(
        columns, near.species_index, *state, continuum, continuum_start, continuum_step, cutoff
    )
    starts = np.arange(0, wavelength.size, BLOCK)
    ends = np.minimum(starts + BLOCK, wavelength.size) - 1
    widest = reach.max(initial=0.0)
    first = np.searchsorted(near.wavelength, wavelength[starts] - widest)
    last = np.searchsorted(near.wavelength, wavelength[ends] + widest)
    _fill(opacity, wavelength, columns, near.species_index, reach, first, last, *state)
    return opacity
