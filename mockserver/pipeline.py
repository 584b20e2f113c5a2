"""The path of a request: one list, in the order of precedence of the API's checks (docs page /api-reference/errors).

404 and 405 · 401 · 429 · 403 · rules and faults · 413 and 400 · then the handler: 404, 402, 409.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from mockserver import auth
from mockserver.answers import Answer, empty_answer, json_answer
from mockserver.checking import checked
from mockserver.errors import ApiError, ScenarioError
from mockserver.handlers import HANDLERS
from mockserver.rate_limit import RateLimited, spend
from mockserver.scenario import Asked
from mockserver.spec import MethodNotAllowed, RouteNotFound
from mockserver.state import behaviour_under
from mockserver.synthesis import synthesise
from mockserver.validation import Invalid, Violation
from mockserver.views import parse_child_id
from mockserver.wire import begin, parsed, read_body, refusal, write

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from mockserver.sandbox import Sandbox
    from mockserver.scenario import Respond, Rule, Scenario
    from mockserver.state import Call, Mock

PROJECT_PREFIX = "proj_mock_"
"""A `projectId` that begins so names a scenario: for clients whose headers cannot be changed."""


PROJECT_MARK = PROJECT_PREFIX.encode()


async def serve(mock: Mock, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request."""
    call = begin(mock, scope)
    try:
        answer = await answer_to(call, receive)
    except ApiError as error:
        answer = refusal(call, error)
        await pass_time(call, error)
    except Exception as error:  # a bug of ours: the client still gets the API's shape
        mock.on_bug(f"{call.method} {call.path}", error)
        answer = refusal(call, ApiError("INTERNAL_ERROR"))
    if mock.settings.check_answers:
        answer = checked(call, answer)
    mock.on_call(call, answer)
    await write(call, answer, receive, send)


async def answer_to(call: Call, receive: Receive) -> Answer:
    """Take a call through every check to its handler; raises the ApiError of the first that refuses."""
    if (allow := resolve(call)) is not None:
        return Answer(204, content_type=None, headers=((b"allow", allow.encode()),))
    call.body = await read_body(call, receive)
    authenticate(call)
    count(call)
    entitle(call)
    return await play(call, rule_for(call))


def resolve(call: Call) -> str | None:
    """Find the operation; raises NOT_FOUND or METHOD_NOT_ALLOWED. For OPTIONS return what is allowed."""
    try:
        call.operation, call.path_parameters = call.spec.match(call.method, call.path)
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
    """Find the sandbox of the key and the scenario of the call; raises UNAUTHORIZED or API_KEY_REVOKED."""
    sandbox = sandbox_of(call)
    if sandbox is None:
        return
    call.sandbox = sandbox
    call.sandbox.calls += 1
    call.number = call.sandbox.calls
    call.scenario = choose_scenario(call)
    call.behaviour = behaviour_under(call.files, call.scenario)
    call.account = call.sandbox.account(call.scenario)
    if call.account.revoked and call.operation.secured:
        raise ApiError("API_KEY_REVOKED")


def sandbox_of(call: Call) -> Sandbox | None:
    """Return the sandbox of the key that was sent; raises UNAUTHORIZED unless the operation needs no key."""
    try:
        key = auth.sent_key(call.headers)
        if key is None:
            raise ApiError("UNAUTHORIZED", reason=auth.NO_KEY)
        sandbox = call.mock.sandboxes.get(key)
        if sandbox is None:
            auth.check_form(key, call.spec.key_pattern)
            sandbox = call.mock.sandbox(key)
    except ApiError:
        if call.operation.secured:
            raise
        return None
    return sandbox


def choose_scenario(call: Call) -> Scenario:
    """Return the first that applies: header, projectId, the job's own or its parent's, the sandbox's, the server's."""
    header = call.headers.get(b"x-mock-scenario")
    if header is not None:
        return named_scenario(call, header.decode("latin-1"), "header.x-mock-scenario")
    if call.body and PROJECT_MARK in call.body:
        project = parsed(call, "projectId")
        if isinstance(project, str) and project.startswith(PROJECT_PREFIX):
            return named_scenario(call, project.removeprefix(PROJECT_PREFIX), "$.projectId")
    job_id = call.path_parameters.get("jobId", "")
    job = call.sandbox.store.read((parse_child_id(job_id) or (job_id,))[0])
    if job is not None and job.scenario is not None:
        return named_scenario(call, job.scenario, "the job's scenario")
    return call.mock.home(call.sandbox)


def named_scenario(call: Call, name: str, place: str) -> Scenario:
    """Return a shipped scenario; raises VALIDATION_ERROR with the nearest name."""
    try:
        return call.files.library.get(name)
    except ScenarioError as error:
        raise ApiError("VALIDATION_ERROR", violations=f"{place}: {error}") from None


def count(call: Call) -> None:
    """Count the call against the rate limit; raises RATE_LIMITED."""
    limits = call.scenario.limits
    if limits.is_rated and call.mock.settings.is_rate_limited and call.operation.secured:
        spend(call.sandbox.store, limits.rate or call.spec.rate_limit, call.now)


def entitle(call: Call) -> None:
    """See whether the plan has the REST API; raises FORBIDDEN."""
    if not call.operation.secured:
        return
    plan = call.spec.plans[call.account.plan]
    if not plan.rest and call.behaviour.free_plan_rest == "forbidden":
        raise ApiError("FORBIDDEN", plan=plan.name)


def rule_for(call: Call) -> Rule | None:
    """Return the scenario's rule that speaks to this call."""
    if not call.scenario.rules:
        return None
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in call.headers.items()}
    age = (call.now - call.sandbox.opened).total_seconds()
    asked = Asked(call.operation.id, headers, parsed(call), age)
    return call.sandbox.script(call.scenario).rule_for(asked)


async def play(call: Call, rule: Rule | None) -> Answer:
    """Carry out a call as its rule says: its faults around its response, or around the handler."""
    if rule is None:
        return await handle(call)
    proceed = partial(respond, rule.respond) if rule.respond else partial(handle, call)
    for fault in reversed(rule.faults):
        proceed = partial(fault.apply, call, proceed)
    return await proceed()


async def respond(response: Respond) -> Answer:
    """Answer in the handler's place."""
    if response.error is not None:
        raise ApiError(response.error, text=response.text, headers=response.headers)
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
        raise ApiError("VALIDATION_ERROR", violations="; ".join(map(str, violations)))


async def pass_time(call: Call, error: ApiError) -> None:
    """On an auto clock, go to where a refused client would wait to: the next free slot, or the next change of a job.

    The refusal itself keeps its own instant.
    """
    if isinstance(error, RateLimited):
        await call.sandbox.jump(error.free_at)
    elif error.code == "CONCURRENCY_LIMIT_EXCEEDED":
        await call.sandbox.jump(call.sandbox.store.next_change(call.now))
