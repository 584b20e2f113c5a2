"""The ceilings: rate limit, render minutes, size and length of a movie, jobs at once."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING

from . import clock

if TYPE_CHECKING:
    from .call import Call
    from .model import Account, Job
    from .orders import Order
    from .world import World


class Window:
    """At most `limit` requests in any `seconds`; a window that does not slide starts anew every `seconds`."""

    def __init__(self, limit: int, seconds: float, *, slides: bool = True) -> None:
        self.limit = limit
        self.seconds = seconds
        self.slides = slides
        self.hits: deque[float] = deque()
        self.opened = clock.monotonic()

    def take(self, now: float, cost: int = 1, *, keep_refused: bool = False) -> float:
        """Seconds until the request would be let through; 0.0 when it is, and then it counts."""
        self._forget(now)
        if cost == 0:
            return 0.0
        if len(self.hits) + cost <= self.limit:
            self.hits.extend([now] * cost)
            return 0.0
        if keep_refused:
            self.hits.append(now)
        oldest = self.hits[min(len(self.hits), len(self.hits) + cost - self.limit) - 1] if self.slides else self.opened
        return max(0.001, oldest + self.seconds - now)

    def left(self) -> int:
        """How many requests the window would let through now."""
        return max(0, self.limit - len(self.hits))

    def _forget(self, now: float) -> None:
        if not self.slides:
            if now - self.opened >= self.seconds:
                self.hits.clear()
                self.opened += self.seconds * ((now - self.opened) // self.seconds)
            return
        while self.hits and now - self.hits[0] >= self.seconds:
            self.hits.popleft()


def check_rate(world: World, call: Call) -> None:
    """Count the call; refused when its key has used up the window."""
    window = world.window(world.conduct.rate_scope(call))
    call.window = window
    now = clock.monotonic()
    keep = world.readings.refused_use_budget
    wait = window.take(now, world.conduct.rate_cost(call), keep_refused=keep)
    if not wait:
        return
    if world.conduct.rate_penalty:
        window.hits.append(now)
    seconds = max(1, math.ceil(wait + 0.005)) + world.readings.retry_after_extra
    value = world.conduct.retry_after(seconds)
    headers = {} if value is None else {"Retry-After": value}
    world.refuse("rate", f"Too many requests. Retry after {seconds} seconds.", headers)


def check_plan_size(world: World, call: Call, order: Order) -> None:
    """Refused when the movie is longer or larger than the plan allows."""
    plan = world.plan_of(call.account)
    if order.length > plan.longest:
        world.refuse("length", f"The {plan.name} plan allows {plan.longest / 60:g} minutes per job.")
    asked, allowed = (order.width, order.height), plan.frame
    if world.readings.frame_compare == "sides":
        asked, allowed = (max(asked), min(asked)), (max(allowed), min(allowed))
    if asked[0] > allowed[0] or asked[1] > allowed[1]:
        world.refuse("frame", f"The {plan.name} plan allows {plan.frame[0]}x{plan.frame[1]}.")


def check_quota(world: World, call: Call, order: Order) -> None:
    """Refused when the render minutes of the month, or of the day, are used up."""
    plan, now = world.plan_of(call.account), world.now()
    ahead = order.length / 60 if world.readings.quota_check == "forecast" else 0.0
    used, today = call.account.minutes[f"{now:%Y-%m}"], call.account.minutes[f"{now:%Y-%m-%d}"]
    if plan.daily is not None and _spent(today, ahead, plan.daily):
        world.refuse("daily-quota", "The render minutes of today are used up.")
    if plan.minutes is not None and _spent(used, ahead, plan.minutes):
        world.refuse("quota", "The render minutes of this month are used up.")


def _spent(used: float, ahead: float, limit: float) -> bool:
    return used >= limit or used + ahead > limit + 1e-9


def check_slots(world: World, call: Call) -> None:
    """Refused when the account has as many jobs at once as its plan allows."""
    limit = world.plan_of(call.account).at_once
    if limit is not None and len(slots_taken(world, call.account)) >= limit:
        world.refuse("slots", f"The plan allows {limit} jobs at once.")


def slots_taken(world: World, account: Account) -> list[Job]:
    """The renders of the account that count as being there at once."""
    return [job for job in account.jobs if job.type == "render.movie" and not job.parent and _counts(world, job)]


def _counts(world: World, job: Job) -> bool:
    if job.ended:
        return world.conduct.ended_job_holds_slot(job)
    counted = {"unfinished": {"queued", "running", "waiting"}, "running_and_waiting": {"running", "waiting"}}
    return world.status_of(job) in counted.get(world.readings.concurrency_counts, {"running"})
