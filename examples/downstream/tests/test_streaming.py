"""Progress is followed over a stream, whatever becomes of its connections."""

from __future__ import annotations

import pytest
from conftest import MOVIE
from viralsync_mock import Sandbox
from viralsync_mock.client import FaultName

from viralsync_client import NotFound, ViralSync


def followed(api: ViralSync) -> list[str]:
    """Return the changes that the client tells of, as `status/phase progress`."""
    return [f"{job.status}/{job.phase} {job.progress:.3f}" for job in api.stream(api.submit(MOVIE).id)]


def steps(viralsync: Sandbox) -> list[str]:
    """Return the changes that the only job went through, as the mock knows them."""
    (job,) = viralsync.jobs
    return [f"{step.status}/{step.phase} {step.progress:.3f}" for step in job.timeline.steps]


def test_every_change_is_told(api: ViralSync, viralsync: Sandbox) -> None:
    """From the queue to the end, over one connection."""
    assert followed(api) == steps(viralsync)
    viralsync.assert_called("streamJobProgress", times=1)
    viralsync.assert_not_called("getJob")


@pytest.mark.parametrize("fault", ["drop_after_events", "cut_inside_event"])
def test_a_stream_that_breaks_is_resumed(api: ViralSync, viralsync: Sandbox, fault: FaultName) -> None:
    """Each change is told once, though two connections were lost."""
    viralsync.faults.arm({fault: 2}, match="streamJobProgress", times=2)
    assert followed(api) == steps(viralsync)
    calls = map(viralsync.journal.explain, viralsync.assert_called("streamJobProgress", times=3))
    assert ["last-event-id" in call.request["headers"] for call in calls] == [False, True, True]


def test_a_stream_that_falls_silent_is_resumed(viralsync: Sandbox) -> None:
    """No byte, not even a comment, for longer than keep-alives are apart: of real time, so it is short here."""
    viralsync.faults.arm(silence=2, match="streamJobProgress", times=1)
    with ViralSync(viralsync.base_url, viralsync.api_key, sleep=viralsync.sleep, silence=0.2) as api:
        assert followed(api) == steps(viralsync)
    viralsync.assert_well_behaved()


def test_a_stream_that_ends_too_early_is_resumed(api: ViralSync, viralsync: Sandbox) -> None:
    """A tidy end without the terminal event is no end."""
    viralsync.faults.arm("end_without_terminal", match="streamJobProgress", times=1)
    assert followed(api) == steps(viralsync)


def test_events_that_come_twice_are_told_once(api: ViralSync, viralsync: Sandbox) -> None:
    """The id tells."""
    viralsync.faults.arm(duplicate_events=2, match="streamJobProgress")
    assert followed(api) == steps(viralsync)


def test_without_a_stream_the_job_is_looked_at(api: ViralSync, viralsync: Sandbox) -> None:
    """Five refusals, each waited out, then polling to the end."""
    viralsync.faults.arm(status=503, match="streamJobProgress")
    assert followed(api)[-1] == "done/None 1.000"
    viralsync.assert_called("streamJobProgress", times=5, status=503)


def test_a_job_that_there_is_not_has_no_stream(api: ViralSync) -> None:
    """A refusal that will not pass is told at once."""
    with pytest.raises(NotFound):
        list(api.stream("job_000000000000"))


def test_a_stream_that_is_none_is_given_up(api: ViralSync, viralsync: Sandbox) -> None:
    """A proxy that sends something else in the stream's place is no reason to have no video."""
    nonsense = {"match": {"operation": "streamJobProgress"}, "respond": {"body": "data: nonsense"}}
    viralsync.scenario({"name": "proxy", "description": "Streams are nonsense.", "rules": [nonsense]})
    assert followed(api)[-1] == "done/None 1.000"
