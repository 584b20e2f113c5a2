"""The rate limit: so many requests in any window, sliding, per API key (docs page /billing/rate-limits)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from viralsync_mock.errors import ApiError

if TYPE_CHECKING:
    from datetime import datetime

    from viralsync_mock.jobs.store import Store, WindowSlot
    from viralsync_mock.openapi.spec import RateLimit


class RateLimited(ApiError):
    """The window is full; the `slot` knows the instant from which the next call succeeds."""

    def __init__(self, slot: WindowSlot, seconds: int) -> None:
        super().__init__("RATE_LIMITED", headers={"retry-after": str(seconds)}, retryAfter=seconds)
        self.slot = slot


def spend(store: Store, limit: RateLimit, now: datetime) -> WindowSlot:
    """Count one call against the window and return where it stands, or raise RateLimited: that call is not counted.

    `Retry-After` is in whole seconds, rounded up, so that a call made after that wait succeeds.
    """
    slot = store.count_request(now, limit.requests, limit.window)
    if slot.free_at is not None:
        wait = max(math.ceil((slot.free_at - now).total_seconds()), 1)
        raise RateLimited(slot, wait)
    return slot
