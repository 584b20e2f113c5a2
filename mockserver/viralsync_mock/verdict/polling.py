"""Rules of the verdict about reading jobs: when to stop, how often to look, what to do with those left behind."""

from __future__ import annotations

from itertools import groupby, pairwise
from operator import attrgetter
from typing import TYPE_CHECKING

from viralsync_mock.clock import EPOCH, Mode
from viralsync_mock.faults.stream import EndWithoutTerminal, NeverEnd, NoKeepAlive, Silence
from viralsync_mock.jobs.models import TERMINAL, timestamp
from viralsync_mock.journal.entry import ANSWERED, PENDING
from viralsync_mock.verdict.evidence import (
    LIST,
    READ,
    STREAM,
    SUBMIT,
    document,
    failed,
    has_fault,
    has_shown_terminal,
    inconclusive,
    is_stream,
    last_status,
    over_at,
    passed,
    waited,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from viralsync_mock.journal.entry import JournalEntry
    from viralsync_mock.verdict.evidence import Evidence, Observation

MANY_AT_ONCE = 200
"""So many calls at one instant come from a client that does not sleep."""

MANY_READS = 3
"""Who has read a job so often has waited for it."""

QUIET = 60.0
"""Seconds of the sandbox's clock: a job that nobody has looked at for so long is left behind."""

EARLY = 0.95
"""A poll may come a little early: after this share of the interval."""


def stops_at_terminal(evidence: Evidence) -> Iterator[Observation]:
    """Once a job is known to have ended, it is read at most once more."""
    for job_id, calls in evidence.by_job.items():
        end = next(filter(has_shown_terminal, calls), None)
        if end is not None:
            again = [each for each in calls if each.number > over_at(end) and _repeats_the_end(each)]
            reason = f"{job_id} was read {len(again)} times more after it had told that it is {last_status(end)}"
            yield failed(reason, end, *again) if len(again) > 1 else passed(end)


def _repeats_the_end(entry: JournalEntry) -> bool:
    """Say whether a call told once more of a terminal job: a stream that is resumed after its end tells nothing."""
    is_empty = is_stream(entry) and entry.ending == ANSWERED and not entry.events
    return has_shown_terminal(entry) or (is_empty and not has_fault(entry, EndWithoutTerminal))


def does_not_poll_while_streaming(evidence: Evidence) -> Iterator[Observation]:
    """A job is not read again and again while a stream of it is open; one look is no poll."""
    for job_id, calls in evidence.by_job.items():
        reads = [each for each in calls if each.operation == READ]
        for stream in calls:
            if is_stream(stream) and not has_fault(stream, Silence, NoKeepAlive, NeverEnd):
                polls = [each for each in reads if _is_during(stream, each)]
                reason = f"{job_id} was read {len(polls)} times while its stream was open"
                yield failed(reason, stream, *polls) if len(polls) > 1 else passed(stream)


def _is_during(stream: JournalEntry, read: JournalEntry) -> bool:
    return read.number > stream.answered_after and (stream.ending == PENDING or read.number <= stream.ended_after)


def polls_no_faster_than(evidence: Evidence) -> Iterator[Observation]:
    """Between two polls of an unfinished job lies an interval; two looks in short succession are no poll."""
    for job_id, calls in evidence.by_job.items():
        yield from _polls(evidence, job_id, [each for each in calls if each.operation == READ])


def _polls(evidence: Evidence, job_id: str, reads: Sequence[JournalEntry]) -> Iterator[Observation]:
    quick: list[JournalEntry] = []
    blind: list[JournalEntry] = []
    for one, other in pairwise(reads):
        gap = waited(one, other, one.at)
        is_poll = _is_unfinished(one) and other.number > one.answered_after
        is_quick = is_poll and gap is not None and gap < evidence.poll_seconds * EARLY
        quick = [*(quick or [one]), other] if is_quick else []
        blind = [*(blind or [one]), other] if is_poll and gap is None else []
        if len(quick) == MANY_READS:
            reason = f"{job_id} was read again after less than {evidence.poll_seconds:g} s, and once more after that"
            yield failed(reason, *quick)
        elif len(blind) == MANY_READS and evidence.poll_seconds:
            yield inconclusive("the sandbox's clock does not tell how long the client waited between polls", *blind)
        elif is_poll and gap is not None and not is_quick:
            yield passed(one, other)


def _is_unfinished(entry: JournalEntry) -> bool:
    status = last_status(entry)
    return status is not None and status not in TERMINAL


def sleeps_between_calls(evidence: Evidence) -> Iterator[Observation]:
    """On a clock that jumps when everybody waits, time passes between calls."""
    jumping = [each for each in evidence.calls if each.mode is Mode.JUMP]
    for at, group in groupby(jumping, key=attrgetter("at")):
        calls = list(group)
        if len(calls) >= MANY_AT_ONCE:
            reason = f"{len(calls)} calls came at {timestamp(at)}: time passes when the client sleeps on the clock"
            yield failed(reason, *calls[-MANY_READS:])
        elif at > jumping[0].at:
            yield passed(calls[0])


def cancels_what_it_abandons(evidence: Evidence) -> Iterator[Observation]:
    """No job is left unfinished: it is waited for, streamed, told of by webhooks, or cancelled."""
    left = {each.id for each in evidence.unfinished}
    for submission in evidence.of(SUBMIT):
        if submission.job_id and document(submission) is not None and submission.job_id not in left:
            yield passed(submission)
    for job in evidence.unfinished:
        if not job.has_webhooks:
            yield from _left_behind(evidence, job.id)


def _left_behind(evidence: Evidence, job_id: str) -> Iterator[Observation]:
    calls = evidence.by_job.get(job_id, [])
    looks = [each for each in calls if each.operation != SUBMIT]
    is_known = any(each.operation == SUBMIT and document(each) is not None for each in calls)
    if any(is_stream(each) and each.ending == PENDING for each in looks):
        yield passed(*looks[-1:])
    elif not is_known and not looks:
        if not evidence.is_whole:
            yield inconclusive(f"{job_id} is unfinished, and who submitted it is forgotten")
    elif any(each.operation not in (READ, STREAM) for each in looks):
        yield inconclusive(f"{job_id} is unfinished, though there was an attempt to end it", *looks[-1:])
    else:
        yield _abandoned(evidence, job_id, calls)


def _abandoned(evidence: Evidence, job_id: str, calls: Sequence[JournalEntry]) -> Observation:
    listed = [each for each in evidence.of(LIST) if job_id.encode() in each.answer_body]
    last = max((each.ended_at or each.at for each in (*calls, *listed)), default=EPOCH)
    quiet = (evidence.now - last).total_seconds()
    reads = [each for each in calls if each.operation == READ]
    what = f"{job_id} is unfinished, and nobody has cancelled it"
    if len(reads) >= MANY_READS:
        return failed(f"{what}: it was read {len(reads)} times and given up", *reads[-MANY_READS:])
    if quiet >= QUIET:
        return failed(f"{what}: nobody has looked at it for {quiet:.0f} s", *calls[-1:])
    return inconclusive(f"{what}, but the client may still wait for it: ask again when it has finished", *calls[-1:])
