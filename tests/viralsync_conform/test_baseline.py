"""The baseline: what a later run compares itself with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.results import KEY, finding, learned, result

from viralsync_conform.baseline import Baseline, baseline_of, compare, read_baseline
from viralsync_conform.contract.learned_behaviour import LearnedBehaviour
from viralsync_conform.findings import Category, Finding
from viralsync_mock.errors import UsageError

FIRST = finding(keyword="required", name="updatedAt", place="/jobs/*")
SECOND = finding(keyword="required", name="createdAt", place="/jobs/*")


def kept(folder: Path, *findings: Finding, **rest: Any) -> Baseline:
    """Write the baseline of a run with these findings, and read it back."""
    path = folder / "baseline.json"
    path.write_text(json.dumps(baseline_of(result(*findings, **rest))), "utf-8")
    return read_baseline(path)


def test_what_was_found_before_is_known(tmp_path: Path) -> None:
    """The same run again has nothing new, and nothing gone."""
    comparison = compare(kept(tmp_path, FIRST, SECOND), [FIRST, SECOND], LearnedBehaviour())
    assert (comparison.new, comparison.known, comparison.gone) == ((), (FIRST, SECOND), ())


def test_a_second_missing_field_is_new(tmp_path: Path) -> None:
    """Place, keyword and name tell findings apart, not the schema alone."""
    comparison = compare(kept(tmp_path, FIRST), [FIRST, SECOND], LearnedBehaviour())
    assert (comparison.new, comparison.known) == ((SECOND,), (FIRST,))


@pytest.mark.parametrize(
    "other",
    [{"operation": "listJobs"}, {"status": 404}, {"place": "/x"}, {"keyword": "type"}, {"name": "x"}, {"check": "x"}],
)
def test_each_part_of_the_key_counts(tmp_path: Path, other: dict[str, Any]) -> None:
    """Another check, operation, status, place, keyword or name is another finding."""
    parts = {"check": "schema", "keyword": "required", "name": "updatedAt", "place": "/jobs/*", **other}
    assert len(compare(kept(tmp_path, FIRST), [finding(**parts)], LearnedBehaviour()).new) == 1


def test_what_is_not_found_any_more_is_gone(tmp_path: Path) -> None:
    """It is named in words."""
    comparison = compare(kept(tmp_path, FIRST), [], LearnedBehaviour())
    assert comparison.gone == ("schema · getJob 200 · /jobs/* · required · updatedAt",)


def test_what_was_inconclusive_is_in_no_baseline(tmp_path: Path) -> None:
    """An outage of yesterday excuses none of today."""
    outage = finding(Category.INCONCLUSIVE, "outage")
    comparison = compare(kept(tmp_path, outage), [outage], LearnedBehaviour())
    assert (comparison.new, comparison.gone) == ((outage,), ())


def test_what_cannot_be_told_today_is_not_gone(tmp_path: Path) -> None:
    """A finding that is inconclusive now was not found to be mended, and is not known either."""
    unknown = finding(Category.INCONCLUSIVE, keyword="required", name="updatedAt", place="/jobs/*")
    comparison = compare(kept(tmp_path, FIRST), [unknown], LearnedBehaviour())
    assert (comparison.new, comparison.gone) == ((unknown,), ())


def test_a_switch_in_another_position_has_switched(tmp_path: Path) -> None:
    """One that is as before, or that was not seen before, has not."""
    before, now = LearnedBehaviour(), LearnedBehaviour()
    before.learn("job.type", "render")
    before.learn("list.key", "jobs")
    now.learn("job.type", "render.movie")
    now.learn("list.key", "jobs")
    now.learn("sse.payload", "job")
    assert compare(kept(tmp_path, learned=before), [], now).switched == {"job.type": ("render", "render.movie")}


def test_positions_of_every_type_survive(tmp_path: Path) -> None:
    """Texts, numbers, truths and nothing come back as they were learned."""
    seen = learned()
    seen.learn("sse.keep_alive_seconds", None)
    seen.learn("list.includes_children", True)
    seen.learn("webhook.attempts", 5)
    assert compare(kept(tmp_path, learned=seen), [], seen).switched == {}


def test_a_key_is_in_no_baseline(tmp_path: Path) -> None:
    """A name that looks like a key is masked, and still known."""
    leaky = finding(name=KEY)
    baseline = kept(tmp_path, leaky)
    assert KEY not in (tmp_path / "baseline.json").read_text("utf-8")
    assert compare(baseline, [leaky], LearnedBehaviour()).known == (leaky,)


GOOD = {"format": "viralsync-mock baseline", "version": 1, "findings": [], "switches": {}}


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ([], 'expected an object with "format"'),
        ({"format": "viralsync-mock conformance report", "version": 1}, 'expected an object with "format"'),
        ({**GOOD, "version": 2}, "a newer viralsync-mock wrote it, so update"),
        ({**GOOD, "version": "1"}, '$.version: expected 1, got "1"'),
        ({**GOOD, "version": True}, "$.version: expected 1, got true"),
        ({**GOOD, "findings": {}}, "$.findings: expected a list"),
        ({**GOOD, "findings": [{"check": "x"}]}, "$.findings[0]: expected an object of texts check, operation"),
        ({**GOOD, "switches": []}, "$.switches: expected an object"),
    ],
)
def test_a_file_that_is_no_baseline_is_refused(tmp_path: Path, document: object, told: str) -> None:
    """The message names the file, what was expected, where, and what to do."""
    path = tmp_path / "old.json"
    path.write_text(json.dumps(document), "utf-8")
    with pytest.raises(UsageError) as refusal:
        read_baseline(path)
    assert str(refusal.value).startswith(f"--baseline {path}: ")
    assert told in str(refusal.value)
    assert "Give the baseline.json" in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "told"), [(b"{", "not JSON"), (b"\xff\xfe\xfd", "not JSON"), (b"[" * 100_000, "not JSON")]
)
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    """Whatever is in it, the message is one sentence and no traceback."""
    path = tmp_path / "old.json"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=told):
        read_baseline(path)


def test_a_file_as_large_as_no_baseline_is_refused(tmp_path: Path) -> None:
    """It is not read."""
    path = tmp_path / "old.json"
    with path.open("wb") as file:
        file.truncate(20_000_001)
    with pytest.raises(UsageError, match="larger than 20 MB"):
        read_baseline(path)


@pytest.mark.parametrize("name", ["missing.json", "."])
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    """A missing file and a folder are wrong use."""
    with pytest.raises(UsageError, match="cannot be read"):
        read_baseline(tmp_path / name)
