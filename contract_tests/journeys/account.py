"""The account behind the key: who it is, what it used, and what its plan allows."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from contract_tests import facts
from contract_tests.calls import Call
from contract_tests.journey import journey
from contract_tests.trip import Trip


def usage_of(trip: Trip, step: str) -> Call:
    """Return what the account used so far."""
    return trip.call("getUsage", 200, step=step)


def used(call: Call | None) -> float | None:
    """Return the render minutes that a usage shows; None where it shows none."""
    minutes = call.document.get("renderMinutes") if call else None
    value = minutes.get("used") if isinstance(minutes, dict) else None
    return float(value) if isinstance(value, int | float) else None


@journey(6)
def account(trip: Trip) -> None:
    """Account and usage agree with each other and with the plans, by either key header."""
    me = trip.call("getMe", 200, step="me by x-api-key")
    by_bearer = trip.call("getMe", 200, fact=facts.BEARER, auth="bearer", step="me by bearer")
    if me.is_success and by_bearer.is_success:
        trip.same(facts.BEARER, me.document, by_bearer.document, me, by_bearer)
    usage = usage_of(trip, "usage")
    again = trip.call("getUsage", 200, fact=facts.BEARER, auth="bearer", step="usage by bearer")
    if not (me.is_success and usage.is_success):
        return
    if usage.document and again.document:
        trip.same(facts.BEARER, usage.document.get("plan"), again.document.get("plan"), usage, again)
    plan = me.document.get("plan")
    trip.same(facts.PLAN_AGREES, plan, usage.document.get("plan"), me, usage)
    _limits(trip, str(plan), usage)
    _period(trip, usage)


def _limits(trip: Trip, plan: str, usage: Call) -> None:
    terms = trip.run.contract.spec.plans.get(plan)
    minutes, jobs = _part(usage, "renderMinutes"), _part(usage, "concurrentJobs")
    if terms is None or not minutes:
        return
    trip.same(facts.PLAN_LIMITS, terms.minutes_per_month, minutes.get("limit"), usage, name="month")
    trip.same(facts.PLAN_LIMITS, terms.jobs_at_once, jobs.get("limit"), usage, name="jobs at once")
    daily = usage.document.get("daily")
    per_day = daily.get("limit") if isinstance(daily, dict) else None
    trip.same(facts.PLAN_LIMITS, terms.minutes_per_day, per_day, usage, name="day")
    limit, spent, left = minutes.get("limit"), minutes.get("used"), minutes.get("remaining")
    if limit is None:
        trip.same(facts.REMAINING, None, left, usage)
    elif isinstance(limit, int | float) and isinstance(spent, int | float):
        fits = isinstance(left, int | float) and abs(max(0.0, limit - spent) - left) < 0.001
        trip.hold(facts.REMAINING, fits, usage, expected=max(0.0, limit - spent), got=left)


def _period(trip: Trip, usage: Call) -> None:
    start, end = (_instant(usage.document.get(name)) for name in ("periodStart", "periodEnd"))
    if start is None or end is None:
        return
    is_first = all((each.day, each.hour, each.minute, each.second) == (1, 0, 0, 0) for each in (start, end))
    follows = (end.year * 12 + end.month) - (start.year * 12 + start.month) == 1
    trip.hold(facts.PERIOD, is_first and follows, usage, expected="the 1st, 00:00, of two months", got=(start, end))
    date = usage.header("date")
    if date:
        now = parsedate_to_datetime(date)
        trip.hold(facts.PERIOD, start <= now < end, usage, expected=f"holds {now}", got=(start, end), name="now")


def _part(call: Call, name: str) -> dict[str, Any]:
    part = call.document.get(name)
    return part if isinstance(part, dict) else {}


def _instant(value: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found if found.tzinfo else None
