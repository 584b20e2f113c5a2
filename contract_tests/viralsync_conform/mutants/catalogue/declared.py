"""Mutants that need no code: `mutants.yaml` and `permitted.yaml` name a place, and what is changed there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from operator import eq, gt, ne
from pathlib import Path
from typing import Any

from viralsync_conform.calls import TERMINAL
from viralsync_conform.mutants.engine.asgi import Answer, Request
from viralsync_conform.mutants.engine.exchange import Layer
from viralsync_conform.mutants.engine.layers import (
    REFUSALS,
    SUCCESS,
    Document,
    Seen,
    body,
    both,
    edit_error,
    edit_jobs,
    edit_json,
    edit_request,
    edit_response,
    later,
    status,
    under_account,
)
from viralsync_conform.mutants.engine.spec_edits import optional, put
from viralsync_conform.mutants.engine.stream_layers import edit_data, without
from viralsync_conform.mutants.engine.webhook_attempts import lost, resigned
from viralsync_conform.mutants.mutant import BEHAVIOUR, INDEPENDENT, KIT, Mutant
from viralsync_mock.config.yaml_source import Node, read_yaml
from viralsync_mock.errors import UsageError

KEYS = (
    *("says", "independent", "spec", "value", "without", "in", "of", "error", "statuses", "where", "asked", "hide"),
    *("set", "give", "drop", "rename", "first", "later", "wrap"),
    *("status", "header", "body", "type", "account", "request", "behaviour", "real"),
)
"""What a row may hold; the comments at the top of the files explain each."""

ALSO = "also"
UNFINISHED, ENDED = "unfinished", "ended"
EVERY = "*"
GONE = object()
EDITS = frozenset({"set", "give", "drop", "rename", "wrap"})
"""The keys that change a document."""


def declared(file: str) -> tuple[Mutant, ...]:
    """Return the mutants of a file beside this one."""
    subjects = read_yaml(Path(__file__).with_name(file), UsageError)
    return tuple(
        _mutant(subject, name, row)
        for subject, rows in subjects.items()
        if subject != ALSO
        for name, row in rows.items()
    )


def permitted_names() -> frozenset[str]:
    """Return the names of the mutants that are listed as permitted."""
    rows = read_yaml(Path(__file__).with_name("permitted.yaml"), UsageError)[ALSO].expect(list)
    return frozenset(name for row in rows for name in row)


def _mutant(subject: str, name: str, node: Node) -> Mutant:
    row = node.allow_keys(*KEYS).expect(dict)
    changes: dict[str, Any]
    if "behaviour" in row:
        changes = {"behaviour": row["behaviour"]}
    elif "without" in row:
        changes = {"edit_spec": optional(row["spec"], row["without"])}
    elif "spec" in row:
        changes = {"edit_spec": put(row["spec"], *([row["value"]] if "value" in row else []))}
    elif "webhook" in row.get("in", ()):
        hides = lost(lambda attempt: _is_meant(row, attempt.document))
        changes = {"sending": hides if row.get("hide") else resigned(_edit(row))}
    else:
        changes = {"layer": _layer(row)}
    origin = INDEPENDENT if row.get("independent") else KIT
    return Mutant(name, row["says"], BEHAVIOUR, subject, origin, in_real_time=row.get("real", False), **changes)


def _layer(row: Document) -> Layer:
    operations, places, edit = tuple(row.get("of", ())), row.get("in", ()), _edit(row)
    if "account" in row:
        [(field, value)] = row["account"].items()
        return under_account(row["error"], field, value, *operations)
    if "request" in row:
        return edit_request(_request_edit(row), *operations)
    if row.get("hide"):
        return without(lambda event, _: event.document is not None and _is_meant(row, event.document))
    jobs, events = edit_jobs(edit, *operations), edit_data(edit)
    if "events" in places:
        return both(jobs, events) if "jobs" in places else events
    if "jobs" in places:
        return jobs
    if "error" in row:
        return edit_error(_answer_edit(row, edit), row["error"], *operations)
    statuses = REFUSALS if "refusals" in places else frozenset(row.get("statuses", SUCCESS))
    if EDITS & row.keys() and "wrap" not in row:
        return edit_json(edit, *operations, statuses=statuses)
    return edit_response(_answer_edit(row, edit), *operations, statuses=statuses)


def _request_edit(row: Document) -> Callable[[Request], Request]:
    """Return the edit of a request; `asked` are the parameters that it must have, with their values unless null."""
    [(part, values)] = row["request"].items()
    asked = row.get("asked", {})

    def change(request: Request) -> Request:
        sent = request.parameters
        is_meant = all(name in sent and value in (None, sent[name]) for name, value in asked.items())
        return getattr(request, f"with_{part}")(**values) if is_meant else request

    return change


def _is_meant(row: Document, document: Document) -> bool:
    return all(_fits(_at(document, name), value, document) for name, value in row.get("where", {}).items())


def _fits(found: object, wanted: object, document: Document) -> bool:
    if wanted in (UNFINISHED, ENDED):
        return found is not GONE and (found in TERMINAL) is (wanted == ENDED)
    if isinstance(wanted, dict):
        [(how, value)] = wanted.items()
        return found is not GONE and COMPARED[how](found, value if how == "not" else _at(document, value))
    return found in wanted if isinstance(wanted, list) else found == wanted


COMPARED: dict[str, Callable[[Any, Any], bool]] = {"not": ne, "same": eq, "above": gt}
"""How a value may be compared: with another value, or with another field."""


def _at(document: Any, path: str) -> Any:
    for name in path.split("."):
        if isinstance(document, list) and name.isdigit():
            document = document[int(name)]
        else:
            document = document.get(name, GONE) if isinstance(document, dict) else GONE
    return document


def _places(document: Any, path: str) -> Iterator[tuple[Document, str]]:
    """Yield the objects that a path leads to, each with the name of the field; a star is every item of a list."""
    name, _, rest = path.partition(".")
    if name == EVERY:
        for item in document if isinstance(document, list) else ():
            yield from _places(item, rest)
    elif isinstance(document, dict):
        yield from _places(document.get(name), rest) if rest else [(document, name)]


def _edit(row: Document) -> Callable[..., None]:
    """Return the edit of a document; where a condition is given, fields that it lacks are not added."""
    adds = "webhook" in row.get("in", ()) or "where" not in row

    def edit(document: Document, seen: Seen | None = None) -> None:
        if not _is_meant(row, document) or not _is_time(row, {} if seen is None else seen):
            return
        found = [(*place, value) for path, value in row.get("set", {}).items() for place in _places(document, path)]
        changes = [
            (holder, name, _value(value, holder.get(name), document))
            for holder, name, value in found
            if name in holder or (adds and holder is document)
        ]
        for holder, name, value in changes:
            if value is not GONE:
                holder[name] = value
        document.update(row.get("give", {}))
        for holder, name in _places(document, row.get("drop", "")):
            holder.pop(name, None)
        for name, other in row.get("rename", {}).items():
            document[other] = document.pop(name)

    return edit


def _is_time(row: Document, seen: Seen) -> bool:
    """Say whether to change a job: only the first time it is seen so, or only later."""
    seen["times"] = times = seen.get("times", 0) + 1
    return times == 1 if row.get("first") else times > 1 or not row.get("later")


def _value(new: Any, old: Any, document: Document) -> Any:
    """Return a value as it is written, or reckoned from the one that there is: `{times: 2}`."""
    [(how, by)] = new.items() if isinstance(new, dict) and len(new) == 1 else [("", None)]
    if how not in RECKONED:
        return new
    return old if old is None and how not in BY_OTHERS else RECKONED[how](old, by, document)


RECKONED: dict[str, Callable[[Any, Any, Document], Any]] = {
    "times": lambda old, by, _: round(old * by, 4),
    "plus": lambda old, by, _: old + by,
    "text": lambda old, by, _: by.format(old),
    "whole": lambda old, by, _: max(by, int(old)),
    "up": lambda old, by, _: -(-old // by) * by,
    "down": lambda old, by, _: old - old % by,
    "called": lambda old, by, _: by.get(old, old),
    "before": lambda old, by, _: old.partition(by)[0],
    "after": lambda old, by, _: old.partition(by)[2],
    "in": lambda old, by, _: getattr(old, by)(),
    "instead": lambda old, by, _: old.replace(*by),
    "later": lambda old, by, _: later(old, by),
    "of": lambda _, by, document: _at(document, by),
    "sum": lambda _, by, document: sum(_number(document, each) for each in by),
    "filled": lambda _, by, document: by.format(**document),
}
BY_OTHERS = ("of", "sum", "filled")
"""How a value may be reckoned; `in` names a method of a text, `of` another field, `filled` fields in braces."""


def _number(document: Document, place: str | int) -> Any:
    """Return a number as it is written, or that of a field; the value of `-field` is taken off."""
    if isinstance(place, int):
        return place
    return -_at(document, place[1:]) if place.startswith("-") else _at(document, place)


def _answer_edit(row: Document, edit: Callable[..., None]) -> Callable[[Answer], None]:
    def change(answer: Answer) -> None:
        if EDITS & row.keys():
            document = answer.document
            edit(document)
            answer.document = {row["wrap"]: document} if "wrap" in row else document
        if "status" in row:
            status(row["status"])(answer)
        for name, value in row.get("header", {}).items():
            old = answer.header(name) or "0"
            answer.set_header(name, str(_value(value, int(old), {})) if isinstance(value, dict) else value)
        if "body" in row:
            body(row["body"].encode(), row["type"])(answer)

    return change
