"""Real spectra from files into a store, and a report of what became of each file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from maury.datasets.duplicates import note_duplicates
from maury.datasets.filling import Row, fill
from maury.datasets.label_table import LabelTable
from maury.datasets.observed import COLUMNS, Exposure
from maury.datasets.store import SETTINGS, SpectrumStore
from maury.errors import TargetError
from maury.grid import HARPS, Medium, WavelengthGrid
from maury.spectrum import Frame

__all__ = ["Ingested", "ingest"]

SHARD = 16


@dataclass(frozen=True)
class Ingested:
    """What became of a file.

    Parameters
    ----------
    file : str
        As it was named.
    status : {"done", "skipped", "failed"}
        ``"skipped"`` where a spectrum with the same bytes was in the store before it.
    index : int
        Number of its spectrum, or of the place that is kept for it.
    star : str or None
        By its header.
    flags : tuple of str
        Some of `maury.datasets.observed.FLAGS`.
    error : str or None
        Why it failed, in a sentence.
    """

    file: str
    status: Literal["done", "skipped", "failed"]
    index: int
    star: str | None = None
    flags: tuple[str, ...] = ()
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "flags": list(self.flags)}


def ingest(
    files: Sequence[str | Path],
    out: str | Path,
    *,
    grid: WavelengthGrid = HARPS,
    instrument: str | None = "HARPS",
    labels: LabelTable | None = None,
    medium: Medium | None = None,
    frame: Frame | None = None,
    workers: int = 0,
    cluster: str | None = None,
    report: Callable[[int, int], object] | None = None,
) -> list[Ingested]:
    """Bring observed spectra onto a grid and keep them in a store.

    Each is read, masked where its file shows that it is bad, brought to the barycentric frame and
    the grid's medium, resampled where its pixels are not the grid's, and divided by its median
    over good pixels (Eq. 2 of Cvrcek et al. 2024). Files that cannot be used, and those of lamps,
    keep an empty place, and are tried again when they are named again. What is wrong with the
    others is noted in their flags. Stopped at any time, the same call goes on.

    Parameters
    ----------
    files
        FITS or text, as `maury.read` takes them.
    out
        Folder of the store; made where it is missing. Files that it has (by their bytes) are
        passed over, others are added.
    grid
        The wavelengths of the store.
    instrument
        What a header must name, if it names any; None for whatever it is.
    labels
        What is known of the stars or files; it goes before what headers tell, but for its
        `after_headers`.
    medium, frame
        As of `maury.read`, where you know better than the files.
    workers
        Processes; 0 for none but this one. A script that has processes needs the usual
        ``if __name__ == "__main__":``.
    cluster, report
        As of `maury.datasets.filling.fill`.

    Returns
    -------
    list of Ingested
        One a file, in the order given.

    Raises
    ------
    TargetError
        If the store belongs to other settings, or is being filled.
    MauryError
        If it cannot be written.
    """
    names = list(dict.fromkeys(str(file) for file in files))
    with ThreadPoolExecutor(max(workers, 1)) as pool:
        hashes = list(pool.map(_sha256, names))
    rows, places, skipped = _plan(out, names, hashes)
    fill(
        out,
        settings={"kind": "observed", "unit": None, "instrument": instrument},
        grid=grid,
        frame="barycentric",
        columns=_columns(out),
        rows=rows,
        compute=Exposure(grid, instrument, labels, medium, frame),
        shard=SHARD,
        workers=workers,
        cluster=cluster,
        report=report,
    )
    note_duplicates(out)
    told = SpectrumStore(out).catalogue.select(["index", "status", "star", "error", "flags"])
    found = {row["index"]: row for row in told.to_pylist()}
    return [_told(name, found[places[name]], name in skipped) for name in names]


def _plan(
    out: str | Path, names: list[str], hashes: list[str | None]
) -> tuple[list[Row | None], dict[str, int], set[str]]:
    """Rows to compute, the place of each file, and the files that are there already."""
    catalogue: list[dict[str, Any]] = []
    size = 0
    if (Path(out) / SETTINGS).exists():
        store = SpectrumStore(out)
        size = len(store)
        if store.settings["kind"] != "observed":
            raise TargetError(f"{out} holds spectra of the kind {store.settings['kind']!r}.")
        catalogue = store.catalogue.select(["index", "status", "file", "sha256"]).to_pylist()
    known = {row["sha256"]: row["index"] for row in catalogue if row["status"] == "done"}
    failed = {row["file"]: row["index"] for row in catalogue if row["status"] == "failed"}
    taken = {row["index"] for row in catalogue}
    free = [index for index in range(size) if index not in taken][::-1]
    rows: list[Row | None] = [None] * size
    places: dict[str, int] = {}
    skipped = set()
    for name, sha256 in zip(names, hashes, strict=True):
        if sha256 in known:
            places[name] = known[sha256]
            skipped.add(name)
            continue
        row = {"file": name, "sha256": sha256}
        if name in failed:
            places[name] = failed[name]
        elif free:
            places[name] = free.pop()
        else:
            places[name] = len(rows)
            rows.append(None)
        rows[places[name]] = row
        if sha256 is not None:
            known[sha256] = places[name]
    return rows, places, skipped


def _columns(out: str | Path) -> pa.Schema:
    """Those of the store: one of an earlier version, which had fewer, goes on with its own."""
    if not (Path(out) / SETTINGS).exists():
        return COLUMNS
    return pa.schema(
        [item for item in SpectrumStore(out).catalogue.schema if item.name in COLUMNS.names]
    )


def _told(name: str, row: Mapping[str, Any], skipped: bool) -> Ingested:
    if row["status"] == "failed":
        return Ingested(name, "failed", row["index"], row["star"], error=row["error"])
    status: Literal["done", "skipped"] = "skipped" if skipped else "done"
    return Ingested(name, status, row["index"], row["star"], tuple(row["flags"] or ()))


def _sha256(name: str) -> str | None:
    """Of a file's bytes; None where it cannot be read, which its reader tells in a sentence."""
    try:
        with Path(name).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
