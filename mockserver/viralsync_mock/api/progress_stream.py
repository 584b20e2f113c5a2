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
    from viralsync_mock.response import Reader

BRIEFEST = timedelta(milliseconds=1)
"""The shortest pause between two keep-alives."""


async def follow(call: Call, subject: Subject, reader: Reader) -> AsyncGenerator[bytes]:
    """Yield a snapshot, then one event per step, keep-alives while nothing happens, and end after the terminal one.

    With a `Last-Event-ID` exactly what came after it is told instead of the snapshot.
    """
    sandbox, clock = call.sandbox, call.sandbox.clock
    last, quiet_since = _resumed(call, subject), clock.now()
    with clock.alarm() as alarm:
        reader.on_leave = alarm.ring
        subject.job.watch(alarm.ring)
        try:
            while not (reader.has_left or sandbox.is_closed):
                alarm.settle()
                now = clock.now()
                current = subject.look(now)
                for step in _untold(subject, last, current):
                    last, quiet_since = step.number, now
                    sandbox.sightings.shown(subject, step)
                    sandbox.note("event", jobId=subject.id, id=str(step.number), status=step.status)
                    yield _event(call, subject, step)
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
                    await sandbox.jump(following)
                else:
                    await alarm.until(min(filter(None, (following, keep_alive)), default=None))
        finally:
            subject.job.unwatch(alarm.ring)


def _resumed(call: Call, subject: Subject) -> int | None:
    """Return the index of the last step that the reader has seen, or None for a first connection."""
    if call.behaviour.sse_resume == "snapshot":
        return None
    last = sse.last_event_id(call.headers.get(b"last-event-id"))
    if last is None or last > subject.look(call.now).number:
        return None
    call.sandbox.sightings.resumed()
    return last


def _untold(subject: Subject, last: int | None, current: Step) -> tuple[Step, ...]:
    """Return the steps to tell: the present one to a new reader, to another all since the last it saw."""
    if last is None:
        return (current,)
    if last == current.number:
        return ()
    return subject.steps()[last + 1 : current.number + 1]


def _event(call: Call, subject: Subject, step: Step) -> bytes:
    if call.behaviour.sse_payload == "job":
        document = job_document_at(subject, step, call.files.movies.output_url)
    else:
        document = event_document(subject, step, call.files.movies.output_url)
    name = event_kind(step) if call.behaviour.sse_event_names == "by_kind" else None
    return sse.encode(orjson.dumps(document), id=step.number, event=name)


def _keep_alive_due(call: Call, quiet_since: datetime) -> datetime | None:
    """Return when a stream that goes on being silent is kept alive; never at once, or it would never wait."""
    seconds = call.behaviour.sse_keep_alive_seconds
    return None if seconds is None else quiet_since + max(timedelta(seconds=seconds), BRIEFEST)
