"""One attempt at a webhook, on its way through a mutant."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from viralsync_conform.calls import TERMINAL
from viralsync_conform.mutants.engine.exchange import MutantState
from viralsync_mock.webhooks.sender import Reply, WebhookRequest, WebhookSender

SIGNATURE = "x-render-signature"
TAKEN = Reply(200, (), b"")


@dataclass(frozen=True, eq=False)
class WebhookAttempt:
    """One attempt at a webhook; `memory` is what the mutant remembers of its job."""

    outgoing: WebhookRequest
    send: WebhookSender
    memory: dict[Any, Any]
    secret: str

    @property
    def document(self) -> dict[str, Any]:
        return dict(json.loads(self.outgoing.body))

    @property
    def is_terminal(self) -> bool:
        return self.document.get("status") in TERMINAL

    @property
    def signature(self) -> str:
        """The right one."""
        return signed(self.outgoing.body, self.secret)

    async def deliver(self, **changes: Any) -> Reply:
        return await self.send(self.outgoing._replace(**changes))


def signed(body: bytes, secret: str) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


Sending = Callable[[WebhookAttempt], Awaitable[Reply]]


@dataclass(eq=False)
class MutatedSender:
    """Sends webhooks as a mutant does."""

    inner: WebhookSender
    sending: Sending
    world: MutantState
    memory: dict[str, dict[Any, Any]] = field(default_factory=dict)

    async def __call__(self, request: WebhookRequest) -> Reply:
        job_id = json.loads(request.body)["jobId"]
        of_job = self.memory.setdefault(job_id, {})
        return await self.sending(WebhookAttempt(request, self.inner, of_job, self.world.secret_of(job_id)))

    async def close(self) -> None:
        await self.inner.close()


def with_header(attempt: WebhookAttempt, name: str, value: str | None) -> tuple[tuple[str, str], ...]:
    kept = tuple(line for line in attempt.outgoing.headers if line[0] != name)
    return kept if value is None else (*kept, (name, value))


def body(make: Callable[[WebhookAttempt], bytes]) -> Sending:
    """Send another body, signed correctly."""

    async def sending(attempt: WebhookAttempt) -> Reply:
        content = make(attempt)
        signature = signed(content, attempt.secret)
        return await attempt.deliver(body=content, headers=with_header(attempt, SIGNATURE, signature))

    return sending


def resigned(change: Callable[[dict[str, Any]], object]) -> Sending:
    """Change the document and sign it correctly."""

    def changed(attempt: WebhookAttempt) -> bytes:
        document = attempt.document
        change(document)
        return json.dumps(document, separators=(",", ":")).encode()

    return body(changed)


def lost(is_lost: Callable[[WebhookAttempt], bool]) -> Sending:
    """Lose webhooks, and take them for received."""

    async def sending(attempt: WebhookAttempt) -> Reply:
        return TAKEN if is_lost(attempt) else await attempt.deliver()

    return sending
