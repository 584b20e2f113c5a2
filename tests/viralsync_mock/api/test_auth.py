"""API keys: where they are shown, what they look like, and what a refusal never tells."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import httpx
import pytest
from tests.conftest import LiveServer, movie, shipped

from viralsync_mock.api.auth import require_api_key
from viralsync_mock.errors import ApiError
from viralsync_mock.openapi.spec import load_spec

SPEC = load_spec(shipped("openapi.yaml"))
OPERATIONS = [(each.method, each.path.replace("{jobId}", "job_1")) for each in SPEC.operations.values()]
WELL_FORMED = "vs_prod_" + "k3y0" * 8
MALFORMED = [
    "",
    "secret",
    "vs_prod_",
    "vs_prod_" + "a" * 31,
    "vs_prod_" + "a" * 33,
    "vs_prod_" + "A" * 32,
    "vs_prod_" + "a" * 31 + "-",
    "vs_test_" + "a" * 32,
    "x" + WELL_FORMED,
    WELL_FORMED + " x",
    f"{WELL_FORMED}, {WELL_FORMED}",
    "\u00e9" * 40,
]


Ask = Callable[..., httpx.Response]


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    """Yield an HTTP client without a key."""
    with httpx.Client() as client:
        yield client


@pytest.fixture
def ask(live_server: LiveServer, http: httpx.Client) -> Ask:
    """Return a function that sends a request with these headers, and no others that matter."""

    def send(headers: dict[str, str], method: str = "GET", path: str = "/v1/me") -> httpx.Response:
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        return http.request(method, live_server.base_url + path, headers=raw)

    return send


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_both_headers_lead_to_the_same_account(live_server: LiveServer, ask: Ask, scheme: str) -> None:
    """A bearer token, whatever the case of its scheme, is as good as x-api-key."""
    key = live_server.new_key()
    plain = ask({"x-api-key": key})
    bearer = ask({"authorization": f"{scheme} {key}"})
    assert (plain.status_code, bearer.status_code) == (200, 200)
    assert plain.json() == bearer.json()


def test_the_same_key_in_both_headers_is_fine(live_server: LiveServer, ask: Ask) -> None:
    """Two headers that agree are one key."""
    key = live_server.new_key()
    assert ask({"x-api-key": key, "authorization": f"Bearer {key}"}).status_code == 200


def test_two_different_keys_are_refused(live_server: LiveServer, ask: Ask) -> None:
    """Nobody guesses which of two valid keys was meant."""
    answer = ask({"x-api-key": live_server.new_key(), "authorization": f"Bearer {live_server.new_key()}"})
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")
    assert "two different API keys" in answer.json()["error"]


def test_two_lines_of_one_header_that_differ_are_refused(live_server: LiveServer, http: httpx.Client) -> None:
    """A header that is sent twice is not silently reduced to one of its values."""
    lines = [("x-api-key", live_server.new_key()), ("x-api-key", live_server.new_key())]
    answer = http.get(f"{live_server.base_url}/v1/me", headers=lines)
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")


@pytest.mark.parametrize("key", MALFORMED)
@pytest.mark.parametrize("header", ["x-api-key", "authorization"])
def test_a_key_of_another_form_is_refused_and_not_repeated(ask: Ask, header: str, key: str) -> None:
    """The refusal says which form a key has, never what came."""
    answer = ask({header: key if header == "x-api-key" else f"Bearer {key or '-'}"})
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")
    assert SPEC.key_pattern.pattern in answer.json()["error"]
    assert len(key) < 9 or key not in answer.text


@pytest.mark.parametrize(
    "value", ["Basic dXNlcjpwYXNz", f"Token {WELL_FORMED}", WELL_FORMED, "Bearer", "", f"Bearer\t{WELL_FORMED}"]
)
def test_an_authorization_that_holds_no_bearer_token_is_refused(ask: Ask, value: str) -> None:
    """Another scheme, or no token, is no key."""
    answer = ask({"authorization": value})
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")
    assert WELL_FORMED not in answer.text


def test_another_scheme_beside_a_key_is_ignored(live_server: LiveServer, ask: Ask) -> None:
    """Clients add `Basic` by themselves, from a `.netrc`: the API key counts."""
    answer = ask({"x-api-key": live_server.new_key(), "authorization": "Basic dXNlcjpwYXNz"})
    assert answer.status_code == 200


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_operation_asks_for_a_key(ask: Ask, method: str, path: str) -> None:
    """Without a key there is nothing but 401, and the text says how to send one."""
    answer = ask({}, method, path)
    assert (answer.status_code, answer.json()["code"]) == (401, "UNAUTHORIZED")
    assert "x-api-key" in answer.json()["error"]


@pytest.mark.parametrize("query", [f"api_key={WELL_FORMED}", f"x-api-key={WELL_FORMED}", f"key={WELL_FORMED}"])
def test_a_key_in_the_query_is_no_key(ask: Ask, query: str) -> None:
    """Keys are sent in headers only."""
    assert ask({}, path=f"/v1/me?{query}").status_code == 401


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_a_revoked_key_is_refused_everywhere(live_server: LiveServer, ask: Ask, method: str, path: str) -> None:
    """A revoked key has a code of its own."""
    answer = ask(live_server.headers(live_server.new_key(scenario="revoked-key")), method, path)
    assert (answer.status_code, answer.json()["code"]) == (401, "API_KEY_REVOKED")


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_plan_free_has_no_rest_api(live_server: LiveServer, ask: Ask, method: str, path: str) -> None:
    """The key is good, the plan is not."""
    answer = ask(live_server.headers(live_server.new_key(plan="free")), method, path)
    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
    assert "free" in answer.json()["error"]


@pytest.mark.parametrize("plan", ["pro", "business", "enterprise"])
def test_the_other_plans_have_it(live_server: LiveServer, ask: Ask, plan: str) -> None:
    """The account tells its plan."""
    answer = ask(live_server.headers(live_server.new_key(plan=plan)))
    assert (200, plan) == (answer.status_code, answer.json()["plan"])


def test_each_key_is_an_account_of_its_own(live_server: LiveServer, ask: Ask) -> None:
    """Two keys have two user ids, and each keeps its own."""
    one, other = live_server.new_key(), live_server.new_key()
    first, second, again = (ask(live_server.headers(key)).json() for key in (one, other, one))
    assert first == again
    assert first["userId"] != second["userId"]
    assert re.fullmatch("user_[0-9a-f]{12}", first["userId"])


def test_no_answer_repeats_the_key(live_server: LiveServer) -> None:
    """Answers end in reports and caches: neither bodies nor headers hold the key, whatever the status."""
    with live_server.client(clock="frozen", scenario="rate-limited") as client:
        answers = [client.get("/v1/me"), client.get("/v1/jobs?limit=0"), client.post("/v1/render/jobs", json=movie())]
        answers += [client.get(path) for path in ("/v1/me", "/v1/nowhere")]
        answers += [client.put("/v1/me"), client.get("/v1/me", headers={"authorization": "Bearer x"})]
        key = client.headers["x-api-key"]
    assert [answer.status_code for answer in answers] == [200, 400, 202, 429, 404, 405, 401]
    assert not [answer for answer in answers if key in answer.text or key in str(answer.headers)]


def test_a_refusal_is_raised_without_the_key() -> None:
    """Not even the error that the pipeline hands around holds it, so no log can."""
    with pytest.raises(ApiError) as caught:
        require_api_key({b"x-api-key": b"vs_prod_my-secret"}, SPEC.key_pattern)
    assert "my-secret" not in f"{caught.value!r}{caught.value.values}"
