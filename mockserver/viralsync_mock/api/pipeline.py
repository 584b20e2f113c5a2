"""The path of a request: one list, in the order of precedence of the API's checks (docs page /api-reference/errors).

404 and 405 · 401 · 429 · 403 · rules and faults · 413 and 400 · then the handler: 404, 402, 409.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from viralsync_mock.api import auth
from viralsync_mock.api.asgi import begin, headers_of, read_body, refusal, write
from viralsync_mock.api.handlers import HANDLERS
from viralsync_mock.api.scripting import choose_scenario, script
from viralsync_mock.api.self_validation import checked
from viralsync_mock.errors import ApiError
from viralsync_mock.generation.response import synthesise
from viralsync_mock.jobs.rate_limit import RateLimited, spend
from viralsync_mock.journal.entry import packed
from viralsync_mock.openapi.spec import MethodNotAllowed, RouteNotFound
from viralsync_mock.response import Answer, empty_answer, json_answer
from viralsync_mock.state import behaviour_under
from viralsync_mock.validation.validator import Invalid, Violation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Receive, Scope, Send

    from viralsync_mock.api.call import Call
    from viralsync_mock.faults.http import Fault, Proceed
    from viralsync_mock.response import Headers
    from viralsync_mock.sandbox import Sandbox
    from viralsync_mock.scenarios.model import Respond
    from viralsync_mock.state import Mock

FAILURE = 400


async def serve(mock: Mock, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request."""
    call = begin(mock, scope, receive, sandbox_of)
    note(call)
    try:
        answer = await answer_to(call)
    except ApiError as error:
        answer = refuse(call, error)
        await pass_time(call, error)
    except Exception as error:  # a bug of ours: the client still gets the API's shape
        mock.on_bug(f"{call.method} {call.path}", error)
        answer = refuse(call, ApiError("INTERNAL_ERROR"))
    if mock.settings.check_answers:
        answer = checked(call, answer)
    head = packed(headers_of(call, answer, signature(call, answer)))
    entry = call.entry
    entry.answered_after = call.sandbox.calls
    entry.answer(answer, head, call.now)
    call.sandbox.sightings.answers.add((entry.operation, entry.status, entry.code))
    mock.on_call(entry, answer)
    await write(call, answer, head, send)


def sandbox_of(mock: Mock, headers: Mapping[bytes, bytes]) -> Sandbox:
    """Return the sandbox of the key that was sent; that of strangers for none, or one that cannot be."""
    try:
        key = auth.sent_key(headers)
        if key is not None:
            sandbox = mock.sandboxes.get(key)
            if sandbox is not None:
                return sandbox
            auth.check_form(key, mock.files.spec.key_pattern)
            return mock.sandbox(key)
    except ApiError:  # `authenticate` says what is wrong with it
        pass
    return mock.sandboxes.outside


def note(call: Call) -> None:
    """Take note of a call in the journal, as it arrives."""
    sandbox, entry = call.sandbox, call.entry
    entry.mode, entry.rate = sandbox.clock.mode, sandbox.clock.rate
    sandbox.calls += 1
    sandbox.journal.add(entry)


async def answer_to(call: Call) -> Answer:
    """Take a call through every check to its handler; raises the ApiError of the first that refuses."""
    if (allow := resolve(call)) is not None:
        return Answer(204, content_type=None, headers=((b"allow", allow.encode()),))
    call.body = await read_body(call, call.spec.body_limit)
    authenticate(call)
    count(call)
    entitle(call)
    return await play(call, *script(call))


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
    if sandbox is call.mock.sandboxes.outside:
        if call.operation.secured:
            auth.refuse(call.headers, call.spec.key_pattern)
        return
    if call.body:
        entry.take_body(call.body)
    entry.scenario = call.scenario = choose_scenario(call)
    call.behaviour = behaviour_under(call.files, call.scenario, sandbox.profile)
    call.account = sandbox.account(call.scenario)
    if call.account.revoked and call.operation.secured:
        raise ApiError("API_KEY_REVOKED")


def count(call: Call) -> None:
    """Count the call against the rate limit; raises RATE_LIMITED."""
    limits = call.scenario.limits
    if limits.is_rated and call.mock.settings.is_rate_limited and call.operation.secured:
        limit = limits.rate or call.spec.rate_limit
        call.entry.limit = limit
        call.entry.slot = spend(call.sandbox.store, limit, call.now)


def entitle(call: Call) -> None:
    """See whether the plan has the REST API; raises FORBIDDEN."""
    if not call.operation.secured:
        return
    plan = call.spec.plans[call.account.plan]
    if not plan.rest and call.behaviour.free_plan_rest == "forbidden":
        raise ApiError("FORBIDDEN", plan=plan.name)


async def play(call: Call, response: Respond | None, faults: tuple[Fault, ...]) -> Answer:
    """Carry out a call as the script says: its faults around its response, or around the handler."""
    proceed = partial(respond, call, response) if response else partial(handle, call)
    for fault in reversed(faults):
        proceed = partial(fault.apply, call, partial(answered, call, proceed))
    return await proceed()


async def answered(call: Call, proceed: Proceed) -> Answer:
    """Let a fault see a refusal as it sees any other answer."""
    try:
        return await proceed()
    except ApiError as error:
        await pass_time(call, error)
        return refuse(call, error)


async def respond(call: Call, response: Respond) -> Answer:
    """Answer in the handler's place."""
    if response.error is not None:
        from viralsync_mock.api.matching import scripted_error  # imported here: see scripting

        answer = refuse(call, scripted_error(call, response))
        answer.is_scripted = True
        return answer
    answer = empty_answer(response.status) if response.body is None else json_answer(response.body, response.status)
    answer.headers = tuple((name.lower().encode(), value.encode()) for name, value in response.headers.items())
    answer.is_scripted = True
    return answer


async def handle(call: Call) -> Answer:
    """Validate the request, then let the operation's handler answer, or the spec where there is none."""
    validate(call)
    handler = HANDLERS.get(call.operation.id)
    if handler is not None:
        return await handler(call)
    status, media_type, body = synthesise(call.spec, call.operation, f"{call.sandbox.seed}{call.path}")
    return Answer(status, body, media_type.encode() if media_type else None)


def validate(call: Call) -> None:
    """Hold parameters and body against the spec; raises PAYLOAD_TOO_LARGE, or VALIDATION_ERROR with every violation."""
    if call.body is None:
        raise ApiError("PAYLOAD_TOO_LARGE", limit=call.spec.body_limit)
    validator, operation, violations = call.files.validator, call.operation, list[Violation]()
    try:
        call.parameters = validator.parameters(operation, call.query, call.raw_headers, call.path_parameters)
    except Invalid as error:
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
        except Invalid as error:
            violations += error.violations
    if violations:
        call.entry.violations = tuple(violations)
        raise ApiError("VALIDATION_ERROR", violations="; ".join(map(str, violations)))


def refuse(call: Call, error: ApiError) -> Answer:
    """Refuse a call, and take note of the code, and of the place where a scenario, fault or cursor is named wrongly."""
    call.entry.code = error.code
    if not call.entry.violations and (text := error.values.get("violations")):
        place, _, message = str(text).partition(": ")
        call.entry.violations = (Violation(place, message),)
    return refusal(call, error)


def signature(call: Call, answer: Answer) -> Headers:
    """Return the headers that the API does not send: the call's id, and how to bring a failure about again."""
    if not call.mock.settings.mock_headers:
        return ()
    call_id = (b"x-mock-call-id", b"%b%d" % (call.sandbox.call_prefix, call.entry.number))
    if not call.entry.struck and answer.status < FAILURE:
        return (call_id,)
    seed = (b"x-mock-seed", (call.sandbox.named_seed or call.mock.settings.seed).encode("latin-1"))
    if not call.entry.struck:
        return (call_id, seed)
    from viralsync_mock.api.matching import replay  # imported here: see scripting

    return (call_id, seed, (b"x-mock-fault", replay(call).encode("latin-1")))


async def pass_time(call: Call, error: ApiError) -> None:
    """On an auto clock, go to where a refused client would wait to: the next free slot, or the next change of a job.

    The refusal itself keeps its own instant.
    """
    if isinstance(error, RateLimited):
        call.entry.slot = error.slot
        await call.sandbox.hasten(error.slot.free_at)
    elif error.code == "CONCURRENCY_LIMIT_EXCEEDED":
        await call.sandbox.hasten(call.sandbox.store.next_change(call.now))
