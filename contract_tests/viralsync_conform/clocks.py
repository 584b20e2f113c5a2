"""How a run lets time pass: for real, or on the virtual clock of a mock. The one door of the kit to real time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Protocol

from viralsync_mock.client import ControlError, Sandbox

POLL_INTERVAL = (*(1.0,) * 6, 2.0, 2.0, 3.0, *(5.0,) * 6, 15.0)
"""Real seconds between two looks at a job; the last one repeats."""


class Clock(Protocol):
    """Where a run waits."""

    patience: float
    """Seconds of the target's time that a job is given to end."""

    def now(self) -> datetime:
        """Return the instant, aware, UTC."""
        ...

    def wait(self, seconds: float) -> None:
        """Return when this many seconds have passed for the target."""
        ...

    def wait_for_change(self, looks: int) -> None:
        """Let the target go on to where it is worth another look, after this many looks."""
        ...


class RealClock:
    """Waits as long as it says."""

    def __init__(self, patience: float = 600.0) -> None:
        self.patience = patience

    def now(self) -> datetime:
        """Return the instant of this machine."""
        return datetime.now(UTC)

    def wait(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(max(0.0, seconds))

    def wait_for_change(self, looks: int) -> None:
        """Sleep, longer the more often one has looked."""
        self.wait(self.interval(looks))

    @staticmethod
    def interval(looks: int) -> float:
        """Return the seconds to the next look, after this many."""
        return POLL_INTERVAL[min(looks, len(POLL_INTERVAL) - 1)]


class VirtualClock:
    """Moves the frozen clock of a sandbox; what was due has been delivered when a wait returns."""

    patience = 1200.0
    idle_seconds, max_steps = 60.0, 30

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._mode, self._rate = "frozen", 1.0
        self._now: datetime | None = None

    def freeze(self) -> None:
        """Let the sandbox's time stand still from here on."""
        self._mode, self._rate = self._sandbox.clock.mode, self._sandbox.clock.rate
        self._sandbox.clock.freeze()

    def restore(self) -> None:
        """Give the clock back as it was."""
        if self._mode == "auto":
            self._sandbox.clock.auto()
        elif self._mode in {"real", "scaled"}:
            self._sandbox.clock.real(self._rate)

    def now(self) -> datetime:
        """Return the instant of the sandbox."""
        if self._now is None:
            self._now = self._sandbox.clock.now
        return self._now

    def wait(self, seconds: float) -> None:
        """Advance."""
        if seconds > 0:
            self._sandbox.clock.advance(seconds)
        self._now = self._sandbox.clock.now  # here and not when asked: a stream's thread may ask in the middle of it

    def wait_for_change(self, looks: int) -> None:
        """Advance to whatever happens next; after many looks, in strides."""
        if looks > self.max_steps:
            self.wait(self.idle_seconds)
            return
        try:
            self._sandbox.clock.advance_to_next()
        except ControlError as refusal:
            if refusal.code != "NOTHING_DUE":
                raise
            self._sandbox.clock.advance(self.idle_seconds)
        self._now = self._sandbox.clock.now

    def until(self, instant: datetime) -> None:
        """Advance to an instant, in strides that the mock allows."""
        while (left := (instant - self.now()).total_seconds()) > 0:
            self.wait(min(left, timedelta(days=30).total_seconds()))


@contextmanager
def measured() -> Iterator[list[float]]:
    """Put the real seconds that the block took into the list."""
    taken: list[float] = []
    start = time.monotonic()
    try:
        yield taken
    finally:
        taken.append(time.monotonic() - start)


def monotonic() -> float:
    """Return real seconds that never go back."""
    return time.monotonic()


def pause(seconds: float) -> None:
    """Sleep in real time, whatever the target's clock does."""
    time.sleep(seconds)
