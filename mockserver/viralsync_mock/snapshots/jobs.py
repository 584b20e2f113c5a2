"""Jobs in a snapshot. One whose timeline was not rewritten is only its recipe."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import msgspec

from viralsync_mock.clock import LAST
from viralsync_mock.config.yaml_source import preview
from viralsync_mock.generation.schema_node import SchemaNode
from viralsync_mock.jobs.models import (
    Children,
    ChildRun,
    Pause,
    Status,
    Step,
    Timeline,
    whole_milliseconds,
)
from viralsync_mock.jobs.recipe import Recipe, build, echo
from viralsync_mock.jobs.steps import HELD_BELOW_ONE, step_at, steps
from viralsync_mock.snapshots.references import check_ascending, decode, lookup, require
from viralsync_mock.snapshots.schema import (
    JobPart,
    SpanRow,
    TimelinePart,
    masked_part,
)
from viralsync_mock.validation.body import BodyValidator
from viralsync_mock.validation.schema import Schema, ValidationFailed, Violation, invalid

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from viralsync_mock.jobs.models import Job, Slices
    from viralsync_mock.snapshots.references import ReferenceReader, ReferenceWriter


ROWS = 1000
"""Rows of a timeline that are written at once."""


def has_many_rows(job: Job) -> bool:
    """Say whether a job is written in slices: its timeline was rewritten, and it has many scenes."""
    return bool(job.version) and len(job.timeline.scenes) > ROWS


def write_job(job: Job, references: ReferenceWriter, key: str, *, is_deleted: bool) -> Slices[msgspec.Raw]:
    """Write a job as a part of a snapshot, in slices."""
    recipe = cast("Recipe", job.recipe)
    timeline = (yield from _timeline_part(job.timeline)) if job.version else None
    part = JobPart(
        number=job.number,
        id=job.id,
        created=job.created,
        status=job.status,
        payload=msgspec.Raw(job.payload),
        workers=recipe.workers,
        scenario=references.scenario(recipe.scenario),
        behaviour=references.behaviour(recipe.behaviour),
        callback_url=job.callback_url,
        named=job.scenario,
        is_deleted=is_deleted,
        timeline=timeline,
    )
    return masked_part(part, key)


def _timeline_part(timeline: Timeline) -> Slices[TimelinePart]:
    scenes = yield from _span_rows(timeline.scenes)
    return TimelinePart(
        marks=list(timeline.marks),
        scenes=cast("list[SpanRow]", scenes),
        assemble=_span_row(timeline.assemble),
        error=timeline.error,
        floors=list(timeline.floors),
        emitted=list(timeline.emitted_steps),
    )


def _span_rows(spans: Sequence[ChildRun]) -> Slices[msgspec.Raw]:
    """Write the rows as JSON, few at a time: a job may have 30,000, and as many objects would wake the collector."""
    texts = []
    for at in range(0, len(spans), ROWS):
        texts.append(msgspec.json.encode([_span_row(span) for span in spans[at : at + ROWS]])[1:-1])
        yield
    return msgspec.Raw(b"[%b]" % b",".join(texts))


def _span_row(span: ChildRun) -> SpanRow:
    """Return what is written as a `SpanRow`, without making one."""
    row = span.start, None if span.length == math.inf else span.length, span.end, span.outcome
    return cast("SpanRow", row)


class JobReader:
    """Reads the jobs of one snapshot, in order; raises ValidationFailed."""

    def __init__(self, known: ReferenceReader, seed: str, now: datetime, settled: datetime | None = None) -> None:
        self._known, self._seed, self._now, self._settled = known, seed, now, settled
        spec = known.files.spec
        operation = spec.operations["submitRenderJob"]
        asked = SchemaNode(operation.body_schema or {}, spec.document)
        schema = {
            "type": "object",
            "required": ["projectId", "movie"],
            "properties": {name: asked.child(name).schema for name in ("projectId", "movie")},
            "additionalProperties": False,
        }
        self._payload = BodyValidator(replace(operation, body_schema=schema), spec)
        self._callback_url = Schema(asked.child("callbackUrl").schema, spec.document)
        self._longest = max(plan.longest_movie_seconds for plan in spec.plans.values())

    def read(self, raw: msgspec.Raw, place: str) -> tuple[Job, JobPart]:
        """Return a job; its status is the one in its timeline at the clock's instant."""
        part = decode(raw, JobPart, place)
        asked = self._asked(part, place)
        movie, known = asked["movie"], self._known
        recipe = Recipe(
            payload=echo(asked["projectId"], movie),
            workers=part.workers,
            created=part.created,
            behaviour=lookup(known.behaviours, part.behaviour, f"{place}.behaviour"),
            scenario=lookup(known.scenarios, part.scenario, f"{place}.scenario"),
            seed=self._seed,
            number=part.number,
        )
        if part.named is not None:
            known.shipped(part.named, f"{place}.named")
        job = build(recipe, movie, known.files.movies, part.callback_url, part.named)
        require(job.id == part.id, f"{place}.id", f"{preview(job.id)}, as seed and number have it", part.id)
        if job.seconds > self._longest:
            invalid(f"{place}.payload.movie", f"expected at most {self._longest:g} s, got {job.seconds:g} s")
        check_ascending([job.created], f"{place}.created", self._now)
        self._set(job, part, place)
        return job, part

    def _asked(self, part: JobPart, place: str) -> dict[str, Any]:
        """Return the payload as JSON, validated as that of a submission."""
        if part.callback_url is not None:
            wrong = [*self._callback_url.violations(part.callback_url, f"{place}.callbackUrl")]
            if wrong:
                raise ValidationFailed(wrong)
        try:
            return dict(self._payload.read(bytes(part.payload), None, require_content_type=False))
        except ValidationFailed as error:
            moved = [Violation(f"{place}.payload{each.location[1:]}", each.message) for each in error.violations]
            raise ValidationFailed(moved) from None

    def _set(self, job: Job, part: JobPart, place: str) -> None:
        """Set the timeline and the status of a job, which must agree."""
        if part.timeline is not None:
            timeline = _timeline(job.timeline, part.timeline)
            _check(timeline, job, f"{place}.timeline", self._now)
            job.rewrite(timeline)
        mark = job.timeline.mark_at(self._settled or self._now)
        if self._settled is None:  # else the status is the one when it was written
            require(
                part.status is mark.status, f"{place}.status", f"{mark.status}, as its timeline has it", part.status
            )
        if part.timeline is not None:
            self._check_steps(job, f"{place}.timeline")
        job.status = mark.status
        if job.status.is_terminal:
            job.drop_timeline()
        require(
            job.status.is_terminal or not part.is_deleted,
            f"{place}.isDeleted",
            "false for a job that is not terminal",
            "true",
        )

    def _check_steps(self, job: Job, place: str) -> None:
        """Raise ValidationFailed where the emitted steps do not fit those to come."""
        every = steps(job.timeline)
        for one, other in pairwise(every):
            if other.progress < one.progress:
                invalid(place, f"expected progress that never shrinks, got {one.progress} and then {other.progress}")
        status = step_at(every, self._now).status
        require(status is job.timeline.mark_at(self._now).status, f"{place}.emitted", "the status of the marks", status)


def _timeline(planned: Timeline, part: TimelinePart) -> Timeline:
    pauses = {index: run.pause for index, run in enumerate(planned.scenes)}  # a rewrite leaves them
    return replace(
        planned,
        marks=tuple(part.marks),
        scenes=tuple(_span(row, pauses.get(index)) for index, row in enumerate(part.scenes)),
        assemble=_span(part.assemble, planned.assemble.pause),
        error=part.error,
        floors=tuple(part.floors),
        emitted_steps=tuple(part.emitted),
    )


def _span(row: SpanRow, pause: Pause | None) -> ChildRun:
    return ChildRun(row.start, math.inf if row.length is None else row.length, row.end, row.outcome, pause)


def _check(timeline: Timeline, job: Job, place: str, now: datetime) -> None:
    """Raise ValidationFailed for a timeline that no rewrite makes of the planned one."""
    planned, created = job.timeline, whole_milliseconds(job.created)
    marks, emitted = timeline.marks, timeline.emitted_steps
    scenes = len(planned.scenes)
    require(len(timeline.scenes) == scenes, f"{place}.scenes", f"{scenes}", len(timeline.scenes))
    require(marks[0] == planned.marks[0], f"{place}.marks[0]", "the one of the submission", "another")
    check_ascending([mark.at for mark in marks], f"{place}.marks", LAST)
    check_ascending([floor.at for floor in timeline.floors], f"{place}.floors", now)
    check_ascending([created, *(step.at for step in emitted)], f"{place}.emitted", now)
    for index, mark in enumerate(marks):
        is_end = index == len(marks) - 1 and mark.status.is_terminal
        if mark.status.is_terminal != is_end or (mark.phase is None) != (is_end or index == 0):
            invalid(
                f"{place}.marks[{index}]", f"expected a phase, and a terminal status at the end alone, got {mark[1:]}"
            )
    for index, floor in enumerate(timeline.floors):
        if not 0 <= floor.progress <= HELD_BELOW_ONE:
            invalid(f"{place}.floors[{index}]", f"expected 0 to {HELD_BELOW_ONE}, got {floor.progress}")
    has_failed = timeline.outcome is Status.FAILED
    require(has_failed == (timeline.error is not None), f"{place}.error", "one for a job that fails", timeline.error)
    for index, span in enumerate([*timeline.scenes, timeline.assemble]):
        _check_span(span, f"{place}.scenes[{index}]" if index < scenes else f"{place}.assemble")
    total = scenes + timeline.assemble_is_counted
    for index, step in enumerate(emitted):
        _check_emitted(step, index, total, timeline, f"{place}.emitted[{index}]")


def _check_span(span: ChildRun, place: str) -> None:
    if span.start is not None and span.end is not None:
        check_ascending([span.start, span.end], place, LAST)
    require(span.outcome.is_terminal, place, "a terminal outcome", span.outcome)
    if span.start is not None and math.isfinite(span.length):
        most = (LAST - span.start).total_seconds()
        require(span.length <= most, place, f"a length of at most {most:g} s", span.length)


def _check_emitted(step: Step, index: int, total: int, timeline: Timeline, place: str) -> None:
    """Raise ValidationFailed for an emitted step that does not follow from the marks."""
    require(step.number == index, place, f"number {index}", step.number)
    counts = step.children or Children(0, 0, 0, 0, 0)
    adds_up = counts.total == total and min(counts) >= 0 and sum(counts[1:]) <= total
    require(adds_up, f"{place}[5]", f"{total} children", sum(counts))
    require(0 <= step.progress <= 1, f"{place}[4]", "progress from 0 to 1", step.progress)
    earlier = [mark for mark in timeline.marks if mark.at < step.at][-1:]
    known = [mark[1:] for mark in (*earlier, *(mark for mark in timeline.marks if mark.at == step.at))]
    if (step.status, step.phase) not in known:
        invalid(place, f"expected the status and phase of a mark, got {step.status} and {step.phase}")
