"""The laws of a job that hold wherever one is seen, and what any answer teaches of the switches."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from viralsync_conform.calls import TERMINAL, Exchange
from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.contract.schemas import DELETES, ENDS, EVENT_STREAM, LISTS, READS
from viralsync_conform.findings import Check
from viralsync_conform.run.context import RunContext

Document = Mapping[str, Any]

PHASES = ("planning", "dispatching", "rendering", "assembling", "uploading")
SWITCHED = {"rendering": "job.executing_status", "assembling": "job.assembling_status"}
COUNTERS = ("succeeded", "running", "queued", "failed")
_JOB_ID = re.compile(r"job_[0-9a-f]{12}|scene_job_[0-9a-f]{12}_\d{3}|assemble_job_[0-9a-f]{12}")
_ERROR = re.compile(r"[A-Z][A-Z0-9_]*: .+", re.DOTALL)
ECHOED = frozenset({"projectId", "movie"})
MAX_ROUNDED = 1
"""Pixels by which a video may differ from its frame: it has whole ones, and an even number of them."""

PARENT_TYPES = ("render", "render.movie")


MAX_JOBS = 1000
"""Jobs of a page that are looked at: a page may hold a hundred."""


def jobs_of(run: RunContext, call: Exchange) -> list[Document]:
    """Return the jobs of a page, under whatever name the target gives them."""
    found = call.document.get(run.contract.behaviour.list_key)
    return [job for job in found[:MAX_JOBS] if isinstance(job, dict)] if isinstance(found, list) else []


def known_of(run: RunContext, call: Exchange) -> Document:
    """Return the fields of a job that the spec knows: what else there is may change as it likes."""
    known = run.contract.document["components"]["schemas"]["Job"]["properties"]
    return {name: value for name, value in call.document.items() if name in known}


def instants(texts: Iterable[object]) -> list[Any]:
    """Return instants that can be compared, however they are written; as texts where one cannot be read."""
    written = [str(text) for text in texts]
    try:
        found = [datetime.fromisoformat(text) for text in written]
    except ValueError:
        return written
    return [each if each.tzinfo else each.replace(tzinfo=UTC) for each in found]


def learn_from(run: RunContext, call: Exchange) -> None:
    """Learn the switches that any answer shows."""
    learned = run.learned
    if call.expected == "PLAN_LIMIT_EXCEEDED" and call.status in {402, 403}:
        learned.learn("plan_limit.status", call.status, call)
    if not call.is_success:
        return
    if call.effect == LISTS:
        keys = [key for key, value in call.document.items() if isinstance(value, list)]
        if len(keys) == 1:
            learned.learn("list.key", keys[0], call)
    if call.effect in {ENDS, DELETES}:
        switch, full, fields = {
            ENDS: ("cancel.response", "job", {"jobId", "status", "progress"}),
            DELETES: ("delete.response", "body", {"jobId", "deleted"}),
        }[call.effect]
        other = f"another body: {', '.join(sorted(call.document)) or call.media_type}"
        learned.learn(switch, "empty" if not call.body else full if fields <= call.document.keys() else other, call)
    for job in _jobs(run, call):
        _learn_from_job(run, job, call)


def _learn_from_job(run: RunContext, job: Document, call: Exchange) -> None:
    kind, status, phase = job.get("type"), job.get("status"), job.get("phase")
    if job.get("parentJobId") is not None or not isinstance(job.get("children"), dict):
        return
    if kind in PARENT_TYPES:
        run.learned.learn("job.type", kind, call)
    if isinstance(phase, str) and phase in SWITCHED and status in ("waiting", "running"):
        run.learned.learn(SWITCHED[phase], status, call)
    total, movie = job["children"].get("total"), _movie(job)
    scenes = movie.get("scenes")
    if isinstance(scenes, list) and isinstance(total, int) and total in {len(scenes), len(scenes) + 1}:
        run.learned.learn("job.children_counted", "scenes" if total == len(scenes) else "scenes+assemble", call)


def learn_from_events(run: RunContext, call: Exchange) -> None:
    """Learn the switches that a stream shows."""
    if not call.events:
        return
    names = [event.name for event in call.events if event.name not in {None, "message"}]
    statuses = [str(event.document.get("status")) for event in call.events]
    kinds = [status if status in TERMINAL else "progress" for status in statuses]
    other = f"named {', '.join(sorted(set(map(str, names))))}"
    run.learned.learn("sse.event_names", "unnamed" if not names else "by_kind" if names == kinds else other, call)
    is_job = all({"createdAt", "payload"} & event.document.keys() for event in call.events)
    run.learned.learn("sse.payload", "job" if is_job else "webhook", call)


def check_jobs(run: RunContext, call: Exchange) -> None:
    """Hold every job of an answer against the laws of jobs."""
    if call.media_type == EVENT_STREAM:
        return
    if call.effect == LISTS and call.is_success and call.document:
        has_list = any(isinstance(value, list) for value in call.document.values())
        run.check(facts.BARE, has_list, call, expected="a list", got=", ".join(sorted(call.document)))
    for job in _jobs(run, call):
        if call.effect == LISTS:
            run.listed.setdefault(str(job.get("jobId")), call.number)
        for check, holds, expected, got in job_invariants(run, job):
            run.check(check, holds, call, expected=expected, got=got, place="/job", name=str(job.get("status")))
        for check, holds, expected, got in as_submitted(run, job):
            run.check(check, holds, call, expected=expected, got=got, place="/job")


def _jobs(run: RunContext, call: Exchange) -> list[Document]:
    if not call.is_success:
        return []
    if call.effect == LISTS:
        return jobs_of(run, call)
    if call.effect == READS and call.document:
        return [call.document]
    return []


Invariant = tuple[Check, bool, object, object]


def job_invariants(run: RunContext, job: Document) -> Iterator[Invariant]:
    """Yield what must hold of one job, seen at any time: check, whether it holds, what was expected, what came."""
    status = job.get("status")
    yield from _ending(run, job, status)
    yield from _phase(run, job, status)
    yield from _family(job, status)
    if "createdAt" in job and "updatedAt" in job:
        created, updated = instants((job["createdAt"], job["updatedAt"]))
        yield facts.UPDATED, created <= updated, f"at or after {job['createdAt']}", job["updatedAt"]
    if isinstance(job.get("jobId"), str):
        yield facts.JOB_ID_FORM, _JOB_ID.fullmatch(job["jobId"]) is not None, _JOB_ID.pattern, job["jobId"]


def as_submitted(run: RunContext, job: Document) -> Iterator[Invariant]:
    """Yield what must hold of a job that this run submitted: defaults, the order of scenes, the frame."""
    submitted = run.jobs.get(str(job.get("jobId")))
    sent = submitted.body.get("movie") if submitted else None
    if not isinstance(sent, Mapping):
        return
    shown, media = _movie(job), job.get("mediaData")
    properties = run.contract.document["components"]["schemas"]["Movie"]["properties"]
    defaults = {name: part["x-default"] for name, part in properties.items() if "x-default" in part}
    filled = [name for name in defaults if name not in sent and shown.get(name) is not None]
    for name in filled:
        yield facts.DEFAULTS, shown[name] == defaults[name], f"{name} {defaults[name]}", shown[name]
    if filled and "id" not in sent:
        yield facts.DEFAULTS, bool(shown.get("id")), "a generated id", shown.get("id")
    ids, order = ([scene.get("id") for scene in _scenes(movie)] for movie in (sent, shown))
    if sorted(map(str, ids)) == sorted(map(str, order)):
        yield facts.SCENE_ORDER, ids == order, ids, order
    if job.get("status") == "done" and isinstance(media, Mapping):
        for side in ("width", "height"):
            asked, got = sent.get(side, defaults[side]), media.get(side)
            if isinstance(asked, int | float) and isinstance(got, int | float):
                yield facts.FRAME, abs(got - asked) <= MAX_ROUNDED, f"{side} {asked}", got


def _scenes(movie: Document) -> list[Document]:
    scenes = movie.get("scenes")
    return [scene for scene in scenes if isinstance(scene, dict)] if isinstance(scenes, list) else []


def _ending(run: RunContext, job: Document, status: object) -> Iterator[Invariant]:
    """What is set when a job has ended, and null before."""
    url, error, media, progress = (job.get(name) for name in ("outputUrl", "error", "mediaData", "progress"))
    is_parent = job.get("type") in PARENT_TYPES and job.get("parentJobId") is None
    if is_parent:
        yield facts.OUTPUT, (url is not None) == (status == "done"), "set when done, else null", f"{status}: {url}"
        yield facts.MEDIA, (media is not None) == (status == "done"), "set when done, else null", f"{status}: {media}"
    else:  # what other jobs have when they are done is left open
        yield facts.OUTPUT, status == "done" or url is None, "null unless done", f"{status}: {url}"
    yield (
        facts.ERROR_TEXT,
        (error is not None) == (status == "failed"),
        "set when failed, else null",
        f"{status}: {error}",
    )
    if status == "failed" and isinstance(error, str):
        yield facts.ERROR_FORM, _ERROR.fullmatch(error) is not None, "CODE: detail", error
    if status == "done":
        yield facts.PROGRESS_DONE, progress == 1, 1, progress
        if is_parent and isinstance(url, str):
            template = str(run.contract.document["x-output-url"]["template"])
            expected = template.replace("{jobId}", str(job.get("jobId")))
            yield facts.OUTPUT_FORM, url == expected, expected, url
        if is_parent and isinstance(media, Mapping) and media:
            yield from _media(job, media)
    if status in ("failed", "cancelled"):
        yield facts.PROGRESS_LEFT, progress != 1, "below 1", progress
    if status == "queued":
        yield facts.PROGRESS_QUEUED, progress == 0, 0, progress


def _media(job: Document, media: Document) -> Iterator[Invariant]:
    """The output is what was submitted, where the payload says what that was."""
    movie = _movie(job)
    lengths = [scene.get("duration") for scene in movie.get("scenes") or () if isinstance(scene, Mapping)]
    numbers = [float(each) for each in lengths if isinstance(each, int | float)]
    if numbers and len(numbers) == len(lengths):
        length, got = sum(numbers), media.get("duration")
        close = isinstance(got, int | float) and abs(got - length) < 0.05
        yield facts.MEDIA_MATCHES, close, length, got
    size = media.get("fileSize")
    yield facts.MEDIA_MATCHES, isinstance(size, int) and size > 0, "a size above 0", size
    for side, default in (("width", 1920), ("height", 1080)):
        wanted = movie.get(side)
        if lengths and isinstance(media.get(side), int | float):
            expected = round(wanted) if isinstance(wanted, int | float) else default
            yield facts.MEDIA_SIZE, abs(media[side] - expected) <= MAX_ROUNDED, f"{side} {expected}", media[side]


def _phase(run: RunContext, job: Document, status: object) -> Iterator[Invariant]:
    phase, behaviour = job.get("phase"), run.contract.behaviour
    if job.get("parentJobId") is not None:
        return
    if status == "queued" or status in TERMINAL:
        yield facts.PHASE_NULL, phase is None, None, f"{status}/{phase}"
        return
    expected = {
        "planning": "running",
        "dispatching": "running",
        "rendering": behaviour.job_executing_status,
        "assembling": behaviour.job_assembling_status,
        "uploading": "running",
    }
    wanted = expected.get(str(phase))
    yield facts.PHASE_STATUS, wanted is not None and status == wanted, f"{phase}: {wanted}", f"{phase}: {status}"


def _family(job: Document, status: object) -> Iterator[Invariant]:
    """Parents count their children, and children name their parent."""
    job_id, parent, kind, children = (job.get(name) for name in ("jobId", "parentJobId", "type", "children"))
    is_child = isinstance(kind, str) and kind in {"render.scene", "render.assemble"}
    if is_child:
        yield facts.PARENT, isinstance(parent, str) and parent != job_id, "the id of the parent", parent
        yield facts.CHILDREN, children is None, "no counters", children
        return
    if kind in PARENT_TYPES:
        yield facts.PARENT, parent is None, None, parent
        payload = job.get("payload")
        echoed = sorted(payload) if isinstance(payload, Mapping) else payload
        yield facts.ECHO, isinstance(payload, Mapping) and payload.keys() >= ECHOED, sorted(ECHOED), echoed
        yield facts.CHILDREN, isinstance(children, dict), "counters", children
    if isinstance(children, dict) and all(isinstance(children.get(name), int) for name in ("total", *COUNTERS)):
        counts = {name: int(count) for name, count in children.items() if isinstance(count, int)}
        reported, total = sum(counts[name] for name in COUNTERS), counts["total"]
        yield facts.CHILDREN_MOST, reported <= total, f"at most {total} in all", children
        yield facts.CHILDREN_SUM, status in TERMINAL or reported == total, f"{total} in all", children
        if status in TERMINAL:
            yield facts.CHILDREN_END, counts["running"] + counts["queued"] == 0, "none at work", counts
        if status == "done":
            yield facts.CHILDREN_DONE, children["succeeded"] == total, f"{total} succeeded", children
        yield from _at_work(job, status, counts)
        scenes = _movie(job).get("scenes")
        if isinstance(scenes, list):
            number = len(scenes)
            fact = facts.CHILDREN_START if status == "queued" else facts.CHILDREN  # when they are made is open
            yield fact, total in {number, number + 1}, f"a child for each of {number} scenes", total
        if status == "queued":
            yield facts.CHILDREN_START, children["queued"] == total, f"{total} queued", children


def _at_work(job: Document, status: object, counts: Mapping[str, int]) -> Iterator[Invariant]:
    """Counters, phase and progress tell of the same work."""
    progress, phase = job.get("progress"), job.get("phase")
    if not isinstance(progress, int | float) or status in TERMINAL:
        return
    yield facts.PROGRESS_LEFT, progress < 1, "below 1", progress
    if counts["succeeded"]:
        yield facts.PROGRESS_MOVES, progress > 0, "above 0", progress
    if phase == "rendering":
        yield facts.RENDERING, counts["running"] + counts["queued"] > 0, "a child at work", counts
    scenes = _movie(job).get("scenes")
    if phase in {"assembling", "uploading"} and isinstance(scenes, list) and counts["total"] == len(scenes):
        yield facts.RENDERING, counts["succeeded"] == counts["total"], "all scenes done", counts


def _movie(job: Document) -> Document:
    payload = job.get("payload")
    movie = payload.get("movie") if isinstance(payload, Mapping) else None
    return movie if isinstance(movie, Mapping) else {}
