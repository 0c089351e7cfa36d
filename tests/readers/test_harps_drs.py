"""HARPS DRS s1d images and other images with a linear axis."""

from __future__ import annotations

import numpy as np
import pytest

import maury
from maury.errors import ReadError


def test_an_s1d_file_in_full(write_image, flux):
    path = write_image(flux)
    spectrum = maury.read(path)
    np.testing.assert_allclose(spectrum.wavelength, 5300 + 0.01 * np.arange(500), rtol=1e-15)
    np.testing.assert_array_equal(spectrum.flux, flux.astype(np.float32))
    np.testing.assert_array_equal(spectrum.mask, flux == 0)
    assert spectrum.uncertainty is None
    assert (spectrum.medium, spectrum.frame) == ("air", "barycentric")
    assert spectrum.meta.to_dict() == {
        "object": "HD128621",
        "berv": 18.2626935967183,
        "airmass": 1.213,
        "airmass_end": 1.214,
        "time": "2012-03-24T08:37:45.581",
        "exposure": 9.9941,
        "snr": 343.1,
        "programme": "088.C-0011(A)",
        "instrument": "HARPS",
        "drs_version": "HARPS_3.8",
        "rv": -22.7,
        "path": str(path),
        "flux_unit": "Relative Flux",
    } | dict.fromkeys(("teff", "logg", "mh", "alpha", "vmic", "ra", "dec", "resolving_power"))


@pytest.mark.parametrize(
    ("header", "first"),
    [
        ({"CRPIX1": None}, 5300.0),
        ({"CRPIX1": 11.0}, 5299.9),
        ({"CDELT1": None, "CD1_1": 0.01}, 5300.0),
        ({"CRVAL1": 530.0, "CDELT1": 0.001, "CUNIT1": "nm"}, 5300.0),
        ({"CUNIT1": "Angstroms"}, 5300.0),
        ({"CUNIT1": "A"}, 5300.0),
    ],
)
def test_the_wavelength_axis(write_image, flux, header, first):
    spectrum = maury.read(write_image(flux, **header))
    np.testing.assert_allclose(spectrum.wavelength, first + 0.01 * np.arange(500), rtol=1e-14)


def test_a_logarithmic_axis_of_iraf(write_image, flux):
    header = {"CRVAL1": np.log10(5300.0), "CDELT1": 1e-6, "DC-FLAG": 1}
    spectrum = maury.read(write_image(flux, **header))
    np.testing.assert_allclose(
        spectrum.wavelength, 5300 * 10 ** (1e-6 * np.arange(500)), rtol=1e-13
    )


@pytest.mark.parametrize(
    ("header", "medium", "frame"),
    [
        ({"ESO DRS VERSION": None}, "air", "barycentric"),
        ({"CTYPE1": "WAVE"}, "vacuum", "barycentric"),
        ({"CTYPE1": "AWAV"}, "air", "barycentric"),
        ({"SPECSYS": "TOPOCENT"}, "air", "observatory"),
        ({"SPECSYS": "HELIOCEN"}, "air", "barycentric"),
        ({"SPECSYS": "SOURCE"}, "air", "rest"),
        ({"DOPCOR01": "26.52654 all"}, "air", "rest"),
    ],
)
def test_medium_and_frame_by_the_header(write_image, flux, header, medium, frame):
    spectrum = maury.read(write_image(flux, **header))
    assert (spectrum.medium, spectrum.frame) == (medium, frame)


def test_the_user_knows_better_than_the_header(write_image, flux):
    path = write_image(flux)
    spectrum = maury.read(path, medium="vacuum", frame="rest")
    assert (spectrum.medium, spectrum.frame) == ("vacuum", "rest")
    np.testing.assert_array_equal(spectrum.wavelength, maury.read(path).wavelength)


def test_missing_and_nonsensical_facts_are_none(write_image, flux):
    nothing = dict.fromkeys(
        ("INSTRUME", "OBJECT", "DATE-OBS", "ESO OBS PROG ID", "ESO DRS VERSION", "BUNIT")
    )
    unknown = {
        "EXPTIME": 0.0,
        "ESO DRS SPE EXT SN50": 0.0,
        "ESO TEL AIRM START": 0.0,
        "ESO TEL AIRM END": "unknown",
        "ESO DRS BERV": 99999.0,
        "ESO DRS CCF RVC": -99999.0,
        "MJD-OBS": 0.0,
    }
    path = write_image(flux, **(nothing | unknown))
    facts = maury.read(path).meta.to_dict()
    assert facts.pop("path") == str(path)
    assert set(facts.values()) == {None}


def test_time_from_mjd_where_the_date_has_no_time_of_day(write_image, flux):
    path = write_image(flux, **{"DATE-OBS": "2012-03-24", "MJD-OBS": 56010.5})
    assert maury.read(path).meta.time.isot == "2012-03-24T12:00:00.000"


def test_target_name_where_there_is_no_object(write_image, flux):
    path = write_image(flux, **{"OBJECT": " ", "ESO OBS TARG NAME": "Sun-sky"})
    assert maury.read(path).meta.object == "Sun-sky"


def test_a_second_axis_of_one_pixel_is_no_image(write_image, flux):
    assert len(maury.read(write_image(flux[None]))) == 500


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"CRVAL1": None}, "without wavelengths: its header lacks CRVAL1 or CDELT1"),
        ({"CDELT1": None}, "without wavelengths"),
        ({"CDELT1": 0.0}, "without wavelengths"),
        ({"CUNIT1": "Hz"}, "'Hz', which is not a known unit of length"),
    ],
)
def test_an_axis_that_is_none(write_image, flux, header, message):
    with pytest.raises(ReadError, match=message):
        maury.read(write_image(flux, **header))


def test_an_image_that_is_no_spectrum(write_image, flux):
    with pytest.raises(ReadError, match="an image of 100 x 5 pixels, not a one-dimensional"):
        maury.read(write_image(flux.reshape(5, 100)))
