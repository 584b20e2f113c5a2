"""The verdict as a pure function: of calls and webhooks that no server has seen, and of any journal there can be."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import accumulate
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import movie
from tests.support.in_process import InProcess, arming

from viralsync_mock.api.call import NONE
from viralsync_mock.clock import EPOCH, Mode
from viralsync_mock.config.behaviour import BehaviourProfile
from viralsync_mock.control.verdict import collect_evidence
from viralsync_mock.faults.stream import EndWithoutTerminal
from viralsync_mock.faults.views import UNKNOWN_FIELD, UNKNOWN_STATUS
from viralsync_mock.jobs.sse import encode
from viralsync_mock.jobs.store import WindowSlot
from viralsync_mock.journal.entry import ANSWERED, CLIENT_DISCONNECTED, PENDING, JournalEntry, serialize_headers
from viralsync_mock.response import JSON
from viralsync_mock.scenarios.armed_faults import MatchedFaults
from viralsync_mock.verdict.evidence import LIST, READ, STREAM, SUBMIT, Evidence, Outcome, Unfinished
from viralsync_mock.verdict.rules import RULES, RuleResult, evaluate_rules
from viralsync_mock.webhooks.delivery import Attempt, Delivery, DeliveryOutcome
from viralsync_mock.webhooks.payload import WebhookSettings

JOB = "job_0123456789ab"
NEW = {UNKNOWN_FIELD: 1}
PATHS = {READ: f"/v1/jobs/{JOB}", STREAM: f"/v1/jobs/{JOB}/progress", LIST: "/v1/jobs", SUBMIT: "/v1/render/jobs"}


def call(number: int, operation: str = READ, at: float = 0, **facts: Any) -> JournalEntry:
    """Return a call: answered at once, with 200 and what `shows` says, on a frozen clock; `facts` are its attributes.

    `over` is the number of the newest call that had come when it was over.
    """
    headers = [(name.encode(), value) for name, value in facts.pop("sent", {}).items()]
    query, shows = facts.pop("query", b""), facts.pop("shows", None)
    method = "POST" if operation == SUBMIT else "GET"
    scope = {"method": method, "path": PATHS.get(operation, "/v1/me"), "query_string": query, "headers": headers}
    entry = JournalEntry(number, EPOCH + timedelta(seconds=at), scope, "")
    entry.operation, entry.mode, entry.status, entry.ending = operation, Mode.FROZEN, 200, ANSWERED
    entry.answered_after = entry.ended_after = facts.pop("over", number)
    entry.answered_at = entry.at
    entry.job_id = JOB if operation in (READ, STREAM, SUBMIT) else None
    lines = [(b"content-type", JSON), *facts.pop("answer_headers", ())]
    entry._answer_headers, entry._answer_body = serialize_headers(lines), orjson.dumps(shows)
    entry.answer_size = len(entry._answer_body)
    for name, value in facts.items():
        setattr(entry, name, value)
    return entry


def limited(number: int, at: float, **facts: Any) -> JournalEntry:
    """Return a call that was refused for 10 s."""
    return call(number, "getMe", at, status=429, answer_headers=[(b"retry-after", b"10")], **facts)


def read(number: int, status: str, at: float = 0, more: Mapping[str, Any] = NONE, **facts: Any) -> JournalEntry:
    """Return a read that showed a status, and `more`."""
    return call(number, READ, at, shows={"jobId": JOB, "status": status, "progress": 0, **more}, **facts)


def stream(number: int, status: str, event: int, **facts: Any) -> JournalEntry:
    """Return a stream whose last event had this number, and told this status."""
    last = encode(orjson.dumps({"jobId": JOB, "status": status}), id=event)
    return call(number, STREAM, **{"last_event": last, "events": 1, **facts})


def page(number: int, cursor: str = "", following: str | None = None, **facts: Any) -> JournalEntry:
    """Return a page of the list."""
    query = f"limit=2&cursor={cursor}".encode() if cursor else b"limit=2"
    return call(number, LIST, shows={"jobs": [], "nextCursor": following}, query=query, **facts)


def failing(*at: float) -> list[JournalEntry]:
    """Return attempts at a call that is answered 503."""
    return [call(number, "getMe", instant, status=503) for number, instant in enumerate(at, 1)]


def eased(count: int) -> list[float]:
    """Return waits that grow by little more than a fifth."""
    return [0.0106 * 1.2**i - 0.0055 for i in range(count)]


def polls(*at: float) -> list[JournalEntry]:
    """Return reads of a running job."""
    return [read(number, "running", instant) for number, instant in enumerate(at, 1)]


def looks(count: int) -> list[JournalEntry]:
    """Return streams of a running job that were left."""
    return [stream(number, "running", 4, ending=CLIENT_DISCONNECTED) for number in range(1, count + 1)]


def refusals(status: int, *at: float, first: int = 1) -> list[JournalEntry]:
    """Return attempts at a submission that is refused."""
    code = "CONCURRENCY_LIMIT_EXCEEDED" if status == 409 else f"CODE_{status}"
    facts = {"status": status, "code": code, "job_id": None}
    return [call(number, SUBMIT, instant, **facts) for number, instant in enumerate(at, first)]


def renders(*pauses: float, **facts: Any) -> list[JournalEntry]:
    """Return submissions of a movie, each so long after the one before was seen to have failed."""
    calls, now = list[JournalEntry](), 0.0
    for index, pause in enumerate(pauses):
        now, job = now + pause, f"job_{index}"
        calls += [
            call(2 * index + 1, SUBMIT, now, status=202, job_id=job, shows={"jobId": job, "status": "queued"}, **facts),
            read(2 * index + 2, "failed", now, job_id=job, **facts),
        ]
    return calls


def delivery(seconds: float, status: int | None = 200, problem: str | None = None) -> Delivery:
    """Return a webhook with one attempt that took this time."""
    hook = WebhookSettings("http://localhost/hook", "secret", BehaviourProfile())
    attempts = [Attempt(EPOCH, EPOCH, status, problem=problem, seconds=seconds)]
    return Delivery(1, JOB, "done", hook, (), b"{}", EPOCH, EPOCH, outcome=DeliveryOutcome.DELIVERED, attempts=attempts)


def verdict(rule: str, *calls: JournalEntry, **more: Any) -> RuleResult:
    """Return what is said of one rule."""
    return next(each for each in evaluate_rules(Evidence(calls, **more)) if each.rule == rule)


AUTO = {"mode": Mode.AUTO}
JUMPED = {**AUTO, "slot": WindowSlot(120, EPOCH + timedelta(seconds=10))}
PASSED, FAILED, UNSEEN, UNCLEAR = Outcome.PASSED, Outcome.FAILED, Outcome.NOT_APPLICABLE, Outcome.INCONCLUSIVE

TABLE: list[tuple[str, str, Outcome, Sequence[JournalEntry]]] = [
    ("the wait is over", "waits-out-retry-after", PASSED, [limited(1, 0), call(2, "getMe", 10)]),
    ("a timer is early", "waits-out-retry-after", PASSED, [limited(1, 0), call(2, "getMe", 9.96)]),
    ("too early", "waits-out-retry-after", FAILED, [limited(1, 0), call(2, "getMe", 9.9)]),
    ("given up", "waits-out-retry-after", PASSED, [limited(1, 0)]),
    ("another call", "waits-out-retry-after", UNCLEAR, [limited(1, 0), call(2, LIST, 1)]),
    ("just too early", "waits-out-retry-after", FAILED, [limited(1, 0), call(2, "getMe", 9.94)]),
    ("three other calls", "waits-out-retry-after", FAILED, [
        limited(1, 0), *[call(i, LIST, i - 1, status=429) for i in (2, 3, 4)]]),
    ("two other calls", "waits-out-retry-after", UNCLEAR, [
        limited(1, 0), *[call(i, LIST, i - 1, status=429) for i in (2, 3)]]),
    ("no wait where all waiting is seen", "waits-out-retry-after", FAILED, [
        limited(1, 0, mode=Mode.JUMP), call(2, "getMe", mode=Mode.JUMP)]),
    ("two at once", "waits-out-retry-after", UNCLEAR, [
        limited(1, 0, over=2), call(2, LIST, over=3), call(3, "getMe", 1)]),
    ("under way before", "waits-out-retry-after", PASSED, [limited(1, 0, over=2), call(2, "getMe", 0)]),
    ("the clock jumped", "waits-out-retry-after", UNCLEAR, [limited(1, 0, **JUMPED), call(2, "getMe", 10, **AUTO)]),
    ("slept on top", "waits-out-retry-after", PASSED, [limited(1, 0, **JUMPED), call(2, "getMe", 20, **AUTO)]),
    ("no number", "waits-out-retry-after", UNSEEN, [call(1, status=429, answer_headers=[(b"retry-after", b"soon")])]),
    ("a slow clock", "waits-out-retry-after", PASSED, [
        limited(1, 0, mode=Mode.SCALED, rate=0.5), call(2, "getMe", 5, mode=Mode.SCALED, rate=0.5)]),
    ("a quick clock", "waits-out-retry-after", FAILED, [
        limited(1, 0, mode=Mode.SCALED, rate=60), call(2, "getMe", 5, mode=Mode.SCALED, rate=60)]),
    ("growth", "backs-off-after-5xx", PASSED, [call(i, at=2**i, status=503) for i in range(1, 6)]),
    ("growth up to a cap", "backs-off-after-5xx", PASSED, [
        call(i, at=at, status=503) for i, at in enumerate([0, 1, 3, 7, 11, 15], 1)]),
    ("no growth", "backs-off-after-5xx", FAILED, [call(i, at=i, status=503) for i in range(1, 4)]),
    ("a success between", "backs-off-after-5xx", PASSED, [
        call(1, at=1, status=503), call(2, at=2), call(3, at=3, status=503), call(4, at=4)]),
    ("at once after a success", "backs-off-after-5xx", FAILED, [
        call(1, at=1, status=503), call(2, at=2), *[call(i, at=2 + i / 100, status=503) for i in (3, 4, 5)]]),
    ("no retry", "backs-off-after-5xx", UNSEEN, [call(1, status=503)]),
    ("reset and at once", "backs-off-after-5xx", PASSED, [
        call(1, status=None, ending="reset_peer"), call(2, at=0.01)]),
    ("shrinking", "backs-off-after-5xx", UNCLEAR, failing(0, 3, 5)),
    ("twice at once", "backs-off-after-5xx", FAILED, failing(0, 0.019, 0.038)),
    ("twice at once, less so", "backs-off-after-5xx", UNCLEAR, failing(0, 0.2, 0.445)),
    ("once at once, then growing", "backs-off-after-5xx", PASSED, failing(0, 0.001, 0.4, 1.2)),
    ("twice of four at once", "backs-off-after-5xx", PASSED, failing(0, 0.01, 0.02, 1, 3)),
    ("thrice of four at once", "backs-off-after-5xx", FAILED, failing(0, 0.01, 0.02, 0.03, 3)),
    ("half as long again", "backs-off-after-5xx", PASSED, failing(0, 1, 2.53)),
    ("less than half as long again", "backs-off-after-5xx", UNCLEAR, failing(0, 1, 2.4)),
    ("equal but for a timer", "backs-off-after-5xx", FAILED, failing(0, 1, 2.03)),
    ("five without growth", "backs-off-after-5xx", FAILED, failing(0, 1, 2.2, 3.3, 4.5, 5.6)),
    ("four without growth", "backs-off-after-5xx", UNCLEAR, failing(0, 1, 2.2, 3.3, 4.5)),
    ("no wait where all waiting is seen", "backs-off-after-5xx", FAILED, [
        call(i, status=503, mode=Mode.JUMP) for i in range(1, 4)]),
    ("no wait on a frozen clock", "backs-off-after-5xx", UNCLEAR, failing(0, 0, 0)),
    ("two clients at once", "backs-off-after-5xx", UNCLEAR, [
        call(1, status=503, over=2), call(2, at=0.01, status=503), call(3, at=0.02)]),
    ("asked for a second", "backs-off-after-5xx", PASSED, [
        call(i, at=i, status=503, answer_headers=[(b"retry-after", b"1")]) for i in range(1, 4)]),
    ("asked for two seconds", "backs-off-after-5xx", FAILED, [
        call(i, at=i, status=503, answer_headers=[(b"retry-after", b"2")]) for i in range(1, 4)]),
    ("ended, confirmed", "stops-at-terminal", PASSED, [read(1, "running"), read(2, "done"), read(3, "done")]),
    ("ended, read on", "stops-at-terminal", FAILED, [read(i, "failed") for i in range(4)]),
    ("ended, looked at twice by a test", "stops-at-terminal", PASSED, [read(i, "failed") for i in range(3)]),
    ("ended, seen by three readers", "stops-at-terminal", PASSED, [
        read(i, "done", connection=i % 3 + 1) for i in range(1, 7)]),
    ("ended, with a connection each time", "stops-at-terminal", FAILED, [
        read(i, "done", connection=i) for i in range(1, 5)]),
    ("a stale read", "stops-at-terminal", PASSED, [
        stream(1, "done", 9), read(2, "running"), read(3, "running"), read(4, "done")]),
    ("broken answers", "stops-at-terminal", PASSED, [
        read(1, "done"), *[read(i, "done", ending="truncated_body") for i in (2, 3, 4)]]),
    ("streamed after its end", "stops-at-terminal", FAILED, [
        stream(1, "done", 9), *[call(i, STREAM, events=0) for i in (2, 3, 4)]]),
    ("streams that a fault ends early", "stops-at-terminal", PASSED, [
        stream(1, "done", 9),
        *[call(i, STREAM, events=0, matched_faults=(MatchedFaults("1", (EndWithoutTerminal(),)),)) for i in (2, 3, 4)],
    ]),
    ("resumed until the end", "stops-at-terminal", PASSED, [
        stream(1, "done", 9), *[stream(i, "done", 9, sent={"last-event-id": b"%d" % i}) for i in (2, 3, 4)]]),
    ("read before it was told", "stops-at-terminal", PASSED, [
        stream(1, "done", 9, over=3), read(2, "done", over=3), read(3, "done")]),
    ("an open stream", "stops-at-terminal", UNSEEN, [stream(1, "done", 9, ending=PENDING)]),
    *[(f"a list with a {status} job", "polls-no-faster-than", outcome, [
        call(i, LIST, i / 10, shows={"jobs": [{"jobId": JOB, "status": status}], "nextCursor": None})
        for i in (1, 2, 3)]) for status, outcome in (("running", FAILED), ("done", UNSEEN))],
    ("two quick reads", "polls-no-faster-than", PASSED, polls(0, 0.1)),
    ("three quick reads", "polls-no-faster-than", FAILED, polls(0, 0.1, 0.2)),
    ("a little early", "polls-no-faster-than", PASSED, polls(0, 0.96, 1.92)),
    ("early", "polls-no-faster-than", FAILED, polls(0, 0.94, 1.88)),
    ("easing", "polls-no-faster-than", PASSED, polls(0, 0.2, 0.45)),
    ("hardly easing", "polls-no-faster-than", FAILED, polls(0, 0.2, 0.43)),
    ("easing twenty times", "polls-no-faster-than", PASSED, polls(0, *accumulate(eased(20)))),
    ("easing more often", "polls-no-faster-than", FAILED, polls(0, *accumulate(eased(21)))),
    ("bursts of three", "polls-no-faster-than", UNCLEAR, polls(0, 0.01, 0.02, 2, 2.01, 2.02)),
    ("one burst of three", "polls-no-faster-than", FAILED, polls(0, 0.01, 0.02)),
    ("bursts of four", "polls-no-faster-than", FAILED, polls(0, 0.01, 0.02, 0.03, 2, 2.01, 2.02, 2.03)),
    ("three readers", "polls-no-faster-than", PASSED, [
        read(i, "running", at=i // 3, mode=Mode.JUMP, connection=i % 3 + 1) for i in range(9)]),
    ("no wait where all waiting is seen", "polls-no-faster-than", FAILED, [
        read(i, "running", mode=Mode.JUMP) for i in range(3)]),
    ("no wait on a frozen clock", "polls-no-faster-than", UNCLEAR, polls(0, 0, 0)),
    ("left twice", "stays-on-its-stream", UNSEEN, looks(2)),
    ("left three times", "stays-on-its-stream", FAILED, looks(3)),
    ("left three times, resumed", "stays-on-its-stream", UNSEEN, [
        *looks(2), stream(3, "running", 4, ending=CLIENT_DISCONNECTED, sent={"last-event-id": b"4"})]),
    ("read to the end", "stays-on-its-stream", PASSED, [*looks(2), stream(3, "done", 9)]),
    ("three at once", "stays-on-its-stream", UNSEEN, [
        stream(i, "running", 4, ending=CLIENT_DISCONNECTED, ended_after=3) for i in (1, 2, 3)]),
    ("all pages", "reads-every-page", PASSED, [page(1, following="a"), page(2, "a")]),
    ("walked, and then its first page alone", "reads-every-page", PASSED, [
        page(1, following="a"), page(2, "a"), page(3, following="a")]),
    ("one page", "reads-every-page", UNSEEN, [page(1)]),
    ("the first of two pages", "reads-every-page", FAILED, [page(1, following="a")]),
    ("the second of three pages", "reads-every-page", FAILED, [page(1, following="a"), page(2, "a", "b")]),
    ("the first again, on a frozen clock", "reads-every-page", UNCLEAR, [
        page(1, following="a"), page(2, following=None)]),
    ("the first again, at once", "reads-every-page", FAILED, [
        page(1, following="a", mode=Mode.JUMP), page(2, following=None, mode=Mode.JUMP)]),
    ("the first again, later", "reads-every-page", PASSED, [page(1, following="a"), page(2, following=None, at=1)]),
    ("found on the first page", "reads-every-page", PASSED, [
        call(1, LIST, shows={"jobs": [{"jobId": JOB}], "nextCursor": "a"}), read(2, "done")]),
    ("refused twice", "does-not-repeat-refused", PASSED, refusals(404, 0, 1)),
    ("refused three times", "does-not-repeat-refused", FAILED, refusals(404, 0, 1, 2)),
    ("invalid twice", "does-not-repeat-refused", FAILED, refusals(400, 0, 1)),
    ("invalid twice, with a call between", "does-not-repeat-refused", PASSED, [
        *refusals(400, 0), call(2, LIST), *refusals(400, 0, first=3)]),
    ("refused for another reason", "does-not-repeat-refused", PASSED, [
        *refusals(402, 0, 1), *refusals(409, 2, 3, first=3)]),
    ("refused, then not", "does-not-repeat-refused", PASSED, [*refusals(402, 0, 1), call(3, SUBMIT, status=202)]),
    ("no slot, and a second", "does-not-repeat-refused", PASSED, refusals(409, 0, 1, 2)),
    ("no slot, twice less than a second", "does-not-repeat-refused", PASSED, refusals(409, 0, 0.9, 1.8, 2.8)),
    ("no slot, thrice less than a second", "does-not-repeat-refused", FAILED, refusals(409, 0, 0.9, 1.8, 2.7)),
    ("no slot, and growing waits", "does-not-repeat-refused", PASSED, refusals(409, 0, 0.1, 0.3, 0.7, 1.5)),
    ("no slot, and a frozen clock", "does-not-repeat-refused", UNCLEAR, refusals(409, 0, 0, 0)),
    ("another refusal", "does-not-repeat-refused", UNSEEN, refusals(405, 0, 1, 2)),
    ("submitted three times before any failed", "does-not-resubmit-failed", PASSED, [
        *[call(i, SUBMIT, status=202, job_id=f"job_{i}", shows={"jobId": f"job_{i}"}) for i in (1, 2, 3)],
        *[read(i + 3, "failed", job_id=f"job_{i}") for i in (1, 2, 3)]]),
    ("done between two that failed", "does-not-resubmit-failed", FAILED, [
        *renders(0), call(3, SUBMIT, status=202, job_id="job_done", shows={}),
        *[each for i in (4, 6, 8) for each in (
            call(i, SUBMIT, status=202, job_id=f"job_{i}", shows={}), read(i + 1, "failed", job_id=f"job_{i}"))]]),
    ("failed, and once more", "does-not-resubmit-failed", PASSED, renders(0, 0)),
    ("failed, and twice more", "does-not-resubmit-failed", FAILED, renders(0, 0, 0, mode=Mode.JUMP)),
    ("failed, and twice more on a frozen clock", "does-not-resubmit-failed", UNCLEAR, renders(0, 0, 0)),
    ("failed, and twice more after a second", "does-not-resubmit-failed", PASSED, renders(0, 1, 1)),
    ("failed, and twice more after less", "does-not-resubmit-failed", FAILED, renders(0, 1, 0.9)),
    ("failed, and three times more", "does-not-resubmit-failed", FAILED, renders(0, 9, 9, 9)),
    ("a 202 cut off", "does-not-submit-twice", FAILED, [
        call(1, SUBMIT, status=202, ending="truncated_body"), call(2, SUBMIT)]),
    ("a 202 that came too late", "does-not-submit-twice", FAILED, [
        call(1, SUBMIT, status=202, ending=CLIENT_DISCONNECTED, over=2), call(2, SUBMIT)]),
    ("a 202 too large to keep", "does-not-submit-twice", UNSEEN, [
        call(1, SUBMIT, status=202, answer_size=10**6), call(2, SUBMIT)]),
    ("a 202 that came", "does-not-submit-twice", UNSEEN, [
        call(1, SUBMIT, status=202, shows={"jobId": JOB}), call(2, SUBMIT)]),
    ("seen running, ended since", "believes-no-old-status", FAILED, [read(1, "running")]),
    ("seen done", "believes-no-old-status", PASSED, [read(1, "running"), read(2, "done")]),
    ("seen running, then cancelled", "believes-no-old-status", UNSEEN, [
        read(1, "running"), call(2, "cancelJob", job_id=JOB)]),
    ("seen running, then in a list", "believes-no-old-status", UNSEEN, [
        read(1, "running"), call(2, LIST, shows={"jobs": [{"jobId": JOB}]})]),
    ("read while streaming", "does-not-poll-while-streaming", FAILED, [
        stream(1, "done", 9, answered_after=1, ended_after=3), read(2, "running"), read(3, "running")]),
    ("read after streaming", "does-not-poll-while-streaming", PASSED, [
        stream(1, "done", 9), read(2, "running"), read(3, "running")]),
    ("an unknown end", "resumes-dropped-streams", UNSEEN, [stream(1, "running", 4, ending=PENDING)]),
    ("left", "resumes-dropped-streams", UNSEEN, [stream(1, "running", 4, ending=CLIENT_DISCONNECTED)]),
    ("resumed", "resumes-dropped-streams", PASSED, [
        stream(1, "running", 4, ending="drop_after_events"), stream(2, "done", 9, sent={"last-event-id": b"4"})]),
    ("resumed too late", "resumes-dropped-streams", FAILED, [
        stream(1, "running", 4, ending="drop_after_events"), stream(2, "done", 9, sent={"last-event-id": b"5"})]),
    ("resumed too early", "resumes-dropped-streams", UNCLEAR, [
        stream(1, "running", 4, ending="drop_after_events"), stream(2, "done", 9, sent={"last-event-id": b"3"})]),
    ("without an event", "resumes-dropped-streams", PASSED, [
        call(1, STREAM, ending="drop_after_events"), stream(2, "done", 9)]),
    ("ended too soon", "resumes-dropped-streams", FAILED, [stream(1, "running", 4)]),
    ("given up in the end", "resumes-dropped-streams", UNCLEAR, [
        stream(1, "running", 4), stream(2, "running", 4, sent={"last-event-id": b"4"})]),
    ("walked twice", "reads-each-page-once", PASSED, [
        page(1, following="a"), page(2, "a"), page(3, following="a"), page(4, "a")]),
    ("fetched twice", "reads-each-page-once", FAILED, [page(1, following="a"), page(2, "a"), page(3, "a")]),
    ("a larger page", "reads-each-page-once", PASSED, [
        page(1, following="a"), call(2, LIST, shows={"jobs": [], "nextCursor": None}, query=b"limit=5&cursor=a")]),
    ("fetched again after a 503", "reads-each-page-once", PASSED, [
        page(1, following="a"), page(2, "a", status=503), page(3, "a")]),
    ("a cursor from nowhere", "reads-each-page-once", UNSEEN, [page(1, "z"), page(2, "z")]),
    ("pages too large to keep", "reads-each-page-once", UNCLEAR, [
        page(1, following="a"), page(2, answer_size=10**6), page(3, "a"), page(4, "a")]),
    ("two lost at once", "does-not-submit-twice", UNCLEAR, [
        call(1, SUBMIT, status=None, ending="reset_peer", over=2), call(2, SUBMIT)]),
    ("never made", "does-not-submit-twice", UNSEEN, [
        call(1, SUBMIT, status=None, ending="reset_peer", job_id=None), call(2, SUBMIT)]),
    ("read instead", "does-not-submit-twice", PASSED, [
        call(1, SUBMIT, status=None, ending="reset_peer"), read(2, "done"), call(3, SUBMIT)]),
    ("a time-out that overlaps", "does-not-submit-twice", FAILED, [
        call(1, SUBMIT, status=None, ending="timeout", over=2), call(2, SUBMIT)]),
    ("a field at the end", "ignores-unknown-fields", UNSEEN, [read(1, "running"), read(2, "done", more=NEW)]),
    ("a field at once", "ignores-unknown-fields", UNCLEAR, [read(1, "running", more=NEW)]),
    ("a field, then given up", "ignores-unknown-fields", FAILED, [read(1, "queued"), read(2, "running", more=NEW)]),
    ("a field on the 202", "ignores-unknown-fields", FAILED, [
        call(1, SUBMIT, shows=NEW, status=202), call(2, SUBMIT, shows=NEW, status=202, job_id="job_other")]),
    ("a status, streamed on", "ignores-unknown-statuses", PASSED, [stream(1, UNKNOWN_STATUS, 4, events=4)]),
    ("a status, and left", "ignores-unknown-statuses", FAILED, [
        stream(1, UNKNOWN_STATUS, 4, ending=CLIENT_DISCONNECTED)]),
    ("a list that failed", "does-not-submit-twice", FAILED, [
        call(1, SUBMIT, status=None, ending="reset_peer"), page(2, status=500), call(3, SUBMIT)]),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "outcome", "calls"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_journal_is_judged_so(rule: str, outcome: Outcome, calls: Sequence[JournalEntry]) -> None:
    """One rule, one journal, one outcome."""
    found = verdict(rule, *calls)
    assert outcome == found.outcome, found.reason


@pytest.mark.parametrize(("seconds", "outcome"), [(59, UNCLEAR), (60, FAILED)])
def test_a_job_is_left_behind_after_a_minute_without_a_look(seconds: float, outcome: Outcome) -> None:
    """Until then its client may still wait for it."""
    now = EPOCH + timedelta(seconds=seconds)
    assert (
        outcome
        == verdict("cancels-what-it-abandons", read(1, "running"), unfinished=[Unfinished(JOB)], now=now).outcome
    )


@pytest.mark.parametrize(("reads", "outcome"), [(2, UNCLEAR), (3, FAILED)])
def test_a_job_that_was_waited_for_is_given_up(reads: int, outcome: Outcome) -> None:
    """Three reads show that its client waited."""
    calls = [read(number, "running") for number in range(reads)] + [call(9, status=503), call(10, status=503)]
    assert outcome == verdict("cancels-what-it-abandons", *calls, unfinished=[Unfinished(JOB)]).outcome


def test_a_waiver_hides_nothing_but_a_failure() -> None:
    """A rule that passed, and one that never applied, stay so."""
    found = evaluate_rules(Evidence([limited(1, 0), call(2, "getMe", 20)]), waived=list(RULES))
    assert {each.outcome for each in found} == {PASSED, UNSEEN}


def test_a_copy_that_overtakes_its_original_is_no_disorder() -> None:
    """Both say the same."""
    original, copy = delivery(0), delivery(0)
    original.attempts[0] = original.attempts[0]._replace(at=EPOCH + timedelta(seconds=5))
    copy.number, copy.copy_of = 2, 1
    assert verdict("survives-disorder", deliveries=[original, copy]).outcome is UNSEEN


def test_a_result_names_twenty_calls_at_most() -> None:
    """The rest adds nothing."""
    assert len(verdict("stops-at-terminal", *[read(i, "done") for i in range(1, 40)]).calls) == 20


def test_a_receiver_that_is_not_there_is_not_slow() -> None:
    """However long it took to find out."""
    assert verdict("answers-webhooks-at-once", deliveries=[delivery(9, None, "unreachable")]).outcome is UNSEEN


@pytest.mark.parametrize(("seconds", "outcome"), [(2.0, PASSED), (2.1, FAILED)])
def test_a_receiver_has_two_seconds(seconds: float, outcome: Outcome) -> None:
    """What takes longer is done after the answer."""
    found = verdict("answers-webhooks-at-once", deliveries=[delivery(seconds)])
    assert found.outcome == outcome


@pytest.mark.parametrize(
    ("job", "outcome"),
    [(Unfinished(JOB), FAILED), (Unfinished(JOB, has_webhooks=True), UNSEEN)],
    ids=["alone", "told of"],
)
def test_a_job_that_webhooks_tell_of_is_not_abandoned(job: Unfinished, outcome: Outcome) -> None:
    """Who waits for them need not look."""
    now = EPOCH + timedelta(minutes=2)
    submission = call(1, SUBMIT, shows={"jobId": JOB, "status": "queued"}, status=202)
    assert outcome == verdict("cancels-what-it-abandons", submission, unfinished=[job], now=now).outcome


def test_a_job_that_is_streamed_is_not_abandoned() -> None:
    """Its stream is open, however long nothing happens."""
    open_stream = stream(1, "queued", 0, ending=PENDING)
    now = EPOCH + timedelta(hours=2)
    assert verdict("cancels-what-it-abandons", open_stream, unfinished=[Unfinished(JOB)], now=now).outcome is PASSED


def test_a_job_that_its_client_cannot_know_is_not_abandoned() -> None:
    """The answer to its submission was lost."""
    lost = call(1, SUBMIT, status=None, ending="reset_peer")
    now = EPOCH + timedelta(hours=2)
    assert verdict("cancels-what-it-abandons", lost, unfinished=[Unfinished(JOB)], now=now).outcome is UNSEEN


def test_a_rule_without_an_occasion_in_a_full_journal_is_left_open() -> None:
    """What was forgotten may have been one."""
    found = {each.outcome for each in evaluate_rules(Evidence(is_whole=False))}
    assert {UNCLEAR} == found


def test_the_worst_case_decides_and_only_what_failed_is_waived() -> None:
    """One failure outweighs what passed; the evidence is of the failures alone."""
    calls = [limited(1, 0), call(2, "getMe", 20), limited(3, 30), call(4, "getMe", 31)]
    found = evaluate_rules(Evidence(calls, prefix="call_x_"), waived=list(RULES))
    assert (found[0].outcome, found[0].calls) == (Outcome.WAIVED, ("call_x_3", "call_x_4"))
    assert {Outcome.WAIVED, PASSED, UNSEEN, UNCLEAR} >= {each.outcome for each in found}


# ---------------------------------------------------------------- any journal

TARGETS = st.sampled_from(
    [
        ("POST", "/v1/render/jobs"),
        ("GET", "/v1/jobs/{}"),
        ("GET", "/v1/jobs/{}/progress"),
        ("HEAD", "/v1/jobs/{}/progress"),
        ("POST", "/v1/jobs/{}/cancel"),
        ("DELETE", "/v1/jobs/{}"),
        ("GET", "/v1/jobs?limit=1"),
        ("GET", "/v1/jobs?limit=1&cursor=%ff"),
        ("GET", "/v1/me"),
        ("PUT", "/v1/nowhere"),
    ]
)
ORDERS = st.tuples(st.just("ORDER"), st.sampled_from(["advance", "exhaust", "clear", "forge"]))


async def live(mode: Mode, faults: Sequence[Any], deeds: Sequence[tuple[str, str]]) -> list[RuleResult]:
    """Let a client do all this to a mock; return what the verdict says."""
    async with InProcess(mode, journal_size=20) as process:
        await process.control("PUT", "/faults", {"faults": faults})
        job = "job_none"
        for method, target in deeds:
            if target == "advance":
                await process.control("POST", "/clock/advance", {"seconds": 7})
            elif target == "exhaust":
                await process.control("POST", "/exhaust", {"limit": "rate"})
            elif target == "clear":
                await process.control("DELETE", "/journal")
            else:
                submission = movie(callbackUrl="http://127.0.0.1:9/hook") if target == "forge" else movie()
                body = submission if method in ("POST", "ORDER") else None
                path = "/v1/render/jobs" if target == "forge" else target.format(job)
                await process.call("POST" if method == "ORDER" else method, path, body)
                job = next((each.id for each in process.sandbox.store.unfinished(process.sandbox.clock.now())), job)
        return evaluate_rules(collect_evidence(process.sandbox, process.mock.sandboxes.anonymous, 1.0))


@settings(max_examples=40)
@given(
    mode=st.sampled_from([Mode.FROZEN, Mode.AUTO]),
    faults=arming(),
    deeds=st.lists(TARGETS | ORDERS, max_size=25),
)
def test_law_a_verdict_is_reached_for_any_journal(
    mode: Mode, faults: Sequence[Any], deeds: Sequence[tuple[str, str]]
) -> None:
    """Whatever a client does under whatever faults: every rule has an outcome and a reason, and nothing is raised."""
    found = asyncio.run(live(mode, faults, deeds))
    assert list(RULES) == [each.rule for each in found]
    assert all(each.reason for each in found)


@given(
    calls=st.lists(
        st.builds(
            dict,
            last_event=st.sampled_from([b"", b"garbage", b"id: x\ndata: 3\n\n"]),
            operation=st.sampled_from([READ, LIST, STREAM, SUBMIT, "getMe", ""]),
            at=st.floats(0, 100),
            status=st.sampled_from([None, 200, 202, 429, 503]),
            ending=st.sampled_from(
                [ANSWERED, PENDING, CLIENT_DISCONNECTED, "reset_peer", "timeout", "drop_after_events"]
            ),
            shows=st.none()
            | st.integers(0, 9)
            | st.just({"status": "done"})
            | st.just({"status": 3, "nextCursor": "a"}),
            over=st.integers(0, 30),
            mode=st.sampled_from([None, *Mode]),
            sent=st.dictionaries(st.just("last-event-id"), st.binary(max_size=3)),
            query=st.sampled_from([b"", b"cursor=a", b"%ff=\xff&cursor"]),
            answer_headers=st.lists(st.tuples(st.just(b"retry-after"), st.sampled_from([b"3", b"x", b"9" * 40]))),
        ),
        max_size=12,
    ),
    is_whole=st.booleans(),
)
def test_law_no_journal_is_too_odd(calls: list[dict[str, Any]], is_whole: bool) -> None:
    """Also those that no server writes."""
    entries = [call(number, **facts) for number, facts in enumerate(calls, 1)]
    found = evaluate_rules(Evidence(entries, unfinished=[Unfinished(JOB)], is_whole=is_whole))
    assert list(RULES) == [each.rule for each in found]


def on_a_quick_clock(*calls: JournalEntry, **facts: Any) -> Evidence:
    for each in calls:
        each.mode, each.rate = Mode.SCALED, 20
    return Evidence(calls=calls, now=EPOCH + timedelta(hours=1), **facts)


def test_a_client_that_sleeps_in_real_time_is_not_measured_on_the_quick_clock() -> None:
    """10 s of a clock that runs 20 times as fast are half a second: too early after Retry-After: 10."""
    evidence = on_a_quick_clock(limited(1, 0), call(2, "getMe", 11))
    assert outcome_of("waits-out-retry-after", evidence) is Outcome.PASSED
    assert outcome_of("waits-out-retry-after", evidence.in_real_time(EPOCH)) is Outcome.FAILED
    slow = on_a_quick_clock(limited(1, 0), call(2, "getMe", 201))
    assert outcome_of("waits-out-retry-after", slow.in_real_time(EPOCH)) is Outcome.PASSED


def test_a_clock_that_changed_its_rate_is_left_as_it_is() -> None:
    """What cannot be translated into real time is not guessed."""
    evidence = on_a_quick_clock(limited(1, 0), call(2, "getMe", 11))
    evidence.calls[0].rate = 10
    assert evidence.in_real_time(EPOCH) is evidence


def test_a_job_that_is_unfinished_when_its_client_ends_is_left_behind() -> None:
    """Without the knowledge that the client has ended it may still be waited for."""
    facts = {"calls": [call(1, SUBMIT, shows={"jobId": JOB})], "unfinished": [Unfinished(JOB)]}
    assert outcome_of("cancels-what-it-abandons", Evidence(**facts)) is Outcome.INCONCLUSIVE
    assert outcome_of("cancels-what-it-abandons", Evidence(**facts, has_ended=True)) is Outcome.FAILED


def outcome_of(rule: str, evidence: Evidence) -> Outcome:
    return next(each.outcome for each in evaluate_rules(evidence) if each.rule == rule)


def test_a_stream_that_told_the_end_outweighs_a_look_at_the_job_beside_it() -> None:
    """The look has the higher number, but the stream was open longer."""
    calls = [call(1, SUBMIT, shows={"jobId": JOB}), stream(2, "done", 9, over=3), read(3, "running", 1)]
    assert outcome_of("believes-no-old-status", Evidence(calls=calls)) is Outcome.PASSED
