"""Webhooks: a signed POST about every few seconds while a job renders, and one at its end."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp

from . import clock
from .documents import event_body, presented
from .model import Job
from .wire import Doc

if TYPE_CHECKING:
    from .world import World

_TIMEOUT = aiohttp.ClientTimeout(total=10)


@dataclass(frozen=True)
class Delivery:
    """One request to a receiver."""

    method: str
    url: str
    headers: Mapping[str, str]
    content: bytes


def is_public(url: str) -> bool:
    """Whether the host of a URL may be reached from anywhere, judged by its name or number alone."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith((".local", ".internal", ".localhost"))


async def follow(world: World, job: Job, url: str) -> None:
    """Tell the receiver about the job until it has ended, and of its end."""
    interval = world.readings.webhook_interval * world.conduct.webhook_pace
    told, due, body = job.phase, clock.monotonic() + interval, None
    while not job.ended:
        changed = job.changed
        news = world.readings.webhook_phase_events and job.phase != told
        if news or clock.monotonic() >= due:
            told, due = job.phase, clock.monotonic() + interval
            if job.phase:
                body = _body(world, job)
                await _deliver(world, job, url, body, attempts=2 if world.readings.webhook_retries_progress else 1)
            continue
        await clock.happens(changed, due - clock.monotonic())
    for _ in range(world.conduct.webhook_copies):
        await _deliver(world, job, url, _body(world, job), attempts=world.readings.webhook_attempts)
    if world.conduct.webhook_after_end and body:
        await _deliver(world, job, url, body, attempts=1)


def _body(world: World, job: Job) -> Doc:
    body = event_body(world, job, job.history[-1])
    executing = world.readings.webhook_executing_status
    if executing != "same" and body.get("phase") == "rendering" and body.get("status") in {"waiting", "running"}:
        body["status"] = executing
    return presented(world, body)


async def _deliver(world: World, job: Job, url: str, body: Doc, attempts: int) -> None:
    told: Doc | None = world.conduct.through("webhook", body, job)
    if told is None:
        return
    content = json.dumps(told).encode()
    headers = {"Content-Type": "application/json", "x-render-signature": _signature(world, content)}
    delivery = world.conduct.through("delivery", Delivery("POST", url, headers, content), told)
    wait = world.settings.webhook_retry_wait
    for attempt in range(attempts):
        if attempt:
            await clock.pause(wait)
            wait *= 2
        if await _arrives(delivery):
            return


def _signature(world: World, content: bytes) -> str:
    digest: Any = hmac.new(world.settings.webhook_secret.encode(), content, hashlib.sha256)
    forms = {"hex": digest.hexdigest(), "prefixed": f"sha256={digest.hexdigest()}"}
    return forms.get(world.readings.webhook_signature) or base64.b64encode(digest.digest()).decode()


async def _arrives(delivery: Delivery) -> bool:
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.request(delivery.method, delivery.url, headers=delivery.headers, data=delivery.content) as answer,
        ):
            return 200 <= answer.status < 300
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return False
