"""Spectra of models, as other people's codes write them."""

from __future__ import annotations

import gzip
import re

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.modeling.models import BlackBody
from hypothesis import given, settings
from hypothesis import strategies as st

import maury
from maury.errors import ReadError
from maury.readers import READERS, Source

WAVE = "WAVE_PHOENIX-ACES-AGSS-COND-2011.fits"

# As in COM-v19.1/syntspec of Turbospectrum 2019: the Sun at 6700 A.
FLUX = """   6700.000    0.99971  7.17461E+06
   6700.010    0.99970  7.17452E+06
   6700.020    0.99968  7.17436E+06
   6700.030    0.99963  7.17401E+06
   6700.040    0.99954  7.17332E+06
"""
# From the ATLAS cookbook of atmos.obspm.fr (L. Sbordone): Teff 4904 K, Na D.
ASC = """  5892.3967      0.33850954E-05      0.38414344E-05     0.881206
  5892.4066      0.33574777E-05      0.38414424E-05     0.874015
  5892.4164      0.33321944E-05      0.38414504E-05     0.867431
  5892.4262      0.33105134E-05      0.38414583E-05     0.861786
  5892.4360      0.32936416E-05      0.38414663E-05     0.857392
  5892.4458      0.32826049E-05      0.38414742E-05     0.854517
"""


def continued(rows: str, number: int = 12) -> str:
    """The rows, and more after them whose wavelengths go on in the same steps."""
    lines = rows.splitlines()
    first, second = (float(line.split()[0]) for line in lines[:2])
    tail = lines[-1].split()[1:]
    more = (
        "  ".join([f"{first + i * (second - first):.4f}", *tail])
        for i in range(len(lines), len(lines) + number)
    )
    return rows + "\n".join(more) + "\n"


def save(path, text):
    path.write_text(text, encoding="ascii")
    return path


def star(teff=5777.0, number=400):
    """Wavelengths, and lines in the surface flux of a black body per A and per Hz."""
    wavelength = np.linspace(4800, 5300, number)
    relative = 1 - 0.8 * np.exp(-(((wavelength - 5183.6) / 2) ** 2))
    black = BlackBody(temperature=teff * u.K)(wavelength * u.AA) * np.pi * u.sr
    per_hertz = black.to_value(u.erg / u.s / u.cm**2 / u.Hz)
    per_angstrom = black.to_value(
        u.erg / u.s / u.cm**2 / u.AA, u.spectral_density(wavelength * u.AA)
    )
    return wavelength, relative, per_angstrom, per_hertz


def refusal(path, **options) -> str:
    with pytest.raises(ReadError) as caught:
        maury.read(path, **options)
    message = str(caught.value)
    assert str(path) in message
    assert message.endswith(".")
    assert not re.search(r"\. [A-Z]", message)
    assert "\n" not in message
    return message


# --- Turbospectrum ---


@pytest.mark.parametrize("intensities", ["", "  1.68239E+06  0.99993"])
def test_turbospectrum(tmp_path, intensities):
    rows = "\n".join(line + intensities for line in FLUX.splitlines()) + "\n"
    spectrum = maury.read(save(tmp_path / "sun.spec", continued(rows)))
    np.testing.assert_array_equal(
        spectrum.wavelength[:5], [6700, 6700.01, 6700.02, 6700.03, 6700.04]
    )
    np.testing.assert_array_equal(spectrum.flux[:2], [7.17461e6, 7.17452e6])
    assert spectrum.uncertainty is None
    assert (spectrum.medium, spectrum.frame) == ("air", "rest")
    assert u.Unit(spectrum.meta.flux_unit) == u.Unit("erg s-1 cm-2 Angstrom-1")
    assert maury.read(tmp_path / "sun.spec", medium="vacuum").medium == "vacuum"


@pytest.mark.parametrize("uncertainty", [0.01, 0.5, 99.0, 1e30])
def test_text_with_uncertainties_is_not_of_turbospectrum(tmp_path, uncertainty):
    wavelength, relative, *_ = star()
    path = tmp_path / "star.txt"
    np.savetxt(path, np.column_stack((wavelength, relative, np.full(400, uncertainty))))
    spectrum = maury.read(path)
    assert spectrum.frame == "barycentric"
    np.testing.assert_allclose(spectrum.uncertainty, uncertainty)


def test_what_is_not_of_turbospectrum(tmp_path):
    path = tmp_path / "star.txt"
    np.savetxt(path, np.column_stack(star()[:2]))
    assert "of its columns, 2 in number" in refusal(path, format="turbospectrum")
    path = save(tmp_path / "notes.txt", "no numbers\nat all\n")
    assert "line 2 is not made of numbers" in refusal(path, format="turbospectrum")


# --- SYNTHE ---


def test_the_asc_file_of_the_atlas_cookbook(tmp_path):
    spectrum = maury.read(save(tmp_path / "tutorial_synthe_nb.asc", continued(ASC)))
    assert (spectrum.medium, spectrum.frame) == ("air", "rest")
    assert spectrum.wavelength[0] == 5892.3967
    # By hand: 4 pi x 0.33850954e-5 x 2.99792458e18 / 5892.3967^2 = 3.673e6.
    assert spectrum.flux[0] == pytest.approx(3.673e6, rel=2e-4)
    # The continuum comes from layers a little hotter than Teff, 4904 K.
    black = BlackBody(temperature=4904 * u.K)(5892.4 * u.AA) * np.pi * u.sr
    per_angstrom = black.to_value(u.erg / u.s / u.cm**2 / u.AA, u.spectral_density(5892.4 * u.AA))
    assert 1.0 < spectrum.flux[0] / 0.881206 / per_angstrom < 1.3


@settings(deadline=None, derandomize=True, max_examples=30)
@given(
    teff=st.floats(3500, 20000),
    unit=st.sampled_from(["per Hz", "per A", "per nm"]),
    residuals=st.booleans(),
)
def test_synthe_in_all_units(tmp_path_factory, teff, unit, residuals):
    wavelength, relative, per_angstrom, per_hertz = star(teff)
    continuum = {"per Hz": per_hertz, "per A": per_angstrom, "per nm": 10 * per_angstrom}[unit]
    columns = [wavelength / 10 if unit == "per nm" else wavelength]
    columns += [relative * continuum / (4 * np.pi), continuum / (4 * np.pi)]
    if residuals:
        columns.append(relative)
    path = tmp_path_factory.mktemp("synthe") / "star.asc"
    formats = ["%.7f", "%.8E", "%.8E", "%.6f"]
    np.savetxt(path, np.column_stack(columns), fmt=formats[: len(columns)])
    spectrum = maury.read(path)
    assert spectrum.frame == "rest"
    np.testing.assert_allclose(spectrum.wavelength, wavelength, atol=1e-6)
    np.testing.assert_allclose(spectrum.flux, relative * per_angstrom, rtol=1e-6)


def test_basicatlas_writes_commas_under_a_header(tmp_path):
    wavelength, relative, per_angstrom, _ = star()
    columns = (wavelength, relative * per_angstrom, per_angstrom, relative)
    path = tmp_path / "spectrum.dat"
    np.savetxt(path, np.column_stack(columns), delimiter=",", header="Wavelength [A],Line [erg]")
    np.testing.assert_allclose(maury.read(path).flux, 4 * np.pi * columns[1], rtol=1e-12)


@pytest.mark.parametrize("noise", [0.01, 2.0])
def test_text_with_uncertainties_is_not_of_synthe(tmp_path, noise):
    wavelength, relative, *_ = star()
    rng = np.random.default_rng(1)
    flux = rng.normal(1000 * relative, 1000 * noise)
    path = tmp_path / "star.txt"
    np.savetxt(path, np.column_stack((wavelength, flux, np.full(400, 1000 * noise))))
    assert maury.read(path).frame == "barycentric"


def test_what_is_not_of_synthe(tmp_path):
    wavelength, relative, per_angstrom, _ = star()
    path = tmp_path / "star.txt"
    np.savetxt(path, np.column_stack((wavelength, relative, np.ones(400))))
    message = refusal(path, format="synthe")
    assert "it has 3 columns, the third with a median of 1." in message
    assert "below 0.1 (per Hz) or above 100" in message
    np.savetxt(path, np.column_stack((wavelength, relative)))
    assert "it has 2 columns." in refusal(path, format="synthe")
    wrong = np.column_stack((wavelength, relative * per_angstrom, per_angstrom, 1.1 * relative))
    np.savetxt(path, wrong)
    assert "is not of SYNTHE" in refusal(path, format="synthe")
    assert "has 4 columns; a text spectrum has two" in refusal(path)


# --- PHOENIX ---


@pytest.fixture
def library(tmp_path):
    """A folder laid out as the library is, with a star of 3000 pixels."""
    wavelength = np.concatenate((np.arange(500, 900, 4.0), np.linspace(900, 5.5e4, 2900)))
    flux = np.linspace(1, 2, 3000) * 1e14
    folder = tmp_path / "HiResFITS" / "PHOENIX-ACES-AGSS-COND-2011" / "Z-0.5"
    folder.mkdir(parents=True)
    path = folder / "lte05800-4.50-0.5.PHOENIX-ACES-AGSS-COND-2011-HiRes.fits"
    hdu = fits.PrimaryHDU(flux.astype(np.float32))
    for key, value in {
        "BUNIT": "erg/s/cm^2/cm",
        "PHXTEFF": 5800.0,
        "PHXLOGG": 4.5,
        "PHXM_H": -0.5,
        "PHXALPHA": 0.2,
        "PHXXI_L": 1.49,
        "PHXREFF": 2.3e10,
    }.items():
        hdu.header[key] = value
    abundances = fits.BinTableHDU.from_columns([fits.Column("H", "D", array=[12.0])])
    fits.HDUList([hdu, abundances]).writeto(path)
    wave = fits.PrimaryHDU(wavelength)
    wave.header["UNIT"] = "Angstrom"
    wave.writeto(tmp_path / "HiResFITS" / WAVE)
    return path


def test_phoenix(library):
    spectrum = maury.read(library)
    assert (spectrum.medium, spectrum.frame) == ("vacuum", "rest")
    np.testing.assert_allclose(spectrum.wavelength, np.linspace(900, 5.5e4, 2900))
    # 1e14 erg/s/cm2 per cm, of which an Angstrom is the 1e8th part.
    np.testing.assert_allclose(spectrum.flux, np.linspace(1, 2, 3000)[100:] * 1e6, rtol=1e-6)
    meta = spectrum.meta
    assert (meta.teff, meta.logg, meta.mh, meta.alpha, meta.vmic) == (5800, 4.5, -0.5, 0.2, 1.49)
    assert meta.object == "lte05800-4.50-0.5"
    assert u.Unit(meta.flux_unit) == u.Unit("erg s-1 cm-2 Angstrom-1")


def test_the_wavelengths_of_phoenix_wherever_they_are(library, tmp_path):
    whole = maury.read(library)
    wave = tmp_path / "HiResFITS" / WAVE
    packed = library.parent / f"{WAVE}.gz"
    packed.write_bytes(gzip.compress(wave.read_bytes()))
    wave.unlink()
    np.testing.assert_array_equal(maury.read(library).wavelength, whole.wavelength)
    elsewhere = packed.rename(tmp_path / "grid.fits.gz")
    message = refusal(library)
    assert f"second file, {WAVE}, which is neither beside it" in message
    named = maury.read(library, wavelength_file=elsewhere)
    np.testing.assert_array_equal(named.wavelength, whole.wavelength)
    with pytest.raises(ReadError, match=r"none\.fits does not exist"):
        maury.read(library, wavelength_file=tmp_path / "none.fits")


def test_wavelengths_that_do_not_belong_to_phoenix(library, tmp_path):
    wave = tmp_path / "other.fits"

    def refused(data, **header):
        hdu = fits.PrimaryHDU(data)
        hdu.header.update(header)
        hdu.writeto(wave, overwrite=True)
        with pytest.raises(ReadError) as caught:
            maury.read(library, wavelength_file=wave)
        message = str(caught.value)
        assert str(wave) in message
        return message

    assert "has 2,000 wavelengths for the 3,000 values of flux" in refused(np.arange(2000.0) + 500)
    assert "from 50, but they must be in Angstrom" in refused(np.linspace(50, 5500, 3000))
    assert "from 500 nm, but" in refused(np.linspace(500, 5500, 3000), UNIT="nm")
    assert "first HDU must be an array of one axis" in refused(np.ones((2, 3000)))
    assert "first HDU must be an array of one axis" in refused(None)
    wave.write_bytes(library.read_bytes()[:5760])
    with pytest.raises(ReadError, match=r"other\.fits is truncated"):
        maury.read(library, wavelength_file=wave)


def test_damaged_lists_of_wavelengths_are_named(library, tmp_path):
    whole = (tmp_path / "HiResFITS" / WAVE).read_bytes()
    wave = tmp_path / "damaged.fits"
    rng = np.random.default_rng(3)
    refused = 0
    for _ in range(100):
        content = bytearray(whole)
        for position in rng.integers(0, 400, 4):
            content[position] = rng.integers(32, 127)
        wave.write_bytes(content)
        try:
            maury.read(library, wavelength_file=wave)
        except ReadError as error:
            refused += 1
            assert "damaged.fits" in str(error)
    assert refused > 20


def test_other_files_of_phoenix(library):
    with fits.open(library) as hdus:
        hdus[0].header["BUNIT"] = "W m-2 um-1"
        hdus.writeto(library.with_name("unit.fits"))
        hdus[0].header["CTYPE1"] = "AWAV-LOG"
        hdus.writeto(library.with_name("medium.fits"))
        hdus[0].data = np.ones((78, 100), dtype=np.float32)
        hdus.writeto(library.with_name("specint.fits"))
    assert "has flux in 'W m-2 um-1'" in refusal(library.with_name("unit.fits"))
    assert "medium-resolution PHOENIX library" in refusal(library.with_name("medium.fits"))
    assert "must be an array of one axis" in refusal(library.with_name("specint.fits"))


def test_phoenix_that_is_not(tmp_path, write_image, flux):
    path = save(tmp_path / "sun.spec", continued(FLUX))
    assert "is not FITS" in refusal(path, format="phoenix")
    message = refusal(write_image(flux), wavelength_file=path)
    assert "in the format harps-drs, which has no wavelength_file" in message


def test_each_model_is_claimed_by_one_format(library, tmp_path):
    files = {
        "phoenix": library,
        "turbospectrum": save(tmp_path / "a.spec", continued(FLUX)),
        "synthe": save(tmp_path / "a.asc", continued(ASC)),
    }
    for name, path in files.items():
        source = Source.open(path)
        claims = [key for key, reader in READERS.items() if reader.identifies(source)]
        # Text takes whatever has columns, and is asked last.
        assert [key for key in claims if key != "text"] == [name]


def test_the_parameters_of_a_star_in_comments(tmp_path):
    wavelength, relative, *_ = star()
    path = tmp_path / "star.txt"
    rows = np.column_stack((wavelength, relative))
    np.savetxt(path, rows, header="teff = 5777\nlogg: 4.44\nmh = -0.1 dex\nvmic: nan")
    meta = maury.read(path).meta
    assert (meta.teff, meta.logg, meta.mh, meta.vmic) == (5777, 4.44, None, None)
