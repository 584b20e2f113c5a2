"""Mutants that send webhooks wrongly: unsigned, twice, late, never, or with other contents."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import httpx2
import orjson

from viralsync_conform.mutants.engine.webhook_attempts import (
    SIGNATURE,
    TAKEN,
    Sending,
    WebhookAttempt,
    resigned,
    signed,
    with_header,
)
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
    body = urlencode(attempt.document).encode()
    lines = (("content-type", "application/x-www-form-urlencoded"), (SIGNATURE, signed(body, attempt.secret)))
    return await attempt.deliver(body=body, headers=lines)


def wrapped(wrap: Callable[[dict[str, Any]], object]) -> Sending:
    """Send the payload inside another document, correctly signed."""

    async def sending(attempt: WebhookAttempt) -> Reply:
        body = json.dumps(wrap(attempt.document)).encode()
        return await attempt.deliver(body=body, headers=with_header(attempt, SIGNATURE, signed(body, attempt.secret)))

    return sending


async def other_type(attempt: WebhookAttempt) -> Reply:
    return await attempt.deliver(headers=with_header(attempt, "content-type", "text/plain"))


@webhook("webhook-signature-renamed", "The signature is in another header.")
async def renamed(attempt: WebhookAttempt) -> Reply:
    value = dict(attempt.outgoing.headers)[SIGNATURE]
    return await attempt.deliver(headers=(*with_header(attempt, SIGNATURE, None), ("x-viralsync-signature", value)))


@webhook("webhook-progress-falls", "Progress falls from webhook to webhook.", resigned)
def falls(document: dict[str, Any]) -> None:
    document["progress"] = round(1 - document["progress"], 4)


SILENCE = 30.0


@webhook.blind("hook-end-unsigned", "The last webhook of a job has no signature.")
async def unsigned_end(attempt: WebhookAttempt) -> Reply:
    return (
        await attempt.deliver(headers=with_header(attempt, SIGNATURE, None))
        if attempt.is_terminal
        else await attempt.deliver()
    )


@webhook.blind("hook-progress-unsigned", "Webhooks of progress have no signature.")
async def unsigned_progress(attempt: WebhookAttempt) -> Reply:
    return (
        await attempt.deliver()
        if attempt.is_terminal
        else await attempt.deliver(headers=with_header(attempt, SIGNATURE, None))
    )


@webhook.blind("hook-signs-sorted-body", "The signature is that of the body with sorted keys.")
async def sorted_signature(attempt: WebhookAttempt) -> Reply:
    body = orjson.dumps(attempt.document, option=orjson.OPT_SORT_KEYS)
    return await attempt.deliver(headers=with_header(attempt, SIGNATURE, signed(body, attempt.secret)))


@webhook.blind("hook-signs-first-body", "All webhooks of a job have the signature of the first.")
async def first_signature(attempt: WebhookAttempt) -> Reply:
    first = attempt.memory.setdefault("signature", signed(attempt.outgoing.body, attempt.secret))
    return await attempt.deliver(headers=with_header(attempt, SIGNATURE, first))


@webhook.blind("hook-signature-capital", "The signature is written in capital letters.")
async def capital_signature(attempt: WebhookAttempt) -> Reply:
    right = signed(attempt.outgoing.body, attempt.secret).upper()
    return await attempt.deliver(headers=with_header(attempt, SIGNATURE, right))


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


@webhook.blind("hook-in-utf16", "A webhook is written in UTF-16.")
async def wide(attempt: WebhookAttempt) -> Reply:
    body = attempt.outgoing.body.decode().encode("utf-16")
    return await attempt.deliver(body=body, headers=with_header(attempt, SIGNATURE, signed(body, attempt.secret)))


@webhook.blind("hook-drops-query", "A webhook leaves the query of the callbackUrl out.")
async def no_query(attempt: WebhookAttempt) -> Reply:
    return await attempt.deliver(url=attempt.outgoing.url.partition("?")[0])


webhook.add("webhook-unsigned", "Webhooks are not signed.", signature(lambda _: None))
webhook.add(
    "webhook-terminal-unsigned",
    "The terminal webhook is not signed.",
    signature(lambda attempt: None if attempt.is_terminal else signed(attempt.outgoing.body, attempt.secret)),
)
webhook.add("webhook-signed-with-other-secret", "Webhooks are signed with another secret.",
    signature(lambda attempt: signed(attempt.outgoing.body, "other")))  # fmt: skip
webhook.add("webhook-signs-other-bytes", "The signature is that of the body with blanks.",
    signature(lambda attempt: signed(json.dumps(attempt.document).encode(), attempt.secret)))  # fmt: skip
webhook.add("webhook-signs-nothing", "The signature is that of an empty body.",
    signature(lambda attempt: signed(b"", attempt.secret)))  # fmt: skip
webhook.add(
    "webhook-signs-with-sha1",
    "The signature is made with SHA-1.",
    signature(lambda attempt: hmac.new(attempt.secret.encode(), attempt.outgoing.body, "sha1").hexdigest()),
)
webhook.add("webhook-signature-cut", "The signature is cut to half its length.",
    signature(lambda attempt: signed(attempt.outgoing.body, attempt.secret)[:32]))  # fmt: skip
webhook.add("webhook-signature-unkeyed", "The signature is a plain hash.",
    signature(lambda attempt: hashlib.sha256(attempt.outgoing.body).hexdigest()))  # fmt: skip
webhook.add("webhook-twice", "Each webhook is sent twice.", twice)
webhook.add("webhook-terminal-twice", "The terminal webhook is sent twice.", terminal_twice)
webhook.add("webhook-put", "Webhooks are sent with PUT.", by("PUT"))
webhook.add("webhook-get", "Webhooks are sent with GET.", by("GET"))
webhook.add("webhook-as-list", "Webhooks are lists.", wrapped(lambda data: [data]))
webhook.add(
    "webhook-in-envelope", "Webhooks have an envelope.", wrapped(lambda data: {"event": "progress", "data": data})
)
webhook.add("webhook-plain-text", "Webhooks are of type text/plain.", other_type)
webhook.blind.add("hook-as-text", "A webhook is of type text/plain.", other_type)
webhook.blind.add("hook-end-twice", "The terminal webhook is sent twice.", terminal_twice)
webhook.blind.add("hook-epoch-timestamp", "The timestamp of a webhook counts seconds.",
    resigned(lambda d: d.update(timestamp=int(datetime.fromisoformat(d["timestamp"]).timestamp()))))  # fmt: skip

MUTANTS = webhook.mutants
