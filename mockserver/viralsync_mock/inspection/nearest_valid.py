"""The nearest valid request: what a client sent, changed as little as possible so that it is valid."""

from __future__ import annotations

from contextlib import suppress
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_from_bytes, unquote_to_bytes

import orjson

from viralsync_mock.errors import SpecError
from viralsync_mock.generation.primitives import UnsatisfiableSchema
from viralsync_mock.generation.response import generate_value
from viralsync_mock.generation.schema_node import NOTHING, SchemaNode, distance, kind_of
from viralsync_mock.openapi.operations import JSON
from viralsync_mock.validation.body import MAX_EXPLAINED, parse
from viralsync_mock.validation.parameters import Parameters
from viralsync_mock.validation.schema import ValidationFailed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from viralsync_mock.openapi.spec import Operation, Parameter, Spec
    from viralsync_mock.validation.validator import Validator

MAX_REPAIRS = 50
MAX_DEPTH = 40  # levels; what lies below is left as it is
SIMILAR_NAME_CUTOFF = 0.8  # how alike two names are, of which one was meant for the other

_AS_IT_IS = "".join(map(chr, range(0x21, 0x7F)))


class TooManyViolations(Exception):
    """Too much is wrong: repairing it would take long and help little."""


class NearestValidFinder:
    """Repairs one value; `samples` are always good values for its place, the best first."""

    def __init__(self, seed: str, *, invents: bool = True) -> None:
        self._seed = seed
        self._invents = invents
        self._left = MAX_REPAIRS

    def repaired(self, value: Any, shape: SchemaNode, samples: Sequence[Any], depth: int = 0) -> Any:
        """Return the value with each violation repaired in its place; a valid value is returned unchanged.

        Keywords about an object as a whole, such as `if` and `minProperties`, are not repaired. Raises
        UnsatisfiableSchema where nothing fits and TooManyViolations after 50 repairs.
        """
        if depth > MAX_DEPTH:
            return value
        if shape.branches:
            return self._of_branches(value, shape, samples, depth + 1)
        if shape.has_members(value):
            repair = self._object if isinstance(value, dict) else self._array
            return repair(value, shape, samples, depth + 1)
        return value if shape.accepts(value) else self._replaced(value, shape, samples, depth + 1)

    def _of_branches(self, value: Any, shape: SchemaNode, samples: Sequence[Any], depth: int) -> Any:
        """Return the value repaired for the branch that changes it least; null is the last choice."""
        found: list[Any] = []
        for branch in sorted(shape.branches, key=lambda branch: kind_of(value) not in branch.types):
            try:
                found.append(self.repaired(value, branch, samples, depth))
            except UnsatisfiableSchema:
                continue
            if distance(value, found[-1]) == 0:
                return value
        if not found:
            raise UnsatisfiableSchema("no branch gives a value that fits")
        return min(found, key=lambda each: (distance(value, each), each is None))

    def _replaced(self, value: Any, shape: SchemaNode, samples: Sequence[Any], depth: int) -> Any:
        self._left -= 1
        if self._left < 0:
            raise TooManyViolations
        for candidate in self._candidates(value, shape, samples):
            if shape.branches or shape.has_members(candidate):
                return self.repaired(candidate, shape, samples, depth)
            if shape.accepts(candidate):
                return candidate
        raise UnsatisfiableSchema("nothing that is known fits")

    def _candidates(self, value: Any, shape: SchemaNode, samples: Sequence[Any]) -> Iterator[Any]:
        yield from shape.candidates(value, samples)
        if self._invents and shape.types:
            blanks: tuple[Any, ...] = ({}, [], None) if "type" in shape.schema else ()
            yield from (blank for blank in blanks if kind_of(blank) in shape.types)
            yield self._invented(shape)

    def _invented(self, shape: SchemaNode) -> Any:
        try:
            return generate_value(shape.schema, shape.document, self._seed, "the nearest value")
        except SpecError as problem:
            raise UnsatisfiableSchema(str(problem)) from None

    def _object(self, value: dict[str, Any], shape: SchemaNode, samples: Sequence[Any], depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        required = shape.schema.get("required", ())
        for name, part in value.items():
            try:
                if part is not None or name in required or shape.child(name).accepts(None):
                    made[name] = self.repaired(part, shape.child(name), _under(samples, name), depth)
            except UnsatisfiableSchema:
                if name in required:
                    raise
        for name in required:
            if name not in value:
                made[name] = self._added(name, value, shape, samples, depth)
        return made

    def _added(self, name: str, value: dict[str, Any], shape: SchemaNode, samples: Sequence[Any], depth: int) -> Any:
        """Return the value of a missing property: the one sent under a misspelt name, or a good one."""
        unknown = [other for other in value if not shape.has_property(other)]
        near = get_close_matches(name, unknown, n=1, cutoff=SIMILAR_NAME_CUTOFF)
        sent = value[near[0]] if near else NOTHING
        below = shape.child(name)
        if sent is NOTHING:
            return self._replaced(sent, below, _under(samples, name), depth)
        return self.repaired(sent, below, _under(samples, name), depth)

    def _array(self, value: list[Any], shape: SchemaNode, samples: Sequence[Any], depth: int) -> list[Any]:
        schema = shape.schema
        made: list[Any] = []
        for index, item in enumerate(value):
            with suppress(UnsatisfiableSchema):  # nothing like it may stand here
                made.append(self.repaired(item, shape.child(index), _under(samples, index), depth))
        if schema.get("uniqueItems"):
            made = list({orjson.dumps(item, option=orjson.OPT_SORT_KEYS): item for item in made}.values())
        for index in range(len(made), schema.get("minItems", 0)):
            made.append(self._replaced(NOTHING, shape.child(index), _under(samples, index), depth))
        if "x-unique-by" in schema:
            made = shape.made_unique(made, schema["x-unique-by"])
        return made[: schema.get("maxItems")]


def _under(samples: Sequence[Any], step: str | int) -> list[Any]:
    """Return the samples below a step; past the end of an array its last item is used."""
    if isinstance(step, str):
        return [sample[step] for sample in samples if isinstance(sample, dict) and step in sample]
    return [sample[min(step, len(sample) - 1)] for sample in samples if isinstance(sample, list) and sample]


def nearest_body(validator: Validator, operation: Operation, raw: bytes) -> Any | None:
    """Return the JSON value nearest to a body that the operation takes; a valid body's own value.

    A body that is not a JSON object, or has too many faults, gives the operation's first example. None for an
    operation without a body, an optional body that was not sent, and where neither example nor invention fits.
    """
    if operation.body_schema is None:
        return None
    try:
        return validator.body(operation, raw, JSON, require_content_type=True)
    except ValidationFailed:
        pass
    for candidate in _bodies(validator.spec, operation, raw):
        try:
            return validator.body(operation, orjson.dumps(candidate), JSON, require_content_type=True)
        except (ValidationFailed, orjson.JSONEncodeError):
            continue
    return None


def _bodies(spec: Spec, operation: Operation, raw: bytes) -> Iterator[Any]:
    """Yield candidates: the repaired body, the examples, an invented one."""
    body = spec.resolve(operation.document["requestBody"])
    examples = _examples(spec, body["content"][JSON])
    schema = operation.body_schema or {}
    seed = f"nearest/{operation.id}"
    try:
        value = parse(raw) if len(raw) <= MAX_EXPLAINED else None
        if isinstance(value, dict):
            yield NearestValidFinder(seed).repaired(value, SchemaNode(schema, spec.document), examples)
    except (ValidationFailed, UnsatisfiableSchema, TooManyViolations, orjson.JSONEncodeError):
        pass
    yield from examples
    try:
        yield generate_value(schema, spec.document, seed, operation.id)
    except SpecError:
        return


def _examples(spec: Spec, owner: Mapping[str, Any]) -> list[Any]:
    if "example" in owner:
        return [owner["example"]]
    named = (spec.resolve(each) for each in owner.get("examples", {}).values())
    return [each["value"] for each in named if "value" in each]


def nearest_query(
    validator: Validator, operation: Operation, query: bytes, *, refused: Collection[str] = ()
) -> str | None:
    """Return the query nearest to this one that the operation takes, percent-encoded; None when nothing is wrong.

    `refused` names parameters that fit their schemas and were refused all the same, such as a cursor of another
    server: they are left out. Unknown parameters stay as they are.
    """
    spec = validator.spec
    pieces = [(_plain(piece.partition(b"=")[0]), piece) for piece in query.split(b"&")] if query else []
    sent = pieces
    for parameter in operation.parameters:
        if parameter.location == "query":
            pieces = _mended(spec, operation, parameter, pieces, is_refused=parameter.name in refused)
    if pieces == sent:
        return None
    return "&".join(quote_from_bytes(piece, safe=_AS_IT_IS) for _, piece in pieces)


_Pieces = list[tuple[str, bytes]]


def _mended(spec: Spec, operation: Operation, parameter: Parameter, pieces: _Pieces, *, is_refused: bool) -> _Pieces:
    """Return the pieces of a query with those of one parameter repaired."""
    name = parameter.name
    own = [piece for called, piece in pieces if called == name]
    if not is_refused and _matches(spec, parameter, own):
        return pieces
    texts = [] if is_refused else [_plain(piece.partition(b"=")[2]) for piece in own]
    new = [f"{quote(name)}={quote(text)}".encode() for text in _texts(spec, operation, parameter, texts)]
    if not _matches(spec, parameter, new):
        new = []
    at = next((index for index, (called, _) in enumerate(pieces) if called == name), len(pieces))
    rest = [(called, piece) for called, piece in pieces[at:] if called != name]
    return [*pieces[:at], *((name, piece) for piece in new), *rest]


def _matches(spec: Spec, parameter: Parameter, pieces: list[bytes]) -> bool:
    try:
        Parameters([parameter], spec).read(b"&".join(pieces), (), {})
    except ValidationFailed:
        return False
    return True


def _plain(text: bytes) -> str:
    """Decode percent signs and plus signs, dropping bytes that are not UTF-8."""
    return unquote_to_bytes(text.replace(b"+", b" ")).decode(errors="ignore")


def _texts(spec: Spec, operation: Operation, parameter: Parameter, sent: list[str]) -> list[str]:
    """Return the texts that the parameter takes in place of those sent; none to leave it out."""
    shape = SchemaNode(parameter.schema, spec.document)
    is_array = "array" in shape.schema.get("type", ())
    if not (sent or parameter.required):
        return []
    default = [shape.schema["default"]] if "default" in shape.schema else []
    samples = [*default, *_parameter_examples(spec, operation, parameter)]
    value: Any = sent if is_array else sent[0] if sent else None
    try:
        value = NearestValidFinder(f"nearest/{operation.id}", invents=parameter.required).repaired(
            value, shape, samples
        )
    except (UnsatisfiableSchema, TooManyViolations):
        return []
    return [_written(each) for each in (value if isinstance(value, list) else [value]) if each is not None]


def _written(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _parameter_examples(spec: Spec, operation: Operation, parameter: Parameter) -> list[Any]:
    """Return the examples beside the parameter's schema; an operation's own declaration goes before its path's."""
    shared = spec.resolve(spec.document["paths"][operation.path]).get("parameters", [])
    declared = map(spec.resolve, [*operation.document.get("parameters", []), *shared])
    own = (each for each in declared if (each["name"], each["in"]) == (parameter.name, parameter.location))
    return _examples(spec, next(own))
