"""The parts of a snapshot: typed, strict and without defaults, so that a missing part is an error.

Instants are UTC. What may hold an API key is encoded by `masked_part`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta, Struct

from viralsync_mock.clock import LAST, Mode
from viralsync_mock.jobs.models import MinimumProgress, Status, StatusChange, Step
from viralsync_mock.redaction import masked_bytes, masked_keys
from viralsync_mock.webhooks.delivery import DeliveryOutcome

if TYPE_CHECKING:
    from collections.abc import Mapping

Instant = Annotated[datetime, Meta(tz=True)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Number = Annotated[int, Meta(ge=1, le=2**53)]
# 60 stays 60, and 60.0 stays 60.0
Amount = Annotated[int, Meta(ge=0, le=2**53)] | Annotated[float, Meta(ge=0)]
Positive = Annotated[int, Meta(gt=0, le=1_000_000)] | Annotated[float, Meta(gt=0, le=1e6)]
Share = Annotated[int, Meta(ge=0, le=1)] | Annotated[float, Meta(ge=0, le=1)]
Document = dict[str, Any]
Headers = list[tuple[bytes, bytes]]

_TIMED = re.compile(r"\b(Instant|StatusChange|MinimumProgress|Step|WindowSlot)\b")
"""The annotations of fields that hold instants, alone or in tuples; a `Part` or `Row` in a field checks itself."""

FIRST = datetime(1970, 1, 1, tzinfo=UTC)


def _check(value: object) -> None:
    if isinstance(value, list | tuple):
        for each in value:
            _check(each)
    instant = value
    if isinstance(instant, datetime) and not (instant.tzinfo is UTC and FIRST <= instant <= LAST):
        raise ValueError(f"expected an instant in UTC from 1970 to {LAST.year}, got {instant.isoformat()}")


def _names_to_check(names: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the fields that hold instants, by their annotations."""
    return tuple(name for name, kind in names.items() if _TIMED.search(kind))


class _Checked(Struct, forbid_unknown_fields=True):
    """Raises ValueError for an instant out of a clock's range."""

    checked: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.checked = _names_to_check(cls.__annotations__)

    def __post_init__(self) -> None:
        for name in self.checked:
            _check(getattr(self, name))


class Part(_Checked, kw_only=True, rename="camel"):
    """One object of a snapshot."""


class Row(_Checked, array_like=True):
    """The same, written as a list of values."""


class SpecPart(Part):
    """The spec of the mock; `digest` is of the whole document."""

    title: str
    version: str
    digest: str


class ClockPart(Part):
    """The clock."""

    now: Instant
    mode: Mode
    speed: Positive


class PatchPart(Part, omit_defaults=True):
    """The fields of the account that a test has set; the others are absent."""

    plan: str | msgspec.UnsetType = msgspec.UNSET
    revoked: bool | msgspec.UnsetType = msgspec.UNSET
    email: str | msgspec.UnsetType | None = msgspec.UNSET


class ScenarioPart(Part):
    """A scenario as it is written; a shipped one must be the same on the server that restores the snapshot."""

    is_shipped: bool
    document: Document


class ScriptPart(Part):
    """How often each rule of a scenario matched, how often it was applied, and when first."""

    scenario: Count
    matched: list[Count]
    applied: list[Count]
    first: list[Amount | None] = []


class FaultPart(Part):
    """An armed fault as it was written, and how often it matched and was applied."""

    id: str
    document: Document
    matched: Count
    applied: Count
    first: Amount | None = None
    armed_after: Amount = 0.0


class ArmedPart(Part):
    """The armed faults."""

    since: Instant
    faults: list[FaultPart]


class SpanRow(Row):
    """A `ChildRun`; a length of None never ends."""

    start: Instant | None
    length: Amount | None
    end: Instant | None
    outcome: Status


class TimelinePart(Part):
    """A timeline that was rewritten, without what follows from the job's recipe."""

    marks: Annotated[list[StatusChange], Meta(min_length=1)]
    scenes: list[SpanRow]
    assemble: SpanRow
    error: str | None
    floors: list[MinimumProgress]
    emitted: Annotated[list[Step], Meta(min_length=1)]


class JobPart(Part):
    """A job: its recipe, and its timeline if that was rewritten.

    `named` is the scenario that its submission asked for. Of a job that `is_deleted` only webhooks are left.
    """

    number: Number
    id: str
    created: Instant
    status: Status
    payload: msgspec.Raw
    workers: Number
    scenario: Count
    behaviour: Count
    callback_url: str | None
    named: str | None
    is_deleted: bool
    timeline: TimelinePart | None


class HookPart(Part):
    """A `WebhookSettings`; each fault is an object of one kind. `trace` is missing in older snapshots."""

    url: str
    secret: str
    behaviour: Count
    faults: list[Document]
    trace: list[tuple[str, str]] = []


class AttemptPart(Part):
    """An `Attempt`."""

    at: Instant
    ended_at: Instant
    status: Annotated[int, Meta(ge=100, le=999)] | None
    headers: list[tuple[str, str]]
    body: bytes
    problem: str | None
    reason: str | None


class DeliveryPart(Part):
    """A `Delivery`; the body is a text. One that is not logged has left the log, but not its outbox."""

    number: Number
    job_id: str
    kind: Literal["progress", "done", "failed", "cancelled"]
    hook: Count
    headers: list[tuple[str, str]]
    body: str
    made_at: Instant
    due: Instant
    lost_responses: Count
    copy_of: Number | None
    outcome: DeliveryOutcome
    attempts: list[AttemptPart]
    is_logged: bool


class InboxPart(Part):
    """An `Inbox` without what it received."""

    status: Annotated[int, Meta(ge=100, le=999)]
    times: Number | None
    total: Count


class ReceivedPart(Part):
    """A webhook that the built-in receiver got."""

    number: Number
    at: Instant
    status: Annotated[int, Meta(ge=100, le=999)]
    url: str
    headers: list[tuple[str, str]]
    body: bytes
    secret: str


class OutboxPart(Part):
    """A `JobOutbox`: the numbers of its job, of the last step with a webhook (-1: none), and of its deliveries."""

    job: Number
    hook: Count
    last_step: Annotated[int, Meta(ge=-1, le=2**53)]
    last_at: Instant
    made: Count
    waiting: list[Number]
    held: list[Number]


class WebhooksPart(Part):
    """The log of webhooks, and those still to come."""

    made: Count
    hooks: list[HookPart]
    deliveries: list[msgspec.Raw]
    outboxes: list[OutboxPart]


class Snapshot(Part):
    """A whole sandbox; numbers under `scenario`, `behaviour` and `hook` are indexes of the lists of these."""

    format: str
    version: int
    spec: SpecPart
    seed: str
    clock: ClockPart
    opened: Instant
    scenario: Count
    behaviour: Count
    account: PatchPart
    submissions: Count
    calls: Count
    charged: dict[str, Count]
    window: list[Instant]
    scripts: list[ScriptPart]
    armed: ArmedPart | None
    scenarios: list[msgspec.Raw]
    behaviours: list[Document]
    jobs: list[msgspec.Raw]
    webhooks: WebhooksPart
    journal: list[msgspec.Raw] | msgspec.UnsetType = msgspec.UNSET


def masked_part(part: Part, key: str) -> msgspec.Raw:
    """Return a part as JSON without any API key; its URLs stay whole, for `--state` goes on sending to them."""
    return msgspec.Raw(masked_bytes(msgspec.json.encode(part), key, masked_keys))


def publishable(part: msgspec.Raw, key: str) -> msgspec.Raw:
    """Return a masked part without the secrets in its URLs, as a snapshot has it."""
    return msgspec.Raw(masked_bytes(bytes(part), key))
