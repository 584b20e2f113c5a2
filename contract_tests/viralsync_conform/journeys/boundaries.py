"""Every documented limit of a submission on both sides: bodies with exactly one flaw, and their twins without it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from viralsync_conform.budget import worst_case
from viralsync_conform.calls import Exchange
from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.findings import Check
from viralsync_conform.run.context import StopJourneyError
from viralsync_conform.run.journey import journey
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.run.request import as_json
from viralsync_conform.run.submissions import Job, cancel, register_job, reserve, submission, submit

LIMIT = Check("limit_enforced", "A submission that breaks a documented constraint is refused.", facts.D, facts.RENDER)
LIMIT_A = Check("limit_assumed", "A submission that breaks an assumed constraint is refused.", facts.A, facts.RENDER)
WITHIN = Check("within_limits", "A submission within all documented constraints is accepted.", facts.D, facts.RENDER)
LENGTH = Check("longest_job", "A movie longer than the plan allows is refused.", facts.D, facts.RATES)
FRAME = Check("largest_frame", "A frame larger than the plan allows is refused.", facts.D, facts.RATES)

REMOVED = object()
"""In the place of a value: the property is left out."""

LARGE = {"width": 1920, "height": 1080}
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


def twins(context: JourneyContext) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what is valid, each limit and each word of a list in one of them."""
    body = body_of(context)
    movie = body["movie"]
    one = [{"id": "only", "duration": 0.3}]
    layered = [{"id": f"a {kind}", "duration": 0.1, "layers": [{"type": kind}]} for kind in LAYERS]
    many = [{"id": name, "duration": 0.05} for name in ("m", "c", "a", "k", "b", "z", "e", "d", "y", "f", "x", "g")]

    def valid(options: object, **changes: Any) -> dict[str, Any]:
        return {**body, "movie": {**movie, **changes}, "renderOptions": options}

    yield "with every part", body
    least = {"qualityPreset": "stable", "requestedConcurrency": 1}
    yield "smallest", valid(least, width=360, height=360, fps=1, scenes=one)
    yield "largest", valid({"qualityPreset": "turbo", "requestedConcurrency": 32}, fps=60, scenes=many, **LARGE)
    yield "fractions", valid({"qualityPreset": "fast"}, width=640.5, height=360.5, fps=29.97, scenes=layered)
    yield "only what is required", {**submission(context.run.project_id), "movie": {"scenes": one}}


@journey(
    "boundaries",
    "Each constraint of a submission is enforced, and nothing but what breaks one is refused.",
    80,
    renders=True,
    is_real=True,
)
def boundaries(context: JourneyContext) -> None:
    for name, body in twins(context):
        with suppress(StopJourneyError):  # a body that is refused keeps no other from being tried
            cancel(context, _accepted(context, name, body))
    body = body_of(context)
    for flaw in flaws():
        is_large = flaw.path[-1] in LARGE and isinstance(flaw.value, int) and flaw.value > LARGE[str(flaw.path[-1])]
        refuse(context, spoilt(body, flaw), flaw.check, f"invalid: {flaw.name}", PLAN if is_large else frozenset())
    _beyond_the_plan(context)


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
) -> Exchange:
    """Submit what must be refused, with this code or one of the other statuses; cancel it if it is accepted."""
    known, minutes = context.run.contract.submit, worst_case(body)
    reserve(context, minutes)
    request = context.build_request(
        known.method, known.path, code, operation=known.id, headers={"content-type": "application/json"},
        content=as_json(body), step=step, is_repeatable=True,
    )  # fmt: skip
    call = context.client.send(request)
    job = register_job(context, call, dict(body), minutes)
    if call.status not in others:
        context.expect(call, code, check)
    if job is not None:
        cancel(context, job)
    return call


def _beyond_the_plan(context: JourneyContext) -> None:
    """A frame or a movie beyond the account's plan is refused; the longest one is tried where it could be paid for."""
    me = context.call("getMe", 200, step="which plan")
    terms = context.run.contract.spec.plans.get(str(me.document.get("plan")).lower())
    sides = context.run.contract.document["components"]["schemas"]["Movie"]["properties"]
    if terms is None:
        return
    body = body_of(context)
    width, height = terms.largest_frame
    if width < sides["width"]["maximum"]:
        body["movie"].update(width=width + 2, height=height + 2)
        refuse(context, body, FRAME, "frame beyond the plan", PLAN, "PLAN_LIMIT_EXCEEDED")
    long = {**body_of(context), "movie": {"scenes": [{"id": "only", "duration": terms.longest_movie_seconds + 1}]}}
    if context.run.budget.can_afford(worst_case(long)):
        refuse(context, long, LENGTH, "longer than the plan", PLAN, "PLAN_LIMIT_EXCEEDED")
