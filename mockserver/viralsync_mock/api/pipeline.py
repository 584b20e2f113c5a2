"""The path of a request: one list, in the order of precedence of the API's checks (docs page /api-reference/errors).

404 and 405 · 401 · 429 · 403 · rules and faults · 413 and 400 · then the handler: 404, 402, 409.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from viralsync_mock.api import auth
from viralsync_mock.api.asgi import create_call, read_body, refusal, response_headers, send_response
from viralsync_mock.api.handlers import HANDLERS
from viralsync_mock.api.scripting import match_rules, resolve_scenario
from viralsync_mock.api.self_validation import validate_response
from viralsync_mock.errors import ApiError
from viralsync_mock.generation.response import synthesise
from viralsync_mock.jobs.limits import RateLimited, count_request
from viralsync_mock.journal.entry import serialize_headers
from viralsync_mock.openapi.spec import MethodNotAllowed, RouteNotFound
from viralsync_mock.response import Response, empty_response, json_response
from viralsync_mock.state import behaviour_under
from viralsync_mock.validation.validator import ValidationFailed, Violation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Receive, Scope, Send

    from viralsync_mock.api.call import Call
    from viralsync_mock.faults.http import CallNext, Fault
    from viralsync_mock.response import Headers
    from viralsync_mock.sandbox import Sandbox
    from viralsync_mock.scenarios.model import Respond
    from viralsync_mock.state import MockServer

FAILURE = 400


async def serve(mock: MockServer, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request."""
    call = create_call(mock, scope, receive, sandbox_of)
    clock = call.sandbox.clock
    clock.begin_call()
    try:
        await respond(call, send)
    finally:
        clock.end_call()


async def respond(call: Call, send: Send) -> None:
    """Answer a call, and record both in the journal."""
    mock = call.mock
    record_call(call)
    try:
        answer = await dispatch(call)
    except ApiError as error:
        answer = refuse(call, error)
        await auto_advance_after_refusal(call, error)
    except Exception as error:  # a bug of ours: the client still gets the API's shape
        mock.on_bug(f"{call.method} {call.path}", error)
        answer = refuse(call, ApiError("INTERNAL_ERROR"))
    if mock.settings.check_answers:
        answer = validate_response(call, answer)
    head = serialize_headers(response_headers(call, answer, mock_headers(call, answer)))
    entry = call.entry
    entry.answered_after = call.sandbox.calls
    entry.record_response(answer, head, call.now)
    call.sandbox.sightings.answers.add((entry.operation, entry.status, entry.code))
    mock.on_call(entry, answer)
    await send_response(call, answer, head, send)


def sandbox_of(mock: MockServer, headers: Mapping[bytes, bytes]) -> Sandbox:
    """Return the sandbox of the key that was sent; that of strangers for none, or one that cannot be."""
    try:
        key = auth.read_api_key(headers, mock.files.spec.key_header)
        if key is not None:
            sandbox = mock.sandboxes.get(key)
            if sandbox is not None:
                return sandbox
            auth.check_key_format(key, mock.files.spec.key_pattern)
            return mock.sandbox(key)
    except ApiError:  # `authenticate` says what is wrong with it
        pass
    return mock.sandboxes.anonymous


def record_call(call: Call) -> None:
    """Take note of a call in the journal, as it arrives."""
    sandbox, entry = call.sandbox, call.entry
    entry.mode, entry.rate = sandbox.clock.mode, sandbox.clock.rate
    sandbox.calls += 1
    sandbox.journal.add(entry)


async def dispatch(call: Call) -> Response:
    """Take a call through every check to its handler; raises the ApiError of the first that refuses."""
    if (allow := resolve(call)) is not None:
        return Response(204, content_type=None, headers=((b"allow", allow.encode()),))
    call.body = await read_body(call, call.spec.body_limit)
    authenticate(call)
    enforce_rate_limit(call)
    check_plan_access(call)
    return await run_with_faults(call, *match_rules(call))


def resolve(call: Call) -> str | None:
    """Find the operation; raises NOT_FOUND or METHOD_NOT_ALLOWED. For OPTIONS return what is allowed."""
    try:
        call.operation, call.path_parameters = call.spec.match(call.method, call.path)
        call.entry.operation = call.operation.id
    except RouteNotFound:
        raise ApiError("NOT_FOUND", method=call.method, path=call.path) from None
    except MethodNotAllowed as error:
        allow = ", ".join(error.allow)
        if call.method == "OPTIONS":
            return allow
        raise ApiError(
            "METHOD_NOT_ALLOWED", method=call.method, path=call.path, allow=allow, headers={"allow": allow}
        ) from None
    return None


def authenticate(call: Call) -> None:
    """Find the scenario and the account of the call; raises UNAUTHORIZED or API_KEY_REVOKED."""
    sandbox, entry = call.sandbox, call.entry
    if sandbox is call.mock.sandboxes.anonymous:
        if call.operation.secured:
            auth.raise_unauthorized(call.headers, call.spec.key_pattern, call.spec.key_header)
        return
    if call.body:
        entry.record_body(call.body)
    entry.scenario = call.scenario = resolve_scenario(call)
    call.behaviour = behaviour_under(call.files, call.scenario, sandbox.behaviour_override)
    call.account = sandbox.account(call.scenario)
    if call.account.revoked and call.operation.secured:
        raise ApiError("API_KEY_REVOKED")


def enforce_rate_limit(call: Call) -> None:
    """Count the call against the rate limit; raises RATE_LIMITED."""
    limits = call.scenario.limits
    if limits.is_rated and call.mock.settings.is_rate_limited and call.operation.secured:
        limit = limits.rate or call.spec.rate_limit
        call.entry.limit = limit
        call.entry.slot = count_request(call.sandbox.store, limit, call.now)


def check_plan_access(call: Call) -> None:
    """See whether the plan has the REST API; raises FORBIDDEN."""
    if not call.operation.secured:
        return
    plan = call.spec.plans[call.account.plan]
    if not plan.rest and call.behaviour.free_plan_rest == "forbidden":
        raise ApiError("FORBIDDEN", plan=plan.name)


async def run_with_faults(call: Call, response: Respond | None, faults: tuple[Fault, ...]) -> Response:
    """Carry out a call as the script says: its faults around its response, or around the handler."""
    proceed = partial(scripted_response, call, response) if response else partial(handle, call)
    for fault in reversed(faults):
        proceed = partial(fault.apply, call, partial(catch_api_error, call, proceed))
    return await proceed()


async def catch_api_error(call: Call, proceed: CallNext) -> Response:
    """Let a fault see a refusal as it sees any other answer."""
    try:
        return await proceed()
    except ApiError as error:
        await auto_advance_after_refusal(call, error)
        return refuse(call, error)


async def scripted_response(call: Call, response: Respond) -> Response:
    """Answer in the handler's place."""
    if response.error is not None:
        from viralsync_mock.api.matching import scripted_error  # imported here: see scripting

        answer = refuse(call, scripted_error(call, response))
        answer.is_scripted = True
        return answer
    answer = empty_response(response.status) if response.body is None else json_response(response.body, response.status)
    answer.headers = tuple((name.lower().encode(), value.encode()) for name, value in response.headers.items())
    answer.is_scripted = True
    return answer


async def handle(call: Call) -> Response:
    """Validate the request, then let the operation's handler answer, or the spec where there is none."""
    validate(call)
    handler = HANDLERS.get(call.operation.id)
    if handler is not None:
        return await handler(call)
    status, media_type, body = synthesise(call.spec, call.operation, f"{call.sandbox.seed}{call.path}")
    return Response(status, body, media_type.encode() if media_type else None)


def validate(call: Call) -> None:
    """Hold parameters and body against the spec; raises PAYLOAD_TOO_LARGE, or VALIDATION_ERROR with every violation."""
    if call.body is None:
        raise ApiError("PAYLOAD_TOO_LARGE", limit=call.spec.body_limit)
    validator, operation, violations = call.files.validator, call.operation, list[Violation]()
    try:
        call.parameters = validator.parameters(operation, call.query, call.raw_headers, call.path_parameters)
    except ValidationFailed as error:
        violations += error.violations
    if operation.body_schema is not None:
        content_type = call.headers.get(b"content-type")
        try:
            call.document = validator.body(
                operation,
                call.body,
                content_type.decode("latin-1") if content_type else None,
                require_content_type=call.behaviour.content_type_required,
            )
        except ValidationFailed as error:
            violations += error.violations
    if violations:
        call.entry.violations = tuple(violations)
        raise ApiError("VALIDATION_ERROR", violations="; ".join(map(str, violations)))


def refuse(call: Call, error: ApiError) -> Response:
    """Refuse a call, and take note of the code, and of the place where a scenario, fault or cursor is named wrongly."""
    call.entry.code = error.code
    if not call.entry.violations and (text := error.values.get("violations")):
        place, _, message = str(text).partition(": ")
        call.entry.violations = (Violation(place, message),)
    return refusal(call, error)


def mock_headers(call: Call, answer: Response) -> Headers:
    """Return the headers that the API does not send: the call's id, and how to bring a failure about again."""
    if not call.mock.settings.mock_headers:
        return ()
    call_id = (b"x-mock-call-id", b"%b%d" % (call.sandbox.call_prefix, call.entry.number))
    if not call.entry.matched_faults and answer.status < FAILURE:
        return (call_id,)
    seed = (b"x-mock-seed", (call.sandbox.named_seed or call.mock.settings.seed).encode("latin-1"))
    if not call.entry.matched_faults:
        return (call_id, seed)
    from viralsync_mock.api.matching import replay_header  # imported here: see scripting

    return (call_id, seed, (b"x-mock-fault", replay_header(call).encode("latin-1")))


async def auto_advance_after_refusal(call: Call, error: ApiError) -> None:
    """On an auto clock, go to where a refused client would wait to: the next free slot, or the next change of a job.

    The refusal itself keeps its own instant.
    """
    if isinstance(error, RateLimited):
        call.entry.slot = error.slot
        await call.sandbox.auto_advance_if_idle(error.slot.free_at)
    elif error.code == "CONCURRENCY_LIMIT_EXCEEDED":
        await call.sandbox.auto_advance_if_idle(call.sandbox.store.next_change(call.now))
