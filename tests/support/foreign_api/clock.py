"""The one door to real time and to chance: every other module asks here."""

from __future__ import annotations

import asyncio
import random  # noqa: TID251 - this module is the door
import time
from datetime import UTC, datetime, timedelta


def monotonic() -> float:
    """Seconds of a clock that never goes back."""
    return time.monotonic()  # noqa: TID251 - this module is the door


def wall(offset: float = 0.0) -> datetime:
    """The time of day in UTC, `offset` seconds wrong."""
    return datetime.now(UTC) + timedelta(seconds=offset)  # noqa: TID251 - this module is the door


async def pause(seconds: float) -> None:
    """Wait that many seconds; at least let the others run."""
    await asyncio.sleep(max(0.0, seconds))  # noqa: TID251 - this module is the door


async def happens(event: asyncio.Event, within: float) -> bool:
    """Whether the event is set before that many seconds are over."""
    try:
        async with asyncio.timeout(within):
            await event.wait()
    except TimeoutError:
        return False
    return True


def chance(seed: int) -> random.Random:
    """A source of random numbers that gives the same ones for the same seed."""
    return random.Random(seed)
