"""Query, header and path parameters as typed values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from viralsync_mock.config.yaml_source import preview
from viralsync_mock.validation.schema import Schema, ValidationFailed, Violation, invalid

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from viralsync_mock.openapi.spec import Parameter, Spec

_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,299})\Z")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,299})(?:\.[0-9]{1,300})?(?:[eE][-+]?[0-9]{1,3})?\Z")
_BROKEN_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_NOTHING = object()


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one parameter: its text becomes a value, the value meets the schema."""

    name: str
    place: str
    required: bool
    default: Any
    is_array: bool
    types: frozenset[str]
    schema: Schema

    def read(self, texts: Sequence[str], values: dict[str, Any], found: list[Violation]) -> None:
        """Add the value to `values`, or what is wrong with it to `found`."""
        if not texts:
            self._read_nothing(values, found)
            return
        if self.is_array:
            value: Any = [_coerce(text, self.types) for text in texts]
        else:
            value = _coerce(texts[0], self.types)
        if len(texts) > 1 and not self.is_array:
            found.append(Violation(self.place, f"expected one value, got {len(texts)}"))
        elif self.schema.accepts(value):
            values[self.name] = value
        else:
            found.extend(self.schema.violations(value, self.place))

    def _read_nothing(self, values: dict[str, Any], found: list[Violation]) -> None:
        if self.required:
            found.append(Violation(self.place, "required, but missing"))
        elif self.default is not _NOTHING:
            values[self.name] = self.default


def _coerce(text: str, types: frozenset[str]) -> Any:
    """Return the text as the first type that it can be; the schema complains about any other."""
    if "integer" in types and _INTEGER.match(text):
        return int(text)
    if "number" in types and _NUMBER.match(text) and isfinite(float(text)):
        return float(text)
    if "boolean" in types and text in {"true", "false"}:
        return text == "true"
    return text


class Parameters:
    """All parameters of one operation, or all headers of one answer, compiled."""

    def __init__(self, parameters: Iterable[Parameter], spec: Spec) -> None:
        readers = [(each.location, _reader(each, spec)) for each in parameters]
        self._query = {reader.name.encode(): reader for location, reader in readers if location == "query"}
        self._headers = {reader.name.lower().encode(): reader for location, reader in readers if location == "header"}
        self._path = [reader for location, reader in readers if location == "path"]

    def read(self, query: bytes, headers: Sequence[tuple[bytes, bytes]], path: Mapping[str, str]) -> dict[str, Any]:
        """Return the values by name, defaults filled in; raise `Invalid` with everything that is wrong."""
        values: dict[str, Any] = {}
        found: list[Violation] = []
        for reader in self._path:
            reader.read((path[reader.name],), values, found)
        if self._query:
            _read_all(self._query, _query_texts(query, self._query), values, found)
        if self._headers:
            _read_all(self._headers, _header_texts(headers, self._headers), values, found)
        if found:
            raise ValidationFailed(found)
        return values


def _read_all(
    readers: Mapping[bytes, _Reader],
    texts: Mapping[bytes, list[str]],
    values: dict[str, Any],
    found: list[Violation],
) -> None:
    for name, reader in readers.items():
        reader.read(texts.get(name, ()), values, found)


def _query_texts(query: bytes, readers: Mapping[bytes, _Reader]) -> dict[bytes, list[str]]:
    texts: dict[bytes, list[str]] = {}
    for piece in query.split(b"&") if query else ():
        name, _, value = piece.partition(b"=")
        if b"%" in name or b"+" in name:
            name = unquote_to_bytes(name.replace(b"+", b" "))
        if name in readers:
            texts.setdefault(name, []).append(_decoded(value, readers[name].place))
    return texts


def _decoded(value: bytes, place: str) -> str:
    """Return the text behind the percent signs and plus signs of a query."""
    if b"+" in value or b"%" in value:
        if _BROKEN_PERCENT.search(value):
            invalid(place, f"expected two hexadecimal digits after each %, got {preview(value.decode('latin-1'))}")
        value = unquote_to_bytes(value.replace(b"+", b" "))
    try:
        return value.decode()
    except UnicodeDecodeError as problem:
        return invalid(place, f"expected UTF-8, got the byte 0x{value[problem.start]:02x}")


def _header_texts(headers: Sequence[tuple[bytes, bytes]], readers: Mapping[bytes, _Reader]) -> dict[bytes, list[str]]:
    texts: dict[bytes, list[str]] = {}
    for name, value in headers:
        if name in readers:
            texts.setdefault(name, []).append(value.decode("latin-1"))
    return texts


def _reader(parameter: Parameter, spec: Spec) -> _Reader:
    schema = spec.resolve(parameter.schema)
    types = _types(schema, spec)
    is_array = "array" in types
    return _Reader(
        name=parameter.name,
        place=f"{parameter.location}.{parameter.name}",
        required=parameter.required,
        default=schema.get("default", _NOTHING),
        is_array=is_array,
        types=_types(schema.get("items", {}), spec) if is_array else types,
        schema=Schema(parameter.schema, spec.document),
    )


def _types(schema: Mapping[str, Any] | bool, spec: Spec) -> frozenset[str]:
    """Return every type that a schema speaks of, itself or through its branches."""
    if isinstance(schema, bool):
        return frozenset()
    schema = spec.resolve(schema)
    own = schema.get("type", [])
    found = {own} if isinstance(own, str) else set(own)
    for branches in ("allOf", "anyOf", "oneOf"):
        for branch in schema.get(branches, ()):
            found |= _types(branch, spec)
    return frozenset(found)
