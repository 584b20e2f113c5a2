"""What holds however calls, orders, faults, webhooks and time follow each other."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import orjson
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from tests.conftest import MOVIE
from tests.support.in_process import Exchange, InProcess, arming, faults

from viralsync_mock.clock import Mode
from viralsync_mock.jobs import sse
from viralsync_mock.jobs.limits import this_month
from viralsync_mock.jobs.models import TERMINAL, Job, Status
from viralsync_mock.jobs.views import Subject
from viralsync_mock.journal.entry import ANSWERED, CLIENT_DISCONNECTED, PENDING, JournalEntry
from viralsync_mock.sandbox import Sandbox
from viralsync_mock.scenarios.fault_syntax import KINDS, WEBHOOK_KINDS

T = TypeVar("T")

HOOK = "http://127.0.0.1:9/hook"
REPLIES = st.lists(st.sampled_from([200, 200, 500, None]), max_size=4)
LENGTHS = st.lists(st.sampled_from([0.5, 2, 3.5, 30]), min_size=1, max_size=4)
CHANGES: list[dict[str, Any]] = [
    *({"status": status} for status in ("failed", "done", "cancelled", "running", "waiting")),
    {"progress": 0.4},
    {"progress": 0.9, "status": "failed", "error": "UPLOAD_FAILED: told by a test"},
]
ACCOUNTS: list[dict[str, Any]] = [
    {"plan": "enterprise"},
    {"plan": "free"},
    {"plan": "pro"},
    {"minutesUsed": 12.5},
    {"minutesUsedToday": 3},
    {"minutesUsed": 199.9},
    {"revoked": True},
    {"revoked": False},
    {"revoked": False, "plan": "enterprise"},
]


@dataclass(eq=False)
class Followed:
    """A job as the laws have seen it: `is_twisted` once a fault may have had its way with its webhooks."""

    job: Job
    is_twisted: bool
    statuses: list[Status] = field(default_factory=list)
    progress: float = 0.0

    def look(self, now: datetime) -> None:
        """Hold what the job is now against what it was."""
        step = Subject(self.job).look(now)
        assert step.progress >= self.progress, "progress fell"
        assert not (self.statuses and self.statuses[-1].is_terminal) or step.status is self.statuses[-1]
        self.progress = step.progress
        self.statuses.append(step.status)


@dataclass(eq=False)
class Life:
    """One sandbox from its opening to its reset: its calls in order, its jobs, and what its ledger has to say.

    `base` is what an order said was used up of `month`; the jobs `charged_before` are in it.
    """

    sandbox: Sandbox
    calls: list[Exchange] = field(default_factory=list)
    jobs: dict[str, Followed] = field(default_factory=dict)
    base: float = 0.0
    month: datetime | None = None
    charged_before: set[str] = field(default_factory=set)

    def due(self, now: datetime) -> float:
        """Return the minutes that the ledger of this month has to show."""
        since = this_month(now)
        done = [
            each.job
            for each in self.jobs.values()
            if each.job.id not in self.charged_before and _ended(each.job, Status.DONE, now) and _end(each.job) >= since
        ]
        base = self.base if self.month == since else 0
        return round((round(base * 60_000) + sum(round(job.seconds * 1000) for job in done)) / 60_000, 6)


def _end(job: Job) -> datetime:
    ends = job.timeline.ends
    assert ends is not None
    return ends


def _ended(job: Job, status: Status, now: datetime) -> bool:
    step = Subject(job).look(now)
    return step.status is status


class Laws(RuleBasedStateMachine):
    """Clients of one key, a test that gives orders, and a receiver of webhooks."""

    mode = Mode.FROZEN

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.it = InProcess(self.mode)
        self.run(self.it.__aenter__())
        self.streams: list[Exchange] = []
        self.life = Life(self.it.sandbox)
        self.lives = [self.life]

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Let the loop run until this is done."""
        return self.runner.run(work)

    def call(
        self,
        method: str,
        target: str,
        body: object = None,
        fault: dict[str, Any] | None = None,
        more: dict[str, str] | None = None,
    ) -> Exchange:
        """Make a call of the API."""
        headers = {"x-mock-fault": orjson.dumps(fault).decode()} if fault else {}
        return self.run(self._call(method, target, body, headers | (more or {})))

    async def _call(self, method: str, target: str, body: object, headers: dict[str, str]) -> Exchange:
        exchange = self.it.begin(method, target, body, headers)
        self.life.calls.append(exchange)
        await self.it.quiet(exchange)
        return exchange

    def ended(self, exchange: Exchange) -> Exchange:
        """Let the client go when there is no answer to come."""
        if not exchange.is_over:
            exchange.leave()
        self.run(self.it.quiet())
        return exchange

    def order(self, method: str, target: str, body: object = None, *statuses: int) -> Any:
        """Give an order to the control API."""
        return self.run(self.it.control(method, target, body, *statuses))

    def job_id(self, data: st.DataObject) -> str:
        """Pick one of the jobs that there are, or were, or a child of one."""
        job_id = data.draw(st.sampled_from(sorted(self.life.jobs)), label="job")
        return data.draw(st.sampled_from([job_id, job_id, job_id, f"scene_{job_id}_001"]), label="of it")

    # What clients do.

    @rule(
        lengths=LENGTHS,
        is_hooked=st.booleans(),
        replies=REPLIES,
        fault=st.none() | st.none() | faults(*KINDS),
    )
    def submit(self, lengths: list[float], is_hooked: bool, replies: list[int | None], fault: Any) -> None:
        """Submit a movie, now and then with webhooks, and a receiver in some mood."""
        scenes = [{"id": f"s{number}", "duration": length} for number, length in enumerate(lengths)]
        body = {**MOVIE, "movie": {"scenes": scenes}} | ({"callbackUrl": HOOK} if is_hooked else {})
        self.it.receiver.replies.extend(replies)
        self.ended(self.call("POST", "/v1/render/jobs", body, fault))
        self.notice(fault)

    @rule(is_hooked=st.booleans())
    def submit_well(self, is_hooked: bool) -> None:
        """Submit a movie that nothing is wrong with."""
        self.ended(self.call("POST", "/v1/render/jobs", {**MOVIE, "callbackUrl": HOOK} if is_hooked else MOVIE))

    @rule(fault=st.none() | faults(*KINDS), data=st.data())
    @precondition(lambda self: self.life.jobs)
    def read(self, fault: Any, data: st.DataObject) -> None:
        """Read a job; what an unharmed answer says is what the job is."""
        job_id = self.job_id(data)
        exchange = self.ended(self.call("GET", f"/v1/jobs/{job_id}", None, fault))
        entry = self.life.sandbox.journal.read(len(self.life.calls))
        assert entry is not None
        if exchange.status == 200 and not entry.matched_faults and self.mode is Mode.FROZEN:
            job, number = self.life.jobs[job_id.removeprefix("scene_").removesuffix("_001")].job, job_id[:6] == "scene_"
            step = Subject(job, int(number) or None).look(self.now)
            assert (exchange.document["status"], exchange.document["progress"]) == (step.status, step.progress)

    @rule(fault=st.none() | faults(*KINDS), query=st.sampled_from(["", "?status=done", "?limit=1", "?type=render"]))
    def list_jobs(self, fault: Any, query: str) -> None:
        """List jobs."""
        self.ended(self.call("GET", f"/v1/jobs{query}", None, fault))

    @rule(fault=st.none() | faults(*KINDS), last=st.none() | st.integers(0, 9), data=st.data())
    @precondition(lambda self: self.life.jobs)
    def open_stream(self, fault: Any, last: int | None, data: st.DataObject) -> None:
        """Open a stream and keep it."""
        resumed = {} if last is None else {"last-event-id": str(last)}
        exchange = self.call("GET", f"/v1/jobs/{self.job_id(data)}/progress", None, fault, resumed)
        self.run(self.it.quiet())
        self.streams.append(exchange)

    @rule(data=st.data())
    @precondition(lambda self: self.streams)
    def read_on(self, data: st.DataObject) -> None:
        """Read what has come on a stream: whole events in order, as long as no fault has its hand in it."""
        stream = data.draw(st.sampled_from(self.streams))
        events = [chunk for chunk in stream.chunks if chunk != sse.KEEP_ALIVE]
        stream.take()
        if stream.status != 200 or "x-mock-fault" in stream.headers:
            return
        told = [sse.document(event) for event in events]
        progress = [each["progress"] for each in told]
        assert progress == sorted(progress)
        assert all(each["status"] not in TERMINAL for each in told[:-1])

    @rule(data=st.data())
    @precondition(lambda self: self.streams)
    def leave_stream(self, data: st.DataObject) -> None:
        """Leave a stream, ended or not."""
        stream = data.draw(st.sampled_from(self.streams))
        self.streams.remove(stream)
        self.ended(stream)

    @rule(fault=st.none() | st.none() | faults(*KINDS), data=st.data())
    @precondition(lambda self: self.life.jobs)
    def cancel(self, fault: Any, data: st.DataObject) -> None:
        """Cancel a job."""
        self.ended(self.call("POST", f"/v1/jobs/{self.job_id(data)}/cancel", None, fault))

    @rule(fault=st.none() | st.none() | faults(*KINDS), data=st.data())
    @precondition(lambda self: self.life.jobs)
    def delete(self, fault: Any, data: st.DataObject) -> None:
        """Delete a job."""
        self.ended(self.call("DELETE", f"/v1/jobs/{self.job_id(data)}", None, fault))

    # What a test orders.

    @rule(change=st.sampled_from(CHANGES), data=st.data())
    @precondition(lambda self: self.life.jobs)
    def change_job(self, change: dict[str, Any], data: st.DataObject) -> None:
        """Rewrite the rest of a job, where that can be."""
        self.order("PATCH", f"/jobs/{self.job_id(data)}", change, 200, 404, 409)

    @rule(seconds=st.sampled_from([0.1, 1, 5, 20, 90, 600]))
    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.order("POST", "/clock/advance", {"seconds": seconds})

    @rule(days=st.sampled_from([1, 30]))
    @precondition(lambda self: not self.streams)
    def leap(self, days: int) -> None:
        """Go to another day, or another month."""
        self.order("POST", "/clock/advance", {"seconds": days * 86_400})

    @rule()
    def advance_to_the_next(self) -> None:
        """Go to the next thing due."""
        self.order("POST", "/clock/advance", {"to": "next"}, 200, 409)

    @rule(armed=arming())
    def arm(self, armed: list[dict[str, Any]]) -> None:
        """Arm faults."""
        self.order("PUT", "/faults", {"faults": armed})

    @rule()
    def disarm(self) -> None:
        """Let all be well again."""
        self.order("DELETE", "/faults")

    @rule(change=st.sampled_from(ACCOUNTS))
    def change_account(self, change: dict[str, Any]) -> None:
        """Change who the key belongs to, or what is used up."""
        self.notice()
        now = self.now
        self.order("PATCH", "/account", change)
        if "minutesUsed" in change:
            self.life.base, self.life.month = change["minutesUsed"], this_month(now)
            done = [each.job for each in self.life.jobs.values() if _ended(each.job, Status.DONE, self.now)]
            self.life.charged_before = {job.id for job in done}

    @rule()
    def ask_for_the_ledger(self) -> None:
        """The ledger is the sum of what finished jobs cost, deleted or not."""
        self.run(self.it.quiet())
        self.notice()
        assert self.life.due(self.now) == self.order("GET", "/account")["minutesUsed"]

    @rule()
    def reset(self) -> None:
        """Begin anew; what was open ends."""
        assert self.order("POST", "/reset") == {"dropped": 1}
        self.run(self.it.quiet())
        assert all(stream.is_over for stream in self.streams)
        self.streams.clear()
        self.it.receiver.got.clear()  # the same jobs come again
        self.life = Life(self.it.sandbox)
        self.lives.append(self.life)

    # What always holds.

    @property
    def now(self) -> datetime:
        """The instant on the sandbox's clock."""
        return self.life.sandbox.clock.now()

    def notice(self, fault: Any = None) -> None:
        """Take down new jobs, and whose webhooks faults may get at."""
        armed = self.life.sandbox.armed
        is_twisted = armed is not None and any(set(each.document["fault"]) & {*WEBHOOK_KINDS} for each in armed.faults)
        for followed in self.life.jobs.values():
            followed.is_twisted |= is_twisted
        is_twisted |= bool(fault and set(fault) & {*WEBHOOK_KINDS})
        for job in self.life.sandbox.store.newest_first(self.now, None, None):
            self.life.jobs.setdefault(job.id, Followed(job, is_twisted))

    @invariant()
    def nothing_is_amiss(self) -> None:
        """No error that nobody foresaw, no answer that breaks the spec."""
        assert self.it.bugs == []

    @invariant()
    def jobs_only_go_forward(self) -> None:
        """What is terminal stays so, and progress never falls."""
        self.run(self.it.quiet())
        self.notice()
        for followed in self.life.jobs.values():
            followed.look(self.now)

    @invariant()
    def the_journal_has_every_call(self) -> None:
        """Each call is there, with consecutive numbers, and with what its client saw."""
        for life in self.lives:
            entries = [*life.sandbox.journal.oldest_first()]
            assert [*range(1, len(life.calls) + 1)] == [entry.number for entry in entries]
            for entry, exchange in zip(entries, life.calls, strict=True):
                assert (exchange.status, *_endings(exchange)) == (entry.status, entry.ending) or _agree(entry, exchange)

    @invariant()
    def webhooks_come_in_order(self) -> None:
        """Those of a job in order, the terminal one last, once, and by now, unless a fault has it otherwise."""
        log = sorted(self.life.sandbox.deliveries.newest_first(), key=lambda each: each.number)
        for followed in self.life.jobs.values():
            if followed.is_twisted or followed.job.callback_url is None:
                continue
            own = [each for each in log if each.job_id == followed.job.id]
            kinds = [each.kind for each in own]
            is_over = Subject(followed.job).look(self.now).status.is_terminal
            assert kinds == ["progress"] * (len(own) - is_over) + [followed.job.timeline.outcome] * is_over
            got = [body for body in self._bodies if body["jobId"] == followed.job.id]
            assert [each["timestamp"] for each in got] == sorted(each["timestamp"] for each in got)

    @property
    def _bodies(self) -> list[dict[str, Any]]:
        return [orjson.loads(request.body) for request, _ in self.it.receiver.got]

    def teardown(self) -> None:
        """When the mock has stopped nothing waits any more."""
        self.ask_for_the_ledger()
        self.run(self.it.close())
        assert self.run(_others()) == []
        for life in self.lives:
            clock = life.sandbox.clock
            assert (clock.alarms, clock.unsettled, clock.in_flight) == (set(), set(), 0)
        assert self.it.bugs == []
        assert all(stream.is_over for stream in self.streams)
        self.runner.close()


def _endings(exchange: Exchange) -> tuple[str, ...]:
    """Return how the journal has to say that a call ended whose client saw nothing of a fault."""
    if exchange.has_ended:
        return (ANSWERED,)
    return () if exchange.is_over else (PENDING,)


def _agree(entry: JournalEntry, exchange: Exchange) -> bool:
    """Say whether a call that broke off, or whose client left, stands so in the journal."""
    if exchange.has_left and not exchange.was_cut:
        return entry.ending in (CLIENT_DISCONNECTED, "timeout") and exchange.status == entry.status
    return exchange.was_cut is not None and entry.ending in KINDS and exchange.status == entry.status


async def _others() -> list[asyncio.Task[Any]]:
    """Return the tasks that are still there beside this one."""
    return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


class AutoLaws(Laws):
    """The same on a clock that goes by itself to whatever is waited for."""

    mode = Mode.AUTO


@pytest.mark.parametrize("machine", [Laws, AutoLaws])
def test_laws_hold_whatever_the_order_of_calls(machine: type[Laws]) -> None:
    """Lives of many sandboxes, each of some tens of steps."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            suppress_health_check=[*HealthCheck],
        ),
    )
