"""Several replicas on one real Redis, also behind the real nginx and HAProxy with the shipped configurations."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import redis
from tests.conftest import MOVIE
from tests.support.paths import ROOT
from tests.support.processes import FREE, PATIENCE, MockProcess, killed_while_submitting, listed, mock_process
from tests.support.webhook_receiver import Receiver

from viralsync_mock.errors import SettingsError, StateError
from viralsync_mock.persistence.backend import Change
from viralsync_mock.persistence.redis import RedisBackend

SERVER = next(filter(None, map(shutil.which, ("redis-server", "valkey-server"))), "")
pytestmark = pytest.mark.skipif(not SERVER, reason="needs redis-server or valkey-server")

LEASE = 3


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return int(probe.getsockname()[1])


def wait_for(holds: Callable[[], object]) -> None:
    """Try until it holds, at most 60 s of real time."""
    for _ in range(PATIENCE * 10):
        if holds():
            return
        Event().wait(0.1)
    raise AssertionError("it never held")


def listens(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(*command: object, port: int, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block is left; entered when its port accepts."""
    process = subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    try:
        wait_for(lambda: listens(port))
        yield process
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def redis_port() -> Iterator[int]:
    port = free_port()
    with running(SERVER, "--port", port, "--save", "", "--bind", "127.0.0.1", port=port):
        yield port


@pytest.fixture
def place(redis_port: int) -> str:
    """Return the URL of an empty Redis."""
    with redis.Redis(port=redis_port) as client:
        client.flushall()
    return f"redis://127.0.0.1:{redis_port}/0"


@contextmanager
def replicas(place: str, *flags: object, count: int = 2) -> Iterator[list[MockProcess]]:
    with ExitStack() as stack:
        command = ("--state", place, "--lease", LEASE, "--seed", 1, *flags)
        yield [stack.enter_context(mock_process(*command)) for _ in range(count)]


def submit(client: httpx.Client, **more: Any) -> httpx.Response:
    return client.post("/v1/render/jobs", json={**MOVIE, **more})


def job_ids(client: httpx.Client) -> set[str]:
    page = client.get("/v1/jobs", params={"limit": 100})
    return {job["jobId"] for job in page.json()["jobs"]} if page.status_code == 200 else set()


# --- ownership -------------------------------------------------------------------------------------------------------


def test_a_call_that_reaches_the_wrong_replica_is_refused_with_the_address_of_the_owner(place: str) -> None:
    """Nothing of it is done; another key is free."""
    with replicas(place, "--frozen") as (one, other), one.client() as here, other.client() as there:
        job = submit(here).json()["jobId"]
        for refused in (submit(there), there.get("/v1/jobs"), there.get("/__mock/clock")):
            assert (refused.status_code, refused.json()["code"]) == (425, "MISDIRECTED")
            assert f"http://{refused.headers['x-mock-owner']}" == one.url
        assert job_ids(here) == {job}
        with other.client("vs_prod_" + "9" * 32) as free:
            assert submit(free).status_code == 202


def test_another_replica_takes_over_from_one_that_was_killed(place: str) -> None:
    """Within the lease, with all that was answered; a webhook that is due comes without a call."""
    ended = Event()
    with ExitStack() as stack:
        ends = Receiver(on_request=lambda got: ended.set() if got.document["status"] == "done" else None)
        receiver, (one, other) = stack.enter_context(ends), stack.enter_context(replicas(place, "--speed", 3))
        here, there = stack.enter_context(one.client()), stack.enter_context(other.client())
        jobs = {submit(here, callbackUrl=receiver.url).json()["jobId"] for _ in range(2)}
        one.kill()
        assert ended.wait(PATIENCE)
        assert job_ids(there) == jobs
        assert len(there.get("/__mock/deliveries").json()["deliveries"]) >= 2


def test_a_kill_while_jobs_are_submitted_loses_none_that_was_answered(place: str) -> None:
    """The other replica has every one of them."""
    with replicas(place) as (one, other), one.client() as here, other.client() as there:
        here.put("/__mock/scenario", json=FREE).raise_for_status()
        answered = killed_while_submitting(one, after=60)
        wait_for(lambda: there.get("/v1/me").status_code == 200)
        assert answered - listed(there) == set()


def test_a_replica_that_stops_gives_its_sandboxes_up_at_once(place: str) -> None:
    """SIGTERM needs no lease to end."""
    with replicas(place, "--frozen") as (one, other), one.client() as here, other.client() as there:
        job = submit(here).json()["jobId"]
        one.stop()
        assert job_ids(there) == {job}


def test_a_replica_that_slept_through_its_lease_neither_writes_nor_answers(place: str) -> None:
    """What the other did meanwhile stands; the sleeper names the new owner, or refuses."""
    with replicas(place, "--frozen") as (one, other), one.client() as here, other.client() as there:
        first = submit(here).json()["jobId"]
        one.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: submit(there).status_code == 202)
        one.process.send_signal(signal.SIGCONT)
        answers = [submit(here), here.get(f"/v1/jobs/{first}"), submit(here)]
        assert {answer.status_code for answer in answers} <= {425, 503}, [answer.text for answer in answers]
        wait_for(lambda: here.get("/v1/me").status_code == 425)
        assert f"http://{here.get('/v1/me').headers['x-mock-owner']}" == other.url
        assert len(job_ids(there)) == 2


def test_a_replica_that_lost_its_lease_ends_the_events_of_its_keys(place: str) -> None:
    """A listener that stayed would be told nothing; one that comes back is sent to the new owner."""
    with replicas(place, "--frozen") as (one, other), one.client() as here, other.client() as there:
        with here.stream("GET", "/__mock/events", timeout=PATIENCE) as events:
            lines = events.iter_lines()
            assert next(lines) == "event: hello"
            one.process.send_signal(signal.SIGSTOP)
            wait_for(lambda: submit(there).status_code == 202)
            one.process.send_signal(signal.SIGCONT)
            assert "submitRenderJob" not in "".join(lines)
        wait_for(lambda: here.get("/v1/me").status_code == 425)


def backend(place: str, now: list[float], address: str = "here:1") -> RedisBackend:
    made = RedisBackend(urlsplit(place), "spec", 60, lambda: address, lambda: now[0])
    made.renew()
    return made


def test_the_fence_refuses_a_write_after_another_has_claimed(place: str, redis_port: int) -> None:
    """Whatever the loser believes: the lease in Redis is gone, and the name of the owner another."""
    now = [0.0]
    loser, winner = backend(place, now), backend(place, now, "there:2")
    assert loser.claim("a") == {}
    assert loser.write([Change("a", {"head": b"1"}, replaces=True)]) == set()
    with pytest.raises(StateError, match="Another replica has") as refused:
        winner.claim("a")
    assert refused.value.owner == "here:1"
    with redis.Redis(port=redis_port) as client:
        client.delete(f"viralsync:replica:{loser._me}")
    assert winner.claim("a") == {"head": b"1"}
    assert loser.write([Change("a", {"head": b"2"})]) == {"a"}
    assert winner.claim("a") == {"head": b"1"}
    assert (loser.renew(), loser.renew()) == (False, True)


def test_a_lease_ends_by_the_clock_of_the_replica_too(place: str) -> None:
    """A replica that cannot reach Redis stops answering before another may start."""
    now = [0.0]
    replica = backend(place, now)
    assert replica.holds()
    now[0] = 60.0
    assert not replica.holds()


def test_parts_come_back_as_they_were_written(place: str) -> None:
    """Replaced, changed and removed; those with webhooks are found once their owner is gone."""
    now = [0.0]
    one = backend(place, now)
    one.claim("a")
    one.write([Change("a", {"head": b"1", "job:1": b"j", "outbox:1": b"o"}, replaces=True)])
    large = {f"calls:{page}": f'"{page} \N{GREEK SMALL LETTER PI}"'.encode() for page in range(5_000)}
    one.claim("b")
    changes = [Change("a", {"head": b"2", "job:1": None}), Change("b", large), Change("stranger", {"head": b"3"})]
    assert one.write(changes) == {"stranger"}
    assert one.claim("a") == {"head": b"2", "outbox:1": b"o"}
    assert one.claim("b") == large
    other = backend(place, now)
    assert other.with_webhooks() == []
    one.close()
    assert other.with_webhooks() == ["a"]
    other.claim("a")
    other.write([Change("a", {"outbox:1": None})])
    other.close()
    assert backend(place, now).with_webhooks() == []


@pytest.mark.parametrize(
    ("url", "said"),
    [("redis://127.0.0.1:1/0", "Start Redis, or name another"), ("redis://127.0.0.1:{port}/0", "it was written by")],
)
def test_a_redis_that_cannot_be_used_is_refused_in_a_sentence(place: str, redis_port: int, url: str, said: str) -> None:
    """No password is shown."""
    backend(place, [0.0])
    with pytest.raises(SettingsError, match=said) as refused:
        RedisBackend(urlsplit(url.format(port=redis_port)), "another", 5, str, float)
    assert "127.0.0.1" in str(refused.value)


# --- behind a proxy --------------------------------------------------------------------------------------------------


@contextmanager
def proxy(kind: str, mocks: list[MockProcess], folder: Path) -> Iterator[str]:
    """Run nginx or HAProxy with the shipped configuration, but for the ports; yield its URL."""
    if shutil.which(kind) is None:
        pytest.skip(f"needs {kind}")
    port = free_port()
    text = (ROOT / "deploy" / {"nginx": "nginx.conf", "haproxy": "haproxy.cfg"}[kind]).read_text()
    for ours, theirs in zip(("127.0.0.1:4747", "127.0.0.1:4748"), mocks, strict=True):
        text = text.replace(ours, theirs.url.removeprefix("http://"))
    text = text.replace("listen 8080", f"listen 127.0.0.1:{port}").replace("127.0.0.1:8080", f"127.0.0.1:{port}")
    file = folder / "proxy.conf"
    if kind == "nginx":
        own = f"daemon off; pid {folder}/pid; error_log {folder}/error.log;\n"
        paths = "".join(
            f"{each}_temp_path {folder}/{each}; " for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        text = own + text.replace("http {", "http { access_log off; " + paths, 1)
    file.write_text(text)
    command = ("nginx", "-c", file) if kind == "nginx" else ("haproxy", "-f", file)
    with running(*command, port=port):
        yield f"http://127.0.0.1:{port}"


def keys(count: int) -> list[str]:
    return [f"vs_prod_{number:032x}" for number in range(count)]


def through(url: str, key: str) -> httpx.Client:
    return httpx.Client(base_url=url, headers={"x-api-key": key}, timeout=PATIENCE, trust_env=False)


@pytest.mark.parametrize("kind", ["nginx", "haproxy"])
def test_a_proxy_finds_the_owner_of_every_key_and_sends_no_submission_twice(
    place: str, kind: str, tmp_path: Path
) -> None:
    """Also of keys that the other replica owns than the one that the proxy would choose."""
    with replicas(place, "--frozen") as mocks, proxy(kind, mocks, tmp_path) as url:
        for at, key in enumerate(keys(12)):
            if at % 3 < 2:  # its owner is chosen before the proxy does
                with mocks[at % 3].client(key) as direct:
                    assert direct.get("/v1/me").status_code == 200
            with through(url, key) as client:
                made = [submit(client) for _ in range(3)]
                assert [answer.status_code for answer in made] == [202, 202, 202]
                assert job_ids(client) == {answer.json()["jobId"] for answer in made}


@pytest.mark.parametrize("kind", ["nginx", "haproxy"])
def test_behind_a_proxy_a_killed_replica_loses_nothing_that_was_answered(place: str, kind: str, tmp_path: Path) -> None:
    """Its keys are served again within the lease, and each has its jobs, none twice."""
    with replicas(place, "--frozen") as mocks, proxy(kind, mocks, tmp_path) as url:
        answered = {}
        for key in keys(8):
            with through(url, key) as client:
                answered[key] = submit(client).json()["jobId"]
        mocks[0].kill()
        for key, job in answered.items():
            with through(url, key) as client:
                wait_for(lambda client=client: client.get("/v1/me").status_code == 200)
                assert job_ids(client) == {job}
                assert submit(client).status_code == 202


@pytest.mark.parametrize("kind", ["nginx", "haproxy"])
def test_events_pass_a_proxy_and_go_on_from_the_next_owner(place: str, kind: str, tmp_path: Path) -> None:
    """A listener whose replica is killed reads the sandbox anew: `hello` says that it is not resumed."""

    def listened(last: str) -> str:
        with client.stream("GET", "/__mock/events", headers={"last-event-id": last} if last else {}) as events:
            if events.status_code != 200:
                return ""
            lines = events.iter_lines()
            last = next(each for each in lines if each.startswith("id: ")).removeprefix("id: ")
            hello = next(each for each in lines if each.startswith("data: "))
            assert '"isResumed":false' in hello
            submit(client)
            assert any("submitRenderJob" in each for each in lines)
            return last

    with replicas(place, "--frozen") as mocks, proxy(kind, mocks, tmp_path) as url, through(url, keys(1)[0]) as client:
        first = listened("")
        for mock in mocks:
            if httpx.get(f"{mock.url}/v1/me", headers=client.headers).status_code == 200:
                mock.kill()
                break
        wait_for(lambda: listened(first))


def test_a_stream_passes_nginx_event_by_event(place: str, tmp_path: Path) -> None:
    """Nothing is held back, also by way of the owner."""
    with replicas(place, "--frozen") as mocks, proxy("nginx", mocks, tmp_path) as url:
        for mock in mocks:
            key = f"vs_prod_{mocks.index(mock):032x}"
            with mock.client(key) as direct, through(url, key) as client:
                job = submit(direct).json()["jobId"]
                with client.stream("GET", f"/v1/jobs/{job}/progress") as stream:
                    assert next(stream.iter_lines()).startswith("id: 0")
