"""Mutants whose jobs live wrongly: status, phase and progress from submission to end."""

from __future__ import annotations

from datetime import datetime, timedelta

from viralsync_conform.calls import TERMINAL
from viralsync_conform.mutants.engine.asgi import Answer
from viralsync_conform.mutants.engine.exchange import MutantCall
from viralsync_conform.mutants.engine.layers import Document, Seen, edit_jobs
from viralsync_conform.mutants.engine.stream_layers import everywhere
from viralsync_conform.mutants.mutant import Section

UNFINISHED: dict[str, object] = {"outputUrl": None, "mediaData": None, "error": None}
job = Section("job life")


@job("job-flips-back", "A job that was seen done is seen running again.", edit_jobs, "getJob")
def flips_back(document: Document, seen: Seen) -> None:
    if document["status"] == "done":
        seen["done"] = seen.get("done", 0) + 1
        if seen["done"] > 1:
            document.update(status="running", phase="uploading", progress=0.99, **UNFINISHED)


@job("job-ends-twice", "A job that was seen done is seen failed later.", edit_jobs, "getJob")
def ends_otherwise(document: Document, seen: Seen) -> None:
    if document["status"] == "done":
        seen["ended"] = seen.get("ended", 0) + 1
        if seen["ended"] > 1:
            document.update(UNFINISHED, status="failed", error="UPLOAD_FAILED: The output could not be uploaded")


def falls(document: Document, seen: Seen) -> None:
    highest = seen.get("highest", 0.0)
    seen["highest"] = max(highest, document["progress"])
    if document["progress"] > highest > 0 and document["status"] not in TERMINAL:
        document["progress"] = round(highest / 2, 4)


@job("job-phases-swapped", "A job is dispatched before it is planned.", everywhere)
def swapped(document: Document, _seen: Seen) -> None:
    other = {"planning": "dispatching", "dispatching": "planning"}
    if document.get("phase") in other:
        document["phase"] = other[document["phase"]]


@job("job-phase-after-end", "A job that has ended still has a phase.", edit_jobs)
def keeps_phase(document: Document, seen: Seen) -> None:
    if document["status"] not in TERMINAL:
        seen["phase"] = document.get("phase")
    elif "phase" in document:
        document["phase"] = seen.get("phase") or "uploading"


CACHED_SECONDS = 10


def moved(text: str, **shift: float) -> str:
    instant = datetime.fromisoformat(text) + timedelta(**shift)
    return instant.strftime("%Y-%m-%dT%H:%M:%S.") + f"{instant.microsecond // 1000:03}Z"


@job.blind("milliseconds-lose-zeros", "Timestamps leave the trailing zeros of milliseconds out.", edit_jobs)
def no_zeros(job: Document, _: Seen) -> None:
    for name in ("createdAt", "updatedAt"):
        job[name] = job[name][:-1].rstrip("0").rstrip(".") + "Z"


@job.blind("queued-updated-before-created", "A queued job was updated before it was created.", edit_jobs)
def before(job: Document, _: Seen) -> None:
    if job["status"] == "queued":
        job["updatedAt"] = moved(job["createdAt"], seconds=-1)


@job.blind("portrait-media-lies-flat", "Of an upright movie mediaData swaps width and height.", edit_jobs)
def portrait(job: Document, _: Seen) -> None:
    media = job["mediaData"]
    if media and media["height"] > media["width"]:
        media["width"], media["height"] = media["height"], media["width"]


@job.blind("square-media-is-wide", "Of a square movie mediaData says 1920x1080.", edit_jobs)
def square(job: Document, _: Seen) -> None:
    media = job["mediaData"]
    if media and media["height"] == media["width"]:
        media["width"], media["height"] = 1920, 1080


@job.blind("media-duration-rounded-up", "The duration of mediaData is rounded up to seconds.", edit_jobs)
def whole(job: Document, _: Seen) -> None:
    if job["mediaData"]:
        job["mediaData"]["duration"] = -(-job["mediaData"]["duration"] // 1)


@job.blind("media-duration-of-first-scene", "The duration of mediaData is the first scene's.", edit_jobs)
def first_scene(job: Document, _: Seen) -> None:
    if job["mediaData"] and "movie" in job["payload"]:
        job["mediaData"]["duration"] = job["payload"]["movie"]["scenes"][0]["duration"]


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


@job.blind("job-error-without-code", "The error of a failed job has no code before its detail.", edit_jobs)
def bare_error(job: Document, _: Seen) -> None:
    if job["error"]:
        job["error"] = job["error"].partition(": ")[2]


@job.blind("terminal-updated-at-moves", "The updatedAt of a terminal job moves at each look.", edit_jobs)
def still_moving(job: Document, of_job: Seen) -> None:
    if job["status"] in TERMINAL:
        of_job["looks"] = of_job.get("looks", 0) + 1
        job["updatedAt"] = moved(job["updatedAt"], seconds=of_job["looks"])


@job.blind("done-seen-late-once", "The first getJob of a done job shows it running, whatever was shown before.",
    edit_jobs, "getJob")  # fmt: skip
def once_behind(job: Document, of_job: Seen) -> None:
    if job["status"] == "done" and not of_job.get("was_behind"):
        of_job["was_behind"] = True
        job.update(status="running", phase="uploading", progress=0.99, outputUrl=None, mediaData=None)


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


@job.blind("media-width-in-blocks", "The width of mediaData is cut to a multiple of 16 pixels.", edit_jobs)
def frame(job: Document, _: Seen) -> None:
    if job["mediaData"] and not job["parentJobId"]:
        job["mediaData"]["width"] -= job["mediaData"]["width"] % 16


job.add("progress-falls", "Progress falls every other time it is told.", everywhere(falls))
job.add("progress-falls-in-get", "Progress falls between two reads.", edit_jobs(falls, "getJob"))
job.blind.add("dispatched-before-planned", "A job is dispatched before it is planned.", edit_jobs(swapped))
MUTANTS = job.mutants
