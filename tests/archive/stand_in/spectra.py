"""Spectra in the layout of ESO's Phase 3: one row, with the columns WAVE, FLUX and ERR."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import EarthLocation, SkyCoord, solar_system_ephemeris
from astropy.io import fits
from astropy.time import Time

from stand_in.products import star_at
from stand_in.stars import Star

__all__ = ["CHUNK", "HARPS_RANGE", "STEP", "file_of"]

CHUNK = (5000.0, 5040.0)
"""Angstrom, in air, that a file covers unless a test asks for more."""

STEP = 0.01
"""Angstrom between pixels, as of HARPS."""

HARPS_RANGE = (3782.0, 6912.5)
"""Angstrom, in air, of a HARPS spectrum; its gap is `_GAP`."""

_GAP = (5304.2, 5338.6)
_NAMES = ("WAVE", "FLUX", "ERR")
_SITES = {
    "ESO-3.6": (-70.7313, -29.2584, 2400.0),
    "MPG/ESO-2.2": (-70.7313, -29.2584, 2400.0),
    "ESO-VLT-U1": (-70.4045, -24.6268, 2648.0),
    "ESO-VLT-U2": (-70.4045, -24.6268, 2648.0),
}


def file_of(row: dict[str, Any], covers: tuple[float, float] = CHUNK, step: float = STEP) -> bytes:
    """The FITS file of a product.

    The headers are those of HARPS' Phase 3 files; wavelengths are in air and barycentric. Lines
    are where the star's velocity puts them, and as deep as its temperature tells.
    """
    return _file(tuple(sorted(row.items())), covers, step)


@lru_cache(maxsize=256)
def _file(items: tuple[tuple[str, Any], ...], covers: tuple[float, float], step: float) -> bytes:
    row = dict(items)
    star = star_at(row)
    first, last = covers
    wave = np.round(first + step * np.arange(round((last - first) / step)), 4)
    flux = _flux(wave, star, row["snr"], seed=round(1e6 * row["t_min"]))
    shapes = [
        (name, code, wave.shape) for name, code in zip(_NAMES, (">f8", ">f4", ">f4"), strict=True)
    ]
    # The pipeline of HARPS gives no errors.
    data = np.array([(wave, flux, np.full_like(flux, np.nan))], dtype=shapes)
    table = fits.BinTableHDU(data, name="SPECTRUM")
    _set(table.header, _table_header(wave, row))
    primary = fits.PrimaryHDU()
    _set(primary.header, _primary_header(row, star, step))
    # As they lie in memory: astropy turns each number around, and takes its time for it.
    parts = [hdu.header.tostring().encode() for hdu in (primary, table)] + [data.tobytes()]
    return b"".join(parts) + bytes(-data.nbytes % 2880)


def _flux(wave: np.ndarray, star: Star, snr: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(5)
    flux = np.ones_like(wave)
    shift = 1 + (star.rv or 0.0) / 299792.458
    strength = 0.6 * (6500 - (star.teff or 5500)) / 3000
    for centre in rng.uniform(wave[0], wave[-1], round((wave[-1] - wave[0]) / 2)):
        depth = np.clip(strength + rng.uniform(0, 0.3), 0.02, 0.9)
        near = slice(*np.searchsorted(wave, (centre * shift - 0.5, centre * shift + 0.5)))
        flux[near] -= (
            depth * flux[near] * np.exp(-0.5 * ((wave[near] / shift - centre) / 0.05) ** 2)
        )
    noise = np.random.default_rng(seed).normal(0, 1 / snr, wave.size)
    flux = (1000 * (flux + noise)).astype(np.float32)
    flux[(wave > _GAP[0]) & (wave < _GAP[1])] = 0
    return flux


def _primary_header(row: dict[str, Any], star: Star, step: float) -> dict[str, Any]:
    time = Time(row["t_min"], format="mjd", scale="utc")
    longitude, latitude, height = _SITES[row["facility_name"]]
    raw = f"{row['instrument_name']}.{time.isot}"
    start, end = (_airmass(row, mjd, longitude, latitude) for mjd in (row["t_min"], row["t_max"]))
    facts = {
        "ORIGIN": "ESO",
        "TELESCOP": row["facility_name"],
        "INSTRUME": row["instrument_name"],
        "OBJECT": row["target_name"],
        "RA": row["s_ra"],
        "DEC": row["s_dec"],
        "EQUINOX": 2000.0,
        "RADECSYS": "FK5",
        "EXPTIME": row["t_exptime"],
        "TEXPTIME": row["t_exptime"],
        "MJD-OBS": row["t_min"],
        "MJD-END": row["t_max"],
        "DATE-OBS": time.isot,
        "PROG_ID": row["proposal_id"],
        "OBID1": 100123456,
        "M_EPOCH": False,
        "PROV1": f"{raw}.fits",
        "PROCSOFT": "HARPS_3.5",
        "OBSTECH": "ECHELLE",
        "PRODCATG": "SCIENCE.SPECTRUM",
        "FLUXCAL": "UNCALIBRATED",
        "CONTNORM": False,
        "WAVELMIN": row["em_min"] * 1e9,
        "WAVELMAX": row["em_max"] * 1e9,
        "SPEC_BIN": step / 10,
        "SPEC_RES": row["em_res_power"],
        "SPECSYS": "BARYCENT",
        "SNR": row["snr"],
        "ESO OBS PROG ID": row["proposal_id"],
        "ESO OBS TARG NAME": row["target_name"],
        "ESO TEL GEOELEV": height,
        "ESO TEL GEOLAT": latitude,
        "ESO TEL GEOLON": longitude,
        "ESO TEL AIRM START": start,
        "ESO TEL AIRM END": end,
    }
    if row["instrument_name"] != "HARPS":
        return facts
    return facts | {
        "ESO DPR CATG": "SCIENCE",
        "ESO DPR TYPE": "STAR,DARK,G2V",
        "ESO INS MODE": "HARPS",
        "ESO DRS VERSION": "HARPS_3.5",
        "ESO DRS BERV": _berv(row, longitude, latitude, height),
        "ESO DRS BJD": row["t_min"] + 2400000.5,
        "ESO DRS SPE EXT SN50": row["snr"],
        "ESO DRS CCF RVC": star.rv,
        "ESO DRS CCF MASK": "G2",
    }


def _table_header(wave: np.ndarray, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "VOCLASS": "SPECTRUM v2.0",
        "VOPUB": "ESO/SAF",
        "TITLE": f"{row['target_name']}_{row['t_min']:.5f}",
        "OBJECT": row["target_name"],
        "RA": row["s_ra"],
        "DEC": row["s_dec"],
        "NELEM": wave.size,
        "TELAPSE": row["t_exptime"],
        "TMID": (row["t_min"] + row["t_max"]) / 2,
        "SPEC_VAL": (wave[0] + wave[-1]) / 20,
        "SPEC_BW": (wave[-1] - wave[0]) / 10,
        "TUTYP1": "Spectrum.Data.SpectralAxis.Value",
        "TUTYP2": "Spectrum.Data.FluxAxis.Value",
        "TUTYP3": "Spectrum.Data.FluxAxis.Accuracy.StatError",
        "TUNIT1": "angstrom",
        "TUNIT2": "adu",
        "TUNIT3": "adu",
        "TUCD1": "em.wl;obs.atmos",
        "TUCD2": "phot.flux.density;em.wl;src.net;meta.main",
        "TUCD3": "stat.error;phot.flux.density;em.wl;src.net;meta.main",
    }


def _set(header: fits.Header, facts: dict[str, Any]) -> None:
    for key, value in facts.items():
        if value is not None:
            header["HIERARCH " + key if " " in key else key] = value


def _airmass(row: dict[str, Any], mjd: float, longitude: float, latitude: float) -> float:
    """Of a plane atmosphere, by the mean sidereal time."""
    sidereal = 280.46061837 + 360.98564736629 * (mjd - 51544.5) + longitude
    hour_angle, dec, lat = (
        math.radians(x) for x in (sidereal - row["s_ra"], row["s_dec"], latitude)
    )
    high = math.sin(lat) * math.sin(dec) + math.cos(lat) * math.cos(dec) * math.cos(hour_angle)
    return round(1 / high, 3)


def _berv(row: dict[str, Any], longitude: float, latitude: float, height: float) -> float:
    """Barycentric velocity (km/s) of the observatory towards the star, amid the exposure."""
    site = EarthLocation.from_geodetic(longitude * u.deg, latitude * u.deg, height * u.m)
    middle = Time((row["t_min"] + row["t_max"]) / 2, format="mjd", scale="utc")
    target = SkyCoord(row["s_ra"] * u.deg, row["s_dec"] * u.deg, frame="icrs")
    with solar_system_ephemeris.set("builtin"):
        shift = target.radial_velocity_correction(obstime=middle, location=site)
    return round(shift.to_value(u.km / u.s), 6)
