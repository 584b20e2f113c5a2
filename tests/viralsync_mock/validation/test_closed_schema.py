"""A closed schema refuses what the spec does not know, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from viralsync_mock.validation.closed_schema import close_objects
from viralsync_mock.validation.schema import Schema

DOCUMENT: dict[str, Any] = {
    "components": {
        "schemas": {
            "A": {"type": "object", "properties": {"a": {"type": "integer"}}},
            "B": {"type": "object", "properties": {"b": {"$ref": "#/components/schemas/A"}}},
            "Tree": {
                "type": "object",
                "properties": {"leaves": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}},
            },
            "Free": {"type": "object"},
            "Circle": {"anyOf": [{"$ref": "#/components/schemas/Circle"}, {"type": "object"}]},
        }
    }
}
A, B, TREE, FREE = ({"$ref": f"#/components/schemas/{name}"} for name in ("A", "B", "Tree", "Free"))


@pytest.mark.parametrize(
    ("schema", "value", "is_fine"),
    [
        (A, {"a": 1}, True),
        (A, {"a": 1, "x": 1}, False),
        (B, {"b": {"a": 1}}, True),
        (B, {"b": {"a": 1, "x": 1}}, False),
        ({"allOf": [A, B]}, {"a": 1, "b": {"a": 1}}, True),
        ({"allOf": [A, B]}, {"a": 1, "b": {}, "x": 1}, False),
        ({"allOf": [A, B]}, {"a": 1, "b": {"x": 1}}, False),
        ({"allOf": [A], "properties": {"c": True}}, {"a": 1, "c": 1}, True),
        ({"allOf": [A], "properties": {"c": True}}, {"a": 1, "d": 1}, False),
        ({**A, "properties": {"c": True}}, {"a": 1, "c": 1}, True),
        ({**A, "properties": {"c": True}}, {"a": 1, "d": 1}, False),
        ({"anyOf": [A, {"type": "null"}]}, None, True),
        ({"anyOf": [A, {"type": "null"}]}, {"x": 1}, False),
        ({"oneOf": [A, FREE], "properties": {"c": True}}, {"c": 1}, False),
        ({"anyOf": [A, FREE]}, {"x": 1}, True),
        ({"if": A, "then": B, "properties": {"a": True}}, {"a": 1, "b": {}}, True),
        ({"allOf": [A, True]}, {"a": 1}, True),
        ({"allOf": [A, True]}, {"x": 1}, False),
        ({"allOf": [{"$ref": "#/components/schemas/Circle"}]}, {"x": 1}, True),
        (FREE, {"x": {"y": 1}}, True),
        ({"type": "object", "additionalProperties": True, "properties": {"c": A}}, {"x": 1}, True),
        ({"type": "object", "additionalProperties": True, "properties": {"c": A}}, {"c": {"x": 1}}, False),
        ({"type": "object", "additionalProperties": A}, {"any": {"a": 1}}, True),
        ({"type": "object", "additionalProperties": A}, {"any": {"x": 1}}, False),
        ({"type": "array", "prefixItems": [A], "items": B}, [{"a": 1}, {"b": {}}], True),
        ({"type": "array", "prefixItems": [A], "items": B}, [{"x": 1}], False),
        ({"type": "array", "prefixItems": [A], "items": B}, [{}, {"x": 1}], False),
        (TREE, {"leaves": [{"leaves": []}]}, True),
        (TREE, {"leaves": [{"leaves": [{"x": 1}]}]}, False),
        ({"not": A, "type": "object"}, {"a": "text"}, True),
        ({"not": A}, {"x": 1}, False),
        ({"properties": {"c": {"enum": [{"properties": 1}]}}}, {"c": {"properties": 1}}, True),
    ],
)
def test_objects_are_closed_where_they_begin(schema: dict[str, Any], value: Any, is_fine: bool) -> None:
    """Parts that are put together by `allOf` are closed together; free-form objects and conditions stay as they are."""
    assert Schema(close_objects(schema, DOCUMENT), {}).accepts(value) is is_fine
    assert not is_fine or Schema(schema, DOCUMENT).accepts(value)
