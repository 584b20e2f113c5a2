"""From a valid request body to a planned job: what is asked for, what the plan allows, how it will run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from viralsync_mock.errors import ApiError
from viralsync_mock.jobs.limits import PlanLimits
from viralsync_mock.jobs.models import SLICE, in_turns
from viralsync_mock.jobs.recipe import Recipe, build, echo, plan_job
from viralsync_mock.redaction import masked
from viralsync_mock.registry import size_text
from viralsync_mock.sandbox import usage_under
from viralsync_mock.scenarios.model import with_job

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from viralsync_mock.api.call import Call
    from viralsync_mock.jobs.models import Job
    from viralsync_mock.jobs.store import Usage
    from viralsync_mock.response import Headers
    from viralsync_mock.webhooks.payload import WebhookSettings


async def submit(call: Call) -> Job:
    """Keep the job that the body asks for; raises the ApiError of the first ceiling in its way.

    A job of many scenes is planned at once, in slices: later, the whole plan would hold other calls.
    """
    sandbox = call.sandbox
    job = make_job(call, sandbox.submissions + 1)
    if len(call.document["movie"]["scenes"]) > SLICE:
        sandbox.submissions = job.number
        await in_turns(plan_job(job), sandbox.clock.real.sleep)
    if not call.mock.sandboxes.has_room(sandbox, job.size):
        limit = size_text(call.mock.sandboxes.memory.limit)
        text = f"The mock holds unfinished jobs of {limit}, and may hold no more: start it with more --memory."
        raise ApiError("SERVICE_UNAVAILABLE", text=text)
    sandbox.store.submit(job, partial(_admit, call, job))
    sandbox.submissions = max(sandbox.submissions, job.number)
    return job


def _admit(call: Call, job: Job, standing: Callable[[datetime], Usage]) -> None:
    """Hold the job against the ceilings of the plan, as the scenario of the call has them."""
    home = call.mock.scenario_of(call.sandbox)
    if call.scenario is not home:
        standing = partial(usage_under, call.sandbox, call.scenario, home)
    plan, limits, entry = call.spec.plans[call.account.plan], call.scenario.limits, call.entry
    entry.plan = plan.name
    ceilings = PlanLimits(plan, call.behaviour, call.now, limits.quota, limits.concurrency)

    def seen(now: datetime) -> Usage:
        entry.standing = standing(now)
        return entry.standing

    ceilings.check(job.length, (job.width, job.height), seen)


def make_job(call: Call, number: int) -> Job:
    """Make the job from the body; its timeline follows from scenario and seed, when somebody looks."""
    body, sandbox, scenario = call.document, call.sandbox, call.scenario
    movie, workers = body["movie"], _workers(body.get("renderOptions") or {}, call)
    payload = echo(body["projectId"], movie)
    planned = with_job(scenario, call.rule) if call.rule is not None and call.rule.job else scenario
    recipe = Recipe(payload, workers, call.now, call.behaviour, planned, sandbox.seed, number)
    named = None if scenario is call.mock.scenario_of(sandbox) else scenario.name
    return build(recipe, movie, call.files.movies, body.get("callbackUrl"), named)


def hook(call: Call, url: str) -> WebhookSettings:
    """Return how the webhooks of a job that this call submits are sent."""
    # imported here: most servers start faster than they need webhooks
    from viralsync_mock.faults.webhook import WebhookFault
    from viralsync_mock.webhooks.payload import WebhookSettings, trace_headers

    webhooks = call.scenario.webhooks
    faults = (*webhooks.deliver, *call.webhook_faults)
    of_webhooks = tuple(each for each in faults if isinstance(each, WebhookFault))
    return WebhookSettings(url, webhooks.secret, call.behaviour, of_webhooks, trace_headers(call.headers))


def warn_of(call: Call, url: str) -> Headers:
    """Return the header `x-mock-warning` for a callback to which no webhook can ever be delivered."""
    from viralsync_mock.webhooks.sender import DeliveryFailed, check_target  # imported here, as above

    mock = call.mock
    try:
        check_target(url, mock.settings.webhook_hosts, mock.listener.port if mock.listener else None)
    except DeliveryFailed as error:
        if mock.settings.mock_headers:
            text = masked(error.reason, call.sandbox.key)
            return ((b"x-mock-warning", text.encode("ascii", "backslashreplace")),)
    return ()


def _workers(options: Mapping[str, Any], call: Call) -> int:
    """Return how many scenes may render at a time (docs page /api-reference/schema/render-options)."""
    preset = options.get("qualityPreset") or call.files.movies.preset
    return int(options.get("requestedConcurrency") or call.spec.presets[preset])
