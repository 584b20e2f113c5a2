"""Schemathesis' engine within a run: what it finds, what it may not touch, and what it never sees."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest
from tests.support.fake_target import FakeClock

from viralsync_conform.budget import BudgetSpentError
from viralsync_conform.conformance import Options, open_run
from viralsync_conform.findings import Category
from viralsync_conform.fuzzing.engine import FuzzingBudget, explore
from viralsync_conform.fuzzing.recombination import is_answered, send_recombined
from viralsync_conform.fuzzing.results import add_findings
from viralsync_conform.mutants import BEHAVIOUR_MUTANTS, serving
from viralsync_conform.run.cleanup import clean
from viralsync_conform.run.context import RunContext
from viralsync_conform.run.http_client import HttpClient
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_mock.randomness import hexadecimal

pytestmark = pytest.mark.slow

KEY = f"vs_prod_{hexadecimal('exploration', length=32)}"
LITTLE = FuzzingBudget(inputs=2, walks=6, rounds=1)
"""Enough for every phase to have its turn; that it finds a way along every link is for the suite to show."""

JOB = {"kind": "movie", "projectId": "proj_of_others", "movie": {"scenes": [{"id": "only", "duration": 1}]}}


@contextmanager
def explorer(mutant: str = "", **options: int) -> Iterator[JourneyContext]:
    """Yield a context on a throwaway account of a mock, or of a mutant."""
    found = next((each for each in BEHAVIOUR_MUTANTS if each.name == mutant), None)
    with serving(found) as url, open_run(Options(target=url, profile="deep", key=KEY, **options)) as run:
        account = run.target.account("explorer", plan="enterprise", clock="auto")
        yield JourneyContext(run, HttpClient(run), "explored").as_account(account)


def failures(run: RunContext) -> set[tuple[str, str | None]]:
    return {(finding.check, finding.operation) for finding in run.findings if finding.category is Category.FAILURE}


def test_the_mock_keeps_every_check_of_every_phase() -> None:
    """Nothing is found, nothing is excused, and no call is made but through the run."""
    with explorer() as context:
        exploration = explore(context, LITTLE)
        add_findings(context.run, exploration)
        assert (exploration.unkept, exploration.troubles, failures(context.run)) == ([], [], set())
        assert set(exploration.phases.values()) == {"success"}
        assert len(exploration.calls) == len(context.run.calls) > 300


@pytest.mark.parametrize(
    ("mutant", "check", "category"),
    [
        ("accepts-fps-61", "negative_data_rejection", Category.FAILURE),
        ("wrong-method-without-allow", "unsupported_method", Category.DIFFERENCE),
        ("submit-render-job-without-key", "ignored_auth", Category.FAILURE),
    ],
)
def test_a_broken_check_lands_in_the_category_of_its_fact(mutant: str, check: str, category: Category) -> None:
    """Documented and broken is a failure, assumed and broken a difference, with the call that shows it."""
    with explorer(mutant) as context:
        exploration = explore(context, FuzzingBudget(inputs=1, walks=1, rounds=1))
        add_findings(context.run, exploration)
        found = [finding for finding in context.run.findings if finding.check == check]
        assert {finding.category for finding in found} == {category}
        assert all(finding.calls for finding in found)


def test_what_the_run_judged_itself_is_not_told_twice() -> None:
    """Schemathesis sees a broken body as well, but only the run knows how well each part of it is known."""
    with explorer("errors-without-code") as context:
        exploration = explore(context, FuzzingBudget(inputs=1, walks=1, rounds=1))
        add_findings(context.run, exploration)
        assert "response_schema_conformance" in {each.check for each in exploration.unkept}
        assert "response_schema_conformance" not in {finding.check for finding in context.run.findings}
        assert ("schema", "submitRenderJob") in failures(context.run)


def test_on_an_account_with_other_jobs_nothing_foreign_is_touched() -> None:
    """Five jobs that were there before are there afterwards, untouched, and none of the run is left."""
    with serving(None, is_rate_limited=False) as url, _owner(url) as owner:
        owner.patch("/__mock/clock", json={"mode": "auto"})
        foreign = sorted(owner.post("/v1/render/jobs", json=JOB).json()["jobId"] for _ in range(3))
        options = Options(target=url, profile="deep", key=KEY, uses_control=False, clock=FakeClock())
        with open_run(options) as run:
            context = JourneyContext(run, HttpClient(run), "explored")
            exploration = explore(context, LITTLE)
            clean(run, context.client)
        left = sorted(job["jobId"] for job in owner.get("/v1/jobs").json()["jobs"])
    assert left == foreign
    assert (exploration.unkept, run.unclean) == ([], [])
    assert run.jobs, "the run made no job at all"


def _owner(url: str) -> httpx2.Client:
    return httpx2.Client(base_url=url, headers={"x-api-key": KEY}, verify=False)


def test_the_budget_stops_the_engine() -> None:
    """Not one call more is made than may be made, and whoever asked learns why it ended."""
    with explorer(max_requests=40) as context:
        with pytest.raises(BudgetSpentError, match="40 of 40 requests"):
            explore(context, LITTLE)
        assert len(context.run.calls) == 40


def test_calls_are_put_together_from_parts_of_others() -> None:
    """What comes of it is always the same, and always answered."""
    with explorer() as context:
        made_up = [context.call("getMe", 200), context.call("listJobs", 400, query={"limit": "x"}, content=b"{")]
        crossed = send_recombined(context, made_up, 20)
    assert all(map(is_answered, crossed))
    assert {(call.method, call.url) for call in crossed} == {
        ("GET", path + query) for path in ("/v1/me", "/v1/jobs") for query in ("", "?limit=x")
    }
