"""Tables as Parquet files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from maury.errors import TargetError

__all__ = ["write_table"]


def write_table(table: pa.Table, file: Path) -> None:
    """Write a table, with its folder; at any time there is the old file or the new one.

    Raises
    ------
    TargetError
        If it cannot be written; nothing is left behind then.
    """
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb") as stream:
                pq.write_table(table, stream, compression="zstd")
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise TargetError(f"{file} cannot be written ({error.strerror or error}).") from None
