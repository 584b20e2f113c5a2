"""Webhooks in a snapshot: the log, and the outbox of each job that still has webhooks to send."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from viralsync_mock.jobs.steps import steps
from viralsync_mock.redaction import masked_bytes
from viralsync_mock.snapshots.references import check_ascending, decode, lookup, require
from viralsync_mock.snapshots.schema import (
    AttemptPart,
    DeliveryPart,
    HookPart,
    InboxPart,
    OutboxPart,
    ReceivedPart,
    WebhooksPart,
    masked_part,
    publishable,
)
from viralsync_mock.validation.schema import invalid
from viralsync_mock.webhooks.delivery import Attempt, Delivery, DeliveryLog
from viralsync_mock.webhooks.dispatcher import JobOutbox, WebhookDispatcher
from viralsync_mock.webhooks.inbox import Inbox, Received
from viralsync_mock.webhooks.payload import SentStep, before_first
from viralsync_mock.webhooks.sender import WebhookRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from viralsync_mock.jobs.models import Job
    from viralsync_mock.sandbox import Sandbox
    from viralsync_mock.snapshots.references import ReferenceReader, ReferenceWriter


SHARED_FIELDS = ("number", "job_id", "kind", "made_at", "due", "lost_responses", "copy_of", "outcome")
"""The fields that a delivery and its part have in common."""


def outboxes_of(sandbox: Sandbox) -> list[JobOutbox]:
    """Return the outboxes of a sandbox that are not empty."""
    return sandbox.dispatcher.outboxes() if isinstance(sandbox.dispatcher, WebhookDispatcher) else []


def write_webhooks(sandbox: Sandbox, references: ReferenceWriter) -> WebhooksPart:
    """Return the webhooks of a sandbox; one that is under way counts as not yet sent."""
    outboxes, log = outboxes_of(sandbox), sandbox.deliveries
    logged = {each.number: each for each in log.newest_first()}
    every = {each.number: each for outbox in outboxes for each in (*outbox.pending, *outbox.held)} | logged
    deliveries = [
        publishable(delivery_part(every[number], references, number in logged, sandbox.key), sandbox.key)
        for number in sorted(every)
    ]
    parts = [outbox_part(outbox, references) for outbox in outboxes]
    hooks = [
        decode(publishable(masked_part(each, sandbox.key), sandbox.key), HookPart) for each in references.hooks.parts
    ]
    return WebhooksPart(made=log.made, hooks=hooks, deliveries=deliveries, outboxes=parts)


def outbox_part(outbox: JobOutbox, references: ReferenceWriter) -> OutboxPart:
    return OutboxPart(
        job=outbox.job.number,
        hook=references.hook(outbox.hook),
        last_step=outbox.last_created.step.number,
        last_at=outbox.last_created.at,
        made=outbox.made,
        waiting=[each.number for each in outbox.pending],
        held=[each.number for each in outbox.held],
    )


def delivery_part(delivery: Delivery, references: ReferenceWriter, is_logged: bool, key: str) -> msgspec.Raw:
    part = DeliveryPart(
        **{name: getattr(delivery, name) for name in SHARED_FIELDS},
        hook=references.hook(delivery.hook),
        headers=list(delivery.headers),
        body=delivery.body.decode(),
        attempts=[_attempt_part(each, key) for each in delivery.attempts],
        is_logged=is_logged,
    )
    return masked_part(part, key)


def _attempt_part(attempt: Attempt, key: str) -> AttemptPart:
    values = {**attempt._asdict(), "headers": list(attempt.headers), "body": masked_bytes(attempt.body, key)}
    del values["seconds"]  # real time: two equal runs write equal snapshots
    return AttemptPart(**values)


def received_part(received: Received, key: str) -> msgspec.Raw:
    request = received.request
    headers, body = list(request.headers), masked_bytes(request.body, key)
    part = ReceivedPart(received.number, received.at, received.status, request.url, headers, body, request.secret)
    return masked_part(part, key)


def read_inbox(part: InboxPart, received: Iterable[bytes]) -> Inbox:
    """Return the built-in receiver with what it got, in order; raises ValidationFailed."""
    inbox = Inbox(part.status, part.times, total=part.total)
    for each in (decode(raw, ReceivedPart) for raw in received):
        request = WebhookRequest(each.url, each.body, tuple(each.headers), 0, secret=each.secret)
        inbox.received.append(Received(each.number, each.at, request, each.status))
    return inbox


class WebhookReader:
    """Reads the webhooks of one snapshot; raises ValidationFailed."""

    def __init__(self, part: WebhooksPart, known: ReferenceReader, now: datetime) -> None:
        self._part, self._known, self._now = part, known, now
        self._deliveries: dict[int, Delivery] = {}
        self._logged: list[Delivery] = []
        known.read_hooks(part)
        for index, raw in enumerate(part.deliveries):
            self._read(raw, f"$.webhooks.deliveries[{index}]")

    def log(self, size: int) -> DeliveryLog:
        """Return the log, at most `size` deliveries."""
        log = DeliveryLog(size)
        log.made = self._part.made
        for each in self._logged:
            log.add(each)
        return log

    def outboxes(self, jobs: Mapping[int, Job]) -> list[JobOutbox]:
        """Return the outboxes of these jobs."""
        found = [self._outbox(each, jobs, f"$.webhooks.outboxes[{i}]") for i, each in enumerate(self._part.outboxes)]
        numbers = [each.job.number for each in found]
        require(numbers == sorted(set(numbers)), "$.webhooks.outboxes", "one for a job, by their numbers", numbers)
        sent = [each.number for outbox in found for each in (*outbox.pending, *outbox.held)]
        require(len(sent) == len(set(sent)), "$.webhooks.outboxes", "each delivery once", sent)
        return found

    def _read(self, raw: msgspec.Raw, place: str) -> None:
        part, before = decode(raw, DeliveryPart, place), max(self._deliveries, default=0)
        if not before < part.number <= self._part.made:
            invalid(f"{place}.number", f"expected more than {before}, at most {self._part.made}, got {part.number}")
        require(part.copy_of is None or part.copy_of < part.number, f"{place}.copyOf", "an earlier one", part.copy_of)
        check_ascending([part.made_at], f"{place}.madeAt", self._now)
        instants = [instant for each in part.attempts for instant in (each.at, each.ended_at)]
        check_ascending(instants, f"{place}.attempts", self._now)
        delivery = Delivery(
            **{name: getattr(part, name) for name in SHARED_FIELDS},
            hook=lookup(self._known.hooks, part.hook, f"{place}.hook"),
            headers=tuple(part.headers),
            body=_body(part, place),
            attempts=[_attempt(each) for each in part.attempts],
        )
        self._deliveries[part.number] = delivery
        if part.is_logged:
            self._logged.append(delivery)

    def _outbox(self, part: OutboxPart, jobs: Mapping[int, Job], place: str) -> JobOutbox:
        if (job := jobs.get(part.job)) is None:
            invalid(f"{place}.job", f"expected the number of a job of the snapshot, got {part.job}")
        hook = lookup(self._known.hooks, part.hook, f"{place}.hook")
        require(job.callback_url == hook.url, f"{place}.hook", f"the callbackUrl of {job.id}", hook.url)
        waiting = self._of(job, part.waiting, f"{place}.waiting")
        held = self._of(job, part.held, f"{place}.held")
        last = self._last_created(part, job, place)
        return JobOutbox(job, hook, last, made=part.made, pending=deque(waiting), held=held)

    def _of(self, job: Job, numbers: Sequence[int], place: str) -> list[Delivery]:
        found = [self._deliveries.get(number) for number in numbers]
        for index, each in enumerate(found):
            if each is None or each.job_id != job.id:
                invalid(f"{place}[{index}]", f"expected a delivery of {job.id}, got {numbers[index]}")
        return [each for each in found if each is not None]

    def _last_created(self, part: OutboxPart, job: Job, place: str) -> SentStep:
        """Return the last webhook that was created: the step of that number in the job's timeline."""
        check_ascending([part.last_at], f"{place}.lastAt", self._now)
        if part.last_step < 0:
            require(
                part.last_at == job.created, f"{place}.lastAt", f"{job.created.isoformat()}", part.last_at.isoformat()
            )
            return before_first(job.created)
        step = lookup(steps(job.timeline), part.last_step, f"{place}.lastStep")
        if part.last_step and part.last_at < step.at:
            invalid(f"{place}.lastAt", f"expected {step.at.isoformat()} or later, got {part.last_at.isoformat()}")
        return SentStep(step, part.last_at)


def _body(part: DeliveryPart, place: str) -> bytes:
    try:
        msgspec.json.decode(part.body, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError) as error:
        invalid(f"{place}.body", f"expected a text that is JSON: {error}")
    return part.body.encode()


def _attempt(part: AttemptPart) -> Attempt:
    values = msgspec.structs.asdict(part)
    return Attempt(**{**values, "headers": tuple(part.headers)})
