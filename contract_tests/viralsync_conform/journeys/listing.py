"""The list of an account that nobody else uses: many jobs in every status, read in every way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from viralsync_conform.calls import Exchange
from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.findings import Check
from viralsync_conform.journeys.account import usage_of, used
from viralsync_conform.journeys.plan_limits import sandbox_of
from viralsync_conform.run.job_invariants import jobs_of
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.run.submissions import Job

DONE, FAILED, CANCELLED = slice(1, 5), slice(5, 7), slice(7, 9)
"""Which of the jobs are brought to which end."""

BETWEEN = 0.05
"""Seconds between two ends: no two jobs change at the same instant."""

BAD_VALUE = Check("bad_value", "A value that a parameter does not have is refused, never bent.", facts.A, facts.JOBS)
FILTERED = Check("cursor_of_another", "A cursor is taken with another filter too.", facts.A, facts.JOBS)
REUSED = Check("cursor_reused", "A cursor gives the same page again.", facts.A, facts.JOBS)


def read(context: JourneyContext, jobs: Sequence[Job]) -> Iterator[Exchange]:
    """Bring some jobs to their ends and read the list in every way; each call that was made is yielded."""
    if context.run.contract.behaviour.list_includes_children:
        return  # then who knows how many are listed
    sandbox = sandbox_of(context)
    for job in jobs[DONE]:
        sandbox.jobs[job.id].finish()
        context.wait(BETWEEN)
    for job in jobs[FAILED]:
        sandbox.jobs[job.id].fail()
        context.wait(BETWEEN)
    for job in jobs[CANCELLED]:
        yield context.call("cancelJob", 200, path={"jobId": job.id}, step="cancel to be listed", is_repeatable=False)
    newest = list(reversed(jobs))
    ids = [job.id for job in newest]
    whole = _page(context, "whole list of many", ids, facts.LISTED, limit=100)
    yield whole
    _echoed(context, whole, {job.id: job for job in jobs})
    yield from _cut(context, ids, {}, 1, 2, facts.PAGES, "of one")
    yield from _cut(context, ids, {}, 2, 3, facts.PAGES, "of two")
    done = [job.id for job in reversed(jobs[DONE])]
    yield from _cut(context, done, {"status": "done"}, 2, 2, facts.STATUS_FILTER, "of done ones")
    failed = [job.id for job in reversed(jobs[FAILED])]
    yield _page(context, "failed ones", failed, facts.STATUS_FILTER, status="failed", limit=100)
    kind = next((str(job.get("type")) for job in jobs_of(context.run, whole)), "render")
    yield from _cut(context, ids, {"type": kind}, 3, 2, facts.TYPE_FILTER, "of a type")
    yield _of_another_type(context, whole)
    for name, value in (("limit", "1.5"), ("status", "DONE")):
        yield context.call("listJobs", "VALIDATION_ERROR", fact=BAD_VALUE, query={name: value}, step=f"{name} {value}")
    yield from _deleted(context, jobs)


def _of_another_type(context: JourneyContext, whole: Exchange) -> Exchange:
    """A cursor takes no filter away: with it too, a type that no job has finds none."""
    cursor = context.call("listJobs", 200, query={"limit": 1}, step="page before another type").document.get(
        "nextCursor"
    )
    query = {"limit": 1, "type": "publish.youtube", "cursor": cursor}
    call = context.call("listJobs", 200, fact=FILTERED, query=query, step="page of another type")
    found = sorted({str(job.get("type")) for job in jobs_of(context.run, call)} - {"publish.youtube"})
    context.check(facts.TYPE_FILTER, not found, call, whole, expected="none", got=found, name="with a cursor")
    return call


def _page(context: JourneyContext, step: str, expected: Sequence[Any], check: Check, **query: Any) -> Exchange:
    """Read a page that must be exactly so."""
    call = context.call("listJobs", 200, query=query, step=step)
    context.check_equal(
        check, list(expected), [job.get("jobId") for job in jobs_of(context.run, call)], call, place=step
    )
    return call


def _cut(
    context: JourneyContext, ids: Sequence[Any], query: dict[str, Any], size: int, pages: int, check: Check, name: str
) -> Iterator[Exchange]:
    """Read the first pages of a size; where it is one, the second twice."""
    cursor: Any = None
    for number in range(pages):
        expected = ids[number * size : (number + 1) * size]
        call = _page(context, f"page {number + 1} {name}", expected, check, limit=size, cursor=cursor, **query)
        yield call
        if size == 1 and number:
            yield _page(context, f"page {number + 1} {name} again", expected, REUSED, limit=size, cursor=cursor)
        cursor = call.document.get("nextCursor")
        is_last = (number + 1) * size >= len(ids)
        context.check(
            facts.LAST_PAGE, (cursor is None) == is_last, call, expected=f"last: {is_last}", got=cursor, place=name
        )
        if cursor is None:
            return


def _echoed(context: JourneyContext, call: Exchange, jobs: dict[str, Job]) -> None:
    """What was submitted is shown as it was, whatever characters and fields it has."""
    for document in jobs_of(context.run, call):
        job, payload = jobs.get(str(document.get("jobId"))), document.get("payload")
        if job is None or not isinstance(payload, dict):
            continue
        for name in ("projectId", "movie"):
            fits = payload.get(name) == job.body[name]
            context.check(
                facts.ECHO, fits, call, expected=job.body[name], got=payload.get(name), name=f"{name} of many"
            )


def _deleted(context: JourneyContext, jobs: Sequence[Job]) -> Iterator[Exchange]:
    """A deleted job is on no page, and what it cost stays spent."""
    before = usage_of(context, "usage before deletions")
    yield before
    for job in (jobs[DONE][-1], jobs[FAILED][-1]):
        yield context.call("deleteJob", 200, path={"jobId": job.id}, step="delete from many", is_repeatable=False)
    after = usage_of(context, "usage after deletions")
    yield after
    spent, left = used(before), used(after)
    if spent is not None and left is not None:
        context.check(facts.NOT_REFUNDED, abs(spent - left) < 1e-6, before, after, expected=spent, got=left)
    page = context.call("listJobs", 200, step="plain list after deletions")
    yield page
    listed = {job.get("jobId") for job in jobs_of(context.run, page)}
    gone = {jobs[DONE][-1].id, jobs[FAILED][-1].id}
    context.check(facts.DELETES, not listed & gone, page, expected="not listed", got=sorted(map(str, listed & gone)))
