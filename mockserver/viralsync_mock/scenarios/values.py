"""How single values are written in scenario files: each reader takes a place and returns a value, or complains.

The patterns are those of fixtures/scenario.schema.json.
"""

from __future__ import annotations

import math
import re
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from viralsync_mock.config.yaml_source import preview
from viralsync_mock.errors import UsageError, did_you_mean
from viralsync_mock.jobs.models import parse_timestamp
from viralsync_mock.jobs.timeline import Duration
from viralsync_mock.openapi.spec import RateLimit

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from viralsync_mock.config.yaml_source import Node

    Reader = Callable[[Node], Any]

HOUR, DAY = 3600.0, 86_400.0
MAX_SECONDS = 30 * DAY
"""With it, the longest movie that fits into a request still ends before the calendar does."""

MAX_MISTAKES = 50
"""How many mistakes of a file are named at once."""

FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC)

_LENGTH = re.compile(r"([0-9]{1,12}(?:\.[0-9]+)?)(ms|s|m|h)")
_RATE = re.compile(r"([1-9][0-9]{0,5})/([0-9]{1,12}(?:\.[0-9]+)?(?:ms|s|m|h))")
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]+)?)%")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[ -~]*")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": HOUR}
_SWITCH = {"on": True, "off": False, True: True, False: False}


def read_object(place: Node, readers: Mapping[str, Reader], required: Collection[str] = ()) -> dict[str, Any]:
    """Read the parts of an object that are there; `x-` keys are passed over, any other is a mistake.

    Raises the error class of the source with every mistake of all parts, one a line.
    """
    found: dict[str, Any] = {}
    with Mistakes() as mistakes:
        for key, part in place.items():
            with mistakes.collected():
                if key in readers:
                    found[key] = readers[key](part)
                elif not key.startswith("x-"):
                    part.fail(f"unknown key.{did_you_mean(key, readers)} Known: {', '.join(readers)}")
        for key in required:
            with mistakes.collected():
                place[key]
    return found


def read_list(place: Node, reader: Reader) -> tuple[Any, ...]:
    """Read every item of a list; raises the error class of the source with every mistake of all items."""
    found = []
    with Mistakes() as mistakes:
        for part in place:
            with mistakes.collected():
                found.append(reader(part))
    return tuple(found)


class Mistakes:
    """Collects what is wrong with several parts, and raises it together at the end."""

    def __init__(self) -> None:
        self._found: list[UsageError] = []

    def __enter__(self) -> Mistakes:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and self._found:
            lines = [line for error in self._found for line in str(error).split("\n")]
            more = len(lines) - MAX_MISTAKES
            text = "\n".join([*lines[:MAX_MISTAKES], *([f"and {more} more"] if more > 0 else [])])
            raise type(self._found[0])(text) from None

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Keep the mistake of one part."""
        try:
            yield
        except UsageError as error:
            self._found.append(error)


def suggestion(word: object, words: Collection[str]) -> str:
    """Return the nearest word as a question, or all words when none is near."""
    return did_you_mean(word, words) or f" Known: {', '.join(words)}"


def one_of(words: Collection[str], what: str) -> Reader:
    """Return the reader of one of these words."""

    def read(place: Node) -> str:
        word: str = place.expect(str)
        return word if word in words else place.fail(f"expected {what}, got {preview(word)}.{suggestion(word, words)}")

    return read


def matching_text(form: str, what: str) -> Reader:
    """Return the reader of a text that a pattern matches in full."""
    pattern = re.compile(form)

    def read(place: Node) -> str:
        value: str = place.expect(str)
        return value if pattern.fullmatch(value) else place.fail(f"expected {what}, got {preview(value)}")

    return read


def text(place: Node) -> str:
    """Read a text that says something."""
    value: str = place.expect(str)
    return value if value.strip() else place.fail(f"expected a text that says something, got {preview(value)}")


def mapping(place: Node) -> dict[str, Any]:
    """Read an object with whatever keys."""
    return dict(place.expect(dict))


def json_value(place: Node) -> Any:
    """Read whatever can go out as JSON."""
    try:
        orjson.dumps(place.value)
    except orjson.JSONEncodeError as problem:
        place.fail(f"cannot be written as JSON: {problem}")
    return place.value


def switch(place: Node) -> bool:
    """Read on or off, also as true or false."""
    value = place.value
    if not isinstance(value, (str, bool)) or value not in _SWITCH:
        place.fail(f"expected on or off, got {preview(value)}")
    return _SWITCH[value]


def integer(least: int, most: int) -> Reader:
    """Return the reader of a whole number within bounds."""

    def read(place: Node) -> int:
        value: int = place.expect(int)
        return value if least <= value <= most else place.fail(f"expected {least} to {most}, got {preview(value)}")

    return read


count = integer(1, 1_000_000)


def number(most: float) -> Reader:
    """Return the reader of a number from 0 on."""

    def read(place: Node) -> float:
        value: float = place.expect(float)
        return value if 0 <= value <= most else place.fail(f"expected 0 to {most:g}, got {preview(value)}")

    return read


def seconds(longest: float = MAX_SECONDS, also: str = "") -> Reader:
    """Return the reader of a length of time with an end: a number of seconds, or a text such as 800ms."""

    def read(place: Node) -> float:
        length = parse_seconds(place.value)
        if length is None:
            place.fail(f"expected seconds, or a time such as 800ms, 1s, 2m or 1h{also}, got {preview(place.value)}")
        if not 0 <= length <= longest:
            place.fail(f"expected 0s to {_in_words(longest)}{also}, got {preview(place.value)}")
        return length

    return read


def parse_seconds(value: object) -> float | None:
    """Return a length of time in seconds: a number, or a text such as 800ms, 1s, 2m or 1h; None for anything else."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    found = _LENGTH.fullmatch(value) if isinstance(value, str) else None
    return round(float(found[1]) * _UNITS[found[2]], 6) if found else None


def _in_words(length: float) -> str:
    return f"{length / HOUR:g}h"


def seconds_or_forever(longest: float = MAX_SECONDS) -> Reader:
    """Return the reader of a length of time, or of `forever`."""
    read = seconds(longest, also=", or forever")
    return lambda place: math.inf if place.value == "forever" else read(place)


def duration(longest: float = MAX_SECONDS) -> Reader:
    """Return the reader of what a step lasts: a length, `forever`, or {mean, jitter}."""

    def read(place: Node) -> Duration:
        if not isinstance(place.value, dict):
            return Duration(seconds_or_forever(longest)(place))
        length = Duration(**read_object(place, {"mean": seconds(longest), "jitter": seconds(longest)}, ("mean",)))
        if length.jitter > length.mean:
            place["jitter"].fail(f"expected at most the mean ({length.mean:g}s), got {length.jitter:g}s")
        return length

    return read


def percentage(place: Node) -> float:
    """Read a part of a whole: 60% or 0.6."""
    value = place.value
    found = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    part = float(found[1]) / 100 if found else value
    if not isinstance(part, (int, float)) or isinstance(part, bool) or not 0 <= part <= 1:
        place.fail(f"expected a share from 0% to 100%, or 0 to 1, got {preview(value)}")
    return float(part)


def instant(place: Node) -> datetime:
    """Read an ISO 8601 instant with its offset."""
    value = place.value
    try:
        if not isinstance(value, str) or not _INSTANT.fullmatch(value):
            raise ValueError
        found = parse_timestamp(value)
    except (ValueError, OverflowError):
        place.fail(f"expected an instant such as 2026-01-31T23:58:00Z, got {preview(value)}")
    if not FIRST <= found < LAST:
        place.fail(f"expected a year from {FIRST.year} to {LAST.year - 1}, got {preview(value)}")
    return found


def rate(place: Node) -> dict[str, Any]:
    """Read a rate limit such as 120/60s, or on (the spec's) or off; return the fields of `Limits` that it sets."""
    value = place.value
    if isinstance(value, (str, bool)) and value in _SWITCH:
        return {"is_rated": _SWITCH[value]}
    found = _RATE.fullmatch(value) if isinstance(value, str) else None
    window = parse_seconds(found[2]) if found else None
    if not found or window is None:
        place.fail(f"expected requests per window such as 120/60s, or on or off, got {preview(value)}")
    if not 0 < window <= DAY:
        place.fail(f"expected a window of more than 0s, at most {_in_words(DAY)}, got {preview(value)}")
    return {"rate": RateLimit(int(found[1]), window)}


def headers(*reserved: str) -> Reader:
    """Return the reader of HTTP headers, names in lower case; the reserved ones are the server's own."""

    def read(place: Node) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, part in place.items():
            value: str = part.expect(str)
            if not _HEADER.fullmatch(name):
                part.fail(f"expected the name of a header, got {preview(name)}")
            if not _HEADER_VALUE.fullmatch(value):
                part.fail("expected plain ASCII without line breaks")
            if name.lower() in reserved:
                part.fail("the server sets this header itself: remove it")
            if name.lower() in found:
                part.fail("this header stands twice: keep one of them")
            found[name.lower()] = value
        return found

    return read
