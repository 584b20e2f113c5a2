"""Mutants that let the wrong people in, or keep the right ones out."""

from __future__ import annotations

from collections.abc import Callable

from viralsync_conform.mutants.engine.asgi import Answer, Request
from viralsync_conform.mutants.engine.exchange import UNUSED_KEY, Layer, MutantCall
from viralsync_conform.mutants.engine.layers import SECURED, edit_request, is_for
from viralsync_conform.mutants.mutant import Section

FORBIDDEN, UNAUTHORIZED, NOT_FOUND = 403, 401, 404
keys = Section("keys")


def owner_of(call: MutantCall) -> str:
    known = call.world.owners.get(call.request.job_id or "")
    return known or next(iter(call.world.owners.values()), UNUSED_KEY)


def let_in(*operations: str, which: Callable[[Request], bool]) -> Layer:
    """Take requests without a valid key for those of the owner of the job, or of some account."""

    async def layer(call: MutantCall) -> Answer:
        answer = await call.proceed()
        if answer.status == UNAUTHORIZED and is_for(call.request, operations) and which(call.request):
            return await call.again(call.request.with_headers(x_api_key=owner_of(call), authorization=None))
        return answer

    return layer


def is_foreign(call: MutantCall, answer: Answer, operations: tuple[str, ...]) -> bool:
    """Say whether a job was not found since it is another account's."""
    owner = call.world.owners.get(call.request.job_id or "")
    return answer.status == NOT_FOUND and owner not in (None, call.request.key) and is_for(call.request, operations)


def as_owner(*operations: str) -> Layer:
    """Take a request for another account's job for one of its owner."""

    async def layer(call: MutantCall) -> Answer:
        answer = await call.proceed()
        if is_foreign(call, answer, operations):
            return await call.again(call.request.with_headers(x_api_key=owner_of(call), authorization=None))
        return answer

    return layer


def foreign_as(code: str, *operations: str) -> Layer:
    """Refuse another account's job so that it is known to be there."""

    async def layer(call: MutantCall) -> Answer:
        answer = await call.proceed()
        return call.refusal(code, plan="pro") if is_foreign(call, answer, operations) else answer

    return layer


def without_bearer(request: Request) -> Request:
    return request.with_headers(authorization=None)


@keys("key-echoed", "A refusal repeats the key that was sent.")
async def echoes_key(call: MutantCall) -> Answer:
    answer = await call.proceed()
    if answer.status == UNAUTHORIZED and isinstance(answer.document, dict):
        answer.document = {**answer.document, "error": f"The key {call.request.key} is not valid."}
    return answer


def has_no_key(request: Request) -> bool:
    return request.header("x-api-key") is None and request.header("authorization") is None


def has_key(request: Request) -> bool:
    return not has_no_key(request)


def words(operation: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in operation)


for each in SECURED:
    keys.add(f"{words(each)}-without-key", f"`{each}` answers without a key.", let_in(each, which=has_no_key))
    keys.add(f"{words(each)}-with-any-key", f"`{each}` answers to a key that is none.", let_in(each, which=has_key))
    bearerless = edit_request(without_bearer, each)
    keys.add(f"{words(each)}-without-bearer", f"`{each}` knows no bearer token.", bearerless)
keys.add("all-without-key", "Every operation answers without a key.", let_in(which=has_no_key))
keys.add("all-without-bearer", "No operation knows a bearer token.", edit_request(without_bearer))
keys.add("foreign-job-readable", "Another account's job can be read.", as_owner("getJob"))
keys.add("foreign-job-streamable", "Another account's job can be streamed.", as_owner("streamJobProgress"))
keys.add("foreign-job-cancellable", "Another account's job can be cancelled.", as_owner("cancelJob"))
keys.add("foreign-job-deletable", "Another account's job can be deleted.", as_owner("deleteJob"))
keys.add("foreign-job-403", "Another account's job is answered with 403.", foreign_as("FORBIDDEN"))
keys.add("foreign-job-401", "Another account's job is answered with 401.", foreign_as("UNAUTHORIZED"))
MUTANTS = keys.mutants
