"""Time and memory that a model takes, as Table 9 of Cvrcek et al. (2024) has them.

The peak of the memory while a model runs is not measured: it depends on the batch, and neither the
allocator of a library nor that of a GPU can be watched from here. Like the paper (Sect. 4.3), we
count parameters.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sized
from math import prod
from statistics import median
from typing import NamedTuple, Protocol, TypeVar

from maury.errors import MauryError

__all__ = ["Parameters", "count_parameters", "time_per_spectrum"]

Inputs = TypeVar("Inputs", bound=Sized)


class Parameters(NamedTuple):
    """How large a model is.

    Parameters
    ----------
    number : int
        How many parameters.
    bytes : int
        Their bytes.
    """

    number: int
    bytes: int


class _Array(Protocol):
    @property
    def shape(self) -> Iterable[int]: ...

    @property
    def nbytes(self) -> int: ...


def time_per_spectrum(
    call: Callable[[Inputs], object],
    inputs: Inputs,
    *,
    repeats: int = 3,
    warmup: int = 1,
    synchronize: Callable[[], object] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Seconds that a model takes for one spectrum: the median time of a batch over its size.

    Table 9 has batches of 32 spectra that lie in memory, on one core of a CPU or on a GPU.

    Parameters
    ----------
    call : callable
        The model.
    inputs : array, [batch, ...]
        What it is called with: spectra or nodes.
    repeats : int
        How often the batch is timed.
    warmup : int
        How often it is run before, untimed, since first calls also compile and allocate.
    synchronize : callable, optional
        Waits until all work has been done, such as `torch.cuda.synchronize`. Without it only the
        start of a GPU's work is timed.
    clock : callable
        Tells the seconds. `time.process_time` leaves out what other programs take, and is right
        for one thread of a CPU alone.

    Returns
    -------
    float
        Seconds per spectrum.

    Raises
    ------
    MauryError
        If there are no inputs, or fewer than one repeat.
    """
    if not len(inputs) or repeats < 1:
        raise MauryError(
            f"Time needs at least 1 spectrum and 1 repeat, not {len(inputs)} and {repeats}."
        )

    def finished() -> float:
        if synchronize is not None:
            synchronize()
        return clock()

    for _ in range(warmup):
        call(inputs)
    seconds = []
    for _ in range(repeats):
        began = finished()
        call(inputs)
        seconds.append(finished() - began)
    return median(seconds) / len(inputs)


def count_parameters(arrays: Iterable[_Array]) -> Parameters:
    """Number and bytes of a model's parameters.

    Parameters
    ----------
    arrays : iterable of arrays
        The weights, each once: of NumPy, PyTorch or any other library whose arrays have `shape`
        and `nbytes`.

    Examples
    --------
    >>> import numpy as np
    >>> count_parameters([np.zeros((3, 5), np.float32), np.zeros(5, np.float16)])
    Parameters(number=20, bytes=70)
    """
    sizes = [Parameters(prod(array.shape), array.nbytes) for array in arrays]
    return Parameters(sum(each.number for each in sizes), sum(each.bytes for each in sizes))
