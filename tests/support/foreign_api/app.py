"""The path of a request, from the socket to the operation and back."""

from __future__ import annotations

import json
import logging
import re
import zlib
from collections.abc import Callable
from functools import partial
from typing import Final

from aiohttp import HttpVersion10, web

from . import clock
from .call import Call
from .documents import error_reply
from .limits import check_rate
from .model import Account
from .operations import OPERATIONS, Answer, Operation
from .wire import NothingThere, Refused, Reply
from .world import World

_LOG: Final = logging.getLogger(__name__)
_WORLD: Final = web.AppKey("world", World)
_ROUTES: Final = [
    (method, re.compile(re.sub(r"\{\w+\}", "([^/]+)", path)), name, run) for method, path, name, run in OPERATIONS
]
_HANDLERS: Final[dict[str, Operation]] = {name: run for _, _, name, run in OPERATIONS}


def make_app(world: World) -> web.Application:
    """The application that serves a world."""
    app = web.Application(client_max_size=world.readings.body_limit)
    app[_WORLD] = world
    app.router.add_route("*", "/{path:.*}", _handle)
    app.on_response_prepare.append(_dress)
    return app


async def _handle(request: web.Request) -> web.StreamResponse:
    world = request.app[_WORLD]
    world.calls += 1
    call = Call(request, world.calls)
    if world.readings.http_version == "1.0":
        request._version = HttpVersion10  # there is no public way to answer as an old proxy does
    await clock.pause(world.chance.uniform(*world.settings.latency))
    if world.is_away():
        return web.Response(status=502, text="<h1>502 Bad Gateway</h1>", content_type="text/html")
    try:
        answer = await _answer(world, call)
    except Refused as refused:
        answer = error_reply(world, refused.kind, refused.text, refused.headers)
    except NothingThere:
        answer = Reply(200, {})
    except Exception:
        _LOG.exception("%s %s", request.method, request.path)
        answer = error_reply(world, "crash", "Something went wrong.", {})
    return _response(world, call, answer) if isinstance(answer, Reply) else answer


async def _answer(world: World, call: Call) -> Answer:
    """Every check in the order of precedence, then the operation; the hooks of breaches before and after."""
    try:
        call.body = await call.request.read()
    except web.HTTPRequestEntityTooLarge:
        raise Refused("too-large", f"A body has at most {world.readings.body_limit} bytes.") from None
    allowed = _match(call)
    steps: tuple[Callable[[World, Call], None], ...] = (_authenticate, check_rate, _check_plan)
    at = 1 if world.readings.check_order == "key_first" else 0
    steps = (*steps[:at], partial(_check_route, allowed), *steps[at:])
    try:
        for step in steps:
            step(world, call)
        answer = world.conduct.through("call", call, world)
        answer = answer if isinstance(answer, Reply) else await _HANDLERS[call.operation](world, call)
    except Refused as refused:
        answer = error_reply(world, refused.kind, refused.text, refused.headers)
    if isinstance(answer, Reply):
        answer = world.conduct.through("reply", answer, call)
    return answer  # type: ignore[no-any-return] # hooks are untyped


def _match(call: Call) -> list[str]:
    """Find the operation of the call; the methods that its path allows."""
    matches = [(each, found) for each in _ROUTES if (found := each[1].fullmatch(call.request.path))]
    for (method, _, name, _), found in matches:
        if method == call.method:
            call.operation = name
            call.job_id = found.group(1) if found.groups() else ""
    return [each[0] for each, _ in matches]


def _check_route(allowed: list[str], world: World, call: Call) -> None:
    headers = {"Allow": ", ".join(allowed)}
    if world.readings.head == "refused" and call.request.method == "HEAD":
        raise Refused("method", "HEAD is not served.", headers)
    if not allowed:
        raise Refused("unknown-route", f"No route {call.request.path}.")
    if not call.operation:
        raise Refused("method", f"{call.request.method} is not allowed here.", headers)


def _authenticate(world: World, call: Call) -> None:
    key = _key(world, call)
    account = world.account_of(key) if key else None
    if account is None and _may_enter(world, call, key):
        account = world.ordinary_account()
    if account is None:
        kind, text = ("invalid-key", "The API key is not valid.") if key else ("missing-key", "An API key is needed.")
        world.refuse(kind, text)
        account = world.ordinary_account()
    call.account = account
    if account.start.revoked:
        world.refuse("revoked-key", "The API key has been revoked.")


def _may_enter(world: World, call: Call, key: str) -> bool:
    return call.operation in world.conduct.open_operations or (bool(key) and world.conduct.key_accepted_unseen(key))


def _key(world: World, call: Call) -> str:
    """The key of the request, and in which header it came; empty when there is none."""
    headers, read = call.request.headers, world.conduct.key_headers
    found = {"x-api-key": headers.get("x-api-key", "") if "x-api-key" in read else ""}
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    found["authorization"] = token.strip() if scheme.lower() == "bearer" and "authorization" in read else ""
    if world.readings.two_keys == "refused" and all(found.values()) and len(set(found.values())) > 1:
        raise Refused("two-keys", "Send one API key.")
    order = ("authorization", "x-api-key") if world.readings.two_keys == "bearer" else ("x-api-key", "authorization")
    call.header = next((header for header in order if found[header]), "")
    return found.get(call.header, "")


def _check_plan(world: World, call: Call) -> None:
    if call.account.start.plan == "free" and world.readings.free_rest == "forbidden":
        world.refuse("free-plan", "The Free plan does not include the REST API.")


def _response(world: World, call: Call, reply: Reply) -> web.StreamResponse:
    if reply.status == 0 and call.request.transport:
        call.request.transport.abort()
    empty = reply.text is None and reply.document is None
    content = b"" if empty else (reply.text or json.dumps(reply.document)).encode()
    response = web.Response(status=reply.status or 500, body=content or None, headers=reply.headers)
    if world.readings.etag and call.method == "GET" and reply.status == 200:
        response.headers["ETag"] = f'"{zlib.crc32(content):08x}"'
        if call.request.headers.get("If-None-Match") == response.headers["ETag"]:
            return web.Response(status=304, headers={"ETag": response.headers["ETag"]})
    if content:
        response.headers["Content-Type"] = f"{reply.content_type}; charset=utf-8"
        _encode(world, call, response)
    if world.readings.rate_headers and call.window:
        response.headers["X-RateLimit-Limit"] = str(call.window.limit)
        response.headers["X-RateLimit-Remaining"] = str(call.window.left())
    return response


def _encode(world: World, call: Call, response: web.Response) -> None:
    if world.readings.gzip and "gzip" in call.request.headers.get("Accept-Encoding", ""):
        response.enable_compression(web.ContentCoding.gzip)
    if world.readings.chunked:
        response.enable_chunked_encoding()


async def _dress(request: web.Request, response: web.StreamResponse) -> None:
    """Add and rewrite headers just before they are sent."""
    readings = request.app[_WORLD].readings
    if readings.extra_headers:
        response.headers["X-Request-Id"] = f"req_{request.app[_WORLD].calls:06d}"
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
    if readings.clock_offset:
        response.headers["Date"] = f"{clock.wall(readings.clock_offset):%a, %d %b %Y %H:%M:%S} GMT"
    if readings.http_version == "1.0":
        response.headers["Connection"] = "close"
        response.force_close()
    if readings.lower_case_headers:
        pairs = [(name.lower(), value) for name, value in response.headers.items()]
        response.headers.clear()
        for name, value in pairs:
            response.headers.add(name, value)


def neighbours_of(world: World) -> list[Account]:
    """The accounts whose key somebody else uses too."""
    accounts = [world.account_of(start.key) for start in world.settings.start.values() if start.neighbour]
    return [account for account in accounts if account]
