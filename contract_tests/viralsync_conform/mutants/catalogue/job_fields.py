"""Mutants whose jobs carry wrong values: outputs, errors, children, payload and timestamps."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from viralsync_conform.mutants.engine.asgi import Answer, Request
from viralsync_conform.mutants.engine.exchange import MutantCall
from viralsync_conform.mutants.engine.layers import Document, Seen, after, edit_jobs, edit_response
from viralsync_conform.mutants.engine.stream_layers import everywhere
from viralsync_conform.mutants.mutant import Section

job = Section("job fields")


def is_child(document: Document) -> bool:
    """Say whether a document is that of a scene, or of an assemble job."""
    return document.get("parentJobId") is not None


def media(**changes: Any) -> Any:
    """Return an edit of what is said of the output; functions are given the value that there is."""

    def edit(document: Document, _seen: Seen) -> None:
        data = document.get("mediaData")
        if data:
            data.update({name: new(data[name]) if callable(new) else new for name, new in changes.items()})

    return edit


@job("media-turned", "Width and height of the output are swapped.", everywhere)
def turned(document: Document, _seen: Seen) -> None:
    if data := document.get("mediaData"):
        data["width"], data["height"] = data["height"], data["width"]


def counters(**changes: Any) -> Any:
    """Return an edit of a parent's counters; functions are given all of them."""

    def edit(document: Document, _seen: Seen) -> None:
        if counts := document.get("children"):
            counts.update({name: new(counts) if callable(new) else new for name, new in changes.items()})

    return edit


@job("children-on-children", "Children have counters of their own.", edit_jobs, "getJob")
def counts_on_children(document: Document, _seen: Seen) -> None:
    if is_child(document):
        document["children"] = {"total": 0, "succeeded": 0, "running": 0, "queued": 0, "failed": 0}


@job("payload-title-lost", "The payload echoes of the movie its scenes only.", edit_jobs)
def forgotten_title(document: Document, _seen: Seen) -> None:
    movie = document["payload"].get("movie")
    if isinstance(movie, dict):
        document["payload"]["movie"] = {"scenes": movie["scenes"]}


@job("payload-scenes-changed", "The payload echoes other scenes than were submitted.", edit_jobs)
def reversed_scenes(document: Document, _seen: Seen) -> None:
    movie = document["payload"].get("movie")
    if isinstance(movie, dict):
        movie["scenes"] = [{**scene, "duration": scene["duration"] + 1} for scene in reversed(movie["scenes"])]


@job("updated-at-goes-back", "updatedAt goes back with every change.", edit_jobs)
def backwards(document: Document, seen: Seen) -> None:
    instants = seen.setdefault("updates", [])
    if document["updatedAt"] not in instants:
        instants.append(document["updatedAt"])
    year = 2020 - len(instants)
    document["updatedAt"] = f"{year}{document['updatedAt'][4:]}"


@job("timestamps-without-ms", "Timestamps are written without milliseconds.", edit_jobs)
def in_seconds(document: Document, _seen: Seen) -> None:
    for name in ("createdAt", "updatedAt"):
        document[name] = f"{document[name][:19]}Z"


@job("child-unreadable", "A child's id is not found.", after, "getJob")
async def child_unreadable(call: MutantCall, answer: Answer) -> Answer | None:
    if isinstance(answer.document, dict) and is_child(answer.document):
        return call.refusal("JOB_NOT_FOUND", jobId=call.request.job_id)
    return None


@job("get-enveloped", "GET puts the job into an envelope.", edit_response, "getJob")
def enveloped(answer: Answer) -> None:
    answer.document = {"data": answer.document}


KNOWN = ("id", "duration", "bgColor", "layers")
_SCENE = re.compile(r"scene_(.+)_(\d{3})\Z")


def scenes(job: Document) -> list[Document]:
    found: list[Document] = job["payload"].get("movie", {}).get("scenes", [])
    return found


@job.blind("echo-sorts-scenes", "The payload shows the scenes sorted by their id.", edit_jobs)
def sort_scenes(job: Document, _: Seen) -> None:
    scenes(job).sort(key=lambda scene: scene["id"])


@job.blind("echo-drops-unknown-fields", "The payload leaves unknown fields of scenes out.", edit_jobs)
def known_only(job: Document, _: Seen) -> None:
    for scene in scenes(job):
        for name in set(scene) - set(KNOWN):
            del scene[name]


@job.blind("echo-garbles-title", "The payload shows the UTF-8 of a title as Latin-1.", edit_jobs)
def garbled(job: Document, _: Seen) -> None:
    title = job["payload"].get("movie", {}).get("title")
    if title:
        job["payload"]["movie"]["title"] = title.encode().decode("latin-1")


@job.blind("echo-cuts-durations", "The payload shows the durations of scenes without fractions.", edit_jobs)
def truncated(job: Document, _: Seen) -> None:
    for scene in scenes(job):
        scene["duration"] = max(1, int(scene["duration"]))


@job.blind("echo-without-layers", "The payload leaves the layers of scenes out.", edit_jobs)
def no_layers(job: Document, _: Seen) -> None:
    for scene in scenes(job):
        scene.pop("layers", None)


def _counters(job: Document) -> Document:
    found: Document = job.get("children") or {}
    return found


@job.blind("done-counts-one-short", "A done job counts one child as still running.", edit_jobs)
def one_short(job: Document, _: Seen) -> None:
    if job["status"] == "done" and _counters(job):
        job["children"].update(succeeded=job["children"]["total"] - 1, running=1)


@job.blind("cancelled-counts-running", "A cancelled job counts its open children as running.", edit_jobs)
def cancelled_runs(job: Document, _: Seen) -> None:
    if job["status"] == "cancelled" and _counters(job):
        counts = job["children"]
        counts["running"] = counts["total"] - counts["succeeded"] - counts["failed"]


@job.blind("failed-child-counted-succeeded", "A child that failed is counted as succeeded.", edit_jobs)
def no_failed(job: Document, _: Seen) -> None:
    if _counters(job):
        job["children"]["succeeded"] += job["children"]["failed"]
        job["children"]["failed"] = 0


@job.blind("child-has-counters", "A child has counters of children too.", edit_jobs)
def child_counts(job: Document, _: Seen) -> None:
    if job["parentJobId"]:
        job["children"] = {"total": 0, "succeeded": 0, "running": 0, "queued": 0, "failed": 0}


def renamed(request: Request, job_id: str) -> Request:
    path = request.path.replace(str(request.job_id), job_id)
    return replace(request, scope={**request.scope, "path": path, "raw_path": path.encode()}, job_id=job_id)


@job.blind("scene-ids-from-zero", "The ids of scenes count from 000.")
async def from_zero(call: MutantCall) -> Answer:
    request = call.request
    match = _SCENE.match(request.job_id or "")
    if match is None:
        return await call.proceed()
    answer = await call.proceed(renamed(request, f"scene_{match[1]}_{int(match[2]) + 1:03}"))
    if isinstance(answer.document, dict) and "jobId" in answer.document:
        answer.document = answer.document | {"jobId": request.job_id}
    return answer


@job.blind("unknown-scene-shows-parent", "The id of a scene that does not exist shows the parent.")
async def unknown_scene(call: MutantCall) -> Answer:
    answer = await call.proceed()
    match = _SCENE.match(call.request.job_id or "")
    if match and answer.status == 404 and call.request.operation == "getJob":
        return await call.ask("GET", f"/v1/jobs/{match[1]}")
    return answer


@job.blind("job-ids-in-any-case", "A job is found by its id in upper case too.")
async def any_case(call: MutantCall) -> Answer:
    job_id = call.request.job_id
    return await call.proceed(renamed(call.request, job_id.lower()) if job_id else None)


job.add("children-sum-wrong", "Children that are done still count as running.",
    everywhere(counters(running=lambda counts: counts["running"] + counts["succeeded"])))  # fmt: skip
job.add("children-failed-not-counted", "Failed children are counted as succeeded.",
    everywhere(counters(succeeded=lambda counts: counts["succeeded"] + counts["failed"], failed=0)))  # fmt: skip
MUTANTS = job.mutants
