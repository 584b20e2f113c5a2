"""Every documented limit of a submission on both sides: bodies with exactly one flaw, and their twins without it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from viralsync_conform.calls import Exchange
from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.findings import Check
from viralsync_conform.journeys.account import usage_of
from viralsync_conform.run.context import StopJourneyError
from viralsync_conform.run.journey import journey
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.run.submissions import SCENE, Job, cancel, fitting, submission, submit, submit_body
from viralsync_mock.openapi.extensions import Plan

LIMIT = Check("limit_enforced", "A submission that breaks a documented constraint is refused.", facts.D, facts.RENDER)
LIMIT_A = Check("limit_assumed", "A submission that breaks an assumed constraint is refused.", facts.A, facts.RENDER)
WITHIN = Check("within_limits", "A submission within all documented constraints is accepted.", facts.D, facts.RENDER)
LENGTH = Check("longest_job", "A movie longer than the plan allows is refused.", facts.D, facts.RATES)
WITHIN_PLAN = Check("longest_job_accepted", "A movie as long as the plan allows is accepted.", facts.D, facts.RATES)
FRAME = Check("largest_frame", "A frame larger than the plan allows is refused.", facts.D, facts.RATES)

REMOVED = object()
"""In the place of a value: the property is left out."""

SMALL = 360
LONG_SCENES = 100
"""Scenes of the longest movie: rendered one by one, they leave time to cancel."""

LAYERS = ("video", "image", "audio", "text")


@dataclass(frozen=True)
class Flaw:
    """One thing that is wrong with a body: `path` leads to it, `value` stands there instead."""

    path: tuple[str | int, ...]
    value: object
    check: Check = LIMIT

    @property
    def name(self) -> str:
        """What tells this flaw from others, the same in every run."""
        place = ".".join(map(str, self.path))
        return f"{place} missing" if self.value is REMOVED else f"{place} = {str(self.value)[:24]}"


def flaws() -> Iterator[Flaw]:
    """Yield what a page forbids, one thing at a time."""
    movie, scene, options = ("movie",), ("movie", "scenes", 0), ("renderOptions",)
    yield Flaw(("kind",), "video")
    yield Flaw(("kind",), "MOVIE")
    for required in (("kind",), ("projectId",), movie, (*movie, "scenes"), (*scene, "id")):
        yield Flaw(required, REMOVED)
    yield Flaw(("projectId",), 7)
    yield Flaw(movie, [])
    yield Flaw((*movie, "scenes"), [])
    yield Flaw((*movie, "scenes", 1, "id"), "first")
    yield Flaw((*movie, "scenes", 2, "id"), "first")
    yield Flaw((*scene, "id"), 7)
    yield Flaw((*scene, "duration"), 0, LIMIT_A)
    yield Flaw((*scene, "layers"), [{"type": "hologram"}])
    yield Flaw((*movie, "title"), 7)
    yield Flaw((*movie, "id"), 7)
    for name, low, high in (("width", 360, 3840), ("height", 360, 2160), ("fps", 1, 60)):
        yield from (Flaw((*movie, name), value) for value in (low - 1, high + 1, str(low)))
    yield Flaw(options, "fast")
    yield from (Flaw((*options, "qualityPreset"), value) for value in ("slow", "FAST", 3))
    yield from (Flaw((*options, "requestedConcurrency"), value) for value in (0, 33, 1.5, "3"))
    yield Flaw(("callbackUrl",), 7)


def body_of(context: JourneyContext) -> dict[str, Any]:
    """Return a valid body in which every optional part is there, short and small."""
    body = submission(context.run.project_id)
    scenes = [{"id": name, "duration": 0.1, "bgColor": "#101820"} for name in ("first", "second", "third")]
    body["movie"] = {**body["movie"], "id": "movie-of-conform", "scenes": scenes}
    return {**body, "renderOptions": {"qualityPreset": "balanced"}}


def spoilt(body: Mapping[str, Any], flaw: Flaw) -> dict[str, Any]:
    """Return a body with one flaw."""
    found = deepcopy(dict(body))
    here: Any = found
    for step in flaw.path[:-1]:
        here = here[step]
    if flaw.value is REMOVED:
        del here[flaw.path[-1]]
    else:
        here[flaw.path[-1]] = flaw.value
    return found


def twins(context: JourneyContext, frame: tuple[int, int]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what is valid, each limit and each word of a list in one of them; `frame` is as large as may be."""
    width, height = frame
    body = body_of(context)
    movie = body["movie"]
    one = [{"id": f"{SCENE}only", "duration": 0.3}]
    layered = [{"id": f"a {kind}", "duration": 0.1, "layers": [{"type": kind}]} for kind in LAYERS]
    many = [{"id": name, "duration": 0.05} for name in ("m", "c", "a", "k", "b", "z", "e", "d", "y", "f", "x", "g")]

    def valid(options: object, **changes: Any) -> dict[str, Any]:
        return {**body, "movie": {**movie, **changes}, "renderOptions": options}

    yield "with every part", body
    least = {"qualityPreset": "stable", "requestedConcurrency": 1}
    yield "smallest", valid(least, width=360, height=360, fps=1, scenes=one)
    most = {"qualityPreset": "turbo", "requestedConcurrency": 32}
    yield "largest", valid(most, width=width, height=height, fps=60, scenes=many)
    yield "fractions", valid({"qualityPreset": "fast"}, width=640.5, height=360.5, fps=29.97, scenes=layered)
    yield (
        "only what is required",
        {**submission(context.run.project_id), "movie": {"scenes": one, **fitting(context.run)}},
    )


@journey(
    "boundaries",
    "Each constraint of a submission is enforced, and nothing but what breaks one is refused.",
    92,
    renders=True,
    is_real=True,
)
def boundaries(context: JourneyContext) -> None:
    me = context.call("getMe", 200, step="which plan")
    terms = context.run.contract.spec.plans.get(str(me.document.get("plan")).lower())
    frame = terms.largest_frame if terms else (1280, 720)
    for name, body in twins(context, frame):
        with suppress(StopJourneyError):  # a body that is refused keeps no other from being tried
            cancel(context, _accepted(context, name, body))
    body, sides = body_of(context), {"width": frame[0], "height": frame[1]}
    for flaw in flaws():
        side = sides.get(str(flaw.path[-1]))
        is_large = side is not None and isinstance(flaw.value, int) and flaw.value > side
        refuse(context, spoilt(body, flaw), flaw.check, f"invalid: {flaw.name}", PLAN if is_large else frozenset())
    if terms is not None:
        _frames_beyond_the_plan(context, terms)
        _longest_job(context, terms)


def _accepted(context: JourneyContext, name: str, body: Mapping[str, Any]) -> Job:
    return submit(context, step=f"valid: {name}", fact=WITHIN, **{key: body[key] for key in body})


PLAN = frozenset({402, 403})
"""What a plan may say of a frame that is too large for the API as well: either refusal will do."""


def refuse(
    context: JourneyContext,
    body: Mapping[str, Any],
    check: Check,
    step: str,
    others: frozenset[int] = frozenset(),
    code: str = "VALIDATION_ERROR",
    *,
    is_free: bool = False,
) -> Exchange:
    """Submit what must be refused, with this code or one of the other statuses; cancel it if it is accepted."""
    call, job = submit_body(context, dict(body), code, step=step, is_repeatable=True, is_free=is_free)
    if call.status not in others:
        context.expect(call, code, check)
    elif call.code and "QUOTA" not in call.code:
        context.learn("errors.plan_limit_exceeded", call.code, call)
    if job is not None:
        cancel(context, job)
    return call


def _frames_beyond_the_plan(context: JourneyContext, terms: Plan) -> None:
    """A frame that no reading of the plan's largest one holds is refused by the plan: for the API it is valid."""
    sides = context.run.contract.document["components"]["schemas"]["Movie"]["properties"]
    widest, tallest = sides["width"]["maximum"], sides["height"]["maximum"]
    width, height = terms.largest_frame
    beyond = []
    if width < widest and height < tallest:
        beyond.append((width + 2, height + 2))
    if widest > max(width, height):
        beyond.append((widest, SMALL))
    if tallest > max(width, height):
        beyond.append((SMALL, tallest))
    for frame in beyond:
        body = body_of(context)
        body["movie"].update(width=frame[0], height=frame[1])
        refuse(context, body, FRAME, f"frame of {frame[0]}x{frame[1]}", PLAN, "PLAN_LIMIT_EXCEEDED")


def _longest_job(context: JourneyContext, terms: Plan) -> None:
    """A movie as long as the plan allows is accepted, a longer one is not; both are cancelled at once.

    That costs nothing if cancelling does. So it is tried only where this run has seen a job cancelled while it ran,
    without a charge, and where the account has the minutes that the movie would cost.
    """
    longest = terms.longest_movie_seconds
    if not _is_cancelling_free(context) or not _has_minutes(context, longest / 60 + 1):
        return
    scenes = [{"id": f"scene-{number}", "duration": longest / LONG_SCENES} for number in range(LONG_SCENES)]
    body = {
        **submission(context.run.project_id),
        "renderOptions": {"requestedConcurrency": 1},  # it renders so slowly that it can be cancelled in time
    }
    with suppress(StopJourneyError):
        movie = {**body["movie"], "scenes": scenes}
        job = submit(
            context, step="as long as the plan allows", fact=WITHIN_PLAN, is_free=True, **{**body, "movie": movie}
        )
        cancel(context, job)
    movie = {**body["movie"], "scenes": [*scenes, {"id": "one more", "duration": 1}]}
    refuse(context, {**body, "movie": movie}, LENGTH, "longer than the plan", PLAN, "PLAN_LIMIT_EXCEEDED", is_free=True)


def _is_cancelling_free(context: JourneyContext) -> bool:
    costly = {facts.NOT_CHARGED.name, facts.CANCELS.name}
    return "cancelled" in context.run.shared and not any(each.check in costly for each in context.run.findings)


def _has_minutes(context: JourneyContext, minutes: float) -> bool:
    """Say whether the account has this many minutes left; one that does not show them may have."""
    shown = usage_of(context, "minutes that are left").document.get("renderMinutes")
    left = shown.get("remaining") if isinstance(shown, dict) else None
    return not isinstance(left, int | float) or left > minutes
