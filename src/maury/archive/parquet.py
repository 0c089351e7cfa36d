"""Tables as Parquet files that are there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from maury.files import write_whole

__all__ = ["write_table"]


def write_table(table: pa.Table, file: Path) -> None:
    """Write a table, with its folder; at any time there is the old file or the new one.

    Raises
    ------
    TargetError
        If it cannot be written; nothing is left behind then.
    """
    content = pa.BufferOutputStream()
    pq.write_table(table, content, compression="zstd")
    write_whole(file, content.getvalue().to_pybytes())
