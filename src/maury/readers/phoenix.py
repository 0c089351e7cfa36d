"""High-resolution spectra of the PHOENIX library (Husser et al. 2013, A&A 553, A6)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from maury.errors import ReadError
from maury.readers.base import (
    SURFACE_FLUX,
    RawSpectrum,
    Source,
    SpectrumReader,
    naming_damage,
)
from maury.readers.headers import Headers

__all__ = ["Phoenix"]

_WAVELENGTHS = "WAVE_PHOENIX-ACES-AGSS-COND-2011.fits"
_PER_CM = ("erg/s/cm^2/cm", "erg/s/cm2/cm", "erg/s/cm**2/cm")
# The library begins at 500 A, spectra of `maury.read` at 900 A.
_FIRST, _SHORTEST = 500.0, 900.0


class Phoenix(SpectrumReader):
    """``lte*.PHOENIX-ACES-AGSS-COND-2011-HiRes.fits``, with the wavelengths in a second file.

    The primary HDU holds the flux at the star's surface in erg/s/cm2/cm, which becomes erg/s/cm2/A.
    The wavelengths, one and the same list for the whole library, are in vacuum, in A, at rest with
    the star; what is below 900 A is left out. PHXTEFF, PHXLOGG, PHXM_H, PHXALPHA and PHXXI_L (the
    microturbulence) become the parameters in `Observation`.
    """

    name = "phoenix"
    description = "PHOENIX high-resolution FITS (Goettingen)"
    second_file = True

    def identifies(self, source: Source) -> bool:
        """Whether the first HDU has PHXTEFF."""
        return bool(source.hdus) and "PHXTEFF" in source.hdus[0].header

    def read(self, source: Source) -> RawSpectrum:
        """Flux of the one file, wavelengths of the other."""
        if not source.hdus:
            raise ReadError(f"{source.path} is not FITS, as spectra of the PHOENIX library are.")
        header = source.hdus[0].header
        flux = _array(source, "spectrum of the PHOENIX library")
        headers = Headers([header])
        if (headers.text("CTYPE1") or "").upper().endswith("-LOG"):
            raise ReadError(
                f"{source.path} is of the medium-resolution PHOENIX library; only its "
                "high-resolution files, which have no CTYPE1, can be read."
            )
        unit = headers.text("BUNIT")
        if unit is not None and unit.replace(" ", "") not in _PER_CM:
            raise ReadError(
                f"{source.path} has flux in {unit!r}; the PHOENIX library has erg/s/cm^2/cm."
            )
        wavelengths = Source.open(source.wavelength_file or _beside(source.path))
        with naming_damage(wavelengths):
            wavelength = _wavelengths(wavelengths)
        if wavelength.size != flux.size:
            raise ReadError(
                f"{wavelengths.path} has {wavelength.size:,} wavelengths for the {flux.size:,} "
                f"values of flux in {source.path}."
            )
        kept = ~(wavelength < _SHORTEST)
        meta = headers.observation(source.path, SURFACE_FLUX)
        return RawSpectrum(
            wavelength=wavelength[kept],
            flux=flux[kept] * 1e-8,
            medium="vacuum",
            frame="rest",
            meta=replace(meta, object=meta.object or Path(source.path).name.split(".PHOENIX")[0]),
        )


def _array(source: Source, what: str) -> NDArray[np.float64]:
    hdu = source.hdus[0] if source.hdus else None
    if not isinstance(hdu, fits.PrimaryHDU) or hdu.size == 0 or np.ndim(hdu.data) != 1:
        raise ReadError(f"{source.path} is no {what}: its first HDU must be an array of one axis.")
    return np.asarray(hdu.data, dtype=np.float64)


def _beside(path: str) -> Path:
    """The list of wavelengths in the folder of a spectrum or in one of the three above."""
    folder = Path(path).absolute().parent
    for place in (folder, *folder.parents[:3]):
        for name in (_WAVELENGTHS, f"{_WAVELENGTHS}.gz"):
            if (place / name).is_file():
                return place / name
    raise ReadError(
        f"{path} has its wavelengths in a second file, {_WAVELENGTHS}, which is neither beside it "
        "nor in the three folders above; name it with wavelength_file."
    )


def _wavelengths(source: Source) -> NDArray[np.float64]:
    wavelength = _array(source, "list of wavelengths of the PHOENIX library")
    unit = Headers([source.hdus[0].header]).text("UNIT", "BUNIT")
    named = unit is not None and not unit.lower().startswith("angstrom")
    if named or wavelength[0] < _FIRST:
        raise ReadError(
            f"{source.path} has wavelengths from {wavelength[0]:g} {unit or ''}".rstrip()
            + f", but they must be in Angstrom, from {_FIRST:g}."
        )
    return wavelength
