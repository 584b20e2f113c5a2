"""The four ceilings: rate limit, quota, plan limit, concurrency limit.

Docs pages /billing, /billing/rate-limits, /concepts/render-minutes.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from viralsync_mock.errors import ApiError
from viralsync_mock.jobs.models import Status, timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from viralsync_mock.config.behaviour import BehaviourProfile
    from viralsync_mock.jobs.store import JobStore, Usage, WindowSlot
    from viralsync_mock.openapi.spec import Plan, RateLimit

COUNTED_STATUSES = {
    "unfinished": (Status.QUEUED, Status.RUNNING, Status.WAITING),
    "running+waiting": (Status.RUNNING, Status.WAITING),
    "running": (Status.RUNNING,),
}
"""The statuses that the switch `concurrency.counts` names."""


class PlanLimits(NamedTuple):
    """The checks of one submission, in the order of precedence: quota, plan limit, concurrency limit."""

    plan: Plan
    behaviour: BehaviourProfile
    now: datetime
    quota: bool = True
    concurrency: bool = True

    def check(self, seconds: float, frame: tuple[float, float], usage: Callable[[datetime], Usage]) -> None:
        """Raise the ApiError of the first limit that a movie of this length and frame exceeds.

        `usage` is not called for a plan without limits.
        """
        if self.quota and (self.plan.minutes_per_month, self.plan.minutes_per_day) != (None, None):
            self._check_quota(seconds, usage(self.now))
        self._check_plan_limit(seconds, frame)
        if self.concurrency and self.plan.jobs_at_once is not None:
            self._check_concurrency(usage(self.now), self.plan.jobs_at_once)

    def _check_quota(self, seconds: float, usage: Usage) -> None:
        ahead = seconds / 60 if self.behaviour.quota_check == "forecast" else 0.0
        for code, used, limit, resets in (
            ("RENDER_QUOTA_EXCEEDED", usage.minutes, self.plan.minutes_per_month, next_month(self.now)),
            (
                "RENDER_QUOTA_DAILY_EXCEEDED",
                usage.minutes_today,
                self.plan.minutes_per_day,
                next_day(self.now),
            ),
        ):
            if limit is not None and (used >= limit or used + ahead > limit):
                raise ApiError(code, used=minutes_text(used), limit=limit, resetsAt=timestamp(resets))

    def _check_plan_limit(self, seconds: float, frame: tuple[float, float]) -> None:
        if seconds > self.plan.longest_movie_seconds:
            reason = f"the movie lasts {seconds:.12g} s, at most {self.plan.longest_movie_seconds:g} s are allowed"
        elif not _fits(frame, self.plan.largest_frame):
            allowed = "x".join(map(str, self.plan.largest_frame))
            reason = f"the frame is {frame[0]:g}x{frame[1]:g}, at most {allowed} (either way up) is allowed"
        else:
            return
        raise ApiError("PLAN_LIMIT_EXCEEDED", plan=self.plan.name, reason=reason)

    def _check_concurrency(self, usage: Usage, limit: int) -> None:
        running = usage.count(*COUNTED_STATUSES[self.behaviour.concurrency_counts])
        if running >= limit:
            raise ApiError("CONCURRENCY_LIMIT_EXCEEDED", running=running, limit=limit)


def minutes_text(minutes: float) -> str:
    """Return render minutes as the text of an error shows them."""
    return f"{round(minutes, 4):.12g}"


def _fits(frame: tuple[float, float], largest: tuple[int, int]) -> bool:
    """Compare long side with long side: an upright frame fits where a wide one does."""
    (width, height), (long, short) = frame, largest
    return (width <= long and height <= short) or (width <= short and height <= long)


def this_month(instant: datetime) -> datetime:
    """Return the start of the calendar month, UTC."""
    return datetime(instant.year, instant.month, 1, tzinfo=UTC)


def next_month(instant: datetime) -> datetime:
    """Return the start of the next calendar month, UTC: when the quota of the month resets."""
    return this_month(this_month(instant) + timedelta(days=31))


def next_day(instant: datetime) -> datetime:
    """Return the next midnight, UTC: when the daily quota resets."""
    return datetime(instant.year, instant.month, instant.day, tzinfo=UTC) + timedelta(days=1)


class RateLimited(ApiError):
    """The window is full until `slot.free_at`."""

    def __init__(self, slot: WindowSlot, seconds: int) -> None:
        super().__init__("RATE_LIMITED", headers={"retry-after": str(seconds)}, retryAfter=seconds)
        self.slot = slot


def count_request(store: JobStore, limit: RateLimit, now: datetime) -> WindowSlot:
    """Count one call against the sliding window; raises RateLimited, with `Retry-After` in whole seconds, rounded up.

    A refused call is not counted, and one made after `Retry-After` seconds succeeds.
    """
    slot = store.count_request(now, limit.requests, limit.window)
    if slot.free_at is not None:
        wait = math.ceil((slot.free_at - now).total_seconds())
        raise RateLimited(slot, wait)
    return slot
