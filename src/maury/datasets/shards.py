"""The files of a sharded Zarr array, uncompressed: each written whole, and read at an offset.

A shard holds several spectra one after the other and, at its end, where each begins and how long
it is (Zarr v3, codec "sharding_indexed"). Zarr reads these files, too; for one spectrum of 1.3 MB
it takes many times as long as the disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import numpy as np
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem
from numpy.typing import NDArray

__all__ = ["PARTIAL", "DamagedShard", "Shards"]

PARTIAL = ".partial"
ABSENT = 2**64 - 1
CHECKSUM_BYTES = 4


class DamagedShard(Exception):
    """A spectrum that is not in its file as it should be; the message is half a sentence.

    Attributes
    ----------
    index : int
        The spectrum's number.
    """

    index = -1


@dataclass(frozen=True)
class Shards:
    """The shards of an array of float32 (spectrum, pixel), one chunk a spectrum.

    Parameters
    ----------
    files : fsspec.AbstractFileSystem
        Where they are; only local ones can be written.
    root : str
        Folder of the array there.
    size : int
        Spectra in a shard.
    pixels : int
        Pixels in a spectrum.
    """

    files: AbstractFileSystem
    root: str
    size: int
    pixels: int

    def path(self, shard: int) -> str:
        """Of a shard's file."""
        return f"{self.root}/c/{shard}/0"

    @property
    def tail(self) -> int:
        """Bytes of the index at a file's end."""
        return 16 * self.size + CHECKSUM_BYTES

    def read(self, indices: Sequence[int], out: NDArray[np.float32]) -> None:
        """Read spectra, in any order.

        Parameters
        ----------
        indices
            Their numbers in the array.
        out
            Filled; shape (spectrum, pixel), contiguous.

        Raises
        ------
        DamagedShard
            If one of them is not there; its ``index`` tells which.
        """
        if isinstance(self.files, LocalFileSystem):
            for index, row in zip(indices, out, strict=True):
                with _naming(index):
                    self._read_local(index, row)
        else:
            self._read_remote(indices, out)

    def _read_local(self, index: int, row: NDArray[np.float32]) -> None:
        shard, place = divmod(index, self.size)
        with open(self.path(shard), "rb", buffering=0) as file:  # noqa: PTH123
            file.seek(max(0, os.fstat(file.fileno()).st_size - self.tail))
            file.seek(self._offset(file.read(self.tail), place))
            if file.readinto(row.data) != row.nbytes:
                raise DamagedShard("its file is cut short")

    def _read_remote(self, indices: Sequence[int], out: NDArray[np.float32]) -> None:
        """All at once, as far as the file system can."""
        paths = [self.path(index // self.size) for index in indices]
        unique = list(dict.fromkeys(paths))
        tails = dict(zip(unique, self._ranges(unique, [-self.tail] * len(unique)), strict=True))
        starts = []
        for index, path in zip(indices, paths, strict=True):
            with _naming(index):
                starts.append(self._offset(_content(tails[path]), index % self.size))
        length = 4 * self.pixels
        answers = self._ranges(paths, starts, length)
        for index, row, answer in zip(indices, out, answers, strict=True):
            with _naming(index):
                content = _content(answer)
                if len(content) != length:
                    raise DamagedShard("its file is cut short")
                row[:] = np.frombuffer(content, dtype="<f4")

    def _ranges(
        self, paths: list[str], starts: list[int], length: int | None = None
    ) -> list[bytes | Exception]:
        ends = [None if length is None else start + length for start in starts]
        answers: list[bytes | Exception] = self.files.cat_ranges(
            paths, starts, ends, on_error="return"
        )
        return answers

    def _offset(self, tail: bytes, place: int) -> int:
        offset, length = (int(value) for value in self._index(tail)[place])
        if offset == ABSENT:
            raise DamagedShard("it is not in its file")
        if length != 4 * self.pixels:
            raise DamagedShard(f"it has {length:,} bytes in place of {4 * self.pixels:,}")
        return offset

    def _index(self, tail: bytes) -> NDArray[np.uint64]:
        """Offset and length of each spectrum, uint64 (spectrum, 2)."""
        content, checksum = tail[:-CHECKSUM_BYTES], tail[-CHECKSUM_BYTES:]
        if len(tail) != self.tail or google_crc32c.value(content) != int.from_bytes(
            checksum, "little"
        ):
            raise DamagedShard("the index of its file is wrong")
        return np.frombuffer(content, dtype="<u8").reshape(-1, 2)

    def present(self, shard: int) -> NDArray[np.bool_]:
        """Which spectra a local shard holds, bool (spectrum,); none where it is damaged."""
        try:
            with open(self.path(shard), "rb", buffering=0) as file:  # noqa: PTH123
                end = os.fstat(file.fileno()).st_size
                file.seek(max(0, end - self.tail))
                index = self._index(file.read(self.tail))
        except (OSError, DamagedShard):
            return np.zeros(self.size, dtype=bool)
        offset, length = index.T
        # Sums of absent ones overflow, and are not looked at.
        return (offset != ABSENT) & (offset + length <= end)

    def write(self, shard: int, rows: Sequence[NDArray[np.float32] | None]) -> None:
        """Write a local shard, or replace it, so that it is there whole or not at all.

        Parameters
        ----------
        shard
            Its number.
        rows
            Its spectra; None for those that it lacks.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        index = np.full((self.size, 2), ABSENT, dtype="<u8")
        target = Path(self.path(shard))
        part = target.with_name(f".{target.name}.{os.getpid()}{PARTIAL}")
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb", buffering=0) as file:
                end = 0
                for place, row in enumerate(rows):
                    if row is None:
                        continue
                    content = np.ascontiguousarray(row, dtype="<f4")
                    _write_all(file.fileno(), content.data.cast("B"))
                    index[place] = end, content.nbytes
                    end += content.nbytes
                tail = index.tobytes()
                checksum = google_crc32c.value(tail).to_bytes(CHECKSUM_BYTES, "little")
                _write_all(file.fileno(), memoryview(tail + checksum))
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def _naming(index: int) -> Iterator[None]:
    """Turn what goes wrong into the damage of this spectrum."""
    try:
        yield
    except FileNotFoundError:
        error = DamagedShard("its file is missing")
    except OSError as mistake:
        error = DamagedShard(f"its file cannot be read, {mistake.strerror or mistake}")
    except DamagedShard as mistake:
        error = mistake
    else:
        return
    error.index = index
    raise error from None


def _content(answer: bytes | Exception) -> bytes:
    if isinstance(answer, Exception):
        raise answer
    return answer


def _write_all(descriptor: int, content: memoryview) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
