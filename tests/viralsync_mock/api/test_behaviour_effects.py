"""Every switch of the behaviour profile in every position, as a client over a real socket sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.conftest import MOVIE, LiveServer

from viralsync_mock.config.behaviour import SWITCHES
from viralsync_mock.settings import shipped

Probe = Callable[[httpx.Client], object]

PRO = {"plan": "pro"}
FREE = {"plan": "free"}
SMALL = {**MOVIE, "movie": {"width": 1280, "height": 720, "scenes": [{"id": "only", "duration": 60}]}}


def submit(client: httpx.Client, body: dict[str, Any] = MOVIE) -> httpx.Response:
    return client.post("/v1/render/jobs", json=body)


def advance(client: httpx.Client, seconds: float) -> None:
    client.post("/__mock/clock/advance", json={"seconds": seconds}).raise_for_status()


def job_at(client: httpx.Client, second: float) -> dict[str, Any]:
    """Submit a job and read it at that second of its life; the happy one renders from 1.8 to 12.3."""
    path = f"/v1/jobs/{submit(client).json()['jobId']}"
    if second:
        advance(client, second)
    return dict(client.get(path).json())


def ended(client: httpx.Client) -> str:
    """Return the path of a job that is done."""
    path = f"/v1/jobs/{submit(client).json()['jobId']}"
    advance(client, 1000)
    return path


def probe_type(client: httpx.Client) -> object:
    return job_at(client, 0)["type"]


def probe_executing(client: httpx.Client) -> object:
    job = job_at(client, 3)
    listed = client.get("/v1/jobs", params={"status": job["status"]}).json()["jobs"]
    return job["phase"], job["status"], len(listed)


def probe_assembling(client: httpx.Client) -> object:
    job = job_at(client, 13)
    return job["phase"], job["status"]


def probe_children(client: httpx.Client) -> object:
    return job_at(client, 0)["children"]["total"]


def probe_list_key(client: httpx.Client) -> object:
    return sorted(client.get("/v1/jobs").json())


def probe_listed_children(client: httpx.Client) -> object:
    submit(client)
    first = client.get("/v1/jobs", params={"limit": 2}).json()
    rest = (
        client.get("/v1/jobs", params={"cursor": first["nextCursor"]}).json() if first["nextCursor"] else {"jobs": []}
    )
    return [job["type"] for job in first["jobs"] + rest["jobs"]]


def probe_not_found(client: httpx.Client) -> object:
    response = client.get("/v1/jobs/job_000000000000")
    return response.status_code, response.json()["code"]


def probe_cancel(client: httpx.Client) -> object:
    response = client.post(f"/v1/jobs/{submit(client).json()['jobId']}/cancel")
    return response.status_code, response.content and response.json()["status"]


def probe_delete(client: httpx.Client) -> object:
    response = client.delete(ended(client))
    return response.status_code, response.content and response.json()["deleted"]


def probe_quota(client: httpx.Client) -> object:
    client.patch("/__mock/account", json={"minutesUsed": 199.95}).raise_for_status()
    return submit(client).status_code


def probe_plan_limit(client: httpx.Client) -> object:
    response = submit(client, {**MOVIE, "movie": {"scenes": [{"id": "only", "duration": 601}]}})
    return response.status_code, response.json()["code"]


def probe_free(client: httpx.Client) -> object:
    client.patch("/__mock/account", json={"plan": "free"}).raise_for_status()
    return client.get("/v1/me").status_code, submit(client, SMALL).status_code


def probe_concurrency(client: httpx.Client) -> object:
    """Try a fourth job beside one that is queued, one that runs and one that waits for its scenes."""
    for wait in (1.9, 1.1, 0):
        submit(client)
        if wait:
            advance(client, wait)
    standing = client.get("/v1/usage").json()["concurrentJobs"]["running"]
    return standing, [submit(client).status_code for _ in range(2)]


def probe_content_type(client: httpx.Client) -> object:
    return client.post("/v1/render/jobs", content=b'{"kind": "movie"}').json()["error"].split(":")[1].strip()


CASES: list[tuple[str, object, Probe, object]] = [
    ("job.type", "render", probe_type, "render"),
    ("job.type", "render.movie", probe_type, "render.movie"),
    ("job.executing_status", "waiting", probe_executing, ("rendering", "waiting", 1)),
    ("job.executing_status", "running", probe_executing, ("rendering", "running", 1)),
    ("job.assembling_status", "running", probe_assembling, ("assembling", "running")),
    ("job.assembling_status", "waiting", probe_assembling, ("assembling", "waiting")),
    ("job.children_counted", "scenes", probe_children, 3),
    ("job.children_counted", "scenes+assemble", probe_children, 4),
    ("list.key", "jobs", probe_list_key, ["jobs", "nextCursor"]),
    ("list.key", "data", probe_list_key, ["data", "nextCursor"]),
    ("list.includes_children", False, probe_listed_children, ["render"]),
    (
        "list.includes_children",
        True,
        probe_listed_children,
        ["render", "render.assemble", "render.scene", "render.scene", "render.scene"],
    ),
    ("errors.job_not_found", "JOB_NOT_FOUND", probe_not_found, (404, "JOB_NOT_FOUND")),
    ("errors.job_not_found", "NO_SUCH_JOB", probe_not_found, (404, "NO_SUCH_JOB")),
    ("cancel.response", "job", probe_cancel, (200, "cancelled")),
    ("cancel.response", "empty", probe_cancel, (204, b"")),
    ("delete.response", "body", probe_delete, (200, True)),
    ("delete.response", "empty", probe_delete, (204, b"")),
    ("quota.check", "used", probe_quota, 202),
    ("quota.check", "forecast", probe_quota, 402),
    ("plan_limit.status", 402, probe_plan_limit, (402, "PLAN_LIMIT_EXCEEDED")),
    ("plan_limit.status", 403, probe_plan_limit, (403, "PLAN_LIMIT_EXCEEDED")),
    ("free_plan.rest", "forbidden", probe_free, (403, 403)),
    ("free_plan.rest", "allowed", probe_free, (200, 202)),
    ("concurrency.counts", "unfinished", probe_concurrency, (3, [409, 409])),
    ("concurrency.counts", "running+waiting", probe_concurrency, (2, [202, 202])),
    ("concurrency.counts", "running", probe_concurrency, (1, [202, 202])),
    ("content_type.required", True, probe_content_type, "header.content-type"),
    ("content_type.required", False, probe_content_type, "$.projectId"),
]

ELSEWHERE = {key for key in SWITCHES if key.startswith(("sse.", "webhook."))}
"""`sse.*` is tried in test_streams; `webhook.*` in the tests of webhooks."""


@pytest.mark.parametrize(("switch", "position", "probe", "expected"), CASES)
def test_a_switch_does_what_its_position_says(
    switch: str, position: object, probe: Probe, expected: object, live_server: LiveServer
) -> None:
    """In each of its positions a switch makes the mock answer as docs/assumptions.md says."""
    section, name = switch.split(".")
    document = {"name": "turned", "description": "One switch.", "behaviour": {section: {name: position}}}
    with live_server.client(clock="frozen") as client:
        client.put("/__mock/scenario", json=document).raise_for_status()
        assert probe(client) == expected


def test_every_switch_is_tried_in_every_position() -> None:
    """No switch, and no position of one, is left out of the table above."""
    tried = {(switch, str(position)) for switch, position, _, _ in CASES}
    known = {
        (key, str(position))
        for key, switch in SWITCHES.items()
        if key not in ELSEWHERE
        for position in switch.metadata["one_of"]
    }
    assert known - tried == set()


def test_every_switch_is_documented() -> None:
    """docs/assumptions.md has a row for each switch, with its default."""
    text = shipped("docs/assumptions.md").read_text()
    rows = {
        key: f"| `{key}` | `{'null' if s.default is None else str(s.default).lower()}` |" for key, s in SWITCHES.items()
    }
    assert [key for key, row in rows.items() if row not in text] == []
