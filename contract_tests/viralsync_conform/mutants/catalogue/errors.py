"""Mutants that refuse wrongly: the shape of an error, its code, its status, and what meets odd input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from viralsync_conform.mutants.catalogue.listing import is_number
from viralsync_conform.mutants.engine.asgi import Answer, Request
from viralsync_conform.mutants.engine.exchange import Layer, MutantCall
from viralsync_conform.mutants.engine.layers import REFUSALS, Document, after, edit_json, edit_request
from viralsync_conform.mutants.mutant import Section

SUBMIT = "submitRenderJob"
errors = Section("errors")


def each_error(edit: Callable[[Document], object]) -> Layer:
    return edit_json(edit, statuses=REFUSALS)


@errors("errors-nested", "Text and code of an error stand in an object.", each_error)
def nested(document: Document) -> None:
    document["error"] = {"message": document["error"], "code": document.pop("code")}


def crash(is_odd: Callable[[Request], object]) -> Layer:
    """Answer what is odd with 500."""

    async def layer(call: MutantCall) -> Answer:
        answer = await call.proceed()
        is_let_in = answer.status not in {401, 405, 429}
        return call.refusal("INTERNAL_ERROR") if is_let_in and is_odd(call.request) else answer

    return layer


def has_no_scenes(document: Any) -> bool:
    movie = document.get("movie") if isinstance(document, dict) else None
    return isinstance(movie, dict) and not (isinstance(movie.get("scenes"), list) and movie["scenes"])


def broken(operation: str, is_odd: Callable[[Request], bool]) -> Layer:
    """Fail for what is odd, where the API would answer 400."""

    async def make(call: MutantCall, answer: Answer) -> None:
        if is_odd(call.request):
            _crash(answer)

    return after(make, operation, status=400)


def other_key(change: Callable[[str], str]) -> Layer:
    """Take another key for the one that was sent in the header."""

    def changed(request: Request) -> Request:
        key = request.header("x-api-key")
        return request.with_headers(x_api_key=change(key)) if key else request

    return edit_request(changed)


def only_header(request: Request) -> Request:
    return request if request.header("x-api-key") else request.with_headers(authorization=None)


def has_bad_key(request: Request) -> bool:
    return bool(request.key) and not request.key.startswith("vs_")


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


def _crash(answer: Answer) -> None:
    answer.status = 500
    answer.document = {"error": "Something went wrong on our side.", "code": "INTERNAL_ERROR"}


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


CRASHES: tuple[tuple[str, str, Callable[[Request], object]], ...] = (
    ("text-limit", "A limit that is no number",
        lambda r: "limit" in r.parameters and not is_number(r.parameters["limit"])),
    ("broken-json", "A body that is not JSON", lambda r: r.operation == SUBMIT and r.document is None),
    ("no-object", "A body that is no object",
        lambda r: r.operation == SUBMIT and isinstance(r.document, list | str | int)),
    ("no-scenes", "A movie without scenes", lambda r: r.operation == SUBMIT and has_no_scenes(r.document)),
    ("nul", "A NUL", lambda r: "\0" in r.path or b"\\u0000" in r.body),
    ("alphabets", "An id in another alphabet", lambda r: not r.path.isascii()),
    ("long-id", "A very long id", lambda r: len(r.job_id or "") > 100),
    ("bad-cursor", "A cursor that nobody gave", lambda r: len(r.parameters.get("cursor", "long enough!")) < 12),
)  # fmt: skip
for name, odd, is_odd in CRASHES:
    errors.add(f"crash-on-{name}", f"{odd} is answered with 500.", crash(is_odd))


errors.blind.add("bad-cursor-500", "A bad cursor answers 500.",
    broken("listJobs", lambda request: "cursor" in request.parameters))  # fmt: skip
errors.blind.add("bad-json-500", "A body that is not JSON answers 500.",
    broken(SUBMIT, lambda request: request.document is None))  # fmt: skip
errors.blind.add("longer-key-accepted", "Characters after a valid key are ignored.",
    other_key(lambda key: key[:40]))  # fmt: skip
errors.blind.add("key-in-any-case", "A key may be sent in capital letters.", other_key(str.lower))
errors.blind.add("no-bearer-for-streams", "A bearer token is no key for streams.",
    edit_request(only_header, "streamJobProgress"))  # fmt: skip
errors.blind.add("no-bearer-for-deletes", "A bearer token is no key for deletions.",
    edit_request(only_header, "deleteJob"))  # fmt: skip
MUTANTS = errors.mutants
