"""Webhooks are sent where they should go, and the endpoint takes what is genuine, once, in order."""

from __future__ import annotations

import pytest
from conftest import MOVIE, Endpoint
from viralsync_mock import Sandbox
from viralsync_mock.testing import WebhookReceiver

from viralsync_client import Inbox, Job, ViralSync


def test_a_job_reports_to_its_callback_url(api: ViralSync, viralsync_webhooks: WebhookReceiver) -> None:
    """The kit's receiver sees the end, without a single look at the job."""
    job = api.submit(MOVIE, callback_url=viralsync_webhooks.url)
    assert viralsync_webhooks.wait_for("done", job.id)["outputUrl"].endswith("/output.mp4")


def test_the_endpoint_hands_on_each_change(endpoint: Endpoint, api: ViralSync, viralsync: Sandbox) -> None:
    """From planning to the end, every webhook taken with a 2xx."""
    job = api.submit(MOVIE, callback_url=endpoint.url)
    told = endpoint.told()
    assert (told[0].phase, told[-1].status) == ("planning", "done")
    assert {each.id for each in told} == {job.id}


@pytest.mark.viralsync(scenario="webhook-bad-signature", clock="frozen")
def test_a_bad_signature_is_refused(endpoint: Endpoint, api: ViralSync, viralsync: Sandbox) -> None:
    """401, and nobody is told."""
    api.submit(MOVIE, callback_url=endpoint.url)
    viralsync.sleep(120)
    assert {each.attempts[0]["response"]["status"] for each in viralsync.deliveries} == {401}
    assert endpoint.updates.empty()


@pytest.mark.viralsync(scenario="webhook-duplicates", clock="frozen")
def test_duplicates_are_taken_and_told_once(endpoint: Endpoint, api: ViralSync, viralsync: Sandbox) -> None:
    """Every webhook comes more than once; each change is told once."""
    api.submit(MOVIE, callback_url=endpoint.url)
    viralsync.sleep(120)
    told = endpoint.told()
    assert len(viralsync.assert_webhook_delivered()) > len(told) == len({job.raw["timestamp"] for job in told})
    assert endpoint.updates.empty()


@pytest.mark.viralsync(scenario="webhook-disorder", clock="frozen")
def test_what_comes_too_late_is_taken_and_not_told(endpoint: Endpoint, api: ViralSync, viralsync: Sandbox) -> None:
    """Progress never goes back, and nothing follows the end."""
    api.submit(MOVIE, callback_url=endpoint.url)
    viralsync.sleep(120)
    told = endpoint.told()
    assert [job.progress for job in told] == sorted(job.progress for job in told)
    assert endpoint.updates.empty()


def test_an_update_that_was_not_handled_is_still_news() -> None:
    """The API sends it again, and then it counts."""
    handled: list[Job] = []

    def fail_once(job: Job) -> None:
        handled.append(job)
        if len(handled) == 1:
            raise OSError("the disk is full")

    inbox = Inbox(fail_once)
    done = Job.of({"jobId": "job_000000000001", "status": "done", "timestamp": "2026-01-01T00:00:01.000Z"})
    with pytest.raises(OSError, match="disk"):
        inbox.receive(done)
    assert (inbox.receive(done), inbox.receive(done)) == (True, False)


def test_the_inbox_remembers_so_many_jobs() -> None:
    """The memory is bounded, the oldest job goes first."""
    told: list[Job] = []
    inbox = Inbox(told.append, remembered=2)
    for number in (1, 2, 3, 2, 1):
        inbox.receive(Job.of({"jobId": f"job_{number}", "status": "done"}))
    assert [job.id for job in told] == ["job_1", "job_2", "job_3", "job_1"]
