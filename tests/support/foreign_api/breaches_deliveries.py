"""Breaches of section 11: webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlencode

from .breach_kinds import Where, hooked, in_status, shown, tuned, without
from .conduct import Breach, Hook
from .wire import Doc

_HOOK, _LIVE = "a webhook", "a progress webhook"
_DONE, _FAILED, _CANCELLED = in_status("done"), in_status("failed"), in_status("cancelled")
_ENDED = in_status("done", "failed", "cancelled")


def _running(document: Doc, context: Any) -> bool:
    return not _ENDED(document, context)


def _body(name: str, fact: str, needs: str, hook: Hook) -> Breach:
    return hooked(name, fact, needs, webhook=hook)


def _sent(name: str, fact: str, hook: Hook, needs: str = _HOOK) -> Breach:
    return hooked(name, fact, needs, delivery=hook)


def _not(where: Where) -> Hook:
    """Nothing is sent where this holds."""
    return lambda body, job: None if where(body, job) else body


def _header(change: Any, where: Where = lambda _body, _delivery: True) -> Hook:
    def hook(delivery: Any, body: Doc) -> Any:
        return replace(delivery, headers=change(delivery.headers)) if where(body, delivery) else delivery

    return hook


def _unsigned(headers: Mapping[str, str]) -> Mapping[str, str]:
    return {name: value for name, value in headers.items() if name != "x-render-signature"}


def _form(delivery: Any, body: Doc) -> Any:
    headers = {**delivery.headers, "Content-Type": "application/x-www-form-urlencoded"}
    return replace(delivery, content=urlencode(body).encode(), headers=headers)


def _cut(delivery: Any, _body: Doc) -> Any:
    return replace(delivery, content=delivery.content[:-1])


def _half_media(body: Doc, _job: Any) -> Doc:
    media = body.get("mediaData")
    return {**body, "mediaData": {"duration": media["duration"]}} if media else body


BREACHES: Final = (
    _body("webhook-never", "D-11.1", _HOOK, lambda _body, _job: None),
    _body("webhook-job-id-of-another", "D-11.8", _HOOK, lambda body, _job: {**body, "jobId": "job_000000000000"}),
    _body("webhook-progress-never", "D-11.4", _LIVE, _not(_running)),
    tuned("webhook-progress-too-often", "D-11.4", "progress webhooks over half a minute", webhook_pace=0.004),
    tuned("webhook-progress-too-seldom", "D-11.4", "a render of half a minute", webhook_pace=6),
    _body("webhook-end-never", "D-11.5", _HOOK, _not(_ENDED)),
    _body("webhook-end-not-when-done", "D-11.5", _HOOK, _not(_DONE)),
    _body("webhook-end-not-when-failed", "D-11.5", "a webhook of a failed job", _not(_FAILED)),
    _body("webhook-end-not-when-cancelled", "D-11.5", "a webhook of a cancelled job", _not(_CANCELLED)),
    tuned("webhook-end-twice", "D-11.5", _HOOK, webhook_copies=2),
    tuned("webhook-progress-after-end", "D-11.5", "nothing: any order may be", visible=False, webhook_after_end=True),
    _sent("webhook-by-put", "D-11.2", lambda delivery, _body: replace(delivery, method="PUT")),
    _sent("webhook-as-form", "D-11.2", _form),
    _sent("webhook-json-cut", "D-11.2", _cut),
    _sent("webhook-json-as-text", "D-11.2", _header(lambda headers: {**headers, "Content-Type": "text/plain"})),
    _sent("webhook-unsigned", "D-11.6", _header(_unsigned)),
    _sent("webhook-signature-not-on-progress", "D-11.6", _header(_unsigned, _running), _LIVE),
    _sent("webhook-signature-not-on-end", "D-11.6", _header(_unsigned, _ENDED)),
    _body("webhook-in-envelope", "D-11.7", _HOOK, lambda body, _job: {"event": "job.updated", "data": body}),
    _body(
        "webhook-event-for-status",
        "D-11.7",
        _HOOK,
        lambda body, _job: {"event": f"job.{body.pop('status', '')}", **body},
    ),
    _body(
        "webhook-status-always-done",
        "D-11.7",
        "a webhook of a failed job",
        lambda body, _job: {**body, "status": "done"},
    ),
    _body("webhook-without-job-id", "D-11.8", _HOOK, without("jobId")),
    _body("webhook-without-status", "D-11.8", _HOOK, without("status")),
    _body("webhook-without-progress", "D-11.8", _HOOK, without("progress")),
    _body("webhook-without-timestamp", "D-11.8", _HOOK, without("timestamp")),
    _body("webhook-progress-percent", "D-11.8", _HOOK, lambda body, _job: {**body, "progress": body["progress"] * 100}),
    _body("webhook-progress-not-one-at-done", "D-5.3", _HOOK, shown(_DONE, progress=0.95)),
    _body("webhook-output-url-missing", "D-11.8", _HOOK, without("outputUrl", where=_DONE)),
    _body("webhook-output-url-too-early", "D-11.8", _LIVE, shown(_running, outputUrl="https://r2.viralsync.io/soon")),
    _body("webhook-without-phase", "D-11.9", _LIVE, without("phase")),
    _body("webhook-phase-unknown", "D-11.9", _LIVE, shown(_running, phase="working")),
    _body("webhook-without-children", "D-11.10", _LIVE, without("children")),
    _body("webhook-without-media", "D-11.11", _HOOK, without("mediaData")),
    _body("webhook-media-incomplete", "D-11.11", _HOOK, _half_media),
    _body("webhook-without-error", "D-11.12", "a webhook of a failed job", without("error")),
)
