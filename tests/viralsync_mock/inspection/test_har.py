"""The journal as an HTTP archive, held against HAR 1.2."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.conftest import LiveServer, movie
from tests.viralsync_mock.control.test_control import submit, watched

from viralsync_mock.journal.entry import MAX_BODY
from viralsync_mock.validation.schema import Schema


def exactly(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    """Return the schema of an object of HAR, which may have a comment, and nothing that HAR does not know."""
    properties = {**required, **optional, "comment": {"type": "string"}}
    return {"type": "object", "required": list(required), "properties": properties, "additionalProperties": False}


TEXT, SIZE = {"type": "string"}, {"type": "integer", "minimum": -1}
LENGTH = {"type": "number", "minimum": 0}
MAYBE_LENGTH = {"type": "number", "minimum": -1}
PAIRS = {"type": "array", "items": exactly({"name": TEXT, "value": TEXT})}
COOKIES = {"type": "array", "maxItems": 0}  # none is ever set, and those that are sent are masked
REQUEST = exactly(
    {
        "method": TEXT,
        "url": {"type": "string", "format": "uri"},
        "httpVersion": TEXT,
        "cookies": COOKIES,
        "headers": PAIRS,
        "queryString": PAIRS,
        "headersSize": SIZE,
        "bodySize": SIZE,
    },
    postData=exactly({"mimeType": TEXT, "text": TEXT}),
)
RESPONSE = exactly(
    {
        "status": {"type": "integer"},
        "statusText": TEXT,
        "httpVersion": TEXT,
        "cookies": COOKIES,
        "headers": PAIRS,
        "content": exactly({"size": SIZE, "mimeType": TEXT}, text=TEXT, compression=SIZE, encoding=TEXT),
        "redirectURL": TEXT,
        "headersSize": SIZE,
        "bodySize": SIZE,
    }
)
ENTRY = exactly(
    {
        "startedDateTime": {"type": "string", "format": "date-time"},
        "time": LENGTH,
        "request": REQUEST,
        "response": RESPONSE,
        "cache": exactly({}, beforeRequest={}, afterRequest={}),
        "timings": exactly(
            {"send": LENGTH, "wait": LENGTH, "receive": LENGTH},
            blocked=MAYBE_LENGTH,
            dns=MAYBE_LENGTH,
            connect=MAYBE_LENGTH,
            ssl=MAYBE_LENGTH,
        ),
    },
    pageref=TEXT,
    serverIPAddress=TEXT,
    connection=TEXT,
)
LOG = exactly(
    {
        "version": {"const": "1.2"},
        "creator": exactly({"name": TEXT, "version": TEXT}),
        "entries": {"type": "array", "items": ENTRY},
    },
    browser=exactly({"name": TEXT, "version": TEXT}),
    pages={"type": "array"},
)
HAR = Schema({"type": "object", "required": ["log"], "properties": {"log": LOG}, "additionalProperties": False}, {})
"""HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/), as strict as the mock keeps to it."""


@pytest.fixture
def control(live_server: LiveServer) -> Iterator[httpx.Client]:
    """Yield a client with a key of its own, on a frozen clock, whose control answers are held against the document."""
    with watched(live_server.client(clock="frozen")) as client:
        yield client


def entries(client: httpx.Client) -> list[dict[str, Any]]:
    """Return the entries of the archive, which is valid."""
    archive = client.get("/__mock/journal.har").json()
    assert list(HAR.violations(archive)) == []
    return list(archive["log"]["entries"])


def test_calls_of_every_kind_make_a_valid_archive(control: httpx.Client) -> None:
    """Oldest first; a call that never had an answer is not there."""
    job_id = submit(control)
    control.post("/v1/render/jobs", content=b"\xff{", headers={"content-type": "text/x"})
    control.get("/v1/jobs?status=queued&a=%ff&b&c=%20x[]")
    with pytest.raises(httpx.HTTPError):
        control.get("/v1/me", headers={"x-mock-fault": "reset_peer"})
    with pytest.raises(httpx.HTTPError):
        control.get("/v1/me", headers={"x-mock-fault": "truncated_body"})
    rest = [("HEAD", "/v1/me"), ("OPTIONS", "/v1/me"), ("PATCH", "/v1/é"), ("POST", f"/v1/jobs/{job_id}/cancel")]
    for method, path in rest:
        control.request(method, path)
    control.get(f"/v1/jobs/{job_id}/progress")
    told = [(each["request"]["method"], each["response"]["status"]) for each in entries(control)]
    assert told == [
        ("POST", 202),
        ("POST", 400),
        ("GET", 200),
        ("GET", 200),
        ("HEAD", 200),
        ("OPTIONS", 204),
        ("PATCH", 404),
        ("POST", 200),
        ("GET", 200),
    ]


def test_an_empty_journal_is_a_valid_archive(control: httpx.Client) -> None:
    """It has no entries."""
    assert entries(control) == []


def test_times_are_those_of_the_sandbox(live_server: LiveServer) -> None:
    """A stream on an auto clock takes as long as its job, from its first event on."""
    with watched(live_server.client()) as client:
        job_id = submit(client)
        client.get(f"/v1/jobs/{job_id}/progress")
        _, stream = entries(client)
        ends = client.get(f"/__mock/jobs/{job_id}").json()["endsAt"]
    assert stream["startedDateTime"] == "2026-01-01T00:00:00.000Z"
    assert ends.endswith(f"{stream['time'] / 1000:06.3f}Z")
    assert stream["timings"] == {"send": 0, "wait": 0, "receive": stream["time"]}


def test_a_stream_counts_its_events_in_the_comment(live_server: LiveServer) -> None:
    """Its size is not known."""
    with watched(live_server.client()) as client:
        answer = client.get(f"/v1/jobs/{submit(client)}/progress")
        *_, stream = entries(client)
    count = answer.text.count("data:")
    assert stream["comment"] == f"{answer.headers['x-mock-call-id']}, {count} events"
    assert (stream["response"]["bodySize"], stream["response"]["content"]["mimeType"]) == (-1, "text/event-stream")


def test_a_broken_answer_says_so_in_the_comment(control: httpx.Client) -> None:
    """The archive has no field for it."""
    with pytest.raises(httpx.HTTPError):
        control.get("/v1/me", headers={"x-mock-fault": "truncated_body"})
    (broken,) = entries(control)
    assert broken["comment"].endswith(", truncated_body")


def test_long_bodies_are_cut_and_their_sizes_are_true(control: httpx.Client) -> None:
    """A comment says so."""
    body = movie(projectId="x" * 2 * MAX_BODY)
    answer = control.post("/v1/render/jobs", json=body)
    (entry,) = entries(control)
    size = len(answer.request.content)
    assert (entry["request"]["bodySize"], len(entry["request"]["postData"]["text"])) == (size, MAX_BODY)
    assert entry["request"]["postData"]["comment"] == f"the first 64 KiB of {size} bytes"


def test_url_and_query_are_as_they_were_asked_for(control: httpx.Client) -> None:
    """The query is there as a whole, and by its parts."""
    control.get("/v1/jobs/a%20b?limit=5&type=render%2Ex")
    request = entries(control)[0]["request"]
    assert request["url"] == f"{control.base_url}/v1/jobs/a%20b?limit=5&type=render%2Ex"
    assert request["queryString"] == [{"name": "limit", "value": "5"}, {"name": "type", "value": "render.x"}]


def test_no_key_is_in_the_archive(control: httpx.Client) -> None:
    """It can be handed to anybody."""
    key = control.headers["x-api-key"]
    control.get(f"/v1/jobs/{key}?cursor={key}", headers={"x-note": key})
    control.post("/v1/render/jobs", json=movie(projectId=key))
    assert key not in control.get("/__mock/journal.har").text
    assert {"name": "x-api-key", "value": "vs_prod_***"} in entries(control)[0]["request"]["headers"]
