"""What the client of a sandbox has met of the API: noted as it happens, whole however long the journal is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from viralsync_mock.jobs import sse
from viralsync_mock.jobs.models import TERMINAL, Phase, Status
from viralsync_mock.journal.entry import ANSWERED, CLIENT_DISCONNECTED

if TYPE_CHECKING:
    from viralsync_mock.jobs.models import Job, Step
    from viralsync_mock.jobs.views import Subject


class CoverageRecorder:
    """Sets that grow no further than there are things to meet.

    `answers` hold (operation's id, status, error code), `views` (status that was told before, status, phase) of jobs;
    of the first view of a job, and of a child's, what was told before is None. `facts` are what is met seldom enough to
    be put into words at once: of streams, webhooks and pages.
    """

    __slots__ = ("answers", "other_states", "views")

    def __init__(self) -> None:
        self.answers: set[tuple[str, int | None, str | None]] = set()
        self.views: set[tuple[Status | None, Status, Phase | None]] = set()
        self.other_states: set[str] = set()

    def record_submission(self, job: Job) -> None:
        """Take note that a client was told of its job, which is queued."""
        self.views.add((None, Status.QUEUED, None))
        job.last_reported_status = Status.QUEUED

    def record_step(self, subject: Subject, step: Step) -> None:
        """Take note of a step of a job that an answer or a stream tells."""
        if subject.number is not None:
            self.views.add((None, step.status, step.phase))
            return
        job = subject.job
        self.views.add((job.last_reported_status, step.status, step.phase))
        job.last_reported_status = step.status

    def record_delivery(self, kind: str, body: bytes, told: Status | None) -> Status:
        """Take note of a webhook that its receiver has taken; `told` is what the one before has told."""
        document = orjson.loads(body)
        status, phase = Status(document["status"]), document.get("phase")
        self.other_states.add(f"webhook {kind}")
        self.views.add((told, status, None if phase is None else Phase(phase)))
        return status

    def record_page(self, cursor: str | None, next_cursor: str | None) -> None:
        """Take note of a page that somebody has asked for by its cursor."""
        if cursor is not None:
            self.other_states.add("pages cursor followed")
            if next_cursor is None:
                self.other_states.add("pages walked to the end")

    def record_resume(self) -> None:
        """Take note of a stream that goes on after the last event that its reader had."""
        self.other_states.add("stream resumed")

    def record_stream_end(self, ending: str, last: bytes | None) -> None:
        """Take note of how a stream ended, in the journal's words, and with which event; None when it told of none."""
        if ending == CLIENT_DISCONNECTED:
            self.other_states.add("stream ended client left")
        elif ending != ANSWERED:
            self.other_states.add("stream ended dropped")
        elif last is not None:
            is_terminal = sse.document(last)["status"] in TERMINAL
            self.other_states.add("stream ended terminal" if is_terminal else "stream ended without terminal")
