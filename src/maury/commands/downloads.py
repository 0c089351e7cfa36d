"""What ``maury fetch`` shows: how much there is, how far it is, and what became of each file."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from maury.console import Column, Format, print_facts, print_records, print_table

if TYPE_CHECKING:
    import pyarrow as pa

    from maury.archive import download
    from maury.archive.eso import Count

__all__ = ["DownloadBar", "print_estimate", "print_files"]

RATE = 1e6
"""Bytes a second and file: ESO's archive has been seen to send 6 to 12 Mbit/s (ADACS, Set it and
forget it: automating and accelerating ESO data download, 2023)."""

SHOWN_FAILURES = 10

SHOWN = 100
"""Files that a table has at most."""


class DownloadBar:
    """A bar on standard error: files, bytes, rate and the time that is left."""

    def __init__(self) -> None:
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
        )
        self._before = 0

    def __enter__(self) -> DownloadBar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Stopping a bar that was never drawn writes an empty line.
        if self._bars.live.is_started:
            self._bars.stop()

    def report(self, progress: download.Progress) -> None:
        """Draw it."""
        what = f"{progress.files:,} of {progress.all_files:,} files"
        settled = progress.files + progress.failed == progress.all_files
        # The archive's sizes are rounded.
        total = progress.bytes if settled else progress.all_bytes or None
        self._before = progress.before
        if not self._bars.task_ids:
            # What is here already says nothing of the rate.
            self._bars.add_task(what, total=total, completed=progress.bytes)
            self._bars.start()
        task = self._bars.task_ids[0]
        self._bars.update(task, description=what, total=total, completed=progress.bytes)

    def tell(self, table: pa.Table, out: Path) -> None:
        """In a sentence, what came of it all."""
        counts = Counter(table["status"].to_pylist())
        before = self._before
        errors = [error for error in table["error"].to_pylist() if error is not None]
        typer.echo(
            f"{out}: {counts['done'] - before:,} fetched, {before:,} already there, "
            f"{counts['failed']:,} failed.",
            err=True,
        )
        for error in errors[:SHOWN_FAILURES]:
            typer.echo(error, err=True)
        if len(errors) > SHOWN_FAILURES:
            typer.echo(
                f"{len(errors) - SHOWN_FAILURES:,} more failed; see {out / 'manifest.parquet'}.",
                err=True,
            )


def print_estimate(count: Count, instrument: str, workers: int, format: Format) -> None:
    """Tell how much there is, and how long it takes at `RATE`."""
    rate = RATE * workers
    record = {
        "instrument": instrument,
        "spectra": count.products,
        "targets": count.targets,
        "gigabytes": round(count.bytes / 1e9, 3),
        "megabytes_per_second": rate / 1e6,
        "hours": round(count.bytes / rate / 3600, 2),
    }
    if format is not Format.TABLE:
        print_records([record], format)
        return
    size = decimal(count.bytes)
    time = f"{_duration(count.bytes / rate)} at {rate / 1e6:g} MB/s"
    print_facts(record | {"size": size, "time": time}, _ESTIMATE)


def _duration(seconds: float) -> str:
    for name, unit in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.0f} s"


def print_files(table: pa.Table, out: Path, format: Format) -> None:
    """Print what became of each file; of many, a table has only those that are not here.

    Parameters
    ----------
    table
        Their manifest.
    out
        Where it is.
    """
    if format is Format.TABLE and len(table) > SHOWN:
        import pyarrow.compute as pc

        table = table.filter(pc.not_equal(table["status"], "done")).slice(0, SHOWN)
    rows = zip(table.to_pylist(), _times(table), strict=True)
    records = [_record(row, time, out / "spectra") for row, time in rows]
    if format is not Format.TABLE:
        print_records(records, format)
    elif records:
        brief = [record | {"time": (record["time"] or "-")[:16]} for record in records]
        print_table(brief, _FILES)


def _times(table: pa.Table) -> list[str | None]:
    """When exposures began, UTC, to the second."""
    import numpy as np
    from astropy.time import Time

    mjd = table["mjd_start"].to_numpy(zero_copy_only=False).astype(np.float64)
    known = np.isfinite(mjd)
    texts = Time(np.where(known, mjd, 0.0), format="mjd", scale="utc").isot
    return [
        str(text)[:19] if is_known else None for text, is_known in zip(texts, known, strict=True)
    ]


def _record(row: dict[str, Any], time: str | None, folder: Path) -> dict[str, Any]:
    return {
        "product": row["dp_id"],
        "object": row["object"],
        "time": time,
        # JSON has no NaN.
        "snr": row["snr"] if row["snr"] is not None and math.isfinite(row["snr"]) else None,
        "status": row["status"],
        "file": None if row["file"] is None else str(folder / row["file"]),
        "bytes": row["bytes"],
        "error": row["error"],
    }


_ESTIMATE = (
    Column("instrument", "instrument"),
    Column("spectra", "spectra", ","),
    Column("targets", "names of targets", ","),
    Column("size", "size"),
    Column("time", "time, about"),
)

_FILES = (
    Column("product", "product"),
    Column("object", "object"),
    Column("time", "start, UTC"),
    Column("snr", "S/N", ".0f"),
    Column("status", "status"),
)
