"""A receiver of webhooks that takes whatever comes, keeps it, and answers as its path says."""

from __future__ import annotations

import json
import logging
import re
from dataclasses import dataclass, field
from itertools import count
from threading import Condition
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from viralsync_conform.clocks import monotonic
from viralsync_conform.redaction import redact_bytes
from viralsync_mock.errors import UsageError

if TYPE_CHECKING:
    from pytest_httpserver import HTTPServer
    from werkzeug import Request, Response

ANSWERS = {"/received": 200, "/refused": 500, "/moved": 307}
LANDING = "/landing"
QUERY = "of=conform&text=a%20b"
"""Part of every address that is handed out: it has to come back as it is."""

POLL_INTERVAL = 0.02
MAX_BODY, MAX_KEPT = 64 * 1024, 2000
"""Bytes of a webhook that are kept, and webhooks that are kept: a hostile target may send any number of any size."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """One request as it came in, at an instant of `clocks.monotonic`."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    at: float = 0.0

    @property
    def document(self) -> dict[str, Any]:
        """The body as a JSON object in UTF-8; an empty one where it is something else."""
        try:
            value = json.loads(self.body.decode())
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}


@dataclass
class WebhookReceiver:
    """Listens on a port of this machine; a context manager.

    `public_url` is where the target reaches it; `key` is hidden in whatever comes in.
    """

    host: str = "127.0.0.1"
    port: int = 0
    public_url: str | None = None
    key: str = field(default="", repr=False)
    received: list[Webhook] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._arrival, self._numbers = Condition(), count(1)
        self._server = _server(self.host, self.port)
        self._server.expect_request(re.compile(".*")).respond_with_handler(self._answer)

    def url(self, path: str = "/received") -> str:
        """Return where webhooks are to be sent, another address each time; each path has an answer of its own."""
        return self._url(path, f"{QUERY}&number={next(self._numbers)}")

    def _url(self, path: str, query: str) -> str:
        base = self.public_url or self._server.url_for("")
        return f"{base.rstrip('/')}{path}?{query}"

    def at(self, url: str, job_id: str) -> list[Webhook]:
        """Return what came in at an address, and what says that it is about the job, in order."""
        query = urlsplit(url).query
        return [each for each in tuple(self.received) if each.query == query or each.document.get("jobId") == job_id]

    def of(self, job_id: str) -> list[Webhook]:
        """Return what came in about a job, in order."""
        return [each for each in tuple(self.received) if each.document.get("jobId") == job_id]

    def wait_for(self, number: int, seconds: float) -> bool:
        """Say whether this many have come in within this many real seconds."""
        with self._arrival:
            return self._arrival.wait_for(lambda: len(self.received) >= number, seconds)

    def _answer(self, request: Request) -> Response:
        from werkzeug import Response

        headers = {name.lower(): value for name, value in request.headers.items()}
        self._server.clear_log()  # it keeps every request
        query, body = request.query_string.decode("latin-1"), redact_bytes(request.get_data()[:MAX_BODY], self.key)
        with self._arrival:
            if len(self.received) < MAX_KEPT:
                self.received.append(Webhook(request.method, request.path, query, headers, body, monotonic()))
            self._arrival.notify_all()
        status = ANSWERS.get(request.path, 200)
        extra = {"location": self._url(LANDING, query)} if status == ANSWERS["/moved"] else {}
        return Response(status=status, headers={"connection": "close", **extra})

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()


def _server(host: str, port: int) -> HTTPServer:
    try:
        from pytest_httpserver import HTTPServer
    except ImportError:
        raise UsageError("webhooks need pytest-httpserver: pip install 'viralsync-mock[conform]'") from None

    logging.getLogger("werkzeug").addHandler(logging.NullHandler())  # else it writes each request to standard error

    class Server(HTTPServer):
        """Takes every path, and stops without waiting half a second."""

        def thread_target(self) -> None:
            """Serve until stopped."""
            if self.server is not None:
                self.server.serve_forever(poll_interval=POLL_INTERVAL)

    return Server(host, port, threaded=True)
