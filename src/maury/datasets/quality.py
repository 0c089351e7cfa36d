"""What is wrong with a spectrum, as far as it and its header tell."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from maury.errors import ReadError
from maury.readers import Light
from maury.spectrum import Spectrum

__all__ = ["QUALITY_FLAGS", "leave_out_damage", "quality_flags", "refuse_lamp"]

QUALITY_FLAGS: Mapping[str, str] = {
    "saturated": "neighbours hold exactly the greatest flux, or the SNR is more than HARPS's "
    "detector can give in one exposure",
    "low-snr": "the SNR near 5500 A is below 10",
    "wrong-fibre": "the light is of the sky, not of a star",
    "negative-flux": "more than 1% of the good pixels are negative",
    "damaged-pixels": "more than ten pixels hold above 20 times the median flux, or the file marks "
    "more than 1% of its pixels as bad",
}
"""What is noted of spectra that are kept all the same."""

LOW_SNR = 10.0

MOST_SNR = {"HARPS": 568.0}
"""Beyond which the detector must have been saturated, by INSTRUME.

65,535 ADU of 1.36 electrons (ESO DRS CCD CONAD) at the peak of an order whose profile has a full
width of 3.4 pixels (HARPS User Manual, 3P6-MAN-ESO-90100-0005, Sect. 2) are 323,000 electrons a
pixel of the spectrum, the square of this ratio. It is told from the header alone: the flux of an
s1d file is no longer in counts.
"""

CLIPPED_PIXELS, LEAST_CLIPPED = 5, 1.1
"""So many neighbours with one and the same greatest flux are clipped: noise is never so flat.

A continuum that was set to 1 does, but is hardly above the median flux.
"""

MOST_NEGATIVE = 0.01

MOST_FLUX, DAMAGED_PIXELS, MOST_MARKED = 20.0, 10, 0.01

_LAMP = re.compile(r"WAVE|LAMP|THAR|TUN|FLAT|BIAS|DARK|FP\b|COMB", re.IGNORECASE)


def refuse_lamp(light: Light, file: str) -> None:
    """Leave out what is of no star: a lamp, or the fibre beside the star's.

    Parameters
    ----------
    light
        Of the file.
    file
        For the message.

    Raises
    ------
    ReadError
        If fibre A was on a lamp or closed, or the spectrum is of fibre B, which is on the sky, on
        a lamp or closed.

    Examples
    --------
    >>> refuse_lamp(Light("STAR,WAVE,G2", "A"), "a.fits")
    >>> refuse_lamp(Light("WAVE,WAVE,THAR2"), "b.fits")
    Traceback (most recent call last):
    maury.errors.ReadError: b.fits is of a lamp (WAVE,WAVE,THAR2), not of a star.
    """
    if light.fibre == "B":
        raise ReadError(f"{file} is of fibre B, not of the fibre that is on the star.")
    if _LAMP.search(_seen(light)):
        raise ReadError(f"{file} is of a lamp ({light.kind}), not of a star.")


def quality_flags(spectrum: Spectrum, light: Light, flux: NDArray[np.float32]) -> list[str]:
    """What is to be noted of a spectrum that is kept, some of `QUALITY_FLAGS`.

    Parameters
    ----------
    spectrum
        As it was read. Its SNR is that of the header, else the median of flux over uncertainty.
    light
        Where its light came from.
    flux : float32[pixel]
        As it is kept: divided by its median, NaN where it is bad.
    """
    snr = _snr(spectrum)
    valid = np.count_nonzero(spectrum.valid)
    # Comparisons with NaN are false.
    negative = np.count_nonzero(flux < 0) / np.count_nonzero(~np.isnan(flux))
    bright = np.count_nonzero(np.abs(flux) > MOST_FLUX)
    # Zeros are gaps between detectors and padding, which are as they should be.
    marked = np.count_nonzero(spectrum.mask & (spectrum.flux != 0))
    limit = MOST_SNR.get((spectrum.meta.instrument or "").upper(), np.inf)
    saturated = light.exposures == 1 and snr is not None and snr > limit
    found = {
        "saturated": saturated or _is_clipped(spectrum),
        "low-snr": snr is not None and snr < LOW_SNR,
        "wrong-fibre": _seen(light).upper() == "SKY",
        "negative-flux": negative > MOST_NEGATIVE,
        "damaged-pixels": bright > DAMAGED_PIXELS or marked > MOST_MARKED * valid,
    }
    return [name for name, is_so in found.items() if is_so]


def leave_out_damage(flux: NDArray[np.float32]) -> bool:
    """Mask pixels that hold more than 20 times the median flux, or less than minus that.

    No star that the package is for has so strong an emission line, and one such pixel outweighs
    all others in a loss. HARPS's pipeline leaves thousands below 3820 Angstrom where it has divided
    by a blaze of next to nothing.

    Parameters
    ----------
    flux : float32[pixel]
        Divided by its median; NaN is put where it is damaged.

    Returns
    -------
    bool
        Whether there is such a pixel.

    Examples
    --------
    >>> flux = np.array([1.0, 4900.0, 0.9], dtype=np.float32)
    >>> leave_out_damage(flux), flux
    (True, array([1. , nan, 0.9], dtype=float32))
    """
    damaged = np.abs(flux) > MOST_FLUX
    flux[damaged] = np.nan
    return bool(damaged.any())


def _seen(light: Light) -> str:
    """What fibre A was on."""
    return (light.kind or "").split(",")[0].strip()


def _snr(spectrum: Spectrum) -> float | None:
    if spectrum.meta.snr is not None or spectrum.uncertainty is None:
        return spectrum.meta.snr
    good = spectrum.valid
    return float(np.median(spectrum.flux[good] / spectrum.uncertainty[good]))


def _is_clipped(spectrum: Spectrum) -> bool:
    greatest = spectrum.flux.max(where=spectrum.valid, initial=-np.inf)
    at = np.flatnonzero(spectrum.flux == greatest)
    span = CLIPPED_PIXELS - 1
    if not np.any(at[span:] - at[:-span] == span):
        return False
    return bool(greatest > LEAST_CLIPPED * np.median(spectrum.flux[spectrum.valid]))
