"""Answers of services: read whole or asked for again, and kept in a folder if that is wanted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import requests

from maury.archive.parquet import write_table
from maury.archive.session import check
from maury.errors import ArchiveError

__all__ = ["Progress", "in_chunks", "kept", "whole"]

Answer = TypeVar("Answer")

Progress = Callable[[int, int], None]
"""Told how many of how many things have been asked for."""

READINGS = 3
"""How often a question is asked whose answer breaks off on the way."""

BROKEN = (requests.RequestException, OSError, ValueError, LookupError)
"""What is raised where an answer breaks off or is not what it should be."""


def whole(
    ask: Callable[[], requests.Response],
    read: Callable[[bytes], Answer],
    *,
    service_name: str,
    broken: tuple[type[Exception], ...] = BROKEN,
) -> Answer:
    """What a service answers, asked for anew where the answer breaks off on the way.

    Parameters
    ----------
    ask : callable
        Sends the question, by an `~maury.archive.session.ArchiveSession`, as a stream.
    read : callable
        Makes the answer of the body. It raises one of `broken` if the body is cut off, or
        ArchiveError if the service says in it that it refuses.
    service_name : str
        What messages call the service.
    broken : tuple of exceptions
        After which is asked again.

    Raises
    ------
    ArchiveError
        If the service is away, refuses, sends a web page, or breaks its answer off each time.
    """
    for _ in range(READINGS):
        response = ask()
        try:
            answer = read(response.content)
        except broken:
            # A status or a web page tells more than what a reader makes of it.
            check(response, f"a question to {service_name}")
            continue
        check(response, f"a question to {service_name}")
        return answer
    raise ArchiveError(
        f"{service_name} sends an answer that breaks off or cannot be read; try again later."
    )


def in_chunks(
    ask: Callable[[slice], pa.Table],
    total: int,
    size: int,
    schema: pa.Schema,
    progress: Progress | None = None,
) -> pa.Table:
    """The rows for all things that are asked for, so many at a time.

    Parameters
    ----------
    ask : callable
        From a slice of the things to a table.
    total, size : int
        How many things there are, and how many are asked for at a time.
    schema : pyarrow.Schema
        Of the table.
    progress : callable, optional
        Called with the number of things done and with `total`, at the start and after each chunk.
    """
    tables = [schema.empty_table()]
    if progress:
        progress(0, total)
    for first in range(0, total, size):
        chunk = slice(first, min(first + size, total))
        tables.append(ask(chunk))
        if progress:
            progress(chunk.stop, total)
    return pa.concat_tables(tables).combine_chunks()


def kept(
    ask: Callable[[], pa.Table],
    request: Mapping[str, Any],
    schema: pa.Schema,
    cache: Path | None,
) -> pa.Table:
    """The answer to a request, from a folder if it was asked before.

    Parameters
    ----------
    ask : callable
        Which asks the service.
    request : mapping
        All that the answer depends on, of what JSON can hold; ``"service"`` begins the file's name.
    schema : pyarrow.Schema
        Of the answer. A file of another schema is asked for and written anew.
    cache : Path or None
        The folder, which is made if it is missing. None: nothing is kept.

    Raises
    ------
    TargetError
        If nothing can be written to the folder.
    """
    if cache is None:
        return ask()
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:32]
    file = cache / f"{request['service']}-{digest}.parquet"
    table = _stored(file, schema)
    if table is None:
        table = ask()
        write_table(table, file)
    return table


def _stored(file: Path, schema: pa.Schema) -> pa.Table | None:
    """The table in a file; None if it is missing, damaged or of another version."""
    try:
        table = pq.read_table(file)
    except (OSError, pa.ArrowException):
        return None
    return table if table.schema.equals(schema) else None
