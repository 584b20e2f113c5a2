"""Mutants that need no code: `mutants.yaml` names a place, and what is changed there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from viralsync_conform.mutants.engine.asgi import Answer
from viralsync_conform.mutants.engine.exchange import Layer
from viralsync_conform.mutants.engine.layers import (
    REFUSALS,
    SUCCESS,
    Document,
    body,
    both,
    edit_error,
    edit_jobs,
    edit_json,
    edit_request,
    edit_response,
    header,
    status,
    under_account,
)
from viralsync_conform.mutants.engine.spec_edits import optional, put
from viralsync_conform.mutants.engine.stream_layers import edit_data
from viralsync_conform.mutants.engine.webhook_attempts import resigned
from viralsync_conform.mutants.mutant import BEHAVIOUR, INDEPENDENT, KIT, Mutant
from viralsync_mock.config.yaml_source import Node, read_yaml
from viralsync_mock.errors import UsageError

KEYS = (
    *("says", "independent", "spec", "value", "without", "in", "of", "error", "statuses", "where"),
    *("set", "drop", "rename", "status", "header", "body", "type", "account", "request"),
)
"""What a row may hold; the comment at the top of `mutants.yaml` explains each."""


def declared() -> tuple[Mutant, ...]:
    subjects = read_yaml(Path(__file__).with_name("mutants.yaml"), UsageError)
    return tuple(_mutant(subject, name, row) for subject, rows in subjects.items() for name, row in rows.items())


def _mutant(subject: str, name: str, node: Node) -> Mutant:
    row = node.allow_keys(*KEYS).expect(dict)
    changes: dict[str, Any]
    if "without" in row:
        changes = {"edit_spec": optional(row["spec"], row["without"])}
    elif "spec" in row:
        changes = {"edit_spec": put(row["spec"], *([row["value"]] if "value" in row else []))}
    elif "webhook" in row.get("in", ()):
        changes = {"sending": resigned(_edit(row))}
    else:
        changes = {"layer": _layer(row)}
    origin = INDEPENDENT if row.get("independent") else KIT
    return Mutant(name, row["says"], BEHAVIOUR, subject, origin=origin, **changes)


def _layer(row: Document) -> Layer:
    operations = tuple(row.get("of", ()))
    if "account" in row:
        [(field, value)] = row["account"].items()
        return under_account(row["error"], field, value, *operations)
    if "request" in row:
        [(part, values)] = row["request"].items()
        return edit_request(lambda request: getattr(request, f"with_{part}")(**values), *operations)
    places = row.get("in", ())
    edit = _edit(row)
    if "events" in places:
        events = edit_data(lambda document, _: edit(document))
        return both(edit_jobs(lambda job, _: edit(job), *operations), events) if "jobs" in places else events
    if "jobs" in places:
        return edit_jobs(lambda job, _: edit(job), *operations)
    if "error" in row:
        return edit_error(row["error"], _answer_edit(row, edit), *operations)
    statuses = REFUSALS if "refusals" in places else frozenset(row.get("statuses", SUCCESS))
    if {"set", "drop", "rename"} & row.keys():
        return edit_json(edit, *operations, statuses=statuses)
    return edit_response(_answer_edit(row, edit), *operations, statuses=statuses)


def _edit(row: Document) -> Callable[[Document], None]:
    """Return the edit of a document; where a condition is given, fields that it lacks are not added."""

    def edit(document: Document) -> None:
        condition = row.get("where", {})
        if any(document.get(name, edit) != value for name, value in condition.items()):
            return
        is_webhook = "webhook" in row.get("in", ())
        for name, value in row.get("set", {}).items():
            if name in document or is_webhook or not condition:
                document[name] = value
        if "drop" in row:
            document.pop(row["drop"], None)
        for name, other in row.get("rename", {}).items():
            document[other] = document.pop(name)

    return edit


def _answer_edit(row: Document, edit: Callable[[Document], None]) -> Callable[[Answer], None]:
    def change(answer: Answer) -> None:
        if "set" in row:
            document = answer.document
            edit(document)
            answer.document = document
        if "status" in row:
            status(row["status"])(answer)
        for name, value in row.get("header", {}).items():
            header(name, value)(answer)
        if "body" in row:
            body(row["body"].encode(), row["type"])(answer)

    return change
