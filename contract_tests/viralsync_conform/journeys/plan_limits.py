"""The ceilings, used up on throwaway accounts of a mock: quota, day, plan, and jobs at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from viralsync_conform.calls import Exchange, instant_of
from viralsync_conform.clocks import VirtualClock
from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.findings import Check
from viralsync_conform.journeys.account import limits, usage_of
from viralsync_conform.run.journey import journey
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.run.submissions import Job, refused, register_job, submission, submit
from viralsync_mock.client import ControlError, JobStatus, Sandbox

CLEAR_OF_MIDNIGHT = 2.0


def sandbox_of(context: JourneyContext) -> Sandbox:
    """Return the sandbox behind a throwaway account."""
    sandbox = context.account.sandbox
    assert sandbox is not None  # noqa: S101 - a throwaway account has one
    return sandbox


def long_movie(seconds: float, width: int = 640, height: int = 360) -> dict[str, Any]:
    """Return a movie of one scene, so long and so large."""
    return {"width": width, "height": height, "scenes": [{"id": "only", "duration": seconds}]}


@journey(
    "quota",
    "When the month's minutes are used up submissions are refused, and on the 1st they are accepted again.",
    16,
    needs_control=True,
)
def quota(context: JourneyContext) -> None:
    for plan, terms in context.run.contract.spec.plans.items():
        if terms.rest and terms.minutes_per_month is not None:
            poor = context.as_account(context.run.target.account(f"poor {plan}", plan=plan))
            limit = terms.minutes_per_month
            sandbox_of(poor).account(minutes_used=limit - 0.5, minutes_used_today=limit - 0.5)
            below = submit(poor, step=f"submit below the quota of {plan}", fact=BELOW)
            poor.call("cancelJob", 200, path={"jobId": below.id}, step=f"cancel below the quota of {plan}")
            sandbox_of(poor).account(minutes_used=limit)
            refused(poor, "RENDER_QUOTA_EXCEEDED", facts.QUOTA, step=f"submit beyond the quota of {plan}")
    _until_the_first(poor)


def _until_the_first(poor: JourneyContext) -> None:
    """At the quota one may read, and on the 1st submit again."""
    usage = usage_of(poor, "usage at the quota")
    minutes = usage.document.get("renderMinutes")
    left = minutes.get("remaining") if isinstance(minutes, dict) else None
    poor.check(facts.REMAINING, left == 0, usage, expected=0, got=left, name="at the quota")
    poor.call("listJobs", 200, step="read at the quota")
    end = instant_of(usage.document.get("periodEnd"))
    clock = poor.account.clock
    if end is not None and isinstance(clock, VirtualClock):
        clock.wait(max(0.0, (end - clock.now()).total_seconds() - CLEAR_OF_MIDNIGHT))
        refused(poor, "RENDER_QUOTA_EXCEEDED", facts.QUOTA, step="submit before the 1st")
        clock.wait(CLEAR_OF_MIDNIGHT + 1)
        submit(poor, step="submit on the 1st", fact=facts.QUOTA_RESETS)


BELOW = Check("quota_below", "While minutes are left submissions are accepted.", facts.D, facts.MINUTES)


@journey(
    "quota_forecast",
    "Whether a movie that would go over the quota is refused is learned from one that would.",
    3,
    needs_control=True,
)
def quota_forecast(context: JourneyContext) -> None:
    careful = context.as_account(context.run.target.account("careful", plan="pro"))
    limit = careful.run.contract.spec.plans["pro"].minutes_per_month or 0.0
    sandbox_of(careful).account(minutes_used=limit - 0.1)
    known = careful.run.contract.behaviour.quota_check
    body = submission(careful.run.project_id, movie=long_movie(60.0))
    call = careful.call(
        "submitRenderJob", "RENDER_QUOTA_EXCEEDED" if known == "forecast" else 202, fact=FORECAST, body=body,
        step="submit more than is left", is_repeatable=False,
    )  # fmt: skip
    if call.status in {202, 402}:
        careful.learn("quota.check", "used" if call.status == 202 else "forecast", call)


FORECAST = Check("quota_forecast", "A movie that would go over the quota is taken as assumed.", facts.A, facts.MINUTES)


@journey(
    "free_plan",
    "Whether plan Free may use REST is learned; where it may, it meets the quota of the day.",
    7,
    needs_control=True,
)
def free_plan(context: JourneyContext) -> None:
    free = context.as_account(context.run.target.account("free", plan="free"))
    allowed = free.run.contract.behaviour.free_plan_rest == "allowed"
    first = free.call("listJobs", 200 if allowed else "FORBIDDEN", fact=FREE_A, step="list on plan Free")
    if first.status in {200, 403}:
        free.learn("free_plan.rest", "allowed" if first.status == 200 else "forbidden", first)
    body = submission(free.run.project_id)
    if first.status != 200:
        for operation in free.run.contract.operations:
            _forbidden(free, operation, body if operation == "submitRenderJob" else None)
        return
    per_day = free.run.contract.spec.plans["free"].minutes_per_day or 0.0
    sandbox_of(free).account(minutes_used=per_day, minutes_used_today=per_day)
    refused(free, "RENDER_QUOTA_DAILY_EXCEEDED", facts.DAILY, step="submit beyond the day", movie=long_movie(1.0))
    free.wait(24 * 3600)
    submit(free, step="submit on the next day", fact=facts.DAILY, movie=long_movie(1.0))


FREE_A = Check("free_plan_assumed", "Plan Free meets REST as assumed: pages disagree.", facts.A, facts.AUTH)


def _forbidden(context: JourneyContext, operation: str, body: object) -> None:
    """Call an operation on plan Free; where it is about a job, about one of this run."""
    own = next(iter(context.run.guard.created), "")
    path = {"jobId": own} if "{jobId}" in context.run.contract.operations[operation].path else {}
    fact = FREE_JOB if path else facts.FREE
    if own or not path:
        context.call(operation, "FORBIDDEN", fact=fact, path=path, body=body, step=f"{operation} on plan Free")


FREE_JOB = Check("free_plan_job", "Plan Free is refused before a job is looked up.", facts.A, facts.AUTH)


@journey(
    "plan_limits",
    "What is longer or larger than the plan allows is refused, and what just fits is accepted.",
    20,
    needs_control=True,
)
def plan_limits(context: JourneyContext) -> None:
    sides = context.run.contract.document["components"]["schemas"]["Movie"]["properties"]
    widest, tallest = sides["width"]["maximum"], sides["height"]["maximum"]
    for plan, terms in context.run.contract.spec.plans.items():
        if not terms.rest:
            continue
        account = context.as_account(context.run.target.account(f"plan {plan}", plan=plan))
        limits(account, plan, usage_of(account, f"usage on {plan}"))
        longest, (width, height) = terms.longest_movie_seconds, terms.largest_frame
        refused(
            account,
            "PLAN_LIMIT_EXCEEDED",
            facts.PLAN_LENGTH,
            step=f"too long for {plan}",
            movie=long_movie(longest + 0.5),
        )
        if width < widest:
            wider = long_movie(1.0, width + 1, 360)
            refused(account, "PLAN_LIMIT_EXCEEDED", facts.PLAN_SIZE, step=f"too wide for {plan}", movie=wider)
        fits = submit(account, step=f"just fits {plan}", fact=facts.PLAN_FITS, movie=long_movie(longest, width, height))
        account.call("cancelJob", 200, path={"jobId": fits.id}, step=f"cancel what fits {plan}")
        if width <= tallest:
            upright = submit(
                account, step=f"upright on {plan}", fact=facts.PORTRAIT, movie=long_movie(1.0, height, width)
            )
            account.call("cancelJob", 200, path={"jobId": upright.id}, step=f"cancel what is upright on {plan}")


SCENES_LATER = {
    "name": "slow-scenes-of-conform",
    "description": "Scenes take an hour.",
    "job": {"scene": {"at_least": "1h"}},
}
STATUSES: tuple[JobStatus, ...] = ("queued", "running", "waiting")
READINGS = {
    "unfinished": frozenset({"queued", "running", "waiting"}),
    "running+waiting": frozenset({"running", "waiting"}),
    "running": frozenset({"running"}),
}
"""What `concurrency.counts` may be: the statuses in which a job takes a slot."""

SLOT = Check("slot", "A slot that is free again can be taken.", facts.D, facts.RATES)
COUNTED = Check("concurrency_counted", "The jobs that count are those that are assumed to.", facts.A, facts.RATES)


@journey(
    "concurrency",
    "No more jobs at once than the plan allows, and which of them count is learned.",
    24,
    needs_control=True,
)
def concurrency(context: JourneyContext) -> None:
    _all_slots(context, "business")
    busy, jobs = _with_all_slots_taken(context, "pro")
    usage = usage_of(busy, "usage with all slots taken")
    running = usage.document.get("concurrentJobs")
    if _believed(busy) == "unfinished" and isinstance(running, dict):
        busy.check_equal(facts.UNFINISHED, len(jobs), running.get("running"), usage)
    call, reading = _learned(busy, jobs)
    busy.check(facts.CONCURRENCY, reading is not None, call, expected="a refusal", got=call.status)
    if reading is None:
        return
    busy.learn("concurrency.counts", reading, call)
    busy.call("cancelJob", 200, path={"jobId": jobs[0].id}, step="free a slot")
    submit(busy, step="take the free slot", fact=SLOT)
    sandbox_of(busy).jobs[jobs[1].id].fail()
    submit(busy, step="take the slot of a failed job", fact=SLOT)
    sandbox_of(busy).jobs[jobs[2].id].finish()
    submit(busy, step="take the slot of a done job", fact=SLOT)


def _with_all_slots_taken(context: JourneyContext, plan: str) -> tuple[JourneyContext, list[Job]]:
    """Return a throwaway account of a plan, and as many jobs as may be there at once, all queued."""
    account = context.as_account(context.run.target.account(f"busy {plan}", plan=plan, scenario=SCENES_LATER))
    slots = account.run.contract.spec.plans[plan].jobs_at_once or 0
    return account, [submit(account, step=f"take a slot of {plan}") for _ in range(slots)]


def _all_slots(context: JourneyContext, plan: str) -> None:
    """As many jobs as the plan has slots may be there at once, and no more."""
    wide, jobs = _with_all_slots_taken(context, plan)
    counted = READINGS[_believed(wide)]
    _bring(wide, jobs, next(status for status in STATUSES if status in counted))
    refused(wide, "CONCURRENCY_LIMIT_EXCEEDED", COUNTED, step=f"one more than {plan} has slots")


def _believed(context: JourneyContext) -> str:
    return context.run.contract.behaviour.concurrency_counts


def _learned(context: JourneyContext, jobs: Sequence[Job]) -> tuple[Exchange, str | None]:
    """Submit one more while all jobs are in one status, then in the next, and return the reading that fits."""
    call, tried, full = jobs[-1].submitted, set[str](), set[str]()
    for status in STATUSES:
        if _bring(context, jobs, status):
            call = _one_more(context, status)
            tried.add(status)
            full |= {status} if call.status == 409 else set()
        if "queued" in full:
            return call, "unfinished"
    fitting = [reading for reading, statuses in READINGS.items() if full and statuses & tried == full]
    return call, _believed(context) if _believed(context) in fitting else next(iter(fitting), None)


def _bring(context: JourneyContext, jobs: Sequence[Job], status: JobStatus) -> bool:
    """Move time to where all jobs have a status; say whether there is such a time."""
    sandbox = sandbox_of(context)
    try:
        for job in jobs:
            if sandbox.jobs[job.id].status != status:
                sandbox.clock.run_until(job.id, status)
    except ControlError:
        return False
    return True


def _one_more(context: JourneyContext, status: str) -> Exchange:
    """Submit one job more, and take it away again if it was accepted."""
    body = submission(context.run.project_id)
    is_over = status in READINGS[_believed(context)]
    call = context.call(
        "submitRenderJob",
        "CONCURRENCY_LIMIT_EXCEEDED" if is_over else 202,
        fact=COUNTED,
        body=body,
        step=f"one more while they are {status}",
        is_repeatable=False,
    )
    job = register_job(context, call, body, 0.0)
    if job is not None:
        sandbox_of(context).jobs[job.id].fail()
    return call
