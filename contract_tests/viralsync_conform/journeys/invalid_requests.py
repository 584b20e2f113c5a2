"""What is not valid is refused, in one shape: keys, routes, methods, ids, bodies and their types."""

from __future__ import annotations

from viralsync_conform.budget import worst_case
from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.findings import Check
from viralsync_conform.journeys.job_lifecycle import completed_job
from viralsync_conform.run.journey import journey
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.run.request import as_json
from viralsync_conform.run.submissions import cancel, register_job, reserve, submission
from viralsync_mock.randomness import hexadecimal

WRONG_KEY = "vs_prod_no-key-of-anyone"
READS = ("getMe", "getUsage", "listJobs")
WITH_JOB = ("getJob", "streamJobProgress", "cancelJob", "deleteJob")


def _refused(context: JourneyContext, operation: str, job_id: str | None, headers: dict[str, str], step: str) -> None:
    """Call an operation without a valid key; what it makes all the same is cancelled."""
    body = submission(context.run.project_id) if operation == "submitRenderJob" else None
    path = {"jobId": job_id} if job_id else {}
    call = context.call(
        operation, "UNAUTHORIZED", fact=facts.KEY_NEEDED, path=path, headers=headers, body=body, auth="none", step=step
    )
    if body and call.is_success:
        job = register_job(context, call, body, 0.0)
        if job:
            cancel(context, job)


@journey("keys_of_reads", "Nothing is read without a valid key.", 6)
def keys_of_reads(context: JourneyContext) -> None:
    for operation in READS:
        _refused(context, operation, None, {}, f"{operation} without a key")
        _refused(context, operation, None, {"x-api-key": WRONG_KEY}, f"{operation} with a wrong key")


@journey(
    "keys_of_jobs", "No job is submitted, read, streamed, cancelled or deleted without a valid key.", 12, renders=True
)
def keys_of_jobs(context: JourneyContext) -> None:
    life = completed_job(context)
    job_id = life.job.id
    for operation in (*WITH_JOB, "submitRenderJob"):
        target = None if operation == "submitRenderJob" else job_id
        _refused(context, operation, target, {}, f"{operation} without a key")
        _refused(context, operation, target, {"authorization": f"Bearer {WRONG_KEY}"}, f"{operation} with a wrong key")
    call = context.call("getJob", 200, fact=facts.STAYS, path={"jobId": job_id}, step="read after refused calls")
    if not life.is_given_up:
        context.check_equal(facts.STAYS, "done", call.document.get("status"), call)


@journey(
    "foreign_jobs",
    "Another account's job is unknown to every operation, and stays as it is.",
    8,
    renders=True,
    needs_control=True,
)
def foreign_jobs(context: JourneyContext) -> None:
    job_id = completed_job(context).job.id
    stranger = context.as_account(context.run.target.account("stranger"))
    for operation in WITH_JOB:
        stranger.call(
            operation, "JOB_NOT_FOUND", fact=facts.FOREIGN, path={"jobId": job_id}, step=f"{operation} of another's job"
        )
    page = stranger.call("listJobs", 200, step="list of a stranger")
    listed = page.document.get(context.run.contract.behaviour.list_key)
    context.check(facts.FOREIGN, listed == [], page, expected=[], got=listed)
    context.call("getJob", 200, fact=facts.FOREIGN, path={"jobId": job_id}, step="read after a stranger")


@journey(
    "revoked_key",
    "A revoked key is refused as such, by every kind of operation, and again accepted when it is not revoked.",
    8,
    needs_control=True,
)
def revoked_key(context: JourneyContext) -> None:
    revoked = context.as_account(context.run.target.account("revoked"))
    sandbox = revoked.account.sandbox
    assert sandbox is not None  # noqa: S101 - a throwaway account has one
    sandbox.account(revoked=True)
    body = submission(context.run.project_id)
    for operation in (*READS, "submitRenderJob"):
        revoked.call(
            operation, "API_KEY_REVOKED", fact=facts.REVOKED, body=body if operation == "submitRenderJob" else None,
            step=f"{operation} with a revoked key",
        )  # fmt: skip
    sandbox.account(revoked=False)
    revoked.call("getMe", 200, step="me, no longer revoked")


SCHEME = Check("scheme", "A key is taken as a bearer token only.", facts.A, facts.AUTH)


@journey("odd_keys", "What is no key is refused as one that is wrong, whatever it looks like.", 8)
def odd_keys(context: JourneyContext) -> None:
    odd = {
        "empty": {"x-api-key": ""},
        "too short": {"x-api-key": "vs_prod_abc"},
        "capitals": {"x-api-key": "VS_PROD_" + "A" * 32},
        "very long": {"x-api-key": "vs_prod_" + "a" * 4000},
        "no token": {"authorization": "Bearer"},
        "another scheme": {"authorization": "Basic dXNlcjpwYXNzd29yZA=="},
    }
    scheme = {"authorization": f"ApiKey {context.account.key}"}
    context.call("getMe", "UNAUTHORIZED", fact=SCHEME, headers=scheme, auth="none", step="key: right, another scheme")
    for name, headers in odd.items():
        context.call("getMe", "UNAUTHORIZED", fact=facts.KEY_NEEDED, headers=headers, auth="none", step=f"key: {name}")


@journey("two_keys", "Two keys that differ are refused.", 1)
def two_keys(context: JourneyContext) -> None:
    other = "vs_prod_" + "0" * 32
    context.call(
        "getMe", "UNAUTHORIZED", fact=facts.TWO_KEYS, headers={"authorization": f"Bearer {other}"}, step="two keys"
    )


ALLOW = Check("allow", "A 405 names exactly the methods of the path.", facts.A, facts.ERRORS)
JSON_TYPE = {"content-type": "application/json"}


@journey("unknown_routes", "An unknown path is a 404 in the API's shape, whatever it looks like.", 5)
def unknown_routes(context: JourneyContext) -> None:
    for number, path in enumerate(("/v1/conformance", "/")):
        call = context.request("GET", path, "NOT_FOUND", step=f"unknown route {number}")
        if path != "/":  # there may be a page
            context.check(facts.UNKNOWN_ROUTE, not call.is_success, call, expected=404, got=call.status)


@journey("wrong_methods", "A method that a path does not have is a 405 with the methods that it has.", 8, writes=True)
def wrong_methods(context: JourneyContext) -> None:
    for method, path in (("GET", "/v1/render/jobs"), ("POST", "/v1/jobs"), ("POST", "/v1/me"), ("POST", "/v1/usage")):
        _wrong_method(context, method, path, path)


@journey("wrong_methods_of_jobs", "A method that the path of a job does not have is a 405 as well.", 4, renders=True)
def wrong_methods_of_jobs(context: JourneyContext) -> None:
    job_id = completed_job(context).job.id
    for method, rest in (("POST", ""), ("POST", "/progress"), ("GET", "/cancel")):
        _wrong_method(context, method, f"/v1/jobs/{job_id}{rest}", f"/v1/jobs/{{jobId}}{rest}")


def _wrong_method(context: JourneyContext, method: str, path: str, template: str) -> None:
    call = context.request(method, path, "METHOD_NOT_ALLOWED", step=f"{method} {template}")
    if call.status != context.run.contract.status_of_code("METHOD_NOT_ALLOWED"):
        return
    declared = {each.method for each in context.run.contract.operations.values() if each.path == template}
    named = {each.strip().upper() for each in (call.header("allow") or "").split(",")}
    context.check(
        ALLOW, declared <= named <= declared | {"HEAD", "OPTIONS"}, call, expected=sorted(declared), got=named
    )


@journey("unknown_jobs", "A job that does not exist is a 404, for its page and for its stream.", 3)
def unknown_jobs(context: JourneyContext) -> None:
    path = {"jobId": f"job_{hexadecimal(context.run.seed, 'unknown job', length=12)}"}
    context.call("getJob", "JOB_NOT_FOUND", path=path, step="unknown job")
    context.call("streamJobProgress", "JOB_NOT_FOUND", path=path, step="stream of an unknown job")


@journey("broken_bodies", "A body that is no submission is refused, whatever is wrong with it.", 9, writes=True)
def broken_bodies(context: JourneyContext) -> None:
    bodies = {
        "cut short": b'{"kind": "movie", "projectId": ',
        "empty": b"",
        "no object": b"[]",
        "null": b"null",
        "no UTF-8": b'{"kind": "movie", "projectId": "\xff\xfe"}',
        "deeply nested": b"[" * 2000 + b"]" * 2000,
        "doubled": b'{"kind": "movie"} {"kind": "movie"}',
    }
    for name, content in bodies.items():
        context.call("submitRenderJob", "VALIDATION_ERROR", content=content, headers=JSON_TYPE, step=f"body: {name}")
    text = "x" * context.run.contract.document["x-body-limit"]["bytes"]
    large = as_json({"kind": "movie", "projectId": text})  # without a movie: nothing to render, whoever takes it
    context.call("submitRenderJob", "PAYLOAD_TOO_LARGE", content=large, headers=JSON_TYPE, step="body: too large")


@journey(
    "large_bodies", "No operation reads a body that is too large, also one that needs none.", 8, needs_control=True
)
def large_bodies(context: JourneyContext) -> None:
    own = next(iter(context.run.guard.created), "")
    large = b" " * (context.run.contract.document["x-body-limit"]["bytes"] + 1)
    for operation, known in context.run.contract.operations.items():
        path = {"jobId": own} if "{jobId}" in known.path else {}
        if operation != "submitRenderJob" and (own or not path):
            context.call(
                operation, "PAYLOAD_TOO_LARGE", path=path, content=large, headers=JSON_TYPE, is_repeatable=True,
                step=f"{operation} with a large body",
            )  # fmt: skip


@journey(
    "content_type", "Whether a body needs the media type of JSON is learned from one that lacks it.", 2, renders=True
)
def content_type(context: JourneyContext) -> None:
    body = submission(context.run.project_id)
    minutes = worst_case(body)
    reserve(context, minutes)
    known = context.run.contract.behaviour.content_type_required
    call = context.call(
        "submitRenderJob",
        "VALIDATION_ERROR" if known else 202,
        fact=CONTENT_TYPE_NEEDED,
        content=as_json(body),
        headers={"content-type": "text/plain"},
        step="valid body as text/plain",
        is_repeatable=False,
    )
    job = register_job(context, call, body, minutes)
    if job is not None:
        cancel(context, job)
    if call.status in {202, 400, 415}:
        context.learn("content_type.required", job is None, call)


CONTENT_TYPE_NEEDED = Check(
    "content_type_needed", "A body is taken with the media type of JSON only.", facts.A, facts.RENDER
)
