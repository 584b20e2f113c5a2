"""A second set of servers, written without a look at the checks: wrong ledgers, plans and rate limits."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

from viralsync_conform.mutants.engine.asgi import Answer
from viralsync_conform.mutants.engine.exchange import Layer, MutantCall
from viralsync_conform.mutants.engine.layers import Document, after, edit_error, edit_json, response_mutant
from viralsync_conform.mutants.engine.spec_edits import put, spec_mutant

THEME = "limits"
SLOTS = {"free": 1, "pro": 3, "business": 6}


def _used(change: Callable[[float], float]) -> Layer:
    def edit(document: Document) -> None:
        _spend(document, change(document["renderMinutes"]["used"]))

    return edit_json(edit, "getUsage")


def _spend(document: Document, used: float) -> None:
    minutes = document["renderMinutes"]
    minutes["used"] = round(used, 6)
    if minutes["limit"] is not None:
        minutes["remaining"] = max(round(minutes["limit"] - used, 6), 0)


async def _jobs(visit: MutantCall, *statuses: str) -> list[Document]:
    jobs: list[Document] = []
    for each in statuses:
        jobs += (await visit.ask("GET", f"/v1/jobs?limit=100&status={each}")).document["jobs"]
    return jobs


def _minutes(jobs: list[Document]) -> float:
    return float(sum(scene["duration"] for job in jobs for scene in job["payload"]["movie"]["scenes"])) / 60


def _charging(*statuses: str, of_progress: bool = False) -> Layer:
    """Charge jobs of these statuses too; of their progress only, if so wanted."""

    async def make(visit: MutantCall, answer: Answer) -> Answer:
        document = answer.document
        more = sum(_minutes([j]) * (j["progress"] if of_progress else 1) for j in await _jobs(visit, *statuses))
        _spend(document, document["renderMinutes"]["used"] + more)
        answer.document = document
        return answer

    return after("getUsage", make, status=200)


async def _refund(visit: MutantCall) -> Answer:
    request, minutes = visit.request, 0.0
    if request.operation == "deleteJob":
        job = (await visit.ask("GET", f"/v1/jobs/{request.job_id}")).document
        minutes = _minutes([job]) if isinstance(job, dict) and job.get("status") == "done" else 0.0
    answer = await visit.proceed()
    if minutes and answer.status == 200:
        visit.memory["refund"] = visit.memory.get("refund", 0.0) + minutes
    if request.operation == "getUsage" and answer.status == 200:
        document = answer.document
        _spend(document, max(0.0, document["renderMinutes"]["used"] - visit.memory.get("refund", 0.0)))
        answer.document = document
    return answer


def _slots_of(*statuses: str) -> Layer:
    """Count jobs of these statuses as unfinished, until they are deleted."""

    async def layer(visit: MutantCall) -> Answer:
        if visit.request.operation == "submitRenderJob":
            me = (await visit.ask("GET", "/v1/me")).document
            limit = SLOTS.get(me.get("plan", ""), math.inf)
            taken = await _jobs(visit, "queued", "running", "waiting", *statuses) if limit < math.inf else []
            if len(taken) >= limit:
                return visit.refusal("CONCURRENCY_LIMIT_EXCEEDED", running=len(taken), limit=limit)
        return await visit.proceed()

    return layer


def _uncounted(is_free: Callable[[MutantCall, Answer], bool]) -> Layer:
    """Ask without counting first; answers for which this holds cost nothing."""

    async def layer(visit: MutantCall) -> Answer:
        if visit.request.method == "GET" and visit.request.operation in {"getJob", "getMe", "getUsage", "listJobs"}:
            looked = await visit.again(visit.request)
            if is_free(visit, looked):
                return looked
        return await visit.proceed()

    return layer


async def _date(visit: MutantCall) -> Answer:
    answer = await visit.proceed()
    wait = answer.header("retry-after")
    if wait is not None:
        now = await visit.now()
        answer.set_header("retry-after", format_datetime(now + timedelta(seconds=int(wait)), usegmt=True))
    return answer


def _wait(change: Callable[[int], object]) -> Callable[[Answer], None]:
    return lambda answer: answer.set_header("retry-after", str(change(int(answer.header("retry-after") or "0"))))


def _other_text(answer: Answer) -> None:
    answer.document = answer.document | {"error": "Rate limit exceeded. Retry after 60 seconds."}


def _other_code(answer: Answer) -> None:
    answer.document = answer.document | {"code": "TOO_MANY_REQUESTS"}


async def _by_area(visit: MutantCall) -> Answer:
    answer = await visit.proceed()
    document: Any = visit.request.document
    if answer.code == "PLAN_LIMIT_EXCEEDED" and visit.request.operation == "submitRenderJob":
        movie = document["movie"]
        width, height = movie.get("width") or 1920, movie.get("height") or 1080
        if width * height <= 1920 * 1080 and width > 1920:
            return await visit.proceed(visit.request.with_document({**document, "movie": {**movie, "width": 1920}}))
    return answer


def _shifted(document: Document) -> None:
    for name in ("periodStart", "periodEnd"):
        document[name] = document[name].replace("T00:", "T05:")


def _without_queued(document: Document) -> None:
    document["concurrentJobs"]["running"] = max(0, document["concurrentJobs"]["running"] - 1)


_PRO = "x-plans.pro"

SECOND_LIMITS = (
    spec_mutant(
        THEME,
        "longest-movie-under-ten-minutes",
        "A movie of exactly 10 minutes is too long for Pro.",
        put(f"{_PRO}.longestMovieSeconds", 599),
    ),
    spec_mutant(
        THEME,
        "longest-movie-eleven-minutes",
        "A movie of 11 minutes is not too long for Pro.",
        put(f"{_PRO}.longestMovieSeconds", 660),
    ),
    spec_mutant(THEME, "pro-renders-four-at-once", "Pro may have four jobs at once.", put(f"{_PRO}.jobsAtOnce", 4)),
    spec_mutant(
        THEME,
        "pro-frame-of-business",
        "Pro may render 2560x1440.",
        put(f"{_PRO}.largestFrame", {"width": 2560, "height": 1440}),
    ),
    spec_mutant(
        THEME, "pro-has-250-minutes", "Pro has 250 minutes a month.", put(f"{_PRO}.renderMinutesPerMonth", 250)
    ),
    spec_mutant(
        THEME,
        "window-of-61-seconds",
        "The window of the rate limit is 61 seconds long.",
        put("x-rate-limit.windowSeconds", 61),
    ),
    spec_mutant(THEME, "rate-of-119", "The rate limit refuses the 120th request.", put("x-rate-limit.requests", 119)),
    *(
        response_mutant(THEME, name, statement, layer)
        for name, statement, layer in (
            (
                "usage-in-whole-minutes",
                "The minutes used are rounded up to whole ones.",
                _used(lambda used: float(math.ceil(used))),
            ),
            ("usage-in-tenths", "The minutes used are rounded to tenths.", _used(lambda used: round(used, 1))),
            ("minutes-used-in-seconds", "The minutes used are given in seconds.", _used(lambda used: used * 60)),
            ("cancelled-jobs-charged", "Cancelled jobs are charged in full.", _charging("cancelled")),
            (
                "cancelled-jobs-charged-in-part",
                "Cancelled jobs are charged by their progress.",
                _charging("cancelled", of_progress=True),
            ),
            (
                "failed-jobs-charged-in-part",
                "Failed jobs are charged by their progress.",
                _charging("failed", of_progress=True),
            ),
            (
                "charged-on-submission",
                "Jobs are charged as soon as they are submitted.",
                _charging("queued", "running", "waiting"),
            ),
            ("deleted-jobs-refunded", "The minutes of a deleted job are given back.", _refund),
            ("failed-jobs-keep-slots", "A failed job keeps its slot until it is deleted.", _slots_of("failed")),
            (
                "cancelled-jobs-keep-slots",
                "A cancelled job keeps its slot until it is deleted.",
                _slots_of("cancelled"),
            ),
            ("done-jobs-keep-slots", "A done job keeps its slot until it is deleted.", _slots_of("done")),
            (
                "not-found-costs-nothing",
                "A 404 does not count against the rate limit.",
                _uncounted(lambda _, answer: answer.status == 404),
            ),
            (
                "usage-costs-nothing",
                "Asking for the usage does not count against the rate limit.",
                _uncounted(lambda visit, _: visit.request.operation == "getUsage"),
            ),
            (
                "invalid-costs-nothing",
                "A 400 does not count against the rate limit.",
                _uncounted(lambda _, answer: answer.status == 400),
            ),
            ("retry-after-as-date", "Retry-After is a date.", _date),
            (
                "retry-after-half-seconds",
                "Retry-After has a fraction.",
                edit_error("RATE_LIMITED", _wait(lambda s: s + 0.5)),
            ),
            (
                "retry-after-one-short",
                "Retry-After is a second too short.",
                edit_error("RATE_LIMITED", _wait(lambda s: max(s - 1, 0))),
            ),
            (
                "retry-after-milliseconds",
                "Retry-After is in milliseconds.",
                edit_error("RATE_LIMITED", _wait(lambda s: s * 1000)),
            ),
            (
                "retry-text-always-sixty",
                "The text of a 429 says 60 seconds, whatever the header says.",
                edit_error("RATE_LIMITED", _other_text),
            ),
            (
                "stream-limited-other-code",
                "The 429 of streams has another code.",
                edit_error("RATE_LIMITED", _other_code, "streamJobProgress"),
            ),
            ("frame-compared-by-area", "A frame that is too wide for Pro fits if its area does.", _by_area),
            (
                "month-begins-in-new-york",
                "The month of the usage begins at 05:00 UTC.",
                edit_json(_shifted, "getUsage"),
            ),
            (
                "usage-one-slot-short",
                "The usage counts one job at once too few.",
                edit_json(_without_queued, "getUsage"),
            ),
        )
    ),
)
