"""The same journeys on the mock and on the target, step by step: how alike they are, and where they are not."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any

from viralsync_conform.calls import Exchange
from viralsync_conform.result import Fidelity, StepDifference

Step = tuple[str, str]
Trace = Mapping[Step, frozenset[str]]
Addition = tuple[str | None, int | None, str]
"""Operation, status, and the name of a field that is not documented there."""

TOLD = frozenset({"status", "phase", "type", "kind", "code", "deleted"})
"""Fields whose value is part of the contract; of the others only the type is."""

CURSOR = "nextCursor"
OWN = frozenset({"cleaning", "explored"})
"""Journeys that go otherwise each time: what they come to is said by what they find."""
NOT_COMPARED = frozenset({"probe"})
COMPARED_HEADERS = frozenset({"content-type", "retry-after", "allow", "cache-control"})


def trace_of(calls: Iterable[Exchange], *, with_lists: bool, additions: Container[Addition] = ()) -> Trace:
    """Return what each step of each journey came to; `with_lists` looks into the jobs of pages too.

    On an account that others use, pages hold jobs that this run knows nothing of. `additions` are fields that the
    documentation does not know: any server may have them, and none needs to.
    """
    found: dict[Step, set[str]] = {}
    for call in calls:
        step = call.step.removesuffix(" again")
        if call.journey not in OWN and step not in NOT_COMPARED:
            found.setdefault((call.journey, step), set()).update(_outcomes(call, with_lists, additions))
    return {step: frozenset(outcomes) for step, outcomes in found.items()}


def compared(target: Trace, mock: Trace) -> Fidelity:
    """Hold what the target showed against what the mock did: a step is the same if the mock shows all of it.

    Steps that only one of both came to are not compared: how many pages there are depends on what else is listed.
    Where a job stood when a step met it is a matter of time: it is enough that the mock shows that anywhere.
    """
    both = {step: outcomes for step, outcomes in target.items() if step in mock}
    differences = tuple(_differences(both, mock))
    return Fidelity(len(both), len(both) - len(differences), differences)


def _differences(target: Trace, mock: Trace) -> Iterator[StepDifference]:
    anywhere = {line for outcomes in mock.values() for line in outcomes if _is_of_the_moment(line)}
    for (journey, step), outcomes in target.items():
        known = mock.get((journey, step), frozenset()) | anywhere
        if not outcomes <= known:
            shown = known - anywhere
            yield StepDifference(journey, step, _describe(outcomes - known), _describe(shown - outcomes or shown))


def _is_of_the_moment(line: str) -> bool:
    return "/status = " in line or "/phase = " in line


def _describe(outcomes: Iterable[str], most: int = 3) -> str:
    listed = sorted(outcomes)
    return " | ".join(listed[:most]) + (f" | and {len(listed) - most} more" if len(listed) > most else "")


def _outcomes(call: Exchange, with_lists: bool, additions: Container[Addition]) -> Iterator[str]:
    """Yield what is compared of an answer: status, headers, and every documented field with its type."""
    head = f"{call.status or call.problem.partition(':')[0]}"
    yield head
    if call.status is None:
        return
    for name, value in call.headers:
        if name.lower() in COMPARED_HEADERS:
            yield f"{head} {name.lower()}: {_visible(name.lower(), value)}"
    if call.events:
        for event in call.events:
            fields = (field for field in _fields(event.document, "") if not _is_addition(call, field, additions))
            yield from (f"{head} event {event.name or 'unnamed'} {field}" for field in fields)
        yield f"{head} {'closed' if call.is_closed else 'left open'}"
    elif call.json is not None:
        value = call.json if with_lists or call.operation != "listJobs" else _without_items(call.json)
        yield from (f"{head} {field}" for field in _fields(value, "") if not _is_addition(call, field, additions))


def _is_addition(call: Exchange, field: str, additions: Container[Addition]) -> bool:
    names = field.partition(":")[0].partition(" = ")[0].split("/")
    return any((call.operation, call.status, name) in additions for name in names)


def _visible(name: str, value: str) -> str:
    """Return what is compared of a header's value."""
    if name == "retry-after" and value.isdecimal():
        return "a number"
    if name == "allow":  # HEAD and OPTIONS may be named or not
        return ", ".join(sorted({each.strip().upper() for each in value.split(",")} - {"HEAD", "OPTIONS"}))
    return value.replace("; charset=utf-8", "")


def _without_items(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: [] if isinstance(each, list) else each for name, each in value.items() if name != CURSOR}
    return value


def _fields(value: Any, path: str) -> Iterator[str]:
    """Yield a line for every field: its path, and its type or its value."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name in {"movie", "scene"}:
                yield f"{path}/{name}: {_type(each)}"
            elif name in TOLD and not isinstance(each, dict | list):
                yield f"{path}/{name} = {each}"
            else:
                yield from _fields(each, f"{path}/{name}")
    elif isinstance(value, list):
        for each in value:
            yield from _fields(each, f"{path}/*")
        if not value:
            yield f"{path}: an empty list"
    else:
        yield f"{path}: {_type(value)}"


def _type(value: Any) -> str:
    kinds = {
        bool: "boolean",
        int: "number",
        float: "number",
        str: "string",
        type(None): "null",
        dict: "object",
        list: "list",
    }
    return kinds.get(type(value), "unknown")
