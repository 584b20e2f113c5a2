"""Rules about what a client sends: submissions, and requests that show the API key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from viralsync_mock.redaction import MASK
from viralsync_mock.verdict.evidence import LIST, SUBMIT, document, failed, inconclusive, passed
from viralsync_mock.verdict.retries import ALONE, LOST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from viralsync_mock.journal.entry import JournalEntry
    from viralsync_mock.verdict.evidence import Evidence, Observation


def does_not_submit_twice(evidence: Evidence) -> Iterator[Observation]:
    """A submission whose answer was lost is not sent again before a look into the list."""
    for lost in evidence.of(SUBMIT):
        if lost.status is None and lost.ending in LOST and lost.job_id:
            yield _submitted_once(evidence, lost)


def _submitted_once(evidence: Evidence, lost: JournalEntry) -> Observation:
    request = (lost.method, lost.path, lost.query, lost.body)
    again = next((each for each in evidence.by_request[request] if each.number > lost.number), None)
    if again is None:
        return passed(lost)
    looks = [each for each in evidence.after(lost.number) if each.number < again.number and _is_look(each, lost)]
    if looks:
        return passed(lost, looks[0], again)
    if not evidence.is_sequential(lost, again):
        return inconclusive(ALONE, lost, again)
    if lost.is_cut:
        return inconclusive("the bodies are too large to be kept: they may differ", lost, again)
    reason = f"the same body was submitted again after its answer was lost, though {lost.job_id} had been made"
    return failed(reason, lost, again)


def _is_look(entry: JournalEntry, lost: JournalEntry) -> bool:
    """Say whether a call can have shown what became of a submission."""
    return document(entry) is not None and (entry.operation == LIST or entry.job_id == lost.job_id)


def sends_no_key_in_url(evidence: Evidence) -> Iterator[Observation]:
    """The key stands in a header, never in path or query, where every log on the way keeps it."""
    for entry in (*evidence.calls, *evidence.anonymous_calls):
        place = "path" if MASK in entry.path else "query" if MASK.encode() in entry.query else ""
        if place or any(entry is each for each in evidence.anonymous_calls):
            yield failed(f"an API key stood in the {place or 'URL'} of a call", entry)
        else:
            yield passed(entry)
