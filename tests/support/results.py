"""What the tests of the reports share: results of conformance runs, made by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from viralsync_conform.budget import Budget
from viralsync_conform.calls import Event, Exchange
from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.contract.learned_behaviour import LearnedBehaviour
from viralsync_conform.findings import Category, Finding, Provenance, verdict_of
from viralsync_conform.reports import write_reports
from viralsync_conform.result import (
    BaselineComparison,
    CanaryOutcome,
    Fidelity,
    JourneyOutcome,
    Result,
    StepDifference,
)
from viralsync_mock.clock import EPOCH
from viralsync_mock.config.behaviour import BehaviourProfile
from viralsync_mock.jobs.models import Step, timestamp
from viralsync_mock.jobs.steps import steps
from viralsync_mock.jobs.timeline import JobTimings, RenderOrder, plan
from viralsync_mock.openapi.spec import Spec, load_spec
from viralsync_mock.settings import shipped

TARGET = "https://api.viralsync.io"
JOB = "job_0123456789ab"
KEY = "vs_prod_" + "a1" * 16
JSON_HEADERS = (("content-type", "application/json"), ("date", "Thu, 01 Jan 2026 00:00:00 GMT"))
METHODS = {"submitRenderJob": "POST", "cancelJob": "POST", "deleteJob": "DELETE"}
PATHS = {
    "submitRenderJob": "/v1/render/jobs",
    "listJobs": "/v1/jobs",
    "getJob": f"/v1/jobs/{JOB}",
    "streamJobProgress": f"/v1/jobs/{JOB}/progress",
    "cancelJob": f"/v1/jobs/{JOB}/cancel",
    "deleteJob": f"/v1/jobs/{JOB}",
    "getUsage": "/v1/usage",
}


@cache
def spec() -> Spec:
    return load_spec(shipped("openapi.yaml"))


def _effect(operation: str | None) -> str:
    known = spec().operations.get(operation or "")
    return known.effect.kind if known and known.effect else ""


def call(number: int, operation: str | None = "getJob", answer: Any = None, **rest: Any) -> Exchange:
    """Return a call; `answer` is the body as JSON values."""
    fields: dict[str, Any] = {
        "number": number,
        "journey": "life_by_polling",
        "step": "poll",
        "account": "main",
        "operation": operation,
        "method": METHODS.get(operation or "", "GET"),
        "url": PATHS.get(operation or "", "/v1/nowhere"),
        "path_parameters": {},
        "query": {},
        "request_headers": (("x-api-key", "***"),),
        "request_body": b"",
        "status": 200,
        "headers": JSON_HEADERS,
        "body": b"" if answer is None else json.dumps(answer).encode(),
        "at": EPOCH + timedelta(seconds=number),
        "seconds": 0.012,
        "expected": "200",
        "effect": _effect(operation),
    }
    return Exchange(**{**fields, **rest})


def job(step: Step, job_id: str = JOB, scenes: Sequence[float] = (1.0,)) -> dict[str, Any]:
    """Return what GET answers at a step of a life."""
    movie = {"scenes": [{"id": f"s{number}", "duration": seconds} for number, seconds in enumerate(scenes)]}
    return {
        "jobId": job_id,
        "type": "render",
        "status": str(step.status),
        "phase": step.phase and str(step.phase),
        "progress": step.progress,
        "parentJobId": None,
        "outputUrl": None,
        "error": None,
        "payload": {"projectId": "proj_conform_0", "movie": movie},
        "createdAt": timestamp(EPOCH),
        "updatedAt": timestamp(step.at),
    }


def life_steps(pace: JobTimings | None = None, scenes: Sequence[float] = (1.0,), workers: int = 3) -> tuple[Step, ...]:
    """Return every step of a job as the mock would play it."""
    order = RenderOrder(list(scenes), min(workers, len(scenes)), EPOCH, lambda *_: 0.5)
    return steps(plan(order, pace or JobTimings()))


def polls(told: Sequence[Step], first: int = 1, job_id: str = JOB, scenes: Sequence[float] = (1.0,)) -> list[Exchange]:
    """Return a poll of each step."""
    return [call(first + number, "getJob", job(step, job_id, scenes)) for number, step in enumerate(told)]


def stream(told: Sequence[Step], number: int = 1, job_id: str = JOB, **rest: Any) -> Exchange:
    """Return a stream that told every step."""
    events = []
    for step in told:
        data = {"jobId": job_id, "status": str(step.status), "progress": step.progress, "timestamp": timestamp(step.at)}
        if step.phase:
            data["phase"] = str(step.phase)
        events.append(Event(str(step.number), None, json.dumps(data), step.at))
    text = "".join(f"id: {event.id}\ndata: {event.data}\n\n" for event in events)
    return call(
        number,
        "streamJobProgress",
        events=tuple(events),
        body=text.encode(),
        step="stream",
        at=EPOCH,
        headers=(("content-type", "text/event-stream"),),
        **rest,
    )


def finding(category: Category = Category.FAILURE, check: str = "schema", message: str = "odd", **rest: Any) -> Finding:
    """Return a finding of `getJob`, unless another place is given."""
    return Finding(category, check, message, **{"operation": "getJob", "status": 200, "calls": (1,), **rest})


def result(*findings: Finding, **rest: Any) -> Result:
    """Return a finished run with these findings."""
    fields: dict[str, Any] = {
        "target": TARGET,
        "profile": "nightly",
        "seed": "7",
        "version": "0.1.0",
        "is_mock": False,
        "started_at": EPOCH,
        "seconds": 41.25,
        "verdict": verdict_of(findings),
        "findings": findings,
        "journeys": (),
        "calls": (call(1, "getJob", {"jobId": JOB}),),
        "asserted": {facts.SCHEMA: 12, facts.STATUS: 30},
        "believed": BehaviourProfile(),
        "learned": LearnedBehaviour(),
        "learned_profile": BehaviourProfile(),
        "budget": Budget(399, 0.06, requests=217, charged=1 / 60, renders=1),
    }
    return Result(**{**fields, **rest})


def learned(*calls: Exchange) -> LearnedBehaviour:
    """Return switches of every kind: as believed, otherwise, torn, foreign, hidden."""
    found = LearnedBehaviour()
    found.learn("job.type", "render", *calls)
    found.learn("job.executing_status", "running", *calls)
    found.learn("list.key", "items", *calls)
    found.learn("sse.payload", "webhook", *calls[:1])
    found.learn("sse.payload", "job", *calls[1:])
    found.learn("plan_limit.status", 418, *calls)
    found.learn("errors.job_not_found", "NO_SUCH_JOB", *calls)
    found.learn("errors.forbidden", "FORBIDDEN", *calls)
    found.mark_unobservable("quota.check", "the quota of an account that is not a mock is never used up")
    found.mark_unobservable("webhook.attempts", "no receiver was given: --webhook-url")
    return found


def rich() -> Result:
    """Return a run that has something of everything."""
    scenes = (1.0, 2.5)
    told = life_steps(scenes=scenes)
    submitted = call(
        1,
        "submitRenderJob",
        {"jobId": JOB, "status": "queued"},
        status=202,
        expected="202",
        step="submit",
        request_headers=(("x-api-key", "***"), ("content-type", "application/json")),
        request_body=json.dumps({"kind": "movie", **job(told[0], scenes=scenes)["payload"]}).encode(),
    )
    streamed = stream(told, 2)
    polled = polls(told[::2], 3, scenes=scenes)
    last = polled[-1].number
    cancelled = life_steps()[:4]
    other = polls(cancelled, last + 1, "job_fedcba987654")
    stopped = replace(
        other[-1], number=last + 5, operation="cancelJob", method="POST", body=_cancelled(cancelled[-1].at)
    )
    outage = call(
        last + 6,
        "getUsage",
        status=502,
        body=b"<html><script>alert(1)</script><h1>Bad gateway</h1></html>",
        headers=(("content-type", "text/html"), ("server", "cloud")),
        step="usage before",
        journey="ledger",
    )
    away = call(last + 7, "getUsage", status=None, headers=(), problem="time-out: no answer came in time")
    calls = (submitted, streamed, *polled, *other, stopped, outage, away)
    seen = learned(submitted, streamed)
    found = _findings(last)
    known = finding(
        Category.WARNING, "job_id_form", "The id of a job has the form of the samples.", mark=Provenance.SAMPLED
    )
    return result(
        *found,
        known,
        calls=calls,
        learned=seen,
        learned_profile=seen.applied_to(BehaviourProfile()),
        journeys=_journeys(),
        asserted={facts.SCHEMA: 212, facts.STATUS: 217, facts.ORDER: 4, facts.PROGRESS: 61, facts.CHARGED: 1},
        fidelity=Fidelity(180, 176, (StepDifference("list_pages", "first page", "200 items", "200 jobs"),)),
        canary=CanaryOutcome("progress_falls", "Progress goes back once.", True, ("progress", "stream_agrees")),
        baseline=BaselineComparison(
            found,
            (known,),
            ("headers · getJob 429 · Retry-After · required",),
            {"job.type": ("render.movie", "render")},
        ),
        unclean=(f"{JOB}: DELETE answered 503",),
        notes=("The target answered 4 of 217 requests after more than a second.",),
    )


def _cancelled(at: datetime) -> bytes:
    told = job(life_steps()[3], "job_fedcba987654")
    instant = timestamp(at + timedelta(seconds=1.4))
    return json.dumps({**told, "status": "cancelled", "phase": None, "updatedAt": instant}).encode()


def _findings(last: int) -> tuple[Finding, ...]:
    return (
        finding(
            message='"updatedAt" is a required property',
            keyword="required",
            name="updatedAt",
            place="",
            calls=(3, 4, 5, 6, 7),
            mark=Provenance.DOCUMENTED,
            source="/api-reference/jobs",
            journey="life_by_polling",
        ),
        finding(
            check="progress",
            message="Progress never goes back.",
            expected="at least 0.625",
            got="0.5",
            place="/progress",
            calls=(3, 2),
            mark=Provenance.DOCUMENTED,
            source="/api-reference/jobs",
        ),
        finding(
            check="charged",
            message="A job that is done costs a sixtieth of its length in seconds, once.",
            operation="getUsage",
            expected="0.0583",
            got="0.1166",
            calls=(last + 6,),
            mark=Provenance.DOCUMENTED,
            source="/concepts/render-minutes",
            journey="ledger",
        ),
        finding(
            Category.WARNING,
            "payload_echo",
            "The payload echoes what was submitted.",
            calls=(4,),
            place="/payload",
            expected="the movie",
            got="<script>alert(1)</script>",
            mark=Provenance.SAMPLED,
            source="/api-reference/jobs",
        ),
        finding(
            Category.DIFFERENCE,
            "error_code_assumed",
            "A refusal has the code that is assumed for it.",
            status=404,
            expected="JOB_NOT_FOUND",
            got="NO_SUCH_JOB",
            place="unknown job",
            calls=(1,),
            mark=Provenance.ASSUMED,
        ),
        finding(Category.ADDITIVE, "schema", "`etag` is not documented", name="etag", keyword="additional", calls=(5,)),
        finding(
            Category.ADDITIVE,
            "headers",
            "the header x-ratelimit-remaining is not documented",
            operation=None,
            place="x-ratelimit-remaining",
            got="87",
            calls=(1,),
            journey="life_by_polling",
        ),
        finding(
            Category.INCONCLUSIVE,
            "outage",
            "a proxy before the API answered 502",
            operation="getUsage",
            status=502,
            calls=(last + 6, last + 7),
            journey="ledger",
        ),
    )


def _journeys() -> tuple[JourneyOutcome, ...]:
    return (
        JourneyOutcome("life_by_polling", "A job's life, looked at again and again.", "found", "", 14.2, 31),
        JourneyOutcome("list_pages", "Pages are disjoint, complete and in order.", "passed", "", 3.1, 12),
        JourneyOutcome("ledger", "What a job costs is charged once.", "stopped", "the target was away", 1.0, 4),
        JourneyOutcome("daily_quota", "Plan Free ends after five minutes.", "skipped", "needs a mock's control API"),
    )


def written(folder: Path, finished: Result) -> dict[str, str]:
    """Write all artefacts and return their texts by name."""
    return {path.name: path.read_text("utf-8") for path in write_reports(finished, folder)}
