"""Which states of the API the client of a sandbox has met, over real sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_httpserver import HTTPServer
from tests.conftest import LiveServer, movie, shipped
from tests.support.small_spec import loaded, small
from tests.viralsync_mock.control.test_control import advance, refusal, submit, watched

from viralsync_mock.client import Sandbox
from viralsync_mock.clock import Mode
from viralsync_mock.config.behaviour import BehaviourProfile
from viralsync_mock.journal.coverage import Coverage, CoverageRecorder, coverage, reachable_states
from viralsync_mock.journal.entry import ANSWERED
from viralsync_mock.openapi.spec import load_spec
from viralsync_mock.settings import Settings

StartMock = Callable[[Settings], LiveServer]

SPEC = load_spec(shipped("openapi.yaml"))
REACHABLE = reachable_states(SPEC, BehaviourProfile())
OTHER_READINGS = BehaviourProfile(job_executing_status="running", job_assembling_status="waiting")
LARGE = b" " * (SPEC.body_limit + 1)
MOST_LOOKS = 1_000


@pytest.fixture
def control(live_server: LiveServer) -> Iterator[httpx.Client]:
    """Yield a client with a key of its own, on a frozen clock, whose control answers are checked."""
    with watched(live_server.client(clock="frozen")) as client:
        yield client


def met(client: httpx.Client, **asked: str) -> set[str]:
    """Return what was met."""
    response = client.get("/__mock/coverage", params=asked)
    assert response.status_code == 200, response.text
    return set(response.json()["met"])


def met_in_the_end(client: httpx.Client, fact: str) -> bool:
    """Say whether a fact is met that the server learns of a little later."""
    return any(fact in met(client) for _ in range(MOST_LOOKS))


def of_kind(kind: str, facts: set[str]) -> set[str]:
    """Return what follows the first word of the facts of one kind."""
    return {fact.removeprefix(f"{kind} ") for fact in facts if fact.startswith(f"{kind} ")}


def read(client: httpx.Client, job_id: str, **headers: str) -> str:
    """Read the whole stream of a job, until it ends however it does."""
    text = ""
    try:
        with client.stream("GET", f"/v1/jobs/{job_id}/progress", headers=headers) as response:
            for chunk in response.iter_text():
                text += chunk
    except httpx.RemoteProtocolError:
        pass
    return text


# ---------------------------------------------------------------- what can be met


def test_every_operation_with_every_declared_status_is_listed() -> None:
    """All but 405, which is no operation's."""
    declared = [f"{each.id} {status}" for each in SPEC.operations.values() for status in each.responses]
    listed = of_kind("operation", set(REACHABLE))
    assert {fact for fact in declared if not fact.endswith(" 405")} == listed
    assert len(listed) == 72


def test_every_error_code_of_the_spec_is_listed() -> None:
    """By the spec's own names."""
    assert set(SPEC.errors) == of_kind("code", set(REACHABLE))


def test_the_facts_of_jobs_and_streams_are_these() -> None:
    """Pinned: tools and baselines of teams hold these texts."""
    rest = [fact for fact in REACHABLE if not fact.startswith(("operation ", "code "))]
    assert rest == [
        *(f"status {each}" for each in ("queued", "running", "waiting", "done", "failed", "cancelled")),
        *(f"transition {each}" for each in ("queued->running", "running->waiting", "waiting->running")),
        *(f"transition {each}" for each in ("running->done", "running->failed", "waiting->failed")),
        *(f"transition {each}->cancelled" for each in ("queued", "running", "waiting")),
        *(f"phase {each}" for each in ("planning", "dispatching", "rendering", "assembling", "uploading")),
        *(f"stream ended {each}" for each in ("terminal", "without terminal", "dropped", "client left")),
        "stream resumed",
        *(f"webhook {each}" for each in ("progress", "done", "failed", "cancelled")),
        "pages cursor followed",
        "pages walked to the end",
    ]


def test_no_fact_is_listed_twice() -> None:
    """Each counts once."""
    assert len(set(REACHABLE)) == len(REACHABLE)


@pytest.mark.parametrize(
    ("behaviour", "edges"),
    [
        (BehaviourProfile(job_executing_status="running"), {"queued->running", "running->done"}),
        (OTHER_READINGS, {"queued->running", "running->waiting", "waiting->running", "running->done"}),
        (
            BehaviourProfile(job_assembling_status="waiting"),
            {"queued->running", "running->waiting", "waiting->running", "running->done"},
        ),
    ],
)
def test_the_transitions_are_those_of_the_behaviour_profile(behaviour: BehaviourProfile, edges: set[str]) -> None:
    """A status that no phase has is no state that can be met."""
    facts = set(reachable_states(SPEC, behaviour))
    along = {edge for edge in of_kind("transition", facts) if not edge.endswith(("->failed", "->cancelled"))}
    assert along == edges
    assert ("status waiting" in facts) == any("waiting" in edge for edge in edges)


def test_another_spec_has_other_facts(tmp_path: Path) -> None:
    """What the spec does not have cannot be met: no streams, webhooks or pages without their operations."""
    facts = set(reachable_states(loaded(small(), tmp_path), BehaviourProfile()))
    assert not of_kind("stream", facts) | of_kind("webhook", facts) | of_kind("pages", facts)


@pytest.mark.parametrize(("all_of", "some", "percent"), [(3, 1, 33.3), (1000, 999, 99.9), (2, 2, 100.0), (0, 0, 0.0)])
def test_the_percentage_is_never_rounded_up(all_of: int, some: int, percent: float) -> None:
    """100 means all of it."""
    facts = [f"code {number}" for number in range(all_of)]
    assert coverage(facts, set(facts[:some])).percent == percent


def test_a_fact_that_nobody_counts_is_left_out() -> None:
    """What was met beside the list makes no difference."""
    assert coverage(["code A", "code B"], {"code B", "code Z"}) == Coverage(("code B",), ("code A",))


# ---------------------------------------------------------------- what was met


def test_a_fresh_sandbox_has_met_nothing(start_mock: StartMock) -> None:
    """All that can be met is unmet, in the order of the spec."""
    with start_mock(Settings()).client() as client:
        answer = client.get("/__mock/coverage?anonymous=true").json()
    assert answer == {"met": [], "unmet": list(REACHABLE), "percent": 0.0}


def test_an_answer_meets_its_operation_with_its_status(control: httpx.Client) -> None:
    """Nothing else is met by it."""
    control.get("/v1/me")
    assert met(control) == {"operation getMe 200"}


def test_a_refusal_meets_its_code_too(control: httpx.Client) -> None:
    """The code is the spec's."""
    control.get("/v1/jobs/job_000000000000")
    assert met(control) == {"operation getJob 404", "code JOB_NOT_FOUND"}


def test_a_renamed_code_is_met_by_its_name_in_the_spec(control: httpx.Client) -> None:
    """A behaviour profile makes no other facts."""
    scenario = {"name": "mine", "description": "Other names.", "behaviour": {"errors": {"job_not_found": "GONE"}}}
    assert control.put("/__mock/scenario", json=scenario).status_code == 200
    assert control.get("/v1/jobs/job_000000000000").json()["code"] == "GONE"
    assert "code JOB_NOT_FOUND" in met(control)


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [("GET", "/v1/nothing", "NOT_FOUND"), ("DELETE", "/v1/me", "METHOD_NOT_ALLOWED")],
)
def test_a_call_of_no_operation_meets_its_code_alone(control: httpx.Client, method: str, path: str, code: str) -> None:
    """It belongs to none."""
    control.request(method, path)
    assert met(control) == {f"code {code}"}


def test_an_answer_that_a_fault_keeps_back_is_not_met(control: httpx.Client) -> None:
    """The client saw neither status nor code."""
    with pytest.raises(httpx.TransportError):
        control.get("/v1/jobs/job_000000000000", headers={"x-mock-fault": "empty_response"})
    assert met(control) == set()


def test_a_call_without_a_key_counts_only_when_strangers_do(start_mock: StartMock) -> None:
    """It belongs to no sandbox."""
    server = start_mock(Settings())
    with server.client() as client:
        httpx.get(f"{server.base_url}/v1/me", trust_env=False)
        assert met(client) == set()
        assert met(client, anonymous="true") == {"operation getMe 401", "code UNAUTHORIZED"}


def test_polling_meets_every_step_of_a_job(client: httpx.Client) -> None:
    """On an auto clock each look finds the next step."""
    job_id = submit(client)
    while client.get(f"/v1/jobs/{job_id}").json()["status"] != "done":
        pass
    facts = met(client)
    assert of_kind("transition", facts) == {"queued->running", "running->waiting", "waiting->running", "running->done"}
    assert of_kind("phase", facts) == {"planning", "dispatching", "rendering", "assembling", "uploading"}


def test_a_look_at_the_end_alone_meets_no_transition(control: httpx.Client) -> None:
    """What jobs went through unseen is not met: the client never had to cope with it."""
    job_id = submit(control)
    advance(control, seconds=600)
    for _ in range(2):
        assert control.get(f"/v1/jobs/{job_id}").json()["status"] == "done"
    facts = met(control)
    assert of_kind("status", facts) == {"queued", "done"}
    assert of_kind("transition", facts) | of_kind("phase", facts) == set()


def test_a_second_look_after_a_cancel_meets_no_other_transition(control: httpx.Client) -> None:
    """What was told last is remembered beyond the end."""
    job_id = submit(control)
    advance(control, seconds=1)
    control.get(f"/v1/jobs/{job_id}")
    assert control.post(f"/v1/jobs/{job_id}/cancel").json()["status"] == "cancelled"
    control.get(f"/v1/jobs/{job_id}")
    assert of_kind("transition", met(control)) == {"queued->running", "running->cancelled"}


def test_a_list_tells_of_jobs_too(control: httpx.Client) -> None:
    """Code that polls the list meets the same as code that polls the job."""
    submit(control)
    advance(control, seconds=1)
    control.get("/v1/jobs")
    assert of_kind("transition", met(control)) == {"queued->running"}


def test_a_child_meets_status_and_phase_only(control: httpx.Client) -> None:
    """Its transitions are not the job's."""
    job_id = submit(control)
    control.get(f"/v1/jobs/scene_{job_id}_001")
    advance(control, seconds=2)
    control.get(f"/v1/jobs/scene_{job_id}_001")
    facts = met(control)
    assert of_kind("phase", facts) == {"rendering"}
    assert of_kind("transition", facts) == set()


def test_a_stream_to_its_end_meets_all_that_it_told(client: httpx.Client) -> None:
    """Its events count like looks at the job."""
    read(client, submit(client))
    facts = met(client)
    assert of_kind("stream", facts) == {"ended terminal"}
    assert of_kind("transition", facts) == {"queued->running", "running->waiting", "waiting->running", "running->done"}


@pytest.mark.parametrize(
    ("fault", "ending"),
    [
        ("drop_after_events=2", "ended dropped"),
        ("cut_inside_event=2", "ended dropped"),
        ("end_without_terminal", "ended without terminal"),
        ("duplicate_events=1", "ended terminal"),
    ],
)
def test_a_fault_of_a_stream_meets_its_ending(client: httpx.Client, fault: str, ending: str) -> None:
    """As the client saw it end."""
    read(client, submit(client), **{"x-mock-fault": fault})
    assert met_in_the_end(client, f"stream {ending}")
    assert of_kind("stream", met(client)) == {ending}


def test_a_client_that_leaves_a_stream_meets_that(frozen: httpx.Client) -> None:
    """The server notices when the connection closes."""
    with frozen.stream("GET", f"/v1/jobs/{submit(frozen)}/progress") as response:
        next(response.iter_text())
    assert met_in_the_end(frozen, "stream ended client left")


def test_a_resumed_stream_is_met(client: httpx.Client) -> None:
    """`Last-Event-ID` was there, and was one of this job's; a stream with nothing left to tell has no ending."""
    job_id = submit(client)
    last = read(client, job_id).rpartition("id: ")[2].partition("\n")[0]
    before = met(client)
    read(client, job_id, **{"last-event-id": last})
    assert met(client) - before == {"stream resumed"}


def test_a_cursor_that_is_followed_to_the_last_page_is_met(control: httpx.Client) -> None:
    """Following one is not yet the end."""
    for _ in range(3):
        submit(control)
    first = control.get("/v1/jobs?limit=1").json()
    assert of_kind("pages", met(control)) == set()
    second = control.get("/v1/jobs", params={"limit": 1, "cursor": first["nextCursor"]}).json()
    assert of_kind("pages", met(control)) == {"cursor followed"}
    control.get("/v1/jobs", params={"limit": 1, "cursor": second["nextCursor"]})
    assert of_kind("pages", met(control)) == {"cursor followed", "walked to the end"}


def test_a_webhook_that_is_taken_meets_its_kind_and_what_it_told(control: httpx.Client, httpserver: HTTPServer) -> None:
    """A client that only listens meets the transitions that it hears of."""
    httpserver.expect_request("/hook").respond_with_data("ok")
    control.post("/v1/render/jobs", json=movie(callbackUrl=httpserver.url_for("/hook")))
    advance(control, seconds=600)
    facts = met(control)
    assert of_kind("webhook", facts) == {"progress", "done"}
    assert of_kind("transition", facts) == {"queued->running", "running->waiting", "waiting->running", "running->done"}


def test_a_webhook_that_is_refused_is_not_met_until_it_is_taken(control: httpx.Client, httpserver: HTTPServer) -> None:
    """Sent again by hand counts too."""
    hook = httpserver.expect_oneshot_request("/hook")
    hook.respond_with_data("no", status=500)
    control.post("/v1/render/jobs", json=movie(callbackUrl=httpserver.url_for("/hook")))
    advance(control, seconds=1)
    assert of_kind("webhook", met(control)) == set()
    httpserver.expect_request("/hook").respond_with_data("ok")
    control.post("/__mock/deliveries/delivery_1/redeliver")
    assert of_kind("webhook", met(control)) == {"progress"}


# ---------------------------------------------------------------- how long it is remembered


def test_a_short_journal_forgets_nothing_that_was_met(start_mock: StartMock) -> None:
    """Coverage is whole however few calls are kept."""
    with start_mock(Settings(clock=Mode.AUTO, journal_size=1)).client() as client:
        read(client, submit(client))
        client.get("/v1/me")
        client.delete("/__mock/journal")
        facts = met(client)
    assert {"operation submitRenderJob 202", "operation getMe 200", "stream ended terminal"} <= facts


def test_a_reset_begins_anew(control: httpx.Client) -> None:
    """It is the sandbox that has met something."""
    control.get("/v1/me")
    control.post("/__mock/reset")
    assert met(control) == set()


def test_asking_meets_nothing_and_needs_a_key(control: httpx.Client, live_server: LiveServer) -> None:
    """Control calls are no calls of the API."""
    met(control)
    assert met(control) == set()
    code = refusal(httpx.get(f"{live_server.base_url}/__mock/coverage", trust_env=False))[:2]
    assert code == (401, "UNAUTHORIZED")


def test_the_profile_that_holds_says_what_can_be_met(control: httpx.Client) -> None:
    """A scenario that turns a switch changes the list."""
    switches = {"job": {"executing_status": "running"}}
    scenario = {"name": "mine", "description": "Another reading.", "behaviour": switches}
    assert control.put("/__mock/scenario", json=scenario).status_code == 200
    answer = control.get("/__mock/coverage").json()
    assert [*answer["met"], *answer["unmet"]] == list(
        reachable_states(SPEC, BehaviourProfile(job_executing_status="running"))
    )


def test_the_client_tells_what_was_met(live_server: LiveServer) -> None:
    """`Sandbox.coverage` is the same, typed."""
    key = live_server.new_key()
    with Sandbox(live_server.base_url, key) as sandbox, live_server.client(key) as client:
        client.get("/v1/me")
        found = sandbox.coverage()
    assert (found.met, found.percent) == (("operation getMe 200",), 0.8)
    assert len(found.unmet) == len(REACHABLE) - 1


# ---------------------------------------------------------------- a long story that meets them all


class Story:
    """A client that goes everywhere, on one sandbox with a frozen clock."""

    def __init__(self, client: httpx.Client, hook: str) -> None:
        self.client, self.hook = client, hook

    def submit(self, **changes: Any) -> str:
        """Submit a movie with webhooks; return the id of its job, or nothing when it was refused."""
        return str(
            self.client.post("/v1/render/jobs", json=movie(callbackUrl=self.hook, **changes)).json().get("jobId")
        )

    def call_all(self, body: bytes | None = None, fault: str | None = None) -> None:
        """Make a call of every operation."""
        for operation in SPEC.operations.values():
            path = operation.path.replace("{jobId}", "job_000000000000")
            is_submission = body is None and operation.body_schema is not None
            content: dict[str, Any] = {"json": movie()} if is_submission else {"content": body}
            headers = {"x-mock-fault": fault} if fault else {}
            self.client.request(operation.method, path, headers=headers, **content)

    def account(self, **patch: Any) -> None:
        """Change the account."""
        assert self.client.patch("/__mock/account", json=patch).status_code == 200

    def scenario(self, name: str) -> None:
        """Choose a shipped scenario."""
        assert self.client.put("/__mock/scenario", json={"name": name}).status_code == 200

    def follow(self, job_id: str) -> None:
        """Look at a job at each of its steps."""
        while self.client.get(f"/v1/jobs/{job_id}").json()["status"] not in ("done", "failed", "cancelled"):
            advance(self.client, to="next")

    def cancel_when(self, status: str) -> None:
        """Cancel a new job once it has a status."""
        job_id = self.submit()
        while self.client.get(f"/v1/jobs/{job_id}").json()["status"] != status:
            advance(self.client, to="next")
        self.client.post(f"/v1/jobs/{job_id}/cancel")
        advance(self.client, seconds=61)

    def be_refused(self) -> None:
        """Meet every refusal that has nothing to do with a job."""
        self.call_all()
        self.call_all(fault="nothing")
        self.call_all(fault="status=500")
        self.call_all(fault="status=503")
        self.account(plan="free")
        self.call_all()
        self.account(plan="pro", revoked=True)
        self.call_all()
        self.account(revoked=False)
        self.call_all(body=LARGE)
        advance(self.client, seconds=61)
        self.client.get("/v1/nothing")
        self.client.delete("/v1/me")

    def meet_limits(self) -> None:
        """Meet the ceilings, walk through pages, and ask for what the status of a job does not allow."""
        jobs = [self.submit() for _ in range(4)]
        self.client.delete(f"/v1/jobs/{jobs[0]}")
        first = self.client.get("/v1/jobs?limit=1").json()
        self.client.get("/v1/jobs", params={"cursor": first["nextCursor"]})
        advance(self.client, seconds=61)
        self.client.post(f"/v1/jobs/{jobs[0]}/cancel")
        self.client.delete(f"/v1/jobs/{jobs[0]}")
        self.submit(movie={**movie()["movie"], "width": 3840})
        self.account(minutesUsed=200)
        self.submit()
        self.account(minutesUsed=0)
        self.scenario("daily-cap")
        self.submit()
        self.scenario("happy")
        for _ in range(SPEC.rate_limit.requests):
            self.client.get("/v1/usage")
        self.call_all()
        advance(self.client, seconds=61)

    def render(self) -> None:
        """Follow jobs to every end."""
        for scenario in ("scene-fails", "assemble-fails", "happy"):
            self.scenario(scenario)
            self.follow(self.submit())
            advance(self.client, seconds=61)
        for status in ("queued", "running", "waiting"):
            self.cancel_when(status)

    def stream(self) -> None:
        """Read streams to every end."""
        with self.client.stream("GET", f"/v1/jobs/{self.submit()}/progress") as response:
            next(response.iter_text())
        job_id = self.submit()
        advance(self.client, seconds=600)
        read(self.client, job_id)
        read(self.client, job_id, **{"last-event-id": "0"})
        read(self.client, job_id, **{"x-mock-fault": "drop_after_events=0"})
        self.client.patch("/__mock/clock", json={"mode": "auto"})
        read(self.client, self.submit(), **{"x-mock-fault": "end_without_terminal"})


def test_a_long_story_meets_every_fact(start_mock: StartMock, httpserver: HTTPServer) -> None:
    """Each fact can be met by what a client does, a fault or a scenario; none is left."""
    httpserver.expect_request("/hook").respond_with_data("ok")
    server = start_mock(Settings(clock=Mode.FROZEN))
    with server.client(clock="frozen") as client:
        story = Story(client, httpserver.url_for("/hook"))
        story.be_refused()
        story.meet_limits()
        story.render()
        story.stream()
        httpx.get(f"{server.base_url}/v1/me", trust_env=False)
        assert met_in_the_end(client, "stream ended client left")
        answer = client.get("/__mock/coverage?anonymous=true").json()
    assert (answer["unmet"], answer["percent"]) == ([], 100.0)


def test_coverage_is_never_rounded_up_to_100() -> None:
    """One fact that is missing shows."""
    assert Coverage(("met",) * 1999, ("not",)).percent == 99.9


def test_a_stream_without_an_event_ended_in_no_way_that_counts() -> None:
    """One that is resumed after its end has nothing to show."""
    recorder = CoverageRecorder()
    recorder.record_stream_end(ANSWERED, None)
    assert recorder.other_states == set()
