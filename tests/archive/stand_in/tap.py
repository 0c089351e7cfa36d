"""A Table Access Protocol service: synchronous queries and what describes the service."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from xml.sax.saxutils import quoteattr

import numpy as np
from astropy.table import Table as AstropyTable

from stand_in import votable
from stand_in.adql import QueryError, Table, run
from stand_in.message import Answer, Request
from stand_in.votable import Field

__all__ = ["TapService"]

_LONGEST_URL = 8190
_VOSI = "http://www.ivoa.net/xml"


class TapService:
    """Answers queries on tables.

    Parameters
    ----------
    tables
        Gives the tables by name at each query.
    rows, most : int
        How many rows are sent where no MAXREC is asked for, and at the most.
    collation
        By which texts of uploaded tables are compared.
    rewrite
        What makes ADQL of the service's own extensions.
    """

    def __init__(
        self,
        tables: Callable[[], Mapping[str, Table]],
        *,
        rows: int,
        most: int,
        collation: str = "BINARY",
        rewrite: Callable[[str], str] = str,
    ) -> None:
        self.tables = tables
        self.rows = rows
        self.most = most
        self.collation = collation
        self.rewrite = rewrite

    def answer(self, request: Request) -> Answer:
        """For any path of the service."""
        resource = request.path.rsplit("/", 1)[-1]
        if resource == "sync":
            return self._sync(request)
        describe = {
            "capabilities": self._capabilities,
            "availability": _availability,
            "tables": self._tables,
        }
        if resource in describe:
            return Answer(200, describe[resource]().encode(), "text/xml")
        return Answer(404, b"no such resource")

    def _sync(self, request: Request) -> Answer:
        if len(request.url) > _LONGEST_URL:
            return Answer(414, b"URI too long")
        try:
            return self._query(request)
        except QueryError as error:
            return Answer.xml(votable.failure(str(error)), 400)

    def _query(self, request: Request) -> Answer:
        parameters = request.parameters
        if parameters.get("REQUEST", "doQuery") != "doQuery":
            raise QueryError("REQUEST must be doQuery.")
        if not parameters.get("LANG", "").startswith("ADQL"):
            raise QueryError("LANG must be ADQL.")
        if not parameters.get("QUERY"):
            raise QueryError("The parameter QUERY is missing.")
        wanted = int(parameters.get("MAXREC", self.rows))
        limit = min(wanted, self.most)
        tables = {**self.tables(), **self._uploads(request)}
        tables["TAP_SCHEMA.columns"] = _described(tables)
        result = run(self.rewrite(parameters["QUERY"]), tables)
        overflow = len(result.rows) > limit
        body = votable.table(result.fields, result.rows[:limit], overflow=overflow)
        return Answer.xml(body)

    def _uploads(self, request: Request) -> dict[str, Table]:
        uploads = {}
        for item in filter(None, request.parameters.get("UPLOAD", "").split(";")):
            name, source = item.split(",", 1)
            part = request.parts.get(source.removeprefix("param:"))
            if part is None:
                raise QueryError(f'Failed to read the table "{name}"! Cause: no file found.')
            uploads[f"TAP_UPLOAD.{name}"] = self._uploaded(part)
        return uploads

    def _uploaded(self, content: bytes) -> Table:
        table = AstropyTable.read(io.BytesIO(content), format="votable")
        kinds = {"f": "double", "i": "long", "u": "long"}
        fields = [Field(n, kinds.get(table[n].dtype.kind, "char")) for n in table.colnames]
        rows = [
            {
                name: None if np.ma.is_masked(row[name]) else _plain(row[name])
                for name in row.colnames
            }
            for row in table
        ]
        return Table(fields, rows, self.collation)

    def _capabilities(self) -> str:
        return (
            f'<vosi:capabilities xmlns:vosi="{_VOSI}/VOSICapabilities/v1.0" '
            f'xmlns:tr="{_VOSI}/TAPRegExt/v1.0" xmlns:vs="{_VOSI}/VODataService/v1.1" '
            'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
            '<capability standardID="ivo://ivoa.net/std/TAP" xsi:type="tr:TableAccess">'
            '<interface role="std" xsi:type="vs:ParamHTTP"><accessURL use="base">tap</accessURL>'
            "</interface><language><name>ADQL</name><version>2.0</version></language>"
            "<outputFormat><mime>application/x-votable+xml</mime></outputFormat>"
            f'<outputLimit><default unit="row">{self.rows}</default>'
            f'<hard unit="row">{self.most}</hard></outputLimit></capability></vosi:capabilities>'
        )

    def _tables(self) -> str:
        lines = [f'<vosi:tableset xmlns:vosi="{_VOSI}/VOSITables/v1.0"><schema><name>all</name>']
        for name, table in self.tables().items():
            lines.append(f"<table><name>{name}</name>")
            lines += [f"<column><name>{field.name}</name></column>" for field in table.fields]
            lines.append("</table>")
        return "".join([*lines, "</schema></vosi:tableset>"])


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else value


def _availability() -> str:
    namespace = quoteattr(f"{_VOSI}/VOSIAvailability/v1.0")
    return (
        f"<vosi:availability xmlns:vosi={namespace}><available>true</available></vosi:availability>"
    )


def _described(tables: Mapping[str, Table]) -> Table:
    names = ("table_name", "column_name", "datatype", "unit", "ucd", "description")
    rows = [
        dict(zip(names, (table, f.name, f.datatype, f.unit, f.ucd, f.description), strict=True))
        for table, columns in tables.items()
        for f in columns.fields
    ]
    return Table([Field(name) for name in names], rows)
