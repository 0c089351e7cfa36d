"""Filling a store: killed, grown, refused, failed."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from maury.datasets.filling import fill
from maury.datasets.store import SpectrumStore
from maury.errors import MauryError, TargetError
from maury.grid import WavelengthGrid

GRID = WavelengthGrid(start=5000.0, step=0.5, size=64)
SETTINGS = {"kind": "test", "unit": None, "seed": 3, "pair": (1, 2)}
COLUMNS = pa.schema([("teff", pa.float64()), ("note", pa.string()), ("sum", pa.float64())])
ROWS = [{"teff": 5000.0 + index, "note": None} for index in range(11)]


class Stars:
    """Spectra of noise that the temperature seeds; counts what it makes."""

    def __init__(self, *failing: float, stop: float | None = None) -> None:
        self.failing, self.stop, self.made = failing, stop, []

    def __call__(self, row: dict) -> tuple[np.ndarray, dict]:
        if row["teff"] == self.stop:
            raise KeyboardInterrupt
        if row["teff"] in self.failing:
            raise MauryError("It is too cold.")
        self.made.append(int(row["teff"]) - 5000)
        flux = np.random.default_rng(int(row["teff"])).normal(size=GRID.size).astype(np.float32)
        return flux, {"sum": np.float32(flux.sum())}


def run(path: Path, compute=None, rows=ROWS, **changes) -> SpectrumStore:
    options = {"settings": SETTINGS, "grid": GRID, "frame": "rest", "columns": COLUMNS}
    options |= {"shard": 4, "workers": 0} | changes
    return fill(path, rows=rows, compute=compute or Stars(), **options)


def files(path: Path) -> dict[str, bytes]:
    found = [file for file in path.rglob("*") if file.is_file() and file.name != ".lock"]
    return {str(file.relative_to(path)): file.read_bytes() for file in found}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("filling") / "whole"
    assert run(folder).done.tolist() == list(range(11))
    return files(folder)


def test_several_processes_write_the_same_bytes(tmp_path: Path, whole: dict[str, bytes]) -> None:
    run(tmp_path / "store", workers=2)
    assert files(tmp_path / "store") == whole


def test_what_was_done_before_a_stop_is_not_done_again(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Stars(stop=5009.0))
    assert SpectrumStore(tmp_path).done.tolist() == list(range(8))
    again = Stars()
    run(tmp_path, again)
    assert again.made == [8, 9, 10]
    assert files(tmp_path) == whole


def test_what_a_kill_leaves_is_swept_up(tmp_path: Path, whole: dict[str, bytes]) -> None:
    """Rows in the journal, the last one torn, files half written, a shard that has no rows."""
    run(tmp_path, rows=[*ROWS[:8], *[None] * 3])
    journal = tmp_path / "catalogue.journal"
    torn = {"index": 3, "status": "done", "teff": 5003.0, "checksum": 1}
    journal.write_text(json.dumps(torn) + '\n{"index": 4, "sta')
    shard = tmp_path / "spectra.zarr/flux/c/2/0"
    shard.parent.mkdir()
    shard.write_bytes(b"of a process that was killed before its rows were noted")
    for leftover in (shard.with_name(".0.123.partial"), tmp_path / ".settings.json.1.partial"):
        leftover.write_bytes(b"half")
    assert SpectrumStore(tmp_path).catalogue["checksum"].to_pylist()[3] == 1
    run(tmp_path)
    names = {name.split("/")[-1] for name in files(tmp_path)}
    assert names == {"settings.json", "zarr.json", "0", "catalogue.parquet"}
    assert SpectrumStore(tmp_path).verify() == [3]


def test_a_process_that_is_killed_fails_its_shard_alone(tmp_path: Path) -> None:
    store = run(tmp_path, _kill_at_5005, workers=1)
    assert store.done.tolist() == [0, 1, 2, 3, 8, 9, 10]
    errors = [row["error"] for row in store.catalogue.to_pylist() if row["error"]]
    assert errors == ["The process that was at it ended (killed, most likely for memory)."] * 4


def _kill_at_5005(row: dict) -> tuple[np.ndarray, dict]:
    if row["teff"] == 5005.0:
        os.kill(os.getpid(), signal.SIGKILL)
    return np.ones(GRID.size, np.float32), {}


def test_a_shard_that_a_crash_lost_is_made_again(tmp_path: Path, whole: dict[str, bytes]) -> None:
    run(tmp_path)
    (tmp_path / "spectra.zarr/flux/c/1/0").unlink()
    again = Stars()
    run(tmp_path, again)
    assert again.made == [4, 5, 6, 7]
    assert files(tmp_path) == whole


def test_what_failed_is_tried_again_and_the_rest_of_its_shard_kept(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    store = run(tmp_path, Stars(5001.0, 5002.0))
    failed = store.catalogue.to_pylist()[1]
    assert (failed["status"], failed["error"], failed["teff"]) == (
        "failed",
        "It is too cold.",
        5001.0,
    )
    again = Stars()
    run(tmp_path, again)
    assert again.made == [1, 2]
    assert files(tmp_path) == whole


def test_a_flux_that_is_none_fails(tmp_path: Path) -> None:
    answers = iter(
        [
            (np.full(GRID.size, np.nan), {}),
            (np.ones(3), {}),
            (np.ones(GRID.size), {}),
        ]
    )
    store = run(tmp_path, lambda row: next(answers), ROWS[:4])
    assert store.catalogue["error"].to_pylist() == [
        "Its flux is finite nowhere.",
        "It has the shape (3,), not (64,).",
        None,
        "StopIteration: ",
    ]


def test_it_grows_to_what_it_would_have_been(tmp_path: Path, whole: dict[str, bytes]) -> None:
    run(tmp_path, rows=ROWS[:6])
    more = Stars()
    assert len(run(tmp_path, more, [*[None] * 6, *ROWS[6:]])) == 11
    assert more.made == [6, 7, 8, 9, 10]
    assert files(tmp_path) == whole


def test_progress_is_told_by_shards(tmp_path: Path) -> None:
    run(tmp_path, rows=ROWS[:6])
    told, planned = [], []
    run(tmp_path, report=lambda *numbers: told.append(numbers), prepare=planned.extend)
    assert told == [(6, 11), (8, 11), (11, 11)]
    assert planned == ROWS[6:]


def test_other_settings_rows_and_folders_are_refused(tmp_path: Path) -> None:
    store = tmp_path / "store"
    run(store)
    before = files(store)
    other = [{**row, "teff": row["teff"] + (index == 2)} for index, row in enumerate(ROWS)]
    wider = WavelengthGrid(start=5000.0, step=0.5, size=128)
    for changes, message in (
        ({"settings": {**SETTINGS, "seed": 4}}, "was begun with seed = 3, not 4: give the same"),
        ({"grid": wider}, "grid = 5000-5031.5 A .* not 5000-5063.5 A in steps of 0.5 A"),
        ({"frame": "barycentric"}, "frame = rest, not barycentric"),
        ({"shard": 1}, "shard = 4, not 1"),
        ({"columns": pa.schema([("teff", pa.float64())])}, "was begun with other columns"),
        ({"rows": ROWS[:5]}, "is for 11 spectra, not 5"),
        ({"rows": other}, "Spectrum 2 of .* was made with teff = 5002.0, not 5003.0"),
    ):
        with pytest.raises(TargetError, match=message):
            run(store, **changes)
    assert files(store) == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").touch()
    for target, message in (
        (tmp_path / "mine", r"mine holds other files \(thesis.tex\)"),
        (tmp_path / "mine/thesis.tex", "is a file"),
    ):
        with pytest.raises(TargetError, match=message):
            run(target)
    assert [entry.name for entry in (tmp_path / "mine").iterdir()] == ["thesis.tex"]
    with pytest.raises(TargetError, match="s3://bucket/spectra is a URL"):
        run("s3://bucket/spectra")


def test_one_process_fills_at_a_time(tmp_path: Path) -> None:
    def compute(row: dict) -> tuple[np.ndarray, dict]:
        with pytest.raises(TargetError, match="Another process is filling"):
            run(tmp_path)
        return np.ones(GRID.size), {}

    assert run(tmp_path, compute, ROWS[:2]).done.tolist() == [0, 1]


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """As a full disk would, the system refuses to write more."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_full_disk_is_a_sentence_and_what_was_written_stays(
    tmp_path: Path, workers: int, whole: dict[str, bytes]
) -> None:
    run(tmp_path, rows=[*ROWS[:2], *[None] * 9])
    # Room for two spectra a shard, not for four.
    with (
        files_no_larger_than(700),
        pytest.raises(MauryError, match=r"cannot be written \(File too large\)\."),
    ):
        run(tmp_path, workers=workers)
    store = SpectrumStore(tmp_path)
    assert (store.done.tolist(), store.verify()) == ([0, 1], [])
    run(tmp_path)
    assert files(tmp_path) == whole


def test_a_folder_that_cannot_be_written_is_a_sentence() -> None:
    with pytest.raises(MauryError, match=r"/proc/maury cannot be written \("):
        run("/proc/maury")


def test_a_kill_of_all_loses_the_shards_in_work_alone(
    tmp_path: Path, whole: dict[str, bytes]
) -> None:
    script = (
        "import os, signal, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import test_filling as t\n"
        "def stop(count, total):\n"
        "    if count == 8:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        f"t.run({str(tmp_path)!r}, report=stop)\n"
    )
    code = subprocess.run([sys.executable, "-c", script], check=False).returncode
    assert code == -signal.SIGKILL
    assert SpectrumStore(tmp_path).done.tolist() == list(range(8))
    again = Stars()
    run(tmp_path, again)
    assert again.made == [8, 9, 10]
    assert files(tmp_path) == whole
