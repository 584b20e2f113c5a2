"""Requests and answers against the spec, with schemas that are compiled once, when first needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from viralsync_mock.errors import SpecError
from viralsync_mock.response import EVENT_STREAM
from viralsync_mock.validation.body import BodyValidator, parse
from viralsync_mock.validation.closed_schema import close_objects
from viralsync_mock.validation.parameters import Parameters
from viralsync_mock.validation.schema import Schema, UnusableSchema, ValidationFailed, Violation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from viralsync_mock.openapi.spec import Operation, ResponseSpec, Spec

__all__ = ["ValidationFailed", "Validator", "Violation"]

JSON = "application/json"


class Validator:
    """The compiled schemas of one spec; a schema that cannot be compiled is a `SpecError` at once."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self._bodies: dict[str, BodyValidator] = {}
        self._parameters: dict[str, Parameters] = {}
        self._answers: dict[tuple[str, str], _ResponseValidator] = {}
        _check_schemas(spec)

    def body(self, operation: Operation, raw: bytes, content_type: str | None, *, require_content_type: bool) -> Any:
        """Return the JSON value of a request's body, or raise `Invalid` with every violation.

        None for an operation without a body, whatever was sent, and for an optional body that was not sent.
        """
        if operation.body_schema is None:
            return None
        body = self._bodies.get(operation.id)
        if body is None:
            body = self._bodies[operation.id] = BodyValidator(operation, self.spec)
        return body.read(raw, content_type, require_content_type=require_content_type)

    def parameters(
        self,
        operation: Operation,
        query: bytes,
        headers: Sequence[tuple[bytes, bytes]],
        path: Mapping[str, str],
    ) -> dict[str, Any]:
        """Return the parameters by name as typed values, or raise `Invalid` with every violation.

        Defaults are filled in; an optional parameter without one is left out. Header names are lower case.
        Query parameters that the spec does not know are ignored.
        """
        if not operation.parameters:
            return {}
        parameters = self._parameters.get(operation.id)
        if parameters is None:
            parameters = self._parameters[operation.id] = Parameters(operation.parameters, self.spec)
        return parameters.read(query, headers, path)

    def answer(
        self, operation: Operation, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes
    ) -> tuple[Violation, ...]:
        """Return what an answer with a body breaks; its objects may hold nothing that the spec does not know.

        Of an event stream only status and headers are looked at: see `event`.
        """
        response = operation.response(status)
        if response is None:
            declared = ", ".join(map(str, operation.responses))
            return (Violation("status", f"expected one that {operation.id} declares ({declared}), got {status}"),)
        sent = [(name.lower(), value) for name, value in headers]
        answers = self._of_answer(operation, response)
        return (*answers.headers(sent), *answers.body(sent, body))

    def event(self, operation: Operation, data: bytes) -> tuple[Violation, ...]:
        """Return what the data of one server-sent event breaks: the `x-event-schema` of the stream."""
        for response in operation.all_responses:
            if response.media_type == EVENT_STREAM:
                return tuple(self._of_answer(operation, response).event(data))
        raise SpecError(f"{operation.id} has no answer of type {EVENT_STREAM}")

    def _of_answer(self, operation: Operation, response: ResponseSpec) -> _ResponseValidator:
        key = (operation.id, response.name)
        answer = self._answers.get(key)
        if answer is None:
            answer = self._answers[key] = _ResponseValidator(operation, response, self.spec)
        return answer


class _ResponseValidator:
    """What one status of one operation promises, compiled."""

    def __init__(self, operation: Operation, response: ResponseSpec, spec: Spec) -> None:
        self._media_type = response.media_type
        self._headers = Parameters(response.headers, spec)
        schema = response.schema
        if self._media_type == EVENT_STREAM:
            schema = response.event_schema
            if schema is None:
                spec.places[operation.id].fail(f"the {EVENT_STREAM} of {operation.id} needs `x-event-schema`: add one")
        # the open schema too: closing the branches of a oneOf could make one of two that fit fail
        self._schemas = (
            [Schema(schema, spec.document), Schema(close_objects(schema, spec.document), {})] if schema else []
        )

    def headers(self, sent: Sequence[tuple[bytes, bytes]]) -> Sequence[Violation]:
        """Return what the declared headers break."""
        try:
            self._headers.read(b"", sent, {})
        except ValidationFailed as broken:
            return broken.violations
        return ()

    def body(self, sent: Sequence[tuple[bytes, bytes]], body: bytes) -> Sequence[Violation]:
        """Return what the media type and the body break."""
        if self._media_type is None:
            return [Violation("$", f"expected no body, got {len(body)} bytes")] if body else ()
        got = dict(sent).get(b"content-type", b"").decode("latin-1")
        if got.partition(";")[0].strip().lower() != self._media_type:
            return [Violation("header.content-type", f"expected {self._media_type}, got {got or 'nothing'}")]
        return self._json(body) if self._media_type == JSON else ()

    def event(self, data: bytes) -> Sequence[Violation]:
        """Return what the data of one event breaks."""
        return self._json(data)

    def _json(self, raw: bytes) -> Sequence[Violation]:
        try:
            value = parse(raw)
        except ValidationFailed as broken:
            return broken.violations
        return next((found for each in self._schemas if (found := list(each.violations(value)))), [])


def _check_schemas(spec: Spec) -> None:
    """Compile every schema once, in one go, so that a broken one is found at the start, not by a request."""
    found: dict[int, tuple[Mapping[str, Any], str]] = {}
    for operation in spec.operations.values():
        schemas = [parameter.schema for parameter in operation.parameters]
        schemas += [response.schema for response in operation.all_responses if response.schema]
        schemas += [response.event_schema for response in operation.all_responses if response.event_schema]
        schemas += [operation.body_schema] if operation.body_schema else []
        found.update((id(schema), (schema, operation.id)) for schema in schemas)
    distinct = list(found.values())
    try:
        Schema({"anyOf": [*(schema for schema, _ in distinct), {}]}, spec.document)
    except UnusableSchema as problem:
        if problem.path[:1] == ("anyOf",):
            spec.places[distinct[int(problem.path[1])][1]].fail(str(problem))
        spec.root.source.fail(problem.path, f"this schema cannot be used: {problem.reason}")
