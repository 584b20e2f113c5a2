"""The steps of a timeline: every step of a parent or a child, and the step in force at an instant.

A parent's progress is the mean of its children's, held below 1 until the job is `done` (docs page /api-reference/jobs:
the parent aggregates its children; the formula is not documented).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from viralsync_mock.jobs.models import Children, ChildRun, Job, Phase, Status, Step, add_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from viralsync_mock.jobs.models import MinimumProgress, StatusChange, Timeline

HELD_BELOW_ONE = 0.99
"""The highest progress of a job that is not yet `done`."""

_AT = attrgetter("at")

_COUNTED = {Status.DONE: "succeeded", Status.FAILED: "failed"}


class Change(NamedTuple):
    """At an instant a figure of the counter grows by `amount`, or is set to `value`."""

    at: datetime
    figure: str
    amount: int
    value: StatusChange | MinimumProgress | None = None


class ProgressCounter:
    """The figures of a job while its changes are applied in order."""

    def __init__(self, timeline: Timeline) -> None:
        self.units = self.succeeded = self.running = self.failed = 0
        self.total = self.queued = len(timeline.scenes) + timeline.assemble_is_counted
        self.whole = timeline.reports * (len(timeline.scenes) + 1)
        self.mark: StatusChange = timeline.marks[0]
        self.floor: MinimumProgress | None = None

    def apply(self, change: Change) -> None:
        """Apply one change."""
        if change.value is None:
            setattr(self, change.figure, getattr(self, change.figure) + change.amount)
        else:
            setattr(self, change.figure, change.value)

    @property
    def progress(self) -> float:
        """The share of the work that is done, 0.0 to 1.0."""
        if self.mark.status is Status.DONE:
            return 1.0
        floor = self.floor.progress if self.floor else 0.0
        return min(max(round(self.units / self.whole, 4), floor), HELD_BELOW_ONE)

    def step(self, index: int, at: datetime) -> Step:
        """Return the present state as a step."""
        children = Children(self.total, self.succeeded, self.running, self.queued, self.failed)
        return Step(index, at, self.mark.status, self.mark.phase, self.progress, children)


def steps(timeline: Timeline) -> tuple[Step, ...]:
    """Return every step of the parent, from its creation to its end, each different from the one before."""
    found = list(timeline.emitted_steps)
    since = found[-1].at if found else None
    counter = ProgressCounter(timeline)
    for at, changes in groupby(sorted(_changes(timeline), key=_AT), key=_AT):
        for change in changes:
            counter.apply(change)
        if since is None or at >= since:
            step = counter.step(len(found), at)
            if not found or step[2:] != found[-1][2:]:
                found.append(step)
        if counter.mark.status.is_terminal:
            break
    return tuple(found)


def _changes(timeline: Timeline) -> Iterator[Change]:
    for mark in timeline.marks:
        yield Change(mark.at, "mark", 0, mark)
    for floor in timeline.floors:
        yield Change(floor.at, "floor", 0, floor)
    for span in timeline.scenes:
        yield from _counts(span)
        yield from _reports(span, timeline.reports)
    if timeline.assemble_is_counted:
        yield from _counts(timeline.assemble)
    if timeline.assemble.end is not None and timeline.assemble.outcome is Status.DONE:
        yield Change(timeline.assemble.end, "units", timeline.reports)


def _counts(span: ChildRun) -> Iterator[Change]:
    """Yield the changes of the counts: one child from queued to running to its end."""
    if span.start is not None:
        yield Change(span.start, "queued", -1)
        yield Change(span.start, "running", 1)
    if span.end is not None:
        yield Change(span.end, "queued" if span.start is None else "running", -1)
        if span.outcome in _COUNTED:
            yield Change(span.end, _COUNTED[span.outcome], 1)


def _reports(span: ChildRun, reports: int) -> Iterator[Change]:
    """Yield the progress reports of one scene: evenly over its planned run, the last at its success."""
    reported = 0
    for at in _instants(span, reports):
        reported += 1
        yield Change(at, "units", 1)
    if span.end is not None and span.outcome is Status.DONE:
        yield Change(span.end, "units", reports - reported)


def _instants(span: ChildRun, reports: int) -> Iterator[datetime]:
    """Yield when a scene reports before its end, including a report at the very instant at which it is cut short."""
    if span.start is None or math.isinf(span.length):
        return
    whole = add_seconds(span.start, span.length)
    for number in range(1, reports):
        at = add_seconds(span.start, span.length * number / reports)
        if at >= whole:
            return
        if span.pause is not None and at > span.pause.at:
            if math.isinf(span.pause.seconds):
                return
            at = add_seconds(at, span.pause.seconds)
        if span.end is not None and at > span.end:
            return
        yield at


def child_steps(span: ChildRun, phase: Phase, created: datetime, reports: int) -> tuple[Step, ...]:
    """Return every step of one child: queued, running with its progress reports, and its end."""
    found = [Step(0, created, Status.QUEUED, None, 0.0, None)]

    def add(at: datetime, status: Status, progress: float) -> None:
        found.append(Step(len(found), at, status, None if status.is_terminal else phase, progress, None))

    if span.start is not None:
        add(span.start, Status.RUNNING, 0.0)
    for number, at in enumerate(_instants(span, reports), start=1):
        add(at, Status.RUNNING, round(number / reports, 4))
    if span.end is not None:
        add(span.end, span.outcome, 1.0 if span.outcome is Status.DONE else found[-1].progress)
    return tuple(found)


def step_at(steps: Sequence[Step], instant: datetime) -> Step:
    """Return the step in force at an instant."""
    return steps[max(bisect_right(steps, instant, key=_AT) - 1, 0)]


def next_step(steps: Sequence[Step], instant: datetime) -> Step | None:
    """Return the first step after an instant."""
    index = bisect_right(steps, instant, key=_AT)
    return steps[index] if index < len(steps) else None


def current_step(job: Job, instant: datetime) -> Step:
    """Return the step of a job at an instant; a finished job keeps only its last step."""
    if job.final is not None and instant >= job.final.at:
        return job.final
    ends = job.timeline.ends
    if ends is None or instant < ends:
        return step_at(steps_of(job), instant)
    job.final, job.steps = steps(job.timeline)[-1], None
    return job.final


def steps_of(job: Job) -> tuple[Step, ...]:
    """Return the steps of a job; only those of an unfinished job are kept."""
    if job.steps is not None:
        return job.steps
    found = steps(job.timeline)
    if not job.status.is_terminal:
        job.steps = found
    return found
