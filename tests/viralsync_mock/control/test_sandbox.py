"""Opening a sandbox for a test, and using up its limits; each answer is held against the control API's document."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import LiveServer, movie
from tests.viralsync_mock.control.test_control import refusal, watched

from viralsync_mock.clock import EPOCH, Mode, RealTime
from viralsync_mock.settings import Settings

StartMock = Callable[[Settings], LiveServer]

SHORT = {"name": "short", "description": "Jobs are quick.", "job": {"queued": "1ms"}}


@pytest.fixture
def control(live_server: LiveServer) -> Iterator[httpx.Client]:
    """Yield a client with a key of its own, on a frozen clock."""
    with watched(live_server.client(clock="frozen")) as client:
        yield client


def opened(client: httpx.Client, **order: Any) -> dict[str, Any]:
    """Open a sandbox and return what the mock says of it."""
    response = client.put("/__mock/sandbox", json=order)
    assert response.status_code == 200, response.text
    return dict(response.json())


def submitted(client: httpx.Client, **changes: Any) -> str:
    """Submit a job and return its id."""
    response = client.post("/v1/render/jobs", json=movie(**changes))
    assert response.status_code == 202, response.text
    return str(response.json()["jobId"])


def exhausted(client: httpx.Client, limit: str) -> dict[str, Any]:
    """Use a limit up and return what was done."""
    response = client.post("/__mock/exhaust", json={"limit": limit})
    assert response.status_code == 200, response.text
    return dict(response.json())


# ---------------------------------------------------------------- opening


def test_an_empty_order_opens_what_the_server_would(control: httpx.Client) -> None:
    """What is left out is the server's."""
    assert opened(control) == {"seed": "0", "scenario": "happy", "clock": "frozen", "plan": "pro"}


def test_the_answer_tells_what_was_opened(control: httpx.Client) -> None:
    """Seed, scenario, clock and plan are those of the new sandbox."""
    order = {"seed": "7", "scenario": "scene-fails", "clock": "auto", "plan": "business"}
    assert opened(control, **order) == order


def test_a_sandbox_that_is_opened_forgets_the_one_before(control: httpx.Client) -> None:
    """Jobs, faults, journal, account and time are new."""
    submitted(control)
    control.post("/__mock/clock/advance", json={"seconds": 30})
    control.patch("/__mock/account", json={"minutesUsed": 9})
    opened(control)
    assert control.get("/__mock/jobs").json()["total"] == control.get("/__mock/journal").json()["total"] == 0
    assert control.get("/__mock/clock").json()["now"] == "2026-01-01T00:00:00.000Z"
    assert control.get("/__mock/account").json()["minutesUsed"] == 0


def test_open_streams_of_the_old_sandbox_end(frozen: httpx.Client) -> None:
    """Who reads a stream of the dropped sandbox reads its end."""
    with frozen.stream("GET", f"/v1/jobs/{submitted(frozen)}/progress") as stream:
        opened(frozen)
        assert "done" not in stream.read().decode()


@pytest.mark.parametrize("scenario", ["instant", {"name": "instant"}, SHORT])
def test_a_scenario_is_named_or_given_whole(control: httpx.Client, scenario: Any) -> None:
    """As PUT /__mock/scenario takes it, and by its name alone."""
    name = scenario if isinstance(scenario, str) else scenario["name"]
    assert opened(control, scenario=scenario)["scenario"] == name
    assert control.get("/__mock/scenario").json()["isChosen"] is True


def test_a_scenario_brings_its_account_and_its_start(control: httpx.Client) -> None:
    """The clock begins where the scenario says, with the minutes used that it says."""
    opened(control, scenario="month-end")
    assert control.get("/__mock/clock").json()["now"] == "2026-01-31T23:58:00.000Z"
    assert refusal(control.post("/v1/render/jobs", json=movie()))[:2] == (402, "RENDER_QUOTA_EXCEEDED")


def test_a_plan_takes_the_place_of_the_scenarios(control: httpx.Client) -> None:
    """The account has the plan that was asked for."""
    opened(control, scenario="free-plan", plan="enterprise")
    assert control.get("/v1/me").json()["plan"] == "enterprise"


@pytest.mark.parametrize("mode", list(Mode))
def test_the_clock_runs_as_it_is_asked_to_from_the_beginning(start_mock: StartMock, mode: Mode) -> None:
    """A clock that flows starts at the wall's time, one that does not at the epoch, whatever the server's mode is."""
    wall = EPOCH.replace(year=2031)
    real = RealTime(wall=lambda: wall, monotonic=lambda: 0.0)
    with watched(start_mock(Settings(real=real)).client()) as client:
        opened(client, clock=mode)
        clock = client.get("/__mock/clock").json()
    assert (clock["now"][:4], clock["mode"]) == ("2031" if mode.flows else "2026", mode)


def test_two_keys_with_one_seed_draw_alike(live_server: LiveServer) -> None:
    """A seed stands for itself: the key has no part in it."""
    with live_server.client() as one, live_server.client() as other:
        opened(one, seed="same")
        opened(other, seed="same")
        assert submitted(one) == submitted(other)


@pytest.mark.parametrize("seed", [None, "other"])
def test_without_the_same_seed_two_keys_draw_apart(live_server: LiveServer, seed: str | None) -> None:
    """Each key draws its own way unless a seed is named, and each seed its own."""
    with live_server.client() as one, live_server.client() as other:
        opened(one, **({} if seed is None else {"seed": "same"}))
        opened(other, **({} if seed is None else {"seed": seed}))
        assert submitted(one) != submitted(other)


def test_a_failure_names_the_seed_of_its_sandbox(control: httpx.Client) -> None:
    """What brings a failure about again is the seed that the sandbox was opened with."""
    opened(control, seed="spring 26")
    assert control.get("/v1/jobs/job_0123456789ab").headers["x-mock-seed"] == "spring 26"


def test_switches_that_are_given_hold_beside_the_servers(control: httpx.Client) -> None:
    """A behaviour profile is turned for this sandbox alone, switch by switch."""
    opened(control, behaviour={"cancel": {"response": "empty"}})
    job_id = submitted(control)
    assert control.post(f"/v1/jobs/{job_id}/cancel").status_code == 204
    opened(control)
    assert control.post(f"/v1/jobs/{submitted(control)}/cancel").status_code == 200


@pytest.mark.parametrize(
    ("order", "text"),
    [
        ({"scenario": "hapy"}, '$.scenario: there is no scenario "hapy". Did you mean "happy"?'),
        ({"scenario": {"name": "hapy"}}, '$.scenario: there is no scenario "hapy". Did you mean "happy"?'),
        ({"scenario": {**SHORT, "job": {"queud": 1}}}, '$.scenario.job.queud: unknown key. Did you mean "queued"?'),
        ({"plan": "prow"}, "$.plan: expected one of free, pro, business, enterprise, got"),
        ({"clock": "froze"}, '$.clock: expected one of "real", "scaled", "frozen", "auto", "jump", got "froze"'),
        ({"seed": "é"}, "$.seed: expected text that matches"),
        ({"behaviour": {"sse": {"resum": "replay"}}}, '$.behaviour.sse.resum: no such switch. Did you mean "resume"?'),
        ({"behaviour": {"sse": {"resume": "play"}}}, '$.behaviour.sse.resume: expected "replay" or "snapshot", got'),
        ({"plam": "pro"}, '$.plam: not a property that the spec knows. Did you mean "plan"?'),
    ],
)
def test_a_bad_order_is_refused_with_its_place_and_changes_nothing(
    control: httpx.Client, order: dict[str, Any], text: str
) -> None:
    """The old sandbox stays, with its jobs."""
    submitted(control)
    status, code, told = refusal(control.put("/__mock/sandbox", json=order))
    assert (status, code, text) == (400, "VALIDATION_ERROR", told[len("The request is not valid: ") :][: len(text)])
    assert control.get("/__mock/jobs").json()["total"] == 1


# ---------------------------------------------------------------- using up a limit


@pytest.mark.parametrize("limit", ["quota", "rate", "concurrency"])
def test_the_next_submission_meets_the_limit_as_it_was_announced(control: httpx.Client, limit: str) -> None:
    """402, 429 or 409: the answer says which, and so it comes."""
    done = exhausted(control, limit)
    status, code, _ = refusal(control.post("/v1/render/jobs", json=movie()))
    assert (done["limit"], done["status"], done["code"]) == (limit, status, code)


def test_the_months_minutes_are_all_used(control: httpx.Client) -> None:
    """Usage tells of exactly the plan's limit, and nothing remains."""
    exhausted(control, "quota")
    assert control.get("/v1/usage").json()["renderMinutes"] == {"used": 200, "limit": 200, "remaining": 0}


def test_minutes_beyond_the_limit_stay(control: httpx.Client) -> None:
    """What is used up more than wholly does not shrink."""
    control.patch("/__mock/account", json={"minutesUsed": 201})
    exhausted(control, "quota")
    assert control.get("/__mock/account").json()["minutesUsed"] == 201


def test_a_daily_limit_is_used_up_too(control: httpx.Client) -> None:
    """On a plan that counts the minutes of a day, they are all used as well."""
    opened(control, plan="free")
    exhausted(control, "quota")
    account = control.get("/__mock/account").json()
    assert (account["minutesUsed"], account["minutesUsedToday"]) == (30, 5)


def test_the_window_is_full_from_this_instant_on(control: httpx.Client) -> None:
    """Who waits out the Retry-After gets through."""
    exhausted(control, "rate")
    refused = control.get("/v1/me")
    control.post("/__mock/clock/advance", json={"seconds": int(refused.headers["retry-after"])})
    assert (refused.status_code, control.get("/v1/me").status_code) == (429, 200)


def test_calls_that_were_counted_before_count_on(control: httpx.Client) -> None:
    """Only what was left of the window is used: the oldest call leaves it first."""
    control.get("/v1/me")
    control.post("/__mock/clock/advance", json={"seconds": 50})
    exhausted(control, "rate")
    assert control.get("/v1/me").headers["retry-after"] == "10"


@pytest.mark.parametrize("counts", ["unfinished", "running+waiting", "running"])
def test_the_plans_places_are_taken_by_jobs_that_everybody_sees(control: httpx.Client, counts: str) -> None:
    """List and usage agree on them, whatever the profile counts, and they never end."""
    opened(control, behaviour={"concurrency": {"counts": counts}})
    jobs = exhausted(control, "concurrency")["jobs"]
    control.post("/__mock/clock/advance", json={"seconds": 86_400})
    assert sorted(jobs) == sorted(job["jobId"] for job in control.get("/v1/jobs").json()["jobs"])
    assert control.get("/v1/usage").json()["concurrentJobs"] == {"running": 3, "limit": 3}
    assert control.post("/v1/render/jobs", json=movie()).status_code == 409


def test_only_missing_jobs_are_submitted(control: httpx.Client) -> None:
    """Jobs that run already keep their places; a second time nothing is missing."""
    submitted(control)
    assert len(exhausted(control, "concurrency")["jobs"]) == 2
    assert exhausted(control, "concurrency")["jobs"] == []


def test_cancelling_one_of_the_jobs_makes_room(control: httpx.Client) -> None:
    """They are jobs like any other."""
    job_id = exhausted(control, "concurrency")["jobs"][0]
    assert control.post(f"/v1/jobs/{job_id}/cancel").status_code == 200
    assert submitted(control).startswith("job_")


def test_an_exhausted_sandbox_can_be_written_down_and_opened_again(control: httpx.Client) -> None:
    """A snapshot holds the jobs that were submitted without a call."""
    exhausted(control, "concurrency")
    snapshot = control.get("/__mock/snapshot").content
    assert control.put("/__mock/snapshot", content=snapshot).json()["jobs"] == 3
    assert control.post("/v1/render/jobs", json=movie()).status_code == 409


def test_the_journal_knows_of_no_call(control: httpx.Client) -> None:
    """What the test does is not counted to the client."""
    exhausted(control, "concurrency")
    assert control.get("/__mock/journal").json()["total"] == 0


@pytest.mark.parametrize("limit", ["quota", "concurrency"])
def test_an_unlimited_plan_has_nothing_to_use_up(control: httpx.Client, limit: str) -> None:
    """It is refused, and the text says why."""
    opened(control, plan="enterprise")
    text = f"The {limit} limit cannot be used up: plan enterprise has none. Choose another plan."
    assert refusal(control.post("/__mock/exhaust", json={"limit": limit})) == (409, "NOTHING_TO_EXHAUST", text)


@pytest.mark.parametrize("limit", ["quota", "rate", "concurrency"])
def test_a_limit_that_a_scenario_switches_off_is_refused(control: httpx.Client, limit: str) -> None:
    """What is never refused cannot be met."""
    opened(control, scenario={"name": "open", "description": "No limits.", "limits": {limit: "off"}})
    text = f"The {limit} limit cannot be used up: scenario open switches it off. Choose another scenario."
    assert refusal(control.post("/__mock/exhaust", json={"limit": limit})) == (409, "NOTHING_TO_EXHAUST", text)


def test_a_server_without_a_rate_limit_refuses_too(start_mock: StartMock) -> None:
    """The text names the option."""
    with watched(start_mock(Settings(is_rate_limited=False)).client()) as client:
        text = refusal(client.post("/__mock/exhaust", json={"limit": "rate"}))[2]
    assert "the server was started with --no-rate-limit" in text


def test_codes_are_told_as_the_behaviour_profile_has_them(control: httpx.Client) -> None:
    """A renamed code is what the client will meet."""
    opened(control, behaviour={"errors": {"rate_limited": "SLOW_DOWN"}})
    assert exhausted(control, "rate")["code"] == refusal(control.get("/v1/me"))[1] == "SLOW_DOWN"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])  # each example has a key of its own
@given(used=st.floats(0, 500), plan=st.sampled_from(["pro", "business"]))
def test_no_exhausted_quota_lets_a_submission_through(live_server: LiveServer, used: float, plan: str) -> None:
    """Whatever was used before: the law is 402."""
    with live_server.client(plan=plan, clock="frozen") as client:
        client.patch("/__mock/account", json={"minutesUsed": used})
        exhausted(client, "quota")
        assert client.post("/v1/render/jobs", json=movie()).status_code == 402
