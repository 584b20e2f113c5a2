"""A journal as HAR 1.2, for browsers and other tools that read HTTP archives."""

from __future__ import annotations

from http import HTTPStatus
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from viralsync_mock.inspection.curl import request_target
from viralsync_mock.inspection.explanation import answer_body, call_id, declared_length, redact_json
from viralsync_mock.jobs.models import timestamp
from viralsync_mock.journal.entry import ANSWERED, PENDING

if TYPE_CHECKING:
    from datetime import datetime

    from viralsync_mock.journal.entry import JournalEntry
    from viralsync_mock.response import Headers
    from viralsync_mock.sandbox import Sandbox

PROTOCOL = "HTTP/1.1"
UNKNOWN = -1
"""What HAR says for a size that is not known."""

Document = dict[str, Any]


def archive(sandbox: Sandbox, host: str) -> Document:
    """Return every call that has an answer, oldest first; `host` stands in the URL of one that named none.

    Times are those of the sandbox's clock.
    """
    entries = (entry for entry in sandbox.journal.oldest_first() if entry.status is not None)
    return {
        "log": {
            "version": "1.2",
            "creator": {"name": "viralsync-mock", "version": version("viralsync-mock")},
            "entries": [_entry(sandbox, entry, host) for entry in entries],
        }
    }


def _entry(sandbox: Sandbox, entry: JournalEntry, host: str) -> Document:
    answered = entry.answered_at or entry.at
    wait, receive = _milliseconds(entry.at, answered), _milliseconds(answered, entry.ended_at or answered)
    document = {
        "startedDateTime": timestamp(entry.at),
        "time": wait + receive,
        "request": _request(entry, host),
        "response": _response(entry),
        "cache": {},
        "timings": {"send": 0, "wait": wait, "receive": receive},
        "comment": _comment(sandbox, entry),
    }
    return {name: redact_json(part, sandbox.key) for name, part in document.items()}


def _milliseconds(start: datetime, end: datetime) -> float:
    return round(max((end - start).total_seconds(), 0.0) * 1000, 3)


def _comment(sandbox: Sandbox, entry: JournalEntry) -> str:
    parts = [call_id(sandbox, entry)]
    if entry.is_stream:
        parts.append(f"{entry.events} event{'' if entry.events == 1 else 's'}")
        if entry.ending == PENDING:
            parts.append("still open")
    if entry.ending not in (ANSWERED, PENDING):
        parts.append(entry.ending)
    return ", ".join(parts)


def _request(entry: JournalEntry, host: str) -> Document:
    named = dict(entry.headers).get(b"host")
    size = entry.body_size or declared_length(entry)
    document: Document = {
        "method": entry.method,
        "url": f"http://{named.decode('latin-1') if named else host}{request_target(entry)}",
        "httpVersion": PROTOCOL,
        "cookies": [],
        "headers": _headers(entry.headers),
        "queryString": _pairs(entry.query),
        "headersSize": UNKNOWN,
        "bodySize": UNKNOWN if size is None else size,
    }
    if entry.body:
        media_type = dict(entry.headers).get(b"content-type", b"").decode("latin-1")
        document["postData"] = {"mimeType": media_type, "text": entry.body.decode(errors="replace")}
        if entry.is_cut:
            document["postData"]["comment"] = f"the first 64 KiB of {entry.body_size} bytes"
    return document


def _response(entry: JournalEntry) -> Document:
    text, size = answer_body(entry)
    headers = dict(entry.answer_headers)
    content: Document = {
        "size": UNKNOWN if size is None else size,
        "mimeType": headers.get(b"content-type", b"").decode("latin-1"),
        "text": text,
    }
    if entry.answer_is_cut:
        content["comment"] = f"the first 64 KiB of {size} bytes"
    return {
        "status": entry.status,
        "statusText": _phrase(entry.status or 0),
        "httpVersion": PROTOCOL,
        "cookies": [],
        "headers": _headers(entry.answer_headers),
        "content": content,
        "redirectURL": headers.get(b"location", b"").decode("latin-1"),
        "headersSize": UNKNOWN,
        "bodySize": content["size"],
    }


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _headers(headers: Headers) -> list[Document]:
    return [{"name": name.decode("latin-1"), "value": value.decode("latin-1")} for name, value in headers]


def _pairs(query: bytes) -> list[Document]:
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, errors="replace")
    return [{"name": name, "value": value} for name, value in pairs]
