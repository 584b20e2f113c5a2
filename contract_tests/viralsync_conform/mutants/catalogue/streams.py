"""Mutants whose streams begin, go on or end wrongly."""

from __future__ import annotations

from functools import partial

from viralsync_conform.mutants.engine.asgi import Answer
from viralsync_conform.mutants.engine.exchange import MutantCall
from viralsync_conform.mutants.engine.layers import (
    after,
    refused,
    response_mutant,
)
from viralsync_conform.mutants.engine.stream_layers import (
    STREAM,
    Event,
    Events,
    each_as,
    rewrite_events,
    until,
    without,
)
from viralsync_conform.mutants.mutant import Mutant

stream = partial(response_mutant, "streams")

OTHER = "job_00000000000f"
CONFLICT = 409


async def never_closes(visit: MutantCall, events: Events) -> Events:
    """Keep the stream open after its end."""
    async for event in events:
        yield event
    await visit.gone.wait()


async def hangs_when_over(visit: MutantCall, events: Events) -> Events:
    """Send nothing of a job that has ended, and do not close."""
    is_first = True
    async for event in events:
        if event.is_terminal and is_first:
            await visit.gone.wait()
            return
        is_first = False
        yield event


async def empty_when_over(_visit: MutantCall, events: Events) -> Events:
    """Close at once for a job that has ended."""
    number = 0
    async for event in events:
        if event.is_terminal and not number:
            return
        number += 1
        yield event


async def goes_on(_visit: MutantCall, events: Events) -> Events:
    """Send the event before the terminal one again after it."""
    before: Event | None = None
    async for event in events:
        yield event
        if event.is_terminal and before is not None:
            yield before
        before = event


async def out_of_order(_visit: MutantCall, events: Events) -> Events:
    """Send each two events in the other order, but the terminal one last."""
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


async def late_by_one(_visit: MutantCall, events: Events) -> Events:
    """Send each event only when the next one is there."""
    held: Event | None = None
    async for event in events:
        if held is not None:
            yield held
        held = event
    if held is not None:
        yield held


async def terminal_too_early(_visit: MutantCall, events: Events) -> Events:
    """Tell of the end while the job uploads, and go on."""
    async for event in events:
        if event.document is not None and event.document.get("phase") == "uploading":
            event.document = {**event.document, "status": "cancelled"}
            del event.document["phase"]
        yield event


async def missing_when_over(visit: MutantCall) -> bool:
    """Say whether the job has ended."""
    job = (await visit.ask("GET", f"/v1/jobs/{visit.request.job_id}")).document
    return job.get("status") in {"done", "failed", "cancelled"}


async def gone_when_over(visit: MutantCall, _answer: Answer) -> Answer | None:
    """Refuse the stream of a job that has ended."""
    return visit.refusal("JOB_NOT_FOUND", jobId=visit.request.job_id) if await missing_when_over(visit) else None


async def conflict_when_over(visit: MutantCall, _answer: Answer) -> Answer | None:
    """Call the stream of a job that has ended a conflict."""
    conflict = refused("INVALID_STATE_TRANSITION", action="stream", jobId=visit.request.job_id, status="done")
    return await conflict(visit) if await missing_when_over(visit) else None


STREAMS: tuple[Mutant, ...] = (
    stream(
        "stream-without-terminal",
        "The stream closes without telling of the end.",
        without(lambda event, _: event.is_terminal),
    ),
    stream(
        "stream-without-snapshot",
        "The stream begins with the first change.",
        without(lambda event, number: number == 0 and not event.is_terminal),
    ),
    stream(
        "stream-with-gap",
        "The third event is left out.",
        without(lambda event, number: number == 2 and not event.is_terminal),
    ),
    stream(
        "stream-every-second",
        "Every second event is left out.",
        without(lambda event, number: number % 2 == 1 and not event.is_terminal),
    ),
    stream(
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
    ),
    stream("stream-duplicates", "Each event is sent twice.", each_as(lambda event, _: [event, event])),
    stream(
        "stream-terminal-twice",
        "The terminal event is sent twice.",
        each_as(lambda event, _: [event, event] if event.is_terminal else [event]),
    ),
    stream("stream-out-of-order", "Each two events change places.", rewrite_events(out_of_order)),
    stream("stream-late", "Each event is sent when the next one comes.", rewrite_events(late_by_one)),
    stream("stream-closes-early", "The stream closes after its third event.", until(lambda _, number: number == 2)),
    stream("stream-snapshot-only", "The stream closes after its first event.", until(lambda _, number: number == 0)),
    stream("stream-never-closes", "The stream stays open after the terminal event.", rewrite_events(never_closes)),
    stream("stream-goes-on", "The terminal event is not the last.", rewrite_events(goes_on)),
    stream(
        "stream-terminal-too-early",
        "A terminal event comes while the job still runs.",
        rewrite_events(terminal_too_early),
    ),
    stream("stream-hangs-when-over", "The stream of a job that has ended is silent.", rewrite_events(hangs_when_over)),
    stream("stream-empty-when-over", "The stream of a job that has ended is empty.", rewrite_events(empty_when_over)),
    stream(
        "stream-404-when-over",
        "The stream of a job that has ended is not found.",
        after(STREAM, gone_when_over, status=200),
    ),
    stream(
        "stream-409-when-over",
        "The stream of a job that has ended is a conflict.",
        after(STREAM, conflict_when_over, status=200),
    ),
)
