"""A job of 30,000 scenes, an endless `advance`, a stream with thousands of events: others are served meanwhile."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tests.conftest import movie
from tests.support.in_process import InProcess, turn

from viralsync_mock.clock import EPOCH, Clock

OTHER = "vs_prod_" + "e" * 32
SCENES = 3_000
MONTH = 31 * 86_400


def huge(scenes: int = SCENES) -> dict[str, Any]:
    """Return a submission of many short scenes of different lengths."""
    return movie(movie={"scenes": [{"id": str(i), "duration": 0.01 + i % 7 / 1000} for i in range(scenes)]})


async def test_a_submission_of_many_scenes_lets_other_calls_in() -> None:
    """While it is planned, a later call of another key is answered first."""
    async with InProcess() as mock:
        submitted = mock.begin("POST", "/v1/render/jobs", huge())
        other = mock.begin("GET", "/v1/me", key=OTHER)
        await mock.quiet(other)
        assert (other.status, submitted.is_over) == (200, False)
        await mock.quiet(submitted)
        assert submitted.status == 202


async def test_two_jobs_of_many_scenes_submitted_at_once_have_ids_of_their_own() -> None:
    """The number of a job is taken before it is planned."""
    async with InProcess() as mock:
        both = [mock.begin("POST", "/v1/render/jobs", huge()) for _ in range(2)]
        for each in both:
            await mock.quiet(each)
        listed = (await mock.call("GET", "/v1/jobs")).document["jobs"]
        assert {job["jobId"] for job in listed} == {each.document["jobId"] for each in both}
        assert len(listed) == 2


async def test_cancelling_a_job_of_many_scenes_lets_other_calls_in() -> None:
    """Its steps are found in slices after a rewrite too."""
    async with InProcess() as mock:
        job = (await mock.call("POST", "/v1/render/jobs", huge())).document["jobId"]
        await mock.control("POST", "/clock/advance", {"seconds": 20})
        cancelled = mock.begin("POST", f"/v1/jobs/{job}/cancel")
        other = mock.begin("GET", "/v1/me", key=OTHER)
        await mock.quiet(other)
        assert (other.status, cancelled.is_over) == (200, False)
        await mock.quiet(cancelled)
        assert cancelled.document["status"] == "cancelled"


async def test_a_stream_that_catches_up_with_thousands_of_events_lets_other_calls_in() -> None:
    """A resumed stream sends its backlog in turns."""
    async with InProcess() as mock:
        job = (await mock.call("POST", "/v1/render/jobs", huge())).document["jobId"]
        await mock.control("POST", "/clock/advance", {"seconds": 100_000})
        stream = mock.begin("GET", f"/v1/jobs/{job}/progress", headers={"last-event-id": "0"})
        await turn()
        other = mock.begin("GET", "/v1/me", key=OTHER)
        await mock.quiet(other)
        assert (other.status, stream.is_over) == (200, False)
        await mock.quiet(stream)
        assert stream.content.count(b"data: ") > 1_000


async def test_the_timeline_of_a_huge_job_is_bounded_and_says_so() -> None:
    """The control API lists 1,000 children; a timeline that is shown whole has no such key."""
    async with InProcess() as mock:
        jobs = [(await mock.call("POST", "/v1/render/jobs", huge(n))).document["jobId"] for n in (SCENES, 3)]
        large, small = [await mock.control("GET", f"/jobs/{job}") for job in jobs]
    assert (len(large["children"]), large["truncated"]) == (1_000, True)
    assert (len(small["children"]), "truncated" in small) == (4, False)


async def test_an_advance_lists_a_bounded_number_of_steps() -> None:
    """What happened to a huge job is cut after 10,000 steps."""
    async with InProcess() as mock:
        await mock.control("PUT", "/sandbox", {"plan": "enterprise", "clock": "frozen"})
        for _ in range(5):
            await mock.call("POST", "/v1/render/jobs", huge())
        moved = await mock.control("POST", "/clock/advance", {"seconds": 100_000})
    assert (len(moved["effects"]), moved["truncated"]) == (10_000, True)


async def test_an_advance_ends_with_its_client() -> None:
    """A month of keep-alives is not sent for a client that has gone."""
    async with InProcess(scenario="stuck") as mock:
        job = (await mock.call("POST", "/v1/render/jobs", movie())).document["jobId"]
        stream = mock.begin("GET", f"/v1/jobs/{job}/progress")
        await mock.quiet()
        moving = mock.begin("POST", "/__mock/clock/advance", {"seconds": MONTH})
        for _ in range(200):
            await turn()
        moving.leave()
        await mock.quiet()
        assert 0 < (mock.sandbox.clock.now() - EPOCH).total_seconds() < MONTH
        stream.leave()


async def test_an_advance_stops_after_a_bounded_amount_of_work_and_goes_on_from_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It says where it stopped; the same call again arrives."""
    monkeypatch.setattr("viralsync_mock.sandbox.MAX_WAKE_UPS", 10)
    async with InProcess(scenario="stuck") as mock:
        job = (await mock.call("POST", "/v1/render/jobs", movie())).document["jobId"]
        stream = mock.begin("GET", f"/v1/jobs/{job}/progress")
        await mock.quiet()
        first = await mock.control("POST", "/clock/advance", {"seconds": 225})
        rest = await mock.control("POST", "/clock/advance", {"seconds": 75})
        stream.leave()
    assert "advance again from here" in first["stopped"]
    assert first["now"] < "2026-01-01T00:03:45.000Z"
    assert "stopped" not in rest


async def test_a_clock_stops_on_the_way_after_some_wake_ups() -> None:
    """The clock stands where it stopped, with what was due there delivered."""
    clock = Clock()
    async with asyncio.TaskGroup() as tasks:
        sleeping = tasks.create_task(_wake_every_second(clock))
        await turn()
        assert await clock.advance(EPOCH + timedelta(hours=1), max_wake_ups=5) is False
        assert clock.now() == EPOCH + timedelta(seconds=5)
        sleeping.cancel()


async def _wake_every_second(clock: Clock) -> None:
    with clock.alarm() as alarm:
        while True:
            await alarm.until(clock.now() + timedelta(seconds=1))
