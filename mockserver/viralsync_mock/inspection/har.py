"""HTTP archives (HAR 1.2), for browsers and other tools that read them."""

from __future__ import annotations

from http import HTTPStatus
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from viralsync_mock.jobs.models import timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable

    from viralsync_mock.inspection.exchange import HttpExchange, Pairs

PROTOCOL = "HTTP/1.1"
UNKNOWN = -1
"""HAR's word for a size that is not known."""

Document = dict[str, Any]


def archive(exchanges: Iterable[HttpExchange], creator: str, comment: str = "") -> Document:
    """Return the archive. A call without a response has the status 0, as in browsers.

    Bodies are text, never base64: a key could hide in that.
    """
    log: Document = {
        "version": "1.2",
        "creator": {"name": creator, "version": version("viralsync-mock")},
        "entries": [_entry(each) for each in exchanges],
    }
    return {"log": log | ({"comment": comment} if comment else {})}


def _entry(exchange: HttpExchange) -> Document:
    return {
        "startedDateTime": timestamp(exchange.at),
        "time": exchange.wait + exchange.receive,
        "request": _request(exchange),
        "response": _response(exchange),
        "cache": {},
        "timings": {"send": 0, "wait": exchange.wait, "receive": exchange.receive},
        "comment": exchange.comment,
    }


def _request(exchange: HttpExchange) -> Document:
    body, size = exchange.request_body, exchange.request_size
    document: Document = {
        "method": exchange.method,
        "url": exchange.url,
        "httpVersion": PROTOCOL,
        "cookies": [],
        "headers": _pairs(exchange.request_headers),
        "queryString": _query(exchange.url),
        "headersSize": UNKNOWN,
        "bodySize": UNKNOWN if size is None else size,
    }
    if body:
        media_type = exchange.request_header("content-type") or ""
        document["postData"] = {"mimeType": media_type, **_content(body, size)}
    return document


def _response(exchange: HttpExchange) -> Document:
    size = UNKNOWN if exchange.size is None else exchange.size
    return {
        "status": exchange.status,
        "statusText": _phrase(exchange.status),
        "httpVersion": PROTOCOL,
        "cookies": [],
        "headers": _pairs(exchange.headers),
        "content": {
            "size": size,
            "mimeType": exchange.header("content-type"),
            **_content(exchange.body, exchange.size),
        },
        "redirectURL": exchange.header("location"),
        "headersSize": UNKNOWN,
        "bodySize": size if exchange.status else UNKNOWN,
    }


def _content(body: bytes, size: int | None) -> Document:
    document = {"text": body.decode(errors="replace")}
    if size is not None and size > len(body):
        document["comment"] = f"the first {len(body) // 1024} KiB of {size} bytes"
    return document


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _pairs(pairs: Pairs | list[tuple[str, str]]) -> list[Document]:
    return [{"name": name, "value": value} for name, value in pairs]


def _query(url: str) -> list[Document]:
    try:
        query = urlsplit(url).query
    except ValueError:
        query = url.partition("?")[2]
    return _pairs(parse_qsl(query, keep_blank_values=True, errors="replace"))
