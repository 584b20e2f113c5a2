"""The reports: one result for people, CI systems and a badge; what a program says does no harm in any of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as Xml

import jsonschema_rs
import pytest
from tests.support.paths import ROOT

from viralsync_mock.certify.page import page_of
from viralsync_mock.certify.reports import badge_of, document_of, junit_of, sarif_of, summary_of, text_of, write_reports
from viralsync_mock.certify.result import Check, Outcome, Report, TrialResult, Verdict
from viralsync_mock.certify.suite import Suite, Trial

HOSTILE = "<script>alert(1)</script> | `x` \"&' \x1b[31m ]]> ::error:: vs_prod_0123456789abcdefghijklmnopqrstuv"


def trial(name: str) -> Trial:
    return Trial(name, f"The title of {name}", "render", 5, ("stops-at-terminal",), "happy")


def result(name: str, outcome: Outcome, text: str = "as told") -> TrialResult:
    return TrialResult(trial(name), (Check("stops-at-terminal", outcome, text, (text,)),), 0, 1.5, text, 3)


def report(*results: TrialResult, expected: dict[str, str] | None = None, command: str = "node x.mjs") -> Report:
    suite = Suite("mine", "", tuple(each.trial for each in results), {"stops-at-terminal": "the end of a job"})
    at = datetime(2026, 3, 1, tzinfo=UTC)
    return Report(command, suite, results, at, 12.0, "0.1.0", expected or {})


ALL = report(*(result(each.value, each) for each in Outcome))
GOOD = report(result("one", Outcome.PASSED))


@pytest.mark.parametrize(
    ("outcomes", "expected", "verdict"),
    [
        ([Outcome.PASSED], {}, Verdict.CERTIFIED),
        ([Outcome.PASSED, Outcome.EXPECTED], {"expected": "x"}, Verdict.CERTIFIED),
        ([Outcome.PASSED], {"passed": "x"}, Verdict.DIFFERS),
        ([Outcome.PASSED, Outcome.UNPROVEN], {"passed": "x"}, Verdict.INCONCLUSIVE),
        ([Outcome.ERROR], {}, Verdict.INCONCLUSIVE),
        ([Outcome.ERROR, Outcome.FAILED], {}, Verdict.FAILED),
        ([], {}, Verdict.INCONCLUSIVE),
    ],
)
def test_the_worst_outcome_decides(outcomes: list[Outcome], expected: dict[str, str], verdict: Verdict) -> None:
    """A run of nothing is not green, and an error of the mock is not red."""
    found = report(*(result(each.value, each) for each in outcomes), expected=expected)
    assert found.verdict is verdict
    assert document_of(found)["exitCode"] == int(verdict)


def test_an_error_of_the_mock_outweighs_a_failure_of_the_same_scenario() -> None:
    """A client is not accused of what it did on a broken mock."""
    checks = (Check("mock", Outcome.ERROR, "odd"), Check("stops-at-terminal", Outcome.FAILED, "x"))
    found = report(TrialResult(trial("one"), checks))
    assert found.verdict is Verdict.INCONCLUSIVE


def test_junit_counts_what_it_holds() -> None:
    """A failure is red; what is unproven, expected or the mock's error is skipped."""
    root = Xml.fromstring(junit_of(ALL))  # noqa: S314 - our own
    assert {name: root.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "5", "failures": "1", "errors": "0", "skipped": "3"
    }  # fmt: skip
    assert len(root.findall(".//failure")) == 1
    assert len(root.findall(".//skipped")) == 3


def test_sarif_follows_its_schema() -> None:
    """Code scanning takes it."""
    schema = json.loads((ROOT / "tests/support/sarif.schema.json").read_text())
    document = sarif_of(ALL)
    jsonschema_rs.validate(schema, document)
    assert [each["level"] for each in document["runs"][0]["results"]].count("error") == 1
    assert [each["kind"] for each in document["runs"][0]["results"]].count("fail") == 1


def test_the_badge_is_one_of_shields_io() -> None:
    """Green only for a client that has proved everything."""
    assert badge_of(GOOD) == {
        "schemaVersion": 1, "label": "ViralSync client", "message": "1 of 1 passed", "color": "brightgreen"
    }  # fmt: skip
    assert (badge_of(ALL)["message"], badge_of(ALL)["color"]) == ("1 failed", "red")


class Tags(HTMLParser):
    """Collects elements, and complains about what a page must not hold."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at one element."""
        self.found.append(tag)
        assert tag not in {"script", "link", "img", "iframe"}
        assert not any(name.startswith("on") or name in {"src", "href"} for name, _ in attrs)


def test_the_page_needs_nothing_and_runs_nothing() -> None:
    """Whatever a program or a scenario says is text."""
    page = page_of(report(*(result(each.value, each, HOSTILE) for each in Outcome), command=f"node {HOSTILE}"))
    tags = Tags()
    tags.feed(page)
    assert tags.found.count("details") >= 5
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "default-src &#x27;none&#x27;" in page


def test_no_report_holds_a_key_or_a_control_character(tmp_path: Path) -> None:
    """Every file is safe to show and to keep."""
    write_reports(report(*(result(each.value, each, HOSTILE) for each in Outcome)), tmp_path)
    for file in tmp_path.iterdir():
        text = file.read_text()
        assert "0123456789abcdef" not in text, file.name
        assert "\x1b" not in text, file.name


def test_the_summary_is_a_table_that_no_text_breaks() -> None:
    """Each row has three cells."""
    rows = [line for line in summary_of(report(result("one", Outcome.FAILED, HOSTILE))).splitlines() if "| one" in line]
    assert len(rows) == 1
    assert rows[0].replace("\\|", "").count("|") == 4
    assert "<script>" not in rows[0]


def test_the_text_says_what_is_left_to_do() -> None:
    """What was not proved can be accepted by copying a line."""
    lines = list(text_of(report(result("one", Outcome.UNPROVEN))))
    assert "  one: our client has no need of this" in lines
    assert "  stops-at-terminal: never met the end of a job: proved nothing about it" in lines
    assert lines[-1] == "Nothing failed, but the client has not proved everything."
