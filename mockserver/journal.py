"""The journal: every call of a sandbox with its answer and what made it so. Nothing read from it holds an API key."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from mockserver.answers import EVENT_STREAM
from mockserver.redaction import masked, masked_bytes, masked_headers
from mockserver.scenario import SILENT, Choice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from starlette.types import Scope

    from mockserver.answers import Answer, Headers
    from mockserver.armed import Struck
    from mockserver.clock import Mode
    from mockserver.scenario import Scenario
    from mockserver.spec import RateLimit
    from mockserver.store import Slot, Standing
    from mockserver.violations import Violation

LARGEST_BODY = 64 * 1024
"""So much of a body is kept."""

PENDING, ANSWERED, LEFT = "pending", "answered", "client left"


class Entry:
    """One call; instants are on the sandbox's clock.

    `ending` is `pending` (also while a stream is open), `answered`, `client left` (a stream's reader went), or the
    fault that broke the answer off. `body_size` and `answer_size` are those of the whole bodies. What is below explains
    the answer.

    What may hold a key is masked when it is read: most calls are never looked at.
    """

    # of the class until they are set: most calls set few of them
    operation: str = ""
    job_id: str | None = None
    body_size: int = 0
    status: int | None = None
    code: str | None = None
    answered_at: datetime | None = None
    answer_headers: Headers = ()
    answer_size: int = 0
    ending: str = PENDING
    events: int = 0
    ended_at: datetime | None = None

    mode: Mode | None = None
    rate: float = 0.0
    scenario: Scenario | None = None
    chosen_by: str = "server"
    choice: Choice = SILENT
    age: float = 0.0
    struck: tuple[Struck, ...] = ()
    slot: Slot | None = None
    limit: RateLimit | None = None
    standing: Standing | None = None
    plan: str | None = None
    violations: tuple[Violation, ...] = ()

    _body: bytes = b""
    _answer_body: bytes = b""

    def __init__(self, number: int, at: datetime, scope: Scope, key: str) -> None:
        self.number, self.at, self.method = number, at, scope["method"]
        self._path, self._query, self._headers, self._key = scope["path"], scope["query_string"], scope["headers"], key

    @property
    def path(self) -> str:
        """The percent-decoded path."""
        return masked(self._path, self._key)

    @property
    def query(self) -> bytes:
        """The query as it came."""
        return masked_bytes(self._query, self._key)

    @property
    def headers(self) -> Headers:
        """The header lines of the request."""
        return masked_headers(self._headers, self._key)

    @property
    def body(self) -> bytes:
        """The body of the request, as much of it as is kept."""
        return masked_bytes(self._body, self._key)

    @property
    def answer_body(self) -> bytes:
        """The body of the answer, as much of it as is kept."""
        return masked_bytes(self._answer_body, self._key)

    def take_body(self, body: bytes) -> None:
        """Keep the body of the request."""
        self.body_size = len(body)
        self._body = body if len(body) <= LARGEST_BODY else body[:LARGEST_BODY]

    @property
    def is_cut(self) -> bool:
        """Whether less of the request's body is kept than came."""
        return self.body_size > LARGEST_BODY

    @property
    def answer_is_cut(self) -> bool:
        """Whether less of the answer's body is kept than it has."""
        return self.answer_size > LARGEST_BODY

    @property
    def is_stream(self) -> bool:
        """Whether the answer is a stream of events."""
        return (b"content-type", EVENT_STREAM) in self.answer_headers

    def answer(self, answer: Answer, headers: Headers, now: datetime) -> None:
        """Keep the answer, as it is about to leave."""
        body, breaks = answer.body, answer.breaks
        self.answered_at, self.answer_headers, self.answer_size = now, headers, len(body)
        self._answer_body = bytes(memoryview(body)[:LARGEST_BODY])  # without the room that orjson leaves behind a text
        if breaks is not None:
            self.ending = breaks.name
        elif answer.events is None or self.method == "HEAD":  # how a stream ends is known when it does
            self.ending = ANSWERED
        if breaks is None or breaks.share is not None:
            self.status = answer.status


@dataclass(slots=True)
class Filter:
    """Which calls are sought: all that is given must hold; `since` is included, `until` is not."""

    operation: str | None = None
    status: int | None = None
    job_id: str | None = None
    code: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def fits(self, entry: Entry) -> bool:
        """Say whether this call is sought."""
        return (
            self.operation in (None, entry.operation)
            and self.status in (None, entry.status)
            and self.job_id in (None, entry.job_id)
            and self.code in (None, entry.code)
            and (self.since is None or entry.at >= self.since)
            and (self.until is None or entry.at < self.until)
        )


class Journal:
    """The last calls of a sandbox, at most `size`; older ones are forgotten."""

    def __init__(self, size: int) -> None:
        self._entries: deque[Entry] = deque(maxlen=size)

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: Entry) -> None:
        """Keep a call, from its arrival on."""
        self._entries.append(entry)

    def read(self, number: int) -> Entry | None:
        """Return the call of this number."""
        return next((entry for entry in self._entries if entry.number == number), None)

    def newest_first(self, sought: Filter, limit: int) -> list[Entry]:
        """Return the last calls that are sought."""
        return list(islice(filter(sought.fits, reversed(self._entries)), limit))

    def oldest_first(self) -> Iterator[Entry]:
        """Yield all that are kept."""
        return iter(tuple(self._entries))

    def clear(self) -> None:
        """Forget all calls; numbers go on."""
        self._entries.clear()
