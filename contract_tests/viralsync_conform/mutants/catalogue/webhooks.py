"""Mutants that send webhooks wrongly: unsigned, twice, late, never, or with other contents."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlencode

import httpx2
import orjson

from viralsync_conform.mutants.engine.webhook_attempts import (
    SIGNATURE,
    TAKEN,
    Sending,
    WebhookAttempt,
    body,
    resigned,
    signed,
    with_header,
)  # fmt: skip
from viralsync_conform.mutants.mutant import Section
from viralsync_mock.webhooks.sender import DeliveryFailed, Reply

NOT_TAKEN = Reply(503, (), b"")


webhook = Section("webhooks", "sending")


def signature(make: Callable[[WebhookAttempt], str | None]) -> Sending:
    async def sending(attempt: WebhookAttempt) -> Reply:
        return await attempt.deliver(headers=with_header(attempt, SIGNATURE, make(attempt)))

    return sending


def by(method: str) -> Sending:
    async def sending(attempt: WebhookAttempt) -> Reply:
        out = attempt.outgoing
        try:
            async with httpx2.AsyncClient(verify=False, trust_env=False) as client:
                answer = await client.request(
                    method, out.url, content=out.body, headers=out.headers, timeout=out.timeout
                )
        except httpx2.HTTPError as problem:
            raise DeliveryFailed("unreachable", str(problem)) from problem
        return Reply(answer.status_code, (), b"")

    return sending


async def twice(attempt: WebhookAttempt) -> Reply:
    await attempt.deliver()
    return await attempt.deliver()


async def terminal_twice(attempt: WebhookAttempt) -> Reply:
    return await (twice(attempt) if attempt.is_terminal else attempt.deliver())


@webhook("webhook-out-of-order", "Webhooks come in another order.")
async def late(attempt: WebhookAttempt) -> Reply:
    held = attempt.memory.pop("held", None)
    if held is None and not attempt.is_terminal:
        attempt.memory["held"] = attempt
        return TAKEN
    reply = await attempt.deliver()
    if held is not None:
        await held.deliver()
    return reply


@webhook("webhook-after-the-end", "A webhook of progress comes after the terminal one.")
async def after_the_end(attempt: WebhookAttempt) -> Reply:
    reply = await attempt.deliver()
    if attempt.is_terminal and "first" in attempt.memory:
        await attempt.memory["first"].deliver()
    attempt.memory.setdefault("first", attempt)
    return reply


@webhook("webhook-never-retried", "A terminal webhook is not sent again.")
async def never_again(attempt: WebhookAttempt) -> Reply:
    await attempt.deliver()
    return TAKEN


@webhook("webhook-retried-though-received", "A terminal webhook is sent again though it was received.")
async def again_and_again(attempt: WebhookAttempt) -> Reply:
    await attempt.deliver()
    return NOT_TAKEN


@webhook("webhook-progress-retried", "A webhook of progress is sent again.")
async def progress_retried(attempt: WebhookAttempt) -> Reply:
    reply = await attempt.deliver()
    if not attempt.is_terminal and not 200 <= reply.status < 300:
        return await attempt.deliver()
    return reply


@webhook("webhook-other-on-retry", "A webhook that is sent again says something else.")
async def other_on_retry(attempt: WebhookAttempt) -> Reply:
    attempt.memory["sent"] = attempt.memory.get("sent", ())
    if attempt.outgoing.body in attempt.memory["sent"]:
        return await resigned(lambda d: d.update(timestamp="2020-01-01T00:00:00.000Z"))(attempt)
    attempt.memory["sent"] += (attempt.outgoing.body,)
    return await attempt.deliver()


@webhook("webhook-as-form", "Webhooks are forms.")
async def as_form(attempt: WebhookAttempt) -> Reply:
    form = urlencode(attempt.document).encode()
    lines = (("content-type", "application/x-www-form-urlencoded"), (SIGNATURE, signed(form, attempt.secret)))
    return await attempt.deliver(body=form, headers=lines)


async def other_type(attempt: WebhookAttempt) -> Reply:
    return await attempt.deliver(headers=with_header(attempt, "content-type", "text/plain"))


@webhook("webhook-signature-renamed", "The signature is in another header.")
async def renamed(attempt: WebhookAttempt) -> Reply:
    value = dict(attempt.outgoing.headers)[SIGNATURE]
    return await attempt.deliver(headers=(*with_header(attempt, SIGNATURE, None), ("x-viralsync-signature", value)))


SILENCE = 30.0


@webhook.blind("hook-every-thirty-seconds", "At least thirty seconds lie between two webhooks of progress.")
async def rare(attempt: WebhookAttempt) -> Reply:
    at = datetime.fromisoformat(attempt.document["timestamp"]).timestamp()
    if not attempt.is_terminal and at - attempt.memory.get("at", at - SILENCE) < SILENCE:
        return TAKEN
    attempt.memory["at"] = at
    return await attempt.deliver()


@webhook.blind("hook-progress-after-end", "A webhook of progress follows the terminal one.")
async def straggler(attempt: WebhookAttempt) -> Reply:
    reply = await attempt.deliver()
    if attempt.is_terminal and "last" in attempt.memory:
        await attempt.send(attempt.memory["last"])
    attempt.memory["last"] = attempt.outgoing
    return reply


@webhook.blind("hook-drops-query", "A webhook leaves the query of the callbackUrl out.")
async def no_query(attempt: WebhookAttempt) -> Reply:
    return await attempt.deliver(url=attempt.outgoing.url.partition("?")[0])


SIGNATURES: tuple[tuple[str, str, Callable[[WebhookAttempt], str | None]], ...] = (
    ("webhook-unsigned", "Webhooks are not signed.", lambda _: None),
    ("webhook-terminal-unsigned", "The terminal webhook is not signed.",
        lambda attempt: None if attempt.is_terminal else attempt.signature),
    ("webhook-signed-with-other-secret", "Webhooks are signed with another secret.",
        lambda attempt: signed(attempt.outgoing.body, "other")),
    ("webhook-signs-other-bytes", "The signature is that of the body with blanks.",
        lambda attempt: signed(json.dumps(attempt.document).encode(), attempt.secret)),
    ("webhook-signs-nothing", "The signature is that of an empty body.",
        lambda attempt: signed(b"", attempt.secret)),
    ("webhook-signs-with-sha1", "The signature is made with SHA-1.",
        lambda attempt: hmac.new(attempt.secret.encode(), attempt.outgoing.body, "sha1").hexdigest()),
    ("webhook-signature-cut", "The signature is cut to half its length.",
        lambda attempt: attempt.signature[:32]),
    ("webhook-signature-unkeyed", "The signature is a plain hash.",
        lambda attempt: hashlib.sha256(attempt.outgoing.body).hexdigest()),
)  # fmt: skip
BLIND_SIGNATURES: tuple[tuple[str, str, Callable[[WebhookAttempt], str | None]], ...] = (
    ("hook-end-unsigned", "The last webhook of a job has no signature.",
        lambda attempt: None if attempt.is_terminal else attempt.signature),
    ("hook-progress-unsigned", "Webhooks of progress have no signature.",
        lambda attempt: attempt.signature if attempt.is_terminal else None),
    ("hook-signs-sorted-body", "The signature is that of the body with sorted keys.",
        lambda attempt: signed(orjson.dumps(attempt.document, option=orjson.OPT_SORT_KEYS), attempt.secret)),
    ("hook-signs-first-body", "All webhooks of a job have the signature of the first.",
        lambda attempt: attempt.memory.setdefault("signature", attempt.signature)),
    ("hook-signature-capital", "The signature is written in capital letters.",
        lambda attempt: attempt.signature.upper()),
)  # fmt: skip
for name, statement, make in SIGNATURES:
    webhook.add(name, statement, signature(make))
for name, statement, make in BLIND_SIGNATURES:
    webhook.blind.add(name, statement, signature(make))

webhook.add("webhook-progress-falls", "Progress falls from webhook to webhook.",
    resigned(lambda d: d.update(progress=round(1 - d["progress"], 4))))  # fmt: skip
webhook.add("webhook-twice", "Each webhook is sent twice.", twice)
webhook.add("webhook-terminal-twice", "The terminal webhook is sent twice.", terminal_twice)
webhook.add("webhook-put", "Webhooks are sent with PUT.", by("PUT"))
webhook.add("webhook-get", "Webhooks are sent with GET.", by("GET"))
webhook.add("webhook-as-list", "Webhooks are lists.", body(lambda attempt: json.dumps([attempt.document]).encode()))
webhook.add("webhook-in-envelope", "Webhooks have an envelope.",
    body(lambda attempt: json.dumps({"event": "progress", "data": attempt.document}).encode()))  # fmt: skip
webhook.add("webhook-plain-text", "Webhooks are of type text/plain.", other_type)
webhook.blind.add("hook-as-text", "A webhook is of type text/plain.", other_type)
webhook.blind.add("hook-end-twice", "The terminal webhook is sent twice.", terminal_twice)
webhook.blind.add("hook-in-utf16", "A webhook is written in UTF-16.",
    body(lambda attempt: attempt.outgoing.body.decode().encode("utf-16")))  # fmt: skip
webhook.blind.add("hook-epoch-timestamp", "The timestamp of a webhook counts seconds.",
    resigned(lambda d: d.update(timestamp=int(datetime.fromisoformat(d["timestamp"]).timestamp()))))  # fmt: skip

MUTANTS = webhook.mutants
