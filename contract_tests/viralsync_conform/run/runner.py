"""Which journeys a run makes, and how it makes them: one after the other, each with what it may cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from viralsync_conform.budget import BudgetSpentError
from viralsync_conform.clocks import measured
from viralsync_conform.ownership_guard import ForeignIdError
from viralsync_conform.result import JourneyOutcome
from viralsync_conform.run.context import RunContext, StopJourneyError, StopRunError
from viralsync_conform.run.http_client import HttpClient, wait_for_rate
from viralsync_conform.run.journey import Journey
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_mock.errors import ControlError
from viralsync_mock.redaction import masked

ONE_SECOND_RENDER = 1 / 60


def skip_reason(run: RunContext, journey: Journey) -> str:
    """Return why a run does not make a journey; empty where it does."""
    target = run.target
    if journey.is_deep and not run.profile.explores:
        return f"profile {run.profile.name} does not go so deep"
    if (journey.renders or journey.writes or journey.needs_control) and not run.profile.renders:
        return f"profile {run.profile.name} only reads"
    if journey.needs_control and not target.has_control:
        return "it needs a mock: throwaway accounts, whose limits it may use up"
    if journey.is_real and target.has_control:
        return "throwaway accounts of a mock show more"
    if journey.needs_receiver and target.receiver is None:
        return "it needs a place that webhooks reach: give one with --webhook-url"
    if journey.requests > run.budget.requests_left:
        return f"it may make {journey.requests} requests, and {run.budget.requests_left} are left"
    if journey.renders and not run.shared and not run.budget.can_afford(ONE_SECOND_RENDER):
        return "no render minutes are left"
    return ""


def run_journeys(run: RunContext, client: HttpClient, journeys: Iterable[Journey]) -> Iterator[JourneyOutcome]:
    """Make the journeys that the run may make; one that cannot go on does not keep the others from going."""
    is_away = ""
    for journey in journeys:
        reason = is_away or skip_reason(run, journey)
        if reason:
            run.skipped.append((journey.name, reason))
            yield JourneyOutcome(journey.name, journey.statement, "skipped", reason)
            continue
        run.on_journey(journey.name)
        wait_for_rate(run, run.target.main, journey.requests)
        outcome = run_journey(run, client, journey)
        yield outcome
        if outcome.outcome == "away":
            is_away = outcome.reason


def run_journey(run: RunContext, client: HttpClient, journey: Journey) -> JourneyOutcome:
    """Make one journey and say how it went."""
    found, requests = len(run.findings), run.budget.requests
    outcome, reason = "passed", ""
    with measured() as taken:
        try:
            journey.function(JourneyContext(run, client, journey.name))
        except StopJourneyError as stop:
            outcome, reason = "stopped", str(stop)
        except StopRunError as stop:
            outcome, reason = "away", str(stop)
        except (BudgetSpentError, ForeignIdError) as wall:
            outcome, reason = "stopped", str(wall)
            run.mark_inconclusive("journey", f"{journey.name} was not made to its end: {wall}", name=journey.name)
        except ControlError as refusal:
            outcome, reason = "stopped", str(refusal)
            run.mark_inconclusive(
                "journey", f"{journey.name}: the mock's control API refused: {refusal}", name=journey.name
            )
        except Exception as bug:
            outcome, reason = "stopped", f"{type(bug).__name__}: {masked(str(bug))}"
            run.mark_inconclusive(
                "journey", f"{journey.name} met what the kit does not understand: {reason}", name=journey.name
            )
    if outcome == "passed" and len(run.findings) > found:
        outcome = "found"
    return JourneyOutcome(journey.name, journey.statement, outcome, reason, taken[0], run.budget.requests - requests)
