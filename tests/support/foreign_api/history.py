"""The jobs that an account already has when the server starts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from . import clock
from .documents import media_of, output_url_of
from .model import ENDED, Account, Job
from .plans import PLANS

if TYPE_CHECKING:
    from .world import World

ARCHIVE_SIZE: Final = 300
_OTHER_TYPES: Final = (
    *("agent.chat", "workflow.run", "publish.youtube", "agent.analyze"),
    *("publish.tiktok", "workflow.trigger", "publish.instagram"),
)
_ENDINGS: Final = ("done", "done", "failed", "done", "cancelled")
_FEW: Final = (
    ("render.movie", "done"),
    ("agent.chat", "done"),
    ("render.movie", "failed"),
    ("workflow.run", "failed"),
    ("render.movie", "cancelled"),
    ("publish.youtube", "done"),
)


def earlier_jobs(world: World, account: Account) -> None:
    """Give the account the jobs its start asks for, the oldest first."""
    if account.start.jobs == "few":
        for number, (type_, status) in enumerate(_FEW):
            _earlier(world, account, type_, status, hours=len(_FEW) - number)
    elif account.start.jobs == "archive":
        for number in range(ARCHIVE_SIZE):
            type_, status = _of_archive(number)
            _earlier(world, account, type_, status, hours=ARCHIVE_SIZE - number)
    elif account.start.jobs == "full":
        for _ in range(PLANS[account.start.plan].at_once or 0):
            _earlier(world, account, "render.movie", "waiting", hours=0.2)


def _of_archive(number: int) -> tuple[str, str]:
    if number % 3 == 0:
        return "render.movie", _ENDINGS[number // 3 % len(_ENDINGS)]
    statuses = (*_ENDINGS, "queued", "running", "waiting")
    return _OTHER_TYPES[number % len(_OTHER_TYPES)], statuses[number % len(statuses)]


def _earlier(world: World, account: Account, type_: str, status: str, hours: float) -> None:
    created = world.now() - timedelta(hours=hours)
    job = world.add(account, type_, created=created)
    job.status, job.updated = status, created + timedelta(seconds=40)
    if type_ == "render.movie":
        _as_render(world, job)
    if job.ended:
        job.ended_at = clock.monotonic() - hours * 3600
        job.progress = 1.0 if status == "done" else 0.4
    if status == "failed":
        job.error = job.error or f"{type_.upper().replace('.', '_')}_FAILED: the other side refused"


def _as_render(world: World, job: Job) -> None:
    job.length = 12.0
    scenes = [{"id": f"s{number}", "duration": 6} for number in (1, 2)]
    job.payload = {"projectId": "proj_demo01", "movie": {"scenes": scenes}}
    endings = {"done": ("done", "done"), "failed": ("done", "failed"), "waiting": ("done", "running")}
    for number, status in enumerate(endings.get(job.status, ("done", "cancelled")), start=1):
        job.scenes.append(_child(world, job, f"scene_{job.job_id}_{number:03d}", "render.scene", status))
    job.assemble = _child(world, job, f"assemble_{job.job_id}", "render.assemble", _of_assemble(job.status))
    if job.status == "done":
        job.output_url, job.media = output_url_of(world, job), media_of(job)
    if job.status == "failed":
        job.error = "SCENE_RENDER_FAILED: scene s2"
    if job.status not in ENDED:
        job.phase, job.progress = "rendering", 0.4


def _of_assemble(status: str) -> str:
    return {"done": "done", "waiting": "queued"}.get(status, "cancelled")


def _child(world: World, parent: Job, job_id: str, type_: str, status: str) -> Job:
    child = world.add(parent.account, type_, job_id=job_id, created=parent.created, parent=parent)
    child.status, child.progress, child.ended_at = status, float(status == "done"), clock.monotonic()
    child.error = "SCENE_RENDER_FAILED: scene s2" if status == "failed" else None
    child.output_url = output_url_of(world, child) if status == "done" else None
    return child
