"""A job that fails: what it says, what it costs, and what can be done with it."""

from __future__ import annotations

from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.findings import Check
from viralsync_conform.journeys.account import usage_of, used
from viralsync_conform.journeys.job_lifecycle import CLOSING_SECONDS, ObservedJob, check_transitions, poll_until
from viralsync_conform.run.job_invariants import COUNTERS
from viralsync_conform.run.journey import journey
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.run.submissions import submit

FAILS = {
    "name": "second-scene-fails",
    "description": "The second of three scenes fails while the first is under way.",
    "account": {"plan": "pro"},
    "job": {
        "scene": {"at_least": "10s"},
        "fail": {"scene": 2, "at": "50%", "error": "SCENE_RENDER_FAILED: FFmpeg exited with code 1"},
    },
}
THREE = {"scenes": [{"id": f"scene-{number}", "duration": 0.3} for number in (1, 2, 3)]}


@journey(
    "failing",
    "A job with a failing scene fails, says why, and costs nothing.",
    34,
    needs_control=True,
)
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
    _afterwards(unlucky, life, used(before))


FAILS_TOO = Check("failure_of_a_scene", "A job whose scene fails, fails.", facts.D, facts.PIPELINE)


def _siblings(context: JourneyContext, life: ObservedJob) -> None:
    """The scene that was under way has ended well; the one that had not begun never did."""
    children = life.last.document.get("children")
    counts = {name: children.get(name) for name in COUNTERS} if isinstance(children, dict) else {}
    context.check(
        facts.SCENE_FAILS, counts.get("failed") == 1, life.last, expected="1 failed", got=counts, name="failed"
    )
    context.check(SIBLINGS, counts.get("succeeded") == 1, life.last, expected="1 succeeded", got=counts)


SIBLINGS = Check(
    "siblings", "Scenes in flight finish when another fails, and no new one starts.", facts.A, facts.PIPELINE
)


def _afterwards(context: JourneyContext, life: ObservedJob, before: float | None) -> None:
    path = {"jobId": life.job.id}
    child = context.call(
        "getJob", 200, fact=facts.CHILD_READ, path={"jobId": f"scene_{life.job.id}_002"}, step="read the failed scene"
    )
    if child.is_success:
        context.check_equal(facts.SCENE_FAILS, "failed", child.document.get("status"), child, name="scene")
    context.call(
        "cancelJob", "INVALID_STATE_TRANSITION", fact=facts.CANCEL_TERMINAL, path=path, step="cancel a failed job"
    )
    usage = usage_of(context, "usage after a failure")
    after = used(usage)
    if before is not None and after is not None:
        context.check(facts.NOT_CHARGED, abs(after - before) < 1e-6, usage, expected=before, got=after, name="failed")
    with context.stream(life.job.id, step="stream of a failed job") as stream:
        closed = stream.wait_closed(CLOSING_SECONDS)
    told = [event.document.get("status") for event in stream.events]
    if stream.call is not None:
        context.check(facts.ONE_EVENT, told == ["failed"] and closed, stream.call, expected=["failed"], got=told)
    context.call("deleteJob", 200, path=path, step="delete a failed job", is_repeatable=False)
    context.call("getJob", "JOB_NOT_FOUND", fact=facts.DELETES, path=path, step="read a deleted failed job")
