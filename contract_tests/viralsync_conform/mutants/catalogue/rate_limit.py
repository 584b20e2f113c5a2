"""Mutants with another rate limit, or a wrong answer about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from viralsync_conform.mutants.engine.asgi import Answer
from viralsync_conform.mutants.engine.exchange import Layer, MutantCall
from viralsync_conform.mutants.engine.layers import edit_error, edit_response, header
from viralsync_conform.mutants.engine.stream_layers import Events, rewrite_events
from viralsync_conform.mutants.mutant import Section

LIMITED, UNAUTHORIZED, FORBIDDEN = 429, 401, 403
WIDTH = timedelta(seconds=60)
REQUESTS = 120
rates = Section("rate limit")


@dataclass(frozen=True)
class Window:
    """Another rate limit than the mock's: whose requests count together, and when a slot is free again."""

    requests: int = REQUESTS
    width: timedelta = WIDTH
    is_fixed: bool = False
    counts: Callable[[MutantCall], object] = lambda call: call.request.key
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

    async def layer(call: MutantCall) -> Answer:
        if call.request.operation is None:
            return await call.proceed()
        if (await call.ask_as_sent("GET", "/v1/me")).status == UNAUTHORIZED:
            return await call.proceed()
        everybody = call.world.of_key.setdefault("", {})
        calls: list[datetime] = everybody.setdefault(("calls", window.counts(call)), [])
        wait = window.count_request(calls, await call.now())
        return call.refusal("RATE_LIMITED", wait) if wait else await call.again(call.request)

    return layer


def retry(change: Callable[[int], str | None]) -> Layer:
    """Tell another time to wait than the right one."""

    def edit(answer: Answer) -> None:
        answer.set_header("retry-after", change(int(answer.header("retry-after") or 0)))

    return edit_error(edit, "RATE_LIMITED")


async def spends(call: MutantCall) -> None:
    request = call.request.with_headers(content_length=None)
    scope = {**request.scope, "method": "GET", "path": "/v1/me", "query_string": b""}
    await call.proceed(type(request)(scope, operation="getMe"))


@rates("events-count", "Each event of a stream counts as a request.", rewrite_events)
async def events_count(call: MutantCall, events: Events) -> Events:
    async for event in events:
        if event.document is not None:
            await spends(call)
        yield event


@rates("requests-count-twice", "Each request counts twice.")
async def twice(call: MutantCall) -> Answer:
    answer = await call.proceed()
    if call.request.operation is not None and answer.status not in {UNAUTHORIZED, LIMITED}:
        await spends(call)
    return answer


@rates("reads-are-free", "Reading a job does not count.")
async def reads_are_free(call: MutantCall) -> Answer:
    return await (call.again(call.request) if call.request.operation == "getJob" else call.proceed())


@rates("errors-are-free", "A request for an unknown job does not count.")
async def errors_are_free(call: MutantCall) -> Answer:
    if call.request.operation == "getJob":
        answer = await call.again(call.request)
        if answer.status == 404:
            return answer
    return await call.proceed()


@rates("streams-are-free", "Opening a stream does not count.")
async def streams_are_free(call: MutantCall) -> Answer:
    if call.request.operation == "streamJobProgress":
        return await call.again(call.request)
    return await call.proceed()


@rates("retry-after-date", "Retry-After is a date.", edit_error, "RATE_LIMITED")
def http_date(answer: Answer) -> None:
    answer.set_header("retry-after", answer.header("date"))


rates.add("retry-after-halved", "Retry-After is half as long as it takes.", retry(lambda wait: str(max(1, wait // 2))))
rates.add("window-fixed", "The window is that of the minute on the clock.", windowed(Window(is_fixed=True)))
rates.add("window-shared", "All keys share one window.", windowed(Window(counts=lambda _: "everybody")))
rates.add("window-per-operation", "Each operation has a window of its own.",
    windowed(Window(counts=lambda call: (call.request.key, call.request.operation))))  # fmt: skip
rates.add("window-per-header", "Each way to send a key has a window of its own.",
    windowed(Window(counts=lambda call: (call.request.key, call.request.header("x-api-key")))))  # fmt: skip
rates.add("refused-count", "Requests that were refused with 429 count.", windowed(Window(counts_refused=True)))
rates.add("rate-headers-wrong", "Every answer says that the limit is used up.",
    edit_response(header("x-ratelimit-remaining", "0"), statuses=None))  # fmt: skip
MUTANTS = rates.mutants
