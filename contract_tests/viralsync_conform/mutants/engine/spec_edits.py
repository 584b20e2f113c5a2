"""What mutants are made of that live by another spec: a mock validates, refuses and counts by what its spec says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_GONE = object()


def put(path: str, value: Any = _GONE) -> Callable[[dict[str, Any]], None]:
    """Return an edit that sets a place of the spec, written `a.b.c`, or takes it out when no value is given."""

    def edit(document: dict[str, Any]) -> None:
        *way, last = path.split(".")
        place: Any = document
        for step in way:
            place = place[step]
        if last not in place:
            raise KeyError(f"{path}: the spec has no such place to change")
        if value is _GONE:
            del place[last]
        else:
            place[last] = value

    return edit


def optional(name: str, required: str) -> Callable[[dict[str, Any]], None]:
    """Return an edit after which a schema no longer demands a property."""

    def edit(document: dict[str, Any]) -> None:
        document["components"]["schemas"][name]["required"].remove(required)

    return edit
