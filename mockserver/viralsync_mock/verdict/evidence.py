"""What the verdict is based on: the calls and webhooks of one sandbox, what each call showed, and the cases found."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from copy import copy
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import orjson

from viralsync_mock.clock import EPOCH, Mode
from viralsync_mock.faults.stream import ReorderEvents
from viralsync_mock.jobs import sse
from viralsync_mock.jobs.models import TERMINAL
from viralsync_mock.journal.entry import ANSWERED, CLIENT_DISCONNECTED, PENDING, JournalEntry
from viralsync_mock.response import JSON

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from viralsync_mock.response import Headers
    from viralsync_mock.webhooks.delivery import Delivery

Key = TypeVar("Key")

SUBMIT, READ, LIST, STREAM = "submitRenderJob", "getJob", "listJobs", "streamJobProgress"

EARLY = 0.95
"""Share of the interval between two polls after which a poll is not too early: timers are not exact."""

EASING = 1.2
"""Each wait of a client that eases off is at least this many times the one before."""

TIMEOUT = "timeout"
"""The ending of a call without a response whose client hung up."""


class Outcome(StrEnum):
    """How the client did by one rule."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "not_applicable"
    INCONCLUSIVE = "inconclusive"
    WAIVED = "waived"


class Observation(NamedTuple):
    """One situation that a rule is about: its outcome, the reason, and the calls or webhooks that show it."""

    outcome: Outcome
    reason: str
    things: tuple[JournalEntry | Delivery, ...]


def passed(*things: JournalEntry | Delivery) -> Observation:
    return Observation(Outcome.PASSED, "", things)


def failed(reason: str, *things: JournalEntry | Delivery) -> Observation:
    return Observation(Outcome.FAILED, reason, things)


def inconclusive(reason: str, *things: JournalEntry | Delivery) -> Observation:
    return Observation(Outcome.INCONCLUSIVE, reason, things)


class Unfinished(NamedTuple):
    """A job that is not terminal when the verdict is asked for."""

    id: str
    has_webhooks: bool = False


@dataclass(frozen=True)
class Evidence:
    """Everything known about one client.

    `calls` and `deliveries` are sorted, oldest first. `anonymous_calls` have no key in a header but this client's key
    in their URL. `is_whole` says that none of them was dropped. `poll_seconds` is the shortest interval between polls.
    `has_ended` says that the client's process is over, so that nothing more will come. `prefix` and `anonymous_prefix`
    turn numbers of calls into ids.
    """

    calls: Sequence[JournalEntry] = ()
    deliveries: Sequence[Delivery] = ()
    unfinished: Sequence[Unfinished] = ()
    anonymous_calls: Sequence[JournalEntry] = ()
    now: datetime = EPOCH
    is_whole: bool = True
    poll_seconds: float = 1.0
    has_ended: bool = False
    prefix: str = "call_"
    anonymous_prefix: str = "call_outside_"

    def id_of(self, thing: JournalEntry | Delivery) -> str:
        """Return the id of a call or a webhook in the control API."""
        if not isinstance(thing, JournalEntry):
            return thing.id
        prefix = self.anonymous_prefix if any(thing is each for each in self.anonymous_calls) else self.prefix
        return f"{prefix}{thing.number}"

    def in_real_time(self, since: datetime) -> Evidence:
        """Return the same for a client that sleeps in real time while the sandbox's clock runs faster.

        The clock had one rate since the instant `since`; where it had not, nothing changes.
        """
        rates = {(each.mode, each.rate) for each in self.calls}
        if len(rates) != 1 or (rate := rates.pop())[0] is not Mode.SCALED or rate[1] <= 1:
            return self
        calls = [_slowed(each, since, rate[1]) for each in self.calls]
        return replace(self, calls=calls, now=since + (self.now - since) / rate[1])

    @cached_property
    def by_job(self) -> Mapping[str, list[JournalEntry]]:
        """The calls about each job, its submission first."""
        return _grouped((each.job_id, each) for each in self.calls if each.job_id)

    @cached_property
    def by_request(self) -> Mapping[tuple[object, ...], list[JournalEntry]]:
        """Calls by what they ask for: method, path, query and body."""
        return _grouped(((each.method, each.path, each.query, each.body), each) for each in self.calls)

    @cached_property
    def _connections(self) -> Mapping[int, int]:
        return Counter(each.connection for each in self.calls if each.connection)

    def by_reader(self, calls: Iterable[JournalEntry]) -> list[list[JournalEntry]]:
        """Group calls by the part of the client that made them, as far as connections show it.

        A connection that is kept is one reader. Calls with a connection each, or with none known, count as one.
        """
        kept = self._connections
        return list(
            _grouped((each.connection if kept.get(each.connection, 0) > 1 else 0, each) for each in calls).values()
        )

    def repeats_of(self, entry: JournalEntry, after: int) -> list[JournalEntry]:
        """Return the calls after a number that ask for the same."""
        request = (entry.method, entry.path, entry.query, entry.body)
        return [each for each in self.by_request[request] if each.number > after]

    @cached_property
    def notified(self) -> frozenset[str]:
        """The jobs with webhooks."""
        jobs = (each.job_id for each in self.deliveries)
        return frozenset(jobs) | {each.id for each in self.unfinished if each.has_webhooks}

    @cached_property
    def _numbers(self) -> list[int]:
        return [each.number for each in self.calls]

    def of(self, operation: str) -> list[JournalEntry]:
        return [each for each in self.calls if each.operation == operation]

    def after(self, number: int) -> Sequence[JournalEntry]:
        return self.calls[bisect_right(self._numbers, number) :]

    def lists_of(self, job_id: str, after: int = 0) -> list[JournalEntry]:
        """Return the lists after the call of this number that showed a job."""
        return [each for each in self.after(after) if each.operation == LIST and job_id.encode() in each.answer_body]

    def is_sequential(self, first: JournalEntry, last: JournalEntry) -> bool:
        """Say whether no two calls were under way at once, apart from streams and from calls whose client gave up."""
        between = self.calls[bisect_right(self._numbers, first.number - 1) : bisect_right(self._numbers, last.number)]
        return all(
            each.answered_after == each.number
            or each.operation == STREAM
            or each.ending in (TIMEOUT, CLIENT_DISCONNECTED)
            for each in between
            if each is not last
        )


def _slowed(entry: JournalEntry, since: datetime, rate: float) -> JournalEntry:
    slowed = copy(entry)
    for name in ("at", "answered_at", "ended_at"):
        if (instant := getattr(entry, name)) is not None:
            setattr(slowed, name, since + (instant - since) / rate)
    slowed.mode, slowed.rate = Mode.REAL, 1.0
    return slowed


def _grouped(pairs: Iterable[tuple[Key, JournalEntry]]) -> dict[Key, list[JournalEntry]]:
    groups: dict[Key, list[JournalEntry]] = defaultdict(list)
    for key, entry in pairs:
        groups[key].append(entry)
    return groups


def header(lines: Headers, name: bytes) -> bytes | None:
    return next((value for key, value in lines if key.lower() == name), None)


def document(entry: JournalEntry) -> Any:
    """Return the JSON values of a response; None unless it is a 2xx that arrived whole."""
    is_fine = entry.ending == ANSWERED and entry.status is not None and 200 <= entry.status < 300
    if not is_fine or entry.answer_is_cut or header(entry.answer_headers, b"content-type") != JSON:
        return None
    try:
        return orjson.loads(entry.answer_body)
    except orjson.JSONDecodeError:
        return None


def is_stream(entry: JournalEntry) -> bool:
    return entry.operation == STREAM and entry.method == "GET" and entry.status == 200


def has_fault(entry: JournalEntry, *kinds: type) -> bool:
    """Say whether a fault of one of these kinds was applied to a call."""
    return any(isinstance(fault, kinds) for matched in entry.matched_faults for fault in matched.faults)


def last_job_document(entry: JournalEntry) -> dict[str, Any] | None:
    """Return the job as a call showed it: the response to GET, or the last event of a stream in its right order."""
    if entry.operation == STREAM:
        found = _last_event(entry) if is_stream(entry) and not has_fault(entry, ReorderEvents) else None
    else:
        found = document(entry) if entry.operation == READ and entry.method == "GET" else None
    return found if isinstance(found, dict) else None


def _last_event(entry: JournalEntry) -> Any:
    try:
        return sse.document(entry.last_event)
    except ValueError:  # there was none
        return None


def last_status(entry: JournalEntry) -> str | None:
    """Return the last status of its job that a call showed; None when it showed none."""
    status = (last_job_document(entry) or {}).get("status")
    return status if isinstance(status, str) else None


def has_shown_terminal(entry: JournalEntry) -> bool:
    return entry.ending != PENDING and last_status(entry) in TERMINAL


def over_at(entry: JournalEntry) -> int:
    """Return the number of the newest call at the time when a call was over."""
    return entry.ended_after if is_stream(entry) else entry.answered_after


def grows(waits: Sequence[float]) -> bool:
    """Say whether each wait is clearly longer than the one before."""
    return all(later >= before * EASING + 0.001 for before, later in pairwise(waits))


def waited(before: JournalEntry, after: JournalEntry, since: datetime | None) -> float | None:
    """Return the seconds between an instant of a call and the next call; None where the clock does not show them.

    An auto clock moves by itself, and a frozen one that stood still shows nothing either. In mode `jump` all waiting
    is on the clock: no movement is no wait. On a clock slower than real time the client may go by either.
    """
    if since is None or before.mode != after.mode or after.mode in (None, Mode.AUTO):
        return None
    seconds = (after.at - since).total_seconds()
    if after.mode is Mode.FROZEN:
        return seconds or None
    return seconds / after.rate if 0 < after.rate < 1 else seconds
