"""Request bodies: the media type, the JSON, the schema, and what must be unique."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NoReturn

import orjson

from viralsync_mock.config.yaml_source import json_path, preview
from viralsync_mock.openapi.dialect import follow
from viralsync_mock.validation.schema import Schema, ValidationFailed, Violation, invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from viralsync_mock.config.yaml_source import Trail
    from viralsync_mock.openapi.spec import Operation, Spec

# To find all faults of a huge body full of them takes seconds: beyond this size only the first is reported.
MAX_EXPLAINED = 32 * 1024
MAX_DEPTH = 200  # orjson writes 254 levels, and the body stands some levels deep in a list of jobs
EVERY = -1  # in a trail: each item of an array

_JSON = re.compile(r"application/json\s*(?:;|\Z)", re.IGNORECASE)
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([^\s;\"]*)", re.IGNORECASE)
_NOT_JSON = re.compile(r"-?(?:NaN|Infinity)")
_MARKS = {b"\xef\xbb\xbf": "a byte order mark", b"\xff\xfe": "UTF-16 or UTF-32", b"\xfe\xff": "UTF-16"}


class BodyValidator:
    """What one operation takes as its body, compiled."""

    def __init__(self, operation: Operation, spec: Spec) -> None:
        schema = operation.body_schema or {}
        self._required = operation.body_required
        self._schema = Schema(schema, spec.document)
        self._unique = tuple(_unique_places(schema, spec.document, (), frozenset()))

    def read(self, raw: bytes, content_type: str | None, *, require_content_type: bool) -> Any:
        """Return the JSON value, or None for an optional body that was not sent; raise `Invalid`."""
        if not raw:
            if self._required:
                invalid("$", "expected a JSON body, got nothing")
            return None
        if require_content_type and content_type != "application/json":
            _check_content_type(content_type)
        value = parse(raw)
        if not self._schema.accepts(value):
            is_large = len(raw) > MAX_EXPLAINED
            raise ValidationFailed([*self._schema.violations(value, first_only=is_large), *self._duplicates(value)])
        for trail, name in self._unique:
            if not _is_unique(value, trail, name) and (duplicates := list(self._duplicates(value))):
                raise ValidationFailed(duplicates)
        return value

    def _duplicates(self, value: Any) -> Iterator[Violation]:
        for trail, name in self._unique:
            for place, items in _arrays(value, trail):
                yield from _duplicates(place, items, name)


def _check_content_type(content_type: str | None) -> None:
    if content_type is None or not _JSON.match(content_type.strip()):
        got = "nothing" if content_type is None else preview(content_type)
        invalid("header.content-type", f"expected application/json, got {got}")
    charset = _CHARSET.search(content_type)
    if charset and charset[1].lower() not in {"utf-8", "utf8"}:
        invalid("header.content-type", f"expected charset=utf-8, got {preview(charset[1])}: send UTF-8")


def parse(raw: bytes) -> Any:
    """Return the JSON value of a body, or raise `Invalid` with the line and column of what is not JSON."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as problem:
        _explain(raw, problem)
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH:  # else it cannot be that deep
        _check_depth(value)
    return value


def _check_depth(value: Any) -> None:
    layer = [value]
    for _ in range(MAX_DEPTH):
        layer = [part for each in layer for part in _parts(each)]
        if not layer:
            return
    invalid("$", f"expected at most {MAX_DEPTH} levels of nesting, got more")


def _parts(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _explain(raw: bytes, problem: orjson.JSONDecodeError) -> NoReturn:
    for mark, name in _MARKS.items():
        if raw.startswith(mark):
            invalid("$", f"the body is not JSON: it begins with {name}; send UTF-8 without a byte order mark")
    if b"\0" in raw[:4]:
        invalid("$", "the body is not JSON: it looks like UTF-16 or UTF-32; send UTF-8")
    try:
        text = raw.decode()
    except UnicodeDecodeError as undecodable:
        at = undecodable.start
        invalid("$", f"the body is not UTF-8: byte 0x{raw[at]:02x} at position {at}; send UTF-8")
    word = _NOT_JSON.match(text, max(problem.pos - 1, 0)) or _NOT_JSON.match(text, problem.pos)
    reason = f"JSON has no {word[0]}" if word else problem.msg
    invalid("$", f"the body is not JSON: {reason}, at line {problem.lineno} column {problem.colno}")


def _unique_places(
    schema: Any, document: Mapping[str, Any], trail: Trail, seen: frozenset[str]
) -> Iterator[tuple[Trail, str]]:
    """Yield the arrays whose items differ in a property: the trail to the array, and the property."""
    if not isinstance(schema, dict):
        return
    if "x-unique-by" in schema:
        yield trail, schema["x-unique-by"]
    for part, step, reference in _below(schema, document):
        if reference not in seen:
            yield from _unique_places(part, document, (*trail, *step), seen | {reference} - {""})


def _below(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Iterable[tuple[Any, Trail, str]]:
    """Yield each schema directly under this one, the step to its value, and the reference followed."""
    if "$ref" in schema:
        yield follow(document, schema["$ref"])[1], (), schema["$ref"]
    for name, part in schema.get("properties", {}).items():
        yield part, (name,), ""
    if "items" in schema:
        yield schema["items"], (EVERY,), ""
    for key in ("allOf", "anyOf", "oneOf"):
        for part in schema.get(key, ()):
            yield part, (), ""


def _is_unique(value: Any, trail: Trail, name: str) -> bool:
    """Say quickly that no two of these texts are the same; False means only that it takes a closer look."""
    try:
        for step in trail:
            value = value[step]
        return len({item[name] for item in value}) == len(value)
    except (KeyError, IndexError, TypeError):
        return False


def _arrays(value: Any, trail: Trail, place: Trail = ()) -> Iterator[tuple[Trail, list[Any]]]:
    """Yield the arrays that a trail leads to; a value of another shape has none."""
    if not trail:
        if isinstance(value, list):
            yield place, value
    elif trail[0] == EVERY and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _arrays(item, trail[1:], (*place, index))
    elif isinstance(value, dict) and trail[0] in value:
        yield from _arrays(value[trail[0]], trail[1:], (*place, trail[0]))


def _duplicates(place: Trail, items: list[Any], name: str) -> Iterator[Violation]:
    first: dict[bytes | str, int] = {}
    for index, item in enumerate(items):
        if isinstance(item, dict) and name in item:
            own = item[name]
            earlier = first.setdefault(own if isinstance(own, str) else orjson.dumps(own), index)
            if earlier != index:
                here, there = json_path((*place, index, name)), json_path((*place, earlier, name))
                yield Violation(here, f"duplicate of {there} ({preview(own)})")
