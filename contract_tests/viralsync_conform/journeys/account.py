"""The account behind the key: who it is, what it used, and what its plan allows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from viralsync_conform.budget import worst_case
from viralsync_conform.calls import Exchange, instant_of
from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.findings import Check
from viralsync_conform.run.job_invariants import jobs_of
from viralsync_conform.run.journey import journey
from viralsync_conform.run.journey_context import JourneyContext

UNAUTHORIZED = 401
MAX_SUMS = 4096
"""So many ways of adding up the lengths of jobs are tried."""


def usage_of(context: JourneyContext, step: str) -> Exchange:
    """Return what the account used so far."""
    return context.call("getUsage", 200, step=step)


def used(call: Exchange | None) -> float | None:
    """Return the render minutes that a usage shows; None where it shows none."""
    minutes = call.document.get("renderMinutes") if call else None
    value = minutes.get("used") if isinstance(minutes, dict) else None
    return float(value) if isinstance(value, int | float) else None


def paid_by_others(context: JourneyContext, minutes: float, before: Exchange, after: Exchange) -> bool:
    """Say whether this many minutes were charged for other jobs of the account, which were done between two looks."""
    if minutes <= 0:
        return False
    page = context.call("listJobs", 200, query={"limit": 100}, step="what else was charged")
    start, end = _about(before, -1), _about(after, 1)
    sums = {0.0}
    for job in jobs_of(context.run, page):
        ended = instant_of(job.get("updatedAt"))
        is_other = job.get("status") == "done" and job.get("jobId") not in context.run.jobs
        if is_other and ended is not None and start <= ended <= end and len(sums) < MAX_SUMS:
            sums |= {each + length_of(job) / 60 for each in sums}
    return any(abs(each - minutes) < 1e-4 for each in sums)


def check_free(context: JourneyContext, before: Exchange, after: Exchange, name: str = "") -> None:
    """What lies between two usages costs nothing, unless it was charged for jobs of others."""
    spent, now = used(before), used(after)
    if spent is not None and now is not None:
        holds = abs(now - spent) < 1e-6 or paid_by_others(context, now - spent, before, after)
        context.check(facts.NOT_CHARGED, holds, before, after, expected=spent, got=now, name=name)


def length_of(job: Mapping[str, Any]) -> float:
    """Return how long the output of a job is, in seconds: as it says itself, or else as it was submitted."""
    media = job.get("mediaData")
    if isinstance(media, dict) and isinstance(media.get("duration"), int | float):
        return float(media["duration"])
    return worst_case(job.get("payload")) * 60


def _about(call: Exchange, way: int) -> datetime:
    """Return when a call was made by the target's own clock, with room on one side."""
    date = call.header("date")
    at, room = (parsedate_to_datetime(date), 3.0) if date else (call.at, 120.0)
    return at + timedelta(seconds=way * room)


@journey("account", "Account and usage agree with each other and with the plans, by either key header.", 6)
def account(context: JourneyContext) -> None:
    me = context.call("getMe", 200, step="me by x-api-key")
    by_bearer = context.call("getMe", 200, fact=facts.BEARER, auth="bearer", step="me by bearer")
    if by_bearer.is_success and me.status == UNAUTHORIZED:
        context.check(facts.BEARER, False, by_bearer, expected="200 by either header", got="401 by x-api-key")
    if me.is_success and by_bearer.is_success:
        context.check_equal(facts.BEARER, me.document, by_bearer.document, me, by_bearer)
    usage = usage_of(context, "usage")
    again = context.call("getUsage", 200, fact=facts.BEARER, auth="bearer", step="usage by bearer")
    if not (me.is_success and usage.is_success):
        return
    if usage.document and again.document:
        context.check_equal(facts.BEARER, usage.document.get("plan"), again.document.get("plan"), usage, again)
    email = str(me.document.get("email"))
    context.check(facts.EMAIL, "@" in email.strip("@"), me, expected="an address", got=f"{len(email)} characters")
    plan = me.document.get("plan")
    context.check_equal(facts.PLAN_AGREES, plan, usage.document.get("plan"), me, usage)
    limits(context, str(plan), usage)
    _period(context, usage)


LIMITS_SHOWN = Check("limits_shown", "Usage shows limits as it is assumed to.", facts.A, facts.MINUTES)


def limits(context: JourneyContext, plan: str, usage: Exchange) -> None:
    """Hold a usage against the terms of a plan."""
    terms = context.run.contract.spec.plans.get(plan)
    minutes, jobs = _part(usage, "renderMinutes"), _part(usage, "concurrentJobs")
    if terms is None or not minutes:
        return
    for name, part, expected in (
        ("month", minutes, terms.minutes_per_month),
        ("jobs at once", jobs, terms.jobs_at_once),
    ):
        shown = part.get("limit")
        is_readable = "limit" in part and (shown is None or isinstance(shown, int | float))
        context.check_equal(facts.PLAN_LIMITS if is_readable else LIMITS_SHOWN, expected, shown, usage, name=name)
    daily = usage.document.get("daily")
    per_day = daily.get("limit") if isinstance(daily, dict) else None
    context.check_equal(facts.PLAN_LIMITS, terms.minutes_per_day, per_day, usage, name="day")
    limit, spent, left = minutes.get("limit"), minutes.get("used"), minutes.get("remaining")
    if limit is None:
        context.check_equal(facts.REMAINING, None, left, usage)
    elif isinstance(limit, int | float) and isinstance(spent, int | float):
        fits = isinstance(left, int | float) and abs(max(0.0, limit - spent) - left) < 0.001
        context.check(facts.REMAINING, fits, usage, expected=max(0.0, limit - spent), got=left)


def _period(context: JourneyContext, usage: Exchange) -> None:
    start, end = (instant_of(usage.document.get(name)) for name in ("periodStart", "periodEnd"))
    if start is None or end is None:
        return
    is_first = all((each.day, each.hour, each.minute, each.second) == (1, 0, 0, 0) for each in (start, end))
    follows = (end.year * 12 + end.month) - (start.year * 12 + start.month) == 1
    context.check(facts.PERIOD, is_first and follows, usage, expected="the 1st, 00:00, of two months", got=(start, end))
    date = usage.header("date")
    if date:
        now = parsedate_to_datetime(date)
        context.check(facts.PERIOD, start <= now < end, usage, expected=f"holds {now}", got=(start, end), name="now")


def _part(call: Exchange, name: str) -> dict[str, Any]:
    part = call.document.get(name)
    return part if isinstance(part, dict) else {}
