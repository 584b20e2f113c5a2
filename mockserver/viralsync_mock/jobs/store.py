"""The jobs of one sandbox, what they were charged, and the calls that the rate limit counts.

Nothing here runs by itself: each operation first does what has fallen due, in the order in which it fell due.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain, count
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple, Self

from viralsync_mock.jobs.models import Job, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from viralsync_mock.jobs.models import Timeline


_NUMBER = attrgetter("number")


@dataclass(frozen=True, slots=True)
class Usage:
    """What an account has used at an instant: minutes of the calendar month and day, and jobs by status."""

    minutes: float
    minutes_today: float
    jobs: Mapping[Status, int]

    def count(self, *statuses: Status) -> int:
        """Return how many jobs have one of these statuses."""
        return sum(self.jobs[status] for status in statuses)


class WindowSlot(NamedTuple):
    """Result of counting one request; `free_at` is None if it was admitted.

    `used` counts the calls in the window, this one included if it was admitted; `oldest` is the first of them.
    """

    used: int
    free_at: datetime | None
    oldest: datetime | None = None


class Contents(NamedTuple):
    """What a store holds at an instant.

    Jobs by number, milliseconds charged by (year, month[, day]), and the instants of the calls in the sliding window.
    """

    jobs: Sequence[Job]
    charged: Mapping[tuple[int, ...], int]
    calls: Sequence[datetime]


@dataclass(slots=True)
class JobStore:
    """Jobs by id, number and status, and a calendar of their next changes."""

    _jobs: dict[str, Job] = field(default_factory=dict)
    _in_order: list[Job] = field(default_factory=list)
    _by_status: dict[Status, list[Job]] = field(default_factory=lambda: {status: [] for status in Status})
    _types: Counter[str] = field(default_factory=Counter)
    _fresh: list[Job] = field(default_factory=list)
    _calendar: list[tuple[datetime, int, Job, int]] = field(default_factory=list)
    _entries: count[int] = field(default_factory=count)
    _charged: Counter[tuple[int, ...]] = field(default_factory=Counter)
    _calls: deque[datetime] = field(default_factory=deque)
    on_change: Callable[[Job], None] | None = None
    """Gets each job that is submitted, deleted, or has another status or phase or timeline."""
    held: int = 0
    """Bytes that the jobs take in memory."""
    settled: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    """Up to when statuses and charges are reckoned."""
    on_edit: Callable[[Job], None] | None = None
    """Gets each job that is submitted, rewritten or deleted."""

    @classmethod
    def holding(cls, contents: Contents, now: datetime) -> Self:
        """Return a store with these contents, in which each job has its present status."""
        store = cls(_charged=Counter(contents.charged), _calls=deque(contents.calls))
        for job in contents.jobs:
            store._jobs[job.id] = job
            store._types[job.type] += 1
            store._in_order.append(job)
            store._by_status[job.status].append(job)
            store._weigh(job)
            if not job.status.is_terminal:
                store._enter(job, now)
        return store

    def contents(self, now: datetime) -> Contents:
        """Return everything that the store holds."""
        self._settle(now)
        return Contents(tuple(self._in_order), dict(self._charged), tuple(self._calls))

    def ledger(self) -> tuple[Mapping[tuple[int, ...], int], Sequence[datetime]]:
        """Return what was charged up to `settled`, and the calls in the sliding window: see `Contents`."""
        return self._charged, self._calls

    def submit(self, job: Job, admit: Callable[[Callable[[datetime], Usage]], None]) -> None:
        """Keep a new job unless `admit` raises, which gets a function from an instant to the `Usage`.

        The job is planned when more than its id is first needed.
        """
        admit(self.usage)
        self._jobs[job.id] = job
        self._types[job.type] += 1
        if self._in_order and job.number < self._in_order[-1].number:
            insort(self._in_order, job, key=_NUMBER)
        else:
            self._in_order.append(job)
        self._fresh.append(job)
        self._weigh(job)
        if self.on_change is not None:
            self.on_change(job)
        if self.on_edit is not None:
            self.on_edit(job)

    def read(self, job_id: str) -> Job | None:
        """Return a job by its id."""
        return self._jobs.get(job_id)

    def newest_first(self, now: datetime, status: Status | None, before: int | None) -> Iterator[Job]:
        """Yield jobs from the newest on, of one status, with a `number` below `before`.

        The store must not change while the result is read.
        """
        if status is not None:
            self._settle(now)
        jobs = self._in_order if status is None else self._by_status[status]
        start = len(jobs) if before is None else bisect_left(jobs, before, key=_NUMBER)
        return (jobs[index] for index in range(start - 1, -1, -1))

    def has_type(self, matches: Callable[[str], bool]) -> bool:
        """Say whether any job kept has a type that matches."""
        return any(matches(name) for name, number in self._types.items() if number)

    def rewrite(self, job: Job, timeline: Timeline, now: datetime) -> None:
        """Give a job another timeline, which agrees with the old one up to now."""
        self._settle(now)
        job.rewrite(timeline)
        self._enter(job, now)
        if self.on_edit is not None:
            self.on_edit(job)

    def delete(self, job: Job, now: datetime) -> None:
        """Forget a job; what it was charged stays charged."""
        self._settle(now)
        del self._jobs[job.id]
        self.held -= job.held
        self._types[job.type] -= 1
        _remove(self._in_order, job)
        _remove(self._by_status[job.status], job)
        if self.on_change is not None:
            self.on_change(job)
        if self.on_edit is not None:
            self.on_edit(job)

    def forget_oldest(self, now: datetime) -> bool:
        """Delete the oldest finished job to free its memory; False if there is none."""
        self._settle(now)
        finished = [jobs[0] for status, jobs in self._by_status.items() if status.is_terminal and jobs]
        if finished:
            self.delete(min(finished, key=_NUMBER), now)
        return bool(finished)

    def usage(self, now: datetime) -> Usage:
        """Return what is used up at an instant."""
        self._settle(now)
        minutes, today = self._charged[_month(now)], self._charged[_day(now)]
        return Usage(minutes / 60_000, today / 60_000, {s: len(o) for s, o in self._by_status.items()})

    def set_minutes(self, now: datetime, month: float | None, day: float | None) -> None:
        """Set how many render minutes of this month and this day are used up; None leaves one as it is."""
        self._settle(now)
        for key, minutes in ((_month(now), month), (_day(now), day)):
            if minutes is not None:
                self._charged[key] = round(minutes * 60_000)

    def unfinished(self, now: datetime) -> list[Job]:
        """Return the jobs that are not terminal, oldest first."""
        self._settle(now)
        held = (jobs for status, jobs in self._by_status.items() if not status.is_terminal)
        return sorted(chain.from_iterable(held), key=_NUMBER)

    def next_change(self, now: datetime) -> datetime | None:
        """Return when the status or phase of any job next changes."""
        self._settle(now)
        while self._calendar and self._is_void(*self._calendar[0][2:]):
            heapq.heappop(self._calendar)
        return self._calendar[0][0] if self._calendar else None

    def counted_requests(self) -> tuple[datetime, ...]:
        """Return when the calls came that the sliding window holds, oldest first; some may have left it since."""
        return tuple(self._calls)

    def count_request(self, now: datetime, requests: int, window: float) -> WindowSlot:
        """Count one call against a sliding window, unless the window is full.

        A call leaves the window exactly `window` seconds after it was made.
        """
        calls, width = self._calls, timedelta(seconds=window)
        while calls and calls[0] + width <= now:
            calls.popleft()
        if len(calls) >= requests:
            free_at = calls[len(calls) - requests] + width if requests else now + width
            return WindowSlot(len(calls), free_at, calls[0] if calls else None)
        calls.append(now)
        return WindowSlot(len(calls), None, calls[0])

    def _enter(self, job: Job, now: datetime) -> None:
        """Index the job by its present status, and put its next change into the calendar."""
        mark = job.timeline.mark_at(now)
        if mark.status is not job.status:
            _remove(self._by_status[job.status], job)
            insort(self._by_status[mark.status], job, key=_NUMBER)
            job.status = mark.status
        if (following := job.timeline.next_mark(now)) is not None:
            heapq.heappush(self._calendar, (following.at, next(self._entries), job, job.version))
            if len(self._calendar) > 2 * len(self._jobs) + 64:  # on a frozen clock none of them ever falls due
                self._calendar = [entry for entry in self._calendar if not self._is_void(*entry[2:])]
                heapq.heapify(self._calendar)
        elif mark.status is Status.DONE:
            self._charge(mark.at, job.seconds)
        if mark.status.is_terminal:
            job.drop_timeline()
        self._weigh(job)
        if self.on_change is not None:
            self.on_change(job)

    def _weigh(self, job: Job) -> None:
        size = job.size
        self.held += size - job.held
        job.held = size

    def _settle(self, now: datetime) -> None:
        """Bring every index up to this instant."""
        self.settled = now
        fresh, self._fresh = self._fresh, []
        for job in fresh:
            insort(self._by_status[job.status], job, key=_NUMBER)
            self._enter(job, now)
        while self._calendar and self._calendar[0][0] <= now:
            _, _, job, version = heapq.heappop(self._calendar)
            if not self._is_void(job, version):
                self._enter(job, now)

    def _is_void(self, job: Job, version: int) -> bool:
        return job.version != version or self._jobs.get(job.id) is not job

    def _charge(self, instant: datetime, seconds: float) -> None:
        """Charge a finished job to the month and the day in which it ended (docs page /concepts/render-minutes)."""
        for key in (_month(instant), _day(instant)):
            self._charged[key] += round(seconds * 1000)


def _month(instant: datetime) -> tuple[int, ...]:
    return instant.year, instant.month


def _day(instant: datetime) -> tuple[int, ...]:
    return instant.year, instant.month, instant.day


def _remove(jobs: list[Job], job: Job) -> None:
    del jobs[bisect_left(jobs, job.number, key=_NUMBER)]
