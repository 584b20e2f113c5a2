"""The Python client against a mock on a real socket: what it asks for, what it returns, and how it complains."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import httpx
import pytest
from tests.conftest import LiveServer, movie
from tests.support.paths import ROOT
from tests.support.webhook_receiver import Receiver

from viralsync_mock import client
from viralsync_mock.client import ControlError, Sandbox, open_connections
from viralsync_mock.client.resources import MAX_SHOWN
from viralsync_mock.clock import EPOCH
from viralsync_mock.errors import UsageError
from viralsync_mock.settings import Settings

StartMock = Callable[[Settings], LiveServer]

MANUAL = (ROOT / "docs" / "python-client.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", MANUAL, re.DOTALL)
NOBODY = "http://127.0.0.1:1"
KEY = "vs_prod_" + "0" * 32


def submit(api: httpx.Client, **changes: Any) -> str:
    """Submit a job and return its id."""
    return str(api.post("/v1/render/jobs", json=movie(**changes)).json()["jobId"])


def complaint(ask: Callable[..., object], *arguments: Any, **options: Any) -> str:
    """Return the text of the error that a call of the client raises."""
    with pytest.raises(UsageError) as caught:
        ask(*arguments, **options)
    return str(caught.value)


# ---------------------------------------------------------------- the manual and the module


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0])
def test_every_block_of_the_manual_runs(sandbox: Sandbox, api: httpx.Client, block: str) -> None:
    """docs/python-client.md, as it stands, against a sandbox of the block's own."""
    with Receiver() as receiver:
        names = {"sandbox": sandbox, "api": api, "movie": movie(), "receiver_url": receiver.url, "Sandbox": Sandbox}
        exec(block.replace("http://127.0.0.1:4747", sandbox.base_url), names)  # noqa: S102 - the documentation's own code


@pytest.mark.parametrize("name", [name for name in dir(Sandbox) if not name.startswith("_")])
def test_every_name_of_the_sandbox_is_in_a_manual(name: str) -> None:
    """Some page of docs/ tells of it."""
    pages = (ROOT / "docs").glob("*.md")
    assert any(re.search(rf"\b{name}\b", page.read_text(encoding="utf-8")) for page in pages)


def test_public_names_are_pinned() -> None:
    """A name that users import does not go unnoticed."""
    records = "Call Coverage Delivery Effect Event RuleVerdict Step Timeline Verdict"
    things = "ControlError Sandbox SandboxFactory environment open_connections"
    types = "Clock DeliveryOutcome ErrorCode FaultName Faults JobStatus Limit Operation Outcome Plan Rule Waivers"
    assert sorted(f"{records} {things} {types} WebhookKind".split()) == sorted(client.__all__)
    assert all(hasattr(client, name) for name in client.__all__)


def test_the_client_loads_nothing_of_the_server() -> None:
    """Neither its libraries nor the modules that hold its state."""
    script = "import sys, viralsync_mock.client; print(*sorted(m for m in sys.modules if '.' not in m or '_mock' in m))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    ours = {name.partition(".")[2] for name in loaded if name.startswith("viralsync_mock.")}
    assert "httpx2" in loaded
    assert {name for name in ours if not name.startswith("client")} == {
        "errors",
        "json_subset",
        "webhooks",
        "webhooks.transport",
    }
    assert not {"starlette", "uvicorn", "yaml", "faker", "orjson", "jsonschema_rs", "asyncio"} & set(loaded)


# ---------------------------------------------------------------- opening


def test_a_sandbox_is_opened_as_it_is_asked_for(sandbox: Sandbox) -> None:
    """Scenario, plan and clock hold from the first call on."""
    opened = sandbox.open(
        scenario="scene-fails", plan="business", clock="auto", behaviour={"sse": {"resume": "replay"}}
    )
    assert (opened.scenario(), opened.account()["plan"], opened.clock.mode) == ("scene-fails", "business", "auto")


def test_what_is_left_out_is_the_servers(sandbox: Sandbox, api: httpx.Client) -> None:
    """Nothing is left of the sandbox before."""
    submit(api)
    sandbox.open()
    assert (len(sandbox.jobs), sandbox.scenario(), len(sandbox.journal)) == (0, "happy", 0)


def test_sandboxes_of_one_seed_draw_alike(live_server: LiveServer) -> None:
    """Whatever their keys; a number will do as a seed."""
    ids = []
    for seed in (7, "7"):
        with live_server.client() as api, Sandbox(live_server.base_url, api.headers["x-api-key"]) as sandbox:
            sandbox.open(seed=seed)
            ids.append(submit(api))
    assert ids[0] == ids[1]


def test_a_whole_scenario_is_opened_or_chosen(sandbox: Sandbox) -> None:
    """In the format of the files, as a mapping."""
    scenario = {"name": "mine", "description": "A long wait.", "job": {"queued": "1h"}}
    assert sandbox.open(scenario=scenario).scenario() == "mine"
    assert sandbox.scenario("slow") == "slow"
    assert sandbox.scenario({**scenario, "name": "other"}) == "other"


def test_headers_of_the_code_under_test_are_its_own(sandbox: Sandbox) -> None:
    """Whoever adds one does not change how the control API is asked."""
    sandbox.headers["x-api-key"] = "none"
    assert sandbox.scenario() == "happy"


def test_any_http_client_will_do(sandbox: Sandbox) -> None:
    """The standard library's, for one: the sandbox only says where to call and with which key."""
    request = urllib.request.Request(f"{sandbox.base_url}/v1/me", headers=sandbox.headers)  # noqa: S310 - http, of this test
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - as above
        assert answer.status == 200
    assert len(sandbox.assert_called("getMe", times=1)) == 1


# ---------------------------------------------------------------- time


def test_the_clock_goes_where_it_is_told_and_says_what_happened(sandbox: Sandbox, api: httpx.Client) -> None:
    """By seconds, by a timedelta, to the next thing due."""
    submit(api)
    assert [effect.details["phase"] for effect in sandbox.clock.advance(1)] == ["planning"]
    assert [effect.at for effect in sandbox.clock.advance(timedelta(seconds=0.5))] == [EPOCH + timedelta(seconds=1.5)]
    assert [effect.details["status"] for effect in sandbox.clock.advance_to_next()] == ["waiting"]


def test_a_job_is_run_to_a_status(sandbox: Sandbox, api: httpx.Client) -> None:
    """Until it is done, when nothing else is said."""
    job_id = submit(api)
    sandbox.clock.run_until(job_id, "waiting")
    assert sandbox.jobs[job_id].status == "waiting"
    assert (
        repr(sandbox.clock.run_until(job_id)[-1]) == f"<charge at 2026-01-01T00:00:18.300Z jobId={job_id} minutes=0.1>"
    )


def test_the_clock_is_set_to_an_instant(sandbox: Sandbox) -> None:
    """Ahead only."""
    instant = datetime(2026, 1, 31, 23, 59, 59, 5000, tzinfo=UTC)
    sandbox.clock.set(instant)
    assert sandbox.clock.now == instant
    assert "$.now" in complaint(sandbox.clock.set, EPOCH)


def test_the_clock_is_set_to_an_instant_of_another_time_zone(sandbox: Sandbox) -> None:
    """An hour east of Greenwich it is an hour later."""
    instant = datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=1)))
    sandbox.clock.set(instant)
    assert sandbox.clock.now == instant == datetime(2026, 1, 31, 11, tzinfo=UTC)


def test_the_clock_changes_its_mode(sandbox: Sandbox) -> None:
    """By the words of the control API."""
    modes = []
    for change in (sandbox.clock.auto, sandbox.clock.real, lambda: sandbox.clock.real(60), sandbox.clock.freeze):
        change()
        modes.append(sandbox.clock.mode)
    assert modes == ["auto", "real", "scaled", "frozen"]


def test_sleeping_moves_the_sandboxes_clock(sandbox: Sandbox) -> None:
    """No real time passes."""
    sandbox.sleep(3600)
    assert sandbox.clock.now == EPOCH + timedelta(hours=1)


# ---------------------------------------------------------------- account, limits, faults


def test_the_account_is_changed_and_told(sandbox: Sandbox) -> None:
    """In Python's words."""
    account = sandbox.account(
        plan="business", minutes_used=5.5, minutes_used_today=1, revoked=True, email="a@b.example"
    )
    assert account == sandbox.account()
    assert list(account.values()) == ["business", 5.5, 1, True, "a@b.example"]


@pytest.mark.parametrize(("limit", "status"), [("quota", 402), ("rate", 429), ("concurrency", 409)])
def test_a_limit_is_met_by_the_next_submission(sandbox: Sandbox, api: httpx.Client, limit: str, status: int) -> None:
    """One call each."""
    sandbox.exhaust(limit)
    assert api.post("/v1/render/jobs", json=movie()).status_code == status


def test_armed_faults_stay_when_another_is_armed(sandbox: Sandbox, api: httpx.Client) -> None:
    """Each as often as it has left."""
    sandbox.faults.arm(status=500, match={"operation": "getMe", "times": 2})
    sandbox.faults.arm({"status": 503}, match="getUsage", times=1)
    sandbox.faults.arm({"status": 500}, match="listJobs", times=2)
    codes = [api.get(path).status_code for path in ("/v1/me", "/v1/usage", "/v1/jobs")]
    sandbox.faults.arm("malformed_json", match="cancelJob")
    codes += [api.get(path).status_code for path in ("/v1/me", "/v1/me", "/v1/usage", "/v1/jobs", "/v1/jobs")]
    assert codes == [500, 503, 500, 500, 200, 200, 500, 200]
    assert [each["isRunning"] for each in sandbox.faults] == [False, False, False, True]


def test_faults_that_are_armed_at_once_are_all_armed(sandbox: Sandbox) -> None:
    """A hundred at most; beyond that those that are over make room."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: sandbox.faults.arm(status=503, match={"nth": number + 1000}), range(100)))
    assert len(sandbox.faults) == 100
    with pytest.raises(ControlError, match="at most 100 armed faults"):
        sandbox.faults.arm(status=503)


def test_a_fault_that_is_over_makes_room_for_another(sandbox: Sandbox, api: httpx.Client) -> None:
    """A loop that arms one fault for each call never ends at the bound."""
    for _ in range(103):
        sandbox.faults.arm(status=503, match="getMe", times=1)
        assert api.get("/v1/me").status_code == 503
    assert len(sandbox.faults) <= 100


def test_a_fault_may_be_a_matter_of_chance_and_heal(sandbox: Sandbox) -> None:
    """What the scenario language calls `for` is `lasts` here."""
    sandbox.faults.arm(latency="1ms", probability=0.25, lasts=30)
    [armed] = sandbox.faults
    assert (armed["probability"], armed["for"], armed["isRunning"]) == (0.25, 30, True)
    sandbox.faults.clear()
    assert list(sandbox.faults) == []


# ---------------------------------------------------------------- jobs, journal, webhooks


def test_a_job_ends_as_it_is_ordered_to(sandbox: Sandbox, api: httpx.Client) -> None:
    """Failed with an error, failed, or done."""
    one, other, third = submit(api), submit(api), submit(api)
    assert sandbox.jobs[one].fail("ASSET_DOWNLOAD_FAILED: no such file").error == "ASSET_DOWNLOAD_FAILED: no such file"
    assert (sandbox.jobs[other].fail().status, sandbox.jobs[third].finish().status) == ("failed", "done")
    assert [job.status for job in sandbox.jobs] == ["failed", "failed", "done"]


def test_progress_is_set(sandbox: Sandbox, api: httpx.Client) -> None:
    """As the job shows it, at least."""
    job = sandbox.jobs[submit(api)]
    sandbox.clock.run_until(job.id, "waiting")
    assert job.set_progress(0.4).progress == job.timeline.progress == 0.4


def test_the_newest_job_needs_no_id(sandbox: Sandbox, api: httpx.Client) -> None:
    """And there has to be one."""
    assert complaint(lambda: sandbox.jobs.newest) == "this sandbox has no job: submit one first"
    _, newest = submit(api), submit(api)
    assert sandbox.jobs.newest.id == newest


def test_a_timeline_holds_past_and_future(sandbox: Sandbox, api: httpx.Client) -> None:
    """With its steps in order."""
    timeline = sandbox.jobs[submit(api)].timeline
    assert (timeline.status, timeline.outcome, timeline.ends_at) == ("queued", "done", EPOCH + timedelta(seconds=18.3))
    assert [timeline.steps[0].status, timeline.steps[-1].status] == ["queued", "done"]


def test_calls_are_filtered_and_explained(sandbox: Sandbox, api: httpx.Client) -> None:
    """With what was wrong about them, place by place."""
    api.post("/v1/render/jobs", json={**movie(), "kind": "film"})
    submit(api)
    [call] = sandbox.journal.calls("submitRenderJob", status=400, code="VALIDATION_ERROR")
    told = sandbox.journal.explain(call)
    assert (told.body["kind"], told.answer["code"]) == ("film", "VALIDATION_ERROR")
    assert told.violations == ('$.kind: expected "movie", got "film"',)


def test_the_journal_is_listed_exported_and_cleared(sandbox: Sandbox, api: httpx.Client) -> None:
    """Oldest first."""
    for path in ("/v1/me", "/v1/usage"):
        api.get(path)
    assert [call.operation for call in sandbox.journal] == ["getMe", "getUsage"]
    assert len(sandbox.journal.har()["log"]["entries"]) == len(sandbox.journal) == 2
    sandbox.journal.clear()
    assert len(sandbox.journal) == 0


def test_webhooks_are_listed_and_sent_again(sandbox: Sandbox, api: httpx.Client) -> None:
    """Oldest first, each with its attempts."""
    with Receiver() as receiver:
        submit(api, callbackUrl=receiver.url)
        sandbox.clock.advance(1)
        [delivery] = sandbox.deliveries
        again = sandbox.redeliver(delivery)
    assert (delivery.outcome, len(again.attempts), len(receiver.got)) == ("delivered", 2, 2)


def test_a_snapshot_is_opened_again(sandbox: Sandbox, api: httpx.Client) -> None:
    """By the same sandbox, or by that of another key; with its journal when that was asked for."""
    submit(api)
    snapshot = sandbox.snapshot(journal=True)
    other = sandbox.with_key("vs_prod_" + "b" * 32)
    other.restore(snapshot)
    sandbox.reset()
    assert (len(sandbox.jobs), len(other.jobs), len(other.journal)) == (0, 1, 1)
    other.reset()


# ---------------------------------------------------------------- what it shows of itself


def test_reprs_are_worth_reading(sandbox: Sandbox, api: httpx.Client) -> None:
    """They tell the state, and no key."""
    job_id = submit(api)
    sandbox.faults.arm(status=503, times=2)
    assert repr(sandbox.jobs) == f"<1 jobs\n  <{job_id} queued 0%>>"
    assert repr(sandbox.faults) == "<1 faults armed\n  {'fault': {'status': 503}, 'times': 2}, matched 0>"
    assert repr(sandbox) == (
        f"<sandbox on {sandbox.base_url}: scenario happy, <clock 2026-01-01T00:00:00.000Z frozen>, 1 jobs, 1 calls>"
    )


def test_a_job_shows_its_life(sandbox: Sandbox, api: httpx.Client) -> None:
    """Every change of status and phase, from its submission on."""
    job_id = submit(api)
    sandbox.clock.advance(1)
    assert repr(sandbox.jobs[job_id]) == (
        f"<{job_id} is running/planning 0%, ends done at 2026-01-01T00:00:18.300Z: queued +0 s, running/planning +1 s, "
        "running/dispatching +1.5 s, waiting/rendering +1.8 s, running/assembling +12.3 s, running/uploading +16.3 s, "
        "done +18.3 s>"
    )


def test_a_job_that_never_ends_says_so(sandbox: Sandbox, api: httpx.Client) -> None:
    """Also one that failed says with what."""
    sandbox.scenario("stuck")
    job = sandbox.jobs[submit(api)]
    assert f"<{job.id} is queued 0%, never ends: queued +0 s" in repr(job)
    assert "with ASSET_DOWNLOAD_FAILED: gone:" in repr(job.fail("ASSET_DOWNLOAD_FAILED: gone"))


def test_a_long_journal_is_shown_in_short(sandbox: Sandbox, api: httpx.Client) -> None:
    """The last calls, and how many come before them."""
    for _ in range(MAX_SHOWN + 3):
        api.get("/v1/me")
    lines = repr(sandbox.journal).splitlines()
    assert lines[:2] == ["<13 calls", "  ... 3 before"]
    assert len(lines) == MAX_SHOWN + 2


def test_a_sandbox_whose_mock_has_gone_still_shows_itself() -> None:
    """A failed test shows its values, whatever has happened to the mock."""
    with Sandbox(NOBODY, KEY) as sandbox:
        assert repr(sandbox).startswith(f"<sandbox on {NOBODY}: no mock answers at {NOBODY}: ")


# ---------------------------------------------------------------- complaints


@pytest.mark.parametrize(
    ("url", "text"),
    [
        (NOBODY, f"no mock answers at {NOBODY}: "),
        ("localhost:4747", "no mock answers at localhost:4747: Request URL is missing an 'http://'"),
        ("http://[::1", "no mock answers at http://[::1: "),
    ],
)
def test_where_no_mock_is_the_address_is_told(url: str, text: str) -> None:
    """With what to do about it."""
    with Sandbox(url, KEY) as sandbox:
        told = complaint(sandbox.open)
    assert told.startswith(text)
    assert told.endswith(". Start one with: viralsync-mock serve")


def test_a_refusal_has_the_text_and_the_code_of_the_mock(sandbox: Sandbox) -> None:
    """The call that was refused is named."""
    with pytest.raises(ControlError) as caught:
        sandbox.scenario("hapy")
    assert caught.value.code == "VALIDATION_ERROR"
    assert str(caught.value).startswith("PUT /__mock/scenario: The request is not valid: $.name: there is no scenario")


def test_a_wrong_word_is_told_before_anything_is_asked() -> None:
    """With the nearest that there is."""
    with Sandbox(NOBODY, KEY) as sandbox:
        assert complaint(sandbox.exhaust, "qota") == (
            "expected one of quota, rate, concurrency, got 'qota'. Did you mean \"quota\"?"
        )
        assert complaint(sandbox.account, minutes_usd=1).startswith(
            "an account has no 'minutes_usd'. Did you mean \"minutes_used\"? It has: plan, minutes_used,"
        )


def test_a_key_of_another_form_is_told(live_server: LiveServer) -> None:
    """It names no sandbox; the key itself is not shown."""
    with Sandbox(live_server.base_url, "secret") as sandbox:
        told = complaint(sandbox.open)
    assert "expected an API key of the form" in told
    assert "secret" not in told


def test_a_missing_token_is_asked_for(start_mock: StartMock) -> None:
    """By the name of the argument that takes it; with the right one all is well."""
    server = start_mock(Settings(control_token="sesame"))
    with Sandbox(server.base_url, KEY) as without, Sandbox(server.base_url, KEY, control_token="sesame") as with_it:
        assert complaint(without.open).endswith("Give it as Sandbox(..., control_token=...).")
        assert with_it.open().scenario() == "happy"


def test_a_wrong_token_is_refused(start_mock: StartMock) -> None:
    """As the mock refuses it."""
    server = start_mock(Settings(control_token="sesame"))
    with Sandbox(server.base_url, KEY, control_token="open") as sandbox:
        assert complaint(sandbox.open).endswith("send the server's --control-token as x-mock-token.")


def test_a_mock_without_a_control_api_is_told(start_mock: StartMock) -> None:
    """What answers there is the API itself, or its mock."""
    server = start_mock(Settings(control=False))
    with Sandbox(server.base_url, KEY) as sandbox:
        told = complaint(sandbox.open)
    assert told.endswith(f"{server.base_url} has no control API: is it a viralsync-mock, started without --no-control?")


@pytest.mark.parametrize(("status", "body"), [(200, b"<p>hello</p>"), (404, b"{}"), (500, b"[]"), (200, b"\xff")])
def test_a_server_that_is_no_mock_is_told(status: int, body: bytes) -> None:
    """Whatever it answers."""

    class Other(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.send_response(status)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.handle_request)
        thread.start()
        with Sandbox(url, KEY) as sandbox:
            told = complaint(sandbox.open)
        thread.join()
    assert told == f"PUT /__mock/sandbox: {url} is no viralsync-mock: it answers {status} text/html"


def test_an_answer_that_does_not_come_in_time_is_told() -> None:
    """With the call, and how long it was waited for."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with Sandbox(url, KEY, timeout=0.05) as sandbox:
            told = complaint(sandbox.snapshot)
    assert told == f"{url} has not answered GET /__mock/snapshot in 0.05 s"


# ---------------------------------------------------------------- connections


def test_sandboxes_share_connections_that_outlive_them(live_server: LiveServer) -> None:
    """Who made the connections closes them."""
    with open_connections() as http:
        first = Sandbox(live_server.base_url, live_server.new_key(), http=http)
        second = first.with_key(live_server.new_key())
        first.close()
        assert second.open(scenario="slow").scenario() == "slow"
        assert (first.scenario(), http.is_closed) == ("happy", False)


def test_a_closed_sandbox_has_closed_its_own_connections(live_server: LiveServer) -> None:
    """But those beside it had no others."""
    sandbox = Sandbox(live_server.base_url, live_server.new_key())
    sandbox.open().close()
    with pytest.raises(RuntimeError, match="closed"):
        sandbox.scenario()


def test_threads_share_a_sandbox(sandbox: Sandbox) -> None:
    """Each gets the answer to its own question."""
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: sandbox.with_key(f"vs_prod_{number:032}").open(seed=number), range(40)))
        names = list(pool.map(lambda each: each.scenario("slow" if each.api_key[-1] == "1" else "happy"), found))
    assert names == ["slow" if number % 10 == 1 else "happy" for number in range(40)]
    for each in found:
        each.reset()


def test_a_job_is_held(sandbox: Sandbox, api: httpx.Client) -> None:
    """For some seconds, or for ever."""
    job = sandbox.jobs[api.post("/v1/render/jobs", json=movie()).json()["jobId"]]
    ends = job.timeline.ends_at
    assert ends is not None
    assert job.hold(60).ends_at == ends + timedelta(seconds=60)
    assert job.hold().ends_at is None
