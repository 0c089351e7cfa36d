"""Progress of work that has several stages, each with a bar of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

__all__ = ["Report", "stages"]


class Report(Protocol):
    """Told what is being made, how many are done, and of how many."""

    def __call__(self, what: str, done: int, total: int) -> None:
        """Draw it."""


@contextmanager
def stages() -> Iterator[Report]:
    """Bars on standard error, each there until its stage is done."""
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    tasks: dict[str, TaskID] = {}

    def report(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = bars.add_task(what, total=total)
            bars.start()
        bars.update(tasks[what], completed=done, total=total)
        if done >= total:
            bars.stop()
            # What is done would be drawn again with what comes next.
            bars.update(tasks[what], visible=False)

    try:
        yield report
    finally:
        # Stopping bars that were never drawn writes an empty line.
        if bars.live.is_started:
            bars.stop()
