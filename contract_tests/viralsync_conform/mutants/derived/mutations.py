"""Mutants that are derived from the spec: each field of each answer dropped, retyped, nulled, and so on.

Only what the mock really sends is changed, so that every one of them deviates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from viralsync_conform.mutants.derived.paths import DOCUMENTED, Path, SchemaPath, change, objects, places
from viralsync_conform.mutants.derived.samples import Sample, collect_samples
from viralsync_conform.mutants.engine.asgi import Answer, Request
from viralsync_conform.mutants.engine.exchange import Layer, MutantCall
from viralsync_conform.mutants.engine.layers import header
from viralsync_conform.mutants.engine.stream_layers import STREAM, Event, Events, edit_each, rewrite_events
from viralsync_conform.mutants.mutant import MECHANICAL, Mutant
from viralsync_mock.openapi.spec import Spec
from viralsync_mock.randomness import random_fraction

Edit = Callable[[Any], None]
"""Changes a document in place."""

UNKNOWN = "surprise"
FREE_BODIES = ("ends", "deletes")
"""The effects of which the pages say nothing of the response's body."""

PERMITTED_STATUSES = {405: {404}, 413: {400, 414}}
"""What a response may be answered with besides, where its status is assumed."""

NOT_ALLOWED, NO_CONTENT, TOO_LARGE = 405, 204, 413
OTHER_STATUSES = {
    200: (201, 202, 204),
    202: (200, 201, 204),
    400: (422, 404),
    401: (403, 400),
    402: (403, 429),
    403: (401, 404),
    404: (400, 410),
    405: (404, 400),
    409: (400, 403),
    413: (400, 414),
    429: (403, 503),
}
OTHER_TYPES = ("text/plain", "text/html")


@dataclass(frozen=True)
class _Spot:
    """One answer of one operation, with what the survey saw of it; of a stream, one kind of its events."""

    operation: str
    status: int
    kind: str
    samples: tuple[Sample, ...]
    is_free: bool = False
    """Whether no page says what is in it: events, the answers to a cancel and a delete, what a gateway refuses."""

    @property
    def name(self) -> str:
        """What the names of its mutants begin with."""
        return "-".join(filter(None, (kebab(self.operation), str(self.status), self.kind)))

    @property
    def words(self) -> str:
        """What its mutants say of it."""
        event = f", event {self.kind}" if self.kind else ""
        return f"`{self.operation}` {self.status}{event}"

    def is_hit(self, request: Request, answer: Answer) -> bool:
        """Say whether an answer is meant."""
        is_near = self.status == NOT_ALLOWED and request.operation is None and self.operation in request.near
        return answer.status == self.status and (request.operation == self.operation or is_near)


def mechanical_mutants(spec: Spec) -> tuple[Mutant, ...]:
    """Derive the mutants; the same spec gives the same, in the same order."""
    spots: dict[tuple[str, int, str], list[Sample]] = {}
    for sample in collect_samples(spec):
        spots.setdefault((sample.operation, sample.status, sample.kind), []).append(sample)
    found: dict[str, Mutant] = {}
    for (operation, status, kind), samples in sorted(spots.items()):
        spot = _Spot(operation, status, kind, tuple(samples), _is_free(spec, operation, status, kind))
        for mutant in (*_of_body(spec, spot), *_of_answer(spec, spot)):
            found.setdefault(mutant.name, mutant)
    return tuple(found.values())


def _is_free(spec: Spec, operation: str, status: int, kind: str) -> bool:
    effect = spec.operations[operation].effect
    return bool(kind) or status == TOO_LARGE or (status < 300 and effect is not None and effect.kind in FREE_BODIES)


def sample(mutants: Sequence[Mutant], seed: str, number: int) -> tuple[Mutant, ...]:
    """Return a sample of mutants, chosen by a seed, in their order."""
    chosen = sorted(mutants, key=lambda mutant: random_fraction(seed, "mutant", mutant.name))[:number]
    return tuple(mutant for mutant in mutants if mutant in chosen)


def kebab(text: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"-\1", text).lower()


def _of_body(spec: Spec, spot: _Spot) -> Iterator[Mutant]:
    schema = _schema(spec, spot)
    known = dict.fromkeys(place for each in spot.samples for place in places(spec, schema, each.document))
    for place in known:
        for what, statement, edit in _edits(place):
            if any(_changes(each.document, edit) for each in spot.samples):
                path = "-".join(kebab(step) for step in place.trail)
                name = "-".join(filter(None, (spot.name, what, path)))
                is_permitted = (spot.is_free and spot.status != TOO_LARGE) or place.mark != DOCUMENTED
                yield _mutant(spot, name, f"In {spot.words}, {statement}.", _edited(spot, edit), is_permitted)


def _schema(spec: Spec, spot: _Spot) -> dict[str, Any]:
    response = spec.operations[spot.operation].responses[spot.status]
    return (response.event_schema if spot.kind else response.schema) or {}


def _edits(place: SchemaPath) -> Iterator[tuple[str, str, Edit]]:
    where = f"`{'.'.join(place.trail) or 'the body'}`"
    if place.is_object:
        yield "add-to", f"{where} has an unknown property", _adding(place.trail)
        return
    yield "drop", f"{where} is missing", _changing(place.trail, lambda holder, name: holder.pop(name))
    yield "retype", f"{where} is of another type", _changing(place.trail, _retype(place))
    if "null" not in place.types:
        yield "null", f"{where} is null", _changing(place.trail, lambda holder, name: holder.update({name: None}))


def _changing(trail: Path, edit: Callable[[dict[str, Any], str], object]) -> Edit:
    return lambda document: change(document, trail, edit)


def _retype(place: SchemaPath) -> Callable[[dict[str, Any], str], object]:
    return lambda holder, name: holder.update({name: place.wrong(holder[name])})


def _adding(trail: Path) -> Edit:
    def edit(document: Any) -> None:
        for each in objects(document, trail):
            each[UNKNOWN] = "new"

    return edit


def _changes(document: Any, edit: Edit) -> bool:
    changed = deepcopy(document)
    edit(changed)
    return bool(changed != document)


def _edited(spot: _Spot, edit: Edit) -> Layer:
    """Change the document of an answer, or of the events of one kind."""
    if spot.kind:
        return rewrite_events(lambda _, events: _edited_events(spot.kind, edit, events))

    def change_body(answer: Answer) -> None:
        document = answer.document
        if document is not None:
            edit(document)
            answer.document = document

    return _at(spot, change_body)


async def _edited_events(kind: str, edit: Edit, events: Events) -> Events:
    async for event in events:
        if _kind(event) == kind:
            edit(event.document)
        yield event


def _kind(event: Event) -> str:
    if event.document is None:
        return ""
    return str(event.document["status"]) if event.is_terminal else "progress"


def _at(spot: _Spot, edit: Callable[[Answer], None]) -> Layer:
    async def layer(call: MutantCall) -> Answer:
        answer = await call.proceed()
        if spot.is_hit(call.request, answer):
            edit(answer)
        return answer

    return layer


def _of_answer(spec: Spec, spot: _Spot) -> Iterator[Mutant]:
    """Yield what goes wrong with an answer as a whole: its status, its headers, its content type."""
    whole = _Spot(spot.operation, spot.status, "", spot.samples)
    is_free = _is_free(spec, spot.operation, spot.status, "")
    for status in OTHER_STATUSES[spot.status]:
        statement = f"{whole.words} is answered with {status}."
        is_permitted = status in PERMITTED_STATUSES.get(spot.status, set()) or (is_free and status < 300)
        yield _mutant(whole, f"{whole.name}-as-{status}", statement, _at(whole, _with_status(status)), is_permitted)
    for media_type in OTHER_TYPES:
        statement, name = f"{whole.words} is of type {media_type}.", f"{whole.name}-as-{media_type.replace('/', '-')}"
        yield _mutant(whole, name, statement, _at(whole, header("content-type", media_type)), is_free)
    for name, mark in _headers(spec, spot).items():
        layer = _at(whole, header(name.lower(), None))
        label, statement = f"{whole.name}-without-{kebab(name)}", f"{whole.words} has no {name}."
        yield _mutant(whole, label, statement, layer, mark != DOCUMENTED)
    if whole.operation == STREAM and spot.kind:
        layer = edit_each(lambda event, _: setattr(event, "id", None))
        yield _mutant(whole, f"{whole.name}-without-ids", f"In {whole.words}, events have no id.", layer, True)


def _headers(spec: Spec, spot: _Spot) -> dict[str, str]:
    """Return the declared headers that a response really has, with their marks."""
    answer = spec.resolve(spec.operations[spot.operation].document["responses"][str(spot.status)])
    marks = {name: str(spec.resolve(part)["x-provenance"]["mark"]) for name, part in answer.get("headers", {}).items()}
    return {name: mark for name, mark in marks.items() if name.lower() in spot.samples[0].headers}


def _with_status(status: int) -> Callable[[Answer], None]:
    def edit(answer: Answer) -> None:
        answer.status = status
        if status == NO_CONTENT:
            answer.body, answer.events = b"", None

    return edit


def _mutant(spot: _Spot, name: str, statement: str, layer: Layer, is_permitted: bool) -> Mutant:
    return Mutant(name, statement, MECHANICAL, spot.operation, is_permitted=is_permitted, layer=layer)
