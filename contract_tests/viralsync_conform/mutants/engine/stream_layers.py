"""What mutants of streams are made of: events that are changed, left out, repeated or held back."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any

import orjson

from viralsync_conform.calls import TERMINAL
from viralsync_conform.mutants.engine.asgi import Answer
from viralsync_conform.mutants.engine.exchange import Layer, MutantCall
from viralsync_conform.mutants.engine.layers import Document, Seen, both, edit_jobs, seen

STREAM = "streamJobProgress"


@dataclass(eq=False)
class Event:
    """One event of a stream; for a comment `document` is None and `comment` holds it."""

    document: Any
    id: str | None = None
    name: str | None = None
    comment: bytes = b""

    @classmethod
    def read(cls, chunk: bytes) -> Event:
        """Read what the mock has written: one event, or one comment."""
        lines = dict(line.split(b": ", 1) for line in chunk.splitlines() if b": " in line and line[:1] != b":")
        if b"data" not in lines:
            return cls(None, comment=chunk)
        name = lines.get(b"event")
        return cls(orjson.loads(lines[b"data"]), lines[b"id"].decode(), None if name is None else name.decode())

    @property
    def is_terminal(self) -> bool:
        return isinstance(self.document, dict) and self.document.get("status") in TERMINAL

    def written(self) -> bytes:
        if self.document is None:
            return self.comment
        name = b"" if self.name is None else b"event: %s\n" % self.name.encode()
        number = b"" if self.id is None else b"id: %s\n" % self.id.encode()
        data = self.document if isinstance(self.document, bytes) else orjson.dumps(self.document)
        return b"%s%sdata: %s\n\n" % (name, number, data)


Events = AsyncGenerator[Event]
Rewrite = Callable[[MutantCall, Events], Events]


def rewrite_events(rewrite: Rewrite) -> Layer:
    """Send other events than the mock does."""

    async def layer(call: MutantCall) -> Answer:
        answer = await call.proceed()
        if call.request.operation == STREAM and answer.events is not None:
            answer.events = _chunks(rewrite(call, _events(answer.events)))
        return answer

    return layer


async def _events(chunks: AsyncGenerator[bytes]) -> Events:
    async for chunk in chunks:
        yield Event.read(chunk)


async def _chunks(events: Events) -> AsyncGenerator[bytes]:
    async for event in events:
        yield event.written()


def edit_each(edit: Callable[[Event, Seen], object], *, only: str | None = None) -> Layer:
    """Change each event in place, or those of one status; what is remembered of a job stays with its id."""

    async def rewrite(call: MutantCall, events: Events) -> Events:
        async for event in events:
            if event.document is not None and only in (None, event.document.get("status")):
                edit(event, seen(call, call.request.job_id))
            yield event

    return rewrite_events(rewrite)


def edit_data(edit: Callable[[Document, Seen], object], *, only: str | None = None) -> Layer:
    """Change the data of each event in place, or of those of one status."""
    return edit_each(lambda event, of_job: edit(event.document, of_job), only=only)


async def numbered(events: Events) -> AsyncGenerator[tuple[Event, int]]:
    """Yield each event with its number, from 0; comments have -1."""
    number = 0
    async for event in events:
        is_comment = event.document is None
        yield event, -1 if is_comment else number
        number += not is_comment


def without(drop: Callable[[Event, int], bool]) -> Layer:
    """Leave events out; they are numbered from 0, comments have -1."""

    async def rewrite(_call: MutantCall, events: Events) -> Events:
        async for event, number in numbered(events):
            if not drop(event, number):
                yield event

    return rewrite_events(rewrite)


def each_as(several: Callable[[Event, int], list[Event]]) -> Layer:
    """Send none, one or several events for each; they are numbered from 0."""

    async def rewrite(_call: MutantCall, events: Events) -> Events:
        async for event, number in numbered(events):
            for each in several(event, number) if number >= 0 else [event]:
                yield each

    return rewrite_events(rewrite)


def until(last: int) -> Layer:
    """Close after the event of this number."""

    async def rewrite(_call: MutantCall, events: Events) -> Events:
        async for event, number in numbered(events):
            yield event
            if number == last:
                return

    return rewrite_events(rewrite)


def everywhere(edit: Callable[[Document, Seen], object]) -> Layer:
    """Change a job in responses and in events, in the same way."""
    return both(edit_jobs(edit), edit_data(edit))
