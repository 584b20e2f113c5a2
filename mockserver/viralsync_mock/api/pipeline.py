"""The path of a request: one list, in the order of precedence of the API's checks (docs page /api-reference/errors).

404 and 405 · 401 · 429 · 403 · rules and faults · 413 and 400 · then the handler: 404, 402, 409.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from viralsync_mock.api import auth
from viralsync_mock.api.asgi import (
    by_name,
    decode_body,
    error_response,
    has_body,
    parse_body,
    read_body,
    send_response,
    state_response,
    write_head,
)
from viralsync_mock.api.call import Call
from viralsync_mock.api.handlers import HANDLERS, JOB_HANDLERS
from viralsync_mock.api.self_validation import validate_response
from viralsync_mock.errors import ApiError, ScenarioError, StateError
from viralsync_mock.generation.response import synthesise
from viralsync_mock.jobs.limits import RateLimited, count_request
from viralsync_mock.jobs.views import parse_child_id
from viralsync_mock.journal.entry import REQUEST_ID_HEADER, well_formed_request_id
from viralsync_mock.response import Response, empty_response, json_response
from viralsync_mock.state import behaviour_under
from viralsync_mock.validation.validator import ValidationFailed, Violation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping

    from starlette.types import Receive, Scope, Send

    from viralsync_mock.api.routes import PathOperations
    from viralsync_mock.faults.http import CallNext, Fault
    from viralsync_mock.sandbox import Sandbox, SandboxKeeper
    from viralsync_mock.scenarios.model import Respond, Scenario
    from viralsync_mock.state import MockServer

FAILURE = 400

PROJECT_PREFIX = "proj_mock_"
"""A `projectId` that begins so names a scenario: for clients whose headers cannot be changed."""

_PROJECT_MARK = PROJECT_PREFIX.encode()


class ApiPath:
    """The ASGI endpoint of one path of the API; without operations, that of every path that the spec does not have."""

    def __init__(self, mock: MockServer, operations: PathOperations | None) -> None:
        self._mock, self._operations = mock, operations

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one call."""
        return serve(self._mock, self._operations, scope, receive, send)


async def serve(
    mock: MockServer, operations: PathOperations | None, scope: Scope, receive: Receive, send: Send
) -> None:
    """Answer one request to a path with these operations."""
    headers = by_name(scope["headers"])
    call = Call(mock, scope, receive, sandbox_of(mock, headers), headers)
    sandbox = call.sandbox
    sandbox.in_use += 1
    sandbox.clock.begin_call()
    try:
        await respond(call, operations, scope.get("path_params", {}), send)
    finally:
        sandbox.clock.end_call()
        sandbox.in_use -= 1


async def respond(call: Call, operations: PathOperations | None, values: Mapping[str, str], send: Send) -> None:
    """Answer a call, and record both in the journal; `values` are those of the path's parameters."""
    record_call(call)
    response = await answer(call, operations, values)
    head = write_head(call, response, mock_headers(call, response))
    record_response(call, response, head)
    if (keeper := call.mock.sandboxes.keeper) is not None:
        response, head = await keep(call, keeper, response, head)
    report(call, response)
    await send_response(call, response, head, send)


async def answer(call: Call, operations: PathOperations | None, values: Mapping[str, str]) -> Response:
    """Return the response to a call, whatever becomes of it."""
    mock = call.mock
    try:
        response = await dispatch(call, operations, values)
    except ApiError as error:
        response = refuse(call, error)
        await auto_advance_after_refusal(call, error)
    except Exception as error:  # a bug of ours: the client still gets the API's shape
        mock.on_bug(f"{call.method} {call.path}", error)
        response = refuse(call, ApiError("INTERNAL_ERROR"))
    return validate_response(call, response) if mock.settings.check_answers else response


def record_response(call: Call, response: Response, head: bytes) -> None:
    """Add the response to the call in the journal, and count the memory that both take."""
    sandbox, entry = call.sandbox, call.entry
    entry.answered_after = sandbox.calls
    entry.record_response(response, head, call.now)
    sandbox.journal.weigh(entry)
    call.mock.sandboxes.count(sandbox)
    sandbox.sightings.answers.add((entry.operation, entry.status, entry.code))


def report(call: Call, response: Response) -> None:
    """Tell metrics, log and page about a call that is answered."""
    mock, entry = call.mock, call.entry
    mock.totals.calls[entry.operation, entry.status] += 1
    if mock.on_call is not None:
        mock.on_call(entry, response)
    if call.sandbox.watcher is not None:
        call.sandbox.watcher.note("call", entry)


async def keep(call: Call, keeper: SandboxKeeper, response: Response, head: bytes) -> tuple[Response, bytes]:
    """Keep what the call has changed before its response leaves; one that cannot be kept is refused."""
    entry = call.entry
    is_read = call.method in ("GET", "HEAD") and not (entry.rule_match.number or entry.matched_faults)
    try:
        await keeper.before_answer(call.sandbox, entry, waits=not is_read)
    except StateError as error:
        response = state_response(error)
        head = write_head(call, response)
        entry.record_response(response, head, call.now)
    return response, head


def sandbox_of(mock: MockServer, headers: Mapping[bytes, bytes]) -> Sandbox:
    """Return the caller's sandbox, or the anonymous one if the key is missing or malformed."""
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
    """Add an arriving call to the journal."""
    sandbox, entry = call.sandbox, call.entry
    entry.mode, entry.rate = sandbox.clock.mode, sandbox.clock.rate
    sandbox.calls += 1
    sandbox.journal.add(entry)
    sandbox.used = sandbox.clock.real.monotonic()
    if sandbox.watcher is not None:
        sandbox.watcher.note("call", entry)


async def dispatch(call: Call, operations: PathOperations | None, values: Mapping[str, str]) -> Response:
    """Take a call through every check to its handler; raises the ApiError of the first that refuses."""
    if operations is None:
        raise ApiError("NOT_FOUND", method=call.method, path=call.path)
    if not resolve(call, operations, values):
        return Response(204, content_type=None, headers=((b"allow", operations.allow.encode()),))
    if has_body(call.headers):
        await receive_body(call)
    authenticate(call)
    enforce_rate_limit(call)
    check_plan_access(call)
    if may_match(call):
        return await run_with_faults(call, *_matching().match_rules_and_faults(call))
    return await handle(call)


def resolve(call: Call, operations: PathOperations, values: Mapping[str, str]) -> bool:
    """Find the operation; False for OPTIONS. Raises NOT_FOUND or METHOD_NOT_ALLOWED."""
    operation = operations.by_method.get(call.method)
    has_slash = "%2F" in call.path
    if operation is None:
        if has_slash:  # the slash is part of a value: no path of the spec was meant
            raise ApiError("NOT_FOUND", method=call.method, path=call.path)
        if call.method == "OPTIONS":
            return False
        raise ApiError(
            "METHOD_NOT_ALLOWED",
            method=call.method,
            path=call.path,
            allow=operations.allow,
            headers={"allow": operations.allow},
        )
    call.operation, call.entry.operation = operation, operation.id
    if values:
        call.path_parameters = {
            operations.names[name]: value.replace("%2F", "/") if has_slash else value for name, value in values.items()
        }
        if operation.effect is not None or operation.id in JOB_HANDLERS:
            call.entry.job_id = call.job_id or None
    return True


async def receive_body(call: Call) -> None:
    """Read and decode the body."""
    limit = call.spec.body_limit
    call.body = await read_body(call.receive, call.headers, limit)
    if (encoding := call.headers.get(b"content-encoding")) is not None:
        try:
            call.body = decode_body(call.body, encoding, limit)
        except ApiError as error:  # other checks come first
            call.body, call.body_error = b"", error
    if call.body != b"":
        call.invalidate_now()


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


def resolve_scenario(call: Call) -> Scenario:
    """Return the first that applies: header, projectId, the job's own or its parent's, the sandbox's, the server's."""
    header = call.headers.get(b"x-mock-scenario")
    if header is not None:
        return _named_scenario(call, header.decode("latin-1"), "header", "header.x-mock-scenario")
    if call.body and _PROJECT_MARK in call.body:
        project = parse_body(call, "projectId")
        if isinstance(project, str) and project.startswith(PROJECT_PREFIX):
            return _named_scenario(call, project.removeprefix(PROJECT_PREFIX), "projectId", "$.projectId")
    if job_id := call.entry.job_id:
        job = call.sandbox.store.read((parse_child_id(job_id) or (job_id,))[0])
        if job is not None and job.scenario is not None:
            return _named_scenario(call, job.scenario, "job", "the job's scenario")
    if call.sandbox.scenario_override is not None:
        call.entry.chosen_by = "sandbox"
    return call.mock.scenario_of(call.sandbox)


def _named_scenario(call: Call, name: str, chosen_by: str, place: str) -> Scenario:
    """Return a shipped scenario; raises VALIDATION_ERROR with the nearest name."""
    call.entry.chosen_by = chosen_by
    try:
        return call.files.library.get(name)
    except ScenarioError as error:
        raise ApiError("VALIDATION_ERROR", violations=f"{place}: {error}") from None


def may_match(call: Call) -> bool:
    """Say whether there is any rule or fault that a call could match."""
    return bool(call.scenario.rules) or call.sandbox.armed is not None or b"x-mock-fault" in call.headers


def _matching() -> Any:
    """Return the module `api.matching`, imported when a rule or fault may match: most servers never need it."""
    return import_module("viralsync_mock.api.matching")


async def run_with_faults(call: Call, response: Respond | None, faults: tuple[Fault, ...]) -> Response:
    """Run the handler (or the rule's response) wrapped in the matched faults."""
    proceed = partial(scripted_response, call, response) if response else partial(handle, call)
    for fault in reversed(faults):
        proceed = partial(fault.apply, call, partial(catch_api_error, call, proceed))
    return await proceed()


async def catch_api_error(call: Call, proceed: CallNext) -> Response:
    """Turn a refusal into a response, so that faults apply to it too."""
    try:
        return (await proceed()).join()
    except ApiError as error:
        await auto_advance_after_refusal(call, error)
        return refuse(call, error)


async def scripted_response(call: Call, scripted: Respond) -> Response:
    """Return the response of a rule."""
    if scripted.error is not None:
        response = refuse(call, _matching().scripted_error(call, scripted))
    else:
        response = _scripted_body(scripted)
        response.headers = tuple((name.lower().encode(), value.encode()) for name, value in scripted.headers.items())
    response.is_scripted = True
    return response


def _scripted_body(scripted: Respond) -> Response:
    if scripted.body is None:
        return empty_response(scripted.status)
    if scripted.content_type is None:
        return json_response(scripted.body, scripted.status)
    return Response(scripted.status, str(scripted.body).encode(), scripted.content_type.encode())


async def handle(call: Call) -> Response:
    """Validate the request, then call the operation's handler; without one the spec is the source of the response."""
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
    if call.body_error is not None:
        raise call.body_error
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
    """Return the response for an error, and record its code and violations in the journal."""
    call.entry.code = error.code
    if not call.entry.violations and (text := error.values.get("violations")):
        place, _, message = str(text).partition(": ")
        call.entry.violations = (Violation(place, message),)
    return error_response(call.spec, call.behaviour, error, call.sandbox.key)


def mock_headers(call: Call, response: Response) -> bytes:
    """Return the headers that the API does not send: the call's ids, and for a failure what reproduces it."""
    if not call.mock.settings.mock_headers:
        return b""
    lines = b"x-mock-call-id: %b%d\r\n" % (call.sandbox.call_prefix, call.entry.number)
    if REQUEST_ID_HEADER in call.headers and (
        request_id := well_formed_request_id(call.headers.get(REQUEST_ID_HEADER))
    ):
        lines += b"%b: %b\r\n" % (REQUEST_ID_HEADER, request_id.encode())
    faults = call.entry.matched_faults
    if faults or response.status >= FAILURE:
        seed = call.sandbox.named_seed or call.mock.settings.seed
        lines += b"x-mock-seed: %b\r\n" % seed.encode("latin-1")
    if faults:
        lines += b"x-mock-fault: %b\r\n" % _matching().replay_header(call).encode("latin-1")
    return lines


async def auto_advance_after_refusal(call: Call, error: ApiError) -> None:
    """On an auto clock, go to when a retry would succeed: the next free slot, or the next change of a job."""
    if isinstance(error, RateLimited):
        call.entry.slot = error.slot
        await call.sandbox.auto_advance_if_idle(error.slot.free_at)
    elif error.code == "CONCURRENCY_LIMIT_EXCEEDED":
        await call.sandbox.auto_advance_if_idle(call.sandbox.store.next_change(call.now))
