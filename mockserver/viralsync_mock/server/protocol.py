"""One connection: uvicorn's HTTP, with bounds on what a client may send, and a way to break it off."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from viralsync_mock.api.asgi import error_response
from viralsync_mock.api.call import ABORT_EXTENSION, RESPOND_EXTENSION
from viralsync_mock.errors import ApiError
from viralsync_mock.response import JSON

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
    from uvicorn.server import ServerState

    from viralsync_mock.app import App
    from viralsync_mock.registry import Memory

HEAD_LIMIT = 64 * 1024
"""Bytes that a request line and headers may have together, and everything else of a request that is not its body."""

DRAIN_SECONDS = 1
"""How long to read on after the last byte was sent: closed with bytes unread, the system would reset instead."""

HELD_SECONDS = 0.5
"""How long a stop waits before it breaks off calls that a fault holds."""

HALF_CLOSED_SECONDS = 300
"""How long a client that has closed its side may wait for its response."""

PROBE_SECONDS = (0.0, 0.0, 0.002, 0.01, 0.1, 1.0)
"""When to look whether a client has answered a probe with a reset; on this machine it does so at once."""

NO_LINGER = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
"""The socket option under which closing sends a TCP reset."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Real seconds that a client may take: for a head, for each piece of a body, and from one call to the next.

    `idle` is longer than the pools of common clients keep a connection.
    """

    head: float = 30
    body: float = 60
    idle: float = 75


class _Flow(FlowControl):
    """uvicorn's flow control, which knows when it last asked the client for more."""

    resumed_at = -inf

    def resume_reading(self) -> None:
        """Read again."""
        self.resumed_at = asyncio.get_running_loop().time()
        super().resume_reading()


class MockHttpProtocol(HttpToolsProtocol):
    """uvicorn's HTTP, which refuses a client that sends too much or too slowly, and lets the application break off.

    There is one timer, armed only when a request did not come in one piece, and it looks at the deadline when it
    fires: bytes that come in time only move the deadline.
    """

    def __init__(
        self,
        timeouts: Timeouts,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._timeouts = timeouts
        self._awaits_head, self._awaits_body = True, False
        self._piece = 0  # bytes that came last
        self._framing = 0  # bytes since the last one of a body, or since the last request: head, chunk sizes, trailers
        self._is_over = False
        self._deadline = inf
        self._timer: asyncio.TimerHandle | None = None
        self._idle_until = inf
        self._idle_timer: asyncio.TimerHandle | None = None
        self._running: RequestResponseCycle | None = None
        self._unsent = b""  # a response that leaves at the end of this turn of the loop
        # one for all calls: with one for each, call and scope would hold each other until the collector comes
        self._extensions: dict[str, Any] = {ABORT_EXTENSION: self._abort_running, RESPOND_EXTENSION: self._respond}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own type
        """Wait for the first byte."""
        super().connection_made(transport)
        self.flow = _Flow(transport)
        self._postpone()

    def pause_writing(self) -> None:
        """Count what the client has not read against the memory of the server."""
        super().pause_writing()
        self._memory.hold(self, self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Write again: the client has caught up."""
        super().resume_writing()
        self._memory.release(self)

    def break_off(self) -> None:
        """Close the connection, and forget what the client has not read."""
        self._is_over = True
        if (cycle := self._last_cycle) is not None:
            _disconnect(cycle)
        self.transport.abort()

    @property
    def _memory(self) -> Memory:
        return cast("App", self.app).mock.sandboxes.memory

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._memory.release(self)
        self._unsent = b""
        self._stop_timer()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came; once the connection is given up nothing is looked at."""
        if self._is_over:
            return
        self._piece = len(data)
        self._framing += self._piece
        self._parse(data)
        if (self._awaits_head or self._awaits_body or self._framing) and not self._is_over:
            self._await_more()

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
        except HttpParserUpgrade as offered:
            if self._offers_upgrade():
                self._decline_upgrade(data[offered.args[0] :])

    def _offers_upgrade(self) -> bool:
        return any(name == b"connection" and b"upgrade" in value.lower() for name, value in self.headers)

    def _decline_upgrade(self, rest: bytes) -> None:
        """Read the head again without the offer: httptools takes what follows such a head for the other protocol."""
        kept = [(name, value) for name, value in self.headers if name != b"connection"]
        lines = [b"%b: %b\r\n" % line for line in kept]
        head = b"%b %b HTTP/1.1\r\n%b\r\n" % (self.parser.get_method(), self.url, b"".join(lines))
        self.parser = HttpRequestParser(self)
        self._parse(head + rest)

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio's own type
        """Keep the connection of a client that only closes its side (RFC 9112 9.6): it waits for the response.

        A client that has gone looks the same until something is written to it. So where nothing is written soon, since
        a fault holds the call or a stream is silent, it gets a few bytes without meaning, which one that has gone
        resets. Within a body of known length no byte is without meaning, and its next piece serves instead.
        """
        self._send_unsent()
        cycle = self._last_cycle
        if self._is_over or cycle is None or cycle.response_complete or self._awaits_body or self.scheme == "https":
            return False
        if _is_watched(cycle) and not cycle.response_started and self._probe(cycle) is None:
            return False
        cycle.keep_alive = False
        self._stop_timer()
        self._timer = self.loop.call_later(HALF_CLOSED_SECONDS, self.transport.close)
        self._look_for_reset(cycle, PROBE_SECONDS, is_probed=False)
        return True

    def _probe(self, cycle: RequestResponseCycle) -> bytes | None:
        """Return bytes that the client has to ignore at this place of the response: None where there are none."""
        if not cycle.response_started:
            return b"HTTP/1.1 100 Continue\r\n\r\n" if self.parser.get_http_version() == "1.1" else None
        return b"3\r\n:\n\n\r\n" if cycle.chunked_encoding else None  # a comment: only streams are sent in chunks

    def _look_for_reset(self, cycle: RequestResponseCycle, delays: tuple[float, ...], *, is_probed: bool) -> None:
        if self.transport.is_closing() or cycle.response_complete:
            return
        if self.transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.break_off()
            return
        if not is_probed and _is_watched(cycle):
            self.transport.write(self._probe(cycle) or b"")
            is_probed = True
        if delays:
            later = partial(self._look_for_reset, cycle, delays[1:], is_probed=is_probed)
            self.loop.call_later(delays[0], later)

    def shutdown(self) -> None:
        """Stop after the present call; one that is held is broken off."""
        self._send_unsent()
        super().shutdown()
        if self._is_over:
            self.transport.close()
        elif not self.transport.is_closing():
            self.loop.call_later(HELD_SECONDS, self._break_off)

    def _break_off(self) -> None:
        if not self.cycle.response_complete:
            _disconnect(self.cycle)
            if self.flow.write_paused:  # closing would wait until the client has read everything
                self.transport.abort()
            else:
                self.transport.close()

    def on_message_begin(self) -> None:
        """Await the rest of a head."""
        super().on_message_begin()
        self._awaits_head, self._deadline = True, inf

    def on_headers_complete(self) -> None:
        """Start the call; or refuse its head, as too long or without exactly one `Host` (RFC 9112 3.2)."""
        if self.parser.should_upgrade() and self._offers_upgrade():
            return  # the head is read again
        if (self._framing > HEAD_LIMIT or self._piece > HEAD_LIMIT) and self._head_size() > HEAD_LIMIT:
            self._reject(_TOO_LONG)
            raise HttpParserError(_TOO_LONG)  # ends the parsing
        hosts = 0
        for name, _ in self.headers:
            if name == b"host":
                hosts += 1
        if hosts != 1 and (hosts or self.parser.get_http_version() == "1.1"):
            self._reject(_HOST % hosts)
            raise HttpParserError(_HOST)
        super().on_headers_complete()
        self._awaits_head, self._awaits_body, self._framing = False, True, 0
        if self.pipeline:  # it waits behind another call
            self.scope["extensions"] = {ABORT_EXTENSION: partial(self._abort, self.cycle)}  # type: ignore[dict-item]  # a function
        else:
            self._running, self.scope["extensions"] = self.cycle, self._extensions

    def on_body(self, body: bytes) -> None:
        """Count anew what is not of the body."""
        self._framing = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Await nothing: the next request may come or not."""
        if self._awaits_head:
            return  # the head of an offer to upgrade
        self._awaits_body, self._framing = False, 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next call, or wait for it: one timer for all waits, which looks at the deadline when it fires.

        This is uvicorn's method with one thing changed: it makes and cancels a timer for each call.
        """
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_until = self.loop.time() + self._timeouts.idle
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_at(self._idle_until, self._check_idle)

    def _check_idle(self) -> None:
        self._idle_timer = None
        if self.cycle.response_complete and not (self._is_over or self.transport.is_closing()):
            if self.loop.time() < self._idle_until:
                self._idle_timer = self.loop.call_at(self._idle_until, self._check_idle)
            else:
                self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP as the API refuses a request that is not valid."""
        self._reject(f"the request: expected HTTP/1.1, {msg.strip().rstrip('.')}")

    def _head_size(self) -> int:
        """Return the size of a head that has come, exact when nothing in it is padded."""
        line = len(self.parser.get_method()) + len(self.url) + len(b"  HTTP/1.1\r\n")
        return line + sum(len(name) + len(value) + len(b": \r\n") for name, value in self.headers) + len(b"\r\n")

    def _await_more(self) -> None:
        """Bound a request that did not end with the bytes that came."""
        if self._framing > HEAD_LIMIT:
            self._reject(_TOO_LONG)
        elif self._awaits_body or (self._awaits_head and self._deadline == inf):
            self._postpone()

    @property
    def _seconds(self) -> float:
        return self._timeouts.body if self._awaits_body else self._timeouts.head

    def _postpone(self) -> None:
        self._deadline = self.loop.time() + self._seconds
        if self._timer is not None and self._timer.when() > self._deadline:
            self._stop_timer()
        if self._timer is None:
            self._timer = self.loop.call_at(self._deadline, self._check_deadline)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check_deadline(self) -> None:
        self._timer = None
        if self._is_over or not (self._awaits_head or self._awaits_body):
            return
        if not self._is_waiting_for_client():
            self._postpone()
        elif self.loop.time() < (deadline := self._fair_deadline()):
            self._timer = self.loop.call_at(deadline, self._check_deadline)
        elif self._awaits_body:
            self._reject(f"the body: expected more of it within {self._seconds:g} seconds, got nothing")
        else:
            self._reject(f"the request: expected the end of its head within {self._seconds:g} seconds")

    def _fair_deadline(self) -> float:
        """Return the deadline, which does not count the time until the server last did something itself."""
        return max(self._deadline, cast("_Flow", self.flow).resumed_at + self._seconds)

    @property
    def _last_cycle(self) -> RequestResponseCycle | None:
        return self.cycle  # None before the first head, whatever uvicorn says of its type

    def _is_waiting_for_client(self) -> bool:
        """Whether only the client keeps the request from going on: no response is under way, and its bytes are read."""
        cycle = self._last_cycle
        if cycle is None or cycle.response_complete:
            return True
        is_held = cycle.response_started or cycle.waiting_for_100_continue or self.flow.read_paused
        return self._awaits_body and not is_held

    def _reject(self, violation: str) -> None:
        """Answer 400 in the API's shape and close; within another response, only close."""
        if self._is_over:
            return
        self._is_over = True
        self._send_unsent()
        if (cycle := self._last_cycle) is not None:
            _disconnect(cycle)
        if self._is_answering():
            self.transport.close()
        else:
            self.transport.write(_refusal(cast("App", self.app), violation))
            self._half_close()

    def _half_close(self) -> None:
        """Send nothing more, and read on for a moment; TLS cannot be half closed."""
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()
        self._stop_timer()
        self._timer = self.loop.call_later(DRAIN_SECONDS, self.transport.close)

    def _is_answering(self) -> bool:
        """Whether part of a response is out already: of the request that comes, or of one before it."""
        cycle = self._last_cycle
        if cycle is None or not cycle.response_started:
            return bool(self.pipeline)
        return self._awaits_body or not cycle.response_complete

    def _respond(self, status: int, head: bytes, body: bytes) -> bool:
        """Send an ordinary response with one write; return False to leave any other to uvicorn.

        It leaves at the end of this turn of the loop, together with those of other connections: a client's process that
        waits for several wakes up once, and to wake it costs as much as to write.
        """
        cycle = self._running
        if cycle is None or not cycle.keep_alive or self.flow.write_paused or cycle.disconnected:
            return False
        self._unsent = b"%b%b\r\n%b" % (STATUS_LINE[status], head, body)
        self.loop.call_soon(self._send_unsent)
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.message_event.set()
        cycle.on_response()
        return True

    def _send_unsent(self) -> None:
        if self._unsent:
            response, self._unsent = self._unsent, b""
            self.transport.write(response)

    def _abort_running(self, *, reset: bool) -> None:
        assert self._running is not None  # noqa: S101 - only a running call asks
        self._abort(self._running, reset=reset)

    def _abort(self, cycle: RequestResponseCycle, *, reset: bool) -> None:
        """Break off without a further byte: by a TCP reset, or by closing once what was written so far has left."""
        _disconnect(cycle)
        self._is_over = True
        if self.transport.is_closing():
            return
        if reset:  # beneath TLS too; what is not sent yet may be lost
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            self.transport.abort()
        else:
            self._half_close()


_TOO_LONG = f"the request: expected a head of at most {HEAD_LIMIT} bytes (request line and headers), got more"


_HOST = "header.host: expected exactly one Host, got %d"


def _is_watched(cycle: RequestResponseCycle) -> bool:
    """Whether the call has read its request and now waits for the client to go: a fault holds it."""
    return bool(cycle.message_event._waiters)


def _disconnect(cycle: RequestResponseCycle) -> None:
    """Tell a call that the client is gone: what it sends is dropped, and uvicorn does not miss the rest."""
    cycle.disconnected = True
    cycle.message_event.set()


def _refusal(app: App, violation: str) -> bytes:
    files = app.mock.files
    response = error_response(files.spec, files.behaviour, ApiError("VALIDATION_ERROR", violations=violation))
    head = b"content-type: %b\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
    return STATUS_LINE[response.status] + head % (JSON, len(response.body)) + response.body
