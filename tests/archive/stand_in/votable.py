"""Answers of a TAP service: VOTables with the status of the query."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape, quoteattr

__all__ = ["Field", "failure", "table"]

_FRAME = """<?xml version="1.0" encoding="UTF-8"?>
<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">
<RESOURCE type="results">
{}
</RESOURCE>
</VOTABLE>
"""


@dataclass(frozen=True)
class Field:
    """What a column is, as VOTables and TAP_SCHEMA tell it."""

    name: str
    datatype: str = "char"
    unit: str | None = None
    ucd: str | None = None
    description: str | None = None
    xtype: str | None = None

    def xml(self) -> str:
        size = {"arraysize": "*"} if self.datatype == "char" else {}
        facts = {
            "name": self.name,
            "datatype": self.datatype,
            **size,
            "unit": self.unit,
            "ucd": self.ucd,
            "xtype": self.xtype,
        }
        text = " ".join(f"{key}={quoteattr(value)}" for key, value in facts.items() if value)
        if self.description:
            return f"<FIELD {text}><DESCRIPTION>{escape(self.description)}</DESCRIPTION></FIELD>"
        return f"<FIELD {text}/>"


def table(
    fields: Sequence[Field], rows: Iterable[Sequence[Any]], *, overflow: bool = False
) -> bytes:
    """A result, with the status before and, where rows are left out, after it.

    TAP 1.1 (Sect. 2.7.4) asks for a second QUERY_STATUS, OVERFLOW, after the table.
    """
    lines = ['<INFO name="QUERY_STATUS" value="OK"/>', "<TABLE>"]
    lines += [field.xml() for field in fields]
    lines.append("<DATA><TABLEDATA>")
    lines += ["<TR>" + "".join(map(_cell, row)) + "</TR>" for row in rows]
    lines.append("</TABLEDATA></DATA></TABLE>")
    if overflow:
        lines.append('<INFO name="QUERY_STATUS" value="OVERFLOW"/>')
    return _FRAME.format("\n".join(lines)).encode()


def failure(text: str) -> bytes:
    """What tells that a query failed (DALI 1.1, Sect. 4.2)."""
    return _FRAME.format(f'<INFO name="QUERY_STATUS" value="ERROR">{escape(text)}</INFO>').encode()


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "<TD/>"
    return f"<TD>{escape(repr(value) if isinstance(value, float) else str(value))}</TD>"
