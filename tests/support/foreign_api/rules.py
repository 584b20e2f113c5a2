"""What a request may hold, as one table, and the search for the first place that breaks it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlsplit

from .conduct import Conduct
from .model import STATUSES, TYPES
from .readings import Readings

MISSING: Final = object()


@dataclass(frozen=True)
class Field:
    """The rule for one place: `low` and `high` bound a number, or the length of a text or an array."""

    type: str
    required: bool = False
    low: float | None = None
    high: float | None = None
    above: float | None = None
    one_of: tuple[str, ...] | None = None
    unique: str = ""
    nullable: bool = True
    format: str = ""


def _is_number(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return _is_number(value) and (isinstance(value, int) or value.is_integer())


def _is_colour(text: str) -> bool:
    return len(text) == 7 and text[0] == "#" and all(each in "0123456789abcdefABCDEF" for each in text[1:])


def _is_http(text: str) -> bool:
    try:
        return urlsplit(text).scheme in {"http", "https"} and bool(urlsplit(text).hostname)
    except ValueError:
        return False


_TYPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "string": lambda value: isinstance(value, str),
    "number": _is_number,
    "numeric": lambda value: _is_number(value) or (isinstance(value, str) and value.replace(".", "", 1).isdigit()),
    "integer": _is_whole,
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "any": lambda _value: True,
}
_FORMATS: Final[Mapping[str, Callable[[str], bool]]] = {"colour": _is_colour, "http": _is_http}


def fields_of(readings: Readings, conduct: Conduct) -> dict[str, Field]:
    """The table in force: the documented rules, what the readings add, what a breach changes."""
    strict = readings.callback_urls != "any_text"
    table = {
        "$": Field("object", required=True),
        "$.kind": Field("string", required=True, one_of=("movie",)),
        "$.projectId": Field("string", required=True, low=0 if readings.project_ids == "any" else 1),
        "$.movie": Field("object", required=True),
        "$.renderOptions": Field("object"),
        "$.callbackUrl": Field("string", format="http" if strict else ""),
        "$.movie.id": Field("string"),
        "$.movie.title": Field("string", nullable=readings.title_null == "accepted"),
        "$.movie.width": Field("number", low=360, high=3840),
        "$.movie.height": Field("number", low=360, high=2160),
        "$.movie.fps": Field("number", low=1, high=60),
        "$.movie.scenes": Field("array", required=True, low=1),
        "$.movie.scenes[]": Field("object", required=True),
        "$.movie.scenes[].id": Field(
            "string", required=True, unique="all", low=1 if readings.empty_scene_id == "refused" else 0
        ),
        "$.movie.scenes[].duration": Field("number", required=readings.scene_duration == "required", above=0),
        "$.movie.scenes[].bgColor": Field("string", format="colour" if readings.bg_color == "strict" else ""),
        "$.movie.scenes[].layers": Field("array"),
        "$.movie.scenes[].layers[]": Field("object", required=True),
        "$.movie.scenes[].layers[].type": Field("string", required=True, one_of=("video", "image", "audio", "text")),
        "$.renderOptions.qualityPreset": Field("string", one_of=("stable", "balanced", "fast", "turbo")),
        "$.renderOptions.requestedConcurrency": Field("integer", low=1, high=32),
        "?.limit": Field("integer", low=1, high=100) if readings.list_limit == "error" else Field("integer"),
        "?.type": Field("string", one_of=(*TYPES, "render") if readings.list_unknown_type == "error" else None),
        "?.status": Field("string", one_of=STATUSES if readings.list_unknown_status == "error" else None),
    }
    return {place: replace(rule, **conduct.fields.get(place, {})) for place, rule in table.items()}


def fault_of(table: Mapping[str, Field], body: object) -> str | None:
    """The first place of the body that breaks a rule, with what was expected; None when there is none."""
    for path, rule in table.items():
        if not path.startswith("$"):
            continue
        found = list(_places(body, path))
        for place, value in found:
            if text := _fault(rule, value):
                return f"{place} {text}"
        if repeated := _repeated(rule, [value for _, value in found]):
            return f"{path} must be unique, {repeated!r} is there twice"
    return None


def unknown_field_of(table: Mapping[str, Field], body: object) -> str | None:
    """The first field that the documentation does not know; scenes and layers may hold anything."""
    for parent in ("$", "$.movie", "$.renderOptions"):
        for place, value in _places(body, parent):
            for name in value if isinstance(value, dict) else ():
                if f"{parent}.{name}" not in table:
                    return f"{place}.{name} is not known"
    return None


def parameter_fault(table: Mapping[str, Field], query: Mapping[str, str]) -> str | None:
    """What is wrong with the query of a list request; None when nothing is."""
    for name in ("limit", "type", "status"):
        value: Any = query.get(name, MISSING)
        if name == "limit" and isinstance(value, str):
            value = int(value) if value.isascii() and value.lstrip("-").isdigit() else value
        if text := _fault(table[f"?.{name}"], value):
            return f"{name} {text}"
    return None


def _places(root: object, path: str) -> Iterator[tuple[str, Any]]:
    found: list[tuple[str, Any]] = [("$", root)]
    for part in path.split(".")[1:]:
        name = part.removesuffix("[]")
        found = [(f"{at}.{name}", value.get(name, MISSING)) for at, value in found if isinstance(value, dict)]
        if part.endswith("[]"):
            arrays = [(at, value) for at, value in found if isinstance(value, list)]
            found = [(f"{at}[{index}]", item) for at, value in arrays for index, item in enumerate(value)]
    yield from found


def _fault(rule: Field, value: Any) -> str | None:
    if value is MISSING or (value is None and (rule.nullable or rule.required)):
        return "is required" if rule.required else None
    if not _TYPES[rule.type](value):
        return f"must be of type {rule.type}"
    return _beyond(rule, value) or _unlike(rule, value)


def _beyond(rule: Field, value: Any) -> str | None:
    size = float(value) if rule.type == "numeric" else len(value) if isinstance(value, str | list) else value
    if not _is_number(size):
        return None
    if rule.low is not None and size < rule.low:
        return f"must be at least {rule.low}"
    if rule.high is not None and size > rule.high:
        return f"must be at most {rule.high}"
    return f"must be more than {rule.above}" if rule.above is not None and size <= rule.above else None


def _unlike(rule: Field, value: Any) -> str | None:
    if rule.one_of is not None and value not in rule.one_of:
        return f"must be one of {', '.join(rule.one_of)}"
    if rule.format and not _FORMATS[rule.format](value):
        return f"must have the form of: {rule.format}"
    return None


def _repeated(rule: Field, values: list[Any]) -> Any:
    for index, value in enumerate(values):
        earlier = values[:index] if rule.unique == "all" else values[max(0, index - 1) : index]
        if rule.unique and value in earlier:
            return value
    return None
