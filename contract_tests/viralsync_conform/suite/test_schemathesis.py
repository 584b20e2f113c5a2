"""The whole of Schemathesis: every phase, every built-in check, no excuses.

The engine runs in this process, all its calls go out through the run, and it never sees a key: see `gateway`. On a
mock it has throwaway accounts and does everything, cancelling and deleting included; on any other target only what
guard and budget allow. Its own warnings are held here as what they stand for: that valid calls were accepted at all,
that links were followed, that no answer was a 429.
"""

from __future__ import annotations

import pytest

from viralsync_conform.findings import Category, Finding
from viralsync_conform.fuzzing.results import PHASES, FuzzingResult
from viralsync_conform.journeys.whole_spec import EXPLORATION, explored
from viralsync_conform.reports.text import format_headline
from viralsync_conform.suite.session import Suite, marks_of, of

pytestmark = marks_of(explored)

CHECKS = frozenset(
    {
        "allow_header_conformance",
        "content_type_conformance",
        "ensure_resource_availability",
        "ignored_auth",
        "missing_required_header",
        "negative_data_rejection",
        "not_a_server_error",
        "object_level_authorization",
        "positive_data_acceptance",
        "response_headers_conformance",
        "response_schema_conformance",
        "status_code_conformance",
        "unsupported_method",
        "use_after_free",
    }
)


@pytest.fixture(scope="module")
def findings(suite: Suite) -> list[Finding]:
    """Let the engine explore the target, once, and return what it found that no journey had found."""
    reason = suite.reason_against(explored)
    if reason:
        pytest.skip(reason)
    return suite.make(explored)[1]


@pytest.fixture
def exploration(suite: Suite, findings: list[Finding]) -> FuzzingResult:
    """Return what the engine did; the test is skipped where it was stopped before its end."""
    found = suite.run.shared.get(EXPLORATION)
    if not isinstance(found, FuzzingResult):
        unclear = of(Category.INCONCLUSIVE, findings)
        pytest.skip(
            f"inconclusive: {'; '.join(map(format_headline, unclear)) or suite.unreachable_reason or 'it was stopped'}"
        )
    return found


@pytest.mark.parametrize("phase", PHASES)
def test_phase_finds_nothing(suite: Suite, findings: list[Finding], exploration: FuzzingResult, phase: str) -> None:
    """Whatever a phase makes up is answered as the spec says."""
    numbers = {call.number for call in exploration.of(phase)}
    failures = [finding for finding in of(Category.FAILURE, findings) if numbers & set(finding.calls)]
    if failures:
        pytest.fail(suite.text(failures), pytrace=False)
    assert numbers, f"phase {phase} made no call"


def test_no_check_is_excused(suite: Suite, exploration: FuzzingResult) -> None:
    """Every check that Schemathesis has was asked; a mock keeps all of them, whatever is assumed and whatever known."""
    from schemathesis import checks

    assert set(checks.CHECKS.get_all_names()) == CHECKS == set(exploration.asked)
    broken = [f"{each.check}: {each.operation}, call {each.call}: {each.message}" for each in exploration.unkept]
    if suite.run.target.has_control and broken:
        pytest.fail("\n".join(broken[:10]), pytrace=False)


def test_green_is_not_empty(exploration: FuzzingResult) -> None:
    """Each operation accepted valid calls, each link led somewhere, no phase was cut short, nothing was limited."""
    empty = list(exploration.empty())
    if empty:
        pytest.skip(f"inconclusive: {'; '.join(empty)}")
