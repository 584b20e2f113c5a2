"""What follows from the spec alone: operations that no journey knows, and all that Schemathesis can think of."""

from __future__ import annotations

from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.contract.schemas import CREATES, DELETES, ENDS
from viralsync_conform.fuzzing import coverage_run as generated
from viralsync_conform.fuzzing.results import add_findings
from viralsync_conform.journeys.job_lifecycle import ObservedJob, completed_job
from viralsync_conform.run.journey import journey
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.run.submissions import cancel, register_job, reserve
from viralsync_mock.openapi.operations import Operation
from viralsync_mock.randomness import hexadecimal


@journey(
    "other_operations",
    "What the spec has beside the operations of all other journeys is accepted, needs a key, and knows no unknown job.",
    0,
    renders=True,
)
def other_operations(context: JourneyContext) -> None:
    called = {call.operation for call in context.run.calls if call.is_success}
    others = [each for each in context.run.contract.operations.values() if each.id not in called]
    if not others:
        return
    life = completed_job(context)
    for known in others:
        if context.run.contract.effect(known.id) not in {ENDS, DELETES}:  # the job is needed later
            _try(context, known, life)


def _try(context: JourneyContext, known: Operation, life: ObservedJob) -> None:
    """Call an operation as it should be, without a key, and for a job that does not exist."""
    contract = context.run.contract
    success = min(int(status) for status in contract.responses(known.id) if status.startswith("2"))
    path = contract.job_path(known, life.job.id)
    creates = contract.effect(known.id) == CREATES
    if creates:
        reserve(context, life.job.minutes)
    call = context.call(known.id, success, path=path, step=f"call {known.id}", is_repeatable=not creates)
    job = register_job(context, call, life.job.body, life.job.minutes) if creates else None
    if job is not None:
        cancel(context, job)
    context.call(
        known.id, "UNAUTHORIZED", fact=facts.KEY_NEEDED, path=path, auth="none", step=f"{known.id} without a key"
    )
    gone = next(iter(context.run.deleted), "")  # a method that changes something goes to no id but an own one
    unknown = f"job_{hexadecimal(context.run.seed, 'unknown job', length=12)}" if known.method == "GET" else gone
    if path and unknown:
        path = contract.job_path(known, unknown)
        context.call(known.id, "JOB_NOT_FOUND", path=path, step=f"{known.id} of an unknown job")


EXPLORATION = "exploration"
KEPT_ASIDE = 6
"""Requests that a failing call may still need, to be looked into."""


@journey(
    "explored",
    "All phases of Schemathesis with all its checks find nothing: examples, coverage, fuzzing, walks along links.",
    300,
    renders=True,
    is_deep=True,
)
def explored(context: JourneyContext) -> None:
    from viralsync_conform.fuzzing.engine import explore  # loads the whole engine, which only this journey needs

    run = context.run
    has_control = run.target.has_control
    explorer = (
        context.as_account(run.target.account("explorer", plan="enterprise", clock="auto")) if has_control else context
    )
    exploration = explore(explorer)
    run.shared[EXPLORATION] = exploration
    add_findings(run, exploration)


@journey(
    "generated_calls",
    "What the spec calls invalid is refused, what it calls valid is not, and nothing makes the server fail.",
    10,
)
def generated_calls(context: JourneyContext) -> None:
    target = context.run.target
    odd = context.as_account(target.account("odd", plan="enterprise")) if target.has_control else context
    for case in generated.unsent_cases(context.run):
        if context.run.budget.requests_left <= KEPT_ASIDE:
            break
        if generated.is_affordable(odd, case):
            generated.send(odd, case)
