"""The sliding window, to the call, on a throwaway account of a mock that is filled with what has to be tried anyway:
its list, which nobody else uses, with many jobs in every status.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import chain
from typing import Any

from viralsync_conform.calls import Exchange
from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.findings import Check
from viralsync_conform.fuzzing import coverage_run as generated
from viralsync_conform.journeys.account import usage_of, used
from viralsync_conform.journeys.job_lifecycle import CLOSING_SECONDS
from viralsync_conform.journeys.plan_limits import sandbox_of
from viralsync_conform.journeys.unusual_input import vary
from viralsync_conform.run.job_invariants import jobs_of
from viralsync_conform.run.journey import journey
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.run.submissions import Job, register_job, submission, submit

HEAD_START = 50.0
"""Seconds between the first call of the window and all others."""

MORE_THAN_A_PAGE = 26
DEFAULT_PAGE = 25
BETWEEN = 0.05
"""Seconds between two jobs, or two ends: no two are created, or change, at the same instant."""

STEPS = (1.1, 0.5, 0.3)
"""Seconds after which a mock's job is in its next step: three of them are streamed."""

PER_CASE = 2
"""A case that should have been refused and was not is cancelled: a second call."""


@journey(
    "window",
    "Exactly as many requests as documented succeed in a window, which slides; and waiting as told is enough.",
    135,
    needs_control=True,
    requests_heavy=True,
)
def window(context: JourneyContext) -> None:
    limit = context.run.contract.spec.rate_limit
    eager = context.as_account(context.run.target.account("eager", plan="enterprise"))
    eager.is_paced = False
    started_at = eager.account.clock.now()
    first = eager.call("getMe", 200, step="first of the window")
    eager.wait(HEAD_START)
    for call in _fill(eager):
        counted = _used(eager)
        if call.status == 429:
            eager.check(
                facts.WINDOW, False, call, expected=f"{limit.requests} requests", got=f"refused after {counted}"
            )
            return
        if counted >= limit.requests:
            break
    eager.check(facts.WINDOW, True, first, name="all")
    over = eager.call("getMe", "RATE_LIMITED", fact=facts.WINDOW, step="one too many")
    _retry_after(eager, over)
    _all_are_refused(eager)
    context.call("getMe", 200, fact=facts.OWN_WINDOW, step="another key meanwhile")
    wait = _retry_after(eager, eager.call("getMe", "RATE_LIMITED", fact=facts.WINDOW, step="the last one too many"))
    if wait is None:
        return
    _slides(eager, wait, limit.window - (eager.account.clock.now() - started_at).total_seconds())


def _used(context: JourneyContext) -> int:
    """Return how many calls of the account had a key and were let in."""
    calls = (call for call in context.run.calls if call.account == context.account.name)
    return sum(call.status not in {None, 401, 429} for call in calls)


def _fill(context: JourneyContext) -> Iterator[Exchange]:
    """Make calls that count until the window is full: more jobs than a page, pages, and generated ones."""
    jobs: list[Job] = []
    for job in chain([submit(context, step="fill with a job")], vary(context), _more(context)):
        jobs.append(job)
        yield job.submitted
        if len(jobs) == MORE_THAN_A_PAGE:
            break
        context.wait(BETWEEN)
    yield from _pages(context, [job.id for job in reversed(jobs)])
    yield _streamed(context, jobs[-1].id)
    yield from _read_the_list(context, jobs)
    for case in generated.rate_limited_cases(context.run):
        if context.run.contract.spec.rate_limit.requests - _used(context) > PER_CASE:
            yield generated.send(context, case)
    while True:
        yield context.call("getUsage", 200, step="fill the rest")


def _more(context: JourneyContext) -> Iterator[Job]:
    while True:
        yield submit(context, step="fill with another job")


def _pages(context: JourneyContext, ids: list[str]) -> Iterator[Exchange]:
    """Read a page of the usual size, the one after it, and all in one."""
    page = context.call("listJobs", 200, step="default page")
    found = _ids(context, page)
    context.check_equal(facts.DEFAULT_LIMIT, DEFAULT_PAGE, len(found), page)
    yield page
    if context.run.contract.behaviour.list_includes_children:
        return  # then who knows how many are listed
    context.check_equal(facts.PAGES, ids[:DEFAULT_PAGE], found, page, name="default page")
    cursor = page.document.get("nextCursor")
    context.check(facts.LAST_PAGE, cursor is not None, page, expected="a cursor", got=cursor, name="default page")
    if cursor is not None:
        last = context.call("listJobs", 200, query={"cursor": cursor}, step="page after the default one")
        context.check_equal(facts.PAGES, ids[DEFAULT_PAGE:], _ids(context, last), last, name="page after it")
        context.check_equal(facts.LAST_PAGE, None, last.document.get("nextCursor"), last, name="page after it")
        yield last
    whole = context.call("listJobs", 200, query={"limit": 100}, step="all in one page")
    context.check_equal(facts.LISTED, ids, _ids(context, whole), whole, name="all in one page")
    yield whole


def _ids(context: JourneyContext, page: Exchange) -> list[object]:
    return [job.get("jobId") for job in jobs_of(context.run, page)]


def _streamed(context: JourneyContext, job_id: str) -> Exchange:
    """Open a stream that tells of several steps: it costs one request all the same."""
    with context.stream(job_id, step="fill with a stream") as stream:
        for number, seconds in enumerate(STEPS, start=2):
            context.wait(seconds)
            stream.wait_events(number, CLOSING_SECONDS)
    assert stream.call is not None  # noqa: S101 - it was left
    return stream.call


def _all_are_refused(context: JourneyContext) -> None:
    """The window is that of the key: every operation meets it."""
    own = context.run.guard.created[-1] if context.run.guard.created else ""
    context.call("getMe", "RATE_LIMITED", fact=facts.WINDOW, auth="bearer", step="beyond the limit by bearer")
    for operation, known in context.run.contract.operations.items():
        path = {"jobId": own} if "{jobId}" in known.path else {}
        body = submission(context.run.project_id) if operation == "submitRenderJob" else None
        call = context.call(
            operation, "RATE_LIMITED", fact=facts.WINDOW, path=path, body=body, step=f"{operation} beyond the limit"
        )
        if body is not None:
            register_job(context, call, body, 0.0)


def _retry_after(context: JourneyContext, over: Exchange) -> int | None:
    value = over.header("retry-after")
    if over.status != 429 or value is None or not value.isdecimal():
        return None
    text = str(over.document.get("error"))
    numbers = [int(word) for word in "".join(c if c.isdecimal() else " " for c in text).split()]
    context.check(facts.RETRY_TEXT, int(value) in numbers, over, expected=value, got=text)
    return int(value)


def _slides(context: JourneyContext, wait: int, expected: float) -> None:
    """One slot frees when the first call leaves the window, and only that one."""
    context.wait(max(wait - 1, 0))
    early = wait > 1 and context.call("getMe", "RATE_LIMITED", fact=facts.RETRY_EARLY, step="a second too early")
    if not (early and early.is_success):  # else that was the one slot
        context.wait(min(wait, 1))
        context.call("getMe", 200, fact=facts.RETRY_AFTER, step="after Retry-After")
    again = context.call("getMe", "RATE_LIMITED", fact=ONE_SLOT, step="only one slot is free")
    limit = context.run.contract.spec.rate_limit
    let_in = sum(
        call.at > again.at - timedelta(seconds=limit.window) and call.status not in {None, 401, 429}
        for call in context.run.calls
        if call.account == context.account.name
    )
    context.check(facts.SLIDES, let_in <= limit.requests, again, expected=f"at most {limit.requests}", got=let_in)
    left = _retry_after(context, again)
    context.check(RETRY_EXACT, wait == math.ceil(expected - 1e-6), again, expected=expected, got=wait)
    if left is not None:
        context.wait(left)
        context.call("getMe", 200, fact=facts.RETRY_AFTER, step="after the second Retry-After")


ONE_SLOT = Check("one_slot", "A slot is free as soon as one request has left the window.", facts.A, facts.RATES)
RETRY_EXACT = Check("retry_after_exact", "`Retry-After` says when the next slot frees.", facts.A, facts.RATES)


DONE, FAILED, CANCELLED = slice(1, 5), slice(5, 7), slice(7, 9)
"""Which of the jobs are brought to which end."""

BAD_VALUE = Check("bad_value", "A value that a parameter does not have is refused, never bent.", facts.A, facts.JOBS)
FILTERED = Check("cursor_of_another", "A cursor is taken with another filter too.", facts.A, facts.JOBS)
REUSED = Check("cursor_reused", "A cursor gives the same page again.", facts.A, facts.JOBS)


def _read_the_list(context: JourneyContext, jobs: Sequence[Job]) -> Iterator[Exchange]:
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
