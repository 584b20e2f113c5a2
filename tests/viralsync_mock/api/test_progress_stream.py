"""Progress streams over a real socket: what they tell, when, and what they leave behind."""

from __future__ import annotations

import asyncio
import json
import select
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import h11
import httpx
import httpx_sse
import pytest
import yaml
from tests.conftest import MOVIE, LiveServer, movie

from viralsync_mock.app import create_app
from viralsync_mock.clock import Mode
from viralsync_mock.sandbox import Sandbox
from viralsync_mock.server import BackgroundServer
from viralsync_mock.settings import Settings

SECONDS = 20
"""How long a test waits for the other side before it fails."""

ENDS = {"happy": "done", "scene-fails": "failed", "stuck": "cancelled"}
"""The scenarios that lead to each terminal status; a stuck job is cancelled by its test."""

TOLD = {"jobId", "status", "progress", "outputUrl", "timestamp"}

BIG = {
    **MOVIE,
    "movie": {
        "scenes": [
            {"id": f"scene-{n}", "duration": 10 + n / 1000, "layers": [{"type": "text", "text": "long " * 200}]}
            for n in range(100)
        ]
    },
}
"""A tenth of a megabyte of movie, whose scenes all change at instants of their own."""


class Event(NamedTuple):
    """One event as it was sent."""

    id: str
    name: str | None
    data: dict[str, Any]

    @property
    def number(self) -> int:
        """The id as a number."""
        return int(self.id)


def parse(text: str) -> tuple[list[Event], int]:
    """Read whole blocks as WHATWG has them: return the events, and how many comments there were."""
    events, comments = [], 0
    for block in filter(None, text.split("\n\n")):
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        if "" in fields:
            comments += 1
        else:
            events.append(Event(fields["id"], fields.get("event"), json.loads(fields["data"])))
    return events, comments


class Stream:
    """A reader on a bare socket, which sees what has arrived without waiting for more."""

    def __init__(self, client: httpx.Client, job_id: str, headers: dict[str, str]) -> None:
        self.events: list[Event] = []
        self.comments = 0
        self.is_over = False
        self._text = ""
        self._http = h11.Connection(h11.CLIENT)
        self._socket = socket.socket()
        self._socket.settimeout(SECONDS)
        self._socket.connect((client.base_url.host, client.base_url.port))
        fields = {"host": "127.0.0.1", "x-api-key": client.headers["x-api-key"], **headers}
        request = h11.Request(method="GET", target=f"/v1/jobs/{job_id}/progress", headers=list(fields.items()))
        self._socket.sendall(self._http.send(request) + self._http.send(h11.EndOfMessage()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def here(self) -> list[Event]:
        """Take in what the kernel already holds; return every event so far."""
        while not self.is_over and select.select([self._socket], [], [], 0)[0]:
            self._take(self._socket.recv(1 << 20))
        return self.events

    def wait(self, number: int = 1) -> Self:
        """Wait until this many events have come."""
        while len(self.events) < number:
            self._take(self._socket.recv(1 << 20))
        return self

    def rest(self) -> list[Event]:
        """Wait until the server closes; return every event."""
        while not self.is_over:
            self._take(self._socket.recv(1 << 20))
        return self.events

    def close(self) -> None:
        """Vanish without a word to the server."""
        self._socket.close()

    def _take(self, received: bytes) -> None:
        self._http.receive_data(received)
        while (part := self._http.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(part, h11.Data):
                self._text += part.data.decode()
            elif isinstance(part, h11.EndOfMessage):
                self.is_over = True
                break
        whole, end, self._text = self._text.rpartition("\n\n")
        events, comments = parse(whole + end)
        self.events += events
        self.comments += comments


Follow = Callable[..., Stream]


@pytest.fixture
def follow() -> Iterator[Follow]:
    """Yield a function that opens a stream and waits for its first event; all are closed after the test."""
    with ExitStack() as streams:

        def open_stream(client: httpx.Client, job_id: str, *, first: int = 1, **headers: str) -> Stream:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            return streams.enter_context(Stream(client, job_id, names)).wait(first)

        yield open_stream


@pytest.fixture
def clients(live_server: LiveServer) -> Iterator[Callable[..., httpx.Client]]:
    """Yield a function that makes a client with a new key on a frozen clock, or with other options."""
    with ExitStack() as clients:
        yield lambda **options: clients.enter_context(live_server.client(**{"clock": "frozen", **options}))


@pytest.fixture
def turned_server(start_mock: Callable[[Settings], LiveServer], tmp_path: Path) -> Callable[..., LiveServer]:
    """Give a function that starts a mock with `sse` switches turned."""

    def start(**switches: object) -> LiveServer:
        profile = tmp_path / "behaviour.yaml"
        profile.write_text(yaml.safe_dump({"sse": switches}), "utf-8")
        return start_mock(Settings(behaviour=profile, clock=Mode.FROZEN))

    return start


@pytest.fixture
def turned(turned_server: Callable[..., LiveServer]) -> Iterator[Callable[..., httpx.Client]]:
    """Yield a function that starts a mock with `sse` switches turned, and gives a client of it."""
    with ExitStack() as clients:
        yield lambda clock="auto", **switches: clients.enter_context(turned_server(**switches).client(clock=clock))


def submit(client: httpx.Client, body: dict[str, Any] | None = None) -> str:
    """Submit a movie; return the id of its job."""
    answer = client.post("/v1/render/jobs", json=body or movie())
    assert answer.status_code == 202, answer.text
    return str(answer.json()["jobId"])


def advance(client: httpx.Client, how_far: float | dict[str, Any]) -> None:
    """Move the clock by this many seconds, or as the control API understands it."""
    order = how_far if isinstance(how_far, dict) else {"seconds": how_far}
    client.post("/__mock/clock/advance", json=order).raise_for_status()


def cancel(client: httpx.Client, job_id: str) -> None:
    """Cancel a job."""
    client.post(f"/v1/jobs/{job_id}/cancel").raise_for_status()


def read(client: httpx.Client, job_id: str, last: str | bytes | None = None) -> list[Event]:
    """Read a stream to its end."""
    headers = {} if last is None else {"last-event-id": last}
    answer = client.get(f"/v1/jobs/{job_id}/progress", headers=headers, timeout=SECONDS)  # type: ignore[arg-type]  # bytes are fine too
    return parse(answer.raise_for_status().text)[0]


def planned(client: httpx.Client, job_id: str) -> list[dict[str, Any]]:
    """Return every step that the job's timeline has."""
    steps: list[dict[str, Any]] = client.get(f"/__mock/jobs/{job_id}").json()["steps"]
    return steps


def ended(client: httpx.Client, scenario: str) -> str:
    """Take a job to its end on a frozen clock."""
    job_id = submit(client)
    advance(client, 100)
    if scenario == "stuck":
        cancel(client, job_id)
    return job_id


def sandbox_of(server: LiveServer, client: httpx.Client) -> Sandbox:
    """Return the sandbox that a client works in."""
    return server.app.mock.sandbox(client.headers["x-api-key"])


def eventually(client: httpx.Client, holds: Callable[[], bool]) -> bool:
    """Let the server take turns, one for each call that costs nothing, until something holds."""
    return any(holds() or client.get("/nowhere").is_success for _ in range(500))


# What a stream tells.


def test_a_stream_begins_with_how_the_job_stands(frozen: httpx.Client, follow: Follow) -> None:
    """The first event is a snapshot of the present, not of the past."""
    job_id = submit(frozen)
    advance(frozen, 6)
    (event,) = follow(frozen, job_id).here()
    job = frozen.get(f"/v1/jobs/{job_id}").json()
    assert {key: job[key] for key in ("jobId", "status", "phase", "progress", "children")} == {
        key: event.data[key] for key in ("jobId", "status", "phase", "progress", "children")
    }


@pytest.mark.parametrize("scenario", ENDS)
def test_every_step_of_the_timeline_is_one_event(
    clients: Callable[..., httpx.Client], follow: Follow, scenario: str
) -> None:
    """Nothing is left out, nothing told twice, whatever way the job ends."""
    client = clients(scenario=scenario)
    job_id = submit(client)
    stream = follow(client, job_id)
    advance(client, 100)
    if scenario == "stuck":
        cancel(client, job_id)
    told = [(event.data["timestamp"], event.data["status"], event.data["progress"]) for event in stream.rest()]
    assert told == [(step["at"], step["status"], step["progress"]) for step in planned(client, job_id)]


def test_ids_are_the_numbers_of_the_steps(client: httpx.Client) -> None:
    """They start at 0 with a job's creation and rise by one."""
    events = read(client, submit(client))
    assert [event.id for event in events] == [str(number) for number in range(len(events))]


@pytest.mark.parametrize(
    ("scenario", "keys"),
    [
        ("happy", TOLD | {"mediaData"}),
        ("scene-fails", TOLD | {"error"}),
        ("stuck", TOLD),
    ],
)
def test_each_kind_of_event_has_the_fields_of_its_webhook(
    clients: Callable[..., httpx.Client], follow: Follow, scenario: str, keys: set[str]
) -> None:
    """Progress tells phase and children; the end tells the media, the error, or nothing more."""
    client = clients(scenario=scenario)
    job_id = submit(client)
    stream = follow(client, job_id)
    advance(client, 100)
    if scenario == "stuck":
        cancel(client, job_id)
    *progress, end = stream.rest()
    assert {frozenset(event.data) for event in progress} == {frozenset(TOLD | {"phase", "children"})}
    assert (set(end.data), end.data["status"]) == (keys, ENDS[scenario])


@pytest.mark.parametrize("scenario", ENDS)
def test_the_terminal_event_is_the_last_and_the_only_one_of_its_kind(
    clients: Callable[..., httpx.Client], follow: Follow, scenario: str
) -> None:
    """After it the server ends the response by itself."""
    client = clients(scenario=scenario)
    job_id = submit(client)
    stream = follow(client, job_id)
    advance(client, 100)
    if scenario == "stuck":
        cancel(client, job_id)
    statuses = [event.data["status"] for event in stream.here()]
    assert stream.is_over
    assert [status for status in statuses if status in ENDS.values()] == [statuses[-1]]


@pytest.mark.parametrize("scenario", ENDS)
def test_a_terminal_job_is_told_in_one_event(clients: Callable[..., httpx.Client], scenario: str) -> None:
    """Whoever comes late gets the end, and the stream closes."""
    client = clients(scenario=scenario)
    (event,) = read(client, ended(client, scenario))
    assert event.data["status"] == ENDS[scenario]


def test_stream_and_get_agree_at_every_step(frozen: httpx.Client, follow: Follow) -> None:
    """Status, progress and instant of each event are what a GET at that instant says."""
    job_id = submit(frozen)
    stream, polled = follow(frozen, job_id), list[tuple[object, ...]]()
    while not polled or polled[-1][0] != "done":
        job = frozen.get(f"/v1/jobs/{job_id}").json()
        polled.append((job["status"], job["progress"], job["updatedAt"], job["outputUrl"]))
        if job["status"] != "done":
            advance(frozen, {"to": "next"})
    keys = ("status", "progress", "timestamp", "outputUrl")
    assert [tuple(event.data[key] for key in keys) for event in stream.rest()] == polled


@pytest.mark.parametrize("child", ["scene_{}_001", "scene_{}_003", "assemble_{}"])
def test_a_child_has_a_stream_of_its_own(frozen: httpx.Client, follow: Follow, child: str) -> None:
    """It tells the steps of that child alone, and ends with it."""
    child_id = child.format(submit(frozen))
    stream = follow(frozen, child_id)
    advance(frozen, 100)
    told = [(event.data["jobId"], event.data["status"], event.data["progress"]) for event in stream.rest()]
    steps = planned(frozen, child_id)
    assert told == [(child_id, step["status"], step["progress"]) for step in steps]
    assert told[-1] == (child_id, "done", 1.0)


@pytest.mark.parametrize("job_id", ["job_000000000000", "scene_{}_004", "scene_{}_01"])
def test_an_unknown_job_is_a_404_in_json(frozen: httpx.Client, job_id: str) -> None:
    """No stream begins for what does not exist."""
    answer = frozen.get(f"/v1/jobs/{job_id.format(submit(frozen))}/progress")
    assert (answer.status_code, answer.json()["code"]) == (404, "JOB_NOT_FOUND")
    assert answer.headers["content-type"] == "application/json"


# Headers and limits.


def test_the_headers_are_those_of_an_event_stream_on_the_sandboxs_clock(
    clients: Callable[..., httpx.Client],
) -> None:
    """Nothing caches it, and its date is the pretended one."""
    client = clients(scenario="happy")
    headers = client.get(f"/v1/jobs/{ended(client, 'happy')}/progress").headers
    assert (headers["content-type"], headers["cache-control"]) == ("text/event-stream", "no-cache")
    assert headers["date"] == "Thu, 01 Jan 2026 00:01:40 GMT"


def test_head_gets_the_headers_of_the_stream_and_opens_none(frozen: httpx.Client, live_server: LiveServer) -> None:
    """It is over at once although the job is not terminal, and the connection is free for the next request."""
    answer = frozen.head(f"/v1/jobs/{submit(frozen)}/progress")
    assert (answer.status_code, answer.text) == (200, "")
    assert answer.headers["content-type"] == "text/event-stream"
    assert (frozen.get("/v1/me").status_code, traces(sandbox_of(live_server, frozen))) == (200, (0, 0))


def test_opening_a_stream_costs_one_request_and_following_it_none(
    clients: Callable[..., httpx.Client], follow: Follow
) -> None:
    """Of three requests in a minute one submits, one streams every step, and one is left."""
    client = clients(scenario="rate-limited")
    stream = follow(client, submit(client))
    advance(client, 30)
    assert stream.rest()[-1].data["status"] == "done"
    assert [client.get("/v1/me").status_code for _ in range(2)] == [200, 429]


# Resuming.


@pytest.mark.parametrize("scenario", ENDS)
@pytest.mark.parametrize("child", ["{}", "scene_{}_001"])
def test_law_resuming_after_any_event_replays_exactly_the_rest(
    clients: Callable[..., httpx.Client], follow: Follow, scenario: str, child: str
) -> None:
    """For every id that was told, the stream goes on with the next one; after the last nothing is left to tell."""
    client = clients(scenario=scenario)
    job_id = submit(client)
    stream = follow(client, child.format(job_id))
    advance(client, 100)
    if scenario == "stuck":
        cancel(client, job_id)
    told = stream.rest()
    rests = [read(client, child.format(job_id), event.id) for event in told]
    assert rests == [told[number + 1 :] for number in range(len(told))]


def test_a_resumed_stream_replays_and_then_follows(frozen: httpx.Client, follow: Follow) -> None:
    """What was missed comes first, what is new when it happens."""
    job_id = submit(frozen)
    first = follow(frozen, job_id)
    advance(frozen, 5)
    resumed = follow(frozen, job_id, first=3, last_event_id="1")
    advance(frozen, 100)
    assert resumed.here() == first.here()[2:]


def test_resuming_after_the_present_step_tells_nothing_until_the_next(frozen: httpx.Client, follow: Follow) -> None:
    """Nothing was missed, so there is no snapshot."""
    job_id = submit(frozen)
    stream = follow(frozen, job_id, first=0, last_event_id="0")
    follow(frozen, job_id)  # once it has told its first event, the one before would have
    assert stream.here() == []
    advance(frozen, 1)
    assert [event.id for event in stream.wait().here()] == ["1"]


@pytest.mark.parametrize("last", [b"", b"first", b"-1", b"1.5", b"99", b"9" * 400, b"0x1", b"\xb2", b"1 2"])
def test_a_last_event_id_that_was_never_sent_is_a_first_connection(frozen: httpx.Client, last: bytes) -> None:
    """The reader gets how the job stands."""
    events = read(frozen, ended(frozen, "happy"), last)
    assert [event.data["status"] for event in events] == ["done"]


# Keep-alives.


@pytest.mark.parametrize(("seconds", "expected"), [(14.999, 0), (15, 1), (29.999, 1), (60, 4), (300, 20)])
def test_a_silent_stream_is_kept_alive_every_15_seconds(
    clients: Callable[..., httpx.Client], follow: Follow, seconds: float, expected: int
) -> None:
    """Comments come by the sandbox's clock, and are no events."""
    client = clients(scenario="long-queue")
    stream = follow(client, submit(client))
    advance(client, seconds)
    assert len(stream.here()) == 1
    assert stream.comments == expected


def test_a_keep_alive_waits_15_seconds_from_the_last_event(
    clients: Callable[..., httpx.Client], follow: Follow
) -> None:
    """An event 10 s after the last comment puts the next one off."""
    client = clients(scenario="long-queue")
    job_id = submit(client)
    stream = follow(client, job_id)
    advance(client, 25)
    client.patch(f"/__mock/jobs/{job_id}", json={"progress": 0.1}).raise_for_status()
    advance(client, 14)
    before = (len(stream.here()), stream.comments)
    advance(client, 1)
    assert (before, (len(stream.here()), stream.comments)) == ((2, 1), (2, 2))


# Many readers, and what wakes them.


@pytest.mark.parametrize("step", ["queued", "rendering"])
def test_a_cancel_is_told_by_every_open_stream_before_its_answer(
    frozen: httpx.Client, follow: Follow, step: str
) -> None:
    """Two readers of the job and one of its child have the terminal event when the cancelling call returns."""
    job_id = submit(frozen)
    streams = [follow(frozen, subject) for subject in (job_id, job_id, f"scene_{job_id}_001")]
    advance(frozen, {"queued": 0.5, "rendering": 5}[step])
    cancel(frozen, job_id)
    assert [stream.here()[-1].data["status"] for stream in streams] == ["cancelled"] * 3
    assert all(stream.is_over for stream in streams)


def test_an_advance_is_told_by_fifty_streams_before_its_answer(frozen: httpx.Client, follow: Follow) -> None:
    """When the call returns every event and the end lie in every reader's socket."""
    job_id = submit(frozen)
    streams = [follow(frozen, job_id) for _ in range(50)]
    advance(frozen, 100)
    told = [stream.here() for stream in streams]
    assert told[0][-1].data["status"] == "done"
    assert told == [told[0]] * 50


def test_an_order_of_the_control_api_is_told_before_its_answer(frozen: httpx.Client, follow: Follow) -> None:
    """A job that a test fails is failed for its readers."""
    job_id = submit(frozen)
    stream = follow(frozen, job_id)
    order = {"status": "failed", "error": "UPLOAD_FAILED: told so"}
    frozen.patch(f"/__mock/jobs/{job_id}", json=order).raise_for_status()
    assert stream.here()[-1].data["error"] == order["error"]
    assert stream.is_over


def test_on_an_auto_clock_a_stream_runs_to_its_end_by_itself(client: httpx.Client) -> None:
    """Reading is all it takes: httpx-sse sees the whole job, and the clock is where the job ended."""
    job_id = submit(client)
    with httpx_sse.connect_sse(client, "GET", f"/v1/jobs/{job_id}/progress") as source:
        events = list(source.iter_sse())
    assert json.loads(events[-1].data)["status"] == "done"
    assert client.get("/__mock/clock").json()["now"] == json.loads(events[-1].data)["timestamp"]


def test_on_an_auto_clock_streams_of_several_jobs_each_tell_every_step(client: httpx.Client, follow: Follow) -> None:
    """One reader's jumps skip no step of another."""
    jobs = [submit(client, movie(movie={"scenes": [{"id": "a", "duration": n}]})) for n in (1, 5, 2.3)]
    streams = [follow(client, job_id, last_event_id="0") for job_id in jobs]
    counts = [[event.number for event in stream.rest()] for stream in streams]
    assert counts == [[*range(1, len(planned(client, job_id)))] for job_id in jobs]


def test_a_scaled_clock_brings_a_stream_to_its_end(frozen: httpx.Client) -> None:
    """At ten thousand to one, eighteen pretended seconds pass by themselves, step by step."""
    job_id = submit(frozen)
    frozen.patch("/__mock/clock", json={"mode": "scaled", "rate": 10_000}).raise_for_status()
    events = read(frozen, job_id, "0")
    assert events[-1].data["status"] == "done"
    assert [event.number for event in events] == [*range(1, len(planned(frozen, job_id)))]


@pytest.mark.parametrize("clock", [{"mode": "auto"}, {"mode": "scaled", "rate": 10_000}])
def test_a_stream_that_waits_goes_on_when_the_clock_begins_to_move(
    frozen: httpx.Client, follow: Follow, clock: dict[str, Any]
) -> None:
    """It was opened on a frozen clock, and the mode changed while it waited."""
    stream = follow(frozen, submit(frozen))
    frozen.patch("/__mock/clock", json=clock).raise_for_status()
    assert stream.rest()[-1].data["status"] == "done"


# Rewriting at the instant of a step, where an auto clock always stands.


def test_law_a_job_cancelled_at_any_step_never_loses_progress(clients: Callable[..., httpx.Client]) -> None:
    """Its progress stays what was last told, and `cancelled` is one event more."""
    client = clients(scenario="happy", plan="enterprise")
    lost = []
    for number in range(12):
        job_id = submit(client)
        for _ in range(number):
            advance(client, {"to": "next"})
        cancel(client, job_id)
        progress = [step["progress"] for step in planned(client, job_id)]
        lost += [number] if progress[-1] != progress[-2] or len(progress) != number + 2 else []
    assert lost == []


@pytest.mark.parametrize("progress", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("status", ["cancelled", "done", "failed"])
def test_a_child_ended_at_the_instant_of_its_report_tells_of_its_end(
    frozen: httpx.Client, follow: Follow, progress: float, status: str
) -> None:
    """The report was told, so the end is an event of its own after it, and the stream closes."""
    job_id = submit(frozen)
    stream = follow(frozen, f"scene_{job_id}_001")
    while stream.here()[-1].data["progress"] < progress:
        advance(frozen, {"to": "next"})
    before = list(stream.events)
    frozen.patch(f"/__mock/jobs/{job_id}", json={"status": status}).raise_for_status()
    (end,) = stream.here()[len(before) :]
    assert (end.number, end.data["status"]) == (len(before), status)
    assert stream.is_over


# Ends that are nobody's event.


def test_a_reset_ends_the_streams_of_that_key_alone(clients: Callable[..., httpx.Client], follow: Follow) -> None:
    """They close without a terminal event: the job is not over, it never was."""
    client, other = clients(), clients()
    stream, spared = follow(client, submit(client)), follow(other, submit(other))
    client.post("/__mock/reset").raise_for_status()
    assert [event.data["status"] for event in stream.rest()] == ["queued"]
    spared.here()
    assert not spared.is_over


def test_stopping_the_server_ends_its_streams(follow: Follow) -> None:
    """The response ends as it should, and the stop does not wait for the reader."""
    server = BackgroundServer(create_app(Settings(clock=Mode.FROZEN))).start()
    key = "vs_prod_" + "5" * 32
    with httpx.Client(base_url=server.base_url, headers={"x-api-key": key}) as client:
        stream = follow(client, submit(client))
        server.stop()
    assert [event.data["status"] for event in stream.rest()] == ["queued"]


def traces(sandbox: Sandbox) -> tuple[int, int]:
    """Return how many alarms and watchers there are in a sandbox."""
    jobs = sandbox.store.newest_first(sandbox.clock.now(), None, None)
    return len(sandbox.clock.alarms), sum(len(job.watchers or ()) for job in jobs)


def loop_of(sandbox: Sandbox) -> asyncio.AbstractEventLoop:
    """Return the server's loop, from a stream that waits on it."""
    return next(alarm.waiting.get_loop() for alarm in sandbox.clock.alarms if alarm.waiting)


def tasks_on(loop: asyncio.AbstractEventLoop) -> int:
    """Return how many tasks there are on the server's loop."""

    async def number() -> int:
        return len(asyncio.all_tasks())

    return asyncio.run_coroutine_threadsafe(number(), loop).result(SECONDS)


@pytest.mark.parametrize("readers", [1, 20])
def test_readers_that_vanish_leave_no_alarm_no_watcher_and_no_task(
    frozen: httpx.Client, follow: Follow, live_server: LiveServer, readers: int
) -> None:
    """Everything that was made for them is gone; the reader that stays still has its own."""
    job_id, sandbox = submit(frozen), sandbox_of(live_server, frozen)
    follow(frozen, job_id)
    loop = loop_of(sandbox)
    tasks = tasks_on(loop)
    gone = [follow(frozen, job_id) for _ in range(readers)]
    during = traces(sandbox)
    for stream in gone:
        stream.close()
    assert during == (readers + 1, readers + 1)
    assert eventually(frozen, lambda: traces(sandbox) == (1, 1))
    assert eventually(frozen, lambda: tasks_on(loop) == tasks)


@pytest.mark.parametrize("scenario", ENDS)
def test_a_stream_that_ended_leaves_nothing(
    clients: Callable[..., httpx.Client], follow: Follow, live_server: LiveServer, scenario: str
) -> None:
    """Neither an alarm nor a watcher stays behind once the reader has the end."""
    client = clients(scenario=scenario)
    job_id = submit(client)
    stream = follow(client, job_id)
    advance(client, 100)
    if scenario == "stuck":
        cancel(client, job_id)
    stream.rest()
    assert traces(sandbox_of(live_server, client)) == (0, 0)


# A reader that does not read.


@dataclass
class Stalled:
    """A long job, and a stream of it whose reader stopped while the server had more to send."""

    client: httpx.Client
    job_id: str
    stream: Stream
    sandbox: Sandbox


@pytest.fixture
def stalled(turned_server: Callable[..., LiveServer], follow: Follow) -> Iterator[Stalled]:
    """Fill every buffer between the server and the reader."""
    server = turned_server(payload="job", keep_alive_seconds=None)
    with server.client(clock="frozen", plan="enterprise") as client:
        job_id = submit(client, BIG)
        stream = follow(client, job_id)
        advance(client, 200)
        yield Stalled(client, job_id, stream, sandbox_of(server, client))


def test_a_reader_that_does_not_read_holds_up_neither_time_nor_others(stalled: Stalled, follow: Follow) -> None:
    """The clock goes on, a stream of another job tells all of it, and the reader's waits for no instant."""
    attentive = follow(stalled.client, submit(stalled.client))
    advance(stalled.client, 100)
    assert attentive.here()[-1].data["status"] == "done"
    assert stalled.client.get("/__mock/clock").json()["now"] == "2026-01-01T00:05:00.000Z"
    assert stalled.sandbox.clock.next_due() is None


def test_a_reader_that_reads_again_gets_the_rest(stalled: Stalled) -> None:
    """Nothing is lost and nothing told twice, although the job was cancelled meanwhile."""
    cancel(stalled.client, stalled.job_id)
    events = stalled.stream.rest()
    assert [event.number for event in events] == [*range(len(planned(stalled.client, stalled.job_id)))]
    assert events[-1].data["status"] == "cancelled"


def test_a_reader_that_leaves_without_reading_leaves_nothing(stalled: Stalled) -> None:
    """The server notices although it waits for the socket to drain."""
    before = traces(stalled.sandbox)
    stalled.stream.close()
    assert before == (1, 1)
    assert eventually(stalled.client, lambda: traces(stalled.sandbox) == (0, 0))


# The switches.


def test_events_have_names_where_the_profile_says_so(turned: Callable[..., httpx.Client]) -> None:
    """They go by what the webhooks tell apart."""
    client = turned(event_names="by_kind")
    names = [event.name for event in read(client, submit(client))]
    assert names == ["progress"] * (len(names) - 1) + ["done"]


def test_events_have_no_names_as_the_kit_is_shipped(client: httpx.Client) -> None:
    """So a browser hands them to `onmessage`."""
    assert {event.name for event in read(client, submit(client))} == {None}


def test_events_hold_the_whole_job_where_the_profile_says_so(
    turned: Callable[..., httpx.Client], follow: Follow
) -> None:
    """Each is what GET says at that instant."""
    client = turned(clock="frozen", payload="job")
    job_id = submit(client)
    stream, polled = follow(client, job_id), [client.get(f"/v1/jobs/{job_id}").json()]
    while polled[-1]["status"] != "done":
        advance(client, {"to": "next"})
        polled.append(client.get(f"/v1/jobs/{job_id}").json())
    assert [event.data for event in stream.rest()] == polled


def test_a_replay_of_whole_jobs_tells_each_as_it_was(turned: Callable[..., httpx.Client], follow: Follow) -> None:
    """Also the step at whose very instant the job was cancelled."""
    client = turned(clock="frozen", payload="job")
    job_id = submit(client)
    stream = follow(client, job_id)
    advance(client, {"to": "next"})
    advance(client, {"to": "next"})
    cancel(client, job_id)
    assert read(client, job_id, "0") == stream.rest()[1:]


def test_a_resumed_stream_begins_anew_where_the_profile_says_so(
    turned: Callable[..., httpx.Client], follow: Follow
) -> None:
    """With `sse.resume: snapshot` the `Last-Event-ID` is not looked at."""
    client = turned(clock="frozen", resume="snapshot")
    job_id = submit(client)
    advance(client, 5)
    assert follow(client, job_id, last_event_id="1").here() == follow(client, job_id).here()


@pytest.mark.parametrize(("seconds", "expected"), [(None, 0), (5, 12), (0.5, 120), (3600, 0)])
def test_keep_alives_come_as_often_as_the_profile_says(
    turned: Callable[..., httpx.Client], follow: Follow, seconds: float | None, expected: int
) -> None:
    """Null means never."""
    client = turned(clock="frozen", keep_alive_seconds=seconds)
    job_id = submit(client, movie(movie={"scenes": [{"id": "long", "duration": 600}]}))
    advance(client, 2)
    stream = follow(client, job_id)
    advance(client, 60)
    stream.here()
    assert stream.comments == expected


def test_a_profile_with_hardly_any_pause_between_keep_alives_does_not_stop_time(
    turned: Callable[..., httpx.Client], follow: Follow
) -> None:
    """A tenth of a microsecond, less than the clock can count, does not make an endless stream of comments."""
    client = turned(clock="frozen", keep_alive_seconds=1e-7)
    stream = follow(client, submit(client))
    advance(client, 0.01)
    stream.here()
    assert stream.comments == 10
