"""Mutants that charge wrongly, tell of usage wrongly, or refuse too much or too little: the ceilings of a plan."""

from __future__ import annotations

import math
from collections.abc import Callable
from math import ceil
from typing import Any

from viralsync_conform.calls import TERMINAL
from viralsync_conform.mutants.catalogue.rate_limit import http_date
from viralsync_conform.mutants.engine.asgi import Answer
from viralsync_conform.mutants.engine.exchange import Layer, MutantCall
from viralsync_conform.mutants.engine.layers import (
    ACCOUNT,
    Document,
    after,
    both,
    edit_error,
    edit_json,
    edit_request,
    every_job,
    under_account,
    when,
)
from viralsync_conform.mutants.mutant import Section

SUBMIT, USAGE, DELETE = "submitRenderJob", "getUsage", "deleteJob"
SECONDS = 60
charges = Section("charges")
usage = Section("usage")
LEDGER = frozenset({SUBMIT, USAGE, DELETE})


def length(*jobs: Document) -> float:
    """Return how long jobs are, in minutes."""
    return float(sum(scene.get("duration", 0) for job in jobs for scene in job["payload"]["movie"]["scenes"])) / SECONDS


def charging(extra: Callable[[Document], float], *, unfinished: bool = False) -> Layer:
    """Charge this many minutes more for each job than the mock does, once it has ended, or as soon as it is there."""

    async def layer(call: MutantCall) -> Answer:
        if call.request.operation in LEDGER:
            await settle(call)
        answer = await call.proceed()
        if call.request.operation == SUBMIT and unfinished:
            await settle(call)
        return answer

    async def settle(call: MutantCall) -> None:
        booked: set[str] = call.memory.setdefault("booked", set())
        jobs = [each for each in await every_job(call) if unfinished or each["status"] in TERMINAL]
        minutes = sum(extra(job) for job in jobs if job["jobId"] not in booked)
        booked.update(job["jobId"] for job in jobs)
        if minutes:
            account = (await call.ask("GET", ACCOUNT)).document
            changed = {name: max(0.0, account[name] + minutes) for name in ("minutesUsed", "minutesUsedToday")}
            await call.ask("PATCH", ACCOUNT, changed)

    return layer


def for_status(wanted: str, minutes: Callable[[float], float]) -> Layer:
    """Charge the jobs that end so, by their length in minutes, beside what they cost."""
    return charging(lambda job: minutes(length(job)) if job["status"] == wanted else 0.0)


SLOTS = {"free": 1, "pro": 3, "business": 6}
NO_SLOTS: Document = {"running": 0, "limit": None}


def _used(change: Callable[[float], float]) -> Layer:
    def edit(document: Document) -> None:
        spend(document, change(document["renderMinutes"]["used"]))

    return edit_json(edit, "getUsage")


def spend(document: Document, used: float) -> None:
    minutes = document["renderMinutes"]
    minutes["used"] = round(used, 6)
    if minutes["limit"] is not None:
        minutes["remaining"] = max(round(minutes["limit"] - used, 6), 0)


async def _jobs(call: MutantCall, *statuses: str) -> list[Document]:
    jobs: list[Document] = []
    for each in statuses:
        jobs += (await call.ask("GET", f"/v1/jobs?limit=100&status={each}")).document["jobs"]
    return jobs


def _charging(*statuses: str, of_progress: bool = False) -> Layer:
    """Charge jobs of these statuses too; of their progress only, if so wanted."""

    async def make(call: MutantCall, answer: Answer) -> Answer:
        document = answer.document
        more = sum(length(j) * (j["progress"] if of_progress else 1) for j in await _jobs(call, *statuses))
        spend(document, document["renderMinutes"]["used"] + more)
        answer.document = document
        return answer

    return after(make, "getUsage", status=200)


@usage.blind("deleted-jobs-refunded", "The minutes of a deleted job are given back.")
async def refund(call: MutantCall) -> Answer:
    request, minutes = call.request, 0.0
    if request.operation == "deleteJob":
        job = (await call.ask("GET", f"/v1/jobs/{request.job_id}")).document
        minutes = length(job) if isinstance(job, dict) and job.get("status") == "done" else 0.0
    answer = await call.proceed()
    if minutes and answer.status == 200:
        call.memory["refund"] = call.memory.get("refund", 0.0) + minutes
    if request.operation == "getUsage" and answer.status == 200:
        document = answer.document
        spend(document, max(0.0, document["renderMinutes"]["used"] - call.memory.get("refund", 0.0)))
        answer.document = document
    return answer


def _one_short(slots: Document) -> Document:
    return {**slots, "running": max(0, slots["running"] - 1)}


def slots_of(*statuses: str) -> Layer:
    """Count jobs of these statuses as unfinished, until they are deleted."""

    async def make(call: MutantCall) -> Answer | None:
        me = (await call.ask("GET", "/v1/me")).document
        limit = SLOTS.get(me.get("plan", ""), math.inf)
        taken = await _jobs(call, "queued", "running", "waiting", *statuses) if limit < math.inf else []
        return _full(call, len(taken), limit)

    return when(make, SUBMIT)


def _full(call: MutantCall, running: int, limit: float | None, *, spare: int = 0) -> Answer | None:
    """Refuse a submission where fewer slots are left than are spared."""
    if limit is None or running < limit - spare:
        return None
    return call.refusal("CONCURRENCY_LIMIT_EXCEEDED", running=running, limit=limit)


def uncounted(is_free: Callable[[MutantCall, Answer], bool]) -> Layer:
    """Ask without counting first; answers for which this holds cost nothing."""

    async def layer(call: MutantCall) -> Answer:
        if call.request.method == "GET" and call.request.operation in {"getJob", "getMe", "getUsage", "listJobs"}:
            looked = await call.again(call.request)
            if is_free(call, looked):
                return looked
        return await call.proceed()

    return layer


@usage.blind("frame-compared-by-area", "A frame that is too wide for Pro fits if its area does.")
async def by_area(call: MutantCall) -> Answer:
    answer = await call.proceed()
    document: Any = call.request.document
    if answer.code == "PLAN_LIMIT_EXCEEDED" and call.request.operation == "submitRenderJob":
        movie = document["movie"]
        width, height = movie.get("width") or 1920, movie.get("height") or 1080
        if width * height <= 1920 * 1080 and width > 1920:
            return await call.proceed(call.request.with_document({**document, "movie": {**movie, "width": 1920}}))
    return answer


charges.add("charged-twice", "A done job is charged twice.", for_status("done", lambda minutes: minutes))
charges.add("charged-not", "A done job is not charged.", for_status("done", lambda minutes: -minutes))
charges.add(
    "charged-in-seconds", "Seconds are charged as minutes.", for_status("done", lambda minutes: minutes * (SECONDS - 1))
)
charges.add(
    "charged-rounded-up", "Minutes are rounded up.", for_status("done", lambda minutes: ceil(minutes) - minutes)
)
charges.add("charged-half", "A done job is charged by half.", for_status("done", lambda minutes: -minutes / 2))
charges.add("charged-failed", "A failed job is charged.", for_status("failed", lambda minutes: minutes))
charges.add("charged-failed-minimum", "A failed job is charged a minute.", for_status("failed", lambda _: 1.0))
charges.add("charged-cancelled", "A cancelled job is charged.", for_status("cancelled", lambda minutes: minutes))
charges.add("charged-unfinished", "A job is charged when it is submitted, whatever becomes of it.",
    charging(length, unfinished=True))  # fmt: skip
usage.add("usage-period-of-a-day", "The period lasts a day.",
    edit_json(lambda d: d.update(periodEnd=f"{d['periodStart'][:8]}02{d['periodStart'][10:]}"), USAGE))  # fmt: skip
usage.blind.add("usage-in-whole-minutes", "The minutes used are rounded up to whole ones.",
    _used(lambda used: float(math.ceil(used))))  # fmt: skip
usage.blind.add("usage-in-tenths", "The minutes used are rounded to tenths.", _used(lambda used: round(used, 1)))
usage.blind.add("minutes-used-in-seconds", "The minutes used are given in seconds.", _used(lambda used: used * 60))
usage.blind.add("cancelled-jobs-charged", "Cancelled jobs are charged in full.", _charging("cancelled"))
usage.blind.add("cancelled-jobs-charged-in-part", "Cancelled jobs are charged by their progress.",
    _charging("cancelled", of_progress=True))  # fmt: skip
usage.blind.add(
    "failed-jobs-charged-in-part", "Failed jobs are charged by their progress.", _charging("failed", of_progress=True)
)
usage.blind.add("charged-on-submission", "Jobs are charged as soon as they are submitted.",
    _charging("queued", "running", "waiting"))  # fmt: skip
usage.blind.add("failed-jobs-keep-slots", "A failed job keeps its slot until it is deleted.", slots_of("failed"))
usage.blind.add(
    "cancelled-jobs-keep-slots", "A cancelled job keeps its slot until it is deleted.", slots_of("cancelled")
)
usage.blind.add("done-jobs-keep-slots", "A done job keeps its slot until it is deleted.", slots_of("done"))
usage.blind.add("not-found-costs-nothing", "A 404 does not count against the rate limit.",
    uncounted(lambda _, answer: answer.status == 404))  # fmt: skip
usage.blind.add("usage-costs-nothing", "Asking for the usage does not count against the rate limit.",
    uncounted(lambda call, _: call.request.operation == "getUsage"))  # fmt: skip
usage.blind.add("invalid-costs-nothing", "A 400 does not count against the rate limit.",
    uncounted(lambda _, answer: answer.status == 400))  # fmt: skip


ceilings = Section("ceilings")


@ceilings("quota-refused-early", "Half a quota is taken for a spent one.", when, SUBMIT)
async def half_the_quota(call: MutantCall) -> Answer | None:
    minutes = (await standing(call)).get("renderMinutes", {"limit": None})
    if minutes["limit"] is None or minutes["used"] < minutes["limit"] / 2:
        return None
    return call.refusal("RENDER_QUOTA_EXCEEDED", **minutes, resetsAt="2026-02-01T00:00:00.000Z")


@ceilings("quota-daily-everywhere", "Every plan has five minutes a day.", when, SUBMIT)
async def a_day_of_free(call: MutantCall) -> Answer | None:
    today = (await call.ask("GET", ACCOUNT)).document.get("minutesUsedToday", 0)
    if today < 5:
        return None
    return call.refusal("RENDER_QUOTA_DAILY_EXCEEDED", used=today, limit=5, resetsAt="2026-01-02T00:00:00.000Z")


@ceilings("concurrency-one-less", "One job less may run at once than the plan allows.", when, SUBMIT)
async def one_job_less(call: MutantCall) -> Answer | None:
    slots = (await standing(call)).get("concurrentJobs", NO_SLOTS)
    return _full(call, slots["running"], slots["limit"], spare=1)


@ceilings("concurrency-one-more", "One job more may run at once than the plan allows.", after, SUBMIT, status=409)
async def one_job_more(call: MutantCall, answer: Answer) -> Answer | None:
    slots = (await standing(call))["concurrentJobs"]
    if answer.code != "CONCURRENCY_LIMIT_EXCEEDED" or slots["running"] != slots["limit"]:
        return None
    return await under_account("CONCURRENCY_LIMIT_EXCEEDED", "plan", "enterprise", SUBMIT)(call)


@ceilings("concurrency-counts-ended", "Jobs that have ended count among those at once.", when, SUBMIT)
async def counts_all(call: MutantCall) -> Answer | None:
    limit = (await standing(call)).get("concurrentJobs", NO_SLOTS)["limit"]
    return _full(call, len(await every_job(call)), limit)


def about(word: str) -> Layer:
    """Overlook the plan limit whose text has this word."""
    over = under_account("PLAN_LIMIT_EXCEEDED", "plan", "enterprise", SUBMIT)

    async def layer(call: MutantCall) -> Answer:
        answer = await call.proceed()
        is_meant = answer.code == "PLAN_LIMIT_EXCEEDED" and word in answer.document["error"]
        return await over(call) if is_meant else answer

    return layer


@ceilings("plan-limit-fails-later", "A movie that is too large is taken.", after, SUBMIT, status=402)
async def accepts_and_fails(call: MutantCall, answer: Answer) -> Answer | None:
    if answer.code != "PLAN_LIMIT_EXCEEDED":
        return None
    failing = edit_request(lambda request: request.with_headers(x_mock_scenario="assemble-fails"), SUBMIT)
    return await both(failing, under_account("PLAN_LIMIT_EXCEEDED", "plan", "enterprise", SUBMIT))(call)


async def standing(call: MutantCall) -> Document:
    found: Document = (await call.ask("GET", "/v1/usage")).document
    return found


ceilings.add("length-not-enforced", "A movie may be of any length.", about("lasts"))
ceilings.add("size-not-enforced", "A movie may be of any size.", about("frame"))
usage.blind.add("retry-after-as-date", "Retry-After is a date.", edit_error(http_date, "RATE_LIMITED"))
usage.blind.add("usage-one-slot-short", "The usage counts one job at once too few.",
    edit_json(lambda d: d.update(concurrentJobs=_one_short(d["concurrentJobs"])), USAGE))  # fmt: skip
MUTANTS = (*charges.mutants, *usage.mutants, *ceilings.mutants)
