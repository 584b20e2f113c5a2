"""A second set of servers, written without a look at the checks: jobs that are cancelled or deleted wrongly."""

from __future__ import annotations

from dataclasses import replace

from viralsync_conform.mutants.engine.asgi import Answer
from viralsync_conform.mutants.engine.exchange import MutantCall
from viralsync_conform.mutants.engine.layers import TERMINAL, Document, Seen, edit_jobs, response_mutant, when

THEME = "endings"


async def _job(visit: MutantCall) -> Document:
    """Return the job that a request names; an empty document for none."""
    document = (await visit.ask("GET", f"/v1/jobs/{visit.request.job_id}")).document
    return document if isinstance(document, dict) and "jobId" in document else {}


def _ok(document: object, status: int = 200) -> Answer:
    answer = Answer(status, [(b"content-type", b"application/json")])
    answer.document = document
    return answer


async def _cancels_failed(visit: MutantCall) -> Answer | None:
    job = await _job(visit)
    return _ok(job) if job.get("status") == "failed" else None


async def _cancels_cancelled(visit: MutantCall) -> Answer | None:
    job = await _job(visit)
    return _ok(job) if job.get("status") == "cancelled" else None


async def _keeps_failed(visit: MutantCall) -> Answer | None:
    job = await _job(visit)
    is_kept = job.get("status") == "failed"
    return visit.refusal("INVALID_STATE_TRANSITION", action="delete", **job) if is_kept else None


async def _keeps_cancelled(visit: MutantCall) -> Answer | None:
    job = await _job(visit)
    is_kept = job.get("status") == "cancelled"
    return visit.refusal("INVALID_STATE_TRANSITION", action="delete", **job) if is_kept else None


async def _deletes_twice(visit: MutantCall) -> Answer:
    answer = await visit.proceed()
    if visit.request.operation == "deleteJob":
        gone = visit.memory.setdefault("gone", set())
        if answer.status == 200:
            gone.add(visit.request.job_id)
        elif answer.status == 404 and visit.request.job_id in gone:
            return _ok({"jobId": visit.request.job_id, "deleted": True})
    return answer


async def _still_listed(visit: MutantCall) -> Answer:
    request = visit.request
    job = await _job(visit) if request.operation == "deleteJob" else {}
    answer = await visit.proceed()
    if job and answer.status == 200:
        visit.memory["ghost"] = job
    ghost = visit.memory.get("ghost")
    if ghost and request.operation == "listJobs" and answer.status == 200 and not request.parameters:
        page = answer.document
        page["jobs"] = sorted([*page["jobs"], ghost], key=lambda each: str(each["createdAt"]), reverse=True)
        answer.document = page
    return answer


async def _keeps_children(visit: MutantCall) -> Answer:
    request = visit.request
    job = await _job(visit) if request.operation == "deleteJob" else {}
    child = await visit.ask("GET", f"/v1/jobs/scene_{request.job_id}_001") if job else None
    answer = await visit.proceed()
    if child and answer.status == 200:
        visit.memory["child", f"scene_{request.job_id}_001"] = child
    if request.operation == "getJob" and answer.status == 404:
        kept: Answer = visit.memory.get(("child", request.job_id), answer)
        return kept
    return answer


async def _still_streams(visit: MutantCall) -> Answer:
    request = visit.request
    chunks = []
    if request.operation == "deleteJob" and (await _job(visit)).get("status") in TERMINAL:
        stream = await visit.ask("GET", f"/v1/jobs/{request.job_id}/progress")
        chunks = [chunk async for chunk in stream.events] if stream.events else []
    answer = await visit.proceed()
    if chunks and answer.status == 200:
        visit.memory["events", request.job_id] = b"".join(chunks)
    kept = visit.memory.get(("events", request.job_id))
    if kept and request.operation == "streamJobProgress":
        return Answer(200, [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")], kept)
    return answer


async def _fails_queued(visit: MutantCall) -> Answer:
    before = await _job(visit) if visit.request.operation == "cancelJob" else {}
    if before.get("status") == "queued":
        visit.memory["failed", visit.request.job_id] = True

    def failed(job: Document, _: Seen) -> None:
        if job["status"] == "cancelled" and visit.memory.get(("failed", job["jobId"])):
            job.update(status="failed", error="SCENE_RENDER_FAILED: cancelled in the queue")

    return await edit_jobs(failed)(visit)


def _back_to_zero(job: Document, _: Seen) -> None:
    if job["status"] == "cancelled":
        job["progress"] = 0


def _to_one(job: Document, _: Seen) -> None:
    if job["status"] == "failed":
        job["progress"] = 1


async def _shows_before(visit: MutantCall) -> Answer:
    before = await _job(visit) if visit.request.operation == "cancelJob" else {}
    answer = await visit.proceed()
    if before and answer.status == 200:
        answer.document = before
    return answer


async def _cancel_deletes(visit: MutantCall) -> Answer:
    answer = await visit.proceed()
    if visit.request.operation == "cancelJob" and answer.status == 200:
        await visit.ask("DELETE", f"/v1/jobs/{visit.request.job_id}")
    return answer


async def _other_status(visit: MutantCall) -> Answer:
    answer = await visit.proceed()
    if visit.request.operation == "cancelJob" and answer.status == 200:
        answer.status = 202
    return answer


async def _foreign(visit: MutantCall, *operations: str) -> Answer:
    request = visit.request
    owner = visit.world.owners.get(request.job_id or "")
    answer = await visit.proceed()
    if request.operation in operations and answer.status == 404 and owner not in (None, request.key):
        return await visit.again(replace(request.with_headers(authorization=None, x_api_key=owner)))
    return answer


async def _foreign_cancel(visit: MutantCall) -> Answer:
    return await _foreign(visit, "cancelJob")


async def _foreign_stream(visit: MutantCall) -> Answer:
    return await _foreign(visit, "streamJobProgress")


async def _foreign_forbidden(visit: MutantCall) -> Answer:
    request = visit.request
    answer = await visit.proceed()
    owner = visit.world.owners.get(request.job_id or "")
    is_foreign = answer.status == 404 and owner not in (None, request.key)
    return visit.refusal("FORBIDDEN") if is_foreign and request.operation == "deleteJob" else answer


SECOND_ENDINGS = tuple(
    response_mutant(THEME, name, statement, layer)
    for name, statement, layer in (
        ("failed-job-cancelled-again", "Cancelling a failed job answers 200.", when("cancelJob", _cancels_failed)),
        ("second-cancel-accepted", "Cancelling a cancelled job answers 200.", when("cancelJob", _cancels_cancelled)),
        ("failed-job-stays", "A failed job cannot be deleted.", when("deleteJob", _keeps_failed)),
        ("cancelled-job-stays", "A cancelled job cannot be deleted.", when("deleteJob", _keeps_cancelled)),
        ("second-delete-accepted", "Deleting a deleted job answers 200 once more.", _deletes_twice),
        ("ghost-in-first-page", "The job deleted last is still on the first page of the plain list.", _still_listed),
        ("deleted-leave-first-scene", "The first scene of a deleted job can still be read.", _keeps_children),
        ("deleted-still-streams", "The progress of a deleted job can still be streamed.", _still_streams),
        ("cancelled-in-queue-is-failed", "A job that is cancelled while it is queued is failed.", _fails_queued),
        ("cancelled-progress-zero", "The progress of a cancelled job is 0 again.", edit_jobs(_back_to_zero)),
        ("failed-progress-one", "The progress of a failed job is 1.", edit_jobs(_to_one)),
        ("cancel-shows-job-before", "Cancelling answers with the job as it was before.", _shows_before),
        ("cancel-deletes-too", "A cancelled job is deleted at once.", _cancel_deletes),
        ("cancel-answers-202", "Cancelling answers 202.", _other_status),
        ("foreign-job-cancelled", "Anybody can cancel a job whose id he knows.", _foreign_cancel),
        ("foreign-job-streamed", "Anybody can stream a job whose id he knows.", _foreign_stream),
        ("foreign-delete-forbidden", "Deleting another account's job answers 403.", _foreign_forbidden),
    )
)
