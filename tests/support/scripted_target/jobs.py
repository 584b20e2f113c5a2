"""How the production of the tests renders: a job is its submission, its habits, and how long ago it was made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

TERMINAL = ("done", "failed", "cancelled")

QUEUED, PLANNED, DISPATCHED, ASSEMBLED, UPLOADED = 2.0, 1.0, 1.0, 2.0, 2.0
"""Seconds of each step but the scenes, which are rendered all at once."""

SLOWEST_START = 12.0
"""Seconds that a scene takes beside its own length."""


@dataclass(frozen=True)
class Habits:
    """What this production does where nobody wrote down what it should, and what it does wrong."""

    list_key: str = "jobs"
    event_names: bool = False
    event_ids: bool = True
    resumes: bool = True
    event_without: frozenset[str] = frozenset()
    cancel_body: bool = True
    delete_body: bool = True
    limit_headers: bool = False
    extras: bool = False
    codes: Mapping[str, str] = field(default_factory=dict)
    job_type: str = "render"
    executing: str = "waiting"
    counts_assembly: bool = False
    lists_children: bool = False
    id_form: str = "job_{:012x}"
    has_milliseconds: bool = True
    has_media: bool = True
    has_usage_detail: bool = True
    has_date: bool = True
    needs_json_type: bool = True
    lacks: frozenset[str] = frozenset()
    tells_id: bool = True
    falls_back: bool = False
    is_smooth: bool = False
    hook_secret: str = "whsec_of_production"


@dataclass(frozen=True)
class Step:
    """Where a job stands from an offset on, in seconds since it was made."""

    after: float
    status: str
    phase: str | None
    progress: float
    succeeded: int = 0
    running: int = 0


@dataclass
class Job:
    """One parent job; `cancelled_after` cuts its steps off."""

    id: str
    body: Mapping[str, Any]
    created: datetime
    habits: Habits
    cancelled_after: float | None = None
    charged: bool = False

    @property
    def scenes(self) -> list[Any]:
        """Those of the movie."""
        return list(self.body["movie"]["scenes"])

    @property
    def workers(self) -> int:
        """How many scenes render at once."""
        options = self.body.get("renderOptions") or {}
        presets = {"stable": 2, "balanced": 3, "fast": 4, "turbo": 6}
        return int(options.get("requestedConcurrency") or presets[options.get("qualityPreset") or "balanced"])

    @property
    def length(self) -> float:
        """How long the output is, in seconds."""
        return float(sum(scene["duration"] for scene in self.scenes))

    def steps(self) -> list[Step]:
        """Return the whole life, as far as it is not cancelled."""
        steps = list(self._planned())
        if self.cancelled_after is None:
            return steps
        told = [step for step in steps if step.after <= self.cancelled_after]
        progress = self._progress(list(self._planned()), self.cancelled_after)
        return [*told, Step(self.cancelled_after, "cancelled", None, progress, told[-1].succeeded)]

    def _progress(self, steps: list[Step], age: float) -> float:
        """Return how far the job is: as far as its step, or a bit further where progress is smooth."""
        number = max(i for i, step in enumerate(steps) if step.after <= max(age, 0.0))
        step, later = steps[number], steps[min(number + 1, len(steps) - 1)]
        if not self.habits.is_smooth or step is later:
            return step.progress
        return step.progress + (later.progress - step.progress) * (age - step.after) / (later.after - step.after)

    def _planned(self) -> Iterator[Step]:
        executing, scenes = self.habits.executing, sorted(float(scene["duration"]) for scene in self.scenes)
        yield Step(0.0, "queued", None, 0.0)
        yield Step(at := QUEUED, "running", "planning", 0.05)
        yield Step(at := at + PLANNED, "running", "dispatching", 0.1)
        start, workers = at + DISPATCHED, self.workers
        yield Step(start, executing, "rendering", 0.15, 0, min(workers, len(scenes)))
        for number, seconds in enumerate(scenes[:-1], start=1):
            at = start + SLOWEST_START + seconds + number / 10
            running = min(workers, len(scenes) - number)
            yield Step(at, executing, "rendering", 0.15 + 0.6 * number / len(scenes), number, running)
        end = start + SLOWEST_START + scenes[-1] + len(scenes) / 10
        yield Step(end, "running", "assembling", 0.3 if self.habits.falls_back else 0.8, len(scenes))
        yield Step(end + ASSEMBLED, "running", "uploading", 0.9, len(scenes))
        yield Step(end + ASSEMBLED + UPLOADED, "done", None, 1.0, len(scenes))

    def step(self, now: datetime) -> tuple[int, Step]:
        """Return number and step of an instant."""
        age = (now - self.created).total_seconds()
        steps = self.steps()
        number = max(i for i, step in enumerate(steps) if step.after <= max(age, 0.0))
        return number, steps[number]

    def instant(self, at: datetime) -> str:
        """Write an instant as this production does."""
        text = at.astimezone(UTC).isoformat(timespec="milliseconds" if self.habits.has_milliseconds else "seconds")
        return text.replace("+00:00", "Z")

    def document(self, now: datetime) -> dict[str, Any]:
        """Return what is shown of the job."""
        _, step = self.step(now)
        age = (now - self.created).total_seconds()
        changed = age if self.habits.is_smooth and step.status not in TERMINAL else step.after
        found = {
            "jobId": self.id,
            "type": self.habits.job_type,
            "status": step.status,
            "phase": step.phase,
            "progress": self._progress(self.steps(), age),
            "parentJobId": None,
            "outputUrl": self._output(step),
            "error": None,
            "mediaData": self._media(step),
            "payload": {"projectId": self.body["projectId"], "movie": self.body["movie"]},
            "children": self._children(step),
            "createdAt": self.instant(self.created),
            "updatedAt": self.instant(self.created + timedelta(seconds=changed)),
        }
        if self.habits.extras:
            found |= {"region": "eu-central-1", "priority": 5}
        without = self.habits.lacks | (frozenset() if self.habits.has_media else {"mediaData"})
        return {name: value for name, value in found.items() if name not in without}

    def event(self, step: Step) -> dict[str, Any]:
        """Return what streams and webhooks tell of a step."""
        found = {
            "jobId": self.id,
            "status": step.status,
            "progress": step.progress,
            "outputUrl": self._output(step),
            "timestamp": self.instant(self.created + timedelta(seconds=step.after)),
        }
        if step.status not in TERMINAL:
            found |= {"phase": step.phase, "children": self._children(step)}
        if step.status == "done":
            found["mediaData"] = self._media(step)
        return {name: value for name, value in found.items() if name not in self.habits.event_without}

    def child(self, job_id: str, now: datetime) -> dict[str, Any]:
        """Return what is shown of a scene or of the assembly; it does what the parent does."""
        kind = "render.assemble" if job_id.startswith("assemble_") else "render.scene"
        found = self.document(now) | {"jobId": job_id, "type": kind, "parentJobId": self.id}
        del found["children"]
        if kind == "render.scene":
            found["payload"] = {"projectId": self.body["projectId"], "scene": self.scenes[0]}
        return found

    def children_ids(self) -> list[str]:
        """Return the ids of its scenes, and of its assembly."""
        scenes = [f"scene_{self.id}_{number:03}" for number in range(1, len(self.scenes) + 1)]
        return [*scenes, f"assemble_{self.id}"]

    def _output(self, step: Step) -> str | None:
        return f"https://r2.viralsync.io/outputs/{self.id}/output.mp4" if step.status == "done" else None

    def _media(self, step: Step) -> dict[str, Any] | None:
        movie = self.body["movie"]
        size = {"width": movie.get("width") or 1920, "height": movie.get("height") or 1080}
        return {"duration": self.length, **size, "fileSize": 51_200} if step.status == "done" else None

    def _children(self, step: Step) -> dict[str, int]:
        total = len(self.scenes) + self.habits.counts_assembly
        succeeded = total if step.status == "done" else step.succeeded
        queued = 0 if step.status in TERMINAL else total - succeeded - step.running
        return {"total": total, "succeeded": succeeded, "running": step.running, "queued": queued, "failed": 0}
