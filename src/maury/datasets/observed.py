"""Observed spectra on one grid: read, mask, resample, normalise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from maury.datasets.duplicates import DUPLICATE
from maury.datasets.label_table import LabelTable
from maury.datasets.quality import QUALITY_FLAGS, leave_out_damage, quality_flags, refuse_lamp
from maury.errors import ReadError, SpectrumError
from maury.grid import Medium, WavelengthGrid
from maury.labels import HARPS_LABELS
from maury.readers import read_with_light
from maury.spectrum import Frame, Spectrum, doppler_shift, resample

__all__ = ["COLUMNS", "FLAGS", "Exposure", "on_grid", "to_barycentric"]

COLUMNS = pa.schema(
    [
        *((name, pa.string()) for name in ("file", "sha256", "star", "instrument")),
        *((name, pa.float64()) for name in ("mjd", "exposure", "snr", "ra", "dec")),
        *((name, pa.float64()) for name in ("resolving_power", "level", *HARPS_LABELS.names)),
        ("airmass_end", pa.float64()),
        *((name, pa.string()) for name in ("programme", "drs_version")),
        ("flags", pa.list_(pa.string())),
    ]
)
"""Of observed spectra: what their headers and the label table tell, NaN or null where nothing does.

``mjd`` is the start of the exposure (UTC), ``exposure`` in seconds, ``ra`` and ``dec`` in degrees,
``level`` the median flux that the spectrum was divided by, in the file's unit; the labels are in
K, dex and km/s, ``airmass`` being that of the start. ``programme`` and ``drs_version`` are the
observing programme and the version of the pipeline.
"""

FLAGS: Mapping[str, str] = {
    "instrument-unknown": "the header does not name the instrument",
    "from-vacuum": "wavelengths were converted to air",
    "from-air": "wavelengths were converted to vacuum",
    "from-observatory": "wavelengths were shifted by the header's BERV",
    "resampled": "the pixels were not the grid's",
    "partial": "less than 90% of the grid's pixels are good",
    **QUALITY_FLAGS,
    DUPLICATE: "the store has the same exposure already, from another file",
}
"""What may be noted of an observed spectrum."""

MOST_OFFSET = 1e-3
"""Of pixels that count as the grid's own, in pixels: a metre per second at HARPS's pixels."""

LEAST_COVERAGE, FULL_COVERAGE = 0.5, 0.9


@dataclass(frozen=True)
class Exposure:
    """What `maury.datasets.filling.fill` computes of an observed spectrum.

    Parameters
    ----------
    grid : WavelengthGrid
        To bring it to.
    instrument : str, optional
        What the header must name, if it names any; None for whatever it is.
    labels : LabelTable, optional
        What is known of stars or files; it goes before what headers tell, but for its
        `after_headers`.
    medium, frame : str, optional
        As of `maury.read`.
    """

    grid: WavelengthGrid
    instrument: str | None = None
    labels: LabelTable | None = None
    medium: Medium | None = None
    frame: Frame | None = None

    def __call__(self, row: Mapping[str, Any]) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """The flux over its median, NaN where it is bad, and the catalogue's columns.

        Parameters
        ----------
        row
            Its ``file``.

        Raises
        ------
        MauryError
            If the file cannot be used; one sentence tells why.
        """
        _keep_freed_memory()
        file = row["file"]
        spectrum, light = read_with_light(file, medium=self.medium, frame=self.frame)
        refuse_lamp(light, file)
        flags = self._check_instrument(spectrum, file)
        if spectrum.frame == "observatory":
            flags.append("from-observatory")
        if spectrum.medium != self.grid.medium:
            flags.append("from-vacuum" if self.grid.medium == "air" else "from-air")
        flux, resampled = on_grid(to_barycentric(spectrum, file), self.grid)
        if resampled:
            flags.append("resampled")
        good = ~np.isnan(flux)
        share = np.count_nonzero(good) / np.count_nonzero(self.grid.valid)
        if share < LEAST_COVERAGE:
            raise ReadError(
                f"{file} has good flux in {share:.1%} of the grid {self.grid.name!r}, "
                f"{self.grid.start:.2f}-{self.grid.stop:.2f} A; {LEAST_COVERAGE:.0%} are needed."
            )
        if share < FULL_COVERAGE:
            flags.append("partial")
        level = _median(flux[good])
        if not level > 0:
            raise SpectrumError(
                f"{file} has a median flux of {level:.4g}, but it must be positive."
            )
        flux /= np.float32(level)
        flags += quality_flags(spectrum, light, flux)
        if leave_out_damage(flux):
            rest = _median(flux[~np.isnan(flux)])
            flux /= np.float32(rest)
            level *= rest
        facts = _facts(spectrum, file)
        if self.labels is not None:
            known = self.labels.find(star=spectrum.meta.object, file=file)
            spare = {name for name in self.labels.after_headers if not math.isnan(facts[name])}
            facts |= {name: value for name, value in known.items() if name not in spare}
        return flux, {**facts, "level": level, "flags": flags}

    def _check_instrument(self, spectrum: Spectrum, file: str) -> list[str]:
        found = spectrum.meta.instrument
        if found is None:
            return ["instrument-unknown"]
        if self.instrument is not None and found.upper() != self.instrument.upper():
            raise ReadError(f"{file} is from {found}, not from {self.instrument}.")
        return []


def to_barycentric(spectrum: Spectrum, file: str) -> Spectrum:
    """The spectrum with wavelengths relative to the solar system's barycentre.

    Parameters
    ----------
    spectrum
        In the frame of the barycentre, or of the observatory with a known BERV.
    file
        For messages.

    Raises
    ------
    ReadError
        If its frame is another.
    """
    if spectrum.frame == "barycentric":
        return spectrum
    if spectrum.frame == "rest":
        raise ReadError(
            f"{file} is in the rest frame of its star, but a set of exposures needs the "
            "barycentric frame."
        )
    if spectrum.meta.berv is None:
        raise ReadError(
            f"{file} is in the frame of the observatory and its header has no BERV to bring it to "
            "the barycentric frame."
        )
    return doppler_shift(spectrum, spectrum.meta.berv, frame="barycentric")


def on_grid(spectrum: Spectrum, grid: WavelengthGrid) -> tuple[NDArray[np.float32], bool]:
    """Flux on a grid, and whether it had to be resampled.

    Where the spectrum's pixels are the grid's, as in the files of the HARPS pipeline, the flux is
    copied; otherwise it is resampled by `maury.resample`.

    Returns
    -------
    numpy.ndarray
        float32[pixel], NaN where the spectrum or the grid has nothing.
    bool
        Whether the pixels were not the grid's.
    """
    first = round((spectrum.wavelength[0] - grid.start) / grid.step)
    low, high = max(first, 0), min(first + len(spectrum), grid.size)
    flux = np.full(grid.size, np.nan, dtype=np.float32)
    if spectrum.medium == grid.medium and high - low > 1:
        part = slice(low - first, high - first)
        offset = spectrum.wavelength[part] - grid.wavelength[low:high]
        if max(offset.max(), -offset.min()) <= MOST_OFFSET * grid.step:
            # What float32 cannot hold is bad in any case.
            with np.errstate(over="ignore"):
                flux[low:high] = spectrum.flux[part]
            bad = spectrum.mask[part] | ~grid.valid[low:high]
            np.copyto(flux[low:high], np.nan, where=bad)
            return flux, False
    resampled = resample(spectrum, grid)
    np.copyto(flux, resampled.flux, where=resampled.valid, casting="same_kind")
    return flux, True


def _facts(spectrum: Spectrum, file: str) -> dict[str, Any]:
    """What the header tells, by the names of `COLUMNS`."""
    meta = spectrum.meta
    pointing = ("exposure", "snr", "ra", "dec", "resolving_power", "airmass_end")
    numbers = (*pointing, *HARPS_LABELS.names)
    facts = {name: getattr(meta, name) for name in numbers}
    return {
        **{name: math.nan if value is None else value for name, value in facts.items()},
        # Without a name it is a star of its own.
        "star": meta.object or Path(file).name,
        "instrument": meta.instrument,
        "programme": meta.programme,
        "drs_version": meta.drs_version,
        "mjd": math.nan if meta.time is None else float(meta.time.mjd),
    }


@cache
def _keep_freed_memory() -> None:
    """Have glibc keep what arrays of some MB give back, and which the next ones want again.

    It returns to the system all above twice the largest block that it has got from there and been
    given back (mallopt(3), M_MMAP_THRESHOLD). A third of the time went into asking again.
    """
    np.empty(31_000_000, dtype=np.uint8)


def _median(values: NDArray[np.float32]) -> float:
    """As `numpy.median`, which takes several times as long."""
    middle = values.size // 2
    parted = np.partition(values, middle)
    upper = float(parted[middle])
    return upper if values.size % 2 else (float(parted[:middle].max()) + upper) / 2
