"""Spectra by Kurucz's SYNTHE, also as Autokur runs it, converted to text.

The binary spectrum of SYNTHE is turned into text by one of several small programs, which do not
agree on units and write none into the file. The numbers tell: a star's flux per Hz is below 0.1 in
cgs units and that per A or nm is above 100.
"""

from __future__ import annotations

import numpy as np
from astropy.constants import c as _LIGHT
from numpy.typing import NDArray

from maury.errors import ReadError
from maury.readers.base import SURFACE_FLUX, RawSpectrum, Source, SpectrumReader
from maury.readers.columns import is_smooth
from maury.spectrum import Observation

__all__ = ["Synthe"]

_LIGHT_IN_ANGSTROM = float(_LIGHT.to_value("Angstrom / s"))
# Where spectra in Angstrom begin for `maury.read`; those in nm are below.
_SHORTEST = 900.0
_MOST_PER_HERTZ = 0.1
_LEAST_PER_LENGTH = 100.0


class Synthe(SpectrumReader):
    """Wavelength, flux, continuum and, in some, flux over continuum.

    Read are the ``.asc`` file of SYNTOASCANGA (Sbordone et al. 2004; Bonifacio), in A with the flux
    per Hz, three or four columns; and those with the flux per A or, where the wavelengths are in
    nm, per nm, as CONVERFSYNNMTOA and others write it. All hold the Eddington flux H, from which
    the flux at the star's surface is 4 pi H.

    SYNTHE computes in air or in vacuum as its control file says, which the text does not: air is
    assumed, as in the scripts of Castelli and Sbordone. Frame is that of the star.
    """

    name = "synthe"
    description = "SYNTHE text: wavelength, flux, continuum, flux over continuum"

    def identifies(self, source: Source) -> bool:
        """Whether the third column is a continuum to the second, in units of a star's flux."""
        columns = source.columns
        return not isinstance(columns, ReadError) and _is_synthe(columns)

    def read(self, source: Source) -> RawSpectrum:
        """The flux at the star's surface."""
        columns = source.columns
        if isinstance(columns, ReadError):
            raise columns
        if not _is_synthe(columns):
            raise ReadError(
                f"{source.path} is not of SYNTHE: it must have three or four columns, wavelength, "
                f"flux, continuum and flux over continuum, the continuum below {_MOST_PER_HERTZ:g} "
                f"(per Hz) or above {_LEAST_PER_LENGTH:g} (per A or nm); it has "
                f"{columns.shape[1]} columns{_middle(columns)}."
            )
        nanometres = columns[0, 0] < _SHORTEST
        wavelength = columns[:, 0] * 10 if nanometres else columns[:, 0]
        flux = 4 * np.pi * columns[:, 1]
        if np.median(columns[:, 2]) <= _MOST_PER_HERTZ:
            flux = flux * _LIGHT_IN_ANGSTROM / wavelength**2
        elif nanometres:
            flux = flux / 10
        return RawSpectrum(
            wavelength=wavelength,
            flux=flux,
            medium="air",
            frame="rest",
            meta=Observation(path=source.path, flux_unit=SURFACE_FLUX),
        )


def _is_synthe(columns: NDArray[np.float64]) -> bool:
    if columns.shape[1] not in (3, 4):
        return False
    flux, continuum = columns[:, 1], columns[:, 2]
    if not (np.all(columns[:, 0] > 0) and np.all(flux >= 0) and np.all(continuum > 0)):
        return False
    if columns.shape[1] == 4 and np.any(np.abs(flux / continuum - columns[:, 3]) > 1e-3):
        return False
    typical = np.median(continuum)
    return bool(
        (typical <= _MOST_PER_HERTZ or typical >= _LEAST_PER_LENGTH)
        # No blanketing takes all but a hundredth; flux in other units than the continuum might.
        and np.median(flux) >= 0.01 * typical
        and np.mean(flux <= 1.001 * continuum) > 0.99
        and is_smooth(continuum)
    )


def _middle(columns: NDArray[np.float64]) -> str:
    if columns.shape[1] < 3:
        return ""
    return f", the third with a median of {np.median(columns[:, 2]):.3g}"
