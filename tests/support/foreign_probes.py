"""Looks at a server from outside, each a function that returns what was seen: the same again for the same behaviour."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import aiohttp
from tests.support.foreign_api import ACCOUNTS, CATALOGUE, VARIANTS, Readings, RunningServer, Settings, clock

Seen = dict[str, Any]
ENDED = {"done", "failed", "cancelled"}
WORDS = {
    *("queued", "running", "waiting", "done", "failed", "cancelled", "None"),
    *("planning", "dispatching", "waiting", "rendering", "assembling", "uploading"),
}
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT")


def quick(variant: str, **changes: Any) -> Readings:
    """The readings of a variant with its long waits made short."""
    readings = VARIANTS[variant]
    waits = {name: min(getattr(readings, name), 0.1) for name in ("cancel_delay", "charge_delay", "delete_lingers")}
    return replace(readings, **waits, sse_close_delay=0.0, **changes)


def movie(scenes: int = 4, **changes: Any) -> dict[str, Any]:
    """The body of a submit with that many scenes of two seconds."""
    return {
        "kind": "movie",
        "projectId": "proj_demo01",
        "movie": {"scenes": [{"id": f"s{number}", "duration": 2} for number in range(scenes, 0, -1)]},
        **changes,
    }


def slow_movie() -> dict[str, Any]:
    """A movie whose twelve scenes render one after the other."""
    return movie(12, renderOptions={"requestedConcurrency": 1})


def broken_movie() -> dict[str, Any]:
    """A movie of four scenes, the second of which has an asset that cannot be downloaded."""
    body = movie(4)
    body["movie"]["scenes"][1]["layers"] = [{"type": "image", "src": "https://assets.invalid/cat.png"}]
    return body


class Receiver:
    """A webhook receiver on a loopback address; `calls` are method, headers and text in order of arrival."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, str], str]] = []
        self.statuses: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def _receive(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.calls.append((self.command, headers, self.rfile.read(size).decode()))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_POST = do_PUT = do_GET = _receive  # noqa: N815 - the names that http.server calls

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def bodies(self) -> list[Any]:
        """The bodies as JSON; as text where they are none."""
        return [_parsed(text) for _, _, text in self.calls]


@contextlib.contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver for as long as the block lasts."""
    receiver = Receiver()
    try:
        yield receiver
    finally:
        receiver.close()


@dataclass
class Lab:
    """A client of one running server."""

    http: aiohttp.ClientSession

    async def text(self, method: str, path: str, account: str, **rest: Any) -> tuple[int, str, str | None]:
        """Status, body and `Retry-After` of a reply; aiohttp.ClientError when there is none."""
        headers = {**({"x-api-key": ACCOUNTS[account].key} if account else {}), **rest.pop("headers", {})}
        async with self.http.request(method, path, headers=headers, **rest) as reply:
            return reply.status, await reply.text(), reply.headers.get("Retry-After")

    async def call(self, method: str, path: str, account: str = "pro", **rest: Any) -> list[Any]:
        """Status, masked body and `Retry-After` of a reply; `dropped` when there is none."""
        try:
            status, text, wait = await self.text(method, path, account, **rest)
        except (aiohttp.ClientError, TimeoutError) as error:
            return ["dropped", type(error).__name__]
        return [status, masked(_parsed(text)), wait]

    async def submit(self, body: Any, account: str = "pro_empty") -> str:
        """The id of a new job; empty when there is none."""
        reply = (await self.call("POST", "/v1/render/jobs", account, json=body))[1]
        reply = reply.get("data", reply) if isinstance(reply, dict) else {}
        return str(reply.get("jobId") or "")

    async def until(
        self, job_id: str, statuses: set[str], account: str = "pro_empty", within: float = 2.5, every: float = 0.02
    ) -> Any:
        """The job once it has one of the statuses; as it is after that time."""
        end, document = clock.monotonic() + within, None
        while clock.monotonic() < end:
            reply = await self.call("GET", f"/v1/jobs/{job_id}", account)
            document = reply[1]
            if isinstance(document, dict) and document.get("status") in statuses:
                break
            await clock.pause(every)
        return document

    async def stream(self, job_id: str, account: str = "pro_empty") -> Seen:
        """What a stream of the job showed until its end."""
        texts: list[str] = []
        kind: Any = None
        rest: Any = {"headers": {"x-api-key": ACCOUNTS[account].key}, "timeout": aiohttp.ClientTimeout(sock_read=2.5)}
        try:
            async with self.http.get(f"/v1/jobs/{job_id}/progress", **rest) as reply:
                kind = [reply.status, reply.headers.get("Content-Type")]
                texts += [chunk.decode() async for chunk in reply.content.iter_any()]
        except (aiohttp.ClientError, TimeoutError) as error:
            kind = [kind, type(error).__name__]
        return {"kind": kind, "live": len(texts) > 2, **_events_seen("".join(texts), job_id)}

    async def most_running(self, job_id: str, account: str) -> int:
        """The most children of a job that a stream showed running at once."""
        _, text, _ = await self.text("GET", f"/v1/jobs/{job_id}/progress", account)
        return max((_running(body) for body in events_of(text) if isinstance(body, dict)), default=0)


def _events_seen(text: str, job_id: str) -> Seen:
    events = events_of(text)
    bodies = [event for event in events if isinstance(event, dict)]
    values = [body.get("progress") for body in bodies]
    numbers = [value for value in values if isinstance(value, int | float)]
    return {
        "blocks": len(events) > 2,
        "jobs": {str(body.get("jobId")) == job_id for body in bodies},
        "strange": _strange(bodies),
        "lacking": sorted({name for body in bodies for name in ("status", "progress", "children") if name not in body}),
        "rises": numbers == sorted(numbers) and len(numbers) == len(values),
        "range": [bool(numbers) and max(numbers) > 1, any(number < 0 for number in numbers)],
        "end": masked(events[-1] if events else None, job_id),
    }


def _strange(bodies: list[Any]) -> list[str]:
    """Phases and statuses that are not documented, and values that come too early."""
    words = {(name, str(body.get(name))) for body in bodies for name in ("phase", "status")}
    early = {str(body.get("outputUrl")) for body in bodies if body.get("status") in {"running", "waiting"}}
    return sorted({f"{name} {word}" for name, word in words if word not in WORDS} | (early - {"None"}))


def _running(body: Any) -> int:
    children = body.get("children")
    running = children.get("running") if isinstance(children, dict) else 0
    return running if isinstance(running, int) else -1


def events_of(text: str) -> list[Any]:
    """The data of the events in a stream, as JSON where they are JSON."""
    blocks = [[line[6:] for line in block.splitlines() if line.startswith("data: ")] for block in text.split("\n\n")]
    return [_parsed("\n".join(lines)) for lines in blocks if lines]


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def masked(value: Any, job_id: str = "") -> Any:
    """The value without what differs between two equal runs."""
    if isinstance(value, dict):
        return {name: masked(each, job_id) for name, each in value.items() if name != "requestId"}
    if isinstance(value, list):
        return [masked(each, job_id) for each in value]
    if isinstance(value, str) and _TIME.match(value):
        return "<time>"
    return value.replace(job_id, "<id>") if isinstance(value, str) and job_id else value


# the probes

Probe = Callable[[Lab], Awaitable[Seen]]

_EDGES: dict[str, list[Any]] = {
    "$.movie.width": [None, 359, 360, 1280.5, 3840, 3841, 9000, "1920"],
    "$.movie.height": [None, 359, 360, 2160, 2161, 9000, "1080"],
    "$.movie.fps": [None, 0, 1, 29.97, 60, 61, 500, "30"],
    "$.movie.title": [None, 5],
    "$.movie.id": [None, 5],
    "$.renderOptions.requestedConcurrency": [None, 0, 1, 2.5, 32, 33, 99, "3"],
    "$.renderOptions.qualityPreset": [None, *("stable", "balanced", "fast", "turbo", "TURBO", "ultra", "", 3)],
    "$.kind": ["movie", "Movie", "audio", None],
    "$.projectId": ["proj_demo01", 5, None],
    "$.callbackUrl": [None, 5],
    "$.renderOptions": [None, "turbo"],
    "$.movie": [None, []],
    "$": [[]],
    "$.movie.scenes": [None, [], {}, *([{"id": f"s{n}", "duration": 1} for n in range(size)] for size in (1, 2, 11))],
    "$.movie.scenes[].id": ["ab", "aa", "aba", [5, 6], [None, "a"]],
    "$.movie.scenes[].layers[].type": ["video", "image", "audio", "text", "TEXT", "shape", 5],
}


def _body_with(place: str, value: Any) -> Any:
    body = movie(1)
    if place == "$":
        return value
    if place == "$.movie.scenes[].id":
        body["movie"]["scenes"] = [{"duration": 1, **({} if each is None else {"id": each})} for each in value]
    elif place == "$.movie.scenes[].layers[].type":
        body["movie"]["scenes"][0]["layers"] = [{"type": value}]
    else:
        *parents, name = place.split(".")[1:]
        target = body
        for parent in parents:
            target = target.setdefault(parent, {})
        target.pop(name, None)
        if value is not None:
            target[name] = value
    return body


@functools.cache
def of_field(place: str) -> Callable[[Lab], Awaitable[Seen]]:
    """A probe for the rule of one field: its edges from both sides."""

    async def probe(lab: Lab) -> Seen:
        seen = {}
        for value in _EDGES[place]:
            reply = await lab.call("POST", "/v1/render/jobs", "enterprise", json=_body_with(place, value))
            seen[repr(value)] = reply[0]
        return seen

    return probe


async def keys(lab: Lab) -> Seen:
    """Who is let in, and what each account is told about itself."""
    bearer = {"Authorization": f"Bearer {ACCOUNTS['pro'].key}"}
    calls: list[Any] = [("GET", "/v1/me", "", {"headers": bearer})]
    calls += [("GET", path, "") for path in ("/v1/me", "/v1/usage", "/v1/jobs", "/v1/jobs/x/progress")]
    calls += [("POST", "/v1/jobs/x/cancel", "", {"headers": bearer})]
    calls += [("GET", "/v1/me", "", {"headers": {"x-api-key": key}}) for key in ("vs_prod_nobody", "abc")]
    calls += [("GET", "/v1/me", account) for account in ("pro", "pro_revoked", "free")]
    calls += [("GET", "/v1/usage", account) for account in ("pro", "enterprise")]
    return await _all_of(lab, calls)


async def errors(lab: Lab) -> Seen:
    """What is answered to requests that make no sense."""
    calls: list[Any] = [("GET", "/v1/nothing", "pro"), ("GET", "/v1/jobs?limit=abc", "pro"), ("GET", "/v1/me", "pro")]
    calls += [("GET", "/v1/jobs/x", "pro"), ("POST", "/v1/jobs/x/cancel", "pro"), ("DELETE", "/v1/jobs/x", "pro")]
    calls += [("GET", "/v1/jobs/x/progress", "pro"), ("POST", "/v1/render/jobs", "pro", {"json": {"kind": 1}})]
    json_type = {"Content-Type": "application/json"}
    calls += [("GET", "/v1/usage", "pro"), ("POST", "/v1/render/jobs", "pro", {"data": "{", "headers": json_type})]
    return await _all_of(lab, calls)


async def _all_of(lab: Lab, calls: list[Any]) -> Seen:
    return {str(at): await lab.call(*call[:3], **(call[3] if call[3:] else {})) for at, call in enumerate(calls)}


async def listed(lab: Lab) -> Seen:
    """The list of old jobs, page by page, with and without a filter."""
    seen: Seen = {}
    for query in (
        "",
        "?limit=1",
        "?limit=100",
        "?type=agent.chat",
        "?type=publish.tiktok&limit=5",
        "?type=render.movie",
    ):
        seen[query] = await lab.call("GET", f"/v1/jobs{query}", "pro_archive")
    for name, query in (("few", "limit=2"), ("filtered", "limit=12&type=agent.chat")):
        account = "pro" if name == "few" else "pro_archive"
        cursor: Any = ""
        seen[name] = []
        for _ in range(9):
            reply = await lab.call("GET", f"/v1/jobs?{query}", account, params=_with_cursor(query, cursor))
            page = reply[1] if isinstance(reply[1], dict) else {}
            ids = next((value for value in page.values() if isinstance(value, list)), [])
            seen[name].append([reply[0], [each.get("jobId") if isinstance(each, dict) else each for each in ids]])
            cursor = page.get("nextCursor")
            if not cursor:
                break
    seen["empty"] = await lab.call("GET", "/v1/jobs", "pro_empty")
    return seen


def _with_cursor(query: str, cursor: Any) -> dict[str, str]:
    pairs = dict(pair.split("=") for pair in query.split("&"))
    return {**pairs, **({"cursor": str(cursor)} if cursor else {})}


async def still(lab: Lab) -> Seen:
    """Jobs that do not move: old ones of every kind, and renders that take an hour."""
    seen = {query: await lab.call("GET", f"/v1/jobs{query}", "pro_archive") for query in ("?limit=100",)}
    seen["full"] = await lab.call("GET", "/v1/jobs", "pro_full")
    jobs = next((each for each in seen["full"][1].values() if isinstance(each, list)), []) if seen["full"][1] else []
    for job in jobs[:1]:
        for path in (f"{job['jobId']}", f"scene_{job['jobId']}_001", f"assemble_{job['jobId']}"):
            seen[path] = await lab.call("GET", f"/v1/jobs/{path}", "pro_full")
    return seen


async def life(lab: Lab) -> Seen:
    """A job from submit to a moment after its end, its stream, its children, its charge."""
    seen: Seen = {"before": await lab.call("GET", "/v1/usage", "pro_empty")}
    started = clock.monotonic()
    try:
        body = movie(4, renderOptions={"qualityPreset": "fast"})
        status, text, _ = await lab.text("POST", "/v1/render/jobs", "pro_empty", json=body)
        job_id = await _job_id(lab, text)
        seen["submitted"] = [status, masked(_parsed(text), job_id)]
    except (aiohttp.ClientError, TimeoutError) as error:
        return {"submitted": type(error).__name__}
    seen["at once"] = [clock.monotonic() - started < 0.2, (await lab.call("GET", f"/v1/jobs/{job_id}", "pro_empty"))[0]]
    seen["during"] = await lab.call("GET", "/v1/usage", "pro_empty")
    seen["stream"] = await lab.stream(job_id)
    seen["end"] = masked(await lab.until(job_id, {"done"}, within=0.3), job_id)
    children = [f"scene_{job_id}_001", f"assemble_{job_id}"]
    seen["children"] = [masked(await lab.call("GET", f"/v1/jobs/{child}", "pro_empty"), job_id) for child in children]
    seen["assembles"] = masked(await lab.call("GET", "/v1/jobs?type=render.assemble", "pro_empty"), job_id)
    await clock.pause(0.35)
    seen["later"] = masked(await lab.call("GET", f"/v1/jobs/{job_id}", "pro_empty"), job_id)
    seen["after"] = await lab.call("GET", "/v1/usage", "pro_empty")
    seen["three more"] = await _three_more(lab)
    seen["cancelled"] = [(await lab.call("POST", f"/v1/jobs/{job_id}/cancel", "pro_empty"))[0]]
    seen["unchanged"] = masked(await lab.call("GET", f"/v1/jobs/{job_id}", "pro_empty"), job_id)
    return seen


async def _job_id(lab: Lab, submitted: str) -> str:
    """The id of a submitted job as the list shows it, whatever the reply to the submit says."""
    _, listed_now, _ = await lab.text("GET", "/v1/jobs", "pro_empty")
    told = re.findall(r'"jobId": "([^"]+)"', submitted)
    found = [*re.findall(r'"jobId": "([^"]+)"', listed_now), *told]
    parents = [each for each in found if not each.startswith(("scene_", "assemble_"))]
    return str(([each for each in told if each in parents] or parents or ["none"])[0])


async def _three_more(lab: Lab) -> list[Any]:
    """The statuses of three submits, the last when the others already run."""
    jobs = [await lab.submit(slow_movie()) for _ in range(2)]
    for job_id in filter(None, jobs):
        await lab.until(job_id, {"running", "waiting"}, within=0.5)
    return [*map(bool, jobs), (await lab.call("POST", "/v1/render/jobs", "pro_empty", json=movie()))[0]]


async def failing(lab: Lab) -> Seen:
    """A job of which one scene fails, until a moment after its end."""
    job_id = await lab.submit(broken_movie())
    seen: Seen = {
        "stream": await lab.stream(job_id),
        "end": masked(await lab.until(job_id, {"failed"}, within=0.3), job_id),
    }
    await clock.pause(0.2)
    seen["later"] = masked(await lab.call("GET", f"/v1/jobs/{job_id}", "pro_empty"), job_id)
    seen["usage"] = await lab.call("GET", "/v1/usage", "pro_empty")
    seen["three more"] = await _three_more(lab)
    seen["stream of another"] = (await lab.stream("job_nothing"))["kind"]
    return seen


async def cancelling(lab: Lab) -> Seen:
    """A job cancelled while it runs, and deletes of ended and of running jobs."""
    seen: Seen = {"delete of running": [], "deleted": []}
    job_id = await lab.submit(slow_movie())
    await lab.until(job_id, {"running", "waiting"}, within=0.5)
    stream = asyncio.create_task(lab.stream(job_id))
    await clock.pause(0.02)
    seen["delete of running"] = masked(await lab.call("DELETE", f"/v1/jobs/{job_id}", "pro_empty"), job_id)[:1]
    seen["cancel"] = (await lab.call("POST", f"/v1/jobs/{job_id}/cancel", "pro_empty"))[0]
    seen["end"] = (await lab.until(job_id, ENDED, within=0.5) or {"status": None}).get("status", "missing")
    document = (await lab.call("GET", f"/v1/jobs/{job_id}", "pro_empty"))[1] or {}
    seen["document"] = {
        name: masked(document.get(name), job_id) for name in ("outputUrl", "error", "phase", "parentJobId")
    }
    await clock.pause(0.2)
    later = (await lab.call("GET", f"/v1/jobs/{job_id}", "pro_empty"))[1] or {}
    seen["later"] = [later.get("status"), later.get("outputUrl")]
    seen["usage"] = await lab.call("GET", "/v1/usage", "pro_empty")
    seen["again"] = (await lab.call("POST", f"/v1/jobs/{job_id}/cancel", "pro_empty"))[0]
    streamed = await stream
    seen["stream"] = [
        streamed["kind"],
        (streamed["end"] or {}).get("status") if isinstance(streamed["end"], dict) else 0,
    ]
    seen["three more"] = await _three_more(lab)
    return {**seen, **await _deleting(lab)}


async def _deleting(lab: Lab) -> Seen:
    """Deletes of the ended jobs of the ordinary account, the newest first."""
    seen: Seen = {}
    page = (await lab.call("GET", "/v1/jobs", "pro"))[1]
    jobs = next((value for value in page.values() if isinstance(value, list)), []) if isinstance(page, dict) else []
    for job in [each for each in jobs if isinstance(each, dict) and not each.get("parentJobId")][:3]:
        path = f"/v1/jobs/{job.get('jobId')}"
        seen[path] = [(await lab.call(method, path, "pro"))[0] for method in ("DELETE", "GET")]
    await clock.pause(0.12)
    seen["left"] = await lab.call("GET", "/v1/jobs", "pro")
    return seen


async def workers(lab: Lab) -> Seen:
    """How many scenes run at once, by preset and by asked concurrency."""
    options: list[Any] = [None, *({"qualityPreset": name} for name in ("stable", "fast", "turbo"))]
    options += [{"requestedConcurrency": count, "qualityPreset": "stable"} for count in (5, 32)]

    async def one(option: Any) -> list[Any]:
        body = movie(7, **({"renderOptions": option} if option else {}))
        job_id = await lab.submit(body, "enterprise")
        return [await lab.most_running(job_id, "enterprise")]

    results = await asyncio.gather(*(one(option) for option in options))
    return {repr(option): result for option, result in zip(options, results, strict=True)}


async def sizes(lab: Lab) -> Seen:
    """Quotas, plan limits, and accounts with as many jobs as they may have."""
    seen: Seen = {}
    for account in ("pro_spent", "free_spent_today", "pro_full", "business_full"):
        seen[account] = (await lab.call("POST", "/v1/render/jobs", account, json=movie()))[:2]
    for seconds in (250, 600, 600.5, 601, 700):
        body = movie(1)
        body["movie"]["scenes"][0]["duration"] = seconds
        seen[f"{seconds} s"] = (await lab.call("POST", "/v1/render/jobs", "pro_archive", json=body))[0]
    for width, height in ((1920, 1080), (2560, 1440), (3840, 2160)):
        for account in ("pro_busy", "business", "enterprise"):
            body = movie(1)
            body["movie"] |= {"width": width, "height": height}
            seen[f"{width} {account}"] = (await lab.call("POST", "/v1/render/jobs", account, json=body))[0]
    return seen


async def slots(lab: Lab) -> Seen:
    """How many jobs an account may have at once."""
    seen: Seen = {}
    jobs = [await lab.submit(movie()) for _ in range(3)]
    for job_id in filter(None, jobs):
        await lab.until(job_id, {"running", "waiting"}, within=1, every=0.1)
    seen["fourth"] = (await lab.call("POST", "/v1/render/jobs", "pro_empty", json=movie()))[0]
    jobs += [await lab.submit(movie(), "enterprise") for _ in range(5)]
    await lab.until(jobs[-1], {"running", "waiting"}, "enterprise", within=1, every=0.1)
    seen["sixth"] = (await lab.call("POST", "/v1/render/jobs", "enterprise", json=movie()))[0]
    seen["jobs"] = [bool(job_id) for job_id in jobs]
    return seen


async def rates(lab: Lab) -> Seen:
    """The rate limit of six requests in two seconds, over a little more than a window."""
    return dict(
        zip(("paced", "burst", "mixed"), await asyncio.gather(_paced(lab), _burst(lab), _mixed(lab)), strict=True)
    )


async def _paced(lab: Lab) -> list[Any]:
    first = [(await lab.call("GET", "/v1/me", "pro_empty"))[0]]
    await clock.pause(1.0)
    first += [(await lab.call("GET", "/v1/me", "pro_empty"))[0] for _ in range(5)]
    refused = await lab.call("GET", "/v1/me", "pro_empty")
    await clock.pause(float(refused[2]) if str(refused[2]).isdigit() and int(refused[2]) < 4 else 1.0)
    return [*first, refused, *[(await lab.call("GET", "/v1/me", "pro_empty"))[0] for _ in range(2)]]


async def _burst(lab: Lab) -> list[Any]:
    calls = ("enterprise", "business")
    return [(await lab.call("GET", "/v1/me", account))[:3:2] for account in calls for _ in range(8)]


async def _mixed(lab: Lab) -> list[Any]:
    bearer = {"Authorization": f"Bearer {ACCOUNTS['pro_archive'].key}"}
    seen = [await lab.call("GET", "/v1/jobs/x/progress", "pro_archive"), await lab.call("GET", "/v1/me", "pro_archive")]
    seen += [await lab.call("GET", "/v1/usage", "", headers=bearer) for _ in range(2)]
    seen += [await lab.call("POST", "/v1/jobs/x/cancel", "pro_archive") for _ in range(2)]
    seen += [await lab.call("GET", "/v1/jobs/y", "pro_archive") for _ in range(2)]
    seen += [await lab.call("GET", "/v1/me", "", headers=bearer) for _ in range(2)]
    return [reply[0] for reply in seen]


async def stream_costs(lab: Lab) -> Seen:
    """How many requests of thirty are left after a stream with many events."""
    job_id = await lab.submit(movie(12))
    await lab.stream(job_id)
    replies = [(await lab.call("GET", "/v1/me", "pro_empty"))[0] for _ in range(30)]
    return {"left": replies.count(200)}


def webhooks_of(ending: str) -> Probe:
    """A probe for what a receiver gets for a job that ends so."""

    async def probe(lab: Lab) -> Seen:
        body = {"done": movie(4), "failed": broken_movie(), "cancelled": slow_movie()}[ending]
        with receiving() as receiver:
            job_id = await lab.submit({**body, "callbackUrl": receiver.url}, "enterprise")
            if ending == "cancelled":
                await lab.until(job_id, {"waiting", "running"}, "enterprise", within=0.5)
                await clock.pause(0.15)
                await lab.call("POST", f"/v1/jobs/{job_id}/cancel", "enterprise")
            await lab.until(job_id, ENDED, "enterprise", within=2, every=0.08)
            for _ in range(12):
                if any(isinstance(body, dict) and body.get("status") in ENDED for body in receiver.bodies()):
                    break
                await clock.pause(0.05)
            await clock.pause(0.12)
            return _deliveries(receiver, job_id)

    return probe


WEBHOOKS = {ending: webhooks_of(ending) for ending in sorted(ENDED)}


def _deliveries(receiver: Receiver, job_id: str) -> Seen:
    calls = [(method, headers, _parsed(text)) for method, headers, text in list(receiver.calls)]
    bodies = [body if isinstance(body, dict) else {"not an object": str(type(body))} for _, _, body in calls]
    is_last = [body.get("status") in ENDED for body in bodies]
    last = [body for body in bodies if body.get("status") in ENDED]
    live = [body for body in bodies if body.get("status") not in ENDED]
    rendering = sum(body.get("phase") == "rendering" for body in live)
    signed = {("x-render-signature" in headers, end) for (_, headers, _), end in zip(calls, is_last, strict=True)}
    lacking = {name for body in live for name in ("phase", "children", "progress", "timestamp") if name not in body}
    return {
        "methods": sorted({method for method, _, _ in calls}),
        "types": sorted({headers.get("content-type", "") for _, headers, _ in calls}),
        "signed": sorted(signed),
        "lacking": sorted(lacking),
        "strange": _strange(bodies),
        "jobs": {str(body.get("jobId")) == job_id for body in bodies},
        "ends": [masked(body, job_id) if name_is_done(body) else sorted(body) for body in last],
        "end is last": is_last[-1:],
        "live": bool(live),
        "high": any(isinstance(value, float) and value > 1 for value in (body.get("progress") for body in bodies)),
        "often": ["seldom", "some", "many"][(rendering > 1) + (rendering > 12)],
    }


def name_is_done(body: Seen) -> bool:
    """Whether a body tells of a job that ended well or failed, whose fields do not depend on the moment."""
    return body.get("status") in {"done", "failed"}


# running them

SETTINGS: dict[Any, dict[str, Any]] = {
    rates: {"rate_limit": (6, 1.9)},
    stream_costs: {"rate_limit": (32, 60.0), "render_scale": 0.02},
    sizes: {"render_scale": 1.0},
    slots: {"render_scale": 0.5},
    workers: {"render_scale": 0.08},
    **{probe: {"render_scale": 0.1} for probe in WEBHOOKS.values()},
}


@contextlib.asynccontextmanager
async def lab_of(probe: Probe, variant: str, breaches: frozenset[str]) -> AsyncIterator[Lab]:
    """A server for one probe."""
    changes: dict[str, Any] = {"webhook_interval": 0.1, "callback_urls": "http"} if probe in WEBHOOKS.values() else {}
    settings = Settings(
        variant=variant,
        breaches=breaches,
        readings=quick(variant, **changes),
        **{"rate_limit": (10_000, 60.0), "render_scale": 0.05, **SETTINGS.get(probe, {})},
    )
    async with (
        RunningServer(settings) as server,
        aiohttp.ClientSession(server.base_url, timeout=aiohttp.ClientTimeout(total=30)) as http,
    ):
        yield Lab(http)


async def look(probe: Probe, variant: str, breaches: frozenset[str] = frozenset()) -> dict[str, str]:
    """What a probe sees of a server: every value by its place."""
    async with lab_of(probe, variant, breaches) as lab:
        return dict(_leaves("", await probe(lab)))


def _leaves(place: str, value: Any) -> Iterator[tuple[str, str]]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if pairs is None:
        yield place, repr(value)
        return
    yield f"{place} size", str(len(value))
    for name, each in pairs:
        yield from _leaves(f"{place}.{name}", each)


_BY_SECTION: dict[str, tuple[Probe, ...]] = {
    "1": (errors, keys, listed, life),
    "2": (keys, errors, rates, life),
    "5": (still, life, failing, cancelling),
    "6": (listed,),
    "7": (errors, life, cancelling, stream_costs, rates),
    "8": (errors, keys, sizes, failing, cancelling, rates),
    "9": (sizes, slots, life, failing, cancelling),
    "11": tuple(WEBHOOKS.values()),
}


_BY_NAME: tuple[tuple[tuple[str, ...], tuple[Probe, ...]], ...] = (
    (("webhook",), tuple(WEBHOOKS[ending] for ending in ("done", "failed", "cancelled"))),
    (("stream", "cancel", "delete"), (errors, cancelling, life, stream_costs, rates)),
    (("rate", "retry"), (rates,)),
    (("pro-minutes", "enterprise-minutes"), (keys,)),
    (("charge", "media"), (life, failing, cancelling)),
    (("concurrency-limit", "concurrency-not", "concurrency-of"), (sizes, slots)),
    (("concurrency-keeps",), (life, failing, cancelling)),
    (("quota", "daily", "plan", "longest", "large"), (sizes,)),
)


def probes_for(name: str) -> tuple[Probe, ...]:
    """The probes that may show a breach, the quick ones first."""
    breach = CATALOGUE[name]
    if fields := breach.changes.get("fields"):
        place = next(iter(fields))
        return (listed,) if place.startswith("?") else (of_field(place),)
    if breach.section == "4":
        return (workers, life)
    return next((probes for starts, probes in _BY_NAME if name.startswith(starts)), _BY_SECTION[breach.section])


class Comparison:
    """Looks at honest and broken servers; the honest one is looked at twice, and what differs then does not count."""

    def __init__(self, variant: str = "", at_once: int = 40) -> None:
        self.variant = variant
        self.turns = asyncio.Semaphore(at_once)
        self.honest: dict[tuple[Probe, str], asyncio.Task[list[dict[str, str]]]] = {}

    async def difference(self, name: str) -> str:
        """The first difference that a breach makes, in the first of its variants; empty when none shows."""
        letter = self.variant or CATALOGUE[name].variants[0]
        for probe in probes_for(name):
            if (probe, letter) not in self.honest:
                self.honest[probe, letter] = asyncio.create_task(self._twice(probe, letter))
            broken = await self._seen(probe, letter, frozenset({name}))
            first, second = await self.honest[probe, letter]
            for place in sorted(first | broken):
                if first.get(place) == second.get(place) != broken.get(place):
                    return f"{place}: {first.get(place)} became {broken.get(place)}"
        return ""

    async def _twice(self, probe: Probe, letter: str) -> list[dict[str, str]]:
        return [await self._seen(probe, letter, frozenset()) for _ in range(2)]

    async def _seen(self, probe: Probe, letter: str, breaches: frozenset[str]) -> dict[str, str]:
        async with self.turns:
            return await look(probe, letter, breaches)


async def all_differences(names: Iterable[str], variant: str = "") -> dict[str, str]:
    """What each breach changes; many servers at a time, as most of them wait."""
    comparison, listed_names = Comparison(variant), list(names)
    found = await asyncio.gather(*map(comparison.difference, listed_names))
    differences = dict(zip(listed_names, found, strict=True))
    for name in [name for name, place in differences.items() if not place]:
        differences[name] = await Comparison(variant).difference(name)  # a busy machine blurs times: again, alone
    return differences
