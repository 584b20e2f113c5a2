"""Waits of threads: `Condition.wait`, and with it `Event.wait`, `queue.get` and `Future.result`."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, cast

from viralsync_mock.virtual_time.keeper import MAX_SLEEP, caller

if TYPE_CHECKING:
    from collections.abc import Iterator

    from viralsync_mock.virtual_time.keeper import TimeKeeper


@contextmanager
def conditions(keeper: TimeKeeper) -> Iterator[None]:
    """Let waits with a time-out end on the clock."""
    original = threading.Condition.wait

    @wraps(original)
    def wait(self: threading.Condition, timeout: float | None = None) -> bool:
        is_timed = timeout is not None and 0 < timeout <= MAX_SLEEP
        if not is_timed or not keeper.is_virtual(caller()):
            return original(self, timeout)
        return _wait(keeper, self, cast("float", timeout))

    threading.Condition.wait = wait  # type: ignore[method-assign]
    try:
        yield
    finally:
        threading.Condition.wait = original  # type: ignore[method-assign]


def _wait(keeper: TimeKeeper, given: threading.Condition, timeout: float) -> bool:
    """Do as `Condition.wait` does, which notifies by releasing a lock; here the clock releases it too."""
    condition: Any = given
    if not condition._is_owned():
        raise RuntimeError("cannot wait on un-acquired lock")
    waiter = threading.Lock()
    waiter.acquire()
    condition._waiters.append(waiter)
    sleep = keeper.start(timeout, is_alone=True)
    state = condition._release_save()
    try:
        sleep.add_done_callback(lambda _: _release(waiter))
        waiter.acquire()
    finally:
        sleep.cancel()
        condition._acquire_restore(state)
        is_notified = waiter not in condition._waiters
        if not is_notified:
            condition._waiters.remove(waiter)
    return is_notified


def _release(waiter: threading.Lock) -> None:
    try:
        waiter.release()
    except RuntimeError:  # notified at the same moment
        return
