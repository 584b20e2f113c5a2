"""The part of OpenAPI 3.1 that the mock understands; everything else stops the load.

A keyword that is silently skipped would make the mock differ from its own spec, so each object of the
document is compared with one row of a table: the keys it may have, and what each of them holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from viralsync_mock.config.yaml_source import Node, preview
from viralsync_mock.errors import did_you_mean
from viralsync_mock.openapi.external_files import FILES

if TYPE_CHECKING:
    from collections.abc import Mapping


EVENT_SCHEMA = "x-event-schema"
SHARED_RESPONSES = "x-responses"
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
        SHARED_RESPONSES: "{response}",
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
    "media": {**_leaves("example"), "schema": "schema", EVENT_SCHEMA: "schema", "examples": "{example}"},
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
    _Checker(root).check(root, "document")


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


class _Checker:
    """Walks the document by the table; what stands in other files is checked where it is referred to."""

    def __init__(self, root: Node) -> None:
        self._root = root
        self._document: Mapping[str, Any] = root.value
        self._followed: set[tuple[str, str]] = set()

    def check(self, place: Node, kind: str) -> None:
        if kind.startswith("{"):
            for name, part in place.items():
                if not (kind in _EXTENSIBLE and name.startswith("x-")):
                    self.check(part, kind[1:-1])
        elif kind.startswith("["):
            for part in place:
                self.check(part, kind[1:-1])
        elif not (kind == "schema" and isinstance(place.value, bool)):
            self._check_object(place, kind)

    def _check_object(self, place: Node, kind: str) -> None:
        shape = _SHAPES[kind]
        value = place.expect(dict)
        for key in value:
            below = shape.get(key)
            if below:
                self.check(place[key], below)
            elif below is None and not key.startswith("x-"):
                self._check_other_key(place, kind, key)
        if kind == "schema":
            self._check_schema(place)

    def _check_other_key(self, place: Node, kind: str, key: str) -> None:
        if key == "$ref" and kind not in {"document", "components", "operation", "media"}:
            self._check_reference(place["$ref"], kind)
            return
        hint = f" {_REPLACED[key]}." if key in _REPLACED else did_you_mean(key, _SHAPES[kind])
        place.fail(f'"{key}" is not a key that the mock understands in a {_NAMES.get(kind, kind)}.{hint}')

    def _check_reference(self, place: Node, kind: str) -> None:
        """Complain unless the place holds a reference that leads somewhere."""
        reference = place.expect(str)
        if not reference.startswith("#/"):
            place.fail(f"{preview(reference)} leads nowhere: a reference within the file begins with #/")
        try:
            last, value = follow(self._document, reference)
        except RecursionError:
            place.fail(f"{preview(reference)} leads back to itself")
        except (LookupError, TypeError, ValueError):
            place.fail(f"{preview(reference)} leads nowhere.{did_you_mean(reference, _names(self._document))}")
        if last.startswith(f"#/{FILES}/") and (last, kind) not in self._followed:
            self._followed.add((last, kind))
            self.check(Node(self._root.source, value, steps(last)), kind)

    def _check_schema(self, place: Node) -> None:
        types = place.value.get("type", [])
        for name in types if isinstance(types, list) else [types]:
            if name not in TYPES:
                known = f"Known: {', '.join(TYPES)}"
                place["type"].fail(f"unknown type {preview(name)}.{did_you_mean(name, TYPES)} {known}")
        if "discriminator" in place.value:
            self._check_discriminator(place)

    def _check_discriminator(self, place: Node) -> None:
        discriminator = place["discriminator"].allow_keys("propertyName", "mapping")
        discriminator["propertyName"].expect(str)
        if not {"oneOf", "anyOf"} & place.value.keys():
            discriminator.fail("a discriminator needs `oneOf` or `anyOf` beside it")
        mapping = discriminator.get("mapping")
        for _, target in mapping.items() if mapping else ():
            self._check_reference(target, "schema")


def _names(document: Mapping[str, Any]) -> list[str]:
    components = document.get("components") or {}
    return [f"#/components/{group}/{name}" for group, members in components.items() for name in members]
