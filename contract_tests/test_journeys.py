"""One test for each journey: it fails by what the journey found first, with the calls that show it."""

from __future__ import annotations

import pytest

from contract_tests.journey import Journey
from contract_tests.journeys import JOURNEYS
from contract_tests.journeys.exploring import explored
from contract_tests.markers import parameters
from contract_tests.suite import Suite, of
from contract_tests.telling import headline
from contract_tests.verdicts import Drawer


@pytest.mark.parametrize("journey", parameters(each for each in JOURNEYS if each is not explored))
def test_journey(suite: Suite, journey: Journey) -> None:
    """What the journey tells of the target holds; `explored` has a file of its own."""
    reason = suite.reason_against(journey)
    if reason:
        pytest.skip(reason)
    outcome, found = suite.make(journey)
    failures = of(Drawer.FAILURE, found)
    if failures:
        pytest.fail(f"{journey.statement}\n\n{suite.text(failures)}", pytrace=False)
    unclear = of(Drawer.INCONCLUSIVE, found)
    if unclear or outcome.outcome in {"stopped", "away"}:
        pytest.skip(f"inconclusive: {'; '.join(map(headline, unclear)) or outcome.reason}")
