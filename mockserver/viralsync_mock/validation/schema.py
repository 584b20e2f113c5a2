"""Where a value breaks its schema, and how: jsonschema-rs's errors as sentences that help."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import jsonschema_rs

from viralsync_mock.config.yaml_source import json_path, preview
from viralsync_mock.errors import MockError, SpecError, did_you_mean
from viralsync_mock.openapi.external_files import FILES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from viralsync_mock.config.yaml_source import Trail

MAX_LISTED = 20
_ARTICLES = {
    "string": "a string",
    "number": "a number",
    "integer": "an integer",
    "boolean": "a boolean",
    "object": "an object",
    "array": "an array",
    "null": "null",
}
# How much an error speaks against the branch it comes from, by levels below the value, and keyword.
_MISFITS = {
    **dict.fromkeys(((0, "type"), (0, "const"), (0, "enum")), 100),
    **dict.fromkeys(((1, "type"), (1, "const"), (1, "enum")), 10),
}


@dataclass(frozen=True, slots=True)
class Violation:
    """A place that breaks a schema, `$.movie.scenes[1].duration` or `query.limit` say, and how it does."""

    location: str
    message: str

    def __str__(self) -> str:
        return f"{self.location}: {self.message}"


class ValidationFailed(MockError):
    """A request broke the spec; `violations` lists where and how: the first 20, and how many more."""

    def __init__(self, violations: Iterable[Violation]) -> None:
        listed = list(violations)
        more = len(listed) - MAX_LISTED
        if more > 0:
            listed[MAX_LISTED:] = [Violation("$", f"and {more} more")]
        super().__init__("; ".join(map(str, listed)))
        self.violations = tuple(listed)


class UnusableSchema(SpecError):
    """A schema that cannot be compiled; `path` leads to the place, from the schema or from the document."""

    def __init__(self, message: str, path: Trail) -> None:
        super().__init__(f"the spec's schema at {json_path(path)} cannot be used: {message}")
        self.reason = message
        self.path = path


def invalid(place: str, message: str) -> NoReturn:
    """Raise `Invalid` with one violation."""
    raise ValidationFailed([Violation(place, message)])


class Schema:
    """One schema of the spec, compiled; references lead into `document`. Formats are asserted."""

    def __init__(self, schema: Mapping[str, Any] | bool, document: Mapping[str, Any]) -> None:
        self._root = _rooted(schema, document)
        try:
            self._validator = jsonschema_rs.Draft202012Validator(self._root, validate_formats=True, offline=True)
        except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as problem:
            raise UnusableSchema(problem.message, tuple(getattr(problem, "instance_path", ()))) from None
        self.accepts: Callable[[Any], bool] = self._validator.is_valid

    def violations(self, value: Any, prefix: str = "$", *, first_only: bool = False) -> Iterator[Violation]:
        """Yield what is wrong with a value; all faults are sought, even if only some are taken."""
        errors = self._first(value) if first_only else self._validator.iter_errors(value)
        for at, error in enumerate(_telling(errors)):
            if at < MAX_LISTED:
                yield from _explain(error, prefix, self._root)
            else:  # it will only be counted: a good sentence would cost more than all the rest
                yield Violation(prefix + json_path(error.instance_path)[1:], error.message)

    def _first(self, value: Any) -> Iterator[jsonschema_rs.ValidationError]:
        try:
            self._validator.validate(value)
        except jsonschema_rs.ValidationError as error:
            yield error


def _rooted(schema: Mapping[str, Any] | bool, document: Mapping[str, Any]) -> dict[str, Any] | bool:
    """Return the schema with the parts of the document beside it that its references may lead to."""
    if isinstance(schema, bool) or not _refers(schema):
        return schema if isinstance(schema, bool) else dict(schema)
    parts = ("components", "paths", "webhooks", "$defs", FILES)
    return {**{part: document[part] for part in parts if part in document}, **schema}


def _refers(value: object) -> bool:
    if isinstance(value, Mapping):
        return "$ref" in value or any(map(_refers, value.values()))
    return isinstance(value, list) and any(map(_refers, value))


def _telling(errors: Iterable[jsonschema_rs.ValidationError]) -> list[jsonschema_rs.ValidationError]:
    """Return the errors without those of a type where another says which values are expected."""
    found = list(errors)
    reported = {tuple(error.instance_path) for error in found if error.kind.name in {"enum", "const"}}
    return [error for error in found if error.kind.name != "type" or tuple(error.instance_path) not in reported]


def _explain(error: jsonschema_rs.ValidationError, prefix: str, root: object) -> Iterator[Violation]:
    place = prefix + json_path(error.instance_path)[1:]
    kind = error.kind
    match kind.name:
        case "anyOf" | "oneOf" if getattr(kind, "context", None) and not _fits_many(kind):
            yield from _explain_branches(error, prefix, root)
        case "required" | "dependentRequired":
            yield _missing(error, place, root)
        case "additionalProperties" | "unevaluatedProperties":
            yield from _unknown(error, prefix, root)
        case name:
            say = _SENTENCES.get(name)
            yield Violation(place, say(kind, error.instance) if say else error.message)


def _fits_many(kind: jsonschema_rs.ValidationErrorKind) -> bool:
    return isinstance(kind, jsonschema_rs.ValidationErrorKind.OneOfMultipleValid)


def _explain_branches(error: jsonschema_rs.ValidationError, prefix: str, root: object) -> Iterator[Violation]:
    """Explain the branch that was most likely meant: the one whose type and constants fit best."""
    branches: list[Sequence[jsonschema_rs.ValidationError]] = getattr(error.kind, "context", [])
    depth = len(error.instance_path)
    meant = min(branches, key=lambda branch: _misfits(branch, depth))
    for each in _telling(meant):
        yield from _explain(each, prefix, root)


def _misfits(branch: Sequence[jsonschema_rs.ValidationError], depth: int) -> tuple[int, bool, int]:
    """Return how clearly the value is of another kind than the branch describes; null is meant least."""
    weights = (_MISFITS.get((len(each.instance_path) - depth, each.kind.name), 0) for each in branch)
    is_null = any(getattr(each.kind, "types", None) == ["null"] for each in branch)
    return max(weights, default=0), is_null, len(branch)


def _missing(error: jsonschema_rs.ValidationError, place: str, root: object) -> Violation:
    name = str(getattr(error.kind, "property", ""))
    known = _known_properties(error, root)
    message = "required, but missing"
    for other in error.instance if isinstance(error.instance, dict) else ():
        hint = "" if other in known else did_you_mean(other, [name])
        if hint:
            message += f"; got {preview(other)}.{hint}"
            break
    return Violation(place + json_path([name])[1:], message)


def _unknown(error: jsonschema_rs.ValidationError, prefix: str, root: object) -> Iterator[Violation]:
    known = _known_properties(error, root)
    for name in getattr(error.kind, "unexpected", ()):
        place = prefix + json_path([*error.instance_path, name])[1:]
        hint = did_you_mean(name, known)
        yield Violation(place, f"not a property that the spec knows{'.' if hint else ''}{hint}")


def _known_properties(error: jsonschema_rs.ValidationError, root: object) -> list[str]:
    """Return the properties that the schema names which the error comes from."""
    schema: Any = root
    for key in error.schema_path[:-1]:
        schema = schema[int(key)] if isinstance(schema, list) else _part(schema, key)
    return list(_part(schema, "properties") or ())


def _part(schema: object, key: str | int) -> Any:
    return schema.get(key) if isinstance(schema, dict) else None


def _kinds(kind: Any, value: object) -> str:
    expected = " or ".join(_ARTICLES[name] for name in sorted(kind.types, key="null".__eq__))
    return f"expected {expected}, got {preview(value)}"


def _one_of(kind: Any, value: object) -> str:
    options = [preview(option) for option in kind.options]
    hint = did_you_mean(value, [str(option) for option in kind.options]) if isinstance(value, str) else ""
    expected = f"expected {'one of ' if len(options) > 1 else ''}{', '.join(options)}"
    return f"{expected}, got {preview(value)}{'.' if hint else ''}{hint}"


def _exactly(kind: Any, value: object) -> str:
    hint = did_you_mean(value, [str(kind.expected_value)]) if isinstance(value, str) else ""
    return f"expected {preview(kind.expected_value)}, got {preview(value)}{'.' if hint else ''}{hint}"


def _limit(words: str, unit: str = "") -> Callable[[Any, object], str]:
    def sentence(kind: Any, value: object) -> str:
        named = f" {unit}{'s' if kind.limit != 1 else ''}".replace("propertys", "properties") if unit else ""
        size = len(value) if unit and isinstance(value, str | list | dict) else preview(value)
        return f"expected {words} {kind.limit}{named}, got {size}"

    return sentence


_SENTENCES: Mapping[str, Callable[[Any, Any], str]] = {
    "type": _kinds,
    "enum": _one_of,
    "const": _exactly,
    "minimum": _limit("at least"),
    "maximum": _limit("at most"),
    "exclusiveMinimum": _limit("more than"),
    "exclusiveMaximum": _limit("less than"),
    "minLength": _limit("at least", "character"),
    "maxLength": _limit("at most", "character"),
    "minItems": _limit("at least", "item"),
    "maxItems": _limit("at most", "item"),
    "minProperties": _limit("at least", "property"),
    "maxProperties": _limit("at most", "property"),
    "multipleOf": lambda kind, value: f"expected a multiple of {kind.multiple_of}, got {preview(value)}",
    "pattern": lambda kind, value: f"expected text that matches {kind.pattern}, got {preview(value)}",
    "format": lambda kind, value: f"expected a valid {kind.format}, got {preview(value)}",
    "uniqueItems": lambda _, value: f"expected items that all differ, got {preview(value)}",
    "falseSchema": lambda _, value: f"nothing may stand here, got {preview(value)}",
}
