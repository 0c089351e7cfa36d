"""How fast spectra come out of a store, and how fast files go in."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import zarr
from astropy.io import fits
from numpy.typing import NDArray

from maury.benchmark import Benchmark
from maury.datasets.filling import Row, fill
from maury.datasets.ingest import ingest
from maury.datasets.store import SPECTRA, SpectrumStore
from maury.errors import MauryError
from maury.grid import HARPS

__all__ = ["bench_ingest", "bench_store"]

SPECTRA_KEPT, BATCH = 128, 32
FILES, FILE_PIXELS = 128, 313_149


def bench_store(*, repeats: int = 5) -> Benchmark:
    """Random batches of full spectra a second, beside a memory map of the same numbers.

    Both are in the folder for temporary files (TMPDIR); what counts is measured with both in the
    system's cache, and the breakdown tells how long batches take from the disk.

    Parameters
    ----------
    repeats : int
        Turns, whose median counts.
    """
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        store = fill(
            Path(folder) / "store",
            settings={"kind": "benchmark", "unit": None},
            grid=HARPS,
            frame="barycentric",
            columns=pa.schema([("seed", pa.int64())]),
            rows=[{"seed": seed} for seed in range(SPECTRA_KEPT)],
            compute=_noise,
            workers=0,
        )
        raw = Path(folder) / "raw"
        with raw.open("wb") as file:
            for index in range(SPECTRA_KEPT):
                store.flux([index]).tofile(file)
        files = [raw, *(Path(store.path) / SPECTRA / "flux/c").glob("*/0")]
        os.sync()

        def turn(clock: Callable[[], float]) -> tuple[float, float]:
            indices = random.integers(0, SPECTRA_KEPT, BATCH)
            shape = (SPECTRA_KEPT, HARPS.size)
            memory_map = np.memmap(raw, dtype=np.float32, mode="r", shape=shape)
            ours = _seconds(clock, lambda: store.flux(indices))
            return ours, _seconds(clock, lambda: memory_map[indices])

        cold_times = []
        for _ in range(repeats):
            _drop_from_cache(files)
            cold_times.append(turn(time.perf_counter))
        for path in files:
            path.read_bytes()
        # Nothing waits for the disk any more.
        times = [turn(time.process_time) for _ in range(4 * repeats)]
        array = zarr.open_array(Path(store.path) / SPECTRA, path="flux", mode="r")
        by_zarr = _seconds(time.process_time, lambda: array.oindex[np.arange(BATCH)])
    warm, cold = np.median(times, axis=0), np.median(cold_times, axis=0)
    return Benchmark(
        name="store",
        ours=BATCH / warm[0],
        reference=BATCH / warm[1],
        unit="spectra/s",
        conditions=f"{HARPS.size:,} pixels, random batches of {BATCH} of {SPECTRA_KEPT} spectra in "
        f"the system's cache, median of {repeats * 4} turns, one thread, processor time (by the "
        f"clock from the disk), {platform.machine()}; reference: a raw memory map of the same "
        "numbers",
        breakdown={
            "batch": 1e3 * warm[0],
            "batch of the memory map": 1e3 * warm[1],
            "batch by Zarr": 1e3 * by_zarr,
            "batch from the disk": 1e3 * cold[0],
            "batch of the memory map from the disk": 1e3 * cold[1],
        },
    )


def bench_ingest(files: Sequence[str] = (), *, repeats: int = 3) -> Benchmark:
    """Files a second and core into a new store, beside the same in a few lines of astropy.

    Parameters
    ----------
    files
        HARPS s1d files; by default such ones are made, of the usual length and with as many cards
        in their headers.
    repeats : int
        Turns, whose median counts.

    Raises
    ------
    MauryError
        If a file cannot be used.
    """
    with tempfile.TemporaryDirectory() as folder:
        names = list(files) or _make_files(Path(folder))
        target = Path(folder) / "plain"
        turns = []
        for turn in range(repeats):
            out = Path(folder) / f"store{turn}"
            ours = _seconds(time.process_time, lambda out=out: _ingest(names, out))  # type: ignore[misc]
            plain = _seconds(time.process_time, lambda: _plain(names, target))
            turns.append((ours, plain))
        kept = len(SpectrumStore(out).done)
    fast, slow = (median(times) / len(names) for times in zip(*turns, strict=True))
    return Benchmark(
        name="ingest",
        ours=1 / fast,
        reference=1 / slow,
        unit="files/s/core",
        conditions=f"{len(names)} {'given' if files else 'made'} files of HARPS s1d, {kept} kept, "
        f"{HARPS.size:,} pixels, median of {repeats} turns, one thread, processor time, "
        f"{platform.machine()}; reference: astropy.io.fits, np.interp, np.median, np.save",
        breakdown={"file": 1e3 * fast},
    )


def _ingest(names: Sequence[str], out: Path) -> None:
    for result in ingest(names, out):
        if result.error is not None:
            raise MauryError(result.error)


def _plain(names: Sequence[str], target: Path) -> None:
    """What a script would do: no checks, no sums, no catalogue."""
    for name in names:
        with fits.open(name) as hdus:
            header, flux = hdus[0].header, hdus[0].data
            wavelength = header["CRVAL1"] + header["CDELT1"] * np.arange(flux.size)
            flux = np.where(flux == 0, np.nan, flux)
            flux = np.interp(HARPS.wavelength, wavelength, flux, left=np.nan, right=np.nan)
        flux[~HARPS.valid] = np.nan
        flux /= np.median(flux[np.isfinite(flux)])
        with target.open("wb") as file:
            np.save(file, flux.astype(np.float32))


def _make_files(folder: Path) -> list[str]:
    """Noise in the layout of the HARPS pipeline, which keeps 3,000 cards of its calibration."""
    cards: dict[str, Any] = {
        "CRVAL1": 3781.48, "CDELT1": 0.01, "CRPIX1": 1.0, "OBJECT": "noise", "INSTRUME": "HARPS",
        "DATE-OBS": "2012-05-12T05:36:48.188", "EXPTIME": 60.0, "HIERARCH ESO DRS BERV": 3.1,
        "HIERARCH ESO DRS VERSION": "HARPS_3.8", "HIERARCH ESO TEL AIRM START": 1.2,
    }  # fmt: skip
    cards |= {f"HIERARCH ESO DRS CAL TH COEFF LL{k}": 0.1 * k for k in range(3000)}
    header, random = fits.Header(cards), np.random.default_rng(0)
    names = []
    for number in range(FILES):
        flux = random.normal(1000, 10, FILE_PIXELS).astype(np.float32)
        name = folder / f"{number}_s1d_A.fits"
        fits.PrimaryHDU(flux, header).writeto(name)
        names.append(str(name))
    return names


def _noise(row: Row) -> tuple[NDArray[np.float32], Row]:
    return np.random.default_rng(row["seed"]).random(HARPS.size, dtype=np.float32), {}


def _drop_from_cache(files: Sequence[Path]) -> None:
    """Have the system read these files from the disk again."""
    for path in files:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _seconds(clock: Callable[[], float], work: Callable[[], object]) -> float:
    began = clock()
    work()
    return clock() - began
