"""A target that is a function, and a clock that is told: what the tests of the kit's core send their calls to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx2
from tests.support.results import spec

from viralsync_conform.budget import Budget
from viralsync_conform.contract.schemas import ExpectedSpec
from viralsync_conform.profiles import PROFILES
from viralsync_conform.run.context import RunContext
from viralsync_conform.run.http_client import HttpClient
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.target import Account, Target
from viralsync_mock.clock import EPOCH
from viralsync_mock.config.behaviour import BehaviourProfile

KEY = "vs_prod_" + "k3" * 16
ME = {"userId": "user_1", "plan": "pro", "email": "a@example.com"}
USAGE = {
    "plan": "pro",
    "periodStart": "2026-01-01T00:00:00.000Z",
    "periodEnd": "2026-02-01T00:00:00.000Z",
    "renderMinutes": {"used": 1.0, "limit": 200, "remaining": 199.0},
    "daily": None,
    "concurrentJobs": {"running": 0, "limit": 3},
}


class FakeClock:
    """A clock that stands still until somebody waits; `waits` is how long they waited."""

    patience = 600.0

    def __init__(self) -> None:
        self.instant, self.waits = EPOCH, list[float]()

    def now(self) -> datetime:
        """Return where it stands."""
        return self.instant

    def wait(self, seconds: float) -> None:
        """Go on by this many seconds, and remember it."""
        self.waits.append(seconds)
        self.instant += timedelta(seconds=max(0.0, seconds))

    def wait_for_change(self, looks: int) -> None:
        """Go on by a second for each look."""
        self.wait(float(looks))


def answer(status: int, document: object = None, **headers: str) -> httpx2.Response:
    """Return an answer with JSON in it; underscores in the names of headers are hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(status, json=document, headers=named)


def refusal(status: int, code: str, **headers: str) -> httpx2.Response:
    return answer(status, {"error": f"{code} {headers.get('retry_after', '')}", "code": code}, **headers)


def html(status: int) -> httpx2.Response:
    return httpx2.Response(status, html=f"<h1>{status}</h1>")


@dataclass
class Api:
    """Answers as it is told: `scripted` by method and path, each answer once and the last one for ever.

    Account and usage are well unless told otherwise. `asked` holds every request.
    """

    scripted: dict[str, list[httpx2.Response | Exception]] = field(default_factory=dict)
    everywhere: list[httpx2.Response] = field(default_factory=list)
    asked: list[httpx2.Request] = field(default_factory=list)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """Answer as a transport does; an exception that was told is raised."""
        self.asked.append(request)
        if self.everywhere:
            return self.everywhere.pop(0)
        route = f"{request.method} {request.url.path}"
        told = self.scripted.get(route)
        if told:
            found = told.pop(0) if len(told) > 1 else told[0]
            if isinstance(found, Exception):
                raise found
            return found
        well = {"GET /v1/me": ME, "GET /v1/usage": USAGE, "GET /v1/jobs": {"jobs": [], "nextCursor": None}}
        return answer(200, well[route]) if route in well else refusal(404, "JOB_NOT_FOUND")

    @property
    def routes(self) -> list[str]:
        """What was asked for, in order."""
        return [f"{request.method} {request.url.path}" for request in self.asked]


class Body(httpx2.SyncByteStream):
    """A body that is not read before it is asked for, as one from the network."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self._content


def copied(response: httpx2.Response) -> httpx2.Response:
    """Return an answer that can be read once more."""
    return httpx2.Response(response.status_code, headers=response.headers, stream=Body(response.content))


def run_of(
    api: Callable[[httpx2.Request], httpx2.Response], *, base_url: str = "https://api.example",
    profile: str = "nightly",
    budget: Budget | None = None, behaviour: BehaviourProfile | None = None, **rest: Any,
) -> RunContext:  # fmt: skip
    """Return a run against a function; real seconds are written to `shelf["pauses"]` instead of being waited."""
    http = httpx2.Client(transport=httpx2.MockTransport(lambda request: copied(api(request))))
    main = Account("main", KEY, FakeClock(), is_main=True)
    pauses: list[float] = []
    target = Target(base_url, main, False, "7", http, pause=pauses.append)
    run = RunContext(
        target, ExpectedSpec(spec(), behaviour), PROFILES[profile], budget or Budget(399, 0.1), "7", **rest
    )
    run.shared["pauses"] = pauses
    return run


def trip_of(api: Callable[[httpx2.Request], httpx2.Response], **options: Any) -> JourneyContext:
    run = run_of(api, **options)
    return JourneyContext(run, HttpClient(run), "journey")


def found(run: RunContext) -> list[tuple[str, str]]:
    """Return category and check of everything that a run found."""
    return [(str(finding.category), finding.check) for finding in run.findings]


def events(*documents: dict[str, Any]) -> bytes:
    """Return a stream that tells these documents."""
    return b"".join(f"id: {number}\ndata: {json.dumps(each)}\n\n".encode() for number, each in enumerate(documents))


def stream(chunks: Iterable[bytes]) -> httpx2.Response:
    return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=b"".join(chunks))
