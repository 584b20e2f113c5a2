"""Mutants whose rate limit is another one, or told wrongly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from math import ceil
from typing import Any

from viralsync_conform.mutants.engine.asgi import Answer
from viralsync_conform.mutants.engine.exchange import Layer, MutantCall
from viralsync_conform.mutants.engine.layers import (
    edit_error,
    edit_json,
    edit_response,
    header,
    response_mutant,
    status,
)
from viralsync_conform.mutants.engine.spec_edits import put, spec_mutant
from viralsync_conform.mutants.engine.stream_layers import Events, rewrite_events
from viralsync_conform.mutants.mutant import Mutant

LIMITED, UNAUTHORIZED, FORBIDDEN = 429, 401, 403
WIDTH = timedelta(seconds=60)
REQUESTS = 120

rates = partial(response_mutant, "rate limit")
rated = partial(spec_mutant, "rate limit")


@dataclass(frozen=True)
class Window:
    """Another rate limit than the mock's: whose requests count together, and when a slot is free again."""

    requests: int = REQUESTS
    width: timedelta = WIDTH
    is_fixed: bool = False
    counts: Callable[[MutantCall], object] = lambda visit: visit.request.key
    counts_refused: bool = False

    def count_request(self, calls: list[datetime], now: datetime) -> int:
        """Count a request; return the seconds to wait, or 0 for one that is let through."""
        start = self._start(now)
        calls[:] = [each for each in calls if each >= start and each > now - self.width]
        is_full = len(calls) >= self.requests
        if not is_full or self.counts_refused:
            calls.append(now)
        if not is_full:
            return 0
        free = start + self.width if self.is_fixed else calls[len(calls) - self.requests] + self.width
        return max(1, ceil((free - now).total_seconds()))

    def _start(self, now: datetime) -> datetime:
        if not self.is_fixed:
            return now - self.width
        return now - timedelta(seconds=now.timestamp() % self.width.total_seconds())


def windowed(window: Window) -> Layer:
    """Limit requests in this window in the place of the mock's own."""

    async def layer(visit: MutantCall) -> Answer:
        if visit.request.operation is None:
            return await visit.proceed()
        if (await visit.ask_as_sent("GET", "/v1/me")).status == UNAUTHORIZED:
            return await visit.proceed()
        everybody = visit.world.of_key.setdefault("", {})
        calls: list[datetime] = everybody.setdefault(("calls", window.counts(visit)), [])
        wait = window.count_request(calls, await visit.now())
        return visit.refusal("RATE_LIMITED", wait) if wait else await visit.again(visit.request)

    return layer


def retry(change: Callable[[int], str | None]) -> Layer:
    """Tell another time to wait than the right one."""

    def edit(answer: Answer) -> None:
        answer.set_header("retry-after", change(int(answer.header("retry-after") or 0)))

    return edit_error("RATE_LIMITED", edit)


async def spends(visit: MutantCall) -> None:
    """Let a request count one more."""
    request = visit.request.with_headers(content_length=None)
    scope = {**request.scope, "method": "GET", "path": "/v1/me", "query_string": b""}
    await visit.proceed(type(request)(scope, operation="getMe"))


async def events_count(visit: MutantCall, events: Events) -> Events:
    """Let each event of a stream count as a request."""
    async for event in events:
        if event.document is not None:
            await spends(visit)
        yield event


async def twice(visit: MutantCall) -> Answer:
    """Count each request twice."""
    answer = await visit.proceed()
    if visit.request.operation is not None and answer.status not in {UNAUTHORIZED, LIMITED}:
        await spends(visit)
    return answer


async def reads_are_free(visit: MutantCall) -> Answer:
    """Count no request that reads a job."""
    return await (visit.again(visit.request) if visit.request.operation == "getJob" else visit.proceed())


async def errors_are_free(visit: MutantCall) -> Answer:
    """Count no request for a job that is not there."""
    if visit.request.operation == "getJob":
        answer = await visit.again(visit.request)
        if answer.status == 404:
            return answer
    return await visit.proceed()


async def streams_are_free(visit: MutantCall) -> Answer:
    """Count no stream that is opened."""
    if visit.request.operation == "streamJobProgress":
        return await visit.again(visit.request)
    return await visit.proceed()


def quieter(document: dict[str, Any]) -> None:
    """Name another number in the text than in the header."""
    if document.get("code") == "RATE_LIMITED":
        document["error"] = "Rate limit exceeded. Retry after 3600 seconds."


def http_date(answer: Answer) -> None:
    """Write a date in the place of seconds."""
    answer.set_header("retry-after", answer.header("date"))


RATES: tuple[Mutant, ...] = (
    rates("retry-after-missing", "429 has no Retry-After.", retry(lambda _: None)),
    rates("retry-after-short", "Retry-After is a second too short.", retry(lambda wait: str(wait - 1))),
    rates("retry-after-halved", "Retry-After is half as long as it takes.", retry(lambda wait: str(max(1, wait // 2)))),
    rates("retry-after-1", "Retry-After is always 1.", retry(lambda _: "1")),
    rates("retry-after-0", "Retry-After is always 0.", retry(lambda _: "0")),
    rates("retry-after-negative", "Retry-After is negative.", retry(lambda wait: str(-wait))),
    rates("retry-after-text", "Retry-After is no number.", retry(lambda _: "soon")),
    rates("retry-after-fraction", "Retry-After has a fraction.", retry(lambda wait: f"{wait - 0.5}")),
    rates("retry-after-in-ms", "Retry-After is in milliseconds.", retry(lambda wait: str(wait * 1000))),
    rates("retry-after-date", "Retry-After is a date.", edit_error("RATE_LIMITED", http_date)),
    rates(
        "retry-after-text-differs",
        "The text of a 429 names another time than Retry-After.",
        edit_json(quieter, statuses=frozenset({LIMITED})),
    ),
    rates("limited-503", "A request over the limit is answered with 503.", edit_error("RATE_LIMITED", status(503))),
    rates(
        "limited-403", "A request over the limit is answered with 403.", edit_error("RATE_LIMITED", status(FORBIDDEN))
    ),
    rates(
        "limited-other-code",
        "A request over the limit has the code `TOO_MANY_REQUESTS`.",
        edit_json(lambda d: d.update(code="TOO_MANY_REQUESTS"), statuses=frozenset({LIMITED})),
    ),
    rated("rate-121", "121 requests are let through.", put("x-rate-limit.requests", 121)),
    rated("rate-119", "119 requests are let through.", put("x-rate-limit.requests", 119)),
    rated("rate-60", "60 requests are let through.", put("x-rate-limit.requests", 60)),
    rated("rate-unlimited", "There is no rate limit.", put("x-rate-limit.requests", 1_000_000)),
    rated("window-61", "The window lasts 61 seconds.", put("x-rate-limit.windowSeconds", 61)),
    rated("window-59", "The window lasts 59 seconds.", put("x-rate-limit.windowSeconds", 59)),
    rates("window-fixed", "The window is that of the minute on the clock.", windowed(Window(is_fixed=True))),
    rates("window-shared", "All keys share one window.", windowed(Window(counts=lambda _: "everybody"))),
    rates(
        "window-per-operation",
        "Each operation has a window of its own.",
        windowed(Window(counts=lambda visit: (visit.request.key, visit.request.operation))),
    ),
    rates(
        "window-per-header",
        "Each way to send a key has a window of its own.",
        windowed(Window(counts=lambda visit: (visit.request.key, visit.request.header("x-api-key")))),
    ),
    rates("refused-count", "Requests that were refused with 429 count.", windowed(Window(counts_refused=True))),
    rates("events-count", "Each event of a stream counts as a request.", rewrite_events(events_count)),
    rates("requests-count-twice", "Each request counts twice.", twice),
    rates("reads-are-free", "Reading a job does not count.", reads_are_free),
    rates("errors-are-free", "A request for an unknown job does not count.", errors_are_free),
    rates("streams-are-free", "Opening a stream does not count.", streams_are_free),
    rates(
        "rate-headers-wrong",
        "Every answer says that the limit is used up.",
        edit_response(header("x-ratelimit-remaining", "0"), statuses=None),
    ),
)
