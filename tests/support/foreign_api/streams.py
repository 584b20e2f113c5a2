"""The progress stream: Server-Sent Events, one for each change of the job."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from aiohttp import web

from . import clock
from .documents import event_body, instant, presented, raw_document
from .model import ENDED, Job
from .wire import Doc, Reply

if TYPE_CHECKING:
    from .call import Call
    from .world import World


async def stream(world: World, call: Call, job: Job) -> Reply | web.StreamResponse:
    """Send the events until the job has ended or the client is gone."""
    if world.readings.sse_after_end == "no_content" and job.ended and "Last-Event-ID" in call.request.headers:
        return Reply(204)
    headers = {"Content-Type": world.conduct.stream_type, "Cache-Control": "no-cache"}
    response = web.StreamResponse(headers=headers)
    await response.prepare(call.request)
    if call.request.method != "HEAD":
        with contextlib.suppress(ConnectionResetError):
            await _send(world, response, _frames(world, call, job))
    return response


async def _send(world: World, response: web.StreamResponse, frames: AsyncIterator[str]) -> None:
    kept = ""
    async for text in frames:
        kept += text
        if not world.conduct.stream_buffered:
            await response.write(kept.encode())
            kept = ""
    await response.write(kept.encode())
    await clock.pause(world.readings.sse_close_delay)
    await response.write_eof()


async def _frames(world: World, call: Call, job: Job) -> AsyncIterator[str]:
    yield _preamble(world)
    if job.ended and world.readings.sse_after_end == "empty_stream":
        return
    if not job.history:
        job.history.append(raw_document(world, job))
    position = _start(world, call, job)
    while position < len(job.history) or not job.ended:
        changed = job.changed
        while position < len(job.history):
            text = _event(world, call, job, position)
            if text is None:
                return
            yield text
            position += 1
        if not job.ended and not await clock.happens(changed, world.readings.sse_keep_alive):
            yield ": keep-alive\n\n"


def _preamble(world: World) -> str:
    comment = ": connected\n\n" if world.readings.sse_first_comment else ""
    retry = world.readings.sse_retry_milliseconds
    return comment + (f"retry: {retry}\n\n" if retry else "")


def _event(world: World, call: Call, job: Job, position: int) -> str | None:
    raw = job.history[position]
    text: str | None = world.conduct.through("frame", _frame(world, job, raw, position), raw)
    if text is not None and world.conduct.event_cost and call.window:
        call.window.take(clock.monotonic(), world.conduct.event_cost)
    return text


def _start(world: World, call: Call, job: Job) -> int:
    """The place in the history of the first event to send."""
    last_id = call.request.headers.get("Last-Event-ID", "")
    if last_id.isdigit() and world.readings.sse_resume == "replay":
        return int(last_id) + 1
    return len(job.history) - 1 if world.readings.sse_snapshot or job.ended else len(job.history)


def _frame(world: World, job: Job, raw: Doc, position: int) -> str:
    readings = world.readings
    body = event_body(world, job, raw) if readings.sse_payload == "webhook" else world.document(job, raw)
    if raw["status"] in ENDED and readings.sse_end_timestamp == "now" and "timestamp" in body:
        body["timestamp"] = instant(readings, world.now())
    body = presented(world, world.conduct.through("event", body, job))
    names = {"none": "", "status": f"event: {raw['status']}\n", "progress": "event: progress\n"}
    number = f"id: {position}\n" if readings.sse_ids else ""
    data = json.dumps(body, indent=1 if readings.sse_lines == "several" else None)
    lines = "".join(f"data: {line}\n" for line in data.splitlines())
    return f"{number}{names[readings.sse_event_names]}{lines}\n"
