"""`report.sarif`: SARIF 2.1.0, one result a finding, each at its operation in the spec."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from tests.support.paths import ROOT
from tests.support.results import finding, result, rich, written

from viralsync_conform.baseline import night_of
from viralsync_conform.findings import Category
from viralsync_conform.result import Result

SCHEMA = json.loads((ROOT / "tests/support/sarif.schema.json").read_text())


def run_of(folder: Path, finished: Result) -> dict[str, Any]:
    """Return the one run of a log that keeps to the schema."""
    log = json.loads(written(folder, finished)["report.sarif"])
    jsonschema_rs.validate(SCHEMA, log)
    run: dict[str, Any] = log["runs"][0]
    return run


def test_each_finding_is_a_result_at_its_operation(tmp_path: Path) -> None:
    """The line is where the spec defines the operation."""
    run = run_of(tmp_path, rich())
    assert len(run["results"]) == len(rich().findings)
    line = run["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"]
    assert (ROOT / "openapi.yaml").read_text().splitlines()[line - 1] == "      operationId: getJob"


@pytest.mark.parametrize(
    ("category", "level", "wrong"),
    [
        (Category.FAILURE, "error", "target"),
        (Category.WARNING, "warning", "documentation"),
        (Category.DIFFERENCE, "note", "mock"),
        (Category.ADDITIVE, "note", "documentation"),
        (Category.INCONCLUSIVE, "none", None),
    ],
)
def test_the_level_follows_the_category(tmp_path: Path, category: Category, level: str, wrong: str | None) -> None:
    """Only a broken contract is an error; what is inconclusive has no level; each says who is wrong."""
    (found,) = run_of(tmp_path, result(finding(category, operation=None)))["results"]
    assert (found["level"], found["properties"]["wrong"]) == (level, wrong)


def test_what_the_last_night_knew_is_unchanged(tmp_path: Path) -> None:
    """The state is told only where there is something to compare with."""
    before, new = finding(name="old"), finding(name="new")
    nights = (night_of(result(before)),)
    results = run_of(tmp_path, replace(result(before, new), nights=nights))["results"]
    assert [each["baselineState"] for each in results] == ["unchanged", "new"]
    assert "baselineState" not in run_of(tmp_path, result(before))["results"][0]
