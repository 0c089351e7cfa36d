"""How fast spectra become labels, on one core, and where the time goes."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import least_squares
from threadpoolctl import threadpool_limits

from maury.benchmark import Benchmark
from maury.errors import MauryError
from maury.inference.doubts import STELLAR
from maury.inference.fit import CAUCHY, Fitter, macroturbulence
from maury.inference.prediction import Prediction
from maury.inference.predictor import Predictor, sentence
from maury.readers import read
from maury.spectrum import Spectrum, doppler_factor
from maury.wavelength import SPEED_OF_LIGHT

__all__ = ["bench_predict", "reference_fit"]


def bench_predict(predictor: Predictor, paths: Sequence[str], *, repeats: int = 3) -> Benchmark:
    """Spectra a second from file to a row of the table, on one core.

    The reference differs in the fit alone: the same emulator, start, pixels, noise, Cauchy weights
    and local continuum, but the parameters by `scipy.optimize.least_squares` with finite
    differences.

    Parameters
    ----------
    predictor : Predictor
        What is measured.
    paths : sequence of str
        Spectra that can be predicted; those that cannot are left out.
    repeats : int
        How often both sides are run on each; the median counts.

    Raises
    ------
    MauryError
        If none of the spectra can be refined.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(limits=1):
            ours, reference, steps = _measure(predictor, paths, repeats)
    finally:
        torch.set_num_threads(threads)
    count = len(ours)
    breakdown = {
        name: 1e3 * float(np.mean([median(turn[name] for turn in turns) for turns in steps]))
        for name in steps[0][0]
    }
    return Benchmark(
        name="predict",
        ours=count / sum(ours),
        reference=count / sum(reference),
        unit="spectra/s/core",
        conditions=f"{count} spectra from file to table row, median of {repeats} turns, one thread,"
        f" {platform.machine()}, torch {torch.__version__}; reference: the same path with the fit"
        " by scipy.optimize.least_squares (trf, Cauchy loss, finite differences)",
        breakdown=breakdown,
    )


def _measure(
    predictor: Predictor, paths: Sequence[str], repeats: int
) -> tuple[list[float], list[float], list[list[dict[str, float]]]]:
    ours, reference, steps = [], [], []
    reason = "None of the spectra can be refined, so there is nothing to measure."
    for path in paths:
        try:
            # The first run pays for what is made once: fitter, tables, compiled code.
            warm = predictor.examine(read(path))
        except MauryError as error:
            reason = f"There is nothing to measure: {sentence(path, error)}"
            continue
        if warm.fit is None or not warm.network:
            continue
        own, other, turns = [], [], []
        for _ in range(repeats):
            seconds, turn = _ours(predictor, path)
            own.append(seconds)
            turns.append(turn)
            spectrum = read(path)
            fitter, _ = predictor.fitter(spectrum)
            start = time.perf_counter()
            reference_fit(fitter, spectrum, warm)
            other.append(seconds - turn["fit"] + time.perf_counter() - start)
        ours.append(median(own))
        reference.append(median(other))
        steps.append(turns)
    if not ours:
        raise MauryError(reason)
    return ours, reference, steps


def _ours(predictor: Predictor, path: str) -> tuple[float, dict[str, float]]:
    start = time.perf_counter()
    spectrum = read(path)
    seconds = {"read": time.perf_counter() - start}
    prediction = predictor.examine(spectrum)
    prediction.to_row()
    total = time.perf_counter() - start
    seconds |= {key: value for key, value in prediction.seconds.items() if key != "preparation"}
    seconds["other"] = total - sum(seconds.values())
    return total, seconds


def reference_fit(fitter: Fitter, spectrum: Spectrum, prediction: Prediction) -> dict[str, float]:
    """The fit by a general-purpose optimiser, from the network's labels.

    Returns
    -------
    dict of float
        teff, logg, mh, vmic, rv and vsini as in `Fit.values`.
    """
    emulator = fitter.emulator
    flux, noise, usable = fitter.prepare(spectrum)
    good = usable & fitter.clear
    good &= np.roll(good, 1) & np.roll(good, -1)
    sigma = np.sqrt(fitter.variance(flux, noise, good))

    def residuals(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        teff, rv, vsini = parameters[0], parameters[4], parameters[5]
        vmac = macroturbulence(teff)
        shift = SPEED_OF_LIGHT * float(np.log(doppler_factor(rv)))
        with torch.no_grad():
            labels = torch.tensor(parameters[:4], dtype=torch.float32)[None]
            rows = torch.addmm(fitter.mean, emulator.amplitudes(labels), fitter.components)
            model = fitter.broadening(
                rows,
                velocity=torch.tensor([shift]),
                vsini=torch.tensor([float(vsini)]),
                vmac=torch.tensor([float(vmac)]),
            )[0].double().numpy()  # fmt: skip
        weight = np.where(good, 1 / sigma**2, 0.0)
        for _ in range(2):
            level = fitter.continuum(fitter.continuum.solve(flux, model, weight))
            scaled = (flux - level * model) / sigma
            weight = np.where(good, 1 / (sigma**2 * (1 + (scaled / CAUCHY) ** 2)), 0.0)
        return scaled[good]

    def jacobian(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        # Single precision of the model asks for steps that it can resolve.
        steps = np.diag(0.05 * fitter.SCALES)
        here = residuals(parameters)
        columns = [(residuals(parameters + step) - here) / step.sum() for step in steps]
        return np.stack(columns, axis=1)

    lower, upper = emulator.lower.numpy(), emulator.upper.numpy()
    first = [prediction.network[name].value for name in STELLAR]
    labels = np.clip([*first, 1.0], lower + 1e-3, upper - 1e-3)
    rv = fitter.velocity(flux, usable, labels)
    solution = least_squares(
        residuals,
        [*labels, rv, 4.0],
        jac=jacobian,
        bounds=([*lower, rv - 50, 0.0], [*upper, rv + 50, 150.0]),
        x_scale=fitter.SCALES,
        loss="cauchy",
        f_scale=CAUCHY,
        xtol=1e-5,
        ftol=1e-5,
    )
    return dict(zip(fitter.NAMES, map(float, solution.x), strict=True))
