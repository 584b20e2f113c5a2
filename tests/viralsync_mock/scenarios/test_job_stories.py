"""Scenarios that tell a story about one job: which submission is meant, how it runs, and what a gateway answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.conftest import LiveServer, movie
from tests.support.scenario_documents import parsed, spec

from viralsync_mock.clock import Mode
from viralsync_mock.errors import ScenarioError
from viralsync_mock.scenarios.body_match import mismatches
from viralsync_mock.scenarios.loader import load_scenario, parse_scenario
from viralsync_mock.scenarios.model import Match, RequestFacts, Rule, RuleState
from viralsync_mock.settings import Settings

SUBMIT = "/v1/render/jobs"
Enter = Callable[..., httpx.Client]


@pytest.fixture
def enter(live_server: LiveServer) -> Iterator[Enter]:
    """Yield a function that gives a client whose sandbox is in a scenario of these parts."""
    with ExitStack() as clients:

        def entered(**parts: Any) -> httpx.Client:
            client = clients.enter_context(live_server.client())
            client.put("/__mock/scenario", json=parts).raise_for_status()
            return client

        yield entered


def ended(client: httpx.Client, **changes: Any) -> dict[str, Any]:
    """Submit a movie and return its job once it is terminal."""
    path = f"/v1/jobs/{client.post(SUBMIT, json=movie(**changes)).json()['jobId']}"
    for _ in range(200):
        job: dict[str, Any] = client.get(path).json()
        if job["status"] in {"done", "failed", "cancelled"}:
            return job
    pytest.fail(f"{path} never ends")


def test_the_first_job_fails_and_the_retry_works(enter: Enter) -> None:
    """A rule with `job` says how one submission runs; its error is that of the phase."""
    client = enter(
        rules=[{"match": {"operation": "submitRenderJob", "nth": 1}, "job": {"fail": {"scene": 2, "at": "40%"}}}]
    )
    first, second = ended(client), ended(client)
    assert (first["status"], second["status"], second["error"]) == ("failed", "done", None)
    assert first["error"] == "SCENE_RENDER_FAILED: FFmpeg exited with code 1"
    assert first["children"]["failed"] == 1


def test_a_rule_changes_only_what_it_names(enter: Enter) -> None:
    """The scenario's own `job` holds for the rest, and for every other submission."""
    client = enter(job={"queued": "1h"}, rules=[{"match": {"nth": 2}, "job": {"fail": {"phase": "uploading"}}}])
    first, second = ended(client), ended(client)
    assert (first["status"], second["status"]) == ("done", "failed")
    assert second["error"].startswith("UPLOAD_FAILED: ")
    assert first["createdAt"] < "2026-01-01T01" < first["updatedAt"] <= second["createdAt"]
    assert second["updatedAt"] > "2026-01-01T02"


def test_a_snapshot_keeps_how_a_job_was_told_to_run(enter: Enter) -> None:
    """The plan of an unfinished job follows from what the rule said."""
    client = enter(rules=[{"match": {"nth": 1}, "job": {"fail": {"scene": 1}, "stall": {"at": "10%", "for": "1h"}}}])
    job = client.post(SUBMIT, json=movie()).json()["jobId"]
    before = client.get(f"/__mock/jobs/{job}").json()
    client.put("/__mock/snapshot", json=client.get("/__mock/snapshot").json()).raise_for_status()
    assert client.get(f"/__mock/jobs/{job}").json() == before


def test_a_job_stalls_at_a_progress(enter: Enter) -> None:
    """At the first step with at least this progress it stands still; everything later comes that much later."""
    scenes = {"scenes": [{"id": "a", "duration": 8}, {"id": "b", "duration": 8}]}
    plain, stalled = (
        client.get(f"/__mock/jobs/{client.post(SUBMIT, json=movie(movie=scenes)).json()['jobId']}").json()["steps"]
        for client in (enter(rules=[]), enter(job={"stall": {"at": "30%", "for": "5m"}}))
    )
    told = [(step["status"], step["progress"]) for step in stalled]
    assert told == [(step["status"], step["progress"]) for step in plain]
    late = [one["at"] != other["at"] for one, other in zip(plain, stalled, strict=True)]
    reached = next(index for index, step in enumerate(plain) if step["progress"] >= 0.3)
    assert late == [index > reached for index in range(len(plain))]


def test_a_job_can_stall_for_ever(enter: Enter) -> None:
    """It never ends by itself, and can be cancelled."""
    client = enter(job={"stall": {"at": "50%"}})
    path = f"/v1/jobs/{client.post(SUBMIT, json=movie()).json()['jobId']}"
    jobs = [client.get(path).json() for _ in range(60)]
    assert (jobs[-1]["status"], 0.5 <= jobs[-1]["progress"] < 1) == ("waiting", True)
    assert client.post(f"{path}/cancel").json()["status"] == "cancelled"


BODY = {"kind": "movie", "movie": {"title": None, "width": 1920, "scenes": [{"id": "intro"}, {"id": "outro"}]}}


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"movie": {"scenes": {"count": 2}}}, None),
        ({"movie": {"scenes": {"count": {"gt": 1, "lte": 2}}}}, None),
        (
            {"movie": {"scenes": {"count": {"gt": 3}}}},
            "$.movie.scenes: expected more than 3 items or characters, got a list",
        ),
        ({"movie": {"width": {"gte": 1920}}}, None),
        ({"movie": {"width": {"lt": 1920}}}, "$.movie.width: expected less than 1920, got 1920"),
        ({"movie": {"title": {"gt": 1}}}, "$.movie.title: expected more than 1, got null"),
        ({"movie": {"title": {"present": False}, "fps": {"present": False}}}, None),
        ({"movie": {"fps": {"present": True}}}, "$.movie.fps: expected a value, got nothing"),
        ({"kind": {"matches": "^mov"}}, None),
        ({"kind": {"matches": "^x"}}, "$.kind: expected a text that matches ^x, got"),
        ({"movie": {"scenes": [{"id": {"matches": "^i"}}, {}]}}, None),
        ({"movie": {"scenes": [{}]}}, "$.movie.scenes: expected a list of 1, got a list of 2"),
        ({"kind": "film"}, '$.kind: expected "film", got "movie"'),
        ({"count": {"present": True}}, "$.count: expected a value, got nothing"),
    ],
)
def test_a_body_is_matched_by_values_and_comparisons(wanted: dict[str, Any], told: str | None) -> None:
    """What does not match is named with its place."""
    found = next(mismatches(BODY, wanted), None)
    assert found is None if told is None else str(found).startswith(told)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"a": {"gt": "3"}}, "$.rules[0].match.body.a.gt: expected a number"),
        ({"a": {"count": {"more": 3}}}, "$.rules[0].match.body.a.count.more: expected one of gt, gte, lt, lte"),
        ({"a": {"matches": "("}}, "is not a regular expression"),
        ({"a": {"present": "no"}}, "expected true or false"),
    ],
)
def test_a_comparison_that_cannot_hold_is_refused(body: dict[str, Any], message: str) -> None:
    """At load, with its place."""
    with pytest.raises(ScenarioError) as caught:
        parsed(rules=[{"match": {"body": body}, "respond": {"status": 200}}])
    assert message in str(caught.value)


def test_for_counts_from_the_first_call_that_a_rule_applied_to() -> None:
    """Without a time in `after`; then it has healed."""
    rule = parsed(rules=[{"match": {"operation": "getJob", "for": "20s"}, "respond": {"status": 502}}]).rules[0]
    state = RuleState("x", (rule,))

    def applies(age: float, operation: str = "getJob") -> bool:
        return bool(state.first_match(RequestFacts(operation, {}, None, age), lambda *_: 0.0).rule)

    ages = [(5, "getMe"), (100, "getJob"), (119, "getJob"), (120, "getJob"), (500, "getJob")]
    assert [applies(age, operation) for age, operation in ages] == [False, True, True, False, False]
    assert state.is_exhausted(0, 120)
    assert not RuleState("x", (Rule(Match(duration=20, is_from_first=True)),)).is_exhausted(0, 1000)


def test_a_gateway_answers_in_html(enter: Enter) -> None:
    """Any status, content type and text; or as a fault asked for by a header."""
    page = "<html><h1>502 Bad Gateway</h1></html>"
    rule = {
        "match": {"operation": "getMe", "nth": 1},
        "respond": {"status": 502, "content_type": "text/html", "body": page},
    }
    client = enter(rules=[rule])
    scripted, asked = client.get("/v1/me"), client.get("/v1/me", headers={"x-mock-fault": "status=502"})
    assert (scripted.status_code, scripted.headers["content-type"], scripted.text) == (502, "text/html", page)
    assert (asked.status_code, asked.headers["content-type"]) == (502, "text/html")
    assert "502 Bad Gateway" in asked.text
    assert asked.headers["x-mock-fault"] == "status=502"


def test_a_body_can_be_a_file_beside_the_scenario(tmp_path: Path, start_mock: Callable[[Settings], LiveServer]) -> None:
    """Its media type follows from its name, and a snapshot holds its text."""
    (tmp_path / "502.html").write_text("<h1>Bad</h1>")
    (tmp_path / "gate.yaml").write_text("rules: [{match: {operation: getMe}, respond: {status: 502, file: 502.html}}]")
    with start_mock(Settings(scenario=str(tmp_path / "gate.yaml"), clock=Mode.AUTO)).client() as client:
        answer = client.get("/v1/me")
        client.put("/__mock/snapshot", json=client.get("/__mock/snapshot").json()).raise_for_status()
        again = client.get("/v1/me")
    for each in (answer, again):
        assert (each.status_code, each.headers["content-type"], each.text) == (502, "text/html", "<h1>Bad</h1>")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.html", "none.html cannot be read"),
        ("../odd.html", "expected a file in the folder of the scenario"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(name: str, message: str, tmp_path: Path) -> None:
    """At load, with its line."""
    (tmp_path / "gate.yaml").write_text(f"rules:\n  - respond: {{file: {name}}}")
    with pytest.raises(ScenarioError, match=r"gate.yaml:2: \$.rules\[0\].respond.file: ") as caught:
        load_scenario(tmp_path / "gate.yaml", spec())
    assert message in str(caught.value)


def test_a_request_cannot_name_a_file() -> None:
    """What comes over the network reads nothing from the disk."""
    with pytest.raises(ScenarioError, match="only a scenario file can name another file"):
        parsed(rules=[{"respond": {"file": "/etc/passwd"}}])


def test_a_scenario_needs_no_name(tmp_path: Path) -> None:
    """A file gives its own, a request is `inline`."""
    (tmp_path / "My Night.yaml").write_text("job: {queued: 5s}")
    assert load_scenario(tmp_path / "My Night.yaml", spec()).name == "my-night"
    assert parse_scenario({"job": {"queued": "5s"}}, spec()).name == "inline"


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    """Each on its line, with its place."""
    job = "job: {queued: soon, fail: {scene: 0, at: 2}}"
    text = f"account: {{plan: gold}}\n{job}\nrules:\n  - {{respond: {{status: 1}}}}\n  - {{}}\nodd: 1"
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(ScenarioError) as caught:
        load_scenario(tmp_path / "bad.yaml", spec())
    places = [line.removeprefix(f"{tmp_path}/").split(": ")[:2] for line in str(caught.value).split("\n")]
    assert places == [
        ["bad.yaml:1", "$.account.plan"],
        ["bad.yaml:2", "$.job.queued"],
        ["bad.yaml:2", "$.job.fail.scene"],
        ["bad.yaml:2", "$.job.fail.at"],
        ["bad.yaml:4", "$.rules[0].respond.status"],
        ["bad.yaml:5", "$.rules[1]"],
        ["bad.yaml:6", "$.odd"],
    ]
