"""From a valid request body to a planned job: what is asked for, what the plan allows, how it will run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

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
    from mockserver.state import Call
    from mockserver.store import Standing
    from mockserver.timeline import Pace


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
    plan, limits = call.spec.plans[call.account.plan], call.scenario.limits
    ceilings = Ceilings(plan, call.behaviour, call.now, limits.quota, limits.concurrency)
    ceilings.check(job.seconds, (job.width, job.height), standing)


def make_job(call: Call, number: int) -> Job:
    """Make the job from the body; its timeline follows from scenario and seed, when somebody looks."""
    body, sandbox, behaviour, defaults = call.document, call.sandbox, call.behaviour, call.files.movies
    movie, created = body["movie"], call.now
    width, height = movie.get("width"), movie.get("height")
    echo = orjson.dumps({"projectId": body["projectId"], "movie": movie})
    payload = bytes(memoryview(echo))  # orjson leaves kilobytes of room behind its text: keep the text alone
    workers = _workers(body.get("renderOptions") or {}, call)
    return Job(
        id=f"job_{hexadecimal(sandbox.seed, 'job id', number, length=12)}",
        number=number,
        created=created,
        type=behaviour.job_type,
        payload=payload,
        seconds=round(sum([scene.get("duration") or 0 for scene in movie["scenes"]]), 3),
        width=round(defaults.width if width is None else width),
        height=round(defaults.height if height is None else height),
        make=_planned,
        recipe=(payload, workers, created, behaviour, call.scenario.job, sandbox.seed, number),
        callback_url=body.get("callbackUrl"),
        scenario=None if call.scenario is call.mock.home(sandbox) else call.scenario.name,
    )


def _planned(
    payload: bytes, workers: int, created: datetime, behaviour: Behaviour, pace: Pace, seed: str, number: int
) -> Timeline:
    scenes = [float(scene.get("duration") or 0) for scene in orjson.loads(payload)["movie"]["scenes"]]
    order = Order(
        scenes=scenes,
        workers=min(workers, len(scenes)),
        created=whole_milliseconds(created),
        draw=partial(fraction, seed, "job", number),
        statuses=_statuses(behaviour),
        assemble_is_counted=behaviour.job_children_counted == "scenes+assemble",
    )
    return plan(order, pace)


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
