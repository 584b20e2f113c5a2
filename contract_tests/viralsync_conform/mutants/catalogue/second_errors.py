"""A second set of servers, written without a look at the checks: wrong refusals and wrong keys."""

from __future__ import annotations

from typing import Any

from viralsync_conform.mutants.engine.asgi import Answer
from viralsync_conform.mutants.engine.exchange import MutantCall
from viralsync_conform.mutants.engine.layers import (
    body,
    edit_error,
    edit_json,
    edit_response,
    header,
    response_mutant,
    status,
)

THEME = "errors"
ANY: frozenset[int] | None = None


def _message(answer: Answer) -> None:
    if answer.status >= 400 and isinstance(answer.document, dict):
        answer.document = {"message": answer.document.get("error"), "code": answer.code}


def _code(code: str) -> Any:
    def edit(answer: Answer) -> None:
        answer.document = answer.document | {"code": code}

    return edit


def _no_place(answer: Answer) -> None:
    answer.document = {"error": "Bad Request", "code": answer.code}


def _crash(answer: Answer) -> None:
    answer.status = 500
    answer.document = {"error": "Something went wrong on our side.", "code": "INTERNAL_ERROR"}


def _empty_stream(answer: Answer) -> None:
    answer.status = 200
    body(b"", "text/event-stream")(answer)


async def _bad_cursor(visit: MutantCall) -> Answer:
    answer = await visit.proceed()
    if visit.request.operation == "listJobs" and answer.status == 400 and "cursor" in visit.request.parameters:
        _crash(answer)
    return answer


async def _bad_json(visit: MutantCall) -> Answer:
    answer = await visit.proceed()
    if visit.request.operation == "submitRenderJob" and answer.status == 400 and visit.request.document is None:
        _crash(answer)
    return answer


async def _long_key(visit: MutantCall) -> Answer:
    key = visit.request.header("x-api-key") or ""
    return await visit.proceed(visit.request.with_headers(x_api_key=key[:40]) if len(key) > 40 else None)


async def _upper_key(visit: MutantCall) -> Answer:
    key = visit.request.header("x-api-key")
    return await visit.proceed(visit.request.with_headers(x_api_key=key.lower()) if key else None)


async def _no_bearer_for_streams(visit: MutantCall) -> Answer:
    request = visit.request
    if request.operation == "streamJobProgress" and request.header("x-api-key") is None:
        return await visit.proceed(request.with_headers(authorization=None))
    return await visit.proceed()


async def _no_bearer_for_deletes(visit: MutantCall) -> Answer:
    request = visit.request
    if request.operation == "deleteJob" and request.header("x-api-key") is None:
        return await visit.proceed(request.with_headers(authorization=None))
    return await visit.proceed()


async def _bearer_uncounted(visit: MutantCall) -> Answer:
    is_bearer = visit.request.operation and visit.request.header("x-api-key") is None and visit.request.key
    return await (visit.again(visit.request) if is_bearer else visit.proceed())


async def _any_scheme(visit: MutantCall) -> Answer:
    scheme, _, token = (visit.request.header("authorization") or "").partition(" ")
    is_other = token and scheme.lower() != "bearer"
    return await visit.proceed(visit.request.with_headers(authorization=f"Bearer {token}") if is_other else None)


async def _new_name(visit: MutantCall) -> Answer:
    answer = await visit.proceed()
    if visit.request.operation == "getMe" and answer.status == 200 and answer.document:
        visit.memory["asked"] = visit.memory.get("asked", 0) + 1
        answer.document = answer.document | {"userId": f"{answer.document['userId']}{visit.memory['asked']}"}
    return answer


SECOND_ERRORS = tuple(
    response_mutant(THEME, name, statement, layer)
    for name, statement, layer in (
        (
            "stream-errors-say-message",
            "The refusals of streams hold message instead of error.",
            edit_response(_message, "streamJobProgress", statuses=ANY),
        ),
        (
            "delete-errors-say-message",
            "The refusals of deletions hold message instead of error.",
            edit_response(_message, "deleteJob", statuses=ANY),
        ),
        (
            "missing-key-code-missing",
            "A request without a valid key gets the code MISSING_API_KEY.",
            edit_error("UNAUTHORIZED", _code("MISSING_API_KEY")),
        ),
        (
            "stream-missing-key-403",
            "Streaming without a valid key answers 403.",
            edit_error("UNAUTHORIZED", status(403), "streamJobProgress"),
        ),
        (
            "me-missing-key-404",
            "Asking for the account without a valid key answers 404.",
            edit_error("UNAUTHORIZED", status(404), "getMe"),
        ),
        (
            "delete-unknown-204",
            "Deleting an unknown job answers 204.",
            edit_error("JOB_NOT_FOUND", status(204), "deleteJob"),
        ),
        (
            "cancel-unknown-409",
            "Cancelling an unknown job answers 409.",
            edit_error("JOB_NOT_FOUND", status(409), "cancelJob"),
        ),
        (
            "stream-unknown-empty",
            "The stream of an unknown job is empty.",
            edit_error(
                "JOB_NOT_FOUND",
                _empty_stream,
                "streamJobProgress",
            ),
        ),
        (
            "cancel-conflict-400",
            "Cancelling a terminal job answers 400.",
            edit_error("INVALID_STATE_TRANSITION", status(400), "cancelJob"),
        ),
        (
            "delete-conflict-lower-case",
            "Deleting a running job gets its code in lower case.",
            edit_error("INVALID_STATE_TRANSITION", _code("invalid_state_transition"), "deleteJob"),
        ),
        ("bad-cursor-500", "A bad cursor answers 500.", _bad_cursor),
        ("bad-json-500", "A body that is not JSON answers 500.", _bad_json),
        ("validation-names-no-place", "The text of a 400 names no place.", edit_error("VALIDATION_ERROR", _no_place)),
        (
            "submission-invalid-422",
            "A submission that is not valid answers 422.",
            edit_error("VALIDATION_ERROR", status(422), "submitRenderJob"),
        ),
        (
            "unknown-route-in-html",
            "An unknown route answers with a page of HTML.",
            edit_error("NOT_FOUND", body(b"<h1>Not Found</h1>", "text/html")),
        ),
        (
            "method-refused-empty",
            "A method that is not allowed answers with an empty body.",
            edit_error("METHOD_NOT_ALLOWED", body(b"", "text/plain")),
        ),
        (
            "not-found-as-problem",
            "A 404 is of type application/problem+json.",
            edit_error("JOB_NOT_FOUND", header("content-type", "application/problem+json")),
        ),
        (
            "job-as-text",
            "A job is of type text/plain.",
            edit_response(header("content-type", "text/plain; charset=utf-8"), "getJob"),
        ),
        (
            "usage-in-envelope",
            "The usage is wrapped in data.",
            edit_response(lambda a: setattr(a, "document", {"data": a.document}), "getUsage"),
        ),
        ("longer-key-accepted", "Characters after a valid key are ignored.", _long_key),
        ("key-in-any-case", "A key may be sent in capital letters.", _upper_key),
        ("no-bearer-for-streams", "A bearer token is no key for streams.", _no_bearer_for_streams),
        ("no-bearer-for-deletes", "A bearer token is no key for deletions.", _no_bearer_for_deletes),
        ("bearer-not-counted", "Requests with a bearer token do not count against the rate limit.", _bearer_uncounted),
        ("any-scheme-is-bearer", "Authorization takes the key with any scheme.", _any_scheme),
        ("user-id-changes", "The userId is another one each time.", _new_name),
        (
            "me-plan-capital",
            "The plan of the account begins with a capital letter.",
            edit_json(lambda d: d.update(plan=d["plan"].capitalize()), "getMe"),
        ),
        ("me-email-null", "The account has the email null.", edit_json(lambda d: d.update(email=None), "getMe")),
    )
)
