"""The verdict on real clients over real sockets: of each rule one that keeps it, and one that breaks it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as Xml

import httpx
import pytest
from tests.conftest import LiveServer, movie
from tests.support.paths import ROOT
from tests.support.webhook_receiver import Received, Receiver, Reply

from viralsync_mock.client import Sandbox
from viralsync_mock.client.results import RuleVerdict, Verdict
from viralsync_mock.errors import ControlError, UsageError
from viralsync_mock.scenarios.model import Webhooks
from viralsync_mock.verdict.rules import RULES
from viralsync_mock.webhooks.payload import sign

PAGE = (ROOT / "docs" / "verdict.md").read_text("utf-8")
DONE = {"status": "done"}


@dataclass
class Actor:
    """A client of the API with the test's hand on its sandbox: `advance` is its sleep."""

    http: httpx.Client
    stack: ExitStack

    def order(self, method: str, path: str, body: object = None, **query: Any) -> Any:
        """Call the control API."""
        return self.http.request(method, f"/__mock{path}", json=body, params=query).raise_for_status().json()

    def arm(self, operation: str, times: Any = 1, **fault: object) -> None:
        """Arm one fault."""
        armed = {"fault": fault, "match": {"operation": operation}, "times": times}
        self.order("PUT", "/faults", {"faults": [armed]})

    def advance(self, seconds: float) -> None:
        """Sleep on the sandbox's clock."""
        self.order("POST", "/clock/advance", {"seconds": seconds})

    def submit(self, **changes: Any) -> str:
        """Submit a job."""
        job: str = self.http.post("/v1/render/jobs", json=movie(**changes)).raise_for_status().json()["jobId"]
        return job

    def finish(self, job: str) -> None:
        """Go to where a job is done."""
        self.order("POST", "/clock/advance", {"until": {"jobId": job, **DONE}})

    def get(self, job: str) -> Any:
        """Read a job."""
        return self.http.get(f"/v1/jobs/{job}").json()

    def follow(self, job: str, last: str | None = None) -> list[str]:
        """Read a stream as far as it goes; return the ids of its events."""
        headers = {} if last is None else {"last-event-id": last}
        text = ""
        try:
            with self.http.stream("GET", f"/v1/jobs/{job}/progress", headers=headers) as stream:
                for part in stream.iter_text():
                    text += part
        except httpx.RemoteProtocolError:
            pass
        return re.findall(r"^id: (.+)$", text, re.MULTILINE)

    def receiver(self, reply: Callable[[Received], int]) -> str:
        """Start a receiver of webhooks that answers as it is told; return its URL."""
        receiver = _Judging(reply)
        return self.stack.enter_context(receiver).url

    def verdict(self, **query: Any) -> dict[str, dict[str, Any]]:
        """Return the verdict by rule."""
        return {each["rule"]: each for each in self.order("GET", "/verdict", **query)["rules"]}


class _Judging(Receiver):
    """A receiver that looks at what comes before it answers."""

    def __init__(self, answer: Callable[[Received], int]) -> None:
        super().__init__()
        self.answer = answer

    def reply(self, received: Received) -> Reply:
        """Answer as the function says."""
        self.got.append(received)
        return Reply(self.answer(received))


@pytest.fixture
def act(live_server: LiveServer) -> Iterator[Callable[..., Actor]]:
    """Yield what makes an actor with a sandbox of its own, on a frozen clock."""
    with ExitStack() as stack:

        def make(clock: str = "frozen", **options: Any) -> Actor:
            client = stack.enter_context(live_server.client(clock=clock, **options))
            return Actor(client, stack)

        yield make


# ---------------------------------------------------------------- clients that keep a rule, and that break it


def refused(actor: Actor, wait: float) -> None:
    actor.order("POST", "/exhaust", {"limit": "rate"})
    seconds = int(actor.http.get("/v1/me").headers["retry-after"])
    actor.advance(seconds * wait)
    actor.http.get("/v1/me")


def on_a_jumping_clock(actor: Actor, calls: int, *, sleeps: bool) -> None:
    actor.order("PATCH", "/clock", {"mode": "jump"})
    for _ in range(calls):
        actor.http.get("/v1/me")
        if sleeps:
            actor.order("POST", "/clock/sleep", {"seconds": 1})


def failing(actor: Actor, *waits: float) -> None:
    actor.arm("getMe", len(waits), status=503)
    actor.http.get("/v1/me")
    for wait in waits:
        actor.advance(wait)
        actor.http.get("/v1/me")


def ended(actor: Actor, reads: int) -> None:
    job = actor.submit()
    actor.finish(job)
    for _ in range(reads):
        actor.get(job)


def streaming(actor: Actor, reads: int) -> None:
    job = actor.submit()
    with actor.http.stream("GET", f"/v1/jobs/{job}/progress") as stream:
        parts = stream.iter_text()
        next(parts)
        for _ in range(reads):
            actor.get(job)
        actor.finish(job)
        list(parts)


def polling(actor: Actor, *waits: float) -> None:
    job = actor.submit()
    actor.get(job)
    for wait in waits:
        actor.advance(wait)
        actor.get(job)
    actor.finish(job)


def dropped(actor: Actor, then: Callable[[str, str], object]) -> None:
    job = actor.submit()
    actor.arm("streamJobProgress", drop_after_events=1)
    told = actor.follow(job)
    actor.finish(job)
    then(job, told[-1])


def glancing(actor: Actor, times: int) -> None:
    job = actor.submit()
    for _ in range(times):
        with actor.http.stream("GET", f"/v1/jobs/{job}/progress") as stream:
            next(stream.iter_text())
    actor.get(job)


def failing_renders(actor: Actor, times: int) -> None:
    actor.order("PUT", "/scenario", {"name": "scene-fails"})
    actor.order("PATCH", "/clock", {"mode": "jump"})
    for _ in range(times):
        job = actor.submit()
        actor.order("POST", "/clock/advance", {"until": {"jobId": job, "status": "failed"}})
        actor.get(job)


def invalid(actor: Actor, times: int) -> None:
    for _ in range(times):
        actor.http.post("/v1/render/jobs", json=movie(kind="film"))


def slow_hook(actor: Actor) -> None:
    actor.order("PATCH", "/clock", {"mode": "jump"})

    def work(_: Received) -> int:
        actor.order("POST", "/clock/sleep", {"seconds": 3})
        return 200

    actor.submit(callbackUrl=actor.receiver(work))
    actor.order("POST", "/clock/sleep", {"seconds": 60})


def believing(actor: Actor) -> None:
    actor.get(actor.submit())
    actor.advance(600)


def pages(actor: Actor, *, twice: bool = False, status: str = "", most: int = 2) -> None:
    for _ in range(3):
        actor.submit()
    page = actor.http.get("/v1/jobs?limit=2").json()
    if most == 1:
        return
    if twice:
        actor.http.get("/v1/jobs", params={"limit": 2, "cursor": page["nextCursor"]})
    more = {"status": status} if status else {}
    actor.http.get("/v1/jobs", params={"limit": 2, "cursor": page["nextCursor"], **more})


def lost(actor: Actor, fault: str, *, looks: bool) -> None:
    actor.arm("submitRenderJob", **{fault: "after"})
    with pytest.raises(httpx.HTTPError):
        actor.http.post("/v1/render/jobs", json=movie(), timeout=0.3)
    if looks:
        actor.http.get("/v1/jobs")
    actor.submit()


def hooked(actor: Actor, reply: Callable[[Received], int], **fault: object) -> None:
    if fault:
        actor.arm("submitRenderJob", **fault)
    actor.submit(callbackUrl=actor.receiver(reply))
    actor.advance(600)


def is_signed(received: Received) -> bool:
    return received.signature == sign(received.body, Webhooks().secret)


def once_only() -> Callable[[Received], int]:
    """Return a receiver that trips over what it has seen before."""
    seen = set[bytes]()

    def reply(received: Received) -> int:
        status = 500 if received.body in seen else 200
        seen.add(received.body)
        return status

    return reply


def forward_only() -> Callable[[Received], int]:
    """Return a receiver that trips over what is older than what it has seen."""
    latest = [""]

    def reply(received: Received) -> int:
        at = received.document["timestamp"]
        status, latest[0] = (200, at) if at > latest[0] else (500, latest[0])
        return status

    return reply


def shown_something_new(actor: Actor, kind: str, *, goes_on: bool) -> None:
    job = actor.submit()
    actor.get(job)
    actor.advance(2)
    actor.arm("getJob", **{kind: True})
    actor.get(job)
    if goes_on:
        actor.finish(job)
        actor.get(job)


def left(actor: Actor, *, cancels: bool) -> None:
    job = actor.submit()
    for _ in range(3):
        actor.advance(2)
        actor.get(job)
    if cancels:
        actor.http.post(f"/v1/jobs/{job}/cancel")


def forgotten(actor: Actor) -> None:
    actor.order("PUT", "/scenario", {"name": "stuck"})
    actor.submit()
    actor.advance(100)


def with_key_in_url(actor: Actor) -> None:
    key = actor.http.headers["x-api-key"]
    actor.http.get("/v1/me", params={"key": key})


def with_key_in_url_alone(actor: Actor) -> None:
    key = actor.http.headers["x-api-key"]
    httpx.get(f"{actor.http.base_url}/v1/me?key={key}", trust_env=False, verify=False)  # noqa: S501 - saves reading the CAs


Deed = Callable[[Actor], object]

KEPT: list[tuple[str, Deed]] = [
    ("waits-out-retry-after", lambda a: refused(a, 1)),
    ("backs-off-after-5xx", lambda a: failing(a, 1, 2, 4)),
    ("backs-off-after-5xx", lambda a: failing(a, 1)),
    ("stops-at-terminal", lambda a: ended(a, 1)),
    ("stops-at-terminal", lambda a: ended(a, 2)),
    ("does-not-poll-while-streaming", lambda a: streaming(a, 0)),
    ("does-not-poll-while-streaming", lambda a: streaming(a, 1)),
    ("polls-no-faster-than", lambda a: polling(a, 1, 1, 1)),
    ("polls-no-faster-than", lambda a: polling(a, 0.1, 1, 0.1, 1)),
    ("resumes-dropped-streams", lambda a: dropped(a, a.follow)),
    ("resumes-dropped-streams", lambda a: dropped(a, lambda job, _: a.get(job))),
    ("resumes-dropped-streams", lambda a: dropped(a, lambda *_: a.http.get("/v1/jobs"))),
    ("reads-each-page-once", pages),
    ("reads-every-page", pages),
    ("stays-on-its-stream", lambda a: streaming(a, 0)),
    ("does-not-resubmit-failed", lambda a: failing_renders(a, 2)),
    ("does-not-repeat-refused", lambda a: invalid(a, 1)),
    ("answers-webhooks-at-once", lambda a: hooked(a, lambda _: 204)),
    ("believes-no-old-status", lambda a: ended(a, 1)),
    *[("does-not-submit-twice", lambda a, f=f: lost(a, f, looks=True)) for f in ("reset_peer", "empty_response")],
    ("answers-webhooks", lambda a: hooked(a, lambda _: 204)),
    ("refuses-bad-signatures", lambda a: hooked(a, lambda r: 200 if is_signed(r) else 401, bad_signature=True)),
    ("refuses-bad-signatures", lambda a: hooked(a, lambda r: 200 if is_signed(r) else 401, tampered_body=True)),
    ("survives-duplicates", lambda a: hooked(a, lambda _: 200, duplicate=1)),
    ("survives-duplicates", lambda a: hooked(a, lambda _: 200, lost_response=1)),
    ("survives-disorder", lambda a: hooked(a, lambda _: 200, reorder=True)),
    ("ignores-unknown-fields", lambda a: shown_something_new(a, "unknown_field", goes_on=True)),
    ("ignores-unknown-statuses", lambda a: shown_something_new(a, "unknown_status", goes_on=True)),
    ("sleeps-between-calls", lambda a: on_a_jumping_clock(a, 3, sleeps=True)),
    ("cancels-what-it-abandons", lambda a: left(a, cancels=True)),
    ("sends-no-key-in-url", lambda a: a.http.get("/v1/me?limit=1")),
]

BROKEN: list[tuple[str, Deed, str]] = [
    ("waits-out-retry-after", lambda a: refused(a, 0.5), r"made again 30 s after a 429 with Retry-After: 60"),
    ("backs-off-after-5xx", lambda a: failing(a, 1, 1, 1), r"equally far apart \(1, 1, 1 s\)"),
    ("backs-off-after-5xx", lambda a: failing(a, 0.001, 0.001), r"at once after it failed"),
    ("stops-at-terminal", lambda a: ended(a, 4), r"read 3 more times after it was shown to be done"),
    ("does-not-poll-while-streaming", lambda a: streaming(a, 2), r"read 2 times while its stream was open"),
    ("polls-no-faster-than", lambda a: polling(a, 0.2, 0.2), r"after less than 1 s"),
    ("resumes-dropped-streams", lambda a: dropped(a, lambda job, _: a.follow(job)), r"without Last-Event-ID"),
    ("resumes-dropped-streams", lambda a: dropped(a, lambda job, _: a.follow(job, "x")), r"after event 'x'"),
    ("resumes-dropped-streams", lambda a: dropped(a, lambda *_: None), r"nothing more was asked"),
    ("reads-each-page-once", lambda a: pages(a, twice=True), r"fetched 2 times"),
    ("reads-each-page-once", lambda a: pages(a, status="queued"), r"filters changed"),
    ("stays-on-its-stream", lambda a: glancing(a, 4), r"opened 3 times and left each time"),
    ("reads-every-page", lambda a: pages(a, most=1), r"left unread, though nextCursor named it"),
    ("does-not-resubmit-failed", lambda a: failing_renders(a, 3), r"submitted 2 times more"),
    ("does-not-repeat-refused", lambda a: invalid(a, 2), r"refused with VALIDATION_ERROR was repeated 1 times"),
    ("answers-webhooks-at-once", slow_hook, r"answered after 3\.0 s"),
    ("believes-no-old-status", believing, r"was last seen queued, and has ended since"),
    *[
        ("does-not-submit-twice", lambda a, f=f: lost(a, f, looks=False), r"submitted again after its answer was lost")
        for f in ("reset_peer", "empty_response", "timeout")
    ],
    ("answers-webhooks", lambda a: hooked(a, lambda _: 500), r"answered 500"),
    ("refuses-bad-signatures", lambda a: hooked(a, lambda _: 200, bad_signature=True), r"bad signature was answered"),
    ("survives-duplicates", lambda a: hooked(a, once_only(), duplicate=1), r"came again was answered 500"),
    ("survives-disorder", lambda a: hooked(a, forward_only(), reorder=True), r"after a later one was answered 500"),
    ("ignores-unknown-fields", lambda a: shown_something_new(a, "unknown_field", goes_on=False), r"given up once"),
    ("ignores-unknown-statuses", lambda a: shown_something_new(a, "unknown_status", goes_on=False), r"given up once"),
    ("sleeps-between-calls", lambda a: on_a_jumping_clock(a, 200, sleeps=False), r"200 calls came at 2026-"),
    ("cancels-what-it-abandons", lambda a: left(a, cancels=False), r"read 3 times and given up"),
    ("cancels-what-it-abandons", forgotten, r"the client has not looked at it for 100 s"),
    ("sends-no-key-in-url", with_key_in_url, r"in the query of a call"),
    ("sends-no-key-in-url", with_key_in_url_alone, r"in the query of a call"),
]


@pytest.mark.parametrize(("rule", "deed"), KEPT, ids=lambda each: each if isinstance(each, str) else "")
def test_a_client_that_keeps_a_rule_is_seen_to(act: Callable[..., Actor], rule: str, deed: Deed) -> None:
    """The rule passed, and calls or webhooks show it."""
    actor = act(plan="enterprise")
    deed(actor)
    found = actor.verdict()[rule]
    assert (found["outcome"], bool(found["evidence"])) == ("passed", True), found


@pytest.mark.parametrize(("rule", "deed", "reason"), BROKEN, ids=lambda each: each if isinstance(each, str) else "")
def test_a_client_that_breaks_a_rule_is_told_why(act: Callable[..., Actor], rule: str, deed: Deed, reason: str) -> None:
    """The rule failed, for this reason, and calls or webhooks show it."""
    actor = act(plan="enterprise")
    deed(actor)
    found = actor.verdict()[rule]
    assert (found["outcome"], bool(found["evidence"])) == ("failed", True), found
    assert re.search(reason, found["reason"]), found["reason"]


def test_every_rule_is_kept_and_broken_above() -> None:
    """No rule is left out."""
    assert set(RULES) == {rule for rule, _ in KEPT} == {rule for rule, *_ in BROKEN}


# ---------------------------------------------------------------- what nobody can tell


def test_of_a_client_that_did_nothing_nothing_is_seen(act: Callable[..., Actor]) -> None:
    """Every rule is there, in order, and none had an occasion."""
    assert dict.fromkeys(RULES, "not_applicable") == {rule: each["outcome"] for rule, each in act().verdict().items()}


UNCLEAR: list[tuple[str, str, Deed]] = [
    ("waits-out-retry-after", "auto", lambda a: refused(a, 0)),
    ("waits-out-retry-after", "frozen", lambda a: refused(a, 0)),
    ("backs-off-after-5xx", "auto", lambda a: failing(a, 1, 1)),
    ("backs-off-after-5xx", "frozen", lambda a: failing(a, 0, 0)),
    ("backs-off-after-5xx", "frozen", lambda a: failing(a, 4, 3)),
    ("polls-no-faster-than", "auto", lambda a: polling(a, 0, 0)),
    ("polls-no-faster-than", "frozen", lambda a: polling(a, 0, 0)),
    ("cancels-what-it-abandons", "frozen", lambda a: a.submit()),
]


@pytest.mark.parametrize(("rule", "clock", "deed"), UNCLEAR)
def test_what_the_clock_does_not_tell_is_not_held_against_a_client(
    act: Callable[..., Actor], rule: str, clock: str, deed: Deed
) -> None:
    """A clock that goes on by itself, or stands, says nothing of waiting; nor does chance."""
    actor = act(clock)
    deed(actor)
    assert actor.verdict()[rule]["outcome"] == "inconclusive"


@pytest.mark.parametrize(
    ("rule", "deed"),
    [
        ("waits-out-retry-after", lambda a: refused(a, 0)),
        ("backs-off-after-5xx", lambda a: failing(a, 0, 0)),
        ("polls-no-faster-than", lambda a: polling(a, 0, 0)),
    ],
)
def test_on_a_jumping_clock_no_movement_is_no_wait(act: Callable[..., Actor], rule: str, deed: Deed) -> None:
    """The clock tells all that the client has waited, so the rules about waiting decide."""
    actor = act("jump", plan="enterprise")
    deed(actor)
    assert actor.verdict()[rule]["outcome"] == "failed"


def test_a_call_of_a_client_that_never_sleeps_is_explained(act: Callable[..., Actor]) -> None:
    """From the 200th call at one instant on the journal says what moves the clock."""
    actor = act("jump")
    calls = [actor.http.get("/v1/me").headers["x-mock-call-id"] for _ in range(200)]
    summaries = [actor.order("GET", f"/journal/{each}")["summary"] for each in calls[-2:]]
    assert "the clock moves when the client sleeps" not in summaries[0]
    assert summaries[1].endswith("It is call 200 at this instant: the clock moves when the client sleeps on it.")


def test_calls_of_the_test_are_left_out(act: Callable[..., Actor]) -> None:
    """They are marked by a header."""
    actor = act()
    ended(actor, 1)
    job = actor.order("GET", "/jobs")["jobs"][0]["jobId"]
    with Sandbox(str(actor.http.base_url), actor.http.headers["x-api-key"]) as sandbox, sandbox.client() as client:
        assert [client.get(f"/v1/jobs/{job}").json()["status"] for _ in range(5)] == ["done"] * 5
        assert len(sandbox.verdict()["stops-at-terminal"].evidence) == 1
        assert sandbox.assert_rule("stops-at-terminal")


def test_who_sleeps_on_an_auto_clock_is_seen_to_wait(act: Callable[..., Actor]) -> None:
    """The clock jumps by itself at a refusal; what is slept comes on top."""
    actor = act("auto")
    refused(actor, 1)
    assert actor.verdict()["waits-out-retry-after"]["outcome"] == "passed"


def test_a_forgotten_call_leaves_the_verdict_open(act: Callable[..., Actor]) -> None:
    """A journal that was cleared may have held anything."""
    actor = act()
    actor.http.get("/v1/me")
    actor.order("DELETE", "/journal")
    assert {"inconclusive"} == {each["outcome"] for each in actor.verdict().values()}


def test_how_fast_a_client_may_poll_can_be_said(act: Callable[..., Actor]) -> None:
    """An interval of its own, in seconds."""
    actor = act()
    polling(actor, 2, 2)
    outcomes = [actor.verdict(pollSeconds=seconds)["polls-no-faster-than"]["outcome"] for seconds in (2, 5)]
    assert outcomes == ["passed", "failed"]


def test_a_forged_webhook_is_judged_as_forged_only(act: Callable[..., Actor]) -> None:
    """To answer it 2xx is wrong; to refuse its copy is right."""
    actor = act()
    hooked(actor, once_only(), duplicate=1, bad_signature=True)
    outcomes = [actor.verdict()[rule]["outcome"] for rule in ("refuses-bad-signatures", "survives-duplicates")]
    assert outcomes == ["failed", "not_applicable"]


def test_a_receiver_that_nobody_started_is_not_held_against_a_client(act: Callable[..., Actor]) -> None:
    """The mock may not send elsewhere, or finds nobody."""
    actor = act()
    actor.submit(callbackUrl="https://example.com/hook")
    actor.advance(600)
    assert actor.verdict()["answers-webhooks"]["outcome"] == "inconclusive"


def test_a_receiver_that_answers_at_the_second_attempt_is_fine(act: Callable[..., Actor]) -> None:
    """The terminal webhook is tried again for just that."""
    actor, answers = act(), iter([500])
    hooked(actor, lambda r: next(answers, 200) if r.document["status"] == "done" else 200)
    assert actor.verdict()["answers-webhooks"]["outcome"] == "passed"


# ---------------------------------------------------------------- excuses, and how it is told


@pytest.fixture
def bad(act: Callable[..., Actor]) -> Iterator[Sandbox]:
    """Yield the sandbox of a client that has broken two rules."""
    actor = act()
    ended(actor, 4)
    with_key_in_url(actor)
    with Sandbox(str(actor.http.base_url), actor.http.headers["x-api-key"]) as sandbox:
        yield sandbox


def test_a_bad_client_fails_with_its_calls(bad: Sandbox) -> None:
    """Each broken rule with its reason, and the calls that show it; no key is in it."""
    with pytest.raises(AssertionError) as failure:
        bad.assert_well_behaved()
    lines = str(failure.value).splitlines()
    assert lines[0] == "the client is not well behaved, 2 rules failed:"
    assert re.fullmatch(r"stops-at-terminal: failed: job_\w+ was read 3 more times after .* to be done", lines[1])
    assert re.fullmatch(r"    <call_\w+_2 \S+ GET /v1/jobs/job_\w+ -> 200>", lines[2])


def test_a_rule_is_excused_with_its_reason(bad: Sandbox) -> None:
    """An excuse is shown, and what it excuses is no failure any more."""
    verdict = bad.assert_well_behaved(stops_at_terminal="a demo", sends_no_key_in_url="an old gateway")
    assert (verdict.is_good, verdict["stops-at-terminal"].outcome) == (True, "waived")
    assert verdict["stops-at-terminal"].reason.startswith("a demo (job_")


def test_a_rule_has_to_have_passed(bad: Sandbox) -> None:
    """A rule that was not applicable is as little use as one that failed."""
    assert bad.assert_rule("believes-no-old-status").outcome == "passed"
    for rule, outcome in {"stops-at-terminal": "failed", "reads_every_page": "not_applicable"}.items():
        with pytest.raises(AssertionError, match=f"to have passed, got {outcome}:\n"):
            bad.assert_rule(rule)
    with pytest.raises(KeyError, match='Did you mean "stops-at-terminal"'):
        bad.assert_rule("stops-at-the-terminal")  # type: ignore[arg-type] - that is the test
    with pytest.raises(KeyError, match='there is no rule "unknown"\\. Rules: waits-out-retry-after, '):
        bad.verdict()["unknown"]  # type: ignore[index] - that is the test


def test_what_is_inconclusive_can_fail(act: Callable[..., Actor]) -> None:
    """On request, unless the rule is waived."""
    actor = act()
    failing(actor, 0, 0)
    with Sandbox(str(actor.http.base_url), actor.http.headers["x-api-key"]) as sandbox:
        assert sandbox.assert_well_behaved().inconclusive[0].rule == "backs-off-after-5xx"
        with pytest.raises(AssertionError, match="not well behaved, 1 rule inconclusive:\nbacks-off-after-5xx: inconc"):
            sandbox.assert_well_behaved(inconclusive="fail")
        sandbox.assert_well_behaved(inconclusive="fail", backs_off_after_5xx="a frozen clock")
        with pytest.raises(UsageError, match='expected "pass" or "fail"'):
            sandbox.assert_well_behaved(inconclusive="maybe")  # type: ignore[arg-type] - that is the test


def test_a_rule_that_is_kept_needs_no_excuse(bad: Sandbox) -> None:
    """An excuse for nothing changes nothing."""
    assert bad.verdict({"reads-each-page-once": "never mind"})["reads-each-page-once"].outcome == "not_applicable"


def test_an_unknown_rule_is_refused_with_the_nearest(bad: Sandbox) -> None:
    """A typing error excuses nothing."""
    with pytest.raises(ControlError, match=r'got "stops-at-the-terminal"\. Did you mean "stops-at-terminal"\?'):
        bad.verdict({"stops-at-the-terminal": "a demo"})


def test_a_verdict_is_told_as_text_json_and_junit(bad: Sandbox) -> None:
    """All three name every rule; those that failed come first in the text."""
    verdict = bad.verdict({"sends-no-key-in-url": "an old gateway"})
    suite = Xml.fromstring(verdict.junit())[0]  # noqa: S314 - it was written a moment ago
    assert verdict.text().splitlines()[1].startswith("  stops-at-terminal: failed: ")
    assert list(RULES) == [each["rule"] for each in json.loads(verdict.json())["rules"]]
    assert ([suite.attrib["tests"], suite.attrib["failures"]], int(suite.attrib["skipped"])) == (
        [str(len(RULES)), "1"],
        20,
    )

    assert ([suite.attrib["tests"], suite.attrib["failures"]], int(suite.attrib["skipped"])) == (["23", "1"], 20)


def test_no_reason_breaks_the_xml() -> None:
    """Characters that XML does not have are replaced."""
    odd = Verdict((RuleVerdict("a-rule", "failed", 'bad\x00 <"&\ud800', (), ("shown\x1b",)),))
    [failure] = Xml.fromstring(odd.junit()).iter("failure")  # noqa: S314 - it was written a moment ago
    assert (failure.attrib["message"], failure.text) == ('failed: bad? <"&?', "shown?")


def test_the_page_has_a_row_for_every_rule() -> None:
    """docs/verdict.md and the rules are the same."""
    assert list(RULES) == re.findall(r"^\| `([a-z0-9-]+)` \| .+ \| .+ \| .+ \|$", PAGE, re.MULTILINE)
