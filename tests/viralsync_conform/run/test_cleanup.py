"""What a run leaves behind: nothing, whatever happened, and what it cannot remove it names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import orjson
import pytest
from tests.conftest import LiveServer, movie
from tests.support.fake_target import Api, answer, found, html, refusal, trip_of
from tests.support.results import spec

from viralsync_conform.conformance import Options, conform, new_run
from viralsync_conform.result import Result
from viralsync_conform.run.cleanup import QUIET_SECONDS, clean, sweep
from viralsync_conform.run.context import RunContext
from viralsync_conform.run.http_client import HttpClient
from viralsync_conform.run.journey import journey
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.run.submissions import TITLE, submission, submit
from viralsync_conform.target import open_target

JOB = "job_0123456789ab"
EXAMPLES = spec().document["components"]["examples"]
GET, DELETE, CANCEL = f"GET /v1/jobs/{JOB}", f"DELETE /v1/jobs/{JOB}", f"POST /v1/jobs/{JOB}/cancel"
MADE = answer(202, {"jobId": JOB, "status": "queued"})
QUEUED = answer(200, {**EXAMPLES["queuedJob"]["value"], "jobId": JOB})
CANCELLED = answer(200, {**EXAMPLES["cancelledJob"]["value"], "jobId": JOB})
DELETED = answer(200, {"jobId": JOB, "deleted": True})


@journey("three_jobs", "Leaves jobs behind.", 9, renders=True)
def three_jobs(context: JourneyContext) -> None:
    """One job is rendered, one is cancelled, one is left as it is."""
    first, second = submit(context), submit(context)
    context.account.clock.wait(60)
    third = submit(context)
    context.call("cancelJob", 200, path={"jobId": third.id})
    assert first.id != second.id


@journey("breaking_off", "Leaves jobs behind.", 9, renders=True)
def breaking_off(context: JourneyContext) -> None:
    """A bug of the kit, right after a submission."""
    submit(context)
    raise ZeroDivisionError("oh")


@journey("interrupted", "Leaves jobs behind.", 9, renders=True)
def interrupted(context: JourneyContext) -> None:
    """Somebody presses Ctrl-C, right after a submission."""
    submit(context)
    raise KeyboardInterrupt


def left(live_server: LiveServer, key: str) -> list[dict[str, Any]]:
    with live_server.client(key) as client:
        jobs: list[dict[str, Any]] = client.get("/v1/jobs", params={"limit": 100}).json()["jobs"]
        return jobs


def made(live_server: LiveServer, key: str, *journeys: Any) -> Result:
    options = Options(target=live_server.base_url, key=key, profile="nightly", has_fidelity=False)
    return conform(options, journeys)


@pytest.mark.parametrize("story", [three_jobs, breaking_off, interrupted])
def test_nothing_is_left_whatever_happens(live_server: LiveServer, story: Any) -> None:
    """Jobs in every status are cancelled and deleted: at the end, after a bug, and after Ctrl-C."""
    key = live_server.new_key()
    result = made(live_server, key, story)
    assert left(live_server, key) == []
    assert (result.unclean, result.budget.reserved) == ((), pytest.approx(0.0))


def test_an_interrupt_ends_the_journeys_and_is_told(live_server: LiveServer) -> None:
    """No journey follows, and the run is never green."""
    result = made(live_server, live_server.new_key(), interrupted, three_jobs)
    assert result.journeys == ()
    assert "interrupt" in {finding.check for finding in result.findings if finding.category == "inconclusive"}


class Losing(httpx2.BaseTransport):
    """Passes calls on, and takes the ids, or the whole answer, from what submissions are answered."""

    def __init__(self, lose: Callable[[httpx2.Response], httpx2.Response]) -> None:
        self._lose, self._inner = lose, httpx2.HTTPTransport(verify=False)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Pass a call on."""
        response = self._inner.handle_request(request)
        if request.url.path == "/v1/render/jobs":
            response.read()
            response.close()
            return self._lose(response)
        return response

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()


def without_id(response: httpx2.Response) -> httpx2.Response:
    return httpx2.Response(response.status_code, json={"status": "queued"})


def with_odd_id(response: httpx2.Response) -> httpx2.Response:
    return httpx2.Response(response.status_code, json={**orjson.loads(response.content), "jobId": ["odd"]})


def cut_off(_: httpx2.Response) -> httpx2.Response:
    raise httpx2.ReadError("connection reset")


@contextmanager
def losing(
    live_server: LiveServer, key: str, lose: Callable[[httpx2.Response], httpx2.Response]
) -> Iterator[RunContext]:
    with open_target(live_server.base_url, key, "7") as target, httpx2.Client(transport=Losing(lose)) as http:
        target.http.close()
        target.http = http
        yield new_run(Options(target=live_server.base_url, key=key, seed="7"), target)


@pytest.mark.parametrize("lose", [without_id, with_odd_id, cut_off, lambda _: html(502)])
def test_a_job_whose_id_was_lost_is_found_by_its_project(
    live_server: LiveServer, lose: Callable[[httpx2.Response], httpx2.Response]
) -> None:
    """The answer is gone, the job is not: it is looked for, cancelled and deleted, and no other job is touched."""
    key = live_server.new_key(clock="frozen")
    with live_server.client(key) as client:
        foreign = client.post("/v1/render/jobs", json=movie()).json()["jobId"]
    with losing(live_server, key, lose) as run:
        client = HttpClient(run)
        JourneyContext(run, client, "journey").call(
            "submitRenderJob", 202, body=submission(run.project_id), is_repeatable=False
        )
        assert len(left(live_server, key)) == 2
        clean(run, client)
    assert [job["jobId"] for job in left(live_server, key)] == [foreign]
    assert run.unclean == []


def test_what_was_listed_before_is_not_adopted(live_server: LiveServer) -> None:
    """A run of the same seed may be under way on the same account: its jobs bear the same mark, and stay."""
    key = live_server.new_key(clock="frozen")
    with losing(live_server, key, without_id) as run:
        with live_server.client(key) as client:
            foreign = client.post("/v1/render/jobs", json=submission(run.project_id)).json()["jobId"]
        client = HttpClient(run)
        context = JourneyContext(run, client, "journey")
        context.call("listJobs", 200)
        context.call("submitRenderJob", 202, body=submission(run.project_id), is_repeatable=False)
        clean(run, client)
    assert [job["jobId"] for job in left(live_server, key)] == [foreign]


def cleaned(**scripted: list[httpx2.Response | Exception]) -> tuple[RunContext, Api]:
    """Return a run that made one job and cleaned up, on a target that answers so."""
    routes = {"get": GET, "delete": DELETE, "cancel": CANCEL}
    well = {"POST /v1/render/jobs": [MADE], GET: [QUEUED], CANCEL: [CANCELLED], DELETE: [DELETED]}
    api = Api({**well, **{routes[name]: told for name, told in scripted.items()}})
    context = trip_of(api)
    submit(context)
    clean(context.run, context.client)
    return context.run, api


def test_a_job_is_looked_at_cancelled_and_deleted() -> None:
    """What has ended needs no cancel, and what is gone no deletion; then nothing is reserved any more."""
    run, api = cleaned()
    assert api.routes[1:] == [GET, CANCEL, DELETE]
    assert (run.unclean, run.budget.reserved, run.budget.is_cleaning) == ([], 0.0, True)
    run, api = cleaned(get=[CANCELLED])
    assert (api.routes[1:], run.unclean) == ([GET, DELETE], [])
    run, api = cleaned(get=[refusal(404, "JOB_NOT_FOUND")])
    assert (api.routes[1:], run.unclean) == ([GET], [])


@pytest.mark.parametrize(
    "told",
    [
        {"delete": [refusal(409, "INVALID_STATE_TRANSITION")]},
        {"cancel": [refusal(409, "INVALID_STATE_TRANSITION")], "delete": [refusal(409, "INVALID_STATE_TRANSITION")]},
        {"delete": [html(502)]},
        {"get": [httpx2.ConnectError("refused")], "delete": [httpx2.ConnectError("refused")]},
    ],
)
def test_what_cannot_be_deleted_is_named(told: dict[str, list[httpx2.Response | Exception]]) -> None:
    """The owner of the account can finish what the run could not."""
    run, _ = cleaned(**told)
    assert run.unclean == [JOB]


def test_a_target_that_is_away_is_not_asked_for_ever() -> None:
    """The clean-up ends with the run, and says that it is not finished."""
    api = Api({"POST /v1/render/jobs": [MADE]})
    context = trip_of(api)
    submit(context)
    api.everywhere = [refusal(503, "SERVICE_UNAVAILABLE")] * 99
    clean(context.run, context.client)
    assert context.run.unclean == [JOB]
    assert ("inconclusive", "clean_up") in found(context.run)
    assert len(api.asked) < 20


def test_an_id_that_the_guard_does_not_trust_keeps_no_job_from_being_deleted() -> None:
    """A target that answers with an odd id is told about; the other jobs are cleaned all the same."""
    api = Api({"POST /v1/render/jobs": [answer(202, {"jobId": "../me", "status": "queued"}), MADE],
               GET: [QUEUED], CANCEL: [CANCELLED], DELETE: [DELETED],
               "GET /v1/jobs/../me": [QUEUED]})  # fmt: skip
    context = trip_of(api)
    submit(context)
    submit(context)
    clean(context.run, context.client)
    assert context.run.unclean == ["../me"]
    assert DELETE in api.routes
    assert {request.method for request in api.asked if JOB not in request.url.path} == {"GET", "POST"}


OLD = "job_00000000001d"
OTHER = {**EXAMPLES["doneJob"]["value"], "jobId": "job_0000000000ff"}


def left_over(job_id: str = OLD, example: str = "renderingJob", at: str = "2026-01-01T00:00:00.000Z") -> dict[str, Any]:
    """Return a job that an earlier run has made, as its mark shows."""
    payload = {"projectId": "proj_demo01", "movie": {"title": TITLE}}
    return {**EXAMPLES[example]["value"], "jobId": job_id, "payload": payload, "createdAt": at}


def listing(*jobs: dict[str, Any], now: str) -> httpx2.Response:
    return answer(200, {"jobs": [*jobs, OTHER], "nextCursor": None}, date=now)


def swept(*pages: httpx2.Response, job: dict[str, Any]) -> tuple[RunContext, list[str]]:
    """Sweep an account whose list is read so; return the run and what was sent to jobs."""
    paths = {each: f"/v1/jobs/{each}" for each in (OLD,)}
    cancelled = answer(200, {**CANCELLED.json(), "jobId": OLD})
    api = Api({"GET /v1/jobs": list(pages), f"GET {paths[OLD]}": [answer(200, job), cancelled],
               f"POST {paths[OLD]}/cancel": [cancelled], f"DELETE {paths[OLD]}": [DELETED]})  # fmt: skip
    run = trip_of(api).run
    sweep(run, HttpClient(run))
    return run, [route for route in api.routes if not route.endswith("/v1/jobs")]


@pytest.mark.parametrize("example", ["renderingJob", "doneJob"])
def test_what_a_killed_run_has_left_is_found_by_its_mark(example: str) -> None:
    """It is cancelled if it goes on, deleted, and named in the report; other jobs are left alone."""
    job = left_over(example=example)
    run, routes = swept(listing(job, now="Thu, 01 Jan 2026 01:00:00 GMT"), job=job)
    assert (f"POST /v1/jobs/{OLD}/cancel" in routes, routes[-1]) == (
        example == "renderingJob",
        f"DELETE /v1/jobs/{OLD}",
    )
    assert [OLD in note and "removed" in note for note in run.notes] == [True]
    assert not any(OTHER["jobId"] in route for route in routes)


def test_a_run_that_may_still_go_on_is_waited_for() -> None:
    """A job made a moment ago may be that of a run which is not dead: that shows in two minutes."""
    job, now = left_over(), "Thu, 01 Jan 2026 00:00:10 GMT"
    run, routes = swept(listing(job, now=now), job=job)
    assert run.target.main.clock.waits == [QUIET_SECONDS - 10]  # type: ignore[attr-defined]
    assert routes[-1] == f"DELETE /v1/jobs/{OLD}"
    newer = left_over("job_00000000002d", at="2026-01-01T00:01:00.000Z")
    run, routes = swept(listing(job, now=now), listing(newer, job, now=now), job=job)
    assert (routes, run.notes) == ([], ["another run uses this account just now: its jobs were left alone"])


def test_what_has_ended_a_moment_ago_is_left_for_the_end() -> None:
    """It takes no slot: nothing waits for it, and the clean-up looks again."""
    job = left_over(example="doneJob")
    run, routes = swept(listing(job, now="Thu, 01 Jan 2026 00:00:10 GMT"), job=job)
    assert routes == []
    assert run.shared["left behind"] == [OLD]
