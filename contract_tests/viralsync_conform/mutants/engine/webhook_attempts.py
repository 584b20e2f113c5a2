"""One attempt at a webhook, on its way through a mutant."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from viralsync_conform.mutants.engine.exchange import World
from viralsync_mock.webhooks.sender import Outgoing, Reply, Send

TERMINAL = frozenset({"done", "failed", "cancelled"})


@dataclass(frozen=True, eq=False)
class Parcel:
    """One attempt at a webhook; `memory` is what the mutant remembers of its job."""

    outgoing: Outgoing
    send: Send
    memory: dict[Any, Any]
    secret: str

    @property
    def document(self) -> dict[str, Any]:
        """What it tells."""
        return dict(json.loads(self.outgoing.body))

    @property
    def is_terminal(self) -> bool:
        """Whether it tells how the job ended."""
        return self.document.get("status") in TERMINAL

    async def deliver(self, **changes: Any) -> Reply:
        """Send it, with other parts than it came with."""
        return await self.send(self.outgoing._replace(**changes))


def signed(body: bytes, secret: str) -> str:
    """Return the right signature of a body."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


Sending = Callable[[Parcel], Awaitable[Reply]]


@dataclass(eq=False)
class MutatedSender:
    """Sends webhooks as a mutant does."""

    inner: Send
    sending: Sending
    world: World
    memory: dict[str, dict[Any, Any]] = field(default_factory=dict)

    async def __call__(self, request: Outgoing) -> Reply:
        """Make one attempt."""
        job_id = json.loads(request.body)["jobId"]
        of_job = self.memory.setdefault(job_id, {})
        return await self.sending(Parcel(request, self.inner, of_job, self.world.secret_of(job_id)))

    async def close(self) -> None:
        """Close the connections."""
        await self.inner.close()
