"""What a rule's `match.body` asks of a request: plain values, and comparisons such as `{gt: 3}` or `{count: 2}`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from operator import ge, gt, le, lt
from typing import TYPE_CHECKING, Any

from viralsync_mock.config.yaml_source import json_path, preview
from viralsync_mock.json_subset import is_subset

if TYPE_CHECKING:
    from viralsync_mock.config.yaml_source import Node, Trail

MAX_PATTERN = 1000
NOTHING = object()
"""Stands for a part that the request does not have."""

_NUMERIC: Mapping[str, tuple[Callable[[Any, Any], bool], str]] = {
    "gt": (gt, "more than"),
    "gte": (ge, "at least"),
    "lt": (lt, "less than"),
    "lte": (le, "at most"),
}
COMPARISONS = (*_NUMERIC, "count", "present", "matches")


def read_body(place: Node) -> dict[str, Any]:
    """Read what the body must contain; complains of a comparison that cannot hold."""
    for _, part in place.items():
        _check(part)
    return dict(place.value)


def is_comparison(wanted: object) -> bool:
    """Return whether an object compares a value, and is not part of one."""
    return isinstance(wanted, dict) and bool(wanted) and wanted.keys() <= set(COMPARISONS)


def mismatches(got: Any, wanted: Any, path: Trail = ()) -> Iterator[str]:
    """Yield where the request differs from what is wanted: `$.movie.width: expected more than 1000, got 640`."""
    if isinstance(wanted, dict):
        yield from _object_mismatches(got, wanted, path)
    elif isinstance(wanted, list) and isinstance(got, list) and len(wanted) == len(got):
        for index, part in enumerate(wanted):
            yield from mismatches(got[index], part, (*path, index))
    elif got is NOTHING or isinstance(wanted, list) or not is_subset(got, wanted):
        yield f"{json_path(path)}: expected {preview(wanted)}, got {_got(got)}"


def _object_mismatches(got: Any, wanted: dict[str, Any], path: Trail) -> Iterator[str]:
    is_object = isinstance(got, dict)
    if is_comparison(wanted) and not (is_object and wanted.keys() - {"present"}):
        for name, bound in wanted.items():
            if not _holds(got, name, bound):
                yield f"{json_path(path)}: expected {_words(name, bound)}, got {_got(got)}"
    elif not wanted and not is_object:
        yield f"{json_path(path)}: expected an object, got {_got(got)}"
    else:
        for key, part in wanted.items():
            yield from mismatches(got[key] if is_object and key in got else NOTHING, part, (*path, key))


def _holds(got: Any, name: str, bound: Any) -> bool:
    if name == "present":
        return (got is not NOTHING and got is not None) is bound
    if name == "matches":
        return isinstance(got, str) and _pattern(bound).search(got) is not None
    if name == "count":
        return isinstance(got, str | list) and not any(mismatches(len(got), bound))
    return isinstance(got, int | float) and not isinstance(got, bool) and _NUMERIC[name][0](got, bound)


def _words(name: str, bound: Any) -> str:
    if name == "present":
        return "a value" if bound else "none"
    if name == "matches":
        return f"a text that matches {bound}"
    if name == "count":
        many = bound if isinstance(bound, int) else " and ".join(_words(key, part) for key, part in bound.items())
        return f"{many} items or characters"
    return f"{_NUMERIC[name][1]} {bound}"


def _got(got: Any) -> str:
    return "nothing" if got is NOTHING else preview(got)


@cache
def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text)


def _check(place: Node) -> None:
    if isinstance(place.value, list):
        for part in place:
            _check(part)
    elif is_comparison(place.value):
        for name, part in place.items():
            _check_comparison(name, part)
    elif isinstance(place.value, dict):
        for _, part in place.items():
            _check(part)


def _check_comparison(name: str, place: Node) -> None:
    if name == "present":
        place.expect(bool)
    elif name == "matches":
        _check_pattern(place)
    elif name == "count" and isinstance(place.value, dict):
        for key, part in place.items():
            if key not in _NUMERIC:
                part.fail(f"expected one of {', '.join(_NUMERIC)}, got {preview(key)}")
            part.expect(int)
    else:
        place.expect(int) if name == "count" else place.expect(float)


def _check_pattern(place: Node) -> None:
    text: str = place.expect(str)
    try:
        re.compile(text[:MAX_PATTERN])
    except re.error as problem:
        place.fail(f"{preview(text)} is not a regular expression: {problem}")
    if len(text) > MAX_PATTERN:
        place.fail(f"expected at most {MAX_PATTERN} characters, got {len(text)}")
