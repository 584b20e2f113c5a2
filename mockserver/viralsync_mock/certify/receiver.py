"""The receiver behind VIRALSYNC_CALLBACK_URL: it passes webhooks on to the client, and its response back.

Forged, duplicate, late and disordered webhooks come from the mock, which judges the response of whoever answered.
"""

from __future__ import annotations

import http.client
import socket
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from viralsync_mock.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

PORT = "{port}"
"""In `--callback-to`: a free port for each scenario, which the program finds in VIRALSYNC_CALLBACK_PORT."""

MAX_BODY = 1 << 20
RELAY_SECONDS = 15.0
"""Real seconds for one webhook: longer than the mock waits, so that it is the mock that gives up."""

POLL_SECONDS, RETRY_SECONDS = 0.02, 0.1
HOP_BY_HOP = frozenset({"connection", "content-length", "host", "keep-alive", "te", "transfer-encoding", "upgrade"})


@dataclass
class Line:
    """The way of one scenario's webhooks: where they come in, and where they go; `over` lets go of what waits.

    `is_refused` while nothing listens there.
    """

    url: str
    port: int
    target: str | None
    received: int = 0
    is_refused: bool = False
    over: Event = field(default_factory=Event)


class Receiver:
    """A server for the webhooks of all scenarios; without `callback_to` it answers 200 itself. A context manager."""

    def __init__(self, callback_to: str | None) -> None:
        self.callback_to = callback_to
        self._lines: dict[str, Line] = {}
        handler: Any = type("Handler", (_Handler,), {"lines": self._lines})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, args=[POLL_SECONDS], name="receiver", daemon=True)

    @contextmanager
    def line(self, name: str) -> Iterator[Line]:
        port = free_port()
        target = self.callback_to.replace(PORT, str(port)) if self.callback_to else None
        line = Line(f"http://127.0.0.1:{self._server.server_address[1]}/{name}", port, target)
        self._lines[f"/{name}"] = line
        try:
            yield line
        finally:
            line.over.set()
            del self._lines[f"/{name}"]

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    lines: dict[str, Line]
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        line = self.lines.get(self.path)
        body = self.rfile.read(min(int(self.headers.get("content-length") or 0), MAX_BODY))
        self.close_connection = True
        if line is None:  # its scenario is over
            return
        line.received += 1
        if line.target is None:
            self._answer(200, b"")
            return
        if (answer := self._relayed(line, line.target, body)) is not None:
            self._answer(*answer)

    def _relayed(self, line: Line, target: str, body: bytes) -> tuple[int, bytes] | None:
        """Return the client's response, or None once the scenario is over and its receiver gave none."""
        for _ in range(int(RELAY_SECONDS / RETRY_SECONDS)):
            try:
                answer = self._relay(target, body)
                line.is_refused = False
                return answer
            except ConnectionRefusedError:  # not there yet, or over already
                line.is_refused = True
                if line.over.wait(RETRY_SECONDS):
                    return None
            except (OSError, http.client.HTTPException):
                line.over.wait(RELAY_SECONDS)
                return None
        return None

    def _relay(self, target: str, body: bytes) -> tuple[int, bytes]:
        url = urlsplit(target)
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        with closing(kind(url.hostname or "", url.port, timeout=RELAY_SECONDS)) as connection:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
            connection.request("POST", f"{url.path or '/'}{f'?{url.query}' if url.query else ''}", body, headers)
            response = connection.getresponse()
            return response.status, response.read(MAX_BODY)

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - the name is the library's
        """Say nothing: the mock keeps every attempt."""


def check_callback(url: str | None) -> str | None:
    """Return the URL; raises SettingsError unless it is one of http or https."""
    if url is not None:
        parts = urlsplit(url.replace(PORT, "1"))
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(f"--callback-to: expected a URL such as http://127.0.0.1:{PORT}/webhooks, got {url!r}")
    return url


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
