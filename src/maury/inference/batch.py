"""Many files at once: one bad file does not stop the others, and several processes share them."""

from __future__ import annotations

import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numba
import torch
from threadpoolctl import threadpool_limits

from maury.errors import MauryError
from maury.grid import Medium
from maury.inference.prediction import Prediction
from maury.inference.predictor import Predictor, load, sentence
from maury.readers import read
from maury.spectrum import Frame

__all__ = ["Job", "predict_files"]


@dataclass(frozen=True)
class Job:
    """How files are to be predicted; see `predict_files`.

    Parameters
    ----------
    model : str, optional
        Name or card of the network.
    refine : bool
        Fit the computed spectra, or give the network's answer as it is.
    plots : Path, optional
        Folder for one figure a spectrum.
    medium, frame : str, optional
        Of the wavelengths, where known better than by the files.
    resolving_power : float, optional
        Of the spectra, where known better than by the files.
    debug : bool
        Print the traceback of what is no user's mistake.
    """

    model: str | None = None
    refine: bool = True
    plots: Path | None = None
    medium: Medium | None = None
    frame: Frame | None = None
    resolving_power: float | None = None
    debug: bool = False


def predict_files(
    paths: Sequence[str], job: Job, *, workers: int = 1, predictor: Predictor | None = None
) -> Iterator[Prediction]:
    """Predict files in their order; one that cannot be used gives a prediction with an error.

    Parameters
    ----------
    paths : sequence of str
        The files.
    job : Job
        What to do with each.
    workers : int
        Processes that share the files, each on one core.
    predictor : Predictor, optional
        Already loaded; only one process can use it.

    Raises
    ------
    MauryError
        If the network cannot be loaded, the folder for the figures cannot be made, or a process
        was killed.
    """
    if job.plots is not None:
        try:
            job.plots.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MauryError(f"The folder {job.plots} cannot be made ({error.strerror}).") from None
    tasks = list(zip(paths, _figure_names(paths), strict=True))
    workers = min(workers, len(tasks))
    if predictor is not None or workers <= 1:
        predictor = predictor or load(job.model, resolving_power=job.resolving_power)
        for path, figure in tasks:
            yield _predict_file(predictor, job, path, figure)
        return
    # Weights that cannot be used are told once, and before any process starts.
    load(job.model, resolving_power=job.resolving_power)
    context = get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start_worker, (job,)) as pool:
        try:
            yield from pool.map(_work, tasks)
        except BrokenProcessPool as error:
            raise MauryError(
                "A worker process was killed, most likely for memory; use fewer --workers."
            ) from error


_worker: tuple[Predictor, Job]


def _start_worker(job: Job) -> None:
    global _worker
    # One core a process: their threads would only wait for one another.
    torch.set_num_threads(1)
    threadpool_limits(limits=1)
    numba.set_num_threads(1)
    _worker = (load(job.model, resolving_power=job.resolving_power), job)


def _work(task: tuple[str, str]) -> Prediction:
    # The fit holds a model of 100,000 pixels that the parent process has no use for.
    return replace(_predict_file(*_worker, *task), fit=None)


def _predict_file(predictor: Predictor, job: Job, path: str, figure: str) -> Prediction:
    prediction = Prediction(path)
    try:
        start = time.perf_counter()
        spectrum = read(path, medium=job.medium, frame=job.frame)
        seconds = {"read": time.perf_counter() - start}
        found = predictor.examine(spectrum, refine=job.refine)
        prediction = replace(found, file=path, seconds=seconds | dict(found.seconds))
        if job.plots is not None:
            # Imported late: it brings matplotlib and the compiled synthesis.
            from maury.inference.figures import plot_prediction

            plot_prediction(spectrum, prediction, predictor, job.plots / figure)
    except MauryError as error:
        return replace(prediction, error=sentence(path, error))
    except Exception as error:
        if job.debug:
            traceback.print_exc(file=sys.stderr)
        reason = str(error).split("\n")[0] or "no message"
        return replace(
            prediction,
            error=f"{path}: an internal error of maury ({type(error).__name__}: {reason}); "
            "run with --debug to see where.",
        )
    return prediction


def _figure_names(paths: Sequence[str]) -> list[str]:
    """One file name a spectrum; files of the same name in different folders get a number.

    Examples
    --------
    >>> _figure_names(["a/sun.fits", "b/sun.fits", "star.fits"])
    ['sun.fits.png', 'sun.fits-2.png', 'star.fits.png']
    """
    seen: Counter[str] = Counter()
    names = []
    for path in paths:
        name = Path(path).name
        seen[name] += 1
        names.append(f"{name}.png" if seen[name] == 1 else f"{name}-{seen[name]}.png")
    return names
