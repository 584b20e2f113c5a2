"""What each kind of fault should do to a client, and the probe that shows it.

An expectation must be able to fail: none holds where its fault is not armed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from viralsync_mock.faults.views import UNKNOWN_FIELD, UNKNOWN_STATUS
from viralsync_mock.jobs.models import TERMINAL, Status
from viralsync_mock.jobs.sse import KEEP_ALIVE
from viralsync_mock.scenarios.model import Webhooks
from viralsync_mock.self_check import probes
from viralsync_mock.self_check.clients import CLOSED, RESET, TIMED_OUT
from viralsync_mock.self_check.probes import JobEvent, events_of, json_of
from viralsync_mock.webhooks.payload import sign

if TYPE_CHECKING:
    from collections.abc import Iterable

    from viralsync_mock.self_check.probes import ClientSession, LostSubmission, Posted, Read, Stream, Webhook

BRIEF = 1.0
"""The client's time-out in seconds where it should expire: long enough for everything before it."""


class Expectation(NamedTuple):
    """What a fault should do: `statement` says it, and `holds` decides whether the evidence shows it.

    `value` is what the fault is armed with, as it is written; `probe` produces the evidence.
    """

    statement: str
    value: object
    probe: Callable[[ClientSession], object]
    holds: Callable[[Any], bool]


_brief_submission = partial(probes.lost, timeout=BRIEF)
_brief_stream = partial(probes.stream, timeout=BRIEF)
_job = partial(probes.finished, operation="getJob")
_list = partial(probes.finished, operation="listJobs")

EXPECTATIONS: dict[str, Expectation] = {}
"""By kind of fault."""

Holds = Callable[[Any], bool]


def expected(
    kind: str, statement: str, value: object, probe: Callable[[ClientSession], object]
) -> Callable[[Holds], Holds]:
    """Add an expectation, which the function decides on."""

    def add(holds: Holds) -> Holds:
        EXPECTATIONS[kind] = Expectation(statement, value, probe, holds)
        return holds

    return add


@expected("latency", "The usual answer, but not before 0.2 s have passed.", "200ms", probes.call)
def latency(read: Read) -> bool:
    return (read.seen.status, read.seen.body) == (
        200,
        read.usual.body,
    ) and read.seen.seconds >= 0.19  # a timer may be early by 1 ms


@expected(
    "timeout",
    "No answer until the client's own time-out, and the job is there all the same.",
    "after",
    _brief_submission,
)
def timeout(lost: LostSubmission) -> bool:
    return (lost.seen.status, lost.seen.problem, lost.jobs) == (None, TIMED_OUT, 1)


@expected(
    "reset_peer",
    "The connection is reset in the place of an answer, and the job is there all the same.",
    "after",
    probes.lost,
)
def reset_peer(lost: LostSubmission) -> bool:
    return (lost.seen.status, lost.seen.problem, lost.jobs) == (None, RESET, 1)


@expected(
    "empty_response",
    "The connection is closed without a byte of an answer, and the job is there all the same.",
    "after",
    probes.lost,
)
def empty_response(lost: LostSubmission) -> bool:
    return (lost.seen.status, lost.seen.problem, lost.jobs) == (None, CLOSED, 1)


@expected("slow_body", "The usual answer, but its body takes 0.2 s, give or take.", "200ms", probes.call)
def slow_body(read: Read) -> bool:
    seen = read.seen
    trickles = seen.seconds >= 0.15 and seen.seconds - seen.head_after >= 0.1  # timers count whole milliseconds
    return (seen.status, seen.body, seen.problem) == (200, read.usual.body, "") and trickles


@expected("truncated_body", "A 200 whose connection is closed before the body is whole.", 0.5, probes.call)
def truncated_body(read: Read) -> bool:
    whole = len(read.usual.body)
    return (read.seen.status, read.seen.problem) == (200, CLOSED) and len(read.seen.body) < whole


@expected("malformed_json", "A 200 that comes in whole, but is no JSON.", True, probes.call)
def malformed_json(read: Read) -> bool:
    seen = read.seen
    return (seen.status, seen.media_type, seen.problem, json_of(seen)) == (200, "application/json", "", None)


@expected("wrong_content_type", "The usual body as text/html.", "text/html", probes.call)
def wrong_content_type(read: Read) -> bool:
    return (read.seen.media_type, read.seen.body) == ("text/html", read.usual.body)


@expected("status", "A 503 in the shape of the API's errors.", 503, probes.call)
def status(read: Read) -> bool:
    return (read.seen.status, (json_of(read.seen) or {}).get("code")) == (503, "SERVICE_UNAVAILABLE")


@expected(
    "drop_after_events",
    "No more than two events, the first of the usual ones; then the connection is closed before the stream's end.",
    2,
    probes.stream,
)
def drop_after_events(stream: Stream) -> bool:
    return _breaks_off(stream, at_most=2) and stream.rest == b""


@expected(
    "cut_inside_event",
    "No more than one whole event, and at most a part of the second: it ends inside a UTF-8 character.",
    2,
    probes.stream,
)
def cut_inside_event(stream: Stream) -> bool:
    return _breaks_off(stream, at_most=1) and (stream.rest == b"" or stream.rest[-1:] == "é".encode()[:1])


def _breaks_off(stream: Stream, at_most: int) -> bool:
    """Say whether a stream broke off so early; some clients drop what was not handed out by then."""
    count = len(stream.events)
    return stream.seen.problem == CLOSED and count <= at_most and stream.events == stream.usual[:count]


@expected("silence", "The first event, then nothing until the client's own time-out.", 1, _brief_stream)
def silence(stream: Stream) -> bool:
    return stream.seen.problem == TIMED_OUT and stream.events == stream.usual[:1]


@expected(
    "no_keep_alive",
    "A stream that ends well, in which no comment stands although nothing happens for ten minutes.",
    True,
    probes.idle_stream,
)
def no_keep_alive(stream: Stream) -> bool:
    return stream.seen.problem == "" and stream.events[-1].status == "done" and KEEP_ALIVE not in stream.seen.body


@expected("duplicate_events", "Every event twice.", 1, probes.stream)
def duplicate_events(stream: Stream) -> bool:
    return _ends(stream, [each for each in stream.usual for _ in range(2)])


@expected("reorder_events", "All events, each two that follow each other the wrong way round.", True, probes.stream)
def reorder_events(stream: Stream) -> bool:
    return _ends(stream, _swapped(stream.usual))


@expected("never_end", "All events, and no end until the client's own time-out.", True, _brief_stream)
def never_end(stream: Stream) -> bool:
    return stream.seen.problem == TIMED_OUT and stream.events == stream.usual


@expected("end_without_terminal", "A stream that ends well, with all events but the terminal one.", True, probes.stream)
def end_without_terminal(stream: Stream) -> bool:
    return _ends(stream, stream.usual[:-1]) and stream.usual[-1].status in TERMINAL


@expected(
    "progress_goes_back",
    "All events, but every second one, other than the terminal, tells of half the progress.",
    True,
    probes.stream,
)
def progress_goes_back(stream: Stream) -> bool:
    return _ends(stream, [_halved(each) if i % 2 else each for i, each in enumerate(stream.usual)])


def _halved(event: JobEvent) -> JobEvent:
    return event if event.status in TERMINAL else event._replace(progress=event.progress / 2)


def _ends(stream: Stream, events: Iterable[JobEvent]) -> bool:
    """Say whether a stream had these events, and ended well."""
    return stream.seen.problem == "" and stream.events == tuple(events)


def _swapped(events: tuple[JobEvent, ...]) -> tuple[JobEvent, ...]:
    return tuple(each for i in range(0, len(events), 2) for each in reversed(events[i : i + 2]))


@expected("stale_read", "A job that is done is shown as it was a second before.", "1s", _job)
def stale_read(read: Read) -> bool:
    now, shown = json_of(read.usual)["status"], json_of(read.seen)["status"]
    return read.seen.status == 200 and now in TERMINAL and shown not in TERMINAL


@expected("missing_from_list", "A list without the job that was just submitted.", "1h", _list)
def missing_from_list(read: Read) -> bool:
    return read.seen.status == 200 and json_of(read.seen)["jobs"] == [] and len(json_of(read.usual)["jobs"]) == 1


@expected("unknown_field", "The job as it is, with a field that no page describes.", True, _job)
def unknown_field(read: Read) -> bool:
    seen, usual = json_of(read.seen), json_of(read.usual)
    return read.seen.status == 200 and seen == {**usual, UNKNOWN_FIELD: seen.get(UNKNOWN_FIELD)} != usual


@expected(
    "unknown_status", "The job as it is, unfinished, but for a status that no page describes.", True, probes.unfinished
)
def unknown_status(read: Read) -> bool:
    seen, usual = json_of(read.seen), json_of(read.usual)
    return read.seen.status == 200 and seen == {**usual, "status": UNKNOWN_STATUS} and usual["status"] not in TERMINAL


@expected("duplicate", "Every webhook twice, byte for byte.", 1, probes.webhooks)
def duplicate(posted: Posted) -> bool:
    arrived = posted.later
    return arrived[::2] == arrived[1::2] and _has_all(posted, arrived[::2])


@expected("reorder", "All webhooks, each two that follow each other the wrong way round.", True, probes.webhooks)
def reorder(posted: Posted) -> bool:
    return _is_usual(posted) and events_of(posted.later) == _swapped(posted.usual)


@expected("delay", "No webhook for an hour after its time, then all in order.", "1h", probes.webhooks)
def delay(posted: Posted) -> bool:
    return posted.later == () and _has_all(posted, posted.in_the_end)


@expected("bad_signature", "All webhooks, none with the signature of its body.", True, probes.webhooks)
def bad_signature(posted: Posted) -> bool:
    return _has_all(posted, posted.later, is_signed=False)


@expected("drop", "No webhook at all, however long one waits.", "all", probes.webhooks)
def drop(posted: Posted) -> bool:
    return _is_usual(posted) and posted.in_the_end == ()


@expected(
    "tampered_body",
    "As many webhooks as ever, each with progress 1 and someone else's output, and none with its signature.",
    True,
    probes.webhooks,
)
def tampered_body(posted: Posted) -> bool:
    bodies = [orjson.loads(each.body) for each in posted.later]
    forged = all(each["progress"] == 1 and "attacker" in each["outputUrl"] for each in bodies)
    return _is_usual(posted) and forged and len(bodies) == len(posted.usual) and not any(map(_is_signed, posted.later))


@expected(
    "lost_response",
    "The terminal webhook twice, since the first answer to it got lost, and those of progress once.",
    1,
    probes.webhooks,
)
def lost_response(posted: Posted) -> bool:
    *once, again = posted.later or (None,)
    return bool(once) and once[-1] == again and _has_all(posted, tuple(once))


@expected("before_response", "A webhook about the queued job arrives before the 202.", True, probes.webhooks)
def before_response(posted: Posted) -> bool:
    jobs = [orjson.loads(each.body)["jobId"] for each in posted.at_once]
    statuses = [each.status for each in events_of(posted.at_once)]
    return _is_usual(posted) and (statuses, jobs) == ([Status.QUEUED], [json_of(posted.seen)["jobId"]])


def _is_usual(posted: Posted) -> bool:
    """Say whether the submission was accepted, and the last webhook of an equal job said `done`."""
    return (posted.seen.status, posted.seen.problem, posted.usual[-1].status) == (202, "", Status.DONE)


def _has_all(posted: Posted, arrived: tuple[Webhook, ...], *, is_signed: bool = True) -> bool:
    """Say whether these are the usual webhooks, all of them signed, or none."""
    signed = {_is_signed(each) for each in arrived}
    return _is_usual(posted) and events_of(arrived) == posted.usual and signed == {is_signed}


def _is_signed(webhook: Webhook) -> bool:
    return webhook.signature == sign(webhook.body, Webhooks().secret)
