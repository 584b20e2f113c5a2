"""The rule of the verdict about streams that break off."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from viralsync_mock.faults.stream import EndWithoutTerminal, ReorderEvents, Silence
from viralsync_mock.jobs.models import TERMINAL
from viralsync_mock.journal.entry import ANSWERED, CLIENT_DISCONNECTED, PENDING
from viralsync_mock.verdict.evidence import (
    LIST,
    STREAM,
    document,
    failed,
    has_fault,
    header,
    inconclusive,
    is_stream,
    last_status,
    passed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from viralsync_mock.journal.entry import JournalEntry
    from viralsync_mock.verdict.evidence import Evidence, Observation

_ID = re.compile(rb"^id: (\d+)$", re.MULTILINE)


def resumes_dropped_streams(evidence: Evidence) -> Iterator[Observation]:
    """After a stream that broke off, its job is streamed again with the right Last-Event-ID, or read."""
    for job_id, calls in evidence.by_job.items():
        has_resumed = False
        for at, stream in enumerate(calls):
            if not _was_dropped(stream):
                continue
            following = next((each for each in calls[at + 1 :] if each.number > _end(stream)), None)
            if following is not None or _listed(evidence, job_id, stream):
                yield _resumed(evidence, stream, following)
                has_resumed = True
            elif has_resumed:
                yield inconclusive(f"after its streams were resumed, {job_id} was given up", stream)
            elif job_id not in evidence.notified:
                yield failed(f"the stream of {job_id} broke off, and nothing more was asked about the job", stream)


def _was_dropped(entry: JournalEntry) -> bool:
    """Say whether a stream ended before the terminal event, through no fault of the client's."""
    if not is_stream(entry) or entry.ending == PENDING or has_fault(entry, ReorderEvents):
        return False
    if last_status(entry) in TERMINAL:
        return False
    if entry.ending == CLIENT_DISCONNECTED:
        return has_fault(entry, Silence)
    return entry.ending != ANSWERED or entry.events > 0 or has_fault(entry, EndWithoutTerminal)


def _end(stream: JournalEntry) -> int:
    """Return the number after which calls are made in the knowledge that the stream is over."""
    return stream.number if stream.ending == CLIENT_DISCONNECTED else stream.ended_after


def _listed(evidence: Evidence, job_id: str, stream: JournalEntry, before: int | None = None) -> bool:
    """Say whether the job was seen in a list after its stream broke off."""
    return any(
        each.operation == LIST
        and (before is None or each.number < before)
        and document(each) is not None
        and job_id.encode() in each.answer_body
        for each in evidence.after(_end(stream))
    )


def _resumed(evidence: Evidence, stream: JournalEntry, following: JournalEntry | None) -> Observation:
    if following is None or following.operation != STREAM:
        return passed(stream, *([following] if following else []))
    if stream.job_id and _listed(evidence, stream.job_id, stream, before=following.number):
        return passed(stream, following)
    known, sent = _last_known(stream), header(following.headers, b"last-event-id")
    if known is None:
        return passed(stream, following)
    if sent is None:
        reason = f"the stream was opened again without Last-Event-ID, though it had told up to event {known}"
        return failed(reason, stream, following)
    number = int(sent) if sent.isdigit() and len(sent) < 10 else None
    if number is None or number > known:
        text = sent.decode("latin-1")[:40]
        reason = f"the stream was resumed after event {text!r}, though it had told up to event {known}"
        return failed(reason, stream, following)
    if number < known:
        reason = f"the stream was resumed after event {number}; what came after it, up to {known}, may have been lost"
        return inconclusive(reason, stream, following)
    return passed(stream, following)


def _last_known(stream: JournalEntry) -> int | None:
    """Return the id of the last event that the client can have seen: of this stream, or of the one it resumes."""
    found = _ID.search(stream.last_event)
    sent = header(stream.headers, b"last-event-id") or b""
    return int(found[1]) if found else int(sent) if sent.isdigit() and len(sent) < 10 else None
