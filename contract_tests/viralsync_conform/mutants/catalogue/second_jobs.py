"""A second set of servers, written without a look at the checks: those that show a job wrongly."""

from __future__ import annotations

from datetime import datetime, timedelta

from viralsync_conform.mutants.engine.asgi import Answer
from viralsync_conform.mutants.engine.exchange import MutantCall
from viralsync_conform.mutants.engine.layers import TERMINAL, Document, Seen, edit_jobs, response_mutant

THEME = "jobs"
CACHED_SECONDS = 10


def _moved(text: str, **shift: float) -> str:
    instant = datetime.fromisoformat(text) + timedelta(**shift)
    return instant.strftime("%Y-%m-%dT%H:%M:%S.") + f"{instant.microsecond // 1000:03}Z"


def _sinks(job: Document, _: Seen) -> None:
    if job["phase"] == "uploading":
        job["progress"] = round(job["progress"] * 0.8, 4)


def _list_progress(job: Document, _: Seen) -> None:
    if job["status"] not in TERMINAL:
        job["progress"] = 0


def _local_time(job: Document, _: Seen) -> None:
    job["createdAt"], job["updatedAt"] = (_moved(job[name], hours=1) for name in ("createdAt", "updatedAt"))


def _no_zeros(job: Document, _: Seen) -> None:
    for name in ("createdAt", "updatedAt"):
        job[name] = job[name][:-1].rstrip("0").rstrip(".") + "Z"


def _before(job: Document, _: Seen) -> None:
    if job["status"] == "queued":
        job["updatedAt"] = _moved(job["createdAt"], seconds=-1)


def _portrait(job: Document, _: Seen) -> None:
    media = job["mediaData"]
    if media and media["height"] > media["width"]:
        media["width"], media["height"] = media["height"], media["width"]


def _square(job: Document, _: Seen) -> None:
    media = job["mediaData"]
    if media and media["height"] == media["width"]:
        media["width"], media["height"] = 1920, 1080


def _whole(job: Document, _: Seen) -> None:
    if job["mediaData"]:
        job["mediaData"]["duration"] = -(-job["mediaData"]["duration"] // 1)


def _first_scene(job: Document, _: Seen) -> None:
    if job["mediaData"] and "movie" in job["payload"]:
        job["mediaData"]["duration"] = job["payload"]["movie"]["scenes"][0]["duration"]


def _growing(job: Document, of_job: Seen) -> None:
    if job["mediaData"]:
        of_job["looks"] = of_job.get("looks", 0) + 1
        job["mediaData"]["fileSize"] += of_job["looks"]


def _early_url(job: Document, _: Seen) -> None:
    if job["phase"] == "uploading":
        job["outputUrl"] = f"https://r2.viralsync.io/outputs/{job['jobId']}/output.mp4"


def _relative(job: Document, _: Seen) -> None:
    if job["outputUrl"]:
        job["outputUrl"] = job["outputUrl"].removeprefix("https://r2.viralsync.io")


def _error_object(job: Document, _: Seen) -> None:
    if job["error"]:
        code, _colon, detail = job["error"].partition(": ")
        job["error"] = {"code": code, "message": detail}


def _child_error(job: Document, _: Seen) -> None:
    if job["parentJobId"]:
        job["error"] = None


def _bare_error(job: Document, _: Seen) -> None:
    if job["error"]:
        job["error"] = job["error"].partition(": ")[2]


def _empty_error(job: Document, _: Seen) -> None:
    if job["status"] == "done":
        job["error"] = ""


def _still_moving(job: Document, of_job: Seen) -> None:
    if job["status"] in TERMINAL:
        of_job["looks"] = of_job.get("looks", 0) + 1
        job["updatedAt"] = _moved(job["updatedAt"], seconds=of_job["looks"])


def _late_phase(job: Document, _: Seen) -> None:
    if job["status"] == "done":
        job["phase"] = "uploading"


def _no_planning(job: Document, _: Seen) -> None:
    if job["phase"] == "planning":
        job["phase"] = None


def _swapped(job: Document, _: Seen) -> None:
    if job["phase"] in {"planning", "dispatching"}:
        job["phase"] = "planning" if job["phase"] == "dispatching" else "dispatching"


def _once_behind(job: Document, of_job: Seen) -> None:
    if job["status"] == "done" and not of_job.get("was_behind"):
        of_job["was_behind"] = True
        job.update(status="running", phase="uploading", progress=0.99, outputUrl=None, mediaData=None)


async def _cached(visit: MutantCall) -> Answer:
    answer = await visit.proceed()
    if visit.request.operation != "getJob" or answer.status != 200:
        return answer
    now, place = await visit.now(), ("cached", visit.request.job_id)
    kept = visit.memory.get(place)
    if kept and (now - kept[0]).total_seconds() < CACHED_SECONDS:
        answer.body = kept[1]
    else:
        visit.memory[place] = (now, answer.body)
    return answer


def _frame(job: Document, _: Seen) -> None:
    if job["mediaData"] and not job["parentJobId"]:
        job["mediaData"]["width"] -= job["mediaData"]["width"] % 16


SECOND_JOBS = tuple(
    response_mutant(THEME, name, statement, layer)
    for name, statement, layer in (
        ("progress-sinks-in-upload", "The progress of a job falls by a fifth while it is uploaded.", edit_jobs(_sinks)),
        (
            "listed-progress-stays-zero",
            "The list shows progress 0 for every job that is not terminal.",
            edit_jobs(_list_progress, "listJobs"),
        ),
        ("local-time-called-utc", "The timestamps of jobs are one hour ahead, yet end in Z.", edit_jobs(_local_time)),
        ("milliseconds-lose-zeros", "Timestamps leave the trailing zeros of milliseconds out.", edit_jobs(_no_zeros)),
        ("queued-updated-before-created", "A queued job was updated before it was created.", edit_jobs(_before)),
        ("portrait-media-lies-flat", "Of an upright movie mediaData swaps width and height.", edit_jobs(_portrait)),
        ("square-media-is-wide", "Of a square movie mediaData says 1920x1080.", edit_jobs(_square)),
        ("media-duration-rounded-up", "The duration of mediaData is rounded up to seconds.", edit_jobs(_whole)),
        ("media-duration-of-first-scene", "The duration of mediaData is the first scene's.", edit_jobs(_first_scene)),
        ("file-size-grows-with-looks", "The file size of a done job grows with each look at it.", edit_jobs(_growing)),
        ("media-width-in-blocks", "The width of mediaData is cut to a multiple of 16 pixels.", edit_jobs(_frame)),
        ("output-url-while-uploading", "The output URL is set while a job is still uploaded.", edit_jobs(_early_url)),
        ("output-url-without-host", "The output URL is only a path.", edit_jobs(_relative)),
        ("listed-error-is-object", "The list shows an object as error.", edit_jobs(_error_object, "listJobs")),
        ("failed-child-without-error", "The child that failed has the error null.", edit_jobs(_child_error)),
        ("job-error-without-code", "The error of a failed job has no code before its detail.", edit_jobs(_bare_error)),
        ("done-error-is-empty-text", "The error of a done job is an empty text, not null.", edit_jobs(_empty_error)),
        ("terminal-updated-at-moves", "The updatedAt of a terminal job moves at each look.", edit_jobs(_still_moving)),
        ("done-phase-uploading", "A done job keeps the phase uploading.", edit_jobs(_late_phase)),
        ("planning-without-phase", "The phase is null while a job is planned.", edit_jobs(_no_planning)),
        ("dispatched-before-planned", "A job is dispatched before it is planned.", edit_jobs(_swapped)),
        (
            "done-seen-late-once",
            "The first getJob of a done job shows it running, whatever was shown before.",
            edit_jobs(_once_behind, "getJob"),
        ),
        ("job-cached-ten-seconds", "A job is answered from a cache that is up to ten seconds old.", _cached),
    )
)
