"""Faults that a test has armed in a sandbox: each for the calls or webhooks it is meant for, for a while, so often."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from viralsync_mock.faults.webhook import Early, WebhookFault
from viralsync_mock.scenarios.fault_syntax import in_order
from viralsync_mock.scenarios.model import Asked, Rule, Script

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from viralsync_mock.faults.http import Fault


class ArmedFault(NamedTuple):
    """One armed fault: its id, the rule that it is, and how it was written."""

    id: str
    rule: Rule
    document: Mapping[str, Any]

    @property
    def is_of_webhooks(self) -> bool:
        """Whether it is done to webhooks as they leave, not to a call: it says nothing of calls, and needs none."""
        match = self.rule.match
        if match.operation is not None or match.header or match.body:
            return False
        return all(isinstance(each, WebhookFault) and not isinstance(each, Early) for each in self.rule.faults)


class Struck(NamedTuple):
    """An armed fault that speaks to a call."""

    id: str
    faults: tuple[Fault, ...]


@dataclass(slots=True)
class Armed:
    """The armed faults of one sandbox, from an instant on. All that speak to a call are done to it."""

    since: datetime
    faults: tuple[ArmedFault, ...] = ()
    calls: Script = field(init=False)
    webhooks: Script = field(init=False)

    def __post_init__(self) -> None:
        self.calls = Script("armed", tuple(each.rule for each in self.of_calls))
        self.webhooks = Script("armed webhook", tuple(each.rule for each in self.of_webhooks))

    @property
    def of_calls(self) -> list[ArmedFault]:
        """Those that are done to calls."""
        return [each for each in self.faults if not each.is_of_webhooks]

    @property
    def of_webhooks(self) -> list[ArmedFault]:
        """Those that are done to webhooks as they leave."""
        return [each for each in self.faults if each.is_of_webhooks]

    def strike(self, asked: Asked, draw: Callable[..., float]) -> tuple[Struck, ...]:
        """Return what is done to this call, and count it."""
        of_calls = self.of_calls
        return tuple(Struck(of_calls[i].id, of_calls[i].rule.faults) for i in self.calls.speaking(asked, draw))

    def twists(self, now: datetime, draw: Callable[..., float]) -> tuple[Fault, ...]:
        """Return what is done to a webhook that leaves now, and count it."""
        if not self.webhooks.rules:
            return ()
        asked = Asked("", {}, None, self.age(now))
        of_webhooks = self.of_webhooks
        return in_order(each for i in self.webhooks.speaking(asked, draw) for each in of_webhooks[i].rule.faults)

    def age(self, now: datetime) -> float:
        """Return how many seconds of the sandbox's clock they have been armed."""
        return (now - self.since).total_seconds()

    def status(self, now: datetime) -> list[tuple[ArmedFault, int, bool]]:
        """Return each with how often it has struck, and whether it may strike again: it has not healed."""
        of_calls, of_webhooks, age = count(), count(), self.age(now)
        found = []
        for each in self.faults:
            script, index = (self.webhooks, next(of_webhooks)) if each.is_of_webhooks else (self.calls, next(of_calls))
            found.append((each, script.spoken[index], not script.has_healed(index, age)))
        return found
