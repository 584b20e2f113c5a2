"""Jobs are listed and cancelled, and what nobody knows yet does no harm."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conftest import MOVIE
from viralsync_mock import Sandbox

from viralsync_client import NotFound, ViralSync


@pytest.mark.viralsync(plan="enterprise")
def test_jobs_are_walked_page_by_page(api: ViralSync, viralsync: Sandbox) -> None:
    """Seven jobs, newest first, are three pages of three."""
    made = [api.submit(MOVIE).id for _ in range(7)]
    assert [job.id for job in api.jobs(page_size=3)] == made[::-1]
    viralsync.assert_called("listJobs", times=3)


@pytest.mark.viralsync(clock="frozen")
def test_jobs_of_one_status_are_listed(api: ViralSync) -> None:
    """The filter goes to the API, so that nobody reads pages for nothing."""
    first, second = api.submit(MOVIE), api.submit(MOVIE)
    api.cancel(first.id)
    assert [job.id for job in api.jobs(status="queued")] == [second.id]


def test_a_job_of_another_account_is_not_found(api: ViralSync, make_viralsync: Callable[[str], Sandbox]) -> None:
    """Each key sees its own."""
    other = make_viralsync("competitor")
    with ViralSync(other.base_url, other.api_key, sleep=other.sleep) as competitor, pytest.raises(NotFound):
        competitor.job(api.submit(MOVIE).id)


def test_a_job_can_be_cancelled_twice(api: ViralSync) -> None:
    """The second time nothing is left to do, which is no error."""
    job = api.submit(MOVIE)
    assert [api.cancel(job.id).status, api.cancel(job.id).status] == ["cancelled", "cancelled"]


def test_a_cancel_whose_answer_is_lost_has_worked(api: ViralSync, viralsync: Sandbox) -> None:
    """The second attempt finds the job over."""
    job = api.submit(MOVIE)
    viralsync.faults.arm("reset_peer", match="cancelJob", times=1)
    assert api.cancel(job.id).status == "cancelled"


def test_a_status_that_the_api_learns_tomorrow_is_waited_out(api: ViralSync, viralsync: Sandbox) -> None:
    """An unknown status is not the end of a job."""
    viralsync.faults.arm("unknown_status")
    job = api.job(api.submit(MOVIE).id)
    assert (job.status, job.is_over) == ("optimizing", False)
    assert api.wait(job.id).status == "done"


def test_fields_that_the_api_learns_tomorrow_are_kept(api: ViralSync, viralsync: Sandbox) -> None:
    """They break nothing, and are there for whoever knows them."""
    viralsync.faults.arm("unknown_field")
    job = api.submit(MOVIE)
    told = list(api.stream(job.id))
    assert [each.raw["addedLater"] for each in told] == [job.raw["addedLater"]] * len(told)
