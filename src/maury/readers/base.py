"""What a reader of one file format is, and what it is given."""

from __future__ import annotations

import gzip
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import ClassVar

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from maury.errors import ReadError
from maury.grid import Medium
from maury.readers.cards import without_unused_cards
from maury.readers.columns import parse_columns
from maury.spectrum import Frame, Observation

__all__ = ["SURFACE_FLUX", "Light", "RawSpectrum", "Source", "SpectrumReader", "naming_damage"]

SURFACE_FLUX = "erg s-1 cm-2 Angstrom-1"
"""Unit of the flux at a star's surface, to which spectra of models are converted."""

# Astropy meets damaged headers with whatever its code stumbles on.
_FITS_DAMAGE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    TypeError,
    ValueError,
    fits.VerifyError,
)

_GZIP = b"\x1f\x8b"
_FITS = b"SIMPLE  ="
_BLANK = b"\0 \r\n\t"


@dataclass(frozen=True)
class Source:
    """A file in memory, unpacked when it was gzip.

    Parameters
    ----------
    path : str
        The file, as the user wrote it; every message names it so.
    content : bytes
        What is in it.
    wavelength_file : str, optional
        A second file with the wavelengths, where the user names one.
    """

    path: str
    content: bytes = field(repr=False)
    wavelength_file: str | None = None

    @classmethod
    def open(cls, path: str | Path, wavelength_file: str | Path | None = None) -> Source:
        """Read a file, and unpack it when it is gzip.

        Raises
        ------
        ReadError
            If it is missing, a directory, unreadable, empty or damaged gzip.
        """
        file = Path(path)
        if file.is_dir():
            raise ReadError(f"{path} is a directory, not a spectrum; name the files in it.")
        if not file.exists():
            raise ReadError(f"{path} does not exist.")
        try:
            content = file.read_bytes()
        except OSError as error:
            raise ReadError(f"{path} cannot be read ({error.strerror}).") from error
        if content.startswith(_GZIP):
            try:
                content = gzip.decompress(content)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise ReadError(f"{path} is gzip, but damaged or cut short ({error}).") from error
        # The second strip copies megabytes.
        if not content[:1000].strip(_BLANK) and not content.strip(_BLANK):
            raise ReadError(f"{path} is empty.")
        return cls(str(path), content, None if wavelength_file is None else str(wavelength_file))

    @property
    def is_fits(self) -> bool:
        """Whether the content starts as FITS does."""
        return self.content.startswith(_FITS)

    @property
    def is_text(self) -> bool:
        """Whether the content is not FITS and starts without bytes that text cannot have."""
        return not self.is_fits and b"\0" not in self.content[:65536]

    @cached_property
    def columns(self) -> NDArray[np.float64] | ReadError:
        """The numbers of a text file, float64[rows, columns], or what is wrong with them."""
        if not self.is_text:
            return ReadError(f"{self.path} is not text.")
        try:
            return parse_columns(self.content, self.path)
        except ReadError as error:
            return error

    @cached_property
    def hdus(self) -> list[fits.PrimaryHDU | fits.ImageHDU | fits.BinTableHDU]:
        """The HDUs of a FITS file, complete; an empty list for any other file.

        The first header has no HIERARCH cards but those that readers look for.

        Raises
        ------
        ReadError
            If the FITS file is truncated.
        """
        if not self.is_fits:
            return []
        content = without_unused_cards(self.content)
        hdus = fits.open(BytesIO(content), memmap=False, lazy_load_hdus=False)
        for hdu in hdus:
            lacking = hdu.fileinfo()["datLoc"] + hdu.size - len(content)
            if lacking > 0:
                raise ReadError(
                    f"{self.path} is truncated: its header announces "
                    f"{len(self.content) + lacking:,} bytes, the file has {len(self.content):,}."
                )
        return list(hdus)


@contextmanager
def naming_damage(source: Source) -> Iterator[None]:
    """Turn what astropy raises over a damaged FITS file into a ReadError that names it."""
    try:
        yield
    except _FITS_DAMAGE as error:
        if not source.is_fits:
            raise
        reason = str(error).split("\n")[0].strip().rstrip(".")
        raise ReadError(f"{source.path} is a damaged FITS file ({reason}).") from error


@dataclass(frozen=True)
class Light:
    """Where the light of a spectrum came from, as far as its file tells.

    Parameters
    ----------
    kind : str, optional
        What the fibres were on, as observatories write it: ``STAR,SKY,G2``, ``WAVE,WAVE,THAR2``.
        The first is fibre A.
    fibre : {"A", "B"}, optional
        Which of the two the spectrum is of, for a spectrograph that has two.
    exposures : int
        How many were added up.
    """

    kind: str | None = None
    fibre: str | None = None
    exposures: int = 1


@dataclass(frozen=True)
class RawSpectrum:
    """What a reader found in a file, before it is checked and completed.

    Parameters
    ----------
    wavelength, flux : array, [n]
        As the file has them.
    uncertainty : array, [n], optional
        One standard deviation.
    mask : bool array, [n], optional
        True where the file itself flags a pixel as bad.
    unit : str, optional
        Unit of the wavelengths where the file names one; otherwise they must be in Angstrom.
    medium, frame : str, optional
        What the file tells of its wavelengths; None where it does not tell.
    meta : Observation
        Facts from the header.
    light : Light
        Where the light came from.
    """

    wavelength: NDArray[np.float64]
    flux: NDArray[np.float64]
    uncertainty: NDArray[np.float64] | None = None
    mask: NDArray[np.bool_] | None = None
    unit: str | None = None
    medium: Medium | None = None
    frame: Frame | None = None
    meta: Observation = field(default_factory=Observation)
    light: Light = field(default_factory=Light)


class SpectrumReader(ABC):
    """A file format: how to recognise it and what to take from it.

    Subclasses set `name` and `description` and are made known with
    `maury.readers.register`. Units, order of wavelengths, masks and damage are not their concern:
    `maury.read` checks these for all formats alike. `second_file` is set where the wavelengths
    may stand in a file of their own.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    second_file: ClassVar[bool] = False

    @abstractmethod
    def identifies(self, source: Source) -> bool:
        """Whether the file looks like this format."""

    @abstractmethod
    def read(self, source: Source) -> RawSpectrum:
        """What the file holds.

        Raises
        ------
        ReadError
            If the file is of this format but cannot be used.
        """
