"""Faults of any response, each a small frozen value with units.

A fault takes the rest of the call as `proceed` and changes the response, or leaves the call out. Faults of bodies leave
responses without a body alone. `scenarios.fault_syntax` reads faults from scenarios, headers and the control API.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from viralsync_mock.errors import ApiError
from viralsync_mock.response import Abort, Response

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from viralsync_mock.response import StreamClient

_PHRASES = {502: "Bad Gateway", 504: "Gateway Time-out", 507: "Insufficient Storage", 520: "Unknown Error"}

CallNext = Callable[[], Awaitable[Response]]
"""The rest of a call; it returns a response also where the API refuses."""


class Drawing(Protocol):
    """A call with draws of its own."""

    def draw(self, purpose: str) -> float:
        """Draw a number in [0, 1) from the sandbox's seed, for this call."""


class FaultContext(Protocol):
    """What a fault may use and set.

    `read_lag` is how far the views of this call lag, `listing_delay` how long a new job stays out of lists, and
    `webhook_faults` are applied to the webhooks of the job that this call submits.
    """

    read_lag: timedelta
    listing_delay: timedelta
    webhook_faults: tuple[object, ...]

    async def pause(self, seconds: float) -> None:
        """Wait in real time, on which the client's own time-outs run."""

    def draw(self, purpose: str) -> float:
        """Draw a number in [0, 1) from the sandbox's seed, for this call."""

    async def wait_disconnect(self) -> None:
        """Wait until the client disconnects or the sandbox is closed."""

    def keep_open(self, reader: StreamClient, *, keep_alive: bool) -> AsyncGenerator[bytes]:
        """Keep a stream open until its reader disconnects: in silence, or with keep-alives."""


class Fault(Protocol):
    """One kind of misbehaviour."""

    async def apply(self, context: FaultContext, proceed: CallNext, /) -> Response:
        """Return the response of the call."""


class When(StrEnum):
    """Whether a response is lost before the call is carried out, or after."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True)
class Latency:
    """The response comes `mean` real seconds later, plus or minus the jitter."""

    mean: float
    jitter: float = 0.0

    async def apply(self, context: FaultContext, proceed: CallNext, /) -> Response:
        await context.pause(self.seconds(context))
        return await proceed()

    def seconds(self, context: Drawing) -> float:
        """Return how long this call waits, the same each time."""
        spread = self.jitter * (2 * context.draw("latency") - 1) if self.jitter else 0.0
        return max(self.mean + spread, 0.0)


@dataclass(frozen=True)
class Timeout:
    """No response is sent; the connection stays open until the client closes it."""

    when: When = When.AFTER

    async def apply(self, context: FaultContext, proceed: CallNext, /) -> Response:
        response = await _discard_response(self.when, proceed, Abort("timeout"))
        await context.wait_disconnect()
        return response


@dataclass(frozen=True)
class ServerStatus:
    """A 5xx instead of the call: in the API's shape, or, without a code, as a gateway answers it, in HTML."""

    code: str
    status: int = 0

    async def apply(self, _context: FaultContext, _proceed: CallNext, /) -> Response:
        if self.code:
            raise ApiError(self.code)
        title = f"{self.status} {_PHRASES.get(self.status, 'Server Error')}"
        body = f"<html><head><title>{title}</title></head><body><center><h1>{title}</h1></center></body></html>\n"
        return Response(self.status, body.encode(), b"text/html", is_scripted=True)


@dataclass(frozen=True)
class ResetPeer:
    """The connection is reset (TCP RST) instead of a response."""

    when: When = When.AFTER

    async def apply(self, _context: FaultContext, proceed: CallNext, /) -> Response:
        return await _discard_response(self.when, proceed, Abort("reset_peer", is_reset=True))


@dataclass(frozen=True)
class EmptyResponse:
    """The connection is closed before the first byte of a response."""

    when: When = When.AFTER

    async def apply(self, _context: FaultContext, proceed: CallNext, /) -> Response:
        return await _discard_response(self.when, proceed, Abort("empty_response"))


async def _discard_response(when: When, proceed: CallNext, breaks: Abort) -> Response:
    """Return a response that is not sent: the call's, if the call is carried out."""
    response = Response(0) if when is When.BEFORE else await proceed()
    response.abort, response.is_scripted = breaks, True
    return response


@dataclass(frozen=True)
class TruncatedBody:
    """The connection is closed after a share of what `Content-Length` announces."""

    share: float = 0.5

    async def apply(self, _context: FaultContext, proceed: CallNext, /) -> Response:
        response = await proceed()
        if response.body:
            response.abort, response.is_scripted = Abort("truncated_body", self.share), True
        return response


@dataclass(frozen=True)
class MalformedJson:
    """The body is complete HTTP, but half of its JSON is missing: it ends in an opened object."""

    async def apply(self, _context: FaultContext, proceed: CallNext, /) -> Response:
        response = await proceed()
        if response.body:
            # half a number is a number: with an open brace at its end nothing is JSON
            response.body, response.is_scripted = response.body[: len(response.body) // 2] + b"{", True
        return response


@dataclass(frozen=True)
class WrongContentType:
    """The body is unchanged, but its media type is wrong."""

    media_type: str = "text/html"

    async def apply(self, _context: FaultContext, proceed: CallNext, /) -> Response:
        response = await proceed()
        if response.content_type is not None:
            response.content_type, response.is_scripted = self.media_type.encode(), True
        return response


@dataclass(frozen=True)
class SlowBody:
    """The body is sent in small pieces over `seconds` real seconds."""

    seconds: float

    async def apply(self, _context: FaultContext, proceed: CallNext, /) -> Response:
        response = await proceed()
        response.body_duration = self.seconds
        return response
