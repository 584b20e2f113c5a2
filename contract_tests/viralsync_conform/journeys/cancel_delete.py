"""Cancelling and deleting, in every status that a job can have."""

from __future__ import annotations

from viralsync_conform.calls import TERMINAL, Exchange
from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.findings import Check
from viralsync_conform.journeys.account import check_free, usage_of
from viralsync_conform.journeys.job_lifecycle import (
    ObservedJob,
    check_end_of_stream,
    check_transitions,
    closing_seconds,
    completed_job,
    ended_job,
    poll_until,
    read_ended_stream,
    slow_movie,
    state_of,
)
from viralsync_conform.run.job_invariants import jobs_of, known_of
from viralsync_conform.run.journey import journey
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.run.submissions import CONFLICT, Job, settle_budget, submit, wait_terminal
from viralsync_conform.target.event_stream import Stream

WHILE_CANCELLED, WHILE_CANCELLED_FOR_REAL = 30.0, 3.0
"""Seconds in which a job that was not really cancelled would go on: for a mock, and in real time."""

MAX_STEPS = 4
"""How many looks a job is given to make some progress before it is cancelled."""

FAR_FROM_DONE = 0.7
LAST_FIELDS = ("status", "progress", "error")


@journey(
    "cancelling",
    "A job that is cancelled while it renders stops there: for its page, its stream, its children and the ledger.",
    40,
    renders=True,
)
def cancelling(context: JourneyContext) -> None:
    before = usage_of(context, "usage before a cancel")
    job = submit(context, step="submit to be cancelled", **slow_movie(context))
    life = ObservedJob(job)
    with context.stream(job.id, step="stream a cancelled life", auth="bearer") as stream:
        poll_until(context, life, until=("waiting", "running"))
        if life.status in TERMINAL:
            settle_budget(context, job, life.status)
            raise context.stop(f"the job was {life.status} before it could be cancelled", life.last)
        _meanwhile(context, life, before)
        refused = _delete_while_it_runs(context, life, stream)
        is_early = (life.last.document.get("progress") or 0) < FAR_FROM_DONE
        cancel = context.call(
            "cancelJob", 200, path={"jobId": job.id}, step="cancel while it runs", is_repeatable=False
        )
        if not refused.is_success and cancel.is_success:
            ended = wait_terminal(context, job.id, "read a cancelled job")
        life.closed_in_time = stream.wait_closed(closing_seconds(context))
    life.stream = stream.call
    if refused.is_success or not cancel.is_success:
        raise context.stop("the job was not cancelled while it ran", refused, cancel)
    settle_budget(context, job, ended.document.get("status"))
    context.run.shared["cancelled"] = job
    if not _is_cancelled(context, life, cancel, ended, is_early=is_early):
        return
    _stands_still(context, job, ended)
    _stream_of_cancelled(context, life)
    _again(context, job)
    check_free(context, before, usage_of(context, "usage after a cancel"))


def _delete_while_it_runs(context: JourneyContext, life: ObservedJob, stream: Stream) -> Exchange:
    """Try to delete a running job; where it is taken, the stream says whether the job had ended a moment before."""
    expected, path = "INVALID_STATE_TRANSITION", {"jobId": life.job.id}
    if context.run.target.has_control:
        return context.call("deleteJob", expected, fact=facts.DELETE_RUNNING, path=path, step="delete while it runs")
    call = context.call_any("deleteJob", path=path, step="delete while it runs", is_repeatable=True)
    if call.is_success:
        context.run.deleted.add(life.job.id)
        context.run.budget.unclean_jobs -= 1
        stream.wait_closed(closing_seconds(context))
        if any(event.document.get("status") in {"done", "failed"} for event in stream.events):
            settle_budget(context, life.job, "done")
            raise context.stop("the job ended before it could be deleted", call)
    context.expect(call, expected, facts.DELETE_RUNNING)
    return call


def _is_cancelled(
    context: JourneyContext, life: ObservedJob, cancel: Exchange, ended: Exchange, *, is_early: bool
) -> bool:
    """The job becomes `cancelled`, unless it was nearly done; what progress was made stays."""
    status = ended.document.get("status")
    if cancel.document:
        reported = (cancel.document.get("jobId"), cancel.document.get("status"))
        context.check_equal(facts.CANCEL_ANSWER, (life.job.id, "cancelled"), reported, cancel)
    if is_early or status != "done":
        context.check_equal(facts.CANCELS, "cancelled", status, ended, cancel)
    if context.run.target.has_control:  # a real job makes progress between two calls
        before, after = (each.document.get("progress") for each in (life.last, ended))
        context.check_equal(facts.FROZEN, before, after, ended, name="cancel")
        if "progress" in cancel.document:
            context.check_equal(facts.FROZEN, after, cancel.document["progress"], cancel, ended, name="cancel answer")
    return bool(status == "cancelled")


def _meanwhile(context: JourneyContext, life: ObservedJob, before: Exchange) -> None:
    """Let the job make some progress, and look at what else shows it: a late stream, a child, the ledger."""
    for look in range(MAX_STEPS):
        if life.last.document.get("progress") or life.status in TERMINAL:
            break
        context.account.clock.wait_for_change(look)
        life.polls.append(_look(context, life.job, "poll"))
    if life.status in TERMINAL:
        return
    child = context.call(
        "getJob", 200, fact=facts.CHILD_READ, path={"jobId": f"scene_{life.job.id}_001"}, step="child of a running job"
    )
    with context.stream(life.job.id, step="late stream") as stream:
        stream.wait_events(1, closing_seconds(context))
    page = context.call("listJobs", 200, query={"limit": 1}, step="list a running job")
    listed = next((job for job in jobs_of(context.run, page) if job.get("jobId") == life.job.id), None)
    if listed is not None and context.run.target.has_control:
        context.check_equal(
            facts.LIST_AGREES, state_of(life.last.document), state_of(dict(listed)), page, life.last, name="running"
        )
    usage = usage_of(context, "usage of a running job")
    if context.run.target.has_control or _look(context, life.job, "does it still run").document.get("status") != "done":
        check_free(context, before, usage)
    if stream.call is None or not context.run.target.has_control:
        return
    first = state_of(stream.call.events[0].document) if stream.call.events else ()  # of the call: without any key
    context.check_equal(facts.SNAPSHOT, state_of(life.last.document), first, stream.call, life.last, name="late")
    counts = life.last.document.get("children")
    if child.is_success and isinstance(counts, dict) and counts.get("running") == counts.get("total"):
        context.check_equal(facts.CHILD_RUNS, "running", child.document.get("status"), child, life.last)


def _look(context: JourneyContext, job: Job, step: str) -> Exchange:
    return context.call("getJob", 200, path={"jobId": job.id}, step=step)


def _stands_still(context: JourneyContext, job: Job, ended: Exchange) -> None:
    context.wait(WHILE_CANCELLED if context.run.target.has_control else WHILE_CANCELLED_FOR_REAL)
    later = _look(context, job, "read it after a while")
    context.check_equal(facts.STAYS, "cancelled", later.document.get("status"), later, ended)
    for name in ("progress", "updatedAt", "children"):
        context.check_equal(facts.FROZEN, ended.document.get(name), later.document.get(name), later, ended, name=name)
    child = context.call(
        "getJob", 200, fact=facts.CHILD_READ, path={"jobId": f"scene_{job.id}_001"}, step="child of a cancelled job"
    )
    if child.is_success:
        context.check(
            CHILD_CANCELLED, child.document.get("status") in TERMINAL, child, got=child.document.get("status")
        )


DELETED_TWICE = Check("deleted_twice", "A deleted job cannot be deleted again.", facts.A, facts.JOBS)
CHILD_CANCELLED = Check("child_cancelled", "The children of a cancelled job are cancelled too.", facts.A, facts.JOBS)


def _stream_of_cancelled(context: JourneyContext, life: ObservedJob) -> None:
    call = life.stream
    if call is None:
        return
    check_end_of_stream(context, call, life, "cancelled")
    states = [event.document for event in call.events]
    check_transitions(context, [call], states)
    ends = [state.get("status") for state in states if state.get("status") in TERMINAL]
    context.check(
        facts.TERMINAL_EVENT, ends == ["cancelled"] and states[-1].get("status") == "cancelled", call,
        expected=["cancelled"], got=ends,
    )  # fmt: skip
    context.check(facts.CLOSES, life.closed_in_time, call, expected="closed by the server", got="still open")


def _again(context: JourneyContext, job: Job) -> None:
    again = context.call(
        "cancelJob", "INVALID_STATE_TRANSITION", fact=facts.CANCEL_TERMINAL, path={"jobId": job.id},
        step="cancel a cancelled job",
    )  # fmt: skip
    context.check_refusal(again, CONFLICT)
    read_ended_stream(context, job.id, "cancelled", "stream of a cancelled job")


@journey("ended_jobs", "A job that is done cannot be cancelled, and stays as it is.", 4, renders=True)
def ended_jobs(context: JourneyContext) -> None:
    life = ended_job(context)
    late = context.call(
        "cancelJob", "INVALID_STATE_TRANSITION", fact=facts.CANCEL_TERMINAL, path={"jobId": life.job.id}, auth="bearer",
        step="cancel a job that is done",
    )  # fmt: skip
    context.check_refusal(late, CONFLICT)
    call = _look(context, life.job, "read it again")
    odd = sorted(name for name, value in known_of(context.run, life.last).items() if call.document.get(name) != value)
    gone_on = [name for name in odd if name in LAST_FIELDS]
    context.check(facts.STAYS, not gone_on, call, life.last, expected="as it was", got=f"other {gone_on}")
    context.check(
        facts.STAYS_ALL, not odd, call, life.last, expected="as it was", got=f"other {odd}", name=",".join(odd)
    )


@journey(
    "deleting", "A deleted job is gone from everywhere, its children with it, and nothing else is.", 20, renders=True
)
def deleting(context: JourneyContext) -> None:
    life = completed_job(context)
    job: Job | None = context.run.shared.get("cancelled") or context.run.shared.get("cancelled while queued")
    if job is None:
        raise context.stop("no job was cancelled")
    path = {"jobId": job.id}
    call = context.call("deleteJob", 200, path=path, auth="bearer", step="delete", is_repeatable=False)
    if not call.is_success:
        return
    context.run.deleted.add(job.id)
    context.run.budget.unclean_jobs -= context.account.is_main
    if call.document:
        context.check_equal(facts.DELETE_BODY, job.id, call.document.get("jobId"), call)
    for operation in ("getJob", "streamJobProgress", "cancelJob", "deleteJob"):
        fact = DELETED_TWICE if operation == "deleteJob" else facts.DELETES
        context.call(operation, "JOB_NOT_FOUND", fact=fact, path=path, step=f"{operation} after a delete")
    context.call(
        "getJob",
        "JOB_NOT_FOUND",
        fact=CHILD_DELETED,
        path={"jobId": f"scene_{job.id}_001"},
        step="child after a delete",
    )
    page = context.settle(
        lambda: context.call("listJobs", 200, query={"limit": 100}, step="list after a delete"),
        lambda page: job.id not in _ids(context, page),
    )
    listed = _ids(context, page)
    context.check(facts.DELETES, job.id not in listed, page, call, expected="not listed", got=listed[:10])
    is_whole = page.document.get("nextCursor") is None
    holds = life.job.id in listed or not is_whole
    context.check(facts.LISTED, holds, page, call, expected=life.job.id, got=listed[:10], name="others")


def _ids(context: JourneyContext, page: Exchange) -> list[object]:
    return [each.get("jobId") for each in jobs_of(context.run, page)]


CHILD_DELETED = Check("child_deleted", "The children of a deleted job are gone with it.", facts.A, facts.JOBS)
