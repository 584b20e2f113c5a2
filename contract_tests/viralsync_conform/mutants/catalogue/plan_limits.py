"""Mutants that refuse too much or too little: quota, plan limit, concurrency limit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from viralsync_conform.mutants.catalogue.api_keys import ACCOUNT, under_account
from viralsync_conform.mutants.catalogue.listing import every_job
from viralsync_conform.mutants.engine.asgi import Answer
from viralsync_conform.mutants.engine.exchange import Layer, MutantCall
from viralsync_conform.mutants.engine.layers import (
    Document,
    after,
    both,
    edit_error,
    edit_request,
    response_mutant,
    status,
    when,
)
from viralsync_conform.mutants.engine.spec_edits import put, spec_mutant
from viralsync_conform.mutants.mutant import Mutant

SUBMIT, USAGE, DELETE = "submitRenderJob", "getUsage", "deleteJob"
SECONDS = 60

charges = partial(response_mutant, "charges")
usage = partial(response_mutant, "usage")
ceilings = partial(response_mutant, "ceilings")
plans = partial(spec_mutant, "ceilings")

LEDGER = frozenset({SUBMIT, USAGE, DELETE})


async def half_the_quota(visit: MutantCall) -> Answer | None:
    """Refuse a submission once half of the month is used up."""
    minutes = (await standing(visit)).get("renderMinutes", {"limit": None})
    if minutes["limit"] is None or minutes["used"] < minutes["limit"] / 2:
        return None
    return visit.refusal("RENDER_QUOTA_EXCEEDED", **minutes, resetsAt="2026-02-01T00:00:00.000Z")


async def a_day_of_free(visit: MutantCall) -> Answer | None:
    """Refuse a submission once five minutes of the day are used up, on every plan."""
    today = (await visit.ask("GET", ACCOUNT)).document.get("minutesUsedToday", 0)
    if today < 5:
        return None
    return visit.refusal("RENDER_QUOTA_DAILY_EXCEEDED", used=today, limit=5, resetsAt="2026-01-02T00:00:00.000Z")


def at_most(slots_less: int) -> Callable[[MutantCall], Any]:
    """Return what refuses a submission when so many slots are left."""

    async def make(visit: MutantCall) -> Answer | None:
        slots = (await standing(visit)).get("concurrentJobs", {"limit": None})
        if slots["limit"] is None or slots["running"] < slots["limit"] - slots_less:
            return None
        return visit.refusal("CONCURRENCY_LIMIT_EXCEEDED", **slots)

    return make


async def one_job_more(visit: MutantCall, answer: Answer) -> Answer | None:
    """Take one job more than the plan allows at once."""
    slots = (await standing(visit))["concurrentJobs"]
    if answer.code != "CONCURRENCY_LIMIT_EXCEEDED" or slots["running"] != slots["limit"]:
        return None
    return await under_account("CONCURRENCY_LIMIT_EXCEEDED", "plan", "enterprise", SUBMIT)(visit)


async def counts_all(visit: MutantCall) -> Answer | None:
    """Count jobs that have ended among those at once."""
    limit = (await standing(visit)).get("concurrentJobs", {"limit": None})["limit"]
    number = len(await every_job(visit))
    if limit is None or number < limit:
        return None
    return visit.refusal("CONCURRENCY_LIMIT_EXCEEDED", running=number, limit=limit)


def about(word: str) -> Layer:
    """Overlook the plan limit whose text has this word."""
    over = under_account("PLAN_LIMIT_EXCEEDED", "plan", "enterprise", SUBMIT)

    async def layer(visit: MutantCall) -> Answer:
        answer = await visit.proceed()
        is_meant = answer.code == "PLAN_LIMIT_EXCEEDED" and word in answer.document["error"]
        return await over(visit) if is_meant else answer

    return layer


async def accepts_and_fails(visit: MutantCall, answer: Answer) -> Answer | None:
    """Take a movie that is too large, and let its job fail."""
    if answer.code != "PLAN_LIMIT_EXCEEDED":
        return None
    failing = edit_request(lambda request: request.with_headers(x_mock_scenario="assemble-fails"), SUBMIT)
    return await both(failing, under_account("PLAN_LIMIT_EXCEEDED", "plan", "enterprise", SUBMIT))(visit)


def other_code(code: str, other: str) -> Layer:
    """Call a refusal by another code."""

    def edit(answer: Answer) -> None:
        answer.document = {**answer.document, "code": other}

    return edit_error(code, edit)


async def standing(visit: MutantCall) -> Document:
    """Return the usage as the mock has it."""
    found: Document = (await visit.ask("GET", "/v1/usage")).document
    return found


CEILINGS: tuple[Mutant, ...] = (
    ceilings(
        "quota-never-refused",
        "A spent quota refuses nothing.",
        under_account("RENDER_QUOTA_EXCEEDED", "minutesUsed", 0),
    ),
    ceilings("quota-refused-early", "Half a quota is taken for a spent one.", when(SUBMIT, half_the_quota)),
    ceilings("quota-daily-everywhere", "Every plan has five minutes a day.", when(SUBMIT, a_day_of_free)),
    ceilings("quota-403", "A spent quota is answered with 403.", edit_error("RENDER_QUOTA_EXCEEDED", status(403))),
    ceilings("quota-429", "A spent quota is answered with 429.", edit_error("RENDER_QUOTA_EXCEEDED", status(429))),
    ceilings("quota-400", "A spent quota is answered with 400.", edit_error("RENDER_QUOTA_EXCEEDED", status(400))),
    ceilings(
        "quota-other-code",
        "A spent quota has the code `QUOTA_EXCEEDED`.",
        other_code("RENDER_QUOTA_EXCEEDED", "QUOTA_EXCEEDED"),
    ),
    ceilings(
        "quota-code-of-day",
        "A spent month has the code of a spent day.",
        other_code("RENDER_QUOTA_EXCEEDED", "RENDER_QUOTA_DAILY_EXCEEDED"),
    ),
    plans("quota-of-pro-20", "Plan Pro has 20 minutes a month.", put("x-plans.pro.renderMinutesPerMonth", 20)),
    plans("quota-of-pro-2000", "Plan Pro has 2000 minutes a month.", put("x-plans.pro.renderMinutesPerMonth", 2000)),
    plans(
        "quota-of-business-200",
        "Plan Business has 200 minutes a month.",
        put("x-plans.business.renderMinutesPerMonth", 200),
    ),
    plans(
        "quota-of-enterprise",
        "Plan Enterprise has 600 minutes a month.",
        put("x-plans.enterprise.renderMinutesPerMonth", 600),
    ),
    ceilings(
        "concurrency-not-enforced",
        "Any number of jobs may run at once.",
        under_account("CONCURRENCY_LIMIT_EXCEEDED", "plan", "enterprise"),
    ),
    ceilings(
        "concurrency-one-more",
        "One job more may run at once than the plan allows.",
        after(SUBMIT, one_job_more, status=409),
    ),
    ceilings("concurrency-one-less", "One job less may run at once than the plan allows.", when(SUBMIT, at_most(1))),
    ceilings("concurrency-counts-ended", "Jobs that have ended count among those at once.", when(SUBMIT, counts_all)),
    ceilings(
        "concurrency-429",
        "Too many jobs at once are answered with 429.",
        edit_error("CONCURRENCY_LIMIT_EXCEEDED", status(429)),
    ),
    ceilings(
        "concurrency-402",
        "Too many jobs at once are answered with 402.",
        edit_error("CONCURRENCY_LIMIT_EXCEEDED", status(402)),
    ),
    ceilings(
        "concurrency-other-code",
        "Too many jobs at once have the code `TOO_MANY_JOBS`.",
        other_code("CONCURRENCY_LIMIT_EXCEEDED", "TOO_MANY_JOBS"),
    ),
    plans("jobs-at-once-of-pro-4", "Plan Pro has 4 jobs at once.", put("x-plans.pro.jobsAtOnce", 4)),
    plans("jobs-at-once-of-pro-2", "Plan Pro has 2 jobs at once.", put("x-plans.pro.jobsAtOnce", 2)),
    ceilings("length-not-enforced", "A movie may be of any length.", about("lasts")),
    ceilings("size-not-enforced", "A movie may be of any size.", about("frame")),
    ceilings(
        "plan-limit-fails-later", "A movie that is too large is taken.", after(SUBMIT, accepts_and_fails, status=402)
    ),
    ceilings(
        "plan-limit-400",
        "A movie that the plan does not allow is answered with 400.",
        edit_error("PLAN_LIMIT_EXCEEDED", status(400)),
    ),
    ceilings(
        "plan-limit-413",
        "A movie that the plan does not allow is answered with 413.",
        edit_error("PLAN_LIMIT_EXCEEDED", status(413)),
    ),
    plans(
        "length-of-pro-601", "On plan Pro a movie may last 601 seconds.", put("x-plans.pro.longestMovieSeconds", 601)
    ),
    plans(
        "length-of-pro-599", "On plan Pro a movie may last 599 seconds.", put("x-plans.pro.longestMovieSeconds", 599)
    ),
    plans(
        "size-of-pro-one-more",
        "On plan Pro a frame may be 1921 pixels wide.",
        put("x-plans.pro.largestFrame.width", 1921),
    ),
    plans(
        "size-of-pro-one-less",
        "On plan Pro a frame may be 1919 pixels wide.",
        put("x-plans.pro.largestFrame.width", 1919),
    ),
)
