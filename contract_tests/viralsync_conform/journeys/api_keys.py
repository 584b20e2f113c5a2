"""Keys: every operation needs one, both headers carry it, and it opens its own account only."""

from __future__ import annotations

from viralsync_conform.contract import documented_behaviour as facts
from viralsync_conform.findings import Check
from viralsync_conform.journeys.job_lifecycle import completed_job
from viralsync_conform.run.journey import journey
from viralsync_conform.run.journey_context import JourneyContext
from viralsync_conform.run.submissions import cancel, register_job, submission

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
