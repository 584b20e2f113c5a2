"""Which mutants deviate in what a team's tests do: the requests that came, and whether a response was another."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from viralsync_conform.mutants.engine.asgi import Answer, Request
from viralsync_conform.mutants.engine.exchange import MutantCall, the_mock
from viralsync_conform.mutants.engine.webhook_attempts import Sending, WebhookAttempt
from viralsync_mock.webhooks.sender import Reply, WebhookRequest, WebhookSender

TRAFFIC = "traffic.txt"
DEVIATED = "deviated"
WEBHOOK = "webhook"


@dataclass
class Watch:
    """One call: what the mock received and answered, and what the client receives instead."""

    request: Request
    asked: list[Request] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    status: int | None = None
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
        self.status = answer.status
        self.is_other = len(self.asked) != 1 or _parts(self.asked[0]) != _parts(self.request)
        if not self.is_other:
            (before,) = self.answers
            self.is_other = (before.status, before.headers, before.body) != (answer.status, answer.headers, answer.body)
        if answer.events is not None:
            answer.events = _kept(answer.events, self.received)
        return answer

    @property
    def has_deviated(self) -> bool:
        """Whether the client received something else than the mock's response."""
        return self.is_other or b"".join(self.streamed) != b"".join(self.received)


@dataclass(frozen=True)
class Traffic:
    """A file with a line for each operation, with its status, and for each deviation; each is written once."""

    path: Path
    written: set[str] = field(default_factory=set)

    @contextmanager
    def watched(self, request: Request) -> Iterator[Watch]:
        """Yield what watches a call; write down at its end what it was."""
        watch = Watch(request)
        try:
            yield watch
        finally:
            self._note(f"{request.operation} {watch.status}")
            if watch.has_deviated:
                self._note(DEVIATED)

    def watched_sending(self, sending: Sending) -> Sending:
        """Return a sending of webhooks that writes down whether it deviates."""

        async def watched(attempt: WebhookAttempt) -> Reply:
            recorded = _Recorded(attempt.send)
            self._note(WEBHOOK)
            reply = await sending(replace(attempt, send=recorded))
            if recorded.sent != [attempt.outgoing]:
                self._note(DEVIATED)
            return reply

        return watched

    def _note(self, line: str) -> None:
        if line not in self.written:
            self.written.add(line)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")


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
