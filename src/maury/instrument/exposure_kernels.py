"""The compiled loop of the exposure calculator: one spectrum in one pass over memory."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BLOCK",
    "CELL",
    "LANES",
    "LINES",
    "OXYGEN",
    "WATER",
    "Depths",
    "expose",
    "normals",
    "random_bits",
]

Row = NDArray[np.float32]

Depths = tuple[int, Row, Row, float, float]
"""First pixel of a molecule's absorption, its depths at the nodes below and above the amount, and
the weight of either, the amount included."""

Room = tuple[NDArray[np.int32], Row, NDArray[np.int32]]
"""Of `BLOCK` random bits, of half as many numbers, and of the same numbers as bits."""

CELL = 256
"""Pixels between the samples of what varies slowly with wavelength."""

OXYGEN, WATER, LINES = 1, 2, 4
"""What a cell may hold, as bits."""

BLOCK = 2048
"""Pixels at a time: what is computed on the way stays in the processor's nearest cache."""

LANES = 64
"""Generators of random numbers side by side, so that their steps are vector instructions."""

EXACT = {"nnan", "ninf", "nsz"}
"""Without sums in another order or fused multiply-adds: a callee is compiled twice, alone and
within its caller, and which of the two runs differs between a process that compiles and one that
finds the code on disk; both must round alike."""

_U = np.uint32

# ln(1 + t) / t for t from -0.29 to 0.41, to 2e-7.
_LOG = tuple(
    np.float32(c)
    for c in (
        -0.10134057, 0.1623419, -0.17247014, 0.19898565, -0.24970071, 0.33335114, -0.50000364,
        0.99999994,
    )
)  # fmt: skip

REACH = 8  # pixels beyond a block that the shift by BERV may ask for
DEEPEST = np.float32(16.0)  # optical depth beyond which all is black

# e^-y at y from 0 to 1, to 1e-7; to the 16th power it is e^-16y.
_EXP = tuple(
    np.float32(c)
    for c in (
        8.49449732e-4, -7.65157555e-3, 4.12145957e-2, -1.66506766e-1, 4.99971742e-1,
        -9.99997934e-1, 9.99999963e-1,
    )
)  # fmt: skip


@numba.njit(cache=True, error_model="numpy")
def random_bits(state: NDArray[np.uint32], out: NDArray[np.int32]) -> None:
    """Fill with the bits of xoshiro128++ (Blackman & Vigna 2021, ACM TOMS 47, 36), lane by lane.

    Parameters
    ----------
    state : uint32[4, lanes]
        Moved on.
    out : int32[n]
        n must be a multiple of the lanes.
    """
    lanes = state.shape[1]
    a, b, c, d = state[0], state[1], state[2], state[3]
    for i in range(len(out) // lanes):
        row = out[i * lanes : (i + 1) * lanes]
        for k in range(lanes):
            s0, s1, s2, s3 = a[k], b[k], c[k], d[k]
            x = _U(s0 + s3)
            row[k] = np.int32(_U(_U(_U(x << _U(7)) | _U(x >> _U(25))) + s0))
            t = _U(s1 << _U(9))
            s2, s3 = _U(s2 ^ s0), _U(s3 ^ s1)
            s1, s0 = _U(s1 ^ s2), _U(s0 ^ s3)
            s2, s3 = _U(s2 ^ t), _U(_U(s3 << _U(11)) | _U(s3 >> _U(21)))
            a[k], b[k], c[k], d[k] = s0, s1, s2, s3


@numba.njit(cache=True, fastmath=EXACT, error_model="numpy")
def _split(
    bits: NDArray[np.int32], uniform: NDArray[np.float32], pattern: NDArray[np.int32]
) -> None:
    """Numbers u in (0, 1) from the upper 24 bits, as mantissa and exponent.

    The mantissa, 0.71 to 1.41, is left in `uniform`, whose bits `pattern` shows; the exponent in
    `bits`.
    """
    step, half = np.float32(2.0**-24), np.float32(2.0**-25)
    for k in range(len(bits)):
        uniform[k] = np.float32(np.int32(_U(bits[k]) >> _U(8))) * step + half
    for k in range(len(bits)):
        x = np.int32(pattern[k])
        exponent = np.int32(np.int32(x - np.int32(0x3F3504F3)) >> np.int32(23))
        bits[k] = exponent
        pattern[k] = np.int32(x - np.int32(exponent << np.int32(23)))


@numba.njit(cache=True, fastmath=EXACT, error_model="numpy")
def _rotate(
    mantissa: NDArray[np.float32],
    exponent: NDArray[np.int32],
    angle: NDArray[np.int32],
    sines: NDArray[np.float32],
    cosines: NDArray[np.float32],
) -> None:
    """Radius sqrt(-2 ln u) times sine and cosine of an angle.

    The angle is twice pi x/2 with x in [-1, 1), where Taylor series of both functions to the
    tenth power are good to 3e-5, and no call keeps the loop from being vectorised.
    """
    step, log_2 = np.float32(2.0**-32), np.float32(np.log(2.0))
    for k in range(len(cosines)):
        t = mantissa[k] - np.float32(1.0)
        logarithm = _LOG[0]
        for coefficient in _LOG[1:]:
            logarithm = logarithm * t + coefficient
        logarithm = logarithm * t + np.float32(exponent[k]) * log_2
        radius = np.sqrt(np.float32(-2) * logarithm)
        y = np.float32(angle[k]) * step
        z = y * y
        sine = np.float32(0.08214589)
        for factor in (-0.59926453, 2.55016404, -5.16771278, 3.14159265):
            sine = sine * z + np.float32(factor)
        sine *= y
        cosine = np.float32(-0.0258069)
        for factor in (0.23533063, -1.33526277, 4.05871213, -4.93480220, 1.0):
            cosine = cosine * z + np.float32(factor)
        sines[k] = radius * (np.float32(2) * sine * cosine)
        cosines[k] = radius * (cosine * cosine - sine * sine)


@numba.njit(cache=True, error_model="numpy")
def normals(state: NDArray[np.uint32], room: Room, out: Row) -> None:
    """Standard normal numbers by Box & Muller (1958, Ann. Math. Stat. 29, 610).

    None is larger than 5.9 in size, which one in 300 million would be.

    Parameters
    ----------
    state : uint32[4, LANES]
        Of the generators; moved on.
    room
        To work in.
    out : float32[n]
        Filled; n must be a multiple of `BLOCK`.
    """
    bits, uniform, pattern = room
    half = BLOCK // 2
    for first in range(0, len(out), BLOCK):
        random_bits(state, bits)
        _split(bits[:half], uniform, pattern)
        part = out[first : first + BLOCK]
        _rotate(uniform, bits[:half], bits[half:], part[:half], part[half:])


@numba.njit(cache=True, fastmath=EXACT, error_model="numpy")
def _absorb(depth: Row, molecule: Depths, first: int) -> None:
    """Add a molecule's optical depth at the pixels from the first on."""
    start, below, above, less, more = molecule
    low, high = np.float32(less), np.float32(more)
    a, b = below[first - start :], above[first - start :]
    for k in range(len(depth)):
        depth[k] += low * a[k] + high * b[k]


@numba.njit(cache=True, fastmath=EXACT, error_model="numpy")
def _observe(
    lo: int,
    hi: int,
    light: Row,
    sky: Row,
    sky_lines: Row,
    cells: NDArray[np.uint8],
    lines: Row,
    oxygen: Depths,
    water: Depths,
    light_weight: Row,
    detector_weight: Row,
    detector_variance: float,
    curve: Row,
    floor: Row,
    depth: Row,
) -> None:
    """Electrons per flux, and the variance without a star, at the pixels from `lo` to `hi`.

    Results are in `curve` and `floor`, which begin at `lo`; observatory frame.
    """
    scale, noise, zero = np.float32(1 / CELL), np.float32(detector_variance), np.float32(0.0)
    shrink = np.float32(1 / 16)
    for cell in range(lo // CELL, (hi - 1) // CELL + 1):
        first, last = max(cell * CELL, lo), min((cell + 1) * CELL, hi)
        origin = first - cell * CELL
        a, da = light[cell], (light[cell + 1] - light[cell]) * scale
        b, db = sky[cell], (sky[cell + 1] - sky[cell]) * scale
        w, v = light_weight[first:last], detector_weight[first:last]
        f, g = curve[first - lo : last - lo], floor[first - lo : last - lo]
        for k in range(last - first):
            x = np.float32(np.int32(origin + k))
            f[k] = a + da * x
            g[k] = w[k] * (b + db * x) + v[k] * noise
        if cells[cell] & LINES:
            c, dc = sky_lines[cell], (sky_lines[cell + 1] - sky_lines[cell]) * scale
            s = lines[first:last]
            for k in range(last - first):
                g[k] += w[k] * (c + dc * np.float32(np.int32(origin + k))) * s[k]
        if cells[cell] & (OXYGEN | WATER):
            h = depth[: last - first]
            h[:] = zero
            if cells[cell] & OXYGEN:
                _absorb(h, oxygen, first)
            if cells[cell] & WATER:
                _absorb(h, water, first)
            for k in range(last - first):
                y = min(max(h[k], zero), DEEPEST) * shrink
                e = _EXP[0]
                for factor in _EXP[1:]:
                    e = e * y + factor
                e *= e
                e *= e
                e *= e
                f[k] *= e * e


@numba.njit(cache=True, error_model="numpy")
def _run(first: int, origin: float, slope: float, lead: float) -> tuple[int, int]:
    """Whole pixels of the shift at a pixel, and how many pixels from it on have the same."""
    whole = np.floor((origin + first) * slope + lead)
    if slope == 0.0:
        return int(whole), 1 << 40
    edge = (whole + 1 - lead) / slope if slope > 0 else (whole - lead) / slope
    return int(whole), max(int(np.ceil(edge - origin)) - first, 1)


@numba.njit(cache=True, nogil=True, fastmath=EXACT, error_model="numpy")
def expose(
    star: NDArray[np.float32] | NDArray[np.int16],
    light: Row,
    sky: Row,
    sky_lines: Row,
    cells: NDArray[np.uint8],
    lines: Row,
    oxygen: Depths,
    water: Depths,
    light_weight: Row,
    detector_weight: Row,
    detector_variance: float,
    observed: tuple[int, int],
    origin: float,
    star_slope: float,
    earth_slope: float,
    state: NDArray[np.uint32],
    room: Room,
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
    light, sky, sky_lines
        On every `CELL`-th pixel, observatory frame: electrons/A for a unit flux without tellurics;
        electrons/A of the sky's continuum; electrons/A for a unit radiance.
    cells
        What there is in each cell: `OXYGEN`, `WATER`, `LINES`.
    lines
        Radiance of the sky's lines, [pixel].
    oxygen, water
        Absorption of the molecules.
    light_weight, detector_weight, detector_variance
        Variance is the light times the first plus the third times the second; both weights are
        zero where nothing is observed.
    observed
        First pixel, and the one after the last, that any order covers at the observatory.
    origin
        Wavelength of the first pixel over the step.
    star_slope, earth_slope
        The inverse of either Doppler factor, less 1.
    state, room
        As of `normals`; without a state there is no noise.
    flux, sigma
        Results, [pixel]: zero where nothing is observed. `sigma` may be empty and is not kept then.
    """
    size = len(star)
    # Without its type a number would make the sums twice as long and slow.
    half, zero = np.float32(0.5), np.float32(0.0)
    two, three, four, five = np.float32(2), np.float32(3), np.float32(4), np.float32(5)
    curve = np.empty(BLOCK + 2 * REACH, dtype=np.float32)
    floor = np.empty(BLOCK + 2 * REACH, dtype=np.float32)
    depth = np.empty(CELL, dtype=np.float32)
    level = np.empty(BLOCK, dtype=np.float32)
    spread = np.empty(BLOCK, dtype=np.float32)
    noise = np.zeros(BLOCK, dtype=np.float32)
    # Pixels all of whose neighbours exist: shifts grow along the grid, so its end decides.
    margin = int(np.ceil((origin + size) * max(abs(star_slope), abs(earth_slope)))) + REACH
    drift = int(np.ceil((origin + size) * abs(earth_slope))) + 1
    begin = min(max(margin, observed[0] - drift), size)
    end = max(min(size - margin, observed[1] + drift), begin)
    keep, noisy = len(sigma) > 0, len(state) > 0
    for row in (flux, sigma):
        if len(row) > 0:
            row[:begin] = zero
            row[end:] = zero
    i, stop, lo, first = begin, begin, 0, begin
    while i < end:
        if i == stop:
            first, stop = i, min(i + BLOCK, end)
            if noisy:
                normals(state, room, noise)
            lo = max(i + int(np.floor((origin + i) * earth_slope)) - REACH // 2, 0)
            hi = min(stop + int(np.floor((origin + stop) * earth_slope)) + REACH // 2, size)
            _observe(
                lo, hi, light, sky, sky_lines, cells, lines, oxygen, water,
                light_weight, detector_weight, detector_variance, curve, floor, depth,
            )  # fmt: skip
        s, run_s = _run(i, origin, star_slope, 0.0)
        e, run_e = _run(i, origin, earth_slope, 0.0)
        n, run_n = _run(i, origin, earth_slope, 0.5)
        count = min(run_s, run_e, run_n, stop - i)
        t0, dt = np.float32((origin + i) * star_slope - s), np.float32(star_slope)
        u0, du = np.float32((origin + i) * earth_slope - e), np.float32(earth_slope)
        a, b = star[i + s - 1 : i + s + count + 2], curve[i + e - 1 - lo : i + e + count + 2 - lo]
        w, v = light_weight[i + n : i + n + count], floor[i + n - lo : i + n + count - lo]
        z, f, h, g = noise[i - first :], flux[i : i + count], level[:count], spread[:count]
        if keep:
            g = sigma[i : i + count]
        # Several short loops: with more arrays in one the compiler gives up vector instructions.
        for k in range(count):
            t = t0 + dt * np.float32(np.int32(k))
            p0, p1, p2, p3 = (
                np.float32(a[k]), np.float32(a[k + 1]), np.float32(a[k + 2]), np.float32(a[k + 3])
            )  # fmt: skip
            h[k] = p1 + half * t * (
                p2
                - p0
                + t * (two * p0 - five * p1 + four * p2 - p3 + t * (three * (p1 - p2) + p3 - p0))
            )
        for k in range(count):
            u = u0 + du * np.float32(np.int32(k))
            q0, q1, q2, q3 = b[k], b[k + 1], b[k + 2], b[k + 3]
            h[k] *= q1 + half * u * (
                q2
                - q0
                + u * (two * q0 - five * q1 + four * q2 - q3 + u * (three * (q1 - q2) + q3 - q0))
            )
        for k in range(count):
            h[k] = h[k] if w[k] > zero else zero
            g[k] = np.sqrt(w[k] * max(h[k], zero) + v[k])
        for k in range(count):
            f[k] = h[k] + g[k] * z[k]
        i += count
