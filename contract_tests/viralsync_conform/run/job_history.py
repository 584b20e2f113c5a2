"""The lives of the jobs that a run saw: what polls and streams showed of each, in order.

Nothing is judged here. Instants are the target's own: `updatedAt` of a job, `timestamp` of an event; when one cannot
be read, that of the call or of the event's arrival stands in.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from itertools import groupby, pairwise
from math import isfinite
from typing import Any

from viralsync_conform.calls import TERMINAL, Exchange, instant_of
from viralsync_conform.contract.schemas import CREATES, ENDS, READS, STREAMS
from viralsync_conform.run.job_invariants import PHASES

POLL, STREAM, CREATED = "poll", "stream", "created"


@dataclass(frozen=True, slots=True)
class StatusSample:
    """How a job stood at an instant of the target's clock; `source` is a poll, a stream, or its `createdAt`."""

    at: datetime
    status: str
    phase: str | None
    progress: float | None
    source: str
    call: int

    @property
    def is_terminal(self) -> bool:
        """Whether the job had ended."""
        return self.status in TERMINAL


@dataclass(frozen=True, slots=True)
class Interval:
    """How long a job stayed in one status and phase; `end` is None where nobody saw what came next."""

    status: str
    phase: str | None
    start: datetime
    end: datetime | None

    @property
    def step(self) -> str:
        """The phase, or the status of a job that has none."""
        return self.phase or self.status

    @property
    def seconds(self) -> float | None:
        """How long it was, if that is known."""
        return None if self.end is None else (self.end - self.start).total_seconds()


@dataclass(frozen=True)
class JobHistory:
    """One job as it was seen; `scenes` are the lengths of its scenes in seconds, where the payload has them."""

    job_id: str
    parent: str | None
    sightings: tuple[StatusSample, ...]
    scenes: tuple[float, ...] = ()
    options: Mapping[str, Any] | None = None

    @cached_property
    def stretches(self) -> tuple[Interval, ...]:
        """The statuses and phases that it went through."""
        groups = groupby(self.sightings, lambda each: (each.status, each.phase))
        starts = [(status, phase, next(group).at) for (status, phase), group in groups]
        ends = [start for _, _, start in starts[1:]]
        return tuple(
            Interval(status, phase, start, end)
            for (status, phase, start), end in zip(starts, [*ends, None], strict=True)
        )

    @property
    def outcome(self) -> str | None:
        """The status in which it ended; None when nobody saw that."""
        last = self.sightings[-1]
        return last.status if last.is_terminal else None

    @property
    def seconds(self) -> float:
        """From the first sighting to the last."""
        return (self.sightings[-1].at - self.sightings[0].at).total_seconds()

    @property
    def gaps(self) -> tuple[float, ...]:
        """Seconds from each event of its streams to the next."""
        reported = sorted({each.at for each in self.sightings if each.source == STREAM})
        return tuple((after - before).total_seconds() for before, after in pairwise(reported))


def job_histories(calls: Iterable[Exchange]) -> tuple[JobHistory, ...]:
    """Return the life of every job that was polled or streamed, in the order in which they were first met."""
    calls = tuple(calls)
    seen: dict[str, list[StatusSample]] = {}
    parents: dict[str, str] = {}
    movies: dict[str, tuple[tuple[float, ...], Mapping[str, Any]]] = {}
    for call in calls:
        for job_id, sighting in _sightings(call):
            seen.setdefault(job_id, []).append(sighting)
        about, parent = call.document.get("jobId"), call.document.get("parentJobId")
        if isinstance(about, str) and call.is_success:
            if isinstance(parent, str):
                parents[about] = parent
            if movie := _movie(call):
                movies.setdefault(about, movie)
    return tuple(
        JobHistory(job_id, parents.get(job_id), _ordered(sightings), *movies.get(job_id, ((), None)))
        for job_id, sightings in seen.items()
    )


def _sightings(call: Exchange) -> Iterator[tuple[str, StatusSample]]:
    if call.effect == STREAMS:
        for event in call.events:
            yield from _sighting(event.document, "timestamp", event.at, STREAM, call.number)
    if call.effect in {READS, ENDS} and call.is_success:
        for job_id, sighting in _sighting(call.document, "updatedAt", call.at, POLL, call.number):
            created = instant_of(call.document.get("createdAt"))
            if created is not None:
                yield job_id, StatusSample(created, "queued", None, 0.0, CREATED, call.number)
            yield job_id, sighting


def _sighting(
    reported: Mapping[str, Any], when: str, otherwise: datetime, source: str, call: int
) -> Iterator[tuple[str, StatusSample]]:
    job_id, status, phase, progress = (reported.get(name) for name in ("jobId", "status", "phase", "progress"))
    if isinstance(job_id, str) and isinstance(status, str):
        at = instant_of(reported.get(when)) or instant_of(reported.get("updatedAt")) or otherwise
        known = phase if isinstance(phase, str) else None
        yield job_id, StatusSample(at, status, known, _number(progress), source, call)


def _ordered(sightings: list[StatusSample]) -> tuple[StatusSample, ...]:
    """Sort by time, what happens in one instant by the order of a job's steps; drop repetitions.

    When a job was created is its first sighting if nothing can have been missed between the two.
    """
    reported = sorted((each for each in sightings if each.source != CREATED), key=lambda each: (each.at, _rank(each)))
    born = [each for each in sightings if each.source == CREATED and each.at <= reported[0].at]
    first = born[:1] if _rank(reported[0]) <= 1 else []
    return (*first, *{replace(each, call=0): each for each in reported}.values())


def _rank(sighting: StatusSample) -> int:
    if sighting.is_terminal:
        return len(PHASES) + 1
    return PHASES.index(sighting.phase) + 1 if sighting.phase in PHASES else 0


def _movie(call: Exchange) -> tuple[tuple[float, ...], Mapping[str, Any]] | None:
    """Return lengths of the scenes and render options of the job that the call submitted or read."""
    if call.effect not in {CREATES, READS}:
        return None
    asked = _object(_json(call.request_body) if call.effect == CREATES else call.document.get("payload"))
    scenes = _object(asked.get("movie")).get("scenes")
    lengths = [_number(_object(scene).get("duration")) for scene in scenes] if isinstance(scenes, list) else []
    known = tuple(length for length in lengths if length is not None and length > 0)
    return (known, _object(asked.get("renderOptions"))) if known and len(known) == len(lengths) else None


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _number(value: object) -> float | None:
    """Return a finite number; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if isfinite(value) else None
    except OverflowError:
        return None
