"""Everything mutable of one running server, and the few moves that change it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from . import clock
from .accounts import Start
from .catalogue import CATALOGUE
from .conduct import conduct_with
from .documents import document, raw_document, status_of
from .history import earlier_jobs
from .limits import Window
from .model import ENDED, Account, Job
from .plans import PLANS, Plan
from .rules import fields_of
from .settings import Settings
from .wire import Doc, Refusal, Refused, refusals_of


class World:
    """The accounts, jobs and windows of a server with these settings; made anew for every server."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.readings = settings.chosen
        self.conduct = conduct_with(CATALOGUE[name] for name in sorted(settings.breaches))
        self.fields = fields_of(self.readings, self.conduct)
        self.refusals = refusals_of(self.readings)
        self.chance, self.ids = clock.chance(settings.seed), clock.chance(settings.seed + 1)
        self.accounts: dict[str, Account] = {}
        self.jobs: dict[str, Job] = {}
        self.windows: dict[str, Window] = {}
        self.background: set[asyncio.Task[Any]] = set()
        self.calls = 0
        self.started = clock.monotonic()
        self.jobs_made = 0

    def now(self) -> datetime:
        """The time of day as this server believes it."""
        return clock.wall(self.readings.clock_offset)

    def is_away(self) -> bool:
        """Whether only the gateway in front answers just now."""
        since = clock.monotonic() - self.started
        return any(start <= since < start + length for start, length in self.settings.outages)

    async def pause(self, seconds: float) -> None:
        """Wait as long as a render would for that many seconds at scale 1."""
        await clock.pause(seconds * self.settings.render_scale)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something in the background until the server stops."""
        task = asyncio.get_running_loop().create_task(work)
        self.background.add(task)
        task.add_done_callback(self.background.discard)
        return task

    def later(self, seconds: float, action: Any, *values: Any) -> None:
        """Do something after that many real seconds; at once when there are none."""
        if seconds > 0:
            asyncio.get_running_loop().call_later(seconds, action, *values)
        else:
            action(*values)

    def refuse(self, kind: str, text: str, headers: Mapping[str, str] | None = None) -> None:
        """Raise the refusal, unless a breach has lifted it."""
        if self.conduct.refusals.get(kind, {}) is not None:
            raise Refused(kind, text, headers)

    def refusal(self, kind: str) -> Refusal:
        """The status and code of a kind of refusal in this server."""
        return self.refusals[kind]._replace(**(self.conduct.refusals.get(kind) or {}))

    # accounts

    def account_of(self, key: str) -> Account | None:
        """The account of a key; None when nobody has it."""
        found = ((name, start) for name, start in self.settings.start.items() if start.key == key)
        name, start = next(found, ("", None))
        return self._account(name, start) if start else None

    def ordinary_account(self) -> Account:
        """The first account, which callers without a key get where a breach lets them in."""
        name, start = next(iter(self.settings.start.items()))
        return self._account(name, start)

    def _account(self, name: str, start: Start) -> Account:
        if name not in self.accounts:
            account = self.accounts[name] = Account(name, start, f"user_{name}", f"{name}@example.com")
            now = self.now()
            account.minutes[f"{now:%Y-%m}"], account.minutes[f"{now:%Y-%m-%d}"] = start.used, start.used_today
            earlier_jobs(self, account)
        return self.accounts[name]

    def plan_of(self, account: Account) -> Plan:
        """The plan of the account."""
        plan = PLANS[account.start.plan]
        return replace(plan, **self.conduct.plans.get(plan.name, {}))

    def window(self, scope: str) -> Window:
        """The rate-limit window of that scope."""
        if scope not in self.windows:
            count, seconds = self.settings.rate_limit
            limit, length = self.conduct.rate_count(count), self.conduct.rate_seconds(seconds)
            self.windows[scope] = Window(limit, length, slides=self.conduct.rate_slides)
        return self.windows[scope]

    # jobs

    def new_job_id(self) -> str:
        """An id in the form of the readings."""
        number = self.ids.getrandbits(128)
        forms = {
            "hex": f"job_{number % 16**12:012x}",
            "prefixed": f"rnd-{number % 36**8:d}-eu",
            "uuid": str(uuid.UUID(int=number, version=4)),
            "number": f"{number % 10**15:015d}",
        }
        return forms[self.readings.job_ids]

    def add(
        self, account: Account, type_: str, *, job_id: str = "", created: datetime | None = None, **rest: Any
    ) -> Job:
        """A new job of the account, in the lists and readable."""
        self.jobs_made += 1
        job = Job(job_id or self.new_job_id(), type_, account, created or self.now(), self.jobs_made, **rest)
        self.jobs[job.job_id] = job
        account.jobs.append(job)
        return job

    def status_of(self, job: Job) -> str:
        """The status as shown, which the readings may choose."""
        return status_of(self.readings, job)

    def document(self, job: Job, raw: Doc | None = None) -> Doc:
        """The job as a document, breaches included; `raw` is an earlier state."""
        return document(self, job, raw)

    def change(self, job: Job, **values: Any) -> None:
        """Set attributes of the job, keep its new state, and wake whoever waits for it or for its parent."""
        for name, value in values.items():
            setattr(job, name, value)
        job.updated = self.now()
        job.last_phase = job.phase or job.last_phase
        state = raw_document(self, job)
        if not job.history or {**job.history[-1], "updatedAt": ""} != {**state, "updatedAt": ""}:
            job.history.append(state)
        job.wake()
        if job.parent and not job.parent.ended:
            self.change(job.parent)

    def end(self, job: Job, status: str, **values: Any) -> None:
        """Bring the job to a terminal status; a parent is charged and takes its unfinished children along."""
        if job.ended:
            return
        job.ended_at = clock.monotonic()
        for child in job.children:
            if not child.ended:
                child.status, child.phase, child.ended_at = "cancelled", None, job.ended_at
        self.change(job, status=status, phase=None, **values)
        if not job.parent and status in self.conduct.charged & ENDED:
            self.later(self.readings.charge_delay, job.account.charge, self.conduct.minutes(job), self.now())

    def remove(self, job: Job) -> None:
        """Delete the job and its children; it may stay in the list for a moment."""
        job.deleted_at = clock.monotonic()
        if job.work:
            job.work.cancel()
        for each in (job, *job.children):
            if "read" in self.conduct.deleted_from:
                self.jobs.pop(each.job_id, None)
        if "list" in self.conduct.deleted_from:
            self.later(self.readings.delete_lingers, self._forget, job)

    def _forget(self, job: Job) -> None:
        gone = {job, *job.children}
        job.account.jobs[:] = [each for each in job.account.jobs if each not in gone]
