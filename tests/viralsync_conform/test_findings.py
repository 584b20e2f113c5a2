"""Findings, their categories, and the verdict that follows."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest

from viralsync_conform.findings import (
    CATEGORY_OF_MARK,
    SENTENCES,
    Category,
    Finding,
    Findings,
    Provenance,
    Verdict,
    verdict_of,
)

FINDING = Finding(Category.WARNING, "schema", "odd", "getJob", 200, "/progress", "type", "", calls=(1,))


def test_provenance_decides_the_category() -> None:
    """Documented facts fail, sampled ones warn, and assumptions only differ."""
    assert CATEGORY_OF_MARK == {
        Provenance.DOCUMENTED: Category.FAILURE,
        Provenance.SAMPLED: Category.WARNING,
        Provenance.ASSUMED: Category.DIFFERENCE,
    }


def test_the_worst_category_gives_the_verdict() -> None:
    """Broken goes before inconclusive, inconclusive before whatever else was found, and nothing conforms."""
    worst = {Category.FAILURE: Verdict.BROKEN, Category.INCONCLUSIVE: Verdict.INCONCLUSIVE}
    for size in range(len(Category) + 1):
        for categories in combinations(Category, size):
            expected = next((worst[each] for each in worst if each in categories), Verdict.DIFFERS)
            assert verdict_of(replace(FINDING, category=each) for each in categories) is (
                expected if categories else Verdict.CONFORMS
            )


def test_verdicts_are_the_exit_codes_of_the_command() -> None:
    """0 conforms, 1 broken, 2 wrong use, 3 inconclusive, 4 differs; each but wrong use has its sentence."""
    assert [int(verdict) for verdict in Verdict] == [0, 1, 2, 3, 4]
    assert set(Verdict) - set(SENTENCES) == {Verdict.WRONG_USE}


def test_a_finding_that_comes_again_adds_its_calls() -> None:
    """The same finding stays one, with every call that shows it once and the first message."""
    findings = Findings()
    for calls in ((1,), (2, 3), (1,)):
        findings.add(replace(FINDING, calls=calls, message=f"seen in {calls}"))
    assert [(finding.message, finding.calls) for finding in findings] == [("seen in (1,)", (1, 2, 3))]


@pytest.mark.parametrize(
    "other",
    [
        {"check": "headers"},
        {"operation": "listJobs"},
        {"status": 202},
        {"place": "/phase"},
        {"keyword": "enum"},
        {"name": "progress"},
    ],
)
def test_findings_about_something_else_stay_apart(other: dict[str, object]) -> None:
    """A second missing field is not the first one: every part of the key counts."""
    findings = Findings()
    findings.add(FINDING)
    findings.add(replace(FINDING, **other))
    assert len(findings) == 2


def test_strict_makes_failures_of_warnings_and_of_nothing_else() -> None:
    """With `--strict` what was only seen in samples counts as documented."""
    findings = Findings(is_strict=True)
    for category in Category:
        findings.add(replace(FINDING, category=category, name=category))
    assert [finding.name for finding in findings.of(Category.FAILURE)] == ["failure", "warning"]
    assert findings.of(Category.WARNING) == []
    assert [finding.name for finding in findings.of(Category.DIFFERENCE)] == ["difference"]
