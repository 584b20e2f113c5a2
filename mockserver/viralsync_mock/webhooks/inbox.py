"""The built-in receiver: takes webhooks for `http://inbox.localhost/...` inside the mock, without a socket."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from viralsync_mock.jobs.models import timestamp
from viralsync_mock.webhooks.sender import Reply
from viralsync_mock.webhooks.signature import verify_signature

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from viralsync_mock.webhooks.sender import WebhookRequest, WebhookSender

URL = "http://inbox.localhost"
MAX_KEPT = 200
OK = 200


class Received(NamedTuple):
    """A webhook that the built-in receiver got; `number` counts from 1."""

    number: int
    at: datetime
    request: WebhookRequest
    status: int

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        request = self.request
        signature = next((value for name, value in request.headers if name == "x-render-signature"), None)
        return {
            "number": self.number,
            "at": timestamp(self.at),
            "url": request.url,
            "headers": [list(line) for line in request.headers],
            "body": request.body.decode(errors="replace"),
            "isSignatureValid": bool(request.secret) and verify_signature(request.body, signature, request.secret),
            "status": self.status,
        }


@dataclass(eq=False, slots=True)
class Inbox:
    """What the built-in receiver of a sandbox got; it responds with `status`, for `times` webhooks, then with 200."""

    status: int = OK
    times: int | None = None
    received: deque[Received] = field(default_factory=lambda: deque(maxlen=MAX_KEPT))
    total: int = 0

    def take(self, request: WebhookRequest, now: datetime) -> Received:
        """Keep a webhook, with the status that it gets."""
        status = self.status
        if self.times is not None:
            self.times -= 1
            if not self.times:
                self.status, self.times = OK, None
        self.total += 1
        self.received.append(Received(self.total, now, request, status))
        return self.received[-1]

    def document(self) -> dict[str, Any]:
        """Return how it responds, and the number of webhooks that it got."""
        return {"url": URL, **self.settings()}

    def settings(self) -> dict[str, Any]:
        """Return the same without its URL."""
        return {"status": self.status, "times": self.times, "total": self.total}


class InboxSender:
    """Gives the webhooks for the built-in receiver to it, and all others to a sender."""

    def __init__(
        self,
        inbox: Inbox,
        sender: WebhookSender,
        now: Callable[[], datetime],
        on_received: Callable[[Received], None],
    ) -> None:
        self._inbox, self._sender, self._now, self._on_received = inbox, sender, now, on_received

    async def __call__(self, request: WebhookRequest) -> Reply:
        """Make one attempt."""
        if request.url != URL and not request.url.startswith(f"{URL}/"):
            return await self._sender(request)
        received = self._inbox.take(request, self._now())
        self._on_received(received)
        return Reply(received.status, (), b"")

    async def close(self) -> None:
        """Close nothing: the sender is that of all sandboxes."""
