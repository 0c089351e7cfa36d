"""One file from ESO's archive: whole, and a spectrum, or not at all."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from maury.archive.login import Login
from maury.archive.manifest import IDENTIFIER
from maury.archive.services import Services
from maury.archive.session import ArchiveSession, check
from maury.errors import ArchiveError, MauryError

__all__ = ["Outcome", "Product", "StoppedError", "Transfer", "UnwritableError", "digest"]

ATTEMPTS = 4
PIECE = 1 << 16
BLOCK = 2880
"""Bytes of which the size of each FITS file is a multiple (FITS Standard 4.0, Sect. 3.1)."""

SIMPLE, GZIP = b"SIMPLE  =", b"\x1f\x8b"


class StoppedError(Exception):
    """Work was stopped; what there is of the file is kept."""


class UnwritableError(MauryError):
    """The disk takes no more."""


class _BrokenError(Exception):
    """What came is not what was hoped for, but may be the next time; a sentence tells why."""


@dataclass(frozen=True)
class Product:
    """A file to be fetched.

    Parameters
    ----------
    dp_id : str
        Its identifier.
    estimated_bytes : int or None
        Its size by the archive, a multiple of 1000: the archive counts kilobytes.
    release_date : str or None
        From when on it is public, ISO 8601.
    """

    dp_id: str
    estimated_bytes: int | None = None
    release_date: str | None = None

    @property
    def name(self) -> str:
        """Of the file, as ESO calls it; the identifier is of a form that fits."""
        if not re.fullmatch(IDENTIFIER, self.dp_id):
            raise ArchiveError(f"{self.dp_id!r} is no identifier of ESO's archive.")
        return f"{self.dp_id}.fits"

    def fits(self, size: int) -> bool:
        """Whether a size agrees with the archive's, to one kilobyte of 1000 or 1024 bytes."""
        if self.estimated_bytes is None:
            return True
        kilobytes = self.estimated_bytes // 1000
        return any(abs(size - kilobytes * unit) <= unit for unit in (1000, 1024))


@dataclass(frozen=True)
class Outcome:
    """What became of a product.

    Parameters
    ----------
    state : dict
        ``dp_id`` and the columns of `maury.archive.manifest.STATE`.
    away : bool
        Whether it failed because of the service, and not of this one file.
    """

    state: dict[str, Any]
    away: bool = False


class Transfer:
    """Fetches files into a folder; several threads may share it.

    A file is written to ``NAME.part``, with what identifies its contents beside it, and gets its
    name when it is on the disk, whole. What is there of it is asked for no more the next time.

    Parameters
    ----------
    folder : Path
        Where files go.
    services, session
        Where they are, and by which session.
    login : Login or None
        Who asks.
    pause : float
        Seconds before the second attempt; twice as long before each next one.
    progress : callable
        Told how many bytes have come; fewer than none where some are thrown away.
    stop : threading.Event
        Set to stop.
    """

    def __init__(
        self,
        folder: Path,
        services: Services,
        session: ArchiveSession,
        *,
        login: Login | None,
        pause: float,
        progress: Callable[[int], object],
        stop: threading.Event,
    ) -> None:
        self.folder, self.services, self.session = folder, services, session
        self.login, self.pause, self.progress, self.stop = login, pause, progress, stop

    def fetch(self, product: Product) -> Outcome:
        """One file.

        Raises
        ------
        StoppedError
            If work is stopped.
        UnwritableError
            If it cannot be written.
        """
        reason = ""
        for attempt in range(ATTEMPTS):
            if attempt and self.stop.wait(self.pause * 2 ** (attempt - 1)):
                raise StoppedError
            try:
                return self._attempt(product)
            except _BrokenError as error:
                reason = str(error)
            except _RefusedError as error:
                return _failed(product, str(error))
            except ArchiveError as error:
                return _failed(product, str(error), away=True)
        return _failed(product, reason)

    def adopt(self, path: Path, product: Product) -> Outcome | None:
        """A file that is there without being known of: a kill came between its name and a note."""
        size = path.stat().st_size
        if not product.fits(size) or _fault(path, size) is not None:
            return None
        return _done(product, path, size, digest(path))

    def _attempt(self, product: Product) -> Outcome:
        part = self.folder / f"{product.name}.part"
        mark = self.folder / f"{product.name}.part.etag"
        offset, validator = _kept(part, mark)
        with self._ask(product, offset, validator) as response:
            _refuse(response, product, self.login)
            if response.status_code == 206 and _start(response) == offset:
                self.progress(offset)
            elif response.status_code == 200:
                offset = 0
            elif not _has_all(response, offset):
                _drop(part, mark)
                raise _BrokenError(f"{_host(response)} sends another part of {product.dp_id}.")
            size = _size(response, offset)
            try:
                if response.status_code == 200:
                    _mark(mark, response)
                if response.status_code != 416:
                    self._write(part, response, offset)
            except OSError as error:
                _drop(part, mark)
                raise UnwritableError(
                    f"{part} cannot be written ({error.strerror or error})."
                ) from None
            written = part.stat().st_size
            if size is not None and written < size:
                self.progress(-written)
                raise _BrokenError(
                    f"{_host(response)} sends {written:,} of the {size:,} bytes of "
                    f"{product.dp_id} and breaks off."
                )
        fault = _fault(part, written)
        if fault is None and not product.fits(written):
            fault = (
                f"is {written:,} bytes long where the archive's table has "
                f"{product.estimated_bytes:,}"
            )
        if fault is not None:
            _drop(part, mark)
            self.progress(-written)
            raise _BrokenError(f"What {_host(response)} sends as {product.dp_id} {fault}.")
        return self._finish(product, part, mark)

    def _ask(self, product: Product, offset: int, validator: str | None) -> requests.Response:
        # A file that is compressed on its way has another size than it has here.
        headers = {"Accept-Encoding": "identity"}
        if offset and validator is not None:
            headers |= {"Range": f"bytes={offset}-", "If-Range": validator}
        url = f"{self.services.eso_files}/{product.dp_id}"
        for again in (True, False):
            response = self.session.get(url, headers=headers, auth=self.login, stream=True)
            if not (again and response.status_code == 401 and self.login is not None):
                break
            if not self.login.refused(response.request):
                break
            # The token has expired early: once more with another one.
            response.close()
        return response

    def _write(self, part: Path, response: requests.Response, offset: int) -> None:
        with part.open("r+b" if offset else "wb") as file:
            file.seek(offset)
            try:
                for piece in response.iter_content(PIECE):
                    if self.stop.is_set():
                        raise StoppedError
                    file.write(piece)
                    self.progress(len(piece))
            except requests.RequestException:
                # What has come is kept; its size tells that it is not all.
                if "Content-Length" not in response.headers:
                    raise _BrokenError(f"{_host(response)} breaks off.") from None
            file.flush()
            os.fsync(file.fileno())

    def _finish(self, product: Product, part: Path, mark: Path) -> Outcome:
        with part.open("rb") as file:
            packed = file.read(2) == GZIP
        path = self.folder / (product.name + (".gz" if packed else ""))
        size, sha256 = part.stat().st_size, digest(part)
        try:
            part.replace(path)
            mark.unlink(missing_ok=True)
        except OSError as error:
            raise UnwritableError(f"{path} cannot be written ({error.strerror}).") from None
        return _done(product, path, size, sha256)


class _RefusedError(Exception):
    """This file is not to be had; a sentence tells why."""


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _done(product: Product, path: Path, size: int, sha256: str) -> Outcome:
    state = {"status": "done", "file": path.name, "bytes": size, "sha256": sha256, "error": None}
    return Outcome({"dp_id": product.dp_id, **state})


def _failed(product: Product, reason: str, away: bool = False) -> Outcome:
    nothing = {"file": None, "bytes": None, "sha256": None}
    return Outcome({"dp_id": product.dp_id, "status": "failed", **nothing, "error": reason}, away)


def _refuse(response: requests.Response, product: Product, login: Login | None) -> None:
    """Tell a refusal of this one file from a failure of the service."""
    host, status = _host(response), response.status_code
    page = response.headers.get("Content-Type", "").lower().startswith("text/html")
    # To whom is not logged in, a page may be sent on which to do so.
    private = (product.release_date or "") > datetime.now(UTC).isoformat()
    if status in (401, 403) or (status < 400 and page and private):
        if login is not None:
            raise _RefusedError(f"{host} does not let {login.user} have {product.dp_id}.")
        until = f" until {product.release_date[:10]}" if private and product.release_date else ""
        raise _RefusedError(
            f"{host} does not give {product.dp_id} to everybody{until}; name the account of one "
            "who may have it by --user."
        )
    if status in (404, 410):
        raise _RefusedError(f"{host} has no {product.dp_id}.")
    if status == 416:
        # There is a part that has all already, or too much.
        return
    if status < 400 and page:
        raise _BrokenError(f"{host} sends a web page instead of {product.dp_id}; try again later.")
    check(response, product.dp_id)


def _kept(part: Path, mark: Path) -> tuple[int, str | None]:
    """How much of a file is here, and what identifies its contents."""
    try:
        validator = mark.read_text(encoding="ascii").strip()
        return (part.stat().st_size, validator) if validator else (0, None)
    except (OSError, UnicodeDecodeError):
        return 0, None


def _mark(mark: Path, response: requests.Response) -> None:
    """Note what identifies the contents, for a later If-Range (RFC 9110, Sect. 13.1.5)."""
    tag = response.headers.get("ETag", "")
    if tag.startswith("W/") or not tag:
        tag = response.headers.get("Last-Modified", "")
    mark.write_bytes(tag.encode("ascii", "ignore"))


def _drop(part: Path, mark: Path) -> None:
    for path in (part, mark):
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _start(response: requests.Response) -> int | None:
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def _has_all(response: requests.Response, offset: int) -> bool:
    """Whether a part that was asked to be gone on with is the whole file."""
    total = response.headers.get("Content-Range", "")
    return response.status_code == 416 and offset > 0 and total == f"bytes */{offset}"


def _size(response: requests.Response, offset: int) -> int | None:
    """Of the whole file."""
    if response.status_code == 416:
        return offset
    length = response.headers.get("Content-Length", "")
    return offset + int(length) if length.isdecimal() else None


def _fault(path: Path, size: int) -> str | None:
    """What is wrong with a file that has come to its end, or None."""
    with path.open("rb") as file:
        head = file.read(len(SIMPLE))
    if head.startswith(GZIP):
        return None
    if head != SIMPLE:
        return "is no FITS file"
    if size % BLOCK:
        return f"is cut short: {size:,} bytes are no multiple of {BLOCK}, as those of FITS files"
    return None


def _host(response: requests.Response) -> str:
    return urlsplit(response.url).netloc
