"""Mutants that let the wrong people in, or keep the right ones out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from viralsync_conform.mutants.engine.asgi import Answer, Request
from viralsync_conform.mutants.engine.exchange import UNUSED_KEY, Layer, MutantCall
from viralsync_conform.mutants.engine.layers import (
    SECURED,
    edit_error,
    edit_json,
    edit_request,
    fields,
    is_for,
    response_mutant,
    status,
)
from viralsync_conform.mutants.mutant import Mutant
from viralsync_mock.app import CONTROL_PREFIX

ACCOUNT = f"{CONTROL_PREFIX}/account"
FORBIDDEN, UNAUTHORIZED, NOT_FOUND = 403, 401, 404

keys = partial(response_mutant, "keys")


def owner_of(visit: MutantCall) -> str:
    """Return the key of whoever owns the job of the request, or of anybody."""
    known = visit.world.owners.get(visit.request.job_id or "")
    return known or next(iter(visit.world.owners.values()), UNUSED_KEY)


def let_in(*operations: str, which: Callable[[Request], bool]) -> Layer:
    """Take requests without a valid key for those of the owner of the job, or of some account."""

    async def layer(visit: MutantCall) -> Answer:
        answer = await visit.proceed()
        if answer.status == UNAUTHORIZED and is_for(visit.request, operations) and which(visit.request):
            return await visit.again(visit.request.with_headers(x_api_key=owner_of(visit), authorization=None))
        return answer

    return layer


def as_owner(*operations: str) -> Layer:
    """Take a request for another account's job for one of its owner."""

    async def layer(visit: MutantCall) -> Answer:
        answer = await visit.proceed()
        owner = visit.world.owners.get(visit.request.job_id or "")
        if (
            answer.status == NOT_FOUND
            and visit.request.operation in operations
            and owner not in (None, visit.request.key)
        ):
            return await visit.again(visit.request.with_headers(x_api_key=owner, authorization=None))
        return answer

    return layer


def foreign_as(code: str) -> Layer:
    """Refuse another account's job so that it is known to be there."""

    async def layer(visit: MutantCall) -> Answer:
        answer = await visit.proceed()
        owner = visit.world.owners.get(visit.request.job_id or "")
        if answer.status == NOT_FOUND and owner not in (None, visit.request.key):
            return visit.refusal(code, plan="pro")
        return answer

    return layer


def under_account(code: str, field: str, meanwhile: object, *operations: str) -> Layer:
    """Answer a request that was refused with this code as though the account were another."""

    async def layer(visit: MutantCall) -> Answer:
        answer = await visit.proceed()
        if answer.code != code or not is_for(visit.request, operations):
            return answer
        before = (await visit.ask("GET", ACCOUNT)).document[field]
        await visit.ask("PATCH", ACCOUNT, {field: meanwhile})
        try:
            return await visit.again(visit.request)
        finally:
            await visit.ask("PATCH", ACCOUNT, {field: before})

    return layer


def without_bearer(request: Request) -> Request:
    """Overlook a bearer token."""
    return request.with_headers(authorization=None)


def without_header(request: Request) -> Request:
    """Overlook `x-api-key`."""
    return request.with_headers(x_api_key=None)


async def echoes_key(visit: MutantCall) -> Answer:
    """Repeat the key in the text of a refusal."""
    answer = await visit.proceed()
    if answer.status == UNAUTHORIZED and isinstance(answer.document, dict):
        answer.document = {**answer.document, "error": f"The key {visit.request.key} is not valid."}
    return answer


def has_no_key(request: Request) -> bool:
    """Say whether no key was sent."""
    return request.header("x-api-key") is None and request.header("authorization") is None


def has_key(request: Request) -> bool:
    """Say whether some key was sent."""
    return not has_no_key(request)


def _words(operation: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in operation)


OPEN: tuple[Mutant, ...] = tuple(
    keys(f"{_words(each)}-without-key", f"`{each}` answers without a key.", let_in(each, which=has_no_key))
    for each in SECURED
)
LAX: tuple[Mutant, ...] = tuple(
    keys(f"{_words(each)}-with-any-key", f"`{each}` answers to a key that is none.", let_in(each, which=has_key))
    for each in SECURED
)
BEARERLESS: tuple[Mutant, ...] = tuple(
    keys(f"{_words(each)}-without-bearer", f"`{each}` knows no bearer token.", edit_request(without_bearer, each))
    for each in SECURED
)

KEYS: tuple[Mutant, ...] = (
    *OPEN,
    *LAX,
    *BEARERLESS,
    keys("all-without-key", "Every operation answers without a key.", let_in(which=has_no_key)),
    keys("all-without-bearer", "No operation knows a bearer token.", edit_request(without_bearer)),
    keys("all-without-header", "No operation knows the header x-api-key.", edit_request(without_header)),
    keys("missing-key-403", "A missing key is answered with 403.", edit_error("UNAUTHORIZED", status(FORBIDDEN))),
    keys("missing-key-400", "A missing key is answered with 400.", edit_error("UNAUTHORIZED", status(400))),
    keys("missing-key-404", "A missing key is answered with 404.", edit_error("UNAUTHORIZED", status(404))),
    keys(
        "missing-key-other-code",
        "A missing key has the code `INVALID_API_KEY`.",
        edit_json(
            lambda d: d.update(code="INVALID_API_KEY") if d["code"] == "UNAUTHORIZED" else None,
            statuses=frozenset({401}),
        ),
    ),
    keys("revoked-key-accepted", "A revoked key is accepted.", under_account("API_KEY_REVOKED", "revoked", False)),
    keys(
        "revoked-key-reads",
        "A revoked key may still read jobs.",
        under_account("API_KEY_REVOKED", "revoked", False, "getJob", "listJobs"),
    ),
    keys(
        "revoked-key-other-code",
        "A revoked key has the code `UNAUTHORIZED`.",
        edit_json(lambda d: d.update(code="UNAUTHORIZED"), statuses=frozenset({401})),
    ),
    keys("revoked-key-403", "A revoked key is answered with 403.", edit_error("API_KEY_REVOKED", status(FORBIDDEN))),
    keys("free-plan-served", "The Free plan may use the REST API.", under_account("FORBIDDEN", "plan", "pro")),
    keys(
        "free-plan-submits", "The Free plan may submit.", under_account("FORBIDDEN", "plan", "pro", "submitRenderJob")
    ),
    keys("free-plan-lists", "The Free plan may list jobs.", under_account("FORBIDDEN", "plan", "pro", "listJobs")),
    keys("free-plan-401", "The Free plan is answered with 401.", edit_error("FORBIDDEN", status(UNAUTHORIZED))),
    keys("free-plan-402", "The Free plan is answered with 402.", edit_error("FORBIDDEN", status(402))),
    keys(
        "free-plan-other-code",
        "The Free plan has the code `PLAN_LIMIT_EXCEEDED`.",
        edit_json(lambda d: d.update(code="PLAN_LIMIT_EXCEEDED"), statuses=frozenset({FORBIDDEN})),
    ),
    keys("foreign-job-readable", "Another account's job can be read.", as_owner("getJob")),
    keys("foreign-job-streamable", "Another account's job can be streamed.", as_owner("streamJobProgress")),
    keys("foreign-job-cancellable", "Another account's job can be cancelled.", as_owner("cancelJob")),
    keys("foreign-job-deletable", "Another account's job can be deleted.", as_owner("deleteJob")),
    keys("foreign-job-403", "Another account's job is answered with 403.", foreign_as("FORBIDDEN")),
    keys("foreign-job-401", "Another account's job is answered with 401.", foreign_as("UNAUTHORIZED")),
    keys(
        "me-other-plan",
        "`getMe` names the plan `enterprise`, whatever it is.",
        edit_json(fields(plan="enterprise"), "getMe"),
    ),
    keys(
        "me-plan-in-capitals",
        "`getMe` writes the plan in capitals.",
        edit_json(lambda d: d.update(plan=d["plan"].upper()), "getMe"),
    ),
    keys("me-without-email", "`getMe` has an empty email.", edit_json(fields(email=""), "getMe")),
    keys("key-echoed", "A refusal repeats the key that was sent.", echoes_key),
)
