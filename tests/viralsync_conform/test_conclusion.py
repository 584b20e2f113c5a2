"""What a finished run comes to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.support.fake_target import Api, run_of
from tests.support.results import call

from viralsync_conform.baseline import Baseline
from viralsync_conform.conclusion import build_result
from viralsync_conform.contract.learned_behaviour import all_switches
from viralsync_conform.findings import Category, Finding, Verdict
from viralsync_conform.mock_comparison import Trace, trace_of
from viralsync_conform.result import CanaryOutcome, Result
from viralsync_conform.run.context import RunContext
from viralsync_mock.clock import EPOCH
from viralsync_mock.config.behaviour import BehaviourProfile

FOUND = Finding(Category.FAILURE, "schema", "odd", "getMe", 200, "/plan", "type", calls=(1,))


def end(
    run: RunContext,
    *,
    reference: Trace | None = None,
    canary: CanaryOutcome | None = None,
    baseline: Baseline | None = None,
) -> Result:
    return build_result(run, "https://api.example", EPOCH, 1.5, (), reference, canary, baseline)


def told(result: Result, check: str) -> list[Finding]:
    return [finding for finding in result.findings if finding.check == check]


def test_a_run_that_saw_nothing_is_inconclusive() -> None:
    """An empty green is none: everything that was not seen is told."""
    result = end(run_of(Api()))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert {finding.name for finding in told(result, "completeness")} >= {"getMe", "listJobs", "stream", "done"}


def test_a_failure_outweighs_what_is_missing() -> None:
    """A broken contract is broken, however little was seen."""
    run = run_of(Api())
    run.findings.add(FOUND)
    assert end(run).verdict is Verdict.BROKEN


def test_what_was_learned_otherwise_differs_once() -> None:
    """A switch elsewhere, in several positions, or in one that no profile has: each is a difference with its calls."""
    run = run_of(Api())
    run.learned.learn("list.key", "items", call(3))
    run.learned.learn("sse.payload", "webhook", call(4))
    run.learned.learn("sse.payload", "job", call(5))
    run.learned.learn("job.type", "film", call(6))
    run.learned.learn("job.executing_status", "waiting", call(7))
    result = end(run)
    assert [(each.category, each.place, each.got, each.calls) for each in told(result, "learned")] == [
        ("difference", "list.key", "items", (3,)),
        ("difference", "sse.payload", "several", (4, 5)),
        ("difference", "job.type", "film", (6,)),
    ]
    assert result.learned_profile == BehaviourProfile(list_key="items")
    assert result.believed == BehaviourProfile()


def test_every_switch_was_seen_or_has_a_reason() -> None:
    """What cannot be observed is listed with why."""
    run = run_of(Api())
    run.learned.learn("list.key", "jobs")
    learned = end(run).learned
    assert set(all_switches()) <= learned.seen.keys() | learned.hidden.keys()
    assert "list.key" not in learned.hidden


def test_positions_are_told_as_yaml_writes_them() -> None:
    """`true` and `null`, so that a sentence can be copied into a profile."""
    run = run_of(Api())
    run.learned.learn("list.includes_children", True)
    run.learned.learn("sse.keep_alive_seconds", None)
    messages = [finding.message for finding in told(end(run), "learned")]
    assert messages == [
        "list.includes_children is true here, and false in the profile",
        "sse.keep_alive_seconds is null here, and 15 in the profile",
    ]


def test_what_was_left_on_the_account_is_told() -> None:
    """A run that could not clean up is never green."""
    run = run_of(Api())
    run.unclean = ["job_1", "job_2"]
    (finding,) = told(end(run), "clean_up")
    assert (finding.category, finding.message) == ("inconclusive", "still on the account: job_1, job_2")


def test_a_canary_that_nobody_noticed_makes_the_night_inconclusive() -> None:
    """A kit that does not see a wrong server cannot say that this one is right; one that sees it says nothing."""
    canary = CanaryOutcome("progress_falls", "Progress goes back once.", False, ())
    (finding,) = told(end(run_of(Api()), canary=canary), "canary")
    assert (finding.category, finding.name) == ("inconclusive", "progress_falls")
    noticed = CanaryOutcome("progress_falls", "Progress goes back once.", True, ("progress",))
    assert told(end(run_of(Api()), canary=noticed), "canary") == []


def travelled(*calls: Any, findings: Sequence[Finding] = ()) -> RunContext:
    run = run_of(Api())
    run.calls[:] = calls
    for finding in findings:
        run.findings.add(finding)
    return run


def test_a_step_that_the_mock_does_otherwise_is_a_difference() -> None:
    """The oracle: what no law covers is noticed because the mock does it otherwise."""
    reference = trace_of([call(1, "getMe", {"plan": "pro"})], with_lists=False)
    result = end(travelled(call(1, "getMe", {"plan": "pro", "beta": True})), reference=reference)
    (finding,) = told(result, "fidelity")
    assert (finding.category, finding.place, finding.operation, finding.calls) == (
        "difference", "life_by_polling/poll", "getMe", (1,),
    )  # fmt: skip
    assert result.fidelity is not None
    assert result.fidelity.percent == 0.0


def test_a_step_that_something_else_explains_is_not_told_twice() -> None:
    """A call that is in a finding needs no second one, and its step is left out of the percentage."""
    reference = trace_of([call(1, "getMe", {"plan": "pro"})], with_lists=False)
    result = end(travelled(call(1, "getMe", {"plan": 3}), findings=[FOUND]), reference=reference)
    assert told(result, "fidelity") == []
    assert result.fidelity is not None
    assert (result.fidelity.steps, result.fidelity.differences) == (0, ())


def test_what_is_not_documented_is_not_compared() -> None:
    """Any server may answer more than the documentation says: the mock need not."""
    addition = Finding(
        Category.ADDITIVE, "schema", "`beta` is new", operation="getMe", status=200, name="beta", calls=(1,)
    )
    reference = trace_of([call(1, "getMe", {"plan": "pro"})], with_lists=False)
    answered = call(1, "getMe", {"plan": "pro", "beta": {"x": 1}})
    result = end(travelled(answered, findings=[addition]), reference=reference)
    assert result.fidelity is not None
    assert (result.fidelity.steps, result.fidelity.same) == (1, 1)


def test_with_a_baseline_only_what_changed_counts() -> None:
    """What an earlier run found as well is no news; all findings stay in the result."""
    run = travelled(findings=[FOUND])
    baseline = Baseline(frozenset({FOUND.key}), {})
    result = end(run, baseline=baseline)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert FOUND in result.findings
    assert result.baseline is not None
    assert result.baseline.known == (FOUND,)
