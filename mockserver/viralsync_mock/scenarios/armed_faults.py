"""Faults that a test has armed in a sandbox: each for the calls or webhooks it is meant for, for a while, so often."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from viralsync_mock.faults.webhook import BeforeResponse, WebhookFault
from viralsync_mock.scenarios.fault_syntax import sort_faults
from viralsync_mock.scenarios.model import RequestFacts, Rule, RuleState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from viralsync_mock.faults.http import Fault


class ArmedFault(NamedTuple):
    """One armed fault: its id, the rule that it is, and how it was written.

    `armed_after` is how many seconds after the first ones it was armed; its times count from there.
    """

    id: str
    rule: Rule
    document: Mapping[str, Any]
    armed_after: float = 0.0

    @property
    def timed_rule(self) -> Rule:
        """The rule with its times counted from the arming of the first ones."""
        match = self.rule.match
        return replace(self.rule, match=replace(match, after_seconds=match.after_seconds + self.armed_after))

    @property
    def is_of_webhooks(self) -> bool:
        """Whether it is done to webhooks as they leave, not to a call: it says nothing of calls, and needs none."""
        match = self.rule.match
        if match.operation is not None or match.header or match.body:
            return False
        return all(isinstance(each, WebhookFault) and not isinstance(each, BeforeResponse) for each in self.rule.faults)


class MatchedFaults(NamedTuple):
    """An armed fault that speaks to a call."""

    id: str
    faults: tuple[Fault, ...]


@dataclass(slots=True)
class ArmedFaults:
    """The armed faults of one sandbox, from an instant on. All that speak to a call are done to it."""

    since: datetime
    faults: tuple[ArmedFault, ...] = ()
    calls: RuleState = field(init=False)
    webhooks: RuleState = field(init=False)

    def __post_init__(self) -> None:
        self.calls = RuleState("armed", tuple(each.timed_rule for each in self.request_faults))
        self.webhooks = RuleState("armed webhook", tuple(each.timed_rule for each in self.webhook_faults))

    def with_more(self, *added: ArmedFault) -> ArmedFaults:
        """Return these faults and others; those that were armed go on counting."""
        return self._changed((*self.faults, *added))

    def without(self, *ids: str) -> ArmedFaults:
        """Return these faults but for some; the others go on counting."""
        return self._changed(tuple(each for each in self.faults if each.id not in ids))

    def _changed(self, faults: tuple[ArmedFault, ...]) -> ArmedFaults:
        changed = ArmedFaults(self.since, faults)
        for before, own, now, kept in (
            (self.calls, self.request_faults, changed.calls, changed.request_faults),
            (self.webhooks, self.webhook_faults, changed.webhooks, changed.webhook_faults),
        ):
            places = {each.id: index for index, each in enumerate(own)}
            for index, each in enumerate(kept):
                if (place := places.get(each.id)) is not None:
                    now.matched_counts[index] = before.matched_counts[place]
                    now.applied_counts[index] = before.applied_counts[place]
                    if place in before.first_ages:
                        now.first_ages[index] = before.first_ages[place]
        return changed

    @property
    def request_faults(self) -> list[ArmedFault]:
        """Those that are done to calls."""
        return [each for each in self.faults if not each.is_of_webhooks]

    @property
    def webhook_faults(self) -> list[ArmedFault]:
        """Those that are done to webhooks as they leave."""
        return [each for each in self.faults if each.is_of_webhooks]

    def match_request(self, asked: RequestFacts, draw: Callable[..., float]) -> tuple[MatchedFaults, ...]:
        """Return what is done to this call, and count it."""
        of_calls = self.request_faults
        return tuple(
            MatchedFaults(of_calls[i].id, of_calls[i].rule.faults) for i in self.calls.all_matches(asked, draw)
        )

    def job_rule(self, matched: Iterable[MatchedFaults]) -> Rule | None:
        """Return the first of these that says how the submitted job runs."""
        ids = {each.id for each in matched}
        return next((each.rule for each in self.faults if each.id in ids and each.rule.job), None)

    def match_webhook(self, now: datetime, draw: Callable[..., float]) -> tuple[Fault, ...]:
        """Return what is done to a webhook that leaves now, and count it."""
        if not self.webhooks.rules:
            return ()
        asked = RequestFacts("", {}, None, self.age(now))
        of_webhooks = self.webhook_faults
        return sort_faults(each for i in self.webhooks.all_matches(asked, draw) for each in of_webhooks[i].rule.faults)

    def age(self, now: datetime) -> float:
        """Return how many seconds of the sandbox's clock they have been armed."""
        return (now - self.since).total_seconds()

    def status(self, now: datetime) -> list[tuple[ArmedFault, int, bool]]:
        """Return each with how often it has struck, and whether it may strike again: it has not healed."""
        of_calls, of_webhooks, age = count(), count(), self.age(now)
        found = []
        for each in self.faults:
            script, index = (self.webhooks, next(of_webhooks)) if each.is_of_webhooks else (self.calls, next(of_calls))
            found.append((each, script.applied_counts[index], not script.is_exhausted(index, age)))
        return found
