"""Mutants that list the wrong jobs, in the wrong order, or as they are not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from viralsync_conform.mutants.engine.asgi import Answer
from viralsync_conform.mutants.engine.exchange import Layer, MutantCall
from viralsync_conform.mutants.engine.layers import (
    TERMINAL,
    Document,
    after,
    both,
    edit_jobs,
    edit_json,
    fields,
    response_mutant,
    when,
)
from viralsync_conform.mutants.mutant import Mutant

LIST = "listJobs"
DEFAULT_LIMIT, MAX_LISTED = 25, 100
INVALID = 400

lists = partial(response_mutant, "lists")


def limit_of(visit: MutantCall) -> int:
    """Return how many jobs the page may hold."""
    text = visit.request.parameters.get("limit", "")
    return int(text) if text.isdigit() else DEFAULT_LIMIT


def paged(edit: Callable[[MutantCall, Document], None]) -> Layer:
    """Change each page in place."""

    async def edited(visit: MutantCall, answer: Answer) -> None:
        document = answer.document
        edit(visit, document)
        answer.document = document

    return after(LIST, edited, status=200)


async def every_job(visit: MutantCall, **parameters: str) -> list[Document]:
    """Return all jobs of the account, newest first."""
    jobs: list[Document] = []
    cursor: str | None = None
    while True:
        query = "".join(f"&{name}={value}" for name, value in {**parameters, "cursor": cursor}.items() if value)
        answer = await visit.ask("GET", f"/v1/jobs?limit={MAX_LISTED}{query}")
        page: Any = answer.document
        if answer.status != 200:
            return jobs
        jobs += page["jobs"]
        cursor = page["nextCursor"]
        if cursor is None:
            return jobs


async def oldest_first(visit: MutantCall) -> Answer | None:
    """Page from the oldest job on."""
    cursor = visit.request.parameters.get("cursor")
    if cursor is not None and not cursor.startswith("old"):
        return None
    answer = await visit.proceed(visit.request.with_parameters(cursor=None))
    if answer.status == 200:
        jobs, start, limit = (await every_job(visit))[::-1], int((cursor or "old0")[3:]), limit_of(visit)
        end = start + limit
        answer.document = {"jobs": jobs[start:end], "nextCursor": f"old{end}" if end < len(jobs) else None}
    return answer


async def keep_deleted(visit: MutantCall) -> Answer | None:
    """Remember each job as it was when it was deleted."""
    job = (await visit.ask("GET", f"/v1/jobs/{visit.request.job_id}")).document
    answer = await visit.proceed()
    if answer.status == 200:
        visit.memory.setdefault("deleted", []).append(job)
    return answer


def with_deleted(visit: MutantCall, page: Document) -> None:
    """List deleted jobs too, on the last page."""
    if page["nextCursor"] is None:
        page["jobs"] += visit.memory.get("deleted", [])


def first_sight(visit: MutantCall, page: Document) -> None:
    """List each job as it was when it was first listed."""
    known = visit.memory.setdefault("sights", {})
    page["jobs"] = [known.setdefault(job["jobId"], job) for job in page["jobs"]]


async def with_children(visit: MutantCall, answer: Answer) -> None:
    """List the first scene of each job after it."""
    page, jobs = answer.document, []
    for job in page["jobs"]:
        child = await visit.ask("GET", f"/v1/jobs/scene_{job['jobId']}_001")
        jobs += [job, child.document]
    answer.document = {**page, "jobs": jobs}


async def of_everybody(visit: MutantCall, answer: Answer) -> None:
    """List the jobs of all accounts."""
    others = {key for key in visit.world.owners.values() if key != visit.request.key}
    page = answer.document
    for key in sorted(others):
        page["jobs"] += (await visit.ask("GET", "/v1/jobs", key=key)).document.get("jobs", [])
    answer.document = page


def unfinished_only(_visit: MutantCall, page: Document) -> None:
    """List no job that has ended."""
    page["jobs"] = [job for job in page["jobs"] if job["status"] not in TERMINAL]


def without_newest(visit: MutantCall, page: Document) -> None:
    """Leave the newest job out."""
    if "cursor" not in visit.request.parameters:
        page["jobs"] = page["jobs"][1:]


def sorted_by(field: str) -> Callable[[MutantCall, Document], None]:
    """Return what sorts each page by another field, the greatest first."""
    return lambda _, page: page["jobs"].sort(key=lambda job: (job[field], job["jobId"]), reverse=True)


async def bare(_visit: MutantCall, answer: Answer) -> None:
    """Answer with nothing but the jobs."""
    answer.document = answer.document["jobs"]


async def _none(visit: MutantCall, answer: Answer) -> Answer | None:
    return visit.refusal("NOT_FOUND", method="GET", path="/v1/jobs") if not answer.document["jobs"] else None


LISTS: tuple[Mutant, ...] = (
    lists("order-reversed", "A page has its oldest job first.", paged(lambda _, page: page["jobs"].reverse())),
    lists("order-oldest-first", "The list begins with the oldest job.", when(LIST, oldest_first)),
    lists("order-by-update", "Jobs are ordered by updatedAt.", paged(sorted_by("updatedAt"))),
    lists("order-by-id", "Jobs are ordered by their ids.", paged(sorted_by("jobId"))),
    lists(
        "deleted-listed", "Deleted jobs stay in the list.", both(when("deleteJob", keep_deleted), paged(with_deleted))
    ),
    lists("newest-not-listed", "The newest job is not listed.", paged(without_newest)),
    lists("ended-not-listed", "Jobs that have ended are not listed.", paged(unfinished_only)),
    lists("list-stale", "Jobs are listed as they were when they were first listed.", paged(first_sight)),
    lists(
        "list-other-status",
        "The list shows unfinished jobs as queued.",
        edit_jobs(lambda d, _: None if d["status"] in TERMINAL else d.update(status="queued", phase=None), LIST),
    ),
    lists(
        "list-half-done",
        "The list shows done jobs without their output.",
        edit_jobs(lambda d, _: d.update(outputUrl=None, mediaData=None), LIST),
    ),
    lists("list-without-payload", "Listed jobs have no payload.", edit_jobs(lambda d, _: d.pop("payload"), LIST)),
    lists(
        "list-ids-only",
        "The list holds ids in the place of jobs.",
        edit_json(lambda d: d.update(jobs=[job["jobId"] for job in d["jobs"]]), LIST),
    ),
    lists("list-children", "Scenes are listed beside their jobs.", after(LIST, with_children, status=200)),
    lists("list-bare", "The list is an array.", after(LIST, bare, status=200)),
    lists(
        "list-duplicates",
        "Each job is listed twice.",
        paged(lambda _, page: page.update(jobs=[job for each in page["jobs"] for job in (each, each)])),
    ),
    lists("list-of-everybody", "The list holds the jobs of all accounts.", after(LIST, of_everybody, status=200)),
    lists("list-empty", "The list is always empty.", edit_json(fields(jobs=[], nextCursor=None), LIST)),
    lists("list-empty-404", "An empty list is answered with 404.", after(LIST, _none, status=200)),
)
