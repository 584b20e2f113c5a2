"""A request as a curl command for a POSIX shell that makes it again."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING

from viralsync_mock.redaction import SECRET_HEADERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from viralsync_mock.inspection.exchange import HttpExchange

KEY = "$VIRALSYNC_API_KEY"
"""The shell puts the API key in its place."""

LINES = " \\\n  "
"""Separator for a command of several lines."""

_BY_CURL = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding", "expect"})


def to_curl(exchange: HttpExchange, separator: str = " ") -> str:
    """Return the command; the key is read from $VIRALSYNC_API_KEY.

    A body that was not kept whole, or is not text, is read from a file `body`.
    """
    first = " ".join(("curl -sS", *_options(exchange), quote(exchange.url)))
    return separator.join((first, *_headers(exchange), *_body(exchange)))


def _options(exchange: HttpExchange) -> Iterator[str]:
    if exchange.is_stream:
        yield "-N"
    if set("[]{}") & set(exchange.url):
        yield "--globoff"
    if "/." in exchange.url:
        yield "--path-as-is"
    if exchange.method == "HEAD":
        yield "--head"
    elif exchange.method != "GET" or exchange.request_size:
        yield f"-X {quote(exchange.method)}"


def _headers(exchange: HttpExchange) -> Iterator[str]:
    names = {name.lower() for name, _ in exchange.request_headers}
    if "authorization" in names:
        yield f'-H "authorization: Bearer {KEY}"'
    if "x-api-key" in names:
        yield f'-H "x-api-key: {KEY}"'
    for name, value in exchange.request_headers:
        if name.lower() not in _BY_CURL | SECRET_HEADERS:
            yield f"-H {quote(f'{name}: {value}' if value else f'{name};')}"


def _body(exchange: HttpExchange) -> Iterator[str]:
    if not exchange.request_size or exchange.method == "HEAD":
        return
    if exchange.request_header("content-type") is None:
        yield "-H content-type:"  # or curl adds one of its own
    text = _as_text(exchange)
    yield "--data-binary @body" if text is None else f"--data-raw {quote(text)}"


def _as_text(exchange: HttpExchange) -> str | None:
    try:
        text = exchange.request_body.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text or len(exchange.request_body) != exchange.request_size else text
