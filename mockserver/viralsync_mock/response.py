"""What goes back to the client: a response with a body, or with events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

JSON = b"application/json"
EVENT_STREAM = "text/event-stream"

SLICE = 64 * 1024
"""A body that shows more of payloads than this is written in slices, each when the client has read the one before."""

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Abort:
    """Where a fault breaks a response off: after a share of its body, or, when None, before its head.

    Then the connection is closed, or reset (a TCP RST). `name` is what the journal calls it.
    """

    name: str
    share: float | None = None
    is_reset: bool = False


@dataclass(slots=True)
class Response:
    """One response: a body, or a `stream` of chunks in its place, opened with the client at the other end.

    `is_scripted` marks what a scenario or a fault put in the API's place. A fault may spread the body over
    `body_duration` real seconds, and `abort` the response. `pieces` take the place of a large body: they are shared
    with what they show, so that many slow clients do not hold many copies.
    """

    status: int
    body: bytes = b""
    content_type: bytes | None = JSON
    headers: Headers = ()
    stream: Callable[[StreamClient], AsyncGenerator[bytes]] | None = None
    is_scripted: bool = False
    body_duration: float = 0.0
    abort: Abort | None = None
    pieces: Sequence[bytes] = ()

    @property
    def size(self) -> int:
        """The bytes of the whole body."""
        return sum(map(len, self.pieces)) if self.pieces else len(self.body)

    def join(self) -> Response:
        """Make one body of the pieces, for what looks at it or changes it."""
        if self.pieces:
            self.body, self.pieces = b"".join(self.pieces), ()
        return self

    def beginning(self, size: int) -> bytes:
        """Return the first bytes of the body."""
        if not self.pieces:
            return self.body if len(self.body) <= size else self.body[:size]
        start, missing = [], size
        for piece in self.pieces:
            if missing <= 0:
                break
            start.append(memoryview(piece)[:missing])
            missing -= len(start[-1])
        return b"".join(start)

    @property
    def is_plain(self) -> bool:
        """Whether the body goes out whole and at once."""
        return self.stream is None and self.abort is None and not (self.body_duration or self.pieces)


@dataclass(eq=False, slots=True)
class StreamClient:
    """The client at the other end of a stream; `on_disconnect` is called once when it goes.

    With `breaks` a fault says how the stream ends after its last chunk; without, it ends as HTTP has it.
    """

    is_disconnected: bool = False
    on_disconnect: Callable[[], None] = lambda: None
    breaks: Abort | None = None

    def disconnect(self) -> None:
        """Record that the client has gone."""
        self.is_disconnected = True
        self.on_disconnect()


def json_text(document: object) -> bytes:
    """Return a document as JSON without the room that orjson leaves behind a text: kilobytes, where it is kept."""
    return bytes(memoryview(orjson.dumps(document)))


def json_response(document: object, status: int = 200, headers: Headers = ()) -> Response:
    """Return a response whose body is this document as JSON."""
    return Response(status, json_text(document), JSON, headers)


def empty_response(status: int = 204) -> Response:
    """Return a response without a body."""
    return Response(status, content_type=None)
