"""A job as GET, list, streams and webhooks show it, all from the same step of the same timeline."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import orjson

from viralsync_mock.jobs import steps
from viralsync_mock.jobs.models import MAX_KEPT_TEXT, ChildRun, Job, Phase, Status, Step, timestamp
from viralsync_mock.randomness import between
from viralsync_mock.response import json_text

if TYPE_CHECKING:
    from datetime import datetime

BYTES_PER_PIXEL_SECOND = 0.12
"""Roughly the size of H.264, so that the file size of an output is plausible."""

MAX_STEPS, MAX_CHILDREN = 5_000, 1_000
"""What a timeline document lists: all of a huge job would take a second to write."""

_CHILD_ID = re.compile(r"(?:scene_(?P<scened>.+)_(?P<number>[0-9]{3,6})|assemble_(?P<assembled>.+))\Z")


@dataclass(slots=True)
class Subject:
    """What a call is about: a parent (`number` None), its assemble child (0), or a scene child (from 1)."""

    job: Job
    number: int | None = None

    @property
    def is_child(self) -> bool:
        """Whether it is a scene or the assemble child."""
        return self.number is not None

    @property
    def id(self) -> str:
        """The job id, as the documentation writes it (docs page /concepts/jobs-model)."""
        if self.number is None:
            return self.job.id
        return f"scene_{self.job.id}_{self.number:03}" if self.number else f"assemble_{self.job.id}"

    @property
    def type(self) -> str:
        """The job type."""
        if self.number is None:
            return self.job.type
        return "render.scene" if self.number else "render.assemble"

    @property
    def span(self) -> ChildRun:
        """The run of the child."""
        timeline = self.job.timeline
        return timeline.scenes[self.number - 1] if self.number else timeline.assemble

    def steps(self) -> tuple[Step, ...]:
        """Return all steps, past and future."""
        timeline = self.job.timeline
        if self.number is None:
            return steps.steps(timeline)
        phase = Phase.RENDERING if self.number else Phase.ASSEMBLING
        return steps.child_steps(self.span, phase, timeline.created, timeline.reports)

    def look(self, now: datetime) -> Step:
        """Return the step in force."""
        return steps.step_at(self.steps(), now) if self.is_child else steps.current_step(self.job, now)

    def next_change(self, now: datetime) -> datetime | None:
        """Return the instant of the next step."""
        following = steps.next_step(self.steps(), now)
        return following.at if following else None

    @property
    def seconds(self) -> float:
        """The length of the output: of the movie, or of the one scene."""
        if self.number:
            return float(orjson.loads(self.job.payload)["movie"]["scenes"][self.number - 1].get("duration") or 0)
        return self.job.seconds


def parse_child_id(text: str) -> tuple[str, int] | None:
    """Return (parent's id, number) of a child's id, or None for any other."""
    match = _CHILD_ID.match(text)
    if match is None:
        return None
    return (match["scened"], int(match["number"])) if match["number"] else (match["assembled"], 0)


def output_url(template: str, subject: Subject) -> str:
    """Return the URL of the output."""
    return template.replace("{jobId}", subject.id)


def media_data(subject: Subject) -> dict[str, Any]:
    """Describe the output: seconds, pixels, bytes (docs page /api-reference/jobs)."""
    job, seconds = subject.job, subject.seconds
    size = seconds * job.width * job.height * BYTES_PER_PIXEL_SECOND * between(0.8, 1.2, job.id, "file size")
    return {"duration": seconds, "width": job.width, "height": job.height, "fileSize": max(1, round(size))}


def job_document_at(subject: Subject, step: Step, template: str) -> dict[str, Any]:
    """Return the Job of docs page /api-reference/jobs at one of its steps; two may be at one instant."""
    job = subject.job
    is_done = step.status is Status.DONE
    document = {
        "jobId": subject.id,
        "type": subject.type,
        "status": step.status,
        "phase": step.phase,
        "progress": step.progress,
        "parentJobId": job.id if subject.is_child else None,
        "outputUrl": output_url(template, subject) if is_done else None,
        "error": job.timeline.error if step.status is Status.FAILED else None,
        "mediaData": media_data(subject) if is_done else None,
        "payload": _payload(subject),
        "createdAt": timestamp(job.created),
        "updatedAt": timestamp(step.at),
    }
    if step.children is not None:
        document["children"] = step.children._asdict()
    return document


def job_text_at(job: Job, step: Step, template: str) -> bytes:
    """Return the Job of a parent at one of its steps as JSON; the last one of a running job is kept."""
    shown = job.shown
    if shown is not None and shown[0] is step and shown[1] == template:
        return shown[2]
    text = json_text(job_document_at(Subject(job), step, template))
    if not job.status.is_terminal and len(text) <= MAX_KEPT_TEXT:
        job.shown = (step, template, text)
    return text


def _payload(subject: Subject) -> Any:
    if not subject.number:
        return orjson.Fragment(subject.job.payload)
    payload = orjson.loads(subject.job.payload)
    return {"projectId": payload["projectId"], "scene": payload["movie"]["scenes"][subject.number - 1]}


def event_document(subject: Subject, step: Step, template: str) -> dict[str, Any]:
    """Return the event of one step for streams and webhooks, whose fields depend on the status.

    Docs page /guides/webhooks.
    """
    document: dict[str, Any] = {
        "jobId": subject.id,
        "status": step.status,
        "progress": step.progress,
        "outputUrl": output_url(template, subject) if step.status is Status.DONE else None,
        "timestamp": timestamp(step.at),
    }
    if not step.status.is_terminal:
        document["phase"] = step.phase
        if step.children is not None:
            document["children"] = step.children._asdict()
    elif step.status is Status.DONE:
        document["mediaData"] = media_data(subject)
    elif step.status is Status.FAILED:
        document["error"] = subject.job.timeline.error
    return document


def event_kind(step: Step) -> str:
    """Return the name of an event: `progress`, or the terminal status."""
    return str(step.status) if step.status.is_terminal else "progress"


def timeline_document(subject: Subject, now: datetime) -> dict[str, Any]:
    """Return the whole timeline of a job or a child as JSON values."""
    job, every = subject.job, subject.steps()
    numbers = () if subject.is_child else (*range(1, len(job.timeline.scenes) + 1), 0)
    is_truncated = len(every) > MAX_STEPS or len(numbers) > MAX_CHILDREN
    return {
        **timeline_summary(subject, now),
        "now": timestamp(now),
        "parentJobId": job.id if subject.is_child else None,
        "error": None if subject.is_child else job.timeline.error,
        "steps": [_step_document(step) for step in every[:MAX_STEPS]],
        "children": [timeline_summary(Subject(job, number), now) for number in numbers[:MAX_CHILDREN]],
        **({"truncated": True} if is_truncated else {}),
    }


def timeline_summary(subject: Subject, now: datetime) -> dict[str, Any]:
    every, step = subject.steps(), subject.look(now)
    last = every[-1]
    starts = next((each.at for each in every if each.status in (Status.RUNNING, Status.WAITING)), None)
    return {
        "jobId": subject.id,
        "type": subject.type,
        "status": step.status,
        "phase": step.phase,
        "progress": step.progress,
        "createdAt": timestamp(subject.job.timeline.created),
        "startsAt": starts and timestamp(starts),
        "endsAt": timestamp(last.at) if last.status.is_terminal else None,
        "outcome": last.status,
        "marks": [
            {"at": timestamp(group[0].at), "status": group[0].status, "phase": group[0].phase}
            for _, each in groupby(every, key=attrgetter("status", "phase"))
            if (group := list(each))
        ],
    }


def _step_document(step: Step) -> dict[str, Any]:
    document: dict[str, Any] = {
        "at": timestamp(step.at),
        "status": step.status,
        "phase": step.phase,
        "progress": step.progress,
    }
    return document if step.children is None else {**document, "children": step.children._asdict()}
