"""Webhooks as the documentation has them (page /guides/webhooks): when one is due, what it says, how it is signed."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, NamedTuple

import orjson

from viralsync_mock.faults.webhook import PreparedWebhook, WebhookFault
from viralsync_mock.jobs.models import Phase, Status, Step, add_seconds, timestamp
from viralsync_mock.jobs.steps import step_at as step_at
from viralsync_mock.jobs.views import event_document, event_kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from viralsync_mock.config.behaviour import BehaviourProfile
    from viralsync_mock.jobs.views import Subject

SIGNATURE_HEADER = "x-render-signature"

MIN_PAUSE = 0.001
"""Seconds: instants are told to the millisecond, and no two webhooks of progress tell of the same one."""


class WebhookSettings(NamedTuple):
    """Where the webhooks of one job go, and how: as its submission and the scenario of that call had it."""

    url: str
    secret: str
    behaviour: BehaviourProfile
    faults: tuple[WebhookFault, ...] = ()


class SentStep(NamedTuple):
    """What the last webhook of a job told: a step, at an instant."""

    step: Step
    at: datetime


def before_first(created: datetime) -> SentStep:
    """Return where a job begins: in the queue, of which no webhook tells."""
    return SentStep(Step(-1, created, Status.QUEUED, None, 0.0, None), created)


def next_webhook(steps: Sequence[Step], told: SentStep, interval: float) -> SentStep | None:
    """Return what the next webhook tells, and when: of each change of status or phase, and each `interval` seconds
    while the job runs. None once nothing is left to tell.
    """
    last = told.step
    change = next((s for s in steps[last.number + 1 :] if (s.status, s.phase) != (last.status, last.phase)), None)
    tick = add_seconds(told.at, max(interval, MIN_PAUSE)) if last.phase is not None else None
    if tick is not None and (change is None or tick < change.at):
        return SentStep(step_at(steps, tick), tick)
    return change and SentStep(change, change.at)


def prepare(number: int, subject: Subject, told: SentStep, hook: WebhookSettings, output_url: str) -> PreparedWebhook:
    """Return a webhook made ready for its way: the body, and the signature over its bytes."""
    document = event_document(subject, told.step, output_url)
    document["timestamp"] = timestamp(told.at)
    if told.step.phase is Phase.RENDERING:
        document["status"] = hook.behaviour.webhook_executing_status
    body = orjson.dumps(document)
    return PreparedWebhook(
        number, event_kind(told.step), body, sign(body, hook.secret, hook.behaviour.webhook_signature)
    )


def apply_faults(parcel: PreparedWebhook, faults: Iterable[object], hook: WebhookSettings) -> PreparedWebhook:
    """Return the parcel as the faults leave it."""

    def resign(body: bytes, secret: str) -> str:
        return sign(body, secret, hook.behaviour.webhook_signature)

    for fault in faults:
        if isinstance(fault, WebhookFault):
            parcel = fault.transform(parcel, resign)
    return parcel


def sign(body: bytes, secret: str, form: str = "hex") -> str:
    """Return the signature of a body: HMAC-SHA256, written as the switch `webhook.signature` says."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256)
    if form == "base64":
        return base64.b64encode(digest.digest()).decode()
    return f"sha256={digest.hexdigest()}" if form == "sha256=hex" else digest.hexdigest()
