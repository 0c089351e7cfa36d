"""The fit of a low-rank opacity to opacity tables."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import cast

import numpy as np
import torch
from astropy.config import get_cache_dir
from numba import njit, prange
from scipy.linalg import eigh
from scipy.sparse import csr_array

from maury.synthesis.atmosphere import model_atmosphere
from maury.synthesis.linelist import LineList
from maury.synthesis.low_rank import LOWER, TURBULENCE, UPPER, LowRankOpacity
from maury.synthesis.opacity import fingerprint
from maury.synthesis.opacity_grid import LOWEST_VMIC, OpacityGrid
from maury.synthesis.opacity_nodes import (
    METALLICITY,
    SHAPE,
    coefficient_table,
    nearest_node,
    node_states,
    spline_matrix,
    values_matrix,
)
from maury.synthesis.opacity_transfer import (
    LOG_LEVEL,
    LOG_STEP,
    MARGIN,
    STEP,
    continuum_wavelength,
    turbulence_kernels,
)
from maury.synthesis.synthesize import COVERAGE
from maury.wavelength import SPEED_OF_LIGHT

__all__ = ["cached_low_rank", "fit_low_rank"]

RANK = 320
CONTINUUM_RANK = 16
TRAINING = 3000  # states of the gas that the components are fitted to
SAMPLE = 40000  # pixels that amplitudes are fitted at
BLOCK = 4096  # pixels at a time
LAYERS = (12, 66)  # of the atmosphere, where flux and lines form: optical depths of 10^-5.4 to 20
SEED = 0


def cached_low_rank(
    *,
    alpha: float = 0.0,
    rank: int = RANK,
    lines: LineList | None = None,
    span: tuple[float, float] = COVERAGE,
    folder: Path | None = None,
    workers: int = 1,
) -> LowRankOpacity:
    """The low-rank opacity of a range, fitted if it is not on disk yet.

    For the whole range that takes some minutes, after nine opacity tables of two minutes and
    470 MB each.

    Parameters
    ----------
    alpha
        [alpha/M], dex.
    rank
        Number of components.
    lines, span, folder, workers
        See `OpacityGrid`.

    Raises
    ------
    SynthesisError
        If the folder cannot be written, or the lines do not cover the range.
    WeightsError
        If what is on disk cannot be read.
    """
    grid = OpacityGrid(alpha=alpha, lines=lines, span=span, folder=folder, workers=workers)
    folder = Path(get_cache_dir()) / "maury" if folder is None else folder
    names = [fingerprint(grid.lines, span, float(mh), alpha, LOWEST_VMIC) for mh in METALLICITY]
    settings = (names, rank, TRAINING, SAMPLE, SEED, TURBULENCE.tolist())
    name = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]
    path = folder / f"low-rank-{name}"
    if not path.with_suffix(".json").exists():
        fit_low_rank([grid], rank).save(path)
    return LowRankOpacity.load(path)


def fit_low_rank(grids: Sequence[OpacityGrid], rank: int = RANK) -> LowRankOpacity:
    """Fit components and their amplitudes to the tables of a range, or of several windows.

    Parameters
    ----------
    grids
        Opacity tables, their ranges in increasing order and apart.
    rank
        Number of components.

    Notes
    -----
    Principal components of states that the layers of random stars are nearest to, from a sample
    of the pixels; the amplitudes of all nodes by least squares on the same sample.
    """
    sparse = max(1, sum(grid.wavelength.size for grid in grids) // SAMPLE)
    rng = np.random.default_rng(SEED)
    training = _training_states(rng)
    gram = np.zeros((len(training), len(training)))
    for block in _blocks(grids):
        logs = _training_logs(block, training, sparse)
        logs -= logs.mean(axis=0)
        gram += logs @ logs.T
    last = len(training) - 1
    values, vectors = eigh(gram, subset_by_index=(last - rank + 1, last))
    # The first component first, each of unit length over the sampled pixels.
    project = (vectors / np.sqrt(values)).T[::-1].astype(np.float32)
    nodes = node_states()[0].size
    means, bases = [], []
    amplitudes = np.zeros((METALLICITY.size * TURBULENCE.size * nodes, rank))
    overlap = np.zeros((rank, rank))
    for block in _blocks(grids):
        logs = _training_logs(block, training, 1)
        mean = logs.mean(axis=0)
        logs -= mean
        basis = project @ logs
        means.append(mean)
        bases.append(basis)
        thin = np.ascontiguousarray(basis[:, ::sparse].T)
        overlap += thin.T @ thin
        for m in range(METALLICITY.size):
            opacity = block.table(m)
            for v, taps in enumerate(block.taps):
                widened = _widened(opacity, taps, block.margin, sparse)
                first = (m * TURBULENCE.size + v) * nodes
                amplitudes[first : first + nodes] += (widened - mean[::sparse]) @ thin
    fitted = np.linalg.solve(overlap, amplitudes.T).T
    shape = (METALLICITY.size, TURBULENCE.size, nodes, rank)
    wave, level, components, coefficients = _continuum(grids)
    return LowRankOpacity(
        wavelength=torch.from_numpy(np.concatenate([grid.wavelength for grid in grids])),
        mean=torch.from_numpy(np.concatenate(means)),
        components=torch.from_numpy(np.concatenate(bases, axis=1)),
        amplitudes=torch.from_numpy(_spline_coefficients(fitted.reshape(shape))),
        continuum_wavelength=torch.from_numpy(wave),
        continuum_mean=torch.from_numpy(level),
        continuum_components=torch.from_numpy(components),
        continuum_amplitudes=torch.from_numpy(coefficients),
        card={
            "rank": rank,
            "alpha": grids[0].alpha,
            "spans": [list(grid.span) for grid in grids],
            "training_states": len(training),
        },
    )


def _training_states(rng: np.random.Generator) -> np.ndarray:
    """[M/H], microturbulence and (T, P) nodes nearest to random layers of random stars."""
    states: list[tuple[int, int, int]] = []
    while len(states) < TRAINING:
        teff, logg, mh, vmic = rng.uniform(LOWER, UPPER)
        # Even in 1 / Teff: the molecules of cool stars take most components.
        teff = 1 / rng.uniform(1 / UPPER[0], 1 / LOWER[0])
        star = model_atmosphere(teff, logg, mh)
        layer = int(rng.integers(*LAYERS))
        node = nearest_node(star.temperature[layer], np.log10(star.pressure[layer]))
        m = int(np.abs(METALLICITY - mh).argmin())
        v = int(np.abs(TURBULENCE - vmic).argmin())
        states.append((m, v, node))
    return np.array(sorted(set(states)))


class _Block:
    """A stretch of pixels of all tables, with what microturbulence carries into it."""

    def __init__(self, grid: OpacityGrid, first: int, last: int) -> None:
        self.grid, self.first, self.last = grid, first, last
        centre = grid.span[0] + STEP * (first + last) / 2
        widening = (TURBULENCE**2 - LOWEST_VMIC**2) / 2 / SPEED_OF_LIGHT**2
        self.taps = turbulence_kernels(widening * (centre / STEP) ** 2).astype(np.float32)
        self.margin = self.taps.shape[1] - 1

    def table(self, m: int, nodes: np.ndarray | slice = slice(None)) -> np.ndarray:
        """Opacity at some nodes, with the margin on either side."""
        # Mapped anew each time, so that of nine tables no more than this stays in memory.
        mapped = cast("np.memmap", self.grid.table(float(METALLICITY[m])).lines)
        lines = np.load(str(mapped.filename), mmap_mode="r")
        columns = slice(MARGIN + self.first - self.margin, MARGIN + self.last + self.margin)
        logs = _to_nodes()[nodes] @ lines[:, columns].astype(np.float32)
        return np.exp(LOG_LEVEL + LOG_STEP * logs)


@cache
def _to_nodes() -> csr_array:
    """The matrix from a table's coefficients to values at nodes."""
    return csr_array(values_matrix()[:, coefficient_table().ravel() >= 0].astype(np.float32))


def _blocks(grids: Sequence[OpacityGrid]) -> Iterator[_Block]:
    for grid in grids:
        size = grid.wavelength.size
        for first in range(0, size, BLOCK):
            yield _Block(grid, first, min(first + BLOCK, size))


def _training_logs(block: _Block, training: np.ndarray, step: int) -> np.ndarray:
    """ln opacity of the training states at every ``step`` pixels of a block, (state, pixel)."""
    logs = np.empty((len(training), -(-(block.last - block.first) // step)), np.float32)
    for m in range(METALLICITY.size):
        for v, taps in enumerate(block.taps):
            here = np.flatnonzero((training[:, 0] == m) & (training[:, 1] == v))
            if here.size:
                opacity = block.table(m, training[here, 2])
                logs[here] = _widened(opacity, taps, block.margin, step)
    return logs


@njit(parallel=True, fastmath=True, error_model="numpy", cache=True)
def _widened(opacity, taps, margin, step):
    """ln of the opacity convolved with a kernel, at every ``step`` pixels, (node, pixel)."""
    size = (opacity.shape[1] - 2 * margin + step - 1) // step
    result = np.empty((opacity.shape[0], size), np.float32)
    reach = 0
    for j in range(taps.size):
        if taps[j] > 0:
            reach = j
    for node in prange(opacity.shape[0]):
        row = np.zeros(size, np.float32)
        for j in range(-reach, reach + 1):
            tap = taps[abs(j)]
            shifted = opacity[node, margin + j :: step]
            for k in range(size):
                row[k] += tap * shifted[k]
        result[node] = np.log(row)
    return result


def _continuum(
    grids: Sequence[OpacityGrid],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Wavelengths, mean, components and amplitudes of the continuum."""
    wave = [continuum_wavelength(g.span[0], g.wavelength.size) for g in grids]
    # Windows close to each other have continua that overlap.
    ends = [*(w[0] for w in wave[1:]), np.inf]
    keep = [w < end for w, end in zip(wave, ends, strict=True)]
    logs = np.stack(
        [
            _to_nodes()
            @ np.concatenate(
                [g.table(float(mh)).continuum[:, k] for g, k in zip(grids, keep, strict=True)],
                axis=1,
            )
            for mh in METALLICITY
        ]
    )
    mean = logs.mean(axis=(0, 1))
    flat = (logs - mean).reshape(-1, mean.size).astype(float)
    values, vectors = np.linalg.eigh(flat.T @ flat)
    components = vectors[:, np.argsort(values)[::-1][:CONTINUUM_RANK]].T
    amplitudes = (flat @ components.T).reshape(METALLICITY.size, 1, logs.shape[1], -1)
    wavelength = np.concatenate([w[k] for w, k in zip(wave, keep, strict=True)])
    return wavelength, mean, components, _spline_coefficients(amplitudes)[:, 0]


def _spline_coefficients(amplitudes: np.ndarray) -> np.ndarray:
    """Coefficients of cubic B-splines from values at the nodes.

    Parameters
    ----------
    amplitudes
        Shape (mh, vmic, node, component); microturbulence may have one value alone.
    """
    result = np.einsum("sn,mvnr->mvsr", spline_matrix(), amplitudes, optimize=True)
    result = np.tensordot(_interpolating(METALLICITY.size), result, (1, 0))
    if amplitudes.shape[1] > 1:
        turned = np.tensordot(_interpolating(TURBULENCE.size), result, (1, 1))
        result = np.moveaxis(turned, 0, 1)
    return result.reshape(*result.shape[:2], *SHAPE, -1).astype(np.float32)


def _interpolating(size: int) -> np.ndarray:
    """The matrix from values at nodes to coefficients of B-splines, without knots at the ends."""
    matrix = np.zeros((size + 2, size + 2))
    for i in range(size):
        matrix[i, i : i + 3] = 1 / 6, 2 / 3, 1 / 6
    matrix[size, :5] = matrix[size + 1, -5:] = 1, -4, 6, -4, 1
    return np.linalg.inv(matrix)[:, :size]
