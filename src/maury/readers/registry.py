"""The known formats, and `read`, which finds the right one."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import get_args

import numpy as np
from astropy.utils.exceptions import AstropyWarning

from maury.errors import ReadError
from maury.grid import Medium
from maury.readers.base import Light, Source, SpectrumReader, naming_damage
from maury.readers.eso_phase3 import EsoPhase3
from maury.readers.espresso_drs import EspressoDRS
from maury.readers.fits_table import FitsTable
from maury.readers.harps_drs import HarpsDRS
from maury.readers.phoenix import Phoenix
from maury.readers.quality import complete
from maury.readers.synthe import Synthe
from maury.readers.text import Text
from maury.readers.turbospectrum import Turbospectrum
from maury.spectrum import Frame, Spectrum

__all__ = ["READERS", "read", "read_with_light", "register"]

READERS: dict[str, SpectrumReader] = {}
"""The readers by the name of their format, in the order in which they are asked."""


def register(reader: SpectrumReader) -> SpectrumReader:
    """Make a format known; it is asked after those that are known already.

    Parameters
    ----------
    reader : SpectrumReader
        An instance; a reader of the same name is replaced.
    """
    READERS[reader.name] = reader
    return reader


for _reader in (
    *(EsoPhase3(), EspressoDRS(), Phoenix(), HarpsDRS()),
    *(Turbospectrum(), Synthe(), Text()),
):
    register(_reader)


def read(
    path: str | Path,
    format: str | None = None,
    medium: Medium | None = None,
    frame: Frame | None = None,
    wavelength_file: str | Path | None = None,
) -> Spectrum:
    """Read a spectrum from a file, plain or gzip.

    Parameters
    ----------
    path : str or Path
        The file: a HARPS DRS s1d or other one-dimensional FITS image with a linear axis, an ESO
        Phase 3 table, an S1D table of the ESPRESSO pipeline, or text of two or three columns; or a
        model, at rest: text of Turbospectrum or SYNTHE, or FITS of the PHOENIX library.
    format : str, optional
        One of `maury.readers.READERS`; by default the file itself tells.
    medium : {"air", "vacuum"}, optional
        Medium of the wavelengths in the file, where you know better than the file. They are not
        converted: see `Spectrum.to_medium`. A file that says nothing, as text without a comment
        ``# medium: vacuum``, is taken to be in air.
    frame : {"barycentric", "observatory", "rest"}, optional
        Frame of the wavelengths in the file, where you know better. A file that says nothing is
        taken to be in the barycentric frame. No header tells that a co-add is in the frame of its
        star, except where IRAF has shifted it.
    wavelength_file : str or Path, optional
        The file with the wavelengths, for PHOENIX alone; by default it is looked for beside the
        spectrum and in the three folders above.

    Returns
    -------
    Spectrum
        With pixels masked where the flux is zero, not finite or impossible, the uncertainty is not
        positive, or the file says that they are bad. Wavelengths in Angstrom.

    Raises
    ------
    ReadError
        If the file cannot be used as a spectrum; one sentence tells why.
    """
    return read_with_light(path, format, medium, frame, wavelength_file)[0]


def read_with_light(
    path: str | Path,
    format: str | None = None,
    medium: Medium | None = None,
    frame: Frame | None = None,
    wavelength_file: str | Path | None = None,
) -> tuple[Spectrum, Light]:
    """As `read`, and where the light of the spectrum came from."""
    _check_choice("medium", medium, get_args(Medium))
    _check_choice("frame", frame, get_args(Frame))
    _check_choice("format", format, tuple(READERS))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        # Astropy warns of headers that do not follow the standard; what matters is checked here.
        warnings.simplefilter("ignore", AstropyWarning)
        source = Source.open(path, wavelength_file)
        with naming_damage(source):
            reader = READERS[format] if format else _identify(source)
            if source.wavelength_file is not None and not reader.second_file:
                raise ReadError(
                    f"{path} is in the format {reader.name}, which has no wavelength_file: "
                    f"{wavelength_file} cannot be used."
                )
            raw = reader.read(source)
        return complete(raw, source.path, medium, frame), raw.light


def _check_choice(name: str, value: str | None, allowed: tuple[str, ...]) -> None:
    if value is not None and value not in allowed:
        raise ReadError(f"The {name} {value!r} is unknown; it can be {', '.join(allowed)}.")


def _identify(source: Source) -> SpectrumReader:
    for reader in READERS.values():
        if reader.identifies(source):
            return reader
    tables = FitsTable.all_of(source)
    if tables:
        names = ", ".join(tables[0].names[:8])
        raise ReadError(
            f"{source.path} holds a FITS table with the columns {names}, which is none of the "
            "known layouts of a spectrum."
        )
    if source.is_fits:
        raise ReadError(f"{source.path} is a FITS file without any data.")
    known = "; ".join(reader.description for reader in READERS.values())
    raise ReadError(f"{source.path} is neither FITS nor text; the known formats are: {known}.")
