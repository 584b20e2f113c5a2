"""Which states of the API a client can meet, and which it has met: facts, each a short text that stays the same.

| fact | met when |
|---|---|
| `operation getJob 200` | an answer with this status has left, for each declared one |
| `code RATE_LIMITED` | a call was refused so; the name is the spec's, also where a behaviour profile has another |
| `status waiting`, `phase rendering` | a response, an event or an accepted webhook showed it, also of a child |
| `transition running->waiting` | the client was shown both for the same job, one right after the other |
| `stream ended ...`, `stream resumed` | a progress stream ended so; one was opened with a `Last-Event-ID` |
| `webhook done` | a receiver has answered one of this kind with 2xx |
| `pages cursor followed`, `pages walked to the end` | a cursor was followed, to the last page |

What counts is what the client was shown, not what its jobs went through meanwhile: code that looks once, at the end,
has met no transition. Calls and webhooks have separate sequences. Every fact can be met by the API's own behaviour, a
fault or a rule of a scenario. Facts that only an order of a test could bring about are not counted, nor is 405 of an
operation, since a call with a wrong method belongs to none; its code is.
"""

from __future__ import annotations

from itertools import chain, pairwise
from typing import TYPE_CHECKING, NamedTuple

import orjson

from viralsync_mock.jobs import sse
from viralsync_mock.jobs.models import TERMINAL, Phase, Status
from viralsync_mock.jobs.recipe import statuses_under
from viralsync_mock.journal.entry import ANSWERED, CLIENT_DISCONNECTED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from viralsync_mock.config.behaviour import BehaviourProfile
    from viralsync_mock.jobs.models import Job, Step
    from viralsync_mock.jobs.views import Subject
    from viralsync_mock.openapi.spec import Spec

METHOD_NOT_ALLOWED = 405

STREAM_STATES = (
    "stream ended terminal",
    "stream ended without terminal",
    "stream ended dropped",
    "stream ended client left",
    "stream resumed",
)
WEBHOOK_STATES = ("webhook progress", *(f"webhook {status}" for status in Status if status in TERMINAL))
PAGE_STATES = ("pages cursor followed", "pages walked to the end")


class CoverageRecorder:
    """Records what a client has met, in sets of bounded size.

    `answers` holds (operation id, status, error code), `views` (status shown before, status, phase) of jobs; the status
    before is None for the first view of a job and for children. `other_states` holds facts about streams, webhooks and
    pages as texts.
    """

    __slots__ = ("answers", "other_states", "views")

    def __init__(self) -> None:
        self.answers: set[tuple[str, int | None, str | None]] = set()
        self.views: set[tuple[Status | None, Status, Phase | None]] = set()
        self.other_states: set[str] = set()

    def record_submission(self, job: Job) -> None:
        """Record that a client was shown its job, which is queued."""
        self.views.add((None, Status.QUEUED, None))
        job.last_reported_status = Status.QUEUED

    def record_step(self, subject: Subject, step: Step) -> None:
        """Record a step of a job that a response or a stream showed."""
        if subject.number is not None:
            self.views.add((None, step.status, step.phase))
            return
        job = subject.job
        self.views.add((job.last_reported_status, step.status, step.phase))
        job.last_reported_status = step.status

    def record_delivery(self, kind: str, body: bytes, before: Status | None) -> Status:
        """Record an accepted webhook and return its status; `before` is the status of the one before."""
        document = orjson.loads(body)
        status, phase = Status(document["status"]), document.get("phase")
        self.other_states.add(f"webhook {kind}")
        self.views.add((before, status, None if phase is None else Phase(phase)))
        return status

    def record_page(self, cursor: str | None, next_cursor: str | None) -> None:
        """Record a page that was requested by its cursor."""
        if cursor is not None:
            self.other_states.add("pages cursor followed")
            if next_cursor is None:
                self.other_states.add("pages walked to the end")

    def record_resume(self) -> None:
        """Record a stream that was resumed."""
        self.other_states.add("stream resumed")

    def record_stream_end(self, ending: str, last: bytes | None) -> None:
        """Record the ending of a stream, in the journal's words, and its last event; None when it had none."""
        if ending == CLIENT_DISCONNECTED:
            self.other_states.add("stream ended client left")
        elif ending != ANSWERED:
            self.other_states.add("stream ended dropped")
        elif last is not None:
            is_terminal = sse.document(last)["status"] in TERMINAL
            self.other_states.add("stream ended terminal" if is_terminal else "stream ended without terminal")


class Coverage(NamedTuple):
    """What was met and what was not, each in the order of the spec."""

    covered: tuple[str, ...]
    uncovered: tuple[str, ...]

    @property
    def percent(self) -> float:
        """How much of it all was met, 0 to 100, to one decimal; never rounded up to 100."""
        share = 1000 * len(self.covered) / ((len(self.covered) + len(self.uncovered)) or 1)
        return int(share) / 10


def coverage(reachable: Iterable[str], met: Collection[str]) -> Coverage:
    """Divide the facts that can be met into those that were and the others."""
    facts = tuple(reachable)
    return Coverage(tuple(f for f in facts if f in met), tuple(f for f in facts if f not in met))


def covered_states(sightings: Iterable[CoverageRecorder]) -> set[str]:
    """Return what was met as texts, including facts that are not counted."""
    return set(chain.from_iterable(map(_describe, sightings)))


def _describe(sightings: CoverageRecorder) -> Iterator[str]:
    yield from sightings.other_states
    for operation, status, code in sightings.answers:
        if status is not None:  # a fault left no answer
            yield f"operation {operation} {status}"
            yield f"code {code}"
    for before, now, phase in sightings.views:
        yield f"status {now}"
        yield f"phase {phase}"
        yield f"transition {before}->{now}"


def reachable_states(spec: Spec, behaviour: BehaviourProfile) -> tuple[str, ...]:
    """Return all that a client of this API can meet, under a behaviour profile, in the order of the spec."""
    edges = _edges(behaviour)
    seen = {status for edge in edges for status in edge}
    return (
        *_operations(spec),
        *(f"code {code}" for code in spec.errors),
        *(f"status {status}" for status in Status if status in seen),
        *(f"transition {before}->{now}" for before, now in edges),
        *(f"phase {phase}" for phase in statuses_under(behaviour) if phase is not None),
        *(STREAM_STATES if "streamJobProgress" in spec.operations else ()),
        *(WEBHOOK_STATES if "submitRenderJob" in spec.operations else ()),
        *(PAGE_STATES if "listJobs" in spec.operations else ()),
    )


def _operations(spec: Spec) -> Iterator[str]:
    for operation in spec.operations.values():
        for status in operation.responses:
            if status != METHOD_NOT_ALLOWED:
                yield f"operation {operation.id} {status}"


def _edges(behaviour: BehaviourProfile) -> tuple[tuple[Status, Status], ...]:
    """Return every change of status: along the timeline, then to `failed` from a phase, then to `cancelled`."""
    statuses = tuple(statuses_under(behaviour).values())
    along = ((a, b) for a, b in pairwise((*statuses, Status.DONE)) if a is not b)
    failing = ((status, Status.FAILED) for status in statuses[1:])
    cancelled = ((status, Status.CANCELLED) for status in statuses)
    return tuple(dict.fromkeys(chain(along, failing, cancelled)))
