"""Text files of users, plain or packed by gzip."""

import gzip
import re
import zlib
from pathlib import Path

from maury.errors import SynthesisError

__all__ = ["numbers", "read_text"]

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[EeDd][-+]?\d+)?")
MOST_BYTES = 4 * 2**30


def read_text(path: str | Path) -> list[str]:
    """The lines of a file, without their ends.

    Parameters
    ----------
    path
        A text file in UTF-8 or Latin 1, which may be packed by gzip whatever its name.

    Raises
    ------
    SynthesisError
        If the file is missing, a folder, empty, binary, damaged or larger than 4 GiB unpacked.
    """
    try:
        with Path(path).open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            stream = gzip.GzipFile(fileobj=file) if packed else file
            content = stream.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or "its compressed data are damaged or cut short"
        raise SynthesisError(f"{path} cannot be read: {reason}.") from None
    if len(content) > MOST_BYTES:
        raise SynthesisError(f"{path} cannot be read: it is larger than {MOST_BYTES >> 30} GiB.")
    if not content.strip():
        raise SynthesisError(f"{path} cannot be read: it is empty.")
    if b"\x00" in content[:4096]:
        raise SynthesisError(f"{path} cannot be read: it is not a text file.")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return text.splitlines()


def numbers(line: str) -> list[float]:
    """The numbers of a line as Fortran writes them, also where a sign is all that parts two.

    Examples
    --------
    >>> numbers(" 1 -5.00-10.9174 1.5D+02 .5")
    [1.0, -5.0, -10.9174, 150.0, 0.5]
    """
    return [float(n.replace("D", "E").replace("d", "e")) for n in _NUMBER.findall(line)]
