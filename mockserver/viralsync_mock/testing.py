"""A webhook receiver for tests, on pytest-httpserver: it checks signatures, waits, and answers as scripted.

pytest-httpserver is imported when a receiver is made: `verify_signature` works without it.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from threading import Condition, Event, Thread, current_thread
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from viralsync_mock.errors import UsageError
from viralsync_mock.webhooks.signature import verify_signature

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_httpserver import HTTPServer
    from werkzeug import Request, Response

__all__ = ["Received", "WebhookReceiver", "verify_signature"]

PATH = "/webhooks"
SIGNATURE_HEADER = "x-render-signature"
OK, UNAUTHORIZED, UNAVAILABLE = 200, 401, 503

POLL_INTERVAL = 0.02
"""Real seconds between two checks for a stop; the server's own default of 0.5 would delay each test."""

JOIN_SECONDS = 5
"""Real seconds that a thread may take to end when the receiver is closed."""


class Received(NamedTuple):
    """One POST as it arrived: the exact bytes of its body, and the status it was answered with."""

    body: bytes
    signature: str
    has_valid_signature: bool
    response_status: int

    @property
    def headers(self) -> dict[str, str]:
        """The headers to send it again with, for the test client of an application."""
        return {"content-type": "application/json", SIGNATURE_HEADER: self.signature}

    @property
    def document(self) -> dict[str, Any]:
        """The body as JSON values; an empty object where it is something else."""
        try:
            document = json.loads(self.body)
        except ValueError:
            return {}
        return document if isinstance(document, dict) else {}

    def __repr__(self) -> str:
        document = self.document
        status = "/".join(filter(None, (str(document.get("status", "no status")), document.get("phase"))))
        forged = "" if self.has_valid_signature else " with a bad signature"
        return f"<{status} of {document.get('jobId', 'no job')}{forged}, answered {self.response_status}>"


@dataclass(frozen=True)
class Reply:
    """The response to one webhook: a status after some real seconds, or none (`seconds` None)."""

    status: int
    seconds: float | None = 0.0


class WebhookReceiver:
    """Receives webhooks at `url`, a context manager; `received` holds all of them, in order.

    A webhook whose signature does not fit `secret` is a violation and no event; it is answered 401 unless
    `refuses_forgeries` is False. Scripted responses are for genuine webhooks.
    """

    def __init__(self, secret: str) -> None:
        self.secret, self.refuses_forgeries = secret, True
        self.received: list[Received] = []
        self.hint: Callable[[], str] = str
        """Returns a sentence for the failure of `wait_for`: why no webhook may have come."""
        self._replies: deque[Reply] = deque()
        self._arrival, self._over = Condition(), Event()
        self._threads: list[Thread] = []
        self._server = _server()
        self._server.expect_request(PATH, method="POST").respond_with_handler(self._receive)

    @property
    def url(self) -> str:
        """Its address, for the `callbackUrl` of a submission."""
        return self._server.url_for(PATH)

    @property
    def violations(self) -> list[Received]:
        """The webhooks with a bad signature, in order."""
        return [each for each in tuple(self.received) if not each.has_valid_signature]

    def events(self, job_id: str | None = None) -> list[dict[str, Any]]:
        """Return the bodies of genuine webhooks, in order: of one job, or of all."""
        events = [each.document for each in tuple(self.received) if each.has_valid_signature]
        return [each for each in events if job_id in (None, each.get("jobId"))]

    def wait_for(self, status: str, job_id: str | None = None, timeout: float = 5) -> dict[str, Any]:
        """Return the first event with a status once it has arrived; fail after `timeout` real seconds."""
        __tracebackhide__ = True

        def found() -> dict[str, Any] | None:
            return next((each for each in self.events(job_id) if each.get("status") == status), None)

        with self._arrival:
            event = self._arrival.wait_for(found, timeout)
        if event is None:
            raise AssertionError(self._missed(status, job_id, timeout))
        return event

    def _missed(self, status: str, job_id: str | None, timeout: float) -> str:
        of_job = f" of {job_id}" if job_id else ""
        came = "".join(f"\n  {each!r}" for each in self.received)
        expected = f"expected a webhook with status {status}{of_job} within {timeout:g} s"
        return f"{expected}, got {came or 'none at all'}. {self.hint()}".removesuffix(". ")

    def respond_with(self, *statuses: int) -> None:
        """Answer the next webhooks with these statuses, one each, and later ones 200 again."""
        for status in statuses:
            if status not in range(200, 600):
                raise UsageError(f"expected statuses from 200 to 599, got {status!r}")
        self._replies.extend(map(Reply, statuses))

    def respond_slowly(self, seconds: float) -> None:
        """Answer the next webhook 200 after some real seconds."""
        if not seconds >= 0:
            raise UsageError(f"expected a number of seconds from 0 on, got {seconds!r}")
        self._replies.append(Reply(OK, seconds))

    def never_respond(self) -> None:
        """Never answer the next webhook: the mock waits `webhook.timeout_seconds` of real time and gives up."""
        self._replies.append(Reply(UNAVAILABLE, None))

    def _receive(self, request: Request) -> Response:
        from werkzeug import Response

        body, signature = request.get_data(), request.headers.get(SIGNATURE_HEADER, "")
        with self._arrival:
            reply = self._reply(is_genuine := verify_signature(body, signature, self.secret))
            self._threads.append(current_thread())
            self.received.append(Received(body, signature, is_genuine, reply.status))
            self._arrival.notify_all()
        self._over.wait(reply.seconds)
        return Response(status=reply.status, headers={"connection": "close"})  # so that no thread waits for more

    def _reply(self, is_genuine: bool) -> Reply:
        if not is_genuine:
            return Reply(UNAUTHORIZED if self.refuses_forgeries else OK)
        return self._replies.popleft() if self._replies else Reply(OK)

    def start(self) -> Self:
        """Return once the socket accepts connections."""
        self._server.start()
        return self

    def close(self) -> None:
        """Return once the socket is closed and every thread has ended; raises an error from a thread."""
        self._over.set()
        self._server.stop()
        for thread in self._threads:
            thread.join(JOIN_SECONDS)
        self._server.check_handler_errors()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<receiver at {self.url}, {len(self.received)} webhooks, {len(self.violations)} of them forged>"


def _server() -> HTTPServer:
    """Return a server on a free port, a thread for each connection; raises UsageError without pytest-httpserver."""
    try:
        from pytest_httpserver import HTTPServer
    except ImportError:
        raise UsageError(
            "the receiver of webhooks needs pytest-httpserver: pip install 'viralsync-mock[test]'"
        ) from None

    class Server(HTTPServer):
        """A server that stops at once."""

        def thread_target(self) -> None:
            """Serve until it is stopped."""
            if self.server is not None:
                self.server.serve_forever(poll_interval=POLL_INTERVAL)

    return Server("127.0.0.1", threaded=True)
