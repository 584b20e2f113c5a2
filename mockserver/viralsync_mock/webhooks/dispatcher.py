"""Sends the webhooks of one sandbox: a calendar of what is due, and for each job an outbox that keeps the order.

Only what is due next has a waiter on the clock. Attempts run in real time, as their receivers do, the waits
between them on the sandbox's clock. In mode `jump` the time-out of an attempt counts virtual seconds too.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from viralsync_mock.clock import Mode
from viralsync_mock.errors import StateError
from viralsync_mock.faults.webhook import BeforeResponse
from viralsync_mock.jobs.models import Status, add_seconds
from viralsync_mock.jobs.steps import steps
from viralsync_mock.jobs.views import Subject
from viralsync_mock.webhooks import payload as webhooks
from viralsync_mock.webhooks.delivery import Attempt, Delivery, DeliveryOutcome
from viralsync_mock.webhooks.sender import DeliveryFailed, WebhookRequest, timed_out

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable
    from datetime import datetime

    from viralsync_mock.faults.webhook import PreparedWebhook
    from viralsync_mock.jobs.models import Job
    from viralsync_mock.sandbox import Sandbox
    from viralsync_mock.webhooks.payload import SentStep, WebhookSettings
    from viralsync_mock.webhooks.sender import Reply, WebhookSender

    OnBug = Callable[[str, BaseException], None]


@dataclass(eq=False, slots=True)
class JobOutbox:
    """The webhooks of one job: the last one created, those pending, in order, and the next one.

    `held` are pending behind the next one, by a fault; `last_accepted_status` is that of the last accepted webhook.
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
        """When the next webhook is to be created or the first pending one to be sent, whichever is earlier."""
        instants = [self.pending[0].due] if self.pending and not self.is_busy else []
        return min([*instants, self.next_event.at] if self.next_event else instants, default=None)

    def compute_next_event(self) -> None:
        """Find the next webhook to create."""
        interval = self.hook.behaviour.webhook_progress_interval_seconds
        self.next_event = webhooks.next_webhook(steps(self.job.timeline), self.last_created, interval)

    @property
    def has_work(self) -> bool:
        """Whether the job still changes, or a webhook of a change is pending.

        A job that never ends has webhooks of progress for ever: clocks that move by themselves do not go on for them.
        """
        has_pending = bool(self.pending) and not self.is_busy
        if self.last_created.step.status.is_terminal:
            return has_pending
        last = steps(self.job.timeline)[-1]
        if self.last_created.step.number < last.number:
            return self.due is not None
        return has_pending and self.pending[0].made_at <= last.at

    @property
    def is_empty(self) -> bool:
        """Whether there are no more webhooks, now or later."""
        return self.last_created.step.status.is_terminal and not (self.pending or self.is_busy)


REPEAT_HEADER = ("x-mock-repeat", "interrupted")
"""Says that the webhook may have arrived before: the mock ended during the attempt."""


class WebhookDispatcher:
    """Sends the webhooks of one sandbox."""

    def __init__(
        self,
        sandbox: Sandbox,
        send: WebhookSender,
        output_url: str,
        on_bug: OnBug,
        on_end: Callable[[Delivery], None] = lambda _: None,
    ) -> None:
        self.log = sandbox.deliveries
        self._sandbox, self._clock, self._send = sandbox, sandbox.clock, send
        self._output_url, self._on_bug, self._on_end = output_url, on_bug, on_end
        self._calendar: list[tuple[datetime, int, int, JobOutbox]] = []
        self._outboxes: dict[str, JobOutbox] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_running = False
        self._alarm = sandbox.clock.alarm()

    async def add_job(self, job: Job, hook: WebhookSettings) -> None:
        """Send the webhooks of a job from now on, the first at once if a fault asks for that."""
        outbox = JobOutbox(job, hook, webhooks.before_first(job.created))
        if any(isinstance(fault, BeforeResponse) for fault in hook.faults):
            outbox.last_created = webhooks.SentStep(steps(job.timeline)[0], job.created)
            self._create_delivery(outbox, outbox.last_created)
            with self._clock.waiting_call():
                await asyncio.wait([self._deliver(outbox)])
        self.resume([outbox])

    def outboxes(self) -> list[JobOutbox]:
        """Return the outboxes that are not empty, by the numbers of their jobs."""
        return sorted(self._outboxes.values(), key=lambda outbox: outbox.job.number)

    def resume(self, outboxes: Iterable[JobOutbox]) -> None:
        """Go on with these outboxes, at whatever point each of them is."""
        for outbox in outboxes:
            self._outboxes[outbox.job.id] = outbox
            outbox.wake = partial(self._reschedule, outbox)
            outbox.job.subscribe(outbox.wake)
            self._reschedule(outbox)
        if not self._is_running:
            self._is_running = True
            self._alarm.hold()
            self._start(self._run(), is_delivery=False)

    def outbox_of(self, job: Job) -> JobOutbox | None:
        """Return the outbox of a job, unless it is empty."""
        return self._outboxes.get(job.id)

    async def redeliver(self, delivery: Delivery) -> None:
        """Make one more attempt at a delivery, whatever its outcome."""
        with self._clock.waiting_call():
            await asyncio.wait([self._start(self._try_again(delivery), is_delivery=True)])

    async def _try_again(self, delivery: Delivery) -> None:
        if (await self._attempt(delivery)).is_accepted:
            delivery.outcome = DeliveryOutcome.DELIVERED
            self._sandbox.note("delivery", delivery)
            self._sandbox.sightings.record_delivery(delivery.kind, delivery.body, None)

    def wake(self) -> None:
        """Look again at what is due."""
        self._alarm.wake()

    def close(self) -> None:
        """Stop sending, and cancel what is under way."""
        for task in tuple(self._tasks):
            task.cancel()

    async def _run(self) -> None:
        """Wait for what is due next, and do it."""
        with self._alarm as alarm:
            while not self._sandbox.is_closed:
                self._process_due()
                due = self._next_due()
                has_work = any(each.has_work for each in self._outboxes.values())
                # an `advance` under way goes from waiter to waiter: it has to see this one
                if self._clock.mode is Mode.AUTO and has_work and not self._sandbox.listeners:
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
        """Return when something is next due, and drop outdated entries of the calendar."""
        while self._calendar and self._calendar[0][2] != self._calendar[0][3].version:
            heapq.heappop(self._calendar)
        return self._calendar[0][0] if self._calendar else None

    def _reschedule(self, outbox: JobOutbox) -> None:
        """Find the next webhook of a job, which may have another timeline now, and schedule it."""
        outbox.compute_next_event()
        self._schedule(outbox)

    def _schedule(self, outbox: JobOutbox) -> None:
        """Put an outbox into the calendar, or remove it when it is empty."""
        outbox.version += 1
        if (due := outbox.due) is not None:
            # By number: every run creates the webhooks of one instant in the same order, whichever receiver is faster.
            heapq.heappush(self._calendar, (due, outbox.job.number, outbox.version, outbox))
            self._alarm.wake()
        elif outbox.is_empty:
            outbox.job.unsubscribe(outbox.wake)
            self._outboxes.pop(outbox.job.id, None)
        if self._sandbox.recorder is not None:
            self._sandbox.recorder.outbox_changed(outbox.job)

    def _create_delivery(self, outbox: JobOutbox, event: SentStep) -> None:
        """Create a webhook and append it to the outbox; a fault may drop it, copy it, or hold it back."""
        hook, armed, number = outbox.hook, self._sandbox.armed, outbox.made
        outbox.made += 1
        webhook = webhooks.prepare(number, Subject(outbox.job), event, hook, self._output_url)
        faults = armed.match_webhook(self._clock.now(), self._sandbox.draw) if armed else ()
        if faults:
            self._sandbox.note("faults")
        webhook = webhooks.apply_faults(webhook, (*hook.faults, *faults), hook)
        first = self._delivery(outbox, webhook, event.at, None)
        copies = [self._delivery(outbox, webhook, event.at, first.number) for _ in range(webhook.copies)]
        held, outbox.held = outbox.held, []
        if webhook.is_dropped:
            for each in (first, *copies):
                each.outcome = DeliveryOutcome.DROPPED
                self._record(each)
        elif webhook.is_held:
            outbox.held += (first, *copies)
        else:
            outbox.pending.extend((first, *copies))
        outbox.pending.extend(held)

    def _delivery(self, outbox: JobOutbox, webhook: PreparedWebhook, at: datetime, copy_of: int | None) -> Delivery:
        delivery = Delivery(
            number=self.log.take_number(),
            job_id=outbox.job.id,
            kind=webhook.kind,
            hook=outbox.hook,
            headers=(
                ("content-type", "application/json"),
                (webhooks.SIGNATURE_HEADER, webhook.signature),
                *outbox.hook.trace,
            ),
            body=webhook.body,
            made_at=at,
            due=add_seconds(at, webhook.wait),
            lost_responses=webhook.lost_responses,
            copy_of=copy_of,
        )
        self.log.add(delivery)
        self._sandbox.note("delivery", delivery)
        return delivery

    def _deliver(self, outbox: JobOutbox) -> asyncio.Task[None]:
        """Start sending what is pending in an outbox."""
        outbox.is_busy = True
        return self._start(self._send_pending(outbox), is_delivery=True)

    async def _send_pending(self, outbox: JobOutbox) -> None:
        """Send what is pending and due, one after the other."""
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
        """Send a webhook once, and return what came of it."""
        at, switches = self._clock.now(), delivery.hook.behaviour
        headers = (*delivery.headers, REPEAT_HEADER) if delivery.was_interrupted else delivery.headers
        delivery.began = at
        await self._commit(delivery)
        began, sleeps = self._clock.real.monotonic(), self._clock.sleeps
        request = WebhookRequest(
            delivery.hook.url,
            delivery.body,
            headers,
            timeout=switches.webhook_timeout_seconds,
            follows_redirects=switches.webhook_redirects == "followed",
            secret=delivery.hook.secret,
        )
        try:
            status, headers, body = await self._send_in_time(request)
            attempt = Attempt(at, self._clock.now(), status, headers, body)
        except DeliveryFailed as failure:
            attempt = Attempt(at, self._clock.now(), problem=failure.kind, reason=failure.reason)
        if attempt.is_accepted and delivery.lost_responses:
            delivery.lost_responses -= 1
            attempt = attempt._replace(problem="lost_response", reason="a fault lost the receiver's response")
        took = self._clock.real.monotonic() - began
        if self._clock.mode is Mode.JUMP and self._clock.sleeps != sleeps:
            took = (attempt.ended_at - at).total_seconds()
        attempt = attempt._replace(seconds=took)
        delivery.attempts.append(attempt)
        delivery.began = None
        self._sandbox.note("delivery", delivery)
        return attempt

    async def _commit(self, delivery: Delivery) -> None:
        """Keep an attempt before it is made: after a kill it is made again, and says so."""
        if self._sandbox.recorder is not None:
            self._sandbox.recorder.note("delivery", delivery)
            with suppress(StateError):  # which the keeper reports: sent twice is better than never
                await self._sandbox.recorder.commit()

    async def _send_in_time(self, request: WebhookRequest) -> Reply:
        """Send a webhook; on a clock in mode `jump` the time-out is also virtual, for a receiver that may sleep.

        Without a sleep that began meanwhile, the receiver only works while the clock goes on.
        """
        if self._clock.mode is not Mode.JUMP:
            return await self._send(request)
        sending, due = asyncio.ensure_future(self._send(request)), add_seconds(self._clock.now(), request.timeout)
        sleeps = self._clock.sleeps
        try:
            with self._clock.alarm() as alarm:
                sending.add_done_callback(lambda _: alarm.wake())
                while not sending.done() and (self._clock.now() < due or self._clock.sleeps == sleeps):
                    await alarm.until(due if self._clock.now() < due else None, passive=True)
            if not sending.done():
                raise timed_out(request)
            return sending.result()
        finally:
            sending.cancel()

    def _record(self, delivery: Delivery) -> None:
        self._sandbox.note("delivery", delivery)
        if delivery.is_final:
            self._on_end(delivery)
        self._sandbox.record_effect(
            "delivery",
            jobId=delivery.job_id,
            deliveryId=delivery.id,
            webhook=delivery.kind,
            outcome=delivery.outcome,
            attempts=len(delivery.attempts),
        )

    def _start(self, work: Coroutine[Any, Any, None], *, is_delivery: bool) -> asyncio.Task[None]:
        """Run a task; the clock waits for one that delivers."""
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
