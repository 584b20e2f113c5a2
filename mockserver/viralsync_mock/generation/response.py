"""Answers made from the spec alone, for an operation that no handler knows: its example, or invented data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from viralsync_mock.errors import SpecError
from viralsync_mock.generation.primitives import FakeValues, UnsatisfiableSchema
from viralsync_mock.generation.values import ATTEMPTS, ValueGenerator
from viralsync_mock.response import EVENT_STREAM
from viralsync_mock.validation.schema import Schema

if TYPE_CHECKING:
    from collections.abc import Mapping

    from viralsync_mock.openapi.spec import Operation, ResponseSpec, Spec


def synthesise(spec: Spec, operation: Operation, seed: str) -> tuple[int, str | None, bytes]:
    """Return (status, media type or None, body) of the lowest declared 2xx; same arguments, same bytes.

    The body is the first example, else data drawn from the seed; it fits its schema, or `SpecError` is raised.
    """
    response = min(
        (each for each in operation.responses.values() if 200 <= each.status < 300), key=lambda each: each.status
    )
    if response.media_type is None:
        return response.status, None, b""
    where = f"{operation.id}, answer {response.status}"
    value = _value(spec, response, f"{seed}/{operation.id}", where)
    return response.status, response.media_type, _written(value, response.media_type)


def _value(spec: Spec, response: ResponseSpec, seed: str, where: str) -> Any:
    schema = response.schema if response.schema is not None else {}
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
    return orjson.dumps(value)


def generate_value(schema: Mapping[str, Any], document: Mapping[str, Any], seed: str, where: str) -> Any:
    """Return data that fits the schema, drawn from the seed; `where` names it should none be found."""
    compiled = Schema(schema, document)
    complaint = ""
    for attempt in range(ATTEMPTS):
        try:
            value = ValueGenerator(document, FakeValues(f"{seed}/{attempt}"), attempt).value(schema)
        except UnsatisfiableSchema as problem:
            complaint = str(problem)
            continue
        if compiled.accepts(value):
            return value
        complaint = str(next(compiled.violations(value, first_only=True), ""))
    raise SpecError(f"{where}: no data could be invented: add an example. The last try broke {complaint}")
