"""Webhooks as the documentation has them (page /guides/webhooks): when one is due, what it says, how it is signed."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, NamedTuple

import orjson

from viralsync_mock.faults.webhook import Parcel, WebhookFault
from viralsync_mock.jobs.models import Phase, Status, Step, after, timestamp
from viralsync_mock.jobs.steps import at as step_at
from viralsync_mock.jobs.views import event_document, event_kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from viralsync_mock.config.behaviour import Behaviour
    from viralsync_mock.jobs.views import Subject

SIGNATURE_HEADER = "x-render-signature"

BRIEFEST = 0.001
"""Seconds: instants are told to the millisecond, and no two webhooks of progress tell of the same one."""


class Hook(NamedTuple):
    """Where the webhooks of one job go, and how: as its submission and the scenario of that call had it."""

    url: str
    secret: str
    behaviour: Behaviour
    faults: tuple[WebhookFault, ...] = ()


class Told(NamedTuple):
    """What the last webhook of a job told: a step, at an instant."""

    step: Step
    at: datetime


def untold(created: datetime) -> Told:
    """Return where a job begins: in the queue, of which no webhook tells."""
    return Told(Step(-1, created, Status.QUEUED, None, 0.0, None), created)


def following(steps: Sequence[Step], told: Told, interval: float) -> Told | None:
    """Return what the next webhook tells, and when: of each change of status or phase, and each `interval` seconds
    while the job runs. None once nothing is left to tell.
    """
    last = told.step
    change = next((s for s in steps[last.number + 1 :] if (s.status, s.phase) != (last.status, last.phase)), None)
    tick = after(told.at, max(interval, BRIEFEST)) if last.phase is not None else None
    if tick is not None and (change is None or tick < change.at):
        return Told(step_at(steps, tick), tick)
    return change and Told(change, change.at)


def parcel(number: int, subject: Subject, told: Told, hook: Hook, output_url: str) -> Parcel:
    """Return a webhook made ready for its way: the body, and the signature over its bytes."""
    document = event_document(subject, told.step, output_url)
    document["timestamp"] = timestamp(told.at)
    if told.step.phase is Phase.RENDERING:
        document["status"] = hook.behaviour.webhook_executing_status
    body = orjson.dumps(document)
    return Parcel(number, event_kind(told.step), body, sign(body, hook.secret, hook.behaviour.webhook_signature))


def twisted(parcel: Parcel, faults: Iterable[object], hook: Hook) -> Parcel:
    """Return the parcel as the faults leave it."""

    def resign(body: bytes, secret: str) -> str:
        return sign(body, secret, hook.behaviour.webhook_signature)

    for fault in faults:
        if isinstance(fault, WebhookFault):
            parcel = fault.twist(parcel, resign)
    return parcel


def sign(body: bytes, secret: str, form: str = "hex") -> str:
    """Return the signature of a body: HMAC-SHA256, written as the switch `webhook.signature` says."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256)
    if form == "base64":
        return base64.b64encode(digest.digest()).decode()
    return f"sha256={digest.hexdigest()}" if form == "sha256=hex" else digest.hexdigest()
