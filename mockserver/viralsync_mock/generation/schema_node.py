"""One place of a schema: what fits there, and what comes nearest to a value that does not."""

from __future__ import annotations

from difflib import get_close_matches
from fractions import Fraction
from functools import cached_property
from math import ceil, floor
from typing import TYPE_CHECKING, Any

import orjson

from viralsync_mock.generation.values import flat
from viralsync_mock.openapi.dialect import TYPES
from viralsync_mock.validation.body import parse
from viralsync_mock.validation.schema import Schema, ValidationFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

NOTHING = object()  # where no value was sent

_KINDS = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
_WORDS = frozenset({"true", "false"})
_MAX_BYTES = 2**63  # orjson writes no whole number much larger
_MAX_WORD = 100
_TRIES_TO_DIFFER = 20
_STRUCTURE = frozenset({"properties", "patternProperties", "additionalProperties", "items", "prefixItems", "required"})


class SchemaNode:
    """One place of a schema; what lies below is worked out when first asked for."""

    def __init__(self, schema: Mapping[str, Any] | bool, document: Mapping[str, Any]) -> None:
        own = flat(schema, document)
        self.schema: dict[str, Any] = {"not": {}} if own is None else own
        self.document = document
        named = () if own is None else own.get("type", TYPES)  # of no type: nothing fits
        self.types = frozenset([named] if isinstance(named, str) else named)
        self._options: Sequence[Any] = [self.schema["const"]] if "const" in self.schema else self.schema.get("enum", ())
        self._below: dict[str | int, SchemaNode] = {}

    @cached_property
    def branches(self) -> list[SchemaNode]:
        """The shapes of which the value must have one; none where there is no choice."""
        key = next((key for key in ("oneOf", "anyOf") if key in self.schema), "")
        rest = {each: value for each, value in self.schema.items() if each != key}
        return [SchemaNode({"allOf": [rest, branch]}, self.document) for branch in self.schema.get(key, ())]

    @cached_property
    def _own(self) -> Schema:
        return Schema({key: part for key, part in self.schema.items() if key not in _STRUCTURE}, self.document)

    def accepts(self, value: Any) -> bool:
        """Return whether a value fits, its members aside."""
        return any(each.accepts(value) for each in self.branches) if self.branches else self._own.accepts(value)

    def has_members(self, value: Any) -> bool:
        """Return whether the value is an object or an array, as the shape wants it, so that its members count."""
        return isinstance(value, dict | list) and kind_of(value) in self.types and not self._options

    def has_property(self, name: str) -> bool:
        """Return whether the schema names this property."""
        return name in self.schema.get("properties", {})

    def child(self, step: str | int) -> SchemaNode:
        """Return the shape of a property or an item."""
        if step not in self._below:
            schema = self._item(step) if isinstance(step, int) else self._property(step)
            self._below[step] = SchemaNode(schema, self.document)
        return self._below[step]

    def _property(self, name: str) -> Any:
        if self.has_property(name):
            return self.schema["properties"][name]
        for pattern, schema in self.schema.get("patternProperties", {}).items():
            if Schema({"pattern": pattern}, {}).accepts(name):
                return schema
        return self.schema.get("additionalProperties", self.schema.get("unevaluatedProperties", True))

    def _item(self, index: int) -> Any:
        first = self.schema.get("prefixItems", ())
        return first[index] if index < len(first) else self.schema.get("items", True)

    def candidates(self, value: Any, samples: Sequence[Any]) -> Iterator[Any]:
        """Yield what could stand in place of a value, the nearest first; not all of it fits."""
        if value is not NOTHING:
            yield from _converted(value, self.schema)
            texts = {str(option).lower(): option for option in self._options}
            word = str(value)[:_MAX_WORD].lower()
            yield from (texts[near] for near in get_close_matches(word, texts, n=1, cutoff=0.5))
        yield from (*self._options, *samples, *self.schema.get("examples", ()))
        yield from (self.schema[key] for key in ("default",) if key in self.schema)

    def made_unique(self, items: list[Any], name: str) -> list[Any]:
        """Return the items of this array, the property changed where an earlier item has the same."""
        taken = {orjson.dumps(item[name]) for item in items if isinstance(item, dict) and name in item}
        seen: set[bytes] = set()
        result = []
        for index, item in enumerate(items):
            own = item
            if isinstance(item, dict) and name in item:
                if orjson.dumps(item[name]) in seen:
                    own = {**item, name: self.child(index).child(name)._unlike(item[name], index, taken)}
                seen.add(orjson.dumps(own[name]))
                taken.add(orjson.dumps(own[name]))
            result.append(own)
        return result

    def _unlike(self, value: Any, index: int, taken: set[bytes]) -> Any:
        """Return a value near this one that is not taken; the value itself where there is none."""
        for number in range(index + 1, index + 1 + _TRIES_TO_DIFFER):
            other = f"{value}-{number}" if isinstance(value, str) else number
            if orjson.dumps(other) not in taken and self.accepts(other):
                return other
        return value


def kind_of(value: Any) -> str:
    """Return the JSON Schema type of a value, the narrowest."""
    return _KINDS.get(type(value), "null")


def distance(one: Any, other: Any) -> int:
    """Return how many plain values differ, and how many kinds; 0 for equal values alone."""
    if isinstance(one, dict) and isinstance(other, dict):
        changed = sum(distance(one[name], other[name]) for name in one.keys() & other.keys())
        return changed + sum(_size({**one, **other}[name]) for name in one.keys() ^ other.keys())
    if isinstance(one, list) and isinstance(other, list):
        longer = max(one, other, key=len)[min(len(one), len(other)) :]
        return sum(map(distance, one, other)) + sum(map(_size, longer))
    if kind_of(one) == kind_of(other):
        return int(one != other)
    return max(_size(one), _size(other)) + 1


def _size(value: Any) -> int:
    """Return how many plain values there are in this one; an empty object counts too."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sum(map(_size, parts)) or 1


def _converted(value: Any, schema: Mapping[str, Any]) -> Iterator[Any]:
    """Yield what a value may have been meant to be: of another type, within the bounds, cut, or the only item."""
    meant = value
    if isinstance(value, str):
        meant = _parsed(value)
        yield from () if isinstance(meant, str) else (meant,)
        yield value[: schema.get("maxLength")]
    if isinstance(meant, int | float) and not isinstance(meant, bool):
        yield from _numbers_near(meant, schema)
    if isinstance(value, int | float):
        yield orjson.dumps(value).decode()
    if value is not None and not isinstance(value, list):
        yield [value]


def _parsed(text: str) -> Any:
    """Return the JSON value that a text holds, or the text itself."""
    try:
        return parse((text.lower() if text.lower() in _WORDS else text).encode())
    except ValidationFailed:
        return text


def _numbers_near(number: float, schema: Mapping[str, Any]) -> list[float]:
    """Return the numbers that are likely to fit, the nearest first."""
    lows = [schema[key] for key in ("minimum", "exclusiveMinimum") if key in schema]
    highs = [schema[key] for key in ("maximum", "exclusiveMaximum") if key in schema]
    points = [number, *lows, *highs, *(low + 1 for low in lows), *(high - 1 for high in highs)]
    points += [(low + high) / 2 for low in lows for high in highs]
    points = [point for point in points if abs(point) < _MAX_BYTES]
    step = schema.get("multipleOf", 1)
    points += [turn(Fraction(point) / Fraction(step)) * step for point in points for turn in (floor, ceil)]
    return sorted(points, key=lambda point: abs(Fraction(point) - Fraction(number)))
