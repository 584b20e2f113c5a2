"""`summary.md`: short, and nothing that a target sends becomes markup."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.results import finding, result, rich, written

from viralsync_conform.findings import Category
from viralsync_mock.artefacts.writing import cell

ISSUE = 65_536
"""Characters that GitHub takes for the text of an issue."""


def test_the_verdict_comes_first(tmp_path: Path) -> None:
    """Then one sentence, the counts and the price."""
    text = written(tmp_path, rich())["summary.md"]
    assert text.startswith("## Contract broken: https\\://api.viralsync.io\n\nThe contract is broken")
    assert "| behaviours asserted | 495 |" in text
    assert "| price | 217 requests, 0.017 render minutes |" in text


def test_every_finding_that_counts_has_a_line(tmp_path: Path) -> None:
    """By category; what the baseline knows is counted only."""
    text = written(tmp_path, rich())["summary.md"]
    assert [line for line in text.splitlines() if line.startswith("### ")][:5] == [
        "### Failures",
        "### Inconclusive",
        "### Differences",
        "### Warnings",
        "### Additive drift",
    ]
    assert (
        "- **getJob 200** at /progress: Progress never goes back. (expected at least 0.625, got 0.5, wrong: the target)"
        in text
    )
    assert "form of the samples" not in text


def test_learned_differences_are_a_table(tmp_path: Path) -> None:
    """Believed, learned, and where it was seen."""
    text = written(tmp_path, rich())["summary.md"]
    assert "| list.key | jobs | items | calls 1, 2 |" in text
    assert "| sse.payload | webhook | several: webhook and job | calls 1, 2 |" in text


def test_a_quiet_run_is_a_short_text(tmp_path: Path) -> None:
    """Nothing is told of what is not there."""
    text = written(tmp_path, result())["summary.md"]
    assert text.startswith("## Conforms: ")
    assert "###" not in text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a|b\nc\r\n d", "a\\|b c d"),
        ("<img src=x>&amp;", "&lt;img src=x&gt;&amp;amp;"),
        ("[click](http://x) `code` *b* _i_ ~s~", "\\[click\\]\\(http\\://x\\) \\`code\\` \\*b\\* \\_i\\_ \\~s\\~"),
        ("\\|", "\\\\\\|"),
        ("https://x www.x.example", "https\\://x www\\.x.example"),
        ("@someone #12", "@\u200bsomeone #\u200b12"),
    ],
)
def test_markup_of_a_target_stays_text(text: str, told: str) -> None:
    """No cell ends early, nobody is mentioned, nothing is linked."""
    assert cell(text) == told


def test_a_table_row_stays_one_row(tmp_path: Path) -> None:
    """Whatever is in its cells."""
    text = written(tmp_path, result(target="http://x|\n| a |\n", profile="|"))["summary.md"]
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {3}


def test_a_thousand_findings_fit_into_an_issue(tmp_path: Path) -> None:
    """Of each category the first are told, and how many more there are."""
    many = [
        finding(category, message="m" * 500, expected="e" * 500, got="g" * 500, place="/p" * 200, name=str(number))
        for category in Category
        for number in range(200)
    ]
    text = written(tmp_path, result(*many))["summary.md"]
    assert len(text) < ISSUE
    assert text.count("- and 180 more, all in `report.html`") == len(Category)
