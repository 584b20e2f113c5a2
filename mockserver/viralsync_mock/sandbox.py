"""Everything mutable of one API key. Reset is dropping a sandbox."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email.utils import format_datetime
from itertools import chain, islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from viralsync_mock.clock import EPOCH, Clock, Mode
from viralsync_mock.jobs.models import Status, add_seconds, in_turns, timestamp
from viralsync_mock.jobs.recipe import plan_job
from viralsync_mock.jobs.steps import steps
from viralsync_mock.jobs.store import JobStore, Usage
from viralsync_mock.journal.coverage import CoverageRecorder
from viralsync_mock.journal.entry import Journal
from viralsync_mock.randomness import hexadecimal, random_fraction
from viralsync_mock.scenarios.model import Account, RuleState
from viralsync_mock.webhooks.delivery import DeliveryLog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from viralsync_mock.config.behaviour import BehaviourProfile
    from viralsync_mock.jobs.models import Job, Timeline
    from viralsync_mock.journal.entry import JournalEntry
    from viralsync_mock.scenarios.armed_faults import ArmedFaults
    from viralsync_mock.scenarios.model import Scenario
    from viralsync_mock.webhooks.delivery import Dispatcher
    from viralsync_mock.webhooks.inbox import Inbox

MAX_JOBS_LISTED, MAX_EFFECTS = 1_000, 10_000
"""An `advance` lists the steps of this many jobs, the oldest first, at most this many steps and as many other effects,
and says when there were more."""

MAX_WAKE_UPS = 200_000
"""An `advance` stops after it has woken the streams and webhooks of a sandbox this often: about 20 real seconds."""

SANDBOX_SIZE = 12 * 1024
"""What an empty sandbox takes in memory."""

Effect = dict[str, Any]


class Moved(NamedTuple):
    """What an `advance` came to: what happened, whether more did than is listed, whether the clock is there."""

    effects: list[Effect]
    is_truncated: bool
    has_arrived: bool


class Recorder(Protocol):
    """Is shown what changes in a sandbox that has to survive the process."""

    def note(self, kind: str, subject: object = None) -> None:
        """Keep a `call` or a `delivery`; of any other kind only that something has changed."""

    def outbox_changed(self, job: Job) -> None:
        """Keep what is still to be sent for a job."""

    async def commit(self) -> None:
        """Return when every change so far survives a kill of the process; raises StateError."""


class SandboxKeeper(Protocol):
    """Keeps the sandboxes of a server beyond its memory."""

    @property
    def problem(self) -> str:
        """Why nothing can be kept at this moment; empty if it can."""

    def keep(self, sandbox: Sandbox) -> None:
        """Keep a new sandbox from now on, in place of any other of its key."""

    def forget(self, sandbox: Sandbox) -> None:
        """Forget a sandbox that is reset."""

    def park(self, sandbox: Sandbox) -> None:
        """Write a sandbox that leaves memory; the next call of its key brings it back."""

    def forget_all(self) -> None:
        """Forget every sandbox, also those that are not in memory."""

    async def start(self) -> None:
        """Go on with the webhooks that are due."""

    async def prepare(self, key: str) -> None:
        """Bring the sandbox of a key into memory; raises StateError."""

    async def before_answer(self, sandbox: Sandbox, entry: JournalEntry | None, *, waits: bool) -> None:
        """Keep what a call has changed, before its response leaves; raises StateError.

        `waits` says that the call may have changed more than counts.
        """

    async def close(self) -> None:
        """Write what is still to be written."""


def user_id(key: str) -> str:
    """Return the id of the account that a key belongs to."""
    return f"user_{hexadecimal(key, 'user', length=12)}"


class Watcher(Protocol):
    """Tells listeners what happens in the sandbox of a key."""

    def attach(self, sandbox: Sandbox) -> None:
        """Follow this sandbox from now on."""

    def note(self, kind: str, subject: object = None) -> None:
        """Note that something has happened to a call, job or delivery, or to a part of the sandbox."""

    def note_effect(self, effect: Effect) -> None:
        """Note an effect of the passing time."""

    def close(self) -> None:
        """Stop listening."""


@dataclass(eq=False, slots=True)
class Sandbox:
    """Everything mutable of one account: its clock, jobs, limits, scenario, faults, journal, deliveries.

    `scenario_override` and `behaviour_override` replace the server's; `account_overrides` are the fields of the account
    that a test has set. `named_seed` is the text that the seed was made from, when a test has named one.
    """

    key: str = field(repr=False)
    seed: str
    clock: Clock
    store: JobStore
    scenario_override: Scenario | None = None
    behaviour_override: BehaviourProfile | None = None
    account_overrides: dict[str, Any] = field(default_factory=dict)
    submissions: int = 0
    calls: int = 0
    scripts: dict[str, RuleState] = field(default_factory=dict)
    is_closed: bool = False
    http_date: tuple[datetime, datetime, bytes] = (EPOCH, EPOCH, b"")
    opened: datetime = EPOCH
    listeners: list[list[Effect]] = field(default_factory=list)
    journal: Journal = field(default_factory=lambda: Journal(0))
    armed: ArmedFaults | None = None
    deliveries: DeliveryLog = field(default_factory=lambda: DeliveryLog(0))
    dispatcher: Dispatcher | None = None
    call_prefix: bytes = b""
    named_seed: str | None = None
    sightings: CoverageRecorder = field(default_factory=CoverageRecorder)
    watcher: Watcher | None = None
    recorder: Recorder | None = None
    """Keeps what changes, where the server has a `--state`."""
    in_use: int = 0
    """How many calls it is answering, open streams included."""
    counted: int = 0
    """Bytes that the registry has counted for it."""
    inbox: Inbox | None = None
    used: float = 0.0
    """When the last call of the API came, on the real monotonic clock."""

    def __post_init__(self) -> None:
        self.call_prefix = f"call_{self.user_id[5:11] if self.key else 'outside'}_".encode()

    @property
    def user_id(self) -> str:
        """The id of the account: the same for the same key."""
        return user_id(self.key)

    @property
    def held(self) -> int:
        """Bytes that this sandbox takes in memory, estimated."""
        return SANDBOX_SIZE + self.journal.held + self.store.held + self.deliveries.held

    def account(self, scenario: Scenario) -> Account:
        """Return the account that a scenario gives to this key, with the fields that a test has set."""
        account = scenario.keys.get(self.key, scenario.account)
        return replace(account, **self.account_overrides) if self.account_overrides else account

    def script(self, scenario: Scenario) -> RuleState:
        """Return the rules of a scenario with their counts in this sandbox; a changed scenario starts new counts."""
        script = self.scripts.get(scenario.name)
        if script is None or script.rules is not scenario.rules:
            script = self.scripts[scenario.name] = RuleState(scenario.name, scenario.rules)
        return script

    def draw(self, *purpose: object) -> float:
        """Draw a number in [0, 1) from the seed; the same purpose always draws the same."""
        return random_fraction(self.seed, *purpose)

    async def rewrite(self, job: Job, timeline: Timeline) -> None:
        """Give a job another timeline; returns when every open stream has sent it."""
        self.store.rewrite(job, timeline, self.clock.now())
        await in_turns(plan_job(job), self.clock.real.sleep)
        self.notify(job)
        await self.clock.wait_settled()

    def notify(self, job: Job) -> None:
        """Wake the watchers of this job."""
        for wake in tuple(job.watchers or ()):
            wake()

    async def auto_advance(self, instant: datetime | None) -> None:
        """On an auto clock, go to the instant that is waited for."""
        if instant is not None and self.clock.mode is Mode.AUTO:
            await self.clock.advance(max(instant, self.clock.now()))

    async def auto_advance_if_idle(self, instant: datetime | None) -> None:
        """Auto-advance unless a webhook is under way: its receiver may be the caller, and waiting would deadlock."""
        if not self.clock.in_flight:
            await self.auto_advance(instant)

    async def sleep(self, seconds: float, sleeper: str = "", *, all_asleep: bool = False) -> datetime:
        """Return the present instant once the clock has gone this much further, or once the sandbox is closed.

        A clock in mode `jump` goes to the earliest wake-up when nothing has happened for 5 real milliseconds, so sleeps
        overlap. With a `sleeper`'s name the clock also waits, up to 100 ms, until it sleeps again after waking up.
        `all_asleep` says that the caller has nothing else under way: every other sleeper of it sleeps too and no
        request is on its way. Then the clock does not wait those 5 ms. Raises ClockError past the clock's last instant.
        """
        instant = add_seconds(self.clock.now(), seconds)
        self.clock.check(instant)
        if self.clock.mode is Mode.AUTO:
            await self.auto_advance_if_idle(instant)
            return self.clock.now()
        while not self.is_closed and self.clock.now() < instant:
            await self.clock.sleep_until(instant, sleeper, all_asleep=all_asleep)
        return self.clock.now()

    async def advance(self, instant: datetime) -> Moved:
        """Move the clock; return what happened, in order."""
        since, jobs = self.clock.now(), self.store.unfinished(self.clock.now())
        seen: list[Effect] = []
        self.listeners.append(seen)
        try:
            has_arrived = await self.clock.advance(instant, MAX_WAKE_UPS)
        finally:
            self.listeners = [listener for listener in self.listeners if listener is not seen]
            if self.dispatcher is not None and self.clock.mode is Mode.AUTO:
                self.dispatcher.wake()
        until = instant if has_arrived else self.clock.now()
        happened = chain.from_iterable(effects_of(job, since, until) for job in jobs[:MAX_JOBS_LISTED])
        found = list(islice(happened, MAX_EFFECTS + 1))
        is_truncated = max(len(found), len(seen)) > MAX_EFFECTS or len(jobs) > MAX_JOBS_LISTED
        return Moved(sorted(found[:MAX_EFFECTS] + seen[:MAX_EFFECTS], key=_sort_key), is_truncated, has_arrived)

    def record_effect(self, kind: str, **what: object) -> None:
        """Add something that happened to the list of every `advance` under way."""
        if self.listeners or self.watcher is not None:
            effect = {"at": timestamp(self.clock.now()), "kind": kind, **what}
            for listener in self.listeners:
                if len(listener) <= MAX_EFFECTS:
                    listener.append(effect)
            if self.watcher is not None:
                self.watcher.note_effect(effect)

    def note(self, kind: str, subject: object = None) -> None:
        """Tell those who watch or keep this sandbox, if any, that something has happened."""
        if self.recorder is not None:
            self.recorder.note(kind, subject)
        if self.watcher is not None:
            self.watcher.note(kind, subject)

    def unwatch(self) -> None:
        """Tell nobody any more."""
        self.watcher = self.clock.on_move = self.store.on_change = None

    def date_header(self, now: datetime) -> bytes:
        """Return an instant as HTTP writes it; the last one is cached."""
        if not self.http_date[0] <= now < self.http_date[1]:
            second = now.replace(microsecond=0)
            text = format_datetime(second, usegmt=True).encode()
            self.http_date = (second, second + timedelta(seconds=1), text)
        return self.http_date[2]

    def close(self) -> None:
        """End everything that waits in this sandbox."""
        self.is_closed = True
        self.note("reset")
        self.unwatch()
        if self.dispatcher is not None:
            self.dispatcher.close()
        for alarm in tuple(self.clock.alarms):
            alarm.wake()


def _sort_key(effect: Effect) -> tuple[object, ...]:
    """Order effects by their instants, and webhooks of one instant by their numbers."""
    delivery = effect.get("deliveryId", "")
    return effect["at"], len(delivery), delivery


def effects_of(job: Job, since: datetime, until: datetime) -> Iterator[Effect]:
    """Yield the steps of one job in an interval, and its charge."""
    found = steps(job.timeline)
    first, last = (bisect_right(found, instant, key=attrgetter("at")) for instant in (since, until))
    for step in islice(found, first, last):
        at = timestamp(step.at)
        yield {
            "at": at,
            "kind": "step",
            "jobId": job.id,
            "status": step.status,
            "phase": step.phase,
            "progress": step.progress,
        }
        if step.status is Status.DONE:
            yield {"at": at, "kind": "charge", "jobId": job.id, "minutes": round(job.seconds / 60, 6)}


def use_account(sandbox: Sandbox, scenario: Scenario) -> None:
    """Set the minutes that the scenario's account has used."""
    account = sandbox.account(scenario)
    if account.minutes_used or account.minutes_used_today:
        now = sandbox.clock.now()
        sandbox.store.set_minutes(now, account.minutes_used, account.minutes_used_today)


def usage_under(sandbox: Sandbox, scenario: Scenario, home: Scenario, now: datetime) -> Usage:
    """Return what is used up; a scenario chosen for one call only adds the minutes its account has used."""
    usage = sandbox.store.usage(now)
    if scenario is home:
        return usage
    account = sandbox.account(scenario)
    return replace(
        usage,
        minutes=max(usage.minutes, account.minutes_used),
        minutes_today=max(usage.minutes_today, account.minutes_used_today),
    )
