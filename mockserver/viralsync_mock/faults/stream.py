"""Faults of progress streams: each turns the chunks of a stream into others, and leaves other responses alone."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from viralsync_mock.jobs import sse
from viralsync_mock.jobs.models import TERMINAL
from viralsync_mock.response import Abort

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from viralsync_mock.faults.http import CallNext, FaultContext
    from viralsync_mock.response import Response, StreamClient


class Stream(NamedTuple):
    """A stream as a fault gets it: its chunks, its reader, and the context of the call."""

    context: FaultContext
    chunks: AsyncGenerator[bytes]
    reader: StreamClient


@dataclass(frozen=True)
class StreamFault:
    """Base of the kinds: `transform` replaces the stream."""

    async def apply(self, context: FaultContext, proceed: CallNext, /) -> Response:
        response = await proceed()
        if response.stream is not None:
            response.stream, response.is_scripted = partial(self._open, context, response.stream), True
        return response

    async def _open(
        self, context: FaultContext, events: Callable[[StreamClient], AsyncGenerator[bytes]], reader: StreamClient
    ) -> AsyncGenerator[bytes]:
        async with (
            aclosing(events(reader)) as chunks,
            aclosing(self.transform(Stream(context, chunks, reader))) as transformed,
        ):
            async for chunk in transformed:
                yield chunk

    def transform(self, stream: Stream) -> AsyncGenerator[bytes]:
        """Yield the chunks to send instead."""
        raise NotImplementedError


@dataclass(frozen=True)
class DropAfterEvents(StreamFault):
    """The connection is closed after `events` events, without the end of an HTTP response."""

    events: int

    async def transform(self, stream: Stream) -> AsyncGenerator[bytes]:
        left = self.events
        while left:
            chunk = await anext(stream.chunks, None)
            if chunk is None:
                return
            yield chunk
            left -= is_event(chunk)
        stream.reader.breaks = Abort("drop_after_events")


@dataclass(frozen=True)
class CutInsideEvent(StreamFault):
    """The connection is closed in the middle of event `number`, counted from 1, inside a UTF-8 character."""

    number: int = 1

    async def transform(self, stream: Stream) -> AsyncGenerator[bytes]:
        left = self.number
        async for chunk in stream.chunks:
            left -= is_event(chunk)
            if not left:
                # the API's events are ASCII: a new field brings the character, and is never complete
                yield chunk[: chunk.index(b"{") + 1] + '"note": "é'.encode()[:-1]
                stream.reader.breaks = Abort("cut_inside_event")
                return
            yield chunk


@dataclass(frozen=True)
class Silence(StreamFault):
    """After `events` events nothing more comes, not even keep-alives; the connection stays open."""

    events: int = 1

    async def transform(self, stream: Stream) -> AsyncGenerator[bytes]:
        sent = 0
        async for chunk in stream.chunks:
            if sent < self.events:
                yield chunk
                sent += is_event(chunk)
        async for chunk in stream.context.keep_open(stream.reader, keep_alive=False):
            yield chunk


@dataclass(frozen=True)
class NoKeepAlive(StreamFault):
    """No keep-alives are sent."""

    async def transform(self, stream: Stream) -> AsyncGenerator[bytes]:
        async for chunk in stream.chunks:
            if is_event(chunk):
                yield chunk


@dataclass(frozen=True)
class DuplicateEvents(StreamFault):
    """Every event is sent again `copies` times."""

    copies: int = 1

    async def transform(self, stream: Stream) -> AsyncGenerator[bytes]:
        async for chunk in stream.chunks:
            for _ in range(1 + self.copies * is_event(chunk)):
                yield chunk


@dataclass(frozen=True)
class ReorderEvents(StreamFault):
    """The events of each pair are swapped; a single one at the end stays in place."""

    async def transform(self, stream: Stream) -> AsyncGenerator[bytes]:
        held: bytes | None = None
        async for chunk in stream.chunks:
            if not is_event(chunk):
                yield chunk
            elif held is None:
                held = chunk
            else:
                yield chunk
                yield held
                held = None
        if held is not None:
            yield held


@dataclass(frozen=True)
class NeverEnd(StreamFault):
    """After the terminal event the stream stays open, with keep-alives."""

    async def transform(self, stream: Stream) -> AsyncGenerator[bytes]:
        async for chunk in stream.chunks:
            yield chunk
        async for chunk in stream.context.keep_open(stream.reader, keep_alive=True):
            yield chunk


@dataclass(frozen=True)
class EndWithoutTerminal(StreamFault):
    """The stream ends normally, but without the terminal event."""

    async def transform(self, stream: Stream) -> AsyncGenerator[bytes]:
        async for chunk in stream.chunks:
            if not (is_event(chunk) and sse.document(chunk)["status"] in TERMINAL):
                yield chunk


@dataclass(frozen=True)
class ProgressGoesBack(StreamFault):
    """Every second event halves the progress; the terminal event is right."""

    async def transform(self, stream: Stream) -> AsyncGenerator[bytes]:
        sent = 0
        async for chunk in stream.chunks:
            sent += is_event(chunk)
            yield _halved(chunk) if is_event(chunk) and sent % 2 == 0 else chunk


def is_event(chunk: bytes) -> bool:
    """Say whether a chunk of a stream is an event, not a keep-alive."""
    return chunk is not sse.KEEP_ALIVE


def _halved(event: bytes) -> bytes:
    document = sse.document(event)
    if document["status"] in TERMINAL:
        return event
    return sse.with_document(event, {**document, "progress": document["progress"] / 2})
