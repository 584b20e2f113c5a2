"""A sandbox as named parts, so that little is written when little has changed: the snapshot's own, one by one.

| part | holds |
|---|---|
| `head` | everything small: clock, counts, account, armed faults, what was charged |
| `window` | the calls that the rate limit counts |
| `scenario:0` `behaviour:0` `hook:0` | what jobs, calls and webhooks refer to by index; only added to |
| `job:N` `outbox:N` `delivery:N` | by number |
| `calls:N` | the calls of one write; of a call that is in several, the last counts |
| `received:N` | the webhooks that the built-in receiver got, by number |
| `coverage` | what the client was shown |
| `name` | what people call the sandbox; a reset leaves it |
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from viralsync_mock.clock import LAST
from viralsync_mock.jobs.models import Phase, Status, at_once
from viralsync_mock.journal.entry import JournalEntry
from viralsync_mock.snapshots.jobs import write_job
from viralsync_mock.snapshots.journal import EntryPart, write_entry
from viralsync_mock.snapshots.references import InternTable, ReferenceWriter, decode
from viralsync_mock.snapshots.schema import Count, HookPart, InboxPart, Instant, JobPart, OutboxPart, Part, Snapshot
from viralsync_mock.snapshots.snapshot import rebuild, write_head
from viralsync_mock.snapshots.webhooks import delivery_part, outbox_part, outboxes_of, read_inbox, received_part
from viralsync_mock.webhooks.delivery import INTERRUPTED, Attempt, Delivery
from viralsync_mock.webhooks.dispatcher import WebhookDispatcher

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from viralsync_mock.jobs.models import Job
    from viralsync_mock.sandbox import Sandbox
    from viralsync_mock.snapshots.snapshot import Restored
    from viralsync_mock.state import MockServer
    from viralsync_mock.webhooks.dispatcher import JobOutbox

    Fields = dict[str, bytes | None]

SECONDS_PER_CALL = 0.0001
"""Real seconds that each call in the window of the rate limit adds to the time until it is written again."""

REASON = "the mock ended before the receiver answered: the webhook may have arrived"
"""Why an attempt is `interrupted`."""

MAX_OUTDATED = 64
"""Parts of the journal that may be outdated before they are deleted."""

_encode = msgspec.json.encode


class HeadPart(Part):
    """What is small: a snapshot without lists, and what a snapshot does not hold.

    `wall` is real time: a clock that follows it has gone on meanwhile. `first_call` is the oldest call of the journal.
    """

    snapshot: Snapshot
    wall: Instant
    has_scenario: bool
    has_behaviour: bool
    named_seed: str | None
    first_call: Count
    settled: Instant
    inbox: InboxPart | None = None


class CoveragePart(Part):
    """A `CoverageRecorder`."""

    answers: list[tuple[str, int | None, str | None]]
    views: list[tuple[Status | None, Status, Phase | None]]
    other: list[str]


class Writer(Protocol):
    """Writes parts."""

    def write_later(self, parts: SandboxParts, seconds: float) -> None:
        """Write what has changed, after this time in real seconds."""

    def write_soon(self, parts: SandboxParts) -> None:
        """Write what has changed, in a while."""

    async def commit(self, parts: SandboxParts) -> None:
        """Return when all that has changed is written; raises StateError."""


def sandbox_id(key: str) -> str:
    """Return the name under which the sandbox of a key is stored."""
    return sha256(key.encode()).hexdigest()[:32]


class SandboxParts:
    """The recorder of a sandbox: what has changed since its parts were last taken.

    `replaces` says that the parts to take are all of the sandbox, whatever is stored under its key. A large window is
    not written each time: `is_whole` says whether it was, and `is_last` asks for it.
    """

    def __init__(self, mock: MockServer, sandbox: Sandbox, writer: Writer) -> None:
        self.sandbox, self._mock, self._writer = sandbox, mock, writer
        self.id = sandbox_id(sandbox.key)
        self._calls_kept = mock.settings.journal_size
        self.begin()

    def begin(self) -> None:
        """Take everything as changed."""
        sandbox, self.replaces, self.is_whole, self.is_last = self.sandbox, True, True, False
        self._references = ReferenceWriter(self._mock.files, sandbox.key)
        self._written = {"scenario": 0, "behaviour": 0, "hook": 0}
        self._jobs: dict[int, Job] = {job.number: job for job in sandbox.store.contents(sandbox.clock.now()).jobs}
        self._outboxes: dict[int, Job] = {each.job.number: each.job for each in outboxes_of(sandbox)}
        self._jobs |= self._outboxes  # deleted ones too
        self._deliveries = {each.number: each for each in reversed(tuple(sandbox.deliveries.newest_first()))}
        self._logged: OrderedDict[int, Delivery] = OrderedDict(self._deliveries)
        self._entries = {each.number: each for each in sandbox.journal.oldest_first() if each.status is not None}
        self._pages, self._last_calls = 0, deque[tuple[int, int]]()
        self._covered, self._window_at = 0, -math.inf
        self._received, self._inbox_changed = set[int](), True
        self._name: str | None = None
        self._anchor: tuple[object, ...] | None = None

    @property
    def must_be_kept(self) -> bool:
        """Whether there is more to keep than counts: jobs, webhooks, or a clock that was moved."""
        return bool(self._jobs or self._deliveries or self._outboxes) or self._anchor != self._clock_setting()

    def _clock_setting(self) -> tuple[object, ...]:
        clock = self.sandbox.clock
        return clock.anchor, clock.mode, clock.speed

    def job_changed(self, job: Job) -> None:
        """Write a job."""
        self._jobs[job.number] = job
        self._writer.write_soon(self)

    def outbox_changed(self, job: Job) -> None:
        """Write what is to be sent for a job."""
        self._outboxes[job.number] = job
        self._writer.write_soon(self)

    def note(self, kind: str, subject: object = None) -> None:
        """Write a call, a webhook or the built-in receiver; of any other kind only that something has changed."""
        if isinstance(subject, JournalEntry):
            self._entries[subject.number] = subject
        elif isinstance(subject, Delivery):
            self._deliveries[subject.number] = subject
        elif kind in ("received", "inbox"):
            self._inbox_changed = True
        self._writer.write_soon(self)

    async def commit(self) -> None:
        """Return when every change so far survives a kill of the process; raises StateError."""
        await self._writer.commit(self)

    def take(self) -> Fields:
        """Return the parts that have changed, None for one that is gone."""
        sandbox, now = self.sandbox, self.sandbox.clock.now()
        fields: Fields = {}
        real, references = self._mock.settings.real, self._references
        self._anchor, self.replaces = self._clock_setting(), False
        jobs, self._jobs = self._jobs, {}
        outboxes, self._outboxes = self._outboxes, {}
        entries, self._entries = self._entries, {}
        for job in outboxes.values():
            outbox = self._outbox(job)
            fields[f"outbox:{job.number}"] = None if outbox is None else _encode(outbox_part(outbox, references))
            for delivery in (*outbox.pending, *outbox.held) if outbox else ():
                self._deliveries.setdefault(delivery.number, delivery)  # one may have left the log
            if sandbox.store.read(job.id) is not job:
                jobs[job.number] = job  # a deleted one is kept for its webhooks only
        for job in jobs.values():
            fields[f"job:{job.number}"] = self._job(job)
        fields.update(self._take_deliveries())
        fields.update(self._take_calls(entries))
        oldest = sandbox.journal.oldest
        head = HeadPart(
            snapshot=write_head(self._mock, sandbox, references, now),
            wall=real.wall(),
            has_scenario=sandbox.scenario_override is not None,
            has_behaviour=sandbox.behaviour_override is not None,
            named_seed=sandbox.named_seed,
            first_call=sandbox.calls + 1 if oldest is None else oldest.number,
            settled=sandbox.store.settled,
            inbox=None if sandbox.inbox is None else InboxPart(**sandbox.inbox.settings()),
        )
        fields["head"] = _encode(head)
        fields.update(self._take_window(real.monotonic()))
        fields.update(self._take_inbox())
        fields.update(self._take_coverage())
        fields.update(self._take_name())
        fields.update(self._take_references())
        return fields

    def _outbox(self, job: Job) -> JobOutbox | None:
        dispatcher = self.sandbox.dispatcher
        return dispatcher.outbox_of(job) if isinstance(dispatcher, WebhookDispatcher) else None

    def _job(self, job: Job) -> bytes | None:
        is_deleted = self.sandbox.store.read(job.id) is not job
        if is_deleted and self._outbox(job) is None:
            return None
        return bytes(at_once(write_job(job, self._references, self.sandbox.key, is_deleted=is_deleted)))

    def _take_deliveries(self) -> Iterator[tuple[str, bytes | None]]:
        changed, self._deliveries = self._deliveries, {}
        for number, delivery in changed.items():
            self._logged.setdefault(number, delivery)
        oldest = self.sandbox.deliveries.made - self._mock.settings.journal_size
        while self._logged and (number := next(iter(self._logged))) <= oldest:
            changed[number] = self._logged.pop(number)
        for number, delivery in changed.items():
            is_gone = number <= oldest and delivery.is_final
            yield f"delivery:{number}", None if is_gone else self._delivery(delivery, is_logged=number > oldest)

    def _delivery(self, delivery: Delivery, *, is_logged: bool) -> bytes:
        if delivery.began is not None:
            interrupted = Attempt(delivery.began, delivery.began, problem=INTERRUPTED, reason=REASON)
            delivery = replace(delivery, attempts=[*delivery.attempts, interrupted])
        return bytes(delivery_part(delivery, self._references, is_logged, self.sandbox.key))

    def _take_calls(self, entries: Mapping[int, JournalEntry]) -> Iterator[tuple[str, bytes | None]]:
        first = self.sandbox.calls - self._calls_kept
        kept = [write_entry(entry, self._references) for number, entry in entries.items() if number > first]
        if kept:
            self._pages += 1
            self._last_calls.append((self._pages, max(entries)))
            yield f"calls:{self._pages}", _encode(kept)
        pages = self._last_calls
        if len(pages) > MAX_OUTDATED and pages[MAX_OUTDATED][1] <= first:
            while pages and pages[0][1] <= first:
                yield f"calls:{pages.popleft()[0]}", None

    def _take_window(self, now: float) -> Iterator[tuple[str, bytes]]:
        _, calls = self.sandbox.store.ledger()
        wait = self._window_at + len(calls) * SECONDS_PER_CALL - now
        if self.is_last or wait <= 0:
            self._window_at, self.is_whole = now, True
            yield "window", _encode(list(calls))
        elif self.is_whole:
            self.is_whole = False
            self._writer.write_later(self, wait)

    def _take_coverage(self) -> Iterator[tuple[str, bytes]]:
        seen = self.sandbox.sightings
        size = len(seen.answers) + len(seen.views) + len(seen.other_states)  # they only grow
        if size != self._covered:
            self._covered = size
            part = CoveragePart(answers=[*seen.answers], views=[*seen.views], other=[*seen.other_states])
            yield "coverage", _encode(part)

    def _take_inbox(self) -> Iterator[tuple[str, bytes | None]]:
        inbox = self.sandbox.inbox
        if inbox is not None and self._inbox_changed:
            written, self._received = self._received, {each.number for each in inbox.received}
            for each in inbox.received:
                if each.number not in written:
                    yield f"received:{each.number}", bytes(received_part(each, self.sandbox.key))
            for number in written - self._received:
                yield f"received:{number}", None
        self._inbox_changed = False

    def _take_name(self) -> Iterator[tuple[str, bytes | None]]:
        name = self._mock.sandboxes.names.get(self.sandbox.key)
        if name != self._name:
            self._name = name
            yield "name", None if name is None else _encode(name)

    def _tables(self) -> dict[str, InternTable]:
        references = self._references
        return {"scenario": references.scenarios, "behaviour": references.behaviours, "hook": references.hooks}

    def _take_references(self) -> Iterator[tuple[str, bytes]]:
        for kind, table in self._tables().items():
            for at in range(self._written[kind], len(table.parts)):
                yield f"{kind}:{at}", _encode(table.parts[at])
            self._written[kind] = len(table.parts)

    def resume(self, numbered: Mapping[str, Mapping[int, bytes]], last_calls: Mapping[int, int]) -> None:
        """Go on after parts that are written already: nothing has changed, and indexes stay."""
        references = self._references
        references.scenarios = InternTable(map(msgspec.Raw, numbered["scenario"].values()))
        references.behaviours = InternTable(decode(each, dict[str, Any]) for each in numbered["behaviour"].values())
        references.hooks = InternTable(decode(each, HookPart) for each in numbered["hook"].values())
        self._written = {kind: len(table.parts) for kind, table in self._tables().items()}
        self._jobs, self._outboxes, self._deliveries, self._entries = {}, {}, {}, {}
        self._received = set(numbered["received"])
        self._name = self._mock.sandboxes.names.get(self.sandbox.key)
        self._last_calls, self._pages = deque(last_calls.items()), max(last_calls, default=0)
        self._anchor, self.replaces = self._clock_setting(), False


def read_parts(
    mock: MockServer, key: str, fields: Mapping[str, bytes], writer: Writer
) -> tuple[Restored, SandboxParts]:
    """Return the sandbox of these parts, and the parts to go on with; raises ValidationFailed."""
    numbered = _numbered(fields)
    head = decode(fields["head"], HeadPart)
    snapshot = head.snapshot
    snapshot.window = decode(fields["window"], list[Instant]) if "window" in fields else []
    snapshot.window = [each for each in snapshot.window if each <= snapshot.clock.now]
    snapshot.scenarios = [msgspec.Raw(each) for each in numbered["scenario"].values()]
    snapshot.behaviours = [decode(each, dict[str, Any]) for each in numbered["behaviour"].values()]
    webhooks = snapshot.webhooks
    webhooks.hooks = [decode(each, HookPart) for each in numbered["hook"].values()]
    webhooks.outboxes = [decode(each, OutboxPart) for each in numbered["outbox"].values()]
    snapshot.jobs = [msgspec.Raw(each) for each in _without_orphans(numbered["job"].values(), webhooks.outboxes)]
    webhooks.deliveries = [msgspec.Raw(each) for each in numbered["delivery"].values()]
    pages = {page: _calls_by_number(content) for page, content in numbered["calls"].items()}
    calls: dict[int, msgspec.Raw] = {}
    for page in pages.values():
        calls |= page
    snapshot.journal = [calls[number] for number in sorted(calls) if number >= head.first_call]
    restored = rebuild(mock, key, snapshot, head.settled)
    if head.inbox is not None:
        restored.sandbox.inbox = read_inbox(head.inbox, numbered["received"].values())
    _finish(mock, restored.sandbox, head, fields)
    parts = SandboxParts(mock, restored.sandbox, writer)
    parts.resume(numbered, {page: max(found) for page, found in pages.items()})
    return restored, parts


def write_name(mock: MockServer, key: str) -> Fields:
    """Return what a reset leaves of a sandbox: its name, if it has one."""
    name = mock.sandboxes.names.get(key)
    return {} if name is None else {"name": _encode(name), "key": key.encode()}


def read_name(mock: MockServer, key: str, fields: Mapping[str, bytes]) -> None:
    """Name the sandbox of a key as it is stored."""
    mock.sandboxes.set_name(key, decode(fields["name"], str) if "name" in fields else None)


def _numbered(fields: Mapping[str, bytes]) -> dict[str, dict[int, bytes]]:
    """Return the parts that come in many by their kinds, and each by its number, in order."""
    found: dict[str, dict[int, bytes]] = {
        kind: {} for kind in ("scenario", "behaviour", "hook", "job", "outbox", "delivery", "received", "calls")
    }
    for name, content in fields.items():
        kind, colon, number = name.partition(":")
        if colon:
            found[kind][int(number)] = content
    return {kind: dict(sorted(parts.items())) for kind, parts in found.items()}


def _calls_by_number(content: bytes) -> dict[int, msgspec.Raw]:
    calls = decode(content, list[msgspec.Raw])
    return {decode(each, EntryPart).number: each for each in calls}


def _without_orphans(jobs: Iterable[bytes], outboxes: list[OutboxPart]) -> Iterator[bytes]:
    """Yield the jobs, deleted ones only if they still have webhooks."""
    needed = {each.job for each in outboxes}
    for each in jobs:
        if b'"isDeleted":true' not in each or decode(each, JobPart).number in needed:
            yield each


def _finish(mock: MockServer, sandbox: Sandbox, head: HeadPart, fields: Mapping[str, bytes]) -> None:
    """Set what a snapshot does not hold."""
    sandbox.scenario_override = sandbox.scenario_override if head.has_scenario else None
    sandbox.behaviour_override = sandbox.behaviour_override if head.has_behaviour else None
    sandbox.named_seed = head.named_seed
    if "coverage" in fields:
        seen = decode(fields["coverage"], CoveragePart)
        sandbox.sightings.answers |= set(seen.answers)
        sandbox.sightings.views |= set(seen.views)
        sandbox.sightings.other_states |= set(seen.other)
    clock = sandbox.clock
    if clock.mode.flows:
        gone = max(mock.settings.real.wall() - head.wall, timedelta()) * clock.speed
        clock.set_time(max(min(head.snapshot.clock.now + gone, LAST), clock.now()))
