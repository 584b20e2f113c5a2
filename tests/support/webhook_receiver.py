"""A small webhook receiver on a real socket: it keeps what it got, and answers as it is told."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, NamedTuple, Self

import orjson


class Received(NamedTuple):
    """One POST as it arrived: the exact bytes of its body."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def signature(self) -> str:
        """What `x-render-signature` says."""
        return self.headers["x-render-signature"]

    @property
    def document(self) -> dict[str, Any]:
        """The body as JSON values."""
        document: dict[str, Any] = orjson.loads(self.body)
        return document


@dataclass(frozen=True)
class Reply:
    """How one request is answered: with a status, only when the test is over (`hangs`), or not at all (`closes`)."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    hangs: bool = False
    closes: bool = False

    @classmethod
    def redirect(cls, to: str, status: int = 307) -> Self:
        """Return a redirect."""
        return cls(status, headers=(("location", to),))


@dataclass
class Receiver:
    """`got` holds every POST in order; `replies` are used up one a request, and `otherwise` after them.

    `on_request` runs before the answer, in the thread of the request: it may call the mock.
    """

    replies: Iterable[Reply] = ()
    otherwise: Reply = Reply()
    on_request: Callable[[Received], None] = lambda _: None
    got: list[Received] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.replies, self._over = deque(self.replies), Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.receiver = self
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def port(self) -> int:
        """Where it listens, on 127.0.0.1."""
        return self._server.server_port

    @property
    def url(self) -> str:
        """Where webhooks are to be sent."""
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def documents(self) -> list[dict[str, Any]]:
        """The bodies in the order in which they came."""
        return [each.document for each in self.got]

    def reply(self, received: Received) -> Reply:
        """Take a POST down and return how it is answered."""
        assert isinstance(self.replies, deque)
        self.got.append(received)
        reply = self.replies.popleft() if self.replies else self.otherwise
        self.on_request(received)
        if reply.hangs:
            self._over.wait(10)
        return reply


class _Server(ThreadingHTTPServer):
    receiver: Receiver
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server.receiver.reply(Received(self.path, headers, body))
        if reply.closes or reply.hangs:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in reply.headers:
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("content-length", str(len(reply.body)))
        self.end_headers()
        if reply.status != 204:
            self.wfile.write(reply.body)

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the name that http.server gives it
        """Say nothing: test output is for failures."""


__all__ = ["Received", "Receiver", "Reply"]
