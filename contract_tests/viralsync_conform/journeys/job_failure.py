"""A job that fails: what it says, what it costs, and what can be done with it."""

from __future__ import annotations

from typing import Any

from viralsync_conform.calls import Exchange
from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.findings import Check
from viralsync_conform.journeys.account import check_free, usage_of
from viralsync_conform.journeys.job_lifecycle import (
    CLOSING_SECONDS,
    ObservedJob,
    check_end_of_stream,
    check_transitions,
    closing_seconds,
    poll_until,
    read_ended_stream,
    slow_movie,
)
from viralsync_conform.run.job_invariants import COUNTERS
from viralsync_conform.run.journey import journey
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.run.submissions import settle_budget, submit

FAILS = {
    "name": "second-scene-fails",
    "description": "The second of three scenes fails while the first is under way.",
    "account": {"plan": "pro"},
    "job": {
        "scene": {"at_least": "10s"},
        "fail": {"scene": 2, "at": "50%", "error": "SCENE_RENDER_FAILED: FFmpeg exited with code 1"},
    },
}
NOWHERE = "https://assets.conform.invalid/none.mp4"
"""An asset that nobody can have: no name server knows a host below `.invalid`."""

WHILE_FAILED = 2.0
THREE = {"scenes": [{"id": f"scene-{number}", "duration": 0.3} for number in (1, 2, 3)]}


@journey("failing", "A job with a failing scene fails, says why, and costs nothing.", 34, needs_control=True)
def failing(context: JourneyContext) -> None:
    unlucky = context.as_account(context.run.target.account("unlucky", scenario=FAILS))
    before = usage_of(unlucky, "usage before a failure")
    job = submit(
        unlucky, step="submit to fail", movie=THREE, renderOptions={"requestedConcurrency": 2}, **context.run.callback()
    )
    life = ObservedJob(job)
    with unlucky.stream(job.id, step="stream a failing life") as stream:
        poll_until(unlucky, life)
        life.closed_in_time = stream.wait_closed(CLOSING_SECONDS)
    call = life.last
    context.run.shared["failed"] = life
    context.check_equal(FAILS_TOO, "failed", life.status, call)
    polls = [poll for poll in life.polls if poll.is_success]
    check_transitions(unlucky, polls, [poll.document for poll in polls])
    if stream.call is not None and stream.events:
        check_transitions(unlucky, [stream.call], [event.document for event in stream.events])
        last = stream.events[-1].document
        context.check_equal(facts.TERMINAL_EVENT, life.status, last.get("status"), stream.call)
        context.check_equal(
            facts.AGREES, call.document.get("error"), last.get("error"), stream.call, call, name="error"
        )
        context.check(facts.CLOSES, life.closed_in_time, stream.call)
    _siblings(unlucky, life)
    _afterwards(unlucky, life, before)


FAILS_TOO = Check("failure_of_a_scene", "A job whose scene fails, fails.", facts.D, facts.PIPELINE)


def _siblings(context: JourneyContext, life: ObservedJob) -> None:
    """The scene that was under way has ended well; the one that had not begun never did."""
    children = life.last.document.get("children")
    counts = {name: children.get(name) for name in COUNTERS} if isinstance(children, dict) else {}
    context.check(
        facts.SCENE_FAILS, counts.get("failed") == 1, life.last, expected="1 failed", got=counts, name="failed"
    )
    context.check(SIBLINGS, counts.get("succeeded") == 1, life.last, expected="1 succeeded", got=counts)


FAILED_SCENE = Check("failed_scene", "The scene that failed is read by the id of the samples.", facts.S, facts.JOBS)
SIBLINGS = Check(
    "siblings", "Scenes in flight finish when another fails, and no new one starts.", facts.A, facts.PIPELINE
)


def _afterwards(context: JourneyContext, life: ObservedJob, before: Exchange) -> None:
    path = {"jobId": life.job.id}
    child = context.call(
        "getJob", 200, fact=facts.CHILD_READ, path={"jobId": f"scene_{life.job.id}_002"}, step="read the failed scene"
    )
    if child.is_success:
        context.check_equal(FAILED_SCENE, "failed", child.document.get("status"), child, name="scene")
    context.call(
        "cancelJob", "INVALID_STATE_TRANSITION", fact=facts.CANCEL_TERMINAL, path=path, step="cancel a failed job"
    )
    check_free(context, before, usage_of(context, "usage after a failure"), "failed")
    read_ended_stream(context, life.job.id, "failed", "stream of a failed job")
    context.call("deleteJob", 200, path=path, step="delete a failed job", is_repeatable=False)
    context.call("getJob", "JOB_NOT_FOUND", fact=facts.DELETES, path=path, step="read a deleted failed job")


@journey(
    "failing_asset",
    "A job with an asset that cannot be had fails, says why, stays failed and costs nothing.",
    44,
    renders=True,
    is_real=True,
)
def failing_asset(context: JourneyContext) -> None:
    """Point a layer at a host that cannot exist; a target that renders all the same shows nothing here."""
    before = usage_of(context, "usage before a failure")
    job = submit(
        context, step="submit with an asset that is nowhere", **_broken_movie(context), **context.run.callback()
    )
    life = ObservedJob(job)
    with context.stream(job.id, step="stream a failing life") as stream:
        poll_until(context, life, stream=stream)
        life.closed_in_time = not life.is_given_up and stream.wait_closed(closing_seconds(context))
    life.stream = stream.call
    settle_budget(context, job, life.status)
    if life.is_given_up:
        raise context.stop(f"the job is still {life.status}", life.last)
    if life.stream is not None:
        check_end_of_stream(context, life.stream, life, life.status)
    polls = [poll for poll in life.polls if poll.is_success]
    check_transitions(context, polls, [poll.document for poll in polls])
    if life.status != "failed":
        return
    context.run.shared["failed"] = life
    children = life.last.document.get("children")
    if isinstance(children, dict):
        context.check_equal(facts.SCENE_FAILS, 1, children.get("failed"), life.last, name="failed")
        context.check(facts.SCENE_FAILS, bool(children.get("succeeded")), life.last, got=children, name="at once")
    context.wait(WHILE_FAILED)
    later = context.call("getJob", 200, path={"jobId": job.id}, step="read a failed job after a while")
    context.check_equal(facts.STAYS, "failed", later.document.get("status"), later, life.last)
    check_free(context, before, usage_of(context, "usage after a failure"), "failed")


def _broken_movie(context: JourneyContext) -> dict[str, Any]:
    changes = slow_movie(context, scenes=4, workers=2)
    changes["movie"]["scenes"][1]["layers"] = [{"type": "video", "src": NOWHERE, "url": NOWHERE}]
    return changes


@journey("deleting_failed", "A job that has failed can be deleted.", 4, renders=True, is_real=True)
def deleting_failed(context: JourneyContext) -> None:
    life: ObservedJob | None = context.run.shared.get("failed")
    if life is None:
        return
    call = context.call("deleteJob", 200, path={"jobId": life.job.id}, step="delete a failed job", is_repeatable=False)
    if call.is_success:
        context.run.deleted.add(life.job.id)
        context.run.budget.unclean_jobs -= 1
