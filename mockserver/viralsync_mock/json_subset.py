"""Whether JSON values contain others, and where they do not: objects by their keys, all else by equality."""

from __future__ import annotations

from collections.abc import Iterator
from reprlib import Repr


def is_subset(whole: object, part: object) -> bool:
    """Say whether `part` is in `whole`: objects by their keys, lists item by item, all else by equality in JSON."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(k in whole and is_subset(whole[k], v) for k, v in part.items())
    if isinstance(part, list):
        return isinstance(whole, list) and len(whole) == len(part) and all(map(is_subset, whole, part))
    return whole == part and isinstance(whole, bool) is isinstance(part, bool)


def differences(whole: object, part: object, place: str = "$") -> Iterator[str]:
    """Yield every place where `part` is not in `whole`: `$.movie.title: expected 'a', got 'b'`."""
    if isinstance(part, dict) and isinstance(whole, dict):
        for key, value in part.items():
            if key in whole:
                yield from differences(whole[key], value, f"{place}.{key}")
            else:
                yield f"{place}.{key}: expected {short_repr(value)}, got nothing"
    elif isinstance(part, list) and isinstance(whole, list) and len(part) == len(whole):
        for index, (one, other) in enumerate(zip(whole, part, strict=True)):
            yield from differences(one, other, f"{place}[{index}]")
    elif not is_subset(whole, part):
        yield f"{place}: expected {short_repr(part)}, got {short_repr(whole)}"


def short_repr(value: object) -> str:
    """Return a value as Python writes it, shortened where it is long."""
    shortened = Repr()
    shortened.maxstring = shortened.maxother = 80
    return shortened.repr(value)
