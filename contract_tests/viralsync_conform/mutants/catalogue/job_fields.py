"""Mutants whose jobs carry wrong values: outputs, errors, children, payload and timestamps."""

from __future__ import annotations

import re
from dataclasses import replace

from viralsync_conform.mutants.engine.asgi import Answer, Request
from viralsync_conform.mutants.engine.exchange import MutantCall
from viralsync_conform.mutants.engine.layers import Document, Seen, after, edit_jobs
from viralsync_conform.mutants.mutant import Section

job = Section("job fields")


def is_child(document: Document) -> bool:
    """Say whether a document is that of a scene, or of an assemble job."""
    return document.get("parentJobId") is not None


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


@job("child-unreadable", "A child's id is not found.", after, "getJob")
async def child_unreadable(call: MutantCall, answer: Answer) -> Answer | None:
    if isinstance(answer.document, dict) and is_child(answer.document):
        return call.refusal("JOB_NOT_FOUND", jobId=call.request.job_id)
    return None


KNOWN = ("id", "duration", "bgColor", "layers")
_SCENE = re.compile(r"scene_(.+)_(\d{3})\Z")


def scenes(job: Document) -> list[Document]:
    found: list[Document] = job["payload"].get("movie", {}).get("scenes", [])
    return found


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


job.blind.add("echo-sorts-scenes", "The payload shows the scenes sorted by their id.",
    edit_jobs(lambda shown, _: scenes(shown).sort(key=lambda scene: scene["id"])))  # fmt: skip
MUTANTS = job.mutants
