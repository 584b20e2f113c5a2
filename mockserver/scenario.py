"""The scenario language: what scripts the server, as typed nouns, and which rule speaks to which call.

How a file becomes a `Scenario` is in `scenario_file`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mockserver.timeline import Pace

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from mockserver.faults import Fault
    from mockserver.spec import RateLimit


@dataclass(frozen=True, slots=True)
class Account:
    """Who owns a key: the plan, the minutes already used this month and today, and whether the key is revoked."""

    plan: str = "pro"
    minutes_used: float = 0.0
    minutes_used_today: float = 0.0
    revoked: bool = False
    email: str | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Which ceilings hold; `rate` None means the spec's, and `is_rated` False that nothing is ever refused."""

    rate: RateLimit | None = None
    is_rated: bool = True
    quota: bool = True
    concurrency: bool = True


@dataclass(frozen=True, slots=True)
class Asked:
    """What a rule gets to see of a call; header names are in lower case, `body` is parsed JSON or None."""

    operation: str
    headers: Mapping[str, str]
    body: Any
    age: float
    """Seconds since the sandbox was opened, on its clock."""


@dataclass(frozen=True, slots=True)
class Match:
    """When a rule speaks. All that is given must hold; the counts are of the calls for which the rest holds.

    `nth`: only that call, from 1 · `every`: each so many calls · `after`: not the first so many calls, or not in
    the first so many seconds · `times`: at most so often.
    """

    operation: str | None = None
    header: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    nth: int | None = None
    every: int | None = None
    after: int = 0
    after_seconds: float = 0.0
    times: int | None = None

    def fits(self, asked: Asked) -> bool:
        """Say whether the call is of the kind that this rule counts."""
        return (
            self.operation in (None, asked.operation)
            and asked.age >= self.after_seconds
            and all(asked.headers.get(name.lower()) == value for name, value in self.header.items())
            and (not self.body or contains(asked.body, self.body))
        )

    def speaks(self, number: int) -> bool:
        """Say whether the rule speaks to the call of this number, from 1, among those that fit."""
        later = number - self.after
        if later < 1 or (self.nth is not None and later != self.nth):
            return False
        every = self.every or 1
        return later % every == 0 and (self.times is None or later // every <= self.times)


def contains(whole: object, part: object) -> bool:
    """Say whether `part` is in `whole`: objects by their keys, lists item by item, all else by equality."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(k in whole and contains(whole[k], v) for k, v in part.items())
    if isinstance(part, list):
        return isinstance(whole, list) and len(whole) == len(part) and all(map(contains, whole, part))
    return whole == part


@dataclass(frozen=True, slots=True)
class Respond:
    """What a rule answers in the API's place: an error by its code, or a status with a body of its own."""

    error: str | None = None
    text: str | None = None
    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the script: when it matches, it responds or does something to the call."""

    match: Match
    respond: Respond | None = None
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Scenario:
    """A script for the server: whose account it is, how jobs run, and which calls go otherwise."""

    name: str
    description: str = ""
    account: Account = Account()
    clock_start: datetime | None = None
    job: Pace = field(default_factory=Pace)
    rules: tuple[Rule, ...] = ()
    limits: Limits = Limits()
    keys: Mapping[str, Account] = field(default_factory=dict)
    webhooks: Mapping[str, Any] = field(default_factory=dict)
    behaviour: Mapping[str, Any] = field(default_factory=dict)
    """Nested switches that this scenario turns, as `behaviour.parse_behaviour` reads them; known to be valid."""


@dataclass(slots=True)
class Script:
    """The rules of one scenario in one sandbox, and how often each was met."""

    scenario: Scenario
    met: Counter[int] = field(default_factory=Counter)

    def rule_for(self, asked: Asked) -> Rule | None:
        """Return the first rule that speaks to this call; every rule that it fits counts it."""
        chosen: Rule | None = None
        for index, rule in enumerate(self.scenario.rules):
            if rule.match.fits(asked):
                self.met[index] += 1
                if chosen is None and rule.match.speaks(self.met[index]):
                    chosen = rule
        return chosen
