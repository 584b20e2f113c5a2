"""YAML files as plain JSON values, and the names of the places in them.

YAML 1.2's core types only: no dates, no `on` for true, no tags. Aliases and merge keys (`<<`) work; what they come to
is bounded, as if it were written out. A key given twice is refused, since one of the two would be lost in silence.
"""

from __future__ import annotations

import re
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

import yaml

from viralsync_mock.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from viralsync_mock.errors import UsageError

MAX_FILE = 5_000_000
MAX_DEPTH = 100
_TOO_DEEP_FOR_LIBYAML = "exceeded maximum nesting depth"  # newer versions read ahead, and stop by themselves
MAX_NUMBER = 300
MAX_ALIASED = 200_000
"""How many values all aliases of a file may stand for together."""
MERGE = "<<"
MAX_KEY = 200
"""A longer one is shortened in messages."""

Trail = tuple[str | int, ...]  # the keys and indexes that lead to a place

_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z")
_NUMBER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?\Z")
_NAME = re.compile(r"[A-Za-z_$][\w$-]*\Z")
_KINDS = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    type(None): "nothing",
}


def json_path(path: Sequence[str | int]) -> str:
    """Return the name of a place, as in `$.movie.scenes[1].duration` or `$.paths["/v1/jobs"]`."""
    return "$" + "".join(map(_step, path))


def _step(key: str | int) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    key = key if len(key) <= MAX_KEY else f"{key[: MAX_KEY - 1]}…"
    return f".{key}" if _NAME.match(key) else f'["{key}"]'


def preview(value: object, longest: int = 60) -> str:
    """Return a value as JSON-like text, shortened, for a message."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, dict):
        return f"an object of {len(value)}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


class _Reader:
    """Builds plain values from libyaml's events: flat, so that no nesting can exhaust the C stack."""

    def __init__(self, text: str, fail: Callable[[int, Trail | None, str], NoReturn]) -> None:
        self._parser = yaml.CSafeLoader(text)
        self._fail = fail
        self.lines: dict[Trail, int] = {}
        self._anchors: dict[str, Any] = {}
        self._aliased = 0

    def document(self) -> Any:
        """Return the value of the only document."""
        self._next()  # the stream's start
        first = self._next()
        if isinstance(first, yaml.StreamEndEvent):
            self._fail(1, None, "the file is empty")
        value = self._value(self._next(), ())
        self._next()  # the document's end
        after = self._next()
        if not isinstance(after, yaml.StreamEndEvent):
            self._fail(_line(after), None, "a second document begins here: keep one per file")
        return value

    def _next(self) -> yaml.Event:
        try:
            return cast("yaml.Event", self._parser.get_event())  # None comes after the stream's end only
        except yaml.YAMLError as problem:
            mark = getattr(problem, "problem_mark", None)
            reason = getattr(problem, "problem", None) or str(problem).partition("\n")[0]
            if reason == _TOO_DEEP_FOR_LIBYAML:
                reason = f"nested deeper than {MAX_DEPTH} levels"
            self._fail(mark.line + 1 if mark else 1, None, f"not YAML: {reason}")

    def _value(self, event: yaml.Event, path: Trail) -> Any:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        if len(path) >= MAX_DEPTH:
            self._fail(_line(event), path[:5], f"nested deeper than {MAX_DEPTH} levels")
        value = self._scalar(event, path) if isinstance(event, yaml.ScalarEvent) else self._collection(event, path)
        if (anchor := getattr(event, "anchor", None)) is not None:
            self._anchors[anchor] = value
        return value

    def _alias(self, event: yaml.AliasEvent, path: Trail) -> Any:
        if event.anchor not in self._anchors:
            self._fail(_line(event), path, f"no value before this one has the anchor &{event.anchor}")
        value = self._anchors[event.anchor]
        self._aliased += _size(value, MAX_ALIASED)
        if self._aliased > MAX_ALIASED:
            self._fail(_line(event), path, f"the aliases of this file stand for more than {MAX_ALIASED} values")
        if len(path) + _depth(value) > MAX_DEPTH:
            self._fail(_line(event), path[:5], f"nested deeper than {MAX_DEPTH} levels")
        return value

    def _collection(self, event: yaml.Event, path: Trail) -> Any:
        tag = getattr(event, "tag", None)
        if tag not in {None, "!"}:
            self._fail(_line(event), path, f"the YAML tag {tag} is not supported: remove it")
        return self._list(path) if isinstance(event, yaml.SequenceStartEvent) else self._object(path)

    def _list(self, path: Trail) -> list[Any]:
        values: list[Any] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            here = (*path, len(values))
            self.lines[here] = _line(event)
            values.append(self._value(event, here))
        return values

    def _object(self, path: Trail) -> dict[str, Any]:
        values: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self._fail(_line(event), path, "a key must be a plain text")
            here = (*path, event.value)
            if event.value in values:
                self._fail(_line(event), here, "this key stands twice: keep one of them")
            if event.value == MERGE and event.implicit[0]:
                merged = {**self._merged(_line(event), here), **merged}
                continue
            self.lines[here] = _line(event)
            values[event.value] = self._value(self._next(), here)
        return {**merged, **values} if merged else values

    def _merged(self, line: int, path: Trail) -> dict[str, Any]:
        """Return what a merge key adds: of several objects the first has precedence."""
        found = self._value(self._next(), path)
        merged: dict[str, Any] = {}
        for each in found if isinstance(found, list) else [found]:
            if not isinstance(each, dict):
                self._fail(line, path, f"a merge key takes an object or a list of objects, got {preview(each)}")
            merged = {**each, **merged}
        for key in merged:
            self.lines.setdefault((*path[:-1], key), line)
        return merged

    def _scalar(self, event: yaml.ScalarEvent, path: Trail) -> Any:
        text: str = event.value
        if event.tag not in {None, "!", "tag:yaml.org,2002:str"}:
            self._fail(_line(event), path, f"the YAML tag {event.tag} is not supported: remove it")
        if not event.implicit[0] or event.tag is not None:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if not _NUMBER.match(text):
            return text
        return self._number(event, path)

    def _number(self, event: yaml.ScalarEvent, path: Trail) -> int | float:
        text: str = event.value
        number = int(text) if len(text) <= MAX_NUMBER and _WHOLE.match(text) else float(text)
        if not isfinite(number) or len(text) > MAX_NUMBER:
            self._fail(_line(event), path, f"{preview(text)} is too large a number")
        return number


def _size(value: object, most: int) -> int:
    """Return how many values there are in this one; more than `most` are not counted to the end."""
    left, size = [value], 0
    while left and size <= most:
        each = left.pop()
        size += 1
        left += each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
    return size


def _depth(value: object) -> int:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, parts), default=0)


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1


class YamlSource:
    """One YAML file: `name` for messages, `data` its value, `error` the class of every complaint."""

    def __init__(self, text: str, name: str, error: Callable[[str], UsageError]) -> None:
        self.name = name
        self.text = text
        self.error = error
        self.data = _Reader(text, self._complain).document()

    def fail(self, path: Trail, message: str) -> NoReturn:
        """Raise the complaint, with file, line and place in front."""
        reader = _Reader(self.text, self._complain)  # read anew: only a complaint needs the lines
        reader.document()
        known = [path[:length] for length in range(len(path), 0, -1) if path[:length] in reader.lines]
        self._complain(reader.lines[known[0]] if known else 1, path, message)

    def _complain(self, line: int, path: Trail | None, message: str) -> NoReturn:
        place = "" if path is None else f" {json_path(path)}:"
        raise self.error(f"{self.name}:{line}:{place} {message}")


class JsonSource(YamlSource):
    """Values that came without a text, by JSON or in a header: there are no lines to name."""

    def __init__(self, data: object, error: Callable[[str], UsageError], name: str = "") -> None:
        self.data, self.name, self.text, self.error = data, name, "", error

    def fail(self, path: Trail, message: str) -> NoReturn:
        """Raise the complaint, with the place in front."""
        source = f"{self.name}: " if self.name else ""
        raise self.error(f"{source}{json_path(path)}: {message}")


class Node:
    """One value of a source and where it stands; it reads its parts, and complains with the place."""

    __slots__ = ("path", "source", "value")

    def __init__(self, source: YamlSource, value: Any, path: Trail = ()) -> None:
        self.source = source
        self.value = value
        self.path = path

    def fail(self, message: str) -> NoReturn:
        """Raise the source's error, naming file, line and place."""
        self.source.fail(self.path, message)

    def expect(self, *kinds: type) -> Any:
        """Return the value if it is of one of these JSON types (an int is a float, a bool is neither)."""
        value = self.value
        if isinstance(value, kinds) and (not isinstance(value, bool) or bool in kinds):
            return value
        if float in kinds and isinstance(value, int) and not isinstance(value, bool):
            return value
        expected = " or ".join(_KINDS[kind] for kind in kinds)
        return self.fail(f"expected {expected}, got {preview(value)}")

    def get(self, key: str) -> Node | None:
        """Return the part under `key`, or None when there is none."""
        value = self.expect(dict)
        return Node(self.source, value[key], (*self.path, key)) if key in value else None

    def __getitem__(self, key: str) -> Node:
        found = self.get(key)
        if found is None:
            self.fail(f'"{key}" is missing: add it.{did_you_mean(key, self.value)}')
        return found

    def item(self, index: int) -> Node:
        """Return one item of a list."""
        return Node(self.source, self.expect(list)[index], (*self.path, index))

    def items(self) -> Iterator[tuple[str, Node]]:
        """Yield the parts of an object."""
        for key, value in self.expect(dict).items():
            yield key, Node(self.source, value, (*self.path, key))

    def __iter__(self) -> Iterator[Node]:
        for index, value in enumerate(self.expect(list)):
            yield Node(self.source, value, (*self.path, index))

    def allow_keys(self, *known: str) -> Node:
        """Return itself, or complain about the first key that is neither known nor an `x-` extension."""
        for key in self.expect(dict):
            if key not in known and not key.startswith("x-"):
                self.fail(f'unknown key "{key}".{did_you_mean(key, known)} Known: {", ".join(known)}')
        return self


def read_yaml(path: Path | str, error: Callable[[str], UsageError]) -> Node:
    """Read a YAML file of at most 5 MB; every complaint, now and later, is an `error` naming the file."""
    if Path(path).is_fifo():  # opening it may wait for ever
        raise error(f"{path}: a pipe, not a file: write its content to a file first")
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MAX_FILE + 1)
    except OSError as problem:
        raise error(f"{path}: cannot be read: {problem.strerror}") from None
    if len(raw) > MAX_FILE:
        raise error(f"{path}: larger than {MAX_FILE // 1_000_000} MB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise error(f"{path}: not UTF-8 at byte {problem.start}: save the file as UTF-8") from None
    source = YamlSource(text, str(path), error)
    return Node(source, source.data)
