"""Faults of progress streams, as readers on a real socket meet them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import h11
import httpx
import httpx_sse
import pytest
import yaml
from tests.conftest import LiveServer
from tests.viralsync_mock.api.test_progress_stream import (
    Event,
    Stream,
    advance,
    eventually,
    parse,
    planned,
    sandbox_of,
    submit,
    traces,
)

from viralsync_mock.app import create_app
from viralsync_mock.clock import Mode
from viralsync_mock.journal.entry import Filter, JournalEntry
from viralsync_mock.server import BackgroundServer
from viralsync_mock.settings import Settings

SECONDS = 10
"""How long a test waits for the other side before it fails."""

KINDS = [
    "drop_after_events=1",
    "cut_inside_event",
    "silence",
    "no_keep_alive",
    "duplicate_events",
    "reorder_events",
    "never_end",
    "end_without_terminal",
    "progress_goes_back",
]


class Heard(NamedTuple):
    """What came of a stream before it ended, and the error of the client where it did not end as HTTP has it."""

    data: bytes
    error: type[httpx.HTTPError] | None = None

    @property
    def is_lost(self) -> bool:
        """Whether the connection was lost."""
        return self.error is httpx.RemoteProtocolError

    @property
    def events(self) -> list[Event]:
        """The events that came whole."""
        whole, end, _ = self.data.rpartition(b"\n\n")
        return parse((whole + end).decode())[0]

    @property
    def ids(self) -> list[int]:
        """Their numbers."""
        return [event.number for event in self.events]

    @property
    def statuses(self) -> list[str]:
        """What they say of the job."""
        return [event.data["status"] for event in self.events]


def hear(
    client: httpx.Client, job_id: str, fault: str = "", last: int | None = None, timeout: float = SECONDS
) -> Heard:
    """Read a stream to its end, or until the client gives up."""
    headers = {"x-mock-fault": fault} if fault else {}
    headers |= {} if last is None else {"last-event-id": str(last)}
    data = bytearray()
    with client.stream("GET", f"/v1/jobs/{job_id}/progress", headers=headers, timeout=timeout) as answer:
        try:
            for piece in answer.iter_raw():
                data += piece
        except httpx.HTTPError as error:
            return Heard(bytes(data), type(error))
    return Heard(bytes(data))


Follow = Callable[..., Stream]


@pytest.fixture
def follow() -> Iterator[Follow]:
    """Yield a function that opens a faulty stream and waits for this many events; all are closed after the test."""
    with ExitStack() as streams:

        def open_stream(client: httpx.Client, job_id: str, fault: str, first: int = 1) -> Stream:
            return streams.enter_context(Stream(client, job_id, {"x-mock-fault": fault})).wait(first)

        yield open_stream


def total(client: httpx.Client, job_id: str) -> int:
    """Return how many events a job has to tell."""
    return len(planned(client, job_id))


def stream_entry(server: LiveServer, client: httpx.Client) -> JournalEntry:
    """Return the last call of a stream in the journal."""
    sought = Filter(operation="streamJobProgress")
    return sandbox_of(server, client).journal.newest_first(sought, 1)[0]


# Streams that are lost.


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_dropped_stream_is_lost_after_so_many_events(client: httpx.Client, number: int) -> None:
    """The events before are whole, and HTTP's end is missing."""
    heard = hear(client, submit(client), f"drop_after_events={number}")
    assert (heard.ids, heard.is_lost) == ([*range(number)], True)


def test_a_stream_with_fewer_events_is_not_dropped(client: httpx.Client) -> None:
    """It ends as ever."""
    heard = hear(client, submit(client), "drop_after_events=1000")
    assert (heard.statuses[-1], heard.is_lost) == ("done", False)


@pytest.mark.parametrize("fault", ["drop_after_events", "cut_inside_event"])
def test_law_resuming_a_lost_stream_tells_exactly_the_rest(client: httpx.Client, fault: str) -> None:
    """Wherever it was lost, nothing is missing and nothing comes twice."""
    for number in range(1, 8):
        job_id = submit(client)
        first = hear(client, job_id, f"{fault}={number}")
        rest = hear(client, job_id, last=first.ids[-1] if first.ids else None)
        assert first.ids + rest.ids == [*range(total(client, job_id))]


def test_httpx_sse_hands_out_what_came_and_then_the_error(client: httpx.Client) -> None:
    """A client of one's own gets its library's error where the stream is lost."""
    url, headers = f"/v1/jobs/{submit(client)}/progress", {"x-mock-fault": "drop_after_events=2"}
    with httpx_sse.connect_sse(client, "GET", url, headers=headers) as source:
        events = source.iter_sse()
        assert [next(events).id, next(events).id] == ["0", "1"]
        with pytest.raises(httpx.RemoteProtocolError):
            next(events)


def test_a_dropped_stream_holds_no_advance_up(frozen: httpx.Client, follow: Follow, live_server: LiveServer) -> None:
    """The clock goes on, the reader finds its connection lost, and nothing is left of it."""
    stream = follow(frozen, submit(frozen), "drop_after_events=2")
    advance(frozen, 100)
    with pytest.raises(h11.RemoteProtocolError):
        stream.rest()
    assert traces(sandbox_of(live_server, frozen)) == (0, 0)


@pytest.mark.parametrize("number", [1, 3])
def test_a_cut_stream_ends_inside_a_utf_8_character(client: httpx.Client, number: int) -> None:
    """What came does not decode; without its last byte it does, and the event is not whole."""
    heard = hear(client, submit(client), f"cut_inside_event={number}")
    with pytest.raises(UnicodeDecodeError, match="unexpected end of data"):
        heard.data.decode()
    left = heard.data[:-1].decode().rpartition("\n\n")[2]
    assert (heard.ids, heard.is_lost) == ([*range(number - 1)], True)
    assert left.startswith(f"id: {number - 1}\ndata: {{")


@pytest.mark.parametrize("fault", ["drop_after_events=2", "cut_inside_event=2", "silence=2"])
def test_keep_alives_are_not_counted_as_events(live_server: LiveServer, follow: Follow, fault: str) -> None:
    """However long the queue, the fault strikes at the event of its number."""
    with live_server.client(scenario="long-queue", clock="frozen") as client:
        stream = follow(client, submit(client), fault)
        advance(client, 150)
        assert (len(stream.here()), stream.comments, stream.is_over) == (1, 10, False)


# Streams that fall silent.


def test_a_silent_stream_stays_open_and_no_advance_waits_for_it(frozen: httpx.Client, follow: Follow) -> None:
    """Neither events nor keep-alives come, although the job ends and minutes pass."""
    job_id = submit(frozen)
    stream = follow(frozen, job_id, "silence=2", first=1)
    advance(frozen, 300)
    assert [event.number for event in stream.wait(2).here()] == [0, 1]
    assert (stream.comments, stream.is_over) == (0, False)
    assert frozen.get(f"/v1/jobs/{job_id}").json()["status"] == "done"


def test_a_stream_may_be_silent_from_the_start(frozen: httpx.Client, follow: Follow) -> None:
    """The head has come, and that is all."""
    stream = follow(frozen, submit(frozen), "silence=0", first=0)
    advance(frozen, 100)
    assert (stream.here(), stream.comments, stream.is_over) == ([], 0, False)


def test_a_silent_stream_on_an_auto_clock_runs_into_the_clients_own_time_out(client: httpx.Client) -> None:
    """The job goes on meanwhile; resuming tells what was missed."""
    job_id = submit(client)
    heard = hear(client, job_id, "silence=2", timeout=0.5)
    assert (heard.ids, heard.error) == ([0, 1], httpx.ReadTimeout)
    assert hear(client, job_id, last=1).ids == [*range(2, total(client, job_id))]


@pytest.mark.parametrize("fault", ["silence", "never_end"])
@pytest.mark.parametrize("seconds", [0, 100])
def test_a_reader_that_leaves_an_open_stream_leaves_nothing(
    frozen: httpx.Client, follow: Follow, live_server: LiveServer, fault: str, seconds: float
) -> None:
    """Whether the job is over or not, its alarm and its watcher are gone, and the journal knows who went."""
    stream, sandbox = follow(frozen, submit(frozen), fault), sandbox_of(live_server, frozen)
    advance(frozen, seconds)
    during = traces(sandbox)[0]
    stream.close()
    assert (during, eventually(frozen, lambda: traces(sandbox) == (0, 0))) == (1, True)
    assert eventually(frozen, lambda: stream_entry(live_server, frozen).ending == "client left")


@pytest.mark.parametrize("fault", ["silence", "never_end"])
@pytest.mark.parametrize("seconds", [0, 100])
def test_a_reset_of_the_sandbox_ends_an_open_stream(
    frozen: httpx.Client, follow: Follow, fault: str, seconds: float
) -> None:
    """It closes as HTTP has it."""
    stream = follow(frozen, submit(frozen), fault)
    advance(frozen, seconds)
    frozen.post("/__mock/reset").raise_for_status()
    stream.rest()
    assert stream.is_over


def test_stopping_the_server_ends_open_streams() -> None:
    """A silent reader does not hold the stop up."""
    server = BackgroundServer(create_app(Settings(clock=Mode.FROZEN))).start()
    with (
        httpx.Client(base_url=server.base_url, headers={"x-api-key": "vs_prod_" + "5" * 32}) as client,
        Stream(client, submit(client), {"x-mock-fault": "silence"}) as stream,
    ):
        stream.wait()
        server.stop()
        assert len(stream.rest()) == 1


def test_without_keep_alives_nothing_comes_while_nothing_happens(live_server: LiveServer, follow: Follow) -> None:
    """Every event still comes, and the end."""
    with live_server.client(scenario="long-queue", clock="frozen") as client:
        stream = follow(client, job_id := submit(client), "no_keep_alive")
        advance(client, 599)
        before = (len(stream.here()), stream.comments)
        advance(client, 100)
        assert (before, len(stream.rest()), stream.comments) == ((1, 0), total(client, job_id), 0)


# Events that are not as they should be.


@pytest.mark.parametrize("copies", [1, 3])
def test_duplicates_follow_each_event_at_once(client: httpx.Client, copies: int) -> None:
    """The terminal one too; each is the same to the byte, and the stream ends."""
    job_id = submit(client)
    heard = hear(client, job_id, f"duplicate_events={copies}")
    assert heard.ids == [n for n in range(total(client, job_id)) for _ in range(copies + 1)]
    assert (len(set(map(str, heard.events))), heard.is_lost) == (total(client, job_id), False)


def test_keep_alives_are_not_duplicated(live_server: LiveServer, follow: Follow) -> None:
    """They are no events."""
    with live_server.client(scenario="long-queue", clock="frozen") as client:
        stream = follow(client, submit(client), "duplicate_events", first=2)
        advance(client, 60)
        stream.here()
        assert stream.comments == 4


def test_reordered_events_change_places_two_by_two(client: httpx.Client) -> None:
    """None is lost: one that is left over at the end comes as it is."""
    job_id = submit(client)
    heard = hear(client, job_id, "reorder_events")
    last = total(client, job_id) - 1
    assert heard.ids == [min(n ^ 1, last) for n in range(last + 1)]
    assert not heard.is_lost


def test_reordered_events_come_as_the_clock_moves(frozen: httpx.Client, follow: Follow) -> None:
    """The first is held back until the second has gone."""
    stream = follow(frozen, submit(frozen), "reorder_events", first=0)
    advance(frozen, 0.5)
    before = list(stream.here())
    advance(frozen, {"to": "next"})
    assert (before, [event.number for event in stream.here()]) == ([], [1, 0])


@pytest.mark.parametrize("seconds", [0, 100])
def test_a_stream_that_never_ends_goes_on_with_keep_alives(
    frozen: httpx.Client, follow: Follow, seconds: float
) -> None:
    """It has told the end, and stays open by the sandbox's clock; also for one who comes when all is over."""
    job_id = submit(frozen)
    advance(frozen, seconds)
    stream = follow(frozen, job_id, "never_end")
    advance(frozen, 100)
    before = (stream.here()[-1].data["status"], stream.comments)
    advance(frozen, 60)
    stream.here()
    assert before[0] == "done"
    assert (stream.comments - before[1], stream.is_over) == (4, False)


def test_a_stream_that_never_ends_does_not_stop_time_where_keep_alives_hardly_pause(
    start_mock: Callable[[Settings], LiveServer], follow: Follow, tmp_path: Path
) -> None:
    """Less than the clock can count does not make an endless stream of comments."""
    profile = tmp_path / "behaviour.yaml"
    profile.write_text(yaml.safe_dump({"sse": {"keep_alive_seconds": 1e-7}}), "utf-8")
    server = start_mock(Settings(behaviour=profile, clock=Mode.FROZEN, scenario="instant"))
    with server.client(clock="frozen") as client:
        stream = follow(client, submit(client), "never_end")
        advance(client, 0.01)
        stream.here()
        assert stream.comments == 10


def test_a_stream_without_its_terminal_event_ends_as_if_all_were_well(client: httpx.Client) -> None:
    """Who waits for `done` has to ask."""
    job_id = submit(client)
    heard = hear(client, job_id, "end_without_terminal")
    assert (heard.ids, heard.is_lost) == ([*range(total(client, job_id) - 1)], False)
    assert client.get(f"/v1/jobs/{job_id}").json()["status"] == "done"
    assert hear(client, job_id, "end_without_terminal") == (b"", None)


def test_progress_goes_back_on_every_second_event_but_the_last(client: httpx.Client) -> None:
    """Half of what was made is told; the terminal event tells the truth."""
    job_id = submit(client)
    told = [event.data["progress"] for event in hear(client, job_id, "progress_goes_back").events]
    true = [step["progress"] for step in planned(client, job_id)]
    assert told == [each / (1 + n % 2) for n, each in enumerate(true[:-1])] + [1.0]
    assert told != sorted(told)


def test_progress_never_goes_back_at_the_end(client: httpx.Client) -> None:
    """Also when the terminal event is the second that is told."""
    job_id = submit(client)
    last = hear(client, job_id).ids[-1]
    assert [event.data["progress"] for event in hear(client, job_id, "progress_goes_back", last - 2).events] == [
        planned(client, job_id)[-2]["progress"],
        1.0,
    ]


# What all of them share.


@pytest.mark.parametrize("fault", KINDS)
def test_every_kind_lets_time_pass_and_leaves_nothing(
    frozen: httpx.Client, follow: Follow, live_server: LiveServer, fault: str
) -> None:
    """Whatever a reader meets: `advance` returns, and once the reader is gone so is all that was made for it."""
    stream, sandbox = follow(frozen, submit(frozen), fault, first=0), sandbox_of(live_server, frozen)
    advance(frozen, 100)
    stream.close()
    assert eventually(frozen, lambda: traces(sandbox) == (0, 0))


@pytest.mark.parametrize("fault", KINDS)
def test_a_refused_stream_is_refused_as_ever(client: httpx.Client, fault: str) -> None:
    """There is no stream to strike."""
    answer = client.get("/v1/jobs/job_000000000000/progress", headers={"x-mock-fault": fault})
    assert (answer.status_code, answer.json()["code"]) == (404, "JOB_NOT_FOUND")


@pytest.mark.parametrize("fault", KINDS)
def test_a_head_of_a_stream_is_as_ever(client: httpx.Client, fault: str) -> None:
    """It opens none."""
    answer = client.head(f"/v1/jobs/{submit(client)}/progress", headers={"x-mock-fault": fault})
    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, "text/event-stream", b"")


def test_several_faults_of_one_stream_go_together(client: httpx.Client) -> None:
    """Those that lose it come last: the duplicates count."""
    heard = hear(client, submit(client), "duplicate_events, drop_after_events=3")
    assert (heard.ids, heard.is_lost) == ([0, 0, 1], True)


@pytest.mark.parametrize(
    ("fault", "ending", "number"),
    [("drop_after_events=2", "drop_after_events", 2), ("cut_inside_event=3", "cut_inside_event", 3)],
)
def test_the_journal_says_what_a_stream_was_lost_by(
    live_server: LiveServer, client: httpx.Client, fault: str, ending: str, number: int
) -> None:
    """With how many events went out, a broken one among them."""
    hear(client, submit(client), fault)
    entry = stream_entry(live_server, client)
    assert (entry.ending, entry.events, entry.status) == (ending, number, 200)
