"""Mutants whose jobs live wrongly: status, phase and progress from submission to end."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from viralsync_conform.calls import TERMINAL
from viralsync_conform.mutants.engine.asgi import Answer
from viralsync_conform.mutants.engine.exchange import MutantCall
from viralsync_conform.mutants.engine.layers import Document, Seen, edit_jobs, response_mutant
from viralsync_conform.mutants.engine.stream_layers import everywhere, without
from viralsync_conform.mutants.mutant import Mutant, independent

JOBS, SUBMIT = "job life", "submitRenderJob"
UNFINISHED: dict[str, object] = {"outputUrl": None, "mediaData": None, "error": None}
job = partial(response_mutant, JOBS)


def flips_back(document: Document, seen: Seen) -> None:
    if document["status"] == "done":
        seen["done"] = seen.get("done", 0) + 1
        if seen["done"] > 1:
            document.update(status="running", phase="uploading", progress=0.99, **UNFINISHED)


def ends_otherwise(document: Document, seen: Seen) -> None:
    if document["status"] == "done":
        seen["ended"] = seen.get("ended", 0) + 1
        if seen["ended"] > 1:
            document.update(UNFINISHED, status="failed", error="UPLOAD_FAILED: The output could not be uploaded")


def never_seen_done(document: Document, _seen: Seen) -> None:
    if document["status"] == "done":
        document.update(status="running", phase="uploading", progress=0.99, **UNFINISHED)


def falls(document: Document, seen: Seen) -> None:
    highest = seen.get("highest", 0.0)
    seen["highest"] = max(highest, document["progress"])
    if document["progress"] > highest > 0 and document["status"] not in TERMINAL:
        document["progress"] = round(highest / 2, 4)


def stuck(document: Document, _seen: Seen) -> None:
    if document["status"] not in TERMINAL:
        document["progress"] = 0


def percent(document: Document, _seen: Seen) -> None:
    document["progress"] = round(document["progress"] * 100)


def early(document: Document, _seen: Seen) -> None:
    if document.get("phase") == "assembling":
        document["progress"] = 1


def reset_at_end(document: Document, _seen: Seen) -> None:
    if document["status"] in {"failed", "cancelled"}:
        document["progress"] = 0


def swapped(document: Document, _seen: Seen) -> None:
    other = {"planning": "dispatching", "dispatching": "planning"}
    if document.get("phase") in other:
        document["phase"] = other[document["phase"]]


def keeps_phase(document: Document, seen: Seen) -> None:
    if document["status"] not in TERMINAL:
        seen["phase"] = document.get("phase")
    elif "phase" in document:
        document["phase"] = seen.get("phase") or "uploading"


CACHED_SECONDS = 10


def moved(text: str, **shift: float) -> str:
    instant = datetime.fromisoformat(text) + timedelta(**shift)
    return instant.strftime("%Y-%m-%dT%H:%M:%S.") + f"{instant.microsecond // 1000:03}Z"


def sinks(job: Document, _: Seen) -> None:
    if job["phase"] == "uploading":
        job["progress"] = round(job["progress"] * 0.8, 4)


def list_progress(job: Document, _: Seen) -> None:
    if job["status"] not in TERMINAL:
        job["progress"] = 0


def local_time(job: Document, _: Seen) -> None:
    job["createdAt"], job["updatedAt"] = (moved(job[name], hours=1) for name in ("createdAt", "updatedAt"))


def no_zeros(job: Document, _: Seen) -> None:
    for name in ("createdAt", "updatedAt"):
        job[name] = job[name][:-1].rstrip("0").rstrip(".") + "Z"


def before(job: Document, _: Seen) -> None:
    if job["status"] == "queued":
        job["updatedAt"] = moved(job["createdAt"], seconds=-1)


def portrait(job: Document, _: Seen) -> None:
    media = job["mediaData"]
    if media and media["height"] > media["width"]:
        media["width"], media["height"] = media["height"], media["width"]


def square(job: Document, _: Seen) -> None:
    media = job["mediaData"]
    if media and media["height"] == media["width"]:
        media["width"], media["height"] = 1920, 1080


def whole(job: Document, _: Seen) -> None:
    if job["mediaData"]:
        job["mediaData"]["duration"] = -(-job["mediaData"]["duration"] // 1)


def first_scene(job: Document, _: Seen) -> None:
    if job["mediaData"] and "movie" in job["payload"]:
        job["mediaData"]["duration"] = job["payload"]["movie"]["scenes"][0]["duration"]


def growing(job: Document, of_job: Seen) -> None:
    if job["mediaData"]:
        of_job["looks"] = of_job.get("looks", 0) + 1
        job["mediaData"]["fileSize"] += of_job["looks"]


def early_url(job: Document, _: Seen) -> None:
    if job["phase"] == "uploading":
        job["outputUrl"] = f"https://r2.viralsync.io/outputs/{job['jobId']}/output.mp4"


def relative(job: Document, _: Seen) -> None:
    if job["outputUrl"]:
        job["outputUrl"] = job["outputUrl"].removeprefix("https://r2.viralsync.io")


def error_object(job: Document, _: Seen) -> None:
    if job["error"]:
        code, _, detail = job["error"].partition(": ")
        job["error"] = {"code": code, "message": detail}


def child_error(job: Document, _: Seen) -> None:
    if job["parentJobId"]:
        job["error"] = None


def bare_error(job: Document, _: Seen) -> None:
    if job["error"]:
        job["error"] = job["error"].partition(": ")[2]


def empty_error(job: Document, _: Seen) -> None:
    if job["status"] == "done":
        job["error"] = ""


def still_moving(job: Document, of_job: Seen) -> None:
    if job["status"] in TERMINAL:
        of_job["looks"] = of_job.get("looks", 0) + 1
        job["updatedAt"] = moved(job["updatedAt"], seconds=of_job["looks"])


def late_phase(job: Document, _: Seen) -> None:
    if job["status"] == "done":
        job["phase"] = "uploading"


def no_planning(job: Document, _: Seen) -> None:
    if job["phase"] == "planning":
        job["phase"] = None


def _swapped(job: Document, _: Seen) -> None:
    if job["phase"] in {"planning", "dispatching"}:
        job["phase"] = "planning" if job["phase"] == "dispatching" else "dispatching"


def once_behind(job: Document, of_job: Seen) -> None:
    if job["status"] == "done" and not of_job.get("was_behind"):
        of_job["was_behind"] = True
        job.update(status="running", phase="uploading", progress=0.99, outputUrl=None, mediaData=None)


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


def frame(job: Document, _: Seen) -> None:
    if job["mediaData"] and not job["parentJobId"]:
        job["mediaData"]["width"] -= job["mediaData"]["width"] % 16


MUTANTS: tuple[Mutant, ...] = (
    job("job-never-seen-done", "GET shows a job that is done as still uploading.", edit_jobs(never_seen_done)),
    job("job-flips-back", "A job that was seen done is seen running again.", edit_jobs(flips_back, "getJob")),
    job("job-ends-twice", "A job that was seen done is seen failed later.", edit_jobs(ends_otherwise, "getJob")),
    job("job-phases-swapped", "A job is dispatched before it is planned.", everywhere(swapped)),
    job("job-phase-after-end", "A job that has ended still has a phase.", edit_jobs(keeps_phase)),
    job(
        "job-status-upper-case",
        "The status is written in capitals.",
        everywhere(lambda d, _: d.update(status=d["status"].upper())),
    ),
    job("progress-falls", "Progress falls every other time it is told.", everywhere(falls)),
    job("progress-falls-in-get", "Progress falls between two reads.", edit_jobs(falls, "getJob")),
    job("progress-stuck", "Progress is 0 until the job has ended.", everywhere(stuck)),
    job("progress-in-percent", "Progress goes from 0 to 100.", everywhere(percent)),
    job("progress-one-too-early", "Progress is 1 while the job is assembled.", everywhere(early)),
    job("progress-reset-at-end", "Progress of a failed or cancelled job is 0.", everywhere(reset_at_end)),
    job(
        "stream-without-assembling",
        "A stream leaves the phase `assembling` out.",
        without(lambda event, _: event.document is not None and event.document.get("phase") == "assembling"),
    ),
    job(
        "get-always-queued",
        "GET shows every unfinished job as queued.",
        edit_jobs(
            lambda d, _: None if d["status"] in TERMINAL else d.update(status="queued", phase=None, progress=0),
            "getJob",
        ),
    ),
    *independent(
        job(
            "progress-sinks-in-upload", "The progress of a job falls by a fifth while it is uploaded.", edit_jobs(sinks)
        ),
        job(
            "listed-progress-stays-zero",
            "The list shows progress 0 for every job that is not terminal.",
            edit_jobs(list_progress, "listJobs"),
        ),
        job("local-time-called-utc", "The timestamps of jobs are one hour ahead, yet end in Z.", edit_jobs(local_time)),
        job("milliseconds-lose-zeros", "Timestamps leave the trailing zeros of milliseconds out.", edit_jobs(no_zeros)),
        job("queued-updated-before-created", "A queued job was updated before it was created.", edit_jobs(before)),
        job("portrait-media-lies-flat", "Of an upright movie mediaData swaps width and height.", edit_jobs(portrait)),
        job("square-media-is-wide", "Of a square movie mediaData says 1920x1080.", edit_jobs(square)),
        job("media-duration-rounded-up", "The duration of mediaData is rounded up to seconds.", edit_jobs(whole)),
        job("media-duration-of-first-scene", "The duration of mediaData is the first scene's.", edit_jobs(first_scene)),
        job(
            "file-size-grows-with-looks", "The file size of a done job grows with each look at it.", edit_jobs(growing)
        ),
        job("media-width-in-blocks", "The width of mediaData is cut to a multiple of 16 pixels.", edit_jobs(frame)),
        job("output-url-while-uploading", "The output URL is set while a job is still uploaded.", edit_jobs(early_url)),
        job("output-url-without-host", "The output URL is only a path.", edit_jobs(relative)),
        job("listed-error-is-object", "The list shows an object as error.", edit_jobs(error_object, "listJobs")),
        job("failed-child-without-error", "The child that failed has the error null.", edit_jobs(child_error)),
        job(
            "job-error-without-code", "The error of a failed job has no code before its detail.", edit_jobs(bare_error)
        ),
        job("done-error-is-empty-text", "The error of a done job is an empty text, not null.", edit_jobs(empty_error)),
        job(
            "terminal-updated-at-moves", "The updatedAt of a terminal job moves at each look.", edit_jobs(still_moving)
        ),
        job("done-phase-uploading", "A done job keeps the phase uploading.", edit_jobs(late_phase)),
        job("planning-without-phase", "The phase is null while a job is planned.", edit_jobs(no_planning)),
        job("dispatched-before-planned", "A job is dispatched before it is planned.", edit_jobs(_swapped)),
        job(
            "done-seen-late-once",
            "The first getJob of a done job shows it running, whatever was shown before.",
            edit_jobs(once_behind, "getJob"),
        ),
        job("job-cached-ten-seconds", "A job is answered from a cache that is up to ten seconds old.", cached),
    ),
)
