"""The control API under `/__mock`: its door, and the path of its calls, which is the API's own in short.

403 · 404 and 405 · 401 · 413 and 400 · then the action. No call counts against a limit or moves an auto clock.
"""

from __future__ import annotations

from functools import cached_property
from hmac import compare_digest
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from viralsync_mock.api.asgi import create_call, read_body, response_headers, send_response
from viralsync_mock.config.yaml_source import Node, read_yaml
from viralsync_mock.control.account import HANDLERS, key_of
from viralsync_mock.control.clock import CLOCK_ACTIONS
from viralsync_mock.control.control_coverage import COVERAGE_ACTIONS
from viralsync_mock.control.control_snapshot import MAX_BYTES, SNAPSHOT_ACTIONS
from viralsync_mock.control.deliveries import DELIVERY_ACTIONS
from viralsync_mock.control.faults import FAULT_ACTIONS
from viralsync_mock.control.jobs import JOB_ACTIONS
from viralsync_mock.control.journal import JOURNAL_ACTIONS
from viralsync_mock.control.sandbox import SANDBOX_ACTIONS
from viralsync_mock.control.verdict import VERDICT_ACTIONS
from viralsync_mock.errors import ApiError, SpecError, did_you_mean
from viralsync_mock.journal.entry import serialize_headers
from viralsync_mock.net import host_of, is_loopback
from viralsync_mock.openapi.extensions import read_errors
from viralsync_mock.openapi.operations import read_operations
from viralsync_mock.openapi.routing import MethodNotAllowed, RouteNotFound, Routes
from viralsync_mock.openapi.spec import Spec
from viralsync_mock.redaction import masked
from viralsync_mock.response import Response, json_response
from viralsync_mock.validation.schema import invalid
from viralsync_mock.validation.validator import ValidationFailed, Validator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

    from viralsync_mock.api.call import Call
    from viralsync_mock.sandbox import Sandbox
    from viralsync_mock.state import MockServer

DOCUMENT = Path(__file__).with_name("control.openapi.yaml")

LARGE: Mapping[str, int] = MappingProxyType({"restoreSnapshot": MAX_BYTES})
"""Bytes that the body of a call may have; what it says is for the action to judge, which reads it once."""


class ControlSpec(Spec):
    """The control API's own document: operations, schemas and errors. The terms of the service are the API's alone."""

    def __init__(self, root: Node) -> None:
        paths, self.places = read_operations(root)
        self.root, self.document = root, root.value
        self.operations = {each.id: each for methods in paths.values() for each in methods.values()}
        self.errors = read_errors(root["x-error-catalogue"])
        self._routes = Routes(paths)


def read_control_spec() -> ControlSpec:
    """Read the shipped document."""
    return ControlSpec(read_yaml(DOCUMENT, SpecError))


def create_control(mock: MockServer) -> ASGIApp:
    """Return the control API of a mock as an application of its own."""
    return Control(mock)


class Control:
    """The control API of one mock; its document is read when it is first called."""

    def __init__(self, mock: MockServer) -> None:
        self.mock = mock
        self.actions = {
            "getIndex": self.index,
            "getDocument": self.document,
            **HANDLERS,
            **CLOCK_ACTIONS,
            **JOB_ACTIONS,
            **SNAPSHOT_ACTIONS,
            **JOURNAL_ACTIONS,
            **COVERAGE_ACTIONS,
            **FAULT_ACTIONS,
            **DELIVERY_ACTIONS,
            **SANDBOX_ACTIONS,
            **VERDICT_ACTIONS,
        }

    @cached_property
    def validator(self) -> Validator:
        """The compiled document."""
        return Validator(read_control_spec())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        call = create_call(self.mock, scope, receive, _anonymous_sandbox)
        try:
            answer = await self.answer_to(call)
        except ValidationFailed as error:
            answer = self.refusal(ApiError("VALIDATION_ERROR", violations=error))
        except ApiError as error:
            answer = self.refusal(error)
        except Exception as error:  # a bug of ours: the client still gets the API's shape
            self.mock.on_bug(f"{call.method} {call.path}", error)
            answer = self.refusal(ApiError("INTERNAL_ERROR"))
        await send_response(call, answer, serialize_headers(response_headers(call, answer)), send)
        if call.sandbox is not self.mock.sandboxes.anonymous:
            call.sandbox.clock.end_call()

    async def answer_to(self, call: Call) -> Response:
        """Take a call through every check to its action; raises what the first that refuses has to say."""
        authorize(call)
        self.resolve(call)
        if call.operation.secured:
            authenticate(call)
        call.body = await read_body(call, body_limit(call))
        self.validate(call)
        return await self.actions[call.operation.id](call)

    def resolve(self, call: Call) -> None:
        """Find the operation; raises NOT_FOUND or METHOD_NOT_ALLOWED."""
        spec = self.validator.spec
        try:
            call.operation, call.path_parameters = spec.match(call.method, call.path)
        except RouteNotFound as error:
            hint = did_you_mean(call.path, error.known)
            raise ApiError("NOT_FOUND", method=call.method, path=call.path, hint=hint) from None
        except MethodNotAllowed as error:
            allow = ", ".join(error.allow)
            raise ApiError(
                "METHOD_NOT_ALLOWED", method=call.method, path=call.path, allow=allow, headers={"allow": allow}
            ) from None

    def validate(self, call: Call) -> None:
        """Hold parameters and body against the document; raises PAYLOAD_TOO_LARGE, or `Invalid`."""
        if call.body is None:
            raise ApiError("PAYLOAD_TOO_LARGE", limit=body_limit(call))
        _check_names(call)
        operation, validator = call.operation, self.validator
        call.parameters = validator.parameters(operation, call.query, call.raw_headers, call.path_parameters)
        if operation.id not in LARGE:
            call.document = validator.body(operation, call.body, None, require_content_type=False)

    def refusal(self, error: ApiError) -> Response:
        """Write an error in the API's shape; codes are never renamed here, whatever the behaviour profile says."""
        entry = self.validator.spec.errors[error.code]
        text = error.text or entry.text.format_map(error.values)
        headers = tuple((name.encode(), value.encode()) for name, value in error.headers.items())
        return json_response({"error": masked(text), "code": error.code}, entry.status, headers)

    async def index(self, call: Call) -> Response:  # noqa: ARG002 - every action is called alike
        """GET /__mock: every call, with what it does."""
        calls = [
            {"method": each.method, "path": each.path, "summary": each.document["summary"]}
            for each in self.validator.spec.operations.values()
        ]
        return json_response({"openapi": "/__mock/openapi.yaml", "calls": calls})

    async def document(self, call: Call) -> Response:  # noqa: ARG002 - every action is called alike
        """GET /__mock/openapi.yaml: the document as it is shipped."""
        return Response(200, DOCUMENT.read_bytes(), b"application/yaml")


def _anonymous_sandbox(mock: MockServer, _headers: Mapping[bytes, bytes]) -> Sandbox:
    """Let the call belong to nobody until its key is known."""
    return mock.sandboxes.anonymous


def body_limit(call: Call) -> int:
    """Return how many bytes the body may have: the spec's limit, but for the calls that take more."""
    return LARGE.get(call.operation.id, call.spec.body_limit)


def authorize(call: Call) -> None:
    """Let in who shows the token; without one, who comes from this machine. Raises FORBIDDEN.

    A web page of another site cannot hide its `Origin`, nor, after rebinding its name to 127.0.0.1, its `Host`.
    """
    if token := call.mock.settings.control_token:
        if not compare_digest(call.headers.get(b"x-mock-token", b""), token.encode()):
            raise ApiError("FORBIDDEN", reason="send the server's --control-token as x-mock-token.")
        return
    for name in ("host", "origin"):
        sent = call.headers.get(name.encode())
        if sent is not None and not is_loopback(host_of(sent.decode("latin-1"))):
            reason = f"its {name} header is not of this machine. Start the server with --control-token and send it."
            raise ApiError("FORBIDDEN", reason=reason)


def authenticate(call: Call) -> None:
    """Find the sandbox of the key, revoked or not; raises UNAUTHORIZED."""
    call.sandbox = call.mock.sandbox(key_of(call))
    call.invalidate_now()  # its clock is another
    call.sandbox.clock.begin_call()
    call.scenario = call.mock.scenario_of(call.sandbox)


def _check_names(call: Call) -> None:
    """Refuse a query parameter that the operation does not know: a typing error must not go unseen."""
    known = [each.name for each in call.operation.parameters if each.location == "query"]
    for name, _ in parse_qsl(call.query.decode("latin-1"), keep_blank_values=True):
        if name not in known:
            invalid(f"query.{name}", f"not a parameter of this call.{did_you_mean(name, known)}")
