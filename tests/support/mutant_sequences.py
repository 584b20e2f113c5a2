"""Short stories told to a server in this process, theme by theme: what they come to differs for every mutant."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import orjson
from tests.support.in_process import KEY, Exchange, InProcess

from viralsync_conform.mutants import Mutant
from viralsync_conform.mutants.engine.server import mutated, mutated_settings
from viralsync_mock.app import App
from viralsync_mock.settings import Settings
from viralsync_mock.state import read_files

OTHER_KEY = "vs_prod_" + "f0" * 16
CALLBACK = "http://localhost:9/hooks"
SCENES = [{"id": "one", "duration": 1}, {"id": "two", "duration": 0.5}]
MOVIE = {
    "kind": "movie",
    "projectId": "proj_story",
    "movie": {"title": "Story", "width": 1080, "height": 1200, "scenes": SCENES},
}
JOBS = "/v1/jobs"
SUBMIT = "/v1/render/jobs"
TOLD = {"allow", "retry-after", "content-type", "cache-control", "x-ratelimit-remaining"}


@dataclass
class Listener:
    """Tells stories to a server, and writes down what comes back."""

    server: InProcess
    heard: list[Any] = field(default_factory=list)
    numbers: Any = field(default_factory=lambda: count(1))

    async def call(self, method: str, target: str, body: object = None, **how: Any) -> Exchange:
        """Make a call and write its answer down."""
        exchange = await self.server.call(method, target, body, **how)
        self.write(exchange)
        return exchange

    def write(self, exchange: Exchange) -> None:
        """Write an answer down."""
        headers = sorted((name, value) for name, value in exchange.lines if name in TOLD)
        self.heard.append((exchange.status, headers, exchange.content, exchange.is_over, exchange.has_left))

    async def submit(self, **how: Any) -> str:
        """Submit a movie and return the id of its job."""
        body = how.pop("body", MOVIE)
        answer = _document(await self.call("POST", SUBMIT, body, **how))
        return str(answer.get("jobId", answer.get("id"))) if isinstance(answer, dict) else "job_none"

    async def advance(self, seconds: float, key: str = KEY) -> None:
        """Move the clock."""
        await self.server.call("POST", "/__mock/clock/advance", {"seconds": seconds}, key=key)
        await self.server.quiet()

    async def patch(self, key: str = KEY, **changes: object) -> None:
        """Change the account."""
        await self.server.call("PATCH", "/__mock/account", changes, key=key)

    async def look(self, job_id: str) -> None:
        """Read a job in each way that there is."""
        await self.call("GET", f"{JOBS}/{job_id}")
        await self.call("GET", f"{JOBS}/scene_{job_id}_001")
        await self.call("GET", JOBS)


def _document(exchange: Exchange) -> Any:
    try:
        return orjson.loads(exchange.content)
    except orjson.JSONDecodeError:
        return {}


async def of_jobs(told: Listener) -> None:
    """Jobs that are done, fail and are cancelled, read and streamed all the way."""
    failing = await told.submit(headers={"x-mock-scenario": "scene-fails"})
    stopped, job = await told.submit(), await told.submit()
    streams = [told.server.begin("GET", f"{JOBS}/{each}/progress") for each in (failing, stopped, job)]
    await told.server.quiet()
    for step in range(24):
        if step == 5:
            await told.call("POST", f"{JOBS}/{stopped}/cancel")
        await told.look(job)
        if step % 2:
            await told.look(failing)
            await told.look(stopped)
        await told.advance(0.5)
    for each in (failing, stopped, job):
        await told.look(each)
        await told.call("GET", f"{JOBS}/{each}/progress")
        await told.call("GET", f"{JOBS}/{each}/progress", headers={"last-event-id": "2"})
    silent = told.server.begin("GET", f"{JOBS}/{await told.submit(headers={'x-mock-scenario': 'long-queue'})}/progress")
    await told.server.quiet()
    await told.advance(40)
    for exchange in (*streams, silent):
        told.write(exchange)


async def of_lists(told: Listener) -> None:
    """Pages, filters and bad parameters, with jobs in several statuses."""
    await told.submit(key=OTHER_KEY)
    await told.patch(plan="enterprise")
    jobs = []
    for number in range(6):
        jobs.append(await told.submit(body={**MOVIE, "projectId": f"proj_{number}"}))
        await told.advance(0.3)
    await told.call("POST", f"{JOBS}/{jobs[1]}/cancel")
    await told.call("POST", f"{JOBS}/{jobs[2]}/cancel")
    await told.call("DELETE", f"{JOBS}/{jobs[2]}")
    cursor = ""
    for _ in range(6):
        page = _document(await told.call("GET", f"{JOBS}?limit=2{cursor}"))
        if not isinstance(page, dict) or not page.get("nextCursor"):
            break
        cursor = f"&cursor={page['nextCursor']}"
        await told.submit()
    await told.advance(12)
    for query in (
        "",
        "limit=100",
        "limit=3",
        "limit=51",
        "status=done",
        "status=cancelled",
        "type=render",
        "type=other",
    ):
        await told.call("GET", f"{JOBS}?{query}")
    for query in ("limit=0", "limit=101", "limit=x", "status=x", "cursor=x", "cursor=abcdefghijklmnop"):
        await told.call("GET", f"{JOBS}?{query}")
    for _ in range(22):
        await told.submit(key=OTHER_KEY, headers={"x-mock-scenario": "enterprise"})
    await told.call("GET", JOBS, key=OTHER_KEY)
    await told.call("GET", JOBS, key="vs_prod_" + "d0" * 16)


BAD_MOVIES: tuple[dict[str, Any], ...] = (
    *({"width": width} for width in (359, 360, 3841, "500")),
    *({"height": height} for height in (359, 2161)),
    *({"fps": fps} for fps in (0, 60, 61, "30")),
    {"title": None},
    {"surprise": 1},
    {"scenes": []},
    {"scenes": {"id": "one", "duration": 1}},
    *(
        {"scenes": [scene]}
        for scene in (
            {"id": "one", "duration": 0},
            {"id": "one", "duration": -1},
            {"id": "one", "duration": "1"},
            {"id": "one"},
            {"duration": 1},
            {"id": 7, "duration": 1},
            {"id": "one", "duration": 1, "bgColor": "red"},
            {"id": "one", "duration": 1, "layers": [{"type": "hologram"}]},
        )
    ),
    {"scenes": [SCENES[0], SCENES[0]]},
)
BAD_BODIES: tuple[object, ...] = (
    *({**MOVIE, "movie": {**MOVIE["movie"], **part}} for part in BAD_MOVIES),
    *(
        {**MOVIE, "renderOptions": part}
        for part in (
            {"qualityPreset": "ultra"},
            {"qualityPreset": "turbo"},
            {"requestedConcurrency": 0},
            {"requestedConcurrency": 33},
        )
    ),
    *({**MOVIE, "callbackUrl": url} for url in ("ftp://studio.example/x", "nothing")),
    {**MOVIE, "kind": "song"},
    {**MOVIE, "projectId": ""},
    {**MOVIE, "projectId": 5},
    {**MOVIE, "projectId": "\0"},
    *({name: value for name, value in MOVIE.items() if name != left_out} for left_out in MOVIE),
    [],
    b"{",
    b"x" * (1024 * 1024 + 1),
    {**MOVIE, "movie": {"scenes": SCENES, "note": "n" * 2000}},
)


async def of_submissions(told: Listener) -> None:
    """Everything that a submission can be, good and bad."""
    await told.patch(plan="enterprise")
    first = await told.submit()
    again = await told.submit()
    for each in (first, again):
        await told.call("GET", f"{JOBS}/{each}")
    for body in BAD_BODIES:
        await told.submit(body=body)
    await told.submit(headers={"content-type": "text/plain"})
    await told.call("GET", f"{JOBS}?limit=100")
    await told.advance(5)
    await told.call("GET", f"{JOBS}/{first}")


async def of_errors(told: Listener) -> None:
    """A refusal of each kind, and odd input."""
    job = await told.submit()
    for body in (b"{", [], {}, {**MOVIE, "movie": {}}, {**MOVIE, "projectId": "\0"}, b"x" * (1024 * 1024 + 1)):
        await told.submit(body=body)
    for path in ("job_none", "%C3%A9", "a" * 200, "a\0b", "one/two/three"):
        await told.call("GET", f"{JOBS}/{path}")
    await told.call("GET", f"{JOBS}/é")
    for method, path in (
        ("PUT", JOBS),
        ("DELETE", f"{JOBS}/{job}"),
        ("GET", "/v1/nothing"),
        ("PATCH", f"{JOBS}/{job}"),
    ):
        await told.call(method, path)
    for path in ("/v1/me", "/v1/usage", f"{JOBS}?limit=x", f"{JOBS}?cursor=x", JOBS, f"{JOBS}/{job}"):
        await told.call("GET", path)
    await told.call("GET", "/v1/me", key="nonsense")


async def of_keys(told: Listener) -> None:
    """Each operation without a key, with a wrong one, as a bearer token, revoked, on plan Free, and of another."""
    job = await told.submit()
    for headers in ({"x-api-key": "nonsense"}, {}, {"authorization": f"Bearer {KEY}"}):
        for method, path, body in _operations(job):
            exchange = told.server.begin(method, path, body)
            lines = [line for line in exchange.scope["headers"] if line[0] != b"x-api-key"]
            exchange.scope["headers"] = lines + [(n.encode(), v.encode()) for n, v in headers.items()]
            await told.server.quiet(exchange)
            exchange.leave()
            await told.server.quiet()
            told.write(exchange)
    for account in ({"revoked": True}, {"revoked": False, "plan": "free"}, {"plan": "pro"}):
        await told.patch(**account)
        for method, path, body in _operations(job):
            await told.call(method, path, body)
    mine = await told.submit()
    for method, path, body in _operations(mine):
        await told.call(method, path, body, key=OTHER_KEY)
    await told.call("GET", f"{JOBS}/{mine}")
    await told.call("POST", f"{JOBS}/{mine}/cancel")
    await told.call("DELETE", f"{JOBS}/{mine}", key=OTHER_KEY)


def _operations(job: str) -> list[tuple[str, str, object]]:
    return [
        ("POST", SUBMIT, MOVIE),
        ("GET", JOBS, None),
        ("GET", f"{JOBS}/{job}", None),
        ("GET", f"{JOBS}/{job}/progress", None),
        ("POST", f"{JOBS}/{job}/cancel", None),
        ("DELETE", f"{JOBS}/{job}", None),
        ("GET", "/v1/me", None),
        ("GET", "/v1/usage", None),
    ]


async def of_rates(told: Listener) -> None:
    """The limit to the call, the wait, streams and refusals."""
    job = await told.submit()
    stream = told.server.begin("GET", f"{JOBS}/{job}/progress")
    await told.server.quiet()
    await told.advance(20)
    told.write(stream)
    await told.advance(59)
    for number in range(190):
        await told.call("GET", ("/v1/me", f"{JOBS}/{job}", f"{JOBS}/none", f"{JOBS}/{job}/progress")[number % 4])
        if number == 60:
            await told.advance(5.5)
    await told.call("GET", "/v1/me", key=OTHER_KEY)
    await told.call("GET", JOBS)
    authorized = {"authorization": f"Bearer {KEY}"}
    exchange = told.server.begin("GET", "/v1/me", headers=authorized)
    exchange.scope["headers"] = [line for line in exchange.scope["headers"] if line[0] != b"x-api-key"]
    await told.server.quiet(exchange)
    told.write(exchange)
    for seconds in (54, 0.5, 1, 10):
        await told.advance(seconds)
        await told.call("GET", "/v1/me")


async def of_money(told: Listener) -> None:
    """Usage before and after jobs that end in each way, and each ceiling."""
    await told.call("GET", "/v1/usage")
    failing = await told.submit(headers={"x-mock-scenario": "scene-fails"})
    job, stopped = await told.submit(), await told.submit()
    for _ in range(2):
        await told.submit()
        await told.call("GET", "/v1/usage")
    await told.call("POST", f"{JOBS}/{stopped}/cancel")
    await told.submit()
    await told.advance(20)
    for each in (failing, job, stopped):
        await told.call("GET", f"{JOBS}/{each}")
    await told.call("GET", "/v1/usage")
    await told.call("GET", "/v1/me")
    for plan in ("pro", "business", "enterprise"):
        await told.patch(plan=plan, minutesUsed=0)
        for seconds, width in ((599.5, 1920), (600.5, 1280), (601, 1280), (30, 1921), (30, 3840)):
            movie = {"scenes": [{"id": "one", "duration": seconds}], "width": width}
            refused = await told.submit(body={**MOVIE, "movie": movie})
            await told.call("POST", f"{JOBS}/{refused}/cancel")
            await told.advance(6)
        for minutes in (30, 120, 250, 650):
            await told.patch(plan=plan, minutesUsed=minutes, minutesUsedToday=minutes)
            await told.submit()
            await told.call("GET", "/v1/usage")
            await told.advance(20)


async def of_endings(told: Listener) -> None:
    """Cancelling and deleting, in each status and twice."""
    queued, running, other, done = await told.submit(), await told.submit(), await told.submit(), ""
    await told.call("POST", f"{JOBS}/{queued}/cancel")
    await told.advance(2.5)
    await told.call("DELETE", f"{JOBS}/{running}")
    for _ in range(2):
        await told.call("POST", f"{JOBS}/{running}/cancel")
    await told.look(running)
    await told.advance(20)
    done = await told.submit()
    await told.advance(20)
    for each in (other, done):
        await told.look(each)
        await told.call("POST", f"{JOBS}/{each}/cancel")
    await told.call("POST", f"{JOBS}/none/cancel")
    for each in (done, running, queued):
        await told.look(each)
        for _ in range(2):
            await told.call("DELETE", f"{JOBS}/{each}")
            await told.call("GET", f"{JOBS}/{each}")
            await told.call("GET", f"{JOBS}/{each}/progress")
        await told.look(other)


async def of_webhooks(told: Listener) -> None:
    """The webhooks of jobs that end in each way; the receiver refuses one of progress and one terminal."""
    told.server.receiver.replies.extend([503])
    body = {**MOVIE, "callbackUrl": CALLBACK}
    await told.submit(body=body)
    await told.submit(body=body, headers={"x-mock-scenario": "scene-fails"})
    stopped = await told.submit(body=body)
    await told.advance(3)
    await told.call("POST", f"{JOBS}/{stopped}/cancel")
    await told.advance(7)
    told.server.receiver.replies.extend([503, 503])
    await told.advance(60)


Story = Callable[[Listener], Awaitable[None]]

STORIES: dict[str, Story] = {
    "job life": of_jobs,
    "job fields": of_jobs,
    "streams": of_jobs,
    "submissions": of_submissions,
    "validation": of_submissions,
    "lists": of_lists,
    "keys": of_keys,
    "rate limit": of_rates,
    "charges": of_money,
    "usage": of_money,
    "ceilings": of_money,
    "cancel": of_endings,
    "delete": of_endings,
    "webhooks": of_webhooks,
    "errors": of_errors,
}


async def told(
    story: Story, mutant: Mutant | None, folder: Path, wrap: Callable[[App, Mutant | None], App] = mutated
) -> list[Any]:
    """Tell a story to a mutant, or to the mock, and return all that was heard, webhooks at the end."""
    server = InProcess(is_rate_limited=story is of_rates)
    settings = mutated_settings(mutant, Settings(), folder)
    if settings.spec != Settings().spec:
        server.mock.files = read_files(settings)
    server.app = wrap(server.app, mutant)
    listener = Listener(server)
    async with server:
        await story(listener)
    assert server.bugs == []
    sent = [(each.url, each.headers, each.body, status) for each, status in server.receiver.got]
    return [*listener.heard, *sent]
