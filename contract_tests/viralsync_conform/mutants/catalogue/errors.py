"""Mutants that refuse wrongly: the shape of an error, its code, its status, and what meets odd input."""

from __future__ import annotations

from collections.abc import Callable

from viralsync_conform.mutants.engine.asgi import Answer, Request
from viralsync_conform.mutants.engine.exchange import Layer, MutantCall
from viralsync_conform.mutants.engine.layers import (
    REFUSALS,
    Document,
    edit_json,
)
from viralsync_conform.mutants.mutant import Section

errors = Section("errors")


def each_error(edit: Callable[[Document], object]) -> Layer:
    return edit_json(edit, statuses=REFUSALS)


@errors("errors-nested", "Text and code of an error stand in an object.", each_error)
def nested(document: Document) -> None:
    document["error"] = {"message": document["error"], "code": document.pop("code")}


def crash(is_odd: Callable[[Request], bool]) -> Layer:
    """Answer what is odd with 500."""

    async def layer(call: MutantCall) -> Answer:
        answer = await call.proceed()
        is_let_in = answer.status not in {401, 405, 429}
        return call.refusal("INTERNAL_ERROR") if is_let_in and is_odd(call.request) else answer

    return layer


@errors("crash-on-text-limit", "A limit that is no number is answered with 500.", crash)
def is_text_limit(request: Request) -> bool:
    limit = request.parameters.get("limit")
    return limit is not None and not limit.lstrip("-").isdigit()


@errors("crash-on-broken-json", "A body that is not JSON is answered with 500.", crash)
def is_broken(request: Request) -> bool:
    return request.operation == "submitRenderJob" and request.document is None


@errors("crash-on-no-object", "A body that is no object is answered with 500.", crash)
def is_no_object(request: Request) -> bool:
    return request.operation == "submitRenderJob" and isinstance(request.document, list | str | int)


@errors("crash-on-no-scenes", "A movie without scenes is answered with 500.", crash)
def has_no_scenes(request: Request) -> bool:
    document = request.document
    movie = document.get("movie") if isinstance(document, dict) else None
    is_odd = isinstance(movie, dict) and not (isinstance(movie.get("scenes"), list) and movie["scenes"])
    return request.operation == "submitRenderJob" and is_odd


@errors("crash-on-nul", "A NUL is answered with 500.", crash)
def has_nul(request: Request) -> bool:
    return "\0" in request.path or b"\\u0000" in request.body


@errors("crash-on-alphabets", "An id in another alphabet is answered with 500.", crash)
def is_not_ascii(request: Request) -> bool:
    return not request.path.isascii()


@errors("crash-on-long-id", "A very long id is answered with 500.", crash)
def is_long(request: Request) -> bool:
    return len(request.job_id or "") > 100


def has_bad_key(request: Request) -> bool:
    return bool(request.key) and not request.key.startswith("vs_")


@errors("crash-on-bad-cursor", "A cursor that nobody gave is answered with 500.", crash)
def has_bad_cursor(request: Request) -> bool:
    return "cursor" in request.parameters and len(request.parameters["cursor"]) < 12


@errors("crash-on-bad-key", "A malformed key is answered with 500.")
async def crash_on_bad_key(call: MutantCall) -> Answer:
    answer = await call.proceed()
    return call.refusal("INTERNAL_ERROR") if answer.status == 401 and has_bad_key(call.request) else answer


@errors("wrong-method-404", "A wrong method is an unknown route.")
async def head_not_allowed(call: MutantCall) -> Answer:
    answer = await call.proceed()
    if answer.status == 405:
        return call.refusal("NOT_FOUND", method=call.request.method, path=call.request.path)
    return answer


def words(code: str) -> str:
    return code.lower().replace("_", "-")


def message(answer: Answer) -> None:
    if answer.status >= 400 and isinstance(answer.document, dict):
        answer.document = {"message": answer.document.get("error"), "code": answer.code}


def _crash(answer: Answer) -> None:
    answer.status = 500
    answer.document = {"error": "Something went wrong on our side.", "code": "INTERNAL_ERROR"}


@errors.blind("bad-cursor-500", "A bad cursor answers 500.")
async def bad_cursor(call: MutantCall) -> Answer:
    answer = await call.proceed()
    if call.request.operation == "listJobs" and answer.status == 400 and "cursor" in call.request.parameters:
        _crash(answer)
    return answer


@errors.blind("bad-json-500", "A body that is not JSON answers 500.")
async def bad_json(call: MutantCall) -> Answer:
    answer = await call.proceed()
    if call.request.operation == "submitRenderJob" and answer.status == 400 and call.request.document is None:
        _crash(answer)
    return answer


@errors.blind("longer-key-accepted", "Characters after a valid key are ignored.")
async def long_key(call: MutantCall) -> Answer:
    key = call.request.header("x-api-key") or ""
    return await call.proceed(call.request.with_headers(x_api_key=key[:40]) if len(key) > 40 else None)


@errors.blind("key-in-any-case", "A key may be sent in capital letters.")
async def upper_key(call: MutantCall) -> Answer:
    key = call.request.header("x-api-key")
    return await call.proceed(call.request.with_headers(x_api_key=key.lower()) if key else None)


@errors.blind("no-bearer-for-streams", "A bearer token is no key for streams.")
async def no_bearer_for_streams(call: MutantCall) -> Answer:
    request = call.request
    if request.operation == "streamJobProgress" and request.header("x-api-key") is None:
        return await call.proceed(request.with_headers(authorization=None))
    return await call.proceed()


@errors.blind("no-bearer-for-deletes", "A bearer token is no key for deletions.")
async def no_bearer_for_deletes(call: MutantCall) -> Answer:
    request = call.request
    if request.operation == "deleteJob" and request.header("x-api-key") is None:
        return await call.proceed(request.with_headers(authorization=None))
    return await call.proceed()


@errors.blind("bearer-not-counted", "Requests with a bearer token do not count against the rate limit.")
async def bearer_uncounted(call: MutantCall) -> Answer:
    is_bearer = call.request.operation and call.request.header("x-api-key") is None and call.request.key
    return await (call.again(call.request) if is_bearer else call.proceed())


@errors.blind("any-scheme-is-bearer", "Authorization takes the key with any scheme.")
async def any_scheme(call: MutantCall) -> Answer:
    scheme, _, token = (call.request.header("authorization") or "").partition(" ")
    is_other = token and scheme.lower() != "bearer"
    return await call.proceed(call.request.with_headers(authorization=f"Bearer {token}") if is_other else None)


@errors.blind("user-id-changes", "The userId is another one each time.")
async def new_name(call: MutantCall) -> Answer:
    answer = await call.proceed()
    if call.request.operation == "getMe" and answer.status == 200 and answer.document:
        call.memory["asked"] = call.memory.get("asked", 0) + 1
        answer.document = answer.document | {"userId": f"{answer.document['userId']}{call.memory['asked']}"}
    return answer


MUTANTS = errors.mutants
