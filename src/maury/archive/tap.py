"""Questions in ADQL to a Table Access Protocol service, and answers that can be trusted."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping

from astropy import units
from astropy.io.votable import parse
from astropy.io.votable.exceptions import VOWarning
from astropy.table import Table
from pyvo.dal import DALFormatError, DALOverflowWarning, DALQueryError, TAPQuery
from pyvo.dal.query import DALResults

from maury.archive import answers
from maury.archive.session import ArchiveSession
from maury.errors import ArchiveError

__all__ = ["escape", "query"]

BROKEN = (*answers.BROKEN, DALFormatError, VOWarning)
"""What is raised where an answer breaks off or is no VOTable."""


def query(
    url: str,
    adql: str,
    *,
    session: ArchiveSession | None = None,
    maxrec: int | None = None,
    uploads: Mapping[str, Table] | None = None,
    service_name: str,
    columns: Mapping[str, str | None] | None = None,
    allow_overflow: bool = False,
) -> Table:
    """The rows that a TAP service has for a question (TAP 1.1, synchronous).

    Parameters
    ----------
    url : str
        Of the service, without ``/sync``.
    adql : str
        The question; texts within it are to be brought through `escape`.
    session : ArchiveSession, optional
        Which asks; a new one by default.
    maxrec : int, optional
        Rows that are wanted at most; the service's own limit by default.
    uploads : mapping of str to astropy.table.Table, optional
        Tables that the question names ``TAP_UPLOAD.<key>``.
    service_name : str
        What messages call the service, such as ``"SIMBAD"``.
    columns : mapping of str to str or None, optional
        The columns without which the answer is of no use, and their units (None where there is
        none). A column without a unit in the answer is taken to be in the one that is expected.
    allow_overflow : bool
        Whether an answer that the service or `maxrec` cuts off is good. If not, it is an error.

    Returns
    -------
    astropy.table.Table
        Empty where nothing is found. ``meta["overflow"]`` tells whether rows are left.

    Raises
    ------
    ArchiveError
        If the service is away, refuses the question, cuts its answer off, or sends what is no
        VOTable or lacks a column. The message has what the service says of it.
    """
    question = TAPQuery(
        url, adql, maxrec=maxrec, uploads=dict(uploads or {}), session=session or ArchiveSession()
    )
    table, overflow = answers.whole(
        question.submit,
        lambda body: _read(body, service_name),
        service_name=service_name,
        broken=BROKEN,
    )
    if overflow and not allow_overflow:
        raise ArchiveError(
            f"{service_name} sends only the first {len(table):,} rows of its answer; "
            "ask for less at a time."
        )
    _check_columns(table, columns or {}, service_name)
    table.meta["overflow"] = overflow
    return table


def escape(text: str) -> str:
    """The text as it stands between single quotes in ADQL.

    Examples
    --------
    >>> escape("NAME Barnard's star")
    "NAME Barnard''s star"
    """
    return text.replace("'", "''")


def _read(body: bytes, service: str) -> tuple[Table, bool]:
    with warnings.catch_warnings():
        # Whether rows are left is told by the status below.
        warnings.simplefilter("ignore", DALOverflowWarning)
        try:
            results = DALResults(parse(io.BytesIO(body), verify="ignore"))
        except DALQueryError as error:
            raise ArchiveError(f"{service} refuses the question: {_sentence(error)}.") from None
    return results.to_table(), results.status[0].lower() == "overflow"


def _check_columns(table: Table, columns: Mapping[str, str | None], service: str) -> None:
    missing = [name for name in columns if name not in table.colnames]
    if missing:
        raise ArchiveError(
            f"{service} sends no column {missing[0]}; it sends {', '.join(table.colnames)}."
        )
    for name, unit in columns.items():
        sent = table[name].unit
        if unit is not None and sent is not None and sent != units.Unit(unit):
            raise ArchiveError(f"{service} sends {name} in {sent}, where {unit} is expected.")


def _sentence(error: Exception) -> str:
    """What a service says of its failure, in one line without its full stop."""
    return " ".join(str(error).split())[:300].rstrip(".!") or "no reason is given"
