"""The journal in a snapshot: every call, with what explains its response."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from viralsync_mock.clock import Mode
from viralsync_mock.jobs.models import Status
from viralsync_mock.jobs.store import Usage, WindowSlot
from viralsync_mock.journal.entry import JournalEntry, serialize_headers
from viralsync_mock.openapi.spec import RateLimit
from viralsync_mock.redaction import masked_bytes
from viralsync_mock.response import Response
from viralsync_mock.scenarios.armed_faults import MatchedFaults
from viralsync_mock.scenarios.model import NearMiss, RuleMatch
from viralsync_mock.snapshots.references import check_ascending, decode, lookup, require
from viralsync_mock.snapshots.schema import (
    Amount,
    Count,
    Document,
    Headers,
    Instant,
    Number,
    Part,
    Positive,
    Row,
)
from viralsync_mock.validation.schema import Violation, invalid

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from viralsync_mock.sandbox import Sandbox
    from viralsync_mock.snapshots.references import ReferenceReader, ReferenceWriter


class LimitRow(Row):
    """A `RateLimit`."""

    requests: Number
    window: Positive


class StandingRow(Row):
    """A `Usage`."""

    minutes: Amount
    minutes_today: Amount
    jobs: dict[Status, Count]


class EntryPart(Part):
    """A `JournalEntry`; `rule` and `near_miss` are numbers of rules of its scenario, from 1."""

    number: Number
    at: Instant
    method: str
    path: str
    query: bytes
    headers: Headers
    body: bytes
    body_size: Count
    operation: str
    job_id: str | None
    status: Annotated[int, Meta(ge=100, le=999)] | None
    code: str | None
    answered_at: Instant | None
    answer_headers: Headers
    answer_body: bytes
    answer_size: Count
    ending: str
    events: Count
    last_event: bytes
    answered_after: Count
    ended_after: Count
    ended_at: Instant | None
    mode: Mode | None
    rate: Amount
    scenario: Count | None
    chosen_by: str
    rule: Count
    near_miss: tuple[Number, list[str]] | None
    age: int | float
    matched: list[tuple[str, list[Document]]]
    slot: WindowSlot | None
    limit: LimitRow | None
    standing: StandingRow | None
    plan: str | None
    violations: list[tuple[str, str]]


SHARED_FIELDS = (
    *("body_size", "operation", "job_id", "status", "code", "answered_at", "answer_size", "ending", "events"),
    *("last_event", "answered_after", "ended_after", "ended_at", "mode", "rate", "chosen_by", "age", "plan"),
)
"""The fields that an entry and its part have in common."""

_TEXTS = tuple(
    (name, written)
    for name, written in zip(EntryPart.__struct_fields__, EntryPart.__struct_encode_fields__, strict=True)
    if name in SHARED_FIELDS and name != "last_event"
)

_row = msgspec.structs.astuple


def write_journal(sandbox: Sandbox, references: ReferenceWriter) -> list[msgspec.Raw]:
    """Return the calls, oldest first."""
    return [write_entry(entry, references) for entry in sandbox.journal.oldest_first()]


def write_entry(entry: JournalEntry, references: ReferenceWriter) -> msgspec.Raw:
    """Return one call, as an `EntryPart` is written: for each call under `--state`, so without making one.

    What the entry has masked itself is not searched again: in base64 that takes longer than all the rest.
    """
    choice, slot, limit, standing = entry.rule_match, entry.slot, entry.limit, entry.standing
    near = choice.near_miss
    texts = {written: getattr(entry, name) for name, written in _TEXTS}
    texts |= {
        "method": entry.method,
        "scenario": None if entry.scenario is None else references.scenario(entry.scenario),
        "rule": choice.number,
        "nearMiss": near and (near.number, near.reasons),
        "matched": [(each.id, references.faults(each.faults)) for each in entry.matched_faults],
        "slot": slot,
        "limit": limit and (limit.requests, limit.window),
        "standing": standing and (standing.minutes, standing.minutes_today, standing.jobs),
        "violations": [(each.location, each.message) for each in entry.violations],
    }
    is_masked = {
        "number": entry.number,
        "at": entry.at,
        "path": entry.path,
        "query": entry.query,
        "headers": entry.headers,
        "body": entry.body,
        "lastEvent": entry.last_event,
        "answerHeaders": entry.answer_headers,
        "answerBody": entry.answer_body,
    }
    hidden = masked_bytes(msgspec.json.encode(texts), entry.key)
    return msgspec.Raw(b"%b,%b" % (hidden[:-1], msgspec.json.encode(is_masked)[1:]))


def read_journal(parts: Sequence[msgspec.Raw], known: ReferenceReader, sandbox: Sandbox, now: datetime) -> None:
    """Fill the journal of a sandbox; raises ValidationFailed."""
    entries = [_entry(raw, known, sandbox.key, now, f"$.journal[{index}]") for index, raw in enumerate(parts)]
    for index, (one, other) in enumerate(pairwise(entries), 1):
        if other.number <= one.number:
            invalid(f"$.journal[{index}].number", f"expected more than {one.number}, got {other.number}")
    if entries and entries[-1].number > sandbox.calls:
        invalid("$.calls", f"expected at least {entries[-1].number}, as the journal has it, got {sandbox.calls}")
    for entry in entries:
        sandbox.journal.add(entry)


def _entry(raw: msgspec.Raw, known: ReferenceReader, key: str, now: datetime, place: str) -> JournalEntry:
    part = decode(raw, EntryPart, place)
    check_ascending([part.at], f"{place}.at", now)
    scope = {"method": part.method, "path": part.path, "query_string": part.query, "headers": part.headers}
    entry = JournalEntry(part.number, part.at, scope, key)
    entry.record_body(part.body)
    entry.violations = tuple(Violation(*each) for each in part.violations)
    entry.record_response(
        Response(200, part.answer_body), serialize_headers(part.answer_headers), part.answered_at or part.at
    )
    for name in SHARED_FIELDS:
        setattr(entry, name, getattr(part, name))
    entry.scenario = None if part.scenario is None else lookup(known.scenarios, part.scenario, f"{place}.scenario")
    entry.rule_match = _choice(part, entry, place)
    entry.matched_faults = tuple(
        MatchedFaults(name, known.faults(documents, f"{place}.matched[{index}][1]"))
        for index, (name, documents) in enumerate(part.matched)
    )
    entry.slot = part.slot
    entry.limit = None if part.limit is None else RateLimit(*_row(part.limit))
    entry.standing = None if part.standing is None else Usage(*_row(part.standing))
    return entry


def _choice(part: EntryPart, entry: JournalEntry, place: str) -> RuleMatch:
    rules = entry.scenario.rules if entry.scenario else ()
    numbers = [part.rule, *([part.near_miss[0]] if part.near_miss else [])]
    require(max(numbers) <= len(rules), f"{place}.rule", f"at most {len(rules)}, as many as there are", max(numbers))
    near = part.near_miss and NearMiss(part.near_miss[0], tuple(part.near_miss[1]))
    return RuleMatch(rules[part.rule - 1] if part.rule else None, part.rule, near)
