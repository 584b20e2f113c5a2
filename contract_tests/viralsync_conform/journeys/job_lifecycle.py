"""The life of a job, lived once and looked at in every way: polls, stream, children, ledger."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from viralsync_conform.calls import TERMINAL, Exchange
from viralsync_conform.clocks import RealClock
from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.journeys.account import length_of, paid_by_others, usage_of, used
from viralsync_conform.run.job_invariants import PHASES, instants
from viralsync_conform.run.journey import journey
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.run.submissions import Job, fitting, settle_budget, submission, submit, submit_body
from viralsync_conform.target.event_stream import Stream

MAX_APART = 120.0
"""Seconds between `Date` and `createdAt`: caches and skew, but no time zone."""

MAX_LOOKS_AT_NEWS = 40
"""Looks after which a job is no longer looked at as soon as its stream tells of a change, but at intervals."""

STILL_SECONDS, STILL_AGAIN = 120.0, 20.0
"""How long a job of a real target may show no progress until it hangs, and how long once a job is known to hang.

No page states a bound; a movie of a second that stands still for this long is not merely slow.
"""

CLOSING_SECONDS, CLOSING_SECONDS_FOR_REAL = 3.0, 10.0
"""Real seconds that a server is given to close a stream after the terminal event: a mock, and a real target."""

SCENES, WORKERS = 21, 5
"""The job that is rendered to its end takes several rounds, so that there is something to be seen."""

SLOW_SCENES, MAX_SLOW_SCENES = 12, 100
SLOW_SECONDS, SLOW_CALLS = 12.0, 10
"""How long a job should render that is to be cancelled: seconds, and calls that are made meanwhile."""

CERTAIN_LOOKS = 3
"""Looks at a job that renders after which its workers must have been seen at once."""

REFUSED_ADDRESS = frozenset({400, 403})
"""What a target may say of a receiver that is not public."""

MAX_SUBMISSION, AT_THE_END = 5.0, 2.0
"""Seconds that a submission may take however short its job is; and how soon after the end of one it was waited for."""

LATE = 6.0
"""Seconds after a change was seen by which a stream must have sent something."""


def closing_seconds(context: JourneyContext) -> float:
    """Return the real seconds that a stream is given to end."""
    return CLOSING_SECONDS if context.run.target.has_control else CLOSING_SECONDS_FOR_REAL


def slow_movie(context: JourneyContext, scenes: int | None = None, workers: int = 1) -> dict[str, Any]:
    """Return changes to a submission that make a short movie render slowly: many scenes, few at once.

    Where the target renders or answers at another pace than usual, there are as many scenes as it needs.
    """
    if context.run.target.has_control:
        return {}
    number = scenes or _slow_scenes(context)
    each = round(0.96 / number, 4)
    movie = submission(context.run.project_id)["movie"]
    listed = [{"id": f"scene-{place}", "duration": each, "bgColor": "#101820"} for place in range(number)]
    return {"movie": {**movie, "scenes": listed}, "renderOptions": {"requestedConcurrency": workers}}


def _slow_scenes(context: JourneyContext) -> int:
    """Return how many scenes keep the target busy for long enough, by the job that was rendered and by its answers."""
    life: ObservedJob | None = context.run.shared.get("life")
    if life is None or life.status != "done":
        return SLOW_SCENES
    created, ended = instants(life.last.document.get(name) for name in ("createdAt", "updatedAt"))
    if not (isinstance(created, datetime) and isinstance(ended, datetime)) or ended <= created:
        return SLOW_SCENES
    each = (ended - created).total_seconds() / (SCENES / WORKERS)
    answer = sum(call.seconds for call in context.run.calls) / len(context.run.calls)
    return min(MAX_SLOW_SCENES, max(SLOW_SCENES, round((SLOW_SECONDS + SLOW_CALLS * answer) / each)))


@dataclass
class ObservedJob:
    """A job from its submission to its end, as polls and its stream showed it."""

    job: Job
    polls: list[Exchange] = field(default_factory=list)
    stream: Exchange | None = None
    closed_in_time: bool = False
    usage_before: Exchange | None = None
    usage_after: Exchange | None = None
    is_given_up: bool = False
    """It had all its time and did not end."""

    @property
    def last(self) -> Exchange:
        """The last look at the job."""
        return self.polls[-1]

    @property
    def status(self) -> Any:
        """Where the job stood at the last look."""
        return self.last.document.get("status")


def completed_job(context: JourneyContext) -> ObservedJob:
    """Return the life of the one job that is rendered to its end for all journeys; it is lived when first asked for."""
    if "life" not in context.run.shared:
        context.run.shared["life"] = None  # a second try would cost a second render
        context.run.shared["life"] = _live(context)
    life: ObservedJob | None = context.run.shared["life"]
    if life is None:
        raise context.stop("no job was rendered")
    return life


def ended_job(context: JourneyContext) -> ObservedJob:
    """Return that life for what only shows once it has ended; a job that never ends stops the journey."""
    life = completed_job(context)
    if life.is_given_up:
        raise context.stop(f"the job is still {life.status}", life.last)
    return life


def _live(context: JourneyContext) -> ObservedJob:
    before = usage_of(context, "usage before a job")
    job = _submit_with_callback(context, _whole_movie(context))
    life = ObservedJob(job, usage_before=before)
    with ExitStack() as open_streams:
        stream = open_streams.enter_context(context.stream(job.id, step="stream a life"))
        poll_until(context, life, stream=stream)
        life.closed_in_time = not life.is_given_up and stream.wait_closed(closing_seconds(context))
    life.stream = stream.call
    settle_budget(context, job, life.status)
    life.usage_after = context.settle(
        lambda: usage_of(context, "usage after a job"),
        lambda usage: life.status != "done" or used(usage) != used(before),
    )
    return life


def _whole_movie(context: JourneyContext) -> dict[str, Any]:
    """Return changes to the submission of the job that is rendered: defaults left out, scenes in no order."""
    changes = slow_movie(context, SCENES, WORKERS)
    if not changes:
        return {}
    listed = changes["movie"]["scenes"]
    return {
        "movie": {"title": changes["movie"]["title"], "scenes": listed[1::2] + listed[::2], **fitting(context.run)},
        "renderOptions": {"requestedConcurrency": WORKERS, "qualityPreset": "fast"},
    }


def _submit_with_callback(context: JourneyContext, changes: dict[str, Any]) -> Job:
    """Submit a job that reports to the receiver; where the target takes no such address, one that reports nowhere."""
    callback = context.run.callback()
    if not callback or context.run.target.has_control:
        return submit(context, **changes, **callback)
    run = context.run
    call, job = submit_body(context, submission(run.project_id, **changes, **callback), 202, step="submit")
    if call.status in REFUSED_ADDRESS:
        run.target.receiver = None
        run.skipped.append(("webhooks", f"the target refuses callbacks to {callback['callbackUrl']}: {call.status}"))
        return submit(context, step="submit without a callback", **changes)
    context.expect(call, 202)
    if job is None:
        raise context.stop("no job was made", call)
    return job


def poll_until(
    context: JourneyContext, life: ObservedJob, until: Sequence[str] = TERMINAL, stream: Stream | None = None
) -> None:
    """Poll a job from step to step until it has such a status, or has had all the time that it may need.

    Where its stream tells of another status or phase, the job is looked at at once.
    """
    clock = context.account.clock
    start = changed = clock.now()
    while True:
        life.polls.append(
            context.call("getJob", 200, path={"jobId": life.job.id}, step="poll", auth=_way(len(life.polls)))
        )
        if life.status in (*until, *TERMINAL) or not life.last.is_success:
            return
        now = clock.now()
        changed = now if _has_moved(life) else changed
        waited, still = (now - start).total_seconds(), (now - changed).total_seconds()
        if waited > clock.patience or _is_stuck(context, life, still):
            _never_ends(context, life, waited, still)
            return
        _wait_for_change(context, len(life.polls), stream, state_of(life.last.document)[:2])


def _has_moved(life: ObservedJob) -> bool:
    before, now = ((*state_of(poll.document), poll.document.get("children")) for poll in (life.polls[-2:] * 2)[:2])
    return before != now


def _is_stuck(context: JourneyContext, life: ObservedJob, still: float) -> bool:
    """Say whether a job of a real target makes no progress; one in the queue may wait for those of others."""
    if context.run.target.has_control:
        return False
    return still >= STILL_AGAIN if context.run.hung else still >= STILL_SECONDS and life.status != "queued"


def _wait_for_change(context: JourneyContext, looks: int, stream: Stream | None, seen: tuple[Any, Any]) -> None:
    clock = context.account.clock
    if stream is None or looks > MAX_LOOKS_AT_NEWS or not isinstance(clock, RealClock):
        clock.wait_for_change(looks)
    else:
        stream.wait_news(lambda event: state_of(event.document)[:2] != seen, clock.interval(looks))


def _never_ends(context: JourneyContext, life: ObservedJob, waited: float, still: float) -> None:
    """A job that does not end never will on a mock's clock, nor where it stands still; else it may only be slow."""
    life.is_given_up = True
    message = f"the job is {life.status} after {waited:.0f} s and {len(life.polls)} looks"
    is_stuck = _is_stuck(context, life, still) and life.status != "queued"
    if context.run.target.has_control or is_stuck:
        context.run.hung.add(life.job.id)
        got = f"{message}, without progress for {still:.0f} s" if is_stuck else message
        context.check(facts.ENDS, False, life.last, expected="a terminal status", got=got)
    else:
        context.run.mark_inconclusive(facts.ENDS.name, message, life.last)


def _way(number: int) -> str:
    return "bearer" if number % 4 == 1 else "header"


@journey("life_by_polling", "A job goes through its steps in order, makes progress, and is done.", 30, renders=True)
def life_by_polling(context: JourneyContext) -> None:
    life = completed_job(context)
    polls = [poll for poll in life.polls if poll.is_success]
    if life.status in TERMINAL:
        context.check_equal(facts.OUTCOME, "done", life.status, life.last, message=f"a valid movie ended {life.status}")
        context.check(facts.ENDS, True, life.last)
    for poll in polls:
        context.check_equal(facts.JOB_ID, life.job.id, poll.document.get("jobId"), poll)
    check_transitions(context, polls, [poll.document for poll in polls])
    _echo(context, life, polls[0])
    check_workers(context, life, polls)
    created = {poll.document.get("createdAt") for poll in polls}
    context.check(facts.CREATED, len(created) == 1, *polls[-2:], expected="one instant", got=sorted(map(str, created)))
    _created_now(context, life, polls[0])
    _is_asynchronous(context, life, polls[0])
    updates = instants(poll.document.get("updatedAt") for poll in polls)
    reported = list(map(str, updates))
    context.check(facts.UPDATED, updates == sorted(updates), *polls[-2:], expected="ascending", got=reported)
    _changes_are_dated(context, polls)


def _created_now(context: JourneyContext, life: ObservedJob, poll: Exchange) -> None:
    """By the target's own clock a job is created when it is submitted: its instants are UTC."""
    date, created = life.job.submitted.header("date"), instants([poll.document.get("createdAt")])
    if date and created and isinstance(created[0], datetime):
        apart = abs((parsedate_to_datetime(date) - created[0]).total_seconds())
        context.check(
            facts.CREATED, apart < MAX_APART, poll, life.job.submitted, expected=date, got=created[0], name="now"
        )


def _is_asynchronous(context: JourneyContext, life: ObservedJob, poll: Exchange) -> None:
    """By the target's own clock a submission is not answered when its job has ended, but long before."""
    date = life.job.submitted.header("date")
    created, ended = instants(poll.document.get(name) for name in ("createdAt", "updatedAt"))
    if date is None or not (isinstance(created, datetime) and isinstance(ended, datetime)):
        return
    answered = parsedate_to_datetime(date)
    took, late = (answered - created).total_seconds(), (answered - ended).total_seconds()
    waited = took > MAX_SUBMISSION and late < AT_THE_END and poll.document.get("status") in TERMINAL
    got = f"{took:.0f} s, when the job was {poll.document.get('status')}"
    context.check(facts.ASYNCHRONOUS, not waited, life.job.submitted, poll, expected="at once", got=got)


def _changes_are_dated(context: JourneyContext, polls: Sequence[Exchange]) -> None:
    for before, after in itertools.pairwise(polls):
        changed = any(before.document.get(name) != after.document.get(name) for name in ("status", "phase", "progress"))
        if changed:
            same = before.document.get("updatedAt") == after.document.get("updatedAt")
            context.check(
                facts.UPDATED, not same, before, after, expected="a later instant", got="the same", name="change"
            )


def _echo(context: JourneyContext, life: ObservedJob, poll: Exchange) -> None:
    payload = poll.document.get("payload")
    payload = payload if isinstance(payload, dict) else {}
    context.check_equal(facts.ECHO, life.job.body["projectId"], payload.get("projectId"), poll, name="projectId")
    movie, echoed = life.job.body["movie"], payload.get("movie")
    fits = isinstance(echoed, dict) and all(echoed.get(name) == value for name, value in movie.items())
    context.check(facts.ECHO, fits, poll, expected=movie, got=echoed, name="movie")


def check_workers(context: JourneyContext, life: ObservedJob, polls: Sequence[Exchange]) -> None:
    """No more scenes render at once than were asked for, and that many where there were looks enough."""
    asked = life.job.body.get("renderOptions", {}).get("requestedConcurrency")
    counts = [poll.document["children"] for poll in polls if poll.document.get("phase") == "rendering"
              and isinstance(poll.document.get("children"), dict)]  # fmt: skip
    running = [count.get("running") for count in counts if isinstance(count.get("running"), int)]
    if asked is None or not running or life.is_given_up:  # of a job that hangs nothing need render
        return
    holds = max(running) <= asked and (max(running) == asked or len(running) < CERTAIN_LOOKS)
    context.check(facts.WORKERS_ASKED, holds, polls[-1], expected=f"{asked} at once", got=running)


def check_transitions(context: JourneyContext, calls: Sequence[Exchange], states: Sequence[dict[str, Any]]) -> None:
    """Hold a sequence of states against the pipeline: forward only, progress never falling, the end final."""
    evidence = calls[-1:]
    progress = [each for state in states if isinstance(each := state.get("progress"), int | float)]
    context.check(facts.PROGRESS, progress == sorted(progress), *evidence, expected="never falling", got=progress)
    ranks = [rank(state) for state in states]
    known = [each for each in ranks if each is not None]
    reported = [f"{state.get('status')}/{state.get('phase')}" for state in states]
    context.check(facts.EDGES, known == sorted(known), *evidence, expected="forward only", got=reported)
    ended = [state.get("status") for state in states if state.get("status") in TERMINAL]
    context.check(facts.STAYS, len(set(ended)) <= 1, *evidence, expected="one end", got=ended)


def rank(state: dict[str, Any]) -> int | None:
    """Return how far along the pipeline a state is; None for a phase that a terminal or odd state does not have."""
    if state.get("status") == "queued":
        return 0
    if state.get("status") in TERMINAL:
        return len(PHASES) + 1
    phase = state.get("phase")
    return PHASES.index(phase) + 1 if phase in PHASES else None


@journey(
    "life_by_stream",
    "The stream of a job tells the same life as polling does, event by event, and ends with its end.",
    0,
    renders=True,
)
def life_by_stream(context: JourneyContext) -> None:
    life = ended_job(context)
    if life.stream is None:
        raise context.stop("the job was not streamed")
    call, events = life.stream, life.stream.events
    check_end_of_stream(context, call, life, life.status)
    if not events:
        raise context.stop("the stream had no event", call)
    states = [event.document for event in events]
    check_transitions(context, [call], states)
    named = {state["jobId"] for state in states if isinstance(state.get("jobId"), str)}
    context.check(facts.EVENT_JOB, not named or life.job.id in named, call, expected=life.job.id, got=sorted(named)[:3])
    _ends_once(context, life, call)
    _is_live(context, life, call)
    first, seen = rank(states[0]) or 0, rank(life.polls[0].document) or 0
    context.check(
        facts.SNAPSHOT, first <= seen, call, life.polls[0], expected="where it stood", got=states[0].get("status")
    )
    ids = [event.id for event in events]
    context.check(
        facts.EVENT_IDS, None not in ids and len(set(ids)) == len(ids), call, expected="ids of their own", got=ids
    )
    _is_dated(context, life, call, [state.get("timestamp", state.get("updatedAt")) for state in states])
    uncounted = [state_of(state) for state in states if state.get("status") not in TERMINAL and "children" not in state]
    context.check(facts.EVENT_CHILDREN, not uncounted, call, expected="children", got=uncounted, name="stream")
    _tells_the_same(context, life, call, states)
    if life.status == "done":
        phases = [phase for phase in PHASES if any(state.get("phase") == phase for state in states)]
        context.check_equal(facts.STEPS_COMPLETE, list(PHASES[max(0, first - 1) :]), phases, call)


def read_ended_stream(context: JourneyContext, job_id: str, status: Any, step: str) -> Stream:
    """Read the stream of a job that has ended: it tells of that alone, and closes."""
    with context.stream(job_id, step=step, has_ended=True) as stream:
        closed = stream.wait_closed(closing_seconds(context))
    reported = [event.document.get("status") for event in stream.events]
    if stream.call is not None:
        context.check(facts.ONE_EVENT, reported == [status] and closed, stream.call, expected=[status], got=reported)
    return stream


def check_end_of_stream(context: JourneyContext, call: Exchange, life: ObservedJob, status: Any) -> None:
    """A stream that was opened while its job went on, and read to its end or long after that, has shown that end."""
    first, look = life.polls[0], life.last
    if status not in TERMINAL or call.problem or first.document.get("status") in TERMINAL:
        return
    ends = [event.document.get("status") for event in call.events if event.document.get("status") in TERMINAL]
    if not ends and call.events and not isinstance(call.events[-1].document.get("status"), str):
        context.check(facts.TERMINAL_EVENT, False, call, look, expected=status, got="an event without a status")
        return
    context.check_equal(facts.STREAM_END, status, ends[-1] if ends else None, call, look)


def _is_live(context: JourneyContext, life: ObservedJob, call: Exchange) -> None:
    """What polling saw change has moved the stream within a few seconds, while the job went on."""
    if context.run.target.has_control or not call.events:
        return
    begun, first = state_of(life.polls[0].document), call.events[0].at
    changed = next((poll.at for poll in life.polls if state_of(poll.document) != begun), None)
    if changed is not None and life.status in TERMINAL:
        ended = life.last.at
        is_held = (ended - changed).total_seconds() > LATE and (first - changed).total_seconds() > LATE
        context.check(
            facts.STREAM_LIVE,
            not is_held,
            call,
            life.last,
            expected=f"an event by {changed}",
            got=f"the first at {first}",
        )


def _is_dated(context: JourneyContext, life: ObservedJob, call: Exchange, written: Sequence[Any]) -> None:
    """The instants of events follow each other; an event without one breaks its schema."""
    if None in written:
        return
    times = instants(written)
    context.check(facts.EVENT_TIMES, times == sorted(times), call, expected="ascending", got=written)
    dated = {poll.document.get("updatedAt") for poll in life.polls if poll.is_success}
    context.check(
        facts.EVENT_TIMES, len(set(times)) > 1 or len(dated) <= 1, call, expected="as they happen", got="one instant"
    )


def _ends_once(context: JourneyContext, life: ObservedJob, call: Exchange) -> None:
    ends = [event.document.get("status") for event in call.events if event.document.get("status") in TERMINAL]
    is_last = bool(call.events) and call.events[-1].document.get("status") in TERMINAL
    if life.status in TERMINAL:
        context.check(
            facts.TERMINAL_EVENT, len(ends) == 1 and is_last, call, expected="one terminal event, the last", got=ends
        )
        context.check(facts.CLOSES, life.closed_in_time, call, expected="closed by the server", got="still open")


def _tells_the_same(
    context: JourneyContext, life: ObservedJob, call: Exchange, states: Sequence[dict[str, Any]]
) -> None:
    """The stream has what every poll saw: the same status, phase and progress, or the steps around it."""
    reported = {state_of(state) for state in states}
    is_readable = all("phase" in state for state in states if state.get("status") not in TERMINAL)
    is_readable = is_readable and all({"status", "progress"} <= state.keys() for state in states)
    for poll in life.polls:
        if poll.is_success and is_readable:
            seen, is_passed = state_of(poll.document), _lies_between(poll.document, states)
            check = facts.EVERY_CHANGE if is_passed and not context.run.target.has_control else facts.AGREES
            context.check(
                check, seen in reported, poll, call, expected=sorted(map(str, reported)), got=seen, name="state"
            )
    if context.run.target.has_control and is_readable:
        _at_the_same_time(context, life, call, states)


def _at_the_same_time(
    context: JourneyContext, life: ObservedJob, call: Exchange, states: Sequence[dict[str, Any]]
) -> None:
    """On a mock's clock a poll shows the stream's last event: neither lags."""
    times = instants(state.get("timestamp", state.get("updatedAt")) for state in states)
    if not all(isinstance(each, datetime) for each in times):
        return
    for poll in life.polls:
        before = [state for state, instant in zip(states, times, strict=True) if instant <= poll.at]
        if poll.is_success and before:
            last, seen = state_of(before[-1]), state_of(poll.document)
            context.check_equal(facts.AGREES, last, seen, poll, call, name="at the same time")


def _lies_between(state: dict[str, Any], states: Sequence[dict[str, Any]]) -> bool:
    """Say whether a state lies between two that follow each other: the stream has only passed it by."""
    place, progress = rank(state), state.get("progress")
    if place is None or not isinstance(progress, int | float):
        return False
    for before, after in itertools.pairwise(states):
        first, last = rank(before), rank(after)
        is_here = first is not None and last is not None and first <= place <= last
        if is_here and before["progress"] <= progress <= after["progress"]:
            return True
    return False


def state_of(state: dict[str, Any]) -> tuple[Any, Any, Any]:
    """Return status, phase and progress; a terminal event has no phase, a terminal job has null."""
    return state.get("status"), state.get("phase"), state.get("progress")


@journey("ledger", "A job that is done costs a sixtieth of its length, once.", 0, renders=True)
def ledger(context: JourneyContext) -> None:
    life = completed_job(context)
    before, after = used(life.usage_before), used(life.usage_after)
    if before is None or after is None or life.status != "done":
        looks = [call for call in (life.usage_before, life.usage_after) if call is not None]
        raise context.stop("usage or the end of the job is missing", life.last, *looks)
    expected = length_of({"payload": life.job.body, **life.last.document}) / 60
    assert life.usage_before is not None  # noqa: S101 - `used` has read both
    assert life.usage_after is not None  # noqa: S101
    extra = after - before - expected
    holds = abs(extra) < max(1e-4, expected * 0.02)
    holds = holds or paid_by_others(context, extra, life.usage_before, life.usage_after)
    context.check(
        facts.CHARGED, holds, life.usage_after, life.last, expected=f"{expected:.6f}", got=f"{after - before:.6f}"
    )
