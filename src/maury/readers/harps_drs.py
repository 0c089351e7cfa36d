"""One-dimensional FITS images with a linear wavelength axis, as the HARPS pipeline writes them."""

from __future__ import annotations

import numpy as np
from astropy.io import fits

from maury.errors import ReadError
from maury.grid import Medium
from maury.readers.base import RawSpectrum, Source, SpectrumReader
from maury.readers.headers import Headers

__all__ = ["HarpsDRS"]

# FITS Paper III (Greisen et al. 2006, A&A 446, 747, Table 1).
_MEDIA: dict[str, Medium] = {"AWAV": "air", "WAVE": "vacuum"}


class HarpsDRS(SpectrumReader):
    """The s1d file of the HARPS DRS, and other one-dimensional images with a linear axis.

    The HARPS DRS writes air wavelengths in the frame of the solar system's barycentre, 0.01 A a
    pixel, with zeros in the gap between the CCDs. Without CRPIX1, CRVAL1 is the wavelength of the
    first pixel. A logarithmic axis is understood where DC-FLAG = 1 (IRAF).
    """

    name = "harps-drs"
    description = "one-dimensional FITS image with a linear wavelength axis (HARPS DRS s1d)"

    def identifies(self, source: Source) -> bool:
        """Whether there is an image and no table."""
        return any(_is_image(hdu) for hdu in source.hdus) and not any(
            isinstance(hdu, fits.BinTableHDU) for hdu in source.hdus
        )

    def read(self, source: Source) -> RawSpectrum:
        """The first image as flux, with wavelengths from CRVAL1, CDELT1 (or CD1_1) and CRPIX1."""
        hdu = next((hdu for hdu in source.hdus if _is_image(hdu)), None)
        if hdu is None:
            raise ReadError(f"{source.path} holds no FITS image.")
        flux = np.asarray(hdu.data, dtype=np.float64).squeeze()
        if flux.ndim != 1:
            shape = " x ".join(str(n) for n in hdu.data.shape[::-1])
            raise ReadError(
                f"{source.path} holds an image of {shape} pixels, not a one-dimensional spectrum; "
                "merge its orders first."
            )
        headers = Headers([hdu.header, source.hdus[0].header])
        first = headers.number("CRVAL1")
        # CD1_1 stands beside an equal CDELT1, or alone.
        step = headers.number("CDELT1", "CD1_1")
        if first is None or step is None or step == 0:
            raise ReadError(
                f"{source.path} holds a one-dimensional image without wavelengths: "
                "its header lacks CRVAL1 or CDELT1."
            )
        reference = headers.number("CRPIX1")
        axis = np.arange(1, flux.size + 1, dtype=np.float64)
        # In place: new arrays of this size take longer than what is done to them.
        axis -= 1.0 if reference is None else reference
        axis *= step
        axis += first
        logarithmic = headers.number("DC-FLAG") == 1
        kind = (headers.text("CTYPE1") or "").upper().split("-")[0]
        drs = headers.text("ESO DRS VERSION", "TNG DRS VERSION") is not None
        return RawSpectrum(
            wavelength=10**axis if logarithmic else axis,
            flux=flux,
            unit=headers.text("CUNIT1"),
            medium=_MEDIA.get(kind, "air" if drs else None),
            frame=headers.frame() or ("barycentric" if drs else None),
            meta=headers.observation(source.path, headers.text("BUNIT")),
            light=headers.light(source.path),
        )


def _is_image(hdu: object) -> bool:
    return isinstance(hdu, fits.PrimaryHDU | fits.ImageHDU) and hdu.size > 0
