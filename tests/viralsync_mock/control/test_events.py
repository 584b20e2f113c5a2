"""`GET /__mock/events`, over a real socket, mostly through the Python client; each event is held against its schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import datetime
from itertools import islice
from typing import Any

import httpx
import orjson
import pytest
from tests.conftest import LiveServer, movie

from viralsync_mock.app import create_app
from viralsync_mock.client import ControlError, Event, Sandbox
from viralsync_mock.clock import Mode
from viralsync_mock.control import events
from viralsync_mock.control.app import read_control_spec
from viralsync_mock.server import BackgroundServer
from viralsync_mock.settings import Settings
from viralsync_mock.validation.validator import Validator

SPEC = read_control_spec()
VALIDATOR = Validator(SPEC)

Until = Callable[[Event], object]


def valid(found: Iterator[Event]) -> Iterator[Event]:
    """Hold each event against the document."""
    for event in found:
        assert VALIDATOR.event(SPEC.operations["streamEvents"], orjson.dumps(event.data)) == (), event.kind
        yield event


class Following:
    """A stream of events that has begun."""

    def __init__(self, sandbox: Sandbox, after: Event | str | None = None) -> None:
        self._stream = sandbox.events(after=after)
        self._events = valid(self._stream)
        self.hello = next(self._events)

    def close(self) -> None:
        """Leave."""
        self._stream.close()  # type: ignore[attr-defined]  # a generator

    def until(self, condition: Until) -> list[Event]:
        """Return the events up to the first that meets the condition."""
        found = []
        for event in self._events:
            found.append(event)
            if condition(event):
                return found
        raise AssertionError(f"the stream ended with {found}")

    def next(self, kind: str) -> dict[str, Any]:
        """Return the data of the next event of this kind."""
        return dict(self.until(lambda event: event.kind == kind)[-1].data)


Follow = Callable[..., Following]


@pytest.fixture
def follow() -> Iterator[Follow]:
    """Yield a function that begins a stream; all are closed after the test."""
    with ExitStack() as stack:
        yield lambda sandbox, after=None: stack.enter_context(closing(Following(sandbox, after)))


@pytest.fixture
def following(sandbox: Sandbox, follow: Follow) -> Following:
    """Return a stream of the sandbox."""
    return follow(sandbox)


def submit(api: httpx.Client, **changes: Any) -> str:
    return str(api.post("/v1/render/jobs", json=movie(**changes)).json()["jobId"])


def test_the_first_event_is_hello_with_the_clock(following: Following) -> None:
    """A new listener learns where the clock is, and that it has nothing to go on from."""
    hello = following.hello
    assert (hello.kind, hello.data["isResumed"], hello.data["clock"]["mode"]) == ("hello", False, "frozen")


def test_a_call_comes_once_it_is_answered(following: Following, api: httpx.Client) -> None:
    """The event has what the journal's list has."""
    answered = api.get("/v1/me")
    found = following.next("call")["call"]
    assert (found["callId"], found["status"]) == (answered.headers["x-mock-call-id"], 200)


def test_a_job_comes_with_each_change_of_its_status(following: Following, sandbox: Sandbox, api: httpx.Client) -> None:
    """One advance over the whole life still tells of the job, and of its end."""
    job_id = submit(api)
    assert following.next("job")["job"]["status"] == "queued"
    sandbox.clock.run_until(job_id)
    assert following.until(lambda each: each.kind == "job" and each.data["job"]["status"] == "done")


def test_the_status_changes_by_itself_on_a_clock_that_flows(
    sandbox: Sandbox, follow: Follow, api: httpx.Client
) -> None:
    """Nobody reads the job: the listener hears of its end all the same."""
    sandbox.clock.real(rate=1000)
    following, _ = follow(sandbox), submit(api)
    assert following.until(lambda each: each.kind == "job" and each.data["job"]["status"] == "done")


def test_a_deleted_job_is_null(following: Following, sandbox: Sandbox, api: httpx.Client) -> None:
    """What is gone is named."""
    job_id = submit(api)
    sandbox.clock.run_until(job_id)
    api.delete(f"/v1/jobs/{job_id}").raise_for_status()
    assert following.until(lambda each: each.kind == "job" and each.data["job"] is None)[-1].data["jobId"] == job_id


def test_a_move_of_the_clock_lists_its_effects_in_order(
    following: Following, sandbox: Sandbox, api: httpx.Client
) -> None:
    """The same steps and charges as `advance` returns."""
    submit(api)
    effects = [(each.kind, each.at) for each in sandbox.clock.advance(3600)]
    moved = following.next("clock")
    assert (moved["from"], moved["clock"]["now"]) == ("2026-01-01T00:00:00.000Z", "2026-01-01T01:00:00.000Z")
    assert effects == [(each["kind"], datetime.fromisoformat(each["at"])) for each in moved["effects"]]


def test_an_auto_clock_tells_how_far_a_read_has_moved_it(sandbox: Sandbox, follow: Follow, api: httpx.Client) -> None:
    """A poll is a move of the clock."""
    sandbox.clock.auto()
    following, job_id = follow(sandbox), submit(api)
    api.get(f"/v1/jobs/{job_id}")
    assert following.next("clock")["from"] == "2026-01-01T00:00:00.000Z"


def test_a_progress_stream_tells_of_each_event_it_sends(
    following: Following, sandbox: Sandbox, api: httpx.Client
) -> None:
    """So a page can draw them on the timeline."""
    job_id = submit(api)
    sandbox.clock.run_until(job_id)
    api.get(f"/v1/jobs/{job_id}/progress").raise_for_status()
    sent = following.next("stream")["event"]
    assert (sent["jobId"], sent["status"]) == (job_id, "done")


def test_a_webhook_comes_when_it_is_made_and_with_its_outcome(
    following: Following, sandbox: Sandbox, api: httpx.Client
) -> None:
    """A refused target is refused in the open."""
    job_id = submit(api, callbackUrl="http://203.0.113.7/hook")
    sandbox.clock.run_until(job_id)
    refused = following.until(lambda e: e.kind == "delivery" and e.data["delivery"]["outcome"] == "refused")[-1]
    assert refused.data["delivery"]["jobId"] == job_id


def test_faults_come_when_they_are_armed_and_when_they_match(
    following: Following, sandbox: Sandbox, api: httpx.Client
) -> None:
    """With how often each has matched."""
    sandbox.faults.arm(status=503, times=1)
    assert [each["matched"] for each in following.next("faults")["faults"]] == [0]
    api.get("/v1/me")
    assert [each["matched"] for each in following.next("faults")["faults"]] == [1]
    sandbox.faults.clear()
    assert following.next("faults")["faults"] == []


def test_scenario_and_account_come_when_they_change(following: Following, sandbox: Sandbox) -> None:
    """Whoever changed them."""
    sandbox.scenario("scene-fails")
    assert following.next("scenario")["scenario"]["name"] == "scene-fails"
    sandbox.account(plan="business")
    assert following.until(lambda e: e.kind == "account" and e.data["account"]["plan"] == "business")


def test_a_reset_does_not_end_the_stream(following: Following, sandbox: Sandbox, api: httpx.Client) -> None:
    """The same stream goes on with the new sandbox."""
    api.get("/v1/me")
    following.next("call")
    sandbox.reset()
    following.next("reset")
    api.get("/v1/usage")
    assert following.next("call")["call"]["operation"] == "getUsage"


def test_a_cleared_journal_is_said(following: Following, sandbox: Sandbox, api: httpx.Client) -> None:
    """A page then shows none."""
    api.get("/v1/me")
    sandbox.journal.clear()
    following.next("journal")


def test_a_listener_that_comes_back_gets_what_it_has_missed(
    following: Following, follow: Follow, sandbox: Sandbox, api: httpx.Client
) -> None:
    """Each event after the last one that it has, once, in order."""
    api.get("/v1/me")
    last = following.until(lambda event: event.kind == "call")[-1]
    api.get("/v1/usage")
    missed = following.until(lambda e: e.kind == "call" and e.data["call"]["operation"] == "getUsage")
    again = follow(sandbox, last)
    assert again.hello.data["isResumed"] is True
    got = again.until(lambda e: e.kind == "call" and e.data["call"]["operation"] == "getUsage")
    assert [each.id for each in got] == [each.id for each in missed]


@pytest.mark.parametrize("last", ["0badcafe-0", "nonsense", "-", "5e1f0c3a-99999999999999999999"])
def test_an_unknown_last_id_is_no_resumption(sandbox: Sandbox, follow: Follow, last: str) -> None:
    """After a restart the ids are others: the client has to read everything anew."""
    assert follow(sandbox, last).hello.data["isResumed"] is False


def test_a_listener_that_falls_behind_is_told(
    following: Following, follow: Follow, sandbox: Sandbox, api: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The events kept are bounded in bytes; what has left them is not pretended to have been sent."""
    api.get("/v1/me")
    first = following.until(lambda event: event.kind == "call")[-1]
    monkeypatch.setattr(events, "MAX_BYTES", 600)
    while follow(sandbox, first).hello.data["isResumed"]:
        api.get("/v1/usage")


def test_two_sandboxes_do_not_mix(live_server: LiveServer, sandbox: Sandbox, follow: Follow) -> None:
    """Each key has its own events."""
    keys = [live_server.new_key(clock="frozen") for _ in range(2)]
    of_one, of_other = (follow(sandbox.with_key(key)) for key in keys)
    for key, path in zip(keys, ("/v1/me", "/v1/usage"), strict=True):
        with live_server.client(key) as client:
            client.get(path)
    assert of_other.next("call")["call"]["operation"] == "getUsage"
    assert of_one.next("call")["call"]["operation"] == "getMe"


def test_no_key_is_ever_sent(following: Following, sandbox: Sandbox, api: httpx.Client) -> None:
    """Not even the one that a client puts where none belongs."""
    api.get("/v1/jobs", params={"cursor": sandbox.api_key})
    assert sandbox.api_key not in str(following.next("call"))
    sandbox.clock.run_until(submit(api, callbackUrl=f"http://inbox.localhost/{sandbox.api_key}"))
    assert sandbox.api_key not in str(following.next("delivery"))


def test_without_listeners_nothing_is_noted(sandbox: Sandbox, live_server: LiveServer, api: httpx.Client) -> None:
    """A sandbox that nobody watches has no watcher."""
    api.get("/v1/me")
    assert live_server.app.mock.sandbox(sandbox.api_key).watcher is None


def test_after_the_grace_nothing_is_kept(
    sandbox: Sandbox, live_server: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The feed of a key goes a while after its last listener."""
    monkeypatch.setattr(events, "GRACE_SECONDS", 0.0)
    with sandbox.client() as client, client.stream("GET", "/__mock/events") as response:
        lines = response.iter_lines()  # an iterator that is dropped ends the stream
        next(lines)
        home = live_server.app.mock.sandbox(sandbox.api_key)
        assert home.watcher is not None
    while home.watcher is not None:
        sandbox.scenario()
    assert sandbox.api_key not in live_server.app.mock.sandboxes.watchers


def test_the_stream_ends_with_the_server() -> None:
    """A server that stops does not wait for its listeners."""
    server = BackgroundServer(create_app(Settings(clock=Mode.FROZEN)))
    with server, Sandbox(server.base_url, "vs_prod_" + "0" * 32) as sandbox:
        found = sandbox.events()
        assert next(found).kind == "hello"
        server.stop()
        assert list(islice(found, 1)) == []


def test_the_guards_of_the_control_api_hold(live_server: LiveServer) -> None:
    """No key, another page, another name: refused like any control call."""
    url = f"{live_server.base_url}/__mock/events"
    key = live_server.headers(live_server.new_key())
    assert httpx.get(url).status_code == 401
    assert httpx.get(url, headers={**key, "origin": "https://evil.example"}).status_code == 403
    assert httpx.get(url, headers={**key, "host": "evil.example"}).status_code == 403


def test_head_ends_at_once(api: httpx.Client) -> None:
    """A stream without its body is over."""
    response = api.head("/__mock/events")
    assert (response.status_code, response.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")


def test_a_refusal_is_a_control_error(live_server: LiveServer) -> None:
    """As with every other method of the client."""
    with Sandbox(live_server.base_url, "no-key") as sandbox, pytest.raises(ControlError, match="No sandbox is named"):
        list(sandbox.events())


def test_many_feeds_share_their_memory(
    following: Following, api: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What all keys keep together is bounded too."""
    api.get("/v1/me")
    following.next("call")
    monkeypatch.setattr(events, "MAX_BYTES_OF_ALL", 0)
    monkeypatch.setattr(events, "MIN_BYTES", 1)
    api.get("/v1/usage")
    following.until(lambda event: event.kind == "hello")


def test_a_listener_does_not_hold_a_jumping_clock(sandbox: Sandbox, follow: Follow, api: httpx.Client) -> None:
    """Nor does it make the clock jump: it only watches. Each jump is told."""
    sandbox.clock.jump()
    following, _ = follow(sandbox), submit(api)
    api.post("/__mock/clock/sleep", json={"seconds": 3600}).raise_for_status()
    assert following.until(lambda e: e.kind == "clock" and e.data["clock"]["now"] >= "2026-01-01T01:00:00")
