"""A job made from a submission: its recipe, and the timeline that is planned from it when it is first needed."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from viralsync_mock.jobs.models import Job, Phase, Status, whole_milliseconds
from viralsync_mock.jobs.steps import step_slices
from viralsync_mock.jobs.timeline import STATUS_OF, RenderOrder, plan_slices
from viralsync_mock.randomness import hexadecimal, random_fraction
from viralsync_mock.response import json_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from viralsync_mock.config.behaviour import BehaviourProfile
    from viralsync_mock.jobs.models import Slices, Timeline
    from viralsync_mock.openapi.defaults import MovieDefaults
    from viralsync_mock.scenarios.model import Scenario


class Recipe(NamedTuple):
    """Everything that determines the timeline of a job until it is rewritten."""

    payload: bytes
    workers: int
    created: datetime
    behaviour: BehaviourProfile
    scenario: Scenario
    seed: str
    number: int


def echo(project_id: str, movie: Mapping[str, Any]) -> bytes:
    """Return the JSON that every view of a job echoes."""
    return json_text({"projectId": project_id, "movie": movie})


def build(
    recipe: Recipe, movie: Mapping[str, Any], defaults: MovieDefaults, callback_url: str | None, scenario: str | None
) -> Job:
    """Make a job from its recipe; `movie` is its payload's, `scenario` the name of the one that was asked for."""
    width, height = movie.get("width"), movie.get("height")
    length = _length(movie)
    return Job(
        id=f"job_{hexadecimal(recipe.seed, 'job id', recipe.number, length=12)}",
        number=recipe.number,
        created=recipe.created,
        type=recipe.behaviour.job_type,
        payload=recipe.payload,
        length=length,
        seconds=round(length, 3),
        width=round(defaults.width if width is None else width),
        height=round(defaults.height if height is None else height),
        make=_planned,
        recipe=recipe,
        callback_url=callback_url,
        scenario=scenario,
    )


def _length(movie: Mapping[str, Any]) -> float:
    """Return the seconds of all scenes; rounded only so far that sums of decimal fractions come out even."""
    try:
        return round(math.fsum([scene.get("duration") or 0 for scene in movie["scenes"]]), 9)
    except OverflowError:
        return math.inf


def plan_job(job: Job) -> Slices[None]:
    """Plan the timeline of a job and find its steps, so that no later look has to."""
    timeline = yield from job.plan()
    yield from step_slices(timeline)


def _planned(
    payload: bytes,
    workers: int,
    created: datetime,
    behaviour: BehaviourProfile,
    scenario: Scenario,
    seed: str,
    number: int,
) -> Slices[Timeline]:
    scenes = [float(scene.get("duration") or 0) for scene in orjson.loads(payload)["movie"]["scenes"]]
    order = RenderOrder(
        scenes=scenes,
        workers=min(workers, len(scenes)),
        created=whole_milliseconds(created),
        draw=partial(random_fraction, seed, "job", number),
        statuses=statuses_under(behaviour),
        assemble_is_counted=behaviour.job_children_counted == "scenes+assemble",
    )
    return plan_slices(order, scenario.job)


def statuses_under(behaviour: BehaviourProfile) -> Mapping[Phase | None, Status]:
    """Return a job's status in each phase under a behaviour profile."""
    if behaviour.job_executing_status == "waiting" and behaviour.job_assembling_status == "running":
        return STATUS_OF
    return {
        **STATUS_OF,
        Phase.RENDERING: Status(behaviour.job_executing_status),
        Phase.ASSEMBLING: Status(behaviour.job_assembling_status),
    }
