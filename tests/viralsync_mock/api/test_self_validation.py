"""What happens when something goes wrong in the mock itself, and what a scenario says in its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from tests.conftest import MOVIE, LiveServer, shipped

from viralsync_mock.api.self_validation import ResponseViolatesSpec
from viralsync_mock.clock import Mode, RealTime
from viralsync_mock.settings import Settings

Start = Callable[[Settings], LiveServer]


def demanding(folder: Path, schema: str) -> Path:
    """Return a copy of the spec in which one schema requires a field that the mock does not send."""
    document = yaml.safe_load(shipped("openapi.yaml").read_text())
    document["components"]["schemas"][schema]["required"].append("colour")
    document["components"]["schemas"][schema]["properties"]["colour"] = {"type": "string"}
    path = folder / "openapi.yaml"
    path.write_bytes(orjson.dumps(document, default=str))
    return path


@pytest.mark.parametrize("is_checked", [True, False])
def test_an_answer_that_breaks_the_spec_is_a_bug_where_answers_are_checked(
    is_checked: bool, tmp_path: Path, start_mock: Start
) -> None:
    """The test mode turns it into a 500 that says where; without it the answer leaves as it is."""
    server = start_mock(Settings(spec=demanding(tmp_path, "Me"), clock=Mode.AUTO, check_answers=is_checked))
    with server.client() as client:
        answer = client.get("/v1/me")
    assert answer.status_code == (500 if is_checked else 200)
    assert ("colour" in answer.text) == is_checked
    assert [type(error) for _, error in server.bugs] == [ResponseViolatesSpec] * is_checked


def test_an_event_that_breaks_the_spec_ends_the_stream_where_answers_are_checked(
    tmp_path: Path, start_mock: Start
) -> None:
    """The event is not sent, and the bug names the field."""
    spec = demanding(tmp_path, "JobDoneEvent")
    server = start_mock(Settings(spec=spec, clock=Mode.AUTO, check_answers=True))
    with server.client() as client:
        job = client.post("/v1/render/jobs", json=MOVIE).json()["jobId"]
        told = client.get(f"/v1/jobs/{job}/progress").text
    assert '"status":"done"' not in told
    assert ["colour" in str(error) for _, error in server.bugs] == [True]


def test_an_error_that_nobody_foresaw_is_answered_in_the_api_s_shape(start_mock: Start) -> None:
    """The client gets 500 as JSON, the owner of the mock is told what it was."""

    async def broken(_: float) -> None:
        raise ZeroDivisionError("no time left")

    server = start_mock(Settings(clock=Mode.AUTO, real=RealTime(sleep=broken)))
    with server.client() as client:
        client.put("/__mock/scenario", json=scripted({"fault": {"latency": "1s"}})).raise_for_status()
        answer = client.get("/v1/me")
    assert (answer.status_code, answer.json()["code"]) == (500, "INTERNAL_ERROR")
    assert [str(error) for _, error in server.bugs] == ["no time left"]


def scripted(rule: dict[str, Any]) -> dict[str, Any]:
    """Return a scenario of one rule for `getMe`."""
    return {"name": "scripted", "description": "One rule.", "rules": [{"match": {"operation": "getMe"}, **rule}]}


def test_a_rule_answers_with_a_body_of_its_own(live_server: LiveServer) -> None:
    """Status, headers and body are the scenario's, also where the spec knows of no such answer."""
    respond = {"status": 418, "headers": {"x-kettle": "full"}, "body": {"tea": True}}
    with live_server.client() as client:
        client.put("/__mock/scenario", json=scripted({"respond": respond})).raise_for_status()
        answer = client.get("/v1/me")
    assert (answer.status_code, answer.headers["x-kettle"], answer.json()) == (418, "full", {"tea": True})


def test_a_rule_answers_without_a_body(live_server: LiveServer) -> None:
    """A response that names none has none, and no content type either."""
    with live_server.client() as client:
        client.put("/__mock/scenario", json=scripted({"respond": {"status": 204}})).raise_for_status()
        answer = client.get("/v1/me")
    assert (answer.status_code, answer.content, answer.headers.get("content-type")) == (204, b"", None)


def test_a_rule_gives_an_error_a_text_of_its_own(live_server: LiveServer) -> None:
    """Code and status are the spec's, the text is the scenario's."""
    respond = {"error": "SERVICE_UNAVAILABLE", "text": "Gone fishing."}
    with live_server.client() as client:
        client.put("/__mock/scenario", json=scripted({"respond": respond})).raise_for_status()
        answer = client.get("/v1/me")
    assert (answer.status_code, answer.json()) == (503, {"error": "Gone fishing.", "code": "SERVICE_UNAVAILABLE"})
