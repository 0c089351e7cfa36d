"""From what a file holds to a spectrum that can be trusted: units, order, masks, damage."""

from __future__ import annotations

import numpy as np
from astropy import units
from numpy.typing import NDArray

from maury.errors import ReadError
from maury.grid import Medium
from maury.readers.base import RawSpectrum
from maury.spectrum import Frame, Spectrum

__all__ = ["DYNAMIC_RANGE", "MAX_DAMAGED", "MIN_PIXELS", "complete"]

MIN_PIXELS = 10
"""Fewer pixels, or fewer good ones, are not a spectrum."""

DYNAMIC_RANGE = 2.0**16
"""The brightest pixel over the typical one. A 16-bit detector cannot record more."""

MAX_DAMAGED = 0.01
"""Share of pixels beyond the dynamic range that a file may have and still be used."""

# Spellings in use; astropy would take A for ampere.
_ANGSTROM = ("A", "AA", "ANGSTROM", "ANGSTROMS")


def complete(raw: RawSpectrum, path: str, medium: Medium | None, frame: Frame | None) -> Spectrum:
    """Check what a reader found and make it a spectrum.

    Pixels are masked where the flux is not finite, is exactly zero (gaps between detectors and
    padding), is beyond `DYNAMIC_RANGE` times the median of its absolute value, where the
    uncertainty is not positive, or where the file says so.

    Parameters
    ----------
    raw : RawSpectrum
        What a reader found.
    path : str
        The file, for messages.
    medium, frame : str, optional
        What the user says; else what the file says; else air and barycentric.

    Raises
    ------
    ReadError
        If wavelengths are in nanometres or do not increase, or too little flux is good.
    """
    wavelength, flux = raw.wavelength, np.asarray(raw.flux, dtype=np.float64)
    uncertainty, flagged = raw.uncertainty, raw.mask
    if wavelength.shape != flux.shape:
        raise ReadError(
            f"{path} has {wavelength.size:,} wavelengths for {flux.size:,} values of flux."
        )
    if flux.size < MIN_PIXELS:
        raise ReadError(
            f"{path} has {flux.size} pixels, but a spectrum needs at least {MIN_PIXELS}."
        )
    wavelength = _in_angstrom(np.asarray(wavelength, dtype=np.float64), raw.unit, path)
    _check_order(wavelength, path)
    mask = _mask(flux, path)
    if flagged is not None:
        mask |= flagged
    if uncertainty is not None:
        usable = np.isfinite(uncertainty) & (uncertainty > 0)
        # Some pipelines leave the column empty, as HARPS in the ESO archive.
        if usable[~mask].any():
            mask |= ~usable
        else:
            uncertainty = None
    if np.count_nonzero(~mask) < MIN_PIXELS:
        raise ReadError(
            f"{path} has {np.count_nonzero(~mask)} good pixels among {flux.size:,}, "
            f"but a spectrum needs at least {MIN_PIXELS}."
        )
    return Spectrum(
        wavelength=wavelength,
        flux=flux,
        uncertainty=uncertainty,
        mask=mask,
        medium=medium or raw.medium or "air",
        frame=frame or raw.frame or "barycentric",
        meta=raw.meta,
    )


def _in_angstrom(
    wavelength: NDArray[np.float64], unit: str | None, path: str
) -> NDArray[np.float64]:
    if not np.isfinite(wavelength).all():
        pixel = int(np.flatnonzero(~np.isfinite(wavelength))[0]) + 1
        raise ReadError(f"{path} has no finite wavelength at pixel {pixel:,}.")
    if unit is not None and unit.upper() not in _ANGSTROM:
        try:
            wavelength = wavelength * units.Unit(unit.lower()).to(units.AA)
        except (ValueError, TypeError, units.UnitConversionError) as error:
            raise ReadError(
                f"{path} has wavelengths in {unit!r}, which is not a known unit of length."
            ) from error
    lower, upper = float(wavelength.min()), float(wavelength.max())
    span = f"{path} has wavelengths from {lower:g} to {upper:g}"
    if lower >= 200 and upper <= 1200:
        raise ReadError(
            f"{span}, which look like nanometres; multiply them by 10, since wavelengths must be "
            "in Angstrom."
        )
    if not (lower >= 900 and upper <= 1e5):
        raise ReadError(f"{span}, but they must be in Angstrom, from 900 to 100000.")
    return wavelength


def _check_order(wavelength: NDArray[np.float64], path: str) -> None:
    if np.all(wavelength[1:] > wavelength[:-1]):
        return
    step = np.diff(wavelength)
    if np.all(step < 0):
        raise ReadError(
            f"{path} has wavelengths that descend from {wavelength[0]:g} to {wavelength[-1]:g} A; "
            "reverse the order of its pixels."
        )
    pixel = int(np.flatnonzero(step <= 0)[0])
    what = "repeats" if step[pixel] == 0 else f"falls to {wavelength[pixel + 1]:.10g} A after"
    raise ReadError(
        f"{path} has wavelengths that do not increase: it {what} {wavelength[pixel]:.10g} A "
        f"at pixel {pixel + 2:,}."
    )


def _mask(flux: NDArray[np.float64], path: str) -> NDArray[np.bool_]:
    finite = np.isfinite(flux)
    if not finite.any():
        raise ReadError(f"{path} has no finite flux: all {flux.size:,} pixels are NaN or infinite.")
    if not finite.all():
        flux = np.where(finite, flux, 0.0)
    empty = flux == 0
    if empty.all():
        raise ReadError(f"{path} has no flux: all {flux.size:,} pixels are zero.")
    # With half of the flux above this, so is its median: far quicker told than the median itself.
    least = max(flux.max(), -flux.min()) / DYNAMIC_RANGE
    bright = np.count_nonzero(flux >= least)
    if 2 * bright > flux.size - np.count_nonzero(empty):
        return empty
    size = np.abs(flux)
    typical = float(np.median(size[~empty]))
    damaged = size > DYNAMIC_RANGE * typical
    number = int(np.count_nonzero(damaged))
    if number > MAX_DAMAGED * flux.size:
        raise ReadError(
            f"{path} is damaged: {number:,} of its {flux.size:,} pixels hold values of up to "
            f"{size.max():.1e}, more than {DYNAMIC_RANGE:,.0f} times its median flux of "
            f"{typical:.3g}, which no detector can record."
        )
    return empty | damaged
