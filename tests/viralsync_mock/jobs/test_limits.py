"""Four ceilings, rate limit, quota, plan limit and concurrency limit, and the scenario chosen for one call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import LiveServer, movie, shipped

from viralsync_mock.clock import EPOCH, Mode
from viralsync_mock.config.behaviour import BehaviourProfile
from viralsync_mock.errors import ApiError
from viralsync_mock.jobs.limits import PlanLimits
from viralsync_mock.jobs.models import Status
from viralsync_mock.jobs.store import Usage
from viralsync_mock.openapi.spec import load_spec
from viralsync_mock.settings import Settings

SUBMIT = "/v1/render/jobs"
PLANS = load_spec(shipped("openapi.yaml")).plans
PAID = [name for name, plan in PLANS.items() if plan.rest]
SMALL = movie(movie={"width": 1280, "height": 720, "scenes": [{"id": "only", "duration": 6}]})
"""Six seconds are a tenth of a render minute, and the frame fits every plan."""

Start = Callable[[Settings], LiveServer]


def sized(width: float, height: float, *seconds: float) -> dict[str, Any]:
    """Return a movie of this frame, with scenes of these lengths."""
    scenes = [{"id": f"s{number}", "duration": length} for number, length in enumerate(seconds or (6,))]
    return movie(movie={"width": width, "height": height, "scenes": scenes})


def code(answer: httpx.Response) -> tuple[int, str | None]:
    """Return status and code of an answer."""
    return answer.status_code, answer.json().get("code")


def advance(server: LiveServer, client: httpx.Client, seconds: float) -> None:
    """Move the clock of the client's sandbox."""
    clock = server.app.mock.sandbox(client.headers["x-api-key"]).clock
    clock.set_time(clock.now() + timedelta(seconds=seconds))


def finish(client: httpx.Client, job_id: str) -> str:
    """Poll a job to its end on an auto clock, and return its status."""
    for _ in range(100):
        status = client.get(f"/v1/jobs/{job_id}").json()["status"]
        if status in {"done", "failed", "cancelled"}:
            return str(status)
    return "never"


def submit(client: httpx.Client, document: dict[str, Any] | None = None, scenario: str | None = None) -> httpx.Response:
    """Submit a movie, under a scenario of its own if one is named."""
    headers = {} if scenario is None else {"x-mock-scenario": scenario}
    return client.post(SUBMIT, json=document or SMALL, headers=headers)


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    """Yield an HTTP client without a key."""
    with httpx.Client() as client:
        yield client


@pytest.fixture
def three(live_server: LiveServer) -> Iterator[httpx.Client]:
    """Yield a client that may send 3 requests in any 60 seconds, on a frozen clock."""
    with live_server.client(clock="frozen", scenario="rate-limited") as client:
        yield client


# Rate limit


def test_120_requests_are_let_through_and_the_next_is_not(frozen: httpx.Client) -> None:
    """The limit holds to the call, whatever is called."""
    statuses = [frozen.get(("/v1/me", "/v1/usage", "/v1/jobs")[number % 3]).status_code for number in range(120)]
    refused = frozen.get("/v1/me")
    assert set(statuses) == {200}
    assert code(refused) == (429, "RATE_LIMITED")
    assert (refused.headers["retry-after"], "Retry after 60 seconds" in refused.json()["error"]) == ("60", True)


def test_the_window_slides(live_server: LiveServer, frozen: httpx.Client) -> None:
    """Half the budget comes back sixty seconds after the first half was spent, not all of it at a full minute."""
    for _ in range(2):
        assert {frozen.get("/v1/me").status_code for _ in range(60)} == {200}
        advance(live_server, frozen, 30)
    statuses = [frozen.get("/v1/me").status_code for _ in range(61)]
    assert statuses == [200] * 60 + [429]
    assert frozen.get("/v1/me").headers["retry-after"] == "30"


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 40_000), min_size=3, max_size=8))
def test_retry_after_is_true(live_server: LiveServer, http: httpx.Client, waits: list[int]) -> None:
    """A call made after that wait succeeds, whatever came before it; a whole second earlier it would not have."""
    key = live_server.new_key(clock="frozen", scenario="rate-limited")
    headers, url = live_server.headers(key), f"{live_server.base_url}/v1/me"
    clock = live_server.app.mock.sandbox(key).clock
    for milliseconds in waits:
        answer = http.get(url, headers=headers)
        if answer.status_code == 429:
            wait = int(answer.headers["retry-after"])
            clock.set_time(clock.now() + timedelta(seconds=wait - 1))
            assert wait == 1 or http.get(url, headers=headers).status_code == 429
            clock.set_time(clock.now() + timedelta(seconds=1))
            assert http.get(url, headers=headers).status_code == 200
        clock.set_time(clock.now() + timedelta(milliseconds=milliseconds))


def test_refused_requests_use_none_of_the_budget(live_server: LiveServer, three: httpx.Client) -> None:
    """However often one asks in vain, the whole budget is back when the window has passed."""
    for _ in range(2):
        assert [three.get("/v1/me").status_code for _ in range(10)] == [200] * 3 + [429] * 7
        advance(live_server, three, 60)


def test_requests_that_reach_no_operation_use_none_of_the_budget(three: httpx.Client) -> None:
    """Unknown routes, undeclared methods, questions about a path and wrong keys are not counted."""
    free = [three.get("/v1/nowhere"), three.put("/v1/me"), three.options("/v1/me"), three.head("/v1")]
    free += [three.get("/v1/me", headers={"authorization": "Bearer wrong"}) for _ in range(3)]
    assert [answer.status_code for answer in free] == [404, 405, 204, 404, 401, 401, 401]
    assert [three.get("/v1/me").status_code for _ in range(4)] == [200, 200, 200, 429]


def test_requests_that_an_operation_refuses_use_the_budget(three: httpx.Client) -> None:
    """A bad body, an unknown job and a 409 are requests like others."""
    answers = [submit(three, movie(kind="song")), three.get("/v1/jobs/none"), three.head("/v1/me"), three.get("/v1/me")]
    assert [answer.status_code for answer in answers] == [400, 404, 200, 429]


def test_a_revoked_key_and_plan_free_are_told_apart_from_the_limit(live_server: LiveServer) -> None:
    """A revoked key is refused before it is counted, a Free account after."""
    with live_server.client(clock="frozen", scenario="rate-limited") as client:
        patched = live_server.app.mock.sandbox(client.headers["x-api-key"]).account_overrides
        patched["revoked"] = True
        revoked = {client.get("/v1/me").status_code for _ in range(5)}
        patched.update(revoked=False, plan="free")
        free = [client.get("/v1/me").status_code for _ in range(4)]
    assert (revoked, free) == ({401}, [403, 403, 403, 429])


def test_each_key_has_a_budget_of_its_own(live_server: LiveServer, three: httpx.Client) -> None:
    """One busy client does not slow another down."""
    busy = [three.get("/v1/me").status_code for _ in range(4)]
    with live_server.client(clock="frozen", scenario="rate-limited") as other:
        assert (busy[-1], other.get("/v1/me").status_code) == (429, 200)


def test_an_auto_clock_moves_past_a_429(live_server: LiveServer) -> None:
    """A client that tries again at once finds that its wait is over."""
    with live_server.client(clock="auto", scenario="rate-limited") as client:
        assert [client.get("/v1/me").status_code for _ in range(6)] == [200, 200, 200, 429, 200, 200]


def test_a_server_without_rate_limit_refuses_nobody(start_mock: Start) -> None:
    """`--no-rate-limit` is for load tests."""
    server = start_mock(Settings(clock=Mode.FROZEN, check_answers=True, is_rate_limited=False))
    with server.client(clock="frozen") as client:
        assert {client.get("/v1/me").status_code for _ in range(130)} == {200}


# Quota


def test_the_month_s_quota_resets_on_the_first_at_midnight(start_mock: Start) -> None:
    """Until the last millisecond of January nothing is rendered, from the first of February everything."""
    server = start_mock(Settings(clock=Mode.FROZEN, scenario="month-end", check_answers=True))
    with server.client(clock="frozen") as client:
        answers = []
        for seconds in (119.999, 0.001):
            answers.append(submit(client))
            advance(server, client, seconds)
            answers.append(submit(client))
        assert [code(answer)[0] for answer in answers] == [402, 402, 402, 202]
        assert code(answers[0])[1] == "RENDER_QUOTA_EXCEEDED"
        assert "200 of 200 render minutes used. It resets at 2026-02-01T00:00:00.000Z" in answers[0].json()["error"]


def test_the_last_job_of_a_quota_may_go_beyond_it(start_mock: Start) -> None:
    """Only what is used counts, not what is asked for; what is used is told to the full."""
    server = start_mock(Settings(clock=Mode.AUTO, scenario="quota-nearly-used", check_answers=True))
    with server.client() as client:
        assert finish(client, submit(client).json()["jobId"]) == "done"
        refused = submit(client)
        assert code(refused) == (402, "RENDER_QUOTA_EXCEEDED")
        assert client.get("/v1/usage").json()["renderMinutes"] == {"used": 200.09, "limit": 200, "remaining": 0}


@pytest.fixture
def free_plan(start_mock: Start, tmp_path: Path) -> Iterator[tuple[LiveServer, httpx.Client]]:
    """Yield a mock on which plan Free has the REST API, and a Free client on an auto clock."""
    profile = tmp_path / "behaviour.yaml"
    profile.write_text("free_plan: {rest: allowed}\n")
    server = start_mock(Settings(clock=Mode.AUTO, behaviour=profile))
    with server.client(plan="free") as client:
        yield server, client
    assert server.bugs == []


def test_the_daily_quota_of_plan_free_resets_at_midnight(free_plan: tuple[LiveServer, httpx.Client]) -> None:
    """Five minutes of output are a day's worth, and the next day there are five more."""
    server, client = free_plan
    assert finish(client, submit(client, sized(1280, 720, 300)).json()["jobId"]) == "done"
    refused = submit(client)
    advance(server, client, 86_400)
    assert "5 of 5 render minutes used. It resets at 2026-01-02T00:00:00.000Z" in refused.json()["error"]
    assert [code(refused), code(submit(client))] == [(402, "RENDER_QUOTA_DAILY_EXCEEDED"), (202, None)]


def test_the_month_s_quota_comes_before_the_day_s(free_plan: tuple[LiveServer, httpx.Client]) -> None:
    """With both used up the longer wait is told."""
    server, client = free_plan
    sandbox = server.app.mock.sandbox(client.headers["x-api-key"])
    sandbox.store.set_minutes(sandbox.clock.now(), 30, 5)
    assert code(submit(client)) == (402, "RENDER_QUOTA_EXCEEDED")


def test_plan_free_tells_what_a_day_used(free_plan: tuple[LiveServer, httpx.Client]) -> None:
    """Only a plan with a daily quota has the figure."""
    _, client = free_plan
    finish(client, submit(client).json()["jobId"])
    usage = client.get("/v1/usage").json()
    assert (usage["plan"], usage["daily"]) == ("free", {"used": 0.1, "limit": 5})
    assert usage["renderMinutes"] == {"used": 0.1, "limit": 30, "remaining": 29.9}
    assert usage["concurrentJobs"] == {"running": 0, "limit": 1}


# Plan limit


@pytest.mark.parametrize("plan", PAID)
def test_a_plan_takes_its_largest_frame_and_longest_movie(live_server: LiveServer, plan: str) -> None:
    """The limits themselves are allowed, the length as the sum of the scenes."""
    width, height = PLANS[plan].largest_frame
    half = PLANS[plan].longest_movie_seconds / 2
    with live_server.client(plan=plan) as client:
        assert submit(client, sized(width, height, half, half)).status_code == 202


@pytest.mark.parametrize("plan", PAID)
def test_a_plan_takes_no_longer_movie(live_server: LiveServer, plan: str) -> None:
    """A millisecond more is too much, and the text says how long it was."""
    longest = PLANS[plan].longest_movie_seconds
    with live_server.client(plan=plan) as client:
        refused = submit(client, sized(640, 360, longest - 1, 0.5, 0.501))
    assert code(refused) == (402, "PLAN_LIMIT_EXCEEDED")
    assert f"at most {longest:g} s" in refused.json()["error"]


@pytest.mark.parametrize(
    ("plan", "width", "height", "status"),
    [
        ("pro", 1080, 1920, 202),
        ("pro", 1080, 1080, 202),
        ("pro", 1921, 1080, 402),
        ("pro", 1920, 1081, 402),
        ("pro", 1081, 1920, 402),
        ("pro", 1500, 1500, 402),
        ("pro", 2560, 1440, 402),
        ("pro", 3840, 2160, 402),
        ("business", 2560, 1440, 202),
        ("business", 1440, 2160, 202),
        ("business", 3840, 2160, 402),
        ("enterprise", 3840, 2160, 202),
    ],
)
def test_a_frame_fits_either_way_up(
    live_server: LiveServer, plan: str, width: float, height: float, status: int
) -> None:
    """Long side is compared with long side and short with short, and no pixel more is allowed."""
    with live_server.client(plan=plan) as client:
        answer = submit(client, sized(width, height))
    assert code(answer) == (status, "PLAN_LIMIT_EXCEEDED" if status == 402 else None)
    assert status == 202 or f"Plan {plan} does not allow this movie: the frame is " in answer.json()["error"]


# Concurrency limit


@pytest.mark.parametrize("plan", ["pro", "business"])
def test_a_plan_has_so_many_jobs_at_once(live_server: LiveServer, plan: str) -> None:
    """Queued jobs count too; a slot is free again when a job ends."""
    limit = PLANS[plan].jobs_at_once or 0
    with live_server.client(plan=plan, clock="frozen") as client:
        made = [submit(client) for _ in range(limit + 1)]
        client.post(f"/v1/jobs/{made[0].json()['jobId']}/cancel")
        assert [answer.status_code for answer in made] == [202] * limit + [409]
        assert f"{limit} of {limit} are not finished" in made[-1].json()["error"]
        assert [submit(client).status_code for _ in range(2)] == [202, 409]


def test_plan_enterprise_has_any_number_of_jobs_at_once(live_server: LiveServer) -> None:
    """Unlimited is told as null."""
    with live_server.client(plan="enterprise", clock="frozen") as client:
        assert {submit(client).status_code for _ in range(20)} == {202}
        assert client.get("/v1/usage").json()["concurrentJobs"] == {"running": 20, "limit": None}


def test_plan_free_has_one_job_at_once(free_plan: tuple[LiveServer, httpx.Client]) -> None:
    """The second has to wait for the first."""
    _, client = free_plan
    assert [code(submit(client)) for _ in range(2)] == [(202, None), (409, "CONCURRENCY_LIMIT_EXCEEDED")]


def test_slots_free_themselves_when_jobs_end(live_server: LiveServer, frozen: httpx.Client) -> None:
    """Nobody has to look at a job for it to end."""
    before = [submit(frozen).status_code for _ in range(4)]
    advance(live_server, frozen, 3600)
    assert (before, submit(frozen).status_code) == ([202, 202, 202, 409], 202)


def test_an_auto_clock_moves_past_a_full_plan(client: httpx.Client) -> None:
    """A client that tries again and again gets its turn."""
    answers = [submit(client).status_code for _ in range(40)]
    assert answers[:4] == [202, 202, 202, 409]
    assert answers.count(202) > 3
    assert set(answers) == {202, 409}


# Usage


def test_usage_of_a_new_account(frozen: httpx.Client) -> None:
    """The whole shape: the calendar month, nothing used."""
    assert frozen.get("/v1/usage").json() == {
        "plan": "pro",
        "periodStart": "2026-01-01T00:00:00.000Z",
        "periodEnd": "2026-02-01T00:00:00.000Z",
        "renderMinutes": {"used": 0, "limit": 200, "remaining": 200},
        "daily": None,
        "concurrentJobs": {"running": 0, "limit": 3},
    }


def test_minutes_are_charged_when_a_job_is_done_and_not_before(live_server: LiveServer, frozen: httpx.Client) -> None:
    """Six seconds are a tenth of a minute, charged once, and deleting the job gives nothing back."""
    made = submit(frozen).json()["jobId"]
    used = []
    for seconds in (0, 25.7, 0.1, 3600):
        advance(live_server, frozen, seconds)
        usage = frozen.get("/v1/usage").json()
        used.append((usage["renderMinutes"]["used"], usage["concurrentJobs"]["running"]))
    deleted = frozen.delete(f"/v1/jobs/{made}")
    assert used == [(0, 1), (0, 1), (0.1, 0), (0.1, 0)]
    assert (deleted.status_code, frozen.get("/v1/usage").json()["renderMinutes"]["used"]) == (200, 0.1)


@pytest.mark.parametrize("scenario", ["scene-fails", "assemble-fails", "upload-fails", "render-timeout"])
def test_a_failed_job_costs_nothing(live_server: LiveServer, scenario: str) -> None:
    """Not even what was rendered of it."""
    with live_server.client(scenario=scenario) as client:
        assert finish(client, submit(client).json()["jobId"]) == "failed"
        usage = client.get("/v1/usage").json()
    assert (usage["renderMinutes"]["used"], usage["concurrentJobs"]["running"]) == (0, 0)


def test_a_cancelled_job_costs_nothing(live_server: LiveServer, frozen: httpx.Client) -> None:
    """Cancelled in its last second, it is free."""
    made = submit(frozen).json()["jobId"]
    advance(live_server, frozen, 25)
    assert frozen.post(f"/v1/jobs/{made}/cancel").json()["status"] == "cancelled"
    advance(live_server, frozen, 3600)
    assert frozen.get("/v1/usage").json()["renderMinutes"]["used"] == 0


def test_minutes_add_up(live_server: LiveServer) -> None:
    """Fractions are summed without drift."""
    with live_server.client(scenario="instant") as client:
        for _ in range(30):
            assert submit(client, sized(1280, 720, 0.1, 0.2)).status_code == 202
        assert client.get("/v1/usage").json()["renderMinutes"] == {"used": 0.15, "limit": 200, "remaining": 199.85}


def test_a_new_month_starts_at_nothing(live_server: LiveServer, frozen: httpx.Client) -> None:
    """The period is the calendar month of the clock, through a leap year's February too."""
    submit(frozen)
    advance(live_server, frozen, 31 * 86_400 - 1)
    january = frozen.get("/v1/usage").json()
    advance(live_server, frozen, 1)
    february = frozen.get("/v1/usage").json()
    assert (january["renderMinutes"]["used"], february["renderMinutes"]["used"]) == (0.1, 0)
    assert january["periodEnd"] == february["periodStart"] == "2026-02-01T00:00:00.000Z"
    assert february["periodEnd"] == "2026-03-01T00:00:00.000Z"


# The scenario of one call


def test_a_header_chooses_the_scenario_of_one_submission(client: httpx.Client) -> None:
    """The job of that call runs by it, the others as ever."""
    made = [submit(client, scenario=name).json()["jobId"] for name in (None, "scene-fails", None)]
    assert [finish(client, job) for job in made] == ["done", "failed", "done"]


def test_a_project_chooses_the_scenario_of_one_submission(client: httpx.Client) -> None:
    """For clients whose headers cannot be changed; the project is echoed as it was sent."""
    made = submit(client, movie(projectId="proj_mock_scene-fails")).json()["jobId"]
    assert finish(client, made) == "failed"
    assert client.get(f"/v1/jobs/{made}").json()["payload"]["projectId"] == "proj_mock_scene-fails"


def test_an_underscore_in_a_project_stands_for_a_hyphen(client: httpx.Client) -> None:
    """Ids rarely have hyphens."""
    assert finish(client, submit(client, movie(projectId="proj_mock_scene_fails")).json()["jobId"]) == "failed"


def test_the_header_goes_before_the_project(client: httpx.Client) -> None:
    """Of two choices the nearer one holds."""
    both = submit(client, movie(projectId="proj_mock_scene-fails"), "upload-fails")
    made = both.json()["jobId"]
    finish(client, made)
    assert client.get(f"/v1/jobs/{made}").json()["error"].startswith("UPLOAD_FAILED: ")


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        ("quota-exceeded", (402, "RENDER_QUOTA_EXCEEDED")),
        ("daily-cap", (402, "RENDER_QUOTA_DAILY_EXCEEDED")),
        ("plan-too-small", (402, "PLAN_LIMIT_EXCEEDED")),
        ("free-plan", (403, "FORBIDDEN")),
        ("revoked-key", (401, "API_KEY_REVOKED")),
        ("enterprise", (202, None)),
        ("happy", (202, None)),
    ],
)
@pytest.mark.parametrize("way", ["header", "project"])
def test_a_scenario_holds_for_its_call_only(
    client: httpx.Client, scenario: str, expected: tuple[int, str | None], way: str
) -> None:
    """Account, quota and plan are the scenario's for that call, and as before for the next."""
    if way == "header":
        answer = submit(client, movie(), scenario)
    else:
        answer = submit(client, movie(projectId=f"proj_mock_{scenario}"))
    assert code(answer) == expected
    assert submit(client, movie()).status_code == 202
    assert client.get("/v1/me").json()["plan"] == "pro"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("hapy", 'Did you mean "happy"?'),
        ("scene-fail", 'Did you mean "scene-fails"?'),
        ("qqq", "Known: "),
        ("../happy", "there is no scenario"),
        ("happy.yaml", "there is no scenario"),
        ("HAPPY", "there is no scenario"),
        ("%00", "there is no scenario"),
    ],
)
def test_an_unknown_scenario_is_refused_with_the_nearest_name(client: httpx.Client, name: str, told: str) -> None:
    """By header and by project alike; nothing is submitted, and the place is named."""
    answers = [submit(client, scenario=name), submit(client, movie(projectId=f"proj_mock_{name}"))]
    assert [code(answer) for answer in answers] == [(400, "VALIDATION_ERROR")] * 2
    assert [told in answer.json()["error"] for answer in answers] == [True, True]
    assert ["header.x-mock-scenario" in answers[0].text, "$.projectId" in answers[1].text] == [True, True]


@pytest.mark.parametrize("form", ["{}", "scene_{}_001", "assemble_{}"])
def test_a_job_stays_under_its_scenario(live_server: LiveServer, frozen: httpx.Client, form: str) -> None:
    """Calls about it, its children too, are limited as it was; other calls are not."""
    made = submit(frozen, movie(projectId="proj_mock_rate-limited")).json()["jobId"]
    path = f"/v1/jobs/{form.format(made)}"
    about = [frozen.get(path).status_code for _ in range(3)]
    others = [frozen.get("/v1/me").status_code, submit(frozen).status_code, frozen.get("/v1/jobs").status_code]
    advance(live_server, frozen, 61)
    assert (about, others) == ([200, 200, 429], [200, 202, 200])
    assert frozen.get(path).status_code == 200


def test_a_header_goes_before_the_scenario_of_a_job(frozen: httpx.Client) -> None:
    """What is asked for with a call holds for that call."""
    made = submit(frozen, movie(projectId="proj_mock_rate-limited")).json()["jobId"]
    answers = [frozen.get(f"/v1/jobs/{made}", headers={"x-mock-scenario": "happy"}).status_code for _ in range(6)]
    assert answers == [200] * 6


def refusal(used: float) -> str | None:
    """Return the code with which a movie of a tenth of a minute is refused under a quota of 200, or None."""
    plan = replace(PLANS["pro"], minutes_per_month=200)
    limits = PlanLimits(plan, replace(BehaviourProfile(), quota_check="forecast"), EPOCH)
    try:
        limits.check(6, (100, 100), lambda _: Usage(used, 0, dict.fromkeys(Status, 0)))
    except ApiError as refused:
        return refused.code
    return None


@pytest.mark.parametrize(
    ("used", "expected"), [(199.9, None), (199.901, "RENDER_QUOTA_EXCEEDED"), (200, "RENDER_QUOTA_EXCEEDED")]
)
def test_a_forecast_admits_a_movie_that_uses_up_the_quota_exactly(used: float, expected: str | None) -> None:
    """`quota.check: forecast` refuses what would go beyond it."""
    assert refusal(used) == expected
