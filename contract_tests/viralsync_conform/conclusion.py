"""The result of a finished run: what was missing, what was learned, how alike the mock is, what the baseline knows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version

from viralsync_conform import completeness
from viralsync_conform.baseline import Baseline, compare
from viralsync_conform.contract.learned_behaviour import all_switches
from viralsync_conform.findings import Category, Finding, Provenance, verdict_of
from viralsync_conform.mock_comparison import Trace, compared, trace_of
from viralsync_conform.result import CanaryOutcome, Fidelity, JourneyOutcome, Result, StepDifference
from viralsync_conform.run.context import RunContext

NO_CANARY = "the kit did not notice a server that is wrong on purpose"


def build_result(
    run: RunContext,
    target: str,
    started_at: datetime,
    seconds: float,
    outcomes: Sequence[JourneyOutcome],
    reference: Trace | None,
    canary: CanaryOutcome | None,
    baseline: Baseline | None,
) -> Result:
    """Return the result of a run that has made its journeys and cleaned up."""
    add_learned_differences(run)
    _add_inconclusive(run, canary)
    fidelity = None if reference is None else _fidelity(run, reference)
    findings = tuple(run.findings)
    comparison = compare(baseline, findings, run.learned) if baseline else None
    return Result(
        target=target,
        profile=run.profile.name,
        seed=run.seed,
        version=version("viralsync-mock"),
        is_mock=run.target.has_control,
        started_at=started_at,
        seconds=seconds,
        verdict=verdict_of(comparison.new if comparison else findings),
        findings=findings,
        journeys=tuple(outcomes),
        calls=tuple(run.calls),
        asserted=dict(run.asserted),
        believed=run.assumed.behaviour,
        learned=run.learned,
        learned_profile=run.learned.applied_to(run.assumed.behaviour),
        budget=run.budget,
        unclean=tuple(run.unclean),
        fidelity=fidelity,
        canary=canary,
        baseline=comparison,
        notes=tuple(run.notes),
    )


def add_learned_differences(run: RunContext) -> None:
    """Add a difference for each switch that was learned in another position than assumed, or in none or several."""
    for switch in (*all_switches(), *_assumed_codes(run)):
        run.learned.mark_unobservable(switch, run.hidden_because(switch))
    for switch, (believed, seen) in run.learned.differences(run.assumed.behaviour).items():
        text = f"{switch} is {_visible(seen)} here, and {_visible(believed)} in the profile"
        _differs(run, "learned", text, switch, seen, believed, run.learned.seen[switch].calls)
    for switch, seen in run.learned.contradictions.items():
        values = ", ".join(_visible(each.value) for each in seen)
        calls = tuple(number for each in seen for number in each.calls)
        _differs(run, "learned", f"{switch} is seen in several positions: {values}", switch, "several", None, calls)
    for switch, odd in run.learned.foreign.items():
        text = f"{switch} is {_visible(odd.value)} here, which the profile does not know"
        _differs(run, "learned", text, switch, odd.value, None, odd.calls)


def _add_inconclusive(run: RunContext, canary: CanaryOutcome | None) -> None:
    """Add what was not seen, jobs left behind and an unnoticed canary: a green run would claim too much."""
    for name, sentence in completeness.unmet_requirements(run):
        run.mark_inconclusive("completeness", sentence, name=name)
    if run.unclean:
        run.mark_inconclusive("clean_up", f"still on the account: {', '.join(run.unclean)}", name="jobs")
    if canary is not None and not canary.is_caught:
        run.mark_inconclusive("canary", f"{NO_CANARY}: {canary.statement}", name=canary.mutant)


def _assumed_codes(run: RunContext) -> list[str]:
    """Return the switches of error codes with assumed names; documented names cannot differ."""
    codes = run.contract.spec.errors
    return [f"errors.{code.lower()}" for code in codes if run.contract.mark_of_code(code) is Provenance.ASSUMED]


def _visible(value: object) -> str:
    """Return a position as YAML writes it."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _differs(
    run: RunContext, check: str, text: str, place: str, got: object, expected: object, calls: tuple[int, ...]
) -> None:
    run.findings.add(
        Finding(
            Category.DIFFERENCE,
            check,
            text,
            place=place,
            name=str(got),
            expected=_visible(expected),
            got=_visible(got),
            calls=calls,
        )
    )


def _fidelity(run: RunContext, reference: Trace) -> Fidelity:
    """Compare with the mock in what documentation lets two servers share.

    Additive fields are left out, and steps of which a finding says already what is different. Any other step that went
    otherwise is a difference.
    """
    has_control = run.target.has_control
    additive = run.findings.of(Category.ADDITIVE)
    additions = {(each.operation, each.status, each.name) for each in additive}
    fidelity = compared(trace_of(run.calls, with_lists=has_control, additions=additions), reference)
    explained = {number for finding in run.findings for number in finding.calls if finding not in additive}
    unexplained = []
    for difference in fidelity.differences:
        calls = [
            call.number
            for call in run.calls
            if (call.journey, call.step.removesuffix(" again")) == (difference.journey, difference.step)
        ]
        if not explained & set(calls):
            unexplained.append(difference)
            run.findings.add(_difference(run, difference, calls))
    aside = len(fidelity.differences) - len(unexplained)
    return Fidelity(fidelity.steps - aside, fidelity.same, tuple(unexplained))


def _difference(run: RunContext, difference: StepDifference, calls: Sequence[int]) -> Finding:
    return Finding(
        Category.DIFFERENCE,
        "fidelity",
        f"{difference.journey}, {difference.step}: the mock answers otherwise",
        operation=_operation(run, calls),
        place=f"{difference.journey}/{difference.step}",
        expected=difference.mock,
        got=difference.target,
        calls=tuple(calls[:5]),
        journey=difference.journey,
    )


def _operation(run: RunContext, calls: Sequence[int]) -> str | None:
    return run.calls[calls[0] - 1].operation if calls else None
