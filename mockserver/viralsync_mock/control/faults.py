"""Faults: show those that are armed in a sandbox and all kinds, arm others, disarm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from viralsync_mock.config.yaml_source import preview
from viralsync_mock.control.request import JsonResponse
from viralsync_mock.errors import ApiError, ScenarioError
from viralsync_mock.scenarios.armed_faults import ArmedFault, ArmedFaults
from viralsync_mock.scenarios.fault_syntax import KINDS
from viralsync_mock.scenarios.loader import parse_armed
from viralsync_mock.validation.schema import invalid

if TYPE_CHECKING:
    from starlette.responses import Response

    from viralsync_mock.control.request import ControlRequest
    from viralsync_mock.sandbox import Sandbox


MAX_ARMED, CREATED = 100, 201


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


async def add_fault(request: ControlRequest) -> Response:
    """POST /__mock/faults: one more is armed, from now; the others go on counting. Those that are over make room."""
    sandbox, written = request.sandbox, request.document
    armed = sandbox.armed or ArmedFaults(request.now)
    if len(armed.faults) >= MAX_ARMED:
        armed = armed.without(*(each.id for each, _, is_running in armed.status(request.now) if not is_running))
    if len(armed.faults) >= MAX_ARMED:
        invalid("$", f"expected at most {MAX_ARMED} armed faults, got one more: disarm one first")
    try:
        [rule] = parse_armed([written], request.spec)
    except ScenarioError as error:
        raise ApiError("VALIDATION_ERROR", violations=str(error).replace("$[0]", "$", 1)) from None
    number = 1 + max((int(each.id.removeprefix("fault_")) for each in armed.faults), default=0)
    sandbox.armed = armed.with_more(ArmedFault(f"fault_{number}", rule, written, armed.age(request.now)))
    return JsonResponse(armed_document(sandbox)[-1], CREATED)


async def disarm_fault(request: ControlRequest) -> Response:
    """DELETE /__mock/faults/{faultId}: one is armed no more; raises FAULT_NOT_FOUND."""
    sandbox, wanted = request.sandbox, request.path_params["faultId"]
    ids = [each.id for each in sandbox.armed.faults] if sandbox.armed is not None else []
    if sandbox.armed is None or wanted not in ids:
        raise ApiError("FAULT_NOT_FOUND", faultId=preview(wanted), armed=", ".join(ids) or "none")
    left = sandbox.armed.without(wanted)
    sandbox.armed = left if left.faults else None
    return JsonResponse({"dropped": 1})


async def disarm_faults(request: ControlRequest) -> Response:
    """DELETE /__mock/faults: nothing is armed any more."""
    armed, request.sandbox.armed = request.sandbox.armed, None
    return JsonResponse({"dropped": len(armed.faults) if armed is not None else 0})
