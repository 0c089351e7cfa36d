"""Logging in at ESO, which only proprietary spectra need.

The password is the one that astroquery keeps in the system's keyring, and goes nowhere but to ESO's
single sign-on; what comes back is a JSON Web Token for some hours, which goes nowhere but to where
the files are. Neither is written to a file or appears in a message.
(https://archive.eso.org/cms/eso-data/programmatic-access/authentication-and-authorisation.html)
"""

from __future__ import annotations

import base64
import json
import math
import threading
import time
from urllib.parse import urlsplit

import keyring
from keyring.errors import KeyringError
from requests import PreparedRequest
from requests.auth import AuthBase

from maury.archive.services import Services
from maury.archive.session import ArchiveSession
from maury.errors import ArchiveError

__all__ = ["KEYRING_SERVICE", "Login"]

KEYRING_SERVICE = "astroquery:www.eso.org"
"""Under which astroquery stores passwords of ESO's users."""

CLIENT = {
    "response_type": "id_token token",
    "grant_type": "password",
    "client_id": "clientid",
    "client_secret": "clientSecret",
}
"""How ESO's own examples introduce themselves; none of it is secret."""

LOCAL = ("localhost", "127.0.0.1", "::1")


class Login(AuthBase):
    """A user of ESO's portal, for requests to where the files are.

    Several threads may share it.

    Parameters
    ----------
    user : str
        Whose password the keyring has.
    services : Services
        Where tokens and files are.
    session : ArchiveSession
        Which asks for tokens.

    Raises
    ------
    ArchiveError
        If the keyring has no password, ESO refuses it, or it would go over a line that is not
        encrypted.
    """

    def __init__(self, user: str, services: Services, session: ArchiveSession) -> None:
        for address in (services.eso_token, services.eso_files):
            parts = urlsplit(address)
            if parts.scheme != "https" and parts.hostname not in LOCAL:
                raise ArchiveError(
                    f"Nobody is logged in at {parts.netloc}, for {parts.scheme} is not encrypted."
                )
        self.user = user
        self._services, self._session = services, session
        self._password = _password(user)
        self._lock = threading.Lock()
        self._token, self._expiry = "", -math.inf
        self.token()

    def __repr__(self) -> str:
        return f"<Login {self.user!r}>"

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """The request with the token, if it goes to where the files are."""
        asked, files = urlsplit(request.url or ""), urlsplit(self._services.eso_files)
        if (asked.scheme, asked.netloc) == (files.scheme, files.netloc):
            request.headers["Authorization"] = f"Bearer {self.token()}"
        return request

    def token(self) -> str:
        """One that is good for a while yet."""
        with self._lock:
            if time.time() >= self._expiry:
                self._renew()
            return self._token

    def refused(self, request: PreparedRequest) -> bool:
        """Forget the token with which a request was refused; whether it is worth trying again.

        It is not where the request had none.
        """
        used = str(request.headers.get("Authorization", "")).removeprefix("Bearer ")
        with self._lock:
            if used == self._token:
                self._expiry = -math.inf
        return bool(used)

    def _renew(self) -> None:
        host = urlsplit(self._services.eso_token).netloc
        address = self._services.eso_token
        secret = {"username": self.user, "password": self._password}
        # Not among the parameters, which servers and libraries write to their logs.
        response = self._session.post(address, params=CLIENT, data=secret, allow_redirects=False)
        if response.status_code == 405:
            # ESO's examples in Python put it there.
            response = self._session.get(address, params=CLIENT | secret, allow_redirects=False)
        if response.status_code in (400, 401, 403):
            raise ArchiveError(
                f"{host} refuses the password that the keyring has for {self.user}; store the "
                f"right one by `keyring set {KEYRING_SERVICE} {self.user}`."
            )
        try:
            token = response.json()["id_token"] if response.status_code == 200 else None
        except (ValueError, LookupError, TypeError):
            token = None
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise ArchiveError(
                f"{host} sends no token for {self.user} (status {response.status_code}); try again "
                "later."
            )
        self._token, self._expiry = token, _expiry(token)


def _password(user: str) -> str:
    try:
        password = keyring.get_password(KEYRING_SERVICE, user)
    except KeyringError as error:
        raise ArchiveError(
            f"The system's keyring cannot be asked for the password of {user} "
            f"({' '.join(str(error).split()).split('. ')[0].rstrip('.')})."
        ) from None
    if not password:
        raise ArchiveError(
            f"The keyring has no password of {user}; store it by `keyring set {KEYRING_SERVICE} "
            f"{user}`."
        )
    return password


def _expiry(token: str) -> float:
    """Until when a token is used: shortly before it expires, or until it is refused."""
    try:
        body = token.split(".")[1]
        expiry = float(json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["exp"])
    except (ValueError, LookupError, TypeError):
        return math.inf
    # A tenth of its time, which is a minute at the most, for what is under way.
    left = expiry - time.time()
    return expiry - min(60.0, left / 10)
