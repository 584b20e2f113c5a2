"""What the assertions of a sandbox let pass, and what their failures say, as text, against a mock on a real socket."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable
from threading import Event, Thread
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import LiveServer, movie
from tests.support.webhook_receiver import Receiver, Reply

from viralsync_mock.client.assertions import MAX_SHOWN
from viralsync_mock.client.sandbox import ControlError, Sandbox
from viralsync_mock.json_subset import differences, is_subset, short_repr

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=3), part, max_size=3),
    max_leaves=8,
)


def submit(api: httpx.Client, **changes: Any) -> str:
    """Submit a job and return its id."""
    return str(api.post("/v1/render/jobs", json=movie(**changes)).json()["jobId"])


def failure(assertion: Callable[..., object], *arguments: Any, **options: Any) -> str:
    """Return the text of a failure; the tag that the ids of a sandbox's calls share is left out."""
    with pytest.raises(AssertionError) as caught:
        assertion(*arguments, **options)
    return re.sub(r"call_[0-9a-z]+_", "call_", str(caught.value))


def text(*lines: str) -> str:
    """Join the lines of a failure, the instant of the frozen clock in the place of `@`."""
    return "\n".join(lines).replace("@", "2026-01-01T00:00:00.000Z")


# ---------------------------------------------------------------- what was called


def test_calls_that_were_made_are_returned_oldest_first(sandbox: Sandbox, api: httpx.Client) -> None:
    """What was found is there to be looked at."""
    submit(api)
    submit(api, projectId="proj_other")
    calls = sandbox.assert_called("submitRenderJob", times=2, status=202, body={"kind": "movie"})
    assert [call.body["projectId"] for call in calls] == ["proj_abc123", "proj_other"]


def test_a_call_about_a_job_is_found_by_it(sandbox: Sandbox, api: httpx.Client) -> None:
    """A call of another job is none."""
    one, other = submit(api), submit(api)
    api.get(f"/v1/jobs/{one}")
    assert [call.job_id for call in sandbox.assert_called("getJob", job_id=one)] == [one]
    assert failure(sandbox.assert_called, "getJob", job_id=other) == text(
        f"expected a call of getJob about {other}, got none. The nearest:",
        f"  <call_3 @ GET /v1/jobs/{one} -> 200>: job: expected {other}, got {one}",
    )


def test_nothing_at_all_is_told_so(sandbox: Sandbox) -> None:
    """Where there was no call, there is none to show."""
    told = failure(sandbox.assert_called, "getMe")
    assert told == "expected a call of getMe, got none. There was no call at all."


def test_a_failure_shows_the_calls_of_other_operations_when_there_are_no_nearer_ones(
    sandbox: Sandbox, api: httpx.Client
) -> None:
    """Whoever called the wrong path sees it."""
    api.get("/v1/mee")
    api.get("/v1/jobs?limit=0")
    assert failure(sandbox.assert_called, "getMe") == text(
        "expected a call of getMe, got none. Calls there were:",
        "  <call_1 @ GET /v1/mee -> 404 NOT_FOUND>",
        "  <call_2 @ GET /v1/jobs?limit=0 -> 400 VALIDATION_ERROR>",
    )


def test_a_body_that_differs_is_told_place_by_place(sandbox: Sandbox, api: httpx.Client) -> None:
    """Expected and got, at each place, for the nearest calls."""
    submit(api)
    body = {"projectId": "proj_x", "movie": {"title": "Spring", "scenes": [{}, {"duration": 9}, {}]}}
    assert failure(sandbox.assert_called, "submitRenderJob", body=body) == text(
        f"expected a call of submitRenderJob with a body containing {short_repr(body)}, got none. The nearest:",
        "  <call_1 @ POST /v1/render/jobs -> 202>: $.projectId: expected 'proj_x', got 'proj_abc123'; "
        "$.movie.title: expected 'Spring', got nothing; $.movie.scenes[1].duration: expected 9, got 3.5",
    )


def test_the_calls_that_differ_least_are_shown(sandbox: Sandbox, api: httpx.Client) -> None:
    """Of many calls the nearest, in the order in which they were made."""
    sandbox.account(plan="enterprise")
    for number in range(MAX_SHOWN + 2):
        submit(api, projectId="proj_far" if number < 2 else "proj_near")
    told = failure(sandbox.assert_called, "submitRenderJob", status=402, body={"projectId": "proj_near"})
    assert re.findall(r"<call_(\d)", told) == ["3", "4", "5", "6", "7"]


def test_too_few_calls_are_shown_with_those_that_nearly_fit(sandbox: Sandbox, api: httpx.Client) -> None:
    """Both what counts and what does not."""
    submit(api, projectId="proj_x")
    submit(api)
    assert failure(sandbox.assert_called, "submitRenderJob", times=2, body={"projectId": "proj_x"}) == text(
        "expected 2 calls of submitRenderJob with a body containing {'projectId': 'proj_x'}, got 1. These fit:",
        "  <call_1 @ POST /v1/render/jobs -> 202>",
        "The nearest others:",
        "  <call_2 @ POST /v1/render/jobs -> 202>: $.projectId: expected 'proj_x', got 'proj_abc123'",
    )


def test_too_many_calls_are_shown(sandbox: Sandbox, api: httpx.Client) -> None:
    """The last of them, and how many came before."""
    for _ in range(MAX_SHOWN + 2):
        api.get("/v1/me")
    assert failure(sandbox.assert_called, "getMe", times=1) == text(
        "expected 1 call of getMe, got 7:",
        "  ... 2 before",
        *(f"  <call_{number} @ GET /v1/me -> 200>" for number in range(3, 8)),
    )


def test_another_status_is_told(sandbox: Sandbox, api: httpx.Client) -> None:
    """What was answered in its place."""
    api.get("/v1/me")
    assert failure(sandbox.assert_called, "getMe", status=503) == text(
        "expected a call of getMe answered 503, got none. The nearest:",
        "  <call_1 @ GET /v1/me -> 200>: status: expected 503, got 200",
    )


def test_no_call_can_be_expected(sandbox: Sandbox, api: httpx.Client) -> None:
    """`times=0` passes when there is none, and fails with the one there is."""
    assert sandbox.assert_called("getMe", times=0) == []
    api.get("/v1/me")
    told = failure(sandbox.assert_called, "getMe", times=0)
    assert told == text("expected 0 calls of getMe, got 1:", "  <call_1 @ GET /v1/me -> 200>")


def test_a_call_that_was_not_to_be_made_is_shown(sandbox: Sandbox, api: httpx.Client) -> None:
    """And passes as long as there is none."""
    sandbox.assert_not_called("getMe")
    api.get("/v1/me")
    told = failure(sandbox.assert_not_called, "getMe")
    assert told == text("expected no call of getMe, got 1:", "  <call_1 @ GET /v1/me -> 200>")


def test_other_calls_are_shown_too(sandbox: Sandbox, api: httpx.Client) -> None:
    """Also one that no operation of the spec knows."""
    api.get("/v1/me")
    sandbox.assert_only_called("getMe", "getUsage")
    api.get("/v1/mee")
    told = failure(sandbox.assert_only_called, "getMe", "getUsage")
    assert told == text(
        "expected calls of getMe, getUsage only, got also:", "  <call_2 @ GET /v1/mee -> 404 NOT_FOUND>"
    )


def test_calls_can_be_expected_to_be_none_at_all(sandbox: Sandbox, api: httpx.Client) -> None:
    """Without an operation nothing may be called."""
    sandbox.assert_only_called()
    api.get("/v1/me")
    told = failure(sandbox.assert_only_called)
    assert told == text("expected no call at all, got also:", "  <call_1 @ GET /v1/me -> 200>")


def test_a_word_that_is_no_operation_does_not_pass_unseen(sandbox: Sandbox) -> None:
    """A typing error in `assert_not_called` would else never fail."""
    with pytest.raises(ControlError, match=r'got "getMee"\. Did you mean "getMe"\?'):
        sandbox.assert_not_called("getMee")


# ---------------------------------------------------------------- webhooks


def test_a_webhook_that_was_taken_is_returned(sandbox: Sandbox, api: httpx.Client) -> None:
    """With what it told."""
    with Receiver() as receiver:
        job_id = submit(api, callbackUrl=receiver.url)
        sandbox.clock.run_until(job_id)
        [delivery] = sandbox.assert_webhook_delivered("done", job_id, times=1)
    assert (delivery.body["status"], delivery.headers["x-render-signature"]) == ("done", receiver.got[-1].signature)


def test_webhooks_that_were_made_are_shown_when_none_is_of_the_kind(sandbox: Sandbox, api: httpx.Client) -> None:
    """What was delivered in its place."""
    with Receiver() as receiver:
        job_id = submit(api, callbackUrl=receiver.url)
        sandbox.clock.advance(1)
        told = failure(sandbox.assert_webhook_delivered, "done")
    assert told == text(
        "expected a done webhook delivered, got none. Those that were made:",
        f"  <delivery_1 progress of {job_id} to {receiver.url}: delivered (200)>",
    )


def test_a_webhook_that_was_refused_is_shown_with_its_attempts(sandbox: Sandbox, api: httpx.Client) -> None:
    """Made and not taken: the answer of the receiver is there."""
    with Receiver(otherwise=Reply(500)) as receiver:
        job_id = submit(api, callbackUrl=receiver.url)
        sandbox.clock.run_until(job_id)
        told = failure(sandbox.assert_webhook_delivered, "done", job_id)
    assert told == text(
        f"expected a done webhook of {job_id} delivered, got none. Those that were made:",
        f"  <delivery_8 done of {job_id} to {receiver.url}: pending (500)>",
    )


def test_no_webhook_at_all_is_told_so(sandbox: Sandbox) -> None:
    """Where none was made, there is none to show."""
    told = failure(sandbox.assert_webhook_delivered, times=2)
    assert told == "expected 2 webhooks delivered, got none. None was made."


# ---------------------------------------------------------------- waiting


def test_a_call_of_another_thread_is_waited_for(sandbox: Sandbox, api: httpx.Client) -> None:
    """The test goes on as soon as the code under test has called."""
    begun = Event()

    def call() -> None:
        begun.wait(5)
        api.get("/v1/me")

    thread = Thread(target=call)
    thread.start()
    begun.set()
    assert sandbox.wait_for_call("getMe").status == 200
    thread.join()


def test_the_call_of_a_number_is_waited_for(sandbox: Sandbox, api: httpx.Client) -> None:
    """Of several calls the last that is needed is returned."""
    for path in ("/v1/jobs", "/v1/jobs?limit=1", "/v1/jobs?limit=2"):
        api.get(path)
    assert sandbox.wait_for_call("listJobs", times=2).query == "limit=1"


def test_a_stream_has_been_called_while_it_is_open(sandbox: Sandbox, api: httpx.Client) -> None:
    """Whoever waits for it need not wait for its end."""
    with api.stream("GET", f"/v1/jobs/{submit(api)}/progress"):
        call = sandbox.wait_for_call("streamJobProgress")
    assert (call.status, call.ending) == (200, "pending")


def test_a_call_that_does_not_come_fails_after_the_time_out(sandbox: Sandbox, api: httpx.Client) -> None:
    """With the calls there were."""
    submit(api)
    assert failure(sandbox.wait_for_call, "submitRenderJob", body={"kind": "film"}, timeout=0.01) == text(
        "after 0.01 s: expected a call of submitRenderJob with a body containing {'kind': 'film'}, got none. "
        "The nearest:",
        "  <call_1 @ POST /v1/render/jobs -> 202>: $.kind: expected 'film', got 'movie'",
    )


def test_a_call_that_came_too_rarely_is_told(sandbox: Sandbox, api: httpx.Client) -> None:
    """How often it was to come, and how often it did."""
    api.get("/v1/me")
    told = failure(sandbox.wait_for_call, "getMe", times=2, timeout=0.01)
    assert told == text("after 0.01 s: expected 2 calls of getMe, got 1:", "  <call_1 @ GET /v1/me -> 200>")


def test_a_call_whose_answer_has_not_begun_is_none_yet(sandbox: Sandbox, live_server: LiveServer) -> None:
    """It is shown as what it is."""
    sandbox.faults.arm("timeout", match="getMe")
    with socket.create_connection(("127.0.0.1", int(live_server.base_url.rpartition(":")[2]))) as waiting:
        waiting.sendall(f"GET /v1/me HTTP/1.1\r\nhost: localhost\r\nx-api-key: {sandbox.api_key}\r\n\r\n".encode())
        while not len(sandbox.journal):
            pass
        told = failure(sandbox.wait_for_call, "getMe", timeout=0.01)
    assert told == text(
        "after 0.01 s: expected a call of getMe, got none. The nearest:",
        "  <call_1 @ GET /v1/me -> pending>: not answered yet",
    )


# ---------------------------------------------------------------- what differs


@given(JSON)
def test_values_contain_themselves(value: Any) -> None:
    """Nothing is missing of what is the same."""
    assert is_subset(value, value)
    assert list(differences(value, value)) == []


@given(JSON, JSON)
def test_what_does_not_contain_a_part_says_where(whole: Any, part: Any) -> None:
    """There is a line for every difference, and none without one."""
    assert is_subset(whole, part) is (list(differences(whole, part)) == [])


def test_long_values_are_told_in_brief() -> None:
    """No failure fills the screen with one value."""
    whole = {"text": "x" * 100_000}
    assert all(len(line) < 250 for line in differences(whole, {"text": json.dumps(whole)}))
