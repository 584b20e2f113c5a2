"""Which journeys a run makes, and what it makes of what happens on the way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.fake_target import KEY, Api, refusal, run_of

from viralsync_conform.budget import Budget, BudgetSpentError
from viralsync_conform.ownership_guard import ForeignIdError
from viralsync_conform.result import JourneyOutcome
from viralsync_conform.run.context import RunContext, StopRunError
from viralsync_conform.run.http_client import HttpClient
from viralsync_conform.run.journey import Journey, journey
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.run.runner import run_journeys, skip_reason
from viralsync_mock.errors import ControlError


@journey("reading", "Reads the account.", 2)
def reading(context: JourneyContext) -> None:
    context.call("getMe", 200)


def raising(error: BaseException) -> Journey:
    def broken(context: JourneyContext) -> None:  # noqa: ARG001 - a journey has a context
        raise error

    return journey("broken", "Breaks off.", 1)(broken)


def outcomes(run: RunContext, *journeys: Journey) -> list[JourneyOutcome]:
    return list(run_journeys(run, HttpClient(run), journeys))


def test_a_journey_says_what_it_is_called_and_what_it_shows() -> None:
    """Name and statement are given, and are what a report shows."""
    assert (reading.name, reading.statement, reading.requests) == ("reading", "Reads the account.", 2)


def test_a_journey_that_finds_nothing_has_held() -> None:
    """Its requests are counted, and whoever watches is told of it."""
    seen: list[str] = []
    for outcome in outcomes(run_of(Api(), on_journey=seen.append), reading, reading):
        assert (outcome.outcome, outcome.requests, outcome.reason) == ("passed", 1, "")
    assert seen == ["reading", "reading"]


def test_a_journey_that_finds_something_says_so() -> None:
    """What was found before it is not its own."""
    run = run_of(Api({"GET /v1/me": [refusal(404, "NOT_FOUND")]}))
    assert [each.outcome for each in outcomes(run, reading, raising_nothing())] == ["found", "passed"]


def raising_nothing() -> Journey:
    def calm(context: JourneyContext) -> None:
        pass

    return journey("calm", "Does nothing.", 0)(calm)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (BudgetSpentError("nothing left"), "broken was not made to its end: nothing left"),
        (ForeignIdError("not ours"), "broken was not made to its end: not ours"),
        (ControlError("no such job"), "control API refused"),
        (ZeroDivisionError(f"with {KEY}"), "met what the kit does not understand: ZeroDivisionError: with vs_prod_***"),
    ],
)
def test_whatever_breaks_a_journey_is_inconclusive_and_keeps_no_other_from_going(error: Exception, told: str) -> None:
    """A wall, the guard, the control API and a bug of the kit end one journey: the next one is made."""
    run = run_of(Api())
    first, second = outcomes(run, raising(error), reading)
    assert (first.outcome, second.outcome) == ("stopped", "passed")
    (finding,) = run.findings
    assert finding.category == "inconclusive"
    assert told in finding.message
    assert KEY not in first.reason


def test_a_target_that_stays_away_ends_the_run() -> None:
    """All that would follow is left out, with the reason."""
    run = run_of(Api())
    first, second = outcomes(run, raising(StopRunError("the target stays away")), reading)
    assert (first.outcome, second.outcome, second.reason) == ("away", "skipped", "the target stays away")
    assert run.skipped == [("reading", "the target stays away")]


def test_an_interrupt_is_not_swallowed() -> None:
    """Ctrl-C ends the journeys: who called must clean up."""
    with pytest.raises(KeyboardInterrupt):
        outcomes(run_of(Api()), raising(KeyboardInterrupt()), reading)


@pytest.mark.parametrize(
    ("needs", "profile", "reason"),
    [
        ({"is_deep": True}, "nightly", "does not go so deep"),
        ({"renders": True}, "quick", "only reads"),
        ({"needs_control": True}, "nightly", "throwaway accounts"),
        ({"needs_receiver": True}, "nightly", "--webhook-url"),
        ({"requests": 500}, "nightly", "500 requests, and 399 are left"),
        ({"renders": True}, "nightly", ""),
        ({"is_deep": True}, "deep", ""),
        ({}, "quick", ""),
    ],
)
def test_a_journey_is_left_out_for_a_reason(needs: dict[str, Any], profile: str, reason: str) -> None:
    """What a profile, a target or the budget does not allow is told with what would allow it."""
    run = run_of(Api(), profile=profile)
    told = skip_reason(run, replace(reading, **needs))
    assert (reason in told) if reason else (told == "")


def test_without_render_minutes_nothing_is_rendered() -> None:
    """A run that may not spend a second leaves the renders out instead of running into the wall."""
    run = run_of(Api(), budget=Budget(99, 0.01))
    run.shared.clear()
    assert skip_reason(run, replace(reading, renders=True)) == "no render minutes are left"


def test_the_budget_of_a_journey_is_looked_at_when_its_turn_comes() -> None:
    """What the journeys before it used is gone."""
    run = run_of(Api(), budget=Budget(2, 0))
    assert [each.outcome for each in outcomes(run, reading, reading)] == ["passed", "skipped"]
