"""What the script has to say to a call: the errors that a rule responds with read as the API's own."""

from __future__ import annotations

import json
from http.client import HTTPConnection

import httpx
import pytest

from viralsync_mock.openapi.spec import load_spec
from viralsync_mock.settings import shipped

ERRORS = load_spec(shipped("openapi.yaml")).errors


def respond_with(client: httpx.Client, **response: object) -> httpx.Response:
    """Put a rule in force that responds so to `getMe`, and return its answer."""
    rule = {"match": {"operation": "getMe"}, "respond": response}
    client.put("/__mock/scenario", json={"name": "scripted", "description": "A rule.", "rules": [rule]})
    return client.get("/v1/me")


@pytest.mark.parametrize("code", ERRORS)
def test_a_scripted_error_has_the_status_and_a_whole_text(frozen: httpx.Client, code: str) -> None:
    """No placeholder of the catalogue is left in the text."""
    answer = respond_with(frozen, error=code)
    assert (answer.status_code, answer.json()["code"]) == (ERRORS[code].status, code)
    assert "{" not in answer.json()["error"]


def test_a_scripted_rate_limit_says_how_long_to_wait(frozen: httpx.Client) -> None:
    """One second, unless the rule says otherwise; text and header agree."""
    assert respond_with(frozen, error="RATE_LIMITED").headers["retry-after"] == "1"
    answer = respond_with(frozen, error="RATE_LIMITED", headers={"Retry-After": "7"})
    assert (answer.headers["retry-after"], "7 seconds" in answer.json()["error"]) == ("7", True)


def test_a_scripted_quota_is_that_of_the_account(frozen: httpx.Client) -> None:
    """The text names the minutes that getUsage shows, and when they come back."""
    respond_with(frozen, error="RENDER_QUOTA_EXCEEDED")
    frozen.patch("/__mock/account", json={"minutesUsed": 12.5}).raise_for_status()
    text = frozen.get("/v1/me").json()["error"]
    used = frozen.get("/v1/usage").json()["renderMinutes"]
    assert f"{used['used']:g} of {used['limit']:g}" in text
    assert "2026-02-01T00:00:00.000Z" in text


def test_the_text_of_a_rule_takes_the_place_of_the_catalogues(frozen: httpx.Client) -> None:
    """The code stays."""
    answer = respond_with(frozen, error="FORBIDDEN", text="Not on a Sunday.")
    assert answer.json() == {"error": "Not on a Sunday.", "code": "FORBIDDEN"}


def test_a_fault_that_cannot_show_is_passed_over_and_not_named(frozen: httpx.Client) -> None:
    """A header that goes with every call of a client strikes where it can."""
    answer = frozen.get("/v1/me", headers={"x-mock-fault": "drop_after_events=2, before_response, latency=1ms"})
    assert (answer.status_code, answer.headers["x-mock-fault"]) == (200, "latency=0.001")


def test_an_unknown_scenario_is_named_as_it_was_sent_without_keys(frozen: httpx.Client) -> None:
    """What looks like a key is masked, however it came into the name."""
    key = frozen.headers["x-api-key"]
    texts = [frozen.get("/v1/me", headers={"x-mock-scenario": name}).json()["error"] for name in ("Scene_Fails", key)]
    assert '"Scene_Fails"' in texts[0]
    assert key.removeprefix("vs_prod_") not in texts[1]


def test_a_call_that_got_no_answer_has_no_code(frozen: httpx.Client) -> None:
    """Nobody was told of it."""
    with pytest.raises(httpx.RemoteProtocolError):
        frozen.get("/v1/jobs/nothing", headers={"x-mock-fault": "empty_response"})
    [call] = frozen.get("/__mock/journal").json()["calls"]
    assert (call["status"], call["code"], call["ending"]) == (None, None, "empty_response")


def test_who_asks_leave_to_send_too_long_a_body_is_refused_at_once(frozen: httpx.Client) -> None:
    """The body is never sent."""
    connection = HTTPConnection(frozen.base_url.host, frozen.base_url.port, timeout=5)
    headers = {"x-api-key": frozen.headers["x-api-key"], "content-length": "99999999999", "expect": "100-continue"}
    connection.request("POST", "/v1/render/jobs", headers=headers)
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["code"]) == (413, "PAYLOAD_TOO_LARGE")
    connection.close()
