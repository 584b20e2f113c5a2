"""A sandbox as one JSON document, and a sandbox made of it again: under another key, or on another server.

Restoring makes a new sandbox, and changes nothing before the whole document is known to be valid. A snapshot holds no
API keys: a scenario's `keys` become the account of the sandbox's own, and what looks like a key is masked. So are
userinfo and secret parameters of URLs: webhooks of a restored sandbox go out without them.
"""

from __future__ import annotations

import re
from copy import copy
from datetime import date
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import orjson

from viralsync_mock.clock import Clock
from viralsync_mock.config.yaml_source import preview
from viralsync_mock.errors import did_you_mean
from viralsync_mock.jobs.models import at_once
from viralsync_mock.jobs.store import Contents, JobStore
from viralsync_mock.journal.entry import Journal
from viralsync_mock.sandbox import Sandbox
from viralsync_mock.snapshots.jobs import JobReader, has_many_rows, write_job
from viralsync_mock.snapshots.journal import read_journal, write_journal
from viralsync_mock.snapshots.references import (
    ReferenceReader,
    ReferenceWriter,
    check_ascending,
    decode,
    lookup,
    read_armed,
    read_scripts,
    require,
    write_armed,
    write_scripts,
)
from viralsync_mock.snapshots.schema import ClockPart, PatchPart, Snapshot, SpecPart, WebhooksPart, publishable
from viralsync_mock.snapshots.webhooks import WebhookReader, outboxes_of, write_webhooks
from viralsync_mock.validation.schema import invalid
from viralsync_mock.webhooks.dispatcher import WebhookDispatcher

if TYPE_CHECKING:
    from datetime import datetime

    from viralsync_mock.jobs.models import Job, Slices
    from viralsync_mock.openapi.spec import Spec
    from viralsync_mock.state import LoadedFiles, MockServer
    from viralsync_mock.webhooks.dispatcher import JobOutbox

FORMAT = "viralsync-mock-snapshot"
VERSION = 1

_PERIOD = re.compile(r"\d{4}-\d{2}(-\d{2})?")


class Head(msgspec.Struct):
    """The part that is checked first."""

    format: str
    version: int
    spec: SpecPart


class Restored(NamedTuple):
    """A sandbox made of a snapshot, not yet installed, and the webhooks it still has to send."""

    sandbox: Sandbox
    outboxes: list[JobOutbox]
    jobs: int


def digest(spec: Spec) -> str:
    """Return the SHA-256 of a spec's document, in hexadecimal."""
    return sha256(orjson.dumps(spec.document, option=orjson.OPT_SORT_KEYS)).hexdigest()


def create_snapshot(mock: MockServer, sandbox: Sandbox, *, with_journal: bool = False) -> Slices[bytes]:
    """Write a sandbox as JSON, as it is at the first slice: what happens between the others is not in it."""
    references, now = ReferenceWriter(mock.files, sandbox.key), sandbox.clock.now()
    contents = sandbox.store.contents(now)
    snapshot = write_head(mock, sandbox, references, now)
    snapshot.spec.digest, snapshot.window = digest(mock.files.spec), list(contents.calls)
    large = {}
    for job, gone in _every_job(sandbox, contents):
        if has_many_rows(job):
            large[len(snapshot.jobs)] = copy(job), gone
            snapshot.jobs.append(msgspec.Raw())
        else:
            written = at_once(write_job(job, references, sandbox.key, is_deleted=gone))
            snapshot.jobs.append(publishable(written, sandbox.key))
    snapshot.webhooks = write_webhooks(sandbox, references)
    snapshot.journal = write_journal(sandbox, references) if with_journal else msgspec.UNSET
    for place, (job, gone) in large.items():
        written = yield from write_job(job, references, sandbox.key, is_deleted=gone)
        yield
        snapshot.jobs[place] = publishable(written, sandbox.key)
    snapshot.scenarios, snapshot.behaviours = references.scenarios.parts, references.behaviours.parts
    return msgspec.json.encode(snapshot)


def write_head(mock: MockServer, sandbox: Sandbox, references: ReferenceWriter, now: datetime) -> Snapshot:
    """Return what is small of a sandbox, without the parts that come in many and the digest of the spec."""
    files, clock = mock.files, sandbox.clock
    home, behaviour = (
        references.scenario(mock.scenario_of(sandbox)),
        references.behaviour(sandbox.behaviour_override or files.behaviour),
    )
    charged, _ = sandbox.store.ledger()
    return Snapshot(
        format=FORMAT,
        version=VERSION,
        spec=SpecPart(title=files.spec.title, version=files.spec.version, digest=""),
        seed=sandbox.seed,
        clock=ClockPart(now=now, mode=clock.mode, speed=clock.speed),
        opened=sandbox.opened,
        scenario=home,
        behaviour=behaviour,
        account=PatchPart(**sandbox.account_overrides),
        submissions=sandbox.submissions,
        calls=sandbox.calls,
        charged={_period(key): milliseconds for key, milliseconds in charged.items()},
        window=[],
        scripts=write_scripts(mock, sandbox, references),
        armed=write_armed(sandbox.armed) if sandbox.armed else None,
        scenarios=[],
        behaviours=[],
        jobs=[],
        webhooks=WebhooksPart(made=sandbox.deliveries.made, hooks=[], deliveries=[], outboxes=[]),
    )


def _every_job(sandbox: Sandbox, contents: Contents) -> list[tuple[Job, bool]]:
    """Return the jobs, and the deleted ones that still have webhooks to send (True), by number."""
    kept = {job.number for job in contents.jobs}
    gone = [(each.job, True) for each in outboxes_of(sandbox) if each.job.number not in kept]
    return sorted([(job, False) for job in contents.jobs] + gone, key=lambda each: each[0].number)


def _period(key: tuple[int, ...]) -> str:
    year, *rest = key
    return "-".join([f"{year:04}", *(f"{part:02}" for part in rest)])


def restore(mock: MockServer, key: str, raw: bytes) -> Restored:
    """Return the sandbox of a snapshot for a key; raises ValidationFailed with the place, and changes nothing."""
    check_head(decode(raw, Head), mock.files.spec)
    return rebuild(mock, key, decode(raw, Snapshot))


def rebuild(mock: MockServer, key: str, snapshot: Snapshot, settled: datetime | None = None) -> Restored:
    """Return the sandbox of a snapshot; with `settled`, its parts are of several instants, and its charges of this."""
    known = ReferenceReader(mock.files, snapshot.scenarios, snapshot.behaviours)
    now = snapshot.clock.now
    webhooks = WebhookReader(snapshot.webhooks, known, now)
    jobs, gone = _jobs(snapshot, known, settled)
    check_ascending(snapshot.window, "$.window", now)
    check_ascending([snapshot.opened], "$.opened", now)
    contents = Contents(jobs, _charged(snapshot), snapshot.window)
    sandbox = Sandbox(
        key,
        snapshot.seed,
        Clock(now, snapshot.clock.mode, snapshot.clock.speed, mock.settings.real),
        JobStore.holding(contents, settled or now),
        scenario_override=lookup(known.scenarios, snapshot.scenario, "$.scenario"),
        behaviour_override=lookup(known.behaviours, snapshot.behaviour, "$.behaviour"),
        account_overrides=_patched(snapshot.account, mock.files),
        submissions=snapshot.submissions,
        calls=snapshot.calls,
        scripts=read_scripts(snapshot.scripts, known),
        opened=snapshot.opened,
        armed=read_armed(snapshot.armed, mock.files.spec, now) if snapshot.armed else None,
        deliveries=webhooks.log(mock.settings.journal_size),
        journal=Journal(mock.settings.journal_size),
    )
    if snapshot.journal is not msgspec.UNSET:
        read_journal(snapshot.journal, known, sandbox, now)
    outboxes = webhooks.outboxes({job.number: job for job in (*jobs, *gone)})
    return Restored(sandbox, outboxes, len(jobs))


def install(mock: MockServer, restored: Restored) -> None:
    """Replace the sandbox of the key, which is closed, by the restored one, and go on with its webhooks."""
    mock.sandboxes.replace(restored.sandbox)
    resume_webhooks(mock, restored)


def resume_webhooks(mock: MockServer, restored: Restored) -> None:
    """Go on with the webhooks of a sandbox that is installed."""
    if restored.outboxes and isinstance(dispatcher := mock.dispatcher_for(restored.sandbox), WebhookDispatcher):
        dispatcher.resume(restored.outboxes)


def check_head(head: Head, spec: Spec) -> None:
    """Raise ValidationFailed for another format, another version, or another spec."""
    require(head.format == FORMAT, "$.format", preview(FORMAT), preview(head.format))
    require(head.version == VERSION, "$.version", f"{VERSION}", head.version)
    expected, got = f"{spec.title} {spec.version}", f"{head.spec.title} {head.spec.version}"
    require(expected == got, "$.spec", expected, got)
    if head.spec.digest != digest(spec):
        invalid(
            "$.spec.digest", f"expected {digest(spec)}, that of this server's spec, got {preview(head.spec.digest)}"
        )


def _jobs(snapshot: Snapshot, known: ReferenceReader, settled: datetime | None) -> tuple[list[Job], list[Job]]:
    """Return the jobs, and those that are deleted."""
    reader = JobReader(known, snapshot.seed, snapshot.clock.now, settled)
    found = [reader.read(raw, f"$.jobs[{index}]") for index, raw in enumerate(snapshot.jobs)]
    before = None
    for index, (job, _) in enumerate(found):
        if before is not None and not (before.number < job.number and before.created <= job.created):
            invalid(f"$.jobs[{index}]", f"expected a later job than number {before.number}, got number {job.number}")
        before = job
    last = before.number if before is not None else 0
    require(snapshot.submissions >= last, "$.submissions", f"at least {last}", snapshot.submissions)
    least = snapshot.submissions
    require(snapshot.calls >= least, "$.calls", f"at least {least}, as many as submissions", snapshot.calls)
    return [job for job, part in found if not part.is_deleted], [job for job, part in found if part.is_deleted]


def _charged(snapshot: Snapshot) -> dict[tuple[int, ...], int]:
    found = {}
    for period, milliseconds in snapshot.charged.items():
        try:
            parts = tuple(map(int, period.split("-"))) if _PERIOD.fullmatch(period) else ()
            date(*(*parts, 1)[:3])
        except (TypeError, ValueError):
            invalid("$.charged", f"expected months and days such as 2026-01 and 2026-01-31, got {preview(period)}")
        found[parts] = milliseconds
    return found


def _patched(part: PatchPart, files: LoadedFiles) -> dict[str, object]:
    patched = {name: value for name, value in msgspec.structs.asdict(part).items() if value is not msgspec.UNSET}
    plans = files.spec.plans
    if (plan := patched.get("plan", next(iter(plans)))) not in plans:
        invalid(
            "$.account.plan", f"expected one of {', '.join(plans)}, got {preview(plan)}.{did_you_mean(plan, plans)}"
        )
    return patched
