"""Faults of webhooks: each takes a parcel, one webhook made ready for its way, and gives another.

As the fault of a call it is done to all webhooks of the job that this call submits.
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
    """One webhook, the `number` of its job's, from 0; `kind` is `progress`, or how the job ended.

    It leaves `wait` seconds of the sandbox's clock late, or never (`is_lost`), or not before the next one has gone
    (`is_held`); `copies` of it follow at once, and `lost_responses` of the receiver's are taken for failures.
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
    """What the kinds share: as the fault of a call they wait for the webhooks of its job."""

    async def apply(self, world: FaultContext, proceed: CallNext, /) -> Response:
        """Remember it for the job that is submitted."""
        world.webhook_faults += (self,)
        return await proceed()

    def transform(self, parcel: PreparedWebhook, _sign: Sign, /) -> PreparedWebhook:
        """Return the parcel as it is to be sent."""
        return parcel


@dataclass(frozen=True)
class Duplicate(WebhookFault):
    """Every webhook is sent again at once, so many times."""

    copies: int = 1

    def transform(self, parcel: PreparedWebhook, _sign: Sign, /) -> PreparedWebhook:
        """Add copies."""
        return parcel._replace(copies=parcel.copies + self.copies)


@dataclass(frozen=True)
class Reorder(WebhookFault):
    """Each two webhooks of a job that follow each other change places."""

    def transform(self, parcel: PreparedWebhook, _sign: Sign, /) -> PreparedWebhook:
        """Hold every second one back, unless nothing comes after it."""
        return parcel._replace(is_held=parcel.number % 2 == 0 and parcel.kind == "progress")


@dataclass(frozen=True)
class Delay(WebhookFault):
    """Every webhook leaves so many seconds of the sandbox's clock late; those of one job stay in order."""

    seconds: float

    def transform(self, parcel: PreparedWebhook, _sign: Sign, /) -> PreparedWebhook:
        """Add the wait."""
        return parcel._replace(wait=parcel.wait + self.seconds)


@dataclass(frozen=True)
class BadSignature(WebhookFault):
    """The signature is made with another secret."""

    def transform(self, parcel: PreparedWebhook, sign: Sign, /) -> PreparedWebhook:
        """Sign wrongly."""
        return parcel._replace(signature=sign(parcel.body, "not-the-secret"))


@dataclass(frozen=True)
class TamperedBody(WebhookFault):
    """The body is changed after it was signed: its progress and output are not the job's."""

    def transform(self, parcel: PreparedWebhook, _sign: Sign, /) -> PreparedWebhook:
        """Change the body."""
        document = orjson.loads(parcel.body)
        forged = {**document, "progress": 1.0, "outputUrl": "https://attacker.example/output.mp4"}
        return parcel._replace(body=orjson.dumps(forged))


@dataclass(frozen=True)
class Drop(WebhookFault):
    """Webhooks get lost and are never sent: `all` of them, those of `progress`, or the `terminal` one."""

    which: str = "all"

    def transform(self, parcel: PreparedWebhook, _sign: Sign, /) -> PreparedWebhook:
        """Lose it."""
        kind = "progress" if parcel.kind == "progress" else "terminal"
        return parcel._replace(is_dropped=parcel.is_dropped or self.which in ("all", kind))


@dataclass(frozen=True)
class LostResponse(WebhookFault):
    """The receiver's answer gets lost so many times: a webhook that is tried again arrives again."""

    times: int = 1

    def transform(self, parcel: PreparedWebhook, _sign: Sign, /) -> PreparedWebhook:
        """Lose the answers to come."""
        return parcel._replace(lost_responses=parcel.lost_responses + self.times)


@dataclass(frozen=True)
class BeforeResponse(WebhookFault):
    """The first webhook, of the job in the queue, arrives before the 202 that tells of the job."""
