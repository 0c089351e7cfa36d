"""The files of a sharded array, beside Zarr's own reading and writing of them."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from maury.datasets.shards import DamagedShard, Shards

PIXELS = 50
FLUX = np.random.default_rng(1).normal(size=(10, PIXELS)).astype(np.float32)


@pytest.fixture
def array(tmp_path: Path) -> zarr.Array:
    return zarr.create_array(
        tmp_path,
        shape=(10, PIXELS),
        chunks=(1, PIXELS),
        shards=(4, PIXELS),
        dtype=np.float32,
        fill_value=np.nan,
        compressors=None,
    )


@pytest.fixture
def shards(tmp_path: Path) -> Shards:
    return Shards(LocalFileSystem(), str(tmp_path), size=4, pixels=PIXELS)


def read(shards: Shards, indices: list[int]) -> np.ndarray:
    out = np.empty((len(indices), PIXELS), np.float32)
    shards.read(indices, out)
    return out


def test_zarr_reads_what_is_written_here(array: zarr.Array, shards: Shards) -> None:
    shards.write(1, [FLUX[4], None, FLUX[6], FLUX[7]])
    shards.write(2, [FLUX[8], FLUX[9], None, None])
    expected = np.full_like(FLUX, np.nan)
    expected[[4, 6, 7, 8, 9]] = FLUX[[4, 6, 7, 8, 9]]
    np.testing.assert_array_equal(array[:], expected)
    assert [shards.present(k).tolist() for k in range(3)] == [
        [False] * 4,
        [True, False, True, True],
        [True, True, False, False],
    ]


def test_what_zarr_writes_is_read_here_and_the_bytes_are_the_same(
    array: zarr.Array, shards: Shards
) -> None:
    array[:] = FLUX
    np.testing.assert_array_equal(read(shards, [9, 0, 5, 0]), FLUX[[9, 0, 5, 0]])
    theirs = Path(shards.path(0)).read_bytes()
    shards.write(0, list(FLUX[:4]))
    assert Path(shards.path(0)).read_bytes() == theirs
    assert not list(Path(shards.root).rglob("*.partial"))


def damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "missing":
        path.unlink()
    elif how == "index":
        content[-20] ^= 1
        path.write_bytes(content)
    else:
        path.write_bytes(content[: len(content) // 2] if how == "cut" else content[-68:])


@pytest.mark.parametrize("remote", [False, True])
@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", "its file is missing"),
        ("index", "the index of its file is wrong"),
        ("cut", "the index of its file is wrong"),
        ("body", "its file is cut short"),
        ("absent", "it is not in its file"),
    ],
)
def test_damage_is_found(shards: Shards, how: str, message: str, remote: bool) -> None:
    shards.write(0, list(FLUX[:4]))
    shards.write(1, [FLUX[4], None if how == "absent" else FLUX[5]])
    if how != "absent":
        damage(Path(shards.path(1)), how)
    if remote:
        memory = MemoryFileSystem()
        memory.rm("/", recursive=True)
        memory.put(shards.root, "/flux", recursive=True)
        shards = Shards(memory, "/flux", size=4, pixels=PIXELS)
    with pytest.raises(DamagedShard, match=message) as caught:
        read(shards, [2, 5])
    assert caught.value.index == 5
    np.testing.assert_array_equal(read(shards, [3, 1]), FLUX[[3, 1]])
