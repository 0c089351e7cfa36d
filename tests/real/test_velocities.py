"""Velocities that the HARPS pipeline wrote, against astropy, the Earth's air and a mask of lines.

The DRS (3.5 and 3.8) projects the velocity of La Silla on the catalogue's position of the target
(ESO TEL TARG), moved by proper motion to the epoch, at half the exposure. It leaves out the terms
of second order, gravity and time dilation: astropy's `radial_velocity_correction`, which has them,
is 4.3 to 5.1 m/s larger.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import FK4, ICRS, SkyCoord
from astropy.io import fits
from astropy.time import Time
from astropy.utils import iers

import maury
from maury.archive.circumstances import LA_SILLA, PARANAL, airmass, barycentric_velocity
from maury.inference.cross_correlation import LineMask, cross_correlate
from maury.instrument.telluric import Telluric
from maury.spectrum import SPEED_OF_LIGHT

SPECTRA = Path(__file__).parents[2].parent / "shared" / "data" / "spectra"

pytestmark = pytest.mark.skipif(
    not (SPECTRA / "manifest.csv").exists(), reason="the real spectra are not beside the checkout"
)


def rows() -> list[dict[str, str]]:
    """Files of the pipeline as it wrote them, or a co-add and a shift away from it."""
    path = SPECTRA / "manifest.csv"
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["berv_kms"]]


AS_WRITTEN = [row for row in rows() if row["file"].startswith("HARPS.")]
GOOD = [row for row in AS_WRITTEN if not row["use"].startswith("bad input")]
# Its header has no exposure time, but is in the frame of the barycentre all the same.
IN_AIR = [*GOOD, *(row for row in rows() if row["file"] == "sun01_harps.fits")]
UVES = ("ADP.2020-06-10T18:32:10.645.fits", "ADP.2020-06-10T18:32:11.316.fits")


@pytest.fixture(scope="module")
def earth_rotation() -> Iterator[None]:
    """The table of the Earth's rotation that comes with astropy, and nothing from the network."""
    with iers.earth_orientation_table.set(iers.IERS_A.open(iers.IERS_A_FILE)):
        yield


def name_of(row: dict[str, str]) -> str:
    return f"{row['star']} {row['date_obs'][:16]}"


def degrees(packed: float) -> float:
    """Of hhmmss.s or ddmmss.s, as the telescope's headers have angles."""
    minutes, seconds = divmod(abs(packed), 100)
    whole, minutes = divmod(minutes, 100)
    return float(np.copysign(whole + minutes / 60 + seconds / 3600, packed))


def target(header: fits.Header) -> SkyCoord:
    """The catalogue's position of the target, at the epoch of observation."""
    card = "ESO TEL TARG "
    right_ascension, declination = degrees(header[card + "ALPHA"]), degrees(header[card + "DELTA"])
    years = Time(header["DATE-OBS"]).jyear - 2000
    # PMA is an angle on the sky, in arcsec a year.
    east, north = (header[card + name] * years * u.arcsec for name in ("PMA", "PMD"))
    frame = FK4(equinox="B1950") if header[card + "EQUINOX"] == 1950 else ICRS()
    position = SkyCoord(15 * right_ascension * u.deg, declination * u.deg, frame=frame)
    return position.icrs.spherical_offsets_by(east, north)


@pytest.mark.parametrize("row", AS_WRITTEN, ids=name_of)
def test_berv_of_headers_is_that_of_time_place_and_target(
    row: dict[str, str], earth_rotation: None
) -> None:
    header = fits.getheader(SPECTRA / row["file"])
    assert header["ESO DRS VERSION"] in ("HARPS_3.5", "HARPS_3.8")
    position = target(header)
    middle = Time(header["DATE-OBS"]) + header["EXPTIME"] / 2 * u.s
    ours = barycentric_velocity(position.ra.deg, position.dec.deg, middle.mjd, LA_SILLA)
    assert ours == pytest.approx(header["ESO DRS BERV"], abs=1e-3)
    full = position.radial_velocity_correction(obstime=middle, location=LA_SILLA).to_value(
        u.km / u.s
    )
    assert 4.0e-3 < full - header["ESO DRS BERV"] < 5.5e-3


def test_the_flux_weighted_middle_is_not_what_the_pipeline_took() -> None:
    weighted, half = [], []
    for row in (row for row in GOOD if row["star"] == "HD189733"):
        header = fits.getheader(SPECTRA / row["file"])
        position, start = target(header), Time(header["DATE-OBS"]).mjd
        for share, found in ((header["ESO INS DET1 TMMEAN"], weighted), (0.5, half)):
            mjd = start + share * header["EXPTIME"] / 86400
            ours = barycentric_velocity(position.ra.deg, position.dec.deg, mjd, LA_SILLA)
            found.append(float(ours) - header["ESO DRS BERV"])
    assert np.ptp(half) < 1e-4 < 5e-4 < np.ptp(weighted)


def test_a_target_of_1950_is_precessed_before() -> None:
    """Day sky, reduced by DRS 1.9; the start of the exposure alone is known."""
    header = fits.getheader(SPECTRA / "sun01_harps.fits")
    position, start = target(header), Time(header["DATE-OBS"]).mjd
    ours = barycentric_velocity(position.ra.deg, position.dec.deg, start, LA_SILLA)
    assert ours == pytest.approx(header["ESO DRS BERV"], abs=5e-3)
    unprecessed = barycentric_velocity(15 * 23.576278, -39.817778, start, LA_SILLA)
    assert unprecessed - header["ESO DRS BERV"] < -0.1


@pytest.mark.parametrize("name", UVES)
def test_uves_has_its_berv_as_a_correction(name: str) -> None:
    meta = maury.read(SPECTRA / name).meta
    ends = [meta.time.mjd, meta.mid_time.mjd, meta.time.mjd + meta.exposure / 86400]
    found = barycentric_velocity(meta.ra, meta.dec, ends, PARANAL)
    assert found[1] == pytest.approx(meta.berv, abs=5e-3)
    first, _, last = airmass(meta.ra, meta.dec, ends, PARANAL)
    assert (first, last) == pytest.approx((meta.airmass, meta.airmass_end), abs=2e-3)


@pytest.mark.parametrize("row", AS_WRITTEN, ids=name_of)
def test_airmass_of_headers_is_that_of_time_place_and_target(row: dict[str, str]) -> None:
    header = fits.getheader(SPECTRA / row["file"])
    position, start = target(header), Time(header["DATE-OBS"]).mjd
    ends = airmass(
        position.ra.deg, position.dec.deg, [start, start + header["EXPTIME"] / 86400], LA_SILLA
    )
    expected = [header["ESO TEL AIRM START"], header["ESO TEL AIRM END"]]
    np.testing.assert_allclose(ends, expected, atol=0.01)


def oxygen(lower: float, upper: float) -> LineMask:
    """The minima of oxygen's transmission, observatory frame."""
    table = Telluric.load()
    inside = (table.wavelength > lower) & (table.wavelength < upper)
    wavelength = table.wavelength[inside]
    flux = table.transmission(wavelength, 1.3, 0.0, resolving_power=115_000)
    at = 1 + np.flatnonzero(
        (flux[1:-1] < flux[:-2]) & (flux[1:-1] <= flux[2:]) & (flux[1:-1] < 0.9)
    )
    before, middle, after = flux[at - 1], flux[at], flux[at + 1]
    offset = (before - after) / (before - 2 * middle + after) / 2
    return LineMask(
        wavelength[at] * (1 + offset * table.velocity_step / SPEED_OF_LIGHT), 1 - middle
    )


@pytest.mark.parametrize("row", IN_AIR, ids=name_of)
def test_oxygen_is_at_rest_after_a_shift_back_by_berv(row: dict[str, str]) -> None:
    spectrum = maury.read(SPECTRA / row["file"])
    factor = 1 + spectrum.meta.berv / SPEED_OF_LIGHT
    here = replace(spectrum, wavelength=spectrum.wavelength / factor, frame="observatory")
    velocity = np.arange(-8.0, 8.1, 0.25)
    # Winds and the wavelength scale are worth tens of m/s, stellar lines among weak ones more.
    for band, least_contrast, offset in (((6867, 6909), 0.8, 0.08), ((6276, 6320), 0.2, 0.2)):
        found = cross_correlate(here, oxygen(*band), velocity)
        assert found.contrast > least_contrast
        assert found.rv == pytest.approx(0, abs=offset)


def test_the_file_that_was_shifted_to_the_sun_tells_by_how_much() -> None:
    spectrum = maury.read(SPECTRA / "Sun_HARPS.fits")
    moved = fits.getheader(SPECTRA / "Sun_HARPS.fits")["DOPCOR01"]
    factor = 1 + spectrum.meta.berv / SPEED_OF_LIGHT
    here = replace(spectrum, wavelength=spectrum.wavelength / factor)
    found = cross_correlate(here, oxygen(6867, 6909), np.arange(-14.0, 2.1, 0.25))
    assert found.rv == pytest.approx(-float(moved.split()[0]) * SPEED_OF_LIGHT, abs=0.08)


@pytest.fixture(scope="module")
def dwarf() -> LineMask:
    """Lines of a dwarf that is none of the stars measured."""
    return LineMask.for_star(5000.0, 4.5, 0.0)


def velocity_of(row: dict[str, str], mask: LineMask) -> float:
    near = round(float(row["rv_fe_lines_kms"]))
    spectrum = maury.read(SPECTRA / row["file"])
    return cross_correlate(spectrum, mask, np.arange(near - 20, near + 20.1, 0.25)).rv


def test_the_pipelines_velocities_of_hd_189733_are_those_of_a_mask(dwarf: LineMask) -> None:
    exposures = [row for row in GOOD if row["rv_drs_ccf_kms"]]
    assert len(exposures) == 9
    pipeline = np.array([float(row["rv_drs_ccf_kms"]) for row in exposures])
    difference = np.array([velocity_of(row, dwarf) for row in exposures]) - pipeline
    assert np.abs(difference).max() < 0.1
    # The planet and its transit moved the star by 90 m/s in these three hours.
    assert np.std(difference) < 0.004 < 0.03 < np.std(pipeline)


def test_velocities_of_alpha_centauri_b_are_those_of_its_iron_lines(dwarf: LineMask) -> None:
    exposures = [row for row in GOOD if row["star"] == "HD128621"]
    assert len(exposures) == 16
    iron = np.array([float(row["rv_fe_lines_kms"]) for row in exposures])
    difference = np.array([velocity_of(row, dwarf) for row in exposures]) - iron
    assert np.abs(difference).max() < 0.02 and np.std(difference) < 0.005


def test_an_m_dwarf_has_its_velocity_by_the_lines_of_a_k_dwarf(dwarf: LineMask) -> None:
    (row,) = (row for row in GOOD if row["star"] == "Gl581")
    assert velocity_of(row, dwarf) == pytest.approx(float(row["rv_fe_lines_kms"]), abs=0.1)
