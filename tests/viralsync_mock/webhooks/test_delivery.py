"""The log of webhooks: what is tried again and when, and what is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from viralsync_mock.clock import EPOCH
from viralsync_mock.config.behaviour import BehaviourProfile
from viralsync_mock.webhooks.delivery import Attempt, Delivery, DeliveryLog, DeliveryOutcome
from viralsync_mock.webhooks.payload import WebhookSettings


def delivery(kind: str = "done", number: int = 1, behaviour: BehaviourProfile | None = None) -> Delivery:
    hook = WebhookSettings("http://localhost/hook", "secret", behaviour or BehaviourProfile())
    return Delivery(number, "job_1", kind, hook, (("a", "b"),), b'{"x":1}', EPOCH, EPOCH)


def attempt(status: int | None = None, problem: str | None = None) -> Attempt:
    return Attempt(EPOCH, EPOCH, status, problem=problem)


def judged(delivery: Delivery, *attempts: Attempt) -> list[float]:
    """Return after how many seconds the next attempt is due, after each one that there is a next to."""
    waits, now = [], EPOCH
    for each in attempts:
        delivery.attempts.append(each)
        delivery.record_attempt(each, now)
        if not delivery.is_final:
            waits.append((delivery.due - now).total_seconds())
            now = delivery.due
    return waits


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_takes_a_webhook(status: int) -> None:
    """Whatever else the answer says."""
    one = delivery()
    judged(one, attempt(status))
    assert one.outcome == DeliveryOutcome.DELIVERED


@pytest.mark.parametrize("status", [100, 199, 300, 301, 307, 400, 404, 410, 429, 500, 503])
def test_no_other_status_does(status: int) -> None:
    """A webhook of progress has failed with it."""
    one = delivery("progress")
    judged(one, attempt(status))
    assert one.outcome == DeliveryOutcome.FAILED


@pytest.mark.parametrize("kind", ["done", "failed", "cancelled"])
def test_the_end_of_a_job_is_tried_three_times_with_growing_waits(kind: str) -> None:
    """10 s, then 20 s, then it is given up."""
    one = delivery(kind)
    waits = judged(one, attempt(500), attempt(problem="timed_out"), attempt(500))
    assert (waits, one.outcome) == ([10, 20], DeliveryOutcome.FAILED)


def test_progress_is_not_tried_again() -> None:
    """The next one tells more."""
    one = delivery("progress")
    assert (judged(one, attempt(500)), one.outcome) == ([], DeliveryOutcome.FAILED)


def test_attempts_and_waits_are_switches() -> None:
    """`webhook.attempts` and `webhook.retry_seconds`."""
    one = delivery(behaviour=replace(BehaviourProfile(), webhook_attempts=5, webhook_retry_seconds=0.5))
    assert judged(one, *[attempt(500)] * 5) == [0.5, 1, 2, 4]


def test_a_second_attempt_that_is_taken_ends_it() -> None:
    """There is no third."""
    one = delivery()
    assert (judged(one, attempt(500), attempt(204)), one.outcome) == ([10], DeliveryOutcome.DELIVERED)


def test_a_target_that_is_refused_is_not_tried_again() -> None:
    """It will be refused again."""
    one = delivery()
    assert (judged(one, attempt(problem="refused_target")), one.outcome) == ([], DeliveryOutcome.REFUSED)


def test_a_lost_answer_is_none() -> None:
    """Though the receiver said 200."""
    assert not attempt(200, "lost_response").is_accepted


def test_no_wait_is_longer_than_a_day() -> None:
    """Dates would run out: a profile may ask for a hundred attempts."""
    one = delivery(behaviour=replace(BehaviourProfile(), webhook_attempts=100, webhook_retry_seconds=40_000))
    assert judged(one, *[attempt(500)] * 100) == [40_000, 80_000, *[86_400] * 97]


def test_a_delivery_tells_what_was_sent_and_what_came_back() -> None:
    """As JSON values."""
    one = delivery()
    one.attempts.append(Attempt(EPOCH, EPOCH, 500, (("server", "x"),), b"\xff", None, None))
    [told] = one.document()["attempts"]
    assert told["response"] == {"status": 500, "headers": [["server", "x"]], "body": "\ufffd"}
    assert (told["isAccepted"], one.document()["nextAttemptAt"]) == (False, "2026-01-01T00:00:00.000Z")


def test_a_delivery_that_is_over_has_no_next_attempt() -> None:
    """And an attempt without an answer says why there is none."""
    one = delivery("progress")
    judged(one, Attempt(EPOCH, EPOCH, problem="timed_out", reason="too slow"))
    document = one.document()
    assert document["nextAttemptAt"] is None
    assert document["attempts"][0] | {"response": None, "reason": "too slow"} == document["attempts"][0]


def test_the_log_keeps_the_last_ones() -> None:
    """As many as it is made for, the newest first."""
    log = DeliveryLog(3)
    for _ in range(5):
        log.add(delivery(number=log.take_number()))
    assert (len(log), log.made, [each.id for each in log.newest_first()]) == (
        3,
        5,
        ["delivery_5", "delivery_4", "delivery_3"],
    )
