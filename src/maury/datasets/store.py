"""A folder of computed spectra: a Zarr array, and a catalogue with one row a spectrum beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zarr
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from maury.errors import MauryError, SynthesisError
from maury.grid import WavelengthGrid
from maury.spectrum import Observation, Spectrum
from maury.synthesis.synthesize import FLUX_UNIT

__all__ = ["SedStore", "SedWriter"]

FORMAT = "maury seds"
FORMAT_VERSION = 1
SETTINGS, SPECTRA, CATALOGUE = "settings.json", "spectra.zarr", "catalogue.parquet"
JOURNAL, LOCK, PART = "catalogue.journal", ".lock", ".part"
SHARD_BYTES = 16_000_000  # rewritten with each spectrum that is added, so not larger

SCHEMA = pa.schema(
    [
        ("index", pa.int64()),
        ("status", pa.string()),
        *((name, pa.float64()) for name in ("teff", "logg", "mh", "vmic", "alpha")),
        *((name, pa.float64()) for name in ("vsini", "vmac", "resolving_power")),
        ("seconds", pa.float64()),
        ("error", pa.string()),
        ("sampling", pa.string()),
        ("seed", pa.int64()),
        *((name, pa.float64()) for name in ("start", "stop", "step")),
        ("medium", pa.string()),
        ("normalized", pa.bool_()),
        ("solver", pa.string()),
        ("lines", pa.string()),
        ("version", pa.string()),
        ("code", pa.string()),
    ]
)


class SedStore:
    """Spectra that `maury simulate sed` has computed.

    It may be read while the spectra are still being computed.

    Parameters
    ----------
    folder
        What ``--out`` named.

    Attributes
    ----------
    settings : dict
        How the spectra were computed.
    grid : WavelengthGrid
        Their wavelengths, in the stellar rest frame.

    Raises
    ------
    MauryError
        If the folder holds no such spectra, or they are damaged.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.settings = _read_settings(self.folder)
        self.grid = WavelengthGrid.from_dict(self.settings["grid"])
        self._rows = {row["index"]: row for row in _read_rows(self.folder)}
        try:
            self._flux = zarr.open_array(self.folder / SPECTRA, path="flux", mode="r")
        except (OSError, ValueError, KeyError) as error:
            raise MauryError(f"{self.folder / SPECTRA} cannot be opened ({error}).") from None

    def __len__(self) -> int:
        """How many spectra there are when all are done."""
        return int(self._flux.shape[0])

    @property
    def done(self) -> NDArray[np.int64]:
        """Indices of the spectra that are there, in order."""
        good = [index for index, row in self._rows.items() if row["status"] == "done"]
        return np.array(sorted(good), dtype=np.int64)

    @property
    def catalogue(self) -> pa.Table:
        """Parameters, settings, code version, time taken and status, one row a spectrum.

        Rows of spectra that are not computed yet are missing. ``to_pandas`` and ``to_pylist`` turn
        it into what is wanted; it is also what ``catalogue.parquet`` holds.
        """
        return pa.Table.from_pylist([row for _, row in sorted(self._rows.items())], SCHEMA)

    def flux(self, indices: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
        """Several spectra at once, in the order asked for.

        Parameters
        ----------
        indices
            Their numbers.

        Returns
        -------
        numpy.ndarray
            float32, shape (spectrum, pixel): erg s-1 cm-2 A-1 at the surface, or relative to the
            continuum, as ``settings["normalized"]`` says.

        Raises
        ------
        MauryError
            If one of them is not there, or damaged.
        """
        rows = [self._read(self._row(int(index))["index"]) for index in indices]
        return np.stack(rows) if rows else np.empty((0, self.grid.size), np.float32)

    def _read(self, index: int) -> NDArray[np.float32]:
        try:
            flux = np.asarray(self._flux[index], dtype=np.float32)
        except (OSError, ValueError, RuntimeError) as error:
            raise MauryError(f"Spectrum {index} of {self.folder} is damaged ({error}).") from None
        # What is missing in a Zarr array reads as its fill value.
        if not np.isfinite(flux).all():
            raise MauryError(f"Spectrum {index} of {self.folder} is damaged: its file is missing.")
        return flux

    def spectrum(self, index: int) -> Spectrum:
        """One spectrum, with the star's parameters.

        Parameters
        ----------
        index
            Its number, from 0.

        Raises
        ------
        MauryError
            If it is not there; the sentence says why.
        """
        row = self._row(index)
        names = ("teff", "logg", "mh", "alpha", "vmic")
        unit = None if self.settings["normalized"] else FLUX_UNIT
        return Spectrum(
            wavelength=self.grid.wavelength,
            flux=self.flux([index])[0].astype(np.float64),
            medium=self.grid.medium,
            frame="rest",
            meta=Observation(
                object=f"{self.folder.name} {index}",
                path=str(self.folder),
                flux_unit=unit,
                **{name: row[name] for name in names},
            ),
        )

    def _row(self, index: int) -> dict[str, Any]:
        if not 0 <= index < len(self):
            raise MauryError(f"{self.folder} has no spectrum {index}; it has 0 to {len(self) - 1}.")
        row = self._rows.get(index)
        if row is None:
            raise MauryError(f"Spectrum {index} of {self.folder} is not computed yet.")
        if row["status"] != "done":
            raise MauryError(f"Spectrum {index} of {self.folder} failed: {row['error']}")
        return row


class SedWriter:
    """Fills a `SedStore`; what it has taken stays, whenever the process is killed.

    A spectrum counts as done when its row is in the catalogue, and the row is written after the
    spectrum. Rows go to a journal, one line each, which is folded into the catalogue at the end,
    or when the work is taken up again after a kill.

    Parameters
    ----------
    folder
        Made where it is missing.
    settings
        All that the spectra depend on; a folder with other ones is refused.
    grid
        Wavelengths of all spectra; in the settings too.
    size
        How many spectra there will be.

    Raises
    ------
    SynthesisError
        If the folder belongs to other settings, holds something else, or is in use.
    MauryError
        If it cannot be written.
    """

    def __init__(
        self, folder: str | Path, settings: Mapping[str, Any], grid: WavelengthGrid, size: int
    ) -> None:
        self.folder = Path(folder)
        self._refuse_others()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.folder / LOCK, timeout=0)
            self._lock.acquire()
        except Timeout:
            raise SynthesisError(f"Another process is filling {self.folder}.") from None
        except OSError as error:
            raise MauryError(f"{self.folder} cannot be written ({error.strerror}).") from None
        try:
            self._open(settings, grid, size)
        except BaseException:
            self._lock.release()
            raise

    def _refuse_others(self) -> None:
        """Leave a folder alone that holds anything else."""
        if self.folder.exists() and not self.folder.is_dir():
            raise SynthesisError(f"{self.folder} is a file; name a new folder.")
        if not self.folder.exists() or (self.folder / SETTINGS).exists():
            return
        # A kill before the settings were there leaves an array without any row.
        names = {entry.name for entry in self.folder.iterdir() if entry.suffix != PART}
        if others := sorted(names - {LOCK, SPECTRA}):
            raise SynthesisError(
                f"{self.folder} holds other files ({others[0]}); name a new folder."
            )

    def _open(self, settings: Mapping[str, Any], grid: WavelengthGrid, size: int) -> None:
        path = self.folder / SETTINGS
        if path.exists():
            _compare(self.folder, _read_settings(self.folder), settings)
        else:
            _create_array(self.folder / SPECTRA, grid, size, bool(settings["normalized"]))
            content = {"format": FORMAT, "format_version": FORMAT_VERSION, **settings}
            _replace(path, (json.dumps(content, indent=2) + "\n").encode())
        for leftover in [*self.folder.glob(f".*{PART}"), *self.folder.rglob("*.partial")]:
            leftover.unlink()
        self._flux = zarr.open_array(self.folder / SPECTRA, path="flux", mode="r+")
        self._fold()
        self._journal = (self.folder / JOURNAL).open("a", encoding="utf-8")

    def __enter__(self) -> SedWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._journal.close()
        try:
            self._fold()
        finally:
            self._lock.release()

    @property
    def done(self) -> set[int]:
        """Indices of the spectra that need not be computed again."""
        return {row["index"] for row in _read_rows(self.folder) if row["status"] == "done"}

    def add(self, index: int, flux: NDArray[np.float32], row: Mapping[str, Any]) -> None:
        """Take a spectrum."""
        try:
            self._flux[index] = flux
        except OSError as error:
            raise MauryError(f"{self.folder} cannot be written ({error.strerror}).") from None
        self._write({**row, "index": index, "status": "done", "error": None})

    def add_failure(self, index: int, error: str, row: Mapping[str, Any]) -> None:
        """Note why a spectrum could not be computed."""
        self._write({**row, "index": index, "status": "failed", "error": error})

    def _write(self, row: Mapping[str, Any]) -> None:
        try:
            self._journal.write(json.dumps(row) + "\n")
            self._journal.flush()
        except OSError as error:
            raise MauryError(f"{self.folder} cannot be written ({error.strerror}).") from None

    def _fold(self) -> None:
        """Bring the journal's rows into the catalogue."""
        rows = {row["index"]: row for row in _read_rows(self.folder)}
        table = pa.Table.from_pylist([row for _, row in sorted(rows.items())], SCHEMA)
        buffer = pa.BufferOutputStream()
        pq.write_table(table, buffer)
        _replace(self.folder / CATALOGUE, buffer.getvalue().to_pybytes())
        # A kill before this leaves the rows in both places, which does no harm.
        (self.folder / JOURNAL).unlink(missing_ok=True)


def _create_array(path: Path, grid: WavelengthGrid, size: int, normalized: bool) -> None:
    shard = min(size, max(1, SHARD_BYTES // (4 * grid.size)))
    group = zarr.open_group(path, mode="w", zarr_format=3)
    group.create_array(
        "wavelength",
        data=grid.wavelength,
        dimension_names=("pixel",),
        attributes={"unit": "Angstrom", "medium": grid.medium, "frame": "rest"},
    )
    group.create_array(
        "flux",
        shape=(size, grid.size),
        chunks=(1, grid.size),
        shards=(shard, grid.size),
        dtype=np.float32,
        fill_value=np.nan,
        dimension_names=("spectrum", "pixel"),
        attributes={"unit": "continuum" if normalized else FLUX_UNIT},
    )


def _read_settings(folder: Path) -> dict[str, Any]:
    path = folder / SETTINGS
    try:
        settings = json.loads(path.read_bytes())
    except OSError as error:
        raise MauryError(
            f"{folder} holds no computed spectra ({SETTINGS}: {error.strerror})."
        ) from None
    except ValueError:
        raise MauryError(f"{path} is damaged.") from None
    if not isinstance(settings, dict) or settings.get("format") != FORMAT:
        raise MauryError(f"{path} does not describe computed spectra.")
    if settings.get("format_version") != FORMAT_VERSION:
        raise MauryError(
            f"{path} is of format {settings.get('format_version')}; this version of maury reads "
            f"{FORMAT_VERSION}."
        )
    return settings


def _read_rows(folder: Path) -> list[dict[str, Any]]:
    """Rows of the catalogue, then of the journal: of two with one index the later holds."""
    # The journal first: its rows may move to the catalogue meanwhile, but never back.
    try:
        lines = (folder / JOURNAL).read_bytes().split(b"\n")
    except FileNotFoundError:
        lines = []
    # What follows the last line break is empty, or was being written in the moment of a kill.
    recent = [json.loads(line) for line in lines[:-1]]
    path = folder / CATALOGUE
    if not path.exists():
        return recent
    try:
        return pq.read_table(path, schema=SCHEMA).to_pylist() + recent
    except (OSError, pa.ArrowException) as error:
        raise MauryError(f"{path} is damaged ({error}).") from None


def _compare(folder: Path, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    # As JSON has them: a tuple comes back as a list.
    ours = json.loads(json.dumps(ours))
    for name, value in ours.items():
        if theirs.get(name) != value:
            raise SynthesisError(
                f"{folder} was begun with {name} = {_brief(theirs.get(name))}, not "
                f"{_brief(value)}: give the same, or another folder."
            )


def _brief(value: Any) -> str:
    if isinstance(value, dict) and "step" in value:
        stop = value["start"] + value["step"] * (value["size"] - 1)
        return f"{value['start']:g}-{stop:g} A in steps of {value['step']:g} A ({value['medium']})"
    return str(value)


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError as error:
        raise MauryError(f"{path} cannot be written ({error.strerror}).") from None
    finally:
        part.unlink(missing_ok=True)
