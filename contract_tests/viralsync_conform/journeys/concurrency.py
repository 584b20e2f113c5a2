"""Jobs at once: as many as the plan has slots, and which of them take one."""

from __future__ import annotations

from collections.abc import Sequence

from viralsync_conform.calls import Exchange
from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.findings import Check
from viralsync_conform.journeys.account import usage_of
from viralsync_conform.journeys.plan_limits import sandbox_of
from viralsync_conform.run.journey import journey
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.run.submissions import Job, refused, register_job, submission, submit
from viralsync_mock.client import ControlError, JobStatus

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
