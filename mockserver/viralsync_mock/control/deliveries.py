"""Webhooks: show what was sent and its outcome, and send one again."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import orjson
from starlette.responses import Response

from viralsync_mock.errors import ApiError
from viralsync_mock.redaction import masked_bytes
from viralsync_mock.state import inbox_of

if TYPE_CHECKING:
    from viralsync_mock.control.request import ControlRequest
    from viralsync_mock.webhooks.delivery import Delivery


async def list_deliveries(request: ControlRequest) -> Response:
    """GET /__mock/deliveries: those that fit the filters, newest first, and how many there are."""
    asked = request.parameters
    wanted = (asked.get("jobId"), asked.get("kind"), asked.get("outcome"))
    found = [each for each in request.sandbox.deliveries.newest_first() if _matches(each, wanted)]
    newest = [each.document() for each in islice(found, asked["limit"])]
    return _without_keys(request, {"total": len(found), "deliveries": newest})


def _matches(delivery: Delivery, wanted: tuple[str | None, ...]) -> bool:
    has = (delivery.job_id, delivery.kind, delivery.outcome)
    return all(value in (None, own) for value, own in zip(wanted, has, strict=True))


async def get_delivery(request: ControlRequest) -> Response:
    """GET /__mock/deliveries/{deliveryId}: what was sent where, and every attempt."""
    return _without_keys(request, _find(request).document())


async def redeliver(request: ControlRequest) -> Response:
    """POST /__mock/deliveries/{deliveryId}/redeliver: send it again now, whatever became of it."""
    delivery = _find(request)
    await request.mock.dispatcher_for(request.sandbox).redeliver(delivery)
    return _without_keys(request, delivery.document())


async def get_inbox(request: ControlRequest) -> Response:
    """GET /__mock/inbox: what the built-in receiver got, newest first."""
    inbox = inbox_of(request.sandbox)
    received = [each.document() for each in islice(reversed(inbox.received), request.parameters["limit"])]
    return _without_keys(request, {**inbox.document(), "received": received})


async def change_inbox(request: ControlRequest) -> Response:
    """PATCH /__mock/inbox: how the built-in receiver responds from now on."""
    inbox = inbox_of(request.sandbox)
    inbox.status, inbox.times = request.document["status"], request.document.get("times")
    return _without_keys(request, inbox.document())


async def clear_inbox(request: ControlRequest) -> Response:
    """DELETE /__mock/inbox: forget what it got."""
    inbox = inbox_of(request.sandbox)
    dropped = len(inbox.received)
    inbox.received.clear()
    return _without_keys(request, {"dropped": dropped})


def _without_keys(request: ControlRequest, document: object) -> Response:
    """Return a response without keys: the URL of the receiver or its response may hold one."""
    return Response(masked_bytes(orjson.dumps(document), request.sandbox.key), media_type="application/json")


def _find(request: ControlRequest) -> Delivery:
    """Return the delivery that the path names; raises DELIVERY_NOT_FOUND."""
    log, wanted = request.sandbox.deliveries, request.path_params["deliveryId"]
    for delivery in log.newest_first():
        if delivery.id == wanted:
            return delivery
    raise ApiError("DELIVERY_NOT_FOUND", deliveryId=wanted, kept=len(log), made=log.made)
