"""A local Ray cluster in the place of processes."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from maury.datasets.filling import fill
from maury.datasets.store import SpectrumStore
from maury.datasets.workers import share
from maury.errors import MauryError
from maury.grid import WavelengthGrid

GRID = WavelengthGrid(start=5000.0, step=0.5, size=64)
ROWS = [{"seed": seed} for seed in range(60)]
NOBODY = "ray://127.0.0.1:1"


def noise(row: dict[str, Any]) -> tuple[np.ndarray, dict[str, Any]]:
    """A spectrum that takes a while; one of them cannot be made."""
    time.sleep(0.05)
    if row["seed"] == 33:
        raise MauryError("It is too cold.")
    flux = np.random.default_rng(row["seed"]).normal(size=GRID.size).astype(np.float32)
    return flux, {"sum": float(flux.sum())}


def filled(folder: Path, **options: Any) -> SpectrumStore:
    columns = pa.schema([("seed", pa.int64()), ("sum", pa.float64())])
    settings = {"kind": "test", "unit": None}
    return fill(
        folder, settings=settings, grid=GRID, frame="rest", columns=columns, rows=ROWS,
        compute=noise, shard=5, **options,
    )  # fmt: skip


def descendants(process: int) -> list[int]:
    """Processes that one has started, and those that these have."""
    found = []
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        for child in map(int, children.read_text().split()):
            found += [child, *descendants(child)]
    return found


def at_work() -> list[int]:
    """Ray's processes that are at a task of this test."""
    found = []
    for process in descendants(os.getpid()):
        try:
            name = Path(f"/proc/{process}/cmdline").read_bytes()
        except OSError:
            continue
        if name.startswith(b"ray::") and b"_on_one_core" in name:
            found.append(process)
    return found


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a store but its lock."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="needs the extra [cluster]")
    from ray import cloudpickle

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    # The machines of a cluster cannot import a test.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.mark.usefixtures("_quiet")
def test_a_process_that_is_killed_on_the_way_changes_nothing(tmp_path: Path) -> None:
    killed: list[int] = []

    def kill_one(count: int, total: int) -> None:
        if 0 < count < total and not killed:
            # Between two tasks a process has another name; then the next report has its chance.
            for process in at_work()[:1]:
                os.kill(process, signal.SIGKILL)
                killed.append(process)

    filled(tmp_path / "plain", workers=0)
    store = filled(tmp_path / "cluster", workers=2, cluster="local", report=kill_one)
    assert killed
    assert len(store) == 60 and set(range(60)) - set(store.done.tolist()) == {33}
    assert store.catalogue["error"].to_pylist()[33] == "It is too cold."
    assert content(tmp_path / "cluster") == content(tmp_path / "plain")


def test_a_missing_extra_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(MauryError, match=r"^A cluster needs Ray .*pip install 'maury\[cluster\]'"):
        list(share(eval, ["1"], 1, "local"))


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(MauryError, match="'here' is neither 'local' nor 'ray://HOST:PORT'"):
        list(share(eval, ["1"], 1, "here"))


def test_nothing_to_do_asks_for_no_cluster() -> None:
    assert list(share(eval, [], 2, NOBODY)) == []
