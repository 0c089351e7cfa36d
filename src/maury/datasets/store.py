"""A folder of spectra: a Zarr array, and a catalogue with one row a spectrum beside it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import fsspec
import google_crc32c
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from astropy.time import Time
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem
from numpy.typing import NDArray

from maury.datasets.shards import DamagedShard, Shards
from maury.errors import MauryError
from maury.grid import WavelengthGrid
from maury.spectrum import Frame, Observation, Spectrum

__all__ = [
    "CATALOGUE",
    "FORMAT",
    "FORMAT_VERSION",
    "JOURNAL",
    "SETTINGS",
    "SPECTRA",
    "SpectrumStore",
    "checksum",
    "read_catalogue",
]

FORMAT = "maury spectra"
FORMAT_VERSION = 1
SETTINGS, SPECTRA, CATALOGUE = "settings.json", "spectra.zarr", "catalogue.parquet"
JOURNAL = "catalogue.journal"

STAR_FACTS = ("teff", "logg", "mh", "alpha", "vmic")
EXPOSURE_FACTS = ("rv", "berv", "airmass", "exposure", "snr", "instrument")


class SpectrumStore:
    """Spectra on one grid, simulated or observed, and what is known of each.

    It may be read while it is being filled, and shows what there was when it was opened.

    Parameters
    ----------
    path
        A local folder, or the URL of one that fsspec can open (``s3://``, ``https://``, ...).

    Attributes
    ----------
    path : str
        As given.
    settings : dict
        All that the spectra depend on; ``kind`` tells what they are, ``unit`` the unit of the
        flux, None for a relative one.
    grid : WavelengthGrid
        Their wavelengths.
    frame : str
        ``"rest"``, ``"barycentric"`` or ``"observatory"``: what the wavelengths are relative to.
    catalogue : pyarrow.Table
        One row a spectrum, in order: ``index``, ``status`` ("done" or "failed"), ``error`` (why
        it failed), ``checksum`` (CRC-32C of the flux), and what is known of its kind. Spectra that
        are not there yet have no row.
    done : numpy.ndarray
        int64, indices of the spectra that are there, in order.

    Raises
    ------
    MauryError
        If there are no spectra, or they are damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = str(path)
        files, root = _open_files(self.path)
        self.settings = _read_settings(files, root, self.path)
        self.grid = WavelengthGrid.from_dict(self.settings["grid"])
        self.frame: Frame = self.settings["frame"]
        # Before the array's size, which only grows.
        self.catalogue = read_catalogue(files, root, self.path)
        self._size = _read_size(files, root, self.path, self.grid)
        array = f"{root}/{SPECTRA}/flux"
        self._shards = Shards(files, array, self.settings["shard"], self.grid.size)
        done = self.catalogue.filter(pc.equal(self.catalogue["status"], "done"))
        self.done: NDArray[np.int64] = done["index"].to_numpy()
        self._is_done = np.zeros(self._size, dtype=bool)
        self._is_done[self.done] = True

    def __len__(self) -> int:
        """How many spectra there are when all are done."""
        return self._size

    def __repr__(self) -> str:
        kind = self.settings["kind"]
        return f"<SpectrumStore {self.path!r}: {self.done.size:,} of {len(self):,}, {kind}>"

    def flux(self, indices: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
        """Several spectra at once, in the order asked for.

        Parameters
        ----------
        indices
            Their numbers.

        Returns
        -------
        numpy.ndarray
            float32, shape (spectrum, pixel), in ``settings["unit"]``; NaN where a pixel is bad.

        Raises
        ------
        MauryError
            If one of them is not there, or damaged.
        """
        numbers = np.asarray(indices, dtype=np.int64)
        for index in numbers:
            if not (0 <= index < len(self) and self._is_done[index]):
                # Tells why not.
                self._row(int(index))
        out = np.empty((numbers.size, self.grid.size), np.float32)
        try:
            self._shards.read(numbers.tolist(), out)
        except DamagedShard as error:
            raise MauryError(
                f"Spectrum {error.index} of {self.path} is damaged: {error}."
            ) from None
        return out

    def spectrum(self, index: int) -> Spectrum:
        """One spectrum, with what is known of the star and, unless it is at rest, the exposure.

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
        names = STAR_FACTS if self.frame == "rest" else STAR_FACTS + EXPOSURE_FACTS
        facts = {name: value for name in names if _known(value := row.get(name))}
        if self.frame != "rest" and _known(mjd := row.get("mjd")):
            facts["time"] = Time(mjd, format="mjd", scale="utc")
        name = Path(self.path).name
        return Spectrum(
            wavelength=self.grid.wavelength,
            flux=self.flux([index])[0].astype(np.float64),
            medium=self.grid.medium,
            frame=self.frame,
            meta=Observation(
                object=row.get("star") or f"{name} {index}",
                path=self.path,
                flux_unit=self.settings["unit"],
                **facts,
            ),
        )

    def _row(self, index: int) -> dict[str, Any]:
        if not 0 <= index < len(self):
            raise MauryError(f"{self.path} has no spectrum {index}; it has 0 to {len(self) - 1}.")
        rows = self.catalogue.filter(pc.equal(self.catalogue["index"], index)).to_pylist()
        if not rows:
            raise MauryError(f"Spectrum {index} of {self.path} is not computed yet.")
        row: dict[str, Any] = rows[0]
        if row["status"] != "done":
            raise MauryError(f"Spectrum {index} of {self.path} failed: {row['error']}")
        return row

    def stars(self) -> dict[str, NDArray[np.int64]]:
        """The spectra of each star: indices of those that are there, in order.

        Raises
        ------
        MauryError
            If the spectra have no stars, as grids of models.
        """
        if "star" not in self.catalogue.column_names:
            kind = self.settings["kind"]
            raise MauryError(f"{self.path} has no stars: its spectra are of the kind {kind!r}.")
        rows = self.catalogue.filter(pc.equal(self.catalogue["status"], "done"))
        found: dict[str, list[int]] = {}
        for star, index in zip(rows["star"].to_pylist(), rows["index"].to_pylist(), strict=True):
            found.setdefault(star, []).append(index)
        return {star: np.array(indices, dtype=np.int64) for star, indices in found.items()}

    def verify(self) -> list[int]:
        """Indices of the spectra that are not as they were written; none in a sound store."""
        rows = self.catalogue.filter(pc.equal(self.catalogue["status"], "done"))
        flux = np.empty((1, self.grid.size), np.float32)
        damaged = []
        for index, written in zip(self.done.tolist(), rows["checksum"].to_pylist(), strict=True):
            try:
                self._shards.read([index], flux)
            except DamagedShard:
                damaged.append(index)
            else:
                if checksum(flux[0]) != written:
                    damaged.append(index)
        return damaged


def checksum(flux: NDArray[np.float32]) -> int:
    """CRC-32C of a spectrum's bytes, as the catalogue has it."""
    return int(google_crc32c.value(np.ascontiguousarray(flux, dtype="<f4")))


def read_catalogue(files: AbstractFileSystem, root: str, name: str) -> pa.Table:
    """Rows of a store's catalogue and its journal, by index: of two with one index the later holds.

    Parameters
    ----------
    files, root
        File system, and the store's folder there.
    name
        The store, for messages.

    Raises
    ------
    MauryError
        If the catalogue is damaged.
    """
    # The journal first: its rows may move to the catalogue meanwhile, but never back.
    recent = _read_journal(files, f"{root}/{JOURNAL}")
    try:
        table = pq.read_table(BytesIO(files.cat_file(f"{root}/{CATALOGUE}")))
        added = pa.Table.from_pylist([row for _, row in sorted(recent.items())], table.schema)
    except (OSError, pa.ArrowException) as error:
        raise MauryError(f"{name}/{CATALOGUE} is damaged ({error}).") from None
    if not recent:
        return table
    old = table.filter(pc.invert(pc.is_in(table["index"], added["index"])))
    return pa.concat_tables([old, added]).sort_by("index").combine_chunks()


def _read_journal(files: AbstractFileSystem, path: str) -> dict[int, dict[str, Any]]:
    try:
        lines = files.cat_file(path).split(b"\n")
    except FileNotFoundError:
        return {}
    # What follows the last line break is empty, or was being written in the moment of a kill.
    rows = [json.loads(line) for line in lines[:-1]]
    return {row["index"]: row for row in rows}


def _open_files(path: str) -> tuple[AbstractFileSystem, str]:
    if "://" not in path:
        return LocalFileSystem(), str(Path(path).absolute())
    try:
        files, root = fsspec.core.url_to_fs(path)
    except (ImportError, ValueError) as error:
        raise MauryError(f"{path} cannot be opened ({error}).") from None
    return files, root.rstrip("/")


def _read_settings(files: AbstractFileSystem, root: str, name: str) -> dict[str, Any]:
    try:
        settings = json.loads(files.cat_file(f"{root}/{SETTINGS}"))
    except FileNotFoundError:
        raise MauryError(f"{name} holds no spectra: it has no {SETTINGS}.") from None
    except ValueError:
        raise MauryError(f"{name}/{SETTINGS} is damaged.") from None
    except Exception as error:
        # Each kind of object store has its own.
        raise MauryError(f"{name}/{SETTINGS} cannot be read ({error}).") from None
    if not isinstance(settings, dict) or settings.get("format") != FORMAT:
        raise MauryError(f"{name}/{SETTINGS} does not describe spectra of this package.")
    if settings.get("format_version") != FORMAT_VERSION:
        raise MauryError(
            f"{name}/{SETTINGS} is of format {settings.get('format_version')}; this version of "
            f"maury reads {FORMAT_VERSION}."
        )
    return settings


def _read_size(files: AbstractFileSystem, root: str, name: str, grid: WavelengthGrid) -> int:
    try:
        size, pixels = json.loads(files.cat_file(f"{root}/{SPECTRA}/flux/zarr.json"))["shape"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MauryError(f"{name}/{SPECTRA} cannot be opened ({error}).") from None
    if pixels != grid.size:
        raise MauryError(f"{name}/{SPECTRA} has {pixels:,} pixels, its grid {grid.size:,}.")
    return int(size)


def _known(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))
