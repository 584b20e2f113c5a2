"""Breaches of section 9: the rate limit, the plans, the charges."""

from __future__ import annotations

import math
from typing import Any, Final

from .breach_kinds import hooked, refusal, tuned
from .conduct import Breach
from .wire import Doc

_BURST, _429, _WINDOW = "as many requests as the window allows", "a 429", "requests over more than a window"
_SECOND, _FULL, _MOVIE = "a second key", "as many jobs at once as the plan allows", "a movie as long as the plan allows"
_DONE, _FAILED, _CANCELLED = (
    "the usage after a finished job",
    "the usage after a failed job",
    "the usage after a cancel",
)


def _retry_after(name: str, fact: str, text: Any, needs: str = _429) -> Breach:
    return tuned(name, fact, needs, retry_after=text)


def _pro(name: str, fact: str, needs: str, **changes: Any) -> Breach:
    return tuned(name, fact, needs, plans={"pro": changes})


def _higher(name: str, fact: str, plan: str, **changes: Any) -> Breach:
    return tuned(name, fact, f"a key of plan {plan}", visible=False, plans={plan: changes})


def _scope(*parts: str) -> Any:
    """A window for each value of these attributes of a call."""
    return lambda call: " ".join([call.account.key, *(str(getattr(call, part)) for part in parts)])


def _cost_unless(method: str) -> Any:
    return lambda call: int(call.method != method)


def _holds(*statuses: str) -> Any:
    return lambda job: job.status in statuses and job.since_end < 60


def _wall_minutes(job: Any) -> float:
    return float(job.age / 60)


def _charges_stream(call: Any, world: Any) -> Any:
    if call.operation == "progress":
        call.account.charge(0.05, world.now())
    return call


def _milliseconds(document: Doc, _job: Any) -> Doc:
    media = document.get("mediaData")
    return {**document, "mediaData": {**media, "duration": media["duration"] * 1000}} if media else document


BREACHES: Final = (
    refusal("rate-limit-missing", "D-9.5", _BURST, "rate"),
    tuned("rate-limit-one-less", "D-9.1", _BURST, rate_count=lambda count: count - 1),
    tuned("rate-limit-one-more", "D-9.1", _BURST, rate_count=lambda count: count + 1),
    tuned("rate-limit-half", "D-9.1", _BURST, rate_count=lambda count: count // 2),
    tuned("rate-window-half", "D-9.1", _WINDOW, rate_seconds=lambda seconds: seconds / 2),
    tuned("rate-window-doubled", "D-9.1", _WINDOW, rate_seconds=lambda seconds: seconds * 2),
    tuned("rate-window-fixed", "D-9.1", _WINDOW, rate_slides=False),
    tuned("rate-limit-per-operation", "D-9.3", _BURST, rate_scope=_scope("operation")),
    tuned("rate-limit-per-method", "D-9.3", _BURST, rate_scope=_scope("method")),
    tuned("rate-limit-per-key-header", "D-2.1", "requests with both key headers", rate_scope=_scope("header")),
    tuned("rate-limit-free-reads", "D-9.3", _BURST, rate_cost=_cost_unless("GET")),
    tuned("rate-limit-shared-by-all-keys", "D-9.2", _SECOND, visible=False, rate_scope=lambda _call: "all"),
    tuned(
        "rate-limit-not-for-enterprise",
        "D-9.4",
        "an Enterprise key",
        visible=False,
        rate_cost=lambda call: int(call.account.start.plan != "enterprise"),
    ),
    _retry_after("retry-after-missing", "D-9.6", lambda _seconds: None),
    _retry_after("retry-after-fraction", "D-9.6", lambda seconds: f"{seconds - 0.5:.1f}"),
    _retry_after("retry-after-date", "D-9.6", lambda _seconds: "Wed, 21 Oct 2099 07:28:00 GMT"),
    _retry_after("retry-after-milliseconds", "D-9.6", lambda seconds: str(seconds * 1000)),
    _retry_after("retry-after-zero", "D-9.7", lambda _seconds: "0"),
    _retry_after("retry-after-always-one", "D-9.7", lambda _seconds: "1"),
    _retry_after("retry-after-one-less", "D-9.7", lambda seconds: str(seconds - 1)),
    tuned("retry-after-not-enough", "D-9.7", "a request after the wait of a 429", variants="ACD", rate_penalty=True),
    _pro("pro-minutes-100", "D-9.8", "the usage", minutes=100),
    _higher("enterprise-minutes-limited", "D-9.8", "enterprise", minutes=1000),
    _pro("longest-job-refused", "D-9.9", _MOVIE, longest=599),
    _pro("longest-job-exceeded", "D-9.9", _MOVIE, longest=601),
    refusal("longest-job-not-enforced", "D-9.9", _MOVIE, "length"),
    _pro("largest-frame-refused", "D-9.10", "a movie as large as the plan allows", frame=(1919, 1080)),
    _pro("larger-frame-accepted", "D-9.10", "a movie too large for the plan", frame=(2560, 1440)),
    refusal("largest-frame-not-enforced", "D-9.10", "a movie too large for the plan", "frame"),
    _higher("enterprise-frame-1440", "D-9.10", "enterprise", frame=(2560, 1440)),
    refusal("concurrency-not-enforced", "D-8.8", _FULL, "slots"),
    _pro("concurrency-limit-2", "D-9.11", _FULL, at_once=2),
    _pro("concurrency-limit-4", "D-9.11", _FULL, at_once=4),
    _higher("concurrency-of-enterprise-limited", "D-9.11", "enterprise", at_once=5),
    tuned("concurrency-keeps-done-jobs", "D-9.11", _FULL, ended_job_holds_slot=_holds("done")),
    tuned("concurrency-keeps-cancelled-jobs", "D-9.11", _FULL, ended_job_holds_slot=_holds("cancelled")),
    tuned("concurrency-keeps-failed-jobs", "D-9.11", _FULL, ended_job_holds_slot=_holds("failed")),
    tuned("charge-never", "D-9.13", _DONE, charged=frozenset()),
    tuned("charge-doubled", "D-9.12", _DONE, minutes=lambda job: job.length / 30),
    tuned("charge-whole-minutes", "D-9.12", _DONE, minutes=lambda job: math.ceil(job.length / 60)),
    tuned("charge-in-seconds", "D-9.12", _DONE, minutes=lambda job: job.length),
    tuned("charge-for-wall-time", "D-9.12", _DONE, minutes=_wall_minutes),
    tuned("charge-per-scene", "D-9.12", _DONE, minutes=lambda job: job.length / 60 * len(job.scenes)),
    hooked("media-duration-milliseconds", "D-9.12", _DONE, job=_milliseconds),
    tuned("charge-at-submit", "D-9.13", "the usage during a job", charged=frozenset(), charged_at_submit=True),
    tuned("charge-at-submit-too", "D-9.13", _DONE, charged_at_submit=True),
    tuned("charge-for-failed", "D-9.14", _FAILED, charged=frozenset({"done", "failed"})),
    tuned("charge-for-cancelled", "D-7.7", _CANCELLED, charged=frozenset({"done", "cancelled"})),
    tuned("charge-for-polls", "D-9.14", "the usage after reads of a job", charged_per_poll=0.01),
    hooked("charge-for-streams", "D-9.14", "the usage after a stream", call=_charges_stream),
)
