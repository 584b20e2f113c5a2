"""What the script has to say to a call: the errors that a rule responds with read as the API's own."""

from __future__ import annotations

import httpx
import pytest

from mockserver.settings import shipped
from mockserver.spec import load_spec

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


def test_a_scripted_quota_is_that_of_the_plan(frozen: httpx.Client) -> None:
    """The text names the plan's minutes and when they come back."""
    text = respond_with(frozen, error="RENDER_QUOTA_EXCEEDED").json()["error"]
    assert "200 of 200" in text
    assert "2026-02-01T00:00:00.000Z" in text


def test_the_text_of_a_rule_takes_the_place_of_the_catalogues(frozen: httpx.Client) -> None:
    """The code stays."""
    answer = respond_with(frozen, error="FORBIDDEN", text="Not on a Sunday.")
    assert answer.json() == {"error": "Not on a Sunday.", "code": "FORBIDDEN"}
