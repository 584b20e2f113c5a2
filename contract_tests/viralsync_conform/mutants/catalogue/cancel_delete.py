"""Mutants that cancel and delete wrongly."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from viralsync_conform.calls import TERMINAL
from viralsync_conform.mutants.engine.asgi import Answer
from viralsync_conform.mutants.engine.exchange import MutantCall
from viralsync_conform.mutants.engine.layers import Document, Seen, after, both, edit_jobs, response_mutant, when
from viralsync_conform.mutants.mutant import Mutant, independent

CANCEL, DELETE, GET, STREAM = "cancelJob", "deleteJob", "getJob", "streamJobProgress"
OK, CONFLICT, NOT_FOUND = 200, 409, 404
cancels = partial(response_mutant, "cancel")
deletes = partial(response_mutant, "delete")


async def job_of(call: MutantCall) -> Answer:
    return await call.ask("GET", f"/v1/jobs/{call.request.job_id}")


def as_cancelled(job: Document) -> Document:
    return {**job, "status": "cancelled", "phase": None, "outputUrl": None, "mediaData": None, "error": None}


async def only_says_so(call: MutantCall) -> Answer | None:
    answer = await job_of(call)
    if answer.status != OK or answer.document["status"] in TERMINAL or answer.document["parentJobId"]:
        return None
    answer.document = as_cancelled(answer.document)
    return answer


async def not_yet(call: MutantCall) -> Answer | None:
    before = await job_of(call)
    after_it = await call.proceed()
    return before if after_it.status == OK else after_it


async def again(call: MutantCall, _answer: Answer) -> Answer | None:
    job = await job_of(call)
    return job if job.status == OK and job.document["status"] == "cancelled" else None


async def done_too(call: MutantCall, _answer: Answer) -> Answer | None:
    job = await job_of(call)
    return job if job.status == OK and job.document["status"] in TERMINAL else None


async def while_running(call: MutantCall, _answer: Answer) -> Answer | None:
    await call.ask("POST", f"/v1/jobs/{call.request.job_id}/cancel")
    return await call.again(call.request)


async def refuses_queued(call: MutantCall) -> Answer | None:
    job = (await job_of(call)).document
    if job.get("status") != "queued":
        return None
    return call.refusal("INVALID_STATE_TRANSITION", action="cancel", jobId=job["jobId"], status="queued")


async def as_failed(call: MutantCall) -> Answer | None:
    job = await job_of(call)
    if job.status != OK or job.document["status"] in TERMINAL or job.document["parentJobId"]:
        return None
    await call.ask("PATCH", f"/__mock/jobs/{call.request.job_id}", {"status": "failed"})
    return await job_of(call)


async def all_of_them(call: MutantCall, _answer: Answer) -> None:
    for job in (await call.ask("GET", "/v1/jobs?limit=100")).document["jobs"]:
        await call.ask("POST", f"/v1/jobs/{job['jobId']}/cancel")


async def only_hides(call: MutantCall) -> Answer | None:
    job = await job_of(call)
    if job.status != OK or job.document["status"] not in TERMINAL or job.document["parentJobId"]:
        return None
    job.document = {"jobId": call.request.job_id, "deleted": True}
    return job


async def remembers(call: MutantCall) -> Answer | None:
    job = await job_of(call)
    answer = await call.proceed()
    if answer.status == OK:
        call.memory[("deleted", call.request.job_id)] = job
    return answer


async def still_there(call: MutantCall, _answer: Answer) -> Answer | None:
    kept: Answer | None = call.memory.get(("deleted", call.request.job_id))
    return kept and Answer(OK, kept.headers, kept.body)


async def still_streams(call: MutantCall, _answer: Answer) -> Answer | None:
    if ("deleted", call.request.job_id) not in call.memory:
        return None
    return Answer(OK, [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")])


async def gone_already(call: MutantCall, _answer: Answer) -> Answer | None:
    if ("deleted", call.request.job_id) not in call.memory:
        return None
    return ok({"jobId": call.request.job_id, "deleted": True})


async def unknown_too(call: MutantCall, _answer: Answer) -> Answer:
    return ok({"jobId": call.request.job_id, "deleted": True})


async def every_one(call: MutantCall, _answer: Answer) -> None:
    for job in (await call.ask("GET", "/v1/jobs?limit=100")).document["jobs"]:
        await call.ask("DELETE", f"/v1/jobs/{job['jobId']}")


async def conflict(call: MutantCall, _answer: Answer) -> Answer | None:
    return call.refusal("INVALID_STATE_TRANSITION", action="delete", jobId=call.request.job_id, status="cancelled")


async def only_done(call: MutantCall) -> Answer | None:
    job = await job_of(call)
    is_other = job.status == OK and job.document["status"] in {"failed", "cancelled"}
    return await conflict(call, job) if is_other else None


def goes_on(job: Document, _seen: Seen) -> None:
    if job["parentJobId"] and job["status"] == "cancelled":
        job.update(status="running", phase="rendering")


def counts_cancelled(job: Document, _seen: Seen) -> None:
    if job["status"] == "cancelled" and "children" in job:
        job["children"]["running"] = job["children"]["total"] - job["children"]["succeeded"]


async def _job(call: MutantCall) -> Document:
    document = (await call.ask("GET", f"/v1/jobs/{call.request.job_id}")).document
    return document if isinstance(document, dict) and "jobId" in document else {}


def ok(document: object, status: int = 200) -> Answer:
    answer = Answer(status, [(b"content-type", b"application/json")])
    answer.document = document
    return answer


async def cancels_failed(call: MutantCall) -> Answer | None:
    job = await _job(call)
    return ok(job) if job.get("status") == "failed" else None


async def cancels_cancelled(call: MutantCall) -> Answer | None:
    job = await _job(call)
    return ok(job) if job.get("status") == "cancelled" else None


async def keeps_failed(call: MutantCall) -> Answer | None:
    job = await _job(call)
    is_kept = job.get("status") == "failed"
    return call.refusal("INVALID_STATE_TRANSITION", action="delete", **job) if is_kept else None


async def keeps_cancelled(call: MutantCall) -> Answer | None:
    job = await _job(call)
    is_kept = job.get("status") == "cancelled"
    return call.refusal("INVALID_STATE_TRANSITION", action="delete", **job) if is_kept else None


async def deletes_twice(call: MutantCall) -> Answer:
    answer = await call.proceed()
    if call.request.operation == "deleteJob":
        gone = call.memory.setdefault("gone", set())
        if answer.status == 200:
            gone.add(call.request.job_id)
        elif answer.status == 404 and call.request.job_id in gone:
            return ok({"jobId": call.request.job_id, "deleted": True})
    return answer


async def still_listed(call: MutantCall) -> Answer:
    request = call.request
    job = await _job(call) if request.operation == "deleteJob" else {}
    answer = await call.proceed()
    if job and answer.status == 200:
        call.memory["ghost"] = job
    ghost = call.memory.get("ghost")
    if ghost and request.operation == "listJobs" and answer.status == 200 and not request.parameters:
        page = answer.document
        page["jobs"] = sorted([*page["jobs"], ghost], key=lambda each: str(each["createdAt"]), reverse=True)
        answer.document = page
    return answer


async def keeps_children(call: MutantCall) -> Answer:
    request = call.request
    job = await _job(call) if request.operation == "deleteJob" else {}
    child = await call.ask("GET", f"/v1/jobs/scene_{request.job_id}_001") if job else None
    answer = await call.proceed()
    if child and answer.status == 200:
        call.memory["child", f"scene_{request.job_id}_001"] = child
    if request.operation == "getJob" and answer.status == 404:
        kept: Answer = call.memory.get(("child", request.job_id), answer)
        return kept
    return answer


async def _still_streams(call: MutantCall) -> Answer:
    request = call.request
    chunks = []
    if request.operation == "deleteJob" and (await _job(call)).get("status") in TERMINAL:
        stream = await call.ask("GET", f"/v1/jobs/{request.job_id}/progress")
        chunks = [chunk async for chunk in stream.events] if stream.events else []
    answer = await call.proceed()
    if chunks and answer.status == 200:
        call.memory["events", request.job_id] = b"".join(chunks)
    kept = call.memory.get(("events", request.job_id))
    if kept and request.operation == "streamJobProgress":
        return Answer(200, [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-cache")], kept)
    return answer


async def fails_queued(call: MutantCall) -> Answer:
    before = await _job(call) if call.request.operation == "cancelJob" else {}
    if before.get("status") == "queued":
        call.memory["failed", call.request.job_id] = True

    def failed(job: Document, _: Seen) -> None:
        if job["status"] == "cancelled" and call.memory.get(("failed", job["jobId"])):
            job.update(status="failed", error="SCENE_RENDER_FAILED: cancelled in the queue")

    return await edit_jobs(failed)(call)


def back_to_zero(job: Document, _: Seen) -> None:
    if job["status"] == "cancelled":
        job["progress"] = 0


def to_one(job: Document, _: Seen) -> None:
    if job["status"] == "failed":
        job["progress"] = 1


async def shows_before(call: MutantCall) -> Answer:
    before = await _job(call) if call.request.operation == "cancelJob" else {}
    answer = await call.proceed()
    if before and answer.status == 200:
        answer.document = before
    return answer


async def cancel_deletes(call: MutantCall) -> Answer:
    answer = await call.proceed()
    if call.request.operation == "cancelJob" and answer.status == 200:
        await call.ask("DELETE", f"/v1/jobs/{call.request.job_id}")
    return answer


async def other_status(call: MutantCall) -> Answer:
    answer = await call.proceed()
    if call.request.operation == "cancelJob" and answer.status == 200:
        answer.status = 202
    return answer


async def foreign(call: MutantCall, *operations: str) -> Answer:
    request = call.request
    owner = call.world.owners.get(request.job_id or "")
    answer = await call.proceed()
    if request.operation in operations and answer.status == 404 and owner not in (None, request.key):
        return await call.again(replace(request.with_headers(authorization=None, x_api_key=owner)))
    return answer


async def foreign_cancel(call: MutantCall) -> Answer:
    return await foreign(call, "cancelJob")


async def foreign_stream(call: MutantCall) -> Answer:
    return await foreign(call, "streamJobProgress")


async def foreign_forbidden(call: MutantCall) -> Answer:
    request = call.request
    answer = await call.proceed()
    owner = call.world.owners.get(request.job_id or "")
    is_foreign = answer.status == 404 and owner not in (None, request.key)
    return call.refusal("FORBIDDEN") if is_foreign and request.operation == "deleteJob" else answer


MUTANTS: tuple[Mutant, ...] = (
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
    *independent(
        cancels(
            "failed-job-cancelled-again", "Cancelling a failed job answers 200.", when("cancelJob", cancels_failed)
        ),
        cancels(
            "second-cancel-accepted", "Cancelling a cancelled job answers 200.", when("cancelJob", cancels_cancelled)
        ),
        cancels("failed-job-stays", "A failed job cannot be deleted.", when("deleteJob", keeps_failed)),
        cancels("cancelled-job-stays", "A cancelled job cannot be deleted.", when("deleteJob", keeps_cancelled)),
        cancels("second-delete-accepted", "Deleting a deleted job answers 200 once more.", deletes_twice),
        cancels(
            "ghost-in-first-page", "The job deleted last is still on the first page of the plain list.", still_listed
        ),
        cancels("deleted-leave-first-scene", "The first scene of a deleted job can still be read.", keeps_children),
        cancels("deleted-still-streams", "The progress of a deleted job can still be streamed.", _still_streams),
        cancels("cancelled-in-queue-is-failed", "A job that is cancelled while it is queued is failed.", fails_queued),
        cancels("cancelled-progress-zero", "The progress of a cancelled job is 0 again.", edit_jobs(back_to_zero)),
        cancels("failed-progress-one", "The progress of a failed job is 1.", edit_jobs(to_one)),
        cancels("cancel-shows-job-before", "Cancelling answers with the job as it was before.", shows_before),
        cancels("cancel-deletes-too", "A cancelled job is deleted at once.", cancel_deletes),
        cancels("cancel-answers-202", "Cancelling answers 202.", other_status),
        cancels("foreign-job-cancelled", "Anybody can cancel a job whose id he knows.", foreign_cancel),
        cancels("foreign-job-streamed", "Anybody can stream a job whose id he knows.", foreign_stream),
        cancels("foreign-delete-forbidden", "Deleting another account's job answers 403.", foreign_forbidden),
    ),
)
