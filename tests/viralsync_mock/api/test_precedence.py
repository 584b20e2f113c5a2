"""A request that breaks several rules gets the error of the first, in the order of docs page /api-reference/errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import httpx
import pytest
from tests.conftest import LiveServer, movie

from viralsync_mock.openapi.spec import Spec
from viralsync_mock.sandbox import Sandbox


@dataclass
class Attempt:
    """A request that is still valid, and the sandbox that it will reach; rules break one or the other."""

    server: LiveServer
    http: httpx.Client
    key: str
    method: str = "POST"
    path: str = "/v1/render/jobs"
    document: dict[str, Any] = field(default_factory=movie)
    padding: int = 0
    is_authenticated: bool = True

    @property
    def sandbox(self) -> Sandbox:
        """What the mock holds for the key."""
        return self.server.app.mock.sandbox(self.key)

    @property
    def spec(self) -> Spec:
        """What the mock is driven by."""
        return self.server.app.mock.files.spec

    def send(self) -> httpx.Response:
        """Send the request as it is now."""
        headers = {"content-type": "application/json"}
        if self.is_authenticated:
            headers |= self.server.headers(self.key)
        content = json.dumps(self.document).ljust(self.padding)
        return self.http.request(self.method, self.server.base_url + self.path, headers=headers, content=content)

    def before(self, path: str = "/v1/render/jobs") -> httpx.Response:
        """Send a valid request of the same key."""
        return Attempt(self.server, self.http, self.key, path=path).send()


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    """Yield an HTTP client without a key."""
    with httpx.Client() as client:
        yield client


def unknown_route(attempt: Attempt) -> None:
    """Break the path."""
    attempt.path = "/v1/nowhere"


def wrong_method(attempt: Attempt) -> None:
    """Break the method."""
    attempt.method = "PUT"


def no_key(attempt: Attempt) -> None:
    """Leave the key out."""
    attempt.is_authenticated = False


def revoked_key(attempt: Attempt) -> None:
    """Revoke the key."""
    attempt.sandbox.account_overrides["revoked"] = True


def full_window(attempt: Attempt) -> None:
    """Use the rate limit up."""
    limit, now = attempt.spec.rate_limit, attempt.sandbox.clock.now()
    for _ in range(limit.requests):
        attempt.sandbox.store.count_request(now, limit.requests, limit.window)


def free_plan(attempt: Attempt) -> None:
    """Take the REST API away."""
    attempt.sandbox.account_overrides["plan"] = "free"


def large_body(attempt: Attempt) -> None:
    """Send one byte more than the limit."""
    attempt.padding = attempt.spec.body_limit + 1


def invalid_body(attempt: Attempt) -> None:
    """Break the schema."""
    attempt.document["kind"] = "song"


def quota_used_up(attempt: Attempt) -> None:
    """Use the month's render minutes up."""
    attempt.sandbox.store.set_minutes(attempt.sandbox.clock.now(), 200, None)


def large_frame(attempt: Attempt) -> None:
    """Ask for more than the plan allows."""
    attempt.document["movie"] = {**attempt.document["movie"], "width": 3840, "height": 2160}


def jobs_at_once(attempt: Attempt) -> None:
    """Have as many unfinished jobs as the plan allows."""
    for _ in range(attempt.spec.plans["pro"].jobs_at_once or 0):
        assert attempt.before().status_code == 202


def unknown_job(attempt: Attempt) -> None:
    """Name a job that does not exist."""
    attempt.path = "/v1/jobs/job_000000000000/cancel"


def done_job(attempt: Attempt) -> None:
    """Name a job that is terminal."""
    attempt.path = f"/v1/jobs/{attempt.before().json()['jobId']}/cancel"
    assert attempt.before(attempt.path).status_code == 200


ON_SUBMISSION: dict[str, Callable[[Attempt], None]] = {
    "NOT_FOUND": unknown_route,
    "METHOD_NOT_ALLOWED": wrong_method,
    "UNAUTHORIZED": no_key,
    "API_KEY_REVOKED": revoked_key,
    "RATE_LIMITED": full_window,
    "FORBIDDEN": free_plan,
    "PAYLOAD_TOO_LARGE": large_body,
    "VALIDATION_ERROR": invalid_body,
    "RENDER_QUOTA_EXCEEDED": quota_used_up,
    "PLAN_LIMIT_EXCEEDED": large_frame,
    "CONCURRENCY_LIMIT_EXCEEDED": jobs_at_once,
}
"""What breaks each rule of a submission, in the order of precedence."""

ON_JOB: dict[str, Callable[[Attempt], None]] = {
    **{code: ON_SUBMISSION[code] for code in list(ON_SUBMISSION)[1:7]},
    "JOB_NOT_FOUND": unknown_job,
    "INVALID_STATE_TRANSITION": done_job,
}
"""The same of a cancellation."""


def answer_to(server: LiveServer, http: httpx.Client, rules: Iterable[Callable[[Attempt], None]]) -> tuple[int, str]:
    """Break the rules, the last first, and return status and code of the answer."""
    attempt = Attempt(server, http, server.new_key(clock="frozen"))
    for rule in reversed(list(rules)):
        rule(attempt)
    answer = attempt.send()
    return answer.status_code, answer.json()["code"]


def expected(server: LiveServer, code: str) -> tuple[int, str]:
    """Return the status that the spec gives to a code, and the code."""
    return server.app.mock.files.spec.errors[code].status, code


@pytest.mark.parametrize(("first", "second"), [*combinations(ON_SUBMISSION, 2)])
def test_of_two_broken_rules_of_a_submission_the_earlier_wins(
    live_server: LiveServer, http: httpx.Client, first: str, second: str
) -> None:
    """Whatever else is wrong, the answer tells of the check that comes first."""
    assert expected(live_server, first) == answer_to(live_server, http, [ON_SUBMISSION[first], ON_SUBMISSION[second]])


@pytest.mark.parametrize(("first", "second"), [*combinations(ON_JOB, 2)])
def test_of_two_broken_rules_of_a_cancellation_the_earlier_wins(
    live_server: LiveServer, http: httpx.Client, first: str, second: str
) -> None:
    """The job is looked for after the key, the limits and the body, and its status is looked at last."""
    assert expected(live_server, first) == answer_to(live_server, http, [ON_JOB[first], ON_JOB[second]])


@pytest.mark.parametrize("first", range(len(ON_SUBMISSION)))
def test_with_everything_wrong_from_a_rule_on_that_rule_wins(
    live_server: LiveServer, http: httpx.Client, first: int
) -> None:
    """Each check hides all the later ones at once."""
    rules = dict(list(ON_SUBMISSION.items())[first:])
    assert expected(live_server, next(iter(rules))) == answer_to(live_server, http, rules.values())


@pytest.mark.parametrize("header", ["happy-days", "enterprise"])
def test_a_scenario_is_not_looked_at_before_route_and_key(
    live_server: LiveServer, http: httpx.Client, header: str
) -> None:
    """Without a route or a key nobody asks for the scenario, known or not."""
    asked = {"x-mock-scenario": header}
    assert http.get(f"{live_server.base_url}/v1/nowhere", headers=asked).json()["code"] == "NOT_FOUND"
    assert http.get(f"{live_server.base_url}/v1/me", headers=asked).json()["code"] == "UNAUTHORIZED"
