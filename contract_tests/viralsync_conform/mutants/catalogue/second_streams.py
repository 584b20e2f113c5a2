"""A second set of servers, written without a look at the checks: streams that are framed or told wrongly."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any

import orjson

from viralsync_conform.mutants.engine.asgi import Answer, ask, made_request
from viralsync_conform.mutants.engine.exchange import Layer, MutantCall
from viralsync_conform.mutants.engine.layers import edit_response, header, refused, response_mutant
from viralsync_conform.mutants.engine.stream_layers import (
    STREAM,
    Event,
    Events,
    edit_data,
    edit_each,
    rewrite_events,
    without,
)

THEME = "streamJobProgress"
ENDS = (b'"status":"done"', b'"status":"failed"', b'"status":"cancelled"')


def _edit_chunks(edit: Callable[[bytes], bytes]) -> Layer:
    """Change what a stream sends, byte by byte."""

    async def changed(chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        async for chunk in chunks:
            yield edit(chunk)

    async def layer(visit: MutantCall) -> Answer:
        answer = await visit.proceed()
        if answer.events is not None:
            answer.events = changed(answer.events)
        return answer

    return layer


def _open_end(chunk: bytes) -> bytes:
    return chunk[:-1] if any(mark in chunk for mark in ENDS) else chunk


def _pretty(chunk: bytes) -> bytes:
    event = Event.read(chunk)
    if event.document is None:
        return chunk
    event.document = orjson.dumps(event.document, option=orjson.OPT_INDENT_2)
    return event.written()


def _capital(chunk: bytes) -> bytes:
    return chunk.replace(b"\ndata: ", b"\nData: ", 1)


def _quiet_data(chunk: bytes) -> bytes:
    return b"data: {}\n\n" if chunk.startswith(b":") else chunk


def _no_separator(chunk: bytes) -> bytes:
    return chunk.replace(b"\ndata: ", b"\ndata ", 1)


def _snapshot(visit: MutantCall, events: Events) -> Events:
    return _old_snapshot(events) if visit.request.header("last-event-id") is None else events


async def _old_snapshot(events: Events) -> Events:
    is_first = True
    async for event in events:
        if is_first and event.document is not None and not event.is_terminal:
            event.document |= {"status": "queued", "phase": None, "progress": 0}
        is_first = False
        yield event


async def _paid(visit: MutantCall, events: Events) -> Events:
    number = 0
    async for event in events:
        number += 1
        if number > 1:
            me = made_request("GET", "/v1/me", {"x-api-key": visit.request.key})
            app: Any = visit.world.app
            await ask(app, me, visit.opened)
        yield event


async def _free(visit: MutantCall) -> Answer:
    is_stream = visit.request.operation == STREAM and visit.request.method == "GET"
    return await (visit.again(visit.request) if is_stream else visit.proceed())


async def _terminal_refused(visit: MutantCall) -> Answer:
    if visit.request.operation == STREAM:
        job = (await visit.ask("GET", f"/v1/jobs/{visit.request.job_id}")).document
        if isinstance(job, dict) and job.get("status") in {"done", "failed", "cancelled"}:
            return visit.refusal("INVALID_STATE_TRANSITION", action="stream", **job)
    return await visit.proceed()


async def _child_unknown(visit: MutantCall) -> Answer:
    job_id = visit.request.job_id or ""
    if visit.request.operation == STREAM and job_id.startswith(("scene_", "assemble_")):
        return await refused("JOB_NOT_FOUND", jobId=job_id)(visit)
    return await visit.proceed()


def _twice_encoded(event: Event, _: object) -> None:
    event.document = orjson.dumps(orjson.dumps(event.document).decode())


def _code_only(document: dict[str, Any], _: object) -> None:
    document["error"] = document["error"].partition(":")[0]


def _later(document: dict[str, Any], _: object) -> None:
    document["timestamp"] = document["timestamp"].replace("Z", "+00:00")


SECOND_STREAMS = tuple(
    response_mutant(THEME, name, statement, layer)
    for name, statement, layer in (
        ("last-event-unfinished", "No blank line follows the terminal event.", _edit_chunks(_open_end)),
        (
            "data-lines-without-name",
            "Data goes over several lines, of which only the first is named.",
            _edit_chunks(_pretty),
        ),
        ("data-field-capital", "The field of an event is called Data.", _edit_chunks(_capital)),
        ("data-without-colon", "No colon follows the name of the field data.", _edit_chunks(_no_separator)),
        (
            "keep-alive-is-data",
            "A stream is kept alive by events that hold an empty object.",
            _edit_chunks(_quiet_data),
        ),
        (
            "stream-in-latin1",
            "A stream says that it is written in ISO-8859-1.",
            edit_response(header("content-type", "text/event-stream; charset=iso-8859-1"), STREAM),
        ),
        (
            "stream-cached-a-minute",
            "A stream may be cached for a minute.",
            edit_response(header("cache-control", "public, max-age=60"), STREAM),
        ),
        ("event-ids-all-one", "All events have the same id.", edit_each(lambda event, _: setattr(event, "id", "1"))),
        (
            "stream-snapshot-queued",
            "The first event of a stream shows the job in the queue.",
            rewrite_events(_snapshot),
        ),
        (
            "stream-cancel-unsaid",
            "The stream of a job that is cancelled ends without an event of it.",
            without(lambda event, _: event.document is not None and event.document.get("status") == "cancelled"),
        ),
        (
            "stream-failure-unsaid",
            "The stream of a job that fails ends without an event of it.",
            without(lambda event, _: event.document is not None and event.document.get("status") == "failed"),
        ),
        (
            "stream-hides-uploading",
            "A stream tells nothing of the phase uploading.",
            without(lambda event, _: event.document is not None and event.document.get("phase") == "uploading"),
        ),
        ("stream-of-terminal-refused", "The progress of a terminal job cannot be streamed.", _terminal_refused),
        ("stream-of-child-unknown", "The progress of a child cannot be streamed.", _child_unknown),
        (
            "stream-events-cost",
            "Each event of a stream but the first costs a unit of the rate limit.",
            rewrite_events(_paid),
        ),
        ("stream-opens-free", "Opening a stream costs nothing.", _free),
        (
            "stream-data-encoded-twice",
            "The data of an event is a JSON text that holds JSON.",
            edit_each(_twice_encoded),
        ),
        (
            "stream-done-progress-short",
            "The event of a done job says progress 0.99.",
            edit_data(lambda document, _: document.update(progress=0.99), only="done"),
        ),
        (
            "stream-error-is-code",
            "The event of a failed job tells the code of its error only.",
            edit_data(_code_only, only="failed"),
        ),
        ("stream-offset-timestamps", "The timestamps of events end in +00:00.", edit_data(_later)),
        (
            "stream-done-without-url",
            "The event of a done job has no outputUrl.",
            edit_data(lambda document, _: document.update(outputUrl=None), only="done"),
        ),
    )
)
