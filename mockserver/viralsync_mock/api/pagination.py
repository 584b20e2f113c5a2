"""Pages of jobs: newest first, filtered, by an opaque cursor that later submissions and deletions do not shift."""

from __future__ import annotations

import base64
import binascii
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from viralsync_mock.errors import ApiError
from viralsync_mock.jobs.models import Status
from viralsync_mock.jobs.views import Subject
from viralsync_mock.randomness import hexadecimal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from viralsync_mock.api.call import Call
    from viralsync_mock.jobs.models import Job

STATUSES = frozenset(map(str, Status))
"""What a job of the mock can be; the spec may know more."""


class Page(NamedTuple):
    """One page, and the cursor of the next: None on the last."""

    subjects: list[Subject]
    next_cursor: str | None


class Position(NamedTuple):
    """The last entry of a page: the job's number, and the child's (0: its assemble child, -1: the job itself)."""

    number: int
    child: int = -1


def list_page(call: Call) -> Page:
    """Return the page that the parameters ask for; raises VALIDATION_ERROR for a cursor this server never gave."""
    parameters, seed = call.parameters, call.sandbox.seed
    position = decode(parameters["cursor"], seed) if parameters.get("cursor") is not None else None
    limit: int | None = parameters.get("limit")
    if limit is None:  # a spec without a default for it: everything is on one page
        return Page(list(_subjects(call, position)), None)
    found = list(islice(_subjects(call, position), limit + 1))
    more = len(found) > limit
    return Page(found[:limit], encode(_position(found[limit - 1]), seed) if more else None)


def _position(subject: Subject) -> Position:
    return Position(subject.job.number, -1 if subject.number is None else subject.number)


def _subjects(call: Call, position: Position | None) -> Iterator[Subject]:
    wanted, status = call.parameters.get("type"), call.parameters.get("status")
    if status is not None and status not in STATUSES:
        return iter(())
    wanted_status = None if status is None else Status(status)
    if call.behaviour.list_includes_children:
        return _with_children(call, position, wanted, wanted_status)
    if wanted is not None and not call.sandbox.store.has_type(lambda name: _is_of(name, wanted)):
        return iter(())
    before = position.number if position else None
    if call.read_lag or call.listing_delay:
        return _lagged(call, before, wanted, wanted_status)
    jobs = call.sandbox.store.newest_first(call.now, wanted_status, before)
    return (Subject(job) for job in jobs if wanted is None or _is_of(job.type, wanted))


def _lagged(call: Call, before: int | None, wanted: str | None, status: Status | None) -> Iterator[Subject]:
    """Yield jobs as a lagging view has them: as they were, without those that are too new."""
    newest = _newest_seen(call)
    for job in call.sandbox.store.newest_first(call.now, None, before):
        subject = Subject(job)
        if job.created > newest or (wanted is not None and not _is_of(job.type, wanted)):
            continue
        if status is None or subject.look(call.seen_at).status is status:
            yield subject


def _newest_seen(call: Call) -> datetime:
    """Return the latest creation instant that the call can see."""
    return call.now - max(call.read_lag, call.listing_delay)


def next_list_change(call: Call, seen_at: datetime) -> datetime | None:
    """Return when the list that this call sees next changes; a lagging one also changes for what has long happened."""
    change = call.sandbox.store.next_change(call.now)
    behind = max(call.read_lag, call.listing_delay)
    return seen_at + behind if change is None and behind else change


def _with_children(
    call: Call, position: Position | None, wanted: str | None, status: Status | None
) -> Iterator[Subject]:
    newest, before = _newest_seen(call), position.number + 1 if position else None
    for job in call.sandbox.store.newest_first(call.now, None, before):
        if job.created > newest:
            continue
        for subject in _job_with_children(job):
            if position and job.number == position.number and _position(subject).child <= position.child:
                continue
            if wanted is not None and not _is_of(subject.type, wanted):
                continue
            if status is None or subject.look(call.seen_at).status is status:
                yield subject


def _job_with_children(job: Job) -> Iterator[Subject]:
    """Yield the job, its assemble child and its scenes, by their numbers."""
    yield Subject(job)
    for number in range(len(job.timeline.scenes) + 1):
        yield Subject(job, number)


def _is_of(name: str, wanted: str) -> bool:
    """Return whether a type is the wanted one or in its domain, as `render.movie` is in `render`."""
    return name == wanted or name.startswith(f"{wanted}.")


def encode(position: Position, seed: str) -> str:
    """Make a cursor: opaque to clients, and known again by its check digits."""
    text = f"{position.number}:{position.child}"
    check = hexadecimal(seed, "cursor", text, length=8)
    return base64.urlsafe_b64encode(f"{text}:{check}".encode()).decode().rstrip("=")


def decode(cursor: str, seed: str) -> Position:
    """Read a cursor of this sandbox; raises VALIDATION_ERROR for anything else."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        number, child, _ = text.split(":")
        position = Position(int(number), int(child))
        if encode(position, seed) == cursor:  # base64 can be written in more than one way, numbers too
            return position
    except (ValueError, binascii.Error):
        pass
    raise ApiError(
        "VALIDATION_ERROR",
        violations=f'query.cursor: expected the nextCursor of an earlier page, got "{cursor[:40]}"',
    )
