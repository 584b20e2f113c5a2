"""Breaches of section 5: the job as it is shown, and its life."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from .breach_kinds import Where, hooked, in_status, refused_when, shown, tuned, without
from .conduct import Breach, Hook
from .wire import Doc

_JOB, _LIFE, _DONE, _FAILED = "a job", "a job watched to its end", "a finished job", "a failed job"
_CHILDREN, _CANCELLED = "a render watched to its end", "a cancelled job"
_UNFINISHED = in_status("queued", "running", "waiting")


def _job(name: str, fact: str, needs: str, hook: Hook) -> Breach:
    return hooked(name, fact, needs, job=hook)


def _words(name: str, fact: str, needs: str, field: str, **words: str) -> Breach:
    return _job(
        name, fact, needs, lambda document, _job: {**document, field: words.get(document[field], document[field])}
    )


def _progress(name: str, change: Callable[[float], Any], where: Where = lambda _document, _job: True) -> Breach:
    def hook(document: Doc, job: Any) -> Doc:
        return {**document, "progress": change(document["progress"])} if where(document, job) else document

    return _job(name, "D-5.3", _LIFE, hook)


def _counts(name: str, change: Callable[[Doc], Any], needs: str = _CHILDREN, where: Where | None = None) -> Breach:
    def hook(document: Doc, job: Any) -> Doc:
        if "children" not in document or (where and not where(document, job)):
            return document
        return {**document, "children": change(document["children"])}

    return _job(name, "D-5.7", needs, hook)


def _less(counts: Doc, name: str) -> Doc:
    return {key: value for key, value in counts.items() if key != name}


def _goes_back(document: Doc, _job: Any) -> Doc:
    values = {"rendering": 0.7, "assembling": 0.4}
    return {**document, "progress": values.get(str(document["phase"]), document["progress"])}


def _after(status: str, seconds: float = 0.15) -> Where:
    return lambda document, job: job.status == status and document["status"] == status and job.since_end > seconds


def _once_seen(*statuses: str) -> Where:
    """The first looks at an ended job, for a moment after its end."""
    return lambda document, job: bool(document["status"] in statuses and job.since_end < 0.3)


def _assemble_still_runs(document: Doc, job: Any) -> Doc:
    late = job.type == "render.assemble" and job.parent and job.parent.status == "done"
    return {**document, "status": "running", "progress": 0.5} if late else document


def _scenes_still_run(document: Doc, _job: Any) -> Doc:
    if document["status"] != "done" or "children" not in document:
        return document
    counts = document["children"]
    return {**document, "children": {**counts, "succeeded": counts["succeeded"] - 1, "running": 1}}


def _with_children(document: Doc, job: Any) -> Doc:
    if job.type == "render.movie":
        return document
    return {**document, "children": {"total": 0, "succeeded": 0, "running": 0, "queued": 0, "failed": 0}}


def _is_failed_read(call: Any) -> bool:
    job = next((each for each in call.account.jobs if each.job_id == call.job_id), None)
    return call.operation == "get" and job is not None and job.status == "failed"


BREACHES: Final = (
    _words("status-one-l", "D-5.1", _CANCELLED, "status", cancelled="canceled"),
    _words("status-completed", "D-5.1", _DONE, "status", done="completed"),
    _words("status-error", "D-5.1", _FAILED, "status", failed="error"),
    _words("status-pending", "D-5.1", _LIFE, "status", queued="pending"),
    _words("status-processing", "D-5.1", _LIFE, "status", running="processing", waiting="processing"),
    _job("status-null-while-queued", "D-5.1", _LIFE, shown(in_status("queued"), status=None)),
    _job("status-missing", "D-5.1", _JOB, without("status")),
    _words("phase-encoding", "D-5.2", _LIFE, "phase", rendering="encoding"),
    _words("phase-finalizing", "D-5.2", _LIFE, "phase", uploading="finalizing"),
    _job("phase-ended-text", "D-5.2", _DONE, shown(in_status("done"), phase="completed")),
    _progress("progress-percent", lambda progress: progress * 100),
    _progress("progress-text", lambda progress: f"{progress:.2f}"),
    _progress("progress-above-one", lambda _progress: 1.05, in_status("done")),
    _progress("progress-negative", lambda _progress: -1, in_status("queued")),
    _progress("progress-null-while-queued", lambda _progress: None, in_status("queued")),
    _progress("progress-not-one-at-done", lambda _progress: 0.99, in_status("done")),
    _job("progress-goes-back", "D-5.3", _LIFE, _goes_back),
    _job("progress-missing", "D-5.3", _JOB, without("progress")),
    _job("parent-id-own", "D-5.4", _JOB, lambda it, _job: {**it, "parentJobId": it["parentJobId"] or it["jobId"]}),
    _job("output-url-null-at-done", "D-5.5", _DONE, shown(in_status("done"), outputUrl=None)),
    _job("output-url-missing-at-done", "D-5.5", _DONE, without("outputUrl", where=in_status("done"))),
    _job("output-url-late", "D-5.5", _LIFE, shown(_once_seen("done"), outputUrl=None)),
    _job("output-url-before-done", "D-5.5", _LIFE, shown(_UNFINISHED, outputUrl="https://r2.viralsync.io/soon.mp4")),
    _job("output-url-when-failed", "D-5.5", _FAILED, shown(in_status("failed"), outputUrl="https://r2.viralsync.io/x")),
    _job(
        "output-url-when-cancelled",
        "D-5.5",
        _CANCELLED,
        shown(in_status("cancelled"), outputUrl="https://r2.viralsync.io"),
    ),
    _job("error-null-when-failed", "D-5.6", _FAILED, shown(in_status("failed"), error=None)),
    _job("error-missing-when-failed", "D-5.6", _FAILED, without("error", where=in_status("failed"))),
    _job(
        "error-object-when-failed", "D-5.6", _FAILED, shown(in_status("failed"), error={"code": "SCENE_RENDER_FAILED"})
    ),
    _job("error-empty-text-at-done", "D-5.6", _DONE, shown(in_status("done"), error="")),
    _job("error-when-cancelled", "D-5.6", _CANCELLED, shown(in_status("cancelled"), error="CANCELLED: by user")),
    _job("children-missing", "D-5.7", _CHILDREN, without("children")),
    _job("children-null", "D-5.7", _CHILDREN, lambda it, job: {**it, "children": None} if job.scenes else it),
    _job("children-on-other-jobs", "D-5.7", "a job that is no render", _with_children),
    _counts("children-without-queued", lambda it: _less(it, "queued")),
    _counts("children-succeeded-stays-zero", lambda it: {**it, "succeeded": 0}),
    _counts("children-queue-stays-full", lambda it: {**it, "queued": it["total"]}),
    _counts("children-failed-stays-zero", lambda it: {**it, "failed": 0}, _FAILED),
    _counts("children-total-halved", lambda it: {**it, "total": it["total"] // 2}),
    _job("type-unknown", "D-5.15", _JOB, shown(lambda _it, job: job.type == "render.movie", type="render_movie_v2")),
    _job("type-missing", "D-5.15", _JOB, without("type")),
    _job(
        "type-of-scene", "D-5.16", "a child of a render", shown(lambda _it, job: bool(job.parent), type="render.movie")
    ),
    _job("assemble-ends-after-parent", "D-5.17", "the assemble job of a finished render", _assemble_still_runs),
    _job("done-while-scenes-run", "D-5.17", _DONE, _scenes_still_run),
    tuned("parent-done-without-assemble", "D-5.17", "the assemble job of a finished render", assembles=False),
    tuned("failure-stops-all-scenes", "D-5.18", "a job of which one scene fails", failure_stops_all=True),
    _job("done-job-runs-again", "D-5.14", "a finished job, a moment later", shown(_after("done"), status="running")),
    _job(
        "failed-job-queued-again",
        "D-5.14",
        "a failed job, a moment later",
        shown(_after("failed"), status="queued", error=None),
    ),
    _job(
        "cancelled-job-turns-done",
        "D-5.14",
        "a cancelled job, a moment later",
        shown(_after("cancelled"), status="done", progress=1.0),
    ),
    tuned("job-hangs-rendering", "D-5.14", _LIFE, stalls_at="rendering"),
    tuned("job-hangs-uploading", "D-5.14", _LIFE, stalls_at="uploading"),
    hooked("failed-job-read-as-500", "D-8.13", _FAILED, call=refused_when(_is_failed_read, "crash")),
)
