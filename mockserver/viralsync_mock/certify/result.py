"""What a trial of a client came to: checks, scenarios, the whole, and the exit code."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from viralsync_mock.certify.suite import Suite, Trial


class Outcome(StrEnum):
    """Of a check, and of a scenario: the worst of its checks, in this order."""

    ERROR = "error"
    FAILED = "failed"
    UNPROVEN = "unproven"
    EXPECTED = "expected"
    PASSED = "passed"


class Verdict(IntEnum):
    """What a run ends with: the exit code, as that of `conform`."""

    CERTIFIED = 0
    FAILED = 1
    INCONCLUSIVE = 3
    DIFFERS = 4


SENTENCES = {
    Verdict.CERTIFIED: "The client is well behaved, and has proved it.",
    Verdict.FAILED: "The client is not well behaved.",
    Verdict.INCONCLUSIVE: "Nothing failed, but the client has not proved everything.",
    Verdict.DIFFERS: "Nothing failed, but the list of expected failures is out of date.",
}


@dataclass(frozen=True)
class Check:
    """A rule of the verdict, or a check of the program itself; `shown` are lines about the calls that show it."""

    name: str
    outcome: Outcome
    reason: str
    shown: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrialResult:
    """One scenario: its checks, how the program ended, and the beginning and the end of its output.

    `exit_code` is None for a program that was stopped, or never started. `alone` says that the result is that of a
    second run with nothing beside it.
    """

    trial: Trial
    checks: tuple[Check, ...]
    exit_code: int | None = None
    seconds: float = 0.0
    output: str = ""
    calls: int = 0
    alone: bool = False

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of its checks."""
        outcomes = {each.outcome for each in self.checks}
        return next((each for each in Outcome if each in outcomes), Outcome.PASSED)

    def of(self, *outcomes: Outcome) -> list[Check]:
        return [each for each in self.checks if each.outcome in outcomes]

    def expecting(self, expected: Mapping[str, str]) -> TrialResult:
        return replace(self, checks=tuple(self._marked(each, expected) for each in self.checks))

    def _marked(self, check: Check, expected: Mapping[str, str]) -> Check:
        reason = expected.get(f"{self.trial.name}/{check.name}", expected.get(self.trial.name))
        if reason is None or check.outcome not in (Outcome.FAILED, Outcome.UNPROVEN):
            return check
        return replace(check, outcome=Outcome.EXPECTED, reason=f"{reason} ({check.reason})")


@dataclass(frozen=True)
class Proof:
    """What all scenarios together say about one rule: the names of those where it passed, failed or was not met."""

    rule: str
    occasion: str
    passed: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """What is known about the rule, in words."""
        if self.failed:
            return f"failed in {', '.join(self.failed)}"
        if self.passed:
            return f"passed in {', '.join(self.passed)}"
        return f"never met {self.occasion}: proved nothing about it"


@dataclass(frozen=True)
class Report:
    """A whole run of a suite."""

    command: str
    suite: Suite
    results: tuple[TrialResult, ...]
    started_at: datetime
    seconds: float
    version: str
    expected: Mapping[str, str] = field(default_factory=dict)

    def of(self, *outcomes: Outcome) -> list[TrialResult]:
        return [each for each in self.results if each.outcome in outcomes]

    @property
    def outdated(self) -> list[str]:
        """Expected failures that have passed."""
        met = {
            key
            for result in self.results
            for check in result.of(Outcome.EXPECTED)
            for key in (result.trial.name, f"{result.trial.name}/{check.name}")
        }
        return [key for key in self.expected if key not in met]

    @property
    def verdict(self) -> Verdict:
        """Failed before inconclusive before out of date."""
        outcomes = {each.outcome for each in self.results}
        if Outcome.FAILED in outcomes:
            return Verdict.FAILED
        if outcomes & {Outcome.ERROR, Outcome.UNPROVEN} or not outcomes:
            return Verdict.INCONCLUSIVE
        return Verdict.DIFFERS if self.outdated else Verdict.CERTIFIED

    def proofs(self) -> list[Proof]:
        """Return what is known about each rule that the suite brings into play."""
        rules = dict.fromkeys(rule for each in self.suite.trials for rule in each.rules)
        return [
            Proof(
                rule,
                self.suite.occasions.get(rule, "its situation"),
                tuple(self._where(rule, Outcome.PASSED)),
                tuple(self._where(rule, Outcome.FAILED)),
                tuple(self._where(rule, Outcome.UNPROVEN, Outcome.EXPECTED)),
            )
            for rule in rules
        ]

    def _where(self, rule: str, *outcomes: Outcome) -> Iterator[str]:
        for result in self.results:
            if any(each.name == rule for each in result.of(*outcomes)):
                yield result.trial.name
