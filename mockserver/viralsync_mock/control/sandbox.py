"""A sandbox as a whole: open it as a test needs it, use up one of its limits, take and restore snapshots."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import orjson
from starlette.responses import Response

from viralsync_mock.clock import Mode
from viralsync_mock.config.behaviour import BehaviourProfile, read_behaviour
from viralsync_mock.config.yaml_source import JsonSource, Node
from viralsync_mock.control.account import check_plan, read_scenario
from viralsync_mock.control.clock import clock_document
from viralsync_mock.control.request import JsonResponse
from viralsync_mock.errors import ApiError, BehaviourError
from viralsync_mock.jobs.limits import COUNTED_STATUSES, RateLimited, count_request
from viralsync_mock.jobs.models import Status, in_turns, timestamp
from viralsync_mock.jobs.recipe import Recipe, build, echo
from viralsync_mock.scenarios.loader import parse_scenario
from viralsync_mock.settings import shipped
from viralsync_mock.snapshots.snapshot import create_snapshot, install, restore
from viralsync_mock.state import behaviour_under
from viralsync_mock.validation.schema import invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import NoReturn

    from viralsync_mock.control.request import ControlRequest
    from viralsync_mock.jobs.models import Job
    from viralsync_mock.openapi.spec import Plan
    from viralsync_mock.scenarios.model import Scenario

MAX_LISTED = 1000

NEVER_ENDING: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "unfinished": {"queued": "forever"},
        "running+waiting": {"queued": "0s", "planning": "forever"},
        "running": {"queued": "0s", "planning": "forever"},
    }
)
"""The pace of a job that never ends, by `concurrency.counts`: it stays at the first step that counts."""


async def open_sandbox(request: ControlRequest) -> Response:
    """PUT /__mock/sandbox: replace this key's sandbox by a new one, or refuse and change nothing."""
    wanted, mock, key = request.document, request.mock, request.sandbox.key
    plan, given = wanted.get("plan"), wanted.get("scenario")
    check_plan(request, plan)
    profile = _profile(request)
    scenario = None if given is None else read_scenario(request, given, "scenario")
    mode, seed = Mode(wanted["clock"]) if "clock" in wanted else None, wanted.get("seed")
    mock.sandboxes.drop(key)
    sandbox = mock.sandboxes.open(key, scenario or mock.files.scenario, mode, seed)
    sandbox.scenario_override, sandbox.behaviour_override = scenario, profile
    if plan is not None:
        sandbox.account_overrides["plan"] = plan
    home = mock.scenario_of(sandbox)
    return JsonResponse(
        {
            "seed": mock.settings.seed if seed is None else seed,
            "scenario": home.name,
            "clock": sandbox.clock.mode,
            "plan": sandbox.account(home).plan,
        }
    )


def _profile(request: ControlRequest) -> BehaviourProfile | None:
    if "behaviour" not in request.document:
        return None
    switches = request.document["behaviour"]
    place = Node(JsonSource(switches, BehaviourError), switches, ("behaviour",))
    try:
        return read_behaviour(place, request.spec.errors, request.mock.files.behaviour)
    except BehaviourError as error:
        raise ApiError("VALIDATION_ERROR", violations=error) from None


async def list_sandboxes(request: ControlRequest) -> Response:
    """GET /__mock/sandboxes: those that are open, the last used first; no key is shown."""
    mock, real = request.mock, request.mock.settings.real.monotonic()
    found = sorted(mock.sandboxes.all(), key=lambda each: each.used, reverse=True)
    listed = [
        {
            "userId": each.user_id,
            "name": mock.sandboxes.names.get(each.key),
            "idleSeconds": round(max(real - each.used, 0.0), 1),
            "openedAt": timestamp(each.opened),
            "clock": clock_document(each),
            "scenario": mock.scenario_of(each).name,
            "jobs": each.store.usage(each.clock.now()).count(*Status),
            "calls": each.calls,
        }
        for each in found[:MAX_LISTED]
    ]
    return JsonResponse({"total": len(found), "sandboxes": listed})


async def name_sandbox(request: ControlRequest) -> Response:
    """PATCH /__mock/sandbox: what people call it, across resets."""
    name = request.document["name"]
    request.mock.sandboxes.set_name(request.sandbox.key, name)
    return JsonResponse({"userId": request.sandbox.user_id, "name": name})


async def exhaust_limit(request: ControlRequest) -> Response:
    """POST /__mock/exhaust: use up what is left of a limit."""
    limit = request.document["limit"]
    code, done = LIMITS[limit](request, request.spec.plans[request.sandbox.account(request.scenario).plan])
    error = request.spec.errors[code]
    return JsonResponse({"limit": limit, "status": error.status, "code": _behaviour(request).code(code), **done})


def _behaviour(request: ControlRequest) -> BehaviourProfile:
    return behaviour_under(request.mock.files, request.scenario, request.sandbox.behaviour_override)


def _refuse(limit: str, reason: str) -> NoReturn:
    raise ApiError("NOTHING_TO_EXHAUST", limit=limit, reason=reason)


def _refuse_unlimited(limit: str, plan: Plan) -> NoReturn:
    _refuse(limit, f"plan {plan.name} has none. Choose another plan")


def _use_up_quota(request: ControlRequest, plan: Plan) -> tuple[str, dict[str, Any]]:
    """Raise the used minutes of the month and of the day to the plan's limits."""
    month, day = plan.minutes_per_month, plan.minutes_per_day
    if not request.scenario.limits.quota:
        _refuse("quota", f"scenario {request.scenario.name} switches it off. Choose another scenario")
    if month is None and day is None:
        _refuse_unlimited("quota", plan)
    store, now = request.sandbox.store, request.now
    standing = store.usage(now)
    store.set_minutes(now, month and max(month, standing.minutes), day and max(day, standing.minutes_today))
    code = "RENDER_QUOTA_DAILY_EXCEEDED" if month is None else "RENDER_QUOTA_EXCEEDED"
    return code, {"allowed": day if month is None else month, "jobs": []}


def _fill_window(request: ControlRequest, _plan: Plan) -> tuple[str, dict[str, Any]]:
    """Count calls against the sliding window until it lets none through."""
    limits = request.scenario.limits
    if not request.mock.settings.is_rate_limited:
        _refuse("rate", "the server was started with --no-rate-limit. Start it without")
    if not limits.is_rated:
        _refuse("rate", f"scenario {request.scenario.name} switches it off. Choose another scenario")
    limit = limits.rate or request.spec.rate_limit
    try:
        for _ in range(limit.requests + 1):
            count_request(request.sandbox.store, limit, request.now)
    except RateLimited as full:
        return full.code, {"allowed": limit.requests, "jobs": []}
    raise AssertionError(f"a window of {limit.requests} calls holds more")


def _fill_concurrency_slots(request: ControlRequest, plan: Plan) -> tuple[str, dict[str, Any]]:
    """Submit as many jobs that never end as the limit still admits."""
    if not request.scenario.limits.concurrency:
        _refuse("concurrency", f"scenario {request.scenario.name} switches it off. Choose another scenario")
    if plan.jobs_at_once is None:
        _refuse_unlimited("concurrency", plan)
    counted = _behaviour(request).concurrency_counts
    missing = plan.jobs_at_once - request.sandbox.store.usage(request.now).count(*COUNTED_STATUSES[counted])
    pace = {"name": "never-ends", "description": "The job never ends.", "job": NEVER_ENDING[counted]}
    scenario = parse_scenario(pace, request.spec)
    body = orjson.loads(shipped("fixtures/movies/one-second.json").read_bytes())
    jobs = [_submit(request, scenario, body) for _ in range(missing)]
    return "CONCURRENCY_LIMIT_EXCEEDED", {"allowed": plan.jobs_at_once, "jobs": [job.id for job in jobs]}


def _submit(request: ControlRequest, scenario: Scenario, body: Mapping[str, Any]) -> Job:
    sandbox, movie = request.sandbox, body["movie"]
    payload, number = echo(body["projectId"], movie), sandbox.submissions + 1
    recipe = Recipe(payload, 1, request.now, _behaviour(request), scenario, sandbox.seed, number)
    job = build(recipe, movie, request.mock.files.movies, None, None)
    sandbox.store.submit(job, lambda _standing: None)
    sandbox.submissions = number
    sandbox.calls += 1  # no sandbox has seen more submissions than calls
    return job


LIMITS: Mapping[str, Callable[[ControlRequest, Plan], tuple[str, dict[str, Any]]]] = MappingProxyType(
    {"quota": _use_up_quota, "rate": _fill_window, "concurrency": _fill_concurrency_slots}
)
"""How each limit is used up: each returns the error code that follows, and what was done."""


async def take_snapshot(request: ControlRequest) -> Response:
    """GET /__mock/snapshot: the sandbox as it is at this instant."""
    written = create_snapshot(request.mock, request.sandbox, with_journal=request.parameters["journal"])
    content = await in_turns(written, request.mock.settings.real.sleep)
    return Response(content, media_type="application/json")


async def restore_snapshot(request: ControlRequest) -> Response:
    """PUT /__mock/snapshot: this sandbox takes the place of the one that the key has, or nothing changes."""
    if not request.content:
        invalid("$", "expected a snapshot, got nothing")
    restored = restore(request.mock, request.sandbox.key, request.content)
    install(request.mock, restored)
    request.use(restored.sandbox)
    waiting = sum(len(each.pending) + len(each.held) for each in restored.outboxes)
    return JsonResponse(
        {
            "jobs": restored.jobs,
            "now": timestamp(request.now),
            "scenario": request.scenario.name,
            "webhooksWaiting": waiting,
        }
    )
