"""Rules about what a client sends: the same movie twice, refused calls again, the API key in a URL."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from viralsync_mock.redaction import MASK
from viralsync_mock.verdict.evidence import (
    LIST,
    SUBMIT,
    document,
    failed,
    grows,
    inconclusive,
    last_status,
    passed,
    waited,
)
from viralsync_mock.verdict.retries import ALONE, LOST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from viralsync_mock.journal.entry import JournalEntry
    from viralsync_mock.verdict.evidence import Evidence, Observation

REFUSALS = frozenset({400, 401, 402, 403, 404, 409})
"""Statuses that stay the same until something changes."""

HOPELESS = frozenset({400, 401, 403})
"""Of these, those that only another request or another account changes."""

MAX_REPEATS = 1
"""Repeats of a refused call that are no habit: a test may look twice."""

MAX_RESUBMISSIONS = 1
"""New submissions of a movie whose render failed, without a pause between them."""

MAX_PATIENT_RESUBMISSIONS = 2
"""The same with a pause before each."""

PAUSE = 1.0
"""Seconds that count as a pause: before a failed render is submitted again, or before another try at a slot."""

MAX_HURRIED = 2
"""Tries at a slot without such a pause, unless the waits grow."""


def does_not_submit_twice(evidence: Evidence) -> Iterator[Observation]:
    """After a submission without a usable response, the client looks for the job before it submits again."""
    for lost in evidence.of(SUBMIT):
        if lost.job_id and _is_lost(lost):
            yield _submitted_once(evidence, lost)


def _is_lost(entry: JournalEntry) -> bool:
    """Say whether a submission made a job, and its client cannot know the job's id."""
    if entry.status is None:
        return entry.ending in LOST
    return entry.status == 202 and not entry.answer_is_cut and document(entry) is None


def _submitted_once(evidence: Evidence, lost: JournalEntry) -> Observation:
    again = evidence.repeats_of(lost, after=lost.number)
    if not again:
        return passed(lost)
    looks = [each for each in evidence.after(lost.number) if each.number < again[0].number and _is_look(each, lost)]
    if looks:
        return passed(lost, looks[0], again[0])
    if not evidence.is_sequential(lost, again[0]):
        return inconclusive(ALONE, lost, again[0])
    if lost.is_cut:
        return inconclusive("the bodies are too large to be kept: they may differ", lost, again[0])
    reason = f"the same body was submitted again after its answer was lost, though {lost.job_id} had been made"
    return failed(reason, lost, again[0])


def _is_look(entry: JournalEntry, lost: JournalEntry) -> bool:
    return document(entry) is not None and (entry.operation == LIST or entry.job_id == lost.job_id)


def does_not_repeat_refused(evidence: Evidence) -> Iterator[Observation]:
    """A call that was refused is not repeated unchanged while nothing has changed."""
    for calls in evidence.by_request.values():
        run: list[JournalEntry] = []
        for call in calls:
            if run and call.code != run[-1].code:
                yield _repeated(evidence, run)
                run = []
            if call.status in REFUSALS and call.code is not None:
                run.append(call)
        if run:
            yield _repeated(evidence, run)


def _repeated(evidence: Evidence, run: Sequence[JournalEntry]) -> Observation:
    first = run[0]
    most = 0 if first.status in HOPELESS and _is_next(evidence, run) else MAX_REPEATS
    if len(run) - 1 <= most:
        return passed(*run)
    if not evidence.is_sequential(run[0], run[-1]):
        return inconclusive(ALONE, *run)
    gaps = [waited(one, other, one.answered_at) for one, other in pairwise(run)]
    if first.code == "CONCURRENCY_LIMIT_EXCEEDED":
        known = [gap for gap in gaps if gap is not None]
        if len(known) < len(gaps):
            return inconclusive("a slot may have been free by then: the sandbox's clock does not show it", *run)
        if sum(gap < PAUSE for gap in known) <= MAX_HURRIED or grows(known):
            return passed(*run)
    return failed(f"a call that was refused with {first.code} was repeated {len(run) - 1} times unchanged", *run)


def _is_next(evidence: Evidence, run: Sequence[JournalEntry]) -> bool:
    """Say whether a repeat is the very next call: no other part of a client, or of a test, made it."""
    return len(run) > 1 and evidence.after(run[0].number)[0] is run[1]


def does_not_resubmit_failed(evidence: Evidence) -> Iterator[Observation]:
    """A movie whose render fails is not submitted again and again."""
    for calls in evidence.by_request.values():
        known = [each for each in calls if each.operation == SUBMIT and each.job_id and each.status == 202]
        ends = [(each, _shown_failure(evidence, each)) for each in known]
        failures = [end for _, end in ends if end is not None]
        if not failures:
            continue
        again = [(end, later) for (_, end), (later, _) in pairwise(ends) if end and end.number < later.number]
        gaps = [waited(end, later, end.answered_at) for end, later in again]
        is_patient = all(gap is None or gap >= PAUSE for gap in gaps)
        shown = [each for pair in again for each in pair] or failures[:1]
        if len(again) > (MAX_PATIENT_RESUBMISSIONS if is_patient else MAX_RESUBMISSIONS):
            yield failed(f"a movie whose render failed was submitted {len(again)} times more", *shown)
        elif len(again) > MAX_RESUBMISSIONS and None in gaps:
            yield inconclusive("the sandbox's clock does not show whether there were pauses between renders", *shown)
        else:
            yield passed(*shown)


def _shown_failure(evidence: Evidence, submission: JournalEntry) -> JournalEntry | None:
    calls = evidence.by_job.get(submission.job_id or "", [])
    return next((each for each in calls if last_status(each) == "failed"), None)


def sends_no_key_in_url(evidence: Evidence) -> Iterator[Observation]:
    """The key stands in a header, never in path or query, where every log on the way keeps it."""
    for entry in (*evidence.calls, *evidence.anonymous_calls):
        place = "path" if MASK in entry.path else "query" if MASK.encode() in entry.query else ""
        if place or any(entry is each for each in evidence.anonymous_calls):
            yield failed(f"an API key stood in the {place or 'URL'} of a call", entry)
        else:
            yield passed(entry)
