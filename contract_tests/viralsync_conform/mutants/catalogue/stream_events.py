"""Mutants whose streams tell the wrong thing: what the events say, their ids, and resumption."""

from __future__ import annotations

from viralsync_conform.mutants.catalogue.job_lifecycle import falls
from viralsync_conform.mutants.engine.asgi import Answer
from viralsync_conform.mutants.engine.exchange import MutantCall
from viralsync_conform.mutants.engine.layers import (
    Document,
    Seen,
    after,
    edit_request,
)
from viralsync_conform.mutants.engine.stream_layers import (
    STREAM,
    Event,
    Events,
    edit_data,
    edit_each,
    rewrite_events,
    without,
)
from viralsync_conform.mutants.mutant import Section

stream = Section("streams")


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


@stream("stream-ids-falling", "The ids of events fall.", edit_each)
def numbered(event: Event, _seen: Seen) -> None:
    event.id = str(1000 - int(event.id or 0))


@stream("stream-not-json", "The data of an event is no JSON.", edit_each)
def cut(event: Event, _seen: Seen) -> None:
    event.document = str(event.document).encode()


@stream("stream-status-only", "The data of an event is its status alone.", edit_each)
def as_text(event: Event, _seen: Seen) -> None:
    event.document = event.document["status"]


@stream("stream-timestamps-still", "All events have the same timestamp.", edit_data)
def frozen_time(document: Document, seen: Seen) -> None:
    document["timestamp"] = seen.setdefault("timestamp", document["timestamp"])


@stream("stream-timestamps-back", "The timestamps of events go back.", edit_data)
def backwards(document: Document, seen: Seen) -> None:
    seen["events"] = seen.get("events", 0) + 1
    document["timestamp"] = f"{2026 - seen['events']}{document['timestamp'][4:]}"


@stream("stream-of-a-child", "The stream tells of the first scene.", after, STREAM, status=200)
async def of_a_child(call: MutantCall, _answer: Answer) -> Answer | None:
    job_id = call.request.job_id or ""
    return await call.ask("GET", f"/v1/jobs/scene_{job_id}_001/progress") if job_id.startswith("job_") else None


@stream("stream-as-json", "The stream is one JSON document.", after, STREAM, status=200)
async def one_document(call: MutantCall, _answer: Answer) -> Answer | None:
    return await call.ask("GET", f"/v1/jobs/{call.request.job_id}")


stream.add("stream-progress-falls", "Progress falls within a stream.", edit_data(falls))
stream.add(
    "stream-ends-as-failed",
    "The stream of a done job ends with `failed`.",
    edit_data(
        lambda d, _: (d.pop("mediaData"), d.update(status="failed", outputUrl=None, error="UPLOAD_FAILED: no")),
        only="done",
    ),
)
stream.add(
    "stream-always-running",
    "Events call a queued or waiting job running.",
    edit_data(lambda d, _: d.update(status="running") if "phase" in d else None),
)
stream.add("stream-ids-same", "All events have the same id.", edit_each(lambda event, _: setattr(event, "id", "1")))
stream.add("stream-ids-missing", "Events have no id.", edit_each(lambda event, _: setattr(event, "id", None)))
stream.add(
    "stream-resume-from-start",
    "A resumed stream begins at the start.",
    edit_request(lambda r: r.with_headers(last_event_id="0") if r.header("last-event-id") else r, STREAM),
)
stream.add(
    "stream-without-keep-alive", "A silent stream is not kept alive.", without(lambda event, _: event.document is None)
)
MUTANTS = stream.mutants
