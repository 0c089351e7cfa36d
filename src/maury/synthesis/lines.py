"""Line opacity: Voigt profiles summed over the lines of a list, layer by layer."""

import math

import numpy as np
from numba import njit, prange

from maury.synthesis.constants import (
    ATOMIC_MASS,
    BOLTZMANN,
    BOLTZMANN_EV,
    LIGHT,
    LIGHT_KMS,
    SECOND_RADIATION,
)
from maury.synthesis.equation_of_state import Gas
from maury.synthesis.linelist import LineList

__all__ = ["line_opacity", "vdw_perturbers", "voigt"]

CLASSICAL = 0.0265400854  # pi e^2 / (m_e c), cm2 Hz
BLOCK = 2048  # pixels that one thread fills at a time
WIDEST = 60.0  # Angstrom from a line's centre at which its wings end


@njit(inline="always", fastmath=True, error_model="numpy")
def voigt(a: float, v: float) -> float:
    """The Hjerting function H(a, v), within 2% in the far wings' joints and 0.5% in the core.

    Hunger 1956, ZA 39, 36, in the form of Kurucz 1970, SAO Special Report 309.
    """
    v2 = v * v
    if a <= 0.2 and v >= 5.0:
        i = 1.0 / v2
        return a * 0.5641895835477563 * i * (1.0 + 1.5 * i + 3.75 * i * i)
    if a > 1.4 or (a > 0.2 and a + v > 3.2):
        r2 = v2 / (a * a)
        iu = 0.7071067811865476 / ((r2 + 1.0) * a)
        i2 = iu * iu
        return (
            0.7978845608028654 * iu
            * (1.0 + (3.0 * r2 - 1.0 + ((r2 - 2.0) * 15.0 * r2 + 2.0) * i2) * i2)
        )  # fmt: skip
    h0 = math.exp(-v2)
    if v < 1.3:
        h1 = -1.12470432 + (
            -0.15516677 + (3.288675912 + (-2.34357915 + 0.42139162 * v) * v) * v
        ) * v  # fmt: skip
    elif v < 2.4:
        h1 = -4.48480194 + (
            9.39456063 + (-6.61487486 + (1.98919585 - 0.22041650 * v) * v) * v
        ) * v  # fmt: skip
    else:
        h1 = (
            0.554153432
            + (0.278711796 + (-0.1883256872 + (0.042991293 - 0.003278278 * v) * v) * v) * v
        ) / (v2 - 1.5)
    h2 = (1.0 - 2.0 * v2) * h0
    if a <= 0.2:
        return h0 + (h1 + h2 * a) * a
    q = 1.1283791670955126
    m1 = h1 + q * h0
    m2 = h2 - h0 + q * m1
    m3 = q / 3.0 * (1.0 - h2) - 2.0 / 3.0 * v2 * m1 + q * m2
    m4 = 2.0 / 3.0 * v2 * v2 * h0 - q / 3.0 * m1 + q * m3
    psi = 0.979895023 + (-0.962846325 + (0.532770573 - 0.122727278 * a) * a) * a
    return psi * (h0 + (m1 + (m2 + (m3 + m4 * a) * a) * a) * a)


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


@njit(parallel=True, fastmath=True, error_model="numpy")
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


@njit(parallel=True, fastmath=True, error_model="numpy")
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
    xi2 = (vmic / LIGHT_KMS * LIGHT) ** 2
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
