"""Faults of webhooks: each turns one prepared webhook into another.

As the fault of a call it applies to all webhooks of the job that this call submits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import orjson

if TYPE_CHECKING:
    from viralsync_mock.faults.http import CallNext, FaultContext
    from viralsync_mock.response import Response

Sign = Callable[[bytes, str], str]
"""Signs a body with a secret."""


class PreparedWebhook(NamedTuple):
    """One webhook, ready to send: number `number` of its job, from 0; `kind` is `progress`, or how the job ended.

    It is sent `wait` virtual seconds late, not at all (`is_dropped`), or after the next one (`is_held`). `copies` of it
    follow at once, and the receiver's first `lost_responses` acceptances count as failures.
    """

    number: int
    kind: str
    body: bytes
    signature: str
    wait: float = 0.0
    copies: int = 0
    lost_responses: int = 0
    is_dropped: bool = False
    is_held: bool = False


@dataclass(frozen=True)
class WebhookFault:
    """Base of the kinds."""

    async def apply(self, context: FaultContext, proceed: CallNext, /) -> Response:
        """Keep the fault for the job that is submitted."""
        context.webhook_faults += (self,)
        return await proceed()

    def transform(self, webhook: PreparedWebhook, _sign: Sign, /) -> PreparedWebhook:
        """Return the webhook to send instead."""
        return webhook


@dataclass(frozen=True)
class Duplicate(WebhookFault):
    """Every webhook is sent again at once, `copies` times."""

    copies: int = 1

    def transform(self, webhook: PreparedWebhook, _sign: Sign, /) -> PreparedWebhook:
        return webhook._replace(copies=webhook.copies + self.copies)


@dataclass(frozen=True)
class Reorder(WebhookFault):
    """The webhooks of each pair of a job are swapped."""

    def transform(self, webhook: PreparedWebhook, _sign: Sign, /) -> PreparedWebhook:
        """Hold every second one back, unless it is the last."""
        return webhook._replace(is_held=webhook.number % 2 == 0 and webhook.kind == "progress")


@dataclass(frozen=True)
class Delay(WebhookFault):
    """Every webhook is sent `seconds` virtual seconds late; those of one job stay in order."""

    seconds: float

    def transform(self, webhook: PreparedWebhook, _sign: Sign, /) -> PreparedWebhook:
        return webhook._replace(wait=webhook.wait + self.seconds)


@dataclass(frozen=True)
class BadSignature(WebhookFault):
    """The signature is made with another secret."""

    def transform(self, webhook: PreparedWebhook, sign: Sign, /) -> PreparedWebhook:
        return webhook._replace(signature=sign(webhook.body, "not-the-secret"))


@dataclass(frozen=True)
class TamperedBody(WebhookFault):
    """The body is changed after it was signed: its progress and output are not the job's."""

    def transform(self, webhook: PreparedWebhook, _sign: Sign, /) -> PreparedWebhook:
        document = orjson.loads(webhook.body)
        forged = {**document, "progress": 1.0, "outputUrl": "https://attacker.example/output.mp4"}
        return webhook._replace(body=orjson.dumps(forged))


@dataclass(frozen=True)
class Drop(WebhookFault):
    """Webhooks are never sent: `all` of them, those of `progress`, or the `terminal` one."""

    which: str = "all"

    def transform(self, webhook: PreparedWebhook, _sign: Sign, /) -> PreparedWebhook:
        kind = "progress" if webhook.kind == "progress" else "terminal"
        return webhook._replace(is_dropped=webhook.is_dropped or self.which in ("all", kind))


@dataclass(frozen=True)
class LostResponse(WebhookFault):
    """The receiver's response is lost `times` times, so a webhook that is retried arrives again."""

    times: int = 1

    def transform(self, webhook: PreparedWebhook, _sign: Sign, /) -> PreparedWebhook:
        return webhook._replace(lost_responses=webhook.lost_responses + self.times)


@dataclass(frozen=True)
class BeforeResponse(WebhookFault):
    """A first webhook, with status `queued`, arrives before the 202 of the submission."""
