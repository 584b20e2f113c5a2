"""What the control API does to a sandbox as a whole: open it anew for a test, and use up one of its limits."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import orjson

from viralsync_mock.clock import Mode
from viralsync_mock.config.behaviour import BehaviourProfile, read_behaviour
from viralsync_mock.config.yaml_source import JsonSource, Node
from viralsync_mock.errors import ApiError, BehaviourError, ScenarioError, did_you_mean
from viralsync_mock.jobs.limits import COUNTED_STATUSES, RateLimited, count_request
from viralsync_mock.jobs.recipe import Recipe, build, echo
from viralsync_mock.response import Response, json_response
from viralsync_mock.scenarios.loader import parse_scenario
from viralsync_mock.settings import shipped
from viralsync_mock.state import behaviour_under
from viralsync_mock.validation.schema import invalid

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import NoReturn

    from viralsync_mock.api.call import Call
    from viralsync_mock.jobs.models import Job
    from viralsync_mock.openapi.spec import Plan
    from viralsync_mock.scenarios.model import Scenario

STANDING_STILL: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "unfinished": {"queued": "forever"},
        "running+waiting": {"queued": "0s", "planning": "forever"},
        "running": {"queued": "0s", "planning": "forever"},
    }
)
"""How jobs run that never end, where `concurrency.counts` says so: as early in their life as they count."""


async def open_sandbox(call: Call) -> Response:
    """PUT /__mock/sandbox: drop this key's sandbox and open one as it is asked for, or refuse and change nothing."""
    wanted, mock, key = call.document, call.mock, call.sandbox.key
    plan, profile, scenario = _plan(call), _profile(call), _scenario(call)
    mode, seed = Mode(wanted["clock"]) if "clock" in wanted else None, wanted.get("seed")
    mock.sandboxes.drop(key)
    sandbox = mock.sandboxes.open(key, scenario or mock.files.scenario, mode, seed)
    sandbox.scenario_override, sandbox.behaviour_override = scenario, profile
    if plan is not None:
        sandbox.account_overrides["plan"] = plan
    home = mock.scenario_of(sandbox)
    return json_response(
        {
            "seed": mock.settings.seed if seed is None else seed,
            "scenario": home.name,
            "clock": sandbox.clock.mode,
            "plan": sandbox.account(home).plan,
        }
    )


def _plan(call: Call) -> str | None:
    plan: str | None = call.document.get("plan")
    plans = call.spec.plans
    if plan is not None and plan not in plans:
        invalid("$.plan", f'expected one of {", ".join(plans)}, got "{plan}".{did_you_mean(plan, plans)}')
    return plan


def _profile(call: Call) -> BehaviourProfile | None:
    if "behaviour" not in call.document:
        return None
    switches = call.document["behaviour"]
    place = Node(JsonSource(switches, BehaviourError), switches, ("behaviour",))
    try:
        return read_behaviour(place, call.spec.errors, call.files.behaviour)
    except BehaviourError as error:
        raise ApiError("VALIDATION_ERROR", violations=error) from None


def _scenario(call: Call) -> Scenario | None:
    """Return the scenario that is named or given whole; raises VALIDATION_ERROR."""
    scenario = call.document.get("scenario")
    if scenario is None:
        return None
    name = scenario["name"] if isinstance(scenario, dict) and scenario.keys() == {"name"} else scenario
    try:
        if isinstance(name, str):
            return call.files.library.get(name)
        return parse_scenario(scenario, call.spec, "", ("scenario",))
    except ScenarioError as error:
        problem = f"$.scenario: {error}" if isinstance(name, str) else str(error)
        raise ApiError("VALIDATION_ERROR", violations=problem) from None


async def exhaust_limit(call: Call) -> Response:
    """POST /__mock/exhaust: use up what is left of a limit, so that the next submission, or call, meets it."""
    limit = call.document["limit"]
    call.behaviour = behaviour_under(call.files, call.scenario, call.sandbox.behaviour_override)
    code, done = LIMITS[limit](call, call.spec.plans[call.sandbox.account(call.scenario).plan])
    error = call.spec.errors[code]
    return json_response({"limit": limit, "status": error.status, "code": call.behaviour.code(code), **done})


def _refuse(limit: str, reason: str) -> NoReturn:
    raise ApiError("NOTHING_TO_EXHAUST", limit=limit, reason=reason)


def _refuse_unlimited(limit: str, plan: Plan) -> NoReturn:
    _refuse(limit, f"plan {plan.name} has none. Choose another plan")


def _use_up_quota(call: Call, plan: Plan) -> tuple[str, dict[str, Any]]:
    """Let as many minutes be used as the plan has, of the month and of the day; more stay more."""
    month, day = plan.minutes_per_month, plan.minutes_per_day
    if not call.scenario.limits.quota:
        _refuse("quota", f"scenario {call.scenario.name} switches it off. Choose another scenario")
    if month is None and day is None:
        _refuse_unlimited("quota", plan)
    store, now = call.sandbox.store, call.now
    standing = store.usage(now)
    store.set_minutes(now, month and max(month, standing.minutes), day and max(day, standing.minutes_today))
    code = "RENDER_QUOTA_DAILY_EXCEEDED" if month is None else "RENDER_QUOTA_EXCEEDED"
    return code, {"allowed": day if month is None else month, "jobs": []}


def _fill_window(call: Call, _plan: Plan) -> tuple[str, dict[str, Any]]:
    """Count calls against the sliding window until it lets none through."""
    limits = call.scenario.limits
    if not call.mock.settings.is_rate_limited:
        _refuse("rate", "the server was started with --no-rate-limit. Start it without")
    if not limits.is_rated:
        _refuse("rate", f"scenario {call.scenario.name} switches it off. Choose another scenario")
    limit = limits.rate or call.spec.rate_limit
    try:
        for _ in range(limit.requests + 1):
            count_request(call.sandbox.store, limit, call.now)
    except RateLimited as full:
        return full.code, {"allowed": limit.requests, "jobs": []}
    raise AssertionError(f"a window of {limit.requests} calls holds more")


def _fill_concurrency_slots(call: Call, plan: Plan) -> tuple[str, dict[str, Any]]:
    """Submit as many jobs that never end as are missing: what lists and counts jobs knows of them."""
    if not call.scenario.limits.concurrency:
        _refuse("concurrency", f"scenario {call.scenario.name} switches it off. Choose another scenario")
    if plan.jobs_at_once is None:
        _refuse_unlimited("concurrency", plan)
    counted = call.behaviour.concurrency_counts
    missing = plan.jobs_at_once - call.sandbox.store.usage(call.now).count(*COUNTED_STATUSES[counted])
    pace = {"name": "never-ends", "description": "The job never ends.", "job": STANDING_STILL[counted]}
    scenario = parse_scenario(pace, call.spec)
    body = orjson.loads(shipped("fixtures/movies/one-second.json").read_bytes())
    jobs = [_submit(call, scenario, body) for _ in range(missing)]
    return "CONCURRENCY_LIMIT_EXCEEDED", {"allowed": plan.jobs_at_once, "jobs": [job.id for job in jobs]}


def _submit(call: Call, scenario: Scenario, body: Mapping[str, Any]) -> Job:
    sandbox, movie = call.sandbox, body["movie"]
    payload, number = echo(body["projectId"], movie), sandbox.submissions + 1
    recipe = Recipe(payload, 1, call.now, call.behaviour, scenario, sandbox.seed, number)
    job = build(recipe, movie, call.files.movies, None, None)
    sandbox.store.submit(job, lambda _standing: None)
    sandbox.submissions = number
    sandbox.calls += 1  # no sandbox has seen more submissions than calls
    return job


LIMITS: Mapping[str, Callable[[Call, Plan], tuple[str, dict[str, Any]]]] = MappingProxyType(
    {"quota": _use_up_quota, "rate": _fill_window, "concurrency": _fill_concurrency_slots}
)
"""How each limit is used up: returns the code that is met then, and what was done."""

SANDBOX_ACTIONS: Mapping[str, Callable[[Call], Awaitable[Response]]] = MappingProxyType(
    {"openSandbox": open_sandbox, "exhaustLimit": exhaust_limit}
)
"""By operationId."""
