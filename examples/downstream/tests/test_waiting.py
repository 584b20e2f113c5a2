"""A job is waited for: until it is over, ever more patiently, and not for ever."""

from __future__ import annotations

from itertools import pairwise

import pytest
from conftest import MOVIE
from viralsync_mock import Sandbox

from viralsync_client import JobCancelled, JobFailed, StillRunning, ViralSync


@pytest.mark.viralsync(scenario="scene-fails")
def test_a_failed_job_is_an_error_that_says_why(api: ViralSync) -> None:
    """The error carries the job, with the API's own text."""
    with pytest.raises(JobFailed, match="SCENE_RENDER_FAILED") as caught:
        api.render(MOVIE)
    assert caught.value.job.status == "failed"


@pytest.mark.viralsync(scenario="stuck")
def test_a_job_that_nobody_waits_for_any_longer_is_cancelled(api: ViralSync, viralsync: Sandbox) -> None:
    """It would keep one of the account's places."""
    with pytest.raises(StillRunning, match="after 60 s"):
        api.render(MOVIE, timeout=60)
    assert [job.status for job in viralsync.jobs] == ["cancelled"]


@pytest.mark.viralsync(clock="frozen")
def test_a_job_is_looked_at_ever_less_often(api: ViralSync, viralsync: Sandbox) -> None:
    """Each pause is longer than the one before, and at the end nobody looks any more."""
    api.render(MOVIE)
    looks = [call.at for call in viralsync.assert_called("getJob")]
    pauses = [later - earlier for earlier, later in pairwise(looks)]
    assert pauses == sorted(set(pauses))


def test_a_job_that_somebody_cancels_is_an_error(api: ViralSync, viralsync: Sandbox) -> None:
    """There will be no video."""
    job = api.submit(MOVIE)
    api.cancel(job.id)
    with pytest.raises(JobCancelled, match=f"{job.id} cancelled"):
        api.wait(job.id)
