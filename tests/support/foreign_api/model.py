"""Accounts and jobs: the mutable things of a server."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from . import clock
from .accounts import Start
from .wire import Doc

ENDED: Final = frozenset({"done", "failed", "cancelled"})
STATUSES: Final = ("queued", "running", "waiting", *sorted(ENDED))
TYPES: Final = (
    *("render.movie", "render.scene", "render.assemble", "render.finalize", "agent.chat", "agent.analyze"),
    *("workflow.run", "workflow.trigger", "publish.youtube", "publish.tiktok", "publish.instagram"),
)


@dataclass(eq=False)
class Account:
    """One customer; `minutes` are render minutes by month (`2026-01`) and by day (`2026-01-31`)."""

    name: str
    start: Start
    user_id: str
    email: str
    minutes: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    jobs: list[Job] = field(default_factory=list)

    @property
    def key(self) -> str:
        """The API key."""
        return self.start.key

    def charge(self, minutes: float, at: datetime) -> None:
        """Book render minutes in the month and on the day of `at`."""
        self.minutes[f"{at:%Y-%m}"] += minutes
        self.minutes[f"{at:%Y-%m-%d}"] += minutes


@dataclass(eq=False)
class Job:
    """One job, a parent or a child; `length` is seconds of video, `born` and `ended_at` are of the monotonic clock."""

    job_id: str
    type: str
    account: Account
    created: datetime
    number: int
    parent: Job | None = None
    payload: Doc | None = None
    length: float = 0.0
    frame: tuple[float, float] = (1920, 1080)
    preset: str = "balanced"
    callback_url: str | None = None
    status: str = "queued"
    phase: str | None = None
    last_phase: str | None = None
    progress: float = 0.0
    output_url: str | None = None
    error: str | None = None
    media: Doc | None = None
    scenes: list[Job] = field(default_factory=list)
    assemble: Job | None = None
    updated: datetime = field(init=False)
    born: float = field(default_factory=clock.monotonic)
    ended_at: float | None = None
    deleted_at: float | None = None
    cancelling: bool = False
    history: list[Doc] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    work: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.updated = self.created

    @property
    def ended(self) -> bool:
        """Whether the status is terminal."""
        return self.status in ENDED

    @property
    def children(self) -> list[Job]:
        """The scenes, then the assemble job."""
        return [*self.scenes, *([self.assemble] if self.assemble else [])]

    @property
    def since_end(self) -> float:
        """Seconds since the job ended; 0.0 before."""
        return clock.monotonic() - self.ended_at if self.ended_at is not None else 0.0

    @property
    def age(self) -> float:
        """Seconds since the job was made in this server."""
        return clock.monotonic() - self.born

    def wake(self) -> None:
        """Tell everybody who waits for a change."""
        self.changed.set()
        self.changed = asyncio.Event()
