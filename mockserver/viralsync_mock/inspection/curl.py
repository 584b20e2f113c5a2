"""A call of the journal as a curl command that makes it again."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING
from urllib.parse import quote as encoded
from urllib.parse import quote_from_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from viralsync_mock.journal.entry import JournalEntry

KEY = "$VIRALSYNC_API_KEY"
"""Stands where the key goes: the shell fills it in."""

_SAFE = "!$&'()*+,;=:@~/"
_BY_CURL = frozenset(
    {b"host", b"content-length", b"transfer-encoding", b"connection", b"accept-encoding", b"expect", b"cookie"}
)
_KEYS = frozenset({b"x-api-key", b"authorization", b"proxy-authorization", b"x-mock-token"})


def request_target(entry: JournalEntry) -> str:
    """Return path and query as they go over the wire."""
    path = encoded(entry.path, _SAFE, errors="replace")
    return f"{path}?{wire_query(entry)}" if entry.query else path


def wire_query(entry: JournalEntry) -> str:
    """Return the query as it came, its oddities percent-encoded."""
    return quote_from_bytes(entry.query, safe=f"{_SAFE}%?")


def to_curl(entry: JournalEntry, host: str, replay: Mapping[str, str]) -> str:
    """Return a command for a POSIX shell; `replay` are headers of the mock that take the place of those sent.

    A body that was not kept whole, or is no text, is read from a file `body` that is to be put there.
    """
    return " ".join(
        ("curl -sS", *_options(entry), quote(f"http://{host}{request_target(entry)}"), *_headers(entry, replay))
    )


def _options(entry: JournalEntry) -> Iterator[str]:
    if entry.is_stream:
        yield "-N"
    if entry.method == "HEAD":
        yield "--head"
    elif entry.method != "GET" or entry.body_size:
        yield f"-X {quote(entry.method)}"


def _headers(entry: JournalEntry, replay: Mapping[str, str]) -> Iterator[str]:
    names = {name for name, _ in entry.headers}
    if b"authorization" in names:
        yield f'-H "authorization: Bearer {KEY}"'
    elif b"x-api-key" in names:
        yield f'-H "x-api-key: {KEY}"'
    left_out = _BY_CURL | _KEYS | {name.lower().encode() for name in replay}
    sent = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in entry.headers if name not in left_out]
    for name, value in (*sent, *replay.items()):
        yield f"-H {quote(f'{name}: {value}' if value else f'{name};')}"
    if entry.body_size and entry.method != "HEAD":
        if b"content-type" not in names:
            yield "-H content-type:"  # or curl adds one of its own
        yield f"--data-raw {quote(entry.body.decode())}" if is_text(entry) else "--data-binary @body"


def is_text(entry: JournalEntry) -> bool:
    """Say whether the body is all there and can stand in a command."""
    try:
        entry.body.decode()
    except UnicodeDecodeError:
        return False
    return not entry.is_cut and b"\0" not in entry.body
