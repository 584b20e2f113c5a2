"""What each operation does with a valid request: one function an operation."""

from __future__ import annotations

from functools import partial
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import orjson

from viralsync_mock.api import submission
from viralsync_mock.api.pagination import list_page, next_list_change
from viralsync_mock.api.progress_stream import has_seen_the_end, resume_point, stream_events
from viralsync_mock.errors import ApiError
from viralsync_mock.generation.response import check_generation
from viralsync_mock.jobs import timeline
from viralsync_mock.jobs.limits import COUNTED_STATUSES, next_month, this_month
from viralsync_mock.jobs.models import Status, timestamp
from viralsync_mock.jobs.views import Subject, job_document_at, job_text_at, parse_child_id
from viralsync_mock.response import EVENT_STREAM, SLICE, Response, empty_response, json_response
from viralsync_mock.sandbox import usage_under

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from viralsync_mock.api.call import Call
    from viralsync_mock.jobs.models import Step
    from viralsync_mock.openapi.spec import Spec
    from viralsync_mock.response import Headers
    from viralsync_mock.sandbox import Sandbox


async def submit_render_job(call: Call) -> Response:
    """POST /v1/render/jobs: keep the job (docs page /api-reference/render)."""
    job = await submission.submit(call)
    call.entry.job_id = job.id
    call.sandbox.sightings.record_submission(job)
    warning: Headers = ()
    if job.callback_url is not None:
        await call.mock.dispatcher_for(call.sandbox).add_job(job, submission.hook(call, job.callback_url))
        warning = submission.warn_of(call, job.callback_url)
    return json_response({"jobId": job.id, "status": Status.QUEUED}, 202, warning)


async def list_jobs(call: Call) -> Response:
    """GET /v1/jobs: one page, newest first (docs page /api-reference/jobs)."""
    await call.auto_advance(partial(next_list_change, call))
    page = list_page(call)
    call.sandbox.sightings.record_page(call.parameters.get("cursor"), page.next_cursor)
    jobs = [job_document(call, subject, call.seen_at) for subject in page.subjects]
    return _showing({call.behaviour.list_key: jobs, "nextCursor": page.next_cursor}, page.subjects, jobs)


async def get_job(call: Call) -> Response:
    """GET /v1/jobs/{jobId}: the job, or a child of it, as it stands (docs page /api-reference/jobs)."""
    subject = find_job(call.sandbox, call.job_id)
    await call.auto_advance(subject.next_change)
    job, step = subject.job, _look(call, subject, call.seen_at)
    if not subject.is_child and len(job.payload) <= SLICE:
        return Response(200, job_text_at(job, step, call.files.movies.output_url))
    document = job_document_at(subject, step, call.files.movies.output_url)
    return _showing(document, (subject,), (document,))


async def stream_job_progress(call: Call) -> Response:
    """GET /v1/jobs/{jobId}/progress: server-sent events until the job is terminal."""
    subject = find_job(call.sandbox, call.job_id)
    if call.behaviour.sse_after_end == "no_content" and has_seen_the_end(call, subject):
        return empty_response()
    last = resume_point(call, subject)
    return Response(
        200,
        content_type=EVENT_STREAM.encode(),
        headers=((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no")),  # nginx would hold events back
        stream=lambda reader: stream_events(call, subject, last, reader),
    )


async def cancel_job(call: Call) -> Response:
    """POST /v1/jobs/{jobId}/cancel: end a job that is not terminal, its children too."""
    subject = find_job(call.sandbox, call.job_id)
    if subject.is_child or subject.look(call.now).status.is_terminal:
        raise conflict(subject, call.now, "cancel")
    await call.sandbox.rewrite(subject.job, timeline.terminate(subject.job.timeline, call.now, Status.CANCELLED))
    if call.behaviour.cancel_response == "empty":
        return empty_response()
    document = job_document(call, subject, call.now)
    return _showing(document, (subject,), (document,))


async def delete_job(call: Call) -> Response:
    """DELETE /v1/jobs/{jobId}: forget a terminal job, its children too."""
    subject = find_job(call.sandbox, call.job_id)
    if subject.is_child or not subject.look(call.now).status.is_terminal:
        raise conflict(subject, call.now, "delete")
    call.sandbox.store.delete(subject.job, call.now)
    if call.behaviour.delete_response == "empty":
        return empty_response()
    return json_response({"jobId": subject.id, "deleted": True})


async def get_me(call: Call) -> Response:
    """GET /v1/me: the account of the key (docs page /getting-started/authentication)."""
    account, user_id = call.account, call.sandbox.user_id
    email = account.email or f"{user_id}@example.com"
    return json_response({"userId": user_id, "plan": account.plan, "email": email})


async def get_usage(call: Call) -> Response:
    """GET /v1/usage: use and limits of the month, of the day and of concurrent jobs."""
    plan = call.spec.plans[call.account.plan]
    standing = usage_under(call.sandbox, call.scenario, call.mock.scenario_of(call.sandbox), call.now)
    used, limit = round(standing.minutes, 6), plan.minutes_per_month
    daily = {"used": round(standing.minutes_today, 6), "limit": plan.minutes_per_day}
    return json_response(
        {
            "plan": plan.name,
            "periodStart": timestamp(this_month(call.now)),
            "periodEnd": timestamp(next_month(call.now)),
            "renderMinutes": {
                "used": used,
                "limit": limit,
                "remaining": None if limit is None else max(round(limit - used, 6), 0),
            },
            "daily": None if plan.minutes_per_day is None else daily,
            "concurrentJobs": {
                "running": standing.count(*COUNTED_STATUSES[call.behaviour.concurrency_counts]),
                "limit": plan.jobs_at_once,
            },
        }
    )


HANDLERS: Mapping[str, Callable[[Call], Awaitable[Response]]] = MappingProxyType(
    {
        "submitRenderJob": submit_render_job,
        "listJobs": list_jobs,
        "getJob": get_job,
        "streamJobProgress": stream_job_progress,
        "cancelJob": cancel_job,
        "deleteJob": delete_job,
        "getMe": get_me,
        "getUsage": get_usage,
    }
)
"""By operationId. Any other operation of the spec gets a response generated from the spec."""

JOB_HANDLERS = frozenset({"getJob", "streamJobProgress", "cancelJob", "deleteJob"})
"""The handlers that need the id of a job in the path."""


ERROR_CODES = frozenset(
    {
        *("VALIDATION_ERROR", "UNAUTHORIZED", "API_KEY_REVOKED", "FORBIDDEN", "NOT_FOUND", "METHOD_NOT_ALLOWED"),
        *("JOB_NOT_FOUND", "INVALID_STATE_TRANSITION", "CONCURRENCY_LIMIT_EXCEEDED", "PLAN_LIMIT_EXCEEDED"),
        *("RENDER_QUOTA_EXCEEDED", "RENDER_QUOTA_DAILY_EXCEEDED", "RATE_LIMITED", "PAYLOAD_TOO_LARGE"),
        *("INTERNAL_ERROR", "SERVICE_UNAVAILABLE"),
    }
)
"""The codes with which the mock refuses: the catalogue of the spec must have them."""


def check_operations(spec: Spec) -> None:
    """See that every operation can be answered; raises SpecError with the place of one that cannot."""
    for code in sorted(ERROR_CODES - spec.errors.keys()):
        spec.root["x-error-catalogue"].fail(f"the mock refuses requests with {code}: add it, with `status` and `text`")
    if not spec.job_errors:
        spec.root["x-job-error-catalogue"].fail("expected a code for jobs that fail, got none: add one with its `text`")
    jobs = spec.operations.get("listJobs")
    for parameter in jobs.parameters if jobs else ():
        if parameter.name == "limit" and "integer" not in str(spec.resolve(parameter.schema).get("type")):
            spec.places["listJobs"].fail("the parameter limit must be of type integer: it counts jobs")
    check_generation(spec, [each for name, each in spec.operations.items() if name not in HANDLERS])
    for operation in map(spec.operations.get, JOB_HANDLERS):
        if operation is not None and operation.job_parameter is None:
            spec.places[operation.id].fail(
                f"{operation.id} needs the job's id: say in `x-effect` which path parameter holds it"
            )


def find_job(sandbox: Sandbox, job_id: str) -> Subject:
    """Return a job or child of a sandbox; raises JOB_NOT_FOUND, also for another account's job."""
    if (job := sandbox.store.read(job_id)) is not None:
        return Subject(job)
    parent_id, number = parse_child_id(job_id) or ("", 0)
    parent = sandbox.store.read(parent_id)
    if parent is not None and number <= len(parent.timeline.scenes) and Subject(parent, number).id == job_id:
        return Subject(parent, number)
    raise ApiError("JOB_NOT_FOUND", jobId=job_id)


def job_document(call: Call, subject: Subject, instant: datetime) -> dict[str, Any]:
    """Return a job as it stands."""
    return job_document_at(subject, _look(call, subject, instant), call.files.movies.output_url)


def _look(call: Call, subject: Subject, instant: datetime) -> Step:
    """Return the step of a job, and record for the coverage that a client sees it."""
    step = subject.look(instant)
    call.sandbox.sightings.record_step(subject, step)
    return step


def _showing(document: object, subjects: Sequence[Subject], shown: Sequence[dict[str, Any]]) -> Response:
    """Return a response that shows jobs; it shares large payloads with them instead of copying them."""
    payloads = [subject.job.payload for subject in subjects if not subject.is_child]
    if sum(map(len, payloads)) <= SLICE:
        return json_response(document)
    for subject, each in zip(subjects, shown, strict=True):
        if not subject.is_child:
            each["payload"] = _PAYLOAD
    texts = orjson.dumps(document).split(b"\0")  # JSON has no such byte
    return Response(200, pieces=[*chain.from_iterable(zip(texts, payloads, strict=False)), texts[-1]])


_PAYLOAD = orjson.Fragment(b"\0")
"""Where the payload of a job will stand."""


def conflict(subject: Subject, now: datetime, action: str) -> ApiError:
    """Return the refusal of a change that the job's status does not allow."""
    status = subject.look(now).status
    return ApiError("INVALID_STATE_TRANSITION", action=action, jobId=subject.id, status=status)
