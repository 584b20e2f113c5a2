"""The documents of the API: a job, an event or webhook body, the account, its usage, an error."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from .model import Account, Job
from .readings import Readings
from .wire import Doc, Reply

if TYPE_CHECKING:
    from .world import World

_NEEDED_NULLS = frozenset({"nextCursor"})
_STEPS = {None: 0.0, "planning": 0.1, "dispatching": 0.1, "waiting": 0.1, "rendering": 0.25}


def status_of(readings: Readings, job: Job) -> str:
    """The status as shown: two of the steps are documented in two ways."""
    if job.phase == "rendering" and job.status == "waiting":
        return readings.executing_status
    if job.phase == "assembling" and not job.parent:
        return readings.assembling_status
    return job.status


def raw_document(world: World, job: Job) -> Doc:
    """The job as it is, in the words of the documentation and of the readings."""
    document = {
        "jobId": job.job_id,
        "type": world.readings.job_type if job.type == "render.movie" else job.type,
        "status": world.status_of(job),
        "phase": _phase(world.readings, job),
        "progress": _progress(world.readings, job),
        "parentJobId": job.parent.job_id if job.parent else None,
        "outputUrl": job.output_url,
        "error": job.error,
        "mediaData": media_shown(world.readings, job),
        "payload": job.payload,
        "createdAt": instant(world.readings, job.created),
        "updatedAt": instant(world.readings, job.updated),
    }
    if job.scenes:
        document["children"] = _children(world.readings, job)
    if world.readings.payload == "absent" or job.payload is None:
        del document["payload"]
    return document


def document(world: World, job: Job, raw: Doc | None = None) -> Doc:
    """The job, or an earlier state of it, as it is shown to clients before nulls and additions are seen to."""
    shown = dict(raw or raw_document(world, job))
    if world.readings.updated_at_ticks and not job.ended and not raw:
        shown["updatedAt"] = instant(world.readings, world.now())
    changed: Doc = world.conduct.through("job", shown, job)
    return changed


def presented(world: World, document: Doc, *, extra: Doc | None = None) -> Doc:
    """A document with its nulls left out, or with additions, where the readings say so."""
    if world.readings.nulls == "left_out":
        document = {name: value for name, value in document.items() if value is not None or name in _NEEDED_NULLS}
    if world.readings.extra_fields:
        document = {**document, **(extra or {"apiRevision": "2026-01", "links": {"docs": None}})}
    return document


def event_body(world: World, job: Job, raw: Doc) -> Doc:
    """The body of a webhook, or of an event of the stream, for a job in the state `raw`."""
    shown = world.document(job, raw)
    names = ["jobId", "status", "progress", "outputUrl", "timestamp"]
    names += {"done": ["mediaData"], "failed": ["error"], "cancelled": []}.get(raw["status"], ["phase", "children"])
    body = {**shown, "timestamp": shown.get("updatedAt")}
    if raw["status"] == "done":
        body["mediaData"] = {**(job.media or {}), **(shown.get("mediaData") or {})}
    return {name: body[name] for name in names if name in body}


def me_document(account: Account, readings: Readings) -> Doc:
    """Who the key belongs to."""
    written = {"lower": str.lower, "capitalised": str.capitalize, "upper": str.upper}[readings.plan_names]
    return {"userId": account.user_id, "plan": written(account.start.plan), "email": account.email}


def usage_document(world: World, account: Account, at_once: int) -> Doc:
    """The render minutes used and the limits, in one of three shapes; null is unlimited."""
    plan, now = world.plan_of(account), world.now()
    used, today = (round(account.minutes[when], 6) for when in (f"{now:%Y-%m}", f"{now:%Y-%m-%d}"))
    left = None if plan.minutes is None else max(0.0, round(plan.minutes - used, 6))
    start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    end = (start + timedelta(days=32)).replace(day=1)
    period = instant(world.readings, start), instant(world.readings, end)
    if world.readings.usage_shape == "flat":
        return {"minutesUsed": used, "minutesLimit": plan.minutes, "jobsLimit": plan.at_once, "resetsAt": period[1]}
    if world.readings.usage_shape == "snake":
        minutes = {"used_minutes": used, "limit_minutes": plan.minutes}
        return {"billing_period": period[0][:7], "render": minutes, "concurrency_limit": plan.at_once}
    return {
        "plan": me_document(account, world.readings)["plan"],
        "periodStart": period[0],
        "periodEnd": period[1],
        "renderMinutes": {"used": used, "limit": plan.minutes, "remaining": left},
        "daily": None if plan.daily is None else {"used": today, "limit": plan.daily},
        "concurrentJobs": {"running": at_once, "limit": plan.at_once},
    }


def error_reply(world: World, kind: str, text: str, headers: dict[str, str]) -> Reply:
    """The reply to a refused request."""
    status, code = world.refusal(kind)
    if kind == "too-large" and world.readings.large_body == "html_413":
        page = "<html><head><title>413 Request Entity Too Large</title></head></html>"
        return Reply(413, refusal=kind, text=page, content_type="text/html")
    body: Doc = {"error": text, "code": code}
    if world.readings.error_extras:
        body |= {"requestId": f"req_{world.calls:06d}", "details": []}
    if status == 401 and world.readings.extra_headers:
        headers = {**headers, "WWW-Authenticate": "Bearer"}
    return Reply(status, body, headers, refusal=kind)


def instant(readings: Readings, when: datetime) -> str:
    """A point of time as text."""
    if readings.timestamps == "offset":
        return when.isoformat(timespec="microseconds")
    timespec = "seconds" if readings.timestamps == "seconds" else "milliseconds"
    return when.replace(tzinfo=None).isoformat(timespec=timespec) + "Z"


def media_of(job: Job) -> Doc:
    """What is known about the finished video."""
    width, height = job.frame
    size = int(job.length * width * height / 100)
    return {"duration": float(job.length), "width": width, "height": height, "fileSize": size}


def media_shown(readings: Readings, job: Job) -> Doc | None:
    """The finished video as the job shows it."""
    if job.media is None or readings.media_data == "full":
        return job.media
    if readings.media_data == "duration_only":
        return {"duration": job.media["duration"]}
    return {**job.media, "codec": "h264", "bitrate": None}


def output_url_of(world: World, job: Job) -> str:
    """Where the finished video lies."""
    if world.readings.output_urls == "signed":
        return f"https://cdn.example.net/v/{job.job_id}.mp4?expires=1893456000&signature=abc%2Fdef%3D"
    return f"https://r2.viralsync.io/outputs/{job.job_id}/output.mp4"


def _phase(readings: Readings, job: Job) -> str | None:
    if job.ended and readings.end_phase == "last":
        return job.last_phase
    if job.status == "queued" and job.type == "render.movie":
        return job.phase or ("waiting" if readings.queued_phase == "waiting" else None)
    return job.phase


def _progress(readings: Readings, job: Job) -> float:
    if job.status == "done" or job.parent or readings.progress_rule == "scenes":
        return job.progress
    if readings.progress_rule == "zero_until_done":
        return 0.0
    return _STEPS.get(job.phase if not job.ended else job.last_phase, 0.75)


def _children(readings: Readings, job: Job) -> dict[str, Any]:
    counted = job.scenes if readings.children_counted == "scenes" else job.children
    names = {"succeeded": "done", "running": "running", "queued": "queued", "failed": "failed"}
    counts = {name: sum(child.status == status for child in counted) for name, status in names.items()}
    return {"total": len(counted), **counts}
