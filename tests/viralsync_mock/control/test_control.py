"""The control API, over a real socket; each of its answers is held against its own document."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.conftest import LiveServer, movie
from tests.support.paths import ROOT

from viralsync_mock.api.routes import PathRoutes
from viralsync_mock.clock import EPOCH, Mode, RealTime
from viralsync_mock.control.app import ACTIONS, DOCUMENT, create_control, read_control_spec
from viralsync_mock.settings import Settings
from viralsync_mock.state import Listener
from viralsync_mock.validation.schema import Schema
from viralsync_mock.validation.validator import Validator

REFERENCE = (ROOT / "docs" / "control-api.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```http\n(\w+) (\S+)\n(.*?)```", REFERENCE, re.DOTALL)
SPEC = read_control_spec()


async def no_endpoint(*_: object) -> None:
    """Serve nothing: these routes are only looked up."""


VALIDATOR = Validator(SPEC)
ROUTES = PathRoutes(SPEC.paths, lambda _: no_endpoint)
ERROR = Schema(SPEC.document["components"]["schemas"]["Error"], SPEC.document)

StartMock = Callable[[Settings], LiveServer]


def conforms(response: httpx.Response) -> None:
    """Fail for an answer of the control API that its document does not describe."""
    response.read()
    request = response.request
    if not request.url.path.startswith("/__mock"):
        return
    found = ROUTES.find(request.url.path)
    operation = found[0].by_method.get(request.method) if found else None
    if operation is None:
        assert request.method == "OPTIONS" or list(ERROR.violations(response.json())) == []
        return
    assert list(VALIDATOR.answer(operation, response.status_code, response.headers.raw, response.content)) == []


def watched(client: httpx.Client) -> httpx.Client:
    """Hold every answer that the client gets against the document."""
    client.event_hooks = {"response": [conforms]}
    return client


@pytest.fixture
def control(live_server: LiveServer) -> Iterator[httpx.Client]:
    """Yield a client with a key of its own, on a frozen clock."""
    with watched(live_server.client(clock="frozen")) as client:
        yield client


@pytest.fixture
def job_id(control: httpx.Client) -> str:
    """Submit a job on the frozen clock."""
    return submit(control)


def submit(client: httpx.Client) -> str:
    """Submit the usual movie; return the id of its job."""
    response = client.post("/v1/render/jobs", json=movie())
    assert response.status_code == 202
    return str(response.json()["jobId"])


def advance(client: httpx.Client, **how_far: Any) -> dict[str, Any]:
    """Move the clock; return what was told."""
    response = client.post("/__mock/clock/advance", json=how_far)
    assert response.status_code == 200, response.text
    return dict(response.json())


def refusal(response: httpx.Response) -> tuple[int, str, str]:
    """Return status, code and text of an error."""
    return response.status_code, response.json()["code"], response.json()["error"]


# ---------------------------------------------------------------- the document


def test_every_operation_of_the_document_has_one_action() -> None:
    """The document and the code know the same calls."""
    assert set(SPEC.operations) == ACTIONS.keys()


@pytest.mark.parametrize("operation", SPEC.operations.values(), ids=lambda each: each.id)
def test_every_call_is_in_the_reference(operation: Any) -> None:
    """docs/control-api.md has a row for each call."""
    assert f"`{operation.method} {operation.path}`" in REFERENCE


@pytest.mark.parametrize("code", SPEC.errors)
def test_every_error_code_is_in_the_reference(code: str) -> None:
    """docs/control-api.md names each code with its status."""
    assert re.search(rf"^\| {SPEC.errors[code].status} \|.*`{code}`", REFERENCE, re.MULTILINE)


@pytest.mark.parametrize(("method", "path", "body"), BLOCKS)
def test_every_call_shown_in_the_reference_works(
    control: httpx.Client, job_id: str, method: str, path: str, body: str
) -> None:
    """Each block of docs/control-api.md is a call that succeeds."""
    path, body = (text.replace("job_0123456789ab", job_id) for text in (path, body))
    response = control.request(method, path, content=body)
    assert response.is_success, response.text


def test_the_document_is_valid_openapi() -> None:
    """An independent validator accepts the document."""
    command = shutil.which("openapi-spec-validator", path=Path(sys.executable).parent)
    assert command, "openapi-spec-validator is not installed beside this Python"
    result = subprocess.run([command, str(DOCUMENT)], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.needs_node
def test_the_document_passes_redocly() -> None:
    """Redocly's strict rules find nothing."""
    redocly = ROOT / "node_modules" / ".bin" / "redocly"
    if not redocly.exists():
        pytest.skip("redocly is not installed: run npm ci")
    result = subprocess.run([redocly, "lint", DOCUMENT], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_document_is_served_as_it_is_shipped(control: httpx.Client) -> None:
    """A tool can fetch the document from the mock."""
    response = control.get("/__mock/openapi.yaml")
    assert response.content == DOCUMENT.read_bytes()
    assert response.headers["content-type"] == "application/yaml"


def test_the_index_lists_every_call(control: httpx.Client) -> None:
    """Whoever tries the address finds out what there is."""
    listed = {(each["method"], each["path"]) for each in control.get("/__mock").json()["calls"]}
    assert listed == {(each.method, each.path) for each in SPEC.operations.values()}


# ---------------------------------------------------------------- the door


def test_calls_about_the_server_need_no_key(live_server: LiveServer) -> None:
    """Health, index, document and shipped scenarios answer to anybody on this machine."""
    with watched(httpx.Client(base_url=live_server.base_url)) as client:
        paths = ("", "/health", "/openapi.yaml", "/scenarios")
        assert [client.get(f"/__mock{path}").status_code for path in paths] == [200, 200, 200, 200]


@pytest.mark.parametrize(
    ("method", "path"),
    [(each.method, each.path) for each in SPEC.operations.values() if each.secured] + [("POST", "/__mock/reset")],
)
def test_calls_about_a_sandbox_need_a_key(live_server: LiveServer, method: str, path: str) -> None:
    """Without a key there is no telling whose sandbox is meant."""
    with watched(httpx.Client(base_url=live_server.base_url)) as client:
        status, code, _ = refusal(client.request(method, path, json={}))
    assert (status, code) == (401, "UNAUTHORIZED")


def test_a_key_of_another_form_is_refused_without_being_repeated(live_server: LiveServer) -> None:
    """What was sent as a key may be a secret of another service."""
    with watched(httpx.Client(base_url=live_server.base_url, headers={"x-api-key": "sk_secret"})) as client:
        status, code, text = refusal(client.get("/__mock/clock"))
    assert (status, code) == (401, "UNAUTHORIZED")
    assert "sk_secret" not in text


def test_a_bearer_token_names_the_same_sandbox(live_server: LiveServer) -> None:
    """The two ways of showing a key are equivalent, as in the API."""
    key = live_server.new_key(clock="frozen")
    with watched(live_server.client(key)) as one, watched(httpx.Client(base_url=live_server.base_url)) as other:
        one.post("/__mock/clock/advance", json={"seconds": 5})
        clock = other.get("/__mock/clock", headers={"authorization": f"Bearer {key}"}).json()
    assert clock["now"] == "2026-01-01T00:00:05.000Z"


def test_with_a_token_each_call_has_to_carry_it(start_mock: StartMock) -> None:
    """A wrong token is as good as none."""
    server = start_mock(Settings(clock=Mode.FROZEN, control_token="open sesame"))
    with watched(httpx.Client(base_url=server.base_url)) as client:
        answers = [
            client.get("/__mock/scenarios", headers=headers).status_code
            for headers in ({}, {"x-mock-token": "open"}, {"x-mock-token": ""}, {"x-mock-token": "open sesame"})
        ]
    assert answers == [403, 403, 403, 200]


@pytest.mark.parametrize("headers", [{}, {"x-mock-token": "wrong"}, {"origin": "https://studio.example"}])
def test_health_is_open_and_says_no_more_than_that_it_is_up(start_mock: StartMock, headers: dict[str, str]) -> None:
    """A probe needs no token; version, spec and sandboxes are for those who may use the control API."""
    server = start_mock(Settings(clock=Mode.FROZEN, control_token="open sesame"))
    with watched(httpx.Client(base_url=server.base_url)) as client:
        assert client.get("/__mock/health", headers=headers).json() == {"status": "ok"}
        assert client.get("/__mock/health", headers={"x-mock-token": "open sesame"}).json()["sandboxes"] == 0


def test_a_probe_may_use_any_name_where_the_server_is_not_on_loopback(start_mock: StartMock) -> None:
    """An orchestrator asks by the address of the container."""
    server = start_mock(Settings(clock=Mode.FROZEN))
    server.app.mock.listener = Listener("0.0.0.0", 4747, is_loopback=False)  # noqa: S104 - not bound
    with watched(httpx.Client(base_url=server.base_url, headers={"host": "10.0.0.7:4747"})) as client:
        assert client.get("/__mock/health").json() == {"status": "ok"}
        assert client.get("/__mock/scenarios").status_code == 403


def test_a_token_opens_the_control_api_to_other_machines(start_mock: StartMock) -> None:
    """A page of any site with the token is let in, under a name that the settings allow."""
    settings = Settings(clock=Mode.FROZEN, control_token="open sesame", allowed_hosts=("mock.internal",))
    server = start_mock(settings)
    headers = {"x-mock-token": "open sesame", "host": "mock.internal:4747", "origin": "https://studio.example"}
    with watched(httpx.Client(base_url=server.base_url, headers=headers)) as client:
        assert client.get("/__mock/health").status_code == 200


@pytest.mark.parametrize(("name", "remedy"), [("host", "--allow-host"), ("origin", "--control-token")])
def test_without_a_token_other_machines_are_refused(control: httpx.Client, name: str, remedy: str) -> None:
    """A page of another site, or a name rebound to 127.0.0.1, does not get in, and the answer says what to do."""
    headers = {name: "https://studio.example" if name == "origin" else "studio.example"}
    status, code, text = refusal(control.post("/__mock/reset", headers=headers))
    assert (status, code) == (403, "FORBIDDEN")
    assert name in text
    assert remedy in text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site", "sec-fetch-dest": "script"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-dest": "iframe"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-dest": "document"}, 200),
        ({"sec-fetch-site": "cross-site", "origin": "http://localhost:3000"}, 200),
        ({"sec-fetch-site": "same-origin", "sec-fetch-dest": "empty"}, 200),
    ],
)
def test_a_page_of_another_site_is_refused_also_without_an_origin(
    control: httpx.Client, headers: dict[str, str], status: int
) -> None:
    """Browsers send no `Origin` for images and scripts; a link that leads here may be followed."""
    assert control.get("/__mock/clock", headers=headers).status_code == status


def test_a_server_without_control_does_not_know_its_paths(start_mock: StartMock) -> None:
    """With the control API off, the API itself answers."""
    server = start_mock(Settings(clock=Mode.FROZEN, control=False, check_answers=True))
    with server.client() as client:
        assert refusal(client.get("/__mock/health"))[:2] == (404, "NOT_FOUND")
    assert server.bugs == []


def test_only_the_prefix_itself_leads_to_the_control_api(control: httpx.Client) -> None:
    """A path that merely begins alike belongs to the API."""
    assert refusal(control.get("/__mockery"))[2] == "There is no route for GET /__mockery."


@pytest.mark.parametrize(("origin", "is_let_in"), [("http://localhost:3000", True), ("https://studio.example", False)])
def test_pages_on_loopback_origins_may_call(control: httpx.Client, origin: str, is_let_in: bool) -> None:
    """With a preflight; pages of other sites get nothing to read."""
    asked = {"origin": origin, "access-control-request-method": "POST", "access-control-request-headers": "x-api-key"}
    preflight = control.options("/__mock/reset", headers=asked)
    call = control.post("/__mock/reset", headers={"origin": origin})
    assert (preflight.status_code, call.status_code) == ((200, 200) if is_let_in else (400, 403))
    shown = [each.headers.get("access-control-allow-origin") for each in (preflight, call)]
    assert shown == [origin if is_let_in else None] * 2


def test_resetting_everything_needs_the_token(start_mock: StartMock) -> None:
    """A token guards the sandboxes of all keys, also from this machine."""
    server = start_mock(Settings(clock=Mode.FROZEN, control_token="open sesame"))
    with server.client() as client:
        answers = [client.post("/__mock/reset?all=true", headers=h) for h in ({}, {"x-mock-token": "open sesame"})]
    assert [answer.status_code for answer in answers] == [403, 200]


def test_control_calls_count_against_no_limit(live_server: LiveServer) -> None:
    """The fourth request of the API is the first to be refused, whatever was asked of the control API."""
    with watched(live_server.client(clock="frozen", scenario="rate-limited")) as client:
        for _ in range(5):
            client.get("/__mock/clock")
        assert [client.get("/v1/me").status_code for _ in range(4)] == [200, 200, 200, 429]


# ---------------------------------------------------------------- refusals


def test_an_unknown_path_names_the_nearest(control: httpx.Client) -> None:
    """A typing error is answered with the path that was meant."""
    status, code, text = refusal(control.get("/__mock/clok"))
    assert (status, code) == (404, "NOT_FOUND")
    assert text.endswith('Did you mean "/__mock/clock"?')


def test_a_method_that_is_not_allowed_tells_which_are(control: httpx.Client) -> None:
    """405 comes with Allow."""
    response = control.delete("/__mock/clock")
    assert refusal(response)[:2] == (405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == "GET, HEAD, PATCH"


def test_a_body_beyond_a_mebibyte_is_refused(control: httpx.Client) -> None:
    """The limit is the API's."""
    body = b'"' + b"x" * 1024 * 1024 + b'"'
    assert refusal(control.put("/__mock/scenario", content=body))[:2] == (413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize(
    ("method", "path", "body", "text"),
    [
        (
            "POST",
            "/clock/advance",
            {"secnds": 1},
            '$.secnds: not a property that the spec knows. Did you mean "seconds"?',
        ),
        ("POST", "/clock/advance", {}, "$: expected at least 1 property, got 0"),
        ("POST", "/clock/advance", {"seconds": 1, "to": "next"}, "$: expected at most 1 property, got 2"),
        ("POST", "/clock/advance", {"seconds": -1}, "$.seconds: expected at least 0, got -1"),
        ("POST", "/clock/advance", {"seconds": 2_678_401}, "$.seconds: expected at most 2678400, got 2678401"),
        ("POST", "/clock/advance", {"to": "nxt"}, '$.to: expected a valid date-time, got "nxt"'),
        ("POST", "/clock/advance", {"until": {"jobId": "a"}}, "$.until.status: required, but missing"),
        ("POST", "/clock/advance", [], "$: expected an object, got a list of 0"),
        ("PATCH", "/clock", {"mode": "frozn"}, 'got "frozn". Did you mean "frozen"?'),
        ("PATCH", "/clock", {"mode": "real", "rate": 2}, "$.rate: expected 1 in mode real, got 2"),
        ("PATCH", "/clock", {"mode": "scaled", "rate": 0}, "$.rate: expected more than 0 in mode scaled, got 0"),
        ("PATCH", "/clock", {"now": "2025-12-31T23:59:59Z"}, "$.now: the clock only goes forward"),
        ("PATCH", "/clock", {"now": "2026-02-02T00:00:00Z"}, "$.now: expected at most 31 days after 2026-01-01"),
        ("PATCH", "/clock", {"now": "9500-01-01T00:00:00Z"}, "$.now: the clock ends at 9000-01-01"),
        ("PATCH", "/clock", {"now": "tomorrow"}, '$.now: expected a valid date-time, got "tomorrow"'),
        ("PATCH", "/clock", {"now": "0001-01-01T00:00:00+14:00"}, "$.now: expected an instant such as"),
        ("PATCH", "/account", {"plan": "busines"}, 'got "busines". Did you mean "business"?'),
        ("PATCH", "/account", {"minutesUsed": -1}, "$.minutesUsed: expected at least 0, got -1"),
        ("PATCH", "/account", {"email": "nobody"}, '$.email: expected a valid email, got "nobody"'),
        (
            "PUT",
            "/scenario",
            {"name": "scene-fail"},
            '$.name: there is no scenario "scene-fail". Did you mean "scene-fails"?',
        ),
        ("PUT", "/scenario", {}, "$: expected at least 1 property, got 0"),
        (
            "PUT",
            "/scenario",
            {"name": "mine", "description": "Mine.", "job": {"queud": "1s"}},
            '$.job.queud: unknown key. Did you mean "queued"?',
        ),
        ("POST", "/reset?al=true", None, 'query.al: not a parameter of this call. Did you mean "all"?'),
        ("POST", "/reset?all=yes", None, 'query.all: expected a boolean, got "yes"'),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong_and_where(
    control: httpx.Client, method: str, path: str, body: Any, text: str
) -> None:
    """Every refusal names the place, what was expected, and the word that was probably meant."""
    status, code, error = refusal(control.request(method, f"/__mock{path}", json=body))
    assert (status, code) == (400, "VALIDATION_ERROR")
    assert text in error


def test_what_is_not_json_is_told_where(control: httpx.Client) -> None:
    """A body that does not parse gets line and column."""
    status, code, text = refusal(control.patch("/__mock/clock", content=b'{"mode": frozen}'))
    assert (status, code) == (400, "VALIDATION_ERROR")
    assert "line 1 column 10" in text


def test_a_wrong_request_changes_nothing(control: httpx.Client) -> None:
    """A patch of which one part is refused is refused as a whole."""
    before = control.get("/__mock/clock").json(), control.get("/__mock/account").json()
    control.patch("/__mock/clock", json={"mode": "auto", "now": "2025-01-01T00:00:00Z"})
    control.patch("/__mock/account", json={"revoked": True, "plan": "busines"})
    assert (control.get("/__mock/clock").json(), control.get("/__mock/account").json()) == before


async def test_a_bug_answers_in_the_shape_of_the_api(live_server: LiveServer) -> None:
    """What nobody foresaw is told to the server's log, not to the client."""

    async def broken(_: object) -> Any:
        raise ZeroDivisionError

    app = create_control(live_server.app.mock, {**ACTIONS, "getHealth": broken})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        response = await client.get("/__mock/health")
    assert refusal(response) == (500, "INTERNAL_ERROR", "A bug of the mock. Its log says more.")
    assert [(where, type(error)) for where, error in live_server.bugs] == [("GET /__mock/health", ZeroDivisionError)]
    live_server.bugs.clear()


# ---------------------------------------------------------------- server


def test_health_tells_of_the_server(start_mock: StartMock) -> None:
    """Version, spec, and how many sandboxes are open; the question itself opens none."""
    server = start_mock(Settings(clock=Mode.FROZEN))
    with watched(server.client()) as client:
        health = client.get("/__mock/health").json()
    assert health.pop("memory") == {"limit": 2**28, "used": 12_288, "sandboxesDropped": 0}
    assert health == {"status": "ok", "version": health["version"], "spec": "ViralSync API 1.0.0", "sandboxes": 1}


def test_reset_drops_the_sandbox(control: httpx.Client, job_id: str) -> None:
    """Jobs and clock are as if the key had never been used."""
    advance(control, seconds=5)
    assert control.post("/__mock/reset").json() == {"dropped": 1}
    assert control.get(f"/__mock/jobs/{job_id}").status_code == 404
    assert control.get("/__mock/clock").json()["now"] == "2026-01-01T00:00:00.000Z"


def test_reset_leaves_other_sandboxes_alone(live_server: LiveServer, control: httpx.Client, job_id: str) -> None:
    """A test never loses what another test made."""
    with watched(live_server.client()) as other:
        other.post("/__mock/reset")
    assert control.get(f"/__mock/jobs/{job_id}").status_code == 200


def test_reset_of_all_needs_no_key(start_mock: StartMock) -> None:
    """One call between two runs leaves nothing behind."""
    server = start_mock(Settings(clock=Mode.FROZEN))
    keys = [server.new_key(), server.new_key()]
    with watched(httpx.Client(base_url=server.base_url)) as client:
        assert client.post("/__mock/reset?all=true").json() == {"dropped": len(keys)}
        assert client.get("/__mock/health").json()["sandboxes"] == 0


# ---------------------------------------------------------------- clock


@pytest.mark.parametrize("patch", [{"mode": "frozen"}, {"rate": 60}, {"mode": "auto"}, {"mode": "real"}])
def test_a_clock_that_flows_can_be_changed(start_mock: StartMock, patch: dict[str, Any]) -> None:
    """Real time goes on while the call is served."""
    ticks = count()
    server = start_mock(Settings(real=RealTime(wall=lambda: EPOCH, monotonic=lambda: next(ticks) / 1e6)))
    with watched(server.client(clock="real")) as client:
        response = client.patch("/__mock/clock", json=patch)
    assert (response.status_code, server.bugs) == (200, [])


@pytest.fixture
def hands(start_mock: StartMock) -> Iterator[tuple[httpx.Client, list[float]]]:
    """Yield a client of a mock in real mode, and the real time in seconds, which the test moves."""
    seconds = [0.0]
    real = RealTime(wall=lambda: EPOCH, monotonic=lambda: seconds[0])
    server = start_mock(Settings(real=real))
    with watched(server.client(clock="real")) as client:
        yield client, seconds


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({"rate": 60}, {"now": "2026-01-01T00:10:00.000Z", "mode": "scaled", "rate": 60}),
        ({"rate": 0}, {"now": "2026-01-01T00:00:00.000Z", "mode": "frozen", "rate": 0}),
        ({"mode": "scaled", "rate": 0.5}, {"now": "2026-01-01T00:00:05.000Z", "mode": "scaled", "rate": 0.5}),
        ({"mode": "real"}, {"now": "2026-01-01T00:00:10.000Z", "mode": "real", "rate": 1}),
        ({"mode": "auto"}, {"now": "2026-01-01T00:00:00.000Z", "mode": "auto", "rate": 0}),
    ],
)
def test_the_clock_runs_as_it_was_told(
    hands: tuple[httpx.Client, list[float]], patch: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Ten real seconds later it is as much later as mode and rate say."""
    client, seconds = hands
    client.patch("/__mock/clock", json=patch)
    seconds[0] = 10
    assert client.get("/__mock/clock").json() == expected


def test_mode_and_now_stop_the_clock_at_exactly_that_instant(hands: tuple[httpx.Client, list[float]]) -> None:
    """A running clock stands where it was told, however long the call took."""
    client, seconds = hands
    response = client.patch("/__mock/clock", json={"mode": "frozen", "now": "2026-01-31T23:58:00+01:00"})
    seconds[0] = 10
    assert response.json() == {"now": "2026-01-31T22:58:00.000Z", "mode": "frozen", "rate": 0}
    assert client.get("/__mock/clock").json() == response.json()


def test_setting_the_clock_lets_what_is_due_happen(control: httpx.Client, job_id: str) -> None:
    """A job whose time has come is done."""
    control.patch("/__mock/clock", json={"now": "2026-01-01T01:00:00Z"})
    assert control.get(f"/v1/jobs/{job_id}").json()["status"] == "done"


def test_advance_tells_what_happened_in_order(control: httpx.Client, job_id: str) -> None:
    """Every step of the job is told at its instant, and last that it was charged."""
    told = advance(control, seconds=3600)
    steps = control.get(f"/__mock/jobs/{job_id}").json()["steps"]
    assert told["now"] == "2026-01-01T01:00:00.000Z"
    assert [effect["at"] for effect in told["effects"]] == [step["at"] for step in steps[1:]] + [steps[-1]["at"]]
    assert told["effects"][-1] == {"at": steps[-1]["at"], "kind": "charge", "jobId": job_id, "minutes": 0.1}


def test_advance_says_when_there_is_more_than_it_tells(control: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that was cut says so."""
    monkeypatch.setattr("viralsync_mock.sandbox.MAX_JOBS_LISTED", 1)
    first, _ = submit(control), submit(control)
    told = advance(control, seconds=3600)
    assert told["truncated"] is True
    assert {effect["jobId"] for effect in told["effects"]} == {first}


def test_to_next_goes_from_step_to_step(control: httpx.Client, job_id: str) -> None:
    """Each call goes exactly to the next step; after the last one nothing is due."""
    steps = control.get(f"/__mock/jobs/{job_id}").json()["steps"]
    assert [advance(control, to="next")["now"] for _ in steps[1:]] == [step["at"] for step in steps[1:]]
    response = control.post("/__mock/clock/advance", json={"to": "next"})
    assert refusal(response)[:2] == (409, "NOTHING_DUE")


def test_to_next_takes_the_job_whose_step_comes_first(control: httpx.Client) -> None:
    """With several jobs the nearest step of any counts."""
    submit(control)
    advance(control, seconds=0.7)
    submit(control)
    assert [advance(control, to="next")["now"][-6:] for _ in range(3)] == ["1.000Z", "1.500Z", "1.700Z"]


def test_to_next_stops_at_the_keep_alive_of_an_open_stream(live_server: LiveServer) -> None:
    """Where no job has a step to come, a stream still has its keep-alive."""
    key = live_server.new_key(clock="frozen", scenario="concurrency-full")
    with (
        live_server.client(key) as reader,
        watched(live_server.client(key)) as client,
        reader.stream("GET", f"/v1/jobs/{submit(client)}/progress") as stream,
    ):
        lines = stream.iter_lines()
        next(lines)
        assert advance(client, to="next")["now"] == "2026-01-01T00:00:15.000Z"
        assert any(line.startswith(":") for line in lines if line)


@pytest.mark.parametrize("status", ["running", "waiting", "done"])
def test_until_goes_to_where_the_job_has_the_status(control: httpx.Client, job_id: str, status: str) -> None:
    """The clock stops at the first step with that status, and the API tells it."""
    steps = control.get(f"/__mock/jobs/{job_id}").json()["steps"]
    first = next(step["at"] for step in steps if step["status"] == status)
    assert advance(control, until={"jobId": job_id, "status": status})["now"] == first
    assert control.get(f"/v1/jobs/{job_id}").json()["status"] == status


def test_until_a_child_has_a_status(control: httpx.Client, job_id: str) -> None:
    """Children have statuses of their own."""
    child = f"scene_{job_id}_002"
    advance(control, until={"jobId": child, "status": "done"})
    assert control.get(f"/v1/jobs/{child}").json()["status"] == "done"


@pytest.mark.parametrize("mode", ["frozen", "real"])
def test_until_a_status_that_the_job_has_stays(live_server: LiveServer, mode: str) -> None:
    """There is nowhere to go, on a clock that flows by itself neither."""
    with watched(live_server.client(clock="frozen")) as client:
        job_id = submit(client)
        client.patch("/__mock/clock", json={"mode": mode})
        assert advance(client, until={"jobId": job_id, "status": "queued"})["effects"] == []


@pytest.mark.parametrize("status", ["queued", "failed"])
def test_until_a_status_that_does_not_come_tells_the_timeline(control: httpx.Client, job_id: str, status: str) -> None:
    """Past or never: the answer says what the job will be instead."""
    advance(control, seconds=1)
    goal = {"until": {"jobId": job_id, "status": status}}
    code, name, text = refusal(control.post("/__mock/clock/advance", json=goal))
    assert (code, name) == (409, "STATUS_NOT_AHEAD")
    assert "queued from 2026-01-01T00:00:00.000Z, running from 2026-01-01T00:00:01.000Z, waiting from" in text


def test_until_more_than_a_month_ahead_is_refused(control: httpx.Client) -> None:
    """One call goes 31 days at most, whichever way it says how far."""
    job = {"queued": "720h", "planning": "720h"}
    control.put("/__mock/scenario", json={"name": "slowest", "description": "Sixty days.", "job": job})
    goal = {"until": {"jobId": submit(control), "status": "done"}}
    status, code, text = refusal(control.post("/__mock/clock/advance", json=goal))
    assert (status, code) == (400, "VALIDATION_ERROR")
    assert "$.until: expected at most 31 days after" in text


def test_until_an_unknown_job_is_not_found(control: httpx.Client) -> None:
    """The job has to be one of this sandbox."""
    goal = {"until": {"jobId": "job_unknown", "status": "done"}}
    assert refusal(control.post("/__mock/clock/advance", json=goal))[:2] == (404, "JOB_NOT_FOUND")


def test_advance_returns_when_open_streams_have_told(live_server: LiveServer) -> None:
    """What a stream sent on the way is among the effects, and its reader finds all of it."""
    key = live_server.new_key(clock="frozen")
    with live_server.client(key) as reader, watched(live_server.client(key)) as client:
        job_id = submit(client)
        with reader.stream("GET", f"/v1/jobs/{job_id}/progress") as stream:
            lines = (line for line in stream.iter_lines() if line.startswith("id:"))
            next(lines)
            effects = advance(client, until={"jobId": job_id, "status": "done"})["effects"]
            told = [effect["id"] for effect in effects if effect["kind"] == "event"]
            assert [line.removeprefix("id:").strip() for line in lines] == told


def test_streams_run_to_their_end_when_the_clock_becomes_auto(live_server: LiveServer) -> None:
    """A reader that waited for orders need not wait any more."""
    key = live_server.new_key(clock="frozen")
    with live_server.client(key) as reader, watched(live_server.client(key)) as client:
        job_id = submit(client)
        with reader.stream("GET", f"/v1/jobs/{job_id}/progress") as stream:
            lines = stream.iter_lines()
            next(lines)
            client.patch("/__mock/clock", json={"mode": "auto"})
            assert '"status":"done"' in [line for line in lines if line.startswith("data:")][-1]


# ---------------------------------------------------------------- scenario


def test_a_shipped_scenario_is_chosen_by_its_name(control: httpx.Client) -> None:
    """Jobs submitted from here on go as the scenario says."""
    assert control.get("/__mock/scenario").json()["isChosen"] is False
    control.put("/__mock/scenario", json={"name": "scene-fails"})
    assert control.get("/__mock/scenario").json()["name"] == "scene-fails"
    assert control.get(f"/__mock/jobs/{submit(control)}").json()["outcome"] == "failed"


def test_every_shipped_scenario_can_be_chosen(control: httpx.Client) -> None:
    """What is listed can be had."""
    listed = control.get("/__mock/scenarios").json()["scenarios"]
    chosen = [control.put("/__mock/scenario", json={"name": each["name"]}).json() for each in listed]
    assert chosen == [{**each, "isChosen": True} for each in listed]
    assert "happy" in [each["name"] for each in listed]


def test_a_whole_scenario_can_be_sent(control: httpx.Client) -> None:
    """The format is that of the files."""
    body = {"name": "mine", "description": "Never starts.", "job": {"queued": "forever"}}
    assert control.put("/__mock/scenario", json=body).status_code == 200
    assert control.get(f"/__mock/jobs/{submit(control)}").json()["endsAt"] is None


def test_jobs_keep_their_timelines_when_the_scenario_changes(control: httpx.Client, job_id: str) -> None:
    """Only what is submitted later goes otherwise."""
    before = control.get(f"/__mock/jobs/{job_id}").json()
    control.put("/__mock/scenario", json={"name": "scene-fails"})
    assert control.get(f"/__mock/jobs/{job_id}").json() == before


def test_a_scenario_brings_its_start_and_its_account(control: httpx.Client) -> None:
    """The clock goes to the start, and what was set of the account before is forgotten."""
    control.patch("/__mock/account", json={"plan": "business", "revoked": True, "minutesUsedToday": 3})
    control.put("/__mock/scenario", json={"name": "month-end"})
    account = control.get("/__mock/account").json()
    assert control.get("/__mock/clock").json()["now"] == "2026-01-31T23:58:00.000Z"
    assert (account["plan"], account["revoked"], account["minutesUsed"]) == ("pro", False, 200)
    assert account["minutesUsedToday"] == 0


def test_a_scenario_never_turns_the_clock_back(control: httpx.Client) -> None:
    """A clock past the scenario's start stays."""
    advance(control, seconds=31 * 86_400)
    control.put("/__mock/scenario", json={"name": "month-end"})
    assert control.get("/__mock/clock").json()["now"] == "2026-02-01T00:00:00.000Z"


def test_leaving_a_scenario_gives_its_used_minutes_back(control: httpx.Client) -> None:
    """After a scenario with a spent quota the next one starts from what it says itself."""
    control.put("/__mock/scenario", json={"name": "quota-exceeded"})
    assert control.post("/v1/render/jobs", json=movie()).status_code == 402
    control.put("/__mock/scenario", json={"name": "happy"})
    assert control.post("/v1/render/jobs", json=movie()).status_code == 202


def test_the_rules_of_a_scenario_count_from_where_it_is_chosen(control: httpx.Client) -> None:
    """Neither calls nor seconds from before count, also when the same scenario is chosen again."""
    body = {
        "name": "mine",
        "description": "The first call is refused, and all after ten seconds.",
        "rules": [
            {"match": {"operation": "getMe", "nth": 1}, "respond": {"error": "SERVICE_UNAVAILABLE"}},
            {"match": {"operation": "getMe", "after": "10s"}, "respond": {"error": "INTERNAL_ERROR"}},
        ],
    }
    seen = []
    for _ in range(2):
        advance(control, seconds=20)
        control.put("/__mock/scenario", json=body)
        seen += [control.get("/v1/me").status_code for _ in range(2)]
    assert seen == [503, 200, 503, 200]


def test_a_shipped_scenario_begins_anew_when_it_is_chosen_again(control: httpx.Client) -> None:
    """Two calls go well in `outage`, then none: choosing it again sets its counts to nothing."""
    seen = []
    for _ in range(2):
        control.put("/__mock/scenario", json={"name": "outage"})
        seen += [control.get("/v1/me").status_code for _ in range(3)]
    assert seen == [200, 200, 503] * 2


def test_a_start_far_ahead_is_refused_while_a_stream_waits(live_server: LiveServer) -> None:
    """Thousands of keep-alives at once would do nobody good; without a stream the clock may go anywhere."""
    key = live_server.new_key(clock="frozen")
    body = {
        "name": "later",
        "description": "Years later.",
        "clock": {"start": "2030-01-01T00:00:00Z"},
        "account": {"minutes_used": 3},
    }
    with live_server.client(key) as reader, watched(live_server.client(key)) as client:
        with reader.stream("GET", f"/v1/jobs/{submit(client)}/progress") as stream:
            lines = stream.iter_lines()
            next(lines)
            refused = client.put("/__mock/scenario", json=body)
            client.post("/__mock/reset")
            assert list(lines)[-1:] in ([], [""])
        assert "$.clock.start: expected at most 31 days after" in refusal(refused)[2]
        assert client.put("/__mock/scenario", json=body).status_code == 200
        assert client.get("/__mock/clock").json()["now"] == "2030-01-01T00:00:00.000Z"
        assert client.get("/__mock/account").json()["minutesUsed"] == 3


# ---------------------------------------------------------------- account


def test_the_account_is_what_the_api_then_tells(control: httpx.Client) -> None:
    """Plan, address and minutes show in the API's own answers."""
    patch = {"plan": "business", "email": "mia@studio.example", "minutesUsed": 12.5}
    assert control.patch("/__mock/account", json=patch).json().items() >= patch.items()
    me, usage = control.get("/v1/me").json(), control.get("/v1/usage").json()
    assert (me["plan"], me["email"], usage["renderMinutes"]["used"]) == ("business", "mia@studio.example", 12.5)


def test_what_a_patch_of_the_account_leaves_out_stays(control: httpx.Client) -> None:
    """One patch does not undo another."""
    control.patch("/__mock/account", json={"plan": "business", "minutesUsedToday": 1.5})
    account = control.patch("/__mock/account", json={"minutesUsed": 7}).json()
    assert (account["plan"], account["minutesUsedToday"], account["minutesUsed"]) == ("business", 1.5, 7)


def test_a_null_address_is_made_from_the_id_again(control: httpx.Client) -> None:
    """The API always tells an address."""
    before = control.get("/v1/me").json()["email"]
    control.patch("/__mock/account", json={"email": "mia@studio.example"})
    assert control.patch("/__mock/account", json={"email": None}).json()["email"] is None
    assert control.get("/v1/me").json()["email"] == before


def test_the_control_api_answers_for_a_revoked_key(control: httpx.Client) -> None:
    """Whoever locked themselves out gets in again."""
    control.patch("/__mock/account", json={"revoked": True})
    assert refusal(control.get("/v1/me"))[:2] == (401, "API_KEY_REVOKED")
    assert control.patch("/__mock/account", json={"revoked": False}).status_code == 200
    assert control.get("/v1/me").status_code == 200


def test_the_control_api_answers_on_plan_free(control: httpx.Client) -> None:
    """The plan that the API refuses can be left again."""
    control.put("/__mock/scenario", json={"name": "free-plan"})
    assert control.get("/__mock/account").json()["plan"] == "free"
    assert refusal(control.get("/v1/me"))[:2] == (403, "FORBIDDEN")
    assert control.patch("/__mock/account", json={"plan": "pro"}).json()["plan"] == "pro"


# ---------------------------------------------------------------- jobs


def test_a_timeline_holds_what_is_still_to_come(control: httpx.Client, job_id: str) -> None:
    """What the API tells later stands in the timeline from the beginning."""
    planned = control.get(f"/__mock/jobs/{job_id}").json()
    for step in planned["steps"]:
        control.patch("/__mock/clock", json={"now": step["at"]})
        job = control.get(f"/v1/jobs/{job_id}").json()
        assert {name: job[name] for name in ("status", "phase", "progress", "children")} == {
            name: step[name] for name in ("status", "phase", "progress", "children")
        }


def test_looking_at_a_timeline_moves_no_auto_clock(live_server: LiveServer) -> None:
    """Only the API's own reads jump."""
    with watched(live_server.client(clock="auto")) as client:
        job_id = submit(client)
        first = client.get(f"/__mock/jobs/{job_id}").json()
        assert client.get("/__mock/jobs").json()["jobs"][0]["status"] == "queued"
        assert client.get(f"/__mock/jobs/{job_id}").json() == first


def test_the_timeline_of_a_child_names_its_parent(control: httpx.Client, job_id: str) -> None:
    """A child's id shows the child, as the parent's list of children does."""
    children = control.get(f"/__mock/jobs/{job_id}").json()["children"]
    assert [each["jobId"] for each in children] == [
        *(f"scene_{job_id}_00{number}" for number in (1, 2, 3)),
        f"assemble_{job_id}",
    ]
    shown = [control.get(f"/__mock/jobs/{each['jobId']}").json() for each in children]
    assert [{name: each[name] for name in children[0]} for each in shown] == children
    assert {each["parentJobId"] for each in shown} == {job_id}


def test_the_list_has_the_newest_first(control: httpx.Client) -> None:
    """With the number of all, of which a hundred are shown."""
    control.put(
        "/__mock/scenario", json={"name": "many", "description": "No limits.", "limits": {"concurrency": "off"}}
    )
    ids = [submit(control) for _ in range(103)]
    listed = control.get("/__mock/jobs").json()
    assert listed["total"] == 103
    assert [each["jobId"] for each in listed["jobs"]] == ids[:2:-1]


def test_a_job_of_another_sandbox_is_not_found(live_server: LiveServer, job_id: str) -> None:
    """Sandboxes do not see each other."""
    with watched(live_server.client()) as other:
        answers = [other.get(f"/__mock/jobs/{job_id}"), other.patch(f"/__mock/jobs/{job_id}", json={"status": "done"})]
    assert [refusal(answer)[:2] for answer in answers] == [(404, "JOB_NOT_FOUND")] * 2


@pytest.mark.parametrize(
    ("patch", "error"),
    [
        ({"status": "done"}, None),
        ({"status": "cancelled"}, None),
        ({"status": "failed"}, "SCENE_RENDER_FAILED: FFmpeg exited with code 1"),
        ({"status": "failed", "error": "RENDER_TIMEOUT: too long"}, "RENDER_TIMEOUT: too long"),
    ],
)
def test_a_job_ends_when_it_is_told(
    control: httpx.Client, job_id: str, patch: dict[str, str], error: str | None
) -> None:
    """The API tells the end at once, with its reason."""
    advance(control, until={"jobId": job_id, "status": "waiting"})
    timeline = control.patch(f"/__mock/jobs/{job_id}", json=patch).json()
    job = control.get(f"/v1/jobs/{job_id}").json()
    assert (job["status"], job["error"]) == (patch["status"], error)
    assert (timeline["outcome"], timeline["endsAt"], timeline["error"]) == (patch["status"], timeline["now"], error)


def test_a_job_that_is_told_to_be_done_is_charged(control: httpx.Client, job_id: str) -> None:
    """Six seconds of output are a tenth of a minute."""
    control.patch(f"/__mock/jobs/{job_id}", json={"status": "done"})
    assert control.get("/__mock/account").json()["minutesUsed"] == 0.1


def test_a_status_to_come_is_brought_forward(control: httpx.Client, job_id: str) -> None:
    """The step comes now, and all that follows as much earlier."""
    before = control.get(f"/__mock/jobs/{job_id}").json()
    after = control.patch(f"/__mock/jobs/{job_id}", json={"status": "waiting"}).json()
    assert (after["status"], after["phase"], after["now"]) == ("waiting", "rendering", before["now"])
    assert (before["endsAt"][-7:], after["endsAt"][-7:]) == ("18.300Z", "16.500Z")


def test_the_status_that_a_job_has_changes_nothing(control: httpx.Client, job_id: str) -> None:
    """An order that is already carried out is no error."""
    before = control.get(f"/__mock/jobs/{job_id}").json()
    assert control.patch(f"/__mock/jobs/{job_id}", json={"status": "queued"}).json() == before


def test_progress_is_lifted(control: httpx.Client, job_id: str) -> None:
    """From now on the job says at least so much."""
    control.patch(f"/__mock/jobs/{job_id}", json={"progress": 0.5})
    assert control.get(f"/v1/jobs/{job_id}").json()["progress"] == 0.5
    advance(control, until={"jobId": job_id, "status": "waiting"})
    assert control.get(f"/v1/jobs/{job_id}").json()["progress"] == 0.5


def test_a_job_fails_at_the_progress_that_it_was_told(control: httpx.Client, job_id: str) -> None:
    """Progress and status go together in one call."""
    control.patch(f"/__mock/jobs/{job_id}", json={"progress": 0.42, "status": "failed"})
    job = control.get(f"/v1/jobs/{job_id}").json()
    assert (job["status"], job["progress"]) == ("failed", 0.42)


@pytest.mark.parametrize("patch", [{"status": "queued"}, {"progress": 0.1}])
def test_a_step_back_is_refused(control: httpx.Client, job_id: str, patch: dict[str, Any]) -> None:
    """What was told stays told."""
    control.patch(f"/__mock/jobs/{job_id}", json={"status": "running", "progress": 0.2})
    before = control.get(f"/__mock/jobs/{job_id}").json()
    response = control.patch(f"/__mock/jobs/{job_id}", json=patch)
    assert refusal(response)[:2] == (409, "INVALID_STATE_TRANSITION")
    assert control.get(f"/__mock/jobs/{job_id}").json() == before


@pytest.mark.parametrize("patch", [{"status": "done"}, {"status": "running"}, {"progress": 0.99}])
def test_a_terminal_job_stays_as_it_is(control: httpx.Client, job_id: str, patch: dict[str, Any]) -> None:
    """Nothing changes a job that has ended."""
    control.patch(f"/__mock/jobs/{job_id}", json={"status": "done"})
    status, code, text = refusal(control.patch(f"/__mock/jobs/{job_id}", json=patch))
    assert (status, code) == (409, "INVALID_STATE_TRANSITION")
    assert text == f"Cannot change job {job_id} while it is done."


def test_a_child_follows_its_parent(control: httpx.Client, job_id: str) -> None:
    """Only parents take orders."""
    response = control.patch(f"/__mock/jobs/assemble_{job_id}", json={"status": "done"})
    assert refusal(response)[:2] == (409, "INVALID_STATE_TRANSITION")
    assert job_id in response.json()["error"]


@pytest.mark.parametrize(
    ("patch", "text"),
    [
        ({}, "$: expected at least 1 property, got 0"),
        ({"stauts": "done"}, '$.stauts: not a property that the spec knows. Did you mean "status"?'),
        ({"status": "canceled"}, 'got "canceled". Did you mean "cancelled"?'),
        ({"status": "done", "error": "no"}, '$.status: expected "failed", got "done"'),
        ({"error": "no"}, "$.status: required, but missing"),
        ({"progress": 1}, "$.progress: expected at most 0.99, got 1"),
    ],
)
def test_a_wrong_order_to_a_job_is_told_what_is_wrong(
    control: httpx.Client, job_id: str, patch: dict[str, Any], text: str
) -> None:
    """Words and places are checked before the job is looked at."""
    status, code, error = refusal(control.patch(f"/__mock/jobs/{job_id}", json=patch))
    assert (status, code) == (400, "VALIDATION_ERROR")
    assert text in error


def test_a_rewritten_job_is_told_by_its_open_stream_first(live_server: LiveServer) -> None:
    """When the call returns, the reader has the end in hand."""
    key = live_server.new_key(clock="frozen")
    with live_server.client(key) as reader, watched(live_server.client(key)) as client:
        job_id = submit(client)
        with reader.stream("GET", f"/v1/jobs/{job_id}/progress") as stream:
            lines = stream.iter_lines()
            next(lines)
            client.patch(f"/__mock/jobs/{job_id}", json={"status": "failed", "error": "UPLOAD_FAILED: no"})
            events = [json.loads(line.removeprefix("data:")) for line in lines if line.startswith("data:")]
    assert [(event["status"], event.get("error")) for event in events][-1] == ("failed", "UPLOAD_FAILED: no")
