"""Rules of the verdict about what a later version of the API may bring: other fields, another status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from viralsync_mock.faults.views import UNKNOWN_FIELD, UNKNOWN_STATUS
from viralsync_mock.jobs.models import TERMINAL
from viralsync_mock.journal.entry import ANSWERED, CLIENT_DISCONNECTED
from viralsync_mock.verdict.evidence import (
    STREAM,
    SUBMIT,
    document,
    failed,
    inconclusive,
    is_stream,
    last_job_document,
    last_status,
    passed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from viralsync_mock.journal.entry import JournalEntry
    from viralsync_mock.verdict.evidence import Evidence, Observation


def ignores_unknown_fields(evidence: Evidence) -> Iterator[Observation]:
    """A field that no page describes changes nothing: the client goes on with the job."""
    yield from _goes_on(evidence, _shows_field, "a field that no page describes")


def ignores_unknown_statuses(evidence: Evidence) -> Iterator[Observation]:
    """A status that no page describes is taken for unfinished: the client goes on with the job."""
    yield from _goes_on(evidence, _shows_status, "a status that no page describes")


def _shows_field(entry: JournalEntry) -> bool:
    shown = document(entry) if entry.operation == SUBMIT else last_job_document(entry)
    return isinstance(shown, dict) and UNKNOWN_FIELD in shown


def _shows_status(entry: JournalEntry) -> bool:
    return last_status(entry) == UNKNOWN_STATUS


def _goes_on(evidence: Evidence, shows: Callable[[JournalEntry], bool], what: str) -> Iterator[Observation]:
    """Judge by what the client did about an unfinished job after it was shown something new."""
    for job_id, calls in evidence.by_job.items():
        for at, entry in enumerate(calls):
            if not shows(entry) or last_status(entry) in TERMINAL:
                continue
            if at + 1 < len(calls) or _was_read_on(entry):
                yield passed(entry, *calls[at + 1 : at + 2])
            elif job_id not in evidence.notified:
                yield _stopped(evidence, entry, calls[:at], what)


def _was_read_on(entry: JournalEntry) -> bool:
    """Say whether a stream told of something new, and its reader stayed until it ended."""
    return is_stream(entry) and entry.ending == ANSWERED and entry.events > 1


def _stopped(evidence: Evidence, entry: JournalEntry, before: Sequence[JournalEntry], what: str) -> Observation:
    request = (entry.method, entry.path, entry.query, entry.body)
    again = next((each for each in evidence.by_request[request] if each.number > entry.answered_after), None)
    if entry.operation == SUBMIT and again is not None and evidence.is_sequential(entry, again):
        return failed(f"the same body was submitted again after the answer showed {what}", entry, again)
    followed = [each for each in before if last_status(each) is not None]
    if followed or (entry.operation == STREAM and entry.ending == CLIENT_DISCONNECTED):
        reason = f"{entry.job_id} was followed, and given up once it showed {what}"
        return failed(reason, *followed[-1:], entry)
    return inconclusive(
        f"nothing was asked about {entry.job_id} after it showed {what}: was it of no more interest?", entry
    )
