"""S1D tables of the ESPRESSO pipeline, which also reduces HARPS, HARPS-N and NIRPS."""

from __future__ import annotations

from maury.errors import ReadError
from maury.readers.base import RawSpectrum, Source, SpectrumReader
from maury.readers.fits_table import FitsTable
from maury.readers.headers import Headers

__all__ = ["EspressoDRS"]


class EspressoDRS(SpectrumReader):
    """One row a pixel; columns wavelength, wavelength_air, flux, error, quality.

    The layout is that of S1D_A in the ESPRESSO pipeline user manual. Both wavelengths are in the
    frame of the solar system's barycentre; ``wavelength`` is in vacuum, and ``wavelength_air`` is
    taken. A pixel is bad where ``quality`` is not zero.
    """

    name = "espresso-drs"
    description = "ESPRESSO pipeline S1D table: wavelength, wavelength_air, flux, error, quality"

    def identifies(self, source: Source) -> bool:
        """Whether a table has both wavelengths and the flux."""
        return _table(source) is not None

    def read(self, source: Source) -> RawSpectrum:
        """The spectrum in air wavelengths."""
        table = _table(source)
        if table is None:
            raise ReadError(f"{source.path} holds no table with wavelength_air and flux.")
        headers = Headers([table.header, source.hdus[0].header])
        quality = table.optional("quality", source)
        return RawSpectrum(
            wavelength=table.array("wavelength_air", source),
            flux=table.array("flux", source),
            uncertainty=table.optional("error", source),
            mask=None if quality is None else quality != 0,
            unit=table.keyword("TUNIT", "wavelength_air"),
            medium="air",
            frame=headers.frame() or "barycentric",
            meta=headers.observation(source.path, table.keyword("TUNIT", "flux")),
            light=headers.light(source.path),
        )


def _table(source: Source) -> FitsTable | None:
    tables = FitsTable.all_of(source)
    return next((t for t in tables if t.has("wavelength", "wavelength_air", "flux")), None)
