"""From a valid request body to a planned job: what is asked for, what the plan allows, how it will run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from mockserver.models import Job, Phase, Status, whole_milliseconds
from mockserver.plans import Ceilings, Size
from mockserver.randomness import hexadecimal
from mockserver.sandbox import standing_under
from mockserver.timeline import STATUS_OF, Order, plan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mockserver.behaviour import Behaviour
    from mockserver.state import Call
    from mockserver.store import Standing


def submit(call: Call) -> Job:
    """Keep the job that the body asks for; raises the ApiError of the first ceiling in its way."""
    sandbox, now = call.sandbox, call.now
    number = sandbox.submissions + 1
    job = make_job(call, number)
    limits, home = call.scenario.limits, call.mock.home(sandbox)
    ceilings = Ceilings(
        call.spec.plans[call.account.plan],
        call.behaviour,
        now,
        quota=limits.quota,
        concurrency=limits.concurrency,
    )

    def admit(standing: Callable[[], Standing]) -> None:
        under = standing if call.scenario is home else partial(standing_under, sandbox, call.scenario, home)
        ceilings.check(Size(job.seconds, job.width, job.height), under)

    sandbox.store.submit(job, admit)
    sandbox.submissions = number
    return job


def make_job(call: Call, number: int) -> Job:
    """Make the job from the body; its timeline follows from scenario and seed, when somebody looks."""
    body, sandbox = call.document, call.sandbox
    movie, options = body["movie"], body.get("renderOptions") or {}
    scenes = [float(scene["duration"]) for scene in movie["scenes"]]
    seconds = round(sum(scenes), 3)
    defaults = call.files.movies
    width = defaults.width if movie.get("width") is None else movie["width"]
    height = defaults.height if movie.get("height") is None else movie["height"]
    order = Order(
        scenes=scenes,
        workers=min(_workers(options, call), len(scenes)),
        created=whole_milliseconds(call.now),
        draw=partial(sandbox.draw, "job", number),
        statuses=_statuses(call.behaviour),
        assemble_is_counted=call.behaviour.job_children_counted == "scenes+assemble",
    )
    return Job(
        id=f"job_{hexadecimal(sandbox.seed, 'job id', number, length=12)}",
        number=number,
        created=order.created,
        type=call.behaviour.job_type,
        payload=orjson.dumps({"projectId": body["projectId"], "movie": movie}),
        seconds=seconds,
        width=round(width),
        height=round(height),
        make=partial(plan, order, call.scenario.job),
        callback_url=body.get("callbackUrl"),
        scenario=None if call.scenario is call.mock.home(sandbox) else call.scenario.name,
    )


def _workers(options: Mapping[str, Any], call: Call) -> int:
    """Return how many scenes may render at a time (docs page /api-reference/schema/render-options)."""
    preset = options.get("qualityPreset") or call.files.movies.preset
    return int(options.get("requestedConcurrency") or call.spec.presets[preset])


def _statuses(behaviour: Behaviour) -> Mapping[Phase | None, Status]:
    if behaviour.job_executing_status == "waiting" and behaviour.job_assembling_status == "running":
        return STATUS_OF
    return {
        **STATUS_OF,
        Phase.RENDERING: Status(behaviour.job_executing_status),
        Phase.ASSEMBLING: Status(behaviour.job_assembling_status),
    }
