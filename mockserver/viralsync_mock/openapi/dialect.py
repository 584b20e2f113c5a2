"""The part of OpenAPI 3.1 that the mock understands; everything else stops the load.

A keyword that is silently skipped would make the mock differ from its own spec, so each object of the
document is compared with one row of a table: the keys it may have, and what each of them holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from viralsync_mock.config.yaml_source import preview
from viralsync_mock.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from viralsync_mock.config.yaml_source import Node

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
TYPES = ("string", "number", "integer", "boolean", "object", "array", "null")


def _leaves(words: str) -> dict[str, str]:
    return dict.fromkeys(words.split(), "")


# What stands under a key: "" nothing to look into, "x" one x, "{x}" x by name, "[x]" a list of x.
_SHAPES: Mapping[str, Mapping[str, str]] = {
    "document": {
        **_leaves("openapi info servers security tags externalDocs jsonSchemaDialect"),
        "paths": "{path}",
        "webhooks": "{path}",
        "components": "components",
    },
    "components": {
        "schemas": "{schema}",
        "responses": "{response}",
        "parameters": "{parameter}",
        "examples": "{example}",
        "requestBodies": "{body}",
        "headers": "{header}",
        "securitySchemes": "",
        "links": "",
        "callbacks": "{{path}}",
        "pathItems": "{path}",
    },
    "path": {
        **_leaves("summary description servers"),
        **dict.fromkeys(METHODS, "operation"),
        "parameters": "[parameter]",
    },
    "operation": {
        **_leaves("tags summary description externalDocs operationId deprecated security servers"),
        "parameters": "[parameter]",
        "requestBody": "body",
        "responses": "{response}",
        "callbacks": "{{path}}",
    },
    "parameter": {
        **_leaves("name in description required deprecated style explode example"),
        "schema": "schema",
        "examples": "{example}",
    },
    "header": {
        **_leaves("description required deprecated style explode example"),
        "schema": "schema",
        "examples": "{example}",
    },
    "body": {**_leaves("description required"), "content": "{media}"},
    "response": {**_leaves("description links"), "headers": "{header}", "content": "{media}"},
    "media": {**_leaves("example"), "schema": "schema", "examples": "{example}"},
    "example": _leaves("summary description value"),
    "schema": {
        **_leaves("type enum const title description default example examples deprecated readOnly writeOnly"),
        **_leaves("format pattern minLength maxLength minimum maximum exclusiveMinimum exclusiveMaximum"),
        **_leaves("multipleOf minItems maxItems uniqueItems minContains maxContains required minProperties"),
        **_leaves("maxProperties dependentRequired contentMediaType contentEncoding discriminator"),
        **_leaves("externalDocs $comment"),
        **dict.fromkeys(("items", "additionalProperties", "unevaluatedItems", "unevaluatedProperties"), "schema"),
        **dict.fromkeys(("not", "if", "then", "else", "contains", "propertyNames", "contentSchema"), "schema"),
        **dict.fromkeys(("properties", "patternProperties", "dependentSchemas", "$defs"), "{schema}"),
        **dict.fromkeys(("allOf", "anyOf", "oneOf", "prefixItems"), "[schema]"),
    },
}
_EXTENSIBLE = frozenset({"{path}", "{response}"})  # objects by name that may hold extensions too
_NAMES = {"path": "path item", "body": "request body", "media": "media type", "operation": "method"}
_REPLACED = {
    "nullable": 'OpenAPI 3.0 wrote it so: add "null" to `type`',
    "content": "a parameter needs a `schema`: `content` is not supported here",
    "$id": "a schema is named by its place only: remove it",
    "$anchor": "a schema is named by its place only: remove it",
    "$dynamicRef": "use `$ref`",
}


def check(root: Node) -> None:
    """Raise the source's error at the first key, reference or type that the mock does not understand."""
    _check(root, "document", root.value)


def steps(reference: str) -> tuple[str, ...]:
    """Return the keys that an internal reference (`#/components/…`) leads along."""
    return tuple(unquote(step).replace("~1", "/").replace("~0", "~") for step in reference[2:].split("/"))


def follow(document: Mapping[str, Any], reference: str) -> tuple[str, Any]:
    """Return the last reference of a chain and what it names; a LookupError when one leads nowhere."""
    seen: set[str] = set()
    while reference not in seen:
        seen.add(reference)
        found: Any = document
        for key in steps(reference):
            found = found[int(key)] if isinstance(found, list) else found[key]
        if not (isinstance(found, dict) and isinstance(found.get("$ref"), str)):
            return reference, found
        reference = found["$ref"]
    raise RecursionError(reference)


def _check(place: Node, kind: str, document: Mapping[str, Any]) -> None:
    if kind.startswith("{"):
        for name, part in place.items():
            if not (kind in _EXTENSIBLE and name.startswith("x-")):
                _check(part, kind[1:-1], document)
    elif kind.startswith("["):
        for part in place:
            _check(part, kind[1:-1], document)
    elif not (kind == "schema" and isinstance(place.value, bool)):
        _check_object(place, kind, document)


def _check_object(place: Node, kind: str, document: Mapping[str, Any]) -> None:
    shape = _SHAPES[kind]
    value = place.expect(dict)
    for key in value:
        below = shape.get(key)
        if below:
            _check(place[key], below, document)
        elif below is None and not key.startswith("x-"):
            _check_other_key(place, kind, key, document)
    if kind == "schema":
        _check_schema(place, document)


def _check_other_key(place: Node, kind: str, key: str, document: Mapping[str, Any]) -> None:
    if key == "$ref" and kind not in {"document", "components", "operation", "media"}:
        check_reference(place["$ref"], document)
        return
    hint = f" {_REPLACED[key]}." if key in _REPLACED else did_you_mean(key, _SHAPES[kind])
    place.fail(f'"{key}" is not a key that the mock understands in a {_NAMES.get(kind, kind)}.{hint}')


def check_reference(place: Node, document: Mapping[str, Any]) -> None:
    """Complain unless the place holds a `#/…` reference that leads somewhere."""
    reference = place.expect(str)
    if not reference.startswith("#/"):
        place.fail(f"{preview(reference)} leads outside the file: only references that begin with #/ are supported")
    try:
        follow(document, reference)
    except RecursionError:
        place.fail(f"{preview(reference)} leads back to itself")
    except (LookupError, TypeError, ValueError):
        place.fail(f"{preview(reference)} leads nowhere.{did_you_mean(reference, _names(document))}")


def _names(document: Mapping[str, Any]) -> list[str]:
    components = document.get("components") or {}
    return [f"#/components/{group}/{name}" for group, members in components.items() for name in members]


def _check_schema(place: Node, document: Mapping[str, Any]) -> None:
    types = place.value.get("type", [])
    for name in types if isinstance(types, list) else [types]:
        if name not in TYPES:
            place["type"].fail(f"unknown type {preview(name)}.{did_you_mean(name, TYPES)} Known: {', '.join(TYPES)}")
    if "discriminator" in place.value:
        _check_discriminator(place, document)


def _check_discriminator(place: Node, document: Mapping[str, Any]) -> None:
    discriminator = place["discriminator"].allow_keys("propertyName", "mapping")
    discriminator["propertyName"].expect(str)
    if not {"oneOf", "anyOf"} & place.value.keys():
        discriminator.fail("a discriminator needs `oneOf` or `anyOf` beside it")
    mapping = discriminator.get("mapping")
    for _, target in mapping.items() if mapping else ():
        check_reference(target, document)
