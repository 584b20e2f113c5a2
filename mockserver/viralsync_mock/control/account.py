"""The server, the scenario and the account: one function an operation."""

from __future__ import annotations

from datetime import timedelta
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from viralsync_mock.control.clock import advance_to, check_max_advance
from viralsync_mock.control.request import JsonResponse, is_authorized
from viralsync_mock.errors import ApiError, ScenarioError, did_you_mean
from viralsync_mock.jobs.limits import COUNTED_STATUSES
from viralsync_mock.jobs.models import timestamp
from viralsync_mock.scenarios.loader import parse_scenario
from viralsync_mock.state import behaviour_under
from viralsync_mock.validation.schema import invalid

if TYPE_CHECKING:
    from starlette.responses import Response

    from viralsync_mock.control.request import ControlRequest
    from viralsync_mock.sandbox import Sandbox
    from viralsync_mock.scenarios.model import Scenario
    from viralsync_mock.state import MockServer

MAX_SHOWN = 1000
"""Of the calls in the window of the rate limit."""

HIDDEN_PROBLEM = "The state cannot be kept: the log of the mock says why."


async def get_health(request: ControlRequest) -> Response:
    """GET /__mock/health: it is up, and can keep its state. It is open: a probe needs no token; the details are not."""
    spec, sandboxes = request.spec, request.mock.sandboxes
    problem = sandboxes.keeper.problem if sandboxes.keeper is not None else ""
    state = {"status": "failing", "problem": problem} if problem else {"status": "ok"}
    code = 503 if problem else 200
    if not is_authorized(request.mock, request.headers_by_name):
        return JsonResponse({**state, "problem": HIDDEN_PROBLEM} if problem else state, code)
    return JsonResponse(
        {
            **state,
            "version": version("viralsync-mock"),
            "spec": f"{spec.title} {spec.version}",
            "sandboxes": len(sandboxes),
            "memory": {
                "limit": sandboxes.memory.limit,
                "used": sandboxes.memory.used,
                "sandboxesDropped": sandboxes.times_dropped,
            },
        },
        code,
    )


async def reset(request: ControlRequest) -> Response:
    """POST /__mock/reset: drop this key's sandbox, or all of them."""
    sandboxes = request.mock.sandboxes
    before = len(sandboxes)
    if request.parameters["all"]:
        sandboxes.drop_all()
    else:
        sandboxes.drop(request.require_key())
    return JsonResponse({"dropped": before - len(sandboxes)})


async def list_scenarios(request: ControlRequest) -> Response:
    """GET /__mock/scenarios: the shipped ones."""
    library = request.mock.files.library
    shipped = [library.get(name) for name in library.names()]
    return JsonResponse({"scenarios": [{"name": each.name, "description": each.description} for each in shipped]})


async def get_scenario(request: ControlRequest) -> Response:
    """GET /__mock/scenario: the one that the sandbox is in."""
    return JsonResponse(scenario_document(request.mock, request.sandbox))


def scenario_document(mock: MockServer, sandbox: Sandbox) -> dict[str, Any]:
    scenario, is_chosen = mock.scenario_of(sandbox), sandbox.scenario_override is not None
    return {"name": scenario.name, "description": scenario.description, "isChosen": is_chosen}


async def choose_scenario(request: ControlRequest) -> Response:
    """PUT /__mock/scenario: the scenario begins now; jobs keep the timelines that they have."""
    scenario, sandbox = read_scenario(request, request.document), request.sandbox
    start = scenario.clock_start
    if start is not None:
        if sandbox.clock.next_due() is not None:
            check_max_advance(request, "$.clock.start", start)
        await advance_to(request, start)
    now = sandbox.clock.now()
    sandbox.scenario_override, sandbox.account_overrides, sandbox.opened = scenario, {}, now
    sandbox.scripts.pop(scenario.name, None)
    account = sandbox.account(scenario)
    sandbox.store.set_minutes(now, account.minutes_used, account.minutes_used_today)
    return await get_scenario(request)


def read_scenario(request: ControlRequest, given: Any, *path: str) -> Scenario:
    """Return the scenario that the value at `path` of the body names or is; raises VALIDATION_ERROR."""
    name = given.get("name") if isinstance(given, dict) and given.keys() == {"name"} else given
    try:
        if isinstance(name, str):
            return request.mock.files.library.get(name)
        return parse_scenario(given, request.spec, "" if path else "the request body", path)
    except ScenarioError as error:  # of a whole one it names the place itself
        place = ".".join(("$", *(path or ("name",))))
        problem = f"{place}: {error}" if isinstance(name, str) else str(error)
        raise ApiError("VALIDATION_ERROR", violations=problem) from None


def check_plan(request: ControlRequest, plan: str | None) -> None:
    """Raise VALIDATION_ERROR for a plan that is not one of the spec's."""
    plans = request.spec.plans
    if plan is not None and plan not in plans:
        invalid("$.plan", f'expected one of {", ".join(plans)}, got "{plan}".{did_you_mean(plan, plans)}')


async def get_account(request: ControlRequest) -> Response:
    """GET /__mock/account: the account of the key."""
    return JsonResponse(account_document(request.mock, request.sandbox))


def account_document(mock: MockServer, sandbox: Sandbox) -> dict[str, Any]:
    now = sandbox.clock.now()
    account, standing = sandbox.account(mock.scenario_of(sandbox)), sandbox.store.usage(now)
    return {
        "userId": sandbox.user_id,
        "plan": account.plan,
        "minutesUsed": round(standing.minutes, 6),
        "minutesUsedToday": round(standing.minutes_today, 6),
        "revoked": account.revoked,
        "email": account.email,
        "limits": _limits(mock, sandbox, account.plan),
    }


def _limits(mock: MockServer, sandbox: Sandbox, name: str) -> dict[str, Any]:
    """Return the ceilings of the account, and how much of each is used; None is none."""
    plan, scenario, now = mock.files.spec.plans[name], mock.scenario_of(sandbox), sandbox.clock.now()
    limits = scenario.limits
    counted = COUNTED_STATUSES[behaviour_under(mock.files, scenario, sandbox.behaviour_override).concurrency_counts]
    return {
        "minutesPerMonth": plan.minutes_per_month if limits.quota else None,
        "minutesPerDay": plan.minutes_per_day if limits.quota else None,
        "jobs": sandbox.store.usage(now).count(*counted),
        "jobsAtOnce": plan.jobs_at_once if limits.concurrency else None,
        "window": _window(mock, sandbox) if limits.is_rated and mock.settings.is_rate_limited else None,
    }


def _window(mock: MockServer, sandbox: Sandbox) -> dict[str, Any]:
    limit, now = mock.scenario_of(sandbox).limits.rate or mock.files.spec.rate_limit, sandbox.clock.now()
    begins = now - timedelta(seconds=limit.window)
    calls = [timestamp(at) for at in sandbox.store.counted_requests() if at > begins]
    return {"requests": limit.requests, "windowSeconds": limit.window, "calls": calls[-MAX_SHOWN:]}


async def change_account(request: ControlRequest) -> Response:
    """PATCH /__mock/account: the minutes go to the ledger, all else is kept beside the scenario's account."""
    patch = request.document
    check_plan(request, patch.get("plan"))
    request.sandbox.account_overrides |= {name: patch[name] for name in ("plan", "revoked", "email") if name in patch}
    request.sandbox.store.set_minutes(request.now, patch.get("minutesUsed"), patch.get("minutesUsedToday"))
    return await get_account(request)
