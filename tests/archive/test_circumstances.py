"""BERV and airmass against astropy's full transformations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import AltAz, EarthLocation, SkyCoord, get_body_barycentric_posvel
from astropy.time import Time
from astropy.utils import iers

from maury.archive.circumstances import (
    LA_PALMA,
    LA_SILLA,
    PARANAL,
    SITES,
    airmass,
    barycentric_velocity,
)

RANDOM = np.random.default_rng(4)
RA, DEC = RANDOM.uniform(0, 360, 60), RANDOM.uniform(-90, 60, 60)
MJD = RANDOM.uniform(52936, 58920, 60)  # October 2003 to March 2020


@pytest.fixture(scope="module", autouse=True)
def earth_rotation() -> Iterator[None]:
    """The table of the Earth's rotation that comes with astropy, and nothing from the network."""
    with iers.earth_orientation_table.set(iers.IERS_A.open(iers.IERS_A_FILE)):
        yield


@pytest.fixture
def sky() -> tuple[SkyCoord, Time]:
    return SkyCoord(RA * u.deg, DEC * u.deg), Time(MJD, format="mjd", scale="utc")


@pytest.mark.parametrize("site", [LA_SILLA, PARANAL, LA_PALMA], ids=["silla", "paranal", "palma"])
def test_berv_is_the_projected_velocity_of_astropy(
    sky: tuple[SkyCoord, Time], site: EarthLocation
) -> None:
    target, time = sky
    _, earth = get_body_barycentric_posvel("earth", time)
    _, spin = site.get_gcrs_posvel(time)
    full = target.radial_velocity_correction(obstime=time, location=site).to_value("km/s")
    velocity = (earth + spin).xyz.to_value("km/s")
    expected = (velocity * target.cartesian.xyz.value).sum(axis=0)
    found = barycentric_velocity(RA, DEC, MJD, site)
    np.testing.assert_allclose(found, expected, rtol=0, atol=3e-5)
    # Gravity and time dilation, which pipelines leave out.
    assert np.all((full - found > 4.3e-3) & (full - found < 5.0e-3))


def test_many_exposures_have_what_few_have() -> None:
    mjd = np.linspace(55000.0, 55030.0, 400)
    many = barycentric_velocity(217.4, -62.7, mjd, LA_SILLA)
    one_by_one = [float(barycentric_velocity(217.4, -62.7, day, LA_SILLA)) for day in mjd[::40]]
    np.testing.assert_allclose(many[::40], one_by_one, rtol=0, atol=1e-5)


def test_airmass_is_that_of_astropys_altitude(sky: tuple[SkyCoord, Time]) -> None:
    target, time = sky
    altitude = target.transform_to(AltAz(obstime=time, location=PARANAL)).alt.deg
    found = airmass(RA, DEC, MJD, PARANAL)
    np.testing.assert_array_equal(np.isnan(found), altitude < 0)
    # Kasten & Young (1989), of the apparent altitude.
    up = altitude > 20
    apparent = altitude[up] + 0.0167 / np.tan(np.radians(altitude[up]))
    other = 1 / (np.sin(np.radians(apparent)) + 0.50572 * (apparent + 6.07995) ** -1.6364)
    np.testing.assert_allclose(found[up], other, rtol=2e-3)
    assert np.count_nonzero(up) > 15


@pytest.mark.parametrize("function", [barycentric_velocity, airmass])
def test_what_is_missing_stays_missing_and_changes_nothing_else(function) -> None:
    ra, dec, mjd = [10.0, np.nan, 10.0, 10.0], [-30.0, -30.0, np.nan, -30.0], 55200.0
    times = [mjd, mjd, mjd, np.nan]
    found = function(ra, dec, times, LA_SILLA)
    assert np.isfinite(found).tolist() == [True, False, False, False]
    assert found[0] == function(10.0, -30.0, mjd, LA_SILLA)
    assert np.isnan(function(np.nan, np.nan, np.nan, LA_SILLA))
    assert function([], [], [], LA_SILLA).shape == (0,)


def test_sites_are_where_their_observatories_say() -> None:
    # Latitude and longitude from the Minor Planet Center's codes 809, 309 and Z19.
    for name, longitude, latitude in (
        ("HARPS", 289.266, -29.2567),
        ("UVES", 289.5972, -24.6253),
        ("HARPN", 342.1110, 28.7542),
    ):
        site = SITES[name]
        assert site.lon.deg % 360 == pytest.approx(longitude, abs=0.01)
        assert site.lat.deg == pytest.approx(latitude, abs=0.01)
