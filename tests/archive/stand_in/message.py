"""Requests as they come and answers as they go."""

from __future__ import annotations

import email
import email.policy
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

__all__ = ["Answer", "Request"]


@dataclass
class Request:
    """One request: what was asked, and when."""

    where: str
    method: str
    url: str
    headers: dict[str, str]
    body: bytes = b""
    started: float = 0.0
    ended: float | None = None
    status: int | None = None
    sent: int = 0

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    def header(self, name: str) -> str | None:
        """A header by its name, in whatever case."""
        return next((v for k, v in self.headers.items() if k.lower() == name.lower()), None)

    @property
    def parameters(self) -> dict[str, str]:
        """What stands behind the question mark and in the form, by names in capitals."""
        pairs = parse_qsl(urlsplit(self.url).query, keep_blank_values=True)
        kind = self.header("Content-Type") or ""
        if kind.startswith("application/x-www-form-urlencoded"):
            pairs += parse_qsl(self.body.decode(), keep_blank_values=True)
        elif kind.startswith("multipart/form-data"):
            pairs += [(n, v.decode()) for n, v in self.parts.items() if n not in self._files]
        return {name.upper(): value for name, value in pairs}

    @property
    def parts(self) -> dict[str, bytes]:
        """The parts of a form with files, by their names."""
        return {name: content for name, content, _ in self._multipart()}

    @property
    def _files(self) -> set[str]:
        return {name for name, _, is_file in self._multipart() if is_file}

    def _multipart(self) -> list[tuple[str, bytes, bool]]:
        head = f"Content-Type: {self.header('Content-Type')}\r\n\r\n".encode()
        form = email.message_from_bytes(head + self.body, policy=email.policy.HTTP)
        return [
            (
                str(part.get_param("name", header="content-disposition")),
                part.get_payload(decode=True) or b"",
                part.get_filename() is not None,
            )
            for part in form.iter_parts()
        ]


@dataclass
class Answer:
    """One answer, and how badly it is sent.

    `sent` is how much of the body goes out before the connection is cut, `rate` how many bytes a
    second, `wait` the seconds before the first. An answer that is `dropped` never comes.
    """

    status: int = 200
    body: bytes = b""
    kind: str = "text/plain"
    headers: dict[str, str] = field(default_factory=dict)
    sent: int | None = None
    rate: float | None = None
    wait: float = 0.0
    dropped: bool = False

    @classmethod
    def json(cls, content: Any, status: int = 200) -> Answer:
        return cls(status, json.dumps(content).encode(), "application/json")

    @classmethod
    def xml(cls, content: bytes, status: int = 200) -> Answer:
        return cls(status, content, "application/x-votable+xml")
