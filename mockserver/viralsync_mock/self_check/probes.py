"""The probes of the self-check: a client meets a fault in a sandbox of its own, and returns evidence of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import orjson

from viralsync_mock.self_check.clients import CLIENT_TIMEOUT, ClientObservation, ClientRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from viralsync_mock.self_check.clients import Client

MOVIE = {"scenes": [{"id": "intro", "duration": 2}, {"id": "middle", "duration": 3.5}, {"id": "end", "duration": 0.5}]}

CALLS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "getMe": ("GET", "/v1/me"),
        "submitRenderJob": ("POST", "/v1/render/jobs"),
        "streamJobProgress": ("GET", "/v1/jobs/{}/progress"),
        "getJob": ("GET", "/v1/jobs/{}"),
        "listJobs": ("GET", "/v1/jobs"),
    }
)
"""By operation its method and path."""


LONG = 600.0
"""Seconds after which the usual job has ended and all its webhooks are sent."""

QUICK = 2000.0
"""The rate of a clock that spends ten minutes in 0.3 s: 15 s between two keep-alives are enough for none to be lost."""


class Webhook(NamedTuple):
    """A webhook as it arrived."""

    body: bytes
    signature: str

    def __repr__(self) -> str:
        return f"{self.body.decode(errors='replace')} signed {self.signature[:8]}…"


class WebhookInbox:
    """A receiver of webhooks on this machine, with a box for each path. A context manager."""

    def __init__(self) -> None:
        self._boxes: dict[str, list[Webhook]] = {}
        self._server = _Receiver(("127.0.0.1", 0), partial(_Box, self._boxes))
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def url(self, box: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/{box}"

    def arrived(self, box: str) -> tuple[Webhook, ...]:
        return tuple(self._boxes.get(f"/{box}", ()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Receiver(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class _Box(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, boxes: dict[str, list[Webhook]], *rest: Any) -> None:
        self._boxes = boxes
        super().__init__(*rest)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self._boxes.setdefault(self.path, []).append(Webhook(body, self.headers["x-render-signature"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Environment(NamedTuple):
    """A mock with a frozen clock, a receiver of webhooks, and a client that meets no fault."""

    base_url: str
    inbox: WebhookInbox
    observer: Client


@dataclass(slots=True)
class ClientSession:
    """One fault and one client, alone in a sandbox; with `fault` empty nothing is armed."""

    environment: Environment
    client: Client
    key: str
    fault: Mapping[str, object] = field(default_factory=dict)

    def call_with_fault(
        self, operation: str, job: str = "", body: object = None, timeout: float = CLIENT_TIMEOUT
    ) -> ClientObservation:
        """Make the one call that the fault is armed for."""
        if self.fault:
            armed = {"fault": self.fault, "match": {"operation": operation}, "times": 1}
            self.control("PUT", "/__mock/faults", {"faults": [armed]})
        return self.send(operation, job, body, timeout)

    def send(
        self, operation: str, job: str = "", body: object = None, timeout: float = CLIENT_TIMEOUT
    ) -> ClientObservation:
        return self.client.fetch(self._wanted(*CALLS[operation], job, body)._replace(timeout=timeout))

    def call_without_fault(self, operation: str, job: str = "") -> ClientObservation:
        return self.environment.observer.fetch(self._wanted(*CALLS[operation], job, None))

    def control(self, method: str, path: str, body: object) -> Any:
        """Make a call that must succeed, usually to the control API; return its document."""
        seen = self.environment.observer.fetch(self._wanted(method, path, "", body))
        if seen.status not in (200, 201, 202):
            raise RuntimeError(f"{method} {path}: {seen}: {seen.body.decode(errors='replace')}")
        return orjson.loads(seen.body)

    def submit(self, box: str | None = None) -> str:
        """Submit a job that meets no fault, and return its id; `box` gets its webhooks."""
        job: str = self.control(*CALLS["submitRenderJob"], self.submission(box))["jobId"]
        return job

    def submission(self, box: str | None = None) -> dict[str, object]:
        """Return a body to submit; `box` gets the webhooks of the job."""
        to = {} if box is None else {"callbackUrl": self.environment.inbox.url(self._box(box))}
        return {"kind": "movie", "projectId": "proj_self_check", "movie": MOVIE, **to}

    def arrived(self, box: str) -> tuple[Webhook, ...]:
        return self.environment.inbox.arrived(self._box(box))

    def advance(self, **how_far: object) -> None:
        self.control("POST", "/__mock/clock/advance", how_far)

    def run_clock(self, **how: object) -> None:
        """Change the mode or rate of the clock, which is frozen at first."""
        self.control("PATCH", "/__mock/clock", how)

    def _box(self, box: str) -> str:
        return f"{self.key}/{box}"

    def _wanted(self, method: str, path: str, job: str, body: object) -> ClientRequest:
        headers = {"x-api-key": self.key, "content-type": "application/json"}
        written = None if body is None else orjson.dumps(body)
        return ClientRequest(method, self.environment.base_url + path.format(job), headers, written)


class JobEvent(NamedTuple):
    """What an event or a webhook said of a job; `id` is the event's."""

    status: str
    phase: str | None
    progress: float
    id: str = ""

    def __repr__(self) -> str:
        return " ".join(
            str(each) for each in (self.id, self.status, self.phase, self.progress) if each not in (None, "")
        )


class Read(NamedTuple):
    """An answer under a fault, and the same call without."""

    seen: ClientObservation
    usual: ClientObservation


class LostSubmission(NamedTuple):
    """A submission whose response is lost, and how many jobs there were afterwards."""

    seen: ClientObservation
    jobs: int


class Stream(NamedTuple):
    """A progress stream: its events, what stood behind the last whole one, and the events of an equal job's stream."""

    seen: ClientObservation
    events: tuple[JobEvent, ...]
    rest: bytes
    usual: tuple[JobEvent, ...]


class Posted(NamedTuple):
    """The answer to a submission, its webhooks when that answer came, later and in the end, and an equal job's."""

    seen: ClientObservation
    at_once: tuple[Webhook, ...]
    later: tuple[Webhook, ...]
    in_the_end: tuple[Webhook, ...]
    usual: tuple[JobEvent, ...]


def call(session: ClientSession) -> Read:
    usual = session.call_without_fault("getMe")
    return Read(session.call_with_fault("getMe"), usual)


def lost(session: ClientSession, timeout: float = CLIENT_TIMEOUT) -> LostSubmission:
    seen = session.call_with_fault("submitRenderJob", body=session.submission(), timeout=timeout)
    return LostSubmission(seen, len(json_of(session.call_without_fault("listJobs"))["jobs"]))


def finished(session: ClientSession, operation: str) -> Read:
    """Read a job, or the list of jobs, at the instant at which it is done."""
    job = session.submit()
    session.advance(until={"jobId": job, "status": "done"})
    usual = session.call_without_fault(operation, job)
    return Read(session.call_with_fault(operation, job), usual)


def unfinished(session: ClientSession) -> Read:
    job = session.submit()
    usual = session.call_without_fault("getJob", job)
    return Read(session.call_with_fault("getJob", job), usual)


def stream(session: ClientSession, timeout: float = CLIENT_TIMEOUT) -> Stream:
    """Follow a job, after one that met no fault."""
    session.run_clock(mode="auto")
    usual, _ = _events(session.call_without_fault("streamJobProgress", session.submit()).body)
    seen = session.call_with_fault("streamJobProgress", session.submit(), timeout=timeout)
    return Stream(seen, *_events(seen.body), usual)


def idle_stream(session: ClientSession) -> Stream:
    """Follow a job that waits for ten minutes until its turn comes."""
    session.control("PUT", "/__mock/scenario", {"name": "long-queue"})
    job = session.submit()
    session.run_clock(rate=QUICK)
    seen = session.call_with_fault("streamJobProgress", job)
    return Stream(seen, *_events(seen.body), ())


def webhooks(session: ClientSession) -> Posted:
    """Submit a job and let its webhooks come, after one that met no fault."""
    session.submit(box="usual")
    session.advance(seconds=LONG)
    usual = events_of(session.arrived("usual"))
    seen = session.call_with_fault("submitRenderJob", body=session.submission(box="faulty"))
    at_once = session.arrived("faulty")
    session.advance(seconds=LONG)
    later = session.arrived("faulty")
    session.advance(seconds=2 * 3600)
    return Posted(seen, at_once, later, session.arrived("faulty"), usual)


def json_of(seen: ClientObservation) -> Any:
    try:
        return orjson.loads(seen.body)
    except orjson.JSONDecodeError:
        return None


def _events(body: bytes) -> tuple[tuple[JobEvent, ...], bytes]:
    """Return the whole events of a stream, and what stands behind the last of them."""
    *blocks, rest = body.split(b"\n\n")
    found = [dict(line.split(b": ", 1) for line in block.split(b"\n")) for block in blocks]
    return tuple(_of(orjson.loads(each[b"data"]), each[b"id"].decode()) for each in found if b"data" in each), rest


def _of(document: Any, number: str = "") -> JobEvent:
    return JobEvent(document["status"], document.get("phase"), document["progress"], number)


def events_of(arrived: Iterable[Webhook]) -> tuple[JobEvent, ...]:
    return tuple(_of(orjson.loads(each.body)) for each in arrived)
