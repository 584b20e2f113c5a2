"""Sleeps of a process on a sandbox's clock: clients as people write them, unmodified."""

from __future__ import annotations

import asyncio
import datetime
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from math import ceil
from time import monotonic, sleep
from types import ModuleType
from typing import Any

import aiohttp
import anyio
import backoff
import freezegun
import httpx
import pytest
import requests
import tenacity
import time_machine
import trio
import urllib3
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tests.conftest import LiveServer

from viralsync_mock.app import create_app
from viralsync_mock.client import Sandbox
from viralsync_mock.clock import Mode
from viralsync_mock.errors import UsageError
from viralsync_mock.randomness import hexadecimal
from viralsync_mock.server import BackgroundServer
from viralsync_mock.settings import Settings

MOVIE = {"kind": "movie", "projectId": "proj_demo01", "movie": {"scenes": [{"id": "only", "duration": 52}]}}
END = ("done", "failed", "cancelled")
POLLS = 34
"""A movie of 52 s is rendered in 162 s: with a look every 5 s, the 34th finds it done."""

REAL_LIMIT = 20
"""Real seconds that no client needs on the slowest machine; without virtual time each would take 165."""

SPEED = 40
"""How many times as fast as real time a scaled clock runs here."""

BUSY = 0.6
"""Share of the looks, or of the speed, that a busy machine leaves to threads that really sleep: a queue leaves less."""

real_monotonic = time.monotonic


@pytest.fixture(scope="module")
def server() -> Iterator[BackgroundServer]:
    with BackgroundServer(create_app(Settings(clock=Mode.JUMP))) as server:
        yield server


@pytest.fixture(params=["in this process", "over HTTP"])
def sandbox(server: BackgroundServer, request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """Yield a sandbox on an auto clock, whose clock is reached in both ways."""
    with Sandbox(server.base_url, f"vs_prod_{hexadecimal(request.node.nodeid, length=32)}") as sandbox:
        sandbox.open(clock="auto")
        if request.param == "in this process":
            sandbox.local_clock = server.clock(sandbox.api_key)
        yield sandbox


@pytest.fixture
def local(server: BackgroundServer, request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """Yield a sandbox whose clock is in this process."""
    with Sandbox(server.base_url, f"vs_prod_{hexadecimal(request.node.nodeid, length=32)}") as sandbox:
        sandbox.local_clock = server.clock(sandbox.api_key)
        yield sandbox.open(clock="auto")


# ---------------------------------------------------------------- clients


def with_requests(url: str, headers: dict[str, str]) -> int:
    job = requests.post(f"{url}/v1/render/jobs", json=MOVIE, headers=headers, timeout=10).json()["jobId"]
    polls = 1
    while requests.get(f"{url}/v1/jobs/{job}", headers=headers, timeout=10).json()["status"] not in END:
        time.sleep(5)
        polls += 1
    return polls


def with_tenacity(url: str, headers: dict[str, str]) -> int:
    with httpx.Client(base_url=url, headers=headers) as client:
        job = client.post("/v1/render/jobs", json=MOVIE).json()["jobId"]
        retrying = tenacity.Retrying(
            wait=tenacity.wait_fixed(5), retry=tenacity.retry_if_result(lambda status: status not in END)
        )
        retrying(lambda: client.get(f"/v1/jobs/{job}").json()["status"])
        return int(retrying.statistics["attempt_number"])


async def polls_of(url: str, headers: dict[str, str]) -> int:
    async with httpx.AsyncClient(base_url=url, headers=headers) as client:
        job = (await client.post("/v1/render/jobs", json=MOVIE)).json()["jobId"]
        polls = 1
        while (await client.get(f"/v1/jobs/{job}")).json()["status"] not in END:
            await anyio.sleep(5)
            polls += 1
        return polls


def with_asyncio(url: str, headers: dict[str, str]) -> int:
    return asyncio.run(polls_of(url, headers))


def with_trio(url: str, headers: dict[str, str]) -> int:
    return trio.run(polls_of, url, headers)


def with_an_event(url: str, headers: dict[str, str]) -> int:
    stop, polls = threading.Event(), 1
    with httpx.Client(base_url=url, headers=headers) as client:
        job = client.post("/v1/render/jobs", json=MOVIE).json()["jobId"]
        while client.get(f"/v1/jobs/{job}").json()["status"] not in END:
            stop.wait(5)
            polls += 1
    return polls


CLIENTS = (with_requests, with_tenacity, with_asyncio, with_trio, with_an_event)


@pytest.mark.parametrize("client", CLIENTS)
def test_an_unmodified_client_polls_as_often_as_in_real_time(
    sandbox: Sandbox, client: Callable[[str, dict[str, str]], int]
) -> None:
    """Its sleeps pass on the sandbox's clock, and in no real time."""
    before, start = real_monotonic(), sandbox.clock.now
    with sandbox.virtual_time():
        polls = client(sandbox.base_url, sandbox.headers)
    assert polls == POLLS == len(sandbox.journal.calls("getJob"))
    assert 164 < (sandbox.clock.now - start).total_seconds() < 175
    assert real_monotonic() - before < REAL_LIMIT


def test_pollers_in_threads_sleep_at_the_same_time(local: Sandbox) -> None:
    """Three pollers take as long as one."""
    start = local.clock.now
    with local.virtual_time(), ThreadPoolExecutor(3) as pool:
        polls = list(pool.map(lambda _: with_an_event(local.base_url, local.headers), range(3)))
    assert all(abs(each - POLLS) <= 1 for each in polls)
    assert (local.clock.now - start).total_seconds() < 180


def test_pollers_in_one_loop_sleep_at_the_same_time(local: Sandbox) -> None:
    """Three tasks with aiohttp, each with as many polls as alone."""

    async def poll() -> int:
        async with aiohttp.ClientSession(local.base_url, headers=local.headers) as session:
            job = (await (await session.post("/v1/render/jobs", json=MOVIE)).json())["jobId"]
            polls = 1
            while (await (await session.get(f"/v1/jobs/{job}")).json())["status"] not in END:
                await asyncio.sleep(5)
                polls += 1
            return polls

    async def crowd() -> list[int]:
        return await asyncio.gather(*(poll() for _ in range(3)))

    with local.virtual_time():
        assert asyncio.run(crowd()) == [POLLS] * 3


def test_workers_meet_the_rate_limit_as_in_real_time(local: Sandbox) -> None:
    """Five of them at two calls a second for half a minute: 120 of 300 calls are let through."""

    def work(_: int) -> int:
        with httpx.Client(base_url=local.base_url, headers=local.headers) as client:
            statuses = []
            for _ in range(60):
                statuses.append(client.get("/v1/me").status_code)
                time.sleep(0.5)
            return statuses.count(200)

    with local.virtual_time(), ThreadPoolExecutor(5) as pool:
        assert sum(pool.map(work, range(5))) == 120


def test_a_client_that_obeys_retry_after_waits_it_out(local: Sandbox) -> None:
    """urllib3's Retry sleeps for the minute that the API asks for."""
    local.exhaust("rate")
    start = local.clock.now
    with local.virtual_time(), urllib3.PoolManager(retries=urllib3.Retry(3, status_forcelist=[429])) as pool:
        assert pool.request("GET", f"{local.base_url}/v1/me", headers=local.headers).status == 200
    assert 59 < (local.clock.now - start).total_seconds() < 62


def test_retries_wait_longer_each_time(local: Sandbox) -> None:
    """Those of requests, by urllib3's Retry: at once, then after 4 s and 8 s."""
    local.faults.arm(status=503, times=3)
    retry = urllib3.Retry(5, backoff_factor=2, status_forcelist=[503])
    with local.virtual_time(), requests.Session() as session:
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retry))
        assert session.get(f"{local.base_url}/v1/me", headers=local.headers, timeout=10).status_code == 200
    instants = [call.at for call in local.journal.calls("getMe")]
    assert [round((after - before).total_seconds()) for before, after in pairwise(instants)] == [0, 4, 8]


def crowd(sandbox: Sandbox, pauses: Sequence[float], pause: Callable[[float], object]) -> list[int]:
    """Let threads look at one job, each at its own pace, until it is done; return how often each has looked."""
    with sandbox.client() as client:
        job = client.post("/v1/render/jobs", json=MOVIE).json()["jobId"]

    def polls(seconds: float) -> int:
        looks = 1
        with sandbox.client() as client:
            while client.get(f"/v1/jobs/{job}").json()["status"] not in END:
                pause(seconds)
                looks += 1
        return looks

    with ThreadPoolExecutor(len(pauses)) as pool:
        return list(pool.map(polls, pauses))


def virtual_crowd(server: BackgroundServer, pauses: Sequence[float]) -> list[int]:
    """Return how often each looks who sleeps in virtual time."""
    with Sandbox(server.base_url, f"vs_prod_{hexadecimal('crowd', *pauses, length=32)}") as sandbox:
        sandbox.open(clock="jump")
        sandbox.local_clock = server.clock(sandbox.api_key)
        with sandbox.virtual_time():
            return crowd(sandbox, pauses, time.sleep)


@hypothesis_settings(max_examples=8)
@given(pauses=st.lists(st.integers(3, 60), min_size=2, max_size=5))
def test_law_a_crowd_polls_as_often_as_each_alone(server: BackgroundServer, pauses: list[int]) -> None:
    """Each as often as the 162 s of the job allow."""
    found, expected = virtual_crowd(server, pauses), [ceil(162 / pause) + 1 for pause in pauses]
    assert all(abs(one - other) <= 1 for one, other in zip(found, expected, strict=True)), (found, expected)


@pytest.mark.parametrize("pauses", [(10, 15, 30, 30), (12, 12, 12)])
def test_law_a_crowd_polls_as_often_as_on_a_scaled_clock(server: BackgroundServer, pauses: tuple[int, ...]) -> None:
    """In about 5 s of real time: there threads really sleep, a fortieth of their pauses, or more on a busy machine."""
    with Sandbox(server.base_url, f"vs_prod_{hexadecimal('scaled', *pauses, length=32)}") as sandbox:
        sandbox.open().clock.real(SPEED)
        before = real_monotonic()
        scaled = crowd(sandbox, pauses, lambda seconds: threading.Event().wait(seconds / SPEED))
        assert real_monotonic() - before < REAL_LIMIT
    virtual = virtual_crowd(server, pauses)
    looks = zip(virtual, scaled, strict=True)
    assert all(BUSY * one - 1 <= other <= one + 1 for one, other in looks), (virtual, scaled)


# ---------------------------------------------------------------- deadlines


def test_a_retry_gives_up_at_its_deadline(local: Sandbox) -> None:
    """A job that is stuck: 300 virtual seconds."""
    local.scenario("stuck")
    start = local.clock.now
    with local.virtual_time(), httpx.Client(base_url=local.base_url, headers=local.headers) as client:
        job = client.post("/v1/render/jobs", json=MOVIE).json()["jobId"]
        retrying = tenacity.Retrying(
            wait=tenacity.wait_fixed(5),
            stop=tenacity.stop_after_delay(300),
            retry=tenacity.retry_if_result(lambda status: status not in END),
        )
        with pytest.raises(tenacity.RetryError):
            retrying(lambda: client.get(f"/v1/jobs/{job}").json()["status"])
    assert 300 <= (local.clock.now - start).total_seconds() < 310


def until_a_deadline(look: Callable[[], str]) -> None:
    deadline = datetime.datetime.now() + datetime.timedelta(minutes=5)  # noqa: DTZ005 - as many clients do
    while look() not in END and datetime.datetime.now() < deadline:  # noqa: DTZ005
        time.sleep(5)


def with_backoff(look: Callable[[], str]) -> None:
    polling = backoff.on_predicate(backoff.constant, lambda status: status not in END, max_time=300, interval=5)
    polling(look)()


class Poller:
    """A poller as a class, whose method asks for the present in UTC."""

    @staticmethod
    def run(look: Callable[[], str]) -> None:
        began = datetime.datetime.now(datetime.UTC)
        while look() not in END and (datetime.datetime.now(datetime.UTC) - began).total_seconds() < 300:
            time.sleep(5)


def with_monotonic(look: Callable[[], str]) -> None:
    began = monotonic()
    while look() not in END and monotonic() - began < 300:
        sleep(5)


@pytest.mark.parametrize("poll", [until_a_deadline, with_backoff, Poller.run, with_monotonic])
def test_a_deadline_of_five_minutes_expires(local: Sandbox, poll: Callable[[Callable[[], str]], None]) -> None:
    """On a stuck job, in less than a second of real time: the clients read the time in different ways."""
    local.scenario("stuck")
    start, before = local.clock.now, real_monotonic()
    with local.virtual_time(), local.client() as client:
        job = client.post("/v1/render/jobs", json=MOVIE).json()["jobId"]
        poll(lambda: client.get(f"/v1/jobs/{job}").json()["status"])
    assert 290 <= (local.clock.now - start).total_seconds() < 310
    assert real_monotonic() - before < REAL_LIMIT


def test_a_datetime_stays_what_it_is(local: Sandbox) -> None:
    """The class that asks for the present makes real datetimes, and knows them."""
    real, module = datetime.datetime, datetime
    with local.virtual_time():
        made = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        read = datetime.datetime.fromisoformat("2026-01-01T00:00:00+00:00")
        assert type(made) is type(read) is real
        assert isinstance(made, datetime.datetime)
        assert made == read
        before = datetime.datetime.now(datetime.UTC)
        time.sleep(3600)
        assert 3600 <= (datetime.datetime.now(datetime.UTC) - before).total_seconds() < 3700
    assert datetime is module


def test_time_outs_of_asyncio_expire(local: Sandbox) -> None:
    """In `wait_for`, and in the order of their lengths."""
    ended = []

    async def wait(seconds: float) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), seconds)
        ended.append(seconds)

    async def main() -> float:
        start = asyncio.get_running_loop().time()
        await asyncio.gather(*(wait(seconds) for seconds in (90, 30, 60)))
        return asyncio.get_running_loop().time() - start

    with local.virtual_time():
        assert 90 <= asyncio.run(main()) < 95
    assert ended == [30, 60, 90]


def test_asynchronous_retries_give_up_at_their_deadline(local: Sandbox) -> None:
    """Those of tenacity, which sleep in the loop."""
    retrying = tenacity.AsyncRetrying(
        wait=tenacity.wait_fixed(5), stop=tenacity.stop_after_delay(300), retry=tenacity.retry_if_result(lambda _: True)
    )

    async def look() -> None: ...

    start = local.clock.now
    with local.virtual_time(), pytest.raises(tenacity.RetryError):
        asyncio.run(retrying(look))  # type: ignore[arg-type]
    assert 299 <= (local.clock.now - start).total_seconds() < 310  # real milliseconds count too


def test_a_timer_fires_on_the_clock(local: Sandbox) -> None:
    """After its minute."""
    start = local.clock.now
    with local.virtual_time():
        fired = threading.Event()
        timer = threading.Timer(60, fired.set)
        timer.start()
        fired.wait()
        timer.join()
    assert 60 <= (local.clock.now - start).total_seconds() < 65


def test_time_outs_of_trio_expire(local: Sandbox) -> None:
    """`move_on_after` ends, and the run's time has gone on."""

    async def main() -> float:
        start = trio.current_time()
        with trio.move_on_after(60):
            await trio.sleep_forever()
        return trio.current_time() - start

    with local.virtual_time():
        assert 60 <= trio.run(main) < 65


def test_waits_of_threads_end_at_their_time_outs(local: Sandbox) -> None:
    """Event, condition, queue and future, each after 30 s."""
    condition, start = threading.Condition(), local.clock.now
    with local.virtual_time():
        assert not threading.Event().wait(30)
        with condition:
            assert not condition.wait_for(lambda: False, 30)
        with pytest.raises(queue.Empty):
            queue.Queue[None]().get(timeout=30)
        with pytest.raises(TimeoutError):
            Future[None]().result(timeout=30)
    assert 119 < (local.clock.now - start).total_seconds() < 125


def test_a_wait_that_is_over_early_leaves_no_wake_up(local: Sandbox) -> None:
    """An event that is set after 2 s of 60 returns True, and no time goes on to 60."""
    event, start = threading.Event(), local.clock.now
    with local.virtual_time():
        setter = threading.Thread(target=lambda: (time.sleep(2), event.set()))
        setter.start()
        assert event.wait(60)
        setter.join()
        time.sleep(1)
    assert 2.5 < (local.clock.now - start).total_seconds() < 10


def naps(
    server: BackgroundServer, sandbox: Sandbox, lengths: Sequence[int], pause: Callable[[float], object]
) -> dict[int, float]:
    """Let threads sleep at once, each for its own length; return when each ends, in this order."""
    ended: dict[int, float] = {}
    ready = threading.Barrier(len(lengths))
    clock = server.clock(sandbox.api_key)
    start = clock.now()

    def nap(seconds: int) -> None:
        ready.wait()
        pause(seconds)
        ended[seconds] = (clock.now() - start).total_seconds()

    with ThreadPoolExecutor(len(lengths)) as pool:
        list(pool.map(nap, lengths))
    return ended


def virtual_naps(server: BackgroundServer, lengths: Sequence[int]) -> dict[int, float]:
    """Return when each of some sleeps in virtual time ends."""
    with Sandbox(server.base_url, f"vs_prod_{hexadecimal('overlap', *lengths, length=32)}") as sandbox:
        sandbox.open(clock="jump")
        sandbox.local_clock = server.clock(sandbox.api_key)
        with sandbox.virtual_time():
            return naps(server, sandbox, lengths, time.sleep)


@hypothesis_settings(max_examples=10)
@given(lengths=st.lists(st.integers(1, 500), min_size=1, max_size=6, unique=True))
def test_law_sleepers_overlap(server: BackgroundServer, lengths: list[int]) -> None:
    """Each ends at its own length, in this order; the clock ends at the longest."""
    ended = virtual_naps(server, lengths)
    assert list(ended) == sorted(lengths)
    assert all(abs(at - length) < 0.5 for length, at in ended.items())


def test_law_sleepers_overlap_as_on_a_scaled_clock(server: BackgroundServer) -> None:
    """In 2 s of real time: there threads really sleep, a fortieth of their lengths, or more on a busy machine."""
    lengths = (80, 20, 60, 40)
    with Sandbox(server.base_url, f"vs_prod_{hexadecimal('scaled naps', length=32)}") as sandbox:
        sandbox.open().clock.real(SPEED)
        scaled = naps(server, sandbox, lengths, lambda seconds: threading.Event().wait(seconds / SPEED))
    virtual = virtual_naps(server, lengths)
    assert list(virtual) == list(scaled)
    assert all(virtual[each] - 0.5 <= scaled[each] < virtual[each] / BUSY + 10 for each in lengths), (virtual, scaled)


# ---------------------------------------------------------------- what is patched


def poll_every(seconds: float = 5, pause: Callable[[float], None] = time.sleep) -> Callable[[float], None]:
    """Have a default argument that is `time.sleep`, as many clients do."""
    del seconds
    return pause


def functions() -> list[Any]:
    names = ("sleep", "monotonic", "time", "perf_counter", "monotonic_ns", "time_ns", "perf_counter_ns")
    loop: Any = asyncio.BaseEventLoop
    return [
        *(getattr(time, name) for name in names),
        *(sleep, monotonic, poll_every(), threading.Condition.wait, loop._run_once),
        *(trio._core._run.SystemClock.current_time, trio._core._run.SystemClock.deadline_to_sleep_time),
    ]


def test_nothing_is_left_patched(local: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the test fails in the middle, and in modules that were loaded meanwhile."""
    before, late = functions(), ModuleType("loaded_late")
    monkeypatch.setitem(sys.modules, "loaded_late", late)

    def fail() -> None:
        with local.virtual_time():
            vars(late)["wait"] = time.sleep
            assert all(now is not then for now, then in zip(functions(), before, strict=True))
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert [*functions(), vars(late)["wait"]] == [*before, before[0]]


def test_a_reset_ends_all_sleeps(local: Sandbox) -> None:
    """On a clock that stands still too."""
    local.clock.freeze()
    with local.virtual_time(), ThreadPoolExecutor(1) as pool:
        nap = pool.submit(time.sleep, 60)
        local.reset()
    assert nap.done()


def test_an_exempt_module_sleeps_in_real_time(local: Sandbox) -> None:
    """Its functions stay those of the system, those of others do not."""
    database = ModuleType("database.pool")
    exec("import time\ndef nap(): time.sleep(0.001)\ndef now(): return time.monotonic()", vars(database))  # noqa: S102
    start = local.clock.now
    with local.virtual_time(exempt=["database"]):
        database.nap()
        time.sleep(60)
        assert time.monotonic() - database.now() > 59
    assert 60 <= (local.clock.now - start).total_seconds() < 60.001


def test_a_loop_that_lives_on_keeps_its_time(local: Sandbox) -> None:
    """Timers that were set in virtual time are due when they were to be."""

    async def main() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        with local.virtual_time():
            await asyncio.sleep(60)
            inside = loop.time()
        return inside, loop.time()

    inside, outside = asyncio.run(main())
    assert 0 <= outside - inside < 30


# ---------------------------------------------------------------- beside others


def test_one_virtual_time_at_a_time(local: Sandbox) -> None:
    """A process cannot sleep on two clocks; the first goes on."""
    with local.virtual_time():
        with pytest.raises(UsageError, match="virtual time is on already"):
            local.virtual_time().__enter__()
        time.sleep(60)
    assert local.clock.mode == "auto"


def test_freezegun_is_refused(local: Sandbox) -> None:
    """With a sentence."""
    with freezegun.freeze_time("2026-01-01"), pytest.raises(UsageError, match="freezegun is active"):
        local.virtual_time().__enter__()


def test_time_machine_is_refused(local: Sandbox) -> None:
    """With a sentence."""
    with time_machine.travel("2026-01-01"), pytest.raises(UsageError, match="time-machine is active"):
        local.virtual_time().__enter__()


def test_freezegun_inside_is_refused_at_the_next_sleep(local: Sandbox) -> None:
    """Also when it has ended: it leaves the system's functions behind."""
    before = functions()
    with local.virtual_time():
        with freezegun.freeze_time("2026-01-01"):
            pass
        with pytest.raises(UsageError, match="as freezegun does"):
            time.sleep(1)
    assert functions() == before


def test_time_machine_works_inside(local: Sandbox) -> None:
    """The instant is where it has travelled to, and goes on with the clock."""
    with local.virtual_time(), time_machine.travel(1_000_000_000, tick=False):
        time.sleep(60)
        assert 1_000_000_060 <= time.time() < 1_000_000_061


def test_the_clock_is_auto_again(live_server: LiveServer) -> None:
    """A clock in another mode keeps it, also inside."""
    with live_server.client() as api, Sandbox(live_server.base_url, api.headers["x-api-key"]) as sandbox:
        sandbox.open(clock="auto")
        with sandbox.virtual_time():
            assert sandbox.clock.mode == "jump"
        assert sandbox.clock.mode == "auto"
