"""How the speed of networks is measured: turn about, on a CPU's core or a GPU."""

from __future__ import annotations

import contextlib
import platform
import time
from collections.abc import Callable, Generator, Mapping
from statistics import median

import torch
from jaxtyping import Float
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from maury.errors import MauryError
from maury.grid import WavelengthGrid
from maury.labels import HARPS_LABELS, Normalizer
from maury.models.network import Network
from maury.models.zoo import build

__all__ = [
    "bandwidth",
    "checked_device",
    "describe_device",
    "medians",
    "one_thread",
    "traffic",
    "untrained",
]

COPIED = 2**30  # bytes, to measure a memory's bandwidth


def untrained(name: str, grid: WavelengthGrid) -> Network:
    """A named model with random weights, which are as fast as others."""
    count = len(HARPS_LABELS)
    normalizer = Normalizer((0.0,) * count, (1.0,) * count, HARPS_LABELS.names)
    torch.manual_seed(0)
    return build(name, grid=grid, labels=HARPS_LABELS, normalizer=normalizer)


def checked_device(name: str) -> torch.device:
    """The device "cpu" or "cuda"; raises MauryError if it is not there, or called otherwise."""
    if name not in ("cpu", "cuda"):
        raise MauryError(f"No device is called {name!r}; there are cpu and cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise MauryError("The device 'cuda' is not there: PyTorch finds no GPU on this machine.")
    return torch.device(name)


def describe_device(device: torch.device) -> str:
    """What speeds were measured on, and how."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, by its events, torch {torch.__version__}"
    return f"one thread, processor time, {platform.machine()}, torch {torch.__version__}"


@contextlib.contextmanager
def one_thread() -> Generator[None, None, None]:
    """One thread for PyTorch and the libraries below it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        torch.set_num_threads(before)


def medians(
    sides: Mapping[str, Callable[[], object]], repeats: int, device: torch.device
) -> dict[str, float]:
    """Median seconds of each side, which take turns; on a CPU of processor time."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, work in sides.items():
            times[name].append(_seconds(work, device))
    return {name: median(values) for name, values in times.items()}


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    if device.type == "cpu":
        began = time.process_time()
        work()
        return time.process_time() - began
    start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    work()
    stop.record()
    stop.synchronize()
    return 1e-3 * float(start.elapsed_time(stop))


def bandwidth(device: torch.device) -> float:
    """Bytes that a device's memory reads and writes in a second, by a large copy."""
    source = torch.empty(COPIED, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    target.copy_(source)
    seconds = medians({"copy": lambda: target.copy_(source)}, 5, device)["copy"]
    return 2 * COPIED / seconds


def traffic(part: nn.Module, inputs: Float[Tensor, "batch input"]) -> int:
    """Bytes that the layers of an encoder or decoder read and write, had they nothing between.

    That is the least for one layer after the other: inputs, weights and outputs of convolutions
    and matrix products, in the precision that they have here. Norms and activations are not in it.

    Examples
    --------
    >>> traffic(nn.Linear(3, 5, bias=False), torch.zeros(2, 3)) // 4  # 2 x 3, 3 x 5 and 2 x 5
    31
    """
    mode = _Traffic()
    with torch.no_grad(), mode:
        part(inputs)
    return mode.bytes


class _Traffic(TorchDispatchMode):
    LAYERS = (
        torch.ops.aten.convolution,
        torch.ops.aten.mm,
        torch.ops.aten.addmm,
    )

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if function.overloadpacket in self.LAYERS:
            tensors = [value for value in (*args, result) if isinstance(value, Tensor)]
            self.bytes += sum(tensor.nbytes for tensor in tensors)
        return result
