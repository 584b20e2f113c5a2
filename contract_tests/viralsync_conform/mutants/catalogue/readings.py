"""Counter-mutants written by hand: servers that keep every documented fact, and read the rest otherwise."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from urllib.parse import urlsplit

import orjson

from viralsync_conform.calls import TERMINAL
from viralsync_conform.mutants.catalogue.cancel_delete import refuses_queued
from viralsync_conform.mutants.catalogue.listing import new_hidden
from viralsync_conform.mutants.catalogue.rate_limit import retry
from viralsync_conform.mutants.catalogue.streams import edit_chunks
from viralsync_conform.mutants.engine.asgi import Answer, Request, json_answer
from viralsync_conform.mutants.engine.exchange import UNUSED_KEY, Layer, MutantCall
from viralsync_conform.mutants.engine.layers import (
    Document,
    Seen,
    after,
    edit_jobs,
    edit_response,
    every_job,
    later,
    when,
)
from viralsync_conform.mutants.engine.stream_layers import Event, Events, everywhere, rewrite_events
from viralsync_conform.mutants.mutant import READING, Mutant, Section

SUBMIT, LIST, GET, CANCEL, DELETE, STREAM = (
    "submitRenderJob", "listJobs", "getJob", "cancelJob", "deleteJob", "streamJobProgress",
)  # fmt: skip
OTHER_TYPES = ("agent.chat", "workflow.run", "publish.youtube", "agent.analyze", "workflow.trigger", "publish.tiktok")
STATUSES = ("queued", "running", "waiting", "done", "failed", "cancelled")
LATER_SECONDS = 3.0


def reading(subject: str) -> Section:
    """Return a section of counter-mutants."""
    section = Section(subject, source=READING, is_permitted=True)
    section.mutants = READINGS
    return section


READINGS: list[Mutant] = []
life, lists, streams, errors = reading("job life"), reading("lists"), reading("streams"), reading("errors")
transport, order = reading("transport"), reading("order of checks")


@life("progress-of-another-formula", "Progress grows by the square.", everywhere)
def squared(document: Document, _: Seen) -> None:
    document["progress"] = round(document["progress"] ** 2, 4)


@life("updated-at-touched", "updatedAt moves at each look, without a visible change.", edit_jobs)
def touched(job: Document, of_job: Seen) -> None:
    of_job["looks"] = of_job.get("looks", 0) + 1
    job["updatedAt"] = later(job["updatedAt"], of_job["looks"] / 1000)


@life("payload-with-defaults", "The payload shows the defaults too.", edit_jobs)
def with_defaults(job: Document, _: Seen) -> None:
    movie = job["payload"].get("movie")
    if isinstance(movie, dict):
        job["payload"]["movie"] = {"title": "Untitled Movie", "width": 1920, "height": 1080, "fps": 30, **movie}


def other_job(number: int) -> Document:
    """Return a job of another domain: no phase, no children, no output when it is done."""
    status = STATUSES[number % len(STATUSES)]
    error = "AGENT_FAILED: no answer" if status == "failed" else None
    return {
        "jobId": f"job_{number:012x}", "type": OTHER_TYPES[number % len(OTHER_TYPES)], "status": status, "phase": None,
        "progress": 1 if status == "done" else 0.5, "parentJobId": None, "outputUrl": None, "error": error,
        "mediaData": None, "payload": {"prompt": "hello"},
        "createdAt": f"2020-01-01T00:00:{59 - number % 60:02}.000Z", "updatedAt": "2020-01-02T00:00:00.000Z",
    }  # fmt: skip


def with_others(number: int) -> Layer:
    """Have jobs of other domains on the account that lists first, older than all others."""
    jobs = sorted(map(other_job, range(number)), key=lambda job: str(job["createdAt"]), reverse=True)

    async def listed(call: MutantCall) -> Answer | None:
        asked = call.request.parameters
        if call.world.of_key.setdefault("", {}).setdefault("owner", call.request.key) != call.request.key:
            return None
        start = int(asked["cursor"][3:]) if asked.get("cursor", "").startswith("old") else None
        answer = await call.proceed(call.request.with_parameters(cursor=None) if start is not None else None)
        if answer.status != 200:
            return answer
        page, limit = answer.document, int(asked.get("limit", 25))
        if start is None and page["nextCursor"] is not None:
            return answer
        mine = page["jobs"] if start is None else []
        rest = [each for each in jobs if all(asked.get(name) in (None, each[name]) for name in ("type", "status"))]
        begin = start or 0
        end = begin + limit - len(mine)
        answer.document = {"jobs": mine + rest[begin:end], "nextCursor": f"old{end}" if end < len(rest) else None}
        return answer

    async def read(call: MutantCall, answer: Answer) -> Answer | None:
        found = next((job for job in jobs if job["jobId"] == call.request.job_id), None)
        return json_answer(found) if found and answer.status == 404 else None

    async def layer(call: MutantCall) -> Answer:
        return await (when(listed, LIST) if call.request.operation == LIST else after(read, GET))(call)

    return layer


@streams("data-in-several-lines", "The data of an event goes over several lines.", edit_chunks)
def several_lines(chunk: bytes) -> bytes:
    """Write the data of an event in several lines, each of them named."""
    event = Event.read(chunk)
    if event.document is None:
        return chunk
    lines = orjson.dumps(event.document, option=orjson.OPT_INDENT_2).split(b"\n")
    event.document = b"\ndata: ".join(lines)
    return event.written()


@streams("comment-first", "A stream begins with a comment.", rewrite_events)
async def comment_first(_call: MutantCall, events: Events) -> Events:
    yield Event(None, comment=b": welcome\n\n")
    async for event in events:
        yield event


@streams("closed-late", "A stream is closed two seconds after its end.", rewrite_events, in_real_time=True)
async def closes_late(call: MutantCall, events: Events) -> Events:
    async for event in events:
        yield event
    await pause(call, 2)


async def pause(call: MutantCall, seconds: float) -> None:
    """Wait in real time, or until the client has gone."""
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(call.gone.wait(), seconds)


def slowly(seconds: float, *operations: str) -> Layer:
    async def layer(call: MutantCall) -> Answer:
        if call.request.operation in operations:
            await pause(call, seconds)
        return await call.proceed()

    return layer


@lists("deleted-listed-three-seconds", "A deleted job is listed for three seconds more.", in_real_time=True)
async def listed_longer(call: MutantCall) -> Answer:
    request, ghosts = call.request, call.memory.setdefault("ghosts", [])
    before = (await call.ask("GET", f"/v1/jobs/{request.job_id}")).document if request.operation == DELETE else None
    cursor = request.parameters.get("cursor", "")
    is_mine = cursor.startswith("ghosts")
    answer = await call.proceed(request.with_parameters(cursor=None) if is_mine else request)
    if before and answer.status == 200:
        ghosts.append((before, await call.now()))
    if request.operation == LIST and answer.status == 200 and ghosts and (is_mine or not cursor):
        asked, now = request.parameters, await call.now()
        filters = {name: value for name, value in asked.items() if name in {"type", "status"}}
        shown = [job for job, at in ghosts if (now - at).total_seconds() < LATER_SECONDS]
        shown = [job for job in shown if all(job[name] == value for name, value in filters.items())]
        jobs = sorted([*await every_job(call, **filters), *shown], key=lambda job: str(job["createdAt"]), reverse=True)
        start = int(cursor[6:] or 0)
        end = start + int(asked.get("limit", 25))
        answer.document = {"jobs": jobs[start:end], "nextCursor": f"ghosts{end}" if end < len(jobs) else None}
    return answer


@reading("charges")(
    "charged-three-seconds-later", "A render is charged three seconds after its end.", in_real_time=True
)
async def charged_later(call: MutantCall) -> Answer:
    """Show what was used some seconds ago."""
    answer = await call.proceed()
    if call.request.operation != "getUsage" or answer.status != 200:
        return answer
    jobs = (await call.ask("GET", "/v1/jobs?limit=100")).document["jobs"]
    now, minutes, document = await call.now(), 0.0, answer.document
    for job in jobs:
        ended = (now - datetime.fromisoformat(job["updatedAt"])).total_seconds()
        if job["status"] == "done" and ended < LATER_SECONDS:
            minutes += job["mediaData"]["duration"] / 60
    used = document["renderMinutes"]
    used["used"] = round(max(0.0, used["used"] - minutes), 6)
    if used["limit"] is not None:
        used["remaining"] = round(used["limit"] - used["used"], 6)
    answer.document = document
    return answer


@reading("cancel")("cancel-takes-a-second", "A cancel takes effect a second later.", in_real_time=True)
async def cancels_later(call: MutantCall) -> Answer:
    """Take a cancel, and carry it out with the first request a second later."""
    request, due = call.request, call.memory.setdefault("due", {})
    for job_id in [each for each, at in due.items() if (await call.now() - at).total_seconds() >= 1]:
        del due[job_id]
        await call.ask("POST", f"/v1/jobs/{job_id}/cancel")
    if request.operation != CANCEL or request.method != "POST":
        return await call.proceed()
    path = f"/v1/jobs/{request.job_id}"
    scope = {**request.scope, "method": "GET", "path": path, "raw_path": path.encode()}
    answer = await call.proceed(Request(scope, request.body, GET, (), request.job_id))
    if answer.status == 200:
        if answer.document["status"] in TERMINAL:
            return call.refusal("INVALID_STATE_TRANSITION", action="cancel", **answer.document)
        due.setdefault(request.job_id, await call.now())
        answer.status = 202
    return answer


@lists("unknown-status-empty", "An unknown status gives an empty page.", after, LIST)
async def unknown_status_is_empty(call: MutantCall, answer: Answer) -> Answer | None:
    status = call.request.parameters.get("status")
    if answer.status != 400 or status in (None, *STATUSES):
        return None
    rest = await call.again(call.request.with_parameters(status="queued"))
    return json_answer({"jobs": [], "nextCursor": None}) if rest.status == 200 else None


@lists("unknown-type-refused", "An unknown type is refused.", when, LIST)
async def unknown_type_is_refused(call: MutantCall) -> Answer | None:
    asked = call.request.parameters.get("type")
    known = ("render", "render.movie", "render.scene", "render.assemble", "render.finalize", *OTHER_TYPES)
    answer = await call.proceed()
    if answer.status != 200 or asked is None or asked in known:
        return answer
    return call.refusal("VALIDATION_ERROR", violations="query parameter `type` is not known")


async def exact_type(call: MutantCall, answer: Answer) -> None:
    if asked := call.request.parameters.get("type"):
        page = answer.document
        answer.document = {**page, "jobs": [job for job in page["jobs"] if job["type"] == asked]}


@errors("media-type-415", "Another media type is refused with 415.")
async def media_type_415(call: MutantCall) -> Answer:
    answer = await call.proceed()
    kind = call.request.header("content-type") or ""
    if call.request.operation == SUBMIT and answer.status == 400 and not kind.startswith("application/json"):
        answer.status, answer.document = 415, {"error": "Send JSON.", "code": "UNSUPPORTED_MEDIA_TYPE"}
    return answer


@errors("head-refused", "HEAD is refused.")
async def no_head(call: MutantCall) -> Answer:
    return Answer(405, [(b"allow", b"GET")]) if call.request.method == "HEAD" else await call.proceed()


def callback_refused(status: int, code: str) -> Layer:
    """Refuse a `callbackUrl` that is not public."""

    async def make(call: MutantCall) -> Answer | None:
        document = call.request.document
        url = document.get("callbackUrl") if isinstance(document, dict) else None
        host = urlsplit(url).hostname if isinstance(url, str) else None
        if host not in {"localhost", "127.0.0.1"} or (await call.ask_as_sent("GET", "/v1/me")).status != 200:
            return None
        body = {"error": "callbackUrl must be publicly reachable", "code": code}
        return json_answer(body, status)

    return when(make, SUBMIT)


@errors("project-unknown", "A project that does not exist is refused with 404.")
async def unknown_project(call: MutantCall) -> Answer:
    answer = await call.proceed()
    document = call.request.document
    if call.request.operation == SUBMIT and answer.status == 202 and document.get("projectId") != "proj_demo01":
        await call.ask("POST", f"/v1/jobs/{answer.document['jobId']}/cancel")
        await call.ask("DELETE", f"/v1/jobs/{answer.document['jobId']}")
        return json_answer({"error": "There is no such project.", "code": "PROJECT_NOT_FOUND"}, 404)
    return answer


def first_refused_by(*codes: str, instead: frozenset[int]) -> Layer:
    """Where a request is refused for its key or plan, look whether it is wrong in another way too, and say that."""

    async def layer(call: MutantCall) -> Answer:
        answer = await call.proceed()
        if answer.code in codes and call.request.operation:
            other = await call.again(call.request.with_headers(x_api_key=UNUSED_KEY, authorization=None))
            return other if other.status in instead else answer
        return answer

    return layer


@order("key-before-route", "A key is read before the route.")
async def key_before_route(call: MutantCall) -> Answer:
    answer = await call.proceed()
    if answer.status in {404, 405} and call.request.operation is None:
        me = await call.ask_as_sent("GET", "/v1/me")
        return me if me.status == 401 else answer
    return answer


@transport("gzip", "Answers are compressed.")
async def zipped(call: MutantCall) -> Answer:
    answer = await call.proceed()
    if answer.events is None and answer.body and "gzip" in (call.request.header("accept-encoding") or ""):
        answer.body = gzip.compress(answer.body)
        answer.set_header("content-encoding", "gzip")
    return answer


@transport("chunked", "Answers come in pieces, without a length.")
async def chunked(call: MutantCall) -> Answer:
    answer = await call.proceed()
    if answer.events is None and answer.body and call.request.method != "HEAD":
        answer.set_header("content-length", None)
        answer.events = halves(answer.body)
        answer.body = b""
    return answer


async def halves(body: bytes) -> AsyncGenerator[bytes]:
    middle = len(body) // 2
    for part in (body[:middle], body[middle:]):
        yield part


@transport("headers-in-capitals", "The names of headers have capital letters.")
async def capital_headers(call: MutantCall) -> Answer:
    answer = await call.proceed()
    answer.headers = [(name.title(), value) for name, value in answer.headers if name != b"content-length"]
    return answer


@transport("clock-a-minute-off", "The clock of the server is a minute ahead.", edit_response, statuses=None)
def minute_off(answer: Answer) -> None:
    if date := answer.header("date"):
        answer.set_header("date", format_datetime(parsedate_to_datetime(date) + timedelta(seconds=60), usegmt=True))


lists.add("jobs-of-other-domains", "The account has a few jobs of other domains.", with_others(7), in_real_time=True)
lists.add("hundreds-of-other-jobs", "The account has 300 jobs of other domains.", with_others(300), in_real_time=True)
lists.add("new-jobs-listed-late", "A new job is listed after five seconds.", after(new_hidden, LIST, status=200),
    in_real_time=True)  # fmt: skip
reading("cancel").add(
    "queued-not-cancelled", "A queued job cannot be cancelled.", when(refuses_queued, CANCEL), in_real_time=True
)
lists.add("type-matched-exactly", "The type is compared exactly.", after(exact_type, LIST, status=200))
lists.add("type-matched-exactly-movie", "The type is `render.movie`, and compared exactly.",
    after(exact_type, LIST, status=200), behaviour={"job": {"type": "render.movie"}})  # fmt: skip
reading("rate limit").add(
    "retry-after-generous", "Retry-After is longer than it must be.", retry(lambda w: str(min(w + 5, 60)))
)
reading("webhooks").add("callback-refused-400", "A `callbackUrl` that is not public is refused with 400.",
    callback_refused(400, "VALIDATION_ERROR"), in_real_time=True)  # fmt: skip
reading("webhooks").add("callback-refused-403", "A `callbackUrl` that is not public is refused with 403.",
    callback_refused(403, "FORBIDDEN"), in_real_time=True)  # fmt: skip
order.add("body-before-key", "A body is read before the key.",
    first_refused_by("UNAUTHORIZED", "API_KEY_REVOKED", instead=frozenset({400, 413})))  # fmt: skip
order.add(
    "body-before-plan", "A body is read before the plan.", first_refused_by("FORBIDDEN", instead=frozenset({400}))
)
order.add(
    "job-before-plan", "A job is looked up before the plan.", first_refused_by("FORBIDDEN", instead=frozenset({404}))
)
transport.add("slow-answers", "An answer takes a while.", slowly(0.3, SUBMIT, CANCEL, STREAM))
