"""ESO's archive: what it holds, its files, and tokens for those that are not public.

The answers follow archive.eso.org/programmatic and what astroquery's `eso` module relies on.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from datetime import UTC, datetime
from typing import Any

from stand_in import products, spectra
from stand_in.adql import Table
from stand_in.message import Answer, Request
from stand_in.tap import TapService
from stand_in.votable import Field, table

__all__ = ["EsoArchive"]

_PREFIX = "ivo://eso.org/ID?"


class EsoArchive:
    """The archive; tests may change all that is public here.

    Attributes
    ----------
    products : list of dict
        The rows of ivoa.ObsCore.
    columns : tuple of Field
        Its columns.
    covers : tuple of float
        Angstrom that each file covers: `spectra.CHUNK` or `spectra.HARPS_RANGE`.
    step : float
        Angstrom between their pixels.
    files : dict
        Content of files by dp_id, where it is not to be made from the product.
    users : dict
        Password by name; all but "guest" may have what is proprietary.
    lifetime : float
        Seconds for which a token is good.
    kilobyte : float
        How many bytes the archive counts as a kbyte of access_estsize.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.products = products.products()
        self.columns = products.COLUMNS
        self.covers = spectra.CHUNK
        self.step = spectra.STEP
        self.files: dict[str, bytes] = {}
        self.users = {"astronomer": "correct horse", "guest": "battery staple"}
        self.lifetime = 28800.0
        self.kilobyte = 1000.0
        # ESO sends 15 million rows at the most; 2000 unless more are asked for.
        self.tap = TapService(self._tables, rows=2000, most=15_000_000)
        self._granted: dict[str, tuple[str, float]] = {}
        self._sizes: dict[tuple[Any, ...], int] = {}

    def content(self, dp_id: str) -> bytes | None:
        """The file of a product, or None for what the archive does not hold."""
        if dp_id in self.files:
            return self.files[dp_id]
        row = self.row(dp_id)
        if row is None:
            return None
        plain = {key: value for key, value in row.items() if not key.startswith("access_")}
        return spectra.file_of(plain, self.covers, self.step)

    def row(self, dp_id: str) -> dict[str, Any] | None:
        """The product of an identifier."""
        return next((row for row in self.products if row["dp_id"] == dp_id), None)

    def rows(self) -> list[dict[str, Any]]:
        """The products with their sizes and links."""
        return [self._complete(row) for row in self.products]

    def file(self, request: Request) -> Answer:
        """A file, or a part of it, to whom it may be given."""
        dp_id = request.path.rsplit("/", 1)[-1]
        content = self.content(dp_id)
        if content is None:
            return Answer(404, b'{"error": "not found"}', "application/json")
        refusal = self._refusal(request, self.row(dp_id))
        return refusal or _part(request, content, f"{dp_id}.fits")

    def token(self, request: Request) -> Answer:
        """A token for a name and a password, as www.eso.org/sso/oidc/token gives."""
        asked = request.parameters
        required = {
            "RESPONSE_TYPE": "id_token token",
            "GRANT_TYPE": "password",
            "CLIENT_ID": "clientid",
            "CLIENT_SECRET": "clientSecret",
        }
        if any(asked.get(key) != value for key, value in required.items()):
            return Answer.json({"error": "invalid_request"}, 400)
        name = asked.get("USERNAME", "")
        if name not in self.users or asked.get("PASSWORD") != self.users[name]:
            return Answer.json({"error": "invalid_grant"}, 401)
        expires = time.time() + self.lifetime
        token = _jwt(
            {"sub": name, "exp": int(expires), "iat": int(time.time()), "jti": str(expires)}
        )
        self._granted[token] = (name, expires)
        return Answer.json(
            {
                "access_token": token,
                "id_token": token,
                "token_type": "bearer",
                "expires_in": int(self.lifetime),
                "scope": "",
            }
        )

    def revoke(self) -> None:
        """Let all tokens given so far be good no longer."""
        self._granted.clear()

    def datalink(self, request: Request) -> Answer:
        """What access_url gives: not the file, but a table of links."""
        dp_id = request.parameters.get("ID", "").removeprefix(_PREFIX)
        content = self.content(dp_id)
        fields = [
            Field("ID", ucd="meta.id;meta.main"),
            Field("access_url", ucd="meta.ref.url"),
            Field("semantics", ucd="meta.code"),
            Field("content_type", ucd="meta.code.mime"),
            Field("content_length", "long", "byte", "phys.size;meta.file"),
            Field("eso_origfile"),
        ]
        link = f"{self.address}/dataPortal/file/{dp_id}"
        size = 0 if content is None else len(content)
        row = [f"{_PREFIX}{dp_id}", link, "#this", "application/fits", size, f"{dp_id}.fits"]
        return Answer.xml(table(fields, [] if content is None else [row]))

    def _tables(self) -> dict[str, Table]:
        return {"ivoa.ObsCore": Table(self.columns, self.rows())}

    def _complete(self, row: dict[str, Any]) -> dict[str, Any]:
        size = row["access_estsize"]
        if size is None:
            size = round(self._size(row) / self.kilobyte)
        link = row["access_url"] or f"{self.address}/datalink/links?ID={_PREFIX}{row['dp_id']}"
        return row | {"access_estsize": size, "access_url": link}

    def _size(self, row: dict[str, Any]) -> int:
        """Bytes of the file: without making it, for files of one instrument are of one size."""
        if row["dp_id"] in self.files:
            return len(self.files[row["dp_id"]])
        key = (row["instrument_name"], self.covers, self.step)
        if key not in self._sizes:
            self._sizes[key] = len(self.content(row["dp_id"]) or b"")
        return self._sizes[key]

    def _refusal(self, request: Request, row: dict[str, Any] | None) -> Answer | None:
        name = None
        if bearer := request.header("Authorization"):
            name, expires = self._granted.get(bearer.removeprefix("Bearer "), (None, 0.0))
            if name is None or time.time() > expires:
                return Answer.json({"error": "invalid_token"}, 401)
        if row is None or row["obs_release_date"] <= datetime.now(UTC).isoformat():
            return None
        if name is None:
            return Answer.json({"error": "unauthorized"}, 401)
        return Answer.json({"error": "forbidden"}, 403) if name == "guest" else None


def _part(request: Request, content: bytes, name: str) -> Answer:
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Accept-Ranges": "bytes",
        "ETag": tag,
    }
    whole = Answer(200, content, "application/fits", headers)
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.header("Range") or "")
    if asked is None or request.header("If-Range") not in (None, tag):
        return whole
    first, last = int(asked[1]), int(asked[2] or len(content) - 1)
    if first >= len(content):
        return Answer(416, b"", headers={"Content-Range": f"bytes */{len(content)}"})
    piece = content[first : last + 1]
    place = {"Content-Range": f"bytes {first}-{first + len(piece) - 1}/{len(content)}"}
    return Answer(206, piece, "application/fits", headers | place)


def _jwt(claims: dict[str, Any]) -> str:
    """A token in the form of RFC 7519, with a signature that nobody can check."""
    parts = ({"alg": "HS256", "typ": "JWT"}, claims)
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts]
    return b".".join([*texts, b"c2lnbmF0dXJl"]).decode()
