"""Webhooks as documented (page /guides/webhooks): when one is due, its body, its signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import TYPE_CHECKING, NamedTuple

import orjson

from viralsync_mock.faults.webhook import PreparedWebhook, WebhookFault
from viralsync_mock.jobs.models import Phase, Status, Step, add_seconds, timestamp
from viralsync_mock.jobs.steps import step_at as step_at
from viralsync_mock.jobs.views import event_document, event_kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from viralsync_mock.config.behaviour import BehaviourProfile
    from viralsync_mock.jobs.views import Subject

SIGNATURE_HEADER = "x-render-signature"

# https://www.w3.org/TR/trace-context/: ids of zeros and version ff are invalid, newer versions may say more
_TRACEPARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-[!-~]{1,200})?"
)
TRACEPARENT_LENGTH = 55
_TRACESTATE = re.compile(rb"[ -~]{1,512}")

MIN_PAUSE = 0.001
"""Seconds: no two webhooks of progress have the same `timestamp`, which has milliseconds."""


class WebhookSettings(NamedTuple):
    """Where and how the webhooks of one job are sent, by its submission and the scenario of that call.

    `trace` are the headers of W3C Trace Context that the submission came with.
    """

    url: str
    secret: str
    behaviour: BehaviourProfile
    faults: tuple[WebhookFault, ...] = ()
    trace: tuple[tuple[str, str], ...] = ()


def trace_headers(headers: Mapping[bytes, bytes]) -> tuple[tuple[str, str], ...]:
    """Return the headers of W3C Trace Context to pass on; none without a valid `traceparent`."""
    parent, state = headers.get(b"traceparent", b""), headers.get(b"tracestate", b"")
    is_longer = len(parent) > TRACEPARENT_LENGTH and parent.startswith(b"00")
    if is_longer or not _TRACEPARENT.fullmatch(parent):
        return ()
    passed = (("traceparent", parent.decode()),)
    return (*passed, ("tracestate", state.decode())) if _TRACESTATE.fullmatch(state) else passed


def trace_id(headers: Iterable[tuple[str, str]]) -> str | None:
    """Return the id of the trace that these headers continue."""
    return next((value.split("-")[1] for name, value in headers if name == "traceparent"), None)


class SentStep(NamedTuple):
    """A webhook: it shows a step, at an instant."""

    step: Step
    at: datetime


def before_first(created: datetime) -> SentStep:
    """Return the start of a job, in the queue, for which there is no webhook."""
    return SentStep(Step(-1, created, Status.QUEUED, None, 0.0, None), created)


def next_webhook(steps: Sequence[Step], last: SentStep, interval: float) -> SentStep | None:
    """Return the next webhook after `last`: one for each change of status or phase, and one each `interval` seconds.

    The latter are sent while the job runs. None after the last one.
    """
    step = last.step
    change = next((s for s in steps[step.number + 1 :] if (s.status, s.phase) != (step.status, step.phase)), None)
    tick = add_seconds(last.at, max(interval, MIN_PAUSE)) if step.phase is not None else None
    if tick is not None and (change is None or tick < change.at):
        return SentStep(step_at(steps, tick), tick)
    return change and SentStep(change, change.at)


def prepare(number: int, subject: Subject, event: SentStep, hook: WebhookSettings, output_url: str) -> PreparedWebhook:
    """Return a webhook ready to send: its body, and the signature over these bytes."""
    document = event_document(subject, event.step, output_url)
    document["timestamp"] = timestamp(event.at)
    if event.step.phase is Phase.RENDERING:
        document["status"] = hook.behaviour.webhook_executing_status
    body = orjson.dumps(document)
    return PreparedWebhook(
        number, event_kind(event.step), body, sign(body, hook.secret, hook.behaviour.webhook_signature)
    )


def apply_faults(webhook: PreparedWebhook, faults: Iterable[object], hook: WebhookSettings) -> PreparedWebhook:
    """Return the webhook as the faults leave it."""

    def resign(body: bytes, secret: str) -> str:
        return sign(body, secret, hook.behaviour.webhook_signature)

    for fault in faults:
        if isinstance(fault, WebhookFault):
            webhook = fault.transform(webhook, resign)
    return webhook


def sign(body: bytes, secret: str, form: str = "hex") -> str:
    """Return the signature of a body: HMAC-SHA256, written as the switch `webhook.signature` says."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256)
    if form == "base64":
        return base64.b64encode(digest.digest()).decode()
    return f"sha256={digest.hexdigest()}" if form == "sha256=hex" else digest.hexdigest()
