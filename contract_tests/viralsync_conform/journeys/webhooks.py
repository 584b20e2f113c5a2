"""Webhooks: what they tell, in which order, signed how, and what happens when nobody takes them."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Any

from viralsync_conform.calls import TERMINAL, Exchange, instant_of
from viralsync_conform.clocks import monotonic
from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.findings import CATEGORY_OF_MARK, Category, Check, Finding
from viralsync_conform.journeys.job_lifecycle import (
    CLOSING_SECONDS,
    ObservedJob,
    check_transitions,
    ended_job,
    rank,
    state_of,
)
from viralsync_conform.journeys.plan_limits import sandbox_of
from viralsync_conform.journeys.streaming import as_number
from viralsync_conform.run.job_invariants import instants
from viralsync_conform.run.journey import journey
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.run.submissions import Job, submit
from viralsync_conform.target.webhook_receiver import LANDING, QUERY, Webhook, WebhookReceiver

AFTER_END = 2.0
"""Real seconds in which a second webhook of an end would arrive."""

TIMEOUT_SECONDS = 20.0
"""Real seconds that the webhook of an end may take to arrive from a real target."""

MOST_WAITS = 3
"""So many times as long it may take while others still arrive: a target may send progress for ever."""

LONG_SCENE = {
    "name": "one-long-scene-of-conform",
    "description": "A scene renders for a minute and says nothing.",
    "job": {"queued": "1s", "planning": "1s", "dispatching": "1s", "scene": {"at_least": "60s", "reports": 1}},
}
CERTAIN_INTERVAL = 12.0
"""Seconds of rendering in which a webhook that comes about every 5 to 10 must have come."""

LONG_INTERVAL = 13.0
"""Seconds from one webhook of progress to the next, with room for a busy server."""

MAX_AT_ONCE, MAX_A_SECOND = 50, 2
"""How many webhooks of progress there may be: one for each scene, if need be, but not one for each moment."""

MIN_COUNT = 4
"""One about every 5 to 10 seconds: this many in a minute at the least."""

A_DAY = 86_400.0
MIN_WAIT = 1.0


def receiver_of(context: JourneyContext) -> WebhookReceiver:
    """Return the receiver; a journey that needs it is only made where there is one."""
    receiver = context.run.target.receiver
    assert receiver is not None  # noqa: S101 - see `itinerary.left_out`
    return receiver


def webhooks_of(context: JourneyContext, job: Job) -> list[Webhook]:
    """Return the webhooks of a job, once that of its end is there or has had its time."""
    receiver, url = receiver_of(context), str(job.body.get("callbackUrl"))
    patience = CLOSING_SECONDS if context.run.target.has_control else TIMEOUT_SECONDS
    over = monotonic() + MOST_WAITS * patience
    while not any(each.document.get("status") in TERMINAL for each in receiver.at(url, job.id)):
        if not receiver.wait_for(len(receiver.received) + 1, min(patience, over - monotonic())):
            break
    if not context.run.target.has_control:
        receiver.wait_for(len(receiver.received) + 1, AFTER_END)  # whatever comes after the end comes soon
    return receiver.at(url, job.id)


@journey(
    "webhooks_of_a_life",
    "The webhooks of a job tell of its progress and, once and last, of its end.",
    0,
    renders=True,
    needs_receiver=True,
)
def webhooks_of_a_life(context: JourneyContext) -> None:
    life = ended_job(context)
    hooks = webhooks_of(context, life.job)
    check(context, life.job, hooks, str(life.status), life.last)
    states = [hook.document for hook in hooks]
    rendering = [state.get("status") for state in states if state.get("phase") == "rendering"]
    for status in rendering[:1]:
        context.learn("webhook.executing_status", status, life.last)
    progress = [state for state in states if state.get("status") not in TERMINAL]
    if context.run.target.has_control or rendering_seconds(life) > CERTAIN_INTERVAL:
        context.check(facts.WEBHOOK_PROGRESS, bool(progress), life.last, expected="progress events", got=len(progress))
    if not context.run.target.has_control:
        _cadence(context, life, hooks)
    if life.stream is not None and life.stream.events:
        streamed = [event.document for event in life.stream.events]
        reported, begun = set(map(_bare, streamed)), rank(streamed[0]) or 0
        odd = [state_of(state) for state in states if _bare(state) not in reported and (rank(state) or 0) >= begun]
        context.check(HOOKS_AGREE, not odd, life.stream, expected="states of the stream", got=odd, name="webhooks")


def _cadence(context: JourneyContext, life: ObservedJob, hooks: Sequence[Webhook]) -> None:
    """Progress is told about every 5 to 10 seconds while a job renders, and perhaps when its phase changes."""
    states = [hook.document for hook in hooks]
    progress = [state for state in states if state.get("status") not in TERMINAL]
    if not progress:
        return
    seconds = hooks[-1].at - hooks[0].at
    most = MAX_AT_ONCE + MAX_A_SECOND * seconds
    context.check(
        facts.WEBHOOK_PROGRESS, len(progress) <= most, life.last, expected=f"{most:.0f} in {seconds:.0f} s, at most",
        got=len(progress), name="too often",
    )  # fmt: skip
    gaps = [
        round(after.at - before.at, 1)
        for before, after in pairwise(hooks)
        if before.document.get("phase") == "rendering"
    ]
    context.check(
        facts.WEBHOOK_PROGRESS, max(gaps, default=0.0) <= LONG_INTERVAL, life.last, expected=f"{LONG_INTERVAL:g} s",
        got=gaps, name="too seldom",
    )  # fmt: skip
    named = [state for state in progress if state.get("phase") is not None]
    is_certain = any(state.get("status") in {"running", "waiting"} for state in progress)
    context.check(facts.WEBHOOK_PHASE, bool(named) or not is_certain, life.last, expected="a phase", got="none")


def rendering_seconds(life: ObservedJob) -> float:
    """Return for how many seconds, by looks at it, a job was rendering at least."""
    seen = [poll.at for poll in life.polls if poll.document.get("phase") == "rendering"]
    return (seen[-1] - seen[0]).total_seconds() if seen else 0.0


HOOKS_AGREE = Check("webhook_agrees", "Webhooks tell what the stream tells.", facts.A, facts.WEBHOOK_PAGE)


def _bare(state: dict[str, Any]) -> tuple[Any, Any]:
    """Return phase and progress, and the status where no switch decides it."""
    return state.get("phase") or state.get("status"), state.get("progress")


@journey(
    "webhooks_of_other_ends",
    "A job that was cancelled or has failed says so, once and last.",
    0,
    renders=True,
    needs_receiver=True,
)
def webhooks_of_other_ends(context: JourneyContext) -> None:
    cancelled, failed = context.run.shared.get("cancelled while queued"), context.run.shared.get("failed")
    if cancelled is not None:
        check(context, cancelled, webhooks_of(context, cancelled), "cancelled", cancelled.submitted)
    if failed is not None:
        check(context, failed.job, webhooks_of(context, failed.job), "failed", failed.last)


def check(context: JourneyContext, job: Job, hooks: Sequence[Webhook], status: str, call: Exchange) -> None:
    """Hold the webhooks of a job against what is known of them."""
    context.check(facts.WEBHOOK_SENT, bool(hooks), call, expected="webhooks", got="none", name=status)
    for hook in hooks:
        _form(context, hook, call)
        _body(context, hook, call)
        named = hook.document.get("jobId", job.id)  # that it is there is for the schema
        context.check(facts.WEBHOOK_JOB, named == job.id, call, expected=job.id, got=named)
    states = [hook.document for hook in hooks if hook.document]
    _count_children(context, states, call)
    if not states:
        context.check(facts.WEBHOOK_END, False, call, expected=[status], got="none", name=status)
        return
    ends = [state.get("status") for state in states if state.get("status") in TERMINAL]
    last = states[-1].get("status")
    context.check(facts.WEBHOOK_END, ends == [status], call, expected=[status], got=ends, name=status)
    context.check(WEBHOOK_LAST, last == status, call, expected=status, got=last, name=status)
    times = instants(state.get("timestamp") for state in states)
    context.check(facts.WEBHOOK_ORDER, times == sorted(times), call, expected="ascending", got=times, name=status)
    bodies = [hook.body for hook in hooks]
    context.check(
        facts.WEBHOOK_ONCE, len(set(bodies)) == len(bodies), call, expected="each once", got=len(bodies), name=status
    )
    in_order = all(isinstance(each, datetime) for each in times)  # that they arrive in order is assumed
    sent = [states[at] for at in sorted(range(len(times)), key=times.__getitem__)] if in_order else states
    check_transitions(context, [call], sent)


WEBHOOK_LAST = Check("webhook_last", "The webhook of the end comes after all others.", facts.A, facts.WEBHOOK_PAGE)


def _count_children(context: JourneyContext, states: Sequence[dict[str, Any]], call: Exchange) -> None:
    silent = [state_of(state) for state in states if state.get("status") not in TERMINAL and "children" not in state]
    context.check(facts.WEBHOOK_CHILDREN, not silent, call, expected="children", got=silent, name="webhooks")


def _form(context: JourneyContext, hook: Webhook, call: Exchange) -> None:
    context.check(facts.WEBHOOK_URL, hook.query.startswith(f"{QUERY}&number="), call, expected=QUERY, got=hook.query)
    media_type = hook.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = hook.method == "POST" and media_type == "application/json" and bool(hook.document)
    context.check(
        facts.WEBHOOK_JSON, is_json, call, expected="POST application/json", got=f"{hook.method} {media_type}"
    )
    name = str(context.run.contract.document["components"]["parameters"]["RenderSignature"]["name"])
    signature = hook.headers.get(name)
    context.check(facts.WEBHOOK_SIGNED, bool(signature), call, expected=name, got=sorted(hook.headers))
    if signature:
        _genuine(context, hook, signature, call)


def _genuine(context: JourneyContext, hook: Webhook, signature: str, call: Exchange) -> None:
    secret = context.run.secret
    if secret is None:
        context.mark_unobservable("webhook.signature", "no secret is known: put it into VIRALSYNC_WEBHOOK_SECRET")
        return
    forms = dict(_forms(hook.body, secret))
    known = [form for form, text in forms.items() if hmac.compare_digest(text, signature)]
    context.check(facts.WEBHOOK_GENUINE, bool(known), call, expected="the HMAC of the body", got="another signature")
    for form in known:
        context.learn("webhook.signature", form, call)


def _forms(body: bytes, secret: str) -> Iterator[tuple[str, str]]:
    digest = hmac.digest(secret.encode(), body, hashlib.sha256)
    yield "hex", digest.hex()
    yield "sha256=hex", f"sha256={digest.hex()}"
    yield "base64", base64.b64encode(digest).decode()


def _body(context: JourneyContext, hook: Webhook, call: Exchange) -> None:
    """Judge the body of a webhook as the spec says; what breaks goes where its mark says."""
    context.run.asserted[facts.WEBHOOK_BODY] += 1
    schema = context.run.contract.component("ProgressEvent")
    kind = str(hook.document.get("status"))
    for place, keyword, name, message, mark, source in schema.violations(hook.document):
        found = Finding(CATEGORY_OF_MARK[mark], facts.WEBHOOK_BODY.name, message, keyword=keyword, source=source)
        _add(context, found, call, f"{kind}{place}", name)
    media = hook.document.get("mediaData")
    if kind == "done" and isinstance(media, dict):
        wanted = context.run.contract.document["components"]["schemas"]["MediaData"]["required"]
        context.check(facts.WEBHOOK_MEDIA, set(wanted) <= set(media), call, expected=wanted, got=sorted(media))
    for place, name in schema.additions(hook.document):
        text = f"`{name}` is not documented"
        found = Finding(Category.ADDITIVE, facts.WEBHOOK_BODY.name, text, keyword="additional")
        _add(context, found, call, f"{kind}{place}", name)


def _add(context: JourneyContext, finding: Finding, call: Exchange, place: str, name: str) -> None:
    shown = replace(finding, place=place, name=name, calls=(call.number,), journey=context.journey)
    context.run.findings.add(shown)


@journey(
    "webhook_retries",
    "How often, and after which waits, the webhook of an end is tried again is learned from one who refuses it.",
    3,
    needs_control=True,
    needs_receiver=True,
)
def webhook_retries(context: JourneyContext) -> None:
    receiver = receiver_of(context)
    deaf = context.as_account(context.run.target.account("deaf"))
    job = submit(deaf, step="submit with a deaf receiver", callbackUrl=receiver.url("/refused"))
    effects = sandbox_of(deaf).clock.advance(A_DAY)
    ends = [hook for hook in receiver.of(job.id) if hook.document.get("status") in TERMINAL]
    deaf.check(facts.WEBHOOK_SENT, bool(ends), job.submitted, name="refused")
    deaf.learn("webhook.attempts", len(ends) or 1, job.submitted)
    instants = [each.at for each in effects if each.kind == "delivery" and each.details.get("webhook") in TERMINAL]
    if len(ends) == 1:
        deaf.mark_unobservable("webhook.retry_seconds", "a webhook that is refused is not sent again")
    gaps = [(after - before).total_seconds() for before, after in pairwise(instants)]
    if gaps and len(instants) == len(ends):
        deaf.learn("webhook.retry_seconds", as_number(gaps[0]), job.submitted)
        deaf.check(WAITS_GROW, gaps == sorted(gaps), job.submitted, expected="growing waits", got=gaps)
    deaf.check(facts.WEBHOOK_SAME, len({hook.body for hook in ends}) <= 1, job.submitted, expected="one body")
    progress = [hook.body for hook in receiver.of(job.id) if hook.document.get("status") not in TERMINAL]
    deaf.check(facts.WEBHOOK_RETRY, len(set(progress)) == len(progress), job.submitted, name="progress is not")


WAITS_GROW = Check("webhook_waits", "The waits between attempts grow.", facts.A, facts.WEBHOOK_PAGE)


@journey(
    "webhook_redirects",
    "Whether a webhook follows a redirect is learned from a receiver that sends it elsewhere.",
    3,
    needs_control=True,
    needs_receiver=True,
)
def webhook_redirects(context: JourneyContext) -> None:
    receiver = receiver_of(context)
    moved = context.as_account(context.run.target.account("moved", scenario="instant"))
    job = submit(moved, step="submit with a receiver that moved", callbackUrl=receiver.url("/moved"))
    moved.wait(MIN_WAIT)
    arrived = [hook.path for hook in receiver.of(job.id)]
    if arrived:
        moved.learn("webhook.redirects", "followed" if LANDING in arrived else "refused", job.submitted)


@journey(
    "webhook_cadence",
    "How often webhooks tell of progress while nothing changes is learned from a scene of a minute.",
    3,
    needs_control=True,
    needs_receiver=True,
)
def webhook_cadence(context: JourneyContext) -> None:
    receiver = receiver_of(context)
    patient = context.as_account(context.run.target.account("patient", scenario=LONG_SCENE))
    job = submit(patient, step="submit a long scene", movie=_one_scene(), callbackUrl=receiver.url())
    patient.wait(55)
    rendering = [hook.document for hook in receiver.of(job.id) if hook.document.get("phase") == "rendering"]
    times = [instant for state in rendering if (instant := instant_of(state.get("timestamp"))) is not None]
    gaps = [as_number((after - before).total_seconds()) for before, after in pairwise(times)]
    patient.check(
        facts.WEBHOOK_PROGRESS,
        len(rendering) >= MIN_COUNT,
        job.submitted,
        expected=f"{MIN_COUNT} in a minute",
        got=len(rendering),
        name="long",
    )
    if gaps:
        usual = max(set(gaps), key=gaps.count)
        patient.learn("webhook.progress_interval_seconds", usual, job.submitted)


def _one_scene() -> dict[str, Any]:
    return {"width": 640, "height": 360, "scenes": [{"id": "only", "duration": 1}]}
