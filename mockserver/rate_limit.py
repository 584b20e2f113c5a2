"""The rate limit: so many requests in any window, sliding, per API key (docs page /billing/rate-limits)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mockserver.errors import ApiError

if TYPE_CHECKING:
    from datetime import datetime

    from mockserver.spec import RateLimit
    from mockserver.store import Store


class RateLimited(ApiError):
    """The window is full; `free_at` is the instant from which the next call succeeds."""

    def __init__(self, free_at: datetime, seconds: int) -> None:
        super().__init__("RATE_LIMITED", headers={"retry-after": str(seconds)}, retryAfter=seconds)
        self.free_at = free_at


def spend(store: Store, limit: RateLimit, now: datetime) -> None:
    """Count one call against the window, or raise RateLimited: a refused call is not counted.

    `Retry-After` is in whole seconds, rounded up, so that a call made after that wait succeeds.
    """
    free_at = store.spend(now, limit.requests, limit.window).free_at
    if free_at is not None:
        wait = max(math.ceil((free_at - now).total_seconds()), 1)
        raise RateLimited(free_at, wait)
