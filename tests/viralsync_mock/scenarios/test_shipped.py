"""Each shipped scenario makes its point to a client over a real socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.conftest import MOVIE, LiveServer
from tests.viralsync_mock.faults.test_shipped_scenarios import TOLD

from viralsync_mock.settings import shipped

Story = Callable[[LiveServer], None]
STORIES: dict[str, Story] = {}

SMALL = {**MOVIE, "movie": {**MOVIE["movie"], "width": 1280, "height": 720}}  # type: ignore[dict-item]  # the movie is a mapping


def tells(name: str) -> Callable[[Story], Story]:
    """Register the story that shows a scenario's point."""

    def register(story: Story) -> Story:
        STORIES[name] = story
        return story

    return register


def submit(client: httpx.Client, body: dict[str, Any] = MOVIE) -> httpx.Response:
    return client.post("/v1/render/jobs", json=body)


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json().get("code", "")


def lives(client: httpx.Client, body: dict[str, Any] = MOVIE) -> list[dict[str, Any]]:
    """Submit a job and poll it to its end on an auto clock; return every answer."""
    path = f"/v1/jobs/{submit(client, body).json()['jobId']}"
    seen = [client.get(path).json()]
    while seen[-1]["status"] not in {"done", "failed", "cancelled"}:
        seen.append(client.get(path).json())
    return seen


def advance(client: httpx.Client, seconds: float) -> None:
    client.post("/__mock/clock/advance", json={"seconds": seconds}).raise_for_status()


def used(client: httpx.Client) -> float:
    return float(client.get("/v1/usage").json()["renderMinutes"]["used"])


@tells("happy")
def _(server: LiveServer) -> None:
    with server.client(scenario="happy") as client:
        assert lives(client)[-1]["mediaData"]["duration"] == 6
        assert used(client) == 0.1


@tells("instant")
def _(server: LiveServer) -> None:
    with server.client(scenario="instant", clock="frozen") as client:
        assert [job["status"] for job in lives(client)] == ["done"]


@tells("slow")
def _(server: LiveServer) -> None:
    with server.client(scenario="slow", clock="frozen") as client:
        path = f"/v1/jobs/{submit(client).json()['jobId']}"
        advance(client, 60)
        assert client.get(path).json()["status"] == "waiting"
        advance(client, 1000)
        assert client.get(path).json()["status"] == "done"


@tells("long-queue")
def _(server: LiveServer) -> None:
    with server.client(scenario="long-queue", clock="frozen") as client:
        path = f"/v1/jobs/{submit(client).json()['jobId']}"
        advance(client, 599)
        assert client.get(path).json()["status"] == "queued"
        advance(client, 1)
        assert client.get(path).json()["phase"] == "planning"


@tells("stuck")
def _(server: LiveServer) -> None:
    with server.client(scenario="stuck", clock="frozen") as client:
        path = f"/v1/jobs/{submit(client).json()['jobId']}"
        advance(client, 30 * 86_400)
        assert client.get(path).json()["phase"] == "rendering"
        assert client.post(f"{path}/cancel").json()["status"] == "cancelled"


def fails_with(name: str, error: str, phase: str) -> None:
    """Tell of a scenario that fails in one phase with one error and costs nothing."""

    def story(server: LiveServer) -> None:
        with server.client(scenario=name) as client:
            seen = lives(client)
            assert (seen[-1]["status"], seen[-1]["error"].split(":")[0]) == ("failed", error)
            assert seen[-2]["phase"] == phase
            assert used(client) == 0

    STORIES[name] = story


fails_with("scene-fails", "SCENE_RENDER_FAILED", "rendering")
fails_with("asset-fails", "ASSET_DOWNLOAD_FAILED", "rendering")
fails_with("assemble-fails", "ASSEMBLE_FAILED", "assembling")
fails_with("upload-fails", "UPLOAD_FAILED", "uploading")
fails_with("render-timeout", "RENDER_TIMEOUT", "rendering")


@tells("quota-exceeded")
def _(server: LiveServer) -> None:
    with server.client(scenario="quota-exceeded") as client:
        assert code(submit(client)) == (402, "RENDER_QUOTA_EXCEEDED")
        assert client.get("/v1/usage").json()["renderMinutes"]["remaining"] == 0


@tells("quota-nearly-used")
def _(server: LiveServer) -> None:
    with server.client(scenario="quota-nearly-used") as client:
        assert lives(client)[-1]["status"] == "done"
        assert code(submit(client)) == (402, "RENDER_QUOTA_EXCEEDED")


@tells("daily-cap")
def _(server: LiveServer) -> None:
    with server.client(scenario="daily-cap", clock="frozen") as client:
        assert code(submit(client, SMALL)) == (402, "RENDER_QUOTA_DAILY_EXCEEDED")
        advance(client, 86_400)
        assert submit(client, SMALL).status_code == 202


@tells("month-end")
def _(server: LiveServer) -> None:
    with server.client(scenario="month-end", clock="frozen") as client:
        assert code(submit(client)) == (402, "RENDER_QUOTA_EXCEEDED")
        advance(client, 120)
        assert submit(client).status_code == 202


@tells("concurrency-full")
def _(server: LiveServer) -> None:
    with server.client(scenario="concurrency-full", clock="frozen") as client:
        assert [submit(client).status_code for _ in range(3)] == [202] * 3
        assert code(submit(client)) == (409, "CONCURRENCY_LIMIT_EXCEEDED")


@tells("rate-limited")
def _(server: LiveServer) -> None:
    with server.client(scenario="rate-limited", clock="frozen") as client:
        assert [client.get("/v1/me").status_code for _ in range(3)] == [200] * 3
        refused = client.get("/v1/me")
        assert (*code(refused), refused.headers["retry-after"]) == (429, "RATE_LIMITED", "60")
        advance(client, 60)
        assert client.get("/v1/me").status_code == 200


@tells("revoked-key")
def _(server: LiveServer) -> None:
    with server.client(scenario="revoked-key") as client:
        assert code(client.get("/v1/me")) == (401, "API_KEY_REVOKED")


@tells("free-plan")
def _(server: LiveServer) -> None:
    with server.client(scenario="free-plan") as client:
        assert code(client.get("/v1/me")) == (403, "FORBIDDEN")


@tells("plan-too-small")
def _(server: LiveServer) -> None:
    with server.client(scenario="plan-too-small") as client:
        assert code(submit(client)) == (402, "PLAN_LIMIT_EXCEEDED")
        assert submit(client, SMALL).status_code == 202


@tells("enterprise")
def _(server: LiveServer) -> None:
    with server.client(scenario="enterprise") as client:
        big = {**MOVIE, "movie": {"width": 3840, "height": 2160, "scenes": [{"id": "only", "duration": 7200}]}}
        assert submit(client, big).status_code == 202
        assert client.get("/v1/usage").json()["renderMinutes"]["limit"] is None


@tells("flaky")
def _(server: LiveServer) -> None:
    with server.client(scenario="flaky") as client:
        statuses = [client.get("/v1/me").status_code for _ in range(14)]
        assert [n for n, status in enumerate(statuses, start=1) if status == 500] == [7, 14]


@tells("outage")
def _(server: LiveServer) -> None:
    with server.client(scenario="outage") as client:
        assert [client.get("/v1/me").status_code for _ in range(9)] == [200] * 2 + [503] * 5 + [200] * 2


@pytest.mark.parametrize("name", sorted(STORIES))
def test_a_shipped_scenario_makes_its_point(name: str, live_server: LiveServer) -> None:
    """The server tells the story."""
    STORIES[name](live_server)


def test_every_shipped_scenario_has_a_story() -> None:
    """Those of faults have theirs in test_fault_scenarios.py."""
    assert {path.stem for path in shipped("fixtures/scenarios").glob("*.yaml")} == STORIES.keys() | TOLD
