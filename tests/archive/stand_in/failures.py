"""Ways in which services fail.

Each function gives a failure: what is made of a request and of the answer it would have had.
`StandIn.fail` switches one on.
"""

from __future__ import annotations

import dataclasses
import io
import json
import warnings
from collections.abc import Callable

import astropy.units as u
from astropy.io.votable import parse, writeto
from astropy.table import Table

from stand_in import votable
from stand_in.message import Answer, Request

__all__ = [
    "Failure",
    "broken",
    "busy",
    "cut",
    "dripping",
    "dropped",
    "empty",
    "late_error",
    "lengthened",
    "malformed",
    "named",
    "refused",
    "renamed",
    "shortened",
    "slow",
    "tap_error",
    "unavailable",
    "unit",
    "web_page",
    "without",
]

Failure = Callable[[Request, Answer], Answer]
"""From a request and its good answer to what is sent instead."""


def busy(retry_after: int | str | None = 1) -> Failure:
    """429, with the seconds (or the date) after which to ask again."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return lambda request, answer: Answer(429, b"too many requests", headers=headers)


def unavailable() -> Failure:
    """503, without a word on when to ask again."""
    return lambda request, answer: Answer(503, b"service unavailable")


def broken() -> Failure:
    """500."""
    return lambda request, answer: Answer(500, b"internal server error")


def refused(status: int = 401) -> Failure:
    """401, as if the token had expired, or another refusal."""
    return lambda request, answer: Answer.json({"error": "invalid_token"}, status)


def dropped() -> Failure:
    """The connection is closed without an answer."""
    return lambda request, answer: dataclasses.replace(answer, dropped=True)


def cut(fraction: float = 0.5) -> Failure:
    """The connection is closed before all that Content-Length promises is sent."""
    return lambda request, answer: dataclasses.replace(
        answer, sent=int(fraction * len(answer.body))
    )


def shortened(by: int = 1000) -> Failure:
    """A body that lacks its end, with a Content-Length that fits it."""
    return lambda request, answer: dataclasses.replace(answer, body=answer.body[:-by])


def lengthened(by: int = 1000) -> Failure:
    """A body that is longer than it should be, with a Content-Length that fits it."""
    return lambda request, answer: dataclasses.replace(answer, body=answer.body + bytes(by))


def web_page(text: str = "Scheduled maintenance") -> Failure:
    """A web page with the status 200."""
    page = f"<!DOCTYPE html><html><body><h1>{text}</h1></body></html>".encode()
    return lambda request, answer: Answer(200, page, "text/html; charset=utf-8")


def slow(seconds: float) -> Failure:
    """Nothing for a while, then all."""
    return lambda request, answer: dataclasses.replace(answer, wait=seconds)


def dripping(rate: float) -> Failure:
    """So many bytes a second, and no more."""
    return lambda request, answer: dataclasses.replace(answer, rate=rate)


def malformed() -> Failure:
    """Half of the body as if it were all."""
    return lambda request, answer: dataclasses.replace(
        answer, body=answer.body[: len(answer.body) // 2]
    )


def named(name: str) -> Failure:
    """A file under another name, such as ``../../escaped.fits``."""
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    return lambda request, answer: dataclasses.replace(answer, headers=answer.headers | disposition)


def tap_error(text: str = "The database is not reachable.", status: int = 200) -> Failure:
    """A TAP error, also where the status says that all is well."""
    return lambda request, answer: Answer.xml(votable.failure(text), status)


def late_error(text: str = "The query took too long.") -> Failure:
    """A table that ends in an error, as DALI (Sect. 4.4) lets a service tell of it."""
    info = f'<INFO name="QUERY_STATUS" value="ERROR">{text}</INFO>\n</RESOURCE>'.encode()
    return lambda request, answer: dataclasses.replace(
        answer, body=answer.body.replace(b"</RESOURCE>", info)
    )


def renamed(column: str, name: str) -> Failure:
    """A column under another name, in a VOTable, JSON or CSV."""

    def change(request: Request, answer: Answer) -> Answer:
        body = answer.body
        for quote in ('name="{}"', '"{}"', "{},"):
            old = quote.format(column).encode()
            if old in body:
                new = quote.format(name).encode()
                return dataclasses.replace(answer, body=body.replace(old, new))
        return answer

    return change


def without(column: str) -> Failure:
    """A column less, in a VOTable or in JSON."""

    def change(request: Request, answer: Answer) -> Answer:
        if "json" in answer.kind:
            content = json.loads(answer.body)
            content["fields"] = [f for f in content["fields"] if f["name"] != column]
            for row in content["data"]:
                row.pop(column, None)
            return Answer.json(content)
        return _changed(answer, lambda table: table.remove_column(column))

    return change


def unit(column: str, name: str) -> Failure:
    """Another unit of a column of a VOTable: not the numbers, only the word."""

    def relabel(table: Table) -> None:
        table[column].unit = u.Unit(name)

    return lambda request, answer: _changed(answer, relabel)


def empty() -> Failure:
    """A result without rows (VOTable, JSON, CSV) or a file without content."""

    def change(request: Request, answer: Answer) -> Answer:
        if "json" in answer.kind:
            content = json.loads(answer.body)
            nothing = {"rows": 0, "rowsFiltered": 0, "rowsTotal": 0}
            paging = content.get("paging", {}) | nothing
            return Answer.json(content | {"data": [], "paging": paging})
        if "votable" in answer.kind:
            return _changed(answer, lambda table: table.remove_rows(slice(None)))
        head = answer.body.split(b"\n", 1)[0] + b"\n" if "csv" in answer.kind else b""
        return dataclasses.replace(answer, body=head)

    return change


def _changed(answer: Answer, change: Callable[[Table], None]) -> Answer:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = parse(io.BytesIO(answer.body)).get_first_table().to_table(use_names_over_ids=True)
        change(table)
        buffer = io.BytesIO()
        writeto(table, buffer)
    info = b'<RESOURCE type="results">\n<INFO name="QUERY_STATUS" value="OK"/>'
    body = buffer.getvalue().replace(b'<RESOURCE type="results">', info)
    return dataclasses.replace(answer, body=body)
