"""Mutants that send webhooks wrongly: unsigned, twice, late, never, or with other contents."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import httpx

from viralsync_conform.mutants.engine.webhook_attempts import Sending, WebhookAttempt, signed
from viralsync_conform.mutants.mutant import BEHAVIOUR, Mutant
from viralsync_mock.webhooks.sender import DeliveryFailed, Reply

SIGNATURE = "x-render-signature"
TAKEN, NOT_TAKEN = Reply(200, (), b""), Reply(503, (), b"")


def webhook(name: str, statement: str, sending: Sending) -> Mutant:
    """Return a hand-written mutant that deviates where it sends webhooks."""
    return Mutant(name, statement, BEHAVIOUR, "webhooks", sending=sending)


def with_header(parcel: WebhookAttempt, name: str, value: str | None) -> tuple[tuple[str, str], ...]:
    """Return the headers with one changed, or left out."""
    kept = tuple(line for line in parcel.outgoing.headers if line[0] != name)
    return kept if value is None else (*kept, (name, value))


def edit(change: Callable[[dict[str, Any]], object]) -> Sending:
    """Change what is told, rightly signed."""

    async def sending(parcel: WebhookAttempt) -> Reply:
        document = parcel.document
        change(document)
        body = json.dumps(document, separators=(",", ":")).encode()
        return await parcel.deliver(body=body, headers=with_header(parcel, SIGNATURE, signed(body, parcel.secret)))

    return sending


def signature(make: Callable[[WebhookAttempt], str | None]) -> Sending:
    """Sign in another way."""

    async def sending(parcel: WebhookAttempt) -> Reply:
        return await parcel.deliver(headers=with_header(parcel, SIGNATURE, make(parcel)))

    return sending


def never(is_lost: Callable[[WebhookAttempt], bool]) -> Sending:
    """Lose webhooks, and take them for received."""

    async def sending(parcel: WebhookAttempt) -> Reply:
        return TAKEN if is_lost(parcel) else await parcel.deliver()

    return sending


def by(method: str) -> Sending:
    """Send with another method."""

    async def sending(parcel: WebhookAttempt) -> Reply:
        out = parcel.outgoing
        try:
            async with httpx.AsyncClient(verify=False, trust_env=False) as client:  # noqa: S501 - this machine's receivers
                answer = await client.request(
                    method, out.url, content=out.body, headers=out.headers, timeout=out.timeout
                )
        except httpx.HTTPError as problem:
            raise DeliveryFailed("unreachable", str(problem)) from problem
        return Reply(answer.status_code, (), b"")

    return sending


async def twice(parcel: WebhookAttempt) -> Reply:
    """Send each webhook twice."""
    await parcel.deliver()
    return await parcel.deliver()


async def terminal_twice(parcel: WebhookAttempt) -> Reply:
    """Send the terminal webhook twice."""
    return await (twice(parcel) if parcel.is_terminal else parcel.deliver())


async def late(parcel: WebhookAttempt) -> Reply:
    """Send each webhook after the next one, the terminal one excepted."""
    held = parcel.memory.pop("held", None)
    if held is None and not parcel.is_terminal:
        parcel.memory["held"] = parcel
        return TAKEN
    reply = await parcel.deliver()
    if held is not None:
        await held.deliver()
    return reply


async def after_the_end(parcel: WebhookAttempt) -> Reply:
    """Send the first webhook of progress again after the end."""
    reply = await parcel.deliver()
    if parcel.is_terminal and "first" in parcel.memory:
        await parcel.memory["first"].deliver()
    parcel.memory.setdefault("first", parcel)
    return reply


async def never_again(parcel: WebhookAttempt) -> Reply:
    """Try each webhook once."""
    await parcel.deliver()
    return TAKEN


async def again_and_again(parcel: WebhookAttempt) -> Reply:
    """Take every receiver's 200 for a failure."""
    await parcel.deliver()
    return NOT_TAKEN


async def progress_retried(parcel: WebhookAttempt) -> Reply:
    """Try a webhook of progress that was not received once more."""
    reply = await parcel.deliver()
    if not parcel.is_terminal and not 200 <= reply.status < 300:
        return await parcel.deliver()
    return reply


async def other_on_retry(parcel: WebhookAttempt) -> Reply:
    """Send something else when a webhook is sent again."""
    parcel.memory["sent"] = parcel.memory.get("sent", ())
    if parcel.outgoing.body in parcel.memory["sent"]:
        return await edit(lambda d: d.update(timestamp="2020-01-01T00:00:00.000Z"))(parcel)
    parcel.memory["sent"] += (parcel.outgoing.body,)
    return await parcel.deliver()


async def as_form(parcel: WebhookAttempt) -> Reply:
    """Send a form, rightly signed."""
    body = urlencode(parcel.document).encode()
    lines = (("content-type", "application/x-www-form-urlencoded"), (SIGNATURE, signed(body, parcel.secret)))
    return await parcel.deliver(body=body, headers=lines)


def wrapped(wrap: Callable[[dict[str, Any]], object]) -> Sending:
    """Send what is told inside of something else, rightly signed."""

    async def sending(parcel: WebhookAttempt) -> Reply:
        body = json.dumps(wrap(parcel.document)).encode()
        return await parcel.deliver(body=body, headers=with_header(parcel, SIGNATURE, signed(body, parcel.secret)))

    return sending


async def other_type(parcel: WebhookAttempt) -> Reply:
    """Call the body plain text."""
    return await parcel.deliver(headers=with_header(parcel, "content-type", "text/plain"))


async def renamed(parcel: WebhookAttempt) -> Reply:
    """Send the signature in another header."""
    value = dict(parcel.outgoing.headers)[SIGNATURE]
    return await parcel.deliver(headers=(*with_header(parcel, SIGNATURE, None), ("x-viralsync-signature", value)))


def falls(document: dict[str, Any]) -> None:
    """Count progress down."""
    document["progress"] = round(1 - document["progress"], 4)


def on(wanted: str, /, **changes: Any) -> Callable[[dict[str, Any]], None]:
    """Return an edit of what is told in one status."""
    return lambda document: document.update(changes) if document["status"] == wanted else None


def pops(*names: str) -> Callable[[dict[str, Any]], None]:
    """Return an edit that leaves fields out."""

    def change(document: dict[str, Any]) -> None:
        for name in names:
            document.pop(name, None)

    return change


WEBHOOKS: tuple[Mutant, ...] = (
    webhook("webhook-none", "No webhook is ever sent.", never(lambda _: True)),
    webhook(
        "webhook-terminal-missing", "The terminal webhook is never sent.", never(lambda parcel: parcel.is_terminal)
    ),
    webhook(
        "webhook-progress-missing", "No webhook of progress is ever sent.", never(lambda parcel: not parcel.is_terminal)
    ),
    webhook(
        "webhook-cancelled-missing",
        "No webhook tells of a cancelled job.",
        never(lambda parcel: parcel.document["status"] == "cancelled"),
    ),
    webhook(
        "webhook-failed-missing",
        "No webhook tells of a failed job.",
        never(lambda parcel: parcel.document["status"] == "failed"),
    ),
    webhook(
        "webhook-rendering-missing",
        "No webhook tells of rendering.",
        never(lambda parcel: parcel.document.get("phase") == "rendering"),
    ),
    webhook("webhook-unsigned", "Webhooks are not signed.", signature(lambda _: None)),
    webhook(
        "webhook-terminal-unsigned",
        "The terminal webhook is not signed.",
        signature(lambda parcel: None if parcel.is_terminal else signed(parcel.outgoing.body, parcel.secret)),
    ),
    webhook(
        "webhook-signed-with-other-secret",
        "Webhooks are signed with another secret.",
        signature(lambda parcel: signed(parcel.outgoing.body, "other")),
    ),
    webhook(
        "webhook-signs-other-bytes",
        "The signature is that of the body with blanks.",
        signature(lambda parcel: signed(json.dumps(parcel.document).encode(), parcel.secret)),
    ),
    webhook(
        "webhook-signs-nothing",
        "The signature is that of an empty body.",
        signature(lambda parcel: signed(b"", parcel.secret)),
    ),
    webhook(
        "webhook-signs-with-sha1",
        "The signature is made with SHA-1.",
        signature(lambda parcel: hmac.new(parcel.secret.encode(), parcel.outgoing.body, "sha1").hexdigest()),
    ),
    webhook(
        "webhook-signature-cut",
        "The signature is cut to half its length.",
        signature(lambda parcel: signed(parcel.outgoing.body, parcel.secret)[:32]),
    ),
    webhook(
        "webhook-signature-unkeyed",
        "The signature is a plain hash.",
        signature(lambda parcel: hashlib.sha256(parcel.outgoing.body).hexdigest()),
    ),
    webhook("webhook-signature-renamed", "The signature is in another header.", renamed),
    webhook("webhook-twice", "Each webhook is sent twice.", twice),
    webhook("webhook-terminal-twice", "The terminal webhook is sent twice.", terminal_twice),
    webhook("webhook-out-of-order", "Webhooks come in another order.", late),
    webhook("webhook-after-the-end", "A webhook of progress comes after the terminal one.", after_the_end),
    webhook("webhook-never-retried", "A terminal webhook is not sent again.", never_again),
    webhook(
        "webhook-retried-though-received", "A terminal webhook is sent again though it was received.", again_and_again
    ),
    webhook("webhook-progress-retried", "A webhook of progress is sent again.", progress_retried),
    webhook("webhook-other-on-retry", "A webhook that is sent again says something else.", other_on_retry),
    webhook("webhook-put", "Webhooks are sent with PUT.", by("PUT")),
    webhook("webhook-get", "Webhooks are sent with GET.", by("GET")),
    webhook("webhook-as-form", "Webhooks are forms.", as_form),
    webhook("webhook-as-list", "Webhooks are lists.", wrapped(lambda told: [told])),
    webhook(
        "webhook-in-envelope", "Webhooks have an envelope.", wrapped(lambda told: {"event": "progress", "data": told})
    ),
    webhook("webhook-plain-text", "Webhooks are of type text/plain.", other_type),
    webhook("webhook-without-job-id", "Webhooks name no job.", edit(pops("jobId"))),
    webhook("webhook-of-another-job", "Webhooks name another job.", edit(lambda d: d.update(jobId="job_00000000000f"))),
    webhook("webhook-without-progress", "Webhooks tell no progress.", edit(pops("progress"))),
    webhook("webhook-without-phase", "Webhooks of progress tell no phase.", edit(pops("phase"))),
    webhook("webhook-without-timestamp", "Webhooks have no timestamp.", edit(pops("timestamp"))),
    webhook("webhook-without-status", "Webhooks tell no status.", edit(pops("status"))),
    webhook("webhook-without-children", "Webhooks of progress have no counters.", edit(pops("children"))),
    webhook("webhook-done-without-media", "The webhook of a done job has no mediaData.", edit(pops("mediaData"))),
    webhook(
        "webhook-done-without-output", "The webhook of a done job has no output.", edit(on("done", outputUrl=None))
    ),
    webhook("webhook-failed-without-error", "The webhook of a failed job has no error.", edit(pops("error"))),
    webhook(
        "webhook-done-as-failed",
        "The webhook of a done job says `failed`.",
        edit(on("done", status="failed", error="NO: no", outputUrl=None)),
    ),
    webhook("webhook-progress-falls", "Progress falls from webhook to webhook.", edit(falls)),
    webhook(
        "webhook-progress-not-1", "The webhook of a done job tells progress 0.99.", edit(on("done", progress=0.99))
    ),
    webhook(
        "webhook-timestamp-in-seconds",
        "The timestamp of a webhook is a number.",
        edit(lambda d: d.update(timestamp=1_767_225_600)),
    ),
    webhook(
        "webhook-error-as-object",
        "The error of a webhook is an object.",
        edit(on("failed", error={"code": "SCENE_RENDER_FAILED"})),
    ),
)
