"""`serve --state DIR`: what survives the end of the process, however it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
from tests.conftest import LiveServer
from tests.support.processes import FREE, killed_while_submitting, listed, mock_process, submit
from tests.support.webhook_receiver import Receiver, Reply

from viralsync_mock.clock import Mode
from viralsync_mock.jobs.models import parse_timestamp
from viralsync_mock.settings import Settings

StartMock = Callable[[Settings], LiveServer]


def assert_nothing_lost(folder: Path, rounds: int) -> None:
    answered = set[str]()
    for number in range(rounds):
        with mock_process("--state", folder, "--seed", 1) as mock, mock.client() as client:
            if number == 0:
                client.put("/__mock/scenario", json=FREE).raise_for_status()
            answered |= killed_while_submitting(mock, after=40 + 7 * number)
    with mock_process("--state", folder, "--seed", 1) as mock, mock.client() as client:
        assert answered - listed(client) == set()
        assert len(answered) >= 40 * rounds


def test_a_kill_while_jobs_are_submitted_loses_none_that_was_answered(tmp_path: Path) -> None:
    """What was answered with 202 is there after `kill -9`, twice in a row."""
    assert_nothing_lost(tmp_path, rounds=2)


@pytest.mark.slow
def test_fifty_kills_while_jobs_are_submitted_lose_none_that_was_answered(tmp_path: Path) -> None:
    """The same 50 times in one folder."""
    assert_nothing_lost(tmp_path, rounds=50)


def filled(client: httpx.Client, url: str) -> None:
    """Fill a sandbox with one of everything."""
    client.patch("/__mock/clock", json={"mode": "frozen"})
    client.put("/__mock/scenario", json={"name": "mine", "rules": [{"match": {"operation": "getMe", "nth": 3},
               "respond": {"error": "RATE_LIMITED"}}]}).raise_for_status()  # fmt: skip
    client.patch("/__mock/account", json={"plan": "business", "minutesUsed": 7}).raise_for_status()
    fault = {"fault": {"latency": "1ms"}, "match": {"operation": "getUsage"}, "times": 5}
    client.put("/__mock/faults", json={"faults": [fault]}).raise_for_status()
    first, second, third = (submit(client, callbackUrl=url) for _ in range(3))
    client.post("/__mock/clock/advance", json={"seconds": 4}).raise_for_status()
    client.post(f"/v1/jobs/{first}/cancel").raise_for_status()
    client.patch(f"/__mock/jobs/{second}", json={"progress": 0.9}).raise_for_status()
    client.post("/__mock/clock/advance", json={"seconds": 1}).raise_for_status()
    client.request("DELETE", f"/v1/jobs/{first}").raise_for_status()
    for path in ("/v1/me", "/v1/me", "/v1/usage", f"/v1/jobs/{third}", "/v1/jobs/job_none"):
        client.get(path)
    submit(client)  # what came before is written with it


def test_a_restored_sandbox_is_the_one_that_was_killed(tmp_path: Path) -> None:
    """The snapshot after `kill -9` and a restart is the one before, to the last byte, with its journal."""
    with Receiver() as receiver:
        with mock_process("--state", tmp_path, "--seed", 1) as mock, mock.client() as client:
            filled(client, receiver.url)
            before = client.get("/__mock/snapshot", params={"journal": True}).json()
            coverage = client.get("/__mock/coverage").json()
            mock.kill()
        with mock_process("--state", tmp_path, "--seed", 1) as mock, mock.client() as client:
            after = client.get("/__mock/snapshot", params={"journal": True}).json()
            assert after == before
            assert client.get("/__mock/coverage").json() == coverage
            assert client.get("/v1/me").status_code == 429  # the third, by the rule of the sandbox's scenario


def test_a_restored_sandbox_sends_to_the_whole_callback_url(tmp_path: Path) -> None:
    """The folder keeps the secrets in a URL that webhooks still go to; views of it do not show them."""
    with Receiver() as receiver:
        with mock_process("--state", tmp_path, "--seed", 1) as mock, mock.client() as client:
            client.patch("/__mock/clock", json={"mode": "frozen"}).raise_for_status()
            submit(client, callbackUrl=f"{receiver.url}?token=hush")
            mock.kill()
        with mock_process("--state", tmp_path, "--seed", 1) as mock, mock.client() as client:
            client.post("/__mock/clock/advance", json={"seconds": 600}).raise_for_status()
            assert "hush" not in client.get("/__mock/deliveries").text
            assert {each.path.partition("?")[2] for each in receiver.got} == {"token=hush"}


def test_a_clock_that_follows_real_time_has_gone_on_meanwhile(tmp_path: Path) -> None:
    """Jobs render while the mock is down; a start takes more than 0.2 s, which are 200 s of this clock."""
    flags = ("--state", tmp_path, "--speed", 1000, "--seed", 1)
    with mock_process(*flags) as mock, mock.client() as client:
        job, before = submit(client), client.get("/__mock/clock").json()["now"]
        mock.kill()
    with mock_process(*flags) as mock, mock.client() as client:
        after = client.get("/__mock/clock").json()["now"]
        assert (parse_timestamp(after) - parse_timestamp(before)).total_seconds() > 200
        assert client.get(f"/v1/jobs/{job}").json()["status"] == "done"


def test_what_was_charged_is_charged_once(tmp_path: Path) -> None:
    """A job that is done before the kill, and one that is done after it."""
    with mock_process("--state", tmp_path, "--frozen") as mock, mock.client() as client:
        submit(client)
        client.post("/__mock/clock/advance", json={"seconds": 600}).raise_for_status()
        assert client.get("/v1/usage").json()["renderMinutes"]["used"] == 0.1
        submit(client)
        mock.kill()
    with mock_process("--state", tmp_path, "--frozen") as mock, mock.client() as client:
        assert client.get("/v1/usage").json()["renderMinutes"]["used"] == 0.1
        client.post("/__mock/clock/advance", json={"seconds": 600}).raise_for_status()
        assert client.get("/v1/usage").json()["renderMinutes"]["used"] == 0.2


def events(lines: Iterator[str], limit: int) -> list[int]:
    """Return the ids of this many events of a stream, or of all up to its end."""
    found = []
    for line in lines:
        if line.startswith("id: "):
            found.append(int(line[4:]))
            if len(found) == limit:
                break
    return found


@pytest.mark.parametrize("clock", ["auto", "scaled"])
def test_a_stream_resumes_by_id_after_a_kill(tmp_path: Path, clock: str) -> None:
    """The client gets exactly what follows the last event that it has seen."""
    flags = ("--state", tmp_path, "--seed", 1, *(("--auto",) if clock == "auto" else ("--speed", 5)))
    with mock_process(*flags) as mock, mock.client() as client:
        job = submit(client)
        with client.stream("GET", f"/v1/jobs/{job}/progress") as stream:
            seen = events(stream.iter_lines(), 3)
            mock.kill()
    resume = {"last-event-id": str(seen[-1])}
    with mock_process(*flags) as mock, mock.client() as client:
        with client.stream("GET", f"/v1/jobs/{job}/progress", headers=resume) as stream:
            rest = events(stream.iter_lines(), -1)
        assert rest == list(range(seen[-1] + 1, rest[-1] + 1))
        assert client.get(f"/v1/jobs/{job}").json()["status"] == "done"


def test_a_webhook_interrupted_by_a_kill_is_sent_again_and_says_so(tmp_path: Path) -> None:
    """Without a call after the restart: what was under way comes with `x-mock-repeat`, what was due comes without."""
    arrived = Event()
    with Receiver(replies=[Reply(hangs=True)], on_request=lambda _: arrived.set()) as receiver:
        with mock_process("--state", tmp_path, "--speed", 20, "--seed", 1) as mock, mock.client() as client:
            job = submit(client, callbackUrl=receiver.url)
            arrived.wait()
            mock.kill()
        receiver.otherwise, ended = Reply(), Event()
        receiver.on_request = lambda got: ended.set() if got.document["status"] == "done" else None
        with mock_process("--state", tmp_path, "--speed", 20, "--seed", 1) as mock, mock.client() as client:
            assert ended.wait(60)
            repeats = [each.headers.get("x-mock-repeat") for each in receiver.got]
            assert repeats == [None, "interrupted", *[None] * (len(repeats) - 2)]
            assert receiver.got[1].body == receiver.got[0].body
            first = client.get("/__mock/deliveries", params={"jobId": job}).json()["deliveries"][-1]
            assert [each["problem"] for each in first["attempts"]] == ["interrupted", None]


def test_a_stopped_mock_goes_on_where_it_was(tmp_path: Path) -> None:
    """SIGTERM writes everything too."""
    with mock_process("--state", tmp_path, "--frozen") as mock, mock.client() as client:
        job = submit(client)
        client.get("/v1/me")
        mock.stop()
    with mock_process("--state", tmp_path, "--frozen") as mock, mock.client() as client:
        assert listed(client) == {job}
        assert client.get("/__mock/journal").json()["total"] == 3


def test_the_built_in_receiver_keeps_what_it_got_and_how_it_responds(tmp_path: Path) -> None:
    """After `kill -9` the inbox reads as before, with valid signatures, and counts on; a cleared one stays empty."""
    with mock_process("--state", tmp_path, "--frozen", "--seed", 1) as mock, mock.client() as client:
        client.patch("/__mock/inbox", json={"status": 500, "times": 2}).raise_for_status()
        submit(client, callbackUrl="http://inbox.localhost/hook?token=secret")
        client.post("/__mock/clock/advance", json={"seconds": 300}).raise_for_status()
        before = client.get("/__mock/inbox").json()
        mock.kill()
    with mock_process("--state", tmp_path, "--frozen", "--seed", 1) as mock, mock.client() as client:
        assert client.get("/__mock/inbox").json() == before
        assert {each["isSignatureValid"] for each in before["received"]} == {True}
        submit(client, callbackUrl="http://inbox.localhost/hook")
        client.post("/__mock/clock/advance", json={"seconds": 300}).raise_for_status()
        assert client.get("/__mock/inbox").json()["received"][0]["number"] > before["total"] > 0
        client.delete("/__mock/inbox").raise_for_status()
        mock.kill()
    with mock_process("--state", tmp_path, "--frozen", "--seed", 1) as mock, mock.client() as client:
        assert client.get("/__mock/inbox").json()["received"] == []


def test_a_name_outlives_the_process_and_a_reset(tmp_path: Path) -> None:
    """Until it is taken away, which is kept too."""

    def name(client: httpx.Client) -> str | None:
        client.get("/v1/me").raise_for_status()
        (only,) = client.get("/__mock/sandboxes").json()["sandboxes"]
        found: str | None = only["name"]
        return found

    for change, before in (("Ana", None), ("Bo", "Ana"), (None, "Bo")):
        with mock_process("--state", tmp_path, "--frozen") as mock, mock.client() as client:
            assert name(client) == before
            client.patch("/__mock/sandbox", json={"name": change}).raise_for_status()
            if change == "Bo":
                client.post("/__mock/reset").raise_for_status()
            mock.kill()
    with mock_process("--state", tmp_path, "--frozen") as mock, mock.client() as client:
        assert name(client) is None


# --- sandboxes in and out of memory ----------------------------------------------------------------------------------


@pytest.mark.parametrize("bound", [{"sandboxes": 1}, {"memory": 40_000}])
def test_a_sandbox_that_leaves_memory_comes_back(start_mock: StartMock, tmp_path: Path, bound: dict[str, int]) -> None:
    """Over the maximum the one idle longest is written, not lost."""
    server = start_mock(Settings(clock=Mode.FROZEN, state=str(tmp_path), **bound))  # type: ignore[arg-type]
    jobs = {}
    for number in range(3):
        with server.client(f"vs_prod_{number:032}") as client:
            jobs[number] = submit(client)
    for number, job in jobs.items():
        with server.client(f"vs_prod_{number:032}") as client:
            assert listed(client) == {job}
            assert len(server.app.mock.sandboxes) < len(jobs)
    assert server.bugs == []


def test_a_sandbox_that_comes_back_is_the_one_that_left(start_mock: StartMock, tmp_path: Path) -> None:
    """Its snapshot is the same to the last byte, with its journal, and so are its coverage and its receiver."""
    server = start_mock(Settings(clock=Mode.FROZEN, state=str(tmp_path), sandboxes=1))
    views = ("snapshot?journal=true", "coverage", "inbox", "sandbox")
    with Receiver() as receiver, server.client("vs_prod_" + "1" * 32) as client:
        client.patch("/__mock/sandbox", json={"name": "Ana"}).raise_for_status()
        client.patch("/__mock/inbox", json={"status": 503}).raise_for_status()
        filled(client, receiver.url)
        submit(client, callbackUrl="http://inbox.localhost/hook")
        client.post("/__mock/clock/advance", json={"seconds": 300}).raise_for_status()
        before = [client.get(f"/__mock/{view}").json() for view in views]
        with server.client("vs_prod_" + "2" * 32) as other:
            submit(other)
        assert len(server.app.mock.sandboxes) == 1
        assert [client.get(f"/__mock/{view}").json() for view in views] == before
    assert server.bugs == []


@pytest.mark.parametrize("query", ["", "?all=true"])
def test_a_reset_sandbox_stays_reset(start_mock: StartMock, tmp_path: Path, query: str) -> None:
    """Neither the next call nor the next server finds what was there before."""
    server = start_mock(Settings(clock=Mode.FROZEN, state=str(tmp_path), sandboxes=1))
    with server.client("vs_prod_" + "1" * 32) as first, server.client("vs_prod_" + "2" * 32) as second:
        submit(first)
        submit(second)
        second.post(f"/__mock/reset{query}").raise_for_status()
        assert listed(second) == set()
        assert len(listed(first)) == (0 if query else 1)


def test_a_sandbox_that_is_replaced_leaves_nothing_behind(tmp_path: Path) -> None:
    """Opening it anew and restoring a snapshot replace all that is stored of it."""
    with mock_process("--state", tmp_path, "--frozen") as mock, mock.client() as client:
        job = submit(client)
        snapshot = client.get("/__mock/snapshot").json()
        submit(client)
        client.put("/__mock/sandbox", json={"clock": "frozen"}).raise_for_status()
        client.put("/__mock/snapshot", json=snapshot).raise_for_status()
        mock.kill()
    with mock_process("--state", tmp_path, "--frozen") as mock, mock.client() as client:
        assert listed(client) == {job}


def test_without_a_lease_not_even_a_reading_call_is_answered(start_mock: StartMock, tmp_path: Path) -> None:
    """Another server may have changed the sandbox meanwhile."""
    server = start_mock(Settings(clock=Mode.FROZEN, state=str(tmp_path)))
    keeper: Any = server.app.mock.sandboxes.keeper
    with server.client("vs_prod_" + "1" * 32) as client:
        submit(client)
        keeper._backend.holds = lambda: False
        for path in ("/v1/jobs", "/__mock/clock"):
            assert (client.get(path).status_code, client.get(path).json()["code"]) == (503, "STATE_UNAVAILABLE")


def test_the_folder_is_for_its_owner_alone(tmp_path: Path) -> None:
    """It holds API keys."""
    with mock_process("--state", tmp_path / "new", "--frozen") as mock, mock.client() as client:
        submit(client)
        assert {file.stat().st_mode & 0o077 for file in (tmp_path / "new").iterdir()} == {0}
