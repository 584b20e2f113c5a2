"""Jobs of a real target that never end: found as what they are, once, and waited for no longer than that takes."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.fake_target import Api, FakeClock, answer, found, trip_of
from tests.support.results import spec

from viralsync_conform.calls import Exchange
from viralsync_conform.journeys import webhooks
from viralsync_conform.journeys.job_lifecycle import (
    CERTAIN_LOOKS,
    STILL_AGAIN,
    STILL_SECONDS,
    ObservedJob,
    check_workers,
    ended_job,
    poll_until,
)
from viralsync_conform.run.context import StopJourneyError
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.run.submissions import Job
from viralsync_conform.target.webhook_receiver import WebhookReceiver

JOB = "job_0123456789ab"
DONE = spec().document["components"]["examples"]["doneJob"]["value"]
UNFINISHED = {"outputUrl": None, "mediaData": None}
ONE_LOOK = 20.0
"""Seconds between two late looks, and some room."""


def state(status: str, progress: float = 0.3) -> dict[str, Any]:
    phase = None if status == "queued" else "rendering"
    return {**DONE, **UNFINISHED, "jobId": JOB, "status": status, "phase": phase, "progress": progress}


def hanging(*states: dict[str, Any]) -> JourneyContext:
    return trip_of(Api({f"GET /v1/jobs/{JOB}": [answer(200, each) for each in states]}))


def watched(context: JourneyContext) -> tuple[ObservedJob, float]:
    """Return the life of the job after it was polled, and the seconds that took."""
    submitted = context.call("getJob", 200, path={"jobId": JOB}, step="submitted")
    life, start = ObservedJob(Job(JOB, {}, 0.0, submitted)), context.account.clock.now()
    poll_until(context, life)
    return life, (context.account.clock.now() - start).total_seconds()


def ends(context: JourneyContext) -> list[str]:
    return [category for category, check in found(context.run) if check == "ends"]


def test_a_running_job_without_progress_breaks_that_a_job_ends() -> None:
    """It is no slow job: two minutes without any progress are enough to say so."""
    context = hanging(state("running"))
    life, seconds = watched(context)
    assert (ends(context), life.is_given_up) == (["failure"], True)
    assert STILL_SECONDS <= seconds < STILL_SECONDS + ONE_LOOK


def test_the_next_job_that_hangs_is_not_waited_for_as_long() -> None:
    """What is known need not be shown again, and is not counted again."""
    context = hanging(state("running"))
    watched(context)
    life, seconds = watched(context)
    assert (ends(context), life.is_given_up) == (["failure"], True)
    assert STILL_AGAIN <= seconds < STILL_AGAIN + ONE_LOOK


def test_a_job_that_stays_in_the_queue_may_wait_for_those_of_others() -> None:
    """The account may have all its slots taken."""
    context = hanging(state("queued"))
    watched(context)
    assert ends(context) == ["inconclusive"]


def test_a_slow_job_that_makes_progress_may_only_be_slow() -> None:
    """Each look sees it a little further: when its time is over, and not before, the run says no more than that."""
    context = hanging(*(state("running", number / 1000) for number in range(100)))
    _, seconds = watched(context)
    assert ends(context) == ["inconclusive"]
    assert context.account.clock.patience < seconds < context.account.clock.patience + 2 * ONE_LOOK


def test_what_needs_the_end_of_a_job_stops_where_it_hangs() -> None:
    """Without an end there is nothing to be said of a stream's or a webhook's end."""
    context = hanging(state("running"))
    context.run.shared["life"], _ = watched(context)
    before = found(context.run)
    with pytest.raises(StopJourneyError, match="still running"):
        ended_job(context)
    assert found(context.run) == before


@pytest.mark.parametrize(("hangs", "expected"), [(True, []), (False, ["workers_asked"])])
def test_of_a_job_that_hangs_no_scene_need_render(hangs: bool, expected: list[str]) -> None:
    """That it makes no progress is the one finding: its idle workers follow from it."""
    idle = {**state("running"), "children": {**DONE["children"], "running": 0}}
    context = hanging(*[idle] * CERTAIN_LOOKS)
    polls = [context.call("getJob", 200, path={"jobId": JOB}) for _ in range(CERTAIN_LOOKS)]
    body = {"renderOptions": {"requestedConcurrency": 2}}
    life = ObservedJob(Job(JOB, body, 0.0, polls[0]), polls, is_given_up=hangs)
    check_workers(context, life, polls)
    assert [check for _, check in found(context.run) if check == "workers_asked"] == expected


class Endless(WebhookReceiver):
    """A receiver to which progress comes every eight seconds, for ever."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock, self.received = clock, []

    def at(self, *_: object) -> list[Any]:
        return []

    def wait_for(self, number: int, seconds: float) -> bool:  # noqa: ARG002
        self.clock.wait(min(8.0, seconds))
        return seconds >= 8.0


def test_progress_that_never_ends_does_not_keep_the_run_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Webhooks of a job that hangs go on as long as it does."""
    context = hanging(state("running"))
    clock, submitted = FakeClock(), context.call("getJob", 200, path={"jobId": JOB})
    context.run.target.receiver = Endless(clock)
    monkeypatch.setattr(webhooks, "monotonic", lambda: clock.now().timestamp())
    assert webhooks.webhooks_of(context, _job(submitted)) == []
    assert sum(clock.waits) <= (webhooks.MOST_WAITS + 1) * webhooks.TIMEOUT_SECONDS


def _job(submitted: Exchange) -> Job:
    return Job(JOB, {"callbackUrl": "http://localhost/hook"}, 0.0, submitted)
