"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from maury.errors import TargetError

__all__ = ["write_whole"]


def write_whole(path: str | Path, content: bytes | str) -> Path:
    """Write a file, with its folder, and give it its name only when it is complete.

    Parameters
    ----------
    path : str or Path
        The file; one that is there already is replaced in one step.
    content : bytes or str
        What to write; text is written as UTF-8.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    TargetError
        If the file cannot be written; nothing is left behind then.
    """
    target = Path(path)
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb") as stream:
                stream.write(content.encode() if isinstance(content, str) else content)
                stream.flush()
                os.fsync(stream.fileno())
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise TargetError(f"{target} cannot be written ({error.strerror or error}).") from None
    return target
