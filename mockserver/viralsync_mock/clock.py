"""Pretended time: one virtual clock per sandbox, and the alarms of those who wait on it.

This is the only module that touches real time, and only what `RealTime` holds.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import count
from typing import TYPE_CHECKING, Self

from viralsync_mock.errors import ClockError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""Where a frozen or auto clock starts unless it is told otherwise: runs are the same on every day."""

LAST = datetime(9000, 1, 1, tzinfo=UTC)
"""No clock goes past this."""


class Mode(StrEnum):
    """How a clock moves: with real time, n times as fast, when told, or by itself to whatever is waited for."""

    REAL = "real"
    SCALED = "scaled"
    FROZEN = "frozen"
    AUTO = "auto"

    @property
    def flows(self) -> bool:
        """Whether real time moves the clock."""
        return self in FLOWING

    @classmethod
    def named(cls, word: object) -> Mode:
        """Return the mode of that name; raises ClockError with the nearest valid word."""
        try:
            return cls(str(word))
        except ValueError:
            words = ", ".join(cls)
            raise ClockError(f"clock mode: expected one of {words}, got {word!r}.{did_you_mean(word, cls)}") from None


FLOWING = frozenset({Mode.REAL, Mode.SCALED})
"""The modes in which real time moves a clock."""


@dataclass(frozen=True, slots=True)
class RealTime:
    """The world outside: injected, so that a test can bring its own."""

    wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(eq=False, slots=True)
class Waiter:
    """Someone who waits on a clock: woken at an instant, or earlier when rung.

    Once woken it counts as unsettled until it says `settle()`, waits again or is closed: an `advance` of the
    clock goes on only when all are settled, that is, when what was due has been delivered.
    """

    clock: Clock
    due: datetime | None = None
    waiting: asyncio.Future[None] | None = None
    rung: bool = False

    async def until(self, instant: datetime | None) -> None:
        """Wait until the instant (None: for ever) or until rung, whichever comes first."""
        self.release()
        if self.rung or (instant is not None and instant <= self.clock.now()):
            self.rung = False
            return
        self.due, self.waiting = instant, asyncio.get_running_loop().create_future()
        self.clock.add_waiter(self)
        try:
            await self.waiting
        finally:
            self.due, self.waiting, self.rung = None, None, False

    def wake(self) -> None:
        """Wake the waiter now; one that is not waiting will not wait next time."""
        self.rung = True
        if self.waiting is not None and not self.waiting.done():
            self.clock.unsettled.add(self)
            self.waiting.set_result(None)

    def hold(self) -> None:
        """Say that there is something to deliver before anyone has waited: an `advance` goes on once it is settled."""
        self.clock.unsettled.add(self)

    def release(self) -> None:
        """Say that everything due so far has been delivered."""
        self.clock.settle(self)

    def __enter__(self) -> Self:
        self.clock.alarms.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        self.due = None
        self.release()
        self.clock.remove_waiter(self)


@dataclass(eq=False, slots=True)
class Clock:
    """A virtual clock: an anchor in pretended time, one in real time, and a rate. It never goes back."""

    anchor: datetime = EPOCH
    mode: Mode = Mode.FROZEN
    speed: float = 1.0
    real: RealTime = field(default_factory=RealTime)
    alarms: set[Waiter] = field(default_factory=set)
    unsettled: set[Waiter] = field(default_factory=set)
    in_flight: int = 0
    """How many deliveries are under way: an `advance` waits for them too."""
    _origin: float = 0.0
    _armed: list[tuple[datetime, int, Waiter]] = field(default_factory=list)
    _order: count[int] = field(default_factory=count)
    _timer: asyncio.TimerHandle | None = None
    _quiet: asyncio.Event = field(default_factory=asyncio.Event)
    _moving: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self._origin = self.real.monotonic()

    @property
    def rate(self) -> float:
        """Pretended seconds per real second: 0 when only orders move the clock."""
        return self.speed if self.mode in FLOWING else 0.0

    def now(self) -> datetime:
        """Return the pretended instant, an aware UTC datetime."""
        if self.mode not in FLOWING:
            return self.anchor
        return self.anchor + timedelta(seconds=(self.real.monotonic() - self._origin) * self.speed)

    def set_mode(self, mode: Mode, speed: float = 1.0) -> None:
        """Go on in another mode from the present instant; `speed` counts in mode `scaled` only."""
        if mode is Mode.SCALED and not 0 < speed <= 1e6:
            raise ClockError(f"clock rate: expected a number above 0 and up to 1000000, got {speed}")
        self._stand(self.now())
        self.mode, self.speed = mode, speed if mode is Mode.SCALED else 1.0
        self._set_timer()

    def set_time(self, instant: datetime) -> None:
        """Set the clock forward without waking anyone; raises ClockError for an instant in its past."""
        self.check(instant)
        self._stand(instant)

    def check(self, instant: datetime) -> None:
        """Raise ClockError unless the clock can be moved to this instant."""
        if instant < (now := self.now()):
            raise ClockError(f"the clock only goes forward: it is {now.isoformat()}, asked for {instant.isoformat()}")
        if instant > LAST:
            raise ClockError(f"the clock ends at {LAST.isoformat()}, asked for {instant.isoformat()}")

    async def advance(self, instant: datetime) -> None:
        """Go to an instant by way of everything due before it; return when all of it has been delivered."""
        self.check(instant)
        async with self._moving:
            await self.wait_idle()
            while self._armed and self._armed[0][0] <= instant:
                self._stand(max(self._armed[0][0], self.now()))
                self._ring_due()
                await self.wait_idle()
            self._stand(max(instant, self.now()))
        self._set_timer()

    async def wait_settled(self) -> None:
        """Wait until everyone who was woken has delivered what was due."""
        while self.unsettled:
            self._quiet.clear()
            await self._quiet.wait()

    async def wait_idle(self) -> None:
        """Wait until everyone has settled and nothing is under way any more."""
        while self.unsettled or self.in_flight:
            self._quiet.clear()
            await self._quiet.wait()

    def begin(self) -> None:
        """Take note of a delivery that begins."""
        self.in_flight += 1

    def end(self) -> None:
        """Take note of a delivery that has ended, however it did."""
        self.in_flight -= 1
        self._quiet.set()

    def alarm(self) -> Waiter:
        """Return a new alarm, to be used as a context manager."""
        return Waiter(self)

    def next_due(self) -> datetime | None:
        """Return the earliest instant that someone waits for."""
        self._forget_cancelled()
        return self._armed[0][0] if self._armed else None

    def add_waiter(self, alarm: Waiter) -> None:
        """Take note of an alarm that begins to wait."""
        if alarm.due is None:
            return
        heapq.heappush(self._armed, (alarm.due, next(self._order), alarm))
        if self._armed[0][2] is alarm:
            self._set_timer()

    def remove_waiter(self, alarm: Waiter) -> None:
        """Take note of an alarm that is closed; what it had armed goes when it makes half of the heap."""
        self.alarms.discard(alarm)
        if len(self._armed) > 2 * len(self.alarms) + 64:
            self._armed = [entry for entry in self._armed if entry[2].due == entry[0]]
            heapq.heapify(self._armed)

    def settle(self, alarm: Waiter) -> None:
        """Take note of an alarm that has delivered."""
        self.unsettled.discard(alarm)
        if not self.unsettled:
            self._quiet.set()

    def _stand(self, instant: datetime) -> None:
        self.anchor, self._origin = instant, self.real.monotonic()

    def _forget_cancelled(self) -> None:
        while self._armed and self._armed[0][2].due != self._armed[0][0]:
            heapq.heappop(self._armed)

    def _ring_due(self) -> None:
        now = self.now()
        while self._armed and self._armed[0][0] <= now:
            due, _, alarm = heapq.heappop(self._armed)
            if alarm.due == due:
                alarm.wake()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.mode.flows and (due := self.next_due()) is not None:
            wait = max((due - self.now()).total_seconds() / self.speed, 0.0)
            self._timer = asyncio.get_running_loop().call_later(wait, self._on_timer)

    def _on_timer(self) -> None:
        self._ring_due()
        self._set_timer()
