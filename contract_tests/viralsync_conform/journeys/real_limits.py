"""The limits of a real account, tried in real time: workers of a job, jobs at once, and the sliding window."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from viralsync_conform.budget import worst_case
from viralsync_conform.calls import TERMINAL, Exchange
from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.findings import Check
from viralsync_conform.journeys.job_lifecycle import CERTAIN_LOOKS, completed_job, slow_movie
from viralsync_conform.journeys.plan_limits import SLOT
from viralsync_conform.journeys.unusual_input import WORKERS
from viralsync_conform.run.context import StopJourneyError
from viralsync_conform.run.http_client import wait_for_rate
from viralsync_conform.run.journey import journey
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.run.request import encoded
from viralsync_conform.run.submissions import Job, cancel, settle_budget, submission, submit, submit_body

LOOKS = 4
"""How often the jobs that fill the slots are looked at."""

HEAD_START = 15.0
"""Real seconds between the first request of the window and the others: only its slot is free first."""

BEYOND = 3
"""How many requests more than the limit are made where none is refused."""

A_MOMENT, SLACK = 0.3, 0.5
MAX_BEYOND_WINDOW = 10
"""Seconds by which a `Retry-After` may be longer than the window."""


@dataclass
class Watched:
    """A job of a preset, and how many of its scenes were seen to render at once."""

    job: Job
    preset: str
    running: list[int] = field(default_factory=list)
    status: Any = "queued"


@journey(
    "slots_and_workers",
    "As many jobs at once as the plan allows, and in each as many workers as its preset says.",
    55,
    renders=True,
    is_real=True,
)
def slots_and_workers(context: JourneyContext) -> None:
    """Fill the slots with slow jobs of different presets, and try one job more."""
    me = context.call("getMe", 200, step="which plan")
    terms = context.run.contract.spec.plans.get(str(me.document.get("plan")).lower())
    presets = list(context.run.contract.spec.presets)
    slots = terms.jobs_at_once if terms and terms.jobs_at_once is not None else len(presets)
    watched: list[Watched] = []
    try:
        for preset in presets[:slots]:
            watched.append(_submit(context, preset))
        if terms and terms.jobs_at_once == len(watched):
            _one_too_many(context, watched)
        _watch(context, watched)
    finally:
        _cancel(context, watched)
    _check_workers(context, watched)
    with suppress(StopJourneyError):
        again = [_submit(context, presets[slots % len(presets)], SLOT)]
        _watch(context, again)
        _cancel(context, again)
        _check_workers(context, again)


def _watch(context: JourneyContext, watched: Sequence[Watched]) -> None:
    for look in range(LOOKS):
        if any(each.status in TERMINAL for each in watched) or all(
            len(each.running) >= CERTAIN_LOOKS for each in watched
        ):
            return
        context.account.clock.wait_for_change(look)
        _look(context, watched)


def _cancel(context: JourneyContext, watched: Sequence[Watched]) -> None:
    for each in watched:
        if each.job.id not in context.run.settled:
            cancel(context, each.job)


def _submit(context: JourneyContext, preset: str, fact: Check | None = None) -> Watched:
    """Submit a slow job on a preset; on the default one by saying nothing."""
    movie = slow_movie(context)["movie"]
    options = context.run.contract.document["components"]["schemas"]["RenderOptions"]["properties"]
    is_default = preset == options["qualityPreset"]["x-default"]
    changes: dict[str, Any] = {} if is_default else {"renderOptions": {"qualityPreset": preset}}
    job = submit(context, step=f"submit on {preset}", fact=fact, movie=movie, **changes)
    return Watched(job, preset)


def _look(context: JourneyContext, watched: Sequence[Watched]) -> None:
    for each in watched:
        call = context.call("getJob", 200, path={"jobId": each.job.id}, step=f"look at {each.preset}")
        each.status = call.document.get("status")
        children = call.document.get("children")
        if call.document.get("phase") == "rendering" and isinstance(children, dict):
            each.running.append(int(children.get("running") or 0))
        if each.status in TERMINAL:
            settle_budget(context, each.job, each.status)


def _check_workers(context: JourneyContext, watched: Sequence[Watched]) -> None:
    """Never more scenes at once than the preset's workers, and that many where there were looks enough."""
    workers = context.run.contract.spec.presets
    for each in watched:
        if not each.running:
            continue
        most, expected = max(each.running), workers[each.preset]
        holds = most <= expected and (most == expected or len(each.running) < CERTAIN_LOOKS)
        context.check(
            WORKERS, holds, each.job.submitted, expected=f"{expected} at once", got=each.running, name=each.preset
        )


def _one_too_many(context: JourneyContext, watched: Sequence[Watched]) -> None:
    """One job more is refused, or waits until another is no longer in a status that takes a slot in every reading."""
    body = {**submission(context.run.project_id), **slow_movie(context)}
    if not context.run.budget.can_afford(worst_case(body)):
        return
    seen = [_statuses(context, watched)]
    if seen[0] & set(TERMINAL):
        return
    limit = "CONCURRENCY_LIMIT_EXCEEDED"
    call, job = submit_body(context, body, limit, step="one more than there are slots", is_repeatable=True)
    if call.status == CONFLICT or job is None:
        context.expect(call, limit, facts.CONCURRENCY)
        return
    for _ in range(LOOKS):
        seen.append(_statuses(context, [*watched, Watched(job, "")]))
        if _take_slots(context, seen[-2] | seen[-1]):  # seen so twice, all of them were so in between
            context.expect(call, limit, facts.CONCURRENCY)
            break
        context.wait(A_MOMENT)
    cancel(context, job)


def _take_slots(context: JourneyContext, statuses: set[Any]) -> bool:
    """Say whether jobs in these statuses take a slot, whichever jobs are counted."""
    return statuses == {"running"} or (statuses <= {"running", "waiting"} and _executes(context))


def _executes(context: JourneyContext) -> bool:
    return bool(context.run.contract.behaviour.job_executing_status == "running")


def _statuses(context: JourneyContext, watched: Sequence[Watched]) -> set[Any]:
    _look(context, watched)
    return {each.status for each in watched}


@journey(
    "real_window",
    "No window holds more requests than documented, nor fewer, and waiting as long as `Retry-After` says is enough.",
    131,
    renders=True,
    is_real=True,
)
def real_window(context: JourneyContext) -> None:
    """Fill the window once with requests of every kind."""
    run, account = context.run, context.account
    life = completed_job(context)
    limit = run.contract.spec.rate_limit
    wait_for_rate(run, account, limit.requests)
    account.clock.wait(limit.window)  # nothing of this run is left in the window
    context.is_paced = False
    first = len(run.calls)
    with suppress(StopJourneyError), context.stream(life.job.id, step="first of the window", has_ended=True) as stream:
        stream.wait_closed(HEAD_START)
    account.clock.wait(HEAD_START)
    for call in _requests(context, life.job):
        is_over = len(run.calls) - first > limit.requests
        if call.status == TOO_MANY or (is_over and not call.is_success):
            break
        if len(run.calls) - first >= limit.requests + BEYOND:
            break
    made = run.calls[first:]
    _not_more(context, made, limit.requests, limit.window)
    wait = _judge_filled(context, made, limit.requests, limit.window)
    if wait is None:
        return
    account.clock.wait(wait)
    context.call("getMe", 200, fact=facts.RETRY_AFTER, step="after Retry-After")
    for number in (1, 2):
        context.call_any("getMe", step=f"is only one slot free {number}")
    _not_more(context, run.calls[first:], limit.requests, limit.window)


def _judge_filled(context: JourneyContext, made: Sequence[Exchange], limit: int, window: float) -> int | None:
    """Judge how many requests were let in; return the seconds to wait where nobody else uses the key."""
    last, let_in = made[-1], len(made) - 1
    took = (last.at - made[0].at).total_seconds() + last.seconds
    if took > window - 1:
        return None  # too slow to fill it
    if last.status != TOO_MANY:
        if last.is_success or _stays_refused(context, last):
            got = f"{len(made)} let in" if last.is_success else f"{last.status} {last.code or ''}"
            context.check(facts.WINDOW, False, last, expected=f"429 after {limit} requests", got=got.strip())
        return None
    wait = _retry_after(context, last, window)
    is_ours = wait is not None and wait >= window - took - CLOSE  # else the request of somebody else leaves first
    if let_in < limit and is_ours:
        context.check(facts.WINDOW, False, last, expected=f"{limit} requests", got=f"refused after {let_in}")
    if let_in != limit:
        return None
    context.check(facts.WINDOW, True, last)
    return wait


TOO_MANY, CONFLICT = 429, 409
CLOSE = 3.0


def _stays_refused(context: JourneyContext, last: Exchange) -> bool:
    """Say whether what came in the place of a 429 is no moment's failure: it is there again, and again later."""
    for _ in range(2):
        context.account.clock.wait(CLOSE)
        if _attempt(context, "getMe", "is it still refused").status != last.status:
            return False
    return True


def _attempt(context: JourneyContext, operation: str, step: str, **rest: Any) -> Exchange:
    """Call an operation once, whatever comes: a window that is full may be said in any way."""
    known = context.run.contract.operations[operation]
    path = rest.pop("path", {})
    request = context.build_request(
        known.method, encoded(known.path, path), "", operation=operation, path_parameters=path, step=step, **rest
    )
    return context.client.attempt(request)


def _requests(context: JourneyContext, job: Job) -> Iterator[Exchange]:
    """Make requests of every kind: both key headers, several operations, and a job that is cancelled at once."""
    with suppress(StopJourneyError):
        extra = submit(context, step="fill the window with a job")
        yield extra.submitted
        cancel(context, extra)
        yield context.run.calls[-1]
    path = {"jobId": job.id}
    for number in range(10**6):
        auth = ("header", "bearer")[number % 2]
        operation = ("getMe", "getUsage", "getJob", "listJobs")[number // 2 % 4]
        rest: dict[str, Any] = {"path": path} if operation == "getJob" else {}
        query = {"limit": 1} if operation == "listJobs" else {}
        yield _attempt(context, operation, f"fill the window: {operation}", auth=auth, query=query, **rest)


def _not_more(context: JourneyContext, made: Sequence[Exchange], limit: int, window: float) -> None:
    """However the requests are timed on their way, no window has let in more than it may."""
    admitted = [call for call in made if call.is_success]
    for first in range(len(admitted) - limit):
        start, end = admitted[first], admitted[first + limit]
        apart = (end.at - start.at).total_seconds() + end.seconds
        if apart < window - SLACK:
            got = f"{limit + 1} in {apart:.1f} s"
            context.check(facts.WINDOW, False, end, expected=f"{limit} in {window:g} s", got=got, name="more")
            return


def _retry_after(context: JourneyContext, call: Exchange, window: float) -> int | None:
    value = call.header("retry-after")
    if value is None or not value.isdecimal():
        return None
    most = window + MAX_BEYOND_WINDOW
    holds = int(value) <= most
    context.check(facts.RETRY_SECONDS, holds, call, expected=f"at most {most:g} seconds", got=value)
    return int(value) if holds else None
