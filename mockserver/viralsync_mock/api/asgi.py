"""From ASGI to a call, and from an answer to ASGI: no `Request` or `Response` object is made on the way."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import orjson

from viralsync_mock.api.call import NONE, Call
from viralsync_mock.jobs.sse import KEEP_ALIVE
from viralsync_mock.journal.entry import ANSWERED, CLIENT_DISCONNECTED, JournalEntry, parse_headers
from viralsync_mock.redaction import masked
from viralsync_mock.response import Response, json_response

FORBIDDEN = 403
NO_CONTENT = 204
MAX_LENGTH = 15
"""So many digits of a `Content-Length` are read: a petabyte."""

PIECES = 20
"""A slow body is sent in so many pieces."""

ABORT_EXTENSION = "viralsync.hang_up"
"""The extension of ASGI by which the server lets a fault break a connection off: `hang_up(reset=...)`."""

RESPOND_EXTENSION = "viralsync.respond"
"""The extension by which the server takes a whole answer at once, when it can: `respond(status, head, body)`."""

ByName = dict[bytes, bytes]

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from viralsync_mock.config.behaviour import BehaviourProfile
    from viralsync_mock.errors import ApiError
    from viralsync_mock.openapi.spec import Spec
    from viralsync_mock.response import Headers
    from viralsync_mock.sandbox import Sandbox
    from viralsync_mock.state import MockServer


def create_call(
    mock: MockServer, scope: Scope, receive: Receive, whose: Callable[[MockServer, ByName], Sandbox]
) -> Call:
    """Take a request up, in the sandbox that `whose` finds by its headers."""
    files, headers = mock.files, _by_name(scope["headers"])
    sandbox = whose(mock, headers)
    now, extensions = sandbox.clock.now(), scope.get("extensions", NONE)
    return Call(
        mock=mock,
        files=files,
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"],
        headers=headers,
        raw_headers=scope["headers"],
        sandbox=sandbox,
        scenario=files.scenario,
        behaviour=sandbox.behaviour_override or files.behaviour,
        account=files.scenario.account,
        receive=receive,
        hang_up=extensions.get(ABORT_EXTENSION, _cannot_hang_up),
        respond=extensions.get(RESPOND_EXTENSION, _cannot_respond),
        entry=JournalEntry(sandbox.calls + 1, now, scope, sandbox.key),
        _now=now,
    )


def _cannot_respond(_status: int, _head: bytes, _body: bytes) -> bool:
    return False


def _cannot_hang_up(*, reset: bool) -> None:
    how = "reset" if reset else "close"
    raise ConnectionAbortedError(f"a fault wants to {how} the connection, and this server offers no way to it")


def _by_name(lines: list[tuple[bytes, bytes]]) -> ByName:
    """Return the headers by name; one that came in several lines holds them all, as HTTP reads them."""
    headers = dict(lines)
    if len(headers) < len(lines):
        for name in headers:
            headers[name] = b", ".join(value for other, value in lines if other == name)
    return headers


async def read_body(call: Call, limit: int) -> bytes | None:
    """Read the body, or return None for one that is not kept: beyond the limit, or never sent to its end."""
    headers = call.headers
    if b"content-length" not in headers and b"transfer-encoding" not in headers:
        return b""
    if b"expect" in headers and int(headers.get(b"content-length", b"0")[:MAX_LENGTH]) > limit:
        return None  # the client waits for leave to send it
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await call.receive()
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
    call.invalidate_now()
    return b"".join(chunks) if size <= limit else None


def parse_body(call: Call, key: str | None = None) -> Any:
    """Return the body as JSON, or one key of it; None for anything else. It has not been validated yet."""
    try:
        document = orjson.loads(call.body or b"null")
    except orjson.JSONDecodeError:
        return None
    if key is None:
        return document
    return document.get(key) if isinstance(document, dict) else None


def refusal(call: Call, error: ApiError) -> Response:
    """Refuse a call."""
    return error_response(call.spec, call.behaviour, error, call.sandbox.key)


def error_response(spec: Spec, behaviour: BehaviourProfile, error: ApiError, key: str = "") -> Response:
    """Write an error as the API does: `error` for people, `code` for programs, status and text from the spec.

    The text repeats no API key that stood in the path or in a value; `key` is the caller's.
    """
    entry = spec.errors[error.code]
    text = error.text or entry.text.format_map(_Values(error.values))
    status = entry.status
    if error.code == "PLAN_LIMIT_EXCEEDED" and behaviour.plan_limit_status == FORBIDDEN:
        status = FORBIDDEN
    headers = tuple((name.lower().encode(), value.encode()) for name, value in error.headers.items())
    return json_response({"error": masked(text, key), "code": behaviour.code(error.code)}, status, headers)


class _Values(dict[str, object]):
    """Values for a text: a placeholder that nobody fills stays as it is written."""

    def __missing__(self, name: str) -> str:
        return f"{{{name}}}"


async def send_response(call: Call, answer: Response, head: bytes, send: Send) -> None:
    """Send an answer as far as it goes; `head` holds all its headers, and HEAD gets those of GET."""
    if answer.abort is not None and answer.abort.share is None:
        call.hang_up(reset=answer.abort.is_reset)
        return
    if answer.is_plain and call.method != "HEAD" and call.respond(answer.status, head, answer.body):
        return
    await send({"type": "http.response.start", "status": answer.status, "headers": parse_headers(head)})
    if call.method == "HEAD":
        await send({"type": "http.response.body", "body": b""})
    elif answer.stream is not None:
        await write_events(call, answer, send)
    elif answer.abort is not None or answer.body_duration:
        await send_slowly(call, answer, send)
    else:
        await send({"type": "http.response.body", "body": answer.body})


def response_headers(call: Call, answer: Response, more: Headers = ()) -> Headers:
    """Return all headers of an answer."""
    headers = [(b"date", call.sandbox.date_header(call.now)), *answer.headers, *more]
    if answer.content_type is not None:
        headers.append((b"content-type", answer.content_type))
    if answer.stream is None and answer.status != NO_CONTENT:
        headers.append((b"content-length", b"%d" % len(answer.body)))
    return headers


async def send_slowly(call: Call, answer: Response, send: Send) -> None:
    """Send a body over some real time, or only a share of it before the connection breaks."""
    body, breaks = answer.body, answer.abort
    if breaks is not None and breaks.share is not None:
        body = body[: min(int(len(body) * breaks.share), len(body) - 1)]
    size = max(-(-len(body) // PIECES), 1) if answer.body_duration else len(body) or 1
    starts = range(0, len(body), size)
    for start in starts:
        await send({"type": "http.response.body", "body": body[start : start + size], "more_body": True})
        if answer.body_duration:
            await call.pause(answer.body_duration / len(starts))
    if breaks is not None:
        call.hang_up(reset=breaks.is_reset)
    else:
        await send({"type": "http.response.body", "body": b""})


async def write_events(call: Call, answer: Response, send: Send) -> None:
    """Send the events of a stream until they end, the reader goes, or a fault breaks the connection."""
    assert answer.stream is not None  # noqa: S101 - write() has looked
    entry, last = call.entry, None
    async with call.reader() as reader:
        try:
            with call.sandbox.clock.waiting_call():
                async with aclosing(answer.stream(reader)) as chunks:
                    async for chunk in chunks:
                        if chunk is not KEEP_ALIVE:
                            entry.events, last = entry.events + 1, chunk
                            if chunk[-1:] == b"\n":  # a fault may have cut it
                                entry.last_event = chunk
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
        finally:
            entry.ended_at, entry.ended_after = call.sandbox.clock.now(), call.sandbox.calls
            entry.ending = (
                CLIENT_DISCONNECTED if reader.is_disconnected else reader.breaks.name if reader.breaks else ANSWERED
            )
            call.sandbox.sightings.record_stream_end(entry.ending, last)
        if reader.breaks is not None:
            call.hang_up(reset=reader.breaks.is_reset)
        else:
            await send({"type": "http.response.body", "body": b""})
