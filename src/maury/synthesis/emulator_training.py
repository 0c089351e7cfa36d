"""Make an emulator from synthesised spectra."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from scipy.stats import qmc
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

from maury.data import load_table
from maury.synthesis.emulator import Emulator, log_wavelength, quadratic_terms
from maury.synthesis.linelist import standard_lines
from maury.synthesis.opacity_grid import OpacityGrid
from maury.synthesis.opacity_nodes import metallicities
from maury.synthesis.provenance import code_fingerprint

__all__ = ["LOWER", "NAMES", "UPPER", "compute_spectra", "design", "fit_emulator"]

NAMES = ("teff", "logg", "mh", "vmic")
LOWER = np.array([4000.0, 3.5, -1.5, 0.5])
UPPER = np.array([8000.0, 5.0, 0.5, 2.5])
START, VELOCITY_STEP, SIZE = 4790.0, 1.0, 110_400  # 4790-6922.6 A
NOISE = 1e-4  # of the process, in units of each amplitude's spread: keeps the matrix well behaved


def design(count: int, seed: int) -> np.ndarray:
    """Parameters that fill the box, denser towards its faces where interpolation has one side.

    Returns
    -------
    ndarray
        Physical units, shape (count, parameter): a scrambled Sobol sequence.

    Examples
    --------
    >>> design(8, seed=0).shape
    (8, 4)
    """
    # A whole power of two keeps the sequence's balance; its beginning is the sequence itself.
    points = qmc.Sobol(len(NAMES), seed=seed).random_base2(int(np.ceil(np.log2(count))))[:count]
    return LOWER + (UPPER - LOWER) * (0.5 - 0.5 * np.cos(np.pi * points))


@cache
def _opacities(calibrated: bool) -> OpacityGrid:
    return OpacityGrid(lines=standard_lines(calibrated))


def _compute(labels: np.ndarray, path: Path, calibrated: bool) -> Path:
    opacities = _opacities(calibrated)
    flux, continuum = opacities.flux(*(float(value) for value in labels))
    spline = CubicSpline(opacities.wavelength, flux / continuum)
    relative = spline(log_wavelength(START, VELOCITY_STEP, SIZE))
    part = path.with_suffix(".part.npy")
    np.save(part, np.round(np.clip(relative, 0, 1) * 65535).astype(np.uint16))
    part.rename(path)
    return path


def compute_spectra(
    labels: np.ndarray, folder: Path, workers: int, *, calibrated: bool = True
) -> Iterator[int]:
    """Synthesise every spectrum that the folder lacks; yield how many are there.

    The opacity tables that they are made from are made first, where they are not on disk.

    Parameters
    ----------
    labels
        Physical units, shape (spectrum, parameter).
    folder
        Receives ``00000.npy`` and so on: flux over continuum times 65535.
    workers
        Processes.
    calibrated
        Whether the lines are those calibrated on the Sun.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{i:05d}.npy" for i in range(len(labels))]
    missing = [i for i, path in enumerate(paths) if not path.exists()]
    done = len(paths) - len(missing)
    yield done
    if missing:
        opacities = _opacities(calibrated)
        # Workers that come upon a missing table at once would each make it.
        for node in {node for mh in labels[missing, 2] for node in metallicities(float(mh))[0]}:
            opacities.table(node)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(_compute, labels[i], paths[i], calibrated) for i in missing]
        for future in as_completed(futures):
            future.result()
            done += 1
            yield done


def _model_error(wavelength: np.ndarray) -> np.ndarray:
    """How far the computed Sun is from the observed one near each pixel (see make_calibration)."""
    table = load_table("solar_calibration")
    residual = table["residual"].astype(float)
    grid = float(table["start"]) + float(table["step"]) * np.arange(residual.size)
    known = np.abs(residual) < 127
    size = np.abs(residual) * float(table["residual_unit"])
    # The largest of three neighbours, so that a line slightly off in wavelength is not trusted.
    size = np.maximum(np.maximum(size, np.roll(size, 1)), np.roll(size, -1))
    error = np.interp(wavelength, grid, size)
    return np.where(np.interp(wavelength, grid, known.astype(float)) > 0.99, error, np.inf)


def fit_emulator(
    labels: np.ndarray,
    spectra: np.ndarray,
    *,
    components: int,
    kept_aside: int,
    calibrated: bool = True,
) -> Emulator:
    """Fit components and process.

    Parameters
    ----------
    labels
        Physical units, shape (spectrum, parameter).
    spectra
        Flux over continuum, shape (spectrum, pixel).
    components
        Number of principal components.
    kept_aside
        The last so many spectra judge the emulator and do not train it.
    calibrated
        Whether the lines are those calibrated on the Sun; if not, nothing is known of how far a
        pixel can be trusted either.

    Returns
    -------
    Emulator
        Its card holds the errors on the spectra kept aside.
    """
    train = slice(0, len(labels) - kept_aside)
    scaled = (labels - LOWER) / (UPPER - LOWER)
    mean = spectra[train].mean(axis=0)
    centred = (spectra[train] - mean).astype(np.float32)
    # Eigenvectors of the small Gram matrix: far fewer spectra than pixels.
    values, vectors = np.linalg.eigh((centred @ centred.T).astype(np.float64))
    order = np.argsort(values)[::-1][:components]
    basis = (vectors[:, order] / np.sqrt(values[order])).T.astype(np.float32) @ centred
    amplitude = centred @ basis.T
    spread = amplitude.std(axis=0)
    terms = quadratic_terms(torch.from_numpy(scaled)).numpy()
    trend = np.linalg.lstsq(terms[train], amplitude / spread, rcond=None)[0]
    rest = amplitude / spread - terms[train] @ trend
    kernel = ConstantKernel(0.3, (1e-3, 1e2)) * RBF(
        np.full(len(NAMES), 0.7), (0.1, 10.0)
    ) + WhiteKernel(NOISE, (1e-7, 1e-1))  # fmt: skip
    # The leading components carry the variance: they set the length scales.
    process = GaussianProcessRegressor(kernel).fit(scaled[train], rest[:, :12])
    amplitude_kernel = process.kernel_.k1
    noise = process.kernel_.k2.noise_level
    matrix = amplitude_kernel(scaled[train]) + noise * np.eye(rest.shape[0])
    weights = np.linalg.solve(matrix, rest) * amplitude_kernel.k1.constant_value
    wavelength = log_wavelength(START, VELOCITY_STEP, SIZE)
    emulator = Emulator(
        start=START,
        velocity_step=VELOCITY_STEP,
        names=NAMES,
        lower=torch.from_numpy(LOWER),
        upper=torch.from_numpy(UPPER),
        mean=torch.from_numpy(mean),
        components=torch.from_numpy(basis),
        nodes=torch.from_numpy(scaled[train]),
        scales=torch.from_numpy(amplitude_kernel.k2.length_scale.copy()),
        weights=torch.from_numpy(weights * spread),
        trend=torch.from_numpy(trend * spread),
        model_error=torch.from_numpy(
            _model_error(wavelength) if calibrated else np.zeros(wavelength.size)
        ),
    )
    test = slice(len(labels) - kept_aside, None)
    with torch.no_grad():
        error = emulator.flux(torch.from_numpy(labels[test]).float()).numpy() - spectra[test]
    emulator.card = {
        "training_spectra": int(rest.shape[0]),
        "components": components,
        "held_out_spectra": kept_aside,
        "held_out_rms": float(np.sqrt(np.mean(error**2))),
        "held_out_rms_95": float(np.quantile(np.sqrt(np.mean(error**2, axis=1)), 0.95)),
        "length_scales": [float(v) for v in emulator.scales],
        "lines": "calibrated on the Sun" if calibrated else "original",
        "fingerprint": code_fingerprint(),
        "source": "maury.data.make_emulator",
    }
    return emulator
