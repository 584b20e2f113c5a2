"""JSON values of any shape that a schema describes, built from invented texts and numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import lcm
from typing import TYPE_CHECKING, Any

import orjson

from viralsync_mock.generation.primitives import UnsatisfiableSchema
from viralsync_mock.openapi.dialect import follow
from viralsync_mock.validation.schema import Schema

if TYPE_CHECKING:
    from viralsync_mock.generation.primitives import FakeValues

ATTEMPTS = 12
MAX_DEPTH = 6  # levels below which only what is required is invented
HARD_MAX_DEPTH = 40
UNIQUE_ATTEMPTS = 20

_TYPE_SIGNS = {
    "object": ("properties", "required", "additionalProperties", "minProperties", "patternProperties"),
    "array": ("items", "prefixItems", "minItems", "uniqueItems", "contains"),
    "string": ("pattern", "format", "minLength", "maxLength", "contentSchema"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}


class ValueGenerator:
    """Builds values; later attempts leave out more of what is optional, and do without examples."""

    def __init__(self, document: Mapping[str, Any], fakes: FakeValues, attempt: int = 0) -> None:
        self._document = document
        self._fakes = fakes
        self._random = fakes.random
        self._attempt = attempt
        self._uses_examples = attempt < ATTEMPTS // 2
        self._makers: Mapping[str, Callable[[Mapping[str, Any], str, int], Any]] = {
            "null": lambda _schema, _name, _depth: None,
            "boolean": lambda _schema, _name, _depth: self._random.random() < 1 / 2,
            "integer": lambda schema, _name, _depth: self._fakes.number(schema, whole=True),
            "number": lambda schema, _name, _depth: self._fakes.number(schema, whole=False),
            "string": self._text,
            "array": self._array,
            "object": self._object,
        }

    def value(self, schema: Mapping[str, Any] | bool, name: str = "", depth: int = 0) -> Any:
        """Return a value for a property of this name."""
        if depth > HARD_MAX_DEPTH:
            raise UnsatisfiableSchema(f"{name or '$'}: the schema requires itself without an end")
        own = flat(schema, self._document)
        if own is None:
            raise UnsatisfiableSchema(f"{name or '$'}: the schema allows nothing")
        for key in ("oneOf", "anyOf"):
            if key in own:
                return self._chosen(own, key, name, depth)
        if "const" in own:
            return own["const"]
        given = own.get("enum") or self._given(own)
        return self._random.choice(given) if given else self._makers[self._type(own, depth)](own, name, depth)

    def _given(self, schema: Mapping[str, Any]) -> list[Any]:
        """Return the schema's own examples, or else its default; none in the later attempts, which do without."""
        if not self._uses_examples:
            return []
        return schema.get("examples") or [schema[key] for key in ("example", "default") if key in schema][:1]

    def _type(self, schema: Mapping[str, Any], depth: int) -> str:
        types = schema.get("type", [])
        types = [types] if isinstance(types, str) else types
        if "null" in types and depth > MAX_DEPTH:
            return "null"
        named = [each for each in types if each != "null"]
        if named or types:
            return str(self._random.choice(named or types))
        return next((kind for kind, signs in _TYPE_SIGNS.items() if any(sign in schema for sign in signs)), "string")

    def _chosen(self, schema: Mapping[str, Any], key: str, name: str, depth: int) -> Any:
        """Return a value of the first branch that gives one which fits the whole."""
        rest = {each: value for each, value in schema.items() if each != key}
        branches = schema[key]
        start = self._attempt % len(branches)
        branches = [*branches[start:], *branches[:start]]
        if depth > MAX_DEPTH:
            branches.sort(key=lambda branch: "$ref" in branch if isinstance(branch, dict) else True)
        compiled = Schema(schema, self._document)
        complaint = UnsatisfiableSchema(f"{name or '$'}: no branch of {key} gives a value that fits")
        for branch in branches:
            try:
                value = self.value({"allOf": [rest, branch]}, name, depth + 1)
            except UnsatisfiableSchema as problem:
                complaint = problem
                continue
            if compiled.accepts(value):
                return value
        raise complaint

    def _text(self, schema: Mapping[str, Any], name: str, depth: int) -> str:
        if "contentSchema" in schema:
            return orjson.dumps(self.value(schema["contentSchema"], name, depth + 1)).decode()
        return self._fakes.text(schema, name)

    def _array(self, schema: Mapping[str, Any], name: str, depth: int) -> list[Any]:
        least = schema.get("minItems", 0)
        most = schema.get("maxItems", least + 3)
        first = [self.value(each, name, depth + 1) for each in schema.get("prefixItems", [])[:most]]
        if "contains" in schema:
            first += [self.value(schema["contains"], name, depth + 1)] * schema.get("minContains", 1)
        wanted = least if depth > MAX_DEPTH else self._random.randint(max(least, min(1, most)), min(most, least + 3))
        items = schema.get("items", True)
        while len(first) < wanted and items is not False:
            item = self._other_item(schema, items, first, name, depth)
            if item is None:
                break
            first.append(item[0])
        return first

    def _other_item(
        self, schema: Mapping[str, Any], items: Any, earlier: list[Any], name: str, depth: int
    ) -> tuple[Any] | None:
        """Return one more item, unlike the earlier ones where they must differ; None when none was found."""
        unique_by = schema.get("x-unique-by")
        uses_examples = self._uses_examples
        try:
            for _ in range(UNIQUE_ATTEMPTS):
                item = self.value(items, name.removesuffix("s"), depth + 1)
                if not (unique_by or schema.get("uniqueItems")) or _differs(item, earlier, unique_by):
                    return (item,)
                self._uses_examples = False  # an example can only be the same again
        finally:
            self._uses_examples = uses_examples
        return None

    def _object(self, schema: Mapping[str, Any], _name: str, depth: int) -> dict[str, Any]:
        properties, required = schema.get("properties", {}), schema.get("required", [])
        made: dict[str, Any] = {}
        for name in dict.fromkeys([*properties, *required]):
            part = properties.get(name, schema.get("additionalProperties", True))
            if name in required:
                made[name] = self.value(part, name, depth + 1)
            elif part is not False and self._wants_optional(schema, len(required), depth):
                self._add_optional(made, part, name, depth)
        self._fill_up(made, schema, depth)
        return made

    def _wants_optional(self, schema: Mapping[str, Any], required: int, depth: int) -> bool:
        if depth > MAX_DEPTH or schema.get("maxProperties", required + 1) <= required:
            return False
        return self._attempt == 0 or self._random.random() < 1 / 2

    def _add_optional(self, made: dict[str, Any], schema: Any, name: str, depth: int) -> None:
        try:
            made[name] = self.value(schema, name, depth + 1)
        except UnsatisfiableSchema:
            return  # it may be left out

    def _fill_up(self, made: dict[str, Any], schema: Mapping[str, Any], depth: int) -> None:
        """Add properties of invented names: as many as must be there, or one where the spec describes them."""
        extra = schema.get("additionalProperties", True)
        if extra is False:
            return
        is_described = isinstance(extra, dict) and not made and depth <= MAX_DEPTH
        wanted = max(schema.get("minProperties", 0), int(is_described))
        for _ in range(UNIQUE_ATTEMPTS + wanted):
            if len(made) >= min(wanted, schema.get("maxProperties", wanted)):
                return
            name = self.value({"allOf": [{"type": "string"}, schema.get("propertyNames", True)]}, "", depth + 1)
            made.setdefault(name, self.value(extra, name, depth + 1))


def _differs(item: Any, earlier: list[Any], unique_by: str | None) -> bool:
    if unique_by is not None:
        return all(item.get(unique_by) != each.get(unique_by) for each in earlier)
    return _key(item) not in map(_key, earlier)


def _key(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def flat(
    schema: Mapping[str, Any] | bool, document: Mapping[str, Any], seen: frozenset[str] = frozenset()
) -> dict[str, Any] | None:
    """Return the schema without `$ref` and `allOf` at its top, or None when it is or contains `false`."""
    if isinstance(schema, bool):
        return {} if schema else None
    own = {key: value for key, value in schema.items() if key not in {"$ref", "allOf"}}
    parts: list[Any] = list(schema.get("allOf", ()))
    reference = schema.get("$ref")
    if reference is not None and reference not in seen:
        seen |= {reference}
        parts.insert(0, follow(document, reference)[1])
    for part in parts:
        other = flat(part, document, seen)
        if other is None:
            return None
        own = merged(own, other)
    return own


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return what holds when both schemas hold; where keywords cannot be merged, the first one's stays."""
    result = {**other, **one}
    for key in one.keys() & other.keys() & _MERGERS.keys():
        result[key] = _MERGERS[key](one[key], other[key])
    return result


def _both(one: Any, other: Any) -> Any:
    if one is False or other is False:
        return False
    return {"allOf": [one, other]}


def _both_by_name(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **one,
        **{name: _both(one[name], part) if name in one else part for name, part in other.items()},
    }


def _common_types(one: Any, other: Any) -> list[str]:
    first, second = ([each] if isinstance(each, str) else list(each) for each in (one, other))
    narrowed = [
        kind if kind in second else "integer"
        for kind in first
        if kind in second or (kind == "number" and "integer" in second) or (kind == "integer" and "number" in second)
    ]
    return narrowed or ["null"]  # nothing fits both: the validation of the result will say so


_MERGERS: Mapping[str, Callable[[Any, Any], Any]] = {
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), min),
    **dict.fromkeys(("properties", "patternProperties"), _both_by_name),
    **dict.fromkeys(("items", "additionalProperties", "propertyNames"), _both),
    **dict.fromkeys(("anyOf", "oneOf"), lambda one, other: [_both(a, b) for a in one for b in other]),
    "required": lambda one, other: list(dict.fromkeys([*one, *other])),
    "enum": lambda one, other: [value for value in one if value in other] or one,
    "type": _common_types,
    "multipleOf": lambda one, other: lcm(one, other) if isinstance(one, int) and isinstance(other, int) else one,
}
