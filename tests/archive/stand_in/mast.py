"""The TESS Input Catalog by MAST's API (mast.stsci.edu/api/v0), and its habit of taking time."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from typing import Any

from stand_in.message import Answer, Request
from stand_in.stars import STARS, Star

__all__ = ["Mast"]

# The columns and types of the TIC as in the answers of Mast.Catalogs.Filtered.Tic.Rows.
_TYPES = {
    "ID": "string",
    "version": "string",
    "HIP": "int",
    "TWOMASS": "string",
    "GAIA": "string",
    "objType": "string",
    "typeSrc": "string",
    "ra": "float",
    "dec": "float",
    "pmRA": "float",
    "e_pmRA": "float",
    "pmDEC": "float",
    "e_pmDEC": "float",
    "plx": "float",
    "e_plx": "float",
    "Vmag": "float",
    "Tmag": "float",
    "e_Tmag": "float",
    "Teff": "float",
    "e_Teff": "float",
    "logg": "float",
    "e_logg": "float",
    "MH": "float",
    "e_MH": "float",
    "rad": "float",
    "mass": "float",
    "lumclass": "string",
    "d": "float",
    "disposition": "string",
    "duplicate_id": "string",
    "objID": "string",
}

DUPLICATE = 9990000001
"""An entry that is a duplicate of that of tau Cet; the number is made up."""

COMPANION = 9990000002
"""The entry of the companion of HD 189733, with nothing but a magnitude; made up likewise."""


class Mast:
    """The service.

    Attributes
    ----------
    tic : list of dict
        Rows of the catalogue by `_TYPES`; tests may change them.
    busy : int
        How often each question is answered by EXECUTING before the rows come.
    page : int
        Rows in an answer at the most.
    """

    def __init__(self) -> None:
        self.tic = [_row(star, star.tic) for star in STARS if star.tic is not None]
        tau, companion = (
            next(star for star in STARS if star.main_id == name)
            for name in ("* tau Cet", "HD 189733B")
        )
        double = _row(tau, DUPLICATE) | {"disposition": "DUPLICATE", "duplicate_id": str(tau.tic)}
        double |= {"ra": tau.ra + 2e-4, "Teff": None, "e_Teff": None, "logg": None, "MH": None}
        self.tic += [double, _row(companion, COMPANION)]
        self.busy = 1
        self.page = 50_000
        self._waiting: dict[str, int] = {}

    def invoke(self, request: Request) -> Answer:
        """Answer /api/v0/invoke: the first time EXECUTING, later the rows."""
        try:
            asked = json.loads(request.parameters["REQUEST"])
            service = self._services[asked["service"]]
        except (KeyError, ValueError):
            return Answer.json({"status": "ERROR", "msg": "Unknown service.", "data": []})
        key = json.dumps({**asked, "cacheBreaker": None}, sort_keys=True)
        left = self._waiting.setdefault(key, self.busy)
        if left:
            self._waiting[key] = left - 1
            return Answer.json({"status": "EXECUTING", "msg": "", "data": [], "fields": []})
        del self._waiting[key]
        try:
            types, rows = service(asked)
        except (KeyError, TypeError, ValueError) as error:
            return Answer.json({"status": "ERROR", "msg": f"Bad parameters: {error}", "data": []})
        return Answer.json(self._result(types, rows, asked))

    @property
    def _services(self) -> dict[str, Callable[[dict[str, Any]], tuple[dict, list]]]:
        return {
            "Mast.Catalogs.Filtered.Tic": self._count,
            "Mast.Catalogs.Filtered.Tic.Rows": self._filtered,
            "Mast.Catalogs.Tic.Cone": self._cone,
            "Mast.Tic.Crossmatch": self._crossmatch,
        }

    def _result(self, types: dict[str, str], rows: list[dict], asked: dict) -> dict[str, Any]:
        size = min(int(asked.get("pagesize", self.page)), self.page)
        page = int(asked.get("page", 1))
        shown = rows[(page - 1) * size : page * size]
        return {
            "status": "COMPLETE",
            "msg": "",
            "fields": [{"name": name, "type": kind} for name, kind in types.items()],
            "data": shown,
            "paging": {
                "page": page,
                "pageSize": size,
                "pagesFiltered": max(1, math.ceil(len(rows) / size)),
                "rows": len(shown),
                "rowsFiltered": len(rows),
                "rowsTotal": len(rows),
            },
        }

    def _count(self, asked: dict[str, Any]) -> tuple[dict[str, str], list[dict]]:
        return {"Column1": "int"}, [{"Column1": len(self._filtered(asked)[1])}]

    def _filtered(self, asked: dict[str, Any]) -> tuple[dict[str, str], list[dict]]:
        rows = [r for r in self.tic if all(_passes(r, f) for f in asked["params"]["filters"])]
        columns = asked["params"]["columns"]
        if columns.strip().lower() in ("*", "count_big(*)", "c.*"):
            return _TYPES, rows
        wanted = [name.strip() for name in columns.split(",")]
        return {n: _TYPES[n] for n in wanted}, [{n: r[n] for n in wanted} for r in rows]

    def _cone(self, asked: dict[str, Any]) -> tuple[dict[str, str], list[dict]]:
        place = asked["params"]
        near = self._near(float(place["ra"]), float(place["dec"]), float(place["radius"]))
        return _TYPES | {"dstArcSec": "float"}, [row | {"dstArcSec": d} for d, row in near]

    def _crossmatch(self, asked: dict[str, Any]) -> tuple[dict[str, str], list[dict]]:
        """Columns as MAST gives them: ra and dec are those asked for, MatchRA and so on found."""
        params = asked["params"]
        east, north = params["raColumn"], params["decColumn"]
        renamed = {"ID": "MatchID", "ra": "MatchRA", "dec": "MatchDEC"}
        types = {east: "float", north: "float"}
        types |= {renamed.get(name, name): kind for name, kind in _TYPES.items()}
        rows = []
        for place in asked["data"]["data"]:
            ra, dec = float(place[east]), float(place[north])
            for distance, found in self._near(ra, dec, float(params["radius"])):
                row = {renamed.get(name, name): value for name, value in found.items()}
                rows.append(row | {east: ra, north: dec, "dstArcSec": distance})
        return types | {"dstArcSec": "float"}, rows

    def _near(self, ra: float, dec: float, radius: float) -> Iterable[tuple[float, dict]]:
        """Rows within a radius (degrees), nearest first, with their distances in arcsec."""
        found = [(_separation(ra, dec, row["ra"], row["dec"]), row) for row in self.tic]
        return sorted((f for f in found if f[0] <= 3600 * radius), key=lambda f: f[0])


def _row(star: Star, number: int | None) -> dict[str, Any]:
    known = star.teff is not None
    row: dict[str, Any] = dict.fromkeys(_TYPES)
    hip, gaia = star.named("HIP"), star.named("Gaia DR3")
    return row | {
        "ID": number,
        "version": "20190415",
        "HIP": None if hip is None else int(hip),
        "GAIA": gaia,
        "objType": "STAR",
        "typeSrc": "hip" if hip else "gaia2",
        "ra": star.ra,
        "dec": star.dec,
        "pmRA": star.pmra,
        "pmDEC": star.pmdec,
        "plx": star.parallax,
        "Vmag": star.v,
        "Tmag": round(star.v - 0.6, 3),
        "Teff": star.teff,
        "e_Teff": 100.0 if known else None,
        "logg": star.logg,
        "e_logg": 0.08 if known else None,
        "MH": star.mh,
        "e_MH": None if star.mh is None else 0.05,
        "lumclass": "DWARF" if known else None,
        "d": round(1000 / star.parallax, 4),
        "objID": str(number),
    }


def _passes(row: dict[str, Any], condition: dict[str, Any]) -> bool:
    value = row[condition["paramName"]]
    if value is None:
        return False
    for allowed in condition["values"]:
        if isinstance(allowed, dict):
            if allowed["min"] <= value <= allowed["max"]:
                return True
        elif str(allowed) == str(value):
            return True
    return False


def _separation(ra: float, dec: float, other_ra: float, other_dec: float) -> float:
    """Arcsec, for small angles."""
    east = (ra - other_ra + 180) % 360 - 180
    return 3600 * math.hypot(east * math.cos(math.radians(dec)), dec - other_dec)
