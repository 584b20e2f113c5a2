"""A clock in mode `jump`: it moves when everybody waits, and only then."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from threading import Event
from typing import Any, TypeVar

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import LiveServer, movie
from tests.support.webhook_receiver import Receiver

from viralsync_mock.app import create_app
from viralsync_mock.clock import EPOCH, Clock, Mode, RealTime
from viralsync_mock.registry import SandboxRegistry
from viralsync_mock.sandbox import Sandbox
from viralsync_mock.scenarios.model import Scenario
from viralsync_mock.server import BackgroundServer
from viralsync_mock.settings import Settings
from viralsync_mock.state import MockServer

T = TypeVar("T")

LENGTHS = st.lists(st.integers(1, 10_000_000).map(lambda milliseconds: milliseconds / 1000), min_size=1, max_size=12)
SCENARIO = Scenario("story", "A story.")
KEY = f"vs_prod_{7:032x}"


def seconds_of(sandbox: Sandbox) -> float:
    """Return how far the clock of a sandbox has gone."""
    return (sandbox.clock.now() - EPOCH).total_seconds()


def run(story: Callable[[Sandbox], Coroutine[Any, Any, None]]) -> None:
    """Tell a story in a sandbox with a clock that jumps without a threshold."""

    async def told() -> None:
        sandbox = SandboxRegistry(Settings(clock=Mode.JUMP)).open(KEY, SCENARIO)
        sandbox.clock.threshold = 0
        await asyncio.wait_for(story(sandbox), timeout=30)

    asyncio.run(told())


@given(LENGTHS)
def test_law_sleepers_end_at_their_own_instants_in_order(lengths: list[float]) -> None:
    """Concurrent sleeps overlap: each ends at start + length, and the clock ends at the longest."""
    ended: list[tuple[float, float]] = []

    async def story(sandbox: Sandbox) -> None:
        async def sleeper(length: float) -> None:
            await sandbox.sleep(length)
            ended.append((length, seconds_of(sandbox)))

        await asyncio.gather(*map(sleeper, lengths))
        assert seconds_of(sandbox) == max(lengths)

    run(story)
    assert ended == [(length, length) for length in sorted(lengths)]


@given(st.lists(LENGTHS, min_size=1, max_size=5))
def test_law_sleepers_that_sleep_again_and_again_keep_their_own_time(naps: list[list[float]]) -> None:
    """The clock ends at the longest sum; nobody's sleep is longer or shorter because others sleep."""
    sums: list[float] = []

    async def story(sandbox: Sandbox) -> None:
        async def sleeper(lengths: list[float]) -> None:
            for length in lengths:
                await sandbox.sleep(length)
            sums.append(round(seconds_of(sandbox), 3))

        await asyncio.gather(*map(sleeper, naps))

    run(story)
    assert sums == sorted(round(sum(lengths), 3) for lengths in naps)


@given(st.lists(st.integers(1, 500).map(lambda hundredths: hundredths / 100), min_size=1, max_size=6))
def test_law_no_window_lets_more_than_the_limit_through(pauses: list[float]) -> None:
    """Workers at different job_timings meet the rate limit as in real time: at most 120 calls in any 60 s."""
    counted: list[float] = []

    async def story(sandbox: Sandbox) -> None:
        async def worker(pause: float) -> None:
            for _ in range(60):
                if sandbox.store.count_request(sandbox.clock.now(), 120, 60).free_at is None:
                    counted.append(seconds_of(sandbox))
                await sandbox.sleep(pause)

        await asyncio.gather(*map(worker, pauses))

    run(story)
    assert all(late - early >= 60 for early, late in zip(counted, counted[120:], strict=False))
    assert counted == sorted(counted)


Actor = Callable[[Sandbox, list[float]], Coroutine[Any, Any, None]]


def poller(pause: float, looks: int) -> Actor:
    """Return a client that calls, sleeps, and calls again."""

    async def act(sandbox: Sandbox, seen: list[float]) -> None:
        for _ in range(looks):
            sandbox.clock.begin_call()
            await asyncio.tasks.sleep(0)
            seen.append(seconds_of(sandbox))
            sandbox.clock.end_call()
            await sandbox.sleep(pause)

    return act


def follower(steps: list[float]) -> Actor:
    """Return a stream that waits for one step after the other."""

    async def act(sandbox: Sandbox, seen: list[float]) -> None:
        with sandbox.clock.alarm() as alarm:
            for step in steps:
                await alarm.until(EPOCH + timedelta(seconds=step))
                seen.append(seconds_of(sandbox))

    return act


def receiver(instants: list[float]) -> Actor:
    """Return a sender of webhooks whose receiver takes a few turns of the loop for each."""

    async def act(sandbox: Sandbox, seen: list[float]) -> None:
        for instant in instants:
            delivery = object()
            with sandbox.clock.alarm() as alarm:
                await alarm.until(EPOCH + timedelta(seconds=instant))
                sandbox.clock.begin_delivery(delivery)
            for _ in range(5):
                await asyncio.tasks.sleep(0)
            seen.append(seconds_of(sandbox))
            sandbox.clock.end_delivery(delivery)

    return act


INSTANTS = st.lists(st.integers(0, 60_000).map(lambda n: n / 1000), min_size=1, max_size=6).map(sorted)
ACTORS = (
    st.builds(poller, st.integers(1, 20_000).map(lambda n: n / 1000), st.integers(1, 6))
    | st.builds(follower, INSTANTS)
    | st.builds(receiver, INSTANTS)
)


def seen_by(actors: list[Actor]) -> list[list[float]]:
    """Return what each of these sees of the clock when they act together."""
    logs: list[list[float]] = [[] for _ in actors]

    async def story(sandbox: Sandbox) -> None:
        sandbox.clock.patience = 3600  # every delivery ends
        await asyncio.gather(*(actor(sandbox, log) for actor, log in zip(actors, logs, strict=True)))

    run(story)
    return logs


@given(st.lists(ACTORS, min_size=2, max_size=5))
def test_law_in_a_crowd_each_client_makes_its_calls_when_it_would_alone(actors: list[Actor]) -> None:
    """Pollers, streams and receivers of webhooks do not make time pass for each other."""
    assert seen_by(actors) == [seen_by([actor])[0] for actor in actors]


def test_nothing_moves_while_a_call_is_being_answered() -> None:
    """A sleeper wakes up only after the call has ended."""

    async def story(sandbox: Sandbox) -> None:
        sandbox.clock.begin_call()
        sleeping = asyncio.ensure_future(sandbox.sleep(5))
        for _ in range(50):
            await asyncio.tasks.sleep(0)
        assert (sleeping.done(), seconds_of(sandbox)) == (False, 0)
        sandbox.clock.end_call()
        await sleeping
        assert seconds_of(sandbox) == 5

    run(story)


def test_nothing_moves_while_something_due_is_being_delivered() -> None:
    """A woken waiter that has not settled keeps the next sleeper asleep."""

    async def story(sandbox: Sandbox) -> None:
        with sandbox.clock.alarm() as alarm:
            sleeping = asyncio.ensure_future(sandbox.sleep(6))
            await alarm.until(EPOCH + timedelta(seconds=5))
            for _ in range(50):
                await asyncio.tasks.sleep(0)
            assert (sleeping.done(), seconds_of(sandbox)) == (False, 5)
        await sleeping

    run(story)


def test_a_claim_that_everybody_sleeps_ends_with_a_call() -> None:
    """Its caller is awake again, so the threshold counts."""

    async def story(sandbox: Sandbox) -> None:
        sandbox.clock.threshold = 3600
        sandbox.clock.begin_call()
        sleeping = asyncio.ensure_future(sandbox.sleep(5, all_asleep=True))
        await asyncio.tasks.sleep(0)
        sandbox.clock.end_call()
        for _ in range(50):
            await asyncio.tasks.sleep(0)
        assert not sleeping.done()
        sleeping.cancel()

    run(story)


def test_the_clock_waits_longer_when_more_sleep_than_ever_before() -> None:
    """A crowd may be arriving; once it has slept, its later sleeps cost no more than the threshold."""

    async def story(sandbox: Sandbox) -> None:
        clock, quiet = sandbox.clock, list[float]()
        clock.threshold = 0.001
        for number in (1, 2, 2, 1):
            sleeps = [asyncio.ensure_future(sandbox.sleep(5)) for _ in range(number)]
            await asyncio.tasks.sleep(0)
            quiet.append(clock._required_quiet())
            await asyncio.gather(*sleeps)
        assert quiet == [0.02, 0.02, 0.001, 0.001]

    run(story)


def test_a_busy_machine_makes_the_clock_wait_longer() -> None:
    """A timer that fires late starts the threshold anew, for a while."""
    now = [0.0]

    async def story() -> None:
        clock = Clock(mode=Mode.JUMP, threshold=0.005, real=RealTime(monotonic=lambda: now[0]))
        sleeping = asyncio.ensure_future(clock.sleep_until(EPOCH + timedelta(seconds=5)))
        await asyncio.tasks.sleep(0)
        for late in (0.004, 0.01, 0.03):  # each time the timer of a slice finds that much later
            now[0] = late
            clock._on_slice(expected=late - 0.003)
            assert clock._quiet_since == late
        now[0] = 10
        clock._on_slice(expected=0.03)
        await asyncio.wait_for(sleeping, timeout=30)

    asyncio.run(story())


def test_a_call_that_only_waits_does_not_keep_the_clock() -> None:
    """An open stream is such a call."""

    async def story(sandbox: Sandbox) -> None:
        sandbox.clock.begin_call()
        with sandbox.clock.waiting_call():
            await sandbox.sleep(5)
        assert (seconds_of(sandbox), sandbox.clock.calls) == (5, 1)

    run(story)


def test_a_clock_does_not_move_for_passive_waiters_alone() -> None:
    """It wakes them in their turn on the way to a wake-up."""
    woken: list[float] = []

    async def story(sandbox: Sandbox) -> None:
        async def passive() -> None:
            with sandbox.clock.alarm() as alarm:
                await alarm.until(EPOCH + timedelta(seconds=1), passive=True)
                woken.append(seconds_of(sandbox))

        waiting = asyncio.ensure_future(passive())
        for _ in range(50):
            await asyncio.tasks.sleep(0)
        assert woken == []
        await asyncio.gather(waiting, sandbox.sleep(5))

    run(story)
    assert woken == [1]


def test_a_named_sleeper_that_woke_up_keeps_the_clock_until_it_sleeps_again() -> None:
    """Another sleeper's end is not passed over its head."""
    seen: list[float] = []

    async def story(sandbox: Sandbox) -> None:
        sandbox.clock.patience = 3600  # only its next sleep lets the clock go on
        other = asyncio.ensure_future(sandbox.sleep(6, "other"))
        await sandbox.sleep(5, "slow")
        for _ in range(50):
            await asyncio.tasks.sleep(0)
        seen.append(seconds_of(sandbox))
        await asyncio.wait([asyncio.ensure_future(sandbox.sleep(10, "slow")), other], return_when="FIRST_COMPLETED")
        seen.append(seconds_of(sandbox))

    run(story)
    assert seen == [5, 6]


def test_a_named_sleeper_that_never_comes_back_keeps_the_clock_only_for_a_while() -> None:
    """A thread that has ended holds nobody up for ever."""

    async def story(sandbox: Sandbox) -> None:
        sandbox.clock.patience = 0.01
        other = asyncio.ensure_future(sandbox.sleep(6, "other"))
        await sandbox.sleep(5, "gone")
        await other
        assert seconds_of(sandbox) == 6

    run(story)


def test_a_caller_whose_sleepers_all_sleep_need_not_wait_for_the_threshold() -> None:
    """The clock jumps at once, however long the threshold is."""

    async def story(sandbox: Sandbox) -> None:
        sandbox.clock.threshold = 3600
        early = asyncio.ensure_future(sandbox.sleep(3, "early"))
        await asyncio.tasks.sleep(0)
        await asyncio.wait(
            [early, asyncio.ensure_future(sandbox.sleep(7, "late", all_asleep=True))], return_when="FIRST_COMPLETED"
        )
        assert seconds_of(sandbox) == 3
        assert await sandbox.sleep(1, "early", all_asleep=True) == EPOCH + timedelta(seconds=4)

    run(story)


def test_a_sleep_that_is_given_up_is_no_wake_up() -> None:
    """The clock goes to the end of the other sleep at once."""

    async def story(sandbox: Sandbox) -> None:
        given_up = asyncio.ensure_future(sandbox.sleep(1))
        await asyncio.tasks.sleep(0)
        given_up.cancel()
        await asyncio.tasks.sleep(0)
        await sandbox.sleep(5)
        assert seconds_of(sandbox) == 5

    run(story)


def test_closing_a_sandbox_ends_its_sleeps() -> None:
    """A reset leaves nobody asleep."""

    async def story(sandbox: Sandbox) -> None:
        sandbox.clock.begin_call()
        sleeping = asyncio.ensure_future(sandbox.sleep(5))
        await asyncio.tasks.sleep(0)
        sandbox.close()
        assert await sleeping == EPOCH

    run(story)


async def test_a_sleep_on_an_auto_clock_moves_it_at_once() -> None:
    """It goes there alone."""
    sandbox = MockServer.start(Settings(clock=Mode.AUTO)).sandbox(KEY)
    assert await sandbox.sleep(10) == EPOCH + timedelta(seconds=10)


async def test_a_sleep_on_a_frozen_clock_waits_for_an_advance() -> None:
    """The clock wakes the sleeper at its own instant."""
    sandbox = MockServer.start(Settings(clock=Mode.FROZEN)).sandbox(KEY)
    sleeping = asyncio.ensure_future(sandbox.sleep(10))
    await asyncio.tasks.sleep(0)
    await sandbox.advance(EPOCH + timedelta(seconds=30))
    assert await sleeping == EPOCH + timedelta(seconds=10)


def test_a_clock_can_begin_to_jump_while_somebody_sleeps() -> None:
    """`set_mode` looks at who waits already."""

    async def story() -> None:
        clock = Clock(threshold=0)
        sleeping = asyncio.ensure_future(clock.sleep_until(EPOCH + timedelta(seconds=5)))
        await asyncio.tasks.sleep(0)
        clock.set_mode(Mode.JUMP)
        await asyncio.wait_for(sleeping, timeout=30)
        assert clock.now() == EPOCH + timedelta(seconds=5)

    asyncio.run(story())


# Over HTTP


def sleep(client: httpx.Client, seconds: float, sleeper: str | None = None) -> str:
    order = {"seconds": seconds} if sleeper is None else {"seconds": seconds, "sleeper": sleeper}
    answer = client.post("/__mock/clock/sleep", json=order, timeout=60)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["now"])


def poll(client: httpx.Client, job_id: str, sleeper: str, pause: float = 5) -> int:
    """Poll a job until its end, and return how many looks it took."""
    for looks in range(1, 500):
        if client.get(f"/v1/jobs/{job_id}").json()["status"] == "done":
            return looks
        sleep(client, pause, sleeper)
    raise AssertionError("the job never ended")


def submit(client: httpx.Client, **more: Any) -> str:
    answer = client.post("/v1/render/jobs", json=movie(**more))
    assert answer.status_code == 202, answer.text
    return str(answer.json()["jobId"])


@pytest.fixture
def jumping(live_server: LiveServer) -> Any:
    """Yield a client of a sandbox whose clock jumps."""
    with live_server.client(clock="jump") as client:
        yield client


@dataclass
class Crowd:
    """Threads whose first sleeps have all begun before the clock moves, however busy the machine is."""

    live_server: LiveServer
    key: str

    def run(self, work: Callable[[int], T], number: int) -> list[T]:
        """Return what each of these threads returns."""
        clock = self.live_server.app.mock.sandbox(self.key).clock
        clock.patience = 30
        with self.live_server.client(self.key) as control, ThreadPoolExecutor(number) as pool:
            control.patch("/__mock/clock", json={"mode": "frozen"})
            results = [pool.submit(work, each) for each in range(number)]
            while len(clock.alarms) < number:
                control.get("/__mock/health")
            control.patch("/__mock/clock", json={"mode": "jump"})
            return [each.result(timeout=60) for each in results]


def test_eight_sleeps_of_ten_seconds_are_ten_seconds(live_server: LiveServer) -> None:
    """They overlap, as in real time."""
    key = live_server.new_key(clock="jump")
    with live_server.client(key) as client:
        ends = Crowd(live_server, key).run(lambda number: sleep(client, 10, f"t{number}"), 8)
    assert ends == ["2026-01-01T00:00:10.000Z"] * 8


def test_three_pollers_poll_as_often_as_each_would_alone(live_server: LiveServer) -> None:
    """A reader of the same job does not make time pass for another."""
    with live_server.client(clock="jump") as alone:
        expected = poll(alone, submit(alone), "alone")
    key = live_server.new_key(clock="jump")
    with live_server.client(key) as client:
        job_id = submit(client)
        looks = Crowd(live_server, key).run(lambda number: poll(client, job_id, f"t{number}"), 3)
    assert looks == [expected] * 3


def test_five_workers_meet_the_rate_limit_as_in_real_time(live_server: LiveServer) -> None:
    """At ten calls a second each, 120 of 150 calls in three seconds are let through."""
    key = live_server.new_key(clock="jump")
    with live_server.client(key) as client:

        def work(number: int) -> list[int]:
            statuses = []
            for _ in range(30):
                statuses.append(client.get("/v1/me").status_code)
                sleep(client, 0.1, f"t{number}")
            return statuses

        statuses = [status for worker in Crowd(live_server, key).run(work, 5) for status in worker]
    assert (statuses.count(200), statuses.count(429)) == (120, 30)


def test_reads_and_refusals_do_not_move_the_clock(jumping: httpx.Client) -> None:
    """A client that never sleeps sees the same instant for ever, and is answered."""
    job_id = submit(jumping)
    statuses = {jumping.get(f"/v1/jobs/{job_id}").json()["status"] for _ in range(100)}
    refused = {jumping.get("/v1/me").status_code for _ in range(30)}
    assert statuses == {"queued"}
    assert refused == {200, 429}
    assert jumping.get("/__mock/clock").json()["now"] == "2026-01-01T00:00:00.000Z"


def test_an_open_stream_moves_the_clock_from_step_to_step(jumping: httpx.Client) -> None:
    """A job of 30 s is told to its end in no time."""
    job_id = submit(jumping)
    with jumping.stream("GET", f"/v1/jobs/{job_id}/progress", timeout=30) as stream:
        told = [line for line in stream.iter_lines() if line.startswith("data:")]
    assert '"done"' in told[-1]
    assert len(told) > 5


def test_webhooks_are_delivered_while_everybody_waits(jumping: httpx.Client) -> None:
    """Until the job has ended; then the clock stands."""
    with Receiver() as receiver:
        submit(jumping, callbackUrl=receiver.url)
        sleep(jumping, 600)
        assert receiver.documents[-1]["status"] == "done"


def test_a_webhook_whose_receiver_sleeps_times_out_in_virtual_time(live_server: LiveServer) -> None:
    """A handler that sleeps longer than the time-out is not waited for in real time, and is not a deadlock."""
    script = {"name": "one", "description": "One.", "behaviour": {"webhook": {"timeout_seconds": 1, "attempts": 1}}}
    done, requests = Event(), count()
    with live_server.client(clock="jump") as client:

        def handler(_: object) -> None:
            if next(requests) == 0:
                sleep(client, 3)
                done.set()

        with Receiver(on_request=handler) as receiver:
            client.put("/__mock/scenario", json=script)
            submit(client, callbackUrl=receiver.url)
            sleep(client, 2)
            assert done.wait(timeout=30)
            sleep(client, 1)
            first = client.get("/__mock/deliveries").json()["deliveries"][-1]["attempts"][0]
    assert first["problem"] == "timed_out", first


def test_a_sleep_without_http() -> None:
    """A process that has the server in a thread need not send a request."""
    with BackgroundServer(create_app(Settings(clock=Mode.JUMP))) as server:
        futures = [server.sleep(KEY, 10, f"t{number}") for number in range(8)]
        last = server.sleep(KEY, 12, "main", all_asleep=True)
        assert {future.result(timeout=30) for future in futures} == {EPOCH + timedelta(seconds=10)}
        assert last.result(timeout=30) == EPOCH + timedelta(seconds=12)


@pytest.mark.parametrize("order", [{}, {"seconds": -1}, {"seconds": 1e9}, {"seconds": 1, "sleper": "a"}])
def test_a_sleep_that_cannot_be_is_refused(jumping: httpx.Client, order: dict[str, Any]) -> None:
    """Negative, too long, or with an unknown key."""
    assert jumping.post("/__mock/clock/sleep", json=order).status_code == 400
