"""A second set of servers, written without a look at the checks: webhooks that are sent wrongly."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import orjson

from viralsync_conform.mutants.engine.layers import Document
from viralsync_conform.mutants.engine.webhook_attempts import Sending, WebhookAttempt, signed
from viralsync_conform.mutants.mutant import BEHAVIOUR, Mutant
from viralsync_mock.webhooks.sender import Reply

THEME = "webhooks"
SIGNATURE = "x-render-signature"
SILENCE = 30.0
_RECEIVED = Reply(200, (), b"")


def _edited(change: Callable[[Document], object], *, only: str | None = None) -> Sending:
    """Tell something else, rightly signed."""

    async def sending(parcel: WebhookAttempt) -> Reply:
        document = parcel.document
        if only is not None and document["status"] != only:
            return await parcel.deliver()
        change(document)
        body = orjson.dumps(document)
        return await parcel.deliver(body=body, headers=_headers(parcel, SIGNATURE, signed(body, parcel.secret)))

    return sending


def _headers(parcel: WebhookAttempt, name: str, value: str | None) -> tuple[tuple[str, str], ...]:
    kept = tuple(line for line in parcel.outgoing.headers if line[0].lower() != name)
    return kept if value is None else (*kept, (name, value))


async def _text(parcel: WebhookAttempt) -> Reply:
    return await parcel.deliver(headers=_headers(parcel, "content-type", "text/plain"))


async def _unsigned_end(parcel: WebhookAttempt) -> Reply:
    return (
        await parcel.deliver(headers=_headers(parcel, SIGNATURE, None))
        if parcel.is_terminal
        else await parcel.deliver()
    )


async def _unsigned_progress(parcel: WebhookAttempt) -> Reply:
    return (
        await parcel.deliver()
        if parcel.is_terminal
        else await parcel.deliver(headers=_headers(parcel, SIGNATURE, None))
    )


async def _sorted_signature(parcel: WebhookAttempt) -> Reply:
    body = orjson.dumps(parcel.document, option=orjson.OPT_SORT_KEYS)
    return await parcel.deliver(headers=_headers(parcel, SIGNATURE, signed(body, parcel.secret)))


async def _first_signature(parcel: WebhookAttempt) -> Reply:
    first = parcel.memory.setdefault("signature", signed(parcel.outgoing.body, parcel.secret))
    return await parcel.deliver(headers=_headers(parcel, SIGNATURE, first))


async def _capital_signature(parcel: WebhookAttempt) -> Reply:
    right = signed(parcel.outgoing.body, parcel.secret).upper()
    return await parcel.deliver(headers=_headers(parcel, SIGNATURE, right))


async def _rare(parcel: WebhookAttempt) -> Reply:
    at = datetime.fromisoformat(parcel.document["timestamp"]).timestamp()
    if not parcel.is_terminal and at - parcel.memory.get("at", at - SILENCE) < SILENCE:
        return _RECEIVED
    parcel.memory["at"] = at
    return await parcel.deliver()


async def _straggler(parcel: WebhookAttempt) -> Reply:
    reply = await parcel.deliver()
    if parcel.is_terminal and "last" in parcel.memory:
        await parcel.send(parcel.memory["last"])
    parcel.memory["last"] = parcel.outgoing
    return reply


async def _twice(parcel: WebhookAttempt) -> Reply:
    if parcel.is_terminal:
        await parcel.deliver()
    return await parcel.deliver()


async def _wide(parcel: WebhookAttempt) -> Reply:
    body = parcel.outgoing.body.decode().encode("utf-16")
    return await parcel.deliver(body=body, headers=_headers(parcel, SIGNATURE, signed(body, parcel.secret)))


async def _no_query(parcel: WebhookAttempt) -> Reply:
    return await parcel.deliver(url=parcel.outgoing.url.partition("?")[0])


async def _no_end(parcel: WebhookAttempt) -> Reply:
    return _RECEIVED if parcel.document["status"] == "cancelled" else await parcel.deliver()


async def _only_end(parcel: WebhookAttempt) -> Reply:
    return await parcel.deliver() if parcel.is_terminal else _RECEIVED


SECOND_WEBHOOKS = tuple(
    Mutant(name, statement, BEHAVIOUR, THEME, sending=sending)
    for name, statement, sending in (
        ("hook-as-text", "A webhook is of type text/plain.", _text),
        ("hook-end-unsigned", "The last webhook of a job has no signature.", _unsigned_end),
        ("hook-progress-unsigned", "Webhooks of progress have no signature.", _unsigned_progress),
        ("hook-signs-sorted-body", "The signature is that of the body with sorted keys.", _sorted_signature),
        ("hook-signs-first-body", "All webhooks of a job have the signature of the first.", _first_signature),
        ("hook-signature-capital", "The signature is written in capital letters.", _capital_signature),
        ("hook-every-thirty-seconds", "At least thirty seconds lie between two webhooks of progress.", _rare),
        ("hook-progress-after-end", "A webhook of progress follows the terminal one.", _straggler),
        ("hook-end-twice", "The terminal webhook is sent twice.", _twice),
        ("hook-in-utf16", "A webhook is written in UTF-16.", _wide),
        ("hook-drops-query", "A webhook leaves the query of the callbackUrl out.", _no_query),
        ("hook-cancel-unsaid", "No webhook tells that a job was cancelled.", _no_end),
        ("hook-only-at-end", "No webhook tells of progress.", _only_end),
        (
            "hook-canceled-one-l",
            "A webhook writes cancelled with one l.",
            _edited(lambda d: d.update(status="canceled"), only="cancelled"),
        ),
        (
            "hook-done-without-url",
            "The webhook of a done job has no outputUrl.",
            _edited(lambda d: d.update(outputUrl=None), only="done"),
        ),
        (
            "hook-done-without-media",
            "The webhook of a done job has no mediaData.",
            _edited(lambda d: d.pop("mediaData"), only="done"),
        ),
        (
            "hook-failed-without-error",
            "The webhook of a failed job has no error.",
            _edited(lambda d: d.pop("error"), only="failed"),
        ),
        (
            "hook-done-with-phase",
            "The webhook of a done job has a phase.",
            _edited(lambda d: d.update(phase="uploading"), only="done"),
        ),
        (
            "hook-without-children",
            "Webhooks of progress do not count children.",
            _edited(lambda d: d.pop("children", None)),
        ),
        (
            "hook-progress-in-percent",
            "Webhooks tell the progress in percent.",
            _edited(lambda d: d.update(progress=d["progress"] * 100)),
        ),
        (
            "hook-epoch-timestamp",
            "The timestamp of a webhook counts seconds.",
            _edited(lambda d: d.update(timestamp=int(datetime.fromisoformat(d["timestamp"]).timestamp()))),
        ),
        ("hook-names-id", "A webhook calls the job's id id.", _edited(lambda d: d.update(id=d.pop("jobId")))),
    )
)
