"""The nights before: what a file keeps of them, what is new tonight, and since when the rest has been so."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.support.results import finding, result, written
from tests.viralsync_conform.reports.test_page import Page

from viralsync_conform.baseline import MAX_NIGHTS, night_of, nights_like, read_history, since, write_history
from viralsync_conform.findings import Category, Finding
from viralsync_conform.reports.text import format_result
from viralsync_conform.result import BaselineComparison, Night, Result
from viralsync_mock.clock import EPOCH
from viralsync_mock.errors import SettingsError

OLD = finding(Category.DIFFERENCE, "learned", "list.key is items", name="old")
NEW = finding(Category.FAILURE, "progress", "Progress never goes back.", name="new")


def night(number: int, *findings: Finding, **rest: object) -> Night:
    """Return a night, counted in days."""
    made = night_of(replace(result(*findings), started_at=EPOCH + timedelta(days=number)))
    return replace(made, **rest)  # type: ignore[arg-type]


def tonight(*findings: Finding, nights: tuple[Night, ...] | None) -> Result:
    return replace(result(*findings), started_at=EPOCH + timedelta(days=10), nights=nights)


def test_a_file_gives_back_the_nights_that_it_was_given(tmp_path: Path) -> None:
    """One line each, the oldest dropped; a file that is not there is empty."""
    path = tmp_path / "nights.jsonl"
    assert read_history(path) == ()
    nights = tuple(night(number, OLD) for number in range(MAX_NIGHTS + 5))
    write_history(path, nights)
    assert read_history(path) == nights[5:]
    assert len(path.read_text().splitlines()) == MAX_NIGHTS


@pytest.mark.parametrize("line", ["{", "[]", "{}", '{"at": 1}', '"x"', "null"])
def test_a_broken_line_is_named(tmp_path: Path, line: str) -> None:
    """The file, the line, what was expected and what to do."""
    path = tmp_path / "nights.jsonl"
    write_history(path, [night(1)])
    path.write_text(f"{path.read_text()}{line}\n")
    with pytest.raises(SettingsError, match=r"--history .*nights\.jsonl: line 2: expected a night.*Give a file"):
        read_history(path)


def test_only_nights_of_the_same_target_and_profile_count() -> None:
    """Another server, or another profile, found other things."""
    nights = (night(1), night(2, target="mock"), night(3, profile="deep"))
    assert nights_like(nights, nights[0].target, nights[0].profile) == nights[:1]


def test_the_first_line_says_what_is_new() -> None:
    """New findings by name, how many are gone; and that there is nothing to compare with."""
    gone = finding(name="gone")
    first = next(iter(format_result(tonight(OLD, NEW, nights=(night(1, OLD, gone),)))))
    assert first == "New since 2 January 2026: 1 finding: progress (getJob); 1 finding gone."


def test_the_first_line_names_each_check_once() -> None:
    """A check that failed at several places of an operation stands there once."""
    several = (NEW, replace(NEW, place="/a"), replace(NEW, place="/b"), replace(NEW, place="/c"))
    first = next(iter(format_result(tonight(*several, nights=(night(1),)))))
    assert first == "New since 2 January 2026: 4 findings: progress (getJob)."
    assert next(iter(format_result(tonight(OLD, nights=(night(1, OLD),))))) == "Nothing new since 2 January 2026."
    assert next(iter(format_result(tonight(OLD, nights=())))).startswith("No conclusive night before")


def test_known_differences_are_folded_and_breaches_are_not() -> None:
    """A breach is shown every night, with the date since when it has been so."""
    lines = list(format_result(tonight(OLD, NEW, nights=(night(1, OLD, NEW), night(2, OLD, NEW)))))
    assert lines[1].startswith("contract broken: progress: getJob 200: Progress never goes back. (calls 1; since 2 Jan")
    assert lines[2] == "mock wrong: 1 known from the last night: see report.html"


def test_since_when_ends_at_the_first_night_without_it() -> None:
    """Inconclusive nights neither end the row nor begin it."""
    away = night(4, finding(Category.INCONCLUSIVE))
    run = tonight(NEW, nights=(night(1, NEW), night(2), night(3, NEW), away, night(5, NEW)))
    assert since(run, NEW) == EPOCH + timedelta(days=3)
    assert since(run, OLD) is None


def test_reports_show_the_nights(tmp_path: Path) -> None:
    """The page draws thirty of them, and the report for programs says since when each finding is there."""
    run = tonight(OLD, NEW, nights=tuple(night(number, OLD) for number in range(40)))
    texts = written(tmp_path, run)
    page = Page(texts["report.html"])
    assert len([each for each in page.named("rect") if "night" in str(each.get("class"))]) == 30
    assert "the colour is the verdict, the height the duration" in texts["report.html"]
    report = json.loads(texts["report.json"])
    assert (len(report["nights"]), report["findings"]["difference"][0]["since"]) == (40, "2026-01-01T00:00:00.000Z")
    assert [report["findings"]["failure"][0][name] for name in ("wrong", "is_new", "since")] == ["target", True, None]
    assert "wrong: the target; new" in texts["summary.md"].replace(", new", "; new")


def test_what_is_inconclusive_or_known_from_the_baseline_is_no_news() -> None:
    """Neither is called new, and neither is counted in the first line."""
    away = finding(Category.INCONCLUSIVE, "outage", "away")
    run = tonight(OLD, NEW, away, nights=(night(1),))
    accepted = replace(run, baseline=BaselineComparison((NEW, away), (OLD,), (), {}))
    lines = list(format_result(accepted))
    assert lines[0] == "New since 2 January 2026: 1 finding: progress (getJob)."
    assert "inconclusive: outage: getJob 200: away (calls 1)" in lines
