"""The store: what is where at an instant, what was charged, and how pages hold still."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viralsync_mock.clock import EPOCH
from viralsync_mock.errors import ApiError
from viralsync_mock.jobs.limits import RateLimited, count_request
from viralsync_mock.jobs.models import Job, Status, add_seconds
from viralsync_mock.jobs.store import JobStore, Usage
from viralsync_mock.jobs.timeline import JobTimings, RenderOrder, plan_slices, terminate
from viralsync_mock.openapi.spec import RateLimit


def anything_goes(_: Callable[[datetime], Usage]) -> None:
    """Admit every job."""


def job(number: int, created: datetime = EPOCH, seconds: float = 6.0) -> Job:
    recipe = (RenderOrder([seconds], 1, created, lambda *_: 0.5), JobTimings())
    return Job(f"job_{number:012x}", number, created, "render", b"{}", seconds, 1920, 1080, plan_slices, recipe)


def kept(*jobs: Job) -> JobStore:
    store = JobStore()
    for each in jobs:
        store.submit(each, anything_goes)
    return store


def test_a_finished_job_is_charged_once_to_the_month_and_the_day_of_its_end() -> None:
    """Six seconds of output are a tenth of a minute, however often one looks."""
    one = job(1)
    store = kept(one)
    assert one.timeline.ends is not None
    standings = {(store.usage(now).minutes, store.usage(now).minutes_today) for now in [one.timeline.ends] * 3}
    assert standings == {(0.1, 0.1)}


def test_a_job_over_the_end_of_a_month_is_charged_to_the_next() -> None:
    """Minutes are charged at completion, so January's job ends on February's account."""
    store = kept(job(1, created=datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)))
    february = datetime(2026, 2, 1, 0, 5, tzinfo=UTC)
    assert store.usage(february).minutes == 0.1
    assert store.usage(datetime(2026, 3, 1, tzinfo=UTC)).minutes == 0.0


@pytest.mark.parametrize("looked_at", [datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)])
def test_a_job_is_charged_to_the_month_of_its_end_whenever_it_is_looked_at(looked_at: datetime) -> None:
    """A look months later finds the charge in January, and nothing in its own month."""
    store = kept(job(1, created=datetime(2026, 1, 31, 23, 59, tzinfo=UTC)))
    assert store.usage(looked_at).minutes == 0.0
    assert store.contents(looked_at).charged[2026, 1] == 6_000


def test_a_cancelled_job_costs_nothing() -> None:
    """Only a job that is done is charged."""
    one = job(1)
    store = kept(one)
    store.rewrite(one, terminate(one.timeline, add_seconds(EPOCH, 3), Status.CANCELLED), add_seconds(EPOCH, 3))
    assert store.usage(add_seconds(EPOCH, 10_000)).minutes == 0.0


def test_deleting_a_job_leaves_its_charge() -> None:
    """The ledger does not forget."""
    one = job(1)
    store, later = kept(one), add_seconds(EPOCH, 1000)
    store.delete(one, later)
    assert store.read(one.id) is None
    assert store.usage(later).minutes == 0.1


def test_a_deleted_job_is_in_no_list_and_no_count() -> None:
    """Its type is forgotten with it, and so is what it would have become."""
    one, two = job(1), job(2)
    store, later = kept(one, two), add_seconds(EPOCH, 1000)
    store.delete(one, later)
    assert list(store.newest_first(later, Status.DONE, None)) == list(store.newest_first(later, None, None)) == [two]
    assert store.usage(later).count(*Status) == 1
    store.delete(two, later)
    assert not store.has_type(lambda _: True)


def test_a_job_deleted_before_its_next_change_is_not_charged() -> None:
    """What the calendar still has of it is void."""
    one = job(1)
    store = kept(one)
    assert store.next_change(EPOCH) == add_seconds(EPOCH, 1)
    store.delete(one, EPOCH)
    assert store.next_change(EPOCH) is None
    assert store.usage(add_seconds(EPOCH, 1000)).minutes == 0


def test_a_refused_job_is_not_kept() -> None:
    """What `admit` refuses never was."""
    store, one = JobStore(), job(1)

    def refuse(_: Callable[[datetime], Usage]) -> None:
        raise ApiError("CONCURRENCY_LIMIT_EXCEEDED")

    with pytest.raises(ApiError):
        store.submit(one, refuse)
    assert store.read(one.id) is None


def test_jobs_are_counted_under_the_status_they_have_at_that_instant() -> None:
    """One job queued, then running, then done, as time goes on."""
    store = kept(job(1))
    counts = [store.usage(add_seconds(EPOCH, s)).jobs for s in (0, 1, 5, 1000)]
    assert [next(s for s, n in count.items() if n) for count in counts] == [
        Status.QUEUED,
        Status.RUNNING,
        Status.WAITING,
        Status.DONE,
    ]


def test_the_next_change_is_the_earliest_of_all_jobs() -> None:
    """Of two jobs the one that moves first is named; rewritten plans do not count."""
    first, second = job(1), job(2, created=add_seconds(EPOCH, 0.2))
    store = kept(first, second)
    assert store.next_change(add_seconds(EPOCH, 0.2)) == add_seconds(EPOCH, 1)
    store.rewrite(first, terminate(first.timeline, add_seconds(EPOCH, 0.5), Status.CANCELLED), add_seconds(EPOCH, 0.5))
    assert store.next_change(add_seconds(EPOCH, 0.5)) == add_seconds(EPOCH, 1.2)


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=30),
    st.lists(st.floats(0, 200), min_size=1, max_size=5),
)
def test_law_every_status_filter_agrees_with_the_timelines(births: list[int], looks: list[float]) -> None:
    """At any instant the jobs found under a status are exactly those whose timeline says so, newest first."""
    jobs = [job(n, created=add_seconds(EPOCH, birth)) for n, birth in enumerate(sorted(births), start=1)]
    store = kept(*jobs)
    for second in sorted(looks):
        now = add_seconds(EPOCH, 40 + second)
        for status in Status:
            expected = [j for j in reversed(jobs) if j.timeline.mark_at(now).status is status]
            assert list(store.newest_first(now, status, None)) == expected


@given(st.lists(st.floats(0, 300), max_size=20), st.floats(0, 400))
def test_law_the_ledger_is_the_sum_of_the_done_jobs(lengths: list[float], second: float) -> None:
    """Whatever finished by now, and nothing else, has been charged."""
    jobs = [job(n, seconds=round(length, 3)) for n, length in enumerate(lengths, start=1)]
    store, now = kept(*jobs), add_seconds(EPOCH, second)
    done = sum(round(j.seconds * 1000) for j in jobs if j.timeline.mark_at(now).status is Status.DONE)
    assert store.usage(now).minutes == pytest.approx(done / 60_000)


LIMIT = RateLimit(5, 60.0)


def spent(store: JobStore, now: datetime) -> bool:
    try:
        count_request(store, LIMIT, now)
    except RateLimited:
        return False
    return True


def test_the_window_lets_exactly_the_limit_through() -> None:
    """The sixth call in one instant is refused."""
    store = JobStore()
    assert [spent(store, EPOCH) for _ in range(6)] == [True] * 5 + [False]


def test_the_window_slides_it_does_not_jump() -> None:
    """Calls made at second 0 and 59 free their slots one after the other, not at a full minute."""
    store = JobStore()
    for second in (0, 59, 59, 59, 59):
        spent(store, add_seconds(EPOCH, second))
    assert [spent(store, add_seconds(EPOCH, second)) for second in (59.999, 60, 60, 118.999, 119)] == [
        False,
        True,
        False,
        False,
        True,
    ]


@given(st.lists(st.floats(0, 30), min_size=1, max_size=80))
def test_law_no_window_ever_lets_more_than_the_limit_through(gaps: list[float]) -> None:
    """However the calls are spread, no 60 seconds hold more than five that were let through."""
    store, now, through = JobStore(), EPOCH, list[datetime]()
    for gap in gaps:
        now = add_seconds(now, gap)
        if spent(store, now):
            through.append(now)
    width = timedelta(seconds=60)
    assert all(sum(start <= t < start + width for t in through) <= 5 for start in through)


@given(st.lists(st.floats(0, 30), min_size=6, max_size=60))
def test_law_a_call_made_after_retry_after_succeeds(gaps: list[float]) -> None:
    """`Retry-After` is true: whole seconds, at least 1, and long enough."""
    store, now = JobStore(), EPOCH
    for gap in gaps:
        now = add_seconds(now, gap)
        try:
            count_request(store, LIMIT, now)
        except RateLimited as refused:
            wait = int(refused.headers["retry-after"])
            assert wait >= 1
            now += timedelta(seconds=wait)
            assert spent(store, now)


def test_a_limit_lowered_while_calls_count_tells_when_enough_of_them_have_left() -> None:
    """Of five calls, two seconds apart, the third leaves the window after 64 s: then one more fits."""
    store = JobStore()
    for second in range(0, 10, 2):
        assert spent(store, add_seconds(EPOCH, second))
    lowered, now = RateLimit(3, 60.0), add_seconds(EPOCH, 10)
    with pytest.raises(RateLimited) as refused:
        count_request(store, lowered, now)
    assert refused.value.headers["retry-after"] == "54"
    with pytest.raises(RateLimited):
        count_request(store, lowered, now + timedelta(seconds=53))
    assert count_request(store, lowered, now + timedelta(seconds=54)).used == 3


def test_a_wait_of_less_than_a_second_is_rounded_up() -> None:
    """`Retry-After` has whole seconds; 0 would mean now."""
    store = JobStore()
    for _ in range(5):
        spent(store, EPOCH)
    with pytest.raises(RateLimited) as refused:
        count_request(store, LIMIT, add_seconds(EPOCH, 59.5))
    assert refused.value.headers["retry-after"] == "1"
