"""Which calls of a sandbox the API does not take as they were made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from viralsync_mock.client import Sandbox

INVALID = frozenset({400, 413, 415})
UNKNOWN = frozenset({404, 405})


def invalid_calls(sandbox: Sandbox) -> list[Mapping[str, Any]]:
    """Return the explanations of the calls that the spec does not know or rejects, oldest first.

    What a rule of the scenario or a fault has answered is not the client's doing.
    """
    candidates = (
        call
        for call in sandbox.journal.calls()
        if call.status in INVALID or (call.status in UNKNOWN and call.operation is None)
    )
    explained = [sandbox.journal.explanation(call) for call in candidates]
    return [each for each in explained if not _is_scripted(each)]


def _is_scripted(explanation: Mapping[str, Any]) -> bool:
    rule = explanation["rule"]
    return bool(explanation["faults"] or (rule and "respond" in rule["does"]))


def format_calls(broken: Sequence[Mapping[str, Any]]) -> str:
    """Return what is wrong with such calls, in a line or two each."""
    head = f"viralsync, strict: the API does not take {len(broken)} of the calls that were made:"
    return "\n".join([head, *map(_line, broken)])


def _line(call: Mapping[str, Any]) -> str:
    target = f"{call['path']}?{call['query']}" if call["query"] else call["path"]
    return f"  {call['callId']} {call['method']} {target}\n    {call['summary']}"
