"""Tables of the ESO archive and of the ESPRESSO pipeline."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

import maury
from maury.errors import ReadError
from maury.spectrum import air_to_vacuum

WAVELENGTH = 5300 + 0.01 * np.arange(500)

ESPRESSO_FACTS = {
    "INSTRUME": "ESPRESSO",
    "OBJECT": "HD10700",
    "DATE-OBS": "2019-09-01T05:00:00.000",
    "EXPTIME": 60.0,
    "ESO OBS PROG ID": "0103.D-0001(A)",
    "ESO TEL1 AIRM START": 1.05,
    "ESO TEL1 AIRM END": 1.06,
    "ESO PRO REC1 PIPE ID": "espdr/3.0.0",
    "ESO QC BERV": 21.5,
    "ESO QC CCF RV": -16.6,
}


def phase3_columns(flux, error, wave=WAVELENGTH, **extra):
    arrays = {"WAVE": (wave, "Angstrom"), "FLUX": (flux, "adu"), "ERR": (error, "adu")}
    arrays |= {name: (array, None) for name, array in extra.items()}
    return [
        fits.Column(name, format=f"{array.size}D", array=array[None], unit=unit)
        for name, (array, unit) in arrays.items()
    ]


def espresso_columns(flux, **change):
    arrays = {
        "wavelength": air_to_vacuum(WAVELENGTH),
        "wavelength_air": WAVELENGTH,
        "flux": flux,
        "error": np.full(500, 30.0),
        "quality": np.zeros(500, dtype=np.int32),
    }
    units = {"wavelength": "angstrom", "wavelength_air": "angstrom", "flux": "e-", "error": "e-"}
    return [
        fits.Column(name, format="J" if name == "quality" else "D", array=a, unit=units.get(name))
        for name, a in (arrays | change).items()
    ]


@pytest.mark.parametrize(
    ("ucd", "specsys", "medium", "frame"),
    [
        ("em.wl;obs.atmos", "TOPOCENT", "air", "observatory"),
        ("em.wl", "BARYCENT", "vacuum", "barycentric"),
        (None, None, "air", "barycentric"),
    ],
)
def test_a_phase_3_table_in_full(write_table, flux, ucd, specsys, medium, frame):
    error = np.full(500, 30.0)
    error[7] = 0
    path = write_table(
        phase3_columns(flux, error),
        {"OBJECT": "HD36705", "SNR": 254.4, "PROG_ID": "095.C-0437(A)", "MJD-OBS": 57268.5}
        | ({"SPECSYS": specsys} if specsys else {}),
        {"TUCD1": ucd} if ucd else {},
    )
    spectrum = maury.read(path)
    np.testing.assert_array_equal(spectrum.wavelength, WAVELENGTH)
    np.testing.assert_array_equal(spectrum.flux, flux)
    np.testing.assert_array_equal(spectrum.uncertainty, error)
    expected = flux == 0
    expected[7] = True
    np.testing.assert_array_equal(spectrum.mask, expected)
    assert (spectrum.medium, spectrum.frame) == (medium, frame)
    meta = spectrum.meta
    assert (meta.object, meta.snr, meta.programme) == ("HD36705", 254.4, "095.C-0437(A)")
    assert meta.time.isot == "2015-09-03T12:00:00.000"
    assert (meta.flux_unit, meta.berv) == ("adu", None)


def test_flags_and_air_wavelengths_of_an_espresso_phase_3_table(write_table, flux):
    quality = np.zeros(500)
    quality[3] = 4
    columns = phase3_columns(
        flux, flux / 30 + 1, wave=air_to_vacuum(WAVELENGTH), WAVE_AIR=WAVELENGTH, QUAL=quality
    )
    spectrum = maury.read(write_table(columns, {}, {"TUCD1": "em.wl"}))
    assert spectrum.medium == "air"
    np.testing.assert_array_equal(spectrum.wavelength, WAVELENGTH)
    np.testing.assert_array_equal(spectrum.mask, (flux == 0) | (quality != 0))


def test_an_empty_column_of_errors_is_no_uncertainty(write_table, flux):
    path = write_table(phase3_columns(flux, np.full(500, np.nan)), {})
    assert maury.read(path).uncertainty is None


def test_an_espresso_s1d_in_full(write_table, flux):
    quality = np.zeros(500, dtype=np.int32)
    quality[200:210] = 16384
    orders = {f"ESO QC ORDER{n} SNR": 100.0 + n for n in range(1, 171)}
    path = write_table(espresso_columns(flux, quality=quality), ESPRESSO_FACTS | orders)
    spectrum = maury.read(path)
    np.testing.assert_array_equal(spectrum.wavelength, WAVELENGTH)
    np.testing.assert_array_equal(spectrum.uncertainty, np.full(500, 30.0))
    np.testing.assert_array_equal(spectrum.mask, (flux == 0) | (quality != 0))
    assert (spectrum.medium, spectrum.frame) == ("air", "barycentric")
    facts = spectrum.meta.to_dict()
    assert facts == {
        "object": "HD10700",
        "berv": 21.5,
        "airmass": 1.05,
        "airmass_end": 1.06,
        "time": "2019-09-01T05:00:00.000",
        "exposure": 60.0,
        "snr": 202.0,
        "programme": "0103.D-0001(A)",
        "instrument": "ESPRESSO",
        "drs_version": "espdr/3.0.0",
        "rv": -16.6,
        "path": str(path),
        "flux_unit": "e-",
    } | dict.fromkeys(("teff", "logg", "mh", "alpha", "vmic", "ra", "dec", "resolving_power"))


def test_a_column_in_nanometres_is_converted(write_table, flux):
    columns = espresso_columns(flux, wavelength_air=WAVELENGTH / 10)
    columns[1].unit = "nm"
    spectrum = maury.read(write_table(columns, ESPRESSO_FACTS))
    np.testing.assert_allclose(spectrum.wavelength, WAVELENGTH, rtol=1e-14)


def test_a_table_of_something_else(write_table, flux):
    columns = [fits.Column("RA", format="D", array=flux), fits.Column("DEC", "D", array=flux)]
    with pytest.raises(ReadError, match="a FITS table with the columns RA, DEC, which is none"):
        maury.read(write_table(columns, {}))


def test_columns_that_are_not_numbers(write_table):
    columns = [fits.Column(n, format="3A", array=["a"] * 20) for n in ("wavelength", "flux")]
    columns.append(fits.Column("wavelength_air", format="3A", array=["a"] * 20))
    with pytest.raises(ReadError, match="wavelength_air that is not made of numbers"):
        maury.read(write_table(columns, {}))


def test_a_named_format_that_the_file_has_not(write_image, flux):
    path = write_image(flux)
    with pytest.raises(ReadError, match="holds no table of one row with WAVE and FLUX"):
        maury.read(path, format="eso-phase3")
    with pytest.raises(ReadError, match="holds no table with wavelength_air and flux"):
        maury.read(path, format="espresso-drs")
