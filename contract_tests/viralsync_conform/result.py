"""What a run came to: all that a report tells, as plain values."""

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
    """A step of a journey that went otherwise on the mock: what only the target showed."""

    journey: str
    step: str
    target: str
    mock: str


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How much of what the target showed the mock shows too, step by step of the same journeys."""

    steps: int
    same: int
    differences: tuple[StepDifference, ...]

    @property
    def percent(self) -> float:
        """Of the steps, those that went alike."""
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


@dataclass(frozen=True)
class Result:
    """One finished run. `findings` are all of them; `verdict` counts those that the baseline does not know."""

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
