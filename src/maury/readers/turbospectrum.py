"""Spectra by Turbospectrum (Plez 2012, ascl:1205.004; Gerber et al. 2023)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from maury.errors import ReadError
from maury.readers.base import SURFACE_FLUX, RawSpectrum, Source, SpectrumReader
from maury.readers.columns import is_smooth
from maury.spectrum import Observation

__all__ = ["Turbospectrum"]

# No uncertainty is that many times the flux, and no star's continuum is above the upper limit.
_LEAST_CONTINUUM, _MOST_CONTINUUM = 100.0, 1e13
_MOST_RELATIVE = 1.5


class Turbospectrum(SpectrumReader):
    """What bsyn writes: wavelength, flux over continuum, flux, and intensities where asked for.

    Wavelengths are in air, as those of its line lists, at rest with the star. Flux is at the star's
    surface, in erg/s/cm2/A, and is what is taken; further columns (intensities at some angles) are
    passed over. The files tell nothing of the star.
    """

    name = "turbospectrum"
    description = "Turbospectrum text: wavelength, flux over continuum, flux"

    def identifies(self, source: Source) -> bool:
        """Whether the third column over the second is a continuum in erg/s/cm2/A."""
        columns = source.columns
        return not isinstance(columns, ReadError) and _is_turbospectrum(columns)

    def read(self, source: Source) -> RawSpectrum:
        """The absolute flux."""
        columns = source.columns
        if isinstance(columns, ReadError):
            raise columns
        if not _is_turbospectrum(columns):
            raise ReadError(
                f"{source.path} is not of Turbospectrum: of its columns, {columns.shape[1]} in "
                "number, the second must be the flux over the continuum, about 1, and the third "
                f"the flux in erg/s/cm2/A, from {_LEAST_CONTINUUM:g} to {_MOST_CONTINUUM:g}."
            )
        return RawSpectrum(
            wavelength=columns[:, 0],
            flux=columns[:, 2],
            medium="air",
            frame="rest",
            meta=Observation(path=source.path, flux_unit=SURFACE_FLUX),
        )


def _is_turbospectrum(columns: NDArray[np.float64]) -> bool:
    if columns.shape[1] < 3:
        return False
    relative, flux = columns[:, 1], columns[:, 2]
    # Five decimals tell little of the continuum in the cores of the strongest lines.
    bright = relative > 0.05
    if np.count_nonzero(bright) <= relative.size / 2:
        return False
    continuum = flux[bright] / relative[bright]
    return bool(
        np.median(relative) <= _MOST_RELATIVE
        and _LEAST_CONTINUUM <= np.median(continuum) <= _MOST_CONTINUUM
        and is_smooth(continuum)
    )
