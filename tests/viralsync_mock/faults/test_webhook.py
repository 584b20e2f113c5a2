"""Faults of webhooks: each as the receiver sees it, on a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.conftest import LiveServer
from tests.support.webhook_receiver import Received, Receiver, Reply
from tests.viralsync_mock.webhooks.test_dispatcher import (
    QUICK,
    SECRET,
    USUAL,
    advance,
    attempts_at,
    log,
    phases,
    script,
    submit,
    wait_for,
)

from viralsync_mock.faults.webhook import Duplicate, LostResponse, PreparedWebhook, WebhookFault
from viralsync_mock.webhooks.payload import sign

PARCEL = PreparedWebhook(0, "progress", b"{}", "signature")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Yield a receiver that takes every webhook."""
    with Receiver() as receiver:
        yield receiver


def deliver(client: httpx.Client, receiver: Receiver, **faults: Any) -> list[dict[str, Any]]:
    """Run a job whose webhooks have these faults, and return what the advance tells of them."""
    script(client, webhooks={"deliver": faults})
    submit(client, receiver)
    return advance(client)


def are_signed(got: list[Received]) -> list[bool]:
    return [each.signature == sign(each.body, SECRET) for each in got]


def test_a_duplicate_is_the_same_webhook_again(frozen: httpx.Client, receiver: Receiver) -> None:
    """Byte for byte, right behind it; the log says of which it is a copy."""
    deliver(frozen, receiver, duplicate=2)
    assert phases(receiver.got) == [phase for phase in USUAL for _ in range(3)]
    assert [each["copyOf"] for each in log(frozen)[:4]] == [None, "delivery_1", "delivery_1", None]


def test_a_reorder_changes_the_places_of_each_two(frozen: httpx.Client, receiver: Receiver) -> None:
    """The last comes before the last but one: progress of a job that is done."""
    deliver(frozen, receiver, reorder=True)
    times = [each["timestamp"] for each in receiver.documents]
    assert times == [time for one, other in zip(*[iter(sorted(times))] * 2, strict=True) for time in (other, one)]
    assert (receiver.documents[-2]["status"], receiver.documents[-1]["phase"]) == ("done", "uploading")


def test_a_reorder_loses_nothing_of_a_job_with_an_odd_number(frozen: httpx.Client, receiver: Receiver) -> None:
    """The terminal one has nobody to change places with."""
    script(frozen, job=QUICK, webhooks={"deliver": {"reorder": True}})
    submit(frozen, receiver)
    advance(frozen)
    assert [each["status"] for each in receiver.documents] == ["done"]


def test_what_was_held_back_goes_when_the_next_is_lost(frozen: httpx.Client, receiver: Receiver) -> None:
    """Nothing stays pending for ever."""
    deliver(frozen, receiver, reorder=True, drop="terminal")
    assert sorted(filter(None, phases(receiver.got))) == sorted(filter(None, USUAL))
    assert [each["outcome"] for each in log(frozen)] == ["delivered"] * 7 + ["dropped"]


def test_a_delay_is_one_of_the_sandboxs_clock(frozen: httpx.Client, receiver: Receiver) -> None:
    """In order, each so much later; the timestamp is that of the change."""
    told = deliver(frozen, receiver, delay="20s")
    assert phases(receiver.got) == USUAL
    assert [each["at"][17:19] for each in told[:2]] == ["21", "21"]
    assert receiver.documents[0]["timestamp"] == "2026-01-01T00:00:01.000Z"


def test_a_bad_signature_is_that_of_another_secret(frozen: httpx.Client, receiver: Receiver) -> None:
    """In the form that the behaviour profile asks for."""
    deliver(frozen, receiver, bad_signature=True)
    assert are_signed(receiver.got) == [False] * len(USUAL)
    assert [each.signature for each in receiver.got] == [sign(each.body, "not-the-secret") for each in receiver.got]


def test_a_tampered_body_was_signed_before(frozen: httpx.Client, receiver: Receiver) -> None:
    """It is still JSON of the same job, but who verifies the bytes sees it."""
    deliver(frozen, receiver, tampered_body=True)
    assert are_signed(receiver.got) == [False] * len(USUAL)
    assert {each["outputUrl"] for each in receiver.documents} == {"https://attacker.example/output.mp4"}


@pytest.mark.parametrize(
    ("which", "arrive"), [("all", []), ("progress", ["done"]), ("terminal", ["running"] * 2 + ["waiting"] * 3)]
)
def test_a_drop_loses_webhooks(frozen: httpx.Client, receiver: Receiver, which: str, arrive: list[str]) -> None:
    """All of them, those of progress, or the terminal one; the log has them as dropped."""
    told = deliver(frozen, receiver, drop=which)
    assert [each["status"] for each in receiver.documents][:5] == arrive
    assert len(receiver.got) + [each["outcome"] for each in told].count("dropped") == len(USUAL)
    assert {each["attempts"] for each in told if each["outcome"] == "dropped"} == {0}


def test_a_lost_answer_makes_the_terminal_webhook_arrive_again(frozen: httpx.Client, receiver: Receiver) -> None:
    """The receiver had said 200; a webhook of progress is not tried again."""
    deliver(frozen, receiver, lost_response=1)
    assert phases(receiver.got) == [*USUAL, None]
    last = log(frozen)[-1]
    assert (attempts_at(last), [attempt["problem"] for attempt in last["attempts"]]) == (
        ["18", "28"],
        ["lost_response", None],
    )


def test_an_answer_that_is_a_no_is_not_lost(frozen: httpx.Client) -> None:
    """The fault waits for a yes."""
    with Receiver([Reply(500)]) as receiver:
        script(frozen, job=QUICK, webhooks={"deliver": {"lost_response": 1}})
        submit(frozen, receiver)
        advance(frozen)
    [delivery] = log(frozen)
    assert [attempt["problem"] for attempt in delivery["attempts"]] == [None, "lost_response", None]


def returned_before(client: httpx.Client, receiver: Receiver, **headers: str) -> bool:
    """Submit a job; return whether the 202 had come when its first webhook did."""
    returned: list[str] = []
    seen: list[bool] = []
    receiver.on_request = lambda _: seen.append(bool(returned))
    returned.append(submit(client, receiver, **headers))
    advance(client)
    return seen[0]


def test_an_early_webhook_arrives_before_the_202(frozen: httpx.Client, receiver: Receiver) -> None:
    """Of a job that its client does not know yet, in the queue."""
    assert not returned_before(frozen, receiver, **{"x-mock-fault": "before_response"})
    assert [each["status"] for each in receiver.documents[:2]] == ["queued", "running"]
    assert phases(receiver.got)[1:] == USUAL


def test_without_the_fault_the_202_comes_first(frozen: httpx.Client, receiver: Receiver) -> None:
    """Nothing of a job in the queue is told."""
    assert returned_before(frozen, receiver)
    assert phases(receiver.got) == USUAL


def test_an_early_webhook_tells_of_a_job_that_can_be_read(live_server: LiveServer) -> None:
    """On an auto clock too, where a read would move the clock."""
    key = live_server.new_key()
    found: list[int] = []

    def look(got: Received) -> None:
        with live_server.client(key) as inner:
            found.append(inner.get(f"/v1/jobs/{got.document['jobId']}").status_code)

    with live_server.client(key) as client, Receiver(on_request=look) as receiver:
        submit(client, receiver, **{"x-mock-fault": "before_response"})
        wait_for(lambda: len(found) == len(USUAL) + 1, client)
    assert found == [200] * 9


def test_an_early_webhook_that_is_refused_keeps_nobody_from_the_202(frozen: httpx.Client) -> None:
    """Nor the job from its other webhooks."""
    with Receiver([Reply(closes=True)]) as receiver:
        submit(frozen, receiver, **{"x-mock-fault": "before_response"})
        advance(frozen)
    assert [each["outcome"] for each in log(frozen)] == ["failed"] + ["delivered"] * len(USUAL)


def test_a_reset_ends_an_early_webhook(live_server: LiveServer) -> None:
    """The submission is answered."""
    key = live_server.new_key(clock="frozen")

    def reset(_: Received) -> None:
        with live_server.client(key) as inner:
            inner.post("/__mock/reset")

    with live_server.client(key) as client, Receiver([Reply(hangs=True)], on_request=reset) as receiver:
        submit(client, receiver, **{"x-mock-fault": "before_response"})
        assert len(receiver.got) == 1


def test_a_job_that_is_done_at_once_tells_it_early(frozen: httpx.Client, receiver: Receiver) -> None:
    """And only once."""
    submit(frozen, receiver, **{"x-mock-scenario": "instant", "x-mock-fault": "before_response"})
    advance(frozen)
    assert [each["status"] for each in receiver.documents] == ["done"]


def by_scenario(client: httpx.Client, receiver: Receiver) -> None:
    script(client, webhooks={"deliver": {"duplicate": 1, "bad_signature": True}})
    submit(client, receiver)


def by_rule(client: httpx.Client, receiver: Receiver) -> None:
    rule = {"match": {"operation": "submitRenderJob"}, "fault": {"duplicate": 1, "bad_signature": True}}
    script(client, rules=[rule])
    submit(client, receiver)


def by_header(client: httpx.Client, receiver: Receiver) -> None:
    script(client)
    submit(client, receiver, **{"x-mock-fault": "duplicate, bad_signature"})


def by_order(client: httpx.Client, receiver: Receiver) -> None:
    client.put("/__mock/faults", json={"faults": [{"fault": {"duplicate": 1, "bad_signature": True}}]})
    submit(client, receiver)


@pytest.mark.parametrize("ordered", [by_scenario, by_rule, by_header, by_order])
def test_faults_are_ordered_in_four_ways(frozen: httpx.Client, receiver: Receiver, ordered: Any) -> None:
    """By the scenario, by a rule or a header of the submission, or armed by the control API."""
    ordered(frozen, receiver)
    advance(frozen)
    assert phases(receiver.got) == [phase for phase in USUAL for _ in range(2)]
    assert not any(are_signed(receiver.got))


@pytest.mark.parametrize("ordered", [by_rule, by_header])
def test_a_fault_of_a_submission_is_done_to_its_job_alone(
    frozen: httpx.Client, receiver: Receiver, ordered: Any
) -> None:
    """The next job is told of as usual."""
    ordered(frozen, receiver)
    script(frozen, job=QUICK)
    other = submit(frozen, receiver)
    advance(frozen)
    told = [each for each in receiver.got if each.document["jobId"] == other]
    assert (len(told), are_signed(told)) == (1, [True])


def test_all_faults_together_still_deliver_the_end(frozen: httpx.Client, receiver: Receiver) -> None:
    """Late, twice, with a wrong signature, and again when the answer is lost."""
    faults = {"duplicate": 1, "reorder": True, "delay": "1s", "bad_signature": True, "tampered_body": True}
    deliver(frozen, receiver, **faults, drop="progress", lost_response=1)
    assert [each["status"] for each in receiver.documents] == ["done"] * 4
    assert [attempts_at(each) for each in log(frozen, kind="done")] == [["19", "29"], ["29", "39"]]


def test_a_fault_that_is_none_leaves_the_parcel_alone() -> None:
    """What the kinds have in common."""
    assert WebhookFault().transform(PARCEL, sign) == PARCEL


def test_faults_of_one_kind_add_up() -> None:
    """From a rule and from a header, say."""
    twice = LostResponse(2).transform(LostResponse(1).transform(PARCEL, sign), sign)
    copied = Duplicate(3).transform(Duplicate(1).transform(PARCEL, sign), sign)
    assert (twice.lost_responses, copied.copies) == (3, 4)
