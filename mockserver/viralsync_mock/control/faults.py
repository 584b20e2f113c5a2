"""Faults: show those that are armed in a sandbox and all kinds, arm others, disarm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from viralsync_mock.control.request import JsonResponse
from viralsync_mock.errors import ApiError, ScenarioError
from viralsync_mock.scenarios.armed_faults import ArmedFault, ArmedFaults
from viralsync_mock.scenarios.fault_syntax import KINDS
from viralsync_mock.scenarios.loader import parse_armed

if TYPE_CHECKING:
    from starlette.responses import Response

    from viralsync_mock.control.request import ControlRequest
    from viralsync_mock.sandbox import Sandbox


async def get_faults(request: ControlRequest) -> Response:
    """GET /__mock/faults: those that are armed, and all kinds."""
    return JsonResponse(
        {
            "faults": armed_document(request.sandbox),
            "kinds": [{"name": name, "description": kind.title, "of": kind.group} for name, kind in KINDS.items()],
        }
    )


def armed_document(sandbox: Sandbox) -> list[dict[str, Any]]:
    states = sandbox.armed.status(sandbox.clock.now()) if sandbox.armed is not None else []
    return [
        {**each.document, "id": each.id, "matched": matched, "isRunning": is_running}
        for each, matched, is_running in states
    ]


async def arm_faults(request: ControlRequest) -> Response:
    """PUT /__mock/faults: these take the place of all that were armed, and count from now."""
    written = request.document["faults"]
    try:
        rules = parse_armed(written, request.spec, ("faults",))
    except ScenarioError as error:
        raise ApiError("VALIDATION_ERROR", violations=error) from None
    armed = tuple(ArmedFault(f"fault_{i}", rule, written[i - 1]) for i, rule in enumerate(rules, 1))
    request.sandbox.armed = ArmedFaults(request.now, armed) if armed else None
    return await get_faults(request)


async def disarm_faults(request: ControlRequest) -> Response:
    """DELETE /__mock/faults: nothing is armed any more."""
    armed, request.sandbox.armed = request.sandbox.armed, None
    return JsonResponse({"dropped": len(armed.faults) if armed is not None else 0})
