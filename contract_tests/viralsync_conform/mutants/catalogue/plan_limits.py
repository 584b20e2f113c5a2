"""Mutants that refuse too much or too little: quota, plan limit, concurrency limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from viralsync_conform.mutants.engine.asgi import Answer
from viralsync_conform.mutants.engine.exchange import Layer, MutantCall
from viralsync_conform.mutants.engine.layers import (
    ACCOUNT,
    Document,
    after,
    both,
    edit_request,
    every_job,
    under_account,
    when,
)
from viralsync_conform.mutants.mutant import Section

SUBMIT, USAGE, DELETE = "submitRenderJob", "getUsage", "deleteJob"
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


def at_most(slots_less: int) -> Callable[[MutantCall], Any]:
    """Return what refuses a submission when so many slots are left."""

    async def make(call: MutantCall) -> Answer | None:
        slots = (await standing(call)).get("concurrentJobs", {"limit": None})
        if slots["limit"] is None or slots["running"] < slots["limit"] - slots_less:
            return None
        return call.refusal("CONCURRENCY_LIMIT_EXCEEDED", **slots)

    return make


@ceilings("concurrency-one-more", "One job more may run at once than the plan allows.", after, SUBMIT, status=409)
async def one_job_more(call: MutantCall, answer: Answer) -> Answer | None:
    slots = (await standing(call))["concurrentJobs"]
    if answer.code != "CONCURRENCY_LIMIT_EXCEEDED" or slots["running"] != slots["limit"]:
        return None
    return await under_account("CONCURRENCY_LIMIT_EXCEEDED", "plan", "enterprise", SUBMIT)(call)


@ceilings("concurrency-counts-ended", "Jobs that have ended count among those at once.", when, SUBMIT)
async def counts_all(call: MutantCall) -> Answer | None:
    limit = (await standing(call)).get("concurrentJobs", {"limit": None})["limit"]
    number = len(await every_job(call))
    if limit is None or number < limit:
        return None
    return call.refusal("CONCURRENCY_LIMIT_EXCEEDED", running=number, limit=limit)


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


ceilings.add("concurrency-one-less", "One job less may run at once than the plan allows.", when(at_most(1), SUBMIT))
ceilings.add("length-not-enforced", "A movie may be of any length.", about("lasts"))
ceilings.add("size-not-enforced", "A movie may be of any size.", about("frame"))
MUTANTS = ceilings.mutants
