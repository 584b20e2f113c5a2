"""The job engine: pure functions from a submission to everything that will happen.

`plan` makes the timeline; `terminate`, `raise_progress`, `hold` and `bring_forward` rewrite what is still to come.
Nothing here waits, and nothing is drawn twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from viralsync_mock.jobs.models import (
    LATEST,
    SLICE,
    ChildRun,
    MinimumProgress,
    Pause,
    Phase,
    Status,
    StatusChange,
    Step,
    Timeline,
    add_seconds,
    at_once,
)
from viralsync_mock.jobs.steps import step_slices, steps

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from viralsync_mock.jobs.models import Slices

    Draw = Callable[..., float]


@dataclass(frozen=True, slots=True)
class Duration:
    """A length in seconds, drawn evenly from `mean - jitter` to `mean + jitter`; `inf` never ends."""

    mean: float
    jitter: float = 0.0

    def sample(self, draw: Draw, *purpose: object) -> float:
        """Return one length in seconds, never below zero. Without jitter nothing is drawn."""
        if not self.jitter:
            return self.mean
        return max(self.mean + self.jitter * (2 * draw(*purpose) - 1), 0.0)


@dataclass(frozen=True, slots=True)
class SceneTimings:
    """How long a scene renders per second of its output, at least how long, and how often it reports."""

    per_output_second: Duration = Duration(3.0)
    at_least: float = 2.0
    reports: int = 4

    def sample(self, seconds: float, draw: Draw, index: int) -> float:
        """Return the rendering time in seconds of a scene whose output lasts `seconds`."""
        return max(self.per_output_second.sample(draw, "scene", index) * seconds, self.at_least)


@dataclass(frozen=True, slots=True)
class Failure:
    """What makes a job fail: a scene (counted from 1) or a phase, after a share `at` of its run."""

    error: str
    scene: int | None = None
    phase: Phase | None = None
    at: float = 0.5


@dataclass(frozen=True, slots=True)
class Stall:
    """Where a job stands still: from the progress `at` on, for some seconds; `inf` is for ever."""

    at: float
    seconds: float = math.inf


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
    stall: Stall | None = None


ENDLESS = 10 * 365 * 86_400.0
"""Seconds: what lasts this long never ends."""

LAST_YEAR = 8000
"""Anything that would start after this year never ends either, since dates end in 9999."""

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
    """What to plan: the length of each scene's output in seconds, and how many scenes render at a time."""

    scenes: Sequence[float]
    workers: int
    created: datetime
    draw: Draw
    statuses: Mapping[Phase | None, Status] = STATUS_OF
    assemble_is_counted: bool = False


def plan(order: RenderOrder, timings: JobTimings) -> Timeline:
    """Plan the whole life of a job: the same arguments give the same timeline."""
    return at_once(plan_slices(order, timings))


def plan_slices(order: RenderOrder, timings: JobTimings) -> Slices[Timeline]:
    """Plan the whole life of a job."""
    draw, marks = order.draw, _Marks(order)
    marks.enter(None, timings.queued.sample(draw, "queued"))
    marks.enter(Phase.PLANNING, timings.planning.sample(draw, "planning"))
    marks.enter(Phase.DISPATCHING, timings.dispatching.sample(draw, "dispatching"))
    scenes, rendered = yield from _rounds(order, timings, marks.end)
    marks.enter(Phase.RENDERING, until=rendered)
    started = marks.end
    marks.enter(Phase.ASSEMBLING, timings.assembling.sample(draw, "assembling"))
    assemble = ChildRun(started, _between(started, marks.end), marks.end, Status.DONE)
    marks.enter(Phase.UPLOADING, timings.uploading.sample(draw, "uploading"))
    timeline = Timeline(
        marks=(*marks.made, *([StatusChange(marks.end, Status.DONE, None)] if marks.end else [])),
        scenes=scenes,
        assemble=assemble,
        reports=timings.scene.reports,
        assemble_is_counted=order.assemble_is_counted,
    )
    if timings.stall is not None:
        yield from step_slices(timeline)
        timeline = _stall(timeline, timings.stall)
    return _fail(timeline, timings.fail) if timings.fail else timeline


def _stall(timeline: Timeline, stall: Stall) -> Timeline:
    """Move everything after the first step with this progress by the length of the stall."""
    begins = next((step.at for step in steps(timeline) if step.progress >= stall.at), None)
    return timeline if begins is None else _delayed(timeline, begins, stall.seconds)


def _delayed(timeline: Timeline, begins: datetime, seconds: float) -> Timeline:
    """Move everything after an instant by some seconds; what is running pauses."""

    def moved(at: datetime | None) -> datetime | None:
        return at if at is None or at <= begins else _later(at, seconds)

    def moved_run(run: ChildRun) -> ChildRun:
        is_running = run.start is not None and run.start <= begins and (run.end is None or run.end > begins)
        pause = Pause(begins, seconds) if is_running else None
        return run._replace(start=moved(run.start), end=moved(run.end), pause=pause)

    return replace(
        timeline,
        marks=tuple(mark._replace(at=at) for mark in timeline.marks if (at := moved(mark.at)) is not None),
        scenes=tuple(map(moved_run, timeline.scenes)),
        assemble=moved_run(timeline.assemble),
    )


class _Marks:
    """Marks one after the other; after a phase that never ends there is none."""

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
    return length * share if share else 0.0  # 0 x inf is nan


def _between(start: datetime | None, end: datetime | None) -> float:
    return math.inf if start is None or end is None else (end - start).total_seconds()


def _rounds(
    order: RenderOrder, timings: JobTimings, start: datetime | None
) -> Slices[tuple[tuple[ChildRun, ...], datetime | None]]:
    """Render the scenes in rounds: a round starts when every scene of the one before has ended.

    Docs page /concepts/render-pipeline: wall time is rounds x mean scene time. When a scene fails, those that run with
    it still end, and no later round starts.
    """
    spans: list[ChildRun] = []
    failing = timings.fail.scene if timings.fail else None
    fails = min(failing, len(order.scenes)) - 1 if failing else None
    for first in range(0, len(order.scenes), order.workers):
        indexes = range(first, min(first + order.workers, len(order.scenes)))
        stopped = fails is not None and fails < first
        spans += [_span(order, timings, index, None if stopped else start, fails == index) for index in indexes]
        if not stopped:
            ends = [span.end for span in spans[first:]]
            start = max(end for end in ends if end) if None not in ends else None
        if first // SLICE != (first + order.workers) // SLICE:
            yield
    return tuple(spans), start


def _span(order: RenderOrder, timings: JobTimings, index: int, start: datetime | None, fails: bool) -> ChildRun:
    length = timings.scene.sample(order.scenes[index], order.draw, index)
    if start is None:
        return ChildRun(None, length, None, Status.DONE)
    if fails and timings.fail:
        return ChildRun(start, length, _later(start, _share(length, timings.fail.at)), Status.FAILED)
    return ChildRun(start, length, _later(start, length), Status.DONE)


def _fail(timeline: Timeline, failure: Failure) -> Timeline:
    """End the timeline where the round of the failing scene ends, or within the failing phase."""
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
    fails_scene: bool = False,
) -> Timeline:
    """End the job at an instant, with all children that have not ended.

    They get `done` with a job that is `done`, else `cancelled`; a job that fails while assembling fails its assemble
    child, and with `fails_scene` the first scene that is rendering. `plan_only` is for the planning itself, when no
    client can have seen a step yet.
    """
    rest = Status.DONE if outcome is Status.DONE else Status.CANCELLED
    running = (i for i, run in enumerate(timeline.scenes) if run.start and run.start <= instant < (run.end or LATEST))
    failing = next(running, None) if fails_scene else None
    broken = outcome is Status.FAILED and timeline.mark_at(instant).phase is Phase.ASSEMBLING
    return replace(
        timeline,
        marks=(*(mark for mark in timeline.marks if mark.at <= instant), StatusChange(instant, outcome, None)),
        scenes=tuple(
            _cut(run, instant, Status.FAILED if index == failing else rest, plan_only=plan_only)
            for index, run in enumerate(timeline.scenes)
        ),
        assemble=_cut(timeline.assemble, instant, Status.FAILED if broken else rest, plan_only=plan_only),
        error=error,
        emitted_steps=() if plan_only else _steps_until(timeline, instant),
    )


def _cut(span: ChildRun, instant: datetime, outcome: Status, *, plan_only: bool) -> ChildRun:
    is_over = span.end is not None and span.end <= instant
    if is_over and not (outcome is Status.FAILED and span.end == instant):  # assembling may fail at its very end
        return span
    is_skipped = plan_only and outcome is Status.CANCELLED and span.start == instant  # planned, but never begun
    start = None if span.start is None or span.start > instant or is_skipped else span.start
    return ChildRun(start, span.length, instant, outcome, span.pause)


def raise_progress(timeline: Timeline, instant: datetime, progress: float) -> Timeline:
    """Set a minimum of the progress from an instant on."""
    least = max([progress, *(floor.progress for floor in timeline.floors)])
    return replace(
        timeline,
        floors=(*timeline.floors, MinimumProgress(instant, least)),
        emitted_steps=_steps_until(timeline, instant),
    )


def hold(timeline: Timeline, instant: datetime, seconds: float) -> Timeline:
    """Let the job stand still from an instant on, for some seconds; `inf` is for ever."""
    held = _delayed(timeline, instant, seconds)
    return replace(held, emitted_steps=_steps_until(timeline, instant))


def bring_forward(timeline: Timeline, instant: datetime, status: Status) -> Timeline | None:
    """Bring the next mark with this status forward to an instant, and everything after it by as much.

    Returns None when no later mark has that status.
    """
    goal = next((mark for mark in timeline.marks if mark.at > instant and mark.status is status), None)
    if goal is None:
        return None
    earlier = goal.at - instant

    def moved(at: datetime) -> datetime:
        return at if at <= instant else max(at - earlier, instant)

    def moved_run(run: ChildRun) -> ChildRun:
        return run._replace(start=run.start and moved(run.start), end=run.end and moved(run.end))

    return replace(
        timeline,
        marks=tuple(mark._replace(at=moved(mark.at)) for mark in timeline.marks),
        scenes=tuple(map(moved_run, timeline.scenes)),
        assemble=moved_run(timeline.assemble),
        emitted_steps=_steps_until(timeline, instant),
    )


def _steps_until(timeline: Timeline, instant: datetime) -> tuple[Step, ...]:
    return tuple(step for step in steps(timeline) if step.at <= instant)
