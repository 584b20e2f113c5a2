"""What only streams do: begin anew after a break, stay alive in silence, and end at once where nothing is left."""

from __future__ import annotations

from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.journeys.job_lifecycle import CLOSING_SECONDS, closing_seconds, ended_job, read_ended_stream
from viralsync_conform.run.journey import journey
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.run.submissions import submit

LONG_QUEUE = {"name": "long-queue-of-conform", "description": "Every job waits a day.", "job": {"queued": "24h"}}


@journey("stream_of_an_ended_job", "The stream of a job that is done tells of that alone, and closes.", 3, renders=True)
def stream_of_an_ended_job(context: JourneyContext) -> None:
    life = ended_job(context)
    stream = read_ended_stream(context, life.job.id, life.status, "stream of a done job")
    if stream.events and life.stream is not None and life.stream.events:
        first, last = life.stream.events[-1].document, stream.events[-1].document
        odd = sorted(name for name in first.keys() | last.keys() if first.get(name) != last.get(name))
        assert stream.call is not None  # noqa: S101 - it was left
        context.check(facts.AGREES, not odd, stream.call, life.stream, expected=first, got=last, name=",".join(odd))


@journey("resuming", "With `Last-Event-ID` a stream tells exactly what came after that event.", 4, renders=True)
def resuming(context: JourneyContext) -> None:
    life = ended_job(context)
    events = life.stream.events if life.stream else ()
    ids = [event.id for event in events]
    if len(events) < 3 or None in ids:
        for switch in ("sse.resume", "sse.after_end"):
            context.mark_unobservable(switch, "the stream gave its events no ids")
        return
    middle = len(events) // 2
    with context.stream(life.job.id, step="resume", last_event_id=ids[middle], has_ended=True) as stream:
        closed = stream.wait_closed(closing_seconds(context))
    assert stream.call is not None  # noqa: S101 - it was left
    rest, reported = [event.data for event in events[middle + 1 :]], [event.data for event in stream.events]
    is_snapshot = len(rest) > 1 and len(reported) == 1 and stream.is_terminal
    value = "snapshot" if is_snapshot else "replay" if reported == rest else f"{len(reported)} of {len(rest)} events"
    context.learn("sse.resume", value, stream.call)
    expected = rest[-1:] if context.run.contract.behaviour.sse_resume == "snapshot" else rest
    context.check(facts.RESUMES, reported == expected and closed, stream.call, expected=expected, got=reported)
    if not is_snapshot:
        again = [event.id for event in stream.events]
        context.check_equal(facts.EVENT_IDS, ids[middle + 1 :], again, stream.call, name="resumed")
    retries = [line.removeprefix("retry:").strip() for line in stream.text.splitlines() if line.startswith("retry:")]
    context.learn(
        "sse.retry_milliseconds", int(retries[0]) if retries and retries[0].isdecimal() else None, stream.call
    )
    with context.stream(life.job.id, step="after the end", last_event_id=ids[-1], has_ended=True) as stream:
        closed = stream.wait_closed(closing_seconds(context))  # 204 is learned where the stream is opened
    assert stream.call is not None  # noqa: S101 - it was left
    if closed and not stream.events:
        context.learn("sse.after_end", "empty_stream", stream.call)
    else:
        context.mark_unobservable("sse.after_end", "a stream that is opened again after its end repeats its last event")


@journey("keep_alive", "A silent stream gives a sign of life, and how often is learned.", 3, needs_control=True)
def keep_alive(context: JourneyContext) -> None:
    quiet = context.as_account(context.run.target.account("quiet", scenario=LONG_QUEUE))
    job = submit(quiet, step="submit to a long queue")
    with quiet.stream(job.id, step="silent stream") as stream:
        stream.wait_events(1, CLOSING_SECONDS)
        opened_at, snapshot = quiet.account.clock.now(), len(stream.events)
        quiet.account.clock.wait_for_change(1)
        came = stream.wait_comments(1, CLOSING_SECONDS) and bool(stream.comments)
        silence = (quiet.account.clock.now() - opened_at).total_seconds()
    assert stream.call is not None  # noqa: S101 - it was left
    context.learn("sse.keep_alive_seconds", as_number(silence) if came else None, stream.call)
    context.check(facts.SNAPSHOT, snapshot == 1, stream.call, expected="one event", got=snapshot, name="alone")


def as_number(seconds: float) -> float:
    """Return this many seconds as a profile writes them, to the millisecond."""
    rounded = round(seconds, 3)
    return int(rounded) if rounded == int(rounded) else rounded
