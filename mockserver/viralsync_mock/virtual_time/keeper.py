"""The time keeper: which calls of this process are virtual, how far the clock has gone, and sleeps on it."""

from __future__ import annotations

import concurrent.futures.thread
import os
import sys
import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from viralsync_mock.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future
    from datetime import datetime
    from types import FrameType

OWN_THREADS = "viralsync-mock"
"""How the names of the mock's own threads begin: they keep real time."""

REAL = frozenset(
    (
        *("viralsync_mock", "viralsync_conform", "uvicorn", "pytest_httpserver", "werkzeug"),
        *("pytest", "_pytest", "pluggy", "xdist", "execnet", "pytest_timeout", "hypothesis", "coverage", "unittest"),
        *("asyncio", "trio", "uvloop", "selectors", "socketserver", "subprocess", "multiprocessing", "logging"),
        *("faulthandler", "timeit", "cProfile", "profile", "importlib", "tempfile", "freezegun", "time_machine"),
    )
)
"""Packages whose calls keep real time: servers, test runners, measurements, and event loops (patched elsewhere)."""

TRANSPARENT = ("threading", "queue", "concurrent.futures")
"""Modules that wait on behalf of their callers."""

POOL_WORKER = concurrent.futures.thread._worker.__code__
"""What the thread of a pool runs while it waits for work."""

MAX_SLEEP = timedelta(days=30).total_seconds()
"""A clock takes 31 days at a time."""


class ClockConnection(Protocol):
    """The way to a sandbox's clock, from any thread but the server's."""

    def sleep(self, seconds: float, sleeper: str, *, all_asleep: bool, since: int | None) -> Future[datetime]:
        """Begin a sleep; the future has the instant at which it ended, and cancelling it gives the sleep up.

        `all_asleep` says that nothing else is under way in this process; it counts only if `activities` is still
        `since`.
        """
        ...

    def activities(self) -> int | None:
        """Return a count of what happens in the sandbox, None if it is not known."""
        ...

    def now(self) -> datetime:
        """Return the clock's present instant, or the last one known."""
        ...


class TimeKeeper:
    """Knows how far the clock has gone since `virtual_time` began, and begins sleeps on it."""

    def __init__(self, clock: ClockConnection, exempt: Iterable[str] = ()) -> None:
        self.is_active = True
        self._clock, self._exempt = clock, (*exempt,)
        self._known: dict[str, bool] = {}
        self._last, self._elapsed = clock.now(), 0.0
        self._asleep: set[int] = set()
        self._lock = threading.Lock()

    @property
    def elapsed(self) -> float:
        """Virtual seconds that have passed; they only grow, also when the sandbox is reset."""
        now = self._clock.now()
        with self._lock:
            if now > self._last:
                self._elapsed += (now - self._last).total_seconds()
            self._last = now
            return self._elapsed

    def is_virtual(self, frame: FrameType | None) -> bool:
        """Say whether a call from this frame is virtual: the first module that does not wait for others decides."""
        if not self.is_active or threading.current_thread().name.startswith(OWN_THREADS):
            return False
        while frame is not None:
            name = frame.f_globals.get("__name__") or ""
            if name not in TRANSPARENT and not name.startswith("concurrent.futures."):
                return not self.is_exempt(name)
            frame = frame.f_back
        return True

    def is_exempt(self, module: str) -> bool:
        known = self._known.get(module)
        if known is None:
            known = module.partition(".")[0] in REAL
            known = known or any(module == name or module.startswith(f"{name}.") for name in self._exempt)
            self._known[module] = known
        return known

    def start(self, seconds: float, *, is_alone: bool = False, since: int | None = None) -> Future[datetime]:
        """Begin a sleep of this thread, at most `MAX_SLEEP`.

        `is_alone` if nothing but other threads can be under way, as seen when `activities` was `since`.
        """
        name = f"{os.getpid()}-{threading.get_ident()}"
        all_asleep = is_alone and self._are_others_asleep()
        return self._clock.sleep(min(seconds, MAX_SLEEP), name, all_asleep=all_asleep, since=since)

    def activities(self) -> int | None:
        return self._clock.activities()

    def sleep(self, seconds: float) -> None:
        """Sleep on the clock; returns early when the sandbox is reset."""
        ident = threading.get_ident()
        while seconds > 0:
            self._asleep.add(ident)
            sleep = self.start(seconds, is_alone=True)
            try:
                sleep.result()
            finally:
                self._asleep.discard(ident)
                sleep.cancel()
            seconds -= MAX_SLEEP

    def _are_others_asleep(self) -> bool:
        """Say whether every other thread is in `time.sleep`, or a worker of a pool without work."""
        this, frames = threading.get_ident(), sys._current_frames()
        others = {thread.ident for thread in threading.enumerate() if not thread.name.startswith(OWN_THREADS)}
        awake = others - self._asleep - {this}
        return all(frame.f_code is POOL_WORKER for ident, frame in frames.items() if ident in awake)

    def stop(self) -> None:
        """End all virtual time: calls under way go on in real time."""
        self.is_active = False


_active = threading.Lock()


@contextmanager
def activate(keeper: TimeKeeper) -> Iterator[None]:
    """Make this the only keeper of the process; raises UsageError when there is one."""
    if not _active.acquire(blocking=False):
        raise UsageError(
            "virtual time is on already: a process sleeps on one sandbox's clock at a time. "
            "Leave the first `virtual_time()` before another, or give one test one sandbox with sleeps='virtual'."
        )
    try:
        yield
    finally:
        keeper.stop()
        _active.release()


def caller() -> FrameType:
    """Return the frame that called the caller of this function."""
    return sys._getframe(2)
