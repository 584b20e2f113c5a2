"""A second set of servers, written without a look at the checks: lists that page or filter wrongly."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from viralsync_conform.mutants.engine.asgi import Answer, Request
from viralsync_conform.mutants.engine.exchange import Layer, MutantCall
from viralsync_conform.mutants.engine.layers import Document, after, edit_json, edit_request, response_mutant
from viralsync_conform.mutants.engine.spec_edits import put, spec_mutant

THEME = "listJobs"
NEW_SECONDS = 5


def _asked(change: Callable[[dict[str, str]], dict[str, Any]]) -> Layer:
    """Let the list be asked with other parameters than came."""
    return edit_request(lambda request: _changed(request, change), "listJobs")


def _changed(request: Request, change: Callable[[dict[str, str]], dict[str, Any]]) -> Request:
    changes = change(request.parameters)
    return request.with_parameters(**changes) if changes else request


async def _filtered_late(visit: MutantCall) -> Answer:
    request = visit.request
    status = request.parameters.get("status")
    if request.operation != "listJobs" or status is None or "limit" not in request.parameters:
        return await visit.proceed()
    answer = await visit.proceed(request.with_parameters(status=None))
    page = answer.document
    if answer.status == 200:
        page["jobs"] = [job for job in page["jobs"] if job["status"] == status]
        answer.document = page
    return answer


async def _skips_first(visit: MutantCall, answer: Answer) -> Answer | None:
    page = answer.document
    if "cursor" in visit.request.parameters and len(page["jobs"]) > 1:
        page["jobs"] = page["jobs"][1:]
        answer.document = page
    return answer


async def _repeats_last(visit: MutantCall, answer: Answer) -> Answer | None:
    page, cursor = answer.document, visit.request.parameters.get("cursor")
    before = visit.memory.get(("page", cursor))
    if page["jobs"]:
        visit.memory["page", page["nextCursor"]] = page["jobs"][-1]
    if cursor and before:
        page["jobs"] = [before, *page["jobs"]][: len(page["jobs"]) or 1]
        answer.document = page
    return answer


async def _single_use(visit: MutantCall) -> Answer:
    cursor = visit.request.parameters.get("cursor")
    if visit.request.operation == "listJobs" and cursor:
        if ("used", cursor) in visit.memory:
            return visit.refusal("VALIDATION_ERROR", violations="query.cursor: it was used before")
        visit.memory["used", cursor] = True
    return await visit.proceed()


def _by_update(page: Document) -> None:
    page["jobs"].sort(key=lambda job: str(job["updatedAt"]), reverse=True)


def _empty_cursor(page: Document) -> None:
    page["nextCursor"] = page["nextCursor"] or ""


async def _oldest_first(visit: MutantCall, answer: Answer) -> Answer | None:
    if "status" in visit.request.parameters:
        answer.document = answer.document | {"jobs": answer.document["jobs"][::-1]}
    return answer


async def _failed_as_done(visit: MutantCall, answer: Answer) -> Answer | None:
    if visit.request.parameters.get("status") == "done" and "cursor" not in visit.request.parameters:
        more = (await visit.ask("GET", "/v1/jobs?status=failed&limit=100")).document
        jobs = [*answer.document["jobs"], *more["jobs"]]
        jobs.sort(key=lambda job: str(job["createdAt"]), reverse=True)
        answer.document = answer.document | {"jobs": jobs[: int(visit.request.parameters.get("limit", 25))]}
    return answer


def _without_cancelled(page: Document) -> None:
    page["jobs"] = [job for job in page["jobs"] if job["status"] != "cancelled"]


async def _new_hidden(visit: MutantCall, answer: Answer) -> Answer | None:
    page, now = answer.document, (await visit.now()).timestamp()
    page["jobs"] = [job for job in page["jobs"] if now - _seconds(job["createdAt"]) >= NEW_SECONDS]
    answer.document = page
    return answer


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _half(parameters: dict[str, str]) -> dict[str, Any]:
    text = parameters.get("limit", "")
    whole, dot, rest = text.partition(".")
    return {"limit": whole} if dot and whole.isdigit() and rest.isdigit() else {}


_LIMIT = "components.parameters.Limit.schema"

SECOND_LISTS = (
    spec_mutant(THEME, "limit-hundred-refused", "A limit of 100 is refused.", put(f"{_LIMIT}.maximum", 99)),
    spec_mutant(THEME, "limit-up-to-thousand", "A limit up to 1000 is accepted.", put(f"{_LIMIT}.maximum", 1000)),
    spec_mutant(
        THEME, "limit-defaults-to-twenty", "Without a limit a page holds 20 jobs.", put(f"{_LIMIT}.default", 20)
    ),
    *(
        response_mutant(THEME, name, statement, layer)
        for name, statement, layer in (
            (
                "limit-zero-is-default",
                "A limit of 0 stands for the default.",
                _asked(lambda p: {"limit": None} if p.get("limit") == "0" else {}),
            ),
            ("limit-fraction-cut", "A limit with a fraction is cut to a whole number.", _asked(_half)),
            (
                "limit-one-gives-two",
                "A limit of 1 gives two jobs.",
                _asked(lambda p: {"limit": 2} if p.get("limit") == "1" else {}),
            ),
            ("status-filter-after-limit", "With a limit, the page is cut first and filtered then.", _filtered_late),
            (
                "cursor-forgets-status",
                "With a cursor, the filter by status is forgotten.",
                _asked(lambda p: {"status": None} if "cursor" in p else {}),
            ),
            (
                "cursor-forgets-type",
                "With a cursor, the filter by type is forgotten.",
                _asked(lambda p: {"type": None} if "cursor" in p else {}),
            ),
            (
                "limit-forgets-type",
                "With a limit, the filter by type is forgotten.",
                _asked(lambda p: {"type": None} if "limit" in p else {}),
            ),
            (
                "cursor-forgets-limit",
                "With a cursor, the limit is forgotten.",
                _asked(lambda p: {"limit": None} if "cursor" in p else {}),
            ),
            (
                "later-pages-skip-one",
                "Each page but the first leaves its first job out.",
                after("listJobs", _skips_first, status=200),
            ),
            (
                "later-pages-repeat-one",
                "Each page but the first begins with the last job of the one before.",
                after("listJobs", _repeats_last, status=200),
            ),
            ("cursor-for-one-use", "A cursor can be used once only.", _single_use),
            (
                "last-cursor-is-empty-text",
                "On the last page nextCursor is an empty text.",
                edit_json(_empty_cursor, "listJobs"),
            ),
            ("list-by-last-update", "A page is sorted by updatedAt.", edit_json(_by_update, "listJobs")),
            (
                "filtered-list-oldest-first",
                "With a filter by status, a page begins with its oldest job.",
                after("listJobs", _oldest_first, status=200),
            ),
            (
                "status-done-finds-failed",
                "The filter by status done finds failed jobs too.",
                after("listJobs", _failed_as_done, status=200),
            ),
            ("list-omits-cancelled", "Cancelled jobs are not listed.", edit_json(_without_cancelled, "listJobs")),
            (
                "list-five-seconds-late",
                "A new job is listed after five seconds.",
                after("listJobs", _new_hidden, status=200),
            ),
            (
                "status-filter-any-case",
                "The filter by status takes capital letters too.",
                _asked(lambda p: {"status": p["status"].lower()} if "status" in p else {}),
            ),
        )
    ),
)
