"""Operations that no journey knows by name: what their `x-effect` says is enough to try them."""

from __future__ import annotations

from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.contract.schemas import CREATES, DELETES, ENDS
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
