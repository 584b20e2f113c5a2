"""The nouns of a job: its status and phase, its timeline, its steps.

Statuses and phases are the API's own words (docs page /concepts/jobs-model).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import orjson

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


JOB_SIZE, SCENE_SIZE = 2048, 1200
"""What a job takes in memory beside its payload, and each scene while its steps are kept."""

MAX_KEPT_TEXT = 4096
"""Bytes of a running job's JSON that are kept between polls, and counted from when the job is planned."""


LATEST = datetime.max.replace(tzinfo=UTC)

SLICE = 500
"""Scenes that are planned at a time: about 5 ms. A job of many more lets other calls in between."""

T = TypeVar("T")
Slices = Generator[None, None, T]
"""Long work that can be done in slices; it returns its result."""


def at_once(work: Slices[T]) -> T:
    """Do all slices one after the other."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            result: T = done.value
            return result


async def in_turns(work: Slices[T], sleep: Callable[[float], Awaitable[None]]) -> T:
    """Do all slices, and let others in after each."""
    while True:
        try:
            next(work)
        except StopIteration as done:
            result: T = done.value
            return result
        await sleep(0)


class Status(StrEnum):
    """Where a job stands; `done`, `failed` and `cancelled` are terminal."""

    __hash__ = str.__hash__  # with Enum's own, each look-up would call Python code

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

    __hash__ = str.__hash__  # with Enum's own, each look-up would call Python code

    PLANNING = "planning"
    DISPATCHING = "dispatching"
    WAITING = "waiting"
    RENDERING = "rendering"
    ASSEMBLING = "assembling"
    UPLOADING = "uploading"


class Children(NamedTuple):
    """How many children have which status; cancelled ones are in `total` only."""

    total: int
    succeeded: int
    running: int
    queued: int
    failed: int


class Step(NamedTuple):
    """The state of a job from `at` until its next step; `number`, from 0, is the id of its event in a stream."""

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


class Pause(NamedTuple):
    """From `at` on a run stands still for some seconds; `inf` is for ever."""

    at: datetime
    seconds: float


class ChildRun(NamedTuple):
    """The run of one child.

    `start` is None for a child that never starts, `end` for one that never ends. `length` is the planned length in
    seconds without its pause, also of a run that was cut short.
    """

    start: datetime | None
    length: float
    end: datetime | None
    outcome: Status
    pause: Pause | None = None


class MinimumProgress(NamedTuple):
    """From `at` on the progress is at least this, as a test asked for."""

    at: datetime
    progress: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """The planned life of one job and its children, from which every view of the job is made.

    `marks` are the parent's, in order, the first at its creation; a timeline whose last mark is not terminal never
    ends. `reports` is how many progress reports a scene makes. `error` is the parent's when it fails. `emitted_steps`
    are the steps before the last rewrite, which clients may have seen.
    """

    marks: tuple[StatusChange, ...]
    scenes: tuple[ChildRun, ...]
    assemble: ChildRun
    reports: int
    error: str | None = None
    floors: tuple[MinimumProgress, ...] = ()
    emitted_steps: tuple[Step, ...] = ()
    assemble_is_counted: bool = False
    known_steps: list[tuple[Step, ...]] = field(default_factory=list, init=False, compare=False, repr=False)
    """The steps, once they have been found."""

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
        """Return the mark in force at an instant; before the job's creation, the first."""
        return self.marks[max(bisect_right(self.marks, instant, key=attrgetter("at")) - 1, 0)]

    def next_mark(self, instant: datetime) -> StatusChange | None:
        """Return the first mark after an instant."""
        index = bisect_right(self.marks, instant, key=attrgetter("at"))
        return self.marks[index] if index < len(self.marks) else None


@dataclass(eq=False, slots=True)
class Job:
    """One submitted job, and the timeline that follows from its recipe.

    `payload` is the JSON that every view echoes; `seconds`, `width` and `height` describe the output, and `length` is
    what a plan's limit is held against. `make` plans the timeline from the `recipe`, in slices, when it is first
    needed. `scenario` is the name of the one that the submission asked for. `status` is the one that the store has
    indexed. The `final` step of a finished job is kept once it has been read. `watchers` are called when the timeline
    is rewritten; `version` counts that. `last_reported_status` is the last one that a client has seen.
    """

    id: str
    number: int
    created: datetime
    type: str
    payload: bytes
    seconds: float
    width: int
    height: int
    make: Callable[..., Slices[Timeline]]
    recipe: tuple[object, ...]
    callback_url: str | None = None
    scenario: str | None = None
    length: float = 0.0
    status: Status = Status.QUEUED
    final: Step | None = None
    version: int = 0
    watchers: dict[Callable[[], None], None] | None = None
    last_reported_status: Status | None = None
    shown: tuple[Step, str, bytes] | None = None
    """The step and output URL that a client was last shown while the job ran, and their JSON: polls see it again."""
    held: int = 0
    """Bytes that the store has counted for this job."""
    _timeline: Timeline | None = None

    @property
    def timeline(self) -> Timeline:
        """The timeline; a finished job does not keep it, but plans it again."""
        return self._timeline or at_once(self.plan())

    def plan(self) -> Slices[Timeline]:
        """Plan the timeline."""
        timeline = self._timeline or (yield from self.make(*self.recipe))
        if not self.status.is_terminal:
            self._timeline = timeline
        return timeline

    @property
    def size(self) -> int:
        """The memory that this job takes, estimated."""
        if self._timeline is None:
            return JOB_SIZE + len(self.payload)
        return JOB_SIZE + len(self.payload) + SCENE_SIZE * len(self._timeline.scenes) + MAX_KEPT_TEXT

    def rewrite(self, timeline: Timeline) -> None:
        """Replace the timeline, which no longer follows from the recipe."""
        self._timeline, self.final, self.shown = timeline, None, None
        self.version += 1

    def drop_timeline(self) -> None:
        """Free the steps of a finished job, and its timeline unless it was rewritten.

        Those of a job of many scenes stay: to plan them again with each look would hold other calls.
        """
        self.shown = None
        if self._timeline is None or len(self._timeline.scenes) > SLICE:
            return
        self._timeline.known_steps.clear()
        if not self.version:
            self._timeline = None

    def subscribe(self, wake: Callable[[], None]) -> None:
        """Call `wake` whenever the timeline is rewritten."""
        self.watchers = self.watchers or {}
        self.watchers[wake] = None

    def unsubscribe(self, wake: Callable[[], None]) -> None:
        """Stop calling `wake`."""
        if self.watchers is not None:
            self.watchers.pop(wake, None)


def timestamp(instant: datetime) -> str:
    """Return an instant as the API writes it: ISO 8601, UTC, milliseconds, `Z` (docs page /api-reference/jobs)."""
    text = orjson.dumps(instant).decode()  # ten times as fast as isoformat(), and every response has two
    return f"{text[1:24]}Z" if instant.microsecond else f"{text[1:20]}.000Z"


def parse_timestamp(text: str) -> datetime:
    """Read an ISO 8601 instant with an offset; raises ValueError for anything else."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("an offset such as Z is missing")
    return instant.astimezone(UTC)


def whole_milliseconds(instant: datetime) -> datetime:
    """Return the instant without its microseconds, which are never shown."""
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def add_seconds(instant: datetime, seconds: float) -> datetime:
    """Return the instant `seconds` later, rounded to the millisecond, as instants are shown."""
    return instant + timedelta(milliseconds=round(seconds * 1000))
