"""The second server keeps every documented fact in each variant, and each of its breaches shows."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
import re
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from typing import Any

import httpx
import pytest
import tests.support.foreign_probes as probes
from tests.support.foreign_api import (
    ACCOUNTS,
    CATALOGUE,
    FACTS,
    VARIANTS,
    ForeignServer,
    Readings,
    Settings,
    Start,
    clock,
)
from tests.support.foreign_api.__main__ import facts_table, parse, settings_of
from tests.support.foreign_api.limits import Window
from tests.support.foreign_api.readings import reading_from_text
from tests.support.foreign_probes import ENDED, Receiver, broken_movie, movie, receiving, slow_movie

pytestmark = pytest.mark.slow  # a server in real time, once for each breach

NOT_SHOWN = {
    "D-1.5": "a permission",
    "D-2.2": "keys are given out elsewhere",
    "D-8.11": "no fault can be asked for",
    "D-8.12": "no fault can be asked for",
    "D-9.15": "takes a month's end",
    "D-11.3": "about the receiver",
}
SHOWN: set[str] = set()
OPEN: list[httpx.Client] = []
OWN = {name: Start(f"vs_prod_{name}", "pro") for name in ("failing", "cancel", "charge", "life", "child")}
NO_TLS = False  # there is none on a loopback address, and making a context for it is slow
PHASES = {"planning", "dispatching", "waiting", "rendering", "assembling", "uploading", None}
COUNTERS = {"total", "succeeded", "running", "queued", "failed"}


def shows(*facts: str) -> Callable[[Any], Any]:
    """Mark the facts that a test walks."""
    SHOWN.update(facts)
    return lambda test: test


class Api:
    """A plain client that knows the facts and no reading."""

    def __init__(self, url: str, account: str) -> None:
        headers = {"x-api-key": {**ACCOUNTS, **OWN}[account].key}
        self.http = httpx.Client(base_url=url, headers=headers, timeout=10, verify=NO_TLS)
        OPEN.append(self.http)

    def submit(self, body: Any = None) -> str:
        reply = self.http.post("/v1/render/jobs", json=movie() if body is None else body)
        assert reply.status_code == 202, reply.text
        return str(reply.json()["jobId"])

    def status(self, body: Any) -> int:
        return self.http.post("/v1/render/jobs", json=body).status_code

    def job(self, job_id: str) -> dict[str, Any]:
        reply = self.http.get(f"/v1/jobs/{job_id}")
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    def until(self, job_id: str, statuses: set[str]) -> dict[str, Any]:
        end = clock.monotonic() + 5
        while (job := self.job(job_id))["status"] not in statuses and clock.monotonic() < end:
            _pause(0.005)
        assert job["status"] in statuses
        return job

    def events(self, job_id: str) -> list[dict[str, Any]]:
        with self.http.stream("GET", f"/v1/jobs/{job_id}/progress") as reply:
            assert reply.headers["content-type"].startswith("text/event-stream")
            return probes.events_of(reply.read().decode())

    def page(self, **query: Any) -> tuple[list[dict[str, Any]], str | None]:
        reply = self.http.get("/v1/jobs", params=query)
        assert reply.status_code == 200, reply.text
        body = reply.json()
        return next(value for value in body.values() if isinstance(value, list)), body["nextCursor"]

    def used(self) -> float:
        return _used(self.http.get("/v1/usage").json())

    def used_is(self, minutes: float) -> bool:
        """Whether that many minutes are booked before long."""
        end = clock.monotonic() + 2
        while abs(self.used() - minutes) > 0.001 and clock.monotonic() < end:
            _pause(0.02)
        return abs(self.used() - minutes) <= 0.001


def _used(usage: dict[str, Any]) -> float:
    for name, value in usage.items():
        if isinstance(value, dict) and name != "daily":
            with_used = [each for key, each in value.items() if "used" in key.lower()]
            if with_used:
                return float(with_used[0])
        if "used" in name.lower():
            return float(value)
    raise AssertionError(usage)


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def _error(reply: httpx.Response, status: int, code: str = "") -> bool:
    body = reply.json()
    assert reply.status_code == status, reply.text
    assert isinstance(body["error"], str)
    assert body["error"]
    assert code in ("", body["code"])
    return isinstance(body["code"], str)


@pytest.fixture(autouse=True)
def _closed_clients() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


@pytest.fixture(scope="module", params="ABCD")
def variant(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def server(variant: str) -> Iterator[ForeignServer]:
    readings = probes.quick(variant, callback_urls="http", webhook_interval=0.2)
    settings = Settings(
        variant=variant,
        readings=readings,
        render_scale=0.02,
        rate_limit=(10_000, 60.0),
        webhook_retry_wait=0.02,
        start={**ACCOUNTS, **OWN},
    )
    with ForeignServer(settings) as running:
        yield running


@pytest.fixture
def api(server: ForeignServer) -> Api:
    return Api(server.base_url, "enterprise")


def _as(server: ForeignServer, account: str) -> Api:
    return Api(server.base_url, account)


# section 1 and 2


@shows("D-1.1", "D-1.3", "D-1.6", "D-1.13", "D-1.14", "D-2.6")
def test_success_is_bare_json(server: ForeignServer) -> None:
    me = _as(server, "pro").http.get("/v1/me")
    usage = _as(server, "pro").http.get("/v1/usage").json()
    assert me.status_code == 200
    assert me.json()["userId"].startswith("user_")
    assert me.json()["plan"].lower() == "pro"
    assert "@" in me.json()["email"]
    assert "200" in json.dumps(usage)
    assert _used(usage) >= 0


@shows("D-2.1", "D-2.3", "D-2.4", "D-2.5", "D-8.2", "D-8.6", "D-1.4")
def test_keys_are_checked(server: ForeignServer, variant: str) -> None:
    def me(**headers: str) -> httpx.Response:
        return httpx.get(f"{server.base_url}/v1/me", headers=headers, verify=NO_TLS)

    assert me(Authorization=f"Bearer {ACCOUNTS['pro'].key}").json() == me(**{"x-api-key": ACCOUNTS["pro"].key}).json()
    assert _error(me(), 401, "UNAUTHORIZED")
    assert _error(me(**{"x-api-key": "vs_prod_" + "x" * 32}), 401, "UNAUTHORIZED")
    shared = VARIANTS[variant].revoked_code == "shared"
    assert _error(
        me(**{"x-api-key": ACCOUNTS["pro_revoked"].key}), 401, "UNAUTHORIZED" if shared else "API_KEY_REVOKED"
    )
    if VARIANTS[variant].free_rest == "forbidden":
        assert _error(me(**{"x-api-key": ACCOUNTS["free"].key}), 403, "FORBIDDEN")


# section 3 and 4


@shows("D-3.1", "D-3.2", "D-3.3", "D-3.4", "D-3.5", "D-4.1", "D-4.2", "D-4.6", "D-8.1")
def test_bodies_are_validated(api: Api) -> None:
    good = movie(1)
    without_kind, without_project, without_movie = ({**good} for _ in range(3))
    del without_kind["kind"], without_project["projectId"], without_movie["movie"]
    for bad in (
        *(without_kind, without_project, without_movie, [], {**good, "kind": "Movie"}, {**good, "kind": None}),
        *({**good, "projectId": 5}, {**good, "movie": []}, {**good, "renderOptions": "turbo"}),
        *({**good, "callbackUrl": 5}, {**good, "movie": {"scenes": []}}, {**good, "movie": {"title": "x"}}),
        *({**good, "movie": {**good["movie"], name: 5}} for name in ("id", "title")),
    ):
        assert _error(api.http.post("/v1/render/jobs", json=bad), 400), bad
    json_type = {"Content-Type": "application/json"}
    assert _error(api.http.post("/v1/render/jobs", content="{nope", headers=json_type), 400)
    assert _error(api.http.get("/v1/jobs", params={"limit": "many"}), 400)
    full = {"renderOptions": {}, "callbackUrl": "https://example.com/hook"}
    assert api.status({**good, **full, "movie": {**good["movie"], "id": "m1", "title": "T"}}) == 202
    assert api.status(good) == 202


@shows("D-4.3", "D-4.4", "D-4.5")
@pytest.mark.parametrize(("name", "low", "high"), [("width", 360, 3840), ("height", 360, 2160), ("fps", 1, 60)])
def test_numbers_have_bounds(api: Api, name: str, low: int, high: int) -> None:
    def status(value: Any) -> int:
        body = movie(1)
        body["movie"][name] = value
        return api.status(body)

    assert [status(value) for value in (low, high, low + 0.5)] == [202, 202, 202]
    assert [status(value) for value in (low - 1, low - 0.01, high + 0.01, high + 1, str(low), True)] == [400] * 6


@shows("D-4.8", "D-4.9", "D-4.10", "D-4.13")
def test_scenes_layers_and_options_are_validated(api: Api) -> None:
    def status(scenes: Any = None, **options: Any) -> int:
        body = movie(1, **({"renderOptions": options} if options else {}))
        body["movie"]["scenes"] = scenes or body["movie"]["scenes"]
        return api.status(body)

    def scene(**rest: Any) -> dict[str, Any]:
        return {"id": "a", "duration": 1, **rest}

    layers = [{"type": each} for each in ("video", "image", "audio", "text")]
    presets = ("stable", "balanced", "fast", "turbo")
    assert [status([scene(layers=layers)]), *(status(qualityPreset=preset) for preset in presets)] == [202] * 5
    assert [status(requestedConcurrency=count) for count in (1, 32, 0, 33, 2.5, "4")] == [202, 202, 400, 400, 400, 400]
    bad = [[{"duration": 1}], [scene(id=5)], [scene(), scene()], [scene(), scene(id="b"), scene()]]
    bad += [[scene(layers=[{"type": each}])] for each in ("shape", "VIDEO", 5)]
    assert [status(scenes) for scenes in bad] == [400] * len(bad)
    assert [status(qualityPreset=preset) for preset in ("ultra", "TURBO", "", 3)] == [400] * 4


WORKERS: list[tuple[dict[str, Any], int, int]] = [
    ({"qualityPreset": "turbo"}, 12, 6),
    ({}, 7, 3),
    ({"qualityPreset": "stable"}, 4, 2),
    ({"qualityPreset": "fast"}, 5, 4),
    ({"requestedConcurrency": 5, "qualityPreset": "stable"}, 7, 5),
    ({"requestedConcurrency": 32}, 7, 7),
]
"""Render options, scenes, and how many of them then run at once."""


def _workers_walk(variant: str) -> list[list[dict[str, Any]]]:
    with ForeignServer(Settings(variant=variant, readings=probes.quick(variant), render_scale=0.12)) as running:
        apis = [_as(running, "enterprise") for _ in WORKERS]
        jobs = [api.submit(movie(row[1], renderOptions=row[0])) for api, row in zip(apis, WORKERS, strict=True)]
        with ThreadPoolExecutor(len(jobs)) as pool:
            return list(pool.map(lambda pair: pair[0].events(pair[1]), zip(apis, jobs, strict=True)))


@pytest.fixture(scope="module")
def worker_walks() -> dict[str, list[list[dict[str, Any]]]]:
    """The streams of the jobs of `WORKERS` in every variant, at the same time as they take long."""
    with ThreadPoolExecutor(4) as pool:
        return dict(zip("ABCD", pool.map(_workers_walk, "ABCD"), strict=True))


@shows("D-4.11", "D-4.14", "D-4.15", "D-4.12")
@pytest.mark.parametrize("letter", "ABCD")
def test_workers_and_rounds(worker_walks: dict[str, list[list[dict[str, Any]]]], letter: str) -> None:
    streams = worker_walks[letter]
    most = [max(event["children"]["running"] for event in events if "children" in event) for events in streams]
    assert most == [workers for _, _, workers in WORKERS]
    assert [sum(_starts(events)) for events in streams[:2]] == [2, 3]
    assert {event["mediaData"].get("width") for events in streams for event in events[-1:]} <= {None, 1920}


def _starts(events: list[dict[str, Any]]) -> list[bool]:
    """Where scenes begin to run after a moment in which none did."""
    running = [event["children"]["running"] for event in events if event.get("phase") == "rendering"]
    return [before == 0 and now > 0 for before, now in itertools.pairwise([0, *running])]


@shows("D-4.7")
def test_order_of_scenes_is_kept(api: Api) -> None:
    job = api.job(api.submit(movie(5)))
    scenes = job.get("payload", {"movie": movie(5)["movie"]})["movie"]["scenes"]
    assert [scene["id"] for scene in scenes] == ["s5", "s4", "s3", "s2", "s1"]
    assert job.get("payload", {"movie": {}})["movie"].get("title", "Untitled Movie") == "Untitled Movie"


# section 5


@shows(*(f"D-5.{number}" for number in (1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14)), "D-1.2", "D-1.7", "D-1.9")
@shows("D-1.10", "D-7.1", "D-9.13")
def test_life_of_a_job(server: ForeignServer) -> None:
    api = _as(server, "life")
    before = api.used()
    job_id = api.submit()
    seen = [api.job(job_id)]
    assert api.used() == before
    while seen[-1]["status"] not in ENDED:
        seen.append(api.job(job_id))
        _pause(0.002)
    end = seen[-1]
    assert {job["status"] for job in seen} <= {"queued", "running", "waiting", "done"}
    assert {job.get("phase") for job in seen} <= PHASES
    assert [job["progress"] for job in seen] == sorted(job["progress"] for job in seen)
    assert (end["status"], end["progress"], end.get("error")) == ("done", 1, None)
    assert end["outputUrl"].startswith("https://")
    assert {job.get("outputUrl") for job in seen[:-1]} <= {None, end["outputUrl"]}
    assert not any(job.get("outputUrl") for job in seen if job["status"] != "done")
    assert all(set(job["children"]) == COUNTERS for job in seen)
    assert all(job.get("parentJobId") is None for job in seen)
    _pause(0.1)
    assert {**api.job(job_id), "updatedAt": 0} == {**end, "updatedAt": 0}


@shows("D-1.10", "D-7.1")
def test_stream_tells_the_progress(api: Api) -> None:
    events = api.events(api.submit())
    progress = [event["progress"] for event in events]
    assert progress == sorted(progress)
    assert (events[-1]["status"], events[-1]["progress"]) == ("done", 1)
    assert {event["status"] for event in events} <= {"queued", "running", "waiting", "done"}


@shows("D-5.16", "D-5.17", "D-5.4")
def test_children_of_a_render(api: Api, variant: str) -> None:
    job_id = api.submit(movie(3))
    if VARIANTS[variant].child_ids == "opaque":
        jobs = [job for job in api.page(limit=100)[0] if job.get("parentJobId") == job_id]
    else:
        names = [*(f"scene_{job_id}_00{number}" for number in (1, 2, 3)), f"assemble_{job_id}"]
        jobs = [api.job(name) for name in names]
        assert api.http.get(f"/v1/jobs/scene_{job_id}_004").status_code == 404
    assert sorted(job["type"] for job in jobs) == ["render.assemble", *["render.scene"] * 3]
    assert {job["parentJobId"] for job in jobs} == {job_id}
    assert not any("children" in job for job in jobs)
    assemble = next(job["jobId"] for job in jobs if job["type"] == "render.assemble")
    api.until(job_id, {"done"})
    assert api.job(assemble)["status"] == "done"


@shows("D-5.18", "D-8.13", "D-9.14")
def test_one_failing_scene(server: ForeignServer) -> None:
    api = _as(server, "failing")
    used = api.used()
    job_id = api.submit(broken_movie())
    job = api.until(job_id, {"failed"})
    assert isinstance(job["error"], str)
    assert job["children"]["failed"] == 1
    assert job["children"]["succeeded"] >= 2
    assert job["progress"] < 1
    assert not job.get("outputUrl")
    assert api.used_is(used)


def test_a_cancelled_child_fails_its_parent(server: ForeignServer, variant: str) -> None:
    api = _as(server, "child")
    job_id = api.submit(movie(4, renderOptions={"requestedConcurrency": 1}))
    if VARIANTS[variant].child_ids == "sample":
        api.until(f"scene_{job_id}_002", {"running"})
        assert api.http.post(f"/v1/jobs/scene_{job_id}_002/cancel").is_success
        assert isinstance(api.until(job_id, {"failed"})["error"], str)
    else:
        api.until(job_id, {"done"})


@pytest.mark.parametrize("text", ['{"kind": 1e999}', "[" * 9000, '"\\ud800"', "NaN", "", "null", "\xff"])
def test_odd_bodies_are_400(api: Api, text: str) -> None:
    headers = {"Content-Type": "application/json"}
    assert _error(api.http.post("/v1/render/jobs", content=text.encode("latin-1"), headers=headers), 400)
    body = json.dumps({**movie(1), "projectId": "\ud800", "movie": {**movie(1)["movie"], "width": 10**400}})
    assert _error(api.http.post("/v1/render/jobs", content=body, headers=headers), 400)


@shows("D-5.15", "D-5.4", "D-5.7")
@pytest.mark.parametrize("account", ["pro_archive", "pro_full", "pro"])
def test_other_jobs_share_the_model(server: ForeignServer, account: str) -> None:
    api = _as(server, account)
    jobs = [job for job in api.page(limit=100)[0] if not job.get("parentJobId")]
    for job in jobs:
        render = job["type"] in {"render", "render.movie"}
        assert job["status"] in {"queued", "running", "waiting", *ENDED}
        assert ("children" in job) == render
        assert (job.get("error") is not None) == (job["status"] == "failed")
        assert (job["progress"] == 1) == (job["status"] == "done")
        assert job["status"] == "done" or not job.get("outputUrl")
        assert not render or bool(job.get("outputUrl")) == (job["status"] == "done")
    assert api.job(jobs[0]["jobId"])["jobId"] == jobs[0]["jobId"]


# section 6


@shows("D-6.1", "D-6.2", "D-6.3", "D-6.4", "D-6.5", "D-1.8")
def test_list_is_paged(server: ForeignServer) -> None:
    api = _as(server, "pro_archive")
    assert [len(api.page(**query)[0]) for query in ({}, {"limit": 1}, {"limit": 100})] == [25, 1, 100]
    ids, cursor = [], None
    for _ in range(40):
        jobs, cursor = api.page(limit=70, **({"cursor": cursor} if cursor else {}))
        ids += [(job["createdAt"], job["jobId"]) for job in jobs]
        if cursor is None:
            break
    parents = [each for each in ids if not each[1].startswith(("scene", "assemble"))]
    assert cursor is None
    assert [created for created, _ in ids] == sorted((created for created, _ in ids), reverse=True)
    assert len(set(ids)) == len(ids)
    assert len(parents) >= 300


@shows("D-6.6", "D-6.5")
def test_list_is_filtered_by_type(server: ForeignServer) -> None:
    api = _as(server, "pro_archive")
    for name in ("agent.chat", "publish.tiktok"):
        jobs, cursor = api.page(type=name, limit=100)
        assert {job["type"] for job in jobs} == {name}
        assert len(jobs) > 20
        assert cursor is None
    assert _as(server, "pro_spent").page() == ([], None)


# section 7


@shows("D-1.11", "D-7.3", "D-7.7", "D-7.5", "D-9.14")
def test_cancel(server: ForeignServer) -> None:
    api = _as(server, "cancel")
    used = api.used()
    job_id = api.submit(slow_movie())
    api.until(job_id, {"running", "waiting"})
    assert api.http.post(f"/v1/jobs/{job_id}/cancel").is_success
    job = api.until(job_id, ENDED)
    assert job["status"] == "cancelled"
    assert job.get("error") is None
    done = api.submit(movie(1))
    api.until(done, {"done"})
    assert _error(api.http.post(f"/v1/jobs/{done}/cancel"), 409)
    assert api.job(done)["status"] == "done"
    assert api.used_is(used + 2 / 60)
    assert api.job(job_id)["status"] == "cancelled"


@shows("D-1.12", "D-7.4", "D-8.9")
def test_delete(api: Api) -> None:
    job_id = api.submit(movie(2))
    assert _error(api.http.delete(f"/v1/jobs/{job_id}"), 409)
    api.until(job_id, {"done"})
    assert api.http.delete(f"/v1/jobs/{job_id}").is_success
    assert _error(api.http.get(f"/v1/jobs/{job_id}"), 404)
    assert _error(api.http.delete(f"/v1/jobs/{job_id}"), 404)
    _pause(0.12)
    assert job_id not in {job["jobId"] for job in api.page(limit=100)[0]}


@shows("D-7.6", "D-8.7")
def test_unknown_things_are_404(api: Api, server: ForeignServer) -> None:
    for method, path in (("GET", ""), ("GET", "/progress"), ("POST", "/cancel"), ("DELETE", "")):
        assert _error(api.http.request(method, f"/v1/jobs/job_000000000000{path}"), 404)
    assert _error(api.http.get("/v1/nothing"), 404)
    foreign = _as(server, "pro").page()[0][0]["jobId"]
    assert _error(api.http.get(f"/v1/jobs/{foreign}"), 404)


# section 8 and 9


@shows("D-8.3", "D-8.4", "D-9.8", "D-8.5")
def test_quotas(server: ForeignServer, variant: str) -> None:
    spent = _as(server, "pro_spent").http.post("/v1/render/jobs", json=movie())
    assert _error(spent, 402, "RENDER_QUOTA_EXCEEDED")
    assert _as(server, "pro_nearly_spent").status({**movie(1)}) == 202
    if VARIANTS[variant].free_rest == "allowed":
        today = _as(server, "free_spent_today").http.post("/v1/render/jobs", json=movie())
        assert _error(today, 402, "RENDER_QUOTA_DAILY_EXCEEDED")


@shows("D-8.8", "D-9.11")
@pytest.mark.parametrize(("account", "limit"), [("pro_full", 3), ("business_full", 6)])
def test_jobs_at_once(server: ForeignServer, account: str, limit: int) -> None:
    api = _as(server, account)
    running = [job["jobId"] for job in api.page()[0] if job["type"] in {"render", "render.movie"}]
    running = [job_id for job_id in running if api.job(job_id)["status"] in {"running", "waiting"}]
    assert len(running) == limit
    assert _error(api.http.post("/v1/render/jobs", json=movie(1)), 409, "CONCURRENCY_LIMIT_EXCEEDED")
    api.http.post(f"/v1/jobs/{running[0]}/cancel")
    api.until(running[0], {"cancelled"})
    assert api.submit(movie(1))


@shows("D-9.9", "D-9.10", "D-8.5")
@pytest.mark.parametrize(
    ("account", "minutes", "frame"),
    [("pro_empty", 10, (1920, 1080)), ("business", 20, (2560, 1440)), ("enterprise", 120, (3840, 2160))],
)
def test_plans_limit_size_and_length(
    server: ForeignServer, variant: str, account: str, minutes: float, frame: tuple[int, int]
) -> None:
    def status(length: float, width: int, height: int) -> int:
        body = movie(1)
        body["movie"] |= {"width": width, "height": height}
        body["movie"]["scenes"][0]["duration"] = length
        return _as(server, account).status(body)

    refused = VARIANTS[variant].plan_limit
    assert status(minutes * 60, *frame) == 202
    assert status(minutes * 60 + 1, *frame) == refused
    assert account == "enterprise" or status(5, frame[0] + 2, frame[1] + 2) == refused


@shows("D-9.12", "D-9.13", "D-7.7")
def test_minutes_are_charged_when_done(server: ForeignServer) -> None:
    api = _as(server, "charge")
    used = api.used()
    body = movie(2)
    body["movie"]["scenes"] = [{"id": "a", "duration": 4.5}, {"id": "b", "duration": 1.5}]
    job = api.until(api.submit(body), {"done"})
    assert job["mediaData"]["duration"] == 6
    assert api.used_is(used + 0.1)


def _rate_walk(variant: str) -> list[httpx.Response]:
    """Eight requests within the limit, one over it, one with another key, one after the wait."""
    settings = Settings(variant=variant, readings=probes.quick(variant), rate_limit=(8, 0.95))
    with ForeignServer(settings) as running, httpx.Client(base_url=running.base_url, verify=NO_TLS) as http:
        key, other = ({"x-api-key": ACCOUNTS[account].key} for account in ("pro", "business"))
        page = http.get("/v1/jobs", headers=key)
        job_id = next(value for value in page.json().values() if isinstance(value, list))[0]["jobId"]
        calls = [("GET", f"/v1/jobs/{job_id}/progress"), ("GET", "/v1/me"), ("POST", f"/v1/jobs/{job_id}/cancel")]
        calls += [("GET", "/v1/usage"), ("GET", "/v1/jobs/x"), ("DELETE", "/v1/jobs/x"), ("GET", "/v1/me")]
        replies = [page, *(http.request(method, path, headers=key) for method, path in calls)]
        replies += [http.get("/v1/me", headers=key), http.get("/v1/me", headers=other)]
        _pause(float(replies[8].headers.get("Retry-After", 0)))
        return [*replies, http.get("/v1/me", headers=key)]


@pytest.fixture(scope="module")
def rate_walks() -> dict[str, list[httpx.Response]]:
    """The walk in every variant, at the same time as each has to wait."""
    with ThreadPoolExecutor(4) as pool:
        return dict(zip("ABCD", pool.map(_rate_walk, "ABCD"), strict=True))


@shows("D-9.1", "D-9.2", "D-9.3", "D-9.4", "D-9.5", "D-9.6", "D-9.7", "D-8.10", "D-7.2")
@pytest.mark.parametrize("letter", "ABCD")
def test_rate_limit(rate_walks: dict[str, list[httpx.Response]], letter: str) -> None:
    *allowed, refused, other, later = rate_walks[letter]
    assert 429 not in {reply.status_code for reply in allowed}
    assert _error(refused, 429, "RATE_LIMITED")
    assert re.fullmatch(r"[1-9]\d*", refused.headers["Retry-After"])
    assert (other.status_code, later.status_code) == (200, 200)


def test_no_window_lets_more_through() -> None:
    chance, window, granted, now = clock.chance(7), Window(5, 10.0), [], 0.0
    for _ in range(3000):
        now += chance.uniform(0, 1.5)
        wait = window.take(now)
        granted += [] if wait else [now]
        assert wait == 0 or Window.take(_copy(window), now + wait + 1e-6) == 0
    assert all(late - early >= 10 for early, late in zip(granted, granted[5:], strict=False))


def _copy(window: Window) -> Window:
    twin = Window(window.limit, window.seconds)
    twin.hits = window.hits.copy()
    return twin


# section 11


@shows(*(f"D-11.{number}" for number in (1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12)))
@pytest.mark.parametrize("ending", ["done", "failed", "cancelled"])
def test_webhooks(api: Api, variant: str, ending: str) -> None:
    with receiving() as receiver:
        body = {"done": movie(3), "failed": broken_movie(), "cancelled": slow_movie()}[ending]
        job_id = api.submit({**body, "callbackUrl": receiver.url})
        if ending == "cancelled":
            api.until(job_id, {"running", "waiting"})
            _pause(0.1)
            api.http.post(f"/v1/jobs/{job_id}/cancel")
        api.until(job_id, {ending})
        _wait_for_end(receiver)
        calls, bodies = list(receiver.calls), receiver.bodies()
    assert {method for method, _, _ in calls} == {"POST"}
    assert all(headers["content-type"].startswith("application/json") for _, headers, _ in calls)
    assert all(_is_signed(headers["x-render-signature"], text, variant) for _, headers, text in calls)
    assert [each["status"] in ENDED for each in bodies] == [False] * (len(bodies) - 1) + [True]
    assert {each["jobId"] for each in bodies} == {job_id}
    assert all(each["timestamp"] and 0 <= each["progress"] <= 1 and "event" not in each for each in bodies)
    assert not any(each.get("outputUrl") for each in bodies if each["status"] != "done")
    assert all(each["phase"] in PHASES and set(each["children"]) == COUNTERS for each in bodies[:-1])
    assert len(bodies) > 1 or VARIANTS[variant].webhook_phase_events is False
    assert (bodies[-1]["status"], isinstance(bodies[-1].get("error"), str)) == (ending, ending == "failed")
    assert (set(bodies[-1].get("mediaData") or {}) >= {"duration", "width", "height", "fileSize"}) == (ending == "done")
    assert (ending == "done") == bool(bodies[-1].get("outputUrl"))


def _wait_for_end(receiver: Receiver) -> None:
    end = clock.monotonic() + 3
    while not any(body["status"] in ENDED for body in receiver.bodies()) and clock.monotonic() < end:
        _pause(0.02)
    _pause(0.06)


def _is_signed(signature: str, text: str, variant: str) -> bool:
    digest = hmac.new(Settings().webhook_secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    return VARIANTS[variant].webhook_signature == "base64" or signature.endswith(digest)


def test_last_webhook_is_tried_again() -> None:
    settings = Settings(render_scale=0.02, webhook_retry_wait=0.02)
    with receiving() as receiver, ForeignServer(settings) as running:
        api = _as(running, "enterprise")
        receiver.statuses = [500] * 50
        api.until(api.submit({**movie(1), "callbackUrl": receiver.url}), {"done"})
        _pause(0.05)
        receiver.statuses = []
        _pause(0.4)
        assert receiver.bodies()[-1]["status"] == "done"
        assert [body["status"] for body in receiver.bodies()].count("done") >= 2


def test_every_fact_is_walked() -> None:
    assert set(FACTS) == SHOWN | set(NOT_SHOWN)


# readings, settings, the command line


def _other_values() -> list[tuple[str, Any]]:
    return sorted(
        {
            (field.name, getattr(readings, field.name))
            for readings in VARIANTS.values()
            for field in fields(Readings)
            if getattr(readings, field.name) != getattr(VARIANTS["A"], field.name)
        },
        key=str,
    )


def test_every_reading_differs_in_some_variant() -> None:
    assert {name for name, _ in _other_values()} == {field.name for field in fields(Readings)}


def test_a_single_reading_can_be_switched() -> None:
    arguments = parse(
        ["--reading", "list_key=data", "--breach", "charge-doubled", "--scale", "0.1", "--latency", "0.1-0.5"]
    )
    settings = settings_of(arguments)
    assert settings.readings == replace(VARIANTS["A"], list_key="data")
    assert settings.breaches == {"charge-doubled"}
    assert (settings.render_scale, settings.latency) == (0.1, (0.1, 0.5))


@pytest.mark.parametrize(("name", "text"), [("list_key", "things"), ("no_such", "1"), ("sse_retry_milliseconds", "x")])
def test_unknown_readings_are_refused(name: str, text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        reading_from_text(name, text)


def test_unknown_breaches_are_refused() -> None:
    with pytest.raises(ValueError, match="no breach nonsense"):
        settings_of(parse(["--breach", "nonsense"]))


def test_stream_resumes_after_any_event() -> None:
    with ForeignServer(Settings(render_scale=0.02)) as running:
        api = _as(running, "enterprise")
        job_id = api.submit()
        api.until(job_id, {"done"})
        rests = []
        for last in range(12):
            reply = api.http.get(f"/v1/jobs/{job_id}/progress", headers={"Last-Event-ID": str(last)})
            rests.append(probes.events_of(reply.text))
        assert all(rest == before[1:] for before, rest in itertools.pairwise(rests))
        assert len(rests[0]) > len(rests[-1])


def test_variant_c_is_a_modern_gateway() -> None:
    with ForeignServer(Settings(variant="C")) as running:
        http = _as(running, "pro_archive").http
        statuses = [http.put("/v1/me").status_code, http.head("/v1/me").status_code]
        statuses += [http.get("/v1/jobs", params=query).status_code for query in ({"type": "x"}, {"limit": "500"})]
        statuses.append(http.post("/v1/render/jobs", content=json.dumps(movie())).status_code)
        page = http.get("/v1/jobs")
        assert statuses == [404, 404, 400, 200, 415]
        assert (len(page.json()["data"]), page.headers["Content-Encoding"]) == (25, "gzip")
        assert http.get("/v1/me", headers={"If-None-Match": http.get("/v1/me").headers["ETag"]}).status_code == 304
        assert page.headers["X-RateLimit-Limit"] == "120"


def test_long_jobs_keep_their_stream_alive() -> None:
    with ForeignServer(Settings(readings=replace(VARIANTS["A"], sse_keep_alive=0.05))) as running:
        api = _as(running, "pro_full")
        texts = []
        with api.http.stream("GET", f"/v1/jobs/{api.page()[0][0]['jobId']}/progress") as reply:
            for text in reply.iter_text():
                texts.append(text)
                if len(texts) == 3:
                    break
        assert texts[1:] == [": keep-alive\n\n"] * 2


def test_neighbour_uses_the_window_too() -> None:
    busy = replace(ACCOUNTS["pro_busy"], neighbour=3000.0)
    settings = Settings(start={**ACCOUNTS, "pro_busy": busy}, rate_limit=(10, 60.0))
    with ForeignServer(settings) as running:
        _pause(0.3)
        assert _as(running, "pro_busy").http.get("/v1/me").status_code == 429


def test_latency_is_added() -> None:
    with ForeignServer(Settings(latency=(0.1, 0.12))) as running:
        assert _as(running, "pro").http.get("/v1/me").elapsed.total_seconds() >= 0.1


def test_non_public_callbacks_are_refused_in_d() -> None:
    with ForeignServer(Settings(variant="D")) as running:
        api = _as(running, "pro")
        statuses = [
            api.status({**movie(), "callbackUrl": url}) for url in ("http://127.0.0.1:9/x", "http://localhost/x")
        ]
        assert statuses == [400, 400]


# breaches


def test_catalogue_is_large_and_names_are_clear() -> None:
    assert len(CATALOGUE) >= 170
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in CATALOGUE)
    assert all(breach.fact in FACTS and breach.needs for breach in CATALOGUE.values())


def test_table_of_facts_names_every_breach() -> None:
    table = facts_table()
    assert all(f"`{name}`" in table for name in CATALOGUE)


@pytest.fixture(scope="module")
def looks() -> dict[str, str]:
    """For every breach, the first difference to the honest server that a client sees."""
    return asyncio.run(probes.all_differences(CATALOGUE))


@pytest.mark.parametrize("name", CATALOGUE)
def test_breach_shows(looks: dict[str, str], name: str) -> None:
    assert looks[name]


def test_a_cursor_survives_a_url(server: ForeignServer) -> None:
    cursor = _as(server, "pro_archive").page(limit=2)[1]
    quoted = urllib.parse.quote(str(cursor), safe="")
    reply = _as(server, "pro_archive").http.get(f"/v1/jobs?limit=2&cursor={quoted}")
    assert reply.status_code == 200
