"""Compiled loops of the exposure calculator: one spectrum each, without temporaries."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["Depths", "expose", "observe"]

Row = NDArray[np.float32]

Depths = tuple[int, Row, Row, float, float]
"""First pixel of a molecule's absorption, its depths at the nodes below and above the amount, and
the weight of either, the amount included."""


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def observe(
    light: Row,
    sky: Row,
    sky_lines: Row,
    stride: int,
    lines: Row,
    oxygen: Depths,
    water: Depths,
    light_weight: Row,
    detector_weight: Row,
    detector_variance: float,
    curve: Row,
    floor: Row,
    exponent: Row,
) -> None:
    """What stands still at the observatory: electrons per flux, and the variance without a star.

    Parameters
    ----------
    light, sky, sky_lines
        On every `stride`-th pixel: electrons/A for a unit flux without tellurics; electrons/A of
        the sky's continuum; electrons/A for a unit radiance.
    lines
        Radiance of the sky's lines.
    oxygen, water
        Absorption of the molecules.
    light_weight, detector_weight, detector_variance
        Variance is the light times the first plus the third times the second.
    curve, floor, exponent
        Results, [pixel]: electrons per flux without tellurics, the variance, and the logarithm of
        the transmission of the tellurics.
    """
    scale = np.float32(1 / stride)
    noise = np.float32(detector_variance)
    for block in range(len(light) - 1):
        first = block * stride
        last = min(first + stride, len(curve))
        a, da = light[block], (light[block + 1] - light[block]) * scale
        b, db = sky[block], (sky[block + 1] - sky[block]) * scale
        c, dc = sky_lines[block], (sky_lines[block + 1] - sky_lines[block]) * scale
        w, v, s = light_weight[first:last], detector_weight[first:last], lines[first:last]
        f, g, h = curve[first:last], floor[first:last], exponent[first:last]
        for k in range(last - first):
            x = np.float32(np.int32(k))
            f[k] = a + da * x
            g[k] = w[k] * (b + db * x + (c + dc * x) * s[k]) + v[k] * noise
            h[k] = np.float32(0.0)
    for start, below, above, less, more in (oxygen, water):
        low, high = np.float32(less), np.float32(more)
        h = exponent[start:]
        for k in range(len(below)):
            h[k] -= low * below[k] + high * above[k]


@numba.njit(cache=True, error_model="numpy")
def _run(first: int, origin: float, slope: float, lead: float) -> tuple[int, int]:
    """Whole pixels of the shift at a pixel, and how many pixels from it on have the same."""
    whole = np.floor((origin + first) * slope + lead)
    if slope == 0.0:
        return int(whole), 1 << 40
    edge = (whole + 1 - lead) / slope if slope > 0 else (whole - lead) / slope
    return int(whole), max(int(np.ceil(edge - origin)) - first, 1)


@numba.njit(cache=True, fastmath=True, error_model="numpy")
def expose(
    star: Row,
    curve: Row,
    floor: Row,
    light_weight: Row,
    origin: float,
    star_slope: float,
    earth_slope: float,
    noise: Row,
    flux: Row,
    sigma: Row,
) -> None:
    """Shift star and observatory, multiply them, and add noise.

    Shifts by cubic convolution. They grow so slowly along the grid that they are the same number
    of whole pixels for thousands of them, which are done as one run over contiguous memory.

    Parameters
    ----------
    star
        Flux in the rest frame, [pixel].
    curve, floor
        Electrons per flux, and the variance without the star, observatory frame.
    light_weight
        Variance for an electron/A of light; zero where nothing is observed.
    origin
        Wavelength of the first pixel over the step.
    star_slope, earth_slope
        The inverse of either Doppler factor, less 1.
    noise
        Standard normal numbers, [pixel].
    flux, sigma
        Results, [pixel]: zero where nothing is observed.
    """
    size = len(star)
    half, zero = np.float32(0.5), np.float32(0.0)
    # Pixels all of whose neighbours exist: shifts grow along the grid, so its end decides.
    margin = int(np.ceil((origin + size) * max(abs(star_slope), abs(earth_slope)))) + 3
    margin = min(margin, size)
    for end in (slice(0, margin), slice(size - margin, size)):
        flux[end], sigma[end] = 0.0, 0.0
    i = margin
    while i < size - margin:
        s, run_s = _run(i, origin, star_slope, 0.0)
        e, run_e = _run(i, origin, earth_slope, 0.0)
        n, run_n = _run(i, origin, earth_slope, 0.5)
        count = min(run_s, run_e, run_n, size - margin - i)
        t0, dt = np.float32((origin + i) * star_slope - s), np.float32(star_slope)
        u0, du = np.float32((origin + i) * earth_slope - e), np.float32(earth_slope)
        a, b = star[i + s - 1 : i + s + count + 2], curve[i + e - 1 : i + e + count + 2]
        w, v = light_weight[i + n : i + n + count], floor[i + n : i + n + count]
        z, f, g = noise[i : i + count], flux[i : i + count], sigma[i : i + count]
        for k in range(count):
            x = np.float32(np.int32(k))
            t, u = t0 + dt * x, u0 + du * x
            p0, p1, p2, p3 = a[k], a[k + 1], a[k + 2], a[k + 3]
            p = p1 + half * t * (
                p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0))
            )
            q0, q1, q2, q3 = b[k], b[k + 1], b[k + 2], b[k + 3]
            q = q1 + half * u * (
                q2 - q0 + u * (2 * q0 - 5 * q1 + 4 * q2 - q3 + u * (3 * (q1 - q2) + q3 - q0))
            )
            level = p * q if w[k] > zero else zero
            spread = np.sqrt(w[k] * max(level, zero) + v[k])
            g[k] = spread
            f[k] = level + spread * z[k]
        i += count
