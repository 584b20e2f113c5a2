"""Faults of progress streams: each takes the chunks of a stream and gives others. They leave other answers alone."""

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
    """What a fault twists: the chunks that would go out, who reads them, and the call's world."""

    world: FaultContext
    chunks: AsyncGenerator[bytes]
    reader: StreamClient


@dataclass(frozen=True)
class StreamFault:
    """What the kinds share: `twist` takes the place of the stream."""

    async def apply(self, world: FaultContext, proceed: CallNext, /) -> Response:
        """Put the twisted stream in the place of the stream."""
        answer = await proceed()
        if answer.stream is not None:
            answer.stream, answer.is_scripted = partial(self._open, world, answer.stream), True
        return answer

    async def _open(
        self, world: FaultContext, events: Callable[[StreamClient], AsyncGenerator[bytes]], reader: StreamClient
    ) -> AsyncGenerator[bytes]:
        async with (
            aclosing(events(reader)) as chunks,
            aclosing(self.transform(Stream(world, chunks, reader))) as twisted,
        ):
            async for chunk in twisted:
                yield chunk

    def transform(self, stream: Stream) -> AsyncGenerator[bytes]:
        """Give other chunks."""
        raise NotImplementedError


@dataclass(frozen=True)
class DropAfterEvents(StreamFault):
    """The connection is lost after so many events: closed without the end that HTTP has for a whole answer."""

    events: int

    async def transform(self, stream: Stream) -> AsyncGenerator[bytes]:
        """Give so many events, then break off."""
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
    """The connection is lost in the middle of the event of this number, from 1, inside a UTF-8 character."""

    number: int = 1

    async def transform(self, stream: Stream) -> AsyncGenerator[bytes]:
        """Give all before that event, and its first half."""
        left = self.number
        async for chunk in stream.chunks:
            left -= is_event(chunk)
            if not left:
                # the API's events are ASCII: a field that nobody knows brings the character, and is never complete
                yield chunk[: chunk.index(b"{") + 1] + '"note": "é'.encode()[:-1]
                stream.reader.breaks = Abort("cut_inside_event")
                return
            yield chunk


@dataclass(frozen=True)
class Silence(StreamFault):
    """After so many events nothing more comes, no keep-alive either; the connection stays open."""

    events: int = 1

    async def transform(self, stream: Stream) -> AsyncGenerator[bytes]:
        """Swallow what comes later."""
        told = 0
        async for chunk in stream.chunks:
            if told < self.events:
                yield chunk
                told += is_event(chunk)
        async for chunk in stream.world.keep_open(stream.reader, keep_alive=False):
            yield chunk


@dataclass(frozen=True)
class NoKeepAlive(StreamFault):
    """No comment keeps the connection alive while nothing happens."""

    async def transform(self, stream: Stream) -> AsyncGenerator[bytes]:
        """Leave the comments out."""
        async for chunk in stream.chunks:
            if is_event(chunk):
                yield chunk


@dataclass(frozen=True)
class DuplicateEvents(StreamFault):
    """Every event comes again, so many times."""

    copies: int = 1

    async def transform(self, stream: Stream) -> AsyncGenerator[bytes]:
        """Repeat each event."""
        async for chunk in stream.chunks:
            for _ in range(1 + self.copies * is_event(chunk)):
                yield chunk


@dataclass(frozen=True)
class ReorderEvents(StreamFault):
    """Each two events that follow each other change places; one that is left over at the end comes as it is."""

    async def transform(self, stream: Stream) -> AsyncGenerator[bytes]:
        """Hold one event back until the next has gone."""
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
        """Go on when there is no more to tell."""
        async for chunk in stream.chunks:
            yield chunk
        async for chunk in stream.world.keep_open(stream.reader, keep_alive=True):
            yield chunk


@dataclass(frozen=True)
class EndWithoutTerminal(StreamFault):
    """The stream ends as if all were well, but the terminal event is missing."""

    async def transform(self, stream: Stream) -> AsyncGenerator[bytes]:
        """Leave the terminal event out."""
        async for chunk in stream.chunks:
            if not (is_event(chunk) and sse.document(chunk)["status"] in TERMINAL):
                yield chunk


@dataclass(frozen=True)
class ProgressGoesBack(StreamFault):
    """Every second event tells of half the progress that was made; the terminal event tells the truth."""

    async def transform(self, stream: Stream) -> AsyncGenerator[bytes]:
        """Halve every second progress."""
        told = 0
        async for chunk in stream.chunks:
            told += is_event(chunk)
            yield _halved(chunk) if is_event(chunk) and told % 2 == 0 else chunk


def is_event(chunk: bytes) -> bool:
    """Say whether a chunk of a stream is an event, not a keep-alive."""
    return chunk is not sse.KEEP_ALIVE


def _halved(event: bytes) -> bytes:
    document = sse.document(event)
    if document["status"] in TERMINAL:
        return event
    return sse.with_document(event, {**document, "progress": document["progress"] / 2})
