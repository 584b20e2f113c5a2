"""Rules about waiting for jobs: how often to look, when to stop, and not to leave one behind."""

from __future__ import annotations

from itertools import groupby, pairwise
from operator import attrgetter
from typing import TYPE_CHECKING

from viralsync_mock.clock import EPOCH, Mode
from viralsync_mock.faults.stream import EndWithoutTerminal, NeverEnd, NoKeepAlive, Silence
from viralsync_mock.jobs.models import TERMINAL, timestamp
from viralsync_mock.journal.entry import ANSWERED, PENDING
from viralsync_mock.verdict.evidence import (
    EARLY,
    LIST,
    READ,
    STREAM,
    SUBMIT,
    document,
    failed,
    grows,
    has_fault,
    has_shown_terminal,
    header,
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

FOLLOWING = frozenset({SUBMIT, READ, STREAM})
"""Operations that look at a job and do not end it."""

WAITED_OUT = frozenset({409, 429, *range(500, 600)})
"""Statuses after which a client waits and makes the call again."""

MANY_READS = 3
"""Reads of a job that show that its client waits for it."""

MAX_CONFIRMATIONS = 2
"""Reads of a job after its end that are no habit."""

MAX_READERS = 3
"""Parts of a client that may read one job, each for itself."""

MAX_EASING = 20
"""Waits that an adaptive poller needs until it has reached the interval: 0.02 s grow by a fifth to 0.8 s."""

QUIET = 60.0
"""Seconds of the sandbox's clock without a look at a job after which its client has left it."""


def stops_at_terminal(evidence: Evidence) -> Iterator[Observation]:
    """A reader that knows of a job's end reads it at most twice more: a test may look for itself."""
    for job_id, calls in evidence.by_job.items():
        for reader in evidence.by_reader(calls):
            end = next(filter(has_shown_terminal, reader), None)
            if end is None:
                continue
            again = [each for each in reader if each.number > over_at(end) and _repeats_the_end(each)]
            reason = f"{job_id} was read {len(again)} more times after it was shown to be {last_status(end)}"
            yield failed(reason, end, *again) if len(again) > MAX_CONFIRMATIONS else passed(end)


def _repeats_the_end(entry: JournalEntry) -> bool:
    """Say whether a call showed a terminal job again; a stream that is resumed after its end shows nothing."""
    if is_stream(entry) and entry.events and header(entry.headers, b"last-event-id") is not None:
        return False  # its reader had left an earlier stream before the end
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
    """Between two polls of an unfinished job, or of a list with one, lies an interval."""
    polled = {job_id: [each for each in calls if each.operation == READ] for job_id, calls in evidence.by_job.items()}
    for calls in evidence.by_request.values():
        if calls[0].operation == LIST:
            polled[f"the list ({calls[0].query.decode('latin-1') or 'without a query'})"] = calls
    for what, calls in polled.items():
        for reader in evidence.by_reader(calls):
            yield from _polls(evidence, what, reader)


def _polls(evidence: Evidence, what: str, reads: Sequence[JournalEntry]) -> Iterator[Observation]:
    """Look at runs of quick polls, and of polls between which the clock does not tell how long the client waited."""
    quick: list[JournalEntry] = []
    blind: list[JournalEntry] = []
    for one, other in pairwise(reads):
        gap = waited(one, other, one.at)
        is_poll = _is_unfinished(one) and other.number > one.answered_after
        is_quick = is_poll and gap is not None and gap < evidence.poll_seconds * EARLY
        if not is_quick and quick:
            yield _quick_run(evidence, what, reads, quick)
        quick = [*(quick or [one]), other] if is_quick else []
        blind = [*(blind or [one]), other] if is_poll and gap is None else []
        if len(blind) == MANY_READS and evidence.poll_seconds:
            yield inconclusive("the sandbox's clock does not show how long the client waited between polls", *blind)
        elif is_poll and gap is not None and not is_quick:
            yield passed(one, other)
    if quick:
        yield _quick_run(evidence, what, reads, quick)


def _quick_run(
    evidence: Evidence, what: str, reads: Sequence[JournalEntry], quick: Sequence[JournalEntry]
) -> Observation:
    gaps = [(other.at - one.at).total_seconds() for one, other in pairwise(quick)]
    if len(quick) < MANY_READS or (len(gaps) <= MAX_EASING and grows(gaps)):
        return passed(*quick)
    readers = _readers(evidence, reads)
    if len(quick) <= readers <= MAX_READERS and len(reads) >= 2 * readers:
        return inconclusive(f"{what} was read in bursts: these may be independent parts of the client", *quick)
    often = f"{len(quick) - 1} times in a row"
    return failed(f"{what} was read again after less than {evidence.poll_seconds:g} s, {often}", *quick)


def _readers(evidence: Evidence, reads: Sequence[JournalEntry]) -> int:
    """Return how many readers, each with the interval between its reads, would make all these reads."""
    last: list[JournalEntry] = []
    for read in reads:
        waits = [waited(each, read, each.at) for each in last]
        free = [at for at, wait in enumerate(waits) if wait is not None and wait >= evidence.poll_seconds * EARLY]
        if free:
            last[free[0]] = read
        else:
            last.append(read)
    return len(last)


def _is_unfinished(entry: JournalEntry) -> bool:
    if entry.operation != LIST:
        status = last_status(entry)
        return status is not None and status not in TERMINAL
    page = document(entry)
    lists = [value for value in page.values() if isinstance(value, list)] if isinstance(page, dict) else []
    return any(isinstance(job, dict) and job.get("status") not in TERMINAL for jobs in lists for job in jobs)


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
    """No job is left unfinished: it is waited for, streamed, reported by webhooks, or cancelled."""
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
            yield inconclusive(f"{job_id} is unfinished, and the journal no longer shows its submission")
    elif any(each.operation not in (READ, STREAM) for each in looks):
        yield inconclusive(f"{job_id} is unfinished, though the client tried to end it", *looks[-1:])
    else:
        yield _abandoned(evidence, job_id, calls)


def _abandoned(evidence: Evidence, job_id: str, calls: Sequence[JournalEntry]) -> Observation:
    seen = (*calls, *evidence.lists_of(job_id), *_retries(evidence))
    last = max((each.ended_at or each.at for each in seen), default=EPOCH)
    quiet = (evidence.now - last).total_seconds()
    reads = [each for each in calls if each.operation == READ and last_status(each) is not None]
    what = f"{job_id} is unfinished and was not cancelled"
    if len(reads) >= MANY_READS:
        return failed(f"{what}: it was read {len(reads)} times and given up", *reads[-MANY_READS:])
    if evidence.has_ended:
        return failed(f"{what} when the client ended", *calls[-1:])
    if quiet >= QUIET:
        return failed(f"{what}: the client has not looked at it for {quiet:.0f} s", *calls[-1:])
    return inconclusive(f"{what}, but the client may still wait for it: ask again when it has finished", *calls[-1:])


def _retries(evidence: Evidence) -> Iterator[JournalEntry]:
    """Yield the calls that a client made again: until then it waited, and could not look at its jobs."""
    for calls in evidence.by_request.values():
        yield from (again for one, again in pairwise(calls) if one.status is None or one.status in WAITED_OUT)


def believes_no_old_status(evidence: Evidence) -> Iterator[Observation]:
    """A job that was shown unfinished is looked at again: until its end, a webhook, or its cancellation."""
    unfinished = {each.id for each in evidence.unfinished}
    for job_id, calls in evidence.by_job.items():
        seen = [each for each in calls if last_status(each) is not None]
        if not seen or job_id in evidence.notified or any(each.operation not in FOLLOWING for each in calls):
            continue
        last = next((each for each in seen if last_status(each) in TERMINAL), seen[-1])
        if last_status(last) in TERMINAL:
            yield passed(last)
        elif job_id not in unfinished and not evidence.lists_of(job_id, after=last.number):
            reason = f"{job_id} was last seen {last_status(last)}, and has ended since: the client never looked again"
            yield failed(reason, last)
