"""Event loops: asyncio at its selector, trio at its clock. A loop that would wait for a timer sleeps on the clock.

Input that has arrived comes before timers: tasks see the clock's time at once, but the loop itself, which fires timers,
takes it over only when nothing is ready. Otherwise a response and the time-out that guards it could both be due.
"""

from __future__ import annotations

import asyncio
import asyncio.selector_events
import sys
import threading
from contextlib import contextmanager, suppress
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from viralsync_mock.virtual_time.keeper import OWN_THREADS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from viralsync_mock.virtual_time.keeper import TimeKeeper

RUN_ONCE = asyncio.BaseEventLoop._run_once.__code__  # type: ignore[attr-defined]

GRACE = 0.003
"""Real seconds that a loop waits for input before it sleeps on the clock: most responses arrive within them."""


@contextmanager
def asyncio_loops(keeper: TimeKeeper) -> Iterator[None]:
    """Give every asyncio loop that runs a selector that sleeps on the clock."""
    base: Any = asyncio.BaseEventLoop
    original = base._run_once
    selectors: WeakKeyDictionary[asyncio.AbstractEventLoop, _Selector] = WeakKeyDictionary()

    def run_once(loop: Any) -> None:
        is_ours = threading.current_thread().name.startswith(OWN_THREADS)
        if isinstance(loop, asyncio.selector_events.BaseSelectorEventLoop) and loop not in selectors and not is_ours:
            selectors[loop] = _Selector(keeper, loop)
        original(loop)

    base._run_once = run_once
    try:
        yield
    finally:
        base._run_once = original
        for selector in tuple(selectors.values()):
            selector.leave()


class _Selector:
    """Stands in for a loop's selector, and gives the loop its time."""

    def __init__(self, keeper: TimeKeeper, loop: Any) -> None:
        self._keeper, self._loop, self._selector = keeper, loop, loop._selector
        self._former = loop.__dict__.get("time")
        earlier = getattr(self._former, "__self__", None)
        self._base: Callable[[], float] = loop.time
        self._ahead = self._elapsed = self._loop_elapsed = 0.0
        if isinstance(earlier, _Selector):  # of a virtual time before this one
            self._base, self._ahead = earlier._base, earlier._ahead + earlier._elapsed
        loop._selector, loop.time = self, self._time

    def _time(self) -> float:
        is_loop = sys._getframe(1).f_code is RUN_ONCE
        return self._base() + self._ahead + (self._loop_elapsed if is_loop else self._elapsed)

    def select(self, timeout: float | None = None) -> list[tuple[Any, int]]:
        try:
            return self._select(timeout)
        finally:
            self._elapsed = self._keeper.elapsed

    def _select(self, timeout: float | None) -> list[tuple[Any, int]]:
        real = self._selector.select
        if timeout is None or timeout <= 0 or not self._keeper.is_active:
            return list(real(timeout))
        since = self._keeper.activities()
        if (events := real(min(timeout, GRACE))) or timeout <= GRACE or self._take_over():
            return list(events)
        sleep = self._keeper.start(timeout, is_alone=since is not None, since=since)
        sleep.add_done_callback(self._wake)
        try:
            events = real(None)
        finally:
            sleep.cancel()
        if all(key.fileobj is self._loop._ssock for key, _ in events):
            self._take_over()
        return list(events)

    def _take_over(self) -> bool:
        """Let timers see the clock's time; say whether it has moved."""
        before, self._loop_elapsed = self._loop_elapsed, self._keeper.elapsed
        return self._loop_elapsed != before

    def _wake(self, sleep: Future[Any]) -> None:
        if not sleep.cancelled():
            self._loop._write_to_self()

    def leave(self) -> None:
        """Give the loop its selector back; its time goes on from where it is, since timers are set by it."""
        self._loop._selector = self._selector
        self._loop_elapsed = self._elapsed
        if self._former is not None and not self._elapsed:
            self._loop.time = self._former
        elif not self._ahead + self._elapsed:
            del self._loop.time

    def __getattr__(self, name: str) -> Any:
        return getattr(self._selector, name)


@contextmanager
def trio_runs(keeper: TimeKeeper) -> Iterator[None]:
    """Let every run of trio that has no clock of its own sleep on the clock, if trio is installed."""
    try:
        from trio._core._run import SystemClock
    except ImportError:
        yield
        return
    patched: Any = SystemClock
    read, sleep_time = patched.current_time, patched.deadline_to_sleep_time
    clocks: dict[int, _TrioClock] = {}

    def clock(system: Any) -> _TrioClock:
        if id(system) not in clocks:
            clocks[id(system)] = _TrioClock(keeper, system, partial(read, system))
        return clocks[id(system)]

    def current_time(system: Any) -> float:
        return clock(system).current_time(is_loop=sys._getframe(1).f_code.co_name == "unrolled_run")

    patched.current_time = current_time
    patched.deadline_to_sleep_time = lambda system, deadline: clock(system).deadline_to_sleep_time(deadline)
    try:
        yield
    finally:
        patched.current_time, patched.deadline_to_sleep_time = read, sleep_time
        for each in clocks.values():
            each.leave()


class _TrioClock:
    """The clock of one run of trio: while the run waits for input or a deadline, a sleep is under way."""

    def __init__(self, keeper: TimeKeeper, system: Any, read: Callable[[], float]) -> None:
        self._keeper, self._system, self._read = keeper, system, read
        self._elapsed = self._loop_elapsed = self._idle_since = 0.0
        self._deadline = inf
        self._activities: int | None = None
        self._sleep: Future[Any] | None = None

    def current_time(self, *, is_loop: bool) -> float:
        """Return the time of tasks, or that of the loop, which is awake when it asks: its sleep is over."""
        if is_loop:
            self._end_sleep()
            self._elapsed = self._keeper.elapsed
        return self._read() + (self._loop_elapsed if is_loop else self._elapsed)

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """Begin to sleep until a deadline; return how long to wait for input, in real seconds."""
        from trio.lowlevel import current_trio_token

        self._end_sleep()
        self._elapsed = self._loop_elapsed = self._keeper.elapsed
        real = self._read()
        seconds = deadline - real - self._elapsed
        if seconds <= GRACE or seconds == inf or not self._keeper.is_active:
            return seconds
        if self._deadline != deadline or real - self._idle_since < GRACE:
            self._deadline, self._idle_since, self._activities = deadline, real, self._keeper.activities()
            return GRACE
        token, since = current_trio_token(), self._activities
        self._deadline = inf
        self._sleep = self._keeper.start(seconds, is_alone=since is not None, since=since)
        self._sleep.add_done_callback(lambda sleep: _wake_trio(token, sleep))
        return inf

    def _end_sleep(self) -> None:
        if self._sleep is not None:
            self._sleep.cancel()
            self._sleep = None

    def leave(self) -> None:
        """Leave the run's time where it is: its deadlines are set by it."""
        self._end_sleep()
        object.__setattr__(self._system, "offset", self._system.offset + self._elapsed)


def _wake_trio(token: Any, sleep: Future[Any]) -> None:
    from trio import RunFinishedError

    if not sleep.cancelled():
        with suppress(RunFinishedError):
            token.run_sync_soon(int)
