"""Breaches of sections 1 and 2: bodies, routes, keys, the account."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from .breach_kinds import hooked, of_success, refusal, refused_when, tuned
from .conduct import Breach
from .wire import Doc, Reply

_SUBMIT, _REQUEST, _TEN = "a submit", "a request", "ten requests"


def _success(name: str, fact: str, needs: str, change: Any, *operations: str) -> Breach:
    return hooked(name, fact, needs, reply=of_success(change, *operations))


def _status_of_submit(status: int) -> Any:
    return lambda reply, call: (
        replace(reply, status=status) if call.operation == "submit" and not reply.refusal else reply
    )


def _pruned(value: Any, word: str) -> Any:
    """The document without the numbers whose name, or whose parent's name, holds the word."""
    if not isinstance(value, dict):
        return value
    return {name: _pruned(each, word) for name, each in value.items() if word not in name.lower()}


def _less(name: str) -> Any:
    return lambda document: {key: value for key, value in document.items() if key != name}


def _every_tenth(make: Any) -> Any:
    return lambda call, _world: make if call.number % 10 == 0 else call


def _young(call: Any) -> bool:
    job = next((each for each in call.account.jobs if each.job_id == call.job_id), None)
    return call.operation == "get" and job is not None and job.age < 0.5


def _is_bearer_write(call: Any) -> bool:
    return bool(call.header == "authorization" and call.method != "GET")


def _is_usage(call: Any) -> bool:
    return bool(call.operation == "usage")


def _has_prefix(key: str) -> bool:
    return key.startswith("vs_prod_")


def _routes_gone() -> Iterator[Breach]:
    facts = {"submit": "D-1.7", "list": "D-1.8", "get": "D-1.9", "progress": "D-1.10", "cancel": "D-1.11"}
    for operation, fact in {**facts, "delete": "D-1.12", "me": "D-1.13", "usage": "D-1.14"}.items():

        def is_it(call: Any, operation: str = operation) -> bool:
            return bool(call.operation == operation)

        yield hooked(f"{operation}-route-gone", fact, _REQUEST, call=refused_when(is_it, "unknown-route"))


def _open_operations() -> Iterator[Breach]:
    for operation in ("list", "progress", "me"):
        opened = frozenset({operation})
        yield tuned(f"{operation}-without-key", "D-2.3", "a request without a key", open_operations=opened)


def _with_flag(document: Doc) -> Doc:
    return {"success": True, "data": document}


BREACHES: Final = (
    _success("envelope-around-success", "D-1.3", _REQUEST, lambda document: {"data": document}),
    _success("envelope-around-job", "D-1.3", _REQUEST, lambda document: {"job": document}, "get"),
    _success("envelope-around-list", "D-1.3", _REQUEST, _with_flag, "list"),
    _success("envelope-around-me", "D-1.3", _REQUEST, lambda document: {"user": document}, "me"),
    _success("json-encoded-twice", "D-1.1", _REQUEST, json.dumps),
    hooked("submit-answers-200", "D-1.7", _SUBMIT, reply=_status_of_submit(200)),
    hooked("submit-answers-201", "D-1.7", _SUBMIT, reply=_status_of_submit(201)),
    _success("submit-without-job-id", "D-1.2", _SUBMIT, _less("jobId"), "submit"),
    _success("submit-job-id-of-another", "D-1.2", _SUBMIT, lambda it: {**it, "jobId": it["jobId"] + "0"}, "submit"),
    tuned("submit-waits-for-the-end", "D-1.2", "a submit, and the time it takes", answers_when_done=True),
    hooked("job-readable-late", "D-1.2", "a read right after a submit", call=refused_when(_young, "unknown-job")),
    _success("job-of-another-id", "D-1.9", _REQUEST, lambda it: {**it, "jobId": it["jobId"][::-1]}, "get"),
    *_routes_gone(),
    hooked("every-tenth-500", "D-1.9", _TEN, call=refused_when(lambda call: call.number % 10 == 0, "crash")),
    hooked("every-tenth-503", "D-1.9", _TEN, call=refused_when(lambda call: call.number % 10 == 0, "away")),
    hooked("every-tenth-dropped", "D-1.9", _TEN, call=_every_tenth(Reply(0))),
    hooked("every-tenth-empty", "D-1.9", _TEN, call=_every_tenth(Reply(200))),
    _success("me-without-user-id", "D-1.13", _REQUEST, _less("userId"), "me"),
    _success("me-without-plan", "D-1.13", _REQUEST, _less("plan"), "me"),
    _success("me-without-email", "D-2.6", _REQUEST, _less("email"), "me"),
    _success("usage-without-minutes-used", "D-1.14", _REQUEST, lambda it: _pruned(it, "used"), "usage"),
    _success("usage-without-limits", "D-1.14", _REQUEST, lambda it: _pruned(it, "limit"), "usage"),
    refusal("missing-key-accepted", "D-2.3", "a missing key", "missing-key"),
    refusal("invalid-key-accepted", "D-2.3", "a wrong key", "invalid-key"),
    tuned("key-prefix-checked-only", "D-2.3", "a wrong key of the right form", key_accepted_unseen=_has_prefix),
    *_open_operations(),
    refusal("missing-key-403", "D-2.3", "a missing key", "missing-key", status=403),
    refusal("missing-key-code", "D-2.3", "a missing key", "missing-key", code="MISSING_API_KEY"),
    refusal("invalid-key-403", "D-2.3", "a wrong key", "invalid-key", status=403),
    refusal("invalid-key-code", "D-8.2", "a wrong key", "invalid-key", code="INVALID_API_KEY"),
    tuned("bearer-not-read", "D-2.1", "a bearer token", key_headers=frozenset({"x-api-key"})),
    tuned("x-api-key-not-read", "D-2.1", "a key in x-api-key", key_headers=frozenset({"authorization"})),
    hooked("bearer-for-reads-only", "D-2.1", "a bearer token", call=refused_when(_is_bearer_write, "invalid-key")),
    refusal("revoked-key-accepted", "D-2.4", "a revoked key", "revoked-key", visible=False),
    refusal("revoked-key-403", "D-2.4", "a revoked key", "revoked-key", visible=False, status=403),
    refusal("free-plan-401", "D-2.5", "a Free key", "free-plan", visible=False, variants="ABC", status=401),
    refusal("free-plan-402", "D-8.6", "a Free key", "free-plan", visible=False, variants="ABC", status=402),
    hooked("pro-refused-usage", "D-1.6", _REQUEST, call=refused_when(_is_usage, "free-plan")),
)
