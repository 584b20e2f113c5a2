"""One conformance run for a whole session of pytest, journey by journey."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from viralsync_conform.conclusion import add_learned_differences
from viralsync_conform.conformance import MOCK, Options, open_run
from viralsync_conform.findings import Category, Finding
from viralsync_conform.reports.text import format_findings
from viralsync_conform.result import JourneyOutcome
from viralsync_conform.run.cleanup import clean
from viralsync_conform.run.context import RunContext
from viralsync_conform.run.http_client import HttpClient
from viralsync_conform.run.journey import Journey
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.run.runner import run_journeys, skip_reason
from viralsync_mock.redaction import masked, sanitised

INCONCLUSIVE = 30
"""The exit status of a session in which nothing failed and something is inconclusive; pytest's own end at 5."""

DEFAULT_PROFILES = {True: "deep", False: "nightly"}
"""By whether the target is the suite's own mock, which costs nothing."""

MARKERS = (
    "renders: submits jobs on the account under test, which cost render minutes",
    "requests_heavy: makes as many requests as the rate limit allows, or more",
    "needs_control: needs a mock, which lends throwaway accounts and moves their clocks",
    "needs_receiver: needs a place that webhooks reach",
)


@dataclass
class Suite:
    """One run in progress. `settled` are the journeys that were made, or skipped for a reason."""

    run: RunContext
    client: HttpClient
    settled: set[str] = field(default_factory=set)
    unreachable_reason: str = ""

    @property
    def base(self) -> str:
        """Where calls can be made again."""
        return self.run.target.base_url

    def reason_against(self, journey: Journey) -> str:
        """Return why a journey is not made; empty where it is."""
        reason = self.unreachable_reason or skip_reason(self.run, journey)
        if reason:
            self.settled.add(journey.name)
        return reason

    def make(self, journey: Journey) -> tuple[JourneyOutcome, list[Finding]]:
        """Make a journey; return how it went, and what it found that was not found before."""
        known = {finding.key for finding in self.run.findings}
        (outcome,) = run_journeys(self.run, self.client, [journey])
        self.settled.add(journey.name)
        if outcome.outcome == "away":
            self.unreachable_reason = f"the target is away since {journey.name}: {outcome.reason}"
        return outcome, self.since(known)

    def since(self, known: set[tuple[str, ...]]) -> list[Finding]:
        """Return what was found that was not known."""
        return [finding for finding in self.run.findings if finding.key not in known]

    def context(self, name: str) -> JourneyContext:
        """Return a journey of another kind than the kit's own."""
        return JourneyContext(self.run, self.client, name)

    def clean(self) -> None:
        """Cancel and delete what the run made and is still there."""
        if any(job_id not in self.run.deleted for job_id in self.run.jobs):
            clean(self.run, self.client)

    def conclude(self) -> None:
        """Put what was learned and is otherwise than believed among the findings."""
        add_learned_differences(self.run)

    def text(self, findings: list[Finding]) -> str:
        """Return findings as text, with their evidence."""
        return format_findings(findings, self.run.calls, self.base)

    def hidden(self, text: str) -> str:
        """Return a text without the keys of this run and without control characters."""
        for account in (self.run.target.main, *self.run.target.opened.values()):
            text = masked(text, account.key)
        return sanitised(text)


@contextmanager
def opened(options: Options) -> Iterator[Suite]:
    """Yield a suite; what it made is cleaned up afterwards, whatever happened."""
    with open_run(options) as run:
        suite = Suite(run, HttpClient(run))
        try:
            yield suite
        finally:
            suite.clean()


def of(category: Category, findings: list[Finding]) -> list[Finding]:
    """Return the findings of a category."""
    return [finding for finding in findings if finding.category is category]


__all__ = ["DEFAULT_PROFILES", "MOCK", "Suite", "of", "opened"]


def marks_of(journey: Journey) -> list[pytest.MarkDecorator]:
    """Return the markers of a journey."""
    names = (line.partition(":")[0] for line in MARKERS)
    return [getattr(pytest.mark, name) for name in names if getattr(journey, name)]


def parameters(journeys: Iterable[Journey]) -> list[Any]:
    """Return journeys as the parameters of a test, each under its name and with its markers."""
    return [pytest.param(journey, id=journey.name, marks=marks_of(journey)) for journey in journeys]
