"""Whatever is sent, the server does not fail: ten thousand calls, made up by Schemathesis or of parts of such."""

from __future__ import annotations

import pytest

from viralsync_conform.fuzzing.recombination import is_answered, send_recombined
from viralsync_conform.fuzzing.results import FuzzingResult
from viralsync_conform.journeys.whole_spec import EXPLORATION
from viralsync_conform.suite.session import Suite

GENERATED_CALLS = 10_000


@pytest.mark.needs_control
@pytest.mark.requests_heavy
def test_ten_thousand_calls_without_a_5xx(suite: Suite) -> None:
    """Each gets an answer, and none is a 5xx."""
    exploration = suite.run.shared.get(EXPLORATION)
    if not suite.run.target.has_control:
        pytest.skip("it needs a mock: throwaway accounts, whose limits it may use up")
    if not isinstance(exploration, FuzzingResult):
        pytest.skip("it needs the calls that test_schemathesis.py makes up")
    missing, left = GENERATED_CALLS - len(exploration.calls), suite.run.budget.requests_left
    if missing > left:
        pytest.skip(f"it may make {missing} requests, and {left} are left")
    account = suite.run.target.account("crossed", plan="enterprise")
    crossed = send_recombined(suite.context("crossed").as_account(account), exploration.calls, missing)
    failed = [call for call in (*exploration.calls, *crossed) if not is_answered(call)]
    assert (len(exploration.calls) + len(crossed), failed[:5]) == (GENERATED_CALLS, [])
