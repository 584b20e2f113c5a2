"""Mutants that cancel and delete wrongly."""

from __future__ import annotations

from functools import partial

from viralsync_conform.mutants.engine.asgi import Answer
from viralsync_conform.mutants.engine.exchange import MutantCall
from viralsync_conform.mutants.engine.layers import (
    TERMINAL,
    Document,
    Seen,
    after,
    both,
    edit_error,
    edit_jobs,
    edit_json,
    edit_response,
    fields,
    response_mutant,
    status,
    when,
)
from viralsync_conform.mutants.mutant import Mutant

CANCEL, DELETE, GET, STREAM = "cancelJob", "deleteJob", "getJob", "streamJobProgress"
OK, CONFLICT, NOT_FOUND = 200, 409, 404

cancels = partial(response_mutant, "cancel")
deletes = partial(response_mutant, "delete")


async def job_of(visit: MutantCall) -> Answer:
    """Return the job that the request is about."""
    return await visit.ask("GET", f"/v1/jobs/{visit.request.job_id}")


def as_cancelled(job: Document) -> Document:
    """Return a job as though it were cancelled."""
    return {**job, "status": "cancelled", "phase": None, "outputUrl": None, "mediaData": None, "error": None}


async def only_says_so(visit: MutantCall) -> Answer | None:
    """Say that the job is cancelled, and let it run."""
    answer = await job_of(visit)
    if answer.status != OK or answer.document["status"] in TERMINAL or answer.document["parentJobId"]:
        return None
    answer.document = as_cancelled(answer.document)
    return answer


async def not_yet(visit: MutantCall) -> Answer | None:
    """Answer with the job as it was before."""
    before = await job_of(visit)
    after_it = await visit.proceed()
    return before if after_it.status == OK else after_it


async def again(visit: MutantCall, _answer: Answer) -> Answer | None:
    """Take a second cancel for a first."""
    job = await job_of(visit)
    return job if job.status == OK and job.document["status"] == "cancelled" else None


async def done_too(visit: MutantCall, _answer: Answer) -> Answer | None:
    """Take the cancel of a job that is done for a cancel."""
    job = await job_of(visit)
    return job if job.status == OK and job.document["status"] in TERMINAL else None


async def while_running(visit: MutantCall, _answer: Answer) -> Answer | None:
    """Delete a job that runs: end it, then delete it."""
    await visit.ask("POST", f"/v1/jobs/{visit.request.job_id}/cancel")
    return await visit.again(visit.request)


async def refuses_queued(visit: MutantCall) -> Answer | None:
    """Refuse to cancel a job that waits for a worker."""
    job = (await job_of(visit)).document
    if job.get("status") != "queued":
        return None
    return visit.refusal("INVALID_STATE_TRANSITION", action="cancel", jobId=job["jobId"], status="queued")


async def as_failed(visit: MutantCall) -> Answer | None:
    """End a job as failed in the place of cancelling it."""
    job = await job_of(visit)
    if job.status != OK or job.document["status"] in TERMINAL or job.document["parentJobId"]:
        return None
    await visit.ask("PATCH", f"/__mock/jobs/{visit.request.job_id}", {"status": "failed"})
    return await job_of(visit)


async def all_of_them(visit: MutantCall, _answer: Answer) -> None:
    """Cancel every other job of the account too."""
    for job in (await visit.ask("GET", "/v1/jobs?limit=100")).document["jobs"]:
        await visit.ask("POST", f"/v1/jobs/{job['jobId']}/cancel")


async def only_hides(visit: MutantCall) -> Answer | None:
    """Answer as though the job were deleted, and keep it."""
    job = await job_of(visit)
    if job.status != OK or job.document["status"] not in TERMINAL or job.document["parentJobId"]:
        return None
    job.document = {"jobId": visit.request.job_id, "deleted": True}
    return job


async def remembers(visit: MutantCall) -> Answer | None:
    """Remember a job, and its stream, before it is deleted."""
    job = await job_of(visit)
    answer = await visit.proceed()
    if answer.status == OK:
        visit.memory[("deleted", visit.request.job_id)] = job
    return answer


async def still_there(visit: MutantCall, _answer: Answer) -> Answer | None:
    """Show a deleted job."""
    kept: Answer | None = visit.memory.get(("deleted", visit.request.job_id))
    return kept and Answer(OK, kept.headers, kept.body)


async def still_streams(visit: MutantCall, _answer: Answer) -> Answer | None:
    """Answer for the stream of a deleted job with an empty one."""
    if ("deleted", visit.request.job_id) not in visit.memory:
        return None
    return Answer(OK, [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")])


async def gone_already(visit: MutantCall, _answer: Answer) -> Answer | None:
    """Take a second delete for a first."""
    if ("deleted", visit.request.job_id) not in visit.memory:
        return None
    made = Answer(OK, [(b"content-type", b"application/json")])
    made.document = {"jobId": visit.request.job_id, "deleted": True}
    return made


async def unknown_too(visit: MutantCall, _answer: Answer) -> Answer:
    """Say that a job which never was is deleted."""
    made = Answer(OK, [(b"content-type", b"application/json")])
    made.document = {"jobId": visit.request.job_id, "deleted": True}
    return made


async def every_one(visit: MutantCall, _answer: Answer) -> None:
    """Delete every job of the account that has ended."""
    for job in (await visit.ask("GET", "/v1/jobs?limit=100")).document["jobs"]:
        await visit.ask("DELETE", f"/v1/jobs/{job['jobId']}")


async def conflict(visit: MutantCall, _answer: Answer) -> Answer | None:
    """Refuse to delete a job that was cancelled."""
    return visit.refusal("INVALID_STATE_TRANSITION", action="delete", jobId=visit.request.job_id, status="cancelled")


async def only_done(visit: MutantCall) -> Answer | None:
    """Refuse to delete a job that is not done."""
    job = await job_of(visit)
    is_other = job.status == OK and job.document["status"] in {"failed", "cancelled"}
    return await conflict(visit, job) if is_other else None


def goes_on(job: Document, _seen: Seen) -> None:
    """Show the children of a cancelled job as done."""
    if job["parentJobId"] and job["status"] == "cancelled":
        job.update(status="running", phase="rendering")


def counts_cancelled(job: Document, _seen: Seen) -> None:
    """Count the children of a cancelled job as running."""
    if job["status"] == "cancelled" and "children" in job:
        job["children"]["running"] = job["children"]["total"] - job["children"]["succeeded"]


ENDINGS: tuple[Mutant, ...] = (
    cancels("cancel-only-says-so", "A cancelled job goes on and is done.", when(CANCEL, only_says_so)),
    cancels("cancel-stale-answer", "The answer to a cancel shows the job as it was.", when(CANCEL, not_yet)),
    cancels("cancel-accepted-twice", "A cancelled job can be cancelled again.", after(CANCEL, again, status=CONFLICT)),
    cancels(
        "cancel-of-ended",
        "A job that has ended can be cancelled, without effect.",
        after(CANCEL, done_too, status=CONFLICT),
    ),
    cancels("cancel-fails-job", "A cancelled job ends as failed.", when(CANCEL, as_failed)),
    cancels("cancel-all", "Cancelling one job cancels all.", after(CANCEL, all_of_them, status=OK)),
    cancels("cancel-refuses-queued", "A queued job cannot be cancelled.", when(CANCEL, refuses_queued)),
    cancels("cancel-children-run-on", "The children of a cancelled job run on.", edit_jobs(goes_on, GET)),
    cancels(
        "cancel-children-counted", "The children of a cancelled job count as running.", edit_jobs(counts_cancelled)
    ),
    cancels("cancel-202", "A cancel is answered with 202.", edit_response(status(202), CANCEL)),
    cancels(
        "cancel-of-ended-400",
        "The cancel of a job that has ended is answered with 400.",
        edit_error("INVALID_STATE_TRANSITION", status(400), CANCEL),
    ),
    cancels(
        "cancel-of-ended-404",
        "The cancel of a job that has ended is answered with 404.",
        edit_error("INVALID_STATE_TRANSITION", status(404), CANCEL),
    ),
    cancels("cancel-progress-1", "A cancelled job has progress 1.", edit_json(lambda d: d.update(progress=1), CANCEL)),
    cancels(
        "cancel-of-unknown-200",
        "The cancel of an unknown job is answered with 200.",
        edit_error("JOB_NOT_FOUND", status(OK), CANCEL),
    ),
    deletes("delete-only-says-so", "A deleted job is still there.", when(DELETE, only_hides)),
    deletes("delete-of-running", "A running job can be deleted.", after(DELETE, while_running, status=CONFLICT)),
    deletes(
        "delete-keeps-readable",
        "A deleted job can be read.",
        both(when(DELETE, remembers), after(GET, still_there, status=NOT_FOUND)),
    ),
    deletes(
        "delete-keeps-stream",
        "A deleted job can be streamed.",
        both(when(DELETE, remembers), after(STREAM, still_streams, status=NOT_FOUND)),
    ),
    deletes(
        "delete-twice",
        "A deleted job can be deleted again.",
        both(when(DELETE, remembers), after(DELETE, gone_already, status=NOT_FOUND)),
    ),
    deletes("delete-of-unknown", "A job that never was can be deleted.", after(DELETE, unknown_too, status=NOT_FOUND)),
    deletes("delete-all", "Deleting one job deletes all that have ended.", after(DELETE, every_one, status=OK)),
    deletes("delete-done-only", "A cancelled or failed job cannot be deleted.", when(DELETE, only_done)),
    deletes("delete-202", "A delete is answered with 202.", edit_response(status(202), DELETE)),
    deletes(
        "delete-says-false", "A delete is answered with `deleted: false`.", edit_json(fields(deleted=False), DELETE)
    ),
    deletes(
        "delete-of-another",
        "A delete answers with another job's id.",
        edit_json(fields(jobId="job_00000000000f"), DELETE),
    ),
    deletes(
        "delete-of-running-400",
        "The delete of a running job is answered with 400.",
        edit_error("INVALID_STATE_TRANSITION", status(400), DELETE),
    ),
    deletes(
        "delete-of-running-403",
        "The delete of a running job is answered with 403.",
        edit_error("INVALID_STATE_TRANSITION", status(403), DELETE),
    ),
    deletes("deleted-410", "A deleted job is answered with 410.", edit_error("JOB_NOT_FOUND", status(410), GET)),
)
