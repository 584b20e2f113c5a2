"""Whole runs: the kit against the mock, within its budget, and without a trace on an account that others use."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import LiveServer, movie

from viralsync_conform.calls import Exchange
from viralsync_conform.conformance import Options, conform
from viralsync_conform.findings import Category, Verdict
from viralsync_conform.profiles import PROFILES
from viralsync_conform.result import Result
from viralsync_mock.client import Sandbox
from viralsync_mock.errors import UsageError


def shown(result: Result) -> list[tuple[str, str, str]]:
    """Return what a run found, to be read where it should have found nothing."""
    return [(finding.category, finding.check, finding.message) for finding in result.findings]


def unexplained(calls: Sequence[Exchange]) -> list[Exchange]:
    """Return the refusals for too many requests that nobody asked for."""
    return [call for call in calls if call.status == 429 and call.expected != "RATE_LIMITED"]


@pytest.mark.parametrize(("profile", "seed"), [("quick", "1"), ("nightly", "3")])
def test_the_own_mock_conforms_within_the_budget(profile: str, seed: str) -> None:
    """Nothing is found, whatever the seed; requests and renders stay below what was promised; no 429 is met."""
    result = conform(Options(profile=profile, seed=seed))
    assert (shown(result), result.verdict) == ([], Verdict.CONFORMS)
    assert result.budget.requests == len(result.calls) <= PROFILES[profile].max_requests < 500
    assert result.budget.renders <= 3
    assert result.budget.charged <= PROFILES[profile].max_render_minutes
    assert unexplained(result.calls) == []


def test_the_same_seed_makes_the_same_calls() -> None:
    """What a night found can be found again; and whoever watches is told of each journey and each call."""
    journeys, calls = list[str](), list[str]()
    watched = Options(
        profile="quick",
        seed="5",
        on_journey=journeys.append,
        on_call=lambda call: calls.append(f"{call.method} {call.url}"),
    )
    result = conform(watched)
    assert (shown(result), result.verdict) == ([], Verdict.CONFORMS)
    assert journeys == [each.name for each in result.journeys if each.outcome != "skipped"]
    assert calls == [f"{call.method} {call.url}" for call in conform(Options(profile="quick", seed="5")).calls]


def seed_account(live_server: LiveServer, key: str) -> dict[str, Any]:
    """Make five jobs that are not the kit's: two done, one cancelled, two just submitted; return them by id."""
    with live_server.client(key) as client, Sandbox(live_server.base_url, key) as sandbox:
        for number in range(5):
            job_id = client.post("/v1/render/jobs", json=movie(projectId=f"proj_own_{number}")).json()["jobId"]
            if number == 1:
                sandbox.clock.advance(3600)
            if number == 2:
                client.post(f"/v1/jobs/{job_id}/cancel")
        return jobs_of(live_server, key)


def jobs_of(live_server: LiveServer, key: str) -> dict[str, Any]:
    with live_server.client(key) as client:
        page = client.get("/v1/jobs", params={"limit": 100}).json()
    return {job["jobId"]: job for job in page["jobs"]}


@pytest.mark.parametrize(
    ("profile", "has_control"),
    [("quick", True), ("quick", False), ("nightly", True), pytest.param("deep", True, marks=pytest.mark.slow)],
)
def test_five_jobs_of_others_are_alive_after_a_run(live_server: LiveServer, profile: str, has_control: bool) -> None:
    """Nothing of the account is touched, nothing is left on it, and its clock goes on as it did."""
    key = live_server.new_key(clock="frozen", plan="enterprise")
    before = seed_account(live_server, key)
    with Sandbox(live_server.base_url, key) as sandbox:
        sandbox.clock.real(3600)
        result = conform(
            Options(target=live_server.base_url, key=key, profile=profile, has_fidelity=False, uses_control=has_control)
        )
        assert (sandbox.clock.mode, sandbox.clock.rate) == ("scaled", 3600)
        sandbox.clock.freeze()
    after = jobs_of(live_server, key)
    assert after.keys() == before.keys()
    assert all(after[job_id] == job for job_id, job in before.items() if job["status"] in {"done", "cancelled"})
    assert not {job["status"] for job in after.values()} - {"done", "cancelled", "queued", "running", "waiting"}
    assert result.verdict is not Verdict.BROKEN, shown(result)
    assert key not in repr(result)


def test_the_walls_can_be_moved() -> None:
    """A smaller budget than the profile's is held, and a run that could not do its work is inconclusive."""
    result = conform(Options(profile="nightly", max_requests=40, max_render_minutes=0.0))
    assert result.budget.requests <= 40
    assert (result.budget.renders, result.budget.charged) == (0, 0.0)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert {finding.category for finding in result.findings} == {Category.INCONCLUSIVE}


@pytest.mark.parametrize(
    "options",
    [
        {"target": "http://api.example"}, {"target": "https://api.example", "key": None},
        {"baseline": Path("no-such-baseline.json")}, {"behaviour": Path("no-such-behaviour.yaml")},
    ],
)  # fmt: skip
def test_wrong_use_is_told_before_anything_is_sent(options: dict[str, Any]) -> None:
    """A target, a key or a file that cannot be used ends the run at once."""
    with pytest.raises(UsageError):
        conform(Options(profile="quick", **options))
