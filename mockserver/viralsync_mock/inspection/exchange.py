"""A request with its response, of a journal or of a conformance run, as the writers of HAR and curl take it.

Secrets are masked before they get here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_from_bytes

from viralsync_mock.journal.entry import ANSWERED, PENDING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from viralsync_mock.journal.entry import JournalEntry
    from viralsync_mock.response import Headers
    from viralsync_mock.sandbox import Sandbox

Pairs = tuple[tuple[str, str], ...]

_SAFE = "!$&'()*+,;=:@~/"


@dataclass(frozen=True)
class HttpExchange:
    """`at` is when the request came; `wait` and `receive` are milliseconds until the head and the end of the response.

    The sizes are those of the whole bodies, of which less may be kept; None where they are not known.
    """

    method: str
    url: str
    request_headers: Pairs
    request_body: bytes
    request_size: int | None
    status: int
    headers: Pairs
    body: bytes
    size: int | None
    at: datetime
    wait: float = 0.0
    receive: float = 0.0
    is_stream: bool = False
    comment: str = ""

    def request_header(self, name: str) -> str | None:
        """Return the first header of the request with this lower-case name."""
        return next((value for key, value in self.request_headers if key.lower() == name), None)

    def header(self, name: str) -> str:
        """Return the first header of the response with this lower-case name; "" if there is none."""
        return next((value for key, value in self.headers if key.lower() == name), "")


ENCODING = frozenset({"content-encoding"})


def exchange_of(
    sandbox: Sandbox, entry: JournalEntry, host: str, replay: Mapping[str, str] | None = None
) -> HttpExchange:
    """Return a call of a journal as it went to `host`; the headers `replay` take the place of those sent."""
    answered = entry.answered_at or entry.at
    replaced = {name.lower() for name in replay or {}}
    body, size = answer_body(entry)
    return HttpExchange(
        method=entry.method,
        url=f"http://{host}{_request_target(entry)}",
        request_headers=(
            *(each for each in _text(entry.headers) if each[0] not in replaced | ENCODING),  # the body is kept decoded
            *(replay or {}).items(),
        ),
        request_body=entry.body,
        request_size=entry.body_size or declared_length(entry),
        status=entry.status or 0,
        headers=_text(entry.answer_headers),
        body=body,
        size=size,
        at=entry.at,
        wait=_milliseconds(entry.at, answered),
        receive=_milliseconds(answered, entry.ended_at or answered),
        is_stream=entry.is_stream,
        comment=_comment(sandbox, entry),
    )


def call_id(sandbox: Sandbox, entry: JournalEntry) -> str:
    """Return the id of a call, as its answer has it in `x-mock-call-id`."""
    return f"{sandbox.call_prefix.decode()}{entry.number}"


def _request_target(entry: JournalEntry) -> str:
    path = quote(entry.path, _SAFE, errors="replace").replace("%252F", "%2F").replace("%250A", "%0A")  # kept escaped
    return f"{path}?{wire_query(entry)}" if entry.query else path


def wire_query(entry: JournalEntry) -> str:
    """Return the query as it came, its oddities percent-encoded."""
    return quote_from_bytes(entry.query, safe=f"{_SAFE}%?")


def declared_length(entry: JournalEntry) -> int | None:
    """Return how long a body the headers announce, for one that was not kept; None when they do not say."""
    headers = dict(entry.headers)
    if b"transfer-encoding" in headers:
        return None
    length = headers.get(b"content-length", b"0")
    return int(length) if length.isdigit() else None


def answer_body(entry: JournalEntry) -> tuple[bytes, int | None]:
    """Return what is kept of the answer's body, and its whole size in bytes: None for a stream."""
    if entry.method == "HEAD":
        return b"", 0
    return entry.answer_body, None if entry.is_stream else entry.answer_size


def _comment(sandbox: Sandbox, entry: JournalEntry) -> str:
    parts = [call_id(sandbox, entry)]
    if entry.is_stream:
        parts.append(f"{entry.events} event{'' if entry.events == 1 else 's'}")
        if entry.ending == PENDING:
            parts.append("still open")
    if entry.ending not in (ANSWERED, PENDING):
        parts.append(entry.ending)
    return ", ".join(parts)


def _milliseconds(start: datetime, end: datetime) -> float:
    return round(max((end - start).total_seconds(), 0.0) * 1000, 3)


def _text(headers: Headers) -> Pairs:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)
