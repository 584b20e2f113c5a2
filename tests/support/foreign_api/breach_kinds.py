"""Ways to make a breach: most are one value or one small function away from the honest behaviour."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from .conduct import Breach, Hook
from .wire import Doc, Refused, Reply

Where = Callable[[Doc, Any], bool]


def tuned(name: str, fact: str, needs: str, *, visible: bool = True, variants: str = "ABCD", **changes: Any) -> Breach:
    """Another value for fields of `Conduct`."""
    return Breach(name, fact, needs, visible, variants, changes=changes)


def hooked(name: str, fact: str, needs: str, *, visible: bool = True, variants: str = "ABCD", **hooks: Hook) -> Breach:
    """A function at a point of `Conduct.hooks`."""
    return Breach(name, fact, needs, visible, variants, hooks=hooks)


def field_rule(name: str, fact: str, place: str, needs: str = "a submit", visible: bool = True, **rule: Any) -> Breach:
    """Another rule for one field of a request."""
    return Breach(name, fact, needs, visible, changes={"fields": {place: rule}})


def refusal(
    name: str, fact: str, needs: str, *kinds: str, visible: bool = True, variants: str = "ABCD", **changes: Any
) -> Breach:
    """Another status or code for kinds of refusals; without changes, they are not refused at all."""
    table = dict.fromkeys(kinds, changes or None)
    return Breach(name, fact, needs, visible, variants, changes={"refusals": table})


def shown(where: Where, **values: Any) -> Hook:
    """A hook that shows other values in a document, wherever `where` holds."""
    return lambda document, context: {**document, **values} if where(document, context) else document


def without(*names: str, where: Where = lambda _document, _context: True) -> Hook:
    """A hook that leaves fields out of a document."""
    return lambda document, context: (
        {name: value for name, value in document.items() if name not in names} if where(document, context) else document
    )


def in_status(*statuses: str) -> Where:
    """Whether a document shows one of these statuses."""
    return lambda document, _context: document.get("status") in statuses


def of_success(change: Callable[[Any], Any], *operations: str) -> Hook:
    """A hook that changes the document of successful replies, of these operations or of all."""

    def hook(reply: Reply, call: Any) -> Reply:
        if reply.refusal or reply.document is None or (operations and call.operation not in operations):
            return reply
        return replace(reply, document=change(reply.document))

    return hook


def of_refusal(change: Callable[[Reply], Reply], kinds: Iterable[str] = (), operation: str = "") -> Hook:
    """A hook that changes replies to refused requests, of these kinds or of all, of one operation or of all."""
    chosen = frozenset(kinds)

    def hook(reply: Reply, call: Any) -> Reply:
        matches = reply.refusal and (not chosen or reply.refusal in chosen) and operation in {"", call.operation}
        return change(reply) if matches else reply

    return hook


def refused_when(where: Callable[[Any], bool], kind: str) -> Hook:
    """A hook that refuses the calls for which `where` holds."""

    def hook(call: Any, _world: Any) -> Any:
        if where(call):
            raise Refused(kind, "Something went wrong.")
        return call

    return hook
