"""Virtual time: one clock per sandbox, and the waiters on it.

This is the only module that touches real time, and only what `RealTime` holds.

Mode `jump`: time stands still while anything happens and goes to the earliest wake-up once nothing has happened for a
few real milliseconds. How long depends on what is under way, see `Clock._required_quiet`.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import count
from typing import TYPE_CHECKING, Self

from viralsync_mock.errors import ClockError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""Where a clock that does not follow real time starts by default, so that runs are the same on every day."""

LAST = datetime(9000, 1, 1, tzinfo=UTC)
"""No clock goes past this."""

JUMP_THRESHOLD = 0.005
"""Real seconds without any activity after which a clock in mode `jump` moves."""

SLICE = 0.001
MAX_LATENESS = 0.002
MAX_RESTARTED_QUIET = 0.05
"""A timer of a slice that fires this late shows that the machine is busy, so clients may be waiting for their turn: the
threshold starts anew, up to this many seconds after the last activity."""

GROWTH_FACTOR = 20
"""By this the threshold grows when more sleep at once than ever before: others may be starting."""

JUMP_PATIENCE = 0.1
"""The same while a webhook is being delivered, or a named sleeper that woke up has not slept again."""

MAX_NAMED_SLEEPERS = 1_000
CONFIRMATIONS = 3
"""Turns of the event loop between the decision to jump and the jump: requests that have arrived are taken up first."""


class Mode(StrEnum):
    """How a clock moves: with real time, n times as fast, on request, by each read, or when everybody waits."""

    __hash__ = str.__hash__  # with Enum's own, each look-up would call Python code

    REAL = "real"
    SCALED = "scaled"
    FROZEN = "frozen"
    AUTO = "auto"
    JUMP = "jump"

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
    """The real clock, injected so that a test can bring its own."""

    wall: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(eq=False, slots=True)
class Waiter:
    """Waits on a clock until an instant, or until `wake`.

    A woken waiter is unsettled until `release`, the next `until`, or its end: the clock moves on only when all waiters
    are settled, that is, when what was due has been delivered. A passive waiter is woken in its turn, but a clock in
    mode `jump` does not move for passive waiters alone.
    """

    clock: Clock
    due: datetime | None = None
    waiting: asyncio.Future[None] | None = None
    is_woken: bool = False
    is_passive: bool = False

    async def until(self, instant: datetime | None, *, passive: bool = False) -> None:
        """Wait until the instant (None: for ever) or until woken, whichever comes first."""
        self.release()
        if self.is_woken or (instant is not None and instant <= self.clock.now()):
            self.is_woken = False
            return
        self.is_passive = passive
        self.due, self.waiting = instant, asyncio.get_running_loop().create_future()
        self.clock.add_waiter(self)
        try:
            await self.waiting
        finally:
            self.due, self.waiting, self.is_woken = None, None, False

    def wake(self) -> None:
        """Wake the waiter now; if it is not waiting, its next `until` returns at once."""
        self.is_woken = True
        if self.waiting is not None and not self.waiting.done():
            self.clock.unsettled.add(self)
            self.waiting.set_result(None)

    def hold(self) -> None:
        """Count as unsettled before the first `until`."""
        self.clock.unsettled.add(self)

    def release(self) -> None:
        """Count as settled: everything due so far has been delivered."""
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
    """A virtual clock: an anchor in virtual time, one in real time, and a rate. It never goes back."""

    anchor: datetime = EPOCH
    mode: Mode = Mode.FROZEN
    speed: float = 1.0
    real: RealTime = field(default_factory=RealTime)
    alarms: set[Waiter] = field(default_factory=set)
    unsettled: set[Waiter] = field(default_factory=set)
    in_flight: int = 0
    """How many deliveries are under way: an `advance` waits for them too."""
    calls: int = 0
    """How many calls are being answered, without those that only wait."""
    sleeps: int = 0
    """How many sleeps have begun."""
    threshold: float = JUMP_THRESHOLD
    patience: float = JUMP_PATIENCE
    activities: int = 0
    """How many calls, sleeps and deliveries have begun or ended in mode `jump`."""
    on_move: Callable[[datetime], None] | None = None
    """Gets the instant before each move and each change of mode."""
    _origin: float = 0.0
    _armed: list[tuple[datetime, int, Waiter]] = field(default_factory=list)
    _order: count[int] = field(default_factory=count)
    _timer: asyncio.Handle | None = None
    _quiet: asyncio.Event = field(default_factory=asyncio.Event)
    _moving: asyncio.Lock = field(default_factory=asyncio.Lock)
    _last_activity: float = 0.0
    _quiet_since: float = 0.0
    _holding: set[object] = field(default_factory=set)
    _all_asleep: bool = False
    _asleep: int = 0
    _most_asleep: int = 0
    _is_growing: bool = False

    def __post_init__(self) -> None:
        self._origin = self.real.monotonic()

    @property
    def rate(self) -> float:
        """Virtual seconds per real second; 0 in the modes that do not follow real time."""
        return self.speed if self.mode in FLOWING else 0.0

    def now(self) -> datetime:
        """Return the present instant, an aware UTC datetime."""
        if self.mode not in FLOWING:
            return self.anchor
        return self.anchor + timedelta(seconds=(self.real.monotonic() - self._origin) * self.speed)

    def set_mode(self, mode: Mode, speed: float = 1.0) -> None:
        """Go on in another mode from the present instant; `speed` counts in mode `scaled` only."""
        if mode is Mode.SCALED and not 0 < speed <= 1e6:
            raise ClockError(f"clock rate: expected a number above 0 and up to 1000000, got {speed}")
        now = self.now()
        self._stand(now)
        self.mode, self.speed = mode, speed if mode is Mode.SCALED else 1.0
        self._moved(now)
        self._set_timer()

    def set_time(self, instant: datetime) -> None:
        """Set the clock forward without waking any waiter; raises ClockError for an instant in its past."""
        self.check(instant)
        now = self.now()
        self._stand(instant)
        self._moved(now)

    def check(self, instant: datetime) -> None:
        """Raise ClockError unless the clock can be moved to this instant."""
        if instant < (now := self.now()):
            raise ClockError(f"the clock only goes forward: it is {now.isoformat()}, asked for {instant.isoformat()}")
        if instant > LAST:
            raise ClockError(f"the clock ends at {LAST.isoformat()}, asked for {instant.isoformat()}")

    async def advance(self, instant: datetime, max_wake_ups: float = math.inf) -> bool:
        """Go to an instant by way of everything due before it; return when all of it has been delivered.

        After about this many wake-ups of waiters it stops on the way, and returns False.
        """
        self.check(instant)
        since, wake_ups = self.now(), 0
        try:
            async with self._moving:
                await self.wait_idle()
                while self._armed and self._armed[0][0] <= instant:
                    if wake_ups >= max_wake_ups:
                        return False
                    self._stand(max(self._armed[0][0], self.now()))
                    wake_ups += self._ring_due()
                    await self.wait_idle()
                self._stand(max(instant, self.now()))
                return True
        finally:
            self._moved(since)
            self._set_timer()

    async def wait_settled(self) -> None:
        """Wait until every woken waiter has delivered what was due."""
        while self.unsettled:
            self._quiet.clear()
            await self._quiet.wait()

    async def wait_idle(self) -> None:
        """Wait until every waiter has settled and no delivery is under way."""
        while self.unsettled or self.in_flight:
            self._quiet.clear()
            await self._quiet.wait()

    def begin_delivery(self, delivery: object) -> None:
        """Count a delivery as under way."""
        self.in_flight += 1
        self._holding.add(delivery)
        self._touch()

    def end_delivery(self, delivery: object) -> None:
        """Count a delivery as ended, however it did."""
        self.in_flight -= 1
        self._holding.discard(delivery)
        self._quiet.set()
        self._touch()

    def begin_call(self) -> None:
        """Count a call as being answered: a clock in mode `jump` stands still until `end_call`."""
        self.calls += 1
        self._touch()

    def end_call(self) -> None:
        """Count a call as answered, or as one that from now on only waits."""
        self.calls -= 1
        self._all_asleep = False  # the caller wakes up
        self._touch()

    @contextmanager
    def waiting_call(self) -> Iterator[None]:
        """Mark a part of a call that only waits: it does not keep the clock from moving."""
        self.end_call()
        try:
            yield
        finally:
            self.calls += 1

    async def sleep_until(self, instant: datetime, sleeper: str = "", *, all_asleep: bool = False) -> None:
        """Wait for an instant, or until all waiters are woken; for the arguments see `Sandbox.sleep`."""
        self._holding.discard(sleeper)
        if instant <= self.now():
            return
        self._touch()
        self.sleeps += 1
        self._all_asleep = all_asleep
        self._asleep += 1
        if self._asleep > self._most_asleep:
            self._most_asleep, self._is_growing = self._asleep, True
        with self.alarm() as alarm:
            try:
                await alarm.until(instant)
            finally:  # a sleep that was given up: its sleeper is awake too
                self._asleep -= 1
                if sleeper and len(self._holding) < MAX_NAMED_SLEEPERS:
                    self._holding.add(sleeper)  # before the waiter is settled

    def alarm(self) -> Waiter:
        """Return a new waiter, to be used as a context manager."""
        return Waiter(self)

    def next_due(self) -> datetime | None:
        """Return the earliest instant that a waiter waits for."""
        self._forget_cancelled()
        return self._armed[0][0] if self._armed else None

    def add_waiter(self, alarm: Waiter) -> None:
        """Add a waiter that begins to wait."""
        if alarm.due is None:
            return
        heapq.heappush(self._armed, (alarm.due, next(self._order), alarm))
        if self._armed[0][2] is alarm or self.mode is Mode.JUMP:
            self._set_timer()

    def remove_waiter(self, alarm: Waiter) -> None:
        """Remove a closed waiter; its entries leave the heap when such entries are half of it."""
        self.alarms.discard(alarm)
        if len(self._armed) > 2 * len(self.alarms) + 64:
            self._armed = [entry for entry in self._armed if entry[2].due == entry[0]]
            heapq.heapify(self._armed)

    def settle(self, alarm: Waiter) -> None:
        """Count a waiter as settled."""
        self.unsettled.discard(alarm)
        if not self.unsettled:
            self._quiet.set()
            if self.mode is Mode.JUMP:
                self._set_timer()

    def _moved(self, since: datetime) -> None:
        if self.on_move is not None:
            self.on_move(since)

    def _stand(self, instant: datetime) -> None:
        self.anchor, self._origin = instant, self.real.monotonic()

    def _forget_cancelled(self) -> None:
        while self._armed and self._armed[0][2].due != self._armed[0][0]:
            heapq.heappop(self._armed)

    def _ring_due(self) -> int:
        now, rung = self.now(), 0
        while self._armed and self._armed[0][0] <= now:
            due, _, alarm = heapq.heappop(self._armed)
            if alarm.due == due:
                alarm.wake()
                rung += 1
        return rung

    def _set_timer(self) -> None:
        if self.mode is Mode.JUMP:
            self._set_jump_timer()
            return
        self._cancel_timer()
        if self.mode.flows and (due := self.next_due()) is not None:
            wait = max((due - self.now()).total_seconds() / self.speed, 0.0)
            self._timer = asyncio.get_running_loop().call_later(wait, self._on_timer)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timer(self) -> None:
        self._ring_due()
        self._set_timer()

    def _touch(self) -> None:
        """Record activity: a jump is due `_required_quiet()` real seconds later at the earliest."""
        if self.mode is Mode.JUMP:
            self._last_activity = self._quiet_since = self.real.monotonic()
            self.activities += 1
            self._set_jump_timer()

    def _required_quiet(self) -> float:
        """Return how many real seconds without activity have to pass before a jump."""
        if self._holding:
            return self.patience
        if self._all_asleep:
            return 0.0
        return self.threshold * GROWTH_FACTOR if self._is_growing else self.threshold

    def _can_jump(self) -> bool:
        """Say whether nothing keeps the clock from moving and something waits that it moves for."""
        if self.calls or self.unsettled or self._moving.locked():
            return False
        return any(not waiter.is_passive and waiter.due == due <= LAST for due, _, waiter in self._armed)

    def _set_jump_timer(self) -> None:
        self._cancel_timer()
        if self._can_jump():
            now, loop = self.real.monotonic(), asyncio.get_running_loop()
            missing = self._required_quiet() - (now - self._quiet_since)
            if missing > 0:
                wait = max(missing / 5, min(missing, SLICE))
                self._timer = loop.call_later(wait, self._on_slice, now + wait)
            else:
                self._timer = loop.call_soon(self._confirm_jump, self.activities, CONFIRMATIONS)

    def _on_slice(self, expected: float) -> None:
        now = self.real.monotonic()
        if now - expected > MAX_LATENESS and now - self._last_activity < MAX_RESTARTED_QUIET:
            self._quiet_since = now
        self._set_jump_timer()

    def _confirm_jump(self, activities: int, turns: int) -> None:
        if activities != self.activities or not self._can_jump():
            self._set_jump_timer()
        elif turns:
            self._timer = asyncio.get_running_loop().call_soon(self._confirm_jump, activities, turns - 1)
        else:
            self._jump()

    def _jump(self) -> None:
        """Go to the earliest wake-up. What kept the clock for all of `patience` keeps it no longer."""
        self._holding.clear()
        self._all_asleep = self._is_growing = False
        self._forget_cancelled()
        now = self.now()
        self._stand(max(self._armed[0][0], now))
        self._moved(now)
        self._ring_due()
        self._touch()
