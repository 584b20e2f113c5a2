"""`traffic.har`: every call of the run as HAR 1.2, in their order; entry n is call n."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from viralsync_conform.calls import Exchange, Headers
from viralsync_conform.reports.wording import base_url, printable
from viralsync_conform.reports.writing import shown_headers, text_of
from viralsync_conform.result import Result

PROTOCOL = "HTTP/1.1"
UNKNOWN = -1
"""What HAR says for a size that is not known."""

Document = dict[str, Any]


def archive_of(result: Result) -> Document:
    """Return the archive; times are those of the target's clock, and how long an answer took is real time.

    A call without an answer has the status 0, as in browsers, and what went wrong in its comment. Bodies are text,
    never base64: a key could hide in that.
    """
    base = base_url(result)
    return {
        "log": {
            "version": "1.2",
            "creator": {"name": "viralsync-mock conform", "version": result.version},
            "entries": [_entry(call, base) for call in result.calls],
            "comment": f"Target: {result.target}. Keys are masked.",
        }
    }


def _entry(call: Exchange, base: str) -> Document:
    wait, receive = round(call.seconds * 1000, 3), _streamed(call)
    return {
        "startedDateTime": _instant(call.at),
        "time": wait + receive,
        "request": _request(call, base),
        "response": _response(call),
        "cache": {},
        "timings": {"send": 0, "wait": wait, "receive": receive},
        "comment": _comment(call),
    }


def _streamed(call: Exchange) -> float:
    """Return the milliseconds of the target's time in which a stream told its events."""
    if not call.events:
        return 0.0
    return round(max(0.0, (call.events[-1].at - call.at).total_seconds()) * 1000, 3)


def _comment(call: Exchange) -> str:
    parts = [f"call {call.number}", f"{call.journey}: {call.step}", f"account {call.account}"]
    if call.expected:
        parts.append(f"expected {call.expected}")
    if call.events:
        parts.append(f"{len(call.events)} events")
    if call.problem:
        parts.append(call.problem)
    return printable(", ".join(parts))


def _request(call: Exchange, base: str) -> Document:
    document: Document = {
        "method": call.method,
        "url": f"{base}{call.url}",
        "httpVersion": PROTOCOL,
        "cookies": [],
        "headers": _headers(call.request_headers),
        "queryString": _query(call.url),
        "headersSize": UNKNOWN,
        "bodySize": len(call.request_body),
    }
    if call.request_body:
        document["postData"] = {
            "mimeType": _named(call.request_headers, "content-type"),
            "text": text_of(call.request_body),
        }
    return document


def _response(call: Exchange) -> Document:
    media_type = call.header("content-type") or ""
    return {
        "status": call.status or 0,
        "statusText": _phrase(call.status),
        "httpVersion": PROTOCOL,
        "cookies": [],
        "headers": _headers(call.headers),
        "content": {"size": len(call.body), "mimeType": media_type, "text": text_of(call.body)},
        "redirectURL": call.header("location") or "",
        "headersSize": UNKNOWN,
        "bodySize": UNKNOWN if call.status is None else len(call.body),
    }


def _phrase(status: int | None) -> str:
    try:
        return HTTPStatus(status or 0).phrase
    except ValueError:
        return ""


def _headers(headers: Headers) -> list[Document]:
    return [{"name": name, "value": value} for name, value in shown_headers(headers)]


def _named(headers: Headers, name: str) -> str:
    return next((value for key, value in headers if key.lower() == name), "")


def _query(url: str) -> list[Document]:
    try:
        query = urlsplit(url).query
    except ValueError:
        query = url.partition("?")[2]
    pairs = parse_qsl(query, keep_blank_values=True, errors="replace")
    return [{"name": name, "value": value} for name, value in pairs]


def _instant(instant: datetime) -> str:
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
