"""Mutants that list the wrong jobs, in the wrong order, as they are not, or cut into pages wrongly."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from operator import ne
from typing import Any

from viralsync_conform.calls import TERMINAL
from viralsync_conform.mutants.engine.asgi import Answer, Request
from viralsync_conform.mutants.engine.exchange import Layer, MutantCall
from viralsync_conform.mutants.engine.layers import (
    MAX_LISTED,
    Document,
    after,
    both,
    edit_json,
    edit_request,
    edit_response,
    every_job,
    when,
)
from viralsync_conform.mutants.mutant import Section

LIST = "listJobs"
DEFAULT_LIMIT = 25
NO_JOBS: Document = {"jobs": [], "nextCursor": None}
lists = Section("lists")


def limit_of(call: MutantCall) -> int:
    text = call.request.parameters.get("limit", "")
    return int(text) if text.isdigit() else DEFAULT_LIMIT


def paged(edit: Callable[[MutantCall, Document], object]) -> Layer:
    async def edited(call: MutantCall, answer: Answer) -> None:
        document = answer.document
        edit(call, document)
        answer.document = document

    return after(edited, LIST, status=200)


def own_pages(mark: str, listed: Callable[[MutantCall], Awaitable[list[Document]]]) -> Layer:
    """Serve a list of the mutant's own in pages; its cursors are the mark with a number."""

    async def make(call: MutantCall) -> Answer | None:
        cursor = call.request.parameters.get("cursor")
        if cursor is not None and not cursor.startswith(mark):
            return None
        answer = await call.proceed(call.request.with_parameters(cursor=None))
        if answer.status == 200:
            jobs, start = await listed(call), int((cursor or f"{mark}0").removeprefix(mark))
            end = start + limit_of(call)
            answer.document = {"jobs": jobs[start:end], "nextCursor": f"{mark}{end}" if end < len(jobs) else None}
        return answer

    return when(make, LIST)


async def oldest_first(call: MutantCall) -> list[Document]:
    return (await every_job(call))[::-1]


async def as_filtered(call: MutantCall) -> list[Document]:
    return await every_job(call, **{k: v for k, v in call.request.parameters.items() if k in {"status", "type"}})


async def keep_deleted(call: MutantCall) -> Answer | None:
    job = (await call.ask("GET", f"/v1/jobs/{call.request.job_id}")).document
    answer = await call.proceed()
    if answer.status == 200:
        call.memory.setdefault("deleted", []).append(job)
    return answer


def with_deleted(call: MutantCall, page: Document) -> None:
    if page["nextCursor"] is None:
        page["jobs"] += call.memory.get("deleted", [])


def listing(is_listed: Callable[[Document], bool]) -> Layer:
    """List such jobs only."""
    return paged(lambda _, page: page.update(jobs=list(filter(is_listed, page["jobs"]))))


def skips(call: MutantCall, page: Document) -> None:
    if "cursor" in call.request.parameters:
        page["jobs"] = page["jobs"][1:]


@lists("list-stale", "Jobs are listed as they were when they were first listed.", paged)
def first_sight(call: MutantCall, page: Document) -> None:
    known = call.memory.setdefault("sights", {})
    page["jobs"] = [known.setdefault(job["jobId"], job) for job in page["jobs"]]


@lists("list-children", "Scenes are listed beside their jobs.", after, LIST, status=200)
async def with_children(call: MutantCall, answer: Answer) -> None:
    page, jobs = answer.document, []
    for job in page["jobs"]:
        child = await call.ask("GET", f"/v1/jobs/scene_{job['jobId']}_001")
        jobs += [job, child.document]
    answer.document = {**page, "jobs": jobs}


@lists("list-of-everybody", "The list holds the jobs of all accounts.", after, LIST, status=200)
async def of_everybody(call: MutantCall, answer: Answer) -> None:
    others = {key for key in call.world.owners.values() if key != call.request.key}
    page = answer.document
    for key in sorted(others):
        page["jobs"] += (await call.ask("GET", "/v1/jobs", key=key)).document.get("jobs", [])
    answer.document = page


def sorted_by(field: str) -> Callable[[MutantCall, Document], None]:
    """Return what sorts each page by another field, the greatest first."""
    return lambda _, page: page["jobs"].sort(key=lambda job: (job[field], job["jobId"]), reverse=True)


@lists("list-empty-404", "An empty list is answered with 404.", after, LIST, status=200)
async def none(call: MutantCall, answer: Answer) -> Answer | None:
    return call.refusal("NOT_FOUND", method="GET", path="/v1/jobs") if not answer.document["jobs"] else None


NEW_SECONDS = 5


def asked(change: Callable[[dict[str, str]], dict[str, Any]]) -> Layer:
    """Let the list be asked with other parameters than came."""

    def other(request: Request) -> Request:
        changes = change(request.parameters)
        return request.with_parameters(**changes) if changes else request

    return edit_request(other, LIST)


@lists.blind("status-filter-after-limit", "With a limit, the page is cut first and filtered then.")
async def filtered_late(call: MutantCall) -> Answer:
    request = call.request
    status = request.parameters.get("status")
    if request.operation != "listJobs" or status is None or "limit" not in request.parameters:
        return await call.proceed()
    answer = await call.proceed(request.with_parameters(status=None))
    page = answer.document
    if answer.status == 200:
        page["jobs"] = [job for job in page["jobs"] if job["status"] == status]
        answer.document = page
    return answer


@lists.blind("cursor-for-one-use", "A cursor can be used once only.")
async def single_use(call: MutantCall) -> Answer:
    cursor = call.request.parameters.get("cursor")
    if call.request.operation == "listJobs" and cursor:
        if ("used", cursor) in call.memory:
            return call.refusal("VALIDATION_ERROR", violations="query.cursor: it was used before")
        call.memory["used", cursor] = True
    return await call.proceed()


@lists.blind(
    "status-done-finds-failed", "The filter by status done finds failed jobs too.", after, "listJobs", status=200
)
async def failed_as_done(call: MutantCall, answer: Answer) -> Answer | None:
    if call.request.parameters.get("status") == "done" and "cursor" not in call.request.parameters:
        more = (await call.ask("GET", "/v1/jobs?status=failed&limit=100")).document
        jobs = [*answer.document["jobs"], *more["jobs"]]
        jobs.sort(key=lambda job: str(job["createdAt"]), reverse=True)
        answer.document = answer.document | {"jobs": jobs[: int(call.request.parameters.get("limit", 25))]}
    return answer


@lists.blind("list-five-seconds-late", "A new job is listed after five seconds.", after, "listJobs", status=200)
async def new_hidden(call: MutantCall, answer: Answer) -> Answer | None:
    page, now = answer.document, (await call.now()).timestamp()
    page["jobs"] = [job for job in page["jobs"] if now - seconds(job["createdAt"]) >= NEW_SECONDS]
    answer.document = page
    return answer


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@lists.blind("limit-fraction-cut", "A limit with a fraction is cut to a whole number.", asked)
def half(parameters: dict[str, str]) -> dict[str, Any]:
    text = parameters.get("limit", "")
    whole, dot, rest = text.partition(".")
    return {"limit": whole} if dot and whole.isdigit() and rest.isdigit() else {}


lists.add("order-reversed", "A page has its oldest job first.", paged(lambda _, page: page["jobs"].reverse()))
lists.add("order-by-update", "Jobs are ordered by updatedAt.", paged(sorted_by("updatedAt")))
lists.add("order-by-id", "Jobs are ordered by their ids.", paged(sorted_by("jobId")))
lists.add(
    "deleted-listed", "Deleted jobs stay in the list.", both(when(keep_deleted, "deleteJob"), paged(with_deleted))
)
lists.add("list-ids-only", "The list holds ids in the place of jobs.",
    edit_json(lambda d: d.update(jobs=[job["jobId"] for job in d["jobs"]]), LIST))  # fmt: skip
lists.add("list-duplicates", "Each job is listed twice.",
    paged(lambda _, page: page.update(jobs=[job for each in page["jobs"] for job in (each, each)])))  # fmt: skip
lists.blind.add("status-filter-any-case", "The filter by status takes capital letters too.",
    asked(lambda p: {"status": p["status"].lower()} if "status" in p else {}))  # fmt: skip


INVALID = 400


def only_good(name: str, is_good: Callable[[str], bool]) -> Layer:
    """Leave a parameter out that is bad, where the API would refuse it."""
    return asked(lambda given: {name: None} if name in given and not is_good(given[name]) else {})


def limited(change: Callable[[int], int]) -> Layer:
    """Take another limit for the one that was asked for."""
    return asked(lambda given: {"limit": change(int(given["limit"]))} if is_number(given.get("limit", "")) else {})


def is_number(text: str) -> bool:
    return text.lstrip("-").isdigit()


@lists("cursor-repeats", "A page begins with the last job of the one before.", paged)
def repeats(call: MutantCall, page: Document) -> None:
    ends = call.memory.setdefault("ends", {})
    last = ends.get(call.request.parameters.get("cursor"))
    if page["jobs"]:
        ends[page["nextCursor"]] = page["jobs"][-1]
    if last is not None:
        page["jobs"] = [last, *page["jobs"]][: limit_of(call)]


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


def by_status(fits: Callable[[str, str], bool]) -> Layer:
    """Filter by the status that was asked for in another way; everything is on one page."""

    async def make(call: MutantCall, answer: Answer) -> Answer | None:
        wanted = call.request.parameters.get("status")
        if wanted is not None:
            jobs = [job for job in await every_job(call) if fits(wanted, job["status"])]
            answer.document = {"jobs": jobs[: limit_of(call)], "nextCursor": None}
        return answer

    return after(make, LIST, status=200)


STATUSES = frozenset({"queued", "running", "waiting", "done", "failed", "cancelled"})


lists.add("cursor-never-null", "The last page leads to an empty one without end.",
    both(when(empty_pages, LIST), after(endless, LIST, status=200)))  # fmt: skip
lists.add("cursor-accepts-anything", "A cursor that nobody gave is ignored.",
    after(lambda call, _: call.again(call.request.with_parameters(cursor=None)), LIST, status=INVALID))  # fmt: skip
lists.add("limit-one-more", "A page holds one job more than the limit.",
    limited(lambda limit: limit + 1 if 0 < limit < MAX_LISTED else limit))  # fmt: skip
lists.add("limit-one-less", "A page holds one job less than the limit.",
    limited(lambda limit: limit - 1 if 1 < limit <= MAX_LISTED else limit))  # fmt: skip
lists.add("limit-clamped", "A limit out of bounds is clamped.", limited(lambda limit: min(max(limit, 1), MAX_LISTED)))
lists.add("limit-0-accepted", "A limit of 0 gives the default.", limited(lambda limit: limit or DEFAULT_LIMIT))
lists.add("limit-default-20", "Without a limit a page holds 20 jobs.",
    edit_request(lambda r: r if "limit" in r.parameters else r.with_parameters(limit=20), LIST))  # fmt: skip
lists.add("limit-at-most-50", "A limit above 50 is refused.", limited(lambda limit: 101 if limit > 50 else limit))
lists.add("limit-text-accepted", "A limit that is no number is ignored.",
    only_good("limit", is_number))  # fmt: skip
lists.add("status-ignored", "The filter `status` is ignored.", only_good("status", lambda text: text not in STATUSES))
lists.add(
    "status-unknown-accepted", "An unknown `status` is ignored.", only_good("status", lambda text: text in STATUSES)
)
lists.blind.add("later-pages-skip-one", "Each page but the first leaves its first job out.", paged(skips))
lists.blind.add("later-pages-repeat-one", "Each page but the first begins with the last job of the one before.",
    paged(repeats))  # fmt: skip
lists.blind.add("list-by-last-update", "A page is sorted by updatedAt.", paged(sorted_by("updatedAt")))
lists.add(
    "ended-not-listed", "Jobs that have ended are not listed.", listing(lambda job: job["status"] not in TERMINAL)
)
lists.blind.add(
    "list-omits-cancelled", "Cancelled jobs are not listed.", listing(lambda job: job["status"] != "cancelled")
)
lists.add("list-bare", "The list is an array.",
    edit_response(lambda answer: setattr(answer, "document", answer.document["jobs"]), LIST))  # fmt: skip
lists.add("cursor-skips", "Between two pages a job is left out.", paged(skips))
lists.add("type-unknown-ignored", "An unknown `type` gives all jobs.",
    only_good("type", lambda text: text.startswith("render")))  # fmt: skip
lists.blind.add("filtered-list-oldest-first", "With a filter by status, a page begins with its oldest job.",
    paged(lambda call, page: "status" in call.request.parameters and page["jobs"].reverse()))  # fmt: skip
lists.add("type-finds-nothing", "The filter `type=render` finds no job.",
    paged(lambda call, page: call.request.parameters.get("type") == "render" and page.update(NO_JOBS)))  # fmt: skip
lists.add("newest-not-listed", "The newest job is not listed.",
    paged(lambda call, page: "cursor" in call.request.parameters or page.update(jobs=page["jobs"][1:])))  # fmt: skip
lists.add("order-oldest-first", "The list begins with the oldest job.", own_pages("old", oldest_first))
lists.add("cursor-shifts", "Jobs that are submitted while paging shift the pages.", own_pages("offset", as_filtered))
lists.add("status-inverted", "The filter `status` gives all other jobs.", by_status(ne))
lists.add("status-too-wide", "The filter `status=done` gives all jobs that have ended.",
    by_status(lambda wanted, status: status in (TERMINAL if wanted == "done" else (wanted,))))  # fmt: skip
MUTANTS = lists.mutants
