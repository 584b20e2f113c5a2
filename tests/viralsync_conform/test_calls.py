"""Calls as they are kept: reading an answer never raises."""

from __future__ import annotations

import pytest
from tests.support.results import call

from viralsync_conform.calls import Event, instant_of
from viralsync_mock.clock import EPOCH


@pytest.mark.parametrize(("body", "value"), [(b'{"a": 1}', {"a": 1}), (b"[1]", {}), (b"<h1>", {}), (b"\xff", {})])
def test_a_body_is_an_object_or_an_empty_one(body: bytes, value: object) -> None:
    """Whatever else comes reads as an object without fields, for answers and events alike."""
    assert call(1, body=body).document == value
    assert Event(None, None, body.decode("latin-1"), EPOCH).document == value


def test_headers_are_found_in_any_case() -> None:
    """A header's name has no case, and the media type no parameters."""
    found = call(1, headers=(("Content-TYPE", "Application/JSON; charset=utf-8"),))
    assert found.header("content-type") == "Application/JSON; charset=utf-8"
    assert found.media_type == "application/json"
    assert call(1, headers=()).media_type == ""


@pytest.mark.parametrize(
    ("status", "is_success"), [(None, False), (199, False), (200, True), (299, True), (300, False)]
)
def test_success_is_a_2xx(status: int | None, is_success: bool) -> None:
    """No answer, an information and a redirect are none."""
    assert call(1, status=status).is_success is is_success


def test_a_call_shows_itself_with_the_code_of_its_refusal() -> None:
    """One line says which call it was and what came of it; a code that is no text is none."""
    refused = call(7, "getJob", {"error": "no", "code": "JOB_NOT_FOUND"}, status=404, url="/v1/jobs/job_1")
    assert repr(refused) == "<#7 GET /v1/jobs/job_1 -> 404 JOB_NOT_FOUND>"
    assert repr(call(8, status=None, problem="time-out", url="/v1/me")) == "<#8 GET /v1/me -> time-out>"
    assert call(9, "getJob", {"code": 404}).code is None


@pytest.mark.parametrize("text", ["2026-01-01T00:00:00", "soon", 17, None, "9999-12-31T23:59:59-23:00"])
def test_what_is_no_instant_of_one_zone_is_none(text: object) -> None:
    """An instant without an offset, or beyond the calendar, can be compared with none."""
    assert instant_of(text) is None
    assert instant_of("2026-01-01T01:00:00.000+01:00") == EPOCH
