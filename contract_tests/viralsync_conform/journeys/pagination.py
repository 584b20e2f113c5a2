"""The list: complete, in order, page by page, filtered, and stable while jobs are added."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from viralsync_conform.calls import Exchange
from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.findings import Check
from viralsync_conform.journeys.job_lifecycle import CLOSING_SECONDS, completed_job
from viralsync_conform.run.job_invariants import TERMINAL, instants, jobs_of, known_of
from viralsync_conform.run.journey import journey
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.run.submissions import Job, cancel, settle_budget, submit

MAX_LISTED = 100
SMALL = 2
MAX_PAGES = 4


def _page(trip: JourneyContext, step: str, auth: str = "header", **query: Any) -> tuple[Exchange, list[Any]]:
    call = trip.call("listJobs", 200, query=query, auth=auth, step=step)
    return call, list(jobs_of(trip.run, call))


def ids(jobs: Sequence[Any]) -> list[Any]:
    """Return the ids of a page's jobs, in order."""
    return [job.get("jobId") for job in jobs]


@journey(
    "reading_the_list",
    "What the account has is listed in order, and a page ends where it says it does.",
    10,
)
def reading_the_list(trip: JourneyContext) -> None:
    call, jobs = _page(trip, "list", limit=MAX_LISTED)
    _in_order(trip, call, jobs)
    _ends(trip, call, jobs, MAX_LISTED)
    one, first = _page(trip, "list one", auth="bearer", limit=1)
    trip.check(facts.LIMIT, len(first) <= 1, one, expected="at most 1", got=len(first))
    if jobs and first:
        trip.check_equal(facts.ORDER, jobs[0].get("jobId"), first[0].get("jobId"), call, one)
    wrong = trip.call("listJobs", "VALIDATION_ERROR", fact=BAD_CURSOR, query={"cursor": "no cursor"}, step="bad cursor")
    trip.check(BAD_CURSOR, not wrong.is_success, wrong)
    _unknown_type(trip)


@journey(
    "reading_a_job",
    "What the account has already is read only: page by page, a job, and the stream of one that has ended.",
    12,
)
def reading_a_job(trip: JourneyContext) -> None:
    if trip.run.profile.renders:
        return  # then a job of our own is read
    call, jobs = _page(trip, "first page", limit=1)
    if call.document.get("nextCursor"):
        second, others = _page(trip, "second page", limit=1, cursor=call.document["nextCursor"])
        trip.check(facts.PAGES, not set(ids(jobs)) & set(ids(others)), call, second, name="disjoint")
    _, ended = _page(trip, "jobs that are done", status="done", limit=1)
    if not ended:
        return
    path = {"jobId": str(ended[0].get("jobId"))}
    job = trip.call("getJob", 200, path=path, step="read a job")
    trip.check_equal(facts.JOB_ID, path["jobId"], job.document.get("jobId"), job)
    for operation in ("getJob", "streamJobProgress"):
        trip.call(
            operation, "UNAUTHORIZED", fact=facts.KEY_NEEDED, path=path, auth="none", step=f"{operation} without a key"
        )
    with trip.stream(path["jobId"], step="stream of a done job") as stream:
        closed = stream.wait_closed(CLOSING_SECONDS)
    told = [event.document.get("status") for event in stream.events]
    if stream.call is not None:
        trip.check(facts.ONE_EVENT, told == ["done"] and closed, stream.call, expected=["done"], got=told)
        trip.call("getJob", 200, path=path, step="read it again")


BAD_CURSOR = Check("bad_cursor", "A cursor that no page gave is refused.", facts.A, facts.JOBS)


def _unknown_type(trip: JourneyContext) -> None:
    call, jobs = _page(trip, "unknown type", type="conformance.unknown")
    trip.check_equal(facts.UNKNOWN_TYPE, [], ids(jobs), call)


def _in_order(trip: JourneyContext, call: Exchange, jobs: Sequence[Any]) -> None:
    created = instants(job.get("createdAt") for job in jobs)
    shown = [str(job.get("createdAt")) for job in jobs[:10]]
    trip.check(facts.ORDER, created == sorted(created, reverse=True), call, expected="newest first", got=shown)
    found = ids(jobs)
    trip.check(facts.PAGES, len(set(found)) == len(found), call, expected="each job once", got=found[:10])


def _ends(trip: JourneyContext, call: Exchange, jobs: Sequence[Any], limit: int) -> None:
    cursor = call.document.get("nextCursor")
    trip.check(facts.LIMIT, len(jobs) <= limit, call, expected=f"at most {limit}", got=len(jobs))
    if len(jobs) < limit:
        trip.check(facts.LAST_PAGE, cursor is None, call, expected=None, got=cursor)


@journey(
    "paging",
    "Pages are the list cut into pieces, also when a job is submitted between two of them.",
    26,
    renders=True,
)
def paging(trip: JourneyContext) -> None:
    life = completed_job(trip)
    older = submit(trip, step="submit to be listed", **trip.run.callback())
    cancelled = trip.call("cancelJob", 200, path={"jobId": older.id}, step="cancel while queued", is_repeatable=False)
    if not cancelled.is_success:
        raise trip.stop("the job was not cancelled", cancelled)
    settle_budget(trip, older, "cancelled")
    trip.check_equal(facts.CANCELS, "cancelled", _status(trip, older, cancelled), cancelled)
    newer = submit(trip, step="submit another", auth="bearer")
    trip.check(facts.NEW_JOB, len({life.job.id, older.id, newer.id}) == 3, newer.submitted)
    trip.run.shared["cancelled while queued"] = older
    whole_call, whole = _page(trip, "whole list", limit=MAX_LISTED)
    _in_order(trip, whole_call, whole)
    _ends(trip, whole_call, whole, MAX_LISTED)
    _has(trip, whole_call, whole, [newer.id, older.id, life.job.id])
    _agrees(trip, whole_call, whole, life.last)
    _children_listed(trip, whole_call, whole)
    latest = _cut(trip, whole_call, whole)
    _filters(trip, {"done": life.job.id, "cancelled": older.id, "queued": newer.id})
    if trip.run.target.has_control:  # on a real clock it may have ended by now
        trip.call(
            "deleteJob", "INVALID_STATE_TRANSITION", fact=facts.DELETE_RUNNING, path={"jobId": newer.id},
            step="delete an unfinished job",
        )  # fmt: skip
    for job in (newer, latest):
        _cancel(trip, job)
    _keeps_up(trip, [newer.id, latest.id])


def _keeps_up(trip: JourneyContext, ended: Sequence[str]) -> None:
    """What was listed as unfinished is listed as ended once it has."""
    call, jobs = _page(trip, "list after cancels", limit=MAX_LISTED)
    stale = [job.get("status") for job in jobs if job.get("jobId") in ended and job.get("status") not in TERMINAL]
    trip.check(facts.LIST_AGREES, not stale, call, expected="ended", got=stale, name="after cancels")


def _cancel(trip: JourneyContext, job: Job) -> None:
    """Cancel a job that is needed no more; on a real clock it may have ended by itself."""
    if not trip.run.target.has_control:
        status = trip.call("getJob", 200, path={"jobId": job.id}, step="is it still under way").document.get("status")
        if status in TERMINAL:
            settle_budget(trip, job, status)
            return
    cancel(trip, job)


def _status(trip: JourneyContext, job: Job, cancelled: Exchange) -> Any:
    """Return the status after a cancel: of its answer, or of the job where the answer has no body."""
    if cancelled.document:
        return cancelled.document.get("status")
    return trip.call("getJob", 200, path={"jobId": job.id}, step="read what was cancelled").document.get("status")


def _has(trip: JourneyContext, call: Exchange, jobs: Sequence[Any], wanted: Sequence[str]) -> None:
    """The newest jobs are our own, in the order of their submission, unless others submit at the same time."""
    found = [each for each in ids(jobs) if each in wanted]
    trip.check_equal(facts.LISTED, list(wanted), found, call)


def _agrees(trip: JourneyContext, call: Exchange, jobs: Sequence[Any], poll: Exchange) -> None:
    listed = next((job for job in jobs if job.get("jobId") == poll.document.get("jobId")), None)
    if listed is not None:
        odd = sorted(name for name, value in known_of(trip.run, poll).items() if listed.get(name) != value)
        trip.check(facts.LIST_AGREES, not odd, call, poll, expected="the same", got=f"other {odd}", name=",".join(odd))


def _children_listed(trip: JourneyContext, call: Exchange, jobs: Sequence[Any]) -> None:
    has_children = any(job.get("parentJobId") is not None for job in jobs)
    trip.learn("list.includes_children", has_children, call)


def _cut(trip: JourneyContext, whole_call: Exchange, whole: Sequence[Any]) -> Job:
    """Read the list in small pages, submit a job after the first, and return that."""
    latest: Job | None = None
    taken: list[Any] = []
    cursor: Any = None
    for number in range(MAX_PAGES):
        call, jobs = _page(trip, f"page {number + 1}", limit=SMALL, cursor=cursor)
        trip.check(facts.LIMIT, len(jobs) <= SMALL, call, expected=f"at most {SMALL}", got=len(jobs))
        found = _without_others(trip, ids(jobs), ids(whole))
        expected = ids(whole)[len(taken) : len(taken) + (len(found) if len(found) < len(jobs) else SMALL)]
        check = facts.PAGES if number == 0 else facts.STABLE
        wrong = set(found) & set(taken) or (found != expected and set(found) <= set(ids(whole)))
        if found != expected and _was_changed(trip, ids(whole)):
            trip.run.mark_inconclusive("pages", "others changed the list while it was read", call, whole_call)
            break
        trip.check_equal(
            facts.PAGES if wrong else check, expected, found, call, whole_call, place=f"page {min(number, 1)}"
        )
        taken += found
        cursor = call.document.get("nextCursor")
        is_last = len(taken) >= len(whole) and whole_call.document.get("nextCursor") is None
        trip.check(
            facts.LAST_PAGE, (cursor is None) == is_last, call, expected="null" if is_last else "a cursor", got=cursor
        )
        latest = latest or submit(trip, step="submit while paging")
        if cursor is None:
            break
    return latest or submit(trip, step="submit while paging")


def _without_others(trip: JourneyContext, found: list[Any], whole: list[Any]) -> list[Any]:
    """Leave out what others submitted since the whole list was read; a mock's account has no others."""
    if trip.run.target.has_control:
        return found
    return [each for each in found if each in whole or each in trip.run.jobs]


def _was_changed(trip: JourneyContext, whole: list[Any]) -> bool:
    """Say whether a job has gone from the list, or stands elsewhere, that is not this run's."""
    if trip.run.target.has_control:
        return False
    _, jobs = _page(trip, "whole list again", limit=MAX_LISTED)
    return [each for each in ids(jobs) if each in whole] != whole[: len(ids(jobs))]


def _filters(trip: JourneyContext, by_status: dict[str, str]) -> None:
    for status, job_id in by_status.items():
        call, jobs = _page(trip, f"filter {status}", status=status, limit=MAX_LISTED)
        odd = sorted({str(job.get("status")) for job in jobs} - {status})
        trip.check(facts.STATUS_FILTER, not odd, call, expected=status, got=odd, name=status)
        if status != "queued" or trip.run.target.has_control:  # on a real clock it may have gone on meanwhile
            trip.check(
                facts.STATUS_FILTER, job_id in ids(jobs), call, expected=job_id, got=ids(jobs)[:10], name="has it"
            )
    call, jobs = _page(trip, "filter render", type="render", limit=MAX_LISTED)
    odd = sorted({str(job.get("type")) for job in jobs if not str(job.get("type")).startswith("render")})
    trip.check(facts.TYPE_FILTER, not odd, call, expected="render", got=odd)
    missing = [each for each in by_status.values() if each not in ids(jobs)]
    trip.check(
        facts.TYPE_FILTER, not missing, call, expected=list(by_status.values()), got=ids(jobs)[:10], name="has it"
    )
    call, jobs = _page(trip, "filter another type", type="publish.youtube", limit=MAX_LISTED)
    odd = sorted({str(job.get("type")) for job in jobs} - {"publish.youtube"})
    trip.check(facts.TYPE_FILTER, not odd, call, expected="publish.youtube", got=odd, name="another type")
