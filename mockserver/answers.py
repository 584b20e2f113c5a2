"""What goes back to the client: an answer with a body, or one with events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

JSON = b"application/json"
EVENT_STREAM = b"text/event-stream"

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(slots=True)
class Answer:
    """One answer: a body, or `events`, which opens the stream of chunks that takes the body's place.

    `events` is called with the reader at the other end. `is_scripted` marks what a scenario put in the API's place.
    """

    status: int
    body: bytes = b""
    content_type: bytes | None = JSON
    headers: Headers = ()
    events: Callable[[Reader], AsyncGenerator[bytes]] | None = None
    is_scripted: bool = False


@dataclass(eq=False, slots=True)
class Reader:
    """The client at the other end of a stream; `on_leave` is called once when it goes."""

    has_left: bool = False
    on_leave: Callable[[], None] = lambda: None

    def leave(self) -> None:
        """Take note that the client has gone."""
        self.has_left = True
        self.on_leave()


def json_answer(document: object, status: int = 200, headers: Headers = ()) -> Answer:
    """Return an answer whose body is this document as JSON."""
    return Answer(status, orjson.dumps(document), JSON, headers)


def empty_answer(status: int = 204) -> Answer:
    """Return an answer without a body."""
    return Answer(status, content_type=None)
