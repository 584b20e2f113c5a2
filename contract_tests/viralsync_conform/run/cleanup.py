"""What a run leaves behind: nothing, if the target lets it; and what it could not clean, it says."""

from __future__ import annotations

from viralsync_conform.budget import BudgetSpentError
from viralsync_conform.calls import TERMINAL, Exchange
from viralsync_conform.contract.schemas import CREATES, DELETES, ENDS, LISTS, READS
from viralsync_conform.ownership_guard import ForeignIdError
from viralsync_conform.run.context import RunContext, StopRunError
from viralsync_conform.run.http_client import HttpClient
from viralsync_conform.run.job_invariants import jobs_of
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.run.submissions import (
    TITLE,
    Job,
    cancel_when_possible,
    foreign_jobs,
    settle_budget,
    wait_terminal,
)
from viralsync_conform.target import MAIN

MAX_LISTED = 100


def clean(run: RunContext, client: HttpClient) -> None:
    """Cancel and delete every job that the run made on the account under test."""
    run.budget.is_cleaning = True
    context = JourneyContext(run, client, "cleaning")
    try:
        lost = _lost_submissions(run)
        if lost:
            find_orphaned_jobs(run, context, lost[0])
        for job in list(run.jobs.values()):
            if job.id not in run.deleted:
                _try_to_remove(context, job)
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
        is_ours = isinstance(payload, dict) and payload.get("projectId") == run.project_id
        if run.project and is_ours:  # others may use it too
            movie = payload.get("movie") if isinstance(payload, dict) else None
            is_ours = isinstance(movie, dict) and movie.get("title") == TITLE
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
    call = context.call(read.id, 200, path=path, step="look before cleaning")
    status = call.document.get("status")
    if call.status == 404:
        context.run.deleted.add(job.id)
        return
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
