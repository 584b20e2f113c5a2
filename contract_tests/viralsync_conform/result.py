"""The result of a run as plain values: everything that the reports show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from viralsync_conform.budget import Budget
from viralsync_conform.calls import Exchange
from viralsync_conform.contract.learned_behaviour import LearnedBehaviour
from viralsync_conform.findings import Check, Finding, Verdict
from viralsync_mock.config.behaviour import BehaviourProfile


@dataclass(frozen=True, slots=True)
class JourneyOutcome:
    """How one journey went: `passed`, `found` something, `stopped` or was `skipped`, and why."""

    name: str
    statement: str
    outcome: str
    reason: str = ""
    seconds: float = 0.0
    requests: int = 0


@dataclass(frozen=True, slots=True)
class StepDifference:
    """A step of a journey that went differently on the mock."""

    journey: str
    step: str
    target: str
    mock: str


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How many steps of the same journeys went alike on the target and on the mock."""

    steps: int
    same: int
    differences: tuple[StepDifference, ...]

    @property
    def percent(self) -> float:
        """The share of the steps that went alike."""
        return 100.0 * self.same / self.steps if self.steps else 0.0


@dataclass(frozen=True, slots=True)
class CanaryOutcome:
    """Whether the same kit noticed a server with one deliberate deviation."""

    mutant: str
    statement: str
    is_caught: bool
    by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BaselineComparison:
    """What changed since an earlier run; keys are those of findings, and of switches."""

    new: tuple[Finding, ...]
    known: tuple[Finding, ...]
    gone: tuple[str, ...]
    switched: Mapping[str, tuple[object, object]]


@dataclass(frozen=True, slots=True)
class Night:
    """What is remembered of an earlier run; `findings` are the keys of those that were not inconclusive."""

    at: datetime
    target: str
    profile: str
    seed: str
    verdict: Verdict
    seconds: float
    checks: int
    requests: int
    findings: frozenset[tuple[str, ...]]


@dataclass(frozen=True)
class Result:
    """One finished run. `findings` are all of them; `verdict` counts those that the baseline does not know.

    `nights` are the earlier runs against the same target, oldest first; None if no history is kept.
    """

    target: str
    profile: str
    seed: str
    version: str
    is_mock: bool
    started_at: datetime
    seconds: float
    verdict: Verdict
    findings: tuple[Finding, ...]
    journeys: tuple[JourneyOutcome, ...]
    calls: tuple[Exchange, ...]
    asserted: Mapping[Check, int]
    believed: BehaviourProfile
    learned: LearnedBehaviour
    learned_profile: BehaviourProfile
    budget: Budget
    unclean: tuple[str, ...] = ()
    fidelity: Fidelity | None = None
    canary: CanaryOutcome | None = None
    baseline: BaselineComparison | None = None
    notes: tuple[str, ...] = field(default=())
    nights: tuple[Night, ...] | None = None
