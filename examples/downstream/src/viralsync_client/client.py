"""The client: submit, wait, stream, list, cancel, render."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Self

import httpx

from viralsync_client.door import Door
from viralsync_client.errors import (
    Conflict,
    ConnectionLost,
    JobCancelled,
    JobEnded,
    JobFailed,
    RateLimited,
    StillRunning,
    Unavailable,
    ViralSyncError,
)
from viralsync_client.progress import Progress
from viralsync_client.records import Job
from viralsync_client.retrying import Retries
from viralsync_client.submission import submit

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 15.0
"""Seconds between two looks at a job that is waited for, at first and at most."""

SILENCE = 40.0
"""A stream is kept alive every 15 s: after this many seconds without a byte the connection is lost."""


class ViralSync:
    """The API for one key. `sleep` and `clock` are those of `time` unless a test brings its own.

    Methods raise ApiError, by its kinds, for a refusal, and ConnectionLost when no answer came.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        project_id: str = "proj_default",
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        retries: Retries | None = None,
        silence: float = SILENCE,
    ) -> None:
        http = httpx.Client(base_url=base_url, headers={"x-api-key": api_key}, timeout=10.0)
        self._door = Door(http, sleep, retries or Retries())
        self._project_id, self._sleep, self._clock, self._silence = project_id, sleep, clock, silence

    def submit(self, movie: Mapping[str, Any], callback_url: str | None = None) -> Job:
        """Submit a movie once, however often it takes, and return its job.

        Raises SubmissionUnclear when an answer was lost and the movie has an `id` of yours that a listed job has too.
        """
        document = {"kind": "movie", "projectId": self._project_id, "movie": movie}
        return submit(self._door, document | ({"callbackUrl": callback_url} if callback_url else {}))

    def job(self, job_id: str) -> Job:
        """Return a job as it is now."""
        return Job.of(self._door.ask("GET", f"/v1/jobs/{job_id}"))

    def jobs(self, *, status: str | None = None, page_size: int = 25) -> Iterator[Job]:
        """Yield all jobs, newest first, page by page as they are asked for."""
        query = {"limit": page_size} | ({"status": status} if status else {})
        cursor: str | None = ""
        while cursor is not None:
            page = self._door.ask("GET", "/v1/jobs", params=query | ({"cursor": cursor} if cursor else {}))
            yield from map(Job.of, page["jobs"])
            cursor = page.get("nextCursor")

    def wait(self, job_id: str, timeout: float | None = None) -> Job:
        """Look at a job, ever less often, until it is done; raises StillRunning after this many seconds, JobEnded."""
        give_up_at = None if timeout is None else self._clock() + timeout
        for job in self._looks(job_id):
            if not job.is_over and give_up_at is not None and self._clock() >= give_up_at:
                raise StillRunning(f"{job_id} is {job.status} after {timeout:g} s")
        return _with_video(job)

    def stream(self, job_id: str) -> Iterator[Job]:
        """Yield a job at each change until it is over, resuming where a connection was lost.

        Where no stream can be had, the job is looked at from time to time instead.
        """
        try:
            yield from Progress(self._door, job_id, self._silence).updates()
        except (ConnectionLost, RateLimited, Unavailable):
            yield from self._looks(job_id)

    def cancel(self, job_id: str) -> Job:
        """Cancel a job and return it as it is then; one that is over already stays as it is."""
        try:
            answer = self._door.ask("POST", f"/v1/jobs/{job_id}/cancel")
        except Conflict:
            answer = None
        return Job.of(answer) if answer else self.job(job_id)

    def render(self, movie: Mapping[str, Any], timeout: float | None = None) -> Job:
        """Submit a movie and wait until it is done; a job that is not waited for any longer is cancelled."""
        job = self.submit(movie)
        try:
            return self.wait(job.id, timeout)
        except JobEnded:
            raise
        except BaseException:
            with suppress(ViralSyncError):
                self.cancel(job.id)
            raise

    def close(self) -> None:
        """Close the connections."""
        self._door.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _looks(self, job_id: str) -> Iterator[Job]:
        pause = FIRST_PAUSE
        while True:
            yield (job := self.job(job_id))
            if job.is_over:
                return
            self._sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)


def _with_video(job: Job) -> Job:
    """Return a job that is done; raise the error that another end stands for."""
    if job.status == "done":
        return job
    raise (JobFailed if job.status == "failed" else JobCancelled)(job)
