"""What the control API does to webhooks: show what was sent and what came of it, and send one again."""

from __future__ import annotations

from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING

from viralsync_mock.errors import ApiError
from viralsync_mock.redaction import masked_bytes
from viralsync_mock.response import Response, json_response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from viralsync_mock.api.call import Call
    from viralsync_mock.webhooks.delivery import Delivery


async def list_deliveries(call: Call) -> Response:
    """GET /__mock/deliveries: those that fit the filters, newest first, and how many there are."""
    asked = call.parameters
    wanted = (asked.get("jobId"), asked.get("kind"), asked.get("outcome"))
    found = [each for each in call.sandbox.deliveries.newest_first() if _matches(each, wanted)]
    newest = [each.document() for each in islice(found, asked["limit"])]
    return _without_keys(call, {"total": len(found), "deliveries": newest})


def _matches(delivery: Delivery, wanted: tuple[str | None, ...]) -> bool:
    has = (delivery.job_id, delivery.kind, delivery.outcome)
    return all(value in (None, own) for value, own in zip(wanted, has, strict=True))


async def get_delivery(call: Call) -> Response:
    """GET /__mock/deliveries/{deliveryId}: what was sent where, and every attempt."""
    return _without_keys(call, _find(call).document())


async def redeliver(call: Call) -> Response:
    """POST /__mock/deliveries/{deliveryId}/redeliver: send it again now, whatever became of it."""
    delivery = _find(call)
    await call.mock.dispatcher_for(call.sandbox).redeliver(delivery)
    return _without_keys(call, delivery.document())


def _without_keys(call: Call, document: object) -> Response:
    """Answer with what may hold a key: in the URL of the receiver, or in what it has answered."""
    answer = json_response(document)
    answer.body = masked_bytes(answer.body, call.sandbox.key)
    return answer


def _find(call: Call) -> Delivery:
    """Return the delivery that the path names; raises DELIVERY_NOT_FOUND."""
    log, wanted = call.sandbox.deliveries, call.path_parameters["deliveryId"]
    for delivery in log.newest_first():
        if delivery.id == wanted:
            return delivery
    raise ApiError("DELIVERY_NOT_FOUND", deliveryId=wanted, kept=len(log), made=log.made)


DELIVERY_ACTIONS: Mapping[str, Callable[[Call], Awaitable[Response]]] = MappingProxyType(
    {"listDeliveries": list_deliveries, "getDelivery": get_delivery, "redeliver": redeliver}
)
"""By operationId."""
