"""Mutants that cancel and delete wrongly."""

from __future__ import annotations

from viralsync_conform.calls import TERMINAL
from viralsync_conform.mutants.catalogue.api_keys import as_owner, foreign_as
from viralsync_conform.mutants.engine.asgi import Answer, json_answer
from viralsync_conform.mutants.engine.exchange import Layer, MutantCall
from viralsync_conform.mutants.engine.layers import Document, Seen, after, both, edit_jobs, when
from viralsync_conform.mutants.mutant import Section

CANCEL, DELETE, GET, STREAM = "cancelJob", "deleteJob", "getJob", "streamJobProgress"
OK, CONFLICT, NOT_FOUND = 200, 409, 404
cancels = Section("cancel")
deletes = Section("delete")


async def job_of(call: MutantCall) -> Answer:
    return await call.ask("GET", f"/v1/jobs/{call.request.job_id}")


def as_cancelled(job: Document) -> Document:
    return {**job, "status": "cancelled", "phase": None, "outputUrl": None, "mediaData": None, "error": None}


@cancels("cancel-only-says-so", "A cancelled job goes on and is done.", when, CANCEL)
async def only_says_so(call: MutantCall) -> Answer | None:
    answer = await job_of(call)
    if answer.status != OK or answer.document["status"] in TERMINAL or answer.document["parentJobId"]:
        return None
    answer.document = as_cancelled(answer.document)
    return answer


@cancels("cancel-stale-answer", "The answer to a cancel shows the job as it was.", when, CANCEL)
async def not_yet(call: MutantCall) -> Answer | None:
    before = await job_of(call)
    after_it = await call.proceed()
    return before if after_it.status == OK else after_it


@deletes("delete-of-running", "A running job can be deleted.", after, DELETE, status=CONFLICT)
async def while_running(call: MutantCall, _answer: Answer) -> Answer | None:
    await call.ask("POST", f"/v1/jobs/{call.request.job_id}/cancel")
    return await call.again(call.request)


@cancels("cancel-refuses-queued", "A queued job cannot be cancelled.", when, CANCEL)
async def refuses_queued(call: MutantCall) -> Answer | None:
    job = (await job_of(call)).document
    if job.get("status") != "queued":
        return None
    return call.refusal("INVALID_STATE_TRANSITION", action="cancel", jobId=job["jobId"], status="queued")


@cancels("cancel-fails-job", "A cancelled job ends as failed.", when, CANCEL)
async def as_failed(call: MutantCall) -> Answer | None:
    job = await job_of(call)
    if job.status != OK or job.document["status"] in TERMINAL or job.document["parentJobId"]:
        return None
    await call.ask("PATCH", f"/__mock/jobs/{call.request.job_id}", {"status": "failed"})
    return await job_of(call)


@cancels("cancel-all", "Cancelling one job cancels all.", after, CANCEL, status=OK)
async def all_of_them(call: MutantCall, _answer: Answer) -> None:
    for job in (await call.ask("GET", "/v1/jobs?limit=100")).document["jobs"]:
        await call.ask("POST", f"/v1/jobs/{job['jobId']}/cancel")


@deletes("delete-only-says-so", "A deleted job is still there.", when, DELETE)
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
    return json_answer({"jobId": call.request.job_id, "deleted": True})


deleted_twice = both(when(remembers, DELETE), after(gone_already, DELETE, status=NOT_FOUND))


@deletes("delete-of-unknown", "A job that never was can be deleted.", after, DELETE, status=NOT_FOUND)
async def unknown_too(call: MutantCall, _answer: Answer) -> Answer:
    return json_answer({"jobId": call.request.job_id, "deleted": True})


@deletes("delete-all", "Deleting one job deletes all that have ended.", after, DELETE, status=OK)
async def every_one(call: MutantCall, _answer: Answer) -> None:
    for job in (await call.ask("GET", "/v1/jobs?limit=100")).document["jobs"]:
        await call.ask("DELETE", f"/v1/jobs/{job['jobId']}")


async def _job(call: MutantCall) -> Document:
    document = (await job_of(call)).document
    return document if isinstance(document, dict) and "jobId" in document else {}


def cancelled_though(*statuses: str) -> Layer:
    """Take the cancel of a job that has ended so."""

    async def make(call: MutantCall) -> Answer | None:
        job = await _job(call)
        return json_answer(job) if job.get("status") in statuses else None

    return when(make, CANCEL)


def kept(*statuses: str) -> Layer:
    """Refuse to delete a job that has ended so."""

    async def make(call: MutantCall) -> Answer | None:
        job = await _job(call)
        is_kept = job.get("status") in statuses
        return call.refusal("INVALID_STATE_TRANSITION", action="delete", **job) if is_kept else None

    return when(make, DELETE)


@cancels.blind("ghost-in-first-page", "The job deleted last is still on the first page of the plain list.")
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


@cancels.blind("deleted-leave-first-scene", "The first scene of a deleted job can still be read.")
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


@cancels.blind("deleted-still-streams", "The progress of a deleted job can still be streamed.")
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


@cancels.blind("cancelled-in-queue-is-failed", "A job that is cancelled while it is queued is failed.")
async def fails_queued(call: MutantCall) -> Answer:
    before = await _job(call) if call.request.operation == "cancelJob" else {}
    if before.get("status") == "queued":
        call.memory["failed", call.request.job_id] = True

    def failed(job: Document, _: Seen) -> None:
        if job["status"] == "cancelled" and call.memory.get(("failed", job["jobId"])):
            job.update(status="failed", error="SCENE_RENDER_FAILED: cancelled in the queue")

    return await edit_jobs(failed)(call)


@cancels.blind("cancel-deletes-too", "A cancelled job is deleted at once.")
async def cancel_deletes(call: MutantCall) -> Answer:
    answer = await call.proceed()
    if call.request.operation == "cancelJob" and answer.status == 200:
        await call.ask("DELETE", f"/v1/jobs/{call.request.job_id}")
    return answer


cancels.add("cancel-accepted-twice", "A cancelled job can be cancelled again.", cancelled_though("cancelled"))
cancels.add("cancel-of-ended", "A job that has ended can be cancelled, without effect.", cancelled_though(*TERMINAL))
deletes.add("delete-done-only", "A cancelled or failed job cannot be deleted.", kept("failed", "cancelled"))
deletes.add("delete-keeps-readable", "A deleted job can be read.",
    both(when(remembers, DELETE), after(still_there, GET, status=NOT_FOUND)))  # fmt: skip
deletes.add("delete-keeps-stream", "A deleted job can be streamed.",
    both(when(remembers, DELETE), after(still_streams, STREAM, status=NOT_FOUND)))  # fmt: skip
deletes.add("delete-twice", "A deleted job can be deleted again.", deleted_twice)
cancels.blind.add("second-delete-accepted", "Deleting a deleted job answers 200 once more.", deleted_twice)
cancels.blind.add("failed-job-cancelled-again", "Cancelling a failed job answers 200.", cancelled_though("failed"))
cancels.blind.add("second-cancel-accepted", "Cancelling a cancelled job answers 200.", cancelled_though("cancelled"))
cancels.blind.add("failed-job-stays", "A failed job cannot be deleted.", kept("failed"))
cancels.blind.add("cancelled-job-stays", "A cancelled job cannot be deleted.", kept("cancelled"))
cancels.blind.add("cancel-shows-job-before", "Cancelling answers with the job as it was before.", when(not_yet, CANCEL))
cancels.blind.add("foreign-job-cancelled", "Anybody can cancel a job whose id he knows.", as_owner(CANCEL))
cancels.blind.add("foreign-job-streamed", "Anybody can stream a job whose id he knows.", as_owner(STREAM))
cancels.blind.add(
    "foreign-delete-forbidden", "Deleting another account's job answers 403.", foreign_as("FORBIDDEN", DELETE)
)
MUTANTS = (*cancels.mutants, *deletes.mutants)
