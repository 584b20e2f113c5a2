"""What a team's tests did, for `challenge`: facts about their calls, and where a mutant's response was another."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from viralsync_conform.mutants.engine.asgi import Answer, Request
from viralsync_conform.mutants.engine.exchange import MutantCall, the_mock
from viralsync_conform.mutants.engine.webhook_attempts import Sending, WebhookAttempt
from viralsync_mock.config.yaml_source import json_path
from viralsync_mock.webhooks.sender import Reply, WebhookRequest, WebhookSender

TRAFFIC = "traffic.txt"
DEVIATED = "deviated"
WEBHOOK = "webhook"

MAX_DEVIATIONS = 200
MAX_VALUE = 80
"""Characters of a value that are kept."""

VOLATILE = (b"date", b"x-mock-call-id", b"content-length")


@dataclass(frozen=True)
class Deviation:
    """Where a response differed from the mock's, and in which test, if that is known."""

    test: str
    where: str
    place: str
    sent: str
    right: str

    def line(self) -> str:
        """Return it as a line of the file."""
        return f"{DEVIATED} {json.dumps(asdict(self))}"

    @classmethod
    def of(cls, line: str) -> Deviation | None:
        """Read a line; None for one that tells no details."""
        text = line.removeprefix(DEVIATED).strip()
        return cls(**json.loads(text)) if text else None


@dataclass
class Watch:
    """One call: what the mock received and answered, and what the client receives instead."""

    request: Request
    asked: list[Request] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    answer: Answer | None = None
    streamed: list[bytes] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)
    is_other: bool = True

    async def below(self, call: MutantCall) -> Answer:
        """Answer as the mock does, and remember it."""
        answer = await the_mock(call)
        self.asked.append(call.request)
        self.answers.append(Answer(answer.status, list(answer.headers), answer.body))
        if answer.events is not None:
            answer.events = _kept(answer.events, self.streamed)
        return answer

    def sent(self, answer: Answer) -> Answer:
        """Remember what the client receives."""
        self.answer = Answer(answer.status, list(answer.headers), answer.body)
        self.is_other = len(self.asked) != 1 or _parts(self.asked[0]) != _parts(self.request)
        if not self.is_other:
            (before,) = self.answers
            self.is_other = (before.status, before.headers, before.body) != (answer.status, answer.headers, answer.body)
        if answer.events is not None:
            answer.events = _kept(answer.events, self.received)
        return answer

    def deviation(self) -> tuple[str, str, str, str] | None:
        """Return where the client received something else than the mock's response, what, and what was right."""
        where, streamed = self.request.operation or self.request.path, b"".join(self.streamed)
        received = b"".join(self.received)
        if not self.answers or (not self.is_other and streamed == received):
            return None  # without an answer the mock itself broke off, as a fault of the tests had it
        if self.answer is None:
            return where, "the response", "none", "one"
        same = [at for at, asked in enumerate(self.asked) if _parts(asked) == _parts(self.request)]
        right = self.answers[same[0] if same else -1]
        if streamed != received and self.answer.status == right.status:
            return where, *_first_event(received, streamed)
        return where, *_first_difference(self.answer, right)

    def facts(self) -> Iterator[str]:
        """Yield what the call shows of what the tests meet: the lines that the needs of mutants are compared with."""
        request, answer = self.request, self.answer
        status = answer.status if answer else None
        yield f"{request.operation} {status}"
        yield from (f"{request.operation} with {name}" for name in request.parameters)
        if request.header("last-event-id"):
            yield f"{request.operation} resumed"
        document = answer.document if answer else None
        if isinstance(document, dict):
            yield from _shown(request, document)


def _shown(request: Request, document: dict[str, Any]) -> Iterator[str]:
    if "code" in document and "error" in document:
        yield f"code {document['code']}"
    elif isinstance(document.get("status"), str):
        kind = "child" if document.get("parentJobId") else "job"
        yield f"{kind} {document['status']}"
        yield f"{kind} {document['status']} {document.get('phase')}"
    if isinstance(document.get("nextCursor"), str):
        yield f"{request.operation} of several pages"


def _first_difference(answer: Answer, right: Answer) -> tuple[str, str, str]:
    """Return the first place where two responses differ, and both values."""
    if answer.status != right.status:
        return "the status", str(answer.status), str(right.status)
    ours, theirs = answer.document, right.document
    if answer.body != right.body and ours is not None and theirs is not None and ours != theirs:
        return _first_place(ours, theirs)
    if answer.body != right.body:
        return "the body", _short(answer.body.decode("utf-8", "replace")), _short(right.body.decode("utf-8", "replace"))
    sent, expected = dict(answer.headers), dict(right.headers)
    for name in sorted(sent.keys() | expected.keys()):
        if name not in VOLATILE and sent.get(name) != expected.get(name):
            return f"the header {name.decode()}", _text(sent.get(name)), _text(expected.get(name))
    return "the job behind it", "another", "the client's"


def _first_place(sent: Any, right: Any, path: tuple[str | int, ...] = ()) -> tuple[str, str, str]:
    """Return the first place where two JSON values differ, and both values there."""
    if isinstance(sent, dict) and isinstance(right, dict):
        keys: list[Any] = list(dict.fromkeys((*right, *sent)))
        pairs = [(key, sent.get(key, _MISSING), right.get(key, _MISSING)) for key in keys]
    elif isinstance(sent, list) and isinstance(right, list):
        pairs = [(at, *pair) for at, pair in enumerate(zip_longest(sent, right, fillvalue=_MISSING))]
    else:
        return json_path(path), _short(sent), _short(right)
    key, one, other = next((pair for pair in pairs if pair[1] != pair[2]), (None, sent, right))
    return _first_place(one, other, (*path, key)) if key is not None else (json_path(path), _short(one), _short(other))


class _Missing:
    def __repr__(self) -> str:
        return "missing"


_MISSING = _Missing()


def _first_event(received: bytes, streamed: bytes) -> tuple[str, str, str]:
    """Return the first event of a stream that was another."""
    ours, theirs = received.split(b"\n\n"), streamed.split(b"\n\n")
    for number, (one, other) in enumerate(zip_longest(ours, theirs, fillvalue=b""), 1):
        if one != other:
            place, sent, right = _first_of_event(one, other)
            return f"event {number}{place}", sent, right
    return "the events", "others", "the mock's"


def _first_of_event(one: bytes, other: bytes) -> tuple[str, str, str]:
    sent, right = _data(one), _data(other)
    if isinstance(sent, dict) and isinstance(right, dict) and sent != right:
        place, *values = _first_place(sent, right)
        return f": {place}", values[0], values[1]
    return "", _short(one.decode("utf-8", "replace") or "none"), _short(other.decode("utf-8", "replace") or "none")


def _data(event: bytes) -> Any:
    try:
        return json.loads(b"".join(line[5:] for line in event.splitlines() if line.startswith(b"data:")))
    except ValueError:
        return None


def _short(value: object) -> str:
    text = repr(value) if value is _MISSING else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_VALUE else f"{text[: MAX_VALUE - 1]}…"


def _text(value: bytes | None) -> str:
    return "missing" if value is None else _short(value.decode("latin-1"))


@dataclass(frozen=True)
class Traffic:
    """A file with a line for each fact, and for each deviation of each test; each is written once."""

    path: Path
    written: set[str] = field(default_factory=set)

    @contextmanager
    def watched(self, request: Request) -> Iterator[Watch]:
        """Yield what watches a call; write down at its end what it was."""
        watch = Watch(request)
        try:
            yield watch
        finally:
            for fact in watch.facts():
                self._note(fact)
            if (found := watch.deviation()) is not None:
                self._deviated(*found)

    def watched_sending(self, sending: Sending | None) -> Sending:
        """Return a sending of webhooks that writes down whether it deviates; None sends as the mock does."""

        async def watched(attempt: WebhookAttempt) -> Reply:
            recorded, document = _Recorded(attempt.send), attempt.document
            self._note(WEBHOOK)
            self._note(f"{WEBHOOK} {document.get('status')}")
            if sending is None:
                return await recorded(attempt.outgoing)
            try:
                return await sending(replace(attempt, send=recorded))
            finally:
                if recorded.sent != [attempt.outgoing]:
                    self._deviated(f"the webhook of {document.get('status')}", *_of_webhook(recorded.sent, attempt))

        return watched

    def _deviated(self, where: str, place: str, sent: str, right: str) -> None:
        is_beside_tests = "pytest" in sys.modules  # a server of its own would name the test that started it
        test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0] if is_beside_tests else ""
        if len(self.written) < MAX_DEVIATIONS:
            self._note(Deviation(test, where, place, sent, right).line())

    def _note(self, line: str) -> None:
        if line not in self.written:
            self.written.add(line)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")


def _of_webhook(sent: list[WebhookRequest], attempt: WebhookAttempt) -> tuple[str, str, str]:
    if len(sent) != 1:
        return "how often it came", str(len(sent)), "1"
    (one,), right = sent, attempt.outgoing
    if one.body != right.body:
        return _first_of_event(b"data:" + one.body, b"data:" + right.body)
    if one.headers != right.headers:
        return "its headers", _short(dict(one.headers)), _short(dict(right.headers))
    return "where it went", _short(one.url), _short(right.url)


@dataclass
class _Recorded:
    """Sends webhooks, and remembers which."""

    sender: WebhookSender
    sent: list[WebhookRequest] = field(default_factory=list)

    async def __call__(self, request: WebhookRequest) -> Reply:
        self.sent.append(request)
        return await self.sender(request)

    async def close(self) -> None:
        await self.sender.close()


async def _kept(chunks: AsyncGenerator[bytes], into: list[bytes]) -> AsyncGenerator[bytes]:
    async for chunk in chunks:
        into.append(chunk)
        yield chunk


def _parts(request: Request) -> tuple[object, ...]:
    headers = [line for line in request.scope["headers"] if line[0] not in {b"content-length", b"content-type"}]
    return (request.method, request.path, request.scope["query_string"], sorted(headers), request.body)
