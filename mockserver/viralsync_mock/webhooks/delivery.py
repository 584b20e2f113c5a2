"""The log of webhooks: each delivery with its attempts and its outcome."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import orjson

from viralsync_mock.jobs.models import add_seconds, timestamp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from viralsync_mock.jobs.models import Job
    from viralsync_mock.webhooks.payload import WebhookSettings


DELIVERY_SIZE = 8192
"""What a delivery with its attempts takes in memory: of a response at most 4 KiB are kept, and most have less."""

MAX_WAIT = 86_400.0
"""Seconds from one attempt to the next, at most, since dates end in 9999."""


INTERRUPTED = "interrupted"
"""The problem of an attempt during which the mock ended: it is made again, and says so."""


class DeliveryOutcome(StrEnum):
    """The outcome of a delivery."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    REFUSED = "refused"
    DROPPED = "dropped"


class Attempt(NamedTuple):
    """One attempt: when it began and ended, and the receiver's response or why there is none.

    `seconds` is how long it took: in real time, or in virtual time if the receiver may have slept on the clock.
    """

    at: datetime
    ended_at: datetime
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    problem: str | None = None
    reason: str | None = None
    seconds: float = 0.0

    @property
    def is_accepted(self) -> bool:
        """Whether the receiver accepted the webhook, with any 2xx."""
        return self.problem is None and self.status is not None and 200 <= self.status < 300


@dataclass(eq=False, slots=True)
class Delivery:
    """One webhook: what is sent where, when its next attempt is due, and every attempt so far.

    `kind` is `progress`, or how the job ended; `copy_of` is the number of the delivery that a fault copied.
    """

    number: int
    job_id: str
    kind: str
    hook: WebhookSettings
    headers: tuple[tuple[str, str], ...]
    body: bytes
    made_at: datetime
    due: datetime
    lost_responses: int = 0
    copy_of: int | None = None
    outcome: DeliveryOutcome = DeliveryOutcome.PENDING
    attempts: list[Attempt] = field(default_factory=list)
    began: datetime | None = None
    """When the attempt that is under way began."""

    @property
    def was_interrupted(self) -> bool:
        """Whether the mock ended during the last attempt, so that the receiver may have got the webhook."""
        return bool(self.attempts) and self.attempts[-1].problem == INTERRUPTED

    @property
    def id(self) -> str:
        """The id in the control API."""
        return delivery_id(self.number)

    @property
    def is_final(self) -> bool:
        """Whether it will not be tried again."""
        return self.outcome is not DeliveryOutcome.PENDING

    def record_attempt(self, attempt: Attempt, now: datetime) -> None:
        """Record an attempt: mark the delivery final, or schedule a retry with exponential backoff (at most one day).

        The terminal webhook is retried, those of progress are not (docs page /guides/webhooks).
        """
        switches, tried = self.hook.behaviour, len(self.attempts)
        if attempt.is_accepted:
            self.outcome = DeliveryOutcome.DELIVERED
        elif attempt.problem == "refused_target":
            self.outcome = DeliveryOutcome.REFUSED
        elif self.kind == "progress" or tried >= switches.webhook_attempts:
            self.outcome = DeliveryOutcome.FAILED
        else:
            self.due = add_seconds(now, min(switches.webhook_retry_seconds * 2 ** (tried - 1), MAX_WAIT))

    def document(self) -> dict[str, Any]:
        """Return the delivery as JSON values."""
        return {
            "deliveryId": self.id,
            "jobId": self.job_id,
            "kind": self.kind,
            "outcome": self.outcome,
            "url": self.hook.url,
            "madeAt": timestamp(self.made_at),
            "nextAttemptAt": None if self.is_final else timestamp(self.due),
            "copyOf": None if self.copy_of is None else delivery_id(self.copy_of),
            "request": {"headers": [list(line) for line in self.headers], "body": orjson.Fragment(self.body)},
            "attempts": [_attempt_document(each) for each in self.attempts],
        }


def delivery_id(number: int) -> str:
    """Return the id of the delivery of this number."""
    return f"delivery_{number}"


def _attempt_document(attempt: Attempt) -> dict[str, Any]:
    response = None
    if attempt.status is not None:
        response = {
            "status": attempt.status,
            "headers": [list(line) for line in attempt.headers],
            "body": attempt.body.decode(errors="replace"),
        }
    return {
        "at": timestamp(attempt.at),
        "endedAt": timestamp(attempt.ended_at),
        "isAccepted": attempt.is_accepted,
        "response": response,
        "problem": attempt.problem,
        "reason": attempt.reason,
    }


class DeliveryLog:
    """The last `size` deliveries of a sandbox."""

    def __init__(self, size: int) -> None:
        self._kept: deque[Delivery] = deque(maxlen=size)
        self.made = self.held = 0
        """How many were made, and the estimated bytes that those kept take in memory."""

    def __len__(self) -> int:
        return len(self._kept)

    def take_number(self) -> int:
        """Return the number of the next delivery, from 1."""
        self.made += 1
        return self.made

    def add(self, delivery: Delivery) -> None:
        """Add a delivery."""
        self._kept.append(delivery)
        self.held = DELIVERY_SIZE * len(self._kept)

    def newest_first(self) -> Iterator[Delivery]:
        """Yield the deliveries."""
        return reversed(tuple(self._kept))


class Dispatcher(Protocol):
    """Sends the webhooks of a sandbox."""

    async def add_job(self, job: Job, hook: WebhookSettings) -> None:
        """Send the webhooks of a job from now on."""

    async def redeliver(self, delivery: Delivery) -> None:
        """Make one more attempt at a delivery, whatever its outcome."""

    def wake(self) -> None:
        """Look again at what is due."""

    def close(self) -> None:
        """Stop sending, and cancel what is under way."""
