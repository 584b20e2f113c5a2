"""How a timeline reads: every step of a parent or a child, and the step in force at an instant.

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
"""The most that a job's progress says while it is not yet `done`."""

_AT = attrgetter("at")

_COUNTED = {Status.DONE: "succeeded", Status.FAILED: "failed"}


class Change(NamedTuple):
    """At an instant one figure of the tally grows by an amount, or is set to one."""

    at: datetime
    figure: str
    amount: int
    value: StatusChange | MinimumProgress | None = None


class ProgressCounter:
    """The figures of a job while its changes are gone through in order."""

    def __init__(self, timeline: Timeline) -> None:
        self.units = self.succeeded = self.running = self.failed = 0
        self.total = self.queued = len(timeline.scenes) + timeline.assemble_is_counted
        self.whole = timeline.reports * (len(timeline.scenes) + 1)
        self.mark: StatusChange = timeline.marks[0]
        self.floor: MinimumProgress | None = None

    def apply(self, change: Change) -> None:
        """Take one change into account."""
        if change.value is None:
            setattr(self, change.figure, getattr(self, change.figure) + change.amount)
        else:
            setattr(self, change.figure, change.value)

    @property
    def progress(self) -> float:
        """How much of the whole is done, 0.0 to 1.0."""
        if self.mark.status is Status.DONE:
            return 1.0
        floor = self.floor.progress if self.floor else 0.0
        return min(max(round(self.units / self.whole, 4), floor), HELD_BELOW_ONE)

    def step(self, index: int, at: datetime) -> Step:
        """Return what the job is now."""
        children = Children(self.total, self.succeeded, self.running, self.queued, self.failed)
        return Step(index, at, self.mark.status, self.mark.phase, self.progress, children)


def steps(timeline: Timeline) -> tuple[Step, ...]:
    """Return every step of the parent, from its creation to its end, each different from the one before."""
    made = list(timeline.emitted_steps)
    since = made[-1].at if made else None
    tally = ProgressCounter(timeline)
    for at, changes in groupby(sorted(_changes(timeline), key=_AT), key=_AT):
        for change in changes:
            tally.apply(change)
        if since is None or at >= since:
            step = tally.step(len(made), at)
            if not made or step[2:] != made[-1][2:]:
                made.append(step)
        if tally.mark.status.is_terminal:
            break
    return tuple(made)


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
    """Move one child from queued to running to where it ends."""
    if span.start is not None:
        yield Change(span.start, "queued", -1)
        yield Change(span.start, "running", 1)
    if span.end is not None:
        yield Change(span.end, "queued" if span.start is None else "running", -1)
        if span.outcome in _COUNTED:
            yield Change(span.end, _COUNTED[span.outcome], 1)


def _reports(span: ChildRun, reports: int) -> Iterator[Change]:
    """Count the progress reports of one scene: evenly over its planned run, the last at its success."""
    told = 0
    for at in _instants(span, reports):
        told += 1
        yield Change(at, "units", 1)
    if span.end is not None and span.outcome is Status.DONE:
        yield Change(span.end, "units", reports - told)


def _instants(span: ChildRun, reports: int) -> Iterator[datetime]:
    """Yield when a scene reports before its end; a run cut short at the very instant of a report has told that one."""
    if span.start is None or math.isinf(span.length):
        return
    whole = add_seconds(span.start, span.length)
    for number in range(1, reports):
        at = add_seconds(span.start, span.length * number / reports)
        if at >= whole or (span.end is not None and at > span.end):
            return
        yield at


def child_steps(span: ChildRun, phase: Phase, created: datetime, reports: int) -> tuple[Step, ...]:
    """Return every step of one child: queued, running with its progress reports, and its end."""
    made = [Step(0, created, Status.QUEUED, None, 0.0, None)]

    def add(at: datetime, status: Status, progress: float) -> None:
        made.append(Step(len(made), at, status, None if status.is_terminal else phase, progress, None))

    if span.start is not None:
        add(span.start, Status.RUNNING, 0.0)
    for number, at in enumerate(_instants(span, reports), start=1):
        add(at, Status.RUNNING, round(number / reports, 4))
    if span.end is not None:
        add(span.end, span.outcome, 1.0 if span.outcome is Status.DONE else made[-1].progress)
    return tuple(made)


def step_at(steps: Sequence[Step], instant: datetime) -> Step:
    """Return the step in force at an instant."""
    return steps[max(bisect_right(steps, instant, key=_AT) - 1, 0)]


def next_step(steps: Sequence[Step], instant: datetime) -> Step | None:
    """Return the first step after an instant."""
    index = bisect_right(steps, instant, key=_AT)
    return steps[index] if index < len(steps) else None


def current_step(job: Job, instant: datetime) -> Step:
    """Read a job at an instant; a finished one keeps its last step only."""
    if job.final is not None and instant >= job.final.at:
        return job.final
    ends = job.timeline.ends
    if ends is None or instant < ends:
        return step_at(steps_of(job), instant)
    job.final, job.steps = steps(job.timeline)[-1], None
    return job.final


def steps_of(job: Job) -> tuple[Step, ...]:
    """Return the steps of a job, worked out when somebody first looks; those of a finished one are not kept."""
    if job.steps is not None:
        return job.steps
    made = steps(job.timeline)
    if not job.status.is_terminal:
        job.steps = made
    return made
