"""The list: complete, in order, page by page, filtered, and stable while jobs are added."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from viralsync_conform.calls import TERMINAL, Exchange
from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.findings import Check
from viralsync_conform.journeys.job_lifecycle import completed_job, read_ended_stream, slow_movie
from viralsync_conform.run.job_invariants import instants, jobs_of, known_of
from viralsync_conform.run.journey import journey
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.run.submissions import Job, cancel, cancel_when_possible, settle_budget, submit, wait_terminal

MAX_LISTED = 100
SMALL = 2
MAX_PAGES = 4
OTHER_TYPES = 2
BAD_REQUEST = 400
UNKNOWN = "conformance.unknown"


def _page(context: JourneyContext, step: str, auth: str = "header", **query: Any) -> tuple[Exchange, list[Any]]:
    call = context.call("listJobs", 200, query=query, auth=auth, step=step)
    return call, list(jobs_of(context.run, call))


def ids(jobs: Sequence[Any]) -> list[Any]:
    """Return the ids of a page's jobs, in order."""
    return [job.get("jobId") for job in jobs]


@journey("reading_the_list", "What the account has is listed in order, and a page ends where it says it does.", 10)
def reading_the_list(context: JourneyContext) -> None:
    call, jobs = _page(context, "list", limit=MAX_LISTED)
    _in_order(context, call, jobs)
    _ends(context, call, jobs, MAX_LISTED)
    _default_page(context, jobs)
    one, first = _page(context, "list one", auth="bearer", limit=1)
    context.check(facts.LIMIT, len(first) <= 1, one, expected="at most 1", got=len(first))
    if jobs and first:
        context.check_equal(facts.ORDER, jobs[0].get("jobId"), first[0].get("jobId"), call, one)
    wrong = context.call(
        "listJobs", "VALIDATION_ERROR", fact=BAD_CURSOR, query={"cursor": "no cursor"}, step="bad cursor"
    )
    context.check(BAD_CURSOR, not wrong.is_success, wrong)
    context.check_refusal(wrong, BAD_REQUEST)
    odd = context.call_any("listJobs", query={"limit": "many"}, step="limit that is no number")
    context.check_refusal(odd, BAD_REQUEST)
    _unknown_type(context)


@journey(
    "reading_a_job",
    "What the account has already is read only: page by page, a job, and the stream of one that has ended.",
    12,
)
def reading_a_job(context: JourneyContext) -> None:
    if context.run.profile.renders:
        return  # then a job of our own is read
    call, jobs = _page(context, "first page", limit=1)
    if call.document.get("nextCursor"):
        second, others = _page(context, "second page", limit=1, cursor=call.document["nextCursor"])
        context.check(facts.PAGES, not set(ids(jobs)) & set(ids(others)), call, second, name="disjoint")
    _, ended = _page(context, "jobs that are done", status="done", limit=1)
    if not ended:
        return
    path = {"jobId": str(ended[0].get("jobId"))}
    job = context.call("getJob", 200, path=path, step="read a job")
    context.check_equal(facts.JOB_ID, path["jobId"], job.document.get("jobId"), job)
    for operation in ("getJob", "streamJobProgress"):
        context.call(
            operation, "UNAUTHORIZED", fact=facts.KEY_NEEDED, path=path, auth="none", step=f"{operation} without a key"
        )
    if read_ended_stream(context, path["jobId"], "done", "stream of a done job").call is not None:
        context.call("getJob", 200, path=path, step="read it again")


BAD_CURSOR = Check("bad_cursor", "A cursor that no page gave is refused.", facts.A, facts.JOBS)


def _default_page(context: JourneyContext, whole: Sequence[Any]) -> None:
    """Without a limit a page holds 25 jobs, where there are more; and a cursor keeps to the filter it is sent with."""
    parameters = context.run.contract.operations["listJobs"].parameters
    size = next(each.schema["default"] for each in parameters if each.name == "limit")
    call, jobs = _page(context, "list without a limit")
    if len(whole) > size:
        context.check_equal(facts.DEFAULT_LIMIT, size, len(jobs), call)
    kinds = [str(job.get("type")) for job in whole]
    kind = next((each for each in kinds if kinds.count(each) > 1 and each != kinds[0]), None)
    if kind is not None:
        first, _ = _page(context, "first page of a type", type=kind, limit=1)
        cursor = first.document.get("nextCursor")
        second, jobs = _page(context, "second page of a type", type=kind, limit=1, cursor=cursor)
        odd = sorted({str(job.get("type")) for job in jobs if not _is_of_type(str(job.get("type")), kind)})
        context.check(facts.TYPE_FILTER, not odd, second, first, expected=kind, got=odd, name="with a cursor")


def _unknown_type(context: JourneyContext) -> None:
    call = context.call("listJobs", 200, fact=facts.UNKNOWN_TYPE, query={"type": UNKNOWN}, step="unknown type")
    if call.is_success:
        context.check_equal(facts.UNKNOWN_TYPE, [], ids(jobs_of(context.run, call)), call)
    if call.status in {200, 400}:
        context.learn("list.unknown_type", "empty" if call.is_success else "error", call)


def _in_order(context: JourneyContext, call: Exchange, jobs: Sequence[Any]) -> None:
    created = instants(job.get("createdAt") for job in jobs)
    shown = [str(job.get("createdAt")) for job in jobs[:10]]
    context.check(facts.ORDER, created == sorted(created, reverse=True), call, expected="newest first", got=shown)
    found = ids(jobs)
    context.check(facts.PAGES, len(set(found)) == len(found), call, expected="each job once", got=found[:10])


def _ends(context: JourneyContext, call: Exchange, jobs: Sequence[Any], limit: int) -> None:
    cursor = call.document.get("nextCursor")
    context.check(facts.LIMIT, len(jobs) <= limit, call, expected=f"at most {limit}", got=len(jobs))
    if len(jobs) < limit:
        _is_last(context, call, cursor, limit)


def _is_last(context: JourneyContext, call: Exchange, cursor: Any, limit: int) -> None:
    """Nothing comes after the last page: its cursor is null, or leads to an empty page whose cursor is."""
    if isinstance(cursor, str) and cursor:
        size, short = len(jobs_of(context.run, call)), call
        call, after = _page(context, "page after the last", limit=limit, cursor=cursor)
        cursor = call.document.get("nextCursor")
        if after:
            context.check(facts.FULL_PAGE, size >= limit, short, call, expected=limit, got=f"{size}, and more follow")
            return
    context.check(facts.LAST_PAGE, cursor is None, call, expected=None, got=cursor)


@journey(
    "paging", "Pages are the list cut into pieces, also when a job is submitted between two of them.", 26, renders=True
)
def paging(context: JourneyContext) -> None:
    life = completed_job(context)
    slow = slow_movie(context)
    older = submit(context, step="submit to be listed", **slow, **context.run.callback())
    if context.run.target.has_control:
        cancelled = context.call(
            "cancelJob", 200, path={"jobId": older.id}, step="cancel while queued", is_repeatable=False
        )
    else:
        cancelled = cancel_when_possible(context, older.id, "cancel while queued")
    if not cancelled.is_success:
        raise context.stop("the job was not cancelled", cancelled)
    status = _status(context, older, cancelled)
    settle_budget(context, older, status)
    if context.run.target.has_control or status != "done":  # a real one may have been too fast
        context.check_equal(facts.CANCELS, "cancelled", status, cancelled)
    newer = submit(context, step="submit another", auth="bearer", **slow)
    context.check(facts.NEW_JOB, len({life.job.id, older.id, newer.id}) == 3, newer.submitted)
    if status == "cancelled":
        context.run.shared["cancelled while queued"] = older
    wanted = [newer.id, older.id, life.job.id]
    whole_call = context.settle(
        lambda: _page(context, "whole list", limit=MAX_LISTED)[0],
        lambda call: set(wanted) <= set(ids(jobs_of(context.run, call))),
    )
    whole = list(jobs_of(context.run, whole_call))
    _in_order(context, whole_call, whole)
    _ends(context, whole_call, whole, MAX_LISTED)
    _has(context, whole_call, whole, wanted)
    _agrees(context, whole_call, whole, life.last)
    _children_listed(context, whole_call, whole)
    latest = _cut(context, whole_call, whole)
    _filters(context, {"done": life.job.id, status: older.id, "queued": newer.id}, life.last, whole)
    if context.run.target.has_control:  # on a real clock it may have ended by now
        context.call(
            "deleteJob", "INVALID_STATE_TRANSITION", fact=facts.DELETE_RUNNING, path={"jobId": newer.id},
            step="delete an unfinished job",
        )  # fmt: skip
    for job in (newer, latest):
        _cancel(context, job)
    _keeps_up(context, [newer.id, latest.id])


def _keeps_up(context: JourneyContext, ended: Sequence[str]) -> None:
    """What was listed as unfinished is listed as ended once it has."""
    call = context.settle(
        lambda: _page(context, "list after cancels", limit=MAX_LISTED)[0], lambda call: not _stale(context, call, ended)
    )
    stale = _stale(context, call, ended)
    context.check(facts.LIST_AGREES, not stale, call, expected="ended", got=stale, name="after cancels")


def _stale(context: JourneyContext, call: Exchange, ended: Sequence[str]) -> list[Any]:
    jobs = jobs_of(context.run, call)
    return [job.get("status") for job in jobs if job.get("jobId") in ended and job.get("status") not in TERMINAL]


def _cancel(context: JourneyContext, job: Job) -> None:
    """Cancel a job that is needed no more; on a real clock it may have ended by itself."""
    if not context.run.target.has_control:
        status = context.call("getJob", 200, path={"jobId": job.id}, step="is it still under way").document.get(
            "status"
        )
        if status in TERMINAL:
            settle_budget(context, job, status)
            return
    cancel(context, job, is_kept=True)


def _status(context: JourneyContext, job: Job, cancelled: Exchange) -> Any:
    """Return the status after a cancel: of its answer, or of the job where that may lag behind or has no body."""
    if cancelled.document.get("status") == "cancelled" and context.run.target.has_control:
        return "cancelled"
    return wait_terminal(context, job.id, "read what was cancelled").document.get("status")


def _has(context: JourneyContext, call: Exchange, jobs: Sequence[Any], wanted: Sequence[str]) -> None:
    """The newest jobs are our own, in the order of their submission, unless others submit at the same time."""
    found = [each for each in ids(jobs) if each in wanted]
    is_whole = call.document.get("nextCursor") is None
    expected = [each for each in wanted if is_whole or each in found]
    context.check_equal(facts.LISTED, expected, found, call)


def _agrees(context: JourneyContext, call: Exchange, jobs: Sequence[Any], poll: Exchange) -> None:
    listed = next((job for job in jobs if job.get("jobId") == poll.document.get("jobId")), None)
    if listed is not None:
        context.check_equal(facts.LIST_AGREES, poll.document.get("status"), listed.get("status"), call, poll)
        odd = sorted(name for name, value in known_of(context.run, poll).items() if listed.get(name) != value)
        context.check(
            facts.LIST_FIELDS, not odd, call, poll, expected="the same", got=f"other {odd}", name=",".join(odd)
        )


def _children_listed(context: JourneyContext, call: Exchange, jobs: Sequence[Any]) -> None:
    has_children = any(job.get("parentJobId") is not None for job in jobs)
    context.learn("list.includes_children", has_children, call)


def _cut(context: JourneyContext, whole_call: Exchange, whole: Sequence[Any]) -> Job:
    """Read the list in small pages, submit a job after the first, and return that."""
    latest: Job | None = None
    taken: list[Any] = []
    cursor: Any = None
    for number in range(MAX_PAGES):
        call, jobs = _page(context, f"page {number + 1}", limit=SMALL, cursor=cursor)
        context.check(facts.LIMIT, len(jobs) <= SMALL, call, expected=f"at most {SMALL}", got=len(jobs))
        found = _without_others(context, ids(jobs), ids(whole))
        expected = ids(whole)[len(taken) : len(taken) + (len(found) if len(found) < len(jobs) else SMALL)]
        check = facts.PAGES if number == 0 else facts.STABLE
        if number == 1 and taken and found[:1] == taken[-1:]:  # the new job has shifted the pages: that is open
            context.check(facts.STABLE, False, call, whole_call, expected=expected, got=found)
            found = expected = found[1:]
        wrong = set(found) & set(taken) or (found != expected and set(found) <= set(ids(whole)))
        if found != expected and _was_changed(context, ids(whole)):
            context.run.mark_inconclusive("pages", "others changed the list while it was read", call, whole_call)
            break
        context.check_equal(
            facts.PAGES if wrong else check, expected, found, call, whole_call, place=f"page {min(number, 1)}"
        )
        taken += found
        cursor = call.document.get("nextCursor")
        is_last = len(taken) >= len(whole) and whole_call.document.get("nextCursor") is None
        if is_last:
            _is_last(context, call, cursor, SMALL)
        else:
            context.check(facts.LAST_PAGE, cursor is not None, call, expected="a cursor", got=cursor)
        latest = latest or submit(context, step="submit while paging", **slow_movie(context))
        if cursor is None or is_last:
            break
    return latest or submit(context, step="submit while paging")


def _without_others(context: JourneyContext, found: list[Any], whole: list[Any]) -> list[Any]:
    """Leave out what others submitted since the whole list was read; a mock's account has no others."""
    if context.run.target.has_control:
        return found
    return [each for each in found if each in whole or each in context.run.jobs]


def _was_changed(context: JourneyContext, whole: list[Any]) -> bool:
    """Say whether a job has gone from the list, or stands elsewhere, that is not this run's."""
    if context.run.target.has_control:
        return False
    _, jobs = _page(context, "whole list again", limit=MAX_LISTED)
    kept = [each for each in ids(jobs) if each in whole]
    return kept != whole[: len(kept)]


def _filters(context: JourneyContext, by_status: dict[Any, str], poll: Exchange, whole: Sequence[Any]) -> None:
    for status, job_id in by_status.items():
        call, jobs = _filtered(context, status, job_id)
        odd = sorted({str(job.get("status")) for job in jobs} - {status})
        context.check(facts.STATUS_FILTER, not odd, call, expected=status, got=odd, name=status)
        if status != "queued" or context.run.target.has_control:  # on a real clock it may have gone on meanwhile
            context.check(
                facts.STATUS_FILTER, job_id in ids(jobs), call, expected=job_id, got=ids(jobs)[:10], name="has it"
            )
    own = str(poll.document.get("type"))
    if own != "render" and not context.run.target.has_control:
        _page(context, "filter render", type="render", limit=MAX_LISTED)  # whether it stands for all of them is open
    call, jobs = _page(context, f"filter {own}", type=own, limit=MAX_LISTED)
    is_whole = call.document.get("nextCursor") is None
    missing = [each for each in by_status.values() if is_whole and each not in ids(jobs)]
    context.check(
        facts.TYPE_FILTER, not missing, call, expected=list(by_status.values()), got=ids(jobs)[:10], name="has it"
    )
    others = sorted({str(job.get("type")) for job in whole} - {own} - {"render"})
    for kind in (own, "publish.youtube", *others[:OTHER_TYPES]):
        call, jobs = _page(context, f"filter by type {kind}", type=kind, limit=MAX_LISTED)
        odd = sorted({str(job.get("type")) for job in jobs if not _is_of_type(str(job.get("type")), kind)})
        context.check(facts.TYPE_FILTER, not odd, call, expected=kind, got=odd, name="another type")


def _filtered(context: JourneyContext, status: Any, job_id: str) -> tuple[Exchange, list[Any]]:
    """Read the jobs in a status, until one that must be there is; one that is queued may have gone on."""
    call = context.settle(
        lambda: _page(context, f"filter {status}", status=status, limit=MAX_LISTED)[0],
        lambda call: status == "queued" or job_id in ids(jobs_of(context.run, call)),
    )
    return call, list(jobs_of(context.run, call))


def _is_of_type(kind: str, wanted: str) -> bool:
    return kind == wanted or kind.startswith(f"{wanted}.")
