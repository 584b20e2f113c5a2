"""Sends the webhooks of one sandbox: a calendar of what is due, and for each job an outbox that keeps the order.

Only what is due next holds an alarm. Attempts run on real time, as the receiver's own time does; the waits between
them, and everything else, on the sandbox's clock.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from viralsync_mock.clock import Mode
from viralsync_mock.faults.webhook import Early
from viralsync_mock.jobs.models import Status, after
from viralsync_mock.jobs.steps import steps, steps_of
from viralsync_mock.jobs.views import Subject
from viralsync_mock.webhooks import payload as webhooks
from viralsync_mock.webhooks.delivery import Attempt, Delivery, Outcome
from viralsync_mock.webhooks.sender import NotSent, Outgoing

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from datetime import datetime

    from viralsync_mock.faults.webhook import Parcel
    from viralsync_mock.jobs.models import Job, Step
    from viralsync_mock.sandbox import Sandbox
    from viralsync_mock.webhooks.payload import Hook, Told
    from viralsync_mock.webhooks.sender import Send

    OnBug = Callable[[str, BaseException], None]


@dataclass(eq=False, slots=True)
class Outbox:
    """The webhooks of one job: what was told, what waits to be sent, in order, and what is told next.

    `heard` is the status that the receiver has heard last.
    """

    job: Job
    hook: Hook
    told: Told
    wake: Callable[[], None] = lambda: None
    made: int = 0
    waiting: deque[Delivery] = field(default_factory=deque)
    held: list[Delivery] = field(default_factory=list)
    is_busy: bool = False
    version: int = 0
    coming: Told | None = None
    heard: Status = Status.QUEUED

    @property
    def due(self) -> datetime | None:
        """When there is next something to do: the next webhook to make, or the first of those that wait."""
        instants = [self.waiting[0].due] if self.waiting and not self.is_busy else []
        return min([*instants, self.coming.at] if self.coming else instants, default=None)

    def look_ahead(self) -> None:
        """Work out what comes next."""
        interval = self.hook.behaviour.webhook_progress_interval_seconds
        self.coming = webhooks.following(_steps(self.job), self.told, interval)

    @property
    def is_moving(self) -> bool:
        """Whether something is still to happen: the job changes, or a webhook of a change waits.

        After the last step of a job that never ends there is always another webhook: an auto clock waits for none.
        """
        waits = bool(self.waiting) and not self.is_busy
        if self.told.step.status.is_terminal:
            return waits
        last = _steps(self.job)[-1]
        if self.told.step.number < last.number:
            return self.due is not None
        return waits and self.waiting[0].made_at <= last.at

    @property
    def is_empty(self) -> bool:
        """Whether the job has nothing more to tell."""
        return self.told.step.status.is_terminal and not (self.waiting or self.is_busy)


def _steps(job: Job) -> tuple[Step, ...]:
    """Return the steps of a job; those of a finished one are not kept for it."""
    return steps(job.timeline) if job.status.is_terminal else steps_of(job)


class Courier:
    """The sender of one sandbox's webhooks."""

    def __init__(self, sandbox: Sandbox, send: Send, output_url: str, on_bug: OnBug) -> None:
        self.log = sandbox.deliveries
        self._sandbox, self._clock, self._send = sandbox, sandbox.clock, send
        self._output_url, self._on_bug = output_url, on_bug
        self._calendar: list[tuple[datetime, int, int, Outbox]] = []
        self._outboxes: dict[str, Outbox] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_running = False
        self._alarm = sandbox.clock.alarm()

    async def take_up(self, job: Job, hook: Hook) -> None:
        """Send the webhooks of a job from now on; a fault may want the first of them sent at once."""
        outbox = Outbox(job, hook, webhooks.untold(job.created))
        if any(isinstance(fault, Early) for fault in hook.faults):
            outbox.told = webhooks.Told(_steps(job)[0], job.created)
            self._make(outbox, outbox.told)
            await asyncio.wait([self._deliver(outbox)])
        self.resume([outbox])

    def outboxes(self) -> list[Outbox]:
        """Return those that have something to tell or to send still, by the numbers of their jobs."""
        return sorted(self._outboxes.values(), key=lambda outbox: outbox.job.number)

    def resume(self, outboxes: Iterable[Outbox]) -> None:
        """Go on with these, wherever each of them is."""
        for outbox in outboxes:
            self._outboxes[outbox.job.id] = outbox
            outbox.wake = partial(self._look_ahead, outbox)
            outbox.job.watch(outbox.wake)
            self._look_ahead(outbox)
        if not self._is_running:
            self._is_running = True
            self._alarm.claim()
            self._start(self._run(), is_delivery=False)

    async def redeliver(self, delivery: Delivery) -> None:
        """Try a delivery once more, whatever became of it."""
        await asyncio.wait([self._start(self._try_again(delivery), is_delivery=True)])

    async def _try_again(self, delivery: Delivery) -> None:
        if (await self._attempt(delivery)).is_accepted:
            delivery.outcome = Outcome.DELIVERED
            self._sandbox.sightings.delivered(delivery.kind, delivery.body, None)

    def close(self) -> None:
        """Send no more; what is under way is given up."""
        for task in tuple(self._tasks):
            task.cancel()

    async def _run(self) -> None:
        """Wait for what is due next, and see to it."""
        with self._alarm as alarm:
            while not self._sandbox.is_closed:
                self._see_to_what_is_due()
                due = self._next_due()
                if self._clock.mode is Mode.AUTO and any(each.is_moving for each in self._outboxes.values()):
                    alarm.settle()
                    await self._sandbox.jump(due)
                else:
                    await alarm.until(due)

    def _see_to_what_is_due(self) -> None:
        now = self._clock.now()
        while (due := self._next_due()) is not None and due <= now:
            outbox = heapq.heappop(self._calendar)[-1]
            while outbox.coming is not None and outbox.coming.at <= now:
                self._make(outbox, outbox.coming)
                outbox.told = outbox.coming
                outbox.look_ahead()
            if outbox.waiting and not outbox.is_busy and outbox.waiting[0].due <= now:
                self._deliver(outbox)
            self._enter(outbox)

    def _next_due(self) -> datetime | None:
        """Return when something is next due, leaving out what is not so any more."""
        while self._calendar and self._calendar[0][2] != self._calendar[0][3].version:
            heapq.heappop(self._calendar)
        return self._calendar[0][0] if self._calendar else None

    def _look_ahead(self, outbox: Outbox) -> None:
        """Work out what comes next for a job, which may have another timeline now."""
        outbox.look_ahead()
        self._enter(outbox)

    def _enter(self, outbox: Outbox) -> None:
        """Put an outbox into the calendar, or away when its job has nothing more to tell."""
        outbox.version += 1
        if (due := outbox.due) is not None:
            # By number: two runs make the webhooks of one instant in the same order, whichever receiver is quicker.
            heapq.heappush(self._calendar, (due, outbox.job.number, outbox.version, outbox))
            self._alarm.ring()
        elif outbox.is_empty:
            outbox.job.unwatch(outbox.wake)
            self._outboxes.pop(outbox.job.id, None)

    def _make(self, outbox: Outbox, told: Told) -> None:
        """Make a webhook and put it where it waits; a fault may lose it, copy it, or hold it back."""
        hook, armed, number = outbox.hook, self._sandbox.armed, outbox.made
        outbox.made += 1
        parcel = webhooks.parcel(number, Subject(outbox.job), told, hook, self._output_url)
        faults = armed.twists(self._clock.now(), self._sandbox.draw) if armed else ()
        parcel = webhooks.twisted(parcel, (*hook.faults, *faults), hook)
        first = self._delivery(outbox, parcel, told.at, None)
        copies = [self._delivery(outbox, parcel, told.at, first.number) for _ in range(parcel.copies)]
        held, outbox.held = outbox.held, []
        if parcel.is_lost:
            for each in (first, *copies):
                each.outcome = Outcome.DROPPED
                self._tell(each)
        elif parcel.is_held:
            outbox.held += (first, *copies)
        else:
            outbox.waiting.extend((first, *copies))
        outbox.waiting.extend(held)

    def _delivery(self, outbox: Outbox, parcel: Parcel, at: datetime, copy_of: int | None) -> Delivery:
        delivery = Delivery(
            number=self.log.take_number(),
            job_id=outbox.job.id,
            kind=parcel.kind,
            hook=outbox.hook,
            headers=(("content-type", "application/json"), (webhooks.SIGNATURE_HEADER, parcel.signature)),
            body=parcel.body,
            made_at=at,
            due=after(at, parcel.wait),
            lost_answers=parcel.lost_answers,
            copy_of=copy_of,
        )
        self.log.add(delivery)
        return delivery

    def _deliver(self, outbox: Outbox) -> asyncio.Task[None]:
        """Begin to send what waits in an outbox."""
        outbox.is_busy = True
        return self._start(self._drain(outbox), is_delivery=True)

    async def _drain(self, outbox: Outbox) -> None:
        """Send what waits and is due, one after the other."""
        while outbox.waiting and outbox.waiting[0].due <= self._clock.now():
            delivery = outbox.waiting[0]
            if not delivery.is_over:  # one that was redelivered meanwhile may be
                delivery.judge(await self._attempt(delivery), self._clock.now())
                self._tell(delivery)
            if delivery.outcome is Outcome.DELIVERED:
                outbox.heard = self._sandbox.sightings.delivered(delivery.kind, delivery.body, outbox.heard)
            if delivery.is_over:
                outbox.waiting.popleft()
        outbox.is_busy = False
        self._enter(outbox)

    async def _attempt(self, delivery: Delivery) -> Attempt:
        """Send a webhook once, and take down what came of it."""
        at, switches = self._clock.now(), delivery.hook.behaviour
        outgoing = Outgoing(
            delivery.hook.url,
            delivery.body,
            delivery.headers,
            timeout=switches.webhook_timeout_seconds,
            follows_redirects=switches.webhook_redirects == "followed",
        )
        try:
            status, headers, body = await self._send(outgoing)
            attempt = Attempt(at, self._clock.now(), status, headers, body)
        except NotSent as problem:
            attempt = Attempt(at, self._clock.now(), problem=problem.kind, reason=problem.reason)
        if attempt.is_accepted and delivery.lost_answers:
            delivery.lost_answers -= 1
            attempt = attempt._replace(problem="lost_answer", reason="a fault lost the receiver's answer on its way")
        delivery.attempts.append(attempt)
        return attempt

    def _tell(self, delivery: Delivery) -> None:
        self._sandbox.note(
            "delivery",
            jobId=delivery.job_id,
            deliveryId=delivery.id,
            webhook=delivery.kind,
            outcome=delivery.outcome,
            attempts=len(delivery.attempts),
        )

    def _start(self, work: Coroutine[Any, Any, None], *, is_delivery: bool) -> asyncio.Task[None]:
        """Run a task; an `advance` of the clock waits for one that delivers."""
        if is_delivery:
            self._clock.begin()
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, is_delivery=is_delivery))
        return task

    def _ended(self, task: asyncio.Task[None], *, is_delivery: bool) -> None:
        self._tasks.discard(task)
        if is_delivery:
            self._clock.end()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_bug("webhooks", error)
