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
from viralsync_mock.faults.webhook import BeforeResponse
from viralsync_mock.jobs.models import Status, add_seconds
from viralsync_mock.jobs.steps import steps, steps_of
from viralsync_mock.jobs.views import Subject
from viralsync_mock.webhooks import payload as webhooks
from viralsync_mock.webhooks.delivery import Attempt, Delivery, DeliveryOutcome
from viralsync_mock.webhooks.sender import DeliveryFailed, WebhookRequest, timed_out

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from datetime import datetime

    from viralsync_mock.faults.webhook import PreparedWebhook
    from viralsync_mock.jobs.models import Job, Step
    from viralsync_mock.sandbox import Sandbox
    from viralsync_mock.webhooks.payload import SentStep, WebhookSettings
    from viralsync_mock.webhooks.sender import Reply, WebhookSender

    OnBug = Callable[[str, BaseException], None]


@dataclass(eq=False, slots=True)
class JobOutbox:
    """The webhooks of one job: what was told, what waits to be sent, in order, and what is told next.

    `heard` is the status that the receiver has heard last.
    """

    job: Job
    hook: WebhookSettings
    last_created: SentStep
    wake: Callable[[], None] = lambda: None
    made: int = 0
    pending: deque[Delivery] = field(default_factory=deque)
    held: list[Delivery] = field(default_factory=list)
    is_busy: bool = False
    version: int = 0
    next_event: SentStep | None = None
    last_accepted_status: Status = Status.QUEUED

    @property
    def due(self) -> datetime | None:
        """When there is next something to do: the next webhook to make, or the first of those that wait."""
        instants = [self.pending[0].due] if self.pending and not self.is_busy else []
        return min([*instants, self.next_event.at] if self.next_event else instants, default=None)

    def compute_next_event(self) -> None:
        """Work out what comes next."""
        interval = self.hook.behaviour.webhook_progress_interval_seconds
        self.next_event = webhooks.next_webhook(_steps(self.job), self.last_created, interval)

    @property
    def has_work(self) -> bool:
        """Whether something is still to happen: the job changes, or a webhook of a change waits.

        After the last step of a job that never ends there is always another webhook: an auto clock waits for none.
        """
        waits = bool(self.pending) and not self.is_busy
        if self.last_created.step.status.is_terminal:
            return waits
        last = _steps(self.job)[-1]
        if self.last_created.step.number < last.number:
            return self.due is not None
        return waits and self.pending[0].made_at <= last.at

    @property
    def is_empty(self) -> bool:
        """Whether the job has nothing more to tell."""
        return self.last_created.step.status.is_terminal and not (self.pending or self.is_busy)


def _steps(job: Job) -> tuple[Step, ...]:
    """Return the steps of a job; those of a finished one are not kept for it."""
    return steps(job.timeline) if job.status.is_terminal else steps_of(job)


class WebhookDispatcher:
    """The sender of one sandbox's webhooks."""

    def __init__(self, sandbox: Sandbox, send: WebhookSender, output_url: str, on_bug: OnBug) -> None:
        self.log = sandbox.deliveries
        self._sandbox, self._clock, self._send = sandbox, sandbox.clock, send
        self._output_url, self._on_bug = output_url, on_bug
        self._calendar: list[tuple[datetime, int, int, JobOutbox]] = []
        self._outboxes: dict[str, JobOutbox] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_running = False
        self._alarm = sandbox.clock.alarm()

    async def add_job(self, job: Job, hook: WebhookSettings) -> None:
        """Send the webhooks of a job from now on; a fault may want the first of them sent at once."""
        outbox = JobOutbox(job, hook, webhooks.before_first(job.created))
        if any(isinstance(fault, BeforeResponse) for fault in hook.faults):
            outbox.last_created = webhooks.SentStep(_steps(job)[0], job.created)
            self._create_delivery(outbox, outbox.last_created)
            with self._clock.waiting_call():
                await asyncio.wait([self._deliver(outbox)])
        self.resume([outbox])

    def outboxes(self) -> list[JobOutbox]:
        """Return those that have something to tell or to send still, by the numbers of their jobs."""
        return sorted(self._outboxes.values(), key=lambda outbox: outbox.job.number)

    def resume(self, outboxes: Iterable[JobOutbox]) -> None:
        """Go on with these, wherever each of them is."""
        for outbox in outboxes:
            self._outboxes[outbox.job.id] = outbox
            outbox.wake = partial(self._look_ahead, outbox)
            outbox.job.subscribe(outbox.wake)
            self._look_ahead(outbox)
        if not self._is_running:
            self._is_running = True
            self._alarm.hold()
            self._start(self._run(), is_delivery=False)

    async def redeliver(self, delivery: Delivery) -> None:
        """Try a delivery once more, whatever became of it."""
        with self._clock.waiting_call():
            await asyncio.wait([self._start(self._try_again(delivery), is_delivery=True)])

    async def _try_again(self, delivery: Delivery) -> None:
        if (await self._attempt(delivery)).is_accepted:
            delivery.outcome = DeliveryOutcome.DELIVERED
            self._sandbox.sightings.record_delivery(delivery.kind, delivery.body, None)

    def close(self) -> None:
        """Send no more; what is under way is given up."""
        for task in tuple(self._tasks):
            task.cancel()

    async def _run(self) -> None:
        """Wait for what is due next, and see to it."""
        with self._alarm as alarm:
            while not self._sandbox.is_closed:
                self._process_due()
                due = self._next_due()
                has_work = any(each.has_work for each in self._outboxes.values())
                if self._clock.mode is Mode.AUTO and has_work:
                    alarm.release()
                    await self._sandbox.auto_advance(due)
                else:
                    await alarm.until(due, passive=not has_work)

    def _process_due(self) -> None:
        now = self._clock.now()
        while (due := self._next_due()) is not None and due <= now:
            outbox = heapq.heappop(self._calendar)[-1]
            while outbox.next_event is not None and outbox.next_event.at <= now:
                self._create_delivery(outbox, outbox.next_event)
                outbox.last_created = outbox.next_event
                outbox.compute_next_event()
            if outbox.pending and not outbox.is_busy and outbox.pending[0].due <= now:
                self._deliver(outbox)
            self._schedule(outbox)

    def _next_due(self) -> datetime | None:
        """Return when something is next due, leaving out what is not so any more."""
        while self._calendar and self._calendar[0][2] != self._calendar[0][3].version:
            heapq.heappop(self._calendar)
        return self._calendar[0][0] if self._calendar else None

    def _look_ahead(self, outbox: JobOutbox) -> None:
        """Work out what comes next for a job, which may have another timeline now."""
        outbox.compute_next_event()
        self._schedule(outbox)

    def _schedule(self, outbox: JobOutbox) -> None:
        """Put an outbox into the calendar, or away when its job has nothing more to tell."""
        outbox.version += 1
        if (due := outbox.due) is not None:
            # By number: two runs make the webhooks of one instant in the same order, whichever receiver is quicker.
            heapq.heappush(self._calendar, (due, outbox.job.number, outbox.version, outbox))
            self._alarm.wake()
        elif outbox.is_empty:
            outbox.job.unsubscribe(outbox.wake)
            self._outboxes.pop(outbox.job.id, None)

    def _create_delivery(self, outbox: JobOutbox, told: SentStep) -> None:
        """Make a webhook and put it where it waits; a fault may lose it, copy it, or hold it back."""
        hook, armed, number = outbox.hook, self._sandbox.armed, outbox.made
        outbox.made += 1
        parcel = webhooks.prepare(number, Subject(outbox.job), told, hook, self._output_url)
        faults = armed.match_webhook(self._clock.now(), self._sandbox.draw) if armed else ()
        parcel = webhooks.apply_faults(parcel, (*hook.faults, *faults), hook)
        first = self._delivery(outbox, parcel, told.at, None)
        copies = [self._delivery(outbox, parcel, told.at, first.number) for _ in range(parcel.copies)]
        held, outbox.held = outbox.held, []
        if parcel.is_dropped:
            for each in (first, *copies):
                each.outcome = DeliveryOutcome.DROPPED
                self._record(each)
        elif parcel.is_held:
            outbox.held += (first, *copies)
        else:
            outbox.pending.extend((first, *copies))
        outbox.pending.extend(held)

    def _delivery(self, outbox: JobOutbox, parcel: PreparedWebhook, at: datetime, copy_of: int | None) -> Delivery:
        delivery = Delivery(
            number=self.log.take_number(),
            job_id=outbox.job.id,
            kind=parcel.kind,
            hook=outbox.hook,
            headers=(("content-type", "application/json"), (webhooks.SIGNATURE_HEADER, parcel.signature)),
            body=parcel.body,
            made_at=at,
            due=add_seconds(at, parcel.wait),
            lost_responses=parcel.lost_responses,
            copy_of=copy_of,
        )
        self.log.add(delivery)
        return delivery

    def _deliver(self, outbox: JobOutbox) -> asyncio.Task[None]:
        """Begin to send what waits in an outbox."""
        outbox.is_busy = True
        return self._start(self._send_pending(outbox), is_delivery=True)

    async def _send_pending(self, outbox: JobOutbox) -> None:
        """Send what waits and is due, one after the other."""
        while outbox.pending and outbox.pending[0].due <= self._clock.now():
            delivery = outbox.pending[0]
            if not delivery.is_final:  # one that was redelivered meanwhile may be
                delivery.record_attempt(await self._attempt(delivery), self._clock.now())
                self._record(delivery)
            if delivery.outcome is DeliveryOutcome.DELIVERED:
                outbox.last_accepted_status = self._sandbox.sightings.record_delivery(
                    delivery.kind, delivery.body, outbox.last_accepted_status
                )
            if delivery.is_final:
                outbox.pending.popleft()
        outbox.is_busy = False
        self._schedule(outbox)

    async def _attempt(self, delivery: Delivery) -> Attempt:
        """Send a webhook once, and take down what came of it."""
        at, switches = self._clock.now(), delivery.hook.behaviour
        outgoing = WebhookRequest(
            delivery.hook.url,
            delivery.body,
            delivery.headers,
            timeout=switches.webhook_timeout_seconds,
            follows_redirects=switches.webhook_redirects == "followed",
        )
        try:
            status, headers, body = await self._send_in_time(outgoing)
            attempt = Attempt(at, self._clock.now(), status, headers, body)
        except DeliveryFailed as problem:
            attempt = Attempt(at, self._clock.now(), problem=problem.kind, reason=problem.reason)
        if attempt.is_accepted and delivery.lost_responses:
            delivery.lost_responses -= 1
            attempt = attempt._replace(problem="lost_response", reason="a fault lost the receiver's answer on its way")
        delivery.attempts.append(attempt)
        return attempt

    async def _send_in_time(self, request: WebhookRequest) -> Reply:
        """Send a webhook; on a clock in mode `jump` the time-out is also one of virtual time."""
        if self._clock.mode is not Mode.JUMP:
            return await self._send(request)
        sending, due = asyncio.ensure_future(self._send(request)), add_seconds(self._clock.now(), request.timeout)
        try:
            with self._clock.alarm() as alarm:
                sending.add_done_callback(lambda _: alarm.wake())
                while not sending.done() and self._clock.now() < due:
                    await alarm.until(due, passive=True)
            if not sending.done():
                raise timed_out(request)
            return sending.result()
        finally:
            sending.cancel()

    def _record(self, delivery: Delivery) -> None:
        self._sandbox.record_effect(
            "delivery",
            jobId=delivery.job_id,
            deliveryId=delivery.id,
            webhook=delivery.kind,
            outcome=delivery.outcome,
            attempts=len(delivery.attempts),
        )

    def _start(self, work: Coroutine[Any, Any, None], *, is_delivery: bool) -> asyncio.Task[None]:
        """Run a task; an `advance` of the clock waits for one that delivers."""
        task = asyncio.get_running_loop().create_task(work)
        if is_delivery:
            self._clock.begin_delivery(task)
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, is_delivery=is_delivery))
        return task

    def _ended(self, task: asyncio.Task[None], *, is_delivery: bool) -> None:
        self._tasks.discard(task)
        if is_delivery:
            self._clock.end_delivery(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_bug("webhooks", error)
