"""Processes that share tasks, and of which none outlives the one that started them."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import numba
import torch
from threadpoolctl import threadpool_limits

from maury.errors import MauryError

__all__ = ["Outcome", "do", "share"]


@dataclass(frozen=True)
class Outcome:
    """What became of a task.

    Parameters
    ----------
    task : object
        The task.
    value : object
        What the function returned; None where it failed.
    error : str or None
        Why it failed, in a sentence.
    seconds : float
        How long it took.
    """

    task: Any
    value: Any
    error: str | None
    seconds: float


def share(
    function: Callable[[Any], Any],
    tasks: Iterable[Any],
    workers: int,
    cluster: str | None = None,
) -> Iterator[Outcome]:
    """Call a function on every task, each in one of several processes with one core.

    A task that fails, or whose process dies, gives an outcome that says so, and the others go on.
    The processes end with this one however it ends, a kill included; an interrupt from the
    keyboard is for this one alone.

    Parameters
    ----------
    function
        Called with a task; it and the tasks must be fit to be sent to another process.
    tasks
        Taken in their order.
    workers
        Processes; 0 for none but this one, where no task can kill another.
    cluster
        Address of a Ray cluster whose machines take the place of the processes; see
        `maury.datasets.cluster.share_on_cluster`.

    Yields
    ------
    Outcome
        In the order in which they end.

    Raises
    ------
    MauryError
        If the processes cannot start, or there is no such cluster.
    """
    if cluster is not None:
        # Ray is an extra.
        from maury.datasets.cluster import share_on_cluster

        yield from share_on_cluster(function, tasks, cluster, workers)
        return
    if workers == 0:
        for task in tasks:
            # Sums over several threads would round otherwise than those of a worker.
            with _one_thread():
                done = do(function, task)
            yield done
        return
    waiting = deque(tasks)
    crew: list[_Worker] = []
    try:
        for _ in range(min(workers, len(waiting))):
            crew.append(_Worker(function))
        while crew:
            ready = wait([worker.connection for worker in crew])
            for worker in [one for one in crew if one.connection in ready]:
                outcome: Outcome | None
                try:
                    outcome = worker.connection.recv()
                except (EOFError, OSError):
                    outcome = worker.lost()
                    crew.remove(worker)
                    if waiting:
                        crew.append(_Worker(function))
                else:
                    worker.ready = True
                    if waiting:
                        worker.give(waiting.popleft())
                    else:
                        crew.remove(worker)
                        worker.end()
                if outcome is not None:
                    yield outcome
    finally:
        for worker in crew:
            worker.end()


class _Worker:
    """One process, and the task that it is at."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        context = get_context("spawn")
        # Only the process at the other end holds that end: it closes with it, and this with us.
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, function), daemon=True)
        self.ready = False
        self.task: Any = None
        self.since = time.perf_counter()
        with _deaf_to_interrupts():
            self.process.start()
        theirs.close()

    def end(self) -> None:
        self.connection.close()
        self.process.terminate()
        self.process.join()

    def give(self, task: Any) -> None:
        self.task, self.since = task, time.perf_counter()
        # A process that is gone is noticed when its answer is read.
        with suppress(OSError):
            self.connection.send(task)

    def lost(self) -> Outcome:
        self.connection.close()
        self.process.join()
        code = self.process.exitcode
        if not self.ready:
            raise MauryError(f"The worker processes cannot start (exit code {code}).")
        why = "killed, most likely for memory" if code == -signal.SIGKILL else f"exit code {code}"
        error = f"The process that was at it ended ({why})."
        return Outcome(self.task, None, error, time.perf_counter() - self.since)


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """What starts meanwhile leaves Ctrl-C, which the terminal sends to all, to its parent."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _one_thread() -> Iterator[None]:
    """One core for numba, torch and what they call."""
    threads = numba.get_num_threads(), torch.get_num_threads()
    numba.set_num_threads(1)
    torch.set_num_threads(1)
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        numba.set_num_threads(threads[0])
        torch.set_num_threads(threads[1])


def _work(connection: Connection, function: Callable[[Any], Any]) -> None:
    """What a process does: say that it is ready, then answer one task after the other."""
    parent = parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    try:
        # One core a process: their threads would only wait for one another.
        with _one_thread():
            connection.send(None)
            while True:
                connection.send(do(function, connection.recv()))
    except (EOFError, OSError):
        # The one that gave the tasks is gone.
        return


def _end_with(parent: BaseProcess) -> None:
    """What a process that is alone still wrote could replace what a successor has written."""
    parent.join()
    os._exit(1)


def do(function: Callable[[Any], Any], task: Any) -> Outcome:
    """Call a function on a task, and say what became of it.

    Examples
    --------
    >>> do(len, "four").value, do(len, 4).error
    (4, "TypeError: object of type 'int' has no len()")
    """
    start = time.perf_counter()
    value, error = None, None
    try:
        value = function(task)
    except MauryError as mistake:
        error = str(mistake)
    except Exception as mistake:
        error = f"{type(mistake).__name__}: {mistake}"
    return Outcome(task, value, error, time.perf_counter() - start)
