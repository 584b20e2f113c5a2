"""`junit.xml`, as CI systems read it."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, fromstring

import pytest
from tests.support.results import finding, result, rich, written

from viralsync_conform.findings import Category
from viralsync_conform.result import BaselineComparison, JourneyOutcome, Result


def parsed(folder: Path, finished: Result) -> Element:
    return fromstring(written(folder, finished)["junit.xml"])  # noqa: S314 - just written


def case(root: Element, name: str) -> Element:
    """Return the only test case of a name."""
    (found,) = root.findall(f".//testcase[@name='{name}']")
    return found


def test_counts_are_those_of_the_cases(tmp_path: Path) -> None:
    """Of each suite, and of all."""
    root = parsed(tmp_path, rich())
    for suite in (root, *root.findall("testsuite")):
        cases = suite.findall(".//testcase")
        assert suite.get("tests") == str(len(cases))
        assert suite.get("failures") == str(sum(each.find("failure") is not None for each in cases))
        assert suite.get("skipped") == str(sum(each.find("skipped") is not None for each in cases))
    assert (root.get("tests"), root.get("failures"), root.get("errors"), root.get("skipped")) == ("14", "5", "0", "2")


def test_every_journey_and_every_check_is_a_case(tmp_path: Path) -> None:
    """A check that held everywhere has one; one that did not has one for each operation."""
    twice = [finding(), finding(operation="listJobs")]
    journeys = (JourneyOutcome("pages", "Pages.", "passed"),)
    root = parsed(tmp_path, result(*twice, journeys=journeys))
    found = [(each.get("classname"), each.get("name")) for each in root.iter("testcase")]
    assert found == [
        ("journey", "pages"),
        ("every operation", "status"),
        ("getJob", "schema"),
        ("listJobs", "schema"),
    ]


def test_a_failure_says_what_was_expected_and_where(tmp_path: Path) -> None:
    """The text has all that a person needs to begin with."""
    failure = case(parsed(tmp_path, rich()), "progress").find("failure")
    assert failure is not None
    assert failure.get("message") == "Progress never goes back."
    assert "expected at least 0.625\ngot 0.5\ndocumented on /api-reference/jobs" in (failure.text or "")


def test_what_is_inconclusive_is_skipped(tmp_path: Path) -> None:
    """It makes CI neither red nor green."""
    outage = case(parsed(tmp_path, rich()), "outage")
    assert [child.tag for child in outage] == ["skipped", "system-out"]


@pytest.mark.parametrize("category", [Category.WARNING, Category.DIFFERENCE, Category.ADDITIVE])
def test_what_is_no_failure_is_told_in_a_case_that_passes(tmp_path: Path, category: Category) -> None:
    """Warnings, differences and additive drift do not make a test case red."""
    found = case(parsed(tmp_path, result(finding(category, message="seen"))), "schema")
    assert [child.tag for child in found] == ["system-out"]
    assert (found[0].text or "").startswith(f"{category.value}: seen")


def test_a_failure_that_the_baseline_knows_does_not_fail(tmp_path: Path) -> None:
    """It is told, and the case passes."""
    known = finding(journey="pages")
    comparison = BaselineComparison((), (known,), (), {})
    journeys = (JourneyOutcome("pages", "Pages.", "found"),)
    root = parsed(tmp_path, result(known, baseline=comparison, journeys=journeys))
    assert root.get("failures") == "0"
    assert [child.tag for child in case(root, "schema")] == ["system-out"]


def test_a_journey_that_stopped_or_was_not_made_is_skipped(tmp_path: Path) -> None:
    """With its reason."""
    journeys = (JourneyOutcome("a", "", "stopped", "no stream"), JourneyOutcome("b", "", "skipped", "no receiver"))
    root = parsed(tmp_path, result(journeys=journeys))
    assert [each.get("message") for each in root.iter("skipped")] == ["stopped: no stream", "skipped: no receiver"]


def test_any_text_of_a_target_can_be_written(tmp_path: Path) -> None:
    """Control characters and halves of characters, which XML forbids, are replaced."""
    text = "".join(map(chr, range(32))) + "\x7f\ud800\ufffe]]></failure><x>&"
    failure = case(parsed(tmp_path, result(finding(got=text, message=text))), "schema").find("failure")
    assert failure is not None
    assert "]]></failure><x>&" in (failure.text or "")
