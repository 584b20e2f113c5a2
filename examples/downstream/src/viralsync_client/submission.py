"""How a movie gets into the queue exactly once, though the API knows no idempotency key.

A lost answer, and a 5xx, leave open whether there is a job. The movie's `id` comes back in the list of jobs: one that
nobody else has makes the job findable, so a movie without an id gets one here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from viralsync_client.door import Door
from viralsync_client.errors import SubmissionUnclear, error_of
from viralsync_client.records import Job
from viralsync_client.retrying import is_unclear

JOBS_LOOKED_AT = 100
"""So many of the newest jobs are looked through, the largest page there is: the one sought is seconds old."""


def submit(door: Door, document: Mapping[str, Any]) -> Job:
    """Submit a job; after an unclear failure look for it before it is submitted again."""
    sent = {**document, "movie": {"id": f"movie_{door.retries.rng.getrandbits(96):024x}", **document["movie"]}}
    attempt = 1
    while True:
        outcome = door.attempt("POST", "/v1/render/jobs", json=sent)
        if isinstance(outcome, httpx.Response) and outcome.is_success:
            return Job.of(outcome.json())
        wait = door.retries.wait_after(attempt, outcome)
        if wait is not None:
            door.sleep(wait)
        if is_unclear(outcome) and (job := _found(door, sent["movie"]["id"], is_ours="id" not in document["movie"])):
            return job
        if wait is None:
            raise error_of(outcome)
        attempt += 1


def _found(door: Door, movie_id: str, *, is_ours: bool) -> Job | None:
    page = door.ask("GET", "/v1/jobs", params={"limit": JOBS_LOOKED_AT})
    jobs = [Job.of(each) for each in page["jobs"] if _movie_of(each).get("id") == movie_id]
    if jobs and not is_ours:
        raise SubmissionUnclear(jobs)
    return jobs[0] if jobs else None


def _movie_of(job: Mapping[str, Any]) -> Mapping[str, Any]:
    return (job.get("payload") or {}).get("movie") or {}
