"""Faults of views: what a client reads does not agree with what it was told elsewhere, as behind a slow replica."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from viralsync_mock.jobs import sse
from viralsync_mock.jobs.models import TERMINAL
from viralsync_mock.response import JSON

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from viralsync_mock.faults.http import CallNext, FaultContext
    from viralsync_mock.response import Response, StreamClient

Document = dict[str, Any]

UNKNOWN_FIELD = "addedLater"
"""The field of which no page tells."""

UNKNOWN_STATUS = "optimizing"
"""The status of which no page tells."""


@dataclass(frozen=True)
class StaleRead:
    """GET and list show jobs as they were so many seconds of the sandbox's clock ago: streams are ahead of them."""

    seconds: float

    async def apply(self, world: FaultContext, proceed: CallNext, /) -> Response:
        """Let the views of this call lag."""
        world.read_lag = timedelta(seconds=self.seconds)
        return await proceed()


@dataclass(frozen=True)
class MissingFromList:
    """The list leaves out jobs that were submitted less than so many seconds of the sandbox's clock ago."""

    seconds: float

    async def apply(self, world: FaultContext, proceed: CallNext, /) -> Response:
        """Hide new jobs from this call's list."""
        world.listing_delay = timedelta(seconds=self.seconds)
        return await proceed()


@dataclass(frozen=True)
class UnknownField:
    """GET, list, streams and the 202 of a submission show a field that no page describes."""

    async def apply(self, _world: FaultContext, proceed: CallNext, /) -> Response:
        """Add the field to whatever tells of a job."""
        return _visible(await proceed(), _with_field)


@dataclass(frozen=True)
class UnknownStatus:
    """GET, list and streams show every unfinished job with a status that no page describes."""

    async def apply(self, _world: FaultContext, proceed: CallNext, /) -> Response:
        """Give unfinished jobs another status; that of a submission's answer stays."""
        return _visible(await proceed(), _with_status)


def _with_field(job: Document) -> Document:
    return {**job, UNKNOWN_FIELD: {"since": 2}}


def _with_status(job: Document) -> Document:
    if "progress" not in job or job["status"] in TERMINAL:
        return job
    return {**job, "status": UNKNOWN_STATUS}


def _visible(answer: Response, change: Callable[[Document], Document]) -> Response:
    """Change every job that an answer tells of: itself, those of a list, or those of a stream's events."""
    if answer.stream is not None:
        answer.stream, answer.is_scripted = partial(_changed_events, change, answer.stream), True
    elif answer.body and answer.content_type == JSON:
        document = _changed(orjson.loads(answer.body), change)
        answer.body, answer.is_scripted = orjson.dumps(document), True
    return answer


def _changed(value: Any, change: Callable[[Document], Document]) -> Any:
    if isinstance(value, list):
        return [_changed(each, change) for each in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("jobId"), str) and isinstance(value.get("status"), str):
        return change(value)
    return {name: _changed(each, change) for name, each in value.items()}


async def _changed_events(
    change: Callable[[Document], Document],
    events: Callable[[StreamClient], AsyncGenerator[bytes]],
    reader: StreamClient,
) -> AsyncGenerator[bytes]:
    async with aclosing(events(reader)) as chunks:
        async for chunk in chunks:
            yield chunk if chunk is sse.KEEP_ALIVE else sse.with_document(chunk, change(sse.document(chunk)))
