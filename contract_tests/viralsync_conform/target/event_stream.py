"""Server-sent events as they come in, parsed as the WHATWG standard says, by a thread of their own."""

from __future__ import annotations

import codecs
import contextlib
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

import httpx2

from viralsync_conform.calls import TERMINAL, Event, Exchange, Headers
from viralsync_conform.target.wire import bounded

MAX_LINES = 100_000
"""Lines of a stream that are kept: each costs far more memory than it has bytes."""

FEW_MOMENTS = 0.5
"""Real seconds that something which was sent may take to be read on this machine."""


class Stream:
    """An answer that goes on. What has arrived so far is in `events`, `comments` and `text`."""

    def __init__(self, response: httpx2.Response, now: Callable[[], datetime]) -> None:
        self.status, self.headers = response.status_code, _headers(response)
        self.events: list[Event] = []
        self.comments: list[datetime] = []
        self.problem = ""
        self.call: Exchange | None = None
        """What was recorded of it, once it is left."""
        self._response, self._now = response, now
        self._lines: list[str] = []
        self._changed, self._ended = threading.Condition(), threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def text(self) -> str:
        """Every line that has arrived."""
        return "".join(f"{line}\n" for line in self._lines)

    @property
    def is_closed(self) -> bool:
        """Whether the server has ended the stream."""
        return self._ended.is_set()

    @property
    def is_terminal(self) -> bool:
        """Whether the last event has a terminal status."""
        return bool(self.events) and self.events[-1].document.get("status") in TERMINAL

    def wait_closed(self, seconds: float) -> bool:
        """Say whether the server ends the stream within this many real seconds."""
        return self._ended.wait(seconds)

    def wait_events(self, number: int, seconds: float) -> bool:
        """Say whether this many events have arrived, or the stream has ended, within this many real seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.events) >= number or self.is_closed, seconds)

    def wait_news(self, is_news: Callable[[Event], bool], seconds: float) -> bool:
        """Say whether news arrives within this many real seconds; events that are there already are none."""
        with self._changed:
            known = len(self.events)
            return self._changed.wait_for(lambda: any(map(is_news, self.events[known:])), seconds)

    def wait_comments(self, number: int, seconds: float) -> bool:
        """Say whether this many comments have arrived within this many real seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.comments) >= number or self.is_closed, seconds)

    def close(self) -> None:
        """Leave the stream; the thread that waits for more is woken by the end of its connection."""
        was_open = not self.is_closed
        connection = self._response.extensions.get("network_stream")
        with contextlib.suppress(OSError):
            if connection is not None and not self.is_closed:
                connection.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        self._thread.join(FEW_MOMENTS)
        self._response.close()
        if was_open:
            self.problem = ""  # it broke because we left

    def _read(self) -> None:
        try:
            for event in parsed(self._kept(lines_of(bounded(self._response.iter_bytes()))), self._now, self._comment):
                with self._changed:
                    self.events.append(event)
                    self._changed.notify_all()
        except (httpx2.HTTPError, httpx2.StreamError, OSError, RuntimeError) as problem:
            self.problem = f"{type(problem).__name__}: {problem}"
        finally:
            self._ended.set()
            with self._changed:
                self._changed.notify_all()

    def _kept(self, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            if len(self._lines) == MAX_LINES:
                raise OSError(f"the stream has more than {MAX_LINES:,} lines")
            self._lines.append(line)
            yield line

    def _comment(self) -> None:
        with self._changed:
            self.comments.append(self._now())
            self._changed.notify_all()


def lines_of(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield the lines of a stream as soon as they end: UTF-8, whatever is said of it, and only CR and LF end one."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
    begun, after_return = "", False
    for chunk in chunks:
        text = decoder.decode(chunk)
        if after_return and text:
            text = text.removeprefix("\n")
            after_return = False
        after_return = text.endswith("\r") or (after_return and not text)
        *ended, begun = (begun + text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        yield from ended
    if begun:
        yield begun  # cut off: it ends no event, but it was sent


def parsed(
    lines: Iterable[str], now: Callable[[], datetime], on_comment: Callable[[], None] = lambda: None
) -> Iterator[Event]:
    """Yield the events of a stream; a block without data is none, and what a stream's end cuts off is lost.

    The id is the last one sent since the event before; None where none was: a client then keeps the one it has.
    """
    own_id: str | None = None
    name, data = "", list[str]()
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if line == "":
            if data:
                yield Event(own_id, name or None, "\n".join(data), now())
                own_id = None
            name, data = "", []
        elif field == "":
            on_comment()
        elif field == "data":
            data.append(value)
        elif field == "event":
            name = value
        elif field == "id" and "\0" not in value:
            own_id = value


def _headers(response: httpx2.Response) -> Headers:
    return tuple((name, value) for name, value in response.headers.multi_items())
