"""One flat schema out of several that must all hold: `$ref` followed, `allOf` merged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import lcm
from typing import Any

from viralsync_mock.openapi.dialect import follow


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
