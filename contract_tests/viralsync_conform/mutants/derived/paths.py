"""Where a document can be changed: every property that a schema knows and that a sample really has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from viralsync_mock.openapi.spec import Spec

DOCUMENTED = "D"
EVERY = "each"
"""The step to every item of an array."""

Path = tuple[str, ...]

_WRONG: Mapping[str, Any] = {"string": "text", "integer": 17, "boolean": True, "array": [], "object": {}}


@dataclass(frozen=True)
class SchemaPath:
    """A property: the trail to it, and the types that its schema allows. Of an object, whether others may be added.

    `mark` is the property's `x-provenance`, or that of the best known property inside.
    """

    trail: Path
    types: frozenset[str]
    is_object: bool = False
    mark: str = ""

    def wrong(self, value: object) -> Any:
        """Return the value in a type that is not allowed: of a number its text, of a text a number, and so on."""
        if isinstance(value, int | float) and not isinstance(value, bool) and "string" not in self.types:
            return str(value)
        order = ("integer", "string", "boolean", "array", "object")
        return next((_WRONG[name] for name in order if name not in self.types and _matches(name, self.types)), None)


def _matches(name: str, types: frozenset[str]) -> bool:
    return not (name == "integer" and "number" in types)


def places(spec: Spec, schema: Mapping[str, Any], value: object, trail: Path = ()) -> Iterator[SchemaPath]:
    """Yield the closed objects of a document, and each of their properties that the schema knows."""
    branches = [each for each in _branches(spec, schema) if _is_for(spec, value, each)]
    for branch in branches[:1]:
        if isinstance(value, dict):
            if branch.get("properties") and branch.get("additionalProperties") is not True:
                yield SchemaPath(trail, frozenset(), is_object=True)
            for name, part in branch.get("properties", {}).items():
                if name in value:
                    inside = [*places(spec, part, value[name], (*trail, name))]
                    marks = (part.get("x-provenance", {}).get("mark", ""), *(each.mark for each in inside))
                    mark = DOCUMENTED if DOCUMENTED in marks else marks[0]
                    yield SchemaPath((*trail, name), _types(spec, part), mark=mark)
                    yield from inside
        elif isinstance(value, list):
            for item in value:
                yield from places(spec, branch.get("items", {}), item, (*trail, EVERY))


def _branches(spec: Spec, schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    resolved = spec.resolve(schema)
    choices = [*resolved.get("anyOf", ()), *resolved.get("oneOf", ())]
    return [branch for choice in choices for branch in _branches(spec, choice)] if choices else [resolved]


def _types(spec: Spec, schema: Mapping[str, Any]) -> frozenset[str]:
    found: set[str] = set()
    for branch in _branches(spec, schema):
        own = branch.get("type", ())
        found |= {own} if isinstance(own, str) else set(own)
    return frozenset(found)


def _is_for(spec: Spec, value: object, branch: Mapping[str, Any]) -> bool:
    """Say whether a branch of a schema is meant for a value: by its type, of events by their status."""
    if isinstance(value, dict):
        status = spec.resolve(branch.get("properties", {}).get("status", {}))
        allowed = (status["const"],) if "const" in status else status.get("enum")
        return branch.get("type") == "object" and (not allowed or value.get("status") in allowed)
    return branch.get("type") == "array" if isinstance(value, list) else False


def change(document: Any, trail: Path, edit: Callable[[dict[str, Any], str], object]) -> None:
    """Change a property wherever the document has it; the edit is given its object and its name."""
    step, *rest = trail
    if step == EVERY:
        for item in document if isinstance(document, list) else ():
            change(item, tuple(rest), edit)
    elif isinstance(document, dict) and step in document:
        if rest:
            change(document[step], tuple(rest), edit)
        else:
            edit(document, step)


def objects(document: Any, trail: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects that a trail leads to."""
    if not trail:
        if isinstance(document, dict):
            yield document
    elif trail[0] == EVERY:
        for item in document if isinstance(document, list) else ():
            yield from objects(item, trail[1:])
    elif isinstance(document, dict) and trail[0] in document:
        yield from objects(document[trail[0]], trail[1:])
