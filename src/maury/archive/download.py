"""Many files from ESO's archive into a folder: several at once, and so that no kill costs much."""

from __future__ import annotations

import json
import os
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from filelock import FileLock, Timeout

from maury.archive import manifest
from maury.archive.login import Login
from maury.archive.services import Services
from maury.archive.session import ArchiveSession
from maury.archive.transfer import (
    Outcome,
    Product,
    Transfer,
    UnwritableError,
    digest,
)
from maury.errors import ArchiveError, MauryError, TargetError

__all__ = ["MOST_WORKERS", "Progress", "download"]

MOST_WORKERS = 10
"""ESO names no limit; its own scripts get one file at a time. More would not be fair."""

LOCK = ".lock"
AWAY = 10  # files one after another that the service fails to send, before all is stopped
PATIENCE = 3.0  # seconds that files under way have to stop


@dataclass(frozen=True)
class Progress:
    """How far it is.

    Parameters
    ----------
    files, bytes : int
        That are here, of those that are asked for.
    all_files, all_bytes : int
        That are asked for; the latter as the archive estimates it.
    failed : int
        Files that did not come.
    before : int
        Files that were here before.
    """

    files: int
    bytes: int
    all_files: int
    all_bytes: int
    failed: int
    before: int


def download(
    wanted: pa.Table | None,
    folder: str | Path,
    services: Services,
    session: ArchiveSession,
    *,
    workers: int = 4,
    user: str | None = None,
    verify: bool = False,
    pause: float = 1.0,
    report: Callable[[Progress], object] | None = None,
) -> pa.Table:
    """Fetch files, and keep a manifest of them.

    The folder then has the files in ``spectra``, and ``manifest.parquet``. What became of a file is
    noted in a journal when the file is whole, on the disk; a kill at any moment loses no file that
    is done, and only what the archive cannot send a part of is fetched twice.

    Parameters
    ----------
    wanted
        A manifest of what is asked for; products that the folder's own does not have are added to
        it. None for all that the folder's has.
    folder
        Made where it is missing.
    services, session
        Where the files are, and by which session.
    workers
        Files at once, up to `MOST_WORKERS`.
    user
        Of ESO's portal, with a password in the keyring, for what is proprietary.
    verify
        Whether files that are here are read and compared with their SHA-256, and not only their
        sizes.
    pause
        Seconds before a second attempt at a file.
    report
        Called some times a second, and at the end.

    Returns
    -------
    pyarrow.Table
        The manifest of what is asked for, with the state of each.

    Raises
    ------
    TargetError
        If the folder cannot be one, or another process is filling it.
    MauryError
        If it cannot be written, or is full.
    ArchiveError
        If logging in fails, or one file after the other. What is here stays, and so in the next
        two cases.
    KeyboardInterrupt
        If it is interrupted; the same call goes on.
    """
    if not 1 <= workers <= MOST_WORKERS:
        raise TargetError(f"{workers} files at once are not fetched; 1 to {MOST_WORKERS} are.")
    if wanted is not None:
        wanted = manifest.check(wanted, "What is asked for")
    login = None if user is None else Login(user, services, session)
    with _Ledger(Path(folder)) as ledger:
        table = ledger.add(wanted)
        state = _State(table, ledger, report)
        sizes = _sizes(ledger.spectra)
        missing = list(_missing(table, ledger.spectra, sizes, verify, state))
        if missing:
            stop = threading.Event()
            transfer = Transfer(
                ledger.spectra,
                services,
                session,
                login=login,
                pause=pause,
                progress=state.came,
                stop=stop,
            )
            missing = [product for product in missing if not state.adopt(transfer, product, sizes)]
            _share(transfer, missing, workers, stop, state)
        state.tell()
        return ledger.select(table)


class _Ledger:
    """The manifest of a folder and its journal, for one process at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.spectra = folder, folder / manifest.SPECTRA

    def __enter__(self) -> _Ledger:
        try:
            self.spectra.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.folder / LOCK, timeout=0)
            self._lock.acquire()
        except Timeout:
            raise TargetError(f"Another process is filling {self.folder}.") from None
        except OSError as error:
            raise TargetError(f"{self.folder} cannot be used ({error.strerror}).") from None
        try:
            self._table = manifest.MANIFEST.empty_table()
            if (self.folder / manifest.NAME).exists():
                self._table = manifest.read(self.folder)
            self._states: dict[str, dict[str, Any]] = {}
            self._fold()
            self._journal = (self.folder / manifest.JOURNAL).open("a", encoding="utf-8")
        except OSError as error:
            self._lock.release()
            raise TargetError(f"{self.folder} cannot be used ({error.strerror}).") from None
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._journal.close()
            self._fold()
        except (OSError, MauryError):
            # The journal stays, and nothing is lost; what went wrong first is what counts.
            if error is None:
                raise
        finally:
            self._lock.release()

    def add(self, wanted: pa.Table | None) -> pa.Table:
        """The rows that are asked for, as they are known now."""
        if wanted is None:
            return self._table
        self._table = manifest.merge(self._table, wanted)
        manifest.write(self._table, self.folder / manifest.NAME)
        return self.select(wanted)

    def select(self, wanted: pa.Table) -> pa.Table:
        """The same products as they are known now."""
        self._table = manifest.update(self._table, list(self._states.values()))
        self._states.clear()
        return self._table.filter(pc.is_in(self._table["dp_id"], wanted["dp_id"].combine_chunks()))

    def note(self, outcome: Outcome) -> None:
        """Keep what became of a product, before anything else is done."""
        self._states[outcome.state["dp_id"]] = outcome.state
        try:
            self._journal.write(json.dumps(outcome.state) + "\n")
            self._journal.flush()
        except OSError as error:
            raise UnwritableError(
                f"{self.folder / manifest.JOURNAL} cannot be written ({error.strerror})."
            ) from None

    def _fold(self) -> None:
        """Bring the journal's lines into the manifest."""
        journal = self.folder / manifest.JOURNAL
        if journal.exists():
            self._table = manifest.update(self._table, list(self._states.values()))
            manifest.write(self._table, self.folder / manifest.NAME)
            # A kill before this leaves the lines in both places, which does no harm.
            journal.unlink()


class _State:
    """Counts what has come, and tells of it."""

    def __init__(
        self, table: pa.Table, ledger: _Ledger, report: Callable[[Progress], object] | None
    ) -> None:
        self._ledger, self._report = ledger, report
        self._lock = threading.Lock()
        self._files, self._bytes, self._failed, self._before = 0, 0, 0, 0
        self._all_files = len(table)
        self._all_bytes = pc.sum(table["estimated_bytes"]).as_py() or 0
        self._away: list[str] = []

    def came(self, count: int) -> None:
        """Some bytes, from any thread."""
        with self._lock:
            self._bytes += count

    def here(self, size: int) -> None:
        """A file that was here before."""
        self._files += 1
        self._before += 1
        self.came(size)

    def gone(self, dp_id: str) -> None:
        """A file that was here is no more."""
        nothing = dict.fromkeys(manifest.STATE)
        self._ledger.note(Outcome({"dp_id": dp_id, **nothing, "status": "listed"}))

    def adopt(self, transfer: Transfer, product: Product, sizes: Mapping[str, int]) -> bool:
        """Whether a file is here of which nothing is noted."""
        for name in {product.name, f"{product.name}.gz"} & sizes.keys():
            path = transfer.folder / name
            if path.is_file() and (outcome := transfer.adopt(path, product)) is not None:
                self._ledger.note(outcome)
                self.here(outcome.state["bytes"])
                self.tell()
                return True
        return False

    def ended(self, outcome: Outcome) -> None:
        """A file came, or did not.

        Raises
        ------
        ArchiveError
            If one file after the other fails because of the service.
        """
        self._ledger.note(outcome)
        done = outcome.state["status"] == "done"
        self._files += done
        self._failed += not done
        self._away = [*self._away, outcome.state["error"]] if outcome.away else []
        if len(self._away) == AWAY:
            raise ArchiveError(
                f"{self._away[-1].rstrip('.')}, and so {AWAY} times in a row; the same command "
                "goes on later."
            )

    def tell(self) -> None:
        """Report."""
        if self._report is not None:
            with self._lock:
                came = self._bytes
            self._report(
                Progress(
                    files=self._files,
                    bytes=came,
                    all_files=self._all_files,
                    all_bytes=max(self._all_bytes, came),
                    failed=self._failed,
                    before=self._before,
                )
            )


def _sizes(folder: Path) -> dict[str, int]:
    """Bytes of each file of a folder: one listing is quicker than a question for each of many."""
    with os.scandir(folder) as entries:
        return {entry.name: entry.stat().st_size for entry in entries}


def _missing(
    table: pa.Table, folder: Path, sizes: Mapping[str, int], verify: bool, state: _State
) -> Iterator[Product]:
    """What is asked for and not here, or not as it was when it came."""
    columns = ("dp_id", "estimated_bytes", "release_date", "status", "file", "bytes", "sha256")
    for row in table.select(columns).to_pylist():
        name, size = row["file"], row["bytes"]
        here = row["status"] == "done" and name in sizes and sizes[name] == size
        if here and verify:
            here = digest(folder / name) == row["sha256"]
            state.tell()
        if here:
            state.here(size)
            continue
        if row["status"] == "done":
            if name in sizes:
                # It is not what it was; else it would be taken for one that is whole.
                (folder / name).unlink(missing_ok=True)
            state.gone(row["dp_id"])
        yield Product(row["dp_id"], row["estimated_bytes"], row["release_date"])


def _share(
    transfer: Transfer,
    products: list[Product],
    workers: int,
    stop: threading.Event,
    state: _State,
) -> None:
    """Let several threads fetch files, and note here what becomes of each."""
    tasks: queue.SimpleQueue[Product] = queue.SimpleQueue()
    results: queue.SimpleQueue[Outcome | BaseException] = queue.SimpleQueue()
    for product in products:
        tasks.put(product)

    def work() -> None:
        while not stop.is_set():
            try:
                results.put(transfer.fetch(tasks.get_nowait()))
            except queue.Empty:
                return
            except BaseException as error:
                results.put(error)
                return

    # Such threads do not keep the process from ending while a silent service is waited for.
    threads = [threading.Thread(target=work, daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    try:
        for _ in products:
            state.ended(_next(results, state))
    finally:
        stop.set()
        for thread in threads:
            thread.join(PATIENCE / workers)
        _keep(results, state)


def _next(results: queue.SimpleQueue[Outcome | BaseException], state: _State) -> Outcome:
    while True:
        state.tell()
        try:
            result = results.get(timeout=0.2)
        except queue.Empty:
            continue
        if isinstance(result, OSError):
            raise UnwritableError(f"{result.filename} cannot be used ({result.strerror}).")
        if isinstance(result, BaseException):
            raise result
        return result


def _keep(results: queue.SimpleQueue[Outcome | BaseException], state: _State) -> None:
    """Note the files that came while all was being stopped."""
    # What went wrong first is what counts.
    with suppress(queue.Empty, MauryError):
        while True:
            result = results.get_nowait()
            if isinstance(result, Outcome) and not result.away:
                state.ended(result)
