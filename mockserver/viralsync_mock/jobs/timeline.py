"""The job engine: pure functions from what was asked for to everything that will happen.

`plan` makes the timeline at submission; `stop`, `lift` and `hurry` rewrite what is still to come. How a
timeline reads at an instant is in `steps`. Nothing here waits, and nothing is drawn twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from viralsync_mock.jobs.models import (
    ChildRun,
    MinimumProgress,
    Phase,
    Status,
    StatusChange,
    Step,
    Timeline,
    add_seconds,
)
from viralsync_mock.jobs.steps import steps

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from viralsync_mock.jobs.models import Step

    Draw = Callable[..., float]


@dataclass(frozen=True, slots=True)
class Duration:
    """Seconds that something lasts: drawn evenly from `mean - jitter` to `mean + jitter`; `inf` never ends."""

    mean: float
    jitter: float = 0.0

    def sample(self, draw: Draw, *purpose: object) -> float:
        """Return one length in seconds, never below zero; what has no jitter needs no draw."""
        if not self.jitter:
            return self.mean
        return max(self.mean + self.jitter * (2 * draw(*purpose) - 1), 0.0)


@dataclass(frozen=True, slots=True)
class SceneTimings:
    """How long a scene renders: so much per second of its output, at least so much; and how often it reports."""

    per_output_second: Duration = Duration(3.0)
    at_least: float = 2.0
    reports: int = 4

    def drawn(self, seconds: float, draw: Draw, index: int) -> float:
        """Return the rendering time in seconds of a scene whose output lasts `seconds`."""
        return max(self.per_output_second.sample(draw, "scene", index) * seconds, self.at_least)


@dataclass(frozen=True, slots=True)
class Failure:
    """What makes a job fail: a scene (counted from 1) or a phase, when a share of its run is over."""

    error: str
    scene: int | None = None
    phase: Phase | None = None
    at: float = 0.5


@dataclass(frozen=True, slots=True)
class JobTimings:
    """How long each step of a job lasts, and what goes wrong: the `job:` part of a scenario."""

    queued: Duration = Duration(1.0)
    planning: Duration = Duration(0.5)
    dispatching: Duration = Duration(0.3)
    scene: SceneTimings = SceneTimings()
    assembling: Duration = Duration(4.0)
    uploading: Duration = Duration(2.0)
    fail: Failure | None = None


ENDLESS = 10 * 365 * 86_400.0
"""Seconds: what lasts so long never ends."""

LAST_YEAR = 8000
"""What would begin after it never ends either: dates run out soon after."""

STATUS_OF = {
    None: Status.QUEUED,
    Phase.PLANNING: Status.RUNNING,
    Phase.DISPATCHING: Status.RUNNING,
    Phase.RENDERING: Status.WAITING,
    Phase.ASSEMBLING: Status.RUNNING,
    Phase.UPLOADING: Status.RUNNING,
}
"""The status in each phase as documented; a behaviour profile may say otherwise for two of them."""


class RenderOrder(NamedTuple):
    """What was asked for: the length of each scene's output in seconds, and how many render at a time."""

    scenes: Sequence[float]
    workers: int
    created: datetime
    draw: Draw
    statuses: Mapping[Phase | None, Status] = STATUS_OF
    assemble_is_counted: bool = False


def plan(order: RenderOrder, pace: JobTimings) -> Timeline:
    """Plan the whole life of a job: the same order, pace and draws give the same timeline."""
    draw, marks = order.draw, _Marks(order)
    marks.enter(None, pace.queued.sample(draw, "queued"))
    marks.enter(Phase.PLANNING, pace.planning.sample(draw, "planning"))
    marks.enter(Phase.DISPATCHING, pace.dispatching.sample(draw, "dispatching"))
    scenes, rendered = _rounds(order, pace, marks.end)
    marks.enter(Phase.RENDERING, until=rendered)
    started = marks.end
    marks.enter(Phase.ASSEMBLING, pace.assembling.sample(draw, "assembling"))
    assemble = ChildRun(started, _between(started, marks.end), marks.end, Status.DONE)
    marks.enter(Phase.UPLOADING, pace.uploading.sample(draw, "uploading"))
    timeline = Timeline(
        marks=(*marks.made, *([StatusChange(marks.end, Status.DONE, None)] if marks.end else [])),
        scenes=scenes,
        assemble=assemble,
        reports=pace.scene.reports,
        assemble_is_counted=order.assemble_is_counted,
    )
    return _fail(timeline, pace.fail) if pace.fail else timeline


class _Marks:
    """Marks laid end to end; once a phase never ends, no later one is entered."""

    def __init__(self, order: RenderOrder) -> None:
        self.statuses = order.statuses
        self.end: datetime | None = order.created
        self.made: list[StatusChange] = []

    def enter(self, phase: Phase | None, seconds: float = math.inf, until: datetime | None = None) -> None:
        if self.end is None:
            return
        self.made.append(StatusChange(self.end, self.statuses[phase], phase))
        self.end = until or _later(self.end, seconds)


def _later(instant: datetime | None, seconds: float) -> datetime | None:
    if instant is None or seconds >= ENDLESS or instant.year > LAST_YEAR:
        return None
    return add_seconds(instant, seconds)


def _share(length: float, share: float) -> float:
    return length * share if share else 0.0  # nothing of something endless is nothing


def _between(start: datetime | None, end: datetime | None) -> float:
    return math.inf if start is None or end is None else (end - start).total_seconds()


def _rounds(
    order: RenderOrder, pace: JobTimings, start: datetime | None
) -> tuple[tuple[ChildRun, ...], datetime | None]:
    """Render the scenes in rounds: a round starts when every scene of the one before has ended.

    (docs page /concepts/render-pipeline: wall time is rounds x mean scene time.) A scene that fails lets those
    in flight end and keeps later rounds from starting.
    """
    spans: list[ChildRun] = []
    failing = pace.fail.scene if pace.fail else None
    fails = min(failing, len(order.scenes)) - 1 if failing else None
    for first in range(0, len(order.scenes), order.workers):
        indexes = range(first, min(first + order.workers, len(order.scenes)))
        stopped = fails is not None and fails < first
        spans += [_span(order, pace, index, None if stopped else start, fails == index) for index in indexes]
        if not stopped:
            ends = [span.end for span in spans[first:]]
            start = max(end for end in ends if end) if None not in ends else None
    return tuple(spans), start


def _span(order: RenderOrder, pace: JobTimings, index: int, start: datetime | None, fails: bool) -> ChildRun:
    length = pace.scene.drawn(order.scenes[index], order.draw, index)
    if start is None:
        return ChildRun(None, length, None, Status.DONE)
    if fails and pace.fail:
        return ChildRun(start, length, _later(start, _share(length, pace.fail.at)), Status.FAILED)
    return ChildRun(start, length, _later(start, length), Status.DONE)


def _fail(timeline: Timeline, failure: Failure) -> Timeline:
    """Cut the timeline where a failing scene's round ends, or within the failing phase."""
    phase = Phase.RENDERING if failure.scene else failure.phase
    begins = next((mark for mark in timeline.marks if mark.phase is phase), None)
    ends = timeline.next_mark(begins.at) if begins else None
    if begins is None or ends is None:
        return timeline
    instant = ends.at if failure.scene else add_seconds(begins.at, _between(begins.at, ends.at) * failure.at)
    marks = tuple(mark for mark in timeline.marks if mark.at < ends.at)
    return terminate(replace(timeline, marks=marks), instant, Status.FAILED, failure.error, plan_only=True)


def terminate(
    timeline: Timeline,
    instant: datetime,
    outcome: Status,
    error: str | None = None,
    *,
    plan_only: bool = False,
) -> Timeline:
    """End the job at an instant: children in flight and those to come end with it.

    A job told to be `done` takes its children along; one that fails while assembling fails its assemble child;
    all other children that had not ended are cancelled. `plan_only` is for a stop that nobody could have seen
    coming: nothing has been told yet.
    """
    rest = Status.DONE if outcome is Status.DONE else Status.CANCELLED
    broken = outcome is Status.FAILED and timeline.mark_at(instant).phase is Phase.ASSEMBLING
    return replace(
        timeline,
        marks=(*(mark for mark in timeline.marks if mark.at <= instant), StatusChange(instant, outcome, None)),
        scenes=tuple(_cut(span, instant, rest) for span in timeline.scenes),
        assemble=_cut(timeline.assemble, instant, Status.FAILED if broken else rest),
        error=error,
        emitted_steps=() if plan_only else _describe(timeline, instant),
    )


def _cut(span: ChildRun, instant: datetime, outcome: Status) -> ChildRun:
    if span.end is not None and span.end <= instant:
        return span
    start = span.start if span.start is not None and span.start <= instant else None
    return ChildRun(start, span.length, instant, outcome)


def raise_progress(timeline: Timeline, instant: datetime, progress: float) -> Timeline:
    """Let the progress be at least this much from an instant on."""
    least = max([progress, *(floor.progress for floor in timeline.floors)])
    return replace(
        timeline, floors=(*timeline.floors, MinimumProgress(instant, least)), emitted_steps=_describe(timeline, instant)
    )


def bring_forward(timeline: Timeline, instant: datetime, status: Status) -> Timeline | None:
    """Bring the next step with this status forward to an instant, and all that follows it as much earlier.

    Returns None when no later step has that status.
    """
    goal = next((mark for mark in timeline.marks if mark.at > instant and mark.status is status), None)
    if goal is None:
        return None
    earlier = goal.at - instant

    def moved(at: datetime) -> datetime:
        return at if at <= instant else max(at - earlier, instant)

    def run(span: ChildRun) -> ChildRun:
        return span._replace(
            start=span.start and moved(span.start),
            end=span.end and moved(span.end),
        )

    return replace(
        timeline,
        marks=tuple(mark._replace(at=moved(mark.at)) for mark in timeline.marks),
        scenes=tuple(map(run, timeline.scenes)),
        assemble=run(timeline.assemble),
        emitted_steps=_describe(timeline, instant),
    )


def _describe(timeline: Timeline, instant: datetime) -> tuple[Step, ...]:
    return tuple(step for step in steps(timeline) if step.at <= instant)
