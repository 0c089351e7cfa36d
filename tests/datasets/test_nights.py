"""Nights at La Silla against Astropy."""

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import AltAz, EarthLocation, SkyCoord, get_body, get_sun
from astropy.time import Time
from astropy.utils import iers

from maury.datasets.nights import LATITUDE, LONGITUDE, NIGHTS, Nights, draw_nights

SIZE = 300
RANDOM = np.random.default_rng(4)
RA, DEC = RANDOM.uniform(0, 360, SIZE), RANDOM.uniform(-89, 30, SIZE)


@pytest.fixture(scope="module")
def nights() -> Nights:
    return draw_nights(RA, DEC, np.random.default_rng(5))


@pytest.fixture(scope="module")
def frame(nights: Nights) -> AltAz:
    site = EarthLocation.from_geodetic(LONGITUDE * u.deg, LATITUDE * u.deg, 2400 * u.m)
    return AltAz(obstime=Time(nights.mjd, format="mjd"), location=site)


@pytest.fixture(autouse=True, scope="module")
def _offline() -> None:
    iers.conf.auto_download = False


def test_velocities_of_the_earth_are_astropys(nights: Nights, frame: AltAz) -> None:
    theirs = SkyCoord(RA * u.deg, DEC * u.deg).radial_velocity_correction(
        "barycentric", obstime=frame.obstime, location=frame.location
    )
    assert np.abs(nights.berv - theirs.to_value(u.km / u.s)).max() < 0.01
    assert np.abs(nights.berv).max() < 31
    assert nights.berv.min() < -25 and nights.berv.max() > 25


def test_airmasses_are_those_of_the_stars_altitude(nights: Nights, frame: AltAz) -> None:
    altitude = SkyCoord(RA * u.deg, DEC * u.deg).transform_to(frame).alt.rad
    np.testing.assert_allclose(nights.airmass, 1 / np.sin(altitude), rtol=0.02)
    assert nights.airmass.min() >= 1 and nights.airmass.max() <= 2.9
    # The zenith distance of a star cannot be less than at its culmination.
    assert (nights.airmass > 0.99 / np.cos(np.radians(DEC - LATITUDE))).all()


def test_it_is_dark_and_within_the_years_of_the_archive(nights: Nights, frame: AltAz) -> None:
    assert get_sun(frame.obstime).transform_to(frame).alt.deg.max() < -11.9
    assert nights.mjd.min() >= NIGHTS[0] and nights.mjd.max() <= NIGHTS[1] + 1
    assert Time(NIGHTS[0], format="mjd").iso[:10] == "2003-10-24"
    assert Time(NIGHTS[1], format="mjd").iso[:10] == "2020-03-12"


def test_the_moon_is_as_bright_as_in_the_sky(nights: Nights, frame: AltAz) -> None:
    sun, moon = get_sun(frame.obstime), get_body("moon", frame.obstime)
    share = (1 - np.cos(sun.separation(moon, origin_mismatch="ignore").rad)) / 2
    # Its orbit is an ellipse, in which it can be half a day from where a circle has it.
    assert np.abs(nights.moon - share).max() < 0.13
    assert np.corrcoef(nights.moon, share)[0, 1] > 0.99


def test_the_same_seed_gives_the_same_nights(nights: Nights) -> None:
    again = draw_nights(RA, DEC, np.random.default_rng(5))
    for name in ("mjd", "airmass", "berv", "moon"):
        np.testing.assert_array_equal(getattr(nights, name), getattr(again, name))
