"""From a valid request body to a planned job: what is asked for, what the plan allows, how it will run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from mockserver.models import Job, Phase, Status, whole_milliseconds
from mockserver.plans import Ceilings
from mockserver.randomness import fraction, hexadecimal
from mockserver.sandbox import standing_under
from mockserver.timeline import STATUS_OF, Order, plan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from mockserver.behaviour import Behaviour
    from mockserver.models import Timeline
    from mockserver.movies import MovieDefaults
    from mockserver.scenario import Scenario
    from mockserver.state import Call
    from mockserver.store import Standing
    from mockserver.webhooks import Hook


class Recipe(NamedTuple):
    """All that the timeline of a job follows from, as long as nobody rewrites it."""

    payload: bytes
    workers: int
    created: datetime
    behaviour: Behaviour
    scenario: Scenario
    seed: str
    number: int


def submit(call: Call) -> Job:
    """Keep the job that the body asks for; raises the ApiError of the first ceiling in its way."""
    sandbox = call.sandbox
    job = make_job(call, sandbox.submissions + 1)
    sandbox.store.submit(job, partial(_admit, call, job))
    sandbox.submissions = job.number
    return job


def _admit(call: Call, job: Job, standing: Callable[[datetime], Standing]) -> None:
    """Hold the job against the ceilings of the plan, as the scenario of the call has them."""
    home = call.mock.home(call.sandbox)
    if call.scenario is not home:
        standing = partial(standing_under, call.sandbox, call.scenario, home)
    plan, limits, entry = call.spec.plans[call.account.plan], call.scenario.limits, call.entry
    entry.plan = plan.name
    ceilings = Ceilings(plan, call.behaviour, call.now, limits.quota, limits.concurrency)

    def seen(now: datetime) -> Standing:
        entry.standing = standing(now)
        return entry.standing

    ceilings.check(job.seconds, (job.width, job.height), seen)


def make_job(call: Call, number: int) -> Job:
    """Make the job from the body; its timeline follows from scenario and seed, when somebody looks."""
    body, sandbox, scenario = call.document, call.sandbox, call.scenario
    movie, workers = body["movie"], _workers(body.get("renderOptions") or {}, call)
    payload = echo(body["projectId"], movie)
    recipe = Recipe(payload, workers, call.now, call.behaviour, scenario, sandbox.seed, number)
    named = None if scenario is call.mock.home(sandbox) else scenario.name
    return build(recipe, movie, call.files.movies, body.get("callbackUrl"), named)


def echo(project_id: str, movie: Mapping[str, Any]) -> bytes:
    """Return the JSON that every view of a job echoes."""
    text = orjson.dumps({"projectId": project_id, "movie": movie})
    return bytes(memoryview(text))  # orjson leaves kilobytes of room behind its text: keep the text alone


def build(
    recipe: Recipe, movie: Mapping[str, Any], defaults: MovieDefaults, callback_url: str | None, scenario: str | None
) -> Job:
    """Make a job from its recipe; `movie` is the one of its payload, `scenario` the name of one that was asked for."""
    width, height = movie.get("width"), movie.get("height")
    return Job(
        id=f"job_{hexadecimal(recipe.seed, 'job id', recipe.number, length=12)}",
        number=recipe.number,
        created=recipe.created,
        type=recipe.behaviour.job_type,
        payload=recipe.payload,
        seconds=round(sum([scene.get("duration") or 0 for scene in movie["scenes"]]), 3),
        width=round(defaults.width if width is None else width),
        height=round(defaults.height if height is None else height),
        make=_planned,
        recipe=recipe,
        callback_url=callback_url,
        scenario=scenario,
    )


def hook(call: Call, url: str) -> Hook:
    """Return how the webhooks of a job that this call submits are sent."""
    # imported here: most servers start faster than they need webhooks
    from mockserver.webhook_faults import WebhookFault
    from mockserver.webhooks import Hook

    webhooks = call.scenario.webhooks
    faults = (*webhooks.deliver, *call.webhook_faults)
    return Hook(url, webhooks.secret, call.behaviour, tuple(each for each in faults if isinstance(each, WebhookFault)))


def _planned(
    payload: bytes, workers: int, created: datetime, behaviour: Behaviour, scenario: Scenario, seed: str, number: int
) -> Timeline:
    scenes = [float(scene.get("duration") or 0) for scene in orjson.loads(payload)["movie"]["scenes"]]
    order = Order(
        scenes=scenes,
        workers=min(workers, len(scenes)),
        created=whole_milliseconds(created),
        draw=partial(fraction, seed, "job", number),
        statuses=statuses_under(behaviour),
        assemble_is_counted=behaviour.job_children_counted == "scenes+assemble",
    )
    return plan(order, scenario.job)


def _workers(options: Mapping[str, Any], call: Call) -> int:
    """Return how many scenes may render at a time (docs page /api-reference/schema/render-options)."""
    preset = options.get("qualityPreset") or call.files.movies.preset
    return int(options.get("requestedConcurrency") or call.spec.presets[preset])


def statuses_under(behaviour: Behaviour) -> Mapping[Phase | None, Status]:
    """Return a job's status in each phase, as the profile has it."""
    if behaviour.job_executing_status == "waiting" and behaviour.job_assembling_status == "running":
        return STATUS_OF
    return {
        **STATUS_OF,
        Phase.RENDERING: Status(behaviour.job_executing_status),
        Phase.ASSEMBLING: Status(behaviour.job_assembling_status),
    }
