"""Spectra into files that `maury.read` reads again."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

import numpy as np
from astropy.io import fits

from maury.errors import MauryError, TargetError
from maury.spectrum import Spectrum

__all__ = ["SUFFIXES", "check_target", "write"]

SUFFIXES: tuple[str, ...] = (".fits", ".txt", ".csv")
"""The formats, by the ending of the file's name."""

_SPECSYS = {"barycentric": "BARYCENT", "observatory": "TOPOCENT", "rest": "SOURCE"}
_UCD = {"air": "em.wl;obs.atmos", "vacuum": "em.wl"}
# Where `maury.readers.headers` looks for the facts of an observation first.
_KEYWORDS = {
    "object": "OBJECT",
    "berv": "HIERARCH ESO QC BERV",
    "airmass": "HIERARCH ESO TEL AIRM START",
    "airmass_end": "HIERARCH ESO TEL AIRM END",
    "time": "DATE-OBS",
    "exposure": "EXPTIME",
    "snr": "SNR",
    "programme": "PROG_ID",
    "instrument": "INSTRUME",
    "drs_version": "PROCSOFT",
    "rv": "HIERARCH ESO QC CCF RV",
    "teff": "TEFF",
    "logg": "LOGG",
    "mh": "MH",
    "alpha": "ALPHA",
    "vmic": "VMIC",
}


def check_target(path: str | Path, suffixes: tuple[str, ...] = SUFFIXES) -> Path:
    """A path that can be written to, before the work that ends there is begun.

    Raises
    ------
    TargetError
        If the ending names no known format, the folder is missing or the path is a folder.

    Examples
    --------
    >>> check_target("sun.fits").name
    'sun.fits'
    >>> check_target("sun.doc")
    Traceback (most recent call last):
    maury.errors.TargetError: sun.doc cannot be written: the name must end in .fits, .txt or .csv.
    """
    target = Path(path)
    if target.suffix.lower() not in suffixes:
        known = " or ".join(filter(None, (", ".join(suffixes[:-1]), suffixes[-1])))
        raise TargetError(f"{path} cannot be written: the name must end in {known}.")
    if target.is_dir():
        raise TargetError(f"{path} cannot be written: it is a directory.")
    if not target.parent.is_dir():
        raise TargetError(f"{path} cannot be written: there is no folder {target.parent}.")
    return target


def write(
    spectrum: Spectrum,
    path: str | Path,
    parameters: Mapping[str, float | str | None] | None = None,
) -> None:
    """Write a spectrum; the ending of the name tells the format.

    ``.fits`` is a table of one row with the array columns WAVE, FLUX and, where there are any, ERR
    and QUAL, as the ESO archive has them (GEN-SPE-ESO-33000-5335, Sect. 5): TUCD1 tells air or
    vacuum, SPECSYS the frame. ``.txt`` and ``.csv`` have two or three columns under lines of the
    form ``# key: value``. `maury.read` gives the spectrum back from each, its medium, frame and
    facts included; text holds wavelengths to 1e-6 A and flux to nine digits, and bad pixels as NaN.

    Parameters
    ----------
    spectrum : Spectrum
        What to write.
    path : str or Path
        The file; one that is there already is replaced, in one step when the new one is complete.
    parameters : mapping, optional
        Further facts for the header, by names of up to eight letters; None is left out.

    Raises
    ------
    MauryError
        If the file cannot be written; nothing is left behind then.
    """
    target = check_target(path)
    facts = {key: value for key, value in (parameters or {}).items() if value is not None}
    if target.suffix.lower() == ".fits":
        hdus = _hdus(spectrum, facts)
        _replace(target, lambda file: hdus.writeto(file))
    else:
        separator = "," if target.suffix.lower() == ".csv" else " "
        _replace(target, lambda file: _write_text(file, spectrum, facts, separator))


def _replace(target: Path, fill: Callable[[IO[bytes]], object]) -> None:
    """Fill a file beside the target and give it the target's name when it is complete."""
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        try:
            with part.open("wb") as file:
                fill(file)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise MauryError(f"{target} cannot be written ({error.strerror or error}).") from error


def _observation(spectrum: Spectrum) -> dict[str, float | str]:
    facts = spectrum.meta.to_dict()
    del facts["path"]
    return {key: value for key, value in facts.items() if value is not None}


def _hdus(spectrum: Spectrum, parameters: Mapping[str, float | str]) -> fits.HDUList:
    facts = _observation(spectrum)
    flux_unit = facts.pop("flux_unit", None)
    primary = fits.PrimaryHDU()
    primary.header["SPECSYS"] = (_SPECSYS[spectrum.frame], "frame of the wavelengths")
    for key, value in facts.items():
        primary.header[_KEYWORDS[key]] = value
    for key, value in parameters.items():
        primary.header[key.upper()] = value
    size = len(spectrum)
    columns = [
        _column("WAVE", "D", spectrum.wavelength, "Angstrom"),
        _column("FLUX", "D", spectrum.flux, flux_unit),
    ]
    if spectrum.uncertainty is not None:
        columns.append(_column("ERR", "D", spectrum.uncertainty, flux_unit))
    if spectrum.mask.any():
        columns.append(_column("QUAL", "J", spectrum.mask.astype(np.int32), None))
    table = fits.BinTableHDU.from_columns(columns, name="SPECTRUM")
    table.header["TUCD1"] = (_UCD[spectrum.medium], f"wavelengths in {spectrum.medium}")
    table.header["TUCD2"] = "phot.flux.density;em.wl"
    table.header["SPECSYS"] = primary.header["SPECSYS"]
    table.header["VOCLASS"] = "SPECTRUM v2.0"
    table.header["NELEM"] = size
    return fits.HDUList([primary, table])


def _column(name: str, code: str, values: np.ndarray, unit: object) -> fits.Column:
    return fits.Column(name, f"{values.size}{code}", unit=unit, array=values[None])


def _write_text(
    file: IO[bytes], spectrum: Spectrum, parameters: Mapping[str, float | str], separator: str
) -> None:
    facts: dict[str, float | str] = {"medium": spectrum.medium, "frame": spectrum.frame}
    facts |= _observation(spectrum) | dict(parameters)
    names = ["wavelength", "flux"]
    columns = [spectrum.wavelength, np.where(spectrum.mask, np.nan, spectrum.flux)]
    if spectrum.uncertainty is not None:
        names.append("uncertainty")
        columns.append(spectrum.uncertainty)
    head = [f"# {key}: {value}" for key, value in facts.items()]
    # Without separators a line of names could not be told from the comments before it.
    head.append(separator.join(names) if separator == "," else "# " + separator.join(names))
    file.write(("\n".join(head) + "\n").encode())
    formats = ["%.6f"] + ["%.9g"] * (len(columns) - 1)
    np.savetxt(file, np.stack(columns, axis=1), fmt=formats, delimiter=separator)
