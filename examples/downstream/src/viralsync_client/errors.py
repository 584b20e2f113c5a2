"""What can go wrong.

ViralSyncError
├── ConnectionLost          no answer, however often it was asked
├── ApiError                the API refused; `status` and `code` are its own
│   ├── InvalidKey          401
│   ├── QuotaExceeded       402, of minutes or of the plan
│   ├── NotFound            404
│   ├── Conflict            409
│   ├── RateLimited         429, still after the retries
│   └── Unavailable         5xx, still after the retries
├── SubmissionUnclear       the answer was lost and the list does not tell whether there is a job
├── StillRunning            the job was not over in time
└── JobEnded                the job is over, without a video
    ├── JobFailed
    └── JobCancelled
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from viralsync_client.records import Job


class ViralSyncError(Exception):
    """All errors of this library."""


class ConnectionLost(ViralSyncError):
    """No answer, however often it was asked."""


class ApiError(ViralSyncError):
    """A refusal: `status` of HTTP, `code` of the API, empty when the body had none."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(f"{status} {code}: {text}" if code else f"{status}: {text}")
        self.status, self.code = status, code


class InvalidKey(ApiError):
    """The key is unknown or revoked."""


class QuotaExceeded(ApiError):
    """The render minutes are used up, or the plan does not allow such a movie."""


class NotFound(ApiError):
    """There is no such job."""


class Conflict(ApiError):
    """Too many jobs at once, or the job is not in a state that allows it."""


class RateLimited(ApiError):
    """Too many requests, still after the retries."""


class Unavailable(ApiError):
    """The API has trouble, still after the retries."""


class SubmissionUnclear(ViralSyncError):
    """The answer was lost, and any of `candidates` may be the job that was submitted."""

    def __init__(self, candidates: Sequence[Job]) -> None:
        super().__init__(f"the answer was lost; one of these may be the job: {', '.join(job.id for job in candidates)}")
        self.candidates = candidates


class StillRunning(ViralSyncError):
    """The job was not over in time."""


class JobEnded(ViralSyncError):
    """The job is over, without a video."""

    def __init__(self, job: Job) -> None:
        super().__init__(f"{job.id} {job.status}: {job.error}" if job.error else f"{job.id} {job.status}")
        self.job = job


class JobFailed(JobEnded):
    """The job has failed; `job.error` says why."""


class JobCancelled(JobEnded):
    """The job was cancelled."""


KINDS: Mapping[int, type[ApiError]] = MappingProxyType(
    {401: InvalidKey, 402: QuotaExceeded, 404: NotFound, 409: Conflict, 429: RateLimited}
)


def error_of(outcome: httpx.Response | httpx.RequestError) -> ViralSyncError:
    """Return the error that a call stands for which has not succeeded, whatever its body is."""
    if not isinstance(outcome, httpx.Response):
        return ConnectionLost(f"no answer: {type(outcome).__name__} {outcome}")
    try:
        document = outcome.json()
    except ValueError:
        document = None
    told = document if isinstance(document, Mapping) else {}
    kind = KINDS.get(outcome.status_code, Unavailable if outcome.is_server_error else ApiError)
    return kind(outcome.status_code, str(told.get("code", "")), str(told.get("error", outcome.reason_phrase)))
