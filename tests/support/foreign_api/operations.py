"""The eight operations: what each checks, does and answers once the caller is known and within the rate limit."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from . import clock
from .accounts import PROJECTS
from .documents import me_document, presented, usage_document
from .limits import check_plan_size, check_quota, check_slots, slots_taken
from .model import Job
from .orders import Order, order_of
from .renders import start_render
from .rules import fault_of, parameter_fault, unknown_field_of
from .streams import stream
from .webhooks import is_public
from .wire import Doc, NothingThere, Reply

if TYPE_CHECKING:
    from .call import Call
    from .world import World

Answer = Reply | web.StreamResponse


async def submit(world: World, call: Call) -> Answer:
    """POST /v1/render/jobs."""
    _check_media_type(world, call)
    body = call.json()
    order = order_of(body, world.conduct.defaults)
    if world.readings.check_order == "limits_first":
        check_slots(world, call)
        check_quota(world, call, order)
    _check_body(world, body)
    _check_callback(world, order)
    if world.readings.project_ids == "known" and order.project_id not in PROJECTS:
        world.refuse("project", f"No project {order.project_id!r}.")
    check_quota(world, call, order)
    check_plan_size(world, call, order)
    check_slots(world, call)
    job = start_render(world, call.account, order)
    if world.conduct.charged_at_submit:
        call.account.charge(world.conduct.minutes(job), world.now())
    while world.conduct.answers_when_done and not job.ended:
        await clock.happens(job.changed, 60)
    return Reply(202, _submitted(world, job))


def _submitted(world: World, job: Job) -> Doc:
    shown = world.document(job)
    if world.readings.submit_body == "id_only":
        return presented(world, {"jobId": shown["jobId"]}, extra={"queuePosition": 1})
    if world.readings.submit_body == "minimal":
        shown = {name: shown[name] for name in ("jobId", "status") if name in shown}
    return presented(world, shown)


def _check_media_type(world: World, call: Call) -> None:
    if world.readings.content_type != "any" and call.request.content_type != "application/json":
        world.refuse("media-type", "Content-Type must be application/json.")


def _check_body(world: World, body: Any) -> None:
    if text := fault_of(world.fields, body):
        world.refuse("validation", text)
    if world.readings.unknown_fields == "refused" and (text := unknown_field_of(world.fields, body)):
        world.refuse("validation", text)


def _check_callback(world: World, order: Order) -> None:
    if order.callback_url and world.readings.callback_urls.startswith("public") and not is_public(order.callback_url):
        world.refuse("callback", "$.callbackUrl must be publicly reachable.")


async def list_jobs(world: World, call: Call) -> Answer:
    """GET /v1/jobs."""
    query = call.request.query
    if text := parameter_fault(world.fields, query):
        world.refuse("parameter", text)
    limit = world.conduct.page_size(min(100, max(1, int(query.get("limit") or world.conduct.default_limit))))
    jobs = [job for job in call.account.jobs if _is_wanted(world, job, query)]
    jobs.sort(key=world.conduct.sort, reverse=True)
    first = _first(world, jobs, query.get("cursor"))
    page = jobs[first : first + limit]
    more = first + limit < len(jobs) or world.conduct.always_more
    if world.readings.list_last_page == "empty_page":
        more = more or len(page) == limit
    last = page[-1].number if page else 0
    cursor = _cursor_text(world, last) if more else None
    shown = world.conduct.through("page", {"jobs": [_listed(world, job) for job in page], "nextCursor": cursor}, call)
    if isinstance(shown, dict) and "jobs" in shown and world.readings.list_key != "jobs":
        shown = {world.readings.list_key: shown.pop("jobs"), **shown}
    return Reply(200, presented(world, shown, extra={"object": "list"}) if isinstance(shown, dict) else shown)


def _listed(world: World, job: Job) -> Doc:
    shown = presented(world, world.document(job))
    if world.readings.list_items == "summary":
        shown.pop("payload", None)
    return shown


def _is_wanted(world: World, job: Job, query: Mapping[str, str]) -> bool:
    if job.parent and not world.readings.list_includes_children:
        return False
    if "status" in query and query["status"] != world.status_of(job):
        return False
    wanted = query.get("type")
    if not wanted or ("cursor" in query and not world.conduct.cursor_keeps_filter):
        return True
    shown = world.readings.job_type if job.type == "render.movie" else job.type
    if world.conduct.filter_of_type:
        return world.conduct.filter_of_type(wanted, job.type, shown)
    if wanted == "render" and world.readings.list_type_render == "prefix":
        return job.type.startswith("render.")
    return wanted in {shown, job.type}


def _first(world: World, jobs: list[Job], cursor: str | None) -> int:
    """The place of the first job after the one the cursor stands for, also when that one is gone."""
    if not cursor:
        return 0
    number = _cursor_number(cursor)
    if number is None:
        if world.readings.list_bad_cursor == "error":
            world.refuse("parameter", "cursor is not one that was given out")
        return 0
    numbers = [job.number for job in jobs]
    if number in numbers:
        return max(0, numbers.index(number) + 1 + world.conduct.cursor_shift)
    return next((place for place, job in enumerate(jobs) if job.number < number), len(jobs))


def _cursor_text(world: World, number: int) -> str:
    if world.readings.list_cursor_form == "plain":
        return f"c{number:08x}"
    return base64.b64encode(f"after?>{number}".encode()).decode()


def _cursor_number(cursor: str) -> int | None:
    try:
        if cursor.startswith("c") and len(cursor) == 9:
            return int(cursor[1:], 16)
        text = base64.b64decode(cursor, validate=True).decode()
    except (ValueError, binascii.Error):
        return None
    return int(text[7:]) if text.startswith("after?>") and text[7:].isdigit() else None


async def get_job(world: World, call: Call) -> Answer:
    """GET /v1/jobs/{jobId}."""
    job = _job(world, call)
    call.account.charge(world.conduct.charged_per_poll, world.now())
    return Reply(200, presented(world, world.document(job)))


async def progress(world: World, call: Call) -> Answer:
    """GET /v1/jobs/{jobId}/progress."""
    return await stream(world, call, _job(world, call))


async def cancel(world: World, call: Call) -> Answer:
    """POST /v1/jobs/{jobId}/cancel."""
    job = _job(world, call)
    again = job.status == "cancelled" and world.readings.cancel_again == "accepted"
    if job.ended and not again:
        if world.conduct.cancel_of_ended and not job.parent:
            world.change(job, status=world.conduct.cancel_of_ended)
        world.refuse("cancel-state", f"The job is {job.status}.")
    if job.status == "queued" and world.readings.cancel_queued == "refused":
        world.refuse("cancel-state", "Only a running job can be cancelled.")
    if not job.ended and not job.cancelling:
        _stop(world, job)
    status = world.readings.cancel_http_status
    if world.readings.cancel_response == "empty":
        return Reply(status)
    if world.readings.cancel_response == "acknowledgement":
        return Reply(status, {"ok": True})
    return Reply(status, presented(world, world.document(job)))


def _stop(world: World, job: Job) -> None:
    outcome = world.conduct.cancel_outcome
    if outcome == "ignored":
        return
    job.cancelling = True
    if job.work:
        job.work.cancel()
    if outcome != "stuck":
        error = "CANCELLED: by the user" if outcome == "failed" else None
        world.later(world.readings.cancel_delay, lambda: world.end(job, outcome, error=error))


async def delete(world: World, call: Call) -> Answer:
    """DELETE /v1/jobs/{jobId}."""
    job = _job(world, call)
    if not job.ended:
        world.refuse("delete-state", f"The job is {job.status}; only an ended job can be deleted.")
    shown = presented(world, world.document(job))
    world.remove(job)
    if world.readings.delete_response == "empty":
        return Reply(204)
    return Reply(200, shown if world.readings.delete_response == "job" else {"jobId": job.job_id, "deleted": True})


def _job(world: World, call: Call) -> Job:
    job = world.jobs.get(call.job_id)
    if job is None or job.account is not call.account:
        world.refuse("unknown-job", f"No job {call.job_id!r}.")
        raise NothingThere
    return job


async def me(world: World, call: Call) -> Answer:
    """GET /v1/me."""
    return Reply(200, presented(world, me_document(call.account, world.readings)))


async def usage(world: World, call: Call) -> Answer:
    """GET /v1/usage."""
    return Reply(200, presented(world, usage_document(world, call.account, len(slots_taken(world, call.account)))))


Operation = Callable[["World", "Call"], Awaitable[Answer]]

OPERATIONS: Final[tuple[tuple[str, str, str, Operation], ...]] = (
    ("POST", "/v1/render/jobs", "submit", submit),
    ("GET", "/v1/jobs", "list", list_jobs),
    ("GET", "/v1/jobs/{jobId}", "get", get_job),
    ("GET", "/v1/jobs/{jobId}/progress", "progress", progress),
    ("POST", "/v1/jobs/{jobId}/cancel", "cancel", cancel),
    ("DELETE", "/v1/jobs/{jobId}", "delete", delete),
    ("GET", "/v1/me", "me", me),
    ("GET", "/v1/usage", "usage", usage),
)
