"""The lives of jobs, put together from polls and streams."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.support.results import JOB, call, job, life_steps, polls, stream

from viralsync_conform.run.job_history import CREATED, POLL, STREAM, JobHistory, job_histories
from viralsync_mock.clock import EPOCH
from viralsync_mock.jobs.models import timestamp

STEPS = life_steps()
STRETCHES = [
    ("queued", None, 1.0),
    ("running", "planning", 0.5),
    ("running", "dispatching", 0.3),
    ("waiting", "rendering", 3.0),
    ("running", "assembling", 4.0),
    ("running", "uploading", 2.0),
    ("done", None, None),
]


def stretches(life: JobHistory) -> list[tuple[str, str | None, float | None]]:
    return [(each.status, each.phase, each.seconds) for each in life.stretches]


def test_polls_and_streams_tell_the_same_life() -> None:
    """Whoever told it, a life goes through the same stretches."""
    by_poll, by_stream = job_histories(polls(STEPS)), job_histories([stream(STEPS)])
    assert [stretches(life) for life in (*by_poll, *by_stream)] == [STRETCHES, STRETCHES]


def test_what_is_seen_out_of_order_is_put_in_order() -> None:
    """A stream is recorded as one call, and what polls told in between is sorted into it by the target's clock."""
    (life,) = job_histories([stream(STEPS[::2]), *reversed(polls(STEPS[1::2], 2))])
    assert stretches(life) == STRETCHES
    assert [each.at for each in life.sightings] == sorted(each.at for each in life.sightings)


def test_a_life_ends_with_its_last_status() -> None:
    """Outcome and length are those that were seen."""
    (whole,), (half,) = job_histories(polls(STEPS)), job_histories(polls(STEPS[:4]))
    assert (whole.outcome, half.outcome) == ("done", None)
    assert whole.seconds == pytest.approx(10.8)


def test_what_is_told_again_is_one_sighting() -> None:
    """A poll that shows nothing new adds nothing; the same from a stream is another witness."""
    once = polls(STEPS[:2])
    (life,) = job_histories([*once, *polls(STEPS[:2], 8), stream(STEPS[:2], 20)])
    assert [each.source for each in life.sightings].count(POLL) == 2
    assert [each.source for each in life.sightings].count(STREAM) == 2


def test_a_job_that_was_seen_planning_was_queued_since_its_creation() -> None:
    """Nothing comes between the two, so `createdAt` tells how long the queue was."""
    (life,) = job_histories(polls(STEPS[1:]))
    assert life.sightings[0].source == CREATED
    assert stretches(life)[0] == STRETCHES[0]


@pytest.mark.parametrize("first", [3, len(STEPS) - 1])
def test_what_was_missed_is_not_made_up(first: int) -> None:
    """A job first seen rendering, or ended, may have been anything before."""
    (life,) = job_histories(polls(STEPS[first:]))
    assert "queued" not in {each.status for each in life.sightings}


def test_a_life_knows_scenes_and_parent() -> None:
    """Lengths come from the submission, with its options, else from the payload."""
    body = b'{"movie": {"scenes": [{"id": "a", "duration": 2}]}, "renderOptions": {"qualityPreset": "fast"}}'
    submitted = call(1, "submitRenderJob", {"jobId": JOB, "status": "queued"}, status=202, request_body=body)
    child = job(STEPS[1], "scene_x_001") | {"parentJobId": "job_x", "payload": None}
    mine, other, small = job_histories(
        [submitted, *polls(STEPS, 2), *polls(STEPS, 30, "job_b", (1.5, 2)), call(99, "getJob", child)]
    )
    assert (mine.scenes, mine.options, other.scenes) == ((2.0,), {"qualityPreset": "fast"}, (1.5, 2.0))
    assert (mine.parent, small.parent) == (None, "job_x")


def test_the_answer_to_a_cancel_is_a_sighting() -> None:
    """It tells of the end of a job that nobody polls any more."""
    ended = job(STEPS[1]) | {"status": "cancelled", "phase": None, "updatedAt": timestamp(EPOCH + timedelta(seconds=3))}
    (life,) = job_histories([*polls(STEPS[:2]), call(9, "cancelJob", ended)])
    assert (life.outcome, life.seconds) == ("cancelled", 3.0)


@pytest.mark.parametrize(
    "odd",
    [
        {"updatedAt": "yesterday"},
        {"updatedAt": "2026-01-01T00:00:00"},
        {"updatedAt": 7, "createdAt": []},
        {"updatedAt": "0001-01-01T00:00:00+14:00", "createdAt": None},
        {"progress": "half"},
        {"progress": 10**400},
        {"progress": float("nan")},
        {"phase": 3, "payload": {"movie": {"scenes": [{"duration": "long"}]}}},
    ],
)
def test_what_makes_no_sense_is_left_out(odd: dict[str, Any]) -> None:
    """A target may answer anything; an instant that cannot be read gives way to that of the call."""
    (life,) = job_histories([call(5, "getJob", job(STEPS[2]) | odd)])
    last = life.sightings[-1]
    assert (last.status, last.at) == ("running", EPOCH + timedelta(seconds=5 if "updatedAt" in odd else 1.5))
    assert last.progress is None or last.progress == 0


@pytest.mark.parametrize("answer", [{}, {"jobId": 4, "status": "queued"}, {"jobId": "j"}, ["job"], "job"])
def test_an_answer_that_is_no_job_is_no_sighting(answer: object) -> None:
    """Without an id and a status nothing was seen."""
    assert job_histories([call(1, "getJob", answer)]) == ()


def test_refusals_lists_and_other_calls_are_no_sightings() -> None:
    """Only polls, streams and cancels tell of the life of a job that the run follows."""
    refused = replace(call(1, "getJob", job(STEPS[0])), status=404)
    assert job_histories([refused, call(2, "listJobs", job(STEPS[0])), call(3, None, job(STEPS[0]))]) == ()


def test_gaps_are_those_between_events() -> None:
    """How often events came, by the timestamps of the target."""
    (life,) = job_histories([stream(STEPS[:4]), *polls(STEPS, 2)])
    assert life.gaps == pytest.approx((1.0, 0.5, 0.3))
