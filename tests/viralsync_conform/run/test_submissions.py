"""What a run submits, and whose the jobs are that come of it."""

from __future__ import annotations

import json

import httpx2
import pytest
from tests.support.fake_target import KEY, Api, FakeClock, answer, found, html, refusal, trip_of
from tests.support.results import spec

from viralsync_conform.budget import Budget, BudgetSpentError, worst_case
from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.run.context import StopJourneyError
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.run.submissions import (
    TITLE,
    cancel,
    cancel_when_possible,
    fitting,
    is_marked,
    refused,
    settle_budget,
    submission,
    submit,
)
from viralsync_conform.target import Account

JOB = "job_0123456789ab"
SUBMIT = "POST /v1/render/jobs"
CANCEL, DELETE = f"POST /v1/jobs/{JOB}/cancel", f"DELETE /v1/jobs/{JOB}"
MADE = answer(202, {"jobId": JOB, "status": "queued"})
CANCELLED = answer(200, {**spec().document["components"]["examples"]["cancelledJob"]["value"], "jobId": JOB})
SECOND = 1 / 60


def context(*answers: httpx2.Response | Exception, **options: Budget) -> tuple[JourneyContext, Api]:
    api = Api({SUBMIT: list(answers), CANCEL: [CANCELLED]})
    return trip_of(api, **options), api


def test_a_submission_is_a_second_long_and_marked_as_ours() -> None:
    """Whatever a run makes can be told by its project, and costs a sixtieth of a minute."""
    there, api = context(MADE)
    job = submit(there)
    sent = json.loads(api.asked[0].content)
    assert sent == submission(there.run.project_id) == job.body
    assert worst_case(sent) == pytest.approx(SECOND)
    assert sent["projectId"].startswith("proj_conform_")


def test_a_job_that_was_made_is_in_the_runs_care() -> None:
    """It is owned, listed to be cleaned, and its worst case stays reserved until its end is known."""
    there, _ = context(MADE)
    job = submit(there)
    assert (there.run.guard.created, list(there.run.jobs)) == ([JOB], [JOB])
    assert there.run.budget.reserved == pytest.approx(SECOND)
    assert there.run.budget.unclean_jobs == 1
    for _ in range(2):
        settle_budget(there, job, "done")
    assert (there.run.budget.reserved, there.run.budget.charged) == (0.0, pytest.approx(SECOND))


def test_what_cannot_be_paid_for_is_not_submitted() -> None:
    """The wall stands before the call."""
    there, api = context(MADE, budget=Budget(99, 0.01))
    with pytest.raises(BudgetSpentError):
        submit(there)
    assert api.asked == []


def test_a_refused_submission_costs_nothing() -> None:
    """Its reservation is given back, and no job is looked for."""
    there, _ = context(refusal(400, "VALIDATION_ERROR"))
    with pytest.raises(StopJourneyError, match="no job was made"):
        submit(there)
    assert (there.run.budget.reserved, there.run.jobs) == (0.0, {})


@pytest.mark.parametrize(
    "lost",
    [answer(202, {"status": "queued"}), answer(202, {"jobId": 7}), answer(202), html(502), httpx2.ReadTimeout("slow")],
)
def test_what_may_have_made_a_job_stays_reserved(lost: httpx2.Response | Exception) -> None:
    """Without an id nobody knows whether a job is rendered: it may still be charged."""
    there, _ = context(lost)
    with pytest.raises(StopJourneyError):
        submit(there)
    assert there.run.budget.reserved == pytest.approx(SECOND)


def test_what_should_have_been_refused_is_cancelled_at_once() -> None:
    """The deviation is found, and it costs nothing."""
    there, api = context(MADE)
    refused(there, "VALIDATION_ERROR", facts.NO_REFUSAL, step="no kind", kind=None)
    assert api.routes == [SUBMIT, CANCEL, DELETE]
    assert ("failure", "refusal") in found(there.run)
    assert (there.run.budget.reserved, there.run.budget.charged) == (0.0, 0.0)


def test_a_job_that_was_there_before_is_not_taken_for_ours() -> None:
    """A target that answers with an older job's id cannot make the run cancel or delete it."""
    there, api = context(MADE)
    old = {**spec().document["components"]["examples"]["doneJob"]["value"], "jobId": JOB}
    api.scripted["GET /v1/jobs"] = [answer(200, {"jobs": [old], "nextCursor": None})]
    there.call("listJobs", 200)
    with pytest.raises(StopJourneyError):
        submit(there)
    assert (there.run.guard.created, there.run.jobs) == ([], {})
    assert ("difference", "new_job") in found(there.run)


def test_a_job_of_ours_that_is_answered_twice_stays_ours() -> None:
    """Listing it between two submissions does not make it foreign."""
    there, api = context(MADE)
    submit(there)
    ours = {**spec().document["components"]["examples"]["queuedJob"]["value"], "jobId": JOB}
    api.scripted["GET /v1/jobs"] = [answer(200, {"jobs": [ours], "nextCursor": None})]
    there.call("listJobs", 200)
    submit(there)
    assert there.run.guard.created == [JOB]


def test_a_throwaway_account_costs_requests_only() -> None:
    """What a mock's spare sandbox renders is nobody's minutes, and goes away with it."""
    there, _ = context(MADE, budget=Budget(9, 0.0))
    other = Account("spare", KEY, FakeClock())
    there.run.target.opened["spare"] = other
    submit(there.as_account(other))
    assert (there.run.budget.reserved, there.run.jobs, there.run.guard.created) == (0.0, {}, [JOB])


GET = f"GET /v1/jobs/{JOB}"
EXAMPLES = spec().document["components"]["examples"]


def job_like(example: str, **changes: object) -> httpx2.Response:
    return answer(200, {**EXAMPLES[example]["value"], "jobId": JOB, **changes})


@pytest.mark.parametrize(("succeeded", "expected"), [(0, {("failure", "cancels")}), (3, set())])
def test_a_cancelled_job_is_not_done_without_its_scenes(succeeded: int, expected: set[tuple[str, str]]) -> None:
    """It may have been done a moment before; then its scenes are."""
    children = {"total": 3, "succeeded": succeeded, "running": 0, "queued": 3 - succeeded, "failed": 0}
    done = job_like("doneJob", children=children)
    there = trip_of(Api({SUBMIT: [MADE], CANCEL: [answer(200, {"ok": True})], GET: [done], DELETE: [answer(204)]}))
    cancel(there, submit(there))
    assert {each for each in found(there.run) if each[1] == "cancels"} == expected


def test_a_running_job_can_be_cancelled() -> None:
    """A refusal while it is queued is open, while it has ended nobody's fault; while it runs it breaks the contract."""
    conflict = refusal(409, "INVALID_STATE_TRANSITION")
    for looks, expected in (
        ([job_like("renderingJob")], [("failure", "status")]),
        ([job_like("queuedJob"), job_like("doneJob")], []),
    ):
        there = trip_of(Api({CANCEL: [conflict], GET: looks}))
        there.run.guard.own(JOB)
        cancel_when_possible(there, JOB, "cancel")
        assert [each for each in found(there.run) if each[0] == "failure"] == expected


def test_jobs_of_the_kit_are_known_by_their_marks() -> None:
    """By title, project or scene, whatever else the payload has or lacks."""
    marked = [
        {"movie": {"title": TITLE}},
        {"projectId": "proj_conform_7"},
        {"movie": {"scenes": [{"id": "conform-a"}]}},
    ]
    others = [None, {}, {"projectId": "proj_1", "movie": {"title": "x", "scenes": [{"id": "a"}, 3]}}, {"movie": []}]
    assert [is_marked({"payload": each}) for each in (*marked, *others)] == [True] * 3 + [False] * 4


@pytest.mark.parametrize(("plan", "frame"), [("free", {"width": 1280, "height": 720}), ("pro", {}), ("gold", {})])
def test_a_movie_fits_the_plan(plan: str, frame: dict[str, int]) -> None:
    """Where the plan has no room for the default frame, a movie says how large it is."""
    there = trip_of(Api({"GET /v1/me": [answer(200, {"userId": "u", "plan": plan, "email": "a@example.com"})]}))
    there.call("getMe", 200)
    assert fitting(there.run) == frame
