"""The steps of a timeline: every step of a parent or a child, and the step in force at an instant.

A parent's progress is the mean of its children's, held below 1 until the job is `done` (docs page /api-reference/jobs:
the parent aggregates its children; the formula is not documented).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from viralsync_mock.jobs.models import LATEST, SLICE, Children, ChildRun, Job, Phase, Status, Step, add_seconds, at_once

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from viralsync_mock.jobs.models import MinimumProgress, Slices, StatusChange, Timeline

HELD_BELOW_ONE = 0.99
"""The highest progress of a job that is not yet `done`."""

_AT = attrgetter("at")


class Change(NamedTuple):
    """At an instant the figures of the counter grow, or the mark or floor is another."""

    at: datetime
    queued: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    units: int = 0
    mark: StatusChange | None = None
    floor: MinimumProgress | None = None


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
        _, queued, running, succeeded, failed, units, mark, floor = change
        self.queued += queued
        self.running += running
        self.succeeded += succeeded
        self.failed += failed
        self.units += units
        self.mark, self.floor = mark or self.mark, floor or self.floor

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
    return timeline.known_steps[0] if timeline.known_steps else at_once(step_slices(timeline))


def step_slices(timeline: Timeline) -> Slices[tuple[Step, ...]]:
    """Find every step of the parent. The timeline keeps them.

    Scenes are taken up in the order in which they begin, so that no slice has to look at all their changes.
    """
    if timeline.known_steps:
        return timeline.known_steps[0]
    found = list(timeline.emitted_steps)
    counter, scenes = ProgressCounter(timeline), sorted(timeline.scenes, key=_begin)
    changes = _changes(timeline)
    for first in range(0, len(scenes), SLICE):
        for span in scenes[first : first + SLICE]:
            changes += _span_changes(span, timeline.reports)
        changes.sort(key=_AT)
        if first + SLICE < len(scenes):
            done = bisect_left(changes, _begin(scenes[first + SLICE]), key=_AT)
            _apply(counter, changes[:done], found)
            del changes[:done]
            yield
    changes.sort(key=_AT)
    _apply(counter, changes, found)
    timeline.known_steps.append(tuple(found))
    return timeline.known_steps[0]


def _begin(span: ChildRun) -> datetime:
    return span.start or span.end or LATEST


def _apply(counter: ProgressCounter, changes: Sequence[Change], found: list[Step]) -> None:
    """Apply sorted changes, and add the steps that follow; those before the last one found are known."""
    for at, together in groupby(changes, key=_AT):
        if counter.mark.status.is_terminal:
            return
        for change in together:
            counter.apply(change)
        if not found or at >= found[-1].at:
            step = counter.step(len(found), at)
            if not found or step[2:] != found[-1][2:]:
                found.append(step)


def _changes(timeline: Timeline) -> list[Change]:
    """Return the changes that are not of a scene."""
    found = [Change(mark.at, mark=mark) for mark in timeline.marks]
    found += [Change(floor.at, floor=floor) for floor in timeline.floors]
    if timeline.assemble_is_counted:
        found += _counts(timeline.assemble, 0)
    if timeline.assemble.end is not None and timeline.assemble.outcome is Status.DONE:
        found.append(Change(timeline.assemble.end, units=timeline.reports))
    return found


def _span_changes(span: ChildRun, reports: int) -> list[Change]:
    """Return the changes of one scene: its progress reports, evenly over its planned run, its start and its end."""
    found = [Change(at, units=1) for at in _instants(span, reports)]
    return found + _counts(span, reports - len(found))


def _counts(span: ChildRun, units: int) -> list[Change]:
    """Return the changes of the counts: one child from queued to running to its end; a success reports the rest."""
    found = [] if span.start is None else [Change(span.start, queued=-1, running=1)]
    if span.end is not None:
        is_done, is_running = span.outcome is Status.DONE, span.start is not None
        found.append(
            Change(
                span.end,
                queued=0 if is_running else -1,
                running=-1 if is_running else 0,
                succeeded=is_done,
                failed=span.outcome is Status.FAILED,
                units=units if is_done else 0,
            )
        )
    return found


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
        return step_at(steps(job.timeline), instant)
    job.final = steps(job.timeline)[-1]
    return job.final
