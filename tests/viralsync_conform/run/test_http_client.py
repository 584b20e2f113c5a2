"""The one way out: guarded, paid for, paced, recorded, and without keys."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx2
import pytest
from tests.support.fake_target import KEY, Api, FakeClock, answer, events, html, run_of, stream
from tests.support.results import spec

from viralsync_conform.budget import Budget, BudgetSpentError
from viralsync_conform.ownership_guard import ForeignIdError
from viralsync_conform.run.context import RunContext
from viralsync_conform.run.http_client import MAX_KEPT, MAX_KEPT_REQUEST, HttpClient
from viralsync_conform.run.request import Request, encoded

OWN, FOREIGN = "job_0000000000aa", "job_0000000000bb"
LIMIT = spec().rate_limit


def request(run: RunContext, method: str = "GET", path: str = "/v1/me", **rest: Any) -> Request:
    blank: dict[str, Any] = {
        "query": {}, "headers": {}, "content": None, "operation": "getMe", "path_parameters": {}, "journey": "journey",
        "step": "step", "expected": "200", "account": run.target.main,
    }  # fmt: skip
    return Request(method=method, path=path, **{**blank, **rest})


@pytest.mark.parametrize(
    "path",
    [
        f"/v1/jobs/{OWN}/../{FOREIGN}", f"/v1/jobs/{FOREIGN}", f"/v1/jobs/{OWN}%2F..%2F{FOREIGN}", f"/v1/jobs/{OWN}?a",
        f"/v1/jobs/./{FOREIGN}",
    ],
)  # fmt: skip
def test_what_is_not_ours_is_not_even_sent(path: str) -> None:
    """The HTTP client resolves dot segments by itself: the guard must refuse them before, and nothing is spent."""
    api = Api()
    run = run_of(api)
    run.guard.own(OWN)
    with pytest.raises(ForeignIdError):
        HttpClient(run).send(request(run, "DELETE", path, operation="deleteJob"))
    assert (api.asked, run.calls, run.budget.requests) == ([], [], 0)


def test_a_path_goes_out_as_it_was_checked() -> None:
    """An own path reaches the target letter by letter, and a value in a path is escaped."""
    api = Api()
    run = run_of(api)
    run.guard.own(OWN)
    HttpClient(run).send(request(run, "DELETE", f"/v1/jobs/{OWN}"))
    assert api.asked[0].url.raw_path == f"/v1/jobs/{OWN}".encode()
    assert encoded("/v1/jobs/{jobId}/cancel", {"jobId": "../a b?"}) == "/v1/jobs/..%2Fa%20b%3F/cancel"


def test_a_call_that_is_too_many_is_not_sent() -> None:
    """The wall stands before the call."""
    api = Api()
    run = run_of(api, budget=Budget(1, 0))
    client = HttpClient(run)
    client.send(request(run))
    with pytest.raises(BudgetSpentError):
        client.send(request(run))
    assert len(api.asked) == 1


def test_a_submission_needs_what_its_job_will_cost_to_clean() -> None:
    """A job is only made where a look, a cancel and a delete can follow; for a throwaway account that is no matter."""
    api = Api()
    run = run_of(api, budget=Budget(3, 1))
    movie = b'{"movie": {"scenes": [{"id": "a", "duration": 1}]}}'
    submit = request(run, "POST", "/v1/render/jobs", operation="submitRenderJob", content=movie)
    with pytest.raises(BudgetSpentError):
        HttpClient(run).send(submit)
    HttpClient(run).send(replace(submit, account=replace(run.target.main, name="other", is_main=False)))
    HttpClient(run).send(replace(submit, content=b"{"))
    assert api.routes == ["POST /v1/render/jobs"] * 2


def test_the_pace_leaves_room_in_the_rate_limit() -> None:
    """However many calls are made, no window holds more than the share that a run may use."""
    run = run_of(Api())
    client, clock = HttpClient(run), run.target.main.clock
    assert isinstance(clock, FakeClock)
    for _ in range(3 * LIMIT.requests):
        client.send(request(run))
        clock.waits[:] = [wait for wait in clock.waits if wait > 0]
    at = [call.at.timestamp() for call in run.calls]
    most = int(LIMIT.requests * run.target.main.share)
    assert all(later - earlier >= LIMIT.window for earlier, later in zip(at, at[most:], strict=False))
    assert clock.waits


def test_who_is_not_paced_runs_into_the_limit() -> None:
    """The journey that tries the window is not held back."""
    run = run_of(Api())
    client, clock = HttpClient(run), run.target.main.clock
    for _ in range(LIMIT.requests + 1):
        client.send(request(run, is_paced=False))
    assert isinstance(clock, FakeClock)
    assert clock.waits == []


@pytest.mark.parametrize("auth", ["header", "bearer", "none"])
def test_keys_go_out_and_are_not_kept(auth: str) -> None:
    """The target sees the key as it is asked to, and the record of the call never."""
    api = Api({"GET /v1/me": [answer(200, {"echo": KEY, "part": f"Bearer {KEY}"}, x_echo=KEY, set_cookie="a=b")]})
    run = run_of(api)
    told = HttpClient(run).send(
        request(run, auth=auth, query={"key": KEY}, headers={"x-note": KEY}, content=KEY.encode(), step=f"with {auth}")
    )
    sent = {"header": ("x-api-key", KEY), "bearer": ("authorization", f"Bearer {KEY}")}.get(auth)
    assert sent is None or api.asked[0].headers[sent[0]] == sent[1]
    assert sent is not None or {"x-api-key", "authorization"}.isdisjoint(api.asked[0].headers)
    kept = (told.url, told.request_headers, told.request_body, told.headers, told.body, told.problem)
    assert KEY not in repr(kept)
    assert "a=b" not in repr(kept)


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (httpx2.ReadTimeout("slow"), "time-out: no answer came in time"),
        (httpx2.ConnectError(f"refused {KEY}"), "ConnectError: refused vs_prod_***"),
        (httpx2.RemoteProtocolError(""), "RemoteProtocolError"),
    ],
)
def test_a_missing_answer_is_a_call_with_a_problem(error: Exception, problem: str) -> None:
    """Nothing is raised: what the network did is told, and the call is counted."""
    run = run_of(Api({"GET /v1/me": [error]}))
    told = HttpClient(run).attempt(request(run))
    assert (told.status, told.problem, told.number, run.budget.requests) == (None, problem, 1, 1)
    assert run.calls == [told]


def test_a_stream_that_nobody_asked_for_is_left() -> None:
    """It could go on for ever: its head is enough."""
    run = run_of(Api({"GET /v1/me": [stream([events({"status": "done"})])]}))
    told = HttpClient(run).send(request(run))
    assert (told.media_type, told.body, told.problem) == ("text/event-stream", b"", "")


def test_a_stream_is_recorded_whole_in_the_place_of_its_call() -> None:
    """The call of a stream keeps its number and gets its events, comments and text; keys in them are masked."""
    api = Api({"GET /v1/jobs/job_1/progress": [stream([b": hi\n\n", events({"key": KEY}, {"status": "done"})])]})
    run = run_of(api)
    client = HttpClient(run)
    with client.open(request(run, path="/v1/jobs/job_1/progress", operation="streamJobProgress")) as (opened, call):
        assert opened is not None
        assert opened.wait_closed(5)
        client.send(request(run))
        whole = client.finished(call, opened)
    assert [each.number for each in run.calls] == [1, 2]
    assert run.calls[0] is whole
    assert ([event.id for event in whole.events], len(whole.comments), whole.is_closed) == (["0", "1"], 1, True)
    assert KEY not in repr((whole.body, whole.events))


def test_where_no_stream_opens_the_answer_is_complete() -> None:
    """A refusal in the place of a stream has its body."""
    run = run_of(Api({"GET /v1/me": [html(502)]}))
    with HttpClient(run).open(request(run)) as (opened, call):
        assert (opened, call.status, call.body) == (None, 502, b"<h1>502</h1>")


def test_whoever_watches_is_told_of_each_call() -> None:
    """The progress bar sees what is recorded; large bodies are cut, and query values that are None left out."""
    seen: list[int] = []
    run = run_of(Api(), on_call=lambda call: seen.append(call.number))
    told = HttpClient(run).send(request(run, query={"a": 1, "b": None, "c": ["x", "y"]}, content=b"x" * 100_000))
    assert (seen, told.url, len(told.request_body)) == ([1], "/v1/me?a=1&c=x&c=y", MAX_KEPT_REQUEST)


def test_a_long_list_is_judged_whole_and_only_its_beginning_stays() -> None:
    """A page of many large jobs is no broken JSON, however many of them a run reads; which jobs it named is known."""
    job = {**spec().document["components"]["examples"]["doneJob"]["value"], "jobId": FOREIGN}
    long = {**job, "payload": {"text": "x" * (MAX_KEPT // 3)}}
    run = run_of(Api({"GET /v1/jobs": [answer(200, {"jobs": [long], "nextCursor": None})]}))
    client = HttpClient(run)
    whole = [client.send(request(run, path="/v1/jobs", operation="listJobs")) for _ in range(4)]
    assert "failure" not in {finding.category for finding in run.findings}
    assert len(run.calls[0].body) < MAX_KEPT // 3 < len(whole[0].body) == len(run.calls[-1].body)
    assert (sum(len(call.body) for call in run.calls) <= MAX_KEPT, list(run.listed)) == (True, [FOREIGN])
