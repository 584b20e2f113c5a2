"""Mutants whose jobs carry wrong values: outputs, errors, children, payload and timestamps."""

from __future__ import annotations

from functools import partial
from typing import Any

from viralsync_conform.mutants.catalogue.job_lifecycle import everywhere, where
from viralsync_conform.mutants.engine.asgi import Answer
from viralsync_conform.mutants.engine.exchange import MutantCall
from viralsync_conform.mutants.engine.layers import (
    TERMINAL,
    Document,
    Seen,
    after,
    edit_jobs,
    edit_response,
    response_mutant,
)
from viralsync_conform.mutants.mutant import Mutant

job = partial(response_mutant, "job fields")

OTHER = "job_00000000000f"
OUTPUT = "https://r2.viralsync.io/outputs/{}/output.mp4"


def is_child(document: Document) -> bool:
    """Say whether a document is that of a scene, or of an assemble job."""
    return document.get("parentJobId") is not None


def early_output(document: Document, _seen: Seen) -> None:
    """Tell of the output before the job is done."""
    if document["status"] not in TERMINAL:
        document["outputUrl"] = OUTPUT.format(document["jobId"])


def output_of_failed(document: Document, _seen: Seen) -> None:
    """Tell of an output that a cancelled or failed job cannot have."""
    if document["status"] in {"failed", "cancelled"}:
        document["outputUrl"] = OUTPUT.format(document["jobId"])


def media(**changes: Any) -> Any:
    """Return an edit of what is said of the output; functions are given the value that there is."""

    def edit(document: Document, _seen: Seen) -> None:
        data = document.get("mediaData")
        if data:
            data.update({name: new(data[name]) if callable(new) else new for name, new in changes.items()})

    return edit


def turned(document: Document, _seen: Seen) -> None:
    """Swap width and height of the output."""
    if data := document.get("mediaData"):
        data["width"], data["height"] = data["height"], data["width"]


def counters(**changes: Any) -> Any:
    """Return an edit of a parent's counters; functions are given all of them."""

    def edit(document: Document, _seen: Seen) -> None:
        if counts := document.get("children"):
            counts.update({name: new(counts) if callable(new) else new for name, new in changes.items()})

    return edit


def never_counted(document: Document, _seen: Seen) -> None:
    """Tell of all children as queued, always."""
    if counts := document.get("children"):
        counts.update(succeeded=0, running=0, failed=0, queued=counts["total"])


def counts_on_children(document: Document, _seen: Seen) -> None:
    """Give counters to children too."""
    if is_child(document):
        document["children"] = {"total": 0, "succeeded": 0, "running": 0, "queued": 0, "failed": 0}


def orphans(document: Document, _seen: Seen) -> None:
    """Forget whose child a child is."""
    document["parentJobId"] = None


def own_parent(document: Document, _seen: Seen) -> None:
    """Name a top-level job as its own parent."""
    document["parentJobId"] = document["parentJobId"] or document["jobId"]


def forgotten_title(document: Document, _seen: Seen) -> None:
    """Echo the movie without what is beside its scenes."""
    movie = document["payload"].get("movie")
    if isinstance(movie, dict):
        document["payload"]["movie"] = {"scenes": movie["scenes"]}


def reversed_scenes(document: Document, _seen: Seen) -> None:
    """Echo the scenes in another order, and each with another length."""
    movie = document["payload"].get("movie")
    if isinstance(movie, dict):
        movie["scenes"] = [{**scene, "duration": scene["duration"] + 1} for scene in reversed(movie["scenes"])]


def still(document: Document, _seen: Seen) -> None:
    """Never change `updatedAt`."""
    document["updatedAt"] = document["createdAt"]


def backwards(document: Document, seen: Seen) -> None:
    """Let `updatedAt` go back with every change."""
    instants = seen.setdefault("updates", [])
    if document["updatedAt"] not in instants:
        instants.append(document["updatedAt"])
    year = 2020 - len(instants)
    document["updatedAt"] = f"{year}{document['updatedAt'][4:]}"


def recreated(document: Document, _seen: Seen) -> None:
    """Let `createdAt` be the time of the last change."""
    document["createdAt"] = document["updatedAt"]


def zoned(document: Document, _seen: Seen) -> None:
    """Write timestamps with an offset in the place of Z."""
    for name in ("createdAt", "updatedAt"):
        document[name] = document[name].replace("Z", "+00:00")


def in_seconds(document: Document, _seen: Seen) -> None:
    """Write timestamps without milliseconds."""
    for name in ("createdAt", "updatedAt"):
        document[name] = f"{document[name][:19]}Z"


async def child_unreadable(visit: MutantCall, answer: Answer) -> Answer | None:
    """Refuse a child's id as unknown."""
    if isinstance(answer.document, dict) and is_child(answer.document):
        return visit.refusal("JOB_NOT_FOUND", jobId=visit.request.job_id)
    return None


def enveloped(answer: Answer) -> None:
    """Put the answer into an envelope."""
    answer.document = {"data": answer.document}


FIELDS: tuple[Mutant, ...] = (
    job("output-too-early", "A job that still runs has an outputUrl.", everywhere(early_output)),
    job("output-missing", "A done job has no outputUrl.", everywhere(where("status", "done", outputUrl=None))),
    job(
        "output-empty",
        "The outputUrl of a done job is an empty text.",
        everywhere(where("status", "done", outputUrl="")),
    ),
    job(
        "output-of-another-job",
        "The outputUrl of a done job is that of another job.",
        everywhere(where("status", "done", outputUrl=OUTPUT.format(OTHER))),
    ),
    job(
        "output-relative",
        "The outputUrl of a done job is a path.",
        everywhere(where("status", "done", outputUrl="/outputs/output.mp4")),
    ),
    job("output-of-failed", "A failed or cancelled job has an outputUrl.", everywhere(output_of_failed)),
    job(
        "error-as-object",
        "The error of a failed job is an object.",
        everywhere(where("status", "failed", error={"code": "SCENE_RENDER_FAILED", "message": "no"})),
    ),
    job("error-missing", "A failed job has no error.", everywhere(where("status", "failed", error=None))),
    job(
        "error-without-code",
        "The error of a failed job has no code in front.",
        everywhere(where("status", "failed", error="something went wrong")),
    ),
    job(
        "error-on-running",
        "A job that runs has an error.",
        edit_jobs(lambda d, _: None if d["status"] in TERMINAL else d.update(error=""), "getJob"),
    ),
    job("media-missing", "A done job has no mediaData.", everywhere(where("status", "done", mediaData=None))),
    job(
        "media-wrong-duration",
        "The output is half as long as the movie.",
        everywhere(media(duration=lambda value: value / 2)),
    ),
    job(
        "media-duration-in-ms",
        "The length of the output is in milliseconds.",
        everywhere(media(duration=lambda value: value * 1000)),
    ),
    job("media-wrong-size", "The output is always 1280x720.", everywhere(media(width=1280, height=720))),
    job("media-turned", "Width and height of the output are swapped.", everywhere(turned)),
    job("media-empty-file", "The output has no bytes.", everywhere(media(fileSize=0))),
    job("media-negative-file", "The output has a negative size.", everywhere(media(fileSize=-1))),
    job(
        "media-on-cancelled",
        "A cancelled job has mediaData.",
        edit_jobs(
            where("status", "cancelled", mediaData={"duration": 1, "width": 1920, "height": 1080, "fileSize": 1})
        ),
    ),
    job("payload-not-echoed", "The payload is an empty object.", edit_jobs(lambda d, _: d.update(payload={}))),
    job(
        "payload-of-another-project",
        "The payload names another project.",
        edit_jobs(lambda d, _: d["payload"].update(projectId="proj_other")),
    ),
    job("payload-title-lost", "The payload echoes of the movie its scenes only.", edit_jobs(forgotten_title)),
    job("payload-scenes-changed", "The payload echoes other scenes than were submitted.", edit_jobs(reversed_scenes)),
    job("updated-at-still", "updatedAt never changes.", edit_jobs(still)),
    job("updated-at-goes-back", "updatedAt goes back with every change.", edit_jobs(backwards)),
    job("created-at-moves", "createdAt moves with every change.", edit_jobs(recreated)),
    job(
        "created-at-in-future",
        "createdAt lies a hundred years ahead.",
        edit_jobs(lambda d, _: d.update(createdAt=f"21{d['createdAt'][2:]}")),
    ),
    job("timestamps-with-offset", "Timestamps are written with an offset.", edit_jobs(zoned)),
    job("timestamps-without-ms", "Timestamps are written without milliseconds.", edit_jobs(in_seconds)),
    job("children-never-counted", "The counters of a parent never change.", everywhere(never_counted)),
    job(
        "children-total-wrong",
        "The counters tell of one child more than there are scenes.",
        everywhere(counters(total=lambda counts: counts["total"] + 1)),
    ),
    job(
        "children-sum-wrong",
        "Children that are done still count as running.",
        everywhere(counters(running=lambda counts: counts["running"] + counts["succeeded"])),
    ),
    job(
        "children-failed-not-counted",
        "Failed children are counted as succeeded.",
        everywhere(counters(succeeded=lambda counts: counts["succeeded"] + counts["failed"], failed=0)),
    ),
    job("children-missing", "A parent has no counters.", edit_jobs(lambda d, _: d.pop("children", None))),
    job("children-on-children", "Children have counters of their own.", edit_jobs(counts_on_children, "getJob")),
    job("child-without-parent", "A child does not name its parent.", edit_jobs(orphans, "getJob")),
    job("child-unreadable", "A child's id is not found.", after("getJob", child_unreadable)),
    job(
        "child-type-of-parent",
        "A scene has the type of its parent.",
        edit_jobs(lambda d, _: d.update(type="render") if is_child(d) else None, "getJob"),
    ),
    job("parent-of-itself", "A top-level job names itself as its parent.", edit_jobs(own_parent)),
    job("type-unknown", "A render job has the type `video`.", edit_jobs(lambda d, _: d.update(type="video"))),
    job(
        "type-of-another-domain",
        "A render job has the type `agent.chat`.",
        edit_jobs(lambda d, _: d.update(type="agent.chat")),
    ),
    job(
        "get-another-job", "GET answers with another job's id.", edit_jobs(lambda d, _: d.update(jobId=OTHER), "getJob")
    ),
    job("get-enveloped", "GET puts the job into an envelope.", edit_response(enveloped, "getJob")),
    job(
        "get-in-snake-case",
        "GET writes job_id for jobId.",
        edit_jobs(lambda d, _: d.update(job_id=d.pop("jobId")), "getJob"),
    ),
)
