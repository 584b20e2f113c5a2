"""What the control API does to the server, the scenario and the account: one function a call."""

from __future__ import annotations

from importlib.metadata import version
from types import MappingProxyType
from typing import TYPE_CHECKING

from viralsync_mock.api.auth import KEY_HEADER, no_key, require_api_key
from viralsync_mock.control.clock import advance_to, check_max_advance
from viralsync_mock.errors import ApiError, ScenarioError, did_you_mean
from viralsync_mock.response import Response, json_response
from viralsync_mock.scenarios.loader import parse_scenario
from viralsync_mock.validation.schema import invalid

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from viralsync_mock.api.call import Call
    from viralsync_mock.scenarios.model import Scenario


def key_of(call: Call) -> str:
    """Return the key that names the sandbox; raises UNAUTHORIZED.

    Clients of the control API may send it as `x-api-key`, whatever the spec calls the header.
    """
    for header in (call.spec.key_header, KEY_HEADER):
        if key := require_api_key(call.headers, call.spec.key_pattern, header):
            return key
    raise ApiError("UNAUTHORIZED", reason=no_key(call.spec.key_header))


async def get_health(call: Call) -> Response:
    """GET /__mock/health: it is up."""
    spec, sandboxes = call.spec, len(call.mock.sandboxes)
    return json_response(
        {
            "status": "ok",
            "version": version("viralsync-mock"),
            "spec": f"{spec.title} {spec.version}",
            "sandboxes": sandboxes,
        }
    )


async def reset(call: Call) -> Response:
    """POST /__mock/reset: drop this key's sandbox, or all of them."""
    sandboxes = call.mock.sandboxes
    before = len(sandboxes)
    if call.parameters["all"]:
        sandboxes.drop_all()
    else:
        sandboxes.drop(key_of(call))
    return json_response({"dropped": before - len(sandboxes)})


async def list_scenarios(call: Call) -> Response:
    """GET /__mock/scenarios: the shipped ones."""
    library = call.files.library
    shipped = [library.get(name) for name in library.names()]
    return json_response({"scenarios": [{"name": each.name, "description": each.description} for each in shipped]})


async def get_scenario(call: Call) -> Response:
    """GET /__mock/scenario: the one that the sandbox is in."""
    scenario, is_chosen = call.mock.scenario_of(call.sandbox), call.sandbox.scenario_override is not None
    return json_response({"name": scenario.name, "description": scenario.description, "isChosen": is_chosen})


async def choose_scenario(call: Call) -> Response:
    """PUT /__mock/scenario: the scenario begins now; jobs keep the timelines that they have."""
    scenario, sandbox = _wanted(call), call.sandbox
    start = scenario.clock_start
    if start is not None:
        if sandbox.clock.next_due() is not None:
            check_max_advance(call, "$.clock.start", start)
        await advance_to(call, start)
    now = sandbox.clock.now()
    sandbox.scenario_override, sandbox.account_overrides, sandbox.opened = scenario, {}, now
    sandbox.scripts.pop(scenario.name, None)
    account = sandbox.account(scenario)
    sandbox.store.set_minutes(now, account.minutes_used, account.minutes_used_today)
    return await get_scenario(call)


def _wanted(call: Call) -> Scenario:
    """Return the scenario that the body names or is; raises VALIDATION_ERROR."""
    is_whole = len(call.document) > 1
    try:
        return parse_scenario(call.document, call.spec) if is_whole else call.files.library.get(call.document["name"])
    except ScenarioError as error:  # of a whole one it names the place itself
        raise ApiError("VALIDATION_ERROR", violations=str(error) if is_whole else f"$.name: {error}") from None


async def get_account(call: Call) -> Response:
    """GET /__mock/account: who the key belongs to."""
    sandbox = call.sandbox
    account, standing = sandbox.account(call.scenario), sandbox.store.usage(call.now)
    return json_response(
        {
            "userId": sandbox.user_id,
            "plan": account.plan,
            "minutesUsed": round(standing.minutes, 6),
            "minutesUsedToday": round(standing.minutes_today, 6),
            "revoked": account.revoked,
            "email": account.email,
        }
    )


async def change_account(call: Call) -> Response:
    """PATCH /__mock/account: the minutes go to the ledger, all else is kept beside the scenario's account."""
    patch, plans = call.document, call.spec.plans
    if (plan := patch.get("plan", next(iter(plans)))) not in plans:
        invalid("$.plan", f'expected one of {", ".join(plans)}, got "{plan}".{did_you_mean(plan, plans)}')
    call.sandbox.account_overrides |= {name: patch[name] for name in ("plan", "revoked", "email") if name in patch}
    call.sandbox.store.set_minutes(call.now, patch.get("minutesUsed"), patch.get("minutesUsedToday"))
    return await get_account(call)


HANDLERS: Mapping[str, Callable[[Call], Awaitable[Response]]] = MappingProxyType(
    {
        "getHealth": get_health,
        "reset": reset,
        "listScenarios": list_scenarios,
        "getScenario": get_scenario,
        "chooseScenario": choose_scenario,
        "getAccount": get_account,
        "changeAccount": change_account,
    }
)
"""By operationId."""
