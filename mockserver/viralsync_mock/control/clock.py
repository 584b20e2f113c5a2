"""A sandbox's clock: read it, change how it runs, move it, sleep on it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from itertools import groupby
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from viralsync_mock.api.call import while_connected
from viralsync_mock.api.handlers import find_job
from viralsync_mock.clock import Clock, Mode
from viralsync_mock.control.request import JsonResponse, instant_of
from viralsync_mock.errors import ApiError, ClockError
from viralsync_mock.jobs.models import add_seconds, timestamp
from viralsync_mock.jobs.steps import next_step, steps
from viralsync_mock.sandbox import MAX_WAKE_UPS, Moved
from viralsync_mock.scenarios.values import parse_seconds
from viralsync_mock.validation.schema import invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from starlette.responses import Response

    from viralsync_mock.control.request import ControlRequest
    from viralsync_mock.jobs.models import Step
    from viralsync_mock.sandbox import Sandbox

MAX_SECONDS = timedelta(days=31)
"""How far one call moves a clock: an open stream tells of each keep-alive on the way."""

RECEIVER_PATIENCE = 1.0
"""Real seconds that an advance waits for a webhook that was under way before it."""

RATES = {Mode.REAL: 1, Mode.FROZEN: 0, Mode.AUTO: 0, Mode.JUMP: 0}
"""The rate of each mode that has only one."""


async def get_clock(request: ControlRequest) -> Response:
    """GET /__mock/clock: the instant, and how the clock runs."""
    return JsonResponse(clock_document(request.sandbox))


def clock_document(sandbox: Sandbox) -> dict[str, Any]:
    clock = sandbox.clock
    return {"now": timestamp(clock.now()), "mode": clock.mode, "rate": clock.rate}


async def change_clock(request: ControlRequest) -> Response:
    """PATCH /__mock/clock: the mode first, so that a clock that is frozen at an instant stands exactly there."""
    clock, patch = request.sandbox.clock, request.document
    instant = _instant(request, patch["now"]) if "now" in patch else None
    if patch.keys() & {"mode", "rate"}:
        _change_mode(clock, patch)
    if instant is not None:
        await advance_to(request, instant)
    return await get_clock(request)


def _instant(request: ControlRequest, text: str, place: str = "$.now") -> datetime:
    instant = instant_of(text, place)
    check_ahead(request, place, instant)
    return instant


def _change_mode(clock: Clock, patch: Mapping[str, Any]) -> None:
    rate: float | None = patch.get("rate")
    mode = Mode(patch.get("mode", Mode.SCALED if rate else Mode.FROZEN))
    if rate is not None and (rate != RATES[mode] if mode in RATES else rate == 0):
        invalid("$.rate", f"expected {RATES.get(mode, 'more than 0')} in mode {mode}, got {rate:g}")
    clock.set_mode(mode, clock.speed if rate is None else rate)
    if mode is Mode.AUTO:  # streams go on by themselves from here
        for alarm in tuple(clock.alarms):
            alarm.wake()


async def sleep_on_clock(request: ControlRequest) -> Response:
    """POST /__mock/clock/sleep: answered when the clock is there, or once the sandbox is reset."""
    order, clock = request.document, request.sandbox.clock
    check_ahead(request, "$.seconds", add_seconds(request.now, order["seconds"]))
    all_asleep = order.get("allAsleep", False)
    sleeping = request.sandbox.sleep(order["seconds"], order.get("sleeper", ""), all_asleep=all_asleep)
    with clock.waiting_call():
        await while_connected(request.receive, sleeping)
    return await get_clock(request)


async def advance_clock(request: ControlRequest) -> Response:
    """POST /__mock/clock/advance: move the clock past all that falls due, and return what happened."""
    await refuse_advance_of_a_receiver(request)
    [(way, how_far)] = request.document.items()
    instant = WAYS[way](request, how_far)
    check_max_advance(request, f"$.{way}", instant)
    moved = await advance_to(request, instant)
    document: dict[str, Any] = {"now": timestamp(request.sandbox.clock.now()), "effects": moved.effects}
    if moved.is_truncated:
        document["truncated"] = True
    if not moved.has_arrived:
        document["stopped"] = f"The clock stopped on the way, after {MAX_WAKE_UPS} wake-ups: advance again from here."
    return JsonResponse(document)


async def refuse_advance_of_a_receiver(request: ControlRequest) -> None:
    """Raise RECEIVER_IS_BUSY where an advance would wait for a webhook whose receiver may wait for this advance."""
    sandbox, clock = request.sandbox, request.sandbox.clock
    if clock.in_flight and not sandbox.listeners:  # no advance has sent it: the caller may be somebody else
        with suppress(TimeoutError):
            async with asyncio.timeout(RECEIVER_PATIENCE):
                await clock.wait_idle()
    if clock.in_flight:
        raise ApiError("RECEIVER_IS_BUSY", now=timestamp(clock.now()))


async def advance_to(request: ControlRequest, instant: datetime) -> Moved:
    """Move the clock until the client goes; a flowing one may already be past the instant, and stays there."""
    moving = asyncio.ensure_future(request.sandbox.advance(instant))
    try:
        if await while_connected(request.receive, moving):
            return moving.result()
    except ClockError:
        if instant > request.sandbox.clock.now():
            raise
        return Moved([], is_truncated=False, has_arrived=True)
    return Moved([], is_truncated=True, has_arrived=False)


def check_ahead(request: ControlRequest, place: str, instant: datetime) -> None:
    """Raise `Invalid` for an instant that the clock cannot go to with one call."""
    try:
        request.sandbox.clock.check(instant)
    except ClockError as error:
        invalid(place, str(error))
    check_max_advance(request, place, instant)


def check_max_advance(request: ControlRequest, place: str, instant: datetime) -> None:
    """Raise `Invalid` for an instant that lies further ahead than one call goes."""
    if instant - request.now > MAX_SECONDS:
        invalid(
            place,
            f"expected at most {MAX_SECONDS.days} days after {timestamp(request.now)}, got {timestamp(instant)}: "
            "go there in several calls",
        )


def _by_seconds(request: ControlRequest, length: float | str) -> datetime:
    return add_seconds(request.now, min(parse_seconds(length) or 0.0, 2 * MAX_SECONDS.total_seconds()))


def _to(request: ControlRequest, goal: str) -> datetime:
    """Return an instant, or for `next` when any job or stream has its next step; raises NOTHING_DUE."""
    if goal != "next":
        return _instant(request, goal, "$.to")
    now, sandbox = request.now, request.sandbox
    coming = [next_step(steps(job.timeline), now) for job in sandbox.store.unfinished(now)]
    instants = [step.at for step in coming if step is not None]
    if (due := sandbox.clock.next_due()) is not None:
        instants.append(due)
    if not instants:
        raise ApiError("NOTHING_DUE", now=timestamp(now))
    return min(instants)


def _until(request: ControlRequest, goal: Mapping[str, str]) -> datetime:
    """Return when a job or child next has a status, which may be now; raises STATUS_NOT_AHEAD."""
    subject, now = find_job(request.sandbox, goal["jobId"]), request.now
    if subject.look(now).status == goal["status"]:
        return now
    steps = subject.steps()
    for step in steps:
        if step.at > now and step.status == goal["status"]:
            return step.at
    raise ApiError(
        "STATUS_NOT_AHEAD",
        jobId=goal["jobId"],
        status=goal["status"],
        now=timestamp(now),
        timeline=_describe(steps),
    )


def _describe(steps: tuple[Step, ...]) -> str:
    """Return the statuses of a timeline as text: `queued from …, running from …, failed from …`."""
    changes = [next(group) for _, group in groupby(steps, key=attrgetter("status"))]
    return ", ".join(f"{step.status} from {timestamp(step.at)}" for step in changes)


WAYS: Mapping[str, Callable[[ControlRequest, Any], datetime]] = MappingProxyType(
    {"seconds": _by_seconds, "to": _to, "until": _until}
)
"""How far an advance goes, by the key that says so."""
