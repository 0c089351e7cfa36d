"""One way to ask over the network: patient with a busy service, plain about a failed one."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.util.retry import Retry

from maury.errors import ArchiveError

__all__ = ["ArchiveSession", "check"]

BUSY = (429, 500, 502, 503, 504)
"""Answers after which it is worth asking again."""

TIMEOUT = (15.0, 120.0)
"""Seconds to wait for a connection, and for each next piece of an answer."""

LONGEST_PAUSE = 300
"""Seconds that a ``Retry-After`` is kept to; who is told to come back later still is told so."""


class Anonymous(AuthBase):
    """Nobody."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """The request as it is."""
        return request


class ArchiveSession(requests.Session):
    """A session of requests that asks again, later and later, where a service is busy or away.

    A ``Retry-After`` of the service is kept to. After the last attempt the answer is returned as it
    is: see `check`.

    Parameters
    ----------
    attempts : int
        How often is asked again.
    pause : float
        Seconds before the second time that is asked again; twice as long before each next one.
    """

    def __init__(self, attempts: int = 5, pause: float = 1.0) -> None:
        super().__init__()
        retry = Retry(
            total=attempts,
            status_forcelist=BUSY,
            # All that is asked are questions: none changes what the service holds.
            allowed_methods=None,
            backoff_factor=pause,
            backoff_jitter=pause / 2,
            retry_after_max=LONGEST_PAUSE,
            raise_on_status=False,
        )
        adapter = HTTPAdapter(max_retries=retry, pool_maxsize=16)
        self.mount("https://", adapter)
        self.mount("http://", adapter)
        # Else requests would send what ~/.netrc has for the host.
        self.auth = Anonymous()
        self.headers["User-Agent"] = "maury (Python package)"

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        """As `requests.Session.request`, with a limit of time.

        Raises
        ------
        ArchiveError
            If no answer comes.
        """
        kwargs.setdefault("timeout", TIMEOUT)
        try:
            return super().request(*args, **kwargs)
        except requests.RequestException as error:
            url = kwargs.get("url") or args[1]
            raise ArchiveError(f"{_host(url)} gives no answer ({_reason(error)}).") from None


def check(response: requests.Response, what: str) -> requests.Response:
    """The same response, if it is one that was hoped for.

    Parameters
    ----------
    response
        Of an `ArchiveSession`.
    what
        What was asked for, for the message.

    Raises
    ------
    ArchiveError
        If its status tells of a failure, or it is a web page: some services tell of their failures
        by a page with the status 200.
    """
    host = _host(response.url)
    if response.status_code >= 400:
        raise ArchiveError(
            f"{host} refuses {what}: {response.status_code} {response.reason or ''}".rstrip() + "."
        )
    if response.headers.get("Content-Type", "").lower().startswith("text/html"):
        raise ArchiveError(f"{host} sends a web page instead of {what}; try again later.")
    return response


def _host(url: str | bytes) -> str:
    return urlsplit(url if isinstance(url, str) else url.decode()).netloc


def _reason(error: requests.RequestException) -> str:
    """The innermost cause, without the addresses of objects that requests writes."""
    if isinstance(error, requests.Timeout):
        return "it took too long"
    cause: BaseException = error
    while (inner := _inner(cause)) is not None:
        cause = inner
    text = str(cause)
    return text.rsplit(": ", 1)[-1] if ": " in text else text or type(cause).__name__


def _inner(error: BaseException) -> BaseException | None:
    found = (getattr(error, "reason", None), *error.args)
    return next((each for each in found if isinstance(each, BaseException)), None)
