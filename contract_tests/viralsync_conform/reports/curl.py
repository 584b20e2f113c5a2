"""A call of the run as a curl command for a POSIX shell that makes it again."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from viralsync_conform.calls import Exchange
from viralsync_mock.redaction import SECRET_HEADERS

KEY = "$VIRALSYNC_API_KEY"
"""Stands where the key goes: the shell fills it in."""

_BY_CURL = frozenset({"host", "content-length", "connection", "accept-encoding", "transfer-encoding"})


def curl(call: Exchange, base: str) -> str:
    """Return the command; a body that is no text is read from a file `body` that is to be put there."""
    return " \\\n  ".join(
        (" ".join(("curl -sS", *_ways(call), quote(f"{base}{call.url}"))), *_headers(call), *_body(call))
    )


def _ways(call: Exchange) -> Iterator[str]:
    if call.operation == "streamJobProgress":
        yield "-N"
    if set("[]{}") & set(call.url):
        yield "--globoff"
    if "/." in call.url:
        yield "--path-as-is"
    if call.method == "HEAD":
        yield "--head"
    elif call.method != "GET" or call.request_body:
        yield f"-X {quote(call.method)}"


def _headers(call: Exchange) -> Iterator[str]:
    names = {name.lower() for name, _ in call.request_headers}
    if "authorization" in names:
        yield f'-H "authorization: Bearer {KEY}"'
    if "x-api-key" in names:
        yield f'-H "x-api-key: {KEY}"'
    for name, value in call.request_headers:
        if name.lower() not in _BY_CURL | SECRET_HEADERS:
            yield f"-H {quote(f'{name}: {value}' if value else f'{name};')}"
    if call.request_body and "content-type" not in names:
        yield "-H content-type:"  # or curl adds one of its own


def _body(call: Exchange) -> Iterator[str]:
    if not call.request_body or call.method == "HEAD":
        return
    try:
        text = call.request_body.decode()
    except UnicodeDecodeError:
        text = "\0"
    yield "--data-binary @body" if "\0" in text else f"--data-raw {quote(text)}"
