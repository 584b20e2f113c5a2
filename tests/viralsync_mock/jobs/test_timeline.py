"""The job engine, as laws and by example."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viralsync_mock.clock import EPOCH
from viralsync_mock.jobs.models import Children, ChildRun, Phase, Status, Step, Timeline, add_seconds
from viralsync_mock.jobs.steps import child_steps, next_step, step_at, step_slices, steps
from viralsync_mock.jobs.timeline import (
    Duration,
    Failure,
    JobTimings,
    RenderOrder,
    SceneTimings,
    bring_forward,
    plan,
    plan_slices,
    raise_progress,
    terminate,
)

LEGAL = {
    Status.QUEUED: {Status.QUEUED, Status.RUNNING, Status.WAITING, Status.DONE, Status.FAILED, Status.CANCELLED},
    Status.RUNNING: {Status.RUNNING, Status.WAITING, Status.DONE, Status.FAILED, Status.CANCELLED},
    Status.WAITING: {Status.WAITING, Status.RUNNING, Status.DONE, Status.FAILED, Status.CANCELLED},
    Status.DONE: set(),
    Status.FAILED: set(),
    Status.CANCELLED: set(),
}


def order(scenes: list[float], workers: int = 3) -> RenderOrder:
    return RenderOrder(scenes, min(workers, len(scenes)), EPOCH, lambda *_: 0.5)


def seconds(instant: datetime) -> float:
    return (instant - EPOCH).total_seconds()


durations = st.builds(Duration, st.floats(0, 100), st.floats(0, 50)) | st.just(Duration(math.inf))
failures = (
    st.none()
    | st.builds(
        Failure,
        error=st.just("SCENE_RENDER_FAILED: no"),
        scene=st.integers(1, 9),
        at=st.floats(0, 1),
    )
    | st.builds(
        Failure,
        error=st.just("RENDER_TIMEOUT: no"),
        phase=st.sampled_from([Phase.PLANNING, Phase.RENDERING, Phase.ASSEMBLING, Phase.UPLOADING]),
        at=st.floats(0, 1),
    )
)
job_timings = st.builds(
    JobTimings,
    queued=durations,
    planning=durations,
    dispatching=durations,
    scene=st.builds(SceneTimings, per_output_second=durations, at_least=st.floats(0, 20), reports=st.integers(1, 6)),
    assembling=durations,
    uploading=durations,
    fail=failures,
)


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    """Plan any job, and give it up to three orders at any instants."""
    lengths = draw(st.lists(st.floats(0.01, 100), min_size=1, max_size=9))
    fraction = draw(st.floats(0, 1, exclude_max=True))
    planned = plan(
        RenderOrder(lengths, draw(st.integers(1, len(lengths))), EPOCH, lambda *_: fraction), draw(job_timings)
    )
    instant = EPOCH
    for _ in range(draw(st.integers(0, 3))):
        instant = add_seconds(instant, draw(st.sampled_from([0, 0.001, 1, 30, 1000])))
        if planned.mark_at(instant).status.is_terminal:
            break
        planned = rewritten(draw, planned, instant)
    return planned


def rewritten(draw: st.DrawFn, planned: Timeline, instant: datetime) -> Timeline:
    kind = draw(st.sampled_from(["cancel", "done", "lift", "hurry"]))
    if kind == "lift":
        return raise_progress(planned, instant, draw(st.floats(0, 1)))
    if kind == "hurry":
        return bring_forward(planned, instant, draw(st.sampled_from(list(Status)))) or planned
    return terminate(planned, instant, Status.CANCELLED if kind == "cancel" else Status.DONE)


@given(timelines(), st.integers(1, 4))
def test_slices_do_not_change_the_steps(timeline: Timeline, size: int) -> None:
    """However many scenes a slice has, the steps of a timeline are the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("viralsync_mock.jobs.steps.SLICE", size)
        assert steps(replace(timeline)) == steps(timeline)
    timeline.known_steps.clear()
    assert steps(replace(timeline)) == steps(timeline)


def test_a_huge_job_is_planned_in_many_slices_of_few_scenes() -> None:
    """No slice has more than some hundred scenes, so that other calls come in between."""
    assert len(list(plan_slices(order([0.02] * 30_000), JobTimings()))) >= 59
    assert len(list(step_slices(plan(order([0.02] * 30_000), JobTimings())))) >= 59


def test_a_job_goes_through_every_phase_in_the_documented_order() -> None:
    """A planned job is queued, planned, dispatched, rendered, assembled, uploaded and done."""
    phases = list(dict.fromkeys((step.status, step.phase) for step in steps(plan(order([10, 5]), JobTimings()))))
    assert phases == [
        (Status.QUEUED, None),
        (Status.RUNNING, Phase.PLANNING),
        (Status.RUNNING, Phase.DISPATCHING),
        (Status.WAITING, Phase.RENDERING),
        (Status.RUNNING, Phase.ASSEMBLING),
        (Status.RUNNING, Phase.UPLOADING),
        (Status.DONE, None),
    ]


def test_twelve_scenes_on_six_workers_render_in_two_rounds() -> None:
    """Wall time is rounds times scene time plus assembly (docs page /concepts/render-pipeline)."""
    timings = JobTimings(scene=SceneTimings(Duration(1.0), at_least=0))
    timeline = plan(order([10.0] * 12, workers=6), timings)
    rendering, assembling = (m.at for m in timeline.marks if m.phase in (Phase.RENDERING, Phase.ASSEMBLING))
    assert (assembling - rendering).total_seconds() == 20
    assert len({span.start for span in timeline.scenes}) == 2


def test_a_round_waits_for_its_slowest_scene() -> None:
    """No scene of the second round starts before every scene of the first has ended."""
    timeline = plan(order([1, 30, 2, 2], workers=2), JobTimings(scene=SceneTimings(Duration(1.0), at_least=0)))
    assert timeline.scenes[2].start == timeline.scenes[1].end


def test_the_same_order_pace_and_draws_give_the_same_timeline() -> None:
    """Planning is a pure function."""
    timings = JobTimings(queued=Duration(3, 2))
    assert plan(order([3, 4]), timings) == plan(order([3, 4]), timings)


def test_a_failing_scene_lets_those_in_flight_finish_and_starts_no_more() -> None:
    """The parent fails at the end of the round in which a scene fails; later scenes never start."""
    timings = JobTimings(
        scene=SceneTimings(Duration(1.0), at_least=0), fail=Failure("SCENE_RENDER_FAILED: x", scene=1, at=0.1)
    )
    timeline = plan(order([10, 20, 5, 5], workers=2), timings)
    assert [span.outcome for span in timeline.scenes] == [
        Status.FAILED,
        Status.DONE,
        Status.CANCELLED,
        Status.CANCELLED,
    ]
    assert timeline.ends == timeline.scenes[1].end
    assert steps(timeline)[-1].children == Children(total=4, succeeded=1, running=0, queued=0, failed=1)


@pytest.mark.parametrize("scene", [2, 3, 9])
def test_a_movie_with_fewer_scenes_than_the_failing_one_fails_at_its_last(scene: int) -> None:
    """A scenario that fails scene 9 fails the second and last scene of a movie of two, and no other."""
    timeline = plan(order([5, 5], workers=1), JobTimings(fail=Failure("SCENE_RENDER_FAILED: x", scene=scene)))
    assert [span.outcome for span in timeline.scenes] == [Status.DONE, Status.FAILED]
    assert timeline.outcome is Status.FAILED


def test_a_failing_scene_in_the_second_round_lets_the_first_round_end() -> None:
    """The scenes of the round before are done; those of the round after never start."""
    timeline = plan(order([1] * 6, workers=2), JobTimings(fail=Failure("SCENE_RENDER_FAILED: x", scene=3)))
    done, failed, cancelled = Status.DONE, Status.FAILED, Status.CANCELLED
    assert [span.outcome for span in timeline.scenes] == [done, done, failed, done, cancelled, cancelled]
    assert [span.start for span in timeline.scenes[4:]] == [None, None]


def test_after_a_scene_failure_the_assemble_child_is_cancelled_and_never_started() -> None:
    """There is nothing to assemble."""
    timeline = plan(order([5]), JobTimings(fail=Failure("SCENE_RENDER_FAILED: x", scene=1)))
    assert (timeline.assemble.start, timeline.assemble.outcome) == (None, Status.CANCELLED)


@pytest.mark.parametrize("at", [0.0, 0.5, 1.0])
def test_a_job_that_fails_while_assembling_has_a_failed_assemble_child(at: float) -> None:
    """Also at 100 %, when assembling is as good as done: no output stands under a failed job."""
    failure = Failure("ASSEMBLE_FAILED: x", phase=Phase.ASSEMBLING, at=at)
    timeline = plan(order([5]), JobTimings(assembling=Duration(4), fail=failure))
    began = next(mark.at for mark in timeline.marks if mark.phase is Phase.ASSEMBLING)
    assert (timeline.ends, timeline.outcome) == (add_seconds(began, 4 * at), Status.FAILED)
    assert (timeline.assemble.end, timeline.assemble.outcome) == (timeline.ends, Status.FAILED)


def test_a_job_that_fails_while_uploading_has_been_assembled() -> None:
    """Its assemble child is done."""
    timeline = plan(order([5]), JobTimings(fail=Failure("UPLOAD_FAILED: x", phase=Phase.UPLOADING, at=0.5)))
    assert (timeline.outcome, timeline.assemble.outcome) == (Status.FAILED, Status.DONE)


def test_progress_stays_at_99_percent_until_the_job_is_done() -> None:
    """While the output is uploaded all children are done, and the job is not."""
    uploading, done = steps(plan(order([5]), JobTimings()))[-2:]
    assert (uploading.phase, uploading.progress) == (Phase.UPLOADING, 0.99)
    assert (done.status, done.progress) == (Status.DONE, 1.0)


def test_a_short_scene_takes_its_least_time_and_a_long_one_its_length() -> None:
    """`at_least` is a floor."""
    timings = SceneTimings(Duration(2.0), at_least=5)
    assert [timings.sample(seconds, lambda *_: 0.5, 0) for seconds in (1, 2.5, 10)] == [5, 5, 20]


def test_a_later_order_for_less_progress_does_not_lower_it() -> None:
    """The higher of two floors holds."""
    once = raise_progress(plan(order([10]), JobTimings()), add_seconds(EPOCH, 1), 0.6)
    twice = steps(raise_progress(once, add_seconds(EPOCH, 2), 0.2))
    assert step_at(twice, add_seconds(EPOCH, 2)).progress == 0.6


def test_a_scene_cut_short_at_the_instant_of_a_report_has_made_it() -> None:
    """Of four reports in 8 s the second comes at 4 s: a run that ends there has half its progress."""
    run = ChildRun(EPOCH, 8.0, add_seconds(EPOCH, 4), Status.CANCELLED)
    assert child_steps(run, Phase.RENDERING, EPOCH, 4)[-1].progress == 0.5


def test_before_its_creation_a_job_stands_at_its_first_mark() -> None:
    """A view that lags behind sees a queued job."""
    timeline = plan(order([5]), JobTimings())
    assert timeline.mark_at(EPOCH - timedelta(seconds=1)) == timeline.marks[0]


def test_bringing_a_status_forward_leaves_the_past_as_it_was() -> None:
    """Marks and runs before the instant keep their times."""
    planned = plan(order([10]), JobTimings())
    instant = add_seconds(EPOCH, 1.2)
    brought = bring_forward(planned, instant, Status.WAITING)
    assert brought is not None
    assert [mark.at for mark in brought.marks if mark.at < instant] == [
        mark.at for mark in planned.marks if mark.at < instant
    ]


@given(timelines(), st.floats(0, 3000), st.sampled_from([Status.CANCELLED, Status.DONE, Status.FAILED]))
def test_law_a_terminal_job_stays_terminal(timeline: Timeline, second: float, outcome: Status) -> None:
    """Nothing follows a terminal step, also after the job was ended by order."""
    instant = add_seconds(EPOCH, second)
    if not timeline.mark_at(instant).status.is_terminal:
        timeline = terminate(timeline, instant, outcome, "SCENE_RENDER_FAILED: x")
    made = steps(timeline)
    assert [step.status.is_terminal for step in made[:-1]] == [False] * (len(made) - 1)
    assert made[-1].status is timeline.outcome is timeline.mark_at(add_seconds(EPOCH, 1e6)).status


@given(timelines())
def test_law_no_child_is_done_or_runs_under_a_failed_job_without_need(timeline: Timeline) -> None:
    """When a job has ended, so have its children; with a job that failed in assembling, its assemble child failed."""
    if timeline.ends is None:
        return
    children = [*timeline.scenes, timeline.assemble]
    assert all(child.end is not None and child.end <= timeline.ends for child in children)
    last_phase = timeline.marks[-2].phase if len(timeline.marks) > 1 else None
    if timeline.outcome is Status.FAILED and last_phase is Phase.ASSEMBLING:
        assert timeline.assemble.outcome is Status.FAILED


def test_a_phase_that_never_ends_is_the_last() -> None:
    """A job stuck in its queue has no other step and no end."""
    timeline = plan(order([5]), JobTimings(queued=Duration(math.inf)))
    assert [step.status for step in steps(timeline)] == [Status.QUEUED]
    assert timeline.ends is None


def test_a_cancelled_job_takes_its_children_along_and_freezes_its_progress() -> None:
    """After a cancel nothing runs, nothing is queued, and progress stays where it was."""
    planned = plan(order([10, 10], workers=1), JobTimings())
    instant = add_seconds(EPOCH, 20)
    before, last = step_at(steps(planned), instant), steps(terminate(planned, instant, Status.CANCELLED))[-1]
    assert (last.status, last.progress) == (Status.CANCELLED, before.progress)
    assert last.children == Children(total=2, succeeded=0, running=0, queued=0, failed=0)


def test_an_order_at_the_instant_of_a_step_makes_a_step_of_its_own() -> None:
    """What was told stays told: a cancel in the same instant comes after the step, not in its place."""
    planned = plan(order([10]), JobTimings())
    told = [step for step in steps(planned) if step.at <= add_seconds(EPOCH, 1)]
    after_cancel = steps(terminate(planned, add_seconds(EPOCH, 1), Status.CANCELLED))
    assert list(after_cancel[: len(told)]) == told
    assert [step.status for step in after_cancel[len(told) :]] == [Status.CANCELLED]


def test_a_job_told_to_be_done_is_done_with_all_its_children() -> None:
    """Finishing by order leaves full progress and every scene succeeded."""
    done = steps(terminate(plan(order([10, 10]), JobTimings()), add_seconds(EPOCH, 2), Status.DONE))[-1]
    assert (done.status, done.progress, done.children) == (Status.DONE, 1.0, Children(2, 2, 0, 0, 0))


def test_a_lifted_progress_holds_until_the_children_pass_it() -> None:
    """An order for 0.5 shows 0.5 at once, and the job still reaches 1."""
    lifted = steps(raise_progress(plan(order([10]), JobTimings()), add_seconds(EPOCH, 1), 0.5))
    assert step_at(lifted, add_seconds(EPOCH, 1)).progress == 0.5
    assert lifted[-1].progress == 1.0


def test_a_hurried_job_reaches_the_status_at_once_and_the_rest_as_much_earlier() -> None:
    """Hurrying to `waiting` at second 0 moves every later step by the same time."""
    planned = plan(order([10]), JobTimings())
    hurried = bring_forward(planned, EPOCH, Status.WAITING)
    assert hurried is not None
    assert hurried.mark_at(EPOCH).status is Status.WAITING
    assert planned.ends is not None
    assert hurried.ends == planned.ends - timedelta(seconds=1.8)


def test_hurrying_to_a_status_that_never_comes_is_not_possible() -> None:
    """A job that will be done cannot be hurried to failed."""
    assert bring_forward(plan(order([10]), JobTimings()), EPOCH, Status.FAILED) is None


def test_a_child_is_queued_then_runs_then_ends() -> None:
    """A scene's own steps tell of its queueing, its reports and its end."""
    timeline = plan(order([10, 10], workers=1), JobTimings())
    made = child_steps(timeline.scenes[1], Phase.RENDERING, timeline.created, timeline.reports)
    assert [(step.status, step.phase, step.progress) for step in made] == [
        (Status.QUEUED, None, 0.0),
        (Status.RUNNING, Phase.RENDERING, 0.0),
        (Status.RUNNING, Phase.RENDERING, 0.25),
        (Status.RUNNING, Phase.RENDERING, 0.5),
        (Status.RUNNING, Phase.RENDERING, 0.75),
        (Status.DONE, None, 1.0),
    ]


@pytest.mark.parametrize("counted", [False, True])
def test_the_assemble_child_is_counted_where_the_profile_says_so(counted: bool) -> None:
    """`job.children_counted` decides whether the total of two scenes is 2 or 3."""
    asked = RenderOrder([1, 1], 2, EPOCH, lambda *_: 0.5, assemble_is_counted=counted)
    last = steps(plan(asked, JobTimings()))[-1]
    assert last.children == Children(2 + counted, 2 + counted, 0, 0, 0)


@given(timelines())
def test_law_statuses_change_along_legal_edges_only(timeline: Timeline) -> None:
    """No status ever follows one that it may not follow; nothing follows a terminal one."""
    made = steps(timeline)
    assert all(b.status in LEGAL[a.status] for a, b in itertools.pairwise(made))


@given(timelines())
def test_law_progress_never_falls_and_is_one_exactly_when_done(timeline: Timeline) -> None:
    """Progress is monotonic, within 0 and 1, and 1 means done."""
    made = steps(timeline)
    assert all(a.progress <= b.progress for a, b in itertools.pairwise(made))
    assert all((step.progress == 1.0) == (step.status is Status.DONE) for step in made)


@given(timelines())
def test_law_steps_are_numbered_ordered_and_each_a_change(timeline: Timeline) -> None:
    """Steps count from 0, never go back in time, and each differs from the one before."""
    made = steps(timeline)
    assert [step.number for step in made] == list(range(len(made)))
    assert all(a.at <= b.at and a[2:] != b[2:] for a, b in itertools.pairwise(made))


def whole(step: Step) -> int:
    assert step.children is not None
    return sum(step.children[1:])


@given(timelines())
def test_law_every_child_is_counted_exactly_once_while_the_job_runs(timeline: Timeline) -> None:
    """Succeeded + running + queued + failed = total until the job is terminal, and never more."""
    made = steps(timeline)
    totals = [(whole(step), step.children.total if step.children else 0, step.status.is_terminal) for step in made]
    assert all(counted == total or (ended and counted <= total) for counted, total, ended in totals)


@given(timelines(), st.floats(0, 2000))
def test_law_a_rewrite_changes_nothing_that_was_told(timeline: Timeline, second: float) -> None:
    """Whatever had happened when an order came is told the same afterwards."""
    instant = add_seconds(EPOCH, second)
    if timeline.mark_at(instant).status.is_terminal:
        return
    told = [step for step in steps(timeline) if step.at <= instant]
    assert list(steps(terminate(timeline, instant, Status.CANCELLED))[: len(told)]) == told


@given(timelines(), st.floats(0, 2000))
def test_law_marks_and_steps_agree_at_every_instant(timeline: Timeline, second: float) -> None:
    """The parent's mark and its step in force show the same status and phase."""
    instant = add_seconds(EPOCH, second)
    assert step_at(steps(timeline), instant)[2:4] == timeline.mark_at(instant)[1:]


@given(timelines())
def test_law_the_following_step_is_the_first_later_one(timeline: Timeline) -> None:
    """From the start, going from each step to the following one visits every later instant."""
    made, seen = steps(timeline), [steps(timeline)[0].at]
    while (step := next_step(made, seen[-1])) is not None:
        seen.append(step.at)
    assert seen == sorted({step.at for step in made})
