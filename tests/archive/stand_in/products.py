"""A small archive: sixty products of a dozen stars, as ESO's table ivoa.ObsCore lists them."""

from __future__ import annotations

import math
from typing import Any

from stand_in.stars import STARS, Star
from stand_in.votable import Field

__all__ = ["COLUMNS", "FOREIGN", "PROPRIETARY", "observation", "products", "star_at"]

# A subset of ESO's columns, in its order (archive.eso.org/tap_obs, TAP_SCHEMA.columns).
COLUMNS = (
    Field("access_estsize", "long", "kbyte", "phys.size;meta.file", "Estimated size of the file"),
    Field("access_format", ucd="meta.code.mime"),
    Field("access_url", ucd="meta.ref.url", description="Datalink of the product"),
    Field("calib_level", "int", ucd="meta.code;obs.calib"),
    Field("dataproduct_type", ucd="meta.code.class"),
    Field("dp_id", ucd="meta.id", description="Identifier of the file in the archive"),
    Field("em_max", "double", "m", "em.wl;stat.max"),
    Field("em_min", "double", "m", "em.wl;stat.min"),
    Field("em_res_power", "double", ucd="spect.resolution"),
    Field("facility_name", ucd="meta.id;instr.tel"),
    Field("instrument_name", ucd="meta.id;instr"),
    Field("obs_collection", ucd="meta.id"),
    Field("obs_publisher_did", ucd="meta.ref.uri;meta.curation"),
    Field("obs_release_date", ucd="time.release", xtype="timestamp"),
    Field("proposal_id", ucd="meta.id;obs.proposal"),
    Field("s_dec", "double", "deg", "pos.eq.dec"),
    Field("s_ra", "double", "deg", "pos.eq.ra"),
    Field("s_region", ucd="pos.outline;obs.field", xtype="adql:REGION"),
    Field("snr", "double", ucd="stat.snr"),
    Field("t_exptime", "double", "s", "time.duration;obs.exposure"),
    Field("t_max", "double", "d", "time.end;obs.exposure"),
    Field("t_min", "double", "d", "time.start;obs.exposure"),
    Field("target_name", ucd="meta.id;src"),
)

# What the archive calls each star, which is not always the same, and how many products there are.
_OBSERVED: tuple[tuple[str, str, tuple[str, ...], int], ...] = (
    ("* alf Cen B", "HARPS", ("HD128621", "ALPHACENB"), 8),
    ("* alf Cen A", "HARPS", ("HD128620",), 1),
    ("HD 189733", "HARPS", ("HD189733", "HD 189733"), 7),
    ("BD-07  4003", "HARPS", ("GJ581", "Gl581", "HIP74995"), 6),
    ("* tau Cet", "HARPS", ("HD10700", "TAU-CETI"), 6),
    ("* e Eri", "HARPS", ("HD20794",), 5),
    ("HD  40307", "HARPS", ("HD40307",), 4),
    ("HD  69830", "HARPS", ("HD69830",), 4),
    ("* 61 Vir", "HARPS", ("HD115617", "61 Vir"), 4),
    ("* 51 Peg", "HARPS", ("HD217014", "51Peg"), 3),
    ("L  229-91", "HARPS", ("GJ163",), 3),
    ("LP  424-4", "HARPS", ("GJ3470",), 2),
    ("* tau Cet", "FEROS", ("HD10700",), 2),
    ("HD  69830", "FEROS", ("HD69830",), 1),
    ("HD 189733", "UVES", ("HD189733",), 1),
    ("* alf Cen B", "UVES", ("HD128621",), 1),
    ("* e Eri", "ESPRESSO", ("HD20794",), 1),
    ("* tau Cet", "ESPRESSO", ("HD10700",), 1),
)

# Wavelengths (Angstrom), resolving power, telescope.
_INSTRUMENTS = {
    "HARPS": (3781.6, 6912.5, 115_000.0, "ESO-3.6"),
    "FEROS": (3527.9, 9217.7, 48_000.0, "MPG/ESO-2.2"),
    "UVES": (3281.9, 4562.9, 40_970.0, "ESO-VLT-U2"),
    "ESPRESSO": (3781.0, 7887.0, 140_000.0, "ESO-VLT-U1"),
}

PROPRIETARY = "HD20794"
"""Of this name the last HARPS product is proprietary for many years."""

FOREIGN = ("HD40307", "HD  69830")
"""The last HARPS product of the second star bears the name of the first."""

_LA_SILLA = -70.7313  # degrees east


def products() -> list[dict[str, Any]]:
    """All products, without what depends on the server: size, link."""
    rows: list[dict[str, Any]] = []
    for main_id, instrument, names, number in _OBSERVED:
        star = next(star for star in STARS if star.main_id == main_id)
        for index in range(number):
            name = names[index % len(names)]
            rows.append(observation(len(rows), star, instrument, name, index))
    last = {row["target_name"]: row for row in rows if row["obs_collection"] == "HARPS"}
    last[PROPRIETARY]["obs_release_date"] = "2099-01-01T00:00:00.000Z"
    last[FOREIGN[1].replace(" ", "")]["target_name"] = FOREIGN[0]
    return rows


def observation(number: int, star: Star, instrument: str, name: str, index: int) -> dict[str, Any]:
    """One product: the `number` in the archive gives its identifier, `index` its hour angle."""
    first, last, power, telescope = _INSTRUMENTS[instrument]
    hour_angle = (-1.6, -0.4, 0.3, 1.2)[index % 4]
    start = _night(2005 + (3 * number) % 14, star.ra, hour_angle)
    exposure = 60.0 * (1 + index % 5)
    ra, dec = star.position(start)
    hour, minute = divmod(number, 60)
    clock = f"{11 + hour}:{minute:02d}:45.{(137 * number) % 1000:03d}"
    identifier = f"ADP.2014-{9 + number % 3:02d}-16T{clock}"
    ra, dec = round(ra + 1e-4 * math.cos(number), 6), round(dec + 1e-4 * math.sin(number), 6)
    return {
        "access_estsize": None,
        "access_format": "application/x-votable+xml;content=datalink",
        "access_url": None,
        "calib_level": 2,
        "dataproduct_type": "spectrum",
        "dp_id": identifier,
        "em_max": round(last * 1e-10, 14),
        "em_min": round(first * 1e-10, 14),
        "em_res_power": power,
        "facility_name": telescope,
        "instrument_name": instrument,
        "obs_collection": instrument,
        "obs_publisher_did": f"ivo://eso.org/ID?{identifier}",
        "obs_release_date": f"{2007 + (3 * number) % 14}-06-01T00:00:00.000Z",
        "proposal_id": f"{75 + number % 20:03d}.C-{(331 * number) % 1000:04d}(A)",
        "s_dec": dec,
        "s_ra": ra,
        "s_region": f"POSITION J2000 {ra} {dec}",
        "snr": round(20.0 + (53.7 * number) % 250, 1),
        "t_exptime": exposure,
        "t_max": start + exposure / 86400,
        "t_min": start,
        "target_name": name,
    }


def star_at(row: dict[str, Any]) -> Star:
    """The star that a product shows: the nearest to where the telescope pointed."""

    def distance(star: Star) -> float:
        ra, dec = star.position(row["t_min"])
        east = (ra - row["s_ra"]) * math.cos(math.radians(dec))
        return math.hypot(east, dec - row["s_dec"])

    return min(STARS, key=distance)


def _night(year: int, ra: float, hour_angle: float) -> float:
    """MJD when a star is at an hour angle (hours), about midnight in that year at La Silla."""
    january = 51544 + round(365.25 * (year - 2000))
    sidereal = (ra + 15 * hour_angle - _LA_SILLA) % 360
    # At 5 h UT the sidereal time grows by 0.9856 degrees from day to day.
    at_five = _greenwich(january + 5 / 24)
    day = january + round(((sidereal - at_five) % 360) / 0.98564736629)
    midnight = day + 5 / 24
    miss = (sidereal - _greenwich(midnight) + 180) % 360 - 180
    return round(midnight + miss / 360.98564736629, 8)


def _greenwich(mjd: float) -> float:
    """Mean sidereal time (degrees) at Greenwich (Meeus, Astronomical Algorithms, eq. 12.4)."""
    return (280.46061837 + 360.98564736629 * (mjd - 51544.5)) % 360
