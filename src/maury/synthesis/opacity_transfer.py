"""From tabulated opacities to the flux at the surface: interpolation, turbulence, transfer."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from maury.synthesis.atmosphere import Atmosphere
from maury.synthesis.constants import SECOND_RADIATION
from maury.synthesis.opacity_nodes import spline_stencil
from maury.synthesis.transfer import column_weights
from maury.wavelength import SPEED_OF_LIGHT

if TYPE_CHECKING:
    from maury.synthesis.opacity import OpacityTable

__all__ = [
    "CONTINUUM_STEP",
    "LOG_LEVEL",
    "LOG_STEP",
    "MARGIN",
    "STEP",
    "continuum_wavelength",
    "emergent_spectrum",
    "planck",
    "turbulence_kernels",
]

STEP = 0.01  # Angstrom
CONTINUUM_STEP = 5.0  # Angstrom
MARGIN = 100  # pixels on either side from which microturbulence carries opacity into the range

# ln of cm2 g-1 as 16-bit integers: 4e-5 to 1e7, and a step far below the error of interpolation.
LOG_LEVEL, LOG_STEP = 3.0, 4e-4
BLOCK = 1024  # pixels whose opacity stays in the cache from interpolation to transfer

F = np.float32
# E4(x) = sum of g y for y = exp(-m x), y^2 and y^8, by least squares: within 1.1e-4, and its
# derivative E3 within 2.2e-4. Three rates of their own do no better and take three exponentials.
WEIGHTS = (0.2531853, 0.07783656, 0.0023115)
RATE = 1.17

# Without leave to reassociate, which would round the exponent of 2 away.
FAST = {"nnan", "ninf", "nsz", "contract", "arcp"}


@intrinsic
def _as_float(typing_context, integer):
    """The float32 with the bits of an int32."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


@njit(fastmath=FAST, error_model="numpy", inline="always")
def _exp2(x):
    """2 to the float32 ``x`` within 4e-6: a form that compilers turn into vector code."""
    # Nothing below 1e-18 matters here, and denormal numbers would be slow.
    y = max(x, F(-60.0))
    whole = np.floor(y + F(0.5))
    f = y - whole
    p = F(0.0555041086648216) + f * (F(0.00961812910762848) + f * F(0.00133335581464284))
    p = F(1.0) + f * (F(0.693147180559945) + f * (F(0.240226506959101) + f * p))
    return p * _as_float((np.int32(whole) + np.int32(127)) << np.int32(23))  # type: ignore[call-arg]


@njit(fastmath=FAST, error_model="numpy", inline="always")
def _mix(tables, shares, rows, begin, end, first, last, mixed):
    """Rows ``begin`` to ``end`` of three tables together; tables of no share are left alone."""
    s, t, u = shares[0], shares[1], shares[2]
    for n in range(begin, end):
        a, out = tables[0][rows[n], first:last], mixed[n]
        if t == 0 and u == 0:
            for k in range(last - first):
                out[k] = s * F(a[k])
        else:
            b, c = tables[1][rows[n], first:last], tables[2][rows[n], first:last]
            for k in range(last - first):
                out[k] = s * F(a[k]) + t * F(b[k]) + u * F(c[k])


@njit(fastmath=FAST, error_model="numpy", inline="always")
def _interpolate(mixed, rows, weights, level, size, log):
    # Rows and scalars by name, so that the loop becomes vector code.
    a0, a1, a2, a3 = mixed[rows[0]], mixed[rows[1]], mixed[rows[2]], mixed[rows[3]]
    b0, b1, b2, b3 = mixed[rows[4]], mixed[rows[5]], mixed[rows[6]], mixed[rows[7]]
    c0, c1, c2, c3 = mixed[rows[8]], mixed[rows[9]], mixed[rows[10]], mixed[rows[11]]
    d0, d1, d2, d3 = mixed[rows[12]], mixed[rows[13]], mixed[rows[14]], mixed[rows[15]]
    s0, s1, s2, s3 = weights[0], weights[1], weights[2], weights[3]
    t0, t1, t2, t3 = weights[4], weights[5], weights[6], weights[7]
    u0, u1, u2, u3 = weights[8], weights[9], weights[10], weights[11]
    v0, v1, v2, v3 = weights[12], weights[13], weights[14], weights[15]
    for k in range(size):
        one = s0 * a0[k] + s1 * a1[k] + s2 * a2[k] + s3 * a3[k]
        two = t0 * b0[k] + t1 * b1[k] + t2 * b2[k] + t3 * b3[k]
        three = u0 * c0[k] + u1 * c1[k] + u2 * c2[k] + u3 * c3[k]
        four = v0 * d0[k] + v1 * d1[k] + v2 * d2[k] + v3 * d3[k]
        log[k] = level + ((one + two) + (three + four))


@njit(fastmath=FAST, error_model="numpy", nogil=True, cache=True)
def _emerge(
    tables, shares, used, needed, rows, weights, margin, taps, columns, source, first, last, flux
):
    """Emergent flux over pi of the pixels from ``first`` to ``last``.

    F / pi = S_0 + 2 sum over layers of dS/dtau (E4(tau above) - E4(tau below)): the source is
    linear in tau between layers (e.g. Hubeny & Mihalas 2014, Sect. 12.4).

    Parameters
    ----------
    tables, shares
        16-bit coefficients of log opacity, shape (coefficient, pixel), and their weights in the
        units of log2; three of each, the last two of which do not matter where their weight is 0.
    used, needed
        The tables' rows that any layer takes, and how many of them each layer and those above do.
    rows, weights
        Of each layer, shape (layer, 16): numbers of ``used``, and weights; see `spline_stencil`.
    margin
        Pixels of the table before the first one of ``flux``.
    taps
        Kernel of microturbulence of each block, its half from the middle; shape (block, tap), one
        tap for none.
    columns
        Weights (g cm-2) that turn the opacities of layers d - 2 to d + 1 into the optical depth
        between layers d - 1 and d, shape (layer, 4); the first row has that above the top at 1.
    source
        Planck's function at the middle of each block, shape (block, layer).
    first, last
        Pixels of ``flux`` to fill; ``first`` begins a block.
    flux
        Result, shape (pixel,).
    """
    layers = rows.shape[0]
    far_away = taps.shape[1] - 1
    width = BLOCK + 2 * far_away
    log, raw = np.empty(width, np.float32), np.empty(width, np.float32)
    mixed = np.empty((used.size, width), np.float32)
    # Layers d - 2 to d + 1 while the interval above layer d is solved.
    opacity = np.zeros((4, BLOCK), np.float32)
    # Rows of one array, which compilers see not to overlap.
    state = np.empty((4, BLOCK), np.float32)
    tau, total, e4, e3 = state[0], state[1], state[2], state[3]
    g0, g1, g2 = F(WEIGHTS[0]), F(WEIGHTS[1]), F(WEIGHTS[2])
    h0, h1, h2 = F(RATE * WEIGHTS[0]), F(2 * RATE * WEIGHTS[1]), F(8 * RATE * WEIGHTS[2])
    rate = F(-RATE * 1.4426950408889634)
    level = F(LOG_LEVEL * 1.4426950408889634)
    for start in range(first, last, BLOCK):
        count = min(BLOCK, last - start)
        block = start // BLOCK
        wide = count + 2 * far_away
        begin = margin + start - far_away
        there = 0
        for next_ in range(layers + 1):
            if next_ < layers:
                now = opacity[next_ % 4]
                if needed[next_] > there:
                    _mix(tables, shares, used, there, needed[next_], begin, begin + wide, mixed)
                    there = needed[next_]
                _interpolate(mixed, rows[next_], weights[next_], level, wide, log)
                if far_away == 0:
                    for k in range(count):
                        now[k] = _exp2(log[k])
                else:
                    for k in range(wide):
                        raw[k] = _exp2(log[k])
                    tap = taps[block, 0]
                    middle = raw[far_away:]
                    for k in range(count):
                        now[k] = tap * middle[k]
                    for j in range(1, far_away + 1):
                        tap = taps[block, j]
                        left, right = raw[far_away - j :], raw[far_away + j :]
                        for k in range(count):
                            now[k] += tap * (left[k] + right[k])
            d = next_ - 1
            if d == 0:
                top = opacity[0]
                for k in range(count):
                    t = top[k] * columns[0, 1]
                    x = max(_exp2(rate * t), F(1e-4))
                    y = x * x
                    z = y * y * y * y
                    tau[k], total[k] = t, source[block, 0]
                    e4[k] = g0 * x + g1 * y + g2 * z
                    e3[k] = h0 * x + h1 * y + h2 * z
            if d <= 0:
                continue
            p, q, r = opacity[(d + 2) % 4], opacity[(d + 3) % 4], opacity[d % 4]
            s = opacity[(d + 1) % 4]
            c0, c1, c2, c3 = columns[d, 0], columns[d, 1], columns[d, 2], columns[d, 3]
            rise = F(2.0) * (source[block, d] - source[block, d - 1])
            for k in range(count):
                mean = c1 * q[k] + c2 * r[k]
                step = max(mean + (c0 * p[k] + c3 * s[k]), F(0.1) * mean)
                t = tau[k] + step
                # As low as 1e-4, so that no power of it becomes a slow denormal number.
                x = max(_exp2(rate * t), F(1e-4))
                y = x * x
                z = y * y * y * y
                below = g0 * x + g1 * y + g2 * z
                slope = h0 * x + h1 * y + h2 * z
                # The difference of two near equals loses its digits: take the mean E3 instead.
                thick, thin = (e4[k] - below) / step, F(0.5) * (e3[k] + slope)
                total[k] += rise * (thick if step > F(2e-3) else thin)
                tau[k], e4[k], e3[k] = t, below, slope
            if tau[:count].min() > F(8.0):
                break
        for k in range(count):
            flux[start + k] = total[k]


def turbulence_kernels(variance: np.ndarray) -> np.ndarray:
    """Halves of symmetric kernels, from the middle, that widen lines by a Gaussian.

    Nowhere negative, since a line may be 1e4 times the continuum, and of exact variance. Below a
    third of a square pixel, where a Gaussian sampled at pixels could not be, three pixels are.

    Parameters
    ----------
    variance
        Of the Gaussians, square pixels, shape (kernel,).

    Returns
    -------
    ndarray
        Shape (kernel, tap), as many taps as the widest needs.

    Examples
    --------
    >>> turbulence_kernels(np.array([0.0, 0.2]))
    array([[1. , 0. ],
           [0.8, 0.1]])
    """
    variance = variance[:, None]
    place = np.arange(int(np.ceil(6 * np.sqrt(variance.max()))) + 1 if variance.any() else 1)
    if variance.max() < 1 / 3:
        place = place[:2]
    width = np.maximum(variance, 1 / 3)
    for _ in range(6):
        kernel = np.exp(-(place**2) / (2 * width))
        kernel /= 2 * kernel.sum(axis=1, keepdims=True) - 1
        moment = 2 * (kernel * place**2).sum(axis=1, keepdims=True)
        width = width * np.maximum(variance, 1 / 3) / np.maximum(moment, 1e-3)
    three = np.zeros_like(kernel)
    three[:, :1] = 1 - variance
    three[:, 1:2] = variance / 2
    return np.where(variance < 1 / 3, three, kernel)


def emergent_spectrum(
    tables: Sequence[OpacityTable],
    shares: Sequence[float],
    atmosphere: Atmosphere,
    vmic: float,
    workers: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Flux and continuum flux at the surface of a star.

    Parameters
    ----------
    tables, shares
        That of the star's abundances, or those of `metallicities`, and their weights.
    atmosphere
        The model.
    vmic
        Microturbulence, km/s, the tables' or more.
    workers
        Threads.

    Returns
    -------
    flux, continuum
        erg s-1 cm-2 A-1, float32, shape (pixel,) each.
    """
    table = tables[0]
    atmosphere = _thinned(atmosphere)
    rows, weights = spline_stencil(atmosphere)
    used, needed, numbers = _by_first_use(rows)
    top = [[0.0, atmosphere.rhox[0], 0.0, 0.0]]
    columns = np.concatenate([top, column_weights(atmosphere.rhox)])
    wavelength = table.wavelength
    size = wavelength.size
    centres = table.start + STEP * BLOCK * (np.arange(-(-size // BLOCK)) + 0.5)
    source = planck(centres, atmosphere.temperature).astype(np.float32)
    # The most probable speed is sqrt(2) standard deviations.
    widening = (vmic**2 - table.vmic**2) / 2 / SPEED_OF_LIGHT**2
    taps = turbulence_kernels(widening * (centres / STEP) ** 2).astype(np.float32)
    relative = np.empty(size, np.float32)
    part = -(-size // (BLOCK * workers)) * BLOCK
    three = tuple(tables[min(n, len(tables) - 1)].lines for n in range(3))
    units = np.zeros(3, np.float32)
    units[: len(shares)] = np.array(shares) * (LOG_STEP / np.log(2))
    with ThreadPoolExecutor(workers) as pool:
        jobs = [
            pool.submit(
                _emerge, three, units, used, needed, numbers, weights.astype(np.float32), MARGIN,
                taps, columns.astype(np.float32), source, first, min(first + part, size), relative,
            )
            for first in range(0, size, part)
        ]  # fmt: skip
        for job in jobs:
            job.result()
    # The source is that of each block's centre: give the pixels the colour they have.
    level = planck(wavelength, np.array([atmosphere.teff]))[:, 0]
    level /= np.repeat(planck(centres, np.array([atmosphere.teff]))[:, 0], BLOCK)[:size]
    flux = np.pi * relative * level.astype(np.float32)
    logs = sum(
        share * np.einsum("dn,dnp->dp", weights, other.continuum[rows])
        for share, other in zip(shares, tables, strict=True)
    )
    coarse = continuum_wavelength(table.start, size)
    return flux, _continuum_flux(wavelength, coarse, np.exp(logs), columns, atmosphere)


def _by_first_use(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows in the order that layers take them, how many of them up to each layer, their numbers."""
    values, first, inverse = np.unique(rows, return_index=True, return_inverse=True)
    order = np.argsort(first)
    numbers = np.argsort(order)[inverse].reshape(rows.shape)
    return values[order], np.maximum.accumulate(numbers.max(axis=1)) + 1, numbers


def _continuum_flux(
    wavelength: np.ndarray,
    coarse: np.ndarray,
    opacity: np.ndarray,
    columns: np.ndarray,
    atmosphere: Atmosphere,
) -> np.ndarray:
    around = np.pad(opacity, ((2, 1), (0, 0)))
    depths = np.stack([around[n : n + len(opacity)] for n in range(4)], axis=1)
    steps = np.einsum("dn,dnp->dp", columns, depths)
    least = 0.1 * np.einsum("dn,dnp->dp", columns[:, 1:3], depths[:, 1:3])
    steps = np.maximum(steps, least)
    decay = np.exp(-RATE * steps.cumsum(axis=0))
    e4 = decay * (WEIGHTS[0] + decay * (WEIGHTS[1] + WEIGHTS[2] * decay**6))
    source = planck(coarse, atmosphere.temperature).T
    slope = np.diff(source, axis=0) / steps[1:]
    flux = np.pi * (source[0] + 2 * (slope * -np.diff(e4, axis=0)).sum(axis=0))
    return np.interp(wavelength, coarse, flux).astype(np.float32)


def planck(wavelength: np.ndarray, temperature: np.ndarray) -> np.ndarray:
    """B_lambda in erg s-1 cm-2 A-1 sr-1, shape (wavelength, temperature)."""
    x = SECOND_RADIATION / (wavelength[:, None] * temperature)
    return 1.191042972e-5 * (1e8 / wavelength[:, None]) ** 5 * 1e-8 / np.expm1(x)


def continuum_wavelength(start: float, size: int) -> np.ndarray:
    """Wavelengths in Angstrom, air, at which a table of ``size`` pixels has the continuum."""
    return np.arange(start - 10.0, start + STEP * size + 15.0, CONTINUUM_STEP)


def _thinned(atmosphere: Atmosphere) -> Atmosphere:
    """Every other layer of the upper 0.3% of the mass; fluxes change by less than 0.0003."""
    high = atmosphere.rhox < 0.003 * atmosphere.rhox[-1]
    keep = ~high | (np.arange(high.size) % 2 == 0)
    columns = ("rhox", "temperature", "pressure", "electron_density")
    return replace(atmosphere, **{name: getattr(atmosphere, name)[keep] for name in columns})
