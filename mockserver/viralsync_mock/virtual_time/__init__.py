"""Sleeps of this process on a sandbox's clock: what `sandbox.virtual_time()` and `sleeps="virtual"` switch on.

Inside `virtual_time` every wait of the code under test that has a time-out ends on the clock instead of in real time:
`time.sleep`, timers of asyncio and trio, `Event.wait`, `Condition.wait`, `queue.get`. `time.monotonic`, `time.time` and
`perf_counter` are ahead by the time that the clock has gone. Threads of the mock and exempt modules keep real time.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from viralsync_mock.virtual_time.blocking import conditions
from viralsync_mock.virtual_time.event_loops import asyncio_loops, trio_runs
from viralsync_mock.virtual_time.functions import refuse_other_clocks, time_functions
from viralsync_mock.virtual_time.keeper import ClockConnection, TimeKeeper, activate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["ClockConnection", "TimeKeeper", "virtual_time"]


@contextmanager
def virtual_time(clock: ClockConnection, exempt: Iterable[str] = ()) -> Iterator[TimeKeeper]:
    """Let this process sleep on a clock; everything is as before afterwards.

    Functions called from modules or packages named in `exempt` keep real time. Raises UsageError inside another
    `virtual_time`, and beside freezegun or time-machine.
    """
    refuse_other_clocks()
    keeper = TimeKeeper(clock, exempt)
    with ExitStack() as stack:
        stack.enter_context(activate(keeper))
        for patch in (time_functions, conditions, asyncio_loops, trio_runs):
            stack.enter_context(patch(keeper))
        yield keeper
