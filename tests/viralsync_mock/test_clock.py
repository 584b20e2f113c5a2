"""The virtual clock: modes, moving, and those who wait on it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viralsync_mock.clock import EPOCH, LAST, Clock, Mode, RealTime
from viralsync_mock.errors import ClockError
from viralsync_mock.jobs.models import add_seconds


@dataclass
class Hands:
    """Real time as a test moves it."""

    seconds: float = 0.0

    def real(self) -> RealTime:
        """Return the real time that these hands show."""
        return RealTime(wall=lambda: EPOCH, monotonic=lambda: self.seconds)


def test_a_frozen_clock_stands_still_while_real_time_passes() -> None:
    """Only orders move a frozen clock."""
    hands = Hands()
    clock = Clock(mode=Mode.FROZEN, real=hands.real())
    hands.seconds = 1000
    assert clock.now() == EPOCH


@pytest.mark.parametrize(("mode", "speed", "expected"), [(Mode.REAL, 1.0, 7), (Mode.SCALED, 60.0, 420)])
def test_a_flowing_clock_follows_real_time_at_its_rate(mode: Mode, speed: float, expected: float) -> None:
    """Seven real seconds are seven pretended ones, or sixty times as many."""
    hands = Hands()
    clock = Clock(mode=mode, speed=speed, real=hands.real())
    hands.seconds = 7
    assert clock.now() == add_seconds(EPOCH, expected)


async def test_changing_the_mode_keeps_the_present_instant() -> None:
    """A clock that ran fast goes on from where it is, not from where real time is."""
    hands = Hands()
    clock = Clock(mode=Mode.SCALED, speed=100.0, real=hands.real())
    hands.seconds = 10
    clock.set_mode(Mode.FROZEN)
    hands.seconds = 20
    assert clock.now() == add_seconds(EPOCH, 1000)


@pytest.mark.parametrize("rate", [0, -1, 1e9, float("nan")])
def test_a_rate_out_of_bounds_is_refused(rate: float) -> None:
    """A scaled clock goes forward, and not faster than a million to one."""
    with pytest.raises(ClockError, match="expected a number above 0"):
        Clock().set_mode(Mode.SCALED, rate)


def test_an_unknown_mode_is_refused_with_the_nearest_word() -> None:
    """A slip of the pen is named."""
    with pytest.raises(ClockError, match='Did you mean "frozen"'):
        Mode.named("freezed")


async def test_the_clock_never_goes_back() -> None:
    """Moving to the past is an error that says both instants."""
    with pytest.raises(ClockError, match="only goes forward"):
        await Clock().advance(EPOCH - timedelta(seconds=1))


async def test_the_clock_ends_before_dates_do() -> None:
    """An instant beyond the last is refused."""
    with pytest.raises(ClockError, match="the clock ends"):
        await Clock().advance(LAST + timedelta(days=1))


async def wait_for(clock: Clock, seconds: float, seen: list[tuple[float, datetime]]) -> None:
    with clock.alarm() as alarm:
        await alarm.until(add_seconds(EPOCH, seconds))
        seen.append((seconds, clock.now()))


async def started(*waits: object) -> list[asyncio.Task[None]]:
    tasks = [asyncio.ensure_future(wait) for wait in waits]  # type: ignore[arg-type]  # coroutines, all of them
    await asyncio.tasks.sleep(0)
    return tasks


async def test_advance_wakes_everyone_due_in_order_each_at_their_own_instant() -> None:
    """Whoever waited for second 5 sees second 5, although the clock goes to 100."""
    clock, seen = Clock(), list[tuple[float, datetime]]()
    await started(*(wait_for(clock, seconds, seen) for seconds in (30, 5, 200, 10)))
    await clock.advance(add_seconds(EPOCH, 100))
    assert seen == [(s, add_seconds(EPOCH, s)) for s in (5, 10, 30)]
    assert clock.now() == add_seconds(EPOCH, 100)


async def test_advance_returns_only_when_what_was_due_has_been_delivered() -> None:
    """A waiter that takes its time after waking is waited for."""
    clock, delivered, gate = Clock(), list[str](), asyncio.Event()

    async def slow() -> None:
        with clock.alarm() as alarm:
            await alarm.until(add_seconds(EPOCH, 1))
            await gate.wait()
            delivered.append("at last")

    await started(slow())
    advance = asyncio.ensure_future(clock.advance(add_seconds(EPOCH, 2)))
    for _ in range(20):
        await asyncio.tasks.sleep(0)
    assert not advance.done()
    gate.set()
    await advance
    assert delivered == ["at last"]


async def test_an_advance_to_the_very_instant_of_a_waiter_wakes_it() -> None:
    """What is due at the end of an advance is delivered by it."""
    clock, seen = Clock(), list[tuple[float, datetime]]()
    await started(wait_for(clock, 5, seen))
    await clock.advance(add_seconds(EPOCH, 5))
    assert [seconds for seconds, _ in seen] == [5]


async def test_an_earlier_wait_that_was_cut_short_wakes_nobody_later() -> None:
    """A waiter that was woken before second 5 and now waits for second 20 sleeps on at second 5."""
    clock, seen = Clock(), list[datetime]()

    async def wait_twice() -> None:
        with clock.alarm() as alarm:
            for second in (5, 20):
                await alarm.until(add_seconds(EPOCH, second))
                seen.append(clock.now())

    await started(wait_twice())
    for alarm in clock.alarms:
        alarm.wake()
    await asyncio.tasks.sleep(0)
    await clock.advance(add_seconds(EPOCH, 100))
    assert seen == [EPOCH, add_seconds(EPOCH, 20)]


async def test_an_advance_of_a_flowing_clock_does_not_take_it_back() -> None:
    """Real time may go past the instant while what is due is being delivered."""
    hands = Hands()
    clock = Clock(mode=Mode.SCALED, speed=10.0, real=hands.real())

    async def slow() -> None:
        with clock.alarm() as alarm:
            await alarm.until(add_seconds(EPOCH, 1))
            hands.seconds = 60

    await started(slow())
    await clock.advance(add_seconds(EPOCH, 2))
    assert clock.now() >= add_seconds(EPOCH, 600)


async def test_a_waiter_that_has_settled_holds_nobody_up() -> None:
    """Whoever says settle() may go on slowly, as a stream does to a reader that does not read."""
    clock = Clock()

    async def stalled() -> None:
        with clock.alarm() as alarm:
            await alarm.until(add_seconds(EPOCH, 1))
            alarm.release()
            await asyncio.Event().wait()

    (task,) = await started(stalled())
    await asyncio.wait_for(clock.advance(add_seconds(EPOCH, 2)), timeout=5)
    assert task.cancel()


async def test_a_rung_waiter_wakes_before_its_time() -> None:
    """Ringing wakes at once, at the present instant."""
    clock, seen = Clock(), list[datetime]()

    async def wait() -> None:
        with clock.alarm() as alarm:
            await alarm.until(None)
            seen.append(clock.now())

    (task,) = await started(wait())
    for alarm in clock.alarms:
        alarm.wake()
    await task
    assert seen == [EPOCH]


async def test_those_who_left_are_forgotten() -> None:
    """A thousand waiters that were cancelled leave no alarm, and nearly nothing in the heap."""
    clock = Clock()
    tasks = await started(*(wait_for(clock, 3600 + n, []) for n in range(1000)))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not clock.alarms
    assert len(clock._armed) <= 64


async def test_a_flowing_clock_wakes_its_waiters_by_itself() -> None:
    """At a million to one, a pretended hour is over in a few real milliseconds."""
    clock, seen = Clock(mode=Mode.SCALED, speed=1e6), list[tuple[float, datetime]]()
    await asyncio.wait_for(wait_for(clock, 3600, seen), timeout=10)
    assert seen[0][1] >= add_seconds(EPOCH, 3600)


@given(st.lists(st.one_of(st.floats(0, 1e6), st.sampled_from(list(Mode))), max_size=20))
def test_law_the_clock_never_goes_back_whatever_is_done_to_it(orders: list[float | Mode]) -> None:
    """Real time, advances and changes of mode in any order only ever move it forward."""

    async def run() -> None:
        hands = Hands()
        clock = Clock(real=hands.real())
        last = clock.now()
        for order in orders:
            if isinstance(order, Mode):
                clock.set_mode(order, 10.0)
            else:
                hands.seconds += order / 1000
                await clock.advance(clock.now() + timedelta(seconds=order))
            assert clock.now() >= last
            last = clock.now()

    asyncio.run(run())
