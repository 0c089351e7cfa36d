"""What time, place and target tell of an exposure: the Earth's velocity, and the air above."""

from __future__ import annotations

from collections.abc import Mapping

import erfa
import numpy as np
from astropy import units
from astropy.coordinates import EarthLocation, get_body_barycentric_posvel
from astropy.time import Time
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicSpline

__all__ = ["LA_PALMA", "LA_SILLA", "PARANAL", "SITES", "airmass", "barycentric_velocity"]

LA_SILLA = EarthLocation.from_geodetic(lon=-70.7345, lat=-29.2584, height=2400.0)
"""ESO 3.6 m: ESO TEL GEOLON, GEOLAT and GEOELEV of HARPS's headers, which its pipeline takes."""

PARANAL = EarthLocation.from_geodetic(lon=-70.40479659, lat=-24.62794830, height=2635.0)
"""Centre of the VLT, from which no telescope is further than 130 m.

ESO's list of VLTI stations, https://www.eso.org/observing/etc/doc/viscalc/vltistations.html; height
of the platform, https://www.eso.org/sci/facilities/paranal.html.
"""

LA_PALMA = EarthLocation.from_geodetic(lon=-17.889056, lat=28.754, height=2387.2)
"""TNG: 28 45 14.4 N, 17 53 20.6 W, 2387.2 m (https://www.tng.iac.es)."""

SITES: Mapping[str, EarthLocation] = {
    "HARPS": LA_SILLA,
    "FEROS": LA_SILLA,
    "UVES": PARANAL,
    "ESPRESSO": PARANAL,
    "HARPN": LA_PALMA,
}
"""Where an instrument stands, by what headers call it in INSTRUME."""

ROTATION = 7.292115e-5  # of the Earth, rad/s; IERS Conventions 2010, Table 1.2


def barycentric_velocity(
    ra: ArrayLike, dec: ArrayLike, mjd: ArrayLike, site: EarthLocation
) -> NDArray[np.float64]:
    """Velocity of an observatory towards a target, as pipelines call BERV, km/s.

    The velocity relative to the solar system's barycentre, of the Earth (Simon et al. 1994, as in
    ``erfa.epv00``) and of its rotation, projected on the direction to the target. To first order a
    barycentric wavelength is the observed one times 1 + BERV/c; as in the HARPS DRS, the terms of
    second order (gravity and time dilation, together 4.5 to 4.8 m/s) are left out.
    UT1 is taken as UTC, at a cost of at most 0.03 m/s, so that no table of the Earth's rotation
    is needed.

    Parameters
    ----------
    ra, dec : array_like
        Direction to the target when it was observed, proper motion included, degrees ICRS. An arc
        second is worth up to 0.15 m/s.
    mjd : array_like
        Middle of the exposure, UTC. A minute is worth up to 2 m/s.
    site : astropy.coordinates.EarthLocation
        Where; see `SITES`.

    Returns
    -------
    float64 array
        In the shape to which the three broadcast; NaN where one is not finite.

    Examples
    --------
    alpha Centauri B, on 24 March 2012; HARPS's header has 18.2627.

    >>> barycentric_velocity(219.87106, -60.83392, [56010.359613], LA_SILLA).round(3)
    array([18.263])
    """
    ra, dec, mjd, known = _known(ra, dec, mjd)
    time = Time(mjd, format="mjd", scale="utc")
    turned = _earth_rotation_angle(time) + site.lon.rad
    distance = np.hypot(site.x, site.y).to_value("km")
    spin = ROTATION * distance * np.stack([-np.sin(turned), np.cos(turned), 0 * turned], -1)
    earth = _earth_velocity(time)
    # The rotation is about the pole of date; directions of stars are ICRS.
    towards = _direction(ra, dec)
    velocity = (earth * towards).sum(-1) + (spin * _of_date(time, towards)).sum(-1)
    return np.asarray(np.where(known, velocity, np.nan))


def airmass(
    ra: ArrayLike, dec: ArrayLike, mjd: ArrayLike, site: EarthLocation
) -> NDArray[np.float64]:
    """Path of the light through the air in units of the vertical one.

    By the formula of Young (1994, Applied Optics 33, 1108) for the true zenith distance. Aberration
    is left out, at a cost of 0.001 at airmass 3.

    Parameters
    ----------
    ra, dec : array_like
        Direction to the target, degrees ICRS.
    mjd : array_like
        When, UTC.
    site : astropy.coordinates.EarthLocation
        Where; see `SITES`.

    Returns
    -------
    float64 array
        In the shape to which the three broadcast; NaN below the horizon, and where one of the three
        is not finite.

    Examples
    --------
    HD 189733 on 29 August 2007; HARPS's header has 2.066, at the start.

    >>> airmass(300.18211, 22.70985, [54341.00197797], LA_SILLA).round(3)
    array([2.063])
    """
    ra, dec, mjd, known = _known(ra, dec, mjd)
    time = Time(mjd, format="mjd", scale="utc")
    turned = _earth_rotation_angle(time) + site.lon.rad
    latitude = site.lat.rad
    zenith = np.stack(
        [
            np.cos(latitude) * np.cos(turned),
            np.cos(latitude) * np.sin(turned),
            np.full_like(turned, np.sin(latitude)),
        ],
        -1,
    )
    height = (zenith * _of_date(time, _direction(ra, dec))).sum(-1)
    cosine = np.where(known & (height > 0), height, np.nan)
    numerator = np.polyval([1.002432, 0.148386, 0.0096467], cosine)
    return np.asarray(numerator / np.polyval([1, 0.149864, 0.0102963, 0.000303978], cosine))


def _known(
    ra: ArrayLike, dec: ArrayLike, mjd: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """The three in one shape, with a value for each that is missing, and where none is."""
    arrays = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (ra, dec, mjd)))
    known = np.asarray(np.isfinite(arrays).all(axis=0))
    # A day among the others, so that what is missing does not widen their span.
    day = arrays[2][known].min() if known.any() else 51544.0
    ra, dec, mjd = (np.where(known, array, x) for array, x in zip(arrays, (0, 0, day), strict=True))
    return ra, dec, mjd, known


def _direction(ra: NDArray[np.float64], dec: NDArray[np.float64]) -> NDArray[np.float64]:
    """Unit vectors, float64[..., 3]."""
    return np.asarray(erfa.s2c(np.radians(ra), np.radians(dec)))


def _earth_rotation_angle(time: Time) -> NDArray[np.float64]:
    return np.asarray(erfa.era00(time.jd1, time.jd2))


def _of_date(time: Time, direction: NDArray[np.float64]) -> NDArray[np.float64]:
    """ICRS directions relative to the Earth's pole of date and its origin of right ascension."""
    return np.asarray(erfa.rxp(erfa.c2i00b(time.tt.jd1, time.tt.jd2), direction))


def _earth_velocity(time: Time) -> NDArray[np.float64]:
    """Of the Earth's centre relative to the barycentre, ICRS, km/s, float64[..., 3].

    Where there are many exposures, by a cubic spline through one value a day, which costs less
    than 0.01 m/s: the Moon, of period 27 days, moves the Earth by 12.5 m/s.
    """
    mjd = time.mjd
    span = (mjd.min(), mjd.max()) if mjd.size else (0.0, 0.0)
    days = np.arange(np.floor(span[0]) - 2, np.ceil(span[1]) + 3)
    if days.size >= mjd.size:
        return _earth_velocity_at(time)
    nodes = _earth_velocity_at(Time(days, format="mjd", scale="tdb"))
    return np.asarray(CubicSpline(days, nodes)(time.tdb.mjd))


def _earth_velocity_at(time: Time) -> NDArray[np.float64]:
    _, velocity = get_body_barycentric_posvel("earth", time, ephemeris="builtin")
    return np.moveaxis(velocity.xyz.to_value(units.km / units.s), 0, -1)
