"""Spectra as text."""

from __future__ import annotations

import time

import numpy as np
import pytest

import maury
from maury.errors import ReadError

ROWS = [(5000 + 0.1 * i, 1 + 0.01 * i, 0.02) for i in range(30)]


def lines(separator: str, columns: int = 3) -> list[str]:
    return [separator.join(f"{x:.4f}" for x in row[:columns]) for row in ROWS]


def write(path, *parts):
    path.write_text("\n".join(parts) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("separator", [" ", "\t", ",", ", ", ";", "   "])
@pytest.mark.parametrize("columns", [2, 3])
def test_columns_however_they_are_separated(tmp_path, separator, columns):
    spectrum = maury.read(write(tmp_path / "star.txt", *lines(separator, columns)))
    np.testing.assert_allclose(spectrum.wavelength, [row[0] for row in ROWS])
    np.testing.assert_allclose(spectrum.flux, [row[1] for row in ROWS])
    if columns == 3:
        np.testing.assert_allclose(spectrum.uncertainty, 0.02)
    else:
        assert spectrum.uncertainty is None
    assert (spectrum.medium, spectrum.frame) == ("air", "barycentric")


def test_comments_names_blank_lines_and_line_ends(tmp_path):
    text = "# a comment, with commas\r\n\r\nwavelength,flux,error\r\n" + "\r\n".join(lines(","))
    path = tmp_path / "star.csv"
    path.write_bytes(text.replace("5000.5000", "# between\r\n5000.5000").encode() + b" # last")
    assert len(maury.read(path)) == 30


def test_facts_in_comments(tmp_path):
    path = write(
        tmp_path / "star.dat",
        "# object: HD 128621",
        "# medium: Vacuum",
        "# frame: rest",
        "# berv = 18.26",
        "! time: 2012-03-24T08:37:45.581",
        "# snr:",
        "# reduced on: a Tuesday",
        *lines(" "),
    )
    spectrum = maury.read(path)
    assert (spectrum.medium, spectrum.frame) == ("vacuum", "rest")
    meta = spectrum.meta
    assert (meta.object, meta.berv, meta.snr) == ("HD 128621", 18.26, None)
    assert meta.time.isot == "2012-03-24T08:37:45.581"
    assert maury.read(path, medium="air", frame="observatory").frame == "observatory"


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("# medium: water", "says medium 'water', which must be air or vacuum"),
        ("# frame: galactic", "says frame 'galactic'"),
        ("# berv: fast", "says berv 'fast', which is not a number"),
        ("# time: noon", "says time 'noon', which is not in ISO format"),
    ],
)
def test_facts_that_are_none(tmp_path, comment, message):
    with pytest.raises(ReadError, match=message):
        maury.read(write(tmp_path / "star.txt", comment, *lines(" ")))


def test_a_fact_that_is_not_finite_is_not_known(tmp_path):
    path = write(tmp_path / "star.txt", "# berv: nan", "# snr: inf", "# rv: -2.2", *lines(" "))
    meta = maury.read(path).meta
    assert (meta.berv, meta.snr, meta.rv) == (None, None, -2.2)


def test_a_million_rows_with_one_bad_line_are_refused_quickly_and_by_number(tmp_path):
    wavelength = 4000 + 0.003 * np.arange(1_000_000)
    rows = [f"{w:.3f},1.0000" for w in wavelength]
    rows[777_777] = "6333.331,one"
    path = write(tmp_path / "big.csv", "# medium: air", "wavelength,flux", *rows)
    start = time.perf_counter()
    with pytest.raises(ReadError, match=r"line 777780 is not made of numbers: .6333\.331,one"):
        maury.read(path)
    # Two seconds alone; the margin is for a machine that is doing other things.
    assert time.perf_counter() - start < 10


@pytest.mark.parametrize(
    ("position", "row", "message"),
    [
        (12, "5001.2 1.0", "line 13 has 2 columns where line 1 has 3"),
        (12, "5001.2 x 0.1", r"line 13 is not made of numbers: '5001.2 x 0.1'"),
        (0, "5000.0 x 0.1", "line 1 is not made of numbers"),
        (1, "-- -- --", "line 2 is not made of numbers"),
    ],
)
def test_a_bad_line_is_named(tmp_path, position, row, message):
    rows = lines(" ")
    rows[position] = row
    with pytest.raises(ReadError, match=message):
        maury.read(write(tmp_path / "star.txt", *rows))


def test_too_many_columns(tmp_path):
    rows = [line + " 1 1" for line in lines(" ")]
    with pytest.raises(ReadError, match="has 5 columns; a text spectrum has two"):
        maury.read(write(tmp_path / "star.txt", *rows))


def test_prose_is_no_spectrum(tmp_path):
    with pytest.raises(ReadError, match="line 2 is not made of numbers"):
        maury.read(write(tmp_path / "readme.md", "A title", "and a sentence."))
    with pytest.raises(ReadError, match="holds no columns of numbers"):
        maury.read(write(tmp_path / "notes.txt", "# only a comment"))
