"""A small client of the ViralSync API."""

from viralsync_client.client import ViralSync
from viralsync_client.errors import (
    ApiError,
    Conflict,
    ConnectionLost,
    InvalidKey,
    JobCancelled,
    JobEnded,
    JobFailed,
    NotFound,
    QuotaExceeded,
    RateLimited,
    StillRunning,
    SubmissionUnclear,
    Unavailable,
    ViralSyncError,
)
from viralsync_client.records import Job
from viralsync_client.retrying import Retries
from viralsync_client.webhooks import Inbox, is_genuine, webhook_app

__all__ = [
    "ApiError",
    "Conflict",
    "ConnectionLost",
    "Inbox",
    "InvalidKey",
    "Job",
    "JobCancelled",
    "JobEnded",
    "JobFailed",
    "NotFound",
    "QuotaExceeded",
    "RateLimited",
    "Retries",
    "StillRunning",
    "SubmissionUnclear",
    "Unavailable",
    "ViralSync",
    "ViralSyncError",
    "is_genuine",
    "webhook_app",
]
