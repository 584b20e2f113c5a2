"""What the control API does to faults: show those that are armed in a sandbox and all kinds, arm others, disarm."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from viralsync_mock.errors import ApiError, ScenarioError
from viralsync_mock.response import Response, json_response
from viralsync_mock.scenarios.armed_faults import ArmedFault, ArmedFaults
from viralsync_mock.scenarios.fault_syntax import KINDS
from viralsync_mock.scenarios.loader import parse_armed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from viralsync_mock.api.call import Call


async def get_faults(call: Call) -> Response:
    """GET /__mock/faults: those that are armed, and all kinds."""
    armed = call.sandbox.armed
    states = armed.status(call.now) if armed is not None else []
    return json_response(
        {
            "faults": [
                {**each.document, "id": each.id, "matched": matched, "isRunning": is_running}
                for each, matched, is_running in states
            ],
            "kinds": [{"name": name, "description": kind.title, "of": kind.group} for name, kind in KINDS.items()],
        }
    )


async def arm_faults(call: Call) -> Response:
    """PUT /__mock/faults: these take the place of all that were armed, and count from now."""
    written = call.document["faults"]
    try:
        rules = parse_armed(written, call.spec, ("faults",))
    except ScenarioError as error:
        raise ApiError("VALIDATION_ERROR", violations=error) from None
    armed = tuple(ArmedFault(f"fault_{i}", rule, written[i - 1]) for i, rule in enumerate(rules, 1))
    call.sandbox.armed = ArmedFaults(call.now, armed) if armed else None
    return await get_faults(call)


async def disarm_faults(call: Call) -> Response:
    """DELETE /__mock/faults: nothing is armed any more."""
    armed, call.sandbox.armed = call.sandbox.armed, None
    return json_response({"dropped": len(armed.faults) if armed is not None else 0})


FAULT_ACTIONS: Mapping[str, Callable[[Call], Awaitable[Response]]] = MappingProxyType(
    {"getFaults": get_faults, "armFaults": arm_faults, "disarmFaults": disarm_faults}
)
"""By operationId."""
