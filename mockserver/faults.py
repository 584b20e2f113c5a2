"""Deliberate misbehaviour, each kind a small frozen value with units.

A fault takes the rest of the call as `proceed` and does something to it, or leaves it out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mockserver.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mockserver.answers import Answer


class World(Protocol):
    """What a fault may use: real time to wait in, and draws between 0 and 1."""

    async def pause(self, seconds: float) -> None:
        """Let real time pass: the client's own time-outs run on it."""

    def draw(self, purpose: str) -> float:
        """Draw from the sandbox's seed."""


class Fault(Protocol):
    """One kind of misbehaviour."""

    async def apply(self, world: World, proceed: Callable[[], Awaitable[Answer]]) -> Answer:
        """Answer in the place of the rest of the call."""


@dataclass(frozen=True, slots=True)
class Latency:
    """The answer comes later by so many real seconds, give or take the jitter."""

    seconds: float
    jitter: float = 0.0

    async def apply(self, world: World, proceed: Callable[[], Awaitable[Answer]]) -> Answer:
        """Wait, then go on."""
        spread = self.jitter * (2 * world.draw("latency") - 1) if self.jitter else 0.0
        await world.pause(max(self.seconds + spread, 0.0))
        return await proceed()


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """A 5xx in the API's shape; the call is not carried out."""

    code: str

    async def apply(self, world: World, proceed: Callable[[], Awaitable[Answer]]) -> Answer:  # noqa: ARG002 - no fault looks at all of it
        """Refuse."""
        raise ApiError(self.code)
