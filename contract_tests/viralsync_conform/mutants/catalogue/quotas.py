"""Mutants that charge wrongly, or tell of usage wrongly."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import ceil
from typing import Any

from viralsync_conform.mutants.catalogue.api_keys import ACCOUNT
from viralsync_conform.mutants.catalogue.listing import every_job
from viralsync_conform.mutants.engine.asgi import Answer
from viralsync_conform.mutants.engine.exchange import Layer, MutantCall
from viralsync_conform.mutants.engine.layers import (
    TERMINAL,
    Document,
    edit_json,
    response_mutant,
)
from viralsync_conform.mutants.engine.spec_edits import spec_mutant
from viralsync_conform.mutants.mutant import Mutant

SUBMIT, USAGE, DELETE = "submitRenderJob", "getUsage", "deleteJob"
SECONDS = 60

charges = partial(response_mutant, "charges")
usage = partial(response_mutant, "usage")
ceilings = partial(response_mutant, "ceilings")
plans = partial(spec_mutant, "ceilings")

LEDGER = frozenset({SUBMIT, USAGE, DELETE})


def length(job: Document) -> float:
    """Return how long a job's movie is, in minutes."""
    return float(sum(scene.get("duration", 0) for scene in job["payload"]["movie"]["scenes"]) / SECONDS)


def charging(extra: Callable[[Document], float], *, unfinished: bool = False) -> Layer:
    """Charge so many minutes more for each job than the mock does, once it has ended, or as soon as it is there."""

    async def layer(visit: MutantCall) -> Answer:
        if visit.request.operation in LEDGER:
            await settle(visit)
        answer = await visit.proceed()
        if visit.request.operation == SUBMIT and unfinished:
            await settle(visit)
        return answer

    async def settle(visit: MutantCall) -> None:
        booked: set[str] = visit.memory.setdefault("booked", set())
        jobs = [each for each in await every_job(visit) if unfinished or each["status"] in TERMINAL]
        minutes = sum(extra(job) for job in jobs if job["jobId"] not in booked)
        booked.update(job["jobId"] for job in jobs)
        if minutes:
            account = (await visit.ask("GET", ACCOUNT)).document
            changed = {name: max(0.0, account[name] + minutes) for name in ("minutesUsed", "minutesUsedToday")}
            await visit.ask("PATCH", ACCOUNT, changed)

    return layer


def for_status(wanted: str, minutes: Callable[[float], float]) -> Layer:
    """Charge the jobs that end so, by their length in minutes, beside what they cost."""
    return charging(lambda job: minutes(length(job)) if job["status"] == wanted else 0.0)


def edit_minutes(edit: Callable[[dict[str, Any]], object]) -> Layer:
    """Change what is told of render minutes."""
    return edit_json(lambda d: edit(d["renderMinutes"]), USAGE)


def edit_slots(edit: Callable[[dict[str, Any]], object]) -> Layer:
    """Change what is told of jobs at once."""
    return edit_json(lambda d: edit(d["concurrentJobs"]), USAGE)


CHARGES: tuple[Mutant, ...] = (
    charges("charged-twice", "A done job is charged twice.", for_status("done", lambda minutes: minutes)),
    charges("charged-not", "A done job is not charged.", for_status("done", lambda minutes: -minutes)),
    charges(
        "charged-in-seconds",
        "Seconds are charged as minutes.",
        for_status("done", lambda minutes: minutes * (SECONDS - 1)),
    ),
    charges(
        "charged-rounded-up", "Minutes are rounded up.", for_status("done", lambda minutes: ceil(minutes) - minutes)
    ),
    charges("charged-half", "A done job is charged by half.", for_status("done", lambda minutes: -minutes / 2)),
    charges("charged-failed", "A failed job is charged.", for_status("failed", lambda minutes: minutes)),
    charges("charged-failed-minimum", "A failed job is charged a minute.", for_status("failed", lambda _: 1.0)),
    charges("charged-cancelled", "A cancelled job is charged.", for_status("cancelled", lambda minutes: minutes)),
    charges(
        "charged-unfinished",
        "A job is charged when it is submitted, whatever becomes of it.",
        charging(length, unfinished=True),
    ),
    usage("usage-always-0", "The usage is always 0.", edit_minutes(lambda d: d.update(used=0, remaining=d["limit"]))),
    usage(
        "usage-in-seconds", "The usage is told in seconds.", edit_minutes(lambda d: d.update(used=d["used"] * SECONDS))
    ),
    usage(
        "usage-whole-minutes",
        "The usage is told in whole minutes.",
        edit_minutes(lambda d: d.update(used=int(d["used"]))),
    ),
    usage("usage-as-text", "The usage is a text.", edit_minutes(lambda d: d.update(used=str(d["used"])))),
    usage(
        "usage-other-limit",
        "The limit of the month is that of another plan.",
        edit_minutes(lambda d: d.update(limit=600)),
    ),
    usage(
        "usage-remaining-wrong",
        "What remains does not go with what is used.",
        edit_minutes(lambda d: d.update(remaining=d["limit"])),
    ),
    usage("usage-remaining-negative", "What remains is negative.", edit_minutes(lambda d: d.update(remaining=-1))),
    usage(
        "usage-limit-null",
        "The limit of the month is null.",
        edit_minutes(lambda d: d.update(limit=None, remaining=None)),
    ),
    usage(
        "usage-other-plan",
        "`getUsage` and `getMe` name different plans.",
        edit_json(lambda d: d.update(plan="business"), USAGE),
    ),
    usage(
        "usage-of-last-month",
        "The period is over.",
        edit_json(
            lambda d: d.update(periodStart="2020-01-01T00:00:00.000Z", periodEnd="2020-02-01T00:00:00.000Z"), USAGE
        ),
    ),
    usage(
        "usage-period-of-a-day",
        "The period lasts a day.",
        edit_json(lambda d: d.update(periodEnd=f"{d['periodStart'][:8]}02{d['periodStart'][10:]}"), USAGE),
    ),
    usage(
        "usage-period-empty",
        "The period ends where it begins.",
        edit_json(lambda d: d.update(periodEnd=d["periodStart"]), USAGE),
    ),
    usage("usage-running-0", "No job counts as running.", edit_slots(lambda d: d.update(running=0))),
    usage(
        "usage-running-high",
        "One job more counts as running than there is.",
        edit_slots(lambda d: d.update(running=d["running"] + 1)),
    ),
    usage("usage-slots-wrong", "The plan allows 10 jobs at once.", edit_slots(lambda d: d.update(limit=10))),
    usage(
        "usage-daily-on-pro",
        "Plan Pro has a limit for the day.",
        edit_json(lambda d: d.update(daily={"used": 0, "limit": 5}), USAGE),
    ),
)
