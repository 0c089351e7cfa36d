"""Spectra of the ESO archive: Phase 3 tables of one row with array columns."""

from __future__ import annotations

from maury.errors import ReadError
from maury.grid import Medium
from maury.readers.base import RawSpectrum, Source, SpectrumReader
from maury.readers.fits_table import FitsTable
from maury.readers.headers import Headers

__all__ = ["EsoPhase3"]


class EsoPhase3(SpectrumReader):
    """One row; columns WAVE, FLUX and, where given, ERR and QUAL.

    The layout is that of the ESO Science Data Products Standard (GEN-SPE-ESO-33000-5335, Sect. 5).
    There TUCD tells the medium, "em.wl;obs.atmos" being air and "em.wl" vacuum, and SPECSYS the
    frame: barycentric for HARPS, FEROS and ESPRESSO, the observatory's for UVES, which has the
    Earth's velocity in ESO QC VRAD BARYCOR. ESPRESSO adds a column WAVE_AIR, which is taken.
    UVES has FLUX where it was calibrated in flux, else FLUX_REDUCED and ERR_REDUCED alone.
    """

    name = "eso-phase3"
    description = "ESO Phase 3 table: one row, array columns WAVE, FLUX, ERR"

    def identifies(self, source: Source) -> bool:
        """Whether a table has one row and the columns WAVE and FLUX or FLUX_REDUCED."""
        return _table(source) is not None

    def read(self, source: Source) -> RawSpectrum:
        """The spectrum in the first row."""
        table = _table(source)
        if table is None:
            raise ReadError(f"{source.path} holds no table of one row with WAVE and FLUX.")
        wave = "WAVE_AIR" if "WAVE_AIR" in table else "WAVE"
        flux, error = ("FLUX", "ERR") if "FLUX" in table else ("FLUX_REDUCED", "ERR_REDUCED")
        headers = Headers([table.header, source.hdus[0].header])
        quality = table.optional("QUAL", source)
        return RawSpectrum(
            wavelength=table.array(wave, source),
            flux=table.array(flux, source),
            uncertainty=table.optional(error, source),
            mask=None if quality is None else quality != 0,
            unit=table.keyword("TUNIT", wave),
            medium="air" if wave == "WAVE_AIR" else _medium(table.keyword("TUCD", wave)),
            frame=headers.frame(),
            meta=headers.observation(source.path, table.keyword("TUNIT", flux)),
            light=headers.light(source.path),
        )


def _table(source: Source) -> FitsTable | None:
    tables = FitsTable.all_of(source)
    return next(
        (
            table
            for table in tables
            if table.rows == 1 and (table.has("WAVE", "FLUX") or table.has("WAVE", "FLUX_REDUCED"))
        ),
        None,
    )


def _medium(ucd: str | None) -> Medium | None:
    words = (ucd or "").lower().split(";")
    if "em.wl" not in words:
        return None
    return "air" if "obs.atmos" in words else "vacuum"
