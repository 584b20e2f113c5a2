"""The memory of all sandboxes together has a limit: what is dropped for it, in which order, and where it is said."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import LiveServer, movie

from viralsync_mock.app import create_app
from viralsync_mock.registry import Memory
from viralsync_mock.sandbox import user_id
from viralsync_mock.settings import Settings

StartMock = Callable[[Settings], LiveServer]

MIB = 2**20
LIMIT = 4 * MIB
KEYS = [f"vs_prod_{number:032x}" for number in range(20)]


def large_movie(size: int) -> dict[str, Any]:
    """Return a submission of about this many bytes."""
    layers = [{"type": "text", "text": "x" * size}]
    return movie(movie={"scenes": [{"id": "one", "duration": 1, "layers": layers}]})


@pytest.fixture
def server(start_mock: StartMock) -> LiveServer:
    """Return a server whose sandboxes may hold 4 MiB, without a rate limit."""
    return start_mock(Settings(memory=LIMIT, is_rate_limited=False))


def client(server: LiveServer, key: str) -> httpx.Client:
    return httpx.Client(base_url=server.base_url, headers={"x-api-key": key}, timeout=20)


def test_the_sandbox_idle_longest_is_dropped_first_and_its_key_learns_it(server: LiveServer) -> None:
    """Journals that outgrow the limit cost the oldest idle sandboxes; the journal of such a key says so."""
    said: list[str] = []
    server.app.mock.sandboxes.report = said.append
    for key in KEYS:
        with client(server, key) as api:
            for _ in range(5):
                assert api.post("/v1/render/jobs", json={"filler": "x" * 64_000}).status_code == 400
    open_keys = [key for key in KEYS if server.app.mock.sandboxes.get(key)]
    assert KEYS[-len(open_keys) :] == open_keys
    assert said[0].startswith(f"the sandbox {user_id(KEYS[0])} was dropped to stay within 4 MiB (--memory)")
    with client(server, KEYS[1]) as api:
        assert "to stay within 4 MiB (--memory)" in api.get("/__mock/journal").json()["dropped"]
        memory = api.get("/__mock/health").json()["memory"]
    assert memory["limit"] == LIMIT >= memory["used"]
    assert memory["sandboxesDropped"] == len(said) > 5


def test_a_reset_forgets_that_a_sandbox_was_dropped(server: LiveServer) -> None:
    """After a reset the journal of the key begins afresh."""
    server.app.mock.sandboxes.dropped[KEYS[0]] = "dropped"
    with client(server, KEYS[0]) as api:
        assert "dropped" in api.get("/__mock/journal").json()
        api.post("/__mock/reset")
        assert "dropped" not in api.get("/__mock/journal").json()


def test_a_sandbox_with_an_open_stream_is_never_dropped(server: LiveServer) -> None:
    """A sandbox in use stays, however long ago its last call came."""
    with client(server, KEYS[0]) as api:
        job = api.post("/v1/render/jobs", json=movie()).json()["jobId"]
        with api.stream("GET", f"/v1/jobs/{job}/progress"):
            for key in KEYS[1:8]:
                with client(server, key) as other:
                    other.post("/v1/render/jobs", json=large_movie(900_000))
            assert api.get(f"/v1/jobs/{job}").status_code == 200


def test_a_sandbox_in_use_forgets_its_oldest_calls_then_its_oldest_finished_jobs(server: LiveServer) -> None:
    """What one key submits stays within the limit: finished jobs make room for new ones."""
    with client(server, KEYS[0]) as api:
        api.put("/__mock/sandbox", json={"clock": "frozen", "plan": "enterprise"})
        jobs = []
        for _ in range(12):
            jobs.append(api.post("/v1/render/jobs", json=large_movie(900_000)).json()["jobId"])
            api.post("/__mock/clock/advance", json={"seconds": 60})
        assert [api.get(f"/v1/jobs/{job}").status_code for job in (jobs[0], jobs[-1])] == [404, 200]
        assert api.get("/__mock/journal").json()["forgotten"] > 0
        assert api.get("/__mock/health").json()["memory"]["used"] <= LIMIT


def test_a_submission_that_no_memory_is_left_for_is_refused_and_says_which_option_helps(server: LiveServer) -> None:
    """Unfinished jobs are never dropped: one more is refused with 503."""
    with client(server, KEYS[0]) as api:
        api.put("/__mock/sandbox", json={"clock": "frozen", "plan": "enterprise"})
        answers = [api.post("/v1/render/jobs", json=large_movie(900_000)) for _ in range(8)]
    assert [answer.status_code for answer in answers] == [202] * 4 + [503] * 4
    assert answers[-1].json()["code"] == "SERVICE_UNAVAILABLE"
    assert "unfinished jobs of 4 MiB" in answers[-1].json()["error"]


def test_a_large_page_is_the_same_as_ever_and_slow_readers_share_it(start_mock: StartMock) -> None:
    """A page with large payloads is sent in pieces; clients that do not read it hold no copies."""
    server = start_mock(Settings(memory=64 * MIB, is_rate_limited=False))
    with client(server, KEYS[0]) as api:
        api.put("/__mock/sandbox", json={"clock": "frozen", "plan": "enterprise"})
        bodies = [large_movie(800_000 + number) for number in range(20)]
        for body in bodies:
            assert api.post("/v1/render/jobs", json=body).status_code == 202
        page = api.get("/v1/jobs?limit=100")
        assert [job["payload"]["movie"] for job in page.json()["jobs"]] == [each["movie"] for each in reversed(bodies)]
        one = api.get(f"/v1/jobs/{page.json()['jobs'][0]['jobId']}").json()
        assert one == page.json()["jobs"][0]
        readers = [_slow_reader(server, KEYS[0]) for _ in range(10)]
        memory = api.get("/__mock/health").json()["memory"]
        for reader in readers:
            reader.close()
    assert memory["used"] < 30 * MIB


def _slow_reader(server: LiveServer, key: str) -> socket.socket:
    """Ask for the whole list and read only the first byte."""
    url = httpx.URL(server.base_url)
    reader = socket.create_connection((url.host, url.port or 80), timeout=20)
    reader.sendall(f"GET /v1/jobs?limit=100 HTTP/1.1\r\nhost: localhost\r\nx-api-key: {key}\r\n\r\n".encode())
    reader.recv(1)
    return reader


def test_faults_change_a_large_body_as_any_other(start_mock: StartMock) -> None:
    """A body that is sent in pieces can be truncated, spoilt and slowed down."""
    server = start_mock(Settings())
    with client(server, KEYS[0]) as api:
        job = api.post("/v1/render/jobs", json=large_movie(500_000)).json()["jobId"]
        spoilt = api.get(f"/v1/jobs/{job}", headers={"x-mock-fault": "malformed_json"})
        assert len(spoilt.content) > 200_000
        with pytest.raises(json.JSONDecodeError):
            spoilt.json()
        with pytest.raises(httpx.RemoteProtocolError):
            api.get(f"/v1/jobs/{job}", headers={"x-mock-fault": "truncated_body"})


class Reader:
    """A slow client that only records that it was broken off."""

    def __init__(self) -> None:
        self.is_broken = False

    def break_off(self) -> None:
        self.is_broken = True


def test_slow_readers_are_broken_off_the_one_that_waits_longest_first() -> None:
    """Only as many clients as it takes lose their connection."""
    memory, readers = Memory(100), [Reader(), Reader(), Reader()]
    for reader in readers:
        memory.hold(reader, 40)
    assert memory.break_off_slow_readers() == 1
    assert ([each.is_broken for each in readers], memory.used) == ([True, False, False], 80)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 50))))
def test_what_is_held_and_released_comes_out_even(changes: list[tuple[int, int]]) -> None:
    """In whatever order clients fall behind and catch up, nothing is counted twice or forgotten."""
    memory, readers = Memory(10**9), [Reader() for _ in range(5)]
    for index, size in changes:
        memory.hold(readers[index], size)
    for reader in readers:
        memory.release(reader)
    assert memory.used == 0


def test_what_the_registry_has_counted_is_the_sum_of_its_sandboxes() -> None:
    """Opening, dropping and replacing sandboxes keeps the books even."""
    sandboxes = create_app(Settings()).mock.sandboxes
    scenario = create_app(Settings()).mock.files.scenario
    before = sandboxes.memory.used
    for key in KEYS:
        sandboxes.open(key, scenario)
    sandboxes.drop(KEYS[3])
    sandboxes.drop_all()
    assert sandboxes.memory.used == before
