"""Opacity tables: the opacity of a gas at every pixel, computed once and interpolated for stars."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy.config import get_cache_dir
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from scipy.special import expn

from maury.errors import SynthesisError
from maury.synthesis.atmosphere import Atmosphere
from maury.synthesis.constants import SECOND_RADIATION
from maury.synthesis.continuum import continuum_opacity
from maury.synthesis.elements import abundances
from maury.synthesis.equation_of_state import solve
from maury.synthesis.hydrogen import hydrogen_opacity
from maury.synthesis.linelist import LineList, standard_lines
from maury.synthesis.lines import line_opacity
from maury.synthesis.synthesize import COVERAGE
from maury.wavelength import air_to_vacuum

__all__ = ["OpacityTable"]

FORMAT_VERSION = 1  # of the files; also to be raised when the physics behind them changes
TEMPERATURE = np.geomspace(2400.0, 16000.0, 38)  # K
LOG_PRESSURE = np.arange(0.0, 6.51, 0.5)  # of the gas, dyn cm-2
RANGE = (3785.0, 6910.0)  # Angstrom, air: HARPS's
STEP = 0.01  # Angstrom
CONTINUUM_STEP = 5.0  # Angstrom
# ln of cm2 g-1 as 16-bit integers: the step is far below the error of interpolation.
LOG_LEVEL, LOG_STEP = 0.0, 4e-4
BLOCK = 256  # pixels whose opacity stays in the cache from interpolation to transfer

F = np.float32
# E4(x) = sum of g exp(-m x), by least squares: within 2e-4, and so is its derivative E3.
WEIGHTS = (0.0018786678763195667, 0.06871754039979533, 0.26273730099991166)
RATES = (9.961087345533606, 2.4688358771671766, 1.1858795750774525)


# Without leave to reassociate, which would round the exponent of 2 away.
FAST = {"nnan", "ninf", "nsz", "contract", "arcp"}


@intrinsic
def _as_float(typing_context, integer):
    """The float32 with the bits of an int32."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


@njit(fastmath=FAST, error_model="numpy", inline="always")
def _exp(x):
    """exp(x) of a float32 within 4e-6: a form that compilers turn into vector code."""
    # Nothing below 1e-18 matters here, and denormal numbers would be slow.
    y = max(x * F(1.4426950408889634), F(-60.0))
    whole = np.floor(y + F(0.5))
    f = y - whole
    p = F(0.0555041086648216) + f * (F(0.00961812910762848) + f * F(0.00133335581464284))
    p = F(1.0) + f * (F(0.693147180559945) + f * (F(0.240226506959101) + f * p))
    return p * _as_float((np.int32(whole) + np.int32(127)) << np.int32(23))  # type: ignore[call-arg]


@njit(fastmath=FAST, error_model="numpy", nogil=True, cache=True)
def _emerge(table, nodes, weights, thickness, source, first, last, flux):
    """Emergent flux over pi of the pixels from ``first`` to ``last``.

    F / pi = S_0 + 2 sum over layers of dS/dtau (E4(tau above) - E4(tau below)): the source is
    linear in tau between layers (e.g. Hubeny & Mihalas 2014, Sect. 12.4).
    """
    layers = nodes.shape[0]
    opacity = np.empty((2, BLOCK), np.float32)
    tau, total = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    e4, e3 = np.empty(BLOCK, np.float32), np.empty(BLOCK, np.float32)
    g0, g1, g2 = F(WEIGHTS[0]), F(WEIGHTS[1]), F(WEIGHTS[2])
    m0, m1, m2 = F(RATES[0]), F(RATES[1]), F(RATES[2])
    for start in range(first, last, BLOCK):
        count = min(BLOCK, last - start)
        block = start // BLOCK
        for d in range(layers):
            now = opacity[d % 2]
            a, b, c = table[nodes[d, 0]], table[nodes[d, 1]], table[nodes[d, 2]]
            e, f, g = table[nodes[d, 3]], table[nodes[d, 4]], table[nodes[d, 5]]
            h, i, j = table[nodes[d, 6]], table[nodes[d, 7]], table[nodes[d, 8]]
            # Scalars, not elements of an array, so that the loops become vector code.
            w0, w1, w2 = weights[d, 0], weights[d, 1], weights[d, 2]
            w3, w4, w5 = weights[d, 3], weights[d, 4], weights[d, 5]
            w6, w7, w8 = weights[d, 6], weights[d, 7], weights[d, 8]
            for k in range(count):
                q = start + k
                log = w0 * F(a[q]) + w1 * F(b[q]) + w2 * F(c[q])
                log += w3 * F(e[q]) + w4 * F(f[q]) + w5 * F(g[q])
                log += w6 * F(h[q]) + w7 * F(i[q]) + w8 * F(j[q])
                now[k] = _exp(F(LOG_LEVEL) + F(LOG_STEP) * log)
            if d == 0:
                for k in range(count):
                    t = now[k] * thickness[0]
                    x, y, z = _exp(-t * m0), _exp(-t * m1), _exp(-t * m2)
                    tau[k], total[k] = t, source[block, 0]
                    e4[k] = g0 * x + g1 * y + g2 * z
                    e3[k] = g0 * m0 * x + g1 * m1 * y + g2 * m2 * z
                continue
            before = opacity[(d + 1) % 2]
            half = F(0.5) * thickness[d]
            rise = F(2.0) * (source[block, d] - source[block, d - 1])
            for k in range(count):
                step = half * (now[k] + before[k])
                t = tau[k] + step
                x, y, z = _exp(-t * m0), _exp(-t * m1), _exp(-t * m2)
                below = g0 * x + g1 * y + g2 * z
                slope = g0 * m0 * x + g1 * m1 * y + g2 * m2 * z
                # The difference of two near equals loses its digits: take the mean E3 instead.
                thick, thin = (e4[k] - below) / step, F(0.5) * (e3[k] + slope)
                total[k] += rise * (thick if step > F(2e-3) else thin)
                tau[k], e4[k], e3[k] = t, below, slope
        for k in range(count):
            flux[start + k] = total[k]


@dataclass(frozen=True, eq=False)
class OpacityTable:
    """ln of the opacity per gram over (ln T, log P) at fixed abundances and microturbulence.

    A star's spectrum then takes the interpolation of its layers' opacities, quadratic in both,
    and a formal solution: no line is summed. The electron density is solved from temperature,
    pressure and abundances, and not taken from the model.

    Parameters
    ----------
    lines
        16-bit integers, shape (node, pixel): ln of cm2 g-1 in steps of 4e-4; may be mapped from
        disk.
    continuum
        The same without lines every 5 A, float32, shape (node, point).
    start
        First wavelength, Angstrom in air, stellar rest frame; the steps are 0.01 A.
    mh, alpha, vmic
        What it was computed for: dex, dex, km/s.
    """

    lines: np.ndarray
    continuum: np.ndarray
    start: float
    mh: float
    alpha: float
    vmic: float

    @property
    def wavelength(self) -> np.ndarray:
        """Angstrom in air."""
        return self.start + STEP * np.arange(self.lines.shape[1])

    @classmethod
    def cached(
        cls,
        *,
        mh: float = 0.0,
        alpha: float = 0.0,
        vmic: float = 1.0,
        lines: LineList | None = None,
        span: tuple[float, float] = RANGE,
        folder: Path | None = None,
    ) -> OpacityTable:
        """The table of these abundances, computed if it is not on disk yet.

        That takes about a minute of one core and 330 MB for the whole range.

        Parameters
        ----------
        mh, alpha
            [M/H] and [alpha/M], dex.
        vmic
            Microturbulence, km/s.
        lines
            The line list; the embedded one, calibrated on the Sun, where it is left out.
        span
            First and last wavelength, Angstrom in air.
        folder
            Where tables are kept; astropy's cache folder where it is left out.

        Raises
        ------
        SynthesisError
            If the folder cannot be written, or the lines do not cover the range.
        """
        if not COVERAGE[0] <= span[0] < span[1] <= COVERAGE[1]:
            raise SynthesisError(
                f"an opacity table from {span[0]:g} to {span[1]:g} A cannot be made; the lines "
                f"cover {COVERAGE[0]:g} to {COVERAGE[1]:g} A (air)"
            )
        lines = standard_lines() if lines is None else lines
        folder = Path(get_cache_dir()) / "maury" if folder is None else folder
        path = folder / f"opacity-{_fingerprint(lines, span, mh, alpha, vmic)}.npy"
        side = path.with_suffix(".continuum.npy")
        if not (path.exists() and side.exists()):
            part = path.with_suffix(f".{os.getpid()}.part")
            try:
                folder.mkdir(parents=True, exist_ok=True)
                np.save(side, _compute(part, lines, span, mh, alpha, vmic))
                part.replace(path)
            except OSError as error:
                raise SynthesisError(
                    f"the opacity table {path} cannot be written ({error.strerror})"
                ) from None
            finally:
                if folder.is_dir():
                    part.unlink(missing_ok=True)
        table = np.load(path, mmap_mode="r")
        return cls(table, np.load(side), span[0], mh, alpha, vmic)

    def flux(self, atmosphere: Atmosphere, workers: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Flux and continuum flux at the surface of a star of this table's abundances.

        Parameters
        ----------
        atmosphere
            The model; its [M/H] ought to be the table's.
        workers
            Threads.

        Returns
        -------
        flux, continuum
            erg s-1 cm-2 A-1, float32, shape (pixel,) each, at `wavelength`.
        """
        atmosphere = _thinned(atmosphere)
        nodes, weights = _stencil(atmosphere.temperature, np.log10(atmosphere.pressure))
        thickness = np.diff(atmosphere.rhox, prepend=0.0).astype(np.float32)
        wavelength = self.wavelength
        size = wavelength.size
        centres = self.start + STEP * BLOCK * (np.arange(-(-size // BLOCK)) + 0.5)
        source = _planck(centres, atmosphere.temperature).astype(np.float32)
        relative = np.empty(size, np.float32)
        share = -(-size // (BLOCK * workers)) * BLOCK
        with ThreadPoolExecutor(workers) as pool:
            jobs = [
                pool.submit(
                    _emerge, self.lines, nodes, weights, thickness, source,
                    first, min(first + share, size), relative,
                )
                for first in range(0, size, share)
            ]  # fmt: skip
            for job in jobs:
                job.result()
        # The source is that of each block's centre: give the pixels the colour they have.
        level = _planck(wavelength, np.array([atmosphere.teff]))[:, 0]
        level /= np.repeat(_planck(centres, np.array([atmosphere.teff]))[:, 0], BLOCK)[:size]
        flux = np.pi * relative * level.astype(np.float32)
        return flux, self._continuum_flux(atmosphere, nodes, weights, thickness)

    def _continuum_flux(
        self,
        atmosphere: Atmosphere,
        nodes: np.ndarray,
        weights: np.ndarray,
        thickness: np.ndarray,
    ) -> np.ndarray:
        coarse = _continuum_wavelength(self.start, self.lines.shape[1])
        logs = np.einsum("dn,dnp->dp", weights, self.continuum[nodes])
        opacity = np.exp(logs)
        steps = 0.5 * (opacity[1:] + opacity[:-1]) * thickness[1:, None]
        tau = np.concatenate([opacity[:1] * thickness[0], steps]).cumsum(axis=0)
        source = _planck(coarse, atmosphere.temperature).T
        slope = np.diff(source, axis=0) / steps
        flux = np.pi * (source[0] + 2 * (slope * -np.diff(expn(4, tau), axis=0)).sum(axis=0))
        return np.interp(self.wavelength, coarse, flux).astype(np.float32)


def _planck(wavelength: np.ndarray, temperature: np.ndarray) -> np.ndarray:
    """B_lambda in erg s-1 cm-2 A-1 sr-1, shape (wavelength, temperature)."""
    x = SECOND_RADIATION / (wavelength[:, None] * temperature)
    return 1.191042972e-5 * (1e8 / wavelength[:, None]) ** 5 * 1e-8 / np.expm1(x)


def _continuum_wavelength(start: float, size: int) -> np.ndarray:
    return np.arange(start - 10.0, start + STEP * size + 15.0, CONTINUUM_STEP)


def _fingerprint(
    lines: LineList, span: tuple[float, float], mh: float, alpha: float, vmic: float
) -> str:
    """A name that changes with all that the table depends on."""
    digest = hashlib.sha256()
    for name in ("wavelength", "log_gf", "excitation", "gamma_vdw", "species_index"):
        digest.update(np.ascontiguousarray(getattr(lines, name)).tobytes())
    settings = (
        FORMAT_VERSION, mh, alpha, vmic, TEMPERATURE.tolist(), LOG_PRESSURE.tolist(), span, STEP,
        lines.species,
    )  # fmt: skip
    digest.update(json.dumps(settings).encode())
    return digest.hexdigest()[:16]


def _compute(
    path: Path,
    lines: LineList,
    span: tuple[float, float],
    mh: float,
    alpha: float,
    vmic: float,
) -> np.ndarray:
    """Write the line table to ``path``; return the continuum's."""
    abundance = abundances(mh, alpha)
    size = round((span[1] - span[0]) / STEP) + 1
    wavelength = span[0] + STEP * np.arange(size)
    coarse = _continuum_wavelength(span[0], size)
    shape = (TEMPERATURE.size * LOG_PRESSURE.size, size)
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<i2", "fortran_order": False, "shape": shape}
        )
        rows = []
        for temperature in TEMPERATURE:
            gas = solve(
                np.full(LOG_PRESSURE.size, temperature), 10.0**LOG_PRESSURE, abundance
            )  # fmt: skip
            continuum = continuum_opacity(air_to_vacuum(coarse), gas)
            rows.append(np.log(continuum / gas.density[:, None]))
            opacity = line_opacity(
                wavelength, lines, gas, vmic, continuum, coarse[0], CONTINUUM_STEP
            )
            hydrogen_opacity(opacity, air_to_vacuum(wavelength), gas, vmic)
            for d in range(LOG_PRESSURE.size):
                total = opacity[:, d] + np.interp(wavelength, coarse, continuum[d])
                log = np.log(total / gas.density[d])
                quantised = np.round((log - LOG_LEVEL) / LOG_STEP)
                file.write(np.clip(quantised, -32768, 32767).astype("<i2").tobytes())
    return np.concatenate(rows).astype(np.float32)


def _thinned(atmosphere: Atmosphere) -> Atmosphere:
    """Every other layer of the upper 1% of the mass; lines change by less than 0.001."""
    high = atmosphere.rhox < 0.01 * atmosphere.rhox[-1]
    keep = ~high | (np.arange(high.size) % 2 == 0)
    columns = ("rhox", "temperature", "pressure", "electron_density")
    return replace(atmosphere, **{name: getattr(atmosphere, name)[keep] for name in columns})


def _stencil(temperature: np.ndarray, log_pressure: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights, (layer, 9) each, of a quadratic in ln T and log P about the nearest."""
    ratio = np.log(TEMPERATURE[1] / TEMPERATURE[0])
    i, a = _quadratic(np.log(temperature / TEMPERATURE[0]) / ratio, TEMPERATURE.size)
    spacing = LOG_PRESSURE[1] - LOG_PRESSURE[0]
    j, b = _quadratic((log_pressure - LOG_PRESSURE[0]) / spacing, LOG_PRESSURE.size)
    nodes = (i[:, :, None] * LOG_PRESSURE.size + j[:, None, :]).reshape(-1, 9)
    weights = (a[:, :, None] * b[:, None, :]).reshape(-1, 9)
    return nodes.astype(np.int64), weights.astype(np.float32)


def _quadratic(position: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Three nodes about each position and Lagrange's weights; clamped to the nodes' range."""
    position = np.clip(position, 0, size - 1)
    first = np.clip(np.rint(position).astype(int) - 1, 0, size - 3)
    f = position - first - 1
    weights = np.stack([f * (f - 1) / 2, 1 - f * f, f * (f + 1) / 2], axis=1)
    return first[:, None] + np.arange(3), weights
