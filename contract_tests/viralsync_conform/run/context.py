"""Everything that one run knows: what it may do, what it did, and what it found."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from viralsync_conform.budget import Budget, worst_case
from viralsync_conform.calls import Exchange
from viralsync_conform.contract.learned_behaviour import LearnedBehaviour
from viralsync_conform.contract.schemas import ACCOUNT, CREATES, ExpectedSpec
from viralsync_conform.findings import CATEGORY_OF_MARK, Category, Check, Finding, Findings
from viralsync_conform.ownership_guard import OwnershipGuard
from viralsync_conform.profiles import Profile
from viralsync_conform.run.request import Request
from viralsync_conform.target import Target


class StopJourneyError(Exception):
    """A journey cannot go on: what it needs did not come. What is to be said of that has been said."""


class StopRunError(Exception):
    """The run cannot go on: the target is away, or does not let us in."""


@dataclass
class RunContext:
    """One run against one target; everything mutable of it is here.

    `asserted` counts how often each check was made, `shared` holds what journeys share, `skipped` why a journey was
    not made. `listed` are the jobs that lists showed, each with the number of the first call. `excused` are the
    numbers of calls whose answers say nothing of the contract. `jobs` are those that it made on the account under
    test, `settled` those whose cost is known, `hung` those that stand still for ever, `unclean` those that it could
    not delete.
    `deadline` is an instant of `clocks.monotonic`, `notes` are what the report says beside the findings.
    `on_call` and `on_journey` are for whoever shows how far it has come.
    """

    target: Target
    assumed: ExpectedSpec
    profile: Profile
    budget: Budget
    seed: str
    is_strict: bool = False
    secret: str | None = None
    project: str | None = None
    deadline: float = math.inf
    notes: list[str] = field(default_factory=list)
    guard: OwnershipGuard = field(default_factory=OwnershipGuard)
    learned: LearnedBehaviour = field(default_factory=LearnedBehaviour)
    calls: list[Exchange] = field(default_factory=list)
    listed: dict[str, int] = field(default_factory=dict)
    asserted: Counter[Check] = field(default_factory=Counter)
    shared: dict[str, Any] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    jobs: dict[str, Any] = field(default_factory=dict)
    settled: set[str] = field(default_factory=set)
    hung: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    unclean: list[str] = field(default_factory=list)
    excused: set[int] = field(default_factory=set)
    on_call: Callable[[Exchange], None] = lambda _: None
    on_journey: Callable[[str], None] = lambda _: None

    def __post_init__(self) -> None:
        self.findings = Findings(self.is_strict)
        self._reading, self._read_at = self.assumed, 0

    @property
    def contract(self) -> ExpectedSpec:
        """The contract in the reading that was learned so far."""
        if self._read_at != len(self.learned.seen):  # what was learned once stays as it is
            self._reading = self.assumed.under_behaviour(self.learned.applied_to(self.assumed.behaviour))
            self._read_at = len(self.learned.seen)
        return self._reading

    def callback(self) -> dict[str, Any]:
        """Return where webhooks of a job are to go, as a part of a submission."""
        receiver = self.target.receiver
        return {"callbackUrl": receiver.url()} if receiver else {}

    def hidden_because(self, switch: str) -> str:
        """Return why a switch was not seen."""
        if not self.profile.renders:
            return f"profile {self.profile.name} only reads"
        if switch in {"errors.internal_error", "errors.service_unavailable"}:
            return "only a server that fails answers so"
        if switch == "webhook.timeout_seconds":
            return "a receiver would have to keep the target waiting for as long, in real time"
        if switch.startswith("webhook.") and self.target.receiver is None:
            return "it needs a place that webhooks reach: give one with --webhook-url"
        if not self.target.has_control:
            return "it needs an account whose limits may be used up, or whose clock can be moved"
        return "the journeys that show it were not made to their end"

    def cost_of(self, request: Request) -> float:
        """Return how many render minutes a request could cost at most: those of the job that it creates."""
        if self.contract.effect(request.operation) != CREATES:
            return 0.0
        again = self.jobs.get(next(iter(request.path_parameters.values()), ""))
        return float(again.minutes) if again is not None else worst_case(request.document)

    @property
    def plan(self) -> str | None:
        """The plan of the account under test, if it said."""
        plans = (call.document.get("plan") for call in self.calls if call.effect == ACCOUNT and call.is_success)
        return next((plan for plan in plans if isinstance(plan, str)), None)

    @property
    def project_id(self) -> str:
        """The project of everything that this run creates: one that exists, where the target was given one."""
        return self.project or f"proj_conform_{self.seed}"

    def check(
        self,
        check: Check,
        holds: bool,
        *calls: Exchange,
        expected: object = "",
        got: object = "",
        place: str = "",
        name: str = "",
        message: str = "",
        category: Category | None = None,
    ) -> bool:
        """Count a check; where it does not hold, put a finding into the category that goes with its mark."""
        self.asserted[check] += 1
        if not holds and not any(call.number in self.excused for call in calls):
            last = calls[-1] if calls else None
            finding = Finding(
                category=category or CATEGORY_OF_MARK[check.mark],
                check=check.name,
                message=message or check.statement,
                operation=last.operation if last else None,
                status=last.status if last else None,
                place=place,
                name=name,
                expected=str(expected),
                got=str(got),
                calls=tuple(call.number for call in calls),
                journey=last.journey if last else "",
                mark=check.mark,
                source=check.source,
            )
            self.findings.add(finding)
        return holds

    def mark_inconclusive(self, check: str, reason: str, *calls: Exchange, name: str = "") -> None:
        """Say that something could not be found out, and why."""
        last = calls[-1] if calls else None
        self.findings.add(
            Finding(
                Category.INCONCLUSIVE,
                check,
                reason,
                operation=last.operation if last else None,
                status=last.status if last else None,
                name=name,
                calls=tuple(call.number for call in calls),
                journey=last.journey if last else "",
            )
        )
