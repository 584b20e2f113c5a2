"""Twelve thousand calls leave no more behind than six thousand do; `python -m benchmarks.soak` makes 200,000."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc

import pytest
from tests.conftest import MOVIE
from tests.support.in_process import InProcess

from viralsync_mock.jobs.models import Job

HALF = 6_000
KEYS = tuple(f"vs_prod_{number:032x}" for number in range(5))
JOURNAL = 100
FAULTS = [
    {"fault": {"status": 503}, "match": {"operation": "listJobs"}, "probability": 0.1},
    {"fault": {"reset_peer": "after"}, "match": {"operation": "getJob"}, "probability": 0.1},
    {"fault": {"drop_after_events": 1}, "match": {"operation": "streamJobProgress"}, "probability": 0.3},
    {"fault": {"lost_response": 1}},
]


async def _round(it: InProcess, key: str) -> int:
    """Submit a job with webhooks, look at it in every way, end it, forget it; return how many calls that took."""
    before = len(it.made)
    submitted = await it.call("POST", "/v1/render/jobs", {**MOVIE, "callbackUrl": "http://127.0.0.1:9/"}, key=key)
    path = f"/v1/jobs/{submitted.document['jobId']}"
    await it.call("GET", path, key=key)
    stream = it.begin("GET", f"{path}/progress", key=key)
    await it.quiet()
    await it.call("GET", "/v1/jobs?limit=5", key=key)
    await it.call("GET", "/v1/usage", key=key)
    await it.call("POST", f"{path}/cancel", key=key)
    await it.quiet()
    stream.leave()
    await it.call("GET", path, headers={"x-mock-fault": "timeout"}, key=key)
    await it.call("GET", path, key="no key at all")
    await it.call("POST", "/__mock/clock/advance", {"seconds": 60}, key=key)
    await it.call("DELETE", path, key=key)
    await it.call("GET", path, key=key)
    made = len(it.made) - before
    it.made.clear()
    it.receiver.got.clear()
    return made


async def _soak(it: InProcess, calls: int) -> None:
    """Make this many calls, each round with the next key."""
    number = 0
    while calls > 0:
        calls -= await _round(it, KEYS[number % len(KEYS)])
        number += 1


def _left() -> tuple[int, int]:
    """Return how many bytes and objects there are once the collector has been."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0], len(gc.get_objects())


async def _measured() -> tuple[tuple[int, int], tuple[int, int], int]:
    async with InProcess(journal_size=JOURNAL, is_rate_limited=False) as it:
        for key in KEYS:
            await it.call("PATCH", "/__mock/account", {"plan": "enterprise"}, key=key)
            await it.call("PUT", "/__mock/faults", {"faults": FAULTS}, key=key)
        await _soak(it, HALF)
        first = _left()
        await _soak(it, HALF)
        second = _left()
        kept = sum(len(it.mock.sandbox(key).journal) for key in KEYS)
        assert it.bugs == []
        return first, second, kept


@pytest.fixture(scope="module")
def measured() -> tuple[tuple[int, int], tuple[int, int], int]:
    """Return bytes and objects after the first half of the calls and after the second, and what the journals keep."""
    tracemalloc.start()
    try:
        return asyncio.run(_measured())
    finally:
        tracemalloc.stop()


def test_memory_stays_flat(measured: tuple[tuple[int, int], tuple[int, int], int]) -> None:
    """The second ten thousand calls leave a few percent at most; the journals are full, and keep no more."""
    (bytes_1, objects_1), (bytes_2, objects_2), kept = measured
    assert bytes_2 < bytes_1 * 1.05
    assert objects_2 < objects_1 * 1.05
    assert kept == JOURNAL * len(KEYS)


def _jobs() -> int:
    """Return how many jobs there are in this process."""
    gc.collect()
    return sum(isinstance(each, Job) for each in gc.get_objects())


async def _come_and_go(number: int) -> int:
    async with InProcess(is_rate_limited=False) as it:
        before = _jobs()
        for _ in range(number):
            submitted = await it.call("POST", "/v1/render/jobs", MOVIE)
            path = f"/v1/jobs/{submitted.document['jobId']}"
            assert (await it.call("POST", f"{path}/cancel")).status == 200
            assert (await it.call("DELETE", path)).status == 200
        return _jobs() - before


def test_a_clock_that_stands_keeps_no_job_that_is_gone() -> None:
    """What a cancelled job had still to come never falls due, and goes all the same."""
    assert asyncio.run(_come_and_go(500)) < 100
