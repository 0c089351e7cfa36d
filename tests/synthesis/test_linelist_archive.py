"""Line lists that are kept whole, and what is refused in their place."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from maury.errors import SynthesisError
from maury.synthesis.linelist import LineList, standard_lines
from maury.synthesis.linelist_archive import load_lines, save_lines
from maury.synthesis.linelist_files import read_lines


@pytest.fixture
def lines() -> LineList:
    return standard_lines().between(5180.0, 5185.0)


def test_every_column_comes_back(tmp_path: Path, lines: LineList) -> None:
    path = tmp_path / "own.npz"
    save_lines(path, lines, flag=np.zeros(len(lines), np.uint8))
    # As users give it: --lines finds out what kind of file it is.
    again = read_lines(path)
    assert again.species == lines.species
    for field in fields(LineList)[1:]:
        np.testing.assert_array_equal(getattr(again, field.name), getattr(lines, field.name))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: replace(lines, species=("Xx I", *lines.species[1:])), "'Xx I'"),
        (lambda lines: replace(lines, log_gf=lines.log_gf[:-1]), "do not belong together"),
        (lambda lines: replace(lines, log_gf=lines.log_gf * np.nan), "do not belong together"),
        (lambda lines: replace(lines, species_index=lines.species_index + 10_000), "damaged"),
    ],
)
def test_columns_that_cannot_be(tmp_path: Path, lines: LineList, change, message: str) -> None:
    path = tmp_path / "own.npz"
    save_lines(path, change(lines))
    with pytest.raises(SynthesisError, match=message):
        load_lines(path)


def test_files_that_are_no_line_lists(tmp_path: Path, lines: LineList) -> None:
    path = tmp_path / "own.npz"
    with pytest.raises(SynthesisError, match="cannot be read"):
        load_lines(path)
    save_lines(path, lines)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SynthesisError, match=r"own\.npz"):
        load_lines(path)
    np.savez(path, something=np.arange(3))
    with pytest.raises(SynthesisError, match="maury calibrate"):
        load_lines(path)
    np.savez(path, format=np.array([{}], dtype=object))
    with pytest.raises(SynthesisError, match=r"own\.npz"):
        load_lines(path)
