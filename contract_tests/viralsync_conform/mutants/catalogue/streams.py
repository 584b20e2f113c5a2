"""Mutants of streams: how they begin, go on and end, what their events say, their ids, and resumption."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any

import orjson

from viralsync_conform.calls import TERMINAL
from viralsync_conform.mutants.catalogue.job_lifecycle import falls
from viralsync_conform.mutants.catalogue.rate_limit import streams_are_free
from viralsync_conform.mutants.engine.asgi import Answer, ask, made_request
from viralsync_conform.mutants.engine.exchange import Layer, MutantCall
from viralsync_conform.mutants.engine.layers import Document, Seen, after, edit_request, refused
from viralsync_conform.mutants.engine.stream_layers import (
    STREAM,
    Event,
    Events,
    each_as,
    edit_data,
    edit_each,
    numbered,
    rewrite_events,
    until,
    without,
)
from viralsync_conform.mutants.mutant import Section

stream = Section("streams")


@stream("stream-never-closes", "The stream stays open after the terminal event.", rewrite_events)
async def never_closes(call: MutantCall, events: Events) -> Events:
    async for event in events:
        yield event
    await call.gone.wait()


@stream("stream-hangs-when-over", "The stream of a job that has ended is silent.", rewrite_events)
async def hangs_when_over(call: MutantCall, events: Events) -> Events:
    async for event, number in numbered(events):
        if event.is_terminal and number == 0:
            await call.gone.wait()
            return
        yield event


@stream("stream-goes-on", "The terminal event is not the last.", rewrite_events)
async def goes_on(_call: MutantCall, events: Events) -> Events:
    before: Event | None = None
    async for event in events:
        yield event
        if event.is_terminal and before is not None:
            yield before
        before = event


@stream("stream-out-of-order", "Each two events change places.", rewrite_events)
async def out_of_order(_call: MutantCall, events: Events) -> Events:
    held: Event | None = None
    async for event in events:
        if held is None and not event.is_terminal and event.document is not None:
            held = event
            continue
        yield event
        if held is not None and event.document is not None:
            if not event.is_terminal:
                yield held
            held = None


@stream("stream-late", "Each event is sent when the next one comes.", rewrite_events)
async def late_by_one(_call: MutantCall, events: Events) -> Events:
    held: Event | None = None
    async for event in events:
        if held is not None:
            yield held
        held = event
    if held is not None:
        yield held


async def missing_when_over(call: MutantCall) -> bool:
    job = (await call.ask("GET", f"/v1/jobs/{call.request.job_id}")).document
    return job.get("status") in TERMINAL


@stream("stream-404-when-over", "The stream of a job that has ended is not found.", after, STREAM, status=200)
async def gone_when_over(call: MutantCall, _answer: Answer) -> Answer | None:
    return call.refusal("JOB_NOT_FOUND", jobId=call.request.job_id) if await missing_when_over(call) else None


@stream("stream-409-when-over", "The stream of a job that has ended is a conflict.", after, STREAM, status=200)
async def conflict_when_over(call: MutantCall, _answer: Answer) -> Answer | None:
    conflict = refused("INVALID_STATE_TRANSITION", action="stream", jobId=call.request.job_id, status="done")
    return await conflict(call) if await missing_when_over(call) else None


ENDS = (b'"status":"done"', b'"status":"failed"', b'"status":"cancelled"')


def edit_chunks(edit: Callable[[bytes], bytes]) -> Layer:
    """Change what a stream sends, byte by byte."""

    async def changed(chunks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        async for chunk in chunks:
            yield edit(chunk)

    async def layer(call: MutantCall) -> Answer:
        answer = await call.proceed()
        if answer.events is not None:
            answer.events = changed(answer.events)
        return answer

    return layer


@stream.blind("data-lines-without-name", "Data goes over several lines, of which only the first is named.", edit_chunks)
def pretty(chunk: bytes) -> bytes:
    event = Event.read(chunk)
    if event.document is None:
        return chunk
    event.document = orjson.dumps(event.document, option=orjson.OPT_INDENT_2)
    return event.written()


@stream.blind("stream-snapshot-queued", "The first event of a stream shows the job in the queue.", rewrite_events)
def snapshot(call: MutantCall, events: Events) -> Events:
    return old_snapshot(events) if call.request.header("last-event-id") is None else events


async def old_snapshot(events: Events) -> Events:
    async for event, number in numbered(events):
        if number == 0 and not event.is_terminal:
            event.document |= {"status": "queued", "phase": None, "progress": 0}
        yield event


@stream.blind(
    "stream-events-cost", "Each event of a stream but the first costs a unit of the rate limit.", rewrite_events
)
async def paid(call: MutantCall, events: Events) -> Events:
    async for event, number in numbered(events):
        if number > 0:
            me = made_request("GET", "/v1/me", {"x-api-key": call.request.key})
            app: Any = call.world.app
            await ask(app, me, call.opened)
        yield event


@stream.blind("stream-of-child-unknown", "The progress of a child cannot be streamed.")
async def child_unknown(call: MutantCall) -> Answer:
    job_id = call.request.job_id or ""
    if call.request.operation == STREAM and job_id.startswith(("scene_", "assemble_")):
        return await refused("JOB_NOT_FOUND", jobId=job_id)(call)
    return await call.proceed()


stream.add("stream-without-snapshot", "The stream begins with the first change.",
    without(lambda event, number: number == 0 and not event.is_terminal))  # fmt: skip
stream.add("stream-with-gap", "The third event is left out.",
    without(lambda event, number: number == 2 and not event.is_terminal))  # fmt: skip
stream.add("stream-every-second", "Every second event is left out.",
    without(lambda event, number: number % 2 == 1 and not event.is_terminal))  # fmt: skip
stream.add(
    "stream-statuses-only",
    "Only changes of status are told.",
    without(
        lambda event, number: (
            number > 0
            and event.document is not None
            and event.document.get("phase") == "rendering"
            and event.document["progress"] > 0
        )
    ),
)
stream.add("stream-duplicates", "Each event is sent twice.", each_as(lambda event, _: [event, event]))
stream.add("stream-terminal-twice", "The terminal event is sent twice.",
    each_as(lambda event, _: [event, event] if event.is_terminal else [event]))  # fmt: skip
stream.add("stream-closes-early", "The stream closes after its third event.", until(2))
stream.add("stream-snapshot-only", "The stream closes after its first event.", until(0))
stream.blind.add(
    "event-ids-all-one", "All events have the same id.", edit_each(lambda event, _: setattr(event, "id", "1"))
)


@stream("stream-replays-all", "Each stream sends again what was sent before.", rewrite_events)
async def whole_story(call: MutantCall, events: Events) -> Events:
    reported = call.memory.setdefault(("told", call.request.job_id), [])
    for event in tuple(reported):
        yield event
    async for event in events:
        if event.document is not None:
            reported.append(event)
        yield event


@stream("stream-resume-skips", "A resumed stream leaves out its first event.", rewrite_events)
async def skips_on_resume(call: MutantCall, events: Events) -> Events:
    is_first = call.request.header("last-event-id") is not None
    async for event in events:
        if not (is_first and event.document is not None and not event.is_terminal):
            yield event
        is_first = is_first and event.document is None


@stream("stream-resume-repeats", "A resumed stream sends its events twice.", rewrite_events)
async def repeats_on_resume(call: MutantCall, events: Events) -> Events:
    async for event in events:
        yield event
        if call.request.header("last-event-id") is not None and not event.is_terminal:
            yield event


@stream("stream-timestamps-back", "The timestamps of events go back.", edit_data)
def backwards(document: Document, seen: Seen) -> None:
    seen["events"] = seen.get("events", 0) + 1
    document["timestamp"] = f"{2026 - seen['events']}{document['timestamp'][4:]}"


@stream("stream-of-a-child", "The stream tells of the first scene.", after, STREAM, status=200)
async def of_a_child(call: MutantCall, _answer: Answer) -> Answer | None:
    job_id = call.request.job_id or ""
    return await call.ask("GET", f"/v1/jobs/scene_{job_id}_001/progress") if job_id.startswith("job_") else None


stream.add("stream-progress-falls", "Progress falls within a stream.", edit_data(falls))
stream.add(
    "stream-ends-as-failed",
    "The stream of a done job ends with `failed`.",
    edit_data(
        lambda d, _: (d.pop("mediaData"), d.update(status="failed", outputUrl=None, error="UPLOAD_FAILED: no")),
        only="done",
    ),
)
stream.add("stream-ids-same", "All events have the same id.", edit_each(lambda event, _: setattr(event, "id", "1")))
stream.add("stream-ids-missing", "Events have no id.", edit_each(lambda event, _: setattr(event, "id", None)))
stream.add("stream-resume-from-start", "A resumed stream begins at the start.",
    edit_request(lambda r: r.with_headers(last_event_id="0") if r.header("last-event-id") else r, STREAM))  # fmt: skip
stream.add(
    "stream-without-keep-alive", "A silent stream is not kept alive.", without(lambda event, _: event.document is None)
)
stream.blind.add("stream-opens-free", "Opening a stream costs nothing.", streams_are_free)
stream.blind.add("stream-of-terminal-refused", "The progress of a terminal job cannot be streamed.",
    after(conflict_when_over, STREAM, status=200))  # fmt: skip
stream.blind.add("last-event-unfinished", "No blank line follows the terminal event.",
    edit_chunks(lambda chunk: chunk[:-1] if any(mark in chunk for mark in ENDS) else chunk))  # fmt: skip
stream.blind.add("data-field-capital", "The field of an event is called Data.",
    edit_chunks(lambda chunk: chunk.replace(b"\ndata: ", b"\nData: ", 1)))  # fmt: skip
stream.blind.add("keep-alive-is-data", "A stream is kept alive by events that hold an empty object.",
    edit_chunks(lambda chunk: b"data: {}\n\n" if chunk.startswith(b":") else chunk))  # fmt: skip
stream.blind.add("data-without-colon", "No colon follows the name of the field data.",
    edit_chunks(lambda chunk: chunk.replace(b"\ndata: ", b"\ndata ", 1)))  # fmt: skip
stream.blind.add("stream-data-encoded-twice", "The data of an event is a JSON text that holds JSON.",
    edit_each(lambda event, _: setattr(event, "document", orjson.dumps(event.document).decode())))  # fmt: skip
stream.add("stream-ids-falling", "The ids of events fall.",
    edit_each(lambda event, _: setattr(event, "id", str(1000 - int(event.id or 0)))))  # fmt: skip
stream.add("stream-not-json", "The data of an event is no JSON.",
    edit_each(lambda event, _: setattr(event, "document", str(event.document).encode())))  # fmt: skip
stream.add("stream-status-only", "The data of an event is its status alone.",
    edit_each(lambda event, _: setattr(event, "document", event.document["status"])))  # fmt: skip
stream.add("stream-timestamps-still", "All events have the same timestamp.",
    edit_data(lambda d, seen: d.update(timestamp=seen.setdefault("timestamp", d["timestamp"]))))  # fmt: skip
stream.add("stream-as-json", "The stream is one JSON document.",
    after(lambda call, _: call.ask("GET", f"/v1/jobs/{call.request.job_id}"), STREAM, status=200))  # fmt: skip
stream.add("stream-empty-when-over", "The stream of a job that has ended is empty.",
    without(lambda event, number: number == 0 and event.is_terminal))  # fmt: skip
MUTANTS = stream.mutants
