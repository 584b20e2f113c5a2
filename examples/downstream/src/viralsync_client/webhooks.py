"""The endpoint for webhooks: genuine ones only, each change once, and never backwards."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import OrderedDict
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from viralsync_client.records import Job

Rank = tuple[bool, str, float]
"""How far a job was: over or not, when it was told (ISO 8601 in UTC, so it sorts), progress."""


def is_genuine(body: bytes, signature: str, secret: str) -> bool:
    """Whether `x-render-signature` was made from these very bytes with this secret."""
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode())


class Inbox:
    """Hands each change of a job to `on_update`, leaving out what it knows already and what comes too late.

    The newest `remembered` jobs are known. The API wants its answer at once, so `on_update` should be quick: say, `put`
    into a queue. When it raises, the webhook counts as not received and comes again.
    """

    def __init__(self, on_update: Callable[[Job], None], remembered: int = 10_000) -> None:
        self._on_update, self._remembered = on_update, remembered
        self._known: OrderedDict[str, Rank] = OrderedDict()

    def receive(self, job: Job) -> bool:
        """Take in what a webhook tells; return whether it was news."""
        rank = (job.is_over, str(job.raw.get("timestamp", "")), job.progress)
        known = self._known.get(job.id)
        if known is not None and rank <= known:
            return False
        self._on_update(job)
        self._known[job.id] = rank
        self._known.move_to_end(job.id)
        if len(self._known) > self._remembered:
            self._known.popitem(last=False)
        return True


def webhook_app(secret: str, inbox: Inbox, path: str = "/") -> Starlette:
    """Return an ASGI application that takes webhooks: 204 for a genuine one, news or not, else 401 or 400."""

    async def receive(request: Request) -> Response:
        body = await request.body()
        if not is_genuine(body, request.headers.get("x-render-signature", ""), secret):
            return Response("the signature does not fit the body", status_code=401)
        try:
            job = Job.of(json.loads(body))
        except (ValueError, KeyError, TypeError):
            return Response("expected a JSON object with jobId and status", status_code=400)
        inbox.receive(job)
        return Response(status_code=204)

    return Starlette(routes=[Route(path, receive, methods=["POST"])])
