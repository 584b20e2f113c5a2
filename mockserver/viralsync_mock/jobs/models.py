"""The nouns of a job: its status and phase, its timeline, its steps.

Statuses and phases are the API's own words (docs page /concepts/jobs-model).
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

import orjson

if TYPE_CHECKING:
    from collections.abc import Callable


class Status(StrEnum):
    """Where a job stands; `done`, `failed` and `cancelled` are terminal."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether a job with this status never changes again."""
        return self in TERMINAL


TERMINAL = frozenset({Status.DONE, Status.FAILED, Status.CANCELLED})


class Phase(StrEnum):
    """What an unfinished job is busy with."""

    PLANNING = "planning"
    DISPATCHING = "dispatching"
    WAITING = "waiting"
    RENDERING = "rendering"
    ASSEMBLING = "assembling"
    UPLOADING = "uploading"


class Children(NamedTuple):
    """How many children stand where; those cancelled are in `total` only."""

    total: int
    succeeded: int
    running: int
    queued: int
    failed: int


class Step(NamedTuple):
    """What a job is from `at` until its next step; `number`, from 0, is the id of the event that tells of it."""

    number: int
    at: datetime
    status: Status
    phase: Phase | None
    progress: float
    children: Children | None


class StatusChange(NamedTuple):
    """From `at` on the job has this status and this phase."""

    at: datetime
    status: Status
    phase: Phase | None


class ChildRun(NamedTuple):
    """The run of one child.

    `start` is None for a child that never starts, `end` for one that never ends; `length` is the time in
    seconds that the whole run was planned to take, whatever cut it short.
    """

    start: datetime | None
    length: float
    end: datetime | None
    outcome: Status


class MinimumProgress(NamedTuple):
    """From `at` on the progress is at least this, by order of a test."""

    at: datetime
    progress: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """The planned life of one job and its children: everything that any view of the job can say.

    `marks` are the parent's, in order, the first at its creation; a timeline whose last mark is not terminal
    never ends. `reports` is how many progress reports a scene makes. `error` is the parent's when it fails.
    `told` are the steps that had happened when the timeline was last rewritten: what was told stays told.
    """

    marks: tuple[StatusChange, ...]
    scenes: tuple[ChildRun, ...]
    assemble: ChildRun
    reports: int
    error: str | None = None
    floors: tuple[MinimumProgress, ...] = ()
    emitted_steps: tuple[Step, ...] = ()
    assemble_is_counted: bool = False

    @property
    def created(self) -> datetime:
        """When the job was submitted."""
        return self.marks[0].at

    @property
    def ends(self) -> datetime | None:
        """When the job becomes terminal, or None when it never does."""
        last = self.marks[-1]
        return last.at if last.status.is_terminal else None

    @property
    def outcome(self) -> Status:
        """The last status that the job will ever have."""
        return self.marks[-1].status

    def mark_at(self, instant: datetime) -> StatusChange:
        """Return the mark in force at an instant; before its creation a job stands at its first mark."""
        return self.marks[max(bisect_right(self.marks, instant, key=attrgetter("at")) - 1, 0)]

    def next_mark(self, instant: datetime) -> StatusChange | None:
        """Return the first mark after an instant."""
        index = bisect_right(self.marks, instant, key=attrgetter("at"))
        return self.marks[index] if index < len(self.marks) else None


@dataclass(eq=False, slots=True)
class Job:
    """One submitted job: what was asked for, and the timeline that follows from it.

    `payload` is the JSON that every view echoes; `seconds`, `width` and `height` describe the output. `make` plans the
    timeline from the `recipe` when somebody first looks. `scenario` is the name of the one that was asked for with
    the submission, if any. `status` is where the store last found the job; `steps` are the timeline's once somebody
    has looked at the unfinished job, and `final` the last of them once somebody has looked at the finished one.
    `watchers` are called when the timeline is rewritten; `version` counts how often it was. `told` is the status that
    the client was told last.
    """

    id: str
    number: int
    created: datetime
    type: str
    payload: bytes
    seconds: float
    width: int
    height: int
    make: Callable[..., Timeline]
    recipe: tuple[object, ...]
    callback_url: str | None = None
    scenario: str | None = None
    status: Status = Status.QUEUED
    steps: tuple[Step, ...] | None = None
    final: Step | None = None
    version: int = 0
    watchers: dict[Callable[[], None], None] | None = None
    last_reported_status: Status | None = None
    _timeline: Timeline | None = None

    @property
    def timeline(self) -> Timeline:
        """The planned life of the job; that of a finished job is planned anew whenever somebody asks for it."""
        if self._timeline is not None:
            return self._timeline
        timeline = self.make(*self.recipe)
        if not self.status.is_terminal:
            self._timeline = timeline
        return timeline

    def rewrite(self, timeline: Timeline) -> None:
        """Take another timeline, which the recipe no longer makes."""
        self._timeline, self.steps, self.final = timeline, None, None
        self.version += 1

    def drop_timeline(self) -> None:
        """Keep no more of a finished job than what its timeline follows from."""
        self.steps = None
        if not self.version:
            self._timeline = None

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Call this whenever the timeline is rewritten."""
        self.watchers = self.watchers or {}
        self.watchers[wake] = None

    def unsubscribe(self, wake: Callable[[], None]) -> None:
        """Call it no more."""
        if self.watchers is not None:
            self.watchers.pop(wake, None)


def timestamp(instant: datetime) -> str:
    """Write an instant as the API does: ISO 8601, UTC, milliseconds, `Z` (docs page /api-reference/jobs)."""
    text = orjson.dumps(instant).decode()  # ten times as fast as isoformat(), and every answer has two
    return f"{text[1:24]}Z" if instant.microsecond else f"{text[1:20]}.000Z"


def parse_timestamp(text: str) -> datetime:
    """Read an ISO 8601 instant with an offset; raises ValueError for anything else."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("an offset such as Z is missing")
    return instant.astimezone(UTC)


def whole_milliseconds(instant: datetime) -> datetime:
    """Return the instant without the part that is never shown."""
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def add_seconds(instant: datetime, seconds: float) -> datetime:
    """Return the instant that many seconds later, to the millisecond, so that what is shown is what is."""
    return instant + timedelta(milliseconds=round(seconds * 1000))
