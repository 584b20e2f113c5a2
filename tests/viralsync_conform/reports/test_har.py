"""`traffic.har`, held against HAR 1.2."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.results import call, life_steps, result, rich, stream, written
from tests.viralsync_mock.inspection.test_har import HAR

from viralsync_conform.calls import Exchange
from viralsync_conform.reports.har import archive_of
from viralsync_conform.result import Result


def entries(folder: Path, finished: Result) -> list[dict[str, Any]]:
    """Return the entries of the archive, which is valid."""
    archive = json.loads(written(folder, finished)["traffic.har"])
    assert list(HAR.violations(archive)) == []
    return list(archive["log"]["entries"])


def entry(folder: Path, one: Exchange) -> dict[str, Any]:
    (found,) = entries(folder, result(calls=(one,)))
    return found


def test_every_call_is_an_entry(tmp_path: Path) -> None:
    """In their order, with the number by which findings name them."""
    finished = rich()
    told = [each["comment"].partition(",")[0] for each in entries(tmp_path, finished)]
    assert told == [f"call {each.number}" for each in finished.calls]


def test_a_call_without_an_answer_has_status_0(tmp_path: Path) -> None:
    """What went wrong is in its comment."""
    found = entry(tmp_path, call(1, status=None, headers=(), problem="time-out: no answer came in time"))
    assert (found["response"]["status"], found["response"]["bodySize"]) == (0, -1)
    assert found["comment"].endswith("time-out: no answer came in time")


def test_a_stream_lasts_as_long_as_its_events(tmp_path: Path) -> None:
    """By the target's clock, behind the real time until it began."""
    found = entry(tmp_path, stream(life_steps()))
    assert found["timings"] == {"send": 0, "wait": 12.0, "receive": 10800.0}
    assert "10 events" in found["comment"]


@pytest.mark.parametrize("status", [200, 299, 502, 999])
def test_any_status_can_be_told(tmp_path: Path, status: int) -> None:
    """One that has no phrase has an empty one."""
    assert entry(tmp_path, call(1, status=status))["response"]["status"] == status


def test_a_body_that_is_no_text_is_not_encoded(tmp_path: Path) -> None:
    """In base64 a key could hide."""
    found = entry(tmp_path, call(1, body=b"\xff\x00a", request_body=b"\xfeb"))
    assert found["response"]["content"] == {"size": 3, "mimeType": "application/json", "text": "\ufffd\x00a"}
    assert found["request"]["postData"]["text"] == "\ufffdb"


def test_url_and_query_are_whole(tmp_path: Path) -> None:
    """A call of a mock that was started for the run is shown as one of the usual mock."""
    (found,) = entries(tmp_path, result(target="mock", calls=(call(1, url="/v1/jobs?limit=5&type=a%20b"),)))
    assert found["request"]["url"] == "http://127.0.0.1:4747/v1/jobs?limit=5&type=a%20b"
    assert found["request"]["queryString"] == [{"name": "limit", "value": "5"}, {"name": "type", "value": "a b"}]


def test_a_url_that_is_none_is_told_all_the_same() -> None:
    """A generated call may ask for anything."""
    found = archive_of(result(calls=(call(1, url="//[?a=1"),)))["log"]["entries"][0]["request"]
    assert found["queryString"] == [{"name": "a", "value": "1"}]
