"""Balmer lines: Stark, self- and Doppler broadening, and the merging of the series at its limit."""

from functools import cache

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray
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

__all__ = ["balmer_profile", "dissolved_opacity", "hydrogen_opacity", "occupation"]

CLASSICAL = 0.0265400854  # pi e^2 / (m_e c), cm2 Hz
BOHR_RADIUS = 5.29177210903e-9  # cm
HERTZ_ANGSTROM = LIGHT * 1e8
# Self-broadening of H-alpha, beta, gamma: sigma (atomic units) and alpha of the p-d transition,
# Barklem, Piskunov & O'Mara 2000, A&A 363, 1091, Table 3.
SELF_BROADENING = {3: (1180.0, 0.677), 4: (2320.0, 0.455), 5: (4208.0, 0.380)}
# Half width per hydrogen atom of the higher lines (Hz cm3): the resonance broadening of 2p, Ali &
# Griem 1966, Phys. Rev. 144, 366.
RESONANCE = 3.77e-9
# The level n = 2 is two, 0.365 cm-1 apart and of equal weight: half of that in Hz.
FINE_STRUCTURE = 5.47e9
# Energies in cm-1: mean of the levels n = 2, limit, Rydberg constant of H times 1 and alpha^2
# (Kramida 2010, Atomic Data and Nuclear Data Tables 96, 586).
SECOND_LEVEL, LIMIT, RYDBERG, SPLITTING = 82259.111, 109678.7717, 109677.5834, 5.8408
BALMER_EDGE = 1e8 / (LIMIT - SECOND_LEVEL)  # Angstrom, vacuum
# Photoionisation from n = 2 at its edge, cm2: Nahar 2021, Atoms 9, 73.
EDGE_CROSS_SECTION = 1.3856e-17

NEAR = 20.0  # Angstrom around a line within which every pixel is computed
CELL = 0.5  # Angstrom over which the wings farther out run straight
REACH = 400.0  # Angstrom at which the wings end
FADE = 240.0  # Angstrom from which on they are faded out
SHAPE_STEP = 0.07  # of asinh(detuning / width) in a profile's table
SHAPE_SIZE = 172


@cache
def _table() -> dict[str, np.ndarray]:
    return load_table("hydrogen_lines")


def _centre(upper: int) -> float:
    """Vacuum wavelength (A) of the line's centre of gravity, fine structure averaged.

    >>> f"{_centre(3):.2f} {_centre(10):.2f}"
    '6564.61 3798.98'
    """
    n = float(upper)
    level = LIMIT - RYDBERG / n**2 - SPLITTING / n**3 * ((2 * n - 1) / n**2 - 0.75 / n)
    return 1e8 / (level - SECOND_LEVEL)


def occupation(level: float | NDArray[np.float64], gas: Gas) -> NDArray[np.float64]:
    """Probability that a level of hydrogen survives the perturbations by its neighbours.

    Parameters
    ----------
    level
        Principal quantum number; for dissolved states an effective one, any shape that broadcasts
        against (layer,).
    gas
        The gas at each layer.

    Notes
    -----
    Charged perturbers: the fit of Hubeny, Hummer & Lanz 1994, A&A 282, 151, Appendix A; neutral
    ones, in their ground state: Hummer & Mihalas 1988, ApJ 331, 794, Eq. 4.71, with the root mean
    square radii of the s states.
    """
    n = np.asarray(level, float)
    electrons = np.maximum(gas.electrons, 1.0)
    correlation = (1 + 0.09 * electrons ** (1 / 6) / np.sqrt(gas.temperature)) ** 3.15
    quantum = np.where(n > 3, 16 / 3 * n / (n + 1) ** 2, 1.0)
    critical = 8.3e14 * electrons ** (-2 / 3) * quantum / n**4
    ratio = 0.1402 * correlation * critical**3 / (1 + 0.1285 * correlation * critical**1.5)
    radius = np.sqrt(2.5 * n**4 + 0.5 * n**2)
    spheres = gas.number["H I"] * (radius + 3**0.5) ** 3 + gas.number["He I"] * (radius + 1.02) ** 3
    neutral = np.exp(-4 * np.pi / 3 * BOHR_RADIUS**3 * spheres)
    return neutral * ratio / (1 + ratio)


def _second_level(gas: Gas) -> NDArray[np.float64]:
    """Hydrogen atoms per cm3 in n = 2 over the weight of that level, 8."""
    return gas.per_state("H I") * np.exp(-RYDBERG_H_EV * 0.75 / (BOLTZMANN_EV * gas.temperature))


def dissolved_opacity(wavelength: NDArray[np.float64], gas: Gas) -> NDArray[np.float64]:
    """Absorption from n = 2 into upper states that have dissolved, longward of the Balmer edge.

    It takes over from the lines near the edge and fades towards the red; no line profile is in
    it, so that a coarse grid will do.

    Parameters
    ----------
    wavelength
        Vacuum wavelengths in Angstrom, shape (point,).
    gas
        The gas at each layer.

    Returns
    -------
    ndarray
        cm-1, shape (layer, point), corrected for stimulated emission; 0 shortward of the edge,
        where the continuum has all of it.

    Notes
    -----
    Daeppen, Anderson & Mihalas 1987, ApJ 319, 195: photoionisation goes on beyond the edge with the
    probability that the state reached by the photon is dissolved, its cross-section as nu^-3.
    """
    beyond = wavelength > BALMER_EDGE
    binding = np.where(beyond, 1 / BALMER_EDGE - 1 / wavelength, 1.0) * 1e8
    reached = np.sqrt(RYDBERG / binding)[:, None]
    dissolved = 1 - occupation(reached, gas) / occupation(2.0, gas)
    cross_section = 8 * EDGE_CROSS_SECTION * (wavelength / BALMER_EDGE) ** 3
    stimulated = 1 - np.exp(-SECOND_RADIATION / (wavelength[:, None] * gas.temperature))
    total = dissolved * (beyond * cross_section)[:, None] * stimulated * _second_level(gas)
    return np.ascontiguousarray(total.T)


@njit(parallel=True, fastmath=True, error_model="numpy", cache=True)
def _shapes(gaussian, dipped, mixture, doppler, field, splitting, scale):
    """Profiles of a line by layer, times ``scale`` and (1 + y^2)^1.25 with y = detuning / scale.

    The first weights of ``mixture`` belong to Gaussians of area 1, the others to x^2 exp(-x^2 / 2)
    of area 1; their standard deviations are in units of the field and all are folded with the
    Gaussian of standard deviation ``doppler`` and split by ``splitting`` to either side.
    """
    shapes = np.empty((scale.size, SHAPE_SIZE))
    grid = np.sinh(SHAPE_STEP * np.arange(SHAPE_SIZE))
    count = gaussian.size + dipped.size
    for d in prange(scale.size):
        s2 = (doppler[d] / field[d]) ** 2
        split = splitting / field[d]
        unit = scale[d] / field[d]
        height, slope = np.empty(2 * count), np.empty(2 * count)
        narrow, shift = np.empty(2 * count), np.empty(2 * count)
        terms = 0
        for k in range(count):
            if mixture[d, k] == 0.0:
                continue
            plain = k < gaussian.size
            m2 = gaussian[k] ** 2 if plain else dipped[k - gaussian.size] ** 2
            variance = m2 + s2
            # Splitting does nothing to a component thirty times wider.
            sides = 2 if variance < 900.0 * split * split else 1
            for side in range(sides):
                weight = mixture[d, k] / (np.sqrt(variance) * sides)
                height[terms] = weight * (1.0 if plain else s2 / variance)
                slope[terms] = weight * (0.0 if plain else m2 / variance)
                narrow[terms] = 1.0 / variance
                shift[terms] = 0.0 if sides == 1 else split * (2.0 * side - 1.0)
                terms += 1
        for j in range(SHAPE_SIZE):
            x, value = unit * grid[j], 0.0
            for k in range(terms):
                q = (x - shift[k]) ** 2 * narrow[k]
                if q > 60.0:
                    continue
                h = 0.5 * q
                # Most components are much wider than x: three terms of the series will do.
                e = 1.0 - h * (1.0 - h * (0.5 - h / 6.0)) if h < 0.02 else np.exp(-h)
                value += (height[k] + slope[k] * q) * e
            shapes[d, j] = value * unit * 0.3989422804014327 * (1.0 + grid[j] ** 2) ** 1.25
    return shapes


@njit(inline="always", fastmath=True, error_model="numpy")
def _profile(shapes, d, away, scale, lorentz, core):
    """Profile in 1 / Hz at the detuning ``away`` (Hz)."""
    y = away / scale
    square = 1.0 + y * y
    root = np.sqrt(square)
    u = np.log(y + root) * (1.0 / SHAPE_STEP)
    j = min(int(u), SHAPE_SIZE - 2)
    shape = shapes[d, j] + (shapes[d, j + 1] - shapes[d, j]) * (u - j)
    # The Lorentz wings are levelled within the core: the other profile holds the core already.
    wings = lorentz / (3.141592653589793 * (away * away + lorentz * lorentz + core))
    return shape / (scale * square * np.sqrt(root)) + wings


@njit(parallel=True, fastmath=True, error_model="numpy", cache=True)
def _add_near(opacity, wavelength, start, stop, centre, strength, shapes, scale, lorentz, core):
    """Add the line to every pixel from ``start`` to ``stop``."""
    nu0 = HERTZ_ANGSTROM / centre
    for i in prange(start, stop):
        away = abs(HERTZ_ANGSTROM / wavelength[i] - nu0)
        for d in range(scale.size):
            opacity[i, d] += strength[d] * _profile(shapes, d, away, scale[d], lorentz[d], core[d])


@njit(parallel=True, fastmath=True, error_model="numpy", cache=True)
def _add_far(far, edge, first, last, centre, strength, shapes, scale, lorentz, core):
    """Add the line's wing to both ends of the cells from ``first`` to ``last``."""
    nu0 = HERTZ_ANGSTROM / centre
    for i in prange(first, last):
        for side in range(2):
            w = edge[i + side]
            away = abs(HERTZ_ANGSTROM / w - nu0)
            fade = min(max((REACH - abs(w - centre)) / (REACH - FADE), 0.0), 1.0)
            fade = fade * fade * (3.0 - 2.0 * fade)
            for d in range(scale.size):
                far[i, side, d] += (
                    fade * strength[d] * _profile(shapes, d, away, scale[d], lorentz[d], core[d])
                )


@njit(parallel=True, fastmath=True, error_model="numpy", cache=True)
def _spread(opacity, wavelength, far, origin):
    """Add the cells' straight lines to their pixels."""
    for i in prange(wavelength.size):
        place = (wavelength[i] - origin) / CELL
        cell = min(int(place), far.shape[0] - 1)
        part = place - cell
        for d in range(far.shape[2]):
            opacity[i, d] += far[cell, 0, d] * (1.0 - part) + far[cell, 1, d] * part


def _lorentz(upper: int, gas: Gas) -> NDArray[np.float64]:
    """Half width in Hz by collisions with hydrogen atoms."""
    if upper not in SELF_BROADENING:
        return RESONANCE * gas.number["H I"]
    sigma, alpha = SELF_BROADENING[upper]
    speed = np.sqrt(8 * BOLTZMANN * gas.temperature / np.pi * 2 / (1.008 * ATOMIC_MASS))
    width = 2 * (4 / np.pi) ** (alpha / 2) * gamma((4 - alpha) / 2) * 1e6
    width = width * sigma * BOHR_RADIUS**2 * (speed / 1e6) ** (1 - alpha)
    return width * gas.number["H I"] / (4 * np.pi)


@njit(parallel=True, fastmath=True, error_model="numpy", cache=True)
def _evaluate(away, shapes, scale, lorentz, core):
    """The profile at each detuning and layer."""
    values = np.empty((away.size, scale.size))
    for i in prange(away.size):
        for d in range(scale.size):
            values[i, d] = _profile(shapes, d, away[i], scale[d], lorentz[d], core[d])
    return values


def _broadened(
    upper: int, gas: Gas, vmic: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Shapes, their scales, half Lorentz widths and squared Doppler widths (Hz) of a line."""
    table = _table()
    row = upper - int(table["upper"][0])
    field = 1.25e-9 * gas.electrons ** (2 / 3)
    i, f = _position(table["log_temperature"], np.log10(gas.temperature))
    j, g = _position(table["log_density"], np.log10(gas.electrons))
    corners = table["mixture"][row]
    mixture = (
        corners[i, j] * ((1 - f) * (1 - g))[:, None]
        + corners[i + 1, j] * (f * (1 - g))[:, None]
        + corners[i, j + 1] * ((1 - f) * g)[:, None]
        + corners[i + 1, j + 1] * (f * g)[:, None]
    )
    speed2 = BOLTZMANN * gas.temperature / (1.008 * ATOMIC_MASS) + (vmic * KILOMETRE) ** 2 / 2
    doppler = np.sqrt(speed2) * 1e8 / _centre(upper)
    width = table["width"][row]
    scale = np.sqrt(2 * doppler**2 + (width * field) ** 2)
    shapes = _shapes(
        width * table["gaussian"], width * table["dipped"], mixture, doppler, field,
        FINE_STRUCTURE, scale,
    )  # fmt: skip
    return shapes, scale, _lorentz(upper, gas), 2 * doppler**2


def balmer_profile(
    upper: int, detuning: NDArray[np.float64], gas: Gas, vmic: float
) -> NDArray[np.float64]:
    """Profile of a Balmer line.

    Parameters
    ----------
    upper
        Principal quantum number of the upper level, 3 to 30.
    detuning
        From the line's centre in Hz, shape (point,); the profile is even.
    gas
        The gas at each layer.
    vmic
        Microturbulent velocity, km/s (most probable speed).

    Returns
    -------
    ndarray
        Per Hz, shape (point, layer), of area 1 but for the wings of self-broadening, which come
        on top.

    Notes
    -----
    Stark profiles of Stehle & Hutcheon 1999, A&AS 140, 93, freed from their Doppler broadening (see
    `maury.data.hydrogen_sources`) and given the gas's own, turbulence and the fine structure of
    n = 2 included. They are read linearly in log T and log n_e at a fixed detuning in units of the
    Holtsmark field, and scale with that field outside the tables. Self-broadening is added, not
    convolved (as Barklem et al. 2000 suggest for wings).
    """
    return _evaluate(np.abs(np.asarray(detuning, float)), *_broadened(upper, gas, vmic))


def hydrogen_opacity(
    opacity: NDArray[np.float64], wavelength: NDArray[np.float64], gas: Gas, vmic: float
) -> None:
    """Add the Balmer lines from H-alpha to n = 30.

    Parameters
    ----------
    opacity
        Absorption coefficient in cm-1, shape (pixel, layer), changed in place.
    wavelength
        Increasing vacuum wavelengths in Angstrom, shape (pixel,).
    gas
        The gas at each layer.
    vmic
        Microturbulent velocity, km/s (most probable speed).

    Notes
    -----
    Profiles: `balmer_profile`. A line is as much weaker as its upper level is dissolved, see
    `occupation`; what it loses is in `dissolved_opacity`, which belongs to the continuum. Beyond
    20 A from a line its wings are straight over 0.5 A; they are faded out from 240 to 400 A.
    """
    origin = np.floor(wavelength[0] / CELL) * CELL
    edge = origin + CELL * np.arange(int((wavelength[-1] - origin) / CELL) + 2)
    middle = edge[:-1] + CELL / 2
    far = np.zeros((middle.size, 2, gas.temperature.size))
    lower_level = _second_level(gas)
    for upper, log_gf in zip(_table()["upper"].tolist(), _table()["log_gf"], strict=True):
        centre = _centre(upper)
        cells = np.searchsorted(middle, centre + np.array([-REACH, -NEAR, NEAR, REACH]))
        if cells[0] == cells[3]:
            continue
        stimulated = 1 - np.exp(-SECOND_RADIATION / (centre * gas.temperature))
        strength = CLASSICAL * 10.0**log_gf * lower_level * stimulated * occupation(upper, gas)
        line = (centre, strength, *_broadened(upper, gas, vmic))
        start, stop = np.searchsorted(wavelength, edge[cells[1:3]])
        _add_near(opacity, wavelength, start, stop, *line)
        _add_far(far, edge, cells[0], cells[1], *line)
        _add_far(far, edge, cells[2], cells[3], *line)
    _spread(opacity, wavelength, far, origin)


def _position(
    nodes: NDArray[np.float64], value: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Lower node and fraction of each value, clamped to the nodes."""
    value = np.clip(value, nodes[0], nodes[-1])
    i = np.clip(np.searchsorted(nodes, value) - 1, 0, nodes.size - 2)
    return i, (value - nodes[i]) / (nodes[i + 1] - nodes[i])
