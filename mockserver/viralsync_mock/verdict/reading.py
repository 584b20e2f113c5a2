"""Rules about how a client reads: streams that break off, pages of a list, and values newer than the documentation."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from viralsync_mock.faults.stream import EndWithoutTerminal, ReorderEvents, Silence, StreamFault
from viralsync_mock.faults.views import UNKNOWN_FIELD, UNKNOWN_STATUS
from viralsync_mock.jobs.models import TERMINAL
from viralsync_mock.journal.entry import ANSWERED, CLIENT_DISCONNECTED, PENDING
from viralsync_mock.verdict.evidence import (
    EARLY,
    LIST,
    STREAM,
    SUBMIT,
    document,
    failed,
    has_fault,
    header,
    inconclusive,
    is_stream,
    last_job_document,
    last_status,
    over_at,
    passed,
    waited,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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
    lists = evidence.lists_of(job_id, after=_end(stream))
    return any(document(each) is not None and (before is None or each.number < before) for each in lists)


def _resumed(evidence: Evidence, stream: JournalEntry, following: JournalEntry | None) -> Observation:
    if following is None or following.operation != STREAM:
        return passed(stream, *([following] if following else []))
    if stream.job_id and _listed(evidence, stream.job_id, stream, before=following.number):
        return passed(stream, following)
    known, sent = _last_known(stream), header(following.headers, b"last-event-id")
    if known is None:
        return passed(stream, following)
    if sent is None:
        reason = f"the stream was opened again without Last-Event-ID, though events up to {known} had been sent"
        return failed(reason, stream, following)
    number = int(sent) if sent.isdigit() and len(sent) < 10 else None
    if number is None or number > known:
        text = sent.decode("latin-1")[:40]
        reason = f"the stream was resumed after event {text!r}, though events up to {known} had been sent"
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


MANY_STREAMS = 3
"""Streams of one job, each opened and left, that make a habit."""


def stays_on_its_stream(evidence: Evidence) -> Iterator[Observation]:
    """A stream is read on, not opened anew for each look at the job."""
    for job_id, calls in evidence.by_job.items():
        run: list[JournalEntry] = []
        for stream in filter(is_stream, calls):
            is_next = not run or stream.number >= over_at(run[-1])  # a hang-up may be seen a little late
            is_look = stream.ending == CLIENT_DISCONNECTED and not has_fault(stream, StreamFault)
            if last_status(stream) in TERMINAL or not is_next or header(stream.headers, b"last-event-id"):
                run = []
            elif is_look:
                run.append(stream)
            if len(run) == MANY_STREAMS:
                yield failed(f"a stream of {job_id} was opened {len(run)} times and left each time", *run)
            elif not is_look and stream.ending != PENDING:
                yield passed(stream)


Filters = tuple[tuple[str, str], ...]


@dataclass
class _Cursor:
    """A cursor: the pages that gave it, under which filters, and the pages that were fetched with it."""

    given: list[JournalEntry] = field(default_factory=list)
    filters: set[Filters] = field(default_factory=set)
    used: list[JournalEntry] = field(default_factory=list)


def reads_each_page_once(evidence: Evidence) -> Iterator[Observation]:
    """Each cursor is fetched once for each time that it was given, under the filters of the walk."""
    cursors: dict[str, _Cursor] = {}
    unread: list[JournalEntry] = []
    for entry in evidence.of(LIST):
        page = document(entry)
        if not isinstance(page, dict):
            unread += [entry] if entry.answer_is_cut else []
            continue
        cursor, filters = _asked(entry)
        if cursor is not None:
            yield from _fetched(cursors.setdefault(cursor, _Cursor()), entry, filters, has_unread=bool(unread))
        if isinstance(following := page.get("nextCursor"), str):
            known = cursors.setdefault(following, _Cursor())
            known.given.append(entry)
            known.filters.add(filters)
    if unread and cursors:
        yield inconclusive(
            "pages were too large to be kept, and their cursors with them: ask for smaller ones", *unread
        )


def _asked(entry: JournalEntry) -> tuple[str | None, Filters]:
    asked = dict(parse_qsl(entry.query.decode("latin-1"), keep_blank_values=True))
    cursor = asked.pop("cursor", None)
    asked.pop("limit", None)
    return cursor, tuple(sorted(asked.items()))


def _fetched(cursor: _Cursor, entry: JournalEntry, filters: Filters, *, has_unread: bool) -> Iterator[Observation]:
    """Check the fetch of a page by its cursor; a cursor whose page is not kept is unknown."""
    cursor.used.append(entry)
    if not cursor.given or has_unread:
        return
    if filters not in cursor.filters:
        yield failed("the filters changed in the middle of a walk: pages are skipped", cursor.given[-1], entry)
    elif len(cursor.used) > len(cursor.given):
        yield failed(f"a page was fetched {len(cursor.used)} times", *cursor.given[-1:], *cursor.used)
    else:
        yield passed(entry)


def reads_every_page(evidence: Evidence) -> Iterator[Observation]:
    """A page that names a next one is followed by it, not by itself, until what was looked for is found."""
    pages = [(entry, page) for entry in evidence.of(LIST) if isinstance(page := document(entry), dict)]
    asked = [_asked(entry)[0] for entry, _ in pages]
    for at, (entry, page) in enumerate(pages):
        following = page.get("nextCursor")
        if not isinstance(following, str) or following in asked[at + 1 :] or following in asked[:at]:
            if at and asked[at] is not None:
                yield passed(entry)
            continue
        if _was_found(evidence, entry):
            yield passed(entry)
        else:
            yield _left_unread(evidence, entry, pages[at + 1 :])


def _was_found(evidence: Evidence, page: JournalEntry) -> bool:
    return any(each.job_id and each.job_id.encode() in page.answer_body for each in evidence.after(page.number))


def _left_unread(evidence: Evidence, page: JournalEntry, later: Sequence[tuple[JournalEntry, Any]]) -> Observation:
    again = next((entry for entry, _ in later if _asked(entry)[0] is None), None)
    if again is None or _asked(page)[0] is not None:
        return failed("a page was left unread, though nextCursor named it", page)
    gap = waited(page, again, page.at)
    if gap is None:
        return inconclusive(
            "the first page was read again, and the sandbox's clock does not show whether that was later", page, again
        )
    if gap < evidence.poll_seconds * EARLY:
        return failed("the first page was read again in the place of the next", page, again)
    return passed(page, again)  # the newest jobs, looked at from time to time


def ignores_unknown_fields(evidence: Evidence) -> Iterator[Observation]:
    """A field that no page describes changes nothing: the client goes on with the job."""
    yield from _goes_on(evidence, _shows_field, "a field that no page describes")


def ignores_unknown_statuses(evidence: Evidence) -> Iterator[Observation]:
    """A status that no page describes is taken for unfinished: the client goes on with the job."""
    yield from _goes_on(evidence, lambda entry: last_status(entry) == UNKNOWN_STATUS, "a status that no page describes")


def _shows_field(entry: JournalEntry) -> bool:
    shown = document(entry) if entry.operation == SUBMIT else last_job_document(entry)
    return isinstance(shown, dict) and UNKNOWN_FIELD in shown


def _goes_on(evidence: Evidence, shows: Callable[[JournalEntry], bool], what: str) -> Iterator[Observation]:
    """Check what the client did about an unfinished job after it was shown something new."""
    for job_id, calls in evidence.by_job.items():
        for at, entry in enumerate(calls):
            if not shows(entry) or last_status(entry) in TERMINAL:
                continue
            if at + 1 < len(calls) or _was_read_on(entry):
                yield passed(entry, *calls[at + 1 : at + 2])
            elif job_id not in evidence.notified:
                yield _stopped(evidence, entry, calls[:at], what)


def _was_read_on(entry: JournalEntry) -> bool:
    """Say whether a stream showed something new, and its reader stayed until it ended."""
    return is_stream(entry) and entry.ending == ANSWERED and entry.events > 1


def _stopped(evidence: Evidence, entry: JournalEntry, before: Sequence[JournalEntry], what: str) -> Observation:
    again = next(iter(evidence.repeats_of(entry, entry.answered_after)), None)
    if entry.operation == SUBMIT and again is not None and evidence.is_sequential(entry, again):
        return failed(f"the same body was submitted again after the answer showed {what}", entry, again)
    followed = [each for each in before if last_status(each) is not None]
    if followed or (entry.operation == STREAM and entry.ending == CLIENT_DISCONNECTED):
        reason = f"{entry.job_id} was followed, and given up once it showed {what}"
        return failed(reason, *followed[-1:], entry)
    return inconclusive(
        f"nothing was asked about {entry.job_id} after it showed {what}: was it of no more interest?", entry
    )
