"""From ASGI to a call, and from a response to ASGI: no `Request` or `Response` of Starlette is made on the way."""

from __future__ import annotations

import zlib
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import orjson

from viralsync_mock.errors import ApiError, StateError
from viralsync_mock.jobs.sse import KEEP_ALIVE
from viralsync_mock.journal.entry import ANSWERED, CLIENT_DISCONNECTED, parse_headers, serialize_headers
from viralsync_mock.redaction import masked
from viralsync_mock.response import SLICE, Response, json_response

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.types import Receive, Send

    from viralsync_mock.api.call import Call
    from viralsync_mock.config.behaviour import BehaviourProfile
    from viralsync_mock.openapi.spec import Spec

FORBIDDEN = 403
NO_CONTENT = 204
MAX_DIGITS = 15
"""Digits of a `Content-Length` that are read: a petabyte."""

SLOW_BODY_PIECES = 20

CONTENT_CODINGS = (b"gzip", b"x-gzip", b"deflate")


def by_name(lines: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return headers by name; several lines of one name are joined by commas, as HTTP reads them."""
    headers = dict(lines)
    if len(headers) < len(lines):
        for name in headers:
            headers[name] = b", ".join(value for other, value in lines if other == name)
    return headers


def has_body(headers: Mapping[bytes, bytes]) -> bool:
    """Say whether a request comes with a body, maybe an empty one."""
    return b"content-length" in headers or b"transfer-encoding" in headers


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], limit: int) -> bytes | None:
    """Return the body, or None for one that is larger than the limit or that was never sent to its end."""
    if b"expect" in headers and int(headers.get(b"content-length", b"0")[:MAX_DIGITS]) > limit:
        return None  # the client waits for `100 Continue` before it sends the body
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


def decode_body(body: bytes | None, encoding: bytes, limit: int) -> bytes | None:
    """Undo a `Content-Encoding`; None for a body that is then larger than the limit.

    Raises VALIDATION_ERROR for another coding than gzip and deflate, and for a body that is not so encoded.
    """
    coding = encoding.strip().lower()
    if body is None or not body or coding == b"identity":
        return body
    shown = coding.decode("latin-1")[:40]
    if coding not in CONTENT_CODINGS:
        problem = f'expected gzip, deflate or identity, got "{shown}"'
        raise ApiError("VALIDATION_ERROR", violations=f"header.content-encoding: {problem}")
    # `deflate` is the zlib format (RFC 9110 8.4.1.2); some clients send it bare
    decoder = zlib.decompressobj((15 if body[0] & 15 == zlib.DEFLATED else -15) if coding == b"deflate" else 31)
    try:
        decoded = decoder.decompress(body, limit + 1)
        is_whole = decoder.eof and not decoder.unused_data
    except zlib.error:
        decoded, is_whole = b"", False
    if len(decoded) > limit:
        return None
    if not is_whole:
        raise ApiError("VALIDATION_ERROR", violations=f"header.content-encoding: the body is not valid {shown}")
    return decoded


def parse_body(call: Call, key: str | None = None) -> Any:
    """Return the body as JSON, or one key of it; None for anything else. It has not been validated yet."""
    try:
        document = orjson.loads(call.body or b"null")
    except orjson.JSONDecodeError:
        return None
    if key is None:
        return document
    return document.get(key) if isinstance(document, dict) else None


def error_response(spec: Spec, behaviour: BehaviourProfile, error: ApiError, key: str = "") -> Response:
    """Write an error as the API does: `error` for people, `code` for programs, status and text from the spec.

    API keys in the text are masked, also `key`, the caller's own.
    """
    entry = spec.errors[error.code]
    text = error.text or entry.text.format_map(_Values(error.values))
    status = entry.status
    if error.code == "PLAN_LIMIT_EXCEEDED" and behaviour.plan_limit_status == FORBIDDEN:
        status = FORBIDDEN
    headers = tuple((name.lower().encode(), value.encode()) for name, value in error.headers.items())
    return json_response({"error": masked(text, key), "code": behaviour.code(error.code)}, status, headers)


MISDIRECTED, UNAVAILABLE = 425, 503


def state_response(error: StateError) -> Response:
    """Answer a call that cannot be kept, or whose sandbox another replica has.

    425 is what proxies can act on (HAProxy has no 421) and what no fault or rule of the mock simulates.
    """
    headers = ((b"x-mock-owner", error.owner.encode()),) if error.owner else ()
    code = "MISDIRECTED" if error.owner else "STATE_UNAVAILABLE"
    status = MISDIRECTED if error.owner else UNAVAILABLE
    return json_response({"error": str(error), "code": code}, status, headers)


class _Values(dict[str, object]):
    """Values of a text's placeholders; one without a value stays as it is written."""

    def __missing__(self, name: str) -> str:
        return f"{{{name}}}"


async def send_response(call: Call, response: Response, head: bytes, send: Send) -> None:
    """Send a response as far as it goes; `head` holds all its headers, and HEAD gets those of GET."""
    if response.abort is not None and response.abort.share is None:
        call.abort(reset=response.abort.is_reset)
        return
    if response.is_plain and call.method != "HEAD" and call.respond(response.status, head, response.body):
        return
    await send({"type": "http.response.start", "status": response.status, "headers": parse_headers(head)})
    if call.method == "HEAD":
        await send({"type": "http.response.body", "body": b""})
    elif response.stream is not None:
        await _send_events(call, response, send)
    elif response.pieces:
        await _send_pieces(response.pieces, send)
    elif response.abort is not None or response.body_duration:
        await _send_slowly(call, response, send)
    else:
        await send({"type": "http.response.body", "body": response.body})


def write_head(call: Call, response: Response, more: bytes = b"") -> bytes:
    """Return all header lines of a response as HTTP writes them; `more` are lines of the mock's own."""
    head = b"date: %b\r\n%b%b" % (call.sandbox.date_header(call.now), serialize_headers(response.headers), more)
    if response.content_type is not None:
        head += b"content-type: %b\r\n" % response.content_type
    if response.stream is None and response.status != NO_CONTENT:
        head += b"content-length: %d\r\n" % response.size
    return head


async def _send_pieces(pieces: Sequence[bytes], send: Send) -> None:
    """Send a large body in slices: the server waits before each until the client has read what was sent before."""
    for piece in pieces:
        for start in range(0, len(piece), SLICE):
            await send({"type": "http.response.body", "body": piece[start : start + SLICE], "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _send_slowly(call: Call, response: Response, send: Send) -> None:
    """Send a body over some real time, or only a share of it before the connection breaks."""
    body, abort = response.body, response.abort
    if abort is not None and abort.share is not None:
        body = body[: min(int(len(body) * abort.share), len(body) - 1)]
    size = max(-(-len(body) // SLOW_BODY_PIECES), 1) if response.body_duration else len(body) or 1
    starts = range(0, len(body), size)
    for start in starts:
        if response.body_duration:
            await call.pause(response.body_duration / len(starts))
        await send({"type": "http.response.body", "body": body[start : start + size], "more_body": True})
    if abort is not None:
        call.abort(reset=abort.is_reset)
    else:
        await send({"type": "http.response.body", "body": b""})


async def _is_kept(call: Call) -> bool:
    """Keep what the client is about to see; False ends the stream, and the client resumes it elsewhere."""
    if (keeper := call.mock.sandboxes.keeper) is not None:
        try:
            await keeper.before_answer(call.sandbox, call.entry, waits=False)
        except StateError:
            return False
    return True


async def _send_events(call: Call, response: Response, send: Send) -> None:
    """Send the events of a stream until they end, the client goes, or a fault breaks the connection."""
    assert response.stream is not None  # noqa: S101 - `send_response` has looked
    entry, last, totals = call.entry, None, call.mock.totals
    totals.streams += 1
    totals.open_streams += 1
    async with call.reader() as reader:
        try:
            with call.sandbox.clock.waiting_call():
                async with aclosing(response.stream(reader)) as chunks:
                    async for chunk in chunks:
                        if chunk is not KEEP_ALIVE:
                            entry.events, last = entry.events + 1, chunk
                            call.sandbox.note("call", entry)
                            if chunk[-1:] == b"\n":  # a fault may have cut it
                                entry.last_event = chunk
                            if not await _is_kept(call):
                                call.abort(reset=False)
                                return
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
        finally:
            totals.open_streams -= 1
            entry.ended_at, entry.ended_after = call.sandbox.clock.now(), call.sandbox.calls
            entry.ending = (
                CLIENT_DISCONNECTED if reader.is_disconnected else reader.breaks.name if reader.breaks else ANSWERED
            )
            call.sandbox.sightings.record_stream_end(entry.ending, last)
            call.sandbox.note("call", entry)
        if reader.breaks is not None:
            call.abort(reset=reader.breaks.is_reset)
        else:
            await send({"type": "http.response.body", "body": b""})
