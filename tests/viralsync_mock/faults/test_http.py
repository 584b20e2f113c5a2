"""Faults of calls and of bodies, as clients on a real socket meet them."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import MOVIE, LiveServer

from viralsync_mock.clock import Mode, RealTime
from viralsync_mock.faults.http import FaultContext, MalformedJson, TruncatedBody
from viralsync_mock.journal.entry import PENDING, Filter, JournalEntry
from viralsync_mock.response import Response, json_response
from viralsync_mock.settings import Settings

SECONDS = 10
"""How long a test waits for the other side before it fails."""

LOST = ["timeout", "reset_peer", "empty_response"]
"""The faults that lose an answer."""


def faulty(text: str) -> dict[str, str]:
    """Return the header that asks for faults."""
    return {"x-mock-fault": text}


def submit(client: httpx.Client, fault: str, *, patience: float = SECONDS) -> httpx.Response:
    return client.post(
        "/v1/render/jobs", json=MOVIE, headers=faulty(fault), timeout=httpx.Timeout(SECONDS, read=patience)
    )


def jobs(client: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/v1/jobs").json()["jobs"]
    return found


def entries(server: LiveServer, client: httpx.Client) -> list[JournalEntry]:
    """Return the calls of a client's sandbox, the newest first."""
    return server.app.mock.sandbox(client.headers["x-api-key"]).journal.newest_first(Filter(), 100)


@contextmanager
def asked(client: httpx.Client, fault: str, path: str = "/v1/me", method: str = "GET") -> Iterator[socket.socket]:
    """Send a request on a bare socket, and yield the socket."""
    lines = [
        f"{method} {path} HTTP/1.1",
        "host: localhost",
        f"x-api-key: {client.headers['x-api-key']}",
        f"x-mock-fault: {fault}",
    ]
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=SECONDS) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        yield connection


def received(connection: socket.socket) -> bytes:
    """Read until the server closes."""
    got = bytearray()
    while piece := connection.recv(1 << 16):
        got += piece
    return bytes(got)


# Answers that get lost.


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_reset_peer_is_a_tcp_reset(client: httpx.Client, when: str, method: str) -> None:
    """The kernel tells the client of an RST, not of an end; no byte came before it."""
    with asked(client, f"reset_peer={when}", method=method) as connection, pytest.raises(ConnectionResetError):
        received(connection)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_empty_response_closes_without_a_byte(client: httpx.Client, when: str, method: str) -> None:
    """The client sees an orderly end in the place of a status line."""
    with asked(client, f"empty_response={when}", method=method) as connection:
        assert received(connection) == b""


@pytest.mark.parametrize(("fault", "error"), [("reset_peer", httpx.ReadError), ("empty_response", httpx.ProtocolError)])
def test_httpx_reports_a_lost_answer(client: httpx.Client, fault: str, error: type[Exception]) -> None:
    """A client of one's own gets its library's error, and the next call on a new connection goes well."""
    with pytest.raises(error):
        client.get("/v1/me", headers=faulty(fault))
    assert client.get("/v1/me").status_code == 200


@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
def test_a_lost_answer_leaves_the_call_undone_or_done(client: httpx.Client, fault: str, when: str, made: int) -> None:
    """`before` makes no job; `after` makes it, and only the client does not know."""
    with pytest.raises(httpx.TransportError):
        submit(client, f"{fault}={when}", patience=0.1)
    assert len(jobs(client)) == made


@pytest.mark.parametrize("fault", LOST)
def test_an_answer_gets_lost_once_the_call_is_done_unless_told_otherwise(client: httpx.Client, fault: str) -> None:
    """The harder case for a client is what the bare name means."""
    with pytest.raises(httpx.TransportError):
        submit(client, fault, patience=0.1)
    assert len(jobs(client)) == 1


def test_a_timeout_never_answers_and_others_are_served_meanwhile(client: httpx.Client) -> None:
    """The client's own time-out ends it; the connection stays open until then."""
    with asked(client, "timeout") as connection:
        assert client.get("/v1/me").status_code == 200
        connection.settimeout(0.1)
        with pytest.raises(TimeoutError):
            connection.recv(1)


def test_a_timeout_is_in_the_journal_as_pending_until_the_client_goes(
    live_server: LiveServer, client: httpx.Client
) -> None:
    """Then the fault is named as what ended it."""
    with asked(client, "timeout"):
        while not (seen := [each for each in entries(live_server, client) if each.matched_faults]):
            client.get("/v1/me")
        (entry,) = seen
        while_open = entry.ending
    turns = 0
    while entry.ending == PENDING and turns < 500:
        turns += client.get("/nowhere").status_code == 404
    assert (while_open, entry.ending, entry.status) == (PENDING, "timeout", None)


def test_a_reset_of_the_sandbox_ends_a_timeout(live_server: LiveServer, client: httpx.Client) -> None:
    """The connection is closed without a byte: whoever waited belongs to a world that is gone."""
    with asked(client, "timeout") as connection:
        while not any(each.matched_faults for each in entries(live_server, client)):
            client.get("/v1/me")
        client.post("/__mock/reset").raise_for_status()
        assert received(connection) == b""


# Answers that come late, or say that the server failed.


@dataclass
class Sleeps:
    """Real time that does not pass, and what was to be slept."""

    seconds: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        """Write it down."""
        self.seconds.append(seconds)


@pytest.fixture
def sleeps() -> Sleeps:
    """Give a record of what the server sleeps."""
    return Sleeps()


@pytest.fixture
def rested(start_mock: Callable[[Settings], LiveServer], sleeps: Sleeps) -> Iterator[httpx.Client]:
    """Yield a client of a mock whose sleeps are only written down."""
    server = start_mock(Settings(clock=Mode.AUTO, check_answers=True, real=RealTime(sleep=sleeps.sleep)))
    with server.client() as client:
        yield client
    assert server.bugs == []


def test_latency_sleeps_before_an_answer_that_is_as_ever(rested: httpx.Client, sleeps: Sleeps) -> None:
    """The wait is real time, whatever the sandbox's clock does."""
    late = rested.get("/v1/me", headers=faulty("latency=1500ms"))
    assert sleeps.seconds == [1.5]
    assert late.json() == rested.get("/v1/me").json()


def test_latency_with_jitter_differs_and_can_be_brought_about_again(rested: httpx.Client, sleeps: Sleeps) -> None:
    """Each call waits its own draw, and `x-mock-fault` says which."""
    wide = json.dumps({"latency": {"mean": "2s", "jitter": "1s"}})
    told = [rested.get("/v1/me", headers=faulty(wide)).headers["x-mock-fault"] for _ in range(20)]
    assert len(set(sleeps.seconds)) > 10
    assert all(1 <= each <= 3 for each in sleeps.seconds)
    assert told == [f"latency={round(each, 3)}" for each in sleeps.seconds]


@pytest.mark.parametrize(("status", "code"), [(500, "INTERNAL_ERROR"), (503, "SERVICE_UNAVAILABLE")])
def test_a_status_comes_in_the_apis_shape_and_nothing_is_done(client: httpx.Client, status: int, code: str) -> None:
    """The body has `error` and `code`; no job was made."""
    answer = submit(client, f"status={status}")
    assert (answer.status_code, answer.json()["code"], set(answer.json())) == (status, code, {"error", "code"})
    assert jobs(client) == []


# Bodies.


def test_a_truncated_body_announces_more_than_it_sends(client: httpx.Client) -> None:
    """The length is that of the whole, the connection closes after half, and what came is how it begins."""
    whole = client.get("/v1/me")
    with asked(client, "truncated_body") as connection:
        head, _, body = received(connection).partition(b"\r\n\r\n")
    assert b"content-length: %d\r\n" % len(whole.content) in head + b"\r\n"
    assert body == whole.content[: len(whole.content) // 2]


def test_http_client_reports_a_truncated_body(client: httpx.Client) -> None:
    """The standard library says how many bytes are missing."""
    with asked(client, "truncated_body=25%") as connection:
        response = http.client.HTTPResponse(connection)
        response.begin()
        with pytest.raises(http.client.IncompleteRead) as caught:
            response.read()
    length = int(response.headers["content-length"])
    assert (len(caught.value.partial), caught.value.expected) == (length // 4, length - length // 4)


@pytest.mark.parametrize(("share", "missing"), [("0", None), ("100%", 1)])
def test_a_truncated_body_is_never_whole(client: httpx.Client, share: str, missing: int | None) -> None:
    """None of it is a head alone; all of it still lacks a byte."""
    size = len(client.get("/v1/me").content)
    with asked(client, f"truncated_body={share}") as connection:
        body = received(connection).partition(b"\r\n\r\n")[2]
    assert len(body) == (0 if missing is None else size - missing)


def test_malformed_json_has_the_right_length_and_is_no_json(client: httpx.Client) -> None:
    """Nothing is wrong with the transfer: only a parser notices."""
    answer = client.get("/v1/me", headers=faulty("malformed_json"))
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(answer.content) > 0
    with pytest.raises(json.JSONDecodeError):
        answer.json()


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(JSON_VALUES)
async def test_law_malformed_json_is_never_json(document: object) -> None:
    """Whatever a rule responds, half a number too."""

    async def proceed() -> Response:
        return json_response(document)

    answer = await MalformedJson().apply(NO_WORLD, proceed)
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.body.decode(errors="replace"))


@pytest.mark.parametrize("fault", [MalformedJson(), TruncatedBody()])
async def test_an_answer_without_a_body_has_none_to_break(fault: MalformedJson | TruncatedBody) -> None:
    """A 204 stays what it is."""

    async def proceed() -> Response:
        return Response(204, content_type=None)

    answer = await fault.apply(NO_WORLD, proceed)
    assert (answer.body, answer.abort) == (b"", None)


class _NoWorld:
    """These faults ask nothing of the world."""


NO_WORLD: FaultContext = _NoWorld()  # type: ignore[assignment]  # nothing of it is used


def test_a_slow_body_comes_in_pieces_and_is_whole(client: httpx.Client) -> None:
    """A client that reads on gets every byte."""
    whole = client.get("/v1/me").content
    with client.stream("GET", "/v1/me", headers=faulty("slow_body=200ms")) as answer:
        pieces = list(answer.iter_raw())
    assert b"".join(pieces) == whole
    assert len(pieces) > 1


def test_a_slow_body_is_spread_over_its_time(rested: httpx.Client, sleeps: Sleeps) -> None:
    """The waits between its pieces are even and add up."""
    rested.get("/v1/me", headers=faulty("slow_body=20ms"))
    assert len(sleeps.seconds) > 10
    assert sum(sleeps.seconds) == pytest.approx(0.02)


@pytest.mark.parametrize(("asked_for", "got"), [("", "text/html"), ("=text/plain; charset=utf-8", "text/plain")])
def test_a_wrong_content_type_stands_over_the_body_as_ever(client: httpx.Client, asked_for: str, got: str) -> None:
    """A client that trusts its eyes and not the header still reads it."""
    if ";" in asked_for:
        asked_for = json.dumps({"wrong_content_type": asked_for[1:]})
    answer = client.get("/v1/me", headers=faulty(asked_for if "{" in asked_for else "wrong_content_type"))
    assert answer.headers["content-type"].partition(";")[0] == got
    assert answer.json() == client.get("/v1/me").json()


def test_a_stream_under_a_wrong_content_type_is_no_event_stream(client: httpx.Client) -> None:
    """A browser's EventSource would refuse it; the events are there all the same."""
    job_id = submit(client, "latency=0").json()["jobId"]
    answer = client.get(f"/v1/jobs/{job_id}/progress", headers=faulty("wrong_content_type"))
    assert answer.headers["content-type"] == "text/html"
    assert "data: " in answer.text


# What is struck, and what is not.


@pytest.mark.parametrize("fault", ["malformed_json", "wrong_content_type", "slow_body=1ms"])
def test_a_refusal_is_struck_as_any_other_answer(client: httpx.Client, fault: str) -> None:
    """A 404 can be broken too, and stays a 404."""
    as_ever = client.get("/v1/jobs/job_000000000000")
    answer = client.get("/v1/jobs/job_000000000000", headers=faulty(fault))
    seen = (answer.content, answer.headers["content-type"])
    assert answer.status_code == 404
    assert (seen == (as_ever.content, "application/json")) == fault.startswith("slow_body")


def test_the_answer_to_an_invalid_body_can_be_lost(client: httpx.Client) -> None:
    """Faults lie around the checks of the body."""
    with pytest.raises(httpx.ReadError):
        client.post("/v1/render/jobs", json={}, headers=faulty("reset_peer"))


@pytest.mark.parametrize("fault", [*LOST, "status=503", "malformed_json"])
def test_a_refused_key_is_never_struck(client: httpx.Client, fault: str) -> None:
    """401 comes before any fault: nobody can break the mock for others without a key."""
    answer = client.get("/v1/me", headers={**faulty(fault), "x-api-key": "vs_prod_wrong"})
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")
    assert "x-mock-fault" not in answer.headers


@pytest.mark.parametrize("fault", [*LOST, "status=503", "malformed_json"])
def test_a_call_beyond_the_rate_limit_is_never_struck(live_server: LiveServer, fault: str) -> None:
    """429 comes before any fault."""
    with live_server.client(scenario="rate-limited", clock="frozen") as client:
        for _ in range(3):
            client.get("/v1/me").raise_for_status()
        answer = client.get("/v1/me", headers=faulty(fault))
    assert (answer.status_code, answer.json()["code"]) == (429, "RATE_LIMITED")


@pytest.mark.parametrize("fault", ["malformed_json", "truncated_body", "slow_body=1s", "wrong_content_type"])
def test_head_has_no_body_to_break(client: httpx.Client, fault: str) -> None:
    """It gets a head at once, and the connection serves the next call."""
    answer = client.head("/v1/me", headers=faulty(fault))
    assert (answer.status_code, answer.content) == (200, b"")
    assert client.get("/v1/me").status_code == 200


@pytest.mark.parametrize("fault", ["latencey=1s", "status=418", "timeout=never", "truncated_body=200%", "?", ""])
def test_a_fault_that_cannot_be_read_is_refused(client: httpx.Client, fault: str) -> None:
    """The refusal names the header, and nothing is done."""
    answer = submit(client, fault)
    assert (answer.status_code, answer.json()["code"]) == (400, "VALIDATION_ERROR")
    assert "header.x-mock-fault" in answer.json()["error"]
    assert jobs(client) == []


# Several at once.


def test_faults_of_one_call_go_together(rested: httpx.Client, sleeps: Sleeps) -> None:
    """Late, a 503, of another media type and no JSON: in one answer."""
    answer = rested.get("/v1/me", headers=faulty("latency=2s, status=503, malformed_json, wrong_content_type"))
    assert (answer.status_code, answer.headers["content-type"], sleeps.seconds) == (503, "text/html", [2.0])
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_a_body_that_is_slow_and_truncated_is_both(rested: httpx.Client, sleeps: Sleeps) -> None:
    """Half of it trickles in, then the connection is lost."""
    got = bytearray()
    with (
        rested.stream("GET", "/v1/me", headers=faulty("slow_body=1s, truncated_body")) as answer,
        suppress(httpx.RemoteProtocolError),
    ):
        for piece in answer.iter_raw():
            got += piece
    assert len(got) == int(answer.headers["content-length"]) // 2
    assert sum(sleeps.seconds) == pytest.approx(1)


def test_a_lost_answer_is_lost_whatever_else_was_asked_for(client: httpx.Client) -> None:
    """A reset outdoes a broken body, and `before` outdoes them all: nothing is done."""
    with asked(client, "reset_peer, truncated_body, slow_body=1h") as connection, pytest.raises(ConnectionResetError):
        received(connection)
    with pytest.raises(httpx.ReadError):
        submit(client, "reset_peer=before, status=503")
    assert jobs(client) == []


@pytest.mark.parametrize(
    ("fault", "ending", "status"),
    [("reset_peer", "reset_peer", None), ("truncated_body", "truncated_body", 200), ("status=500", "answered", 500)],
)
def test_the_journal_says_how_an_answer_ended(
    live_server: LiveServer, client: httpx.Client, fault: str, ending: str, status: int | None
) -> None:
    """A client that saw no answer finds out here what it would have been."""
    with suppress(httpx.TransportError):
        client.get("/v1/me", headers=faulty(fault))
    entry = entries(live_server, client)[0]
    assert (entry.ending, entry.status, [each.id for each in entry.matched_faults]) == (ending, status, ["header"])


def test_a_call_beyond_the_concurrency_limit_passes_time_under_a_fault_too(client: httpx.Client) -> None:
    """On an auto clock a client that submits until it is let in gets in, however late its answers are."""
    statuses = [submit(client, "latency=0").status_code for _ in range(40)]
    assert statuses[:4] == [202, 202, 202, 409]
    assert statuses.count(202) > 3
