"""What the client of a sandbox has met of the API: noted as it happens, whole however long the journal is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from viralsync_mock.jobs import sse
from viralsync_mock.jobs.models import TERMINAL, Phase, Status
from viralsync_mock.journal.entry import ANSWERED, LEFT

if TYPE_CHECKING:
    from viralsync_mock.jobs.models import Job, Step
    from viralsync_mock.jobs.views import Subject


class Sightings:
    """Sets that grow no further than there are things to meet.

    `answers` hold (operation's id, status, error code), `views` (status that was told before, status, phase) of jobs;
    of the first view of a job, and of a child's, what was told before is None. `facts` are what is met seldom enough to
    be put into words at once: of streams, webhooks and pages.
    """

    __slots__ = ("answers", "facts", "views")

    def __init__(self) -> None:
        self.answers: set[tuple[str, int | None, str | None]] = set()
        self.views: set[tuple[Status | None, Status, Phase | None]] = set()
        self.facts: set[str] = set()

    def submitted(self, job: Job) -> None:
        """Take note that a client was told of its job, which is queued."""
        self.views.add((None, Status.QUEUED, None))
        job.told = Status.QUEUED

    def shown(self, subject: Subject, step: Step) -> None:
        """Take note of a step of a job that an answer or a stream tells."""
        if subject.number is not None:
            self.views.add((None, step.status, step.phase))
            return
        job = subject.job
        self.views.add((job.told, step.status, step.phase))
        job.told = step.status

    def delivered(self, kind: str, body: bytes, told: Status | None) -> Status:
        """Take note of a webhook that its receiver has taken; `told` is what the one before has told."""
        document = orjson.loads(body)
        status, phase = Status(document["status"]), document.get("phase")
        self.facts.add(f"webhook {kind}")
        self.views.add((told, status, None if phase is None else Phase(phase)))
        return status

    def paged(self, cursor: str | None, next_cursor: str | None) -> None:
        """Take note of a page that somebody has asked for by its cursor."""
        if cursor is not None:
            self.facts.add("pages cursor followed")
            if next_cursor is None:
                self.facts.add("pages walked to the end")

    def resumed(self) -> None:
        """Take note of a stream that goes on after the last event that its reader had."""
        self.facts.add("stream resumed")

    def ended(self, ending: str, last: bytes | None) -> None:
        """Take note of how a stream ended, in the journal's words, and with which event; None when it told of none."""
        if ending == LEFT:
            self.facts.add("stream ended client left")
        elif ending != ANSWERED:
            self.facts.add("stream ended dropped")
        elif last is not None:
            is_terminal = sse.document(last)["status"] in TERMINAL
            self.facts.add("stream ended terminal" if is_terminal else "stream ended without terminal")
