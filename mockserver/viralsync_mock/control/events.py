"""What happens in the sandbox of a key, as server-sent events: `GET /__mock/events`."""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson
from starlette.responses import Response, StreamingResponse

from viralsync_mock.control.account import account_document, scenario_document
from viralsync_mock.control.clock import clock_document
from viralsync_mock.control.faults import armed_document
from viralsync_mock.inspection.explanation import summarize
from viralsync_mock.jobs import sse
from viralsync_mock.jobs.models import timestamp
from viralsync_mock.jobs.views import Subject, timeline_summary
from viralsync_mock.randomness import hexadecimal
from viralsync_mock.redaction import masked_bytes
from viralsync_mock.response import EVENT_STREAM
from viralsync_mock.sandbox import effects_of
from viralsync_mock.state import inbox_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator
    from datetime import datetime

    from viralsync_mock.control.request import ControlRequest
    from viralsync_mock.jobs.models import Job
    from viralsync_mock.sandbox import Effect, Sandbox
    from viralsync_mock.state import MockServer

MAX_BYTES, MAX_BYTES_OF_ALL, MIN_BYTES = 4 * 1024 * 1024, 64 * 1024 * 1024, 16 * 1024
"""Of the events that a feed keeps for listeners that come back: less, where there are many feeds."""

GATHER_SECONDS = 0.03
"""What changes again within this real time is sent once, as it is then."""

MAX_AT_ONCE = 100
"""Events that are written in one turn of the loop."""

MAX_EFFECTS, MAX_JOBS = 200, 50
"""How many effects, and the steps of how many jobs, come with one move of the clock."""

KEEP_ALIVE_SECONDS = 15.0
GRACE_SECONDS = 60.0
"""Real seconds for which a feed goes on after its last listener has left."""

CHANGES_ACCOUNT = frozenset({"call", "job"})


async def stream_events(request: ControlRequest) -> Response:
    """GET /__mock/events: from now on, or from the event after `Last-Event-ID`."""
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    if request.method == "HEAD":
        return Response(media_type=EVENT_STREAM, headers=headers)
    sandbox, feeds = request.sandbox, request.mock.sandboxes.watchers
    feed = feeds.get(sandbox.key)
    if not isinstance(feed, Feed):
        feed = feeds[sandbox.key] = Feed(request.mock, sandbox)
    after = request.parameters.get("Last-Event-ID", "")
    return StreamingResponse(feed.listen(after), media_type=EVENT_STREAM, headers=headers)


class Feed:
    """The events of one key, across resets of its sandbox; it exists while somebody listens, and a minute longer.

    Changes are noted where they happen, and written a little later: what changes many times is written once.
    """

    def __init__(self, mock: MockServer, sandbox: Sandbox) -> None:
        self._mock, self._key = mock, sandbox.key
        self._name = hexadecimal(mock.settings.real.wall().isoformat(), "feed", sandbox.key, length=8)
        self._kept: deque[bytes] = deque()
        self._number = self._size = 0
        self._changed: dict[tuple[str, int], Any] = {}
        self._moved_from: datetime | None = None
        self._effects: deque[Effect] = deque(maxlen=MAX_EFFECTS)
        self._published: dict[str, bytes] = {}
        self._listeners: set[asyncio.Event] = set()
        self._timer: asyncio.Handle | None = None
        self._grace: asyncio.Handle | None = None
        self._following: asyncio.Task[None] | None = None
        self._is_closed = False
        self.attach(sandbox)

    def attach(self, sandbox: Sandbox) -> None:
        self._sandbox, sandbox.watcher = sandbox, self
        sandbox.clock.on_move = self._note_move
        self._stop_following()
        self._following = asyncio.get_running_loop().create_task(self._follow(sandbox))

    async def _follow(self, sandbox: Sandbox) -> None:
        """Look at the jobs whenever one of them changes: they are planned, nothing tells of their steps."""
        with sandbox.clock.alarm() as alarm:

            def note(job: Job) -> None:
                self.note("job", job)
                alarm.wake()

            sandbox.store.on_change = note
            while not sandbox.is_closed:
                await alarm.until(sandbox.store.next_change(sandbox.clock.now()), passive=True)

    def note(self, kind: str, subject: object = None) -> None:
        """Send an event of this kind soon, with the subject or the part of the sandbox as it is by then."""
        if kind == "reset":
            self._changed.clear()
            self._effects.clear()
            self._published.clear()
            self._moved_from = None
        self._changed[kind, id(subject)] = subject
        if kind in CHANGES_ACCOUNT:
            self._changed["account", id(None)] = None
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._write_changes)

    def note_effect(self, effect: Effect) -> None:
        """Send an event of a progress stream, and list it with the move of the clock that it came with."""
        self._effects.append(effect)
        if effect["kind"] == "event":
            self.note("stream", effect)

    def _note_move(self, since: datetime) -> None:
        self._moved_from = min(self._moved_from or since, since)
        self.note("clock")

    def _write_changes(self) -> None:
        """Write what was noted, a part of it at a time."""
        self._timer = None
        now = self._sandbox.clock.now()
        for changed in tuple(islice(self._changed, MAX_AT_ONCE)):
            subject = self._changed.pop(changed)
            try:
                self._write(changed[0], subject, now)
            except Exception as error:  # a bug of ours: the other events still come
                self._mock.on_bug(f"event {changed[0]}", error)
        if self._changed:
            self._timer = asyncio.get_running_loop().call_soon(self._write_changes)

    def _write(self, kind: str, subject: Any, now: datetime) -> None:
        if self._sandbox.is_closed and kind != "reset":
            return
        content = self._document(kind, subject, now)
        if subject is None and kind not in ("clock", "reset", "journal", "inbox"):
            text = orjson.dumps(content)
            if self._published.get(kind) == text:
                return
            self._published[kind] = text
        self._publish(kind, {"at": timestamp(now), **content})

    def _document(self, kind: str, subject: Any, now: datetime) -> dict[str, Any]:
        mock, sandbox = self._mock, self._sandbox
        parts: dict[str, Callable[[], dict[str, Any]]] = {
            "call": lambda: {"call": summarize(sandbox, subject)},
            "job": lambda: {"jobId": subject.id, "job": _summary(sandbox, subject, now)},
            "delivery": lambda: {"delivery": subject.document()},
            "stream": lambda: {"event": {name: value for name, value in subject.items() if name != "kind"}},
            "clock": self._move,
            "account": lambda: {"account": account_document(mock, sandbox)},
            "scenario": lambda: {"scenario": scenario_document(mock, sandbox)},
            "faults": lambda: {"faults": armed_document(sandbox)},
            "received": lambda: {"received": subject.document()},
            "inbox": lambda: {"inbox": inbox_of(sandbox).document()},
        }
        return parts[kind]() if kind in parts else {}

    def _move(self) -> dict[str, Any]:
        """Return the clock, where it came from, and what happened on the way, in order."""
        sandbox, since = self._sandbox, self._moved_from
        now, self._moved_from = sandbox.clock.now(), None
        document: dict[str, Any] = {"clock": clock_document(sandbox), "from": since and timestamp(since), "effects": []}
        if since is None or since == now:
            return document
        found = [each for each in self._effects if timestamp(since) <= each["at"] <= timestamp(now)]
        self._effects.clear()
        jobs = list(islice(sandbox.store.newest_first(now, None, None), MAX_JOBS + 1))
        steps = [effect for job in jobs[:MAX_JOBS] for effect in effects_of(job, since, now)]
        effects = sorted(steps + found, key=lambda effect: str(effect["at"]))
        document["effects"] = effects[:MAX_EFFECTS]
        is_whole = len(effects) <= MAX_EFFECTS and len(jobs) <= MAX_JOBS
        return document if is_whole else {**document, "truncated": True}

    def _publish(self, kind: str, content: dict[str, Any]) -> None:
        self._number += 1
        data = masked_bytes(orjson.dumps(content), self._key)
        event = sse.encode(data, id=self._id(self._number), event=kind)
        self._kept.append(event)
        self._size += len(event)
        limit = min(MAX_BYTES, max(MAX_BYTES_OF_ALL // (len(self._mock.sandboxes.watchers) or 1), MIN_BYTES))
        while self._size > limit:
            self._size -= len(self._kept.popleft())
        for each in self._listeners:
            each.set()

    def _id(self, number: int) -> str:
        return f"{self._name}-{number}"

    async def listen(self, after: str) -> AsyncGenerator[bytes]:
        """Yield `hello`, then every event from now on, or after the one of this id if it is still known.

        A listener that falls too far behind, or comes back too late, gets `hello` with `isResumed` false.
        """
        changed = asyncio.Event()
        self._listeners.add(changed)
        if self._grace is not None:
            self._grace.cancel()
        try:
            name, _, number = after.rpartition("-")
            is_known = name == self._name and number.isdecimal() and len(number) < 16
            position = int(number) if is_known and self._has_after(int(number)) else None
            yield self._hello(self._number if position is None else position, is_resumed=position is not None)
            position = self._number if position is None else position
            while not self._is_closed:
                changed.clear()
                if not self._has_after(position):
                    position = self._number
                    yield self._hello(position, is_resumed=False)
                for event in self._after(position):
                    position += 1
                    yield event
                if not await _is_set(changed):
                    yield sse.KEEP_ALIVE
        finally:
            self._listeners.discard(changed)
            if not self._listeners and not self._is_closed:
                self._grace = asyncio.get_running_loop().call_later(GRACE_SECONDS, self.close)

    def _has_after(self, position: int) -> bool:
        return self._number - len(self._kept) <= position <= self._number

    def _after(self, position: int) -> Iterator[bytes]:
        return iter(tuple(islice(self._kept, len(self._kept) - (self._number - position), None)))

    def _hello(self, number: int, *, is_resumed: bool) -> bytes:
        content = {"at": timestamp(self._sandbox.clock.now()), "isResumed": is_resumed}
        data = orjson.dumps({**content, "clock": clock_document(self._sandbox)})
        return sse.encode(data, id=self._id(number), event="hello")

    def _stop_following(self) -> None:
        if self._following is not None:
            self._following.cancel()

    def close(self) -> None:
        """End every listener's stream, and forget the events."""
        self._is_closed = True
        self._mock.sandboxes.watchers.pop(self._key, None)
        self._stop_following()
        if self._timer is not None:
            self._timer.cancel()
        self._sandbox.unwatch()
        for each in self._listeners:
            each.set()


def _summary(sandbox: Sandbox, job: Job, now: datetime) -> dict[str, Any] | None:
    return timeline_summary(Subject(job), now) if sandbox.store.read(job.id) is job else None


async def _is_set(changed: asyncio.Event) -> bool:
    """Wait for an event, until it is time for a keep-alive."""
    try:
        await asyncio.wait_for(changed.wait(), KEEP_ALIVE_SECONDS)
    except TimeoutError:
        return False
    return True
