"""SIMBAD: its tables basic, ident and ids, asked by TAP."""

from __future__ import annotations

import re
from typing import Any

from stand_in.adql import Table
from stand_in.stars import STARS, Star
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

# What is no single star: a planet where its star is, and a double star as a whole.
_OTHERS = (
    ("HD 189733b", "Pl", "HD 189733", 300.182137, 22.710854),
    ("* alf Cen", "**", "* alf Cen A", 219.873833, -60.832222),
)

_NO_VELOCITY = dict.fromkeys(
    ("rvz_radvel", "rvz_redshift", "rvz_type", "rvz_err", "rvz_qual", "rvz_bibcode")
)


class Simbad:
    """The service.

    Attributes
    ----------
    basic, ident, ids : list of dict
        The rows of each table; tests may change them.
    """

    def __init__(self) -> None:
        self.basic: list[dict[str, Any]] = []
        self.ident: list[dict[str, Any]] = []
        self.ids: list[dict[str, Any]] = []
        for star in STARS:
            self._add(_object(star), star.identifiers)
        for name, otype, of, ra, dec in _OTHERS:
            star = next(star for star in STARS if star.main_id == of)
            place = {"main_id": name, "otype": otype, "ra": ra, "dec": dec}
            self._add({**_object(star), **_NO_VELOCITY, **place}, (name,))
        # SIMBAD sends two million rows at the most.
        self.tap = TapService(
            self._tables,
            rows=2_000_000,
            most=2_000_000,
            collation="IDENTIFIER",
            rewrite=_with_subtypes,
        )

    def _add(self, row: dict[str, Any], identifiers: tuple[str, ...]) -> None:
        oid = len(self.basic) + 1
        self.basic.append({"oid": oid, **row})
        self.ident += [{"oidref": oid, "id": name} for name in identifiers]
        self.ids.append({"oidref": oid, "ids": "|".join(identifiers)})

    def _tables(self) -> dict[str, Table]:
        return {
            "basic": Table(_BASIC, self.basic),
            "ident": Table(_IDENT, self.ident, "IDENTIFIER"),
            "ids": Table(_IDS, self.ids),
        }


def _object(star: Star) -> dict[str, Any]:
    row = {
        "main_id": star.main_id,
        "otype": "PM*",
        "ra": star.ra,
        "dec": star.dec,
        "coo_bibcode": "2020yCat.1350....0G",
        "pmra": star.pmra,
        "pmdec": star.pmdec,
        "plx_value": star.parallax,
    }
    if star.rv is None:
        return row | _NO_VELOCITY
    return row | {
        "rvz_radvel": star.rv,
        "rvz_redshift": star.rv / _LIGHT,
        "rvz_type": "z" if star.redshift else "v",
        "rvz_err": 1e-7 if star.redshift else 0.01,
        "rvz_qual": "A",
        "rvz_bibcode": "2018A&A...616A...7S",
    }


def _with_subtypes(query: str) -> str:
    """``otype = '*..'`` means a star of any kind; the types of all kinds end with an asterisk."""
    return re.sub(r"otype\s*=\s*'\*\.\.'", "otype LIKE '%*'", query)
