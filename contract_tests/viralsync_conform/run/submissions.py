"""What a run submits, always of a second or less, and the jobs that came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from viralsync_conform.budget import worst_case
from viralsync_conform.calls import TERMINAL, Exchange
from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.contract.schemas import DELETES, ENDS, READS
from viralsync_conform.findings import Check
from viralsync_conform.run.context import RunContext
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.run.request import as_json

Document = dict[str, Any]

TITLE, PROJECT, SCENE = "Conformance run", "proj_conform_", "conform-"
"""The marks of the jobs that the kit makes, whatever project they are in: title, project, or a scene's id."""

CONFLICT = 409
CANCEL_TRIES = 12
"""How often a cancel is tried while the job is queued."""

SCENES = (("opening", 0.55), ("closing", 0.45))


@dataclass
class Job:
    """A job that this run submitted. `minutes` is what it could cost."""

    id: str
    body: Document
    minutes: float
    submitted: Exchange


def submission(project_id: str, **changes: Any) -> Document:
    """Return a valid submission of one second in two scenes; `changes` go over it."""
    movie: Document = {
        "title": TITLE,
        "width": 722,
        "height": 406,
        "fps": 24,
        "scenes": [{"id": name, "duration": seconds, "bgColor": "#101820"} for name, seconds in SCENES],
    }
    return {"kind": "movie", "projectId": project_id, "movie": movie, **changes}


def fitting(run: RunContext) -> Document:
    """Return the frame of a movie that says nothing of it: none, unless the plan has no room for the default one."""
    terms = run.contract.spec.plans.get(str(run.plan).lower())
    properties = run.contract.document["components"]["schemas"]["Movie"]["properties"]
    usual = properties["width"]["x-default"], properties["height"]["x-default"]
    if terms is None or (terms.largest_frame[0] >= usual[0] and terms.largest_frame[1] >= usual[1]):
        return {}
    return dict(zip(("width", "height"), terms.largest_frame, strict=True))


def is_marked(job: Mapping[str, Any]) -> bool:
    """Say whether a job was made by a run of the kit, as far as the payload that it echoes shows."""
    payload = job.get("payload")
    payload = payload if isinstance(payload, dict) else {}
    movie = payload.get("movie")
    movie = movie if isinstance(movie, dict) else {}
    scenes = movie.get("scenes")
    ids = [str(each.get("id")) for each in scenes if isinstance(each, dict)] if isinstance(scenes, list) else []
    is_in_project = str(payload.get("projectId")).startswith(PROJECT)
    return is_in_project or movie.get("title") == TITLE or any(each.startswith(SCENE) for each in ids)


def submit(
    context: JourneyContext,
    *,
    step: str = "submit",
    fact: Check | None = None,
    auth: str = "header",
    is_free: bool = False,
    **changes: Any,
) -> Job:
    """Submit a movie that must be accepted; raises StopJourneyError when no job came of it."""
    call, job = attempt(context, step=step, fact=fact, auth=auth, is_free=is_free, **changes)
    if job is None:
        raise context.stop("no job was made", call)
    context.check(facts.QUEUED_FIRST, call.document.get("status") == "queued", call, got=call.document.get("status"))
    return job


def attempt(
    context: JourneyContext,
    *,
    step: str,
    fact: Check | None,
    auth: str = "header",
    is_free: bool = False,
    **changes: Any,
) -> tuple[Exchange, Job | None]:
    """Submit a movie, and return the answer and the job, if there is one."""
    body = submission(context.run.project_id, **changes)
    minutes = worst_case(body)
    reserve(context, minutes, is_free=is_free)
    call = context.call(
        context.run.contract.submit.id, 202, body=body, step=step, fact=fact, auth=auth, is_repeatable=False
    )
    return call, register_job(context, call, body, minutes)


def submit_body(
    context: JourneyContext,
    body: Document,
    expected: int | str,
    *,
    step: str,
    is_repeatable: bool = False,
    is_free: bool = False,
) -> tuple[Exchange, Job | None]:
    """Submit a body and leave it to the caller to judge the answer; a job that came of it is in the run's care."""
    known, minutes = context.run.contract.submit, worst_case(body)
    reserve(context, minutes, is_free=is_free)
    request = context.build_request(
        known.method, known.path, expected, operation=known.id, headers={"content-type": "application/json"},
        content=as_json(body), step=step, is_repeatable=is_repeatable,
    )  # fmt: skip
    call = context.client.send(request)
    return call, register_job(context, call, body, minutes)


def refused(
    context: JourneyContext,
    code: str,
    fact: Check,
    *,
    step: str,
    headers: Mapping[str, str] | None = None,
    **changes: Any,
) -> Exchange:
    """Submit what must be refused; if it is accepted all the same, it is cancelled at once."""
    body = submission(context.run.project_id, **changes)
    minutes = worst_case(body)
    reserve(context, minutes)
    call = context.call(context.run.contract.submit.id, code, body=body, step=step, fact=fact, headers=headers or {})
    job = register_job(context, call, body, minutes)
    if job is not None:
        cancel(context, job)
    return call


def cancel_when_possible(context: JourneyContext, job_id: str, step: str) -> Exchange:
    """Cancel a job, again while the target refuses since it is queued; a running job can be cancelled.

    What the refusal for an ended job is, is open.
    """
    contract = context.run.contract
    known, read = contract.one(ENDS), contract.one(READS)
    path, was_running = contract.job_path(known, job_id), False
    for look in range(CANCEL_TRIES):
        call = context.call_any(known.id, path=path, step=step, expect=200)
        if call.status != CONFLICT:
            break
        status = context.call(read.id, 200, path=path, step=f"{step}: look").document.get("status")
        if was_running or status not in {"queued", "running", "waiting"}:
            break
        was_running = status != "queued"
        if not was_running:
            context.learn("cancel.queued", "refused", call)
            context.account.clock.wait_for_change(look)
    if call.status != CONFLICT or (was_running and status not in TERMINAL):
        context.expect(call, 200)
    return call


def reserve(context: JourneyContext, minutes: float, *, is_free: bool = False) -> None:
    """Keep the render minutes that a submission could cost; those of throwaway accounts are nobody's.

    `is_free` says that the job is cancelled at once, and that this run has seen that to cost nothing.
    """
    if context.account.is_main:
        context.run.budget.reserve(minutes, is_free=is_free)


def register_job(context: JourneyContext, call: Exchange, body: Document, minutes: float) -> Job | None:
    """Take what a submission made into the run's care, and give back what it cannot cost."""
    job_id = call.document.get("jobId")
    if not (call.is_success and isinstance(job_id, str) and job_id):
        if context.account.is_main and call.status is not None and not call.is_success and call.status < 500:
            context.run.budget.release(minutes)  # else it may have made a job that nobody can name
        return None
    run = context.run
    if context.account.is_main and job_id in foreign_jobs(run, call):
        context.check(facts.NEW_JOB, False, call, expected="a new job", got=job_id)
        return None
    run.guard.own(job_id)
    job = Job(job_id, body, minutes, call)
    if context.account.is_main:
        run.jobs[job_id] = job
        run.budget.unclean_jobs += 1
    return job


def foreign_jobs(run: RunContext, submitted: Exchange) -> set[str]:
    """Return the jobs that were listed before a submission was made, and are not this run's own: never its to touch."""
    listed = {job_id for job_id, number in run.listed.items() if number < submitted.number}
    return listed - set(run.guard.created)


def settle_budget(context: JourneyContext, job: Job, status: object) -> None:
    """Account for a job that has ended: what is done costs, everything else is given back; one that hangs may cost."""
    if not context.account.is_main or job.id in context.run.settled or status not in TERMINAL:
        return
    context.run.settled.add(job.id)
    if status == "done":
        context.run.budget.charge(job.minutes)
    else:
        context.run.budget.release(job.minutes)


def wait_terminal(context: JourneyContext, job_id: str, step: str) -> Exchange:
    """Look at a job until it has ended, as long as a real target may take for a cancel; return the last look."""
    known = context.run.contract.one(READS)
    path = context.run.contract.job_path(known, job_id)
    return context.settle(
        lambda: context.call(known.id, 200, path=path, step=step), lambda call: call.document.get("status") in TERMINAL
    )


def _delete(context: JourneyContext, job: Job) -> None:
    known = context.run.contract.one(DELETES)
    path = context.run.contract.job_path(known, job.id)
    if context.call(known.id, 200, path=path, step="delete what was cancelled", is_repeatable=False).is_success:
        context.run.deleted.add(job.id)
        context.run.budget.unclean_jobs -= 1


def _check_not_done(context: JourneyContext, ended: Exchange) -> None:
    """A job may be done before its cancel comes in, but not without its scenes."""
    children = ended.document.get("children")
    counts = children if isinstance(children, dict) else {}
    succeeded, total = counts.get("succeeded"), counts.get("total")
    is_cut = isinstance(succeeded, int) and isinstance(total, int) and succeeded < total
    is_done = ended.document.get("status") == "done"
    context.check(facts.CANCELS, not (is_done and is_cut), ended, expected="cancelled", got=f"done with {children}")


def cancel(context: JourneyContext, job: Job, *, is_kept: bool = False) -> None:
    """Cancel a job that is not to be rendered, at once; where a queued job cannot be, as soon as it runs.

    On a real target it is deleted too, unless it is still needed: what is gone needs no cleaning.
    """
    if not context.run.target.has_control:
        answer = cancel_when_possible(context, job.id, "cancel what was accepted")
        if answer.document.get("status") != "cancelled":
            answer = wait_terminal(context, job.id, "was it cancelled")
            _check_not_done(context, answer)
        if answer.document.get("status") in TERMINAL:
            settle_budget(context, job, answer.document.get("status"))
            if not is_kept:
                _delete(context, job)
        return
    known = context.run.contract.one(ENDS)
    path = context.run.contract.job_path(known, job.id)
    call = context.call(known.id, 200, path=path, step="cancel what was accepted", is_repeatable=False)
    if call.is_success:
        settle_budget(context, job, "cancelled")
