"""Webhooks on their way: stories with a receiver on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from operator import attrgetter
from threading import Event
from typing import Any

import httpx
import orjson
import pytest
from tests.conftest import LiveServer, movie
from tests.support.webhook_receiver import Received, Receiver, Reply

from viralsync_mock.app import create_app
from viralsync_mock.clock import Mode, RealTime
from viralsync_mock.config.behaviour import BehaviourProfile
from viralsync_mock.jobs.models import add_seconds
from viralsync_mock.jobs.recipe import Recipe, build
from viralsync_mock.sandbox import Sandbox
from viralsync_mock.server import BackgroundServer
from viralsync_mock.settings import Settings
from viralsync_mock.state import MockServer
from viralsync_mock.webhooks.dispatcher import WebhookDispatcher
from viralsync_mock.webhooks.payload import WebhookSettings, sign
from viralsync_mock.webhooks.sender import Reply as Taken
from viralsync_mock.webhooks.sender import WebhookRequest

REFUSED = Reply(503)
SECRET = "whsec_viralsync_mock"
USUAL = ["planning", "dispatching", "rendering", "rendering", "rendering", "assembling", "uploading", None]
"""The phases that the webhooks of the tests' movie tell of."""

QUICK: dict[str, Any] = {
    **dict.fromkeys(["planning", "dispatching", "assembling", "uploading"], "0s"),
    "queued": "1s",
    "scene": {"per_output_second": "0s", "at_least": "0s"},
}
"""Jobs that are done after a second, without a word in between."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Yield a receiver that takes every webhook."""
    with Receiver() as receiver:
        yield receiver


def submit(client: httpx.Client, receiver: Receiver, **headers: str) -> str:
    answer = client.post("/v1/render/jobs", json=movie(callbackUrl=receiver.url), headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["jobId"])


def advance(client: httpx.Client, seconds: float = 60) -> list[dict[str, Any]]:
    """Move the clock and return the deliveries on the way."""
    answer = client.post("/__mock/clock/advance", json={"seconds": seconds}, timeout=60)
    assert answer.status_code == 200, answer.text
    return [each for each in answer.json()["effects"] if each["kind"] == "delivery"]


def script(client: httpx.Client, **parts: Any) -> None:
    """Put the sandbox into a scenario."""
    answer = client.put("/__mock/scenario", json={"name": "story", "description": "A story.", **parts})
    assert answer.status_code == 200, answer.text


def log(client: httpx.Client, **filters: Any) -> list[dict[str, Any]]:
    """Return the deliveries, the oldest first."""
    told: list[dict[str, Any]] = client.get("/__mock/deliveries", params=filters).json()["deliveries"]
    return told[::-1]


def phases(got: Sequence[Received]) -> list[str | None]:
    return [each.document.get("phase") for each in got]


def attempts_at(delivery: dict[str, Any]) -> list[str]:
    return [attempt["at"][17:19] for attempt in delivery["attempts"]]


def wait_for(happened: Callable[[], bool], client: httpx.Client) -> None:
    """Let the server's other work go on until something has happened; each look is a call of its own."""
    for _ in range(2_000):
        if happened():
            return
        client.get("/__mock/clock")
    raise AssertionError("it has not happened after 2,000 looks")


def test_a_job_tells_its_receiver_of_each_phase_and_its_end(frozen: httpx.Client, receiver: Receiver) -> None:
    """In order, each once, signed over the very bytes that arrive."""
    submit(frozen, receiver)
    advance(frozen)
    assert phases(receiver.got) == USUAL
    assert receiver.documents[-1]["status"] == "done"
    assert [each.signature for each in receiver.got] == [sign(each.body, SECRET) for each in receiver.got]


def test_a_webhook_is_a_plain_post_of_json(frozen: httpx.Client, receiver: Receiver) -> None:
    """With the signature beside it, to the very path of the callbackUrl."""
    submit(frozen, receiver)
    advance(frozen, 1)
    [only] = receiver.got
    assert (only.path, only.headers["content-type"]) == ("/hook", "application/json")


def test_a_job_without_a_callback_url_tells_nobody(frozen: httpx.Client, receiver: Receiver) -> None:
    """Another one does."""
    frozen.post("/v1/render/jobs", json=movie())
    told = submit(frozen, receiver)
    advance(frozen)
    assert {each["jobId"] for each in receiver.documents} == {told}


@pytest.mark.parametrize("form", ["sha256=hex", "base64"])
def test_the_secret_and_the_form_of_the_signature_are_the_scenarios(
    frozen: httpx.Client, receiver: Receiver, form: str
) -> None:
    """`webhooks.secret`, and the switch `webhook.signature`."""
    script(frozen, webhooks={"secret": "another"}, behaviour={"webhook": {"signature": form}})
    submit(frozen, receiver)
    advance(frozen)
    assert [each.signature for each in receiver.got] == [sign(each.body, "another", form) for each in receiver.got]


def test_nothing_is_sent_before_the_clock_is_moved(frozen: httpx.Client, receiver: Receiver) -> None:
    """The job stands in the queue."""
    submit(frozen, receiver)
    assert log(frozen) == []


def test_an_advance_returns_when_all_was_delivered_and_tells_of_it(frozen: httpx.Client, receiver: Receiver) -> None:
    """In order, up to its own instant."""
    submit(frozen, receiver)
    told = advance(frozen, 1.6)
    assert [(each["at"][17:23], each["webhook"], each["outcome"], each["attempts"]) for each in told] == [
        ("01.000", "progress", "delivered", 1),
        ("01.500", "progress", "delivered", 1),
    ]
    assert phases(receiver.got) == USUAL[:2]


def test_an_advance_on_an_auto_clock_waits_for_all_webhooks_too(frozen: httpx.Client, receiver: Receiver) -> None:
    """There they are sent without an advance, which must not overtake them."""
    frozen.patch("/__mock/clock", json={"mode": "auto"})
    job = submit(frozen, receiver)
    answer = frozen.post("/__mock/clock/advance", json={"until": {"jobId": job, "status": "done"}}, timeout=60)
    assert answer.status_code == 200
    assert {each["outcome"] for each in log(frozen)} == {"delivered"}
    assert receiver.got[-1].document["status"] == "done"


class Advancing(Receiver):
    """Advances the clock before it answers."""

    def __init__(self, client: httpx.Client) -> None:
        super().__init__()
        self.client, self.is_told = client, Event()
        self.refusals: set[tuple[int, str]] = set()

    def reply(self, received: Received) -> Reply:
        url, headers = f"{self.client.base_url}/__mock/clock/advance", self.client.headers
        answer = httpx.post(url, json={"seconds": 5}, headers=headers, timeout=20)
        self.refusals.add((answer.status_code, answer.json().get("code", "")))
        self.is_told.set()
        return super().reply(received)


@pytest.mark.parametrize("mode", ["frozen", "auto"])
def test_an_advance_from_inside_a_receiver_is_refused(frozen: httpx.Client, mode: str) -> None:
    """It would wait for itself; the webhook is delivered all the same."""
    frozen.patch("/__mock/clock", json={"mode": mode})
    with Advancing(frozen) as receiver:
        submit(frozen, receiver)
        if mode == "frozen":
            assert {each["outcome"] for each in advance(frozen)} == {"delivered"}
        assert receiver.is_told.wait(20)
        assert receiver.refusals == {(409, "RECEIVER_IS_BUSY")}


class Uneven:
    """A sender that goes nowhere; each job's receiver answers after as many turns of the loop as it says."""

    def __init__(self, turns: Callable[[int], int]) -> None:
        self.jobs: dict[str, int] = {}
        self.turns = turns

    async def __call__(self, request: WebhookRequest) -> Taken:
        """Take everything."""
        number = self.jobs.setdefault(orjson.loads(request.body)["jobId"], len(self.jobs))
        for _ in range(self.turns(number)):
            await RealTime().sleep(0)
        return Taken(200, (), b"")

    async def close(self) -> None:
        """There is nothing to close."""


def test_two_runs_deliver_the_same(start_mock: Callable[[Settings], LiveServer], receiver: Receiver) -> None:
    """Whichever receiver answers first: webhooks of several jobs at one instant have the same numbers."""
    runs = []
    for turns in (lambda number: number, lambda number: 8 - number):
        server = start_mock(Settings(clock=Mode.FROZEN))
        server.app.mock.sender = Uneven(turns)
        with server.client(clock="frozen", plan="enterprise") as client:
            for _ in range(8):
                submit(client, receiver)
            runs.append(advance(client))
    assert runs[0] == runs[1]
    assert len(runs[0]) == 8 * len(USUAL)


def test_the_end_of_a_job_is_sent_again_after_10_and_20_seconds(frozen: httpx.Client) -> None:
    """Of the sandbox's clock; the same bytes with the same signature."""
    with Receiver([REFUSED] * 2) as receiver:
        script(frozen, job=QUICK)
        submit(frozen, receiver)
        told = advance(frozen)
    [delivery] = log(frozen)
    assert attempts_at(delivery) == ["01", "11", "31"]
    assert [each["outcome"] for each in told] == ["pending", "pending", "delivered"]
    assert len({(each.body, each.signature) for each in receiver.got}) == 1


def test_the_end_of_a_job_is_given_up_after_three_attempts(frozen: httpx.Client) -> None:
    """Nothing more comes."""
    with Receiver(otherwise=REFUSED) as receiver:
        script(frozen, job=QUICK)
        submit(frozen, receiver)
        advance(frozen, 600)
    [delivery] = log(frozen)
    assert (len(receiver.got), delivery["outcome"], delivery["nextAttemptAt"]) == (3, "failed", None)


def test_progress_is_sent_once_whatever_becomes_of_it(frozen: httpx.Client) -> None:
    """And what follows it is not held up."""
    with Receiver([REFUSED] * 3) as receiver:
        submit(frozen, receiver)
        advance(frozen)
    assert phases(receiver.got) == USUAL
    assert [each["outcome"] for each in log(frozen)] == ["failed"] * 3 + ["delivered"] * 5


@pytest.mark.parametrize("status", [201, 202, 204, 226])
def test_every_2xx_is_a_yes(frozen: httpx.Client, status: int) -> None:
    """Also one without a body."""
    with Receiver(otherwise=Reply(status)) as receiver:
        submit(frozen, receiver)
        assert {each["outcome"] for each in advance(frozen)} == {"delivered"}


@pytest.mark.parametrize("status", [302, 400, 401, 404, 410, 429, 500])
def test_every_other_status_is_a_no(frozen: httpx.Client, status: int) -> None:
    """A redirect too: it is not followed."""
    with Receiver(otherwise=Reply(status, headers=(("location", "/elsewhere"),))) as receiver:
        script(frozen, job=QUICK)
        submit(frozen, receiver)
        advance(frozen)
    [delivery] = log(frozen)
    assert [attempt["response"]["status"] for attempt in delivery["attempts"]] == [status] * 3
    assert {each.path for each in receiver.got} == {"/hook"}


def test_a_redirect_is_followed_when_the_switch_says_so(frozen: httpx.Client) -> None:
    """`webhook.redirects: followed`."""
    with Receiver([Reply.redirect("/elsewhere")]) as receiver:
        script(frozen, job=QUICK, behaviour={"webhook": {"redirects": "followed"}})
        submit(frozen, receiver)
        advance(frozen)
    assert [each.path for each in receiver.got] == ["/hook", "/elsewhere"]
    assert log(frozen)[0]["outcome"] == "delivered"


def test_a_redirect_is_never_followed_to_another_machine(frozen: httpx.Client) -> None:
    """That attempt has failed, and says why."""
    with Receiver([Reply.redirect("http://192.0.2.1/hook")]) as receiver:
        script(frozen, job=QUICK, behaviour={"webhook": {"redirects": "followed"}})
        submit(frozen, receiver)
        advance(frozen)
    [delivery] = log(frozen)
    assert [attempt["problem"] for attempt in delivery["attempts"]] == ["redirected_away", None]
    assert "192.0.2.1" in delivery["attempts"][0]["reason"]


def test_a_receiver_that_is_down_is_tried_again(frozen: httpx.Client) -> None:
    """Nobody listens on its port."""
    with Receiver() as receiver:
        pass
    script(frozen, job=QUICK)
    submit(frozen, receiver)
    advance(frozen)
    [delivery] = log(frozen)
    assert (attempts_at(delivery), delivery["outcome"]) == (["01", "11", "31"], "failed")
    assert {attempt["problem"] for attempt in delivery["attempts"]} == {"unreachable"}


def test_a_receiver_that_is_too_slow_has_not_answered(frozen: httpx.Client) -> None:
    """`webhook.timeout_seconds`, in real time."""
    with Receiver([Reply(hangs=True)]) as receiver:
        script(frozen, job=QUICK, behaviour={"webhook": {"timeout_seconds": 0.5}})
        submit(frozen, receiver)
        advance(frozen)
        [delivery] = log(frozen)
    assert [attempt["problem"] for attempt in delivery["attempts"]] == ["timed_out", None]
    assert attempts_at(delivery) == ["01", "11"]


def test_a_receiver_that_hangs_up_has_not_answered(frozen: httpx.Client) -> None:
    """The connection closes without a byte."""
    with Receiver([Reply(closes=True)]) as receiver:
        script(frozen, job=QUICK)
        submit(frozen, receiver)
        advance(frozen)
    [delivery] = log(frozen)
    assert [attempt["problem"] for attempt in delivery["attempts"]] == ["broken_answer", None]


def test_a_job_that_is_cancelled_tells_of_it_next(frozen: httpx.Client, receiver: Receiver) -> None:
    """At the instant of the cancel; nothing comes after it."""
    job_id = submit(frozen, receiver)
    advance(frozen, 4)
    frozen.post(f"/v1/jobs/{job_id}/cancel")
    advance(frozen)
    assert phases(receiver.got) == ["planning", "dispatching", "rendering", None]
    assert receiver.documents[-1]["status"] == "cancelled"
    assert receiver.documents[-1]["timestamp"] == "2026-01-01T00:00:04.000Z"


def test_a_job_that_is_cancelled_in_the_queue_tells_of_that_alone(frozen: httpx.Client, receiver: Receiver) -> None:
    """At once: no clock has to move."""
    job_id = submit(frozen, receiver)
    frozen.post(f"/v1/jobs/{job_id}/cancel")
    advance(frozen, 0)
    assert [each["status"] for each in receiver.documents] == ["cancelled"]


def test_a_job_that_a_test_rewrites_tells_its_new_timeline(frozen: httpx.Client, receiver: Receiver) -> None:
    """It failed long before its time."""
    job_id = submit(frozen, receiver)
    advance(frozen, 4)
    frozen.patch(f"/__mock/jobs/{job_id}", json={"status": "failed", "error": "STORAGE_ERROR: full"})
    advance(frozen)
    assert [each["status"] for each in receiver.documents] == ["running", "running", "waiting", "failed"]
    assert receiver.documents[-1]["error"] == "STORAGE_ERROR: full"


def test_a_job_that_is_hurried_tells_its_phases_earlier(frozen: httpx.Client, receiver: Receiver) -> None:
    """The job leaves the queue by order."""
    script(frozen, job={"queued": "600s"})
    job_id = submit(frozen, receiver)
    frozen.patch(f"/__mock/jobs/{job_id}", json={"status": "running"})
    advance(frozen)
    assert phases(receiver.got) == USUAL


def test_what_waits_is_sent_when_its_job_is_deleted(frozen: httpx.Client) -> None:
    """The receiver still wants to know how it ended."""
    with Receiver([REFUSED] * 2) as receiver:
        script(frozen, job=QUICK)
        job_id = submit(frozen, receiver)
        advance(frozen, 1)
        assert frozen.delete(f"/v1/jobs/{job_id}").status_code == 200
        advance(frozen)
    assert [each["status"] for each in receiver.documents] == ["done"] * 3


@pytest.mark.parametrize("url", ["http://192.0.2.1/hook", "https://example.com/hook"])
def test_nothing_leaves_this_machine(frozen: httpx.Client, url: str) -> None:
    """The log says why, and how it is let through."""
    frozen.post("/v1/render/jobs", json=movie(callbackUrl=url))
    told = advance(frozen)
    reason = log(frozen)[-1]["attempts"][0]["reason"]
    assert [(each["outcome"], each["attempts"]) for each in told] == [("refused", 1)] * len(USUAL)
    assert "--allow-webhook-host" in reason


class Addressed:
    """A sender that goes nowhere: it notes where webhooks were to go."""

    def __init__(self) -> None:
        self.urls: list[str] = []

    async def __call__(self, request: WebhookRequest) -> Taken:
        """Take everything."""
        self.urls.append(request.url)
        return Taken(200, (), b"")

    async def close(self) -> None:
        """There is nothing to close."""


def test_a_host_that_is_allowed_is_let_through(start_mock: Callable[[Settings], LiveServer]) -> None:
    """`--allow-webhook-host`; 0.0.0.0 is not plainly this machine, but leads to it."""
    server = start_mock(Settings(clock=Mode.FROZEN, webhook_hosts=("0.0.0.0",)))  # noqa: S104 - nobody listens there
    with server.client(clock="frozen") as client, Receiver() as receiver:
        url = receiver.url.replace("127.0.0.1", "0.0.0.0")  # noqa: S104 - nobody listens there
        client.post("/v1/render/jobs", json=movie(callbackUrl=url))
        assert {each["outcome"] for each in advance(client)} == {"delivered"}


def test_a_sender_can_be_put_in_the_place_of_the_network(start_mock: Callable[[Settings], LiveServer]) -> None:
    """Any host will do then."""
    server = start_mock(Settings(clock=Mode.FROZEN))
    server.app.mock.sender = sender = Addressed()
    with server.client(clock="frozen") as client:
        client.post("/v1/render/jobs", json=movie(callbackUrl="https://example.com/hook"))
        advance(client)
    assert sender.urls == ["https://example.com/hook"] * len(USUAL)


class Broken:
    """A sender with a bug."""

    async def __call__(self, request: WebhookRequest) -> Taken:
        """Fail in a way that nobody foresaw."""
        raise ValueError(request.url)

    async def close(self) -> None:
        """There is nothing to close."""


def test_a_bug_of_a_sender_is_reported_and_holds_up_nobody(
    start_mock: Callable[[Settings], LiveServer], receiver: Receiver
) -> None:
    """The advance returns, and the job goes on."""
    server = start_mock(Settings(clock=Mode.FROZEN))
    server.app.mock.sender = Broken()
    with server.client(clock="frozen") as client:
        job_id = submit(client, receiver)
        advance(client)
        assert client.get(f"/v1/jobs/{job_id}").json()["status"] == "done"
    assert [(where, str(error)) for where, error in server.bugs] == [("webhooks", receiver.url)]


def test_a_redelivery_sends_the_same_again(frozen: httpx.Client) -> None:
    """Of a webhook that was given up, and is delivered now."""
    with Receiver([REFUSED] * 3) as receiver:
        script(frozen, job=QUICK)
        submit(frozen, receiver)
        advance(frozen)
        [delivery] = log(frozen)
        again = frozen.post(f"/__mock/deliveries/{delivery['deliveryId']}/redeliver").json()
    assert (delivery["outcome"], again["outcome"], len(again["attempts"])) == ("failed", "delivered", 4)
    assert len({(each.body, each.signature) for each in receiver.got}) == 1


def test_a_webhook_that_was_redelivered_is_not_tried_again(frozen: httpx.Client) -> None:
    """It waited for its second attempt."""
    with Receiver([REFUSED]) as receiver:
        script(frozen, job=QUICK)
        submit(frozen, receiver)
        advance(frozen, 1)
        frozen.post("/__mock/deliveries/delivery_1/redeliver")
        assert advance(frozen) == []
    assert len(receiver.got) == 2


def test_on_an_auto_clock_who_waits_for_webhooks_only_gets_to_the_end(
    client: httpx.Client,
) -> None:
    """Nobody reads the job, nobody moves the clock."""
    done = Event()
    with Receiver(on_request=lambda got: done.set() if got.document["status"] == "done" else None) as receiver:
        submit(client, receiver)
        assert done.wait(10)
    assert phases(receiver.got) == USUAL


def test_on_an_auto_clock_retries_do_not_wait(client: httpx.Client) -> None:
    """Nor do delayed webhooks."""
    third = count(1)
    done = Event()
    with Receiver([REFUSED] * 2, on_request=lambda _: done.set() if next(third) == 3 else None) as receiver:
        script(client, job=QUICK)
        submit(client, receiver)
        assert done.wait(10)
    assert [each["status"] for each in receiver.documents] == ["done"] * 3


@pytest.mark.parametrize("deliver", [{"duplicate": 1}, {"delay": "60s"}, {"reorder": True}])
def test_an_auto_clock_does_not_run_for_ever_with_a_job_that_never_ends(
    client: httpx.Client, receiver: Receiver, deliver: dict[str, Any]
) -> None:
    """It goes as far as the job changes; then it stands until somebody else moves it."""
    script(client, job={"scene": {"per_output_second": "forever"}}, webhooks={"deliver": deliver})
    submit(client, receiver)
    looks = [client.get("/__mock/clock").json()["now"] for _ in range(300)]
    assert looks[-1] == looks[-100]
    assert len(log(client)) < 30


def test_on_an_auto_clock_one_that_never_ends_does_not_hold_up_another(client: httpx.Client) -> None:
    """The other is done."""
    done = Event()
    with Receiver(on_request=lambda got: done.set() if got.document["status"] == "done" else None) as receiver:
        submit(client, receiver, **{"x-mock-scenario": "stuck"})
        submit(client, receiver)
        assert done.wait(10)


def test_a_receiver_may_read_its_job_while_it_is_told_of_it(live_server: LiveServer) -> None:
    """On a frozen clock under an `advance`, which waits for the receiver."""
    key = live_server.new_key(clock="frozen")
    read: list[tuple[str, str]] = []

    def look(got: Received) -> None:
        with live_server.client(key) as inner:
            read.append((got.document["status"], inner.get(f"/v1/jobs/{got.document['jobId']}").json()["status"]))

    with live_server.client(key) as client, Receiver(on_request=look) as receiver:
        submit(client, receiver)
        advance(client)
    assert len(read) == len(USUAL)
    assert [told for told, _ in read] == [found for _, found in read]


def test_a_receiver_may_cancel_its_job_while_it_is_told_of_it(live_server: LiveServer) -> None:
    """The next webhook is the last: `cancelled`."""
    key = live_server.new_key(clock="frozen")

    def cancel(got: Received) -> None:
        if got.document.get("phase") == "rendering":
            with live_server.client(key) as inner:
                inner.post(f"/v1/jobs/{got.document['jobId']}/cancel")

    with live_server.client(key) as client, Receiver(on_request=cancel) as receiver:
        submit(client, receiver)
        advance(client)
    assert [each["status"] for each in receiver.documents] == ["running", "running", "waiting", "cancelled"]


def test_a_receiver_may_read_any_job_on_an_auto_clock(live_server: LiveServer) -> None:
    """The clock waits for the receiver, so the read does not wait for the clock."""
    key = live_server.new_key()
    done = Event()

    def look(got: Received) -> None:
        with live_server.client(key) as inner:
            for job in inner.get("/v1/jobs").json()["jobs"]:
                inner.get(f"/v1/jobs/{job['jobId']}")
        if got.document["status"] == "done":
            done.set()

    with live_server.client(key) as client, Receiver(on_request=look) as receiver:
        client.post("/v1/render/jobs", json=movie(), headers={"x-mock-scenario": "long-queue"})
        submit(client, receiver)
        assert done.wait(10)
        wait_for(lambda: {each["outcome"] for each in log(client)} == {"delivered"}, client)


def test_a_receiver_may_cancel_on_an_auto_clock(live_server: LiveServer) -> None:
    """What it has cancelled is told as cancelled."""
    key = live_server.new_key()
    done = Event()

    def cancel(got: Received) -> None:
        with live_server.client(key) as inner:
            inner.post(f"/v1/jobs/{got.document['jobId']}/cancel")
        if got.document["status"] == "cancelled":
            done.set()

    with live_server.client(key) as client, Receiver(on_request=cancel) as receiver:
        submit(client, receiver)
        assert done.wait(10)
    assert [each["status"] for each in receiver.documents] == ["running", "cancelled"]


def test_a_read_of_a_job_is_answered_while_a_redelivery_is_under_way(live_server: LiveServer) -> None:
    """On an auto clock, from within the receiver."""
    key = live_server.new_key()
    with live_server.client(key) as client, Receiver() as receiver:
        script(client, job=QUICK)
        submit(client, receiver)
        wait_for(lambda: [each["outcome"] for each in log(client)] == ["delivered"], client)
        waiting = client.post("/v1/render/jobs", json=movie(), headers={"x-mock-scenario": "stuck"}).json()["jobId"]
        with live_server.client(key) as inner:
            receiver.on_request = lambda _: statuses.append(inner.get(f"/v1/jobs/{waiting}").json()["status"])
            statuses: list[str] = []
            again = client.post("/__mock/deliveries/delivery_1/redeliver").json()
    assert (statuses, again["attempts"][-1]["isAccepted"]) == (["queued"], True)


def noise(live_server: LiveServer, caplog: pytest.LogCaptureFixture) -> list[object]:
    """Return what was complained of: errors that nobody foresaw, and what asyncio logs of lost tasks."""
    return [*live_server.bugs, *(record.message for record in caplog.records if record.name == "asyncio")]


def test_a_reset_gives_up_what_is_under_way(live_server: LiveServer, caplog: pytest.LogCaptureFixture) -> None:
    """The advance that waited for it ends too."""
    key = live_server.new_key(clock="frozen")

    def reset(_: Received) -> None:
        with live_server.client(key) as inner:
            inner.post("/__mock/reset")

    with live_server.client(key) as client, Receiver([Reply(hangs=True)], on_request=reset) as receiver:
        sandbox = live_server.app.mock.sandbox(key)
        submit(client, receiver)
        advance(client)
        client.get("/v1/me")
        assert (len(receiver.got), sandbox.clock.in_flight, noise(live_server, caplog)) == (1, 0, [])


def test_a_stop_gives_up_what_is_under_way(caplog: pytest.LogCaptureFixture) -> None:
    """At once, without a word, and no task is left."""
    arrived = Event()
    tasks: list[set[asyncio.Task[Any]]] = []
    app = create_app(Settings(clock=Mode.AUTO))
    app.mock.on_call = lambda *_: tasks.append(asyncio.all_tasks())
    with Receiver([Reply(hangs=True)], on_request=lambda _: arrived.set()) as receiver:
        with BackgroundServer(app) as running:
            server = LiveServer(app, running.base_url)
            with server.client() as client:
                submit(client, receiver)
                assert arrived.wait(10)
                client.get("/v1/me")
        assert [task for task in tasks[-1] if not task.done()] == []
    assert noise(server, caplog) == []


def test_sandboxes_do_not_see_each_others_webhooks(live_server: LiveServer, receiver: Receiver) -> None:
    """Moving the clock of one sends nothing of the other."""
    with live_server.client(clock="frozen") as one, live_server.client(clock="frozen") as other:
        mine = submit(one, receiver)
        submit(other, receiver)
        advance(one)
        assert {each["jobId"] for each in receiver.documents} == {mine}
        assert (len(log(one)), log(other)) == (len(USUAL), [])


def test_the_log_is_as_long_as_the_journal(start_mock: Callable[[Settings], LiveServer], receiver: Receiver) -> None:
    """The last ones are kept; all are sent."""
    server = start_mock(Settings(clock=Mode.FROZEN, journal_size=3))
    with server.client(clock="frozen") as client:
        submit(client, receiver)
        advance(client)
        assert [each["deliveryId"] for each in log(client)] == ["delivery_6", "delivery_7", "delivery_8"]
    assert len(receiver.got) == len(USUAL)


def test_nothing_is_lost_when_2000_jobs_end_at_once(live_server: LiveServer, receiver: Receiver) -> None:
    """Each tells of its running and its end, in this order, within one advance."""
    with live_server.client(clock="frozen") as client:
        limits = {"rate": False, "quota": False, "concurrency": False}
        script(client, account={"plan": "enterprise"}, job={**QUICK, "uploading": "1s"}, limits=limits)
        jobs = [submit(client, receiver) for _ in range(2_000)]
        told = advance(client, 2)
    assert len(told) == len(receiver.got) == 4_000
    assert [each["status"] for each in receiver.documents[:2_000]] == ["running"] * 2_000
    assert sorted(each["jobId"] for each in receiver.documents[2_000:]) == sorted(jobs)


# In process, with a sender that keeps what it gets


class Outgoing:
    """A sender that accepts every webhook and keeps job, status and phase, in order."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str | None]] = []

    async def __call__(self, request: WebhookRequest) -> Taken:
        """Accept."""
        document = orjson.loads(request.body)
        self.sent.append((document["jobId"], document["status"], document.get("phase")))
        return Taken(200, (), b"")

    async def close(self) -> None:
        """There is nothing to close."""


async def sandbox_with_jobs(numbers: Sequence[int], mode: Mode, scenario: str = "happy") -> tuple[Sandbox, Outgoing]:
    """Return a sandbox with jobs of the same instant, whose webhooks are sent from now on, in this order."""
    mock = MockServer.start(Settings(clock=mode))
    mock.sender = outgoing = Outgoing()
    sandbox, dispatcher = mock.sandbox(f"vs_prod_{1:032x}"), None
    payload = orjson.dumps({"projectId": "proj_1", "movie": {"scenes": [{"duration": 2}]}})
    chosen = mock.files.library.get(scenario)
    for number in numbers:
        recipe = Recipe(payload, 1, sandbox.clock.now(), BehaviourProfile(), chosen, "0", number)
        job = build(recipe, orjson.loads(payload)["movie"], mock.files.movies, "http://localhost/hook", None)
        sandbox.store.submit(job, lambda _: None)
        dispatcher = mock.dispatcher_for(sandbox)
        await dispatcher.add_job(job, WebhookSettings("http://localhost/hook", "secret", BehaviourProfile()))
    return sandbox, outgoing


async def test_webhooks_due_at_one_instant_are_all_sent_in_the_order_of_their_jobs() -> None:
    """Whichever job was added first, and each job's own in order."""
    sandbox, outgoing = await sandbox_with_jobs([2, 1, 3], Mode.FROZEN)
    await sandbox.advance(add_seconds(sandbox.clock.now(), 60))
    jobs = [job.id for job in sorted(sandbox.store.contents(sandbox.clock.now()).jobs, key=attrgetter("number"))]
    assert [job_id for job_id, *_ in outgoing.sent] == jobs * (len(outgoing.sent) // 3)
    assert [status for job_id, status, _ in outgoing.sent if job_id == jobs[0]][-1] == "done"
    assert len(outgoing.sent) > 9


async def test_a_finished_outbox_no_longer_watches_its_job() -> None:
    """Nothing is kept of a job whose last webhook was accepted."""
    sandbox, _ = await sandbox_with_jobs([1], Mode.FROZEN)
    [job] = sandbox.store.unfinished(sandbox.clock.now())
    assert job.watchers
    await sandbox.advance(add_seconds(sandbox.clock.now(), 60))
    assert not job.watchers
    assert isinstance(sandbox.dispatcher, WebhookDispatcher)
    assert sandbox.dispatcher.outboxes() == []


async def test_a_jumping_clock_does_not_go_on_for_the_webhooks_of_a_job_that_never_ends() -> None:
    """It goes as far as the job changes; a sleeper takes it further, by way of the webhooks of progress."""
    sandbox, outgoing = await sandbox_with_jobs([1], Mode.JUMP, scenario="stuck")
    sandbox.clock.threshold = 0
    for _ in range(500):
        await asyncio.tasks.sleep(0)
    stopped, sent = sandbox.clock.now(), len(outgoing.sent)
    await asyncio.wait_for(sandbox.sleep(60), timeout=30)
    assert sandbox.clock.now() == add_seconds(stopped, 60)
    assert len(outgoing.sent) >= sent
    sandbox.close()
