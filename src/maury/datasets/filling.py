"""Filling a `SpectrumStore`: by several processes at once, and so that no kill costs much."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zarr
from filelock import FileLock, Timeout
from fsspec.implementations.local import LocalFileSystem
from numpy.typing import NDArray

from maury.datasets.refusals import (
    LOCK,
    refuse_other_contents,
    refuse_other_rows,
    refuse_other_settings,
)
from maury.datasets.shards import PARTIAL, Shards
from maury.datasets.store import (
    CATALOGUE,
    FORMAT,
    FORMAT_VERSION,
    JOURNAL,
    SETTINGS,
    SPECTRA,
    SpectrumStore,
    checksum,
    read_catalogue,
)
from maury.datasets.workers import share
from maury.errors import MauryError, TargetError
from maury.grid import WavelengthGrid
from maury.spectrum import Frame

__all__ = ["Compute", "Row", "fill"]

Row = Mapping[str, Any]
"""What is known of a spectrum: values of the catalogue's columns."""

Compute = Callable[[Row], tuple[NDArray[np.float32], Row]]
"""From a planned row to the flux, float32[pixel], and values of further columns."""

STANDARD = [
    ("index", pa.int64()),
    ("status", pa.string()),
    ("error", pa.string()),
    ("checksum", pa.int64()),
]


def fill(
    path: str | Path,
    *,
    settings: Mapping[str, Any],
    grid: WavelengthGrid,
    frame: Frame,
    columns: pa.Schema,
    rows: Sequence[Row | None],
    compute: Compute,
    shard: int = 16,
    workers: int = 1,
    cluster: str | None = None,
    prepare: Callable[[list[Row]], object] | None = None,
    report: Callable[[int, int], object] | None = None,
) -> SpectrumStore:
    """Compute the spectra that a store lacks, and make it where there is none.

    A shard, which is one file of several spectra, is the unit of work: a process computes its
    spectra and writes the file, which is there whole or not at all; only then do their rows go to
    a journal, which is folded into the catalogue at the end or when the work is taken up again.
    So a kill at any moment costs no more than the shards in work, and the finished store has the
    same bytes however often it was stopped and however many processes there were.

    Parameters
    ----------
    path
        A local folder.
    settings
        All that the spectra depend on, as plain values; a store with other ones is refused.
        ``kind`` names what they are and ``unit`` the unit of the flux (None for a relative one).
        Leave out how many there are, where a store may grow.
    grid, frame
        Wavelengths of all spectra.
    columns
        Names and types of the catalogue's columns beside index, status, error and checksum.
    rows
        What is planned, by index. A store with fewer spectra grows, if those that it has are
        planned as they are. None leaves a spectrum alone, whether it is there or not.
    compute
        Called with a planned row, in another process unless ``workers`` is 0, and so fit to be
        sent there: heavy things are best set up at the first call and kept. Any error that it
        raises becomes its row's; the others go on.
    shard
        Spectra a file; part of the settings. 1 where a spectrum takes seconds.
    workers
        Processes, each on one core; 0 for none but this one. A script that has processes needs
        the usual ``if __name__ == "__main__":``.
    cluster
        As of `maury.datasets.workers.share`.
    prepare
        Called before the first with the rows that are to be computed.
    report
        Called with the number of planned spectra that are settled and that of all: at the start
        and after each shard.

    Returns
    -------
    SpectrumStore
        A spectrum that could not be computed has its reason in the catalogue; it is tried again
        the next time.

    Raises
    ------
    TargetError
        If the store belongs to other settings or other rows, the folder holds something else, or
        another process fills it.
    MauryError
        If it cannot be written, or the processes cannot start. What it has stays readable.
    """
    if "://" in str(path):
        raise TargetError(f"{path} is a URL; fill a local folder, and copy it there.")
    content = {**settings, "grid": grid.to_dict(), "frame": frame, "shard": shard}
    schema = pa.schema([*STANDARD, *columns])
    with _Writer(Path(path), content, grid, schema, len(rows)) as writer:
        tasks = writer.tasks(rows)
        missing = [row for task in tasks for row in task.rows.values()]
        if prepare is not None and missing:
            prepare(missing)
        planned = sum(row is not None for row in rows)
        settled = planned - len(missing)
        if report is not None:
            report(settled, planned)
        work = _Work(Path(path), writer.shards, compute)
        for outcome in share(work, tasks, workers, cluster):
            if outcome.error is not None:
                lost = outcome.task.rows.items()
                writer.add([_failure(index, row, outcome.error) for index, row in lost])
            elif isinstance(outcome.value, _Unwritable):
                raise MauryError(outcome.value.sentence)
            else:
                writer.add(outcome.value)
            settled += len(outcome.task.rows)
            if report is not None:
                report(settled, planned)
    return SpectrumStore(path)


@dataclass(frozen=True)
class _Task:
    """A shard, the rows to compute by index, and the indices that it has already."""

    shard: int
    rows: dict[int, Row]
    kept: list[int]


@dataclass(frozen=True)
class _Unwritable:
    """The disk takes no more: not the fault of the spectra."""

    sentence: str


@dataclass(frozen=True)
class _Work:
    """What a process does with a task: compute, write, and tell the rows."""

    path: Path
    shards: Shards
    compute: Compute

    def __call__(self, task: _Task) -> list[Row] | _Unwritable:
        block: list[NDArray[np.float32] | None] = [None] * self.shards.size
        first = task.shard * self.shards.size
        rows = []
        for index, planned in task.rows.items():
            try:
                flux, found = self._computed(planned)
            except MauryError as error:
                rows.append(_failure(index, planned, str(error)))
            except Exception as error:
                rows.append(_failure(index, planned, f"{type(error).__name__}: {error}"))
            else:
                block[index - first] = flux
                facts = {"index": index, "status": "done", "error": None}
                rows.append({**planned, **found, **facts, "checksum": checksum(flux)})
        if any(flux is not None for flux in block):
            for index in task.kept:
                flux = np.empty((1, self.shards.pixels), np.float32)
                self.shards.read([index], flux)
                block[index - first] = flux[0]
            try:
                self.shards.write(task.shard, block)
            except OSError as error:
                return _Unwritable(_cannot_write(self.path, error))
        return rows

    def _computed(self, row: Row) -> tuple[NDArray[np.float32], Row]:
        flux, found = self.compute(row)
        flux = np.asarray(flux, dtype=np.float32)
        if flux.shape != (self.shards.pixels,):
            raise MauryError(f"It has the shape {flux.shape}, not {(self.shards.pixels,)}.")
        # Zarr reads a spectrum that is missing as NaN.
        if not np.isfinite(flux).any():
            raise MauryError("Its flux is finite nowhere.")
        return flux, found


def _failure(index: int, planned: Row, error: str) -> Row:
    return {**planned, "index": index, "status": "failed", "error": error, "checksum": None}


class _Writer:
    """The one process that may change a store: it alone makes it, and writes its rows."""

    def __init__(
        self, path: Path, settings: Row, grid: WavelengthGrid, schema: pa.Schema, size: int
    ) -> None:
        self.path = path
        self.settings = {"format": FORMAT, "format_version": FORMAT_VERSION, **settings}
        self.grid, self.schema, self.size = grid, schema, size
        array = path.absolute() / SPECTRA / "flux"
        self.shards = Shards(LocalFileSystem(), str(array), settings["shard"], grid.size)

    def __enter__(self) -> _Writer:
        refuse_other_contents(self.path)
        with _writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.path / LOCK, timeout=0)
            try:
                self._lock.acquire()
            except Timeout:
                raise TargetError(f"Another process is filling {self.path}.") from None
        try:
            with _writing(self.path):
                self._open()
        except BaseException:
            self._lock.release()
            raise
        return self

    def _open(self) -> None:
        if (self.path / SETTINGS).exists():
            store = SpectrumStore(self.path)
            refuse_other_settings(self.path, store.settings, self.settings)
            if not store.catalogue.schema.equals(self.schema):
                raise TargetError(f"{self.path} was begun with other columns: take another folder.")
            if len(store) > self.size:
                raise TargetError(
                    f"{self.path} is for {len(store):,} spectra, not {self.size:,}: give no fewer, "
                    "or another folder."
                )
        else:
            _create_array(self.path / SPECTRA, self.grid, self.settings)
            self._write_catalogue(self.schema.empty_table())
            text = json.dumps(self.settings, indent=2) + "\n"
            _replace(self.path / SETTINGS, text.encode())
        for leftover in self.path.rglob(f"*{PARTIAL}"):
            leftover.unlink(missing_ok=True)
        self._fold()
        self._journal = (self.path / JOURNAL).open("a", encoding="utf-8")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            with _writing(self.path):
                self._journal.close()
                self._fold()
        except MauryError:
            # The journal stays, and nothing is lost; what went wrong first is what counts.
            if error is None:
                raise
        finally:
            self._lock.release()

    def tasks(self, rows: Sequence[Row | None]) -> list[_Task]:
        """What is to be done; the array is made large enough for it."""
        catalogue = self._catalogue()
        done = self._done(catalogue)
        refuse_other_rows(self.path, catalogue, done, rows)
        array = zarr.open_array(self.path / SPECTRA, path="flux", mode="r+")
        if array.shape[0] < len(rows):
            with _writing(self.path):
                array.resize((len(rows), self.grid.size))
        size, tasks = self.shards.size, []
        for shard, first in enumerate(range(0, len(rows), size)):
            indices = range(first, min(first + size, len(rows)))
            missing = {i: row for i in indices if (row := rows[i]) is not None and i not in done}
            if missing:
                tasks.append(_Task(shard, missing, [i for i in indices if i in done]))
        return tasks

    def _done(self, catalogue: pa.Table) -> set[int]:
        """Of which there are a row and the spectrum: a crash of the machine may lose the latter."""
        found = zip(catalogue["index"].to_pylist(), catalogue["status"].to_pylist(), strict=True)
        indices = [index for index, status in found if status == "done"]
        shards = {index // self.shards.size for index in indices}
        present = {shard: self.shards.present(shard) for shard in shards}
        return {i for i in indices if present[i // self.shards.size][i % self.shards.size]}

    def add(self, rows: Sequence[Row]) -> None:
        """Note what became of spectra; those that are done are on the disk."""
        names = self.schema.names
        lines = [
            json.dumps({name: row.get(name) for name in names}, default=_plain) for row in rows
        ]
        with _writing(self.path):
            self._journal.write("".join(line + "\n" for line in lines))
            self._journal.flush()

    def _catalogue(self) -> pa.Table:
        return read_catalogue(LocalFileSystem(), str(self.path.absolute()), str(self.path))

    def _fold(self) -> None:
        """Bring the journal's rows into the catalogue."""
        if (self.path / JOURNAL).exists():
            self._write_catalogue(self._catalogue())
            # A kill before this leaves the rows in both places, which does no harm.
            (self.path / JOURNAL).unlink()

    def _write_catalogue(self, table: pa.Table) -> None:
        buffer = pa.BufferOutputStream()
        pq.write_table(table, buffer)
        _replace(self.path / CATALOGUE, buffer.getvalue().to_pybytes())


def _create_array(path: Path, grid: WavelengthGrid, settings: Row) -> None:
    group = zarr.open_group(path, mode="w", zarr_format=3)
    group.create_array(
        "wavelength",
        data=grid.wavelength,
        dimension_names=("pixel",),
        attributes={"unit": "Angstrom", "medium": grid.medium, "frame": settings["frame"]},
    )
    group.create_array(
        "flux",
        shape=(0, grid.size),
        chunks=(1, grid.size),
        shards=(settings["shard"], grid.size),
        # Noise does not compress.
        compressors=None,
        dtype=np.float32,
        fill_value=np.nan,
        dimension_names=("spectrum", "pixel"),
        attributes={"unit": settings["unit"]},
    )


def _plain(value: Any) -> Any:
    """A NumPy number as JSON has it."""
    return value.item()


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turn a disk that is full or read-only into a sentence."""
    try:
        yield
    except OSError as error:
        raise MauryError(_cannot_write(path, error)) from None


def _cannot_write(path: Path, error: OSError) -> str:
    return f"{path} cannot be written ({error.strerror or error})."


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
