"""The machines of a Ray cluster that share tasks, as the processes of `workers` do on one."""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numba
from threadpoolctl import threadpool_limits

from maury.datasets.workers import Outcome, do
from maury.errors import MauryError

__all__ = ["share_on_cluster"]

RETRIES = 3  # of a task whose process or machine is lost
AHEAD = 2  # tasks given out for each core, so that none waits for this process


def share_on_cluster(
    function: Callable[[Any], Any], tasks: Iterable[Any], address: str, workers: int
) -> Iterator[Outcome]:
    """Call a function on every task, each on one core of a cluster.

    A task whose process or machine is lost is done again elsewhere, up to three times; one that
    raises an error fails, and the others go on.

    Parameters
    ----------
    function
        Called with a task; it must be one that can be imported on all the machines, where this
        package is installed too.
    tasks
        Given out in their order.
    address
        ``"ray://HOST:PORT"``; or ``"local"``: a cluster on this machine, which ends with the tasks.
    workers
        Cores of a local cluster; another one's are taken as they are.

    Yields
    ------
    Outcome
        In the order in which they end.

    Raises
    ------
    MauryError
        If Ray is not installed, the address is none, or there is no cluster.
    """
    waiting = deque(tasks)
    if not waiting:
        return
    with _connected(address, workers) as ray:
        at_work: dict[Any, tuple[Any, float]] = {}
        remote = ray.remote(num_cpus=1, max_retries=RETRIES)(_on_one_core)
        # Sent once, not with each task.
        shared = ray.put(function)
        most = AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
        try:
            while waiting or at_work:
                while waiting and len(at_work) < most:
                    task = waiting.popleft()
                    at_work[remote.remote(shared, task)] = task, time.perf_counter()
                ended, _ = ray.wait(list(at_work))
                for reference in ended:
                    task, since = at_work.pop(reference)
                    try:
                        yield ray.get(reference)
                    except ray.exceptions.RayError as error:
                        lost = f"The machines that were at it were lost ({_first_line(error)})."
                        yield Outcome(task, None, lost, time.perf_counter() - since)
        finally:
            for reference in at_work:
                ray.cancel(reference, force=True)


def _on_one_core(function: Callable[[Any], Any], task: Any) -> Outcome:
    numba.set_num_threads(1)
    with threadpool_limits(limits=1):
        return do(function, task)


@contextmanager
def _connected(address: str, workers: int) -> Iterator[Any]:
    """Ray, connected to the cluster."""
    if address != "local" and not address.startswith("ray://"):
        raise MauryError(f"The cluster {address!r} is neither 'local' nor 'ray://HOST:PORT'.")
    # A cluster of our own on this machine is nothing to report to anybody.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    logging.getLogger("ray").setLevel(logging.ERROR)
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":
        options |= {"num_cpus": max(1, workers), "include_dashboard": False}
    try:
        import ray

        ray.init(address=address, **options)
    except ImportError as error:
        raise MauryError(
            f"A cluster needs Ray ({_first_line(error)}): pip install 'maury[cluster]'."
        ) from None
    except Exception as error:
        # Ray raises many kinds, its own and those of gRPC among them.
        raise MauryError(
            f"The cluster {address} cannot be reached ({_first_line(error)})."
        ) from None
    try:
        yield ray
    finally:
        ray.shutdown()


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".:") if lines else type(error).__name__
