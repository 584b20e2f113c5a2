"""Mutants whose jobs live wrongly: status, phase and progress from submission to end."""

from __future__ import annotations

from viralsync_conform.calls import TERMINAL
from viralsync_conform.mutants.engine.asgi import Answer
from viralsync_conform.mutants.engine.exchange import MutantCall
from viralsync_conform.mutants.engine.layers import Document, Seen, edit_jobs, later
from viralsync_conform.mutants.engine.stream_layers import everywhere
from viralsync_conform.mutants.mutant import Section

job = Section("job life")


def falls(document: Document, seen: Seen) -> None:
    highest = seen.get("highest", 0.0)
    seen["highest"] = max(highest, document["progress"])
    if document["progress"] > highest > 0 and document["status"] not in TERMINAL:
        document["progress"] = round(highest / 2, 4)


@job("job-phase-after-end", "A job that has ended still has a phase.", edit_jobs)
def keeps_phase(document: Document, seen: Seen) -> None:
    if document["status"] not in TERMINAL:
        seen["phase"] = document.get("phase")
    elif "phase" in document:
        document["phase"] = seen.get("phase") or "uploading"


CACHED_SECONDS = 10


@job.blind("milliseconds-lose-zeros", "Timestamps leave the trailing zeros of milliseconds out.", edit_jobs)
def no_zeros(job: Document, _: Seen) -> None:
    for name in ("createdAt", "updatedAt"):
        job[name] = job[name][:-1].rstrip("0").rstrip(".") + "Z"


@job.blind("file-size-grows-with-looks", "The file size of a done job grows with each look at it.", edit_jobs)
def growing(job: Document, of_job: Seen) -> None:
    if job["mediaData"]:
        of_job["looks"] = of_job.get("looks", 0) + 1
        job["mediaData"]["fileSize"] += of_job["looks"]


@job.blind("listed-error-is-object", "The list shows an object as error.", edit_jobs, "listJobs")
def error_object(job: Document, _: Seen) -> None:
    if job["error"]:
        code, _, detail = job["error"].partition(": ")
        job["error"] = {"code": code, "message": detail}


@job.blind("terminal-updated-at-moves", "The updatedAt of a terminal job moves at each look.", edit_jobs)
def still_moving(job: Document, of_job: Seen) -> None:
    if job["status"] in TERMINAL:
        of_job["looks"] = of_job.get("looks", 0) + 1
        job["updatedAt"] = later(job["updatedAt"], of_job["looks"])


@job.blind("job-cached-ten-seconds", "A job is answered from a cache that is up to ten seconds old.")
async def cached(call: MutantCall) -> Answer:
    answer = await call.proceed()
    if call.request.operation != "getJob" or answer.status != 200:
        return answer
    now, place = await call.now(), ("cached", call.request.job_id)
    kept = call.memory.get(place)
    if kept and (now - kept[0]).total_seconds() < CACHED_SECONDS:
        answer.body = kept[1]
    else:
        call.memory[place] = (now, answer.body)
    return answer


job.add("progress-falls", "Progress falls every other time it is told.", everywhere(falls))
job.add("progress-falls-in-get", "Progress falls between two reads.", edit_jobs(falls, "getJob"))
MUTANTS = job.mutants
