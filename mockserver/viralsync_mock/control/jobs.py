"""Jobs: show their whole timelines, and rewrite the rest of one."""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING

from viralsync_mock.api.handlers import conflict, find_job
from viralsync_mock.control.request import JsonResponse
from viralsync_mock.errors import ApiError
from viralsync_mock.jobs.models import Phase, Status
from viralsync_mock.jobs.timeline import bring_forward, hold, raise_progress, terminate
from viralsync_mock.jobs.views import Subject, timeline_document, timeline_summary
from viralsync_mock.scenarios.values import parse_seconds

if TYPE_CHECKING:
    from datetime import datetime

    from starlette.responses import Response

    from viralsync_mock.control.request import ControlRequest
    from viralsync_mock.jobs.models import Step, Timeline


async def list_timelines(request: ControlRequest) -> Response:
    """GET /__mock/jobs: the newest jobs, and how many there are."""
    store, now, before = request.sandbox.store, request.now, None
    if (last := request.parameters.get("before")) is not None:
        before = find_job(request.sandbox, last).job.number
    found = islice(store.newest_first(now, None, before), request.parameters["limit"])
    newest = [timeline_summary(Subject(job), now) for job in found]
    return JsonResponse({"total": store.usage(now).count(*Status), "jobs": newest})


async def get_timeline(request: ControlRequest) -> Response:
    """GET /__mock/jobs/{jobId}: all that happened, and all that is to come."""
    return JsonResponse(timeline_document(find_job(request.sandbox, request.path_params["jobId"]), request.now))


async def change_timeline(request: ControlRequest) -> Response:
    """PATCH /__mock/jobs/{jobId}: rewrite the rest of the timeline."""
    subject, now = find_job(request.sandbox, request.path_params["jobId"]), request.now
    step = subject.look(now)
    if subject.is_child:
        raise _refused(f"{subject.id} follows its parent: change {subject.job.id}.")
    if step.status.is_terminal:
        raise conflict(subject, now, "change")
    await request.sandbox.rewrite(subject.job, _rewritten(request, subject, step, now))
    return await get_timeline(request)


def _rewritten(request: ControlRequest, subject: Subject, step: Step, now: datetime) -> Timeline:
    timeline, patch = subject.job.timeline, request.document
    if (progress := patch.get("progress")) is not None:
        if progress < step.progress:
            raise _refused(f"{subject.id} has made {step.progress} progress, which never shrinks: got {progress}.")
        timeline = raise_progress(timeline, now, progress)
    if (seconds := patch.get("hold")) is not None:
        timeline = hold(timeline, now, math.inf if seconds is True else parse_seconds(seconds) or 0.0)
    if (word := patch.get("status", step.status)) == step.status:
        return timeline
    status = Status(word)
    if status.is_terminal:
        error = _error(request, step.phase) if status is Status.FAILED else None
        scene_error = request.spec.phase_errors.get(Phase.RENDERING)
        fails_scene = error is not None and error.partition(":")[0] == scene_error
        return terminate(timeline, now, status, error, fails_scene=fails_scene)
    return _brought_forward(subject, timeline, status, now)


def _error(request: ControlRequest, phase: Phase | None) -> str:
    """Return the error that was given, or that of a job which fails in this phase."""
    code = request.spec.phase_errors.get(phase or "") or next(iter(request.spec.job_errors))
    return str(request.document.get("error", f"{code}: {request.spec.job_errors[code]}"))


def _brought_forward(subject: Subject, timeline: Timeline, status: Status, now: datetime) -> Timeline:
    hurried = bring_forward(timeline, now, status)
    if hurried is None:
        coming = ", ".join(mark.status for mark in timeline.marks if mark.at > now) or "nothing"
        raise _refused(
            f"{subject.id} is {timeline.mark_at(now).status} and does not become {status} any more: "
            f"its timeline goes on with {coming}."
        )
    return hurried


def _refused(text: str) -> ApiError:
    return ApiError("INVALID_STATE_TRANSITION", text=text)
