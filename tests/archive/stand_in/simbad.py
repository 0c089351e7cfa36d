"""SIMBAD: its tables basic, ident, ids and flux, asked by TAP."""

from __future__ import annotations

from stand_in.adql import Table
from stand_in.stars import STARS
from stand_in.tap import TapService
from stand_in.votable import Field

__all__ = ["Simbad"]

_LIGHT = 299792.458

# Names, units and UCDs as in TAP_SCHEMA.columns of simbad.cds.unistra.fr/simbad/sim-tap.
_BASIC = (
    Field("oid", "long", ucd="meta.record;meta.id"),
    Field("main_id", ucd="meta.id;meta.main"),
    Field("otype", ucd="src.class"),
    Field("ra", "double", "deg", "pos.eq.ra;meta.main"),
    Field("dec", "double", "deg", "pos.eq.dec;meta.main"),
    Field("coo_bibcode", ucd="meta.bib.bibcode;pos.eq"),
    Field("pmra", "double", "mas.yr-1", "pos.pm;pos.eq.ra"),
    Field("pmdec", "double", "mas.yr-1", "pos.pm;pos.eq.dec"),
    Field("plx_value", "double", "mas", "pos.parallax.trig"),
    Field("rvz_radvel", "double", "km.s-1", "spect.dopplerVeloc.opt"),
    Field("rvz_redshift", "double", None, "src.redshift"),
    Field("rvz_type", description="Radial velocity / redshift type"),
    Field("rvz_err", "float", "km.s-1", "stat.error;spect.dopplerVeloc"),
    Field("rvz_qual", ucd="meta.code.qual;spect.dopplerVeloc"),
    Field("rvz_bibcode", ucd="meta.bib.bibcode;spect.dopplerVeloc"),
    Field("sp_type", ucd="src.spType"),
)
_IDENT = (Field("oidref", "long", ucd="meta.record"), Field("id", ucd="meta.id"))
_IDS = (Field("oidref", "long", ucd="meta.record"), Field("ids", ucd="meta.id"))
_FLUX = (
    Field("oidref", "long", ucd="meta.record"),
    Field("filter", ucd="meta.code"),
    Field("flux", "float", "mag", "phot.flux"),
)


class Simbad:
    """The service.

    Attributes
    ----------
    basic, ident, ids, flux : list of dict
        The rows of each table; tests may change them.
    """

    def __init__(self) -> None:
        numbered = list(enumerate(STARS, 1))
        self.basic = [
            {
                "oid": oid,
                "main_id": star.main_id,
                "otype": "*",
                "ra": star.ra,
                "dec": star.dec,
                "coo_bibcode": "2020yCat.1350....0G",
                "pmra": star.pmra,
                "pmdec": star.pmdec,
                "plx_value": star.parallax,
                "rvz_radvel": star.rv,
                "rvz_redshift": None if star.rv is None else star.rv / _LIGHT,
                "rvz_type": None if star.rv is None else "z" if star.redshift else "v",
                "rvz_err": None if star.rv is None else 0.01,
                "rvz_qual": None if star.rv is None else "A",
                "rvz_bibcode": None if star.rv is None else "2018A&A...616A...7S",
                "sp_type": None,
            }
            for oid, star in numbered
        ]
        self.ident = [
            {"oidref": oid, "id": name} for oid, star in numbered for name in star.identifiers
        ]
        self.ids = [{"oidref": oid, "ids": "|".join(star.identifiers)} for oid, star in numbered]
        self.flux = [{"oidref": oid, "filter": "V", "flux": star.v} for oid, star in numbered]
        # SIMBAD sends two million rows at the most.
        self.tap = TapService(self._tables, rows=2_000_000, most=2_000_000, collation="IDENTIFIER")

    def _tables(self) -> dict[str, Table]:
        return {
            "basic": Table(_BASIC, self.basic, "IDENTIFIER"),
            "ident": Table(_IDENT, self.ident, "IDENTIFIER"),
            "ids": Table(_IDS, self.ids),
            "flux": Table(_FLUX, self.flux),
        }
