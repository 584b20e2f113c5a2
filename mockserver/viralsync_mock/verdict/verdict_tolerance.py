"""Rules of the verdict about what a later version of the API may bring: other fields, another status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from viralsync_mock.faults.views import UNKNOWN_FIELD, UNKNOWN_STATUS
from viralsync_mock.jobs.models import TERMINAL
from viralsync_mock.journal.entry import ANSWERED, LEFT
from viralsync_mock.verdict.evidence import (
    STREAM,
    SUBMIT,
    broken,
    document,
    held,
    is_stream,
    status_told,
    told,
    unclear,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from viralsync_mock.journal.entry import Entry
    from viralsync_mock.verdict.evidence import Case, Evidence


def ignores_unknown_fields(evidence: Evidence) -> Iterator[Case]:
    """A field that no page describes changes nothing: the client goes on with the job."""
    yield from _goes_on(evidence, _shows_field, "a field that no page describes")


def ignores_unknown_statuses(evidence: Evidence) -> Iterator[Case]:
    """A status that no page describes is taken for unfinished: the client goes on with the job."""
    yield from _goes_on(evidence, _shows_status, "a status that no page describes")


def _shows_field(entry: Entry) -> bool:
    shown = document(entry) if entry.operation == SUBMIT else told(entry)
    return isinstance(shown, dict) and UNKNOWN_FIELD in shown


def _shows_status(entry: Entry) -> bool:
    return status_told(entry) == UNKNOWN_STATUS


def _goes_on(evidence: Evidence, shows: Callable[[Entry], bool], what: str) -> Iterator[Case]:
    """Judge by what the client did about an unfinished job after it was shown something new."""
    for job_id, calls in evidence.by_job.items():
        for at, entry in enumerate(calls):
            if not shows(entry) or status_told(entry) in TERMINAL:
                continue
            if at + 1 < len(calls) or _was_read_on(entry):
                yield held(entry, *calls[at + 1 : at + 2])
            elif job_id not in evidence.notified:
                yield _stopped(evidence, entry, calls[:at], what)


def _was_read_on(entry: Entry) -> bool:
    """Say whether a stream told of something new, and its reader stayed until it ended."""
    return is_stream(entry) and entry.ending == ANSWERED and entry.events > 1


def _stopped(evidence: Evidence, entry: Entry, before: Sequence[Entry], what: str) -> Case:
    request = (entry.method, entry.path, entry.query, entry.body)
    again = next((each for each in evidence.by_request[request] if each.number > entry.answered_after), None)
    if entry.operation == SUBMIT and again is not None and evidence.is_sequential(entry, again):
        return broken(f"the same body was submitted again after the answer showed {what}", entry, again)
    followed = [each for each in before if status_told(each) is not None]
    if followed or (entry.operation == STREAM and entry.ending == LEFT):
        reason = f"{entry.job_id} was followed, and given up once it showed {what}"
        return broken(reason, *followed[-1:], entry)
    return unclear(f"nothing was asked about {entry.job_id} after it showed {what}: was it of no more interest?", entry)
