"""Requests and answers as a mutant sees them, and how the mock behind it is asked: ASGI, without a socket.

An answer that streams is read as it comes: the mock goes on to its next event when the last has been taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Lines = list[tuple[bytes, bytes]]

WHOLE_ANSWER = "viralsync.respond"
"""The mock's own extension of ASGI, by which it hands an answer over in one piece: kept from it here."""

NO_CONTENT = 204


class BrokenOffError(Exception):
    """The mock broke the connection off instead of answering."""


@dataclass(frozen=True, eq=False)
class Request:
    """One request. `operation` is what the spec calls it, None where it has none; `near` are those of its path."""

    scope: Scope
    body: bytes = b""
    operation: str | None = None
    near: tuple[str, ...] = ()
    job_id: str | None = None

    @property
    def method(self) -> str:
        return str(self.scope["method"])

    @property
    def path(self) -> str:
        return str(self.scope["path"])

    @property
    def parameters(self) -> dict[str, str]:
        return dict(parse_qsl(self.scope["query_string"].decode("latin-1"), keep_blank_values=True))

    @property
    def key(self) -> str:
        """The API key that was sent; an empty text for none."""
        bearer = self.header("authorization") or ""
        return self.header("x-api-key") or (bearer[7:].strip() if bearer[:7].lower() == "bearer " else "")

    @property
    def document(self) -> Any:
        """The body as JSON values; None where it is something else."""
        return _json(self.body)

    def header(self, name: str) -> str | None:
        return next((value.decode("latin-1") for each, value in self.scope["headers"] if each.decode() == name), None)

    def with_headers(self, **headers: str | None) -> Request:
        """Return the request with other headers, underscores for hyphens; None leaves one out."""
        given = {name.replace("_", "-").encode(): value for name, value in headers.items()}
        lines = [line for line in self.scope["headers"] if line[0] not in given]
        lines += [(name, value.encode("latin-1")) for name, value in given.items() if value is not None]
        return replace(self, scope={**self.scope, "headers": lines})

    def with_parameters(self, **parameters: object) -> Request:
        """Return the request with other parameters in its query; None leaves one out."""
        merged = {**self.parameters, **parameters}
        query = urlencode({name: value for name, value in merged.items() if value is not None})
        return replace(self, scope={**self.scope, "query_string": query.encode()})

    def with_body(self, body: bytes) -> Request:
        sized = self.with_headers(content_length=str(len(body)), content_type="application/json")
        return replace(sized, body=body)

    def with_document(self, document: object) -> Request:
        return self.with_body(orjson.dumps(document))


@dataclass(eq=False)
class Answer:
    """One answer: a body, or `events`, the chunks of a stream."""

    status: int
    headers: Lines
    body: bytes = b""
    events: AsyncGenerator[bytes] | None = None

    @property
    def document(self) -> Any:
        """The body as JSON values; None where it is something else."""
        return _json(self.body)

    @document.setter
    def document(self, value: object) -> None:
        self.body = orjson.dumps(value)

    @property
    def code(self) -> str | None:
        document = self.document
        return document.get("code") if isinstance(document, dict) else None

    def header(self, name: str) -> str | None:
        return next((value.decode("latin-1") for each, value in self.headers if each.decode() == name), None)

    def set_header(self, name: str, value: str | None) -> None:
        self.headers = [line for line in self.headers if line[0] != name.encode()]
        if value is not None:
            self.headers.append((name.encode(), value.encode("latin-1")))


def json_answer(document: object, status: int = 200) -> Answer:
    return Answer(status, [(b"content-type", b"application/json")], orjson.dumps(document))


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


@dataclass(eq=False)
class Exchange:
    """One request under way inside: what the application sends waits until it is taken, or the asker has left."""

    body: bytes
    messages: asyncio.Queue[Message | None] = field(default_factory=asyncio.Queue)
    taken: asyncio.Event = field(default_factory=asyncio.Event)
    has_left: asyncio.Event = field(default_factory=asyncio.Event)
    is_asked: bool = False

    async def receive(self) -> Message:
        """Hand out the body, then wait until the asker has left."""
        if not self.is_asked:
            self.is_asked = True
            return {"type": "http.request", "body": self.body, "more_body": False}
        await self.has_left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take a message, and return when it has been dealt with."""
        self.messages.put_nowait(message)
        if not self.has_left.is_set():
            await self.taken.wait()
            self.taken.clear()

    async def chunks(self) -> AsyncGenerator[bytes]:
        is_over = False
        while not is_over:
            message = await self.messages.get()
            if message is None:
                raise BrokenOffError
            is_over = not message.get("more_body")
            if message.get("body"):
                yield message["body"]
            self.taken.set()

    def leave(self) -> None:
        """Be gone: nothing that is still sent is waited for."""
        self.has_left.set()
        self.taken.set()


async def ask(app: Application, request: Request, opened: list[Exchange]) -> Answer:
    """Send a request to an application; raises BrokenOffError if it ends without a response.

    The exchange is added to `opened`, so that it can be left.
    """
    exchange = Exchange(request.body)
    opened.append(exchange)
    extensions = {k: v for k, v in request.scope.get("extensions", {}).items() if k != WHOLE_ANSWER}
    scope = {**request.scope, "extensions": extensions}
    task = asyncio.ensure_future(app(scope, exchange.receive, exchange.send))
    task.add_done_callback(lambda _: exchange.messages.put_nowait(None))
    try:
        head = await exchange.messages.get()
        if head is None:
            await task
            raise BrokenOffError
        exchange.taken.set()
        answer = Answer(head["status"], list(head["headers"]))
        chunks = exchange.chunks()
        if answer.header("content-type") == "text/event-stream" and request.method != "HEAD":
            answer.events = chunks
        else:
            answer.body = b"".join([chunk async for chunk in chunks])
    except BaseException:
        task.cancel()
        raise
    return answer


async def write(answer: Answer, request: Request, send: Send, gone: asyncio.Event) -> None:
    """Send an answer to the client, which may be gone before a stream has ended."""
    if answer.events is None and request.method != "HEAD":
        bodiless = answer.status == NO_CONTENT
        answer.set_header("content-length", None if bodiless else str(len(answer.body)))
        answer.body = b"" if bodiless else answer.body
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    if answer.events is not None:
        async with aclosing(answer.events) as events:
            async for chunk in events:
                if gone.is_set():
                    return
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": answer.body})


def made_request(method: str, target: str, headers: Mapping[str, str], document: object = None) -> Request:
    path, _, query = target.partition("?")
    body = b"" if document is None else orjson.dumps(document)
    lines = dict(headers)
    if document is not None:
        lines |= {"content-type": "application/json", "content-length": str(len(body))}
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in lines.items()],
    }
    return Request(scope, body)
