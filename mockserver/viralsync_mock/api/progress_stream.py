"""A progress stream: one reader following one timeline on the sandbox's clock."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import orjson

from viralsync_mock.clock import Mode
from viralsync_mock.jobs import sse
from viralsync_mock.jobs.views import event_document, event_kind, job_document_at

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from datetime import datetime

    from viralsync_mock.api.call import Call
    from viralsync_mock.jobs.models import Step
    from viralsync_mock.jobs.views import Subject
    from viralsync_mock.response import StreamClient

MIN_PAUSE = timedelta(milliseconds=1)
"""The shortest pause between two keep-alives."""


TURN = 100
"""After this many events other calls have a turn: a stream may have thousands to catch up with."""


async def stream_events(call: Call, subject: Subject, last: int | None, reader: StreamClient) -> AsyncGenerator[bytes]:
    """Yield a snapshot, then one event per step, keep-alives while nothing happens, and end after the terminal one.

    `last` is the step that a resuming client has seen: it gets exactly the following ones instead of the snapshot.
    """
    sandbox, clock, retry = call.sandbox, call.sandbox.clock, call.behaviour.sse_retry_milliseconds
    quiet_since = clock.now()
    with clock.alarm() as alarm:
        reader.on_disconnect = alarm.wake
        subject.job.subscribe(alarm.wake)
        try:
            while not (reader.is_disconnected or sandbox.is_closed):
                alarm.release()
                now = clock.now()
                current = subject.look(now)
                for step in _pending_steps(subject, last, current):
                    last, quiet_since = step.number, now
                    sandbox.sightings.record_step(subject, step)
                    sandbox.record_effect("event", jobId=subject.id, id=str(step.number), status=step.status)
                    yield _event(call, subject, step, retry)
                    retry = None  # once a connection
                    if step.number % TURN == TURN - 1:
                        await clock.real.sleep(0)
                if current.status.is_terminal:
                    return
                keep_alive = _keep_alive_due(call, quiet_since)
                if keep_alive is not None and keep_alive <= now:
                    quiet_since = now
                    yield sse.KEEP_ALIVE
                    keep_alive = _keep_alive_due(call, quiet_since)
                following = subject.next_change(now)
                if clock.mode is Mode.AUTO and following is not None:
                    await clock.real.sleep(0)  # let the reader's other calls in
                    await sandbox.auto_advance(following)
                else:
                    await alarm.until(min(filter(None, (following, keep_alive)), default=None))
        finally:
            subject.job.unsubscribe(alarm.wake)


def _resume_header(call: Call) -> bytes:
    """Return the header that names the last event: the operation's only one, whatever the spec calls it."""
    names = [each.name.lower().encode() for each in call.operation.parameters if each.location == "header"]
    return names[0] if len(names) == 1 else b"last-event-id"


def resume_point(call: Call, subject: Subject) -> int | None:
    """Return the number of the last step that the client has seen, or None for a first connection."""
    last = sse.last_event_id(call.headers.get(_resume_header(call)))
    if call.behaviour.sse_resume == "snapshot" or last is None or last > subject.look(call.now).number:
        return None
    call.sandbox.sightings.record_resume()
    return last


def has_seen_the_end(call: Call, subject: Subject) -> bool:
    """Say whether a client reconnects after the terminal event of a job, as an EventSource does of itself."""
    current = subject.look(call.now)
    return current.status.is_terminal and sse.last_event_id(call.headers.get(_resume_header(call))) == current.number


def _pending_steps(subject: Subject, last: int | None, current: Step) -> tuple[Step, ...]:
    """Return the steps to tell: the present one to a new reader, to another all since the last it saw."""
    if last is None:
        return (current,)
    if last == current.number:
        return ()
    return subject.steps()[last + 1 : current.number + 1]


def _event(call: Call, subject: Subject, step: Step, retry: int | None) -> bytes:
    if call.behaviour.sse_payload == "job":
        document = job_document_at(subject, step, call.files.movies.output_url)
    else:
        document = event_document(subject, step, call.files.movies.output_url)
    name = event_kind(step) if call.behaviour.sse_event_names == "by_kind" else None
    return sse.encode(orjson.dumps(document), id=step.number, event=name, retry=retry)


def _keep_alive_due(call: Call, quiet_since: datetime) -> datetime | None:
    """Return when a stream that goes on being silent is kept alive; never at once, or it would never wait."""
    seconds = call.behaviour.sse_keep_alive_seconds
    return None if seconds is None else quiet_since + max(timedelta(seconds=seconds), MIN_PAUSE)
