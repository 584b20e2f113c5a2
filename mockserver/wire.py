"""From ASGI to a call, and from an answer to ASGI: no `Request` or `Response` object is made on the way."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import orjson

from mockserver.answers import Answer, Reader, json_answer
from mockserver.state import Call

FORBIDDEN = 403

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from mockserver.behaviour import Behaviour
    from mockserver.errors import ApiError
    from mockserver.spec import Spec
    from mockserver.state import Mock


def begin(mock: Mock, scope: Scope) -> Call:
    """Take a request up; until its key is known it belongs to nobody's sandbox."""
    files, outside = mock.files, mock.sandboxes.outside
    return Call(
        mock=mock,
        files=files,
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"],
        headers=_by_name(scope["headers"]),
        raw_headers=scope["headers"],
        sandbox=outside,
        scenario=files.scenario,
        behaviour=files.behaviour,
        account=files.scenario.account,
    )


def _by_name(lines: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return the headers by name; one that came in several lines holds them all, as HTTP reads them."""
    headers = dict(lines)
    if len(headers) < len(lines):
        for name in headers:
            headers[name] = b", ".join(value for other, value in lines if other == name)
    return headers


async def read_body(call: Call, receive: Receive) -> bytes | None:
    """Read the body, or return None for one that is not kept: beyond the spec's limit, or never sent to its end."""
    headers, limit = call.headers, call.spec.body_limit
    if b"content-length" not in headers and b"transfer-encoding" not in headers:
        return b""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":  # half a body may be valid JSON: it must not be acted upon
            return None
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= limit:
            chunks.append(chunk)
        if not message.get("more_body"):
            break
        if size > 2 * limit:
            return None
    return b"".join(chunks) if size <= limit else None


def parsed(call: Call, key: str | None = None) -> Any:
    """Return the body as JSON, or one key of it; None for anything else. It has not been validated yet."""
    try:
        document = orjson.loads(call.body or b"null")
    except orjson.JSONDecodeError:
        return None
    if key is None:
        return document
    return document.get(key) if isinstance(document, dict) else None


def refusal(call: Call, error: ApiError) -> Answer:
    """Refuse a call."""
    return error_answer(call.spec, call.behaviour, error)


def error_answer(spec: Spec, behaviour: Behaviour, error: ApiError) -> Answer:
    """Write an error as the API does: `error` for people, `code` for programs, status and text from the spec."""
    entry = spec.errors[error.code]
    text = error.text or entry.text.format_map(_Values(error.values))
    status = entry.status
    if error.code == "PLAN_LIMIT_EXCEEDED" and behaviour.plan_limit_status == FORBIDDEN:
        status = FORBIDDEN
    headers = tuple((name.lower().encode(), value.encode()) for name, value in error.headers.items())
    return json_answer({"error": text, "code": behaviour.code(error.code)}, status, headers)


class _Values(dict[str, object]):
    """Values for a text: a placeholder that nobody fills stays as it is written."""

    def __missing__(self, name: str) -> str:
        return f"{{{name}}}"


async def write(call: Call, answer: Answer, receive: Receive, send: Send) -> None:
    """Send an answer; HEAD gets the headers of GET."""
    headers = [(b"date", call.sandbox.date_header(call.now)), *answer.headers]
    if answer.content_type is not None:
        headers.append((b"content-type", answer.content_type))
    if answer.events is None and answer.status != 204:
        headers.append((b"content-length", b"%d" % len(answer.body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if call.method == "HEAD" or answer.events is None:
        body = b"" if call.method == "HEAD" else answer.body
        await send({"type": "http.response.body", "body": body})
    else:
        await write_events(answer, receive, send)


async def write_events(answer: Answer, receive: Receive, send: Send) -> None:
    """Send the events of a stream until they end or the reader goes."""
    assert answer.events is not None  # noqa: S101 - write() has looked
    reader = Reader()
    watch = asyncio.create_task(_watch(reader, receive))
    try:
        async with aclosing(answer.events(reader)) as chunks:
            async for chunk in chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        watch.cancel()


async def _watch(reader: Reader, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    reader.leave()
