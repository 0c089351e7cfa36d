"""Files that are no usable spectrum, each refused with one sentence that names the file."""

from __future__ import annotations

import gzip
import re

import numpy as np
import pytest
from astropy.io import fits

import maury
from maury.errors import ReadError
from maury.readers import READERS, RawSpectrum, SpectrumReader, register

WAVELENGTH = np.round(5000 + 0.1 * np.arange(60), 1)


def text_file(path, wavelength, flux=None):
    flux = np.linspace(1, 2, len(wavelength)) if flux is None else flux
    np.savetxt(path, np.column_stack((wavelength, flux)))
    return path


def refusal(path, **options) -> str:
    with pytest.raises(ReadError) as caught:
        maury.read(path, **options)
    message = str(caught.value)
    assert str(path) in message
    assert message.endswith(".")
    # One sentence: no full stop in it but those of numbers and file names.
    assert not re.search(r"\. [A-Z]", message)
    assert "\n" not in message
    return message


def test_what_is_not_there(tmp_path):
    assert "does not exist" in refusal(tmp_path / "none.fits")
    assert "is a directory" in refusal(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\0" * 2880])
def test_empty_files(tmp_path, content):
    path = tmp_path / "empty.fits"
    path.write_bytes(content)
    assert "is empty" in refusal(path)


@pytest.mark.parametrize("keep", [100, 2880, 3000, 4000])
def test_truncated_fits(tmp_path, write_image, flux, keep):
    whole = write_image(flux).read_bytes()
    path = tmp_path / "cut.fits"
    path.write_bytes(whole[:keep])
    message = refusal(path)
    assert "truncated" in message or "damaged FITS file" in message


def test_truncated_table(tmp_path, write_table, flux):
    columns = [
        fits.Column(name, format="500D", array=(5300 + np.arange(500.0))[None])
        for name in ("WAVE", "FLUX")
    ]
    whole = write_table(columns, {}).read_bytes()
    path = tmp_path / "cut.fits"
    path.write_bytes(whole[:9000])
    assert "is truncated: its header announces" in refusal(path)


def test_a_last_block_that_is_not_filled_up_is_no_harm(tmp_path, write_image, flux):
    whole = write_image(flux).read_bytes()
    header = whole.index(b"END" + b" " * 77) // 2880 + 1
    path = tmp_path / "unpadded.fits"
    path.write_bytes(whole[: header * 2880 + 4 * flux.size])
    assert len(maury.read(path)) == 500


def test_gzip_of_any_and_damaged_gzip(tmp_path, write_image, flux):
    plain = write_image(flux)
    packed = tmp_path / "s1d.fits.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    np.testing.assert_array_equal(maury.read(packed).flux, maury.read(plain).flux)
    text = tmp_path / "star.txt.gz"
    text.write_bytes(gzip.compress(text_file(tmp_path / "star.txt", WAVELENGTH).read_bytes()))
    assert len(maury.read(text)) == 60
    packed.write_bytes(packed.read_bytes()[:-50])
    assert "damaged or cut short" in refusal(packed)


def test_neither_fits_nor_text(tmp_path):
    path = tmp_path / "spectrum.hdf5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(range(256)))
    assert "is neither FITS nor text; the known formats are" in refusal(path)


def test_a_fits_file_without_data(tmp_path):
    path = tmp_path / "header.fits"
    fits.PrimaryHDU().writeto(path)
    assert "without any data" in refusal(path)


@pytest.mark.parametrize(
    ("value", "message"),
    [(np.nan, "all 500 pixels are NaN or infinite"), (0.0, "all 500 pixels are zero")],
)
def test_nothing_in_it(write_image, value, message):
    assert message in refusal(write_image(np.full(500, value)))


@pytest.mark.parametrize(
    ("wavelength", "message"),
    [
        (WAVELENGTH[::-1], "descend from 5005.9 to 5000 A; reverse the order"),
        (WAVELENGTH / 10, "from 500 to 500.59, which look like nanometres; multiply them by 10"),
        (WAVELENGTH / 1e4, "must be in Angstrom, from 900 to 100000"),
        (np.arange(60.0), "must be in Angstrom"),
        (WAVELENGTH[[*range(30), *range(29, 59)]], "it repeats 5002.9 A at pixel 31"),
        (WAVELENGTH[[*range(30), *range(10, 40)]], "it falls to 5001 A after 5002.9 A at pixel 31"),
        (np.where(WAVELENGTH == 5002, np.nan, WAVELENGTH), "no finite wavelength at pixel 21"),
        (WAVELENGTH[:9], "has 9 pixels, but a spectrum needs at least 10"),
    ],
)
def test_wavelengths_that_cannot_be_used(tmp_path, wavelength, message):
    assert message in refusal(text_file(tmp_path / "star.txt", wavelength))


def test_too_few_good_pixels(tmp_path):
    flux = np.where(WAVELENGTH < 5000.45, 1.0, np.nan)
    message = refusal(text_file(tmp_path / "star.txt", WAVELENGTH, flux))
    assert "5 good pixels among 60" in message


def test_orders_of_garbage_as_in_the_published_gl_273(write_image, flux):
    rng = np.random.default_rng(0)
    flux[200:260] = rng.normal(0, 1e19, 60)
    message = refusal(write_image(flux))
    assert "is damaged: 60 of its 500 pixels hold values of up to" in message


def test_a_single_impossible_pixel_is_masked(write_image):
    flux = np.full(500, 1000.0)
    flux[[50, 60]] = (1e12, -1e12)
    assert np.flatnonzero(maury.read(write_image(flux)).mask).tolist() == [50, 60]


def test_noise_and_bright_spikes_are_no_damage(write_image):
    rng = np.random.default_rng(0)
    # Signal far below the noise, as in the blue of an M dwarf, and cosmic rays over it.
    flux = rng.normal(0.1, 1, 5000)
    flux[rng.integers(0, 5000, 100)] *= 3000
    assert maury.read(write_image(flux)).valid.all()


@pytest.mark.parametrize("option", ["format", "medium", "frame"])
def test_options_that_are_none(write_image, flux, option):
    with pytest.raises(ReadError, match=f"The {option} 'nonsense' is unknown; it can be"):
        maury.read(write_image(flux), **{option: "nonsense"})


def test_a_format_of_one_s_own(tmp_path, monkeypatch):
    class Letters(SpectrumReader):
        name = "letters"
        description = "one letter a pixel"

        def identifies(self, source):
            return source.content.startswith(b"LETTERS")

        def read(self, source):
            flux = np.frombuffer(source.content[7:], dtype=np.uint8)
            return RawSpectrum(6000 + np.arange(flux.size), flux)

    for name in tuple(READERS):
        monkeypatch.setitem(READERS, name, READERS[name])
    monkeypatch.delitem(READERS, "text")
    monkeypatch.setitem(READERS, "letters", register(Letters()))
    path = tmp_path / "star.letters"
    path.write_bytes(b"LETTERSabcdefghijkl")
    assert maury.read(path).flux[0] == ord("a")


def test_no_damage_to_a_fits_file_shows_a_traceback(tmp_path, write_table, write_image, flux):
    columns = [
        fits.Column(name, format="500D", array=(5300 + np.arange(500.0))[None], unit="Angstrom")
        for name in ("WAVE", "FLUX")
    ]
    wholes = [write_image(flux).read_bytes(), write_table(columns, {}).read_bytes()]
    path = tmp_path / "damaged.fits"
    rng = np.random.default_rng(11)
    refused = 0
    for i in range(200):
        content = bytearray(wholes[i % 2])
        for position in rng.integers(0, min(len(content), 9000), 4):
            content[position] = rng.integers(32, 127)
        path.write_bytes(content)
        try:
            maury.read(path)
        except ReadError as error:
            refused += 1
            assert str(path) in str(error)
    assert refused > 50
