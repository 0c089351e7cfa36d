"""Killed again and again while a store is being filled: it ends as if nothing had happened.

MAURY_KILLS=20 in the environment asks for as many kills of each verb.
"""

import os
import shutil
import time
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from maury.datasets.exposures import EtcSimulation, simulate_exposures
from maury.datasets.ingest import ingest
from maury.datasets.sampling import Range
from maury.datasets.seds import SedSimulation, simulate_seds
from maury.datasets.store import SpectrumStore
from maury.grid import WavelengthGrid

KILLS = int(os.environ.get("MAURY_KILLS", "5"))
GRID = WavelengthGrid(start=6000.0, step=0.02, size=200)
WARM = {"teff": Range(6000.0, 9000.0)}

SEDS = SedSimulation(n=12, ranges=WARM, grid=GRID, seed=1)
ETC = EtcSimulation(n=8, split="test", ranges=WARM, grid=GRID, solver="direct")


def spectra(folder: Path) -> list[Path]:
    """Text files to ingest, one of them damaged."""
    folder.mkdir()
    random = np.random.default_rng(2)
    paths = [folder / f"{number:02d}.txt" for number in range(40)]
    for path in paths:
        flux = random.normal(100.0, 1.0, GRID.size)
        np.savetxt(path, np.stack([GRID.wavelength, flux], axis=1), fmt="%.3f")
    paths[5].write_text("nothing\n")
    return paths


def filling(verb: str, tmp_path: Path) -> Callable[[Path], object]:
    """What fills a folder, fit to be sent to another process."""
    if verb == "sed":
        return partial(simulate_seds, SEDS, workers=0)
    if verb == "etc":
        return partial(simulate_exposures, ETC, workers=0)
    files = spectra(tmp_path / "files")
    return partial(ingest, files, grid=GRID, medium="air", frame="barycentric", workers=0)


def content(folder: Path) -> dict[str, bytes | str]:
    """Every file of a store but its lock; of the catalogue all but how long things took."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    found: dict[str, bytes | str] = {
        str(path.relative_to(folder)): path.read_bytes() for path in files
    }
    catalogue = pq.read_table(folder / "catalogue.parquet")
    if "seconds" in catalogue.column_names:
        found["catalogue.parquet"] = repr(catalogue.drop_columns("seconds").to_pylist())
    return found


@pytest.mark.parametrize("verb", ["sed", "etc", "ingest"])
def test_a_store_that_was_killed_while_it_was_filled_is_that_of_one_go(
    verb: str, tmp_path: Path
) -> None:
    fill = filling(verb, tmp_path)
    # Forks of one process that has read all modules already.
    context = get_context("forkserver")
    context.set_forkserver_preload([module.__module__ for module in (SEDS, ETC, ingest)])

    def begin(folder: Path) -> BaseProcess:
        process = context.Process(target=fill, args=(folder,))
        process.start()
        return process

    def finish(folder: Path) -> float:
        since = time.monotonic()
        process = begin(folder)
        process.join(300)
        assert process.exitcode == 0
        return time.monotonic() - since

    finish(tmp_path / "first")  # the first one compiles
    duration = finish(tmp_path / "whole")
    whole = content(tmp_path / "whole")
    random = np.random.default_rng(len(verb))
    kills, folder = 0, tmp_path / "killed"
    while kills < KILLS:
        process = begin(folder)
        process.join(random.uniform(0, duration))
        if process.exitcode is None:
            process.kill()
            kills += 1
            process.join()
            if (folder / "settings.json").exists():
                assert SpectrumStore(folder).verify() == []
        else:
            assert process.exitcode == 0
            assert content(folder) == whole
            shutil.rmtree(folder)
    finish(folder)
    assert content(folder) == whole
