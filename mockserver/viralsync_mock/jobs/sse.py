"""Server-sent events as WHATWG writes them: one event, and the comment that keeps a connection alive."""

from __future__ import annotations

from typing import Any

import orjson

KEEP_ALIVE = b": keep-alive\n\n"

_DATA = b"data: "


def encode(data: bytes, *, id: object, event: str | None = None, retry: int | None = None) -> bytes:  # noqa: A002 - the field's own name
    """Write one event; `data` is a single line of JSON, `retry` in milliseconds."""
    name = b"" if event is None else b"event: %s\n" % event.encode()
    wait = b"" if retry is None else b"retry: %d\n" % retry
    return b"%s%sid: %s\ndata: %s\n\n" % (wait, name, str(id).encode(), data)


def document(event: bytes) -> dict[str, Any]:
    """Return the data of an event that `encode` has written."""
    found: dict[str, Any] = orjson.loads(event[event.index(_DATA) + len(_DATA) :])
    return found


def with_document(event: bytes, data: dict[str, Any]) -> bytes:
    """Return an event with other data."""
    return b"%s%s\n\n" % (event[: event.index(_DATA) + len(_DATA)], orjson.dumps(data))


def last_event_id(header: bytes | None) -> int | None:
    """Read `Last-Event-ID`; anything that this server cannot have sent reads as None, as on a first connection."""
    text = (header or b"").strip()
    is_number = text.isdigit() and len(text) < 10
    return int(text) if is_number and text == b"%d" % int(text) else None
