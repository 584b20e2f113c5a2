"""Mutants that refuse wrongly: the shape of an error, its code, its status, and what meets odd input."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from viralsync_conform.mutants.engine.asgi import Answer, Request
from viralsync_conform.mutants.engine.exchange import Layer, MutantCall
from viralsync_conform.mutants.engine.layers import (
    Document,
    body,
    edit_error,
    edit_json,
    edit_response,
    header,
    response_mutant,
    status,
)
from viralsync_conform.mutants.mutant import Mutant

REFUSALS = frozenset({400, 401, 402, 403, 404, 405, 409, 413, 429})
HTML = b"<!DOCTYPE html><html><head><title>Error</title></head><body><h1>Something went wrong</h1></body></html>"

errors = partial(response_mutant, "errors")


def each_error(edit: Callable[[Document], object]) -> Layer:
    """Change the body of every refusal in place."""
    return edit_json(edit, statuses=REFUSALS)


def nested(document: Document) -> None:
    """Put text and code into an object."""
    document["error"] = {"message": document["error"], "code": document.pop("code")}


def other_code(code: str, other: str) -> Layer:
    """Call a refusal by another code."""
    return edit_json(lambda d: d.update(code=other) if d.get("code") == code else None, statuses=REFUSALS)


def crash(is_odd: Callable[[Request], bool]) -> Layer:
    """Answer what is odd with 500."""

    async def layer(visit: MutantCall) -> Answer:
        answer = await visit.proceed()
        is_let_in = answer.status not in {401, 405, 429}
        return visit.refusal("INTERNAL_ERROR") if is_let_in and is_odd(visit.request) else answer

    return layer


def is_text_limit(request: Request) -> bool:
    """Say whether a limit is no number."""
    limit = request.parameters.get("limit")
    return limit is not None and not limit.lstrip("-").isdigit()


def is_broken(request: Request) -> bool:
    """Say whether a submission is not JSON."""
    return request.operation == "submitRenderJob" and request.document is None


def is_no_object(request: Request) -> bool:
    """Say whether a submission is JSON, but no object."""
    return request.operation == "submitRenderJob" and isinstance(request.document, list | str | int)


def has_no_scenes(request: Request) -> bool:
    """Say whether the scenes of a submission are missing, or no list."""
    document = request.document
    movie = document.get("movie") if isinstance(document, dict) else None
    is_odd = isinstance(movie, dict) and not (isinstance(movie.get("scenes"), list) and movie["scenes"])
    return request.operation == "submitRenderJob" and is_odd


def has_nul(request: Request) -> bool:
    """Say whether a NUL stands in a path or a body."""
    return "\0" in request.path or b"\\u0000" in request.body


def is_not_ascii(request: Request) -> bool:
    """Say whether another alphabet stands in a path."""
    return not request.path.isascii()


def is_long(request: Request) -> bool:
    """Say whether an id is very long."""
    return len(request.job_id or "") > 100


def has_bad_key(request: Request) -> bool:
    """Say whether a key is no key."""
    return bool(request.key) and not request.key.startswith("vs_")


def has_bad_cursor(request: Request) -> bool:
    """Say whether a cursor is very short."""
    return "cursor" in request.parameters and len(request.parameters["cursor"]) < 12


async def crash_on_bad_key(visit: MutantCall) -> Answer:
    """Answer a malformed key with 500."""
    answer = await visit.proceed()
    return visit.refusal("INTERNAL_ERROR") if answer.status == 401 and has_bad_key(visit.request) else answer


async def soft(visit: MutantCall) -> Answer:
    """Answer every refusal with 200."""
    answer = await visit.proceed()
    if answer.status in REFUSALS:
        answer.status = 200
    return answer


async def with_stack(visit: MutantCall) -> Answer:
    """Tell the way through the code beside each text."""
    answer = await visit.proceed()
    if answer.status in REFUSALS and isinstance(answer.document, dict):
        answer.document = {**answer.document, "stack": "Error\n    at submit (/srv/app/render.js:42:11)"}
    return answer


async def head_not_allowed(visit: MutantCall) -> Answer:
    """Refuse a method that is not known as an unknown route."""
    answer = await visit.proceed()
    if answer.status == 405:
        return visit.refusal("NOT_FOUND", method=visit.request.method, path=visit.request.path)
    return answer


async def unknown_is_empty(visit: MutantCall) -> Answer:
    """Answer for an unknown job with an empty object."""
    answer = await visit.proceed()
    if answer.code == "JOB_NOT_FOUND":
        answer.status, answer.document = 200, {}
    return answer


def _words(code: str) -> str:
    return code.lower().replace("_", "-")


ERRORS: tuple[Mutant, ...] = (
    errors("errors-without-code", "Errors have no code.", each_error(lambda d: d.pop("code"))),
    errors("errors-without-text", "Errors have no text.", each_error(lambda d: d.pop("error"))),
    errors("errors-empty-text", "The text of an error is empty.", each_error(lambda d: d.update(error=""))),
    errors("errors-nested", "Text and code of an error stand in an object.", each_error(nested)),
    errors(
        "errors-as-message", "Errors call their text `message`.", each_error(lambda d: d.update(message=d.pop("error")))
    ),
    errors("errors-numeric-code", "The code of an error is a number.", each_error(lambda d: d.update(code=4000))),
    errors(
        "errors-lower-case",
        "The code of an error is in small letters.",
        each_error(lambda d: d.update(code=d["code"].lower())),
    ),
    errors("errors-one-code", "All errors have the code `ERROR`.", each_error(lambda d: d.update(code="ERROR"))),
    errors(
        "errors-swapped",
        "Text and code of an error have changed places.",
        each_error(lambda d: d.update(code=d["error"], error=d["code"])),
    ),
    errors("errors-html", "Errors are pages of HTML.", edit_response(body(HTML, "text/html"), statuses=REFUSALS)),
    errors(
        "errors-plain-text",
        "Errors are plain text.",
        edit_response(body(b"Bad request", "text/plain"), statuses=REFUSALS),
    ),
    errors(
        "errors-problem-json",
        "Errors are of type application/problem+json.",
        edit_response(header("content-type", "application/problem+json"), statuses=REFUSALS),
    ),
    errors(
        "errors-empty",
        "Errors have no body.",
        edit_response(lambda answer: setattr(answer, "body", b""), statuses=REFUSALS),
    ),
    errors("errors-200", "Errors are answered with 200.", soft),
    errors("errors-with-stack", "Errors tell the way through the code.", with_stack),
    *(
        errors(f"{_words(code)}-other-code", f"`{code}` is called `{other}`.", other_code(code, other))
        for code, other in (
            ("VALIDATION_ERROR", "BAD_REQUEST"),
            ("JOB_NOT_FOUND", "NOT_FOUND"),
            ("NOT_FOUND", "ROUTE_NOT_FOUND"),
            ("METHOD_NOT_ALLOWED", "NOT_ALLOWED"),
            ("INVALID_STATE_TRANSITION", "CONFLICT"),
            ("PAYLOAD_TOO_LARGE", "TOO_LARGE"),
        )
    ),
    errors("validation-422", "What is not valid is answered with 422.", edit_error("VALIDATION_ERROR", status(422))),
    errors("validation-500", "What is not valid is answered with 500.", edit_error("VALIDATION_ERROR", status(500))),
    errors("unknown-job-400", "An unknown job is answered with 400.", edit_error("JOB_NOT_FOUND", status(400))),
    errors("unknown-job-403", "An unknown job is answered with 403.", edit_error("JOB_NOT_FOUND", status(403))),
    errors("unknown-job-200", "An unknown job is answered with an empty object.", unknown_is_empty),
    errors(
        "unknown-route-html", "An unknown route is a page of HTML.", edit_error("NOT_FOUND", body(HTML, "text/html"))
    ),
    errors("unknown-route-200", "An unknown route is answered with 200.", edit_error("NOT_FOUND", status(200))),
    errors("unknown-route-401", "An unknown route is answered with 401.", edit_error("NOT_FOUND", status(401))),
    errors("wrong-method-without-allow", "405 has no Allow.", edit_error("METHOD_NOT_ALLOWED", header("allow", None))),
    errors(
        "wrong-method-allows-all",
        "405 allows methods that are not there.",
        edit_error("METHOD_NOT_ALLOWED", header("allow", "GET, POST, PUT, DELETE")),
    ),
    errors("wrong-method-allows-none", "Allow is empty.", edit_error("METHOD_NOT_ALLOWED", header("allow", ""))),
    errors("wrong-method-404", "A wrong method is an unknown route.", head_not_allowed),
    errors(
        "wrong-method-html",
        "A wrong method is a page of HTML.",
        edit_error("METHOD_NOT_ALLOWED", body(HTML, "text/html")),
    ),
    errors(
        "too-large-400", "A body that is too large is answered with 400.", edit_error("PAYLOAD_TOO_LARGE", status(400))
    ),
    errors(
        "too-large-500", "A body that is too large is answered with 500.", edit_error("PAYLOAD_TOO_LARGE", status(500))
    ),
    errors("crash-on-text-limit", "A limit that is no number is answered with 500.", crash(is_text_limit)),
    errors("crash-on-bad-cursor", "A cursor that nobody gave is answered with 500.", crash(has_bad_cursor)),
    errors("crash-on-broken-json", "A body that is not JSON is answered with 500.", crash(is_broken)),
    errors("crash-on-no-object", "A body that is no object is answered with 500.", crash(is_no_object)),
    errors("crash-on-no-scenes", "A movie without scenes is answered with 500.", crash(has_no_scenes)),
    errors("crash-on-nul", "A NUL is answered with 500.", crash(has_nul)),
    errors("crash-on-alphabets", "An id in another alphabet is answered with 500.", crash(is_not_ascii)),
    errors("crash-on-long-id", "A very long id is answered with 500.", crash(is_long)),
    errors("crash-on-bad-key", "A malformed key is answered with 500.", crash_on_bad_key),
    errors(
        "answers-plain-text",
        "Successes are of type text/plain.",
        edit_response(header("content-type", "text/plain"), "getJob", "listJobs", "getMe", "getUsage"),
    ),
    errors(
        "answers-without-type",
        "Successes have no content type.",
        edit_response(header("content-type", None), "getJob", "listJobs", "getMe", "getUsage"),
    ),
)
