"""One server that plays all services, and the controls that tests have over it."""

from __future__ import annotations

import socket
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from stand_in.eso import EsoArchive
from stand_in.failures import Failure
from stand_in.mast import Mast
from stand_in.message import Answer, Request
from stand_in.simbad import Simbad
from stand_in.sweetcat import SweetCat

__all__ = ["StandIn"]

_PATHS = {
    "eso_tap": "/tap_obs",
    "eso_files": "/dataPortal/file",
    "eso_token": "/sso/oidc/token",
    "simbad_tap": "/simbad/sim-tap",
    "mast": "/mast",
    "sweetcat": "/catalog/SWEETCAT_Dataframe.csv",
    "datalink": "/datalink/links",
}


@dataclass
class _Planned:
    where: str
    failure: Failure
    times: int | None
    after: int
    matching: str


class StandIn:
    """All services at one local address.

    Attributes
    ----------
    address : str
        Of the server, without a path.
    eso, simbad, mast, sweetcat
        What each service holds; see there for what a test may change.
    log : list of Request
        All requests so far, in the order in which they came.
    """

    def __init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.world = self
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.eso = EsoArchive(self.address)
        self.simbad = Simbad()
        self.mast = Mast()
        self.sweetcat = SweetCat()
        self.log: list[Request] = []
        self.defects: list[str] = []
        self._planned: list[_Planned] = []
        self._lock = threading.Lock()
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    @property
    def addresses(self) -> dict[str, str]:
        """Where each service is, by the names of the fields of `maury.archive.Services`."""
        return {name: self.address + path for name, path in _PATHS.items() if name != "datalink"}

    @property
    def environment(self) -> dict[str, str]:
        """The same for the environment of a process: MAURY_ESO_TAP and so on."""
        return {f"MAURY_{name.upper()}": address for name, address in self.addresses.items()}

    def fail(
        self,
        where: str,
        failure: Failure,
        *,
        times: int | None = 1,
        after: int = 0,
        matching: str = "",
    ) -> None:
        """Let the next requests of a service fail.

        Parameters
        ----------
        where
            A name of `addresses`.
        failure
            One of `stand_in.failures`.
        times
            How many requests fail; None: all, until `heal`.
        after
            How many go well before.
        matching
            Only requests whose URL has this text, such as a dp_id, count.
        """
        if where not in _PATHS:
            raise KeyError(where)
        with self._lock:
            self._planned.append(_Planned(where, failure, times, after, matching))

    def heal(self) -> None:
        """Let nothing fail any more."""
        with self._lock:
            self._planned.clear()

    def waiting(self) -> int:
        """How many failures are still to come, of those that come so many times."""
        with self._lock:
            return sum(planned.times or 0 for planned in self._planned)

    def asked(self, where: str) -> list[Request]:
        """The requests of one service so far."""
        return [request for request in list(self.log) if request.where == where]

    def most_at_once(self, where: str) -> int:
        """How many requests of a service were under way at the same time."""
        now = time.monotonic()
        changes = [
            change
            for request in self.asked(where)
            for change in ((request.started, 1), (request.ended or now, -1))
        ]
        running = most = 0
        for _, step in sorted(changes):
            running += step
            most = max(most, running)
        return most

    def close(self) -> None:
        """Stop, and close all connections."""
        self._server.shutdown()
        self._thread.join()
        self._server.close_all()
        self._server.server_close()

    def answer(self, request: Request) -> Answer:
        """The answer to a request, failures included."""
        serve = self._service(request)
        with self._lock:
            self.log.append(request)
            failures = self._due(request)
        answer = serve(request)
        for failure in failures:
            answer = failure(request, answer)
        return answer

    def _service(self, request: Request) -> Callable[[Request], Answer]:
        services: dict[str, Callable[[Request], Answer]] = {
            "eso_tap": self.eso.tap.answer,
            "eso_files": self.eso.file,
            "eso_token": self.eso.token,
            "simbad_tap": self.simbad.tap.answer,
            "mast": self._mast,
            "sweetcat": self.sweetcat.file,
            "datalink": self.eso.datalink,
        }
        for name, path in _PATHS.items():
            if request.path == path or request.path.startswith(path + "/"):
                request.where = name
                return services[name]
        return lambda request: Answer(404, b"not found")

    def _mast(self, request: Request) -> Answer:
        if request.path == "/mast/api/v0/invoke":
            return self.mast.invoke(request)
        return Answer(404, b"not found")

    def _due(self, request: Request) -> list[Failure]:
        due = []
        for planned in self._planned:
            if planned.where != request.where or planned.matching not in request.url:
                continue
            if planned.after > 0:
                planned.after -= 1
            elif planned.times is None:
                due.append(planned.failure)
            elif planned.times > 0:
                planned.times -= 1
                due.append(planned.failure)
        return due


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    world: StandIn

    def __init__(self, *arguments: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def close_all(self) -> None:
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients may go away; all else is a defect of ours."""
        error = traceback.format_exc()
        if "ConnectionResetError" not in error and "BrokenPipeError" not in error:
            self.world.defects.append(error)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        request = Request(
            "",
            self.command,
            self.path,
            dict(self.headers.items()),
            self.rfile.read(length),
            started=time.monotonic(),
        )
        try:
            self._send(request, self.server.world.answer(request))
        finally:
            request.ended = time.monotonic()

    do_GET = do_POST = do_HEAD = _serve

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing on the terminal: tests have the log."""

    def _send(self, request: Request, answer: Answer) -> None:
        time.sleep(answer.wait)
        request.status = answer.status
        if answer.dropped:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if request.method == "HEAD":
            return
        body = answer.body if answer.sent is None else answer.body[: answer.sent]
        self._write(request, body, answer.rate)
        if answer.sent is not None:
            self.close_connection = True

    def _write(self, request: Request, body: bytes, rate: float | None) -> None:
        piece = 65536 if rate is None else max(1, int(rate / 20))
        for first in range(0, len(body), piece):
            part = body[first : first + piece]
            self.wfile.write(part)
            request.sent += len(part)
            if rate is not None:
                time.sleep(len(part) / rate)
