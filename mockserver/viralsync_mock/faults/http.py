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

CallNext = Callable[[], Awaitable[Response]]
"""The rest of a call; it answers also where the API refuses."""


class FaultContext(Protocol):
    """What a fault may use and set.

    `read_lag` is how far the views of this call lie behind, `listing_delay` how long a new job stays out of lists, and
    `webhook_faults` what is done to the webhooks of the job that this call submits.
    """

    read_lag: timedelta
    listing_delay: timedelta
    webhook_faults: tuple[object, ...]

    async def pause(self, seconds: float) -> None:
        """Let real time pass: the client's own time-outs run on it."""

    def draw(self, purpose: str) -> float:
        """Draw a number in [0, 1) from the sandbox's seed, for this call."""

    async def wait_disconnect(self) -> None:
        """Wait until the client has gone, or the sandbox is closed."""

    def keep_open(self, reader: StreamClient, *, keep_alive: bool) -> AsyncGenerator[bytes]:
        """Keep a stream open until its reader goes: in silence, or with keep-alives."""


class Fault(Protocol):
    """One kind of misbehaviour."""

    async def apply(self, world: FaultContext, proceed: CallNext, /) -> Response:
        """Answer in the place of the rest of the call."""


class When(StrEnum):
    """Whether a fault that loses the answer leaves the call undone (before), or strikes once it is done (after)."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True)
class Latency:
    """The answer comes later by so many real seconds, give or take the jitter."""

    mean: float
    jitter: float = 0.0

    async def apply(self, world: FaultContext, proceed: CallNext, /) -> Response:
        """Wait, then go on."""
        await world.pause(self.seconds(world))
        return await proceed()

    def seconds(self, world: FaultContext) -> float:
        """Return how long this call waits: the same whenever it is asked."""
        spread = self.jitter * (2 * world.draw("latency") - 1) if self.jitter else 0.0
        return max(self.mean + spread, 0.0)


@dataclass(frozen=True)
class Timeout:
    """No answer ever comes; the connection stays open until the client closes it."""

    when: When = When.AFTER

    async def apply(self, world: FaultContext, proceed: CallNext, /) -> Response:
        """Let the client wait."""
        answer = await _discard_response(self.when, proceed, Abort("timeout"))
        await world.wait_disconnect()
        return answer


@dataclass(frozen=True)
class ServerStatus:
    """A 5xx in the API's shape; the call is not carried out."""

    code: str

    async def apply(self, _world: FaultContext, _proceed: CallNext, /) -> Response:
        """Refuse."""
        raise ApiError(self.code)


@dataclass(frozen=True)
class ResetPeer:
    """The connection is reset (TCP RST) in the place of an answer."""

    when: When = When.AFTER

    async def apply(self, _world: FaultContext, proceed: CallNext, /) -> Response:
        """Lose the answer."""
        return await _discard_response(self.when, proceed, Abort("reset_peer", is_reset=True))


@dataclass(frozen=True)
class EmptyResponse:
    """The connection is closed without a byte of an answer."""

    when: When = When.AFTER

    async def apply(self, _world: FaultContext, proceed: CallNext, /) -> Response:
        """Lose the answer."""
        return await _discard_response(self.when, proceed, Abort("empty_response"))


async def _discard_response(when: When, proceed: CallNext, breaks: Abort) -> Response:
    """Return an answer that nobody will see: that of the call, where the call is carried out."""
    answer = Response(0) if when is When.BEFORE else await proceed()
    answer.abort, answer.is_scripted = breaks, True
    return answer


@dataclass(frozen=True)
class TruncatedBody:
    """The body breaks off after a share of what `Content-Length` announces; then the connection is closed."""

    share: float = 0.5

    async def apply(self, _world: FaultContext, proceed: CallNext, /) -> Response:
        """Cut the body."""
        answer = await proceed()
        if answer.body:
            answer.abort, answer.is_scripted = Abort("truncated_body", self.share), True
        return answer


@dataclass(frozen=True)
class MalformedJson:
    """The body arrives whole, but half of its JSON is missing: it ends in an object that was just opened."""

    async def apply(self, _world: FaultContext, proceed: CallNext, /) -> Response:
        """Leave half of the JSON out."""
        answer = await proceed()
        if answer.body:
            # half a number is a number: with an open brace at its end nothing is JSON
            answer.body, answer.is_scripted = answer.body[: len(answer.body) // 2] + b"{", True
        return answer


@dataclass(frozen=True)
class WrongContentType:
    """The body is as ever, but its media type says something else."""

    media_type: str = "text/html"

    async def apply(self, _world: FaultContext, proceed: CallNext, /) -> Response:
        """Name another media type."""
        answer = await proceed()
        if answer.content_type is not None:
            answer.content_type, answer.is_scripted = self.media_type.encode(), True
        return answer


@dataclass(frozen=True)
class SlowBody:
    """The body trickles in over so many real seconds."""

    seconds: float

    async def apply(self, _world: FaultContext, proceed: CallNext, /) -> Response:
        """Spread the body."""
        answer = await proceed()
        answer.body_duration = self.seconds
        return answer
