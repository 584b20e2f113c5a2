"""What every answer must keep, and the category of what it breaks."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.fake_target import USAGE, Api, found, run_of
from tests.support.results import JSON_HEADERS, call, spec

from viralsync_conform.calls import Event, Exchange
from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.run import response_checks
from viralsync_conform.run.context import RunContext
from viralsync_mock.clock import EPOCH
from viralsync_mock.config.behaviour import BehaviourProfile

DONE = spec().document["components"]["examples"]["doneJob"]["value"]
REFUSED = {"error": "Wait 12 seconds.", "code": "RATE_LIMITED"}


def judged(*calls: Exchange, **options: Any) -> RunContext:
    run = run_of(Api(), **options)
    for each in calls:
        response_checks.check_response(run, each)
        response_checks.check_events(run, each)
    return run


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in DONE.items() if key != name}


def test_a_clean_answer_is_counted_and_breaks_nothing() -> None:
    """Status, media type and schema are asserted, so that green says how much was looked at."""
    run = judged(call(1, "getJob", DONE))
    assert found(run) == []
    assert {facts.STATUS, facts.CONTENT_TYPE, facts.SCHEMA} <= run.asserted.keys()


@pytest.mark.parametrize(
    ("answer", "category"),
    [
        (call(1, "getJob", without("progress")), "failure"),
        (call(1, "getJob", without("mediaData")), "warning"),
        (call(1, "getUsage", {name: part for name, part in USAGE.items() if name != "periodEnd"}), "difference"),
        (call(1, "getJob", {**DONE, "etag": "x"}), "additive"),
    ],
)
def test_the_mark_of_the_schema_gives_the_category(answer: Exchange, category: str) -> None:
    """A missing documented field fails, a sampled one warns, an assumed one differs, and a new one is additive."""
    assert found(judged(answer)) == [(category, "schema")]


def test_strict_runs_fail_where_others_warn() -> None:
    """What was only seen in a sample counts as documented."""
    assert found(judged(call(1, "getJob", without("mediaData")), is_strict=True)) == [("failure", "schema")]


def test_a_finding_says_where_and_whence() -> None:
    """Place, keyword, property, call and page are those of what is broken."""
    (finding,) = judged(call(5, "getJob", {**DONE, "progress": "half"})).findings
    assert (finding.place, finding.keyword, finding.calls, finding.operation) == ("/progress", "type", (5,), "getJob")
    assert finding.source == "/api-reference/jobs"
    assert "got 'half'" in finding.message


@pytest.mark.parametrize(("status", "category"), [(418, "difference"), (302, "difference"), (207, "additive")])
def test_a_status_that_is_not_declared(status: int, category: str) -> None:
    """No page says that an operation answers nothing else: where a success was due, its journey says so."""
    assert found(judged(call(1, "getJob", {}, status=status))) == [(category, "status")]


@pytest.mark.parametrize("headers", [(("content-type", "text/html"),), ()])
def test_another_media_type_fails(headers: tuple[tuple[str, str], ...]) -> None:
    """An HTML page or no type at all is no answer of the API, whatever is in it."""
    assert found(judged(call(1, "getJob", DONE, headers=headers))) == [("failure", "content_type")]
    html = call(1, "getJob", status=404, headers=headers, body=b"<h1>Not found</h1>")
    assert found(judged(html)) == [("failure", "content_type")]


def test_a_body_that_is_no_json_fails() -> None:
    """A cut body is told with how it begins; `null` is JSON, and breaks the schema."""
    (finding,) = judged(call(1, "getJob", body=b'{"jobId": "jo')).findings
    assert (finding.check, finding.keyword, finding.got) == ("schema", "json", '{"jobId": "jo')
    assert [each.keyword for each in judged(call(1, "getJob", body=b"null")).findings] == ["type"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("12", []),
        (None, [("failure", "headers")]),
        ("soon", [("failure", "headers")]),
        ("0", [("failure", "headers")]),
        ("1.5", [("failure", "headers")]),
    ],
)
def test_a_required_header_is_there_and_of_its_schema(value: str | None, expected: list[tuple[str, str]]) -> None:
    """A 429 says in whole seconds how long to wait."""
    headers = (*JSON_HEADERS, *((("Retry-After", value),) if value else ()))
    assert found(judged(call(1, "getMe", REFUSED, status=429, headers=headers))) == expected


@pytest.mark.parametrize("name", ["X-RateLimit-Remaining", "x-render-region", "RateLimit-Policy"])
def test_a_new_header_of_the_api_is_additive(name: str) -> None:
    """What tells of the rate limit, or begins with `x-`, is the API's own and was documented nowhere."""
    run = judged(*(call(number, "getJob", DONE, headers=(*JSON_HEADERS, (name, "1"))) for number in (1, 2)))
    (finding,) = run.findings
    assert (finding.category, finding.name, finding.calls) == ("additive", name.lower(), (1, 2))


@pytest.mark.parametrize("name", ["X-Request-Id", "x-mock-call", "X-Powered-By", "server", "cf-ray", "x-cache"])
def test_headers_of_proxies_and_frameworks_say_nothing(name: str) -> None:
    """Infrastructure adds them: they are no drift."""
    assert found(judged(call(1, "getJob", DONE, headers=(*JSON_HEADERS, (name, "1"))))) == []


def test_an_unknown_code_is_a_difference_unless_a_refusal_was_expected() -> None:
    """Who expected a refusal learns its code; anyone else says that a code is new."""
    odd = {"error": "no", "code": "TEAPOT"}
    assert found(judged(call(1, "getJob", odd, status=404, expected=""))) == [("difference", "error_code_assumed")]
    assert found(judged(call(1, "getJob", odd, status=404, expected="JOB_NOT_FOUND"))) == []


@pytest.mark.parametrize(("body", "keyword"), [({"error": "no"}, "required"), ({"error": 7, "code": "NO"}, "type")])
def test_every_error_has_a_text_and_a_code(body: object, keyword: str) -> None:
    """Both are documented, for operations and for paths that the spec does not have."""
    for operation in ("getJob", None):
        (finding,) = judged(call(1, operation, body, status=404)).findings
        assert (finding.category, finding.keyword) == ("failure", keyword)


def test_an_error_of_nowhere_is_json() -> None:
    """A framework's own 404 page is no error of the API."""
    html = call(1, None, status=404, headers=(("content-type", "text/html"),), body=b"<h1>Not found</h1>")
    assert found(judged(html)) == [("failure", "error_shape")]
    assert found(judged(call(1, None, status=200, headers=(), body=b"hello"))) == []


@pytest.mark.parametrize("operation", ["getJob", None])
@pytest.mark.parametrize("status", [500, 502, 503, 520])
def test_a_server_error_is_not_judged(operation: str | None, status: int) -> None:
    """A proxy's page during an outage must not turn a run red; `outages` says what a 5xx means."""
    page = (("content-type", "text/html"), ("x-proxy-error", "1"))
    assert found(judged(call(1, operation, status=status, headers=page, body=b"<h1>Oh</h1>"))) == []


def test_what_did_not_come_whole_is_not_judged() -> None:
    """An answer that broke off is a problem of the connection, not of the schema."""
    assert found(judged(call(1, "getJob", body=b'{"jo', problem="ReadError"), call(2, status=None))) == []


def test_each_event_is_judged_as_an_assumption() -> None:
    """Events are held against the schema of their data; that they hold what webhooks do is assumed."""
    events = tuple(Event(str(n), None, data, EPOCH) for n, data in enumerate(['{"status": "running"}', "no JSON"]))
    run = judged(call(1, "streamJobProgress", headers=(("content-type", "text/event-stream"),), events=events))
    assert {finding.name for finding in run.findings} >= {"jobId", "progress", "timestamp"}
    assert {category for category, _ in found(run)} == {"difference"}
    assert run.asserted[facts.SCHEMA] == 2


def test_the_reading_decides_what_is_broken() -> None:
    """A page in another reading is no failure where that reading is believed."""
    page = call(1, "listJobs", {"items": [], "nextCursor": None})
    assert found(judged(page, behaviour=BehaviourProfile(list_key="items"))) == []
    assert found(judged(page)) == [("difference", "schema"), ("additive", "schema")]
