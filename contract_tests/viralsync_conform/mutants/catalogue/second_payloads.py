"""A second set of servers, written without a look at the checks: wrong echoes, children and counters."""

from __future__ import annotations

import re
from dataclasses import replace

from viralsync_conform.mutants.engine.asgi import Answer, Request
from viralsync_conform.mutants.engine.exchange import MutantCall
from viralsync_conform.mutants.engine.layers import Document, Seen, edit_jobs, response_mutant

THEME = "payloads"
KNOWN = ("id", "duration", "bgColor", "layers")
_SCENE = re.compile(r"scene_(.+)_(\d{3})\Z")


def _scenes(job: Document) -> list[Document]:
    found: list[Document] = job["payload"].get("movie", {}).get("scenes", [])
    return found


def _sorted(job: Document, _: Seen) -> None:
    _scenes(job).sort(key=lambda scene: scene["id"])


def _known_only(job: Document, _: Seen) -> None:
    for scene in _scenes(job):
        for name in set(scene) - set(KNOWN):
            del scene[name]


def _garbled(job: Document, _: Seen) -> None:
    title = job["payload"].get("movie", {}).get("title")
    if title:
        job["payload"]["movie"]["title"] = title.encode().decode("latin-1")


def _truncated(job: Document, _: Seen) -> None:
    for scene in _scenes(job):
        scene["duration"] = max(1, int(scene["duration"]))


def _no_layers(job: Document, _: Seen) -> None:
    for scene in _scenes(job):
        scene.pop("layers", None)


def _stripped_project(job: Document, _: Seen) -> None:
    job["payload"]["projectId"] = job["payload"]["projectId"].strip().lower()


def _counters(job: Document) -> Document:
    found: Document = job.get("children") or {}
    return found


def _zero_queued(job: Document, _: Seen) -> None:
    if job["status"] == "queued" and _counters(job):
        job["children"].update(total=0, queued=0)


def _one_short(job: Document, _: Seen) -> None:
    if job["status"] == "done" and _counters(job):
        job["children"].update(succeeded=job["children"]["total"] - 1, running=1)


def _cancelled_runs(job: Document, _: Seen) -> None:
    if job["status"] == "cancelled" and _counters(job):
        counts = job["children"]
        counts["running"] = counts["total"] - counts["succeeded"] - counts["failed"]


def _no_failed(job: Document, _: Seen) -> None:
    if _counters(job):
        job["children"]["succeeded"] += job["children"]["failed"]
        job["children"]["failed"] = 0


def _orphan(job: Document, _: Seen) -> None:
    job["parentJobId"] = None


def _plain_type(job: Document, _: Seen) -> None:
    if job["type"].startswith("render."):
        job["type"] = "render"


def _child_counts(job: Document, _: Seen) -> None:
    if job["parentJobId"]:
        job["children"] = {"total": 0, "succeeded": 0, "running": 0, "queued": 0, "failed": 0}


def _endless_assembly(job: Document, _: Seen) -> None:
    if job["type"] == "render.assemble" and job["status"] == "done":
        job.update(status="running", phase="assembling", progress=0.9, outputUrl=None, mediaData=None)


def _scene_waits(job: Document, _: Seen) -> None:
    if job["type"] == "render.scene" and job["status"] in {"waiting", "running"}:
        job.update(status="queued", phase=None)


def _renamed(request: Request, job_id: str) -> Request:
    path = request.path.replace(str(request.job_id), job_id)
    return replace(request, scope={**request.scope, "path": path, "raw_path": path.encode()}, job_id=job_id)


async def _from_zero(visit: MutantCall) -> Answer:
    request = visit.request
    match = _SCENE.match(request.job_id or "")
    if match is None:
        return await visit.proceed()
    answer = await visit.proceed(_renamed(request, f"scene_{match[1]}_{int(match[2]) + 1:03}"))
    if isinstance(answer.document, dict) and "jobId" in answer.document:
        answer.document = answer.document | {"jobId": request.job_id}
    return answer


async def _unknown_scene(visit: MutantCall) -> Answer:
    answer = await visit.proceed()
    match = _SCENE.match(visit.request.job_id or "")
    if match and answer.status == 404 and visit.request.operation == "getJob":
        return await visit.ask("GET", f"/v1/jobs/{match[1]}")
    return answer


async def _any_case(visit: MutantCall) -> Answer:
    job_id = visit.request.job_id
    return await visit.proceed(_renamed(visit.request, job_id.lower()) if job_id else None)


SECOND_PAYLOADS = tuple(
    response_mutant(THEME, name, statement, layer)
    for name, statement, layer in (
        ("echo-sorts-scenes", "The payload shows the scenes sorted by their id.", edit_jobs(_sorted)),
        ("echo-drops-unknown-fields", "The payload leaves unknown fields of scenes out.", edit_jobs(_known_only)),
        ("echo-garbles-title", "The payload shows the UTF-8 of a title as Latin-1.", edit_jobs(_garbled)),
        ("echo-cuts-durations", "The payload shows the durations of scenes without fractions.", edit_jobs(_truncated)),
        ("echo-without-layers", "The payload leaves the layers of scenes out.", edit_jobs(_no_layers)),
        ("echo-lowers-project", "The payload shows the project id in lower case.", edit_jobs(_stripped_project)),
        ("queued-counts-no-children", "A queued job counts no children yet.", edit_jobs(_zero_queued)),
        ("done-counts-one-short", "A done job counts one child as still running.", edit_jobs(_one_short)),
        (
            "cancelled-counts-running",
            "A cancelled job counts its open children as running.",
            edit_jobs(_cancelled_runs),
        ),
        ("failed-child-counted-succeeded", "A child that failed is counted as succeeded.", edit_jobs(_no_failed)),
        ("child-parent-null", "A child has no parentJobId.", edit_jobs(_orphan)),
        ("child-type-render", "A child is of type render, as its parent.", edit_jobs(_plain_type)),
        ("child-has-counters", "A child has counters of children too.", edit_jobs(_child_counts)),
        (
            "parent-done-before-assembly",
            "The assemble job never ends, even if its parent does.",
            edit_jobs(_endless_assembly),
        ),
        ("scene-queued-while-rendered", "A scene is queued for as long as it is rendered.", edit_jobs(_scene_waits)),
        ("scene-ids-from-zero", "The ids of scenes count from 000.", _from_zero),
        ("unknown-scene-shows-parent", "The id of a scene that does not exist shows the parent.", _unknown_scene),
        ("job-ids-in-any-case", "A job is found by its id in upper case too.", _any_case),
    )
)
