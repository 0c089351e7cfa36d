"""Tables in files of several formats, by astropy."""

from __future__ import annotations

import csv
import gzip
import io
import warnings
import zlib
from pathlib import Path

from astropy.io import ascii as text_tables
from astropy.table import Table

from maury.errors import MauryError

__all__ = ["read_file", "read_text"]

FORMATS = {
    ".fits": "fits", ".fit": "fits", ".fts": "fits",
    ".vot": "votable", ".votable": "votable", ".xml": "votable",
    ".mrt": "ascii.mrt",
}  # fmt: skip
"""By the ending of a file's name; what ends otherwise is text."""

UNKNOWN = ("", "--", "-", "...", "N/A", "n/a", "null", "NULL", "None", "none", "~")
"""What stands in a text table where there is nothing."""

DELIMITERS = "\t,;|"


def read_file(path: str | Path) -> Table:
    """A table from a file: FITS, VOTable, ECSV, AAS machine-readable, or plain text.

    Plain text has values between tabs, commas, semicolons, bars or blanks. Its first line names
    the columns, also after a ``#``; where that line holds numbers the columns are called ``col1``,
    ``col2``, and so on. A name that ends with ``.gz`` is unpacked.

    Raises
    ------
    MauryError
        If it cannot be read.
    """
    file = Path(path)
    suffixes = [suffix.lower() for suffix in file.suffixes]
    packed = suffixes[-1:] == [".gz"]
    kind = FORMATS.get((suffixes[:-1] if packed else suffixes)[-1:][0] if suffixes else "")
    try:
        content = file.read_bytes()
        if packed:
            content = gzip.decompress(content)
        if kind is None:
            return read_text(content.decode("utf-8-sig"), str(path))
        with warnings.catch_warnings():
            # Of units and other details that do not follow the standards.
            warnings.simplefilter("ignore")
            options = {"use_names_over_ids": True} if kind == "votable" else {}
            table = Table.read(io.BytesIO(content), format=kind, **options)
            table.convert_bytestring_to_unicode()
    except (OSError, EOFError, zlib.error, ValueError, TypeError, LookupError) as error:
        why = getattr(error, "strerror", None) or str(error).strip().split("\n")[0].rstrip(".")
        raise MauryError(f"{path} cannot be read as a table ({why}).") from None
    return table


def read_text(text: str, name: str) -> Table:
    """A table from plain text or ECSV.

    Parameters
    ----------
    text
        All of it.
    name
        Where it is from, for messages.

    Raises
    ------
    MauryError
        If it holds no table.

    Examples
    --------
    >>> read_text("# Name, Teff\\nHD 1, 5770\\nHD 2,\\n", "stars.csv")["Teff"].tolist()
    [5770, None]
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if text.startswith("# %ECSV"):
                return Table.read(text, format="ascii.ecsv")
            return _read_plain(text)
    except (OSError, ValueError, TypeError, LookupError) as error:
        # InconsistentTableError, which a line of another length raises, is a ValueError.
        why = str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
        raise MauryError(f"{name} cannot be read as a table ({why}).") from None


def _read_plain(text: str) -> Table:
    lines = [line for line in text.splitlines() if line.strip()]
    count = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    comments, body = lines[:count], lines[count:]
    if not body:
        raise ValueError("it has no rows")
    delimiter = next((mark for mark in DELIMITERS if mark in body[0]), " ")
    fields = _fields(body[0], delimiter)
    above = comments[-1].lstrip("# ") if comments else ""
    if above and len(_fields(above, delimiter)) == len(fields):
        body.insert(0, above)
    elif any(_is_number(field) for field in fields):
        names = [f"col{number}" for number in range(1, len(fields) + 1)]
        body.insert(0, (delimiter if delimiter != " " else " ").join(names))
    if len(body) < 2:
        raise ValueError("it has no rows")
    reader = "csv" if delimiter == "," else "basic"
    return text_tables.read(
        body,
        format=reader,
        delimiter=delimiter,
        guess=False,
        fast_reader=False,
        comment=r"\s*#",
        fill_values=[(unknown, "0") for unknown in UNKNOWN],
    )


def _fields(line: str, delimiter: str) -> list[str]:
    if delimiter == " ":
        return line.split()
    return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
