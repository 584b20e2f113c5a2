"""Why a call was answered as it was: the explanation of each kind of answer, over a real socket."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import LiveServer, movie
from tests.support.paths import ROOT
from tests.viralsync_mock.control.test_control import submit, watched

from viralsync_mock.clock import EPOCH, Mode
from viralsync_mock.inspection.curl import to_curl
from viralsync_mock.inspection.exchange import exchange_of
from viralsync_mock.journal.entry import MAX_BODY, JournalEntry
from viralsync_mock.registry import SandboxRegistry
from viralsync_mock.response import json_response
from viralsync_mock.settings import Settings

PAGE = (ROOT / "docs" / "journal.md").read_text(encoding="utf-8")
LONG_AGO = "2026-01-01T00:00:00.000Z"

StartMock = Callable[[Settings], LiveServer]


@pytest.fixture
def control(live_server: LiveServer) -> Iterator[httpx.Client]:
    """Yield a client with a key of its own, on a frozen clock, whose control answers are held against the document."""
    with watched(live_server.client(clock="frozen")) as client:
        yield client


def explained(client: httpx.Client, response: httpx.Response) -> dict[str, Any]:
    """Return the explanation of an answer."""
    answer = client.get(f"/__mock/journal/{response.headers['x-mock-call-id']}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def newest(client: httpx.Client) -> dict[str, Any]:
    """Return the explanation of the newest call: for answers that never came."""
    call_id = client.get("/__mock/journal?limit=1").json()["calls"][0]["callId"]
    return dict(client.get(f"/__mock/journal/{call_id}").json())


# ---------------------------------------------------------------- the sentence


def test_a_full_window_says_when_the_next_slot_frees(control: httpx.Client) -> None:
    """A 429 of the API itself tells of the window."""
    answers = [control.get("/v1/me", headers={"x-mock-scenario": "rate-limited"}) for _ in range(4)]
    told = explained(control, answers[-1])
    assert told["summary"] == (
        "429 RATE_LIMITED: 3 of 3 calls of the last 60 s were used; the next slot frees at 2026-01-01T00:01:00.000Z."
    )
    assert told["rateLimit"] == {
        "used": 3,
        "requests": 3,
        "windowSeconds": 60,
        "nextFreeAt": "2026-01-01T00:01:00.000Z",
    }


def test_a_status_by_a_rule_names_the_rule(control: httpx.Client) -> None:
    """Fault, rule and scenario are in the sentence, and the parts say the same."""
    answers = [control.post("/v1/render/jobs", json=movie(projectId="proj_mock_flaky")) for _ in range(5)]
    told = explained(control, answers[-1])
    assert told["summary"] == "503 SERVICE_UNAVAILABLE by fault status=503 of rule 1 of scenario flaky."
    assert told["rule"] == {
        "number": 1,
        "match": {"operation": "submitRenderJob", "every": 5},
        "does": {"fault": {"status": 503}},
    }
    assert told["faults"] == [{"from": "rule 1", "fault": {"status": 503}}]


def test_a_rule_that_does_not_speak_is_a_near_miss(control: httpx.Client) -> None:
    """It says what kept it from speaking."""
    told = explained(control, control.post("/v1/render/jobs", json=movie(projectId="proj_mock_flaky")))
    assert told["nearMiss"] == {
        "number": 1,
        "match": {"operation": "submitRenderJob", "every": 5},
        "reasons": ["count: this is call 1 of those that fit, and not its turn"],
    }
    assert told["scenario"] == {"name": "flaky", "chosenBy": "projectId"}


def test_a_job_that_is_looked_at_says_where_it_stands(control: httpx.Client) -> None:
    """The sentence and the step agree with the timeline, and the next step is told."""
    job_id = submit(control)
    control.post("/__mock/clock/advance", json={"until": {"jobId": job_id, "status": "waiting"}})
    told = explained(control, control.get(f"/v1/jobs/{job_id}"))
    timeline = control.get(f"/__mock/jobs/{job_id}").json()["steps"]
    step, following = timeline[told["step"]["number"]], timeline[told["step"]["number"] + 1]
    assert {**told["step"], "children": step["children"]} == {**step, "number": told["step"]["number"]}
    assert told["summary"] == f"200: {job_id} is waiting in phase rendering; its next step comes at {following['at']}."


def test_what_was_seen_before_an_order_of_the_same_instant_stays_explained(control: httpx.Client) -> None:
    """On a frozen clock the cancel makes a step of the same instant: the earlier look did not see it."""
    job_id = submit(control)
    look, cancel = control.get(f"/v1/jobs/{job_id}"), control.post(f"/v1/jobs/{job_id}/cancel")
    before, after = explained(control, look), explained(control, cancel)
    assert (before["step"]["status"], before["nextStepAt"]) == ("queued", LONG_AGO)
    assert after["summary"] == f"200: {job_id} is cancelled, and stays so."


def test_a_stale_read_is_explained_by_the_step_that_it_showed(control: httpx.Client) -> None:
    """The view lags; the fault is named beside the step."""
    job_id = submit(control)
    control.post("/__mock/clock/advance", json={"seconds": 2})
    told = explained(control, control.get(f"/v1/jobs/{job_id}", headers={"x-mock-fault": "stale_read=10"}))
    assert told["step"]["status"] == "queued"
    assert told["summary"].endswith("also done to it: fault stale_read=10.0 of the header X-Mock-Fault.")


def test_a_job_that_was_deleted_leaves_a_reason(control: httpx.Client) -> None:
    """There is no timeline any more to read the step from."""
    job_id = submit(control)
    look = control.get(f"/v1/jobs/{job_id}")
    control.post(f"/v1/jobs/{job_id}/cancel")
    control.delete(f"/v1/jobs/{job_id}")
    told = explained(control, look)
    assert (told["step"], told["nextStepAt"]) == (None, None)
    assert told["whyNoStep"] == f"{job_id} was deleted: its timeline is gone"


def test_a_job_that_never_was_has_no_step_either(control: httpx.Client) -> None:
    """The reason is another one, and the sentence is the API's own."""
    told = explained(control, control.get("/v1/jobs/job_none"))
    assert told["whyNoStep"] == "there was no job job_none in this sandbox"
    assert told["summary"].startswith("404 JOB_NOT_FOUND: ")


def test_a_rule_that_responds_is_named(control: httpx.Client) -> None:
    """What a scenario puts in the API's place is not mistaken for the API's own refusal."""
    rules = [{"match": {"operation": "submitRenderJob"}, "respond": {"error": "RENDER_QUOTA_EXCEEDED"}}]
    control.put("/__mock/scenario", json={"name": "mine", "description": "x", "rules": rules})
    told = explained(control, control.post("/v1/render/jobs", json=movie()))
    assert told["summary"] == "402 RENDER_QUOTA_EXCEEDED: rule 1 of scenario mine responds so."
    assert (told["scenario"]["chosenBy"], told["replay"]["headers"]) == ("sandbox", {})


def test_a_lost_answer_is_explained(control: httpx.Client) -> None:
    """No status, no response, and the fault that took it."""
    with pytest.raises(httpx.HTTPError):
        control.get("/v1/me", headers={"x-mock-fault": "reset_peer"})
    told = newest(control)
    assert (
        told["summary"] == "No answer was sent: that is the work of fault reset_peer=after of the header X-Mock-Fault."
    )
    assert (told["status"], told["response"], told["ending"]) == (None, None, "reset_peer")


def test_a_stream_tells_how_many_events_it_told(control: httpx.Client) -> None:
    """And that it came to its end."""
    job_id = submit(control)
    control.post(f"/v1/jobs/{job_id}/cancel")
    told = explained(control, control.get(f"/v1/jobs/{job_id}/progress"))
    assert told["summary"] == f"200: the stream of {job_id} sent 1 event, and came to its end."
    assert (told["events"], told["endedAt"], told["response"]["size"]) == (1, LONG_AGO, None)


def test_an_open_stream_is_pending(frozen: httpx.Client) -> None:
    """It has a status, and no ending yet."""
    with frozen.stream("GET", f"/v1/jobs/{submit(frozen)}/progress") as response:
        chunks = response.iter_bytes()
        next(chunks)
        told = explained(frozen, response)
    assert (told["status"], told["ending"], told["endedAt"]) == (200, "pending", None)
    assert told["summary"].endswith("sent 1 event, and is still open.")


def test_a_stream_that_a_fault_drops_says_so(control: httpx.Client) -> None:
    """The fault is named once."""
    with pytest.raises(httpx.HTTPError):
        control.get(f"/v1/jobs/{submit(control)}/progress", headers={"x-mock-fault": "drop_after_events=0"})
    told = newest(control)
    assert told["summary"].endswith(
        "sent 0 events, until it was broken off by fault drop_after_events=0 of the header X-Mock-Fault."
    )


# ---------------------------------------------------------------- the parts


def test_a_limited_plan_tells_what_was_used_up(live_server: LiveServer) -> None:
    """A submission is held against the ledger as it stood just before it."""
    with watched(live_server.client(clock="frozen", plan="pro")) as client:
        client.patch("/__mock/account", json={"minutesUsed": 200})
        told = explained(client, client.post("/v1/render/jobs", json=movie()))
    assert (told["code"], told["quota"]["minutesUsed"], told["quota"]["minutesPerMonth"]) == (
        "RENDER_QUOTA_EXCEEDED",
        200,
        200,
    )


def test_a_broken_request_gets_its_violations_and_the_nearest_valid_one(control: httpx.Client) -> None:
    """What is sent instead is accepted."""
    broken = movie(movie={"scenes": [{"id": "a", "duration": "2"}]})
    told = explained(control, control.post("/v1/render/jobs", json=broken))
    assert [each["place"] for each in told["violations"]] == ["$.movie.scenes[0].duration"]
    assert control.post("/v1/render/jobs", json=told["nearestValid"]["body"]).status_code == 202


@pytest.mark.parametrize(
    ("query", "nearest"),
    [("limit=0&status=quued", "limit=1&status=queued"), ("limit=5&cursor=zz", "limit=5"), ("limit=5", None)],
)
def test_a_broken_query_gets_the_nearest_valid_one(control: httpx.Client, query: str, nearest: str | None) -> None:
    """Also where a parameter fits its schema and is refused all the same; a good one gets none."""
    told = explained(control, control.get(f"/v1/jobs?{query}"))
    assert told["nearestValid"] == (None if nearest is None else {"query": nearest})


@pytest.mark.parametrize(
    ("headers", "place"),
    [({"x-mock-scenario": "hapy"}, "header.x-mock-scenario"), ({"x-mock-fault": "stat=1"}, "header.x-mock-fault")],
)
def test_a_misspelt_header_of_the_mock_is_a_violation(
    control: httpx.Client, headers: dict[str, str], place: str
) -> None:
    """It is told where, and the replay repeats it as it was sent."""
    told = explained(control, control.get("/v1/me", headers=headers))
    assert [each["place"] for each in told["violations"]] == [place]
    assert {name.lower(): value for name, value in told["replay"]["headers"].items()} | headers == {
        name.lower(): value for name, value in told["replay"]["headers"].items()
    }


def test_bodies_are_cut_and_their_sizes_are_true(control: httpx.Client) -> None:
    """64 KiB are kept of a longer body; nothing valid is guessed from a part."""
    text = json.dumps(movie(projectId="x" * 2 * MAX_BODY))
    told = explained(control, control.post("/v1/render/jobs", content=text))
    request = told["request"]
    assert (request["size"], len(request["body"]), request["isTruncated"]) == (len(text), MAX_BODY, True)
    assert told["nearestValid"] is None


def test_a_body_that_was_never_read_keeps_the_size_that_was_announced(control: httpx.Client) -> None:
    """Nobody reads the body of a call to nowhere."""
    request = explained(control, control.post("/nowhere", content=b"12345"))["request"]
    assert (request["size"], request["body"], request["isTruncated"]) == (5, "", True)


@pytest.mark.parametrize(("mode", "rate"), [("frozen", 0), ("auto", 0), ("scaled", 60), ("real", 1)])
def test_the_clock_is_the_one_of_the_call(control: httpx.Client, mode: str, rate: float) -> None:
    """However it runs later."""
    control.patch("/__mock/clock", json={"mode": mode, "rate": rate})
    answer = control.get("/v1/me")
    control.patch("/__mock/clock", json={"mode": "frozen"})
    clock = explained(control, answer)["clock"]
    assert (clock["mode"], clock["rate"]) == (mode, rate)


def test_the_call_of_a_stranger_is_explained_to_whoever_knows_its_id(
    live_server: LiveServer, control: httpx.Client
) -> None:
    """It has no scenario, as it came to none."""
    told = explained(control, httpx.get(f"{live_server.base_url}/v1/me"))
    assert told["callId"].startswith("call_outside_")
    assert (told["status"], told["scenario"], told["quota"]) == (401, None, None)


@pytest.mark.parametrize("call_id", ["call_x_1", "nonsense", "call_outside_", "call_outside_99999999999999999999999"])
def test_an_unknown_call_is_refused_with_what_is_kept(control: httpx.Client, call_id: str) -> None:
    """How many there are, and from which on."""
    first = control.get("/v1/me").headers["x-mock-call-id"]
    answer = control.get(f"/__mock/journal/{call_id}")
    assert (answer.status_code, answer.json()["code"]) == (404, "CALL_NOT_FOUND")
    assert f"holds 1 calls, from {first} on" in answer.json()["error"]


def test_the_call_of_another_key_is_unknown(live_server: LiveServer, control: httpx.Client) -> None:
    """A sandbox tells of itself alone."""
    with live_server.client(clock="frozen") as other:
        call_id = other.get("/v1/me").headers["x-mock-call-id"]
    assert control.get(f"/__mock/journal/{call_id}").json()["code"] == "CALL_NOT_FOUND"


# ---------------------------------------------------------------- making it again


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_curl_command_brings_the_same_answer_about(live_server: LiveServer) -> None:
    """Same status, same body, with quotes and all that a shell may trip over in the body."""
    key = live_server.new_key(clock="frozen")
    with live_server.client(key) as client:
        body = movie(projectId='it\'s $HOME `x` "q" \\ é\n')
        answer = client.post("/v1/render/jobs?a='b'&c=$d", json=body, headers={"x-mock-fault": "status=503"})
        told = explained(client, answer)
        environment = {"VIRALSYNC_API_KEY": key, "PATH": "/usr/bin:/bin:/usr/local/bin"}
        command = ["bash", "-euc", told["replay"]["curl"]]
        again = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
        repeated = newest(client)
    assert again.stdout == answer.text, again.stderr
    assert [repeated[part] for part in ("query", "violations", "faults")] == [
        told[part] for part in ("query", "violations", "faults")
    ]
    assert repeated["request"]["body"] == told["request"]["body"]


def curl(entry: JournalEntry) -> str:
    """Return the command that makes a call of a journal again."""
    return to_curl(exchange_of(SandboxRegistry(Settings()).anonymous, entry, "localhost"))


@given(body=st.text(min_size=1).filter(lambda text: "\0" not in text), value=st.text(st.characters(max_codepoint=255)))
def test_the_shell_reads_every_body_and_header_as_it_came(body: str, value: str) -> None:
    """Whatever is in them, it is one word each."""
    scope = {"method": "POST", "path": "/v1/é '\"$", "query_string": b"a='b' c", "headers": [(b"x", value.encode())]}
    entry = JournalEntry(1, EPOCH, scope, "")
    entry.record_body(body.encode())
    words = shlex.split(curl(entry))
    assert words[-2:] == ["--data-raw", entry.body.decode()]
    assert words[4] == "http://localhost/v1/%C3%A9%20'%22$?a='b'%20c"


def test_a_body_that_is_no_text_is_read_from_a_file() -> None:
    """A command line cannot hold it."""
    entry = JournalEntry(1, EPOCH, {"method": "POST", "path": "/", "query_string": b"", "headers": []}, "")
    entry.record_body(b"\xff\xfe")
    entry.record_response(json_response({}), b"", EPOCH)
    assert curl(entry).endswith("--data-binary @body")


def test_a_body_that_was_not_kept_whole_is_read_from_a_file() -> None:
    """The rest of it is gone."""
    entry = JournalEntry(1, EPOCH, {"method": "POST", "path": "/", "query_string": b"", "headers": []}, "")
    entry.record_body(b"x" * (MAX_BODY + 1))
    assert curl(entry).endswith("--data-binary @body")


# ---------------------------------------------------------------- the page


def shown_call(server: LiveServer) -> dict[str, Any]:
    """Make the call that docs/journal.md shows; return its explanation."""
    headers = {
        "host": "127.0.0.1:4747",
        "x-api-key": "vs_prod_0123456789abcdef0123456789abcdef",
        "user-agent": "docs",
        "accept": "application/json",
        "accept-encoding": "identity",
    }
    with watched(server.client(headers["x-api-key"])) as client:
        client.headers.update(headers)
        submitted = client.post("/v1/render/jobs", json=movie(projectId="proj_mock_scene_fails"))
        client.post("/__mock/clock/advance", json={"seconds": 2})
        look = client.get(f"/v1/jobs/{submitted.json()['jobId']}", headers={"x-mock-fault": "latency=10ms"})
        return explained(client, look)


def test_the_page_shows_what_the_mock_answers(start_mock: StartMock) -> None:
    """The JSON of docs/journal.md is the mock's own."""
    (block,) = re.findall(r"```json\n(\{\n  \"callId\".*?)```", PAGE, re.DOTALL)
    assert json.loads(block) == shown_call(start_mock(Settings(clock=Mode.FROZEN)))
