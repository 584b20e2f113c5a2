"""Server-sent events as WHATWG writes them: one event, and the comment that keeps a connection alive."""

from __future__ import annotations

KEEP_ALIVE = b": keep-alive\n\n"


def encode(data: bytes, *, id: object, event: str | None = None) -> bytes:  # noqa: A002 - the field's own name
    """Write one event; `data` is a single line of JSON."""
    name = b"" if event is None else b"event: %s\n" % event.encode()
    return b"%sid: %s\ndata: %s\n\n" % (name, str(id).encode(), data)


def last_event_id(header: bytes | None) -> int | None:
    """Read `Last-Event-ID`; anything that this server cannot have sent reads as None, as on a first connection."""
    text = (header or b"").strip()
    return int(text) if text.isdigit() and len(text) < 10 else None
