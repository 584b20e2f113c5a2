"""The journal: every call of a sandbox with its response and the reasons for it. Nothing read from it holds a key."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import unquote

from viralsync_mock.redaction import masked, masked_bytes, masked_headers
from viralsync_mock.response import EVENT_STREAM
from viralsync_mock.scenarios.model import NO_MATCH, RuleMatch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from starlette.types import Scope

    from viralsync_mock.clock import Mode
    from viralsync_mock.jobs.store import Usage, WindowSlot
    from viralsync_mock.openapi.spec import RateLimit
    from viralsync_mock.response import Headers, Response
    from viralsync_mock.scenarios.armed_faults import MatchedFaults
    from viralsync_mock.scenarios.model import Scenario
    from viralsync_mock.validation.schema import Violation

MAX_BODY = 64 * 1024
"""Bytes of a body that are kept."""

MAX_USUAL = 2048
"""Bytes of the headers of a request beyond which they are masked each time they are read."""

ENTRY_SIZE, VIOLATION_SIZE = 1536, 256
"""What a call takes beside its texts, and each of its violations beside its message."""

PENDING, ANSWERED, CLIENT_DISCONNECTED = "pending", "answered", "client left"

REQUEST_ID_HEADER = b"x-request-id"
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._~:/+=@-]{1,128}")

OBSERVER_HEADER = b"x-mock-observer"
"""A call with this header is the test's own: the verdict on the client leaves it out."""


class JournalEntry:
    """One call; instants are on the sandbox's clock.

    `ending` is `pending` (also while a stream is open), `answered`, `client left` (it hung up before the end), or the
    fault that broke the answer off. `connection` is the client's port; 0 where it is not known. `body_size` and
    `answer_size` are those of the whole bodies. Of a stream `last_event` is the last whole event. `answered_after` and
    `ended_after` are the number of the newest call that had come when the answer left, and when its stream ended: they
    order calls where the clock stands. What is below explains the answer.

    What may hold a key is masked when it is read: most calls are never looked at. An entry is made of few objects,
    since a thousand of them are kept: what comes in many is packed.
    """

    __slots__ = (
        *("number", "at", "method", "operation", "job_id", "body_size", "status", "code", "answered_at", "answer_size"),
        *("answered_after", "ending", "events", "last_event", "ended_at", "ended_after", "mode", "rate", "scenario"),
        *("chosen_by", "rule_match", "age", "matched_faults", "slot", "limit", "standing", "plan", "violations"),
        *(
            "unmasked_path",
            "unmasked_query",
            "connection",
            "_headers",
            "key",
            "_body",
            "_answer_headers",
            "_answer_body",
            "held",
            "size",
        ),
    )

    def __init__(self, number: int, at: datetime, scope: Scope, key: str) -> None:
        self.number, self.at, self.method = number, at, scope["method"]
        self.unmasked_path, self.unmasked_query, self.key = scope["path"], scope["query_string"], key
        self.connection: int = (scope.get("client") or ("", 0))[1]
        self._headers = serialize_headers(scope["headers"])
        self._body = self._answer_headers = self._answer_body = self.last_event = b""
        self.operation: str = ""
        self.job_id: str | None = None
        self.body_size = self.answer_size = self.events = self.answered_after = self.ended_after = 0
        self.status: int | None = None
        self.code: str | None = None
        self.answered_at: datetime | None = None
        self.ended_at: datetime | None = None
        self.ending = PENDING
        self.mode: Mode | None = None
        self.rate = self.age = 0.0
        self.scenario: Scenario | None = None
        self.chosen_by = "server"
        self.rule_match: RuleMatch = NO_MATCH
        self.matched_faults: tuple[MatchedFaults, ...] = ()
        self.slot: WindowSlot | None = None
        self.limit: RateLimit | None = None
        self.standing: Usage | None = None
        self.plan: str | None = None
        self.violations: tuple[Violation, ...] = ()
        self.size = ENTRY_SIZE
        """Bytes that this call takes in memory, estimated; its texts count with the response."""
        self.held: int | None = None
        """Bytes that the journal has counted for this call; None when it is not kept."""

    @property
    def path(self) -> str:
        """The percent-decoded path."""
        return masked(self.unmasked_path, self.key)

    @property
    def query(self) -> bytes:
        """The query as it came."""
        return masked_bytes(self.unmasked_query, self.key)

    def sent(self, name: bytes) -> bytes | None:
        """Return a header that the request has exactly once, unmasked."""
        if name not in self._headers:  # most calls have none of those that are asked for
            return None
        values = [value for other, value in parse_headers(self._headers) if other == name]
        return values[0] if len(values) == 1 else None

    @property
    def headers(self) -> Headers:
        """The header lines of the request."""
        show = _usual_headers if len(self._headers) <= MAX_USUAL else _shown_headers
        return show(self._headers, self.key)

    @property
    def answer_headers(self) -> Headers:
        """The header lines of the answer, as they left."""
        return parse_headers(self._answer_headers)

    @property
    def body(self) -> bytes:
        """The body of the request, as much of it as is kept."""
        return masked_bytes(self._body, self.key)

    @property
    def answer_body(self) -> bytes:
        """The body of the answer, as much of it as is kept."""
        return masked_bytes(self._answer_body, self.key)

    def names_key(self, key: str) -> bool:
        """Say whether this key stands in path or query, in whatever form."""
        return key in unquote(f"{self.unmasked_path}?{self.unmasked_query.decode('latin-1')}")

    def record_body(self, body: bytes) -> None:
        """Keep the body of the request."""
        self.body_size = len(body)
        self._body = body if len(body) <= MAX_BODY else body[:MAX_BODY]

    @property
    def is_cut(self) -> bool:
        """Whether less of the request's body is kept than came."""
        return self.body_size > MAX_BODY

    @property
    def answer_is_cut(self) -> bool:
        """Whether less of the answer's body is kept than it has."""
        return self.answer_size > MAX_BODY

    @property
    def is_stream(self) -> bool:
        """Whether the answer is a stream of events."""
        return (b"content-type", EVENT_STREAM.encode()) in self.answer_headers

    def record_response(self, answer: Response, head: bytes, now: datetime) -> None:
        """Keep the answer, as it is about to leave; `head` holds all its headers, packed."""
        breaks = answer.abort
        self.answered_at, self._answer_headers, self.answer_size = now, head, answer.size
        kept = self._answer_body = answer.beginning(MAX_BODY)
        size = ENTRY_SIZE + len(self._headers) + len(self._body) + len(head) + len(kept)
        self.size = size + 2 * len(self.unmasked_path) + len(self.unmasked_query)
        if self.violations:
            self.size += sum([VIOLATION_SIZE + len(each.message) for each in self.violations])
        if breaks is not None:
            self.ending = breaks.name
            self.code = self.code if breaks.share is not None else None  # the client did not see it
        elif self.ending == PENDING and (answer.stream is None or self.method == "HEAD"):  # a stream ends later
            self.ending = ANSWERED
        if breaks is None or breaks.share is not None:
            self.status = answer.status


def well_formed_request_id(sent: bytes | None) -> str | None:
    """Return an `x-request-id` that can be logged and sent back as it is."""
    return sent.decode() if sent is not None and _REQUEST_ID.fullmatch(sent) else None


def serialize_headers(headers: Headers) -> bytes:
    """Return header lines as HTTP writes them."""
    return b"".join([b"%b: %b\r\n" % line for line in headers])


def _shown_headers(packed: bytes, key: str) -> Headers:
    return masked_headers(parse_headers(packed), key)


_usual_headers = lru_cache(256)(_shown_headers)  # a client sends the same with most calls


def parse_headers(head: bytes) -> list[tuple[bytes, bytes]]:
    """Return the header lines that `serialize_headers` wrote."""
    parts = (line.partition(b": ") for line in head.split(b"\r\n")[:-1])
    return [(name, value) for name, _, value in parts]


@dataclass(slots=True)
class Filter:
    """Criteria for calls, all of which must hold; `since` is inclusive, `until` exclusive."""

    operation: str | None = None
    status: int | None = None
    job_id: str | None = None
    code: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def matches(self, entry: JournalEntry) -> bool:
        """Say whether a call meets the criteria."""
        return (
            self.operation in (None, entry.operation)
            and self.status in (None, entry.status)
            and self.job_id in (None, entry.job_id)
            and self.code in (None, entry.code)
            and (self.since is None or entry.at >= self.since)
            and (self.until is None or entry.at < self.until)
        )


class Journal:
    """The last `size` calls of a sandbox; `held` is the memory they take, `forgotten` counts those dropped for it."""

    def __init__(self, size: int) -> None:
        self._entries: deque[JournalEntry] = deque()
        self._size = size
        self.held = self.forgotten = 0

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: JournalEntry) -> None:
        """Keep a call, from its arrival on."""
        self._entries.append(entry)
        self.held += entry.size
        entry.held = entry.size
        if len(self._entries) > self._size:
            self._drop_oldest()

    def weigh(self, entry: JournalEntry) -> None:
        """Count the memory of a call anew, now that its response is recorded."""
        if entry.held is not None:
            size = entry.size
            self.held += size - entry.held
            entry.held = size

    def forget_oldest(self) -> bool:
        """Drop the oldest call to free its memory; False if only the newest is left."""
        if len(self._entries) < 2:
            return False
        self._drop_oldest()
        self.forgotten += 1
        return True

    def _drop_oldest(self) -> None:
        entry = self._entries.popleft()
        self.held -= entry.held or 0
        entry.held = None

    def read(self, number: int) -> JournalEntry | None:
        """Return the call of this number."""
        return next((entry for entry in self._entries if entry.number == number), None)

    def newest_first(self, criteria: Filter, limit: int) -> list[JournalEntry]:
        """Return the last matching calls."""
        return list(islice(filter(criteria.matches, reversed(self._entries)), limit))

    def oldest_first(self) -> Iterator[JournalEntry]:
        """Yield all calls that are kept."""
        return iter(tuple(self._entries))

    @property
    def oldest(self) -> JournalEntry | None:
        """The oldest call that is kept."""
        return self._entries[0] if self._entries else None

    def clear(self) -> None:
        """Drop all calls; numbers go on."""
        while self._entries:
            self._drop_oldest()
