"""Text of users: plain, packed, damaged, and numbers as Fortran writes them."""

import gzip
from pathlib import Path

import pytest

from maury.errors import SynthesisError
from maury.synthesis.text_files import numbers, read_text


def test_plain_and_packed_are_the_same(tmp_path: Path) -> None:
    text = "Ångström\r\n1.0 2.0\n"
    plain, packed, old = (tmp_path / name for name in ("a", "b", "c"))
    plain.write_bytes(text.encode())
    packed.write_bytes(gzip.compress(text.encode()))
    old.write_bytes(text.encode("latin-1"))
    assert read_text(plain) == read_text(packed) == read_text(old) == ["Ångström", "1.0 2.0"]


def test_numbers_of_fortran() -> None:
    row = "  1-5.00-10.917 1.5D-02 2.E3 -.5 *** NaN"
    assert numbers(row) == [1, -5, -10.917, 0.015, 2000, -0.5]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file or directory"),
        (b" \n\n", "it is empty"),
        (b"\x93NUMPY\x00\x01", "not a text file"),
        # Without the time of writing: the content names the test, the same in each process.
        (gzip.compress(b"1 2 3" * 1000, mtime=0)[:30], "damaged or cut short"),
        (b"\x1f\x8bnonsense", "damaged or cut short|Not a gzipped"),
    ],
)
def test_what_is_no_text_is_told(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SynthesisError, match=f"file cannot be read: .*({message})") as caught:
        read_text(path)
    assert str(caught.value).count("\n") == 0


def test_a_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(SynthesisError, match="Is a directory"):
        read_text(tmp_path)
