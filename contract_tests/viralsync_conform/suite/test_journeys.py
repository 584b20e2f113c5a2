"""One test for each journey: it fails by what the journey found first, with the calls that show it."""

from __future__ import annotations

import pytest

from viralsync_conform.findings import Category
from viralsync_conform.journeys import JOURNEYS
from viralsync_conform.journeys.whole_spec import explored
from viralsync_conform.reports.text import format_headline
from viralsync_conform.run.journey import Journey
from viralsync_conform.suite.session import Suite, of, parameters


@pytest.mark.parametrize("journey", parameters(each for each in JOURNEYS if each is not explored))
def test_journey(suite: Suite, journey: Journey) -> None:
    """What the journey states holds; `explored` has its own file."""
    reason = suite.reason_against(journey)
    if reason:
        pytest.skip(reason)
    outcome, found = suite.make(journey)
    failures = of(Category.FAILURE, found)
    if failures:
        pytest.fail(f"{journey.statement}\n\n{suite.text(failures)}", pytrace=False)
    unclear = of(Category.INCONCLUSIVE, found)
    if unclear or outcome.outcome in {"stopped", "away"}:
        pytest.skip(f"inconclusive: {'; '.join(map(format_headline, unclear)) or outcome.reason}")
