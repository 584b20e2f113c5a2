"""Answers made from the spec alone, for an operation that no handler knows: its example, or invented data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from viralsync_mock.errors import SpecError
from viralsync_mock.generation.primitives import FakeValues, UnsatisfiableSchema
from viralsync_mock.generation.values import ATTEMPTS, ValueGenerator
from viralsync_mock.response import EVENT_STREAM, json_text
from viralsync_mock.validation.schema import Schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from viralsync_mock.config.yaml_source import Node
    from viralsync_mock.openapi.spec import Operation, ResponseSpec, Spec


class GenerationError(SpecError):
    """No data could be generated for a schema; `pattern` is the one at fault, if a pattern was."""

    def __init__(self, message: str, pattern: str | None = None) -> None:
        super().__init__(message)
        self.pattern = pattern


SPARE_SEED = "spare"
"""The seed of the response that `check_generation` has made: given where another seed finds none."""


def synthesise(spec: Spec, operation: Operation, seed: str) -> tuple[int, str | None, bytes]:
    """Return (status, media type or None, body) of the lowest declared 2xx; same arguments, same bytes.

    The body is the first example, else data drawn from the seed; it fits its schema, or `SpecError` is raised.
    """
    response = success_response(operation)
    if response.media_type is None:
        return response.status, None, b""
    where = f"{operation.id}, answer {response.status}"
    try:
        value = _value(spec, response, f"{seed}/{operation.id}", where)
    except GenerationError:
        value = _value(spec, response, f"{SPARE_SEED}/{operation.id}", where)
    return response.status, response.media_type, _written(value, response.media_type)


def success_response(operation: Operation) -> ResponseSpec:
    """Return the response with the lowest 2xx status."""
    return min(
        (each for each in operation.responses.values() if 200 <= each.status < 300), key=lambda each: each.status
    )


def check_generation(spec: Spec, operations: Iterable[Operation]) -> None:
    """Generate a response for each of these operations; raises SpecError with the place of what cannot be made."""
    for operation in operations:
        try:
            synthesise(spec, operation, SPARE_SEED)
        except GenerationError as problem:
            (_pattern_place(spec.root, problem.pattern) or spec.places[operation.id]).fail(str(problem))
        except SpecError as problem:
            spec.places[operation.id].fail(str(problem))


def _pattern_place(place: Node, pattern: str | None) -> Node | None:
    """Return the first schema with this pattern."""
    if isinstance(place.value, dict):
        if pattern is not None and place.value.get("pattern") == pattern:
            return place["pattern"]
        parts: Iterable[Node] = (part for _, part in place.items())
    else:
        parts = place if isinstance(place.value, list) else ()
    return next(filter(None, (_pattern_place(part, pattern) for part in parts)), None)


def _value(spec: Spec, response: ResponseSpec, seed: str, where: str) -> Any:
    schema = response.schema if response.schema is not None else {}
    if not response.examples and response.event_schema is not None:
        return {"data": orjson.dumps(generate_value(response.event_schema, spec.document, seed, where)).decode()}
    if not response.examples:
        return generate_value(schema, spec.document, seed, where)
    name, example = next(iter(response.examples.items()))
    found = list(Schema(schema, spec.document).violations(example))
    if found:
        raise SpecError(f"{where}: its example {name} breaks its schema: {found[0]}")
    return example


def _written(value: Any, media_type: str) -> bytes:
    if media_type == EVENT_STREAM and isinstance(value, dict):
        lines = [f"{field}: {line}\n" for field, text in value.items() for line in str(text).split("\n") or [""]]
        return "".join([*lines, "\n"]).encode()
    if isinstance(value, str) and "json" not in media_type:
        return value.encode()
    return json_text(value)


def generate_value(schema: Mapping[str, Any], document: Mapping[str, Any], seed: str, where: str) -> Any:
    """Return data that fits the schema, drawn from the seed; raises GenerationError, which names `where`."""
    compiled = Schema(schema, document)
    reason, pattern = "", None
    for attempt in range(ATTEMPTS):
        try:
            value = ValueGenerator(document, FakeValues(f"{seed}/{attempt}"), attempt).value(schema)
        except UnsatisfiableSchema as problem:
            reason, pattern = str(problem), problem.pattern
            continue
        if compiled.accepts(value):
            return value
        reason, pattern = str(next(compiled.violations(value, first_only=True), "")), None
    raise GenerationError(f"{where}: no data could be generated, add an `example`: {reason}", pattern)
