"""`report.json`, held against its shipped schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from tests.support.results import finding, result, rich, written

from viralsync_conform.contract.learned_behaviour import LearnedBehaviour
from viralsync_conform.findings import Category
from viralsync_conform.reports import write_reports
from viralsync_conform.result import Result
from viralsync_mock.settings import shipped


def schema() -> dict[str, Any]:
    return dict(json.loads(shipped("fixtures/report.schema.json").read_text("utf-8")))


def complaints(document: object) -> list[str]:
    validator = jsonschema_rs.Draft202012Validator(schema(), validate_formats=True)
    return [str(error) for error in validator.iter_errors(document)]


@pytest.fixture
def report(tmp_path: Path) -> dict[str, Any]:
    """Return the report of a run that has something of everything."""
    return dict(json.loads(written(tmp_path, rich())["report.json"]))


def odd() -> Result:
    """Return a run whose target answered what JSON cannot hold."""
    seen = LearnedBehaviour()
    for value in (float("nan"), float("inf"), {"a": [float("nan")]}, "\ud800", b"bytes"):
        seen.learn("plan_limit.status", value)
        seen.learn("quota.check", value)
    return result(finding(got="\ud800\x00"), learned=seen)


@pytest.mark.parametrize("make", [rich, result, odd])
def test_a_report_has_the_shipped_format(tmp_path: Path, make: Any) -> None:
    """With everything in it, with nothing, and with values that JSON cannot hold."""
    assert complaints(json.loads(written(tmp_path, make())["report.json"])) == []


def objects(part: Any) -> Iterator[dict[str, Any]]:
    """Yield every object schema."""
    if isinstance(part, dict):
        if "properties" in part and part.get("type") == "object":
            yield part
        for each in part.values():
            yield from objects(each)


def test_the_schema_forbids_unknown_keys() -> None:
    """Each object names all its keys, and all of them are always there."""
    found = list(objects(schema()))
    assert len(found) > 10
    assert [each for each in found if each["additionalProperties"] is not False] == []
    assert [each for each in found if set(each["required"]) != set(each["properties"])] == []


@pytest.mark.parametrize("path", [(), ("verdict",), ("price",), ("learned",), ("findings", "failure", 0)])
def test_an_unknown_key_breaks_the_schema(report: dict[str, Any], path: tuple[str | int, ...]) -> None:
    """What the schema does not know is not written."""
    place: Any = report
    for step in path:
        place = place[step]
    place["odd"] = 1
    assert len(complaints(report)) == 1


def test_behaviours_are_counted_not_requests(report: dict[str, Any]) -> None:
    """Distinct checks, how often they were made, and what lies in each category."""
    counts = report["counts"]
    assert (counts["checks"], counts["asserted"], counts["known"]) == (5, 495, 1)
    categories = {"failure": 3, "inconclusive": 1, "difference": 1, "warning": 2, "additive": 2}
    assert counts["findings"] == categories
    assert {category: len(found) for category, found in report["findings"].items()} == categories


def test_what_the_baseline_knows_is_marked(report: dict[str, Any]) -> None:
    """A program can tell what counts."""
    assert [each["check"] for each in report["findings"]["warning"] if each["is_known"]] == ["job_id_form"]


def test_switches_tell_believed_learned_and_evidence(report: dict[str, Any]) -> None:
    """Torn, hidden and foreign ones are beside them."""
    learned = report["learned"]
    assert learned["switches"][1] == {
        "switch": "job.executing_status",
        "believed": "waiting",
        "learned": "running",
        "is_different": True,
        "calls": [1, 2],
    }
    assert [each["switch"] for each in learned["contradictions"]] == ["sse.payload"]
    assert [each["value"] for each in learned["foreign"]] == [418]


def test_what_was_skipped_is_not_a_journey(report: dict[str, Any]) -> None:
    """Its reason is told in a place of its own."""
    assert [each["name"] for each in report["skipped"]] == ["daily_quota"]
    assert "daily_quota" not in {each["name"] for each in report["journeys"]}


def test_every_file_is_written_whole(tmp_path: Path) -> None:
    """An earlier report is replaced, and no half of one is left behind."""
    folder = tmp_path / "a" / "b"
    first = write_reports(rich(), folder)
    second = write_reports(result(finding(Category.WARNING)), folder)
    assert first == second == sorted(first, key=first.index)
    assert {path.name for path in folder.iterdir()} == {path.name for path in first}


def test_the_same_result_gives_the_same_files(tmp_path: Path) -> None:
    """Nothing in them depends on when they are written."""
    assert written(tmp_path / "one", rich()) == written(tmp_path / "two", rich())
