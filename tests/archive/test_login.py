"""Passwords and tokens go where they belong, are renewed in time, and are never told."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import keyring
import pytest
import requests
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked
from outside import Outside
from stand_in import failures
from stand_in.message import Answer

from maury.archive.login import KEYRING_SERVICE, Login
from maury.errors import ArchiveError

PASSWORD = "correct horse"


class Ring(KeyringBackend):
    """A keyring in memory."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()
        self.passwords: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise KeyringLocked("The collection is locked.")
        return self.passwords.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.passwords[service, username] = password


@pytest.fixture
def ring() -> Iterator[Ring]:
    before = keyring.get_keyring()
    ring = Ring()
    keyring.set_keyring(ring)
    ring.set_password("astroquery:www.eso.org", "astronomer", PASSWORD)
    yield ring
    keyring.set_keyring(before)


def login(services: Outside, user: str = "astronomer") -> Login:
    return Login(user, services.services, services.session)


def private(services: Outside) -> str:
    row = next(r for r in services.eso.products if r["obs_release_date"].startswith("2099"))
    return f"{services.services.eso_files}/{row['dp_id']}"


def test_a_proprietary_file_is_given_to_its_owner(services: Outside, ring: Ring) -> None:
    url = private(services)
    assert services.session.get(url).status_code == 401
    assert services.session.get(url, auth=login(services)).status_code == 200
    assert KEYRING_SERVICE == "astroquery:www.eso.org"


def test_a_token_serves_many_files(services: Outside, ring: Ring) -> None:
    user = login(services)
    for _ in range(3):
        services.session.get(private(services), auth=user)
    assert len(services.asked("eso_token")) == 1


def test_a_token_is_renewed_shortly_before_it_expires(
    services: Outside, ring: Ring, monkeypatch: pytest.MonkeyPatch
) -> None:
    services.eso.lifetime = 1000.0
    user, now = login(services), time.time()
    for passed, asked in ((0, 1), (930, 1), (945, 2), (1800, 2), (2000, 3)):
        monkeypatch.setattr("time.time", lambda passed=passed: now + passed)
        user.token()
        assert len(services.asked("eso_token")) == asked


def test_a_token_that_is_refused_is_given_up(services: Outside, ring: Ring) -> None:
    user = login(services)
    first = user.token()
    services.eso.revoke()
    response = services.session.get(private(services), auth=user)
    assert response.status_code == 401
    assert user.refused(response.request)
    assert user.token() != first
    assert services.session.get(private(services), auth=user).status_code == 200


def test_two_threads_with_one_stale_token_ask_for_one_new(services: Outside, ring: Ring) -> None:
    user = login(services)
    services.eso.revoke()
    stale = [services.session.get(private(services), auth=user).request for _ in range(2)]
    assert user.refused(stale[0])
    user.token()
    assert user.refused(stale[1])
    user.token()
    assert len(services.asked("eso_token")) == 2


def test_the_password_is_in_no_address(services: Outside, ring: Ring) -> None:
    login(services)
    request = services.asked("eso_token")[0]
    assert request.method == "POST" and request.parameters["PASSWORD"] == PASSWORD
    assert "horse" not in request.url and "astronomer" not in request.url


def test_a_service_that_takes_it_only_there_is_asked_as_esos_examples_do(
    services: Outside, ring: Ring
) -> None:
    services.fail("eso_token", lambda *_: Answer(405))
    assert services.session.get(private(services), auth=login(services)).status_code == 200
    assert [request.method for request in services.asked("eso_token")] == ["POST", "GET"]


def test_the_token_goes_to_no_other_host(services: Outside, ring: Ring) -> None:
    user = login(services)
    elsewhere = Outside()
    try:
        port = urlsplit(elsewhere.address).port
        for host in ("127.0.0.1", "localhost"):
            url = f"http://{host}:{port}/dataPortal/file/ADP.2014-09-16T11:04:45.123"
            services.session.get(url, auth=user)
            services.fail("eso_files", lambda *_, url=url: Answer(302, headers={"Location": url}))
            services.session.get(private(services), auth=user)
        asked = elsewhere.asked("eso_files")
        assert len(asked) == 4
        assert [request.header("Authorization") for request in asked] == [None] * 4
    finally:
        elsewhere.close()
    assert services.asked("eso_files")[0].header("Authorization").startswith("Bearer ")


def test_the_password_does_not_follow_a_redirect(services: Outside, ring: Ring) -> None:
    elsewhere = Outside()
    try:
        target = elsewhere.services.eso_token
        services.fail("eso_token", lambda *_: Answer(307, headers={"Location": target}))
        with pytest.raises(ArchiveError, match=r"no token for astronomer \(status 307\)"):
            login(services)
        assert elsewhere.log == []
    finally:
        elsewhere.close()


@pytest.mark.parametrize("where", ["eso_files", "eso_token"])
def test_nobody_is_logged_in_without_encryption(services: Outside, ring: Ring, where: str) -> None:
    address = {where: "http://dataportal.example.org/file"}
    with pytest.raises(ArchiveError, match="http is not encrypted"):
        Login("astronomer", replace(services.services, **address), services.session)
    assert services.log == []


def test_a_netrc_is_left_alone(
    services: Outside, ring: Ring, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    requests.get(private(services), timeout=5)
    assert services.asked("eso_files")[0].header("Authorization").startswith("Basic ")
    services.session.get(private(services))
    assert services.asked("eso_files")[1].header("Authorization") is None
    services.session.get(private(services), auth=login(services))
    assert services.asked("eso_files")[2].header("Authorization").startswith("Bearer ")
    assert services.asked("eso_token")[0].header("Authorization") is None


def test_a_missing_password_tells_how_to_store_it(services: Outside, ring: Ring) -> None:
    with pytest.raises(ArchiveError) as error:
        login(services, "nobody")
    assert "`keyring set astroquery:www.eso.org nobody`" in str(error.value)
    assert services.log == []


def test_a_keyring_that_cannot_be_asked_is_a_sentence(services: Outside, ring: Ring) -> None:
    ring.locked = True
    with pytest.raises(ArchiveError, match=r"keyring .* astronomer \(The collection is locked\)"):
        login(services)


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (failures.refused(401), "refuses the password"),
        (failures.refused(400), "refuses the password"),
        (failures.web_page(), "sends no token"),
        (failures.unavailable(), "sends no token"),
        (failures.dropped(), "gives no answer"),
        (lambda *_: Answer.json({"id_token": None}), "sends no token"),
        (lambda *_: Answer.json({"id_token": "a\r\nX-Other: b"}), "sends no token"),
        (lambda *_: Answer.json([]), "sends no token"),
    ],
)
def test_secrets_are_in_no_message_and_no_log(
    services: Outside, ring: Ring, caplog: pytest.LogCaptureFixture, failure, told: str
) -> None:
    caplog.set_level(logging.DEBUG)
    user = login(services)
    token = user.token()
    services.session.get(private(services), auth=user)
    services.fail("eso_token", failure, times=None)
    with pytest.raises(ArchiveError, match=told) as error:
        login(services)
    sentence = str(error.value)
    assert sentence.endswith(".") and "\n" not in sentence
    told_of = sentence + caplog.text + repr(user) + repr(error.value.__cause__)
    assert caplog.text and not re.search(f"horse|{re.escape(token)}", told_of)


def test_a_token_of_another_kind_is_used_until_it_is_refused(services: Outside, ring: Ring) -> None:
    services.fail("eso_token", lambda *_: Answer.json({"id_token": "opaque"}), times=None)
    user = login(services)
    assert user.token() == "opaque"
    assert len(services.asked("eso_token")) == 1
