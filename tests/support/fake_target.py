"""A target that is a function, and a clock that is told: what the tests of the kit's core send their calls to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
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
        """Go on by so many seconds, and remember it."""
        self.waits.append(seconds)
        self.instant += timedelta(seconds=max(0.0, seconds))

    def step(self, looks: int) -> None:
        """Go on by a second for each look."""
        self.wait(float(looks))


def answer(status: int, document: object = None, **headers: str) -> httpx.Response:
    """Return an answer with JSON in it; underscores in the names of headers are hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.Response(status, json=document, headers=named)


def refusal(status: int, code: str, **headers: str) -> httpx.Response:
    return answer(status, {"error": f"{code} {headers.get('retry_after', '')}", "code": code}, **headers)


def html(status: int) -> httpx.Response:
    return httpx.Response(status, html=f"<h1>{status}</h1>")


@dataclass
class Api:
    """Answers as it is told: `scripted` by method and path, each answer once and the last one for ever.

    Account and usage are well unless told otherwise. `asked` holds every request.
    """

    scripted: dict[str, list[httpx.Response | Exception]] = field(default_factory=dict)
    everywhere: list[httpx.Response] = field(default_factory=list)
    asked: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer as a transport does; an exception that was told is raised."""
        self.asked.append(request)
        if self.everywhere:
            return copied(self.everywhere.pop(0))
        route = f"{request.method} {request.url.path}"
        told = self.scripted.get(route)
        if told:
            found = told.pop(0) if len(told) > 1 else told[0]
            if isinstance(found, Exception):
                raise found
            return copied(found)
        well = {"GET /v1/me": ME, "GET /v1/usage": USAGE, "GET /v1/jobs": {"jobs": [], "nextCursor": None}}
        return answer(200, well[route]) if route in well else refusal(404, "JOB_NOT_FOUND")

    @property
    def routes(self) -> list[str]:
        """What was asked for, in order."""
        return [f"{request.method} {request.url.path}" for request in self.asked]


def copied(response: httpx.Response) -> httpx.Response:
    """Return an answer that can be read once more."""
    return httpx.Response(response.status_code, headers=response.headers, content=response.content)


def run_of(
    api: Callable[[httpx.Request], httpx.Response], *, base_url: str = "https://api.example", profile: str = "nightly",
    budget: Budget | None = None, behaviour: BehaviourProfile | None = None, **rest: Any,
) -> RunContext:  # fmt: skip
    """Return a run against a function; real seconds are written to `shelf["pauses"]` instead of being waited."""
    http = httpx.Client(transport=httpx.MockTransport(api))
    main = Account("main", KEY, FakeClock(), is_main=True)
    pauses: list[float] = []
    target = Target(base_url, main, False, "7", http, pause=pauses.append)
    run = RunContext(
        target, ExpectedSpec(spec(), behaviour), PROFILES[profile], budget or Budget(399, 0.1), "7", **rest
    )
    run.shared["pauses"] = pauses
    return run


def trip_of(api: Callable[[httpx.Request], httpx.Response], **options: Any) -> JourneyContext:
    run = run_of(api, **options)
    return JourneyContext(run, HttpClient(run), "journey")


def found(run: RunContext) -> list[tuple[str, str]]:
    """Return category and check of everything that a run found."""
    return [(str(finding.category), finding.check) for finding in run.findings]


def events(*documents: dict[str, Any]) -> bytes:
    """Return a stream that tells these documents."""
    return b"".join(f"id: {number}\ndata: {json.dumps(each)}\n\n".encode() for number, each in enumerate(documents))


def stream(chunks: Iterable[bytes]) -> httpx.Response:
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=b"".join(chunks))
