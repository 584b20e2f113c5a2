"""Each shipped scenario of faults over a real socket: a client that takes care succeeds, a naive one does not."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

import httpx
import httpx_sse
import pytest
from tests.conftest import LiveServer, movie
from tests.support.webhook_receiver import Received, Receiver, Reply

from viralsync_mock.clock import Mode, RealTime
from viralsync_mock.scenarios.model import Webhooks
from viralsync_mock.settings import Settings

SECONDS = 10
"""How long a test waits for the other side before it fails."""

PATIENCE = httpx.Timeout(SECONDS, read=0.3)
"""How long a careful client waits for the next event."""

ENDED = {"done", "failed", "cancelled"}
MOST_TRIES = 10
"""How often a careful client tries again before it gives up."""

STREAMS = ("sse-drops", "sse-silent", "sse-cut", "sse-duplicates", "sse-never-ends")
WEBHOOKS = ("webhook-retries", "webhook-duplicates", "webhook-disorder", "webhook-late")

TOLD: set[str] = set()
"""The scenarios that have a story here."""

Story = TypeVar("Story", bound=Callable[..., None])


def tells(*names: str) -> Callable[[Story], Story]:
    """Mark the story of some scenarios."""
    TOLD.update(names)
    return lambda story: story


@pytest.fixture
def enter(live_server: LiveServer) -> Iterator[Callable[..., httpx.Client]]:
    """Yield a function that gives a client of a scenario, on an auto clock unless told otherwise."""
    opened: list[httpx.Client] = []

    def client(scenario: str, **options: Any) -> httpx.Client:
        opened.append(live_server.client(scenario=scenario, **options))
        opened[-1].timeout = httpx.Timeout(SECONDS)
        return opened[-1]

    yield client
    for each in opened:
        each.close()


Enter = Callable[..., httpx.Client]


def submit(client: httpx.Client, **changes: Any) -> str:
    return str(client.post("/v1/render/jobs", json=movie(**changes)).raise_for_status().json()["jobId"])


def numbers(events: list[httpx_sse.ServerSentEvent]) -> list[int]:
    return [int(event.id) for event in events]


def every_event(client: httpx.Client, job_id: str) -> list[int]:
    """Return the ids of all events that a job has to tell."""
    return [*range(len(client.get(f"/__mock/jobs/{job_id}").json()["steps"]))]


# Streams.


def listen(client: httpx.Client, job_id: str, seen: list[httpx_sse.ServerSentEvent]) -> None:
    """Listen once, to the terminal event, adding what comes to what was seen."""
    url, headers = f"/v1/jobs/{job_id}/progress", {"last-event-id": seen[-1].id} if seen else {}
    with httpx_sse.connect_sse(client, "GET", url, headers=headers, timeout=PATIENCE) as source:
        for event in source.iter_sse():
            seen.append(event)
            if event.json()["status"] in ENDED:
                return


def follow(client: httpx.Client, job_id: str) -> list[int]:
    """Listen with care: come back where the stream was lost or fell silent, and take what came twice once."""
    seen: list[httpx_sse.ServerSentEvent] = []
    for _ in range(MOST_TRIES):
        try:
            listen(client, job_id, seen)
        except (httpx.RemoteProtocolError, httpx.ReadTimeout):
            continue
        break
    return list(dict.fromkeys(numbers(seen)))


@tells(*STREAMS)
@pytest.mark.parametrize("scenario", STREAMS)
def test_a_client_that_resumes_sees_every_event_once(enter: Enter, scenario: str) -> None:
    """Whatever its streams meet, it has the whole job, in order."""
    client = enter(scenario)
    job_id = submit(client)
    assert follow(client, job_id) == every_event(client, job_id)


@pytest.mark.parametrize(
    ("scenario", "number", "error"),
    [
        ("sse-drops", 4, httpx.RemoteProtocolError),
        ("sse-silent", 3, httpx.ReadTimeout),
        ("sse-cut", 2, httpx.RemoteProtocolError),
    ],
)
def test_a_client_that_listens_once_sees_the_beginning(
    enter: Enter, scenario: str, number: int, error: type[Exception]
) -> None:
    """It has to come back, with `Last-Event-ID`."""
    client, seen = enter(scenario), list[httpx_sse.ServerSentEvent]()
    job_id = submit(client)
    with pytest.raises(error):
        listen(client, job_id, seen)
    assert numbers(seen) == [*range(number)]


def test_sse_drops_costs_three_streams_and_the_fourth_is_whole(enter: Enter) -> None:
    """Also for a job that is over: a client that gives up after three tries gives up too soon."""
    client, endings = enter("sse-drops", clock="frozen"), list[bool]()
    url = f"/v1/jobs/{submit(client)}/progress"
    client.post("/__mock/clock/advance", json={"seconds": 100}).raise_for_status()
    for _ in range(4):
        try:
            endings.append(bool(client.get(url, headers={"last-event-id": "0"}).text))
        except httpx.RemoteProtocolError:
            endings.append(False)
    assert endings == [False, False, False, True]


def test_sse_cut_leaves_bytes_that_do_not_decode(enter: Enter) -> None:
    """A client that decodes what has come, and does not wait for the rest, fails there."""
    client, data = enter("sse-cut"), bytearray()
    with client.stream("GET", f"/v1/jobs/{submit(client)}/progress") as answer:
        pieces = answer.iter_raw()
        while b'"note"' not in data:
            data += next(pieces)
    with pytest.raises(UnicodeDecodeError):
        data.decode()


def test_sse_duplicates_tells_everything_twice_to_who_does_not_look_at_ids(enter: Enter) -> None:
    """One who counts events counts too many."""
    client = enter("sse-duplicates")
    job_id = submit(client)
    told = client.get(f"/v1/jobs/{job_id}/progress").text.count("\nid: ") + 1
    assert told == 2 * len(every_event(client, job_id))


def test_sse_never_ends_keeps_who_waits_for_the_end_of_the_stream(enter: Enter) -> None:
    """The terminal event is the end, not the connection's."""
    client = enter("sse-never-ends")
    job_id = submit(client)
    with pytest.raises(httpx.ReadTimeout):
        client.get(f"/v1/jobs/{job_id}/progress", timeout=PATIENCE)


# Webhooks.


def is_signed(received: Received) -> bool:
    """Say whether a webhook is from the API."""
    expected = hmac.new(Webhooks().secret.encode(), received.body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, received.signature)


def known(receiver: Receiver) -> dict[str, Any]:
    """Return what a careful receiver makes of all it got: the signed, each once, by their own instants, an end last."""
    signed = {each.body: each.document for each in receiver.got if is_signed(each)}
    ordered = sorted(signed.values(), key=lambda each: (each["timestamp"], each["status"] in ENDED))
    return ordered[-1] if ordered else {}


@pytest.fixture
def run(enter: Enter) -> Callable[..., httpx.Client]:
    """Give a function that lets a job run under a scenario for 100 s, and so long after, while a receiver listens."""

    def start(scenario: str, receiver: Receiver, seconds: float = 100) -> httpx.Client:
        client = enter(scenario, clock="frozen")
        submit(client, callbackUrl=receiver.url)
        client.post("/__mock/clock/advance", json={"seconds": seconds}).raise_for_status()
        return client

    return start


Run = Callable[..., httpx.Client]


def status_by_get(client: httpx.Client) -> str:
    """Ask how the only job stands."""
    return str(client.get("/v1/jobs").json()["jobs"][0]["status"])


def ends(receiver: Receiver) -> list[Received]:
    """Return the terminal webhooks that arrived."""
    return [each for each in receiver.got if each.document["status"] in ENDED]


@tells(*WEBHOOKS)
@pytest.mark.parametrize("scenario", WEBHOOKS)
def test_a_receiver_that_takes_care_knows_the_end(run: Run, scenario: str) -> None:
    """It checks the signature, passes over copies, and goes by the instants in the bodies."""
    with Receiver() as receiver:
        run(scenario, receiver)
    assert known(receiver)["status"] == "done"


def test_webhook_retries_brings_the_end_three_times(run: Run, live_server: LiveServer) -> None:
    """The waits grow, the body stays the same; webhooks of progress are not tried again."""
    with Receiver() as receiver:
        client = run("webhook-retries", receiver)
    sandbox = live_server.app.mock.sandbox(client.headers["x-api-key"])
    terminal, *progress = sandbox.deliveries.newest_first()
    first, second, third = (attempt.at for attempt in terminal.attempts)
    assert [each.body for each in ends(receiver)] == [terminal.body] * 3
    assert [(second - first).total_seconds(), (third - second).total_seconds()] == [10, 20]
    assert {len(each.attempts) for each in progress} == {1}


def test_webhook_duplicates_brings_each_twice_to_who_counts(run: Run) -> None:
    """A receiver that acts on each acts twice."""
    with Receiver() as receiver:
        run("webhook-duplicates", receiver)
    bodies = [each.body for each in receiver.got]
    assert bodies == [body for body in bodies[::2] for _ in range(2)]
    assert len(ends(receiver)) == 2


def test_webhook_disorder_ends_with_progress_for_who_believes_the_last(run: Run) -> None:
    """What arrives last is not what happened last."""
    with Receiver() as receiver:
        run("webhook-disorder", receiver)
    arrived = [each["timestamp"] for each in receiver.documents]
    assert arrived != sorted(arrived)
    assert receiver.documents[-1]["status"] not in ENDED


@tells("webhook-bad-signature")
def test_webhook_bad_signature_is_seen_through(run: Run) -> None:
    """None is signed as it should be; a receiver that refuses them all asks, and one that does not look is had."""
    with Receiver(otherwise=Reply(401)) as receiver:
        client = run("webhook-bad-signature", receiver)
    assert [is_signed(each) for each in receiver.got] == [False] * len(receiver.got) != []
    assert (known(receiver), status_by_get(client)) == ({}, "done")


def test_webhook_late_is_behind_what_get_says(run: Run) -> None:
    """A client that polls as well knows a minute sooner; the webhook comes all the same."""
    with Receiver() as receiver:
        client = run("webhook-late", receiver, seconds=59)
        by_get, by_webhook = status_by_get(client), list(receiver.got)
        client.post("/__mock/clock/advance", json={"seconds": 60}).raise_for_status()
    assert (by_get, by_webhook) == ("done", [])
    assert [each.document["status"] for each in ends(receiver)] == ["done"]


# Views and the network.


@tells("stale-reads")
def test_stale_reads_are_waited_out(enter: Enter) -> None:
    """A client that goes by the stream, and asks until GET and list agree with it, gets the result."""
    client = enter("stale-reads", clock="frozen")
    job_id = submit(client)
    client.post("/__mock/clock/advance", json={"seconds": 9}).raise_for_status()
    missing = client.get("/v1/jobs").json()["jobs"]
    client.patch("/__mock/clock", json={"mode": "auto"}).raise_for_status()
    seen: list[httpx_sse.ServerSentEvent] = []
    listen(client, job_id, seen)
    polled = [client.get(f"/v1/jobs/{job_id}").json() for _ in range(3)]
    assert (missing, seen[-1].json()["status"]) == ([], "done")
    assert (polled[0]["outputUrl"], polled[-1]["outputUrl"]) == (None, seen[-1].json()["outputUrl"])
    assert [job["jobId"] for job in client.get("/v1/jobs").json()["jobs"]] == [job_id]


def test_stale_reads_mislead_who_asks_once(enter: Enter) -> None:
    """The stream said `done`; GET right after it does not know yet."""
    client = enter("stale-reads", clock="frozen")
    job_id = submit(client)
    client.post("/__mock/clock/advance", json={"seconds": 18.3}).raise_for_status()
    told = client.get(f"/v1/jobs/{job_id}/progress").text
    assert '"status":"done"' in told
    assert client.get(f"/v1/jobs/{job_id}").json()["status"] == "running"


@tells("slow-network")
def test_slow_network_is_only_slow(start_mock: Callable[[Settings], LiveServer]) -> None:
    """A client with patience gets every answer whole: late by 0.1 to 0.7 s, every third body over a second."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    server = start_mock(Settings(scenario="slow-network", clock=Mode.AUTO, real=RealTime(sleep=sleep)))
    with server.client() as client:
        job_id = submit(client)
        statuses = [client.get(f"/v1/jobs/{job_id}").json()["status"] for _ in range(20)]
    late = [each for each in slept if each >= 0.1]
    assert (statuses[-1], len(late), max(late) <= 0.7) == ("done", 21, True)
    assert sum(each for each in slept if each < 0.1) == pytest.approx(7)


def test_slow_network_is_too_slow_for_who_cannot_wait(enter: Enter) -> None:
    """A time-out below the latency never gets an answer."""
    client = enter("slow-network")
    with pytest.raises(httpx.ReadTimeout):
        client.get("/v1/me", timeout=httpx.Timeout(SECONDS, read=0.05))


def get(client: httpx.Client, path: str) -> dict[str, Any]:
    """Repeat a call that changes nothing until its answer arrives."""
    for _ in range(MOST_TRIES):
        with suppress(httpx.ReadError):
            document: dict[str, Any] = client.get(path).raise_for_status().json()
            return document
    raise AssertionError("no answer arrived")


def submit_once(client: httpx.Client, project: str) -> str:
    """Submit with care: where the answer is lost, look whether the job was made before submitting again."""
    for _ in range(MOST_TRIES):
        with suppress(httpx.ReadError):
            return submit(client, projectId=project)
        newest = get(client, "/v1/jobs?limit=1")["jobs"]
        if newest and newest[0]["payload"]["projectId"] == project:
            return str(newest[0]["jobId"])
    raise AssertionError("no job was made")


@tells("resets")
def test_resets_are_survived_by_who_looks_before_submitting_again(enter: Enter) -> None:
    """One job for each project although the answers to submissions are lost, and each is polled to its end."""
    client, projects = enter("resets"), [f"proj_{number}" for number in range(8)]
    for project in projects:
        job_id = submit_once(client, project)
        while get(client, f"/v1/jobs/{job_id}")["status"] != "done":
            pass
    assert [job["payload"]["projectId"] for job in get(client, "/v1/jobs")["jobs"]] == projects[::-1]


def test_resets_make_who_submits_again_pay_twice(enter: Enter) -> None:
    """The fourth call was carried out: its repetition makes a second job."""
    client = enter("resets", clock="frozen")
    for _ in range(3):
        client.get("/v1/me").raise_for_status()
    with pytest.raises(httpx.ReadError):
        submit(client)
    submit(client)
    assert len(client.get("/v1/jobs").json()["jobs"]) == 2
