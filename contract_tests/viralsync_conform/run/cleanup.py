"""What a run leaves behind: nothing, if the target lets it; and what it could not clean, it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

from viralsync_conform.budget import BudgetSpentError
from viralsync_conform.calls import TERMINAL, Exchange
from viralsync_conform.contract.schemas import CREATES, DELETES, ENDS, LISTS, READS
from viralsync_conform.ownership_guard import ForeignIdError
from viralsync_conform.run.context import RunContext, StopRunError
from viralsync_conform.run.http_client import HttpClient
from viralsync_conform.run.job_invariants import instants, jobs_of
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.run.submissions import (
    Job,
    cancel_when_possible,
    foreign_jobs,
    is_marked,
    settle_budget,
    wait_terminal,
)
from viralsync_conform.target import MAIN

MAX_LISTED, MAX_PAGES = 100, 3
"""How much of the list is searched for what an earlier run left."""

MAX_LEFT = 20
"""So many jobs are removed in a night: three calls each."""

QUIET_SECONDS = 120.0
"""A run that goes on makes a job more often than that."""

LEFT = "left behind"


def sweep(run: RunContext, client: HttpClient) -> None:
    """Remove what an earlier run has left, if it was killed: its jobs have the mark of the kit.

    A run that is still going on has made a job not long ago. Where a job is unfinished, and may take a slot, it is
    waited for whether there is another; what has ended is left for the clean-up.
    """
    if run.target.has_control or not run.profile.renders:
        return
    context = JourneyContext(run, client, "cleaning")
    try:
        left, age = _left_behind(context)
        is_quiet = age >= QUIET_SECONDS
        if not is_quiet and any(job.get("status") not in TERMINAL for job in left):
            newest = left[0]["jobId"]
            context.account.clock.wait(QUIET_SECONDS - age)
            left, _ = _left_behind(context)
            is_quiet = not left or left[0]["jobId"] == newest
            if not is_quiet:
                run.notes.append("another run uses this account just now: its jobs were left alone")
                return
        if is_quiet:
            _remove_left(context, left)
        run.shared[LEFT] = [job["jobId"] for job in left if job["jobId"] not in run.deleted]
    except (StopRunError, BudgetSpentError) as reason:
        run.notes.append(f"what an earlier run left was not looked for: {reason}")


def _left_behind(context: JourneyContext) -> tuple[list[Mapping[str, Any]], float]:
    """Return the marked jobs that are not this run's, newest first, and the age of the newest in seconds."""
    run, found, cursor = context.run, list[Mapping[str, Any]](), None
    for _ in range(MAX_PAGES):
        query = {"limit": MAX_LISTED, **({"cursor": cursor} if cursor else {})}
        page = context.call(run.contract.one(LISTS).id, 200, query=query, step="look for what an earlier run left")
        now = parsedate_to_datetime(page.header("date") or format_datetime(page.at))
        found += [job for job in jobs_of(run, page) if is_marked(job) and job.get("parentJobId") is None]
        cursor = page.document.get("nextCursor")
        if not isinstance(cursor, str):
            break
    left = [job for job in found if isinstance(job.get("jobId"), str) and job["jobId"] not in run.jobs]
    created = [each for each in instants([job.get("createdAt") for job in left[:1]]) if isinstance(each, datetime)]
    return left, (now - created[0]).total_seconds() if created else 0.0


def _remove_left(context: JourneyContext, left: Sequence[Mapping[str, Any]]) -> None:
    run = context.run
    for job in left[:MAX_LEFT]:
        job_id = str(job["jobId"])
        run.guard.own(job_id)
        run.settled.add(job_id)
        _try_to_remove(context, Job(job_id, {}, 0.0, run.calls[-1]))
        done = "removed" if job_id in run.deleted else "could not be removed"
        run.notes.append(f"an earlier run left {job_id}, {job.get('status')} since {job.get('updatedAt')}: {done}")


def clean(run: RunContext, client: HttpClient) -> None:
    """Cancel and delete every job that the run made on the account under test, and what an earlier one left."""
    run.budget.is_cleaning = True
    context = JourneyContext(run, client, "cleaning")
    try:
        lost = _lost_submissions(run)
        if lost:
            find_orphaned_jobs(run, context, lost[0])
        for job in list(run.jobs.values()):
            if job.id not in run.deleted:
                _try_to_remove(context, job)
        if waiting := run.shared.get(LEFT):
            left, age = _left_behind(context)
            if age >= QUIET_SECONDS:
                _remove_left(context, [job for job in left if job["jobId"] in waiting])
    except (StopRunError, BudgetSpentError, KeyboardInterrupt) as reason:
        run.mark_inconclusive("clean_up", f"the clean-up was not finished: {str(reason) or 'interrupted'}", name="end")
    run.unclean = [job_id for job_id in run.jobs if job_id not in run.deleted]


def _lost_submissions(run: RunContext) -> list[Exchange]:
    """Return the submissions that may have made a job without telling its id."""
    submitted = (call for call in run.calls if call.effect == CREATES and call.account == MAIN)
    return [
        call
        for call in submitted
        if (call.is_success and str(call.document.get("jobId")) not in run.jobs)
        or call.status is None
        or call.status >= 500
    ]


def find_orphaned_jobs(run: RunContext, context: JourneyContext, lost: Exchange) -> None:
    """Look for jobs of this run's project whose submission gave no id, and take them into its care.

    What was listed before the first of these submissions is not of this run, though a run of the same seed made it.
    """
    others = foreign_jobs(run, lost)
    page = context.call(run.contract.one(LISTS).id, 200, query={"limit": MAX_LISTED}, step="look for lost jobs")
    for document in jobs_of(run, page):
        payload, job_id = document.get("payload"), document.get("jobId")
        is_ours = isinstance(payload, dict) and payload.get("projectId") == run.project_id and is_marked(document)
        if is_ours and isinstance(job_id, str) and job_id not in run.jobs.keys() | run.deleted | others:
            run.guard.own(job_id)
            run.jobs[job_id] = Job(job_id, {}, 0.0, page)


def _try_to_remove(context: JourneyContext, job: Job) -> None:
    """Remove a job; one whose id the guard does not trust keeps no other from being removed."""
    try:
        _remove(context, job)
    except ForeignIdError as refusal:
        context.run.mark_inconclusive("clean_up", str(refusal), name=job.id)


def _remove(context: JourneyContext, job: Job) -> None:
    contract = context.run.contract
    read, cancel, delete = (contract.one(effect) for effect in (READS, ENDS, DELETES))
    path = contract.job_path(read, job.id)
    call = context.call_any(read.id, path=path, step="look before cleaning")
    status = call.document.get("status")
    if call.status == 404:
        context.run.deleted.add(job.id)
        return
    context.expect(call, 200)
    if status not in TERMINAL:
        if context.run.target.has_control:
            cancelled = context.call(cancel.id, 200, path=path, step="clean: cancel", is_repeatable=True)
            status = "cancelled" if cancelled.is_success else status
        else:
            cancelled = cancel_when_possible(context, job.id, "clean: cancel")
            status = cancelled.document.get("status")
            if status != "cancelled":
                status = wait_terminal(context, job.id, "clean: look").document.get("status")
    settle_budget(context, job, status)
    if context.call(delete.id, 200, path=path, step="clean: delete", is_repeatable=False).is_success:
        context.run.deleted.add(job.id)
