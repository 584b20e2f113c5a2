"""The webhooks of a sandbox as the control API shows them and sends them again, over real sockets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from tests.conftest import LiveServer, movie
from tests.support.webhook_receiver import Receiver, Reply
from tests.viralsync_mock.control.test_control import REFERENCE, advance, refusal, watched

from viralsync_mock.clock import Mode
from viralsync_mock.scenarios.model import Webhooks
from viralsync_mock.settings import Settings
from viralsync_mock.webhooks.payload import sign

StartMock = Callable[[Settings], LiveServer]

SECRET = Webhooks().secret
BLOCKS = re.findall(r"```http of-a-delivery\n(\w+) (\S+)\n```", REFERENCE)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Yield a receiver whose answers have a body."""
    with Receiver(otherwise=Reply(200, b"seen")) as receiver:
        yield receiver


def sent(receiver: Receiver) -> list[tuple[bytes, str]]:
    """Return body and signature of whatever has come."""
    return [(each.body, each.signature) for each in receiver.got]


@pytest.fixture
def control(live_server: LiveServer) -> Iterator[httpx.Client]:
    """Yield a client with a key of its own, on a frozen clock, whose control answers are checked."""
    with watched(live_server.client(clock="frozen")) as client:
        yield client


def submit(client: httpx.Client, url: str) -> str:
    """Submit a movie whose webhooks go to a URL; return the id of its job."""
    response = client.post("/v1/render/jobs", json=movie(callbackUrl=url))
    assert response.status_code == 202, response.text
    return str(response.json()["jobId"])


def arm(client: httpx.Client, *faults: dict[str, Any]) -> None:
    """Arm these faults."""
    assert client.put("/__mock/faults", json={"faults": faults}).status_code == 200


def listed(client: httpx.Client, **filters: object) -> list[dict[str, Any]]:
    """Return the deliveries, newest first."""
    response = client.get("/__mock/deliveries", params={name: f"{value}" for name, value in filters.items()})
    assert response.status_code == 200, response.text
    return list(response.json()["deliveries"])


def first_sent(client: httpx.Client, url: str) -> str:
    """Submit, and go on until the first webhook was due."""
    submit(client, url)
    advance(client, seconds=1)
    return "/__mock/deliveries/delivery_1"


def attempts(delivery: dict[str, Any]) -> list[int | str]:
    """Return what came of each attempt: the receiver's status, or what the problem was."""
    return [each["response"]["status"] if each["response"] else each["problem"] for each in delivery["attempts"]]


# ---------------------------------------------------------------- what is shown


def test_a_sandbox_without_webhooks_has_sent_none(control: httpx.Client) -> None:
    """Nothing is listed, and looking for one says so."""
    assert control.get("/__mock/deliveries").json() == {"total": 0, "deliveries": []}
    assert refusal(control.get("/__mock/deliveries/delivery_1")) == (
        404,
        "DELIVERY_NOT_FOUND",
        "Delivery delivery_1 was not found in this sandbox: of 0 that were made it keeps the last 0.",
    )


def test_a_delivery_shows_what_was_sent_and_what_came_back(control: httpx.Client, receiver: Receiver) -> None:
    """Body, signature, instants of the sandbox's clock, and the receiver's answer."""
    delivery = control.get(first_sent(control, receiver.url)).json()
    [(body, signature)] = sent(receiver)
    assert (httpx.Response(200, content=body).json(), ["x-render-signature", signature]) == (
        delivery["request"]["body"],
        delivery["request"]["headers"][1],
    )
    [attempt] = delivery["attempts"]
    assert (attempt["at"], attempt["response"]["body"]) == ("2026-01-01T00:00:01.000Z", "seen")
    assert (delivery["kind"], delivery["outcome"], delivery["url"], delivery["nextAttemptAt"]) == (
        "progress",
        "delivered",
        receiver.url,
        None,
    )


def test_the_newest_webhook_is_listed_first(control: httpx.Client, receiver: Receiver) -> None:
    """As many as were asked for, with the number of all."""
    submit(control, receiver.url)
    advance(control, seconds=20)
    answer = control.get("/__mock/deliveries", params={"limit": 2}).json()
    made = len(receiver.got)
    assert answer["total"] == made
    assert [each["deliveryId"] for each in answer["deliveries"]] == [f"delivery_{made}", f"delivery_{made - 1}"]


def test_filters_narrow_the_list(control: httpx.Client, receiver: Receiver) -> None:
    """By job, kind and outcome, all of which have to hold."""
    jobs = [submit(control, url) for url in (receiver.url, "http://studio.example/hook")]
    advance(control, seconds=20)
    assert {each["jobId"] for each in listed(control, jobId=jobs[0])} == {jobs[0]}
    assert {each["jobId"] for each in listed(control, outcome="refused")} == {jobs[1]}
    assert [each["jobId"] for each in listed(control, kind="done", outcome="delivered")] == [jobs[0]]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("limit=0", "query.limit: expected at least 1, got 0"),
        ("limit=1001", "query.limit: expected at most 1000, got 1001"),
        ("outcome=lost", "query.outcome: expected one of"),
        ("kind=finished", "query.kind: expected one of"),
        ("job=a", 'query.job: not a parameter of this call. Did you mean "jobId"?'),
    ],
)
def test_a_wrong_filter_is_refused(control: httpx.Client, query: str, text: str) -> None:
    """A typing error must not look like an empty list."""
    status, code, error = refusal(control.get(f"/__mock/deliveries?{query}"))
    assert (status, code) == (400, "VALIDATION_ERROR")
    assert text in error


def test_what_is_no_longer_kept_is_not_found(start_mock: StartMock, receiver: Receiver) -> None:
    """The answer says how many were made, and how many are kept."""
    server = start_mock(Settings(clock=Mode.FROZEN, journal_size=2))
    with watched(server.client(clock="frozen")) as client:
        submit(client, receiver.url)
        advance(client, seconds=20)
        made, kept = len(receiver.got), len(listed(client))
        status, code, text = refusal(client.get("/__mock/deliveries/delivery_1"))
    assert (status, code, kept) == (404, "DELIVERY_NOT_FOUND", 2)
    assert text.endswith(f"of {made} that were made it keeps the last 2.")


@pytest.mark.parametrize("delivery_id", ["delivery_2", "delivery_01", "delivery_x", "job_1", "1", "delivery_\u0661"])
def test_an_id_of_another_form_is_not_found(control: httpx.Client, receiver: Receiver, delivery_id: str) -> None:
    """Only the ids that were told lead anywhere."""
    first_sent(control, receiver.url)
    answers = [
        control.get(f"/__mock/deliveries/{delivery_id}"),
        control.post(f"/__mock/deliveries/{delivery_id}/redeliver"),
    ]
    assert [refusal(answer)[:2] for answer in answers] == [(404, "DELIVERY_NOT_FOUND")] * 2


@pytest.mark.parametrize(("method", "path"), BLOCKS)
def test_every_call_of_a_delivery_in_the_reference_works(
    control: httpx.Client, receiver: Receiver, method: str, path: str
) -> None:
    """Each block of docs/control-api.md that needs a webhook succeeds once there is one."""
    first_sent(control, receiver.url)
    assert control.request(method, path).status_code == 200


def test_the_reference_shows_the_calls_of_a_delivery() -> None:
    """The marks of the blocks are those that are looked for."""
    assert [method for method, _ in BLOCKS] == ["GET", "POST"]


def test_webhooks_of_another_sandbox_are_not_found(
    live_server: LiveServer, control: httpx.Client, receiver: Receiver
) -> None:
    """Neither to be read nor to be sent again."""
    path = first_sent(control, receiver.url)
    with watched(live_server.client(clock="frozen")) as other:
        assert listed(other) == []
        answers = [other.get(path), other.post(f"{path}/redeliver")]
    assert ([answer.status_code for answer in answers], len(receiver.got)) == ([404, 404], 1)


def test_a_reset_forgets_the_webhooks(control: httpx.Client, receiver: Receiver) -> None:
    """The new sandbox counts from one again."""
    path = first_sent(control, receiver.url)
    control.post("/__mock/reset")
    assert (listed(control), control.get(path).status_code) == ([], 404)


# ---------------------------------------------------------------- sending again


def test_a_delivered_webhook_is_sent_again_as_it_was(control: httpx.Client, receiver: Receiver) -> None:
    """The same bytes and signature, and the answer holds the attempt; the clock stands still."""
    path = first_sent(control, receiver.url)
    delivery = control.post(f"{path}/redeliver").json()
    assert sent(receiver)[0] == sent(receiver)[1]
    assert (delivery["outcome"], attempts(delivery)) == ("delivered", [200, 200])
    assert control.get(path).json() == delivery


def test_a_failed_webhook_is_delivered_after_all(control: httpx.Client, receiver: Receiver) -> None:
    """Once the receiver is well again, a test can have it sent; before that it stays failed."""
    receiver.otherwise = Reply(500, b"seen")
    path = first_sent(control, receiver.url)
    again = control.post(f"{path}/redeliver").json()
    receiver.otherwise = Reply(204, b"seen")
    after = control.post(f"{path}/redeliver").json()
    assert (again["outcome"], attempts(again)) == ("failed", [500, 500])
    assert (after["outcome"], attempts(after)) == ("delivered", [500, 500, 204])


def test_a_refused_webhook_stays_refused(control: httpx.Client) -> None:
    """Redelivery leads no further than the server may go; the reason says what to do."""
    path = first_sent(control, "http://studio.example/hook")
    delivery = control.post(f"{path}/redeliver").json()
    assert (delivery["outcome"], attempts(delivery)) == ("refused", ["refused_target"] * 2)
    assert "--allow-webhook-host" in delivery["attempts"][1]["reason"]


def test_a_dropped_webhook_arrives_when_it_is_sent_again(control: httpx.Client, receiver: Receiver) -> None:
    """What a fault has lost was signed all the same."""
    arm(control, {"fault": {"drop": "all"}})
    path = first_sent(control, receiver.url)
    lost = control.get(path).json()
    found = control.post(f"{path}/redeliver").json()
    assert [(each["outcome"], attempts(each)) for each in (lost, found)] == [("dropped", []), ("delivered", [200])]
    assert len(receiver.got) == 1


def test_a_webhook_that_waits_is_not_sent_once_more_after_it_was_accepted(
    control: httpx.Client, receiver: Receiver
) -> None:
    """A redelivery in time takes the place of the next attempt."""
    receiver.otherwise = Reply(500, b"seen")
    job_id = submit(control, receiver.url)
    control.patch(f"/__mock/jobs/{job_id}", json={"status": "failed"})
    advance(control, seconds=0)
    [waits] = listed(control, outcome="pending")
    receiver.otherwise = Reply(200, b"seen")
    control.post(f"/__mock/deliveries/{waits['deliveryId']}/redeliver")
    advance(control, seconds=3600)
    after = control.get(f"/__mock/deliveries/{waits['deliveryId']}").json()
    assert (waits["kind"], attempts(waits), waits["nextAttemptAt"]) == ("failed", [500], "2026-01-01T00:00:10.000Z")
    assert (after["outcome"], attempts(after), after["nextAttemptAt"]) == ("delivered", [500, 200], None)


# ---------------------------------------------------------------- faults of webhooks


def test_an_armed_fault_is_done_to_webhooks_as_they_leave(control: httpx.Client, receiver: Receiver) -> None:
    """Also to those of a job that was submitted before, so often as it says."""
    submit(control, receiver.url)
    arm(control, {"fault": {"duplicate": 1}, "times": 1})
    advance(control, seconds=20)
    oldest = listed(control)[::-1]
    assert [each["copyOf"] for each in oldest[:3]] == [None, "delivery_1", None]
    assert [each["copyOf"] for each in oldest[3:] if each["copyOf"]] == []
    assert sent(receiver)[0] == sent(receiver)[1] != sent(receiver)[2]


def test_an_armed_fault_of_webhooks_counts_them(control: httpx.Client, receiver: Receiver) -> None:
    """Calls are not counted: the second webhook is the one that is wrongly signed."""
    arm(control, {"fault": {"bad_signature": True}, "match": {"nth": 2}})
    submit(control, receiver.url)
    advance(control, seconds=20)
    [fault] = control.get("/__mock/faults").json()["faults"]
    forged = [i for i, (body, signature) in enumerate(sent(receiver), 1) if signature != sign(body, SECRET)]
    assert (forged, fault["matched"], fault["isRunning"]) == ([2], 1, False)


def test_an_armed_fault_of_submissions_follows_their_jobs(control: httpx.Client, receiver: Receiver) -> None:
    """It names the operation: what was submitted while it was armed loses its webhooks, also after it is disarmed."""
    arm(control, {"fault": {"drop": "terminal"}, "match": {"operation": "submitRenderJob"}})
    struck = submit(control, receiver.url)
    control.delete("/__mock/faults")
    spared = submit(control, receiver.url)
    advance(control, seconds=60)
    ends = {each["jobId"]: each["outcome"] for each in listed(control, kind="done")}
    assert ends == {struck: "dropped", spared: "delivered"}


def test_a_key_in_the_address_of_the_receiver_is_masked(control: httpx.Client, receiver: Receiver) -> None:
    """The receiver gets what its owner wrote; the log shows none of it."""
    key = control.headers["x-api-key"]
    path = first_sent(control, f"{receiver.url}?key={key}")
    shown = [control.get(path).text, control.get("/__mock/deliveries").text, control.post(f"{path}/redeliver").text]
    assert [key in text for text in shown] == [False, False, False]
    assert len(receiver.got) == 2


def test_secrets_in_urls_are_masked_in_every_view_and_used_in_the_delivery(
    live_server: LiveServer, receiver: Receiver
) -> None:
    """Journal, HAR, log of webhooks, events and snapshot show none; a restored snapshot still sends its webhooks."""
    scene = {
        "id": "a",
        "duration": 1,
        "assets": [{"kind": "image", "src": "https://me:hush@assets.test/a.png?sig=hush"}],
    }
    control = live_server.client(clock="frozen")
    with control, control.stream("GET", "/__mock/events") as response:
        lines = response.iter_lines()
        next(lines)
        body = movie(movie={"scenes": [scene]}, callbackUrl=f"{receiver.url}?token=hush&a=1")
        assert control.post("/v1/render/jobs", json=body).status_code == 202
        control.get("/v1/jobs?access_token=hush", headers={"referer": "http://me:hush@host/"})
        advance(control, seconds=1)
        events = next(line for line in lines if '"delivery"' in line)
        paths = ("journal", "journal.har", "deliveries", "snapshot?journal=true")
        views = [control.get(f"/__mock/{path}").raise_for_status().text for path in paths]
        views += [
            control.get(f"/__mock/journal/{each['callId']}").text
            for each in control.get("/__mock/journal").json()["calls"]
        ]
        assert ["hush" in view for view in (*views, events)] == [False] * (len(views) + 1)
        assert receiver.got[0].path.endswith("?token=hush&a=1")
        control.put("/__mock/snapshot", content=views[3]).raise_for_status()
        advance(control, seconds=600)
        assert receiver.got[-1].document["status"] == "done"
        assert receiver.got[-1].path.endswith("?token=***&a=1")
