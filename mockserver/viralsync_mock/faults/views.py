"""Faults of views: what a client reads differs from what other calls showed, as behind a slow replica."""

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
from viralsync_mock.response import JSON, json_text

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from viralsync_mock.faults.http import CallNext, FaultContext
    from viralsync_mock.response import Response, StreamClient

Document = dict[str, Any]

UNKNOWN_FIELD = "addedLater"

UNKNOWN_STATUS = "optimizing"


@dataclass(frozen=True)
class StaleRead:
    """GET and list show jobs as they were `seconds` virtual seconds ago; streams are up to date."""

    seconds: float

    async def apply(self, context: FaultContext, proceed: CallNext, /) -> Response:
        context.read_lag = timedelta(seconds=self.seconds)
        return await proceed()


@dataclass(frozen=True)
class MissingFromList:
    """The list leaves out jobs submitted less than `seconds` virtual seconds ago."""

    seconds: float

    async def apply(self, context: FaultContext, proceed: CallNext, /) -> Response:
        context.listing_delay = timedelta(seconds=self.seconds)
        return await proceed()


@dataclass(frozen=True)
class UnknownField:
    """GET, list, streams and the 202 of a submission show a field that no page describes."""

    async def apply(self, _context: FaultContext, proceed: CallNext, /) -> Response:
        return _visible(await proceed(), _with_field)


@dataclass(frozen=True)
class UnknownStatus:
    """GET, list and streams show every unfinished job with a status that no page describes."""

    async def apply(self, _context: FaultContext, proceed: CallNext, /) -> Response:
        return _visible(await proceed(), _with_status)


def _with_field(job: Document) -> Document:
    return {**job, UNKNOWN_FIELD: {"since": 2}}


def _with_status(job: Document) -> Document:
    if "progress" not in job or job["status"] in TERMINAL:
        return job
    return {**job, "status": UNKNOWN_STATUS}


def _visible(response: Response, change: Callable[[Document], Document]) -> Response:
    """Change every job in a response: a single one, those of a list, or those in the events of a stream."""
    if response.stream is not None:
        response.stream, response.is_scripted = partial(_changed_events, change, response.stream), True
    elif response.body and response.content_type == JSON:
        document = _changed(orjson.loads(response.body), change)
        response.body, response.is_scripted = json_text(document), True
    return response


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
