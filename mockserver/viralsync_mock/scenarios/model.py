"""The scenario language: what scripts the server, as typed nouns, and which rule speaks to which call.

How a file becomes a `Scenario` is in `scenario_file`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from viralsync_mock.jobs.timeline import JobTimings
from viralsync_mock.scenarios.body_match import mismatches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from viralsync_mock.faults.http import Fault
    from viralsync_mock.openapi.spec import RateLimit


MAX_REASONS = 5
"""How many places of a body are named that kept a rule from matching."""


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
class RequestFacts:
    """What a rule gets to see of a call; header names are in lower case, `body` is parsed JSON or None."""

    operation: str
    headers: Mapping[str, str]
    body: Any
    age: float
    """Seconds since the sandbox was opened, on its clock."""


@dataclass(frozen=True, slots=True)
class Match:
    """When a rule speaks. All that is given must hold; the counts are of the calls for which the rest holds.

    `nth`: only that call, from 1 · `every`: every nth call · `after`: not the first n calls, or not in the first
    seconds · `duration`: only for these seconds from then on, or, if it `is_from_first`, from the first call that the
    rule applied to · `times`: at most so often · `probability`: of the rest, this share, drawn from the seed.
    """

    operation: str | None = None
    header: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    nth: int | None = None
    every: int | None = None
    after: int = 0
    after_seconds: float = 0.0
    duration: float | None = None
    is_from_first: bool = False
    times: int | None = None
    probability: float | None = None

    def matches(self, asked: RequestFacts) -> bool:
        """Say whether the call is of the kind that this rule counts."""
        return (
            self.operation in (None, asked.operation)
            and self.is_active_at(asked.age)
            and all(asked.headers.get(name.lower()) == value for name, value in self.header.items())
            and (not self.body or not any(mismatches(asked.body, self.body)))
        )

    def is_active_at(self, age: float) -> bool:
        """Say whether the rule is in force this many seconds after the sandbox was opened."""
        if self.duration is None or self.is_from_first:
            return age >= self.after_seconds
        return self.after_seconds <= age < self.after_seconds + self.duration

    def matches_count(self, number: int) -> bool:
        """Say whether it is the turn of the call of this number, from 1, among those that fit."""
        later = number - self.after
        return later >= 1 and self.nth in (None, later) and later % (self.every or 1) == 0

    def mismatches(self, asked: RequestFacts) -> list[str]:
        """Return what keeps the call from fitting, each as `what: expected …, got …`."""
        found = (
            [] if self.operation in (None, asked.operation) else [_miss("operation", self.operation, asked.operation)]
        )
        if not self.is_active_at(asked.age):
            end = (
                "on" if self.duration is None or self.is_from_first else f"to {self.after_seconds + self.duration:g} s"
            )
            span = f"from {self.after_seconds:g} s {end}"
            found.append(f"time: expected a call {span} of the sandbox's life, got one at {asked.age:g} s")
        for name, value in self.header.items():
            if (got := asked.headers.get(name.lower())) != value:
                found.append(_miss(f"header {name}", value, got))
        found += (
            [f"body: {each}" for each in islice(mismatches(asked.body, self.body), MAX_REASONS)] if self.body else []
        )
        return found


def _miss(what: str, expected: object, got: object) -> str:
    return f"{what}: expected {expected}, got {'nothing' if got is None else got}"


@dataclass(frozen=True, slots=True)
class Respond:
    """What a rule answers in the API's place: an error by its code, or a status with a body of its own.

    A body with a `content_type` is sent as it is, any other as JSON.
    """

    error: str | None = None
    text: str | None = None
    status: int = 200
    body: Any = None
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the script: when it matches, it responds, does something to the call, or says how the job runs."""

    match: Match
    respond: Respond | None = None
    faults: tuple[Fault, ...] = ()
    job: Mapping[str, Any] | None = None
    """The fields of `JobTimings` that hold for the submitted job instead of the scenario's."""
    job_document: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """`job` as it is written."""


@dataclass(frozen=True, slots=True)
class Webhooks:
    """The secret that signs webhooks, and what goes wrong with each of them on its way."""

    secret: str = "whsec_viralsync_mock"  # noqa: S105 - not a secret: docs/webhooks.md tells it to everyone
    deliver: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Scenario:
    """A script for the server: the account, how jobs run, and the rules for calls."""

    name: str
    description: str = ""
    account: Account = Account()
    clock_start: datetime | None = None
    job: JobTimings = field(default_factory=JobTimings)
    rules: tuple[Rule, ...] = ()
    limits: Limits = Limits()
    keys: Mapping[str, Account] = field(default_factory=dict)
    webhooks: Webhooks = Webhooks()
    behaviour: Mapping[str, Any] = field(default_factory=dict)
    """Nested switches that this scenario turns, as `behaviour.parse_behaviour` reads them; known to be valid."""
    document: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The scenario as it is written."""
    files: tuple[Path, ...] = field(default=(), repr=False, compare=False)
    """The files whose text its rules respond with."""


def with_job(scenario: Scenario, rule: Rule) -> Scenario:
    """Return the scenario of a job that a rule has matched: with what the rule says of jobs."""
    document = {**scenario.document, "job": {**scenario.document.get("job", {}), **rule.job_document}}
    return replace(scenario, job=replace(scenario.job, **(rule.job or {})), document=document)


class NearMiss(NamedTuple):
    """A rule that did not speak, by its number from 1, and what kept it from it."""

    number: int
    reasons: tuple[str, ...]


class RuleMatch(NamedTuple):
    """The rule that speaks to a call with its number from 1, and the one that came nearest of those that do not."""

    rule: Rule | None = None
    number: int = 0
    near_miss: NearMiss | None = None


NO_MATCH = RuleMatch()
"""What a script without rules has to say."""


@dataclass(slots=True)
class RuleState:
    """Rules in one sandbox, with how often each fitted a call and how often it spoke.

    `name` is the purpose of the draws: two scripts draw independently of each other.
    """

    name: str
    rules: tuple[Rule, ...]
    matched_counts: Counter[int] = field(default_factory=Counter)
    applied_counts: Counter[int] = field(default_factory=Counter)
    first_ages: dict[int, float] = field(default_factory=dict)
    """When each rule was first applied, in seconds as `RequestFacts.age` counts them."""

    def first_match(self, asked: RequestFacts, draw: Callable[..., float]) -> RuleMatch:
        """Return the first rule that speaks to this call; every rule that it fits counts it."""
        speaking: int | None = None
        misses: list[NearMiss] = []
        for index, rule in enumerate(self.rules):
            if reasons := self._reasons(index, rule.match, asked, draw):
                misses.append(NearMiss(index + 1, tuple(reasons)))
            elif speaking is None:
                speaking = index
        nearest = min(misses, key=lambda miss: self._distance(miss, asked), default=None)
        if speaking is None:
            return RuleMatch(near_miss=nearest)
        return RuleMatch(self.rules[speaking], speaking + 1, nearest)

    def all_matches(self, asked: RequestFacts, draw: Callable[..., float]) -> Iterator[int]:
        """Yield the index of every rule that speaks to this call, and count it."""
        for index, rule in enumerate(self.rules):
            if not self._reasons(index, rule.match, asked, draw):
                yield index

    def _distance(self, miss: NearMiss, asked: RequestFacts) -> tuple[bool, bool, int]:
        """Return how far a rule was from speaking: one for other operations farthest, one that fits the call least."""
        match = self.rules[miss.number - 1].match
        return match.operation not in (None, asked.operation), not match.matches(asked), len(miss.reasons)

    def is_exhausted(self, index: int, age: float) -> bool:
        """Say whether a rule will speak no more, whatever comes."""
        match = self.rules[index].match
        since = self.first_ages.get(index) if match.is_from_first else match.after_seconds
        is_past = match.duration is not None and since is not None and age >= since + match.duration
        is_told = match.nth is not None and self.matched_counts[index] >= match.after + match.nth
        return is_past or is_told or (match.times is not None and self.applied_counts[index] >= match.times)

    def _reasons(self, index: int, match: Match, asked: RequestFacts, draw: Callable[..., float]) -> list[str]:
        """Count the call; return why the rule does not speak to it: nothing when it does."""
        if not match.matches(asked):
            return match.mismatches(asked)
        self.matched_counts[index] += 1
        number = self.matched_counts[index]
        if not match.matches_count(number):
            return [f"count: this is call {number} of those that fit, and not its turn"]
        if match.probability is not None and draw("rule", self.name, index, number) >= match.probability:
            return [f"probability: the draw for call {number} was not among the {match.probability:.0%}"]
        if match.times is not None and self.applied_counts[index] >= match.times:
            return [f"times: all {match.times} are used up"]
        first = self.first_ages.setdefault(index, asked.age)
        if match.is_from_first and match.duration is not None and asked.age >= first + match.duration:
            return [f"time: expected a call within {match.duration:g} s of the first, at {first:g} s"]
        self.applied_counts[index] += 1
        return []
