"""Sums of Voigt profiles and their adjoint on CPUs: kernels of `maury.synthesis.tensor_lines`."""

import math

import numpy as np
from numba import njit, prange

__all__ = ["EXPANSION", "FAR", "NODES", "SCALE", "WEIGHTS", "add_lines", "gradient_of_lines"]

# The expansion of Weideman 1994, SIAM J. Numer. Anal. 31, 1497, Eqs. 37 and 38: no branches.
TERMS = 32
_ANGLE = np.arange(1 - 2 * TERMS, 2 * TERMS) * np.pi / (2 * TERMS)
SCALE = math.sqrt(TERMS / math.sqrt(2))
_TANGENT = SCALE * np.tan(_ANGLE / 2)
_SAMPLES = np.append(0.0, np.exp(-(_TANGENT**2)) * (SCALE**2 + _TANGENT**2))
_FOURIER = np.fft.fft(np.fft.fftshift(_SAMPLES)).real / (4 * TERMS)
EXPANSION = tuple(_FOURIER[TERMS:0:-1].tolist())
# Farther than this from z = 0 four Lorentz profiles, a Gauss-Hermite quadrature of the convolution,
# are within 1.2e-5.
FAR = 6.0
NODES, WEIGHTS = (tuple(x.tolist()) for x in np.polynomial.hermite.hermgauss(4))

_COEFFICIENTS = np.array(EXPANSION)
_ROOT = 1 / math.sqrt(math.pi)
_N0, _N1 = NODES[3], NODES[2]
_W0, _W1 = WEIGHTS[3] / math.pi, WEIGHTS[2] / math.pi
BLOCK = 256  # pixels that one thread fills at a time


@njit(inline="always", fastmath=True, error_model="numpy")
def _near(away, per_doppler, damping, zr, zi, wr, wi):
    """The Faddeeva function of v + i a at every layer; zr and zi are for its use."""
    for d in range(damping.size):
        v, a = away * per_doppler[d], damping[d]
        over = 1.0 / ((SCALE + a) * (SCALE + a) + v * v)
        zr[d] = (SCALE * SCALE - a * a - v * v) * over
        zi[d] = 2.0 * SCALE * v * over
        wr[d], wi[d] = _COEFFICIENTS[0], 0.0
    # Terms outside, layers inside: so that the loop over layers becomes vector code.
    for k in range(1, TERMS):
        c = _COEFFICIENTS[k]
        for d in range(damping.size):
            real = wr[d] * zr[d] - wi[d] * zi[d] + c
            wi[d] = wr[d] * zi[d] + wi[d] * zr[d]
            wr[d] = real
    for d in range(damping.size):
        v, a = away * per_doppler[d], damping[d]
        over = 1.0 / ((SCALE + a) * (SCALE + a) + v * v)
        ir, ii = (SCALE + a) * over, v * over
        real = 2.0 * (wr[d] * ir - wi[d] * ii) + _ROOT
        imag = 2.0 * (wr[d] * ii + wi[d] * ir)
        wr[d], wi[d] = real * ir - imag * ii, real * ii + imag * ir


@njit(parallel=True, fastmath=True, error_model="numpy", cache=True)
def add_lines(opacity, wavelength, centre, ranges, peak, per_doppler, damping):
    """Add lines to ``opacity``.

    Parameters
    ----------
    opacity
        cm-1, shape (pixel, layer), changed in place.
    wavelength, centre
        Of pixels and lines, Angstrom.
    ranges
        Shape (4, line): the first pixel of a line, of its core, beyond its core and beyond itself.
    peak, per_doppler, damping
        As of `maury.synthesis.tensor_lines.Profiles`.
    """
    layers = opacity.shape[1]
    for block in prange(-(-wavelength.size // BLOCK)):
        start, stop = block * BLOCK, min((block + 1) * BLOCK, wavelength.size)
        zr, zi, wr, wi = np.empty(layers), np.empty(layers), np.empty(layers), np.empty(layers)
        for i in range(centre.size):
            p, g, a = peak[i], per_doppler[i], damping[i]
            for pixel in range(max(start, ranges[0, i]), min(stop, ranges[3, i])):
                away = abs(wavelength[pixel] - centre[i])
                out = opacity[pixel]
                if ranges[1, i] <= pixel < ranges[2, i]:
                    _near(away, g, a, zr, zi, wr, wi)
                    for d in range(layers):
                        out[d] += p[d] * wr[d]
                else:
                    for d in range(layers):
                        v, a2 = away * g[d], a[d] * a[d]
                        total = _W0 / ((v - _N0) * (v - _N0) + a2)
                        total += _W0 / ((v + _N0) * (v + _N0) + a2)
                        total += _W1 / ((v - _N1) * (v - _N1) + a2)
                        total += _W1 / ((v + _N1) * (v + _N1) + a2)
                        out[d] += p[d] * a[d] * total


@njit(parallel=True, fastmath=True, error_model="numpy", cache=True)
def gradient_of_lines(
    upstream, wavelength, centre, ranges, peak, per_doppler, damping,
    of_peak, of_per_doppler, of_damping,
):  # fmt: skip
    """Add to ``of_peak``, ``of_per_doppler`` and ``of_damping`` the adjoint of `add_lines`.

    Parameters
    ----------
    upstream
        Gradient to the opacities, shape (pixel, layer).
    wavelength, centre, ranges, peak, per_doppler, damping
        As of `add_lines`.
    of_peak, of_per_doppler, of_damping
        Shape (line, layer), changed in place.
    """
    layers = peak.shape[1]
    for i in prange(centre.size):
        zr, zi, wr, wi = np.empty(layers), np.empty(layers), np.empty(layers), np.empty(layers)
        p, g, a = peak[i], per_doppler[i], damping[i]
        by_peak, by_doppler, by_damping = of_peak[i], of_per_doppler[i], of_damping[i]
        for pixel in range(ranges[0, i], ranges[3, i]):
            away = abs(wavelength[pixel] - centre[i])
            up = upstream[pixel]
            if ranges[1, i] <= pixel < ranges[2, i]:
                _near(away, g, a, zr, zi, wr, wi)
                for d in range(layers):
                    v = away * g[d]
                    # w' = 2 i / sqrt(pi) - 2 z w
                    to_v = 2.0 * (a[d] * wi[d] - v * wr[d])
                    to_a = 2.0 * (v * wi[d] + a[d] * wr[d] - _ROOT)
                    by_peak[d] += up[d] * wr[d]
                    by_doppler[d] += up[d] * p[d] * to_v * away
                    by_damping[d] += up[d] * p[d] * to_a
            else:
                for d in range(layers):
                    v, a2 = away * g[d], a[d] * a[d]
                    u0, u1, u2, u3 = v - _N0, v + _N0, v - _N1, v + _N1
                    l0, l1 = 1.0 / (u0 * u0 + a2), 1.0 / (u1 * u1 + a2)
                    l2, l3 = 1.0 / (u2 * u2 + a2), 1.0 / (u3 * u3 + a2)
                    total = _W0 * (l0 + l1) + _W1 * (l2 + l3)
                    squares = _W0 * (l0 * l0 + l1 * l1) + _W1 * (l2 * l2 + l3 * l3)
                    slope = _W0 * (l0 * l0 * u0 + l1 * l1 * u1)
                    slope += _W1 * (l2 * l2 * u2 + l3 * l3 * u3)
                    by_peak[d] += up[d] * a[d] * total
                    by_doppler[d] -= up[d] * p[d] * a[d] * 2.0 * slope * away
                    by_damping[d] += up[d] * p[d] * (total - 2.0 * a2 * squares)
