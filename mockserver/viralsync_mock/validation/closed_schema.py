"""Response schemas with their objects closed, so that a property which the spec does not know is a violation.

The spec's own schemas stay open, as the API may add fields; the mock's answers may not. An object is closed
where it begins, with `unevaluatedProperties: false`, never inside the `allOf` that it is put together from.
Objects without `properties` are free-form and stay open.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from viralsync_mock.openapi.dialect import follow

# How a schema is rewritten: closed itself; as a part of a closed one, with closed members; or not at all.
CLOSED, PART, OPEN = "closed", "part", "open"

_MEMBERS = ("items", "additionalProperties", "unevaluatedItems", "contentSchema")
_MEMBERS_BY_NAME = ("properties", "patternProperties")
_MEMBER_LISTS = ("prefixItems",)
_ALTERNATIVES = ("$ref", "anyOf", "oneOf")
_PARTS = ("allOf", "anyOf", "oneOf", "then", "else", "dependentSchemas", "$ref")
_CONDITIONS = ("if", "not", "contains", "propertyNames")
_CLOSERS = ("additionalProperties", "unevaluatedProperties")


def close_objects(schema: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema that stands alone: its references lead into its own `$defs`."""
    closing = _Closing(document)
    result = closing.rewritten(schema, CLOSED)
    return {**result, "$defs": closing.definitions}


class _Closing:
    """Rewrites schemas, and every schema that they refer to once per mode."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self.definitions: dict[str, Any] = {}

    def rewritten(self, schema: Any, mode: str) -> Any:
        """Return the schema in a mode; anything but an object is returned as it is."""
        if not isinstance(schema, Mapping):
            return schema
        inner = CLOSED if mode == CLOSED and _is_choice(schema) else PART
        modes = {
            **dict.fromkeys((*_MEMBERS, *_MEMBERS_BY_NAME, *_MEMBER_LISTS), CLOSED),
            **dict.fromkeys(_PARTS, inner),
        }
        result = {}
        for key, value in schema.items():
            below = OPEN if mode == OPEN or key in _CONDITIONS else modes.get(key)
            result[key] = self._below(key, value, below) if below else value
        if mode == CLOSED and inner == PART and self._is_closable(schema):
            result["unevaluatedProperties"] = False
        return result

    def _below(self, key: str, value: Any, mode: str) -> Any:
        if key == "$ref":
            return self._reference(value, mode)
        if key in {*_MEMBERS, "then", "else", *_CONDITIONS}:
            return self.rewritten(value, mode)
        if key in {*_MEMBERS_BY_NAME, "dependentSchemas"}:
            return {name: self.rewritten(each, mode) for name, each in value.items()}
        if key in {"allOf", "anyOf", "oneOf", *_MEMBER_LISTS}:
            return [self.rewritten(each, mode) for each in value]
        return value

    def _reference(self, reference: str, mode: str) -> str:
        name = f"{mode} {reference}"
        if name not in self.definitions:
            self.definitions[name] = True  # stands in while a schema that refers to itself is rewritten
            self.definitions[name] = self.rewritten(follow(self._document, reference)[1], mode)
        return "#/$defs/" + name.replace("~", "~0").replace("/", "~1").replace(" ", "%20").replace("#", "%23")

    def _is_closable(self, schema: Mapping[str, Any]) -> bool:
        return not any(key in schema for key in _CLOSERS) and self._has_properties(schema, frozenset())

    def _has_properties(self, schema: Any, seen: frozenset[str]) -> bool:
        if not isinstance(schema, Mapping) or schema.get("$ref") in seen:
            return False
        if "properties" in schema:
            return True
        parts = [part for key in ("allOf", "anyOf", "oneOf") for part in schema.get(key, ())]
        if "$ref" in schema:
            seen |= {schema["$ref"]}
            parts.append(follow(self._document, schema["$ref"])[1])
        return any(self._has_properties(part, seen) for part in parts)


def _is_choice(schema: Mapping[str, Any]) -> bool:
    """Return whether a schema only refers or chooses, so that what it leads to can be closed instead."""
    other = ("properties", "patternProperties", "allOf", "then", "else", "dependentSchemas", *_CLOSERS)
    return sum(key in schema for key in _ALTERNATIVES) == 1 and not any(key in schema for key in other)
