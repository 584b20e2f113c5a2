"""What the page and editors need of the control API: the spec, checks, the inbox, the list of sandboxes, held jobs."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.conftest import MOVIE, LiveServer, movie
from tests.support.paths import ROOT

from viralsync_mock.api.routes import PathRoutes
from viralsync_mock.client import Sandbox
from viralsync_mock.control.app import read_control_spec
from viralsync_mock.jobs.models import parse_timestamp
from viralsync_mock.validation.validator import Validator

SPEC = read_control_spec()
VALIDATOR = Validator(SPEC)


async def no_endpoint(*_: object) -> None:
    """Serve nothing: these routes are only looked up."""


ROUTES = PathRoutes(SPEC.paths, lambda _: no_endpoint)


def conforms(response: httpx.Response) -> None:
    """Fail for an answer of the control API that its document does not describe."""
    response.read()
    if found := ROUTES.find(response.request.url.path):
        operation, headers = found[0].by_method[response.request.method], response.headers.raw
        assert VALIDATOR.answer(operation, response.status_code, headers, response.content) == ()


@pytest.fixture
def control(api: httpx.Client) -> httpx.Client:
    """Return the client of the sandbox; each of its control calls is held against the document."""
    api.event_hooks = {"response": [conforms]}
    return api


def checked(control: httpx.Client, **what: Any) -> dict[str, Any]:
    response = control.post("/__mock/check", json=what)
    assert response.status_code == 200, response.text
    return dict(response.json())


def submit(api: httpx.Client, **changes: Any) -> str:
    response = api.post("/v1/render/jobs", json=movie(**changes))
    assert response.status_code == 202, response.text
    return str(response.json()["jobId"])


def test_the_spec_is_served_as_json(control: httpx.Client) -> None:
    """A page renders it without a parser of YAML."""
    assert "/v1/render/jobs" in str(control.get("/__mock/spec").json()["paths"].keys())


def test_a_shipped_scenario_is_served_as_it_is_written(control: httpx.Client) -> None:
    """With its comments, to start from; an unknown name gets the nearest."""
    assert control.get("/__mock/scenarios/flaky").text == (ROOT / "fixtures/scenarios/flaky.yaml").read_text()
    refused = control.get("/__mock/scenarios/flakey")
    assert (refused.status_code, refused.json()["code"]) == (404, "SCENARIO_NOT_FOUND")


@pytest.mark.parametrize("name", ["../behaviours/default", "..%2fbehaviours%2fdefault", "%2e%2e"])
def test_no_other_file_is_served(control: httpx.Client, name: str) -> None:
    """Only the names of shipped scenarios are looked at."""
    assert control.get(f"/__mock/scenarios/{name}").status_code == 404


def test_a_broken_scenario_is_told_by_its_lines(control: httpx.Client) -> None:
    """All that is wrong, with lines, as for a file."""
    text = "name: mine\njob:\n  queued: soon\n"
    assert [each.partition(" ")[0] for each in checked(control, scenario=text)["problems"]] == ["line:3:"]


def test_a_valid_scenario_comes_back_as_json(control: httpx.Client) -> None:
    """What can then be applied."""
    found = checked(control, scenario="name: mine\njob: {queued: 1h}\n")
    assert (found["problems"], found["document"]["job"]) == ([], {"queued": "1h"})
    assert control.put("/__mock/scenario", json=found["document"]).status_code == 200


def test_a_scenario_that_is_sent_reads_no_file(control: httpx.Client) -> None:
    """`file` would read what the server may read."""
    rule = "rules: [{match: {operation: getMe}, respond: {file: README.md}}]"
    [problem] = checked(control, scenario=rule)["problems"]
    assert "only a scenario file can name another file" in problem


def test_a_submission_is_checked_without_a_job(control: httpx.Client, sandbox: Sandbox) -> None:
    """With the nearest valid body; nothing is submitted."""
    found = checked(control, submission={**MOVIE, "kind": "film"})
    assert found["problems"][0].startswith("$.kind")
    assert found["nearest"]["kind"] == "movie"
    assert checked(control, submission=MOVIE) == {"problems": []}
    assert len(sandbox.jobs) == 0


def test_faults_are_checked(control: httpx.Client, sandbox: Sandbox) -> None:
    """Before they are armed."""
    assert "flaky" in checked(control, faults=[{"fault": {"flaky": True}}])["problems"][0]
    assert (checked(control, faults=[{"fault": {"status": 503}}])["problems"], len(sandbox.faults)) == ([], 0)


def test_every_shipped_movie_is_valid(control: httpx.Client) -> None:
    """They can be submitted as they are."""
    movies = control.get("/__mock/movies").json()["movies"]
    assert [checked(control, submission=each["body"])["problems"] for each in movies] == [[], [], [], []]


# ---------------------------------------------------------------- the inbox


def inbox(control: httpx.Client) -> dict[str, Any]:
    return dict(control.get("/__mock/inbox").json())


def test_the_built_in_receiver_gets_webhooks(control: httpx.Client, sandbox: Sandbox) -> None:
    """A callback can be tried without writing a receiver; the signature is checked."""
    job_id = submit(control, callbackUrl=f"{inbox(control)['url']}/hooks?a=1")
    sandbox.clock.run_until(job_id)
    got = inbox(control)["received"]
    assert {each["isSignatureValid"] for each in got} == {True}
    assert (got[0]["url"], len(got)) == ("http://inbox.localhost/hooks?a=1", len(sandbox.deliveries))


def test_a_forged_signature_shows(control: httpx.Client, sandbox: Sandbox) -> None:
    """As the code under test should see it."""
    sandbox.faults.arm("bad_signature")
    sandbox.clock.run_until(submit(control, callbackUrl="http://inbox.localhost"))
    assert {each["isSignatureValid"] for each in inbox(control)["received"]} == {False}


def test_the_built_in_receiver_can_refuse(control: httpx.Client, sandbox: Sandbox) -> None:
    """So many times; then it takes webhooks again, and the mock tries the terminal one again."""
    job_id = submit(control, callbackUrl="http://inbox.localhost/")
    control.patch("/__mock/inbox", json={"status": 503, "times": 1})
    sandbox.clock.run_until(job_id)
    assert [each["status"] for each in inbox(control)["received"]][-2:] == [200, 503]
    assert inbox(control)["times"] is None


@pytest.mark.parametrize(
    "url",
    [
        "http://inbox.localhost.evil.example/",
        "http://inbox.localhost:80/",
        "https://inbox.localhost/",
        "http://a@inbox.localhost/",
        "http://INBOX.localhost/",
    ],
)
def test_only_the_exact_address_is_the_built_in_receiver(control: httpx.Client, sandbox: Sandbox, url: str) -> None:
    """Anything near it is refused as before: it is no address of this machine."""
    sandbox.clock.run_until(submit(control, callbackUrl=url))
    assert {each.outcome for each in sandbox.deliveries} == {"refused"}
    assert inbox(control)["received"] == []


def test_the_mock_itself_is_still_no_receiver(control: httpx.Client, sandbox: Sandbox) -> None:
    """A webhook to the control API could reset every sandbox."""
    sandbox.clock.run_until(submit(control, callbackUrl=f"{sandbox.base_url}/__mock/inbox"))
    assert {each.outcome for each in sandbox.deliveries} == {"refused"}


def test_the_inbox_is_cleared(control: httpx.Client, sandbox: Sandbox) -> None:
    """Its numbers go on."""
    sandbox.clock.run_until(submit(control, callbackUrl="http://inbox.localhost/"))
    total = inbox(control)["total"]
    assert control.delete("/__mock/inbox").json()["dropped"] == total
    assert (inbox(control)["received"], inbox(control)["total"]) == ([], total)


# ---------------------------------------------------------------- sandboxes


def test_sandboxes_are_listed_without_their_keys(control: httpx.Client, sandbox: Sandbox) -> None:
    """By the id of the account, the last used first."""
    control.get("/v1/me")
    response = control.get("/__mock/sandboxes")
    assert sandbox.api_key not in response.text
    assert response.json()["sandboxes"][0]["userId"] == control.get("/__mock/account").json()["userId"]


def test_a_sandbox_keeps_its_name_over_a_reset(control: httpx.Client, sandbox: Sandbox) -> None:
    """The name is for people, and belongs to the key."""
    user = control.patch("/__mock/sandbox", json={"name": "checkout"}).json()["userId"]
    sandbox.reset()
    sandbox.scenario()
    names = {each["userId"]: each["name"] for each in control.get("/__mock/sandboxes").json()["sandboxes"]}
    assert names[user] == "checkout"
    assert control.patch("/__mock/sandbox", json={"name": None}).json()["name"] is None


def test_the_header_names_a_sandbox_in_place_of_its_key(live_server: LiveServer, control: httpx.Client) -> None:
    """So the page opens one from the list; the API itself still wants the key."""
    user = control.get("/__mock/account").json()["userId"]
    control.patch("/__mock/account", json={"plan": "business"})
    by_user = {"x-mock-sandbox": user}
    assert httpx.get(f"{live_server.base_url}/__mock/account", headers=by_user).json()["plan"] == "business"
    assert httpx.get(f"{live_server.base_url}/v1/me", headers=by_user).status_code == 401


def test_an_unknown_sandbox_is_refused(live_server: LiveServer) -> None:
    """No sandbox is opened for it."""
    headers = {"x-mock-sandbox": "user_000000000000"}
    response = httpx.get(f"{live_server.base_url}/__mock/account", headers=headers)
    assert (response.status_code, response.json()["code"]) == (401, "UNAUTHORIZED")


# ---------------------------------------------------------------- jobs, account


def test_a_held_job_stands_still_and_goes_on(control: httpx.Client, sandbox: Sandbox) -> None:
    """Everything later comes later by as much."""
    job_id = submit(control)
    before = parse_timestamp(control.get(f"/__mock/jobs/{job_id}").json()["endsAt"])
    sandbox.clock.advance(3)
    control.patch(f"/__mock/jobs/{job_id}", json={"hold": "1h"})
    after = parse_timestamp(control.get(f"/__mock/jobs/{job_id}").json()["endsAt"])
    assert (after - before).total_seconds() == 3600
    sandbox.clock.run_until(job_id)
    assert control.get(f"/v1/jobs/{job_id}").json()["status"] == "done"


def test_a_job_held_for_ever_can_still_be_ended(control: httpx.Client, sandbox: Sandbox) -> None:
    """It never ends by itself."""
    job_id = submit(control)
    sandbox.clock.advance(3)
    assert control.patch(f"/__mock/jobs/{job_id}", json={"hold": True}).json()["endsAt"] is None
    sandbox.clock.advance(86_400)
    assert control.get(f"/v1/jobs/{job_id}").json()["status"] != "done"
    assert control.patch(f"/__mock/jobs/{job_id}", json={"status": "done"}).json()["status"] == "done"


def test_jobs_are_listed_page_by_page(control: httpx.Client) -> None:
    """Beyond the newest."""
    made = [submit(control) for _ in range(3)][::-1]
    first = control.get("/__mock/jobs", params={"limit": 2}).json()["jobs"]
    rest = control.get("/__mock/jobs", params={"before": first[-1]["jobId"]}).json()["jobs"]
    assert [each["jobId"] for each in (*first, *rest)] == made


def test_the_account_tells_its_limits(control: httpx.Client) -> None:
    """How much of each is used, for a gauge."""
    submit(control)
    limits = control.get("/__mock/account").json()["limits"]
    assert (limits["jobs"], limits["jobsAtOnce"] > 0, limits["minutesPerMonth"] > 0) == (1, True, True)
    assert len(limits["window"]["calls"]) == 1


def test_the_next_job_fails_and_only_that(control: httpx.Client, sandbox: Sandbox) -> None:
    """An armed `job` says how the submitted job runs, as that of a scenario's rule."""
    order = {"job": {"fail": {"scene": 2}}, "times": 1}
    assert control.put("/__mock/faults", json={"faults": [order]}).status_code == 200
    failing, next_one = submit(control), submit(control)
    sandbox.clock.advance(3600)
    outcomes = [control.get(f"/v1/jobs/{each}").json()["status"] for each in (failing, next_one)]
    assert outcomes == ["failed", "done"]
    assert [each["matched"] for each in sandbox.faults] == [1]


def test_an_armed_fault_needs_something_to_do(control: httpx.Client) -> None:
    """`match` alone does nothing."""
    response = control.put("/__mock/faults", json={"faults": [{"match": {"operation": "getMe"}}]})
    assert (response.status_code, 'expected "fault"' in response.json()["error"]) == (400, True)
