"""What passes is waited out, what does not is told at once, and a movie is submitted once."""

from __future__ import annotations

from itertools import pairwise

import pytest
from conftest import MOVIE
from viralsync_mock import Sandbox
from viralsync_mock.client import FaultName, Operation

from viralsync_client import (
    Conflict,
    ConnectionLost,
    InvalidKey,
    QuotaExceeded,
    SubmissionUnclear,
    Unavailable,
    ViralSync,
)


def gaps(viralsync: Sandbox, operation: Operation) -> list[float]:
    """Return the seconds between the calls of an operation."""
    instants = [call.at for call in viralsync.journal.calls(operation)]
    return [(later - earlier).total_seconds() for earlier, later in pairwise(instants)]


@pytest.mark.viralsync(clock="frozen")
def test_the_rate_limit_is_waited_out(api: ViralSync, viralsync: Sandbox) -> None:
    """One refusal, `Retry-After` seconds of patience, and on it goes."""
    viralsync.exhaust("rate")
    api.submit(MOVIE)
    (refused,) = viralsync.assert_called("submitRenderJob", status=429, times=1)
    response = viralsync.journal.explain(refused).response or {}
    asked = int(response["headers"]["retry-after"])
    assert gaps(viralsync, "submitRenderJob") == [asked]


def test_a_used_up_quota_is_told_at_once(api: ViralSync, viralsync: Sandbox) -> None:
    """It resets next month: nothing to wait for."""
    viralsync.exhaust("quota")
    with pytest.raises(QuotaExceeded) as caught:
        api.submit(MOVIE)
    assert (caught.value.status, caught.value.code) == (402, "RENDER_QUOTA_EXCEEDED")
    viralsync.assert_called("submitRenderJob", times=1)


def test_too_many_jobs_at_once_are_told_at_once(api: ViralSync, viralsync: Sandbox) -> None:
    """What to cancel is for the caller to say."""
    viralsync.exhaust("concurrency")
    with pytest.raises(Conflict, match="CONCURRENCY_LIMIT_EXCEEDED"):
        api.submit(MOVIE)


def test_a_revoked_key_is_told_at_once(api: ViralSync, viralsync: Sandbox) -> None:
    """In the middle of a job, too."""
    job = api.submit(MOVIE)
    viralsync.account(revoked=True)
    with pytest.raises(InvalidKey, match="API_KEY_REVOKED"):
        api.wait(job.id)


@pytest.mark.viralsync(clock="frozen")
def test_trouble_is_waited_out_ever_longer(api: ViralSync, viralsync: Sandbox) -> None:
    """Three 503, and each wait is longer than the one before."""
    job = api.submit(MOVIE)
    viralsync.faults.arm(status=503, match="getJob", times=3)
    assert api.job(job.id).status
    waits = gaps(viralsync, "getJob")
    assert (len(waits), waits) == (3, sorted(set(waits)))
    api.cancel(job.id)


def test_trouble_that_stays_is_told(api: ViralSync, viralsync: Sandbox) -> None:
    """After five attempts."""
    viralsync.faults.arm(status=500)
    with pytest.raises(Unavailable):
        api.job("job_000000000000")
    viralsync.assert_called("getJob", times=5, status=500)


@pytest.mark.parametrize("fault", ["reset_peer", "empty_response", "truncated_body", "malformed_json"])
def test_an_answer_that_is_lost_is_asked_for_again(api: ViralSync, viralsync: Sandbox, fault: FaultName) -> None:
    """Reading twice does no harm."""
    job = api.submit(MOVIE)
    viralsync.faults.arm(fault, match="getJob", times=1)
    assert api.job(job.id).id == job.id


@pytest.mark.parametrize("fault", ["reset_peer", "empty_response", "truncated_body", "malformed_json"])
def test_a_submission_whose_answer_is_lost_is_not_made_twice(
    api: ViralSync, viralsync: Sandbox, fault: FaultName
) -> None:
    """The list has the job: the client takes that."""
    viralsync.faults.arm(fault, match="submitRenderJob", times=1)
    job = api.submit(MOVIE)
    assert [job.id] == [each.id for each in viralsync.jobs]
    viralsync.assert_called("submitRenderJob", times=1)


@pytest.mark.parametrize("fault", [{"reset_peer": "before"}, {"status": 503}])
def test_a_submission_that_never_arrived_is_made_again(
    api: ViralSync, viralsync: Sandbox, fault: dict[FaultName, object]
) -> None:
    """The list has no job, so there is none."""
    viralsync.faults.arm(fault, match="submitRenderJob", times=1)
    job = api.submit(MOVIE)
    assert [call.operation for call in viralsync.journal] == ["submitRenderJob", "listJobs", "submitRenderJob"]
    assert [job.id] == [each.id for each in viralsync.jobs]


def test_a_submission_that_cannot_be_told_from_others_is_not_made_again(api: ViralSync, viralsync: Sandbox) -> None:
    """The movie's own id is on the list: which of the jobs it is, the caller has to say."""
    movie = {"id": "summer", **MOVIE}
    earlier = api.submit(movie)
    viralsync.faults.arm("reset_peer", match="submitRenderJob", times=1)
    with pytest.raises(SubmissionUnclear) as caught:
        api.submit(movie)
    assert earlier.id in [job.id for job in caught.value.candidates]


def test_an_api_that_is_away_is_told(api: ViralSync, viralsync: Sandbox) -> None:
    """No answer, five times, neither to the submission nor to the look at the list."""
    viralsync.faults.arm({"reset_peer": "before"})
    with pytest.raises(ConnectionLost):
        api.submit(MOVIE)
