"""The life of a render: from the queue over rounds of scenes to the finished video."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from . import clock
from .documents import media_of, output_url_of
from .limits import slots_taken
from .model import Account, Job
from .orders import Order, scene_fails
from .webhooks import follow

if TYPE_CHECKING:
    from .world import World

SECONDS: Final = {
    "queued": 0.4,
    "planning": 0.5,
    "dispatching": 0.5,
    "waiting": 0.3,
    "scene": 3.0,
    "assembling": 1.0,
    "uploading": 0.8,
}
"""How long each part takes at scale 1."""
_SCENES_START: Final = 0.05
_SCENES_END: Final = 0.85


def start_render(world: World, account: Account, order: Order) -> Job:
    """Make the job and its children, and let it run."""
    job = world.add(account, "render.movie", length=order.length, frame=(order.width, order.height))
    job.preset, job.callback_url = order.preset, order.callback_url
    movie = order.movie
    if world.readings.payload == "with_defaults":
        movie = order.with_defaults(f"mov_{job.number:06d}", world.conduct.defaults)
    job.payload = {"projectId": order.project_id, "movie": movie}
    for number, scene in enumerate(order.scenes, start=1):
        job.scenes.append(_child(world, job, f"scene_{job.job_id}_{number:03d}", "render.scene"))
        job.scenes[-1].payload = {"sceneId": scene.get("id")}
    job.assemble = _child(world, job, f"assemble_{job.job_id}", "render.assemble")
    world.change(job)
    job.work = world.spawn(_render(world, job, order))
    if job.callback_url:
        world.spawn(follow(world, job, job.callback_url))
    return job


def _child(world: World, parent: Job, job_id: str, type_: str) -> Job:
    job_id = job_id if world.readings.child_ids == "sample" else ""
    return world.add(parent.account, type_, job_id=job_id, created=parent.created, parent=parent)


async def _render(world: World, job: Job, order: Order) -> None:
    await world.pause(SECONDS["queued"])
    await _free_slot(world, job)
    await _step(world, job, "planning", 0.02)
    await _step(world, job, "dispatching", 0.04)
    if world.readings.waiting_phase:
        await _step(world, job, "waiting", 0.04)
    world.change(job, status="waiting", phase="rendering", progress=_SCENES_START)
    await _stall(world, "rendering")
    await _rounds(world, job, order)
    if lost := next((scene for scene in job.scenes if _is_lost(scene)), None):
        world.end(job, "failed", error=lost.error or f"SCENE_RENDER_FAILED: {lost.job_id} was cancelled")
        return
    assemble = job.assemble if world.conduct.assembles else None
    await _step(world, job, "assembling", _SCENES_END, child=assemble)
    if assemble and _is_lost(assemble):
        world.end(job, "failed", error="ASSEMBLE_FAILED: the assemble job was cancelled")
        return
    if assemble:
        world.end(assemble, "done", progress=1.0, output_url=output_url_of(world, assemble))
    await _step(world, job, "uploading", 0.95)
    world.end(job, "done", progress=1.0, output_url=output_url_of(world, job), media=media_of(job))


async def _free_slot(world: World, job: Job) -> None:
    """Wait in the queue while as many jobs run as the plan allows; only where queued jobs hold no slot."""
    limit = world.plan_of(job.account).at_once
    if world.readings.concurrency_counts == "unfinished" or "slots" in world.conduct.refusals or limit is None:
        return
    while len([each for each in slots_taken(world, job.account) if each is not job]) >= limit:
        await clock.pause(0.02)


async def _step(world: World, job: Job, phase: str, progress: float, child: Job | None = None) -> None:
    world.change(job, status="running", phase=phase, progress=progress)
    if child:
        world.change(child, status="running", phase=phase)
    await _stall(world, phase)
    await world.pause(SECONDS[phase])


async def _stall(world: World, phase: str) -> None:
    if world.conduct.stalls_at == phase:
        await asyncio.Event().wait()


async def _rounds(world: World, job: Job, order: Order) -> None:
    workers = world.conduct.workers.get(order.preset, 3)
    size = max(1, world.conduct.effective(order.requested, workers, len(job.scenes)))
    pairs = list(zip(job.scenes, order.scenes, strict=True))
    for first in range(0, len(pairs), size):
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_scene(world, job, scene, scene_fails(sent))) for scene, sent in pairs[first:][:size]
            ]
            for next_ended in asyncio.as_completed(tasks):
                await next_ended
                if world.conduct.failure_stops_all and any(map(_is_lost, job.scenes)):
                    _ = [task.cancel() for task in tasks]
                    return
        if any(map(_is_lost, job.scenes)) and world.readings.scene_failure == "finish_in_flight":
            return


def _is_lost(child: Job) -> bool:
    return child.cancelling or (child.ended and child.status != "done")


async def _scene(world: World, job: Job, scene: Job, fails: bool) -> None:
    if _is_lost(scene):
        return
    world.change(scene, status="running", phase="rendering")
    await world.pause(SECONDS["scene"] * world.chance.uniform(0.9, 1.1) * (0.5 if fails else 1.0))
    if _is_lost(scene):
        return
    if fails:
        name = (scene.payload or {}).get("sceneId")
        code = "SCENE_RENDER_FAILED: " if world.readings.error_text == "code" else ""
        world.end(scene, "failed", error=f"{code}scene {name}: an asset could not be downloaded")
        return
    ended = 1 + sum(each.status == "done" for each in job.scenes)
    job.progress = _SCENES_START + (_SCENES_END - _SCENES_START) * ended / len(job.scenes)
    world.end(scene, "done", progress=1.0, output_url=output_url_of(world, scene))
