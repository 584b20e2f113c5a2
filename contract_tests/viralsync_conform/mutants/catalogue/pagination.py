"""Mutants that cut the list of jobs into pages wrongly: cursors, limits and filters."""

from __future__ import annotations

from collections.abc import Callable

from viralsync_conform.calls import TERMINAL
from viralsync_conform.mutants.catalogue.listing import DEFAULT_LIMIT, LIST, limit_of, paged
from viralsync_conform.mutants.engine.asgi import Answer, Request
from viralsync_conform.mutants.engine.exchange import Layer, MutantCall
from viralsync_conform.mutants.engine.layers import (
    MAX_LISTED,
    Document,
    after,
    both,
    edit_json,
    edit_request,
    every_job,
    when,
)
from viralsync_conform.mutants.mutant import Section

lists = Section("lists")
INVALID = 400


def only_good(name: str, is_good: Callable[[str], bool]) -> Layer:
    """Leave a parameter out that is bad, where the API would refuse it."""

    def change(request: Request) -> Request:
        value = request.parameters.get(name)
        return request if value is None or is_good(value) else request.with_parameters(**{name: None})

    return edit_request(change, LIST)


def limited(change: Callable[[int], int]) -> Layer:
    """Take another limit for the one that was asked for."""

    def other(request: Request) -> Request:
        text = request.parameters.get("limit", "")
        return request.with_parameters(limit=change(int(text))) if text.lstrip("-").isdigit() else request

    return edit_request(other, LIST)


@lists("cursor-repeats", "A page begins with the last job of the one before.", paged)
def repeats(call: MutantCall, page: Document) -> None:
    ends = call.memory.setdefault("ends", {})
    last = ends.get(call.request.parameters.get("cursor"))
    if page["jobs"]:
        ends[page["nextCursor"]] = page["jobs"][-1]
    if last is not None:
        page["jobs"] = [last, *page["jobs"]][: limit_of(call)]


@lists("cursor-skips", "Between two pages a job is left out.", paged)
def skips(call: MutantCall, page: Document) -> None:
    if "cursor" in call.request.parameters:
        page["jobs"] = page["jobs"][1:]


@lists("cursor-loops", "The last page leads back to the second.", paged)
def loops(call: MutantCall, page: Document) -> None:
    if "cursor" not in call.request.parameters:
        call.memory["second"] = page["nextCursor"]
    page["nextCursor"] = page["nextCursor"] or call.memory.get("second")


async def endless(_call: MutantCall, answer: Answer) -> None:
    if answer.document["nextCursor"] is None and answer.document["jobs"]:
        answer.document = {**answer.document, "nextCursor": "ZW5k"}


async def empty_pages(call: MutantCall) -> Answer | None:
    if call.request.parameters.get("cursor") != "ZW5k":
        return None
    answer = await call.proceed(call.request.with_parameters(cursor=None))
    answer.document = {"jobs": [], "nextCursor": "ZW5k"}
    return answer


@lists("cursor-shifts", "Jobs that are submitted while paging shift the pages.", when, LIST)
async def by_offset(call: MutantCall) -> Answer | None:
    cursor = call.request.parameters.get("cursor")
    if cursor is not None and not cursor.startswith("offset"):
        return None
    answer = await call.proceed(call.request.with_parameters(cursor=None))
    if answer.status == 200:
        filters = {k: v for k, v in call.request.parameters.items() if k in {"status", "type"}}
        jobs, start, limit = await every_job(call, **filters), int((cursor or "offset0")[6:]), limit_of(call)
        end = start + limit
        answer.document = {"jobs": jobs[start:end], "nextCursor": f"offset{end}" if end < len(jobs) else None}
    return answer


@lists("status-inverted", "The filter `status` gives all other jobs.", when, LIST)
async def inverted_status(call: MutantCall) -> Answer | None:
    wanted = call.request.parameters.get("status")
    answer = await call.proceed()
    if wanted is not None and answer.status == 200:
        jobs = [job for job in await every_job(call) if job["status"] != wanted]
        answer.document = {"jobs": jobs[: limit_of(call)], "nextCursor": None}
    return answer


@lists("status-too-wide", "The filter `status=done` gives all jobs that have ended.", when, LIST)
async def terminal_as_done(call: MutantCall) -> Answer | None:
    answer = await call.proceed()
    if call.request.parameters.get("status") == "done" and answer.status == 200:
        jobs = [job for job in await every_job(call) if job["status"] in TERMINAL]
        answer.document = {"jobs": jobs[: limit_of(call)], "nextCursor": None}
    return answer


@lists("type-finds-nothing", "The filter `type=render` finds no job.", paged)
def exact_type(call: MutantCall, page: Document) -> None:
    if call.request.parameters.get("type") == "render":
        page.update(jobs=[], nextCursor=None)


@lists("type-unknown-ignored", "An unknown `type` gives all jobs.", edit_request, LIST)
def unknown_type_means_all(request: Request) -> Request:
    wanted = request.parameters.get("type", "render")
    return request if wanted.startswith("render") else request.with_parameters(type=None)


STATUSES = frozenset({"queued", "running", "waiting", "done", "failed", "cancelled"})


lists.add(
    "cursor-never-null",
    "The last page leads to an empty one without end.",
    both(when(empty_pages, LIST), after(endless, LIST, status=200)),
)
lists.add(
    "cursor-missing-at-end",
    "The last page has no nextCursor.",
    edit_json(lambda d: d["nextCursor"] is None and d.pop("nextCursor"), LIST),
)
lists.add(
    "cursor-empty-at-end",
    "The nextCursor of the last page is an empty text.",
    edit_json(lambda d: d.update(nextCursor=d["nextCursor"] or ""), LIST),
)
lists.add(
    "cursor-accepts-anything",
    "A cursor that nobody gave is ignored.",
    after(lambda call, _: call.again(call.request.with_parameters(cursor=None)), LIST, status=INVALID),
)
lists.add(
    "limit-one-more",
    "A page holds one job more than the limit.",
    limited(lambda limit: limit + 1 if 0 < limit < MAX_LISTED else limit),
)
lists.add(
    "limit-one-less",
    "A page holds one job less than the limit.",
    limited(lambda limit: limit - 1 if 1 < limit <= MAX_LISTED else limit),
)
lists.add("limit-clamped", "A limit out of bounds is clamped.", limited(lambda limit: min(max(limit, 1), MAX_LISTED)))
lists.add("limit-0-accepted", "A limit of 0 gives the default.", limited(lambda limit: limit or DEFAULT_LIMIT))
lists.add(
    "limit-default-20",
    "Without a limit a page holds 20 jobs.",
    edit_request(lambda r: r if "limit" in r.parameters else r.with_parameters(limit=20), LIST),
)
lists.add("limit-at-most-50", "A limit above 50 is refused.", limited(lambda limit: 101 if limit > 50 else limit))
lists.add(
    "limit-text-accepted",
    "A limit that is no number is ignored.",
    only_good("limit", lambda text: text.lstrip("-").isdigit()),
)
lists.add("status-ignored", "The filter `status` is ignored.", only_good("status", lambda text: text not in STATUSES))
lists.add(
    "status-unknown-accepted", "An unknown `status` is ignored.", only_good("status", lambda text: text in STATUSES)
)
MUTANTS = lists.mutants
