"""The journal: what it keeps of each call, and its list, over real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import LiveServer, movie
from tests.viralsync_mock.control.test_control import refusal, submit, watched

from viralsync_mock.app import create_app
from viralsync_mock.clock import EPOCH, Mode
from viralsync_mock.journal.entry import CLIENT_DISCONNECTED, MAX_BODY, Filter, Journal, JournalEntry
from viralsync_mock.response import Abort, Response
from viralsync_mock.server import BackgroundServer
from viralsync_mock.settings import Settings

KEY = "vs_prod_5ec2e75ec2e75ec2e75ec2e75ec2e75e"
OTHER_KEY = "vs_prod_07e2000007e2000007e2000007e20000"
HEADERS = {"host": "127.0.0.1:4747", "user-agent": "test", "accept": "*/*", "x-api-key": KEY}

StartMock = Callable[[Settings], LiveServer]


@pytest.fixture
def control(live_server: LiveServer) -> Iterator[httpx.Client]:
    """Yield a client with a key of its own, on a frozen clock, whose control answers are held against the document."""
    with watched(live_server.client(clock="frozen")) as client:
        yield client


def calls(client: httpx.Client, query: str = "") -> list[dict[str, Any]]:
    """Return the calls of the journal, newest first."""
    answer = client.get(f"/__mock/journal?{query}")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["calls"])


def client_of(server: LiveServer) -> httpx.Client:
    """Return a client whose requests are the same on every mock."""
    client = server.client(KEY)
    client.headers.update(HEADERS)
    return client


def entry(number: int) -> JournalEntry:
    """Return the entry of a call."""
    return JournalEntry(number, EPOCH, {"method": "GET", "path": "/", "query_string": b"", "headers": []}, "")


# ---------------------------------------------------------------- the ring


@given(size=st.integers(0, 20), made=st.integers(0, 50))
def test_the_ring_keeps_the_last_calls(size: int, made: int) -> None:
    """Never more than its size, never others than the newest, in order."""
    journal = Journal(size)
    for number in range(made):
        journal.add(entry(number))
    kept = [each.number for each in journal.oldest_first()]
    assert kept == list(range(made))[max(made - size, 0) :]
    assert [each.number for each in journal.newest_first(Filter(), made)] == kept[::-1]


@pytest.mark.parametrize(("size", "is_cut"), [(MAX_BODY, False), (MAX_BODY + 1, True)])
def test_a_body_is_cut_past_64_kib(size: int, is_cut: bool) -> None:
    """Not before."""
    one = entry(1)
    one.record_body(bytes(size))
    assert (len(one.body), one.is_cut) == (MAX_BODY, is_cut)


@pytest.mark.parametrize(("share", "seen"), [(None, (None, None)), (0.5, (404, "NOT_FOUND"))])
def test_a_client_has_seen_the_code_only_if_a_part_of_the_answer_left(share: float | None, seen: object) -> None:
    """A connection that breaks before the head shows neither status nor code."""
    one = entry(1)
    one.code = "NOT_FOUND"
    one.record_response(Response(404, abort=Abort("broken", share)), b"", EPOCH)
    assert ((one.status, one.code), one.ending) == (seen, "broken")


def test_an_answer_for_a_client_that_has_left_is_no_answer() -> None:
    """The call is carried out, and its ending stays."""
    one = entry(1)
    one.ending = CLIENT_DISCONNECTED
    one.record_response(Response(202), b"", EPOCH)
    assert (one.status, one.ending) == (202, CLIENT_DISCONNECTED)


def test_older_calls_are_forgotten(start_mock: StartMock) -> None:
    """The list tells how many are kept, and the refusal from which on."""
    server = start_mock(Settings(clock=Mode.FROZEN, journal_size=3))
    with watched(client_of(server)) as client:
        ids = [client.get("/v1/me").headers["x-mock-call-id"] for _ in range(5)]
        assert [each["callId"] for each in calls(client)] == ids[:1:-1]
        assert f"holds 3 calls, from {ids[2]} on" in client.get(f"/__mock/journal/{ids[1]}").json()["error"]


def test_a_journal_without_room_keeps_nothing_and_breaks_nothing(start_mock: StartMock) -> None:
    """All goes on as usual, streams too."""
    server = start_mock(Settings(clock=Mode.AUTO, journal_size=0))
    with watched(client_of(server)) as client:
        stream = client.get(f"/v1/jobs/{submit(client)}/progress")
        assert stream.text.count("data:") > 1
        assert client.get("/__mock/journal").json() == {"total": 0, "calls": []}
        assert "holds no calls" in client.get(f"/__mock/journal/{stream.headers['x-mock-call-id']}").json()["error"]


async def test_no_call_is_lost(live_server: LiveServer) -> None:
    """200 calls at a time make 200 entries with consecutive numbers, each by the id that its answer had."""
    headers = live_server.headers(live_server.new_key(clock="frozen"))
    limits = httpx.Limits(max_connections=50)
    async with httpx.AsyncClient(base_url=live_server.base_url, headers=headers, limits=limits, timeout=60) as client:
        answers = await asyncio.gather(*(client.get("/v1/me") for _ in range(200)))
        kept = (await client.get("/__mock/journal?limit=1000")).json()["calls"]
    numbers = [int(each["callId"].rpartition("_")[2]) for each in kept]
    assert numbers == list(range(200, 0, -1))
    assert {each["callId"] for each in kept} == {answer.headers["x-mock-call-id"] for answer in answers}


# ---------------------------------------------------------------- what is recorded


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "NOT_FOUND"),
        ("PATCH", "/v1/me", 405, "METHOD_NOT_ALLOWED"),
        ("HEAD", "/v1/me", 200, None),
        ("OPTIONS", "/v1/me", 204, None),
        ("GET", "/v1/jobs/none", 404, "JOB_NOT_FOUND"),
        ("POST", "/v1/render/jobs", 400, "VALIDATION_ERROR"),
    ],
)
def test_every_call_is_recorded(control: httpx.Client, method: str, path: str, status: int, code: str | None) -> None:
    """Refused or not."""
    control.request(method, path)
    (call,) = calls(control)
    assert (call["method"], call["path"], call["status"], call["code"], call["ending"]) == (
        method,
        path,
        status,
        code,
        "answered",
    )


def test_calls_without_a_usable_key_are_listed_as_strangers(live_server: LiveServer, control: httpx.Client) -> None:
    """They are nobody's; this key's own list is without them."""
    call_id = httpx.get(f"{live_server.base_url}/v1/me").headers["x-mock-call-id"]
    (stranger,) = [each for each in calls(control, "anonymous=true&limit=1000") if each["callId"] == call_id]
    assert (stranger["status"], stranger["code"]) == (401, "UNAUTHORIZED")
    assert calls(control) == []


def test_calls_of_the_control_api_are_not_recorded(control: httpx.Client) -> None:
    """The journal is of the API alone."""
    control.get("/__mock/clock")
    assert calls(control) == []


def test_a_call_that_a_fault_holds_is_pending(live_server: LiveServer, control: httpx.Client) -> None:
    """It is there from its arrival on."""
    address = urlsplit(live_server.base_url)
    with closing(socket.create_connection((str(address.hostname), int(address.port or 0)))) as held:
        key = control.headers["x-api-key"]
        head = f"GET /v1/me HTTP/1.1\r\nhost: localhost\r\nx-api-key: {key}\r\nx-mock-fault: timeout=before\r\n\r\n"
        held.sendall(head.encode())
        found = calls(control)
        while not found:  # it is on its way: the list is asked until it has come
            found = calls(control)
    (call,) = found
    assert (call["status"], call["answeredAt"], call["ending"]) == (None, None, "pending")


def test_a_reset_call_has_no_status(control: httpx.Client) -> None:
    """Its ending is the fault."""
    with pytest.raises(httpx.HTTPError):
        control.get("/v1/me", headers={"x-mock-fault": "reset_peer"})
    (call,) = calls(control)
    assert (call["status"], call["ending"]) == (None, "reset_peer")


def test_a_stream_counts_its_events(client: httpx.Client) -> None:
    """As many as its reader got."""
    stream = client.get(f"/v1/jobs/{submit(client)}/progress")
    newest = calls(client)[0]
    assert (newest["events"], newest["ending"]) == (stream.text.count("data:"), "answered")


def test_what_is_forgotten_leaves_its_numbers_behind(control: httpx.Client) -> None:
    """Ids are never given twice."""
    first = control.get("/v1/me").headers["x-mock-call-id"]
    dropped = control.delete("/__mock/journal").json()
    control.get("/v1/me")
    assert dropped == {"dropped": 1}
    assert [each["callId"] for each in calls(control)] == [first.removesuffix("1") + "2"]


# ---------------------------------------------------------------- the filters


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("operation=getMe", [6, 5, 4]),
        ("status=202", [1]),
        ("code=JOB_NOT_FOUND", [3]),
        ("jobId={job_id}", [2, 1]),
        ("since=2026-01-01T00:00:10Z", [6, 5]),
        ("until=2026-01-01T00:00:10Z", [4, 3, 2, 1]),
        ("since=2026-01-01T01:00:10%2B01:00&until=2026-01-01T00:00:20Z", [5]),
        ("operation=getMe&limit=2", [6, 5]),
        ("operation=getMe&status=404", []),
    ],
)
def test_the_list_holds_what_fits_every_filter(control: httpx.Client, query: str, expected: list[int]) -> None:
    """`since` is included, `until` is not, and the total is of all that are kept."""
    job_id = submit(control)
    control.get(f"/v1/jobs/{job_id}")
    control.get("/v1/jobs/job_none")
    for _ in range(3):
        control.get("/v1/me")
        control.post("/__mock/clock/advance", json={"seconds": 10})
    answer = control.get(f"/__mock/journal?{query.format(job_id=job_id)}").json()
    assert [int(each["callId"].rpartition("_")[2]) for each in answer["calls"]] == expected
    assert answer["total"] == 6


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (
            "operation=getJbo",
            'query.operation: expected an operation of the spec, got "getJbo". Did you mean "getJob"?',
        ),
        ("code=RATE_LIMITD", 'Did you mean "RATE_LIMITED"?'),
        ("since=yesterday", "query.since: "),
        ("until=2026-01-01T00:00:00", "query.until: "),
        ("limit=0", "query.limit: expected at least 1"),
        ("limit=1001", "query.limit: expected at most 1000"),
        ("status=99", "query.status: "),
        ("anonymous=yes", "query.anonymous: "),
        ("operations=getJob", 'Did you mean "operation"?'),
    ],
)
def test_a_filter_that_cannot_be_is_refused(control: httpx.Client, query: str, text: str) -> None:
    """With the place, and the nearest word where there is one."""
    status, code, told = refusal(control.get(f"/__mock/journal?{query}"))
    assert (status, code) == (400, "VALIDATION_ERROR")
    assert text in told


# ---------------------------------------------------------------- secrets


def percent_encoded(text: str) -> str:
    """Return a text of which each character is percent-encoded."""
    return "".join(f"%{ord(character):02x}" for character in text)


WRITTEN: list[Callable[[str], str]] = [
    str,
    percent_encoded,
    lambda key: percent_encoded(percent_encoded(key)),
    lambda key: key.replace("_", "\\u005f"),
    str.upper,
]


@given(
    write=st.sampled_from(WRITTEN),
    place=st.sampled_from(["path", "query", "header", "body", "job", "project"]),
    bearer=st.booleans(),
    is_other=st.booleans(),
)
def test_no_key_ever_shows(
    live_server_of_secrets: LiveServer, write: Callable[[str], str], place: str, *, bearer: bool, is_other: bool
) -> None:
    """Not the caller's, not another's, wherever it stood and however it was written."""
    secret = OTHER_KEY if is_other else KEY
    text = write(secret)
    with live_server_of_secrets.client(KEY) as client:
        if bearer:
            del client.headers["x-api-key"]
            client.headers["authorization"] = f"Bearer {KEY}"
        send(client, place, text)
        (call,) = calls(client)
        paths = ("journal", f"journal/{call['callId']}", "journal.har")
        told = [client.get(f"/__mock/{path}").text for path in paths]
        client.delete("/__mock/journal")
    assert [each for each in told if text.lower() in each.lower() or secret.lower() in each.lower()] == []


def send(client: httpx.Client, place: str, text: str) -> None:
    """Make a call that has a text in one place."""
    match place:
        case "path":
            client.get(f"/v1/nowhere/{quote(text, safe='%')}")
        case "query":
            client.get(f"/v1/jobs?status={quote(text, safe='%')}&cursor={quote(text, safe='%')}")
        case "header":
            client.get("/v1/me", headers={"x-note": text, "cookie": text, "x-mock-scenario": text})
        case "body":
            client.post("/v1/render/jobs", content=f'{{"kind": "{text}", "{text}": 1}}')
        case "job":
            client.get(f"/v1/jobs/{quote(text, safe='%')}")
        case _:
            client.post("/v1/render/jobs", content=json.dumps(movie(projectId=f"proj_mock_{text}")))


@pytest.fixture(scope="module")
def live_server_of_secrets() -> Iterator[LiveServer]:
    """Yield a mock that one property test calls again and again."""
    app = create_app(Settings(clock=Mode.FROZEN, is_rate_limited=False))
    with BackgroundServer(app) as server:
        yield LiveServer(app, server.base_url)


def test_a_rule_that_names_a_key_does_not_tell_it(control: httpx.Client) -> None:
    """Neither by its match, nor by why it did not speak, nor by what it answers."""
    rules = [
        {"match": {"header": {"x-api-key": KEY}}, "fault": {"status": 503}},
        {"respond": {"error": "INTERNAL_ERROR", "text": KEY, "headers": {"x-note": KEY}}},
    ]
    control.put("/__mock/scenario", json={"name": "mine", "description": "x", "rules": rules})
    call_id = control.get("/v1/me").headers["x-mock-call-id"]
    told = [control.get(f"/__mock/{path}").text for path in (f"journal/{call_id}", "journal.har", "journal")]
    assert [KEY in each or control.headers["x-api-key"] in each for each in told] == [False] * 3
    assert "header x-api-key: expected vs_prod_***, got vs_prod_***" in told[0]


# ---------------------------------------------------------------- the same again


def told_by(server: LiveServer) -> list[str]:
    """Make some calls of every kind; return everything that the journal tells of them."""
    with client_of(server) as client:
        job_id = submit(client)
        client.post("/v1/render/jobs", json=movie(movie={"scenes": []}))
        for _ in range(8):
            client.get(f"/v1/jobs/{job_id}", headers={"x-mock-scenario": "flaky"})
        client.post("/__mock/clock/advance", json={"seconds": 3})
        client.get("/v1/jobs?status=quued")
        client.post(f"/v1/jobs/{job_id}/cancel")
        client.get(f"/v1/jobs/{job_id}/progress")
        client.get("/v1/me", headers={"x-mock-fault": "latency=1ms"})
        ids = [each["callId"] for each in calls(client)]
        paths = ["journal", "journal.har", *(f"journal/{call_id}" for call_id in ids)]
        return [client.get(f"/__mock/{path}").text for path in paths]


@pytest.mark.parametrize("seed", ["0", "another"])
def test_the_same_seed_and_the_same_calls_give_the_same_journal(start_mock: StartMock, seed: str) -> None:
    """List, every explanation and the archive, byte for byte."""
    one, other = (told_by(start_mock(Settings(clock=Mode.FROZEN, seed=seed))) for _ in range(2))
    assert len(one) == 16
    assert one == other


def test_another_seed_gives_another_journal(start_mock: StartMock) -> None:
    """So that the law says something."""
    one, other = (told_by(start_mock(Settings(clock=Mode.FROZEN, seed=seed))) for seed in ("0", "1"))
    assert one != other


# ---------------------------------------------------------------- the order of calls, and the last event


def test_calls_are_ordered_where_the_clock_stands(frozen: httpx.Client, live_server: LiveServer) -> None:
    """An entry knows which call was the newest when its answer left, and when its stream ended."""
    sandbox = live_server.app.mock.sandbox(frozen.headers["x-api-key"])
    job_id = submit(frozen)
    with frozen.stream("GET", f"/v1/jobs/{job_id}/progress") as stream:
        parts = stream.iter_text()
        next(parts)
        frozen.get("/v1/me")
        frozen.post("/__mock/clock/advance", json={"seconds": 100})
        list(parts)
    entries = [(each.number, each.answered_after, each.ended_after) for each in sandbox.journal.oldest_first()]
    assert entries == [(1, 1, 0), (2, 2, 3), (3, 3, 0)]


@pytest.mark.parametrize(("fault", "told"), [("drop_after_events=2", 1), ("cut_inside_event=2", 0)])
def test_the_last_whole_event_of_a_stream_is_kept(
    client: httpx.Client, live_server: LiveServer, fault: str, told: int
) -> None:
    """One that a fault has cut was not told."""
    sandbox = live_server.app.mock.sandbox(client.headers["x-api-key"])
    job_id = submit(client)
    with pytest.raises(httpx.RemoteProtocolError):
        client.get(f"/v1/jobs/{job_id}/progress", headers={"x-mock-fault": fault})
    *_, last = sandbox.journal.oldest_first()
    assert (last.events, last.last_event.startswith(f"id: {told}\n".encode())) == (2, True)


@pytest.mark.parametrize("query", [f"key={KEY}", quote(f"key={KEY}", safe="").replace("v", "%76")])
def test_a_key_in_a_url_is_known_again(query: str) -> None:
    """Plain or percent-encoded; another key is another."""
    found = JournalEntry(1, EPOCH, {"method": "GET", "path": "/", "query_string": query.encode(), "headers": []}, "")
    assert (found.names_key(KEY), found.names_key(OTHER_KEY)) == (True, False)
